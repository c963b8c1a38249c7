"""What the documents' numbers come from can be run again."""

from __future__ import annotations


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
