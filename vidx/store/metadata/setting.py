"""Setting metadata: from a user's table to a commit."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, select

from vidx.errors import UsageError, VidxError
from vidx.records import MetadataReport
from vidx.store.catalogue import Catalogue
from vidx.store.metadata import files
from vidx.store.metadata.given import given, merged
from vidx.store.metadata.reading import plain, read
from vidx.store.sql import SOME, among
from vidx.store.survey import escaped
from vidx.store.tables import clips, locations, videos
from vidx.store.writer import Writer

OF = {"path": "video", "video_id": "video", "clip_id": "clip"}
_EXAMPLES = 10  # keys that are told

_PLACES = (
    select(locations.c.path, videos.c.video_id)
    .join(videos, videos.c.number == locations.c.video)
    .where(locations.c.removed.is_(None), videos.c.take.is_not(None), locations.c.path.in_(SOME))
)
_VIDEOS = select(videos.c.video_id).where(videos.c.take.is_not(None), videos.c.video_id.in_(SOME))
_CLIPS = select(clips.c.clip_id).where(clips.c.removed.is_(None), clips.c.clip_id.in_(SOME))


def table_of(source: object, catalogue: Catalogue) -> tuple[pa.Table, list[Path]]:
    """A user's table, and the folders from which its relative paths are looked for.

    Args:
        source: A table, or the path of a file with one.
        catalogue: Says which columns are text.

    Raises:
        UsageError: It is neither, or the file is not there.
        VidxError: The file cannot be read.
    """
    if isinstance(source, str | os.PathLike):
        file = Path(os.path.abspath(os.fspath(source)))
        text = {one.name for one in catalogue.metadata_columns() if one.type == "text"}
        return read(file, {*text, "path", "video_id"}), [file.parent, Path.cwd()]
    try:
        table = source if isinstance(source, pa.Table) else pa.table(source)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"this is no table: {error}", "Give what pyarrow.table takes.") from error
    return plain(table), [Path.cwd()]


def set_metadata(
    writer: Writer,
    catalogue: Catalogue,
    table: pa.Table,
    on: str,
    folders: Sequence[Path],
    *,
    clears: bool,
) -> MetadataReport:
    """Set the values of a table, as one commit.

    Args:
        writer: Holds the collection's lock.
        catalogue: The collection's.
        table: With keys in the column `on`, and values in the others.
        on: `path`, `video_id` or `clip_id`.
        folders: From where relative paths are looked for, in that order.
        clears: Whether empty values take out what is there.

    Raises:
        UsageError: `on` is something else.
        VidxError: The table is refused, or the disk is full; nothing was changed.
    """
    if on not in OF:
        raise UsageError(f"{on!r} is no kind of key", f"Choose one of {', '.join(OF)}.")
    before, of = catalogue.metadata_columns(), OF[on]
    told = given(table, on, of, before, clears=clears)
    found = _owners(catalogue, on, told.keys, folders)
    unknown = told.keys.filter(pc.is_null(found))
    if len(unknown) == len(found):
        raise VidxError(
            f"none of the {len(found)} rows is about a {of} of the collection"
            + "".join(f"; the first is of {key!r}" for key in _examples(unknown)[:1]),
            "`vidx videos --json` lists videos, and `vidx export` clips, with their ids.",
        )
    here = pc.is_valid(found)
    whose, values = merged(found.drop_null(), told.keys.filter(here), told.table.filter(here))
    rows = values.add_column(0, files.KEY_FIELDS[of], whose)
    done = writer.set_metadata(rows.to_batches(files.ROWS), of=of, types=told.types, clears=clears)
    known = {one.name for one in before}
    return MetadataReport(
        of=of,
        columns=tuple(told.types),
        new_columns=tuple(
            one
            for one in catalogue.metadata_columns()
            if one.name in told.types and one.name not in known
        ),
        left_out=told.left_out,
        num_rows=table.num_rows,
        num_keys=len(whose),
        num_values=sum(len(whose) - column.null_count for column in values.columns),
        num_unknown=len(unknown),
        unknown=_examples(unknown),
        commit=done.commit,
    )


def _examples(keys: pa.ChunkedArray) -> tuple[str, ...]:
    """Some keys, without repeats, as they are told."""
    some = pc.unique(keys.slice(0, files.ROWS))[:_EXAMPLES]
    return tuple("" if key is None else str(key) for key in some.to_pylist())


def _owners(
    catalogue: Catalogue, on: str, keys: pa.ChunkedArray, folders: Sequence[Path]
) -> pa.Array:
    """For each key its video_id or clip_id, null where there is none in the collection."""
    kind = pa.int64() if on == "clip_id" else pa.string()
    try:
        keys = keys.cast(kind)
    except pa.ArrowException as error:
        rule = "whole numbers" if on == "clip_id" else "text"
        raise VidxError(f"a {on} is {rule}: {error}", "Choose another key with --on.") from error
    there = pc.unique(keys).drop_null()
    with catalogue.reading() as connection:
        if on == "path":
            known = _at_places(connection, there.to_pylist(), folders)
        else:
            query = _VIDEOS if on == "video_id" else _CLIPS
            known = {key: key for (key,) in among(connection, query, there.to_pylist())}
    owners = pa.array([known.get(key) for key in there.to_pylist()], kind)
    return owners.take(pc.index_in(keys.combine_chunks(), value_set=there))


def _at_places(
    connection: Connection, paths: Sequence[str], folders: Sequence[Path]
) -> dict[str, str]:
    """The video_id of each path that is a location of a video."""
    meant = {path: _meant(path, folders) for path in paths}
    places = (place for some in meant.values() for place in some)
    videos_at = {row.path: row.video_id for row in among(connection, _PLACES, places)}
    return {
        path: videos_at[place]
        for path, some in meant.items()
        for place in reversed(some)
        if place in videos_at
    }


def _meant(path: str, folders: Sequence[Path]) -> list[str]:
    """The locations that a user's path may be, the first one of them counts."""
    if "://" in path:
        return [path]
    return [escaped(os.path.abspath(os.path.join(folder, path))) for folder in folders]
