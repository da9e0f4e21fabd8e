"""Plain JSON data out of what people hand over as config, metadata, summary and metrics.

What goes in comes out as a deep copy made of dict, list, str, int, float, bool and None, or not at all: nothing
is rounded, cut or turned into the text of its ``repr``. An error names the key it stumbled on.

=========================================  ===================================================================
given                                      kept as
=========================================  ===================================================================
str, int, float, bool, None                itself; integers exactly, up to 4,300 digits
NaN, NaT                                   None, as W&B does; an infinity is an error
tuple, deque, any sequence; range          list; a range of at most 1,000 numbers
set, frozenset                             list, sorted by value, or by JSON text where values do not compare
any mapping, Namespace, dataclass, model   dict (model: what has ``model_dump``, as in pydantic)
slice                                      dict of ``slice_start``, ``slice_stop``, ``slice_step``
array, tensor of at most 1,000 elements    nested lists; a scalar or one without dimensions its value
datetime, date, time; timedelta            ISO 8601 text, with the offset where there is one; seconds
Enum (also IntEnum, StrEnum)               the member's name
Path, Decimal, UUID                        text
bytes, any other object                    an error
=========================================  ===================================================================

Keys are text. Numbers, bools and None become text as in ``json.dumps`` (``1``, ``1.5``, ``true``, ``null``), an
Enum member its name; two keys that are then the same are an error, and so is any other key.

NUL is kept in values: JSON text escapes it, so SQLite never sees one and gives the text back whole. SQLite's
own ``json_extract`` stops at it (seen in 3.40), which only matters to a filter on such a value.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, time, timedelta
from enum import Enum
from types import SimpleNamespace, TracebackType
from typing import Any, Final, NoReturn, TypeAlias, cast

from lineage.errors import CorruptionError, ErrorKind, InvalidInputError

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
JsonObject: TypeAlias = dict[str, JsonValue]

MAX_DEPTH: Final = 100
MAX_ELEMENTS: Final = 1_000
MAX_TEXT_BYTES: Final = 16 * 1024 * 1024
MAX_METRIC_NAME: Final = 512
_INTEGER_LIMIT: Final = 10**4300  # beyond it Python's int() refuses to read the stored text back
_PLAIN_TYPES: Final = frozenset({str, int, float, bool, type(None), list, tuple, dict})
_BARE_KEY: Final = re.compile(r"[\w-]{1,60}")
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_LONG_RANGE: Final = f"a range of more than {MAX_ELEMENTS:,} numbers; give its start, stop and step"
_TOO_LARGE: Final = "more than 16 MiB of text; log it as a file"


def plain_object(value: object, what: str) -> JsonObject:
    """Return `value` as a JSON object that shares nothing with it.

    Args:
        value: A mapping, an ``argparse.Namespace``, a dataclass instance, a pydantic model, the JSON text of an
            object, or None for an empty one.
        what: Whose data it is, such as ``"metadata of artifact 'iv3'"``; the error begins with it.

    Raises:
        InvalidInputError: It is none of these, or holds what JSON cannot; the message names the key.

    Example:
        >>> plain_object({"lr": 3e-4, 7: (1, 2), "loss": float("nan")}, "config")
        {'lr': 0.0003, '7': [1, 2], 'loss': None}
    """
    if value is None:
        return {}
    with _Naming(what):
        try:
            data = json.loads(value) if isinstance(value, str) else value
        except ValueError as error:
            _refuse(f"text that is not JSON ({error}); give a dict, or the JSON text of an object", error)
        copy = _Copier()
        result = copy.sized(copy.value(data, 0))
        if not isinstance(result, dict) or isinstance(value, slice):
            _refuse(f"a value of type {_type_name(data)} is not a dict; give a dict of names and values")
        return result


def plain_value(value: object, what: str) -> JsonValue:
    """Return one value as JSON data that shares nothing with it; text stays text.

    Raises:
        InvalidInputError: It is, or holds, what JSON cannot; the message begins with `what`.

    Example:
        >>> plain_value({3, 1, 2}, "summary of run 'a'")
        [1, 2, 3]
    """
    with _Naming(what):
        copy = _Copier()
        return copy.sized(copy.value(value, 0))


def flatten_metrics(data: Mapping[str, object], what: str) -> JsonObject:
    """Return metrics by name, nested dicts under dotted names; one with a ``_type`` is a value and not a group.

    A numpy number or a tensor without dimensions becomes a plain number. Unlike elsewhere, a metric itself may
    be NaN or infinite, since a loss that diverged is a fact worth keeping; such a result is no JSON data yet.
    Anything that is no number is kept as :func:`plain_value` keeps it. An empty nested dict leaves no trace.

    Args:
        data: Names and values; names are text of at most 512 characters, the dots included.
        what: Whose metrics these are; the error begins with it.

    Raises:
        InvalidInputError: A name or a value breaks these rules, or two names are the same once dotted.

    Example:
        >>> flatten_metrics({"train": {"loss": 0.5, "acc": 0.9}, "epoch": 1}, "metrics")
        {'train.loss': 0.5, 'train.acc': 0.9, 'epoch': 1}
    """
    with _Naming(what):
        if not isinstance(data, Mapping):
            _refuse(f"a value of type {_type_name(data)} is not a dict; give a dict of names and values")
        copy = _Copier(infinite=True)
        result: JsonObject = {}
        _flatten(data, "", result, copy)
        copy.sized(result)
        return result


def json_text(value: JsonValue) -> str:
    """Return `value` as compact JSON text, keys in their order, text unescaped where JSON allows it.

    Raises:
        InvalidInputError: `value` is not JSON data (it did not come from this module).

    Example:
        >>> json_text({"name": "naïve", "layers": [1, 2]})
        '{"name":"naïve","layers":[1,2]}'
    """
    try:
        return _ENCODER.encode(value)
    except (ValueError, TypeError, RecursionError) as error:
        message = f"JSON text: {error}; pass it through plain_object first"
        raise InvalidInputError(message, kind=ErrorKind.JSON_INVALID) from error


def parse_object(text: str) -> JsonObject:
    """Return the object that :func:`json_text` wrote, as the store holds it.

    Raises:
        CorruptionError: The text is not strict JSON, or not an object: somebody else wrote it.

    Example:
        >>> parse_object('{"lr":0.0003}')
        {'lr': 0.0003}
    """
    try:
        value = _STORED.decode(text)
        if "\\u" in text:  # only an escape can smuggle in half a character, which would break a later write
            _ENCODER.encode(value).encode()
        if isinstance(value, dict):
            return value
    except (ValueError, RecursionError) as error:
        message = f"stored JSON cannot be read ({error}); run verify, or restore the project from a copy"
        raise CorruptionError(message) from error
    raise CorruptionError("stored JSON is not an object; run verify, or restore the project from a copy")


class _Refusal(Exception):  # noqa: N818 - not an error yet: it gathers the path on its way up
    """Something JSON cannot hold; `path` grows from the inside out while it rises."""

    def __init__(self, reason: str, item: object = None) -> None:
        self.reason = reason
        self.item = item
        self.path: list[str] = []

    def sentence(self, what: str) -> str:
        path = "".join(reversed(self.path)).removeprefix(".")
        if len(path) > 200:  # noqa: PLR2004 - enough to find it; a hundred long keys would bury the reason
            path = f"{path[:100]}…{path[-100:]}"
        return ": ".join(filter(None, (what, path, self.reason)))


class _Naming:
    """Say whose data a refusal in the block is about. A class: contextmanager adds 1 µs to each call."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        if isinstance(error, RecursionError):  # the program was deep in calls before it came here
            error = _Refusal("nested too deeply to be followed from here; flatten it")
        if isinstance(error, _Refusal):
            raise InvalidInputError(error.sentence(self._what), kind=ErrorKind.JSON_INVALID) from error.__cause__


