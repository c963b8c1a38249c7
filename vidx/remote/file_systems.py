"""The libraries that talk to servers, each set up once."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from vidx.errors import UsageError
from vidx.remote.urls import is_web, scheme_of

# A request may take as long as this, all in all or from one byte to the next. Together with the
# wait before it that is less than what a decoding worker may be silent for.
REQUEST_SECONDS, SILENCE_SECONDS = 45.0, 15.0
_LIBRARIES = {"gs": "gcsfs"}


def file_system(url: str, *, is_stream: bool = False) -> Any:
    """The fsspec file system that a URL is read by.

    Args:
        url: As `urls.checked` gives it.
        is_stream: Whether one answer may take as long as it likes, if only it goes on.

    Raises:
        UsageError: What it takes is not installed.
    """
    scheme = scheme_of(url)
    process = os.getpid()  # a forked child needs its own: the threads of its parent's are not there
    try:
        return _web(is_stream, process) if is_web(url) else _store(scheme, process)
    except ImportError:
        raise UsageError(
            f"{scheme}:// takes libraries that are not installed",
            f"Install them with: pip install '{_LIBRARIES.get(scheme, 'vidx[remote]')}'",
        ) from None


@cache
def _web(is_stream: bool, _process: int) -> Any:
    import aiohttp
    import fsspec

    timeout = aiohttp.ClientTimeout(
        total=None if is_stream else REQUEST_SECONDS,
        sock_connect=SILENCE_SECONDS,
        sock_read=SILENCE_SECONDS,
    )
    return fsspec.filesystem(
        "http",
        headers={"Accept-Encoding": "identity"},  # ranges are of the bytes as they are stored
        client_kwargs={"timeout": timeout, "trust_env": True},  # proxies, and ~/.netrc
        skip_instance_cache=True,
        use_listings_cache=False,
    )


@cache
def _store(scheme: str, _process: int) -> Any:
    import fsspec

    options: dict[str, Any] = {"skip_instance_cache": True, "use_listings_cache": False}
    if scheme != "s3":
        return fsspec.filesystem(scheme, **options)
    options["config_kwargs"] = {
        "connect_timeout": SILENCE_SECONDS,
        "read_timeout": SILENCE_SECONDS,
        "retries": {"max_attempts": 0},
    }
    system = fsspec.filesystem("s3", **options)
    system.retries = 1  # `troubles.retried` does it, and gives signs of life
    return system
