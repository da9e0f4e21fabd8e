"""The filter language: nested dicts such as ``{"config.lr": {"$gt": 0.01}}``, to SQL with bound parameters.

Values compare within their type only: numbers with numbers, text with text; a boolean equals a boolean and
nothing else. A missing key, a JSON null and an empty set equal None. Every negation (``$ne $nin $nor $not``)
is exact: it holds wherever the thing it negates does not, hence also where the key is missing. What follows
the dot in ``config.optim.lr`` is first looked for as one key "optim.lr", then as a key within a key.

What a column can never hold is refused: text where there are only numbers, a state that no run can be in. Such a
condition finds nothing, or everything, and is a mistake. Only JSON holds values of any type. A time is a point in
time however it is written, and not its text.

Nothing a user wrote enters the SQL. It is put together from fixed fragments, the `Field.sql` of the caller,
and parameters; a JSON path is one, too. What only SQLite understands is in `_json_type`, `_json_value`,
`_json_float`, `_in_list` and `_matches`.
"""

from __future__ import annotations

import json
import math
import re
import reprlib
from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, NoReturn

from lineage.errors import ErrorKind, InvalidInputError
from lineage.values import timestamp_text

if TYPE_CHECKING:
    import sqlite3

_LOGICAL: Final = ("$and", "$or", "$nor", "$not")
_ORDERINGS: Final = {"$gt": " > ", "$gte": " >= ", "$lt": " < ", "$lte": " <= "}
_OPERATORS: Final = ("$eq", "$ne", *_ORDERINGS, "$in", "$nin", "$exists", "$regex", "$not")

# SQLite's limits, reached only by generated filters: expressions 1,000 deep, and a chain of ANDs is as deep as
# it is long; 100 entries on the stack of its parser, of which one condition takes up to 22. What is left is for
# the query around the filter: see test_filter_at_the_limit_of_depth_runs_inside_a_larger_query.
_MAX_CONDITIONS: Final = 800
_MAX_STACK: Final = 40
_MAX_DEPTH: Final = 40
_MAX_ORDER_KEYS: Final = 30
_MAX_INTEGER: Final = 2**63 - 1
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
_TOO_DEEP: Final = "the filter is nested too deeply: put its conditions side by side in one $and or $or"

_TAKEN: Final = {
    "text": "text",
    "set": "text",
    "number": "a number",
    "time": "a datetime, or ISO 8601 text such as '2026-01-31' or '2026-01-31T12:00:00Z'",
}

_Scalar = str | int | float | bool | None
_Kind = Literal["text", "time", "number", "set", "json"]
_Type = Literal["text", "number"]
_Test = Callable[[str], str]

_abridged = reprlib.Repr()
_abridged.maxstring = _abridged.maxother = 120


@dataclass(frozen=True, slots=True)
class Field:
    """What a key of a filter stands for.

    Attributes:
        sql: A column, or an expression in parentheses; for a "set" a query that yields a text column `value`.
        kind: "text", "number" and "time" are scalar columns, the last of text as the store writes times. "json" is a
            column that holds a JSON object: its keys are `<name>.<key>`, and the name itself has no dot. "set" is
            many-valued, such as tags.
        values: Of a text that is one of a few: all of them.
    """

    sql: str
    kind: _Kind
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Compiled:
    """SQL and the named parameters it needs.

    A compiled filter is a condition for WHERE, where unknown (NULL) counts as false: join it with AND; to
    negate it, negate the filter with ``$not``. (IS TRUE around it would hide the columns from their indexes.)
    """

    sql: str
    parameters: dict[str, object]


def compile_filter(where: Mapping[str, object] | None, fields: Mapping[str, Field], *, prefix: str = "f") -> Compiled:
    """Return the WHERE condition for the filter `where`; None and the empty filter hold for every row.

    Args:
        where: The filter.
        fields: What the keys stand for.
        prefix: Begins the names of the parameters, so that two filters fit into one statement.

    Raises:
        InvalidInputError: The filter is not well formed; the message names the place and what is possible.

    Example:
        >>> compile_filter({"status": "failed"}, {"status": Field("run.status", "text")})
        Compiled(sql='(run.status = :f0)', parameters={'f0': 'failed'})
    """
    compiler = _Compiler(fields, _Parameters(prefix))
    part = compiler.filter({} if where is None else where)
    return Compiled(part.sql, compiler.parameters.values)


