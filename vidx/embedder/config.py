"""VideoMAEConfig: the shape of a VideoMAE encoder, as a checkpoint's config.json says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from vidx.embedder.jsonfile import read_json_object
from vidx.errors import CheckpointError

ACTIVATIONS = ("gelu", "gelu_new", "relu", "selu")
CLASSIFIER = "VideoMAEForVideoClassification"


@dataclass(frozen=True, slots=True)
class VideoMAEConfig:
    """What the encoder's shape and arithmetic depend on.

    The names and defaults are those of transformers' `VideoMAEConfig`.

    Attributes:
        image_size: (height, width) of a frame in pixels.
        patch_size: (height, width) of a tubelet in pixels.
        num_channels: Colour channels.
        num_frames: Frames of a clip.
        tubelet_size: Frames of a tubelet.
        hidden_size: Length of a token.
        num_hidden_layers: Transformer blocks.
        num_attention_heads: Heads in each block.
        intermediate_size: Width of each block's MLP.
        hidden_act: The MLP's activation, one of `ACTIVATIONS`.
        layer_norm_eps: Epsilon of the layer norms, but the head's.
        qkv_bias: Whether queries and values have a bias (keys never have).
        use_mean_pooling: True: the head pools all tokens, and the encoder has no final norm.
        labels: The head's class names in order; transformers' default names when none are given.
        has_head: Whether there is a classification head; None when the config does not say.
    """

    image_size: tuple[int, int] = (224, 224)
    patch_size: tuple[int, int] = (16, 16)
    num_channels: int = 3
    num_frames: int = 16
    tubelet_size: int = 2
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-12
    qkv_bias: bool = True
    use_mean_pooling: bool = True
    labels: tuple[str, ...] = ("LABEL_0", "LABEL_1")
    has_head: bool | None = None

    def __post_init__(self) -> None:
        for name in ("hidden_size", "num_hidden_layers", "intermediate_size"):
            _check_positive(name, getattr(self, name))
        _check_positive("layer_norm_eps", self.layer_norm_eps)
        if self.num_channels != 3:
            raise _mismatch(f"num_channels is {self.num_channels}, but frames are RGB: 3 channels")
        _check_divides("hidden_size", self.hidden_size, "num_attention_heads", self)
        _check_divides("num_frames", self.num_frames, "tubelet_size", self)
        for axis in (0, 1):
            if self.image_size[axis] % self.patch_size[axis]:
                raise _mismatch(
                    f"image_size {self.image_size} is no multiple of patch_size {self.patch_size}"
                )
        if self.hidden_act not in ACTIVATIONS:
            raise _mismatch(
                f"hidden_act is {self.hidden_act!r}, known are {', '.join(ACTIVATIONS)}"
            )

    @property
    def grid(self) -> tuple[int, int, int]:
        """Tubelets of a clip along (time, height, width)."""
        return (
            self.num_frames // self.tubelet_size,
            self.image_size[0] // self.patch_size[0],
            self.image_size[1] // self.patch_size[1],
        )

    @classmethod
    def from_file(cls, path: Path) -> VideoMAEConfig:
        """Read a checkpoint's config.json.

        Args:
            path: The file.

        Returns:
            The config.

        Raises:
            CheckpointError: The file is not JSON, or not a consistent VideoMAE config.
        """
        return cls.from_dict(read_json_object(path))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> VideoMAEConfig:
        """Take what the encoder needs of a config; other keys belong to other parts.

        Args:
            values: Keys of config.json; a missing one has transformers' default.

        Returns:
            The config.

        Raises:
            CheckpointError: Another architecture, a wrong type, or a wrong combination.
        """
        if values.get("model_type") != "videomae":
            raise CheckpointError(
                f"the checkpoint's model_type is {values.get('model_type')!r}, not 'videomae'",
                "Name a VideoMAE checkpoint in the hub's layout.",
            )
        given = {"qkv_bias": values["qv_bias"]} if "qv_bias" in values else {}
        given |= {f.name: values[f.name] for f in fields(cls) if f.name in values}
        for name in ("image_size", "patch_size"):
            if name in given:
                given[name] = _pair(name, given[name])
        _check_types(given)
        return cls(**given | _head(values))


def _head(values: Mapping[str, Any]) -> dict[str, Any]:
    """The class names, and whether the checkpoint's class has a head."""
    count = values.get("num_labels", 2)
    names = values.get("id2label") or {str(i): f"LABEL_{i}" for i in range(count)}
    try:
        labels = tuple(str(names[str(i)]) for i in range(len(names)))
    except (KeyError, TypeError):
        raise _mismatch("id2label must name the classes '0', '1', '2' ... without a gap") from None
    architectures = values.get("architectures")
    return {"labels": labels, "has_head": CLASSIFIER in architectures if architectures else None}


def _pair(name: str, value: object) -> tuple[int, int]:
    sides = [value, value] if isinstance(value, int) else value
    match sides:
        case [int(height), int(width)] if min(height, width) > 0:
            return height, width
    raise _mismatch(f"{name} is {value!r}, it must be a positive integer or a pair of them")


def _check_types(given: Mapping[str, object]) -> None:
    for name, value in given.items():
        expected = type(getattr(VideoMAEConfig(), name))
        # A bool is an int to Python, and JSON may write the float 1.0 as 1.
        exact = type(value) is expected or (expected is float and type(value) is int)
        if not exact:
            raise _mismatch(f"{name} is {value!r}, it must be of type {expected.__name__}")


def _check_positive(name: str, value: float) -> None:
    if not value > 0:
        raise _mismatch(f"{name} is {value}, it must be positive")


def _check_divides(name: str, value: int, divisor_name: str, config: VideoMAEConfig) -> None:
    divisor = getattr(config, divisor_name)
    _check_positive(name, value)
    _check_positive(divisor_name, divisor)
    if value % divisor:
        raise _mismatch(f"{name} {value} is not a multiple of {divisor_name} {divisor}")


def _mismatch(problem: str) -> CheckpointError:
    return CheckpointError(
        problem, "Mend the checkpoint's config.json, or name another checkpoint."
    )
