"""Statements of deleting, pruning and collecting: what live versions name, and what nothing names any more.

A thing is live while a version without `deleted_at` names it: a manifest directly, a part through a manifest, a
blob through an entry of a part. Windows go through a table in the order of its keys, a bounded number at a time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from lineage.errors import CorruptionError, InvalidInputError
from lineage.records import SizeRecord
from lineage.statements import json_array
from lineage.values import Digest


class VersionState(NamedTuple):
    """What deleting a version has to know about it."""

    artifact: int
    name: str
    number: int
    deleted_at: str | None
    project: str | None


class DeadManifest(NamedTuple):
    """A manifest that no live version names."""

    id: int
    parts: int


class DeadBlob(NamedTuple):
    """A blob that no live version names; one that was left out has no bytes here."""

    id: int
    digest: Digest
    size: int


def version_state(connection: sqlite3.Connection, version: int) -> VersionState | None:
    """Return a version's artifact, name, number, time of deletion and, if it is another's, project."""
    row = connection.execute(
        """SELECT v.artifact, a.name, v.number, v.deleted_at, a.project
           FROM version v JOIN artifact a ON a.id = v.artifact WHERE v.id = ?""",
        (version,),
    ).fetchone()
    return VersionState(*row) if row else None


def mark_versions_deleted(connection: sqlite3.Connection, artifact: int, at: str) -> None:
    """Mark every live version of an artifact deleted and take its tags off."""
    connection.execute(
        "DELETE FROM version_tag WHERE version IN (SELECT id FROM version WHERE artifact = ?)", (artifact,)
    )
    connection.execute("UPDATE version SET deleted_at = ? WHERE artifact = ? AND deleted_at IS NULL", (at, artifact))


def aliases_in(connection: sqlite3.Connection, artifact: int) -> list[str]:
    """Return the aliases of an artifact."""
    rows = connection.execute("SELECT name FROM alias WHERE artifact = ? ORDER BY name", (artifact,))
    return [row[0] for row in rows]


def links_into(connection: sqlite3.Connection, artifact: int) -> list[int]:
    """Return the live links that stand for versions of an artifact."""
    rows = connection.execute(
        """SELECT w.id FROM version v JOIN link k ON k.source = v.id JOIN version w ON w.id = k.version
           WHERE v.artifact = ? AND w.deleted_at IS NULL ORDER BY w.id""",
        (artifact,),
    )
    return [row[0] for row in rows]


def live_artifacts(connection: sqlite3.Connection) -> list[tuple[int, str]]:
    """Return id and name of the live artifacts, by name."""
    return connection.execute("SELECT id, name FROM artifact WHERE deleted_at IS NULL ORDER BY name").fetchall()


def prunable_versions(connection: sqlite3.Connection, rules: Mapping[str, object]) -> list[tuple[int, str]]:
    """Return id and reference of the live versions that no rule keeps, by name and number.

    The version that ``latest`` names is kept by all rules, and so is one that a protected alias names, or that a
    collection links to.
    """
    return connection.execute(
        """SELECT v.id, a.name || ':v' || v.number
           FROM (SELECT id, artifact, number, created_at, ttl,
                        row_number() OVER (PARTITION BY artifact ORDER BY number DESC) AS place
                 FROM version WHERE deleted_at IS NULL) v JOIN artifact a ON a.id = v.artifact
           WHERE (:artifact IS NULL OR a.id = :artifact) AND (:type IS NULL OR a.type = :type)
             AND (:keep_last IS NULL OR v.place > :keep_last) AND (:before IS NULL OR v.created_at < :before)
             AND (:expired = 0 OR (julianday(:now) - julianday(v.created_at)) * 86400 > v.ttl)
             AND NOT EXISTS (SELECT 1 FROM link k JOIN version w ON w.id = k.version
                             WHERE k.version = v.id OR (k.source = v.id AND w.deleted_at IS NULL))
             AND NOT EXISTS (SELECT 1 FROM outside_use u
                             WHERE u.version = v.id AND (u.kind = 'linked' OR :keep_used = 1))
             AND NOT EXISTS (SELECT 1 FROM alias l WHERE l.version = v.id
                             AND (:keep_aliased = 1 OR l.name = 'latest' OR l.protected = 1))
             AND NOT (:keep_tagged = 1 AND EXISTS (SELECT 1 FROM version_tag t WHERE t.version = v.id))
             AND NOT (:keep_used = 1 AND EXISTS (SELECT 1 FROM consumed c JOIN run r ON r.id = c.run
                                                 WHERE c.version = v.id AND r.deleted_at IS NULL))
           ORDER BY a.name, v.number""",
        rules,
    ).fetchall()


def bytes_only_in(connection: sqlite3.Connection, versions: Sequence[int]) -> int:
    """Return the bytes here that no live version but these names: what ``gc`` could take if they were deleted."""
    (size,) = connection.execute(
        """WITH gone (id) AS (SELECT value FROM json_each(?)),
           dying (part) AS (
             SELECT DISTINCT p.part FROM gone JOIN version v ON v.id = gone.id
             JOIN manifest_part p ON p.manifest = v.manifest
             WHERE NOT EXISTS (SELECT 1 FROM manifest_part o JOIN version w ON w.manifest = o.manifest
                               WHERE o.part = p.part AND w.deleted_at IS NULL AND w.id NOT IN (SELECT id FROM gone)))
           SELECT coalesce(sum(b.size), 0) FROM blob b
           WHERE b.id IN (SELECT e.blob FROM dying JOIN entry e ON e.part = dying.part WHERE e.blob IS NOT NULL)
             AND NOT EXISTS (SELECT 1 FROM entry e JOIN manifest_part o ON o.part = e.part
                             JOIN version w ON w.manifest = o.manifest
                             WHERE e.blob = b.id AND w.deleted_at IS NULL AND w.id NOT IN (SELECT id FROM gone))
             AND NOT EXISTS (SELECT 1 FROM absent o WHERE o.blob = b.id)""",
        (json_array(versions),),
    ).fetchone()
    return int(size)


def artifact_size(connection: sqlite3.Connection, artifact: int, name: str) -> SizeRecord:
    """Return how many bytes here an artifact's live versions name, and how many of them no other artifact's do."""
    versions, logical = connection.execute(
        """SELECT count(*), coalesce(sum(m.size), 0) FROM version v JOIN manifest m ON m.id = v.manifest
           WHERE v.artifact = ? AND v.deleted_at IS NULL""",
        (artifact,),
    ).fetchone()
    total, own = connection.execute(
        """WITH parts (part) AS (
             SELECT DISTINCT p.part FROM version v JOIN manifest_part p ON p.manifest = v.manifest
             WHERE v.artifact = :artifact AND v.deleted_at IS NULL),
           held (id, size, elsewhere) AS (
             SELECT b.id, b.size,
                    EXISTS (SELECT 1 FROM entry e JOIN manifest_part o ON o.part = e.part
                            JOIN version w ON w.manifest = o.manifest
                            WHERE e.blob = b.id AND w.deleted_at IS NULL AND w.artifact <> :artifact
                              AND w.id NOT IN (SELECT k.version FROM link k))
             FROM blob b WHERE b.id IN (SELECT e.blob FROM parts JOIN entry e ON e.part = parts.part
                                        WHERE e.blob IS NOT NULL)
               AND NOT EXISTS (SELECT 1 FROM absent o WHERE o.blob = b.id))
           SELECT coalesce(sum(size), 0), coalesce(sum(CASE WHEN elsewhere THEN 0 ELSE size END), 0) FROM held""",
        {"artifact": artifact},
    ).fetchone()
    return SizeRecord(name, versions, total, own, total - own, logical)


def quick_check(connection: sqlite3.Connection) -> list[str]:
    """Return what SQLite's quick check finds wrong with the file, nothing if it is sound."""
    return [row[0] for row in connection.execute("PRAGMA quick_check(10)") if row[0] != "ok"]


