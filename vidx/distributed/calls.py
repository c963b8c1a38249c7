"""Calls to a node, and what may come of them in place of an answer."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from vidx.errors import VidxError

if TYPE_CHECKING:
    from vidx.distributed.cluster import Node


class Lost(Exception):
    """Ray does not get on with a node, or with what runs there."""


@cache
def sent(what: Any) -> Any:
    """What Ray makes of a function or a class.

    It is made once, so that Ray sends it to the head node once: the fewer talks with that, the
    fewer that it can be lost amid, which ends this process.
    """
    import ray

    return ray.remote(what)


def there(node: Node) -> dict[str, Any]:
    """The options of Ray that have something run on a node, and nowhere else."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return {"scheduling_strategy": NodeAffinitySchedulingStrategy(node.id, soft=False)}


def answer(node: Node, awaited: Any, patience_seconds: float | None = None) -> Any:
    """Wait for what a node answers.

    Args:
        node: Which.
        awaited: What Ray calls the answer.
        patience_seconds: How long. None: until there is an answer, or never will be.

    Raises:
        VidxError: What was called there tells of it.
        Lost: There is no answer.
    """
    import ray
    from ray.exceptions import RayError, RayTaskError

    if not ray.wait([awaited], timeout=patience_seconds)[0]:
        raise Lost(f"no answer within {patience_seconds:g} seconds")
    try:
        return ray.get(awaited)
    except RayTaskError as error:
        cause = error.cause
        if isinstance(cause, VidxError):
            raise type(cause)(f"node {node.name}: {cause}") from error
        raise Lost(f"{type(cause).__name__}: {_first_line(cause)}") from error
    except RayError as error:
        raise Lost(f"{type(error).__name__}: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
