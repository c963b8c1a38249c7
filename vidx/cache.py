"""The user's cache folder: how much of it shards may take, and small JSON files to remember by."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from vidx.durable import replacing
from vidx.errors import UsageError
from vidx.words import num_bytes

MOST_SHARDS = "100G"


def cache_folder() -> Path:
    """`VIDX_CACHE_DIR`, else vidx's folder among the user's caches."""
    if folder := os.environ.get("VIDX_CACHE_DIR"):
        return Path(folder)
    import platformdirs

    return Path(platformdirs.user_cache_dir("vidx"))


def most_shard_bytes() -> int:
    """`VIDX_CACHE_SIZE`, else 100 GB: what the shards of a working copy may take on disk.

    Raises:
        UsageError: It is no size.
    """
    asked = os.environ.get("VIDX_CACHE_SIZE") or MOST_SHARDS
    size = num_bytes(asked)
    if size is None:
        raise UsageError(
            f"VIDX_CACHE_SIZE is {asked!r}, and that is no size",
            f"Write 500M or 20G, or leave the variable out: {MOST_SHARDS}.",
        )
    return size


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
