"""The precision that a device computes in unless it is told another.

On a CPU with native bfloat16 products, bfloat16 took the lead in all that was measured; but a
virtual machine may claim what it is slow with. So one product is timed, and the result remembered.
"""

from __future__ import annotations

import platform
import time

import torch
from torch import Tensor
from torch.nn.functional import linear

from vidx.cache import read_cache, remember

# Of torch, each true on a CPU with such products; a version that lacks one tells of none.
DETECTIONS = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
CACHE_FILE = "bfloat16-gains.json"
LEAST_GAIN = 1.1  # less is noise, or is lost again outside the products
# A third of a clip's tokens by the first product of the base shape's MLP.
TOKENS, DIM, WIDEST = 512, 768, 3072
ROUNDS = 5


def default_dtype(device: str) -> str:
    """The precision that suits a device.

    Args:
        device: Such as `cuda:0`.

    Returns:
        `float16` on cuda, `bfloat16` on a CPU that is quick with it, else `float32`.
    """
    if device.startswith("cuda"):
        return "float16"
    if device.startswith("cpu") and has_bfloat16_products() and remembered_gain() >= LEAST_GAIN:
        return "bfloat16"
    return "float32"


def has_bfloat16_products() -> bool:
    """Whether this CPU has native products of bfloat16: AVX-512 BF16 or AMX."""
    return any(getattr(torch.cpu, name, bool)() for name in DETECTIONS)


def remembered_gain() -> float:
    """`bfloat16_gain`, measured once for each processor and version of torch."""
    match read_cache(CACHE_FILE).get(cache_key()):
        case float(known):
            return known
    measured = bfloat16_gain()
    remember(CACHE_FILE, cache_key(), measured)
    return measured


def cache_key() -> str:
    """What the gain depends on."""
    told: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return f"{told.get('cpu_name') or platform.processor()}, torch {torch.__version__}"


@torch.inference_mode()
def bfloat16_gain() -> float:
    """How many times faster a product of a model's size is in bfloat16 than in float32.

    Returns:
        The ratio of the least times of some rounds, as others may be at work here too.
    """
    tokens, weight = torch.ones(TOKENS, DIM), torch.ones(WIDEST, DIM)
    pairs = [(tokens.to(dtype), weight.to(dtype)) for dtype in (torch.float32, torch.bfloat16)]
    rounds = [[_seconds(*pair) for pair in pairs] for _ in range(1 + ROUNDS)]
    single, half = (min(times) for times in zip(*rounds[1:], strict=True))  # the first warms up
    gain: float = single / half
    return gain


def _seconds(tokens: Tensor, weight: Tensor) -> float:
    began = time.perf_counter()
    linear(tokens, weight)
    return time.perf_counter() - began
