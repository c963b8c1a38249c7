"""What vidx tells of models: which there are, whether they are sound, and how fast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidx.throughput import Busy

# Length of a token by the model's size.
DIMS = {"small": 384, "base": 768, "large": 1024, "huge": 1280}
# Classes by the data set that a checkpoint was fine-tuned on.
CLASSES = {"Kinetics-400": 400, "Something-Something V2": 174}


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A published checkpoint.

    Attributes:
        id: On the hub.
        shape: `small`, `base`, `large` or `huge`.
        training_set: Videos it was pre-trained on and, with a head, fine-tuned on.
        has_head: Whether it was fine-tuned, and tells the training set's classes.
        licence: Of the weights, as an SPDX identifier.
    """

    id: str
    shape: str
    training_set: str
    has_head: bool
    licence: str

    @property
    def dim(self) -> int:
        """Length of its embeddings."""
        return DIMS[self.shape]

    @property
    def num_labels(self) -> int:
        """Classes it tells; 0 without a head."""
        return CLASSES[self.training_set] if self.has_head else 0


@dataclass(frozen=True, slots=True)
class BuiltinModel:
    """A checkpoint in vidx's package.

    Attributes:
        id: What `--model` takes.
        revision: The first digits of its weights' SHA-256.
        dim: Length of its embeddings.
        num_labels: Classes it tells.
        size_bytes: Of its weights on disk.
        licence: Of the weights, as an SPDX identifier.
    """

    id: str
    revision: str
    dim: int
    num_labels: int
    size_bytes: int
    licence: str


@dataclass(frozen=True, slots=True)
class CachedModel:
    """A VideoMAE checkpoint in the hub's cache.

    Attributes:
        id: On the hub.
        revision: The commit.
        is_whole: Whether all is there to load it without the network.
        size_bytes: Of its files on disk.
    """

    id: str
    revision: str
    is_whole: bool
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ModelList:
    """The checkpoints that can be named without a search.

    Attributes:
        builtin: In vidx's package.
        known: The published ones, whether or not they are on this machine.
        cached: In the hub's local cache.
    """

    builtin: tuple[BuiltinModel, ...]
    known: tuple[KnownModel, ...]
    cached: tuple[CachedModel, ...]


@dataclass(frozen=True, slots=True)
class Licence:
    """Under which licence a model's weights are.

    Attributes:
        model: As it was named, or the default model's id.
        spdx: The licence, as an SPDX identifier.
        is_own: Whether the weights come with vidx, under vidx's own licence.
    """

    model: str
    spdx: str
    is_own: bool


@dataclass(frozen=True, slots=True)
class ModelReport:
    """What a check of a checkpoint found.

    Attributes:
        name: The folder, or the hub id, or `builtin:tiny`.
        revision: The hub commit, or None for a folder.
        licence: Of a known model's weights, else None.
        fingerprint: What its vectors are comparable with, sampled as by default.
        dim: Length of an embedding.
        num_labels: Classes of its head; 0 without one.
        num_parameters: Numbers in the tensors used.
        used: Tensors that the encoder and its head are made of, by their names in the hub's layout.
        ignored: Tensors that only pre-training has a use for, and biases of keys, which change
            nothing.
        embedding_norm: Length of the fixed input's embedding.
        embedding_start: The embedding's first numbers.
        top_label: The class the head gives to the fixed input (noise), or None without a head.
    """

    name: str
    revision: str | None
    licence: str | None
    fingerprint: str
    dim: int
    num_labels: int
    num_parameters: int
    used: tuple[str, ...]
    ignored: tuple[str, ...]
    embedding_norm: float
    embedding_start: tuple[float, ...]
    top_label: str | None


@dataclass(frozen=True, slots=True)
class LibraryRates:
    """What `bench` measured with some videos.

    Attributes:
        num_files: Files among which the videos were chosen.
        num_sampled: Videos that were decoded, some again and again.
        num_workers: Decoding processes.
        decoding_clips_per_second: Without a model.
        clips_per_second: Decoded and embedded, as `embed` does both.
        video_hours_per_hour: What the latter means for the videos as they are cut.
        over_slower: The latter rate over the slower one of decoding and the model alone.
        over_shared: The latter rate over what both give when they take turns on the same cores;
            None on a GPU, where they need not.
        busy: How busy each part was meanwhile.
        library_seconds: Estimate for all the files.
        library_clips: Their clips, estimated by their headers.
        library_hours: Hours of video in them, likewise.
    """

    num_files: int
    num_sampled: int
    num_workers: int
    decoding_clips_per_second: float
    clips_per_second: float
    video_hours_per_hour: float
    over_slower: float
    over_shared: float | None
    busy: Busy
    library_seconds: float
    library_clips: int
    library_hours: float


@dataclass(frozen=True, slots=True)
class BenchReport:
    """What `bench` measured.

    Attributes:
        model: The checkpoint.
        device: Where.
        dtype: Precision.
        batch_size: Clips in one batch.
        clip_seconds: Video that one clip stands for.
        ready_clips_per_second: From frames that are on the device; None for several devices, and
            where videos were measured too.
        host_clips_per_second: From frames in the host's memory, copies included.
        video_hours_per_hour: What the latter means for clips that lie back to back.
        library: What was measured with videos; None without them.
    """

    model: str
    device: str
    dtype: str
    batch_size: int
    clip_seconds: float
    ready_clips_per_second: float | None
    host_clips_per_second: float
    video_hours_per_hour: float
    library: LibraryRates | None = None
