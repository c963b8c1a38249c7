"""Which given labels are likely wrong, by what vectors and neighbours say, and by Bayes' rule."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidx.curation.heads import Heads
from vidx.curation.members import Members, Numbers
from vidx.curation.votes import Votes

MOST_FITTED = 5_000  # things that a belief is fitted with
MOST_FITTED_CELLS = 500_000  # of a table of them and labels
ROUNDS = 2  # what is doubted in the first teaches less in the next
SHRINKAGES = (0.1, 0.3, 0.6, 0.9)
POWERS = (0.0, *np.geomspace(0.03, 6, 12).tolist())
NOISES = np.array([0.001, 0.003, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3])
UNSEEN = 8.0  # things of each label that are taken to have been given any other one

Floats = NDArray[np.float64]


class Suspects(NamedTuple):
    """Things whose given label is likely wrong, the surest first: shape (m,) each.

    Attributes:
        units: Which, int64.
        suggested: The label that is more probable, int64.
        scores: How probable that is, float64.
        given_scores: How probable the given one is, float64.
    """

    units: Numbers
    suggested: Numbers
    scores: Floats
    given_scores: Floats


class Belief(NamedTuple):
    """How far heads and votes are to be believed.

    Attributes:
        likelihood: The mean logarithm of how probable given labels are by it.
        shrinkage: Of the heads.
        by_heads, by_votes: The powers of what either says.
        noise: The share of wrong labels.
        mistaken: How often each label is given in place of each other: (labels, labels), the rows
            those that would be right.
    """

    likelihood: float
    shrinkage: float
    by_heads: float
    by_votes: float
    noise: float
    mistaken: Floats

    def probable(self, told: Floats, said: Floats, given: Numbers) -> Floats:
        """How probable labels are by Bayes' rule, knowing which was given, (m, labels)."""
        rows = np.arange(len(given))
        before = _probable(self.by_heads * told + self.by_votes * said)
        found = self.noise * before * self.mistaken[:, given].T
        found[rows, given] += (1 - self.noise) * before[rows, given]
        return np.asarray(found / found.sum(axis=1, keepdims=True))


def suspects(heads: Heads, votes: Votes, members: Members, labels: Numbers) -> Suspects:
    """Find given labels that are likely wrong.

    What heads and votes say of a label makes one probability, a product of powers of both. As often
    as the noise says, another label is given than the right one: which, is learned from those that
    are given to what looks otherwise (as in Northcutt, Jiang and Chuang, "Confident learning:
    estimating uncertainty in dataset labels", JAIR 2021). Powers and noise are those that make the
    given labels most likely, so what tells little is believed little. By Bayes' rule follows how
    probable each label is, the given one included; one that is less probable than another is told.

    Args:
        heads: Of the same things, and labels.
        votes: Likewise.
        members: The clips of each.
        labels: Of each thing, from 0; -1 where none was given.
    """
    known = np.flatnonzero(labels >= 0)
    if not len(known):
        return Suspects(known, known, np.empty(0), np.empty(0))
    trust = np.where(labels < 0, 0.0, 1.0)
    votes.learn(trust)
    for block in members.blocks(known):
        trust[block] = np.exp(votes.logs(block))[np.arange(len(block)), labels[block]]
    for _ in range(ROUNDS):
        votes.learn(trust)
        heads.learn(members.blocks(known), trust)
        belief = _fitted(heads, votes, members, labels)
        heads.shrink(belief.shrinkage)
        found = [
            _judged(belief, heads, votes, block, labels[block]) for block in members.blocks(known)
        ]
        judged = Suspects._make(np.concatenate(one) for one in zip(*found, strict=True))
        trust[judged.units] = judged.given_scores
    margins = judged.scores - judged.given_scores
    order = np.lexsort((judged.units, -margins))[: (margins > 0).sum()]
    return Suspects._make(column[order] for column in judged)


def _fitted(heads: Heads, votes: Votes, members: Members, labels: Numbers) -> Belief:
    """The belief that makes the given labels most likely, tried with some of them."""
    known = np.flatnonzero(labels >= 0)
    often = np.bincount(labels[known]) / len(known)
    most = max(1, min(MOST_FITTED, MOST_FITTED_CELLS // len(often)))
    some = known[:: -(-len(known) // most)]
    said = np.concatenate([votes.logs(block) for block in members.blocks(some)])

    def tried() -> Iterator[Belief]:
        for shrinkage in SHRINKAGES:
            heads.shrink(shrinkage)
            told = np.concatenate([heads.logs(block) for block in members.blocks(some)])
            yield from _beliefs(shrinkage, told, said, labels[some], often)

    return max(tried(), key=lambda belief: belief.likelihood)


def _beliefs(
    shrinkage: float, told: Floats, said: Floats, given: Numbers, often: Floats
) -> Iterator[Belief]:
    """Of each pair of powers the belief with the likeliest noise."""
    rows = np.arange(len(given))
    for by_heads, by_votes in product(POWERS, POWERS):
        probable = _probable(by_heads * told + by_votes * said)
        mistaken = _mistaken(probable, given, often)
        by_mistake = np.einsum("mc,cm->m", probable, mistaken[:, given])
        right = probable[rows, given]
        likely = np.log(right[:, None] * (1 - NOISES) + by_mistake[:, None] * NOISES).mean(axis=0)
        best = int(likely.argmax())
        noise = float(NOISES[best])
        yield Belief(float(likely[best]), shrinkage, by_heads, by_votes, noise, mistaken)


def _mistaken(probable: Floats, given: Numbers, often: Floats) -> Floats:
    """Which labels are given to what looks most like another one, shape (labels, labels)."""
    best = probable.argmax(axis=1)
    other = best != given
    size = len(often)
    counts = np.bincount(best[other] * size + given[other], minlength=size**2).reshape(size, size)
    shares = counts + UNSEEN * often
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def _judged(belief: Belief, heads: Heads, votes: Votes, block: Numbers, given: Numbers) -> Suspects:
    """Of each thing the most probable label but the given one, in the order of the block."""
    rows = np.arange(len(given))
    probable = belief.probable(heads.logs(block), votes.logs(block), given)
    own = probable[rows, given].copy()
    probable[rows, given] = -1
    best = probable.argmax(axis=1)
    return Suspects(block, best, probable[rows, best], own)


def _probable(logs: Floats) -> Floats:
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
