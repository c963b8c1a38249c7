"""Pairs of models with the same random weights: transformers', and ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

CONFIGS = {
    "tiny": {},
    "heads-of-12": {
        "hidden_size": 60,
        "num_attention_heads": 5,
        "decoder_hidden_size": 42,
        "decoder_num_attention_heads": 3,
    },
    "8-frames": {"num_frames": 8, "hidden_act": "gelu_new", "qkv_bias": False},
    "tubelet-4": {"tubelet_size": 4, "hidden_act": "relu", "layer_norm_eps": 1e-3},
    "first-token": {"use_mean_pooling": False, "norm_pix_loss": False, "image_size": 48},
    "one-channel": {"num_channels": 1, "decoder_num_hidden_layers": 2, "hidden_act": "selu"},
}
BASE = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "image_size": 224,
    "patch_size": 16,
    "decoder_hidden_size": 384,
    "decoder_num_hidden_layers": 4,
    "decoder_num_attention_heads": 6,
    "decoder_intermediate_size": 1536,
}


@pytest.fixture(params=[*CONFIGS, pytest.param("base", marks=pytest.mark.long)])
def shape(request: pytest.FixtureRequest) -> dict:
    """One configuration after the other, on top of `made_checkpoints.TINY`."""
    return BASE if request.param == "base" else CONFIGS[request.param]


@dataclass
class Pair:
    """The same weights twice."""

    theirs: object
    ours: object

    @property
    def batch(self) -> int:
        """One clip of the base model is work enough."""
        return 1 if self.ours.config.num_tokens > 1000 else 2

    def pixels(self):
        import torch

        c = self.ours.config
        generator = torch.Generator().manual_seed(1)
        size = (self.batch, c.num_frames, c.num_channels, *c.frame_shape)
        return torch.randn(size, generator=generator)

    def mask(self):
        """As many masked in each row, but anywhere."""
        import torch

        tokens = self.ours.config.num_tokens
        order = torch.rand(self.batch, tokens, generator=torch.Generator().manual_seed(2))
        return order.argsort(dim=1) < tokens * 3 // 4

    def gradients(self) -> tuple[dict, dict]:
        """Theirs and ours under the hub's names."""
        from vidx.embedder.videomae.weights import hub_name

        theirs = {n.removeprefix("videomae."): p.grad for n, p in self.theirs.named_parameters()}
        return theirs, {hub_name(n): p.grad for n, p in self.ours.named_parameters()}


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Pair]:
    """pair(class name, attn_implementation, **config) -> Pair, in evaluation mode."""
    import torch
    import transformers
    from made_checkpoints import TINY, randomize

    from vidx.embedder import videomae

    # Documented for hidden_act, but not in every version's table.
    monkeypatch.setitem(transformers.activations.ACT2FN, "selu", torch.nn.SELU)

    def make(kind: str, attn_implementation: str = "eager", **config: object) -> Pair:
        settings = transformers.VideoMAEConfig(**TINY | config)
        settings._attn_implementation = attn_implementation
        theirs = getattr(transformers, kind)(settings)
        randomize(theirs, seed=0)
        tensors = {n.removeprefix("videomae."): v.clone() for n, v in theirs.state_dict().items()}
        ours = getattr(videomae, kind).from_tensors(
            videomae.VideoMAEConfig.from_dict(settings.to_dict()),
            tensors,
            attn_implementation=attn_implementation,
        )
        return Pair(theirs.eval(), ours.eval())

    return make


@pytest.fixture(params=["eager", "sdpa"])
def attn(request: pytest.FixtureRequest) -> str:
    return request.param
