from __future__ import annotations

import errno
import json
import os
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vidx import index as indexes
from vidx.errors import CollectionDamaged, CollectionTooNew, VidxError
from vidx.index import Index, files
from vidx.index.exact import normalized

DIM = 5


def part(start: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int32]]:
    ids = np.arange(start, end)
    drawn = np.random.default_rng(3).standard_normal((100, DIM), dtype=np.float32)
    return ids, drawn[ids], (ids // 3).astype(np.int32)


def is_sound(folder: Path, end: int) -> bool:
    """Whether the index holds the first clips, all of them, and nothing else lies there."""
    index = Index(folder, "u", DIM)
    ids, vectors, videos = part(0, end)
    generation = index.header.generation
    names = {"index.json", index.header.copy.file, index.header.copy.transform} | {
        f"{name}-{generation}.{kind}"
        for name, kind in (("ids", "i64"), ("vectors", "f32"), ("videos", "i32"))
    }
    return (
        np.array_equal(index.indexed.ids, ids)
        and np.array_equal(index.indexed.vectors, normalized(vectors))
        and np.array_equal(index.indexed.videos, videos)
        and index.end_clip_id == end
        and {path.name for path in folder.iterdir()} == names
        and (folder / f"ids-{generation}.i64").stat().st_size == end * 8
        and (folder / f"vectors-{generation}.f32").stat().st_size == end * 4 * DIM
        and (folder / index.header.copy.file).stat().st_size == end * 4 * DIM
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An index of ten clips."""
    indexes.build(
        tmp_path / "index",
        "u",
        DIM,
        [part(0, 4), part(4, 10)],
        end_clip_id=10,
        commit=1,
        numbering="n",
    )
    return tmp_path / "index"


def change_header(folder: Path, **values: Any) -> None:
    path = folder / "index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_the_files_are_what_they_are_said_to_be(folder: Path) -> None:
    ids, vectors, videos = part(0, 10)
    assert np.array_equal(np.fromfile(folder / "ids-1.i64", "<i8"), ids)
    stored = np.fromfile(folder / "vectors-1.f32", "<f4").reshape(-1, DIM)
    assert np.array_equal(stored, normalized(vectors))
    assert np.array_equal(np.fromfile(folder / "videos-1.i32", "<i4"), videos)
    assert json.loads((folder / "index.json").read_text()) == {
        "format_version": 3,
        "collection": "u",
        "dim": DIM,
        "rows": 10,
        "end_clip_id": 10,
        "commit": 1,
        "numbering": "n",
        "generation": 1,
        "copy": {
            "file": "copy-1.f32",
            "transform": "whitening-1.npy",
            "dim": DIM,
            "fitted_rows": 10,
        },
        "asked": {
            "kind": "auto",
            "target_recall": 0.95,
            "max_memory_bytes": None,
            "num_parts": None,
        },
        "codes": {},
        "unreached": {},
    }
    stored = np.load(folder / "whitening-1.npy")
    whitened = (normalized(vectors) - stored[0]) @ stored[1:].T
    assert np.allclose(
        np.fromfile(folder / "copy-1.f32", "<f4").reshape(-1, DIM), normalized(whitened), atol=1e-6
    )
    assert isinstance(Index(folder, "u", DIM).indexed.vectors, np.memmap)


def test_an_index_grows_in_place_and_leaves_readers_alone(folder: Path) -> None:
    reader = Index(folder, "u", DIM)
    before = reader.indexed.vectors.copy()
    Index(folder, "u", DIM).extend([part(10, 20)], 25, 2)
    assert np.array_equal(reader.indexed.vectors, before)
    grown = Index(folder, "u", DIM)
    assert (grown.end_clip_id, len(grown), grown.header.generation) == (25, 20, 1)


def test_what_a_crash_left_behind_the_end_is_overwritten(folder: Path) -> None:
    for name in ("ids-1.i64", "vectors-1.f32"):
        with (folder / name).open("ab") as file:
            file.write(b"half a row and more" * 9)
    (folder / ".index.json.123.tmp").write_text("{")
    assert len(Index(folder, "u", DIM)) == 10
    Index(folder, "u", DIM).extend([part(10, 20)], 20, 2)
    assert is_sound(folder, 20)


@pytest.mark.parametrize("step", ["_write_behind", "_with_copy", "write_header", "_drop_others"])
@pytest.mark.parametrize("anew", [False, True])
def test_an_end_at_any_step_leaves_the_old_index_or_the_new_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step: str, anew: bool
) -> None:
    original = getattr(files, step)

    def interrupted(*arguments: Any) -> None:
        if step in ("_write_behind", "_with_copy"):
            original(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(files, step, interrupted)
        if anew:
            indexes.build(folder, "u", DIM, [part(0, 20)], end_clip_id=20, commit=1, numbering="n")
        else:
            Index(folder, "u", DIM).extend([part(10, 20)], 20, 2)
    index = Index(folder, "u", DIM)
    assert len(index) == index.end_clip_id == (20 if step == "_drop_others" else 10)
    index.extend([part(index.end_clip_id, 30)], 30, 2)
    assert is_sound(folder, 30)


def test_an_index_made_anew_replaces_the_old_one_under_a_reader(folder: Path) -> None:
    reader = Index(folder, "u", DIM)
    before = Index(folder, "u", DIM).search(part(0, 10)[1], 3, likeness="copy")
    indexes.build(folder, "u", DIM, [part(0, 20)], end_clip_id=20, commit=1, numbering="n")
    assert is_sound(folder, 20)
    assert np.array_equal(reader.indexed.vectors, normalized(part(0, 10)[1]))
    for then, now in zip(before, reader.search(part(0, 10)[1], 3, likeness="copy"), strict=True):
        assert np.array_equal(then, now)


def test_a_reader_that_meets_a_replacement_looks_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = files._open_matrix

    def replaced_first(*arguments: Any) -> Any:
        monkeypatch.setattr(files, "_open_matrix", original)
        indexes.build(folder, "u", DIM, [part(0, 20)], end_clip_id=20, commit=1, numbering="n")
        return original(*arguments)

    monkeypatch.setattr(files, "_open_matrix", replaced_first)
    assert len(Index(folder, "u", DIM)) == 20


@pytest.mark.parametrize("values", [{"collection": "other"}, {"dim": 6}, {"more": 1}])
def test_an_index_that_is_not_ours_is_damage_and_is_made_anew_on_demand(
    folder: Path, values: dict[str, Any]
) -> None:
    change_header(folder, **values)
    with pytest.raises(CollectionDamaged, match="vidx rebuild"):
        Index(folder, "u", DIM)
    indexes.build(folder, "u", DIM, [part(0, 20)], end_clip_id=20, commit=1, numbering="n")
    assert is_sound(folder, 20)


def test_an_index_of_a_later_version_is_refused_and_left_as_it_is(folder: Path) -> None:
    change_header(folder, format_version=4)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(CollectionTooNew, match="format version 4"):
        Index(folder, "u", DIM)
    with pytest.raises(CollectionTooNew):
        indexes.reach(folder, "u")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff"])
def test_an_unreadable_header_is_damage(folder: Path, content: bytes) -> None:
    (folder / "index.json").write_bytes(content)
    with pytest.raises(CollectionDamaged, match="vidx rebuild"):
        Index(folder, "u", DIM)
    indexes.build(folder, "u", DIM, [part(0, 20)], end_clip_id=20, commit=1, numbering="n")
    assert is_sound(folder, 20)


def test_a_header_that_cannot_be_read_just_now_is_neither_none_nor_damage(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_arguments: object, **_keywords: object) -> str:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Path, "read_text", fails)
    for look in (lambda: Index(folder, "u", DIM), lambda: indexes.reach(folder, "u")):
        with pytest.raises(VidxError, match="Too many open files") as caught:
            look()
        assert type(caught.value) is VidxError


@pytest.mark.parametrize(
    "name", ["ids-1.i64", "vectors-1.f32", "videos-1.i32", "copy-1.f32", "whitening-1.npy"]
)
@pytest.mark.parametrize("size", [None, 0, 30])
def test_a_lost_or_short_file_is_damage(folder: Path, name: str, size: int | None) -> None:
    path = folder / name
    path.unlink() if size is None else os.truncate(path, size)
    with pytest.raises(CollectionDamaged, match="vidx rebuild"):
        Index(folder, "u", DIM)
    indexes.build(folder, "u", DIM, [part(0, 20)], end_clip_id=20, commit=1, numbering="n")
    assert is_sound(folder, 20)


@pytest.mark.parametrize("name", ["rows", "end_clip_id", "commit", "generation", "dim"])
@pytest.mark.parametrize("value", ["5", 5.0, -1, None, True])
def test_a_number_in_the_header_that_is_none_is_damage(
    folder: Path, name: str, value: object
) -> None:
    header = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps({**header, name: value}))
    with pytest.raises(CollectionDamaged, match="vidx rebuild"):
        Index(folder, "u", DIM)


def test_strange_files_in_its_folder_are_nobody_s(folder: Path) -> None:
    for name in ("vectors-old.f32", "copy-1 (conflicted copy).npy", "similar-1 (2).faiss"):
        (folder / name).touch()
    indexes.build(folder, "u", DIM, [part(0, 20)], end_clip_id=20, commit=1, numbering="n")
    assert len(Index(folder, "u", DIM)) == 20
    assert files.next_number(folder, "similar") == 1


def test_a_deleted_index_is_none(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    index = Index(folder, "u", DIM)
    assert len(index) == 0
    indexes.build(folder, "u", DIM, [part(0, 20)], end_clip_id=20, commit=2, numbering="n")
    assert is_sound(folder, 20)


def test_an_index_of_no_clips_can_be_opened(tmp_path: Path) -> None:
    indexes.build(tmp_path / "index", "u", DIM, [], end_clip_id=7, commit=1, numbering="n")
    index = Index(tmp_path / "index", "u", DIM)
    assert (len(index), index.end_clip_id) == (0, 7)
    index.extend([part(7, 9)], 9, 2)
    assert Index(tmp_path / "index", "u", DIM).indexed.ids.tolist() == [7, 8]


def test_a_full_disk_leaves_the_index_as_it_was(folder: Path) -> None:
    """A limit on the size of files stands in for a full disk: the same call fails."""
    import signal

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        with pytest.raises(VidxError, match=os.strerror(errno.EFBIG)) as caught:
            Index(folder, "u", DIM).extend([part(10, 100)], 100, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert caught.value.exit_code == 4
    assert len(Index(folder, "u", DIM)) == 10
    Index(folder, "u", DIM).extend([part(10, 100)], 100, 2)
    assert is_sound(folder, 100)
