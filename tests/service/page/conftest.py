"""The page, opened in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PATIENCE_MILLISECONDS = 60_000
SIZE = {"width": 1280, "height": 800}


@pytest.fixture
def asked() -> list[str]:
    """All that the browser asked for."""
    return []


@pytest.fixture
def opened(browser: Browser, served: Any, asked: list[str]) -> Iterator[Callable[..., Page]]:
    """A function that opens the page; at its end nothing went wrong or was asked of others."""
    contexts, wrong = [], []

    def open_page(address: str = "", url: str = "", **options: Any) -> Page:
        context = browser.new_context(**{"viewport": SIZE} | options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MILLISECONDS)
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: "Content Security" in said.text and wrong.append(said.text))
        page.goto(f"{url or served.url}/{address}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong
    local = re.compile(r"(http://127\.0\.0\.1:\d+/|blob:http://127\.0\.0\.1:\d+/|data:)")
    assert asked
    assert [url for url in asked if not local.match(url)] == []
