"""VideoMAE: a Vision Transformer over space and time at once, its decoder and its classifier.

Tong et al., "VideoMAE: Masked Autoencoders are Data-Efficient Learners for Self-Supervised Video
Pre-Training", 2022 (arXiv:2203.12602). Read it from top to bottom: positions, attention, MLP,
block, encoder, decoder, head, and the three models made of them. The names of the encoder's and
the head's parameters are part of every fingerprint.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own documentation calls it F)
from torch import Tensor, nn

from vidx.embedder.videomae.checks import (
    check_head_mask,
    check_mask,
    check_pixels,
    check_something_masked,
)
from vidx.embedder.videomae.losses import (
    PIXEL_MEAN,
    classification_loss,
    pixel_targets,
    tubelets,
)
from vidx.embedder.videomae.outputs import ClassificationOutput, EncoderOutput, PreTrainingOutput
from vidx.embedder.videomae.pretrained import PreTrained
from vidx.embedder.videomae.weights import DECODER_PARTS, HEAD_PARTS
from vidx.errors import CheckpointError

if TYPE_CHECKING:
    from vidx.embedder.videomae.config import VideoMAEConfig

# torch's default: the reference gives both heads' norms this, and not the config's layer_norm_eps.
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
    """Layer norm with float32 arithmetic, whatever it is given."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise over the last axis; shape and dtype stay."""
        weight, bias = self.weight.float(), self.bias.float()  # (dim,), (dim,)
        normed = F.layer_norm(x.float(), self.normalized_shape, weight, bias, self.eps)
        return normed.to(x.dtype)  # (..., dim)


