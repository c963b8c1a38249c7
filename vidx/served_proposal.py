"""Proposals of a collection that is served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from vidx.errors import UsageError
from vidx.from_json import record
from vidx.records import ApplyReport

if TYPE_CHECKING:
    import pyarrow as pa

PROPOSALS = "/v1/proposals"
_NEEDED = ("group", "path", "video_id")
_TOLD = (
    "score", "share", "start_seconds", "end_seconds", "offset_seconds", "compared_seconds"
)  # fmt: skip


class Asked(Protocol):
    """What asks a service, and tells it."""

    def _table(self, name: str, limit: int | None, asked: dict[str, Any]) -> pa.Table: ...

    def _json(self, method: str, path: str, body: Any = None) -> Any: ...


class ServedProposal:
    """What to keep and drop; as `vidx.Proposal`, made by `Client.propose`.

    Attributes:
        proposal_id: Its name at the service.
        table: A row a file, as that of a proposal; only to be looked at.
    """

    def __init__(self, service: Asked, told: dict[str, Any]) -> None:
        self._service = service
        self.proposal_id = str(told["proposal_id"])
        self.table = service._table(f"proposals/{self.proposal_id}/rows", None, {})

    def apply(self, files: str | None = None) -> ApplyReport:
        """Drop files from the collection; the files themselves stay as they are.

        Raises:
            UsageError: `files` says what is to be done to them, which a service does not.
        """
        if files is not None:
            raise UsageError(
                f"files={files!r}: a service leaves files as they are",
                "Use `vidx propose` and `vidx apply --files` where they are.",
            )
        told = self._service._json("POST", f"{PROPOSALS}/{self.proposal_id}/apply")
        return record(ApplyReport, told)


def asked_groups(groups: pa.Table, keep: str) -> dict[str, Any]:
    """Groups of files, as the service takes them.

    Raises:
        UsageError: They are groups of something else, or lack a column.
    """
    names = getattr(groups, "column_names", ())
    if lacking := [name for name in _NEEDED if name not in names]:
        raise UsageError(
            f"groups without the column {lacking[0]!r}",
            "Give what duplicates(by='video') answers.",
        )
    _check_files(groups)
    told = [name for name in (*_NEEDED, *_TOLD) if name in names]
    return {"groups": {name: groups[name].to_pylist() for name in told}, "keep": keep}


def _check_files(groups: pa.Table) -> None:
    """Refuse groups of clips or spans here: the service is told of files alone."""
    rows = groups.to_pylist()
    is_near = any(row.get("rank") == 0 and row.get("match", "exact") != "exact" for row in rows)
    if is_near or any(row.get("clip_id") is not None for row in rows):
        raise UsageError(
            "these are groups of clips or spans, and a proposal drops whole files",
            "Give what duplicates(by='video') answers.",
        )
