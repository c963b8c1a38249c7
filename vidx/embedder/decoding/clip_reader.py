"""Frames of single clips, decoded in a process that may crash, hang or outgrow its memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vidx.embedder.decoding.alone import Alone
from vidx.embedder.decoding.container import FileState
from vidx.embedder.decoding.decoder import WORKER_MODULE
from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.handout import DecodedClip, DecodedVideo
from vidx.embedder.decoding.messages import Grant, Task
from vidx.embedder.decoding.sampling import Plan, Sampling
from vidx.errors import VideoError
from vidx.records import Clip

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# No shared memory: frames come through the socket, a clip at a time; and no card.
_PLAIN = (-1, 0, "0", "")


class ClipReader:
    """Reads one clip after the other. It can be pickled, and lives on in a forked process.

    Args:
        sampling: Frames of a clip and their spacing.
        geometry: Resize and crop.
    """

    def __init__(self, sampling: Sampling, geometry: FrameGeometry) -> None:
        self.sampling = sampling
        self.geometry = geometry
        self.decoder = Alone(WORKER_MODULE, *_PLAIN)

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
        plan = Plan(start_seconds=clip.start_seconds, end_seconds=clip.end_seconds)
        task = Task(path, state, plan, self.sampling, self.geometry, None)
        answer = list(self.decoder.ask(Grant(None), task, last=DecodedVideo))
        for part in answer:
            if isinstance(part, DecodedClip):
                return part.frames
        raise VideoError("decode_error", "the clip is not there any more")
