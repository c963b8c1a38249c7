"""Find a checkpoint: a folder, or a repository of the Hugging Face hub."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from vidx.embedder.hub import CONFIG_FILE, PREPROCESSOR_FILE, WAYS_OUT, WEIGHTS_FILES, fetch
from vidx.errors import CheckpointError, ModelNotFound

DEFAULT_MODEL = "MCG-NJU/videomae-base-finetuned-kinetics"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The files of a checkpoint on this machine.

    Attributes:
        name: The folder's absolute path, or the hub id.
        revision: The hub commit, or None for a folder.
        config: config.json.
        preprocessor: preprocessor_config.json.
        weights: model.safetensors or pytorch_model.bin.
    """

    name: str
    revision: str | None
    config: Path
    preprocessor: Path
    weights: Path


def find(model: str | os.PathLike[str] = DEFAULT_MODEL) -> Checkpoint:
    """Find a checkpoint's files; a hub repository is downloaded when the cache lacks it.

    Args:
        model: A folder, or a hub id with optional revision: `organisation/name@revision`. It is a
            folder when there is one, or when it is a path object or begins with `.`, `/` or `~`.

    Returns:
        Where the files are.

    Raises:
        ModelNotFound: No such folder, nor anything of that name in the hub's cache or on the hub.
        CheckpointError: There is something, but it is not a whole checkpoint.
    """
    name = os.fspath(model)
    folder = Path(name).expanduser()
    if folder.is_dir() or isinstance(model, os.PathLike) or name.startswith((".", "/", "~")):
        return _in_folder(folder.absolute())
    repo_id, _, revision = name.partition("@")
    snapshot = fetch(repo_id, revision or None)
    return _whole(repo_id, snapshot.name, snapshot)


def _in_folder(folder: Path) -> Checkpoint:
    if not folder.is_dir():
        problem = "is a file, not a checkpoint's folder" if folder.exists() else "does not exist"
        raise ModelNotFound(f"{folder} {problem}", WAYS_OUT.format(repo_id=DEFAULT_MODEL))
    return _whole(str(folder), None, folder)


def _whole(name: str, revision: str | None, folder: Path) -> Checkpoint:
    for file in (CONFIG_FILE, PREPROCESSOR_FILE):
        if not (folder / file).is_file():
            raise CheckpointError(
                f"{folder} holds no {file}",
                "Name a folder in the hub's layout; one that lacks a file needs that of the "
                "checkpoint it was trained from.",
            )
    return Checkpoint(
        name, revision, folder / CONFIG_FILE, folder / PREPROCESSOR_FILE, _weights(folder)
    )


def _weights(folder: Path) -> Path:
    for file in WEIGHTS_FILES:
        if (folder / file).is_file():
            return folder / file
    if any(folder.glob("*.index.json")):
        raise CheckpointError(
            f"{folder} holds weights in several files, vidx reads them from one",
            "Save them in one: model.save_pretrained(folder, max_shard_size='100GB').",
        )
    raise CheckpointError(
        f"{folder} holds no weights ({' or '.join(WEIGHTS_FILES)})", "Name a whole checkpoint."
    )
