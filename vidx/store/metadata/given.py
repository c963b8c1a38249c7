"""A user's table of metadata: its columns checked and typed, its rows one a key."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from vidx.errors import VidxError
from vidx.records import FACTS, MetadataColumn
from vidx.store.metadata.files import ARROW_TYPES

MAX_NAME_CHARACTERS = 200
MAX_COLUMNS = 1000  # of videos, and of clips: every database takes that many

# What vidx says of videos and clips itself; so a name means one thing in tables and in `where`.
RESERVED = frozenset({
    *FACTS, "clip_id", "codec", "container", "duration_seconds", "embedding", "end_seconds",
    "first_timestamp_seconds", "frame_rate", "frame_seconds", "height", "is_mirrored", "label",
    "labels", "likeness", "locations", "logits", "notes", "num_clips", "path", "plan",
    "problem_message", "problem_reason", "repeats", "rotation_degrees", "score", "size_bytes",
    "start_seconds", "status", "video_id", "width",
})  # fmt: skip
_KINDS = "text, integer, real, boolean or timestamp"


@dataclass(frozen=True, slots=True)
class Given:
    """A user's table.

    Attributes:
        keys: As it has them, one a row.
        table: Its other columns, as metadata is kept; without those that have no value at all.
        types: Of these columns.
        left_out: The names of the others.
    """

    keys: pa.ChunkedArray
    table: pa.Table
    types: dict[str, str]
    left_out: tuple[str, ...]


def given(
    table: pa.Table, on: str, of: str, known: Sequence[MetadataColumn], *, clears: bool
) -> Given:
    """Check a user's table, and type its columns.

    Args:
        table: With the keys in the column `on`.
        on: `path`, `video_id` or `clip_id`.
        of: `video` or `clip`.
        known: The columns that there are.
        clears: Whether a column that is all empty counts, if there is one of its name.

    Raises:
        VidxError: It lacks the keys or values, or a column may not be as it is.
    """
    names = table.column_names
    _check_names(names, on)
    here = {column.name: column for column in known}
    others = [name for name in names if name != on]
    full = [
        name
        for name in others
        if table.column(name).null_count < table.num_rows or (clears and name in here)
    ]
    if not full:
        raise VidxError(f"beside {on!r}, the table has not one value", "Fill in some.")
    _check_owners(full, of, known)
    types = {name: _kind(name, table.column(name).type, here.get(name)) for name in full}
    try:
        table.validate(full=True)
    except pa.ArrowInvalid as error:
        raise VidxError(f"the table is not sound: {error}", "Make it anew.") from error
    columns = [_typed(name, table.column(name), types[name]) for name in full]
    kept = pa.table(columns, names=full)
    left_out = tuple(name for name in others if name not in types)
    return Given(table.column(on), kept, types, left_out)


def _check_names(names: Sequence[str], on: str) -> None:
    """Refuse a table without keys or values, and names that are no names of metadata."""
    for name, number in Counter(names).items():
        if number > 1:
            raise VidxError(f"the column {name!r} is there twice", "Leave one out.")
    if on not in names:
        near = difflib.get_close_matches(on, names, n=3, cutoff=0.4) or names[:5]
        told = ", ".join(map(repr, near)) or "none at all"
        raise VidxError(
            f"there is no column {on!r}, which says whose the values are; there is {told}",
            f"Rename the column of keys to {on}, or choose another key with --on.",
        )
    if len(names) == 1:
        raise VidxError(
            f"there is no column beside {on!r}", "Add one for each thing that you know."
        )
    for name in names:
        if name != on:
            _check_name(name)


def _check_name(name: str) -> None:
    shown = repr(name if len(name) <= MAX_NAME_CHARACTERS else f"{name[:50]}...")
    if name.casefold() in RESERVED:
        raise VidxError(
            f"the column {shown} has the name of something that vidx says itself",
            "Call it otherwise, or leave it out.",
        )
    if not name or name != name.strip() or not name.isprintable():
        raise VidxError(
            f"{shown} is no name for a column: it is empty, begins or ends with a space, or has "
            "characters that cannot be printed",
            "Call the column otherwise.",
        )
    if len(name) > MAX_NAME_CHARACTERS:
        raise VidxError(
            f"the column {shown} has a name of {len(name)} characters, more than "
            f"{MAX_NAME_CHARACTERS}",
            "Give it a shorter one.",
        )


def _check_owners(names: Sequence[str], of: str, known: Sequence[MetadataColumn]) -> None:
    """Refuse names that stand for something else already, and more columns than fit."""
    taken = {column.name.casefold(): column for column in known}
    for name in names:
        other = taken.setdefault(name.casefold(), MetadataColumn(name, of, "", 0))
        if other.name != name:
            raise VidxError(
                f"the columns {name!r} and {other.name!r} differ in upper and lower case alone",
                "Call one of them otherwise.",
            )
        if other.of != of:
            raise VidxError(
                f"the column {name!r} is of {other.of}s, and cannot be of {of}s too",
                "Call it otherwise.",
            )
    if sum(column.of == of for column in taken.values()) > MAX_COLUMNS:
        raise VidxError(
            f"there would be more than {MAX_COLUMNS} columns of {of}s",
            "Keep what is not searched for elsewhere.",
        )


def _kind(name: str, arrow: pa.DataType, known: MetadataColumn | None) -> str:
    """The type of a column, which stays what it is; whole numbers fit both kinds of number."""
    if known and pa.types.is_null(arrow):
        return known.type
    kind = _kind_of(arrow.value_type if pa.types.is_dictionary(arrow) else arrow)
    if kind is None:
        raise VidxError(
            f"the column {name!r} holds {str(arrow)[:100]}; metadata is {_KINDS}",
            "Turn it into one of these, or leave it out.",
        )
    if known is None or kind == known.type or {kind, known.type} == {"integer", "real"}:
        return known.type if known else kind
    raise VidxError(
        f"the column {name!r} holds {kind}, but is {known.type} in the collection",
        f"Give values of type {known.type}, or call the column otherwise.",
    )


def _kind_of(arrow: pa.DataType) -> str | None:
    is_kind = {
        "text": (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
        "integer": (pa.types.is_integer,),
        "real": (pa.types.is_floating, pa.types.is_decimal),
        "boolean": (pa.types.is_boolean,),
        "timestamp": (pa.types.is_timestamp, pa.types.is_date),
    }
    return next((kind for kind, tests in is_kind.items() if any(t(arrow) for t in tests)), None)


def _typed(name: str, column: pa.ChunkedArray, kind: str) -> pa.ChunkedArray:
    """The values as they are kept; what is no value is empty."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_floating(column.type):
        column = _finite(name, column)
    try:
        # Times are kept to the microsecond, and those without a zone are taken as UTC.
        options = pc.CastOptions(ARROW_TYPES[kind], allow_time_truncate=True)
        typed = column.cast(options=options)
    except pa.ArrowInvalid as error:
        raise VidxError(
            f"the column {name!r} is {kind}, and some values are not: {error}",
            f"Give values of type {kind}, or call the column otherwise.",
        ) from error
    if kind == "text":
        _refuse(name, pc.match_substring(typed, "\0"), "text with a NUL character")
    if kind == "timestamp":
        years = pc.year(typed)
        strange = pc.or_(pc.less(years, 1), pc.greater(years, 9999))
        _refuse(name, strange, "a time before the year 1 or after 9999")
    return typed


