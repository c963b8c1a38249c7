"""Which of the places of a video still holds what was embedded."""

from __future__ import annotations

from collections.abc import Sequence

from vidx.embedder.decoding.container import FileState, file_state
from vidx.errors import VideoError
from vidx.records import Source
from vidx.remote.urls import is_url


def unchanged(places: Sequence[Source]) -> tuple[str, FileState]:
    """The first place whose size and version are those of when it was embedded.

    Args:
        places: Where the video was seen.

    Returns:
        Its path, and what the file is like.

    Raises:
        VideoError: None is so; the last one says why.
    """
    trouble = VideoError("unreadable", "the collection knows no place of it any more")
    for place in places:
        try:
            state = file_state(place.path)
        except VideoError as error:
            trouble = VideoError(error.reason, f"{place.path}: {error.message}")
            continue
        version = place.version if is_url(place.path) else int(place.version)
        if state == FileState(place.size_bytes, version):
            return place.path, state
        message = f"{place.path}: it has changed since it was embedded"
        trouble = VideoError("changed_while_reading", message)
    raise trouble
