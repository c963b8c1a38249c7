"""`vidx train` and `vidx adapt`."""

from __future__ import annotations

import shlex
from dataclasses import asdict

import click

from vidx.cli.embed import print_failures
from vidx.cli.options import collection_option, json_option, quiet_option
from vidx.cli.progress import losses, showing_steps
from vidx.cli.render import print_json, shown_path
from vidx.collection import open_collection
from vidx.training.verbs import DEFAULT_RECIPE, AdaptReport
from vidx.training.verbs import adapt as adapt_encoder
from vidx.training.verbs import train as train_encoder
from vidx.words import count

# Of vidx.training.recipe, which needs torch.
RECIPES = ("minute", "cpu", "gpu")
DEFAULT_FPS = 7.5

device_option = click.option(
    "--device",
    metavar="DEVICE",
    help="cpu, cuda or cuda:N. Default: cuda where there is one, else cpu.",
)


@click.command()
@click.argument("folder", metavar="FOLDER", type=click.Path(file_okay=False))
@click.option(
    "--recipe",
    type=click.Choice(RECIPES),
    default=DEFAULT_RECIPE,
    show_default=True,
    help="minute is a trial; cpu takes an hour or more on two cores, gpu 8.5 minutes on a GPU.",
)
@click.option(
    "--minutes",
    metavar="M",
    type=float,
    help="The run's whole time, in which it comes to its end. Default: 8.5 for gpu, else none.",
)
@click.option("--seed", metavar="N", type=click.IntRange(min=0), help="Default: the recipe's, 0.")
@device_option
@json_option
@quiet_option
def train(
    folder: str,
    recipe: str,
    minutes: float | None,
    seed: int | None,
    device: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Train a small encoder on procedural videos, which are made on the way.

    FOLDER is the run's own: its state, its log, and in FOLDER/model the encoder so far, which
    `vidx embed --model` takes. A run that was stopped goes on where it was when the same command
    is given again.
    """
    with showing_steps(folder, quiet=quiet) as show:
        report = train_encoder(
            folder, recipe, minutes=minutes, seed=seed, device=device, progress=show
        )
    if as_json:
        print_json(asdict(report) | {"seconds": round(report.seconds, 3)})
    elif not quiet:
        click.echo(f"{count(report.steps, 'step')}, at the end: {', '.join(losses(report.losses))}")
        click.echo(f"Held-out drawn clips: {', '.join(losses(report.validation))}")
        click.echo(f"Model: {shown_path(report.model)}")


@click.command()
@click.argument("folder", metavar="FOLDER", type=click.Path(file_okay=False))
@collection_option
@click.option(
    "--model",
    metavar="MODEL",
    help="What to begin with, as for `vidx embed`. Default: the collection's own model.",
)
@click.option(
    "--steps",
    metavar="N",
    type=click.IntRange(min=1),
    help="Of fitting a decoder, and again of adapting. Default: 400.",
)
@device_option
@json_option
@quiet_option
def adapt(
    folder: str,
    collection: str | None,
    model: str | None,
    steps: int | None,
    device: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Adapt an encoder to the videos of a collection, by masked pre-training without labels.

    FOLDER is the run's own; FOLDER/model becomes the new encoder. The collection stays as it is:
    the new encoder's vectors need a collection of their own. A run that was stopped goes on where
    it was when the same command is given again.
    """
    opened = open_collection(collection)
    with showing_steps(folder, quiet=quiet) as show:
        report = adapt_encoder(
            opened, folder, model=model, steps=steps, device=device, progress=show
        )
    if as_json:
        print_json(asdict(report) | {"seconds": round(report.seconds, 3)})
    elif not quiet:
        _print_report(report)


def _print_report(report: AdaptReport) -> None:
    clips = f"{count(report.training_clips, 'clip')}, and {report.held_out_clips} held out"
    click.echo(f"Learned from {count(report.videos, 'video')}: {clips}.")
    if report.left_out:
        click.echo(f"Left out: {count(len(report.left_out), 'video')}.")
        print_failures([asdict(one) for one in report.left_out])
    before, after = report.held_out_before, report.held_out_after
    click.echo(f"Loss of the held-out clips: {before:.4f} before, {after:.4f} after.")
    click.echo(f"Model: {shown_path(report.model)}")
    fps = "" if report.fps == DEFAULT_FPS else f" --fps {report.fps:g}"
    model = shlex.quote(shown_path(report.model))
    click.echo("Its vectors need a collection of their own:")
    click.echo(f"  vidx embed PATH... --model {model}{fps} --collection NEW")