class Attention(nn.Module):
    """Self-attention of all tokens of a clip; keys have no bias."""

    def __init__(self, config: VideoMAEConfig, attn_implementation: str) -> None:
        super().__init__()
        dim = config.hidden_size
        self.num_heads = config.num_attention_heads
        self.fused = attn_implementation == "sdpa"
        self.query = nn.Linear(dim, dim, bias=config.qkv_bias)
        self.key = nn.Linear(dim, dim, bias=False)
        self.value = nn.Linear(dim, dim, bias=config.qkv_bias)
        self.probability_dropout = nn.Dropout(config.attention_probs_dropout_prob)
        self.output = nn.Linear(dim, dim)
        self.output_dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(
        self, x: Tensor, head_mask: Tensor | None = None, *, with_attentions: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Attend.

        Args:
            x: Shape (batch, tokens, dim).
            head_mask: Multiplies each head's attention probabilities, shape (heads, 1, 1).
            with_attentions: Whether to give the probabilities, which the fused kernel cannot.

        Returns:
            The same shape; and the probabilities, shape (batch, heads, tokens, tokens), or None.
        """
        query = self._split(self.query(x))  # (batch, heads, tokens, dim / heads)
        key = self._split(self.key(x))  # (batch, heads, tokens, dim / heads)
        value = self._split(self.value(x))  # (batch, heads, tokens, dim / heads)
        if self.fused and not with_attentions:
            attentions = None
            x = self._attend_fused(query, key, value, head_mask)  # (batch, heads, tokens, ...)
        else:
            attentions = self._attentions(query, key, head_mask)  # (batch, heads, tokens, tokens)
            x = attentions @ value  # (batch, heads, tokens, dim / heads)
        x = x.transpose(1, 2).flatten(2)  # (batch, tokens, dim)
        return self.output_dropout(self.output(x)), attentions  # (batch, tokens, dim)

    def _split(self, x: Tensor) -> Tensor:
        """Part the heads: (batch, tokens, dim) to (batch, heads, tokens, dim / heads)."""
        batch, tokens, _ = x.shape
        return x.view(batch, tokens, self.num_heads, -1).transpose(1, 2)

    def _attentions(self, query: Tensor, key: Tensor, head_mask: Tensor | None) -> Tensor:
        """Who attends to whom, shape (batch, heads, tokens, tokens)."""
        scores = query @ key.transpose(2, 3) * query.shape[3] ** -0.5  # (batch, heads, tokens, ...)
        probabilities = scores.float().softmax(dim=3).to(query.dtype)  # (batch, heads, tokens, ...)
        dropped: Tensor = self.probability_dropout(probabilities)  # (batch, heads, tokens, tokens)
        return dropped if head_mask is None else dropped * head_mask

    def _attend_fused(
        self, query: Tensor, key: Tensor, value: Tensor, head_mask: Tensor | None
    ) -> Tensor:
        """The same in one kernel, shape (batch, heads, tokens, dim / heads)."""
        dropout = self.probability_dropout.p if self.training else 0.0
        x = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        # A head's probabilities times a number give its output times that number.
        return x if head_mask is None else x * head_mask


class MLP(nn.Module):
    """Two linear layers with an activation between, on each token by itself."""

    def __init__(self, config: VideoMAEConfig) -> None:
        super().__init__()
        self.activation = ACTIVATION_FUNCTIONS[config.hidden_act]
        self.expand = nn.Linear(config.hidden_size, config.intermediate_size)
        self.shrink = nn.Linear(config.intermediate_size, config.hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, x: Tensor) -> Tensor:
        """Apply to (batch, tokens, dim); the same shape."""
        x = self.activation(self.expand(x))  # (batch, tokens, intermediate)
        output: Tensor = self.dropout(self.shrink(x))  # (batch, tokens, dim)
        return output


class Block(nn.Module):
    """One pre-norm transformer block."""

    def __init__(self, config: VideoMAEConfig, attn_implementation: str) -> None:
        super().__init__()
        self.attention_norm = LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.attention = Attention(config, attn_implementation)
        self.mlp_norm = LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mlp = MLP(config)

    def forward(
        self, x: Tensor, head_mask: Tensor | None = None, *, with_attentions: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Apply to (batch, tokens, dim); the same shape, and attention's probabilities."""
        attended, attentions = self.attention(
            self.attention_norm(x), head_mask, with_attentions=with_attentions
        )  # (batch, tokens, dim), (batch, heads, tokens, tokens)
        x = x + attended  # (batch, tokens, dim)
        return x + self.mlp(self.mlp_norm(x)), attentions  # (batch, tokens, dim)


class Encoder(nn.Module):
    """Clips to one token a visible tubelet."""

    positions: Tensor

    def __init__(self, config: VideoMAEConfig, attn_implementation: str) -> None:
        super().__init__()
        self.config = config
        self.fused = attn_implementation == "sdpa"
        dim = config.hidden_size
        tubelet = (config.tubelet_size, *config.patch_shape)
        self.tubelet_embedding = nn.Conv3d(config.num_channels, dim, tubelet, stride=tubelet)
        positions = sinusoidal_positions(config.num_tokens, dim)  # (tokens, dim)
        self.register_buffer("positions", positions, persistent=False)
        self.blocks = nn.ModuleList(
            Block(config, attn_implementation) for _ in range(config.num_hidden_layers)
        )
        # With mean pooling the norm sits in the classifier instead, after the pooling.
        self.final_norm = (
            None if config.use_mean_pooling else LayerNorm(dim, eps=config.layer_norm_eps)
        )

    def forward(
        self,
        pixel_values: Tensor,
        bool_masked_pos: Tensor | None = None,
        head_mask: Tensor | None = None,
        *,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
    ) -> EncoderOutput:
        """Encode clips; arguments and result are those of `VideoMAEModel.forward`."""
        if output_attentions and self.fused:
            warnings.warn(
                "attentions are asked for, which sdpa does not give: the eager path computes them",
                stacklevel=7,
            )
        x = self._embed(pixel_values, bool_masked_pos)  # (batch, visible, dim)
        hidden_states, attentions = [x], []
        for block, heads in zip(self.blocks, self._heads(head_mask), strict=True):
            x, probabilities = block(x, heads, with_attentions=output_attentions)
            attentions.append(probabilities)  # (batch, heads, visible, visible) each
            if output_hidden_states:
                hidden_states.append(x)  # (batch, visible, dim) each
        return EncoderOutput(
            last_hidden_state=x if self.final_norm is None else self.final_norm(x),
            hidden_states=tuple(hidden_states) if output_hidden_states else None,
            attentions=tuple(attentions) if output_attentions else None,
        )

    def _embed(self, pixel_values: Tensor, bool_masked_pos: Tensor | None) -> Tensor:
        check_pixels(pixel_values, self.config)
        x = tubelets(pixel_values, self.config).flatten(2)  # (batch, tokens, values)
        positions = self.positions.expand(len(x), -1, -1)  # (batch, tokens, dim)
        if bool_masked_pos is not None:
            check_mask(bool_masked_pos, len(x), self.config)
            visible = ~bool_masked_pos
            x = x[visible].view(len(x), -1, x.shape[2])  # (batch, visible, values)
            positions = positions[visible].view(*x.shape[:2], -1)  # (batch, visible, dim)
        # A convolution whose stride is its size is a product of matrices, and slower as a
        # convolution. Its weight is (dim, channels, frames, height, width).
        kernel = self.tubelet_embedding.weight.permute(0, 2, 3, 4, 1).flatten(1)  # (dim, values)
        x = F.linear(x.to(kernel.dtype), kernel, self.tubelet_embedding.bias)
        return x + positions.to(x.dtype)  # (batch, visible, dim)

    def _heads(self, head_mask: Tensor | None) -> Sequence[Tensor | None]:
        """One mask a block, shape (heads, 1, 1)."""
        blocks = len(self.blocks)
        if head_mask is None:
            return [None] * blocks
        check_head_mask(head_mask, self.config)
        masks = head_mask.to(self.positions.device, self.tubelet_embedding.weight.dtype)
        return list(masks.expand(blocks, -1)[..., None, None])  # blocks x (heads, 1, 1)


class Decoder(nn.Module):
    """Visible tokens to the masked tubelets' pixels; pre-training only."""

    positions: Tensor

    def __init__(self, config: VideoMAEConfig, attn_implementation: str) -> None:
        super().__init__()
        own = config.for_decoder()
        dim = own.hidden_size
        self.project = nn.Linear(config.hidden_size, dim, bias=False)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dim))
        positions = sinusoidal_positions(config.num_tokens, dim)  # (tokens, dim)
        self.register_buffer("positions", positions, persistent=False)
        self.blocks = nn.ModuleList(
            Block(own, attn_implementation) for _ in range(own.num_hidden_layers)
        )
        self.norm = LayerNorm(dim, eps=HEAD_NORM_EPS)
        self.predict = nn.Linear(dim, config.values_per_tubelet)

    def forward(self, hidden: Tensor, bool_masked_pos: Tensor) -> Tensor:
        """Predict pixels.

        Args:
            hidden: The encoder's last hidden state, shape (batch, visible, encoder's dim).
            bool_masked_pos: Shape (batch, tokens), True where masked.

        Returns:
            Shape (batch, masked, values of a tubelet).
        """
        x = self.project(hidden)  # (batch, visible, dim)
        batch, _, dim = x.shape
        positions = self.positions.to(x.dtype).expand(batch, -1, -1)  # (batch, tokens, dim)
        visible = x + positions[~bool_masked_pos].view(batch, -1, dim)  # (batch, visible, dim)
        masked = self.mask_token + positions[bool_masked_pos].view(batch, -1, dim)  # (b, masked, d)
        x = torch.cat([visible, masked], dim=1)  # (batch, tokens, dim)
        for block in self.blocks:
            x, _ = block(x)  # (batch, tokens, dim)
        x = self.norm(x[:, visible.shape[1] :])  # (batch, masked, dim)
        pixels: Tensor = self.predict(x)  # (batch, masked, values)
        return pixels


