"""Does a Ray cluster make what one machine makes, whatever dies, and what does it cost?

    python benchmarks/distributed.py VIDEOS... [--videos 300] [--made-seconds 20]
        [--model builtin:tiny] [--nodes 3] [--node-kills 10] [--driver-kills 3] [--rounds 3]
        [--out FILE]

The videos of some folders, and made ones up to the number asked for, are embedded by a plain run
and by the nodes of a cluster on the same cores, in turns; the nodes are there before. Then again on
the cluster, where nodes are killed at random moments and others take their places; where the
driver is killed at random moments, and where it is killed as soon as it commits, and the same
command is given again. Each collection is compared with that of the plain run: clips, vectors,
labels, failures, and what `verify` finds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from command import circumstances

import vidx
from vidx.embedder.decoding.files import find_videos

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from clusters import Cluster, running
from made_videos import _make_video as make_video
from stored_clips import Stored, stored_clips

LOOK_SECONDS = 0.002
COMMIT_SECONDS = 0.05  # that a commit may take
FINE = (0, 3)  # codes of a run that ended: 3, as some file is failed

Result = dict[str, Any]
Moment = Callable[["subprocess.Popen[str]"], None]


def main() -> None:
    """Parse, measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--videos", type=int, default=300)
    parser.add_argument("--made-seconds", type=float, default=20.0)
    parser.add_argument("--model", default="builtin:tiny")
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--node-kills", type=int, default=10)
    parser.add_argument("--driver-kills", type=int, default=3, help="at random, and in commits")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write everything as JSON to this file")
    options = parser.parse_args()
    record = circumstances(Path(__file__).name)
    with tempfile.TemporaryDirectory() as name, running(options.nodes) as cluster:
        bench = Bench(Path(name), options, cluster)
        record["distributed"] = {"nodes": options.nodes, **bench.measure()}
    print(table(record["distributed"]))
    if options.out:
        options.out.write_text(json.dumps(record, indent=1) + "\n")


