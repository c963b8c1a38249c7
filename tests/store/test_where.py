"""Expressions against a plain evaluation of each clip, and against those who mean harm."""

from __future__ import annotations

import fnmatch
import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_collections import LABELS, commit, draw_video
from sqlalchemy import event

import vidx
from vidx.errors import UsageError
from vidx.records import Problem, Source
from vidx.store.catalogue import Catalogue
from vidx.store.layout import Layout, read_manifest
from vidx.store.metadata.given import RESERVED
from vidx.store.where.columns import BUILT_IN
from vidx.store.writer import open_writer
from vidx.views import extend_index

CODECS = ("h264", "VP9", "it's", "50%_*")
SPLITS = (None, "train", "Train", "val's", "")
DAYS = (None, datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 2, 1, 12, 30, tzinfo=UTC))


@dataclass(frozen=True)
class Row:
    """One clip, and all that an expression can ask of it."""

    values: dict[str, Any]
    paths: tuple[str, ...]
    labels: dict[str, float]


def fill(layout: Layout) -> None:
    """Videos of many kinds, some removed, some cut anew, some newer than the index."""
    for first in (0, 12):
        commit(layout, *(drawn(number) for number in range(first, first + 12)))
    commit(layout, *(drawn(number, plan="finer") for number in (3, 14)))
    with open_writer(layout) as writer:
        writer.remove([*paths_of(4), *paths_of(5)[:1]])
    with vidx.open(layout.root) as collection:
        extend_index(collection._catalogue())
    commit(layout, *(drawn(number) for number in range(24, 30)))
    with open_writer(layout) as writer:
        writer.remove(paths_of(25))


def paths_of(number: int) -> tuple[str, ...]:
    paths = (f"/data/cats/{number}.mp4", f"/Data/[x]_{number}%.mkv", f"/e/new\nline '{number}'")
    return paths[: 1 + number % 3]


def drawn(number: int, plan: str = "plan") -> Any:
    problem = Problem("truncated", "it is cut") if number % 5 == 0 else None
    video = draw_video(f"v{number}", 1 + number % 4, plan=plan, problem=problem)
    info = replace(
        video.embedded.info,
        width=64 * (1 + number % 3),
        frame_rate=[0.0, 25.0, 29.97][number % 3],
        codec=CODECS[number % 4],
        is_mirrored=number % 2 == 1,
    )
    size = None if number % 7 == 0 else 1000 + number
    sources = [Source(path, size, "42") for path in paths_of(number)]
    return replace(video, embedded=replace(video.embedded, info=info), sources=sources)


def add_metadata(layout: Layout) -> None:
    """Of videos `split`, `taken on`, `rank` and `ok`; of clips `quality`. Not all have any."""
    with vidx.open(layout.root) as collection:
        paths = [path for number in range(30) if number % 3 for path in paths_of(number)[:1]]
        told = pa.table(
            {
                "path": paths,
                "split": [SPLITS[n % 5] for n in range(len(paths))],
                "taken on": pa.array([DAYS[n % 3] for n in range(len(paths))], pa.timestamp("us")),
                "rank": pa.array([n % 4 or None for n in range(len(paths))], pa.int64()),
                "ok": pa.array([[None, False, True][n % 3] for n in range(len(paths))], pa.bool_()),
            }
        )
        collection.set_metadata(told)
        ids = collection.clips()["clip_id"].to_pylist()[::2]
        quality = [n % 7 / 7 for n in ids]
        collection.set_metadata({"clip_id": ids, "quality": quality}, on="clip_id")


