"""Promises of decoding no more than is needed: never another frame, and less work."""

import json
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import av
import av.logging
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from numpy.typing import NDArray

from tests.numbered_videos import Numbered, make, number_in
from vidx.embedder.decoding.av1 import is_reference, sequence_of
from vidx.embedder.decoding.container import opened
from vidx.embedder.decoding.feeder import Feeder
from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.pictures import picture
from vidx.embedder.decoding.sampling import Plan, Sampling, clip_spans, frame_times
from vidx.embedder.decoding.survey import survey
from vidx.embedder.decoding.timetable import Timetable
from vidx.embedder.decoding.video import DecodedClip, DecodedVideo, Part, RepeatedClip, decode_clips
from vidx.errors import UsageError
from vidx.records import Span

KINETICS = Sampling()
CUTS = (
    (KINETICS, Plan()),
    (Sampling(8, 1.0), Plan()),  # sparse
    (KINETICS, Plan(stride_seconds=5.3)),
    (Sampling(4, 29.0), Plan(stride_seconds=1.7)),
    (KINETICS, Plan(start_seconds=1.3, end_seconds=6.2)),
    (KINETICS, Plan.of_spans(None, [Span(0.9, 1.4), Span(1.4, 4.6), Span(5.1, None)])),
)
CODECS = ("libx264", "libx265", "mpeg4", "mpeg2video", "libvpx-vp9", "libsvtav1", "mjpeg")


def made(path: Path, how: Numbered) -> Path:
    """A video; of AV1 by a process of its own, as its encoder makes all it can real-time."""
    if how.codec != "libsvtav1":
        return make(path, how)
    process = get_context("spawn").Process(target=make, args=(path, how))
    process.start()
    process.join()
    assert process.exitcode == 0
    return path


def numbers(path: Path, sampling: Sampling, plan: Plan, geometry: FrameGeometry, read) -> list:
    """Each clip's start with the numbers that its frames show."""
    *clips, _ = with_pixels(decode_clips(str(path), sampling, plan, geometry))
    return [(clip.clip, [read(frame) for frame in clip.frames]) for clip in clips]


def with_pixels(parts: Iterable[Part]) -> Iterator[DecodedClip | DecodedVideo]:
    """What was decoded, with the pixels of clips that repeat the one before."""
    frames = None
    for part in parts:
        if isinstance(part, RepeatedClip):
            yield DecodedClip(part.clip, part.facts, frames, part.info)
            continue
        frames = getattr(part, "frames", None)
        yield part


def due(times: NDArray[np.float64], end: float, sampling: Sampling, plan: Plan) -> list:
    """The same, of the frames that are on the screen, by their true times."""
    clips = clip_spans(end, sampling, plan)
    places = [
        np.searchsorted(times, frame_times(clip, sampling) + 0.001, "right") - 1 for clip in clips
    ]
    return [(clip, np.maximum(at, 0).tolist()) for clip, at in zip(clips, places, strict=True)]


