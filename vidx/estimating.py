"""What `embed` would take: headers are read, and a few of the files embedded for some seconds."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from vidx.embedder.decoding.sampling import Plan, Sampling
from vidx.embedder.probing import Probed, VideoFile, probe, spread
from vidx.errors import VidxError
from vidx.estimates import EmbedEstimate, bytes_on_disk
from vidx.options import EmbedOptions
from vidx.records import FileFinding, FileStatus, Space
from vidx.remote.urls import is_url

if TYPE_CHECKING:
    from vidx.embedder.encoder import Encoder

TRIAL_FILES = 8
TRIAL_SECONDS = 5.0
TRIAL_CLIPS = 8  # in one batch: more may take long on a CPU


def estimate(
    findings: Sequence[FileFinding],
    options: EmbedOptions,
    space: Space | None,
    load_encoder: Callable[[], Encoder],
    *,
    plans: Mapping[str, Plan],
    is_named: bool,
) -> EmbedEstimate:
    """Say what the files that are to be embedded would take.

    Args:
        findings: Of all files.
        options: Of the run.
        space: The collection's; None where it is yet to be made.
        load_encoder: Called where there is something to embed, and nothing to be downloaded.
        plans: How those files are cut that have spans in a manifest.
        is_named: Whether the encoder was named, and is checked even if nothing is to be embedded.

    Raises:
        VidxError: As `load_encoder` does.
    """
    plan = Plan(options.stride_seconds, segment=options.segment)
    files = [
        VideoFile(one.source.path, one.source.size_bytes, plans.get(one.source.path, plan))
        for one in findings
        if one.status is FileStatus.EMBED
    ]
    wanted = files or is_named
    encoder, no_rate = _encoder(options, space, load_encoder) if wanted else (None, None)
    known = encoder.space if encoder else space
    # In a worker also where decoding in this process is asked for: that is for debugging.
    probed = probe(files, _sampling(options, known), workers=max(options.num_workers, 1))
    rate = None
    if encoder and probed.num_clips:
        try:
            rate = _rate(encoder, probed, plan, options)
        except VidxError as error:
            no_rate = error.problem
    return EmbedEstimate(
        findings=tuple(findings),
        num_to_embed=len(files),
        num_probed=probed.num_probed,
        video_seconds=probed.video_seconds,
        num_clips=probed.num_clips,
        problems=probed.problems,
        clips_per_second=rate,
        no_rate=no_rate,
        disk_bytes=_disk_bytes(probed, known, options, is_new=space is None) if known else None,
    )


def _encoder(
    options: EmbedOptions, space: Space | None, load_encoder: Callable[[], Encoder]
) -> tuple[Encoder | None, str | None]:
    """The encoder, or why there is none: nothing is downloaded for an estimate."""
    from vidx.embedder.checkpoints.finding import DEFAULT_MODEL, is_at_hand

    if options.engine == "ray":
        return None, "the nodes of a cluster are not measured"
    model = options.model or (space.source if space else DEFAULT_MODEL)
    if is_at_hand(model):
        return load_encoder(), None
    return None, f"the model {os.fspath(model)} is not on this machine"


def _sampling(options: EmbedOptions, space: Space | None) -> Sampling:
    if space:
        return Sampling(space.num_frames, space.fps)
    default = Sampling()
    return Sampling(options.num_frames or default.num_frames, options.fps or default.fps)


def _rate(encoder: Encoder, probed: Probed, plan: Plan, options: EmbedOptions) -> float:
    from vidx.embedder.trial import Trial

    here = [path for path in probed.sound if not is_url(path)]
    if probed.sound and not here:  # much would be fetched
        raise VidxError("what lies at URLs is not measured")
    trial = Trial(
        encoder,
        spread(here, TRIAL_FILES),
        workers=options.num_workers,
        batch_size=options.batch_size or min(encoder.batch_size, TRIAL_CLIPS),
        seconds=TRIAL_SECONDS,
        plan=plan,
        decoder=options.decoder,
    )
    return trial.embedding()[0]


def _disk_bytes(probed: Probed, space: Space, options: EmbedOptions, *, is_new: bool) -> int:
    return bytes_on_disk(
        num_videos=probed.num_videos,
        num_clips=probed.num_clips,
        dim=space.dim,
        num_labels=len(space.labels),
        num_frames=space.num_frames,
        is_new=is_new,
        previews=options.previews,
    )
