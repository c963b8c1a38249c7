"""What the documents' numbers come from can be run again."""

from __future__ import annotations


def test_every_benchmark_finds_what_it_imports(checkout, benchmark) -> None:
    names = sorted(path.stem for path in (checkout / "benchmarks").glob("*.py"))
    assert len(names) > 15
    for name in names:
        benchmark(name)
