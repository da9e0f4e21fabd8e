"""JSON data out of what scripts hand to config, metadata and summary, with the errors they expect."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import lineage
from lineage import jsondata
from lineage.errors import ErrorKind
from lineage.jsondata import JsonObject, JsonValue

_DEEPEST: Final = 20
"""Levels of a config that are looked into where JSON cannot hold it whole."""
_AND_SO_ON: Final = "..."


class DataError(lineage.InvalidInputError, TypeError):
    """Data that JSON cannot hold. W&B raises TypeError for some of it and ValueError for other: this is both."""


def plain_dict(value: object, what: str) -> JsonObject:
    """Return a dict of plain data that shares nothing with `value`; bytes become text.

    Raises:
        DataError: It is no dict, or holds what JSON cannot; the message names the key.

    Example:
        >>> plain_dict({"lr": 3e-4, "seed": b"abc"}, "config")
        {'lr': 0.0003, 'seed': 'abc'}
    """
    refuse_endless(value, what)
    try:
        return jsondata.plain_object(_without_bytes(value), what)
    except lineage.InvalidInputError as error:
        raise DataError(str(error), kind=error.kind) from error


def plain_value(value: object, what: str) -> JsonValue:
    """Return one value as plain data that shares nothing with it; bytes become text.

    Raises:
        DataError: It is, or holds, what JSON cannot.
    """
    refuse_endless(value, what)
    try:
        return jsondata.plain_value(_without_bytes(value), what)
    except lineage.InvalidInputError as error:
        raise DataError(str(error), kind=error.kind) from error


def friendly(value: Any) -> JsonValue:
    """Return a value of a config as plain data, whatever it is: what JSON cannot hold becomes text, as in W&B.

    A config is often all that a program was told, with functions and devices among it; that must not end the program.

    Example:
        >>> friendly({"device": complex(1, 2), "clip": float("inf"), "loss": len})
        {'device': '(1+2j)', 'clip': 'inf', 'loss': 'builtins.len'}
    """
    return _friendly(value, 0, {})


def _friendly(value: Any, depth: int, known: dict[int, tuple[Any, JsonValue]]) -> JsonValue:
    try:
        refuse_endless(value, "config")
        return jsondata.plain_value(_without_bytes(value), "config")
    except lineage.InvalidInputError:
        pass
    if not isinstance(value, Mapping | list | tuple | set | frozenset):
        return _text_of(value)
    if id(value) in known or depth >= _DEEPEST:
        return known.get(id(value), (value, _AND_SO_ON))[1]
    known[id(value)] = (value, _AND_SO_ON)  # what it is to itself
    result: JsonValue
    if isinstance(value, Mapping):
        result = {key_text(key): _friendly(member, depth + 1, known) for key, member in value.items()}
    else:
        result = [_friendly(member, depth + 1, known) for member in value]
    known[id(value)] = (value, result)
    return result


def key_text(key: object) -> str:
    """Return a key of a config as text, whatever its own code makes of that."""
    return key if isinstance(key, str) else _text_of(key)


def _text_of(value: Any) -> str:
    """Return an object as text, as far as its own code lets it."""
    try:
        text = f"{value.__module__}.{value.__qualname__}" if hasattr(value, "__qualname__") else str(value)
    except Exception:  # noqa: BLE001 (its __repr__ may raise anything; a config must not end the program)
        text = object.__repr__(value)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def refuse_endless(value: object, what: str) -> None:
    """Refuse what would never end to be looked into, before anything does: it contains itself, or is far too much.

    Raises:
        DataError: It is.
    """
    if not isinstance(value, Mapping | list | tuple):
        return
    members, levels = _extent(value, 0, {})
    if levels > jsondata.MAX_DEPTH:
        raise DataError(f"{what}: it contains itself, or is nested too deeply; flatten it", kind=ErrorKind.JSON_INVALID)
    if members > jsondata.MAX_TEXT_BYTES // 2:
        raise DataError(f"{what}: more than 16 MiB of text; log it as a file", kind=ErrorKind.JSON_INVALID)


def _extent(value: Any, depth: int, known: dict[int, tuple[Any, tuple[float, float]]]) -> tuple[float, float]:
    """Return how many members a value unfolds to, and over how many levels; each list and dict is looked at once."""
    if depth > jsondata.MAX_DEPTH:
        return math.inf, math.inf
    if id(value) not in known:
        known[id(value)] = value, (math.inf, math.inf)  # what it is to itself
        inside = value.values() if isinstance(value, Mapping) else value
        extents = [_extent(one, depth + 1, known) for one in inside if isinstance(one, Mapping | list | tuple)]
        members = len(value) + sum(members for members, _ in extents)
        known[id(value)] = value, (members, 1 + max((levels for _, levels in extents), default=0))
    return known[id(value)][1]


def _without_bytes(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, Mapping):
        return {key: _without_bytes(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_without_bytes(member) for member in value]
    return value


def finite(value: Any) -> Any:
    """Return `value` with None for NaN and infinities, which a summary cannot hold: JSON has neither."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [finite(member) for member in value]
    return value
