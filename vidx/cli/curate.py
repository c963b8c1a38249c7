"""`vidx duplicates`, `vidx clusters`, `vidx outliers` and `vidx sample`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from vidx.cli.options import (
    Command,
    collection_option,
    json_option,
    quiet_option,
    where_option,
)
from vidx.cli.progress import showing_index
from vidx.cli.render import print_json, print_table, shown_path
from vidx.collection import open_collection
from vidx.questions import Questions, table_file
from vidx.words import count, printable, span

if TYPE_CHECKING:
    import pyarrow as pa

SHOWN_ROWS = 50  # for people, unless they ask for others


output_option = click.option(
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write the table to this .parquet, .csv or .jsonl file.",
)


def question_options(command: Command) -> Command:
    """What all of these commands take."""
    options = (
        collection_option,
        where_option("clips"),
        output_option,
        json_option,
        quiet_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


def seed_option(command: Command) -> Command:
    """What chance does."""
    return click.option(
        "--seed",
        metavar="N",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Of what is random; the same gives the same answer.",
    )(command)


@click.command()
@click.option(
    "--threshold",
    metavar="S",
    type=click.FloatRange(-1, 1),
    help="The least similarity, as copies. Default: what docs/curation/duplicates.md says.",
)
@click.option(
    "--by",
    type=click.Choice(["clip", "segment", "video"]),
    default="clip",
    show_default=True,
    help="Tell clips, or spans of two videos that show the same, or videos of which more than half "
    "is in another.",
)
@click.option(
    "--within-videos", is_flag=True, help="Let clips of one video be duplicates of each other too."
)
@question_options
def duplicates(
    threshold: float | None, by: str, within_videos: bool, quiet: bool, **asked: Any
) -> None:
    """Find the same footage, more than once, in groups.

    Every member is like the first of its group, or has its very bytes.
    """
    with showing_index(quiet=quiet or asked["as_json"]) as progress:
        table = part_of(asked).duplicates(
            threshold, by=by, within_videos=within_videos, progress=progress
        )
    columns = {"group": "group", "match": "match", "score": "score"}
    shares = {} if by == "clip" else {"share": "share"}
    give(table, asked, quiet=quiet, columns=columns | shares, none="No duplicates.")


@click.command()
@click.option(
    "-k",
    "k",
    metavar="N",
    type=click.IntRange(min=1),
    help="How many clusters. Default: the square root of half the number of clips.",
)
@seed_option
@question_options
def clusters(k: int | None, seed: int, quiet: bool, **asked: Any) -> None:
    """Part the clips into clusters, the largest first, each with its most typical clips first."""
    table = part_of(asked).clusters(k, seed=seed)
    columns = {"group": "group", "size": "size", "score": "score", "name": "name"}
    give(table, asked, quiet=quiet, columns=columns, none="No clips.")


@click.command()
@click.option(
    "--limit", metavar="N", type=click.IntRange(min=1), help="Only the first so many. Default: all."
)
@question_options
def outliers(limit: int | None, quiet: bool, **asked: Any) -> None:
    """Find the least typical clips, the loneliest first, each with the one nearest to it."""
    with showing_index(quiet=quiet or asked["as_json"]) as progress:
        table = part_of(asked).outliers(limit, progress=progress)
    columns = {"factor": "factor", "score": "score", "nearest": "nearest_clip_id"}
    give(table, asked, quiet=quiet, columns=columns, none="No clips.")


@click.command()
@click.argument("n", metavar="N", type=int)
@click.option(
    "--strategy",
    default="diverse",
    show_default=True,
    help="diverse: far from each other; balanced: as many of each label; representative: of each "
    "cluster by its size; uncertain: those of whose label the model is least sure; random.",
)
@click.option("--column", metavar="NAME", help="Of metadata, to balance by. Default: labels.")
@seed_option
@question_options
def sample(n: int, strategy: str, column: str | None, seed: int, quiet: bool, **asked: Any) -> None:
    """Choose N clips."""
    with showing_index(quiet=quiet or asked["as_json"]) as progress:
        chosen = part_of(asked).sample(n, strategy, column=column, seed=seed, progress=progress)
    give(chosen.clips(), asked, quiet=quiet, columns={}, none="No clips.")


def part_of(asked: dict[str, Any]) -> Questions:
    """The collection, or the part of it that is meant; a file that cannot be is told before."""
    if asked["output"]:
        table_file(asked["output"])
    opened, where = open_collection(asked["collection"]), asked["where"]
    return opened if where is None else opened.where(where)


def give(
    table: pa.Table, asked: dict[str, Any], *, quiet: bool, columns: dict[str, str], none: str
) -> None:
    """A table as it was asked for: in a file, as JSON, or its first rows for people.

    Args:
        table: The answer.
        asked: The options that all commands take.
        quiet: Whether people want nothing but JSON.
        columns: What people see beside clip, time and path: headings, and names of columns.
        none: What is said where there is no row.
    """
    if output := asked["output"]:
        table_file(output)(table)
    if asked["as_json"]:
        print_json({"num_rows": table.num_rows, "output": output} if output else table.to_pylist())
    elif output and not quiet:
        click.echo(f"{count(table.num_rows, 'row')} in {shown_path(output)}")
    elif not quiet and not table.num_rows:
        click.echo(none, err=True)
    elif not quiet:
        _print(table, columns)


def _print(table: pa.Table, columns: dict[str, str]) -> None:
    cells: dict[str, Callable[[dict[str, Any]], str]] = {
        **{heading: _cell(name) for heading, name in columns.items()},
        "clip": _cell("clip_id"),
        "time": lambda row: span(row["start_seconds"], row["end_seconds"]),
        "path": lambda row: shown_path(row["path"]),
    }
    rows = table.slice(0, SHOWN_ROWS).to_pylist()
    right = "group factor score share size nearest clip value limit"
    print_table(tuple(cells), [[cell(row) for cell in cells.values()] for row in rows], right)
    if table.num_rows > len(rows):
        more = count(table.num_rows - len(rows), "more row")
        click.echo(f"{more}: --output FILE or --json give all.", err=True)


def _cell(name: str) -> Callable[[dict[str, Any]], str]:
    """A column as text."""

    def text(row: dict[str, Any]) -> str:
        value = row[name]
        if value is None:
            return ""
        if name.endswith("path"):
            return shown_path(value)
        return f"{value:.4f}" if isinstance(value, float) else printable(str(value))

    return text
