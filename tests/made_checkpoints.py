"""Fixtures that make VideoMAE checkpoints on disk: random, but all of their parameters are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

TINY = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 128,
    "image_size": 32,
    "patch_size": 8,
    "num_frames": 16,
    "tubelet_size": 2,
    "decoder_hidden_size": 32,
    "decoder_num_hidden_layers": 1,
    "decoder_num_attention_heads": 2,
    "decoder_intermediate_size": 64,
}
LABELS = ("archery", "bowling", "cooking", "dancing", "eating")


@pytest.fixture(scope="session")
def make_checkpoint() -> Callable[..., Path]:
    """make(folder, *, seed, head, pretraining, old_layout, labels, **config) -> folder."""
    return _make_checkpoint


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small classification checkpoint; never write to it."""
    return _make_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny")


def _make_checkpoint(
    folder: Path,
    *,
    seed: int = 0,
    head: bool = True,
    pretraining: bool = False,
    old_layout: bool = False,
    labels: tuple[str, ...] = LABELS,
    **config: object,
) -> Path:
    """Write what transformers would, with every bias and norm random too.

    The config is `TINY` with what is given on top of it.
    """
    import torch
    import transformers
    from safetensors.torch import save_file

    transformers.utils.logging.disable_progress_bar()
    names = dict(enumerate(labels))
    settings = transformers.VideoMAEConfig(id2label=names, **TINY | config)
    kind = "ForPreTraining" if pretraining else "ForVideoClassification" if head else "Model"
    torch.manual_seed(seed)
    model = getattr(transformers, f"VideoMAE{kind}")(settings)
    randomize(model, seed)
    model.save_pretrained(folder)
    tensors = {_layout(name, old_layout): value for name, value in model.state_dict().items()}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    side = settings.image_size
    _save_processor(folder, size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    return folder


def randomize(model, seed: int) -> None:
    """Weights of a size that keeps what one token differs from another in."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    for _name, parameter in sorted(model.named_parameters()):
        noise = torch.randn(parameter.shape, generator=generator)
        with torch.no_grad():
            if parameter.ndim > 1:
                gain = 3 if parameter.ndim == 5 else 1  # pixels weigh more than positions
                parameter.copy_(gain * noise / parameter[0].numel() ** 0.5)
            else:  # a norm's weight is about 1, a bias about 0
                parameter.copy_(parameter.mean().round() + 0.1 * noise)


def _layout(name: str, old: bool) -> str:
    for ours, theirs in (("query.bias", "q_bias"), ("value.bias", "v_bias")):
        before, after = (ours, theirs) if old else (theirs, ours)
        if name.endswith(f"attention.attention.{before}"):
            return name.removesuffix(before) + after
    return name


def _save_processor(folder: Path, **settings: object) -> None:
    from transformers.models.videomae.image_processing_pil_videomae import (
        VideoMAEImageProcessorPil,
    )

    VideoMAEImageProcessorPil(**settings).save_pretrained(folder)
