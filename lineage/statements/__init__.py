"""Every SQL statement: one function each, the text a literal beside its parameters.

They run on the connection they are given and never begin or end a transaction: that belongs to the callers,
who know the unit of work. The SQL is what SQLite and PostgreSQL both read, but for a few functions that
schema/README.md lists (``json_each`` over a parameter, ``json_extract``, ``json_group_array``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TypeVar

from lineage.errors import CorruptionError

T = TypeVar("T")


def json_array(values: Iterable[object]) -> str:
    """Return `values` as the one JSON parameter that ``json_each`` reads as a list."""
    return json.dumps(list(values), ensure_ascii=False)


def row_array(rows: Iterable[int]) -> str:
    """Return the keys of rows as such a parameter: a tenth of the time for the short lists that a walk asks about."""
    return f"[{','.join(map(str, rows))}]"


def all_there(records: list[T], count: int, what: str) -> list[T]:
    """Return the records of keys that other rows name.

    Raises:
        CorruptionError: Some are missing; the message says `what` is named by whom.
    """
    if len(records) < count:
        raise CorruptionError(f"{what} that is not there: run verify")
    return records
