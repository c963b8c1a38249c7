"""What the reference page shows works here, on a made checkpoint and a real video."""

from __future__ import annotations

import json
import subprocess
import sys

import av
import numpy as np
import pytest
import torch

from vidx.embedder.videomae import (
    VideoMAEConfig,
    VideoMAEForPreTraining,
    VideoMAEForVideoClassification,
    VideoMAEImageProcessor,
    VideoMAEModel,
)

# The base model's tokens, in one block of it.
WIDE = {
    "image_size": 224,
    "patch_size": 16,
    "hidden_size": 768,
    "num_hidden_layers": 1,
    "num_attention_heads": 12,
}


@pytest.fixture(scope="module")
def video(make_video, tmp_path_factory):
    return make_video(tmp_path_factory.mktemp("video") / "clip.mp4", size=(320, 240), seconds=5.0)


def read_frames(path, count: int = 16, every: int = 4) -> list[np.ndarray]:
    """Every fourth frame of a video, RGB, shape (height, width, 3)."""
    with av.open(str(path)) as container:
        frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    return frames[: count * every : every]


def test_a_model_of_a_config_has_that_config() -> None:
    config = VideoMAEConfig(num_hidden_layers=1, hidden_size=24)
    assert VideoMAEModel(config).config == config


def test_features_of_a_video(make_checkpoint, tmp_path, video) -> None:
    checkpoint = make_checkpoint(tmp_path / "made", head=False, **WIDE)
    frames = read_frames(video)
    assert len(frames) == 16

    processor = VideoMAEImageProcessor.from_pretrained(checkpoint)
    model = VideoMAEModel.from_pretrained(checkpoint)
    with torch.inference_mode():
        outputs = model(**processor(frames, return_tensors="pt"))
    assert list(outputs.last_hidden_state.shape) == [1, 1568, 768]


def test_the_pretraining_loss_of_a_random_mask(make_checkpoint, tmp_path) -> None:
    checkpoint = make_checkpoint(tmp_path / "made", pretraining=True, image_size=64, patch_size=16)
    video = list(np.random.default_rng(0).integers(0, 256, (16, 3, 64, 64), dtype=np.uint8))

    processor = VideoMAEImageProcessor.from_pretrained(checkpoint)
    model = VideoMAEForPreTraining.from_pretrained(checkpoint)
    pixel_values = processor(video, return_tensors="pt").pixel_values
    patches_per_frame = (model.config.image_size // model.config.patch_size) ** 2
    tokens = (16 // model.config.tubelet_size) * patches_per_frame
    outputs = model(pixel_values, bool_masked_pos=torch.randint(0, 2, (1, tokens)).bool())
    assert outputs.loss.ndim == 0
    assert outputs.loss > 0


def test_the_class_of_a_video(make_checkpoint, tmp_path, video) -> None:
    labels = ("juggling", "eating spaghetti", "surfing")
    checkpoint = make_checkpoint(tmp_path / "made", labels=labels, image_size=64)

    processor = VideoMAEImageProcessor.from_pretrained(checkpoint)
    model = VideoMAEForVideoClassification.from_pretrained(checkpoint)
    with torch.inference_mode():
        logits = model(**processor(read_frames(video), return_tensors="pt")).logits
    assert model.config.id2label[logits.argmax(-1).item()] in labels


def test_model_and_processor_import_without_the_rest_of_vidx() -> None:
    code = (
        "import json, sys; from vidx.embedder.videomae import *; "
        "others = ('av', 'faiss', 'pyarrow', 'sqlalchemy', 'transformers'); "
        "print(json.dumps([name for name in others if name in sys.modules]))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert json.loads(output.stdout) == []
