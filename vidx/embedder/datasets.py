"""Clips as data sets of torch, for training on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from vidx.embedder.checkpoints.finding import find_preprocessor
from vidx.embedder.decoding.clip_reader import ClipReader
from vidx.embedder.decoding.places import unchanged
from vidx.embedder.decoding.sampling import Sampling
from vidx.embedder.videomae.preprocess import Preprocessing
from vidx.errors import VideoError
from vidx.records import Clip, Source, Space

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rows:
    """What is told of each clip beside its frames or vector.

    Attributes:
        clip_ids: int64 (n,).
        columns: Further values by name, n each.
    """

    clip_ids: NDArray[np.int64]
    columns: Mapping[str, Sequence[Any]]

    def item(self, number: int) -> Item:
        """Those of one clip."""
        told = {name: values[number] for name, values in self.columns.items()}
        return {"clip_id": int(self.clip_ids[number]), **told}


class VectorDataset(Dataset[Item]):
    """Vectors of clips: items have `vector`, float32 (dim,), `clip_id` and the columns asked for.

    Args:
        rows: The clips.
        vectors: float32 (n, dim).
    """

    def __init__(self, rows: Rows, vectors: NDArray[np.float32]) -> None:
        self.rows = rows
        self.vectors = torch.from_numpy(vectors)

    def __len__(self) -> int:
        return len(self.rows.clip_ids)

    def __getitem__(self, number: int) -> Item:
        return {"vector": self.vectors[number], **self.rows.item(number)}


class FrameDataset(Dataset[Item]):
    """Frames of clips, decoded when they are asked for.

    Items have `pixel_values`, float32 (num_frames, 3, height, width), as the collection's model
    takes them, `clip_id` and the columns asked for. Each is decoded in a process beside the one
    that asks: a damaged file raises a `VideoError` and ends nothing else.

    Args:
        rows: The clips.
        spans: Of each, its start and end.
        places: Of each, where its video was seen.
        space: The collection's: says the model, and how clips are sampled.

    Raises:
        ModelNotFound, CheckpointError: The model's preprocessing cannot be read.
    """

    def __init__(
        self,
        rows: Rows,
        spans: Sequence[Clip],
        places: Sequence[Sequence[Source]],
        space: Space,
    ) -> None:
        self.rows = rows
        self.spans = spans
        self.places = places
        self.preprocessing = Preprocessing.from_file(find_preprocessor(space.source))
        sampling = Sampling(space.num_frames, space.fps)
        self.reader = ClipReader(sampling, self.preprocessing.geometry)

    def __len__(self) -> int:
        return len(self.spans)

    def __getitem__(self, number: int) -> Item:
        path, state = unchanged(self.places[number])
        try:
            frames = self.reader.read(path, self.spans[number], state)
        except VideoError as error:
            raise VideoError(error.reason, f"{path}: {error.message}") from error
        pixels = self.preprocessing.normalize(torch.from_numpy(frames)[None])[0]
        return {"pixel_values": pixels, **self.rows.item(number)}
