"""Settings: how a service is set up, and what a request may take of it."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may take.

    Attributes:
        most_body_bytes: Of a request that is no upload.
        most_list_bytes: Of one that tells lists: a snapshot, a proposal, metadata.
        most_upload_bytes: Of one upload.
        most_kept_bytes: Of all uploads that are there at a time.
        uploads_a_minute: Of one address.
        logins_a_minute: Wrong tokens of one address.
        upload_kept_seconds: How long an upload stays that nobody uses.
        most_waiting: Searches that wait for their turn; lists and the like likewise.
        search_seconds: For one answer that takes no decoding.
        decode_seconds: For one file to be decoded.
        file_seconds: For one search that takes decoding, its wait included.
        question_seconds: For one question of curation.
        questions_waiting: Of these that wait for their turn.
        answer_bytes: Of their answers that are kept in memory.
        body_seconds: For a whole body to arrive, upload or not.
        stall_seconds: Longest silence of a client, in the middle of a request or an answer.
        head_seconds: For the head of a request to arrive.
        most_connections: At a time.
        cache_bytes: Of pictures and films that are kept on disk.
    """

    most_body_bytes: int = 8 << 20
    most_list_bytes: int = 64 << 20
    most_upload_bytes: int = 1 << 30
    most_kept_bytes: int = 4 << 30
    uploads_a_minute: int = 60
    logins_a_minute: int = 10
    upload_kept_seconds: float = 900.0
    most_waiting: int = 256
    search_seconds: float = 30.0
    decode_seconds: float = 60.0
    file_seconds: float = 180.0
    question_seconds: float = 3600.0
    questions_waiting: int = 16
    answer_bytes: int = 256 << 20
    body_seconds: float = 600.0
    stall_seconds: float = 20.0
    head_seconds: float = 10.0
    most_connections: int = 512
    cache_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class Settings:
    """How a service is set up.

    Attributes:
        host: The address that it listens at.
        port: Its port; 0: one that is free.
        token: What a client must show. None: nothing, which is for this machine alone.
        names: Host names under which it is known besides, as behind a proxy.
        roots: Folders below which clients may have videos embedded. None: none may.
        model: Where the collection's model lies now, if it has moved.
        device: Where queries are embedded.
        dtype: In which precision.
        limits: What one client may take.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    names: tuple[str, ...] = ()
    roots: tuple[Path, ...] = ()
    model: str | None = None
    device: str | None = None
    dtype: str | None = None
    limits: Limits = field(default_factory=Limits)

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    def knows(self, host: str) -> bool:
        """Whether a Host header, without the port, is one of ours.

        A foreign page reaches a local server only by a name that it lets point here (DNS
        rebinding); an address cannot be made to. So addresses are fine, and names must be known.
        """
        name = host.strip("[]").lower()
        if _address(name) is not None:
            return is_loopback(name) if self.is_local else True
        known = {"localhost", self.host.lower(), *map(str.lower, self.names)}
        if not self.is_local:
            known |= {socket.gethostname().lower(), socket.getfqdn().lower()}
        return name in known


def is_loopback(host: str) -> bool:
    """Whether an address or name stands for this machine alone.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    address = _address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
