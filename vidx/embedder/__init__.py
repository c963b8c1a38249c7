"""Pixels to vectors: sampling, decoding, preprocessing and the VideoMAE encoder.

Nothing heavy is imported with this package: torch comes with `encoder`, av with `video`.
"""
