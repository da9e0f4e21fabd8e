"""Writing edges: what a call names is resolved, a cycle is refused, the edge is written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from lineage.errors import ErrorKind, InvalidInputError
from lineage.graph import Key, refuse_cycle
from lineage.handles import Version
from lineage.statements import artifacts, edges
from lineage.store import Store, find_version
from lineage.values import Reference, listed, timestamp


def listed_versions(
    versions: Iterable[str | Reference | Version] | str | Reference | Version, what: str
) -> tuple[str | Reference | Version, ...]:
    """Return versions given in any form as a tuple; one version stands for a list of one.

    Raises:
        InvalidInputError: It is no list of anything.
    """
    if isinstance(versions, str | Reference | Version):
        return (versions,)
    return listed(versions, what)


def resolve_version(
    connection: sqlite3.Connection, store: Store, version: str | Reference | Version, *, deleted: bool = False
) -> int:
    """Return the row of a version given in any form.

    Raises:
        NotFoundError: There is none, or it was deleted and `deleted` is not set.
        InvalidInputError: It is no reference, or a version of another project.
    """
    if isinstance(version, Version):
        if version._store.path != store.path:  # noqa: SLF001 (handles are ours)
            message = f"{version.reference} belongs to project {str(version._store.path)!r}"  # noqa: SLF001
            raise InvalidInputError(message)
        record = version._current(connection)  # noqa: SLF001 (handles are ours; its artifact may be renamed by now)
        version = Reference(record.name, number=record.number)
    reference = version if isinstance(version, Reference) else Reference.parse(version)
    return find_version(connection, reference, deleted=deleted)


def consume(connection: sqlite3.Connection, run: int, version: int, use_as: str | None) -> None:
    """Write a consumed edge, unless the run made the version itself.

    Raises:
        CycleError: The version is downstream of the run.
    """
    if edges.producer(connection, version) == run:
        return
    if not edges.is_consumed(connection, run, version):
        refuse_cycle(connection, Key("version", version), Key("run", run))
    edges.insert_consumed(connection, run, version, use_as)


def produce(connection: sqlite3.Connection, run: int, version: int) -> None:
    """Write a produced edge; where the version has a producer already, note the run as having reproduced it.

    Raises:
        CycleError: The run is downstream of the version.
    """
    maker = edges.producer(connection, version)
    if maker is None:
        refuse_cycle(connection, Key("run", run), Key("version", version))
        edges.insert_produced(connection, version, run)
    elif maker != run:
        edges.insert_reproduced(connection, version, run, {}, timestamp())


def check_type(connection: sqlite3.Connection, version: int, type: str | None) -> None:
    """Refuse a version that has not the type its user expects.

    Raises:
        InvalidInputError: It has another.
    """
    (record,) = artifacts.version_records(connection, [version])
    if type is not None and record.type != type:
        message = f"{record.reference} has type {record.type!r}, not {type!r}"
        raise InvalidInputError(message, kind=ErrorKind.TYPE_CLASH)
