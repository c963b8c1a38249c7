"""Preprocessing gives what transformers' image processor gives, by its Pillow back end."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from transformers.models.videomae.image_processing_pil_videomae import VideoMAEImageProcessorPil

from vidx.embedder.decoding.geometry import DECODER_INTERPOLATIONS, FrameGeometry
from vidx.embedder.decoding.scaler import SWSCALE
from vidx.embedder.videomae.preprocess import Preprocessing
from vidx.errors import CheckpointError

# (height, width): wide, odd and tall, smaller than the target, exact, tiny, 4K
SIZES = [(360, 640), (501, 333), (97, 121), (224, 224), (17, 31), (2160, 3840)]


def noise(height: int, width: int, frames: int = 2) -> np.ndarray:
    generator = np.random.default_rng(height * width)
    return generator.integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def reference_pixels(frames: np.ndarray, settings: dict) -> np.ndarray:
    """The image processor's frames before rescaling: (n, height, width, 3)."""
    processor = VideoMAEImageProcessorPil(**settings | {"do_rescale": False, "do_normalize": False})
    pixels = processor(list(frames), return_tensors="np").pixel_values[0]
    return pixels.transpose(0, 2, 3, 1)


def our_pixels(frames: np.ndarray, settings: dict) -> np.ndarray:
    return Preprocessing.from_dict(settings).fit(torch.from_numpy(frames)).numpy()


@pytest.mark.parametrize("size", SIZES)
def test_every_pixel_equals_the_reference_by_default(size) -> None:
    frames = noise(*size)
    np.testing.assert_array_equal(our_pixels(frames, {}), reference_pixels(frames, {}))


@pytest.mark.parametrize(
    "settings",
    [
        {"resample": 0},
        {"resample": 3},
        {"size": {"height": 150, "width": 90}, "crop_size": {"height": 64, "width": 64}},
        {"size": 100, "crop_size": 80},
        {"do_resize": False},
        {"do_center_crop": False},
        {"size": {"shortest_edge": 65}, "crop_size": {"height": 131, "width": 90}},
    ],
    ids=["nearest", "bicubic", "exact", "old-integers", "crop-only", "resize-only", "padded"],
)
@pytest.mark.parametrize("size", [(180, 321), (501, 333), (97, 121)])
def test_every_option_of_resize_and_crop_equals_the_reference(settings, size) -> None:
    frames = noise(*size)
    np.testing.assert_array_equal(our_pixels(frames, settings), reference_pixels(frames, settings))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]},
        {"do_normalize": False},
        {"do_rescale": False},
        {"rescale_factor": 1 / 127.5},
    ],
)
def test_rescaling_and_normalising_equal_the_reference(settings) -> None:
    frames = noise(40, 60)
    settings = {"size": {"shortest_edge": 32}, "crop_size": 32} | settings
    expected = VideoMAEImageProcessorPil(**settings)(list(frames), return_tensors="np").pixel_values
    preprocessing = Preprocessing.from_dict(settings)
    pixels = preprocessing.fit(torch.from_numpy(frames))
    ours = preprocessing.normalize(pixels[None])
    assert ours.dtype is torch.float32
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-5, atol=1e-5)


def test_geometry_says_the_size_and_box_of_the_reference() -> None:
    geometry = FrameGeometry(resize_shortest_edge=224, crop=(224, 224))
    assert geometry.resized(360, 641) == (224, 398)
    assert geometry.resized(641, 360) == (398, 224)
    assert geometry.crop_box(224, 397) == (0, 86, 224, 224)
    assert geometry.crop_box(221, 225) == (-2, 0, 224, 224)
    assert FrameGeometry(resize_to=(10, 20)).resized(5, 5) == (10, 20)
    assert FrameGeometry().crop_box(5, 6) == (0, 0, 5, 6)
    assert pickle.loads(pickle.dumps(geometry)) == geometry
    with pytest.raises(ValueError, match="not both"):
        FrameGeometry(resize_shortest_edge=1, resize_to=(1, 1))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"resample": 6}, "resample is 6, known are 0 (nearest)"),
        ({"resample": [2]}, "resample is [2]"),
        ({"resample": True}, "resample is True"),
        ({"do_resize": "no"}, "do_resize is 'no', it must be true or false"),
        ({"size": True}, "size is True"),
        ({"size": {"longest_edge": 5}}, "size is {'longest_edge': 5}"),
        ({"size": {"shortest_edge": 224, "longest_edge": 448}}, "size is"),
        ({"crop_size": "224"}, "crop_size is '224'"),
        ({"crop_size": -1}, "crop_size is -1"),
        ({"image_mean": [0.5, 0.5]}, "image_mean is [0.5, 0.5], it must be three numbers"),
        ({"image_std": [0.5, 0.0, 0.5]}, "image_std is"),
        ({"rescale_factor": "small"}, "rescale_factor is 'small'"),
    ],
)
def test_an_unknown_setting_is_named(settings, message) -> None:
    with pytest.raises(CheckpointError) as caught:
        Preprocessing.from_dict(settings)
    assert message in caught.value.problem
    assert caught.value.next_step


def test_a_missing_or_empty_setting_has_its_default() -> None:
    assert Preprocessing.from_dict({"size": None, "do_rescale": None}) == Preprocessing.from_dict(
        {"size": {"shortest_edge": 224}, "do_rescale": True, "feature_extractor_type": "other"}
    )


def test_a_filter_that_decoding_lacks_is_refused_for_embedding(tmp_path) -> None:
    assert set(DECODER_INTERPOLATIONS) == set(SWSCALE)
    path = tmp_path / "preprocessor_config.json"
    path.write_text('{"resample": 1}')
    with pytest.raises(CheckpointError, match="resample is lanczos, videos are decoded with near"):
        Preprocessing.from_file(path)