class Bench:
    """All runs over the same videos.

    Args:
        folder: For made videos and collections.
        options: Of the command line.
        cluster: Whose nodes embed.
    """

    def __init__(self, folder: Path, options: argparse.Namespace, cluster: Cluster) -> None:
        self.folder = folder
        self.options = options
        self.cluster = cluster
        self.chance = np.random.default_rng(0)
        self.paths = [*options.folders, self._make()]
        self.expected = folder / "plain0"

    def _make(self) -> Path:
        """As many videos as are lacking, of one to as many seconds as asked for."""
        there = len(find_videos(self.options.folders).paths)
        made = self.folder / "made"
        made.mkdir()
        for number in range(max(self.options.videos - there, 0)):
            seconds = 1 + (self.options.made_seconds - 1) * (number % 10) / 9
            make_video(made / f"{number:03}.mp4", seed=number, seconds=seconds, size=(320, 240))
        return made

    def measure(self) -> Result:
        """Plain runs and those on the cluster in turns, then what is killed."""
        rounds = [
            {"plain": self.run(f"plain{n}"), "cluster": self.run(f"cluster{n}", *self.on_cluster())}
            for n in range(self.options.rounds)
        ]
        plain, cluster = (
            statistics.median(one[side]["seconds"] for one in rounds)
            for side in ("plain", "cluster")
        )
        return {
            "seconds": {"plain": plain, "cluster": cluster},
            "overhead": cluster / plain - 1,
            "rounds": rounds,
            "undisturbed": self.compared("cluster0"),
            "nodes_killed": self.nodes_killed(cluster),
            "driver_killed": self.driver_killed("driver", self.at_random(cluster)),
            "committer_killed": self.driver_killed("committer", self.as_it_commits),
        }

    def on_cluster(self) -> list[str]:
        """The options that a run on the cluster has besides."""
        return ["--engine", "ray", "--address", self.cluster.address]

    def start(self, name: str, *arguments: str) -> subprocess.Popen[str]:
        """Begin to embed, or go on, with nothing but JSON on standard output."""
        command = [sys.executable, "-m", "vidx", "embed", *map(str, self.paths), "--json"]
        command += ["--model", self.options.model, "--collection", str(self.folder / name)]
        return subprocess.Popen(
            [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def run(self, name: str, *arguments: str) -> Result:
        """One run, from the start of its process to its end."""
        began = time.perf_counter()
        process = self.start(name, *arguments)
        told = json.loads(process.communicate()[0])
        seconds = time.perf_counter() - began
        assert process.returncode in FINE, told
        return {"seconds": seconds, **{key: told[key] for key in ("num_clips", "embedded", "busy")}}

    def nodes_killed(self, expected_seconds: float) -> Result:
        """One run, during which nodes are killed, each followed by another one."""
        over, killed = threading.Event(), []
        moments = [self.chance.uniform(0.05, 0.9) for _ in range(self.options.node_kills)]

        def kill() -> None:
            began = time.monotonic()
            for moment in sorted(moments):
                if over.wait(max(began + moment * expected_seconds - time.monotonic(), 0)):
                    return
                living = self.cluster.living()
                living[self.chance.integers(len(living))].kill()
                killed.append(round(time.monotonic() - began, 1))
                self.cluster.mend(self.options.nodes)

        thread = threading.Thread(target=kill)
        thread.start()
        try:
            found = self.run("nodes", *self.on_cluster())
        finally:
            over.set()
            thread.join()
        return {"killed_at_seconds": killed, **found, **self.compared("nodes")}

    def driver_killed(self, name: str, moment: Moment) -> Result:
        """Runs that are killed, and at last one that is not."""
        kills = 0
        for _ in range(self.options.driver_kills):
            process = self.start(name, *self.on_cluster())
            moment(process)
            kills += process.poll() is None
            process.kill()
            process.communicate()
        found = self.run(name, *self.on_cluster())
        return {"kills": kills, **found, **self.compared(name)}

    def at_random(self, expected_seconds: float) -> Moment:
        """Somewhere in a run."""
        return lambda _: time.sleep(self.chance.uniform(0.1, 0.9) * expected_seconds)

    def as_it_commits(self, process: subprocess.Popen[str]) -> None:
        """As a shard has got its name, before or after the catalogue has it."""
        before = shards(self.folder / "committer")
        while process.poll() is None and shards(self.folder / "committer") <= before:
            time.sleep(LOOK_SECONDS)
        time.sleep(self.chance.uniform(0, COMMIT_SECONDS))

    def compared(self, name: str) -> Result:
        """What differs from the plain run."""
        ours, theirs = (stored_clips(folder) for folder in (self.expected, self.folder / name))
        both = ours.keys() & theirs.keys()
        cosines = [cosine(ours[key].vector, theirs[key].vector) for key in both]
        with vidx.open(self.folder / name) as collection:
            verified = collection.verify()
        return {
            "clips_that_differ": len(ours.keys() ^ theirs.keys()),
            "least_cosine": min(cosines),
            "labels_that_differ": sum(first(ours[key]) != first(theirs[key]) for key in both),
            "failures_that_differ": len(failures(self.expected) ^ failures(self.folder / name)),
            "found_by_verify": len(verified),
        }


def shards(collection: Path) -> set[str]:
    """The names of its shards, finished or not."""
    folders = (collection / "shards", collection / "staging")
    return {path.name for folder in folders for path in folder.rglob("*.parquet")}


def failures(collection: Path) -> set[tuple[str, str]]:
    """Which files failed, and why."""
    with vidx.open(collection) as opened:
        return {(row["path"], row["reason"]) for row in opened.failures().to_pylist()}


def cosine(one: Any, other: Any) -> float:
    """Of two vectors."""
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def first(clip: Stored) -> str | None:
    """Its most probable label."""
    return max(clip.labels, key=clip.labels.__getitem__, default=None)


def table(found: Result) -> str:
    """To read, as Markdown."""
    seconds = found["seconds"]
    lines = [
        f"Plain {seconds['plain']:.1f} s, on {found['nodes']} nodes {seconds['cluster']:.1f} s: "
        f"{found['overhead']:+.1%}.",
        "",
        "| run | kills | clips that differ | least cosine | labels | failures | verify |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in ("undisturbed", "nodes_killed", "driver_killed", "committer_killed"):
        one = found[name]
        kills = len(one["killed_at_seconds"]) if name == "nodes_killed" else one.get("kills", 0)
        cells = [name.replace("_", " "), kills, one["clips_that_differ"]]
        cells += [f"{one['least_cosine']:.7f}", one["labels_that_differ"]]
        cells += [one["failures_that_differ"], one["found_by_verify"]]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
