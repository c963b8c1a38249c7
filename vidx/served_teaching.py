"""What users teach a collection that is served."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode

if TYPE_CHECKING:
    import pyarrow as pa

    from vidx.curation.probes import Judged
    from vidx.served import ServedSelection


class Taught(Protocol):
    """What asks a service, and tells it."""

    def _table(self, name: str, limit: int | None, asked: dict[str, Any]) -> pa.Table: ...

    def _json(self, method: str, path: str, body: Any = None) -> Any: ...


class ServedTeaching:
    """Concepts; as `vidx.Collection` has them."""

    def _service(self) -> Taught:
        """Whom to ask."""
        raise NotImplementedError

    def where(self, expression: str) -> ServedSelection:
        """The clips of which an expression is true."""
        raise NotImplementedError

    def concept(
        self, name: str, positives: Iterable[int] = (), negatives: Iterable[int] = ()
    ) -> ServedSelection:
        """Teach a concept by examples, or give more of them; as `Collection.concept`.

        Args:
            name: As there.
            positives: As there.
            negatives: As there.

        Returns:
            The clips that show it rather than not.
        """
        sides = {"positives": positives, "negatives": negatives}
        examples = {side: [operator.index(one) for one in ids] for side, ids in sides.items()}
        self._service()._json("POST", "/v1/concepts", {"name": name, **examples})
        quoted = name.replace("'", "''")
        return self.where(f"concept('{quoted}') > 0.5")

    def concepts(self) -> pa.Table:
        """The concepts, the oldest first; as `Collection.concepts`."""
        return self._service()._table("concepts", None, {})

    def delete_concept(self, name: str) -> int:
        """Forget a concept with its examples; as `Collection.delete_concept`."""
        told = self._service()._json("DELETE", f"/v1/concepts?{urlencode({'name': name})}")
        return int(told["commit"])

    def suggest(self, name: str, n: int = 10) -> pa.Table:
        """Name the clips that are most worth to be given as examples next.

        As `Collection.suggest`; 1000 at most.
        """
        return self._service()._table("concepts/suggest", None, {"name": name, "n": n})

    def evaluate(self, name: str) -> Judged:
        """Tell how well a concept is learned; as `Collection.evaluate`."""
        from vidx.curation.probes import Judged

        told = self._service()._json("GET", f"/v1/concepts/evaluate?{urlencode({'name': name})}")
        return Judged(**told)
