"""Statements that read every cell of a file from elsewhere, for checks that its own constraints do not give.

On a connection that only reads, SQLite's integrity check looks at types, keys and NOT NULL, and at no CHECK.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator


def encoding(connection: sqlite3.Connection) -> str:
    """Return the encoding of the file's text."""
    (name,) = connection.execute("PRAGMA encoding").fetchone()
    return str(name)


def row_total(connection: sqlite3.Connection) -> int:
    """Return how many rows there are, of every table of the newest format that can have more than one."""
    (count,) = connection.execute(
        """SELECT (SELECT count(*) FROM artifact) + (SELECT count(*) FROM version) + (SELECT count(*) FROM version_tag)
                + (SELECT count(*) FROM link) + (SELECT count(*) FROM outside_use)
                + (SELECT count(*) FROM alias) + (SELECT count(*) FROM alias_event)
                + (SELECT count(*) FROM run) + (SELECT count(*) FROM run_tag) + (SELECT count(*) FROM environment)
                + (SELECT count(*) FROM metric) + (SELECT count(*) FROM consumed) + (SELECT count(*) FROM produced)
                + (SELECT count(*) FROM reproduced) + (SELECT count(*) FROM manifest)
                + (SELECT count(*) FROM manifest_part) + (SELECT count(*) FROM part) + (SELECT count(*) FROM entry)
                + (SELECT count(*) FROM blob) + (SELECT count(*) FROM chunk) + (SELECT count(*) FROM absent)"""
    ).fetchone()
    return int(count)


def cells(connection: sqlite3.Connection) -> Iterator[tuple[str, Iterable[tuple[object, ...]]]]:
    """Yield each table's name and its rows, all columns that are not keys or checked elsewhere."""
    yield "project", connection.execute("SELECT id, uid, created_at, partial FROM project")
    yield (
        "artifact",
        connection.execute(
            """SELECT name, type, description, next_number, created_at, deleted_at, project, project_uid,
                      edited_at FROM artifact"""
        ),
    )
    yield "environment", connection.execute("SELECT digest, document FROM environment")
    yield (
        "run",
        connection.execute(
            """SELECT uid, name, job_type, "group", status, config, summary, notes, error, code, host, user, process,
                      next_step, started_at, ended_at, deleted_at, edited_at FROM run"""
        ),
    )
    yield "run_tag", connection.execute("SELECT tag FROM run_tag")
    yield "metric", connection.execute("SELECT name, step, document, value, at FROM metric")
    yield (
        "version",
        connection.execute(
            """SELECT uid, number, description, metadata, step, created_at, deleted_at, ttl, edited_at FROM version"""
        ),
    )
    yield "version_tag", connection.execute("SELECT tag FROM version_tag")
    yield "outside_use", connection.execute("SELECT kind, project_uid, project, node, at FROM outside_use")
    yield "alias", connection.execute("SELECT name, protected FROM alias")
    yield "alias_event", connection.execute("SELECT name, at, user FROM alias_event")
    yield "consumed", connection.execute("SELECT use_as FROM consumed WHERE use_as IS NOT NULL")
    yield "reproduced", connection.execute("SELECT metadata, at FROM reproduced")
    yield "blob", connection.execute("SELECT digest, size FROM blob")
    yield "manifest", connection.execute("SELECT digest, file_count, size FROM manifest")
    yield "part", connection.execute("SELECT digest FROM part")
    yield "entry", connection.execute("SELECT path, blob, uri, uri_digest, uri_size, extra FROM entry")
    yield "chunk", connection.execute("SELECT seq, length(data) FROM chunk")


def histories_astray(connection: sqlite3.Connection) -> list[str]:
    """Return the artifacts whose aliases moved from or to versions of others."""
    rows = connection.execute(
        """SELECT DISTINCT a.name FROM alias_event h JOIN artifact a ON a.id = h.artifact
           LEFT JOIN version f ON f.id = h.from_version LEFT JOIN version t ON t.id = h.to_version
           WHERE coalesce(f.artifact, h.artifact) <> h.artifact OR coalesce(t.artifact, h.artifact) <> h.artifact
           ORDER BY a.name"""
    )
    return [row[0] for row in rows]


def projects_astray(connection: sqlite3.Connection) -> list[str]:
    """Return the ids of the project, unless there is one, as there must be."""
    found = [row[0] for row in connection.execute("SELECT uid FROM project")]
    return [] if len(found) == 1 else found or ["nothing"]


def foreign_astray(connection: sqlite3.Connection) -> list[str]:
    """Return the artifacts whose name is that of another project's and that are none, or the other way round."""
    rows = connection.execute(
        """SELECT name FROM artifact
           WHERE (project IS NULL AND instr(name, '/') > 0) OR (project IS NULL) <> (project_uid IS NULL)
              OR (project IS NOT NULL AND (deleted_at IS NULL
                                           OR substr(name, 1, length(project) + 1) <> project || '/'))
           ORDER BY name"""
    )
    return [row[0] for row in rows]


def sizes_contradicted(connection: sqlite3.Connection) -> list[str]:
    """Return the digests of blobs whose pieces inside the file are not as many bytes as their row says."""
    rows = connection.execute(
        """SELECT b.digest FROM blob b
           WHERE b.size <> (SELECT coalesce(sum(length(c.data)), b.size) FROM chunk c WHERE c.blob = b.id)"""
    )
    return [row[0] for row in rows]
