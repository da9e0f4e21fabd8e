"""Whether every cell of a file from elsewhere holds what lineage would have written there.

SQLite vouches for types and keys only; ranges, names, times, digests and JSON are looked at here, one pass a table.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final, TypeAlias

from blake3 import blake3

from lineage.content import CHUNK
from lineage.errors import LineageError
from lineage.jsondata import parse_object
from lineage.statements import foreign
from lineage.values import (
    MAX_WHOLE,
    RunStatus,
    alias_name,
    entry_path,
    is_uri,
    known_name,
    label,
    project_name,
    prose,
    run_id,
    run_tag,
    tag_name,
)

Check: TypeAlias = Callable[[object], object]
"""Returns something false, or raises a LineageError, where a value may not be."""

_LAST_NUMBER: Final = 10**18 - 1
"""The version number of most digits that a reference can name."""
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
_UID: Final = re.compile(r"[0-9a-hjkmnp-tv-z]{26}", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SHOWN: Final = 20


def _maybe(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _text(value: object) -> bool:
    return prose(value, "text") is not None


def _label(value: object) -> bool:
    return bool(label(value, "a label"))


def _time(value: object) -> bool:
    return isinstance(value, str) and bool(_TIME.fullmatch(value))


def _uid(value: object) -> bool:
    return isinstance(value, str) and bool(_UID.fullmatch(value))


def _digest(value: object) -> bool:
    return isinstance(value, str) and bool(_DIGEST.fullmatch(value))


def _count(value: object) -> bool:
    return isinstance(value, int) and 0 <= value <= MAX_WHOLE


def _number(value: object) -> bool:
    return isinstance(value, int) and 0 <= value <= _LAST_NUMBER


def _positive(value: object) -> bool:
    return _count(value) and value != 0


def _flag(value: object) -> bool:
    return value in (0, 1)


def _object(value: object) -> bool:
    return isinstance(value, str) and parse_object(value) is not None


def _json(value: object) -> bool:
    return isinstance(value, str) and parse_object(f'{{"":{value}}}') is not None


def _status(value: object) -> bool:
    return bool(RunStatus(str(value)))


def _kind(value: object) -> bool:
    return value in ("consumed", "linked")


def _path(value: object) -> bool:
    return entry_path(value) == value


def _piece(value: object) -> bool:
    return isinstance(value, int) and 0 <= value <= CHUNK


def _anything(_: object) -> bool:
    return True


_CHECKS: Final[dict[str, tuple[Check, ...]]] = {
    "project": (_positive, _uid, _time, _flag),
    "artifact": (
        known_name,
        _label,
        _maybe(_text),
        _number,
        _time,
        _maybe(_time),
        _maybe(project_name),
        _maybe(_uid),
        _maybe(_time),
    ),
    "environment": (_digest, _object),
    "run": (
        run_id,
        _label,
        _maybe(_label),
        _maybe(_label),
        _status,
        _object,
        _object,
        _maybe(_text),
        _maybe(_text),
        _object,
        _maybe(_text),
        _maybe(_text),
        _maybe(_text),
        _count,
        _time,
        _maybe(_time),
        _maybe(_time),
        _maybe(_time),
    ),
    "run_tag": (run_tag,),
    "metric": (_text, _count, _maybe(_json), _anything, _time),
    "version": (
        _uid,
        _number,
        _maybe(_text),
        _object,
        _maybe(_count),
        _time,
        _maybe(_time),
        _maybe(_positive),
        _maybe(_time),
    ),
    "version_tag": (tag_name,),
    "outside_use": (_kind, _uid, project_name, _label, _time),
    "alias": (alias_name, _flag),
    "alias_event": (alias_name, _time, _maybe(_text)),
    "consumed": (_label,),
    "reproduced": (_object, _time),
    "blob": (_digest, _count),
    "manifest": (_digest, _count, _count),
    "part": (_digest,),
    "entry": (_path, _anything, _maybe(is_uri), _maybe(_text), _maybe(_count), _maybe(_object)),
    "chunk": (_count, _piece),
}
_RELATIONS: Final[tuple[tuple[str, Callable[[sqlite3.Connection], list[str]]], ...]] = (
    ("the place of the one project", foreign.projects_astray),
    ("an alias of another artifact's versions", foreign.histories_astray),
    ("an artifact that is half another project's", foreign.foreign_astray),
    ("bytes of another size than its row says", foreign.sizes_contradicted),
)


def cell_problems(connection: sqlite3.Connection) -> list[str]:
    """Return what is wrong with the cells of a file, a sentence each, at most twenty."""
    return list(islice(_problems(connection), _SHOWN))


def _problems(connection: sqlite3.Connection) -> Iterator[str]:
    for table, rows in foreign.cells(connection):
        checks = _CHECKS[table]
        for row in rows:
            yield from _row_problems(table, row, checks)
    for what, look in _RELATIONS:
        for subject in look(connection):
            yield f"{subject!r} has {what}"


def _row_problems(table: str, row: tuple[object, ...], checks: tuple[Check, ...]) -> Iterator[str]:
    for value, check in zip(row, checks, strict=True):
        try:
            good = check(value)
        except (LineageError, ValueError) as error:
            yield f"a row of {table}: {error}"
        else:
            if not good and good != "":
                yield f"a row of {table} holds {str(value)[:80]!r}, which lineage never writes there"
    if table == "environment" and blake3(str(row[1]).encode()).hexdigest() != row[0]:
        yield f"environment {row[0]!s:.64} is not what its digest says"
    if table == "metric" and row[2] is not None and row[3] is not None:
        yield f"metric {row[0]!r:.80} has a number and a document"
    if table == "entry" and row[1] is None and row[2] is None:
        yield f"entry {row[0]!r:.80} has neither bytes nor a reference"
    if table == "entry" and row[1] is not None and (row[3] is not None or row[4] is not None):
        yield f"entry {row[0]!r:.80} has bytes here and the digest or the size of others"
