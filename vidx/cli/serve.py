"""`vidx serve`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

from vidx.cli.options import collection_option, model_options, quiet_option
from vidx.cli.render import shown_path
from vidx.collection import open_collection
from vidx.errors import VidxError

NEEDED = ("fastapi", "prometheus_client", "uvicorn")


@click.command()
@collection_option
@click.option(
    "--host",
    metavar="HOST",
    default="127.0.0.1",
    show_default=True,
    help="Where to listen. Any other address than this machine's own takes a token.",
)
@click.option(
    "--port",
    metavar="N",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="0: one that is free.",
)
@click.option(
    "--token",
    metavar="TEXT",
    envvar="VIDX_TOKEN",
    show_envvar=True,
    help="What clients must show. Default: one that is made and printed, where others can reach "
    "the server; else none.",
)
@click.option(
    "--name",
    "names",
    metavar="NAME",
    multiple=True,
    help="A host name under which it is known besides, as behind a proxy; may be given again.",
)
@click.option(
    "--root",
    "roots",
    metavar="FOLDER",
    multiple=True,
    type=click.Path(exists=True, file_okay=False),
    help="Let clients have videos embedded that lie below this folder; may be given again. "
    "Default: none.",
)
@click.option("--open", "opens", is_flag=True, help="Show the page in a browser.")
@model_options
@quiet_option
def serve(
    collection: str | None,
    host: str,
    port: int,
    token: str | None,
    names: tuple[str, ...],
    roots: tuple[str, ...],
    opens: bool,
    model: str | None,
    device: str | None,
    dtype: str | None,
    quiet: bool,
) -> None:
    """Serve a collection: an API for programs, and a page for people.

    It ends with Ctrl-C, and finishes what runs. docs/service.md has more.
    """
    _need_extra()
    from vidx.service.server import Server, bound, url_of, with_token
    from vidx.service.settings import Settings

    opened = open_collection(collection)
    settings = with_token(
        Settings(
            host, port, token, names, tuple(map(Path, roots)),
            model=model, device=device, dtype=dtype,
        )
    )  # fmt: skip
    listener = bound(settings)
    url = url_of(listener, settings)

    def started() -> None:
        if not quiet:
            click.echo(f"Serving {shown_path(str(opened.path))} at {url}", err=True)
        if opens:
            click.launch(url)

    Server(opened, settings, listener, started).run()


def _need_extra() -> None:
    """Say what is to be installed, before anything else goes wrong."""
    lacking = [name for name in NEEDED if find_spec(name) is None]
    if lacking:
        raise VidxError(
            f"`vidx serve` needs {' and '.join(lacking)}, which this Python lacks.",
            "pip install 'vidx[serve]'",
        )