def rows_of(layout: Layout, collection: vidx.Collection) -> list[Row]:
    """All living clips, from the tables and by other code than is tested."""
    videos = {video["video_id"]: video for video in collection.videos().to_pylist()}
    query = "SELECT video_id, plan FROM videos JOIN takes ON takes.number = videos.take"
    with Catalogue(layout, read_manifest(layout)).reading() as connection:
        plans = dict(map(tuple, connection.exec_driver_sql(query)))
    found = []
    for clip in collection.clips().to_pylist():
        values = videos[clip["video_id"]] | clip | {"plan": plans[clip["video_id"]]}
        day = values["taken on"]
        values["taken on"] = None if day is None else micros(day.isoformat())
        labels = {label["name"]: label["score"] for label in clip["labels"]}
        found.append(Row(values, tuple(values["locations"]), labels))
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[vidx.Collection, list[Row]]:
    layout = Layout(tmp_path_factory.mktemp("where") / "collection")
    fill(layout)
    add_metadata(layout)
    collection = vidx.open(layout.root)
    return collection, rows_of(layout, collection)


# An expression drawn at random: its text, and what it is of a row, where None is SQL's null.
Drawn = tuple[str, Callable[[Row], Any]]


def column(name: str) -> Drawn:
    return (f'"{name}"' if " " in name else name), lambda row: row.values[name]


def label(name: str) -> Drawn:
    return f"label('{name}')", lambda row: row.labels.get(name, 0.0)


def constant(value: Any) -> Drawn:
    return quoted(value) if isinstance(value, str) else repr(value), lambda _: value


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def combined(symbol: str, join: Callable[[Any, Any], Any], one: Drawn, other: Drawn) -> Drawn:
    def value(row: Row) -> Any:
        first, second = one[1](row), other[1](row)
        return None if first is None or second is None else join(first, second)

    return f"({one[0]} {symbol} {other[0]})", value


def divided(one: float, other: float) -> float | None:
    return None if other == 0 else one / other


def remainder(one: int, other: int) -> int | None:
    return None if other == 0 else int(math.fmod(one, other))


WHOLE = st.sampled_from(
    [column(name) for name in ("width", "height", "size_bytes", "clip_id", "rank")]
) | st.integers(-3, 200).map(constant)
REALS = st.sampled_from(
    [column(name) for name in ("duration_seconds", "frame_rate", "start_seconds", "end_seconds")]
    + [column("quality"), *map(label, LABELS)]
) | st.sampled_from([0.0, 0.1, 0.25, 0.5, 2.0, 29.97]).map(constant)
ARITHMETIC = [("+", operator.add), ("-", operator.sub), ("*", operator.mul), ("/", divided)]
NUMBERS = st.recursive(
    WHOLE | REALS,
    lambda inner: (
        st.builds(
            lambda pair, one, other: combined(*pair, one, other),
            st.sampled_from(ARITHMETIC),
            inner,
            inner,
        )
        | st.builds(lambda one, other: combined("%", remainder, one, other), WHOLE, WHOLE)
    ),
    max_leaves=3,
)
TEXTS = st.sampled_from(
    [column(name) for name in ("codec", "container", "status", "problem_reason", "split", "plan")]
) | st.sampled_from([*CODECS, *SPLITS[1:], "whole", "truncated", "plan"]).map(constant)


def lowered(one: Drawn) -> Drawn:
    def value(row: Row) -> Any:
        text = one[1](row)
        return None if text is None else text.lower()

    return f"lower({one[0]})", value


def or_else(one: Drawn, other: Drawn) -> Drawn:
    def value(row: Row) -> Any:
        first = one[1](row)
        return other[1](row) if first is None else first

    return f"COALESCE({one[0]}, {other[0]})", value


TEXTS |= TEXTS.map(lowered) | st.builds(or_else, TEXTS, TEXTS)
COMPARISONS = [
    *(("=", operator.eq), ("<>", operator.ne), ("!=", operator.ne)),
    *(("<", operator.lt), ("<=", operator.le), (">", operator.gt), (">=", operator.ge)),
]
DAY_TEXTS = ("2026-01-31", "2026-02-01 12:30:00", "2026-02-01T13:30:00+01:00")
DAY_LITERALS = st.sampled_from(DAY_TEXTS).flatmap(
    lambda text: st.sampled_from(
        [(f"{prefix}'{text}'", lambda _, text=text: micros(text)) for prefix in ("", "timestamp ")]
    )
)


