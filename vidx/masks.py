"""Which clips of a view are meant: rules, and the masks over its rows that they come to."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial, reduce
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vidx.errors import UnknownId, UsageError
from vidx.options import SearchOptions
from vidx.store.catalogue import Catalogue
from vidx.views import View

if TYPE_CHECKING:
    from vidx.store.where.conditions import Answer, Condition, Scored

MOST_DEPTH = 50  # of selections within selections

Mask: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Where:
    """The clips of which an expression is true."""

    text: str

    @property
    def depth(self) -> int:
        """Nothing lies within it."""
        return 0

    def __str__(self) -> str:
        return f"where({self.text!r})"


@dataclass(frozen=True, eq=False)
class Chosen:
    """Some clips that were chosen once, whatever becomes of the collection.

    Attributes:
        clip_ids: Which, int64, shape (n,).
        told: How, such as `sample(100, 'diverse', seed=0)`.
    """

    clip_ids: NDArray[np.int64]
    told: str

    @property
    def depth(self) -> int:
        """Nothing lies within it."""
        return 0

    def __str__(self) -> str:
        return self.told


@dataclass(frozen=True, slots=True)
class Saved:
    """The clips of a snapshot, by its name."""

    name: str

    @property
    def depth(self) -> int:
        """Nothing lies within it."""
        return 0

    def __str__(self) -> str:
        return f"selection({self.name!r})"


@dataclass(frozen=True)
class Joined:
    """What several rules come to together.

    Attributes:
        how: `&` for the clips of all, `|` for those of any, `-` for those of the first alone.
        parts: The rules, at least two.
    """

    how: str
    parts: tuple[Rule, ...]

    @cached_property
    def depth(self) -> int:
        """How many rules lie within each other."""
        return 1 + max(part.depth for part in self.parts)

    def __str__(self) -> str:
        inner = (f"({part})" if isinstance(part, Joined) else str(part) for part in self.parts)
        return f" {self.how} ".join(inner)


Rule: TypeAlias = Where | Chosen | Saved | Joined


def joined(how: str, first: Rule, second: Rule) -> Rule:
    """Two rules as one; chains of one kind stay flat, however long they are.

    Raises:
        UsageError: Rules of different kinds lie too deep within each other.
    """
    before = first.parts if isinstance(first, Joined) and first.how == how else (first,)
    flat = isinstance(second, Joined) and second.how == how != "-"
    behind = second.parts if isinstance(second, Joined) and flat else (second,)
    parts = (*before, *behind)
    if how != "-":  # the same twice says no more
        parts = tuple(dict.fromkeys(parts))
    rule = Joined(how, parts) if len(parts) > 1 else parts[0]
    if rule.depth > MOST_DEPTH:
        raise UsageError(
            f"selections are joined {rule.depth} deep: {MOST_DEPTH} is the most.",
            "Note what is meant as metadata, and select by that.",
        )
    return rule


def allowed_rows(catalogue: Catalogue, view: View, options: SearchOptions) -> Mask | None:
    """The living rows that a search's options allow; None when all rows are.

    Raises:
        UsageError: An expression or a label is wrong, or a selection is another collection's.
    """
    rule = _rule_of(options, catalogue)
    return view.live if rule is None else living_rows(catalogue, view, rule)


def living_rows(catalogue: Catalogue, view: View, rule: Rule) -> Mask:
    """The living rows that a rule leaves, shape (rows,); asked once a view."""

    def alive() -> Mask:
        rows = _rows(catalogue, view, rule)
        return rows if view.live is None else rows & view.live

    return view.mask(("living", rule), alive)


def chosen(view: View, clip_ids: NDArray[np.int64]) -> Chosen:
    """The rule for some living clips.

    Raises:
        UnknownId: One of them does not live.
    """
    wanted = np.unique(clip_ids)
    rows = view.index.rows_of(wanted)
    living = view.index.of_rows(rows if view.live is None else rows[view.live[rows]]).ids
    if len(gone := np.setdiff1d(wanted, living)):
        raise UnknownId.of(gone[0])
    return Chosen(wanted, f"choose({len(wanted)} clips)")


def check(catalogue: Catalogue, text: str) -> None:
    """See that an expression can be read.

    Raises:
        UsageError: It cannot.
    """
    from vidx.store.where.reading import read

    read(catalogue, text)


def _rule_of(options: SearchOptions, catalogue: Catalogue) -> Rule | None:
    """All that options say of which clips, as one rule."""
    parts: list[Rule] = []
    if names := options.label_names():
        labels: list[Rule] = [Where(f"label({_quoted(name)}) > 0") for name in names]
        parts.append(labels[0] if len(labels) == 1 else Joined("|", tuple(labels)))
    if (glob := options.path_glob) is not None:
        anchored = glob if glob.startswith(("/", "*")) else f"*/{glob}"
        parts.append(Where(f"path GLOB {_quoted(anchored)}"))
    if isinstance(options.where, str):
        parts.append(Where(options.where))
    elif options.where is not None:
        if options.where.collection.path != catalogue.layout.root:
            raise UsageError(
                f"{options.where!r} is of another collection than {catalogue.layout.root}"
            )
        parts.append(options.where.rule)
    return reduce(partial(joined, "&"), parts) if parts else None


def _quoted(text: str) -> str:
    """A text as an expression has it."""
    return "'" + text.replace("'", "''") + "'"


def _rows(catalogue: Catalogue, view: View, rule: Rule) -> Mask:
    """The rows that a rule leaves, living or not."""
    if isinstance(rule, Where):
        return view.mask(rule, lambda: _where(catalogue, view, rule.text))
    if isinstance(rule, Chosen):
        chosen = np.zeros(len(view.index), np.bool_)
        chosen[view.index.rows_of(rule.clip_ids)] = True
        return chosen
    if isinstance(rule, Saved):
        return view.mask(rule, lambda: _saved(catalogue, view, rule.name))
    return reduce(_JOINS[rule.how], (_rows(catalogue, view, part) for part in rule.parts))


_JOINS: dict[str, Callable[[Mask, Mask], Mask]] = {
    "&": operator.and_,
    "|": operator.or_,
    "-": lambda first, second: first & ~second,
}


def _where(catalogue: Catalogue, view: View, text: str) -> Mask:
    from vidx.store.where.reading import read

    return _passing(catalogue, view, read(catalogue, text))


def _saved(catalogue: Catalogue, view: View, name: str) -> Mask:
    from vidx.store.snapshots import clip_ids

    mask = np.zeros(len(view.index), np.bool_)
    mask[view.index.rows_of(clip_ids(catalogue, name))] = True
    return mask


def _passing(catalogue: Catalogue, view: View, condition: Condition) -> Mask:
    """The rows that pass a condition; each of its tests is asked once a view."""
    from vidx.store.where import conditions
    from vidx.store.where.conditions import Every, Scored, Test, ask

    if isinstance(condition, conditions.Saved):
        rows = _rows(catalogue, view, Saved(condition.name))
        return ~rows if condition.negated else rows
    if isinstance(condition, Scored):
        return view.mask(condition, lambda: _scored(catalogue, view, condition))
    if isinstance(condition, Test):
        return view.mask(("test", condition.text), lambda: _mask(view, ask(catalogue, condition)))
    join = np.logical_and if isinstance(condition, Every) else np.logical_or
    masks = (_passing(catalogue, view, part) for part in condition.parts)
    return reduce(join, masks)


def _scored(catalogue: Catalogue, view: View, asked: Scored) -> Mask:
    from vidx.concepts import scores_of

    scores = scores_of(catalogue, view, asked.name, np.arange(len(view.index)))
    passing: Mask = _COMPARED[asked.sign](scores, np.float32(asked.number))
    return ~passing if asked.negated else passing


_COMPARED: dict[str, Callable[[NDArray[np.float32], np.float32], Mask]] = {
    "=": np.equal,
    "<>": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


def _mask(view: View, answer: Answer) -> Mask:
    """The rows that an answer means."""
    if answer.of == "clip":
        mask = np.full(len(view.index), answer.others)
        mask[view.index.rows_of(answer.numbers)] = not answer.others
        return mask
    videos = view.index.videos()
    passing = np.zeros(max(videos.max(initial=0), answer.numbers.max(initial=0)) + 1, np.bool_)
    passing[answer.numbers] = True
    return passing[videos]
