"""The held-out clips tell good encoders from bad ones, and are the same for every run."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from vidx.embedder.videomae.model import VideoMAEForVideoClassification
from vidx.training.recipe import RECIPES
from vidx.training.validation import Validation, brightened, cropped

CPU = torch.device("cpu")
CONFIG = RECIPES["minute"].config()


class Thumbnails(nn.Module):
    """Finds copies by their colours, and knows nothing of motion."""

    def forward(self, pixels: Tensor) -> SimpleNamespace:
        small = F.adaptive_avg_pool2d(pixels.flatten(1, 2), 4)  # (clips, frames x 3, 4, 4)
        small = small - small.mean(dim=(1, 2, 3), keepdim=True)
        return SimpleNamespace(last_hidden_state=small.flatten(1)[:, None])


class Blind(nn.Module):
    """Sees the same in every clip."""

    def forward(self, pixels: Tensor) -> SimpleNamespace:
        return SimpleNamespace(last_hidden_state=torch.ones(len(pixels), 1, 3))


@pytest.fixture(scope="module")
def validation() -> Validation:
    return Validation(CONFIG, 24, CPU)


def test_every_clip_has_another_one_of_its_class(validation: Validation) -> None:
    assert validation.labels.bincount().tolist() == [2] * 12
    assert Validation(CONFIG, 720, CPU).labels.bincount().tolist() == [20] * 36


@pytest.mark.long
def test_the_clips_are_the_same_whenever_they_are_drawn(validation: Validation) -> None:
    for one, other in zip(validation.clips, Validation(CONFIG, 24, CPU).clips, strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])
        assert not torch.equal(*one)


@pytest.mark.long
def test_copies_find_their_source_by_what_they_look_like(validation: Validation) -> None:
    found = validation.measure(Thumbnails())
    assert min(found["trimmed"], found["cropped"], found["brightened"]) > 0.8
    assert found["nearest"] < 0.5
    blind = validation.measure(Blind())
    assert blind["trimmed"] == blind["cropped"] == pytest.approx(1 / 24, abs=1e-3)


@pytest.mark.long
def test_the_shipped_encoder_knows_motions_that_an_untrained_one_does_not(
    validation: Validation,
) -> None:
    shipped = VideoMAEForVideoClassification.from_pretrained("builtin:tiny").float()
    untrained = VideoMAEForVideoClassification(CONFIG)
    good, bad = (validation.measure(model.encoder)["nearest"] for model in (shipped, untrained))
    assert good > bad + 0.25


def test_measuring_leaves_the_encoder_as_it_was(validation: Validation) -> None:
    encoder = Blind().train()
    validation.measure(encoder)
    assert encoder.training


def test_a_cropped_copy_shows_the_middle_and_a_brightened_one_is_lighter() -> None:
    ramp = torch.linspace(0, 200, 112).round().to(torch.uint8)
    frames = ramp.view(1, 1, 1, 112, 1).expand(1, 2, 112, 112, 3)
    middle = cropped(frames)
    assert middle.shape == frames.shape
    assert middle.dtype == torch.uint8
    assert middle[0, 0, 0, [0, -1], 0].tolist() == pytest.approx([11, 189], abs=2)
    lighter = brightened(frames)
    assert lighter[0, 0, 0, [0, 56, -1], 0].tolist() == [16, 137, 255]
