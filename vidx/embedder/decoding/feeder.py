"""FFmpeg's decoder, fed packet by packet, with what it says of each.

It decodes in one thread, as with several it reports errors, and marks frames as corrupt, at other
places from run to run; workers give the parallelism.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import av.error
import av.logging

from vidx.embedder.decoding.container import Media, describe
from vidx.embedder.decoding.ffmpeg_log import Listening
from vidx.embedder.decoding.orientation import orientation_of
from vidx.records import VideoInfo

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from vidx.embedder.decoding.survey import Survey
    from vidx.embedder.decoding.trust import Fed


class Feeder:
    """The decoder of one stream.

    Args:
        media: Freshly opened.
        found: Names the stream.
    """

    def __init__(self, media: Media, found: Survey) -> None:
        self._container = media.container
        self.stream: VideoStream = next(
            s for s in media.container.streams.video if s.index == found.index
        )
        self.stream.codec_context.thread_count = 1
        self.stream.codec_context.copy_opaque = True

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the pictures that are to be shown, as the decoder knows them."""
        context = self.stream.codec_context
        return context.width, context.height

    def feed(
        self, packet: Packet[VideoStream] | None, fed: Fed | None
    ) -> tuple[list[VideoFrame], str]:
        """Decode a packet.

        Args:
            packet: As demuxed; None: give out what there is left.
            fed: Is found again at the frame that comes of the packet, as its `opaque`.

        Returns:
            The frames that are due, and what troubles the decoder had; empty for none.

        Raises:
            MemoryError: There is no room for a picture.
        """
        if packet is not None:
            packet.opaque = fed
        context = self.stream.codec_context
        listening = Listening(av.logging.INFO)
        frames: list[VideoFrame] = []
        troubles: list[str] = []
        try:
            with listening:
                frames = context.decode(packet)
        except MemoryError:
            raise
        except av.error.FFmpegError as error:
            # Some decoders report a lack of memory as invalid data: is there room for a picture?
            bytearray(4 * context.width * context.height)
            troubles.append(describe(error))
        troubles += [line.text for line in listening.lines if line.tells_of_bad_picture]
        return frames, troubles[0] if troubles else ""

    def describe(self, frame: VideoFrame, first_timestamp_seconds: float) -> VideoInfo:
        """What is known of the video by one of its frames; all but duration and notes."""
        orientation = orientation_of(frame)
        height, width = orientation.turned(frame.height, frame.width)
        return VideoInfo(
            duration_seconds=0.0,
            width=width,
            height=height,
            frame_rate=float(self.stream.average_rate or 0),
            codec=self.stream.codec_context.name,
            container=self._container.format.name,
            first_timestamp_seconds=first_timestamp_seconds,
            rotation_degrees=orientation.turns * 90,
            is_mirrored=orientation.is_mirrored,
            notes=(),
        )
