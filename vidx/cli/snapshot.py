"""`vidx snapshot`."""

from __future__ import annotations

from dataclasses import asdict

import click

from vidx.cli.options import collection_option, json_option, quiet_option, where_option
from vidx.cli.render import print_json, print_table
from vidx.collection import open_collection
from vidx.words import count, printable

EVERYTHING = "true"


@click.group()
def snapshot() -> None:
    """Keep selections of clips by name, list, compare and delete them.

    `--where "snapshot('NAME')"` means the clips of one, in any command that has it.
    """


@snapshot.command()
@click.argument("name")
@collection_option
@where_option("clips")
@json_option
@quiet_option
def save(name: str, collection: str | None, where: str | None, as_json: bool, quiet: bool) -> None:
    """Keep all clips of now, or some, by a NAME that is not taken."""
    report = open_collection(collection).where(where or EVERYTHING).save(name)
    if as_json:
        print_json(asdict(report))
    elif not quiet:
        click.echo(f"{count(report.num_clips, 'clip')} saved as {printable(report.name)}.")


@snapshot.command("list")
@collection_option
@json_option
def list_(collection: str | None, as_json: bool) -> None:
    """List the snapshots, the oldest first, and how many of their clips are gone since."""
    rows = open_collection(collection).snapshots().to_pylist()
    if as_json:
        print_json(rows)
        return
    cells = [
        (row["name"], *(str(row[name]) for name in ("num_clips", "num_missing", "state")),
         row["time"], printable(row["rule"]))
        for row in rows
    ]  # fmt: skip
    heads = ("name", "clips", "missing", "commit", "time", "what")
    print_table(heads, cells, right="clips missing commit")


@snapshot.command()
@click.argument("before")
@click.argument("after")
@collection_option
@json_option
def diff(before: str, after: str, collection: str | None, as_json: bool) -> None:
    """Say how many clips are in AFTER alone and in BEFORE alone; with --json also which."""
    table = open_collection(collection).diff(before, after)
    changes = table.column("change").to_pylist()
    counts = {change: changes.count(change) for change in ("added", "removed")}
    if as_json:
        print_json({**counts, "clips": table.to_pylist()})
        return
    click.echo(f"{count(counts['added'], 'clip')} added, {counts['removed']} removed.")


@snapshot.command()
@click.argument("name")
@collection_option
@json_option
@quiet_option
def delete(name: str, collection: str | None, as_json: bool, quiet: bool) -> None:
    """Forget a snapshot; its clips stay."""
    commit = open_collection(collection).delete_snapshot(name)
    if as_json:
        print_json({"name": name, "commit": commit})
    elif not quiet:
        click.echo(f"{printable(name)} is deleted.")
