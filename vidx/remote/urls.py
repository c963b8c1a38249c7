"""Which paths are URLs, and which of them are taken."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from vidx.errors import UsageError

_BEGINNING = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
_WEB = frozenset({"http", "https"})
SCHEMES = _WEB | {"s3", "gs"}


def is_url(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a URL.

    >>> is_url("s3://bucket/x.mp4"), is_url("videos/x.mp4")
    (True, False)
    """
    return isinstance(path, str) and _BEGINNING.match(path) is not None


def absolute(path: str | os.PathLike[str]) -> str:
    """A URL as `checked`, or the absolute path of a file; symlinks stay as they are.

    Raises:
        UsageError: It is a URL that vidx does not read.
    """
    return checked(os.fspath(path)) if is_url(path) else os.path.abspath(path)


def scheme_of(url: str) -> str:
    """What a URL begins with, in lower case.

    >>> scheme_of("S3://bucket/x.mp4")
    's3'
    """
    return url.partition("://")[0].lower()


def is_web(url: str) -> bool:
    """Whether it is an address of a web server, which lists no folders."""
    return scheme_of(url) in _WEB


def checked(url: str) -> str:
    """A URL that may be kept, its scheme in lower case.

    Places are kept in the catalogue and told in messages. So one that holds a password, or a query,
    which may be a signature, is refused, and told without it.

    Args:
        url: As the user gave it.

    Raises:
        UsageError: It is none that vidx reads.
    """
    scheme, rest = scheme_of(url), url.partition("://")[2]
    shown = f"{scheme}://{_without_secrets(rest, scheme)}"
    if scheme not in SCHEMES:
        raise UsageError(
            f"{shown!r}: vidx reads http://, https://, s3:// and gs://",
            "Name a file by its path, and what lies elsewhere by one of these.",
        )
    if shown != f"{scheme}://{rest}":
        raise UsageError(
            f"{shown!r} was given with a password, a query or a fragment: "
            "places are kept, and what opens them must not be",
            "Name the object alone; credentials come from the environment, as docs/urls.md "
            "says. What only a signed address opens can be fetched to disk first.",
        )
    if not rest.strip("/"):
        raise UsageError(
            f"{shown!r} names nothing", "Name a bucket or a host, and what lies there."
        )
    return shown


def _without_secrets(rest: str, scheme: str) -> str:
    """What follows the scheme, without user and password, and of the web without query."""
    host, slash, path = rest.partition("/")
    if scheme not in _WEB:  # keys may hold any character
        return host.rpartition("@")[2] + slash + path
    try:
        parts = urlsplit(f"//{rest}")
    except ValueError:
        raise UsageError(
            "an address that is not valid", "Name a host, and what lies there."
        ) from None
    return parts.netloc.rpartition("@")[2] + parts.path
