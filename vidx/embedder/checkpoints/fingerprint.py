"""The fingerprint: which vectors are comparable with which."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from vidx.cache import read_cache, remember

if TYPE_CHECKING:
    from vidx.embedder.videomae.config import VideoMAEConfig
    from vidx.embedder.videomae.preprocess import Preprocessing

# Raise it when decoding, sampling, preprocessing or pooling change what a vector holds.
ALGORITHM_VERSION = 1
POOLING = "mean over tokens"
# By version: another version may name the tensors otherwise.
CACHE_FILE = f"weights-{ALGORITHM_VERSION}.json"

# Of the config, what an encoder's shape and arithmetic depend on. Another key, another fingerprint.
FORWARD = (
    "num_channels",
    "num_frames",
    "tubelet_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "layer_norm_eps",
    "qkv_bias",
    "use_mean_pooling",
)


def fingerprint(
    weights_digest: str, config: VideoMAEConfig, preprocessing: Preprocessing, fps: float
) -> str:
    """SHA-256 over all that decides a vector's values.

    Name, revision, file format and key layout of the checkpoint, and device, precision and torch's
    version are left out: they move a vector by rounding only.

    Args:
        weights_digest: Of the tensors, see `digest_tensors`.
        config: What `FORWARD` names, and the sizes of frames and patches.
        preprocessing: All of it.
        fps: Frames sampled a second.

    Returns:
        64 hexadecimal digits.
    """
    sizes = {"image_size": config.frame_shape, "patch_size": config.patch_shape}
    forward = sizes | {name: getattr(config, name) for name in FORWARD}
    parts = {
        "algorithm": ALGORITHM_VERSION,
        "config": forward,
        "fps": fps,
        "pooling": POOLING,
        "preprocessing": asdict(preprocessing),
        "weights": weights_digest,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def digest_tensors(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, dtypes, shapes and bytes, in the order of names.

    Args:
        tensors: Under our names, on the CPU.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def file_state(path: Path) -> tuple[str, int, int]:
    """What tells that a file was not touched: real path, size in bytes, mtime in nanoseconds."""
    stat = path.stat()
    return os.path.realpath(path), stat.st_size, stat.st_mtime_ns


def cached_digest(state: tuple[str, int, int], tensors: Mapping[str, Tensor]) -> str:
    """`digest_tensors`, remembered for as long as the weights file is not touched.

    Args:
        state: Of the weights file before the tensors were read from it, see `file_state`.
        tensors: Under our names, on the CPU.

    Returns:
        64 hexadecimal digits.
    """
    path, size, mtime_ns = state
    match read_cache(CACHE_FILE).get(path):
        case [int(known_size), int(known_mtime), str(digest)]:
            if (known_size, known_mtime) == (size, mtime_ns):
                return digest
    digest = digest_tensors(tensors)
    remember(CACHE_FILE, path, [size, mtime_ns, digest])
    return digest
