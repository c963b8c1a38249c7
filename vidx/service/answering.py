"""Answers questions of curation: `python -m vidx.service.answering FD FOLDER`, a process.

It gets one `Asked` after the other, tells how far it is, and answers each. It ends with its parent.
"""

from __future__ import annotations

import inspect
import json
import os
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vidx.collection import Collection, open_collection
from vidx.embedder.workers.channel import Channel
from vidx.embedder.workers.process import end_with_parent
from vidx.errors import VidxError
from vidx.selection import Selection
from vidx.service.parts import part_of
from vidx.service.question_messages import Answered, Asked
from vidx.store.wire import as_stream, plain_rows, with_figures

if TYPE_CHECKING:
    from vidx.curating.points import Points
    from vidx.records import IndexProgress

COMPARED = ("coverage", "other_coverage", "drift", "chance_drift")
NICENESS = 10  # searches come first
ALIGNED_BYTES = 8


def main() -> None:
    """Answer until the parent has no more questions."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    os.nice(NICENESS)
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    with open_collection(sys.argv[2]) as collection:
        while True:
            try:
                asked = channel.receive()
            except EOFError:
                return
            assert isinstance(asked, Asked)  # noqa: S101 - the parent sends nothing else
            channel.send(_answered(collection, asked, channel.send))


def _answered(
    collection: Collection, asked: Asked, progress: Callable[[IndexProgress], None]
) -> Answered:
    try:
        part = part_of(collection, asked.where, asked.selection)
        given = dict(asked.arguments)
        if given.get("other") is not None:
            given["other"] = collection.selection(given["other"])
        if asked.verb == "points":
            return Answered(_points(part, **given))
        if asked.verb == "compare":
            return Answered(_compared(part, **given))
        if asked.verb == "split":
            return Answered(_split(part, progress=progress, **given))
        verb = getattr(part, asked.verb)
        if "progress" in inspect.signature(verb).parameters:
            given["progress"] = progress
        found = verb(**given)
        return Answered(as_stream(found.clips() if isinstance(found, Selection) else found))
    except VidxError as error:
        return Answered(error=error)
    except Exception:  # a bug: the server's log tells of it, and clients that there is one
        traceback.print_exc()
        return Answered()


def _split(part: Any, fractions: tuple[tuple[str, float], ...], **given: Any) -> bytes:
    found = part.split(dict(fractions), **given)
    figures = {"num_groups": found.num_groups, "proof": plain_rows(found.proof), "written": None}
    return as_stream(with_figures(found.table, figures))


def _compared(part: Any, other: Selection, k: int | None, seed: int) -> bytes:
    found = part.compare(other, k, seed=seed)
    figures = {name: getattr(found, name) for name in COMPARED}
    return as_stream(with_figures(found.regions, figures))


def _points(part: Any, method: str, colour: str, seed: int) -> bytes:
    from vidx.curating.points import points

    with part._part() as clips:
        return points_told(points(clips, method, colour, seed))


def points_told(points: Points) -> bytes:
    """A map as a page reads it, little endian.

    The length of a head (uint32), the head (JSON: `num_clips`, and `names` of colours), spaces up
    to a multiple of 8 bytes; then clip_ids (int64), x and y (float32, pairs), colours (uint16).
    """
    head = json.dumps({"num_clips": len(points.clip_ids), "names": points.names}).encode()
    head += b" " * (-(4 + len(head)) % ALIGNED_BYTES)
    columns = (points.clip_ids.astype("<i8"), points.places.astype("<f4"), points.colours)
    return b"".join([struct.pack("<I", len(head)), head, *(column.tobytes() for column in columns)])


if __name__ == "__main__":
    main()
