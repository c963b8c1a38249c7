"""What a run tells of its speed: how busy each part was, and which one was the limit."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import vidx
from vidx.embedder.decoding.events import Job
from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.pool import decode
from vidx.embedder.decoding.sampling import Sampling
from vidx.embedder.work import Work
from vidx.throughput import Busy

Embed = Callable[..., vidx.EmbedReport]


@pytest.fixture
def embed(tmp_path: Path) -> Embed:
    """embed(paths, model, **options) -> the report of a run into a new collection."""

    def run(paths: Path, model: Path, **options: object) -> vidx.EmbedReport:
        with vidx.open(tmp_path / "collection", create=True) as collection:
            return collection.embed(paths, vidx.EmbedOptions(model=model, **options))

    return run


@pytest.fixture(scope="module")
def slow_checkpoint(tmp_path_factory, make_checkpoint) -> Path:
    """A checkpoint of which a clip takes far longer than to decode a small video."""
    shape = {"hidden_size": 192, "num_hidden_layers": 4, "image_size": 112, "patch_size": 8}
    folder = tmp_path_factory.mktemp("slow") / "model"
    return make_checkpoint(folder, num_attention_heads=4, intermediate_size=768, **shape)


@pytest.fixture(scope="module")
def big_video(tmp_path_factory, make_video) -> Path:
    """Two clips of noise that take far longer to decode than a tiny model to embed."""
    noise = np.random.default_rng(0).integers(0, 256, (2160, 3840, 3), dtype=np.uint8)
    path = tmp_path_factory.mktemp("big") / "big.avi"
    return make_video(path, codec="mjpeg", size=(3840, 2160), seconds=4.25, fps=8, still=noise)


@pytest.mark.parametrize("workers", [0, 2])
def test_shares_lie_between_0_and_1(embed, library, tiny_checkpoint, workers) -> None:
    report = embed(library, tiny_checkpoint, workers=workers)
    assert report.busy is not None
    shares = report.busy.shares()
    assert list(shares) == ["decoding", "transfer", "device", "writing"]
    assert all(0 < share <= 1 for share in shares.values())
    assert 1 <= report.busy.num_workers <= max(workers, 1)
    assert report.busy.is_on_cpu
    # bowl.mp4, Dance.MKV, sub/bowl.mp4, and 2.5 s of AVI
    assert report.video_seconds == pytest.approx(5 + 3 + 1 + 2.5, abs=0.1)
    hours = report.video_seconds / report.seconds
    assert report.video_hours_per_hour == pytest.approx(hours)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_slow_decoder_is_named_as_the_limit(embed, big_video, tiny_checkpoint, workers) -> None:
    report = embed(big_video, tiny_checkpoint, workers=workers)
    assert report.busy.bottleneck == "decoding"
    assert report.busy.device < 0.5
    assert str(report.busy).startswith("Decoding is the limit: ")


def test_a_slow_model_is_named_as_the_limit(embed, make_video, slow_checkpoint, tmp_path) -> None:
    small = make_video(tmp_path / "small.mp4", seconds=8)
    report = embed(small, slow_checkpoint, workers=0)
    assert report.busy.bottleneck == "device"
    assert report.busy.decoding < report.busy.device
    assert str(report.busy).startswith("The model is the limit: ")


@pytest.mark.long
def test_a_worker_that_waits_until_its_clips_are_taken_is_not_busy(make_video, tmp_path) -> None:
    path, work = make_video(tmp_path / "a.mp4", seconds=15), Work()
    geometry = FrameGeometry(resize_shortest_edge=32, crop=(32, 32))
    began = time.monotonic()
    events = decode(
        [Job("a", str(path))], sampling=Sampling(), geometry=geometry, workers=1, work=work
    )
    for number, _ in enumerate(events):
        time.sleep(3 if number == 2 else 0)
    assert 0 < work.decoding_seconds < time.monotonic() - began - 2
    assert work.num_workers == 1


@pytest.mark.long
def test_several_devices_are_busy_on_average(embed, make_video, slow_checkpoint, tmp_path) -> None:
    small = make_video(tmp_path / "small.mp4", seconds=8)
    report = embed(small, slow_checkpoint, workers=1, device="cpu,cpu", batch_size=2)
    assert 0 < report.busy.device <= 1


def test_a_run_with_nothing_to_embed_was_held_up_by_nothing(embedded, library) -> None:
    with vidx.open(embedded) as collection:
        report = collection.embed(library)
    assert report.busy is None
    assert report.video_hours_per_hour == 0


def _busy(**shares: object) -> Busy:
    idle = dict.fromkeys(("decoding", "transfer", "device", "writing"), 0.0)
    return Busy(**{**idle, "num_workers": 2, "num_cores": 2, "is_on_cpu": False, **shares})


@pytest.mark.parametrize(
    ("busy", "limit", "told"),
    [
        ({"decoding": 0.97, "device": 0.4}, "decoding", "97% busy, the device waits 60% "),
        ({"decoding": 0.97, "num_cores": 2}, "decoding", "More cores may help."),
        ({"decoding": 0.97, "num_cores": 8}, "decoding", "More --workers may help."),
        ({"decoding": 0.97, "num_nodes": 3}, "decoding", "More nodes may help."),
        (
            {"decoding": 0.97, "num_nodes": 3, "num_cores": 8},
            "decoding",
            "More --workers-per-node may help.",
        ),
        ({"device": 0.9, "decoding": 0.2}, "device", "90% busy, decoding waits 80% "),
        ({"device": 0.9, "is_on_cpu": True}, "device", "A GPU, or a smaller --model, may help."),
        ({"device": 0.9, "decoding": 0.85}, "device", "Further GPUs may help."),
        ({"device": 0.9, "decoding": 0.85, "is_on_cpu": True}, "cores", "85% busy and the model"),
        ({"transfer": 0.7, "device": 0.6}, "transfer", "hands over frames 70% of the time"),
        ({"writing": 0.6}, "writing", "A faster disk, database or bucket may help."),
        ({"decoding": 0.4, "device": 0.4}, None, "No part is the limit"),
    ],
)
def test_the_limit_is_told_in_a_line(busy, limit, told) -> None:
    found = _busy(**busy)
    assert found.bottleneck == limit
    assert told in str(found)
    assert "\n" not in str(found)
