"""Damage done to files, as disks, networks and broadcasts do it, from seeds."""

from __future__ import annotations

import random
from collections.abc import Callable

TS_PACKET = 188


def hole(content: bytes, rng: random.Random) -> bytes:
    """A part in the middle is zeros."""
    start, share = rng.uniform(0.1, 0.7), rng.uniform(0.02, 0.25)
    begin, end = int(len(content) * start), int(len(content) * (start + share))
    return content[:begin] + bytes(end - begin) + content[end:]


def cut(content: bytes, rng: random.Random) -> bytes:
    """The end is missing."""
    return content[: int(len(content) * rng.uniform(0.3, 0.95))]


def burst(content: bytes, rng: random.Random) -> bytes:
    """Packets of a transport stream in a row are lost."""
    return _without(content, rng, rng.randint(2, 200))


def single(content: bytes, rng: random.Random) -> bytes:
    """One packet of a transport stream is lost."""
    return _without(content, rng, 1)


def _without(content: bytes, rng: random.Random, count: int) -> bytes:
    packets = len(content) // TS_PACKET
    first = rng.randrange(packets // 10, packets - count - 20)
    return content[: first * TS_PACKET] + content[(first + count) * TS_PACKET :]


def scattered(content: bytes, rng: random.Random) -> bytes:
    """Single packets of a transport stream are lost, one in 2000; none of the very first."""
    packets = [content[at : at + TS_PACKET] for at in range(0, len(content), TS_PACKET)]
    kept = (one for number, one in enumerate(packets) if number < 100 or rng.random() > 0.0005)
    return b"".join(kept)


Damage = Callable[[bytes, random.Random], bytes]
