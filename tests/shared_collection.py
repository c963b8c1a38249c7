"""The collection in a bucket that tests share among machines."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from made_collections import PREVIEWED, SPACE, draw_video

from vidx.store import working_copy
from vidx.store.at_hand import make_room
from vidx.store.layout import Layout, read_manifest
from vidx.store.writer import Batch, open_writer

BUCKET, NAME = "films", "kept/cats"  # the bucket is there
ADDRESS = f"s3://{BUCKET}/{NAME}"
On = Callable[[str], Layout]
Bound = Callable[[int], int]
Room = Callable[[float], int]
NAMES = "abcdefgh"  # of the videos of a full one, each a shard
CLIPS = 3  # of each


def commit(layout: Layout, *names: str) -> None:
    """Commit drawn videos as one shard, as somebody does who opens the collection for that."""
    working_copy.has_news(layout)
    with open_writer(layout, SPACE) as writer:
        drawn = [draw_video(name, CLIPS, previews=True) for name in names]
        writer.commit(Batch(videos=drawn), PREVIEWED)


def sizes(layout: Layout) -> dict[str, int]:
    """The shards that are here, and their sizes."""
    return {path.name: path.stat().st_size for path in layout.shards.glob("*.parquet")}


def taken(layout: Layout) -> int:
    """Bytes of shards on disk, those in the making included."""
    found: dict[int, int] = {}  # a file may have two names for a moment
    for folder in (layout.shards, layout.staging):
        for path, _, files in os.walk(folder):
            for file in files:
                with suppress(FileNotFoundError):
                    status = Path(path, file).stat()
                    found[status.st_ino] = status.st_size
    return sum(found.values())


def objects(s3: Any) -> list[str]:
    """The shards' objects, by first clip_id."""
    found = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{NAME}/shards/")["Contents"]
    return sorted(one["Key"] for one in found)


def put_all_out(layout: Layout, bound: Bound) -> None:
    bound(0)
    make_room(layout, read_manifest(layout))
    assert sizes(layout) == {}
