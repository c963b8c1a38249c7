"""Where the pixels of a frame go on their way to the model's size; no torch, no av."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, Self

Interpolation = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]

# Those that the decoding workers have too.
DECODER_INTERPOLATIONS: tuple[Interpolation, ...] = ("nearest", "bilinear", "bicubic")

PREVIEW_SIDE = 256  # pixels of a preview's longer side: decision 27 has what others would cost


@dataclass(frozen=True, slots=True)
class FrameGeometry:
    """How a frame of any size is resized and then cropped at its centre.

    Attributes:
        resize_shortest_edge: Pixels of the shorter side after the resize, aspect kept; or None.
        resize_to: Exact (height, width) after the resize; or None. Not both.
        crop: (height, width) cut from the centre after the resize; None keeps everything.
        interpolation: The resize's filter. When it shrinks, it is widened (antialiasing).
    """

    resize_shortest_edge: int | None = None
    resize_to: tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    interpolation: Interpolation = "bilinear"

    def __post_init__(self) -> None:
        if self.resize_shortest_edge is not None and self.resize_to is not None:
            raise ValueError(
                f"a frame is resized by its shortest edge ({self.resize_shortest_edge}) "
                f"or to an exact size ({self.resize_to}), not both"
            )

    @property
    def made(self) -> tuple[int, int] | None:
        """(height, width) of what comes out, or None where that depends on what comes in."""
        return self.crop or self.resize_to

    @property
    def preview(self) -> FrameGeometry | None:
        """How a frame is resized for people to look at, besides; None: it is not."""
        return None

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """Size of a frame after the resize.

        The longer side is rounded down, as transformers' image processors do.

        Args:
            height: Pixels, as displayed.
            width: Pixels, as displayed.

        Returns:
            (height, width) in pixels.
        """
        if self.resize_to is not None:
            return self.resize_to
        if self.resize_shortest_edge is None:
            return height, width
        short = self.resize_shortest_edge
        long = int(short * max(height, width) / min(height, width))
        return (long, short) if width <= height else (short, long)

    def crop_box(self, height: int, width: int) -> tuple[int, int, int, int]:
        """The part that is kept of a resized frame.

        Args:
            height: Pixels after the resize.
            width: Pixels after the resize.

        Returns:
            (top, left, height, width) in pixels. The box may reach beyond the frame (a negative
            top or left, an end past the last row or column): what lies outside is zero.
        """
        if self.crop is None:
            return 0, 0, height, width
        crop_height, crop_width = self.crop
        # Floor division below zero too: an odd row of padding goes to the top, as in the reference.
        return (height - crop_height) // 2, (width - crop_width) // 2, crop_height, crop_width


@dataclass(frozen=True, slots=True)
class Fitted(FrameGeometry):
    """Whole frames, shrunk to `PREVIEW_SIDE` by their longer side; none is enlarged.

    Sides are even, as 4:2:0 takes them.
    """

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """As of `FrameGeometry`.

        >>> Fitted().resized(1080, 1920), Fitted().resized(48, 64), Fitted().resized(5000, 1)
        ((144, 256), (48, 64), (256, 2))
        """
        share = min(1.0, PREVIEW_SIDE / max(height, width))
        return max(2, round(height * share / 2) * 2), max(2, round(width * share / 2) * 2)


@dataclass(frozen=True, slots=True)
class WithPreviews(FrameGeometry):
    """A geometry for the model, and previews besides.

    It is none of a checkpoint's preprocessing, and so in no fingerprint.
    """

    @classmethod
    def of(cls, geometry: FrameGeometry) -> Self:
        """The same for the model."""
        return cls(**{field.name: getattr(geometry, field.name) for field in fields(geometry)})

    @property
    def preview(self) -> FrameGeometry | None:
        """As of `FrameGeometry`."""
        return Fitted()
