"""From the text of an expression to sqlglot's tree, and from its parts back to their places."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import Token, TokenType, tokenize
from sqlglot.errors import ParseError, TokenError
from sqlglot.expressions import And, Condition, Expr, Or
from sqlglot.parser import Parser

from vidx.errors import UsageError

MAX_CHARACTERS = 10_000
MAX_NESTING = 20  # of brackets or prefixes: the parser takes some twenty frames of the stack each
MAX_DEPTH = 50  # of operators

SHOWN = 60  # characters of an expression before and after the place of an error

_OPENING = {TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE}
_CLOSING = {TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE}
_PREFIXES = {TokenType.NOT, TokenType.DASH, TokenType.PLUS, TokenType.TILDE}


class Source:
    """The text of an expression.

    Args:
        text: As the user wrote it.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def error(self, problem: str, place: int | Expr | None, step: str = "") -> UsageError:
        """An error that points at a place, as a number of characters or a part of the tree."""
        at = place_of(place) if isinstance(place, Expr) else place
        shown = "" if at is None else f"\n{self._pointed(at)}"
        return UsageError(f"{problem}{shown}", step)

    def _pointed(self, at: int) -> str:
        """The line around a place, and under it a caret."""
        start = self.text.rfind("\n", 0, at) + 1
        end = self.text.find("\n", at)
        start, end = max(start, at - SHOWN), min(len(self.text) if end < 0 else end, at + SHOWN)
        line = "".join(one if one.isprintable() else "?" for one in self.text[start:end])
        return f"  {line}\n  {' ' * (at - start)}^"


def parse(source: Source) -> Expr:
    """The tree of an expression, of whatever sqlglot reads as one condition.

    Raises:
        UsageError: It is no single condition, or too long or too deep.
    """
    tokens = _tokens(source)
    try:
        [tree] = Parser().parse_into(Condition, tokens, source.text)
    except ParseError as error:
        raise _unparsable(source, tokens, error) from None
    except RecursionError:
        raise _too_deep(source, None) from None
    assert tree is not None  # noqa: S101 - there is a token
    if _depth(tree) > MAX_DEPTH:
        raise _too_deep(source, None)
    return tree


def place_of(node: Expr) -> int | None:
    """Where in the text a part of the tree begins, or what holds it."""
    found: Expr | None = node
    while found is not None:
        starts: list[int] = [one.meta["start"] for one in found.walk() if "start" in one.meta]
        if starts:
            return min(starts)
        found = found.parent
    return None


def _tokens(source: Source) -> list[Token]:
    text = source.text
    if len(text) > MAX_CHARACTERS:
        raise source.error(
            f"an expression of {len(text):,} characters: {MAX_CHARACTERS:,} are allowed", None
        )
    for at, one in enumerate(text):
        if one == "\0" or "\ud800" <= one <= "\udfff":
            raise source.error(f"an expression is text, and has no {one!r}", at)
    try:
        tokens = tokenize(text)
    except TokenError:
        raise source.error("a quote or a comment is not closed", _opened(text)) from None
    _refuse_more(source, tokens)
    _refuse_depth(source, tokens)
    return tokens


def _opened(text: str) -> int | None:
    """Where the quote opens that nothing closes."""
    opened: int | None = None
    for at, one in enumerate(text):
        if one in "'\"" and opened is None:
            opened = at
        elif opened is not None and one == text[opened]:
            opened = None
    return opened


def _refuse_more(source: Source, tokens: list[Token]) -> None:
    """No comment lies between the tokens, and no statement follows."""
    end = 0
    for start, after in [*((one.start, one.end + 1) for one in tokens), (len(source.text), 0)]:
        between = source.text[end:start]
        if between.strip():
            at = start - len(between.lstrip())
            raise source.error("an expression has no comments", at)
        end = after
    for token in tokens:
        if token.token_type == TokenType.SEMICOLON:
            raise source.error("an expression is one condition, and has no ;", token.start)
    if not tokens:
        raise source.error(
            "an empty expression", None, "Write a condition, such as duration_seconds < 60."
        )


def _refuse_depth(source: Source, tokens: list[Token]) -> None:
    """What nests deeper than the parser's stack is told before it begins."""
    nested = prefixes = 0
    for token in tokens:
        nested += (token.token_type in _OPENING) - (token.token_type in _CLOSING)
        prefixes = prefixes + 1 if token.token_type in _PREFIXES else 0
        if max(nested, prefixes) > MAX_NESTING:
            raise _too_deep(source, token.start)


def _too_deep(source: Source, at: int | None) -> UsageError:
    return source.error("the expression is nested too deeply", at, "Part it into several.")


def _depth(tree: Expr) -> int:
    """How deep a tree is, where a AND b AND c, however many, are one level."""
    deepest, left = 0, [(tree, 1)]
    while left:
        node, depth = left.pop()
        deepest = max(deepest, depth)
        for child in node.iter_expressions():
            same = isinstance(node, And | Or) and type(child) is type(node)
            left.append((child, depth if same else depth + 1))
    return deepest


def terms_of(node: And | Or) -> Iterator[Expr]:
    """What a chain of AND, or of OR, joins, from left to right."""
    left: list[Expr] = [node]
    while left:
        one = left.pop()
        if type(one) is type(node):
            left += [one.args["expression"], one.args["this"]]
        else:
            yield one


def _unparsable(source: Source, tokens: list[Token], error: ParseError) -> UsageError:
    """Where the parser was when it stopped: its own words speak of its classes."""
    told = error.errors[0] if error.errors else {}
    place = (told.get("line"), told.get("col"))
    at = next((one for one in tokens if (one.line, one.col) == place), tokens[0])
    more = any(word in str(told.get("description")) for word in ("missing", "Expecting"))
    if at is tokens[-1] and more:
        return source.error("the expression breaks off", len(source.text.rstrip()))
    return source.error("the expression cannot be read from here on", at.start)
