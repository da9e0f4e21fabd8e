"""Statements over blobs, chunks, manifests, parts and entries."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from lineage.errors import CorruptionError, InvalidInputError
from lineage.jsondata import json_text, parse_object
from lineage.records import Entry, Location
from lineage.statements import json_array
from lineage.statements.portable import mark_present
from lineage.values import Digest, entry_path, shown


def insert_blobs(connection: sqlite3.Connection, blobs: Sequence[tuple[str, int]]) -> None:
    """Make rows for blobs (digest, size) whose bytes are here; of one that had been left out they are now."""
    connection.executemany("INSERT INTO blob (digest, size) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING", blobs)
    if connection.execute("SELECT 1 FROM absent LIMIT 1").fetchone():
        mark_present(connection, [digest for digest, _ in blobs])


def insert_chunks(connection: sqlite3.Connection, chunks: Iterable[tuple[bytes, str]]) -> None:
    """Put the bytes of small blobs (data, digest) into the file; bytes that are there stay."""
    connection.executemany(
        """INSERT INTO chunk (blob, seq, data) SELECT id, 0, ? FROM blob WHERE digest = ?
           ON CONFLICT (blob, seq) DO NOTHING""",
        chunks,
    )


def held_inside(connection: sqlite3.Connection, digests: Sequence[str]) -> set[str]:
    """Return which of `digests` have their bytes inside the file."""
    rows = connection.execute(
        """SELECT b.digest FROM blob b WHERE b.digest IN (SELECT value FROM json_each(?))
           AND EXISTS (SELECT 1 FROM chunk c WHERE c.blob = b.id)""",
        (json_array(digests),),
    )
    return {row[0] for row in rows}


def places_of(connection: sqlite3.Connection, digests: Sequence[str]) -> dict[str, tuple[int, bool, bool]]:
    """Return size, whether the bytes lie inside the file, and whether they were left out, of those that are blobs."""
    rows = connection.execute(
        """SELECT b.digest, b.size, EXISTS (SELECT 1 FROM chunk c WHERE c.blob = b.id),
                  EXISTS (SELECT 1 FROM absent o WHERE o.blob = b.id)
           FROM blob b WHERE b.digest IN (SELECT value FROM json_each(?))""",
        (json_array(digests),),
    )
    return {digest: (size, bool(inside), bool(absent)) for digest, size, inside, absent in rows}


def chunk_data(connection: sqlite3.Connection, digest: str) -> bytes | None:
    """Return a blob's bytes if they lie inside the file."""
    rows = connection.execute(
        "SELECT c.data FROM blob b JOIN chunk c ON c.blob = b.id WHERE b.digest = ? ORDER BY c.seq", (digest,)
    ).fetchall()
    return b"".join(row[0] for row in rows) if rows else None


def small_blobs(connection: sqlite3.Connection, digests: Sequence[str], limit: int) -> dict[str, bytes]:
    """Return the bytes of those blobs of at most `limit` bytes that lie inside the file."""
    rows = connection.execute(
        """SELECT b.digest, c.data FROM blob b JOIN chunk c ON c.blob = b.id
           WHERE b.digest IN (SELECT value FROM json_each(?)) AND b.size <= ? AND c.seq = 0""",
        (json_array(digests), limit),
    )
    return dict(rows.fetchall())


def place_inside(connection: sqlite3.Connection, digest: str) -> int | None:
    """Return the key of a blob that has bytes inside the file."""
    row = connection.execute(
        "SELECT id FROM blob b WHERE digest = ? AND EXISTS (SELECT 1 FROM chunk c WHERE c.blob = b.id)", (digest,)
    ).fetchone()
    return row[0] if row else None


def chunk_slice(connection: sqlite3.Connection, blob: int, seq: int, offset: int, length: int) -> bytes:
    """Return some bytes of one piece of a blob, none where the piece is not there; only those are read."""
    row = connection.execute("SELECT id FROM chunk WHERE blob = ? AND seq = ?", (blob, seq)).fetchone()
    if row is None:
        return b""
    with connection.blobopen("chunk", "data", row[0], readonly=True) as cell:
        if offset >= len(cell):
            return b""
        cell.seek(offset)
        return cell.read(length)


