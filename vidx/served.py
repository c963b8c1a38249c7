"""The questions of curation, asked of a collection that is served, or of a part of it."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, SupportsIndex
from urllib.parse import urlencode

from vidx.errors import UsageError
from vidx.from_json import record
from vidx.records import MetadataReport, SnapshotReport, SplitReport, UndoReport
from vidx.served_proposal import PROPOSALS, ServedProposal, asked_groups
from vidx.served_sample import ServedSample
from vidx.served_teaching import ServedTeaching

if TYPE_CHECKING:
    import pyarrow as pa

    from vidx.curating.comparing import Comparison


class Service(Protocol):
    """What asks a service."""

    def _table(
        self, name: str, limit: int | None, asked: dict[str, Any], *, posted: bool = False
    ) -> pa.Table: ...

    def _json(self, method: str, path: str, body: Any = None) -> Any: ...


class Served:
    """What is asked of all clips of a served collection and of a part of them alike.

    Each verb gives what that of `vidx.Collection` gives.
    """

    def _service(self) -> Service:
        """Whom to ask."""
        raise NotImplementedError

    def _which(self) -> dict[str, str]:
        """Which clips are meant, as the service takes it."""
        raise NotImplementedError

    def clips(self, limit: int | None = None) -> pa.Table:
        """The clips by clip_id; as `Collection.clips`."""
        return self._service()._table("clips", limit, self._which())

    def videos(self, limit: int | None = None, *, remarked: bool = False) -> pa.Table:
        """The videos by path; as `Collection.videos`."""
        return self._service()._table("videos", limit, {**self._which(), "remarked": remarked})

    def duplicates(
        self, threshold: float | None = None, *, by: str = "clip", within_videos: bool = False
    ) -> pa.Table:
        """Find the same footage, more than once; as `Collection.duplicates`."""
        return self._found("duplicates", threshold=threshold, by=by, within_videos=within_videos)

    def leakage(
        self,
        column: str | None = None,
        *,
        other: ServedSelection | None = None,
        threshold: float | None = None,
    ) -> pa.Table:
        """Find the same footage in several splits; as `Collection.leakage`.

        Args:
            column: As there.
            other: A snapshot, as `Client.selection` gives it: look for pairs with it instead.
            threshold: As there.
        """
        name = None if other is None else _snapshot(other)
        return self._found("leakage", column=column, other=name, threshold=threshold)

    def split(
        self,
        fractions: Mapping[str, float],
        group: str | None = None,
        stratify: str | None = None,
        *,
        seed: int = 0,
        threshold: float | None = None,
        write: str | None = None,
    ) -> SplitReport:
        """Share out videos among splits, so that nothing alike is in two; as `Collection.split`.

        Args:
            fractions: As there.
            group: As there.
            stratify: As there.
            seed: As there.
            threshold: As there.
            write: As there.
        """
        from vidx.curating.splits import PROOF
        from vidx.store.told import rows_told
        from vidx.store.wire import figures_of

        given = {"fractions": dict(fractions), "group": group, "stratify": stratify}
        asked = {**self._which(), **given, "seed": seed, "threshold": threshold, "write": write}
        told = self._service()._table("split", None, asked, posted=True)
        figures = figures_of(told)
        written = figures["written"]
        return SplitReport(
            table=told.replace_schema_metadata(None),
            proof=rows_told(figures["proof"], PROOF),
            num_groups=figures["num_groups"],
            written=written and record(MetadataReport, written),
        )

    def clusters(self, k: int | None = None, *, seed: int = 0) -> pa.Table:
        """Part the clips into clusters; as `Collection.clusters`."""
        return self._found("clusters", k=k, seed=seed)

    def outliers(self, limit: int | None = None) -> pa.Table:
        """Find the least typical clips; as `Collection.outliers`."""
        return self._found("outliers", top=limit)

    def sample(
        self, n: int, strategy: str = "diverse", *, column: str | None = None, seed: int = 0
    ) -> ServedSample:
        """Choose some clips; as `Collection.sample`.

        Args:
            n: As there.
            strategy: As there.
            column: As there.
            seed: As there.

        Returns:
            Those clips, as they were when they were chosen.
        """
        chosen = self._found("sample", n=n, strategy=strategy, column=column, seed=seed)
        return ServedSample(self._service(), chosen)

    def compare(self, other: ServedSelection, k: int | None = None, *, seed: int = 0) -> Comparison:
        """Tell what these clips have that those of a snapshot lack; as `Collection.compare`.

        Args:
            other: A snapshot, as `Client.selection` gives it.
            k: As there.
            seed: As there.
        """
        from vidx.curating.comparing import Comparison
        from vidx.store.wire import figures_of

        told = self._found("compare", other=_snapshot(other), k=k, seed=seed)
        return Comparison(**figures_of(told), regions=told.replace_schema_metadata(None))

    def quality(
        self,
        *,
        black: float = 0.5,
        frozen: float = 0.5,
        static: float | None = None,
        blurred: float | None = None,
        short: float | None = None,
    ) -> pa.Table:
        """Find clips that are poor to look at; as `Collection.quality`."""
        return self._found(
            "quality", black=black, frozen=frozen, static=static, blurred=blurred, short=short
        )

    def label_issues(self, column: str | None = None) -> pa.Table:
        """Find labels that disagree with those of the clips around.

        As `Collection.label_issues`.
        """
        return self._found("label-issues", column=column)

    def label_counts(self, column: str | None = None) -> pa.Table:
        """Count the clips of each label; as `Collection.label_counts`."""
        return self._found("labels/counts", column=column)

    def map(self, method: str = "pca", *, seed: int = 0) -> pa.Table:
        """Lay clips out in two dimensions; as `Collection.map`."""
        return self._found("map", method=method, seed=seed)

    def propose(self, groups: pa.Table, keep: str = "longest") -> ServedProposal:
        """Choose of each group of duplicates the file to keep; as `Collection.propose`.

        Args:
            groups: As there.
            keep: As there.

        Returns:
            What to keep and drop, and why. The service remembers it while it runs.
        """
        told = self._service()._json("POST", PROPOSALS, asked_groups(groups, keep))
        return ServedProposal(self._service(), told)

    def _found(self, question: str, **given: Any) -> pa.Table:
        return self._service()._table(question, None, {**self._which(), **given})


def _snapshot(other: object) -> str:
    """The name of a snapshot.

    Raises:
        UsageError: It is none, or a part of one.
    """
    which = other._which() if isinstance(other, ServedSelection) else {}
    if list(which) != ["selection"]:
        raise UsageError(f"{other!r} is no snapshot", "Give what Client.selection(name) gives.")
    return which["selection"]


class ServedSelection(Served):
    """A part of a served collection; as `vidx.Selection`.

    Made by `Client.where` and `Client.selection`.

    Args:
        service: Whom to ask.
        which: Which clips, as the service takes it.
    """

    def __init__(self, service: Service, which: dict[str, str]) -> None:
        self._asked = service
        self._clips = which

    def __repr__(self) -> str:
        return f"ServedSelection({self._asked!r}: {self._clips})"

    def where(self, expression: str) -> ServedSelection:
        """Those of its clips of which an expression is true; as `Selection.where`."""
        before = self._clips.get("where")
        both = expression if before is None else f"({before}) and ({expression})"
        return ServedSelection(self._asked, {**self._clips, "where": both})

    def save(self, name: str) -> SnapshotReport:
        """Keep its clips of now by a name; as `Selection.save`."""
        body = {"name": name, **self._clips}
        return record(SnapshotReport, self._asked._json("POST", "/v1/snapshots", body))

    def _service(self) -> Service:
        return self._asked

    def _which(self) -> dict[str, str]:
        return self._clips


class ServedWhole(Served, ServedTeaching):
    """What is asked of a served collection as a whole besides."""

    def where(self, expression: str) -> ServedSelection:
        """The clips of which an expression is true; as `Collection.where`.

        What is wrong with it is told when something is asked of them.
        """
        return ServedSelection(self._service(), {"where": expression})

    def selection(self, name: str) -> ServedSelection:
        """The clips of a snapshot that are still there; as `Collection.selection`.

        That there is none of this name is told when something is asked of it.
        """
        return ServedSelection(self._service(), {"selection": name})

    def snapshots(self) -> pa.Table:
        """The snapshots, the oldest first; as `Collection.snapshots`."""
        return self._service()._table("snapshots", None, {})

    def diff(self, before: str, after: str) -> pa.Table:
        """What two snapshots do not have in common; as `Collection.diff`."""
        return self._service()._table("snapshots/diff", None, {"before": before, "after": after})

    def delete_snapshot(self, name: str) -> int:
        """Forget a snapshot; as `Collection.delete_snapshot`."""
        told = self._service()._json("DELETE", f"/v1/snapshots?{urlencode({'name': name})}")
        return int(told["commit"])

    def undo(self, commit: SupportsIndex) -> UndoReport:
        """Take a proposal back that was applied; as `Collection.undo`."""
        path = f"/v1/commits/{operator.index(commit)}/undo"
        return record(UndoReport, self._service()._json("POST", path))


def asked_of(path: str, asked: dict[str, Any]) -> str:
    """A path with what is asked, without what is None."""
    given = {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in asked.items()
        if value is not None
    }
    return f"{path}?{urlencode(given)}"
