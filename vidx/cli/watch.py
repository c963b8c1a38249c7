"""`vidx watch`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import click

from vidx.cli.embed import print_report, report_as_json, tell_licence
from vidx.cli.options import (
    any_option,
    batch_size_option,
    collection_option,
    decoder_option,
    json_option,
    model_options,
    previews_option,
    prune_option,
    quiet_option,
    workers_option,
)
from vidx.cli.progress import showing_files
from vidx.cli.render import print_json
from vidx.collection import Collection, open_collection
from vidx.errors import CollectionLocked, NoVideos, UsageError, VidxError
from vidx.options import EmbedOptions
from vidx.words import count

QUIET_MS = 2_000  # without a change, until the files are looked at: one is copied for a while
LONGEST_MS = 60_000  # that changes are waited out


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path())
@collection_option
@model_options
@batch_size_option
@workers_option
@decoder_option
@any_option
@previews_option
@prune_option
@json_option
@quiet_option
def watch(
    paths: tuple[str, ...], collection: str | None, as_json: bool, quiet: bool, **others: Any
) -> None:
    """Embed what is in folders, and again whatever comes or changes there, until Ctrl-C.

    It is `vidx embed` when it starts, and each time that something has changed and two seconds
    have passed in quiet; a file that is copied for longer is embedded anew when it is whole. The
    model stays loaded. What is committed is safe whenever it ends. Folders on network shares tell
    of no changes: set WATCHFILES_FORCE_POLLING=1 there. With --json each run prints an object on a
    line of its own. It takes what `pip install 'vidx[watch]'` installs.
    """
    _need_extra()
    _check(paths)
    opened = open_collection(collection, create=True)
    options = EmbedOptions(**others)
    if not quiet:
        tell_licence(opened, others["model"])
        click.echo(f"Watching {count(len(paths), 'path')}; Ctrl-C ends it.", err=True)
    has_run = False
    while True:  # what was away is to be watched anew
        has_run = _follow(opened, paths, options, has_run=has_run, as_json=as_json, quiet=quiet)


def _follow(
    collection: Collection,
    paths: tuple[str, ...],
    options: EmbedOptions,
    *,
    has_run: bool,
    as_json: bool,
    quiet: bool,
) -> bool:
    """Embed at each change, until what was in the way of that is gone; whether it ever ran."""
    waiting = False
    for is_due in _changes(paths, collection):
        if not (is_due or waiting):
            continue
        try:
            _embed(collection, paths, options, as_json=as_json, quiet=quiet)
        except (CollectionLocked, UsageError) as error:
            if isinstance(error, UsageError) and not has_run:
                raise
            if not waiting:  # another writes, or a path is away for a while
                click.echo(f"Waiting: {error.problem}", err=True)
            waiting = True
        else:
            has_run = True
            if waiting:
                break
    return has_run


def _changes(paths: tuple[str, ...], collection: Collection) -> Iterator[bool]:
    """At first, and then every two seconds: whether there is anything to look at."""
    from watchfiles import Change, watch

    own = f"{os.path.realpath(collection.path)}{os.sep}"

    def is_not_ours(_change: Change, path: str) -> bool:  # as it was named to us, maybe by a link
        return not f"{os.path.realpath(path)}{os.sep}".startswith(own)

    is_first = True
    for changes in watch(
        *paths,
        watch_filter=is_not_ours,
        step=QUIET_MS,
        debounce=LONGEST_MS,
        rust_timeout=QUIET_MS,
        yield_on_timeout=True,  # it listens from the first on, before the first run begins
        ignore_permission_denied=True,
    ):
        yield is_first or bool(changes)
        is_first = False


def _embed(
    collection: Collection,
    paths: tuple[str, ...],
    options: EmbedOptions,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """One run, told where there was anything to do."""
    try:
        with showing_files(quiet=quiet) as progress:
            report = collection.embed(paths, options, progress=progress)
    except NoVideos:  # yet
        return
    if report.commit is None and not report.gone:
        return
    if as_json:
        print_json(report_as_json(report), on_one_line=True)
    elif not quiet:
        print_report(collection, report, prune=options.prune)


def _check(paths: tuple[str, ...]) -> None:
    """Refuse what tells of no changes."""
    for path in paths:
        if not os.path.exists(path):
            raise UsageError(
                f"{path}: only folders and files of this machine can be watched, and it is none.",
                "Name one that is there; `vidx embed` takes URLs and patterns.",
            )


def _need_extra() -> None:
    if find_spec("watchfiles") is None:
        raise VidxError(
            "`vidx watch` needs watchfiles, which this Python lacks.", "pip install 'vidx[watch]'"
        )
