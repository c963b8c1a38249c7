"""Find a checkpoint: a folder, a repository of the Hugging Face hub, or one in the package."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from vidx.embedder.checkpoints.builtin import find_builtin, is_builtin
from vidx.embedder.checkpoints.hub import (
    CONFIG_FILE,
    PREPROCESSOR_FILE,
    WAYS_OUT,
    WEIGHTS_FILES,
    fetch,
    is_cached,
)
from vidx.errors import CheckpointError, ModelNotFound

DEFAULT_MODEL = "MCG-NJU/videomae-base-finetuned-kinetics"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The files of a checkpoint on this machine.

    Attributes:
        name: The folder's absolute path, or the hub id, or `builtin:` and a name.
        revision: The hub commit; of a builtin one the first digits of its weights' SHA-256; None
            for a folder.
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
        model: `builtin:tiny`, or a folder, or a hub id with optional revision:
            `organisation/name@revision`. What does not begin with `builtin:` is a folder when there
            is one, or when it begins with `.`, `/` or `~`; a path object always is.

    Returns:
        Where the files are.

    Raises:
        ModelNotFound: No such folder, nor anything of that name in the package, in the hub's cache
            or on the hub.
        CheckpointError: There is something, but it is not a whole checkpoint, or the package's is
            not as it was shipped.
    """
    name, revision, folder = _folder(model, (CONFIG_FILE, PREPROCESSOR_FILE), weights=True)
    return Checkpoint(
        name, revision, folder / CONFIG_FILE, folder / PREPROCESSOR_FILE, _weights(folder)
    )


def is_at_hand(model: str | os.PathLike[str]) -> bool:
    """Whether `find` asks no network: it does for a hub id of which the cache lacks a file."""
    if is_builtin(model) or _named_folder(model):
        return True
    repo_id, _, revision = os.fspath(model).partition("@")
    configs = (CONFIG_FILE, PREPROCESSOR_FILE)
    return is_cached(repo_id, revision or None, configs)


def find_config(model: str | os.PathLike[str]) -> Path:
    """Find a checkpoint's config.json, whatever else is there; as `find` otherwise."""
    return _folder(model, (CONFIG_FILE,), weights=False)[2] / CONFIG_FILE


def find_preprocessor(model: str | os.PathLike[str]) -> Path:
    """Find a checkpoint's preprocessor_config.json, whatever else is there; as `find` otherwise."""
    return _folder(model, (PREPROCESSOR_FILE,), weights=False)[2] / PREPROCESSOR_FILE


def find_weights(model: str | os.PathLike[str]) -> Path:
    """Find the weights of a checkpoint with a config.json; as `find` otherwise."""
    return _weights(_folder(model, (CONFIG_FILE,), weights=True)[2])


def _folder(
    model: str | os.PathLike[str], configs: tuple[str, ...], *, weights: bool
) -> tuple[str, str | None, Path]:
    """Name, revision and folder of a checkpoint that has these files."""
    if is_builtin(model):
        return find_builtin(model, (*configs, WEIGHTS_FILES[0]) if weights else configs)
    if named := _named_folder(model):
        folder = _checked(named, configs)
        return str(folder), None, folder
    repo_id, _, revision = os.fspath(model).partition("@")
    snapshot = fetch(repo_id, revision or None, configs, weights=weights)
    return repo_id, snapshot.name, snapshot


def _named_folder(model: str | os.PathLike[str]) -> Path | None:
    """The folder that is meant, whether or not it is there; None where a hub id is."""
    name = os.fspath(model)
    folder = Path(os.path.abspath(os.path.expanduser(name)))
    is_meant = isinstance(model, os.PathLike) or name.startswith((".", "/", "~"))
    return folder if is_meant or folder.is_dir() else None


def _checked(folder: Path, configs: tuple[str, ...]) -> Path:
    if not folder.is_dir():
        problem = "is a file, not a checkpoint's folder" if folder.exists() else "does not exist"
        raise ModelNotFound(f"{folder} {problem}", WAYS_OUT.format(repo_id=DEFAULT_MODEL))
    for file in configs:
        if not (folder / file).is_file():
            raise CheckpointError(
                f"{folder} holds no {file}",
                "Name a folder in the hub's layout; one that lacks a file needs that of the "
                "checkpoint it was trained from.",
            )
    return folder


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
