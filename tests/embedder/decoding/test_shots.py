"""Promises of the cutting at shots: cuts are found, what only moves or flashes is none."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

import vidx
from vidx.embedder.decoding import shots
from vidx.embedder.decoding.container import opened
from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.handout import DecodedClip, DecodedVideo, RepeatedClip
from vidx.embedder.decoding.pass_for_shots import find_cuts
from vidx.embedder.decoding.sampling import Plan, Sampling
from vidx.embedder.decoding.survey import survey
from vidx.embedder.decoding.video import decode_clips
from vidx.records import Begun

FPS = 25
SIZE = 64  # of the pictures, which are square
SAMPLING = Sampling(num_frames=4, fps=4.0)  # windows of one second
GEOMETRY = FrameGeometry(resize_to=(32, 32))
SHOTS = Plan(segment="shots")

Frames = list[NDArray[np.float64]]


def scene(seed: int, count: int, speed: float = 8.0) -> Frames:
    """A shot: a soft texture that pans, so many pixels a second, under some noise."""
    rng = np.random.default_rng(seed)
    world = np.kron(rng.normal(128, 50, (24, 24, 3)), np.ones((12, 12, 1)))
    for axis in (0, 1):
        world = sum(np.roll(world, step, axis) for step in range(0, 9, 2)) / 5
    world = np.tile(world + rng.normal(0, 20, 3), (2, 2, 1))
    noise = rng.normal(0, 2, (SIZE, SIZE, 3))
    angle = rng.uniform(0, np.pi / 2)
    found = []
    for number in range(count):
        y, x = (int(speed * number / FPS * part) % 288 for part in (np.sin(angle), np.cos(angle)))
        found.append(world[y : y + SIZE, x : x + SIZE] + np.roll(noise, 7 * number, (0, 1)))
    return found


def dissolved(one: Frames, other: Frames, count: int) -> Frames:
    """Two shots, the last and first so many frames of which lie upon each other."""
    parts = [(number + 1) / (count + 1) for number in range(count)]
    mixed = [
        a * (1 - part) + b * part
        for a, b, part in zip(one[-count:], other[:count], parts, strict=True)
    ]
    return [*one[:-count], *mixed, *other[count:]]


def flashed(frames: Frames, place: int, count: int) -> Frames:
    """With a flash of some frames."""
    lit = [frame * 0.3 + 180 for frame in frames[place : place + count]]
    return [*frames[:place], *lit, *frames[place + count :]]


def write(path: Path, frames: Iterable[NDArray[np.float64]]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width = stream.height = SIZE
        stream.pix_fmt, stream.options = "yuv420p", {"preset": "ultrafast"}
        for number, image in enumerate(frames):
            picture = np.clip(image, 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def cuts_in(path: Path) -> list[float]:
    with opened(str(path), lambda: None) as media:
        found = survey(media, lambda: None)
    return find_cuts(str(path), found, SHOTS, lambda: None)[0]


def film(seed: int) -> tuple[Frames, list[float]]:
    """Shots of which some pan fast or have a flash, and where they are cut."""
    rng = np.random.default_rng(seed)
    frames: Frames = []
    cuts = []
    for number in range(12):
        shot = scene(100 * seed + number, int(rng.integers(15, 70)), rng.choice([0, 8, 30, 60]))
        if rng.random() < 0.4:
            shot = flashed(shot, int(rng.integers(5, len(shot) - 5)), int(rng.integers(1, 5)))
        cuts.append(len(frames) / FPS)
        frames += shot
    return frames, cuts[1:]


def test_cuts_are_found_and_little_else(tmp_path: Path) -> None:
    right = wrong = missed = 0
    for seed in range(3):
        frames, cuts = film(seed)
        found = cuts_in(write(tmp_path / f"{seed}.mp4", frames))
        hits = sum(any(abs(cut - one) < 0.5 / FPS for one in found) for cut in cuts)
        right, missed, wrong = right + hits, missed + len(cuts) - hits, wrong + len(found) - hits
    assert 2 * right / (2 * right + wrong + missed) >= 0.95, (right, wrong, missed)


@pytest.mark.parametrize("seed", range(3))
def test_flashes_and_pans_are_no_cuts(tmp_path: Path, seed: int) -> None:
    frames = scene(seed, 100, speed=60.0)
    frames = flashed(flashed(frames, 20, 1), 60, 6)
    darker = [frame * (1 - 0.006 * number) for number, frame in enumerate(frames)]
    assert cuts_in(write(tmp_path / "a.mp4", darker)) == []


@pytest.mark.parametrize("count", [10, 25])
def test_a_dissolve_is_one_boundary_near_its_middle(tmp_path: Path, count: int) -> None:
    for seed in range(3):
        frames = dissolved(scene(seed, 75), scene(seed + 50, 75), count)
        [found] = cuts_in(write(tmp_path / "a.mp4", frames))
        assert found == pytest.approx((75 - count / 2) / FPS, abs=count / 2 / FPS)


def test_a_cut_with_both_shots_in_one_frame_is_one(tmp_path: Path) -> None:
    frames = dissolved(scene(1, 50), scene(2, 50), 1)
    [found] = cuts_in(write(tmp_path / "a.mp4", frames))
    assert found == pytest.approx(2.0, abs=1.5 / FPS)


def test_a_shot_of_less_than_half_a_second_is_of_the_one_beside_it(tmp_path: Path) -> None:
    frames = [*scene(1, 50), *scene(2, 8), *scene(3, 50)]
    assert len(cuts_in(write(tmp_path / "a.mp4", frames))) == 1


def decoded(path: Path, plan: Plan, begun: Begun | None = None) -> list[DecodedClip | RepeatedClip]:
    *clips, video = decode_clips(str(path), SAMPLING, plan, GEOMETRY, begun=begun)
    assert isinstance(video, DecodedVideo)
    return clips


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shots of 2.6, 0.6 and 1.8 seconds."""
    path = tmp_path_factory.mktemp("edited") / "edited.mp4"
    return write(path, [*scene(1, 65), *scene(2, 15), *scene(3, 45)])


