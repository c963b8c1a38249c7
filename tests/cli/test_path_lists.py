"""Paths with wildcards, and lists of paths on standard input."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Say = Callable[[bytes], None]


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> Say:
    """Puts bytes on standard input."""

    def put(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return put


@pytest.fixture
def planned(vidx, embedded) -> Callable[..., list[str]]:
    """What a dry run says of some paths: the names that it would look at."""

    def look(*paths: object) -> list[str]:
        command = ("embed", *paths, "--collection", embedded, "--dry-run", "--json")
        code, out, err = vidx(*command)
        assert code in (0, 3), err
        return [Path(one["path"]).name for one in json.loads(out)["findings"]]

    return look


def test_a_quoted_pattern_gives_the_videos_that_match(planned, library, monkeypatch) -> None:
    monkeypatch.chdir(library)
    assert planned("**/bowl*") == ["bowl.mp4", "bowl.mp4"]
    assert planned("*.mp4", "sub/copy*") == ["bowl.mp4", "broken.mp4", "copy of bowl.mp4"]
    assert planned("*o*") == ["bowl.mp4", "broken.mp4"], "notes.txt is none"
    assert planned("s*") == ["bowl.mp4", "copy of bowl.mp4", 'it\'s "a" näme\n.avi']


def test_a_list_on_standard_input_is_as_if_named(planned, say, library, monkeypatch) -> None:
    monkeypatch.chdir(library / "sub")
    say(f"bowl.mp4\r\n\n{library}/Dance.MKV".encode())
    assert planned("-") == ["Dance.MKV", "bowl.mp4"]
    say(b"../notes.txt\n")
    assert planned("-", "bowl.mp4") == ["notes.txt", "bowl.mp4"]


def test_a_list_with_a_nul_may_have_any_names(planned, say, library) -> None:
    names = ['it\'s "a" näme\n.avi', "bowl.mp4"]
    say(b"\0".join(os.fsencode(library / "sub" / name) for name in names) + b"\0")
    assert planned("-") == sorted(names)


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\0\0"])
def test_an_empty_list_is_wrong_usage(vidx, say, tmp_path, data) -> None:
    say(data)
    code, out, err = vidx("embed", "-", "--collection", tmp_path / "new")
    assert (code, out) == (2, "")
    assert "lists no paths" in err
    assert not (tmp_path / "new").exists()


def test_a_listed_path_that_is_not_there_and_a_pattern_without_match_are_wrong_usage(
    vidx, say, embedded, library
) -> None:
    say(b"nowhere.mp4\n")
    code, _, err = vidx("embed", "-", "--collection", embedded)
    assert (code, "nowhere.mp4 does not exist" in err) == (2, True)
    code, _, err = vidx("embed", f"{library}/*.webm", "--collection", embedded)
    assert (code, "*.webm matches nothing" in err) == (2, True)
