"""What became of each file since the collection last saw it: new, changed, moved, unchanged."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from vidx.errors import VideoError
from vidx.records import FileFinding, FileStatus, PassedOver, Problem, RefusedRow, Source
from vidx.remote.copies import Copies
from vidx.remote.objects import is_there
from vidx.remote.urls import is_url
from vidx.store.catalogue import Catalogue, KnownContent, KnownFile, KnownTake
from vidx.store.hashing import Hash, Hashes
from vidx.store.sql import chunks

_FILES_AHEAD = 16  # hashed before they are asked for
_BYTES_AHEAD = 4 << 30  # of objects, whose copies lie on the disk meanwhile
_NOT_UTF8 = Problem("path_not_utf8", "the path is not valid UTF-8; rename the file")
# Tried again every time. All others follow from the bytes, the machine or the model, also where
# they cost a part of a video only; and a decoder that hangs costs a minute each time.
_PASSING_REASONS = frozenset({"unreadable", "changed_while_reading"})
_OTHER_SPANS = Problem(
    "other_spans", "another file of this run has the same bytes, and other spans of them are meant"
)
_OF_SPANS = frozenset({_OTHER_SPANS.reason, "span_beyond_end"})


def survey(
    files: Sequence[str],
    catalogue: Catalogue | None,
    plan: str,
    *,
    retry_failed: bool = False,
    copies: Copies | None = None,
    plans: Mapping[str, str] | None = None,
) -> Iterator[FileFinding]:
    """Say for each file what became of it; size and time first, all its bytes when they differ.

    Args:
        files: Absolute paths and URLs, each once.
        catalogue: What is known; None when there is no collection yet.
        plan: Digest of how videos are to be cut into clips now.
        retry_failed: Whether files that failed before, or of which only a part could be embedded,
            are to be tried again.
        copies: What was found at the URLs, and where their bytes go when they are read. A copy
            stays for what is to be embedded alone.
        plans: Of files that are cut otherwise than the others: the digests.

    Yields:
        One finding a file, in the order of the files. Bytes are read a little ahead, in threads.
    """
    copies = copies or Copies()
    wish = _Wish(plan, plans or {}, retry_failed)
    taken = _Taken({}, set(), set(), set())
    hashes = Hashes(copies)
    looks: deque[_Look] = deque()
    try:
        for some in chunks(files):
            known = catalogue.known([escaped(path) for path in some]) if catalogue else {}
            for path in some:
                look = _look(path, known.get(escaped(path)), wish, copies)
                if look.finding is None:
                    look.digest = hashes.submit(path)
                looks.append(look)
                while len(looks) > _FILES_AHEAD or _is_much(looks):
                    yield _settle(looks.popleft(), catalogue, wish, taken, copies)
        while looks:
            yield _settle(looks.popleft(), catalogue, wish, taken, copies)
    finally:
        hashes.close()


def left_out(files: PassedOver) -> list[FileFinding]:
    """The findings of files that are not looked at."""
    sources = (Source(escaped(path), None, "") for path in files.paths)
    return [FileFinding(FileStatus.PASSED_OVER, source) for source in sources]


def refused(rows: Iterable[RefusedRow]) -> list[FileFinding]:
    """The findings of rows of manifests that do not count."""
    return [
        FileFinding(FileStatus.REFUSED, Source(row.manifest, None, ""), row=row) for row in rows
    ]


def no_longer_there(paths: Iterable[str], findings: Sequence[FileFinding]) -> list[FileFinding]:
    """The findings of paths that are gone, but for those that findings explain."""
    explained = {path for one in findings for path in (one.gone, *one.failed_at)}
    return [
        FileFinding(FileStatus.GONE, Source(path, None, ""))
        for path in paths
        if path not in explained
    ]


@dataclass(frozen=True, slots=True)
class _Wish:
    """How videos are to be cut, and whether those that failed, or did in part, are tried again."""

    plan: str
    plans: Mapping[str, str]
    retry_failed: bool

    def plan_of(self, path: str) -> str:
        return self.plans.get(path, self.plan)

    def tries_again(self, reason: str) -> bool:
        """Whether a failed file is; what is wrong with its spans may have been put right."""
        return self._may_pass(reason) or reason in _OF_SPANS

    def is_met_by(self, take: KnownTake | None, path: str) -> bool:
        """Whether a video is in the collection as it is to be."""
        if take is None or take.plan != self.plan_of(path):
            return False
        return take.problem is None or not self._may_pass(take.problem)

    def _may_pass(self, reason: str) -> bool:
        return self.retry_failed or reason in _PASSING_REASONS


@dataclass(frozen=True, slots=True)
class _Taken:
    """What this run has given away.

    Attributes:
        plans: Contents that this run has settled, and how they are cut; those that need no look
            at their bytes are only there where files are cut in several ways.
        video_ids: Contents to be embedded.
        gone: Paths that files moved from.
        failures: Contents whose failures under other paths were looked at.
    """

    plans: dict[str, str]
    video_ids: set[str]
    gone: set[str]
    failures: set[str]


@dataclass(slots=True)
class _Look:
    """A file whose size and time were looked at; its bytes may still be being read."""

    source: Source
    finding: FileFinding | None
    digest: Hash | None = None

    @property
    def is_remote(self) -> bool:
        return is_url(self.source.path)


def _is_much(looks: Sequence[_Look]) -> bool:
    """Whether the objects that are read ahead take much of the disk."""
    sizes = [look.source.size_bytes or 0 for look in looks if look.digest and look.is_remote]
    return len(sizes) > 1 and sum(sizes) > _BYTES_AHEAD


def _look(path: str, known: KnownFile | None, wish: _Wish, copies: Copies) -> _Look:
    """Compare a file's size and version with what is on record."""
    source, unfit = _seen_object(path, copies) if is_url(path) else _seen_file(path)
    # An object without any version may be another each time.
    same = (
        known is not None
        and bool(source.version)
        and (known.size_bytes, known.version) == (source.size_bytes, source.version)
    )
    if known and same and known.failure:
        # Whole as it is wanted now, it failed when it was wanted otherwise.
        is_whole = known.take is not None and known.take.problem is None
        is_there = is_whole and wish.is_met_by(known.take, source.path)
        if not is_there and not wish.tries_again(known.failure):
            return _Look(source, FileFinding(FileStatus.FAILED_BEFORE, source))
    elif known and same and wish.is_met_by(known.take, source.path):
        return _Look(source, FileFinding(FileStatus.UNCHANGED, source, known.video_id))
    if unfit:
        return _Look(source, FileFinding(FileStatus.FAILED, source, problem=unfit))
    return _Look(source, None)


