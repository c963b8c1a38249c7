"""Several searches answered as one: files embedded together, and searched for together."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vidx.embedder.decoding.events import ClipDecoded, ClipRepeated, Job
from vidx.embedder.decoding.pool import Limits
from vidx.embedder.decoding.sampling import BEYOND_END
from vidx.embedder.pipeline import embed_videos
from vidx.errors import UsageError, VideoError, VidxError
from vidx.options import SearchOptions
from vidx.queries import (
    CutFinder,
    Query,
    embedded_query,
    examples_query,
    is_clip_id,
    of_examples,
    query_file,
    query_plan,
    refuse_segments,
    wanted,
)
from vidx.records import Hit, Problem, Space
from vidx.retrieval import search_each
from vidx.store.catalogue import Catalogue
from vidx.views import Look, View

if TYPE_CHECKING:
    from vidx.embedder.encoder import Encoder

File: TypeAlias = "str | os.PathLike[str]"
Example: TypeAlias = "File | int | NDArray[np.float64]"
Found: TypeAlias = "dict[tuple[int, str], Query | VidxError]"

DECODERS = 2
BATCH = 8  # clips: queries are short


@dataclass(frozen=True, slots=True)
class Question:
    """One search.

    Attributes:
        like: What is searched for: a file, a clip_id or vectors; several are examples of what hits
            shall be like.
        unlike: Examples of what they shall not be like.
        k: Hits wanted.
        options: Which clips may be hits.
        is_mixture: Whether one direction is made of the examples, also where there is only one.

    Raises:
        UsageError: It does not fit together.
    """

    like: tuple[Example, ...]
    unlike: tuple[Example, ...] = ()
    k: int = 10
    options: SearchOptions = field(default_factory=SearchOptions)
    is_mixture: bool = False

    def __post_init__(self) -> None:
        wanted(self.k)
        if self.is_mixture:
            refuse_segments(self.options, "a mixture of examples")
        elif len(self.like) != 1 or self.unlike:
            raise UsageError("one thing is searched for, or a mixture of examples.")
        elif isinstance(self.like[0], np.ndarray):
            refuse_segments(self.options, "a vector")
            if self.options.exclude_self or self._has_span():
                raise UsageError("exclude_self and a span are of a video; a vector has neither.")
        elif is_clip_id(self.like[0]) and self._has_span():
            raise UsageError("A span is of a file: a stored clip has its own start and end.")

    def _has_span(self) -> bool:
        return (self.options.start_seconds, self.options.end_seconds) != (None, None)

    @property
    def files(self) -> tuple[str, ...]:
        """Absolute paths, or URLs, of the files among what is searched for."""
        both = (*self.like, *self.unlike)
        return tuple(query_file(one) for one in both if isinstance(one, str | os.PathLike))


def answers(
    look: Look,
    load_encoder: Callable[[], Encoder],
    space: Space,
    questions: Sequence[Question],
    *,
    most_seconds: float | None,
) -> list[list[Hit] | VidxError]:
    """Answer several questions in one state of the collection.

    Args:
        look: Gives the catalogue and the view of that state.
        load_encoder: Called where there are files.
        space: The collection's.
        questions: What is asked.
        most_seconds: How long one file may take to be decoded. None: any time.

    Returns:
        Of each its hits, or why there are none.
    """
    files = [(number, file) for number, one in enumerate(questions) for file in one.files]
    found: Found = {}
    if files:
        limits = Limits(video_seconds=most_seconds)
        found = _embedded(load_encoder(), space, questions, files, limits)
    given: dict[int, list[Hit] | VidxError] = {}
    with look() as (catalogue, view):
        queries: dict[int, Query] = {}
        for number, question in enumerate(questions):
            try:
                queries[number] = _query(catalogue, view, question, number, found)
            except VidxError as error:
                given[number] = error
        for numbers in _alike(questions, queries):
            some = [queries[number] for number in numbers]
            given |= zip(numbers, _hits(catalogue, view, some, questions[numbers[0]]), strict=True)
    return [given[number] for number in range(len(questions))]


def _embedded(
    encoder: Encoder,
    space: Space,
    questions: Sequence[Question],
    files: Sequence[tuple[int, str]],
    limits: Limits,
) -> Found:
    """Files, each with its question's number, as queries, or what is wrong with them."""
    asked = [questions[number].options for number, _ in files]
    cuts = [CutFinder(options) for options in asked]
    jobs = [
        Job(key, file, query_plan(options, space))
        for key, ((_, file), options) in enumerate(zip(files, asked, strict=True))
    ]

    def watch(event: ClipDecoded | ClipRepeated) -> None:
        cuts[int(event.job.key)].watch(event)

    workers = min(DECODERS, len(jobs))
    results = embed_videos(
        encoder, jobs, workers=workers, batch_size=BATCH, watch=watch, limits=limits
    )
    found: Found = {}
    for job, outcome in results:
        key = int(job.key)
        found[files[key]] = (
            _wrong(outcome)
            if isinstance(outcome, Problem)
            else embedded_query(job, outcome, asked[key], cuts[key])
        )
    return found


def _wrong(problem: Problem) -> VidxError:
    """The error of a file; its path is not named, for it may be nobody's but ours."""
    if problem.reason == BEYOND_END:
        return UsageError(f"{problem.message}.", "Choose a start before that.")
    return VideoError(problem.reason, problem.message)


def _query(
    catalogue: Catalogue, view: View, question: Question, number: int, found: Found
) -> Query:
    def of(example: Example) -> Query:
        if not isinstance(example, str | os.PathLike):
            return of_examples(catalogue, view, [example], {})[0]
        query = found[number, query_file(example)]
        if isinstance(query, VidxError):
            raise query
        return query

    if question.is_mixture:
        like, unlike = ([of(one) for one in side] for side in (question.like, question.unlike))
        return examples_query(like, unlike, question.options)
    return of(question.like[0])


def _alike(questions: Sequence[Question], queries: dict[int, Query]) -> Iterator[list[int]]:
    """The questions that ask for the same in the same way, so that the index is asked once."""
    groups: dict[object, list[int]] = {}
    for number in queries:
        one = questions[number]
        same = (one.k, replace(one.options, labels=one.options.label_names() or None))
        groups.setdefault(same, []).append(number)
    yield from groups.values()


def _hits(
    catalogue: Catalogue, view: View, queries: Sequence[Query], question: Question
) -> list[list[Hit] | VidxError]:
    """The hits of each; or the one error, as all were asked in the same way."""
    try:
        return list(search_each(catalogue, view, queries, wanted(question.k), question.options))
    except VidxError as error:
        return [error] * len(queries)
