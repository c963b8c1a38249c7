"""What of a collection is surely in a database, noted beside the collection.

    databases/<token>.blocks      of each 4096 clip_ids: a digest of their rows, and which are there

A block's note is cleared before the database is changed, and written when it has said that it has
all; so whenever a process ends, what the note says is there. Without the file nothing is known to
be there, and everything is put in again.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

BLOCK = 4096
_KIND = np.dtype([("digest", "S16"), ("live", "u1", (BLOCK // 8,)), ("check", "<u4")])


class Record:
    """The notes of one database's collection.

    Args:
        path: The file, which need not be there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __len__(self) -> int:
        """How many blocks have a note, cleared ones included."""
        try:
            return self._path.stat().st_size // _KIND.itemsize
        except FileNotFoundError:
            return 0

    def read(self, block: int) -> tuple[bytes, NDArray[np.bool_]] | None:
        """The digest of a block, and which of its clips are there; None where nobody knows."""
        notes = self._read(block, 1)
        if not len(notes) or not _is_whole(notes)[0]:
            return None
        return bytes(notes["digest"][0]), _bits(notes["live"][0])

    def there(self, clip_ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which clips are surely there."""
        notes = self._read(0, len(self))
        known = np.where(_is_whole(notes)[:, None], notes["live"], 0).astype(np.uint8)
        bits = np.append(_bits(known.ravel()), False)  # the last stands for all behind
        return bits[np.minimum(clip_ids, len(bits) - 1)]

    def clear(self, block: int) -> None:
        """Say that nothing is known of a block."""
        self._write(block, np.zeros(1, _KIND))

    def note(self, block: int, digest: bytes, live: NDArray[np.bool_]) -> None:
        """Say that a block is in step."""
        note = np.zeros(1, _KIND)
        note["digest"], note["live"] = digest, np.packbits(live)
        note["check"] = _checks(note)
        self._write(block, note)

    def _read(self, block: int, count: int) -> NDArray[np.void]:
        try:
            with self._path.open("rb") as file:
                file.seek(block * _KIND.itemsize)
                content = file.read(count * _KIND.itemsize)
        except FileNotFoundError:
            content = b""
        return np.frombuffer(content[: len(content) // _KIND.itemsize * _KIND.itemsize], _KIND)

    def _write(self, block: int, note: NDArray[np.void]) -> None:
        self._path.parent.mkdir(exist_ok=True)
        with self._path.open("r+b" if self._path.exists() else "w+b") as file:
            file.seek(block * _KIND.itemsize)
            file.write(note.tobytes())
            file.flush()
            os.fsync(file.fileno())


def record_path(collection: Path, token: str) -> Path:
    """Where the notes are of the database's collection with a token.

    Args:
        collection: The folder of the collection that is pushed.
        token: As `Copy` has it.
    """
    return collection / "databases" / f"{token}.blocks"


def digest_of(content: bytes) -> bytes:
    """A digest of 16 letters: a zero at its end would be lost in the file."""
    return hashlib.blake2b(content, digest_size=8).hexdigest().encode()


def _bits(packed: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.unpackbits(packed).astype(np.bool_)


def _checks(notes: NDArray[np.void]) -> NDArray[np.uint32]:
    """A checksum of each note; never 0, as a cleared one has."""
    told = [zlib.crc32(note["digest"] + note["live"].tobytes()) | 1 for note in notes]
    return np.array(told, np.uint32)


def _is_whole(notes: NDArray[np.void]) -> NDArray[np.bool_]:
    whole: NDArray[np.bool_] = notes["check"] == _checks(notes)
    return whole
