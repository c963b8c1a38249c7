"""`vidx catalogue`."""

from __future__ import annotations

import click

from vidx.cli.options import collection_option, json_option, quiet_option
from vidx.cli.render import print_json
from vidx.collection import open_collection

FOLDER = "folder"


@click.group()
def catalogue() -> None:
    """Keep the catalogue in the collection's folder, or in PostgreSQL."""


@catalogue.command()
@click.argument("to", metavar="ADDRESS")
@collection_option
@json_option
@quiet_option
def copy(to: str, collection: str | None, as_json: bool, quiet: bool) -> None:
    """Copy the catalogue to another database, and use it there from now on.

    ADDRESS is postgresql://USER@HOST/DATABASE, for which `pip install 'vidx[postgres]'` installs
    what it takes; or `folder`, for a file of SQLite in the collection's folder. Where it was, it
    is deleted. The password is not kept: it comes from PGPASSWORD, ~/.pgpass or VIDX_CATALOGUE.
    """
    place = open_collection(collection).move_catalogue(None if to == FOLDER else to)
    if as_json:
        print_json({"catalogue": place})
    elif not quiet:
        click.echo(f"The catalogue is at {place}.")
