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
    folders are followed, each folder once: by the first of its paths in sorted order.

    Args:
        paths: Files, taken whatever their extension, and folders.

    Returns:
        The files, and the folders that could not be listed.

    Raises:
        UsageError: A path does not exist, or may not be looked at.
    """
    found: set[Path] = set()
    unreadable: dict[Path, Problem] = {}
    visited: set[tuple[int, int]] = set()
    for path in sorted(map(_absolute, paths)):
        _check_exists(path)
        if os.path.isdir(path):  # Path.is_dir raises where it may not look
            found.update(_walk(path, visited, unreadable))
        else:
            found.add(path)
    return FoundVideos(tuple(sorted(found)), tuple(sorted(unreadable.items())))


def _walk(
    top: Path, visited: set[tuple[int, int]], unreadable: dict[Path, Problem]
) -> Iterator[Path]:
    folders = [top]
    while folders:
        folder = folders.pop()
        try:
            entries = _entries(folder, visited)
        except OSError as error:
            unreadable[folder] = Problem("unreadable", error.strerror or str(error))
            continue
        shown = [entry for entry in entries if not entry.name.startswith(".")]
        folders.extend(folder / entry.name for entry in reversed(shown) if _is_folder(entry))
        for entry in shown:
            path = folder / entry.name
            if path.suffix.lower() in VIDEO_EXTENSIONS and not _is_folder(entry):
                yield path


def _entries(folder: Path, visited: set[tuple[int, int]]) -> list[os.DirEntry[str]]:
    """List a folder in the order of names; nothing when it has been listed before."""
    # With the dot (which a Path drops) it takes the right to enter the folder, not just to list it.
    status = os.stat(f"{folder}/.")
    identity = (status.st_dev, status.st_ino)
    if identity in visited:
        return []
    with os.scandir(folder) as listing:
        entries = sorted(listing, key=lambda entry: entry.name)
    visited.add(identity)
    return entries


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that cannot be followed
        return False


def _check_exists(path: Path) -> None:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        problem = "does not exist"
    except OSError as error:
        problem = f"cannot be looked at ({error.strerror})"
    except ValueError as error:
        problem = f"is no path ({error})"
    else:
        return
    raise UsageError(f"{_shown(path)} {problem}.", "Name a file or a folder.")


def _absolute(path: str | os.PathLike[str]) -> Path:
    return Path(os.path.abspath(path))  # symlinks stay as they are


def _shown(path: Path) -> str:
    return str(path).encode("utf-8", "backslashreplace").decode()