def chunks_from(connection: sqlite3.Connection, blob: int, seq: int, count: int) -> list[bytes]:
    """Return so many pieces of a blob, in their order."""
    rows = connection.execute(
        "SELECT data FROM chunk WHERE blob = ? AND seq >= ? AND seq < ? ORDER BY seq", (blob, seq, seq + count)
    )
    return [row[0] for row in rows]


def delete_chunks(connection: sqlite3.Connection, digest: str) -> None:
    """Drop a blob's bytes from the file."""
    connection.execute("DELETE FROM chunk WHERE blob = (SELECT id FROM blob WHERE digest = ?)", (digest,))


def manifest_id(connection: sqlite3.Connection, digest: str) -> int | None:
    """Return the manifest with this digest, if its parts are there too (``gc`` takes those of deleted versions)."""
    row = connection.execute(
        """SELECT m.id FROM manifest m WHERE m.digest = ?
           AND (m.file_count = 0 OR EXISTS (SELECT 1 FROM manifest_part p WHERE p.manifest = m.id))""",
        (digest,),
    ).fetchone()
    return row[0] if row else None


def put_manifest(connection: sqlite3.Connection, digest: str, file_count: int, size: int) -> int:
    """Return the id of the manifest with this digest, made if it is new."""
    connection.execute(
        "INSERT INTO manifest (digest, file_count, size) VALUES (?, ?, ?) ON CONFLICT (digest) DO NOTHING",
        (digest, file_count, size),
    )
    (key,) = connection.execute("SELECT id FROM manifest WHERE digest = ?", (digest,)).fetchone()
    return int(key)


def put_manifest_parts(connection: sqlite3.Connection, manifest: int, parts: Sequence[str]) -> None:
    """Write which parts, by digest and in order, make a manifest."""
    connection.executemany(
        """INSERT INTO manifest_part (manifest, seq, part) SELECT ?, ?, id FROM part WHERE digest = ?
           ON CONFLICT (manifest, seq) DO NOTHING""",
        [(manifest, seq, digest) for seq, digest in enumerate(parts)],
    )


def known_parts(connection: sqlite3.Connection, digests: Sequence[str]) -> set[str]:
    """Return which of `digests` are parts already."""
    rows = connection.execute(
        "SELECT digest FROM part WHERE digest IN (SELECT value FROM json_each(?))", (json_array(digests),)
    )
    return {row[0] for row in rows}


def insert_part(connection: sqlite3.Connection, digest: str, entries: Iterable[Entry]) -> None:
    """Write a part and its entries; one that is there stays."""
    row = connection.execute(
        "INSERT INTO part (digest) VALUES (?) ON CONFLICT (digest) DO NOTHING RETURNING id", (digest,)
    ).fetchone()
    if row is None:
        return
    connection.executemany(
        """INSERT INTO entry (part, path, blob, uri, uri_digest, uri_size, extra)
           VALUES (?, ?, (SELECT id FROM blob WHERE digest = ?), ?, ?, ?, ?)""",
        [(row[0], *_entry_columns(entry)) for entry in entries],
    )


def _entry_columns(entry: Entry) -> tuple[object, ...]:
    extra = json_text(dict(entry.extra)) if entry.extra else None
    if entry.stored:
        return entry.path, entry.digest, entry.uri, None, None, extra
    return entry.path, None, entry.uri, entry.digest, entry.size, extra


