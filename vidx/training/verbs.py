"""Training: an encoder from procedural videos, and one adapted to the videos of a collection."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidx.collection import Collection
from vidx.errors import UsageError, VideoError
from vidx.options import EmbedOptions
from vidx.training.telling import Teller, TrainingStep

if TYPE_CHECKING:
    from vidx.embedder.encoder import Encoder
    from vidx.records import Source
    from vidx.training.footage import Video

DEFAULT_RECIPE = "cpu"
REQUESTS = 8  # at a time, of servers
WAY_OUT = "Train on another device, or a smaller model."


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What a run of `train` gave.

    Attributes:
        model: The checkpoint's folder.
        recipe: By name.
        steps: Of the whole run.
        losses: Of its last step.
        validation: How good the encoder is at the end, on held-out drawn clips: `nearest` is the
            share whose nearest neighbour is of their class; `trimmed`, `cropped` and `brightened`
            are the shares of such copies that find their source first.
        seconds: Wall-clock time of this call.
    """

    model: str
    recipe: str
    steps: int
    losses: dict[str, float]
    validation: dict[str, float]
    seconds: float


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A video that was not learned from, with the reason as in `Collection.failures`."""

    path: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class AdaptReport:
    """What a run of `adapt` gave.

    Attributes:
        model: The new checkpoint's folder.
        source: The checkpoint it was adapted from.
        fps: Frames sampled a second, which is the collection's.
        steps: Of the whole run: half to fit the decoder, half to adapt.
        videos: Videos learned from or measured with.
        training_clips: Clips learned from.
        held_out_clips: Clips of other videos, to measure with.
        held_out_before: Their loss when the decoder was fitted and the encoder as it had been.
        held_out_after: Their loss at the end.
        left_out: Videos that could not be read.
        seconds: Wall-clock time of this call.
    """

    model: str
    source: str
    fps: float
    steps: int
    videos: int
    training_clips: int
    held_out_clips: int
    held_out_before: float
    held_out_after: float
    left_out: tuple[LeftOut, ...]
    seconds: float


def train(
    folder: str | os.PathLike[str],
    recipe: str = DEFAULT_RECIPE,
    *,
    minutes: float | None = None,
    seed: int | None = None,
    device: str | None = None,
    progress: Callable[[TrainingStep], None] | None = None,
) -> TrainReport:
    """Train an encoder on procedural videos, or go on with a run that was stopped.

    Args:
        folder: Of the run; `model` in it is a checkpoint.
        recipe: `minute`, `cpu` or `gpu`.
        minutes: The run's whole time, over all calls; it comes to its end with as many steps as
            there are in it. None: the recipe's.
        seed: Of weights, videos and masks. None: the recipe's.
        device: `cpu`, `cuda` or `cuda:N`. None: cuda where there is one.
        progress: Called after each step.

    Returns:
        What the run gave.

    Raises:
        CheckpointError: The folder's run was begun with another recipe, or is damaged.
        UsageError: The folder holds something else, an argument is out of range, or there is no
            such recipe or device.
        DeviceError: This machine lacks the device, or the memory.
        VidxError: A loss is no number, the folder cannot be written to, or another process trains
            there.
    """
    from vidx.training.device import telling_full_memory, training_device
    from vidx.training.recipe import chosen_recipe
    from vidx.training.run import MODEL_FOLDER
    from vidx.training.train import train
    from vidx.training.validation import NEAREST

    place, where = training_device(device), _absolute(folder)
    chosen = chosen_recipe(recipe, place.type, minutes=minutes, seed=seed)
    teller = Teller(progress)
    teller.begin(chosen.pretraining_steps + chosen.steps)
    with telling_full_memory(place, WAY_OUT):
        teller.follow(train(chosen, where, place))
    log = _log(where)
    return TrainReport(
        model=str(where / MODEL_FOLDER),
        recipe=recipe,
        steps=log[-1]["step"] + 1,
        losses=_last_with("loss", log),
        validation=_last_with(NEAREST, log),
        seconds=teller.seconds,
    )


def adapt(
    collection: Collection,
    folder: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] | None = None,
    steps: int | None = None,
    device: str | None = None,
    progress: Callable[[TrainingStep], None] | None = None,
) -> AdaptReport:
    """Adapt an encoder to a collection's videos, or go on with a run that was stopped.

    The collection stays as it is. Vectors of the new checkpoint are not comparable with its own.

    Args:
        collection: Its videos are read from where they lie.
        folder: Of the run; `model` in it is the new checkpoint.
        model: Checkpoint folder, or hub id, or `builtin:tiny`. None: the collection's own.
        steps: Of fitting a decoder, and again of adapting. None: 400.
        device: `cpu`, `cuda` or `cuda:N`. None: cuda where there is one.
        progress: Called after each video and each step.

    Returns:
        What the run gave.

    Raises:
        VidxError: Too few videos can be read, a loss is no number, the folder cannot be written
            to, or another process trains there.
        CheckpointError: The folder's run was begun otherwise, or is damaged.
        UsageError: The folder holds something else, or an argument is out of range.
        ModelNotFound, DeviceError: As their names say.
    """
    from vidx.training.adapt import ADAPTING, HELD_OUT, Adaptation, adapt, run_of
    from vidx.training.device import telling_full_memory, training_device
    from vidx.training.footage import read_footage
    from vidx.training.run import MODEL_FOLDER

    adaptation = Adaptation() if steps is None else Adaptation(steps=steps)
    if adaptation.steps < 1:
        raise UsageError(f"steps={steps}: it takes 1 or more.")
    place, where = training_device(device), _absolute(folder)
    videos, missing = _present(collection)
    encoder = _encoder(collection, model, str(place))
    run = run_of(where, encoder, videos, adaptation)
    with run.held():
        run.load()  # refuses another run's folder before anything is decoded
    teller = Teller(progress)
    workers = EmbedOptions().num_workers
    footage = read_footage(videos, encoder, workers=workers, progress=teller.read)
    teller.begin(2 * adaptation.steps)
    with telling_full_memory(place, WAY_OUT):
        teller.follow(adapt(run, encoder, footage, adaptation))
    measured = [
        one[HELD_OUT] for one in _log(where) if one["stage"] == ADAPTING and HELD_OUT in one
    ]
    failed = [LeftOut(path, one.reason, one.message) for path, one in footage.failed.items()]
    return AdaptReport(
        model=str(where / MODEL_FOLDER),
        source=encoder.space.source,
        fps=encoder.space.fps,
        steps=2 * adaptation.steps,
        videos=footage.videos,
        training_clips=len(footage.training),
        held_out_clips=len(footage.held_out),
        held_out_before=measured[0],
        held_out_after=measured[-1],
        left_out=tuple(sorted((*failed, *missing), key=lambda one: one.path)),
        seconds=teller.seconds,
    )


def _present(collection: Collection) -> tuple[list[Video], list[LeftOut]]:
    """Where each video lies now, and those that lie nowhere any more."""
    from concurrent.futures import ThreadPoolExecutor

    from vidx.store.places import places_of

    rows = collection.videos().to_pylist()
    places = places_of(collection._catalogue(), [row["video_id"] for row in rows])
    sources = [places.get(row["video_id"], []) for row in rows]
    with ThreadPoolExecutor(REQUESTS, thread_name_prefix="vidx-look") as pool:
        found = list(pool.map(_look, rows, sources))
    missing = [one for one in found if isinstance(one, LeftOut)]
    return [one for one in found if not isinstance(one, LeftOut)], missing


def _look(row: Mapping[str, Any], places: Sequence[Source]) -> Video | LeftOut:
    """The first place of a video that holds what was embedded."""
    from vidx.embedder.decoding.places import unchanged
    from vidx.training.footage import Video

    try:
        path, state = unchanged(places)
    except VideoError as error:
        return LeftOut(row["path"] or "", error.reason, error.message)
    return Video(row["video_id"], path, row["duration_seconds"], state)


def _encoder(collection: Collection, model: str | os.PathLike[str] | None, device: str) -> Encoder:
    """The collection's own encoder or another one, sampling as the collection does."""
    from vidx.embedder.encoder import load
    from vidx.encoder_choice import EncoderChoice

    space = collection.info().space
    if model is None:
        return EncoderChoice(None, device, "float32").load(space, str(collection.path))
    return load(model, device=device, dtype="float32", fps=space.fps)


def _log(folder: Path) -> list[dict[str, Any]]:
    """What a run logged, a line a step."""
    from vidx.training.run import LOG_FILE

    lines = (folder / LOG_FILE).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _last_with(name: str, log: list[dict[str, Any]]) -> dict[str, float]:
    """The values of the last line that has a name among them; empty where none has."""
    found: dict[str, Any] = next((line for line in reversed(log) if name in line), {})
    return {name: value for name, value in found.items() if name not in ("stage", "step")}


def _absolute(folder: str | os.PathLike[str]) -> Path:
    return Path(os.path.abspath(folder))
