"""The store: a project file with its blob folder, opened, created or found; and how text resolves in it."""

from __future__ import annotations

import filecmp
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

from lineage.blobs import BlobFolder
from lineage.connections import copy_database, create_database
from lineage.database import Database
from lineage.errors import ErrorKind, InvalidInputError, NotFoundError, ReadOnlyError
from lineage.migrations import FORMAT_VERSION, SCHEMA_DIR, build_project, check_schema, migrate, scripts
from lineage.original import Original, original
from lineage.records import VersionRecord
from lineage.statements import artifacts, portable, runs
from lineage.system import note_own, storage_errors, sync_folder, unique_name
from lineage.values import LATEST, Reference

SUFFIX: Final = ".lineage"
_SHOWN: Final = 10
"""Aliases that the message for a misspelt one names."""


@dataclass(frozen=True, slots=True)
class Store:
    """What every operation works on."""

    path: Path
    database: Database = field(repr=False)
    blobs: BlobFolder = field(repr=False)
    original: Original | None = field(repr=False, default=None)

    @contextmanager
    def storing(self) -> Iterator[None]:
        """Keep ``gc`` out while bytes are stored; see :meth:`BlobFolder.storing`."""
        self.check_writable()
        with self.blobs.storing():
            yield

    def check_writable(self) -> None:
        """Refuse early what would fail late.

        Raises:
            ReadOnlyError: The project is read-only.
            StateError: Another file lies in its place: nothing is made beside that one.
            StorageError: It has several names.
        """
        if self.database.read_only:
            message = f"project {str(self.path)!r} is open for reading only; open it for writing to change it"
            raise ReadOnlyError(message)
        if self.original is not None:
            self.original.check_place(writing=True)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give a connection inside one durable transaction."""
        self.check_writable()
        self.blobs.make()
        with self.database.write() as connection:
            yield connection


def open_store(path: Path, *, create: bool, read_only: bool, timeout: float) -> Store:
    """Open a project file, made if `create` says so.

    Raises:
        NotFoundError: It is not there and is not to be made, or its folder is missing.
        InvalidInputError: The name does not end in ``.lineage``.
        FormatError: It is another file, or of a newer format.
    """
    if path.suffix != SUFFIX or path.name == SUFFIX:
        message = f"{str(path)!r}: a project file's name ends in {SUFFIX!r}, such as 'iv3{SUFFIX}'"
        raise InvalidInputError(message, kind=ErrorKind.PATH_INVALID)
    with storage_errors("cannot open the project"):
        path = path.absolute()
        if not path.exists():
            _create(path, create=create and not read_only)
        status = path.stat()
        path = path.resolve()
    if not stat.S_ISREG(status.st_mode):
        message = f"{str(path)!r} is not a regular file"
        raise InvalidInputError(message, kind=ErrorKind.PATH_INVALID)
    read_only = (
        read_only or not status.st_mode & 0o222 or not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK)
    )
    blobs = BlobFolder(path.with_suffix(".blobs"), timeout=timeout)
    opened = _check(Store(path, _database(path, blobs, read_only=read_only, timeout=timeout), blobs))
    return at(path, blobs, read_only=read_only, timeout=timeout, opened=opened)


def at(path: Path, blobs: BlobFolder, *, read_only: bool, timeout: float, opened: Original | None = None) -> Store:
    """Return the store of a file of our format that was checked before; its first write breaks the seal.

    Args:
        path: The file.
        blobs: Its blob folder.
        read_only: Refuse every write.
        timeout: Seconds to wait for a lock.
        opened: Which file it was; None for one that nobody else can get at.
    """
    database = _database(
        path,
        blobs,
        read_only=read_only,
        timeout=timeout,
        before=portable.drop_seal,
        check=None if opened is None else opened.check,
    )
    return Store(path, database, blobs, opened)


def _database(  # noqa: PLR0913 (each by keyword)
    path: Path,
    blobs: BlobFolder,
    *,
    read_only: bool,
    timeout: float,
    before: Callable[[sqlite3.Connection], None] | None = None,
    check: Callable[[sqlite3.Connection, bool], None] | None = None,
) -> Database:
    return Database(
        path,
        format_version=FORMAT_VERSION,
        lock_path=blobs.write_lock,
        read_only=read_only,
        timeout=timeout,
        before=before,
        check=check,
    )


def _create(path: Path, *, create: bool) -> None:
    if not create or not path.parent.is_dir():
        what = "no project file" if path.parent.is_dir() else "no folder for the project file"
        raise NotFoundError(f"{what} {str(path)!r}", kind=ErrorKind.PROJECT_NOT_FOUND)
    if path.is_symlink():
        message = f"{str(path)!r} is a link that leads nowhere; remove it or restore its target"
        raise NotFoundError(message, kind=ErrorKind.PROJECT_NOT_FOUND)
    create_database(path, build_project)


def _check(store: Store) -> Original:
    """Refuse a stranger's file; bring an older format up to date, keeping a copy of the file as it was."""
    with store.database.read() as connection:
        check_schema(connection, store.path, exact=False)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        opened = original(store.path, connection) if version == FORMAT_VERSION else None
    note_own(store.path)
    if store.blobs.root.is_dir():
        note_own(store.blobs.root)
    if opened is None:
        _refuse_to_upgrade(store, version)
        upgrade(store, SCHEMA_DIR / "migrations")
        with store.database.read() as connection:
            opened = original(store.path, connection)
    return opened


