"""Make docs/images/page.png: the page of `vidx serve`, on the demo's videos.

    make demo && .venv/bin/python docs/picture.py

It needs vidx[serve,browser] and Chromium.
"""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

from playwright.sync_api import sync_playwright

import vidx
from vidx.service.server import Server, bound, url_of
from vidx.service.settings import Settings

DEMO = Path("build/demo")
IMAGE = Path(__file__).parent / "images/page.png"
PICTURES_ARE_THERE = """() => {
    const images = [...document.querySelectorAll(".card img")];
    return images.length && images.every((one) => one.complete && one.naturalWidth);
}"""


def main() -> None:
    """Serve the demo's collection, search for its query, and keep what is seen."""
    settings = Settings(port=0)
    listener, up = bound(settings), threading.Event()
    server = Server(vidx.open(DEMO / "collection"), settings, listener, up.set)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        up.wait()
        take(url_of(listener, settings))
    finally:
        server.stop()
        thread.join()


def take(url: str) -> None:
    """Search in the page at a URL, and keep a picture of the hits."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page(viewport={"width": 1180, "height": 660})
        page.goto(url)
        page.set_input_files("input[type=file]", DEMO / "query.mp4")
        page.wait_for_selector(".score")
        page.wait_for_selector("#notices p", state="detached")
        page.wait_for_function(PICTURES_ARE_THERE)
        page.screenshot(path=IMAGE)
        browser.close()


if __name__ == "__main__":
    main()
