"""What the three models give back: the reference's fields, in its order."""

from __future__ import annotations

from dataclasses import dataclass, fields

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Output:
    """Fields common to all outputs; what was not asked for is None.

    Attributes:
        hidden_states: The encoder's tokens before the first block and after each (before the final
            norm), each of shape (batch, tokens, dim).
        attentions: Each encoder block's attention probabilities, after dropout and head mask, each
            of shape (batch, heads, tokens, tokens).
    """

    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None

    def to_tuple(self) -> tuple[Tensor | tuple[Tensor, ...], ...]:
        """Whatever is not None, the fields of the subclass first."""
        inherited = [f.name for f in fields(Output)]
        own = [f.name for f in fields(self) if f.name not in inherited]
        values = (getattr(self, name) for name in own + inherited)
        return tuple(value for value in values if value is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderOutput(Output):
    """What `VideoMAEModel` gives.

    Attributes:
        last_hidden_state: Shape (batch, visible tokens, dim).
    """

    last_hidden_state: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class PreTrainingOutput(Output):
    """What `VideoMAEForPreTraining` gives.

    Attributes:
        loss: Mean squared error over the masked tubelets' values, a float32 scalar.
        logits: Predicted values, shape (batch, masked tokens, values of a tubelet); a tubelet's
            values are in (frame, height, width, channel) order.
    """

    loss: Tensor
    logits: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationOutput(Output):
    """What `VideoMAEForVideoClassification` gives.

    Attributes:
        loss: A scalar; None when no labels were given.
        logits: Class scores, shape (batch, labels).
    """

    loss: Tensor | None = None
    logits: Tensor
