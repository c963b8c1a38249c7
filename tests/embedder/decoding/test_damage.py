"""What was damaged is told and never stored; what was not is kept; and times never shift.

Every frame of these videos shows its number, and the undamaged file says how each should look.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
from damaged_videos import Damage, burst, cut, hole, scattered, single
from numbered_videos import Numbered, make, number_in
from numpy.typing import NDArray

from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.sampling import Plan, Sampling, clip_spans, frame_times
from vidx.embedder.decoding.video import DecodedClip, DecodedVideo, RepeatedClip, decode_clips
from vidx.errors import VideoError
from vidx.records import Clip, Problem

SIDE = 32
SAMPLING = Sampling()
SECONDS, FPS, GOP = 10.0, 30, 30
VISIBLE = 3.0  # grey levels, on average over a picture
KINDS = {
    "a.mkv": Numbered(sound="aac"),
    "b.mkv": Numbered(sound="aac", b_frames=2),
    "mute.mkv": Numbered(),
    "live.mkv": Numbered(sound="aac", options={"live": "1"}),
    "mpeg4.mkv": Numbered(codec="mpeg4", sound="aac"),
    "vp8.webm": Numbered(codec="libvpx", sound="libopus"),
    "vp9.webm": Numbered(codec="libvpx-vp9", sound="libopus"),
    "a.flv": Numbered(sound="aac"),
    "b.flv": Numbered(sound="aac", b_frames=2),
    "fragments.mp4": Numbered(sound="aac", options={"movflags": "frag_keyframe+empty_moov"}),
    "faststart.mp4": Numbered(sound="aac", options={"movflags": "faststart"}),
    "mpeg4.avi": Numbered(codec="mpeg4", sound="mp2"),
    "jpegs.avi": Numbered(codec="mjpeg", sound="mp2"),
    "a.ts": Numbered(sound="aac"),
    "b.ts": Numbered(sound="aac", b_frames=2),
    "mpeg2.ts": Numbered(codec="mpeg2video", sound="mp2", b_frames=2),
}
STREAMS = ("a.ts", "b.ts", "mpeg2.ts")
PAIRS = [(name, damage) for damage in (hole, cut) for name in KINDS] + [
    (name, damage) for damage in (single, burst, scattered) for name in STREAMS
]
# Every sixteenth one in the short tests.
CASES = [
    pytest.param(*pair, marks=[pytest.mark.long] if place % 16 else [])
    for place, pair in enumerate(PAIRS)
]
LONG_SEEDS = [pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 5)]


class Original:
    """An undamaged video, its frames by number, and when each is shown."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.frames = {number_in(frame): frame for _, frame in every_frame(path)}
        assert len(self.frames) == SECONDS * FPS
        times = np.arange(SECONDS * FPS) / FPS
        if path.suffix != ".avi":  # which has no times, but a rate
            times = np.array([time for time, _ in every_frame(path)])
        self.times = times - times[0]

    def numbers(self, clip: Clip) -> list[int]:
        """The frames that a clip is made of."""
        shown = np.searchsorted(self.times, frame_times(clip, SAMPLING) + 0.001, "right") - 1
        return [int(number) for number in shown]


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Original]:
    folder = tmp_path_factory.mktemp("originals")
    return cache(lambda name: Original(make(folder / name, KINDS[name])))


def every_frame(path: Path) -> list[tuple[float, NDArray[np.uint8]]]:
    """Whatever FFmpeg makes of a file, without any of our care: times and pictures."""
    frames = []
    with av.open(str(path), options={"resync_size": "100000000"}) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
                decoded = stream.codec_context.decode(packet if packet.size else None)
            except (StopIteration, IndexError):
                return frames
            except av.error.FFmpegError:
                continue
            frames += [(frame.time or 0.0, small(frame)) for frame in decoded]


def small(frame: av.VideoFrame) -> NDArray[np.uint8]:
    rgb = frame.reformat(format="rgb24")
    return rgb.reformat(SIDE, SIDE, "gbrp", interpolation="BILINEAR").to_ndarray()


def decoded(path: Path) -> tuple[dict[Clip, NDArray[np.uint8]], float, Problem | None]:
    """The clips of a file, its duration, and what is said to be wrong with it."""
    geometry = FrameGeometry(resize_to=(SIDE, SIDE))
    clips, duration = {}, 0.0
    try:
        for part in decode_clips(str(path), SAMPLING, Plan(), geometry):
            if isinstance(part, DecodedClip):
                clips[part.clip] = latest = part.frames
            elif isinstance(part, RepeatedClip):
                clips[part.clip] = latest
            else:
                assert isinstance(part, DecodedVideo)
                duration, problem = part.info.duration_seconds, part.problem
    except VideoError as error:
        return {}, 0.0, Problem(error.reason, error.message)
    return clips, duration, problem


def differs(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(int) - other).mean())


def intact(whole: Original, damaged: Path) -> set[int]:
    """Frames that come out right with all before them from their key frame on, and a few after."""
    right = {
        number
        for _, frame in every_frame(damaged)
        if (number := number_in(frame)) in whole.frames
        and differs(frame, whole.frames[number]) == 0
    }
    return {
        number
        for number in right
        if right.issuperset(range(number // GOP * GOP, min(number + 4, len(whole.frames))))
    }


@pytest.mark.parametrize(("name", "damage"), CASES, ids=lambda one: getattr(one, "__name__", one))
@pytest.mark.parametrize("seed", [0, *LONG_SEEDS])
def test_damage_is_told_and_costs_what_it_touches_and_nothing_else(
    name: str, damage: Damage, seed: int, original: Callable[[str], Original], tmp_path: Path
) -> None:
    whole = original(name)
    damaged = tmp_path / name
    damaged.write_bytes(damage(whole.path.read_bytes(), random.Random(f"{name} {seed}")))
    clips, duration, problem = decoded(damaged)

    for clip, frames in clips.items():
        for number, frame in zip(whole.numbers(clip), frames, strict=True):
            assert differs(frame, whole.frames[number]) < VISIBLE, (clip, number)

    kept = intact(whole, damaged)
    for clip in clip_spans(SECONDS, SAMPLING, Plan()):
        is_there = clip.end_seconds <= duration and kept.issuperset(whole.numbers(clip))
        assert clip in {near(clip, one) for one in clips} or not is_there

    assert problem is not None or damage is not cut
    if damage is cut:
        assert problem.reason == "truncated"
        assert 0.2 * SECONDS < duration < SECONDS
    if damage is hole:
        assert problem is not None
        # A hole in the index of a fragment hides the rest.
        is_full = duration == pytest.approx(SECONDS, abs=0.1)
        assert is_full or not clips or (name, problem.reason) == ("fragments.mp4", "truncated")
    if damage is not cut:
        spans = clip_spans(SECONDS, SAMPLING, Plan())
        assert problem is not None or kept.issuperset(n for s in spans for n in whole.numbers(s))


def near(clip: Clip, other: Clip) -> Clip:
    """The clip itself where another has its span but for rounding."""
    is_same = abs(clip.start_seconds - other.start_seconds) < 0.03
    return clip if is_same and abs(clip.end_seconds - other.end_seconds) < 0.03 else other
