"""Clips cut out of videos: exactly the pictures of the span, copied where that is exact."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from made_videos import picture

from vidx.embedder.decoding.container import file_state
from vidx.embedder.trimming.messages import TrimmedClip, TrimTask
from vidx.embedder.trimming.trim import trim
from vidx.embedder.trimming.trimmer import Trimmer
from vidx.errors import VideoError
from vidx.records import Clip

SIZE = (128, 96)


def cut(path: Path, *clips: tuple[float, float], is_upright: bool = True) -> list[TrimmedClip]:
    spans = {number: Clip(*span) for number, span in enumerate(clips)}
    task = TrimTask(str(path), file_state(str(path)), spans, is_upright)
    return sorted(trim(task, lambda: None), key=lambda one: one.number)


def pictures(data: bytes) -> Iterator[tuple[float, float, np.ndarray]]:
    """Start, end and pixels of each picture of a file, as a player shows them."""
    with av.open(io.BytesIO(data)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        for frame in container.decode(video=0):
            start, long = float(frame.pts * frame.time_base), frame.duration * frame.time_base
            yield start, start + float(long), frame.to_ndarray(format="rgb24")


def assert_shows(clip: TrimmedClip, video: Path, first: int, end: int) -> None:
    """A clip shows these pictures of a video, and no others: each is nearer than its neighbours."""
    source = [pixels.astype(int) for _, _, pixels in pictures(video.read_bytes())]
    found = [pixels for _, _, pixels in pictures(clip.data)]
    assert len(found) == end - first
    for number, pixels in enumerate(found, start=first):
        near = {other: source[other] for other in range(number - 1, number + 2) if other < 75}
        errors = {other: np.abs(pixels - one).mean() for other, one in near.items() if other >= 0}
        assert min(errors, key=errors.__getitem__) == number
        assert errors[number] == 0 if clip.is_copy else errors[number] < 5


@pytest.mark.parametrize("b_frames", [0, 2])
def test_a_clip_within_a_group_is_encoded_with_the_pictures_of_its_span(
    tmp_path: Path, make_video, b_frames: int
) -> None:
    video = make_video(tmp_path / "v.mp4", b_frames=b_frames)
    [clip] = cut(video, (0.8, 1.6))
    assert not clip.is_copy
    assert_shows(clip, video, 20, 40)
    shown = list(pictures(clip.data))
    assert shown[0][0] == 0
    assert shown[-1][1] == pytest.approx(0.8, abs=1e-3)


def test_the_picture_on_the_screen_at_the_start_is_the_first(tmp_path: Path, make_video) -> None:
    video = make_video(tmp_path / "v.mkv", times=[0, 0.5, 1.7, 1.8, 3.0])
    [clip] = cut(video, (1.0, 1.9))
    starts = [start for start, _, _ in pictures(clip.data)]
    assert starts == pytest.approx([0, 0.7, 0.8], abs=1e-3)
    assert list(pictures(clip.data))[-1][1] == pytest.approx(0.9, abs=1e-3)


@pytest.mark.parametrize("is_even", [True, False])
def test_the_file_of_an_encoded_clip_lasts_as_long_as_the_clip(
    tmp_path: Path, make_video, is_even: bool
) -> None:
    """Whatever one asks: the last picture, the stream or the container."""
    steps = np.full(40, 0.1) if is_even else np.random.default_rng(1).uniform(0.02, 0.2, 40)
    video = make_video(tmp_path / "v.mkv", times=[0, *np.cumsum(steps).round(3)])
    for clip, (start, end) in zip(
        cut(video, *(spans := [(0.467, 2.6), (0.51, 2.13), (1.0, 2.57)])), spans, strict=True
    ):
        assert not clip.is_copy
        *_, (_, shown_until, _) = pictures(clip.data)
        with av.open(io.BytesIO(clip.data)) as container:
            [stream] = container.streams
            told = [float(stream.duration * stream.time_base), container.duration / av.time_base]
        assert [shown_until, *told] == pytest.approx([end - start] * 3, abs=2e-3)


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv"])
def test_a_whole_group_is_copied_and_not_encoded_anew(tmp_path: Path, make_video, name) -> None:
    video = make_video(tmp_path / name, gop=10)
    clips = cut(video, (0.4, 1.2), (0.4, 1.0), (0.48, 1.2), (2.4, 3.0))
    assert [clip.is_copy for clip in clips] == [True, True, False, True]
    with av.open(str(video)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    with av.open(io.BytesIO(clips[0].data)) as container:
        copied = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    assert copied == packets[10:30]
    assert_shows(clips[0], video, 10, 30)
    assert_shows(clips[1], video, 10, 25)
    assert_shows(clips[2], video, 12, 30)
    assert_shows(clips[3], video, 60, 75)
    assert list(pictures(clips[0].data))[-1][1] == pytest.approx(0.8, abs=1e-3)


def test_reordered_pictures_are_copied_only_where_none_is_torn_apart(
    tmp_path: Path, make_video
) -> None:
    video = make_video(tmp_path / "v.mp4", gop=10, b_frames=2)
    ends = (11, 12, 13, 14, 20, 30)
    clips = cut(video, *((0.4, end / 25) for end in ends))
    assert {clip.is_copy for clip in clips} == {True, False}
    for clip, end in zip(clips, ends, strict=True):
        assert_shows(clip, video, 10, end)
        assert next(iter(pictures(clip.data)))[0] == 0


def test_overlapping_clips_come_of_one_pass(tmp_path: Path, make_video) -> None:
    video = make_video(tmp_path / "v.mp4")
    clips = cut(video, (1.0, 2.0), (0.2, 1.2), (0.2, 3.0), (2.9, 3.0))
    # At 2.9 seconds the picture of 2.88 is on the screen.
    for clip, (first, end) in zip(clips, ((25, 50), (5, 30), (5, 75), (72, 75)), strict=True):
        assert_shows(clip, video, first, end)


def test_a_file_without_times_is_cut_by_the_clock(tmp_path: Path, make_video) -> None:
    video = make_video(tmp_path / "v.avi", codec="mpeg4")
    clips = cut(video, (0.8, 1.6), (2.6, 3.0))
    assert_shows(clips[0], video, 20, 40)
    assert_shows(clips[1], video, 65, 75)


def test_a_turned_video_is_shown_upright(tmp_path: Path, make_video) -> None:
    video = make_video(tmp_path / "v.mp4", rotation=90, gop=10)
    [clip] = cut(video, (0.4, 0.8), is_upright=False)
    assert not clip.is_copy
    [_, _, pixels], *_ = pictures(clip.data)
    assert pixels.shape == (128, 96, 3)
    expected = np.rot90(picture(0, 0.4, SIZE), -1)
    assert np.abs(pixels.astype(int) - expected).mean() < 20


def test_odd_sizes_lose_a_line(tmp_path: Path, make_video) -> None:
    video = make_video(tmp_path / "v.avi", codec="ffv1", size=(65, 47), seconds=1.0)
    [clip] = cut(video, (0.0, 0.4))
    assert next(iter(pictures(clip.data)))[2].shape == (46, 64, 3)


def test_a_process_cuts_and_a_broken_file_costs_itself_alone(tmp_path: Path, make_video) -> None:
    video, broken = make_video(tmp_path / "v.mp4"), tmp_path / "broken.mp4"
    broken.write_bytes(b"no video" * 100)
    trimmer, span = Trimmer(), {7: Clip(0.8, 1.6)}
    try:
        for path in (video, broken, video):
            state = file_state(str(path))
            clips = trimmer.trim(str(path), state, span, is_upright=True)
            if path == broken:
                with pytest.raises(VideoError, match="not_a_video"):
                    list(clips)
            else:
                [clip] = clips
                assert (clip.number, len(list(pictures(clip.data)))) == (7, 20)
        changed = file_state(str(broken))
        with pytest.raises(VideoError, match="changed"):
            list(trimmer.trim(str(video), changed, span, is_upright=True))
    finally:
        trimmer.close()


def test_colours_are_those_of_the_source_whatever_range_they_are_in(
    tmp_path: Path, make_video
) -> None:
    """Motion JPEG has the full range, which a player must be told of."""
    video = make_video(tmp_path / "v.avi", codec="mjpeg", seconds=1.0)
    [clip] = cut(video, (0.2, 0.6))
    source = [pixels.astype(int) for _, _, pixels in pictures(video.read_bytes())][5:15]
    for one, (_, _, pixels) in zip(source, pictures(clip.data), strict=True):
        assert abs(pixels.mean() - one.mean()) < 1
