"""Versions of other projects: a run here may consume one, and a collection here may link to one.

Only the node is taken over: uid, name, number, digest, and words and tags as they are then, under the name
``project/artifact``. The content stays in its own project. A version is known by its uid, so however often it is
named there is one node of it.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from lineage.errors import ConflictError, ErrorKind, InvalidInputError, NotFoundError
from lineage.records import VersionRecord
from lineage.statements import artifacts, content
from lineage.statements.artifacts import Origin
from lineage.values import known_name, new_uid, project_name, timestamp


def called(file: Path) -> str:
    """Return what other projects call the project of this file: its name without the ending.

    Raises:
        InvalidInputError: No project may be called so.
    """
    try:
        return project_name(file.stem)
    except InvalidInputError as error:
        message = f"{error}; rename {str(file)!r}, with its .blobs folder, before other projects share its versions"
        raise InvalidInputError(message, kind=error.kind) from error


def origin_of(connection: sqlite3.Connection, record: VersionRecord, file: Path) -> Origin:
    """Return the project that a version belongs to.

    Args:
        connection: Of the project that gave the record, which may itself have it from a third.
        record: The version.
        file: Of that project.

    Raises:
        InvalidInputError: The file's name can be no project's.
    """
    return artifacts.origin(connection, record.name) or Origin(called(file), artifacts.project_uid(connection))


def adopt(connection: sqlite3.Connection, record: VersionRecord, origin: Origin) -> int:
    """Return the row of another project's version, made if it is new.

    Args:
        connection: Of the project that names it, inside a write.
        record: The version as the project knows it that gave it.
        origin: The project that it belongs to.

    Raises:
        InvalidInputError: The project's name cannot be part of a reference, or is too long for one.
        ConflictError: Another project of this name is known, or another version of this name and number.
        NotFoundError: It is one of our own, and was deleted.
    """
    known = artifacts.version_by_uid(connection, record.uid)
    if known is not None:
        return _live(connection, known)
    name = known_name(record.name if record.project is not None else f"{origin.name}/{record.name}")
    if artifacts.is_taken_by_another(connection, origin):
        message = f"another project called {origin.name!r} is known here; give one of the two files another name"
        raise ConflictError(message, kind=ErrorKind.NAME_TAKEN)
    if artifacts.version_by_number(connection, name, record.number) is not None:
        message = f"another {name}:v{record.number} is known here: in {origin.name!r} the name was given anew"
        raise ConflictError(message, kind=ErrorKind.NAME_TAKEN)
    return _insert(connection, record, _artifact(connection, name, record.type, origin))


def _live(connection: sqlite3.Connection, version: int) -> int:
    (record,) = artifacts.version_records(connection, [version])
    if record.deleted_at is not None:
        message = f"{record.reference} was deleted; its lineage is still there, its content is not"
        raise NotFoundError(message, kind=ErrorKind.VERSION_DELETED)
    return version


def _artifact(connection: sqlite3.Connection, name: str, type: str, origin: Origin) -> int:
    row = artifacts.artifact_row(connection, name)
    return row[0] if row else artifacts.insert_artifact(connection, new_uid(), name, type, timestamp(), origin=origin)


def _insert(connection: sqlite3.Connection, record: VersionRecord, artifact: int) -> int:
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
