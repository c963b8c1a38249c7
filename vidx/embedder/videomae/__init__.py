"""VideoMAE in vidx's own PyTorch code: every class of the reference documentation.

The reference is https://huggingface.co/docs/transformers/model_doc/videomae. `model` reads from top
to bottom; nothing here needs more than torch, numpy, safetensors and the hub's client.
"""

from vidx.embedder.videomae.config import VideoMAEConfig
from vidx.embedder.videomae.masking import tube_mask
from vidx.embedder.videomae.model import (
    VideoMAEForPreTraining,
    VideoMAEForVideoClassification,
    VideoMAEModel,
)
from vidx.embedder.videomae.outputs import ClassificationOutput, EncoderOutput, PreTrainingOutput
from vidx.embedder.videomae.processor import VideoMAEFeatureExtractor, VideoMAEImageProcessor

__all__ = [
    "ClassificationOutput",
    "EncoderOutput",
    "PreTrainingOutput",
    "VideoMAEConfig",
    "VideoMAEFeatureExtractor",
    "VideoMAEForPreTraining",
    "VideoMAEForVideoClassification",
    "VideoMAEImageProcessor",
    "VideoMAEModel",
    "tube_mask",
]
