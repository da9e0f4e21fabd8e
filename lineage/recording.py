"""Writing edges: what a call names is resolved, a cycle is refused, the edge is written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

from lineage.adoption import adopt, called, origin_of
from lineage.errors import ErrorKind, InvalidInputError, LineageError, StateError
from lineage.graph import Key, refuse_cycle
from lineage.handles import Version
from lineage.records import OutsideUse
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
    """Return the row of a version given in any form; of a link, that of the version it stands for.

    Raises:
        NotFoundError: There is none, or it was deleted and `deleted` is not set.
        InvalidInputError: It is no reference, or a version of another project that nothing here names.
    """
    if isinstance(version, Version):
        if version._store.path != store.path:  # noqa: SLF001 (handles are ours)
            return _known_foreign(connection, version)
        record = version._current(connection)  # noqa: SLF001 (handles are ours; its artifact may be renamed by now)
        version = Reference(record.name, number=record.number)
    reference = version if isinstance(version, Reference) else Reference.parse(version)
    return _source(connection, find_version(connection, reference, deleted=deleted))


def _source(connection: sqlite3.Connection, version: int) -> int:
    return artifacts.linked_version(connection, version) or version


def _known_foreign(connection: sqlite3.Connection, version: Version) -> int:
    known = artifacts.version_by_uid(connection, version.source().uid)
    if known is None:
        message = f"{version.reference} belongs to project {str(version._store.path)!r}, and nothing here names it"  # noqa: SLF001
        raise InvalidInputError(message)
    return known


def named_version(connection: sqlite3.Connection, store: Store, version: str | Reference | Version) -> int:
    """Return the row of a version that something here is about to name: one of another project gets its node.

    Raises:
        NotFoundError: There is none, or it was deleted.
        StateError: Its project has not committed it.
        InvalidInputError: It is no reference, or its project has a name that no reference can hold.
        ConflictError: Another project of the same name is known here.
    """
    if isinstance(version, Version) and version._store.path != store.path:  # noqa: SLF001 (handles are ours)
        return _adopted(connection, version)
    return resolve_version(connection, store, version)


def _adopted(connection: sqlite3.Connection, version: Version) -> int:
    home = version._store  # noqa: SLF001 (handles are ours)
    with home.database.committed() as other:
        if artifacts.version_by_uid(other, version.uid) is None:
            message = (
                f"{version.reference} of {str(home.path)!r} was logged in a batch that has not ended, or was undone"
            )
            raise StateError(message)
        version._check_live(other)  # noqa: SLF001
        (record,) = artifacts.version_records(other, [version.key.row])
        origin = origin_of(other, record, home.path)
    return adopt(connection, record, origin)


@contextmanager
def noted_outside(
    store: Store, versions: Iterable[object], kind: Literal["consumed", "linked"], node: str
) -> Iterator[None]:
    """Let the projects that versions belong to know what is done with them here, if the block succeeds.

    Before the block, so that nothing is linked that its own project would let go; what the block does not do is
    taken back. A project that cannot be written learns nothing.

    Raises:
        InvalidInputError: This project has a name that no other can note: what it notes must be readable there.
    """
    handles = (one for one in versions if isinstance(one, Version))
    foreign = [one for one in handles if one._store.path != store.path and not one._store.database.read_only]  # noqa: SLF001 (handles are ours)
    if not foreign:
        yield
        return
    with store.database.read() as connection:
        use = OutsideUse(kind, called(store.path), node, timestamp(), artifacts.project_uid(connection))
    noted: list[tuple[Version, int | None]] = []

    def take_back() -> None:
        for version, ttl in reversed(noted):
            _take_back(version, use, ttl)

    with store.database.undoing(take_back):
        for version in foreign:
            _note(version, use, noted)
        yield


def _note(version: Version, use: OutsideUse, noted: list[tuple[Version, int | None]]) -> None:
    """Write the note, and add to `noted` if it is new; of what is not that project's own, or gone, there is none."""
    with version._store.writing() as connection:  # noqa: SLF001 (handles are ours)
        found = artifacts.version_by_uid(connection, version.source().uid) if version.record.project is None else None
        if found is None:
            return
        (record,) = artifacts.version_records(connection, [found])
        if record.project is not None or record.deleted_at is not None:
            return
        is_new = artifacts.insert_outside_use(connection, record.id, use)
        if use.kind == "linked":
            artifacts.update_version_ttl(connection, record.id, None)
    if is_new:
        noted.append((version, record.ttl))


def _take_back(version: Version, use: OutsideUse, ttl: int | None) -> None:
    """Take back the note of what was undone, and give the version the time to live again that a link ended.

    Where that fails the note stays, which keeps too much and never too little; what undid the call is the error.
    """
    try:
        with version._store.writing() as connection:  # noqa: SLF001 (handles are ours)
            record = version._current(connection)  # noqa: SLF001 (handles are ours)
            artifacts.delete_outside_use(connection, record.source, use)
            if ttl is not None and record.ttl is None and not _is_linked(connection, record.source):
                artifacts.update_version_ttl(connection, record.source, ttl)
    except LineageError as error:
        import logging  # noqa: PLC0415 (5 ms; only a project that cannot be written now comes here)

        words = "%s keeps a note of what was undone here, which forget_outside_use takes back: %s"
        logging.getLogger("lineage").warning(words, version.reference, error)


def _is_linked(connection: sqlite3.Connection, version: int) -> bool:
    return bool(artifacts.links_to(connection, version) or artifacts.outside_links_of(connection, [version]))


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
        InvalidInputError: The version belongs to another project.
    """
    _refuse_foreign(connection, version)
    maker = edges.producer(connection, version)
    if maker is None:
        refuse_cycle(connection, Key("run", run), Key("version", version))
        edges.insert_produced(connection, version, run)
    elif maker != run:
        edges.insert_reproduced(connection, version, run, {}, timestamp())


def _refuse_foreign(connection: sqlite3.Connection, version: int) -> None:
    (record,) = artifacts.version_records(connection, [version])
    if record.project is not None:
        message = f"{record.reference} belongs to project {record.project!r}: what made it is recorded there"
        raise InvalidInputError(message)


def check_type(connection: sqlite3.Connection, version: int, type: str | None) -> None:
    """Refuse a version that has not the type its user expects.

    Raises:
        InvalidInputError: It has another.
    """
    (record,) = artifacts.version_records(connection, [version])
    if type is not None and record.type != type:
        message = f"{record.reference} has type {record.type!r}, not {type!r}"
        raise InvalidInputError(message, kind=ErrorKind.TYPE_CLASH)
