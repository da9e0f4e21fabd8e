"""Filters and orders: each operator by example, each refusal, and random ones against plain Python."""

from __future__ import annotations

import json
import math
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from filter_oracle import MISSING, json_value, matches, ranked
from hypothesis import given
from hypothesis import strategies as st

from lineage.errors import ErrorKind, InvalidInputError
from lineage.filters import Compiled, Field, compile_filter, compile_order, register_functions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hypothesis.strategies import SearchStrategy

FIELDS = {
    "name": Field("run.name", "text"),
    "state": Field("run.name", "text", ("alpha", "beta", "gamma")),
    "started_at": Field("run.started_at", "time"),
    "duration": Field("run.duration", "number"),
    "step": Field("run.step", "number"),
    "config": Field("run.config", "json"),
    "summary": Field("run.summary", "json"),
    "tags": Field("SELECT tag AS value FROM run_tag WHERE run_tag.run = run.id", "set"),
}

TABLES = """
CREATE TABLE run (
    id INTEGER PRIMARY KEY, name TEXT, started_at TEXT, duration REAL, step INTEGER, config TEXT, summary TEXT
) STRICT;
CREATE INDEX run_name ON run (name);
CREATE TABLE run_tag (run INTEGER NOT NULL, tag TEXT NOT NULL, PRIMARY KEY (run, tag)) STRICT;
"""


@dataclass(frozen=True)
class Row:
    """One run as Python sees it."""

    id: int
    name: str | None = None
    started_at: str | None = None
    duration: float | None = None
    step: int | None = None
    config: object = None
    summary: object = None
    tags: frozenset[str] = frozenset()

    def get(self, key: str) -> object:
        """Return the value for a key of a filter."""
        head, dot, rest = key.partition(".")
        if dot:
            return json_value(getattr(self, head), rest)
        value = getattr(self, head)
        return MISSING if value is None else value


def text(document: object) -> str | None:
    """Return a document as it is stored."""
    return None if document is None else json.dumps(document, ensure_ascii=False)


