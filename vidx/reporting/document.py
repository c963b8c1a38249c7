"""What a page says, before it is HTML: chapters of facts, tables, bars and strips of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        heads: Of its columns.
        rows: Cells, each as many as heads.
        right: Which of the heads are of numbers, set right.
        bar: The head of a column of shares, from 0 to 1, that are drawn; none where it is empty.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str | float, ...], ...]
    right: tuple[str, ...] = ()
    bar: str = ""


@dataclass(frozen=True, slots=True)
class Shot:
    """A clip to be seen.

    Attributes:
        clip_id: Which; None where it is known that there is none.
        lines: What stands below, the first one foremost.
    """

    clip_id: int | None
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Strip:
    """Clips side by side, with a line above that says why."""

    title: str
    shots: tuple[Shot, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Code:
    """A command, to be typed."""

    text: str


Block: TypeAlias = Table | Strip | Note | Code


@dataclass(frozen=True, slots=True)
class Chapter:
    """A part of a page.

    Attributes:
        name: In the address, such as `duplicates`.
        title: Its heading.
        lead: What was found, in a sentence or two.
        blocks: The evidence.
    """

    name: str
    title: str
    lead: str
    blocks: tuple[Block, ...] = ()

    def shots(self) -> Iterator[Shot]:
        """All clips that are to be seen, in order."""
        for block in self.blocks:
            if isinstance(block, Strip):
                yield from block.shots


@dataclass(frozen=True, slots=True)
class Page:
    """A whole page.

    Attributes:
        title: Its heading.
        subtitle: Of what and when it was made.
        facts: The numbers at its top, each with what it counts.
        chapters: In order.
    """

    title: str
    subtitle: str
    facts: tuple[tuple[str, str], ...]
    chapters: tuple[Chapter, ...]

    def shots(self) -> list[Shot]:
        """All clips that are to be seen, in order."""
        return [shot for chapter in self.chapters for shot in chapter.shots()]
