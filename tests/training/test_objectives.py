"""The losses and the first weights are what their docstrings say."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from vidx.embedder.videomae.masking import random_mask
from vidx.embedder.videomae.model import VideoMAEForVideoClassification
from vidx.training.batches import (
    Batches,
    mixed_labels,
    motion_of_tubelets,
    seeded,
)
from vidx.training.objectives import (
    FineTuning,
    contrastive_loss,
    normalized,
    retrieval_losses,
)
from vidx.training.optimizer import Optimizer, RunningMean
from vidx.training.procedural.clips import TRAINING, View, views
from vidx.training.recipe import RECIPES, VIEWS, Rates
from vidx.training.start import start_projection

CPU = torch.device("cpu")
CONFIG = RECIPES["minute"].config()


def by_hand(logits: torch.Tensor, positives: dict[int, list[int]]) -> float:
    """Khosla et al., equation 2, in plain loops."""
    losses = []
    for anchor, others in positives.items():
        rest = [logits[anchor, k].exp().item() for k in range(len(logits)) if k != anchor]
        shares = [logits[anchor, p].exp().item() / sum(rest) for p in others]
        losses.append(-sum(math.log(share) for share in shares) / len(shares))
    return sum(losses) / len(losses)


def test_the_contrastive_loss_is_that_of_its_paper() -> None:
    torch.manual_seed(0)
    logits = torch.randn(5, 5)
    belong = torch.zeros(5, 5, dtype=torch.bool)
    for one, other in ((0, 1), (0, 2), (1, 0), (2, 0), (1, 2), (2, 1)):
        belong[one, other] = True
    found = contrastive_loss(logits, belong, ~torch.eye(5, dtype=torch.bool))
    assert found.item() == pytest.approx(by_hand(logits, {0: [1, 2], 1: [0, 2], 2: [0, 1]}), 1e-5)


def test_copies_motions_and_classes_each_have_their_own_neighbours() -> None:
    torch.manual_seed(0)
    embeddings, labels = torch.randn(9, 4), torch.tensor([3, 3, 3, 5, 5, 5, 3, 3, 3])
    losses = retrieval_losses(embeddings, labels)
    unit = nn.functional.normalize(embeddings, dim=1)
    similarity = unit @ unit.T
    motions = {i: [j for j in range(9) if j != i and j // VIEWS == i // VIEWS] for i in range(9)}
    copies = {i: [j for j in motions[i] if j % VIEWS != 2] for i in range(9) if i % VIEWS != 2}
    classes = {i: [j for j in range(9) if j != i and labels[j] == labels[i]] for i in range(9)}
    assert losses["copies"].item() == pytest.approx(by_hand(similarity / 0.05, copies), 1e-4)
    assert losses["motions"].item() == pytest.approx(by_hand(similarity / 0.1, motions), 1e-4)
    assert losses["classes"].item() == pytest.approx(by_hand(similarity / 0.1, classes), 1e-4)


def test_pixels_are_normalised_as_the_processor_does() -> None:
    frames = torch.randint(0, 256, (2, 4, 6, 6, 3), dtype=torch.uint8)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = ((frames / 255 - mean) / std).permute(0, 1, 4, 2, 3)
    torch.testing.assert_close(normalized(frames), expected, atol=1e-5, rtol=1e-5)


def test_the_first_projection_gives_values_around_zero_of_unit_strength() -> None:
    pixels = normalized(Batches(CONFIG, 0, "test", 4, 1, 1.0, CPU, ahead=4)[0].frames)
    size = (CONFIG.tubelet_size, *CONFIG.patch_shape)
    projection = nn.Conv3d(3, 32, size, stride=size)
    start_projection(projection, pixels)
    values = projection(pixels.transpose(1, 2)).transpose(0, 1).flatten(1)
    assert values.mean(dim=1).abs().max() < 1e-3
    strength = values.std(dim=1)
    assert strength.max() < 1.01
    assert strength.median() > 0.95
    assert strength.min() > 0.5  # what is hardly there is not blown up


def test_the_motion_of_a_tubelet_is_the_mean_of_its_pairs() -> None:
    (clips,) = views(1, 2, [View(3)], torch.arange(4), look=TRAINING, size=112)
    found = motion_of_tubelets(clips, CONFIG)
    pairs = clips.motion.view(4, 8, 49, 3)
    assert found.shape == (4, CONFIG.num_tokens, 3)
    torch.testing.assert_close(found.view(4, 4, 49, 3)[:, 1], (pairs[:, 2] + pairs[:, 3]) / 2)


@pytest.mark.long
def test_a_batch_depends_on_its_step_alone() -> None:
    def made() -> Batches:
        return Batches(CONFIG, 0, "test", 4, 2, 10.0, CPU, ahead=12)

    in_order = made()
    for step in range(8):
        in_order[step]
    after, alone = in_order[8], made()[8]
    assert torch.equal(after.frames, alone.frames)
    assert torch.equal(after.labels, alone.labels)


def test_labels_are_drawn_evenly() -> None:
    counts = mixed_labels(100, seeded(0)).bincount(minlength=36)
    assert counts.min() >= 2
    assert counts.max() <= 3


@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.9])
def test_random_masks_hide_as_much_as_they_say_and_differ(ratio: float) -> None:
    masks = random_mask(CONFIG, 3, ratio=ratio, generator=seeded(1))
    assert masks.shape == (3, CONFIG.num_tokens)
    assert (masks.sum(dim=1) == int(ratio * CONFIG.num_tokens)).all()
    assert not torch.equal(masks[0], masks[1])


def test_rates_rise_straight_and_fall_as_a_cosine() -> None:
    model = VideoMAEForVideoClassification(CONFIG)
    module = FineTuning(model, RECIPES["minute"])
    optimizer = Optimizer(module, Rates(1.0, 1.0, 0.0, 10), 100)
    shares = [optimizer._share(step, step) for step in range(100)]
    assert shares[0] == pytest.approx(0.1, rel=1e-2)
    assert shares[50] == pytest.approx(0.505, abs=1e-6)
    assert shares[99] < 0.011
    assert shares.index(max(shares)) == 9


def test_the_running_mean_lags_behind_and_can_be_taken_for_a_while() -> None:
    module = nn.Linear(1, 1, bias=False)
    module.weight.data.fill_(0.0)
    mean = RunningMean(module, decay=0.5)
    module.weight.data.fill_(1.0)
    mean.update(module, step=100)
    with mean.taken(module):
        assert module.weight.item() == 0.5
    assert module.weight.item() == 1.0
