"""How long the parts of a run are at work, counted where they work."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from vidx.throughput import Busy, num_cores


@dataclass(slots=True)
class Work:
    """Seconds at work since this was made, filled by who works.

    Attributes:
        decoding_seconds: Of all decoding workers together.
        num_workers: Of them at work at the same time.
        transfer_seconds: Of the main process, for frames on their way to the device.
        device_seconds: Of all devices together.
        writing_seconds: Of commits and the index.
    """

    decoding_seconds: float = 0.0
    num_workers: int = 0
    transfer_seconds: float = 0.0
    device_seconds: float = 0.0
    writing_seconds: float = 0.0
    _started: float = field(default_factory=time.perf_counter)

    def add(self, later: Work, earlier: Work) -> None:
        """Count what others did between two times that they told of it."""
        self.decoding_seconds += later.decoding_seconds - earlier.decoding_seconds
        self.transfer_seconds += later.transfer_seconds - earlier.transfer_seconds
        self.device_seconds += later.device_seconds - earlier.device_seconds

    def busy(self, device: str, *, num_nodes: int = 0, cores: int | None = None) -> Busy:
        """The shares of the time since this was made.

        Args:
            device: That was at work meanwhile, or several, with commas between.
            num_nodes: Nodes of a cluster that were; 0: this machine was.
            cores: Of all of them; None: those of this machine.
        """
        seconds = time.perf_counter() - self._started
        devices = device.split(",")

        def share(spent: float, among: int = 1) -> float:
            return min(spent / max(among, 1) / seconds, 1.0)

        return Busy(
            decoding=share(self.decoding_seconds, self.num_workers),
            transfer=share(self.transfer_seconds, num_nodes),
            device=share(self.device_seconds, len(devices)),
            writing=share(self.writing_seconds),
            num_workers=self.num_workers,
            num_cores=cores or num_cores(),
            is_on_cpu="cpu" in devices,
            num_nodes=num_nodes,
        )
