"""Answers to questions of curation: found one at a time in a process of its own, and kept."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from vidx.embedder.workers.process import WorkerProcess
from vidx.errors import VidxError
from vidx.records import IndexProgress
from vidx.service.problems import Refused, refusing
from vidx.service.question_messages import Answered, Asked
from vidx.service.settings import Limits

MODULE = "vidx.service.answering"
MOST_KEPT = 64


@dataclass
class Answer:
    """An answer, there already or not.

    Attributes:
        key: The question, and the state of the collection that it is asked of.
        answer_id: Its name, for cursors.
        content: What the process says, or the error.
        progress: How far it is.
    """

    key: tuple[Asked, str]
    answer_id: str = field(default_factory=lambda: uuid4().hex)
    content: Future[bytes] = field(default_factory=Future)
    progress: IndexProgress | None = None

    @property
    def num_bytes(self) -> int:
        """Of what is there."""
        is_there = self.content.done() and self.content.exception() is None
        return len(self.content.result()) if is_there else 0


class Answers:
    """Has questions answered, each once a state of the collection.

    Args:
        collection: The collection's folder.
        limits: How long one may take, how many may wait, and how much is kept.
    """

    def __init__(self, collection: Path, limits: Limits) -> None:
        self._collection = collection
        self._limits = limits
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        self._pool = ThreadPoolExecutor(1, "vidx answers")
        self._process: WorkerProcess | None = None
        self._is_closed = False
        self._lock = threading.Lock()

    def to(self, asked: Asked, state: str) -> Answer:
        """The answer to a question, begun if nobody has asked it of this state.

        Args:
            asked: The question.
            state: Names the collection and its last commit.

        Raises:
            Refused: Too many wait.
        """
        with self._lock:
            known = [one for one in self._answers.values() if one.key == (asked, state)]
            if known:
                self._answers.move_to_end(known[0].answer_id)
                return known[0]
            waiting = sum(not one.content.done() for one in self._answers.values())
            if waiting > self._limits.questions_waiting:
                raise Refused(
                    503, "busy", "too many questions wait", "Try again.", {"retry-after": "5"}
                )
            answer = Answer((asked, state))
            self._answers[answer.answer_id] = answer
            self._pool.submit(self._find, answer)
        return answer

    def kept(self, answer_id: str) -> Answer:
        """An answer that was found before.

        Raises:
            Refused: It is no longer here.
        """
        with self._lock:
            if answer_id not in self._answers:
                raise Refused(
                    410, "expired_cursor", "the answer is no longer kept", "Begin without a cursor."
                )
            self._answers.move_to_end(answer_id)
            return self._answers[answer_id]

    def forget(self, answer: Answer) -> None:
        """Let it be found anew when it is asked for again."""
        with self._lock:
            self._answers.pop(answer.answer_id, None)

    def close(self) -> None:
        """Give up what is being found."""
        with self._lock:
            self._is_closed = True
            if self._process:
                self._process.process.kill()
        self._pool.shutdown(cancel_futures=True)
        if self._process:
            self._process.end()

    def _find(self, answer: Answer) -> None:
        try:
            said = self._said(answer)
            if said.error:
                with refusing(422):
                    raise said.error
            if not said.content:  # a bug, which the log tells of
                raise VidxError("an unexpected error", "The server's log has more.")
        except Exception as error:  # it is told to whoever asked
            self._make_room(0)
            answer.content.set_exception(error)
        else:
            self._make_room(len(said.content))
            answer.content.set_result(said.content)

    def _said(self, answer: Answer) -> Answered:
        process = self._started()
        try:
            process.channel.send(answer.key[0])
            until = time.monotonic() + self._limits.question_seconds
            while not isinstance(said := process.channel.receive(), Answered):
                if isinstance(said, IndexProgress):
                    answer.progress = said
                if time.monotonic() > until:
                    raise TimeoutError
        except TimeoutError:
            self._drop()
            raise VidxError(
                f"no answer within {self._limits.question_seconds:g} s", "Ask of fewer clips."
            ) from None
        except (EOFError, OSError):
            death = process.death()
            self._drop()
            raise VidxError(
                f"the process that looked for the answer ended by {death}", "Ask of fewer clips."
            ) from None
        return said

    def _started(self) -> WorkerProcess:
        with self._lock:
            if self._is_closed:
                raise VidxError("the server ends")
            if self._process and self._process.process.poll() is not None:  # it was killed
                self._process.end()
                self._process = None
            if self._process is None:
                seconds = self._limits.question_seconds
                self._process = WorkerProcess(
                    MODULE, self._collection, timeout_seconds=seconds, stderr=None
                )
            return self._process

    def _drop(self) -> None:
        """Have the next question asked of another process."""
        with self._lock:
            if self._process:
                self._process.end()
            self._process = None

    def _make_room(self, num_bytes: int) -> None:
        """Let the oldest answers go, before one of so many bytes is told."""
        with self._lock:
            left = self._limits.answer_bytes - num_bytes
            for place, answer in enumerate(reversed(list(self._answers.values()))):
                left -= answer.num_bytes
                if (left < 0 or place >= MOST_KEPT) and answer.content.done():
                    del self._answers[answer.answer_id]
