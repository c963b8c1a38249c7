"""Where clips lie in their videos, for FFmpeg and editors: nothing is cut or copied."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from vidx.durable import replacing
from vidx.exports.material import Material, Row, Whole

CSV, CONCAT = "cuts.csv", "cuts.ffconcat"
_FIRST = ("clip_id", "path", "start_seconds", "end_seconds")


def write_cuts(folder: Path, material: Material) -> None:
    """Write `cuts.csv`, one row a clip, and `cuts.ffconcat`, by which FFmpeg joins them.

    Args:
        folder: Where to.
        material: The clips.

    Raises:
        OSError: It cannot be written.
    """
    offsets = material.first_timestamps()
    with replacing(folder / CSV) as table, replacing(folder / CONCAT) as script:
        script.write(b"ffconcat version 1.0\n")
        names: list[str] = []
        for whole in material.videos():
            material.given(whole)
            offset = offsets.get(whole.rows[0]["video_id"], 0.0)
            for row in whole.rows:
                if not names:
                    names = [*_FIRST, *(name for name in row if name not in _FIRST)]
                    table.write(_line(names))
                script.write(_entry(whole, row, offset))
                table.write(_line([_cell(name, row, whole) for name in names]))


def _cell(name: str, row: Row, whole: Whole) -> object:
    value = whole.path if name == "path" else row[name]
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value


def _line(cells: list[object] | list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


def _entry(whole: Whole, row: Row, offset: float) -> bytes:
    """A clip as FFmpeg's concat demuxer has it; its times are the container's own."""
    start, end = row["start_seconds"] + offset, row["end_seconds"] + offset
    lines = (f"file {quoted(whole.path)}", f"inpoint {start:.6f}", f"outpoint {end:.6f}")
    return ("\n".join(lines) + "\n").encode()


def quoted(path: str) -> str:
    """A path as FFmpeg's scripts, and shells, take it: nothing within single quotes is special."""
    return "'" + path.replace("'", "'\\''") + "'"
