"""Cells of a table as JSON and back, exactly.

Text, whole numbers, finite floats, bools, None, lists and dicts with text as keys are themselves. What JSON has no
word for is an object whose ``_type`` begins with ``lineage/``; media are the JSON they make of themselves.

============================================  =============================================================
given                                         comes back as
============================================  =============================================================
NaN, infinities, datetime, date, time,        itself
timedelta, Decimal, bytes, datetime64
dict with other keys, or with ``_type``       itself
numpy scalar, tuple, set                      Python's scalar, list, list
array, tensor                                 numpy array of the same dtype and shape
pandas' NA and NaT, Timestamp                 None, datetime (datetime64 where it has nanoseconds)
anything else                                 what :func:`lineage.jsondata.plain_value` makes of it, or an error
============================================  =============================================================
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final, cast

from lineage.jsondata import JsonObject, JsonValue, plain_value
from lineage.wandb.errors import Error
from lineage.wandb.sdk.data_types.base import Sink, Source, WBValue
from lineage.wandb.sdk.data_types.column_types import Linked
from lineage.wandb.sdk.data_types.optional import as_array, is_instance, needed
from lineage.wandb.sdk.data_types.reader import Reader
from lineage.wandb.sdk.data_types.registry import by_type

_MARK: Final = "lineage/"
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
_RAW_KINDS: Final = "biufcmM"  # arrays whose bytes are their values
_DTYPE: Final = re.compile(r"[<>|=]?(?:[biufc]\d{1,2}|[mM]8(?:\[\d*\w+\])?|O|[SUV]\d{1,10})")
"""Of arrays in cells, as ``array.dtype.str`` writes them; a width of text is counted before it is taken."""


def encode(  # noqa: PLR0911 - one line for each kind of value
    value: object, sink: Sink, what: str = "a cell"
) -> JsonValue:
    """Return a cell as JSON; a media object adds its files to the sink.

    Args:
        value: The cell.
        sink: Where files go.
        what: Whose value it is; an error begins with it.

    Raises:
        InvalidInputError: It is, or holds, what cannot be kept.
    """
    value = normal(value)
    if isinstance(value, WBValue):
        return value.to_json(sink)
    if isinstance(value, float):
        return value if math.isfinite(value) else _tagged("float", repr(value))
    if isinstance(value, str):
        return _text(value)
    if type(value) in _PLAIN:
        return cast("JsonValue", value)
    if type(value) is list:
        return [encode(item, sink, what) for item in value]
    if isinstance(value, dict):
        return _encode_dict(value, sink, what)
    return _encode_other(value, sink, what)


def decode(data: JsonValue, source: Source) -> Any:
    """Return the cell that :func:`encode` made JSON of; media read their files from the source."""
    if isinstance(data, list):
        return [decode(item, source) for item in data]
    if not isinstance(data, dict):
        return data
    word = data.get("_type")
    media = by_type(word)
    if media is not None:
        return media.from_json(data, source)
    if isinstance(word, str) and word.startswith(_MARK):
        return _DECODERS[word.removeprefix(_MARK)](data, source)
    return {key: decode(item, source) for key, item in data.items()}


def normal(value: object) -> Any:
    """Return a cell without the clothes of packages: Python's scalars, lists, datetimes; the rest as it is.

    Example:
        >>> normal((1, (2, None)))
        [1, [2, None]]
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Linked):
        return str(value) if isinstance(value, str) else int(cast("Any", value))
    if isinstance(value, (list, tuple)):
        return [normal(item) for item in value]
    if is_instance(value, "numpy", "generic") and not is_instance(value, "numpy", "datetime64"):
        return cast("Any", value).item()
    if is_instance(value, "pandas", "Timestamp"):
        return _moment(cast("Any", value))
    missing = type(value).__name__ in {"NAType", "NaTType"} and type(value).__module__.startswith("pandas.")
    return None if missing else value


def _moment(stamp: Any) -> Any:
    return stamp.to_datetime64() if stamp.nanosecond else stamp.to_pydatetime()