def _finite(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """NaN is how tables of numbers say that there is none; what is infinite is refused."""
    column = column.cast(pa.float64())
    _refuse(name, pc.is_inf(column), "an infinite number")
    return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)


def _refuse(name: str, where: pa.ChunkedArray, what: str) -> None:
    if pc.any(where).as_py():
        row = pc.index(where, True).as_py()
        raise VidxError(
            f"the column {name!r} has {what}, first in row {row + 1}",
            "Put something else there, or leave it empty.",
        )


def merged(keys: pa.Array, said: pa.Array, table: pa.Table) -> tuple[pa.Array, pa.Table]:
    """Make one row of those with the same key.

    Args:
        keys: One a row.
        said: The same as the user has them, for messages.
        table: Values; where one row of a key has one and another has none, it counts.

    Returns:
        Each key once, and its values.

    Raises:
        VidxError: Two rows of one key have different values.
    """
    if pc.count_distinct(keys).as_py() == len(keys):
        return keys, table
    names = [str(number) for number in range(table.num_columns)]  # in theirs, a dot would count
    whole = table.rename_columns(names).append_column("key", keys).append_column("said", said)
    valid = pc.CountOptions(mode="only_valid")
    asked = [(name, "max") for name in names] + [(name, "count_distinct", valid) for name in names]
    found = whole.group_by("key").aggregate(asked)
    for name, shown in zip(names, table.column_names, strict=True):
        torn = pc.greater(found.column(f"{name}_count_distinct"), 1)
        if pc.any(torn).as_py():
            key = found.column("key")[pc.index(torn, True).as_py()]
            raise _torn(shown, whole.filter(pc.equal(whole.column("key"), key)), name)
    kept = found.select([f"{name}_max" for name in names]).rename_columns(table.column_names)
    return found.column("key").combine_chunks(), kept


def _torn(shown: str, rows: pa.Table, name: str) -> VidxError:
    """Rows of one key have several values of one column."""
    rows = rows.filter(pc.is_valid(rows.column(name)))
    values = rows.column(name).to_pylist()
    other = next(place for place, value in enumerate(values) if value != values[0])
    first, second = (
        f"{_short(rows.column('said')[place].as_py())} has {_short(values[place])}"
        for place in (0, other)
    )
    return VidxError(
        f"the column {shown!r} has two different values of one thing: {first}, and {second}",
        "Leave one of them out.",
    )


def _short(value: object) -> str:
    told = repr(value)
    return told if len(told) <= 100 else f"{told[:100]}..."
