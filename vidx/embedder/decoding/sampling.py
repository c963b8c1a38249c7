"""Durations to clip spans to frame times: pure functions, all in seconds.

A video is cut into windows of `num_frames / fps` seconds. Times count from the first presentable
frame, and the sample at time t is the last frame with a presentation time <= t + 1 ms (the first
frame if there is none). So nothing here depends on frame numbers, codecs or containers.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING, Self

from vidx.errors import UsageError, VideoError
from vidx.records import Clip, Problem, Span

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vidx.records import Segmentation

# Containers round times to a millisecond (Matroska, FLV), so less than that means nothing.
TOLERANCE_SECONDS = 0.001
SHOTS = "shots-1"  # stored in digests: another number for another way to find shots
LEAST_SHOT_SECONDS = 0.5  # what is shorter is of the shot beside it

BEYOND_END = "span_beyond_end"  # the reason of a video that ends before a span begins
READ_WHOLE = "read whole, though a span of it was asked for"  # begins the note of an object


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
        more_spans: What else is cut, by itself: spans after that one, in time order.
        segment: `fixed` cuts these spans as they are; `shots` each of their shots by itself.
    """

    stride_seconds: float | None = None
    start_seconds: float = 0.0
    end_seconds: float | None = None
    more_spans: tuple[Span, ...] = ()
    segment: Segmentation = "fixed"

    def __post_init__(self) -> None:
        if self.stride_seconds is not None:
            _check_positive("seconds of stride", self.stride_seconds)
            if self.stride_seconds < TOLERANCE_SECONDS:
                raise UsageError(f"{self.stride_seconds} s of stride: it takes 0.001 s or more.")
        for span in self.spans:
            check_span(span)
        for span, later in pairwise(self.spans):
            if overlap(span, later):
                raise UsageError(f"The spans {span} and {later} overlap, or are not in order.")

    @classmethod
    def of_spans(
        cls,
        stride_seconds: float | None,
        spans: Sequence[Span],
        segment: Segmentation = "fixed",
    ) -> Self:
        """The plan that cuts some spans, at least one, in time order."""
        first, *more = spans
        return cls(stride_seconds, first.start_seconds, first.end_seconds, tuple(more), segment)

    @property
    def spans(self) -> tuple[Span, ...]:
        """What is cut, in time order."""
        return (Span(self.start_seconds, self.end_seconds), *self.more_spans)

    @property
    def is_of_whole(self) -> bool:
        """Whether all of a video is cut."""
        return self.spans == (Span(0.0, None),)

    def digest(self, sampling: Sampling) -> str:
        """Name the cut: with the content hash it decides whether a video is unchanged.

        Args:
            sampling: The sampling that the plan is carried out with.

        Returns:
            16 hex digits, equal for plans that cut every video alike.
        """
        facts: dict[str, object] = {
            "num_frames": sampling.num_frames,
            "fps": float(sampling.fps),
            "stride_seconds": self.stride(sampling),
            "start_seconds": float(self.start_seconds),
            "end_seconds": None if self.end_seconds is None else float(self.end_seconds),
        }
        if self.more_spans:
            facts["more_spans"] = self.more_spans
        if self.segment == "shots":
            facts["segment"] = SHOTS
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    def stride(self, sampling: Sampling) -> float:
        """Seconds from one clip's start to the next one's."""
        return float(self.stride_seconds or sampling.window_seconds)

    def end(self) -> float:
        """Where the cutting stops, in an endless video."""
        return _end(self.spans[-1], math.inf)

    def spans_within(self, duration_seconds: float) -> tuple[Span, ...]:
        """Those spans that begin before a video ends."""
        latest = max(duration_seconds - TOLERANCE_SECONDS, 0.0)
        return tuple(span for span in self.spans if span.start_seconds <= latest)

    def beyond(self, duration_seconds: float) -> Problem | None:
        """Why there are spans without a clip, where some begin after a video's end."""
        late = self.spans[len(self.spans_within(duration_seconds)) :]
        if not late:
            return None
        what = (
            f"{len(late)} of {len(self.spans)} spans start too late, the first of them at"
            if self.more_spans
            else "a span that starts at"
        )
        message = f"{what} {late[0].start_seconds:g} s: the video ends at {duration_seconds:.3f} s"
        return Problem(BEYOND_END, message)


def clip_spans(duration_seconds: float, sampling: Sampling, plan: Plan) -> list[Clip]:
    """Cut a video into clips.

    Of each span whole windows at every stride while they fit, then the last window moved back to
    end with the span (or video) when something is left over. One shorter than a window gives one
    short clip.

    Args:
        duration_seconds: The video's duration.
        sampling: Frames of a clip and their spacing.
        plan: Stride and spans; those that begin after the end are passed over.

    Returns:
        At least one clip, in time order.

    Raises:
        VideoError: All spans begin at or after the end of the video.
    """
    _check_positive("seconds of video", duration_seconds)
    if not plan.spans_within(duration_seconds) and (late := plan.beyond(duration_seconds)):
        raise VideoError(late.reason, late.message)
    return list(clips_within(duration_seconds, sampling, plan))


