"""Questions about histories of a million edges and more: ancestors and descendants by size, paths, cycles, a hub."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count

from graphs import make_history
from measure import Figure, folder, in_turns

import lineage

_UP = (
    "SELECT p.run FROM json_each(?) n JOIN produced p ON p.version = n.value",
    "SELECT DISTINCT c.version FROM json_each(?) n JOIN consumed c ON c.run = n.value",
)
_DOWN = (
    "SELECT DISTINCT c.run FROM json_each(?) n JOIN consumed c ON c.version = n.value",
    "SELECT p.version FROM json_each(?) n JOIN produced p ON p.run = n.value",
)
_INPUTS = 50


def history(edges: int) -> Iterator[Figure]:
    """Time questions about a history of so many edges, 50 to a run, beside a bare search level by level."""
    yield from _questions(edges // _INPUTS, _INPUTS)


def deep_history(runs: int) -> Iterator[Figure]:
    """Time the same for many runs with 20 inputs each; 500,000 of them make 1 million nodes and 10 million edges."""
    yield from _questions(runs, 20)


def _questions(runs: int, inputs: int) -> Iterator[Figure]:
    with folder() as home:
        project = make_history(home / "p.lineage", runs, inputs)
        edges = project.sql("SELECT (SELECT count(*) FROM consumed) + (SELECT count(*) FROM produced) AS n")[0]["n"]
        of = f"of {2 * runs:,} nodes and {edges:,} edges"
        with sqlite3.connect(home / "p.lineage") as connection:
            yield from _walks(project, connection, runs, of)
            yield from _hub(project, connection, runs, of)
            yield from _pairs(project, runs, of)


def _walks(project: lineage.Project, connection: sqlite3.Connection, runs: int, of: str) -> Iterator[Figure]:
    """Walk from versions that have about as many nodes up- and downstream of them as the names say."""
    for number, rounds in ((5, 50), (500, 9), (50_000, 3), (500_000, 1)):
        if number > runs:
            break
        last = project.version(f"out:v{number - 1}")
        first = project.version(f"out:v{runs - number}")
        for ask, start, steps in ((last.ancestors, last, _UP), (first.descendants, first, _DOWN)):
            nodes = len(ask())
            ours, floor = in_turns(ask, _search(connection, start.record.id, steps), rounds)
            yield Figure(f"{ask.__name__} of {2 * number:,}", ours, floor, "a bare search, ids only", nodes, of)
        if 5 < number < 500_000:
            ours, _ = in_turns(partial(last.graph, direction="up"), lambda: None, 1)
            yield Figure(f"{2 * number:,} for networkx", ours, None, "", 2 * number, of)


def _hub(project: lineage.Project, connection: sqlite3.Connection, runs: int, of: str) -> Iterator[Figure]:
    hub = project.version("hub:v0")

    def rows() -> None:
        connection.execute("SELECT r.* FROM consumed c JOIN run r ON r.id = c.run WHERE c.version = 1").fetchall()

    def ids() -> None:
        connection.execute("SELECT r.uid FROM consumed c JOIN run r ON r.id = c.run WHERE c.version = 1").fetchall()

    ours, floor = in_turns(hub.used_by, rows, 5)
    yield Figure("consumers of its hub, as runs", ours, floor, "rows as tuples", runs // 2, of)
    ours, floor = in_turns(lambda: hub.descendants(depth=1), ids, 5)
    yield Figure("consumers of its hub, as nodes", ours, floor, "ids as tuples", runs // 2, of)


def _pairs(project: lineage.Project, runs: int, of: str) -> Iterator[Figure]:
    last, near, far = f"out:v{runs - 1}", f"out:v{runs - 1 - min(200, runs // 2)}", "out:v0"
    ours, _ = in_turns(lambda: project.depends_on(last, near), lambda: None, 5)
    yield Figure("depends on what is near", ours, None, "", 1, of)
    ours, _ = in_turns(lambda: project.depends_on(last, far), lambda: None, 3)
    yield Figure("depends on what is far", ours, None, "", 1, of)
    ours, _ = in_turns(lambda: project.path(last, far), lambda: None, 3)
    yield Figure("a path to what is far", ours, None, "", 1, of)
    with project.batch():
        for name, late in (("a usual input, cycle checked", False), ("a late input, cycle checked", True)):
            yield from _inserts(project, name, runs, late=late)


def _inserts(project: lineage.Project, name: str, runs: int, *, late: bool) -> Iterator[Figure]:
    """Time inputs of a run that has an output already, which must be checked, and of one that has none."""
    run, numbers = project.start_run(), count()
    if late:
        run.log_artifact(lineage.Artifact("late", "dataset"))
        project.start_run(use=["late"]).log_artifact(lineage.Artifact("later", "dataset"))

    def use() -> None:
        run.use_artifact(f"out:v{next(numbers) * (runs // 300)}")

    ours, _ = in_turns(use, lambda: None, 200)
    yield Figure(name, ours, None, "in a batch; the whole call", 1)


def _search(connection: sqlite3.Connection, start: int, steps: tuple[str, str]) -> Callable[[], int]:
    """Return a breadth-first search with two statements a level and two sets of ids: what the library builds on."""

    def search() -> int:
        seen: tuple[set[int], set[int]] = ({start}, set())
        front, side = [start], 0
        while front:
            rows = connection.execute(steps[side], (str(front),)).fetchall()
            side = 1 - side
            front = sorted({row[0] for row in rows} - seen[side])
            seen[side].update(front)
        return sum(map(len, seen)) - 1

    return search