def _refuse(reason: str, cause: Exception | None = None) -> NoReturn:
    raise _Refusal(reason) from cause


class _Copier:
    """One deep copy: how much text it may still take, and whether a metric may be infinite."""

    def __init__(self, *, infinite: bool = False) -> None:
        self._infinite = infinite
        self._left = MAX_TEXT_BYTES

    def value(self, item: object, depth: int) -> JsonValue:
        """Return the copy of anything; `depth` counts the containers around it.

        The size is counted on the way and not only at the end: a few lists that hold one another ten times
        over unfold to more than any memory.
        """
        kind = type(item)
        if kind is str:
            return self.text(cast("str", item))
        self._left -= 2
        if self._left < 0:
            _refuse(_TOO_LARGE)
        if kind is float:
            return self._float(cast("float", item), depth)
        if kind is int:
            return self._integer(cast("int", item))
        if kind is bool or item is None:
            return cast("bool | None", item)
        if depth >= MAX_DEPTH:
            raise _Refusal(f"nested deeper than {MAX_DEPTH} levels; flatten it", item)
        try:
            return self._container(item, depth)
        except _Refusal as refusal:
            if refusal.item is item:  # its turns say nothing: the path left leads into the loop
                refusal.reason, refusal.path = "it contains itself; break the loop", []
            raise

    def sized(self, result: JsonValue) -> JsonValue:
        """Give `result` back, its text measured where the count on the way, a lower bound, leaves doubt.

        A float takes up to 25 characters for the 2 counted, a control character 6 for 1: never 13 times.
        """
        if (MAX_TEXT_BYTES - self._left) * 13 > MAX_TEXT_BYTES:
            size = sum(len(piece.encode()) for piece in _LENIENT.iterencode(result))
            if size > MAX_TEXT_BYTES:
                _refuse(_TOO_LARGE)
        return result

    def text(self, item: str) -> str:
        self._left -= len(item) + 3
        if self._left < 0:
            _refuse(_TOO_LARGE)
        if not item.isascii():
            try:
                item.encode()
            except UnicodeEncodeError:
                _refuse("text with half a character (a lone surrogate); decode the bytes it came from")
        return item

    def _float(self, item: float, depth: int) -> float | None:
        if math.isfinite(item) or (self._infinite and depth == 0):
            return item
        if math.isnan(item):
            return None
        _refuse("infinity is not JSON; use a number or text")

    def _integer(self, item: int) -> int:
        self._left -= item.bit_length() // 4
        if not -_INTEGER_LIMIT < item < _INTEGER_LIMIT:
            _refuse("an integer of more than 4,300 digits; use text")
        return item

    def _container(self, item: object, depth: int) -> JsonValue:
        if isinstance(item, Mapping):
            return self._mapping(item, depth)
        if isinstance(item, list | tuple | deque):
            return self._sequence(item, depth)
        if isinstance(item, set | frozenset):
            return self._set(item, depth)
        try:
            simpler = _simpler(item)
        except _Refusal:
            raise
        except Exception as error:  # noqa: BLE001 - tolist(), model_dump(): the code of others may raise anything
            _refuse(f"a value of type {_type_name(item)} could not be read: {error}", error)
        if isinstance(simpler, Iterator):  # of a sequence; not made a list first, for it may never end
            return self._sequence(simpler, depth)
        # What is not plain yet counts as a level: an object that turns into its like must come to an end.
        return self.value(simpler, depth if type(simpler) in _PLAIN_TYPES else depth + 1)

    def _mapping(self, item: Mapping[object, object], depth: int) -> JsonObject:
        result: JsonObject = {}
        for key, member in item.items():
            name = key if type(key) is str else _key_text(key)
            try:
                self.text(name)
                if name in result:
                    _refuse("two keys are the same as text; rename one")
                result[name] = self.value(member, depth + 1)
            except _Refusal as refusal:
                refusal.path.append(f".{name}" if _BARE_KEY.fullmatch(name) else f"[{name[:60]!r}]")
                raise
        return result

    def _sequence(self, items: Iterable[object], depth: int) -> list[JsonValue]:
        result: list[JsonValue] = []
        try:
            for member in items:
                result.append(self.value(member, depth + 1))  # noqa: PERF401 - the error needs the index
        except _Refusal as refusal:
            refusal.path.append(f"[{len(result)}]")
            raise
        return result

    def _set(self, items: Iterable[object], depth: int) -> list[JsonValue]:
        """Return the members in an order that does not depend on hashes, which differ between processes.

        The copies are sorted, not the members: frozensets compare without being ordered, lists do not.
        """
        members: list[Any] = [self.value(member, depth + 1) for member in items]
        try:
            return sorted(members)
        except TypeError:
            return sorted(members, key=_ENCODER.encode)


