"""Which files of a folder are videos."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from vidx.embedder.decoding.globs import Glob, is_glob
from vidx.embedder.decoding.listing import entries, is_file, is_folder
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
        places: The folders and globs that were looked at.
    """

    paths: tuple[Path, ...]
    passed_over: tuple[Path, ...]
    unreadable: tuple[tuple[Path, Problem], ...]
    places: tuple[Glob, ...]


def find_videos(paths: Sequence[str | os.PathLike[str]]) -> FoundVideos:
    """Find the videos in folders and of globs, and take files as they are named.

    Folders are walked to their depths for files with one of `VIDEO_EXTENSIONS` in any case. The
    others are told apart by their first bytes, where they may hold video. What is hidden (a name
    that begins with a dot) is left out, unless it is named itself. Symlinked folders are followed,
    each folder once: by the first of its paths in sorted order.

    Args:
        paths: Files, taken whatever their extension; folders; and globs, whose files are taken as
            those of folders are, and whose folders are walked.

    Returns:
        The files, those that hold video under other extensions, and the folders that could not be
        listed.

    Raises:
        UsageError: A path does not exist, or may not be looked at, or a glob matches nothing.
    """
    named, globs = _parted(paths)
    for path in named:
        _check_exists(path)
    walk = _Walk()
    matched = {path for glob in globs for path in walk.match(glob)}
    folders = {path for path in named if os.path.isdir(path)}
    inner = {path for path in matched if os.path.isdir(path)}
    for folder in sorted(folders | inner):
        walk.go(folder)
    walk.take(matched - inner)
    found = set(named) - folders
    return FoundVideos(
        tuple(sorted(found | walk.videos)),
        tuple(sorted(walk.others - found)),
        tuple(sorted(walk.unreadable.items())),
        (*(Glob(folder, ()) for folder in sorted(folders)), *globs),
    )


def _parted(paths: Iterable[str | os.PathLike[str]]) -> tuple[list[Path], list[Glob]]:
    """What is named, and globs."""
    absolute = {Path(os.path.abspath(path)) for path in paths}  # symlinks stay as they are
    globs = {path for path in absolute if is_glob(path)}
    return sorted(absolute - globs), [Glob.of(path) for path in sorted(globs)]


@dataclass(slots=True)
class _Walk:
    """What was seen in folders so far: videos, others that hold video, and the folders."""

    videos: set[Path] = field(default_factory=set)
    others: set[Path] = field(default_factory=set)
    unreadable: dict[Path, Problem] = field(default_factory=dict)
    visited: set[tuple[int, int]] = field(default_factory=set)

    def match(self, glob: Glob) -> list[Path]:
        """The files and folders that a glob matches."""
        found, unreadable = glob.matches()
        for folder, error in unreadable.items():
            self._note_unreadable(folder, error)
        if not found and not unreadable:
            raise UsageError(
                f"{_shown(glob.base.joinpath(*glob.parts))} matches nothing.",
                "Name a file, a folder, or what some match.",
            )
        return found

    def go(self, top: Path) -> None:
        """Look at all that is below a folder."""
        folders = [top]
        while folders:
            folder = folders.pop()
            try:
                listed = entries(folder, self.visited)
            except OSError as error:
                self._note_unreadable(folder, error)
                continue
            shown = [entry for entry in listed if not entry.name.startswith(".")]
            folders.extend(folder / entry.name for entry in reversed(shown) if is_folder(entry))
            for entry in shown:
                self._look_at(
                    folder / entry.name, partial(is_folder, entry), partial(is_file, entry)
                )

    def take(self, files: Iterable[Path]) -> None:
        """Look at files as at those of a folder."""
        for path in files:
            self._look_at(path, lambda: False, partial(os.path.isfile, path))

    def _look_at(
        self, path: Path, is_folder: Callable[[], bool], is_file: Callable[[], bool]
    ) -> None:
        ending = os.path.splitext(path.name)[1].lower()
        if ending in VIDEO_EXTENSIONS:
            if not is_folder():
                self.videos.add(path)
        # What is neither file nor folder is never opened: a pipe would wait for a writer.
        elif may_hold_video(ending) and is_file() and holds_video(path):
            self.others.add(path)

    def _note_unreadable(self, folder: Path, error: OSError) -> None:
        self.unreadable[folder] = Problem("unreadable", error.strerror or str(error))


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


def _shown(path: Path) -> str:
    return str(path).encode("utf-8", "backslashreplace").decode()
