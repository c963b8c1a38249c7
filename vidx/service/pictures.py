"""Pictures: what there is to see of a clip, made when it is asked for and kept on disk."""

from __future__ import annotations

import hashlib
import html
from pathlib import Path
from typing import Literal

from vidx.cache import cache_folder
from vidx.collection import Collection
from vidx.embedder.viewing.making import wanted_of
from vidx.embedder.viewing.viewers import Viewers
from vidx.records import Footage
from vidx.remote.urls import is_url
from vidx.service.disk_cache import DiskCache
from vidx.service.problems import Refused, not_found
from vidx.service.settings import Limits

PROCESSES = 2
LONGER_SIDES = {"picture": 480, "film": 640}
# What browsers play, as far as the catalogue tells; a page tries, and has the film else.
_PLAYED = {
    "mov,mp4,m4a,3gp,3g2,mj2": ("video/mp4", ("h264", "vp9", "av1")),
    "matroska,webm": ("video/webm", ("vp8", "vp9", "av1")),
}


class Pictures:
    """Makes pictures and films of clips, and finds the files that browsers play as they are.

    Args:
        collection: Whose clips.
        limits: How much is kept.
    """

    def __init__(self, collection: Collection, limits: Limits) -> None:
        self._collection = collection
        self._viewers = Viewers(PROCESSES)
        self._cache = DiskCache(cache_folder() / "viewing", limits.cache_bytes)

    def preview(self, clip_id: int) -> bytes | Path:
        """What a clip looks like: the picture that `embed` has stored, else the file of one made.

        Args:
            clip_id: The clip.

        Raises:
            UnknownId, VideoError: As for `of_clip`.
        """
        return self._collection.previews([clip_id]).get(clip_id) or self.of_clip(clip_id, "picture")

    def of_clip(self, clip_id: int, kind: Literal["picture", "film"]) -> Path:
        """The file with a picture or a film of a clip.

        Args:
            clip_id: The clip.
            kind: Which.

        Raises:
            UnknownId: No live clip has this id.
            VideoError: It cannot be made; `unreadable` where its source is gone.
        """
        footage = self._collection.footage(clip_id)
        clip = footage.clip
        named = f"{kind} {footage.video_id} {clip.start_seconds!r} {clip.end_seconds!r}"
        key = hashlib.sha256(named.encode()).hexdigest()
        return self._cache.get(key, lambda: self._made(footage, kind))

    def source(self, video_id: str) -> tuple[Path, str]:
        """The file of a video and its media type, where browsers may play it.

        Raises:
            Refused: There is no such video, no file, or none that browsers play.
        """
        rows = self._collection.where(f"video_id = '{video_id}'").clips(1).to_pylist()
        if not rows:
            raise not_found("video of this id")
        footage = self._collection.footage(rows[0]["clip_id"])
        kind, codecs = _PLAYED.get(footage.container, ("", ()))
        if footage.codec not in codecs:
            raise Refused(
                415, "not_played", f"browsers do not play {footage.codec} in {footage.container}",
                "Ask for the span of a clip.",
            )  # fmt: skip
        files = [path for path in footage.paths if not is_url(path)]
        if not files:
            raise Refused(404, "source_gone", "no file of this video is as it was when embedded")
        return Path(files[0]), kind

    def close(self) -> None:
        """End the decoding processes."""
        self._viewers.close()

    def _made(self, footage: Footage, kind: Literal["picture", "film"]) -> bytes:
        return self._viewers.make(wanted_of(footage, kind, LONGER_SIDES[kind]))


def plain_picture(text: str) -> bytes:
    """A picture, as SVG, that says why there is none."""
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="320" height="180" viewBox="0 0 320 180">'
        '<rect width="320" height="180" fill="#777"/><text x="160" y="94" fill="#fff" '
        f'font-family="sans-serif" font-size="15" text-anchor="middle">{html.escape(text)}</text>'
        "</svg>"
    ).encode()
