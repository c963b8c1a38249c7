"""VideoMAE: a Vision Transformer over space and time at once, with its classification head.

Tong et al., "VideoMAE: Masked Autoencoders are Data-Efficient Learners for Self-Supervised Video
Pre-Training", 2022 (arXiv:2203.12602). Read it from top to bottom: positions, attention, MLP,
block, encoder, head, model. The names of its parameters are part of every fingerprint.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own documentation calls it F)
from torch import Tensor, nn

if TYPE_CHECKING:
    from vidx.embedder.config import VideoMAEConfig


# torch's default: transformers gives the head's norm this, and not the config's layer_norm_eps.
HEAD_NORM_EPS = 1e-5

ACTIVATION_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_new": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
    "selu": F.selu,
}


def sinusoidal_positions(num_tokens: int, dim: int) -> Tensor:
    """Fixed position table (Vaswani et al., "Attention Is All You Need", section 3.5).

    Args:
        num_tokens: Rows: tubelets in (time, height, width) order.
        dim: Columns: even ones are sines, odd ones cosines.

    Returns:
        float32, shape (num_tokens, dim).
    """
    # On the CPU whatever the default device is: the model is first built without storage.
    column = torch.arange(dim, device="cpu")  # (dim,)
    wavelength = 10000.0 ** (2 * (column // 2).double() / dim)  # (dim,)
    token = torch.arange(num_tokens, device="cpu").double()  # (tokens,)
    angle = token[:, None] / wavelength  # (tokens, dim)
    return torch.where(column % 2 == 0, angle.sin(), angle.cos()).float()  # (tokens, dim)


class LayerNorm(nn.LayerNorm):
    """Layer norm with float32 parameters and arithmetic, whatever it is given."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise over the last axis; shape and dtype stay."""
        return super().forward(x.float()).to(x.dtype)


