"""`vidx models`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from vidx.cli.options import json_option
from vidx.cli.render import print_json, print_table
from vidx.models import check_model, list_models
from vidx.words import count, printable

if TYPE_CHECKING:
    from vidx.model_records import ModelList


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def models(context: click.Context, /, as_json: bool) -> None:
    """List VideoMAE checkpoints: vidx's own, the published ones, those in the hub's local cache."""
    if context.invoked_subcommand is not None:
        return
    listed = list_models()
    if as_json:
        known = [
            {**asdict(one), "dim": one.dim, "num_labels": one.num_labels} for one in listed.known
        ]
        print_json({**asdict(listed), "known": known})
    else:
        _print_list(listed)


def _print_list(listed: ModelList) -> None:
    columns = ("in vidx", "revision", "dim", "labels", "size", "licence of the weights")
    cells = [
        (
            one.id,
            one.revision,
            str(one.dim),
            str(one.num_labels),
            _size(one.size_bytes),
            one.licence,
        )
        for one in listed.builtin
    ]
    print_table(columns, cells, right="dim labels size")
    columns = ("published", "shape", "dim", "labels", "training set", "licence of the weights")
    cells = [
        (one.id, one.shape, str(one.dim), str(one.num_labels), one.training_set, one.licence)
        for one in listed.known
    ]
    print_table(columns, cells, right="dim labels")
    if not listed.cached:
        click.echo("The hub's cache on this machine holds no VideoMAE checkpoint.")
        return
    cached_cells = [
        (one.id, one.revision[:12], _size(one.size_bytes), "yes" if one.is_whole else "no")
        for one in listed.cached
    ]
    print_table(("in the cache", "revision", "size", "whole"), cached_cells, right="size")


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.0f} MB"


@models.command()
@click.argument("model")
@json_option
def check(model: str, as_json: bool) -> None:
    """Load MODEL, account for every tensor, run a fixed input, and print the fingerprint."""
    report = check_model(model)
    if as_json:
        print_json(asdict(report))
        return
    start = ", ".join(f"{value:.4f}" for value in report.embedding_start)
    rows = [
        ("model", printable(report.name)),
        ("revision", report.revision or "a folder"),
        ("licence", report.licence or "not known"),
        ("fingerprint", report.fingerprint),
        ("tensors", f"{len(report.used)} used, {len(report.ignored)} of pre-training left out"),
        ("parameters", f"{report.num_parameters / 1e6:.1f} million"),
        ("vectors", f"{report.dim} dimensions, {count(report.num_labels, 'label')}"),
        ("fixed input", f"embedding [{start}, ...], length {report.embedding_norm:.4f}"),
        ("its label", printable(report.top_label or "no head")),
    ]
    print_table(("", ""), rows)
