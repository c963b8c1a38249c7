"""How much video there is in some files, by their headers: nothing is decoded.

Headers are read by decoding workers, with their limits. Of many files a sample is looked at, and
the others are taken to be like it, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from vidx.embedder.decoding.events import HeaderRead, Job, VideoFailed
from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.pool import Limits, decode
from vidx.embedder.decoding.sampling import Plan, Sampling, clip_spans
from vidx.errors import VideoError
from vidx.records import Problem

File = TypeVar("File")

MOST_PROBED = 1000
LIMITS = Limits(deadline_seconds=20.0)


@dataclass(frozen=True, slots=True)
class VideoFile:
    """A file to look at.

    Attributes:
        path: Of the file, or its URL.
        size_bytes: None where nobody says.
        plan: How it is cut into clips.
    """

    path: str
    size_bytes: int | None
    plan: Plan = field(default_factory=Plan)


@dataclass(frozen=True, slots=True)
class Probed:
    """What headers say, of all files.

    Attributes:
        num_files: All files.
        num_probed: Files that were looked at; where they are not all, the rest is estimated.
        num_videos: Files that seem to be videos.
        video_seconds: Their durations together.
        num_clips: Clips that they would be cut into.
        sound: Paths that were looked at and seem to be videos, in the order of the files.
        problems: Of those that were looked at: which cannot be decoded, and why.
    """

    num_files: int
    num_probed: int
    num_videos: int
    video_seconds: float
    num_clips: int
    sound: tuple[str, ...]
    problems: tuple[tuple[str, Problem], ...]


@dataclass(slots=True)
class _Sums:
    """Of the files that were looked at."""

    videos: int = 0
    known_bytes: int = 0  # of those that declare their duration
    known_seconds: float = 0.0
    unknown_bytes: int = 0
    clips: int = 0


def probe(
    files: Sequence[VideoFile],
    sampling: Sampling,
    *,
    workers: int,
    most: int = MOST_PROBED,
) -> Probed:
    """Look at the headers of files.

    Args:
        files: All of them.
        sampling: Frames of a clip and their spacing.
        workers: Processes; 0 looks in this one, without isolation.
        most: Of more files, so many are looked at, evenly spaced.
    """
    chosen = spread(files, most)
    sums = _Sums()
    sound, problems = set(), {}
    for file, outcome in _headers(chosen, sampling, workers):
        if isinstance(outcome, Problem):
            problems[file.path] = outcome
            continue
        sound.add(file.path)
        _add(sums, file, outcome, sampling)
    _settle_unknown(sums)
    scale = _scale(files, chosen)
    return Probed(
        num_files=len(files),
        num_probed=len(chosen),
        num_videos=round(sums.videos * len(files) / len(chosen)) if chosen else 0,
        video_seconds=sums.known_seconds * scale,
        num_clips=round(sums.clips * scale),
        sound=tuple(file.path for file in chosen if file.path in sound),
        problems=tuple(
            (file.path, problems[file.path]) for file in chosen if file.path in problems
        ),
    )


def spread(files: Sequence[File], most: int) -> list[File]:
    """At most so many of some files, evenly spaced.

    >>> spread("abcdef", 3)
    ['a', 'c', 'e']
    """
    if len(files) <= most:
        return list(files)
    return [files[number * len(files) // most] for number in range(most)]


def _headers(
    files: Sequence[VideoFile], sampling: Sampling, workers: int
) -> Iterator[tuple[VideoFile, float | Problem | None]]:
    """The duration that each file declares, or why it cannot be decoded."""
    jobs = (Job(number, file.path, header_only=True) for number, file in enumerate(files))
    events = decode(
        jobs, sampling=sampling, geometry=FrameGeometry(), workers=workers, limits=LIMITS
    )
    for event in events:
        if isinstance(event, HeaderRead):
            yield files[int(event.job.key)], event.header.duration_seconds
        elif isinstance(event, VideoFailed):
            yield files[int(event.job.key)], event.problem


def _add(sums: _Sums, file: VideoFile, seconds: float | None, sampling: Sampling) -> None:
    sums.videos += 1
    if seconds is None or seconds <= 0:
        sums.unknown_bytes += file.size_bytes or 0
        return
    sums.known_bytes += file.size_bytes or 0
    try:
        clips = clip_spans(seconds, sampling, file.plan)
    except VideoError:  # its spans start behind its end, as the run will tell
        return
    sums.known_seconds += clips[-1].end_seconds - clips[0].start_seconds
    sums.clips += len(clips)


def _settle_unknown(sums: _Sums) -> None:
    """Take files that declare no duration to be like the others, byte for byte."""
    if not (sums.unknown_bytes and sums.known_bytes):
        return
    share = 1 + sums.unknown_bytes / sums.known_bytes
    sums.known_seconds *= share
    sums.clips = round(sums.clips * share)


def _scale(files: Sequence[VideoFile], chosen: Sequence[VideoFile]) -> float:
    """How many times as much there is in all files as in those that were chosen."""
    if len(files) == len(chosen):
        return 1.0
    here = sum(file.size_bytes or 0 for file in chosen)
    everywhere = sum(file.size_bytes or 0 for file in files)
    return everywhere / here if here else len(files) / len(chosen)