def micros(text: str) -> int:
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1e6)


def compared(pair: Any, one: Drawn, other: Drawn) -> Drawn:
    return combined(*pair, one, other)


def between(value: Drawn, low: Drawn, high: Drawn) -> Drawn:
    both = conjunction(
        combined(">=", operator.ge, value, low), combined("<=", operator.le, value, high)
    )
    return f"{value[0]} between {low[0]} and {high[0]}", both[1]


def among(value: Drawn, listed: list[Drawn]) -> Drawn:
    def passes(row: Row) -> Any:
        found, wanted = value[1](row), [one[1](row) for one in listed]
        if found is None:
            return None
        return True if found in wanted else None if None in wanted else False

    return f"{value[0]} in ({', '.join(one[0] for one in listed)})", passes


def is_null(value: Drawn) -> Drawn:
    return f"{value[0]} is null", lambda row: value[1](row) is None


def regex_of_like(pattern: str, flags: int = 0) -> re.Pattern[str]:
    parts = (".*" if one == "%" else "." if one == "_" else re.escape(one) for one in pattern)
    return re.compile("".join(parts), re.DOTALL | flags)


MATCHERS: dict[str, Callable[[str], re.Pattern[str]]] = {
    "like": regex_of_like,
    "ilike": lambda pattern: regex_of_like(pattern, re.IGNORECASE),
    "glob": lambda pattern: re.compile(fnmatch.translate(pattern)),
}
PATTERNS = ["%a%", "t%", "T____", "h2*", "*2*", "[a-t]*", "[!a-t]*", "", "%", "50%_*", "val's"]
PATHS = ["/data/%", "/data/cats/1?.mp4", "/D%", "/data/*", "*/[[]x]_*", "%[x]\\_%", "%'%"]
PATHS += [
    "*[]*",
    "*a[!]b*",
    "*[[]*",
    "*[]a]*",
    "*\n*",
    "%\n%",
    "/data/cats/[!0-8].mp4",
    "/data/cats/6.mp4",
    "%.MP4",
]


def matched(value: Drawn, how: str, pattern: str, *, negated: bool = False) -> Drawn:
    def passes(row: Row) -> Any:
        text = value[1](row)
        if text is None:
            return None
        return (MATCHERS[how](pattern).fullmatch(text) is not None) != negated

    word = f"not {how}" if negated and how != "glob" else how
    text = f"{value[0]} {word} {quoted(pattern)}"
    return (f"not {text}" if negated and how == "glob" else text), passes


def of_any_path(make: Callable[[Drawn], Drawn], *, negated: bool = False) -> Drawn:
    """A test of paths: true where it is of one of them, and its opposite where it is of none."""
    path: Drawn = ("path", lambda row: row.values["path"])
    text, passes = make(path)

    def of_one(row: Row, own: str) -> Any:
        return passes(replace(row, values=row.values | {"path": own}))

    plain = lambda row: any(of_one(row, own) is True for own in row.paths)  # noqa: E731
    none = lambda row: all(of_one(row, own) is True for own in row.paths)  # noqa: E731
    return text, none if negated else plain


