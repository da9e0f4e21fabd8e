"""The read handles: a Run and a Version as they were when asked for, and the questions one can ask them.

A handle holds a frozen record and the store it came from, no connection. Its attributes do not change behind
one's back: ``refresh()``, or asking the project again, gives the newer state.
"""

from __future__ import annotations

import io
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import IO, Any, BinaryIO, Self, TypeAlias

from lineage import comparison
from lineage.aliases import Mover, move_alias, remove_alias
from lineage.artifact import Artifact, draft_from
from lineage.changes import RunChanges, VersionChanges
from lineage.content import open_blob, read_entries
from lineage.download import check_bytes, download, naming, reader_of, usual_folder, verify_folder
from lineage.errors import ErrorKind, InvalidInputError, NotFoundError, StorageError
from lineage.facts import RunFacts, VersionFacts
from lineage.graph import Key
from lineage.records import Entry, MetricRow, OutsideUse, RunRecord, VersionRecord
from lineage.relations import Handle, html_table
from lineage.staging import copy_hashed
from lineage.statements import artifacts, content, edges, runs
from lineage.store import Store, refuse_foreign
from lineage.upkeep import deletion
from lineage.values import (
    LATEST,
    Digest,
    alias_name,
    callback,
    entry_path,
    file_path,
    listed,
    prose,
    shown,
    text_encoding,
)

Progress: TypeAlias = Callable[[int], None]


class Run(RunFacts, Handle):
    """One execution, as it was when asked for. ``run.config`` and the like are attributes of its record."""

    __slots__ = ("record",)

    def __init__(self, store: Store, record: RunRecord) -> None:
        super().__init__(store)
        self.record = record

    def __repr__(self) -> str:
        record = self.record
        return f"<Run {record.name} {record.id} ({record.job_type or 'no job type'}, {record.status})>"

    def _repr_html_(self) -> str:
        return html_table(repr(self), {"config": self.record.config, "summary": self.record.summary})

    @property
    def key(self) -> Key:
        """The node's kind and row."""
        return Key("run", self.record.key)

    def refresh(self) -> Self:
        """Read the record again and return this handle."""
        with self._store.database.read() as connection:
            self.record = self._current(connection)
        return self

    def history(self, names: Iterable[str] | None = None) -> list[MetricRow]:
        """Return what it logged, one row a step.

        Args:
            names: Only these metrics.
        """
        wanted = None if names is None else [prose(name, "name of a metric") for name in listed(names, "names")]
        with self._store.database.read() as connection:
            return runs.metric_rows(connection, self._current(connection).key, wanted)

    def used_artifacts(self, type: str | None = None) -> list[Version]:
        """Return the versions it consumed, of one artifact type or of all."""
        with self._store.database.read() as connection:
            keys = [key for key, _ in edges.inputs(connection, self._current(connection).key)]
            return _of_type(load_versions(self._store, keys), type)

    def used_as(self) -> dict[str, str]:
        """Return what it used versions as, by reference, where it said so."""
        with self._store.database.read() as connection:
            roles = {key: role for key, role in edges.inputs(connection, self.record.key) if role is not None}
        return {version.reference: roles[version.key.row] for version in load_versions(self._store, list(roles))}

    def logged_artifacts(self, type: str | None = None) -> list[Version]:
        """Return the versions it produced, of one artifact type or of all; what it reproduced is apart."""
        with self._store.database.read() as connection:
            keys = edges.outputs(connection, self._current(connection).key)
            return _of_type(load_versions(self._store, keys), type)

    def reproduced(self) -> list[Version]:
        """Return the versions whose content it logged once more."""
        with self._store.database.read() as connection:
            keys = edges.reproductions(connection, self._current(connection).key)
            return load_versions(self._store, keys)

    def update(
        self,
        *,
        name: str | None = None,
        notes: str | None = None,
        tags: Iterable[str] | None = None,
        config: object = None,
        summary: object = None,
    ) -> Self:
        """Change name, notes, tags, config or summary, each as a whole; what is not given stays.

        An empty note removes it. What a run that has ended is found to have come to can be put into its summary.

        Raises:
            InvalidInputError: One of them breaks a rule; nothing is changed.
            StateError: Config or summary of a run that is running: its own process writes them.
            NotFoundError: The run was deleted.
            ReadOnlyError: The project is read-only.
        """
        changes = RunChanges.checked(name, notes, tags, config, summary)
        with self._store.writing() as connection:
            changes.write(connection, self._current(connection))
        return self.refresh()

    def _current(self, connection: sqlite3.Connection) -> RunRecord:
        """Return the record as it is now; of a run that an undone batch took, the row may be another's."""
        found = runs.run_record(connection, self.record.key)
        if found is None or found.id != self.id:
            message = f"run {self.id!r} was started in a batch that was undone"
            raise NotFoundError(message, kind=ErrorKind.RUN_NOT_FOUND)
        return found

    def delete(self, *, delete_versions: bool = False, delete_aliases: bool = False) -> None:
        """Delete the run; its node and edges stay, marked deleted. The versions it made stay unless told.

        Raises:
            StateError: It is still running.
            ConflictError: A version to delete bears an alias and `delete_aliases` is not set.
        """
        deletion.delete_run(
            self._store, self.record.key, delete_versions=delete_versions, delete_aliases=delete_aliases
        )