def connect() -> sqlite3.Connection:
    """Return an empty database in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(TABLES)
    register_functions(connection)
    return connection


def fill(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Put `rows` in place of what the database holds."""
    connection.execute("DELETE FROM run")
    connection.execute("DELETE FROM run_tag")
    for row in rows:
        values = (row.id, row.name, row.started_at, row.duration, row.step, text(row.config), text(row.summary))
        connection.execute("INSERT INTO run VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        connection.executemany("INSERT INTO run_tag VALUES (?, ?)", [(row.id, tag) for tag in row.tags])


def select(connection: sqlite3.Connection, condition: Compiled, order: str = "run.id") -> list[int]:
    """Return the ids of the rows that the condition lets through."""
    query = "SELECT id FROM run WHERE " + condition.sql + " ORDER BY " + order
    return [row[0] for row in connection.execute(query, condition.parameters)]


EXAMPLES = [
    Row(1, name="alpha", started_at="2026-01-02T03:04:05.000006Z", duration=1.5, step=3, tags=frozenset({"x", "y"}),
        config={"lr": 0.1, "flag": True, "note": None, "optim": {"name": "sgd", "lr": 1}, "list": [1], "text": "10"}),
    Row(2, name="beta", started_at="2026-03-01T00:00:00.000000Z", duration=-2.0, step=0, tags=frozenset({"x"}),
        config={"lr": 1, "flag": False, "note": "é", "optim.lr": 5, "optim": {"lr": 7}, "list": "1", "text": 10}),
    Row(3, config={"lr": "0.1", "flag": 1, "optim": {"lr": 9}, "optim.lr": None}, summary={"val/acc": 0.9}),
    Row(4),
]  # fmt: skip


@pytest.fixture
def examples() -> Iterator[sqlite3.Connection]:
    """Yield a database with the four example rows."""
    with closing(connect()) as connection:
        fill(connection, EXAMPLES)
        yield connection


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (None, [1, 2, 3, 4]),
        ({}, [1, 2, 3, 4]),
        ({"name": "alpha"}, [1]),
        ({"name": {"$eq": "alpha"}}, [1]),
        ({"name": {"$ne": "alpha"}}, [2, 3, 4]),
        ({"name": None}, [3, 4]),
        ({"name": {"$ne": None}}, [1, 2]),
        ({"name": {"$gt": "alpha"}}, [2]),
        ({"name": {"$lte": "alpha"}}, [1]),
        ({"name": {"$in": ["alpha", "beta", "7"]}}, [1, 2]),
        ({"name": {"$in": ("alpha", None)}}, [1, 3, 4]),
        ({"name": {"$in": {"alpha"}}}, [1]),
        ({"name": {"$nin": ["alpha", None]}}, [2]),
        ({"name": {"$in": []}}, []),
        ({"name": {"$nin": []}}, [1, 2, 3, 4]),
        ({"name": {"$exists": True}}, [1, 2]),
        ({"name": {"$exists": False}}, [3, 4]),
        ({"name": {"$regex": "^a|ta$"}}, [1, 2]),
        ({"name": {"$regex": "^b"}}, [2]),
        ({"name": {"$not": {"$regex": "^b"}}}, [1, 3, 4]),
        ({"state": "gamma"}, []),
        ({"state": {"$in": ["alpha", None]}}, [1, 3, 4]),
        ({"state": {"$ne": "gamma"}}, [1, 2, 3, 4]),
        ({"state": {"$gt": "b"}}, [2]),
        ({"duration": 1.5}, [1]),
        ({"duration": -2}, [2]),
        ({"duration": {"$lt": 0}}, [2]),
        ({"duration": {"$gte": -2, "$lt": 1.5}}, [2]),
        ({"duration": {"$not": {"$lt": 0}}}, [1, 3, 4]),
        ({"duration": {"$in": [1.5, None]}}, [1, 3, 4]),
        ({"step": {"$gt": 2.5}}, [1]),
        ({"name": "alpha", "step": 3}, [1]),
        ({"name": "alpha", "step": 4}, []),
    ],
)
def test_filter_on_column_selects_rows(
    examples: sqlite3.Connection, where: Mapping[str, object] | None, expected: list[int]
) -> None:
    """Each operator works on text and number columns, and a negation also holds for NULL."""
    assert select(examples, compile_filter(where, FIELDS)) == expected


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"config.lr": 0.1}, [1]),
        ({"config.lr": 1.0}, [2]),
        ({"config.lr": "0.1"}, [3]),
        ({"config.lr": {"$gt": 0.05}}, [1, 2]),
        ({"config.lr": {"$gt": ""}}, [3]),
        ({"config.lr": {"$lte": 0.1}}, [1]),
        ({"config.lr": {"$ne": 1}}, [1, 3, 4]),
        ({"config.lr": {"$in": [0.1, "0.1"]}}, [1, 3]),
        ({"config.lr": {"$nin": [0.1, "0.1"]}}, [2, 4]),
        ({"config.lr": {"$regex": "1"}}, [3]),
        ({"config.flag": True}, [1]),
        ({"config.flag": 1}, [3]),
        ({"config.flag": {"$ne": False}}, [1, 3, 4]),
        ({"config.flag": {"$in": [False, 1]}}, [2, 3]),
        ({"config.flag": {"$gte": 0}}, [3]),
        ({"config.note": None}, [1, 3, 4]),
        ({"config.note": {"$exists": True}}, [1, 2]),
        ({"config.note": {"$exists": False}}, [3, 4]),
        ({"config.note": {"$ne": None}}, [2]),
        ({"config.note": {"$in": [None, "é"]}}, [1, 2, 3, 4]),
        ({"config.note": {"$regex": "^.$"}}, [2]),
        ({"config.optim.name": "sgd"}, [1]),
        ({"config.optim.lr": 1}, [1]),
        ({"config.optim.lr": 5}, [2]),
        ({"config.optim.lr": 7}, []),
        ({"config.optim.lr": {"$exists": True}}, [1, 2, 3]),
        ({"config.optim.lr": 9}, []),
        ({"config.list.0": {"$exists": True}}, []),
        ({"config.list": {"$exists": True}}, [1, 2]),
        ({"config.list": {"$ne": None}}, [1, 2]),
        ({"config.list": 1}, []),
        ({"config.list": {"$regex": "1"}}, [2]),
        ({"config.text": 10}, [2]),
        ({"config.text": {"$lt": "9"}}, [1]),
        ({"summary.val/acc": {"$gt": 0.5}}, [3]),
        ({"summary.val/acc": {"$not": {"$gt": 0.5}}}, [1, 2, 4]),
    ],
)
def test_filter_on_document_selects_rows(
    examples: sqlite3.Connection, where: Mapping[str, object], expected: list[int]
) -> None:
    """Each operator works on JSON keys within the operand's type; a dotted key wins over a nested one."""
    assert select(examples, compile_filter(where, FIELDS)) == expected


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"tags": "y"}, [1]),
        ({"tags": {"$ne": "y"}}, [2, 3, 4]),
        ({"tags": {"$eq": "x", "$ne": "y"}}, [2]),
        ({"tags": {"$in": ["y", "z"]}}, [1]),
        ({"tags": {"$nin": ["y", "z"]}}, [2, 3, 4]),
        ({"tags": {"$in": []}}, []),
        ({"tags": {"$regex": "^[xz]$"}}, [1, 2]),
        ({"tags": {"$not": {"$regex": "y"}}}, [2, 3, 4]),
        ({"tags": {"$exists": True}}, [1, 2]),
        ({"tags": {"$exists": False}}, [3, 4]),
        ({"tags": None}, [3, 4]),
        ({"tags": {"$in": ["y", None]}}, [1, 3, 4]),
        ({"tags": "1"}, []),
    ],
)
def test_filter_on_set_selects_rows(
    examples: sqlite3.Connection, where: Mapping[str, object], expected: list[int]
) -> None:
    """A condition on a set asks whether any element fulfils it, its negation whether none does."""
    assert select(examples, compile_filter(where, FIELDS)) == expected


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"$and": [{"name": "alpha"}, {"step": 3}]}, [1]),
        ({"$and": [{"name": "alpha"}, {"step": 0}]}, []),
        ({"$or": [{"name": "alpha"}, {"step": 0}]}, [1, 2]),
        ({"$or": ({"name": "alpha"},)}, [1]),
        ({"$or": [{}, {"name": "alpha"}]}, [1, 2, 3, 4]),
        ({"$nor": [{"name": "alpha"}, {"step": 0}]}, [3, 4]),
        ({"$not": {"name": "alpha"}}, [2, 3, 4]),
        ({"$not": {"name": "alpha", "step": 0}}, [1, 2, 3, 4]),
        ({"$not": {"$not": {"name": "alpha"}}}, [1]),
        ({"$not": {}}, []),
        ({"$nor": [{"$or": [{"name": "alpha"}, {"step": 0}]}]}, [3, 4]),
        ({"$not": {"$nor": [{"name": "alpha"}, {"$and": [{"step": 0}, {"tags": "x"}]}]}}, [1, 2]),
        ({"$or": [{"name": "alpha"}, {"name": "beta"}], "tags": "y"}, [1]),
        ({"name": {"$not": {"$gt": "a", "$lt": "b"}}}, [2, 3, 4]),
        ({"name": {"$not": {"$not": {"$gt": "a", "$lt": "b"}}}}, [1]),
    ],
)
def test_filter_combined_selects_rows(
    examples: sqlite3.Connection, where: Mapping[str, object], expected: list[int]
) -> None:
    """Logical operators combine filters, and several keys or operators in one dict are joined by AND."""
    assert select(examples, compile_filter(where, FIELDS)) == expected


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
        datetime(2026, 1, 2, 4, 4, 5, 6, tzinfo=timezone(timedelta(hours=1))),
        datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC).astimezone().replace(tzinfo=None),
    ],
)
def test_filter_by_datetime_compares_in_utc(examples: sqlite3.Connection, moment: datetime) -> None:
    """A datetime stands for the stored UTC text; a naive one is local time."""
    assert select(examples, compile_filter({"started_at": moment}, FIELDS)) == [1]
    assert select(examples, compile_filter({"started_at": {"$gt": moment}}, FIELDS)) == [2]


