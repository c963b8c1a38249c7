"""Pictures of clips as data URIs: stored ones, else made of their videos, up to a size."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import NamedTuple

from vidx.embedder.viewing.making import PICTURE_TYPE, wanted_of
from vidx.embedder.viewing.viewers import Viewers
from vidx.errors import VideoError
from vidx.records import Footage
from vidx.store.catalogue import Catalogue
from vidx.store.previews import PREVIEW_TYPE, previews

PROCESSES = 2
LONGER_SIDE = 320  # pixels
MOST_MESSAGE = 80  # characters of why there is no picture


class PictureSource(NamedTuple):
    """Where the picture of a clip is to be had.

    Attributes:
        footage: Its video.
        preview: What `embed` has stored, if it has.
    """

    footage: Footage
    preview: bytes | None


@dataclass(frozen=True, slots=True)
class Pictures:
    """What there is to see of clips.

    Attributes:
        uris: By clip_id.
        problems: Why there is none, by clip_id.
        num_left_out: Clips whose picture would have been one too many.
    """

    uris: dict[int, str] = field(default_factory=dict)
    problems: dict[int, str] = field(default_factory=dict)
    num_left_out: int = 0


def sources_of(catalogue: Catalogue, clips: Sequence[Footage]) -> list[PictureSource]:
    """Where the pictures of some clips are to be had, in this order."""
    stored = previews(catalogue, [clip.clip_id for clip in clips])
    return [PictureSource(clip, stored.get(clip.clip_id)) for clip in clips]


def pictures(
    clips: list[PictureSource],
    uses: Counter[int],
    most_characters: int,
    progress: Callable[[int, int], None],
) -> Pictures:
    """Have a picture of each clip, as long as there is room.

    Args:
        clips: Which, and where their pictures are to be had.
        uses: How often each will be shown.
        most_characters: Of all data URIs together, each counted as often as it is shown.
        progress: Called with how many clips are done, and of how many.
    """
    made, room = Pictures(), most_characters
    for number, (clip_id, uri) in enumerate(_in_order(clips), start=1):
        progress(number, len(clips))
        if isinstance(uri, VideoError):
            made.problems[clip_id] = uri.message[:MOST_MESSAGE]
            continue
        room -= len(uri) * uses[clip_id]
        if room < 0:
            left = len(clips) - number + 1
            return Pictures(made.uris, made.problems, left)
        made.uris[clip_id] = uri
    return made


def _in_order(clips: list[PictureSource]) -> Iterator[tuple[int, str | VideoError]]:
    """The picture of each clip, or why there is none, made a few at a time."""
    with closing(Viewers(PROCESSES)) as viewers, ThreadPoolExecutor(PROCESSES) as threads:
        asked: list[tuple[int, Future[str | VideoError]]] = [
            (clip.footage.clip_id, threads.submit(_picture, viewers, clip)) for clip in clips
        ]
        try:
            for clip_id, future in asked:
                yield clip_id, future.result()
        finally:
            for _, future in asked:
                future.cancel()


def _picture(viewers: Viewers, clip: PictureSource) -> str | VideoError:
    """A picture's URI; the one place that says where pictures come from."""
    if clip.preview:
        return _uri(PREVIEW_TYPE, clip.preview)
    try:
        return _uri(PICTURE_TYPE, viewers.make(wanted_of(clip.footage, "picture", LONGER_SIDE)))
    except VideoError as error:
        return error


def _uri(media_type: str, picture: bytes) -> str:
    return f"data:{media_type};base64,{b64encode(picture).decode()}"
