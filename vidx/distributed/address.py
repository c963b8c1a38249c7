"""Where a cluster's head node is, and whether anything like it answers there."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

from vidx.errors import UsageError, VidxError

REACH_SECONDS = 5.0
_FORM = "Write HOST:PORT, as `ray start --head` tells it; the port is 6379 unless it was given one."
# Ray's head speaks gRPC, which is HTTP/2 (RFC 9113, 3.4): a client begins so, with empty settings,
# and a server answers with its own, a frame of type 4.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
_SETTINGS = 4


class Address(NamedTuple):
    """Of a cluster's head node."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse(text: str) -> Address:
    """Read an address.

    Raises:
        UsageError: It is none.

    >>> parse("head.example:6379")
    Address(host='head.example', port=6379)
    """
    if text.startswith("ray://"):
        raise UsageError(
            f"{text!r} is the address of a Ray client; vidx takes part in the cluster itself.",
            f"Give the command on a machine of the cluster. {_FORM}",
        )
    parts = None
    with suppress(ValueError):
        parts = urlsplit(f"//{text}")
    if parts is None or parts.netloc != text or parts.username is not None or not parts.hostname:
        raise UsageError(f"{text!r} is no address of a cluster.", _FORM)
    with suppress(ValueError):  # a port that is no number, or too large a one
        if parts.port:
            return Address(parts.hostname, parts.port)
    raise UsageError(f"{text!r} names no port of a cluster.", _FORM)


def reach(address: Address) -> None:
    """See that a head node answers: Ray itself would wait for minutes.

    Raises:
        VidxError: None does.
    """
    next_step = "See that `ray start --head` ran there, and that no firewall is between."
    try:
        with socket.create_connection(address, REACH_SECONDS) as connection:
            connection.sendall(_PREFACE)
            answer = connection.recv(9)
    except OSError as error:
        problem = error.strerror or str(error)
        raise VidxError(f"no cluster answers at {address}: {problem}", next_step) from error
    if len(answer) < 4 or answer[3] != _SETTINGS:
        raise VidxError(f"what answers at {address} is no head node of Ray", next_step)


def is_open(address: Address) -> bool:
    """Whether anything listens there."""
    try:
        socket.create_connection(address, REACH_SECONDS).close()
    except OSError:
        return False
    return True