@pytest.mark.parametrize(
    "written",
    [
        "2026-01-02T03:04:05.000006Z",
        "2026-01-02 03:04:05.000006+00:00",
        "2026-01-02T05:04:05.000006+02:00",
        "2026-01-01T22:04:05.000006-05:00",
        datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC).astimezone().replace(tzinfo=None).isoformat(" "),
    ],
)
def test_filter_by_time_as_text_is_that_moment_however_written(examples: sqlite3.Connection, written: str) -> None:
    """Zone, blank and fraction are read and not compared; without a zone it is local time."""
    assert select(examples, compile_filter({"started_at": written}, FIELDS)) == [1]
    assert select(examples, compile_filter({"started_at": {"$gt": written}}, FIELDS)) == [2]
    assert select(examples, compile_filter({"started_at": {"$lte": written}}, FIELDS)) == [1]


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ({"$gte": "2026-01-02T03:04:05Z"}, [1, 2]),
        ({"$lt": "2026-01-02T03:04:05Z"}, []),
        ({"$gt": "2026-01-15"}, [2]),
        ({"$in": ["2026-03-01T00:00Z", None]}, [2, 3, 4]),
        ({"$nin": ["2026-03-01T00:00Z"]}, [1, 3, 4]),
        ({"$ne": "2026-03-01T01:00+01:00"}, [1, 3, 4]),
        ({"$not": {"$lt": "2026-03-01T00:00Z"}}, [2, 3, 4]),
        ({"$exists": False}, [3, 4]),
        ({"$regex": r"^2026-0[13]-.*\.0000"}, [1, 2]),
        (None, [3, 4]),
    ],
)
def test_filter_by_time_as_text_selects_rows(examples: sqlite3.Connection, test: object, expected: list[int]) -> None:
    """Each operator takes times, and dates; a pattern is matched with the text that is stored."""
    assert select(examples, compile_filter({"started_at": test}, FIELDS)) == expected


