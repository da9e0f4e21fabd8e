"""Small runs: one after the other, in a batch, and from several processes."""

from __future__ import annotations

import multiprocessing
import shutil
import sqlite3
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from measure import Figure, draft, folder, milliseconds

import lineage
from lineage import connections

_Transaction = list[tuple[str, list[Any]]]


def small_run(count: int) -> Iterator[Figure]:
    """Time a run with 2 inputs, 1 output of 100 bytes and 10 config keys; alone, and in a batch."""
    with folder() as home, folder() as other:
        project, twin = _project(home), _project(other)
        shutil.copy(twin.file, other / "rows.db")
        bare_commits = _bare_commits(home / "floor.db")
        ours, bare, same = [], [], []
        for number in range(count):
            rows = _statements(partial(_one_run, twin, number))
            same.append(milliseconds(partial(_replay, other / "rows.db", rows)))
            ours.append(milliseconds(partial(_one_run, project, number)))
            bare.append(milliseconds(bare_commits))
        taken = statistics.median(ours)
        yield Figure("small run", taken, statistics.median(same), "its rows by plain SQL, 3 commits", 1)
        yield Figure("small run, beside less", taken, statistics.median(bare), "3 commits of 5 rows in one table", 1)

        def batch() -> None:
            with project.batch():
                for number in range(count):
                    _one_run(project, count + number)

        yield Figure("small run in a batch", milliseconds(batch) / count, None, "", 1, "mean")


def writers(count: int) -> Iterator[Figure]:
    """Time the same runs from 4 and 8 processes at once on one project."""
    for processes in (4, 8):
        with folder() as home:
            _project(home)
            results: multiprocessing.Queue[list[float]] = multiprocessing.Queue()
            workers = [
                multiprocessing.Process(target=_log_runs, args=(str(home / "p.lineage"), one * count, count, results))
                for one in range(processes)
            ]
            for worker in workers:
                worker.start()
            taken = sorted(one for _ in workers for one in results.get())
            for worker in workers:
                worker.join()
            note = f"mean; p99 {taken[int(len(taken) * 0.99)]:.0f} ms, slowest {taken[-1]:.0f} ms"
            yield Figure(f"small run, {processes} processes", statistics.mean(taken), None, "", 1, note)


def _project(home: Path) -> lineage.Project:
    project = lineage.open(home / "p.lineage")
    for name in ("a", "b"):
        project.log_artifact(draft(name, b"x"))
    return project


def _one_run(project: lineage.Project, number: int) -> None:
    config = {f"key{key}": key * 0.1 for key in range(10)}
    with project.start_run("small", config=config, use=["a", "b"]) as run:
        run.log_artifact(draft("out", b"%099d" % number))


def _log_runs(path: str, start: int, count: int, results: multiprocessing.Queue[list[float]]) -> None:
    project = lineage.open(path)
    results.put([milliseconds(partial(_one_run, project, start + number)) for number in range(count)])


def _bare_commits(path: Path) -> Callable[[], None]:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT)")

    def commits() -> None:
        for _ in range(3):
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("PRAGMA journal_mode = TRUNCATE")
            other.execute("PRAGMA synchronous = FULL")
            other.execute("BEGIN IMMEDIATE")
            other.executemany("INSERT INTO t (a, b) VALUES (?, ?)", [("x" * 50, "y" * 50)] * 5)
            other.execute("COMMIT")
            other.close()

    return commits


def _statements(work: Callable[[], None]) -> list[_Transaction]:
    """Do something and return what it wrote, transaction by transaction."""
    found: list[_Transaction] = [[]]
    kind = connections._Connection  # noqa: SLF001 (what it is told is what is measured)
    kept = kind.execute, kind.executemany

    def execute(self: sqlite3.Connection, sql: str, parameters: Sequence[str | float | None] = ()) -> sqlite3.Cursor:
        if sql.lstrip().startswith(("INSERT", "UPDATE", "DELETE")):
            found[-1].append((sql, [parameters]))
        elif sql == "COMMIT":
            found.append([])
        return kept[0](self, sql, parameters)

    def executemany(self: sqlite3.Connection, sql: str, parameters: Iterable[Any]) -> sqlite3.Cursor:
        found[-1].append((sql, list(parameters)))
        return kept[1](self, sql, found[-1][-1][1])

    with patch.multiple(kind, execute=execute, executemany=executemany):
        work()
    return [one for one in found if one]


def _replay(path: Path, transactions: list[_Transaction]) -> None:
    """Write the same rows into a copy, as a program would that knows nothing but SQL."""
    for statements in transactions:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA journal_mode = TRUNCATE")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        for sql, parameters in statements:
            for some in parameters:
                connection.execute(sql, some)
        connection.execute("COMMIT")
        connection.close()
