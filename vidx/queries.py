"""What is searched for: a file, a stored clip, vectors or several examples, as vectors."""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, SupportsIndex, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vidx.embedder.decoding.cuts import holds_cut
from vidx.embedder.decoding.events import ClipDecoded, ClipRepeated, Job
from vidx.embedder.decoding.sampling import BEYOND_END, READ_WHOLE, Plan
from vidx.embedder.pipeline import embed_videos
from vidx.errors import CollectionDamaged, UnknownId, UsageError, VideoError
from vidx.examples import direction, middle
from vidx.options import SearchOptions
from vidx.records import Clip, EmbeddedVideo, Problem, Space
from vidx.remote.file_systems import file_system
from vidx.remote.urls import checked, is_url
from vidx.segment_search import STRIDES
from vidx.stages import logger
from vidx.store.catalogue import Catalogue
from vidx.store.hashing import content_id
from vidx.views import View

if TYPE_CHECKING:
    from vidx.embedder.encoder import Encoder

Example: TypeAlias = "str | os.PathLike[str] | SupportsIndex | NDArray[np.floating]"
Examples: TypeAlias = "Example | Sequence[Example]"

_QUERY_BATCH = 8  # clips in one batch: a query is short, and measures no memory


@dataclass(frozen=True, slots=True)
class Query:
    """The clips that are searched for.

    Attributes:
        clips: m spans of the query; None where it is a vector alone.
        vectors: Float32, shape (m, dim).
        video_ids: SHA-256 (hex) of the bytes of what is searched for, where it was asked for.
        problem: Why clips of the query are missing, or None when it is whole.
        cuts: Of each clip, whether it shows a cut, shape (m,); None where nobody has looked.
    """

    clips: tuple[Clip | None, ...]
    vectors: NDArray[np.float32]
    video_ids: tuple[str, ...] = ()
    problem: Problem | None = None
    cuts: NDArray[np.bool_] | None = None


class CutFinder:
    """Looks for cuts in the clips of what is searched for, where they are asked for.

    Args:
        options: By what is searched.
    """

    def __init__(self, options: SearchOptions) -> None:
        self.wanted = options.by == "segment"
        self.found: dict[tuple[int | str, Clip], bool] = {}
        self.latest: dict[int | str, bool] = {}

    def watch(self, event: ClipDecoded | ClipRepeated) -> None:
        """See one clip; one without frames is as the one before it."""
        if self.wanted:
            key = event.job.key
            if isinstance(event, ClipDecoded):
                self.latest[key] = holds_cut(event.frames)
            self.found[key, event.clip] = self.latest[key]

    def of(self, job: Job, clips: Sequence[Clip]) -> NDArray[np.bool_] | None:
        """Which clips of a job show a cut, shape (m,); None where it was not asked for."""
        return np.array([self.found[job.key, clip] for clip in clips]) if self.wanted else None


def wanted(k: SupportsIndex) -> int:
    """How many hits.

    Raises:
        UsageError: None.
    """
    number = operator.index(k)
    if number < 1:
        raise UsageError(f"k={number}: it takes 1 or more.")
    return number


def query_file(path: str | os.PathLike[str]) -> str:
    """The absolute path, or the URL, of a file to search for.

    Raises:
        UsageError: There is no such file, or it is no URL that vidx reads.
    """
    if is_url(path):
        url = checked(os.fspath(path))
        file_system(url)  # says what is to be installed
        return url
    file = os.path.abspath(path)
    if not os.path.isfile(file):  # is_file() raises where a folder cannot be searched
        raise UsageError(f"{os.fspath(path)!r} is no file", "Name a video file or a clip_id.")
    return file


def file_query(encoder: Encoder, file: str, plan: Plan, options: SearchOptions) -> Query:
    """Embed the file that is searched for, or a span of it; the log tells of one that is damaged.

    Args:
        encoder: The collection's.
        file: The video's path or URL.
        plan: How it is cut into clips.
        options: What has to be known of it.

    Raises:
        VideoError: It cannot be decoded.
        UsageError: The span begins after the video's end.
    """
    jobs, cuts = [Job("query", file, plan)], CutFinder(options)
    [(job, outcome)] = embed_videos(
        encoder, jobs, workers=1, batch_size=_QUERY_BATCH, watch=cuts.watch
    )
    if isinstance(outcome, Problem):
        if outcome.reason == BEYOND_END:
            raise UsageError(f"{outcome.message}.", "Choose a start before that.")
        raise VideoError(outcome.reason, f"{file}: {outcome.message}")
    return embedded_query(job, outcome, options, cuts)


def embedded_query(
    job: Job, video: EmbeddedVideo, options: SearchOptions, cuts: CutFinder
) -> Query:
    """An embedded file as a query; the log tells of one that is damaged, or was read in vain."""
    for note in video.info.notes:
        if note.startswith(READ_WHOLE):
            logger.warning("%r was %s.", job.path, note)
    if problem := video.problem:  # told here, as there may be no hit to tell it
        message = "%r is damaged and was searched for in part: %s: %s."
        logger.warning(message, job.path, problem.reason, problem.message)
    video_ids = (content_id(job.path),) if options.exclude_self else ()
    shown = cuts.of(job, video.clips)
    return Query(video.clips, video.embeddings, video_ids, video.problem, shown)


