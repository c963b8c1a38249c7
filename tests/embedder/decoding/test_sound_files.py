"""No false alarm: whole files of many makes are whole, and jumps of a clock cost nothing."""

from __future__ import annotations

import random
from pathlib import Path

import av
import numpy as np
import pytest
from numbered_videos import Numbered, make, number_in

from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.sampling import Plan, Sampling, frame_times
from vidx.embedder.decoding.video import DecodedClip, DecodedVideo, decode_clips
from vidx.records import VideoInfo

GEOMETRY = FrameGeometry(resize_to=(32, 32))
MAKES = [
    ("mkv", "libx264", "aac"), ("mkv", "mpeg4", "aac"), ("webm", "libvpx", "libopus"),
    ("webm", "libvpx-vp9", "libopus"), ("mp4", "libx264", "aac"), ("mp4", "mpeg4", "aac"),
    ("mov", "libx264", "aac"), ("flv", "libx264", "aac"), ("ts", "libx264", "aac"),
    ("ts", "mpeg2video", "mp2"), ("mpg", "mpeg2video", "mp2"), ("avi", "mpeg4", "mp2"),
    ("avi", "mjpeg", "mp2"), ("nut", "libx264", "aac"),
]  # fmt: skip


def drawn(seed: int) -> tuple[str, Numbered]:
    """A container with all that may be odd about a whole file: lengths, starts, rates, order."""
    rng = random.Random(seed)
    kind, codec, sound = rng.choice(MAKES)
    seconds = rng.uniform(1.0, 5.0)
    has_times = kind in ("mkv", "webm", "mp4", "mov", "flv", "nut")
    times = None
    if has_times and rng.random() < 0.3:
        steps = np.random.default_rng(seed).choice([0.033, 0.05, 0.1, 0.4, 1.5], 40)
        times = [round(float(time), 3) for time in np.concatenate([[0], np.cumsum(steps)])]
    is_h264 = codec == "libx264"
    return f"{seed}.{kind}", Numbered(
        codec=codec,
        sound=sound if rng.random() < 0.7 else None,
        fps=rng.choice([25, 30]),
        seconds=seconds,
        sound_seconds=seconds * rng.choice([0.3, 1.0, 1.0, 2.5]),
        start_seconds=rng.choice([0.0, 0.0, 0.7, 4.0]) if has_times else 0.0,
        times=times,
        gop=rng.choice([1, 12, 60]),
        b_frames=rng.choice([0, 2]) if is_h264 or codec == "mpeg2video" else 0,
        size=(96, 64),
        options=_muxer_options(kind, rng),
    )


def _muxer_options(kind: str, rng: random.Random) -> dict[str, str]:
    fragments = "frag_keyframe+empty_moov+default_base_moof"
    choices = {
        "mp4": [{}, {"movflags": "faststart"}, {"movflags": fragments}],
        "mov": [{}, {"movflags": "faststart"}],
        "mkv": [{}, {"live": "1"}],
        "flv": [{}, {"flvflags": "no_duration_filesize"}],
    }
    return rng.choice(choices.get(kind, [{}]))


@pytest.mark.parametrize(
    "seed", [*range(16), *(pytest.param(n, marks=pytest.mark.long) for n in range(16, 216))]
)
def test_a_whole_file_is_whole(seed: int, tmp_path: Path) -> None:
    name, how = drawn(seed)
    _, info = whole(make(tmp_path / name, how))
    shown = how.shown()
    assert info.duration_seconds >= shown[-1] - 0.01


def whole(path: Path) -> tuple[list[DecodedClip], VideoInfo]:
    *clips, video = decode_clips(str(path), Sampling(), Plan(), GEOMETRY)
    assert isinstance(video, DecodedVideo)
    assert video.problem is None
    return [clip for clip in clips if isinstance(clip, DecodedClip)], video.info


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(n, marks=pytest.mark.long) for n in range(2, 22))]
)
@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("what", ["jump", "strays"])
def test_a_clock_that_jumps_or_strays_costs_nothing(
    what: str, kind: str, seed: int, tmp_path: Path
) -> None:
    rng = random.Random(f"{what} {kind} {seed}")
    path = make(tmp_path / f"even.{kind}", Numbered(size=(96, 64), seconds=8.0))
    jump = rng.uniform(4000, 9000) if kind != "ts" else rng.uniform(11, 9000)
    at = rng.randrange(40, 200)
    strays = {at, at + 1} if rng.random() < 0.5 else {at}
    change = dict.fromkeys(range(at, 240) if what == "jump" else strays, jump)
    odd = remuxed(path, tmp_path / f"odd.{kind}", change)
    clips, info = whole(odd)
    assert info.duration_seconds == pytest.approx(8.0, abs=0.1)
    assert info.notes
    for clip in clips:
        expected = [int((time + 0.002) * 30) for time in frame_times(clip.clip, Sampling())]
        assert [number_in(frame) for frame in clip.frames] == expected


def remuxed(source: Path, target: Path, change: dict[int, float]) -> Path:
    """Copy a video's packets, some of them later by so many seconds."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        packets = [packet for packet in old.demux(video=0) if packet.size]
        is_jump = len(change) > 2
        for number, packet in enumerate(packets):
            later = round(change.get(number, 0.0) / packet.time_base)
            packet.pts += later
            packet.dts += later if is_jump else 0
            packet.stream = stream
            new.mux(packet)
    return target