class Head(nn.Module):
    """Last hidden state to class logits."""

    def __init__(self, config: VideoMAEConfig) -> None:
        super().__init__()
        dim = config.hidden_size
        self.norm = LayerNorm(dim, eps=HEAD_NORM_EPS) if config.use_mean_pooling else None
        self.classifier = nn.Linear(dim, config.num_labels)

    def forward(self, hidden: Tensor) -> Tensor:
        """Classify: (batch, tokens, dim) to (batch, labels)."""
        # Without pooling the first token speaks for all.
        x = hidden[:, 0] if self.norm is None else self.norm(hidden.mean(dim=1))  # (batch, dim)
        logits: Tensor = self.classifier(x)  # (batch, labels)
        return logits


class VideoMAEModel(PreTrained):
    """The encoder by itself.

    Args:
        config: The shape. The weights are random until they are loaded.
        attn_implementation: `sdpa` (torch's fused kernels) or `eager` (written out).
    """

    ignored_parts = re.compile(f"{DECODER_PARTS.pattern}|{HEAD_PARTS.pattern}")

    def __init__(self, config: VideoMAEConfig, *, attn_implementation: str = "sdpa") -> None:
        super().__init__(config, attn_implementation=attn_implementation)
        self.encoder = Encoder(config, attn_implementation)
        self.initialize()

    def forward(
        self,
        pixel_values: Tensor,
        bool_masked_pos: Tensor | None = None,
        head_mask: Tensor | None = None,
        *,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
        return_dict: bool = True,
    ) -> EncoderOutput | tuple[Tensor | tuple[Tensor, ...], ...]:
        """Encode clips.

        Args:
            pixel_values: Normalised pixels, floating point, shape (batch, frames, channels, height,
                width).
            bool_masked_pos: bool, shape (batch, tokens), True where a tubelet is left out, equally
                many in each row; None leaves none out.
            head_mask: Multiplies the attention probabilities of each head, shape (heads,) or
                (blocks, heads); None multiplies nothing.
            output_attentions: Whether to give every block's attention probabilities.
            output_hidden_states: Whether to give the tokens before, between and after the blocks.
            return_dict: False gives a tuple of what is not None.

        Returns:
            The last hidden state, shape (batch, visible tokens, dim), and what was asked for.

        Raises:
            UsageError: An argument of a wrong shape, dtype or range.
        """
        output: EncoderOutput = self.encoder(
            pixel_values,
            bool_masked_pos,
            head_mask,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
        )
        return output if return_dict else output.to_tuple()


