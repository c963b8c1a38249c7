"""`vidx report`."""

from __future__ import annotations

from dataclasses import asdict

import click

from vidx.cli.options import collection_option, json_option, quiet_option, where_option
from vidx.cli.progress import showing_report
from vidx.cli.render import print_json, shown_path
from vidx.collection import open_collection
from vidx.words import count


@click.command()
@click.option(
    "--html",
    "file",
    metavar="FILE",
    required=True,
    type=click.Path(),
    help="The page to write; an .html file that is there is replaced.",
)
@click.option(
    "--split",
    metavar="COLUMN",
    help="The column of metadata that says which split a video or clip is in. Default: split, if "
    "there is one.",
)
@collection_option
@where_option("clips")
@json_option
@quiet_option
def report(
    file: str,
    split: str | None,
    collection: str | None,
    where: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write one page about the collection, to send to a colleague.

    Counts, failures, duplicates, leakage, labels, clusters, quality and unusual clips, with
    pictures, and how it was made. The page needs nothing but itself, and has 10 MB at most.
    """
    opened = open_collection(collection)
    part = opened if where is None else opened.where(where)
    with showing_report(quiet=quiet or as_json) as progress:
        written = part.report(file, split=split, progress=progress)
    if as_json:
        print_json(asdict(written))
    elif not quiet:
        size = f"{written.size_bytes / 1e6:.1f} MB"
        pictures = count(written.num_pictures, "picture")
        click.echo(f"{shown_path(written.path)}: {size}, {pictures}.")
        if written.num_missing:
            told = f"{count(written.num_missing, 'picture')} could not be had"
            click.echo(f"{told}: the files are gone or changed.", err=True)
        if written.num_left_out:
            click.echo(f"{count(written.num_left_out, 'picture')} left out, for size.", err=True)
