"""A process that decodes or computes: its parent's handle on it, and its own tie to the parent."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from vidx.embedder.workers.channel import Channel


class WorkerProcess:
    """`python -m MODULE FD ARGUMENTS...`, killed and reaped by `end`.

    Args:
        module: What it runs; it speaks and hears through the socket FD.
        arguments: What the module takes besides.
        timeout_seconds: How long to wait for the rest of a message that has begun; None: for ever.
        stderr: Where its complaints go; None: where ours go.
        pass_fds: Descriptors that it inherits besides.

    Attributes:
        process: The process.
        channel: What it says and hears.
    """

    def __init__(
        self,
        module: str,
        *arguments: object,
        timeout_seconds: float | None,
        stderr: int | None = subprocess.DEVNULL,
        pass_fds: Sequence[int] = (),
    ) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                # -P: nothing in the current folder stands in for a module.
                [sys.executable, "-P", "-m", module, *map(str, (theirs.fileno(), *arguments))],
                stdin=subprocess.PIPE,  # its lifeline: see end_with_parent
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                pass_fds=[theirs.fileno(), *pass_fds],
                env=_environment(),
            )
        ours.settimeout(timeout_seconds)
        self.channel = Channel(ours)

    def end(self) -> None:
        """Kill the process and leave nothing of it behind."""
        self.process.kill()
        self.channel.close()
        if self.process.stdin:
            self.process.stdin.close()
        # One that the kernel cannot end yet, stuck in a read from a dead network, must not stop us.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=5)

    def death(self) -> str:
        """How the process ended, its socket being closed."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=1)
        code = self.process.returncode
        if code is None:
            return "no answer"
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _environment() -> dict[str, str]:
    """Let the worker import this very package, from wherever the parent did."""
    root = str(Path(__file__).parents[3])
    inherited = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([root, inherited] if inherited else [root])}


def end_with_parent() -> None:
    """End this process once its standard input is closed, even while a decoder hangs."""

    def watch() -> None:
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
