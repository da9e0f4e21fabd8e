"""What a column of a table holds, by W&B's names and rules: inferred from the values, or given as a dtype.

A type takes a value and returns the type that holds the value as well, or :data:`INVALID`. Numbers are one type;
NaN counts as None, since data frames mix it with anything; a column that is optional is a union with none.
"""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, ClassVar, Final, cast

from lineage.jsondata import JsonObject, JsonValue, plain_value
from lineage.wandb.sdk.data_types.base import WBValue

_LISTS: Final = (list, tuple, set, frozenset)


class Type:
    """Base of all types; equal when their names and parameters are.

    Example:
        >>> NUMBER.take(1.5) is NUMBER, NUMBER.take("x") is INVALID
        (True, True)
    """

    name: str

    def take(self, value: object) -> Type:
        """Return the type that holds what this one does and the value, or INVALID."""
        return self.merge(type_of(value))

    def merge(self, other: Type) -> Type:
        """Return the type that holds values of the other type too, or INVALID; only types without parts are asked."""
        return self if self == other else INVALID

    def explain(self, value: object, depth: int = 0) -> str:
        """Return in W&B's words why the value does not fit."""
        if depth:
            return f"{_tabs(depth)}{type_of(value)} not assignable to {self}"
        return f"{value} of type {type_of(value)} is not assignable to {self}"


@dataclass(frozen=True)
class Simple(Type):
    """A type without parameters that holds its own kind only: strings, numbers, images.

    Example:
        >>> str(Simple("image-file"))
        'Image-file'
    """

    name: str

    def __str__(self) -> str:
        return self.name.capitalize()


class _Any(Simple):
    def merge(self, other: Type) -> Type:
        return INVALID if other in (NONE, INVALID) else self


class _Unknown(Simple):
    def merge(self, other: Type) -> Type:
        return INVALID if other == NONE else other


class _PrimaryKey(Simple):
    def merge(self, other: Type) -> Type:
        return self if other in (STRING, self) else INVALID


INVALID: Final = Simple("invalid")
NONE: Final = Simple("none")
STRING: Final = Simple("string")
NUMBER: Final = Simple("number")
BOOLEAN: Final = Simple("boolean")
TIMESTAMP: Final = Simple("timestamp")
ANY: Final = _Any("any")
UNKNOWN: Final = _Unknown("unknown")
PRIMARY_KEY: Final = _PrimaryKey("primaryKey")


@dataclass(frozen=True)
class PythonObject(Type):
    """An object of any other class; holds objects of the same class."""

    class_name: str
    name: ClassVar[str] = "pythonObject"  # type: ignore[misc]  # each instance of these has the same name

    def __str__(self) -> str:
        return f"Pythonobject(class_name:{self.class_name})"


@dataclass(frozen=True)
class Const(Type):
    """One value, or one set of values, and nothing else."""

    value: Any
    name: ClassVar[str] = "const"  # type: ignore[misc]  # as above

    def take(self, value: object) -> Type:
        """Return this type if the value is the constant."""
        return self if value == self.value else INVALID

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True)
class Union(Type):
    """Any of its members; the first that takes a value grows, an unknown one last."""

    members: tuple[Type, ...]
    name: ClassVar[str] = "union"  # type: ignore[misc]  # as above

    def take(self, value: object) -> Type:
        """Return the union with the member that takes the value grown by it."""
        for index, member in sorted(enumerate(self.members), key=lambda pair: pair[1] == UNKNOWN):
            grown = member.take(value)
            if grown != INVALID:
                return union((*self.members[:index], grown, *self.members[index + 1 :]))
        return INVALID

    def explain(self, value: object, depth: int = 0) -> str:
        """Return the reasons of all members."""
        reasons = f"\n{_tabs(depth)}and\n".join(member.explain(value, depth + 1) for member in self.members)
        return f"{super().explain(value, depth)}\n{reasons}"

    def __str__(self) -> str:
        return " or ".join(map(str, self.members))


@dataclass(frozen=True)
class List(Type):
    """Lists, tuples and sets of elements of one type; the length is known while all have the same."""

    element: Type = UNKNOWN
    length: int | None = None
    name: ClassVar[str] = "list"  # type: ignore[misc]  # as above

    def take(self, value: object) -> Type:
        """Return this type grown by each element."""
        if not isinstance(value, (*_LISTS, _array_class())):
            return INVALID
        elements = list(cast("Iterable[object]", value))
        element = self.element
        for item in elements:
            element = element.take(item)
            if element == INVALID:
                return INVALID
        return List(element, len(elements))

    def explain(self, value: object, depth: int = 0) -> str:
        """Return the reason, with the first element that does not fit."""
        reason = super().explain(value, depth)
        element = self.element
        for index, item in enumerate(value if isinstance(value, _LISTS) else ()):
            grown = element.take(item)
            if grown == INVALID:
                return f"{reason}\n{_tabs(depth)}Index {index}:\n{element.explain(item, depth + 1)}"
            element = grown
        return reason

    def __str__(self) -> str:
        return f"{self.element}[]"


