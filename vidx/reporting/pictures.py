"""Pictures of clips as data URIs: from their videos, in processes of their own, up to a size."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field

from vidx.embedder.viewing.making import PICTURE_TYPE, wanted_of
from vidx.embedder.viewing.viewers import Viewers
from vidx.errors import VideoError
from vidx.records import Footage
from vidx.store.catalogue import Catalogue
from vidx.store.footage import footage

PROCESSES = 2
LONGER_SIDE = 320  # pixels
MOST_MESSAGE = 80  # characters of why there is no picture


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


def footage_of(catalogue: Catalogue, clip_ids: Iterable[int]) -> list[Footage]:
    """Where the pictures of some clips are to be had; each clip comes once, in this order."""
    return [footage(catalogue, clip_id) for clip_id in dict.fromkeys(clip_ids)]


def pictures(
    clips: list[Footage],
    uses: Counter[int],
    most_characters: int,
    progress: Callable[[int, int], None],
) -> Pictures:
    """Make a picture of the middle of each clip, as long as there is room.

    Args:
        clips: Which, and where their pictures are to be had.
        uses: How often each will be shown.
        most_characters: Of all data URIs together, each counted as often as it is shown.
        progress: Called with how many clips are done, and of how many.
    """
    made, room = Pictures(), most_characters
    for number, (clip_id, answer) in enumerate(_in_order(clips), start=1):
        progress(number, len(clips))
        if isinstance(answer, VideoError):
            made.problems[clip_id] = answer.message[:MOST_MESSAGE]
            continue
        uri = f"data:{PICTURE_TYPE};base64,{b64encode(answer).decode()}"
        room -= len(uri) * uses[clip_id]
        if room < 0:
            left = len(clips) - number + 1
            return Pictures(made.uris, made.problems, left)
        made.uris[clip_id] = uri
    return made


def _in_order(clips: list[Footage]) -> Iterator[tuple[int, bytes | VideoError]]:
    """The picture of each clip, or why there is none, made a few at a time."""
    with closing(Viewers(PROCESSES)) as viewers, ThreadPoolExecutor(PROCESSES) as threads:
        asked: list[tuple[int, Future[bytes | VideoError]]] = [
            (clip.clip_id, threads.submit(_picture, viewers, clip)) for clip in clips
        ]
        try:
            for clip_id, future in asked:
                yield clip_id, future.result()
        finally:
            for _, future in asked:
                future.cancel()


def _picture(viewers: Viewers, clip: Footage) -> bytes | VideoError:
    """A picture as WebP; the one place that says where pictures come from."""
    try:
        return viewers.make(wanted_of(clip, "picture", LONGER_SIDE))
    except VideoError as error:
        return error
