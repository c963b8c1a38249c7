"""An encoder turns frames into vectors that do not depend on how it was asked."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import islice

import av
import numpy as np
import pytest
import torch

from vidx.embedder.encoder import load
from vidx.errors import DeviceError, UsageError


@pytest.fixture(scope="module")
def encoder(tiny_checkpoint):
    return load(tiny_checkpoint, device="cpu", dtype="float32")


def random_frames(batch: int, side: int = 32, num_frames: int = 16) -> np.ndarray:
    shape = (batch, num_frames, side, side, 3)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a.astype(np.float64), b.astype(np.float64)
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def test_vectors_and_logits_equal_transformers_from_pixels_on(tiny_checkpoint, encoder) -> None:
    import transformers
    from transformers.models.videomae.image_processing_pil_videomae import (
        VideoMAEImageProcessorPil,
    )

    frames = random_frames(2)
    processor = VideoMAEImageProcessorPil.from_pretrained(tiny_checkpoint)
    model = transformers.VideoMAEForVideoClassification.from_pretrained(tiny_checkpoint).eval()
    inputs = processor([list(clip) for clip in frames], return_tensors="pt")
    with torch.inference_mode():
        hidden = model.videomae(**inputs).last_hidden_state
        logits = model(**inputs).logits
    ours, our_logits = encoder.encode(frames)
    assert ours.dtype == our_logits.dtype == np.float32
    np.testing.assert_allclose(ours, hidden.mean(1).numpy(), atol=1e-4)
    np.testing.assert_allclose(our_logits, logits.numpy(), atol=1e-4)


def test_vectors_do_not_depend_on_the_batch(encoder) -> None:
    frames = random_frames(8)
    together, _ = encoder.encode(frames)
    alone = np.concatenate([encoder.encode(clip[None])[0] for clip in frames])
    assert cosines(together, alone).min() >= 0.99999


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_vectors_are_close(tiny_checkpoint, encoder, dtype) -> None:
    frames = random_frames(2)
    half = load(tiny_checkpoint, device="cpu", dtype=dtype)
    assert half.dtype == dtype
    vectors, logits = half.encode(frames)
    assert vectors.dtype == logits.dtype == np.float32
    assert cosines(vectors, encoder.encode(frames)[0]).min() >= 0.999


def test_space_geometry_and_provenance_say_what_was_loaded(tiny_checkpoint, encoder) -> None:
    assert encoder.space.model == str(tiny_checkpoint)
    assert encoder.space.revision is None
    assert (encoder.space.num_frames, encoder.space.fps, encoder.space.dim) == (16, 7.5, 64)
    assert encoder.space.labels == ("archery", "bowling", "cooking", "dancing", "eating")
    assert encoder.geometry.crop == (32, 32)
    assert encoder.provenance() == {
        "model": str(tiny_checkpoint),
        "revision": "",
        "weights_file": "model.safetensors",
        "device": "cpu",
        "dtype": "float32",
        "torch": torch.__version__,
    }


def test_a_checkpoint_without_head_gives_no_logits_and_no_labels(make_checkpoint, tmp_path) -> None:
    encoder = load(make_checkpoint(tmp_path / "made", head=False), device="cpu")
    assert encoder.encode(random_frames(1))[1] is None
    assert encoder.space.labels == ()


def test_another_number_of_frames_can_be_chosen(tiny_checkpoint) -> None:
    encoder = load(tiny_checkpoint, num_frames=8, fps=15, device="cpu")
    assert encoder.space.num_frames == 8
    assert encoder.encode(random_frames(1, num_frames=8))[0].shape == (1, 64)


@pytest.mark.parametrize("num_frames", [15, 0, -2])
def test_an_impossible_number_of_frames_is_refused(tiny_checkpoint, num_frames) -> None:
    with pytest.raises(UsageError, match="tubelets hold 2 frames"):
        load(tiny_checkpoint, num_frames=num_frames)


@pytest.mark.parametrize("fps", [0, -1.0, float("nan"), float("inf")])
def test_an_impossible_rate_is_refused(tiny_checkpoint, fps) -> None:
    with pytest.raises(UsageError):
        load(tiny_checkpoint, fps=fps)


@pytest.mark.parametrize(
    "frames",
    [random_frames(1, side=31), random_frames(1, num_frames=15), random_frames(1).astype(float)],
)
def test_frames_of_another_shape_or_type_are_refused(encoder, frames) -> None:
    with pytest.raises(UsageError, match=r"must be uint8 of shape \(batch, 16, 32, 32, 3\)"):
        encoder.encode(frames)


def test_unknown_device_and_dtype_are_usage_errors(tiny_checkpoint) -> None:
    with pytest.raises(UsageError, match="device 'tpu' is unknown"):
        load(tiny_checkpoint, device="tpu")
    with pytest.raises(UsageError, match="dtype 'int8' is unknown"):
        load(tiny_checkpoint, device="cpu", dtype="int8")
    with pytest.raises((UsageError, DeviceError)):
        load(tiny_checkpoint, device="cuda:lots")


@pytest.mark.parametrize("device", ["cuda:99", "mps:9"])
def test_a_device_that_is_not_there_is_a_device_error_of_two_lines(tiny_checkpoint, device) -> None:
    with pytest.raises(DeviceError, match="is not to be had here") as caught:
        load(tiny_checkpoint, device=device)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory")],
)
def test_a_memory_that_holds_no_clip_is_a_device_error(tiny_checkpoint, monkeypatch, error) -> None:
    encoder = load(tiny_checkpoint, device="cpu")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(encoder.engine.encoder, "forward", fail)
    with pytest.raises(DeviceError, match="no memory for one clip"):
        encoder.encode(random_frames(3))


def test_a_precision_that_the_device_lacks_is_a_device_error(tiny_checkpoint, monkeypatch) -> None:
    from vidx.embedder.inference import devices

    def lacking(*_: object) -> None:
        raise RuntimeError("\"attention\" not implemented for 'Half'\nC++ stack")

    monkeypatch.setattr(devices, "scaled_dot_product_attention", lacking)
    with pytest.raises(DeviceError, match=r"cpu has no float16: .*'Half'\nTry --dtype float32"):
        load(tiny_checkpoint, device="cpu", dtype="float16")


def test_loading_leaves_the_weights_file_alone(edited, tiny_checkpoint) -> None:
    folder = edited(tiny_checkpoint)
    encoder = load(folder, device="cpu")
    before, _ = encoder.encode(random_frames(1))
    weights = folder / "model.safetensors"
    weights.write_bytes(b"\xff" * weights.stat().st_size)
    np.testing.assert_array_equal(encoder.encode(random_frames(1))[0], before)


def test_the_geometry_needs_no_torch() -> None:
    code = (
        "import json, sys, vidx.embedder.decoding.geometry; "
        "print(json.dumps([m for m in ('torch', 'av', 'numpy') if m in sys.modules]))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert json.loads(output.stdout) == []


def first_frames(path, count: int) -> np.ndarray:
    with av.open(str(path)) as container:
        frames = islice(container.decode(video=0), count)
        return np.stack([frame.to_ndarray(format="rgb24") for frame in frames])


@pytest.mark.long
def test_different_real_videos_get_different_vectors(media, encoder) -> None:
    vectors = []
    for path in sorted(media.glob("good/*/*.mp4"))[:60:5]:
        frames = encoder.preprocessing.fit(torch.from_numpy(first_frames(path, 16)))
        vectors.append(encoder.encode(frames.numpy()[None])[0][0])
    unit = np.stack(vectors) / np.linalg.norm(vectors, axis=1, keepdims=True)
    between = (unit @ unit.T)[np.triu_indices(len(unit), 1)]
    assert np.median(between) < 0.9
    assert between.max() < 0.995
