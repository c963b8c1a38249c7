"""Promises of telling video by its first bytes."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vidx.embedder.decoding.signatures import (
    HEAD_BYTES,
    begins_video,
    holds_video,
    may_hold_video,
)

MakeVideo = Callable[..., Path]


@pytest.mark.parametrize(
    ("muxer", "codec"),
    [
        ("mp4", "libx264"),
        ("mov", "mjpeg"),
        ("3gp", "mpeg4"),
        ("f4v", "libx264"),
        ("matroska", "libx264"),
        ("webm", "libvpx-vp9"),
        ("avi", "mpeg4"),
        ("flv", "flv1"),
        ("asf", "wmv2"),
        ("ogg", "libvpx"),
        ("mpeg", "mpeg1video"),
        ("vob", "mpeg2video"),
        ("mpeg1video", "mpeg1video"),
        ("mpeg2video", "mpeg2video"),
        ("mpegts", "libx264"),
        ("ivf", "libvpx"),
        ("yuv4mpegpipe", "wrapped_avframe"),
        ("mxf", "mpeg2video"),
        ("rm", "rv20"),
        ("h264", "libx264"),
        ("hevc", "libx265"),
    ],
)
def test_every_container_of_video_is_told_by_its_first_bytes(
    make_video: MakeVideo, tmp_path: Path, muxer: str, codec: str
) -> None:
    path = make_video(tmp_path / "x", format=muxer, codec=codec, seconds=0.4, size=(176, 144))
    assert holds_video(path)


def ogg_page(payload: bytes) -> bytes:
    """One page of one packet (RFC 3533, 6)."""
    return b"OggS\0\2" + bytes(20) + bytes([1, len(payload)]) + payload


def box(name: bytes, contents: bytes = b"") -> bytes:
    return (8 + len(contents)).to_bytes(4, "big") + name + contents


SPS = b"\x67\x64\x00\x1f\xac\xd9"
VPS = b"\x40\x01\x0c\x01\xff\xff\x01\x60"
HEADS = {
    "Theora behind a skeleton and sound": ogg_page(b"fishead\0" + bytes(56))
    + ogg_page(b"\x01vorbis" + bytes(23))
    + ogg_page(b"\x80theora\3\2\1" + bytes(30)),
    "Dirac": ogg_page(b"BBCD\0" + bytes(8)),
    "OGM": ogg_page(b"\x01video\0\0\0DIV3" + bytes(40)),
    "QuickTime whose pictures come first": box(b"wide") + box(b"mdat", bytes(5000)),
    "QuickTime whose pictures take more than 4 GB": b"\0\0\0\1mdat" + bytes(6) + b"\x13\x88",
    "QuickTime with its index behind padding of all kinds": b"".join(
        box(name, bytes(12)) for name in (b"free", b"pnot", b"skip", b"uuid", b"wide")
    )
    + box(b"moov", bytes(900)),
    "an image sequence": box(b"ftyp", b"avis" + bytes(12)),
    "H.264 behind a delimiter": b"\0\0\0\1\x09\xf0\0\0\0\1" + SPS,
    "H.264 with short codes": b"\0\0\1\x27" + SPS[1:],
    "H.265 behind a delimiter": b"\0\0\0\1\x46\x01\x50\0\0\0\1" + VPS,
}


@pytest.mark.parametrize("name", HEADS)
def test_rarer_beginnings_are_known(name: str) -> None:
    assert begins_video(HEADS[name][:HEAD_BYTES], 9000)


def test_a_transport_stream_with_timestamps_is_known(make_video: MakeVideo, tmp_path: Path) -> None:
    data = make_video(tmp_path / "a.ts", format="mpegts", seconds=0.4).read_bytes()
    packets = (b"\1\2\3\4" + data[at : at + 188] for at in range(0, len(data), 188))
    (tmp_path / "x").write_bytes(b"".join(packets))
    assert holds_video(tmp_path / "x")


@pytest.mark.parametrize(
    ("muxer", "codec"),
    [
        ("ipod", "aac"),
        ("flv", "aac"),
        ("ogg", "libopus"),
        ("wav", "pcm_s16le"),
        ("mp3", "libmp3lame"),
        ("adts", "aac"),
    ],
)
def test_sound_is_no_video(
    make_sound: Callable[..., Path], tmp_path: Path, muxer: str, codec: str
) -> None:
    path = make_sound(tmp_path / "x", format=muxer, codec=codec, rate=48000)
    assert path.stat().st_size > 100
    assert not holds_video(path)


OTHERS = {
    **{
        f"the brand {brand.decode()}": box(b"ftyp", brand + bytes(12))
        for brand in (b"avif", b"heic", b"mif1", b"crx ", b"M4A ", b"M4B ")
    },
    "a text with a box's name": b"The free encyclopedia that anyone can edit. " * 99,
    "a text of the name alone": b"....moov",
    "bases, with G where packets begin": (b"GATC" * 47) * 20,
    "numbers, one like a start code": np.arange(0x1B3, 0x900, dtype=">i4").tobytes(),
    "numbers, one like parameters": np.array([0x140, 0x10C0101, 1], ">i4").tobytes() * 90,
    "numbers, one like a picture's": np.array([0x167, 0x1, 0x2], ">i4").tobytes() * 90,
    "another use of EBML": b"\x1a\x45\xdf\xa3\x8b\x42\x82\x88notvideo" + bytes(90),
    "a wave file": b"RIFF\0\0\0\1WAVEfmt " + bytes(90),
    "a database": b"SQLite format 3\0" + bytes(584),
    "nothing": b"",
    "zeros": bytes(600),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_files_are_no_video(name: str) -> None:
    assert not begins_video(OTHERS[name][:HEAD_BYTES], len(OTHERS[name]))


def test_no_file_of_python_is_taken_for_a_video() -> None:
    files = [
        Path(folder) / name
        for folder, _, names in os.walk(sysconfig.get_path("stdlib"))
        if "site-packages" not in folder
        for name in names
    ]
    assert len(files) > 1000
    assert [file for file in files if file.is_file() and holds_video(file)] == []


def test_random_bytes_are_no_video() -> None:
    rng = np.random.default_rng(0)
    assert not any(begins_video(rng.bytes(HEAD_BYTES), 1 << 20) for _ in range(20_000))


@pytest.mark.parametrize("ending", ["", ".mp", ".insv", ".lrv", ".bin", ".mpa", ".3gpp2", ".x"])
def test_what_may_hold_video_is_worth_a_look(ending: str) -> None:
    assert may_hold_video(ending)


def test_what_cannot_be_video_is_not_worth_one() -> None:
    endings = ".jpg .png .webp .txt .csv .json .pdf .zip .py .mp3 .wav .mka .wma .npy"
    assert not any(map(may_hold_video, endings.split()))


def test_what_cannot_be_read_is_no_video(tmp_path: Path) -> None:
    assert not holds_video(tmp_path / "missing")
    assert not holds_video(tmp_path)


def test_real_videos_are_told_without_their_names(media: Path) -> None:
    files = [path for path in (media / "good").rglob("*") if path.is_file()]
    assert len(files) > 50
    assert [file for file in files if not holds_video(file)] == []
