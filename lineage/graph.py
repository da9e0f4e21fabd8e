"""Walks along the edges: ancestors, descendants, paths, cycles, and the extracted networkx graph.

Breadth first, a level at a time, a statement a level, or one for all levels where they are narrow: a lineage
100,000 runs deep is only a long loop. networkx receives what a walk found; it never sees the whole store unless
asked to.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from lineage.errors import CycleError
from lineage.records import Node
from lineage.statements import edges, runs

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
        new = sorted({row for row in rows if row not in seen})
        seen.update(dict.fromkeys(new, depth))
        return new

    def without(self, starts: Iterable[Key]) -> Reached:
        """Return the same without the nodes the walk began at."""
        rows = set(starts)
        return Reached(
            {row: depth for row, depth in self.runs.items() if ("run", row) not in rows},
            {row: depth for row, depth in self.versions.items() if ("version", row) not in rows},
        )


def _neighbours(connection: sqlite3.Connection, kind: Kind, rows: Sequence[int], *, up: bool) -> list[tuple[int, int]]:
    """Return (row, neighbour) for one level; the neighbours are of the other kind."""
    if not rows:
        return []
    if kind == "run":
        return edges.step_inputs(connection, rows) if up else edges.step_outputs(connection, rows)
    return edges.step_producers(connection, rows) if up else edges.step_consumers(connection, rows)


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
    level, thin = 0, True
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
        versions = reached.add("version", (row for _, row in beyond_runs), level)
        runs = reached.add("run", (row for _, row in beyond_versions), level)
    return reached


_THIN: Final = 8
"""Nodes of a level up to which a history is followed as a thread."""
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
    found = edges.run_nodes(connection, reached.runs, reached.runs)
    found += edges.version_nodes(connection, reached.versions, reached.versions)
    return sorted(found, key=lambda node: (node.depth, node.kind, node.id))


@dataclass(slots=True)
class _Front:
    """One side of a search from both ends: the nodes of its last level, and how each was reached."""

    frontier: list[int]
    kind: Kind
    up: bool
    parents: dict[Key, Key | None]

    @classmethod
    def at(cls, key: Key, *, up: bool) -> _Front:
        return cls([key.row], key.kind, up, {key: None})

    def advance(self, connection: sqlite3.Connection, other: _Front) -> Key | None:
        """Go one level further; return the node where the sides meet, the one nearest to the other's start."""
        pairs = _neighbours(connection, self.kind, self.frontier, up=self.up)
        beyond: Kind = "version" if self.kind == "run" else "run"
        new = []
        for row, neighbour in pairs:
            key = Key(beyond, neighbour)
            if key not in self.parents:
                self.parents[key] = Key(self.kind, row)
                new.append(neighbour)
        self.frontier, self.kind = sorted(new), beyond
        meeting = {Key(beyond, row) for row in new} & other.parents.keys()
        return min(meeting, key=other.distance) if meeting else None

    def distance(self, key: Key) -> int:
        return len(self.trail(key))

    def trail(self, key: Key) -> list[Key]:
        """Return the nodes from `key` back to where this side began."""
        found = [key]
        while (parent := self.parents[found[-1]]) is not None:
            found.append(parent)
        return found


def find_path(connection: sqlite3.Connection, start: Key, goal: Key) -> list[Key] | None:
    """Return a shortest path downstream from `start` to `goal`, both included; None if there is none.

    From both ends, the smaller frontier first: 6-15 µs for the usual check on insert (design.md, rule 3).
    """
    if start == goal:
        return [start]
    ahead, behind = _Front.at(start, up=False), _Front.at(goal, up=True)
    while ahead.frontier and behind.frontier:
        front, other = (ahead, behind) if len(ahead.frontier) <= len(behind.frontier) else (behind, ahead)
        meeting = front.advance(connection, other)
        if meeting is not None:
            return [*reversed(ahead.trail(meeting)), *behind.trail(meeting)[1:]]
    return None


def refuse_cycle(connection: sqlite3.Connection, source: Key, target: Key) -> None:
    """Refuse the edge ``source -> target`` if `source` lies downstream of `target`.

    Raises:
        CycleError: It does; the error names the whole cycle in order.
    """
    path = find_path(connection, target, source)
    if path is None:
        return
    names = path_names(connection, path)
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
    names: dict[Key, str] = {}
    for row, name, attributes in edges.version_attributes(connection, reached.versions):
        names[Key("version", row)] = name
        attributes["aliases"] = sorted(json.loads(str(attributes["aliases"])))
        graph.add_node(name, **attributes)
    crashed = frozenset(runs.crashed_runs(connection))
    for row, name, attributes in edges.run_attributes(connection, reached.runs):
        names[Key("run", row)] = name
        if row in crashed:
            attributes["status"] = "crashed"  # as the run itself says, before anybody wrote it down
        graph.add_node(name, **attributes)
    _add_edges(connection, reached, graph, names)
    return graph


def _add_edges(connection: sqlite3.Connection, reached: Reached, graph: Graph, names: dict[Key, str]) -> None:
    use_as = edges.use_as_of(connection, reached.runs)
    for run, version in edges.step_inputs(connection, reached.runs):
        if version in reached.versions:
            source, target = names[Key("version", version)], names[Key("run", run)]
            graph.add_edge(source, target, kind="consumed", use_as=use_as.get((run, version)))
    for run, version in edges.step_outputs(connection, reached.runs):
        if version in reached.versions:
            graph.add_edge(names[Key("run", run)], names[Key("version", version)], kind="produced")


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
            merged.add_node(group, kind=kind, label=label, type=attributes["type"], count=0)
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
