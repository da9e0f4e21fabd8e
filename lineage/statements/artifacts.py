"""Statements over artifacts, versions, aliases and tags."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

from lineage.errors import CorruptionError
from lineage.jsondata import JsonObject, json_text, parse_object
from lineage.records import AliasEvent, ArtifactRecord, OutsideUse, VersionRecord
from lineage.statements import all_there, json_array
from lineage.values import Digest

Row: TypeAlias = tuple[int, bool]
"""A version's id and whether it is deleted."""


class Origin(NamedTuple):
    """Another project: what it is called, and its uid."""

    name: str
    uid: str


def artifact_row(connection: sqlite3.Connection, name: str) -> tuple[int, str, str | None] | None:
    """Return id, type and deletion time of an artifact; one of another project is not deleted."""
    row: tuple[int, str, str | None] | None = connection.execute(
        "SELECT id, type, CASE WHEN project IS NULL THEN deleted_at END FROM artifact WHERE name = ?", (name,)
    ).fetchone()
    return row


def insert_artifact(  # noqa: PLR0913 (a row has these columns)
    connection: sqlite3.Connection, uid: str, name: str, type: str, at: str, *, origin: Origin | None = None
) -> int:
    """Make an artifact, of this project or of another, and return its id."""
    (key,) = connection.execute(
        """INSERT INTO artifact (uid, name, type, created_at, deleted_at, project, project_uid)
           VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id""",
        (uid, name, type, at, None if origin is None else at, *(origin or (None, None))),
    ).fetchone()
    return int(key)


def project_uid(connection: sqlite3.Connection) -> str:
    """Return the uid of the project.

    Raises:
        CorruptionError: The row it stands in is lost.
    """
    row = connection.execute("SELECT uid FROM project").fetchone()
    if row is None:
        raise CorruptionError("the project file has lost the row about itself; restore it from a copy")
    return str(row[0])


def origin(connection: sqlite3.Connection, artifact: str) -> Origin | None:
    """Return the other project that an artifact belongs to; None for one of our own."""
    row = connection.execute(
        "SELECT project, project_uid FROM artifact WHERE name = ? AND project IS NOT NULL", (artifact,)
    ).fetchone()
    return Origin(*row) if row else None


def is_taken_by_another(connection: sqlite3.Connection, origin: Origin) -> bool:
    """Whether artifacts of yet another project are known by the name of this one."""
    row = connection.execute(
        "SELECT 1 FROM artifact WHERE project = ? AND project_uid <> ? LIMIT 1", (origin.name, origin.uid)
    ).fetchone()
    return row is not None


def revive_artifact(connection: sqlite3.Connection, artifact: int) -> None:
    """Take a deleted name into use again; its numbers go on, and its type stays: its versions are in the lineage."""
    connection.execute("UPDATE artifact SET deleted_at = NULL WHERE id = ?", (artifact,))


def touch_artifact(connection: sqlite3.Connection, artifact: int, at: str) -> None:
    """Note when the words about an artifact were edited."""
    connection.execute("UPDATE artifact SET edited_at = ? WHERE id = ?", (at, artifact))


def update_artifact_description(connection: sqlite3.Connection, artifact: int, description: str | None) -> None:
    """Set the words about an artifact."""
    connection.execute("UPDATE artifact SET description = ? WHERE id = ?", (description, artifact))


def update_artifact_type(connection: sqlite3.Connection, artifact: int, type: str) -> None:
    """Set what an artifact is."""
    connection.execute("UPDATE artifact SET type = ? WHERE id = ?", (type, artifact))


def rename_artifact(connection: sqlite3.Connection, artifact: int, name: str) -> None:
    """Give an artifact another name."""
    connection.execute("UPDATE artifact SET name = ? WHERE id = ?", (name, artifact))


def mark_artifact_deleted(connection: sqlite3.Connection, artifact: int, at: str) -> None:
    """Mark an artifact deleted; its row stays for the versions' sake."""
    connection.execute("UPDATE artifact SET deleted_at = ? WHERE id = ?", (at, artifact))


