"""Clips in tar files, as WebDataset reads them: `<key>.mp4` and `<key>.json` beside each other."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from vidx.durable import sync_file
from vidx.exports.material import Material, Row, file_name

TAR_BYTES = 256 << 20  # of a tar file, about: large reads, and still many files to shuffle


def write_webdataset(folder: Path, material: Material) -> None:
    """Write `000000.tar` and so on.

    Args:
        folder: Where to.
        material: The clips.

    Raises:
        OSError: It cannot be written.
    """
    for number, samples in enumerate(_parted(material.files(), TAR_BYTES)):
        path = folder / f"{number:06d}.tar"
        with closing(tarfile.open(path, "w", format=tarfile.PAX_FORMAT)) as tar:
            for row, data in samples:
                key = file_name(row)
                _add(tar, f"{key}.mp4", data)
                _add(tar, f"{key}.json", json.dumps(row, ensure_ascii=False).encode())
        sync_file(path)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def _parted(
    samples: Iterator[tuple[Row, bytes]], most_bytes: int
) -> Iterator[Iterable[tuple[Row, bytes]]]:
    """Parts of some samples, each to be taken whole before the next one."""
    waiting = next(samples, None)

    def part() -> Iterator[tuple[Row, bytes]]:
        nonlocal waiting
        size = 0
        while waiting is not None and (size == 0 or size + len(waiting[1]) <= most_bytes):
            size += len(waiting[1])
            yield waiting
            waiting = next(samples, None)

    while waiting is not None:
        yield part()