def test_filter_with_prefixes_fits_into_one_statement(examples: sqlite3.Connection) -> None:
    """Two filters with different prefixes share no parameter."""
    first = compile_filter({"name": {"$in": ["alpha", "beta"]}}, FIELDS, prefix="a")
    second = compile_filter({"tags": "y"}, FIELDS, prefix="b")

    both = Compiled(first.sql + " AND " + second.sql, first.parameters | second.parameters)

    assert both.parameters == {"a0": '["alpha", "beta"]', "b0": "y"}
    assert select(examples, both) == [1]


@pytest.mark.parametrize("test", ["alpha", {"$in": ["alpha"]}, {"$in": ["alpha", "beta"]}, {"$gt": "alpha"}])
def test_filter_on_indexed_column_uses_its_index(examples: sqlite3.Connection, test: object) -> None:
    """The condition leaves the column bare, so that it is a search and not a scan."""
    condition = compile_filter({"name": test, "config.lr": 1}, FIELDS)

    plan = examples.execute("EXPLAIN QUERY PLAN SELECT id FROM run WHERE " + condition.sql, condition.parameters)

    assert "SEARCH run USING INDEX run_name" in plan.fetchone()[3]


def test_filter_with_sql_in_keys_and_values_binds_them(examples: sqlite3.Connection) -> None:
    """What the user wrote is found in the parameters and not in the SQL."""
    nasty = "'); DROP TABLE run; --"
    where = {f"config.{nasty}.x": nasty, "name": {"$regex": r"'\);"}, "tags": {"$in": [nasty]}}

    condition = compile_filter(where, FIELDS)

    assert "DROP" not in condition.sql
    assert "'\\" not in condition.sql
    assert select(examples, condition) == []


