"""Write what transformers 4.57 gives for what its version 5 has dropped.

    python -m venv old
    old/bin/pip install torch==2.13.0 "transformers==4.57.*" pillow==13.0.0 numpy
    old/bin/python tests/goldens/make_videomae_goldens.py

It needs nothing of vidx. Weights are not stored: `weights` says how each is drawn from its name.
"""

from __future__ import annotations

import warnings
import zlib
from pathlib import Path

import numpy as np

CONFIG = {
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 32,
    "image_size": 16,
    "patch_size": 8,
    "num_frames": 4,
    "tubelet_size": 2,
    "decoder_hidden_size": 12,
    "decoder_num_hidden_layers": 1,
    "decoder_num_attention_heads": 2,
    "decoder_intermediate_size": 16,
    "num_labels": 3,
    "layer_norm_eps": 1e-6,
}
KINDS = ("VideoMAEModel", "VideoMAEForPreTraining", "VideoMAEForVideoClassification")
# (height, width) of frames; the processor's settings.
FRAMES = ((37, 53), (64, 21))
PROCESSOR = {"size": {"shortest_edge": 20}, "crop_size": {"height": 16, "width": 16}}


def weights(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A tensor of a model, float32.

    Numbers of NumPy's PCG64 seeded with the CRC-32 of the tensor's name: its name in the hub's old
    layout without `videomae.`. A matrix is divided by the root of its fan-in, a vector by 10; the
    weight of a norm is 1 more.
    """
    values = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    values = values / (np.prod(shape[1:]) ** 0.5 if len(shape) > 1 else 10)
    is_norm = name.endswith("weight") and len(shape) == 1
    return (values + is_norm).astype(np.float32)


def inputs() -> dict[str, np.ndarray]:
    """What the models are given: two clips, masks of heads, a mask of tubelets, labels."""
    rng = np.random.default_rng(0)
    mask = np.zeros((2, 8), bool)
    for row in mask:
        row[rng.choice(8, 5, replace=False)] = True
    return {
        "pixel_values": rng.standard_normal((2, 4, 3, 16, 16)).astype(np.float32),
        "bool_masked_pos": mask,
        "labels": np.array([2, 0]),
        "head_mask_of_all_blocks": np.array([1, 0, 0.5, 2], np.float32),
        "head_mask_of_each_block": rng.integers(0, 2, (3, 4)).astype(np.float32),
    }


def frames() -> list[np.ndarray]:
    """What the feature extractor is given: uint8 frames, shape (4, height, width, 3) each."""
    rng = np.random.default_rng(1)
    return [rng.integers(0, 256, (4, *size, 3), dtype=np.uint8) for size in FRAMES]


def main() -> None:
    """Write `videomae_goldens.npz` next to this file."""
    import transformers

    if not transformers.__version__.startswith("4.57."):
        raise SystemExit(f"this is transformers {transformers.__version__}, 4.57 is needed")
    goldens = {}
    for kind in KINDS:
        for mask in ("head_mask_of_all_blocks", "head_mask_of_each_block"):
            for field, value in model_outputs(kind, mask).items():
                goldens[f"{kind}/{mask}/{field}"] = value
    for number, values in enumerate(extracted()):
        goldens[f"VideoMAEFeatureExtractor/{number}"] = values
    path = Path(__file__).with_name("videomae_goldens.npz")
    np.savez_compressed(path, **goldens)
    print(f"{path}: {path.stat().st_size} bytes, transformers {transformers.__version__}")


def model_outputs(kind: str, mask: str) -> dict[str, np.ndarray]:
    """The outputs of a model, by the eager path, which multiplies by the head mask."""
    import torch
    import transformers

    settings = transformers.VideoMAEConfig(**CONFIG)
    settings._attn_implementation = "eager"
    model = getattr(transformers, kind)(settings).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            drawn = weights(name.removeprefix("videomae."), tuple(parameter.shape))
            parameter.copy_(torch.from_numpy(drawn))
    given = {name: torch.from_numpy(value) for name, value in inputs().items()}
    arguments = {"pixel_values": given["pixel_values"], "head_mask": given[mask]}
    if kind == "VideoMAEForPreTraining":
        arguments["bool_masked_pos"] = given["bool_masked_pos"]
    if kind == "VideoMAEForVideoClassification":
        arguments["labels"] = given["labels"]
    with torch.inference_mode():
        output = model(**arguments, output_attentions=True)
    found = {"attentions": torch.stack(output.attentions)}
    for field in ("last_hidden_state", "logits", "loss"):
        if getattr(output, field, None) is not None:
            found[field] = getattr(output, field)
    return {field: value.numpy() for field, value in found.items()}


def extracted() -> list[np.ndarray]:
    """The deprecated feature extractor's pixel values of each clip."""
    import transformers

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        extractor = transformers.VideoMAEFeatureExtractor(**PROCESSOR)
    return [extractor(list(clip), return_tensors="np").pixel_values for clip in frames()]


if __name__ == "__main__":
    main()
