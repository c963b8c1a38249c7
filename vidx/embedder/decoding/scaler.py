"""Decoded frames of any size, format and orientation to the pixels that the model takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from vidx.embedder.decoding.container import check_size
from vidx.embedder.decoding.orientation import orientation_of

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

    from vidx.embedder.decoding.geometry import FrameGeometry

# When it shrinks, swscale widens these filters by itself (antialiasing).
SWSCALE = {
    "nearest": Interpolation.POINT,
    "bilinear": Interpolation.BILINEAR,
    "bicubic": Interpolation.BICUBIC,
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

    def pixels(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """Make a frame what the model takes.

        Args:
            frame: As decoded.

        Returns:
            uint8, shape (height, width, 3), RGB, as it is shown.

        Raises:
            VideoError: The resized frame would be too large.
            av.error.FFmpegError: swscale does not know the pixel format.
        """
        orientation = orientation_of(frame)
        height, width = self.geometry.resized(*orientation.turned(frame.height, frame.width))
        check_size(width, height)
        # First to RGB and then smaller, as the exact resize does: the other way round is no
        # faster and up to 50 grey levels off. Planes are resized faster than packed pixels.
        rgb = self.to_rgb.reformat(frame, format="rgb24", threads=1)
        coded_height, coded_width = orientation.turned(height, width)
        small = self.to_size.reformat(
            rgb,
            width=coded_width,
            height=coded_height,
            format="gbrp",
            interpolation=SWSCALE[self.geometry.interpolation],
            threads=1,
        )
        upright = orientation.upright(np.asarray(small.to_ndarray(), np.uint8))
        return _cropped(upright, *self.geometry.crop_box(height, width))


def _cropped(
    image: NDArray[np.uint8], top: int, left: int, height: int, width: int
) -> NDArray[np.uint8]:
    """Cut a box out of an image; where it reaches beyond, it is black."""
    box = np.zeros((height, width, 3), np.uint8)
    inside = image[max(top, 0) : top + height, max(left, 0) : left + width]
    y, x = max(-top, 0), max(-left, 0)
    box[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    return box
