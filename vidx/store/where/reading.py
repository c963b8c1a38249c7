"""From the text of an expression to what is asked of the catalogue. All values are bound."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, exists, false, func, literal, not_, select, true
from sqlglot import expressions as exp
from sqlglot.expressions import Expr

from vidx.store.catalogue import Catalogue
from vidx.store.sql import Words
from vidx.store.tables import clip_labels, clips, locations, videos
from vidx.store.where.columns import PATH, Names, names_of
from vidx.store.where.conditions import Condition, Every, Saved, Scored, Some, Test
from vidx.store.where.syntax import Source, parse, terms_of
from vidx.store.where.values import Values, is_call, short

_COMPARISONS: dict[type[Expr], Callable[[Any, Any], Any]] = {
    exp.EQ: operator.eq,
    exp.NEQ: operator.ne,
    exp.LT: operator.lt,
    exp.LTE: operator.le,
    exp.GT: operator.gt,
    exp.GTE: operator.ge,
}
SIGNS: dict[type[Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_TURNED = str.maketrans("<>", "><")
_PATTERNS: dict[type[Expr], Callable[[Words, Any, str], ColumnElement[bool]]] = {
    exp.Like: lambda words, value, pattern: words.like(value, pattern),
    exp.ILike: lambda words, value, pattern: words.ilike(value, pattern),
    exp.Glob: lambda words, value, pattern: words.glob(value, pattern),
}


def read(catalogue: Catalogue, text: str) -> Condition:
    """Read an expression.

    Args:
        catalogue: Whose columns and labels there are.
        text: Such as `label('walks') > .4 and duration_seconds < 60`.

    Returns:
        The tests it is made of. NOT has been carried into them.

    Raises:
        UsageError: It does not parse, names what is not there, or asks what cannot be asked; the
            message points at the place.
    """
    source = Source(text)
    tree = parse(source)
    return _Reader(source, names_of(catalogue)).condition(tree, negated=False)


class _Reader:
    """Turns a tree into tests, and refuses what is not on the list.

    Args:
        source: Where the tree comes from.
        names: What is known.
    """

    def __init__(self, source: Source, names: Names) -> None:
        self.source = source
        self.values = Values(source, names, _score_of_clip)
        self.without_labels = Values(source, names, lambda _numbers: literal(0.0))

    def condition(self, node: Expr, *, negated: bool) -> Condition:
        """A tree of AND, OR and NOT. What is left of NOT is the tests' own, with SQL's nulls."""
        if isinstance(node, exp.Paren):
            return self.condition(node.this, negated=negated)
        if isinstance(node, exp.Not):
            return self.condition(node.this, negated=not negated)
        if isinstance(node, exp.And | exp.Or):
            parts = tuple(self.condition(part, negated=negated) for part in terms_of(node))
            return Every(parts) if isinstance(node, exp.And) != negated else Some(parts)
        if is_call(node, "snapshot"):
            return Saved(self.values.snapshot(node), negated)
        if type(node) in _COMPARISONS and any(is_call(one, "concept") for one in _sides(node)):
            return self._scored(node, negated=negated)
        if node.args.get("negate"):
            node.set("negate", None)
            return self._test(node, negated=not negated)
        return self._test(node, negated=negated)

    def _scored(self, node: Expr, *, negated: bool) -> Scored:
        """A concept beside a number, on either side of the sign."""
        concept, number = _sides(node)
        sign = SIGNS[type(node)]
        if not is_call(concept, "concept"):
            concept, number = number, concept
            sign = sign if sign == "<>" else sign.translate(_TURNED)
        name, digits = self.values.concept(concept), number
        sign_of = -1.0 if isinstance(number, exp.Neg) else 1.0
        if isinstance(number, exp.Neg):
            digits = number.this.unnest()
        if not isinstance(digits, exp.Literal) or self.values.value(digits).kind != "number":
            problem = f"{short(number.sql())} is no number, and a concept is compared with one"
            raise self.source.error(problem, number, "Write it as concept('fight') > .8.")
        return Scored(name, sign, sign_of * float(digits.name), negated)

    def _test(self, node: Expr, *, negated: bool) -> Test:
        columns = frozenset(self.values.column(one) for one in node.find_all(exp.Column))
        if PATH in columns and isinstance(node, exp.NEQ):  # no path of the video is this one
            node, negated = exp.EQ(**node.args), not negated
        sql = _predicate(self.values, node)
        if PATH in columns:
            here = (locations.c.video == videos.c.number, locations.c.removed.is_(None))
            sql = exists().where(*here, sql)
        calls = [
            self.values.label(one) for one in node.find_all(exp.Anonymous) if is_call(one, "label")
        ]
        without = _predicate(self.without_labels, node) if calls and not columns else None
        return Test(
            f"NOT {node.sql()}" if negated else node.sql(),
            not_(sql) if negated else sql,
            columns,
            frozenset(number for numbers in calls for number in numbers),
            not_(without) if negated and without is not None else without,
        )


def _sides(node: Expr) -> tuple[Expr, Expr]:
    """What stands on both sides of a comparison, without parentheses."""
    return node.this.unnest(), node.expression.unnest()


def _score_of_clip(numbers: list[int]) -> Any:
    """The score of a label, by whichever source gives it the best; 0 where a clip has none."""
    best = (
        select(func.max(clip_labels.c.score))
        .where(clip_labels.c.clip_id == clips.c.clip_id, clip_labels.c.label.in_(numbers))
        .correlate(clips)
    )
    return func.coalesce(best.scalar_subquery(), 0.0)


def _predicate(values: Values, node: Expr) -> Any:
    """What is true or false of a clip."""
    if type(node) in _COMPARISONS:
        return _compared(values, node)
    if type(node) in _PATTERNS:
        return _matched(values, node)
    if isinstance(node, exp.In):
        return _among(values, node)
    if isinstance(node, exp.Between):
        return _between(values, node)
    if isinstance(node, exp.Is):
        return _is(values, node)
    value = values.value(node)
    if value.type != "boolean":
        raise values.source.error(f"{value}, is no condition", node, "Compare it with something.")
    return value.sql


def _compared(values: Values, node: Expr) -> Any:
    values.only(node, "this", "expression")
    one, other = values.alike([node.this, node.expression])
    if one.type == "boolean" and not isinstance(node, exp.EQ | exp.NEQ):
        raise values.source.error(f"{one}, has no order", node)
    return _COMPARISONS[type(node)](one.sql, other.sql)


def _matched(values: Values, node: Expr) -> Any:
    values.only(node, "this", "expression")
    value, pattern = values.value(node.this), node.expression
    if value.type != "text":
        raise values.source.error(f"{value}, matches no pattern: that is for text", node)
    if not (isinstance(pattern, exp.Literal) and pattern.is_string):
        raise values.source.error("a pattern is a text in single quotes", pattern)
    return _PATTERNS[type(node)](values.names.words, value.sql, pattern.name)


def _among(values: Values, node: Expr) -> Any:
    values.only(node, "this", "expressions")
    if not node.expressions:
        raise values.source.error("IN takes a list of values, such as (1, 2)", node)
    value, *others = values.alike([node.this, *node.expressions])
    return value.sql.in_([other.sql for other in others])


def _between(values: Values, node: Expr) -> Any:
    values.only(node, "this", "low", "high")
    value, low, high = values.alike([node.this, node.args["low"], node.args["high"]])
    if value.type == "boolean":
        raise values.source.error(f"{value}, has no order", node)
    return value.sql.between(low.sql, high.sql)


def _is(values: Values, node: Expr) -> Any:
    values.only(node, "this", "expression")
    value, wanted = values.value(node.this), node.expression
    if isinstance(wanted, exp.Null):
        return value.sql.is_(None)
    if not isinstance(wanted, exp.Boolean) or value.type != "boolean":
        raise values.refused(node)
    return value.sql.is_(true() if wanted.this else false())
