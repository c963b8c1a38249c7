"""Checkpoints of the original repository (https://github.com/MCG-NJU/VideoMAE): `.pth` files."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from vidx.embedder.videomae.config import MODEL_TYPE, VideoMAEConfig
from vidx.embedder.videomae.weights import holds_tensors, read_pickle, unreadable
from vidx.errors import CheckpointError, ModelNotFound

# Where the weights lie: saved by torch, or by DeepSpeed; next to the optimizer's state.
WEIGHTS_KEYS = ("model", "module")
LAYER_NORM_EPS = 1e-6
# A head's width in a model of this dim; the huge model's encoder and decoder have wider ones.
HEAD_WIDTHS = {640: 80, 1280: 80}
HEAD_WIDTH = 64

# The original's name of a module: its name in the hub's layout.
MODULES = {
    "patch_embed.proj": "embeddings.patch_embeddings.projection",
    "encoder.patch_embed.proj": "embeddings.patch_embeddings.projection",
    "norm": "layernorm",
    "encoder.norm": "layernorm",
    "head": "classifier",
}
BLOCKS = {"": "encoder.layer", "encoder.": "encoder.layer", "decoder.": "decoder.decoder_layers"}
BLOCK_MODULES = {
    "norm1": "layernorm_before",
    "attn.proj": "attention.output.dense",
    "norm2": "layernorm_after",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}
ATTENTION_BIASES = {"attn.q_bias": "query.bias", "attn.v_bias": "value.bias"}
QKV = "attn.qkv.weight"

# Tensors that tell the config, by their names in the hub's layout.
PROJECTION = "embeddings.patch_embeddings.projection.weight"
QUERY_BIAS = "attention.attention.query.bias"
MLP = "intermediate.dense.weight"
DECODER_INPUT = "encoder_to_decoder.weight"


def read_original(
    path: Path, *, num_frames: int, image_size: int
) -> tuple[VideoMAEConfig, dict[str, Tensor]]:
    """Read a `.pth` file, and run no code from it.

    Args:
        path: The file; its weights lie at its top, or under `model` or `module`.
        num_frames: Frames of a clip; the file does not say.
        image_size: Pixels of a frame's side; the file does not say.

    Returns:
        The config that the tensors' shapes tell, and the tensors under the hub's names.

    Raises:
        ModelNotFound: There is no such file.
        CheckpointError: The file is damaged, is none of VideoMAE's, or would run code.
    """
    if not path.is_file():
        raise ModelNotFound(f"{path} is no file", "Name a .pth file of the original repository.")
    tensors = dict(_renamed(_weights(path)))
    for name in (PROJECTION, f"encoder.layer.0.{MLP}"):
        if name not in tensors:
            raise CheckpointError(
                f"{path} is not in the original repository's layout: it has no {name}",
                "Load a checkpoint in the hub's layout with from_pretrained.",
            )
    return _config(tensors, num_frames, image_size), tensors


def _weights(path: Path) -> dict[str, Tensor]:
    # The training script saves its arguments too, as such a record; to make one runs no code.
    with torch.serialization.safe_globals([argparse.Namespace]):
        stored = read_pickle(path)
    if isinstance(stored, dict):
        stored = next((stored[key] for key in WEIGHTS_KEYS if key in stored), stored)
    if not holds_tensors(stored):
        raise unreadable(path, f"it holds no named tensors, nor under {' or '.join(WEIGHTS_KEYS)}")
    return dict(stored)


def _renamed(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Tensors under the hub's names; those of no known name keep it, and will not fit."""
    for name, tensor in tensors.items():
        block = re.fullmatch(r"(|encoder\.|decoder\.)blocks\.(\d+)\.(.+)", name)
        if block:
            yield from _block(f"{BLOCKS[block[1]]}.{block[2]}", block[3], tensor)
        else:
            module, _, parameter = name.rpartition(".")
            yield f"{MODULES.get(module, module)}.{parameter}".removeprefix("."), tensor


def _block(prefix: str, name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    """One tensor of a block; the fused weight of queries, keys and values gives three."""
    attention = f"{prefix}.attention.attention"
    if name == QKV:
        parts = zip(("query", "key", "value"), tensor.chunk(3), strict=True)
        yield from ((f"{attention}.{part}.weight", weight) for part, weight in parts)
    elif name in ATTENTION_BIASES:
        yield f"{attention}.{ATTENTION_BIASES[name]}", tensor
    else:
        module, _, parameter = name.rpartition(".")
        yield f"{prefix}.{BLOCK_MODULES.get(module, module)}.{parameter}", tensor


def _config(tensors: Mapping[str, Tensor], num_frames: int, image_size: int) -> VideoMAEConfig:
    shape = tensors[PROJECTION].shape
    if len(shape) != 5:
        raise CheckpointError(
            f"{PROJECTION} has shape {tuple(shape)}, it must have (dim, channels, frames, height, "
            "width)",
            "Name a .pth file of the original repository.",
        )
    dim, num_channels, tubelet_size, *patch = shape
    labels = {}
    if "classifier.weight" in tensors:
        labels["num_labels"] = len(tensors["classifier.weight"])
    return VideoMAEConfig.from_dict(
        {
            "model_type": MODEL_TYPE,
            "image_size": image_size,
            "patch_size": patch[0] if len(set(patch)) == 1 else patch,
            "num_channels": num_channels,
            "num_frames": num_frames,
            "tubelet_size": tubelet_size,
            "layer_norm_eps": LAYER_NORM_EPS,
            "qkv_bias": f"encoder.layer.0.{QUERY_BIAS}" in tensors,
            "use_mean_pooling": "layernorm.weight" not in tensors,
            **_sizes(tensors, "encoder.layer", dim),
            **_decoder_sizes(tensors),
            **labels,
        }
    )


def _decoder_sizes(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    if DECODER_INPUT not in tensors:
        return {}
    sizes = _sizes(tensors, "decoder.decoder_layers", len(tensors[DECODER_INPUT]))
    return {f"decoder_{name}": size for name, size in sizes.items()}


def _sizes(tensors: Mapping[str, Tensor], blocks: str, dim: int) -> dict[str, int]:
    """The sizes of a stack of blocks, under the config's names."""
    mlp = re.compile(rf"{blocks}\.\d+\.{MLP}")
    widths = [len(weight) for name, weight in tensors.items() if mlp.fullmatch(name)]
    return {
        "hidden_size": dim,
        "num_hidden_layers": len(widths),
        "num_attention_heads": dim // HEAD_WIDTHS.get(dim, HEAD_WIDTH),
        "intermediate_size": widths[0],
    }
