"""Which files a run of `embed` looks at, and which it passes over."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from vidx.embedder.decoding.files import find_videos
from vidx.errors import VidxError
from vidx.options import EmbedOptions
from vidx.records import PassedOver


@dataclass(frozen=True, slots=True)
class VideoFiles:
    """The files among some paths.

    Attributes:
        paths: To look at, absolute and sorted; with them the folders that cannot be listed.
        passed_over: What `any_ending` would add to them.
    """

    paths: tuple[str, ...]
    passed_over: PassedOver


def video_files(paths: Sequence[str | os.PathLike[str]], options: EmbedOptions) -> VideoFiles:
    """Find the files that a run looks at.

    Args:
        paths: Files, folders and globs.
        options: How many, and whether under any ending.

    Raises:
        UsageError: A path is not there, or a glob matches nothing.
        VidxError: There are no such files.
    """
    found = find_videos(paths)
    files = [*found.paths, *(folder for folder, _ in found.unreadable)]
    others = PassedOver(() if options.any_ending else tuple(map(str, found.passed_over)))
    if options.any_ending:
        files += found.passed_over
    if not files:
        lists = "A file that is named itself is always taken; docs/cli.md lists what folders give."
        next_step = str(others) if others.paths else lists
        raise VidxError(f"no video files in {', '.join(map(str, paths))}", next_step)
    return VideoFiles(tuple(sorted(map(str, files))[: options.limit]), others)
