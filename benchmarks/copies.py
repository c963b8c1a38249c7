"""Does a changed copy of a video find its source first, among all videos?

    python benchmarks/copies.py --model CHECKPOINT --folder VIDEOS [...] [--out FILE]

Of each video that decodes, short copies are made of its beginning: encoded anew by another codec
at a low bitrate, at half size, with a tenth of width and height cut off, brighter by a fifth and
16 steps of luma, without the first 0.4 s (videos of more than 1.5 s), at another frame rate. All
but the first are of good quality. The videos are cut into clips and embedded whole, the copies
likewise. As in `vidx search`, the video with the clip of the highest cosine similarity to any clip
of the copy comes first.

Files in a folder called `near_duplicates` are left out, and so is every further file with the same
bytes: what finds one of those has not missed.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av.error
import av.logging
import numpy as np
from changes import CHANGES, changes_for, write_copy
from command import about, cores, run
from numpy.typing import NDArray
from scores import unit

from vidx.embedder.decoding.files import find_videos
from vidx.embedder.decoding.pool import Job
from vidx.embedder.encoder import Encoder, load
from vidx.embedder.pipeline import embed_videos
from vidx.records import EmbeddedVideo, Problem, VideoInfo
from vidx.store.survey import content_id

BATCH_SIZE = 16
NEAR_DUPLICATES = "near_duplicates"


@dataclass(frozen=True)
class Source:
    """A video that copies are made of.

    Attributes:
        path: The file.
        info: What the decoder learned of it.
        embeddings: float32, shape (clips, dim).
    """

    path: Path
    info: VideoInfo
    embeddings: NDArray[np.float32]


@dataclass(frozen=True)
class Copy:
    """A changed copy, the kind of change, and which source it is of."""

    path: Path
    kind: str
    source: int


def find_originals(folders: Sequence[Path]) -> list[Path]:
    """List the files of folders, each content once, without those in `near_duplicates`."""
    paths = [path for path in find_videos(folders).paths if NEAR_DUPLICATES not in path.parts]
    return sorted({content_id(path): path for path in reversed(paths)}.values())


def embed(encoder: Encoder, paths: Sequence[Path]) -> list[EmbeddedVideo | Problem]:
    """Embed files; gives each one's vectors, or why there are none, in the same order."""
    jobs = [Job(number, str(path)) for number, path in enumerate(paths)]
    done = embed_videos(encoder, jobs, workers=cores(), batch_size=BATCH_SIZE)
    outcomes = {job.key: outcome for job, outcome in done}
    return [outcomes[job.key] for job in jobs]


def make_copies(sources: Sequence[Source], folder: Path) -> list[Copy]:
    """Write every copy of every source into a folder; one that cannot be made is not there."""
    copies = [
        Copy(folder / f"{number} {kind}.mkv", kind, number)
        for number, source in enumerate(sources)
        for kind in changes_for(source.info)
    ]
    with ThreadPoolExecutor(cores()) as threads:  # FFmpeg works without the GIL
        list(threads.map(lambda copy: _make(sources[copy.source], copy), copies))
    return copies


def _make(source: Source, copy: Copy) -> None:
    with contextlib.suppress(av.error.FFmpegError):
        write_copy(source.path, source.info, copy.kind, copy.path)


def first_found(clips: NDArray[Any], gallery: NDArray[Any], owners: NDArray[Any]) -> list[int]:
    """Whose clip is nearest: to any clip of a copy, and then to each of them alone.

    Args:
        clips: The copy's vectors, shape (clips, dim).
        gallery: All sources' vectors, shape (n, dim).
        owners: The source of each, shape (n,).

    Returns:
        1 + clips sources.
    """
    similarities = unit(clips) @ unit(gallery).T  # (clips, n)
    best = [similarities.max(axis=0).argmax(), *similarities.argmax(axis=1)]
    return [int(owners[row]) for row in best]


def measure(model: str, folders: Sequence[Path], device: str | None) -> dict[str, Any]:
    """Make the copies, and search with each; ready for JSON."""
    encoder = load(model, device=device)
    originals = find_originals(folders)
    sources, failed = [], {}
    for path, video in zip(originals, embed(encoder, originals), strict=True):
        if isinstance(video, EmbeddedVideo):
            sources.append(Source(path, video.info, video.embeddings))
        else:
            failed[str(path)] = f"{video.reason}: {video.message}"
    if not sources:
        sys.exit("no video to make copies of")
    with tempfile.TemporaryDirectory() as folder:
        copies = make_copies(sources, Path(folder))
        answers = embed(encoder, [copy.path for copy in copies])
    return {
        "model": model,
        **about(encoder),
        "videos": len(sources),
        "failed": failed,
        **tally(sources, copies, answers),
    }


def tally(
    sources: Sequence[Source], copies: Sequence[Copy], answers: Sequence[EmbeddedVideo | Problem]
) -> dict[str, Any]:
    """Count what was found; a copy that could not be embedded is a miss."""
    gallery = np.concatenate([source.embeddings for source in sources])
    owners = np.repeat(np.arange(len(sources)), [len(source.embeddings) for source in sources])
    hits: dict[str, list[list[bool]]] = {kind: [] for kind in CHANGES}
    missed = []
    for copy, answer in zip(copies, answers, strict=True):
        if isinstance(answer, EmbeddedVideo):
            found = first_found(answer.embeddings, gallery, owners)
            instead = sources[found[0]].path.name
        else:
            found, instead = [-1, -1], answer.message
        hits[copy.kind].append([source == copy.source for source in found])
        if found[0] != copy.source:
            name = sources[copy.source].path.name
            missed.append({"kind": copy.kind, "video": name, "first": instead})
    everything = [copy for kind in hits.values() for copy in kind]
    return {
        "kinds": {kind: shares(found) for kind, found in hits.items() if found},
        "overall": shares(everything),
        "missed": missed,
    }


def shares(found: Sequence[Sequence[bool]]) -> dict[str, float]:
    """Shares of copies, and of their clips alone, whose source comes first.

    Args:
        found: Of each copy: whether it found its source, then whether each of its clips did.
    """
    clips = [clip for _, *clips in found for clip in clips]
    return {
        "copies": len(found),
        "found": float(np.mean([whole for whole, *_ in found])),
        "clips": len(clips),
        "clips_found": float(np.mean(clips)),
    }


def table(result: dict[str, Any]) -> str:
    """The results to read."""
    lines = [
        f"{result['model']}: copies of {result['videos']} videos that find their source first",
        f"{'':18}{'copies':>8}{'found':>9}{'clips':>8}{'found':>9}",
    ]
    for kind, one in [*result["kinds"].items(), ("overall", result["overall"])]:
        found = f"{one['copies']:>8}{one['found']:>9.1%}{one['clips']:>8}{one['clips_found']:>9.1%}"
        lines.append(f"{kind:18}{found}")
    lines += [f"  left out: {path}: {why}" for path, why in result["failed"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    av.logging.set_level(av.logging.ERROR)
    run(Path(__file__).name, __doc__, measure, table)
