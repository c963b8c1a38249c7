"""`vidx bench`: a user's own machine, measured."""

from __future__ import annotations

import json

import pytest

KEYS = [
    "model",
    "device",
    "dtype",
    "batch_size",
    "clip_seconds",
    "ready_clips_per_second",
    "host_clips_per_second",
    "video_hours_per_hour",
    "library",
]
LIBRARY_KEYS = [
    "num_files",
    "num_sampled",
    "num_workers",
    "decoding_clips_per_second",
    "clips_per_second",
    "video_hours_per_hour",
    "over_slower",
    "over_shared",
    "busy",
    "library_seconds",
    "library_clips",
    "library_hours",
    "bottleneck",
]


@pytest.fixture
def bench(vidx, tiny_checkpoint):
    """bench(*options) -> exit code, output and errors of a short measurement."""
    return lambda *options: vidx("bench", "--model", tiny_checkpoint, "--seconds", 0.2, *options)


def test_it_tells_both_rates_and_the_hours_of_video_an_hour(bench) -> None:
    code, out, err = bench("--json", "--device", "cpu")
    rate = json.loads(out)
    assert code == 0
    assert list(rate) == KEYS
    assert (rate["device"], rate["dtype"]) == ("cpu", "float32")
    assert rate["clip_seconds"] == pytest.approx(16 / 7.5)
    assert rate["ready_clips_per_second"] > 1
    hours = rate["host_clips_per_second"] * rate["clip_seconds"]
    assert rate["video_hours_per_hour"] == pytest.approx(hours)
    assert rate["library"] is None
    assert err == "10/10 measurements\n"


def test_batch_size_and_precision_are_those_asked_for(bench) -> None:
    rate = json.loads(bench("--json", "--batch-size", 3, "--dtype", "bfloat16")[1])
    assert (rate["batch_size"], rate["dtype"]) == (3, "bfloat16")


@pytest.mark.long
def test_several_devices_are_measured_together(bench) -> None:
    rate = json.loads(bench("--json", "--device", "cpu,cpu")[1])
    assert rate["device"] == "cpu,cpu"
    assert rate["ready_clips_per_second"] is None
    assert rate["host_clips_per_second"] > 1


def test_videos_are_decoded_alone_and_with_the_model(bench, library) -> None:
    code, out, _ = bench(library, "--json", "--workers", 0, "--batch-size", 2)
    rate = json.loads(out)
    found = rate["library"]
    assert (code, list(rate), list(found)) == (0, KEYS, LIBRARY_KEYS)
    assert rate["ready_clips_per_second"] is None
    model, decoding = rate["host_clips_per_second"], found["decoding_clips_per_second"]
    both = found["clips_per_second"]
    assert found["over_slower"] == pytest.approx(both / min(model, decoding))
    assert found["over_shared"] == pytest.approx(both * (1 / model + 1 / decoding))
    assert all(0 <= share <= 1 for share in found["busy"].values())
    assert (found["num_files"], found["num_sampled"]) == (6, 5), "one is broken"
    assert found["library_clips"] == 11
    assert found["library_hours"] * 3600 == pytest.approx(16.5, abs=0.1)
    assert found["library_seconds"] == pytest.approx(11 / both)


def test_people_are_told_the_bottleneck_and_nothing_is_stored(bench, library, tmp_path) -> None:
    before = sorted(tmp_path.rglob("*"))
    code, out, _ = bench(library / "bowl.mp4", "--workers", 1)
    assert code == 0
    for told in ("decoding alone", "over the slower one alone", "estimate for 1 file", " limit: "):
        assert told in out
    assert sorted(tmp_path.rglob("*")) == before


def test_people_get_a_table_and_quiet_ones_nothing(bench) -> None:
    assert "hours of video an hour" in bench()[1]
    assert bench("--quiet") == (0, "", "")


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (["--device", "tpu"], 2, "device 'tpu' is unknown"),
        (["--device", "cuda:99"], 4, "device 'cuda:99' is not to be had here"),
        (["--device", "cpu,"], 2, "device '' is unknown"),
        (["--dtype", "int8"], 2, "Invalid value for '--dtype'"),
        (
            ["--batch-size", 10**9],
            4,
            "cpu has no memory for this\n",
        ),
        (["--batch-size", 0], 2, "Invalid value for '--batch-size'"),
        (["--model", "./nowhere"], 4, "does not exist"),
        (["./nowhere.mp4"], 2, "nowhere.mp4"),
        (["https://host/x.mp4"], 2, "bench measures files"),
    ],
)
def test_what_cannot_be_measured_is_told(bench, options, code, told) -> None:
    ended, out, err = bench(*options)
    assert (ended, out) == (code, "")
    assert told in err


def test_videos_that_cannot_be_decoded_are_refused(bench, library) -> None:
    code, out, err = bench(library / "broken.mp4", "--workers", 0)
    assert (code, out) == (4, "")
    assert "none of the videos that were tried gave clips enough" in err
