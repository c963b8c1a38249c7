"""The command line: each command parses, makes one call on the collection, and renders."""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from typing import Any

import click

from vidx.cli.bench import bench
from vidx.cli.catalogue import catalogue
from vidx.cli.concept import concept
from vidx.cli.curate import clusters, duplicates, outliers, sample
from vidx.cli.embed import embed
from vidx.cli.index import index
from vidx.cli.inspect import failures, info, videos
from vidx.cli.maintain import commits, compact, export, rebuild, remove, restore, verify
from vidx.cli.metadata import metadata
from vidx.cli.models import models
from vidx.cli.propose import apply, propose, undo
from vidx.cli.report import report
from vidx.cli.review import compare, label_issues, map_clips, quality, threshold_report
from vidx.cli.search import search
from vidx.cli.serve import serve
from vidx.cli.snapshot import snapshot
from vidx.cli.splits import leakage, split
from vidx.cli.streams import OutputFailed, standard_streams
from vidx.cli.train import adapt, train
from vidx.cli.watch import watch
from vidx.errors import VidxError

EXIT_CODES = """\b
Exit codes:
  0    all done
  1    unexpected error (a bug)
  2    wrong usage: a missing path, a bad option
  3    finished, but a file named in this run is failed, or a row of a manifest is
       refused, or verify found something, or apply or undo
       passed a file over
  4    refused or nothing done, by a cause you can mend
  130  interrupted; what is committed is safe
"""


class _Commands(click.Group):
    """Lets a bug look like one: click ends in silence at any broken pipe or end of file."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except (BrokenPipeError, EOFError) as error:
            raise RuntimeError("this is not about standard output, and a bug") from error


@click.group(
    cls=_Commands,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="vidx", message="%(prog)s %(version)s")
def cli() -> None:
    """Turn a folder of videos into a searchable collection of clip vectors."""


COMMANDS = (
    *(embed, watch, search, info, videos, failures, metadata, remove, restore, commits),
    *(duplicates, propose, apply, undo, leakage, split, clusters, outliers, sample),
    *(quality, label_issues, map_clips, compare, concept, threshold_report),
    report,
    *(index, verify, rebuild, compact, catalogue, snapshot, export),
    *(models, bench, train, adapt),
    serve,
)
for command in COMMANDS:
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit: the one place where errors meet exit codes."""
    with standard_streams():
        code = _run(arguments)
    sys.exit(code)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code = int(cli.main(arguments, prog_name="vidx", standalone_mode=False) or 0)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted. What is committed is safe; the same command goes on.", err=True)
        return 130
    except VidxError as error:
        click.echo(f"Error: {error}", err=True)
        return error.exit_code
    except OutputFailed as error:
        return _output_failed(error.cause)
    return code


def _output_failed(cause: OSError) -> int:
    """Whoever reads the output, such as `head`, has enough; or the disk it goes to is full."""
    if cause.errno == errno.EPIPE:
        return 0
    click.echo(f"Error: the output cannot be written: {cause.strerror}", err=True)
    return 4