KINDS = [
    st.builds(compared, st.sampled_from(COMPARISONS), NUMBERS, NUMBERS),
    st.builds(compared, st.sampled_from(COMPARISONS), TEXTS, TEXTS),
    st.builds(compared, st.sampled_from(COMPARISONS), st.just(column("taken on")), DAY_LITERALS),
    st.builds(
        compared,
        st.sampled_from(COMPARISONS[:3]),
        st.sampled_from([column("ok"), column("is_mirrored")]),
        st.sampled_from([column("is_mirrored"), ("true", lambda _: True)]),
    ),
    st.sampled_from([column("ok"), column("is_mirrored"), ("true", lambda _: True)]),
    st.sampled_from(
        [(f"ok is {word}", lambda row, to=to: row.values["ok"] is to)
         for word, to in (("true", True), ("false", False))]
    ),
    st.builds(between, NUMBERS, WHOLE, REALS),
    st.builds(among, TEXTS, st.lists(TEXTS, min_size=1, max_size=3)),
    st.builds(among, WHOLE, st.lists(WHOLE | REALS, min_size=1, max_size=3)),
    (NUMBERS | TEXTS).map(is_null),
    st.builds(
        lambda value, how, pattern, negated: matched(value, how, pattern, negated=negated),
        TEXTS,
        st.sampled_from(list(MATCHERS)),
        st.sampled_from(PATTERNS),
        st.booleans(),
    ),
    st.builds(
        lambda how, pattern, negated: of_any_path(
            lambda path: matched(path, how, pattern, negated=negated), negated=negated
        ),
        st.sampled_from(list(MATCHERS)),
        st.sampled_from(PATHS),
        st.booleans(),
    ),
    st.builds(
        lambda pair, number: of_any_path(
            lambda path: combined(*pair, path, constant(paths_of(number)[-1])),
            negated=pair[0] in ("<>", "!="),
        ),
        st.sampled_from(COMPARISONS),
        st.integers(0, 29),
    ),
]  # fmt: skip
TESTS = st.sampled_from(KINDS).flatmap(lambda kind: kind)


def negation(one: Drawn) -> Drawn:
    def value(row: Row) -> Any:
        found = one[1](row)
        return None if found is None else not found

    return f"not ({one[0]})", value


def conjunction(one: Drawn, other: Drawn) -> Drawn:
    def value(row: Row) -> Any:
        found = (one[1](row), other[1](row))
        return False if False in found else None if None in found else True

    return f"({one[0]} and {other[0]})", value


def disjunction(one: Drawn, other: Drawn) -> Drawn:
    def value(row: Row) -> Any:
        found = (one[1](row), other[1](row))
        return True if True in found else None if None in found else False

    return f"({one[0]} or {other[0]})", value


CONDITIONS = st.recursive(
    TESTS,
    lambda inner: (
        inner.map(negation)
        | st.builds(conjunction, inner, inner)
        | st.builds(disjunction, inner, inner)
    ),
    max_leaves=5,
)


def check(made: tuple[vidx.Collection, list[Row]], drawn: Drawn) -> None:
    collection, rows = made
    text, passes = drawn
    expected = [row.values["clip_id"] for row in rows if passes(row) is True]
    assert collection.where(text).clip_ids().tolist() == expected, text


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn=CONDITIONS)
def test_an_expression_selects_what_a_plain_evaluation_of_each_clip_does(made, drawn) -> None:
    check(made, drawn)


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_each_kind_of_test_is_true_where_a_plain_evaluation_is(made, kind: int) -> None:
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(drawn=KINDS[kind], negated=st.booleans())
    def draw(drawn: Drawn, *, negated: bool) -> None:
        check(made, negation(drawn) if negated else drawn)

    draw()


def test_a_test_of_labels_that_is_null_for_one_clip_and_true_of_those_without(made) -> None:
    collection, rows = made
    row = next(row for row in rows if "run" in row.labels)
    score = row.labels["run"]
    found = collection.where(f"label('run') / (label('run') - {score!r}) < 1").clip_ids()
    assert row.values["clip_id"] not in found
    assert set(found) >= {row.values["clip_id"] for row in rows if "run" not in row.labels}


def test_every_column_can_be_asked_for_and_is_documented(made, checkout: Path) -> None:
    collection, rows = made
    assert RESERVED.issuperset(BUILT_IN), "no metadata is called like a column of ours"
    page = (checkout / "docs/where.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \| [a-z]+ \|", page, re.MULTILINE) == list(BUILT_IN)
    for name, one in BUILT_IN.items():
        assert f"| `{name}` | {one.type} |" in page
        assert collection.where(f"{name.upper()} is not null or {name} is null").count() == len(
            rows
        )