def artifact_records(connection: sqlite3.Connection, ids: Sequence[int]) -> list[ArtifactRecord]:
    """Return the records of artifacts, in the order of `ids`."""
    rows = connection.execute(
        """SELECT a.id, a.uid, a.name, a.type, a.description,
                  (SELECT count(*) FROM version v
                   WHERE v.artifact = a.id AND (v.deleted_at IS NULL OR a.project IS NOT NULL)),
                  a.created_at, CASE WHEN a.project IS NULL THEN a.deleted_at END, a.project,
                  EXISTS (SELECT 1 FROM version v JOIN link k ON k.version = v.id WHERE v.artifact = a.id)
           FROM json_each(?) wanted JOIN artifact a ON a.id = wanted.value ORDER BY wanted.key""",
        (json_array(ids),),
    )
    return [ArtifactRecord(*(*row, bool(collection))) for *row, collection in rows]


def take_number(connection: sqlite3.Connection, artifact: int) -> int:
    """Return the artifact's next version number and count on: numbers are never given twice."""
    (number,) = connection.execute(
        "UPDATE artifact SET next_number = next_number + 1 WHERE id = ? RETURNING next_number - 1", (artifact,)
    ).fetchone()
    return int(number)


def insert_version(  # noqa: PLR0913 (a row has these columns)
    connection: sqlite3.Connection,
    *,
    uid: str,
    artifact: int,
    number: int,
    manifest: int,
    description: str | None,
    metadata: JsonObject,
    step: int | None,
    at: str,
    ttl: int | None = None,
    foreign: bool = False,
) -> int:
    """Make a version and return its id; of a foreign one the content is not here."""
    (key,) = connection.execute(
        """INSERT INTO version (uid, artifact, number, manifest, description, metadata, step, created_at, ttl,
                                deleted_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id""",
        (uid, artifact, number, manifest, description, json_text(metadata), step, at, ttl, at if foreign else None),
    ).fetchone()
    return int(key)


def manifest_of(connection: sqlite3.Connection, version: int) -> int:
    """Return the manifest of a version."""
    (key,) = connection.execute("SELECT manifest FROM version WHERE id = ?", (version,)).fetchone()
    return int(key)


def insert_link(connection: sqlite3.Connection, version: int, source: int) -> None:
    """Let a version stand for another one."""
    connection.execute("INSERT INTO link (version, source) VALUES (?, ?)", (version, source))


def linked_version(connection: sqlite3.Connection, version: int) -> int | None:
    """Return the version that a link stands for; None if it is no link."""
    row = connection.execute("SELECT source FROM link WHERE version = ?", (version,)).fetchone()
    return row[0] if row else None


def is_collection(connection: sqlite3.Connection, artifact: int) -> bool:
    """Whether an artifact holds links, and so nothing else; also where all of them were removed."""
    row = connection.execute(
        "SELECT 1 FROM link k JOIN version v ON v.id = k.version WHERE v.artifact = ? LIMIT 1", (artifact,)
    ).fetchone()
    return row is not None


def links_to(connection: sqlite3.Connection, source: int) -> list[int]:
    """Return the live links that stand for a version."""
    rows = connection.execute(
        """SELECT v.id FROM link k JOIN version v ON v.id = k.version
           WHERE k.source = ? AND v.deleted_at IS NULL ORDER BY v.id""",
        (source,),
    )
    return [row[0] for row in rows]


def link_in(connection: sqlite3.Connection, artifact: int, source: int) -> int | None:
    """Return the live link of a collection that stands for a version."""
    row = connection.execute(
        """SELECT v.id FROM link k JOIN version v ON v.id = k.version
           WHERE k.source = ? AND v.artifact = ? AND v.deleted_at IS NULL""",
        (source, artifact),
    ).fetchone()
    return row[0] if row else None


def version_with_content(connection: sqlite3.Connection, artifact: int, digest: str) -> int | None:
    """Return the newest live version of the artifact that has this content."""
    row = connection.execute(
        """SELECT v.id FROM manifest m JOIN version v ON v.manifest = m.id AND v.artifact = ?
           WHERE m.digest = ? AND v.deleted_at IS NULL ORDER BY v.number DESC LIMIT 1""",
        (artifact, digest),
    ).fetchone()
    return row[0] if row else None


