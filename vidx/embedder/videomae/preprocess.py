"""Preprocessing: frames of any size to the model's input, as VideoMAEImageProcessor does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own documentation calls it F)
from torch import Tensor

from vidx.embedder.checkpoints.jsonfile import read_json_object
from vidx.embedder.decoding.geometry import DECODER_INTERPOLATIONS, FrameGeometry, Interpolation
from vidx.embedder.videomae.resize import resize
from vidx.errors import CheckpointError

# Pillow's numbers for its filters, as `resample` gives them.
INTERPOLATIONS: dict[int, Interpolation] = {
    0: "nearest",
    1: "lanczos",
    2: "bilinear",
    3: "bicubic",
    4: "box",
    5: "hamming",
}


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What is done to a frame before the model sees it, and nothing that makes no difference.

    Attributes:
        geometry: Resize and centre crop.
        rescale_factor: Multiplied with each pixel; 1.0 when there is no rescaling.
        mean: Subtracted from each channel after rescaling; 0.0 when there is no normalising.
        std: Divides each channel after that; 1.0 when there is no normalising.
    """

    geometry: FrameGeometry
    rescale_factor: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @classmethod
    def from_file(cls, path: Path) -> Preprocessing:
        """Read a checkpoint's preprocessor_config.json, to embed videos with it.

        Args:
            path: The file.

        Returns:
            The preprocessing.

        Raises:
            CheckpointError: The file is not JSON, or not such a config, or wants a filter that
                the decoding workers lack.
        """
        preprocessing = cls.from_dict(read_json_object(path))
        interpolation = preprocessing.geometry.interpolation
        if interpolation not in DECODER_INTERPOLATIONS:
            raise _unknown(
                f"resample is {interpolation}, "
                f"videos are decoded with {', '.join(DECODER_INTERPOLATIONS)} only"
            )
        return preprocessing

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocessing:
        """Take the keys of VideoMAEImageProcessor; one that is missing or None has its default.

        Args:
            values: Keys of preprocessor_config.json.

        Returns:
            The preprocessing.

        Raises:
            CheckpointError: A value that the processor does not know.
        """
        values = {name: value for name, value in values.items() if value is not None}
        normalize = _switch(values, "do_normalize")
        rescale = _switch(values, "do_rescale")
        return cls(
            geometry=_geometry(values),
            rescale_factor=_number(values, "rescale_factor", 1 / 255) if rescale else 1.0,
            mean=_channels(values, "image_mean") if normalize else (0.0, 0.0, 0.0),
            std=_channels(values, "image_std") if normalize else (1.0, 1.0, 1.0),
        )

    def __post_init__(self) -> None:
        if 0.0 in self.std:
            raise _unknown(f"image_std is {self.std}, pixels cannot be divided by 0")

    def fit(self, frames: Tensor) -> Tensor:
        """Resize and crop frames, exactly as Pillow would.

        Args:
            frames: uint8, shape (n, height, width, 3); any type where nothing is resized.

        Returns:
            The same type, shape (n, crop height, crop width, 3).
        """
        height, width = self.geometry.resized(*frames.shape[1:3])
        frames = resize(frames, height, width, self.geometry.interpolation)
        top, left, crop_height, crop_width = self.geometry.crop_box(height, width)
        # Negative padding crops: (left, right) and (top, bottom) are what lies outside the frame.
        sides = (-left, left + crop_width - width, -top, top + crop_height - height)
        return F.pad(frames, (0, 0, *sides))

    def normalize(self, frames: Tensor) -> Tensor:
        """Rescale and normalise pixels, on the device where they are.

        Args:
            frames: uint8 or float, shape (batch, frames, height, width, 3).

        Returns:
            float32, shape (batch, frames, 3, height, width).
        """
        mean = torch.tensor(self.mean, device=frames.device)  # (3,)
        std = torch.tensor(self.std, device=frames.device)  # (3,)
        pixels = (frames.float() * self.rescale_factor - mean) / std  # (batch, t, h, w, 3)
        return pixels.permute(0, 1, 4, 2, 3)  # (batch, t, 3, h, w)


def _geometry(values: Mapping[str, Any]) -> FrameGeometry:
    edge, exact = _resize_size(values)
    crop = None
    if _switch(values, "do_center_crop"):
        crop = _height_width("crop_size", values.get("crop_size", 224))
    resample = values.get("resample", 2)
    if type(resample) is bool or not isinstance(resample, int) or resample not in INTERPOLATIONS:
        known = ", ".join(f"{number} ({name})" for number, name in INTERPOLATIONS.items())
        raise _unknown(f"resample is {resample!r}, known are {known}")
    return FrameGeometry(edge, exact, crop, INTERPOLATIONS[resample])


def _resize_size(values: Mapping[str, Any]) -> tuple[int | None, tuple[int, int] | None]:
    """The shortest edge or the exact size; neither when nothing is resized."""
    if not _switch(values, "do_resize"):
        return None, None
    size = values.get("size", 224)
    match size:
        case int(edge) if _are_pixels(edge):
            return edge, None
        case {"shortest_edge": edge, **others} if _are_pixels(edge) and not others:
            return edge, None
    return None, _height_width("size", size)


def _height_width(name: str, size: object) -> tuple[int, int]:
    match size:
        case int(side) if _are_pixels(side):
            return side, side
        case {"height": height, "width": width} if _are_pixels(height, width):
            return height, width
    raise _unknown(
        f"{name} is {size!r}: it must be in positive pixels, one number or height and width"
    )


def _are_pixels(*sides: object) -> bool:
    # By type: True is an int, too.
    return all(type(side) is int and side > 0 for side in sides)


def _switch(values: Mapping[str, Any], name: str) -> bool:
    value = values.get(name, True)
    if not isinstance(value, bool):
        raise _unknown(f"{name} is {value!r}, it must be true or false")
    return value


def _number(values: Mapping[str, Any], name: str, default: float) -> float:
    value = values.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _unknown(f"{name} is {value!r}, it must be a number")
    return float(value)


def _channels(values: Mapping[str, Any], name: str) -> tuple[float, float, float]:
    value = values.get(name, [0.5, 0.5, 0.5])
    match value:
        case [int() | float() as red, int() | float() as green, int() | float() as blue]:
            return float(red), float(green), float(blue)
        case int() | float():
            return float(value), float(value), float(value)
    raise _unknown(f"{name} is {value!r}, it must be three numbers")


def _unknown(problem: str) -> CheckpointError:
    return CheckpointError(problem, "Mend the checkpoint's preprocessor_config.json.")
