"""VideoMAEImageProcessor: frames of any size and kind to `pixel_values`.

What it does to a frame is `Preprocessing`, the same code that the encoder's checkpoints go through.
It equals transformers' processor by its Pillow back end (`VideoMAEImageProcessorPil`), Pillow 13.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from vidx.embedder.checkpoints.finding import find_preprocessor
from vidx.embedder.checkpoints.hub import PREPROCESSOR_FILE
from vidx.embedder.checkpoints.jsonfile import read_json_object
from vidx.embedder.videomae.frames import (
    DATA_FORMATS,
    DataFormat,
    as_batch,
    as_tensor,
    in_bytes,
    in_range,
)
from vidx.embedder.videomae.preprocess import Preprocessing
from vidx.errors import CheckpointError, UsageError

Size = int | Mapping[str, int]
TensorType = Literal["pt", "np"]


class BatchFeature(dict[str, Any]):
    """What a processor gives: keyword arguments of a model, also as attributes."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def to(self, device: str | torch.device) -> BatchFeature:
        """Move tensors to a device.

        Args:
            device: Such as `cuda`.

        Returns:
            The same, there; what is not a tensor stays.
        """
        moved = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in self.items()}
        return BatchFeature(moved)


@dataclass(frozen=True, slots=True)
class VideoMAEImageProcessor:
    """Resizes, crops, rescales and normalises videos, in this order.

    >>> processor = VideoMAEImageProcessor()
    >>> video = torch.zeros(16, 360, 640, 3, dtype=torch.uint8)
    >>> processor(video, return_tensors="pt").pixel_values.shape
    torch.Size([1, 16, 3, 224, 224])

    Attributes:
        do_resize: Whether to resize.
        size: Pixels after the resize: {"shortest_edge": n} or n keeps the aspect, {"height": h,
            "width": w} does not.
        resample: The resize's filter by Pillow's number: 0 nearest, 1 lanczos, 2 bilinear,
            3 bicubic, 4 box, 5 hamming.
        do_center_crop: Whether to cut out the centre; what lies outside of a frame is black.
        crop_size: Pixels of the centre: {"height": h, "width": w}, or one number for both.
        do_rescale: Whether to multiply pixels with the rescale factor.
        rescale_factor: By default brings 0..255 to 0..1.
        do_normalize: Whether to subtract the mean and divide by the standard deviation.
        image_mean: Of the red, green and blue channel, or one number for all.
        image_std: Of the red, green and blue channel, or one number for all.

    Raises:
        UsageError: An option that has no meaning.
    """

    do_resize: bool = True
    size: Size = field(default_factory=lambda: {"shortest_edge": 224})
    resample: int = 2
    do_center_crop: bool = True
    crop_size: Size = field(default_factory=lambda: {"height": 224, "width": 224})
    do_rescale: bool = True
    rescale_factor: float = 1 / 255
    do_normalize: bool = True
    image_mean: float | Sequence[float] = (0.5, 0.5, 0.5)
    image_std: float | Sequence[float] = (0.5, 0.5, 0.5)

    def __post_init__(self) -> None:
        for name in ("image_mean", "image_std"):
            if isinstance(getattr(self, name), list):  # as JSON gives it
                object.__setattr__(self, name, tuple(getattr(self, name)))
        try:
            Preprocessing.from_dict(asdict(self))
        except CheckpointError as error:
            raise UsageError(error.problem, "See VideoMAEImageProcessor's attributes.") from error

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> VideoMAEImageProcessor:
        """Take the options of a preprocessor_config.json.

        Args:
            values: Options by name; one that is missing or None has its default. Other keys of
                such a file name its maker and do not change pixels; they are left out.

        Returns:
            The processor.

        Raises:
            UsageError: An option that has no meaning.
        """
        names = {option.name for option in fields(cls)}
        return cls(**{k: v for k, v in values.items() if k in names and v is not None})

    @classmethod
    def from_pretrained(cls, model: str | os.PathLike[str]) -> VideoMAEImageProcessor:
        """Read a checkpoint's preprocessor_config.json; nothing else need be there.

        Args:
            model: A folder, or a hub id with optional revision (`organisation/name@revision`), or
                `builtin:tiny`.

        Returns:
            The processor.

        Raises:
            ModelNotFound: No such folder, nor anything of that name in the hub's cache or the hub.
            CheckpointError: There is no such file, or it is not such a config.
        """
        path = find_preprocessor(model)
        try:
            return cls.from_dict(read_json_object(path))
        except UsageError as error:
            raise CheckpointError(f"{path}: {error.problem}", "Mend that file.") from error

    def to_dict(self) -> dict[str, Any]:
        """The options by name, as `preprocessor_config.json` holds them."""
        return asdict(self) | {"image_processor_type": "VideoMAEImageProcessor"}

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write preprocessor_config.json, which transformers loads too.

        Args:
            folder: Made when it does not exist.

        Raises:
            UsageError: The folder cannot be written to.
        """
        path = Path(folder) / PREPROCESSOR_FILE
        text = json.dumps(self.to_dict(), indent=2, sort_keys=True) + "\n"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"{folder} cannot be written to: {error.strerror}", "Name another folder."
            ) from error

    def __call__(
        self,
        videos: object,
        *,
        return_tensors: TensorType | None = None,
        data_format: DataFormat = "channels_first",
        input_data_format: DataFormat | None = None,
        **options: Any,
    ) -> BatchFeature:
        """Process a frame, a video or a batch.

        Args:
            videos: Frames are PIL images (RGB), numpy arrays or torch tensors of 3 axes, channels
                first or last; their values are integers in 0..255 or floats in 0..1. A list of
                frames or an array of 4 axes is a video; a list of videos or an array of 5 axes is
                a batch.
            return_tensors: "pt" gives a torch tensor, on the device where the frames are; "np" a
                numpy array; None lists of videos of numpy arrays, one a frame.
            data_format: Where the channels of the result are: channels_first or channels_last.
            input_data_format: Where they are in the frames; None looks for an axis of length 3.
            **options: Any option of the processor, for this call; None leaves it.

        Returns:
            `pixel_values`: float32, shape (batch, frames, 3, height, width), or channels last.

        Raises:
            UsageError: An unknown option, or frames of a wrong shape, type or range, or, for a
                tensor or an array, of unequal numbers or sizes.
        """
        _check_choice("return_tensors", return_tensors, ("pt", "np"), none=True)
        _check_choice("data_format", data_format, DATA_FORMATS, none=False)
        _check_choice("input_data_format", input_data_format, DATA_FORMATS, none=True)
        batch = as_batch(videos)
        frames = [as_tensor(frame, input_data_format) for video in batch for frame in video]
        done = iter(_grouped(self._with(options)._pixels, frames))
        order = (0, 1, 2) if data_format == "channels_first" else (1, 2, 0)
        pixels = [[next(done).permute(order) for _ in video] for video in batch]
        if return_tensors is None:
            lists = [[frame.cpu().numpy() for frame in video] for video in pixels]
            return BatchFeature(pixel_values=lists)
        tensor = _stacked(pixels)
        return BatchFeature(pixel_values=tensor if return_tensors == "pt" else tensor.cpu().numpy())

    preprocess = __call__

    def _with(self, options: Mapping[str, Any]) -> VideoMAEImageProcessor:
        names = [option.name for option in fields(self)]
        for unknown in options.keys() - set(names):
            raise UsageError(f"{unknown!r} is no option", f"Choose from {', '.join(names)}.")
        given = {k: v for k, v in options.items() if v is not None}
        return VideoMAEImageProcessor(**asdict(self) | given)

    def _pixels(self, frames: Tensor) -> Tensor:
        """(n, old height, old width, 3) of any type to float32 (n, 3, height, width)."""
        frames = in_range(frames)  # (n, old height, old width, 3)
        if self.do_rescale and frames.is_floating_point() and 0 < frames.max() <= 1:
            raise UsageError(
                f"frames are floats in 0..{frames.max():g}, and do_rescale would multiply them "
                f"with {self.rescale_factor:g} again",
                "Pass do_rescale=False.",
            )
        unit = 1.0
        if self.do_resize:
            frames, unit = in_bytes(frames)  # (n, old height, old width, 3)
        preprocessing = Preprocessing.from_dict(asdict(self))
        frames = preprocessing.fit(frames)  # (n, height, width, 3)
        if unit != 1.0:
            frames = frames * unit  # (n, height, width, 3)
        return preprocessing.normalize(frames[None])[0]  # (n, 3, height, width)


class VideoMAEFeatureExtractor(VideoMAEImageProcessor):
    """The deprecated name of `VideoMAEImageProcessor`; making one warns."""

    def __post_init__(self) -> None:
        super().__post_init__()
        warnings.warn(
            "VideoMAEFeatureExtractor is deprecated: use VideoMAEImageProcessor",
            FutureWarning,
            stacklevel=3,
        )


def _grouped(process: Callable[[Tensor], Tensor], frames: Sequence[Tensor]) -> list[Tensor]:
    """Process frames, all those of one shape and type at once."""
    positions: dict[tuple[object, ...], list[int]] = {}
    for i, frame in enumerate(frames):
        positions.setdefault((frame.shape, frame.dtype, frame.device), []).append(i)
    done = list(frames)
    for same in positions.values():
        for i, result in zip(same, process(torch.stack([frames[i] for i in same])), strict=True):
            done[i] = result
    return done


def _stacked(pixels: list[list[Tensor]]) -> Tensor:
    """Frames of videos to (batch, frames, *frame)."""
    for what, found in (
        ("numbers of frames", {len(video) for video in pixels}),
        ("sizes", {tuple(frame.shape) for video in pixels for frame in video}),
        ("devices", {str(frame.device) for video in pixels for frame in video}),
    ):
        if len(found) > 1:
            shown = ", ".join(str(value) for value in sorted(found))
            raise UsageError(
                f"videos of different {what} make no one tensor: {shown}",
                "Make them equal (do_center_crop does the sizes), or pass return_tensors=None.",
            )
    return torch.stack([torch.stack(video) for video in pixels])


def _check_choice(name: str, value: object, known: tuple[str, ...], *, none: bool) -> None:
    if value not in known and not (none and value is None):
        choices = " or ".join(repr(choice) for choice in known) + (" or None" if none else "")
        raise UsageError(f"{name} is {value!r}, it must be {choices}")
