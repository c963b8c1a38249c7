"""`python -m made_endless`: answers no question, and tells how far it is for ever."""

from __future__ import annotations

import itertools
import socket
import sys
import time

from vidx.embedder.workers.channel import Channel
from vidx.embedder.workers.process import end_with_parent
from vidx.records import IndexProgress


def main() -> None:
    end_with_parent()
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    channel.receive()
    for number in itertools.count():
        channel.send(IndexProgress("similar", "adding", number, number + 1))
        time.sleep(0.05)


if __name__ == "__main__":
    main()
