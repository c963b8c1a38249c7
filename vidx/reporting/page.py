"""A page as one HTML file that needs nothing else: no script, font or picture from elsewhere."""

from __future__ import annotations

import html
from itertools import groupby
from pathlib import Path

from vidx.reporting import elements
from vidx.reporting.document import Block, Chapter, Page, Strip
from vidx.reporting.pictures import Pictures

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def rendered(page: Page, pictures: Pictures) -> str:
    """The whole file, with those pictures that there are."""
    title, style = html.escape(page.title), Path(__file__).with_name("page.css").read_text("utf-8")
    facts = "".join(
        f"<div><dt>{html.escape(what)}</dt><dd>{html.escape(number)}</dd></div>"
        for number, what in page.facts
    )
    links = "".join(
        f'<li><a href="#{one.name}">{html.escape(one.title)}</a></li>' for one in page.chapters
    )
    chapters = "".join(_chapter(one, pictures) for one in page.chapters)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p class="quiet">{elements.text(page.subtitle)}</p>
<dl class="facts">{facts}</dl>
</header>
<nav aria-label="Chapters"><ul>{links}</ul></nav>
<main>
{chapters}</main>
<footer><p>{elements.text(_lacking(page, pictures))}</p></footer>
</body>
</html>
"""


def _chapter(one: Chapter, pictures: Pictures) -> str:
    body = "".join(
        _blocks(list(some), pictures, strips=strips)
        for strips, some in groupby(one.blocks, lambda block: isinstance(block, Strip))
    )
    return (
        f'<section id="{one.name}" aria-labelledby="{one.name}-title">\n'
        f'<h2 id="{one.name}-title">{html.escape(one.title)}</h2>\n'
        f"<p>{elements.text(one.lead)}</p>\n{body}</section>\n"
    )


def _blocks(blocks: list[Block], pictures: Pictures, *, strips: bool) -> str:
    """Strips lie side by side where there is room; all else is one below the other."""
    body = "".join(elements.block(block, pictures) for block in blocks)
    return f'<div class="strips">{body}</div>\n' if strips else body


def _lacking(page: Page, pictures: Pictures) -> str:
    """How many pictures there are, and how many there are not, and why."""
    clips = {shot.clip_id for shot in page.shots() if shot.clip_id is not None}
    told = [f"{len(pictures.uris)} of {len(clips)} clips have a picture."]
    if pictures.problems:
        told.append(f"{len(pictures.problems)} could not be had: their files are gone or changed.")
    if pictures.num_left_out:
        told.append(f"{pictures.num_left_out} were left out, so that the page stays small.")
    return " ".join(told)
