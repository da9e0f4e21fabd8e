"""Statements of a merge: what another project holds, what this one knows of it, and how it is taken in.

Both are projects of one format, so that the same statement reads from either. Lists go through windows in the order
of a key. Rows of the other project are never read through a connection to this one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

from lineage.records import OutsideUse
from lineage.statements import json_array

Move: TypeAlias = tuple[int | None, int | None, str, str | None, int | None]
"""One move of an alias: from, to, time, user, run."""


class ArtifactRow(NamedTuple):
    """An artifact as its project has it."""

    id: int
    uid: str
    name: str
    type: str
    description: str | None
    next_number: int
    created_at: str
    deleted_at: str | None
    project: str | None
    project_uid: str | None
    edited_at: str | None
    collection: int


class RunRow(NamedTuple):
    """A run as its project has it; `tags` is a JSON array, sorted."""

    id: int
    uid: str
    name: str
    job_type: str | None
    group: str | None
    status: str
    config: str
    summary: str
    notes: str | None
    exit_code: int | None
    error: str | None
    code: str
    environment: str | None
    host: str | None
    user: str | None
    pid: int | None
    process: str | None
    next_step: int
    started_at: str
    ended_at: str | None
    deleted_at: str | None
    edited_at: str | None
    tags: str


class VersionRow(NamedTuple):
    """A version as its project has it; `tags` is a JSON array, sorted; `foreign` where it is only a node there."""

    id: int
    uid: str
    artifact: int
    name: str
    number: int
    manifest: int
    digest: str
    file_count: int
    size: int
    description: str | None
    metadata: str
    step: int | None
    created_at: str
    deleted_at: str | None
    ttl: int | None
    edited_at: str | None
    foreign: int
    source: int | None
    tags: str

    @property
    def reference(self) -> str:
        """The text that resolves to it in its project."""
        return f"{self.name}:v{self.number}"


class AliasRow(NamedTuple):
    """An alias, when it moved last, and whether it has a history."""

    artifact: int
    name: str
    version: int | None
    protected: int
    moved_at: str | None


# --- what a project holds ---


def artifact_rows(connection: sqlite3.Connection) -> list[ArtifactRow]:
    """Return every artifact, by name."""
    rows = connection.execute(
        """SELECT id, uid, name, type, description, next_number, created_at, deleted_at, project,
                  project_uid, edited_at,
                  EXISTS (SELECT 1 FROM version v JOIN link k ON k.version = v.id WHERE v.artifact = a.id)
           FROM artifact a ORDER BY name"""
    )
    return [ArtifactRow(*row) for row in rows]


def runs_after(connection: sqlite3.Connection, after: int, limit: int) -> list[RunRow]:
    """Return the runs next in the order of their keys."""
    rows = connection.execute(
        """SELECT r.id, r.uid, r.name, r.job_type, r."group", r.status, r.config, r.summary, r.notes, r.exit_code,
                  r.error, r.code, e.digest, r.host, r.user, r.pid, r.process, r.next_step, r.started_at, r.ended_at,
                  r.deleted_at, r.edited_at,
                  (SELECT json_group_array(tag) FROM (SELECT t.tag FROM run_tag t WHERE t.run = r.id ORDER BY t.tag))
           FROM run r LEFT JOIN environment e ON e.id = r.environment WHERE r.id > ? ORDER BY r.id LIMIT ?""",
        (after, limit),
    )
    return [RunRow(*row) for row in rows]


def runs_by_uid(connection: sqlite3.Connection, uids: Sequence[str]) -> dict[str, RunRow]:
    """Return the runs of these ids that are known."""
    rows = connection.execute(
        """SELECT r.id, r.uid, r.name, r.job_type, r."group", r.status, r.config, r.summary, r.notes, r.exit_code,
                  r.error, r.code, e.digest, r.host, r.user, r.pid, r.process, r.next_step, r.started_at, r.ended_at,
                  r.deleted_at, r.edited_at,
                  (SELECT json_group_array(tag) FROM (SELECT t.tag FROM run_tag t WHERE t.run = r.id ORDER BY t.tag))
           FROM json_each(?) n JOIN run r ON r.uid = n.value LEFT JOIN environment e ON e.id = r.environment""",
        (json_array(uids),),
    )
    return {row[1]: RunRow(*row) for row in rows}


def versions_after(connection: sqlite3.Connection, after: tuple[int, int], limit: int) -> list[VersionRow]:
    """Return the versions next in the order of artifact and number."""
    rows = connection.execute(
        """SELECT v.id, v.uid, v.artifact, a.name, v.number, v.manifest, m.digest, m.file_count, m.size,
                  v.description, v.metadata, v.step, v.created_at, v.deleted_at, v.ttl, v.edited_at,
                  a.project IS NOT NULL, k.source,
                  (SELECT json_group_array(tag) FROM (SELECT t.tag FROM version_tag t WHERE t.version = v.id
                                                      ORDER BY t.tag))
           FROM version v JOIN artifact a ON a.id = v.artifact JOIN manifest m ON m.id = v.manifest
           LEFT JOIN link k ON k.version = v.id
           WHERE (v.artifact, v.number) > (?, ?) ORDER BY v.artifact, v.number LIMIT ?""",
        (*after, limit),
    )
    return [VersionRow(*row) for row in rows]


def versions_by_uid(connection: sqlite3.Connection, uids: Sequence[str]) -> dict[str, VersionRow]:
    """Return the versions of these uids that are known."""
    rows = connection.execute(
        """SELECT v.id, v.uid, v.artifact, a.name, v.number, v.manifest, m.digest, m.file_count, m.size,
                  v.description, v.metadata, v.step, v.created_at, v.deleted_at, v.ttl, v.edited_at,
                  a.project IS NOT NULL, k.source,
                  (SELECT json_group_array(tag) FROM (SELECT t.tag FROM version_tag t WHERE t.version = v.id
                                                      ORDER BY t.tag))
           FROM json_each(?) n JOIN version v ON v.uid = n.value JOIN artifact a ON a.id = v.artifact
           JOIN manifest m ON m.id = v.manifest LEFT JOIN link k ON k.version = v.id""",
        (json_array(uids),),
    )
    return {row[1]: VersionRow(*row) for row in rows}


def numbers_taken(connection: sqlite3.Connection, artifact: int, numbers: Sequence[int]) -> set[int]:
    """Return which of these numbers versions of an artifact have."""
    rows = connection.execute(
        "SELECT number FROM version WHERE artifact = ? AND number IN (SELECT value FROM json_each(?))",
        (artifact, json_array(numbers)),
    )
    return {row[0] for row in rows}


def alias_rows(connection: sqlite3.Connection, artifact: int) -> dict[str, AliasRow]:
    """Return the aliases an artifact has or had, each with the time of its last move."""
    rows = connection.execute(
        """SELECT n.artifact, n.name, l.version, coalesce(l.protected, 0), h.at
           FROM (SELECT artifact, name, max(id) AS last FROM
                   (SELECT artifact, name, id FROM alias_event WHERE artifact = :artifact
                    UNION ALL SELECT artifact, name, NULL FROM alias WHERE artifact = :artifact) known
                 GROUP BY artifact, name) n
           LEFT JOIN alias l ON l.artifact = n.artifact AND l.name = n.name
           LEFT JOIN alias_event h ON h.id = n.last ORDER BY n.name""",
        {"artifact": artifact},
    )
    return {row[1]: AliasRow(*row) for row in rows}


def consumed_after(
    connection: sqlite3.Connection, after: tuple[int, int], limit: int
) -> list[tuple[int, int, str | None]]:
    """Return the consumed edges (run, version, use_as) next in the order of their keys."""
    return connection.execute(
        """SELECT run, version, use_as FROM consumed WHERE (run, version) > (?, ?) ORDER BY run, version LIMIT ?""",
        (*after, limit),
    ).fetchall()


def produced_after(connection: sqlite3.Connection, after: int, limit: int) -> list[tuple[int, int]]:
    """Return the produced edges (version, run) next in the order of their keys."""
    return connection.execute(
        "SELECT version, run FROM produced WHERE version > ? ORDER BY version LIMIT ?", (after, limit)
    ).fetchall()


def outside_rows(connection: sqlite3.Connection) -> Iterator[tuple[int, OutsideUse]]:
    """Yield versions and what projects do with them that are neither."""
    for version, *use in connection.execute("SELECT version, kind, project, node, at, project_uid FROM outside_use"):
        yield version, OutsideUse(*use)


def reproduced_rows(connection: sqlite3.Connection) -> Iterator[tuple[int, int, str, str]]:
    """Yield version, run, metadata and time of every reproduction."""
    yield from connection.execute("SELECT version, run, metadata, at FROM reproduced ORDER BY version, run")


def inputs_of(connection: sqlite3.Connection, runs: Sequence[int]) -> set[tuple[int, int]]:
    """Return (run, version) for what these runs consumed."""
    rows = connection.execute(
        "SELECT c.run, c.version FROM json_each(?) n JOIN consumed c ON c.run = n.value", (json_array(runs),)
    )
    return {(run, version) for run, version in rows}


def producers_of(connection: sqlite3.Connection, versions: Sequence[int]) -> dict[int, int]:
    """Return the producers of these versions, where they have one."""
    rows = connection.execute(
        "SELECT p.version, p.run FROM json_each(?) n JOIN produced p ON p.version = n.value", (json_array(versions),)
    )
    return dict(rows.fetchall())


def references_by_id(connection: sqlite3.Connection, versions: Sequence[int]) -> dict[int, str]:
    """Return the references of versions."""
    rows = connection.execute(
        """SELECT v.id, a.name || ':v' || v.number FROM json_each(?) n JOIN version v ON v.id = n.value
           JOIN artifact a ON a.id = v.artifact""",
        (json_array(versions),),
    )
    return dict(rows.fetchall())


def run_uid(connection: sqlite3.Connection, run: int) -> str:
    """Return the id of a run."""
    (uid,) = connection.execute("SELECT uid FROM run WHERE id = ?", (run,)).fetchone()
    return str(uid)


def environment_document(connection: sqlite3.Connection, digest: str) -> str:
    """Return the text of an environment."""
    (text,) = connection.execute("SELECT document FROM environment WHERE digest = ?", (digest,)).fetchone()
    return str(text)


def metrics_of(
    connection: sqlite3.Connection, runs: Sequence[int]
) -> Iterator[tuple[int, str, int, float | None, str | None, str]]:
    """Yield run, name, step, value, document and time of what these runs logged."""
    yield from connection.execute(
        """SELECT m.run, m.name, m.step, m.value, m.document, m.at
           FROM json_each(?) n JOIN metric m ON m.run = n.value""",
        (json_array(runs),),
    )


def alias_events(connection: sqlite3.Connection, artifact: int, alias: str) -> list[Move]:
    """Return the moves of an alias, oldest first: from, to, time, user, run."""
    return connection.execute(
        """SELECT from_version, to_version, at, user, run FROM alias_event
           WHERE artifact = ? AND name = ? ORDER BY id""",
        (artifact, alias),
    ).fetchall()


def parts_of(connection: sqlite3.Connection, manifest: int) -> list[tuple[int, str]]:
    """Return key and digest of a manifest's parts, in their order."""
    return connection.execute(
        """SELECT p.id, p.digest FROM manifest_part o JOIN part p ON p.id = o.part
           WHERE o.manifest = ? ORDER BY o.seq""",
        (manifest,),
    ).fetchall()


