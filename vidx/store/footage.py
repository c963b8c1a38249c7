"""Where the pictures of a clip are to be had."""

from __future__ import annotations

import os
import stat

from sqlalchemy import bindparam, select

from vidx.errors import UnknownId
from vidx.records import Clip, Footage, Source
from vidx.remote.urls import is_url
from vidx.store.catalogue import Catalogue
from vidx.store.places import places_of
from vidx.store.tables import clips, takes, videos

_OF_CLIP = (
    select(clips.c.start_seconds, clips.c.end_seconds, videos)
    .join(takes, takes.c.number == clips.c.take)
    .join(videos, videos.c.number == takes.c.video)
    .where(clips.c.clip_id == bindparam("clip_id"), clips.c.removed.is_(None))
)


def footage(catalogue: Catalogue, clip_id: int) -> Footage:
    """Look where a clip's video lies.

    Args:
        catalogue: The collection's.
        clip_id: The clip.

    Raises:
        UnknownId: No live clip has this id.
    """
    with catalogue.now() as still, still.reading() as connection:
        known = 0 <= clip_id < still.state().next_clip_id
        row = connection.execute(_OF_CLIP, {"clip_id": clip_id}).first() if known else None
        if row is None:
            raise UnknownId.of(clip_id)
        places = places_of(still, [row.video_id]).get(row.video_id, [])
    return Footage(
        clip_id,
        row.video_id,
        Clip(row.start_seconds, row.end_seconds),
        row.width,
        row.height,
        row.codec,
        row.container,
        tuple(place.path for place in places if _may_hold_it(place)),
    )


def _may_hold_it(place: Source) -> bool:
    """Whether a file is as it was when its bytes were hashed; nobody looks at a URL."""
    if is_url(place.path):
        return True
    try:
        status = os.stat(place.path)
    except (OSError, ValueError):
        return False
    same = (status.st_size, str(status.st_mtime_ns)) == (place.size_bytes, place.version)
    return same and stat.S_ISREG(status.st_mode)
