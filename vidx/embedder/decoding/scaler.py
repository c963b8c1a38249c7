"""Decoded frames of any size, format and orientation to the pixels that the model takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from vidx.embedder.decoding.container import MAX_SIDE
from vidx.embedder.decoding.cutting import Cutting
from vidx.embedder.decoding.facts import interleaved
from vidx.embedder.decoding.margins import Margin, margin
from vidx.embedder.decoding.orientation import orientation_of
from vidx.embedder.decoding.taps import resized_part
from vidx.errors import VideoError

if TYPE_CHECKING:
    from av.video.format import VideoFormat
    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

    from vidx.embedder.decoding.facts import Channels
    from vidx.embedder.decoding.geometry import FrameGeometry

# When it shrinks, swscale widens these filters by itself (antialiasing). Straight to planes of RGB
# of the small size, and rounded well, it is four times as fast as by way of a large RGB picture,
# which its usual conversion makes too dark by 1 of 255 besides.
SWSCALE = {
    "nearest": Interpolation.POINT | Interpolation.ACCURATE_RND,
    "bilinear": Interpolation.BILINEAR | Interpolation.ACCURATE_RND,
    "bicubic": Interpolation.BICUBIC | Interpolation.ACCURATE_RND,
}


class Scaler:
    """Resizes, turns and crops frames; made anew for each pass, as it remembers its filters.

    Args:
        geometry: Resize and crop.
    """

    def __init__(self, geometry: FrameGeometry) -> None:
        self.geometry = geometry
        self.to_rgb = VideoReformatter()
        self.to_size = VideoReformatter()
        self.cutting = Cutting()
        self._small = Scaler(geometry.preview) if geometry.preview else None

    def preview(self, frame: VideoFrame) -> NDArray[np.uint8] | None:
        """A frame as small as people may want it, likewise; None: it is not asked for."""
        return self._small.pixels(frame) if self._small else None

    def pixels(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """The same as an image: uint8, shape (height, width, 3), RGB."""
        return interleaved(self.channels(frame))

    def channels(self, frame: VideoFrame) -> Channels:
        """Make a frame what the model takes.

        Args:
            frame: As decoded.

        Returns:
            Red, green and blue, each uint8, shape (height, width), as it is shown; maybe views of
            a larger picture.

        Raises:
            VideoError: What is kept of the resized frame would be too large.
            av.error.FFmpegError: swscale does not know the pixel format.
        """
        orientation = orientation_of(frame)
        shown_height, shown_width = orientation.turned(frame.height, frame.width)
        height, width = self.geometry.resized(shown_height, shown_width)
        if max(height, width) > MAX_SIDE:  # a ribbon, of which a part alone is resized
            self._check_part(shown_height, shown_width, height, width)
            rgb = self.to_rgb.reformat(frame, format="rgb24", threads=1).to_ndarray()
            return self._part(orientation.upright(np.asarray(rgb, np.uint8)), height, width)
        top, left, *box = self.geometry.crop_box(height, width)
        down = across = Margin()
        if frame.format.is_planar and self.geometry.interpolation != "nearest":
            step = _colour_step(frame.format)
            down = margin(shown_height, height, top, box[0], step)
            across = margin(shown_width, width, left, box[1], step)
        small = self._resized(
            self.cutting.without(frame, *orientation.turned(down.cut, across.cut)),
            *orientation.turned(height - 2 * down.made, width - 2 * across.made),
        )
        upright = [orientation.upright(channel) for channel in _channels(small)]
        return _cropped(upright, top - down.made, left - across.made, *box)

    def _resized(self, frame: VideoFrame, height: int, width: int) -> VideoFrame:
        return self.to_size.reformat(
            frame,
            width=width,
            height=height,
            format="gbrp",
            interpolation=SWSCALE[self.geometry.interpolation],
            threads=1,
        )

    def _check_part(self, shown_height: int, shown_width: int, height: int, width: int) -> None:
        """Refuse a frame of which a side over the limit is left, resized and cropped."""
        _, _, crop_height, crop_width = self.geometry.crop_box(height, width)
        if max(crop_height, crop_width) > MAX_SIDE:
            kept = f"the crop keeps {crop_width}x{crop_height}" if self.geometry.crop else "no crop"
            raise VideoError(
                "too_large",
                f"the model's resize makes {width}x{height} of {shown_width}x{shown_height} pixels "
                f"({kept}): a side over {MAX_SIDE}",
            )

    def _part(self, upright: NDArray[np.uint8], height: int, width: int) -> Channels:
        """Resize no more than the crop keeps: swscale makes wholes alone, and too large ones."""
        top, left, crop_height, crop_width = self.geometry.crop_box(height, width)
        y, x = max(top, 0), max(left, 0)
        inside = (y, x, min(top + crop_height, height) - y, min(left + crop_width, width) - x)
        part = resized_part(upright, height, width, inside, self.geometry.interpolation)
        channels = [part[:, :, number] for number in range(3)]
        return _cropped(channels, min(top, 0), min(left, 0), crop_height, crop_width)


def _colour_step(form: VideoFormat) -> int:
    """Pixels of a side that share their colour: swscale takes two together at least."""
    return max(16 // min(form.chroma_width(16), form.chroma_height(16)), 2)


def _channels(frame: VideoFrame) -> list[NDArray[np.uint8]]:
    """Red, green and blue of a frame in the format `gbrp`: views, shape (height, width)."""
    green, blue, red = (
        np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)[:, : plane.width]
        for plane in frame.planes
    )
    return [red, green, blue]


def _cropped(channels: Channels, top: int, left: int, height: int, width: int) -> Channels:
    """Cut a box out of the channels of an image; where it reaches beyond, it is black."""
    insides = [c[max(top, 0) : top + height, max(left, 0) : left + width] for c in channels]
    if insides[0].shape == (height, width):
        return insides
    box = np.zeros((len(channels), height, width), np.uint8)
    y, x = max(-top, 0), max(-left, 0)
    for plane, inside in zip(box, insides, strict=True):
        plane[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    return list(box)
