"""Walks along the edges: ancestors, descendants, paths, cycles, and the extracted networkx graph.

Breadth first, a level at a time, a statement a level, or one for all levels where they are narrow: a lineage
100,000 runs deep is only a long loop. networkx receives what a walk found; it never sees the whole store unless
asked to.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from lineage.errors import CycleError
from lineage.records import Node
from lineage.statements import edges
from lineage.statements import runs as statements

if TYPE_CHECKING:
    import networkx as nx

    Graph: TypeAlias = "nx.DiGraph[str]"

Kind: TypeAlias = Literal["run", "version"]


class Key(NamedTuple):
    """A node inside one store: its kind and its row."""

    kind: Kind
    row: int


@dataclass(slots=True)
class Reached:
    """What a walk reached: rows of runs and of versions, each with its depth in edges."""

    runs: dict[int, int] = field(default_factory=dict)
    versions: dict[int, int] = field(default_factory=dict)

    def add(self, kind: Kind, rows: Iterable[int], depth: int) -> list[int]:
        """Note the rows that are new, and return them sorted."""
        seen = self.runs if kind == "run" else self.versions
        new = sorted(set(rows).difference(seen))
        seen.update(dict.fromkeys(new, depth))
        return new

    def without(self, starts: Iterable[Key]) -> Reached:
        """Return the same without the nodes the walk began at."""
        found = Reached(self.runs.copy(), self.versions.copy())
        for start in starts:
            (found.runs if start.kind == "run" else found.versions).pop(start.row, None)
        return found


def _neighbours(connection: sqlite3.Connection, kind: Kind, rows: Sequence[int], *, up: bool) -> set[int]:
    """Return the neighbours, all of the other kind, of one level."""
    if not rows:
        return set()
    if kind == "run":
        return edges.inputs_of(connection, rows) if up else edges.outputs_of(connection, rows)
    return edges.producers_of(connection, rows) if up else edges.consumers_of(connection, rows)


def walk(
    connection: sqlite3.Connection,
    starts: Iterable[Key],
    *,
    up: bool,
    depth: int | None = None,
    known: Reached | None = None,
) -> Reached:
    """Return everything up- or downstream of the starts, which are at depth 0, as far as `depth` edges.

    Args:
        connection: Where to look.
        starts: Where it begins.
        up: Whether towards what things were made from.
        depth: Edges to follow; None for all.
        known: What walks the same way, without a limit, have reached before: it is not gone over again, and what
            is new is added to it.
    """
    starts = list(starts)
    reached = Reached() if known is None else known
    runs = reached.add("run", (start.row for start in starts if start.kind == "run"), 0)
    versions = reached.add("version", (start.row for start in starts if start.kind == "version"), 0)
    level, thin = 0, depth is None or depth > _THIN  # over few levels a statement each is quicker, also past a hub
    while (runs or versions) and (depth is None or level < depth):
        if thin and len(runs) + len(versions) <= _THIN and not (runs and versions):
            kind: Kind = "run" if runs else "version"
            level, kind, frontier, thin = _follow_thread(
                connection, reached, kind, runs or versions, (level, depth), up=up
            )
            runs, versions = (frontier, []) if kind == "run" else ([], frontier)
            continue
        level += 1
        beyond_runs = _neighbours(connection, "run", runs, up=up)
        beyond_versions = _neighbours(connection, "version", versions, up=up)
        versions = reached.add("version", beyond_runs, level)
        runs = reached.add("run", beyond_versions, level)
    return reached


_THIN: Final = 8
"""Nodes of a level up to which a history is followed as a thread, and levels from which it may be one."""
_DUPLICATES: Final = 64
"""Nodes met again, beyond those met for the first time, at which it turns out to be none."""


def _follow_thread(  # noqa: PLR0913 (a walk under way)
    connection: sqlite3.Connection,
    reached: Reached,
    kind: Kind,
    rows: Sequence[int],
    levels: tuple[int, int | None],
    *,
    up: bool,
) -> tuple[int, Kind, list[int], bool]:
    """Go on with a walk by one statement for all levels, for as long as they are narrow.

    Returns:
        Where it stopped: the level, the kind and rows of its new nodes, and whether another thread may follow.
    """
    start, limit = levels
    level, new, again = start, list(rows), -len(rows)
    seen = (reached.versions, reached.runs)
    is_run = int(kind == "run")
    for a_run, row, depth in (edges.thread_up if up else edges.thread_down)(connection, is_run, rows):
        if start + depth > level:  # the level before is complete
            if len(new) > _THIN or again > _DUPLICATES or level == limit:
                return level, "run" if is_run else "version", sorted(new), again <= _DUPLICATES
            level, new, is_run = start + depth, [], a_run
        if row in seen[a_run]:
            again += 1
        else:
            seen[a_run][row] = level
            new.append(row)
            again = max(again - 1, 0)
    return level, "run" if is_run else "version", [], True


def nodes(connection: sqlite3.Connection, reached: Reached) -> list[Node]:
    """Return the nodes a walk reached, nearest first."""
    found = sorted(edges.run_nodes(connection, reached.runs, reached.runs), key=attrgetter("id"))
    found += sorted(edges.version_nodes(connection, reached.versions, reached.versions), key=attrgetter("id"))
    found.sort(key=attrgetter("depth"))  # sorts are stable: three quick ones instead of one that compares tuples
    return found


@dataclass(slots=True)
class _Front:
    """One side of a search from both ends: the rows of each of its levels, whose kinds alternate.

    How each was reached is not kept: to ask for pairs instead of neighbours makes the search three times slower
    where runs have many inputs, and only who wants the path needs to know.
    """

    kind: Kind
    up: bool
    levels: list[set[int]]
    seen: dict[Kind, set[int]]

    @classmethod
    def at(cls, key: Key, *, up: bool) -> _Front:
        seen: dict[Kind, set[int]] = {"run": set(), "version": set()}
        seen[key.kind].add(key.row)
        return cls(key.kind, up, [{key.row}], seen)

    def advance(self, connection: sqlite3.Connection) -> set[int]:
        """Go one level further, and return it."""
        beyond: Kind = "version" if self.kind == "run" else "run"
        new = _neighbours(connection, self.kind, sorted(self.levels[-1]), up=self.up) - self.seen[beyond]
        self.kind = beyond
        self.levels.append(new)
        self.seen[beyond] |= new
        return new

    def kind_of(self, level: int) -> Kind:
        other: Kind = "version" if self.kind == "run" else "run"
        return other if (len(self.levels) - 1 - level) % 2 else self.kind

    def nearest(self, kind: Kind, rows: set[int]) -> int:
        """Return the one of these rows that lies fewest levels from where this side began."""
        for level, known in enumerate(self.levels):
            if self.kind_of(level) == kind and (found := known & rows):
                return min(found)
        raise ValueError("none of these rows was reached")

    def trail(self, connection: sqlite3.Connection, key: Key) -> list[Key]:
        """Return the nodes from `key` back to where this side began."""
        found = [key]
        level = next(n for n, rows in enumerate(self.levels) if self.kind_of(n) == key.kind and key.row in rows)
        for before in reversed(range(level)):
            last = found[-1]
            rows = _neighbours(connection, last.kind, [last.row], up=not self.up) & self.levels[before]
            found.append(Key(self.kind_of(before), min(rows)))
        return found


def _meet(connection: sqlite3.Connection, start: Key, goal: Key) -> tuple[_Front, _Front, Key] | None:
    """Search downstream from `start` and upstream from `goal` until both sides meet; None if they do not.

    The smaller frontier goes first: 6-15 µs for the usual check on insert (design.md, rule 3).
    """
    ahead, behind = _Front.at(start, up=False), _Front.at(goal, up=True)
    while ahead.levels[-1] and behind.levels[-1]:
        front, other = (ahead, behind) if len(ahead.levels[-1]) <= len(behind.levels[-1]) else (behind, ahead)
        new = front.advance(connection)
        meeting = new & other.seen[front.kind]
        if meeting:
            return ahead, behind, Key(front.kind, other.nearest(front.kind, meeting))
    return None


def is_upstream(connection: sqlite3.Connection, start: Key, goal: Key) -> bool:
    """Whether `goal` lies downstream of `start`, or is it."""
    return start == goal or _meet(connection, start, goal) is not None


def find_path(connection: sqlite3.Connection, start: Key, goal: Key) -> list[Key] | None:
    """Return a shortest path downstream from `start` to `goal`, both included; None if there is none."""
    if start == goal:
        return [start]
    met = _meet(connection, start, goal)
    if met is None:
        return None
    ahead, behind, meeting = met
    return [*reversed(ahead.trail(connection, meeting)), *behind.trail(connection, meeting)[1:]]


def refuse_cycle(connection: sqlite3.Connection, source: Key, target: Key) -> None:
    """Refuse the edge ``source -> target`` if `source` lies downstream of `target`.

    Raises:
        CycleError: It does; the error names the whole cycle in order.
    """
    if not is_upstream(connection, target, source):
        return
    names = path_names(connection, find_path(connection, target, source) or [])
    message = f"the edge {names[-1]} -> {names[0]} would close the cycle {' -> '.join([*names, names[0]])}"
    raise CycleError(message + "; leave it out, or log under another name", cycle=tuple(names))


def path_nodes(connection: sqlite3.Connection, path: Sequence[Key]) -> list[Node]:
    """Return the nodes of a path in order; a node's depth is its place in it."""
    reached = Reached(
        {key.row: place for place, key in enumerate(path) if key.kind == "run"},
        {key.row: place for place, key in enumerate(path) if key.kind == "version"},
    )
    return nodes(connection, reached)


