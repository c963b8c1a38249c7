"""The page's files, as the server sends them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from vidx.service.app import PAGE

NAMES = sorted(path.name for path in PAGE.iterdir())
TYPES = {"js": "text/javascript", "css": "text/css", "html": "text/html", "svg": "image/svg+xml"}


@pytest.mark.parametrize("name", NAMES)
def test_each_file_is_sent_as_what_it_is(service: Any, name: str) -> None:
    answer = service.ask(f"/{name}")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith(TYPES[name.rsplit(".", 1)[1]])
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("name", NAMES)
def test_no_file_names_another_server(name: str) -> None:
    text = (PAGE / name).read_text(encoding="utf-8")
    named = re.findall(r"(?:https?:)?//[\w.-]+\.\w+", text)
    assert [url for url in named if url != "http://www.w3.org"] == []


def test_what_modules_import_is_there() -> None:
    for module in PAGE.glob("*.js"):
        text = module.read_text(encoding="utf-8")
        for names, other in re.findall(r'import (.+?) from "\./([^"]+)"', text, re.DOTALL):
            there = (PAGE / other).read_text(encoding="utf-8")
            for name in re.findall(r"\w+", names.replace("* as api", "")):
                exported = rf"export (async )?(function|const|class|let) {name}\b"
                assert re.search(exported, there), f"{module.name}: {name} of {other}"


def test_the_page_has_no_script_or_style_of_its_own() -> None:
    text = (PAGE / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<style| style=| on\w+=", text) == []
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text))
