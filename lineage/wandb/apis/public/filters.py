"""W&B's filters and orders of runs, in the words of lineage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from lineage.values import timestamp_text

_KEYS: Final[dict[str, str]] = {
    "created_at": "started_at",
    "createdAt": "started_at",
    "description": "notes",
    "display_name": "name",
    "displayName": "name",
    "duration": "duration",
    "ended_at": "ended_at",
    "exit_code": "exit_code",
    "group": "group",
    "heartbeat_at": "ended_at",
    "heartbeatAt": "ended_at",
    "host": "host",
    "id": "id",
    "job_type": "job_type",
    "jobType": "job_type",
    "name": "id",
    "notes": "notes",
    "started_at": "started_at",
    "state": "status",
    "status": "status",
    "tags": "tags",
    "updated_at": "ended_at",
    "updatedAt": "ended_at",
    "user": "user",
    "username": "user",
}
"""What W&B calls it, and what lineage calls it; lineage's own words are taken as well, but for ``name``."""
_DOCUMENTS: Final = {
    "config": "config",
    "summary": "summary",
    "summary_metrics": "summary",
    "summaryMetrics": "summary",
}
_STATES_ELSEWHERE: Final = ("pending", "preempting", "preempted")
"""W&B's states that no run here can be in."""
_TIMES: Final = ("started_at", "ended_at", "created_at")


def run_filter(filters: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a filter of W&B's as one of lineage's.

    Raises:
        ValueError: A key is unknown, or a time is none.

    Example:
        >>> run_filter({"$or": [{"display_name": "a"}, {"config.lr.value": {"$gt": 0.1}}], "state": "finished"})
        {'$or': [{'name': 'a'}, {'config.lr': {'$gt': 0.1}}], 'status': 'finished'}
    """
    return _translated(filters or {}, run_key)


def run_key(key: str) -> str:
    """Return what lineage calls a key of a run.

    Raises:
        ValueError: There is none.

    Example:
        >>> run_key("summary_metrics.loss"), run_key("config.optimizer.value.lr"), run_key("name")
        ('summary.loss', 'config.optimizer.lr', 'id')
    """
    first, dot, rest = key.partition(".")
    if dot and first in _DOCUMENTS:
        return f"{_DOCUMENTS[first]}.{_without_value(rest) if first == 'config' else rest}"
    if dot and first == "code":
        return key
    if key not in _KEYS:
        possible = ", ".join(sorted(_KEYS))
        raise ValueError(f"unknown key {key!r} (possible: config.<key>, summary_metrics.<key>, {possible})")
    return _KEYS[key]


def _without_value(path: str) -> str:
    """Take out the ``value`` that W&B keeps each value of a config under: ``lr.value``, ``optimizer.value.lr``."""
    parts = path.split(".")
    if len(parts) > 1 and parts[-1] == "value":
        del parts[-1]
    elif len(parts) > 2 and parts[1] == "value":  # noqa: PLR2004 (a key, value, and what lies below)
        del parts[1]
    return ".".join(parts)


def run_order(order: str | None) -> str:
    """Return an order of W&B's, such as ``-summary_metrics.loss``, as one of lineage's.

    Raises:
        ValueError: A key is unknown.
    """
    return _ordered(order or "+created_at", run_key)


def version_key(key: str) -> str:
    """Return what lineage calls a key of a version of an artifact.

    Raises:
        ValueError: There is none.
    """
    return _looked_up(
        key,
        {
            "version_index": "number",
            "versionIndex": "number",
            "created_at": "created_at",
            "createdAt": "created_at",
            "updated_at": "created_at",
            "linked_at": "created_at",
            "size": "size",
            "artifact_size": "size",
            "tag": "tags",
            "tags": "tags",
            "alias": "aliases",
            "aliases": "aliases",
            "description": "description",
            "digest": "digest",
            "metadata": "metadata",
        },
    )


def collection_key(key: str) -> str:
    """Return what lineage calls a key of an artifact or a collection.

    Raises:
        ValueError: There is none.
    """
    return _looked_up(
        key,
        {
            "name": "name",
            "description": "description",
            "created_at": "created_at",
            "createdAt": "created_at",
            "updated_at": "created_at",
            "type": "type",
            "alias": "aliases",
        },
    )


def _looked_up(key: str, keys: Mapping[str, str]) -> str:
    first, dot, rest = key.partition(".")
    if dot and keys.get(first) == "metadata":
        return f"metadata.{rest}"
    if key not in keys:
        raise ValueError(f"unknown key {key!r} (possible: {', '.join(keys)})")
    return keys[key]


def version_filter(filters: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a filter of versions as one of lineage's; ValueError for an unknown key."""
    return _translated(filters or {}, version_key)


def version_order(order: str | None) -> str:
    """Return an order of versions as one of lineage's: the newest first where none is said."""
    return _ordered(order or "-version_index", version_key)


def collection_filter(filters: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a filter of collections as one of lineage's, without other projects'; ValueError for an unknown key."""
    return {"$and": [_translated(filters or {}, collection_key), {"project": None}]}


def collection_order(order: str | None) -> str:
    """Return an order of collections as one of lineage's: the newest first where none is said."""
    return _ordered(order or "-created_at", collection_key)


def _ordered(order: str, key_of: Callable[[str], str]) -> str:
    keys = [part.strip() for part in order.split(",")]
    return ",".join(f"{'-' if key.startswith('-') else '+'}{key_of(key.lstrip('+-'))}" for key in keys)


def _translated(where: Mapping[str, Any], key_of: Callable[[str], str]) -> dict[str, Any]:
    """Return a filter with other keys."""
    found: list[tuple[str, Any]] = []
    for key, operand in where.items():
        if not isinstance(key, str) or key.startswith("$"):
            found.append((key, _below(operand, key_of)))
        else:
            name = key_of(key)
            found.append((name, _value(name, operand, key)))
    merged = dict(found)
    return merged if len(merged) == len(found) else {"$and": [{key: operand} for key, operand in found]}


def _below(operand: Any, key_of: Callable[[str], str]) -> Any:
    """Return what a logical operator takes with other keys; what is no filter is left for lineage to refuse."""
    if isinstance(operand, list | tuple):
        return [_below(each, key_of) for each in operand]
    return _translated(operand, key_of) if isinstance(operand, Mapping) else operand


def _value(name: str, operand: Any, key: str) -> Any:
    if name in _TIMES:
        return _times(operand, key)
    return _states(operand) if name == "status" else operand


def _states(operand: Any) -> Any:
    """Return what a state is compared with; one of W&B's own is None, which no state here is either."""
    if isinstance(operand, Mapping):
        kept = ("$regex", "$exists")
        return {word: value if word in kept else _states(value) for word, value in operand.items()}
    if isinstance(operand, list | tuple):
        return [_states(each) for each in operand]
    return None if operand in _STATES_ELSEWHERE else operand


def _times(operand: Any, key: str) -> Any:
    """Return what a time is compared with, as lineage writes times; W&B's have no zone and mean UTC."""
    if isinstance(operand, Mapping):
        kept = ("$regex", "$exists")
        return {word: value if word in kept else _times(value, key) for word, value in operand.items()}
    if isinstance(operand, list | tuple):
        return [_times(each, key) for each in operand]
    if operand is None:
        return None
    try:
        when = operand if isinstance(operand, datetime) else datetime.fromisoformat(operand)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{key} {operand!r}: give ISO 8601 text such as '2026-01-31T12:00:00Z'") from error
    return timestamp_text(when if when.tzinfo is not None else when.replace(tzinfo=UTC))