def blobs_of_part(connection: sqlite3.Connection, part: int) -> list[tuple[str, int]]:
    """Return digest and size of the blobs that a part names."""
    return connection.execute(
        "SELECT DISTINCT b.digest, b.size FROM entry e JOIN blob b ON b.id = e.blob WHERE e.part = ?", (part,)
    ).fetchall()


def blobs_named_after(connection: sqlite3.Connection, digest: str, limit: int) -> list[tuple[str, int]]:
    """Return digest and size of the blobs whose bytes are here, next in the order of digests."""
    return connection.execute(
        """SELECT digest, size FROM blob b WHERE digest > ? AND id NOT IN (SELECT blob FROM absent)
           ORDER BY digest LIMIT ?""",
        (digest, limit),
    ).fetchall()


def blobs_wanted(connection: sqlite3.Connection, digests: Sequence[str], without: Sequence[int]) -> set[str]:
    """Return which of `digests` a live version names that is not among `without`."""
    rows = connection.execute(
        """SELECT b.digest FROM json_each(?) n JOIN blob b ON b.digest = n.value
           WHERE EXISTS (SELECT 1 FROM entry e JOIN manifest_part o ON o.part = e.part
                         JOIN version v ON v.manifest = o.manifest
                         WHERE e.blob = b.id AND v.deleted_at IS NULL
                           AND v.id NOT IN (SELECT value FROM json_each(?)))""",
        (json_array(digests), json_array(without)),
    )
    return {row[0] for row in rows}