def compile_order(
    order: str | Sequence[str] | None, fields: Mapping[str, Field], *, default: str, prefix: str = "o"
) -> Compiled:
    """Return the terms for ORDER BY; the caller appends what breaks ties.

    Missing values come last in both directions. JSON values of different types have SQLite's order: numbers
    (false is 0, true is 1), then text, among it lists and objects as JSON.

    Args:
        order: Keys with a sign: "-" descends, "+" or none ascends. Several as a list or separated by commas.
        fields: What the keys stand for.
        default: The order to take for None, "" or an empty list.
        prefix: Begins the names of the parameters.

    Raises:
        InvalidInputError: A key is unknown or has no order.

    Example:
        >>> compile_order("-started", {"started": Field("run.started_at", "time")}, default="+started")
        Compiled(sql='run.started_at DESC NULLS LAST', parameters={})
    """
    chosen: object = order or default
    keys = [key.strip() for key in chosen.split(",")] if isinstance(chosen, str) else chosen
    if not isinstance(keys, list | tuple) or not all(isinstance(key, str) for key in keys):
        _refuse(f"order {_shown(order)}: give a key such as '-summary.iou', or a list of keys")
    if len(keys) > _MAX_ORDER_KEYS:
        _refuse(f"order by {len(keys)} keys: at most {_MAX_ORDER_KEYS} are possible")
    parameters = _Parameters(prefix)
    return Compiled(", ".join(_order_term(key, fields, parameters) for key in keys), parameters.values)


def register_functions(connection: sqlite3.Connection) -> None:
    """Give `connection` the function that compiled filters call; a second call changes nothing."""
    connection.create_function("regexp", 2, _regexp, deterministic=True)


# --- what only SQLite understands ---


def _json_type(document: str, paths: Sequence[str]) -> str:
    """Return SQL for the type of the value at the first of `paths` that exists; NULL where none does."""
    types = ["json_type(" + document + ", " + path + ")" for path in paths]
    return types[0] if len(types) == 1 else "COALESCE(" + ", ".join(types) + ")"


def _json_value(document: str, paths: Sequence[str]) -> str:
    """Return SQL for the value at the first of `paths` that exists."""
    first, *others = ["json_extract(" + document + ", " + path + ")" for path in paths]
    if not others:
        return first
    # not COALESCE: a null at the first path hides the value at the second
    return "CASE WHEN " + _json_type(document, paths[:1]) + " IS NULL THEN " + others[0] + " ELSE " + first + " END"


def _json_float(value: float, parameters: _Parameters) -> str:
    """Return SQL for `value` as a JSON document gives it.

    Some builds of SQLite read a few decimal fractions in a thousand one bit beside the nearest float. Reading
    the operand as the stored number is read keeps equal numbers equal there, too.
    """
    return "json_extract(" + parameters.bind(float.__repr__(value)) + ", '$')"


def _in_list(values: Sequence[str | float], parameters: _Parameters) -> str:
    # one parameter for all: 30,000 named ones take SQLite 5 seconds, since it looks for each among all
    items = parameters.bind(json.dumps(values, ensure_ascii=False))
    return " IN (SELECT value FROM json_each(" + items + "))"  # noqa: S608 - no user text


def _matches(value: str, pattern: str) -> str:
    return "regexp(" + pattern + ", " + value + ")"


@lru_cache(maxsize=256)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


def _regexp(pattern: str, value: object) -> bool:
    # other types come here, too: SQL may evaluate both sides of the AND that asks for text
    return isinstance(value, str) and _pattern(pattern).search(value) is not None


# --- what a key stands for ---


@dataclass(slots=True)
class _Parameters:
    prefix: str
    values: dict[str, object] = field(default_factory=dict)

    def bind(self, value: object) -> str:
        name = self.prefix + str(len(self.values))
        self.values[name] = value
        return ":" + name


