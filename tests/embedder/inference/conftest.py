"""Fixtures of the tests of inference: lean encoders of random weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from vidx.embedder.inference.lean import LeanEncoder


@pytest.fixture(scope="session")
def make_lean(make_checkpoint, tmp_path_factory) -> Callable[..., LeanEncoder]:
    """make_lean(dtype="float32", **checkpoint) -> a lean encoder on the CPU."""
    from vidx.embedder.encoder import load

    def make(dtype: str = "float32", **checkpoint: object) -> LeanEncoder:
        folder = make_checkpoint(tmp_path_factory.mktemp("lean") / "made", **checkpoint)
        return load(folder, device="cpu", dtype=dtype).engine.encoder

    return make


@pytest.fixture(scope="session")
def lean(make_lean) -> LeanEncoder:
    return make_lean()


@pytest.fixture(scope="session")
def clips() -> NDArray[np.uint8]:
    """Seven clips of the tiny checkpoint's size."""
    return np.random.default_rng(0).integers(0, 256, (7, 16, 32, 32, 3), dtype=np.uint8)
