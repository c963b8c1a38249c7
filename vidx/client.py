"""Client: the verbs of a collection, of one that `vidx serve` serves."""

from __future__ import annotations

import json
import math
import operator
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from email.message import Message
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, SupportsIndex
from urllib.parse import urlsplit

from vidx import errors
from vidx.errors import UnknownId, UsageError, VideoError, VidxError
from vidx.from_json import record
from vidx.options import SearchOptions, check_limit
from vidx.records import CollectionInfo, Hit, MetadataReport, Segment
from vidx.remote.urls import is_url
from vidx.served import ServedWhole, asked_of

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import ArrayLike

    from vidx.queries import Examples

MOST_ROWS = 1000  # of one page
NEXT = "x-next-cursor"
UNFINISHED = 202
_HERE = ("localhost", "127.0.0.1", "[::1]", "::1")
_IN_URL = re.compile(r"[!-~]+")
_IN_HEADER = re.compile(r"[ -~\x80-\xff]*")


class Client(ServedWhole):
    """A collection behind a service; its verbs give what those of `vidx.Collection` give.

    Args:
        url: Where the service is, such as `http://127.0.0.1:8000`.
        token: What it takes; white space around it is left out. None: `VIDX_TOKEN`, or nothing.
        timeout_seconds: How long an answer may take.

    Raises:
        UsageError: It is no URL of a service, or the token cannot be sent.
    """

    def __init__(
        self, url: str, token: str | None = None, *, timeout_seconds: float = 300.0
    ) -> None:
        self._url, host = _place(url)
        given = os.environ.get("VIDX_TOKEN") if token is None else token
        self._token = (given or "").strip()
        if not _IN_HEADER.fullmatch(self._token):
            raise UsageError(
                "the token has a character that cannot be sent", "Give it as the service has it."
            )
        self._timeout_seconds = timeout_seconds
        own = [urllib.request.ProxyHandler({})] if host in _HERE else []
        self._opener = urllib.request.build_opener(_NoRedirects, *own)

    def __repr__(self) -> str:
        return f"Client({self._url!r})"

    def search(
        self, file: str | os.PathLike[str], k: int = 10, options: SearchOptions | None = None
    ) -> list[Hit]:
        """Find the clips that are most similar to a video file of this machine, which is sent.

        As `Collection.search`.
        """
        with self._uploaded([file]) as [query]:
            return self._search({"query": query}, k, options)

    def search_by_id(
        self, clip_id: SupportsIndex, k: int = 10, options: SearchOptions | None = None
    ) -> list[Hit]:
        """Find the clips that are most similar to a stored clip; as `Collection.search_by_id`."""
        return self._search({"query": _clip(clip_id)}, k, options)

    def search_by_vector(
        self, vectors: ArrayLike, k: int = 10, options: SearchOptions | None = None
    ) -> list[Hit]:
        """Find the clips that are most similar to vectors; as `Collection.search_by_vector`."""
        return self._search({"query": {"vectors": _rows(vectors)}}, k, options)

    def search_like(
        self,
        like: Examples,
        unlike: Examples = (),
        k: int = 10,
        options: SearchOptions | None = None,
    ) -> list[Hit]:
        """Find the clips that are like some examples; as `Collection.search_like`."""
        sides = [list(one) if isinstance(one, list | tuple) else [one] for one in (like, unlike)]
        with self._uploaded([*sides[0], *sides[1]]) as named:
            liked, unliked = named[: len(sides[0])], named[len(sides[0]) :]
            return self._search({"like": liked, "unlike": unliked}, k, options)

    def failures(self, limit: int | None = None) -> pa.Table:
        """The files that could not be embedded, by path; as `Collection.failures`."""
        return self._table("failures", limit, {})

    def info(self) -> CollectionInfo:
        """How much the collection holds; as `Collection.info`."""
        told = self._json("GET", "/v1/info")
        with self._understood():
            return record(CollectionInfo, told)

    def set_metadata(
        self, table: object, *, on: str = "path", clear_empty: bool = False
    ) -> MetadataReport:
        """Tell what you know of videos or clips; as `Collection.set_metadata`.

        Args:
            table: What `pyarrow.table` takes, of text, numbers and booleans; no file.
            on: As there.
            clear_empty: As there.
        """
        body = {"on": on, "columns": _columns(table), "clear_empty": clear_empty}
        told = self._json("POST", "/v1/metadata", body)
        with self._understood():
            return record(MetadataReport, told)

    def _search(
        self, what: dict[str, Any], k: SupportsIndex, options: SearchOptions | None
    ) -> list[Hit]:
        body = {**what, "k": operator.index(k), **_filters(options or SearchOptions())}
        told = self._json("POST", "/v1/search", body)
        with self._understood():
            return [record(Segment if "num_clips" in one else Hit, one) for one in told["hits"]]

    @contextmanager
    def _uploaded(self, examples: list[Any]) -> Iterator[list[dict[str, Any]]]:
        """Examples as the service takes them; files are there as long as this lasts."""
        sent: list[str] = []
        try:
            yield [self._example(one, sent) for one in examples]
        finally:
            for upload_id in sent:
                with suppress(VidxError):  # what is left there goes after a while
                    self._ask("DELETE", f"/v1/uploads/{upload_id}")

    def _example(self, example: Any, sent: list[str]) -> dict[str, Any]:
        if isinstance(example, str | os.PathLike):
            sent.append(self._upload(example))
            return {"upload": sent[-1]}
        if isinstance(example, SupportsIndex) and not getattr(example, "ndim", 0):
            return _clip(example)
        return {"vectors": _rows(example)}

    def _upload(self, file: str | os.PathLike[str]) -> str:
        if is_url(file) or not os.path.isfile(file):
            raise UsageError(f"{os.fspath(file)!r} is no file", "Name a video file or a clip_id.")
        with open(file, "rb") as content:
            size = os.fstat(content.fileno()).st_size
            if not size:
                raise VideoError("empty_file", f"{os.path.abspath(file)}: 0 bytes")
            headers = {"content-length": str(size), "content-type": "application/octet-stream"}
            _, _, answer = self._ask("POST", "/v1/uploads", content, headers)
        with self._understood():
            return str(json.loads(answer)["upload_id"])

    def _service(self) -> Client:
        return self

    def _which(self) -> dict[str, str]:
        return {}

    def _table(
        self, name: str, limit: int | None, asked: dict[str, Any], *, posted: bool = False
    ) -> pa.Table:
        """A list, page by page, whole or up to a limit."""
        from vidx.store.wire import from_stream, joined

        check_limit(limit)
        tables, rows = [], 0
        following: str | None = ""
        while following is not None:
            wanted = MOST_ROWS if limit is None else min(MOST_ROWS, limit - rows)
            part = {**asked, "limit": wanted, "cursor": following or None}
            content, following = self._page(f"/v1/{name}", part, posted=posted)
            with self._understood():
                tables.append(from_stream(content))
            rows += tables[-1].num_rows
            if limit is not None and rows >= limit:
                break
        return joined(tables)

    def _page(self, path: str, asked: dict[str, Any], *, posted: bool) -> tuple[bytes, str | None]:
        """A page of a list, and the cursor of the next; asked for until it is there.

        Raises:
            VidxError: It takes too long.
        """
        from vidx.store.wire import ARROW_TYPE

        until = time.monotonic() + self._timeout_seconds
        headers = {"accept": ARROW_TYPE, "content-type": "application/json"}
        method, data = ("POST", _body(asked)) if posted else ("GET", None)
        with _sending():
            where = path if posted else asked_of(path, asked)
        while True:
            status, told, content = self._ask(method, where, data, headers)
            if status != UNFINISHED:
                return content, told.get(NEXT)
            if time.monotonic() > until:
                raise VidxError(
                    f"no answer within {self._timeout_seconds:g} s, which is still being found",
                    "Ask again later, or with a larger timeout_seconds.",
                )

    def _json(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else _body(body)
        _, _, content = self._ask(method, path, data, {"content-type": "application/json"})
        with self._understood():
            return json.loads(content)

    def _ask(
        self, method: str, path: str, data: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Message, bytes]:
        """The status, the headers and the body of an answer.

        Raises:
            VidxError: What the service says, or that none answers.
        """
        own = {"x-vidx": "1"} | ({"authorization": f"Bearer {self._token}"} if self._token else {})
        request = urllib.request.Request(  # noqa: S310 - http or https, see _place
            self._url + path, data, {**own, **(headers or {})}, method=method
        )
        try:
            answer = self._opener.open(request, timeout=self._timeout_seconds)
        except urllib.error.HTTPError as error:
            raise _said(error) from None
        except (OSError, HTTPException) as error:
            raise self._unanswered(request, getattr(error, "reason", None) or error) from None
        try:
            with answer:
                return answer.status, answer.headers, answer.read()
        except (OSError, HTTPException) as error:
            raise VidxError(
                f"the answer of {self._url} breaks off: {error}",
                "Ask again, or with a larger timeout_seconds.",
            ) from None

    def _unanswered(self, request: urllib.request.Request, reason: object) -> VidxError:
        """Why there is no answer.

        A service that refuses what it is sent says so and hangs up, and what it said is often lost.

        Raises:
            VidxError: It refuses this client altogether, or is away.
        """
        size = request.get_header("Content-length")
        if size and isinstance(reason, ConnectionError):
            self._ask("GET", "/v1/info")
            return VidxError(
                f"the service at {self._url} closed the connection while {size} bytes were sent, "
                "as where they are more than it takes",
                "Send less, or ask the collection where it is; docs/service.md has the limits.",
            )
        return VidxError(
            f"no service answers at {self._url}: {reason}", "See that `vidx serve` runs there."
        )

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """Make sense of what has answered.

        Raises:
            VidxError: It is no service of vidx.
        """
        try:
            yield
        except (ValueError, LookupError, TypeError, OSError):  # those of pyarrow are such, too
            raise VidxError(
                f"what answers at {self._url} is no vidx service", "See that the URL is its own."
            ) from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A token goes where it was meant to go, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        """Follow none."""


def _place(url: str) -> tuple[str, str]:
    """The URL of a service, and its host.

    Raises:
        UsageError: It is none.
    """
    with suppress(ValueError):
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port  # a port that is none raises
        place = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        is_one = parts.scheme in ("http", "https") and host.encode("idna")
        if is_one and _IN_URL.fullmatch(place):
            return place, host
    raise UsageError(f"{url!r} is no URL of a service", "Give one such as http://127.0.0.1:8000.")


def _body(told: Any) -> bytes:
    with _sending():
        return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


@contextmanager
def _sending() -> Iterator[None]:
    """Make what is told ready to be sent.

    Raises:
        UsageError: It is neither numbers nor text.
    """
    try:
        yield
    except (TypeError, UnicodeEncodeError) as error:
        raise UsageError(f"this cannot be sent: {error}", "Give numbers and text.") from None


def _clip(clip_id: SupportsIndex) -> dict[str, Any]:
    """A stored clip as the service takes it.

    Raises:
        UnknownId: It can be none.
    """
    number = operator.index(clip_id)
    if not 0 <= number < 1 << 63:
        raise UnknownId.of(number)
    return {"clip_id": number}


def _columns(table: object) -> dict[str, list[Any]]:
    """A table's columns, by name, as the service takes them.

    Raises:
        UsageError: It is none, or two of them have one name.
    """
    from vidx.store.metadata.setting import table_of

    if isinstance(table, str | os.PathLike):
        raise UsageError(f"{os.fspath(table)!r} is no table", "Give a dictionary of columns.")
    catalogue: Any = None  # which files alone need
    whole, _ = table_of(table, catalogue)
    if len(set(whole.column_names)) < whole.num_columns:
        raise UsageError("two columns of the table have one name", "Call one of them otherwise.")
    return {name: [_plain(one) for one in whole[name].to_pylist()] for name in whole.column_names}


def _plain(value: Any) -> Any:
    """A value as JSON has it; what is no number is none."""
    value = float(value) if isinstance(value, Decimal) else value
    return None if isinstance(value, float) and math.isnan(value) else value


def _said(error: urllib.error.HTTPError) -> VidxError:
    """The error that the service tells of, as the collection would raise it."""
    with error:
        try:
            told = json.load(error)
            detail, step = str(told["detail"]), str(told.get("next_step", ""))
        except (ValueError, KeyError, TypeError, OSError, HTTPException):
            return VidxError(f"the service answers {error.code} {error.reason}")
    name = str(told.get("type", "")).removeprefix("urn:vidx:")
    kind = getattr(errors, name, None)
    if kind is VideoError:
        return VideoError(str(told.get("reason")), detail)
    if name == "invalid_request":
        return UsageError(detail, step)
    if isinstance(kind, type) and issubclass(kind, VidxError):
        return kind(detail, step)
    return VidxError(detail, step)


def _filters(options: SearchOptions) -> dict[str, Any]:
    """What the service takes of options.

    Raises:
        UsageError: They say what only a collection at hand can do.
    """
    if (options.model, options.device, options.dtype) != (None, None, None):
        raise UsageError("model, device and dtype are the service's own", "Leave them out.")
    if options.via is not None:
        raise UsageError("a service asks its own index", "Leave via out.")
    if options.where is not None and not isinstance(options.where, str):
        raise UsageError("where is a selection, which cannot be sent", "Give an expression.")
    names = ("by", "where", "path_glob", "exclude_self", "likeness", "diverse")
    asked = {name: getattr(options, name) for name in (*names, "start_seconds", "end_seconds")}
    labels = None if options.labels is None else list(options.label_names())
    return {**asked, "labels": labels}


def _rows(vectors: Any) -> list[list[float]]:
    import numpy as np

    try:
        asked = np.atleast_2d(np.asarray(vectors, np.float32))
    except (TypeError, ValueError) as error:
        raise UsageError(f"the vectors are no numbers: {error}") from error
    if asked.ndim != 2 or not np.isfinite(asked).all():
        raise UsageError("the vectors are no finite numbers of shape (dim,) or (m, dim).")
    rows: list[list[float]] = asked.tolist()
    return rows
