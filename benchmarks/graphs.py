"""Histories of a size nobody would log for a benchmark: their rows are written straight into a project's tables."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

from measure import draft

import lineage

_WINDOW = 200
"""How far back the inputs of a run lie, in versions: nearly all that came before is upstream of every version."""


def make_history(path: Path, runs: int, inputs: int) -> lineage.Project:
    """Make a project of `runs` runs that each produce ``out:v<n>`` and consume `inputs` earlier ones.

    Every second one also consumes ``hub:v0``. ``out:v<n>`` lies in row n + 2, its run in row n + 1.
    """
    project = lineage.open(path)
    project.log_artifact(draft("hub", b"hub"))
    with project.start_run("step", id="run1") as run:
        run.log_artifact(draft("out", b"out"))
    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.execute("BEGIN")
        _copies(connection, runs)
        connection.executemany("INSERT INTO consumed (run, version) VALUES (?, ?)", _consumed(runs, inputs))
        connection.execute("INSERT INTO produced (version, run) SELECT id, id - 1 FROM version WHERE id > 2")
        connection.execute("UPDATE artifact SET next_number = ? WHERE name = 'out'", (runs,))
        connection.execute("COMMIT")
        connection.execute("ANALYZE")
    return project


def _copies(connection: sqlite3.Connection, runs: int) -> None:
    """Make a run and a version of each row number out of the first ones."""
    for table, first, own in (
        ("run", 1, {"uid": "'run' || n"}),
        ("version", 2, {"uid": "printf('%026d', n)", "number": "n - 2"}),
    ):
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] not in ("id", *own)]
        names = ", ".join(f'"{name}"' for name in columns)
        connection.execute(
            f"""WITH RECURSIVE numbers (n) AS
                  (SELECT {first + 1} UNION ALL SELECT n + 1 FROM numbers WHERE n < {first - 1 + runs})
                INSERT INTO {table} (id, {", ".join(own)}, {names})
                SELECT n, {", ".join(own.values())}, {names}
                FROM numbers, (SELECT {names} FROM {table} WHERE id = {first})"""
        )


def _consumed(runs: int, inputs: int) -> Iterator[tuple[int, int]]:
    dice = random.Random(1)
    for run in range(2, runs + 1):
        newest = run  # the version of the run before: rows of versions are one ahead of those of runs
        oldest = max(2, newest - _WINDOW)
        found = {newest - int(dice.random() * (newest - oldest + 1)) for _ in range(inputs)}
        yield from zip(repeat(run), sorted(found))
        if run % 2 == 0:
            yield run, 1