def path_names(connection: sqlite3.Connection, path: Sequence[Key]) -> list[str]:
    """Return run ids and version references of a path in order."""
    return [node.id for node in path_nodes(connection, path)]


def common(first: Reached, second: Reached) -> Reached:
    """Return what both walks reached, at the smaller depth."""
    return Reached(
        {row: min(depth, second.runs[row]) for row, depth in first.runs.items() if row in second.runs},
        {row: min(depth, second.versions[row]) for row, depth in first.versions.items() if row in second.versions},
    )


def union(first: Reached, second: Reached) -> Reached:
    """Return what either walk reached."""
    return Reached(first.runs | second.runs, first.versions | second.versions)


def everything(connection: sqlite3.Connection) -> Reached:
    """Return every node of the store, deleted ones too."""
    runs, versions = edges.all_runs(connection), edges.all_versions(connection)
    return Reached(dict.fromkeys(runs, 0), dict.fromkeys(versions, 0))


def to_networkx(connection: sqlite3.Connection, reached: Reached, project: str) -> Graph:
    """Return the nodes and every edge between them as a plain DiGraph; README.md lists the attributes."""
    import networkx as nx  # noqa: PLC0415 (145 ms; only this function needs it)

    graph: Graph = nx.DiGraph(project=project, collapse=None)
    versions: dict[int, str] = {}
    for row, name, attributes in edges.version_attributes(connection, reached.versions):
        versions[row] = name
        attributes["aliases"] = sorted(json.loads(str(attributes["aliases"])))
        graph.add_node(name, **attributes)
    crashed = frozenset(statements.crashed_runs(connection))
    runs: dict[int, str] = {}
    for row, name, attributes in edges.run_attributes(connection, reached.runs):
        runs[row] = name
        if row in crashed:
            attributes["status"] = "crashed"  # as the run itself says, before anybody wrote it down
        graph.add_node(name, **attributes)
    graph.add_edges_from(_edges(connection, runs, versions))
    return graph


