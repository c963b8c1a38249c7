"""Resizing gives Pillow 13's pixels to the bit: every filter, any size to any other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from vidx.embedder.videomae.preprocess import INTERPOLATIONS
from vidx.embedder.videomae.resize import resize

FILTERS = [(name, number) for number, name in INTERPOLATIONS.items()]


def noise(height: int, width: int) -> np.ndarray:
    generator = np.random.default_rng(height * 1000 + width)
    return generator.integers(0, 256, (height, width, 3), dtype=np.uint8)


def assert_equals_pillow(image: np.ndarray, height: int, width: int, name: str, number: int):
    expected = np.asarray(Image.fromarray(image).resize((width, height), number))
    ours = resize(torch.from_numpy(image)[None], height, width, name)
    np.testing.assert_array_equal(ours[0].numpy(), expected)


@pytest.mark.parametrize(("name", "number"), FILTERS)
def test_any_size_to_any_other(name, number) -> None:
    generator = np.random.default_rng(0)
    for _ in range(60):
        old_height, old_width, height, width = (int(n) for n in generator.integers(1, 90, 4))
        assert_equals_pillow(noise(old_height, old_width), height, width, name, number)


@pytest.mark.parametrize("lost_rows", [19, 20, 21, 22])
@pytest.mark.parametrize("lost_columns", [-5, 0, 10])
def test_the_order_of_the_passes_is_pillows(lost_rows, lost_columns) -> None:
    """It turns where the height loses over twice the pixels that the width loses."""
    assert_equals_pillow(noise(60, 40), 60 - lost_rows, 40 - lost_columns, "bicubic", 3)


def test_a_tall_frame_keeping_its_aspect_equals_pillow() -> None:
    assert_equals_pillow(noise(200, 60), 100, 30, "bicubic", 3)


@pytest.mark.parametrize(("name", "number"), FILTERS)
def test_a_frame_of_4k(name, number) -> None:
    assert_equals_pillow(noise(2160, 3840), 56, 99, name, number)


def test_frames_are_resized_each_by_itself() -> None:
    frames = torch.from_numpy(np.stack([noise(30, 40), noise(40, 30).transpose(1, 0, 2)]))
    together = resize(frames, 11, 13, "lanczos")
    alone = [resize(frame[None], 11, 13, "lanczos")[0] for frame in frames]
    assert torch.equal(together, torch.stack(alone))
