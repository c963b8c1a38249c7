"""Fixtures of the command line's tests."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest

from vidx.cli import main


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """What --verbose and --quiet do to the log ends with the test."""
    log = logging.getLogger("vidx")
    before = log.level, list(log.handlers)
    yield
    log.level, log.handlers[:] = before
    log.manager._clear_cache()


@pytest.fixture
def vidx(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command in this process: (exit code, standard output, standard error)."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        assert "Traceback" not in captured.err
        return int(ended.value.code or 0), captured.out, captured.err

    return run