def clips_within(duration_seconds: float, sampling: Sampling, plan: Plan) -> Iterator[Clip]:
    """Yield the clips of all spans that begin within a video.

    Args:
        duration_seconds: The video's duration; infinite while it is not known, and then a clip
            that would end with the video does not come.
        sampling: Frames of a clip and their spacing.
        plan: Stride and spans.
    """
    for span in plan.spans_within(duration_seconds):
        end = _end(span, duration_seconds)
        yield from _whole_windows(span.start_seconds, end, sampling, plan)
        last = _last_clip(span.start_seconds, end, sampling, plan)
        if last is not None:
            yield last


def exact(seconds: float) -> float:
    """A duration without the noise of how it was added up: whoever finds it finds the same."""
    return round(seconds, 9)


def at_shots(cuts: Sequence[float], duration_seconds: float, plan: Plan) -> Plan:
    """Make each shot of a video a span of its own.

    Args:
        cuts: Where shots meet, in seconds, in order.
        duration_seconds: The video's duration.
        plan: Whose spans are parted; what would be a shot shorter than LEAST_SHOT_SECONDS at an
            end of a span is of the shot beside it.

    Returns:
        The plan that cuts these spans as they are.
    """
    least, spans = LEAST_SHOT_SECONDS, []
    for start, end in plan.spans:
        latest = min(duration_seconds, end or math.inf) - least
        starts = [start, *(cut for cut in cuts if start + least <= cut <= latest)]
        spans += [Span(*ends) for ends in zip(starts, [*starts[1:], end], strict=True)]
    return Plan.of_spans(plan.stride_seconds, spans)


def num_clips_until(start_seconds: float, sampling: Sampling, plan: Plan) -> int:
    """Count the clips of an endless video that start by this time."""
    clips = clips_within(math.inf, sampling, plan)
    return sum(1 for _ in takewhile(lambda clip: clip.start_seconds <= start_seconds, clips))


def clip_at_end(duration_seconds: float, sampling: Sampling, plan: Plan) -> Clip | None:
    """Give the clip that ends where the video does, and would not if the video were longer.

    Args:
        duration_seconds: The video's duration.
        sampling: Frames of a clip and their spacing.
        plan: Stride and spans.
    """
    spans = plan.spans_within(duration_seconds)
    latest = duration_seconds + TOLERANCE_SECONDS
    if duration_seconds <= 0 or not spans or _end(spans[-1], math.inf) <= latest:
        return None
    return _last_clip(spans[-1].start_seconds, duration_seconds, sampling, plan)


def check_span(span: Span) -> None:
    """Refuse a span that is none.

    Raises:
        UsageError: It begins before 0 s, or does not end after it begins.
    """
    start, end = span
    if not (math.isfinite(start) and start >= 0):
        raise UsageError(f"A span that starts at {start} s: it takes a time of 0 s or later.")
    if end is not None:
        _check_positive("seconds as a span's end", end)
        if end - start < TOLERANCE_SECONDS:
            raise UsageError(f"A span from {start} s to {end} s: it must end after it starts.")


def overlap(span: Span, later: Span) -> bool:
    """Whether a span goes on when one begins that is to come after it."""
    return later.start_seconds < _end(span, math.inf) - TOLERANCE_SECONDS


def _end(span: Span, duration_seconds: float) -> float:
    """Where a span stops in a video of this duration."""
    return min(duration_seconds, span.end_seconds or math.inf)


def _whole_windows(start: float, end: float, sampling: Sampling, plan: Plan) -> Iterator[Clip]:
    """The windows [start + i * stride, ... + window) that fit."""
    stride, window = plan.stride(sampling), sampling.window_seconds
    next_start, i = start, 0
    while next_start + window <= end + TOLERANCE_SECONDS:
        yield Clip(next_start, next_start + window)
        i += 1
        next_start = start + i * stride


def _last_clip(start: float, end: float, sampling: Sampling, plan: Plan) -> Clip | None:
    """The clip that ends with a span, if whole windows leave something over.

    Returns:
        The last window moved back, or the one clip of a span shorter than a window, or None.
    """
    stride, window = plan.stride(sampling), sampling.window_seconds
    room = end - start - window
    if room < -TOLERANCE_SECONDS:
        return Clip(start, end)
    last_start = start + math.floor((room + TOLERANCE_SECONDS) / stride) * stride
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
