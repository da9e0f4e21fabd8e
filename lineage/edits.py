"""What a caller changed of what was read, put into what is there now: nobody's edits undo those of others.

An artifact or a run is read, changed and saved; meanwhile others may have saved it too. So what is saved are the
changes, and not the whole as it was read.
"""

from __future__ import annotations

from collections.abc import Iterable

from lineage.jsondata import JsonObject, JsonValue, json_text


def merged(taken: JsonObject, wanted: JsonObject, now: JsonObject) -> JsonObject:
    """Return what is there now with what was changed of what was taken, key by key, in objects inside it too.

    Example:
        >>> merged({"a": 1, "b": 2}, {"a": 1, "c": 3}, {"a": 5, "b": 2})
        {'a': 5, 'c': 3}
        >>> merged({}, {"train": {"acc": 1}}, {"train": {"loss": 2}})
        {'train': {'loss': 2, 'acc': 1}}
    """
    result = {key: value for key, value in now.items() if key in wanted or key not in taken}
    for key, value in wanted.items():
        before, current = taken.get(key, {}), now.get(key)  # two may have put an object where there was none
        if key in taken and same(before, value):
            continue
        if isinstance(before, dict) and isinstance(value, dict) and isinstance(current, dict):
            value = merged(before, value, current)  # noqa: PLW2901 (the same value, in the light of others)
        result[key] = value
    return result


def merged_list(taken: Iterable[str], wanted: Iterable[str], now: Iterable[str]) -> list[str]:
    """Return what is there now, with what was put in and without what was taken out.

    Example:
        >>> merged_list(["a", "b"], ["b", "c"], ["b", "a", "d"])
        ['b', 'd', 'c']
    """
    new = dict.fromkeys(wanted)
    gone = set(taken) - new.keys()
    added = [one for one in new if one not in set(taken)]
    return list(dict.fromkeys([*(one for one in now if one not in gone), *added]))


def same(one: JsonValue, other: JsonValue) -> bool:
    """Whether two values are the same JSON: 1, 1.0 and true are three.

    Example:
        >>> same(1, 1), same(1, True)
        (True, False)
    """
    return json_text(one) == json_text(other)
