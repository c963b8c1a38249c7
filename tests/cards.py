"""Whether there is a graphics card here that decodes."""

from __future__ import annotations

from vidx.embedder.decoding.card import see_decoder
from vidx.errors import DeviceError


def has_card() -> bool:
    try:
        see_decoder("cuda")
    except DeviceError:
        return False
    return True
