"""A collection of clip vectors: the front door that ties embedder, store and index together."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, SupportsIndex, TypeAlias

from vidx.errors import (
    CollectionDamaged,
    CollectionLocked,
    FingerprintMismatch,
    UsageError,
    VidxError,
)
from vidx.measuring import Measuring
from vidx.options import EmbedOptions, Engine, IndexOptions, SearchOptions
from vidx.questions import Questions
from vidx.stages import logger, stage
from vidx.store import layout as layouts
from vidx.store.layout import Layout, Manifest
from vidx.teaching import Teaching

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import ArrayLike, NDArray

    from vidx.curating.part import Part
    from vidx.embedder.encoder import Encoder
    from vidx.encoder_choice import EncoderChoice
    from vidx.estimates import EmbedEstimate
    from vidx.many import Queries
    from vidx.masks import Rule
    from vidx.proposal import Proposal
    from vidx.queries import Examples
    from vidx.records import (
        ApplyReport,
        CollectionInfo,
        CompactReport,
        EmbedProgress,
        EmbedReport,
        FileFinding,
        Footage,
        Hit,
        IndexProgress,
        IndexReport,
        MetadataColumn,
        MetadataReport,
        PushProgress,
        PushReport,
        RebuildReport,
        RemoveReport,
        RestoreReport,
        SearchReport,
        SnapshotReport,
        Space,
        UndoReport,
    )
    from vidx.selection import Selection
    from vidx.store.catalogue import Catalogue
    from vidx.store.writer import Writer
    from vidx.together import Question
    from vidx.video_files import VideoFiles
    from vidx.views import View, Views

Paths: TypeAlias = "str | os.PathLike[str] | Sequence[str | os.PathLike[str]]"


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


class Collection(Questions, Teaching, Measuring):
    """A folder with the vectors, the catalogue and the index of one embedding space.

    Made by `vidx.open`. One object sees what other processes add: each call looks whether anything
    was committed since the last one. A model that was loaded is kept, and so are catalogue and
    index.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._encoders: dict[tuple[EncoderChoice, str], Encoder] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Collection({self._layout.told!r})"

    @property
    def path(self) -> Path:
        """The collection's folder; of one in a bucket, that of its working copy."""
        return self._layout.root

    @property
    def uuid(self) -> str:
        """The collection's identity: another one in the same folder has another."""
        return self._manifest().uuid

    def exists(self) -> bool:
        """Whether the collection has been made; with `create=True` the first `embed` makes it."""
        return self._layout.exists()

    def close(self) -> None:
        """Let go of the model, the catalogue and the index; the next call opens them again."""
        if "_views" in self.__dict__:
            self._views.close()
        for encoder in self._encoders.values():
            encoder.close()
        self._encoders.clear()

    def embed(
        self,
        paths: Paths,
        options: EmbedOptions | None = None,
        *,
        progress: Callable[[EmbedProgress], None] | None = None,
    ) -> EmbedReport:
        """Embed the videos among some files and folders that are new or have changed.

        What is committed stays, whenever the run ends; the same call goes on from there.

        Args:
            paths: Files, taken whatever their name, but those that end in .csv, .jsonl or .parquet
                are manifests, see `docs/manifests.md`; folders, walked recursively for the
                extensions in `docs/cli.md`, or with `any_ending` for all that holds video; and
                globs such as `videos/**/*.mp4`, whose files are taken as those of folders are. URLs
                of objects, prefixes and patterns likewise, see `docs/urls.md`.
            options: With which model, where and how. None: as the collection was made.
            progress: Called with an `EmbedProgress` after each file.

        Returns:
            What became of the files.

        Raises:
            UsageError: A path is not there, a glob matches nothing, or a manifest is malformed.
            NoVideos: There are no videos at these paths.
            VidxError: A column of a manifest may not be metadata, or a cluster cannot do the work.
            FingerprintMismatch: The model or sampling is not the collection's.
            CollectionLocked: Another process is writing.
            ModelNotFound, CheckpointError, DeviceError: As their names say.
        """
        from vidx.encoder_choice import EncoderChoice, check_same_space
        from vidx.engines import begun, engine_of, see_engine
        from vidx.ingest import Embedder, Ingest
        from vidx.video_files import video_files
        from vidx.views import extend_index

        asked = options or EmbedOptions()
        files = video_files(_as_list(paths), asked, self._metadata_columns)
        see_engine(asked.engine, asked.address)
        choice = EncoderChoice.of(asked)

        def load(space: Space | None) -> Encoder:  # torch comes only when there is need of it
            return self._encoder(choice.on_every_device(), space)

        space = self._manifest().space if self._layout.exists() else None
        # What was named is checked even when there turns out to be nothing to embed.
        named = load(space) if space is None or choice.names_a_space() else None

        def begin() -> AbstractContextManager[Embedder]:
            return engine_of(named or load(space), asked, files.paths)

        # Nodes that are refused leave no collection behind where there was none.
        beginning = begun(begin()) if space is None else nullcontext(begin)
        with (
            beginning as start,
            self._writer(named.space if named else None, alone=False) as writer,
        ):
            if named:
                check_same_space(named.space, writer.manifest.space, self._layout.told)
            catalogue = self._views.catalogue()

            def extend() -> None:
                with writer.indexing() as ours:
                    if ours:
                        extend_index(catalogue)

            ingest = Ingest(writer, asked, extend, progress)
            report = ingest.run(files, start)
            with writer.indexing() as ours:
                if ours:
                    self._tend_index(ingest.tell_index)
            return report

    def survey(self, paths: Paths, options: EmbedOptions | None = None) -> list[FileFinding]:
        """Say what `embed` would do with some files, and change nothing.

        Args:
            paths: As for `embed`.
            options: As for `embed`.

        Returns:
            One finding a file, in sorted order, after them those that are passed over, rows of
            manifests that are refused, and then those that are gone.

        Raises:
            UsageError, VidxError, FingerprintMismatch: As for `embed`.
        """
        from vidx.video_files import video_files

        asked = options or EmbedOptions()
        return self._findings(video_files(_as_list(paths), asked, self._metadata_columns), asked)

    def _findings(self, files: VideoFiles, asked: EmbedOptions) -> list[FileFinding]:
        from vidx.embedder.decoding.sampling import Plan, Sampling
        from vidx.remote.copies import Copies
        from vidx.store.survey import left_out, no_longer_there, refused, survey
        from vidx.video_files import gone_files

        others = [*left_out(files.passed_over), *refused(files.manifests.refused)]
        if not self._layout.exists():
            plans, copies = files.digests(Sampling()), Copies(files.objects)
            return [*survey(files.paths, None, "", copies=copies, plans=plans), *others]
        space = self._manifest().space
        own = Sampling(space.num_frames, space.fps)
        sampling = Sampling(asked.num_frames or own.num_frames, asked.fps or own.fps)
        if sampling != own:
            raise FingerprintMismatch(
                f"{sampling.num_frames} frames at {sampling.fps:g} a second: the collection in "
                f"{self._layout.told} has {own.num_frames} at {own.fps:g}",
                "Start another collection with --collection FOLDER, or leave these options out.",
            )
        plan = Plan(asked.stride_seconds, segment=asked.segment).digest(own)
        catalogue = self._catalogue()
        retry, copies = asked.retry_failed, Copies(files.objects)
        plans = files.digests(own)
        looks = survey(files.paths, catalogue, plan, retry_failed=retry, copies=copies, plans=plans)
        found = list(looks)
        return [*found, *others, *no_longer_there(gone_files(files, catalogue), found)]

    def estimate(self, paths: Paths, options: EmbedOptions | None = None) -> EmbedEstimate:
        """Say what `embed` would do with some files, and what it would take; change nothing.

        The headers of what would be embedded are read, of many files those of 1000, and some of
        the files embedded for a few seconds. A model is not downloaded for that.

        Args:
            paths: As for `embed`.
            options: As for `embed`.

        Returns:
            The findings of `survey`, with clips, hours of video, time and bytes on disk.

        Raises:
            UsageError, VidxError, FingerprintMismatch: As for `embed`.
        """
        from vidx.encoder_choice import EncoderChoice
        from vidx.estimating import estimate
        from vidx.video_files import video_files

        asked = options or EmbedOptions()
        files = video_files(_as_list(paths), asked, self._metadata_columns)
        findings = self._findings(files, asked)
        space = self._manifest().space if self._layout.exists() else None
        choice = EncoderChoice.of(asked)
        return estimate(
            findings,
            asked,
            space,
            lambda: self._encoder(choice.on_every_device(), space),
            plans=files.plans,
        )

    def search(
        self, file: str | os.PathLike[str], k: int = 10, options: SearchOptions | None = None
    ) -> list[Hit]:
        """Find the clips that are most similar to a video file, or to a span of it.

        Args:
            file: The video's path or URL.
            k: Hits wanted.
            options: Which span of it, which clips may be hits, and where to compute.

        Returns:
            At most k hits, ranked by the best pair of a query clip and a stored clip; with
            `by="segment"` each is a `Segment`, ranked by how much of both matches and how well.
            All clips that are committed take part, and fewer than k hits mean that there are no
            more.

        Raises:
            UsageError: The file is not there, or an argument is out of range.
            VideoError: It cannot be decoded.
            FingerprintMismatch: The model is not the collection's.
        """
        with stage("start Python's libraries"):
            from vidx import queries, retrieval

        asked = options or SearchOptions()
        wanted, query = queries.wanted(k), queries.query_file(file)
        plan = queries.query_plan(asked, self._manifest().space)
        encoder = self._query_encoder(asked)
        with stage("decode and embed the query"):
            embedded = queries.file_query(encoder, query, plan, asked)
        with stage("search the index"), self._look() as (catalogue, view):
            return retrieval.search(catalogue, view, embedded, wanted, asked)

    def search_by_id(
        self, clip_id: SupportsIndex, k: int = 10, options: SearchOptions | None = None
    ) -> list[Hit]:
        """Find the clips that are most similar to a stored clip.

        Args:
            clip_id: The clip.
            k: Hits wanted.
            options: Which clips may be hits; a span is of a file.

        Returns:
            As for `search`.

        Raises:
            UsageError: No live clip has this id, or an argument is out of range.
        """
        with stage("start Python's libraries"):
            from vidx import queries, retrieval

        asked = options or SearchOptions()
        if (asked.start_seconds, asked.end_seconds) != (None, None):
            raise UsageError("A span is of a file: a stored clip has its own start and end.")
        wanted, number = queries.wanted(k), operator.index(clip_id)
        with stage("search the index"), self._look() as (catalogue, view):
            query = queries.stored_query(catalogue, view, number)
            return retrieval.search(catalogue, view, query, wanted, asked)

    def search_by_vector(
        self, vectors: ArrayLike, k: int = 10, options: SearchOptions | None = None
    ) -> list[Hit]:
        """Find the clips that are most similar to some vectors of the collection's space.

        Args:
            vectors: Shape (dim,) or (m, dim); need not be normalised.
            k: Hits wanted.
            options: Which clips may be hits; a vector has neither a span nor content of its own.

        Returns:
            As for `search`, by the best of the m vectors.

        Raises:
            UsageError: The vectors are no finite numbers of this shape, or an argument is out of
                range.
        """
        from vidx import queries, retrieval

        asked = options or SearchOptions()
        if asked.exclude_self or (asked.start_seconds, asked.end_seconds) != (None, None):
            raise UsageError("exclude_self and a span are of a video; a vector has neither.")
        queries.refuse_segments(asked, "a vector")
        wanted = queries.wanted(k)
        with self._look() as (catalogue, view):
            query = queries.vector_query(vectors, catalogue.manifest.space.dim)
            return retrieval.search(catalogue, view, query, wanted, asked)

    def search_like(
        self,
        like: Examples,
        unlike: Examples = (),
        k: int = 10,
        options: SearchOptions | None = None,
    ) -> list[Hit]:
        """Find the clips that are like some examples, and not like some others.

        A search is made for one direction: the mean of what is like, less half the mean of what
        is unlike; from five of each on, the direction that tells them apart best, by logistic
        regression. Scores are cosine similarities to it. With `likeness="copy"` it is always the
        means.

        Args:
            like: A video file, a clip_id or a vector, or several of them in a list.
            unlike: Likewise; none by default.
            k: Hits wanted.
            options: Which clips may be hits, and where to compute. `exclude_self` leaves out the
                content of all examples that are files or stored clips.

        Returns:
            As for `search`.

        Raises:
            UsageError: There is nothing to be like, or an example is not what it may be.
            VideoError: A file cannot be decoded.
        """
        with stage("start Python's libraries"):
            from vidx import queries, retrieval

        asked = options or SearchOptions()
        queries.refuse_segments(asked, "a mixture of examples")
        wanted, plan = queries.wanted(k), queries.query_plan(asked, self._manifest().space)
        sides = [queries.examples(side) for side in (like, unlike)]
        found = {}
        if files := queries.files_among(sides[0] + sides[1]):
            encoder = self._query_encoder(asked)
            with stage("decode and embed the examples"):
                found = {file: queries.file_query(encoder, file, plan, asked) for file in files}
        with stage("search the index"), self._look() as (catalogue, view):
            liked, unliked = (queries.of_examples(catalogue, view, one, found) for one in sides)
            query = queries.examples_query(liked, unliked, asked)
            return retrieval.search(catalogue, view, query, wanted, asked)

    def search_many(
        self,
        queries: Queries,
        k: int = 10,
        options: SearchOptions | None = None,
        *,
        output: str | os.PathLike[str] | None = None,
        progress: Callable[[EmbedProgress], None] | None = None,
    ) -> SearchReport:
        """Search for many files, stored clips or vectors in one go.

        Files are embedded several at a time, as `embed` does; one that is broken is told in the
        report, and costs no other. All are searched for in one state of the collection.

        Args:
            queries: Files, and folders for the videos in them; or clip ids; or vectors, (m, dim).
            k: Hits wanted of each.
            options: As for `search`, without a span.
            output: A file for the hits: `.parquet`, `.csv` or `.jsonl`. None: none.
            progress: Called with an `EmbedProgress` after each file.

        Returns:
            The hits as one table, and the files that failed.

        Raises:
            UsageError: A path or a clip is not there, or an argument is out of range.
            VidxError: There are no videos at these paths, or the output cannot be written.
        """
        from vidx.many import search_many

        asked = options or SearchOptions()
        place = None if output is None else Path(output)
        return search_many(
            self._look,
            lambda: self._query_encoder(asked),
            queries,
            k,
            asked,
            output=place,
            workers=EmbedOptions().num_workers,
            progress=progress,
        )

    def search_together(
        self, questions: Sequence[Question], *, most_seconds: float | None = None
    ) -> list[list[Hit] | VidxError]:
        """Answer several searches as one: of one state, through model and index together.

        Args:
            questions: Each with its own k and options.
            most_seconds: How long one file may take to be decoded. None: any time.

        Returns:
            Of each its hits, as the verb for what it searches for gives them, or the error that
            this raises.

        Raises:
            VidxError: None of them can be answered: there is no collection, or no model.
        """
        from vidx.together import answers

        def load() -> Encoder:  # torch comes only where there are files
            return self._query_encoder(SearchOptions(device=device, dtype=dtype, model=model))

        one = questions[0].options if questions else SearchOptions()
        model, device, dtype = one.model, one.device, one.dtype
        space = self._manifest().space
        return answers(self._look, load, space, questions, most_seconds=most_seconds)

    def load_model(self, options: SearchOptions | None = None) -> None:
        """Load the model that searches for files take, which the first one does by itself.

        Args:
            options: Where it lies and computes. None: as the collection was made.

        Raises:
            FingerprintMismatch: The model is not the collection's.
            ModelNotFound, CheckpointError, DeviceError: As their names say.
        """
        self._query_encoder(options or SearchOptions())

    def footage(self, clip_id: SupportsIndex) -> Footage:
        """Where a clip's pictures are to be had.

        Args:
            clip_id: The clip.

        Raises:
            UnknownId: No live clip has this id.
        """
        from vidx.store.footage import footage

        return footage(self._catalogue(), operator.index(clip_id))

    def previews(self, clip_ids: Sequence[SupportsIndex]) -> dict[int, bytes]:
        """Small pictures of clips, as `embed` kept them with `previews`.

        Args:
            clip_ids: The clips. Those that lie together are read together, about a megabyte.

        Returns:
            JPEG files by clip_id, in the order of `clip_ids`. Clips that have none are left out.

        Raises:
            UnknownId: One of them is no live clip.
        """
        from vidx.store.previews import previews

        return previews(self._catalogue(), [operator.index(one) for one in clip_ids])

    def where(self, expression: str) -> Selection:
        """The clips of which an expression is true, to be searched, read or exported.

        Args:
            expression: Such as `label('walks') > .4 and duration_seconds < 60`; `docs/where.md`
                says what there is to ask of.

        Returns:
            The selection. It is lazy: each of its verbs asks the collection as it is then.

        Raises:
            UsageError: The expression cannot be read, or names what is not there.
        """
        from vidx.masks import Where, check
        from vidx.selection import Selection

        check(self._catalogue(), expression)
        return Selection(self, self._look, Where(expression))

    def choose(self, clip_ids: ArrayLike) -> Selection:
        """Some clips, by their ids: the same ones, whatever is added later.

        Args:
            clip_ids: int, shape (n,).

        Raises:
            UnknownId: No live clip has one of these ids.
            UsageError: They are no whole numbers.
        """
        import numpy as np

        from vidx.masks import chosen

        wanted = np.asarray(clip_ids)
        if wanted.ndim != 1 or not (np.issubdtype(wanted.dtype, np.integer) or not len(wanted)):
            raise UsageError("clip_ids are no whole numbers of shape (n,).")
        with self._look() as (_, view):
            return self._selection(chosen(view, wanted.astype(np.int64)))

    def selection(self, name: str) -> Selection:
        """The clips of a snapshot that are still there.

        Args:
            name: As it was saved with `Selection.save`.

        Raises:
            UsageError: There is none of this name.
        """
        from vidx.masks import Saved
        from vidx.selection import Selection
        from vidx.store.snapshots import file_of

        file_of(self._catalogue(), name)
        return Selection(self, self._look, Saved(name))

    def snapshots(self) -> pa.Table:
        """The snapshots, the oldest first: name, num_clips, num_missing, state, time, rule.

        `num_missing` of the `num_clips` are not in the collection any more; `state` is the commit
        at which they were selected, `rule` how.
        """
        from vidx.snapshots import listed

        return listed(self._look)

    def diff(self, before: str, after: str) -> pa.Table:
        """What two snapshots do not have in common, by clip_id: clip_id, change, is_missing.

        `change` is `added` where the clip is in `after` alone, and `removed` where it is in
        `before` alone; `is_missing` where it is not in the collection any more.

        Args:
            before: The name of a snapshot.
            after: And of another one.

        Raises:
            UsageError: There is none of one of these names.
        """
        from vidx.snapshots import difference

        return difference(self._look, before, after)

    def delete_snapshot(self, name: str) -> int:
        """Forget a snapshot; its clips stay.

        Args:
            name: The snapshot's.

        Returns:
            The number of the commit.

        Raises:
            UsageError: There is none of this name.
            CollectionLocked: Another process is writing.
        """
        from vidx.snapshots import delete

        with self._writer(None) as writer:
            return delete(writer, self._catalogue(), name)

    def _save(self, rule: Rule, name: str) -> SnapshotReport:
        from vidx.snapshots import save

        with self._writer(None) as writer:
            return save(writer, self._look, rule, name)

    def clips(self, limit: int | None = None, *, after: int | None = None) -> pa.Table:
        """The clips by clip_id: clip_id, video_id, path, times, facts, repeats, labels, metadata.

        `docs/formats.md` defines the facts, such as `brightness`; `repeats` says that a clip has
        the very pictures of the one before. Metadata is that of the clips' videos, then their own.

        Args:
            limit: Only the first so many. None: all.
            after: Only those behind the clip of this id. None: from the first one on.

        Raises:
            UsageError: The limit is below 1.
        """
        from vidx.store.export import clips_table

        return clips_table(self._catalogue(), limit, after=after)

    def iter_clips(self) -> Iterator[pa.Table]:
        """The clips as in `clips`, in tables of some ten thousand rows, all of one state."""
        from vidx.store.export import clip_tables

        return clip_tables(self._catalogue())

    def vectors(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """All vectors, raw, in the order of clip_id.

        Returns:
            Ids int64 (n,) and vectors float32 (n, dim).
        """
        from vidx.store.vectors import in_one, live_vectors

        return in_one(live_vectors(self._catalogue()), self._manifest().space.dim)

    def iter_vectors(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """The vectors as in `vectors`, a shard at a time, all of one state."""
        from vidx.store.vectors import live_vectors

        return live_vectors(self._catalogue())

    def videos(
        self, limit: int | None = None, *, after: str | None = None, remarked: bool = False
    ) -> pa.Table:
        """The videos by path, with all that is known of each.

        Their locations, number of clips and what the decoder learned; whether they are `whole` or
        `partial` (`status`), and why (`problem_reason`, `problem_message`); and `notes`: what was
        done to tell their times or what else their files hold, in plain sentences. Then what is
        known of them, a column of metadata each.

        Args:
            limit: Only the first so many. None: all.
            after: Only those behind this path. None: from the first one on.
            remarked: Only those that are partial or have notes.

        Raises:
            UsageError: The limit is below 1.
        """
        from vidx.store.export import videos_table

        return videos_table(self._catalogue(), limit, after=after, remarked=remarked)

    def failures(self, limit: int | None = None, *, after: str | None = None) -> pa.Table:
        """The files that could not be embedded, by path.

        path, reason, message, attempts, last_attempt: how many times this content was tried at
        this path, and when last (ISO 8601, UTC).

        Args:
            limit: Only the first so many. None: all.
            after: Only those behind this path. None: from the first one on.

        Raises:
            UsageError: The limit is below 1.
        """
        from vidx.store.export import failures_table

        return failures_table(self._catalogue(), limit, after=after)

    def commits(self, limit: int | None = None) -> pa.Table:
        """What was done to the collection, the latest first: number, time, verb, provenance.

        Args:
            limit: Only the last so many. None: all.

        Raises:
            UsageError: The limit is below 1.
        """
        from vidx.store.export import commits_table

        return commits_table(self._catalogue(), limit)

    def info(self) -> CollectionInfo:
        """How much the collection holds, in which embedding space, and what made its vectors."""
        from vidx import records
        from vidx.indexing import report
        from vidx.views import fits, open_index

        manifest, catalogue = self._manifest(), self._catalogue()
        index = open_index(catalogue)
        with catalogue.now() as still:
            counts, covered = still.counts(), fits(index, still.state())
            origins = tuple(still.origins())
            end = index.end_clip_id if covered else 0
            return records.CollectionInfo(
                path=self._layout.told,
                uuid=manifest.uuid,
                catalogue=manifest.catalogue,
                space=manifest.space,
                **{f"num_{name}": counts[name] for name in _COUNTS},
                num_previews=sum(one.num_clips for one in origins if one.has_previews),
                num_indexed_clips=len(index) if covered else 0,
                num_newer_clips=still.count_clips(since=end),
                index=report(index),
                metadata=tuple(still.metadata_columns()),
                origins=origins,
            )

    def remove(self, paths: Paths) -> RemoveReport:
        """Take files out of the collection; a video goes with its last location.

        The files themselves are not touched. Clips that go are masked at once; their rows stay in
        the shards, and `restore` brings them back, until `compact`.

        Args:
            paths: Files, or folders for all that lies in them.

        Returns:
            What was taken out.

        Raises:
            UsageError: One of the paths is not in the collection; nothing was changed.
            CollectionLocked: Another process is writing.
        """
        from vidx import records
        from vidx.remote.urls import absolute
        from vidx.store.survey import escaped

        with self._writer(None) as writer:
            catalogue = self._catalogue()
            found = []
            for path in _as_list(paths):
                here = catalogue.paths_at(escaped(absolute(path)))
                if not here:
                    raise UsageError(
                        f"{os.fspath(path)!r} is not in the collection",
                        "`vidx videos` and `vidx failures` list what is.",
                    )
                found += here
            unique = sorted(set(found))
            done = writer.remove(unique)
            return records.RemoveReport(tuple(unique), done.locations, done.videos, done.commit)

    def restore(self, commit: int) -> RestoreReport:
        """Take a removal back: its files and their clips are there again.

        Paths that hold something else since stay as they are.

        Args:
            commit: The removal's, as its report and `commits` tell.

        Returns:
            What was brought back.

        Raises:
            UsageError: The commit removed nothing, or what it removed was compacted since.
            CollectionLocked: Another process is writing.
        """
        from vidx import records

        with self._writer(None) as writer:
            done = writer.restore(operator.index(commit))
            return records.RestoreReport(commit, done.locations, done.videos, done.commit)

    def undo(self, commit: int) -> UndoReport:
        """Take a proposal back that was applied: its files and clips are there again.

        Files that were moved are moved back. What was deleted or became a link is lost, and told.

        Args:
            commit: The one that applied it, as its report and `commits` tell.

        Returns:
            What was brought back.

        Raises:
            UsageError: The commit applied no proposal, or that was taken back or compacted since.
            VidxError: A file cannot be moved back; the same again goes on.
            CollectionLocked: Another process is writing.
        """
        from vidx import applying

        with self._writer(None) as writer:
            return applying.undo(writer, self._catalogue(), operator.index(commit))

    def _apply(self, proposal: Proposal, files: str | None) -> ApplyReport:
        from vidx import applying

        with self._writer(None) as writer:
            table, told = proposal.table, proposal.told
            return applying.apply(writer, self._catalogue(), table, told, files)

    def set_metadata(
        self,
        table: object,
        *,
        on: str = "path",
        clear_empty: bool = False,
    ) -> MetadataReport:
        """Tell what you know of videos or clips: split, camera, licence, quality and the like.

        Columns become columns of metadata, with the types text, integer, real, boolean and
        timestamp; those that are not there yet are added, and each keeps its type. A value takes
        the place of what was there; an empty one, or NaN, says nothing.

        Args:
            table: A `pyarrow.Table`, or what `pyarrow.table` makes one of: a dictionary of columns,
                a pandas or polars DataFrame. Or the path of a `.csv`, `.jsonl` or `.parquet` file.
            on: The column that says whose a row is. `path`: any location of a video; a relative
                one in a file is looked for from the file's folder, then as in a table from the
                working folder. `video_id`: a video. `clip_id`: a clip.
            clear_empty: Whether empty values take out what was there.

        Returns:
            What was set, and which rows are about nothing in the collection.

        Raises:
            UsageError: The file is not there, or `on` is something else.
            VidxError: The file or table cannot be read, a column may not be as it is, two rows
                contradict each other, or no row is about anything here. Nothing was changed.
            CollectionLocked: Another process is writing.
        """
        from vidx.store.metadata.setting import set_metadata, table_of

        layouts.require(self._layout)
        with self._writer(None) as writer:
            catalogue = self._catalogue()
            whole, folders = table_of(table, catalogue)
            return set_metadata(writer, catalogue, whole, on, folders, clears=clear_empty)

    def compact(self) -> CompactReport:
        """Rewrite shards without the clips that are gone, and join small ones; ids stay.

        What was removed before cannot be restored after this. It goes on in small steps: one that
        is stopped loses nothing, and the same call goes on.

        Returns:
            What became smaller.

        Raises:
            CollectionLocked: Another process is writing.
            CollectionDamaged: A shard is missing or broken.
            VidxError: The collection is in a bucket.
        """
        from vidx import records
        from vidx.store.compact import compact, purge

        layouts.refuse_in_bucket(self._layout, "`vidx compact`")
        with self._writer(None) as writer:
            catalogue = self._catalogue()
            before = catalogue.counts()["shards"]
            clips = sum(compact(writer, catalogue))
            if catalogue.has_dropped():  # also by an earlier call that was stopped
                self._build_index()  # without them; then nothing asks for them any more
            purge(writer)
            after = catalogue.counts()["shards"]
            return records.CompactReport(clips, before, after, catalogue.state().commit)

    def verify(self) -> list[str]:
        """Check that shards, catalogue and index agree, reading all of them, and with the bucket.

        Shards that a working copy has put out are not fetched: their objects are looked for.

        Returns:
            One sentence for each thing that is wrong; empty when all agree.

        Raises:
            CollectionLocked: Another process is writing.
        """
        from vidx.store import verify, working_copy
        from vidx.store.lock import writing
        from vidx.store.vectors import stored_vectors
        from vidx.views import fits, open_index

        writable = os.access(self.path, os.W_OK)
        with writing(self._layout) if writable else nullcontext():
            try:
                manifest, catalogue = self._manifest(), self._catalogue()
                findings = verify.disagreements(catalogue, manifest)
                if self._layout.address is not None:
                    findings += working_copy.disagreements(catalogue)
                index = open_index(catalogue)
                # Vectors that cannot be read cannot be compared; an index that does not fit is not
                # used.
                if findings or not fits(index, catalogue.state()):
                    return findings
                return index.disagreements(stored_vectors(catalogue, fetching=False))
            except CollectionDamaged as error:
                return [error.problem]

    def rebuild(self) -> RebuildReport:
        """Make catalogue and index agree with the shards again; no shard is deleted, ids stay.

        Searches go on meanwhile: they see what was, and then what is.

        Raises:
            CollectionLocked: Another process is writing.
            VidxError: A file cannot be read for a reason that may pass; nothing was changed.
        """
        from vidx import index
        from vidx.store.lock import writing
        from vidx.store.rebuild import rebuild

        manifest = self._manifest()
        with writing(self._layout):
            reach = index.reach(self._layout.index, manifest.uuid)
            report = rebuild(self._layout, manifest, reach)
            self._build_index()
        return report

    def move_catalogue(self, address: str | None) -> str:
        """Copy the catalogue to another database, use it there, and delete it where it was.

        Args:
            address: `postgresql://USER@HOST/DATABASE`; a password in it is not kept. None: into the
                folder, as a file of SQLite.

        Returns:
            Where it is now.

        Raises:
            UsageError: The address is none, or the catalogue is there already.
            CollectionLocked: Another process is writing.
            VidxError: A database or the folder is in the way; the catalogue is where it was.
        """
        from vidx.store.moving import move_catalogue

        layouts.require(self._layout)
        layouts.refuse_in_bucket(self._layout, "moving the catalogue")
        return move_catalogue(self._layout, address)

    def _follow(self) -> None:
        """Bring the working copy of a bucket to what is there."""
        from vidx.store.shared_indexes import has_newer
        from vidx.store.working_copy import has_news

        news = has_news(self._layout)
        if not news and not (self.exists() and has_newer(self._layout)):
            return
        from vidx.sharing import fetch_index

        try:
            with self._writer(None):  # who opens it for writing has fetched all commits
                fetch_index(self._catalogue())
        except CollectionLocked:
            if not self._layout.catalogue.exists():
                raise
            # The other process fetches it, too; until then there is what was there.
        except VidxError as error:
            if news:
                raise
            logger.warning("the index in the bucket is not fetched: %s", error)

    def _build_index(self) -> None:
        from vidx.views import build_index

        build_index(self._catalogue())
        self._tend_index()

    def _tend_index(self, progress: Callable[[IndexProgress], None] = lambda _step: None) -> None:
        from vidx.indexing import tend_index
        from vidx.sharing import fetch_index, share_index

        catalogue = self._catalogue()
        fetch_index(catalogue)
        with stage("make the index"):
            made = tend_index(catalogue, progress)
        if made:
            share_index(catalogue)

    def index(
        self,
        options: IndexOptions | None = None,
        *,
        engine: Engine = "local",
        address: str | None = None,
        progress: Callable[[IndexProgress], None] | None = None,
    ) -> IndexReport:
        """Make the index that finds as often as asked, from scratch; searches go on meanwhile.

        `embed` does this by itself when it pays, as was last asked. Of a collection in a bucket
        the index is shared; one that another machine has made just so is fetched instead.

        Args:
            options: What kind, how well it is to find, and in how much memory. None: by the number
                of clips, 0.95.
            engine: `local` makes it on this machine, `ray` has each node of a Ray cluster make some
                of its parts, see `docs/cluster.md`.
            address: As for `EmbedOptions`.
            progress: Called with an `IndexProgress` at each step.

        Returns:
            What was made, and how well it finds.

        Raises:
            UsageError: What is asked cannot be had, with the numbers.
            CollectionLocked: Another process is writing.
            VidxError: A cluster cannot be reached or do the work; the index is as before.
        """
        from vidx.engines import builder_of, see_engine
        from vidx.indexing import make_index, timed_report
        from vidx.sharing import fetch_index, share_index, was_fetched

        see_engine(engine, address)
        asked, tell = options or IndexOptions(), progress or (lambda _step: None)
        with self._writer(None):
            catalogue = self._catalogue()
            fetch_index(catalogue)
            if was_fetched(catalogue, asked):
                return timed_report(catalogue)
            with builder_of(engine, address) as build:
                report = make_index(catalogue, asked, build, tell)
            share_index(catalogue)
            return report

    def push_index(
        self, address: str, *, progress: Callable[[PushProgress], None] | None = None
    ) -> PushReport:
        """Put a vector database in step with the collection, for searches with `via`.

        Clips that are new or whose metadata changed are put in, those that are gone taken out. A
        push that was ended at any moment is gone on with by the next one.

        Args:
            address: `milvus://HOST[:PORT]/NAME`, `milvus+https://HOST/NAME`, or
                `milvus:///PATH/FILE.db` for embedded Milvus. User and password are in the
                environment, as `VIDX_MILVUS_TOKEN=user:password`.
            progress: Called with a `PushProgress` after each 4096 clips.

        Returns:
            How many clips there are, were put in and taken out.

        Raises:
            UsageError: The address is wrong, or `vidx[milvus]` is not installed.
            VidxError: The database cannot be reached, holds other vectors, or fails.
        """
        from vidx.pushing import push

        return push(self._look, address, progress or (lambda _step: None))

    def check_index(self) -> IndexReport:
        """Search with clips of the collection, and compare with what should be found.

        Returns:
            As for `index`, with the recalls and times of now.
        """
        from vidx.indexing import check_index

        with self._look() as (_, view):
            return check_index(view)

    def export(self, path: str | os.PathLike[str]) -> int:
        """Write all clips with their vectors, labels and metadata to one Parquet file.

        Args:
            path: The file; one that is there is replaced.

        Returns:
            Rows written.
        """
        from vidx.store.export import export

        return export(self._catalogue(), self._manifest().space.dim, Path(path))

    def _metadata_columns(self) -> list[MetadataColumn]:
        return self._catalogue().metadata_columns() if self._layout.exists() else []

    def _manifest(self) -> Manifest:
        return layouts.read_manifest(self._layout)

    @contextmanager
    def _look(self) -> Iterator[tuple[Catalogue, View]]:
        layouts.require(self._layout)
        with self._views.now() as seen:
            yield seen

    @contextmanager
    def _part(self) -> Iterator[Part]:
        from vidx.curating.part import Part

        with self._look() as (catalogue, view):
            yield Part.of(catalogue, view, view.live)

    @contextmanager
    def _some_or_none(self) -> Iterator[Part]:
        from vidx.curating.part import Part

        with self._look() as (catalogue, view):
            yield Part.or_none(catalogue, view, view.live)

    def _told(self) -> tuple[str, str | None]:
        return "All clips", None

    def _selection(self, rule: Rule) -> Selection:
        from vidx.selection import Selection

        return Selection(self, self._look, rule)

    def _whole(self) -> Collection:
        return self

    def _catalogue(self) -> Catalogue:
        layouts.require(self._layout)  # first, so that a missing collection is told at once
        return self._views.catalogue()

    @cached_property
    def _views(self) -> Views:
        from vidx.views import Views

        return Views(self._layout)

    @contextmanager
    def _writer(self, space: Space | None, *, alone: bool = True) -> Iterator[Writer]:
        """Hold the collection's lock, with no id given out twice even if the catalogue is old."""
        from vidx import index
        from vidx.store.writer import open_writer
        from vidx.views import extend_index

        def extend() -> None:
            extend_index(self._catalogue())

        with open_writer(self._layout, space, alone=alone, entered=extend) as writer:
            writer.reserve(index.reach(self._layout.index, writer.manifest.uuid))
            with writer.indexing() as ours:
                if ours:
                    extend()  # what a killed writer could not, as a check
            yield writer

    def _query_encoder(self, options: SearchOptions) -> Encoder:
        """The encoder for what is searched for; what else is wrong is told before it is loaded."""
        from vidx import masks
        from vidx.encoder_choice import EncoderChoice

        with stage("open catalogue and index"), self._look() as seen:
            masks.allowed_rows(*seen, options)
        with stage("load the model"):
            choice = EncoderChoice(options.model, options.device, options.dtype)
            return self._encoder(choice, self._manifest().space)

    def _encoder(self, choice: EncoderChoice, space: Space | None) -> Encoder:
        """The encoder asked for, else the collection's own, else the default one; kept."""
        if space and (choice, space.fingerprint) in self._encoders:
            return self._encoders[choice, space.fingerprint]
        encoder = choice.load(space, self._layout.told)
        for same in (choice, choice.of_collection()):
            self._encoders[same, encoder.space.fingerprint] = encoder
        return encoder


_COUNTS = (
    "videos", "partial", "locations", "clips", "repeats", "failures", "shards", "unfinished"
)  # fmt: skip


def _as_list(paths: Paths) -> list[str | os.PathLike[str]]:
    return [paths] if isinstance(paths, str | os.PathLike) else list(paths)