@dataclass(frozen=True)
class NDArray(Type):
    """Arrays of one shape."""

    shape: tuple[int, ...]
    name: ClassVar[str] = "ndarray"  # type: ignore[misc]  # as above

    def take(self, value: object) -> Type:
        """Return this type if the value is an array, or nested lists, of the same shape."""
        return self if isinstance(value, (list, _array_class())) and _shape(value) == self.shape else INVALID

    def __str__(self) -> str:
        return f"Ndarray(shape:{list(self.shape)})"


@dataclass(frozen=True)
class Dict(Type):
    """Dicts with the given keys, each of its own type."""

    keys: Mapping[Any, Type]
    name: ClassVar[str] = "typedDict"  # type: ignore[misc]  # as above

    def take(self, value: object) -> Type:
        """Return this type grown by the value; a key that is not there counts as None."""
        if not isinstance(value, dict) or not value.keys() <= self.keys.keys():
            return INVALID
        grown = {key: kind.take(value.get(key)) for key, kind in self.keys.items()}
        return INVALID if INVALID in grown.values() else Dict(grown)

    def explain(self, value: object, depth: int = 0) -> str:
        """Return the reason, with the keys that do not fit."""
        reason = super().explain(value, depth)
        if not isinstance(value, dict):
            return reason
        extra = [str(key) for key in value if key not in self.keys]
        if extra:
            reason += f"\n{_tabs(depth)}Found extra keys: {','.join(extra)}"
        for key, kind in self.keys.items():
            if kind.take(value.get(key)) == INVALID:
                reason += f"\n{_tabs(depth)}Key '{key}':\n{kind.explain(value.get(key), depth + 1)}"
        return reason

    def __str__(self) -> str:
        return "{" + ", ".join(f"{key!r}: {kind}" for key, kind in self.keys.items()) + "}"


@dataclass(frozen=True)
class Foreign(Type):
    """Keys (`column` is set) or row numbers of another table."""

    table: Any
    column: Any = None

    @property
    def name(self) -> str:  # type: ignore[override]  # one class for both
        """Return W&B's word for it."""
        return "foreignIndex" if self.column is None else "foreignKey"

    def merge(self, other: Type) -> Type:
        """Return this type for plain keys, and for keys of the same table."""
        if isinstance(other, Foreign):
            return self if other.table is self.table and other.column == self.column else INVALID
        return self if other == (NUMBER if self.column is None else STRING) else INVALID

    def __str__(self) -> str:
        return self.name.capitalize()


class Linked(ABC):
    """A key or row number that knows its table."""

    @abstractmethod
    def column_type(self) -> Type:
        """Return the type of a column that holds it."""


_BY_CLASS: Final[dict[type, Type]] = {
    str: STRING,
    bool: BOOLEAN,
    int: NUMBER,
    float: NUMBER,
    datetime: TIMESTAMP,
    date: TIMESTAMP,
    type(None): NONE,
}


def type_of(value: object) -> Type:  # noqa: PLR0911 - one line for each kind of value
    """Return the type of one value.

    Example:
        >>> print(type_of([1, 2]), type_of({"a": "x"}), type_of(float("nan")))
        Number[] {'a': String} None
    """
    if value.__class__ is float and math.isnan(value):
        return NONE
    known = _BY_CLASS.get(value.__class__)
    if known is not None:
        return known
    if isinstance(value, Linked):
        return value.column_type()
    if isinstance(value, WBValue):
        return Simple(value.log_type)
    if isinstance(value, dict):
        return Dict({key: type_of(item) for key, item in value.items()})
    if isinstance(value, _LISTS):
        elements: Type = union((UNKNOWN, NONE)) if any(item is None for item in value) else UNKNOWN
        for item in value:
            elements = elements.take(item)
        return List(elements, len(value))
    if isinstance(value, _array_class()):
        return NDArray(_shape(value))
    return next((kind for parent, kind in _parents() if isinstance(value, parent)), None) or PythonObject(
        value.__class__.__name__
    )


def as_type(dtype: object) -> Type:  # noqa: PLR0911 - one line for each kind of dtype
    """Return the type that a dtype means: a class, a media class, a list or dict of dtypes, a constant.

    Raises:
        TypeError: It is numpy's array class, which says no shape; give an example array's type by leaving it out.

    Example:
        >>> print(as_type([int, str]), as_type([float]), as_type({"x": bool}), as_type(5))
        Number or String Number[] {'x': Boolean} 5
    """
    if isinstance(dtype, Type):
        return dtype
    if dtype is Any:
        return ANY
    if isinstance(dtype, type):
        return _type_of_class(dtype)
    if isinstance(dtype, WBValue):
        return Simple(dtype.log_type)
    if isinstance(dtype, list):
        return union(map(as_type, dtype)) if len(dtype) > 1 else List(as_type(dtype[0]) if dtype else UNKNOWN)
    if isinstance(dtype, dict):
        return Dict({key: as_type(kind) for key, kind in dtype.items()})
    return Const(dtype)


