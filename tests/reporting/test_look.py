"""The page of `vidx report` in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import vidx

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

BACKGROUND = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]"


@pytest.fixture
def page_file(embedded: Path, tmp_path: Path) -> Path:
    collection = vidx.open(embedded)
    videos = [row["path"] for row in collection.videos().to_pylist()]
    split = ["test" if number % 2 else "train" for number in range(len(videos))]
    collection.set_metadata({"path": videos, "split": split})
    collection.report(tmp_path / "page.html")
    return tmp_path / "page.html"


@pytest.fixture
def asked() -> list[str]:
    """All that the browser asked for."""
    return []


def opened(browser: Browser, file: Path, asked: list[str], **options: object) -> Page:
    page = browser.new_context(**options).new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_it(browser: Browser, page_file: Path, asked, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe").Axe()
    page = opened(browser, page_file, asked, color_scheme=scheme)
    assert (page.evaluate(BACKGROUND) < 100) == (scheme == "dark")
    shown = "[...document.images].every((one) => one.complete && one.naturalWidth)"
    assert page.locator("img").count()
    assert page.evaluate(shown)
    found = axe.run(page).response["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []
    assert [url for url in asked if not url.startswith("data:")] == [page_file.as_uri()]


def test_it_fits_a_phone_and_paper(browser: Browser, page_file: Path, asked) -> None:
    page = opened(browser, page_file, asked, viewport={"width": 360, "height": 700})
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not page.evaluate(wide)
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(BACKGROUND) == 255
    assert page.pdf(format="A4").startswith(b"%PDF")
