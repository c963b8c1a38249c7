"""The parent's handle on one decoding worker."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from vidx.embedder.channel import Channel


class WorkerProcess:
    """A process of `vidx.embedder.worker`, killed and reaped by `end`.

    Args:
        memory_bytes: What it may take for decoding.
        timeout_seconds: How long to wait for the rest of a message that has begun.

    Attributes:
        process: The process.
        channel: What it says and hears.
        is_started: Whether it has spoken yet; set by the listener.
        silent_seconds: How long it has not spoken; set by the listener.
    """

    def __init__(self, memory_bytes: int, timeout_seconds: float) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            arguments = [theirs.fileno(), memory_bytes]
            self.process = subprocess.Popen(
                # -P: nothing in the current folder stands in for a module.
                [sys.executable, "-P", "-m", "vidx.embedder.worker", *map(str, arguments)],
                stdin=subprocess.PIPE,  # its lifeline: see the worker
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=_environment(),
            )
        ours.settimeout(timeout_seconds)
        self.channel = Channel(ours)
        self.is_started = False
        self.silent_seconds = 0.0

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
    root = str(Path(__file__).parents[2])
    inherited = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([root, inherited] if inherited else [root])}
