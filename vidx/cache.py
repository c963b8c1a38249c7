"""What is found once and remembered: small JSON files in the user's cache folder."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from vidx.durable import replacing


def cache_folder() -> Path:
    """`VIDX_CACHE_DIR`, else vidx's folder among the user's caches."""
    if folder := os.environ.get("VIDX_CACHE_DIR"):
        return Path(folder)
    import platformdirs

    return Path(platformdirs.user_cache_dir("vidx"))


def read_cache(name: str) -> dict[str, Any]:
    """What a file remembers; nothing when it cannot be read.

    Args:
        name: The file's, without folder.
    """
    try:
        known = json.loads((cache_folder() / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def remember(name: str, key: str, value: Any) -> None:
    """Add to a file at one stroke; one that cannot be written only costs time.

    Args:
        name: The file's, without folder.
        key: What it is known by.
        value: Anything that JSON holds.
    """
    target = cache_folder() / name
    known = read_cache(name) | {key: value}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as file:
            file.write(json.dumps(known).encode())
    except OSError:
        return