def blob_sizes(connection: sqlite3.Connection, digests: Sequence[str]) -> dict[str, tuple[int, bool]]:
    """Return size, and whether it was left out, of those blobs that are known."""
    rows = connection.execute(
        """SELECT b.digest, b.size, EXISTS (SELECT 1 FROM absent o WHERE o.blob = b.id)
           FROM json_each(?) n JOIN blob b ON b.digest = n.value""",
        (json_array(digests),),
    )
    return {digest: (size, bool(absent)) for digest, size, absent in rows}


def all_edges(connection: sqlite3.Connection) -> Iterator[tuple[int, int, int]]:
    """Yield run, version, and whether the run produced it, of every edge."""
    yield from connection.execute("SELECT run, version, 0 FROM consumed")
    yield from connection.execute("SELECT run, version, 1 FROM produced")


# --- taking in ---


def add_artifact(connection: sqlite3.Connection, row: ArtifactRow) -> int:
    """Make an artifact as another project has it, without a version yet, and return its key."""
    (key,) = connection.execute(
        """INSERT INTO artifact (uid, name, type, description, created_at, deleted_at, project, project_uid, edited_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id""",
        (*row[1:5], *row[6:11]),
    ).fetchone()
    return int(key)


def add_run(connection: sqlite3.Connection, row: RunRow, environment: int | None) -> int:
    """Make a run as another project has it and return its key."""
    (key,) = connection.execute(
        """INSERT INTO run (uid, name, job_type, "group", status, config, summary, notes, exit_code, error, code,
                            environment, host, user, pid, process, next_step, started_at, ended_at, deleted_at,
                            edited_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id""",
        (*row[1:12], environment, *row[13:22]),
    ).fetchone()
    return int(key)


