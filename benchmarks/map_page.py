"""How smoothly the map of the page moves in a browser without a window.

    python benchmarks/map_page.py [--points 100000] [--seconds 5] [--out FILE]

Chromium opens the page of a real server, whose map is answered with points that are drawn at random
here. They are panned to and fro, at each frame; the times of frames are those that
`requestAnimationFrame` tells. It draws as it does without a graphics card, on the processor.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from command import circumstances
from drawn_collections import fill, labelled
from drawn_vectors import CLIPS_A_VIDEO, blocks
from serve import Service

import vidx
from vidx.curating.points import Points
from vidx.service.answering import points_told

if TYPE_CHECKING:
    from playwright.sync_api import Page

WIDTH, HEIGHT = 1280, 800
PATIENCE_MILLISECONDS = 180_000
WARM_SECONDS = 2.0  # in which the page finds how many points a frame has time for
KINDS = 8
CLIPS, DIM = 64, 16  # of the server's own collection, which is not shown

# Panning by the arrow keys, a step a frame; the times of frames, in milliseconds.
PAN = """(seconds) => new Promise((resolve) => {
    const canvas = document.querySelector("canvas.map");
    const times = [];
    const step = (now) => {
        times.push(now);
        const key = Math.floor(times.length / 4) % 2 ? "ArrowLeft" : "ArrowRight";
        canvas.dispatchEvent(new KeyboardEvent("keydown", { key, cancelable: true }));
        if (now - times[0] < 1000 * seconds) requestAnimationFrame(step);
        else resolve(times);
    };
    requestAnimationFrame(step);
})"""

Result = dict[str, Any]


def drawn_points(count: int) -> bytes:
    """A map of so many clips in some heaps, as the service sends it."""
    random = np.random.default_rng(0)
    colours = random.integers(0, KINDS, count).astype(np.uint16)
    places = random.standard_normal((KINDS, 2))[colours]
    places += 0.2 * random.standard_normal((count, 2))
    names = [f"kind {number}" for number in range(KINDS)]
    return points_told(Points(np.arange(count), places.astype(np.float32), colours, names))


def opened(page: Page, url: str, points: int) -> None:
    """Open the map, and wait until it is drawn."""
    content, kind = drawn_points(points), "application/octet-stream"
    page.set_default_timeout(PATIENCE_MILLISECONDS)
    page.route("**/v1/map/points?*", lambda one: one.fulfill(body=content, content_type=kind))
    page.goto(f"{url}/#map")
    page.wait_for_selector(".legend")
    page.get_by_text(f"{points:,} clips.").wait_for()


def panned(page: Page, seconds: float) -> Result:
    """What panning for so long gives."""
    page.evaluate(PAN, WARM_SECONDS)
    took = np.diff(page.evaluate(PAN, seconds))
    p50, p99 = np.percentile(took, [50, 99]).tolist()
    return {
        "frames": len(took),
        "frames_a_second": 1e3 * len(took) / float(took.sum()),
        "frame_ms_p50": p50,
        "frame_ms_p99": p99,
        "frame_ms_longest": float(took.max()),
    }


def measured(folder: Path, points: int, seconds: float) -> Result:
    """All of it, in a browser and with a server that end with it."""
    from playwright.sync_api import sync_playwright  # of the extra `browser`

    path = os.environ.get("VIDX_TEST_CHROMIUM") or shutil.which("chromium")
    if path is None:
        raise SystemExit("no chromium: install it, or set VIDX_TEST_CHROMIUM to its path")
    service = Service(folder)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path)
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
            opened(page, f"http://127.0.0.1:{service.port}", points)
            found = {
                "chromium": browser.version,
                "points": points,
                "width": WIDTH,
                "height": HEIGHT,
            }
            found |= panned(page, seconds)
            browser.close()
    finally:
        service.process.terminate()
        service.process.wait()
    return found


def main() -> None:
    """Parse, make a collection to serve, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "collection"
        fill(folder, labelled(blocks(0, CLIPS, DIM), 0, CLIPS_A_VIDEO), DIM)
        with vidx.open(folder) as collection:
            collection.index()
        result = measured(folder, options.points, options.seconds)
    print(f"{result['frames_a_second']:.1f} frames a second with {result['points']:,} points")
    if options.out:
        record = {**circumstances("map_page.py"), **result}
        options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