@pytest.mark.parametrize(
    ("where", "part_of_message"),
    [
        ([], r"\[\] is not a filter"),
        ("name", "'name' is not a filter"),
        ({"nam": 1}, "unknown key 'nam'; did you mean 'name'"),
        ({"nam": 1}, "possible: config.<key>, duration, name, started_at, state, step, summary.<key>, tags"),
        ({"confg.lr": 1}, "did you mean 'config.lr'"),
        ({"config": 1}, "unknown key 'config'.*config.<key>"),
        ({"name.x": 1}, "unknown key 'name.x'"),
        ({"": 1}, "unknown key ''"),
        ({3: 1}, "3 is no key"),
        ({None: 1}, "None is no key"),
        ({"$xor": []}, r"'\$xor' is no key: .*\$and, \$or, \$nor, \$not"),
        ({"$gt": 1}, r"'\$gt' is no key"),
        ({"$and": []}, r"\$and takes a list of one or more filters, not \[\]"),
        ({"$or": {"name": 1}}, r"\$or takes a list"),
        ({"$nor": None}, r"\$nor takes a list"),
        ({"$and": [1]}, "1 is not a filter"),
        ({"$not": [{"name": 1}]}, "is not a filter"),
        ({"name": {}}, r"key 'name': \{\} is no dict of operators \(\$eq, "),
        ({"name": {"$like": "x"}}, r"key 'name', '\$like' is no operator; possible are \$eq, \$ne"),
        ({"name": {"x": 1}}, "'x' is no operator"),
        ({"name": {3: 1}}, "3 is no operator"),
        ({"name": {"$not": "x"}}, "key 'name': 'x' is no dict of operators"),
        ({"name": {"$not": {}}}, "no dict of operators"),
        ({"name": ["a"]}, r"key 'name', '\$eq' takes text, .*, not \['a'\] \(lists: only \$in"),
        ({"name": {"$eq": {"a": 1}}}, r"key 'name', '\$eq' takes"),
        ({"name": {"$gt": [1]}}, r"'\$gt' takes"),
        ({"name": {"$in": "abc"}}, r"'\$in' takes a list of values, not 'abc'"),
        ({"name": {"$in": {"a": 1}}}, r"'\$in' takes a list of values"),
        ({"name": {"$nin": None}}, r"'\$nin' takes a list of values"),
        ({"name": {"$in": [["a"]]}}, r"'\$in' takes text, .*, not \['a'\]"),
        ({"name": {"$in": [math.nan]}}, r"'\$in' takes .* a finite number.*not nan"),
        ({"duration": math.nan}, "not nan"),
        ({"duration": {"$lt": math.inf}}, "not inf"),
        ({"config.x": 2**63}, "an integer within 64 bits.*not 9223372036854775808"),
        ({"config.x": -(2**63) - 1}, "an integer within 64 bits"),
        ({"config.x": 10**5000}, "not an integer of thousands of digits"),
        ({"name": b"x"}, "not b'x'"),
        ({"name": "a\0b"}, "NUL"),
        ({"name": {"$regex": "a\0b"}}, "NUL"),
        ({"name": "\ud800"}, "surrogate"),
        ({"config.\ud800": 1}, r"key 'config\.\\ud800'"),
        ({'config.a"b': 1}, "a key with quotes, backslashes or control characters"),
        ({"config.a\\b": 1}, "a key with quotes"),
        ({"config.a\nb": 1}, "a key with quotes"),
        ({"name": {"$exists": 1}}, r"'\$exists' takes True or False, not 1"),
        ({"name": {"$regex": 3}}, r"'\$regex' takes a regular expression as text, not 3"),
        ({"name": {"$regex": "("}}, r"key 'name', '\$regex': '\(' is no regular expression: missing \)"),
        ({"name": {"$regex": "a{9999999999999}"}}, "is no regular expression"),
        ({"name": {"$gt": True}}, r"key 'name', '\$gt' takes text, not True"),
        ({"name": {"$lt": None}}, r"'\$lt' compares numbers or text, not None"),
        ({"config.x": {"$gt": True}}, r"'\$gt' compares numbers or text, not True"),
        ({"name": 3}, r"key 'name', '\$eq' takes text, not 3"),
        ({"name": {"$nin": ["a", 3]}}, r"key 'name', '\$nin' takes text, not 3"),
        ({"tags": 1}, r"key 'tags', '\$eq' takes text, not 1"),
        ({"duration": {"$gt": "1s"}}, r"key 'duration', '\$gt' takes a number, not '1s'"),
        ({"duration": {"$ne": True}}, r"key 'duration', '\$ne' takes a number, not True"),
        ({"duration": {"$regex": "5"}}, r"key 'duration', '\$regex' looks at text, and 'duration' is always a number"),
        ({"state": "gama"}, r"key 'state', '\$eq': 'gama' is none of alpha, beta, gamma"),
        ({"state": {"$ne": "Alpha"}}, r"key 'state', '\$ne': 'Alpha' is none of alpha, beta, gamma"),
        ({"state": {"$in": ["alpha", "x"]}}, r"key 'state', '\$in': 'x' is none of"),
        ({"state": {"$not": {"$nin": ["x"]}}}, r"key 'state', '\$nin': 'x' is none of"),
        ({"started_at": {"$lt": "yesterday"}}, r"key 'started_at', '\$lt' takes a datetime, or ISO 8601 text such as"),
        ({"started_at": "2026"}, "takes a datetime, or ISO 8601 text .*, not '2026'"),
        ({"started_at": ""}, "takes a datetime, or ISO 8601 text .*, not ''"),
        ({"started_at": {"$nin": [None, "x"]}}, "takes a datetime, or ISO 8601 text .*, not 'x'"),
        ({"started_at": 1767323045}, "takes a datetime, or ISO 8601 text .*, not 1767323045"),
        ({"started_at": "0001-01-01T00:00+01:00"}, "outside the years 1 to 9999"),
        ({"config.x": {"$lte": None}}, r"'\$lte' compares numbers or text, not None"),
        ({"tags": {"$gt": "a"}}, r"key 'tags', '\$gt': a set has no order; use \$eq, \$in"),
        ({"duration": datetime(2026, 1, 1, tzinfo=UTC)}, "times: only keys of times"),
        ({"config.at": datetime(2026, 1, 1, tzinfo=UTC)}, "times: only keys of times"),
        ({"name": datetime(2026, 1, 1, tzinfo=UTC)}, "times: only keys of times"),
        ({"started_at": datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))}, "outside the years 1 to 9999"),
    ],
)
def test_compile_invalid_filter_is_refused(where: Mapping[str, object], part_of_message: str) -> None:
    """The error names the key or operator and says what is possible."""
    with pytest.raises(InvalidInputError, match=part_of_message) as refusal:
        compile_filter(where, FIELDS)

    assert refusal.value.kind is ErrorKind.FILTER_INVALID


