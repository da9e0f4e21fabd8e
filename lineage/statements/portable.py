"""Statements of packed files: the seal and the rows it covers, what was left out, what a part of a project keeps."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lineage.statements import json_array
from lineage.values import Digest


class Seal(NamedTuple):
    """What a packed file vouches for.

    Attributes:
        digest: Over all that is the same whoever packed it.
        mark: Over that, and what tells this project and its artifacts from others of the same content.
    """

    digest: str
    mark: str


class BlobPlace(NamedTuple):
    """A blob and whether its bytes, or some of them, lie inside the file."""

    id: int
    digest: Digest
    size: int
    inside: bool


# --- the seal ---


def seal(connection: sqlite3.Connection) -> Seal | None:
    """Return the seal, if there is one."""
    row = connection.execute("SELECT digest, mark FROM seal").fetchone()
    return Seal(*row) if row else None


def put_seal(connection: sqlite3.Connection, seal: Seal) -> None:
    """Seal the file."""
    connection.execute("INSERT INTO seal (id, digest, mark) VALUES (1, ?, ?)", seal)


def drop_seal(connection: sqlite3.Connection) -> None:
    """Break the seal: what is written now is not what was sealed."""
    connection.execute("DELETE FROM seal")


def identities(connection: sqlite3.Connection) -> Iterator[tuple[object, ...]]:
    """Yield what tells this project and its artifacts from others of the same content."""
    yield from connection.execute("SELECT uid, created_at FROM project")
    yield from connection.execute("SELECT name, uid FROM artifact ORDER BY name")


def outside_uses(connection: sqlite3.Connection) -> Iterator[tuple[object, ...]]:
    """Yield what other projects do with versions: not content, since it changes without this project's doing."""
    yield from connection.execute(
        """SELECT v.uid, u.kind, u.project_uid, u.project, u.node, u.at
           FROM outside_use u JOIN version v ON v.id = u.version ORDER BY v.uid, u.kind, u.project_uid, u.node"""
    )


def canonical_rows(connection: sqlite3.Connection) -> Iterator[tuple[str, Iterable[tuple[object, ...]]]]:
    """Yield every table's name and rows, without keys, in an order that depends on the content alone.

    CROSS JOIN fixes the order of the loops, so that the large tables come in it by their indexes, unsorted.
    """
    yield "project", connection.execute("SELECT partial FROM project")
    yield (
        "artifact",
        connection.execute(
            """SELECT name, type, description, next_number, created_at, deleted_at, project, project_uid, edited_at
               FROM artifact ORDER BY name"""
        ),
    )
    yield "environment", connection.execute("SELECT digest, document FROM environment ORDER BY digest")
    yield from _canonical_runs(connection)
    yield from _canonical_versions(connection)
    yield from _canonical_edges(connection)
    yield from _canonical_content(connection)


def _canonical_runs(connection: sqlite3.Connection) -> Iterator[tuple[str, Iterable[tuple[object, ...]]]]:
    yield (
        "run",
        connection.execute(
            """SELECT r.uid, r.name, r.job_type, r."group", r.status, r.config, r.summary, r.notes, r.exit_code,
                      r.error, r.code, e.digest, r.host, r.user, r.pid, r.process, r.next_step, r.started_at,
                      r.ended_at, r.deleted_at, r.edited_at
               FROM run r LEFT JOIN environment e ON e.id = r.environment ORDER BY r.uid"""
        ),
    )
    yield (
        "run_tag",
        connection.execute("SELECT r.uid, t.tag FROM run r CROSS JOIN run_tag t ON t.run = r.id ORDER BY r.uid, t.tag"),
    )
    yield (
        "metric",
        connection.execute(
            """SELECT r.uid, m.name, m.step, m.value, m.document, m.at
               FROM run r CROSS JOIN metric m ON m.run = r.id ORDER BY r.uid, m.name, m.step"""
        ),
    )


