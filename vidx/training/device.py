"""Where training computes, and what becomes of it when memory runs out there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from vidx.embedder.inference.devices import find_device, is_out_of_memory
from vidx.errors import DeviceError, UsageError

DEVICES = ("cpu", "cuda")


def training_device(name: str | None) -> torch.device:
    """Choose a device to train on.

    Args:
        name: `cpu`, `cuda` or `cuda:1`; None takes cuda when there is one, else cpu.

    Returns:
        The device.

    Raises:
        DeviceError: This machine lacks it, or its torch is too old.
        UsageError: It is unknown, or training has not been made for it.
    """
    device = torch.device(find_device(name))
    if device.type not in DEVICES:
        raise UsageError(
            f"training does not run on {name!r}", f"Choose one of {', '.join(DEVICES)}."
        )
    if not hasattr(torch.optim, "Muon"):
        raise DeviceError(
            f"training takes torch 2.9 or later, this is {torch.__version__}",
            "pip install --upgrade torch",
        )
    return device


@contextmanager
def flushing_denormals() -> Iterator[None]:
    """Take numbers next to zero for zero meanwhile, in this thread and those it begins.

    Optimisers' running means decay into such numbers, and CPUs are very slow with them.
    """
    before = sys.float_info.min / 2 == 0.0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


@contextmanager
def telling_full_memory(device: torch.device, way_out: str) -> Iterator[None]:
    """Turn torch's errors of a full memory into ours.

    Args:
        device: Where it may become full.
        way_out: What to do then.

    Raises:
        DeviceError: It became full.
    """
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise DeviceError(f"{device} has no memory for a step of training", way_out) from error
        raise
