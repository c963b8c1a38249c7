"""Adapting lowers the loss of unseen videos, keeps what it should, and goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from vidx.embedder import encoder as encoders
from vidx.embedder.decoding.sampling import Sampling
from vidx.embedder.encoder import Encoder
from vidx.embedder.videomae import VideoMAEForPreTraining, VideoMAEForVideoClassification
from vidx.embedder.videomae.weights import read_tensors
from vidx.errors import CheckpointError, VidxError
from vidx.training.adapt import ADAPTING, DECODER, HELD_OUT, Adaptation, adapt, run_of
from vidx.training.footage import (
    Footage,
    Video,
    fair_share,
    plan_of,
    read_footage,
    windows,
)
from vidx.training.loop import TrainProgress
from vidx.training.run import LOG_FILE, MODEL_FOLDER, STATE_FILE

SECONDS = (7.0, 2.0, 5.0, 1.0, 6.0, 3.0, 4.0, 6.5)
BRIEF = Adaptation(steps=6, clips=4, warmup_steps=2, average=0.5)
CLIP_BYTES = 16 * 32 * 32 * 3


@pytest.fixture(scope="module")
def videos(
    tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]
) -> list[Video]:
    """Eight videos of other lengths; in all 20 clips."""
    folder = tmp_path_factory.mktemp("videos")
    found = []
    for seed, seconds in enumerate(SECONDS):
        path = make_video(folder / f"{seed}.mp4", seed=seed, seconds=seconds, size=(64, 48))
        video_id = hashlib.sha256(path.read_bytes()).hexdigest()
        found.append(Video(video_id, str(path), seconds))
    return found


@pytest.fixture(scope="module")
def encoder(tiny_checkpoint: Path) -> Encoder:
    return encoders.load(tiny_checkpoint, device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def footage(videos: list[Video], encoder: Encoder) -> Footage:
    return read_footage(videos, encoder, workers=0)


def begin(
    folder: Path, encoder: Encoder, videos: list[Video], footage: Footage, numbers: Adaptation
) -> Iterator[TrainProgress]:
    return adapt(run_of(folder, encoder, videos, numbers), encoder, footage, numbers)


def log_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / LOG_FILE).read_text().splitlines()]


def held_out_at_the_end(steps: Iterator[TrainProgress]) -> float:
    return list(steps)[-1].losses[HELD_OUT]


def stripes(seed: int) -> np.ndarray:
    """A clip of stripes that wander: what is seen of them tells what is hidden."""
    random = np.random.default_rng(seed)
    y, x, time = np.ogrid[:32, :32, :16]
    along = x if random.random() < 0.5 else y
    wave = np.sin((along + random.integers(8) + 0.2 * time) * (2 * np.pi / 8))
    colour = random.uniform(40, 120, 3)
    clip = 128 + np.broadcast_to(wave, (32, 32, 16))[..., None] * colour
    return clip.transpose(2, 0, 1, 3).astype(np.uint8)


@pytest.mark.long
def test_adapting_lowers_the_loss_of_videos_never_trained_on(
    videos: list[Video], encoder: Encoder, tmp_path: Path
) -> None:
    footage = Footage(
        training=tuple(stripes(seed) for seed in range(48)),
        held_out=tuple(stripes(seed) for seed in range(1000, 1016)),
        videos=64,
        failed={},
    )
    numbers = Adaptation(
        steps=60, clips=8, warmup_steps=5, average=0.9, rate=1e-3, matrix_rate=0.02
    )
    after = held_out_at_the_end(begin(tmp_path / "both", encoder, videos, footage, numbers))
    before = next(
        entry[HELD_OUT] for entry in log_of(tmp_path / "both") if entry["stage"] == ADAPTING
    )
    assert after < 0.9 * before
    # As many steps for the decoder, while the encoder stays as it is.
    frozen = replace(numbers, frozen=True)
    control = held_out_at_the_end(begin(tmp_path / "frozen", encoder, videos, footage, frozen))
    assert after < 0.98 * control


@pytest.mark.long
def test_a_classifier_stays_and_the_encoder_changes(
    videos: list[Video], footage: Footage, encoder: Encoder, tmp_path: Path
) -> None:
    list(begin(tmp_path, encoder, videos, footage, BRIEF))
    adapted = encoders.load(tmp_path / MODEL_FOLDER, device="cpu")
    assert adapted.space.labels == encoder.space.labels
    assert adapted.preprocessing == encoder.preprocessing
    assert adapted.space.fingerprint != encoder.space.fingerprint
    for name, value in adapted.model.state_dict().items():
        same = torch.equal(value, encoder.model.state_dict()[name])
        assert same == name.startswith("head."), name


def test_the_encoder_stays_while_the_decoder_is_fitted(
    videos: list[Video], footage: Footage, encoder: Encoder, tmp_path: Path
) -> None:
    steps = begin(tmp_path, encoder, videos, footage, BRIEF)
    assert [step.stage for step in islice(steps, BRIEF.steps)] == [DECODER] * BRIEF.steps
    steps.close()
    so_far = encoders.load(tmp_path / MODEL_FOLDER, device="cpu")
    assert so_far.space.fingerprint == encoder.space.fingerprint


def test_a_frozen_encoder_stays_to_the_end(
    videos: list[Video], footage: Footage, encoder: Encoder, tmp_path: Path
) -> None:
    list(begin(tmp_path, encoder, videos, footage, replace(BRIEF, frozen=True)))
    made = encoders.load(tmp_path / MODEL_FOLDER, device="cpu")
    assert made.space.fingerprint == encoder.space.fingerprint


@pytest.mark.long
def test_a_checkpoint_of_pre_training_keeps_its_decoder(
    videos: list[Video], footage: Footage, make_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    source = make_checkpoint(tmp_path / "source", pretraining=True, head=False)
    encoder = encoders.load(source, device="cpu", dtype="float32")
    list(begin(tmp_path / "run", encoder, videos, footage, replace(BRIEF, decoder_rate=1e-9)))
    before = VideoMAEForPreTraining.from_pretrained(source)
    after = VideoMAEForPreTraining.from_pretrained(tmp_path / "run" / MODEL_FOLDER)
    change = after.decoder.predict.weight - before.decoder.predict.weight
    assert 0 < change.abs().max() < 0.1 * before.decoder.predict.weight.abs().max()


@pytest.mark.long
def test_the_weights_precision_stays(
    videos: list[Video], footage: Footage, make_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    source = make_checkpoint(tmp_path / "float32")
    half = tmp_path / "half"
    loaded = VideoMAEForVideoClassification.from_pretrained(source, dtype="float16")
    loaded.save_pretrained(half)
    (half / "preprocessor_config.json").write_bytes(
        (source / "preprocessor_config.json").read_bytes()
    )
    encoder = encoders.load(half, device="cpu", dtype="float32")
    list(begin(tmp_path / "run", encoder, videos, footage, BRIEF))
    tensors = read_tensors(tmp_path / "run" / MODEL_FOLDER / "model.safetensors")
    assert {value.dtype for value in tensors.values()} == {torch.float16}


SELDOM = [pytest.param(steps, marks=pytest.mark.long) for steps in (2, 6)]


@pytest.mark.parametrize("stopped_after", [*SELDOM, 9])
def test_a_stopped_run_goes_on_to_the_same_losses(
    videos: list[Video], footage: Footage, encoder: Encoder, tmp_path: Path, stopped_after: int
) -> None:
    list(begin(tmp_path / "whole", encoder, videos, footage, BRIEF))
    steps = begin(tmp_path / "stopped", encoder, videos, footage, BRIEF)
    list(islice(steps, stopped_after))
    steps.close()
    list(begin(tmp_path / "stopped", encoder, videos, footage, BRIEF))
    whole, stopped = log_of(tmp_path / "whole"), log_of(tmp_path / "stopped")
    assert len(whole) == 2 * BRIEF.steps + 1
    assert [entry["step"] for entry in stopped] == list(range(2 * BRIEF.steps + 1))
    for one, other in zip(stopped, whole, strict=True):
        assert one.pop("stage") == other.pop("stage")
        assert one == pytest.approx(other, rel=1e-5)


@pytest.mark.long
def test_a_finished_run_is_left_as_it_is(
    videos: list[Video], footage: Footage, encoder: Encoder, tmp_path: Path
) -> None:
    list(begin(tmp_path, encoder, videos, footage, BRIEF))
    log, state = log_of(tmp_path), (tmp_path / STATE_FILE).read_bytes()
    [last] = begin(tmp_path, encoder, videos, footage, BRIEF)
    assert last.losses[HELD_OUT] == pytest.approx(log[-1][HELD_OUT], rel=1e-5)
    assert log_of(tmp_path)[:-1] == log[:-1]
    assert (tmp_path / STATE_FILE).read_bytes() == state


def test_other_numbers_videos_or_models_are_refused(
    videos: list[Video], footage: Footage, encoder: Encoder, make_checkpoint, tmp_path: Path
) -> None:
    steps = begin(tmp_path / "run", encoder, videos, footage, BRIEF)
    next(steps)
    steps.close()
    other = encoders.load(make_checkpoint(tmp_path / "other", seed=7), device="cpu")
    with pytest.raises(CheckpointError, match="steps was 6, now 7"):
        run_of(tmp_path / "run", encoder, videos, replace(BRIEF, steps=7)).load()
    with pytest.raises(CheckpointError, match=r"videos was 8 \(\w+\), now 7"):
        run_of(tmp_path / "run", encoder, videos[1:], BRIEF).load()
    with pytest.raises(CheckpointError, match="model was"):
        run_of(tmp_path / "run", other, videos, BRIEF).load()
    assert run_of(tmp_path / "run", encoder, videos[::-1], BRIEF).load()


def test_a_loss_that_is_no_number_stops_the_run(
    videos: list[Video], footage: Footage, encoder: Encoder, tmp_path: Path
) -> None:
    wild = replace(BRIEF, decoder_rate=1e30)
    with pytest.raises(VidxError, match="no number of float16 at step 1"):
        list(begin(tmp_path, encoder, videos, footage, wild))


def test_footage_is_the_same_in_processes_and_parts_the_videos(
    videos: list[Video], footage: Footage, encoder: Encoder
) -> None:
    counted: list[tuple[int, int]] = []
    again = read_footage(
        videos[::-1], encoder, workers=2, progress=lambda *numbers: counted.append(numbers)
    )
    assert counted == [(number, 8) for number in range(1, 9)]
    assert again.videos == footage.videos == 8
    for one, other in ((again.training, footage.training), (again.held_out, footage.held_out)):
        assert np.array_equal(np.stack(one), np.stack(other))
    first = min(videos, key=lambda video: video.video_id)
    assert len(footage.held_out) == windows(first, Sampling())
    assert len(footage.training) + len(footage.held_out) == 20


def test_footage_keeps_to_its_bytes_and_draws_evenly(videos: list[Video], encoder: Encoder) -> None:
    few = read_footage(videos, encoder, workers=0, max_bytes=15 * CLIP_BYTES - 1)
    assert (few.videos, len(few.training) + len(few.held_out)) == (8, 14)
    twins = [replace(video, video_id=video.video_id[::-1]) for video in videos]
    fewer = read_footage([*videos, *twins], encoder, workers=0, max_bytes=10 * CLIP_BYTES)
    assert (fewer.videos, len(fewer.training), len(fewer.held_out)) == (10, 9, 1)


@pytest.mark.parametrize("share", [1, 2, 3, 7, 20])
@pytest.mark.parametrize("seconds", [0.04, 2.0, 2.2, 6.4, 15.0, 100.0])
def test_a_plan_gives_a_videos_share(share: int, seconds: float) -> None:
    from vidx.embedder.decoding.sampling import clip_spans

    video = Video("", "", seconds)
    plan = plan_of(video, share, Sampling())
    spans = clip_spans(seconds, Sampling(), plan)
    assert len(spans) == min(share, windows(video, Sampling()))
    assert all(one.end_seconds <= seconds + 1e-3 for one in spans)


def test_shares_fill_the_room_and_no_more() -> None:
    random = np.random.default_rng(0)
    for _ in range(300):
        counts = random.integers(1, 60, random.integers(1, 40)).tolist()
        room = int(random.integers(len(counts), 1000))
        share = fair_share(counts, room)
        taken = sum(min(count, share) for count in counts)
        assert taken <= room
        more = sum(min(count, share + 1) for count in counts)
        assert more > room or taken == sum(counts)


def test_unreadable_videos_are_named_and_cost_only_themselves(
    videos: list[Video], footage: Footage, encoder: Encoder, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video" * 100)
    gone = tmp_path / "gone.mp4"
    bad = [Video("f" * 64, str(broken), 5.0), Video("0" * 64, str(gone), 5.0)]
    found = read_footage([*videos, *bad], encoder, workers=1)
    assert {path: problem.reason for path, problem in found.failed.items()} == {
        str(broken): "not_a_video",
        str(gone): "unreadable",
    }
    assert found.videos == footage.videos
    assert np.array_equal(np.stack(found.training), np.stack(footage.training))


def test_too_few_videos_or_clips_are_refused_with_the_reason(
    videos: list[Video], encoder: Encoder, tmp_path: Path
) -> None:
    with pytest.raises(VidxError, match=r"too little to learn from \(videos: 1\)"):
        read_footage(videos[:1], encoder, workers=0)
    with pytest.raises(VidxError, match="videos: 2, clips: 5"):
        read_footage(videos[:2], encoder, workers=0)
    missing = [Video(f"{number:064}", str(tmp_path / f"{number}.mp4"), 5.0) for number in range(9)]
    with pytest.raises(VidxError, match=r"cannot be read: 9; .*/0\.mp4: No such file"):
        read_footage([*missing, *videos[:2]], encoder, workers=0)
    assert os.listdir(tmp_path) == []
