"""Lanes: threads that answer what has come in meanwhile as one."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from vidx.errors import VidxError
from vidx.service.problems import Refused

logger = logging.getLogger("vidx")

Asked = TypeVar("Asked")
Given = TypeVar("Given")


def _busy() -> Refused:
    return Refused(503, "busy", "too many requests wait", "Try again.", {"retry-after": "1"})


async def in_time(future: Future[Given], seconds: float) -> Given:
    """Wait for an answer.

    Raises:
        Refused: It did not come in time.
    """
    try:
        return await asyncio.wait_for(asyncio.wrap_future(future), seconds)
    except TimeoutError:
        raise Refused(504, "too_long", f"no answer within {seconds:g} s", "Ask for less.") from None


class Lane(Generic[Asked, Given]):
    """One thread, that takes all that waits and has it answered together.

    While one lot is answered the next one gathers, so that nothing waits for company.

    Args:
        answer: Gives an answer, or an error, to each of several questions.
        most_together: Questions in one lot.
        most_waiting: Questions that may wait.
        first: Done in the thread before all else.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Asked]], Sequence[Given | VidxError]],
        *,
        most_together: int,
        most_waiting: int,
        first: Callable[[], None] = lambda: None,
    ) -> None:
        self._answer = answer
        self._first = first
        self._most_together = most_together
        self._queue: queue.Queue[tuple[Asked, Future[Given]] | None] = queue.Queue(most_waiting)
        self._thread = threading.Thread(target=self._run, name="vidx lane", daemon=True)
        self._thread.start()

    def ask(self, question: Asked) -> Future[Given]:
        """Get in line.

        Raises:
            Refused: The line is too long.
        """
        future: Future[Given] = Future()
        try:
            self._queue.put_nowait((question, future))
        except queue.Full:
            raise _busy() from None
        return future

    def close(self) -> None:
        """Answer what waits, and end."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        self._first()
        while (lot := self._lot()) is not None:
            running = [one for one in lot if one[1].set_running_or_notify_cancel()]
            if running:
                self._serve(running)

    def _lot(self) -> list[tuple[Asked, Future[Given]]] | None:
        """All that waits, once there is something; None at the end."""
        one = self._queue.get()
        lot = []
        while one is not None:
            lot.append(one)
            if len(lot) == self._most_together:
                return lot
            try:
                one = self._queue.get_nowait()
            except queue.Empty:
                return lot
        if lot:
            self._queue.put(None)  # the end, for the next time
        return lot or None

    def _serve(self, lot: Sequence[tuple[Asked, Future[Given]]]) -> None:
        try:
            answers = self._answer([question for question, _ in lot])
        except Exception as error:
            for _, future in lot:
                future.set_exception(error)
            return
        for (_, future), answer in zip(lot, answers, strict=True):
            if isinstance(answer, VidxError):
                future.set_exception(answer)
            else:
                future.set_result(answer)


class Desk:
    """A few threads for what is answered one by one: lists, metadata, pictures.

    Args:
        threads: How many.
        most_waiting: How many questions may wait.
        seconds: For one answer.
    """

    def __init__(self, threads: int, most_waiting: int, seconds: float) -> None:
        self._pool = ThreadPoolExecutor(threads, "vidx desk")
        self._room = threading.BoundedSemaphore(threads + most_waiting)
        self._seconds = seconds

    async def ask(self, question: Callable[[], Given]) -> Given:
        """Have something done in one of the threads.

        Raises:
            Refused: Too much waits, or it did not end in time.
        """
        if not self._room.acquire(blocking=False):
            raise _busy()
        future = self._pool.submit(question)
        future.add_done_callback(lambda _: self._room.release())
        return await in_time(future, self._seconds)

    def close(self) -> None:
        """Finish what is being done."""
        self._pool.shutdown(cancel_futures=True)
