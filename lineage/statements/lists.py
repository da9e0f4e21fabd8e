"""Lists by filter: which runs, versions and artifacts; and the keys that a filter may name."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from lineage.filters import Compiled, Field, compile_filter, compile_order, register_functions
from lineage.records import SearchHit
from lineage.statements import json_array
from lineage.statements.runs import crashed_runs
from lineage.values import RunStatus

RUN_FIELDS: Final[Mapping[str, Field]] = MappingProxyType(
    {
        "id": Field("r.uid", "text"),
        "name": Field("r.name", "text"),
        "job_type": Field("r.job_type", "text"),
        "group": Field('r."group"', "text"),
        "status": Field(
            "(CASE WHEN r.id IN (SELECT value FROM json_each(:crashed)) THEN 'crashed' ELSE r.status END)",
            "text",
            tuple(RunStatus),
        ),
        "notes": Field("r.notes", "text"),
        "host": Field("r.host", "text"),
        "user": Field("r.user", "text"),
        "exit_code": Field("r.exit_code", "number"),
        "started_at": Field("r.started_at", "time"),
        "ended_at": Field("r.ended_at", "time"),
        "duration": Field("((julianday(r.ended_at) - julianday(r.started_at)) * 86400)", "number"),
        "tags": Field("SELECT t.tag AS value FROM run_tag t WHERE t.run = r.id", "set"),
        "config": Field("r.config", "json"),
        "summary": Field("r.summary", "json"),
        "code": Field("r.code", "json"),
    }
)

VERSION_FIELDS: Final[Mapping[str, Field]] = MappingProxyType(
    {
        "name": Field("a.name", "text"),
        "type": Field("a.type", "text"),
        "number": Field("v.number", "number"),
        "digest": Field("m.digest", "text"),
        "size": Field("m.size", "number"),
        "file_count": Field("m.file_count", "number"),
        "description": Field("s.description", "text"),
        "created_at": Field("v.created_at", "time"),
        "step": Field("s.step", "number"),
        "ttl": Field("s.ttl", "number"),
        "project": Field("sa.project", "text"),
        "link_to": Field("(CASE WHEN s.id <> v.id THEN sa.name || ':v' || s.number END)", "text"),
        "aliases": Field("SELECT l.name AS value FROM alias l WHERE l.version = v.id", "set"),
        "tags": Field("SELECT t.tag AS value FROM version_tag t WHERE t.version = s.id", "set"),
        "metadata": Field("s.metadata", "json"),
    }
)

ARTIFACT_FIELDS: Final[Mapping[str, Field]] = MappingProxyType(
    {
        "name": Field("a.name", "text"),
        "type": Field("a.type", "text"),
        "description": Field("a.description", "text"),
        "created_at": Field("a.created_at", "time"),
        "version_count": Field(
            "(SELECT count(*) FROM version v WHERE v.artifact = a.id "
            "AND (v.deleted_at IS NULL OR a.project IS NOT NULL))",
            "number",
        ),
        "project": Field("a.project", "text"),
        "aliases": Field("SELECT l.name AS value FROM alias l WHERE l.artifact = a.id", "set"),
    }
)


class Query:
    """A list to be asked for: conditions, all of which hold, and an order."""

    def __init__(self, fields: Mapping[str, Field], where: Mapping[str, object] | None, order: object) -> None:
        default = "name" if fields is ARTIFACT_FIELDS else "started_at" if fields is RUN_FIELDS else "created_at"
        self._conditions = [compile_filter(where, fields)]
        self._order = compile_order(order, fields, default=default)  # type: ignore[arg-type]  # refuses what is wrong

    def add(self, sql: str, parameters: Mapping[str, object]) -> None:
        """Add a condition of our own."""
        self._conditions.append(Compiled(sql, dict(parameters)))

    @property
    def condition(self) -> str:
        """The SQL of all conditions."""
        return " AND ".join(f"({one.sql})" for one in self._conditions)

    @property
    def order(self) -> str:
        """The SQL of the order."""
        return self._order.sql

    @property
    def parameters(self) -> dict[str, object]:
        """What the SQL binds."""
        merged = dict(self._order.parameters)
        for one in self._conditions:
            merged.update(one.parameters)
        return merged


def run_ids(connection: sqlite3.Connection, query: Query) -> list[int]:
    """Return the runs a query finds, in its order."""
    return _ids(connection, "SELECT r.id FROM run r", query, {"crashed": json_array(crashed_runs(connection))})


def version_ids(connection: sqlite3.Connection, query: Query) -> list[int]:
    """Return the versions a query finds, in its order."""
    source = (
        "SELECT v.id FROM version v JOIN artifact a ON a.id = v.artifact JOIN manifest m ON m.id = v.manifest "
        "LEFT JOIN link k ON k.version = v.id JOIN version s ON s.id = coalesce(k.source, v.id) "
        "JOIN artifact sa ON sa.id = s.artifact"
    )
    return _ids(connection, source, query, {})


def artifact_ids(connection: sqlite3.Connection, query: Query) -> list[int]:
    """Return the artifacts a query finds, in its order."""
    return _ids(connection, "SELECT a.id FROM artifact a", query, {})


def _ids(connection: sqlite3.Connection, source: str, query: Query, more: Mapping[str, object]) -> list[int]:
    register_functions(connection)
    sql = f"{source} WHERE {query.condition} ORDER BY {query.order}, 1"
    return [row[0] for row in connection.execute(sql, query.parameters | dict(more))]


def search(connection: sqlite3.Connection, words: Sequence[str], limit: int) -> list[SearchHit]:
    """Return the texts that hold every word, whatever its case, newest first.

    A scan and not a full-text index: words of Korean or Japanese text are found inside longer ones, nothing has
    to be kept in step, and a virtual table in a file from elsewhere could not be trusted. benchmarks/ has the cost.
    """
    connection.create_function("holds_words", 1, _holder(words), deterministic=True)
    rows = connection.execute(
        """SELECT kind, id, name, field, text FROM (
             SELECT 'run' AS kind, uid AS id, name, 'name' AS field, name AS text, started_at AS at
               FROM run WHERE deleted_at IS NULL
             UNION ALL SELECT 'run', uid, name, 'notes', notes, started_at FROM run WHERE deleted_at IS NULL
             UNION ALL SELECT 'artifact', name, name, 'name', name, created_at
               FROM artifact WHERE deleted_at IS NULL OR project IS NOT NULL
             UNION ALL SELECT 'artifact', name, name, 'description', description, created_at
               FROM artifact WHERE deleted_at IS NULL
             UNION ALL SELECT 'version', a.name || ':v' || v.number, a.name, 'description', v.description, v.created_at
               FROM version v JOIN artifact a ON a.id = v.artifact
               WHERE v.deleted_at IS NULL OR a.project IS NOT NULL)
           WHERE holds_words(text) ORDER BY at DESC LIMIT ?""",
        (limit,),
    )
    return [SearchHit(*row) for row in rows]


def _holder(words: Sequence[str]) -> Callable[[str | None], bool]:
    folded = [word.casefold() for word in words]

    def holds(text: str | None) -> bool:
        return text is not None and all(word in text.casefold() for word in folded)

    return holds


def types(connection: sqlite3.Connection) -> list[str]:
    """Return the types of the artifacts, those of other projects too; not of deleted ones."""
    rows = connection.execute(
        "SELECT DISTINCT type FROM artifact WHERE deleted_at IS NULL OR project IS NOT NULL ORDER BY type"
    )
    return [row[0] for row in rows]


def job_types(connection: sqlite3.Connection) -> list[str]:
    """Return the job types of the live runs."""
    rows = connection.execute(
        "SELECT DISTINCT job_type FROM run WHERE deleted_at IS NULL AND job_type IS NOT NULL ORDER BY job_type"
    )
    return [row[0] for row in rows]


class Outdated(NamedTuple):
    """A run, a version that it consumed, the one that ``latest`` names now, and whether the run was deleted."""

    run: int
    version: int
    newest: int
    deleted: int


def outdated_inputs(connection: sqlite3.Connection) -> list[Outdated]:
    """Return what runs consumed of which ``latest`` names another version now."""
    rows = connection.execute(
        """SELECT c.run, c.version, l.version, r.deleted_at IS NOT NULL FROM consumed c
           JOIN version v ON v.id = c.version JOIN alias l ON l.artifact = v.artifact AND l.name = 'latest'
           JOIN run r ON r.id = c.run
           WHERE l.version <> c.version ORDER BY c.run, c.version"""
    )
    return [Outdated(*row) for row in rows]


def newest_among(connection: sqlite3.Connection, versions: Iterable[int]) -> list[int]:
    """Return those of `versions` that ``latest`` names.

    IN and no join: SQLite may find the aliases by their name, and goes over all of them for each version then.
    """
    rows = connection.execute(
        "SELECT version FROM alias WHERE name = 'latest' AND version IN (SELECT value FROM json_each(?))",
        (json_array(versions),),
    )
    return [row[0] for row in rows]
