"""`embed --previews`: what it embeds gets pictures, and what was embedded stays as it is."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stored_clips import stored_clips

import vidx
from vidx import estimating
from vidx.cli import main


@pytest.fixture
def options(tiny_checkpoint: Path) -> vidx.EmbedOptions:
    return vidx.EmbedOptions(model=tiny_checkpoint, workers=1, previews=True)


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command in this process, and give what it prints."""

    def run(*arguments: object) -> str:
        with pytest.raises(SystemExit):
            main([str(argument) for argument in arguments])
        return capfd.readouterr().out

    return run


def sizes(collection: vidx.Collection) -> dict[int, tuple[int, int]]:
    """Of all previews there are."""
    ids = collection.vectors()[0].tolist()
    found = collection.previews(ids)
    return {clip_id: Image.open(io.BytesIO(image)).size for clip_id, image in found.items()}


def test_every_clip_gets_one_and_vectors_are_what_they_are_without(
    tmp_path: Path, library: Path, embedded_once: Path, options: vidx.EmbedOptions
) -> None:
    with vidx.open(tmp_path / "new", create=True) as collection:
        report = collection.embed(library, options)
        info = collection.info()
        assert (report.num_without_preview, info.num_previews) == (0, info.num_clips)
        assert set(sizes(collection).values()) == {(128, 96)}
        assert list(sizes(collection)) == collection.vectors()[0].tolist()
        assert collection.verify() == []
        plain = vidx.open(embedded_once)
        assert plain.info().num_previews == 0
        assert collection.info().space.fingerprint == plain.info().space.fingerprint
    with_them, without = stored_clips(tmp_path / "new"), stored_clips(embedded_once)
    assert with_them.keys() == without.keys()
    for key, clip in with_them.items():
        np.testing.assert_allclose(clip.vector, without[key].vector, atol=1e-5)


def test_what_was_embedded_without_is_not_embedded_again_and_it_is_told(
    embedded: Path, library: Path, command: Callable[..., str]
) -> None:
    with vidx.open(embedded) as collection:
        before = collection.info()
        how = ("embed", library, "--collection", embedded, "--previews", "--workers", 1)
        told = command(*how)
        assert f"{before.num_clips} clips of the collection have no preview" in told
        assert "vidx remove" in told
        assert json.loads(command(*how, "--json"))["num_without_preview"] == before.num_clips
        assert collection.info().num_shards == before.num_shards
        assert sizes(collection) == {}

        bowl = str(library / "sub/bowl.mp4")
        command("remove", bowl, "--collection", embedded)
        told = command("embed", bowl, "--collection", embedded, "--previews", "--workers", 1)
        assert f"{before.num_clips - 1} clips of the collection have no preview" in told
        assert list(sizes(collection)) == [collection.vectors()[0][-1]]
        said = command("info", "--collection", embedded)
        assert f"of 1 clip, {before.num_clips - 1} have none" in said
        assert "with previews: 1 clip in 1 shard" in said
        assert json.loads(command("info", "--collection", embedded, "--json"))["num_previews"] == 1


def test_without_the_option_nothing_is_said_of_previews(
    embedded: Path, library: Path, command: Callable[..., str]
) -> None:
    told = command("embed", library, "--collection", embedded, "--workers", 1)
    assert "no preview" not in told
    assert "with previews" not in command("info", "--collection", embedded)


def test_an_estimate_counts_their_bytes(
    tmp_path: Path,
    library: Path,
    options: vidx.EmbedOptions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(estimating, "_rate", lambda *_: 1.0)  # which takes seconds to find
    collection = vidx.open(tmp_path / "new", create=True)
    plain = collection.estimate(library / "bowl.mp4", replace(options, previews=False))
    more = collection.estimate(library / "bowl.mp4", options)
    assert more.disk_bytes is not None
    assert plain.disk_bytes is not None
    assert more.disk_bytes - plain.disk_bytes == 5000 * plain.num_clips


# Embeds a long video in parts of three clips, and is killed when the third part has its name.
KILLED = """
import os, signal, sys, vidx
from vidx.store import registry
plain, calls = registry.enter_shard, []
def dying(*arguments, **keywords):
    calls.append(1)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return plain(*arguments, **keywords)
registry.enter_shard = dying
videos, folder, model = sys.argv[1:]
policy = vidx.CommitPolicy(seconds=0, part_clips=3)
options = vidx.EmbedOptions(model=model, workers=1, batch_size=1, commit=policy, previews=True)
vidx.open(folder, create=True).embed(videos, options)
"""


@pytest.fixture
def long_video(tmp_path: Path, make_video: Callable[..., Path]) -> Path:
    """Eleven clips."""
    return make_video(tmp_path / "long.mp4", seconds=22.0, fps=10, size=(64, 48))


@pytest.fixture
def in_parts(options: vidx.EmbedOptions) -> vidx.EmbedOptions:
    policy = vidx.CommitPolicy(seconds=0, part_clips=3)
    return replace(options, batch_size=1, commit=policy)


def check_long_video(
    collection: vidx.Collection, video: Path, options: vidx.EmbedOptions, folder: Path
) -> None:
    """See that its previews are those of an undisturbed run."""
    assert collection.info().num_shards > 2
    assert list(sizes(collection).values()) == [(64, 48)] * 11
    assert collection.verify() == []
    with vidx.open(folder, create=True) as undisturbed:
        undisturbed.embed(video, options)
        assert collection.previews(range(11)) == undisturbed.previews(range(11))


def test_a_long_video_in_parts_has_all_of_them(
    tmp_path: Path, long_video: Path, options: vidx.EmbedOptions, in_parts: vidx.EmbedOptions
) -> None:
    with vidx.open(tmp_path / "collection", create=True) as collection:
        collection.embed(long_video, in_parts)
        check_long_video(collection, long_video, options, tmp_path / "undisturbed")


@pytest.mark.long
def test_a_long_video_has_all_of_them_after_a_kill_in_the_middle(
    tmp_path: Path, long_video: Path, options: vidx.EmbedOptions, in_parts: vidx.EmbedOptions
) -> None:
    folder = tmp_path / "collection"
    how = [sys.executable, "-c", KILLED, str(long_video), str(folder), str(options.model)]
    assert subprocess.run(how, check=False).returncode == -9
    with vidx.open(folder) as collection:
        assert 0 < collection.embed(long_video, in_parts).num_clips < 11
        check_long_video(collection, long_video, options, tmp_path / "undisturbed")
