"""What a run logged, as W&B's programs read it: a dict a step, some of them, or a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from importlib import import_module
from types import ModuleType
from typing import Any, Final, Self

import lineage

_OWN: Final = ("_step", "_timestamp", "_runtime")


def history_rows(run: lineage.Run, keys: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Return what a run logged, by step, each row with ``_step``, ``_timestamp`` and ``_runtime``.

    Args:
        run: Which.
        keys: Only rows that have all of these, and of them only these.
    """
    names = [key for key in keys or () if key not in _OWN]
    started = datetime.fromisoformat(run.record.started_at).timestamp()
    found = []
    for row in run.history(names or None):
        at = datetime.fromisoformat(row.at).timestamp()
        values = {"_step": row.step, "_timestamp": at, "_runtime": at - started, **row.values}
        if all(key in values for key in keys or ()):
            found.append({key: values[key] for key in keys} if keys else values)
    return found


def sampled(rows: list[dict[str, Any]], samples: int) -> list[dict[str, Any]]:
    """Return so many rows, spread evenly, the first and the last among them.

    Example:
        >>> [row["_step"] for row in sampled([{"_step": step} for step in range(100)], 4)]
        [0, 33, 66, 99]
    """
    if len(rows) <= samples:
        return rows
    if samples <= 1:
        return rows[-samples:] if samples == 1 else []
    return [rows[place * (len(rows) - 1) // (samples - 1)] for place in range(samples)]


def module(name: str) -> ModuleType | None:
    """Return an optional package; None if it is not installed."""
    try:
        return import_module(name)
    except ImportError:
        return None


class HistoryScan(Iterator[dict[str, Any]]):
    """All rows of a run's history within some steps; each loop over it begins anew.

    Args:
        run: Which.
        keys: Only rows that have all of these, and of them only these.
        min_step: The first step.
        max_step: The step to end before; None for all.
        page_size: Accepted; rows are read at once.
    """

    def __init__(
        self,
        run: lineage.Run,
        *,
        keys: list[str] | None = None,
        min_step: int = 0,
        max_step: int | None = None,
        page_size: int = 1_000,
    ) -> None:
        self.keys = keys
        self.min_step = min_step
        self.page_size = page_size
        wanted = None if not keys else ["_step", *keys]
        rows = history_rows(run, wanted)
        self.rows = [
            row if not keys or "_step" in keys else {key: row[key] for key in keys}
            for row in rows
            if row["_step"] >= min_step and (max_step is None or row["_step"] < max_step)
        ]
        self.max_step = max_step - 1 if max_step is not None else rows[-1]["_step"] if rows else -1
        self._place = 0

    def __iter__(self) -> Self:
        self._place = 0
        return self

    def __next__(self) -> dict[str, Any]:
        if self._place >= len(self.rows):
            raise StopIteration
        self._place += 1
        return self.rows[self._place - 1]
