"""What must be run again: newest versions made from something that has a newer version now.

The reason for a version is the nearest run upstream of it, or its own, that used something outdated. The nearest, as
all runs between it and the version used what is newest now: with it making again begins. One further upstream would
name a step that may have been made again long since, of which the nearest used the older output.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Collection

from lineage import graph
from lineage.graph import Key
from lineage.records import Stale
from lineage.statements import artifacts, edges, lists, runs


def find_stale(connection: sqlite3.Connection) -> list[Stale]:
    """Return them with the run that used something old, what it used and what is newest now."""
    outdated = lists.outdated_inputs(connection)
    own = _own_offspring(connection, outdated)
    old = [each for each in outdated if (each.run, each.newest) not in own]
    causes: dict[int, tuple[int, int]] = {}
    for each in old:
        if not each.deleted:  # such a run is not to be run again
            causes.setdefault(each.run, (each.version, each.newest))
    nearest = _nearest(connection, causes, {(each.run, each.version) for each in old})
    newest = sorted(lists.newest_among(connection, nearest))
    return [_stale(connection, version, nearest[version], causes[nearest[version]]) for version in newest]


def _nearest(
    connection: sqlite3.Connection, causes: Collection[int], old: Collection[tuple[int, int]]
) -> dict[int, int]:
    """Return for each version below these runs the nearest of them, the first of several.

    Nothing passes from a version to a run that it is old for, as that has a reason of its own. One search for all: a
    walk for each run would go over what lies below again and again.
    """
    below = graph.walk(connection, [Key("run", run) for run in causes], up=False)
    outputs, users = defaultdict(list), defaultdict(list)
    for run, version in edges.step_outputs(connection, below.runs):
        outputs[run].append(version)
    for run, version, _ in edges.step_inputs(connection, below.runs):
        if version in below.versions and (run, version) not in old:
            users[version].append(run)
    found: dict[int, int] = {}
    nearest = {run: run for run in causes}
    queue = list(causes)
    for run in queue:
        for version in outputs[run]:
            found[version] = nearest[run]
            new = [user for user in users[version] if user not in nearest]
            nearest |= dict.fromkeys(new, nearest[run])
            queue += new
    return found


def _own_offspring(connection: sqlite3.Connection, outdated: list[lists.Outdated]) -> set[tuple[int, int]]:
    """Return the runs whose newer input was made from the run itself, as in fine-tuning under one name.

    One walk for each newest version: a walk for each run would take minutes where each version came from the last.
    """
    runs_of: dict[int, list[int]] = {}
    for each in outdated:
        runs_of.setdefault(each.newest, []).append(each.run)
    found = set()
    for newest, users in runs_of.items():
        above = graph.walk(connection, [Key("version", newest)], up=True).runs
        found |= {(run, newest) for run in users if run in above}
    return found


def _stale(connection: sqlite3.Connection, version: int, run: int, cause: tuple[int, int]) -> Stale:
    stale, used, newest = artifacts.version_records(connection, [version, *cause])
    (record,) = runs.run_records(connection, [run])
    return Stale(stale.reference, record.id, used.reference, newest.reference)
