"""A part of a collection, with the verbs that make sense on a part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, SupportsIndex, TypeAlias

from vidx.errors import UsageError
from vidx.options import SearchOptions
from vidx.questions import Questions

if TYPE_CHECKING:
    import os

    import numpy as np
    import pyarrow as pa
    from numpy.typing import ArrayLike, NDArray

    from vidx.collection import Collection
    from vidx.curating.part import Part
    from vidx.embedder.datasets import FrameDataset, VectorDataset
    from vidx.many import Queries
    from vidx.masks import Rule
    from vidx.queries import Examples
    from vidx.records import EmbedProgress, ExportReport, Hit, SearchReport, SnapshotReport
    from vidx.store.catalogue import Catalogue
    from vidx.views import View

Look: TypeAlias = "Callable[[], AbstractContextManager[tuple[Catalogue, View]]]"


class Selection(Questions):
    """The clips of a collection that a rule leaves, and questions about them.

    Made by `Collection.where`, and of other selections of the same collection by `&` (what is in
    both), `|` (in either) and `-` (in the first alone). It holds no clips: each verb asks anew, of
    one state of the collection, and what was asked before in the same state is quick.

    Args:
        collection: The whole.
        look: Gives the catalogue and the view of the collection's state.
        rule: Which clips.
    """

    def __init__(self, collection: Collection, look: Look, rule: Rule) -> None:
        self.collection = collection
        self.rule = rule
        self._look = look

    def __repr__(self) -> str:
        return f"Selection({self.collection!r}: {self.rule})"

    def __and__(self, other: Selection) -> Selection:
        return self._joined("&", other)

    def __or__(self, other: Selection) -> Selection:
        return self._joined("|", other)

    def __sub__(self, other: Selection) -> Selection:
        return self._joined("-", other)

    def where(self, expression: str) -> Selection:
        """Those of its clips of which an expression is true.

        Args:
            expression: As for `Collection.where`.

        Raises:
            UsageError: The expression is wrong.
        """
        return self & self.collection.where(expression)

    def search(
        self, file: str | os.PathLike[str], k: int = 10, options: SearchOptions | None = None
    ) -> list[Hit]:
        """Find those of its clips that are most similar to a video file; as `Collection.search`."""
        return self.collection.search(file, k, self._within(options))

    def search_by_id(
        self, clip_id: SupportsIndex, k: int = 10, options: SearchOptions | None = None
    ) -> list[Hit]:
        """Find those of its clips that are most similar to a stored clip, which may be any.

        As `Collection.search_by_id`.
        """
        return self.collection.search_by_id(clip_id, k, self._within(options))

    def search_by_vector(
        self, vectors: ArrayLike, k: int = 10, options: SearchOptions | None = None
    ) -> list[Hit]:
        """Find those of its clips that are most similar to some vectors.

        As `Collection.search_by_vector`.
        """
        return self.collection.search_by_vector(vectors, k, self._within(options))

    def search_like(
        self,
        like: Examples,
        unlike: Examples = (),
        k: int = 10,
        options: SearchOptions | None = None,
    ) -> list[Hit]:
        """Find those of its clips that are like some examples; as `Collection.search_like`."""
        return self.collection.search_like(like, unlike, k, self._within(options))

    def search_many(
        self,
        queries: Queries,
        k: int = 10,
        options: SearchOptions | None = None,
        *,
        output: str | os.PathLike[str] | None = None,
        progress: Callable[[EmbedProgress], None] | None = None,
    ) -> SearchReport:
        """Search its clips for many queries in one go; as `Collection.search_many`."""
        within = self._within(options)
        return self.collection.search_many(queries, k, within, output=output, progress=progress)

    def count(self) -> int:
        """How many clips there are."""
        with self._look() as (catalogue, view):
            return int(self._mask(catalogue, view).sum())

    def clip_ids(self) -> NDArray[np.int64]:
        """The ids of its clips, int64 (n,), ascending."""
        with self._look() as (catalogue, view):
            return self._ids(catalogue, view)

    def clips(self, limit: int | None = None, *, after: int | None = None) -> pa.Table:
        """Its clips by clip_id, as `Collection.clips`.

        Args:
            limit: Only the first so many. None: all.
            after: Only those behind the clip of this id. None: from the first one on.

        Raises:
            UsageError: The limit is below 1.
        """
        from vidx.store.export import clips_table

        with self._look() as (catalogue, view):
            return clips_table(catalogue, limit, after=after, ids=self._ids(catalogue, view))

    def iter_clips(self) -> Iterator[pa.Table]:
        """Its clips as in `clips`, in tables of some ten thousand rows at most, of one state."""
        from vidx.store.export import clip_tables

        with self._look() as (catalogue, view):
            yield from clip_tables(catalogue, self._ids(catalogue, view))

    def vectors(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Its vectors, raw, in the order of clip_id.

        Returns:
            Ids int64 (n,) and vectors float32 (n, dim).
        """
        from vidx.store.vectors import in_one, live_vectors

        with self._look() as (catalogue, view):
            parts = live_vectors(catalogue, self._ids(catalogue, view))
            return in_one(parts, catalogue.manifest.space.dim)

    def iter_vectors(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Its vectors as in `vectors`, a shard at a time, of one state."""
        from vidx.store.vectors import live_vectors

        with self._look() as (catalogue, view):
            yield from live_vectors(catalogue, self._ids(catalogue, view))

    def videos(
        self, limit: int | None = None, *, after: str | None = None, remarked: bool = False
    ) -> pa.Table:
        """The videos that have one of its clips or more, as `Collection.videos`.

        What is told of a video is told of the whole of it; so `num_clips` counts all its clips.

        Args:
            limit: Only the first so many. None: all.
            after: Only those behind this path. None: from the first one on.
            remarked: Only those that are partial or have notes.

        Raises:
            UsageError: The limit is below 1.
        """
        from vidx.store.export import videos_table

        with self._look() as (catalogue, view):
            numbers = view.index.videos()[self._mask(catalogue, view)]
            return videos_table(catalogue, limit, after=after, remarked=remarked, numbers=numbers)

    def save(self, name: str) -> SnapshotReport:
        """Keep its clips of now by a name, for `Collection.selection`.

        Args:
            name: Of the snapshot, one that is not taken.

        Returns:
            What was kept.

        Raises:
            UsageError: The name is taken, or is none.
            VidxError: It has no clips, or the disk is full; nothing was changed.
            CollectionLocked: Another process is writing.
        """
        return self.collection._save(self.rule, name)

    def dataset(
        self, kind: str = "frames", columns: Sequence[str] = ()
    ) -> FrameDataset | VectorDataset:
        """Its clips of now as a `torch.utils.data.Dataset`, in the order of clip_id.

        Args:
            kind: `frames`: items have `pixel_values`, float32 (num_frames, 3, height, width), as
                the collection's model takes them, decoded when they are asked for. `vectors`: they
                have `vector`, float32 (dim,), raw; all are held in memory.
            columns: What else an item has beside `clip_id`: columns of `clips`, such as metadata.

        Returns:
            The data set, for a `DataLoader` with any number of workers.

        Raises:
            UsageError: There is no such kind or column, or a clip has no value in it.
            VidxError: It has no clips.
            ModelNotFound, CheckpointError: The model's preprocessing cannot be read.
        """
        from vidx.datasets import make_dataset

        with self._look() as (catalogue, view):
            return make_dataset(catalogue, self._ids(catalogue, view), kind, columns)

    def export(self, path: str | os.PathLike[str]) -> int:
        """Write its clips with their vectors and labels to one Parquet file.

        Args:
            path: The file; one that is there is replaced, if its name ends in `.parquet`.

        Returns:
            Rows written.

        Raises:
            UsageError: A file of another kind is there.
        """
        from vidx.store.export import export

        with self._look() as (catalogue, view):
            dim = catalogue.manifest.space.dim
            return export(catalogue, dim, Path(path), self._ids(catalogue, view))

    @contextmanager
    def _part(self) -> Iterator[Part]:
        from vidx.curating.part import Part

        with self._look() as (catalogue, view):
            yield Part.of(catalogue, view, self._mask(catalogue, view))

    def _some_or_none(self) -> AbstractContextManager[Part]:
        return self._part()  # one without clips is a mistake, as in every question

    def _told(self) -> tuple[str, str | None]:
        from vidx.masks import Where

        return f"The clips of {self.rule}", (
            self.rule.text if isinstance(self.rule, Where) else None
        )

    def _selection(self, rule: Rule) -> Selection:
        return Selection(self.collection, self._look, rule)

    def _whole(self) -> Collection:
        return self.collection

    def export_folder(
        self,
        path: str | os.PathLike[str],
        format: str = "files",  # noqa: A002 - as users call it
    ) -> ExportReport:
        """Write its clips to a folder that other tools read; videos are left as they are.

        A new folder has its name only when all is in it; into one that is there all is moved at
        the end. A video that is gone, or has changed since
        it was embedded, is passed over and told.

        Args:
            path: The folder, empty or not there yet.
            format: `files`: an MP4 file a clip, without sound, and `metadata.jsonl`, as Hugging
                Face's `datasets` loads it. `webdataset`: the like in tar files. `cuts`: where the
                clips lie in their videos, as CSV and as a script with FFmpeg. `fiftyone`: files
                with `samples.json`, as FiftyOne loads them.

        Returns:
            What was written, and what could not be had.

        Raises:
            UsageError: There is no such format, or the folder is not empty.
            VidxError: It has no clips, none can be had, or the disk is full: nothing is left.
        """
        from vidx.exports import export_folder

        with self._look() as (catalogue, view):
            return export_folder(catalogue, self._ids(catalogue, view), Path(path), format)

    def _mask(self, catalogue: Catalogue, view: View) -> NDArray[np.bool_]:
        from vidx.masks import living_rows

        return living_rows(catalogue, view, self.rule)

    def _ids(self, catalogue: Catalogue, view: View) -> NDArray[np.int64]:
        return view.index.ids_where(self._mask(catalogue, view))

    def _within(self, options: SearchOptions | None) -> SearchOptions:
        """Options that allow its clips alone, and of these what they allow by themselves."""
        asked = options or SearchOptions()
        if asked.where is None:
            return replace(asked, where=self)
        if isinstance(asked.where, str):
            return replace(asked, where=self.where(asked.where))
        return replace(asked, where=self & asked.where)

    def _joined(self, how: str, other: Selection) -> Selection:
        from vidx.masks import joined

        if not isinstance(other, Selection):
            return NotImplemented
        if other.collection.path != self.collection.path:
            raise UsageError(
                f"{self!r} and {other!r} are of two collections",
                "Join selections of one collection.",
            )
        return Selection(self.collection, self._look, joined(how, self.rule, other.rule))
