"""The project: the face of one project file."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias, Unpack, overload

from lineage import links
from lineage.aliases import Mover
from lineage.artifact import staging_home
from lineage.commit import Better, LogRequest, checked_request, log_draft
from lineage.errors import ErrorKind, InvalidInputError, NotFoundError
from lineage.handles import Run, Version
from lineage.questions import AnyVersion
from lineage.recording import consume, listed_versions, named_version, noted_outside, produce, resolve_version
from lineage.records import ArtifactRecord, SizeRecord
from lineage.run import ActiveRun
from lineage.sharing import Sharing
from lineage.sources import Loggable, LogOptions, as_draft
from lineage.starting import start_run
from lineage.statements import artifacts, runs
from lineage.store import find_own_artifact, find_project, find_run, open_store
from lineage.translation import callers_code
from lineage.upkeep import collection, deletion, verification
from lineage.upkeep.collection import GcReport
from lineage.upkeep.deletion import PruneReport, PruneRules
from lineage.upkeep.verification import RepairReport, VerifyReport
from lineage.values import callback, file_path, known_name, label, listed, prose, shown, timestamp

Progress: TypeAlias = Callable[[int], None]


def open(
    path: str | os.PathLike[str] | None = None, *, create: bool = True, read_only: bool = False, timeout: float = 60.0
) -> Project:
    """Open a project file; it is created if it is not there.

    Opening the same file again gives another object over the same project; both may be used, from any thread or
    process. Nothing is held open between calls.

    Args:
        path: The file, whose name ends in ``.lineage``. If not said, what ``LINEAGE_PROJECT`` names, or the one
            such file in the working directory or above it.
        create: Make it if it is not there; its folder must be.
        read_only: Refuse every write. A file or folder that cannot be written is opened so by itself.
        timeout: Seconds to wait for a lock that another process holds.

    Raises:
        NotFoundError: There is no such file and it is not to be made, or its folder is missing.
        InvalidInputError: The name does not end in ``.lineage``, or several files could be meant.
        FormatError: It is another kind of file, or was written by a newer lineage.
        CorruptionError: It is damaged.

    Example:
        >>> import lineage, tempfile
        >>> project = lineage.open(tempfile.mkdtemp() + "/iv3.lineage")
        >>> len(project.runs())
        0
    """
    if not isinstance(timeout, int | float) or isinstance(timeout, bool) or not 0 <= timeout < 1e6:  # noqa: PLR2004 (eleven days)
        raise InvalidInputError(f"timeout {shown(timeout)}: give seconds, 0 or more")
    file = find_project() if path is None else file_path(path, "path of a project file")
    store = open_store(file, create=create, read_only=read_only, timeout=timeout)
    if not store.database.read_only:
        staging_home.store = store
    return Project(store)


class Project(Sharing):
    """One project file with its blobs; :func:`lineage.open` gives it."""

    def __repr__(self) -> str:
        return f"<Project {str(self.file)!r}{', read-only' if self.read_only else ''}>"

    @property
    def file(self) -> Path:
        """The project file."""
        return self._store.path

    @property
    def blob_folder(self) -> Path:
        """The folder of the blobs that lie beside it; made by the first write."""
        return self._store.blobs.root

    @property
    def read_only(self) -> bool:
        """Whether every write is refused."""
        return self._store.database.read_only

    def start_run(  # noqa: PLR0913 (each is a word users of W&B know, all but two by keyword)
        self,
        job_type: str | None = None,
        name: str | None = None,
        *,
        id: str | None = None,
        config: object = None,
        group: str | None = None,
        tags: Iterable[str] = (),
        notes: str | None = None,
        resume: str = "never",
        use: Iterable[AnyVersion] | AnyVersion = (),
        command: Sequence[str] | None = None,
    ) -> ActiveRun:
        """Start a run; use it as a context manager. What it uses from the start is written with it, at once.

        It captures the command line, the script's digest, git commit and state, Python and packages, host, user
        and start. Runs of this machine whose process is gone are written down as crashed.

        Args:
            job_type: The step of the pipeline, such as ``train``.
            name: What people call it; such as ``swept-water-5`` if not said.
            id: Unique across projects; made up if not said.
            config: What it is told: a mapping, a dataclass, an argparse namespace.
            group: Runs that belong together.
            tags: Labels.
            notes: Words about it.
            resume: ``"never"`` makes a new run, ``"must"`` goes on with the run of this id, ``"allow"`` does
                either. Config given to a resumed run is merged into its own.
            use: Versions it consumes.
            command: The command line of another program that is the run's code; this process's if not said.

        Raises:
            ConflictError: There is a run of this id, and `resume` is ``"never"``.
            NotFoundError: There is no such run to resume, or no such version to use.
            InvalidInputError: Something breaks a rule; nothing is stored.
            ReadOnlyError: The project is read-only.

        Example:
            >>> import lineage, tempfile
            >>> project = lineage.open(tempfile.mkdtemp() + "/p.lineage")
            >>> with project.start_run(job_type="train", config={"lr": 3e-4}) as run:
            ...     run.log({"loss": 0.5})
            >>> project.runs(job_type="train")[0].summary
            {'loss': 0.5}
        """
        return start_run(
            self._store,
            job_type,
            name,
            id=id,
            config=config,
            group=group,
            tags=tags,
            notes=notes,
            resume=resume,
            use=use,
            command=command,
        )

    def record(
        self,
        run: str | Run | ActiveRun,
        *,
        consumed: Iterable[AnyVersion] | Mapping[AnyVersion, str | None] = (),
        produced: Iterable[AnyVersion] = (),
    ) -> None:
        """Write edges that are known already, all or none: the door for tools that keep their own lineage.

        An edge that is there stays; a version that has another producer counts as reproduced.

        Args:
            run: The run, also a finished one.
            consumed: Versions it consumed, or a mapping of them to what it used them as.
            produced: Versions it produced.

        Raises:
            CycleError: An edge would close a cycle; the error names it.
            NotFoundError: There is no such run or version, or it was deleted.
        """
        name = self._id_of(run)
        roles = {one: role and label(role, "use_as") for one, role in _roles(consumed).items()}
        inputs, outputs = listed_versions(consumed, "consumed"), listed_versions(produced, "produced")
        with noted_outside(self._store, inputs, "consumed", name), self._store.writing() as connection:
            key = _live_run(connection, name)
            for version in inputs:
                consume(connection, key, named_version(connection, self._store, version), roles.get(version))
            for version in outputs:
                produce(connection, key, resolve_version(connection, self._store, version))

    @overload
    def log_artifact(
        self,
        artifact: Loggable,
        name: str | None = None,
        type: str | None = None,
        *,
        only_if_better: None = None,
        run: str | Run | ActiveRun | None = None,
        **options: Unpack[LogOptions],
    ) -> Version: ...

    @overload
    def log_artifact(
        self,
        artifact: Loggable,
        name: str | None = None,
        type: str | None = None,
        *,
        only_if_better: Better,
        run: str | Run | ActiveRun | None = None,
        **options: Unpack[LogOptions],
    ) -> Version | None: ...

    def log_artifact(  # noqa: PLR0913 (as ActiveRun.log_artifact)
        self,
        artifact: Loggable,
        name: str | None = None,
        type: str | None = None,
        *,
        aliases: Iterable[str] = (),
        tags: Iterable[str] = (),
        description: str | None = None,
        metadata: object = None,
        only_if_better: Better | None = None,
        force_new_version: bool = False,
        run: str | Run | ActiveRun | None = None,
        progress: Progress | None = None,
    ) -> Version | None:
        """Log a version that no run produced, such as data that was always there; see ActiveRun.log_artifact.

        With `run` it is logged as that run would log it, also a finished one, or one of another process.

        Raises:
            NotFoundError: There is no such run, or it was deleted.
        """
        name_of_run = None if run is None else self._id_of(run)

        def check(connection: sqlite3.Connection) -> None:
            if name_of_run is not None:
                _live_run(connection, name_of_run)

        mover, step = self._as_run(name_of_run)
        request = checked_request(
            LogRequest(
                mover,
                aliases=listed(aliases, "aliases"),
                tags=listed(tags, "tags"),
                only_if_better=only_if_better,
                force_new_version=force_new_version,
                step=step,
                progress=progress,
                before=check,
                then=lambda connection, _: check(connection),
            )
        )
        with as_draft(artifact, name, type, description, metadata, default="") as draft:
            record = log_draft(self._store, draft, request)
        return None if record is None else Version(self._store, record)

    def _id_of(self, run: str | Run | ActiveRun) -> str:
        return run.id if isinstance(run, Run | ActiveRun) else self.run(prose(run, "run")).id

    def _as_run(self, run: str | None) -> tuple[Mover, int | None]:
        """Return who logs for a run, and the last step of it; without one, whoever runs this program."""
        if run is None:
            return Mover.now(), None
        with self._store.database.read() as connection:
            key = _live_run(connection, run)
            step = runs.run_next_step(connection, key)
        return Mover.now(key), step - 1 if step else None

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Make everything written in the block one transaction: fast in bulk, and all or nothing.

        Other writers wait until it ends. Inside it, a call that fails leaves nothing of itself.
        """
        with self._store.storing(), self._store.database.write(), callers_code():
            yield

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Answer every question in the block from one state of the project, over one connection.

        Writers wait to commit until it ends, so keep it short; writing inside it is refused. Inside a batch it is
        the batch's own view, and changes nothing.
        """
        with self._store.database.read(), callers_code():
            yield

    def update_artifact(self, name: str, *, description: str | None = None, type: str | None = None) -> ArtifactRecord:
        """Change the words about an artifact, or its type, and return what is known of it; what is not given stays.

        Args:
            name: Which.
            description: Words about it; empty text removes them.
            type: What it is, for all of its versions.

        Raises:
            NotFoundError: There is none of this name.
            InvalidInputError: The description or the type breaks a rule; nothing is changed.
        """
        words = None if description is None else prose(description, f"description of artifact {shown(name)}")
        new_type = None if type is None else label(type, "artifact type")
        with self._store.writing() as connection:
            key = find_own_artifact(connection, known_name(name))
            artifacts.touch_artifact(connection, key, timestamp())
            if words is not None:
                artifacts.update_artifact_description(connection, key, words or None)
            if new_type is not None:
                artifacts.update_artifact_type(connection, key, new_type)
            return artifacts.artifact_records(connection, [key])[0]

    def link(self, version: AnyVersion, collection: str, *, aliases: Iterable[str] = ()) -> Version:
        """Put a version into a collection, where it has a number and aliases of its own, and return that link.

        The collection is made if it is not there. A version that it holds already keeps its number, and gets the
        aliases; ``latest`` of the collection moves to it. The link has the content, type, metadata and lineage of
        the version it stands for; deleting it deletes nothing else. Linking ends a version's time to live.

        Args:
            version: Which, also one of another project.
            collection: Such as ``Best models``; unlike an artifact's name it may hold blanks.
            aliases: Names that move to it within the collection.

        Raises:
            NotFoundError: There is no such version.
            ConflictError: The name is that of an artifact, or a protected alias would move.
            InvalidInputError: A name breaks a rule, or the collection is of another type.

        Example:
            >>> import lineage, tempfile
            >>> project = lineage.open(tempfile.mkdtemp() + "/p.lineage")
            >>> model = project.log_artifact(lineage.Artifact("iv3", type="model"))
            >>> link = project.link(model, "Best models", aliases=["production"])
            >>> link.reference, project.version("Best models:production").link_to
            ('Best models:v0', 'iv3:v0')
        """
        return links.link(self._store, version, collection, listed(aliases, "aliases"))

    def rename_artifact(self, name: str, new_name: str) -> ArtifactRecord:
        """Give an artifact another name; numbers, aliases, history and lineage stay.

        Raises:
            NotFoundError: There is none of this name.
            ConflictError: The new name is taken.
        """
        deletion.rename_artifact(self._store, name, new_name)
        return self.artifact(new_name)

    def delete_artifact(self, name: str, *, delete_aliases: bool = False, override: bool = False) -> None:
        """Delete an artifact with all its versions; their nodes and edges stay, marked deleted.

        Logging under the name again goes on with the numbers, and with the type: that of the deleted versions too.

        Raises:
            NotFoundError: There is none of this name.
            ConflictError: Aliases other than ``latest`` name its versions, or protected ones do.
        """
        deletion.delete_artifact(self._store, name, delete_aliases=delete_aliases, override=override)

    def prune(  # noqa: PLR0913 (each is a keep rule)
        self,
        artifact: str | None = None,
        *,
        type: str | None = None,
        keep_last: int | None = None,
        keep_aliased: bool = True,
        keep_tagged: bool = True,
        keep_used: bool = True,
        older_than: timedelta | None = None,
        expired: bool = False,
        dry_run: bool = False,
    ) -> PruneReport:
        """Delete the versions that no keep rule keeps; ``gc`` then frees their bytes. What a collection links to stays.

        Args:
            artifact: Only of this artifact.
            type: Only of artifacts of this type.
            keep_last: Keep the newest so many of each artifact.
            keep_aliased: Keep what bears an alias; ``latest`` always keeps.
            keep_tagged: Keep what bears a tag.
            keep_used: Keep what a run consumed.
            older_than: Delete only what is older.
            expired: Delete only what has outlived its time to live; versions without one are for good.
            dry_run: Only say what would go, and how many bytes.

        Raises:
            InvalidInputError: None of `keep_last`, `older_than` and `expired` is given.
        """
        rules = PruneRules(
            artifact=artifact,
            type=type,
            keep_last=keep_last,
            keep_aliased=keep_aliased,
            keep_tagged=keep_tagged,
            keep_used=keep_used,
            older_than=older_than,
            expired=expired,
        )
        return deletion.prune(self._store, rules, dry_run=dry_run)

    def gc(
        self,
        *,
        dry_run: bool = False,
        compact: bool = False,
        accept: Iterable[str] = (),
        progress: Progress | None = None,
    ) -> GcReport:
        """Drop the bytes that nothing names: of deleted versions, of logs that were cut off.

        It waits for logs under way, and they for it. Bytes of a version that is there are never touched. It refuses
        where it cannot tell what is garbage: after one of file and blob folder was put back from an older backup, and
        on network file systems, whose locks other machines may not see.

        Args:
            dry_run: Only say what would go.
            compact: Also give the free pages of the project file back to the disk.
            accept: Do it all the same: ``"older-file"``, ``"older-blobs"``, ``"network-file-system"``. What the
                newer of file and folder needs is then gone.
            progress: Told the bytes freed.

        Raises:
            ConflictError: It cannot tell what is garbage; `kind` is the word to accept.
            StorageError: The disk refused, or its locks do not hold.
            CorruptionError: The project file is damaged.
        """
        return collection.gc(self._store, dry_run=dry_run, compact=compact, accept=accept, progress=callback(progress))

    def size(self, artifact: str | None = None) -> list[SizeRecord]:
        """Return the bytes of each artifact, or of one: its own and those it shares with others."""
        return deletion.sizes(self._store, artifact)

    def verify(
        self,
        *,
        content: bool = True,
        after: str = "",
        limit: int | None = None,
        progress: Progress | None = None,
    ) -> VerifyReport:
        """Check rows, edges and every stored byte; reads only, and reports all it finds instead of raising.

        Rows are always checked whole. Bytes are checked in the order of their digests, and with a `limit` some at a
        time: go on with the report's `next_after` until it is None.

        Args:
            content: Hash all bytes; False only looks whether they are there.
            after: Pass over bytes up to this digest, or to these first digits of one.
            limit: Stop once so many bytes were checked.
            progress: Told the bytes checked.

        Raises:
            InvalidInputError: `after` is no digest, or `limit` not positive.
            KeyboardInterrupt: Ctrl-C; its `report` says what was found, and where to go on.

        Example:
            >>> import lineage, tempfile
            >>> project = lineage.open(tempfile.mkdtemp() + "/p.lineage")
            >>> report = project.verify(limit=10_000_000_000)
            >>> report.ok, report.next_after
            (True, None)
        """
        return verification.verify(self._store, content=content, after=after, limit=limit, progress=callback(progress))

    def repair(self, *, dry_run: bool = True, progress: Progress | None = None) -> RepairReport:
        """Mend what can be mended without loss; by default only say what that would be.

        Nothing is ever dropped: bytes that are not what they were are moved to ``quarantine`` in the blob folder.

        Args:
            dry_run: Only plan.
            progress: Told the bytes checked.
        """
        return verification.repair(self._store, dry_run=dry_run, progress=callback(progress))


def _live_run(connection: sqlite3.Connection, name: str) -> int:
    key = find_run(connection, name)
    if runs.is_deleted(connection, key):
        raise NotFoundError(f"run {name!r} was deleted", kind=ErrorKind.RUN_NOT_FOUND)
    return key


def _roles(consumed: Iterable[AnyVersion] | Mapping[AnyVersion, str | None]) -> Mapping[AnyVersion, str | None]:
    """Return what versions were used as, where the caller said so."""
    return consumed if isinstance(consumed, Mapping) else {}