def test_precedence_is_that_of_sql(made) -> None:
    collection, _ = made
    one = collection.where("width = 64 or width = 128 and not height = 48 or clip_id = 1")
    other = collection.where("width = 64 or (width = 128 and (not (height = 48))) or clip_id = 1")
    assert one.clip_ids().tolist() == other.clip_ids().tolist()
    assert one.count() > 0


def test_a_thousand_terms_are_one_expression(made) -> None:
    collection, rows = made
    text = " or ".join(f"clip_id={number}" for number in range(550))
    assert collection.where(text).count() == len(rows)
    listed = ",".join(map(str, range(1900)))
    assert collection.where(f"clip_id in ({listed})").count() == len(rows)


def test_values_are_bound_and_never_part_of_a_statement(made, monkeypatch) -> None:
    """What users write is among the parameters alone, whatever it looks like."""
    collection, _ = made
    engine = collection._catalogue().engine
    asked: list[tuple[str, Any]] = []
    listen = lambda *call: asked.append((call[2], call[3]))  # noqa: E731
    event.listen(engine, "before_cursor_execute", listen)
    hostile = "x'; DROP TABLE clips; --"
    texts = [f"codec = {quoted(hostile)}", f"path like {quoted(hostile + '%')}"]
    texts += [f"codec in ({quoted(hostile)}, 'a')", "width = 98765", "\"taken on\" > '2031-01-01'"]
    texts += [f"path glob {quoted(hostile)}", f"codec ilike {quoted(hostile)}"]
    for text in texts:
        assert collection.where(text).count() == 0
    event.remove(engine, "before_cursor_execute", listen)
    statements = " ".join(statement for statement, _ in asked)
    assert not re.search(r"DROP|98765|taken on|2031", statements)
    assert sum("DROP TABLE clips" in str(parameters) for _, parameters in asked) == 5


@pytest.mark.sqlite
@pytest.mark.parametrize("text", ["label('run') > .2", "not label('run') > .2"])
def test_a_label_is_looked_for_by_its_index(made, text) -> None:
    collection, _ = made
    engine, asked = collection._catalogue().engine, []
    listen = lambda *call: asked.append((call[2], call[3]))  # noqa: E731
    event.listen(engine, "before_cursor_execute", listen)
    collection.where(f"{text} and clip_id >= {len(text)}").count()  # as nobody asked before
    event.remove(engine, "before_cursor_execute", listen)
    plans = []
    with engine.begin() as connection:
        for statement, parameters in asked:
            if "clip_labels" in statement:
                query = f"EXPLAIN QUERY PLAN {statement}"
                plans += [row[-1] for row in connection.exec_driver_sql(query, parameters)]
    assert any("clips_with_label" in step for step in plans)
    assert not any(step.startswith("SCAN") for step in plans)


