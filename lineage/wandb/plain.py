"""JSON data out of what scripts hand to config, metadata and summary, with the errors they expect."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import lineage
from lineage import jsondata
from lineage.jsondata import JsonObject, JsonValue


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
    try:
        return jsondata.plain_value(_without_bytes(value), "config")
    except lineage.InvalidInputError:
        pass
    if isinstance(value, Mapping):
        return {str(key): friendly(member) for key, member in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [friendly(member) for member in value]
    text = f"{value.__module__}.{value.__qualname__}" if hasattr(value, "__qualname__") else str(value)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


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
