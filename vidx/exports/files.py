"""Files of clips with `metadata.jsonl`: a video folder, as Hugging Face's `datasets` loads it."""

from __future__ import annotations

import json
from pathlib import Path

from vidx.durable import replacing, sync_file, sync_folder
from vidx.exports.material import Material, Row, file_name

FOLDER = "clips"
METADATA = "metadata.jsonl"
NAME = "file_name"  # by which a row finds its file


def write_files(folder: Path, material: Material) -> None:
    """Write each clip as an MP4 file, and a line about each.

    Args:
        folder: Where to.
        material: The clips.

    Raises:
        OSError: It cannot be written.
    """
    clips = folder / FOLDER
    clips.mkdir()
    with replacing(folder / METADATA) as lines:
        for row, data in material.files():
            path = clips / f"{file_name(row)}.mp4"
            path.write_bytes(data)
            sync_file(path)
            about = {NAME: f"{FOLDER}/{path.name}", **_known(row)}
            lines.write(json.dumps(about, ensure_ascii=False).encode() + b"\n")
    sync_folder(clips)


def _known(row: Row) -> Row:
    """What is known of a clip; a column of the name by which a row finds its file has another."""
    other = f"vidx_{NAME}"
    while other in row:
        other = f"{other}_"
    return {other if name == NAME else name: value for name, value in row.items()}
