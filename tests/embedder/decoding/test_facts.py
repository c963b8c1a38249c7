"""Promises of what is told of a clip beside its vector, against plain arithmetic in float64."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vidx.embedder.decoding.events import ClipDecoded, Job
from vidx.embedder.decoding.facts import Sample, clip_facts
from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.pool import decode
from vidx.embedder.decoding.sampling import Plan, Sampling
from vidx.embedder.decoding.video import DecodedClip, decode_clips
from vidx.records import ClipFacts

MakeVideo = Callable[..., Path]
GEOMETRY = FrameGeometry(resize_shortest_edge=32, crop=(32, 32))
SAMPLING = Sampling(num_frames=8, fps=4.0)  # windows of two seconds
TIMES = tuple(number / 4 for number in range(8))


def drawn(seed: int, low: int = 0, high: int = 256) -> NDArray[np.uint8]:
    """A clip of coarse noise."""
    random = np.random.default_rng(seed)
    return random.integers(low, high, (8, 24, 31, 3)).astype(np.uint8)


def measured(frames: NDArray[np.uint8], seconds: tuple[float, ...] = TIMES) -> ClipFacts:
    """The facts of a clip's frames."""
    return clip_facts([Sample(frame.transpose(2, 0, 1)) for frame in frames], seconds)


def luma(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """0 to 1, not rounded."""
    return frames @ np.array([0.299, 0.587, 0.114]) / 255


def laplacian_variance(picture: NDArray[np.int64]) -> float:
    """By the kernel, pixel for pixel."""
    kernel = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
    windows = np.lib.stride_tricks.sliding_window_view(picture, (3, 3))
    return float((windows * kernel).sum(axis=(2, 3)).var())


@pytest.mark.parametrize(("low", "high"), [(0, 256), (0, 12), (250, 256), (100, 101)])
def test_facts_are_what_they_are_defined_to_be(low: int, high: int) -> None:
    frames = drawn(low + high, low, high)
    light = luma(frames)
    facts = measured(frames)
    rounding = 1 / 255
    assert facts.brightness == pytest.approx(light.mean(), abs=rounding)
    assert facts.contrast == pytest.approx(light[::4].std(axis=(1, 2)).mean(), abs=rounding)
    assert facts.motion == pytest.approx(np.abs(np.diff(light, axis=0)).mean(), abs=rounding)
    levels = (frames @ np.array([77, 150, 29]) + 128) // 256
    sharpness = np.mean([laplacian_variance(one) for one in levels[::4]])
    assert facts.sharpness == pytest.approx(sharpness, rel=1e-5)
    assert facts.frame_seconds == TIMES


def test_black_samples_are_counted() -> None:
    frames = drawn(0, 0, 25)
    assert measured(frames).black_share == 1
    frames[:2] = 200
    assert measured(frames).black_share == 6 / 8
    frames[2, :1] = 200  # 4 % of its pixels, as a logo
    assert measured(frames).black_share == 5 / 8


def test_the_brightest_of_black_pictures_is_black() -> None:
    frames = np.full((1, 20, 50, 3), 25, np.uint8)
    frames[0, 0, :20] = 255  # 2 % of its pixels
    assert measured(frames, (0.0,)).black_share == 1
    frames[0, 0, 20] = 26
    assert measured(frames, (0.0,)).black_share == 0


@pytest.mark.parametrize("shape", [(2, 31), (24, 2), (3, 3)])
def test_what_has_no_inner_pixels_has_no_sharpness(shape: tuple[int, int]) -> None:
    frames = drawn(5)[:1, : shape[0], : shape[1]]
    inner = (
        laplacian_variance(((frames[0] @ np.array([77, 150, 29])) + 128) // 256)
        if min(shape) > 2
        else 0
    )
    assert measured(frames, (0.0,)).sharpness == pytest.approx(inner)


def test_only_the_very_same_picture_counts_as_frozen() -> None:
    frames = np.repeat(drawn(1)[:1], 8, axis=0)
    assert measured(frames).frozen_share == 1
    assert measured(frames).motion == 0
    frames[4:, 0, 0, 2] ^= 1  # too little for the luma to change
    facts = measured(frames)
    assert facts.frozen_share == 6 / 7
    assert facts.motion == 0


def test_a_clip_of_one_sample_has_no_motion() -> None:
    facts = measured(drawn(2)[:1], (0.0,))
    assert (facts.motion, facts.frozen_share) == (0, 0)


def test_a_sharp_picture_is_sharper_than_a_smoothed_one() -> None:
    sharp = drawn(3)
    smooth = sum(np.roll(sharp.astype(int), by, axis=2) for by in range(4)) // 4
    blurred = smooth.astype(np.uint8)
    assert measured(sharp).sharpness > 4 * measured(blurred).sharpness


def test_times_are_those_of_the_frames_that_are_shown(
    tmp_path: Path, make_video: MakeVideo
) -> None:
    """Of a slow video: the frame on the screen at a sample's time may be far older."""
    path = make_video(tmp_path / "slow.mp4", times=[0.0, 0.7, 1.0, 1.6, 3.9, 4.0])
    first, *_ = decode_clips(str(path), SAMPLING, Plan(), GEOMETRY)
    assert isinstance(first, DecodedClip)
    assert first.facts.frame_seconds == pytest.approx([0, 0, 0, 0.7, 1.0, 1.0, 1.0, 1.6], abs=0.001)
    same = [one == other for one, other in pairwise(first.facts.frame_seconds)]
    assert first.facts.frozen_share == pytest.approx(sum(same) / 7)


@pytest.mark.parametrize("workers", [0, 1])
def test_facts_come_with_the_clips_from_workers_too(
    tmp_path: Path, make_video: MakeVideo, workers: int
) -> None:
    path = make_video(tmp_path / "a.mp4", seconds=5.0)
    jobs = [Job("a", str(path))]
    events = decode(jobs, sampling=SAMPLING, geometry=GEOMETRY, workers=workers)
    clips = [event for event in events if isinstance(event, ClipDecoded)]
    assert len(clips) == 3
    for clip in clips:
        assert clip.facts == measured(clip.frames, clip.facts.frame_seconds)
