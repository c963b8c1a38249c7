"""Read one JSON object from a checkpoint's file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vidx.errors import CheckpointError


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a file that must hold one JSON object.

    Args:
        path: The file.

    Returns:
        The object.

    Raises:
        CheckpointError: The file cannot be read, or holds something else.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise CheckpointError(
            f"{path} is not JSON: {error}", "Fetch the checkpoint anew."
        ) from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} holds no JSON object, but a {type(value).__name__}")
    return value
