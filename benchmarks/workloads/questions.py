"""Questions about histories that are long, wide, or met at one hub; and lists by filter."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from measure import Figure, draft, folder, in_turns, milliseconds

import lineage

_CONSUMERS = "SELECT r.* FROM consumed c JOIN run r ON r.id = c.run WHERE c.version = ?"


def chain(count: int) -> Iterator[Figure]:
    """Time questions about a chain of runs that each use the output before and one hub."""
    with folder() as home:
        project = lineage.open(home / "p.lineage")
        project.log_artifact(draft("hub", b"hub"))
        with project.batch():
            for number in range(count):
                inputs = ["hub:v0", *([f"step:v{number - 1}"] if number else [])]
                with project.start_run("step", config={"number": number}, use=inputs) as run:
                    run.log_artifact(draft("step", b"%d" % number))
        last, hub, plain = project.version("step"), project.version("hub:v0"), project.version("step:v7")
        with sqlite3.connect(home / "p.lineage") as connection:
            ours, floor = in_turns(last.ancestors, lambda: _recursive(connection, last.record.id), 5)
            yield Figure("ancestors of a chain", ours, floor, "recursive CTE, ids only", 2 * count)
            ours, floor = in_turns(hub.used_by, lambda: _fetch(connection, hub), 5)
            yield Figure("consumers of a hub, as runs", ours, floor, "rows as tuples", count)
            ours, floor = in_turns(lambda: hub.descendants(depth=1), lambda: _fetch(connection, hub), 5)
            yield Figure("consumers of a hub, as nodes", ours, floor, "rows as tuples", count)
            ours, floor = in_turns(plain.used_by, lambda: _fetch(connection, plain), 50)
            yield Figure("consumers of a plain version", ours, floor, "one statement, open connection", 1)
            with project.snapshot():
                ours, floor = in_turns(plain.used_by, lambda: _fetch(connection, plain), 50)
            yield Figure("the same in a snapshot", ours, floor, "one statement, open connection", 1)
            ours, _ = in_turns(lambda: project.depends_on(last, "step:v7"), lambda: None, 5)
            yield Figure("does A depend on B", ours, None, "", 2 * count)
            ours, _ = in_turns(last.graph, lambda: None, 3)
            yield Figure("a chain for networkx", ours, None, "", 2 * count)


def wide(count: int) -> Iterator[Figure]:
    """Time walks through a history in which each run uses three outputs of earlier ones."""
    chosen = random.Random(1)
    with folder() as home:
        project = lineage.open(home / "p.lineage")
        project.log_artifact(draft("out", b"first"))
        with project.batch():
            for number in range(1, count):
                inputs = {f"out:v{chosen.randrange(max(0, number - 200), number)}" for _ in range(3)}
                with project.start_run("step", use=sorted(inputs)) as run:
                    run.log_artifact(draft("out", b"%d" % number))
        last, first = project.version("out"), project.version("out:v0")
        with sqlite3.connect(home / "p.lineage") as connection:
            ours, floor = in_turns(last.ancestors, lambda: _recursive(connection, last.record.id), 5)
            yield Figure("ancestors, wide", ours, floor, "recursive CTE, ids only", 2 * count)
            ours, floor = in_turns(first.descendants, lambda: _recursive(connection, last.record.id), 5)
            yield Figure("descendants, wide", ours, floor, "recursive CTE, ids only", 2 * count)
        ours, _ = in_turns(last.graph, lambda: None, 3)
        yield Figure("a wide history for networkx", ours, None, "", 2 * count)

        def late_inputs() -> None:
            with project.batch():
                run = project.start_run("late")
                for number in range(100):
                    run.use_artifact(f"out:v{number * count // 100}")

        yield Figure("100 late inputs, cycles checked", milliseconds(late_inputs), None, "", 1)


def filters(count: int) -> Iterator[Figure]:
    """Time lists of runs by config and summary, and a search."""
    with folder() as home:
        project = lineage.open(home / "p.lineage")
        with project.batch():
            for number in range(count):
                with project.start_run("train", config={"number": number, "lr": 0.1}) as run:
                    run.summary["iou"] = number / count
        with sqlite3.connect(home / "p.lineage") as connection:
            for name, key, bound, scan in (
                ("runs by config", "config.number", count - 10, "json_extract(config, '$.number') >= ?"),
                ("runs by summary", "summary.iou", 1 - 10 / count, "json_extract(summary, '$.iou') >= ?"),
            ):
                bare = _scan(connection, f"SELECT id FROM run WHERE {scan}", bound)
                ours, floor = in_turns(partial(_list, project, {key: {"$gte": bound}}), bare, 5)
                yield Figure(name, ours, floor, "the bare scan", count)
            like = _scan(connection, "SELECT id FROM run WHERE name LIKE ?", "%swept%")
            ours, floor = in_turns(lambda: project.search("swept water"), like, 3)
            yield Figure("search", ours, floor, "LIKE over names", count)


def _list(project: lineage.Project, where: Mapping[str, object]) -> None:
    list(project.runs(where))


def _scan(connection: sqlite3.Connection, sql: str, value: object) -> Callable[[], object]:
    return lambda: connection.execute(sql, (value,)).fetchall()


def _fetch(connection: sqlite3.Connection, version: lineage.Version) -> None:
    connection.execute(_CONSUMERS, (version.record.id,)).fetchall()


def _recursive(connection: sqlite3.Connection, version: int) -> None:
    connection.execute(
        """WITH RECURSIVE up (version) AS (SELECT ? UNION SELECT c.version FROM up
             JOIN produced p ON p.version = up.version JOIN consumed c ON c.run = p.run)
           SELECT count(*) FROM up""",
        (version,),
    ).fetchall()
