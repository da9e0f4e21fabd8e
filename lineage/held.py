"""JSON data that is only shown: dicts and lists that say how to change what they show, instead of taking a change.

What is set in a handle's metadata would be seen there, written by nobody, and missed much later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn

from lineage.errors import StateError
from lineage.jsondata import JsonObject, JsonValue


def _refuse(self: HeldDict | HeldList, *_: object, **__: object) -> NoReturn:
    raise StateError(self.how)


class HeldDict(dict[str, JsonValue]):
    """A dict that cannot be changed; a copy of it is a plain one.

    Example:
        >>> from copy import deepcopy
        >>> found = held({"layers": [1]}, "metadata of iv3:v0: version.update(metadata=...) changes it")
        >>> deepcopy(found) | {"more": 2}
        {'layers': [1], 'more': 2}
        >>> found["layers"].append(2)
        Traceback (most recent call last):
        lineage.errors.StateError: metadata of iv3:v0: version.update(metadata=...) changes it
    """

    __slots__ = ("how",)
    how: str

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        """Copy and pickle as a dict."""
        return dict, (dict(self),)


class HeldList(list[JsonValue]):
    """A list that cannot be changed; a copy of it is a plain one."""

    __slots__ = ("how",)
    how: str

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        """Copy and pickle as a list."""
        return list, (list(self),)


_DICT: Final = ("__setitem__", "__delitem__", "__ior__", "clear", "pop", "popitem", "setdefault", "update")
_LIST: Final = ("__setitem__", "__delitem__", "__iadd__", "__imul__", "append", "clear", "extend", "insert", "pop")
for _kind, _names in ((HeldDict, _DICT), (HeldList, (*_LIST, "remove", "reverse", "sort"))):
    for _name in _names:
        setattr(_kind, _name, _refuse)


def held(data: Mapping[str, JsonValue], how: str) -> JsonObject:
    """Return JSON data as dicts and lists that cannot be changed and share nothing with it.

    Args:
        data: The data.
        how: What the error says that a change raises.
    """
    return _held(dict(data), how)  # type: ignore[no-any-return]  # a dict stays one


def _held(value: Any, how: str) -> Any:  # noqa: ANN401 (JSON)
    if isinstance(value, dict):
        found: HeldDict | HeldList = HeldDict((key, _held(member, how)) for key, member in value.items())
    elif isinstance(value, list):
        found = HeldList(_held(member, how) for member in value)
    else:
        return value
    found.how = how
    return found
