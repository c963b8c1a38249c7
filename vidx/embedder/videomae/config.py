"""VideoMAEConfig: the shape of a VideoMAE model, as a checkpoint's config.json says it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from vidx.embedder.checkpoints.finding import find_config
from vidx.embedder.checkpoints.jsonfile import read_json_object
from vidx.errors import CheckpointError

MODEL_TYPE = "videomae"
CLASSIFIER = "VideoMAEForVideoClassification"
ACTIVATIONS = ("gelu", "gelu_new", "relu", "selu")
PROBLEM_TYPES = ("regression", "single_label_classification", "multi_label_classification")
# What transformers calls qkv_bias since its version 5, which still reads the older name too.
NEW_QKV_BIAS = "qv_bias"


@dataclass(frozen=True, slots=True)
class VideoMAEConfig:
    """What the model's shape, arithmetic and losses depend on.

    Names and defaults are those of the reference documentation
    (https://huggingface.co/docs/transformers/model_doc/videomae).

    Attributes:
        image_size: Pixels of a frame: one number for a square, or (height, width).
        patch_size: Pixels of a tubelet's face, given likewise.
        num_channels: Colour channels.
        num_frames: Frames of a clip.
        tubelet_size: Frames of a tubelet.
        hidden_size: Length of a token.
        num_hidden_layers: Transformer blocks.
        num_attention_heads: Heads in each block.
        intermediate_size: Width of each block's MLP.
        hidden_act: The MLP's activation, one of `ACTIVATIONS`.
        hidden_dropout_prob: Share of values dropped after attention and MLP, in training.
        attention_probs_dropout_prob: Share of attention probabilities dropped, in training.
        initializer_range: Standard deviation of a new model's weights.
        layer_norm_eps: Epsilon of the layer norms, but those of the two heads.
        qkv_bias: Whether queries and values have a bias (keys never have).
        use_mean_pooling: True: the classifier pools all tokens, and the encoder has no final norm.
        decoder_num_attention_heads: As above, of the decoder that pre-training uses.
        decoder_hidden_size: As above, of the decoder.
        decoder_num_hidden_layers: As above, of the decoder.
        decoder_intermediate_size: As above, of the decoder.
        norm_pix_loss: Whether pre-training predicts pixels normalised within each tubelet.
        problem_type: The classification loss, one of `PROBLEM_TYPES`; None: labels decide.
        labels: The class names in order.
        further: Every other key of config.json, kept for those who know it.
    """

    image_size: int | tuple[int, int] = 224
    patch_size: int | tuple[int, int] = 16
    num_channels: int = 3
    num_frames: int = 16
    tubelet_size: int = 2
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.0
    attention_probs_dropout_prob: float = 0.0
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    qkv_bias: bool = True
    use_mean_pooling: bool = True
    decoder_num_attention_heads: int = 6
    decoder_hidden_size: int = 384
    decoder_num_hidden_layers: int = 4
    decoder_intermediate_size: int = 1536
    norm_pix_loss: bool = True
    problem_type: str | None = None
    labels: tuple[str, ...] = ("LABEL_0", "LABEL_1")
    further: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("image_size", "patch_size"):
            object.__setattr__(self, name, _size(name, getattr(self, name)))
        _check_types(self)
        _check_ranges(self)
        _check_divides(self, "hidden_size", "num_attention_heads")
        _check_divides(self, "num_frames", "tubelet_size")
        if any(
            side % patch for side, patch in zip(self.frame_shape, self.patch_shape, strict=True)
        ):
            raise _wrong(
                f"image_size {self.frame_shape} is no multiple of patch_size {self.patch_shape}"
            )

    @property
    def frame_shape(self) -> tuple[int, int]:
        """(height, width) of a frame in pixels."""
        return _pair(self.image_size)

    @property
    def patch_shape(self) -> tuple[int, int]:
        """(height, width) of a tubelet in pixels."""
        return _pair(self.patch_size)

    @property
    def grid(self) -> tuple[int, int, int]:
        """Tubelets of a clip along (time, height, width)."""
        height, width = self.frame_shape
        patch_height, patch_width = self.patch_shape
        return (
            self.num_frames // self.tubelet_size,
            height // patch_height,
            width // patch_width,
        )

    @property
    def num_tokens(self) -> int:
        """Tubelets of a clip."""
        time, height, width = self.grid
        return time * height * width

    @property
    def values_per_tubelet(self) -> int:
        """Pixel values of a tubelet: frames x height x width x channels."""
        height, width = self.patch_shape
        return self.tubelet_size * height * width * self.num_channels

    @property
    def num_labels(self) -> int:
        """Outputs of the classifier."""
        return len(self.labels)

    @property
    def id2label(self) -> dict[int, str]:
        """Class number to class name."""
        return dict(enumerate(self.labels))

    @property
    def label2id(self) -> dict[str, int]:
        """Class name to class number."""
        return {label: number for number, label in enumerate(self.labels)}

    @property
    def has_head(self) -> bool | None:
        """Whether the checkpoint says that it has a classifier; None when it does not say."""
        architectures = self.further.get("architectures")
        return CLASSIFIER in architectures if architectures else None

    @classmethod
    def from_pretrained(cls, model: str | os.PathLike[str]) -> VideoMAEConfig:
        """Read a checkpoint's config.

        Args:
            model: A folder, or a hub id with optional revision (`organisation/name@revision`), or
                `builtin:tiny`.

        Returns:
            The config.

        Raises:
            ModelNotFound: No checkpoint under that name.
            CheckpointError: Its config.json is none of a VideoMAE.
        """
        return cls.from_file(find_config(model))

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
        """Take the keys of config.json.

        Args:
            values: Keys and values; a missing key has the reference's default.

        Returns:
            The config; `to_dict` gives every key back.

        Raises:
            CheckpointError: Another architecture, a wrong type, or a wrong combination.
        """
        if values.get("model_type") != MODEL_TYPE:
            raise CheckpointError(
                f"the checkpoint's model_type is {values.get('model_type')!r}, not {MODEL_TYPE!r}",
                "Name a VideoMAE checkpoint in the hub's layout.",
            )
        own = {f.name for f in fields(cls)} - {"labels", "further"}
        given = {name: values[name] for name in own if name in values}
        if NEW_QKV_BIAS in values:
            given["qkv_bias"] = values[NEW_QKV_BIAS]
        known = {*own, NEW_QKV_BIAS, "model_type", "id2label", "label2id", "num_labels"}
        further = {name: value for name, value in values.items() if name not in known}
        return cls(**given, labels=_labels(values), further=further)

    def to_dict(self) -> dict[str, Any]:
        """Give the keys of config.json.

        Returns:
            Every key with its value, as JSON can hold it; `from_dict` takes it back.
        """
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        del own["labels"], own["further"]
        own |= {name: list(size) for name, size in own.items() if isinstance(size, tuple)}
        names = {"id2label": self.id2label, "label2id": self.label2id}
        return {"model_type": MODEL_TYPE, **own, **names, **self.further}

    def for_decoder(self) -> VideoMAEConfig:
        """The same with the decoder's sizes in place of the encoder's.

        Raises:
            CheckpointError: The decoder's sizes do not go together.
        """
        _check_divides(self, "decoder_hidden_size", "decoder_num_attention_heads")
        return replace(
            self,
            hidden_size=self.decoder_hidden_size,
            num_hidden_layers=self.decoder_num_hidden_layers,
            num_attention_heads=self.decoder_num_attention_heads,
            intermediate_size=self.decoder_intermediate_size,
        )


def _labels(values: Mapping[str, Any]) -> tuple[str, ...]:
    """The class names, by their numbers; the reference's default names when none are given."""
    names = values.get("id2label")
    count = values.get("num_labels", len(names) if isinstance(names, Mapping) else 2)
    if not isinstance(count, int) or count < 1:
        raise _wrong(f"num_labels is {count!r}, it must be a positive integer")
    if names is None:
        return tuple(f"LABEL_{number}" for number in range(count))
    try:
        by_number = {int(number): str(name) for number, name in names.items()}
        labels = tuple(by_number[number] for number in range(len(names)))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _wrong("id2label must name the classes '0', '1', '2' ... without a gap") from None
    if len(labels) != count:
        raise _wrong(f"num_labels is {count}, but id2label names {len(labels)} classes")
    return labels


def _size(name: str, value: object) -> int | tuple[int, int]:
    match value:
        case bool():
            pass
        case int(side) if side > 0:
            return side
        case [int(height), int(width)] if min(height, width) > 0:
            return height, width
    raise _wrong(f"{name} is {value!r}, it must be a positive integer or a pair of them")


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _check_types(config: VideoMAEConfig) -> None:
    for f in fields(config):
        value, default = getattr(config, f.name), f.default
        if not isinstance(default, int | float | str) or f.name in ("image_size", "patch_size"):
            continue
        # A bool is an int to Python, and JSON may write the float 1.0 as 1.
        exact = type(value) is type(default) or (type(default) is float and type(value) is int)
        if not exact:
            raise _wrong(f"{f.name} is {value!r}, it must be of type {type(default).__name__}")


def _check_ranges(config: VideoMAEConfig) -> None:
    for f in fields(config):
        value = getattr(config, f.name)
        if f.name.endswith("_prob"):
            if not 0 <= value < 1:
                raise _wrong(f"{f.name} is {value}, it must be at least 0 and less than 1")
        elif type(f.default) in (int, float) and isinstance(value, int | float) and not value > 0:
            raise _wrong(f"{f.name} is {value}, it must be positive")
    if config.hidden_act not in ACTIVATIONS:
        raise _wrong(f"hidden_act is {config.hidden_act!r}, known are {', '.join(ACTIVATIONS)}")
    if config.problem_type not in (None, *PROBLEM_TYPES):
        raise _wrong(
            f"problem_type is {config.problem_type!r}, known are {', '.join(PROBLEM_TYPES)}"
        )


def _check_divides(config: VideoMAEConfig, name: str, divisor_name: str) -> None:
    value, divisor = getattr(config, name), getattr(config, divisor_name)
    if value % divisor:
        raise _wrong(f"{name} {value} is not a multiple of {divisor_name} {divisor}")


def _wrong(problem: str) -> CheckpointError:
    return CheckpointError(
        problem, "Mend the config (of a checkpoint: its config.json), or name another checkpoint."
    )
