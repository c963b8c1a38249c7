"""Does a changed copy of a video find its source first, among all videos?

    python benchmarks/copies.py --model CHECKPOINT --folder VIDEOS [...] [--out FILE]

Of each video that decodes, short copies are made of its beginning: encoded anew by another codec
at a low bitrate, at half size, with a tenth of width and height cut off, brighter by a fifth and
16 steps of luma, without the first 0.4 s (videos of more than 1.5 s), at another frame rate. All
but the first are of good quality. The videos are cut into clips and embedded whole, the copies
likewise.

Vectors are compared in both likenesses of a collection: `similar`, as they are, and `copy`, after
whitening by the principal axes of the videos' own vectors, as `vidx search --copies` does. A video
comes first in two ways: by the best pair, when its clip has the highest cosine similarity to any
clip of the copy, as in `vidx search`; and by the mean over the copy's clips of the best match.

Files in a folder called `near_duplicates` are left out, and so is every further file with the same
bytes: what finds one of those has not missed.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, get_args

import av.error
import numpy as np
from changes import CHANGES, COPY_SECONDS, changes_for, write_copy
from command import about, cores, run
from numpy.typing import NDArray

from vidx.embedder.decoding.events import Job
from vidx.embedder.decoding.files import find_videos
from vidx.embedder.encoder import Encoder, load
from vidx.embedder.pipeline import embed_videos
from vidx.index import normalized
from vidx.index.whitening import Whitening
from vidx.records import EmbeddedVideo, Likeness, Problem, VideoInfo
from vidx.store.hashing import content_id

BATCH_SIZE = 16
NEAR_DUPLICATES = "near_duplicates"
LIKENESSES: tuple[Likeness, ...] = get_args(Likeness)

Projection: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.float32]]


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


class Found(NamedTuple):
    """Sources that come first: by the best pair, by the mean, and for each clip alone."""

    pair: int
    mean: int
    clips: tuple[int, ...]


NOTHING = Found(-1, -1, (-1,))  # of a copy that could not be embedded


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


def make_copies(
    sources: Sequence[Source], folder: Path, seconds: float = COPY_SECONDS
) -> list[Copy]:
    """Write every copy of every source into a folder; one that cannot be made is not there."""
    copies = [
        Copy(folder / f"{number} {kind}.mkv", kind, number)
        for number, source in enumerate(sources)
        for kind in changes_for(source.info)
    ]
    with ThreadPoolExecutor(cores()) as threads:  # FFmpeg works without the GIL
        list(threads.map(lambda copy: _make(sources[copy.source], copy, seconds), copies))
    return copies


def _make(source: Source, copy: Copy, seconds: float) -> None:
    with contextlib.suppress(av.error.FFmpegError):
        write_copy(source.path, source.info, copy.kind, copy.path, seconds)


def project(gallery: NDArray[np.float32], likeness: Likeness) -> Projection:
    """What vectors are compared as, in one likeness of a collection with this gallery.

    Args:
        gallery: All sources' vectors, shape (n, dim).
        likeness: Which.
    """
    if likeness == "similar":
        return normalized
    whitening = Whitening.fit(normalized(gallery))
    return lambda vectors: whitening.apply(normalized(vectors))


def first_found(similarities: NDArray[Any], owners: NDArray[np.int64]) -> Found:
    """Which source comes first for a copy.

    Args:
        similarities: Of the copy's clips with the gallery's, shape (clips, n).
        owners: The source of each of the gallery's clips, shape (n,).
    """
    best = np.full((owners.max() + 1, len(similarities)), -np.inf)  # of each source with each clip
    np.maximum.at(best, owners, similarities.T)
    pair, mean, clips = best.max(axis=1).argmax(), best.mean(axis=1).argmax(), best.argmax(axis=0)
    return Found(int(pair), int(mean), tuple(clips.tolist()))


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
    found = {likeness: searched(sources, answers, likeness) for likeness in LIKENESSES}
    of_kind = {
        kind: [row for row, copy in enumerate(copies) if copy.kind == kind] for kind in CHANGES
    }
    return {
        "kinds": {kind: shares(copies, found, rows) for kind, rows in of_kind.items() if rows},
        "overall": shares(copies, found, range(len(copies))),
        "missed": {
            likeness: [
                missed(copy, answer, sources, one.pair)
                for copy, answer, one in zip(copies, answers, found[likeness], strict=True)
                if one.pair != copy.source
            ]
            for likeness in LIKENESSES
        },
    }


def searched(
    sources: Sequence[Source], answers: Sequence[EmbeddedVideo | Problem], likeness: Likeness
) -> list[Found]:
    """Compare each copy's clips with those of all sources."""
    gallery = np.concatenate([source.embeddings for source in sources])
    owners = np.repeat(np.arange(len(sources)), [len(source.embeddings) for source in sources])
    projection = project(gallery, likeness)
    compared = projection(gallery)
    return [
        first_found(projection(answer.embeddings) @ compared.T, owners)
        if isinstance(answer, EmbeddedVideo)
        else NOTHING
        for answer in answers
    ]


def missed(
    copy: Copy, answer: EmbeddedVideo | Problem, sources: Sequence[Source], first: int
) -> dict[str, str]:
    """A copy that did not find its source, and what came first."""
    instead = answer.message if isinstance(answer, Problem) else sources[first].path.name
    return {"kind": copy.kind, "video": sources[copy.source].path.name, "first": instead}


def shares(
    copies: Sequence[Copy], found: dict[Likeness, list[Found]], rows: Sequence[int]
) -> dict[str, Any]:
    """Shares of some copies, and of their clips alone, whose source comes first.

    Args:
        copies: All of them.
        found: What each found, by likeness.
        rows: Which of them.
    """
    result: dict[str, Any] = {
        "copies": len(rows),
        "clips": sum(len(found["similar"][row].clips) for row in rows),
    }
    for likeness, each in found.items():
        pairs = [(each[row], copies[row].source) for row in rows]
        clips = [clip == source for one, source in pairs for clip in one.clips]
        result[likeness] = {
            "found": float(np.mean([one.pair == source for one, source in pairs])),
            "found_by_mean": float(np.mean([one.mean == source for one, source in pairs])),
            "clips_found": float(np.mean(clips)),
        }
    return result


def table(result: dict[str, Any]) -> str:
    """The results to read."""
    heads = "".join(f"{head:>9}" for head in ("pair", "mean", "clips") * len(LIKENESSES))
    lines = [
        f"{result['model']}: copies of {result['videos']} videos that find their source first",
        f"{'':26}{''.join(f'{likeness:^27}' for likeness in LIKENESSES)}",
        f"{'':18}{'copies':>8}{heads}",
    ]
    for kind, one in [*result["kinds"].items(), ("overall", result["overall"])]:
        figures = [share for likeness in LIKENESSES for share in one[likeness].values()]
        cells = "".join(f"{share:>9.1%}" for share in figures)
        lines.append(f"{kind:18}{one['copies']:>8}{cells}")
    lines += [f"  left out: {path}: {why}" for path, why in result["failed"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    run(Path(__file__).name, __doc__, measure, table)
