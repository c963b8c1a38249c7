"""A collection of clip vectors: the front door that ties embedder, store and index together."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vidx.collection.contents import Contents
from vidx.collection.embedding import Embedding
from vidx.collection.measuring import Measuring
from vidx.collection.searching import Searching
from vidx.collection.teaching import Teaching
from vidx.collection.upkeep import Upkeep
from vidx.errors import CollectionLocked, VidxError
from vidx.questions import Questions
from vidx.stages import logger
from vidx.store import layout as layouts

if TYPE_CHECKING:
    from vidx.masks import Rule
    from vidx.selection import Selection


def open_collection(
    path: str | os.PathLike[str] | None = None, *, create: bool = False
) -> Collection:
    """Open a collection.

    Args:
        path: Its folder, a folder that holds a `.vidx`, or `s3://bucket/name`, see
            `docs/object_storage.md`. None looks at `VIDX_COLLECTION`, then for a `.vidx` here and
            in every folder above, as git finds `.git`.
        create: Whether it is fine if there is none yet: the first `embed` makes it.

    Returns:
        The collection; use it as a context manager or call `close`.

    Raises:
        CollectionNotFound: There is none, and `create` is false.
        VidxError: Its bucket cannot be read.
    """
    layout = layouts.find(path)
    collection = Collection(layout)
    if layout.address is not None:
        collection._follow()
    if not create:
        layouts.require(layout)
    return collection


class Collection(Embedding, Searching, Contents, Upkeep, Teaching, Measuring, Questions):
    """A folder with the vectors, the catalogue and the index of one embedding space.

    Made by `vidx.open`. One object sees what other processes add: each call looks whether anything
    was committed since the last one. A model that was loaded is kept, and so are catalogue and
    index.
    """

    def _follow(self) -> None:
        """Bring the working copy of a bucket to what is there."""
        from vidx.store.shared_indexes import has_newer
        from vidx.store.working_copy import has_commits, has_news

        news = has_news(self._layout)
        if not news and not (self.exists() and has_newer(self._layout)):
            return
        from vidx.sharing import fetch_index

        try:
            with self._writer(None):  # who opens it for writing has fetched all commits
                fetch_index(self._catalogue())
        except CollectionLocked as error:
            if not news:
                return  # whoever holds the lock fetches the index, or the next look does
            if not has_commits(self._layout):
                raise
            logger.warning("answers are of an earlier state than the bucket's: %s", error.problem)
        except VidxError as error:
            if news:
                raise
            logger.warning("the index in the bucket is not fetched: %s", error)

    def _told(self) -> tuple[str, str | None]:
        return "All clips", None

    def _selection(self, rule: Rule) -> Selection:
        from vidx.selection import Selection

        return Selection(self, self._look, rule)

    def _whole(self) -> Collection:
        return self
