"""A slot is free again when, and only when, nobody can see it any more."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np

from vidx.embedder.workers.ring import Ring, Slots

SHAPE = (2, 3, 4, 3)


def test_a_view_of_a_view_keeps_its_slot() -> None:
    ring = Ring(1, SHAPE)
    slot = ring.take()
    assert slot == 0
    part = ring.array(slot)[1][:, 0]
    assert ring.take() is None
    assert part.shape == (3, 3)
    del part
    assert ring.take() == 0


def test_arrays_outlive_their_ring() -> None:
    ring = Ring(2, SHAPE)
    array = ring.array(ring.take() or 0)
    array[...] = 7
    ring.close()
    del ring
    assert (array == 7).all()


def test_a_child_writes_what_the_parent_reads() -> None:
    ring = Ring(3, SHAPE)
    slots = [ring.take() for _ in range(3)]
    code = (
        "import sys; from vidx.embedder.workers.ring import Slots\n"
        f"slots = Slots(int(sys.argv[1]), 3, {SHAPE})\n"
        "for slot in range(3): slots.array(slot)[...] = 10 + slot"
    )
    subprocess.run([sys.executable, "-c", code, str(ring.fd)], check=True, pass_fds=[ring.fd])
    for slot in slots:
        assert slot is not None
        assert (ring.array(slot) == 10 + slot).all()


def test_no_slots_take_no_memory() -> None:
    ring = Ring(0, SHAPE)
    assert (ring.fd, ring.take()) == (-1, None)


def test_both_sides_see_the_same_bytes() -> None:
    ring = Ring(2, SHAPE)
    slot = ring.take()
    assert slot is not None
    Slots(os.dup(ring.fd), 2, SHAPE).array(slot)[0, 0, 0, 0] = 9
    assert ring.array(slot)[0, 0, 0, 0] == 9
    assert ring.array(slot).dtype == np.uint8
