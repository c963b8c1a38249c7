"""The index of a collection in a bucket: fetched where others have made one, and sent to them.

Whatever goes wrong with that costs a word in the log: the machine searches with what it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

from vidx.errors import CollectionDamaged, CollectionTooNew, VidxError
from vidx.index import shared
from vidx.index.files import writing
from vidx.index.header import Header, read_header
from vidx.options import IndexOptions
from vidx.stages import logger, stage
from vidx.store.catalogue import Catalogue
from vidx.store.published import PublishedFile, fetch
from vidx.store.shared_indexes import Note, SharedIndex, SharedIndexes, read_note, write_note
from vidx.views import open_index

_LASTING = (CollectionDamaged, CollectionTooNew)  # who looks again finds the same
_ANOTHER = "`vidx index` makes another, for all machines."


def fetch_index(catalogue: Catalogue) -> None:
    """Take the bucket's newest index, where there is one that is of use here.

    Writers alone do, of an index on disk that is up to date.
    """
    if catalogue.layout.address is None:
        return
    indexes = SharedIndexes(catalogue.layout.address)
    problem: VidxError | None = None
    try:
        header = open_index(catalogue).header
        if header is None:
            return
        tried = _note(catalogue, header).number
        # One that vanishes while it is fetched was old: there is a newer one then.
        while (number := indexes.newest()) not in (0, tried):
            tried, problem = number, _try(catalogue, indexes, number)
    except VidxError as error:
        problem = error
    if problem:
        lasting = isinstance(problem, _LASTING)
        told = f"{problem.problem}. {_ANOTHER}" if lasting else problem
        logger.warning("the index in the bucket is not fetched, so there is what is here: %s", told)


def share_index(catalogue: Catalogue) -> None:
    """Send the index on disk to the bucket, if there is one, and codes that took time to make."""
    if catalogue.layout.address is None:
        return
    indexes = SharedIndexes(catalogue.layout.address)
    try:
        header = open_index(catalogue).header
        if header is None or not header.codes:
            return
        with stage("send the index"):
            _send(catalogue, indexes, header)
    except (VidxError, OSError) as error:
        logger.warning("the index is not shared, so other machines make their own: %s", error)
        return
    try:
        indexes.delete_old(header.collection)
    except VidxError as error:
        logger.warning("older indexes stay in the bucket: %s", error)


def was_fetched(catalogue: Catalogue, asked: IndexOptions) -> bool:
    """Whether the index here is another machine's, and what would be made if this was asked.

    If so, what is asked holds from now on.
    """
    header, folder = open_index(catalogue).header, catalogue.layout.index
    if header is None or _note(catalogue, header).asked != asdict(asked):
        return False
    if not shared.is_whole(folder, header):
        return False
    shared.keep_asked(folder, header, asked)
    return True


def _send(catalogue: Catalogue, indexes: SharedIndexes, header: Header) -> None:
    folder = catalogue.layout.index
    note = folder / header.note_name()
    write_note(note, Note(read_note(note).number))  # it is no longer one that was fetched
    files = [folder / name for name in shared.sent(header)]
    write_note(note, Note(indexes.publish(header.collection, shared.told(folder, header), files)))


def _note(catalogue: Catalogue, header: Header) -> Note:
    return read_note(catalogue.layout.index / header.note_name())


def _try(catalogue: Catalogue, indexes: SharedIndexes, number: int) -> VidxError | None:
    """Take an index if it is of use, and note that it was looked at; gives what is in the way."""
    folder, uuid = catalogue.layout.index, catalogue.manifest.uuid
    header = read_header(folder, uuid)
    assert header  # noqa: S101 - as was just seen
    note, problem = Note(number), None
    try:
        found = indexes.read(number, uuid)
        if found is None:
            return None
        made = _made(found)
        if made.header.rows > header.rows:  # its clips are to be fetched first, by the next look
            return None
        if shared.is_of_use(folder, header, made):
            indexes.check_there(found)
            with stage("fetch the index"):
                header = shared.adopt(folder, header, made, partial(_fetch, indexes, found))
            note = Note(number, asdict(made.header.asked))
    except _LASTING as error:
        problem = error
    except VidxError as error:
        return error
    with writing(folder):
        write_note(folder / header.note_name(), note)
    return problem


def _made(found: SharedIndex) -> shared.Made:
    """What is told of an index, which has the files that it takes."""
    try:
        made = shared.made_of(found.made)
        lacking = set(shared.sent(made.header)) - set(_by_name(found))
        if lacking:
            raise ValueError(f"it does not name {min(lacking)}")
    except ValueError as error:
        raise CollectionDamaged(
            f"index {found.number} is not told as it should be: {error}"
        ) from error
    return made


def _by_name(found: SharedIndex) -> dict[str, PublishedFile]:
    return {Path(file.place).name: file for file in found.files}


def _fetch(indexes: SharedIndexes, found: SharedIndex, wanted: Mapping[str, Path]) -> None:
    files = _by_name(found)
    fetch(indexes.bucket, [(files[name], path) for name, path in wanted.items()])
