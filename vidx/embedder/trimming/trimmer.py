"""The parent's side of trimming."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vidx.embedder.decoding.alone import Alone
from vidx.embedder.decoding.container import FileState
from vidx.embedder.trimming.messages import TrimDone, TrimmedClip, TrimTask
from vidx.records import Clip

WORKER_MODULE = "vidx.embedder.trimming.worker"


class Trimmer:
    """Cuts clips out of one video after the other, in a process of its own."""

    def __init__(self) -> None:
        self._worker = Alone(WORKER_MODULE)

    def trim(
        self, path: str, state: FileState, clips: Mapping[int, Clip], *, is_upright: bool
    ) -> Iterator[TrimmedClip]:
        """Cut clips out of a video.

        Args:
            path: The video.
            state: What it must be like.
            clips: The spans, by number.
            is_upright: Whether its pictures are shown as they are coded.

        Yields:
            Each clip that can be had.

        Raises:
            VideoError: The video cannot be read, has changed, or took the process down.
        """
        task = TrimTask(path, state, dict(clips), is_upright)
        for message in self._worker.ask(task, last=TrimDone):
            if isinstance(message, TrimmedClip):
                yield message

    def close(self) -> None:
        """End the process."""
        self._worker.close()