def version_by_number(connection: sqlite3.Connection, name: str, number: int) -> Row | None:
    """Return the version ``name:vN``, also a deleted one."""
    row = connection.execute(
        """SELECT v.id, v.deleted_at IS NOT NULL AND a.project IS NULL
           FROM version v JOIN artifact a ON a.id = v.artifact WHERE a.name = ? AND v.number = ?""",
        (name, number),
    ).fetchone()
    return (row[0], bool(row[1])) if row else None


def version_by_alias(connection: sqlite3.Connection, name: str, alias: str) -> int | None:
    """Return the version an alias names now."""
    row = connection.execute(
        "SELECT l.version FROM alias l JOIN artifact a ON a.id = l.artifact WHERE a.name = ? AND l.name = ?",
        (name, alias),
    ).fetchone()
    return row[0] if row else None


def version_by_alias_at(connection: sqlite3.Connection, name: str, alias: str, at: str) -> Row | None:
    """Return the version an alias named at a time, also one deleted since."""
    row = connection.execute(
        """SELECT h.to_version, v.deleted_at IS NOT NULL AND a.project IS NULL
           FROM alias_event h JOIN artifact a ON a.id = h.artifact LEFT JOIN version v ON v.id = h.to_version
           WHERE a.name = ? AND h.name = ? AND h.at <= ? ORDER BY h.id DESC LIMIT 1""",
        (name, alias, at),
    ).fetchone()
    return (row[0], bool(row[1])) if row and row[0] is not None else None


def versions_by_digest(connection: sqlite3.Connection, name: str, prefix: str) -> list[tuple[int, str, bool]]:
    """Return id, digest and deletion of the versions whose digest begins with `prefix`, live and newest first."""
    rows = connection.execute(
        """SELECT v.id, m.digest, v.deleted_at IS NOT NULL AND a.project IS NULL
           FROM manifest m JOIN version v ON v.manifest = m.id JOIN artifact a ON a.id = v.artifact
           WHERE m.digest >= ? AND m.digest < ? AND a.name = ? ORDER BY v.deleted_at IS NOT NULL, v.number DESC""",
        (prefix, prefix + "g", name),
    )
    return [(key, digest, bool(deleted)) for key, digest, deleted in rows]


def version_by_uid(connection: sqlite3.Connection, uid: str) -> int | None:
    """Return the version with this uid."""
    row = connection.execute("SELECT id FROM version WHERE uid = ?", (uid,)).fetchone()
    return row[0] if row else None


def live_versions(connection: sqlite3.Connection, artifact: int) -> list[int]:
    """Return the artifact's live versions by number."""
    rows = connection.execute(
        "SELECT id FROM version WHERE artifact = ? AND deleted_at IS NULL ORDER BY number", (artifact,)
    )
    return [row[0] for row in rows]


def version_records(connection: sqlite3.Connection, ids: Sequence[int]) -> list[VersionRecord]:
    """Return the records of versions, in the order of `ids`; a link has the words and tags of what it stands for.

    Raises:
        CorruptionError: One of them is not there.
    """
    return all_there(_version_records(connection, ids), len(ids), "an edge, a link or an alias names a version")


def version_record(connection: sqlite3.Connection, key: int) -> VersionRecord | None:
    """Return the record of a version; None if there is none, as after a batch that was undone."""
    return next(iter(_version_records(connection, [key])), None)