HOSTILE = [
    ("codec =", "breaks off", 7),
    ("codec = 'h264", "quote or a comment is not closed", 8),
    ("codec = 'h264' width", "cannot be read from here on", 15),
    ("(codec = 'h264'", "breaks off", 15),
    ("codec = 'h264')", "cannot be read from here on", 14),
    ("", "empty expression", None),
    (" \n ", "empty expression", None),
    ("duration < 60", "no column 'duration'", 0),
    ("width > 1 and durations_seconds < 60", "Did you mean 'duration_seconds'", 14),
    ('codec = "h264"', "Text stands in single quotes", 8),
    ("label('wlak') > .4", "Did you mean 'walk'", 6),
    ("label(codec) > .4", "label\\(\\) takes one name", 0),
    ("label('walk', 'run') > .4", "label\\(\\) takes one name", 0),
    ("label(distinct 'walk') > .4", "label\\(\\) takes one name", 0),
    ("label() > .4", "label\\(\\) takes one name", 0),
    ("label('walk')", "is no condition", 0),
    ("width", "width, an integer, is no condition", 0),
    ("codec > 5", "codec, a text, cannot be compared with 5, an integer", 8),
    ("width = '5'", "width, an integer, cannot be compared with '5', a text", 8),
    ("width in (1, 'a')", "cannot be compared", 13),
    ("width between 1 and 'a'", "cannot be compared", 20),
    ("is_mirrored < true", "has no order", 0),
    ("is_mirrored = 1", "cannot be compared", 14),
    ("codec + 1 = 2", "where a number is needed", 0),
    ("frame_rate % 2 = 0", "whole numbers", 0),
    ("lower(width) = 'a'", "lower\\(\\) takes text", 0),
    ("width like 'a'", "matches no pattern", 0),
    ("codec like width", "a pattern is a text", 11),
    ("codec like 'a' escape '!'", "is not allowed here", 0),
    ("\"taken on\" > 'yesterday'", "is no time", 13),
    ("\"taken on\" > date '2026-13-01'", "is no time", 18),
    ('"taken on" > 5', "cannot be compared", 13),
    ("codec = null", "NULL equals nothing", 0),
    ("width in ()", "IN takes a list", 0),
    ("1e999 > width", "too large a number", 0),
    ("1e > width", "is no number", 0),
    ("width = 1; DROP TABLE clips", "has no ;", 9),
    ("width = 1;", "has no ;", 9),
    ("width = 1 -- and more", "has no comments", 10),
    ("width = /* here */ 1", "has no comments", 8),
    ("width = 1 {# here #}", "has no comments", 10),
    ("/* all */", "has no comments", 0),
    ("width = (select 1)", "no queries", None),
    ("width in (select width from videos)", "no queries", 0),
    ("exists(select 1)", "no queries", None),
    ("width = any (select 1)", "no queries", None),
    ("select 1", "cannot be read from here on", 0),
    ("1 = 1 union select 2", "cannot be read from here on", 6),
    ("with a as (select 1) select * from a", "cannot be read from here on", 0),
    ("drop table clips", "cannot be read from here on", None),
    ("pragma writable_schema = 1", "cannot be read from here on", None),
    ("attach database 'x' as y", "cannot be read from here on", None),
    ("load_extension('/tmp/x.so')", "no function load_extension\\(\\)", 0),
    ("readfile('/etc/passwd') = 'x'", "no function readfile\\(\\)", 0),
    ("writefile('/tmp/x', 'y') = 1", "no function writefile\\(\\)", 0),
    ("fts3_tokenizer('x') = 1", "no function fts3_tokenizer\\(\\)", 0),
    ("abs(width) = 1", "no function abs\\(\\)", 0),
    ("count(*) > 1", "no function count\\(\\)", 0),
    ("randomblob(1000000000) = 'x'", "no function randomblob\\(\\)", 0),
    ("row_number() over () = 1", "is not allowed here", None),
    ("label('run') filter (where width > 1) > 1", "is not allowed here", 0),
    ("current_timestamp > 'x'", "no function current_timestamp\\(\\)", None),
    ("case when width > 1 then true else false end", "no function case|not allowed", None),
    ("if(width > 1, 2, 3) = 2", "no function if|not allowed", None),
    ("cast(width as text) = '64'", "is not allowed here", 5),
    ("width::text = '64'", "is not allowed here", 0),
    ("codec || 'x' = 'y'", "is not allowed here", 0),
    ("width & 1 = 1", "is not allowed here", 0),
    ("width << 1 = 1", "is not allowed here", 0),
    ("codec regexp '(a+)+'", "no function|not allowed", 0),
    ("codec similar to 'x'", "is not allowed here", 0),
    ("codec collate nocase = 'x'", "no function|not allowed", 0),
    ("videos.codec = 'x'", "is not allowed here", 0),
    ("sqlite_master.name = 'x'", "is not allowed here", 0),
    ("codec = ?", "is not allowed here", 0),
    ("codec = :name", "is not allowed here", 0),
    ("codec = @name", "is not allowed here", 0),
    ("codec = $1", "no column '\\$1'", 8),
    ("{{ codec }} = 1", "is not allowed here|no function", None),
    ("codec -> 'x' = 1", "is not allowed here|no function", 0),
    ("(width, height) = (1, 2)", "is not allowed here", None),
    ("width between symmetric 1 and 2", "is not allowed here", 0),
    ("width is distinct from 1", "is not allowed here", 0),
    ("width < height < 3", "is not allowed here", 0),
    ("width + not height = 1", "is not allowed here", None),
    ("coalesce(width > 1, true)", "is not allowed here", None),
    ("coalesce(width, 'x') = 1", "cannot be compared", 16),
    ("coalesce(" + ", ".join(["width"] * 101) + ") = 1", "takes 100 values at most", None),
    ("width is true", "is not allowed here", 0),
    ("* = 1", "is not allowed here", 0),
    ("codec = 'a\0b'", "has no '.x00'", 10),
    ("codec = '\udcff'", "has no '.udcff'", 9),
    ("codec = '" + "x" * 1_000_000 + "'", "1,000,010 characters", None),
    ("(" * 500 + "width = 1" + ")" * 500, "nested too deeply", 20),
    ("(" * 5000, "nested too deeply", 20),
    ("not " * 2400 + "is_mirrored", "nested too deeply", 80),
    ("width = " + "- " * 4000 + "1", "nested too deeply", None),
    ("lower(" * 1000 + "codec" + ")" * 1000 + " = 'x'", "nested too deeply", None),
    ("1" + "+1" * 4000 + " = width", "nested too deeply", None),
    ("case when " * 900, "nested too deeply|cannot be read|breaks off", None),
    ("a between " * 900, "nested too deeply|cannot be read|breaks off", None),
]


