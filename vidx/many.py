"""Many queries in one go: embedded together, and searched for together."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from vidx.diversity import num_candidates
from vidx.embedder.decoding.events import Job
from vidx.embedder.pipeline import embed_videos
from vidx.errors import UsageError
from vidx.options import EmbedOptions, SearchOptions
from vidx.queries import (
    CutFinder,
    Query,
    embedded_query,
    query_plan,
    refuse_segments,
    stored_queries,
    vector_query,
    wanted,
)
from vidx.records import EmbedProgress, FailedQuery, Hit, Problem, SearchReport
from vidx.retrieval import search_each
from vidx.store.catalogue import Catalogue
from vidx.store.hits import hits_table
from vidx.store.survey import escaped
from vidx.store.table_files import check_name, write_table
from vidx.video_files import video_files
from vidx.views import Look, View

if TYPE_CHECKING:
    from vidx.embedder.encoder import Encoder

Queries: TypeAlias = "str | os.PathLike[str] | Sequence[str | os.PathLike[str] | int] | ArrayLike"
Progress: TypeAlias = Callable[[EmbedProgress], None]

VECTORS = 4096  # searched for in one call of the index
CANDIDATES = 1 << 17  # that are found for them together, where hits are to be diverse


class Asked(NamedTuple):
    """One query, and what the table says of it beside its number."""

    number: int
    told: dict[str, Any]
    query: Query


def search_many(
    look: Look,
    load_encoder: Callable[[], Encoder],
    queries: Queries,
    k: int,
    options: SearchOptions,
    *,
    output: Path | None,
    workers: int,
    progress: Progress | None,
) -> SearchReport:
    """Embed what has to be, search for all of it, and write the hits where they are wanted.

    Args:
        look: Gives the catalogue and the view of one state.
        load_encoder: Called where there are files.
        queries: Files and folders, clip ids, or vectors.
        k: Hits wanted of each.
        options: Which clips may be hits.
        output: A file for the hits, or None.
        workers: Decoding processes.
        progress: Called after each file, or None.

    Raises:
        UsageError: As `FileQueries` and `numbered_queries` say.
        VidxError: There are no videos, or the output cannot be written.
    """
    started, k = time.monotonic(), wanted(k)
    if output:
        check_name(output)
    paths, failed = paths_among(queries), []
    if paths is not None:
        files = FileQueries(paths, options)
        asked = files.embed(load_encoder(), workers, progress)
        failed = [files.failed[number] for number in sorted(files.failed)]
    with look() as (catalogue, view):
        if paths is None:
            asked = numbered_queries(catalogue, view, queries, options)
        table = hits_table(search_all(catalogue, view, asked, k, options))
    if output:
        write_table(table, output)
    clips = sum(len(one.query.vectors) for one in asked)
    seconds = time.monotonic() - started
    return SearchReport(len(asked) + len(failed), clips, tuple(failed), table, seconds)


def paths_among(queries: Queries) -> list[str | os.PathLike[str]] | None:
    """The files and folders that are searched for; None where it is clip ids or vectors."""
    if isinstance(queries, str | os.PathLike):
        return [queries]
    if isinstance(queries, np.ndarray) or not isinstance(queries, Sequence):
        return None
    if not queries:
        raise UsageError("there are no queries", "Name one or more.")
    are_paths = [isinstance(one, str | os.PathLike) for one in queries]
    if any(are_paths) and not all(are_paths):
        raise UsageError("the queries are paths and something else", "Ask for each by itself.")
    return list(queries) if all(are_paths) else None  # type: ignore[arg-type]


def numbered_queries(
    catalogue: Catalogue, view: View, queries: Queries, options: SearchOptions
) -> list[Asked]:
    """Clip ids or vectors as queries.

    Args:
        catalogue: The collection's.
        view: Its vectors.
        queries: Ids, whole numbers in one dimension; or vectors, one a row.
        options: What is asked of them.

    Raises:
        UsageError: They are neither, or no live clip has one of the ids.
    """
    try:
        asked = np.asarray(queries)
    except ValueError as error:
        raise UsageError(f"the queries are neither clip ids nor vectors: {error}") from error
    if asked.ndim == 1 and np.issubdtype(asked.dtype, np.integer):
        ids = asked.tolist()
        found = stored_queries(catalogue, view, ids)
        return [
            Asked(number, {"query_clip_id": clip_id}, query)
            for number, (clip_id, query) in enumerate(zip(ids, found, strict=True))
        ]
    if options.exclude_self:
        raise UsageError("exclude_self is of a video; a vector has no content.")
    refuse_segments(options, "a vector")
    whole = vector_query(asked, catalogue.manifest.space.dim)
    return [Asked(n, {}, Query((None,), row[None])) for n, row in enumerate(whole.vectors)]


class FileQueries:
    """Files to be searched for, embedded several at a time; a broken one costs itself alone.

    Args:
        paths: Files, and folders for the videos in them.
        options: What is searched for.

    Raises:
        UsageError: A path is not there, or a span is asked for, which is of one file.
        VidxError: There are no videos.
    """

    def __init__(self, paths: Sequence[str | os.PathLike[str]], options: SearchOptions) -> None:
        if (options.start_seconds, options.end_seconds) != (None, None):
            raise UsageError("A span is of one file.", "Search for that file by itself.")
        self.paths = video_files(paths, EmbedOptions()).paths
        self.options = options
        self.failed: dict[int, FailedQuery] = {}

    def embed(self, encoder: Encoder, workers: int, progress: Progress | None) -> list[Asked]:
        """Embed the files.

        Args:
            encoder: The collection's.
            workers: Decoding processes.
            progress: Called after each file.

        Returns:
            Those that could be embedded, in their order; `failed` has the others.
        """
        started, clips = time.monotonic(), 0
        plan = query_plan(self.options, encoder.space)
        jobs = [Job(number, path, plan) for number, path in enumerate(self.paths)]
        asked = []
        cuts = CutFinder(self.options)
        results = embed_videos(
            encoder, jobs, workers=workers, batch_size=None, lasting=True, watch=cuts.watch
        )
        for done, (job, outcome) in enumerate(results, start=1):
            if isinstance(outcome, Problem):
                self.failed[int(job.key)] = FailedQuery(escaped(job.path), outcome)
            else:
                clips += len(outcome.clips)
                query = embedded_query(job, outcome, self.options, cuts)
                asked.append(Asked(int(job.key), {"query_path": escaped(job.path)}, query))
            if progress:
                seconds = time.monotonic() - started
                step = EmbedProgress(done, len(jobs), clips, len(self.failed), seconds)
                progress(step)
        return sorted(asked, key=lambda one: one.number)


def search_all(
    catalogue: Catalogue, view: View, asked: Sequence[Asked], k: int, options: SearchOptions
) -> Iterator[tuple[int, dict[str, Any], list[Hit]]]:
    """The hits of each query, with its number and what is told of it."""
    for some in _batches(asked, k):
        found = search_each(catalogue, view, [one.query for one in some], k, options)
        for one, hits in zip(some, found, strict=True):
            yield one.number, one.told, hits


def _batches(asked: Sequence[Asked], k: int) -> Iterator[list[Asked]]:
    """As many queries at a time as keep what is found for them within some 100 MB."""
    most = min(VECTORS, max(1, CANDIDATES // num_candidates(k)))
    batch: list[Asked] = []
    vectors = 0
    for one in asked:
        batch.append(one)
        vectors += len(one.query.vectors)
        if vectors >= most:
            yield batch
            batch, vectors = [], 0
    if batch:
        yield batch
