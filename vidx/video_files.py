"""Which files a run of `embed` looks at, which it passes over, and which are gone."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from vidx.embedder.decoding.files import VIDEO_EXTENSIONS, find_videos
from vidx.embedder.decoding.globs import Glob
from vidx.embedder.decoding.sampling import Plan, Sampling
from vidx.errors import NoVideos, UsageError, VideoError, VidxError
from vidx.manifests import Manifests, parted, read_manifests
from vidx.options import EmbedOptions
from vidx.records import MetadataColumn, PassedOver, Problem
from vidx.remote.objects import Listing, RemoteFile, listed
from vidx.remote.urls import checked, is_url
from vidx.store.catalogue import Catalogue
from vidx.store.survey import escaped, is_gone


@dataclass(frozen=True, slots=True)
class VideoFiles:
    """The files among some paths.

    Attributes:
        paths: To look at, absolute or URLs, sorted; with them the folders that cannot be listed.
        passed_over: What `any_ending` would add to them.
        places: The folders and globs that were searched to their ends; none with a `limit`.
        unreadable: Folders in them that cannot be listed.
        objects: For each URL among the paths, what its server tells, or why it tells nothing.
        manifests: What manifests say of them.
        plans: How those are cut that have spans in a manifest.
    """

    paths: tuple[str, ...]
    passed_over: PassedOver
    places: tuple[Glob, ...]
    unreadable: tuple[str, ...]
    objects: Mapping[str, RemoteFile | Problem] = field(default_factory=dict)
    manifests: Manifests = field(default_factory=Manifests)
    plans: Mapping[str, Plan] = field(default_factory=dict)

    def digests(self, sampling: Sampling) -> dict[str, str]:
        """The names of these plans; of all others that of the run counts."""
        return {escaped(path): plan.digest(sampling) for path, plan in self.plans.items()}


def video_files(
    paths: Sequence[str | os.PathLike[str]],
    options: EmbedOptions,
    known: Callable[[], Sequence[MetadataColumn]] | None = None,
) -> VideoFiles:
    """Find the files that a run looks at.

    Args:
        paths: Files, folders, globs, URLs and manifests.
        options: How many, and whether under any ending.
        known: Gives the columns of metadata that there are. None: manifests are files as others.

    Raises:
        UsageError: A path is not there, a glob matches nothing, a URL is none that vidx reads, or
            a manifest cannot be read.
        NoVideos: There are no such files.
        VidxError: All rows of the manifests are refused.
    """
    manifests = Manifests()
    if known:
        lists, paths = parted(paths)
        manifests = read_manifests(lists, known()) if lists else manifests
    urls = [checked(os.fspath(path)) for path in paths if is_url(path)]
    found = find_videos([path for path in paths if not is_url(path)])
    objects = {**manifests.objects, **_objects(urls)}
    unreadable = tuple(str(folder) for folder, _ in found.unreadable)
    files = {*map(str, found.paths), *unreadable, *objects, *manifests.places()}
    others = PassedOver(() if options.any_ending else tuple(map(str, found.passed_over)))
    if options.any_ending:
        files |= set(map(str, found.passed_over))
    if not files and manifests.refused:
        raise _all_refused(manifests)
    if not files:
        rule = "A file that is named itself is always taken; docs/cli.md lists what folders give."
        remove = "`vidx remove` takes out what the collection has from there."
        next_step = str(others) if others.paths else remove if options.prune else rule
        shown = ", ".join([*urls, *(str(path) for path in paths if not is_url(path))])
        raise NoVideos(f"no video files in {shown}", next_step)
    places = found.places if options.limit is None else ()
    chosen = tuple(sorted(files)[: options.limit])
    plans = manifests.plans(options.stride_seconds, options.segment)
    return VideoFiles(chosen, others, places, unreadable, objects, manifests, plans)


def _all_refused(manifests: Manifests) -> VidxError:
    number, first = len(manifests.refused), manifests.refused[0]
    return VidxError(
        f"nothing to embed: {number} of {number} rows are refused, the first of them row "
        f"{first.row} of {first.manifest}: {first.reason}",
        "docs/manifests.md says what a row may be.",
    )


def gone_files(files: VideoFiles, catalogue: Catalogue) -> list[str]:
    """The paths that the catalogue has in the places of a run, and that are no longer there.

    Nobody knows what is in a folder that cannot be listed, so nothing in it is gone.

    Args:
        files: Of the run.
        catalogue: After its last commit; in it are locations and failures.

    Returns:
        Absolute paths, sorted.
    """
    places = [
        Glob(Path(escaped(str(one.base))), tuple(map(escaped, one.parts))) for one in files.places
    ]
    known = {
        path
        for place in places
        for path in catalogue.paths_at(str(place.base))
        if place.covers(path)
    }
    closed = tuple(f"{escaped(folder)}/" for folder in files.unreadable)
    missing = known.difference(map(escaped, files.paths))
    return sorted(path for path in missing if not path.startswith(closed) and is_gone(path))


def _objects(urls: Sequence[str]) -> dict[str, RemoteFile | Problem]:
    """What servers tell of each URL, and of all videos below those that are prefixes."""
    found: dict[str, RemoteFile | Problem] = {}
    for url in urls:
        try:
            listing = listed(url)
        except VideoError as error:
            found.setdefault(url, Problem(error.reason, error.message))
            continue
        if listing.kind == "pattern" and not listing.files:
            raise UsageError(
                f"{url} matches nothing.", "Name an object, a prefix, or what some match."
            )
        found |= {file.url: file for file in listing.files if _is_wanted(file, listing, url)}
    return found


def _is_wanted(file: RemoteFile, listing: Listing, url: str) -> bool:
    """Whether an object counts: as in folders, by its ending, and if nothing of it is hidden."""
    if listing.kind == "object":
        return True
    glob = Glob.of(_as_path(url)) if listing.kind == "pattern" else Glob(_as_path(url), ())
    path = _as_path(file.url)
    names = path.relative_to(glob.base).parts
    hidden = [name for name in names if name.startswith(".")]
    asked = [part for part in glob.parts if part.startswith(".")]
    is_shown = all(any(fnmatchcase(name, part) for part in asked) for name in hidden)
    return is_shown and path.suffix.lower() in VIDEO_EXTENSIONS and glob.covers(str(path))


def _as_path(url: str) -> Path:
    """What is behind the scheme, as if it were a path."""
    return Path("/" + url.partition("://")[2])