def dead_manifests(connection: sqlite3.Connection, after: int, limit: int) -> tuple[int | None, list[DeadManifest]]:
    """Return the last id of a window of manifests, and those in it that hold parts and that no live version names."""
    rows = connection.execute(
        """SELECT m.id, EXISTS (SELECT 1 FROM version v WHERE v.manifest = m.id AND v.deleted_at IS NULL),
                  EXISTS (SELECT 1 FROM version v WHERE v.manifest = m.id),
                  (SELECT count(*) FROM manifest_part p WHERE p.manifest = m.id)
           FROM manifest m WHERE m.id > ? ORDER BY m.id LIMIT ?""",
        (after, limit),
    ).fetchall()
    dead = [DeadManifest(key, parts) for key, live, named, parts in rows if not live and (parts or not named)]
    return (rows[-1][0] if rows else None), dead


def delete_manifests(connection: sqlite3.Connection, manifests: Iterable[int]) -> None:
    """Drop which parts these manifests had, all of each; those that not even a deleted version names go too."""
    wanted = json_array(manifests)
    connection.execute(
        """DELETE FROM manifest_part WHERE manifest IN (SELECT value FROM json_each(?))
           AND NOT EXISTS (SELECT 1 FROM version v WHERE v.manifest = manifest_part.manifest
                           AND v.deleted_at IS NULL)""",
        (wanted,),
    )
    connection.execute(
        """DELETE FROM manifest WHERE id IN (SELECT value FROM json_each(?))
           AND NOT EXISTS (SELECT 1 FROM version v WHERE v.manifest = manifest.id)""",
        (wanted,),
    )


