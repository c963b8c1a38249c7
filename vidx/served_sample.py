"""Clips of a served collection that were chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from vidx.from_json import record
from vidx.options import check_limit
from vidx.records import SnapshotReport

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray


class Telling(Protocol):
    """What tells a service something."""

    def _json(self, method: str, path: str, body: Any = None) -> Any: ...


class ServedSample:
    """Some clips, as they were when they were chosen; made by `Client.sample`.

    Args:
        service: Whom to tell what is to be kept.
        chosen: The clips, a row each, as `clips` has them.
    """

    def __init__(self, service: Telling, chosen: pa.Table) -> None:
        self._service = service
        self._chosen = chosen

    def __repr__(self) -> str:
        return f"ServedSample({self._service!r}: {self.count()} clips)"

    def count(self) -> int:
        """How many there are; as `Selection.count`."""
        return int(self._chosen.num_rows)

    def clip_ids(self) -> NDArray[np.int64]:
        """Their ids, int64 (n,), ascending; as `Selection.clip_ids`."""
        ids: NDArray[np.int64] = self._chosen["clip_id"].to_numpy()
        return ids

    def clips(self, limit: int | None = None) -> pa.Table:
        """The clips by clip_id; as `Selection.clips`."""
        check_limit(limit)
        return self._chosen.slice(0, limit)

    def save(self, name: str) -> SnapshotReport:
        """Keep them by a name; as `Selection.save`. Removed since, one is refused as unknown."""
        body = {"name": name, "clip_ids": self.clip_ids().tolist()}
        return record(SnapshotReport, self._service._json("POST", "/v1/snapshots", body))
