"""Frames as users hold them (PIL images, numpy, torch; alone, in videos, in batches) to tensors."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

from vidx.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

Frame: TypeAlias = "Image | NDArray[Any] | Tensor"
DataFormat = Literal["channels_first", "channels_last"]
DATA_FORMATS = ("channels_first", "channels_last")

FORMS = (
    "Give a frame, a video (a list of frames, or an array of 4 axes), "
    "or a batch (a list of videos, or an array of 5 axes)."
)


def as_batch(videos: object) -> list[list[Frame]]:
    """Bring a frame, a video or a batch into one form.

    Args:
        videos: Frames are PIL images, numpy arrays or torch tensors of 3 axes; an array of 4 axes
            is a video, one of 5 a batch; lists and tuples hold what is one level below.

    Returns:
        Videos, each a list of frames.

    Raises:
        UsageError: It is none of these, or empty.
    """
    for _ in range(2 - _levels(videos)):
        videos = [videos]
    return [list(video) for video in cast("Iterable[Iterable[Frame]]", videos)]


def as_tensor(frame: Frame, input_data_format: DataFormat | None) -> Tensor:
    """Take a frame's pixels as they are.

    Args:
        frame: Of 3 channels, first or last.
        input_data_format: Where the channels are; None looks for the axis of length 3. A PIL image
            has them last, whatever is said here.

    Returns:
        Any type, shape (height, width, 3), on the device where the frame is.

    Raises:
        UsageError: Not 3 channels, or both ends of the shape could be them, or no pixels.
    """
    if not isinstance(frame, np.ndarray | Tensor):
        return _from_pil(frame)  # (height, width, 3)
    pixels = frame if isinstance(frame, Tensor) else _from_numpy(frame)  # channels first or last
    if _are_channels_first(pixels.shape, input_data_format):
        pixels = pixels.movedim(0, 2)  # (height, width, 3)
    if 0 in pixels.shape:
        raise UsageError(f"a frame of shape {tuple(frame.shape)} has no pixels", FORMS)
    return pixels


def in_range(frames: Tensor) -> Tensor:
    """Check the values of frames, and give integers one type.

    Args:
        frames: Any shape and type.

    Returns:
        uint8 for all integers, float64 for float64, float32 for other floats.

    Raises:
        UsageError: They are no numbers, or not all of them are in 0..255.
    """
    if frames.dtype == torch.uint8:
        return frames
    if frames.dtype == torch.bool or frames.is_complex():
        raise _wrong_type(frames.dtype)
    # torch does little with its wider unsigned types.
    numbers = frames if frames.is_floating_point() else frames.long()
    if not bool(((numbers >= 0) & (numbers <= 255)).all()):  # false for nan, too
        raise UsageError(
            f"pixels are from {numbers.min():g} to {numbers.max():g}, they must be in 0..255",
            "Give unnormalised frames: integers in 0..255, or floats in 0..1.",
        )
    if not frames.is_floating_point():
        return numbers.to(torch.uint8)
    return frames if frames.dtype == torch.float64 else frames.float()


def in_bytes(frames: Tensor) -> tuple[Tensor, float]:
    """Bring pixels to the bytes that images are resized in.

    Args:
        frames: Of `in_range`. Floats up to 1 are taken as fractions of 255 and rounded down, as
            transformers does.

    Returns:
        uint8, and what one of its steps is worth in the frames: 1.0, or 1 / 255 for fractions.

    Raises:
        UsageError: Floats beyond 1 that are not whole.
    """
    if not frames.is_floating_point():
        return frames, 1.0
    if frames.max() <= 1:
        return (frames * 255).float().to(torch.uint8), 1 / 255
    if bool((frames != frames.floor()).any()):
        raise UsageError(
            f"floats up to {frames.max():g} that are not whole cannot be resized as bytes",
            "Round them, or bring them to 0..1 and pass do_rescale=False.",
        )
    return frames.to(torch.uint8), 1.0


def _levels(videos: object) -> int:
    """0 for a frame, 1 for a video, 2 for a batch."""
    if isinstance(videos, np.ndarray | Tensor) and 3 <= videos.ndim <= 5 and len(videos):
        return videos.ndim - 3
    if isinstance(videos, list | tuple) and videos:
        levels = {_levels(part) for part in videos}
        if len(levels) == 1 and max(levels) < 2:
            return 1 + max(levels)
        raise UsageError(f"a {type(videos).__name__} mixes frames, videos or batches", FORMS)
    if _is_pil(videos):
        return 0
    raise UsageError(f"videos are {_shown(videos)}", FORMS)


def _shown(videos: object) -> str:
    if isinstance(videos, np.ndarray | Tensor):
        return f"an array of shape {tuple(videos.shape)}"
    if isinstance(videos, list | tuple):
        return f"an empty {type(videos).__name__}"
    return f"of type {type(videos).__name__}"


def _is_pil(frame: object) -> bool:
    # Whoever holds a PIL image has imported PIL; vidx itself does not need it.
    pil = sys.modules.get("PIL.Image")
    return pil is not None and isinstance(frame, pil.Image)


def _from_pil(image: Image) -> Tensor:
    if image.mode != "RGB":
        raise UsageError(
            f"a PIL image has mode {image.mode}, frames are RGB",
            "Convert it: image.convert('RGB').",
        )
    return torch.from_numpy(np.array(image))  # (height, width, 3)


def _from_numpy(frame: NDArray[Any]) -> Tensor:
    """Copy an array of any byte order and strides into a type that torch has."""
    kind, size = frame.dtype.kind, frame.dtype.itemsize
    if kind not in "uif" or size > 8:
        raise _wrong_type(frame.dtype)
    wanted: DTypeLike = np.uint8 if frame.dtype == np.uint8 else np.int64
    if kind == "f":
        wanted = np.float64 if size == 8 else np.float32
    return torch.from_numpy(np.array(frame, wanted))


def _are_channels_first(shape: torch.Size, input_data_format: DataFormat | None) -> bool:
    first, last = shape[0] == 3, shape[2] == 3
    if input_data_format == "channels_first" and first:
        return True
    if input_data_format == "channels_last" and last:
        return False
    if input_data_format is None and first != last:
        return first
    if input_data_format is None and first:
        raise UsageError(
            f"in a frame of shape {tuple(shape)} the 3 channels can be first or last",
            f"Say which by input_data_format: {' or '.join(DATA_FORMATS)}.",
        )
    raise UsageError(
        f"a frame is of shape {tuple(shape)}, it must have 3 channels, "
        f"{(input_data_format or 'first or last').removeprefix('channels_')}",
        "Give RGB frames of shape (height, width, 3) or (3, height, width).",
    )


def _wrong_type(dtype: object) -> UsageError:
    return UsageError(f"frames are of type {dtype}", "Give integers in 0..255, or floats in 0..1.")
