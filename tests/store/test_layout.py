from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_collections import SPACE, commit

from vidx.errors import (
    CollectionDamaged,
    CollectionError,
    CollectionNotFound,
    CollectionTooNew,
)
from vidx.store.layout import Layout, find, read_manifest, require


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a collection and a folder below it."""
    monkeypatch.delenv("VIDX_COLLECTION", raising=False)
    commit(Layout(tmp_path / ".vidx"))
    (tmp_path / "deep/down").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep/down")
    return tmp_path


def test_a_collection_is_found_in_a_folder_above(project: Path) -> None:
    assert find(None).root == project / ".vidx"


def test_the_nearest_collection_is_found(project: Path) -> None:
    commit(Layout(project / "deep/.vidx"))
    assert find(None).root == project / "deep/.vidx"


def test_where_there_is_none_one_would_be_made_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIDX_COLLECTION", raising=False)
    monkeypatch.chdir(tmp_path)
    assert find(None).root == tmp_path / ".vidx"


def test_an_argument_comes_before_the_environment_and_that_before_the_folder(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDX_COLLECTION", "elsewhere")
    assert find(None).root == project / "deep/down/elsewhere"
    assert find("named").root == project / "deep/down/named"


@pytest.mark.parametrize("name", [".", ".vidx"])
def test_the_folder_that_holds_a_collection_names_it_too(project: Path, name: str) -> None:
    assert find(project / name).root == project / ".vidx"


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert find("~/videos").root == Path("/home/somebody/videos")


def test_no_collection_is_told(layout: Layout) -> None:
    with pytest.raises(CollectionNotFound, match="vidx embed FOLDER"):
        require(layout)


def test_a_manifest_gives_back_the_space(layout: Layout) -> None:
    commit(layout)
    assert read_manifest(layout).space == SPACE


def test_a_later_format_is_refused(layout: Layout) -> None:
    commit(layout)
    values = json.loads(layout.manifest.read_text())
    layout.manifest.write_text(json.dumps(values | {"format_version": 3}))
    with pytest.raises(CollectionTooNew, match="format version 3"):
        read_manifest(layout)


def test_a_collection_of_the_unreleased_format_is_to_be_embedded_anew(layout: Layout) -> None:
    commit(layout)
    values = json.loads(layout.manifest.read_text())
    del values["format"]
    layout.manifest.write_text(json.dumps(values))
    with pytest.raises(CollectionError, match="Embed the videos anew") as caught:
        read_manifest(layout)
    assert type(caught.value) is CollectionError


OURS = b'{"format": "vidx collection", "format_version": 1'


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b"\xff", OURS + b"}", b'{"format_version": "x"}',
     OURS + b', "uuid": "a", "space": {"labels": [], "more": 1}}'],
)  # fmt: skip
def test_a_broken_manifest_is_damage(layout: Layout, content: bytes) -> None:
    commit(layout)
    layout.manifest.write_bytes(content)
    with pytest.raises(CollectionDamaged, match=r"collection\.json"):
        read_manifest(layout)
