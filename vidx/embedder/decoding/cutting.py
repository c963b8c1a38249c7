"""Leaving out the margins of decoded frames, without copying what is left."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from av.filter import Graph

if TYPE_CHECKING:
    from av.video.frame import VideoFrame


class Cutting:
    """FFmpeg's filter `crop`, which points into the frame; made anew when frames change."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._made_for: tuple[object, ...] = ()

    def without(self, frame: VideoFrame, down: int, across: int) -> VideoFrame:
        """Leave out so many pixels at the top and at the bottom, and at the left and right.

        Args:
            frame: Planes of pixels; it stays as it is.
            down: Pixels, a multiple of those that share their colour.
            across: Likewise.
        """
        if not down and not across:
            return frame
        asked = frame.format.name, frame.width, frame.height, down, across
        if self._graph is None or asked != self._made_for:
            self._graph, self._made_for = _graph(frame, down, across), asked
        self._graph.vpush(frame)
        return self._graph.vpull()


def _graph(frame: VideoFrame, down: int, across: int) -> Graph:
    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1)
    )
    width, height = frame.width - 2 * across, frame.height - 2 * down
    crop = graph.add("crop", f"{width}:{height}:{across}:{down}:exact=1")
    graph.link_nodes(source, crop, graph.add("buffersink")).configure()
    return graph
