"""Statements of ``verify`` and ``repair``: what contradicts itself."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lineage.jsondata import parse_object
from lineage.records import Entry
from lineage.statements import json_array


class Numbering(NamedTuple):
    """An artifact and the version numbers it has."""

    artifact: int
    name: str
    next_number: int
    versions: int
    highest: int | None


class Misplaced(NamedTuple):
    """An alias that names a deleted version, or one of another artifact."""

    artifact: int
    name: str
    alias: str
    target: str
    elsewhere: bool


class OutOfStep(NamedTuple):
    """An alias whose history ends elsewhere than where it points; None stands for no version."""

    artifact: int
    name: str
    alias: str
    version: int | None
    noted: int | None


def integrity_check(connection: sqlite3.Connection) -> list[str]:
    """Return what SQLite finds wrong with the file, nothing if it is sound."""
    return [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]


def foreign_key_violations(connection: sqlite3.Connection) -> Counter[tuple[str, str]]:
    """Return how many rows of one table name a row of another that is not there."""
    rows = connection.execute("PRAGMA foreign_key_check")
    return Counter((table, parent) for table, _, parent, _ in rows)


def live_counts(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """Return how many runs, artifacts and versions are not deleted."""
    row: tuple[int, int, int] = connection.execute(
        """SELECT (SELECT count(*) FROM run WHERE deleted_at IS NULL),
                  (SELECT count(*) FROM artifact WHERE deleted_at IS NULL),
                  (SELECT count(*) FROM version WHERE deleted_at IS NULL)"""
    ).fetchone()
    return row


def wrong_numberings(connection: sqlite3.Connection) -> list[Numbering]:
    """Return this project's artifacts whose versions are not numbered 0 to next_number - 1; deleted ones count.

    Of a part of a project, some may have been left out.
    """
    rows = connection.execute(
        """SELECT a.id, a.name, a.next_number, count(v.id), max(v.number)
           FROM artifact a LEFT JOIN version v ON v.artifact = a.id WHERE a.project IS NULL
           GROUP BY a.id, a.name, a.next_number
           HAVING CASE WHEN (SELECT partial FROM project) THEN max(v.number) >= a.next_number
                  ELSE count(v.id) <> a.next_number OR coalesce(max(v.number) + 1, 0) <> a.next_number END
           ORDER BY a.name"""
    )
    return [Numbering(*row) for row in rows]


def numbers(connection: sqlite3.Connection, artifact: int) -> list[int]:
    """Return the version numbers of an artifact in order, those of deleted versions too."""
    rows = connection.execute("SELECT number FROM version WHERE artifact = ? ORDER BY number", (artifact,))
    return [row[0] for row in rows]


def set_next_number(connection: sqlite3.Connection, artifact: int, number: int) -> None:
    """Set the number that an artifact's next version gets."""
    connection.execute("UPDATE artifact SET next_number = ? WHERE id = ?", (number, artifact))