def _version_records(connection: sqlite3.Connection, ids: Sequence[int]) -> list[VersionRecord]:
    rows = connection.execute(
        """SELECT v.id, v.uid, a.name, a.type, v.number, m.digest, m.file_count, m.size, s.description, s.metadata,
                  (SELECT json_group_array(l.name) FROM alias l WHERE l.version = v.id),
                  (SELECT json_group_array(l.name) FROM alias l WHERE l.version = v.id AND l.protected = 1),
                  (SELECT json_group_array(t.tag) FROM version_tag t WHERE t.version = s.id),
                  s.step, v.created_at, CASE WHEN a.project IS NULL THEN v.deleted_at END, s.ttl, sa.project,
                  CASE WHEN s.id <> v.id THEN sa.name || ':v' || s.number END, s.id
           FROM json_each(?) wanted JOIN version v ON v.id = wanted.value
           LEFT JOIN link k ON k.version = v.id JOIN version s ON s.id = coalesce(k.source, v.id)
           JOIN artifact a ON a.id = v.artifact JOIN artifact sa ON sa.id = s.artifact
           JOIN manifest m ON m.id = v.manifest
           ORDER BY wanted.key""",
        (json_array(ids),),
    )
    return [_version_record(row) for row in rows]


def _version_record(row: tuple[object, ...]) -> VersionRecord:
    key, uid, name, type_, number, digest, count, size, description, metadata, aliases, held, tags, step, *rest = row
    return VersionRecord(
        key,  # type: ignore[arg-type]  # the STRICT table vouches for the columns' types
        uid,  # type: ignore[arg-type]
        name,  # type: ignore[arg-type]
        type_,  # type: ignore[arg-type]
        number,  # type: ignore[arg-type]
        Digest(digest),
        count,  # type: ignore[arg-type]
        size,  # type: ignore[arg-type]
        description,  # type: ignore[arg-type]
        parse_object(str(metadata)),
        tuple(sorted(json.loads(str(aliases)))),
        tuple(sorted(json.loads(str(held)))),
        tuple(sorted(json.loads(str(tags)))),
        step,  # type: ignore[arg-type]
        *rest,  # type: ignore[arg-type]
    )


def touch_version(connection: sqlite3.Connection, version: int, at: str) -> None:
    """Note when the words about a version were edited."""
    connection.execute("UPDATE version SET edited_at = ? WHERE id = ?", (at, version))


def update_version_description(connection: sqlite3.Connection, version: int, description: str | None) -> None:
    """Set the words about a version."""
    connection.execute("UPDATE version SET description = ? WHERE id = ?", (description, version))


def update_version_metadata(connection: sqlite3.Connection, version: int, metadata: JsonObject) -> None:
    """Set a version's metadata."""
    connection.execute("UPDATE version SET metadata = ? WHERE id = ?", (json_text(metadata), version))


def update_version_ttl(connection: sqlite3.Connection, version: int, ttl: int | None) -> None:
    """Set how many seconds a version is to live; None is for good."""
    connection.execute("UPDATE version SET ttl = ? WHERE id = ?", (ttl, version))


def mark_version_deleted(connection: sqlite3.Connection, version: int, at: str) -> None:
    """Mark a version deleted; its row and its edges stay, ``gc`` takes its entries."""
    connection.execute("UPDATE version SET deleted_at = ? WHERE id = ?", (at, version))


def add_version_tags(connection: sqlite3.Connection, version: int, tags: Iterable[str]) -> None:
    """Put tags on a version; one that is there stays."""
    connection.executemany(
        "INSERT INTO version_tag (version, tag) VALUES (?, ?) ON CONFLICT DO NOTHING", [(version, tag) for tag in tags]
    )


def clear_version_tags(connection: sqlite3.Connection, version: int) -> None:
    """Take every tag off a version."""
    connection.execute("DELETE FROM version_tag WHERE version = ?", (version,))


def alias_row(connection: sqlite3.Connection, artifact: int, alias: str) -> tuple[int, bool] | None:
    """Return the version an alias names and whether it is protected."""
    row = connection.execute(
        "SELECT version, protected FROM alias WHERE artifact = ? AND name = ?", (artifact, alias)
    ).fetchone()
    return (row[0], bool(row[1])) if row else None


def alias_names(connection: sqlite3.Connection, artifact: int, limit: int) -> list[str]:
    """Return the aliases of an artifact by name, at most so many."""
    rows = connection.execute("SELECT name FROM alias WHERE artifact = ? ORDER BY name LIMIT ?", (artifact, limit))
    return [row[0] for row in rows]


