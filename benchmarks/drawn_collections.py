"""Collections of drawn vectors, committed and indexed as `vidx embed` does it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import vidx
from vidx import records
from vidx.records import Clip, EmbeddedVideo, Source, Space, VideoInfo
from vidx.store.layout import Layout
from vidx.store.shards import NewVideo
from vidx.store.writer import Batch, open_writer

LABELS = tuple(f"label {number:03}" for number in range(400))
PROVENANCE = {"model": "drawn", "device": "cpu"}
FOLDERS = 10  # at the top, each with as many of the videos

Result = dict[str, Any]


def fill(folder: Path, batches: Iterable[Batch], dim: int, num_labels: int = len(LABELS)) -> Result:
    """Commit batches, and index each commit; drawing them is not counted."""
    committing, indexing, sizes = [], [], []
    with (
        open_writer(Layout(folder), space(dim, num_labels)) as writer,
        vidx.open(folder) as collection,
    ):
        extend = extending(collection)
        for batch in batches:
            committing.append(seconds(writer.commit, batch, PROVENANCE))
            indexing.append(seconds(extend))
            sizes.append(batch.num_clips)
    last = max(len(committing) // 10, 1)
    return {
        "commit_clips_per_second": sum(sizes) / sum(committing),
        "last_tenth_clips_per_second": sum(sizes[-last:]) / sum(committing[-last:]),
        "index_clips_per_second": sum(sizes) / sum(indexing),
        "sqlite_bytes_per_clip": Layout(folder).catalogue.stat().st_size / sum(sizes),
    }


def space(dim: int, num_labels: int = len(LABELS)) -> Space:
    """Of a model that nobody has."""
    return Space("f" * 64, "/models/drawn", None, 16, 7.5, dim, LABELS[:num_labels])


def labelled(
    blocks: Iterable[NDArray[np.float32]],
    first: int,
    clips_a_video: int,
    num_labels: int = len(LABELS),
) -> Iterator[Batch]:
    """Vectors as batches of videos with drawn logits.

    Args:
        blocks: Shape (any, dim), whole videos each.
        first: The number of the first clip.
        clips_a_video: As it says.
        num_labels: How many logits.
    """
    random = np.random.default_rng(first)
    start, logits = first, np.empty((0, num_labels), np.float32)
    for vectors in blocks:
        if len(vectors) > len(logits):
            logits = random.standard_normal((len(vectors), num_labels), dtype=np.float32)
        tilted = logits[: len(vectors)] + random.standard_normal(num_labels, dtype=np.float32) / 4
        halves = tilted.astype(np.float16)
        yield Batch(
            videos=[
                new_video(
                    (start + at) // clips_a_video,
                    vectors[at : at + clips_a_video],
                    halves[at : at + clips_a_video],
                )
                for at in range(0, len(vectors), clips_a_video)
            ]
        )
        start += len(vectors)


def new_video(number: int, vectors: NDArray[np.float32], logits: NDArray[np.float16]) -> NewVideo:
    """One video of drawn clips."""
    count = len(vectors)
    # Another version of vidx has the time of last change as a number.
    version: Any = "1700000000000000000" if "version" in Source.__slots__ else 1700000000000000000
    return NewVideo(
        video_id=video_id(number),
        plan="d" * 64,
        sources=[Source(path_of(number), 1_000_000, version)],
        embedded=EmbeddedVideo(
            info=VideoInfo(2.0 * count, 640, 360, 30.0, "h264", "mov,mp4", 0.0, 0, False, ()),
            clips=tuple(Clip(2.0 * i, 2.0 * i + 2) for i in range(count)),
            **facts_of(count),
            embeddings=vectors,
            logits=logits,
            problem=None,
        ),
    )


def facts_of(count: int) -> dict[str, Any]:
    """What is plain to see of so many clips; another version of vidx does not say it."""
    if not hasattr(records, "ClipFacts"):
        return {}
    seconds = tuple(number / 7.5 for number in range(16))
    facts = records.ClipFacts(0.5, 0.2, 150.0, 0.05, 0.0, 0.0, seconds)
    return {"facts": (facts,) * count, "repeats": (False,) * count}


def video_id(number: int) -> str:
    """What the content of this video would hash to."""
    return hashlib.sha256(f"video {number}".encode()).hexdigest()


def path_of(number: int) -> str:
    """Where a video lies, two folders deep."""
    return f"/data/videos/{number % FOLDERS}/{number // FOLDERS % 50:02}/video-{number:08}.mp4"


def extending(collection: Any) -> Callable[[], None]:
    """What brings the index up to date, in either version of vidx."""
    try:
        from vidx.views import extend_index
    except ImportError:
        extend: Callable[[], None] = collection._extend_index
        return extend
    return lambda: extend_index(collection._views.catalogue())


def seconds(run: Callable[..., object], *arguments: object) -> float:
    """How long one call takes."""
    started = time.perf_counter()
    run(*arguments)
    return time.perf_counter() - started


def memory_mb(*names: str) -> list[float]:
    """What the system tells of this process: `VmRSS` (resident now), `VmHWM` (most so far)."""
    # Not getrusage: what it tells begins with the size of the process that started this one.
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    known = {line.split(":")[0]: line.split()[1] for line in lines if line.endswith("kB")}
    return [int(known[name]) * 1024 / 1e6 for name in names]
