"""JSON data out of what scripts hand to config, metadata and summary, with the errors they expect."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import lineage
from lineage import jsondata
from lineage.jsondata import JsonObject, JsonValue

_DEEPEST: Final = 20
"""Levels of a config that are looked into where JSON cannot hold it whole."""


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
    try:
        return jsondata.plain_object(_without_bytes(value), what)
    except lineage.InvalidInputError as error:
        raise DataError(str(error), kind=error.kind) from error


def plain_value(value: object, what: str) -> JsonValue:
    """Return one value as plain data that shares nothing with it; bytes become text.

    Raises:
        DataError: It is, or holds, what JSON cannot.
    """
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
    return _friendly(value, 0)


def _friendly(value: Any, depth: int) -> JsonValue:
    try:
        return jsondata.plain_value(_without_bytes(value), "config")
    except lineage.InvalidInputError:
        pass
    if depth < _DEEPEST:  # below it what is left is text; what contains itself has no end
        if isinstance(value, Mapping):
            return {_text_of(key): _friendly(member, depth + 1) for key, member in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [_friendly(member, depth + 1) for member in value]
    return _text_of(value)


def _text_of(value: Any) -> str:
    """Return an object as text, as far as its own code lets it."""
    try:
        text = f"{value.__module__}.{value.__qualname__}" if hasattr(value, "__qualname__") else str(value)
    except Exception:  # noqa: BLE001 (its __repr__ may raise anything; a config must not end the program)
        text = object.__repr__(value)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _without_bytes(value: Any, depth: int = 0) -> Any:
    """Return a value with text in the place of bytes; what is too deep stays as it is, and is refused as JSON."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if depth > jsondata.MAX_DEPTH:
        return value
    if isinstance(value, Mapping):
        return {key: _without_bytes(member, depth + 1) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_without_bytes(member, depth + 1) for member in value]
    return value


def finite(value: Any, depth: int = 0) -> Any:
    """Return `value` with None for NaN and infinities, which a summary cannot hold: JSON has neither."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth > jsondata.MAX_DEPTH:
        return value
    if isinstance(value, Mapping):
        return {key: finite(member, depth + 1) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [finite(member, depth + 1) for member in value]
    return value
