"""What can be asked of models without a collection."""

from __future__ import annotations

import pytest

import vidx


def test_the_list_has_vidxs_own_model_and_the_published_ones() -> None:
    listed = vidx.list_models()
    assert isinstance(listed, vidx.ModelList)
    [own] = listed.builtin
    assert (own.id, own.licence) == ("builtin:tiny", "Apache-2.0")
    assert all(one.licence == "CC-BY-NC-4.0" for one in listed.known)
    assert all(isinstance(one, vidx.CachedModel) for one in listed.cached)


def test_a_check_tells_the_fingerprint_that_a_collection_has(
    tiny_checkpoint, embedded_once
) -> None:
    report = vidx.check_model(tiny_checkpoint)
    assert report.fingerprint == vidx.open(embedded_once).info().space.fingerprint
    with pytest.raises(vidx.ModelNotFound, match="does not exist"):
        vidx.check_model("./nowhere")


def test_a_licence_is_that_of_the_weights_and_the_default_is_told_by_name(tiny_checkpoint) -> None:
    default = "MCG-NJU/videomae-base-finetuned-kinetics"
    assert vidx.licence_of() == vidx.Licence(default, "CC-BY-NC-4.0", is_own=False)
    assert vidx.licence_of("builtin:tiny") == vidx.Licence("builtin:tiny", "Apache-2.0", True)
    assert vidx.licence_of(tiny_checkpoint) is None


def test_a_bench_measures_the_device_that_is_asked_for(tiny_checkpoint) -> None:
    told: list[tuple[int, int]] = []
    report = vidx.bench(
        tiny_checkpoint,
        device="cpu",
        batch_size=2,
        seconds=0.2,
        progress=lambda done, of: told.append((done, of)),
    )
    assert isinstance(report, vidx.BenchReport)
    assert (report.device, report.batch_size) == ("cpu", 2)
    assert report.host_clips_per_second > 1
    assert told == [(done, 10) for done in range(11)]


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"seconds": 0.0}, {"seconds": -1}])
def test_a_bench_of_nothing_is_refused_before_anything_is_loaded(wrong) -> None:
    with pytest.raises(vidx.UsageError, match="it takes"):
        vidx.bench("./nowhere", **wrong)