@dataclass(frozen=True, slots=True)
class _Subject:
    """One key in SQL. The conditions it gives are delimited, and may be NULL where they do not hold."""

    key: str
    kind: _Kind
    sql: str
    parameters: _Parameters
    paths: tuple[str, ...] = ()
    values: tuple[str, ...] = ()

    def present(self) -> str:
        if self.kind == "set":
            return "EXISTS (" + self.sql + ")"
        return "(" + (_json_type(self.sql, self.paths) if self.kind == "json" else self.sql) + " IS NOT NULL)"

    def is_none(self) -> str:
        if self.kind == "json":
            return "(COALESCE(" + _json_type(self.sql, self.paths) + ", 'null') = 'null')"
        return "(NOT " + self.present() + ")"

    def is_boolean(self, *, value: bool) -> str:
        return "(" + _json_type(self.sql, self.paths) + (" = 'true')" if value else " = 'false')")

    def holds(self, kind: _Type, test: _Test) -> str:
        """Return the condition that the value, or any element of a set, is of this type and passes `test`.

        Only JSON has to be asked for its type: what does not fit the others was refused.
        """
        if self.kind == "json":
            types = " IN ('integer', 'real') AND " if kind == "number" else " = 'text' AND "
            return "(" + _json_type(self.sql, self.paths) + types + test(_json_value(self.sql, self.paths)) + ")"
        if self.kind == "set":
            return "EXISTS (SELECT 1 FROM (" + self.sql + ") AS item WHERE " + test("item.value") + ")"  # noqa: S608 - no user text
        return "(" + test(self.sql) + ")"

    def is_one_of(self, values: Sequence[str | float]) -> str:
        return " = " + self.bind(values[0]) if len(values) == 1 else _in_list(values, self.parameters)

    def bind(self, value: str | float) -> str:
        if self.kind == "json" and isinstance(value, float):
            return _json_float(value, self.parameters)
        return self.parameters.bind(value)


def _subject(key: str, fields: Mapping[str, Field], parameters: _Parameters) -> _Subject:
    known = fields.get(key)
    if known is not None and known.kind != "json":
        return _Subject(key, known.kind, known.sql, parameters, values=known.values)
    name, dot, rest = key.partition(".")
    known = fields.get(name)
    if not dot or known is None or known.kind != "json":
        _refuse(_unknown_key(key, fields))
    paths = tuple(parameters.bind(path) for path in _json_paths(key, rest))
    return _Subject(key, "json", known.sql, parameters, paths)


def _json_paths(key: str, rest: str) -> list[str]:
    """Return the places where `rest` may lie: under one key that contains the dots, then key within key."""
    if _UNSTORABLE.search(rest) or json.dumps(rest, ensure_ascii=False) != '"' + rest + '"':
        _refuse(f"key {_shown(key)}: a key with quotes, backslashes or control characters cannot be asked for")
    return ['$."' + rest + '"'] + (['$."' + rest.replace(".", '"."') + '"'] if "." in rest else [])


