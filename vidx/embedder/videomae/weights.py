"""Tensors of a checkpoint in the hub's layout, under its names and under ours."""

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

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}

# Parts that one class of models has and another has no use for, by their names in the hub's layout.
DECODER_PARTS = re.compile(r"(decoder|encoder_to_decoder)\..+|mask_token")
HEAD_PARTS = re.compile(r"(fc_norm|classifier)\..+")
# Keys have no bias. Some versions of transformers store one: it adds the same to a query's score
# with every key, which softmax takes away again.
KEY_BIAS = re.compile(
    r"(encoder\.layer|decoder\.decoder_layers)\.\d+\.attention\.attention\.key\.bias"
)

# The hub's name of the encoder inside a model with a decoder or a classifier.
PREFIX = "videomae."

# Our name of a module: its name in the hub's layout.
MODULES = {
    "encoder.tubelet_embedding": "embeddings.patch_embeddings.projection",
    "encoder.final_norm": "layernorm",
    "decoder.project": "encoder_to_decoder",
    "decoder.norm": "decoder.norm",
    "decoder.predict": "decoder.head",
    "head.norm": "fc_norm",
    "head.classifier": "classifier",
}
BLOCKS = {"encoder": "encoder.layer", "decoder": "decoder.decoder_layers"}
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
# The old layout's names of two biases, at their end. Its files load everywhere.
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
        Tensors on the CPU under the hub's names: new layout, no `videomae.` prefix.

    Raises:
        CheckpointError: The file is cut off, or is not what its name says, or would run code.
    """
    stored = _read_safetensors(path) if path.suffix == ".safetensors" else _read_bin(path)
    tensors: dict[str, Tensor] = {}
    for stored_name, tensor in stored.items():
        name = _new_layout(stored_name)
        if name in tensors:
            raise CheckpointError(f"{path} holds {name!r} twice, in the old and the new layout")
        tensors[name] = tensor
    return tensors


def fit(
    tensors: Mapping[str, Tensor], shapes: Mapping[str, torch.Size], ignored: re.Pattern[str]
) -> dict[str, Tensor]:
    """Give tensors the model's names; every one must be there, none besides.

    Args:
        tensors: Under the hub's names.
        shapes: What the model wants: our name to shape.
        ignored: Names, in the hub's layout, of parts that this model has no use for.

    Returns:
        The same tensors under our names, without those ignored, and biases of keys.

    Raises:
        CheckpointError: Tensors are missing, unexpected or mis-shaped; it lists them.
    """
    hub_names = {ours: hub_name(ours) for ours in shapes}
    used = {
        name: value
        for name, value in tensors.items()
        if not ignored.fullmatch(name) and not KEY_BIAS.fullmatch(name)
    }
    problems = _misfits(used, {hub_names[ours]: shape for ours, shape in shapes.items()})
    if problems:
        more = [f"... and {len(problems) - LISTED} more"] if len(problems) > LISTED else []
        raise CheckpointError(
            f"{len(problems)} tensors do not fit the checkpoint's config.json:\n"
            + "\n".join(f"  {line}" for line in problems[:LISTED] + more),
            _next_step(shapes, used),
        )
    return {ours: used[name] for ours, name in hub_names.items()}


def hub_name(name: str) -> str:
    """A tensor's name in the hub's new layout, without the `videomae.` prefix.

    Args:
        name: Our name, such as `encoder.blocks.0.mlp.expand.weight`.

    Returns:
        The hub's, such as `encoder.layer.0.intermediate.dense.weight`.
    """
    if name == "decoder.mask_token":
        return "mask_token"
    module, _, parameter = name.rpartition(".")
    block = re.fullmatch(r"(encoder|decoder)\.blocks\.(\d+)\.(.+)", module)
    if block:
        return f"{BLOCKS[block[1]]}.{block[2]}.{BLOCK_MODULES[block[3]]}.{parameter}"
    return f"{MODULES[module]}.{parameter}"


def to_hub(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name a model's tensors as the hub's checkpoints do, in the old layout.

    Every version of transformers reads the old layout, only those since 5 read the new one.

    Args:
        state: Under our names.

    Returns:
        Copies on the CPU, contiguous. The encoder's names have the `videomae.` prefix when there
        is another part besides.
    """
    prefix = "" if all(name.startswith("encoder.") for name in state) else PREFIX
    return {
        (prefix if name.startswith("encoder.") else "")
        + _old_layout(hub_name(name)): tensor.detach().cpu().contiguous()
        for name, tensor in state.items()
    }


def read_pickle(path: Path) -> Any:
    """Read what `torch.save` wrote, tensors and plain values only, and run no code from it.

    Args:
        path: The file.

    Returns:
        What was saved, its tensors on the CPU.

    Raises:
        CheckpointError: The file is cut off, or no PyTorch file, or would run code.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # Any: a damaged pickle makes the unpickler stumble over whatever comes.
        if "Weights only load failed" in str(error):
            raise unreadable(path, "it is no PyTorch file, or holds more than tensors") from error
        raise unreadable(path, f"it is no whole PyTorch file: {error}") from error


def holds_tensors(stored: object) -> bool:
    """Whether this is a dict of named tensors and nothing else."""
    return isinstance(stored, dict) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in stored.items()
    )


def unreadable(path: Path, problem: str) -> CheckpointError:
    """The error of a weights file that cannot be used."""
    return CheckpointError(f"{path} cannot be used: {problem}", "Fetch the checkpoint anew.")


def _next_step(shapes: Mapping[str, torch.Size], tensors: Mapping[str, Tensor]) -> str:
    missing = {ours for ours in shapes if hub_name(ours) not in tensors}
    encoder_is_whole = not any(name.startswith("encoder.") for name in missing)
    if missing and encoder_is_whole:
        return (
            "Where a new part is to be trained on a loaded encoder, make the model of a config and "
            "copy the encoder: model.encoder.load_state_dict(loaded.encoder.state_dict())."
        )
    return "Take config.json and weights from the same checkpoint."


def _misfits(tensors: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> list[str]:
    missing = [
        f"missing: {_either_layout(name)} {tuple(shapes[name])}"
        for name in shapes.keys() - tensors.keys()
    ]
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
    name = name.removeprefix(PREFIX)
    for old, new in OLD_BIASES.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def _old_layout(name: str) -> str:
    for old, new in OLD_BIASES.items():
        if name.endswith(new):
            return name.removesuffix(new) + old
    return name


def _either_layout(name: str) -> str:
    """A name as files of both layouts have it."""
    old = _old_layout(name)
    return name if old == name else f"{name}, or {old.rpartition('.')[2]} in the old layout,"


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        # Copied: the file is mapped, and may be overwritten while the model is in use.
        return {name: tensor.clone() for name, tensor in load_file(path).items()}
    except (SafetensorError, OSError) as error:
        raise unreadable(path, f"it is no whole safetensors file: {error}") from error


def _read_bin(path: Path) -> dict[str, Tensor]:
    stored = read_pickle(path)
    if not holds_tensors(stored):
        raise unreadable(path, "it holds something else than named tensors")
    return dict(stored)
