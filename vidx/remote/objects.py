"""What lies at a URL: its size, and what changes with its bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vidx.errors import UsageError, VideoError
from vidx.remote.file_systems import file_system
from vidx.remote.troubles import Absent, Tick, no_tick, retried
from vidx.remote.urls import is_web, scheme_of

# The first of these that a server tells is an object's version.
_VERSIONS = ("ETag", "etag", "Last-Modified", "LastModified", "updated", "mtime")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """An object as a server tells of it.

    Attributes:
        url: Where.
        size_bytes: Its size; None where the server does not say.
        version: Its ETag, else when it changed last, as the server writes that; empty where the
            server says neither.
    """

    url: str
    size_bytes: int | None
    version: str


@dataclass(frozen=True, slots=True)
class Listing:
    """What a URL means.

    Attributes:
        files: The object itself, or those below a prefix, or that fit a pattern or are below
            prefixes that do, sorted.
        kind: `object`, `prefix` or `pattern`.
    """

    files: tuple[RemoteFile, ...]
    kind: Literal["object", "prefix", "pattern"]


def look(url: str, tick: Tick = no_tick) -> RemoteFile:
    """Ask a server about one object.

    Raises:
        VideoError: It does not tell.
        UsageError: The libraries that it takes are not installed.
    """
    info = retried(lambda: file_system(url).info(url), tick)
    if info.get("type") == "directory":
        raise VideoError("not_a_video", "there is no such object, only others below that name")
    return _file(url, info)


def listed(url: str) -> Listing:
    """Ask a server what a URL means: one object, all below a prefix, or what fits a pattern.

    Raises:
        VideoError: It does not tell, or there is nothing.
        UsageError: The libraries that it takes are not installed.
    """
    system = file_system(url)

    def below(name: str) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = retried(lambda: system.find(name, detail=True), no_tick)
        return found

    # With a slash at its end it means what is below, whatever else has the name without.
    if not is_web(url) and url.endswith("/") and (inner := _files(url, below(url))):
        return Listing(inner, "prefix")
    try:
        info = retried(lambda: system.info(url), no_tick)
    except Absent:
        if is_web(url) or not _is_wild(url):
            raise
        found = retried(lambda: system.glob(url, detail=True), no_tick)
        for name in [name for name, one in found.items() if one.get("type") == "directory"]:
            found |= below(name)
        return Listing(_files(url, found), "pattern")
    if is_web(url) or info.get("type") != "directory":
        return Listing((_file(url, info),), "object")
    return Listing(_files(url, below(url)), "prefix")


def _is_wild(url: str) -> bool:
    """Whether an address has wildcards; an object of this very name is what it means, if any."""
    return any(character in url for character in "*?[")


def is_there(url: str) -> bool:
    """Whether there is an object; so it is, too, where nobody tells."""
    try:
        look(url)
    except Absent:
        return False
    except (VideoError, UsageError):
        return True
    return True


def _files(url: str, found: Mapping[str, dict[str, Any]]) -> tuple[RemoteFile, ...]:
    """What a listing tells, without prefixes and the empty objects that stand for them."""
    scheme = scheme_of(url)
    files = (
        _file(f"{scheme}://{name}", info)
        for name, info in found.items()
        if info.get("type") == "file" and not name.endswith("/")
    )
    return tuple(sorted(files, key=lambda file: file.url))


def _file(url: str, info: Mapping[str, Any]) -> RemoteFile:
    version = next((str(info[key]) for key in _VERSIONS if info.get(key)), "")
    return RemoteFile(url, info.get("size"), version.replace('"', ""))
