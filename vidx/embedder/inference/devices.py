"""Which devices there are, what they can, and how they fail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn.functional import scaled_dot_product_attention

from vidx.embedder.inference.precision import default_dtype
from vidx.embedder.videomae.weights import DTYPES
from vidx.errors import DeviceError, UsageError

# What torch says of a full memory besides: of the host's on Linux and Windows, of a GPU's when
# pinned memory, a context or a graph was asked for, and of libraries' own demands.
FULL_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "CUDA error: out of memory",
    "_STATUS_ALLOC_FAILED",
)
KINDS = ("cpu", "cuda", "mps")


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
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.partition(":")[0] not in KINDS:
        raise UsageError(f"device {name!r} is unknown", f"Choose one of {', '.join(KINDS)}.")
    try:
        (torch.ones(1, device=name) + 1).cpu()  # a kernel, which a GPU too old has not
    except (RuntimeError, AssertionError) as error:
        problem = re.split(r"\n|\. ", str(error))[0]  # torch goes on at length
        raise DeviceError(
            f"device {name!r} is not to be had here: {problem}", "Try --device cpu."
        ) from error
    return name


def find_devices(names: str | None) -> list[str]:
    """See to it that devices are there, which each get a process of their own if they are several.

    Args:
        names: One, as `find_device` takes it, or several of one kind, separated by commas.

    Returns:
        Their names.

    Raises:
        UsageError: There is no such kind, or there are several kinds.
        DeviceError: This machine lacks one of them.
    """
    devices = [name.strip() for name in names.split(",")] if names else [None]
    if len({name.partition(":")[0] for name in devices if name}) > 1:
        raise UsageError(f"{names} are devices of several kinds, which share no work.")
    # Not by using them: some GPUs let one process in only, and that is to be their own.
    numbers = {f"cuda:{number}" for number in range(torch.cuda.device_count())}
    if len(devices) > 1 and numbers.issuperset(devices):
        return [name for name in devices if name]
    return [find_device(name) for name in devices]


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
    """Choose a precision.

    Args:
        name: `float32`, `float16` or `bfloat16`; None is float16 on cuda, bfloat16 on a CPU that
            is quick with it, which may be measured now, and float32 elsewhere.
        device: Where.

    Returns:
        Its name.

    Raises:
        UsageError: There is no such precision.
    """
    check_name(name)
    return default_dtype(device) if name is None else name


def check_name(dtype: str | None) -> None:
    """Refuse a precision that there is not; None leaves it to `find_dtype`.

    Raises:
        UsageError: There is no such precision.
    """
    if dtype is not None and dtype not in DTYPES:
        raise UsageError(f"dtype {dtype!r} is unknown", f"Choose one of {', '.join(DTYPES)}.")


def check_dtype(name: str, device: str) -> None:
    """See to it that a device computes in a precision.

    Raises:
        DeviceError: It does not.
    """
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
        raise DeviceError(f"{device} has no {name}: {first_line(error)}", way_out) from error


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether memory ran out: torch has a class for some cases, and only texts for others."""
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or any(text in str(error) for text in FULL_MEMORY)


@contextmanager
def telling_failure(device: str) -> Iterator[None]:
    """Turn the errors of a device into ours.

    Args:
        device: Such as `cuda:0`. On a CPU, an error other than of memory is a fault of ours.

    Raises:
        DeviceError: Its memory is full, or it failed, or its driver.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise DeviceError(
                f"{device} has no memory for this",
                "Free some of it, or choose a smaller --batch-size, another --device or --dtype.",
            ) from error
        if device.startswith("cpu"):
            raise
        raise device_failed(device, first_line(error)) from error


def first_line(error: BaseException) -> str:
    """What an error says, without its traceback of C++; its name when it says nothing."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


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
