"""Searches."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, SupportsIndex

from vidx.collection.opened import Opened
from vidx.errors import UsageError, VidxError
from vidx.options import EmbedOptions, SearchOptions
from vidx.stages import stage

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from vidx.embedder.encoder import Encoder
    from vidx.many import Queries
    from vidx.queries import Examples
    from vidx.records import EmbedProgress, Hit, SearchReport
    from vidx.together import Question


class Searching(Opened):
    """Clips that are like a video, another clip, vectors or examples."""

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
