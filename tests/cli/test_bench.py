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
    assert err == "10/10 measurements\n"


def test_batch_size_and_precision_are_those_asked_for(bench) -> None:
    rate = json.loads(bench("--json", "--batch-size", 3, "--dtype", "bfloat16")[1])
    assert (rate["batch_size"], rate["dtype"]) == (3, "bfloat16")


def test_several_devices_are_measured_together(bench) -> None:
    rate = json.loads(bench("--json", "--device", "cpu,cpu")[1])
    assert rate["device"] == "cpu,cpu"
    assert rate["ready_clips_per_second"] is None
    assert rate["host_clips_per_second"] > 1


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
    ],
)
def test_what_cannot_be_measured_is_told(bench, options, code, told) -> None:
    ended, out, err = bench(*options)
    assert (ended, out) == (code, "")
    assert told in err
