"""What vectors are compared by, and what they were made with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

# By what vectors are compared: the cosine as they are, for meaning; or the cosine after whitening
# by the collection's own PCA, for the same footage.
Likeness: TypeAlias = Literal["similar", "copy"]


@dataclass(frozen=True, slots=True)
class Space:
    """One embedding space: vectors within it are comparable, and with no other.

    Attributes:
        fingerprint: SHA-256 (hex) over all that decides a vector's values.
        model: Where the model was loaded from: a folder, a hub id or `builtin:tiny`. Provenance.
        revision: The hub commit; the first digits of the SHA-256 of `builtin:tiny`'s weights; None
            for a folder. Provenance.
        num_frames: Frames sampled from a clip.
        fps: Frames sampled a second.
        dim: Length of a vector.
        labels: The head's class names in order, empty when the model has none.
    """

    fingerprint: str
    model: str
    revision: str | None
    num_frames: int
    fps: float
    dim: int
    labels: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """The name under which `--model` finds the same checkpoint again."""
        return f"{self.model}@{self.revision}" if self.revision else self.model


@dataclass(frozen=True, slots=True)
class Origin:
    """What made the vectors of some shards: told, never compared.

    Attributes:
        provenance: `model`, `revision`, `weights_file`, `device`, `dtype`, and the versions of
            `torch` and `vidx`; `previews`, where there are some.
        num_shards: Parquet files that were made with just this.
        num_clips: Vectors in them, without those of removed clips.
    """

    provenance: dict[str, str]
    num_shards: int
    num_clips: int

    @property
    def has_previews(self) -> bool:
        """Whether its clips have previews."""
        return "previews" in self.provenance
