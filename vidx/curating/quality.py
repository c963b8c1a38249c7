"""`quality`: clips that are black, frozen, static, blurred or too short."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from vidx.curating.part import Part
from vidx.curation.quality import ISSUES, Limits, flagged
from vidx.errors import UsageError
from vidx.store.facts import facts_of
from vidx.store.told import clips_told

if TYPE_CHECKING:
    import pyarrow as pa


def quality(part: Part, limits: Limits) -> pa.Table:
    """Poor clips, as `Reviews.quality` says.

    Raises:
        UsageError: A limit is no number of 0 or more.
    """
    for name, value in asdict(limits).items():
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise UsageError(f"{name}={value!r}: a limit is a number of 0 or more.")
    facts = facts_of(part.catalogue, part.clip_ids)
    everything = Part.of(part.catalogue, part.view, part.view.live)
    whole = len(everything) == len(part)
    found = flagged(
        facts, facts if whole else facts_of(part.catalogue, everything.clip_ids), limits
    )
    return clips_told(
        part.catalogue,
        part.clip_ids[found.places],
        {},
        {
            "issue": np.array(ISSUES, object)[found.issues].astype(str),
            "value": found.values,
            "limit": found.limits,
        },
    )
