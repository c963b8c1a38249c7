"""`threshold_report`: the threshold of copies, by copies of the collection's own videos."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidx.curating.part import Part, Progress
from vidx.curating.thresholds import Kept, keep
from vidx.curation import thresholds as computing
from vidx.embedder.decoding.events import Job
from vidx.embedder.decoding.places import unchanged
from vidx.embedder.pipeline import embed_videos
from vidx.embedder.trimming.trimmer import Trimmer
from vidx.errors import UsageError, VideoError, VidxError
from vidx.records import Clip, EmbeddedVideo
from vidx.stages import logger
from vidx.store.places import places_of
from vidx.store.told import clips_told, paths_of, spans, table_of_columns, video_ids_of

if TYPE_CHECKING:
    import pyarrow as pa

    from vidx.embedder.encoder import Encoder

SHIFTS_SECONDS = {"re-encoded": 0.0, "trimmed": 0.4}  # from where the stored clip begins
SAME = 0.9  # as similar to the source itself: such a clip is its copy already, and no mistake
BATCH_CLIPS = 8
BLOCK_ROWS = 16_384
PAIRS_EACH = 3  # told around each candidate


@dataclass(frozen=True, slots=True)
class ThresholdReport:
    """Where copies part from other footage in this collection.

    Attributes:
        threshold: What `duplicates` takes from now on, unless told otherwise.
        num_videos: Of how many videos copies were made.
        thresholds: A row a candidate: `threshold`, `precision`, `recall`, `recall_re_encoded`,
            `recall_trimmed`.
        histogram: A row a step of similarity: `from_score`, `to_score`, `num_clips`, of each clip
            and the nearest one of another video.
        pairs: Clips with that nearest one, three around each candidate, to be looked at.
    """

    threshold: float
    num_videos: int
    thresholds: pa.Table
    histogram: pa.Table
    pairs: pa.Table


class Copies(NamedTuple):
    """Copies of stored clips, as they are compared.

    Attributes:
        sources: The place of each one's source, int64, shape (m,).
        kinds: What was done, among `SHIFTS_SECONDS`.
        vectors: Shape (m, d).
    """

    sources: NDArray[np.int64]
    kinds: NDArray[np.str_]
    vectors: NDArray[np.float32]


def threshold_report(
    part: Part, encoder: Encoder, num_videos: int, seed: int, progress: Progress
) -> ThresholdReport:
    """Find the threshold and keep it, as `Measuring.threshold_report` says.

    Raises:
        UsageError: There are fewer than two videos, or less than one is asked for.
        VidxError: Of no video a copy could be made, or the answer cannot be written.
    """
    if num_videos < 1:
        raise UsageError(f"num_videos={num_videos}: 1 is the least.")
    if len(np.unique(part.videos)) < 2:
        raise UsageError("copies are told from other videos, and there is one video.")
    copies = _copies(part, encoder, num_videos, seed)
    own, others = _compared(part, copies)
    found = computing.judged(own, others)
    best = computing.chosen(found.precision)
    threshold = float(computing.CANDIDATES[best])
    used = len(np.unique(copies.sources))
    keep(part.catalogue.layout.root, Kept(threshold, used, float(found.precision[best])))
    recalls = {
        f"recall_{kind.replace('-', '_')}": _recall(own[copies.kinds == kind])
        for kind in SHIFTS_SECONDS
    }
    table = {"threshold": computing.CANDIDATES, **found._asdict(), **recalls}
    graph = part.graph("copy", progress, apart=True)
    nearest = graph.scores[:, 0]
    starts, counts = computing.histogram(nearest)
    steps = {"from_score": starts, "to_score": starts + computing.BIN, "num_clips": counts}
    places = computing.around(nearest, PAIRS_EACH)
    pairs = _pairs(part, places, graph.places[places, 0].astype(np.int64), nearest[places])
    return ThresholdReport(threshold, used, table_of_columns(table), table_of_columns(steps), pairs)


def _recall(own: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray((own[:, None] >= computing.CANDIDATES).sum(axis=0) / max(len(own), 1))


def _copies(part: Part, encoder: Encoder, num_videos: int, seed: int) -> Copies:
    """Copies of a clip each of some videos, written to a folder that goes, and embedded."""
    with tempfile.TemporaryDirectory(prefix="vidx-") as name:
        made = list(_written(part, Path(name), num_videos, seed))
        vectors = _embedded([path for _, _, path in made], encoder) if made else {}
    if not vectors:
        raise VidxError(
            "of no video a copy could be made: their files are gone, or cannot be decoded",
            "Put some back where they were embedded from; `vidx videos` lists their paths.",
        )
    order = sorted(vectors)
    stacked = np.stack([vectors[number] for number in order])
    return Copies(
        np.array([made[number][0] for number in order]),
        np.array([made[number][1] for number in order]),
        part.view.index.project(stacked, "copy"),
    )


def _embedded(paths: list[Path], encoder: Encoder) -> dict[int, NDArray[np.float32]]:
    """The first vector of each copy that can be decoded, by its place."""
    jobs = [Job(number, str(path)) for number, path in enumerate(paths)]
    answers = embed_videos(encoder, jobs, workers=1, batch_size=BATCH_CLIPS)
    return {
        int(job.key): one.embeddings[0] for job, one in answers if isinstance(one, EmbeddedVideo)
    }


def _written(
    part: Part, folder: Path, num_videos: int, seed: int
) -> Iterator[tuple[int, str, Path]]:
    """The place of a clip, what is done to it, and the copy; of videos that are still there."""
    random = np.random.default_rng(seed)
    done, trimmer = 0, Trimmer()
    try:
        for video in random.permutation(np.unique(part.videos)).tolist():
            place = int(random.choice(np.flatnonzero(part.videos == video)))
            try:
                files = _cut(part, trimmer, place)
            except VideoError as error:
                logger.warning("No copy is made of clip %d: %s", part.clip_ids[place], error)
                continue
            for kind, data in files.items():
                path = folder / f"{place}-{kind}.mp4"
                path.write_bytes(data)
                yield place, kind, path
            done += 1
            if done == num_videos:
                return
    finally:
        trimmer.close()


def _cut(part: Part, trimmer: Trimmer, place: int) -> dict[str, bytes]:
    """Copies of a clip, encoded anew."""
    [span] = spans(part.catalogue, part.clip_ids[[place]])
    name = video_ids_of(part.catalogue, span["video"][None])[int(span["video"])]
    path, state = unchanged(places_of(part.catalogue, [name])[name])
    kinds = list(SHIFTS_SECONDS)
    wanted = {
        number: Clip(float(span["start"]) + shift, float(span["end"]) + shift)
        for number, shift in enumerate(SHIFTS_SECONDS.values())
    }
    # What is not upright is never copied as it is.
    files = trimmer.trim(path, state, wanted, is_upright=False)
    return {kinds[one.number]: one.data for one in files}


def _compared(part: Part, copies: Copies) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How similar each copy is to its source, and to the nearest clip of other footage."""
    sources = part.vectors(copies.sources, "copy")
    owners = part.videos[copies.sources]
    own = np.full(len(owners), -1, np.float32)
    others = np.full(len(owners), -1, np.float32)
    for start in range(0, len(part), BLOCK_ROWS):
        block = np.arange(start, min(start + BLOCK_ROWS, len(part)))
        vectors = part.vectors(block, "copy").T
        similar = copies.vectors @ vectors
        is_own = owners[:, None] == part.videos[block]
        is_other = ~is_own & (sources @ vectors < SAME)
        own = np.maximum(own, np.where(is_own, similar, -1).max(axis=1))
        others = np.maximum(others, np.where(is_other, similar, -1).max(axis=1))
    return own, others


def _pairs(
    part: Part,
    places: NDArray[np.int64],
    nearest: NDArray[np.int64],
    scores: NDArray[np.float32],
) -> pa.Table:
    """Clips and their nearest ones."""
    beside = spans(part.catalogue, part.clip_ids[nearest])
    paths = paths_of(part.catalogue, beside["video"])
    return clips_told(
        part.catalogue,
        part.clip_ids[places],
        {"threshold": np.repeat(computing.CANDIDATES, len(places) // len(computing.CANDIDATES))},
        {
            "score": scores.astype(np.float64),
            "nearest_clip_id": part.clip_ids[nearest],
            "nearest_path": [paths[owner][0] for owner in beside["video"].tolist()],
            "nearest_start_seconds": beside["start"],
            "nearest_end_seconds": beside["end"],
        },
    )
