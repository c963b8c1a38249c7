"""Collections whose vectors are known, for the questions of curation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from made_collections import commit, draw_video
from numpy.typing import NDArray

import vidx
from vidx.store.layout import Layout
from vidx.views import extend_index


def collection_of(folder: Path, videos: dict[str, NDArray[np.float32]], **paths) -> vidx.Collection:
    """A collection of drawn videos, indexed.

    Args:
        folder: Where it is made.
        videos: The vectors of each, by name, shape (clips, 8).
        paths: By name, where a video lies at other paths than its own, or at several.
    """
    layout = Layout(folder / "collection")
    commit(
        layout,
        *(
            draw_video(name, len(vectors), vectors=vectors, paths=paths.get(name, ()))
            for name, vectors in videos.items()
        ),
    )
    collection = vidx.open(layout.root)
    extend_index(collection._catalogue())
    return collection


def kinds(num_videos: int, clips: int = 4, *, seed: int = 0, spread: float = 0.3) -> dict:
    """Videos of five kinds: vectors around five directions, by name."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((5, 8))
    return {
        f"v{number:03}": (centres[number % 5] + spread * random.standard_normal((clips, 8))).astype(
            np.float32
        )
        for number in range(num_videos)
    }


def compared(collection: vidx.Collection, likeness: str) -> tuple[NDArray, NDArray, NDArray]:
    """The clip ids, the vectors as they are compared, and the numbers of videos; all that live."""
    with collection._look() as (_, view):
        rows = np.arange(len(view.index)) if view.live is None else np.flatnonzero(view.live)
        named = view.index.of_rows(rows)
        return named.ids, view.index.vectors_of(rows, likeness), named.videos
