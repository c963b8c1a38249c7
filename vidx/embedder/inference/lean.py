"""LeanEncoder: VideoMAE for inference alone, from uint8 frames to embeddings and logits.

The arithmetic of `videomae.model` with everything left out that only training or inspection
needs, and with the steps of the device's choice: normalising folded into the tubelet projection,
one product for queries, keys and values, in-place activations and sums.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own documentation calls it F)
from torch import Tensor, nn

from vidx.embedder.inference.attention import fused_attention, holding
from vidx.embedder.videomae.model import (
    MLP,
    Attention,
    Block,
    LayerNorm,
    Model,
    VideoMAEForVideoClassification,
)

if TYPE_CHECKING:
    from vidx.embedder.videomae.config import VideoMAEConfig
    from vidx.embedder.videomae.preprocess import Preprocessing

# Pixels enter the projection as (pixel - MIDDLE) / SCALE: exact in every precision, and of a size
# that keeps the projection's weights about as large as they were.
MIDDLE, SCALE = 128, 64
# On a CPU the widest values of one pass, an MLP's, should stay in the cache. Beyond 32 MiB, glibc's
# malloc would also get them from the system each time, zeroed.
CPU_BYTES = 10 << 20

IN_PLACE_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": torch.ops.aten.gelu_,
    "gelu_new": partial(torch.ops.aten.gelu_, approximate="tanh"),
    "relu": torch.relu_,
    "selu": torch.selu_,
}


class LeanEncoder(nn.Module):
    """uint8 frames to embeddings and logits.

    Args:
        model: Loaded; its weights are shared where device and precision allow it.
        preprocessing: The checkpoint's; what it normalises by goes into the weights.
        device: Where to compute.
        dtype: Of the matrix products; norms, pooling and head are float32.
    """

    def __init__(
        self,
        model: Model,
        preprocessing: Preprocessing,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        config = model.config
        self.config = config
        self.dtype = dtype
        kernel, offsets = _projection(model, preprocessing)
        self.kernel = _frozen(kernel, device, dtype)  # (dim, values of a tubelet)
        self.offsets = _frozen(offsets, device, dtype)  # (tokens, dim)
        self.centre = _frozen(torch.tensor(-MIDDLE / SCALE), device, torch.float32)  # ()
        blocks = (block for block in model.encoder.blocks if isinstance(block, Block))
        self.blocks = nn.ModuleList(_LeanBlock(block, config, device, dtype) for block in blocks)
        norm = model.encoder.final_norm
        self.final_norm = norm and _Norm(norm, device, dtype)
        head = model.head if isinstance(model, VideoMAEForVideoClassification) else None
        self.head_norm = _Norm(head.norm, device, torch.float32) if head and head.norm else None
        self.classifier = _Linear(*_parts(head.classifier), device, torch.float32) if head else None
        self.attention = fused_attention(config, self.kernel.device, dtype)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.kernel.device

    @property
    def frames_shape(self) -> tuple[int, int, int, int]:
        """Shape of a clip: (frames, height, width, 3)."""
        return (self.config.num_frames, *self.config.frame_shape, 3)

    @property
    def clips_at_once(self) -> int:
        """Clips in one pass of the CPU, which a larger batch is cut into."""
        widest = 4 * self.config.num_tokens * self.config.intermediate_size
        return max(1, CPU_BYTES // widest)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor | None]:
        """Embed clips, and classify them where the model can.

        Args:
            frames: uint8, shape (batch, frames, height, width, 3), of the model's size.

        Returns:
            The mean over tokens of the last hidden state, shape (batch, dim), and class scores,
            shape (batch, labels), or None; both float32.
        """
        with holding(self.attention):
            return self._passes(frames)

    def _passes(self, frames: Tensor) -> tuple[Tensor, Tensor | None]:
        """In parts on a CPU, which is quickest with what its cache holds."""
        if frames.device.type != "cpu" or len(frames) <= self.clips_at_once:
            return self._pass(frames)
        cuts = range(0, len(frames), self.clips_at_once)
        parts = [self._pass(frames[cut : cut + self.clips_at_once]) for cut in cuts]
        embeddings = torch.cat([part for part, _ in parts])  # (batch, dim)
        logits = [part for _, part in parts if part is not None]
        return embeddings, torch.cat(logits) if logits else None  # (batch, labels)

    def _pass(self, frames: Tensor) -> tuple[Tensor, Tensor | None]:
        x = self._pixels(frames)  # (batch, tokens, values)
        x = F.linear(x, self.kernel)  # (batch, tokens, dim)
        x += self.offsets
        for block in self.blocks:
            x = block(x)  # (batch, tokens, dim)
        hidden = x if self.final_norm is None else self.final_norm(x)  # (batch, tokens, dim)
        pooled = hidden.mean(dim=1, dtype=torch.float32)  # (batch, dim)
        if self.classifier is None:
            return pooled, None
        # Without pooling the first token speaks for all.
        x = hidden[:, 0].float() if self.head_norm is None else self.head_norm(pooled)
        return pooled, self.classifier(x)  # (batch, labels)

    def _pixels(self, frames: Tensor) -> Tensor:
        """Cut clips into tubelets, shape (batch, tokens, values), centred and scaled."""
        time, rows, columns = self.config.grid
        height, width = self.config.patch_shape
        x = frames.view(len(frames), time, -1, rows, height, columns, width, 3)
        x = x.permute(0, 1, 3, 5, 2, 4, 6, 7)  # (batch, t, rows, columns, frames, h, w, 3)
        if x.device.type == "cuda":  # in one kernel
            scaled = torch.empty(x.shape, dtype=self.dtype, device=x.device)
            torch.add(self.centre, x, alpha=1 / SCALE, out=scaled)
            return scaled.reshape(len(frames), time * rows * columns, -1)
        x = x.reshape(len(frames), time * rows * columns, -1)  # (batch, tokens, values)
        return x.to(self.dtype).sub_(MIDDLE).div_(SCALE)


class _LeanBlock(nn.Module):
    """One pre-norm transformer block, changing its input in place."""

    def __init__(
        self, block: Block, config: VideoMAEConfig, device: torch.device | str, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.num_heads = config.num_attention_heads
        self.attention_norm = _Norm(block.attention_norm, device, dtype)
        self.qkv = _Linear(*_joined(block.attention), device, dtype)
        self.output = _Linear(*_parts(block.attention.output), device, dtype)
        self.mlp_norm = _Norm(block.mlp_norm, device, dtype)
        self.expand = _expansion(block.mlp, config.hidden_act, device, dtype)
        self.shrink = _Linear(*_parts(block.mlp.shrink), device, dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Apply to (batch, tokens, dim); the same tensor."""
        x += self.output(self._attend(self.qkv(self.attention_norm(x))))
        x += self.shrink(self.expand(self.mlp_norm(x)))
        return x

    def _attend(self, qkv: Tensor) -> Tensor:
        """(batch, tokens, 3 x dim) to (batch, tokens, dim)."""
        batch, tokens, width = qkv.shape
        x = qkv.view(batch, tokens, 3, self.num_heads, width // 3 // self.num_heads)
        query, key, value = x.permute(2, 0, 3, 1, 4)  # each (batch, heads, tokens, dim / heads)
        x = F.scaled_dot_product_attention(query, key, value)
        return x.transpose(1, 2).reshape(batch, tokens, -1)


class _Norm(nn.Module):
    """Layer norm; torch takes float32 statistics, whatever it is given."""

    def __init__(self, norm: LayerNorm, device: torch.device | str, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight = _frozen(norm.weight, device, dtype)  # (dim,)
        self.bias = _frozen(norm.bias, device, dtype)  # (dim,)
        self.eps = norm.eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise over the last axis; shape and dtype stay."""
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


class _Linear(nn.Module):
    """A matrix product and a bias."""

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        device: torch.device | str,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        self.weight = _frozen(weight, device, dtype)  # (outputs, inputs)
        self.bias = None if bias is None else _frozen(bias, device, dtype)  # (outputs,)

    def forward(self, x: Tensor) -> Tensor:
        """Apply to (..., inputs), giving (..., outputs)."""
        return F.linear(x, self.weight, self.bias)


class _ActiveLinear(_Linear):
    """The same with an activation behind it, in place."""

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        device: torch.device | str,
        dtype: torch.dtype,
        activation: str,
    ) -> None:
        super().__init__(weight, bias, device, dtype)
        self.activation = IN_PLACE_ACTIVATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        """Apply to (..., inputs), giving (..., outputs)."""
        return self.activation(super().forward(x))


class _GeluLinear(_Linear):
    """A matrix product with bias and GELU in its epilogue, as CUDA's libraries have it.

    They take GELU by its tanh form: within 5e-4 of the exact one, about half precision's rounding.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Apply to (..., inputs), giving (..., outputs)."""
        assert self.bias is not None  # noqa: S101 - the model makes it with one
        flat = x.flatten(0, -2)  # (all tokens, inputs)
        y = torch._addmm_activation(self.bias, flat, self.weight.t(), use_gelu=True)
        return y.view(*x.shape[:-1], -1)


def _expansion(
    mlp: MLP, activation: str, device: torch.device | str, dtype: torch.dtype
) -> _Linear:
    """The MLP's first half."""
    weight, bias = _parts(mlp.expand)
    half_on_cuda = torch.device(device).type == "cuda" and dtype != torch.float32
    if half_on_cuda and activation in ("gelu", "gelu_new"):
        return _GeluLinear(weight, bias, device, dtype)
    return _ActiveLinear(weight, bias, device, dtype, activation)


def _projection(model: Model, preprocessing: Preprocessing) -> tuple[Tensor, Tensor]:
    """The tubelet projection of `(pixel - MIDDLE) / SCALE`, and what is added to each token.

    Returns:
        float32, shapes (dim, values of a tubelet) and (tokens, dim).
    """
    convolution = model.encoder.tubelet_embedding
    # (dim, channels, frames, height, width) to (dim, frames, height, width, channels)
    kernel = convolution.weight.double().permute(0, 2, 3, 4, 1)
    mean = kernel.new_tensor(preprocessing.mean)  # (3,)
    std = kernel.new_tensor(preprocessing.std)  # (3,)
    factor = preprocessing.rescale_factor
    constant = (kernel * ((MIDDLE * factor - mean) / std)).sum((1, 2, 3, 4))  # (dim,)
    assert convolution.bias is not None  # noqa: S101 - the model makes it with one
    offset = convolution.bias.double() + constant  # (dim,)
    kernel = kernel * (SCALE * factor / std)
    return kernel.flatten(1).float(), (offset + model.encoder.positions).float()


def _joined(attention: Attention) -> tuple[Tensor, Tensor | None]:
    """Weight and bias of one product for queries, keys and values; keys have no bias."""
    query, key, value = attention.query, attention.key, attention.value
    weight = torch.cat([query.weight, key.weight, value.weight])  # (3 x dim, dim)
    if query.bias is None:
        return weight, None
    return weight, torch.cat([query.bias, torch.zeros_like(query.bias), value.bias])  # (3 x dim,)


def _parts(linear: nn.Linear) -> tuple[Tensor, Tensor | None]:
    return linear.weight, linear.bias


def _frozen(tensor: Tensor, device: torch.device | str, dtype: torch.dtype) -> nn.Parameter:
    return nn.Parameter(tensor.detach().to(device, dtype), requires_grad=False)
