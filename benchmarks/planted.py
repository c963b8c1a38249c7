"""How many planted copies do `duplicates` find, and what does a proposal keep of them?

    python benchmarks/planted.py --model builtin:tiny --folder VIDEOS [...] [--out FILE]

Of 50 videos, drawn by chance, six copies each are made of up to 6.5 s of their beginning: encoded
anew by another codec at a low bitrate, at half size, with a tenth of width and height cut off,
without the first 0.4 s, mirrored, and joined with the beginning of another video. Videos and copies
are embedded into one collection, and `duplicates` is asked at the collection's own threshold, by
clip, by video and by segment.

A pair of members of one group is right when both show one video. Precision is the share of right
pairs; recall, for each kind, the share of its copies that are in a group with their video or
another copy of it; of joined ones the share of their two halves that are. Then the best of each
group by video is proposed, applied and undone: told is how often the longest file, and of equals
the largest picture, was kept, and whether all was as before; and for each way to choose how many
files are dropped, and of how many of them more than half a second is not in the file that is kept
beside them.
Files in a folder called `near_duplicates` are left out.
"""

from __future__ import annotations

import itertools
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import av
import av.error
import numpy as np
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream
from changes import MIRRORED, TRIMMED_SECONDS, frames_as_shown, write_copy
from command import run
from copies import find_originals

import vidx
from vidx.embedder.decoding.container import opened
from vidx.options import EmbedOptions
from vidx.records import VideoInfo

VIDEOS = 50
SECONDS = 6.5  # of a copy, at most
LEAST_SECONDS = 2.5  # of a video that copies are made of: a whole clip
JOINED, TRIMMED = "joined", "trimmed"
KINDS = ("re-encoded", "resized", TRIMMED, "cropped", MIRRORED)
RATE = 25
LEAST_LOST_SECONDS = 0.5  # a file of which more goes is dropped wrongly
WAYS = ("longest", "highest-resolution", "first")

Owners = dict[str, set[int]]  # by path, the numbers of the videos that it shows
Shown = dict[str, dict[int, tuple[float, float]]]  # likewise, from when to when, in seconds


def measure(model: str, folders: Sequence[Path], device: str | None) -> dict[str, Any]:
    """Plant copies and look for them; ready for JSON."""
    options = EmbedOptions(model=model, device=device)
    with (
        tempfile.TemporaryDirectory() as folder,
        vidx.open(Path(folder) / "collection", create=True) as collection,
    ):
        originals = _chosen(collection, find_originals(folders), options)
        owners: Owners = {path: {number} for number, path in enumerate(originals)}
        kinds = _plant(collection, originals, Path(folder), owners)
        report = collection.embed(list(kinds), options)
        if report.failed:  # what is not embedded cannot be found
            raise SystemExit(f"{report.failed} copies failed: {collection.failures().to_pylist()}")
        found = judged(collection, owners, kinds)
    return {"model": model, "videos": len(originals), "copies": len(kinds), **found}


def _chosen(collection: vidx.Collection, paths: Sequence[Path], options: EmbedOptions) -> list[str]:
    """Some videos that are long enough, embedded; the others are not in the collection."""
    order = np.random.default_rng(0).permutation(len(paths))
    collection.embed([paths[place] for place in order[: 2 * VIDEOS].tolist()], options)
    lengths = {row["path"]: row["duration_seconds"] for row in collection.videos().to_pylist()}
    drawn = [str(paths[place].absolute()) for place in order.tolist()]
    chosen = [path for path in drawn if lengths.get(path, 0) >= LEAST_SECONDS][:VIDEOS]
    if others := sorted(lengths.keys() - set(chosen)):
        collection.remove(others)
    return chosen


def _plant(
    collection: vidx.Collection, originals: list[str], folder: Path, owners: Owners
) -> dict[str, str]:
    """Make copies; their kinds by path."""
    rows = {row["path"]: row for row in collection.videos().to_pylist()}
    kinds: dict[str, str] = {}
    good: dict[int, Path] = {}
    for number, original in enumerate(originals):
        info = _info(rows[original])
        for kind in KINDS:
            path = folder / f"{number}-{kind}.mp4"
            try:
                write_copy(Path(original), info, kind, path, SECONDS)
            except av.error.FFmpegError as error:
                print(f"{original}: no copy was made: {error}")
                path.unlink(missing_ok=True)
                continue
            kinds[str(path)], owners[str(path)] = kind, {number}
            if kind == "resized":
                good[number] = path
    numbers = sorted(good)
    for one, two in zip(numbers, numbers[1:] + numbers[:1], strict=True):
        path = folder / f"{one}-{JOINED}.mp4"
        join([good[one], good[two]], path)
        kinds[str(path)], owners[str(path)] = JOINED, {one, two}
    return kinds


def _info(row: dict[str, Any]) -> VideoInfo:
    names = VideoInfo.__dataclass_fields__
    return VideoInfo(**{**{name: row[name] for name in names}, "notes": tuple(row["notes"])})


def join(parts: Sequence[Path], target: Path) -> None:
    """Write one video after the other, all at the size of the first one."""
    with av.open(str(target), "w") as after:
        stream: VideoStream | None = None
        for number, picture in enumerate(_pictures(parts)):
            if stream is None:
                stream = cast("VideoStream", after.add_stream("libx264", rate=RATE))
                stream.width, stream.height = picture.width, picture.height
                stream.pix_fmt = "yuv420p"
                stream.options = {"preset": "ultrafast", "crf": "18"}
            same = picture.reformat(stream.width, stream.height, "yuv420p")
            same.pts, same.time_base = number, 1 / stream.average_rate
            same.pict_type = PictureType.NONE
            after.mux(stream.encode(same))
        if stream:
            after.mux(stream.encode(None))


