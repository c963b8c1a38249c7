"""Jobs: videos that clients want embedded, one lot at a time, each in a process of its own."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal
from uuid import uuid4

from vidx.embedder.workers.process import WorkerProcess
from vidx.errors import VidxError
from vidx.options import EmbedOptions
from vidx.records import EmbedProgress, EmbedReport
from vidx.remote.urls import is_url
from vidx.service.job_messages import Ended, Task
from vidx.service.problems import Refused, not_found
from vidx.store.metadata.manifest import is_manifest

MODULE = "vidx.service.embedding"
KEPT_JOBS = 100
CANCEL_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class JobState:
    """How a job is.

    Attributes:
        job_id: Its name.
        paths: What is embedded.
        status: What became of it; a cancelled job keeps what it committed.
        progress: How far it is; None before the first file.
        report: What was done, once it is.
        error: Why it failed.
        next_step: What to do about that.
    """

    job_id: str
    paths: tuple[str, ...]
    status: Literal["running", "done", "failed", "cancelled"] = "running"
    progress: EmbedProgress | None = None
    report: EmbedReport | None = None
    error: str = ""
    next_step: str = ""


@dataclass(slots=True)
class _Running:
    process: WorkerProcess
    thread: threading.Thread = field(default_factory=threading.Thread)
    is_cancelled: bool = False


class Jobs:
    """Begins jobs, follows and cancels them.

    Args:
        collection: The collection's folder.
        roots: Below which videos may lie.
    """

    def __init__(self, collection: Path, roots: Sequence[Path]) -> None:
        self._collection = collection
        self._roots = [Path(os.path.realpath(root)) for root in roots]
        self._states: dict[str, JobState] = {}
        self._running: dict[str, _Running] = {}
        self._lock = threading.Lock()

    def start(self, paths: Sequence[str], options: EmbedOptions) -> JobState:
        """Begin a job.

        Args:
            paths: Files and folders.
            options: How they are embedded.

        Raises:
            Refused: A path may not be read here, or another job runs.
        """
        task = Task(str(self._collection), tuple(map(self._allowed, paths)), options)
        with self._lock:
            if self._running:
                raise Refused(
                    409, "job_running", f"job {next(iter(self._running))} runs",
                    "Wait for its end, or cancel it.",
                )  # fmt: skip
            state = JobState(uuid4().hex, tuple(paths))
            running = _Running(WorkerProcess(MODULE, timeout_seconds=None, stderr=None))
            running.process.channel.send(task)
            follow = threading.Thread(target=self._follow, args=(state.job_id,), name="vidx job")
            running.thread = follow
            self._states[state.job_id], self._running[state.job_id] = state, running
            for old in list(self._states)[:-KEPT_JOBS]:
                del self._states[old]
            follow.start()
        return state

    def state(self, job_id: str) -> JobState:
        """How a job is.

        Raises:
            Refused: There is none.
        """
        with self._lock:
            if job_id not in self._states:
                raise not_found("job of this id")
            return self._states[job_id]

    def states(self) -> list[JobState]:
        """All jobs of this server that are remembered, the latest first."""
        with self._lock:
            return list(self._states.values())[::-1]

    def cancel(self, job_id: str) -> JobState:
        """End a job early; what it has finished is committed.

        Raises:
            Refused: There is none.
        """
        state = self.state(job_id)
        with self._lock:
            if running := self._running.get(job_id):
                running.is_cancelled = True
                running.process.process.send_signal(signal.SIGINT)
        return state

    def close(self) -> None:
        """Cancel what runs, and wait for its last commit."""
        with self._lock:
            running = list(self._running.items())
        for job_id, one in running:
            self.cancel(job_id)
            one.thread.join(CANCEL_SECONDS)
            one.process.process.kill()

    def _allowed(self, path: str) -> str:
        """A path as `vidx embed` would name it, if it may be read here; links were followed."""
        if not self._roots:
            raise Refused(
                403, "no_jobs", "this server embeds nothing for clients", "Start it with --root."
            )
        real = None if is_url(path) or "\0" in path else Path(os.path.realpath(path))
        if real is None or not any(real.is_relative_to(root) for root in self._roots):
            raise Refused(
                403, "outside", "a path outside of the folders that this server may read",
                "Start it with another --root.",
            )  # fmt: skip
        if not os.path.exists(real):  # False also where the name is too long to be one
            raise Refused(422, "no_such_path", f"{path!r} is not there", "Name another path.")
        if is_manifest(real):
            raise Refused(
                422, "manifest", f"{path!r} is a manifest, which may name any file",
                "Name files and folders, or give it to `vidx embed`.",
            )  # fmt: skip
        return os.path.abspath(path)

    def _follow(self, job_id: str) -> None:
        """Take note of what a job says, to its end."""
        running = self._running[job_id]
        process = running.process
        try:
            while not isinstance(said := process.channel.receive(), Ended):
                if isinstance(said, EmbedProgress):
                    self._note(replace(self._states[job_id], progress=said))
        except (EOFError, OSError):
            died = VidxError(f"the job's process ended by {process.death()}")
            said = Ended(error=None if running.is_cancelled else died)
        process.end()
        before = self._states[job_id]
        if said.report:
            after = replace(before, status="done", report=said.report)
        elif said.error:
            problem, step = said.error.problem, said.error.next_step
            after = replace(before, status="failed", error=problem, next_step=step)
        else:
            after = replace(before, status="cancelled")
        with self._lock:
            self._states[job_id] = after
            del self._running[job_id]

    def _note(self, state: JobState) -> None:
        with self._lock:
            self._states[state.job_id] = state
