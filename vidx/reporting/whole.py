"""What is told of the collection itself: how much it holds, what failed, and how it was made."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version

from vidx.curating.thresholds import copy_threshold
from vidx.reporting.document import Block, Chapter, Code, Note, Table
from vidx.reporting.matter import Matter
from vidx.store.export import commits_table
from vidx.store.snapshots import listed
from vidx.words import count, in_words, printable

FILES = 40  # that failed, or are partial
COMMITS = 20
MESSAGE = 200  # characters


def facts(matter: Matter) -> tuple[tuple[str, str], ...]:
    """The numbers at the top of a page."""
    seconds = float(matter.videos.column("duration_seconds").to_numpy().sum())
    return (
        (f"{matter.videos.num_rows:,}", "videos"),
        (in_words(seconds), "of video"),
        (f"{len(matter.part):,}", "clips"),
        (f"{len(matter.locations):,}", "files"),
        (f"{len(matter.failures):,}", "not embedded"),
    )


def of_failures(matter: Matter) -> Chapter:
    """Which files could not be embedded, or only a part of them, and why."""
    told = matter.videos.select(["path", "problem_reason", "problem_message"]).to_pylist()
    partial = [video for video in told if video["problem_reason"]]
    lead = (
        f"{count(len(matter.failures), 'file')} of the collection could not be embedded, and "
        f"{count(len(partial), 'video')} only in part."
    )
    troubles = [("failed", one["reason"], one["path"], one["message"]) for one in matter.failures]
    troubles += [
        ("partial", one["problem_reason"], one["path"], one["problem_message"]) for one in partial
    ]
    if not troubles:
        return Chapter("failures", "Failures", "Every file was embedded, and whole.")
    reasons = Counter((what, reason) for what, reason, _, _ in troubles)
    by_reason = Table(
        ("what", "reason", "files", "share"),
        tuple(
            (*which, str(number), number / len(troubles)) for which, number in reasons.most_common()
        ),
        ("files",),
        "share",
    )
    files = Table(
        ("reason", "path", "message"),
        tuple(
            (reason, matter.shown(path), printable(message)[:MESSAGE])
            for _, reason, path, message in troubles[:FILES]
        ),
    )
    left = len(troubles) - FILES
    more: list[Block] = [Note(f"{count(left, 'more file')} not shown.")] if left > 0 else []
    return Chapter("failures", "Failures", lead, (by_reason, files, *more))


def of_making(matter: Matter, told: str, arguments: list[str]) -> Chapter:
    """With which model, versions, options and commands.

    Args:
        matter: Of which clips.
        told: How they were selected.
        arguments: Of the command that makes the same page again.
    """
    catalogue = matter.part.catalogue
    space = catalogue.manifest.space
    rows = [
        ("model", space.source),
        ("fingerprint", space.fingerprint),
        ("sampling", f"{space.num_frames} frames at {space.fps:g} a second"),
        ("vectors", f"{space.dim} dimensions, {count(len(space.labels), 'label')}"),
        ("copies are told from", f"a similarity of {copy_threshold(catalogue.layout.root):g} on"),
        ("collection", catalogue.manifest.uuid),
        ("state", f"commit {matter.part.view.state.commit}"),
        ("clips", told),
        ("files lie in", matter.folder or "several places"),
        ("page made by", f"vidx {version('vidx')}"),
        *(
            ("metadata", f"{one.name}: {one.type}, of {count(one.num_values, one.of)}")
            for one in catalogue.metadata_columns()
        ),
        *(("vectors made with", _values(one.provenance)) for one in catalogue.origins()),
        *(
            ("snapshot", f"{one.name}: {one.rule}, at commit {one.state}")
            for one in listed(catalogue)
        ),
    ]
    blocks = (
        Table(("what", "is"), tuple((head, printable(text)) for head, text in rows)),
        _commits(matter),
        Note("The same page again:"),
        Code(printable(shlex.join(arguments))),
    )
    return Chapter("making", "How it was made", "Model, options, versions and changes.", blocks)


def _commits(matter: Matter) -> Table:
    """What was done, the latest first."""
    rows = commits_table(matter.part.catalogue, COMMITS).to_pylist()
    return Table(
        ("commit", "time (UTC)", "what", "with"),
        tuple(
            (
                str(row["number"]),
                row["time"][:16].replace("T", " "),
                row["verb"],
                printable(_values(json.loads(row["provenance"] or "{}")))[:MESSAGE],
            )
            for row in rows
        ),
        ("commit",),
    )


def _values(told: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in told.items())
