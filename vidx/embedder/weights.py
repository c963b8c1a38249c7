"""Read a checkpoint's tensors, and fit them to the model under its own names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from vidx.errors import CheckpointError

# Parts of a pre-training checkpoint that an encoder has no use for.
PRETRAINING_ONLY = re.compile(r"(decoder|encoder_to_decoder)\..+|mask_token")

# Our name of a module: its name in the hub's layout.
MODULES = {
    "encoder.tubelet_embedding": "embeddings.patch_embeddings.projection",
    "encoder.final_norm": "layernorm",
    "head.norm": "fc_norm",
    "head.classifier": "classifier",
}
BLOCK_MODULES = {
    "attention_norm": "layernorm_before",
    "attention.query": "attention.attention.query",
    "attention.key": "attention.attention.key",
    "attention.value": "attention.attention.value",
    "attention.output": "attention.output.dense",
    "mlp_norm": "layernorm_after",
    "mlp.expand": "intermediate.dense",
    "mlp.shrink": "output.dense",
}
# The old layout's names of two biases, at their end.
OLD_BIASES = {
    ".attention.q_bias": ".attention.query.bias",
    ".attention.v_bias": ".attention.value.bias",
}

LISTED = 10


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a weights file, and run no code from it.

    Args:
        path: `model.safetensors`, or `pytorch_model.bin` (a pickle).

    Returns:
        Tensors on the CPU under the hub's names: new layout, no `videomae.` prefix, without the
        parts that only pre-training needs.

    Raises:
        CheckpointError: The file is cut off, or is not what its name says, or would run code.
    """
    stored = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    tensors: dict[str, Tensor] = {}
    for stored_name, tensor in stored.items():
        name = _new_layout(stored_name)
        if PRETRAINING_ONLY.fullmatch(name):
            continue
        if name in tensors:
            raise CheckpointError(f"{path} holds {name!r} twice, in the old and the new layout")
        tensors[name] = tensor
    return tensors


def fit(tensors: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """Give tensors the model's names; every one must be there, none besides.

    Args:
        tensors: Under the hub's names.
        shapes: What the model wants: our name to shape.

    Returns:
        The same tensors under our names.

    Raises:
        CheckpointError: Tensors are missing, unexpected or mis-shaped; it lists them.
    """
    hub_names = {ours: hub_name(ours) for ours in shapes}
    problems = _misfits(tensors, {hub_names[ours]: shape for ours, shape in shapes.items()})
    if problems:
        more = [f"... and {len(problems) - LISTED} more"] if len(problems) > LISTED else []
        raise CheckpointError(
            f"{len(problems)} tensors do not fit the checkpoint's config.json:\n"
            + "\n".join(f"  {line}" for line in problems[:LISTED] + more),
            "Take config.json and weights from the same checkpoint.",
        )
    return {ours: tensors[name] for ours, name in hub_names.items()}


def hub_name(name: str) -> str:
    """A tensor's name in the hub's layout.

    Args:
        name: Our name, such as `encoder.blocks.0.mlp.expand.weight`.

    Returns:
        The hub's, such as `encoder.layer.0.intermediate.dense.weight`.
    """
    module, _, parameter = name.rpartition(".")
    block = re.fullmatch(r"encoder\.blocks\.(\d+)\.(.+)", module)
    if block:
        return f"encoder.layer.{block[1]}.{BLOCK_MODULES[block[2]]}.{parameter}"
    return f"{MODULES[module]}.{parameter}"


def _misfits(tensors: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> list[str]:
    missing = [f"missing: {name} {tuple(shapes[name])}" for name in shapes.keys() - tensors.keys()]
    unexpected = [f"unexpected: {name}" for name in tensors.keys() - shapes.keys()]
    return sorted(missing) + sorted(unexpected) + list(_misshaped(tensors, shapes))


def _misshaped(tensors: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> Iterable[str]:
    for name in sorted(shapes.keys() & tensors.keys()):
        tensor, shape = tensors[name], shapes[name]
        if tensor.shape != shape:
            yield f"mis-shaped: {name} is {tuple(tensor.shape)}, not {tuple(shape)}"
        elif not tensor.is_floating_point():
            yield f"not floating point: {name} is {tensor.dtype}"


def _new_layout(name: str) -> str:
    name = name.removeprefix("videomae.")
    for old, new in OLD_BIASES.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        # Copied: the file is mapped, and may be overwritten while the model is in use.
        return {name: tensor.clone() for name, tensor in load_file(path).items()}
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, f"it is no whole safetensors file: {error}") from error


def _read_pickle(path: Path) -> dict[str, Tensor]:
    try:
        stored: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # Any: a damaged pickle makes the unpickler stumble over whatever comes.
        if "Weights only load failed" in str(error):
            raise _unreadable(path, "it is no PyTorch file, or holds more than tensors") from error
        raise _unreadable(path, f"it is no whole PyTorch file: {error}") from error
    whole = isinstance(stored, dict) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in stored.items()
    )
    if not whole:
        raise _unreadable(path, "it holds something else than named tensors")
    return dict(stored)


def _unreadable(path: Path, problem: str) -> CheckpointError:
    return CheckpointError(f"{path} cannot be used: {problem}", "Fetch the checkpoint anew.")