class VideoMAEForPreTraining(PreTrained):
    """Encoder and decoder: predicts masked pixels from visible ones.

    Args:
        config: The shape. The weights are random until they are loaded.
        attn_implementation: `sdpa` (torch's fused kernels) or `eager` (written out).

    Raises:
        CheckpointError: The config's values do not go together for pre-training.
    """

    ignored_parts = HEAD_PARTS

    def __init__(self, config: VideoMAEConfig, *, attn_implementation: str = "sdpa") -> None:
        super().__init__(config, attn_implementation=attn_implementation)
        if not config.norm_pix_loss and config.num_channels != len(PIXEL_MEAN):
            raise CheckpointError(
                f"norm_pix_loss is False with num_channels {config.num_channels}: pixels can be "
                "brought back to [0, 1] for RGB only",
                "Set norm_pix_loss.",
            )
        self.encoder = Encoder(config, attn_implementation)
        self.decoder = Decoder(config, attn_implementation)
        self.initialize()

    def forward(
        self,
        pixel_values: Tensor,
        bool_masked_pos: Tensor,
        head_mask: Tensor | None = None,
        *,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
        return_dict: bool = True,
    ) -> PreTrainingOutput | tuple[Tensor | tuple[Tensor, ...], ...]:
        """Predict the masked tubelets' pixels, and say how far off they are.

        Args:
            pixel_values: As for `VideoMAEModel`, normalised with ImageNet's mean and deviation.
            bool_masked_pos: bool, shape (batch, tokens), True where masked, equally many in each
                row; `tube_mask` makes one.
            head_mask: As for `VideoMAEModel`; the decoder's heads are not masked.
            output_attentions: Whether to give the encoder's attention probabilities.
            output_hidden_states: Whether to give the encoder's hidden states.
            return_dict: False gives a tuple of what is not None.

        Returns:
            The loss, the prediction, and what was asked for.

        Raises:
            UsageError: An argument of a wrong shape, dtype or range.
        """
        encoded: EncoderOutput = self.encoder(
            pixel_values,
            bool_masked_pos,
            head_mask,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
        )
        check_something_masked(bool_masked_pos)
        logits = self.decoder(encoded.last_hidden_state, bool_masked_pos)  # (batch, masked, values)
        targets = pixel_targets(pixel_values, bool_masked_pos, self.config)  # the same shape
        output = PreTrainingOutput(
            loss=F.mse_loss(logits.float(), targets),
            logits=logits,
            hidden_states=encoded.hidden_states,
            attentions=encoded.attentions,
        )
        return output if return_dict else output.to_tuple()


class VideoMAEForVideoClassification(PreTrained):
    """Encoder and classifier.

    Args:
        config: The shape; one class for each of its labels. The weights are random until they are
            loaded.
        attn_implementation: `sdpa` (torch's fused kernels) or `eager` (written out).
    """

    ignored_parts = DECODER_PARTS

    def __init__(self, config: VideoMAEConfig, *, attn_implementation: str = "sdpa") -> None:
        super().__init__(config, attn_implementation=attn_implementation)
        self.encoder = Encoder(config, attn_implementation)
        self.head = Head(config)
        self.initialize()

    def forward(
        self,
        pixel_values: Tensor,
        head_mask: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
        return_dict: bool = True,
    ) -> ClassificationOutput | tuple[Tensor | tuple[Tensor, ...], ...]:
        """Classify clips.

        Args:
            pixel_values: As for `VideoMAEModel`.
            head_mask: As for `VideoMAEModel`.
            labels: The right answers, see `losses.classification_loss`; None gives no loss.
            output_attentions: Whether to give the encoder's attention probabilities.
            output_hidden_states: Whether to give the encoder's hidden states.
            return_dict: False gives a tuple of what is not None.

        Returns:
            The loss if there are labels, the logits, and what was asked for.

        Raises:
            UsageError: An argument of a wrong shape, dtype or range.
        """
        encoded: EncoderOutput = self.encoder(
            pixel_values,
            None,
            head_mask,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
        )
        logits = self.head(encoded.last_hidden_state)  # (batch, labels)
        loss = None if labels is None else classification_loss(logits, labels, self.config)
        output = ClassificationOutput(
            loss=loss,
            logits=logits,
            hidden_states=encoded.hidden_states,
            attentions=encoded.attentions,
        )
        return output if return_dict else output.to_tuple()


# What embeds: with the classifier where the checkpoint has one.
Model = VideoMAEModel | VideoMAEForVideoClassification