def entries_after(
    connection: sqlite3.Connection, version: int, place: int, parts: int, *, origin: bool = True
) -> tuple[list[Entry], int | None]:
    """Return the entries of a live version in the order of their paths: of so many parts that come after a place.

    They say of which version they are unless told not to. With them comes the place to go on from, None at the end.
    """
    places = connection.execute(
        """SELECT p.seq FROM version v JOIN manifest_part p ON p.manifest = v.manifest
           WHERE v.id = ? AND v.deleted_at IS NULL AND p.seq > ? ORDER BY p.seq LIMIT ?""",
        (version, place, parts),
    ).fetchall()
    if not places:
        return [], None
    rows = connection.execute(
        """SELECT e.path, coalesce(b.digest, e.uri_digest), coalesce(b.size, e.uri_size), e.uri,
                  e.blob IS NOT NULL, e.extra, ?
           FROM version v JOIN manifest_part p ON p.manifest = v.manifest JOIN entry e ON e.part = p.part
           LEFT JOIN blob b ON b.id = e.blob
           WHERE v.id = ? AND p.seq BETWEEN ? AND ? ORDER BY p.seq, e.path""",
        (_origin(connection, version) if origin else None, version, places[0][0], places[-1][0]),
    )
    return [_entry(row) for row in rows], places[-1][0] if len(places) == parts else None


def _origin(connection: sqlite3.Connection, version: int) -> str | None:
    """Return the uid of the version that a version's entries are of: what a link points at, or itself."""
    row = connection.execute(
        """SELECT coalesce((SELECT s.uid FROM link k JOIN version s ON s.id = k.source WHERE k.version = v.id), v.uid)
           FROM version v WHERE v.id = ?""",
        (version,),
    ).fetchone()
    return row[0] if row else None


def entries_of_part(connection: sqlite3.Connection, part: int) -> list[Entry]:
    """Return the entries of a part in the order of their paths."""
    rows = connection.execute(
        """SELECT e.path, coalesce(b.digest, e.uri_digest), coalesce(b.size, e.uri_size), e.uri,
                  e.blob IS NOT NULL, e.extra, NULL
           FROM entry e LEFT JOIN blob b ON b.id = e.blob WHERE e.part = ? ORDER BY e.path""",
        (part,),
    )
    return [_entry(row) for row in rows]


def entry_at(connection: sqlite3.Connection, version: int, path: str) -> Entry | None:
    """Return one entry of a version."""
    row = connection.execute(
        """SELECT e.path, coalesce(b.digest, e.uri_digest), coalesce(b.size, e.uri_size), e.uri,
                  e.blob IS NOT NULL, e.extra, ?
           FROM version v JOIN manifest_part p ON p.manifest = v.manifest JOIN entry e ON e.part = p.part
           LEFT JOIN blob b ON b.id = e.blob
           WHERE v.id = ? AND v.deleted_at IS NULL AND e.path = ?""",
        (_origin(connection, version), version, path),
    ).fetchone()
    return _entry(row) if row else None


def _entry(row: tuple) -> Entry:  # type: ignore[type-arg]  # the STRICT table vouches for the columns' types
    """Return the entry of a row; the one gate through which paths come out of a project file.

    Digests are looked at where one becomes a path (:meth:`BlobFolder.path_of`).

    Raises:
        CorruptionError: Joined to a folder, the path would lead elsewhere: the file is damaged, or somebody forged it.
    """
    path, digest, size, uri, stored, extra, version = row
    try:
        sound = entry_path(path) == path
    except InvalidInputError as error:
        raise _forged(path) from error
    if not sound:
        raise _forged(path)
    return Entry(path, digest, size, uri, bool(stored), parse_object(extra) if extra else {}, version)


def _forged(path: object) -> CorruptionError:
    return CorruptionError(f"file {shown(path)} has a path that lineage never writes: run verify")


def changed_entries(connection: sqlite3.Connection, old: int, new: int) -> tuple[list[Entry], list[Entry]]:
    """Return the entries of two versions that lie in parts the other does not share: all that can differ."""
    return _entries_outside(connection, old, new), _entries_outside(connection, new, old)


