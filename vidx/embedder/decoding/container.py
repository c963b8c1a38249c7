"""Opening a video file, and what can be known of it before any picture is decoded.

A file that gives no clip, or not all of them, has a reason:

| reason | meaning |
|---|---|
| `unreadable` | the operating system or a server does not let it be read, or a read failed |
| `path_not_utf8` | its path is not valid UTF-8 |
| `empty_file` | 0 bytes |
| `not_a_video` | not a regular file, not media, or a playlist or a text that points elsewhere |
| `no_video_stream` | audio, subtitles or data only |
| `still_image` | a picture: HEIC, AVIF, JPEG ..., or the cover art of a sound file |
| `no_decoder` | a codec that FFmpeg does not know, or was built without; animated WebP |
| `encrypted` | the stream says that it takes a key |
| `too_large` | a side over 16384 pixels, or more memory than the limit allows |
| `no_frames` | media without a single picture, and without an error |
| `truncated` | a part of its end is missing, as after a broken download |
| `decode_error` | damaged content |
| `changed_while_reading` | size or modification time changed since the file was hashed |
| `non_finite` | the model gave vectors that are not finite |
| `decode_timeout` | the decoder said nothing for the deadline (isolated workers only) |
| `decode_crashed` | the decoder took its process down, twice (isolated workers only) |
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import av
import av.container
import av.error
import av.logging
import av.stream
from av.video.stream import VideoStream

from vidx.embedder.decoding.ffmpeg_log import Line, Listening
from vidx.embedder.decoding.signatures import PICTURE_BRANDS
from vidx.embedder.decoding.source import RemoteSource, Source
from vidx.embedder.decoding.structure import is_animated_webp, lacks_index
from vidx.errors import VideoError
from vidx.remote.holes import NO_HOLES, Holes
from vidx.remote.urls import is_url

if TYPE_CHECKING:
    from av.codec.hwaccel import HWAccel
    from av.packet import Packet

MAX_SIDE = 16384
TS_DISCONT = 0x0200  # AVFMT_TS_DISCONT: the format allows timestamps to start anew
DEMUXER_OPTIONS = {
    "protocol_whitelist": "none",  # the file itself comes through Source
    "merge_pmt_versions": "1",  # a broadcast may move its picture to another PID
    "resync_size": str((1 << 31) - 1),  # bytes of a hole in a transport stream to look beyond
}
# Demuxers that follow references to other files, or draw a text.
NOT_MEDIA = frozenset(
    {
        "adf",
        "bin",
        "concat",
        "dash",
        "ffmetadata",
        "hls",
        "idf",
        "imf",
        "lavfi",
        "sdp",
        "tty",
        "xbin",
    }
)
PICTURES = frozenset({"ico"})


@dataclass(frozen=True, slots=True)
class FileState:
    """What tells that a file or object has changed.

    Attributes:
        size: Bytes; of an object None where nobody says.
        version: Of a file its time of last change, in nanoseconds since the epoch; of an object
            what its server tells.
    """

    size: int | None
    version: int | str


def file_state(path: str) -> FileState:
    """Look at a file before it is opened as media.

    Args:
        path: The file, or a URL.

    Raises:
        VideoError: It cannot be read, or is no regular file.
    """
    if is_url(path):
        from vidx.remote.objects import look

        found = look(path)
        return FileState(found.size_bytes, found.version)
    try:
        path.encode("utf-8")
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode):
            raise VideoError("not_a_video", "not a regular file")
        with Path(path).open("rb"):
            pass
    except UnicodeEncodeError:
        raise VideoError("path_not_utf8", "the path is not valid UTF-8") from None
    except OSError as error:
        raise VideoError("unreadable", error.strerror or str(error)) from None
    return FileState(status.st_size, status.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class Media:
    """A file that is open as media.

    Attributes:
        container: For FFmpeg's side of it.
        source: For what reading it came upon.
        said: What FFmpeg said when it was opened, for which its head is read.
        head_end: How far that was, in bytes.
        kept: All packets of the stream to decode, where they were read already; empty: they are to
            be read.
    """

    container: av.container.InputContainer
    source: Source
    said: list[Line]
    head_end: int
    kept: deque[Packet[VideoStream]] = field(default_factory=deque)

    @property
    def format(self) -> str:
        """Name of the demuxer."""
        return self.container.format.name

    @property
    def is_joinable(self) -> bool:
        """Whether the format is made to be cut and joined anywhere, like broadcasts."""
        return bool(self.container.format.flags & TS_DISCONT)

    @property
    def is_indexed(self) -> bool:
        """Whether all packets are listed beforehand, so that none can be stepped over."""
        return self.format.startswith("mov,")

    @property
    def is_seekable(self) -> bool:
        """Whether one can go to a key frame, and the packets from there on are those there are."""
        is_listed = self.is_indexed or self.format == "matroska,webm"
        return is_listed and (self.is_hollow or not isinstance(self.source, RemoteSource))

    @property
    def is_hollow(self) -> bool:
        """Whether packets may be zeros, as they were not fetched."""
        return isinstance(self.source, RemoteSource) and self.source.holes is not NO_HOLES


@contextlib.contextmanager
def opened(
    path: str,
    tick: Callable[[], None] = lambda: None,
    holes: Holes = NO_HOLES,
    accelerator: HWAccel | None = None,
) -> Iterator[Media]:
    """Open a file as media; nothing that it refers to is opened.

    Args:
        path: The file or URL, already looked at by `file_state`.
        tick: Called while a server is waited for.
        holes: Of an object, what nobody needs once it is open.
        accelerator: What decodes the pictures. None: the processor.

    Raises:
        VideoError: It is not media that holds its own pictures, or cannot be read.
    """
    source = RemoteSource(path, tick) if is_url(path) else Source(os.path.abspath(path))
    with contextlib.closing(source):
        listening = Listening(av.logging.WARNING)
        with listening:
            container = _open(source, accelerator)
        with container:
            source.check()
            media = Media(container, source, listening.lines, source.tell())
            if media.format in NOT_MEDIA:
                raise VideoError("not_a_video", f"{media.format} holds no pictures itself")
            if isinstance(source, RemoteSource):
                source.holes = holes
            yield media


def _open(source: Source, accelerator: HWAccel | None) -> av.container.InputContainer:
    options = dict(DEMUXER_OPTIONS)
    try:
        return av.open(source, "r", metadata_errors="ignore", options=options, hwaccel=accelerator)
    except MemoryError:
        raise VideoError("too_large", "out of memory when opening the file") from None
    except (av.error.FFmpegError, ValueError, OSError) as error:
        source.check()
        raise _why_not_opened(source, error) from None


def _why_not_opened(source: Source, error: Exception) -> VideoError:
    if lacks_index(source):
        return VideoError("truncated", "the index (moov) at the end of the file is missing")
    return VideoError("not_a_video", describe(error))


def describe(error: Exception) -> str:
    """Give the decoder's message without Python's or FFmpeg's trimmings."""
    return str(getattr(error, "strerror", None) or error)


