"""What a file says of itself before any packet is counted: cheap, and not always true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import av

from vidx.embedder.decoding.container import FileState, file_state, opened, video_streams
from vidx.embedder.decoding.packets import Tick
from vidx.errors import VideoError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of a video that was opened, and not read.

    Attributes:
        duration_seconds: As the file declares it; None where it does not.
        width: Pixels, as stored.
        height: Pixels, as stored.
        codec: FFmpeg's name of its decoder.
    """

    duration_seconds: float | None
    width: int
    height: int
    codec: str


def read_header(path: str, tick: Tick, expected: FileState | None = None) -> Header:
    """Open a file, and look at its best video stream.

    Args:
        path: The file, or a URL.
        tick: Called while a server is waited for.
        expected: What the file must be like, or None when that does not matter.

    Raises:
        VideoError: It cannot be decoded, which shows without reading on, or is not as expected.
    """
    state = file_state(path)
    if expected is not None and state != expected:
        raise VideoError("changed_while_reading", "size or modification time changed")
    if state.size == 0:
        raise VideoError("empty_file", "0 bytes")
    try:
        with opened(path, tick) as media:
            stream = video_streams(media.container)[0]
            context = stream.codec_context
            duration = _declared_seconds(media.container, stream)
            return Header(duration, context.width, context.height, context.name)
    except MemoryError:
        raise VideoError("too_large", "out of memory when opening the file") from None


def _declared_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None
