"""Paths that are listed on standard input."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator

from vidx.errors import UsageError


def with_listed(paths: Iterable[str]) -> list[str]:
    """The paths, with those that standard input lists in the place of `-`.

    A list has one path a line, or where there is a NUL in it, as `find -print0` writes it, one up
    to each NUL.

    Raises:
        UsageError: The list is empty.
    """
    return [one for path in paths for one in (_listed() if path == "-" else [path])]


def _listed() -> Iterator[str]:
    data = sys.stdin.buffer.read() if sys.stdin else b""
    found = data.split(b"\0") if b"\0" in data else data.splitlines()
    if not any(found):
        raise UsageError(
            "Standard input lists no paths.", "Give one a line: find videos -newer FILE | vidx ..."
        )
    return (os.fsdecode(path) for path in found if path)
