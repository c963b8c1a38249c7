"""An index that another machine has made: what is sent of it, and how it is put in place here.

Sent are the codes and the map that whitens, which take time to make and are a few percent of the
bytes. Vectors are not: each machine has them in its shards, and only copies them into a matrix.
Codes are of rows, so they fit wherever the first rows are the same clips.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import faiss

from vidx.errors import CollectionDamaged
from vidx.index.building import grow_codes
from vidx.index.files import next_number, open_index, switch, whiten, writing
from vidx.index.header import CodesOf, Header, header_of
from vidx.index.parts import is_as_written, next_names, open_part
from vidx.options import IndexOptions
from vidx.records import Likeness

# Puts files, by the names that they had where they were made, at paths here.
Fetch = Callable[[Mapping[str, Path]], None]


@dataclass(frozen=True, slots=True)
class Made:
    """What another machine tells of its index.

    Attributes:
        header: What its `index.json` says.
        ids_sha256: Of the clip_ids of its rows, as `ids-<n>.i64` has them, in hex.
        faiss: The version that has written the codes.
    """

    header: Header
    ids_sha256: str
    faiss: str


def told(folder: Path, header: Header) -> dict[str, Any]:
    """What others are to know of an index with codes."""
    return asdict(Made(header, _digest(folder, header, header.rows), faiss.__version__))


def sent(header: Header) -> list[str]:
    """The files of an index with codes that take time to make."""
    map_of_copy = [header.copy.transform] if header.copy and "copy" in header.codes else []
    return map_of_copy + [part.file for one in header.codes.values() for part in one.parts]


def made_of(values: Mapping[str, Any]) -> Made:
    """What was told.

    Raises:
        CollectionTooNew: By a later vidx.
        ValueError: It makes no sense.
    """
    try:
        header = header_of(values["header"], "the shared index")
        made = Made(header, str(values["ids_sha256"]), str(values["faiss"]))
    except (TypeError, KeyError) as error:
        raise ValueError(f"{error} is missing, or not what it should be") from error
    if any(one.rows > header.rows for one in header.codes.values()):
        raise ValueError("it has codes of more rows than there are")
    if "copy" in header.codes and not header.copy:
        raise ValueError("it has no map to what it has codes of")
    return made


def is_of_use(folder: Path, header: Header, made: Made) -> bool:
    """Whether codes made elsewhere are of these rows, of as many as have codes here, and as asked.

    What was asked on this machine holds: no less is found, in no more memory. There are no fewer
    rows here.
    """
    theirs, asked = made.header, header.asked
    most = asked.max_memory_bytes
    return (
        asked.kind != "exact"
        and theirs.asked.target_recall >= asked.target_recall
        and (most is None or sum(one.num_bytes for one in theirs.codes.values()) <= most)
        and theirs.dim == header.dim
        and all(_covers(theirs.codes[one], header.codes.get(one)) for one in theirs.codes)
        and made.ids_sha256 == _digest(folder, header, theirs.rows)
    )


def is_whole(folder: Path, header: Header) -> bool:
    """Whether there are codes, made of all rows, and all of them can be read."""
    whole = all(one.trained_rows == one.rows == header.rows for one in header.codes.values())
    try:
        for one in header.codes.values():
            for part in one.parts:
                open_part(folder, part)
    except (OSError, ValueError):
        return False
    return bool(header.codes) and whole


def keep_asked(folder: Path, header: Header, asked: IndexOptions) -> None:
    """Let what is asked hold from now on, of an index that is made as asked.

    Raises:
        VidxError: The disk is full or the folder cannot be written; the index is as before.
    """
    with writing(folder):
        switch(folder, replace(header, asked=asked))


def adopt(folder: Path, header: Header, made: Made, fetch: Fetch) -> Header:
    """Put codes that were made elsewhere in the place of those there are, all of them or none.

    Args:
        folder: The index's folder.
        header: What is there, of no fewer rows.
        made: What was made elsewhere, and is of use here.
        fetch: Gets its files.

    Returns:
        The new header, already on disk.

    Raises:
        CollectionDamaged: Its files are not what it says, or cannot be read by this FAISS.
        VidxError: The disk is full or the folder cannot be written, or what `fetch` tells. The
            index is as before.
    """
    with writing(folder):
        taken, names = _renamed(folder, header, made.header)
        try:
            fetch({theirs: folder / ours for theirs, ours in names.items()})
            if taken.copy and taken.copy != header.copy:
                whiten(folder, taken, taken.copy, 0)
            _check(folder, taken, made)
        except BaseException as error:
            for name in taken.names() - header.names():
                (folder / name).unlink(missing_ok=True)
            if isinstance(error, ValueError):
                raise CollectionDamaged(
                    f"its files cannot be read by FAISS {faiss.__version__}; {made.faiss} wrote "
                    f"them: {error}"
                ) from error
            raise
        switch(folder, taken)
    return grow_codes(folder, taken)


def _covers(theirs: CodesOf, ours: CodesOf | None) -> bool:
    return ours is None or theirs.rows >= ours.rows


def _renamed(folder: Path, header: Header, theirs: Header) -> tuple[Header, dict[str, str]]:
    """The header with the codes of another, under names that no file has here, by theirs."""
    names: dict[str, str] = {}
    for likeness, one in theirs.codes.items():
        ours = next_names(folder, likeness, len(one.parts))
        names |= dict(zip((part.file for part in one.parts), ours, strict=True))
        parts = tuple(replace(part, file=names[part.file]) for part in one.parts)
        header = _with(header, likeness, replace(one, parts=parts))
    if theirs.copy and "copy" in theirs.codes:
        number = next_number(folder, "whitening")
        names[theirs.copy.transform] = f"whitening-{number}.npy"
        copy = replace(theirs.copy, file=f"copy-{number}.f32", transform=f"whitening-{number}.npy")
        header = replace(header, copy=copy)
    return header, names


def _with(header: Header, likeness: Likeness, codes: CodesOf) -> Header:
    header = header.without_codes(likeness)
    return replace(header, codes=header.codes | {likeness: codes})


def _check(folder: Path, header: Header, made: Made) -> None:
    """See to it that files are what a header says.

    Raises:
        OSError, ValueError: One is not.
    """
    dims = header.dims()
    for likeness in made.header.codes:
        for part in header.codes[likeness].parts:
            if (dim := open_part(folder, part).dim) != dims[likeness]:
                raise ValueError(f"{part.file} has {dim} dimensions, not {dims[likeness]}")
            if not is_as_written(folder, part):
                raise ValueError(f"{part.file} has other bytes than it was made with")


def _digest(folder: Path, header: Header, rows: int) -> str:
    """Of the ids of the first so many rows."""
    opened = open_index(folder, header.collection, header.dim)
    assert opened  # noqa: S101 - its header is at hand
    return hashlib.sha256(opened[1].ids[:rows].data).hexdigest()