@pytest.mark.parametrize(
    "where",
    [{"$or": [{"step": number} for number in range(801)]}, {f"config.{number}": 1 for number in range(801)}],
)
def test_compile_too_large_filter_is_refused(where: Mapping[str, object]) -> None:
    """A filter that SQLite could not take is refused with an error of our own."""
    with pytest.raises(InvalidInputError, match="more than 800 conditions"):
        compile_filter(where, FIELDS)


def test_filter_at_the_limit_of_size_runs(examples: sqlite3.Connection) -> None:
    """The largest filter that is accepted stays below the limits of SQLite."""
    where = {"$or": [{"config.a.b": {"$in": [number, 2.5, "x", None, True]}} for number in range(800)]}

    assert select(examples, compile_filter(where, FIELDS)) == [1, 2, 3, 4]


def test_filter_by_a_long_list_runs(examples: sqlite3.Connection) -> None:
    """A list may be as long as one likes."""
    names = ["beta", *(str(number) for number in range(100_000))]

    assert select(examples, compile_filter({"name": {"$in": names}}, FIELDS)) == [2]


AROUND = """
SELECT * FROM (
    SELECT run.* FROM run
    WHERE (id > 0) AND (name IS NULL OR EXISTS (SELECT 1 FROM (SELECT run.id WHERE (...))))
) LIMIT 3
"""


def deepest(levels: Sequence[str], words: str) -> list[object]:
    """Return ever deeper filters, the operators of `levels` around a costly condition in turn."""
    costly = {"config.a.b": {"$nin": [1, 2.5, "x", None, True]}}
    filters: list[object] = [costly]
    for depth in range(60):
        word, inner, beside = levels[depth % len(levels)], filters[-1], {"tags": {"$nin": ["a", None]}}
        combined = {word: inner} if word == "$not" else {word: [inner, beside] if words == "left" else [beside, inner]}
        filters.append({**combined, "config.c.d": {"$nin": [2.5, "x"]}} if words == "dict" else combined)
    return filters


@pytest.mark.parametrize("levels", [["$and"], ["$or", "$and"], ["$nor"], ["$not"], ["$not", "$or"], ["$nor", "$and"]])
@pytest.mark.parametrize("words", ["left", "right", "dict"])
def test_filter_at_the_limit_of_depth_runs_inside_a_larger_query(
    examples: sqlite3.Connection, levels: Sequence[str], words: str
) -> None:
    """Every nested filter is refused by us or read by SQLite's parser, whose stack is short."""
    refused = 0
    for where in deepest(levels, words):
        try:
            condition = compile_filter(where, FIELDS)  # type: ignore[arg-type] # a filter of any shape
        except InvalidInputError as error:
            assert "nested too deeply" in str(error)
            refused += 1
            continue
        examples.execute(AROUND.replace("...", condition.sql), condition.parameters).fetchall()

    assert 10 < refused < 45, "both outcomes were seen"


def test_compile_endless_nesting_is_refused() -> None:
    """A filter nested thousands deep is refused before Python's own stack ends."""
    combined: dict[str, object] = {"name": "x"}
    on_key: dict[str, object] = {"$gt": "x"}
    for _ in range(5000):
        combined, on_key = {"$and": [combined]}, {"$not": on_key}

    for where in (combined, {"name": on_key}):
        with pytest.raises(InvalidInputError, match="nested too deeply"):
            compile_filter(where, FIELDS)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (None, [4, 3, 2, 1]),
        ("", [4, 3, 2, 1]),
        ([], [4, 3, 2, 1]),
        ("duration", [2, 1, 3, 4]),
        ("+duration", [2, 1, 3, 4]),
        ("-duration", [1, 2, 3, 4]),
        ("-name", [2, 1, 3, 4]),
        ("config.lr", [1, 2, 3, 4]),
        ("-config.lr", [3, 2, 1, 4]),
        ("-config.optim.lr", [2, 1, 3, 4]),
        ("config.note", [2, 1, 3, 4]),
        ("-config.missing, -name", [2, 1, 3, 4]),
        (["summary.val/acc", "-step"], [3, 1, 2, 4]),
    ],
)
def test_order_sorts_rows_with_missing_last(
    examples: sqlite3.Connection, order: str | list[str] | None, expected: list[int]
) -> None:
    """Signs set the direction, later keys break ties, missing values and JSON nulls come last."""
    fields = {**FIELDS, "id": Field("run.id", "number")}

    terms = compile_order(order, fields, default="-id")

    everything = Compiled("TRUE", terms.parameters)
    assert select(examples, everything, terms.sql + ", run.id") == expected


