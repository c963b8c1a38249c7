"""Pieces of HTML. All text is escaped here, and nowhere else."""

from __future__ import annotations

import html
import re

from vidx.reporting.document import Block, Code, Note, Shot, Strip, Table
from vidx.reporting.pictures import Pictures


def text(plain: str) -> str:
    """Text as HTML; what stands between backticks is set as code.

    >>> text("`a` < b")
    '<code>a</code> &lt; b'
    """
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(plain))


def block(one: Block, pictures: Pictures) -> str:
    """A table, strip, paragraph or command."""
    if isinstance(one, Table):
        return table(one)
    if isinstance(one, Strip):
        return strip(one, pictures)
    if isinstance(one, Code):
        return f"<pre><code>{html.escape(one.text)}</code></pre>"
    assert isinstance(one, Note)  # noqa: S101 - for the type checker
    return f'<p class="quiet">{text(one.text)}</p>'


def table(one: Table) -> str:
    """A table, in a box of its own to scroll in where it is wide."""
    heads = "".join(
        f'<th scope="col"{_class(head, one)}>{html.escape(head)}</th>' for head in one.heads
    )
    rows = "".join(
        "<tr>"
        + "".join(_cell(cell, head, one) for cell, head in zip(row, one.heads, strict=True))
        + "</tr>\n"
        for row in one.rows
    )
    body = f"<table><thead><tr>{heads}</tr></thead>\n<tbody>{rows}</tbody></table>"
    label = html.escape(f"Table of {', '.join(one.heads)}")
    return f'<div class="scrolled" role="region" aria-label="{label}" tabindex="0">{body}</div>\n'


def _cell(cell: str | float, head: str, one: Table) -> str:
    if isinstance(cell, float):
        bar = f'<span class="bar" aria-hidden="true"><i style="width:{cell:.1%}"></i></span>'
        return f'<td class="share">{bar}{cell:.1%}</td>'
    return f"<td{_class(head, one)}>{html.escape(cell)}</td>"


def _class(head: str, one: Table) -> str:
    return ' class="right"' if head in one.right else ""


def strip(one: Strip, pictures: Pictures) -> str:
    """Clips side by side below a heading."""
    shots = "".join(figure(shot, pictures) for shot in one.shots)
    return (
        f'<div class="strip"><h3>{html.escape(one.title)}</h3>'
        f'<div class="shots">{shots}</div></div>\n'
    )


def figure(shot: Shot, pictures: Pictures) -> str:
    """A clip's picture, or in its place why there is none, with what is told of it."""
    lines = "".join(f"<span>{html.escape(line)}</span>" for line in shot.lines)
    caption = f"<figcaption>{lines}</figcaption>" if lines else ""
    return f"<figure>{picture(shot.clip_id, pictures)}{caption}</figure>\n"


def picture(clip_id: int | None, pictures: Pictures) -> str:
    """A clip's picture, or in its place why there is none."""
    if clip_id is not None and clip_id in pictures.uris:
        uri = pictures.uris[clip_id]
        return f'<img src="{uri}" alt="Clip {clip_id}">'
    problem = "" if clip_id is None else pictures.problems.get(clip_id, "")
    return f'<div class="none">{html.escape(problem or "no picture")}</div>'
