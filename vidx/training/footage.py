"""Clips of videos, decoded once and held in memory: most to train on, some to measure with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vidx.embedder.decoding.container import FileState
from vidx.embedder.decoding.events import (
    ClipDecoded,
    ClipRepeated,
    Event,
    Job,
    NothingToDo,
    VideoDone,
    VideoFailed,
)
from vidx.embedder.decoding.pool import decode
from vidx.embedder.decoding.sampling import TOLERANCE_SECONDS, Plan, Sampling
from vidx.errors import VidxError
from vidx.records import Problem

if TYPE_CHECKING:
    from vidx.embedder.encoder import Encoder

# 2,000 clips of 16 frames at 112 pixels, 500 at 224.
MAX_BYTES = 1_200_000_000
HELD_OUT_SHARE = 0.1  # of the videos
LEAST_VIDEOS = 2
LEAST_CLIPS = 10
SHOWN = 3  # failures in an error

Frames = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Video:
    """A video to read.

    Attributes:
        video_id: SHA-256 (hex) of its bytes.
        path: Where it lies.
        duration_seconds: Its duration.
        state: What the file must be like; None: as it is found.
    """

    video_id: str
    path: str
    duration_seconds: float
    state: FileState | None = None


@dataclass(frozen=True, slots=True)
class Footage:
    """Clips of the model's size; no video gives to both lists.

    Attributes:
        training: To train on; uint8, shape (frames, height, width, 3) each.
        held_out: To measure with; likewise.
        videos: How many videos they are of.
        failed: By path, why videos gave nothing.
    """

    training: tuple[Frames, ...]
    held_out: tuple[Frames, ...]
    videos: int
    failed: Mapping[str, Problem]


def read_footage(
    videos: Sequence[Video],
    encoder: Encoder,
    *,
    workers: int,
    max_bytes: int = MAX_BYTES,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Footage:
    """Decode clips, drawn evenly over the videos and over the length of each.

    Args:
        videos: What to read; of more videos than there is room for clips, some.
        encoder: Says the size of clips and their sampling.
        workers: Decoding processes; 0 decodes in this one, without isolation.
        max_bytes: Room for all clips together.
        progress: Called after each video with how many are read, and of how many.

    Returns:
        The clips. A tenth of the videos is held out, at least one, by their ids.

    Raises:
        VidxError: Fewer than 2 videos or 10 clips can be had.
    """
    if len(videos) < LEAST_VIDEOS:
        raise _too_little(f"videos: {len(videos)}", {})
    sampling = Sampling(encoder.space.num_frames, encoder.space.fps)
    height, width = encoder.model.config.frame_shape
    room = max_bytes // (sampling.num_frames * height * width * 3)
    # Ids are hashes: the first ones are as good as any.
    chosen = sorted(videos, key=lambda video: video.video_id)[:room]
    share = fair_share([windows(video, sampling) for video in chosen], room)
    jobs = (Job(one.video_id, one.path, plan_of(one, share, sampling), one.state) for one in chosen)
    reader = _Reader(share)
    for event in decode(jobs, sampling=sampling, geometry=encoder.geometry, workers=workers):
        reader.hear(event)
        if isinstance(event, VideoDone | VideoFailed):
            progress(len(reader.clips) + len(reader.failed), len(chosen))
    return _parted(reader)


def windows(video: Video, sampling: Sampling) -> int:
    """How many clips a video gives back to back."""
    return max(1, math.ceil((video.duration_seconds - TOLERANCE_SECONDS) / sampling.window_seconds))


def fair_share(counts: Sequence[int], room: int) -> int:
    """The most clips a video may give so that all together do not give too many.

    Those that have less than this give all they have, and leave their room to the others.

    Args:
        counts: How many clips each video has.
        room: How many clips there may be in all; at least as many as videos.

    >>> fair_share([1, 2, 50, 90], room=13)
    5
    >>> fair_share([1, 2, 3], room=100)
    3
    """
    for number, count in enumerate(sorted(counts)):
        share = room // (len(counts) - number)
        if count > share:
            return share
        room -= count
    return max(counts)


def plan_of(video: Video, share: int, sampling: Sampling) -> Plan:
    """Cut a video back to back, or with even gaps where that gives more clips than its share."""
    if windows(video, sampling) <= share:
        return Plan()
    return Plan(stride_seconds=video.duration_seconds / share)


class _Reader:
    """Collects the clips of each video; those of an attempt that failed are void."""

    def __init__(self, share: int) -> None:
        self.share = share
        self.clips: dict[str, list[Frames]] = {}
        self.failed: dict[str, Problem] = {}
        self._coming: dict[tuple[str, int], list[Frames]] = {}

    def hear(self, event: Event | NothingToDo) -> None:
        if isinstance(event, NothingToDo):
            return
        video_id = str(event.job.key)
        match event:
            case ClipDecoded():
                clips = self._coming.setdefault((video_id, event.attempt), [])
                if len(clips) < self.share:  # a wrong duration may give one more
                    clips.append(event.frames)
            case ClipRepeated():
                clips = self._coming[video_id, event.attempt]
                if len(clips) < self.share:
                    clips.append(clips[-1])
            case VideoDone():
                self.clips[video_id] = self._coming.pop((video_id, event.attempt))
                self._drop(video_id)
            case VideoFailed():
                self.failed[event.job.path] = event.problem
                self._drop(video_id)

    def _drop(self, video_id: str) -> None:
        for key in [key for key in self._coming if key[0] == video_id]:
            del self._coming[key]


def _parted(reader: _Reader) -> Footage:
    """The same clips in whatever order the videos came."""
    ids = sorted(reader.clips)
    clips = sum(map(len, reader.clips.values()))
    if len(ids) < LEAST_VIDEOS or clips < LEAST_CLIPS:
        raise _too_little(f"videos: {len(ids)}, clips: {clips}", reader.failed)
    held_out = max(1, round(HELD_OUT_SHARE * len(ids)))

    def clips_of(some: Sequence[str]) -> Iterator[Frames]:
        return (clip for one in some for clip in reader.clips[one])

    return Footage(
        training=tuple(clips_of(ids[held_out:])),
        held_out=tuple(clips_of(ids[:held_out])),
        videos=len(ids),
        failed=dict(sorted(reader.failed.items())),
    )


def _too_little(have: str, failed: Mapping[str, Problem]) -> VidxError:
    parts = [f"too little to learn from ({have})"]
    if failed:
        parts.append(f"files that cannot be read: {len(failed)}")
        parts += [f"{path}: {problem.message}" for path, problem in list(failed.items())[:SHOWN]]
    return VidxError(
        "; ".join(parts),
        f"Adapting takes {LEAST_VIDEOS} videos and {LEAST_CLIPS} clips or more. Embed further "
        "videos, or put those back that were moved: `vidx videos` lists where they were.",
    )
