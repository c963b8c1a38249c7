"""Standard output whose failures are told apart, and standard error whose failures cost nothing."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TextIO


class OutputFailed(Exception):
    """Standard output takes nothing more; the cause is the system's own error."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(cause.strerror)
        self.cause = cause


class _Output(io.FileIO):
    """Tells its own failures by a name that no other file's have."""

    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            # What is buffered above would fail again at the end; Python 3.13 tells of that.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            raise OutputFailed(error) from error


class _Messages(io.FileIO):
    """Drops what nobody can read any more: a run is worth more than its progress."""

    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError:
            return memoryview(data).nbytes  # type: ignore[arg-type]


@contextmanager
def standard_streams() -> Iterator[None]:
    """Let standard output and standard error be such, and show names that they cannot by escapes.

    Raises:
        OutputFailed: By whatever writes to standard output.
    """
    output, messages = _text(sys.stdout, _Output), _text(sys.stderr, _Messages)
    with redirect_stdout(output), redirect_stderr(messages):
        yield


def _text(stream: TextIO | None, kind: type[io.FileIO]) -> TextIO:
    """The same file as a stream's, opened so; a stream that is no file stays as it is."""
    if stream is None:  # the caller has closed it
        return open(os.devnull, "w")
    try:
        raw = kind(stream.fileno(), "wb", closefd=False)
    except io.UnsupportedOperation:
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(raw), stream.encoding, "backslashreplace", line_buffering=raw.isatty()
    )
