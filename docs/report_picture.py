"""Make docs/images/report.png: the page of `vidx report`, on made videos.

    .venv/bin/python docs/report_picture.py

It needs vidx[browser] and Chromium.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import sync_playwright

import vidx

RAW = Path(__file__).parent.parent / "examples/raw_folder.py"
IMAGE = Path(__file__).parent / "images/report.png"


def main() -> None:
    """Make a raw folder, embed it, write its page, and keep what is seen of that."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "motions"
        subprocess.run([sys.executable, RAW, folder], check=True)
        with vidx.open(folder / ".vidx", create=True) as collection:
            collection.embed(folder, vidx.EmbedOptions(model="builtin:tiny", workers=1))
            collection.set_metadata(folder / "about.csv")
            collection.report(folder / "report.html")
        take(folder / "report.html")


def take(file: Path) -> None:
    """Keep a picture of the begin of a page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page(viewport={"width": 1180, "height": 1500}, color_scheme="light")
        page.goto(file.as_uri())
        page.screenshot(path=IMAGE)
        browser.close()


if __name__ == "__main__":
    main()
