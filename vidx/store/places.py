"""Where the bytes of videos were seen, as files that can be opened."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select

from vidx.records import Source
from vidx.store.catalogue import Catalogue
from vidx.store.sql import SOME, among, grouped
from vidx.store.tables import locations, videos

_PLACES = (
    select(videos.c.video_id, locations.c.path, locations.c.size_bytes, locations.c.version)
    .join(videos, videos.c.number == locations.c.video)
    .where(videos.c.video_id.in_(SOME), locations.c.removed.is_(None))
    .order_by(locations.c.path)
)


def places_of(catalogue: Catalogue, video_ids: Iterable[str]) -> dict[str, list[Source]]:
    """The locations of some videos, each with its size and version when it was seen, by path."""
    with catalogue.reading() as connection:
        rows = among(connection, _PLACES, video_ids)
        return grouped((video_id, Source(*source)) for video_id, *source in rows)
