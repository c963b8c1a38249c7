"""An embedding job: `python -m vidx.service.embedding FD`, a process of its own.

It gets one `Task`, tells how far it is, and at the end what became of it. An interrupt ends it
early; so does the end of its parent, as a kill would. What is committed stays in any case.
"""

from __future__ import annotations

import socket
import sys
import traceback

from vidx.collection import open_collection
from vidx.embedder.workers.channel import Channel
from vidx.embedder.workers.process import end_with_parent
from vidx.errors import VidxError
from vidx.service.job_messages import Ended, Task


def main() -> None:
    """Do one job."""
    end_with_parent()
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    try:
        task = channel.receive()
        assert isinstance(task, Task)  # noqa: S101 - the parent sends nothing else
        ended = _done(task, channel)
    except KeyboardInterrupt:
        ended = Ended()
    channel.send(ended)


def _done(task: Task, channel: Channel) -> Ended:
    try:
        with open_collection(task.collection) as collection:
            report = collection.embed(task.paths, task.options, progress=channel.send)
            return Ended(report)
    except VidxError as error:
        return Ended(error=error)
    except Exception:  # a bug: the server's log tells of it, and clients that there is one
        traceback.print_exc()
        return Ended(error=VidxError("an unexpected error", "The server's log has more."))


if __name__ == "__main__":
    main()