def _pictures(parts: Sequence[Path]) -> Iterator[VideoFrame]:
    """Those of several videos, at `RATE`: the one that is shown at each time."""
    for path in parts:
        with opened(str(path)) as media:
            shown, number = None, 0
            for frame in frames_as_shown(media.container, media.container.streams.video[0]):
                while shown is not None and number / RATE < frame.time:
                    yield shown
                    number += 1
                shown = frame
            if shown is not None:
                yield shown


def judged(collection: vidx.Collection, owners: Owners, kinds: dict[str, str]) -> dict[str, Any]:
    """What was found, and what a proposal made of it."""
    found = {by: collection.duplicates(by=by) for by in ("clip", "video", "segment")}
    told = {by: _told(table.to_pylist(), owners, kinds) for by, table in found.items()}
    shown = _shown(collection, owners, kinds)
    lost = {keep: _lost(collection.propose(found["video"], keep), shown) for keep in WAYS}
    before = collection.clips(), collection.videos()
    proposal = collection.propose(found["video"])
    report = proposal.apply()
    dropped = before[1].num_rows - collection.videos().num_rows
    collection.undo(report.commit)
    return {
        **told,
        "lost": lost,
        "kept_best": _kept_best(proposal),
        "dropped": dropped,
        "undone": (collection.clips(), collection.videos()) == before,
    }


def _told(rows: list[dict[str, Any]], owners: Owners, kinds: dict[str, str]) -> dict[str, Any]:
    """How right groups are."""
    groups = defaultdict(set)
    for row in rows:
        groups[row["group"]].add(row["path"])
    pairs = {pair for one in groups.values() for pair in itertools.combinations(sorted(one), 2)}
    right = {pair for pair in pairs if owners[pair[0]] & owners[pair[1]]}
    met: dict[str, set[int]] = defaultdict(set)
    for one, two in right:
        both = owners[one] & owners[two]
        met[one] |= both
        met[two] |= both
    recall = {
        kind: float(np.mean([len(met[path]) / len(owners[path]) for path, own in kinds.items()
                             if own == kind]))
        for kind in (*KINDS, JOINED)
        if kind in kinds.values()
    }  # fmt: skip
    return {"pairs": len(pairs), "precision": len(right) / max(len(pairs), 1), "recall": recall}


def _kept_best(proposal: vidx.Proposal) -> float:
    """In which share of groups the longest, and of equals the one with most pixels, is kept."""
    groups = defaultdict(list)
    for row in proposal.table.to_pylist():
        worth = round(row["duration_seconds"], 1), row["width"] * row["height"]
        groups[row["group"]].append((row["action"] == "keep", worth))
    best = [max(worth for _, worth in one) for one in groups.values()]
    kept = [[worth for keep, worth in one if keep] for one in groups.values()]
    return float(np.mean([top in one for one, top in zip(kept, best, strict=True)] or [1]))


def _shown(collection: vidx.Collection, owners: Owners, kinds: dict[str, str]) -> Shown:
    """Which spans of the planted videos each file shows."""
    lengths = {row["path"]: row["duration_seconds"] for row in collection.videos().to_pylist()}
    originals = {number: lengths[path] for path, own in owners.items() if path not in kinds
                 for number in own}  # fmt: skip
    shown: Shown = {}
    for path, own in owners.items():
        start = TRIMMED_SECONDS if kinds.get(path) == TRIMMED else 0.0
        for number in own:
            joined = min(SECONDS, originals[number])
            length = joined if kinds.get(path) == JOINED else lengths[path]
            shown.setdefault(path, {})[number] = start, start + length
    return shown


def _lost(proposal: vidx.Proposal, shown: Shown) -> dict[str, float]:
    """How many files are dropped, of how many more goes than may, and how much of all."""
    drops = [row for row in proposal.table.to_pylist() if row["action"] == "drop"]
    lost = [_lost_seconds(shown[row["path"]], shown[row["beside"]]) for row in drops]
    wrongly = sum(seconds > LEAST_LOST_SECONDS for seconds in lost)
    return {"dropped": len(drops), "not_shown": wrongly, "seconds": round(sum(lost), 1)}


def _lost_seconds(
    dropped: dict[int, tuple[float, float]], kept: dict[int, tuple[float, float]]
) -> float:
    """How much of what one file shows another one does not."""
    lost = 0.0
    for number, (start, end) in dropped.items():
        other_start, other_end = kept.get(number, (end, end))
        lost += end - start - max(0.0, min(end, other_end) - max(start, other_start))
    return lost


def table(result: dict[str, Any]) -> str:
    """The results to read."""
    lines = [f"{result['model']}: {result['videos']} videos, {result['copies']} copies"]
    names = list(result["clip"]["recall"])
    lines.append("by         pairs  precise" + "".join(f"{name:>12}" for name in names))
    for by in ("clip", "video", "segment"):
        found = result[by]
        cells = "".join(f"{share:>12.1%}" for share in found["recall"].values())
        lines.append(f"{by:8} {found['pairs']:7} {found['precision']:8.1%}{cells}")
    lines.append(
        f"of groups by video the best is kept in {result['kept_best']:.1%}, {result['dropped']} "
        f"videos are dropped, and undone {'all is' if result['undone'] else 'NOT all is'} as before"
    )
    lines += [
        f"keep {keep}: of {told['not_shown']} of {told['dropped']} dropped files more than "
        f"{LEAST_LOST_SECONDS} s is not in the one that is kept; of all, {told['seconds']} s"
        for keep, told in result["lost"].items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    run(Path(__file__).name, __doc__, measure, table)
