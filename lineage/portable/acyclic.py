"""Whether two graphs together are still without a cycle, before anything is written."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator

from lineage.portable.plan import our_version
from lineage.portable.planned import Plan
from lineage.statements import union


def find_cycle(plan: Plan, ours: sqlite3.Connection, theirs: sqlite3.Connection) -> tuple[str, ...]:
    """Return the names of a cycle in the union of two projects, in the direction of the edges; empty if there is none.

    Only asked where an edge of theirs leads to what was here before: new edges that lead to new nodes close nothing.
    All edges are held for it, some 200 bytes each. What nothing feeds is peeled off until nothing more can be; what
    remains lies on a cycle or behind one.
    """
    below: dict[int, list[int]] = defaultdict(list)
    fed: dict[int, int] = defaultdict(int)
    for source, target in _union_edges(plan, ours, theirs):
        below[source].append(target)
        fed[target] += 1
    ready = [node for node in below if node not in fed]
    while ready:
        for target in below.pop(ready.pop(), ()):
            fed[target] -= 1
            if not fed[target]:
                del fed[target]
                ready.append(target)
    return tuple(_name(node, ours, theirs) for node in _one_cycle({node: below[node] for node in fed if node in below}))


def _union_edges(plan: Plan, ours: sqlite3.Connection, theirs: sqlite3.Connection) -> Iterator[tuple[int, int]]:
    """Yield every edge; a node is a number that tells its kind and whose row it is."""
    for run, version, produced in union.all_edges(ours):
        ends = 4 * version, 4 * run + 1
        yield (ends[1], ends[0]) if produced else ends
    for run, version, produced in union.all_edges(theirs):
        known, mine = plan.known_runs.get(run), our_version(plan, version)
        ends = (4 * version + 2 if mine is None else 4 * mine), (4 * run + 3 if known is None else 4 * known + 1)
        yield (ends[1], ends[0]) if produced else ends


def _one_cycle(below: dict[int, list[int]]) -> list[int]:
    """Return a cycle of what was not peeled off, by walking up: everything left is fed by something left."""
    above = {target: source for source, targets in below.items() for target in targets}
    if not above:
        return []
    node = next(iter(above))
    trail: dict[int, None] = {}
    while node not in trail:
        trail[node] = None
        node = above[node]
    nodes = list(trail)
    return nodes[nodes.index(node) :][::-1]


def _name(node: int, ours: sqlite3.Connection, theirs: sqlite3.Connection) -> str:
    row, kind = divmod(node, 4)
    connection = ours if kind in (0, 1) else theirs
    return union.run_uid(connection, row) if kind in (1, 3) else union.references_by_id(connection, [row])[row]
