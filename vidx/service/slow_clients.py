"""A connection whose client does not send the head of its request in time is closed."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


class Patient(H11Protocol):
    """Waits for a head so long and no longer, from the connection or the head's first byte on."""

    head_seconds = 10.0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Go on waiting where this is a part of a head, else be content."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._be_content()
        elif self._deadline is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._be_content()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._deadline = self.loop.call_later(self.head_seconds, self._give_up)

    def _be_content(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()


def patient_for(head_seconds: float) -> type[H11Protocol]:
    """The protocol for uvicorn, with its patience."""
    return type("Patient", (Patient,), {"head_seconds": head_seconds})
