"""`bench`: how fast a model embeds on this machine, alone and together with decoding."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from vidx.errors import UsageError
from vidx.options import Decoder, EmbedOptions

if TYPE_CHECKING:
    from vidx.embedder.encoder import Encoder
    from vidx.embedder.probing import Probed
    from vidx.embedder.trial import Trial
    from vidx.model_records import BenchReport, LibraryRates

PathLike: TypeAlias = "str | os.PathLike[str]"
Progress = Callable[[int, int], None]


def bench(
    model: PathLike | None = None,
    *,
    paths: PathLike | Sequence[PathLike] = (),
    device: str | None = None,
    dtype: str | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
    decoder: Decoder = "cpu",
    seconds: float = 20.0,
    progress: Progress = lambda _done, _of: None,
) -> BenchReport:
    """Measure how fast a model embeds on this machine, and with videos also how fast these decode.

    Args:
        model: As for `Collection.embed`. None: the model that a new collection has by default.
        paths: Files, folders and globs, as for `Collection.embed`. Without any, decoding is left
            aside.
        device: As for `Collection.embed`.
        dtype: As for `Collection.embed`.
        batch_size: Clips in one batch. None: what suits the device and its free memory.
        workers: Decoding processes, as for `Collection.embed`.
        decoder: What decodes, likewise.
        seconds: How long to measure; it takes longer where a few batches do.
        progress: Called with the measurements done, and how many there are.

    Returns:
        Clips a second of the model alone; with videos also of decoding alone, and of both.

    Raises:
        UsageError: An argument is out of range, or a path is not there.
        VidxError: There are no videos at these paths, or none that can be decoded.
        ModelNotFound, CheckpointError, DeviceError: As their names say.
    """
    options = EmbedOptions(batch_size=batch_size, workers=workers, decoder=decoder)
    if seconds <= 0:
        raise UsageError(f"seconds={seconds}: it takes more than 0.")
    from vidx.embedder.checkpoints.finding import DEFAULT_MODEL
    from vidx.embedder.decoding.card import see_decoder
    from vidx.embedder.encoder import load
    from vidx.embedder.inference.devices import every_device
    from vidx.embedder.inference.rate import measure

    places = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    files = _files(places, options) if places else ()
    see_decoder(decoder)
    named = DEFAULT_MODEL if model is None else model
    encoder = load(named, device=every_device(device), dtype=dtype)
    try:
        if places:
            return _with_videos(encoder, files, options, seconds, progress)
        return measure(encoder, batch_size=batch_size, seconds=seconds, progress=progress)
    finally:
        encoder.close()


def _files(places: Sequence[PathLike], options: EmbedOptions) -> tuple[str, ...]:
    """The videos at some places of this machine."""
    from vidx.remote.urls import is_url
    from vidx.video_files import video_files

    if urls := [place for place in places if is_url(place)]:
        raise UsageError(f"{urls[0]}: bench measures files.", "Name a few that lie on a disk.")
    return video_files(places, options).paths


def _with_videos(
    encoder: Encoder,
    files: Sequence[str],
    options: EmbedOptions,
    seconds: float,
    progress: Progress,
) -> BenchReport:
    """Decoding alone, the model alone, and both: a third of the time each."""
    from vidx.embedder.decoding.sampling import Plan
    from vidx.embedder.inference.rate import measure_host
    from vidx.embedder.probing import spread
    from vidx.embedder.trial import MOST_FILES, Trial

    progress(0, 4)
    probed = _probed(encoder, files, options)
    progress(1, 4)
    trial = Trial(
        encoder,
        spread(probed.sound, MOST_FILES),
        plan=Plan(),
        workers=options.num_workers,
        batch_size=options.batch_size or encoder.batch_size,
        seconds=seconds / 3,
        decoder=options.decoder,
    )
    decoding = trial.decoding()
    progress(2, 4)
    alone = measure_host(encoder, batch_size=trial.batch_size, seconds=trial.seconds)
    progress(3, 4)
    library = _rates(trial, decoding, alone.host_clips_per_second, probed)
    progress(4, 4)
    return replace(alone, library=library)


def _probed(encoder: Encoder, files: Sequence[str], options: EmbedOptions) -> Probed:
    """What the headers of all files say."""
    from vidx.embedder.decoding.sampling import Sampling
    from vidx.embedder.probing import VideoFile, probe

    space = encoder.space
    sized = [
        VideoFile(path, os.path.getsize(path) if os.path.isfile(path) else 0) for path in files
    ]
    sampling = Sampling(space.num_frames, space.fps)
    return probe(sized, sampling, workers=max(options.num_workers, 1))


def _rates(trial: Trial, decoding: float, model: float, probed: Probed) -> LibraryRates:
    """Both together, beside each alone, and what that means for all files."""
    from vidx.model_records import LibraryRates

    both, busy = trial.embedding()
    seconds = probed.num_clips / both
    taking_turns = 1 / (1 / decoding + 1 / model)
    return LibraryRates(
        num_files=probed.num_files,
        num_sampled=len(trial.paths),
        num_workers=trial.workers,
        decoding_clips_per_second=decoding,
        clips_per_second=both,
        video_hours_per_hour=probed.video_seconds / seconds if seconds else 0.0,
        over_slower=both / min(decoding, model),
        over_shared=both / taking_turns if busy.is_on_cpu else None,
        busy=busy,
        library_seconds=seconds,
        library_clips=probed.num_clips,
        library_hours=probed.video_seconds / 3600,
    )
