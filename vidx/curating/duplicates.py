"""`duplicates`: the same footage, more than once: by clip, by span, by video."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vidx.curating import tables
from vidx.curating.part import Part, Progress
from vidx.curating.thresholds import checked
from vidx.curation.groups import Edges, Farther, grouped
from vidx.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

KINDS = ("clip", "segment", "video")


def duplicates(
    part: Part,
    threshold: float | None,
    by: str,
    *,
    within_videos: bool,
    progress: Progress,
) -> pa.Table:
    """Find what is there more than once.

    Args:
        part: The clips that are looked at.
        threshold: The least similarity as copies. None: `copy_threshold`.
        by: `clip`, `segment` or `video`.
        within_videos: Whether clips of one video may be duplicates of each other; of clips alone.
        progress: Called as the graph is made.

    Raises:
        UsageError: The threshold is no similarity, or `by` is something else.
    """
    if by not in KINDS:
        raise UsageError(
            f"by={by!r}: duplicates are told by {', '.join(KINDS[:-1])} or {KINDS[-1]}."
        )
    if within_videos and by != "clip":
        raise UsageError(f"within_videos is about clips, and by={by!r} is not.")
    least = checked(threshold, part.catalogue.layout.root)
    if by == "clip":
        return _by_clip(part, least, within_videos, progress)
    from vidx.curating import copies

    found = copies.aligned_pairs(part, least, progress)
    return copies.by_segment(part, found) if by == "segment" else copies.by_video(part, found)


def _by_clip(part: Part, threshold: float, within_videos: bool, progress: Progress) -> pa.Table:
    graph = part.graph("copy", progress, apart=not within_videos)
    edges = Edges.among(graph.places, graph.scores, threshold)
    owners = np.arange(len(part), dtype=np.int32) if within_videos else part.videos
    is_full = graph.scores[:, -1] >= threshold

    def compare(place: int, others: NDArray[np.int64]) -> NDArray[np.float32]:
        [vector] = part.vectors(np.array([place]), "copy")
        return np.asarray(part.vectors(others, "copy") @ vector)

    found = grouped(edges, Farther(edges, is_full, owners, threshold, compare))
    return tables.of_clips(part, found)
