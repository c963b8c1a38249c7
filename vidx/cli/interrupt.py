"""Ctrl-C that is never lost."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def remembering_interrupts() -> Iterator[Callable[[], None]]:
    """Give a function that raises an interrupt again which Python has dropped.

    An exception that is raised while the garbage collector runs a callback goes nowhere, and a
    KeyboardInterrupt is one: whoever works for long asks now and then whether there was any.
    """
    interrupted = False

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        raise KeyboardInterrupt

    def check() -> None:
        if interrupted:
            raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # the caller wants it otherwise, as nohup does
        yield check
        return
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
