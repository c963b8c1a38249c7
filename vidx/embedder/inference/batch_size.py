"""How many clips a CUDA device's memory holds: found once, and remembered."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from vidx.cache import read_cache, remember
from vidx.embedder.inference.devices import no_memory_for_one_clip

if TYPE_CHECKING:
    from vidx.embedder.inference.lean import LeanEncoder

DEFAULT_BATCH_SIZE = 8  # where memory is not the limit, so that results come often
MOST_CLIPS = 128  # by then a device is as busy as it gets, and a batch is 0.3 GB of frames
USED = 0.8  # of the free memory; the rest is for fragments and neighbours
BUFFERS = 3  # of frames, on the device: two that take turns, and a graph's own
TRIAL_CLIPS = 4
CACHE_FILE = "clip-bytes.json"


def fitting_batch_size(encoder: LeanEncoder) -> int:
    """The power of two, at most 128, whose passes fit the device's free memory.

    Args:
        encoder: On a CUDA device.

    Raises:
        DeviceError: Not even one clip fits.
    """
    free = torch.cuda.mem_get_info(encoder.device)[0]
    # What torch keeps for later is as good as free.
    free += torch.cuda.memory_reserved(encoder.device)
    free -= torch.cuda.memory_allocated(encoder.device)
    return batch_size_of(free, remembered_clip_bytes(encoder))


def batch_size_of(free_bytes: int, clip_bytes: int) -> int:
    """The largest power of two that fits, 1 at least.

    >>> batch_size_of(10 << 30, 100 << 20), batch_size_of(80 << 30, 100 << 20), batch_size_of(0, 1)
    (64, 128, 1)
    """
    clips = min(MOST_CLIPS, int(USED * free_bytes / clip_bytes))
    return 1 << int(math.log2(max(1, clips)))


def remembered_clip_bytes(encoder: LeanEncoder) -> int:
    """`clip_bytes`, measured once for each shape, device and precision."""
    config, device = encoder.config, torch.cuda.get_device_name(encoder.device)
    shape = [*encoder.frames_shape, config.tubelet_size, *config.patch_shape]
    shape += [config.hidden_size, config.num_attention_heads, config.num_hidden_layers]
    shape += [config.intermediate_size]
    key = f"{device}, {encoder.dtype}, torch {torch.__version__}, {shape}"
    match read_cache(CACHE_FILE).get(key):
        case int(known) if known > 0:
            return known
    measured = clip_bytes(encoder)
    remember(CACHE_FILE, key, measured)
    return measured


@torch.inference_mode()
def clip_bytes(encoder: LeanEncoder) -> int:
    """Measure the memory that a clip takes in a pass, its frames included.

    Args:
        encoder: On a CUDA device.

    Raises:
        DeviceError: Not even one clip fits.
    """
    taken = 0
    for clips in (1, TRIAL_CLIPS):  # the first pass also takes what libraries keep for good
        before = torch.cuda.memory_allocated(encoder.device)
        torch.cuda.reset_peak_memory_stats(encoder.device)
        try:
            shape = clips, *encoder.frames_shape
            encoder(torch.zeros(shape, dtype=torch.uint8, device=encoder.device))
        except torch.OutOfMemoryError:
            break
        taken = (torch.cuda.max_memory_allocated(encoder.device) - before) // clips
    if not taken:
        raise no_memory_for_one_clip(str(encoder.device))
    return taken + BUFFERS * math.prod(encoder.frames_shape)
