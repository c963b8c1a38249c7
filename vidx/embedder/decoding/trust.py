"""Which decoded pictures can be trusted, when packets were lost or damaged.

A picture refers to others, so damage stays in all that follow, up to the next key frame; unless no
other picture refers to the damaged one. Pictures that are shown before a key frame but come after
it in the file refer to what was before it too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

    from vidx.embedder.decoding.survey import Survey


@dataclass(slots=True)
class Fed:
    """A packet on its way through the decoder.

    Attributes:
        number: Its place in the stream.
        follows_loss: Whether packets before it were lost.
        is_damaged: Whether its picture cannot be trusted.
        has_picture: Whether a frame came of it.
    """

    number: int
    follows_loss: bool
    is_damaged: bool
    has_picture: bool = False


@dataclass(slots=True)
class Trust:
    """Follows the packets of a stream into the decoder.

    Args:
        found: What was lost, as the survey found it.
    """

    found: Survey
    _count: int = 0
    _is_tainted: bool = False
    _leading_until: int | None = None  # presentation time of a key frame after damage
    _failed: list[Fed] = field(default_factory=list)

    def feed(self, packet: Packet[VideoStream]) -> Fed:
        """Name the next packet, and say what is known before it is decoded."""
        number = self._count
        self._count += 1
        follows_loss = number in self.found.losses
        is_torn = number in self.found.damaged
        self._is_tainted |= follows_loss
        if packet.is_keyframe and not is_torn:
            self._leading_until = packet.pts if self._is_tainted else None
            self._is_tainted = False
        is_leading = (
            self._leading_until is not None
            and packet.pts is not None
            and packet.pts < self._leading_until
        )
        fed = Fed(number, follows_loss, is_torn or self._is_tainted or is_leading)
        if is_torn:
            self.fail(fed)
        return fed

    def fail(self, fed: Fed) -> None:
        """Note that the decoder had its troubles with a packet."""
        fed.is_damaged = True
        self._is_tainted |= bool(self.found.references[fed.number])
        self._failed.append(fed)

    def is_lost_between(self, shown: Fed, following: Fed | None) -> bool:
        """Whether a picture may be missing between two that are shown one after the other.

        Args:
            shown: The first.
            following: The other; None: the end.
        """
        if following and (following.number in self.found.unseen or following.is_damaged):
            return True
        times = self.found.times
        after = int(times[shown.number])
        # What is shown from now on comes later: the rest need never be looked at again.
        self._failed = [
            fed for fed in self._failed if not fed.has_picture and times[fed.number] > after
        ]
        until = None if following is None else int(times[following.number])
        return any(until is None or times[fed.number] < until for fed in self._failed)
