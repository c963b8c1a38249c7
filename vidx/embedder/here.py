"""Embedding on this machine: what a run of `embed` asks of whoever embeds, done here."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vidx.embedder.attempts import Result
from vidx.embedder.decoding.card import cards_for
from vidx.embedder.decoding.events import Job
from vidx.embedder.pipeline import embed_videos
from vidx.embedder.work import Work
from vidx.options import EmbedOptions
from vidx.throughput import Busy

if TYPE_CHECKING:
    from vidx.embedder.encoder import Encoder


@dataclass(frozen=True, slots=True)
class Here:
    """Embeds videos on this machine.

    Attributes:
        encoder: With what.
        options: Decoding processes, batches, parts and previews.
    """

    encoder: Encoder
    options: EmbedOptions

    def provenance(self) -> dict[str, str]:
        """What made the vectors but does not decide whether they are comparable."""
        return self.encoder.provenance()

    def results(self, jobs: Iterator[Job], work: Work) -> Generator[Result, None, None]:
        """What `embed_videos` gives for some videos; closing it ends all that is at work."""
        return embed_videos(
            self.encoder,
            jobs,
            workers=self.options.num_workers,
            batch_size=self.options.batch_size,
            part_clips=self.options.commit.part_clips,
            lasting=True,
            previews=self.options.previews,
            cards=cards_for(self.options.decoder, self.encoder.device),
            work=work,
        )

    def busy(self, work: Work) -> Busy:
        """How busy each part was while some work was done."""
        return work.busy(self.encoder.device)