@pytest.fixture
def fed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the packets that were decoded."""
    seen: list[int] = []
    feed = Feeder.feed

    def watched(self, packet, handed):
        if packet is not None:
            seen.append(handed.number)
        return feed(self, packet, handed)

    monkeypatch.setattr(Feeder, "feed", watched)
    return seen


def random_videos(count: int, seed: int) -> Iterator[tuple[str, Numbered]]:
    """Videos of random codecs, rates, groups of pictures, and gaps."""
    draw = random.Random(seed)
    for number in range(count):
        codec = CODECS[number % len(CODECS)]
        fps = draw.choice([10, 24, 25, 30, 50])
        times = [0.0]
        while len(times) < 160:
            gap = draw.choice([0.4, 1.5]) if draw.random() < 0.02 else 0.0
            times.append(times[-1] + 1 / fps + gap)
        is_uneven = draw.random() < 0.5
        yield (
            "mkv" if is_uneven else draw.choice(["mp4", "mkv"]),
            Numbered(
                codec=codec,
                fps=fps,
                seconds=160 / fps,
                times=times if is_uneven and codec not in ("mpeg2video", "mpeg4") else None,
                gop=draw.choice([1, 3, 12, 48, 250]),
                b_frames=draw.choice([0, 1, 2, 3]) if codec not in ("mjpeg", "libsvtav1") else 0,
                size=(64, 64),
                seed=number,
            ),
        )


def check_random_videos(count: int, seed: int, folder: Path) -> int:
    """Hold what is decoded against the truth; how many samples that were."""
    samples = 0
    whole = FrameGeometry(resize_to=(64, 64))
    for ending, how in random_videos(count, seed):
        path = made(folder / f"{seed}-{how.seed}.{ending}", how)
        times = np.array(how.shown())
        *_, video = decode_clips(str(path), KINETICS, Plan(), whole)
        for sampling, plan in CUTS:
            if plan.start_seconds >= video.info.duration_seconds:
                continue
            found = numbers(path, sampling, plan, whole, number_in)
            assert found == due(times, video.info.duration_seconds, sampling, plan), (how, plan)
            samples += sum(len(shown) for _, shown in found)
        path.unlink()
    return samples


def test_each_sample_is_the_frame_that_was_on_the_screen(tmp_path: Path) -> None:
    assert check_random_videos(14, 0, tmp_path) > 2000


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 11))
def test_each_sample_of_hundreds_of_videos_is_the_frame_that_was_on_the_screen(
    seed: int, tmp_path: Path
) -> None:
    assert check_random_videos(35, seed, tmp_path) > 5000


def timeline_number(frame: NDArray[np.uint8]) -> int:
    """The sixteen squares along the top."""
    row = frame[2:6, : 16 * 8].mean(axis=(0, 2)).reshape(16, 8)[:, 2:6].mean(axis=1)
    return sum(int(square > 127) << place for place, square in enumerate(row))


@pytest.mark.parametrize("name", [
    "av1.mp4", "bpyramid_ref.mp4", "gap_30s.mkv", "hevc_gop3.mp4", "mpeg2_ts.ts",
    "negative_start.mkv", "one_a_minute.mp4", "open_gop_5994.mp4", "avi_bframes_no_pts.avi",
])  # fmt: skip
def test_the_timelines_are_told_truly(name: str, media: Path) -> None:
    folder = media / "timelines"
    if not (folder / name).exists():
        pytest.skip(f"no {name} in {folder}")
    times = np.array(json.loads((folder / "truth.json").read_text())[name])
    as_it_is = FrameGeometry(resize_to=(120, 160))
    *_, video = decode_clips(str(folder / name), KINETICS, Plan(), as_it_is)
    assert isinstance(video, DecodedVideo)
    for sampling, plan in CUTS:
        try:
            found = numbers(folder / name, sampling, plan, as_it_is, timeline_number)
        except UsageError:  # too short for the span
            continue
        for clip, shown in found:
            wanted = frame_times(clip, sampling)
            early = np.searchsorted(times, wanted - 0.001, "right") - 1
            late = np.searchsorted(times, wanted + 0.0015, "right") - 1
            assert all(
                low <= number <= high for low, number, high in zip(early, shown, late, strict=True)
            ), (name, sampling, plan, clip)


@pytest.mark.parametrize(
    ("codec", "b_frames", "gop", "sampling", "most"),
    [
        ("libx264", 2, 30, KINETICS, 0.76),  # a third of the pictures are no references
        ("libx264", 0, 30, Sampling(8, 1.0), 0.2),  # the rest of a group is not decoded
        ("mjpeg", 0, 1, KINETICS, 0.3),  # each picture stands alone
        ("libvpx-vp9", 0, 30, Sampling(8, 1.0), 0.2),
        ("mpeg4", 0, 30, Sampling(8, 1.0), 0.2),
        ("libsvtav1", 0, 250, KINETICS, 0.85),  # of pairs of leaves one has a packet of its own
    ],
)
def test_what_nobody_samples_is_not_decoded(
    codec, b_frames, gop, sampling, most, fed: list[int], tmp_path: Path
) -> None:
    how = Numbered(codec=codec, b_frames=b_frames, gop=gop, seconds=16.0)
    list(decode_clips(str(made(tmp_path / "a.mkv", how)), sampling, Plan(), FrameGeometry(32)))
    assert len(fed) == len(set(fed))
    assert 0 < len(fed) <= most * how.seconds * how.fps


def test_of_a_span_no_more_is_decoded_than_its_groups_of_pictures(
    fed: list[int], tmp_path: Path
) -> None:
    path = make(tmp_path / "a.mp4", Numbered(seconds=30.0, gop=30))
    list(decode_clips(str(path), KINETICS, Plan(None, 20.2, 24.0), FrameGeometry(32)))
    assert fed[0] == 0  # by which the times count
    assert {number for number in fed if number} <= set(range(600, 722))


def damaged(path: Path, packet_number: int) -> Path:
    """The file with one packet's content overwritten in its middle."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        place, size = packets[packet_number].pos, packets[packet_number].size
    content = bytearray(path.read_bytes())
    content[place + size // 4 : place + size // 2] = b"\xff" * (size // 2 - size // 4)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("packet_number", [61, 62, 90, 121])
def test_damage_gives_what_decoding_all_gives(
    packet_number: int, fed: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    how = Numbered(seconds=8.0, gop=30, b_frames=2, size=(320, 240))
    path = damaged(make(tmp_path / "a.mp4", how), packet_number)

    def told() -> list[object]:
        *clips, video = with_pixels(decode_clips(str(path), KINETICS, Plan(), FrameGeometry(32)))
        shown = [(round(one.clip.start_seconds, 6), one.frames.tobytes()) for one in clips]
        return [*shown, video.problem]

    found = told()
    fed.clear()
    monkeypatch.setattr(Timetable, "of", lambda _: None)
    assert found == told()
    assert fed == list(range(240))  # all


def test_there_is_no_timetable_where_times_are_in_doubt(tmp_path: Path) -> None:
    def timetable(path: Path) -> Timetable | None:
        with opened(str(path), lambda: None) as media:
            return Timetable.of(survey(media, lambda: None))

    how = Numbered(seconds=2.0)
    assert timetable(make(tmp_path / "a.mp4", how))
    # AVI keeps the order of decoding alone.
    assert timetable(make(tmp_path / "a.avi", replace(how, codec="mpeg4"))) is None
    cut = make(tmp_path / "b.ts", replace(how, seconds=6.0))
    content = cut.read_bytes()
    cut.write_bytes(content[188 * 40 :])  # begins amid a group of pictures
    assert timetable(cut) is None


@pytest.mark.parametrize("codec", CODECS)
def test_bitstreams_tell_where_decoding_can_begin(codec: str, tmp_path: Path) -> None:
    path = made(tmp_path / "a.mkv", Numbered(codec=codec, seconds=4.0, gop=24, size=(128, 128)))
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            if packet.size:
                assert picture(packet).is_start == packet.is_keyframe


def test_headers_of_av1_tell_what_is_kept_as_ffmpeg_reads_them(tmp_path: Path) -> None:
    path = made(tmp_path / "a.mp4", Numbered(codec="libsvtav1", seconds=6.0, gop=250))
    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            tracing = BitStreamFilterContext("trace_headers", stream)
            kept = []
            for packet in container.demux(stream):
                if not packet.size:
                    continue
                told = picture(packet).is_reference
                with av.logging.Capture() as said:
                    tracing.filter(packet)  # which takes its content
                kept.append((told, is_kept(said)))
    finally:
        av.logging.set_level(level)
    assert {told for told, _ in kept} == {True, False}
    assert [told for told, _ in kept] == [truth for _, truth in kept]


def test_the_longest_header_of_av1_is_read_to_its_end() -> None:
    header = b"\x03" + 200 * b"\xff"  # no timing; delays, and as many operating points as can be
    assert sequence_of(b"\x81\x00\x00\x00" + b"\x08" + header)
    assert is_reference(b"\x32\x01\xff", b"")  # not known


def is_kept(said: Iterable[tuple[int, str, str]]) -> bool:
    """Whether others may refer to a frame: one that is shown again counts, and a key frame has no
    flags."""
    found = re.findall(r"(refresh_frame_flags|show_existing_frame) .*= (\d+)", text_of(said))
    return any(int(value) for _, value in found) or "refresh_frame_flags" not in dict(found)


def text_of(said: Iterable[tuple[int, str, str]]) -> str:
    return "".join(text for _, _, text in said)


def test_a_short_video_is_read_once(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mkv", Numbered(codec="mjpeg", seconds=8.0, size=(320, 240)))
    for _ in range(2):  # the first time brings modules along
        before = bytes_read()
        list(decode_clips(str(path), KINETICS, Plan(), FrameGeometry(32)))
        read = bytes_read() - before
    assert read < 1.3 * path.stat().st_size


def bytes_read() -> int:
    """By this process, from files or their copies in memory."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("rchar"))