@pytest.mark.parametrize(("text", "told", "place"), HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_no_expression_is_one_clear_error(made, text, told, place) -> None:
    collection, rows = made
    with pytest.raises(UsageError, match=told) as raised:
        collection.where(text)
    message = str(raised.value)
    assert len(message) < 1000
    assert all(character.isprintable() or character == "\n" for character in message)
    if place is not None:
        line, caret = next(pair for pair in pairwise(message.split("\n")) if pair[1].strip() == "^")
        from_there = "".join(one if one.isprintable() else "?" for one in text[place : place + 30])
        assert line[caret.index("^") :][:30] == from_there
    assert collection.where("clip_id >= 0").count() == len(rows), "and the collection is whole"


def test_text_stays_text_whatever_is_in_it(made) -> None:
    collection, _ = made
    plain = [
        "a; drop table clips",
        "a -- b",
        "/* a */",
        "{{ a }}",
        "?",
        ":a",
        "%s",
        "a\\",
        '"',
        "`",
    ]
    for text in [*plain, "x" * 9000, "\u202e", "'); --"]:
        assert collection.where(f"codec = {quoted(text)}").count() == 0
        assert collection.where(f"path glob {quoted(text)}").count() == 0


def test_an_error_in_a_long_expression_shows_the_line_around_it(made) -> None:
    collection, _ = made
    text = "width > 1\nand width > 2 and " + "height > 3 and " * 100 + "widht > 4 and height > 5"
    with pytest.raises(UsageError) as raised:
        collection.where(text)
    _, line, caret, step = str(raised.value).split("\n")
    assert line[caret.index("^") :].startswith("widht > 4")
    assert len(line) < 130
    assert step.startswith("Did you mean 'width'")


def test_a_coalesce_of_one_value_is_that_value(filled: Layout) -> None:
    with vidx.open(filled.root) as collection:
        of_one = collection.where("coalesce(duration_seconds) > 0")
        assert of_one.count() == collection.where("duration_seconds > 0").count() > 0
