"""Proposals that clients had made, as long as the server runs."""

from __future__ import annotations

import threading
from collections import OrderedDict

from vidx.proposal import Proposal
from vidx.service.problems import not_found

MOST_PROPOSALS = 100


class Proposals:
    """The proposals that were made for clients; the oldest give way."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Proposal] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, proposal: Proposal) -> None:
        """Remember one."""
        with self._lock:
            self._known[proposal.told["id"]] = proposal
            if len(self._known) > MOST_PROPOSALS:
                self._known.popitem(last=False)

    def get(self, proposal_id: str) -> Proposal:
        """One of them.

        Raises:
            Refused: It is not here.
        """
        with self._lock:
            if proposal_id not in self._known:
                raise not_found("proposal of this id")
            return self._known[proposal_id]

    def all(self) -> list[Proposal]:
        """The latest first."""
        with self._lock:
            return list(self._known.values())[::-1]

    def forget(self, proposal_id: str) -> None:
        """Drop one.

        Raises:
            Refused: It is not here.
        """
        self.get(proposal_id)
        with self._lock:
            self._known.pop(proposal_id, None)
