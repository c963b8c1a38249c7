"""Cursors: where a list goes on. What they hold is theirs; a client only hands them back."""

from __future__ import annotations

import base64
import json

from vidx.service.problems import Refused


def cursor(of: str, uuid: str, after: str | int) -> str:
    """Name a place in a list.

    Args:
        of: Which list.
        uuid: The collection's.
        after: What the last row is known by.
    """
    text = json.dumps([of, uuid, after], ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place(given: str | None, of: str, uuid: str, kind: type[str] | type[int]) -> str | int | None:
    """Where a list goes on.

    Args:
        given: What a client handed back.
        of: Which list.
        uuid: The collection's.
        kind: Of what rows are known by.

    Raises:
        Refused: It is none of ours, or of a collection that is no longer here.
    """
    if given is None:
        return None
    try:
        text = base64.urlsafe_b64decode(given + "=" * (-len(given) % 4))
        whose, which, after = json.loads(text)
        text.decode().encode()
    except (ValueError, TypeError, RecursionError):
        whose, which, after = "", "", None
    right = whose == of and type(after) is kind
    if not right or (isinstance(after, int) and not 0 <= after < 1 << 63):
        raise Refused(422, "bad_cursor", "this is no cursor of this list", "Begin without one.")
    if which != uuid:
        raise Refused(410, "expired_cursor", "the collection is another one now", "Begin anew.")
    return after if isinstance(after, int) else _clean(after)


def _clean(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refused(422, "bad_cursor", "this is no cursor of this list") from None
    return text
