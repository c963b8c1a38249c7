"""`vidx models`: what is published, what is in the cache, and whether a checkpoint is sound."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def vidx(*arguments: object, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a command with a hub cache of its own."""
    return subprocess.run(
        [sys.executable, "-m", "vidx", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "PATH": "", "VIDX_CACHE_DIR": str(home)},
        cwd=home,
    )


def test_models_lists_the_published_ones_with_their_licence(tmp_path) -> None:
    done = vidx("models", "--json", home=tmp_path)
    listed = json.loads(done.stdout)
    assert listed["cached"] == []
    base = next(one for one in listed["known"] if one["id"].endswith("base-finetuned-kinetics"))
    assert (base["dim"], base["num_labels"], base["licence"]) == (768, 400, "CC-BY-NC-4.0")
    assert base["id"] in vidx("models", home=tmp_path).stdout


def test_a_check_accounts_for_every_tensor_and_tells_the_collections_fingerprint(
    tmp_path, tiny_checkpoint, embedded_once
) -> None:
    done = vidx("models", "check", tiny_checkpoint, "--json", home=tmp_path)
    report = json.loads(done.stdout)
    manifest = json.loads((embedded_once / "collection.json").read_text())
    assert report["fingerprint"] == manifest["space"]["fingerprint"]
    assert report["ignored"] == []
    assert len(report["used"]) > 20
    again = json.loads(vidx("models", "check", tiny_checkpoint, "--json", home=tmp_path).stdout)
    assert again == report


def test_a_check_of_nothing_ends_with_4(tmp_path) -> None:
    done = vidx("models", "check", "./nowhere", home=tmp_path)
    assert done.returncode == 4
    assert "Traceback" not in done.stderr


def test_the_licence_is_said_before_the_first_use(tmp_path, library) -> None:
    done = vidx("embed", library, "--collection", tmp_path / "new", home=tmp_path)
    assert done.returncode == 4  # not cached, and offline
    assert done.stderr.startswith("The weights of MCG-NJU/videomae-base-finetuned-kinetics are")
