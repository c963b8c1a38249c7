"""`report`: what there is to say of some clips, as one page to send to a colleague."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vidx.durable import replacing
from vidx.errors import UsageError, VidxError
from vidx.records import HtmlReport, IndexProgress, ReportProgress
from vidx.reporting import findings, whole
from vidx.reporting.document import Chapter, Page
from vidx.reporting.matter import Matter
from vidx.reporting.page import rendered
from vidx.reporting.pictures import MOST_MESSAGE, Pictures, PictureSource, pictures, sources_of
from vidx.store.footage import footage
from vidx.store.staging import now

if TYPE_CHECKING:
    from vidx.curating.part import Part

ENDINGS = (".html", ".htm")
MOST_BYTES = 10_000_000  # of a page: what most mail takes

Progress = Callable[[ReportProgress], None]

_CHAPTERS: dict[str, tuple[str, Callable[[Matter], Chapter]]] = {
    "failures": ("Failures", whole.of_failures),
    "duplicates": ("Duplicates", findings.of_duplicates),
    "leakage": ("Leakage across splits", findings.of_leakage),
    "labels": ("Label balance", findings.of_labels),
    "clusters": ("Clusters", findings.of_clusters),
    "quality": ("Quality", findings.of_quality),
    "outliers": ("Unusual clips", findings.of_outliers),
}


@dataclass(frozen=True)
class Asked:
    """What a report is to be about.

    Attributes:
        path: The file.
        column: Of metadata, with the split of each video or clip. None: `split`, if there is one.
        told: How the clips were selected.
        where: The expression by which they were, if it was one.
        folder: The collection's.
    """

    path: Path
    column: str | None
    told: str
    where: str | None
    folder: Path

    def arguments(self) -> list[str]:
        """The command that makes the same page again."""
        where = ["--where", self.where] if self.where is not None else []
        split = ["--split", self.column] if self.column is not None else []
        return ["vidx", "report", "--html", self.path.name, *where, *split]


def report(
    look: Callable[[], AbstractContextManager[Part]], asked: Asked, progress: Progress
) -> HtmlReport:
    """Ask all, then make the pictures, then write the file in one step.

    Args:
        look: Gives the clips, of which there may be none. All is asked of that one state; pictures
            are made when it is let go.
        asked: What it is to be about.
        progress: Called with each step.

    Raises:
        UsageError: The file is a folder or in none, a file of another kind is there, or there is no
            such column.
        VidxError: It cannot be written.
    """
    _check_place(asked.path)
    with look() as part:
        page = _page(Matter(part, asked.column, partial(_heard, progress)), asked, progress)
        uses = Counter(shot.clip_id for shot in page.shots() if shot.clip_id is not None)
        clips = sources_of(part.catalogue, [footage(part.catalogue, one) for one in uses])
    made = _pictures(page, clips, uses, progress)
    content = rendered(page, made).encode("utf-8", "replace")
    _write(asked.path, content)
    return HtmlReport(
        str(asked.path), len(content), len(made.uris), len(made.problems), made.num_left_out
    )


def _page(matter: Matter, asked: Asked, progress: Progress) -> Page:
    chapters = []
    _ = matter.split  # a column that is not there is told before anything takes long
    for number, (name, (title, make)) in enumerate(_CHAPTERS.items()):
        progress(ReportProgress(name, number, len(_CHAPTERS)))
        chapters.append(_chapter(matter, name, title, make))
    name = asked.folder.parent.name if asked.folder.name == ".vidx" else asked.folder.name
    return Page(
        title=f"Videos of {name or asked.folder}",
        subtitle=f"{asked.told}, as of {now()[:16].replace('T', ' ')} UTC.",
        facts=whole.facts(matter),
        chapters=(*chapters, whole.of_making(matter, asked.told, asked.arguments())),
    )


def _chapter(matter: Matter, name: str, title: str, make: Callable[[Matter], Chapter]) -> Chapter:
    """A chapter, or a line that says why the question cannot be asked of these clips."""
    if name != "failures" and not len(matter.part):
        return Chapter(name, title, "There are no clips to ask about.")
    try:
        return make(matter)
    except UsageError as error:
        return Chapter(name, title, f"Nothing to tell: {error.problem}.")


def _pictures(
    page: Page, clips: list[PictureSource], uses: Counter[int], progress: Progress
) -> Pictures:
    """As many as there is room for beside the text."""
    nothing = Pictures({}, {clip.footage.clip_id: "&" * MOST_MESSAGE for clip in clips})
    room = MOST_BYTES - len(rendered(page, nothing).encode("utf-8", "replace"))
    return pictures(
        clips, uses, room, lambda done, total: progress(ReportProgress("pictures", done, total))
    )


def _heard(progress: Progress, step: IndexProgress) -> None:
    progress(ReportProgress(f"{step.stage} for {step.likeness!r}", step.done, step.total))


def _check_place(path: Path) -> None:
    """Say that a file cannot be before minutes are spent on what it would hold."""
    folder = path.absolute().parent
    if path.is_dir():
        raise UsageError(f"{path} is a folder", "Name a file, such as report.html.")
    if path.suffix.lower() not in ENDINGS and path.exists():
        raise UsageError(
            f"{str(path)!r} is there, and by its name no HTML file",
            "Choose another name, such as one that ends in .html.",
        )
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}", "Make it, or name a file elsewhere.")
    if not os.access(folder, os.W_OK):
        raise VidxError(f"{path} cannot be written: no right to", "Choose another place.")


def _write(path: Path, content: bytes) -> None:
    try:
        with replacing(path) as file:
            file.write(content)
    except OSError as error:
        raise VidxError(f"{path} cannot be written: {error}", "Choose another place.") from error
