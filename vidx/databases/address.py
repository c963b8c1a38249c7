"""Where a vector database is, as users write it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from vidx.errors import UsageError

PORT = 19530
EMBEDDED_NAME = "vidx"
_SCHEMES = {"milvus": "http", "milvus+https": "https"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_FORMS = "Write milvus://HOST[:PORT]/NAME, milvus+https://HOST/NAME or milvus:///PATH/FILE.db."


@dataclass(frozen=True, slots=True)
class Address:
    """A collection of a Milvus server, or of a file of embedded Milvus.

    Attributes:
        text: As it is told.
        uri: What Milvus's client connects to.
        name: The collection's name there.
        host, port: Of the server; None for a file.
    """

    text: str
    uri: str
    name: str
    host: str | None
    port: int | None


def parse(text: str) -> Address:
    """Read an address.

    Raises:
        UsageError: It is none.

    >>> parse("milvus://db.example/clips").uri
    'http://db.example:19530'
    >>> parse("milvus:///clips.db").uri
    '/clips.db'
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"{text!r} is no address of a database: {error}.", _FORMS) from error
    if parts.username is not None:
        raise UsageError(
            "an address with a password would be told in messages",
            "Leave it out, and set VIDX_MILVUS_TOKEN to user:password.",
        )
    if parts.scheme not in _SCHEMES or parts.query or parts.fragment:
        raise UsageError(f"{text!r} is no address of a database.", _FORMS)
    if host is None:
        return _embedded(text, parts.path)
    name = parts.path.strip("/")
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{text!r} names the collection {name!r}: it has letters, digits and _, and begins "
            "with no digit.",
            _FORMS,
        )
    port = port or (443 if parts.scheme == "milvus+https" else PORT)
    return Address(text, f"{_SCHEMES[parts.scheme]}://{host}:{port}", name, host, port)


def _embedded(text: str, path: str) -> Address:
    if not path.endswith(".db") or not os.path.isdir(os.path.dirname(path)):
        raise UsageError(
            f"{text!r}: a file of embedded Milvus ends in .db and lies in a folder that is there.",
            _FORMS,
        )
    return Address(text, path, EMBEDDED_NAME, None, None)