def _edges(
    connection: sqlite3.Connection, runs: Mapping[int, str], versions: Mapping[int, str]
) -> Iterator[tuple[str, str, dict[str, str | None]]]:
    """Yield every edge between some runs and some versions, given with their names, and its attributes."""
    for run, version, use_as in edges.step_inputs(connection, runs):
        if version in versions:
            yield versions[version], runs[run], {"kind": "consumed", "use_as": use_as}
    for run, version in edges.step_outputs(connection, runs):
        if version in versions:
            yield runs[run], versions[version], {"kind": "produced"}


def collapse(graph: Graph, by: Literal["type", "name"]) -> Graph:
    """Return the graph with versions merged by artifact type or name, and runs by job type; counts are kept.

    What is acyclic version by version need not be so type by type: fine-tuning goes from model to model.
    """
    import networkx as nx  # noqa: PLC0415 (145 ms; only collapsed graphs need it here)

    merged: Graph = nx.DiGraph(project=graph.graph["project"], collapse=by)
    groups = {name: _group(attributes, by) for name, attributes in graph.nodes(data=True)}
    for name, attributes in graph.nodes(data=True):
        kind, label = groups[name]
        group = f"{kind}:{label}"
        if group not in merged:
            merged.add_node(group, kind=kind, label=label or "no job type", type=attributes["type"], count=0)
        merged.nodes[group]["count"] += 1
    for source, target, attributes in graph.edges(data=True):
        tail, head = ":".join(groups[source]), ":".join(groups[target])
        if not merged.has_edge(tail, head):
            merged.add_edge(tail, head, kind=attributes["kind"], count=0)
        merged.edges[tail, head]["count"] += 1
    return merged


def _group(attributes: dict[str, Any], by: Literal["type", "name"]) -> tuple[str, str]:
    if attributes["kind"] == "run":
        return "job_type", attributes["job_type"]
    return ("type", attributes["type"]) if by == "type" else ("artifact", attributes["artifact"])
