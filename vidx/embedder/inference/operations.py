"""How many floating-point operations a clip takes, from the model's shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidx.embedder.videomae.config import VideoMAEConfig


def operations_per_clip(config: VideoMAEConfig) -> int:
    """Multiplications and additions in the encoder's matrix products, attention's included.

    Norms, activations, softmax, pooling and head are left out: below 1% of a model of any use.

    Args:
        config: The shape.

    Returns:
        Operations, two for each multiplication with its addition.

    >>> from vidx.embedder.videomae.config import VideoMAEConfig
    >>> round(operations_per_clip(VideoMAEConfig()) / 1e9)
    361
    """
    tokens, dim = config.num_tokens, config.hidden_size
    projection = tokens * config.values_per_tubelet * dim
    queries_keys_values_output = 4 * tokens * dim * dim
    attention = 2 * tokens * tokens * dim
    mlp = 2 * tokens * dim * config.intermediate_size
    block = queries_keys_values_output + attention + mlp
    return 2 * (projection + config.num_hidden_layers * block)