CUTS = [2.6, 3.2]


def test_no_clip_shows_two_shots(edited: Path) -> None:
    clips = decoded(edited, SHOTS)
    spans = [(one.clip.start_seconds, one.clip.end_seconds) for one in clips]
    expected = [(0, 1), (1, 2), (1.6, 2.6), (2.6, 3.2), (3.2, 4.2), (4.0, 5.0)]
    assert np.allclose(spans, expected)
    for one in clips:
        assert len({bisect_right(CUTS, time + 1e-6) for time in one.facts.frame_seconds}) == 1


def test_a_video_without_cuts_is_cut_as_ever(
    tmp_path: Path, make_video: Callable[..., Path]
) -> None:
    path = make_video(tmp_path / "a.mp4", seconds=5.48)
    for one, other in zip(decoded(path, SHOTS), decoded(path, Plan()), strict=True):
        assert (one.clip, one.facts) == (other.clip, other.facts)


def test_what_is_stored_is_gone_on_with_wherever_that_was(edited: Path) -> None:
    whole = [one.clip for one in decoded(edited, SHOTS)]
    for count in range(1, len(whole)):
        last = whole[count - 1].start_seconds
        begun = Begun("take", 1, count, last, has_non_finite=False)
        assert [one.clip for one in decoded(edited, SHOTS, begun)] == whole[count:]


def test_of_a_damaged_video_no_clip_shows_two_shots(
    edited: Path, tmp_path: Path, cut_short: Callable[[Path], Path]
) -> None:
    path = tmp_path / "cut.mkv"
    with av.open(str(edited)) as given, av.open(str(path), "w") as made:
        stream = given.streams.video[0]
        out = made.add_stream_from_template(stream)
        for packet in given.demux(stream):
            if packet.dts is not None:
                packet.stream = out
                made.mux(packet)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size * 4 // 5)
    *clips, video = decode_clips(str(path), SAMPLING, SHOTS, GEOMETRY)
    assert isinstance(video, DecodedVideo)
    assert video.problem is not None
    assert len(clips) > 3
    assert clips[-1].clip.end_seconds == pytest.approx(video.info.duration_seconds)
    for one in clips:
        assert len({bisect_right(CUTS, time + 1e-2) for time in one.facts.frame_seconds}) == 1


def pictures(frames: Sequence[NDArray[np.float64]]) -> NDArray[np.uint8]:
    cells = SIZE // shots.SIDE
    tiled = np.stack(frames).reshape(len(frames), shots.SIDE, cells, shots.SIDE, cells, 3)
    return np.clip(tiled.mean(axis=(2, 4)), 0, 255).astype(np.uint8)


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = pictures(film(7)[0])

    def found() -> list[float]:
        finder = shots.ShotFinder()
        for number, picture in enumerate(tiny):
            finder.add(number / FPS, picture)
        return finder.cuts()

    whole = found()
    assert len(whole) > 8
    for size in (130, 171):
        monkeypatch.setattr(shots, "BLOCK_FRAMES", size)
        assert found() == whole


def test_a_collection_knows_which_way_its_videos_are_cut(
    edited: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    collection = vidx.open(tmp_path / "collection", create=True)
    fixed = vidx.EmbedOptions(model=tiny_checkpoint, workers=1)
    at_shots = replace(fixed, segment="shots")
    assert collection.embed(edited.parent, at_shots).num_clips == 4  # of 2.1 seconds
    assert collection.survey(edited.parent, at_shots)[0].status.value == "unchanged"
    assert collection.survey(edited.parent, fixed)[0].status.value == "embed"
    assert collection.embed(edited.parent, at_shots).unchanged == 1
    spans = collection.clips().select(["start_seconds", "end_seconds"]).to_pylist()
    assert not any(
        one["start_seconds"] < cut - 1e-6 < one["end_seconds"] - 2e-6
        for one in spans
        for cut in CUTS
    )


def test_a_segmentation_that_there_is_not_is_refused() -> None:
    with pytest.raises(vidx.UsageError, match=r"segment='scenes'.*'fixed' or 'shots'"):
        vidx.EmbedOptions(segment="scenes")  # type: ignore[arg-type]
