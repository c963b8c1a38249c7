"""How a coded picture is turned and mirrored to be shown, from the display matrix of its frame."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
from av.filter import Graph
from av.sidedata.sidedata import SideDataContainer, Type

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

Number = TypeVar("Number", bound=np.generic)

# PyAV's list of kinds of side data has gaps: FFmpeg has more. These are the numbers it may lack.
UNLISTED = sorted(set(range(64)) - {cast("int", kind.value) for kind in Type})


@dataclass(frozen=True, slots=True)
class Orientation:
    """What is done to a coded picture to show it: at first it is mirrored, then turned.

    Attributes:
        turns: Counter-clockwise quarter turns: 0, 1, 2 or 3.
        is_mirrored: Whether left and right change places before that turn.
    """

    turns: int = 0
    is_mirrored: bool = False

    def turned(self, height: int, width: int) -> tuple[int, int]:
        """Size after the turn, from that before it; or the other way round, which is the same.

        Args:
            height: Pixels.
            width: Pixels.

        Returns:
            (height, width) in pixels.
        """
        return (width, height) if self.turns % 2 else (height, width)

    def upright(self, image: NDArray[Number]) -> NDArray[Number]:
        """Mirror and turn a picture.

        Args:
            image: Shape (height, width, ...), as coded.

        Returns:
            A view of it as it is shown, shape (height, width, ...) or (width, height, ...).
        """
        if self.is_mirrored:
            image = image[:, ::-1]
        return np.rot90(image, self.turns) if self.turns else image


def orientation_of(frame: VideoFrame) -> Orientation:
    """Tell how a frame is to be shown, by the rule of FFmpeg's autorotate.

    Args:
        frame: As decoded, with the display matrix that its container or its codec gives it.

    Returns:
        The turn and the flip. The matrix's scale and shift change nothing. A frame without a
        matrix is shown as it is coded, and so is one that is turned by half a degree or more
        off a quarter turn: other angles are not honoured, nor is a flip that comes with one.
    """
    matrix = _side_data(frame).get(Type.DISPLAYMATRIX)
    return Orientation() if matrix is None else from_matrix(struct.unpack("=9i", matrix))


def from_matrix(matrix: Sequence[int]) -> Orientation:
    """Read a display matrix (FFmpeg's libavutil/display.h).

    Args:
        matrix: Nine numbers, row by row, of which the first two of the first two rows count.

    Returns:
        The turn and the flip; those of a picture shown as coded when a column is zero.
    """
    a, b, _, c, d, *_ = matrix
    across, down = math.hypot(a, c), math.hypot(b, d)
    if not across or not down:
        return Orientation()
    clockwise_degrees = round(math.degrees(math.atan2(b / down, a / across)))
    if clockwise_degrees % 90:
        return Orientation()
    quarters = clockwise_degrees // 90 % 4
    # Each turn has its entry in which the sign tells that the second axis lies the other way.
    is_mirrored = (d < 0, c > 0, d >= 0, c < 0)[quarters]
    # The angle is that of the top edge, from left to right; mirroring makes that point back.
    return Orientation((2 * is_mirrored - quarters) % 4, is_mirrored)


def _side_data(frame: VideoFrame) -> SideDataContainer:
    """The side data of a frame; `frame.side_data` would keep it in memory until a collection."""
    try:
        return SideDataContainer(frame)  # type: ignore[call-arg]  # missing in PyAV's stubs
    except ValueError:  # of a kind that PyAV does not list, such as a JPEG's EXIF
        return SideDataContainer(_without_unlisted(frame))  # type: ignore[call-arg]


def _without_unlisted(frame: VideoFrame) -> VideoFrame:
    """The same frame without the side data that PyAV does not list."""
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1)
    )
    filters = [graph.add("sidedata", f"mode=delete:type={kind}") for kind in UNLISTED]
    graph.link_nodes(source, *filters, graph.add("buffersink")).configure()
    graph.vpush(frame)
    return graph.vpull()
