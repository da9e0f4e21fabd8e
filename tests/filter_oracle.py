"""The filter language in plain Python: what compiled filters and orders are compared with."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from operator import itemgetter
from typing import Final, TypeVar, cast


class Missing(Enum):
    """Printed as `Missing.VALUE` in a failing example."""

    VALUE = "missing"


MISSING: Final = Missing.VALUE
"""What `get` returns for a key that is not there and for a column that is NULL."""

Get = Callable[[str], object]
"""From a key to its value: MISSING, JSON data, or a frozenset for a many-valued key such as tags."""

T = TypeVar("T")


def json_value(document: object, key: str) -> object:
    """Return the value for the part of a key behind the first dot: a literal key first, then key within key."""
    if isinstance(document, dict) and key in document:
        return document[key]
    for piece in key.split("."):
        if not isinstance(document, dict) or piece not in document:
            return MISSING
        document = document[piece]
    return document


def matches(where: Mapping[str, object] | None, get: Get) -> bool:
    """Return whether the filter holds for the record whose values `get` gives."""
    return all(_clause(key, operand, get) for key, operand in (where or {}).items())


def ranked(records: Sequence[T], order: Sequence[str], get: Callable[[T, str], object]) -> list[T]:
    """Return `records` in the given order; equals stay as they are, missing values come last."""
    result = list(records)
    for term in reversed(order):
        key = term.lstrip("+-")
        gone = [record for record in result if get(record, key) in (MISSING, None)]
        there = [(_rank(get(record, key)), record) for record in result if get(record, key) not in (MISSING, None)]
        there.sort(key=itemgetter(0), reverse=term.startswith("-"))
        result = [record for _, record in there] + gone
    return result


def _rank(value: object) -> tuple[int, object]:
    return (1, value) if isinstance(value, str) else (0, value)


def _clause(key: str, operand: object, get: Get) -> bool:
    if key == "$not":
        return not matches(cast("Mapping[str, object]", operand), get)
    if key in {"$and", "$or", "$nor"}:
        results = [matches(each, get) for each in cast("Sequence[Mapping[str, object]]", operand)]
        return {"$and": all(results), "$or": any(results), "$nor": not any(results)}[key]
    return _operators(operand if isinstance(operand, dict) else {"$eq": operand}, get(key))


def _operators(operators: Mapping[str, object], value: object) -> bool:
    return all(_operator(word, operand, value) for word, operand in operators.items())


def _operator(word: str, operand: object, value: object) -> bool:
    if word == "$not":
        return not _operators(cast("Mapping[str, object]", operand), value)
    if word in {"$ne", "$nin"}:
        return not _operator({"$ne": "$eq", "$nin": "$in"}[word], operand, value)
    if word == "$in":
        return any(_equal(value, each) for each in cast("Sequence[object]", operand))
    if word == "$exists":
        return (value is not MISSING and value != frozenset()) == operand
    if word == "$regex":
        members = value if isinstance(value, frozenset) else [value]
        return any(isinstance(each, str) and re.search(str(operand), each) is not None for each in members)
    return _equal(value, operand) if word == "$eq" else _ordered(word, value, operand)


def _equal(value: object, operand: object) -> bool:
    if operand is None:
        return value is MISSING or value is None or value == frozenset()
    members = value if isinstance(value, frozenset) else [value]
    return any(_comparable(each, operand) and each == _plain(operand) for each in members)


def _ordered(word: str, value: object, operand: object) -> bool:
    if not _comparable(value, operand):
        return False
    left, right = cast("float", value), cast("float", _plain(operand))
    return {"$gt": left > right, "$gte": left >= right, "$lt": left < right, "$lte": left <= right}[word]


def _comparable(value: object, operand: object) -> bool:
    return _kind(value) == _kind(_plain(operand)) != "other"


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else "other"


def _plain(operand: object) -> object:
    if isinstance(operand, datetime):
        return operand.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return operand
