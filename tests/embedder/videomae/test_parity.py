"""The three models give what the reference's give: outputs, losses and gradients."""

from __future__ import annotations

import pytest
import torch

OUTPUTS, LOSSES, GRADIENTS = 1e-4, 1e-5, 1e-4

MODEL = "VideoMAEModel"
PRETRAINING = "VideoMAEForPreTraining"
CLASSIFICATION = "VideoMAEForVideoClassification"


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    assert a.shape == b.shape
    return (a - b).abs().max().item()


def assert_same_gradients(models) -> None:
    theirs, ours = models.gradients()
    assert theirs.keys() == ours.keys()
    for name, gradient in ours.items():
        assert gradient is not None, name
        assert difference(gradient, theirs[name]) <= GRADIENTS, name


@pytest.mark.parametrize("masked", [False, True], ids=["all", "visible"])
def test_the_models_last_hidden_state(pair, shape, attn, masked) -> None:
    models = pair(MODEL, attn, **shape)
    pixels, mask = models.pixels(), models.mask() if masked else None
    with torch.inference_mode():
        expected = models.theirs(pixels, bool_masked_pos=mask).last_hidden_state
        output = models.ours(pixels, bool_masked_pos=mask)
    assert difference(output.last_hidden_state, expected) <= OUTPUTS
    assert output.hidden_states is output.attentions is None


@pytest.mark.parametrize("kind", [MODEL, PRETRAINING, CLASSIFICATION])
def test_hidden_states_and_attentions(pair, shape, kind) -> None:
    models = pair(kind, "eager", **shape)
    inputs = {"pixel_values": models.pixels()}
    if kind == PRETRAINING:
        inputs["bool_masked_pos"] = models.mask()
    asked = {"output_hidden_states": True, "output_attentions": True}
    with torch.inference_mode():
        expected, output = models.theirs(**inputs, **asked), models.ours(**inputs, **asked)
    blocks = models.ours.config.num_hidden_layers
    assert len(output.hidden_states) == len(expected.hidden_states) == blocks + 1
    assert len(output.attentions) == len(expected.attentions) == blocks
    for field in ("hidden_states", "attentions"):
        for ours, theirs in zip(getattr(output, field), getattr(expected, field), strict=True):
            assert difference(ours, theirs) <= OUTPUTS


def test_the_pretraining_loss_its_logits_and_gradients(pair, shape, attn) -> None:
    models = pair(PRETRAINING, attn, **shape)
    pixels, mask = models.pixels(), models.mask()
    expected = models.theirs(pixels, bool_masked_pos=mask)
    output = models.ours(pixels, bool_masked_pos=mask)
    assert difference(output.logits, expected.logits) <= OUTPUTS
    assert difference(output.loss, expected.loss) <= LOSSES * max(1, expected.loss.item())
    expected.loss.backward()
    output.loss.backward()
    assert_same_gradients(models)


@pytest.mark.parametrize("norm_pix_loss", [True, False])
def test_the_pretraining_loss_of_either_kind(pair, norm_pix_loss) -> None:
    models = pair(PRETRAINING, norm_pix_loss=norm_pix_loss)
    inputs = models.pixels(), models.mask()
    with torch.inference_mode():
        assert difference(models.ours(*inputs).loss, models.theirs(*inputs).loss) <= LOSSES


def test_the_classification_loss_its_logits_and_gradients(pair, shape, attn) -> None:
    models = pair(CLASSIFICATION, attn, num_labels=7, **shape)
    pixels, labels = models.pixels(), torch.tensor([6, 2])[: models.batch]
    expected = models.theirs(pixels, labels=labels)
    output = models.ours(pixels, labels=labels)
    assert difference(output.logits, expected.logits) <= OUTPUTS
    assert difference(output.loss, expected.loss) <= LOSSES
    expected.loss.backward()
    output.loss.backward()
    assert_same_gradients(models)


@pytest.mark.parametrize(
    ("num_labels", "labels", "problem_type"),
    [
        (1, torch.tensor([0.5, -2.0]), None),
        (1, torch.tensor([[0.5], [-2.0]]), None),
        (3, torch.tensor([[0.5, 1.0, 2.0], [-2.0, 0.0, 1.0]]), "regression"),
        (3, torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]]), None),
        (3, torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]]), "multi_label_classification"),
        (3, torch.tensor([2, 0], dtype=torch.int32), None),
        (3, torch.tensor([[2], [0]]), "single_label_classification"),
        (3, torch.tensor([2, -100]), None),
    ],
)
def test_the_loss_that_labels_and_problem_type_call_for(
    pair, num_labels, labels, problem_type
) -> None:
    models = pair(CLASSIFICATION, num_labels=num_labels, problem_type=problem_type)
    pixels = models.pixels()
    with torch.inference_mode():
        expected = models.theirs(
            pixels, labels=labels.long() if labels.dtype == torch.int32 else labels
        )
        output = models.ours(pixels, labels=labels)
    assert difference(output.loss, expected.loss) <= LOSSES


@pytest.mark.parametrize("kind", [MODEL, PRETRAINING, CLASSIFICATION])
def test_return_dict_false_gives_the_same_tuple(pair, kind) -> None:
    models = pair(kind)
    inputs = {"pixel_values": models.pixels(), "return_dict": False}
    if kind == PRETRAINING:
        inputs["bool_masked_pos"] = models.mask()
    if kind == CLASSIFICATION:
        inputs["labels"] = torch.tensor([0, 1])
    for asked in ({}, {"output_hidden_states": True}, {"output_attentions": True}):
        with torch.inference_mode():
            expected, output = models.theirs(**inputs, **asked), models.ours(**inputs, **asked)
        assert isinstance(output, tuple)
        assert [type(value) for value in output] == [type(value) for value in expected]
        assert difference(output[0], expected[0]) <= OUTPUTS


def test_dropout_in_training_falls_where_the_references_does(pair) -> None:
    dropout = {"hidden_dropout_prob": 0.3, "attention_probs_dropout_prob": 0.2}
    models = pair(CLASSIFICATION, **dropout)
    pixels = models.pixels()
    torch.manual_seed(0)
    expected = models.theirs.train()(pixels).logits
    torch.manual_seed(0)
    assert difference(models.ours.train()(pixels).logits, expected) <= OUTPUTS
    with torch.inference_mode():
        assert difference(models.ours.eval()(pixels).logits, expected) > 100 * OUTPUTS


def test_the_fused_kernel_drops_attention_in_training_only(pair) -> None:
    models = pair(MODEL, "sdpa", attention_probs_dropout_prob=0.5)
    pixels = models.pixels()
    with torch.inference_mode():
        still = [models.ours.eval()(pixels).last_hidden_state for _ in range(2)]
        shaken = [models.ours.train()(pixels).last_hidden_state for _ in range(2)]
    assert difference(*still) == 0
    assert difference(*shaken) > OUTPUTS


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_outputs_are_close_and_of_that_dtype(pair, dtype) -> None:
    models = pair(CLASSIFICATION)
    pixels = models.pixels()
    with torch.inference_mode():
        exact = models.ours(pixels).logits
        rough = models.ours.to(dtype)(pixels).logits
    assert rough.dtype is dtype
    assert difference(rough.float(), exact) < 0.05 * exact.abs().max()