def dead_parts(connection: sqlite3.Connection, after: int, limit: int) -> tuple[int | None, list[int]]:
    """Return the last id of a window of parts, and those in it that no live version names."""
    rows = connection.execute(
        """SELECT t.id, EXISTS (SELECT 1 FROM manifest_part p JOIN version v ON v.manifest = p.manifest
                                WHERE p.part = t.id AND v.deleted_at IS NULL)
           FROM part t WHERE t.id > ? ORDER BY t.id LIMIT ?""",
        (after, limit),
    ).fetchall()
    return (rows[-1][0] if rows else None), [key for key, live in rows if not live]


def delete_parts(connection: sqlite3.Connection, parts: Sequence[int]) -> int:
    """Drop the parts of these that no manifest names, with their entries, and return how many went."""
    wanted = json_array(parts)
    connection.execute(
        """DELETE FROM entry WHERE part IN (SELECT value FROM json_each(?))
           AND NOT EXISTS (SELECT 1 FROM manifest_part p WHERE p.part = entry.part)""",
        (wanted,),
    )
    return connection.execute(
        """DELETE FROM part WHERE id IN (SELECT value FROM json_each(?))
           AND NOT EXISTS (SELECT 1 FROM manifest_part p WHERE p.part = part.id)""",
        (wanted,),
    ).rowcount


def dead_blobs(connection: sqlite3.Connection, after: int, limit: int) -> tuple[int | None, list[DeadBlob]]:
    """Return the last id of a window of blobs, and those in it that no live version names."""
    rows = connection.execute(
        """SELECT b.id, b.digest, CASE WHEN EXISTS (SELECT 1 FROM absent o WHERE o.blob = b.id) THEN 0 ELSE b.size END,
                  EXISTS (SELECT 1 FROM entry e JOIN manifest_part p ON p.part = e.part
                          JOIN version v ON v.manifest = p.manifest
                          WHERE e.blob = b.id AND v.deleted_at IS NULL)
           FROM blob b WHERE b.id > ? ORDER BY b.id LIMIT ?""",
        (after, limit),
    ).fetchall()
    dead = [DeadBlob(key, _digest(digest), size) for key, digest, size, live in rows if not live]
    return (rows[-1][0] if rows else None), dead


def delete_blobs(connection: sqlite3.Connection, blobs: Sequence[int]) -> set[Digest]:
    """Drop those of these blobs that no entry names, bytes inside the file included; return their digests."""
    wanted = json_array(blobs)
    connection.execute(
        """DELETE FROM chunk WHERE blob IN (SELECT value FROM json_each(?))
           AND NOT EXISTS (SELECT 1 FROM entry e WHERE e.blob = chunk.blob)""",
        (wanted,),
    )
    connection.execute(
        """DELETE FROM absent WHERE blob IN (SELECT value FROM json_each(?))
           AND NOT EXISTS (SELECT 1 FROM entry e WHERE e.blob = absent.blob)""",
        (wanted,),
    )
    rows = connection.execute(
        """DELETE FROM blob WHERE id IN (SELECT value FROM json_each(?))
           AND NOT EXISTS (SELECT 1 FROM entry e WHERE e.blob = blob.id) RETURNING digest""",
        (wanted,),
    )
    return {_digest(digest) for (digest,) in rows}


