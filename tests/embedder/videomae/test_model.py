"""What the models promise beside parity with the reference."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from vidx.embedder.videomae import (
    VideoMAEConfig,
    VideoMAEForPreTraining,
    VideoMAEForVideoClassification,
    VideoMAEModel,
    tube_mask,
)
from vidx.embedder.videomae.model import sinusoidal_positions
from vidx.errors import UsageError

CONFIG = VideoMAEConfig(
    image_size=32,
    patch_size=8,
    num_frames=4,
    hidden_size=24,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=48,
    decoder_hidden_size=12,
    decoder_num_hidden_layers=1,
    decoder_num_attention_heads=2,
    decoder_intermediate_size=24,
    labels=("a", "b", "c"),
)
TOKENS = 2 * 4 * 4


def pixels(batch: int = 2) -> torch.Tensor:
    return torch.randn((batch, 4, 3, 32, 32), generator=torch.Generator().manual_seed(0))


def test_positions_are_sines_and_cosines() -> None:
    table = sinusoidal_positions(20, 64)
    # row 3, columns 4 and 5: sine and cosine of 3 / 10000^(4 / 64)
    angle = 3 / 10000 ** (4 / 64)
    assert table[3, 4].item() == pytest.approx(np.sin(angle))
    assert table[3, 5].item() == pytest.approx(np.cos(angle))


def test_oblong_frames_and_patches_pretrain() -> None:
    config = VideoMAEConfig(
        image_size=(32, 48),
        patch_size=(8, 16),
        hidden_size=24,
        num_hidden_layers=1,
        decoder_num_hidden_layers=1,
    )
    model = VideoMAEForPreTraining(config)
    output = model(torch.randn(1, 16, 3, 32, 48), tube_mask(config))
    assert output.logits.shape == (1, 8 * 10, 2 * 8 * 16 * 3)


def test_the_plain_pixel_loss_is_that_of_pixels_between_0_and_1() -> None:
    from dataclasses import replace

    from vidx.embedder.videomae.losses import PIXEL_MEAN, PIXEL_STD, pixel_targets

    rgb = torch.rand(1, 4, 3, 32, 32)
    mean, std = (torch.tensor(v)[:, None, None] for v in (PIXEL_MEAN, PIXEL_STD))
    mask = torch.ones(1, TOKENS, dtype=torch.bool)
    targets = pixel_targets((rgb - mean) / std, mask, replace(CONFIG, norm_pix_loss=False))
    last = rgb[0, 2:, :, 24:, 24:].permute(0, 2, 3, 1).flatten()  # frame, height, width, channel
    torch.testing.assert_close(targets[0, -1], last)


def test_new_weights_are_drawn_as_the_config_says() -> None:
    from dataclasses import replace

    torch.manual_seed(0)
    model = VideoMAEForPreTraining(replace(CONFIG, initializer_range=0.5))
    for name, parameter in model.named_parameters():
        if "norm" in name:
            assert parameter.eq(1 if name.endswith("weight") else 0).all(), name
        elif name.endswith("weight"):
            assert parameter.std().item() == pytest.approx(0.5, rel=0.15), name
        else:
            assert parameter.eq(0).all(), name


@pytest.mark.parametrize("shape", [(2,), (2, 2)], ids=["all-blocks", "each-block"])
def test_head_masks_mean_the_same_to_both_implementations(shape) -> None:
    torch.manual_seed(0)
    eager = VideoMAEModel(CONFIG, attn_implementation="eager").eval()
    fused = VideoMAEModel(CONFIG, attn_implementation="sdpa").eval()
    fused.load_state_dict(eager.state_dict())
    head_mask = torch.rand(shape)
    with torch.inference_mode():
        expected = eager(pixels(), head_mask=head_mask).last_hidden_state
        actual = fused(pixels(), head_mask=head_mask).last_hidden_state
        unmasked = fused(pixels()).last_hidden_state
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)
    assert (actual - unmasked).abs().max() > 1e-4


def test_asking_sdpa_for_attentions_takes_the_eager_path_and_says_so() -> None:
    torch.manual_seed(0)
    fused = VideoMAEModel(CONFIG).eval()
    eager = VideoMAEModel(CONFIG, attn_implementation="eager").eval()
    eager.load_state_dict(fused.state_dict())
    with torch.inference_mode():
        with pytest.warns(UserWarning, match="eager path") as caught:
            output = fused(pixels(), output_attentions=True)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            expected = eager(pixels(), output_attentions=True)
    assert caught[0].filename == __file__
    for ours, theirs in zip(output.attentions, expected.attentions, strict=True):
        assert torch.equal(ours, theirs)
    assert torch.equal(output.last_hidden_state, expected.last_hidden_state)


def test_a_tube_mask_is_the_same_for_all_time_steps_and_masks_nine_in_ten() -> None:
    config = VideoMAEConfig()
    mask = tube_mask(config, 3, generator=torch.Generator().manual_seed(0))
    assert mask.shape == (3, 1568)
    assert mask.dtype == torch.bool
    frames = mask.view(3, 8, 14 * 14)
    assert (frames == frames[:, :1]).all()
    assert frames.sum(dim=2).eq(176).all()  # int(0.9 * 196), as in the paper's code
    assert not torch.equal(frames[0], frames[1])
    again = tube_mask(config, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(mask, again)


@pytest.mark.parametrize("ratio", [0.0, 0.01, 1.0, 1.5, -1])
def test_a_mask_ratio_that_leaves_nothing_is_refused(ratio) -> None:
    with pytest.raises(UsageError, match=f"a mask ratio of {ratio} masks"):
        tube_mask(CONFIG, ratio=ratio)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pixels()[0], "(4, 3, 32, 32), they must have (batch, 4, 3, 32, 32)"),
        (pixels()[:, :2], "(2, 2, 3, 32, 32)"),
        (pixels()[..., :31], "(2, 4, 3, 32, 31)"),
        (pixels().transpose(1, 2), "(2, 3, 4, 32, 32)"),
        (pixels()[:0], "(0, 4, 3, 32, 32)"),
        (pixels().to(torch.uint8), "torch.uint8, they must be floating point"),
    ],
)
def test_pixels_that_do_not_fit_are_refused(values, message) -> None:
    with pytest.raises(UsageError) as caught:
        VideoMAEModel(CONFIG)(values)
    assert message in caught.value.problem
    assert "VideoMAEImageProcessor" in caught.value.next_step


def unequal() -> torch.Tensor:
    mask = tube_mask(CONFIG, 2)
    mask[0] = True
    mask[0, 0] = False
    return mask


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (tube_mask(CONFIG, 2)[:, 1:], "shape (2, 31), it must be torch.bool of shape (2, 32)"),
        (tube_mask(CONFIG, 1), "shape (1, 32)"),
        (tube_mask(CONFIG, 2).int(), "is torch.int32"),
        (unequal(), "masks [31, 28] tokens of the videos"),
        (torch.ones(2, TOKENS, dtype=torch.bool), "masks all 32 tokens"),
        (torch.zeros(2, TOKENS, dtype=torch.bool), "masks nothing"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(mask, message) -> None:
    with pytest.raises(UsageError) as caught:
        VideoMAEForPreTraining(CONFIG)(pixels(), mask)
    assert message in caught.value.problem
    assert "tube_mask" in caught.value.next_step


@pytest.mark.parametrize("shape", [(3,), (3, 2), (2, 3), (2, 2, 1), ()])
def test_a_head_mask_that_does_not_fit_is_refused(shape) -> None:
    with pytest.raises(UsageError, match="head_mask has shape"):
        VideoMAEModel(CONFIG)(pixels(), head_mask=torch.ones(shape))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.tensor([0, 3]), "labels [3] are out of range, classes are numbered 0 to 2"),
        (torch.tensor([-1, 0]), "labels [-1] are out of range"),
        (torch.tensor([0]), "labels are torch.int64 of shape (1,), they must be 2 class numbers"),
        (torch.tensor([True, False]), "labels are torch.bool"),
        (torch.rand(2, 2), "they must be numbers of shape (2, 3)"),
        (torch.rand(2), "they must be numbers of shape (2, 3)"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, message) -> None:
    with pytest.raises(UsageError) as caught:
        VideoMAEForVideoClassification(CONFIG)(pixels(), labels=labels)
    assert message in caught.value.problem
    assert caught.value.next_step


def test_an_unknown_implementation_of_attention_is_refused() -> None:
    with pytest.raises(UsageError, match="attn_implementation 'flash' is unknown"):
        VideoMAEModel(CONFIG, attn_implementation="flash")
