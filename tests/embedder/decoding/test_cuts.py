"""A cut is told from motion, from stillness and from a fade."""

from __future__ import annotations

import numpy as np
from made_videos import picture
from numpy.typing import NDArray

from vidx.embedder.decoding.cuts import holds_cut


def shot(seed: int, count: int, step: float = 0.04) -> NDArray[np.uint8]:
    return np.stack([picture(seed, number * step, (96, 96)) for number in range(count)])


def test_a_change_of_everything_is_a_cut_wherever_it_is() -> None:
    for place in range(1, 16):
        frames = np.concatenate([shot(1, place), shot(2, 16 - place)])
        assert holds_cut(frames), place


def test_two_cuts_are_cuts() -> None:
    assert holds_cut(np.concatenate([shot(1, 5), shot(2, 5), shot(3, 6)]))


def test_motion_stillness_and_fades_are_no_cuts() -> None:
    for seed in range(10):
        assert not holds_cut(shot(seed, 16))
    still = np.repeat(shot(1, 1), 16, axis=0)
    assert not holds_cut(still)
    parts = np.linspace(0, 1, 16)[:, None, None, None]
    assert not holds_cut((still * (1 - parts) + shot(2, 1) * parts).astype(np.uint8))


def test_what_has_hardly_a_frame_shows_no_cut() -> None:
    assert not holds_cut(np.concatenate([shot(1, 1), shot(2, 1)]))
