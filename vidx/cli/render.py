"""From results to what a person or a program reads."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import click


def print_json(value: Any, *, on_one_line: bool = False) -> None:
    """Print a value as JSON to standard output; times in the form of ISO 8601."""
    indent = None if on_one_line else 2
    click.echo(json.dumps(value, ensure_ascii=False, indent=indent, default=datetime.isoformat))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], right: str = "") -> None:
    """Print a table to standard output.

    Args:
        columns: Headings.
        rows: Cells, each as long as `columns`.
        right: Headings, separated by spaces, of the columns that are set right.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        justify: Any = "right" if column in right.split() else "left"
        table.add_column(column, justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    # A file or pipe has no width of its own: only very long paths are folded there.
    Console(highlight=False, width=None if sys.stdout.isatty() else 1000).print(table)


def shown_path(path: str) -> str:
    """A path for a person: relative where it lies below, control characters escaped."""
    here = os.getcwd()
    return printable(os.path.relpath(path, here) if path.startswith(here + "/") else path)


def printable(text: str) -> str:
    """Text with control characters escaped, so that a file's name cannot drive a terminal."""
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character).startswith("C")
        else character
        for character in text
    )


def span(start_seconds: float, end_seconds: float) -> str:
    """A clip's times, such as `1:02.1-1:04.3`."""
    return f"{clock(start_seconds)}-{clock(end_seconds)}"


def clock(seconds: float) -> str:
    """A time, such as `1:02.1` or `1:02:03.4`."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest / 10:04.1f}" if hours else f"{minutes}:{rest / 10:04.1f}"


def in_words(seconds: float) -> str:
    """How long something takes, such as `40 s`, `12 min` or `3.4 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:,.1f} h"


def count(number: int, noun: str) -> str:
    """A number with its noun, such as `1 clip` or `2 clips`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
