"""Core: what all routes of a service share, from its start to its end."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import Depends, Request

from vidx.collection import Collection
from vidx.errors import VidxError
from vidx.options import SearchOptions
from vidx.records import Hit
from vidx.service.answers import Answers
from vidx.service.bounds import RateLimit
from vidx.service.jobs import Jobs
from vidx.service.lanes import Desk, Lane
from vidx.service.pictures import PROCESSES, Pictures
from vidx.service.proposals import Proposals
from vidx.service.settings import Settings
from vidx.service.uploads import Uploads
from vidx.together import Question

logger = logging.getLogger("vidx")

TOGETHER = 64  # searches by id and vector in one call of the index
FILES_TOGETHER = 4
DESK_THREADS = 4


class Core:
    """A collection, the threads that ask it, and what clients brought.

    Args:
        collection: What is served.
        settings: How.

    Raises:
        CollectionNotFound, CollectionDamaged, CollectionTooNew: As their names say.

    Attributes:
        collection: As given; threads share it.
        settings: As given.
        desk: For all that is neither a search nor a picture.
        viewing: For pictures and films, which may take long.
        uploads: What clients want searched for.
        pictures: Of clips.
        jobs: Embedding jobs.
        answers: To questions of curation.
        proposals: That clients had made.
        upload_rate: How often one address may upload.
        login_rate: How often one address may show a wrong token.
        model: `loading`, `ready`, or why it is not to be had.
        is_closing: Whether the end has begun, and streams are to end too.
    """

    def __init__(self, collection: Collection, settings: Settings) -> None:
        limits = settings.limits
        collection.clips(1)  # what is wrong with it is told before anything is begun
        self.collection = collection
        self.settings = settings
        self.desk = Desk(DESK_THREADS, limits.most_waiting, limits.search_seconds)
        self.viewing = Desk(PROCESSES, limits.most_waiting, limits.file_seconds)
        self.uploads = Uploads(limits)
        self.pictures = Pictures(collection, limits)
        self.jobs = Jobs(collection.path, settings.roots)
        self.answers = Answers(collection.path, limits)
        self.proposals = Proposals()
        self.upload_rate = RateLimit(limits.uploads_a_minute)
        self.login_rate = RateLimit(limits.logins_a_minute)
        self.model = "loading"
        self.is_closing = False
        self._quick: Lane[Question, list[Hit]] = Lane(
            self._answer, most_together=TOGETHER, most_waiting=limits.most_waiting
        )
        self._files: Lane[Question, list[Hit]] = Lane(
            self._answer,
            most_together=FILES_TOGETHER,
            most_waiting=limits.most_waiting,
            first=self._load_model,
        )

    def options(self, options: SearchOptions) -> SearchOptions:
        """A client's options, with the server's own about where to compute."""
        own = self.settings
        return replace(options, model=own.model, device=own.device, dtype=own.dtype)

    def lane_of(self, question: Question) -> tuple[Lane[Question, list[Hit]], float]:
        """Who answers a question, and how long that may take."""
        limits = self.settings.limits
        if question.files:
            return self._files, limits.file_seconds
        return self._quick, limits.search_seconds

    def close(self) -> None:
        """Finish what runs, and let go of everything."""
        self.jobs.close()
        self.answers.close()
        for lane in (self._quick, self._files):
            lane.close()
        self.desk.close()
        self.viewing.close()
        self.pictures.close()
        self.uploads.close()
        self.collection.close()

    def _answer(self, questions: Sequence[Question]) -> Sequence[list[Hit] | VidxError]:
        seconds = self.settings.limits.decode_seconds
        return self.collection.search_together(questions, most_seconds=seconds)

    def _load_model(self) -> None:
        """Load it before it is asked for, so that the first search need not wait."""
        try:
            self.collection.load_model(self.options(SearchOptions()))
        except Exception as error:  # it is told by /readyz, and to whoever searches for a file
            logger.warning("The model is not there: %s", error)
            self.model = error.problem if isinstance(error, VidxError) else "an unexpected error"
        else:
            self.model = "ready"


def _core(request: Request) -> Core:
    core: Core = request.app.state.core
    return core


Given = Annotated[Core, Depends(_core)]
