"""The encoders that lie in vidx's own package, and the digests that tell whether they are whole."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TypeGuard

from vidx.embedder.checkpoints.hub import WEIGHTS_FILES
from vidx.errors import CheckpointError, ModelNotFound

PREFIX = "builtin:"
LICENCE = "Apache-2.0"  # vidx's own
REVISION_DIGITS = 12

FOLDER = Path(__file__).parent
# {name: {file: SHA-256}}; tools/ship_builtin.py writes it. It finds damage, not forgery.
DIGESTS_FILE = FOLDER / "digests.json"


def is_builtin(model: str | os.PathLike[str]) -> TypeGuard[str]:
    """Whether this names an encoder of the package; a path object never does."""
    return isinstance(model, str) and model.startswith(PREFIX)


def builtin_names() -> list[str]:
    """The names of all encoders in the package, such as `builtin:tiny`."""
    return [PREFIX + name for name in sorted(_digests())]


def find_builtin(model: str, files: Iterable[str]) -> tuple[str, str, Path]:
    """Find an encoder of the package, and check files of it.

    Args:
        model: Its name with optional revision, `builtin:tiny@0123456789ab`.
        files: Those that are to be checked, by name.

    Returns:
        Its name, its revision (the first digits of its weights' SHA-256) and its folder.

    Raises:
        ModelNotFound: This vidx brings no such encoder, or another revision of it.
        CheckpointError: A file is not as it was shipped.
    """
    name, _, revision = model.partition("@")
    digests = _digests().get(name.removeprefix(PREFIX))
    if digests is None:
        raise ModelNotFound(f"vidx brings no {name!r}", f"It brings {', '.join(builtin_names())}.")
    shipped = digests[WEIGHTS_FILES[0]][:REVISION_DIGITS]
    if revision and revision != shipped:
        raise ModelNotFound(
            f"this vidx brings {name} of revision {shipped}, not {revision}",
            f"Install the version of vidx that made it (vidx.provenance in a collection's shards "
            f"says which), or embed anew with --collection FOLDER --model {name}.",
        )
    folder = FOLDER / name.removeprefix(PREFIX)
    for file in files:
        _check(folder / file, digests[file])
    return name, shipped, folder


def _digests() -> dict[str, dict[str, str]]:
    try:
        digests: dict[str, dict[str, str]] = json.loads(DIGESTS_FILE.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(DIGESTS_FILE) from error
    return digests


def _check(path: Path, digest: str) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _damaged(path) from error
    if found != digest:
        raise _damaged(path)


def _damaged(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path} is missing or not as it was shipped: the installed package is damaged",
        "Install it again: pip install --force-reinstall --no-deps vidx.",
    )