def query_plan(options: SearchOptions, space: Space) -> Plan:
    """How a file that is searched for is cut into clips.

    Args:
        options: Which span of it, and what is found by it.
        space: Says how long a clip is.
    """
    stride = space.num_frames / space.fps / STRIDES if options.by == "segment" else None
    return Plan(stride, options.start_seconds or 0.0, options.end_seconds)


def stored_query(catalogue: Catalogue, view: View, clip_id: int) -> Query:
    """A stored clip as a query; errors as for `stored_queries`."""
    return stored_queries(catalogue, view, [clip_id])[0]


def stored_queries(catalogue: Catalogue, view: View, clip_ids: Sequence[int]) -> list[Query]:
    """Stored clips as queries.

    Raises:
        UsageError: No live clip has one of these ids.
    """
    asked = [number for number in set(clip_ids) if 0 <= number < view.state.next_clip_id]
    known = catalogue.clip_rows(asked)
    for clip_id in clip_ids:
        if clip_id not in known:
            raise UnknownId.of(clip_id)
    rows = view.index.rows_of(np.array(sorted(known), np.int64))
    ids, vectors = view.index.of_rows(rows).ids.tolist(), view.index.vectors_of(rows)
    place = {clip_id: number for number, clip_id in enumerate(ids)}
    if lacking := sorted(known.keys() - place.keys()):
        raise CollectionDamaged(
            f"the index lacks clip {lacking[0]}", "Run `vidx rebuild`: it makes the index anew."
        )
    return [
        Query(
            (Clip(known[one].start_seconds, known[one].end_seconds),),
            vectors[place[one] : place[one] + 1],
            (known[one].video_id,),
        )
        for one in clip_ids
    ]


def vector_query(vectors: ArrayLike, dim: int) -> Query:
    """Vectors as a query.

    Args:
        vectors: Shape (dim,) or (m, dim).
        dim: Of the collection.

    Raises:
        UsageError: They are no finite numbers of this shape.
    """
    try:
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is told below
            asked = np.atleast_2d(np.asarray(vectors, np.float32))
    except (TypeError, ValueError) as error:
        raise UsageError(f"the vectors are no numbers: {error}") from error
    if asked.ndim != 2 or asked.shape[1] != dim or not len(asked):
        shape = np.shape(vectors)
        raise UsageError(f"vectors of shape {shape}: the collection's are ({dim},) or (m, {dim}).")
    if not np.isfinite(asked).all():
        raise UsageError("the vectors have infinite or undefined numbers.")
    return Query((None,) * len(asked), asked)


def refuse_segments(options: SearchOptions, what: str) -> None:
    """Raise where segments are asked for, of something that has no times.

    Raises:
        UsageError: They are.
    """
    if options.by == "segment":
        raise UsageError(
            f"by='segment': {what} has no times that segments could match.",
            "Search for a video file or a stored clip, or by 'clip' or 'video'.",
        )


def examples(given: Examples) -> list[Example]:
    """One or several examples as a list."""
    return list(given) if isinstance(given, list | tuple) else [given]  # type: ignore[list-item]


def files_among(given: Sequence[Example]) -> list[str]:
    """The absolute paths, or URLs, of the examples that are files.

    Raises:
        UsageError: There is no such file.
    """
    return [query_file(one) for one in given if isinstance(one, str | os.PathLike)]


def is_clip_id(example: object) -> TypeGuard[SupportsIndex]:
    """Whether an example is a stored clip: a whole number, NumPy's too."""
    return isinstance(example, SupportsIndex) and not getattr(example, "ndim", 0)


def of_examples(
    catalogue: Catalogue, view: View, given: Sequence[Example], files: dict[str, Query]
) -> list[Query]:
    """Each example as a query.

    Args:
        catalogue: The collection's.
        view: Its vectors.
        given: Files, clip ids and vectors.
        files: The files among them, as queries.

    Raises:
        UsageError: No live clip has one of the ids, or a vector is none of the collection's space.
    """
    found = []
    for one in given:
        if isinstance(one, str | os.PathLike):
            found.append(files[query_file(one)])
        elif isinstance(one, np.ndarray) and one.ndim:
            found.append(vector_query(one, catalogue.manifest.space.dim))
        elif is_clip_id(one):
            found.append(stored_query(catalogue, view, operator.index(one)))
        else:
            raise UsageError(f"{one!r} is no example: it takes a file, a clip_id or an array.")
    return found


def examples_query(like: Sequence[Query], unlike: Sequence[Query], options: SearchOptions) -> Query:
    """Several examples as one query of a single vector.

    Args:
        like: What the hits shall be like; one or more.
        unlike: What they shall not be like.
        options: By what they are compared.

    Raises:
        UsageError: There is nothing to be like, or the examples take each other away.
    """
    if not like:
        raise UsageError("there is nothing to be like", "Name one example or more.")
    liked, unliked = (
        np.concatenate([np.empty((0, like[0].vectors.shape[1]), np.float32), *map(_examples, side)])
        for side in (like, unlike)
    )
    found = direction(liked, unliked, learns=options.likeness == "similar")
    if not found.any():
        raise UsageError("the examples of what is like and unlike are the same.")
    ids = tuple(one for query in (*like, *unlike) for one in query.video_ids)
    return Query((None,), found[None], ids)


def _examples(query: Query) -> NDArray[np.float32]:
    """A video is one example, however many clips it has; vectors are one each."""
    return query.vectors if query.clips[0] is None else middle(query.vectors)[None]
