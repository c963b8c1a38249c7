"""What a run of `embed` had to wait for: how busy each part was, and which one was the limit."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

Part = Literal["decoding", "transfer", "device", "writing"]
Limit = Literal["decoding", "transfer", "device", "writing", "cores"]

PARTS: tuple[Part, ...] = ("decoding", "transfer", "device", "writing")
LEAST_SHARE = 0.5  # a part that is busy less than this holds up nobody
FULL_SHARE = 0.8  # two parts that are busy so much, on the same cores, take turns on them


@dataclass(frozen=True, slots=True)
class Busy:
    """Shares of wall-clock time in which the parts of a run were at work, once it had its model.

    Attributes:
        decoding: A decoding worker, on average, from its start on; not while it waits until its
            clips are taken.
        transfer: The main process putting frames into batches and handing these to the device. Of
            several devices what their processes take of this is left out.
        device: A device, on average, from its own clock on CUDA.
        writing: Shards, catalogue and index.
        num_workers: Decoding workers that were at work at the same time.
        num_cores: Processor cores that the run might use.
        is_on_cpu: Whether the model ran on these cores too.
        num_nodes: Nodes of a cluster that were at work, over all of which the shares of decoding,
            transfer and device are; 0: this machine was.
    """

    decoding: float
    transfer: float
    device: float
    writing: float
    num_workers: int
    num_cores: int
    is_on_cpu: bool
    num_nodes: int = 0

    def shares(self) -> dict[Part, float]:
        """The four shares by their names."""
        return {part: getattr(self, part) for part in PARTS}

    @property
    def bottleneck(self) -> Limit | None:
        """The part that the others wait for; `cores` where decoding and the model fight for them.

        None where no part is busy half of the time.
        """
        if self.is_on_cpu and min(self.decoding, self.device) >= FULL_SHARE:
            return "cores"
        shares = self.shares()
        most = max(PARTS, key=shares.__getitem__)
        return most if shares[most] >= LEAST_SHARE else None

    def __str__(self) -> str:
        """The bottleneck in a line, and what may help.

        >>> print(Busy(0.97, 0.1, 0.4, 0.0, num_workers=2, num_cores=4, is_on_cpu=False))
        Decoding is the limit: 97% busy, the device waits 60% of the time. More --workers may help.
        """
        match self.bottleneck:
            case "decoding":
                idle = f"the device waits {1 - self.device:.0%} of the time"
                return f"Decoding is the limit: {self.decoding:.0%} busy, {idle}. {self._faster()}"
            case "device":
                idle = f"decoding waits {1 - self.decoding:.0%} of the time"
                more = "A GPU, or a smaller --model," if self.is_on_cpu else "Further GPUs"
                return f"The model is the limit: {self.device:.0%} busy, {idle}. {more} may help."
            case "cores":
                busy = f"decoding is {self.decoding:.0%} busy and the model {self.device:.0%}"
                more = "nodes" if self.num_nodes else "cores"
                return f"The cores are the limit: {busy}. A GPU, or more {more}, may help."
            case "transfer":
                idle = f"the device waits {1 - self.device:.0%} of the time"
                busy = f"the main process hands over frames {self.transfer:.0%} of the time"
                return f"Transfer is the limit: {busy}, {idle}."
            case "writing":
                busy = f"{self.writing:.0%} of the time goes into shards, catalogue and index"
                return f"Writing is the limit: {busy}. A faster disk, database or bucket may help."
            case None:
                return "No part is the limit: the run was short, or waited for its files."

    def _faster(self) -> str:
        has_free_cores = self.num_workers < self.num_cores
        if self.num_nodes:
            return f"{'More --workers-per-node' if has_free_cores else 'More nodes'} may help."
        return f"{'More --workers' if has_free_cores else 'More cores'} may help."


def num_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
