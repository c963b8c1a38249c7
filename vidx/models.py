"""What can be asked of models without a collection."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from vidx.model_records import Licence, ModelList, ModelReport

Model: TypeAlias = "str | os.PathLike[str]"


def list_models() -> ModelList:
    """List VideoMAE checkpoints: vidx's own, the published ones, those in the hub's local cache.

    Raises:
        CheckpointError: vidx's package is damaged.
        UsageError: The cache's place is taken by a file.
    """
    from vidx.embedder.checkpoints.known_models import KNOWN_MODELS, builtin, cached
    from vidx.model_records import ModelList

    return ModelList(tuple(builtin()), KNOWN_MODELS, tuple(cached()))


def check_model(model: Model) -> ModelReport:
    """Load a checkpoint on the CPU, account for every tensor, and run a fixed input.

    Args:
        model: Checkpoint folder, or hub id with optional `@revision`, or `builtin:tiny`.

    Returns:
        What was found, with the fingerprint that a collection made with it would have.

    Raises:
        ModelNotFound: No checkpoint under that name.
        CheckpointError: It cannot be loaded, or its output is not finite.
    """
    from vidx.embedder.checkpoints.model_check import check

    return check(model)


def licence_of(model: Model | None = None) -> Licence | None:
    """Say under which licence a model's weights are.

    Args:
        model: As for `Collection.embed`. None: the model that a new collection has by default.

    Returns:
        None for what is neither in vidx's package nor among the published models it knows.
    """
    from vidx.embedder.checkpoints import known_models
    from vidx.embedder.checkpoints.builtin import is_builtin
    from vidx.embedder.checkpoints.finding import DEFAULT_MODEL
    from vidx.model_records import Licence

    named = DEFAULT_MODEL if model is None else model
    spdx = known_models.licence_of(named)
    return Licence(os.fspath(named), spdx, is_builtin(named)) if spdx else None
