"""Which of torch's fused attention kernels computes, in which order of preference.

torch picks by an order of its own, though the kernels' speeds differ much from GPU to GPU. So they
are timed once for each shape, device and precision.
"""

from __future__ import annotations

import logging
import warnings
from contextlib import AbstractContextManager
from inspect import signature
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from vidx.cache import read_cache, remember

if TYPE_CHECKING:
    from vidx.embedder.videomae.config import VideoMAEConfig

# The kernel that writes all scores to memory is not among them: it is never taken in silence.
FUSED = (
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
)
CACHE_FILE = "attention-kernels.json"
TRIAL_CLIPS = 8
TRIALS, CALLS = 5, 4
# Older versions of torch take kernels in an order of their own.
IN_ORDER = {"set_priority": True} if "set_priority" in signature(sdpa_kernel).parameters else {}

logger = logging.getLogger("vidx")


def holding(kernels: list[SDPBackend]) -> AbstractContextManager[None]:
    """Have torch take the first of these kernels that can do what is asked."""
    return sdpa_kernel(kernels, **IN_ORDER)


def fused_attention(
    config: VideoMAEConfig, device: torch.device, dtype: torch.dtype
) -> list[SDPBackend]:
    """The fused kernels that a model can use, the fastest first.

    Args:
        config: The model's shape.
        device: Where; the kernels of a GPU are timed, or known from an earlier time.
        dtype: Precision.

    Returns:
        At least one; where there is no fused kernel for these heads, the unfused one is told of.
    """
    heads = config.num_attention_heads
    width = config.hidden_size // heads
    kernels = list(FUSED)
    if device.type == "cuda":
        with torch.cuda.device(device):
            kernels = _ranked(heads, config.num_tokens, width, device, dtype)
    elif not _works(kernels, torch.zeros(3, 1, heads, 1, width, device=device, dtype=dtype)):
        kernels = []
    if kernels:
        return kernels
    message = "attention will be slow: %s has no fused kernel for heads of %d values in %s"
    logger.warning(message, device, width, dtype)
    return [*FUSED, SDPBackend.MATH]


def kernel_seconds(
    heads: int, tokens: int, width: int, device: torch.device, dtype: torch.dtype, clips: int
) -> dict[SDPBackend, float]:
    """How long attention of a batch takes with each kernel of a GPU that can do it.

    Args:
        heads: Of the model.
        tokens: Of a clip.
        width: Values of a head.
        device: A CUDA device, the current one.
        dtype: Precision.
        clips: In the batch.

    Returns:
        The least of some trials, as another process may be at work there too.
    """
    # As the model has them: views of the one product that gives queries, keys and values.
    qkv = torch.randn(clips, tokens, 3, heads, width, device=device, dtype=dtype)
    parts = qkv.permute(2, 0, 3, 1, 4)  # (3, clips, heads, tokens, width)
    return {
        kernel: min(_seconds(kernel, parts) for _ in range(TRIALS))
        for kernel in FUSED
        if _works([kernel], parts)
    }


def _ranked(
    heads: int, tokens: int, width: int, device: torch.device, dtype: torch.dtype
) -> list[SDPBackend]:
    """A GPU's kernels, the fastest first: measured once, and remembered."""
    key = f"{torch.cuda.get_device_name(device)}, {dtype}, torch {torch.__version__}, "
    key += f"{heads} heads of {width}, {tokens} tokens"
    known = read_cache(CACHE_FILE).get(key)
    by_name = {kernel.name: kernel for kernel in FUSED}
    if isinstance(known, list) and known and by_name.keys() >= set(known):
        return [by_name[name] for name in known]
    seconds = kernel_seconds(heads, tokens, width, device, dtype, TRIAL_CLIPS)
    ranked = sorted(seconds, key=seconds.__getitem__)
    remember(CACHE_FILE, key, [kernel.name for kernel in ranked])
    return ranked


def _works(kernels: list[SDPBackend], parts: Tensor) -> bool:
    try:
        with warnings.catch_warnings(), sdpa_kernel(kernels):
            warnings.simplefilter("ignore")  # why a kernel cannot, at length
            scaled_dot_product_attention(*parts)
    except RuntimeError as error:
        if "No available kernel" not in str(error) and "No viable backend" not in str(error):
            raise
        return False
    return True


def _seconds(kernel: SDPBackend, parts: Tensor) -> float:
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    with sdpa_kernel([kernel]):
        begin.record()
        for _ in range(CALLS):
            scaled_dot_product_attention(*parts)
        end.record()
    end.synchronize()
    seconds: float = begin.elapsed_time(end) / 1000 / CALLS
    return seconds
