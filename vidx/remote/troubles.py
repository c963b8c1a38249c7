"""What goes wrong between here and a server: what passes, and how the rest is told.

The libraries' own messages may hold addresses with signatures, after a redirect for one. So none of
them is told: only the status and code that the server gave, or the kind of trouble.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import TypeVar

from vidx.errors import VideoError, VidxError

T = TypeVar("T")
Tick = Callable[[], None]

TRIES = 5
FIRST_WAIT_SECONDS = 0.25  # before the second try; each further wait is twice as long
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_CREDENTIALS = frozenset({"NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError"})
_LIBRARIES = ("aiohttp", "aiobotocore", "botocore", "gcsfs")  # whose own errors are of the network
_HINTS = {
    401: "credentials come from ~/.netrc",
    403: "see to the rights of your credentials; a public bucket takes FSSPEC_S3_ANON=true",
}


def no_tick() -> None:
    """Give no sign of life: nobody waits for one."""


class NoRanges(Exception):
    """The server gives whole objects alone."""


class Absent(VideoError):
    """There is no such object."""


def retried(ask: Callable[[], T], tick: Tick) -> T:
    """Ask a server, again and again while what goes wrong may pass.

    Args:
        ask: The question.
        tick: Called before each try, as a sign of life; what it raises ends the asking.

    Raises:
        VideoError: `unreadable`, with what the server said; or `changed_while_reading`.
        NoRanges: As `ask` raised it.
    """
    wait = FIRST_WAIT_SECONDS
    for number in range(1, TRIES + 1):
        tick()
        try:
            return ask()
        except (NoRanges, VidxError):
            raise
        except Exception as error:  # each library has its own
            if not _passes(error):
                raise _final(error) from None
            if number == TRIES:
                message = f"{told(error)}, {TRIES} times in a row"
                raise VideoError("unreadable", message) from None
        time.sleep(wait)
        wait *= 2
    raise AssertionError  # the last try returns or raises


def _final(error: Exception) -> VideoError:
    """What to raise where asking again does not help."""
    if status_of(error) == HTTPStatus.PRECONDITION_FAILED:  # parts are asked of one version
        return VideoError("changed_while_reading", "the object's version changed")
    kind = Absent if is_absent(error) else VideoError
    return kind("unreadable", told(error))


def is_absent(error: Exception) -> bool:
    """Whether the server said that there is no such object."""
    status = status_of(error)
    # The web's file system calls every trouble a missing file, and names the trouble as its cause.
    is_bare = isinstance(error, FileNotFoundError) and error.__cause__ is None
    return status in (404, 410) or (status is None and is_bare)


def told(error: Exception) -> str:
    """What went wrong, in words that hold nothing secret."""
    status, code = status_of(error), _code(error)
    if status is not None or is_absent(error):
        return _answer(status or 404, code)
    names = {type(one).__name__ for one in _chain(error)}
    if names & _CREDENTIALS:
        return f"no credentials were found; {_HINTS[403]}"
    if _is_of_address(error):
        return "the address is not valid"
    if isinstance(error, TimeoutError) or any("Timeout" in name for name in names):
        return "the server does not answer in time"
    numbers = (one.errno for one in _chain(error) if isinstance(one, OSError))
    if number := next(filter(None, numbers), None):
        return f"the server cannot be reached or asked: {os.strerror(number)}"
    return f"the connection broke off ({type(error).__name__})"


def _answer(status: int, code: str) -> str:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "an answer of its own"
    name = f", {code}" if code and not code.isdigit() else ""
    hint = f"; {_HINTS[status]}" if status in _HINTS else ""
    return f"the server says {status} {phrase}{name}{hint}"


def _passes(error: Exception) -> bool:
    """Whether to ask again may help."""
    status = status_of(error)
    if status is not None:
        return status in _PASSING
    names = {type(one).__name__ for one in _chain(error)}
    lasting = isinstance(error, PermissionError) or _is_of_address(error)
    is_network = isinstance(error, OSError) or any("Timeout" in name for name in names)
    is_library = any(type(one).__module__.startswith(_LIBRARIES) for one in _chain(error))
    return (is_network or is_library) and not (lasting or is_absent(error) or names & _CREDENTIALS)


def _is_of_address(error: Exception) -> bool:
    """Whether nobody was asked, as the address makes no sense to the library."""
    return any(
        isinstance(one, ValueError) or type(one).__name__ == "ParamValidationError"
        for one in _chain(error)
    )


def status_of(error: Exception) -> int | None:
    """The HTTP status that an error is about, if any."""
    for one in _chain(error):
        status = getattr(one, "status", None)
        if not isinstance(status, int):
            answer = getattr(one, "response", None)
            answer = answer if isinstance(answer, dict) else {}
            status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if isinstance(status, int) and status >= 300:
            return status
    return None


def _code(error: Exception) -> str:
    """The code by which an object store names an error, or nothing."""
    for one in _chain(error):
        answer = getattr(one, "response", None)
        if isinstance(answer, dict):
            return str(answer.get("Error", {}).get("Code", ""))
    return ""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those that it comes from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