def _entries_outside(connection: sqlite3.Connection, version: int, other: int) -> list[Entry]:
    rows = connection.execute(
        """SELECT e.path, coalesce(b.digest, e.uri_digest), coalesce(b.size, e.uri_size), e.uri,
                  e.blob IS NOT NULL, e.extra, ?
           FROM version v JOIN manifest_part p ON p.manifest = v.manifest JOIN entry e ON e.part = p.part
           LEFT JOIN blob b ON b.id = e.blob
           WHERE v.id = ? AND p.part NOT IN (SELECT q.part FROM manifest_part q JOIN version w
                                             ON w.manifest = q.manifest WHERE w.id = ?)
           ORDER BY p.seq, e.path""",
        (_origin(connection, version), version, other),
    )
    return [_entry(row) for row in rows]


def digests_from(connection: sqlite3.Connection, prefix: str) -> list[str]:
    """Return the digests of blobs that begin so, two at most."""
    rows = connection.execute(
        "SELECT digest FROM blob WHERE digest >= :prefix AND digest < :prefix || 'g' ORDER BY digest LIMIT 2",
        {"prefix": prefix},
    )
    return [row[0] for row in rows]


def locations(connection: sqlite3.Connection, digest: str) -> list[Location]:
    """Return where live versions hold given bytes; references to bytes elsewhere do not count."""
    rows = connection.execute(
        """SELECT a.name || ':v' || v.number, e.path, b.digest, b.size
           FROM blob b JOIN entry e ON e.blob = b.id JOIN manifest_part p ON p.part = e.part
           JOIN version v ON v.manifest = p.manifest JOIN artifact a ON a.id = v.artifact
           WHERE b.digest = ? AND v.deleted_at IS NULL ORDER BY a.name, v.number, e.path""",
        (digest,),
    )
    return [Location(*row) for row in rows]


def blobs_after(connection: sqlite3.Connection, digest: str, limit: int) -> list[tuple[Digest, int, bool]]:
    """Return digest, size and whether it lies inside, of the blobs next by digest; not of what was left out."""
    rows = connection.execute(
        """SELECT digest, size, EXISTS (SELECT 1 FROM chunk c WHERE c.blob = b.id) FROM blob b
           WHERE digest > ? AND b.id NOT IN (SELECT blob FROM absent) ORDER BY digest LIMIT ?""",
        (digest, limit),
    )
    return [(Digest(found), size, bool(inside)) for found, size, inside in rows]


def references_with(connection: sqlite3.Connection, digests: Sequence[str]) -> list[str]:
    """Return the live versions, as text, that name any of these blobs."""
    rows = connection.execute(
        """SELECT DISTINCT a.name || ':v' || v.number
           FROM blob b JOIN entry e ON e.blob = b.id JOIN manifest_part p ON p.part = e.part
           JOIN version v ON v.manifest = p.manifest JOIN artifact a ON a.id = v.artifact
           WHERE b.digest IN (SELECT value FROM json_each(?)) AND v.deleted_at IS NULL ORDER BY a.name, v.number""",
        (json_array(digests),),
    )
    return [row[0] for row in rows]


def manifests_after(connection: sqlite3.Connection, manifest: int, limit: int) -> list[tuple[int, str, int, int]]:
    """Return id, digest, file count and size of the manifests of live versions, next in the order of ids."""
    return connection.execute(
        """SELECT id, digest, file_count, size FROM manifest m WHERE id > ?
           AND EXISTS (SELECT 1 FROM version v WHERE v.manifest = m.id AND v.deleted_at IS NULL
                       AND NOT EXISTS (SELECT 1 FROM link k WHERE k.version = v.id))
           ORDER BY id LIMIT ?""",
        (manifest, limit),
    ).fetchall()


def references_of_manifest(connection: sqlite3.Connection, manifest: int) -> list[str]:
    """Return the live versions, as text, that have this manifest."""
    rows = connection.execute(
        """SELECT a.name || ':v' || v.number FROM version v JOIN artifact a ON a.id = v.artifact
           WHERE v.manifest = ? AND v.deleted_at IS NULL ORDER BY a.name, v.number""",
        (manifest,),
    )
    return [row[0] for row in rows]
