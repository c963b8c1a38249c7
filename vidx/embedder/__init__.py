"""Pixels to vectors: sampling, decoding, preprocessing and the VideoMAE encoder.

Nothing heavy is imported with this package: torch comes with `encoder`, av with `video`.
"""

import os

# While a thread of the model waits for the others, decoding may have its core: waiting busily, as
# OpenMP does if not told, costs 15% of the clips a second. It is read once, as torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
