"""The draft: what a program fills before it logs it. What is stored afterwards is a Version, another type."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

from lineage.content import DraftEntry, held_bytes, listing
from lineage.entries import shared, taken_over
from lineage.errors import ErrorKind, InvalidInputError, LineageError, StateError
from lineage.held import held
from lineage.jsondata import JsonObject, plain_object
from lineage.manifests import manifest_digest
from lineage.newfile import NewFile, opened
from lineage.records import Entry, VersionRecord
from lineage.references import resolve
from lineage.staging import FORKED_DRAFT, INLINE_LIMIT, Staged, Staging, in_memory, temporary_staging
from lineage.statcache import users_cache
from lineage.store import Store
from lineage.system import full_disk_errors, is_own, large_file, storage_errors, walk_statuses
from lineage.tree import Tree
from lineage.values import (
    Digest,
    artifact_name,
    callback,
    entry_path,
    file_path,
    label,
    prose,
    shown,
    text_encoding,
)

_NEW_FILE_MODES: Final = ("x", "w", "xb", "wb", "xt", "wt")
_IN_MEMORY: Final = 1 << 20
"""Bytes of new files that a draft keeps in memory."""
_AT_ONCE: Final = 1_000
"""Files of a folder that the cache and the project are asked about together: a connection each costs 0.4 ms."""

_Found: TypeAlias = tuple[str, str, os.stat_result]
"""A file, its path in the artifact, and its status from before it is read."""


class _StagingHome:
    """Where drafts stage: beside the blobs of the project opened last, so that logging only gives them names.

    A draft can be made with no project open; then the system's temporary folder serves, and logging copies.
    """

    store: Store | None = None

    def new_staging(self) -> Staging:
        if self.store is not None:
            with suppress(LineageError):  # a project moved away or made read-only since: the other place serves
                return self.store.blobs.new_staging()
        return temporary_staging()

    def held_digests(self, files: Sequence[_Found]) -> list[Digest | None]:
        """Return the digest of each file that has not changed since it was read and whose bytes the project holds."""
        if self.store is None:
            return [None] * len(files)
        known = users_cache().known([status for _, _, status in files])
        sizes = {str(digest): file[2].st_size for digest, file in zip(known, files, strict=True) if digest is not None}
        held: set[str] = set()
        with suppress(LineageError):  # as above: then they are read
            held = held_bytes(self.store.database, self.store.blobs, sizes)
        return [digest if digest in held else None for digest in known]


staging_home: Final = _StagingHome()


class Artifact:
    """A draft of a version: a name, a type, and files that freeze as they are added (see :meth:`add_file`).

    It needs no project and no run. ``run.log_artifact(artifact)`` makes it a version; from then on it only
    reads, and ``version.new_draft()`` gives the next draft.

    Args:
        name: 1-128 ASCII letters, digits, ``_ - .``; versions of one name succeed each other.
        type: What it is, such as ``dataset`` or ``model``; one type per name.
        description: Words about this version.
        metadata: JSON data about this version, copied; numpy scalars and datetimes are converted, NaN becomes
            null.
        incremental: Add the files to those of the newest version instead of replacing them.

    Attributes:
        ttl: How long the version is to live, from when it is logged until ``prune(expired=True)`` may take it;
            None, which it is at first, is for good. Content that is a version already lives longer for it, never
            shorter.

    Raises:
        InvalidInputError: The name, type or metadata break a rule; the message says which.

    Example:
        >>> model = Artifact("iv3", type="model", metadata={"epochs": 5})
        >>> with model.new_file("weights.bin", mode="wb") as f:
        ...     _ = f.write(b"...")
        >>> [entry.path for entry in model.entries]
        ['weights.bin']
    """

    def __init__(
        self,
        name: str,
        type: str,
        description: str | None = None,
        metadata: object = None,
        *,
        incremental: bool = False,
    ) -> None:
        self.name = artifact_name(name)
        self.type = label(type, "artifact type")
        self.description = None if description is None else prose(description, f"description of artifact {name!r}")
        self.metadata: JsonObject = plain_object(metadata, f"metadata of artifact {name!r}")
        self.incremental: Final = incremental
        self.ttl: timedelta | None = None
        self._tree = Tree(self.name)
        self._turn = threading.Lock()
        self._staging: Staging | None = None
        self._memory = os.getpid(), 0
        self._logged: tuple[Path, VersionRecord] | None = None
        self._being_logged = False

    def __repr__(self) -> str:
        return f"<Artifact {self.name!r} ({self.type}), {len(self._tree)} files, draft>"

    def __setattr__(self, name: str, value: object) -> None:
        """Set a word of the draft; once it is logged, nobody would write it."""
        if not name.startswith("_") and "_being_logged" in self.__dict__:
            self._check_open()
        super().__setattr__(name, value)

    @property
    def entries(self) -> list[Entry]:
        """The files of the draft, sorted by path."""
        return listing(self._tree.items())

    @property
    def size(self) -> int:
        """Bytes of all files, as far as known."""
        return sum(item.entry.size or 0 for item in self._tree.items())

    @property
    def digest(self) -> Digest:
        """The digest the version will have, unless it is incremental: equal content, equal digest."""
        return manifest_digest(self.entries)

    @contextmanager
    def new_file(self, path: str, mode: str = "x", encoding: str | None = None) -> Iterator[IO[Any]]:
        """Write a file of the draft directly; it is added when the block ends without an exception.

        Args:
            path: Where in the artifact.
            mode: ``x`` refuses a path that is taken, ``w`` replaces it; with ``b`` for bytes.
            encoding: Of text; UTF-8 if not said.

        Raises:
            InvalidInputError: The path or mode is wrong, or the path is taken.
            StateError: The draft was logged.
            StorageError: The bytes cannot be written.

        Example:
            >>> draft = Artifact("notes", type="text")
            >>> with draft.new_file("a.txt") as f:
            ...     _ = f.write("hello")
        """
        self._check_open()
        if mode not in _NEW_FILE_MODES:
            raise InvalidInputError(f"mode {shown(mode)}: new_file takes one of {', '.join(_NEW_FILE_MODES)}")
        path, replace = entry_path(path), mode.startswith("w")
        (self._tree.refuse_clash if replace else self._tree.refuse_taken)(path)
        encoding = None if "b" in mode else text_encoding(encoding)
        written = NewFile(path, self._room_in_memory(), lambda: self._stage().new_path())
        file = opened(written, mode, encoding)
        try:
            try:
                with full_disk_errors("cannot write the new file", lambda: written.path):
                    yield file
            finally:
                with storage_errors("cannot write the new file", lambda: written.path):
                    file.close()
            self._check_open()
            if written.path is None:
                staged = self._keep_in_memory(written.content())
            else:
                staged = self._stage().adopt(written.path)
        except BaseException:
            if written.path is not None:
                with suppress(OSError):  # the first error is the one to tell
                    written.path.unlink()
            raise
        self._put([DraftEntry(Entry(path, staged.digest, staged.size), staged)], replace=replace)

    def add_file(
        self, local_path: str | os.PathLike[str], name: str | None = None, *, overwrite: bool = False
    ) -> Entry:
        """Add a copy of a file as it is now; the original may change or go afterwards.

        The same path with the same content is fine. A file of 1 MB or more that has not changed since it was read, and
        whose bytes the project opened last holds, is not copied: as long as that project holds them, it may change or
        go as well. If ``gc`` takes them before the draft is logged, or it is logged elsewhere, the file is read then,
        and has to be there as it was.

        Args:
            local_path: The file; a link to one is followed.
            name: Path in the artifact; the file's own name if not said.
            overwrite: Replace other content at that path.

        Returns:
            The entry.

        Raises:
            InvalidInputError: It is no regular file, changes while it is read, is a project file, or the path
                is taken by other content.
            StateError: The draft was logged.
            StorageError: It cannot be read or copied.
        """
        self._check_open()
        source = file_path(local_path, "path of a file", kind=ErrorKind.SOURCE_INVALID)
        path = entry_path(name if name is not None else source.name)
        items: list[DraftEntry] = []
        status = large_file(source)
        if status is None:
            items.append(self._staged_file(source, path))
        else:
            self._freeze([(str(source), path, status)], items, None)
        self._put(items, replace=overwrite)
        return items[0].entry

    def add_dir(
        self,
        local_path: str | os.PathLike[str],
        name: str | None = None,
        *,
        overwrite: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> list[Entry]:
        """Add every file below a folder, as it is now; all of them or, on any error, none.

        Files that have not changed since they were read are not copied, of whatever size; see :meth:`add_file` for how
        long those have to stay. Links are followed inside the tree; mode bits, times and empty folders are not kept.

        Args:
            local_path: The folder.
            name: Path in the artifact under which its files go.
            overwrite: Replace other content at the same paths.
            progress: Told the bytes added, for a progress bar.

        Raises:
            InvalidInputError: It is no folder, holds a broken link, a loop, a FIFO, a socket, a device or a
                project file (each named), or a path is taken by other content.
            StateError: The draft was logged.
        """
        self._check_open()
        folder = file_path(local_path, "path of a folder", kind=ErrorKind.SOURCE_INVALID)
        prefix = "" if name is None else entry_path(name) + "/"
        items: list[DraftEntry] = []
        try:
            files = ((file, entry_path(prefix + inside), status) for file, inside, status in walk_statuses(folder))
            while some := list(islice(files, _AT_ONCE)):
                self._freeze(some, items, callback(progress))
        except BaseException:
            self._drop(items)
            raise
        self._put(items, replace=overwrite)
        return [item.entry for item in items]

    def add_reference(self, source: str | Entry, name: str | None = None, *, checksum: bool = True) -> list[Entry]:
        """Track bytes by where they are, without copying them.

        ``file:`` is known by its content (a folder by that of its files), ``http(s):`` by its ETag, any other
        scheme by its URI alone. An entry of another version shares that version's stored bytes.

        Args:
            source: A URI, or an entry of a version.
            name: Path in the artifact; needed for schemes other than file, http(s), s3 and gs.
            checksum: Look at the content; False takes the URI alone.

        Raises:
            InvalidInputError: It is no URI, nothing lies there, a name is missing, or the path is taken.
            StorageError: It cannot be read or fetched.
            StateError: The draft was logged.
        """
        self._check_open()
        by_uri = [shared(source, name)] if isinstance(source, Entry) else resolve(source, name, checksum=checksum)
        found = list(by_uri)
        self._put([DraftEntry(entry, None) for entry in found], replace=False)
        return found

    def add_entries(self, entries: Iterable[Entry], *, overwrite: bool = False) -> None:
        """Take over entries of versions, as ``version.files()`` gives them, all or none; nothing is copied.

        The project it is logged in must hold their bytes.

        Args:
            entries: What to take over.
            overwrite: Replace other content at the same paths.

        Raises:
            InvalidInputError: A path is taken by other content, or an entry is none that can be stored.
            StateError: The draft was logged.
        """
        self._put([DraftEntry(taken_over(entry), None) for entry in entries], replace=overwrite)

    def remove(self, path: str | Entry) -> None:
        """Take a file, or all files below a folder, out of the draft.

        Raises:
            NotFoundError: Nothing lies there.
            StateError: The draft was logged.
        """
        with self._turn:
            self._check_open()
            self._tree.remove(path.path if isinstance(path, Entry) else path)

    def _freeze(self, files: Sequence[_Found], items: list[DraftEntry], progress: Callable[[int], None] | None) -> None:
        """Append entries of files as they are now; those that are known, and held by the project, are not read."""
        read = []
        for (source, path, status), known in zip(files, staging_home.held_digests(files), strict=True):
            if known is not None and not is_own(status):
                place = source if source.startswith("/") else os.path.abspath(source)  # noqa: PTH100 (the folder may change)
                items.append(DraftEntry(Entry(path, known, status.st_size), None, place))
            else:
                small = self._stage().stage_small(source, status)
                items.append(self._staged_file(Path(source), path) if small is None else _staged_entry(path, small))
                read.append((status, Digest(items[-1].entry.digest)))
            if progress is not None:
                progress(status.st_size)
        users_cache().note(read)

    def _staged_file(self, source: Path, path: str) -> DraftEntry:
        return _staged_entry(path, self._stage().stage_file(source))

    def _put(self, items: list[DraftEntry], *, replace: bool) -> None:
        """Add entries, all or none; what was staged for them goes if they cannot be."""
        try:
            with self._turn:
                self._check_open()
                self._tree.put(items, replace=replace)
        except BaseException:
            self._drop(items)
            raise

    def _drop(self, items: list[DraftEntry]) -> None:
        for item in items:
            if item.staged is not None and self._staging is not None:
                self._staging.drop(item.staged)

    def _room_in_memory(self) -> int:
        """Return the bytes that a new file may have in memory: small files, as many as make up 1 MB."""
        process, held = self._memory
        if held and process != os.getpid():
            raise StateError(FORKED_DRAFT)
        return INLINE_LIMIT if held < _IN_MEMORY else 0

    def _keep_in_memory(self, content: bytes) -> Staged:
        with self._turn:
            self._memory = os.getpid(), self._memory[1] + len(content)
        return in_memory(content)

    def _stage(self) -> Staging:
        with self._turn:
            if self._staging is None:
                self._staging = staging_home.new_staging()
            return self._staging

    def _check_open(self) -> None:
        if self._logged is not None:
            raise StateError(_logged_message(self, self._logged[1]), kind=ErrorKind.DRAFT_LOGGED)
        if self._being_logged:
            raise StateError(f"artifact {self.name!r} is being logged; what it holds is settled")


@contextmanager
def being_logged(artifact: Artifact) -> Iterator[None]:
    """Keep what a draft holds as it is for the block: nothing added meanwhile may be lost, nor logged twice at once.

    Raises:
        StateError: It was logged meanwhile, or is being logged, by another thread.
    """
    with artifact._turn:  # noqa: SLF001 (the one door for commit)
        artifact._check_open()  # noqa: SLF001
        artifact._being_logged = True  # noqa: SLF001
    try:
        yield
    finally:
        artifact._being_logged = False  # noqa: SLF001


def draft_parts(artifact: Artifact) -> tuple[list[DraftEntry], Staging | None]:
    """Return what a draft holds, for whoever logs it."""
    return artifact._tree.items(), artifact._staging  # noqa: SLF001 (the one door for commit)


def _staged_entry(path: str, staged: Staged) -> DraftEntry:
    return DraftEntry(Entry(path, staged.digest, staged.size), staged)


def read_lost(artifact: Artifact, store: Store) -> None:
    """Read again what was known and not staged, and the project does not hold any more, or never did.

    Call it inside ``store.storing()``, so that nothing more is lost.

    Raises:
        InvalidInputError: A file has changed, or went, since it was added: what was added is nowhere any more.
    """
    known = [item for item in artifact._tree.items() if item.staged is None and item.source is not None]  # noqa: SLF001 (the one door for commit)
    held = held_bytes(store.database, store.blobs, {str(item.entry.digest): item.entry.size or 0 for item in known})
    lost = [item for item in known if item.entry.digest not in held]
    artifact._tree.put([_read_again(artifact, item) for item in lost], replace=True)  # noqa: SLF001


def _read_again(artifact: Artifact, item: DraftEntry) -> DraftEntry:
    message = (
        f"{item.source!r} has changed or gone since it was added as {item.entry.path!r}, and this project does not "
        "hold what it was; add it again"
    )
    try:
        staged = artifact._stage().stage_file(Path(item.source or ""))  # noqa: SLF001
    except InvalidInputError as error:
        raise InvalidInputError(message, kind=ErrorKind.SOURCE_CHANGED) from error
    if staged.digest != item.entry.digest:
        raise InvalidInputError(message, kind=ErrorKind.SOURCE_CHANGED)
    return DraftEntry(item.entry, staged)


def mark_logged(artifact: Artifact, project: Path, version: VersionRecord) -> None:
    """Freeze a draft that was logged and let its staged bytes go."""
    vars(artifact)["metadata"] = held(artifact.metadata, _logged_message(artifact, version))  # no word is set any more
    artifact._logged = (project, version)  # noqa: SLF001 (the one door for commit)
    let_go(artifact)


def _logged_message(artifact: Artifact, version: VersionRecord) -> str:
    how = "use its new_draft() for the next version, and its update() for other words"
    return f"artifact {artifact.name!r} was logged as {version.reference}; {how}"


def let_go(artifact: Artifact) -> None:
    """Let the staged bytes of a draft go, which nobody will log any more."""
    if artifact._staging is not None:  # noqa: SLF001 (the one door for commit)
        artifact._staging.close()  # noqa: SLF001
        artifact._staging = None  # noqa: SLF001


def is_logged(artifact: Artifact) -> bool:
    """Whether a draft was logged."""
    return artifact._logged is not None  # noqa: SLF001 (the one door for commit)


def logged_as(artifact: Artifact) -> tuple[Path, VersionRecord]:
    """Return the project a draft was logged into, and what it became there."""
    if artifact._logged is None:  # noqa: SLF001
        raise ValueError("a draft that was not logged")
    return artifact._logged  # noqa: SLF001 (the one door for commit)


def draft_from(name: str, type: str, description: str | None, metadata: JsonObject, entries: list[Entry]) -> Artifact:
    """Return a draft that begins with the entries of a version, as they are stored; nothing is copied."""
    draft = Artifact(name, type, description, metadata)
    draft._tree.put([DraftEntry(entry, None) for entry in entries], replace=False)  # noqa: SLF001 (they were checked when they came in)
    return draft
