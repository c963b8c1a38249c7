"""Frames of single clips, decoded in a process that may crash, hang or outgrow its memory."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING

from vidx.embedder.decoding.container import FileState
from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.messages import Grant, Task
from vidx.embedder.decoding.pool import WORKER_MODULE, Limits
from vidx.embedder.decoding.sampling import Plan, Sampling
from vidx.embedder.decoding.video import DecodedClip, DecodedVideo
from vidx.embedder.workers.process import WorkerProcess
from vidx.errors import VideoError, VidxError
from vidx.records import Clip

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LIMITS = Limits()
_NO_SHARED_MEMORY = (-1, 0, "0")  # frames come through the socket, a clip at a time


class ClipReader:
    """Reads one clip after the other. It can be pickled, and lives on in a forked process.

    The decoding process starts with the first clip, and anew after it has died.

    Args:
        sampling: Frames of a clip and their spacing.
        geometry: Resize and crop.
    """

    def __init__(self, sampling: Sampling, geometry: FrameGeometry) -> None:
        self.sampling = sampling
        self.geometry = geometry
        self._worker: WorkerProcess | None = None
        self._owner = 0  # a process that was forked has no child of its own yet

    def __getstate__(self) -> tuple[Sampling, FrameGeometry]:
        return self.sampling, self.geometry

    def __setstate__(self, state: tuple[Sampling, FrameGeometry]) -> None:
        self.__init__(*state)  # type: ignore[misc]

    def read(self, path: str, clip: Clip, state: FileState | None) -> NDArray[np.uint8]:
        """Decode a clip.

        Args:
            path: The video.
            clip: Its span, as it was cut when it was embedded.
            state: What the file must be like; None: as it is found.

        Returns:
            uint8, shape (num_frames, height, width, 3), RGB.

        Raises:
            VideoError: It cannot be had, or the file has changed.
        """
        worker = self._started()
        plan = Plan(start_seconds=clip.start_seconds, end_seconds=clip.end_seconds)
        try:
            worker.channel.send(Grant(None))
            worker.channel.send(Task(path, state, plan, self.sampling, self.geometry, None))
            return _first_clip(worker)
        except TimeoutError:
            self._end()
            message = f"the decoder did not get on for {LIMITS.deadline_seconds:g} s"
            raise VideoError("decode_timeout", message) from None
        except (EOFError, OSError):
            death = worker.death()
            self._end()
            message = f"the decoder ended its process by {death}"
            raise VideoError("decode_crashed", message) from None

    def _started(self) -> WorkerProcess:
        if self._worker is None or self._owner != os.getpid():
            self._worker = WorkerProcess(
                WORKER_MODULE,
                LIMITS.memory_bytes,
                *_NO_SHARED_MEMORY,
                timeout_seconds=LIMITS.deadline_seconds,
            )
            self._owner = os.getpid()
            weakref.finalize(self, _end_own, self._worker, self._owner)
        return self._worker

    def _end(self) -> None:
        if self._worker:
            self._worker.end()
            self._worker = None


def _first_clip(worker: WorkerProcess) -> NDArray[np.uint8]:
    """Hear a worker to the end of its task."""
    frames = None
    while True:
        message = worker.channel.receive()
        if isinstance(message, DecodedClip) and frames is None:
            frames = message.frames
        elif isinstance(message, VidxError):
            raise message
        elif isinstance(message, DecodedVideo):
            if frames is None:
                raise VideoError("decode_error", "the clip is not there any more")
            return frames


def _end_own(worker: WorkerProcess, owner: int) -> None:
    if os.getpid() == owner:
        worker.end()
