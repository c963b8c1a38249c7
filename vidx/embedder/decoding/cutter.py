"""Frames on their way into clips: each sample is the frame that is on the screen at its time.

A frame that comes up to 1 ms after a sample's time counts as on time, so that a container's
rounding to milliseconds chooses no other frame.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import av.error

from vidx.embedder.decoding.facts import Sample
from vidx.embedder.decoding.sampling import TOLERANCE_SECONDS, Sampling, frame_times
from vidx.records import Clip

if TYPE_CHECKING:
    import numpy as np
    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

    from vidx.embedder.decoding.scaler import Scaler
    from vidx.embedder.decoding.trust import Fed


class Shown:
    """A frame and when it is on the screen. Its arguments are its attributes.

    Args:
        frame: As decoded.
        time: Seconds from the first frame.
        duration: Seconds, when no other frame follows.
        fed: The packet that it came of.
        scaler: Makes the pixels, when a sample needs them.
    """

    def __init__(
        self, frame: VideoFrame, time: float, duration: float, fed: Fed, scaler: Scaler
    ) -> None:
        self.time = time
        self.duration = duration
        self.fed = fed
        self.frame = frame
        self._scaler = scaler

    @cached_property
    def sample(self) -> Sample | None:
        """The frame as the model takes it, made once; None when it is damaged."""
        if self.fed.is_damaged or self.frame.is_corrupt:
            return None
        try:
            return Sample(self._scaler.channels(self.frame))
        except MemoryError:
            raise
        except av.error.FFmpegError:
            return None

    @cached_property
    def preview(self) -> NDArray[np.uint8] | None:
        """The frame as a small picture: uint8, shape (height, width, 3); None: not asked for."""
        return self._scaler.preview(self.frame)


class Cut:
    """One clip in the making.

    Args:
        clip: Its span.
        sampling: Frames of the clip and their spacing.

    Attributes:
        clip: Its span.
        frame_seconds: When the frames that were taken appear.
        preview: The middle sample as a small picture, if that is asked for: as of `Shown`.
    """

    def __init__(self, clip: Clip, sampling: Sampling) -> None:
        self.clip = clip
        self.frame_seconds: list[float] = []
        self.preview: NDArray[np.uint8] | None = None
        self._times = frame_times(clip, sampling)
        self._samples: list[Sample | None] = []

    def is_over(self, until: float) -> bool:
        """Whether the clip ends by then."""
        return self.clip.end_seconds <= until + TOLERANCE_SECONDS

    def take(self, shown: Shown, until: float, *, is_gap: bool) -> None:
        """Take the samples that fall on a frame.

        Args:
            shown: The frame.
            until: When the next one replaces it.
            is_gap: Whether frames between the two may be lost.
        """
        held_until = shown.time + shown.duration if is_gap else math.inf
        while len(self._samples) < len(self._times):
            time = self._times[len(self._samples)]
            if until <= time + TOLERANCE_SECONDS and not self.is_over(until):
                return
            self._samples.append(shown.sample if time < held_until - TOLERANCE_SECONDS else None)
            # Made at once: a decoded frame that waits for the clip's end is too much memory.
            if len(self._samples) - 1 == len(self._times) // 2 and self._samples[-1] is not None:
                self.preview = shown.preview
            self.frame_seconds.append(shown.time)

    def samples(self) -> list[Sample] | None:
        """The clip's samples, of one size; None when one is damaged."""
        samples = [sample for sample in self._samples if sample is not None]
        shapes = {sample.pixels.shape for sample in samples}
        return samples if len(samples) == len(self._times) and len(shapes) == 1 else None


class Cutter:
    """Hands each frame to the clips it belongs to, and lets go of clips that are over.

    Args:
        clips: In the order of their starts; may be endless.
        sampling: Frames of a clip and their spacing.
    """

    def __init__(self, clips: Iterable[Clip], sampling: Sampling) -> None:
        self._coming = iter(clips)
        self._next = next(self._coming, None)
        self._sampling = sampling
        self._open: list[Cut] = []

    def show(self, shown: Shown, until: float, *, is_gap: bool) -> Iterator[Cut]:
        """Show a frame.

        Args:
            shown: The frame.
            until: When the next one replaces it.
            is_gap: Whether frames between the two may be lost.

        Yields:
            The clips that are over by then, in time order.
        """
        still_open = []
        for cut in itertools.chain(self._open, self._starting(until)):
            cut.take(shown, until, is_gap=is_gap)
            if cut.is_over(until):
                yield cut
            else:
                still_open.append(cut)
        self._open = still_open

    def _starting(self, until: float) -> Iterator[Cut]:
        while self._next is not None and self._next.start_seconds < until:
            yield Cut(self._next, self._sampling)
            self._next = next(self._coming, None)
