"""What runs and versions have in common: a place in the graph, and the questions about it."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

from lineage import graph
from lineage.errors import InvalidInputError
from lineage.graph import Key
from lineage.records import Node
from lineage.store import Store
from lineage.values import listed, shown, whole_number

if TYPE_CHECKING:
    from lineage.graph import Graph

Direction: TypeAlias = Literal["up", "down", "both"]


class Handle(ABC):
    """What runs and versions have in common: a place in the graph."""

    __slots__ = ("_store",)

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    @abstractmethod
    def key(self) -> Key:
        """The node's kind and row."""

    @abstractmethod
    def _current(self, connection: sqlite3.Connection) -> object:
        """Return the record as it is now; refuse a node that went with an undone batch."""

    def live_key(self) -> Key:
        """Return the key, unless the node went with an undone batch: by now its row may be another's.

        Raises:
            NotFoundError: It did.
        """
        with self._store.database.read() as connection:
            self._current(connection)
        return self.key

    @abstractmethod
    def __repr__(self) -> str: ...

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Handle):
            return NotImplemented
        return self.key == other.key and self._store.path == other._store.path

    def __hash__(self) -> int:
        return hash((self.key, self._store.path))

    def ancestors(
        self,
        *,
        depth: int | None = None,
        kind: Literal["run", "version"] | None = None,
        types: Iterable[str] | None = None,
        job_types: Iterable[str] | None = None,
    ) -> list[Node]:
        """Return all that lies upstream, nearest first: what this was made from.

        Args:
            depth: At most so many edges away; from a version, 1 is the run that made it, 2 that run's inputs.
            kind: Only runs, or only versions.
            types: Of the versions, only those of these artifact types.
            job_types: Of the runs, only those of these job types.

        Raises:
            InvalidInputError: The depth is negative, or the kind is none.

        Example:
            >>> import lineage, tempfile
            >>> project = lineage.open(tempfile.mkdtemp() + "/p.lineage")
            >>> with project.start_run(job_type="load") as run:
            ...     data = run.log_artifact(lineage.Artifact("data", type="dataset"))
            >>> [node.type for node in data.ancestors()]
            ['load']
        """
        keep = Keep.of(kind, types, job_types)
        with self._store.database.read():
            return related(self._store, self.live_key(), up=True, depth=depth, keep=keep)

    def descendants(
        self,
        *,
        depth: int | None = None,
        kind: Literal["run", "version"] | None = None,
        types: Iterable[str] | None = None,
        job_types: Iterable[str] | None = None,
    ) -> list[Node]:
        """Return all that lies downstream, nearest first: what was made from this. Arguments as for ancestors."""
        keep = Keep.of(kind, types, job_types)
        with self._store.database.read():
            return related(self._store, self.live_key(), up=False, depth=depth, keep=keep)

    def graph(
        self,
        *,
        direction: Direction = "both",
        depth: int | None = None,
        collapse: Literal["type", "name"] | None = None,
    ) -> Graph:
        """Return this node with what lies up- and downstream as a networkx DiGraph; README.md has its attributes.

        Args:
            direction: ``"up"``, ``"down"`` or ``"both"``.
            depth: At most so many edges away.
            collapse: Merge runs by job type, and versions by artifact type or name.
        """
        return extract_graph(self._store, [self.live_key()], direction=direction, depth=depth, collapse=collapse)


class Keep:
    """Which nodes of a walk to keep."""

    __slots__ = ("_job_types", "_kind", "_types")

    def __init__(self, kind: str | None, types: frozenset[str] | None, job_types: frozenset[str] | None) -> None:
        self._kind = kind
        self._types = types
        self._job_types = job_types

    @classmethod
    def of(cls, kind: str | None, types: Iterable[str] | None, job_types: Iterable[str] | None) -> Self:
        """Check and keep the conditions; one text stands for a list of one."""
        if kind not in (None, "run", "version"):
            raise InvalidInputError(f"kind {shown(kind)}: ask for 'run' or 'version'")
        return cls(kind, _texts(types, "types"), _texts(job_types, "job_types"))

    @property
    def everything(self) -> bool:
        """Whether every node passes."""
        return self._kind is None and self._types is None and self._job_types is None

    def keeps(self, node: Node) -> bool:
        """Whether a node passes."""
        if self._kind not in (None, node.kind):
            return False
        wanted = self._types if node.kind == "version" else self._job_types
        return wanted is None or node.type in wanted


def _texts(values: Iterable[str] | None, what: str) -> frozenset[str] | None:
    if values is None:
        return None
    found = listed(values, what)
    for value in found:
        if not isinstance(value, str):
            raise InvalidInputError(f"{what} {shown(value)}: give text")
    return frozenset(found)


def _checked_depth(depth: int | None) -> int | None:
    return None if depth is None else whole_number(depth, "depth", "the number of edges, 0 or more, or None for all")


def related(store: Store, key: Key, *, up: bool, depth: int | None, keep: Keep) -> list[Node]:
    """Return the nodes up- or downstream of a node."""
    depth = _checked_depth(depth)
    with store.database.read() as connection:
        reached = graph.walk(connection, [key], up=up, depth=depth).without([key])
        found = graph.nodes(connection, reached)
        return found if keep.everything else [node for node in found if keep.keeps(node)]


def extract_graph(
    store: Store,
    starts: Sequence[Key],
    *,
    direction: Direction,
    depth: int | None,
    collapse: Literal["type", "name"] | None,
) -> Graph:
    """Return the graph around some nodes; around none, the whole."""
    if direction not in ("up", "down", "both") or collapse not in (None, "type", "name"):
        given = f"direction {shown(direction)}, collapse {shown(collapse)}"
        message = f"{given}: use 'up', 'down' or 'both'; None, 'type' or 'name'"
        raise InvalidInputError(message)
    depth = _checked_depth(depth)
    with store.database.read() as connection:
        reached = graph.Reached() if starts else graph.everything(connection)
        for up in [up for up, word in ((True, "up"), (False, "down")) if direction in (word, "both")]:
            reached = graph.union(reached, graph.walk(connection, starts, up=up, depth=depth))
        found = graph.to_networkx(connection, reached, store.path.stem)
    return graph.collapse(found, collapse) if collapse else found


def html_table(title: str, rows: dict[str, object]) -> str:
    """Return a small table for notebooks; every text is escaped."""
    from html import escape  # noqa: PLC0415 (2 ms; notebooks only)

    body = "".join(f"<tr><th>{escape(key)}</th><td>{escape(str(value))}</td></tr>" for key, value in rows.items())
    return f"<table><caption>{escape(title)}</caption>{body}</table>"