def insert_outside_use(connection: sqlite3.Connection, version: int, use: OutsideUse) -> bool:
    """Note what another project does with a version, and return whether that is new."""
    cursor = connection.execute(
        """INSERT INTO outside_use (version, kind, project_uid, project, node, at) VALUES (?, ?, ?, ?, ?, ?)
           ON CONFLICT DO NOTHING""",
        (version, use.kind, use.project_uid, use.project, use.node, use.at),
    )
    return cursor.rowcount > 0


def delete_outside_use(connection: sqlite3.Connection, version: int, use: OutsideUse) -> None:
    """Take such a note back; nothing happens if there is none."""
    connection.execute(
        "DELETE FROM outside_use WHERE version = ? AND kind = ? AND project_uid = ? AND node = ?",
        (version, use.kind, use.project_uid, use.node),
    )


def outside_uses(connection: sqlite3.Connection, version: int) -> list[OutsideUse]:
    """Return what other projects do with a version, oldest first."""
    rows = connection.execute(
        """SELECT kind, project, node, at, project_uid FROM outside_use WHERE version = ?
           ORDER BY at, kind, project, node""",
        (version,),
    )
    return [OutsideUse(*row) for row in rows]


def outside_links_of(connection: sqlite3.Connection, versions: Iterable[int]) -> list[str]:
    """Return the collections of other projects that link to any of these versions, as ``project/name``."""
    rows = connection.execute(
        """SELECT DISTINCT u.project || '/' || u.node FROM json_each(?) wanted
           JOIN outside_use u ON u.version = wanted.value AND u.kind = 'linked' ORDER BY 1""",
        (json_array(versions),),
    )
    return [row[0] for row in rows]


def aliases_of(connection: sqlite3.Connection, version: int) -> list[tuple[str, bool]]:
    """Return the aliases that name a version and whether each is protected."""
    rows = connection.execute("SELECT name, protected FROM alias WHERE version = ? ORDER BY name", (version,))
    return [(name, bool(protected)) for name, protected in rows]


def put_alias(connection: sqlite3.Connection, artifact: int, alias: str, version: int, *, protected: bool) -> None:
    """Make an alias name a version."""
    connection.execute(
        """INSERT INTO alias (artifact, name, version, protected) VALUES (?, ?, ?, ?)
           ON CONFLICT (artifact, name) DO UPDATE SET version = excluded.version, protected = excluded.protected""",
        (artifact, alias, version, int(protected)),
    )


def delete_alias(connection: sqlite3.Connection, artifact: int, alias: str) -> None:
    """Remove an alias."""
    connection.execute("DELETE FROM alias WHERE artifact = ? AND name = ?", (artifact, alias))


def insert_alias_event(  # noqa: PLR0913 (a row has these columns)
    connection: sqlite3.Connection,
    *,
    artifact: int,
    alias: str,
    moved_from: int | None,
    moved_to: int | None,
    at: str,
    user: str | None,
    run: int | None,
) -> None:
    """Append one move to an alias's history."""
    connection.execute(
        """INSERT INTO alias_event (artifact, name, from_version, to_version, at, user, run)
           VALUES (?, ?, ?, ?, ?, ?, ?)""",
        (artifact, alias, moved_from, moved_to, at, user, run),
    )


def alias_events(connection: sqlite3.Connection, artifact: int, alias: str | None) -> list[AliasEvent]:
    """Return the moves of one alias, or of all of the artifact's, oldest first."""
    rows = connection.execute(
        """SELECT h.name, a.name || ':v' || f.number, a.name || ':v' || t.number, h.at, h.user, r.uid
           FROM alias_event h JOIN artifact a ON a.id = h.artifact
           LEFT JOIN version f ON f.id = h.from_version LEFT JOIN version t ON t.id = h.to_version
           LEFT JOIN run r ON r.id = h.run
           WHERE h.artifact = :artifact AND (:alias IS NULL OR h.name = :alias) ORDER BY h.id""",
        {"artifact": artifact, "alias": alias},
    )
    return [AliasEvent(*row) for row in rows]
