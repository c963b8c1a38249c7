"""What the documents' numbers come from can be run again."""

from __future__ import annotations

import json


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
