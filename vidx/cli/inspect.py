"""`vidx info`, `vidx videos` and `vidx failures`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from vidx.cli.embed import print_failures
from vidx.cli.index import described
from vidx.cli.options import collection_option, json_option, limit_option, where_option
from vidx.cli.render import print_json, print_table, shown_path
from vidx.collection import open_collection
from vidx.words import clock, count, printable

if TYPE_CHECKING:
    from vidx.records import CollectionInfo, MetadataColumn, Origin


@click.command()
@collection_option
@json_option
def info(collection: str | None, as_json: bool) -> None:
    """Say what the collection holds, and what made its vectors."""
    found = open_collection(collection).info()
    if as_json:
        print_json(asdict(found))
        return
    space = found.space
    rows = [
        ("collection", shown_path(found.path)),
        *((("catalogue", found.catalogue),) if found.catalogue else ()),
        ("videos", f"{found.num_videos} ({found.num_partial} partial)"),
        ("files", str(found.num_locations)),
        ("clips", f"{found.num_clips} in {count(found.num_shards, 'shard')}"),
        *((("repeats", _repeats(found.num_repeats)),) if found.num_repeats else ()),
        *((("previews", _previews(found)),) if found.num_previews else ()),
        ("index", described(found.index)),
        *((("index, copies", described(found.index.copy)),) if found.index.copy else ()),
        ("newer clips", f"{found.num_newer_clips}, searched beside the index"),
        ("failures", str(found.num_failures)),
        *((("unfinished", _unfinished(found.num_unfinished)),) if found.num_unfinished else ()),
        ("model", space.source),
        ("fingerprint", space.fingerprint),
        ("sampling", f"{space.num_frames} frames at {space.fps:g} a second"),
        ("vectors", f"{space.dim} dimensions, {count(len(space.labels), 'label')}"),
        *(("metadata", _told(column)) for column in found.metadata),
        *(("made with", _described(origin)) for origin in found.origins),
    ]
    print_table(("", ""), rows)


def _repeats(number: int) -> str:
    """Such as `3 clips with the very pictures of the one before`."""
    return f"{count(number, 'clip')} with the very pictures of the one before"


def _previews(found: CollectionInfo) -> str:
    """Such as `of 3 clips, 2 have none`."""
    without = found.num_clips - found.num_previews
    told = f", {without} {'has' if without == 1 else 'have'} none" if without else ""
    return f"of {count(found.num_previews, 'clip')}{told}"


def _unfinished(number: int) -> str:
    """Such as `1 video, of which parts are stored: embed again to go on`."""
    return f"{count(number, 'video')}, of which parts are stored: embed again to go on"


def _told(column: MetadataColumn) -> str:
    """Such as `split: text, of 12 videos`."""
    return f"{printable(column.name)}: {column.type}, of {count(column.num_values, column.of)}"


def _described(origin: Origin) -> str:
    """Such as `builtin:tiny, cpu, bfloat16, torch 2.13: 3 clips in 1 shard`."""
    told = origin.provenance
    model = "@".join(filter(None, [told.get("model"), told.get("revision")]))
    parts = [model, told.get("device"), told.get("dtype"), _version(told, "torch")]
    parts += [_version(told, "vidx"), "with previews" if origin.has_previews else ""]
    held = f"{count(origin.num_clips, 'clip')} in {count(origin.num_shards, 'shard')}"
    return printable(f"{', '.join(filter(None, parts))}: {held}")


def _version(told: dict[str, str], package: str) -> str:
    return f"{package} {told[package]}" if package in told else ""


@click.command()
@collection_option
@click.option(
    "--remarks",
    is_flag=True,
    help="List only videos of which a part is missing, or that have notes, and say what.",
)
@where_option("videos with a clip")
@limit_option("List only the first N.")
@json_option
def videos(
    collection: str | None, remarks: bool, where: str | None, limit: int | None, as_json: bool
) -> None:
    """List the videos of the collection by path.

    Notes say what was done to tell a video's times, or what else its file holds.
    """
    opened = open_collection(collection)
    part = opened if where is None else opened.where(where)
    rows = part.videos(limit, remarked=remarks).to_pylist()
    if as_json:
        print_json(rows)
    elif not remarks:
        _print_videos(rows)
    elif rows:
        print_failures([remark for row in rows for remark in _remarks(row)])
    else:
        click.echo("No remarks.")


def _print_videos(rows: list[dict[str, Any]]) -> None:
    cells = [
        (
            shown_path(row["path"]),
            clock(row["duration_seconds"]),
            f"{row['width']}x{row['height']}",
            row["codec"],
            str(row["num_clips"]),
            str(len(row["locations"])),
            _state(row),
        )
        for row in rows
    ]
    columns = ("path", "duration", "size", "codec", "clips", "files", "state")
    print_table(columns, cells, right="duration size clips files")


def _state(video: dict[str, Any]) -> str:
    """Such as `whole`, or `truncated, 1 note`."""
    notes = [count(len(video["notes"]), "note")] if video["notes"] else []
    return ", ".join([video["problem_reason"] or "whole", *notes])


def _remarks(video: dict[str, Any]) -> list[dict[str, str]]:
    """Why a part of a video is missing, and its notes, as failures are printed."""
    told = [("note", note) for note in video["notes"]]
    if video["problem_reason"]:
        told.insert(0, (video["problem_reason"], video["problem_message"]))
    return [
        {"reason": reason, "path": video["path"], "message": printable(message)}
        for reason, message in told
    ]


@click.command()
@collection_option
@limit_option("List only the first N.")
@json_option
def failures(collection: str | None, limit: int | None, as_json: bool) -> None:
    """List the files that could not be embedded, why, how often they were tried, and when last.

    Times are in UTC.
    """
    rows = open_collection(collection).failures(limit).to_pylist()
    if as_json:
        print_json(rows)
    elif rows:
        _print_attempts(rows)
    else:
        click.echo("No failures.")


def _print_attempts(rows: list[dict[str, Any]]) -> None:
    cells = [
        (
            row["reason"],
            str(row["attempts"]),
            row["last_attempt"],
            shown_path(row["path"]),
            row["message"],
        )
        for row in rows
    ]
    columns = ("reason", "attempts", "last attempt", "path", "message")
    print_table(columns, cells, right="attempts")
