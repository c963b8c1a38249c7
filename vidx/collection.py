"""A collection of clip vectors: the front door that ties embedder, store and index together."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, SupportsIndex, TypeAlias

from vidx.errors import CollectionDamaged, FingerprintMismatch, UsageError, VidxError
from vidx.records import (
    CollectionInfo,
    CompactReport,
    EmbedReport,
    Finding,
    Hit,
    Progress,
    RebuildReport,
    RemoveReport,
    RestoreReport,
    Space,
)
from vidx.stages import stage
from vidx.store import layout as layouts
from vidx.store.layout import Layout, Manifest

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from vidx.embedder.encoder import Encoder
    from vidx.encoder_choice import EncoderChoice
    from vidx.store.catalogue import Catalogue
    from vidx.store.writer import Writer
    from vidx.views import Views

Paths: TypeAlias = "str | os.PathLike[str] | Sequence[str | os.PathLike[str]]"

MAX_DEFAULT_WORKERS = 16


def open_collection(
    path: str | os.PathLike[str] | None = None, *, create: bool = False
) -> Collection:
    """Open a collection.

    Args:
        path: Its folder, or a folder that holds a `.vidx`. None looks at `VIDX_COLLECTION`, then
            for a `.vidx` here and in every folder above, as git finds `.git`.
        create: Whether it is fine if there is none yet: the first `embed` makes it.

    Returns:
        The collection; use it as a context manager or call `close`.

    Raises:
        CollectionNotFound: There is none, and `create` is false.
    """
    layout = layouts.find(path)
    if not create:
        layouts.require(layout)
    return Collection(layout)


class Collection:
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
        return f"Collection({str(self.path)!r})"

    @property
    def path(self) -> Path:
        """The collection's folder."""
        return self._layout.root

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
        *,
        model: str | os.PathLike[str] | None = None,
        device: str | None = None,
        dtype: str | None = None,
        num_frames: int | None = None,
        fps: float | None = None,
        stride_seconds: float | None = None,
        batch_size: int | None = None,
        workers: int | None = None,
        limit: int | None = None,
        retry_failed: bool = False,
        progress: Callable[[Progress], None] | None = None,
    ) -> EmbedReport:
        """Embed the videos among some files and folders that are new or have changed.

        What is committed stays, whenever the run ends; the same call goes on from there.

        Args:
            paths: Files, taken whatever their name, and folders, walked recursively for the
                extensions in `docs/cli.md`.
            model: Checkpoint folder, or hub id with optional `@revision`, or `builtin:tiny`. None:
                the collection's own, and for a new collection the Kinetics checkpoint.
            device: `cpu`, `cuda` (all there are) or `cuda:N`; several, separated by commas, share
                the work. None: cuda where there is one.
            dtype: `float32`, `float16` or `bfloat16`. None: float16 on cuda; on a CPU bfloat16
                where it is native and faster, else float32.
            num_frames: Frames sampled from a clip. None: the collection's, or the model's.
            fps: Frames sampled a second. None: the collection's, or 7.5.
            stride_seconds: From one clip's start to the next one's. None: back to back.
            batch_size: Clips in one batch. None: what suits the device and its free memory.
            workers: Decoding processes; 0 decodes in this one, without isolation. None: one a
                core, at most 16.
            limit: Look only at the first so many files, in sorted order. None: at all.
            retry_failed: Whether files that failed before are tried again.
            progress: Called with a `Progress` after each file.

        Returns:
            What became of the files.

        Raises:
            UsageError: A path is not there, or an argument is out of range.
            VidxError: There are no videos at these paths.
            FingerprintMismatch: The model or sampling is not the collection's.
            CollectionLocked: Another process is writing.
            ModelNotFound, CheckpointError, DeviceError: As their names say.
        """
        from vidx.encoder_choice import EncoderChoice, check_same_space
        from vidx.ingest import Ingest
        from vidx.views import extend_index

        _check_at_least(1, batch_size=batch_size, limit=limit)
        _check_at_least(0, workers=workers)
        files = _files(paths, limit)
        choice = EncoderChoice(model, device, dtype, num_frames, fps).on_every_device()
        space = self._manifest().space if self._layout.exists() else None
        # What was named is checked even when there turns out to be nothing to embed.
        named = self._encoder(choice, space) if space is None or choice.names_a_space() else None
        with self._writer(named.space if named else None) as writer:
            if named:
                check_same_space(named.space, writer.manifest.space, str(self.path))
            catalogue = self._views.catalogue()
            return Ingest(writer, stride_seconds, lambda: extend_index(catalogue), progress).run(
                files,
                lambda: self._encoder(choice, writer.manifest.space),
                workers=_default_workers() if workers is None else workers,
                batch_size=batch_size,
                retry_failed=retry_failed,
            )

    def survey(
        self,
        paths: Paths,
        *,
        num_frames: int | None = None,
        fps: float | None = None,
        stride_seconds: float | None = None,
        limit: int | None = None,
        retry_failed: bool = False,
    ) -> list[Finding]:
        """Say what `embed` would do with some files, and change nothing.

        Args:
            paths: As for `embed`.
            num_frames: As for `embed`.
            fps: As for `embed`.
            stride_seconds: As for `embed`.
            limit: As for `embed`.
            retry_failed: As for `embed`.

        Returns:
            One finding a file, in sorted order.
        """
        from vidx.embedder.decoding.sampling import Plan, Sampling
        from vidx.store.survey import survey

        files = _files(paths, limit)
        if not self._layout.exists():
            return list(survey(files, None, ""))
        space = self._manifest().space
        asked = Sampling(num_frames or space.num_frames, fps or space.fps)
        if asked != Sampling(space.num_frames, space.fps):
            raise FingerprintMismatch(
                f"{asked.num_frames} frames at {asked.fps:g} a second: the collection in "
                f"{self.path} has {space.num_frames} at {space.fps:g}",
                "Start another collection with --collection FOLDER, or leave these options out.",
            )
        plan = Plan(stride_seconds).digest(Sampling(space.num_frames, space.fps))
        return list(survey(files, self._catalogue(), plan, retry_failed=retry_failed))

    def search(
        self,
        query: str | os.PathLike[str] | SupportsIndex,
        k: int = 10,
        *,
        start_seconds: float | None = None,
        end_seconds: float | None = None,
        by: Literal["clip", "video"] = "clip",
        labels: str | Sequence[str] = (),
        path_glob: str | None = None,
        exclude_self: bool = False,
        model: str | os.PathLike[str] | None = None,
        device: str | None = None,
        dtype: str | None = None,
    ) -> list[Hit]:
        """Find the clips that are most similar to a video, a span of it, or a stored clip.

        Args:
            query: A video file, or the clip_id of a stored clip.
            k: Hits wanted.
            start_seconds: Begin of the span of a file that is searched for. None: its begin.
            end_seconds: End of that span. None: the end of the file.
            by: `clip` gives clips, `video` the best clip of each video.
            labels: Only clips that have one of these labels.
            path_glob: Only videos one of whose paths matches; `*` also matches `/`, and a
                pattern that begins with neither `/` nor `*` may begin at any folder.
            exclude_self: Whether to leave out the query's own content, under whatever path.
            model: Where the collection's model lies now, if it has moved.
            device: As for `embed`, but `cuda` is one device.
            dtype: As for `embed`.

        Returns:
            At most k hits, ranked by the best pair of a query clip and a stored clip. All clips
            that are committed take part, and fewer than k hits mean that there are no more.

        Raises:
            UsageError: The query is not there, or an argument is out of range.
            VideoError: The query cannot be decoded.
            FingerprintMismatch: The model is not the collection's.
        """
        with stage("start Python's libraries"):
            from vidx import retrieval
            from vidx.embedder.decoding.sampling import Plan
            from vidx.encoder_choice import EncoderChoice

        k = operator.index(k)
        _check_at_least(1, k=k)
        if by not in ("clip", "video"):
            raise UsageError(f"by={by!r}: it is 'clip' or 'video'.")
        names = (labels,) if isinstance(labels, str) else tuple(labels)
        with ExitStack() as stack:
            if not isinstance(query, str | os.PathLike):
                if start_seconds is not None or end_seconds is not None:
                    raise UsageError(
                        "A span is of a file: a stored clip has its own start and end."
                    )
                catalogue, view = stack.enter_context(self._views.now())
                wanted = retrieval.stored_query(catalogue, view, operator.index(query))
            else:
                span = Plan(start_seconds=start_seconds or 0.0, end_seconds=end_seconds)
                file = retrieval.query_file(query)
                choice = EncoderChoice(model, device, dtype)
                with stage("load the model"):
                    encoder = self._encoder(choice, self._manifest().space)
                with stage("decode and embed the query"):
                    wanted = retrieval.file_query(encoder, file, span, needs_id=exclude_self)
                with stage("open catalogue and index"):
                    catalogue, view = stack.enter_context(self._views.now())
            own = wanted.video_id if exclude_self else None
            filters = retrieval.Filters(names, path_glob, own)
            with stage("search the index"):
                return retrieval.search(catalogue, view, wanted, k, filters, by_video=by == "video")

    def clips(self, limit: int | None = None) -> pa.Table:
        """The clips by clip_id: clip_id, video_id, path, start_seconds, end_seconds, labels.

        Args:
            limit: Only the first so many. None: all.
        """
        from vidx.store.export import clips_table

        return clips_table(self._catalogue(), limit)

    def iter_clips(self) -> Iterator[pa.Table]:
        """The clips as in `clips`, in tables of some ten thousand rows, all of one state."""
        from vidx.store.export import clip_tables

        return clip_tables(self._catalogue())

    def vectors(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """All vectors, raw, in the order of clip_id.

        Returns:
            Ids int64 (n,) and vectors float32 (n, dim).
        """
        import numpy as np

        empty = (np.empty(0, np.int64), np.empty((0, self._manifest().space.dim), np.float32))
        parts = [empty, *self.iter_vectors()]
        return np.concatenate([ids for ids, _ in parts]), np.concatenate([v for _, v in parts])

    def iter_vectors(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """The vectors as in `vectors`, a shard at a time, all of one state."""
        from vidx.store.vectors import live_vectors

        return live_vectors(self._catalogue())

    def videos(self, limit: int | None = None) -> pa.Table:
        """The videos by path, with their locations, number of clips and whether they are whole.

        Args:
            limit: Only the first so many. None: all.
        """
        from vidx.store.export import videos_table

        return videos_table(self._catalogue(), limit)

    def failures(self, limit: int | None = None) -> pa.Table:
        """The files that could not be embedded, by path: path, reason, message.

        Args:
            limit: Only the first so many. None: all.
        """
        from vidx.store.export import failures_table

        return failures_table(self._catalogue(), limit)

    def commits(self, limit: int | None = None) -> pa.Table:
        """What was done to the collection, the latest first: number, time, verb, provenance.

        Args:
            limit: Only the last so many. None: all.
        """
        from vidx.store.export import commits_table

        return commits_table(self._catalogue(), limit)

    def info(self) -> CollectionInfo:
        """How much the collection holds, in which embedding space, and what made its vectors."""
        from vidx.views import fits, open_index

        manifest, catalogue = self._manifest(), self._catalogue()
        index = open_index(catalogue)
        with catalogue.now() as still:
            counts, covered = still.counts(), fits(index, still.state())
            end = index.end_clip_id if covered else 0
            return CollectionInfo(
                path=str(self.path),
                uuid=manifest.uuid,
                space=manifest.space,
                **{name: counts[name] for name in _COUNTS},
                indexed_clips=len(index) if covered else 0,
                newer_clips=still.count_clips(since=end),
                origins=tuple(still.origins()),
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
        from vidx.store.survey import escaped

        with self._writer(None) as writer:
            catalogue = self._catalogue()
            found = []
            for path in _as_list(paths):
                here = catalogue.paths_at(escaped(os.path.abspath(path)))
                if not here:
                    raise UsageError(
                        f"{os.fspath(path)!r} is not in the collection",
                        "`vidx videos` and `vidx failures` list what is.",
                    )
                found += here
            unique = sorted(set(found))
            done = writer.remove(unique)
            return RemoveReport(tuple(unique), done.videos, done.commit)

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
        with self._writer(None) as writer:
            done = writer.restore(operator.index(commit))
            return RestoreReport(commit, done.videos, done.commit)

    def compact(self) -> CompactReport:
        """Rewrite shards without the clips that are gone, and join small ones; ids stay.

        What was removed before cannot be restored after this. It goes on in small steps: one that
        is stopped loses nothing, and the same call goes on.

        Returns:
            What became smaller.

        Raises:
            CollectionLocked: Another process is writing.
            CollectionDamaged: A shard is missing or broken.
        """
        from vidx.store.compact import compact

        with self._writer(None) as writer:
            catalogue = self._catalogue()
            before = catalogue.counts()["shards"]
            clips = sum(compact(writer, catalogue))
            if clips:
                self._build_index()  # without them; then nothing asks for them any more
            writer.purge()
            after = catalogue.counts()["shards"]
            return CompactReport(clips, before, after, catalogue.state().commit)

    def verify(self) -> list[str]:
        """Check that shards, catalogue and index agree, reading all of them.

        Returns:
            One sentence for each thing that is wrong; empty when all agree.

        Raises:
            CollectionLocked: Another process is writing.
        """
        from vidx.store.lock import writing
        from vidx.store.vectors import stored_vectors
        from vidx.store.verify import disagreements
        from vidx.views import fits, open_index

        writable = os.access(self.path, os.W_OK)
        with writing(self._layout) if writable else nullcontext():
            try:
                manifest, catalogue = self._manifest(), self._catalogue()
                findings = disagreements(catalogue, manifest)
                index = open_index(catalogue)
                # Vectors that cannot be read cannot be compared; an index that does not fit is not
                # used.
                if findings or not fits(index, catalogue.state()):
                    return findings
                return index.disagreements(stored_vectors(catalogue))
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

    def _build_index(self) -> None:
        from vidx.views import build_index

        build_index(self._catalogue())

    def export(self, path: str | os.PathLike[str]) -> int:
        """Write all clips with their vectors and labels to one Parquet file.

        Args:
            path: The file; one that is there is replaced.

        Returns:
            Rows written.
        """
        from vidx.store.export import export

        return export(self._catalogue(), self._manifest().space.dim, Path(path))

    def _manifest(self) -> Manifest:
        return layouts.read_manifest(self._layout)

    def _catalogue(self) -> Catalogue:
        layouts.require(self._layout)  # first, so that a missing collection is told at once
        return self._views.catalogue()

    @cached_property
    def _views(self) -> Views:
        from vidx.views import Views

        return Views(self._layout)

    @contextmanager
    def _writer(self, space: Space | None) -> Iterator[Writer]:
        """Hold the collection's lock, with no id given out twice even if the catalogue is old."""
        from vidx import index
        from vidx.store.writer import open_writer
        from vidx.views import extend_index

        with open_writer(self._layout, space) as writer:
            writer.reserve(index.reach(self._layout.index, writer.manifest.uuid))
            extend_index(self._catalogue())  # what a killed writer could not, and as a check
            yield writer

    def _encoder(self, choice: EncoderChoice, space: Space | None) -> Encoder:
        """The encoder asked for, else the collection's own, else the default one; kept."""
        if space and (choice, space.fingerprint) in self._encoders:
            return self._encoders[choice, space.fingerprint]
        encoder = choice.load(space, str(self.path))
        for same in (choice, choice.of_collection()):
            self._encoders[same, encoder.space.fingerprint] = encoder
        return encoder


_COUNTS = ("videos", "partial", "locations", "clips", "failures", "shards")


def _as_list(paths: Paths) -> list[str | os.PathLike[str]]:
    return [paths] if isinstance(paths, str | os.PathLike) else list(paths)


def _files(paths: Paths, limit: int | None) -> list[str]:
    """The video files among some paths, sorted, and the folders that cannot be listed."""
    from vidx.embedder.decoding.files import find_videos

    found = find_videos(_as_list(paths))
    files = sorted(map(str, (*found.paths, *(folder for folder, _ in found.unreadable))))
    if not files:
        raise VidxError(
            f"no video files in {', '.join(str(path) for path in _as_list(paths))}",
            "A file that is named itself is always taken; docs/cli.md lists what folders give.",
        )
    return files[:limit]


def _check_at_least(least: int, **values: int | None) -> None:
    for name, value in values.items():
        if value is not None and value < least:
            raise UsageError(f"{name}={value}: it takes {least} or more.")


def _default_workers() -> int:
    if hasattr(os, "sched_getaffinity"):  # Linux: the cores that this process may use
        return min(len(os.sched_getaffinity(0)), MAX_DEFAULT_WORKERS)
    return min(os.cpu_count() or 1, MAX_DEFAULT_WORKERS)
