"""`vidx info`, `vidx videos` and `vidx failures`."""

from __future__ import annotations

from dataclasses import asdict

import click

from vidx.cli.embed import print_failures
from vidx.cli.options import collection_option, json_option, limit_option
from vidx.cli.render import clock, count, print_json, print_table, printable, shown_path
from vidx.collection import open_collection
from vidx.records import Origin


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
        ("videos", f"{found.num_videos} ({found.num_partial} partial)"),
        ("files", str(found.num_locations)),
        ("clips", f"{found.num_clips} in {count(found.num_shards, 'shard')}"),
        ("index", f"exact, {count(found.num_indexed_clips, 'vector')}"),
        ("newer clips", f"{found.num_newer_clips}, searched beside the index"),
        ("failures", str(found.num_failures)),
        ("model", space.source),
        ("fingerprint", space.fingerprint),
        ("sampling", f"{space.num_frames} frames at {space.fps:g} a second"),
        ("vectors", f"{space.dim} dimensions, {count(len(space.labels), 'label')}"),
        *(("made with", _described(origin)) for origin in found.origins),
    ]
    print_table(("", ""), rows)


def _described(origin: Origin) -> str:
    """Such as `builtin:tiny, cpu, bfloat16, torch 2.13: 3 clips in 1 shard`."""
    told = origin.provenance
    model = "@".join(filter(None, [told.get("model"), told.get("revision")]))
    parts = [model, told.get("device"), told.get("dtype"), _version(told, "torch")]
    held = f"{count(origin.num_clips, 'clip')} in {count(origin.num_shards, 'shard')}"
    return printable(f"{', '.join(filter(None, [*parts, _version(told, 'vidx')]))}: {held}")


def _version(told: dict[str, str], package: str) -> str:
    return f"{package} {told[package]}" if package in told else ""


@click.command()
@collection_option
@limit_option("List only the first N.")
@json_option
def videos(collection: str | None, limit: int | None, as_json: bool) -> None:
    """List the videos of the collection by path."""
    rows = open_collection(collection).videos(limit).to_pylist()
    if as_json:
        print_json(rows)
        return
    cells = [
        (
            shown_path(row["path"]),
            clock(row["duration_seconds"]),
            f"{row['width']}x{row['height']}",
            row["codec"],
            str(row["num_clips"]),
            str(len(row["locations"])),
            row["problem_reason"] or "whole",
        )
        for row in rows
    ]
    columns = ("path", "duration", "size", "codec", "clips", "files", "state")
    print_table(columns, cells, right="duration size clips files")


@click.command()
@collection_option
@limit_option("List only the first N.")
@json_option
def failures(collection: str | None, limit: int | None, as_json: bool) -> None:
    """List the files that could not be embedded, and why."""
    rows = open_collection(collection).failures(limit).to_pylist()
    if as_json:
        print_json(rows)
    elif rows:
        print_failures(rows)
    else:
        click.echo("No failures.")
