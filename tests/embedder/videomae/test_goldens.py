"""What transformers 5 has dropped equals what 4.57 gave: head masks, the feature extractor."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from vidx.embedder import videomae
from vidx.embedder.videomae import VideoMAEConfig
from vidx.embedder.videomae.weights import to_hub

FOLDER = Path(__file__).parents[2] / "goldens"


@pytest.fixture(scope="module")
def script():
    """The script that wrote the goldens."""
    spec = importlib.util.spec_from_file_location("script", FOLDER / "make_videomae_goldens.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def goldens():
    with np.load(FOLDER / "videomae_goldens.npz") as file:
        return dict(file)


@pytest.fixture
def made(script):
    """made(class name, attn_implementation) -> a model with the goldens' weights."""

    def make(kind: str, attn_implementation: str):
        config = VideoMAEConfig.from_dict({"model_type": "videomae", **script.CONFIG})
        model = getattr(videomae, kind)(config, attn_implementation=attn_implementation)
        state = model.state_dict()
        for ours, theirs in zip(state, to_hub(state), strict=True):
            name = theirs.removeprefix("videomae.")
            state[ours].copy_(torch.from_numpy(script.weights(name, tuple(state[ours].shape))))
        return model.eval()

    return make


@pytest.mark.parametrize("attn", ["eager", "sdpa"])
@pytest.mark.parametrize("mask", ["head_mask_of_all_blocks", "head_mask_of_each_block"])
@pytest.mark.parametrize(
    ("kind", "further", "fields"),
    [
        ("VideoMAEModel", (), ("last_hidden_state",)),
        ("VideoMAEForPreTraining", ("bool_masked_pos",), ("logits", "loss")),
        ("VideoMAEForVideoClassification", ("labels",), ("logits", "loss")),
    ],
)
def test_head_masks(script, goldens, made, kind, further, fields, mask, attn) -> None:
    given = {name: torch.from_numpy(value) for name, value in script.inputs().items()}
    arguments = {name: given[name] for name in ("pixel_values", *further)}
    model = made(kind, attn)
    asks = attn == "eager"
    with torch.inference_mode():
        output = model(**arguments, head_mask=given[mask], output_attentions=asks)
    for field in fields:
        expected = goldens[f"{kind}/{mask}/{field}"]
        np.testing.assert_allclose(getattr(output, field), expected, atol=1e-5, rtol=0)
    if asks:
        attentions = torch.stack(output.attentions)
        np.testing.assert_allclose(attentions, goldens[f"{kind}/{mask}/attentions"], atol=1e-5)


def test_the_feature_extractor(script, goldens) -> None:
    with pytest.warns(FutureWarning, match="deprecated"):
        extractor = videomae.VideoMAEFeatureExtractor(**script.PROCESSOR)
    for number, clip in enumerate(script.frames()):
        pixels = extractor(list(clip), return_tensors="np").pixel_values
        expected = goldens[f"VideoMAEFeatureExtractor/{number}"]
        assert pixels.shape == expected.shape
        # 1/255 of a pixel before it is divided by the standard deviation, the smallest is 0.224.
        np.testing.assert_allclose(pixels, expected, atol=1 / 255 / 0.224 + 1e-6)
