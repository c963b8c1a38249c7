"""Proposals applied and undone: commits, and files moved, linked and deleted.

What is about to be done to files is written to `proposals/<id>.parquet` first. Then the removal is
committed, whose provenance names the proposal; then files are touched. Each step can be done again.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from vidx.curating.proposals import named
from vidx.durable import sync_file, sync_folder
from vidx.errors import UsageError, VidxError
from vidx.records import ApplyReport, LeftAlone, Problem, UndoReport
from vidx.remote.urls import is_url
from vidx.store import proposals
from vidx.store.catalogue import Catalogue
from vidx.store.layout import Layout
from vidx.store.writer import Writer

if TYPE_CHECKING:
    import pyarrow as pa

Row: TypeAlias = dict[str, Any]

MOVE = "move:"


def apply(
    writer: Writer, catalogue: Catalogue, table: pa.Table, told: Row, files: str | None
) -> ApplyReport:
    """Apply a proposal, or go on where that was cut short; as `Proposal.apply` says."""
    folder = _folder(files)
    if folder is not None:
        files = f"{MOVE}{folder}"  # wherever it is gone on with, or undone
    record = _record(catalogue.layout, told["id"])
    commit = proposals.applied_by(catalogue, told["id"])
    if commit is not None:
        rows, before = _read(record)
        if before != files or not any(_is_waiting(row, files) for row in rows):
            raise UsageError(
                f"this proposal is applied already, by commit {commit}",
                f"`vidx undo {commit}` takes it back.",
            )
        return ApplyReport(commit, (), 0, *_touch(rows, files))
    _check_state(catalogue, table)
    drops, left = _there(table.to_pylist(), files)
    if not drops:
        return ApplyReport(catalogue.state().commit, (), 0, 0, left)
    if folder is not None:
        _check_folder(folder)
    kept = {row["path"]: row for row in table.to_pylist()}
    rows = [_with_kept(row, kept[row["beside"]]) for row in _targets(drops, folder)]
    proposals.write_operations(record, rows, {"files": files})
    paths = [row["path"] for row in rows]
    done = writer.remove(paths, proposal=told["id"])
    num_files, untouched = _touch(rows, files)
    return ApplyReport(done.commit, tuple(paths), done.videos, num_files, left + untouched)


def undo(writer: Writer, catalogue: Catalogue, commit: int) -> UndoReport:
    """Take a proposal back, or go on with that; as `Collection.undo` says."""
    proposal = proposals.proposal_of(catalogue, commit)
    if proposal is None:
        raise UsageError(
            f"commit {commit} applied no proposal",
            "`vidx commits` lists what each one did; `vidx restore` takes removals back.",
        )
    if proposals.applied_by(catalogue, proposal) not in (None, commit):
        raise _taken_back(commit)  # and applied again: the record is of that
    rows, files = _read(_record(catalogue.layout, proposal))
    moved = 0
    if folder := _folder(files):
        turned = [{**row, "path": row["target"], "target": row["path"]} for row in rows]
        moved, _ = _touch(turned, files)
        _tidy(folder, [Path(row["target"]) for row in rows])
    back = proposals.still_removed(catalogue, commit)
    if not back and not moved:
        raise _taken_back(commit)
    done = writer.restore(commit) if back else None
    lost = [row["path"] for row in rows if not _as_seen(row, row["path"])]
    why = Problem("gone", "the file that was there is no longer there")
    return UndoReport(
        undone=commit,
        num_locations=done.locations if done else 0,
        num_videos=done.videos if done else 0,
        num_files=moved,
        lost=tuple(LeftAlone(path, why) for path in lost),
        commit=done.commit if done else catalogue.state().commit,
    )


def _taken_back(commit: int) -> UsageError:
    return UsageError(
        f"what commit {commit} did was taken back already, or was compacted since",
        "`vidx commits` lists what each one did.",
    )


def _folder(files: str | None) -> Path | None:
    """Where files go, where they are to be moved."""
    if files is None or files in ("link", "delete"):
        return None
    if not files.startswith(MOVE) or files == MOVE:
        raise UsageError(f"files={files!r}: choose link, delete or move:FOLDER, or leave it out.")
    return Path(os.path.abspath(os.path.expanduser(files.removeprefix(MOVE))))


def _record(layout: Layout, proposal: str) -> Path:
    return layout.root / "proposals" / f"{proposal}.parquet"


def _read(record: Path) -> tuple[list[Row], str | None]:
    table, told = proposals.read(record)
    return table.to_pylist(), told["files"]


def _check_state(catalogue: Catalogue, table: pa.Table) -> None:
    """Refuse a proposal of files that the collection knows otherwise now.

    Raises:
        VidxError: Names them.
    """
    rows = table.to_pylist()
    known = catalogue.known([row["path"] for row in rows])
    changed = []
    for row in rows:
        now = known.get(row["path"])
        told = (row["video_id"], row["size_bytes"], row["version"])
        if now is None or (now.video_id, now.size_bytes, now.version) != told:
            changed.append(row["path"])
    if changed:
        raise VidxError(
            f"the collection has changed since this was proposed; removed or embedded anew: "
            f"{named(changed)}",
            "Make a new proposal. Nothing was done.",
        )


def _there(rows: list[Row], files: str | None) -> tuple[list[Row], tuple[LeftAlone, ...]]:
    """What can be dropped, and what is passed over, for it or what is to be kept is not there."""
    kept = {row["path"]: row for row in rows if row["action"] == "keep"}
    drops, left = [], []
    for row in rows:
        if row["action"] != "drop":
            continue
        best = kept.get(row["beside"])
        problem = _problem(row, files) or (
            Problem("not_kept", f"{row['beside']} is not among those that are kept")
            if best is None
            else _beside(best)
        )
        if problem is None:
            drops.append(row)
        else:
            left.append(LeftAlone(row["path"], problem))
    if not files:
        return drops, tuple(left)
    # What stays may be one of those that go, by another name.
    stay = {os.path.realpath(path): path for path in (*kept, *(one.path for one in left))}
    own = [row for row in drops if os.path.realpath(row["path"]) in stay]
    left += [_by_another_name(row, stay[os.path.realpath(row["path"])]) for row in own]
    return [row for row in drops if row not in own], tuple(left)


def _by_another_name(row: Row, other: str) -> LeftAlone:
    return LeftAlone(row["path"], Problem("same_file", f"it is {other} itself, by another name"))


def _problem(row: Row, files: str | None) -> Problem | None:
    """Why a file cannot be dropped or relied upon."""
    path = row["path"]
    if is_url(path):
        return Problem("remote", "files at URLs are left alone") if files else None
    if not os.path.lexists(path):
        return Problem("gone", "no file is there any more")
    if not _as_seen(row, path):
        return Problem("changed", "the file was changed since it was embedded")
    if files and os.path.islink(path):
        return Problem("link", "symbolic links are left alone")
    return None


def _beside(best: Row) -> Problem | None:
    if problem := _problem(best, None):
        return Problem(f"kept_{problem.reason}", f"{best['path']}: {problem.message}")
    return None


def _as_seen(row: Row, path: str) -> bool:
    """Whether a file is the one that was embedded, as far as size and time of change say."""
    if is_url(path):
        return True
    try:
        status = os.stat(path)
    except OSError:
        return False
    return (status.st_size, str(status.st_mtime_ns)) == (row["size_bytes"], row["version"])


def _check_folder(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{str(folder)!r} is not an empty folder", "Choose another place.")


def _targets(drops: list[Row], folder: Path | None) -> list[Row]:
    """With where each file goes: the folders below the one that holds them all stay."""
    if folder is None:
        return [{**row, "target": None} for row in drops]
    common = os.path.commonpath([os.path.dirname(row["path"]) for row in drops])
    return [{**row, "target": str(folder / os.path.relpath(row["path"], common))} for row in drops]


def _with_kept(row: Row, kept: Row) -> Row:
    """With what the file that is kept is like: it is looked at again before another is lost."""
    return {**row, "beside_size_bytes": kept["size_bytes"], "beside_version": kept["version"]}


def _touch(rows: list[Row], files: str | None) -> tuple[int, tuple[LeftAlone, ...]]:
    """Do to files what is not done yet; how many these are, and what is left alone.

    Raises:
        VidxError: The disk is full, or a file may not be touched; the same again goes on.
    """
    if files is None:
        return 0, ()
    touched, left = 0, []
    for row in rows:
        if not _is_waiting(row, files):
            continue
        if not files.startswith(MOVE) and (problem := _kept_problem(row)):
            left.append(LeftAlone(row["path"], problem))
            continue
        try:
            _touch_one(row, files)
        except OSError as error:
            raise VidxError(
                f"{row['path']}: {error.strerror or error}",
                "What was done so far is journalled: do the same again to go on, or undo it.",
            ) from error
        touched += 1
    return touched, tuple(left)


def _is_waiting(row: Row, files: str | None) -> bool:
    """Whether what is to be done to a file is not done yet."""
    if files is None or not _as_seen(row, row["path"]):
        return False  # it went by another name, for one
    return files != "link" or not os.path.islink(row["path"])  # which looks as the kept file does


def _kept_problem(row: Row) -> Problem | None:
    """Why a file may not be lost: the one that was kept for it is no longer what it was."""
    kept = {"size_bytes": row.get("beside_size_bytes"), "version": row.get("beside_version")}
    return _beside({"path": row["beside"], **kept})


def _touch_one(row: Row, files: str) -> None:
    path = Path(row["path"])
    if files == "delete":
        path.unlink()
    elif files == "link":
        _replace_by_link(path, row["beside"])
    else:
        target = Path(row["target"])
        if target.exists() and not _as_seen(row, row["target"]):
            raise FileExistsError(None, f"{target} is in the way")
        target.parent.mkdir(parents=True, exist_ok=True)
        _move(path, target)
        sync_folder(target.parent)
    sync_folder(path.parent)


def _tidy(folder: Path, targets: list[Path]) -> None:
    """Take away the folders that were made below one, where they are empty."""
    below = {one for target in targets for one in target.parents if folder in one.parents}
    for one in sorted(below, reverse=True):  # the deepest first
        with suppress(OSError):
            one.rmdir()


def _replace_by_link(path: Path, kept: str) -> None:
    temporary = path.with_name(f".{path.name}.vidx.tmp")
    with suppress(FileNotFoundError):  # of a run that was killed
        temporary.unlink()
    temporary.symlink_to(kept)
    temporary.replace(path)


def _move(path: Path, target: Path) -> None:
    """Move a file, also to another disk, where it has its name only when it is whole."""
    if path.parent.stat().st_dev == target.parent.stat().st_dev:
        path.replace(target)
        return
    temporary = target.with_name(f".{target.name}.vidx.tmp")
    try:
        shutil.copy2(path, temporary)
        sync_file(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    path.unlink()