def add_metrics(
    connection: sqlite3.Connection, rows: Iterable[tuple[int, str, int, float | None, str | None, str]]
) -> None:
    """Write metric values; those of a name and step that are there stay."""
    connection.executemany(
        """INSERT INTO metric (run, name, step, value, document, at) VALUES (?, ?, ?, ?, ?, ?)
           ON CONFLICT (run, name, step) DO NOTHING""",
        rows,
    )


def end_known_run(connection: sqlite3.Connection, key: int, row: RunRow) -> None:
    """Let a run that was running here end as it ended elsewhere."""
    connection.execute(
        "UPDATE run SET status = ?, exit_code = ?, error = ?, ended_at = ? WHERE id = ?",
        (row.status, row.exit_code, row.error, row.ended_at, key),
    )


def raise_next_step(connection: sqlite3.Connection, key: int, step: int) -> None:
    """Let the next log of a run come after what it logged elsewhere, which it would replace."""
    connection.execute("UPDATE run SET next_step = ? WHERE id = ? AND next_step < ?", (step, key, step))


def set_run_words(connection: sqlite3.Connection, key: int, row: RunRow) -> None:
    """Set what people may edit of a run, but for its summary, to what another project has."""
    connection.execute(
        "UPDATE run SET name = ?, config = ?, notes = ?, edited_at = ? WHERE id = ?",
        (row.name, row.config, row.notes, row.edited_at, key),
    )


