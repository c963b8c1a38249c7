"""`vidx metadata`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from vidx.cli.options import collection_option, json_option, quiet_option
from vidx.cli.render import print_json
from vidx.collection import open_collection
from vidx.words import count, printable

if TYPE_CHECKING:
    from vidx.records import MetadataReport


@click.command()
@click.argument("file", metavar="FILE", type=click.Path())
@click.option(
    "--on",
    type=click.Choice(["path", "video_id", "clip_id"]),
    default="path",
    show_default=True,
    help="The column that says which video or clip a row is about.",
)
@click.option("--clear-empty", is_flag=True, help="Let empty values take out what was there.")
@collection_option
@json_option
@quiet_option
def metadata(
    file: str, on: str, clear_empty: bool, collection: str | None, as_json: bool, quiet: bool
) -> None:
    """Tell what you know of videos or clips, from a .csv, .jsonl or .parquet FILE.

    Each column beside the key becomes a column of metadata: text, integer, real, boolean or
    timestamp. Relative paths start from the file's folder, else from the working folder. A value
    takes the place of what was there, an empty one says nothing. Rows about what is not in the
    collection are counted and passed over.
    """
    report = open_collection(collection).set_metadata(file, on=on, clear_empty=clear_empty)
    if as_json:
        print_json(asdict(report))
    elif not quiet:
        _print(report)


def _print(report: MetadataReport) -> None:
    whose = count(report.num_keys, report.of)
    click.echo(f"{count(report.num_values, 'value')} set, of {whose}.")
    if report.new_columns:
        new = ", ".join(f"{printable(one.name)} ({one.type})" for one in report.new_columns)
        click.echo(f"New columns: {new}.")
    if report.left_out:
        names = ", ".join(map(printable, report.left_out))
        click.echo(f"Left out, for they have no value at all: {names}.", err=True)
    if report.num_unknown:
        some = ", ".join(printable(key)[:200] or "an empty key" for key in report.unknown)
        rows = count(report.num_unknown, "row")
        click.echo(f"{rows} about nothing in the collection, passed over: {some}.", err=True)
