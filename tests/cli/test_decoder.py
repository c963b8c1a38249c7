"""Promises of `--decoder`, where no graphics card decodes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cards import has_card

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.skipif(has_card(), reason="there is a card that decodes")
@pytest.mark.parametrize("command", ["embed", "embed --dry-run", "bench", "watch"])
def test_without_a_card_it_is_refused_before_anything_is_begun(
    vidx: Run, tmp_path: Path, make_video: Callable[..., Path], tiny_checkpoint: Path, command: str
) -> None:
    path, collection = make_video(tmp_path / "a.mp4"), tmp_path / "collection"
    place = [] if command == "bench" else ["--collection", collection]
    options = ["--model", tiny_checkpoint, "--decoder", "cuda", *place]
    code, out, err = vidx(*command.split(), path, *options)
    assert (code, out) == (4, "")
    assert "no NVIDIA card 0 that decodes is to be had here" in err
    assert "Leave out --decoder cuda." in err
    assert not collection.exists()


def test_a_card_without_decoding_processes_is_wrong_usage(
    vidx: Run, tmp_path: Path, make_video: Callable[..., Path]
) -> None:
    path = make_video(tmp_path / "a.mp4")
    code, _, err = vidx("embed", path, "--decoder", "cuda", "--workers", 0)
    assert code == 2
    assert "decoder='cuda' with workers=0" in err


def test_the_processor_leaves_no_word_of_a_card(
    vidx: Run, tmp_path: Path, make_video: Callable[..., Path], tiny_checkpoint: Path
) -> None:
    path, collection = make_video(tmp_path / "a.mp4"), tmp_path / "collection"
    options = ["--model", tiny_checkpoint, "--collection", collection, "--decoder", "cpu"]
    assert vidx("embed", path, *options)[0] == 0
    code, out, _ = vidx("info", "--collection", collection, "--json")
    assert code == 0
    assert "decoder" not in json.dumps(json.loads(out))