def uids(connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Yield what it is and its uid, for the project, every artifact and every version."""
    yield from connection.execute(
        """SELECT 'project', uid FROM project UNION ALL SELECT 'artifact ' || name, uid FROM artifact
           UNION ALL SELECT a.name || ':v' || v.number, v.uid FROM version v JOIN artifact a ON a.id = v.artifact"""
    )


def names(connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Yield what it is and its name: artifacts, runs by their id, aliases."""
    yield from connection.execute(
        """SELECT 'artifact', name FROM artifact UNION ALL SELECT 'run', uid FROM run
           UNION ALL SELECT DISTINCT 'alias', name FROM alias"""
    )


def versions_left_behind(connection: sqlite3.Connection) -> list[str]:
    """Return the live versions of deleted artifacts."""
    rows = connection.execute(
        """SELECT a.name || ':v' || v.number FROM version v JOIN artifact a ON a.id = v.artifact
           WHERE v.deleted_at IS NULL AND a.deleted_at IS NOT NULL ORDER BY a.name, v.number"""
    )
    return [row[0] for row in rows]


def misplaced_aliases(connection: sqlite3.Connection) -> list[Misplaced]:
    """Return the aliases that name a deleted version or one of another artifact."""
    rows = connection.execute(
        """SELECT l.artifact, a.name, l.name, w.name || ':v' || v.number, v.artifact <> l.artifact
           FROM alias l JOIN artifact a ON a.id = l.artifact JOIN version v ON v.id = l.version
           JOIN artifact w ON w.id = v.artifact
           WHERE v.artifact <> l.artifact OR v.deleted_at IS NOT NULL ORDER BY a.name, l.name"""
    )
    return [Misplaced(artifact, name, alias, target, bool(other)) for artifact, name, alias, target, other in rows]


def artifacts_without_latest(connection: sqlite3.Connection) -> list[tuple[int, str]]:
    """Return id and name of the artifacts with live versions none of which ``latest`` names."""
    return connection.execute(
        """SELECT a.id, a.name FROM artifact a
           WHERE EXISTS (SELECT 1 FROM version v WHERE v.artifact = a.id AND v.deleted_at IS NULL)
             AND NOT EXISTS (SELECT 1 FROM alias l WHERE l.artifact = a.id AND l.name = 'latest') ORDER BY a.name"""
    ).fetchall()


def aliases_out_of_step(connection: sqlite3.Connection) -> list[OutOfStep]:
    """Return the aliases whose last event names another version than they do."""
    rows = connection.execute(
        """SELECT a.id, a.name, n.name, l.version, h.to_version
           FROM (SELECT artifact, name, max(id) AS last FROM
                   (SELECT artifact, name, id FROM alias_event UNION ALL SELECT artifact, name, NULL FROM alias) known
                 GROUP BY artifact, name) n
           JOIN artifact a ON a.id = n.artifact
           LEFT JOIN alias l ON l.artifact = n.artifact AND l.name = n.name
           LEFT JOIN alias_event h ON h.id = n.last
           WHERE coalesce(l.version, -1) <> coalesce(h.to_version, -1) ORDER BY a.name, n.name"""
    )
    return [OutOfStep(*row) for row in rows]


def wrong_links(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Return reference and fault of the links, and of what lies among links, that break a rule of the format."""
    return connection.execute(
        """WITH named (id, artifact, manifest, gone, reference) AS (
             SELECT v.id, v.artifact, v.manifest, v.deleted_at IS NOT NULL AND a.project IS NULL,
                    a.name || ':v' || v.number
             FROM version v JOIN artifact a ON a.id = v.artifact)
           SELECT n.reference, 'stands for ' || s.reference || ', which is deleted'
             FROM link k JOIN named n ON n.id = k.version JOIN named s ON s.id = k.source WHERE s.gone AND NOT n.gone
           UNION ALL SELECT n.reference, 'has other content than ' || s.reference || ', which it stands for'
             FROM link k JOIN named n ON n.id = k.version JOIN named s ON s.id = k.source WHERE s.manifest <> n.manifest
           UNION ALL SELECT n.reference, 'stands for ' || s.reference || ', which is a link'
             FROM link k JOIN named n ON n.id = k.version JOIN named s ON s.id = k.source
             WHERE k.source IN (SELECT version FROM link)
           UNION ALL SELECT n.reference, 'is no link, but lies in a collection'
             FROM named n WHERE n.id NOT IN (SELECT version FROM link)
             AND n.artifact IN (SELECT v.artifact FROM link k JOIN version v ON v.id = k.version)
           UNION ALL SELECT n.reference, 'is a link, and has an edge of its own'
             FROM named n WHERE n.id IN (SELECT version FROM link)
             AND n.id IN (SELECT version FROM consumed UNION SELECT version FROM produced
                          UNION SELECT version FROM reproduced)
           ORDER BY 1, 2"""
    ).fetchall()


def wrong_foreign_versions(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Return reference and fault of the versions of other projects that are more here than a place in the graph."""
    return connection.execute(
        """SELECT a.name || ':v' || v.number,
                  CASE WHEN v.deleted_at IS NULL THEN 'has content here'
                       WHEN EXISTS (SELECT 1 FROM link k WHERE k.version = v.id) THEN 'is a link'
                       ELSE 'has a producer here' END
           FROM version v JOIN artifact a ON a.id = v.artifact
           WHERE a.project IS NOT NULL AND (v.deleted_at IS NULL
             OR EXISTS (SELECT 1 FROM link k WHERE k.version = v.id)
             OR EXISTS (SELECT 1 FROM produced p WHERE p.version = v.id)) ORDER BY a.name, v.number"""
    ).fetchall()


def documents(connection: sqlite3.Connection) -> Iterator[tuple[str, str, str]]:
    """Yield whose it is, which column, and the text, of every JSON object."""
    yield from connection.execute(
        """SELECT 'run ' || uid, 'config', config FROM run
           UNION ALL SELECT 'run ' || uid, 'summary', summary FROM run
           UNION ALL SELECT 'run ' || uid, 'code', code FROM run
           UNION ALL SELECT a.name || ':v' || v.number, 'metadata', v.metadata
             FROM version v JOIN artifact a ON a.id = v.artifact
           UNION ALL SELECT 'run ' || r.uid, 'metadata of what it reproduced', p.metadata
             FROM reproduced p JOIN run r ON r.id = p.run
           UNION ALL SELECT 'environment ' || digest, 'document', document FROM environment"""
    )


def broken_metrics(connection: sqlite3.Connection) -> list[tuple[str, str, int]]:
    """Return run, name and step of the metrics whose document is not JSON."""
    return connection.execute(
        """SELECT r.uid, m.name, m.step FROM metric m JOIN run r ON r.id = m.run
           WHERE m.document IS NOT NULL AND NOT json_valid(m.document) ORDER BY r.uid, m.name, m.step"""
    ).fetchall()


def parts_after(
    connection: sqlite3.Connection, after: int, limit: int
) -> list[tuple[int, str, list[tuple[object, ...]]]]:
    """Return id, digest and the columns of the entries, of the parts next in the order of ids."""
    parts = connection.execute(
        "SELECT id, digest FROM part WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
    ).fetchall()
    found: dict[int, tuple[int, str, list[tuple[object, ...]]]] = {key: (key, digest, []) for key, digest in parts}
    rows = connection.execute(
        """SELECT e.part, e.path, coalesce(b.digest, e.uri_digest), coalesce(b.size, e.uri_size), e.uri,
                  e.blob IS NOT NULL, e.extra
           FROM json_each(?) n JOIN entry e ON e.part = n.value LEFT JOIN blob b ON b.id = e.blob
           ORDER BY e.part, e.path""",
        (json_array(found),),
    )
    for key, *columns in rows:
        found[key][2].append(tuple(columns))
    return list(found.values())


def entry_of(columns: tuple) -> Entry:  # type: ignore[type-arg]  # whatever a damaged row holds
    """Return the entry of a row of :func:`parts_after` or :func:`entries_between`."""
    path, digest, size, uri, stored, extra = columns
    return Entry(path, digest, size, uri, bool(stored), parse_object(extra) if extra else {})


def entries_between(connection: sqlite3.Connection, manifest: int, first: int, last: int) -> list[tuple[object, ...]]:
    """Return the columns of a manifest's entries, in the order of its parts, of some neighbouring parts."""
    return connection.execute(
        """SELECT e.path, coalesce(b.digest, e.uri_digest), coalesce(b.size, e.uri_size), e.uri,
                  e.blob IS NOT NULL, e.extra
           FROM manifest_part p JOIN entry e ON e.part = p.part LEFT JOIN blob b ON b.id = e.blob
           WHERE p.manifest = ? AND p.seq BETWEEN ? AND ? ORDER BY p.seq, e.path""",
        (manifest, first, last),
    ).fetchall()


def places_after(connection: sqlite3.Connection, manifest: int, after: int, limit: int) -> list[int]:
    """Return the places of the parts next in a manifest: those that there are, whatever numbers were forged."""
    rows = connection.execute(
        "SELECT seq FROM manifest_part WHERE manifest = ? AND seq > ? ORDER BY seq LIMIT ?", (manifest, after, limit)
    )
    return [row[0] for row in rows]


def manifest_row(connection: sqlite3.Connection, digest: str) -> int | None:
    """Return the manifest with this digest, whether or not its parts are there."""
    row = connection.execute("SELECT id FROM manifest WHERE digest = ?", (digest,)).fetchone()
    return row[0] if row else None


def set_manifest_counts(connection: sqlite3.Connection, digest: str, file_count: int, size: int) -> None:
    """Set what a manifest's row says of its entries."""
    connection.execute("UPDATE manifest SET file_count = ?, size = ? WHERE digest = ?", (file_count, size, digest))


def references_of_part(connection: sqlite3.Connection, part: int) -> list[str]:
    """Return the live versions, as text, whose manifest has this part."""
    rows = connection.execute(
        """SELECT DISTINCT a.name || ':v' || v.number FROM manifest_part p JOIN version v ON v.manifest = p.manifest
           JOIN artifact a ON a.id = v.artifact WHERE p.part = ? AND v.deleted_at IS NULL
           ORDER BY a.name || ':v' || v.number""",
        (part,),
    )
    return [row[0] for row in rows]


def own_inputs(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Return run and version where a run consumed what it produced."""
    return connection.execute(
        """SELECT r.uid, a.name || ':v' || v.number FROM consumed c
           JOIN produced p ON p.version = c.version AND p.run = c.run
           JOIN run r ON r.id = c.run JOIN version v ON v.id = c.version JOIN artifact a ON a.id = v.artifact
           ORDER BY r.uid, a.name, v.number"""
    ).fetchall()


def fed_counts(connection: sqlite3.Connection) -> dict[int, int]:
    """Return how many inputs of a run other runs produced, for the runs that have such inputs."""
    rows = connection.execute(
        """SELECT c.run, count(*) FROM consumed c JOIN produced p ON p.version = c.version AND p.run <> c.run
           GROUP BY c.run"""
    )
    return dict(rows)


def feeding_runs(connection: sqlite3.Connection) -> Iterator[int]:
    """Yield the runs that produced what other runs consumed."""
    rows = connection.execute(
        """SELECT DISTINCT p.run FROM produced p
           WHERE EXISTS (SELECT 1 FROM consumed c WHERE c.version = p.version AND c.run <> p.run)"""
    )
    for row in rows:
        yield row[0]


def fed_runs(connection: sqlite3.Connection, runs: Sequence[int]) -> Iterator[int]:
    """Yield the run that consumed it, for each time another run consumed what these produced."""
    rows = connection.execute(
        """SELECT c.run FROM json_each(?) n JOIN produced p ON p.run = n.value
           JOIN consumed c ON c.version = p.version AND c.run <> p.run""",
        (json_array(runs),),
    )
    for row in rows:
        yield row[0]


def feeders(connection: sqlite3.Connection, run: int) -> list[tuple[int, int]]:
    """Return the inputs of a run that other runs produced: (producer, version)."""
    return connection.execute(
        """SELECT p.run, c.version FROM consumed c JOIN produced p ON p.version = c.version AND p.run <> c.run
           WHERE c.run = ? ORDER BY p.run, c.version""",
        (run,),
    ).fetchall()


def run_ids(connection: sqlite3.Connection, runs: Sequence[int]) -> list[tuple[int, str]]:
    """Return key and id of runs."""
    return connection.execute(
        "SELECT r.id, r.uid FROM json_each(?) n JOIN run r ON r.id = n.value ORDER BY r.id", (json_array(runs),)
    ).fetchall()


def size_inside(connection: sqlite3.Connection, digest: str, piece: int) -> tuple[int, int]:
    """Return how many bytes of a blob lie inside the file, and how many pieces have not their size; none is read."""
    row = connection.execute(
        """SELECT coalesce(sum(length(c.data)), 0), count(*) FILTER (WHERE length(c.data) <>
                  CASE WHEN b.size - c.seq * :piece < :piece THEN b.size - c.seq * :piece ELSE :piece END)
           FROM blob b JOIN chunk c ON c.blob = b.id WHERE b.digest = :digest""",
        {"digest": digest, "piece": piece},
    ).fetchone()
    return int(row[0]), int(row[1])


def chunks(connection: sqlite3.Connection, digest: str) -> Iterator[tuple[int, bytes]]:
    """Yield the pieces of a blob's bytes inside the file with their numbers, in their order."""
    return connection.execute(
        "SELECT c.seq, c.data FROM blob b JOIN chunk c ON c.blob = b.id WHERE b.digest = ? ORDER BY c.seq", (digest,)
    )


def blob_row(connection: sqlite3.Connection, digest: str) -> tuple[int, bool] | None:
    """Return a blob's size and whether it lies inside the file."""
    row = connection.execute(
        "SELECT size, EXISTS (SELECT 1 FROM chunk c WHERE c.blob = b.id) FROM blob b WHERE digest = ?", (digest,)
    ).fetchone()
    return (row[0], bool(row[1])) if row else None
