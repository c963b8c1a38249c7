"""The checkpoints in the package, the published ones, those in the hub's cache; no torch."""

from __future__ import annotations

import os

from huggingface_hub import CachedRevisionInfo, CacheNotFound, scan_cache_dir

from vidx.embedder.checkpoints.builtin import LICENCE, builtin_names, find_builtin, is_builtin
from vidx.embedder.checkpoints.hub import CONFIG_FILE, PREPROCESSOR_FILE, WEIGHTS_FILES
from vidx.embedder.checkpoints.jsonfile import read_json_object
from vidx.errors import CheckpointError, UsageError
from vidx.model_records import BuiltinModel, CachedModel, KnownModel


def _published(name: str, training_set: str) -> KnownModel:
    return KnownModel(
        id=f"MCG-NJU/videomae-{name}",
        shape=name.partition("-")[0],
        training_set=training_set,
        has_head="finetuned" in name,
        licence="CC-BY-NC-4.0",
    )


# By the paper's authors; `short` was pre-trained for 800 epochs, not for 1600 (Kinetics) or 2400.
KNOWN_MODELS = (
    _published("small-finetuned-kinetics", "Kinetics-400"),
    _published("small-finetuned-ssv2", "Something-Something V2"),
    _published("base", "Kinetics-400"),
    _published("base-finetuned-kinetics", "Kinetics-400"),
    _published("base-short", "Kinetics-400"),
    _published("base-short-finetuned-kinetics", "Kinetics-400"),
    _published("base-ssv2", "Something-Something V2"),
    _published("base-finetuned-ssv2", "Something-Something V2"),
    _published("base-short-ssv2", "Something-Something V2"),
    _published("base-short-finetuned-ssv2", "Something-Something V2"),
    _published("large", "Kinetics-400"),
    _published("large-finetuned-kinetics", "Kinetics-400"),
    _published("huge-finetuned-kinetics", "Kinetics-400"),
)


def licence_of(model: str | os.PathLike[str]) -> str | None:
    """The licence of a model's weights, to be said before their first use.

    Args:
        model: A hub id with optional revision, or a folder, or `builtin:tiny`.

    Returns:
        An SPDX identifier; None for what is neither in the package nor in `KNOWN_MODELS`.
    """
    if is_builtin(model):
        return LICENCE
    name = os.fspath(model).partition("@")[0]
    return next((known.licence for known in KNOWN_MODELS if known.id == name), None)


def builtin() -> list[BuiltinModel]:
    """List the checkpoints in the package.

    Raises:
        CheckpointError: The package is damaged.
    """
    return [_builtin(name) for name in builtin_names()]


def _builtin(name: str) -> BuiltinModel:
    weights = WEIGHTS_FILES[0]
    _, revision, folder = find_builtin(name, (CONFIG_FILE, weights))
    config = read_json_object(folder / CONFIG_FILE)
    return BuiltinModel(
        id=name,
        revision=revision,
        dim=config["hidden_size"],
        num_labels=len(config["id2label"]),
        size_bytes=(folder / weights).stat().st_size,
        licence=LICENCE,
    )


def cached() -> list[CachedModel]:
    """List the VideoMAE checkpoints in the hub's local cache (`HF_HOME` says where it lies).

    Returns:
        Sorted by id, then commit; empty when there is no cache.

    Raises:
        UsageError: The cache's place is taken by a file.
    """
    try:
        repos = scan_cache_dir().repos
    except CacheNotFound:
        return []
    except ValueError as error:
        raise UsageError(f"the hub's cache is no folder: {error}", "Set HF_HOME.") from error
    found = [
        _videomae(repo.repo_id, revision)
        for repo in repos
        if repo.repo_type == "model"
        for revision in repo.revisions
    ]
    models = [model for model in found if model is not None]
    return sorted(models, key=lambda model: (model.id, model.revision))


def _videomae(repo_id: str, revision: CachedRevisionInfo) -> CachedModel | None:
    """The revision, when its config says that it is a VideoMAE checkpoint."""
    try:
        config = read_json_object(revision.snapshot_path / CONFIG_FILE)
    except CheckpointError:  # none, or damaged: nothing says what it is
        return None
    if config.get("model_type") != "videomae":
        return None
    files = {file.file_name for file in revision.files}
    is_whole = PREPROCESSOR_FILE in files and not files.isdisjoint(WEIGHTS_FILES)
    return CachedModel(repo_id, revision.commit_hash, is_whole, revision.size_on_disk)
