"""Embedding on a cluster: what a run of `embed` asks of whoever embeds, done by its nodes."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vidx.distributed import cluster
from vidx.distributed.crew import Crew
from vidx.distributed.worker import Files, Orders
from vidx.embedder.attempts import Result
from vidx.embedder.decoding.events import Job
from vidx.embedder.work import Work
from vidx.options import EmbedOptions
from vidx.remote.urls import is_url
from vidx.throughput import Busy

if TYPE_CHECKING:
    from vidx.embedder.encoder import Encoder


@dataclass(frozen=True, slots=True)
class OnCluster:
    """Embeds videos on the nodes of a cluster.

    Attributes:
        encoder: With what; it computes nothing here.
        crew: The nodes.
    """

    encoder: Encoder
    crew: Crew

    def provenance(self) -> dict[str, str]:
        """What made the vectors but does not decide whether they are comparable."""
        devices = ",".join(sorted({one.device for one in self.crew.loaded}))
        dtypes = ",".join(sorted({one.dtype for one in self.crew.loaded}))
        return {**self.encoder.provenance(), "device": devices, "dtype": dtypes}

    def results(self, jobs: Iterator[Job], work: Work) -> Generator[Result, None, None]:
        """What the nodes give for some videos, as `embed_videos` does."""
        return self.crew.results(jobs, work)

    def busy(self, work: Work) -> Busy:
        """How busy each part was while some work was done, over the nodes that are there."""
        ready = [(member.node, member.loaded) for member in self.crew.members if member.loaded]
        devices = ",".join(loaded.device for _, loaded in ready)
        cores = sum(node.num_cpus for node, _ in ready)
        return work.busy(devices, num_nodes=len(ready), cores=cores)


@contextmanager
def on_cluster(
    encoder: Encoder, options: EmbedOptions, paths: Sequence[str]
) -> Iterator[OnCluster]:
    """Have a worker on each node of a cluster.

    Args:
        encoder: With what; each node gets a copy of its checkpoint.
        options: Where the cluster is, and how to embed.
        paths: Files, of which each node must see some, and URLs.

    Raises:
        VidxError: The cluster cannot be reached, or a node cannot take part.
    """
    space = encoder.space
    orders = Orders(
        fingerprint=space.fingerprint,
        num_frames=space.num_frames,
        fps=space.fps,
        device=options.device,
        dtype=options.dtype,
        batch_size=options.batch_size,
        part_clips=options.commit.part_clips,
        previews=options.previews,
        decoder=options.decoder,
    )
    files = [path for path in paths if not is_url(path)]
    with cluster.connected(options.address):
        crew = Crew(_files(encoder), orders, options.workers_per_node, files)
        try:
            crew.assemble()
            yield OnCluster(encoder, crew)
        finally:
            crew.close()


def _files(encoder: Encoder) -> Files:
    checkpoint = encoder.checkpoint
    paths = (checkpoint.config, checkpoint.preprocessor, checkpoint.weights)
    return {path.name: np.fromfile(path, np.uint8) for path in paths}
