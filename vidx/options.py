"""What the verbs of a collection are asked to do: small records, checked when they are made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from vidx.errors import UsageError
from vidx.throughput import num_cores

if TYPE_CHECKING:
    from vidx.records import Likeness, Segmentation
    from vidx.selection import Selection


Engine = Literal["local", "ray"]
Decoder = Literal["cpu", "cuda"]

MAX_WORKERS = 16  # where none are asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitPolicy:
    """When what is finished is committed. A crash loses no more than what lies between.

    Attributes:
        num_clips: As soon as there are so many clips: 12 MB of vectors at 768 dimensions.
        seconds: And after so long a time.
        part_clips: A video of more clips is finished in parts of so many, so that a crash does not
            cost all of it. They are seen once the last one is committed.
    """

    num_clips: int = 4096
    seconds: float = 30.0
    part_clips: int = 2048

    def __post_init__(self) -> None:
        _check(1, num_clips=self.num_clips, part_clips=self.part_clips)
        _check(0, seconds=self.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedOptions:
    """How videos are embedded.

    Attributes:
        model: Checkpoint folder, or hub id with optional `@revision`, or `builtin:tiny`. None: the
            collection's own, and for a new collection the Kinetics checkpoint.
        device: `cpu`, `cuda` (all there are) or `cuda:N`; several, separated by commas, share the
            work. None: cuda where there is one.
        dtype: `float32`, `float16` or `bfloat16`. None: float16 on cuda; on a CPU bfloat16 where it
            is native and faster, else float32.
        num_frames: Frames sampled from a clip. None: the collection's, or the model's.
        fps: Frames sampled a second. None: the collection's, or 7.5.
        stride_seconds: From one clip's start to the next one's. None: back to back.
        segment: `fixed` cuts a video into clips from its start to its end; `shots` cuts each of its
            shots by itself, so that no clip shows two. It takes decoding every frame.
        batch_size: Clips in one batch. None: what suits the device and its free memory.
        workers: Decoding processes; 0 decodes in this one, without isolation. None: one a core, at
            most 16.
        limit: Look only at the first so many files, in sorted order. None: at all.
        retry_failed: Whether files that failed before, or of which only a part could be embedded,
            are tried again.
        any_ending: Whether files of folders are taken too that hold video, by their first bytes,
            under other endings than those in `docs/cli.md`.
        decoder: `cpu`, or `cuda`: NVIDIA cards decode what they decode to the bit, in the decoding
            processes, which takes one at least; the processor does the rest. Cards do not tell of
            damage inside of a picture.
        previews: Whether a small picture of each clip is kept, a JPEG file of about 5 kB. Only what
            is embedded in this run gets any.
        engine: `local` embeds on this machine, `ray` on the nodes of a Ray cluster, see
            `docs/cluster.md`.
        address: HOST:PORT of the cluster's head node. None: as the environment variable RAY_ADDRESS
            says, else the cluster that this machine is a node of.
        workers_per_node: Decoding processes on each node. None: one a core that Ray may use there.
        prune: Whether what the collection has from these folders and globs, and is no longer
            there, is taken out as `Collection.remove` does it.
        commit: When what is finished becomes part of the collection.

    Raises:
        UsageError: A number is out of range, or two options exclude each other.
    """

    model: str | os.PathLike[str] | None = None
    device: str | None = None
    dtype: str | None = None
    num_frames: int | None = None
    fps: float | None = None
    stride_seconds: float | None = None
    segment: Segmentation = "fixed"
    batch_size: int | None = None
    workers: int | None = None
    limit: int | None = None
    retry_failed: bool = False
    any_ending: bool = False
    decoder: Decoder = "cpu"
    previews: bool = False
    engine: Engine = "local"
    address: str | None = None
    workers_per_node: int | None = None
    prune: bool = False
    commit: CommitPolicy = field(default_factory=CommitPolicy)

    @property
    def num_workers(self) -> int:
        """Decoding processes, also where none are asked for."""
        return min(num_cores(), MAX_WORKERS) if self.workers is None else self.workers

    def __post_init__(self) -> None:
        if self.segment not in ("fixed", "shots"):
            raise UsageError(f"segment={self.segment!r}: it is 'fixed' or 'shots'.")
        if self.decoder not in ("cpu", "cuda"):
            raise UsageError(f"decoder={self.decoder!r}: it is 'cpu' or 'cuda'.")
        if self.decoder == "cuda" and self.workers == 0:
            raise UsageError(
                "decoder='cuda' with workers=0: a card decodes in processes of its own.",
                "Leave out one of the two.",
            )
        _check(1, num_frames=self.num_frames, batch_size=self.batch_size, limit=self.limit)
        _check(0, workers=self.workers)
        _check(1, workers_per_node=self.workers_per_node)
        check_engine(self.engine, address=self.address, workers_per_node=self.workers_per_node)
        if self.engine == "ray" and self.workers is not None:
            raise UsageError(
                f"workers={self.workers} with engine='ray': a cluster takes workers_per_node.",
                "Say how many decoding processes each node has.",
            )
        _check_positive(fps=self.fps, stride_seconds=self.stride_seconds)
        if self.prune and self.limit is not None:
            raise UsageError(
                f"limit={self.limit} with prune: a run that looks at some files only cannot tell "
                "which are gone.",
                "Leave out one of the two.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexOptions:
    """What kind of index is made, and how well it is to find. Later clips are added to it.

    Attributes:
        kind: `exact` compares every clip; `ivf` has codes of one bit a dimension find candidates,
            which are then compared; `auto` chooses by the number of clips.
        target_recall: Share of the ten true neighbours that a search is to find, above 0 and at
            most 1; 1 is for `exact` alone.
        max_memory_bytes: What codes may take of memory, beside the vectors mapped from disk. None:
            what they need.
        num_parts: Into how many files of about as many clips each they are divided, which are made
            one after the other and searched side by side. None: one, or as many as keep each
            below 2 GiB.

    Raises:
        UsageError: A value is out of range.
    """

    kind: Literal["auto", "exact", "ivf"] = "auto"
    target_recall: float = 0.95
    max_memory_bytes: int | None = None
    num_parts: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in ("auto", "exact", "ivf"):
            raise UsageError(f"kind={self.kind!r}: it is 'auto', 'exact' or 'ivf'.")
        if not 0 < self.target_recall <= 1:
            raise UsageError(
                f"target_recall={self.target_recall}: it takes a number above 0, at most 1."
            )
        _check(1, max_memory_bytes=self.max_memory_bytes, num_parts=self.num_parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """Which clips may be hits, and how a file is read that is searched for.

    Attributes:
        start_seconds: Begin of the span of a file that is searched for. None: its begin.
        end_seconds: End of that span. None: the end of the file.
        by: `clip` gives clips, `video` the best clip of each video, `segment` the spans of stored
            videos that match spans of the query, each a `Segment`.
        where: Only clips of which this is true: an expression as in `docs/where.md`, or a
            `Selection` of the same collection. None: any.
        labels: Only clips that have one of these labels; one name may stand by itself. None: any.
            Short for `label('...') > 0`.
        path_glob: Only videos one of whose paths matches; `*` also matches `/`, and a pattern that
            begins with neither `/` nor `*` may begin at any folder. None: any. Short for
            `path GLOB '...'`.
        exclude_self: Whether to leave out the query's own content, under whatever path; of several
            examples that of each.
        likeness: `similar` compares vectors as they are, for meaning; `copy` after whitening by
            the collection's own principal axes, for the same footage, and so do segments. Scores
            of one are not comparable with those of the other.
        diverse: Whether hits that are much like better ones make room for others.
        via: Address of a vector database that is asked for candidates, to which `push_index` has
            put the vectors; they are compared by the collection's own. None: the own index.
        model: Where the collection's model lies now, if it has moved.
        device: As for `EmbedOptions`, but `cuda` is one device.
        dtype: As for `EmbedOptions`.

    Raises:
        UsageError: A value is out of range.
    """

    start_seconds: float | None = None
    end_seconds: float | None = None
    by: Literal["clip", "video", "segment"] = "clip"
    where: str | Selection | None = None
    labels: str | Sequence[str] | None = None
    path_glob: str | None = None
    exclude_self: bool = False
    likeness: Likeness = "similar"
    diverse: bool = False
    via: str | None = None
    model: str | os.PathLike[str] | None = None
    device: str | None = None
    dtype: str | None = None

    def __post_init__(self) -> None:
        if self.by not in ("clip", "video", "segment"):
            raise UsageError(f"by={self.by!r}: it is 'clip', 'video' or 'segment'.")
        if self.likeness not in ("similar", "copy"):
            raise UsageError(f"likeness={self.likeness!r}: it is 'similar' or 'copy'.")
        if self.via is not None and (self.likeness == "copy" or self.by == "segment"):
            raise UsageError(
                f"via={self.via!r}: a database holds the vectors as they are, and copies and "
                "segments are found by whitened ones.",
                "Leave out one of the two.",
            )
        if self.path_glob is not None and not self.path_glob:
            raise UsageError("path_glob='': an empty pattern matches no path; leave it out.")
        _check(0, start_seconds=self.start_seconds)
        _check_positive(end_seconds=self.end_seconds)

    def label_names(self) -> tuple[str, ...]:
        """The labels as names, none where any will do.

        >>> SearchOptions(labels="archery").label_names()
        ('archery',)
        """
        if self.labels is None:
            return ()
        return (self.labels,) if isinstance(self.labels, str) else tuple(self.labels)


def check_limit(limit: int | None) -> None:
    """See that a list of the first so many rows has one at least.

    Raises:
        UsageError: It has not.
    """
    _check(1, limit=limit)


def check_engine(engine: str, **of_cluster: object) -> None:
    """See that an engine is one, and that nothing is said of a cluster where there is none.

    Raises:
        UsageError: It is not so.
    """
    if engine not in ("local", "ray"):
        raise UsageError(f"engine={engine!r}: it is 'local' or 'ray'.")
    for name, value in of_cluster.items():
        if engine == "local" and value is not None:
            raise UsageError(
                f"{name}={value!r} without engine='ray': this machine works alone.",
                "Add --engine ray, or leave it out.",
            )


def _check(least: int, **values: float | None) -> None:
    for name, value in values.items():
        if value is not None and not value >= least:
            raise UsageError(f"{name}={value}: it takes {least} or more.")


def _check_positive(**values: float | None) -> None:
    for name, value in values.items():
        if value is not None and not 0 < value < float("inf"):
            raise UsageError(f"{name}={value}: it takes a number above 0.")