def _key_text(key: object) -> str:
    """Return a key that is no plain text as the text ``json.dumps`` would make of it."""
    simpler = _simpler(key) if isinstance(key, Enum | str | float | int) or _is_array(key) else key
    if isinstance(simpler, str):
        return simpler
    if simpler is None or isinstance(simpler, bool | int | float):
        with suppress(ValueError):  # NaN, infinities, endless integers
            return _ENCODER.encode(simpler)
    _refuse(f"a key of type {_type_name(key)} has no text in JSON; use text")


def _simpler(item: Any) -> object:  # noqa: ANN401, PLR0911 - whatever people hand over, in order
    """Return what stands for an object that is no container: one step nearer to plain data."""
    for base, plain in _CONVERSIONS:
        if isinstance(item, base):
            return plain(item)
    if _is_array(item):
        return _array_data(item)
    if isinstance(item, Sequence):
        return iter(item)
    if _is_instance(item, "decimal", "Decimal") or _is_instance(item, "uuid", "UUID"):
        return str(item)
    if dataclasses.is_dataclass(item) and not isinstance(item, type):
        return {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}
    if isinstance(item, SimpleNamespace) or _is_instance(item, "argparse", "Namespace"):
        return dict(vars(item))
    if hasattr(type(item), "model_dump"):
        return item.model_dump()
    _refuse(f"a value of type {_type_name(item)} is not JSON; use text, a number, a list or a dict")