def _refuse_to_upgrade(store: Store, version: int) -> None:
    if store.database.read_only:
        message = (
            f"{str(store.path)!r} has format {version}, which is brought up to {FORMAT_VERSION} when it is opened for "
            "writing, and this is for reading only: open it once without read_only, or copy it, with its .blobs "
            "folder, to where it can be written"
        )
        raise ReadOnlyError(message)


def upgrade(store: Store, folder: Path) -> int:
    """Apply the migrations a project has not seen, under the writer lock, and return its format now.

    A copy of the file as it was stays beside it. A second process that waited for the lock finds nothing to do.
    """
    with store.writing() as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if any(number > version for number, _ in scripts(folder)):
            with storage_errors("cannot keep a copy of the older file"):
                _keep_copy(store.path, store.path.with_name(f"{store.path.name}.format{version}"))
        return migrate(connection, folder)


def _keep_copy(path: Path, copy: Path) -> None:
    """Copy under another name first: half a copy that a crash left must not pass for one."""
    draft = path.with_name(f".{path.name}.{unique_name()}.tmp")
    try:
        copy_database(path, draft)
        name = _name_of_copy(draft, copy)
        if name is not None:
            with draft.open("rb") as written:
                os.fsync(written.fileno())
            draft.rename(name)
        sync_folder(copy.parent)
    finally:
        draft.unlink(missing_ok=True)


def _name_of_copy(draft: Path, copy: Path) -> Path | None:
    """Return a free name: an earlier copy may be of other rows than there are now, and stays.

    None if one is of the same rows, as an upgrade leaves that was killed or refused: each further try would add one.
    """
    name, number = copy, 2
    while os.path.lexists(name):
        if name.is_file() and filecmp.cmp(draft, name, shallow=False):
            return None
        name, number = copy.with_name(f"{copy.name}.{number}"), number + 1
    return name


def find_project() -> Path:
    """Return the project that ``LINEAGE_PROJECT`` names, or the one project file in the working folder or above it.

    Raises:
        NotFoundError: There is none.
        InvalidInputError: A folder holds several.
    """
    named = os.environ.get("LINEAGE_PROJECT")
    if named:
        return Path(named)
    with storage_errors("cannot look for a project"):
        start = Path.cwd()
    for folder in (start, *start.parents):
        found = sorted(path for path in folder.glob(f"?*{SUFFIX}") if os.path.isfile(path))  # noqa: PTH113 (pathlib's raises where nothing may be looked at)
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            message = f"{str(folder)!r} holds several projects ({names}): say which"
            raise InvalidInputError(message, kind=ErrorKind.REFERENCE_AMBIGUOUS)
        if found:
            return found[0]
    message = f"no {SUFFIX} file in {str(start)!r} or above it; name one, or make one with 'lineage init'"
    raise NotFoundError(message, kind=ErrorKind.PROJECT_NOT_FOUND)


def find_artifact(connection: sqlite3.Connection, name: str) -> int:
    """Return the live artifact of this name.

    Raises:
        NotFoundError: There is none.
    """
    row = artifacts.artifact_row(connection, name)
    if row is None or row[2] is not None:
        raise NotFoundError(f"no artifact {name!r}", kind=ErrorKind.ARTIFACT_NOT_FOUND)
    return row[0]


