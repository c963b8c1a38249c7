"""The values in an expression: columns, literals, labels and what is made of them, with types."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Float, Text, cast, func, literal
from sqlglot import expressions as exp
from sqlglot.expressions import Expr

from vidx.errors import UsageError
from vidx.store.where.columns import Column, Names, nearest
from vidx.store.where.syntax import Source

ALLOWED = (
    "Allowed are AND, OR, NOT, = <> < <= > >=, IN, BETWEEN, IS NULL, LIKE, ILIKE, GLOB, + - * / %, "
    "label(), concept(), snapshot(), lower(), coalesce(), columns, numbers, 'text', TRUE, FALSE, "
    "DATE and TIMESTAMP."
)
MOST_VALUES = 100  # of a function of SQLite
SHOWN = 60  # characters of a name in a message

_NUMBERS = ("integer", "real")
_TOLD = {
    "text": "a text",
    "integer": "an integer",
    "real": "a real number",
    "boolean": "a boolean",
    "timestamp": "a time",
}
_ARITHMETIC: dict[type[Expr], Callable[[Any, Any], Any]] = {
    exp.Add: operator.add,
    exp.Sub: operator.sub,
    exp.Mul: operator.mul,
    exp.Div: lambda one, other: cast(one, Float(53)) / func.nullif(other, 0),
    exp.Mod: lambda one, other: one % func.nullif(other, 0),
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Value:
    """A part of an expression that has a value.

    Attributes:
        sql: What it is in SQL.
        type: As a column's.
        node: Where it stands.
    """

    sql: Any
    type: str
    node: Expr

    @property
    def kind(self) -> str:
        """What it can be compared with: all numbers are of one kind."""
        return "number" if self.type in _NUMBERS else self.type

    def __str__(self) -> str:
        """Such as `codec, a text`."""
        return f"{short(self.node.sql())}, {_TOLD[self.type]}"


class Values:
    """Turns parts of a tree into values, and refuses what is not on the list.

    Args:
        source: Where the tree comes from.
        names: What is known.
        score: Gives a label's score in SQL, from its numbers.
    """

    def __init__(self, source: Source, names: Names, score: Callable[[list[int]], Any]) -> None:
        self.source = source
        self.names = names
        self.score = score

    def value(self, node: Expr) -> Value:
        """The value of a part."""
        if isinstance(node, exp.Paren):
            return self.value(node.this)
        if isinstance(node, exp.Column):
            column = self.column(node)
            return Value(column.sql, column.type, node)
        if isinstance(node, exp.Literal | exp.Boolean | exp.Cast):
            return self._literal(node)
        if isinstance(node, exp.Neg):
            [one] = self._numbers([node.this])
            return Value(-one.sql, one.type, node)
        if type(node) in _ARITHMETIC:
            return self._calculated(node)
        if isinstance(node, exp.Null):
            raise self.source.error("NULL equals nothing", node, "Ask IS NULL or IS NOT NULL.")
        if isinstance(node, exp.Func) and not isinstance(node, exp.Predicate | exp.Connector):
            return self._called(node)
        raise self.refused(node)

    def alike(self, nodes: Sequence[Expr]) -> list[Value]:
        """Values that can be compared with one another."""
        values = [self.value(node) for node in nodes]
        if any(value.kind == "timestamp" for value in values):
            values = [self._time(one.node) if _is_text(one.node) else one for one in values]
        for value in values[1:]:
            if value.kind != values[0].kind:
                problem = f"{values[0]}, cannot be compared with {value}"
                raise self.source.error(problem, value.node, "Both must be of one type.")
        return values

    def column(self, node: Expr) -> Column:
        """The column that is named."""
        self.only(node, "this")
        name, quoted = node.name, bool(node.this.args.get("quoted"))
        column = self.names.column(name, quoted=quoted)
        if column is None:
            text = "Text stands in single quotes." if quoted else ""
            listed = f"There are: {', '.join(self.names.columns)}."
            step = nearest(name.lower(), self.names.columns) or text or listed
            raise self.source.error(f"there is no column {short(name)!r}", node, step)
        return column

    def label(self, node: Expr) -> list[int]:
        """The numbers of the label that is named."""
        name = self._named(node, "label('walks')")
        if name not in self.names.labels:
            problem = f"no clip of the collection has the label {short(name)!r}"
            raise self.source.error(problem, node.expressions[0], nearest(name, self.names.labels))
        return self.names.labels[name]

    def snapshot(self, node: Expr) -> str:
        """The snapshot that is named."""
        name = self._named(node, "snapshot('v1')")
        if name not in self.names.snapshots:
            there = ", ".join(map(repr, self.names.snapshots)) or "none"
            step = nearest(name, self.names.snapshots) or f"There are: {there}."
            problem = f"there is no snapshot {short(name)!r}"
            raise self.source.error(problem, node.expressions[0], step)
        return name

    def concept(self, node: Expr) -> str:
        """The concept that is named."""
        name = self._named(node, "concept('fight')")
        if name not in self.names.concepts:
            there = ", ".join(map(repr, self.names.concepts)) or "none"
            step = nearest(name, self.names.concepts) or f"There are: {there}."
            problem = f"there is no concept {short(name)!r}"
            raise self.source.error(problem, node.expressions[0], step)
        return name

    def _named(self, node: Expr, example: str) -> str:
        """The one text that a call names something by."""
        self.only(node, "this", "expressions")
        names = node.expressions
        if len(names) != 1 or not _is_text(names[0]):
            call = example.partition("(")[0]
            raise self.source.error(f"{call}() takes one name, such as {example}", node)
        return str(names[0].name)

    def only(self, node: Expr, *arguments: str) -> None:
        """Refuse a part that says more than is read of it."""
        if any(value for name, value in node.args.items() if name not in arguments):
            raise self.refused(node)

    def refused(self, node: Expr) -> UsageError:
        """What is said of a part that is not on the list."""
        if isinstance(node, exp.Query) or node.find(exp.Query):
            return self.source.error("an expression has no queries in it", node, ALLOWED)
        return self.source.error(f"{short(node.sql())} is not allowed here", node, ALLOWED)

    def _literal(self, node: Expr) -> Value:
        if isinstance(node, exp.Boolean):
            return Value(literal(bool(node.this), Boolean()), "boolean", node)
        if isinstance(node, exp.Cast):
            times = type(node) is exp.Cast and node.to.is_type("date", "timestamp")
            if not times or not _is_text(node.this):
                raise self.refused(node)
            return self._time(node.this)
        if node.args["is_string"]:
            return Value(literal(node.name, Text()), "text", node)
        return self._number(node)

    def _number(self, node: Expr) -> Value:
        try:
            number = float(node.name)
        except ValueError:
            raise self.source.error(f"{short(node.name)} is no number", node) from None
        if not math.isfinite(number):
            raise self.source.error(f"{short(node.name)} is too large a number", node)
        if node.name.isdecimal() and int(node.name) < 2**63:
            return Value(literal(int(node.name), BigInteger()), "integer", node)
        return Value(literal(number, Float()), "real", node)

    def _time(self, node: Expr) -> Value:
        """A text as a time, in microseconds since 1970; without a zone it is in UTC."""
        try:
            moment = datetime.fromisoformat(node.name)
        except ValueError:
            problem = f"{short(node.name)!r} is no time"
            raise self.source.error(problem, node, "Write it as '2026-12-31 23:59:59'.") from None
        since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
        micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        return Value(literal(micros, BigInteger()), "timestamp", node)

    def _calculated(self, node: Expr) -> Value:
        self.only(node, "this", "expression", "typed", "safe")
        one, other = self._numbers([node.this, node.expression])
        whole = one.type == other.type == "integer" and not isinstance(node, exp.Div)
        if isinstance(node, exp.Mod) and not whole:
            raise self.source.error("% takes whole numbers", node)
        sql = _ARITHMETIC[type(node)](one.sql, other.sql)
        return Value(sql, "integer" if whole else "real", node)

    def _numbers(self, nodes: Sequence[Expr]) -> list[Value]:
        values = [self.value(node) for node in nodes]
        for value in values:
            if value.kind != "number":
                raise self.source.error(f"{value}, where a number is needed", value.node)
        return values

    def _called(self, node: exp.Func) -> Value:
        if is_call(node, "label"):
            return Value(self.score(self.label(node)), "real", node)
        if isinstance(node, exp.Lower):
            value = self.value(node.this)
            if value.type != "text":
                raise self.source.error(f"{value}: lower() takes text", node)
            return Value(self.names.words.lower(value.sql), "text", node)
        if isinstance(node, exp.Coalesce):
            self.only(node, "this", "expressions")
            values = self.alike([node.this, *node.expressions])
            if len(values) > MOST_VALUES:
                raise self.source.error(f"coalesce() takes {MOST_VALUES} values at most", node)
            if len(values) == 1:  # SQLite takes two or more
                return Value(values[0].sql, values[0].type, node)
            types = {value.type for value in values}
            sql = func.coalesce(*(value.sql for value in values))
            return Value(sql, "real" if len(types) > 1 else values[0].type, node)
        if is_call(node, "snapshot"):
            problem = "snapshot() is a condition by itself, and has no value"
            raise self.source.error(problem, node, "Join it with AND, OR and NOT.")
        if is_call(node, "concept"):
            problem = "concept() is compared with a number, and nothing else"
            raise self.source.error(problem, node, "Write it as concept('fight') > .8.")
        name = node.name if isinstance(node, exp.Anonymous) else node.sql_name().lower()
        raise self.source.error(f"there is no function {short(name)}()", node, ALLOWED)


def is_call(node: Expr, name: str) -> bool:
    """Whether a part is a call of label(), or snapshot()."""
    return isinstance(node, exp.Anonymous) and node.name.lower() == name


def short(text: str) -> str:
    """Text of a user as it is shown in a message: the begin, without what drives a terminal."""
    shown = "".join(one if one.isprintable() else "?" for one in text[:SHOWN])
    return shown if len(text) <= SHOWN else f"{shown}..."


def _is_text(node: Expr) -> bool:
    return isinstance(node, exp.Literal) and node.is_string
