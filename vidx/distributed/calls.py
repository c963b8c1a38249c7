"""Calls to a node, and what may come of them in place of an answer."""

from __future__ import annotations

from typing import Any

from vidx.distributed.cluster import Node
from vidx.errors import VidxError


class Lost(Exception):
    """Ray does not get on with a node, or with what runs there."""


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
