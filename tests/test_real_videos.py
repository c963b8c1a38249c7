"""The main job on real videos: embed a folder, search it with changed copies."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

import vidx

TRIM_SECONDS = 0.4
KEPT_SECONDS = 4.0
COPY_RATE = 24


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, make_checkpoint: Callable[..., Path]) -> Path:
    """A random VideoMAE that sees enough detail to tell real videos apart."""
    folder = tmp_path_factory.mktemp("model") / "random"
    return make_checkpoint(folder, image_size=64, hidden_size=192, num_attention_heads=3)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, media: Path, model: Path) -> vidx.Collection:
    """The collection of all good videos."""
    collection = vidx.open(tmp_path_factory.mktemp("good") / "collection", create=True)
    report = collection.embed(media / "good", vidx.EmbedOptions(model=model))
    assert report.embedded == report.num_files
    return collection


def changed_copy(source: Path, target: Path) -> Path:
    """Cut off the beginning and all after some seconds, shrink, and encode it otherwise."""
    with av.open(str(source)) as before, av.open(str(target), "w") as after:
        stream = before.streams.video[0]
        stream.thread_type = "AUTO"
        copy = after.add_stream("mpeg4", rate=COPY_RATE)
        copy.width = 288
        copy.height = max(2, round(288 * stream.height / stream.width / 2) * 2)
        copy.pix_fmt, copy.bit_rate = "yuv420p", 400_000
        first, number = None, 0
        for frame in before.decode(stream):
            first = frame.time if first is None else first
            seconds = frame.time - first - TRIM_SECONDS
            if seconds > KEPT_SECONDS:
                break
            while seconds >= number / COPY_RATE:
                picture = frame.reformat(copy.width, copy.height, "yuv420p")
                picture.pts, picture.time_base = number, Fraction(1, COPY_RATE)
                after.mux(copy.encode(picture))
                number += 1
        after.mux(copy.encode())
    return target


def twins(path: Path) -> set[str]:
    """What may stand for a video: itself, and its re-encodes in near_duplicates."""
    families = (
        {"BBB_fixedres_B_180x320_200", "BBB_fixedres_B_180x320_80"},
        {"Big_Buck_Bunny_180_10s", "Big_Buck_Bunny_180_10s_reversed"},
        {"carphone_distorted", "carphone_pristine"},
    )
    return next((names for names in families if path.stem in names), {path.stem})


@pytest.mark.long
def test_a_file_finds_itself_first(good: vidx.Collection) -> None:
    for path in good.videos().column("path").to_pylist()[::9]:
        first = good.search(path, k=1)[0]
        assert path in first.locations
        assert first.score >= 0.999


@pytest.mark.long
def test_a_changed_copy_finds_its_source_or_its_twin_first(good, tmp_path) -> None:
    videos = [Path(path) for path in good.videos().column("path").to_pylist()]
    missed = []
    for number, video in enumerate(videos):
        query = changed_copy(video, tmp_path / f"{number}.mkv")
        [hit] = good.search(query, k=1)
        if Path(hit.path).stem not in twins(video):
            missed.append((str(video), hit.path))
    assert len(missed) <= 0.1 * len(videos), missed
