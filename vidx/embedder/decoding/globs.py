"""Paths with wildcards, and what on disk they match."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path
from typing import Self

from vidx.embedder.decoding.listing import entries, is_folder

_DEEP = "**"


def is_glob(path: Path) -> bool:
    """Whether a path has wildcards; one that is there is what it says, whatever its name."""
    return _is_wild(str(path)) and not os.path.lexists(path)


@dataclass(frozen=True, slots=True)
class Glob:
    """A path with wildcards.

    `*`, `?` and `[...]` stand for characters of one name, and `**` for any number of folders.
    Upper and lower case are two. Hidden names match only what begins with a dot itself.

    Attributes:
        base: The folder in front of the first wildcard.
        parts: The names behind it, from the first with a wildcard on; none stands for all that
            lies in `base`.
    """

    base: Path
    parts: tuple[str, ...]

    @classmethod
    def of(cls, path: Path) -> Self:
        """The glob that an absolute path is."""
        first = next(i for i, part in enumerate(path.parts) if _is_wild(part))
        return cls(Path(*path.parts[:first]), _without_repeats(path.parts[first:]))

    def covers(self, path: str) -> bool:
        """Whether an absolute path would be matched, or lies in a folder that would be."""
        head = f"{self.base}/".replace("//", "/")
        return path.startswith(head) and _is_covered(
            self.parts, tuple(path.removeprefix(head).split("/"))
        )

    def matches(self) -> tuple[list[Path], dict[Path, OSError]]:
        """What is there.

        Returns:
            Files and folders, sorted, each once; and the folders that could not be listed.
        """
        unreadable: dict[Path, OSError] = {}
        places = {self.base}
        for part in self.parts:
            places = {found for place in places for found in _step(place, part, unreadable)}
        return sorted(places), unreadable


def _is_wild(text: str) -> bool:
    return any(character in text for character in "*?[")


def _without_repeats(parts: tuple[str, ...]) -> tuple[str, ...]:
    """The same parts, with one `**` where there are several in a row."""
    groups = ((part, list(some)) for part, some in groupby(parts))
    return tuple(name for part, some in groups for name in (some[:1] if part == _DEEP else some))


def _step(place: Path, part: str, unreadable: dict[Path, OSError]) -> Iterator[Path]:
    """What one part of a glob matches in one place."""
    if part == _DEEP:
        yield from _folders(place, unreadable)
    elif _is_wild(part):
        names = (entry.name for entry in _listed(place, set(), unreadable))
        yield from (place / name for name in names if _is_match(part, name))
    elif os.path.lexists(place / part):
        yield place / part


def _folders(top: Path, unreadable: dict[Path, OSError]) -> Iterator[Path]:
    """A folder and all shown ones below it; where symlinks lead in circles, each once."""
    visited: set[tuple[int, int]] = set()
    folders = [top]
    while folders:
        folder = folders.pop()
        yield folder
        shown = (one for one in _listed(folder, visited, unreadable) if _is_match("*", one.name))
        folders += reversed([folder / entry.name for entry in shown if is_folder(entry)])


def _listed(
    folder: Path, visited: set[tuple[int, int]], unreadable: dict[Path, OSError]
) -> list[os.DirEntry[str]]:
    try:
        return entries(folder, visited)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        unreadable[folder] = error
        return []


def _is_covered(parts: tuple[str, ...], names: tuple[str, ...]) -> bool:
    """Whether the first of some names, one below the other, match all parts of a glob."""
    if not parts:
        return True
    if parts[0] == _DEEP and _is_covered(parts[1:], names):
        return True
    name = "*" if parts[0] == _DEEP else parts[0]
    if not names or not _is_match(name, names[0]):
        return False
    return _is_covered(parts if parts[0] == _DEEP else parts[1:], names[1:])


def _is_match(part: str, name: str) -> bool:
    """Whether a part without slashes matches a name."""
    return fnmatchcase(name, part) and (part.startswith(".") or not name.startswith("."))
