"""Which threshold tells copies from other videos?

    python benchmarks/duplicates.py --model builtin:tiny --folder VIDEOS [...] [--out FILE]

Of each video copies are made of up to 6.5 s of its beginning: encoded anew by another codec at a
low bitrate, at half size, without the first 0.4 s, with a tenth of width and height cut off,
brighter, at another frame rate (`changes.py`). Videos and copies are embedded into one collection,
and `duplicates` is asked at each threshold, by clip and by video. A pair of members of one group
is right when both are of one video. Precision is the share of right pairs; recall, for each kind
of change, the share of its copies that are in a group with their video or another copy of it.
Files in a folder called `near_duplicates` are left out.
"""

from __future__ import annotations

import itertools
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from changes import CHANGES
from command import run
from copies import Source as Video
from copies import embed, find_originals, make_copies

import vidx
from vidx.embedder.encoder import load
from vidx.options import EmbedOptions
from vidx.records import EmbeddedVideo

SECONDS = 6.5  # of a copy, at most
THRESHOLDS = np.arange(0.2, 0.96, 0.05)


def measure(model: str, folders: Sequence[Path], device: str | None) -> dict[str, Any]:
    """Plant copies and look for them; ready for JSON."""
    originals = find_originals(folders)
    encoder = load(model, device=device)
    answers = zip(originals, embed(encoder, originals), strict=True)
    videos = [
        Video(path, one.info, one.embeddings)
        for path, one in answers
        if isinstance(one, EmbeddedVideo)
    ]
    with tempfile.TemporaryDirectory() as folder:
        copies = make_copies(videos, Path(folder), SECONDS)
        owners = {str(video.path.absolute()): number for number, video in enumerate(videos)}
        owners |= {str(copy.path): copy.source for copy in copies}
        kinds = {str(copy.path): copy.kind for copy in copies if copy.path.exists()}
        with vidx.open(Path(folder) / "collection", create=True) as collection:
            paths = [video.path for video in videos] + [copy.path for copy in copies]
            there = [path for path in paths if path.exists()]
            collection.embed(there, EmbedOptions(model=model, device=device))
            found = [judged(collection, float(one), owners, kinds) for one in THRESHOLDS]
    return {"model": model, "videos": len(videos), "copies": len(kinds), "thresholds": found}


def judged(
    collection: vidx.Collection, threshold: float, owners: dict[str, int], kinds: dict[str, str]
) -> dict[str, Any]:
    """Precision, and recall by kind of change, at one threshold."""
    return {
        "threshold": round(threshold, 2),
        **{
            by: told(collection.duplicates(threshold, by=by).to_pylist(), owners, kinds)
            for by in ("clip", "video")
        },
    }


def told(
    rows: list[dict[str, Any]], owners: dict[str, int], kinds: dict[str, str]
) -> dict[str, Any]:
    """How right the groups are."""
    groups = defaultdict(set)
    for row in rows:
        groups[row["group"]].add(row["path"])
    pairs = {pair for one in groups.values() for pair in itertools.combinations(sorted(one), 2)}
    right = {pair for pair in pairs if owners[pair[0]] == owners[pair[1]]}
    met = {path for pair in right for path in pair}
    recall = {
        kind: float(np.mean([path in met for path, own in kinds.items() if own == kind]))
        for kind in CHANGES
        if kind in kinds.values()
    }
    return {"pairs": len(pairs), "precision": len(right) / max(len(pairs), 1), "recall": recall}


def table(result: dict[str, Any]) -> str:
    """The results to read."""
    lines = [f"{result['model']}: {result['videos']} videos, {result['copies']} copies"]
    for by in ("clip", "video"):
        names = list(result["thresholds"][0][by]["recall"])
        lines.append(f"by {by:7} pairs  precise" + "".join(f"{name:>17}" for name in names))
        for one in result["thresholds"]:
            found = one[by]
            cells = "".join(f"{share:>17.1%}" for share in found["recall"].values())
            lines.append(
                f"{one['threshold']:10.2f} {found['pairs']:5} {found['precision']:8.1%}{cells}"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    run(Path(__file__).name, __doc__, measure, table)
