"""Which files of a folder are videos."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vidx.embedder.decoding.signatures import holds_video, may_hold_video
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
        passed_over: Likewise: files of folders that hold video under other extensions.
        unreadable: Folders that could not be listed, and why.
    """

    paths: tuple[Path, ...]
    passed_over: tuple[Path, ...]
    unreadable: tuple[tuple[Path, Problem], ...]


def find_videos(paths: Sequence[str | os.PathLike[str]]) -> FoundVideos:
    """Find the videos in folders, and take files as they are named.

    Folders are walked to their depths for files with one of `VIDEO_EXTENSIONS` in any case. The
    others are told apart by their first bytes, where they may hold video. What is hidden (a name
    that begins with a dot) is left out, unless it is named itself. Symlinked folders are followed,
    each folder once: by the first of its paths in sorted order.

    Args:
        paths: Files, taken whatever their extension, and folders.

    Returns:
        The files, those that hold video under other extensions, and the folders that could not be
        listed.

    Raises:
        UsageError: A path does not exist, or may not be looked at.
    """
    found: set[Path] = set()
    walk = _Walk()
    for path in sorted(map(_absolute, paths)):
        _check_exists(path)
        if os.path.isdir(path):  # Path.is_dir raises where it may not look
            walk.go(path)
        else:
            found.add(path)
    return FoundVideos(
        tuple(sorted(found | walk.videos)),
        tuple(sorted(walk.others - found)),
        tuple(sorted(walk.unreadable.items())),
    )


@dataclass(slots=True)
class _Walk:
    """What was seen in folders so far: videos, others that hold video, and the folders."""

    videos: set[Path] = field(default_factory=set)
    others: set[Path] = field(default_factory=set)
    unreadable: dict[Path, Problem] = field(default_factory=dict)
    visited: set[tuple[int, int]] = field(default_factory=set)

    def go(self, top: Path) -> None:
        """Look at all that is below a folder."""
        folders = [top]
        while folders:
            folder = folders.pop()
            try:
                entries = _entries(folder, self.visited)
            except OSError as error:
                self.unreadable[folder] = Problem("unreadable", error.strerror or str(error))
                continue
            shown = [entry for entry in entries if not entry.name.startswith(".")]
            folders.extend(folder / entry.name for entry in reversed(shown) if _is_folder(entry))
            for entry in shown:
                self._look_at(folder, entry)

    def _look_at(self, folder: Path, entry: os.DirEntry[str]) -> None:
        ending = os.path.splitext(entry.name)[1].lower()
        if ending in VIDEO_EXTENSIONS:
            if not _is_folder(entry):
                self.videos.add(folder / entry.name)
        # What is neither file nor folder is never opened: a pipe would wait for a writer.
        elif may_hold_video(ending) and _is_file(entry) and holds_video(entry.path):
            self.others.add(folder / entry.name)


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


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
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
