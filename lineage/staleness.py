"""What must be run again: newest versions made from something that has a newer version now."""

from __future__ import annotations

import sqlite3

from lineage import graph
from lineage.graph import Key
from lineage.records import Stale
from lineage.statements import artifacts, lists, runs


def find_stale(connection: sqlite3.Connection) -> list[Stale]:
    """Return them with the run that used something old, what it used and what is newest now."""
    causes: dict[int, tuple[int, int]] = {}
    for run, used, newest in lists.outdated_inputs(connection):
        if run not in causes and not _came_from(connection, run, newest):
            causes[run] = (used, newest)
    found: dict[int, int] = {}
    for run in causes:
        below = graph.walk(connection, [Key("run", run)], up=False).versions
        for version in lists.newest_among(connection, sorted(below)):
            found.setdefault(version, run)
    return [_stale(connection, version, run, causes[run]) for version, run in sorted(found.items())]


def _came_from(connection: sqlite3.Connection, run: int, newest: int) -> bool:
    """Whether what is newest was made from the run itself, as in fine-tuning under one name."""
    return graph.is_upstream(connection, Key("run", run), Key("version", newest))


def _stale(connection: sqlite3.Connection, version: int, run: int, cause: tuple[int, int]) -> Stale:
    stale, used, newest = artifacts.version_records(connection, [version, *cause])
    (record,) = runs.run_records(connection, [run])
    return Stale(stale.reference, record.id, used.reference, newest.reference)
