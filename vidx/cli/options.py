"""The options that several commands share."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def collection_option(command: Command) -> Command:
    """Which collection."""
    return click.option(
        "--collection",
        metavar="FOLDER",
        type=click.Path(file_okay=False),
        help="The collection's folder, or s3://bucket/name. "
        "Default: VIDX_COLLECTION, else a .vidx here or above.",
    )(command)


def json_option(command: Command) -> Command:
    """Output for programs."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")(
        command
    )


def quiet_option(command: Command) -> Command:
    """No progress."""
    return click.option(
        "--quiet",
        is_flag=True,
        callback=_silence_log,
        help="Print nothing but results asked for with --json, and errors.",
    )(command)


def batch_size_option(command: Command) -> Command:
    """How many at once."""
    return click.option(
        "--batch-size",
        metavar="N",
        type=click.IntRange(min=1),
        help="Clips in one batch. Default: what suits the device and its free memory.",
    )(command)


def any_option(command: Command) -> Command:
    """Whether files of folders are taken by what is in them."""
    return click.option(
        "--any",
        "any_ending",
        is_flag=True,
        help="Also take files with other endings that hold a video, by their first bytes.",
    )(command)


def prune_option(command: Command) -> Command:
    """Whether what is gone is taken out."""
    return click.option(
        "--prune",
        is_flag=True,
        help="Take out what the collection has from these folders and is no longer there.",
    )(command)


def previews_option(command: Command) -> Command:
    """Whether pictures are kept."""
    return click.option(
        "--previews",
        is_flag=True,
        help="Keep a small picture of each clip that is embedded now, about 5 kB.",
    )(command)


def decoder_option(command: Command) -> Command:
    """What decodes."""
    return click.option(
        "--decoder",
        type=click.Choice(["cpu", "cuda"]),
        default="cpu",
        help="cuda: NVIDIA cards decode what they decode to the bit, the processor the rest; cards "
        "do not tell of damage inside of a picture. Default: cpu.",
    )(command)


def workers_option(command: Command) -> Command:
    """How many decode."""
    return click.option(
        "--workers",
        metavar="N",
        type=click.IntRange(min=0),
        help="Decoding processes; 0 decodes in the main one, without isolation. Default: one a "
        "core, at most 16.",
    )(command)


def engine_options(local: str, ray: str) -> Callable[[Command], Command]:
    """Who works, of which is said what each does."""

    def decorate(command: Command) -> Command:
        command = click.option(
            "--address",
            metavar="HOST:PORT",
            help="With --engine ray: the cluster's head node. Default: RAY_ADDRESS, else the "
            "cluster that this machine is a node of.",
        )(command)
        return click.option(
            "--engine",
            type=click.Choice(["local", "ray"]),
            default="local",
            help=f"local: {local}. ray: {ray}; see docs/cluster.md. Default: local.",
        )(command)

    return decorate


def limit_option(what: str) -> Callable[[Command], Command]:
    """Not all of it."""
    return click.option("--limit", metavar="N", type=click.IntRange(min=1), help=what)


def where_option(what: str) -> Callable[[Command], Command]:
    """Only a part of the collection."""
    return click.option(
        "--where",
        metavar="EXPR",
        help=f"Only {what} of which this is true, such as \"label('walks') > .4 and "
        'width >= 640"; docs/where.md says what there is to ask.',
    )


def device_options(command: Command) -> Command:
    """Where, and how precisely."""
    for option in (
        click.option(
            "--dtype",
            type=click.Choice(["float32", "float16", "bfloat16"]),
            help="Precision. Default: float16 on cuda; on a CPU bfloat16 where it is native and "
            "faster, else float32.",
        ),
        click.option(
            "--device",
            metavar="DEVICE",
            help="cpu, cuda or cuda:N, or several with commas between, which share the work. "
            "Default: cuda where there is one (embed, bench: all there are), else cpu.",
        ),
    ):
        command = option(command)
    return command


def model_options(command: Command) -> Command:
    """Which model, where and how precisely."""
    return click.option(
        "--model",
        metavar="MODEL",
        help="builtin:tiny, which vidx brings, or a checkpoint's folder, or a hub id with "
        "optional @revision. Default: the collection's own; for a new one "
        "MCG-NJU/videomae-base-finetuned-kinetics, from the hub or its cache.",
    )(device_options(command))


def verbose_option(command: Command) -> Command:
    """The log."""
    return click.option(
        "-v",
        "--verbose",
        is_flag=True,
        expose_value=False,
        callback=_show_log,
        help="Tell on standard error how long each stage takes.",
    )(command)


def _show_log(_context: click.Context, _option: click.Parameter, verbose: bool) -> None:
    if verbose:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        logging.getLogger("vidx").addHandler(handler)
        logging.getLogger("vidx").setLevel(logging.INFO)


def _silence_log(_context: click.Context, _option: click.Parameter, quiet: bool) -> bool:
    if quiet:
        logging.getLogger("vidx").setLevel(logging.ERROR)
    return quiet
