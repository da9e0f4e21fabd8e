"""What must be run again: newest versions made from something that has a newer version now."""

from __future__ import annotations

import sqlite3
from itertools import islice

from lineage import graph
from lineage.graph import Key
from lineage.records import Stale
from lineage.statements import artifacts, lists, runs


def find_stale(connection: sqlite3.Connection) -> list[Stale]:
    """Return them with the run that used something old, what it used and what is newest now."""
    causes: dict[int, tuple[int, int]] = {}
    outdated = lists.outdated_inputs(connection)
    own = _own_offspring(connection, outdated)
    for run, used, newest in outdated:
        if run not in causes and (run, newest) not in own:
            causes[run] = (used, newest)
    found: dict[int, int] = {}
    below = graph.Reached()
    for run in causes:  # what lies below an earlier one is that one's, with all below it, and not gone over again
        before = len(below.versions)
        graph.walk(connection, [Key("run", run)], up=False, known=below)
        new = sorted(islice(reversed(below.versions), len(below.versions) - before))  # those added last
        found |= dict.fromkeys(lists.newest_among(connection, new) if new else (), run)
    return [_stale(connection, version, run, causes[run]) for version, run in sorted(found.items())]


def _own_offspring(connection: sqlite3.Connection, outdated: list[tuple[int, int, int]]) -> set[tuple[int, int]]:
    """Return the runs whose newer input was made from the run itself, as in fine-tuning under one name.

    One walk for each newest version: a walk for each run would take minutes where each version came from the last.
    """
    runs_of: dict[int, list[int]] = {}
    for run, _, newest in outdated:
        runs_of.setdefault(newest, []).append(run)
    found = set()
    for newest, users in runs_of.items():
        above = graph.walk(connection, [Key("version", newest)], up=True).runs
        found |= {(run, newest) for run in users if run in above}
    return found


def _stale(connection: sqlite3.Connection, version: int, run: int, cause: tuple[int, int]) -> Stale:
    stale, used, newest = artifacts.version_records(connection, [version, *cause])
    (record,) = runs.run_records(connection, [run])
    return Stale(stale.reference, record.id, used.reference, newest.reference)