def union(types: Iterable[Type]) -> Union:
    """Return the union of types, unions among them dissolved.

    Example:
        >>> print(union([STRING, union([NUMBER, NONE])]))
        None or Number or String
    """
    flat: list[Type] = []
    for kind in types:
        flat += kind.members if isinstance(kind, Union) else (kind,)
    return Union(tuple(sorted(flat, key=str)))


def to_json(kind: Type, save: Callable[[Any], str]) -> JsonObject:
    """Return a type in W&B's JSON: ``wb_type`` and ``params``.

    Args:
        kind: The type.
        save: Stores a table that keys point to and returns its path.

    Example:
        >>> to_json(List(NUMBER, 2), str)
        {'wb_type': 'list', 'params': {'element_type': {'wb_type': 'number'}, 'length': 2}}
    """
    params: dict[str, Any] = {}
    if isinstance(kind, PythonObject):
        params = {"class_name": kind.class_name}
    elif isinstance(kind, Const):
        params = {"val": plain_value(kind.value, "a constant dtype"), "is_set": isinstance(kind.value, set)}
    elif isinstance(kind, Union):
        params = {"allowed_types": [to_json(member, save) for member in kind.members]}
    elif isinstance(kind, List):
        params = {"element_type": to_json(kind.element, save), "length": kind.length}
    elif isinstance(kind, NDArray):
        params = {"shape": list(kind.shape)}
    elif isinstance(kind, Dict):
        params = _dict_params(kind, save)
    elif isinstance(kind, Foreign):
        params = {"table": save(kind.table)} | ({} if kind.column is None else {"col_name": kind.column})
    return {"wb_type": kind.name, "params": params} if params else {"wb_type": kind.name}


def from_json(  # noqa: PLR0911 - one line for each name
    data: dict[str, Any], load: Callable[[str], Any]
) -> Type:
    """Return the type that :func:`to_json`, or W&B itself, wrote.

    Args:
        data: Its JSON.
        load: Returns the table at a path.
    """
    name, params = data["wb_type"], data.get("params", {})
    match name:
        case "any" | "unknown" | "primaryKey":
            return {"any": ANY, "unknown": UNKNOWN, "primaryKey": PRIMARY_KEY}[name]
        case "pythonObject" | "object":
            return PythonObject(params["class_name"])
        case "const":
            return Const(set(params["val"]) if params.get("is_set") else params["val"])
        case "union":
            return union(from_json(member, load) for member in params["allowed_types"])
        case "list":
            return List(from_json(params["element_type"], load), params.get("length"))
        case "ndarray":
            return NDArray(tuple(params["shape"]))
        case "typedDict" | "dictionary":
            pairs = params["type_items"] if "type_items" in params else params["type_map"].items()
            return Dict({key: from_json(kind, load) for key, kind in pairs})
        case "foreignKey" | "foreignIndex":
            return Foreign(load(params["table"]), params.get("col_name"))
        case _:
            return Simple(name)


def _dict_params(kind: Dict, save: Callable[[Any], str]) -> JsonObject:
    """Return W&B's ``type_map``; for keys that JSON cannot have, pairs, so that they come back as they were."""
    if all(isinstance(key, str) for key in kind.keys):
        return {"type_map": {key: to_json(item, save) for key, item in kind.keys.items()}}
    pairs: list[JsonValue] = [
        [plain_value(key, "a key in a cell"), to_json(item, save)] for key, item in kind.keys.items()
    ]
    return {"type_items": pairs}


def _type_of_class(dtype: type) -> Type:
    if dtype in _BY_CLASS:
        return _BY_CLASS[dtype]
    if issubclass(dtype, WBValue):
        return Simple(dtype.log_type)
    if issubclass(dtype, _LISTS):
        return List()
    if issubclass(dtype, dict):
        return Dict({})
    if issubclass(dtype, _array_class()):
        raise TypeError("dtype: an array class says no shape; leave the dtype out, the first array gives it")
    return next((kind for parent, kind in _parents() if issubclass(dtype, parent)), None) or PythonObject(
        dtype.__name__
    )


def _parents() -> list[tuple[type, Type]]:
    """Return classes whose subclasses count as they do, numpy's scalars too once numpy is loaded."""
    numpy: Any = sys.modules.get("numpy")
    scalars = [(numpy.bool_, BOOLEAN), (numpy.number, NUMBER), (numpy.datetime64, TIMESTAMP)] if numpy else []
    return [*scalars, *_BY_CLASS.items()]


def _array_class() -> type:
    """Return numpy's array class, or one without instances while nobody has loaded numpy."""
    numpy: Any = sys.modules.get("numpy")
    return cast("type", numpy.ndarray) if numpy else _Nothing


class _Nothing:
    """Has no instances."""


def _shape(value: object) -> tuple[int, ...]:
    if not isinstance(value, list):
        return tuple(cast("Any", value).shape)
    return (len(value), *(_shape(value[0]) if value and isinstance(value[0], list) else ()))


def _tabs(depth: int) -> str:
    return "\t" * depth
