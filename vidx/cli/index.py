"""`vidx index`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from vidx.cli.options import collection_option, engine_options, json_option, quiet_option
from vidx.cli.progress import showing_index, showing_push
from vidx.cli.render import print_json, print_table
from vidx.collection import open_collection
from vidx.options import IndexOptions
from vidx.words import count, num_bytes

if TYPE_CHECKING:
    from vidx.options import Engine
    from vidx.records import IndexReport

MISSED = 0.01  # by how much a recall may miss its target before a new index is proposed


class Size(click.ParamType[int]):
    """A number of bytes, such as 500M or 2G."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number of bytes."""
        size = num_bytes(str(value))
        if size is None:
            self.fail(f"{value!r} is no size: write 500M or 2G.", param, ctx)
        return size


@click.group(invoke_without_command=True)
@collection_option
@click.option(
    "--target-recall",
    metavar="R",
    type=click.FloatRange(0, 1, min_open=True),
    default=IndexOptions().target_recall,
    show_default=True,
    help="Share of the ten closest clips that a search is to find.",
)
@click.option(
    "--max-memory",
    "max_memory_bytes",
    metavar="SIZE",
    type=Size(),
    help="What codes may take of memory, such as 500M or 2G.",
)
@click.option(
    "--kind",
    type=click.Choice(["auto", "exact", "ivf"]),
    default="auto",
    show_default=True,
    help="exact compares every clip; ivf has codes find candidates first; auto chooses by the "
    "number of clips.",
)
@click.option(
    "--parts",
    "num_parts",
    metavar="N",
    type=click.IntRange(1),
    help="Divide the index into so many files, made one after the other (with --engine ray, one on "
    "each node at a time) and searched side by side. By itself it is divided where a file would "
    "have more than 2 GiB.",
)
@engine_options(
    "this machine makes the index", "the nodes of a Ray cluster make its parts, see --parts"
)
@click.option("--check", is_flag=True, help="Change nothing: search, and compare with the truth.")
@json_option
@quiet_option
@click.pass_context
def index(
    context: click.Context,
    /,
    collection: str | None,
    check: bool,
    engine: Engine,
    address: str | None,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Make the index that finds as often as asked, or check the one there is.

    `embed` makes one by itself when it pays, and adds to it; what was last asked here holds.
    Searches go on meanwhile, and miss nothing without it. Of a collection in a bucket it is sent
    there for other machines, and fetched where one of them has made it as asked.
    """
    source = context.get_parameter_source
    if context.invoked_subcommand is not None:
        if any(source(name) is ParameterSource.COMMANDLINE for name in context.params):
            raise click.UsageError(f"Write options behind {context.invoked_subcommand}.")
        return
    opened = open_collection(collection)
    asked = IndexOptions(**options)
    wishes = (*options, "engine", "address")
    if check and any(source(name) is ParameterSource.COMMANDLINE for name in wishes):
        raise click.UsageError("--check looks at the index there is, and takes no wishes.")
    if check:
        report = opened.check_index()
    else:
        with showing_index(quiet=quiet or as_json) as progress:
            report = opened.index(asked, engine=engine, address=address, progress=progress)
    if as_json:
        print_json(asdict(report))
    elif not quiet:
        print_table(("", "similar", "copy"), _rows(report), right="similar copy")
        _propose(report, check=check)


@index.command()
@click.argument("address")
@collection_option
@json_option
@quiet_option
def push(address: str, collection: str | None, as_json: bool, quiet: bool) -> None:
    """Put a vector database in step with the collection, for `vidx search --via ADDRESS`.

    ADDRESS is milvus://HOST[:PORT]/NAME, milvus+https://HOST/NAME, or milvus:///PATH/FILE.db for
    embedded Milvus. User and password are in VIDX_MILVUS_TOKEN, as user:password. What was pushed
    before stays; the same command goes on where one ended.
    """
    with showing_push(quiet=quiet or as_json) as progress:
        report = open_collection(collection).push_index(address, progress=progress)
    if as_json:
        print_json(asdict(report))
    elif not quiet:
        click.echo(
            f"{count(report.num_clips, 'clip')} in {report.address}: {report.num_put} put in, "
            f"{report.num_removed} taken out."
        )


def described(report: IndexReport) -> str:
    """The kind and how well it finds, in a line.

    >>> from vidx import IndexReport
    >>> described(IndexReport("exact", {}, 5, 0.95, 1.0, 1.0, 1.0, None, None, 0.0, 0.0))
    'exact, 5 vectors'
    """
    vectors = count(report.clips, "vector")
    if report.kind == "exact":
        return f"exact, {vectors}"
    if num_parts := report.parameters.get("num_parts"):
        vectors = f"{vectors} in {num_parts} parts"
    found = f"recall {report.recall_at_10:.3f} of the ten closest, {report.p50_ms:.2g} ms a query"
    return f"{report.kind}, {vectors}, {found}"


def _rows(report: IndexReport) -> list[tuple[str, str, str]]:
    similar, copy = _column(report), _column(report.copy or report)
    return [(name, similar.get(name, ""), copy.get(name, "")) for name in similar | copy]


def _column(report: IndexReport) -> dict[str, str]:
    return {
        "kind": report.kind,
        "clips": str(report.clips),
        **{name.replace("_", " "): str(value) for name, value in report.parameters.items()},
        "target recall": f"{report.target_recall:g}",
        "recall at 1": f"{report.recall_at_1:.3f}",
        "recall at 10": f"{report.recall_at_10:.3f}",
        "recall at 100": f"{report.recall_at_100:.3f}",
        "p50": _milliseconds(report.p50_ms),
        "p99": _milliseconds(report.p99_ms),
        "bytes a vector": f"{report.bytes_per_vector:.0f}",
        "build": f"{report.build_seconds:.1f} s",
    }


def _milliseconds(number: float | None) -> str:
    return "" if number is None else f"{number:.2f} ms"


def _propose(report: IndexReport, *, check: bool) -> None:
    """Say what to do where less is found than was asked for."""
    found = [one.recall_at_10 for one in (report, report.copy) if one]
    if check and min(found) < report.target_recall - MISSED:
        click.echo("Less is found than was asked for: `vidx index` makes the index anew.")
