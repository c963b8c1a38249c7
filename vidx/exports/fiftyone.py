"""Files of clips with `samples.json`, which FiftyOne loads as a data set of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from vidx.durable import replacing, sync_file, sync_folder
from vidx.exports.material import Material, Row, file_name

DATA, SAMPLES, METADATA = "data", "samples.json", "metadata.json"
# Names that FiftyOne uses itself, or that would hide a method of its samples.
TAKEN = frozenset(
    {"id", "filepath", "tags", "metadata", "created_at", "last_modified_at", "frames", "labels"}
)


def write_fiftyone(folder: Path, material: Material) -> None:
    """Write each clip as an MP4 file, and samples that name them.

    FiftyOne reads a folder whose `metadata.json` has no version as plain JSON, whose fields it
    finds out by itself.

    Args:
        folder: Where to.
        material: The clips.

    Raises:
        OSError: It cannot be written.
    """
    data = folder / DATA
    data.mkdir()
    with replacing(folder / SAMPLES) as samples:
        separator = b'{"samples": [\n'
        for row, video in material.files():
            path = data / f"{file_name(row)}.mp4"
            path.write_bytes(video)
            sync_file(path)
            about = {"filepath": f"{DATA}/{path.name}", **_fields(row)}
            samples.write(separator + json.dumps(about, ensure_ascii=False).encode())
            separator = b",\n"
        samples.write(b"\n]}\n")
    sync_folder(data)
    with replacing(folder / METADATA) as about_all:
        about_all.write(json.dumps({"info": {"exported_by": "vidx"}}).encode())


def _fields(row: Row) -> Row:
    """What is known of a clip, as fields of a sample; a field without a value is left out."""
    labels = [
        {"_cls": "Classification", "label": one["name"], "confidence": one["score"]}
        for one in row["labels"]
    ]
    others = {name: value for name, value in row.items() if name != "labels" and value is not None}
    names = dict(_field_names(others))
    fields = {names[name]: value for name, value in others.items()}
    if labels:
        fields["predictions"] = {"_cls": "Classifications", "classifications": labels}
    return fields


def _field_names(names: Row) -> Iterator[tuple[str, str]]:
    """For each name one that FiftyOne takes, no two alike."""
    used = {"predictions"}
    for name in names:
        plain = re.sub(r"\W", "_", name).strip("_") or "field"
        if plain in TAKEN or plain[0].isdigit():
            plain = f"vidx_{plain}"
        while plain in used:
            plain = f"{plain}_"
        used.add(plain)
        yield name, plain
