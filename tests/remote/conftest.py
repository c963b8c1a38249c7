"""Fixtures of the tests of URLs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from shared_collection import ADDRESS, NAMES, Bound, On, Room, commit, sizes

import vidx
from vidx.store import layout as layouts
from vidx.store.layout import Layout


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command in this process: (exit code, standard output, standard error)."""
    from vidx.cli import main

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture
def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> On:
    """Be on a machine from now on: one with its own caches."""

    def be(machine: str) -> Layout:
        monkeypatch.setenv("VIDX_CACHE_DIR", str(tmp_path / machine))
        return layouts.find(ADDRESS)

    return be


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> Bound:
    """Have at most so many bytes of shards on a machine."""

    def be(most_bytes: int) -> int:
        monkeypatch.setenv("VIDX_CACHE_SIZE", str(most_bytes))
        return most_bytes

    return be


@pytest.fixture
def room_for(on: On, bound: Bound) -> Room:
    """Fill the collection on machine `one`, and have room for so many shards from now on."""

    def have(shards: float) -> int:
        layout = on("one")
        for name in NAMES:
            commit(layout, name)
        with vidx.open(ADDRESS) as collection, collection._writer(None):
            pass  # so that there is an index
        return bound(int(shards * max(sizes(layout).values())))

    return have
