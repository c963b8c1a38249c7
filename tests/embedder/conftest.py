"""Fixtures of the embedder's tests."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def edited(tmp_path: Path) -> Callable[..., Path]:
    """edited(checkpoint, tensors=function, pickle=False, **config) -> a changed copy of it.

    `tensors` gets the dict of stored tensors and changes it in place; a config value of None
    deletes the key.
    """

    def edit(
        checkpoint: Path,
        tensors: Callable[[dict], None] | None = None,
        *,
        pickle: bool = False,
        preprocessor: dict | None = None,
        **config: object,
    ) -> Path:
        folder = tmp_path / f"edited-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(checkpoint, folder)
        _update_json(folder / "config.json", config)
        _update_json(folder / "preprocessor_config.json", preprocessor or {})
        _rewrite_weights(folder, tensors, pickle)
        return folder

    return edit


def _update_json(path: Path, changes: dict) -> None:
    values = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in values.items() if v is not None}))


def _rewrite_weights(folder: Path, change: Callable[[dict], None] | None, pickle: bool) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    tensors = load_file(path)
    if change is not None:
        change(tensors)
    path.unlink()
    if pickle:
        torch.save(tensors, folder / "pytorch_model.bin")
    else:
        save_file(tensors, path)