@pytest.mark.parametrize(
    ("order", "part_of_message"),
    [
        ("nam", "unknown key 'nam'; did you mean 'name'"),
        ("--name", "unknown key '-name'"),
        ("name,,step", "unknown key ''"),
        ("tags", "order 'tags': a set has no order"),
        ("-config", "unknown key 'config'"),
        ('config.a"', "a key with quotes"),
        ([1], r"order \[1\]: give a key such as '-summary.iou'"),
        (7, "order 7: give a key"),
        (["name"] * 31, "at most 30"),
    ],
)
def test_compile_invalid_order_is_refused(order: str, part_of_message: str) -> None:
    """The error names the key and says what is possible."""
    with pytest.raises(InvalidInputError, match=part_of_message) as refusal:
        compile_order(order, FIELDS, default="name")

    assert refusal.value.kind is ErrorKind.FILTER_INVALID


# Random filters against the oracle. Few keys and values, so that they meet.

PIECES = [*"$0éab#*' @😀\u2028\x7f", "", "[0]", "a.b", "val/acc", "a]", "$.a"]
REFUSED_PIECES = ['a"b', "a\\b", "a\nb", "\\u0061"]
INTEGERS = [0, 1, -1, 3, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)]
TEXTS = ["", "a", "b", "A", "é", "10", "1", "true", "null", 'q"', "\\", "\n", "a\x1fb", "😀", "\u2028", "[1]"]
NUMBERS = ["duration", "step"]
PATTERNS = ["", "a", "^a$", "b|é", "(?i)A", r"\d", "^.$", "x+$", r"\\", "[^a]"]


def texts() -> SearchStrategy[str]:
    """Return text without NUL and lone surrogates, which filters refuse."""
    characters = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
    return st.sampled_from(TEXTS) | st.text(characters, max_size=3)


def numbers() -> SearchStrategy[float]:
    """Return integers within 64 bits and finite floats, among them neighbours of each other."""
    floats = st.sampled_from([0.0, -0.0, 0.1, 0.3, 0.1 + 0.2, 1.0, 1e-5, 1e308, 5e-324, 2.0**53, 2.0**63])
    integers = st.sampled_from(INTEGERS) | st.integers(-(2**63), 2**63 - 1)
    return integers | floats | st.floats(allow_nan=False, allow_infinity=False, width=32)


def scalars() -> SearchStrategy[object]:
    """Return any operand."""
    return st.none() | st.booleans() | numbers() | texts()


def pieces() -> SearchStrategy[str]:
    """Return parts of JSON keys; every second one is of the few that meet, nested and with a literal dot."""
    return st.sampled_from(["a", "b", "a.b"]) | st.sampled_from(PIECES)


def documents() -> SearchStrategy[object]:
    """Return JSON objects, or None for a column that is NULL."""
    keys = pieces() | st.sampled_from(REFUSED_PIECES)
    values = st.recursive(
        scalars(), lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=3), max_leaves=4
    )
    return st.none() | st.dictionaries(keys, values, max_size=5)


def rows(*, config: SearchStrategy[object] | None = None) -> SearchStrategy[list[Row]]:
    """Return up to four rows, numbered."""
    parts = st.tuples(
        st.none() | texts(),
        st.none() | st.sampled_from([0.0, 1.0, 0.1, 3.0]) | st.floats(allow_nan=False, allow_infinity=False),
        st.none() | st.sampled_from(INTEGERS),
        documents() if config is None else config,
        st.frozensets(st.sampled_from(["a", "b", "10", "é"]), max_size=3),
    )
    return st.lists(parts, min_size=1, max_size=4).map(
        lambda many: [
            Row(number, name=name, duration=duration, step=step, config=config, tags=tags)
            for number, (name, duration, step, config, tags) in enumerate(many)
        ]
    )


def keys() -> SearchStrategy[str]:
    """Return keys of a filter other than sets."""
    paths = st.lists(pieces(), min_size=1, max_size=3).map(lambda parts: "config." + ".".join(parts))
    return st.sampled_from(["name", *NUMBERS]) | paths


def values(key: str) -> SearchStrategy[object]:
    """Return what a key may hold, other than None and booleans."""
    return numbers() if key in NUMBERS else texts() if key in {"name", "tags"} else numbers() | texts()


def operands(key: str) -> SearchStrategy[object]:
    """Return what a key may be equal to."""
    return st.none() | (scalars() if key.startswith("config.") else values(key))


