"""What a service and the process of an embedding job say to each other, besides its progress."""

from __future__ import annotations

from dataclasses import dataclass

from vidx.errors import VidxError
from vidx.options import EmbedOptions
from vidx.records import EmbedReport


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be embedded, and where to."""

    collection: str
    paths: tuple[str, ...]
    options: EmbedOptions


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job ended.

    Attributes:
        report: What was done; None where it was ended early or could not be done.
        error: Why it could not; None where it was ended early.
    """

    report: EmbedReport | None = None
    error: VidxError | None = None