def _canonical_versions(connection: sqlite3.Connection) -> Iterator[tuple[str, Iterable[tuple[object, ...]]]]:
    yield (
        "version",
        connection.execute(
            """SELECT a.name, v.number, v.uid, m.digest, m.file_count, m.size, v.description, v.metadata, v.step,
                      v.created_at, v.deleted_at, v.ttl, v.edited_at
               FROM artifact a CROSS JOIN version v ON v.artifact = a.id CROSS JOIN manifest m ON m.id = v.manifest
               ORDER BY a.name, v.number"""
        ),
    )
    yield (
        "version_tag",
        connection.execute(
            """SELECT v.uid, t.tag FROM version v CROSS JOIN version_tag t ON t.version = v.id
               ORDER BY v.uid, t.tag"""
        ),
    )
    yield (
        "alias",
        connection.execute(
            """SELECT a.name, l.name, v.uid, l.protected FROM artifact a CROSS JOIN alias l ON l.artifact = a.id
               JOIN version v ON v.id = l.version ORDER BY a.name, l.name"""
        ),
    )
    yield (
        "alias_event",
        connection.execute(
            """SELECT a.name, h.name, f.uid, t.uid, h.at, h.user, r.uid
               FROM artifact a CROSS JOIN alias_event h ON h.artifact = a.id
               LEFT JOIN version f ON f.id = h.from_version LEFT JOIN version t ON t.id = h.to_version
               LEFT JOIN run r ON r.id = h.run ORDER BY a.name, h.name, h.id"""
        ),
    )
    yield (
        "link",
        connection.execute(
            """SELECT v.uid, s.uid FROM link k JOIN version v ON v.id = k.version JOIN version s ON s.id = k.source
               ORDER BY v.uid"""
        ),
    )


def _canonical_edges(connection: sqlite3.Connection) -> Iterator[tuple[str, Iterable[tuple[object, ...]]]]:
    yield (
        "consumed",
        connection.execute(
            """SELECT r.uid, v.uid, c.use_as FROM run r CROSS JOIN consumed c ON c.run = r.id
               JOIN version v ON v.id = c.version ORDER BY r.uid, v.uid"""
        ),
    )
    yield (
        "produced",
        connection.execute(
            """SELECT v.uid, r.uid FROM version v CROSS JOIN produced p ON p.version = v.id
               JOIN run r ON r.id = p.run ORDER BY v.uid"""
        ),
    )
    yield (
        "reproduced",
        connection.execute(
            """SELECT v.uid, r.uid, p.metadata, p.at FROM version v CROSS JOIN reproduced p ON p.version = v.id
               JOIN run r ON r.id = p.run ORDER BY v.uid, r.uid"""
        ),
    )


def _canonical_content(connection: sqlite3.Connection) -> Iterator[tuple[str, Iterable[tuple[object, ...]]]]:
    yield (
        "manifest_part",
        connection.execute(
            """SELECT m.digest, p.digest FROM manifest m CROSS JOIN manifest_part o ON o.manifest = m.id
               JOIN part p ON p.id = o.part ORDER BY m.digest, o.seq"""
        ),
    )
    yield (
        "entry",
        connection.execute(
            """SELECT p.digest, e.path, b.digest, e.uri, e.uri_digest, e.uri_size, e.extra
               FROM part p CROSS JOIN entry e ON e.part = p.id LEFT JOIN blob b ON b.id = e.blob
               ORDER BY p.digest, e.path"""
        ),
    )
    yield (
        "blob",
        connection.execute(
            """SELECT b.digest, b.size, EXISTS (SELECT 1 FROM absent o WHERE o.blob = b.id)
               FROM blob b ORDER BY b.digest"""
        ),
    )


# --- what was left out ---


def is_absent(connection: sqlite3.Connection, digest: str) -> bool:
    """Whether the bytes of a blob were left out."""
    row = connection.execute(
        "SELECT 1 FROM blob b JOIN absent o ON o.blob = b.id WHERE b.digest = ?", (digest,)
    ).fetchone()
    return row is not None


