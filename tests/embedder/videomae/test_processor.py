"""VideoMAEImageProcessor gives what transformers 5 gives, by its Pillow back end and Pillow 13.

Every byte is equal, which is stricter than the 1/255 a pixel that is promised.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor
from transformers.models.videomae.image_processing_pil_videomae import VideoMAEImageProcessorPil

from vidx.embedder.videomae.preprocess import Preprocessing
from vidx.embedder.videomae.processor import VideoMAEFeatureExtractor, VideoMAEImageProcessor
from vidx.errors import CheckpointError, ModelNotFound, UsageError

# (height, width): 4K, Full HD, wide, odd, odd and tall, taller than 2:1, wide strip, near the
# target, tiny, one pixel
SIZES = [
    (2160, 3840),
    (1080, 1920),
    (360, 640),
    (97, 121),
    (501, 333),
    (640, 250),
    (50, 400),
    (225, 223),
    (17, 31),
    (1, 1),
]
OPTIONS = {
    "default": {},
    "not-resized": {"do_resize": False},
    "shortest-edge": {"size": {"shortest_edge": 57}},
    "edge-as-number": {"size": 57},
    "exact-size": {"size": {"height": 90, "width": 150}},
    "nearest": {"resample": 0},
    "lanczos": {"resample": 1},
    "bicubic": {"resample": 3},
    "box": {"resample": 4},
    "hamming": {"resample": 5},
    "not-cropped": {"do_center_crop": False, "size": 64},
    "crop": {"crop_size": {"height": 60, "width": 131}},
    "crop-as-number": {"crop_size": 101},
    "beyond-the-frame": {"size": 33, "crop_size": {"height": 64, "width": 41}},
    "not-rescaled": {"do_rescale": False},
    "rescale-factor": {"rescale_factor": 1 / 127.5},
}
SMALL = {"size": {"shortest_edge": 12}, "crop_size": {"height": 10, "width": 8}}


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def reference(videos, **options) -> np.ndarray:
    return np.asarray(
        VideoMAEImageProcessorPil(**options)(videos, return_tensors="np").pixel_values
    )


def ours(videos, call: dict | None = None, **options) -> np.ndarray:
    processor = VideoMAEImageProcessor(**options)
    return processor(videos, return_tensors="np", **(call or {})).pixel_values


@pytest.fixture(scope="module")
def video() -> np.ndarray:
    return noise(4, 23, 31, 3)


def sizes_and_options() -> Iterator:
    for size in SIZES:
        for name, options in OPTIONS.items():
            is_slow = size[0] >= 1080 and name not in ("default", "not-resized")
            marks = [pytest.mark.long] if is_slow else []
            yield pytest.param(options, size, marks=marks, id=f"{name}-{size}")


@pytest.mark.parametrize(("options", "size"), list(sizes_and_options()))
def test_pixels_before_normalisation(options, size) -> None:
    frames = list(noise(1, *size, 3, seed=size[0]))
    options = options | {"do_normalize": False}
    call = {"input_data_format": "channels_last"}  # one pixel's shape does not tell
    expected = VideoMAEImageProcessorPil(**options)(frames, return_tensors="np", **call)
    np.testing.assert_allclose(ours(frames, call, **options), expected.pixel_values, rtol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"do_normalize": False},
        {"do_rescale": False},
        {"do_rescale": False, "do_normalize": False},
        {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]},
        {"image_mean": 0.3, "image_std": 0.2},
    ],
    ids=str,
)
def test_rescaling_and_normalising(options, video) -> None:
    options = SMALL | options
    pixels = ours(list(video), **options)
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, reference(list(video), **options), rtol=1e-6, atol=1e-5)


def test_every_option_can_be_given_to_a_call(video) -> None:
    every = [*OPTIONS.values(), {"do_normalize": False}, {"image_mean": 0.1}, {"image_std": 0.1}]
    processor = VideoMAEImageProcessor(**SMALL)
    before = processor.to_dict()
    for options in every:
        expected = ours(video, **SMALL | options)
        given = processor(video, return_tensors="np", **options).pixel_values
        np.testing.assert_array_equal(given, expected)
    assert processor.to_dict() == before
    nothing = dict.fromkeys(("size", "do_resize", "image_mean"))
    np.testing.assert_array_equal(ours(video, nothing, **SMALL), ours(video, **SMALL))


def forms(video: np.ndarray) -> dict[str, object]:
    first = np.ascontiguousarray(video.transpose(0, 3, 1, 2))
    return {
        "array": video,
        "array, channels first": first,
        "list of arrays": list(video),
        "tuple of arrays, channels first": tuple(first),
        "tensor": torch.from_numpy(video),
        "list of tensors, channels first": list(torch.from_numpy(first)),
        "PIL images": [Image.fromarray(frame) for frame in video],
        "batch of arrays": [video],
        "array of 5 axes": video[None],
        "list of lists": [list(video)],
        "int64": video.astype(np.int64),
        "uint16": video.astype(np.uint16),
        "big-endian": video.astype(">i2"),
        "tensor of uint16": torch.from_numpy(video.astype(np.uint16)),
        "whole floats": video.astype(np.float32),
        "bfloat16": torch.from_numpy(video).bfloat16(),
        "strides": np.ascontiguousarray(video[:, :, ::-1])[:, :, ::-1],
        "read-only": np.frombuffer(video.tobytes(), np.uint8).reshape(video.shape),
    }


def test_every_form_of_a_video_gives_the_same(video, recwarn) -> None:
    expected = reference(list(video), **SMALL)
    assert expected.shape == (1, 4, 3, 10, 8)
    for name, form in forms(video).items():
        given = video.astype(np.uint8)
        if name == "bfloat16":  # holds 8 bits of each number
            given = torch.from_numpy(video).bfloat16().to(torch.uint8).numpy()
        wanted = expected if name != "bfloat16" else None
        pixels = ours(form if name != "bfloat16" else torch.from_numpy(given).bfloat16(), **SMALL)
        if wanted is None:
            wanted = reference(list(given), **SMALL)
        np.testing.assert_allclose(pixels, wanted, atol=1e-6, err_msg=name)
    assert not recwarn.list


def test_a_batch_is_its_videos_one_by_one(video) -> None:
    other = noise(4, 40, 20, 3, seed=1)
    together = ours([list(video), list(other)], **SMALL)
    assert together.shape == (2, 4, 3, 10, 8)
    np.testing.assert_array_equal(together[0], ours(video, **SMALL)[0])
    np.testing.assert_array_equal(together[1], ours(other, **SMALL)[0])
    mixed = [video[0], other[0], video[1]]
    np.testing.assert_allclose(ours(mixed, **SMALL), reference(mixed, **SMALL), atol=1e-6)


def test_one_frame_is_a_video_of_one(video) -> None:
    assert ours(video[0], **SMALL).shape == (1, 1, 3, 10, 8)
    assert ours(Image.fromarray(video[0]), **SMALL).shape == (1, 1, 3, 10, 8)


def test_return_tensors_says_the_kind(video) -> None:
    processor = VideoMAEImageProcessor(**SMALL)
    array = processor(video, return_tensors="np").pixel_values
    tensor = processor(video, return_tensors="pt")["pixel_values"]
    lists = processor(video).pixel_values
    assert torch.equal(tensor, torch.from_numpy(array))
    assert [len(lists), len(lists[0])] == [1, 4]
    np.testing.assert_array_equal(np.array(lists), array)
    assert dict(**processor(video, return_tensors="pt")).keys() == {"pixel_values"}
    assert processor(video, return_tensors="pt").to("meta").pixel_values.is_meta
    unequal = processor([video, video[:2]], do_center_crop=False).pixel_values
    assert [len(frames) for frames in unequal] == [4, 2]
    np.testing.assert_array_equal(
        processor.preprocess(video, return_tensors="np").pixel_values, array
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_frames_are_processed_where_they_are(video) -> None:
    processor = VideoMAEImageProcessor()
    there = processor(torch.from_numpy(video).cuda(), return_tensors="pt").pixel_values
    assert there.is_cuda
    np.testing.assert_allclose(there.cpu().numpy(), ours(video), atol=1e-6)


def test_channels_go_where_data_format_says(video) -> None:
    first = ours(video, **SMALL)
    last = ours(video, {"data_format": "channels_last"}, **SMALL)
    np.testing.assert_array_equal(last, first.transpose(0, 1, 3, 4, 2))


def test_channels_are_where_input_data_format_says() -> None:
    cube = noise(2, 3, 9, 3)
    for there in ("channels_first", "channels_last"):
        call = {"input_data_format": there}
        expected = VideoMAEImageProcessorPil(**SMALL)(list(cube), return_tensors="np", **call)
        np.testing.assert_allclose(ours(cube, call, **SMALL), expected.pixel_values, atol=1e-6)
    images = [Image.fromarray(frame) for frame in cube]
    np.testing.assert_array_equal(
        ours(images, {"input_data_format": "channels_first"}, **SMALL),
        ours(cube, {"input_data_format": "channels_last"}, **SMALL),
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("resize", [True, False])
def test_fractions_are_taken_as_they_are_without_rescaling(dtype, resize, video) -> None:
    frames = (video / 255).astype(dtype)
    options = SMALL | {"do_rescale": False, "do_resize": resize}
    given = list(frames if dtype != np.float16 else frames.astype(np.float32))
    np.testing.assert_allclose(
        ours(frames, **options), reference(given, **options), rtol=1e-6, atol=1e-6
    )


def test_unresized_floats_need_not_be_whole(video) -> None:
    frames = video * np.float32(0.7)
    options = SMALL | {"do_resize": False}
    np.testing.assert_allclose(
        ours(frames, **options), reference(list(frames), **options), atol=1e-5
    )


def test_it_is_the_encoders_preprocessing(video) -> None:
    preprocessing = Preprocessing.from_dict(SMALL)
    pixels = preprocessing.normalize(preprocessing.fit(torch.from_numpy(video))[None])
    np.testing.assert_array_equal(ours(video, **SMALL), pixels.numpy())


CHANGED = SMALL | {
    "resample": 3,
    "rescale_factor": 0.01,
    "do_normalize": False,
    "image_mean": [0.1, 0.2, 0.3],
}


def test_what_is_saved_loads_in_transformers(tmp_path, video) -> None:
    VideoMAEImageProcessor(**CHANGED).save_pretrained(tmp_path / "new" / "folder")
    for kind in (VideoMAEImageProcessorPil, AutoImageProcessor):
        theirs = kind.from_pretrained(tmp_path / "new" / "folder")
        assert type(theirs).__name__.startswith("VideoMAEImageProcessor")
        pixels = theirs(list(video), return_tensors="np").pixel_values
        np.testing.assert_allclose(ours(video, **CHANGED), pixels, atol=1e-5)


def test_what_transformers_saves_loads_here(tmp_path, video) -> None:
    VideoMAEImageProcessorPil(**CHANGED).save_pretrained(tmp_path)
    loaded = VideoMAEImageProcessor.from_pretrained(tmp_path)
    np.testing.assert_array_equal(
        loaded(video, return_tensors="np").pixel_values, ours(video, **CHANGED)
    )


def test_saving_loading_and_dicts_give_the_same_processor(tmp_path) -> None:
    processor = VideoMAEImageProcessor(**CHANGED)
    processor.save_pretrained(tmp_path)
    assert VideoMAEImageProcessor.from_pretrained(tmp_path) == processor
    assert VideoMAEImageProcessor.from_pretrained(str(tmp_path)) == processor
    assert VideoMAEImageProcessor.from_dict(processor.to_dict()) == processor
    assert json.loads(json.dumps(processor.to_dict())) == json.loads(
        (tmp_path / "preprocessor_config.json").read_text()
    )


def test_the_defaults_are_the_references() -> None:
    theirs = VideoMAEImageProcessorPil().to_dict()
    assert VideoMAEImageProcessor().to_dict() == theirs
    assert VideoMAEImageProcessor.from_dict({"size": None, "image_std": None}).to_dict() == theirs


def test_the_deprecated_name_warns_once_and_does_the_same(video, tmp_path) -> None:
    with pytest.warns(FutureWarning, match="use VideoMAEImageProcessor") as caught:
        extractor = VideoMAEFeatureExtractor(**SMALL)
        pixels = extractor(video, return_tensors="np", image_mean=0.1).pixel_values
    assert [warning.filename for warning in caught] == [__file__]
    np.testing.assert_array_equal(pixels, ours(video, **SMALL, image_mean=0.1))
    extractor.save_pretrained(tmp_path)
    with pytest.warns(FutureWarning):
        assert isinstance(
            VideoMAEFeatureExtractor.from_pretrained(tmp_path), VideoMAEImageProcessor
        )


GOLDEN = json.loads((Path(__file__).parents[2] / "goldens" / "processor.json").read_text())


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: str(case["call"]))
@pytest.mark.filterwarnings("ignore:VideoMAEFeatureExtractor is deprecated")
def test_the_deprecated_name_gives_what_transformers_4_gave(case) -> None:
    assert GOLDEN["transformers"].startswith("4.57")
    frames = list(np.array(GOLDEN["video"], np.uint8))
    extractor = VideoMAEFeatureExtractor(**case["options"])
    pixels = extractor(frames, return_tensors="np", **case["call"]).pixel_values
    expected = np.array(case["pixel_values"]).reshape(case["shape"])
    np.testing.assert_allclose(pixels, expected, rtol=1e-5, atol=1e-5)


def failure(videos, call: dict | None = None, **options) -> UsageError:
    with pytest.raises(UsageError) as caught:
        ours(videos, call, **options)
    return caught.value


FRAME = np.zeros((6, 7, 3), np.uint8)
NAN = np.full((6, 7, 3), np.nan)
BAD_INPUT = [
    (np.zeros((6, 7), np.uint8), "an array of shape (6, 7)"),
    (np.zeros((1,) * 5 + (3,), np.uint8), "an array of shape (1, 1, 1, 1, 1, 3)"),
    (np.zeros((0, 6, 7, 3), np.uint8), "an array of shape (0, 6, 7, 3)"),
    ([], "an empty list"),
    ([[FRAME], []], "an empty list"),
    (None, "of type NoneType"),
    ("video.mp4", "of type str"),
    ([[[[1, 2, 3]]]], "of type int"),
    ([FRAME, [FRAME]], "mixes frames"),
    ([[[FRAME]]], "mixes frames"),
    (np.zeros((6, 7, 4), np.uint8), "shape (6, 7, 4), it must have 3 channels, first or last"),
    (np.zeros((3, 7, 3), np.uint8), "shape (3, 7, 3) the 3 channels can be first or last"),
    (np.zeros((3, 0, 7), np.uint8), "has no pixels"),
    (Image.new("L", (7, 6)), "has mode L"),
    (Image.new("RGBA", (7, 6)), "has mode RGBA"),
    (np.zeros((6, 7, 3), bool), "of type bool"),
    (torch.zeros(6, 7, 3, dtype=torch.bool), "of type torch.bool"),
    (np.zeros((6, 7, 3), complex), "of type complex128"),
    (np.full((6, 7, 3), "a"), "of type <U1"),
    (np.zeros((6, 7, 3), object), "of type object"),
    (np.full((6, 7, 3), 256), "from 256 to 256, they must be in 0..255"),
    (np.full((6, 7, 3), -1), "from -1 to -1"),
    (np.full((6, 7, 3), 2**64 - 1, np.uint64), "they must be in 0..255"),
    (torch.full((6, 7, 3), 60000).to(torch.uint16), "from 60000 to 60000"),
    (np.full((6, 7, 3), -0.5), "from -0.5 to -0.5"),
    (NAN, "from nan to nan"),
    (np.full((6, 7, 3), 0.5), "floats in 0..0.5, and do_rescale would multiply"),
    (np.full((6, 7, 3), 7.5), "up to 7.5 that are not whole"),
    ([FRAME, torch.from_numpy(FRAME).to("meta")], "different devices"),
    ([[FRAME, FRAME], [FRAME]], "different numbers of frames make no one tensor: 1, 2"),
]


@pytest.mark.parametrize(("videos", "message"), BAD_INPUT, ids=[text for _, text in BAD_INPUT])
def test_bad_frames_are_named(videos, message) -> None:
    error = failure(videos, **SMALL)
    assert message in error.problem
    assert error.next_step


def test_frames_of_unequal_sizes_make_no_tensor() -> None:
    error = failure([FRAME, noise(9, 9, 3)], do_center_crop=False, do_resize=False)
    assert "different sizes make no one tensor: (3, 6, 7), (3, 9, 9)" in error.problem


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"resample": 9}, "resample is 9, known are 0 (nearest), 1 (lanczos)"),
        ({"size": {"longest_edge": 5}}, "size is {'longest_edge': 5}"),
        ({"size": -3}, "size is -3"),
        ({"crop_size": {"height": 5}}, "crop_size is {'height': 5}"),
        ({"do_resize": 1}, "do_resize is 1, it must be true or false"),
        ({"image_mean": (1, 2)}, "image_mean is (1, 2), it must be three numbers"),
        ({"image_std": 0}, "image_std is (0.0, 0.0, 0.0), pixels cannot be divided by 0"),
        ({"rescale_factor": "1/255"}, "rescale_factor is '1/255', it must be a number"),
    ],
    ids=str,
)
def test_an_option_without_meaning_is_named(option, message) -> None:
    assert message in failure(FRAME, **option).problem
    assert message in failure(FRAME, option).problem
    assert failure(FRAME, option).next_step


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"resize": 9}, "'resize' is no option"),
        ({"data_format": "last"}, "data_format is 'last', it must be 'channels_first' or"),
        ({"input_data_format": "none"}, "input_data_format is 'none'"),
        ({"data_format": None}, "data_format is None"),
        ({"input_data_format": "channels_first"}, "it must have 3 channels, first"),
    ],
    ids=str,
)
def test_an_argument_without_meaning_is_named(call, message) -> None:
    assert message in failure(FRAME, call).problem


def test_an_unknown_kind_of_result_is_named() -> None:
    with pytest.raises(UsageError, match="return_tensors is 'tf', it must be 'pt' or 'np' or None"):
        VideoMAEImageProcessor()(FRAME, return_tensors="tf")


def test_a_file_that_is_no_processors_is_named(tmp_path) -> None:
    with pytest.raises(ModelNotFound):
        VideoMAEImageProcessor.from_pretrained(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="no preprocessor_config"):
        VideoMAEImageProcessor.from_pretrained(tmp_path)
    file = tmp_path / "preprocessor_config.json"
    for text, message in (("{", "is not JSON"), ('{"size": "big"}', "size is 'big'")):
        file.write_text(text)
        with pytest.raises(CheckpointError, match=message) as caught:
            VideoMAEImageProcessor.from_pretrained(tmp_path)
        assert str(file) in caught.value.problem
    with pytest.raises(UsageError, match="cannot be written to"):
        VideoMAEImageProcessor().save_pretrained(file)


def test_it_is_imported_without_decoder_store_index_or_pil() -> None:
    code = (
        "import sys, vidx.embedder.videomae.processor;"
        "print([n for n in ('av', 'faiss', 'pyarrow', 'sqlalchemy', 'PIL') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
