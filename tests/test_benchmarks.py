"""What the documents' numbers come from can be run again."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from vidx.model_records import BenchReport, LibraryRates
from vidx.throughput import Busy


def test_every_benchmark_finds_what_it_imports(checkout, benchmark) -> None:
    names = sorted(path.stem for path in (checkout / "benchmarks").glob("*.py"))
    assert len(names) > 15
    for name in names:
        benchmark(name)


def test_a_collection_is_measured_from_its_first_commit_to_a_removal(
    checkout, benchmark, monkeypatch, tmp_path
) -> None:
    scale, steps = benchmark("scale"), benchmark("scale_steps")
    alone = scale.run_step(checkout, "fill", tmp_path / "alone", 100, 8)  # in a process of its own
    monkeypatch.setattr(scale, "run_step", lambda _, step, *rest: steps.STEPS[step](*rest))
    found = scale.one_round({"this": checkout}, 2000, 8)["this"]
    assert alone.keys() < found.keys()
    assert min(found.values()) > 0
    rows = benchmark("report").SCALE_ROWS
    assert all(name in found or f"{name}_outside_faiss_ms" in found for name in rows)


def test_a_library_is_looked_at_unchanged_and_renamed(benchmark, tmp_path) -> None:
    found = benchmark("scan").measure(tmp_path, files=150, rounds=1)
    assert (found["files"], found["rounds"]["unchanged"][0]["unchanged"]) == (150, 150)
    assert found["unchanged_memory_mb"] > 0


def test_two_checkouts_are_measured_in_turns(
    checkout, benchmark, monkeypatch, tmp_path, capsys
) -> None:
    checkouts = benchmark("checkouts")
    monkeypatch.setattr(checkouts, "commits", lambda sides: dict.fromkeys(sides, "abc1234"))
    out = tmp_path / "found.json"
    options = checkouts.parser(None, rounds=3).parse_args(
        [str(tmp_path), "videos", "--out", str(out)]
    )
    seconds = {tmp_path: iter([4.0, 8.0, 2.0]), checkout: iter([5.0, 6.0, 3.0])}
    checkouts.compare("a.py", options, "seconds", "s", lambda side: next(seconds[side]))
    found = json.loads(out.read_text())
    assert found["seconds"] == {"other": 4.0, "this": 5.0}
    assert found["this_over_other"] == 1.25
    assert found["rounds"]["this_over_other"] == [1.25, 0.75, 1.5]
    sides = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert sides == ["other", "this"] * 3 + ["this"]


def test_a_drawn_clip_can_be_drawn_again_by_its_number(benchmark, tmp_path) -> None:
    drawn = benchmark("drawn_vectors")
    vectors = drawn.into_file(tmp_path / "vectors", 10_000, 8)
    assert vectors.shape == (10_000, 8)
    later = np.concatenate(list(drawn.blocks(5000, 5000, 8)))
    assert (later == vectors[5000:]).all()
    assert all((drawn.clip(number, 8) == vectors[number]).all() for number in (0, 19, 20, 9_999))
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-6)


def test_drawn_clips_lie_around_their_videos_and_queries_are_of_others(benchmark) -> None:
    drawn = benchmark("drawn_vectors")
    one, other = drawn.video(0, 64), drawn.video(1, 64)
    assert (one @ one.T).mean() > 0.7 > 0.5 > (one @ other.T).mean()
    asked = drawn.questions(30, 64)
    stored = np.concatenate(list(drawn.blocks(0, 600, 64)))
    assert (asked @ stored.T).max() < 0.999


def test_true_neighbours_are_those_of_all_vectors(benchmark) -> None:
    drawn = benchmark("drawn_vectors")
    vectors, queries = np.concatenate(list(drawn.blocks(0, 9000, 8))), drawn.questions(5, 8)
    true = np.argsort(-(queries @ vectors.T), axis=1)[:, :10]
    assert (drawn.nearest(vectors, queries, 10) == true).all()


def test_recall_counts_what_was_found_in_any_order(benchmark) -> None:
    found = np.array([[3, 1, 2, -1], [5, 6, 7, 8]])
    true = np.array([[1, 2, 3, 4], [9, 10, 11, 12]])
    assert benchmark("drawn_vectors").recalls(found, true).tolist() == [0.75, 0.0]


def test_the_cheapest_setting_that_reaches_the_target_is_taken(benchmark) -> None:
    cheapest = benchmark("search_asking").cheapest
    outcomes = {1: (0.9, 1.0), 2: (0.96, 4.0), 3: (0.99, 5.0), 4: (0.5, 1.0), 5: (0.97, 2.0)}
    tried = []

    def ask(setting):
        tried.append(setting["n"])
        return outcomes[setting["n"]]

    rows = [[{"n": 1}, {"n": 2}, {"n": 3}], [{"n": 4}, {"n": 5}]]
    assert cheapest(rows, ask, 0.95) == {"n": 5}
    assert tried == [1, 2, 4, 5]  # a setting that does more than is needed is not tried
    assert cheapest(rows, ask, 0.98) == {"n": 3}
    assert cheapest(rows, ask, 0.995) is None


@pytest.mark.parametrize("name", ["faiss HNSW32", "faiss IVF-Flat", "vidx"])
def test_an_engine_finds_as_often_as_asked_in_each_of_its_ways(benchmark, tmp_path, name) -> None:
    engines, serving = benchmark("search_engines"), benchmark("search_serving")
    search = benchmark("search")
    vectors = benchmark("drawn_vectors").into_file(tmp_path / "vectors", 1000, 16)
    choosing, others = search.asked(vectors, 40)
    engine = engines.ENGINES[name](tmp_path / "own")
    assert serving.built(engine, tmp_path / "vectors", 16)["build_seconds"] > 0
    assert engine.choose(0.95, choosing)
    ways = serving.measured(engine, others)
    assert len(ways) == (2 if name == "vidx" else 1)
    assert all(one["recall_at_10"] > 0.85 for one in ways.values())
    assert all(one["p99_ms"] >= one["p50_ms"] > 0 for one in ways.values())


def test_a_search_is_compared_with_the_best_plain_index(benchmark) -> None:
    search = benchmark("search")

    def engine(p50_ms, **known):
        reached = {"p50_ms": p50_ms, "setting": {}, "recall_at_10": 0.96, "standard_error": 0.01}
        rest = {"p99_ms": 9.0, "batch_ms": 1.0, "resident_mb": 3.0}
        return {**known, "targets": {"0.95": {**reached, **rest}, "0.99": None}}

    engines = {
        "vidx": engine(3.0, build_seconds=1.0, index_mb=10.0),
        "faiss HNSW32": engine(2.0, build_seconds=1.0, index_mb=40.0),
        "faiss IVF-Flat": engine(4.0, build_seconds=1.0, index_mb=50.0),
        "vidx, index alone": engine(1.0),
    }
    found = search.ratios(engines)
    assert found["ratios"]["0.95"] == {
        "vidx": {"over_best_plain_faiss": 1.5, "over_ivf_flat": 0.75},
        "vidx, index alone": {"over_best_plain_faiss": 0.5, "over_ivf_flat": 0.25},
    }
    assert found["bytes_over_ivf_flat"] == 0.2
    text = search.table({"vectors": 1000, "engines": engines, **found})
    assert text.count("not reached") == 4


def test_end_to_end_is_held_against_the_slower_part(benchmark) -> None:
    end_to_end = benchmark("end_to_end")
    busy = Busy(0.9, 0.1, 0.5, 0.0, num_workers=2, num_cores=2, is_on_cpu=False)

    def report(both: float) -> BenchReport:
        library = LibraryRates(9, 9, 2, 10.0, both, 1.0, both / 10, None, busy, 1.0, 9, 1.0)
        return BenchReport("m", "cuda", "float16", 8, 2.0, None, 40.0, 80.0, library)

    found = end_to_end.summary([report(9.0), report(9.6), report(9.5)])
    assert (found["clips_per_second"], found["over_slower"]) == (9.5, 0.95)
    assert (found["over_shared"], found["bottleneck"]) == (None, "decoding")
    record = {"end_to_end": [{"model": "base", **found}, {"model": "slow", **found}]}
    record["end_to_end"][1]["over_slower"] = 0.5
    text = benchmark("report").shown(record)
    assert (
        "| base | cpu | 10.00 | 40.00 | 9.50 | 0.95 |  | 90% | 10% | 50% | 0% | decoding |" in text
    )
    assert "At least 0.92 of the slower one: base." in text


def test_stages_beside_each_other_wait_for_the_slowest_and_share_a_pool(benchmark) -> None:
    stages = benchmark("stages")

    def run(*pools, clips=4000):
        rates = zip(
            ("decoding", "device", "commit"), (40, 10, 1000), (1, 8, 100), pools, strict=True
        )
        return stages.simulate([stages.Stage(*one) for one in rates], clips)

    apart, shared = run("cores", "device", "disk"), run("cores", "cores", "disk")
    assert apart.clips_per_second == pytest.approx(10, rel=0.01)
    assert (apart.limit, apart.busy["device"]) == ("device", pytest.approx(1, abs=0.01))
    assert shared.clips_per_second == pytest.approx(1 / (1 / 40 + 1 / 10), rel=0.02)
    assert run("a", "b", "c", clips=7).clips_per_second > 0  # less than a batch


def test_the_plan_tells_which_measured_runs_it_predicts_and_which_not(checkout, benchmark) -> None:
    plan, cases = benchmark("scale_plan"), benchmark("scale_plan_cases")
    checked = cases.cases()
    recorded = cases.read("scale-plan")["scale_plan"]
    page = (checkout / "docs/scale.md").read_text(encoding="utf-8")
    assert [case.holds for case in checked] == [case["holds"] for case in recorded["cases"]]
    assert plan.case_table(checked) in page
    assert plan.plan_table(recorded["plans"]) in page
    assert f"{sum(case.holds for case in checked)} of {len(checked)}" in page


def test_a_prediction_off_by_more_than_15_percent_does_not_hold(benchmark) -> None:
    case = benchmark("scale_plan_cases").Case
    assert [case("", predicted, 100).holds for predicted in (84, 86, 114, 116)] == [
        False, True, True, False,
    ]  # fmt: skip


@pytest.mark.long
def test_engines_are_measured_in_turns_in_processes_of_their_own(checkout, tmp_path) -> None:
    out = tmp_path / "found.json"
    script = checkout / "benchmarks/search.py"
    sizes = ["--sizes", "1000", "--dim", "16", "--queries", "20", "--rounds", "2"]
    engines = ["--engines", "faiss HNSW32", "faiss IVF-Flat", "--folder", str(tmp_path)]
    command = [sys.executable, str(script), *sizes, *engines, "--out", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    [one] = json.loads(out.read_text())["search_sizes"]
    for engine in one["engines"].values():
        assert len(engine["targets"]["0.95"]["rounds"]) == 2
        assert engine["index_mb"] > 1000 * 16 * 4 / 1e6


@pytest.mark.long
def test_searches_of_a_large_collection_are_measured_step_by_step(
    checkout, benchmark, monkeypatch, tmp_path
) -> None:
    scale, steps, writer = map(benchmark, ("scale_search", "scale_search_steps", "beside_a_writer"))
    monkeypatch.setattr(writer, "COMMITS", 1)
    monkeypatch.syspath_prepend(checkout / "benchmarks")  # for the reader's process
    folder, clips, dim = tmp_path / "collection", 4000, 8
    monkeypatch.setattr(scale, "COLD_ROUNDS", 1)
    found = {
        step: scale.cold(folder, clips) if step == "cold" else steps.STEPS[step](folder, clips, dim)
        for step in scale.STEPS
    }
    assert found["where"]["where"]["1"]["selected"] == clips
    filters = found["where"]["where"].values()
    assert all(one["least_hits"] == min(10, one["selected"]) for one in filters)
    assert found["add"]["added"] == 400
    assert (found["add"]["added_not_found"], found["remove"]["removed_returned"]) == (0, 0)
    beside = found["writer"]["beside_a_writer"]
    assert beside["searches"] > 0
    assert beside["errors"] == {}
    assert {beside[name] for name in writer.WRONG} == {0}
    report = benchmark("report")
    assert "`drawn < 100`" in report.shown({"clips": clips, "dim": dim, "scale_search": found})


def test_wrong_hits_beside_a_writer_are_counted(benchmark) -> None:
    drawn, writer = benchmark("drawn_vectors"), benchmark("beside_a_writer")
    collections = benchmark("drawn_collections")
    query = drawn.clip(145, 8)

    def hit(clip_id, **changes):
        score = float(query @ drawn.clip(clip_id, 8))
        known = {"video_id": collections.video_id(clip_id // 20), "score": score}
        return SimpleNamespace(clip_id=clip_id, **(known | changes))

    assert writer.wrong([hit(145), hit(3)], query, 8, 0).total() == 0
    assert writer.wrong([hit(3, score=0.5)], query, 8, 0)["wrong_scores"] == 1
    assert writer.wrong([hit(3, video_id="a")], query, 8, 0)["wrong_videos"] == 1
    assert writer.wrong([hit(145)], query, 8, 100)["removed_hits"] == 0  # added after the removal
    assert writer.wrong([hit(145)], query, 8, 200)["removed_hits"] == 1


@pytest.mark.long
def test_an_index_in_parts_is_measured_beside_one_in_one_file(benchmark, tmp_path) -> None:
    parts = benchmark("index_parts")
    found = parts.measure(tmp_path, 4000, 8, 2)
    assert found["made"]["parts"]["parameters"]["num_parts"] == 2
    assert [builder["rows"] for builder in found["builders"]] == [2000, 2000]
    assert min(side["recall_at_10"] for side in found["search"].values()) > 0.8
    assert "2 parts" in parts.table({"clips": 4000, "dim": 8, "parts": 2, "index_parts": found})
