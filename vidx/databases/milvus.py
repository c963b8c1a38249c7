"""One collection of a Milvus database: its rows put in step, and its closest rows."""

from __future__ import annotations

import logging
import os
import socket
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidx.databases.address import Address
from vidx.errors import UsageError, VidxError

SECONDS = 60.0  # that a request may take
REACH_SECONDS = 5.0
MOST = 16_384  # neighbours that Milvus gives at most
QUERIES = 16  # asked at once
_MARK = "vidx"  # what is kept of a collection that vidx made begins so
_NO_PLACE = 2  # Milvus's code for a server that cannot be talked to


class Copy(NamedTuple):
    """Whose vectors a database holds.

    Attributes:
        collection: The uuid of the collection.
        token: Made when the database's collection was; another one has another.
        dim: Length of a vector.
    """

    collection: str
    token: str
    dim: int


@contextmanager
def connected(address: Address) -> Iterator[Milvus]:
    """Talk to a database.

    Raises:
        UsageError: Milvus's client is not installed.
        VidxError: The database cannot be reached, does not let us in, or fails.
    """
    try:
        from pymilvus import MilvusClient
        from pymilvus.exceptions import MilvusException
    except ImportError:
        raise UsageError(
            "milvus:// takes libraries that are not installed",
            "Install them with: pip install 'vidx[milvus]'",
        ) from None
    for library in ("pymilvus", "milvus_lite"):  # what fails is told by our errors
        logging.getLogger(library).setLevel(logging.CRITICAL + 1)
    client = None
    try:
        token = os.environ.get("VIDX_MILVUS_TOKEN", "")
        client = MilvusClient(address.uri, token=token, timeout=REACH_SECONDS)
        yield Milvus(client, address)
    except MilvusException as error:
        raise _told(address, error, is_open=client is not None) from error
    finally:
        if client:
            client.close()


def _told(address: Address, error: Any, *, is_open: bool) -> VidxError:
    """The error for what a database, or the way to it, says."""
    if address.host is None and not is_open:
        return VidxError(
            f"{address.text} cannot be opened: another process has it open, it is no file of "
            "embedded Milvus, or milvus-lite is not installed",
            "Wait for the other one, or see that `pip install 'vidx[milvus]'` was run.",
        )
    if address.host is not None and (error.code == _NO_PLACE or not is_open):
        if not _answers(address.host, address.port):
            return VidxError(
                f"{address.text} cannot be reached",
                "See that the server runs and that host and port are right, then run the same "
                "again: it goes on.",
            )
        return VidxError(
            f"{address.text} answers, but does not let us in: {error.message}",
            "Set VIDX_MILVUS_TOKEN to user:password, and see that a Milvus server listens there.",
        )
    return VidxError(f"{address.text} failed: {error.message}", "Run the same again: it goes on.")


def _answers(host: str, port: int | None) -> bool:
    try:
        socket.create_connection((host, port or 0), REACH_SECONDS).close()
    except OSError:
        return False
    return True


class Milvus:
    """A database's collection.

    Args:
        client: Milvus's.
        address: Where it is.
    """

    def __init__(self, client: Any, address: Address) -> None:
        self._client = client
        self._address = address

    def copy(self, collection: str, dim: int) -> Copy | None:
        """Whose vectors there are; None where there is no collection of the name.

        Args:
            collection: The uuid that they should be of.
            dim: Length of its vectors.

        Raises:
            VidxError: They are of another collection or length, or not made by vidx.
        """
        name = self._address.name
        if not self._client.has_collection(name):
            return None
        told = self._client.describe_collection(name)
        # Servers keep the description, embedded Milvus the properties.
        mark = told.get("description") or told.get("properties", {}).get(_MARK, "")
        made_by, _, rest = mark.partition(":")
        owner, _, token = rest.partition(":")
        if made_by != _MARK:
            raise VidxError(
                f"{self._address.text}: the collection {name!r} was not made by vidx",
                "Choose another name.",
            )
        [there] = [one["params"]["dim"] for one in told["fields"] if one["name"] == "embedding"]
        if (owner, int(there)) != (collection, dim):
            raise VidxError(
                f"{self._address.text} holds vectors of {there} dimensions of the collection "
                f"{owner}; those of this one, {collection}, have {dim}",
                "Choose another name, or have Milvus drop that collection.",
            )
        return Copy(owner, token, dim)

    def create(self, collection: str, dim: int) -> Copy:
        """Make the collection, without rows; arguments as for `copy`."""
        from pymilvus import DataType

        made = Copy(collection, uuid.uuid4().hex, dim)
        description = f"{_MARK}:{collection}:{made.token}"
        schema = self._client.create_schema(
            auto_id=False, enable_dynamic_field=True, description=description
        )
        schema.add_field("clip_id", DataType.INT64, is_primary=True)
        schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=dim)
        self._client.create_collection(
            self._address.name,
            schema=schema,
            index_params=self._index(),
            properties={_MARK: description},
            consistency_level="Strong",  # a clip that was removed is gone for the next search
            timeout=SECONDS,
        )
        return made

    def make_ready(self) -> None:
        """Have the collection in memory, with its index: who made it may have ended in between."""
        name = self._address.name
        if not self._client.list_indexes(name):
            self._client.create_index(name, self._index())
        self._client.load_collection(name)

    def _index(self) -> Any:
        parameters = self._client.prepare_index_params()
        parameters.add_index("embedding", index_type="AUTOINDEX", metric_type="IP")
        return parameters

    def keep_only(self, clip_ids: Sequence[int], first: int, end: int) -> None:
        """Delete the rows of a range of clip_ids but some."""
        condition = f"clip_id >= {first} and clip_id < {end}"
        if clip_ids:
            condition += f" and clip_id not in {list(clip_ids)}"
        self._client.delete(self._address.name, filter=condition, timeout=SECONDS)

    def put(self, rows: list[dict[str, Any]]) -> None:
        """Put rows in, in the place of those of the same clips."""
        self._client.upsert(self._address.name, rows, timeout=SECONDS)

    def nearest(self, vectors: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """The clips that seem to be the closest.

        Args:
            vectors: Shape (m, dim), of length 1.
            count: How many for each, at most `MOST`.

        Returns:
            clip_ids, shape (m, count), -1 where there are no more.
        """
        found = np.full((len(vectors), count), -1, np.int64)
        for start in range(0, len(vectors), QUERIES):
            answers = self._client.search(
                self._address.name,
                list(vectors[start : start + QUERIES]),
                anns_field="embedding",
                limit=count,
                output_fields=["clip_id"],
                timeout=SECONDS,
            )
            for line, answer in zip(found[start:], answers, strict=False):
                ids = [one["clip_id"] for one in answer]
                line[: len(ids)] = ids
        return found
