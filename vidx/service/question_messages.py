"""What a service and the process that answers questions of curation say to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vidx.errors import VidxError


@dataclass(frozen=True, slots=True)
class Asked:
    """A question.

    Attributes:
        verb: Of a collection or selection; or `points`.
        arguments: What it takes, by name.
        where: An expression: of which clips. None: of all.
        selection: A snapshot: of which of these. None: of all.
    """

    verb: str
    arguments: tuple[tuple[str, Any], ...]
    where: str | None = None
    selection: str | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of it: one of these, or neither where there is a bug.

    Attributes:
        content: A table as an Arrow stream, or points as `points_told` has them.
        error: Why there is none.
    """

    content: bytes = b""
    error: VidxError | None = None
