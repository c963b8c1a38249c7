"""Records again from what JSON made of them."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

Record = TypeVar("Record")


def record(kind: type[Record], told: Mapping[str, Any]) -> Record:
    """A record from its fields; what a later vidx tells besides is left out.

    Args:
        kind: A dataclass of numbers, text, records, and tuples of these.
        told: Its fields, as `dataclasses.asdict` and JSON made them.

    >>> from vidx.records import Label
    >>> record(Label, {"name": "archery", "score": 0.5})
    Label(name='archery', score=0.5)
    """
    hints = get_type_hints(kind)
    fields = [one.name for one in dataclasses.fields(kind) if one.name in told]  # type: ignore[arg-type]
    return kind(**{name: _value(hints[name], told[name]) for name in fields})


def _value(kind: Any, told: Any) -> Any:
    if told is None:
        return None
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(one for one in get_args(kind) if one is not type(None))
    if get_origin(kind) is tuple:
        return tuple(_value(get_args(kind)[0], one) for one in told)
    is_record = isinstance(kind, type) and dataclasses.is_dataclass(kind)
    return record(kind, told) if is_record else told
