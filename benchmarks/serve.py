"""What `vidx serve` answers, and how quickly, beside the same searches in process.

    python benchmarks/serve.py [--clips 100000] [--dim 768] [--seconds 10] [--folder KEPT]
        [--rates 10 25 50 100 200 400] [--out FILE]

Searches for stored clips by id. The load is open-loop: each request has its time, whatever became
of those before, and its latency counts from that time on. The generator runs on the same cores. At
the end the server is killed under load and started again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from command import circumstances
from drawn_collections import fill, labelled
from drawn_vectors import CLIPS_A_VIDEO, blocks

import vidx

K = 10
IN_PROCESS = 200  # searches
MOST_CONNECTIONS = 256
HELD_MS = 1000.0  # a rate whose p99 is longer is not held

Result = dict[str, Any]


class Service:
    """`vidx serve` in a process of its own."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "vidx", "serve", "--port", "0", "--collection"]
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [*command, str(folder)], stderr=subprocess.PIPE, text=True, env=os.environ
        )
        line = self.process.stderr.readline() if self.process.stderr else ""
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
        if not found:
            raise SystemExit(f"the server does not start: {line}")
        self.port = int(found[1])
        vidx.Client(f"http://127.0.0.1:{self.port}").search_by_id(0, 1)
        self.ready_seconds = time.perf_counter() - began

    def memory_mb(self, name: str = "VmRSS") -> float:
        """What is resident; `RssAnon`: of its own."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith(name))


class Load:
    """Requests at their times, over connections that are kept.

    Args:
        port: Of the server.
        clips: Ids that are asked for are below it.
        paths: What is asked in turns, with a place for an id.
    """

    def __init__(
        self, port: int, clips: int, paths: Sequence[str] = (f"/v1/clips/{{}}/similar?k={K}",)
    ) -> None:
        self.port = port
        self.clips = clips
        self.paths = paths
        self.idle: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = deque()
        self.room = asyncio.Semaphore(MOST_CONNECTIONS)
        self.random = np.random.default_rng(0)

    async def at(self, rate: float, seconds: float) -> Result:
        """So many requests a second, for so long."""
        loop, count = asyncio.get_running_loop(), max(1, round(rate * seconds))
        ids = self.random.integers(0, self.clips, count).tolist()
        began, tasks = loop.time() + 0.1, []
        for number, clip_id in enumerate(ids):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - loop.time()))
            tasks.append(
                loop.create_task(
                    self.ask(self.paths[number % len(self.paths)].format(clip_id), due)
                )
            )
        answers = await asyncio.gather(*tasks)
        taken = loop.time() - began
        p50, p99 = np.percentile([late for _, late in answers], [50, 99]).tolist()
        return {
            "rate": rate,
            "answered_a_second": count / taken,
            "statuses": dict(Counter(str(status) for status, _ in answers)),
            "p50_ms": 1e3 * p50,
            "p99_ms": 1e3 * p99,
        }

    async def ask(self, path: str, due: float) -> tuple[int, float]:
        """One request: its status, 0 where there was none, and seconds since it was due."""
        async with self.room:
            try:
                status = await self.answered(path)
            except (OSError, EOFError, ValueError) as error:
                print(f"{path}: {error!r}", file=sys.stderr)
                status = 0
        return status, asyncio.get_running_loop().time() - due

    async def answered(self, path: str) -> int:
        """Send a request, and read the whole answer."""
        while self.idle:
            connection = self.idle.pop()
            if not connection[0].at_eof():  # the server ends those that were idle for seconds
                break
        else:
            connection = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = connection
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        await reader.readexactly(int(length[1]) if length else 0)
        self.idle.append(connection)
        return int(head.split(b" ", 2)[1])


def in_process(folder: Path, clips: int, pause_seconds: float) -> Result:
    """The same searches without a server, one after the other, with pauses or without.

    After a pause a search finds the processor's caches cold, as each request of a slow rate does.
    """
    ids = np.random.default_rng(1).integers(0, clips, IN_PROCESS).tolist()
    times = []
    with vidx.open(folder) as collection:
        for clip_id in [*ids[:20], *ids]:
            time.sleep(pause_seconds)
            began = time.perf_counter()
            collection.search_by_id(clip_id, K)
            times.append(time.perf_counter() - began)
    p50, p99 = np.percentile(times[20:], [50, 99]).tolist()
    return {"p50_ms": 1e3 * p50, "p99_ms": 1e3 * p99}


def measured(folder: Path, clips: int, rates: list[float], seconds: float) -> Result:
    """All of it, of one collection."""
    alone, paced = in_process(folder, clips, 0.0), in_process(folder, clips, 1 / rates[0])
    service = Service(folder)
    steps = asyncio.run(_steps(service, clips, rates, seconds))
    memory = service.memory_mb()
    asyncio.run(_killed(service, clips))
    again = Service(folder)
    again.process.terminate()
    held = [one["rate"] for one in steps if _is_held(one)]
    return {
        "clips": clips,
        "in_process": alone,
        "in_process_at_first_rate": paced,
        "ready_seconds": service.ready_seconds,
        "ready_again_seconds": again.ready_seconds,
        "memory_mb": memory,
        "steps": steps,
        "highest_rate_held": max(held, default=None),
        "overhead_p50_ms": steps[0]["p50_ms"] - paced["p50_ms"],
    }


def _is_held(step: Result) -> bool:
    in_time = step["p99_ms"] <= HELD_MS and step["answered_a_second"] >= 0.95 * step["rate"]
    return in_time and set(step["statuses"]) == {"200"}


async def _steps(service: Service, clips: int, rates: list[float], seconds: float) -> list[Result]:
    load = Load(service.port, clips)
    await load.at(rates[0], 2.0)  # warm
    found = []
    for rate in rates:
        found.append(await load.at(rate, seconds))
        print(json.dumps(found[-1]), file=sys.stderr)
        if not _is_held(found[-1]):
            break
    return found


async def _killed(service: Service, clips: int) -> None:
    """Kill the server while it answers."""
    load = Load(service.port, clips)
    asking = asyncio.create_task(load.at(50, 2.0))
    await asyncio.sleep(1.0)
    service.process.kill()
    await asking
    service.process.wait()


def make_if_missing(folder: Path, clips: int, dim: int) -> None:
    """A collection of so many drawn clips, with its index."""
    if folder.exists():
        return
    fill(folder, labelled(blocks(0, clips, dim), 0, CLIPS_A_VIDEO), dim)
    with vidx.open(folder) as collection:
        collection.index()


def main() -> None:
    """Parse, make the collection, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clips", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rates", type=float, nargs="+", default=[10, 25, 50, 100, 200, 400, 800])
    parser.add_argument("--folder", type=Path, help="A collection that stays; made if need be.")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary) / "collection"
        make_if_missing(folder, options.clips, options.dim)
        result = measured(folder, options.clips, options.rates, options.seconds)
    told = {**circumstances("serve.py"), "dim": options.dim, "k": K, **result}
    text = json.dumps(told, indent=2)
    print(text)
    if options.out:
        options.out.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
