"""Which files a run of `embed` looks at, which it passes over, and which are gone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from vidx.embedder.decoding.files import find_videos
from vidx.embedder.decoding.globs import Glob
from vidx.errors import VidxError
from vidx.options import EmbedOptions
from vidx.records import PassedOver
from vidx.store.catalogue import Catalogue
from vidx.store.survey import escaped, is_gone


@dataclass(frozen=True, slots=True)
class VideoFiles:
    """The files among some paths.

    Attributes:
        paths: To look at, absolute and sorted; with them the folders that cannot be listed.
        passed_over: What `any_ending` would add to them.
        places: The folders and globs that were searched to their ends; none with a `limit`.
        unreadable: Folders in them that cannot be listed.
    """

    paths: tuple[str, ...]
    passed_over: PassedOver
    places: tuple[Glob, ...]
    unreadable: tuple[str, ...]


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
    unreadable = tuple(str(folder) for folder, _ in found.unreadable)
    files = [*map(str, found.paths), *unreadable]
    others = PassedOver(() if options.any_ending else tuple(map(str, found.passed_over)))
    if options.any_ending:
        files += map(str, found.passed_over)
    if not files:
        lists = "A file that is named itself is always taken; docs/cli.md lists what folders give."
        remove = "`vidx remove` takes out what the collection has from there."
        next_step = str(others) if others.paths else remove if options.prune else lists
        raise VidxError(f"no video files in {', '.join(map(str, paths))}", next_step)
    places = found.places if options.limit is None else ()
    return VideoFiles(tuple(sorted(files)[: options.limit]), others, places, unreadable)


def gone_files(files: VideoFiles, catalogue: Catalogue) -> list[str]:
    """The paths that the catalogue has in the places of a run, and that are no longer there.

    Nobody knows what is in a folder that cannot be listed, so nothing in it is gone.

    Args:
        files: Of the run.
        catalogue: After its last commit; in it are locations and failures.

    Returns:
        Absolute paths, sorted.
    """
    known = {
        path
        for place in files.places
        for path in catalogue.paths_at(escaped(str(place.base)))
        if place.covers(path)
    }
    closed = tuple(f"{escaped(folder)}/" for folder in files.unreadable)
    missing = known.difference(map(escaped, files.paths))
    return sorted(path for path in missing if not path.startswith(closed) and is_gone(path))
