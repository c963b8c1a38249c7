"""Every error vidx raises on purpose, one tree.

    VidxError                    exit code 4: refused, or nothing done, by a cause the user can mend
    ├── UsageError               exit code 2: a wrong argument, a path that is not there
    │   └── UnknownId            no live clip has this id
    ├── NoVideos                 there is no video where one is looked for
    ├── CollectionError
    │   ├── CollectionNotFound   no collection here or above
    │   ├── CollectionLocked     another process is writing
    │   ├── CollectionTooNew     written by a later version of vidx
    │   ├── CollectionDamaged    a part is missing or does not belong
    │   └── FingerprintMismatch  vectors of another model or sampling
    ├── ModelError
    │   ├── ModelNotFound        no checkpoint at that name, folder or cache
    │   ├── CheckpointError      a checkpoint that does not say or fit what it should
    │   └── DeviceError          a device or precision this machine lacks
    └── VideoError               one video cannot be read; `reason` is the short code

A message states the value, the rule it breaks, and the next step. Errors of libraries beneath
(torch, av, pyarrow, SQLAlchemy, FAISS) are translated where they arise and never reach a user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self, SupportsInt


class VidxError(Exception):
    """Base of all errors that vidx raises on purpose.

    Args:
        problem: The value at fault and the rule it breaks.
        next_step: What to do about it; empty when the problem says it all.
    """

    exit_code = 4

    def __init__(self, problem: str, next_step: str = "") -> None:
        super().__init__(f"{problem}\n{next_step}" if next_step else problem)
        self.problem = problem
        self.next_step = next_step


class UsageError(VidxError):
    """A wrong argument, or a path that is not there."""

    exit_code = 2


class UnknownId(UsageError):
    """No live clip of the collection has this id."""

    @classmethod
    def of(cls, clip_id: SupportsInt) -> Self:
        """The error that names the id."""
        return cls(
            f"no clip {clip_id} in the collection", "Searches and `vidx export` tell the ids."
        )


class NoVideos(VidxError):
    """There is no video file at any of the paths."""


class CollectionError(VidxError):
    """Something about a collection stands in the way."""


class CollectionNotFound(CollectionError):
    """No collection here or in a folder above."""


class CollectionLocked(CollectionError):
    """Another process is writing to the collection."""


class CollectionTooNew(CollectionError):
    """The collection was written by a later version of vidx."""


class CollectionDamaged(CollectionError):
    """A part of the collection is missing, or belongs to another collection."""


class FingerprintMismatch(CollectionError):
    """The vectors would not be comparable with those in the collection."""


class ModelError(VidxError):
    """Something about the model stands in the way."""


class ModelNotFound(ModelError):
    """No checkpoint under that name, in that folder or in the cache."""


class CheckpointError(ModelError):
    """A checkpoint is unreadable, or its tensors do not fit its config."""


class DeviceError(ModelError):
    """The device or precision asked for is not to be had on this machine."""


class VideoError(VidxError):
    """One video cannot be read.

    Args:
        reason: Short code, as `vidx failures` lists it (`not_a_video`, `decode_error` ...).
        message: What the decoder said, or the rule that was broken.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message

    def __reduce__(self) -> tuple[type[VideoError], tuple[str, str]]:
        """Pickle by the constructor's arguments: it crosses from worker to parent."""
        return VideoError, (self.reason, self.message)
