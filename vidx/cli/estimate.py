"""What a dry run prints, and what it has in common with a run's own report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from vidx.cli.render import print_table, shown_path
from vidx.collection import Collection
from vidx.estimates import EmbedEstimate
from vidx.words import count, in_words, printable

if TYPE_CHECKING:
    from vidx.records import PassedOver, RefusedRow

SHOWN_FAILURES = 10
FAILED = ("failed", "failed_before")
# What can become of a file, as a report counts it.
COUNTS = ("embedded", "partial", "unchanged", "duplicate", "moved", "failed", "failed_before")
# The others are counted under their own names.
_COUNTED_AS = {
    "embed": "embedded",
    "twin": "duplicate",
    "touched": "unchanged",
}
BESIDES = ("passed_over", "gone", "refused")  # not looked at


def estimate_as_json(
    collection: Collection, estimate: EmbedEstimate, seconds: float
) -> dict[str, Any]:
    """What a run's JSON tells, of what would be done, with each file, and what it would take."""
    findings, left = estimate.findings, estimate.embed_seconds
    counted = Counter(_COUNTED_AS.get(one.status.value, one.status.value) for one in findings)
    return {
        "num_files": sum(counted[name] for name in COUNTS),
        **{name: counted[name] for name in COUNTS},
        "num_passed_over": counted["passed_over"],
        "gone": counted["gone"],
        "num_clips": estimate.num_clips,
        "seconds": round(seconds, 3),
        "clips_per_second": _rounded(estimate.clips_per_second),
        "video_seconds": round(estimate.video_seconds, 3),
        "video_hours_per_hour": _rounded(estimate.video_seconds / left if left else None),
        "busy": None,
        "bottleneck": None,
        "collection": str(collection.path),
        "commit": None,
        "removal": None,
        "num_values": None,
        "num_without_preview": None,
        "refused_rows": [one.row._asdict() for one in findings if one.row],
        "dry_run": True,
        "findings": [
            {"path": one.source.path, "status": one.status.value}
            for one in findings
            if one.row is None
        ],
        "estimate": {
            "num_to_embed": estimate.num_to_embed,
            "num_probed": estimate.num_probed,
            "embed_seconds": _rounded(left),
            "no_rate": estimate.no_rate,
            "disk_bytes": estimate.disk_bytes,
            "problems": [
                {"path": path, "reason": problem.reason, "message": problem.message}
                for path, problem in estimate.problems
            ],
        },
    }


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 3)


def print_estimate(estimate: EmbedEstimate) -> None:
    """What `embed` would do, and what it would take."""
    from vidx.records import PassedOver

    findings = estimate.findings
    cells = [(one.status.value, shown_path(one.source.path)) for one in findings if one.row is None]
    print_table(("status", "path"), cells)
    if estimate.num_to_embed:
        _tell_effort(estimate)
    statuses = Counter(one.status.value for one in findings if one.status not in BESIDES)
    click.echo(", ".join(f"{number} {status}" for status, number in sorted(statuses.items())))
    others = (one.source.path for one in findings if one.status == "passed_over")
    tell_passed_over(PassedOver(tuple(others)))
    tell_gone(sum(one.status == "gone" for one in findings))
    tell_refused([one.row for one in findings if one.row])


def _tell_effort(estimate: EmbedEstimate) -> None:
    """Clips, time, bytes, and what cannot be decoded."""
    about, left = "about " if estimate.is_sampled else "", estimate.embed_seconds
    hours = f"{estimate.video_seconds / 3600:.2f} hours of video"
    files = count(estimate.num_to_embed, "file")
    clips = count(estimate.num_clips, "clip")
    click.echo(f"To embed: {files}, {about}{hours}, {about}{clips}, by their headers.")
    if estimate.is_sampled:
        click.echo(f"{estimate.num_probed} of the files were opened; the rest is estimated.")
    if estimate.clips_per_second and left is not None:
        rate = f"{estimate.clips_per_second:.1f} clips/s, measured with a few of the files"
        click.echo(f"Time: about {in_words(left)} ({rate}).")
    elif estimate.no_rate:
        click.echo(f"Time: not known, as {printable(estimate.no_rate)}.")
    if estimate.disk_bytes is not None:
        click.echo(f"Disk: about {estimate.disk_bytes / 1e6:,.1f} MB.")
    if estimate.problems:
        click.echo(f"Cannot be decoded: {count(len(estimate.problems), 'file')}.")
        rows = ((problem.reason, path, problem.message) for path, problem in estimate.problems)
        _print_problems(list(rows))


def _print_problems(rows: list[tuple[str, str, str]]) -> None:
    cells = [(reason, shown_path(path), message) for reason, path, message in rows]
    print_table(("reason", "path", "message"), cells[:SHOWN_FAILURES])
    if len(rows) > SHOWN_FAILURES:
        click.echo(f"... and {len(rows) - SHOWN_FAILURES} more: --json lists all.")


def tell_passed_over(files: PassedOver) -> None:
    """Say which videos were not looked at, because of their endings."""
    if files.paths:
        click.echo(printable(str(files)))


def tell_gone(number: int) -> None:
    """Say how many files are no longer there."""
    if number:
        files, them = ("file is", "it") if number == 1 else ("files are", "them")
        click.echo(f"{number} {files} no longer there; take {them} out with --prune.")


def tell_refused(rows: Sequence[RefusedRow]) -> None:
    """Say which rows of manifests were passed over, and why."""
    if rows:
        click.echo(f"Passed over {count(len(rows), 'row')} of manifests:")
    for row in rows[:SHOWN_FAILURES]:
        click.echo(printable(f"  {row.manifest}: row {row.row}: {row.reason}"))
    if len(rows) > SHOWN_FAILURES:
        click.echo(f"... and {len(rows) - SHOWN_FAILURES} more: --json lists all.")
