"""The workers' resize by swscale stands in for the exact one: the embeddings say the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.sampling import Plan, Sampling
from vidx.embedder.decoding.video import DecodedClip, decode_clips
from vidx.embedder.encoder import load

UNCHANGED = FrameGeometry()


def first_clip(path: Path, geometry: FrameGeometry) -> np.ndarray:
    """uint8, shape (frames, height, width, 3)."""
    part = next(decode_clips(str(path), Sampling(), Plan(end_seconds=2.2), geometry))
    assert isinstance(part, DecodedClip)
    return part.frames


@pytest.fixture(scope="module")
def sharp(tmp_path_factory: pytest.TempPathFactory, make_checkpoint: Callable[..., Path]) -> Path:
    """A checkpoint that takes frames of the published size."""
    folder = tmp_path_factory.mktemp("sharp") / "model"
    return make_checkpoint(folder, image_size=224, patch_size=16)


def cosines(paths: list[Path], model: Path) -> list[float]:
    """Between the embeddings of both ways to the model's size."""
    encoder = load(model, device="cpu")
    found = []
    for path in paths:
        fast = first_clip(path, encoder.geometry)
        exact = encoder.preprocessing.fit(torch.from_numpy(first_clip(path, UNCHANGED))).numpy()
        one, other = encoder.encode(np.stack([fast, exact]))[0]
        found.append(float(one @ other / np.linalg.norm(one) / np.linalg.norm(other)))
    return found


@pytest.mark.long
def test_fast_and_exact_resize_agree_on_real_clips(media: Path, sharp: Path) -> None:
    paths = sorted(path for path in (media / "good").rglob("*") if path.is_file())[::4]
    assert min(cosines(paths, sharp)) >= 0.999


@pytest.mark.parametrize(
    "size", [(640, 360), (90, 160), (321, 241), pytest.param((1280, 720), marks=pytest.mark.long)]
)
def test_fast_and_exact_resize_agree_on_made_clips(size, make_video, sharp, tmp_path) -> None:
    video = make_video(tmp_path / "a.mkv", size=size, codec="mjpeg", seconds=2.2, seed=3)
    assert min(cosines([video], sharp)) >= 0.999