def _digest(text: str) -> Digest:
    """Return a digest of a row, which is about to become a path: the CHECK of a forged file proves nothing."""
    try:
        return Digest.parse(text)
    except InvalidInputError as error:
        raise CorruptionError(f"a blob's row has the digest {text!r}; run verify") from error


def known_blobs(connection: sqlite3.Connection, digests: Iterable[str]) -> set[str]:
    """Return which of `digests` have a row."""
    rows = connection.execute(
        "SELECT digest FROM blob WHERE digest IN (SELECT value FROM json_each(?))", (json_array(digests),)
    )
    return {row[0] for row in rows}


def unused_environments(connection: sqlite3.Connection) -> list[int]:
    """Return the environments that no run names."""
    rows = connection.execute(
        "SELECT id FROM environment e WHERE NOT EXISTS (SELECT 1 FROM run r WHERE r.environment = e.id)"
    )
    return [row[0] for row in rows]


def delete_environments(connection: sqlite3.Connection, environments: Sequence[int]) -> int:
    """Drop those of these environments that no run names, and return how many went."""
    return connection.execute(
        """DELETE FROM environment WHERE id IN (SELECT value FROM json_each(?))
           AND NOT EXISTS (SELECT 1 FROM run r WHERE r.environment = environment.id)""",
        (json_array(environments),),
    ).rowcount


def has_own(connection: sqlite3.Connection, uid: str) -> bool:
    """Whether there is a version of this uid, deleted or not, that is this project's."""
    row = connection.execute(
        "SELECT 1 FROM version v JOIN artifact a ON a.id = v.artifact WHERE v.uid = ? AND a.project IS NULL", (uid,)
    ).fetchone()
    return row is not None


def uid_of(connection: sqlite3.Connection, version: int) -> str:
    """Return a version's uid."""
    row = connection.execute("SELECT uid FROM version WHERE id = ?", (version,)).fetchone()
    return str(row[0])


def last_version(connection: sqlite3.Connection) -> int:
    """Return the highest key of any version; 0 if there is none."""
    return int(connection.execute("SELECT coalesce(max(id), 0) FROM version").fetchone()[0])


def newest_own(connection: sqlite3.Connection) -> str | None:
    """Return the uid of the version that came last and is this project's."""
    row = connection.execute(
        """SELECT v.uid FROM version v JOIN artifact a ON a.id = v.artifact
           WHERE a.project IS NULL ORDER BY v.id DESC LIMIT 1"""
    ).fetchone()
    return None if row is None else str(row[0])


def last_deleted(connection: sqlite3.Connection) -> str | None:
    """Return the uid of a version of this project that is deleted: the last one, as far as clocks tell."""
    row = connection.execute(
        """SELECT v.uid FROM version v JOIN artifact a ON a.id = v.artifact
           WHERE a.project IS NULL AND v.deleted_at IS NOT NULL ORDER BY v.deleted_at DESC, v.id DESC LIMIT 1"""
    ).fetchone()
    return None if row is None else str(row[0])


def is_live(connection: sqlite3.Connection, uid: str) -> bool:
    """Whether the version of this uid is there and not deleted."""
    row = connection.execute("SELECT 1 FROM version WHERE uid = ? AND deleted_at IS NULL", (uid,)).fetchone()
    return row is not None


def newest_beside(connection: sqlite3.Connection, uid: str, limit: int) -> list[Digest]:
    """Return the digests of the newest blobs beside the project that live versions after that of this uid name.

    A link brings none: those of what it stands for may be of long ago.
    """
    (after,) = connection.execute("SELECT id FROM version WHERE uid = ?", (uid,)).fetchone()
    if last_version(connection) <= after:
        return []
    rows = connection.execute(
        """SELECT b.digest FROM blob b
           WHERE b.id NOT IN (SELECT blob FROM chunk) AND b.id NOT IN (SELECT blob FROM absent)
             AND EXISTS (SELECT 1 FROM entry e JOIN manifest_part p ON p.part = e.part
                         JOIN version v ON v.manifest = p.manifest
                         WHERE e.blob = b.id AND v.id > ? AND v.deleted_at IS NULL
                           AND v.id NOT IN (SELECT version FROM link))
           ORDER BY b.id DESC LIMIT ?""",
        (after, limit),
    )
    return [_digest(row[0]) for row in rows]