class Attention(nn.Module):
    """Self-attention of all tokens of a clip; keys have no bias."""

    def __init__(self, config: VideoMAEConfig) -> None:
        super().__init__()
        dim = config.hidden_size
        self.num_heads = config.num_attention_heads
        self.query = nn.Linear(dim, dim, bias=config.qkv_bias)
        self.key = nn.Linear(dim, dim, bias=False)
        self.value = nn.Linear(dim, dim, bias=config.qkv_bias)
        self.output = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Attend: (batch, tokens, dim) to the same shape."""
        query = self._split(self.query(x))  # (batch, heads, tokens, dim / heads)
        key = self._split(self.key(x))  # (batch, heads, tokens, dim / heads)
        value = self._split(self.value(x))  # (batch, heads, tokens, dim / heads)
        x = F.scaled_dot_product_attention(query, key, value)  # (batch, heads, tokens, dim / heads)
        x = x.transpose(1, 2).flatten(2)  # (batch, tokens, dim)
        output: Tensor = self.output(x)  # (batch, tokens, dim)
        return output

    def _split(self, x: Tensor) -> Tensor:
        """Part the heads: (batch, tokens, dim) to (batch, heads, tokens, dim / heads)."""
        batch, tokens, _ = x.shape
        return x.view(batch, tokens, self.num_heads, -1).transpose(1, 2)


class MLP(nn.Module):
    """Two linear layers with an activation between, on each token by itself."""

    def __init__(self, config: VideoMAEConfig) -> None:
        super().__init__()
        self.activation = ACTIVATION_FUNCTIONS[config.hidden_act]
        self.expand = nn.Linear(config.hidden_size, config.intermediate_size)
        self.shrink = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        """Apply to (batch, tokens, dim); the same shape."""
        x = self.activation(self.expand(x))  # (batch, tokens, intermediate)
        output: Tensor = self.shrink(x)  # (batch, tokens, dim)
        return output


class Block(nn.Module):
    """One pre-norm transformer block."""

    def __init__(self, config: VideoMAEConfig) -> None:
        super().__init__()
        self.attention_norm = LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.attention = Attention(config)
        self.mlp_norm = LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mlp = MLP(config)

    def forward(self, x: Tensor) -> Tensor:
        """Apply to (batch, tokens, dim); the same shape."""
        x = x + self.attention(self.attention_norm(x))  # (batch, tokens, dim)
        output: Tensor = x + self.mlp(self.mlp_norm(x))  # (batch, tokens, dim)
        return output


class Encoder(nn.Module):
    """Clips to one token a tubelet."""

    positions: Tensor

    def __init__(self, config: VideoMAEConfig) -> None:
        super().__init__()
        tubelet = (config.tubelet_size, *config.patch_size)
        self.tubelet_embedding = nn.Conv3d(3, config.hidden_size, tubelet, stride=tubelet)
        time, height, width = config.grid
        positions = sinusoidal_positions(time * height * width, config.hidden_size)
        self.register_buffer("positions", positions, persistent=False)  # (tokens, dim)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        # With mean pooling the norm sits in the head instead, after the pooling.
        self.final_norm = (
            None
            if config.use_mean_pooling
            else LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        )

    def forward(self, frames: Tensor) -> Tensor:
        """Encode clips.

        Args:
            frames: Normalised pixels, float, shape (batch, frames, 3, height, width).

        Returns:
            The last hidden state, shape (batch, tokens, dim), in the encoder's dtype.
        """
        x = frames.to(self.tubelet_embedding.weight.dtype)  # (batch, frames, 3, height, width)
        x = x.transpose(1, 2)  # (batch, 3, frames, height, width)
        x = self.tubelet_embedding(x)  # (batch, dim, *grid)
        x = x.flatten(2).transpose(1, 2)  # (batch, tokens, dim)
        x = x + self.positions.to(x.dtype)  # (batch, tokens, dim)
        for block in self.blocks:
            x = block(x)  # (batch, tokens, dim)
        norm = nn.Identity() if self.final_norm is None else self.final_norm
        hidden: Tensor = norm(x)  # (batch, tokens, dim)
        return hidden


class Head(nn.Module):
    """Last hidden state to class logits."""

    def __init__(self, config: VideoMAEConfig) -> None:
        super().__init__()
        dim = config.hidden_size
        self.norm = LayerNorm(dim, eps=HEAD_NORM_EPS) if config.use_mean_pooling else None
        self.classifier = nn.Linear(dim, len(config.labels))

    def forward(self, hidden: Tensor) -> Tensor:
        """Classify: (batch, tokens, dim) to (batch, labels)."""
        # Without pooling the first token speaks for all.
        x = hidden[:, 0] if self.norm is None else self.norm(hidden.mean(dim=1))  # (batch, dim)
        logits: Tensor = self.classifier(x)  # (batch, labels)
        return logits


@dataclass(frozen=True, slots=True)
class Output:
    """What one forward pass gives, in float32.

    Attributes:
        hidden: The last hidden state, shape (batch, tokens, dim).
        embedding: Its mean over tokens, shape (batch, dim).
        logits: Class scores, shape (batch, labels), or None without a head.
    """

    hidden: Tensor
    embedding: Tensor
    logits: Tensor | None


class VideoMAE(nn.Module):
    """The encoder and, where the checkpoint has one, its classification head.

    Args:
        config: The shape.
        with_head: Whether there is a head; it has one output for each of the config's labels.
    """

    def __init__(self, config: VideoMAEConfig, *, with_head: bool) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.head = Head(config) if with_head else None

    def set_precision(self, dtype: torch.dtype) -> None:
        """Compute in a dtype; norms, pooling and head stay in float32.

        Args:
            dtype: Of the encoder's matrix products and of the values between its blocks.
        """
        self.float()
        for module in self.encoder.modules():
            if isinstance(module, nn.Linear | nn.Conv3d):
                module.to(dtype)

    def forward(self, frames: Tensor) -> Output:
        """Embed and classify clips.

        Args:
            frames: Normalised pixels, float, shape (batch, frames, 3, height, width).

        Returns:
            Hidden state, embedding and logits.
        """
        hidden = self.encoder(frames).float()  # (batch, tokens, dim)
        logits = None if self.head is None else self.head(hidden)  # (batch, labels)
        return Output(hidden, hidden.mean(dim=1), logits)
