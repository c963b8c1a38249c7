"""Where clips lie in their videos, for FFmpeg and scripts: nothing is cut."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from vidx.durable import replacing
from vidx.exports.material import Material, Row, Whole, file_name

CSV, SCRIPT = "cuts.csv", "cuts.sh"
_FIRST = ("clip_id", "path", "start_seconds", "end_seconds")


def write_cuts(folder: Path, material: Material) -> None:
    """Write `cuts.csv`, one row a clip, and `cuts.sh`, by which FFmpeg cuts them out.

    Args:
        folder: Where to.
        material: The clips.

    Raises:
        OSError: It cannot be written.
    """
    offsets = material.first_timestamps()
    with replacing(folder / CSV) as table, replacing(folder / SCRIPT) as script:
        script.write(b"#!/bin/sh\nset -e\n")
        names: list[str] = []
        for whole in material.videos():
            material.given(whole)
            offset = offsets.get(whole.rows[0]["video_id"], 0.0)
            for row in whole.rows:
                if not names:
                    names = [*_FIRST, *(name for name in row if name not in _FIRST)]
                    table.write(_line(names))
                script.write(_command(whole, row, offset))
                table.write(_line([_cell(name, row, whole) for name in names]))


def _cell(name: str, row: Row, whole: Whole) -> object:
    value = whole.path if name == "path" else row[name]
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value


def _line(cells: list[object] | list[str]) -> bytes:
    """A row that ends in a newline; values with either half of the ending used here are quoted."""
    text, ending = io.StringIO(), "\r\n"
    csv.writer(text, lineterminator=ending).writerow(cells)
    return text.getvalue().removesuffix(ending).encode() + b"\n"


def _command(whole: Whole, row: Row, offset: float) -> bytes:
    """The line that cuts a clip out; its start is told in the container's own time."""
    start, length = row["start_seconds"] + offset, row["end_seconds"] - row["start_seconds"]
    source, target = quoted(whole.path), quoted(f"{file_name(row)}.mp4")
    span = f"-seek_timestamp 1 -ss {start:.6f} -t {length:.6f}"
    return f"ffmpeg -nostdin -v error -n {span} -i {source} -an {target}\n".encode()


def quoted(path: str) -> str:
    """A path as a shell takes it: within single quotes nothing else is special."""
    return "'" + path.replace("'", "'\\''") + "'"