def places_after(connection: sqlite3.Connection, digest: str, limit: int) -> list[tuple[Digest, int, bool, bool]]:
    """Return digest, size, whether it lies inside and whether it was left out, of the blobs next by digest."""
    rows = connection.execute(
        """SELECT digest, size, EXISTS (SELECT 1 FROM chunk c WHERE c.blob = b.id),
                  EXISTS (SELECT 1 FROM absent o WHERE o.blob = b.id)
           FROM blob b WHERE digest > ? ORDER BY digest LIMIT ?""",
        (digest, limit),
    )
    return [(Digest(found), size, bool(inside), bool(absent)) for found, size, inside, absent in rows]


def absent_total(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return how many blobs were left out, and their bytes."""
    row: tuple[int, int] = connection.execute(
        "SELECT count(*), coalesce(sum(b.size), 0) FROM absent o JOIN blob b ON b.id = o.blob"
    ).fetchone()
    return row


def mark_absent(connection: sqlite3.Connection, blobs: Iterable[tuple[str, int]]) -> None:
    """Make rows for blobs (digest, size) whose bytes are left out; one that is there stays as it is."""
    connection.executemany(
        """INSERT INTO absent (blob) SELECT id FROM blob WHERE digest = ? AND size = ?""",
        [
            row
            for row in blobs
            if connection.execute(
                "INSERT INTO blob (digest, size) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING RETURNING id", row
            ).fetchone()
        ],
    )


def mark_present(connection: sqlite3.Connection, digests: Iterable[str]) -> None:
    """Note that the bytes of blobs are here now."""
    connection.execute(
        """DELETE FROM absent WHERE blob IN
           (SELECT b.id FROM blob b WHERE b.digest IN (SELECT value FROM json_each(?)))""",
        (json_array(digests),),
    )


def is_partial(connection: sqlite3.Connection) -> bool:
    """Whether versions of this project were left out."""
    row = connection.execute("SELECT partial FROM project").fetchone()
    return bool(row and row[0])


# --- writing a packed file; the connection is that of a file that has no name yet ---


def keep_only(connection: sqlite3.Connection, runs: Iterable[int], versions: Iterable[int]) -> None:
    """Drop every run and version but these, with edges, aliases and artifacts that then have no end.

    Histories of aliases keep their moves between what is kept; one from or to what is left out ends there.
    """
    connection.execute("CREATE TEMP TABLE kept_run (id INTEGER PRIMARY KEY)")
    connection.execute("CREATE TEMP TABLE kept_version (id INTEGER PRIMARY KEY)")
    connection.executemany("INSERT INTO kept_run (id) VALUES (?)", ((key,) for key in runs))
    connection.executemany("INSERT INTO kept_version (id) VALUES (?)", ((key,) for key in versions))
    for statement in _TRIMMING:
        connection.execute(statement)


_TRIMMING = (
    "DELETE FROM consumed WHERE run NOT IN (SELECT id FROM kept_run) OR version NOT IN (SELECT id FROM kept_version)",
    "DELETE FROM produced WHERE run NOT IN (SELECT id FROM kept_run) OR version NOT IN (SELECT id FROM kept_version)",
    "DELETE FROM reproduced WHERE run NOT IN (SELECT id FROM kept_run) OR version NOT IN (SELECT id FROM kept_version)",
    "DELETE FROM link WHERE version NOT IN (SELECT id FROM kept_version)",
    "DELETE FROM outside_use WHERE version NOT IN (SELECT id FROM kept_version)",
    "DELETE FROM alias WHERE version NOT IN (SELECT id FROM kept_version)",
    "UPDATE alias_event SET from_version = NULL WHERE from_version NOT IN (SELECT id FROM kept_version)",
    "UPDATE alias_event SET to_version = NULL WHERE to_version NOT IN (SELECT id FROM kept_version)",
    "UPDATE alias_event SET run = NULL WHERE run NOT IN (SELECT id FROM kept_run)",
    "DELETE FROM alias_event WHERE from_version IS NULL AND to_version IS NULL",
    "DELETE FROM version_tag WHERE version NOT IN (SELECT id FROM kept_version)",
    "DELETE FROM version WHERE id NOT IN (SELECT id FROM kept_version)",
    "DELETE FROM artifact WHERE id NOT IN (SELECT artifact FROM version)",
    """INSERT INTO alias_event (artifact, name, from_version, to_version, at, user, run)
       SELECT v.artifact, 'latest', NULL, v.id, v.created_at, NULL, NULL FROM version v
       WHERE v.deleted_at IS NULL
         AND v.number = (SELECT max(w.number) FROM version w WHERE w.artifact = v.artifact AND w.deleted_at IS NULL)
         AND NOT EXISTS (SELECT 1 FROM alias l WHERE l.artifact = v.artifact AND l.name = 'latest')
       ORDER BY v.id""",
    """INSERT INTO alias (artifact, name, version, protected)
       SELECT v.artifact, 'latest', v.id, 0 FROM version v
       WHERE v.deleted_at IS NULL
         AND v.number = (SELECT max(w.number) FROM version w WHERE w.artifact = v.artifact AND w.deleted_at IS NULL)
         AND NOT EXISTS (SELECT 1 FROM alias l WHERE l.artifact = v.artifact AND l.name = 'latest')
       ORDER BY v.id""",
    "DELETE FROM metric WHERE run NOT IN (SELECT id FROM kept_run)",
    "DELETE FROM run_tag WHERE run NOT IN (SELECT id FROM kept_run)",
    "DELETE FROM run WHERE id NOT IN (SELECT id FROM kept_run)",
    "UPDATE project SET partial = 1",
)


def live_types(connection: sqlite3.Connection) -> list[str]:
    """Return the types of the artifacts that have a live version."""
    rows = connection.execute(
        """SELECT DISTINCT a.type FROM version v JOIN artifact a ON a.id = v.artifact WHERE v.deleted_at IS NULL
           ORDER BY 1"""
    )
    return [row[0] for row in rows]


def leave_out(connection: sqlite3.Connection, types: Iterable[str] | None) -> None:
    """Note which blobs are left out, all or those that no live version of these types names, and drop their bytes."""
    connection.execute(
        """INSERT INTO absent (blob) SELECT b.id FROM blob b
           WHERE b.id NOT IN (SELECT blob FROM absent)
             AND (:types IS NULL OR b.id NOT IN (
               SELECT e.blob FROM version v JOIN artifact a ON a.id = v.artifact
               JOIN manifest_part p ON p.manifest = v.manifest JOIN entry e ON e.part = p.part
               WHERE v.deleted_at IS NULL AND e.blob IS NOT NULL
                 AND a.type IN (SELECT value FROM json_each(:types))))""",
        {"types": None if types is None else json_array(types)},
    )
    connection.execute("DELETE FROM chunk WHERE blob IN (SELECT blob FROM absent)")


def drop_garbage(connection: sqlite3.Connection) -> int:
    """Drop what no live version names, as ``gc`` would, and return how many rows went."""
    return sum(connection.execute(statement).rowcount for statement in _GARBAGE)


_GARBAGE = (
    """DELETE FROM manifest_part WHERE NOT EXISTS (SELECT 1 FROM version v WHERE v.manifest = manifest_part.manifest
                                                   AND v.deleted_at IS NULL)""",
    "DELETE FROM entry WHERE part NOT IN (SELECT part FROM manifest_part)",
    "DELETE FROM part WHERE id NOT IN (SELECT part FROM manifest_part)",
    "DELETE FROM chunk WHERE blob NOT IN (SELECT blob FROM entry WHERE blob IS NOT NULL)",
    "DELETE FROM absent WHERE blob NOT IN (SELECT blob FROM entry WHERE blob IS NOT NULL)",
    "DELETE FROM blob WHERE id NOT IN (SELECT blob FROM entry WHERE blob IS NOT NULL)",
    "DELETE FROM manifest WHERE id NOT IN (SELECT manifest FROM version)",
    "DELETE FROM environment WHERE id NOT IN (SELECT environment FROM run WHERE environment IS NOT NULL)",
)


def blobs_to_pack(connection: sqlite3.Connection) -> Iterator[BlobPlace]:
    """Yield the blobs whose bytes go into the file and are not there yet, in the order of their digests."""
    rows = connection.execute(
        """SELECT id, digest, size FROM blob b WHERE id NOT IN (SELECT blob FROM absent)
           AND NOT EXISTS (SELECT 1 FROM chunk c WHERE c.blob = b.id) ORDER BY digest"""
    ).fetchall()
    for key, digest, size in rows:
        yield BlobPlace(key, Digest(digest), size, inside=False)


def pieces_inside(connection: sqlite3.Connection) -> Iterable[tuple[str, bytes]]:
    """Return digest and bytes of every piece inside the file, those of one blob in their order."""
    return connection.execute(
        "SELECT b.digest, c.data FROM chunk c JOIN blob b ON b.id = c.blob ORDER BY c.blob, c.seq"
    )


def append_chunk(connection: sqlite3.Connection, blob: int, seq: int, data: bytes) -> None:
    """Write a piece of a blob's bytes."""
    connection.execute("INSERT INTO chunk (blob, seq, data) VALUES (?, ?, ?)", (blob, seq, data))


def sizes_astray(connection: sqlite3.Connection, piece: int) -> list[str]:
    """Return the digests of blobs whose bytes inside the file, or the pieces, are not as many as they should be.

    None is read.
    """
    rows = connection.execute(
        """SELECT b.digest FROM blob b WHERE b.id NOT IN (SELECT blob FROM absent)
           AND (b.size <> (SELECT coalesce(sum(length(c.data)), -1) FROM chunk c WHERE c.blob = b.id)
                OR EXISTS (SELECT 1 FROM chunk c WHERE c.blob = b.id AND length(c.data) <>
                           CASE WHEN b.size - c.seq * :piece < :piece THEN b.size - c.seq * :piece ELSE :piece END))""",
        {"piece": piece},
    )
    return [row[0] for row in rows]


def packed_counts(connection: sqlite3.Connection) -> tuple[int, int, int, int, int]:
    """Return how many runs, artifacts and versions there are, deleted ones too, and blobs inside with their bytes."""
    row: tuple[int, int, int, int, int] = connection.execute(
        """SELECT (SELECT count(*) FROM run), (SELECT count(*) FROM artifact), (SELECT count(*) FROM version),
                  (SELECT count(*) FROM blob WHERE id NOT IN (SELECT blob FROM absent)),
                  (SELECT coalesce(sum(size), 0) FROM blob WHERE id NOT IN (SELECT blob FROM absent))"""
    ).fetchone()
    return row


def bytes_known(connection: sqlite3.Connection) -> int:
    """Return the bytes of all blobs."""
    (size,) = connection.execute("SELECT coalesce(sum(size), 0) FROM blob").fetchone()
    return int(size)


def large_inside(connection: sqlite3.Connection, after: str, larger_than: int) -> list[BlobPlace]:
    """Return the blobs inside the file that are larger than so many bytes, next in the order of digests."""
    rows = connection.execute(
        """SELECT id, digest, size FROM blob b WHERE digest > ? AND size > ?
           AND EXISTS (SELECT 1 FROM chunk c WHERE c.blob = b.id) ORDER BY digest LIMIT 200""",
        (after, larger_than),
    )
    return [BlobPlace(key, Digest(digest), size, inside=True) for key, digest, size in rows]


# --- choosing a part of a project ---


def versions_chosen(connection: sqlite3.Connection, artifact: int | None, which: str) -> list[int]:
    """Return versions of one artifact, or of all: all of them, those named ``latest``, or those any alias names."""
    rows = connection.execute(
        """SELECT v.id FROM version v WHERE (:artifact IS NULL OR v.artifact = :artifact)
           AND (:which = 'all' OR EXISTS (SELECT 1 FROM alias l WHERE l.version = v.id
                                          AND (:which = 'aliased' OR l.name = 'latest'))) ORDER BY v.id""",
        {"artifact": artifact, "which": which},
    )
    return [row[0] for row in rows]


def link_sources(connection: sqlite3.Connection, versions: Iterable[int]) -> list[int]:
    """Return the versions that those of `versions` which are links stand for."""
    rows = connection.execute(
        "SELECT DISTINCT k.source FROM json_each(?) n JOIN link k ON k.version = n.value ORDER BY k.source",
        (json_array(versions),),
    )
    return [row[0] for row in rows]
