"""Which devices there are, what they can, and how they fail."""

from __future__ import annotations

import torch
from torch.nn.functional import scaled_dot_product_attention

from vidx.errors import DeviceError, UsageError

KINDS = ("cpu", "cuda", "mps")
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def find_device(name: str | None) -> str:
    """See to it that a device is there.

    Args:
        name: `cpu`, `cuda`, `cuda:1`, `mps`; None takes cuda when there is one, else cpu.

    Returns:
        Its name.

    Raises:
        UsageError: There is no such kind.
        DeviceError: This machine has none.
    """
    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.partition(":")[0] not in KINDS:
        raise UsageError(f"device {name!r} is unknown", f"Choose one of {', '.join(KINDS)}.")
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        problem = str(error).partition("\n")[0]
        raise DeviceError(
            f"device {name!r} is not to be had here: {problem}", "Try --device cpu."
        ) from error
    return name


def every_device(name: str | None) -> str | None:
    """Name all CUDA devices where `cuda` is meant without a number, and there are several.

    Args:
        name: What the user says; None means `cuda` where there is one.

    Returns:
        Such as `cuda:0,cuda:1`; else what came in.
    """
    if name not in (None, "cuda") or torch.cuda.device_count() < 2:
        return name
    return ",".join(f"cuda:{number}" for number in range(torch.cuda.device_count()))


def find_dtype(name: str | None, device: str) -> str:
    """See to it that a device computes in a precision.

    Args:
        name: `float32`, `float16` or `bfloat16`; None is float16 on cuda and float32 elsewhere.
        device: Where.

    Returns:
        Its name.

    Raises:
        UsageError: There is no such precision.
        DeviceError: The device lacks it.
    """
    if name is None:
        return "float16" if device.startswith("cuda") else "float32"
    if name not in DTYPES:
        raise UsageError(f"dtype {name!r} is unknown", f"Choose one of {', '.join(DTYPES)}.")
    _check_dtype(name, device)
    return name


def _check_dtype(name: str, device: str) -> None:
    way_out = "Try --dtype float32."
    # Emulated, it would be slower than float32.
    if name == "bfloat16" and device.startswith("cuda"):
        with torch.cuda.device(device):
            if not torch.cuda.is_bf16_supported(including_emulation=False):
                raise DeviceError(f"{device} has no {name}", way_out)
    try:
        values = torch.ones(1, 1, 8, 8, dtype=DTYPES[name], device=device)
        scaled_dot_product_attention(values, values, values @ values)
    except RuntimeError as error:
        problem = str(error).partition("\n")[0]
        raise DeviceError(f"{device} has no {name}: {problem}", way_out) from error


def is_out_of_memory(error: Exception) -> bool:
    """Whether torch ran out of memory: there is a class for a GPU's, only a text for the host's."""
    return isinstance(error, torch.OutOfMemoryError) or "not enough memory" in str(error)


def no_memory_for_one_clip(device: str) -> DeviceError:
    """The error of a memory that holds no batch of whatever size."""
    return DeviceError(
        f"{device} has no memory for one clip",
        "Free some of it, or choose another --device or --dtype.",
    )


def device_failed(device: str, problem: str) -> DeviceError:
    """The error of a device, driver or process that does not go on."""
    return DeviceError(
        f"{device} failed: {problem}",
        "What is committed is safe. Give the same command again, or choose another --device.",
    )