def _unknown_key(key: str, fields: Mapping[str, Field]) -> str:
    import difflib  # noqa: PLC0415 - 2 ms; only a mistyped key needs it

    rest = key.partition(".")[2] or "<key>"
    near = difflib.get_close_matches(key[:100], _key_forms(fields, rest[:100]), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown key {_shown(key)}{hint} (possible: {', '.join(_key_forms(fields, '<key>'))})"


def _key_forms(fields: Mapping[str, Field], rest: str) -> list[str]:
    return sorted(name + "." + rest if known.kind == "json" else name for name, known in fields.items())


def _order_term(key: str, fields: Mapping[str, Field], parameters: _Parameters) -> str:
    direction = " DESC NULLS LAST" if key.startswith("-") else " ASC NULLS LAST"
    subject = _subject(key[1:] if key.startswith(("-", "+")) else key, fields, parameters)
    if subject.kind == "set":
        _refuse(f"order {_shown(key)}: a set has no order; name a key with one value")
    return (_json_value(subject.sql, subject.paths) if subject.kind == "json" else subject.sql) + direction


# --- from the filter to conditions ---


class _Part(NamedTuple):
    sql: str
    stack: int = 0  # what the parser holds inside this part, beyond a single condition


@dataclass(slots=True)
class _Compiler:
    """Walks a filter. A negation travels down to the single conditions, where it needs no nesting in SQL."""

    fields: Mapping[str, Field]
    parameters: _Parameters
    conditions: int = 0

    def filter(self, where: object, depth: int = 0, *, negated: bool = False) -> _Part:
        if not isinstance(where, Mapping):
            _refuse(f"{_shown(where)} is not a filter: give a dict such as {{'config.lr': {{'$gt': 0.1}}}}")
        if depth > _MAX_DEPTH:
            _refuse(_TOO_DEEP)
        parts = [self.clause(key, operand, depth, negated=negated) for key, operand in where.items()]
        return self.joined(parts, every=not negated)

    def clause(self, key: object, operand: object, depth: int, *, negated: bool) -> _Part:
        if key == "$not":
            return self.filter(operand, depth + 1, negated=not negated)
        if key in _LOGICAL:
            return self.combination(str(key), operand, depth, negated=negated != (key == "$nor"))
        if not isinstance(key, str) or key.startswith("$"):
            _refuse(f"{_shown(key)} is no key: name a key, or combine filters with {', '.join(_LOGICAL)}")
        operators = operand if isinstance(operand, Mapping) else {"$eq": operand}
        return self.test(_subject(key, self.fields, self.parameters), operators, depth, negated=negated)

    def combination(self, word: str, operand: object, depth: int, *, negated: bool) -> _Part:
        if not isinstance(operand, list | tuple) or not operand:
            _refuse(f"{word} takes a list of one or more filters, not {_shown(operand)}")
        parts = [self.filter(each, depth + 1, negated=negated) for each in operand]
        return self.joined(parts, every=(word == "$and") != negated)

    def test(self, subject: _Subject, operators: object, depth: int, *, negated: bool) -> _Part:
        if not isinstance(operators, Mapping) or not operators:
            possible = ", ".join(_OPERATORS)
            _refuse(f"key {_shown(subject.key)}: {_shown(operators)} is no dict of operators ({possible})")
        if depth > _MAX_DEPTH:
            _refuse(_TOO_DEEP)
        parts = [
            self.test(subject, operand, depth + 1, negated=not negated)
            if word == "$not"
            else _condition(subject, word, operand, negated=negated)
            for word, operand in operators.items()
        ]
        return self.joined(parts, every=not negated)

    def joined(self, parts: list[_Part], *, every: bool) -> _Part:
        if not parts:
            return _Part("TRUE" if every else "FALSE")
        if len(parts) == 1:
            return parts[0]
        self.conditions += len(parts)
        if self.conditions > _MAX_CONDITIONS:
            _refuse(f"the filter has more than {_MAX_CONDITIONS} conditions: use $in, or ask in several steps")
        # deepest first: there it costs the parser one "(", behind another part "(", that part and the AND
        first, *others = sorted(parts, key=lambda part: -part.stack)
        stack = max(1 + first.stack, 3 + others[0].stack)
        if stack > _MAX_STACK:
            _refuse(_TOO_DEEP)
        return _Part("(" + (" AND " if every else " OR ").join(part.sql for part in (first, *others)) + ")", stack)


def _condition(subject: _Subject, word: object, operand: object, *, negated: bool) -> _Part:
    place = f"key {_shown(subject.key)}, {_shown(word)}"
    match word:
        case "$eq" | "$ne":
            sql = _among(subject, [_one_of(subject, operand, place)])
        case "$in" | "$nin":
            sql = _among(subject, [_one_of(subject, each, place) for each in _several(operand, place)])
        case "$gt" | "$gte" | "$lt" | "$lte":
            sql = _ordered(subject, _ORDERINGS[word], _scalar(subject, operand, place), place)
        case "$regex":
            sql = _regex(subject, operand, place)
        case "$exists":
            if not isinstance(operand, bool):
                _refuse(f"{place} takes True or False, not {_shown(operand)}")
            sql = subject.present() if operand else "(NOT " + subject.present() + ")"
        case _:
            _refuse(f"{place} is no operator; possible are {', '.join(_OPERATORS)}")
    return _Part("(" + sql + " IS NOT TRUE)" if negated != (word in {"$ne", "$nin"}) else sql)


def _among(subject: _Subject, values: Sequence[_Scalar]) -> str:
    texts = [each for each in values if isinstance(each, str)]
    numbers = [each for each in values if isinstance(each, int | float) and not isinstance(each, bool)]
    found = [subject.is_boolean(value=each) for each in (True, False) if any(each is value for value in values)]
    if texts:
        found.append(subject.holds("text", lambda sql: sql + subject.is_one_of(texts)))
    if numbers:
        found.append(subject.holds("number", lambda sql: sql + subject.is_one_of(numbers)))
    if any(value is None for value in values):
        found.append(subject.is_none())
    return "(" + " OR ".join(found) + ")" if len(found) > 1 else "".join(found) or "FALSE"


def _ordered(subject: _Subject, sign: str, operand: _Scalar, place: str) -> str:
    if subject.kind == "set":
        _refuse(f"{place}: a set has no order; use $eq, $in, $regex or $exists")
    if operand is None or isinstance(operand, bool):
        _refuse(f"{place} compares numbers or text, not {operand}")
    kind: _Type = "text" if isinstance(operand, str) else "number"
    return subject.holds(kind, lambda sql: sql + sign + subject.bind(operand))


def _regex(subject: _Subject, operand: object, place: str) -> str:
    if not isinstance(operand, str):
        _refuse(f"{place} takes a regular expression as text, not {_shown(operand)}")
    if subject.kind == "number":
        _refuse(f"{place} looks at text, and {subject.key!r} is always a number")
    pattern = _text(operand, place)
    try:
        _pattern(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        _refuse(f"{place}: {_shown(pattern)} is no regular expression: {error}")
    return subject.holds("text", lambda sql: _matches(sql, subject.parameters.bind(pattern)))


def _several(operand: object, place: str) -> Collection[object]:
    if not isinstance(operand, list | tuple | AbstractSet):
        _refuse(f"{place} takes a list of values, not {_shown(operand)}")
    return operand


def _one_of(subject: _Subject, operand: object, place: str) -> _Scalar:
    scalar = _scalar(subject, operand, place)
    if subject.values and scalar is not None and scalar not in subject.values:
        _refuse(f"{place}: {_shown(operand)} is none of {', '.join(subject.values)}")
    return scalar


def _scalar(subject: _Subject, operand: object, place: str) -> _Scalar:
    if subject.kind == "time" and isinstance(operand, str | datetime):
        return _moment(operand, place)
    if not isinstance(operand, str | int | float | None) or not _storable(operand):
        possible = "text, a finite number, an integer within 64 bits, True, False or None"
        _refuse(f"{place} takes {possible}, not {_shown(operand)} (lists: only $in, $nin; times: only keys of times)")
    if subject.kind != "json" and operand is not None and not _fits(subject, operand):
        _refuse(f"{place} takes {_TAKEN[subject.kind]}, not {_shown(operand)}")
    return _text(operand, place) if isinstance(operand, str) else operand


def _fits(subject: _Subject, operand: str | float) -> bool:
    if subject.kind == "number":
        return not isinstance(operand, str | bool)
    return isinstance(operand, str) and subject.kind != "time"


def _storable(scalar: _Scalar) -> bool:
    if isinstance(scalar, int):
        return -_MAX_INTEGER - 1 <= scalar <= _MAX_INTEGER
    return not isinstance(scalar, float) or math.isfinite(scalar)


def _text(operand: str, place: str) -> str:
    # NUL: SQLite's JSON functions cut text off there (seen in 3.40) and would find the wrong rows
    if _UNSTORABLE.search(operand):
        _refuse(f"{place}: text with a NUL or half a surrogate pair cannot be asked for")
    return operand


def _moment(operand: str | datetime, place: str) -> str:
    """Return a point in time as the store writes it; without a zone it is local time."""
    try:
        when = operand if isinstance(operand, datetime) else datetime.fromisoformat(operand)
    except ValueError:
        _refuse(f"{place} takes {_TAKEN['time']}, not {_shown(operand)}")
    try:
        return timestamp_text(when)
    except (OverflowError, ValueError):
        _refuse(f"{place}: {when} lies outside the years 1 to 9999 in UTC")


def _shown(value: object) -> str:
    try:
        return _abridged.repr(value)
    except ValueError:  # Python does not write out integers of more than 4,300 digits
        return "an integer of thousands of digits"


def _refuse(message: str) -> NoReturn:
    raise InvalidInputError(message, kind=ErrorKind.FILTER_INVALID)
