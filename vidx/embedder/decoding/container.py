"""Opening a video file, and what can be known of it before any picture is decoded.

A file that gives no clip, or not all of them, has a reason:

| reason | meaning |
|---|---|
| `unreadable` | the operating system does not let it be read |
| `path_not_utf8` | its path is not valid UTF-8 |
| `empty_file` | 0 bytes |
| `not_a_video` | not a regular file, not media, or a playlist or a text that points elsewhere |
| `no_video_stream` | audio, subtitles or data only |
| `still_image` | a picture: HEIC, AVIF, JPEG ..., or the cover art of a sound file |
| `no_decoder` | a codec that FFmpeg does not know, or was built without |
| `encrypted` | the stream says that it takes a key |
| `too_large` | a side over 16384 pixels, or more memory than the limit allows |
| `no_frames` | media without a single picture, and without an error |
| `truncated` | much shorter than the file declares, as after a broken download |
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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
import av.container
import av.error
import av.stream
from av.video.stream import VideoStream

from vidx.embedder.decoding.signatures import PICTURE_BRANDS
from vidx.errors import VideoError

MAX_SIDE = 16384
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
PICTURES = frozenset({"ico", "image2", "image2pipe"})


@dataclass(frozen=True, slots=True)
class FileState:
    """What tells that a file has changed."""

    size: int
    mtime_ns: int


def file_state(path: str) -> FileState:
    """Look at a file before it is opened as media.

    Args:
        path: The file.

    Raises:
        VideoError: It cannot be read, or is no regular file.
    """
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


@contextlib.contextmanager
def opened(path: str) -> Iterator[av.container.InputContainer]:
    """Open a file as media, through its absolute path, so that no name is taken for a protocol.

    Args:
        path: The file, already looked at by `file_state`.

    Raises:
        VideoError: It is not media that holds its own pictures.
    """
    try:
        container = av.open(
            os.path.abspath(path),  # symlinks stay as they are
            metadata_errors="ignore",
            options={"protocol_whitelist": "file"},
        )
    except MemoryError:
        raise VideoError("too_large", "out of memory when opening the file") from None
    except (av.error.FFmpegError, ValueError) as error:
        raise _why_not_opened(path, error) from None
    with container:
        if container.format.name in NOT_MEDIA:
            raise VideoError("not_a_video", f"{container.format.name} holds no pictures itself")
        yield container


def _why_not_opened(path: str, error: Exception) -> VideoError:
    if _lacks_index(path):
        return VideoError("truncated", "the index (moov) at the end of the file is missing")
    return VideoError("not_a_video", describe(error))


def _lacks_index(path: str) -> bool:
    """Whether an MP4 or QuickTime file ends within its media data, before any index."""
    with Path(path).open("rb") as file:
        names, is_cut = _top_level_boxes(file)
    return names[:1] == [b"ftyp"] and names[-1:] == [b"mdat"] and b"moov" not in names and is_cut


def _top_level_boxes(file: BinaryIO) -> tuple[list[bytes], bool]:
    """Names of the boxes (ISO/IEC 14496-12, 4.2), and whether the last reaches beyond the end."""
    end = os.fstat(file.fileno()).st_size
    position, names = 0, list[bytes]()
    while position < end and len(names) < 100:
        file.seek(position)
        header = file.read(16)
        size = int.from_bytes(header[:4], "big")
        size = int.from_bytes(header[8:16], "big") if size == 1 else size
        names.append(header[4:8])
        if size < 8:
            break
        position += size
    return names, position > end


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
        raise VideoError("still_image", f"{container.format.name} that holds a picture")
    known = [s for s in moving if s.codec_context is not None]
    if not known:
        raise VideoError("no_decoder", "FFmpeg has no decoder for the video stream's codec")
    for stream in known:
        _check_decodable(stream)
    best = container.streams.best("video")
    return sorted(known, key=lambda stream: stream is not best)


def _is_picture(container: av.container.InputContainer) -> bool:
    name = container.format.name
    brand = container.metadata.get("major_brand", "").strip()
    return name in PICTURES or name.endswith("_pipe") or brand in PICTURE_BRANDS


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