def _tagged(word: str, value: JsonValue, **more: JsonValue) -> JsonObject:
    return {"_type": _MARK + word, "value": value, **more}


def _text(value: str) -> JsonValue:
    """Return text as it is; half characters, which UTF-8 cannot write, as bytes."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return _tagged("text", base64.b64encode(value.encode(errors="surrogatepass")).decode())
    return plain_value(value, "a cell") if type(value) is not str else value  # an Enum member's name


def _encode_dict(value: dict[Any, object], sink: Sink, what: str) -> JsonValue:
    items = {key: encode(item, sink, what) for key, item in value.items()}
    if "_type" not in items and all(type(key) is str and _text(key) is key for key in items):
        return cast("JsonValue", items)
    return _tagged("dict", [[encode(key, sink, what), item] for key, item in items.items()])


def _encode_other(value: object, sink: Sink, what: str) -> JsonValue:
    for word, (cls, to_text, _) in _SCALARS.items():
        if type(value) is cls:
            return _tagged(word, to_text(value))
    if is_instance(value, "numpy", "datetime64"):
        unit = needed("numpy", "A datetime64", "tables").datetime_data(cast("Any", value).dtype)
        return _tagged("datetime64", str(value), unit=list(unit))
    array = as_array(value)
    if array is None:
        return plain_value(value, what)
    head: JsonObject = {"dtype": array.dtype.str, "shape": list(array.shape)}
    if array.dtype.kind in _RAW_KINDS:
        return _tagged("ndarray", base64.b64encode(array.tobytes()).decode(), **head)
    values = [encode(item, sink, what) for item in array.ravel().tolist()]
    return _tagged("ndarray", values, **head)


def _decode_array(data: dict[str, Any], source: Source) -> Any:
    numpy = needed("numpy", "A table with arrays in its cells", "tables")
    if not _DTYPE.fullmatch(data["dtype"]):
        raise Error(f"an array of the dtype {data['dtype']!r:.60}, which is none that tables hold")
    dtype = numpy.dtype(data["dtype"])
    if isinstance(data["value"], str):
        raw = numpy.frombuffer(base64.b64decode(data["value"]), dtype=dtype)
        return raw.reshape(data["shape"]).copy()  # the buffer cannot be written to
    Reader.of(source).charge(len(data["value"]) * dtype.itemsize)
    array = numpy.empty(len(data["value"]), dtype=dtype)
    for index, item in enumerate(data["value"]):  # one by one: numpy would look into an object that is a list
        array[index] = decode(item, source)
    return array.reshape(data["shape"])


def _decode_datetime64(data: dict[str, Any], _: Source) -> Any:
    numpy = needed("numpy", "A table with datetime64 in its cells", "tables")
    return numpy.datetime64(data["value"], tuple(data["unit"]))


def _decode_scalar(word: str) -> Callable[[dict[str, Any], Source], Any]:
    return lambda data, _: _SCALARS[word][2](data["value"])


def _span(text: str) -> timedelta:
    days, seconds, microseconds = map(int, text.split())
    return timedelta(days, seconds, microseconds)


_SCALARS: Final[dict[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]]] = {
    "datetime": (datetime, datetime.isoformat, datetime.fromisoformat),
    "date": (date, date.isoformat, date.fromisoformat),
    "time": (time, time.isoformat, time.fromisoformat),
    "timedelta": (timedelta, lambda span: f"{span.days} {span.seconds} {span.microseconds}", _span),
    "decimal": (Decimal, str, Decimal),
    "bytes": (bytes, lambda data: base64.b64encode(data).decode(), base64.b64decode),
}

_DECODERS: Final[dict[str, Callable[[dict[str, Any], Source], Any]]] = {
    **{word: _decode_scalar(word) for word in _SCALARS},
    "float": lambda data, _: float(data["value"]),
    "text": lambda data, _: base64.b64decode(data["value"]).decode(errors="surrogatepass"),
    "dict": lambda data, source: {decode(key, source): decode(item, source) for key, item in data["value"]},
    "ndarray": _decode_array,
    "datetime64": _decode_datetime64,
}