def find_own_artifact(connection: sqlite3.Connection, name: str) -> int:
    """Return the live artifact of this name that can be changed here.

    Raises:
        NotFoundError: There is none, or it belongs to another project.
    """
    key = find_artifact(connection, name)
    origin = artifacts.origin(connection, name)
    if origin is not None:
        message = f"{name!r} belongs to project {origin.name!r}: change it there; here it is part of the lineage"
        raise NotFoundError(message, kind=ErrorKind.ARTIFACT_NOT_FOUND)
    return key


def refuse_foreign(record: VersionRecord) -> None:
    """Refuse a version of which only the place in the graph is here.

    Raises:
        NotFoundError: It belongs to another project.
    """
    if record.project is not None:
        message = f"{record.reference} belongs to project {record.project!r}; open that one: only its place is here"
        raise NotFoundError(message, kind=ErrorKind.VERSION_NOT_FOUND)


def find_version(
    connection: sqlite3.Connection, reference: Reference, as_of: str | None = None, *, deleted: bool = False
) -> int:
    """Return the version a reference resolves to.

    Args:
        connection: Where to look.
        reference: What to find.
        as_of: Resolve an alias as it stood at this time.
        deleted: Accept a deleted version, for questions about its lineage.

    Raises:
        NotFoundError: There is none, or it was deleted.
        InvalidInputError: The digest prefix fits several contents.
    """
    found = _find(connection, reference, as_of)
    if found is None:
        _missing(connection, reference, as_of)
    key, gone = found
    if gone and not deleted:
        message = f"{reference} was deleted; its lineage is still there, its content is not"
        raise NotFoundError(message, kind=ErrorKind.VERSION_DELETED)
    return key


def _find(connection: sqlite3.Connection, reference: Reference, as_of: str | None) -> tuple[int, bool] | None:
    if reference.digest is not None:
        return _find_digest(connection, reference)
    if reference.number is not None:
        return artifacts.version_by_number(connection, reference.name, reference.number)
    alias = reference.alias or LATEST
    if as_of is not None:
        return artifacts.version_by_alias_at(connection, reference.name, alias, as_of)
    key = artifacts.version_by_alias(connection, reference.name, alias)
    return None if key is None else (key, False)


def _find_digest(connection: sqlite3.Connection, reference: Reference) -> tuple[int, bool] | None:
    found = artifacts.versions_by_digest(connection, reference.name, str(reference.digest))
    if len({digest for _, digest, _ in found}) > 1:
        message = f"{reference} fits several contents; give more digits"
        raise InvalidInputError(message, kind=ErrorKind.REFERENCE_AMBIGUOUS)
    return (found[0][0], found[0][2]) if found else None


def _missing(connection: sqlite3.Connection, reference: Reference, as_of: str | None) -> NoReturn:
    artifact = find_artifact(connection, reference.name)
    if reference.alias is None:
        raise NotFoundError(f"no version {str(reference)!r}", kind=ErrorKind.VERSION_NOT_FOUND)
    if as_of is not None and artifacts.alias_events(connection, artifact, reference.alias):
        then = f"{str(reference)!r} named nothing at {as_of}; its history says what it named when"
        raise NotFoundError(then, kind=ErrorKind.ALIAS_NOT_FOUND)
    known = artifacts.alias_names(connection, artifact, _SHOWN + 1)
    shown = ", ".join(known[:_SHOWN]) + (", …" if len(known) > _SHOWN else "")
    message = f"no version {str(reference)!r}; the aliases of {reference.name!r} are {shown}" if known else None
    raise NotFoundError(message or f"no version {str(reference)!r}", kind=ErrorKind.ALIAS_NOT_FOUND)


def find_run(connection: sqlite3.Connection, text: str, *, deleted: bool = False) -> int:
    """Return the run with this id, this name, or an id that begins so.

    Args:
        connection: Where to look.
        text: What to find.
        deleted: Accept the name of a deleted run, if nothing living is called so.

    Raises:
        NotFoundError: There is none.
        InvalidInputError: Several runs bear the name.
    """
    key = runs.run_key(connection, text)
    if key is not None:
        return key
    found = runs.runs_called(connection, text) if text else []
    if deleted and not found:
        found = runs.deleted_runs_called(connection, text)
    if len(found) > 1:
        ids = ", ".join(uid for _, uid in found)
        message = f"{text!r} names several runs ({ids}): give an id"
        raise InvalidInputError(message, kind=ErrorKind.REFERENCE_AMBIGUOUS)
    if not found:
        raise NotFoundError(f"no run {text!r}", kind=ErrorKind.RUN_NOT_FOUND)
    return found[0][0]
