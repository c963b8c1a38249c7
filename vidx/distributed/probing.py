"""Whether a node can take part: it has our versions, and sees the files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

from vidx.distributed.calls import sent, there
from vidx.distributed.cluster import Node
from vidx.embedder.probing import spread
from vidx.errors import VidxError

PROBED_FILES = 16


class Sight(NamedTuple):
    """What a machine has, and what it sees.

    Attributes:
        versions: Of Python and packages; None: it lacks the package.
        files: Size in bytes and time of change in nanoseconds of each, or why it is not seen.
    """

    versions: dict[str, str | None]
    files: dict[str, tuple[int, int] | str]


@cache
def looker() -> Callable[[list[str], list[str]], tuple[Any, Any]]:
    """A function that gives what `Sight` holds; it takes no vidx where it runs."""

    # Ray sends a function of a function as it is written; of others it sends the name alone.
    def look(packages: list[str], paths: list[str]) -> tuple[Any, Any]:
        import os
        import platform
        from importlib import metadata

        versions: dict[str, str | None] = {"Python": platform.python_version()}
        for package in packages:
            try:
                versions[package] = metadata.version(package)
            except metadata.PackageNotFoundError:
                versions[package] = None
        files: dict[str, tuple[int, int] | str] = {}
        for path in paths:
            try:
                found = os.stat(path)
                files[path] = found.st_size, found.st_mtime_ns
            except OSError as error:
                files[path] = error.strerror or str(error)
        return versions, files

    return look


def sight(packages: Sequence[str], paths: Sequence[str] = ()) -> Sight:
    """What this machine has of some packages, and sees of some of the files."""
    versions, files = looker()(list(packages), spread(list(paths), PROBED_FILES))
    return Sight(versions, {path: one for path, one in files.items() if not isinstance(one, str)})


def look(node: Node, ours: Sight) -> Any:
    """Ask a node for what this machine has and sees; what Ray calls the answer, fields of `Sight`.

    It takes no core, so that it need not wait for one.
    """
    ask = sent(looker()).options(num_cpus=0, max_retries=0, **there(node))
    packages = [name for name in ours.versions if name != "Python"]
    return ask.remote(packages, list(ours.files))


def check(node: Node, found: Sight, ours: Sight) -> None:
    """Refuse a node that would give other vectors, or none.

    Raises:
        VidxError: It has other versions, or sees the files otherwise.
    """
    for name, here in ours.versions.items():
        there = found.versions.get(name)
        if _public(there) != _public(here):
            has = f"{name} {there}" if there else f"no {name}"
            raise VidxError(
                f"node {node.name} has {has}, this machine has {name} {here}",
                "Install the same versions on all nodes, and start Ray there anew.",
            )
    for path, here_too in ours.files.items():
        seen = found.files[path]
        if seen != here_too:
            how = seen if isinstance(seen, str) else "another size or time of change"
            raise VidxError(
                f"node {node.name} does not see {path} as this machine does: {how}",
                "Mount the folder of the videos under the same path on all nodes, or leave that "
                "node out of the cluster.",
            )


def _public(version: str | None) -> str | None:
    """A version without what tells builds apart, such as that of torch for CUDA."""
    return version and version.partition("+")[0]
