"""What `index.json` says: which files the index has, what they hold, and how well it finds."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from vidx.durable import replacing, sync_folder
from vidx.errors import CollectionDamaged, CollectionTooNew, UsageError, VidxError
from vidx.options import IndexOptions
from vidx.records import Likeness

# 1 had one file of codes a likeness, 2 no digests of them.
INDEX_FORMAT_VERSION = 3


@dataclass(frozen=True, slots=True)
class Measured:
    """How well and how fast neighbours are found, by queries of the collection's own.

    Attributes:
        recall_at_1, recall_at_10, recall_at_100: Share of the true neighbours that are found.
        p50_ms, p99_ms: Time of one query for ten neighbours, in milliseconds; None: not timed.
    """

    recall_at_1: float
    recall_at_10: float
    recall_at_100: float
    p50_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class Settings:
    """How codes are searched.

    Attributes:
        num_lists: Lists that the vectors of each part are divided into; the most of any part.
        num_probes: Lists that a search looks through.
        refine: Candidates that are compared exactly, for each neighbour asked for.
    """

    num_lists: int
    num_probes: int
    refine: int


@dataclass(frozen=True, slots=True)
class CodesFile:
    """A FAISS file with the codes of some rows that follow each other.

    Attributes:
        file: Its name.
        num_bytes: Its size.
        rows: How many rows it has.
        sha256: Of its bytes, in hex; empty where an earlier version wrote it.
    """

    file: str
    num_bytes: int
    rows: int
    sha256: str = ""

    @classmethod
    def of(cls, path: Path, rows: int) -> Self:
        """What to say of a file that is there."""
        return cls(path.name, path.stat().st_size, rows, digest(path))


@dataclass(frozen=True, slots=True)
class CodesOf:
    """Codes of one likeness: how they are searched, and how well that was found to do.

    Attributes:
        parts: Files of the first rows, of those behind them, and so on.
        trained_rows: How many rows there were when they were made from scratch.
        settings: How they are searched.
        measured: When they were made from scratch.
        build_seconds: What that took.
    """

    parts: tuple[CodesFile, ...]
    trained_rows: int
    settings: Settings
    measured: Measured
    build_seconds: float

    @property
    def rows(self) -> int:
        """How many rows have codes, from the first on."""
        return sum(part.rows for part in self.parts)

    @property
    def num_bytes(self) -> int:
        """The size of all files."""
        return sum(part.num_bytes for part in self.parts)


@dataclass(frozen=True, slots=True)
class CopySpace:
    """The whitened vectors.

    Attributes:
        file: Name of the file of vectors.
        transform: Name of the file of the map from the raw ones.
        dim: Length of a whitened vector.
        fitted_rows: How many rows there were when the map was learned.
    """

    file: str
    transform: str
    dim: int
    fitted_rows: int


@dataclass(frozen=True, slots=True)
class Header:
    """What `index.json` says.

    Attributes:
        format_version: Of these files.
        collection: The collection's uuid.
        dim: Length of a vector.
        rows: Vectors in the files.
        end_clip_id: Every clip with a smaller id is in the index, whether it lives or not.
        commit: The collection's commit at which that was so.
        numbering: What the numbers of videos belong to.
        generation: The `<n>` in the names of vectors, ids and videos.
        copy: The whitened vectors; None before the first clip.
        asked: What kind of index is wanted; it holds until somebody asks for another.
        codes: By likeness, for those that have codes.
        unreached: By likeness, how many rows there were when codes did not reach what is asked.
    """

    format_version: int
    collection: str
    dim: int
    rows: int
    end_clip_id: int
    commit: int
    numbering: str
    generation: int
    copy: CopySpace | None = None
    asked: IndexOptions = field(default_factory=IndexOptions)
    codes: dict[Likeness, CodesOf] = field(default_factory=dict)
    unreached: dict[Likeness, int] = field(default_factory=dict)

    def dims(self) -> dict[Likeness, int]:
        """The length of a vector of each likeness that there is."""
        return {"similar": self.dim, "copy": self.copy.dim} if self.copy else {}

    def without_codes(self, likeness: Likeness) -> Header:
        """The header without the codes of one likeness, and without word of failed ones."""
        codes = {name: one for name, one in self.codes.items() if name != likeness}
        unreached = {name: rows for name, rows in self.unreached.items() if name != likeness}
        return replace(self, codes=codes, unreached=unreached)

    def names(self) -> set[str]:
        """The files that belong to the index, beside `index.json`."""
        named = set(matrix_names(self.generation))
        if self.copy:
            named |= {self.copy.file, self.copy.transform}
        return named | {part.file for codes in self.codes.values() for part in codes.parts}

    def graph_names(self) -> set[str]:
        """The files that may be there beside them."""
        return {self.graph_name(one, apart) for one in self.dims() for apart in (True, False)}

    def note_name(self) -> str:
        """The file that may be there beside them in a working copy of a bucket."""
        return f"shared-{self.generation}.json"

    def graph_name(self, likeness: Likeness, apart: bool) -> str:
        """The file of the closest clips of all clips, which there is once somebody asked for it.

        Args:
            likeness: In which space, of which there is one.
            apart: Whether clips of one video are no neighbours.
        """
        number = str(self.generation)
        if likeness == "copy" and self.copy:
            number = self.copy.file.removesuffix(".f32").rsplit("-", 1)[1]
        among = "apart" if apart else "all"
        return f"graph-{likeness}-{among}-{number}-{self.rows}.npy"


def matrix_names(generation: int) -> tuple[str, str, str]:
    """The files of ids, vectors and numbers of videos."""
    return (f"ids-{generation}.i64", f"vectors-{generation}.f32", f"videos-{generation}.i32")


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_header(folder: Path, collection: str) -> Header | None:
    """What the index says of itself; None where there is none.

    Raises:
        CollectionDamaged: It is broken, or another collection's.
        CollectionTooNew: A later vidx wrote it.
        VidxError: It cannot be read for another reason, which may pass.
    """
    try:
        values = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        header = header_of(values, f"the index in {folder}")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(folder, error) from error
    except ValueError as error:
        raise broken(folder, f"index.json is not what it should be: {error}") from error
    if header.collection != collection:
        raise broken(folder, f"it belongs to collection {header.collection}")
    return header


def write_header(folder: Path, header: Header) -> None:
    """Let readers know, once what they will open is on disk under its name."""
    sync_folder(folder)
    with replacing(folder / "index.json") as file:
        file.write(json.dumps(asdict(header), indent=1).encode())


def header_of(values: Any, told: str) -> Header:
    """The header that some JSON holds.

    Args:
        values: What it holds.
        told: What it is of, for a message.

    Raises:
        CollectionTooNew: A later vidx wrote it.
        ValueError: It is none.
    """
    try:
        if values["format_version"] > INDEX_FORMAT_VERSION:
            raise CollectionTooNew(
                f"{told} has format version {values['format_version']}, this vidx knows "
                f"{INDEX_FORMAT_VERSION}",
                "Upgrade vidx: pip install --upgrade vidx",
            )
        return _header(values)
    except (TypeError, KeyError, AttributeError, UsageError) as error:
        raise ValueError(str(error)) from error


def _header(values: dict[str, Any]) -> Header:
    copy, codes = values["copy"], values["codes"]
    nested = {
        "format_version": INDEX_FORMAT_VERSION,
        "copy": None if copy is None else CopySpace(**copy),
        "asked": IndexOptions(**values["asked"]),
        "codes": {likeness: _codes_of(one) for likeness, one in codes.items()},
    }
    header = Header(**values | nested)
    numbers = (header.rows, header.end_clip_id, header.commit, header.generation, header.dim)
    if any(type(number) is not int or number < 0 for number in numbers):
        raise ValueError("what should be a whole number is none")
    return header


def _codes_of(values: dict[str, Any]) -> CodesOf:
    if "parts" not in values:  # format 1
        values["parts"] = [{name: values.pop(name) for name in ("file", "num_bytes", "rows")}]
    nested = {
        "parts": tuple(CodesFile(**part) for part in values["parts"]),
        "settings": Settings(**values["settings"]),
        "measured": Measured(**values["measured"]),
    }
    return CodesOf(**values | nested)


def broken(folder: Path, problem: str) -> CollectionDamaged:
    """The error for an index that cannot be read, now or ever."""
    return CollectionDamaged(
        f"the index in {folder} cannot be read: {problem}",
        "Run `vidx rebuild`: it makes the index anew from the shards.",
    )


def unreadable(folder: Path, error: OSError) -> VidxError:
    """The error for an index that may be sound."""
    return VidxError(
        f"the index in {folder} cannot be read now: {error.strerror or error}",
        "It may be sound: nothing was changed. Run the same command again.",
    )