def add_version(
    connection: sqlite3.Connection, row: VersionRow, keys: tuple[int, int, int], deleted_at: str | None
) -> int:
    """Make a version as another project has it (artifact, number and manifest are ours) and return its key."""
    (key,) = connection.execute(
        """INSERT INTO version (uid, artifact, number, manifest, description, metadata, step, created_at, deleted_at,
                                ttl, edited_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id""",
        (row.uid, *keys, row.description, row.metadata, row.step, row.created_at, deleted_at, row.ttl, row.edited_at),
    ).fetchone()
    return int(key)


def complete_version(connection: sqlite3.Connection, key: int, row: VersionRow, keys: tuple[int, int, int]) -> None:
    """Let a node of another project's version become that version; artifact, number and manifest are ours."""
    connection.execute(
        """UPDATE version SET artifact = ?, number = ?, manifest = ?, description = ?, metadata = ?, step = ?,
                  deleted_at = ?, ttl = ?, edited_at = ? WHERE id = ?""",
        (*keys, row.description, row.metadata, row.step, row.deleted_at, row.ttl, row.edited_at, key),
    )


def set_version_words(connection: sqlite3.Connection, key: int, row: VersionRow) -> None:
    """Set what people may edit of a version to what another project has."""
    connection.execute(
        "UPDATE version SET description = ?, metadata = ?, ttl = ?, edited_at = ? WHERE id = ?",
        (row.description, row.metadata, row.ttl, row.edited_at, key),
    )


def set_artifact_words(connection: sqlite3.Connection, key: int, row: ArtifactRow) -> None:
    """Set the words about an artifact to what another project has."""
    connection.execute(
        "UPDATE artifact SET description = ?, edited_at = ? WHERE id = ?", (row.description, row.edited_at, key)
    )


def delete_empty_foreign(connection: sqlite3.Connection) -> None:
    """Drop the artifacts of other projects of which no version is left: all of them became ours."""
    connection.execute(
        """DELETE FROM artifact WHERE project IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM version v WHERE v.artifact = artifact.id)"""
    )


def artifact_of(connection: sqlite3.Connection, version: int) -> tuple[int, bool]:
    """Return the artifact of a version, and whether the version is live."""
    artifact, live = connection.execute(
        "SELECT artifact, deleted_at IS NULL FROM version WHERE id = ?", (version,)
    ).fetchone()
    return int(artifact), bool(live)


def add_consumed(connection: sqlite3.Connection, rows: Iterable[tuple[int, int, str | None]]) -> None:
    """Write consumed edges; what is said of one that is there stays."""
    connection.executemany(
        """INSERT INTO consumed (run, version, use_as) VALUES (?, ?, ?)
           ON CONFLICT (run, version) DO UPDATE SET use_as = coalesce(use_as, excluded.use_as)""",
        rows,
    )


def add_produced(connection: sqlite3.Connection, rows: Iterable[tuple[int, int]]) -> None:
    """Write produced edges (version, run); one that is there stays."""
    connection.executemany("INSERT INTO produced (version, run) VALUES (?, ?) ON CONFLICT (version) DO NOTHING", rows)


def add_reproduced(connection: sqlite3.Connection, rows: Iterable[tuple[int, int, str, str]]) -> None:
    """Write reproductions (version, run, metadata, time); one that is there stays."""
    connection.executemany(
        """INSERT INTO reproduced (version, run, metadata, at) VALUES (?, ?, ?, ?)
           ON CONFLICT (version, run) DO NOTHING""",
        rows,
    )


def edge_count(connection: sqlite3.Connection) -> int:
    """Return how many edges there are."""
    (count,) = connection.execute("SELECT (SELECT count(*) FROM consumed) + (SELECT count(*) FROM produced)").fetchone()
    return int(count)