class Version(VersionFacts, Handle):
    """One immutable content of an artifact, as it was when asked for."""

    __slots__ = ("record",)

    def __init__(self, store: Store, record: VersionRecord) -> None:
        super().__init__(store)
        self.record = record

    def __repr__(self) -> str:
        record = self.record
        aliases = f" [{', '.join(record.aliases)}]" if record.aliases else ""
        link = f" -> {record.link_to}" if record.link_to else ""
        about = f"{record.type}, {record.file_count} files, {record.size} bytes"
        return f"<Version {record.reference}{link}{aliases} ({about})>"

    def _repr_html_(self) -> str:
        return html_table(repr(self), {"metadata": self.record.metadata, "digest": self.record.digest})

    @property
    def key(self) -> Key:
        """The node's kind and row; a link stands where the version stands that it links to."""
        return Key("version", self.record.source)

    def source(self) -> Version:
        """Return the version that a link stands for; the version itself if it is no link."""
        return self if self.record.link_to is None else load_versions(self._store, [self.record.source])[0]

    def links(self) -> list[Version]:
        """Return the links that stand for this version in collections."""
        with self._store.database.read() as connection:
            keys = artifacts.links_to(connection, self._current(connection).source)
            return load_versions(self._store, keys)

    def refresh(self) -> Self:
        """Read the record again and return this handle."""
        with self._store.database.read() as connection:
            self.record = self._current(connection)
        return self

    def _current(self, connection: sqlite3.Connection) -> VersionRecord:
        """Return the record as it is now; of a version that an undone batch took, the row may be another's."""
        found = artifacts.version_record(connection, self.record.id)
        if found is None or found.uid != self.uid:
            message = f"{self.reference} was logged in a batch that was undone"
            raise NotFoundError(message, kind=ErrorKind.VERSION_NOT_FOUND)
        return found

    def outside_uses(self) -> list[OutsideUse]:
        """Return what other projects do with it: runs there that consumed it, collections there that link to it.

        A link from there keeps it from being deleted and pruned as one from here does. What those projects did
        without being able to write to this one is not known here.
        """
        with self._store.database.read() as connection:
            return artifacts.outside_uses(connection, self._current(connection).source)

    def forget_outside_use(self, use: OutsideUse) -> None:
        """Take back what was noted of another project, when that project or its link is gone.

        Nothing happens if there is no such note.
        """
        with self._store.writing() as connection:
            artifacts.delete_outside_use(connection, self._current(connection).source, use)

    def files(self) -> list[Entry]:
        """Return its entries, sorted by path.

        Raises:
            NotFoundError: The version was deleted, or belongs to another project.
        """
        return self._entries(origin=True)

    def _entries(self, *, origin: bool) -> list[Entry]:
        return read_entries(self._store.database, self.record.id, self._check_here, origin=origin)

    def entry(self, path: str) -> Entry:
        """Return the entry at exactly this path.

        Raises:
            NotFoundError: Nothing lies there, or the version was deleted.
        """
        wanted = entry_path(path)
        with self._store.database.read() as connection:
            self._check_here(connection)
            found = content.entry_at(connection, self.record.id, wanted)
        if found is None:
            message = f"{self.reference} has no file {wanted!r}; files() lists what it has"
            raise NotFoundError(message, kind=ErrorKind.ENTRY_NOT_FOUND)
        return found

    def _check_live(self, connection: sqlite3.Connection) -> VersionRecord:
        record = self._current(connection)
        if record.deleted_at is not None:
            message = f"{self.reference} was deleted; its lineage is still there, its content is not"
            raise NotFoundError(message, kind=ErrorKind.VERSION_DELETED)
        return record

    def _check_here(self, connection: sqlite3.Connection) -> None:
        """Refuse a version whose content is not in this project: one that was deleted, or belongs to another."""
        refuse_foreign(self._check_live(connection))

    def open(self, path: str, mode: str = "rb", encoding: str | None = None) -> IO[Any]:
        """Open one file for reading, without a download.

        Read from start to end, the bytes are verified and the last read raises if they are damaged; after a
        seek they are as they lie there.

        Args:
            path: Which file.
            mode: ``"rb"`` or ``"r"``.
            encoding: Of text; UTF-8 if not said.

        Raises:
            NotFoundError: There is no such file, or its bytes are gone.
            CorruptionError: The bytes are damaged.
            StorageError: A reference cannot be read.
            InvalidInputError: The mode is another.
        """
        if mode not in ("r", "rt", "rb"):
            raise InvalidInputError(f"mode {shown(mode)}: a version is only read; use 'r' or 'rb'")
        encoding = text_encoding(encoding)
        entry = self.entry(path)
        binary = self._open_binary(entry)
        if isinstance(binary, io.BytesIO):
            binary = io.BufferedReader(binary)  # what is read only cannot be written to, wherever its bytes lie
        return binary if mode == "rb" else io.TextIOWrapper(binary, encoding=encoding)

    def _open_binary(self, entry: Entry) -> BinaryIO:
        if entry.stored:
            with naming(self.reference, entry):
                return open_blob(self._store.database, self._store.blobs, Digest.parse(entry.digest), entry.size or 0)
        with reader_of(self._store, entry) as source:
            if source is None:
                message = (
                    f"{entry.path!r} is a reference to {entry.uri!r}, which lineage cannot read; fetch it yourself"
                )
                raise StorageError(message, kind=ErrorKind.CONTENT_MISSING)
            fetched = io.BytesIO()
            digest, _ = copy_hashed(source, fetched.write)
        check_bytes(digest, entry)
        fetched.seek(0)
        return fetched

    def download(
        self,
        root: str | os.PathLike[str] | None = None,
        path_prefix: str | None = None,
        *,
        paths: Iterable[str] | None = None,
        missing_references: bool = False,
        progress: Progress | None = None,
    ) -> Path:
        """Bring the files into a folder and return it; what is there and right is verified and left alone.

        Files that are not the version's stay; see :meth:`checkout`. A file appears whole or not at all. It is a
        copy: editing it does no harm to the store. It is not synced: after a power cut, download again.

        Args:
            root: The folder; ``./artifacts/<name>:<version>`` if not said.
            path_prefix: Only files whose path begins so; with a slash at the end, one folder.
            paths: Only the files at exactly these paths.
            missing_references: Go on, with a warning in the log, where nothing is any more where a reference points.
            progress: Told the bytes done, for a progress bar.

        Raises:
            CorruptionError: Stored bytes are damaged.
            StorageError: The folder cannot be written, or a reference cannot be fetched.
            NotFoundError: The version was deleted, or has no file at one of the paths, or none that begins so.

        Example:
            >>> import lineage, tempfile
            >>> folder = tempfile.mkdtemp()
            >>> project = lineage.open(folder + "/p.lineage")
            >>> draft = lineage.Artifact("notes", type="text")
            >>> with draft.new_file("a.txt") as f:
            ...     _ = f.write("hello")
            >>> path = project.log_artifact(draft).download(folder + "/notes")
            >>> (path / "a.txt").read_text()
            'hello'
        """
        target = _folder(root, self.name, f":v{self.number}")
        prefix = "" if path_prefix is None else prose(path_prefix, "path_prefix")
        if paths is None:
            wanted = [entry for entry in self.files() if entry.path.startswith(prefix)]
            if prefix and not wanted:
                message = f"{self.reference} has no file whose path begins with {prefix!r}; files() lists what it has"
                raise NotFoundError(message, kind=ErrorKind.ENTRY_NOT_FOUND)
        else:
            wanted = [self.entry(path) for path in listed(paths, "paths")]
        known = callback(progress)
        download(self._store, self.reference, wanted, target, missing_references=missing_references, progress=known)
        return target

    def checkout(self, root: str | os.PathLike[str] | None = None, *, progress: Progress | None = None) -> Path:
        """Make a folder hold the version's files and nothing else, and return it.

        Every other file below it is removed. `root` is ``./artifacts/<name>`` if not said. Raises as download.
        """
        target = _folder(root, self.name)
        download(self._store, self.reference, self.files(), target, exact=True, progress=callback(progress))
        return target

    def verify(self, root: str | os.PathLike[str] | None = None) -> None:
        """Compare a downloaded folder with the version, files by content; it changes nothing.

        Raises:
            CorruptionError: A file is missing, differs or is extra.
            InvalidInputError: There is no such folder.
        """
        verify_folder(self.files(), _folder(root, self.name, f":v{self.number}"))

    def new_draft(self) -> Artifact:
        """Return a draft that begins with this version's files, type, description and metadata; nothing is copied.

        Logging it makes the artifact's next version. Aliases and tags are not taken over.

        Raises:
            NotFoundError: The version was deleted.
        """
        return draft_from(self.source().name, self.type, self.description, self.metadata, self._entries(origin=False))

    def logged_by(self) -> Run | None:
        """Return the run that produced it; None if no run did. Runs that made it once more: reproduced_by."""
        with self._store.database.read() as connection:
            run = edges.producer(connection, self._current(connection).source)
            return load_runs(self._store, [run])[0] if run is not None else None

    def reproduced_by(self) -> list[Run]:
        """Return the runs that logged the same content later: evidence that it can be made again."""
        with self._store.database.read() as connection:
            keys = edges.reproducers(connection, self._current(connection).source)
            return load_runs(self._store, keys)

    def used_by(self) -> list[Run]:
        """Return the runs that consumed it, oldest first."""
        with self._store.database.read() as connection:
            keys = edges.consumers(connection, self._current(connection).source)
            return load_runs(self._store, keys)

    def diff(self, other: Version) -> comparison.Comparison:
        """Return what changed from this version to another.

        Raises:
            InvalidInputError: The other belongs to another project.
        """
        if not isinstance(other, Version):
            raise InvalidInputError(f"{shown(other)} is no version; project.diff takes references")
        if self._store.path != other._store.path:
            message = f"{self.reference} and {other.reference} belong to different projects"
            raise InvalidInputError(message)
        with self._store.database.read() as connection:
            self._check_here(connection)
            other._check_here(connection)
            return comparison.compare(connection, self.record.source, other.record.source)

    def update(
        self,
        *,
        description: str | None = None,
        metadata: object = None,
        tags: Iterable[str] | None = None,
        ttl: timedelta | None = None,
    ) -> Self:
        """Change description, metadata, tags or ttl, each as a whole; what is not given stays. Content never changes.

        An empty description removes it, and a `ttl` of ``timedelta.max`` is for good. Of a link, what it stands for
        is changed.

        Raises:
            InvalidInputError: One of them breaks a rule; nothing is changed.
            ConflictError: It would get a `ttl`, and a link in a collection stands for it.
            NotFoundError: The version was deleted, or belongs to another project.
            ReadOnlyError: The project is read-only.
        """
        changes = VersionChanges.checked(self.reference, description, metadata, tags, ttl)
        with self._store.writing() as connection:
            self._check_here(connection)
            changes.write(connection, self.record.source)
        return self.refresh()

    def add_alias(self, alias: str, *, protect: bool | None = None, override: bool = False) -> Self:
        """Make an alias name this version; it leaves the one it named, in one step, and its history keeps both.

        Args:
            alias: Such as ``best``; ``latest`` goes on from there with the next log.
            protect: From now on only `override` moves or removes it; False lifts that.
            override: Move it although it is protected.

        Raises:
            InvalidInputError: The alias breaks a rule, or is ``latest`` and to be protected.
            ConflictError: It is protected.
            NotFoundError: The version was deleted, or belongs to another project; a link to it can have aliases here.
        """
        if alias_name(alias) == LATEST and protect:
            message = "alias 'latest' cannot be protected: the next log moves it; choose another to pin a version"
            raise InvalidInputError(message, kind=ErrorKind.ALIAS_INVALID)
        with self._store.writing() as connection:
            if self._check_live(connection).link_to is None:
                refuse_foreign(self.record)
            artifact = self._artifact(connection)
            move_alias(connection, artifact, alias, self.record.id, Mover.now(), protect=protect, override=override)
        return self.refresh()

    def remove_alias(self, alias: str, *, override: bool = False) -> Self:
        """Take an alias off this version.

        Raises:
            NotFoundError: It does not name this version.
            ConflictError: It is protected and `override` is not set.
            InvalidInputError: It is ``latest``.
        """
        if alias_name(alias) == LATEST:
            message = "alias 'latest' cannot be removed; delete the version to move it"
            raise InvalidInputError(message, kind=ErrorKind.ALIAS_INVALID)
        with self._store.writing() as connection:
            artifact = self._artifact(connection)
            held = artifacts.alias_row(connection, artifact, alias)
            if held is None or held[0] != self.record.id:
                message = f"alias {alias!r} does not name {self.reference}"
                raise NotFoundError(message, kind=ErrorKind.ALIAS_NOT_FOUND)
            remove_alias(connection, artifact, alias, Mover.now(), override=override)
        return self.refresh()

    def _artifact(self, connection: sqlite3.Connection) -> int:
        row = artifacts.artifact_row(connection, self._current(connection).name)
        if row is None:
            raise NotFoundError(f"no artifact {self.name!r}", kind=ErrorKind.ARTIFACT_NOT_FOUND)
        return row[0]

    def delete(self, *, delete_aliases: bool = False, override: bool = False) -> None:
        """Delete the version: its content goes with the next ``gc``, its node and edges stay, marked deleted.

        Of a link, only the link goes. With a version go the links that stand for it.

        Args:
            delete_aliases: Delete although aliases name it, or links in collections stand for it; ``latest`` moves
                to the highest version left.
            override: Also where an alias is protected.

        Raises:
            ConflictError: An alias names it, or a link stands for it.
            NotFoundError: It was deleted before, or belongs to another project.
        """
        with self._store.database.read() as connection:
            self._current(connection)
        deletion.delete_version(self._store, self.record.id, delete_aliases=delete_aliases, override=override)


def load_runs(store: Store, keys: Sequence[int]) -> list[Run]:
    """Return handles of runs, in the order of the keys."""
    with store.database.read() as connection:
        return [Run(store, record) for record in runs.run_records(connection, keys)]


def load_versions(store: Store, keys: Sequence[int]) -> list[Version]:
    """Return handles of versions, in the order of the keys."""
    with store.database.read() as connection:
        return [Version(store, record) for record in artifacts.version_records(connection, keys)]


def _folder(root: str | os.PathLike[str] | None, name: str, end: str = "") -> Path:
    """Return the folder a caller named, or the usual one."""
    return usual_folder(Path("artifacts"), name, end) if root is None else file_path(root, "path of a folder")


def _of_type(versions: list[Version], type: str | None) -> list[Version]:
    return [version for version in versions if type in (None, version.type)]
