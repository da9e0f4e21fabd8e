"""Versions of other projects: a run here may consume one, and a collection here may link to one.

Only the node is taken over: uid, name, number, digest, and words and tags as they are then, under the name
``project/artifact``. The content stays in its own project. A version is known by its uid, so however often it is
named there is one node of it.
"""

from __future__ import annotations

import sqlite3

from lineage.errors import ConflictError, ErrorKind
from lineage.records import VersionRecord
from lineage.statements import artifacts, content
from lineage.values import known_name, new_uid, timestamp


def adopt(connection: sqlite3.Connection, record: VersionRecord, project: str) -> int:
    """Return the row of another project's version, made if it is new.

    Args:
        connection: Of the project that names it, inside a write.
        record: The version as its own project knows it.
        project: What that project is called: the name of its file without the ending.

    Raises:
        InvalidInputError: The project's name cannot be part of a reference, or is too long for one.
        ConflictError: Another version is known by this name and number: two projects are called the same.
    """
    known = artifacts.version_by_uid(connection, record.uid)
    if known is not None:
        return known
    owner = record.project or project
    name = known_name(record.name if record.project is not None else f"{owner}/{record.name}")
    if artifacts.version_by_number(connection, name, record.number) is not None:
        message = f"{name}:v{record.number} is known here as a version of another project that is called {owner!r} too"
        raise ConflictError(message, kind=ErrorKind.NAME_TAKEN)
    at = timestamp()
    row = artifacts.artifact_row(connection, name)
    artifact = row[0] if row else artifacts.insert_artifact(connection, new_uid(), name, record.type, at, project=owner)
    key = artifacts.insert_version(
        connection,
        uid=record.uid,
        artifact=artifact,
        number=record.number,
        manifest=content.put_manifest(connection, record.digest, record.file_count, record.size),
        description=record.description,
        metadata=record.metadata,
        step=record.step,
        at=record.created_at,
        foreign=True,
    )
    artifacts.add_version_tags(connection, key, record.tags)
    return key