def operators(key: str) -> SearchStrategy[dict[str, object]]:
    """Return the operators for one key."""
    some = st.lists(operands(key), max_size=3)
    entries: dict[str, SearchStrategy[object]] = {
        "$eq": operands(key), "$ne": operands(key), "$in": some, "$nin": some, "$exists": st.booleans(),
    }  # fmt: skip
    if key not in NUMBERS:
        entries["$regex"] = st.sampled_from(PATTERNS)
    if key != "tags":
        entries |= dict.fromkeys(["$gt", "$gte", "$lt", "$lte"], values(key))
    single = st.sampled_from(sorted(entries)).flatmap(lambda word: st.tuples(st.just(word), entries[word]))
    plain = st.lists(single, min_size=1, max_size=2).map(dict)
    return st.recursive(plain, lambda inner: inner.map(lambda each: {"$not": each}), max_leaves=2)


def filters() -> SearchStrategy[dict[str, object]]:
    """Return well-formed filters."""

    def on(key: str) -> SearchStrategy[tuple[str, object]]:
        return st.tuples(st.just(key), operands(key) | operators(key))

    on_key = keys().flatmap(on)
    plain = st.lists(on_key | on("tags"), max_size=2).map(dict)

    def combine(inner: SearchStrategy[dict[str, object]]) -> SearchStrategy[dict[str, object]]:
        words = st.sampled_from(["$and", "$or", "$nor"])
        listed = st.tuples(words, st.lists(inner, min_size=1, max_size=3))
        return st.lists(listed | st.tuples(st.just("$not"), inner) | on_key, min_size=1, max_size=2).map(dict)

    return st.recursive(plain, combine, max_leaves=6)


@pytest.fixture(scope="module")
def database() -> Iterator[sqlite3.Connection]:
    """Yield one database for all random examples; each example fills it anew."""
    with closing(connect()) as connection:
        yield connection


@given(runs=rows(), where=filters())
def test_filter_of_any_shape_agrees_with_plain_python(
    database: sqlite3.Connection, runs: list[Row], where: dict[str, object]
) -> None:
    """The compiled filter, and its negation, select what the oracle selects."""
    fill(database, runs)
    expected = [row.id for row in runs if matches(where, row.get)]

    assert select(database, compile_filter(where, FIELDS)) == expected
    opposite = select(database, compile_filter({"$not": where}, FIELDS))
    assert opposite == [row.id for row in runs if row.id not in expected]


@given(runs=rows(), key=keys(), data=st.data())
def test_filter_on_a_stored_value_finds_it(
    database: sqlite3.Connection, runs: list[Row], key: str, data: st.DataObject
) -> None:
    """Operands taken from the stored rows meet their equals and their neighbours."""
    fill(database, runs)
    stored = [row.get(key) for row in runs]
    usable = [value for value in stored if isinstance(value, str | int | float) and not isinstance(value, bool)]
    operand = data.draw(st.sampled_from(usable or ([1] if key in NUMBERS else ["a"])))
    word = data.draw(st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]))
    where = {key: {word: operand}}

    assert select(database, compile_filter(where, FIELDS)) == [row.id for row in runs if matches(where, row.get)]


@given(
    runs=rows(config=st.dictionaries(pieces(), scalars(), max_size=5)),
    order=st.lists(st.tuples(st.sampled_from(["", "+", "-"]), keys()).map("".join), min_size=1, max_size=3),
)
def test_order_of_any_keys_agrees_with_plain_python(
    database: sqlite3.Connection, runs: list[Row], order: list[str]
) -> None:
    """The compiled order sorts columns and JSON scalars as the oracle does."""
    fill(database, runs)

    terms = compile_order(order, FIELDS, default="name")

    found = select(database, Compiled("TRUE", terms.parameters), terms.sql + ", run.id")
    assert found == [row.id for row in ranked(runs, order, Row.get)]


WORDS = ["$and", "$or", "$nor", "$not", "$eq", "$in", "$gt", "$exists", "$regex", "$what", "name", "config.a", "tags"]
NOISY_KEYS = st.sampled_from(WORDS) | st.text(max_size=9)
# without "[", as Python warns of some sets in regular expressions
NOISY_TEXTS = st.text(st.characters(exclude_characters="["), max_size=3) | st.sampled_from(PATTERNS)
NOISE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | NOISY_TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NOISY_KEYS, inner, max_size=2),
    max_leaves=12,
)


@given(where=NOISE)
def test_compile_noise_is_refused_or_runs(database: sqlite3.Connection, where: object) -> None:
    """Whatever comes in, either our error comes out or SQL that SQLite runs."""
    try:
        condition = compile_filter(where, FIELDS)  # type: ignore[arg-type] # the point of the test
    except InvalidInputError:
        return

    select(database, condition)
