"""Pictures to a small MP4 file, encoded with x264 in memory."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from typing import TYPE_CHECKING

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from vidx.embedder.decoding.orientation import Orientation, orientation_of
from vidx.embedder.decoding.sampling import TOLERANCE_SECONDS

if TYPE_CHECKING:
    from av.video.stream import VideoStream

    from vidx.records import Clip

TICKS = 90_000  # a second: divides all usual frame rates, and is MPEG's own
# Close to what the eye cannot tell from the source, at a tenth of the slower presets' time. Without
# B frames: MP4 holds how long a picture is shown as the gap to the one coded next, and of the last
# one coded the length itself, so the picture shown last must be coded last.
X264 = {"crf": "18", "preset": "veryfast", "bf": "0"}


@dataclass(frozen=True, slots=True)
class Picture:
    """A frame and when it is on the screen, in seconds from the video's first."""

    frame: VideoFrame
    time: float
    until: float


class ClipEncoder:
    """Encodes the pictures of one clip; the first is shown from the clip's start on.

    Args:
        clip: Its span.
        rate: Frames a second, roughly: players and x264 take it as a hint.
    """

    def __init__(self, clip: Clip, rate: Fraction) -> None:
        self.clip = clip
        self._file = BytesIO()
        self._container = av.open(self._file, "w", format="mp4")
        self._rate = rate
        self._stream: VideoStream | None = None
        self._to_size = VideoReformatter()
        self._durations: dict[int, int] = {}

    def wants(self, picture: Picture) -> bool:
        """Whether a picture is on the screen in the clip."""
        begins_before = picture.time < self.clip.end_seconds - TOLERANCE_SECONDS
        return begins_before and picture.until > self.clip.start_seconds + TOLERANCE_SECONDS

    def is_over(self, picture: Picture) -> bool:
        """Whether no later picture is in the clip."""
        return picture.until >= self.clip.end_seconds - TOLERANCE_SECONDS

    def add(self, picture: Picture) -> None:
        """Encode the next picture."""
        start, end = self.clip.start_seconds, self.clip.end_seconds
        shown = max(picture.time - start, 0.0), min(picture.until, end) - start
        pts, until = (round(seconds * TICKS) for seconds in shown)
        frame = self._fitted(picture.frame)
        frame.pts, frame.time_base = pts, Fraction(1, TICKS)
        self._durations[pts] = until - pts
        self._mux(frame)

    def finish(self) -> bytes:
        """The whole file."""
        self._mux(None)
        self._container.close()
        return self._file.getvalue()

    def _mux(self, frame: VideoFrame | None) -> None:
        if self._stream is None:  # no picture came
            return
        for packet in self._stream.encode(frame):
            if packet.pts in self._durations:
                packet.duration = self._durations[packet.pts]
            self._container.mux(packet)

    def _fitted(self, frame: VideoFrame) -> VideoFrame:
        """A frame as it is shown, of the size and format of the file."""
        orientation = orientation_of(frame)
        if orientation != Orientation():
            rgb = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
            upright = np.ascontiguousarray(orientation.upright(rgb))
            frame = VideoFrame.from_ndarray(upright, format="rgb24")
        stream = self._opened(frame)
        return self._to_size.reformat(
            frame, width=stream.width, height=stream.height, format="yuv420p"
        )

    def _opened(self, frame: VideoFrame) -> VideoStream:
        """The stream, whose size is that of the first frame, in even numbers."""
        if self._stream is None:
            stream = self._container.add_stream("libx264", rate=self._rate, options=X264)
            stream.width, stream.height = (max(n - n % 2, 2) for n in (frame.width, frame.height))
            stream.pix_fmt = "yuv420p"
            stream.codec_context.time_base = stream.time_base = Fraction(1, TICKS)
            _tell_colours(stream, frame)
            self._stream = stream
        return self._stream


def _tell_colours(stream: VideoStream, frame: VideoFrame) -> None:
    """Let the file say what its numbers mean: those of the frame, or what swscale makes of RGB."""
    context = stream.codec_context
    if frame.format.is_rgb:
        context.colorspace, context.color_range = Colorspace.SMPTE170M, ColorRange.MPEG
        return
    context.color_range, context.colorspace = frame.color_range, frame.colorspace
    context.color_primaries, context.color_trc = frame.color_primaries, frame.color_trc
