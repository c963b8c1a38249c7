"""Durations to clip spans to frame times: pure functions, all in seconds.

A video is cut into windows of `num_frames / fps` seconds. Times count from the first presentable
frame, and the sample at time t is the last frame with a presentation time <= t + 1 ms (the first
frame if there is none). So nothing here depends on frame numbers, codecs or containers.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from vidx.errors import UsageError
from vidx.records import Clip

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Containers round times to a millisecond (Matroska, FLV), so less than that means nothing.
TOLERANCE_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class Sampling:
    """How many frames make one clip, and how far apart they are. Part of the fingerprint.

    The defaults are Kinetics practice: every 4th frame of a video of 30 frames a second
    (VideoMAE, https://arxiv.org/abs/2203.12602, section 4).

    Attributes:
        num_frames: Frames sampled from a clip.
        fps: Frames sampled a second.
    """

    num_frames: int = 16
    fps: float = 7.5

    def __post_init__(self) -> None:
        if self.num_frames < 1:
            raise UsageError(f"{self.num_frames} frames a clip: it takes 1 or more.")
        _check_positive("frames a second", self.fps)
        if self.window_seconds <= TOLERANCE_SECONDS:
            raise UsageError(
                f"{self.num_frames} frames a clip at {self.fps} a second: "
                f"a clip must last longer than {TOLERANCE_SECONDS} s.",
                f"Choose fewer than {self.num_frames / TOLERANCE_SECONDS:.0f} frames a second.",
            )

    @property
    def window_seconds(self) -> float:
        """Length of a whole clip: 16 / 7.5 = 2.133 s by default."""
        return self.num_frames / self.fps


@dataclass(frozen=True, slots=True)
class Plan:
    """How one video is cut into clips.

    Attributes:
        stride_seconds: From one clip's start to the next one's; None: back to back.
        start_seconds: Where to begin.
        end_seconds: Where to stop; None, or beyond the video's end: at the end.
    """

    stride_seconds: float | None = None
    start_seconds: float = 0.0
    end_seconds: float | None = None

    def __post_init__(self) -> None:
        if self.stride_seconds is not None:
            _check_positive("seconds of stride", self.stride_seconds)
            if self.stride_seconds < TOLERANCE_SECONDS:
                raise UsageError(f"{self.stride_seconds} s of stride: it takes 0.001 s or more.")
        if not (math.isfinite(self.start_seconds) and self.start_seconds >= 0):
            raise UsageError(
                f"A span that starts at {self.start_seconds} s: it takes a time of 0 s or later."
            )
        if self.end_seconds is not None:
            _check_positive("seconds as a span's end", self.end_seconds)
            if self.end_seconds - self.start_seconds < TOLERANCE_SECONDS:
                raise UsageError(
                    f"A span from {self.start_seconds} s to {self.end_seconds} s: "
                    "it must end after it starts."
                )

    def digest(self, sampling: Sampling) -> str:
        """Name the cut: with the content hash it decides whether a video is unchanged.

        Args:
            sampling: The sampling that the plan is carried out with.

        Returns:
            16 hex digits, equal for plans that cut every video alike.
        """
        facts = {
            "num_frames": sampling.num_frames,
            "fps": float(sampling.fps),
            "stride_seconds": self.stride(sampling),
            "start_seconds": float(self.start_seconds),
            "end_seconds": None if self.end_seconds is None else float(self.end_seconds),
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    def stride(self, sampling: Sampling) -> float:
        """Seconds from one clip's start to the next one's."""
        return float(self.stride_seconds or sampling.window_seconds)

    def end(self, duration_seconds: float) -> float:
        """Where the cutting stops in a video of this duration."""
        return min(duration_seconds, self.end_seconds or math.inf)


def clip_spans(duration_seconds: float, sampling: Sampling, plan: Plan) -> list[Clip]:
    """Cut a video into clips.

    Whole windows at every stride while they fit, then the last window moved back to end with the
    video (or span) when something is left over. One shorter than a window gives one short clip.

    Args:
        duration_seconds: The video's duration.
        sampling: Frames of a clip and their spacing.
        plan: Stride and span.

    Returns:
        At least one clip, in time order.

    Raises:
        UsageError: The plan's span starts at or after the end of the video.
    """
    _check_positive("seconds of video", duration_seconds)
    if plan.start_seconds > duration_seconds - TOLERANCE_SECONDS and plan.start_seconds > 0:
        raise UsageError(
            f"A span that starts at {plan.start_seconds} s: "
            f"the video ends at {duration_seconds:.3f} s.",
            "Choose a start before that.",
        )
    clips = list(whole_windows(duration_seconds, sampling, plan))
    last = last_clip(duration_seconds, sampling, plan)
    return clips if last is None else [*clips, last]


def whole_windows(duration_seconds: float, sampling: Sampling, plan: Plan) -> Iterator[Clip]:
    """Yield the windows [start + i * stride, ... + window) that fit.

    Args:
        duration_seconds: The video's duration; infinite while it is not known.
        sampling: Frames of a clip and their spacing.
        plan: Stride and span.
    """
    end = plan.end(duration_seconds)
    stride, window = plan.stride(sampling), sampling.window_seconds
    start, i = plan.start_seconds, 0
    while start + window <= end + TOLERANCE_SECONDS:
        yield Clip(start, start + window)
        i += 1
        start = plan.start_seconds + i * stride


def num_windows_until(start_seconds: float, sampling: Sampling, plan: Plan) -> int:
    """Count the whole windows of an endless video that start by this time."""
    windows = whole_windows(math.inf, sampling, plan)
    return sum(1 for _ in takewhile(lambda clip: clip.start_seconds <= start_seconds, windows))


def last_clip(duration_seconds: float, sampling: Sampling, plan: Plan) -> Clip | None:
    """Give the clip that ends with the video (or span), if whole windows leave something over.

    Args:
        duration_seconds: The video's duration, finite and after the plan's start.
        sampling: Frames of a clip and their spacing.
        plan: Stride and span.

    Returns:
        The last window moved back, or the one clip of a video shorter than a window, or None.
    """
    end = plan.end(duration_seconds)
    stride, window = plan.stride(sampling), sampling.window_seconds
    room = end - plan.start_seconds - window
    if room < -TOLERANCE_SECONDS:
        return Clip(plan.start_seconds, end)
    last_start = plan.start_seconds + math.floor((room + TOLERANCE_SECONDS) / stride) * stride
    left_over = end - (last_start + stride)
    if left_over <= TOLERANCE_SECONDS or end - window - last_start <= TOLERANCE_SECONDS:
        return None
    return Clip(end - window, end)


def frame_times(clip: Clip, sampling: Sampling) -> NDArray[np.float64]:
    """Say when a clip's frames are sampled.

    Args:
        clip: A whole window or a shorter clip.
        sampling: Frames of a clip and their spacing.

    Returns:
        float64, shape (num_frames,), seconds: start + i / fps for a whole window, and the middle
        of num_frames equal parts for a shorter clip.
    """
    import numpy as np

    steps = np.arange(sampling.num_frames, dtype=np.float64)
    duration = clip.end_seconds - clip.start_seconds
    if duration >= sampling.window_seconds - TOLERANCE_SECONDS:
        return clip.start_seconds + steps / sampling.fps
    return clip.start_seconds + (steps + 0.5) * duration / sampling.num_frames


def _check_positive(what: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"{value} {what}: it takes a finite number above 0.")