def video_streams(container: av.container.InputContainer) -> list[VideoStream]:
    """List the streams of moving pictures that could be decoded, the best one first.

    Args:
        container: As opened.

    Raises:
        VideoError: There is none, and why.
    """
    everything = container.streams.video
    if not everything:
        raise VideoError("no_video_stream", f"{container.format.name} without a video stream")
    moving = [
        s for s in everything if not int(s.disposition) & int(av.stream.Disposition.attached_pic)
    ]
    if not moving or _is_picture(container):
        raise still_image(container)
    known = [s for s in moving if s.codec_context is not None]
    if not known:
        raise VideoError("no_decoder", "FFmpeg has no decoder for the video stream's codec")
    for stream in known:
        _check_decodable(stream)
    best = container.streams.best("video")
    return sorted(known, key=lambda stream: stream is not best)


def _is_picture(container: av.container.InputContainer) -> bool:
    brand = container.metadata.get("major_brand", "").strip()
    return container.format.name in PICTURES or brand in PICTURE_BRANDS


def is_sequence_of_pictures(container: av.container.InputContainer) -> bool:
    """Whether it is a file of pictures one after the other: with two or more it is a video."""
    return container.format.name.endswith("_pipe")


def lone_picture(media: Media) -> VideoError:
    """The error for such a file with one picture, which may be all that FFmpeg makes of it."""
    if is_animated_webp(media.source):
        return VideoError("no_decoder", "FFmpeg cannot decode animated WebP")
    return still_image(media.container)


def still_image(container: av.container.InputContainer) -> VideoError:
    """The error for a picture."""
    return VideoError("still_image", f"{container.format.name} that holds a picture")


def _check_decodable(stream: VideoStream) -> None:
    if stream.codec_context.codec_tag in {"encv", "drmi"} or "enc_key_id" in stream.metadata:
        raise VideoError("encrypted", "the video stream takes a key")
    check_size(stream.codec_context.width, stream.codec_context.height)


def check_size(width: int, height: int) -> None:
    """Refuse pictures that would take gigabytes.

    Raises:
        VideoError: A side is over 16384 pixels.
    """
    if max(width, height) > MAX_SIDE:
        raise VideoError("too_large", f"{width}x{height} pixels: a side over {MAX_SIDE}")
