"""Making, loading and saving: the same for every class of models."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Self

import torch
from safetensors.torch import save
from torch import Tensor, nn

from vidx.embedder.checkpoints.finding import find_weights
from vidx.embedder.checkpoints.hub import CONFIG_FILE, WEIGHTS_FILES
from vidx.embedder.videomae.checks import check_attn_implementation
from vidx.embedder.videomae.config import VideoMAEConfig
from vidx.embedder.videomae.original import read_original
from vidx.embedder.videomae.weights import DTYPES, fit, read_tensors, to_hub
from vidx.errors import UsageError

AS_STORED = "auto"


class PreTrained(nn.Module):
    """A model that is made from a config, loaded from a checkpoint, and saved as one.

    Attributes:
        config: What it was made from.
        ignored_parts: Names, in the hub's layout, of parts of other models' checkpoints that this
            class of models has no use for.
    """

    ignored_parts: ClassVar[re.Pattern[str]]

    def __init__(self, config: VideoMAEConfig, *, attn_implementation: str = "sdpa") -> None:
        check_attn_implementation(attn_implementation)
        super().__init__()
        self.config = config

    def initialize(self) -> None:
        """Draw new weights: normal, of the config's `initializer_range`; biases are zero."""
        for module in self.modules():
            # What is yet without storage is replaced; drawing it would import torch's compiler.
            if isinstance(module, nn.Linear | nn.Conv3d) and not module.weight.is_meta:
                nn.init.normal_(module.weight, std=self.config.initializer_range)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    @classmethod
    def from_pretrained(
        cls,
        model: str | os.PathLike[str],
        *,
        config: VideoMAEConfig | None = None,
        dtype: torch.dtype | str | None = None,
        torch_dtype: torch.dtype | str | None = None,
        attn_implementation: str = "sdpa",
    ) -> Self:
        """Load a checkpoint in the hub's layout, old or new.

        Parts that only other models have (a decoder, a classifier) are left out; any other tensor
        that is missing, unexpected or mis-shaped is an error.

        Args:
            model: A folder, or a hub id with optional revision (`organisation/name@revision`), or
                `builtin:tiny`.
            config: Instead of the checkpoint's own, such as one with another `num_frames` or
                `image_size`: positions are computed for it.
            dtype: `torch.float16`, `float16` and so on; None or `auto`: as the weights are stored.
            torch_dtype: The older name of `dtype`.
            attn_implementation: `sdpa` or `eager`.

        Returns:
            The model on the CPU, in evaluation mode.

        Raises:
            ModelNotFound: No checkpoint under that name.
            CheckpointError: Config and weights do not make this model.
            UsageError: An unknown dtype or implementation of attention.
        """
        chosen = _dtype(dtype, torch_dtype)
        config = config or VideoMAEConfig.from_pretrained(model)
        tensors = read_tensors(find_weights(model))
        built = cls.from_tensors(config, tensors, attn_implementation=attn_implementation)
        return built.to(chosen).eval()

    @classmethod
    def from_original(
        cls,
        path: str | os.PathLike[str],
        *,
        num_frames: int,
        image_size: int = 224,
        attn_implementation: str = "sdpa",
    ) -> Self:
        """Load a `.pth` file of the original repository, https://github.com/MCG-NJU/VideoMAE.

        The tensors' shapes tell the rest of the config. As transformers does with converted
        checkpoints, the norms of both heads take an epsilon of 1e-5, where the original had 1e-6.

        Args:
            path: A pre-trained or a fine-tuned checkpoint.
            num_frames: Frames of a clip; the file does not say.
            image_size: Pixels of a frame's side; the file does not say.
            attn_implementation: `sdpa` or `eager`.

        Returns:
            The model on the CPU, in evaluation mode, its weights as stored.

        Raises:
            ModelNotFound: There is no such file.
            CheckpointError: The file is damaged, is no such checkpoint, would run code, or lacks a
                part of this model.
        """
        config, tensors = read_original(Path(path), num_frames=num_frames, image_size=image_size)
        return cls.from_tensors(config, tensors, attn_implementation=attn_implementation).eval()

    @classmethod
    def from_tensors(
        cls,
        config: VideoMAEConfig,
        tensors: dict[str, Tensor],
        *,
        attn_implementation: str = "sdpa",
    ) -> Self:
        """Make a model of tensors under the hub's names; see `weights.fit` for what is refused."""
        with torch.device("meta"):  # no memory and no random numbers for what is replaced below
            model = cls(config, attn_implementation=attn_implementation)
        shapes = {name: value.shape for name, value in model.state_dict().items()}
        model.load_state_dict(fit(tensors, shapes, cls.ignored_parts), assign=True)
        return model

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write config.json and model.safetensors in the hub's layout.

        Args:
            folder: Made when it is not there.

        Raises:
            UsageError: The folder cannot be written to.
        """
        tensors = to_hub(self.state_dict())
        target = Path(folder)
        try:
            target.mkdir(parents=True, exist_ok=True)
            text = json.dumps(self._saved_config().to_dict(), indent=2, sort_keys=True)
            (target / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")
            (target / WEIGHTS_FILES[0]).write_bytes(save(tensors, {"format": "pt"}))
        except OSError as error:
            raise UsageError(
                f"{target} cannot be written to: {error.strerror}", "Name another folder."
            ) from error

    def _saved_config(self) -> VideoMAEConfig:
        dtype = str(next(self.parameters()).dtype).removeprefix("torch.")
        own = {"architectures": [type(self).__name__], "dtype": dtype}
        further = {k: v for k, v in self.config.further.items() if k != "torch_dtype"}
        return replace(self.config, further=further | own)


def _dtype(
    dtype: torch.dtype | str | None, torch_dtype: torch.dtype | str | None
) -> torch.dtype | None:
    """The dtype to change the weights to, None for that which they have."""
    if dtype is not None and torch_dtype is not None:
        raise UsageError(f"dtype {dtype} and torch_dtype {torch_dtype} mean the same", "Give one.")
    chosen = torch_dtype if dtype is None else dtype
    if chosen is None or chosen == AS_STORED:
        return None
    named = DTYPES.get(chosen) if isinstance(chosen, str) else chosen
    if named not in DTYPES.values():
        known = ", ".join((*DTYPES, AS_STORED))
        raise UsageError(f"dtype {chosen} is unknown", f"Choose one of {known}.")
    return named