def _seen_file(path: str) -> tuple[Source, Problem | None]:
    """A file as it is, and why it cannot be a video."""
    try:
        status = os.stat(path)
    except OSError as error:
        return Source(escaped(path), None, ""), _unreadable(error)
    source = Source(escaped(path), status.st_size, str(status.st_mtime_ns))
    return source, _unfit(path, status.st_mode)


def _seen_object(url: str, copies: Copies) -> tuple[Source, Problem | None]:
    """An object as it was found, or why it was not."""
    found = copies.found[url]
    if isinstance(found, Problem):
        return Source(escaped(url), None, ""), found
    unfit = _NOT_UTF8 if escaped(url) != url else None
    return Source(escaped(url), found.size_bytes, found.version), unfit


def _unfit(path: str, mode: int) -> Problem | None:
    """Why a path cannot be a video, whatever its bytes say."""
    if escaped(path) != path:
        return _NOT_UTF8
    if stat.S_ISDIR(mode):
        return Problem("unreadable", "the folder cannot be listed")
    if not stat.S_ISREG(mode):
        return Problem("not_a_video", "not a regular file")
    return None


def _unreadable(error: OSError) -> Problem:
    return Problem("unreadable", error.strerror or str(error))


def _settle(
    look: _Look, catalogue: Catalogue | None, wish: _Wish, taken: _Taken, copies: Copies
) -> FileFinding:
    """Say what became of a file; only what is to be embedded keeps its copy."""
    finding = look.finding or _settle_by_content(look, catalogue, wish, taken)
    if wish.plans and finding.video_id:
        plan = wish.plan_of(look.source.path)
        if taken.plans.setdefault(finding.video_id, plan) != plan:
            finding = FileFinding(FileStatus.FAILED, look.source, finding.video_id, _OTHER_SPANS)
    if finding.status is not FileStatus.EMBED:
        copies.drop(look.source.path)
    return finding


def _settle_by_content(
    look: _Look, catalogue: Catalogue | None, wish: _Wish, taken: _Taken
) -> FileFinding:
    """Decide by content where size and version could not."""
    source = look.source
    assert look.digest is not None  # noqa: S101 - survey submits it for every open look
    try:
        video_id = look.digest.result()
    except VideoError as error:
        problem = Problem(error.reason, error.message)
        return FileFinding(FileStatus.FAILED, source, problem=problem)
    except OSError as error:
        return FileFinding(FileStatus.FAILED, source, problem=_unreadable(error))
    plan = wish.plan_of(source.path)
    if taken.plans.get(video_id, plan) != plan:
        return FileFinding(FileStatus.FAILED, source, video_id, _OTHER_SPANS)
    known = catalogue.content(video_id) if catalogue else KnownContent(None, (), ())
    gone = None if source.path in known.places else _first_gone(known.places, taken)
    if video_id in taken.video_ids:
        status = FileStatus.TWIN
    elif not wish.is_met_by(known.take, source.path):
        taken.video_ids.add(video_id)
        status = FileStatus.EMBED
    elif source.path in known.places:
        status = FileStatus.TOUCHED
    else:
        status = FileStatus.MOVED if gone else FileStatus.DUPLICATE
    failed_at = _failed_at(video_id, known, taken)
    return FileFinding(status, source, video_id, gone=gone, failed_at=failed_at)


def _first_gone(places: Sequence[str], taken: _Taken) -> str | None:
    """The first of a video's paths that is no longer there and explains no other file."""
    for path in places:
        if path not in taken.gone and is_gone(path):
            taken.gone.add(path)
            return path
    return None


def _failed_at(video_id: str, known: KnownContent, taken: _Taken) -> tuple[str, ...]:
    """The paths at which a content failed, and that are no longer there; told once a run."""
    if not known.failed_at or video_id in taken.failures:
        return ()
    taken.failures.add(video_id)
    elsewhere = (path for path in known.failed_at if path not in known.places)
    return tuple(path for path in elsewhere if is_gone(path))


def is_gone(path: str) -> bool:
    """Whether no file is at a path or URL; what cannot be looked at may be one."""
    if is_url(path):
        return not is_there(path)
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False


def escaped(path: str) -> str:
    """The path itself, or with escapes where it is not valid UTF-8."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
