"""From results to what a person or a program reads."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import click

from vidx.words import printable


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