_CONVERSIONS: Final[tuple[tuple[Any, Callable[[Any], object]], ...]] = (
    # The order tells: a member may be a str or an int too, and bytes and ranges are sequences.
    (Enum, lambda item: item.value if item.name is None else item.name),  # an empty Flag has no name
    ((bytes, bytearray, memoryview), lambda _: _refuse("bytes are not JSON; decode them, or log them as a file")),
    (str, str.__str__),  # subclasses: the plain type's own method, whatever they made of theirs
    (bool, bool),
    (int, int.__int__),
    (float, float.__float__),
    ((date, time), lambda item: None if item.isoformat() == "NaT" else item.isoformat()),  # pandas' NaT
    (timedelta, timedelta.total_seconds),
    (range, lambda item: _refuse(_LONG_RANGE) if item[MAX_ELEMENTS:] else list(item)),  # len() may overflow
    (slice, lambda item: {"slice_start": item.start, "slice_stop": item.stop, "slice_step": item.step}),
    (os.PathLike, os.fspath),
)


def _is_instance(item: object, module: str, name: str) -> bool:
    """Whether `item` is of a class met rarely; importing decimal, uuid and argparse would cost 20 ms."""
    return isinstance(item, getattr(sys.modules.get(module), name, ()))


def _is_array(item: object) -> bool:  # the type is asked: an instance may answer to every name (a mock)
    return hasattr(type(item), "tolist") or (hasattr(type(item), "numpy") and hasattr(type(item), "shape"))


def _array_data(item: Any) -> object:  # noqa: ANN401 - numpy, torch, tensorflow or jax, none of them imported
    count = math.prod(max(1, int(n)) for n in item.shape) if hasattr(item, "shape") else len(item)
    if count > MAX_ELEMENTS:
        _refuse(f"an array of {count:,} elements; log it as a file (up to {MAX_ELEMENTS:,} become a list)")
    if not hasattr(item, "tolist"):  # tensorflow
        return item.numpy().tolist()
    kind = getattr(getattr(item, "dtype", None), "kind", "")
    if kind == "M":  # tolist() gives nanoseconds as a bare integer
        return _without_nat(item.astype("str").tolist())
    data = item.astype("timedelta64[us]").tolist() if kind == "m" else item.tolist()
    if type(data) is type(item):  # numpy.longdouble: no Python number holds it
        _refuse(f"a value of type {_type_name(item)} has no exact Python number; convert it with float()")
    return data


def _without_nat(data: Any) -> object:  # noqa: ANN401 - text, or lists of it to any depth
    if isinstance(data, list):
        return [_without_nat(member) for member in data]
    return None if data == "NaT" else data


def _type_name(item: object) -> str:
    kind = type(item)
    return f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")


def _flatten(data: Mapping[Any, object], prefix: str, result: JsonObject, copy: _Copier) -> None:
    for key, value in data.items():
        name = prefix + _metric_name(key, prefix)
        if type(value) is not float and isinstance(value, Mapping) and "_type" not in value:
            _flatten(value, f"{name}.", result, copy)  # the limit of the name ends it, 256 levels down
            continue
        if name in result:
            _refuse(f"metric {name!r}: two names are the same once dotted; rename one")
        try:
            result[copy.text(name)] = copy.value(value, 0)
        except _Refusal as refusal:
            refusal.path.append(name)
            raise


def finite(value: JsonValue) -> JsonValue:
    """Return a metric as a document can hold it: JSON has no NaN and no infinities."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _metric_name(key: object, prefix: str) -> str:
    if not isinstance(key, str):
        _refuse(f"metric {prefix}<{_type_name(key)}>: a name is text; convert it")  # its repr may be anything
    name = key.name if isinstance(key, Enum) else str.__str__(key)
    if not name:
        _refuse(f"metric {prefix!r:.60}: an empty name; give it one")
    if len(prefix) + len(name) > MAX_METRIC_NAME:
        _refuse(f"metric {(prefix + name)[:60]!r}…: a name of more than {MAX_METRIC_NAME} characters; shorten it")
    if not (name.isascii() and name.isprintable()) and _CONTROL.search(name):
        _refuse(f"metric {prefix + name!r}: control characters in a name; leave them out")
    return name


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text:.40} is not a number in JSON")
    return number


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_LENIENT: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))  # metrics may be infinite
_STORED: Final = json.JSONDecoder(parse_constant=_finite, parse_float=_finite)
