"""Which files of a folder are videos."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vidx.errors import UsageError
from vidx.records import Problem

# What ordinary cameras, phones, editors, broadcasters and the web write. GIF, HEIC, AVIF and M4A
# are containers that can hold moving pictures; the stills among them are reported as such.
# fmt: off
VIDEO_EXTENSIONS = (
    ".264", ".265", ".3g2", ".3gp", ".3gpp", ".amv", ".apng", ".asf", ".av1", ".avi", ".avif",
    ".avifs", ".bik", ".dav", ".divx", ".dv", ".dvr-ms", ".f4v", ".flv", ".gif", ".gxf", ".h261",
    ".h263", ".h264", ".h265", ".heic", ".heif", ".hevc", ".ismv", ".ivf", ".m1v", ".m2t",
    ".m2ts", ".m2v", ".m4a", ".m4s", ".m4v", ".mj2", ".mjpeg", ".mjpg", ".mk3d", ".mkv", ".mod",
    ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mpv", ".mts", ".mxf", ".nsv", ".nut", ".obu",
    ".ogg", ".ogm", ".ogv", ".ogx", ".qt", ".rm", ".rmvb", ".roq", ".swf", ".tod", ".ts", ".vob",
    ".vp8", ".vp9", ".vro", ".webm", ".wmv", ".wtv", ".y4m",
)
# fmt: on


@dataclass(frozen=True, slots=True)
class FoundVideos:
    """The files that were found.

    Attributes:
        paths: Absolute (symlinks as they are), sorted, each once.
        unreadable: Folders that could not be listed, and why.
    """

    paths: tuple[Path, ...]
    unreadable: tuple[tuple[Path, Problem], ...]


def find_videos(paths: Sequence[str | os.PathLike[str]]) -> FoundVideos:
    """Find the videos in folders, and take files as they are named.

    Folders are walked to their depths for files with one of `VIDEO_EXTENSIONS` in any case. What
    is hidden (a name that begins with a dot) is left out, unless it is named itself. Symlinked
    folders are followed, each folder once.

    Args:
        paths: Files, taken whatever their extension, and folders.

    Returns:
        The files, and the folders that could not be listed.

    Raises:
        UsageError: A path does not exist.
    """
    found: set[Path] = set()
    unreadable: dict[Path, Problem] = {}
    for path in map(_absolute, paths):
        if not os.path.lexists(path):
            raise UsageError(f"{_shown(path)} does not exist.", "Name a file or a folder.")
        found.update(_walk(path, set(), unreadable) if path.is_dir() else [path])
    return FoundVideos(tuple(sorted(found)), tuple(sorted(unreadable.items())))


def _walk(
    folder: Path, above: set[tuple[int, int]], unreadable: dict[Path, Problem]
) -> Iterator[Path]:
    try:
        status = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        unreadable[folder] = Problem("unreadable", error.strerror or str(error))
        return
    identity = (status.st_dev, status.st_ino)
    if identity in above:  # a symlink to a folder that it lies in
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        path = folder / entry.name
        if path.is_dir():
            yield from _walk(path, above | {identity}, unreadable)
        elif path.suffix.lower() in VIDEO_EXTENSIONS:
            yield path


def _absolute(path: str | os.PathLike[str]) -> Path:
    return Path(os.path.abspath(path))  # symlinks stay as they are


def _shown(path: Path) -> str:
    return str(path).encode("utf-8", "backslashreplace").decode()
