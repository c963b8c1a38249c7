"""Promises of decoding one video, against a slow reference that decodes everything."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from vidx.embedder.decoding.container import FileState
from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.sampling import Plan, Sampling, clip_spans, frame_times
from vidx.embedder.decoding.video import DecodedClip, DecodedVideo, decode_clips
from vidx.errors import VideoError
from vidx.records import Clip, Problem, VideoInfo

MakeVideo = Callable[..., Path]
WELL_ROUNDED = Interpolation.BILINEAR | Interpolation.ACCURATE_RND
SMALL = FrameGeometry(resize_shortest_edge=32, crop=(32, 32))
SAMPLING = Sampling(num_frames=4, fps=4.0)  # windows of one second


def decoded(
    path: Path,
    plan: Plan | None = None,
    geometry: FrameGeometry = SMALL,
    sampling: Sampling = SAMPLING,
) -> tuple[dict[Clip, NDArray[np.uint8]], VideoInfo, Problem | None]:
    *clips, video = decode_clips(str(path), sampling, plan or Plan(), geometry)
    assert isinstance(video, DecodedVideo)
    starts = [clip.clip.start_seconds for clip in clips]
    assert starts == sorted(starts)
    frames = {}
    for clip in clips:
        if isinstance(clip, DecodedClip):
            latest = clip.frames
        frames[clip.clip] = latest
    return frames, video.info, video.problem


def failure(path: Path) -> VideoError:
    with pytest.raises(VideoError) as caught:
        decoded(path)
    return caught.value


def reference(
    path: Path,
    sampling: Sampling = SAMPLING,
    plan: Plan | None = None,
    rate: int | None = None,
) -> dict[Clip, NDArray[np.uint8]]:
    """Every frame of a healthy video, at the same size, and the last one by 1 ms after a time.

    With a rate, frames are timed by their number.
    """
    shown: list[tuple[float, NDArray[np.uint8]]] = []
    end = 0.0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        for frame in container.decode(stream):
            assert frame.pts is not None
            time = float(frame.pts * stream.time_base)
            length, nominal = float(frame.duration * stream.time_base), 1 / stream.average_rate
            end = time + (nominal if abs(length - nominal) < 0.001 else length)
            height, width = SMALL.resized(frame.height, frame.width)
            small = frame.reformat(width, height, "gbrp", interpolation=WELL_ROUNDED)
            image = small.to_ndarray()
            top, left = (height - 32) // 2, (width - 32) // 2
            shown.append((time, image[top : top + 32, left : left + 32]))
    times = np.array([time for time, _ in shown]) - shown[0][0]
    if rate:
        times = np.arange(len(shown)) / rate
        end = shown[0][0] + len(shown) / rate
    clips = clip_spans(end - shown[0][0], sampling, plan or Plan())
    return {
        clip: np.stack(
            [
                shown[max(np.searchsorted(times, time + 0.001, "right") - 1, 0)][1]
                for time in frame_times(clip, sampling)
            ]
        )
        for clip in clips
    }


def spans(clips: Iterable[Clip]) -> list[float]:
    return [time for clip in clips for time in (clip.start_seconds, clip.end_seconds)]


def assert_same_clips(
    ours: dict[Clip, NDArray[np.uint8]],
    expected: dict[Clip, NDArray[np.uint8]],
    most_apart: int = 0,
) -> None:
    assert spans(ours) == pytest.approx(spans(expected), abs=0.001)
    for mine, theirs in zip(ours.values(), expected.values(), strict=True):
        assert mine.dtype == np.uint8
        assert np.abs(mine.astype(np.int16) - theirs).max() <= most_apart


KINDS = [
    ("x264.mp4", {"codec": "libx264"}),
    ("b_frames.mp4", {"codec": "libx264", "b_frames": 3}),
    ("b_frames.mkv", {"codec": "libx264", "b_frames": 3}),
    ("b_frames.ts", {"codec": "libx264", "b_frames": 2}),
    ("mpeg4.avi", {"codec": "mpeg4"}),
    ("mpeg2.mpg", {"codec": "mpeg2video"}),
    ("vp9.webm", {"codec": "libvpx-vp9", "seconds": 1.6}),
    ("jpegs.mov", {"codec": "mjpeg"}),
    ("animated.gif", {"codec": "gif"}),
    ("film.mp4", {"fps": 24, "seconds": 2.5}),
    ("short.mp4", {"seconds": 0.6}),
    ("odd_rate.mkv", {"fps": 7, "seconds": 3.3}),
    ("wide.mp4", {"size": (320, 48)}),
    ("tall.mp4", {"size": (48, 320)}),
    ("slow.mp4", {"times": [0, 0.04, 0.1, 0.11, 1.6, 1.7, 2.9, 3.0]}),
]


@pytest.mark.parametrize(("name", "how"), KINDS, ids=[name for name, _ in KINDS])
def test_samples_are_the_last_frames_that_come_by_their_times(
    name: str, how: dict[str, object], make_video: MakeVideo, tmp_path: Path
) -> None:
    path = make_video(tmp_path / name, **how)
    ours, info, problem = decoded(path)
    assert problem is None
    is_cropped = name in ("wide.mp4", "tall.mp4")  # and so resized in part: see test_margins
    assert_same_clips(ours, reference(path), most_apart=int(is_cropped))
    assert info.duration_seconds == pytest.approx(max(c.end_seconds for c in ours), abs=0.001)


@pytest.mark.parametrize("fps", [15, 30, 60])
@pytest.mark.parametrize("extra", [0, 1, 2])
def test_a_container_that_rounds_to_milliseconds_gives_the_same_frames(
    fps: int, extra: int, make_video: MakeVideo, tmp_path: Path
) -> None:
    how = {"fps": fps, "seconds": 2.5 + extra / fps, "size": (48, 32), "codec": "mjpeg"}
    exact = decoded(make_video(tmp_path / "a.mov", **how), sampling=Sampling())[0]
    rounded = decoded(make_video(tmp_path / "a.mkv", **how), sampling=Sampling())[0]
    assert_same_clips(rounded, exact)


LATE_STARTS = [
    ("a.mkv", "libx264"),
    ("a.webm", "libvpx-vp9"),
    ("a.nut", "libx264"),
    ("a.wmv", "wmv2"),
    ("a.flv", "libx264"),
    ("a.mp4", "libx264"),
    ("a.ts", "libx264"),
]


@pytest.mark.parametrize(("name", "codec"), LATE_STARTS)
def test_a_whole_video_that_starts_late_is_whole(
    name: str, codec: str, make_video: MakeVideo, tmp_path: Path
) -> None:
    times = [5 + number / 25 for number in range(75)]
    path = make_video(tmp_path / name, codec=codec, times=times)
    clips, info, problem = decoded(path)
    assert problem is None
    assert len(clips) == 3
    assert info.first_timestamp_seconds == pytest.approx(5, abs=0.1)
    assert info.duration_seconds == pytest.approx(3, abs=0.05)


def test_a_video_that_starts_late_and_is_cut_short_is_truncated(
    make_video: MakeVideo, tmp_path: Path
) -> None:
    path = make_video(tmp_path / "a.mkv", times=[5 + number / 25 for number in range(200)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    _, _, problem = decoded(path)
    assert problem is not None
    assert problem.reason == "truncated"
    assert problem.message.endswith("of 8.000 s are there")


@pytest.mark.parametrize("b_frames", [1, 2])
def test_reordered_frames_in_avi_run_at_its_rate(
    b_frames: int, make_video: MakeVideo, tmp_path: Path
) -> None:
    path = make_video(tmp_path / "a.avi", codec="mpeg4", b_frames=b_frames)
    assert_same_clips(decoded(path)[0], reference(path, rate=25))


def test_overlapping_windows_share_their_frames(make_video: MakeVideo, tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4")
    plan = Plan(stride_seconds=0.3)
    assert_same_clips(decoded(path, plan)[0], reference(path, plan=plan))


@pytest.mark.parametrize(("start", "end"), [(0.5, 1.7), (1.2, 1.6), (2.5, 99.0), (0.0, 1.0)])
def test_a_span_gives_the_clips_within_it(
    start: float, end: float, make_video: MakeVideo, tmp_path: Path
) -> None:
    path = make_video(tmp_path / "a.mp4")
    plan = Plan(start_seconds=start, end_seconds=end)
    assert_same_clips(decoded(path, plan)[0], reference(path, plan=plan))


def test_a_span_after_the_end_is_told_with_the_end(make_video: MakeVideo, tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4")
    with pytest.raises(VideoError, match=r"span_beyond_end: .*ends at 3\.000 s"):
        decoded(path, Plan(start_seconds=30))


def test_a_crop_beyond_the_frame_is_black_there(make_video: MakeVideo, tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", seconds=1.0)
    clips, _, _ = decoded(path, geometry=FrameGeometry(crop=(100, 140)))
    frames = next(iter(clips.values()))
    assert frames.shape == (4, 100, 140, 3)
    assert not frames[:, :2].any()
    assert not frames[:, :, :6].any()
    assert frames[:, 2:98, 6:134].any()


def test_a_stream_without_timestamps_runs_at_its_rate(
    make_video: MakeVideo, tmp_path: Path
) -> None:
    raw = make_video(tmp_path / "a.h264", seconds=2.0)
    same = make_video(tmp_path / "a.mp4", seconds=2.0)
    assert_same_clips(decoded(raw)[0], reference(same))


def test_one_frame_is_a_video(make_video: MakeVideo, tmp_path: Path) -> None:
    for name, codec in [("a.mp4", "libx264"), ("a.gif", "gif"), ("a.h264", "libx264")]:
        path = make_video(tmp_path / name, codec=codec, fps=25, seconds=0.04)
        clips, info, problem = decoded(path)
        assert problem is None
        assert len(clips) == 1
        frames = next(iter(clips.values()))
        assert (frames == frames[0]).all()
        assert 0 < info.duration_seconds <= 0.1


def test_a_duration_that_the_packets_do_not_tell_costs_no_clip(
    make_video: MakeVideo, tmp_path: Path
) -> None:
    parts = [make_video(tmp_path / f"{n}.ts", seconds=2.3, seed=n) for n in range(2)]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    clips, info, problem = decoded(joined)
    assert problem is None
    assert info.duration_seconds == pytest.approx(4.6, abs=0.05)
    ends = [round(clip.end_seconds, 2) for clip in clips]
    assert ends == [1, 2, 3, 4, round(info.duration_seconds, 2)]


def test_a_change_of_size_in_the_middle_is_followed(make_video: MakeVideo, tmp_path: Path) -> None:
    one = make_video(tmp_path / "1.ts", size=(128, 96))
    two = make_video(tmp_path / "2.ts", size=(96, 160))
    joined = tmp_path / "joined.ts"
    joined.write_bytes(one.read_bytes() + two.read_bytes())
    clips, info, problem = decoded(joined)
    assert problem is None
    assert (info.width, info.height) == (128, 96)
    last = decoded(two)[0]
    difference = list(clips.values())[-1].astype(int) - list(last.values())[-1]
    assert np.abs(difference).mean() < 8


def test_a_file_cut_short_keeps_its_good_clips(make_video: MakeVideo, tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", seconds=8.0)
    whole = decoded(path)[0]
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 5 // 8])
    clips, info, problem = decoded(path)
    assert problem is not None
    assert problem.reason == "truncated"
    assert 4 < info.duration_seconds < 6
    for clip in list(clips)[:4]:
        np.testing.assert_array_equal(clips[clip], whole[clip])


def test_an_mp4_that_lost_its_index_is_truncated(make_video: MakeVideo, tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert failure(path).reason == "truncated"


def test_damage_costs_the_clips_it_falls_in_and_no_others(
    make_video: MakeVideo, tmp_path: Path
) -> None:
    path = make_video(tmp_path / "a.mp4", seconds=5.0, gop=25, size=(256, 192))
    whole = decoded(path)[0]
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
    data = bytearray(path.read_bytes())
    for packet in packets[60:65]:  # of 2.4 s to 2.6 s
        data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path.write_bytes(data)
    clips, _, problem = decoded(path)
    assert problem is not None
    assert problem.reason == "decode_error"
    assert "1 of 5 clips" in problem.message
    assert [clip.start_seconds for clip in clips] == [0, 1, 3, 4]
    for clip, frames in clips.items():
        np.testing.assert_array_equal(frames, whole[clip])


def test_the_same_file_gives_the_same_clips_each_time(
    make_video: MakeVideo, tmp_path: Path
) -> None:
    path = make_video(tmp_path / "a.mp4", b_frames=2, seconds=6.0, size=(256, 192))
    data = bytearray(path.read_bytes())
    for position in np.random.default_rng(1).integers(len(data) // 4, len(data) * 3 // 4, 9):
        data[position] ^= 16
    path.write_bytes(data)
    first, *others = [decoded(path) for _ in range(3)]
    for other in others:
        assert (first[1], first[2]) == (other[1], other[2])
        assert_same_clips(first[0], other[0])


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.mp4", b"", "empty_file"),
        ("text.mp4", b"no video here\n" * 99, "not_a_video"),
        ("list.txt", b"ffconcat version 1.0\nfile a.mp4\n", "not_a_video"),
        ("page.ans", b"\x1b[31mhello\x1b[0m\r\n" * 99, "not_a_video"),
        ("list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.ts\n", "not_a_video"),
    ],
)
def test_what_holds_no_pictures_is_named(
    name: str, content: bytes, reason: str, make_video: MakeVideo, tmp_path: Path
) -> None:
    make_video(tmp_path / "a.mp4")
    make_video(tmp_path / "a.ts")
    (tmp_path / name).write_bytes(content)
    assert failure(tmp_path / name).reason == reason


def test_sound_alone_has_no_video_stream(
    make_sound: Callable[[Path], Path], tmp_path: Path
) -> None:
    assert failure(make_sound(tmp_path / "a.mkv")).reason == "no_video_stream"


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.mp4"])
def test_a_picture_is_no_video_whatever_its_name(name: str, tmp_path: Path) -> None:
    picture = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
    picture.save(str(tmp_path / "a.png"))
    (tmp_path / "a.png").rename(tmp_path / name)
    assert failure(tmp_path / name).reason == "still_image"


def test_a_side_over_16384_pixels_is_too_large(tmp_path: Path) -> None:
    header = b"GIF89a" + (57789).to_bytes(2, "little") + (190).to_bytes(2, "little")
    path = tmp_path / "a.gif"
    path.write_bytes(header + b"\x00\x00\x00" + b"," + bytes(8) + b"\x00\x02\x02L\x01\x00;")
    assert failure(path).reason == "too_large"


def test_what_the_system_does_not_let_be_read_is_unreadable(tmp_path: Path) -> None:
    assert failure(tmp_path / "gone.mp4").reason == "unreadable"
    assert (
        failure(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.mp4"))).reason == "path_not_utf8"
    )


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    assert failure(tmp_path / "pipe.mp4").reason == "not_a_video"


def test_a_file_that_changes_meanwhile_is_void(make_video: MakeVideo, tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4")
    parts = decode_clips(str(path), SAMPLING, Plan(), SMALL)
    next(parts)
    os.utime(path, ns=(0, 0))
    with pytest.raises(VideoError) as caught:
        list(parts)
    assert caught.value.reason == "changed_while_reading"


@pytest.mark.parametrize("content", [b"", b"something else", None])
def test_a_file_that_was_replaced_since_it_was_looked_at_is_void(
    content: bytes | None, make_video: MakeVideo, tmp_path: Path
) -> None:
    path = make_video(tmp_path / "a.mp4", seconds=1.0)
    seen = FileState(path.stat().st_size, path.stat().st_mtime_ns)
    assert len(list(decode_clips(str(path), SAMPLING, Plan(), SMALL, expected=seen))) == 2
    if content is None:
        os.utime(path, ns=(0, 0))
    else:
        path.write_bytes(content)
    with pytest.raises(VideoError) as caught:
        next(decode_clips(str(path), SAMPLING, Plan(), SMALL, expected=seen))
    assert caught.value.reason == "changed_while_reading"


def test_a_file_that_shrinks_meanwhile_is_no_damaged_file(
    make_video: MakeVideo, tmp_path: Path
) -> None:
    path = make_video(tmp_path / "a.mp4", size=(512, 384), seconds=12.0)
    parts = decode_clips(str(path), SAMPLING, Plan(), SMALL)
    next(parts)
    os.truncate(path, 999)
    with pytest.raises(VideoError) as caught:
        list(parts)
    assert caught.value.reason == "changed_while_reading"


@pytest.mark.parametrize("name", ["-x.mp4", "concat:a.mp4", "a b'c\"d\ne.mp4", "日本%03d.mp4"])
def test_no_name_is_taken_for_anything_but_a_file(
    name: str, make_video: MakeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_video(tmp_path / "v.mp4", seconds=1.0).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert len(decoded(Path(name))[0]) == 1


def test_a_query_of_the_beginning_does_not_decode_the_rest(
    make_video: MakeVideo, tmp_path: Path
) -> None:
    path = make_video(tmp_path / "a.mp4", seconds=20.0)
    ticks = [0, 0]
    for number, end in enumerate([1.0, None]):

        def tick(number: int = number) -> None:
            ticks[number] += 1

        list(decode_clips(str(path), SAMPLING, Plan(end_seconds=end), SMALL, tick))
    assert ticks[0] < 0.6 * ticks[1]


def test_decoding_imports_no_torch() -> None:
    code = "import sys, vidx.embedder.decoding.worker; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_good_videos_are_whole_and_equal_the_reference(media: Path) -> None:
    sampling = Sampling()
    names = ["near_duplicates/carphone_pristine.mp4", "chaplin.mp4"]
    paths = [p for p in (media / "good").rglob("*") if p.is_file()]
    chosen = [p for p in paths if any(str(p).endswith(Path(n).name) for n in names)] or paths[:2]
    for path in chosen:
        ours, _, problem = decoded(path, sampling=sampling)
        assert problem is None
        assert_same_clips(ours, reference(path, sampling), most_apart=1)  # resized in part


def test_clips_of_every_good_video_cover_it(media: Path) -> None:
    for path in sorted((media / "good").rglob("*"))[::4]:
        if not path.is_file():
            continue
        clips, info, problem = decoded(path, sampling=Sampling())
        assert problem is None
        assert min(clip.start_seconds for clip in clips) == 0
        assert max(clip.end_seconds for clip in clips) == pytest.approx(
            info.duration_seconds, abs=0.001
        )
        assert all(b.start_seconds <= a.end_seconds + 0.001 for a, b in pairwise(clips))
