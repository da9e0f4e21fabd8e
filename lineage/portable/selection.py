"""Which runs and versions a part of a project holds: what was asked for, and what is up- or downstream of it."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from lineage.errors import ErrorKind, NotFoundError
from lineage.graph import Key, Reached, union, walk
from lineage.portable.reports import Which
from lineage.statements import artifacts, portable
from lineage.store import find_run, find_version
from lineage.values import Reference, shown


class Selection(NamedTuple):
    """What to pack of a project.

    Attributes:
        select: References, names of artifacts, and ids or names of runs; None for everything.
        upstream: With all that it was made from.
        downstream: With all that was made from it.
        versions: Which versions a bare name, or everything, stands for.
    """

    select: tuple[str, ...] | None
    upstream: bool
    downstream: bool
    versions: Which

    @property
    def is_everything(self) -> bool:
        """Whether nothing is left out."""
        return self.select is None and self.versions == "all"


def chosen(connection: sqlite3.Connection, selection: Selection) -> tuple[list[int], list[int]]:
    """Return the runs and versions that a selection comes to, closed up- and downstream as it says.

    Raises:
        NotFoundError: One of the names is that of nothing.
        InvalidInputError: One of them is no name of anything, or means several runs.
    """
    starts = _starts(connection, selection)
    links = [key.row for key in starts if key.kind == "version"]
    starts += [Key("version", row) for row in portable.link_sources(connection, links)]
    reached = Reached(
        dict.fromkeys((key.row for key in starts if key.kind == "run"), 0),
        dict.fromkeys((key.row for key in starts if key.kind == "version"), 0),
    )
    if selection.upstream:
        reached = union(reached, walk(connection, starts, up=True))
    if selection.downstream:
        reached = union(reached, walk(connection, starts, up=False))
    return sorted(reached.runs), sorted(reached.versions)


def _starts(connection: sqlite3.Connection, selection: Selection) -> list[Key]:
    if selection.select is None:
        versions = portable.versions_chosen(connection, None, selection.versions)
        return [Key("version", row) for row in versions]
    return [key for text in selection.select for key in _named(connection, text, selection.versions)]


def _named(connection: sqlite3.Connection, text: str, which: Which) -> list[Key]:
    """Return what a name means: an artifact's versions, one version, or a run."""
    found = artifacts.artifact_row(connection, text)
    if found is not None:
        return [Key("version", row) for row in portable.versions_chosen(connection, found[0], which)]
    if ":" in text or "@" in text:
        return [Key("version", find_version(connection, Reference.parse(text), deleted=True))]
    try:
        return [Key("run", find_run(connection, text))]
    except NotFoundError as error:
        message = f"nothing is called {shown(text)}: give a reference, the name of an artifact, or a run"
        raise NotFoundError(message, kind=ErrorKind.NOT_FOUND) from error
