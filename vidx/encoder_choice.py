"""Which encoder a command uses, and that it is the collection's."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vidx.embedder.checkpoints.builtin import is_builtin
from vidx.embedder.checkpoints.finding import DEFAULT_MODEL
from vidx.embedder.decoding.sampling import Sampling
from vidx.errors import FingerprintMismatch, ModelNotFound
from vidx.records import Space

if TYPE_CHECKING:
    from vidx.embedder.encoder import Encoder
    from vidx.options import EmbedOptions


@dataclass(frozen=True, slots=True)
class EncoderChoice:
    """What the caller says of the encoder; None leaves it to the collection, then the default.

    Attributes:
        model: Checkpoint folder, or hub id with optional `@revision`, or `builtin:tiny`.
        device: `cpu`, `cuda` or `cuda:N`, or several, separated by commas.
        dtype: `float32`, `float16` or `bfloat16`.
        num_frames: Frames sampled from a clip.
        fps: Frames sampled a second.
    """

    model: str | os.PathLike[str] | None
    device: str | None
    dtype: str | None
    num_frames: int | None = None
    fps: float | None = None

    @classmethod
    def of(cls, options: EmbedOptions) -> EncoderChoice:
        """What options say; where others compute, the model is only to be known here."""
        computes = options.engine == "local"
        device, dtype = (options.device, options.dtype) if computes else ("cpu", "float32")
        return cls(options.model, device, dtype, options.num_frames, options.fps)

    def names_a_space(self) -> bool:
        """Whether the caller said anything that decides the values of vectors."""
        return (self.model, self.num_frames, self.fps) != (None, None, None)

    def of_collection(self) -> EncoderChoice:
        """The choice that leaves to the collection what decides the values of vectors."""
        return EncoderChoice(None, self.device, self.dtype)

    def on_every_device(self) -> EncoderChoice:
        """The choice that takes all CUDA devices where none is named by number."""
        from vidx.embedder.inference.devices import every_device

        return replace(self, device=every_device(self.device))

    def load(self, space: Space | None, collection: str) -> Encoder:
        """Load the encoder and see to it that its vectors fit the collection's.

        Args:
            space: The collection's, or None when it is yet to be made.
            collection: Its folder, for messages.

        Raises:
            FingerprintMismatch: They do not fit.
            ModelNotFound, CheckpointError, DeviceError: As their names say.
        """
        from vidx.embedder.encoder import load

        own = space.source if space else DEFAULT_MODEL
        try:
            encoder = load(
                own if self.model is None else self.model,
                device=self.device,
                dtype=self.dtype,
                num_frames=self.num_frames or (space.num_frames if space else None),
                fps=self.fps or (space.fps if space else Sampling().fps),
            )
        except ModelNotFound as error:
            if space is None or self.model is not None:
                raise
            moved = "If it has moved, say where with --model; it is checked to be the same."
            raise ModelNotFound(
                f"the model of the collection in {collection} is not where it was: {error.problem}",
                error.next_step if is_builtin(own) else moved,
            ) from error
        if space:
            check_same_space(encoder.space, space, collection)
        return encoder


def check_same_space(asked: Space, space: Space, collection: str) -> None:
    """Refuse to mix vectors of two embedding spaces.

    Raises:
        FingerprintMismatch: The fingerprints differ.
    """
    if asked.fingerprint == space.fingerprint:
        return
    raise FingerprintMismatch(
        f"{_described(asked)} gives vectors that cannot be compared with those of the collection "
        f"in {collection}, which are from {_described(space)}",
        "Start another collection with --collection FOLDER, or leave out --model, --frames and "
        "--fps to use the collection's own.",
    )


def _described(space: Space) -> str:
    return (
        f"{space.source} ({space.num_frames} frames at {space.fps:g} a second, "
        f"fingerprint {space.fingerprint[:12]})"
    )
