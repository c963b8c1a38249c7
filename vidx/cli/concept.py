"""`vidx concept`."""

from __future__ import annotations

from typing import Any

import click

from vidx.cli.curate import give, output_option
from vidx.cli.options import collection_option, json_option, quiet_option
from vidx.cli.render import print_json, print_table
from vidx.collection import open_collection
from vidx.words import count, printable


class ClipIds(click.ParamType[list[int]]):
    """Ids of clips with commas between them."""

    name = "ids"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[int]:
        """From what was typed."""
        if not isinstance(value, str):  # the default
            return list(value)
        if not all(part.strip().isdecimal() for part in value.split(",")):
            self.fail(f"{value!r} is no list of clip ids, such as 3,17,240", param, ctx)
        return [int(part) for part in value.split(",")]


@click.group()
def concept() -> None:
    """Teach concepts by example clips, and find the clips that show them.

    `--where "concept('NAME') > .8"` means the clips that show one, in any command that has it.
    """


@concept.command()
@click.argument("name")
@click.option("--like", metavar="IDS", type=ClipIds(), default=(), help="Clips that show it: 3,17.")
@click.option("--unlike", metavar="IDS", type=ClipIds(), default=(), help="Clips that do not.")
@collection_option
@json_option
@quiet_option
def teach(
    name: str,
    like: list[int],
    unlike: list[int],
    collection: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Teach a concept by example clips, or give more of them."""
    opened = open_collection(collection)
    found = opened.concept(name, like, unlike)
    [row] = [row for row in opened.concepts().to_pylist() if row["name"] == name]
    if as_json:
        print_json(row)
    elif not quiet:
        click.echo(f"{count(found.count(), 'clip')} show {printable(name)} rather than not.")


@concept.command("list")
@collection_option
@json_option
def list_(collection: str | None, as_json: bool) -> None:
    """List the concepts, the oldest first, with the numbers of their examples."""
    rows = open_collection(collection).concepts().to_pylist()
    if as_json:
        print_json(rows)
        return
    cells = [
        (printable(row["name"]), str(row["num_positives"]), str(row["num_negatives"]))
        for row in rows
    ]
    print_table(("name", "like", "unlike"), cells, right="like unlike")


@concept.command()
@click.argument("name")
@click.argument("n", metavar="[N]", type=int, default=10)
@output_option
@collection_option
@json_option
@quiet_option
def suggest(name: str, n: int, collection: str | None, quiet: bool, **asked: Any) -> None:
    """Name the clips, 10 or N, that are most worth to be given as examples next."""
    table = open_collection(collection).suggest(name, n)
    give(table, asked, quiet=quiet, columns={"score": "score"}, none="No clips are left.")


@concept.command()
@click.argument("name")
@collection_option
@json_option
@quiet_option
def delete(name: str, collection: str | None, as_json: bool, quiet: bool) -> None:
    """Forget a concept with its examples; the clips stay."""
    commit = open_collection(collection).delete_concept(name)
    if as_json:
        print_json({"name": name, "commit": commit})
    elif not quiet:
        click.echo(f"{printable(name)} is deleted.")


@concept.command()
@click.argument("name")
@collection_option
@json_option
def evaluate(name: str, collection: str | None, as_json: bool) -> None:
    """Tell how well a concept is learned, by examples that are left out."""
    judged = open_collection(collection).evaluate(name)
    if as_json:
        print_json(judged._asdict())
        return
    click.echo(
        f"average precision {judged.average_precision:.3f}; by the nearest example "
        f"{judged.nearest:.3f}, by chance {judged.chance:.3f}"
    )
