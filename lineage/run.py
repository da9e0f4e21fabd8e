"""A run while it runs: config, metrics, what it uses and what it logs."""

from __future__ import annotations

import atexit
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Final, Self, Unpack, cast, overload

from lineage.aliases import Mover
from lineage.artifact import Artifact, is_logged
from lineage.attributes import Document, free, hold
from lineage.capture import error_text
from lineage.commit import Better, LogRequest, checked_request, log_draft, logged_version
from lineage.edits import merged, same
from lineage.errors import ErrorKind, InvalidInputError, LineageError, NotFoundError, StateError
from lineage.handles import Run, Version, load_runs
from lineage.jsondata import JsonValue, finite, flatten_metrics, plain_object
from lineage.recording import check_type, consume, named_version, noted_outside
from lineage.records import MetricRow, RunRecord, VersionRecord
from lineage.sources import Loggable, LogOptions, as_draft
from lineage.statements import artifacts, runs
from lineage.store import Store
from lineage.values import MAX_WHOLE, Reference, RunStatus, label, listed, shown, timestamp, whole_number

_FLUSH_SECONDS: Final = 1.0
_FLUSH_ROWS: Final = 1_000
"""Metrics wait in memory this long at most: a durable commit costs 0.3-1 ms, a training step may cost less."""

_CHILD_LOGS: Final = (
    "run %r is logged to by a forked process and its parent: of metrics that both log at one step, the \
later replaces the other; give steps or names of its own, or start a run of its own in the same group"
)


class ActiveRun:
    """A run that this process is doing. ``project.start_run()`` gives one; use it as a context manager.

    Leaving the block finishes it; an exception marks it failed (Ctrl-C: killed) and goes on. A run whose process
    dies without a word is found as crashed. Calls may come from several threads.
    """

    def __init__(self, store: Store, record: RunRecord, next_step: int) -> None:
        self._store = store
        self._key = record.key
        self._lock = threading.RLock()
        self._depth = 0
        self._told = False
        self._process = os.getpid()
        self._record = record
        self._finished = False
        self.config: Final = Document(record.config, "config", self._changing)
        self.summary: Final = Document(record.summary, "summary", self._changing)
        self._saved_config = plain_object(record.config, "config")  # copies: what is nested may be changed in place
        self._saved_summary = plain_object(record.summary, "summary")
        self._rows: list[tuple[str, int, JsonValue, str]] = []
        self._flushed = time.monotonic()
        self._next_step = next_step
        _active.add(self)

    def __repr__(self) -> str:
        state = "finished" if self._finished else "running"
        return f"<ActiveRun {self.name} {self.id} ({self.job_type or 'no job type'}, {state})>"

    @property
    def id(self) -> str:
        """What is unique across projects."""
        return self._record.id

    @property
    def name(self) -> str:
        """What people call it."""
        return self._record.name

    @property
    def job_type(self) -> str | None:
        """The step of a pipeline it does."""
        return self._record.job_type

    @property
    def group(self) -> str | None:
        """The group it belongs to."""
        return self._record.group

    @property
    def tags(self) -> tuple[str, ...]:
        """Its tags; :meth:`update` changes them."""
        return self._record.tags

    @property
    def notes(self) -> str | None:
        """Words about it; :meth:`update` changes them."""
        return self._record.notes

    @property
    def started_at(self) -> str:
        """When it started, UTC."""
        return self._record.started_at

    @property
    def step(self) -> int:
        """The step that the next log without one takes."""
        return self._next_step

    @property
    def finished(self) -> bool:
        """Whether :meth:`finish` was called."""
        return self._finished

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._forked or self._finished:
            return
        if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
            self.finish()
        else:
            status = RunStatus.KILLED if isinstance(error, KeyboardInterrupt) else RunStatus.FAILED
            self._finish(status, 1, error_text(error))

    def log(self, data: Mapping[str, object], step: int | None = None, *, update_summary: bool = True) -> None:
        """Log metrics at a step; several calls may share one.

        They are buffered and written at most a second later with the next call, or with whatever else the run
        writes: a power cut may take that second, a finished run has all. Nested names are joined by dots. NaN
        and infinities are kept. The last value of each goes into the summary (NaN and infinities as null).

        A forked child writes at once, and counts from the last step written; names of its own, or a run of its own
        in the same group, keep apart what it and its parent log.

        Args:
            data: Names to numbers, or to any JSON data.
            step: 0 or more; the one after the last if not said. Logging the same name and step again replaces.
            update_summary: Let the summary have the values; False leaves it to the caller.

        Raises:
            InvalidInputError: A name or value breaks a rule; nothing of the call is kept.
            StateError: The run has finished.

        Example:
            >>> import lineage, tempfile
            >>> project = lineage.open(tempfile.mkdtemp() + "/p.lineage")
            >>> with project.start_run() as run:
            ...     for loss in (0.5, 0.25):
            ...         run.log({"train": {"loss": loss}})
            >>> [(row.step, row.values) for row in run.history()]
            [(0, {'train.loss': 0.5}), (1, {'train.loss': 0.25})]
        """
        if step is None and self._forked:
            self._log_in_child(data, update_summary=update_summary)
        else:
            self._take(data, step, update_summary=update_summary)
        self._flush_if_due()

    def _log_in_child(self, data: Mapping[str, object], *, update_summary: bool) -> None:
        """Log at a step that neither the parent nor another child has written at: each counts for itself."""
        if not self._told:
            self._told = True
            logging.getLogger("lineage").warning(_CHILD_LOGS, self.id)
        with self._store.writing() as connection:
            self._next_step = max(self._next_step, runs.run_next_step(connection, self._key))
            self._take(data, None, update_summary=update_summary)

    def _take(self, data: Mapping[str, object], step: int | None, *, update_summary: bool) -> None:
        """Take metrics into memory: all of them or, on any error, none."""
        values = flatten_metrics(data, f"metrics of run {self.name!r}")
        if step is not None:
            step = whole_number(step, "step", "a whole number, 0 or more", highest=MAX_WHOLE - 1)
        with self._changing():
            at, step = timestamp(), self._next_step if step is None else step
            self._rows.extend((name, step, value, at) for name, value in values.items())
            self._next_step = max(self._next_step, step + 1)
            for name, value in values.items() if update_summary else ():
                self.summary[name] = finite(value)

    def _flush_if_due(self) -> None:
        """Flush, if something has waited for its second, or there is much of it; not in a batch, which writes once."""
        with self._lock:
            due = len(self._rows) >= _FLUSH_ROWS or time.monotonic() - self._flushed >= _FLUSH_SECONDS
        if due and not self._store.database.in_block:
            self.flush()

    def update(self, *, name: str | None = None, notes: str | None = None, tags: Iterable[str] | None = None) -> None:
        """Change name, notes or tags; what is not given stays. An empty note removes it. See :meth:`Run.update`.

        Raises:
            InvalidInputError: One of them breaks a rule; nothing is changed.
            StateError: The run has finished; ``project.run(id).update`` changes one that has.
        """
        self._check_running()
        self._record = self._handle().update(name=name, notes=notes, tags=tags).record

    @property
    def _forked(self) -> bool:
        """Whether this is a forked copy of the process that started the run."""
        return self._process != os.getpid()

    @contextmanager
    def _changing(self, what: str | None = None) -> Iterator[None]:
        """Keep other threads out while something is changed in memory; refuse it when the run is over.

        A forked child writes at once: workers end without a word, and nobody would write what they leave in memory.

        Args:
            what: Which document is changed, if one is.
        """
        with self._lock:
            self._check_running(what)
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
            done = not self._depth
        if done and self._forked:
            self.flush()

    def flush(self) -> None:
        """Write buffered metrics and changes of config and summary now; nothing happens if there are none."""
        with self._lock:
            changed = (
                bool(self._rows)
                or not same(plain_object(self.config, "config"), self._saved_config)
                or not same(plain_object(self.summary, "summary"), self._saved_summary)
            )
        if changed:
            with self._store.writing() as connection, self._lock:
                self._check_takes(connection)
                self._write(connection)

    def _write(self, connection: sqlite3.Connection) -> None:
        """Write what changed here, key by key: a forked child, or another process that resumed the run, writes too.

        The writer lock comes before the run's own, here and wherever both are held: in a batch this thread has it
        already. So nobody waits to write with the run's lock in hand.
        """
        count = len(self._rows)
        config, summary = plain_object(self.config, "config"), plain_object(self.summary, "summary")
        if self._rows:
            runs.put_metrics(connection, self._key, self._rows, self._next_step)
        if not same(config, self._saved_config):
            stored = runs.run_config(connection, self._key)
            runs.update_run_config(connection, self._key, merged(self._saved_config, config, stored))
        if not same(summary, self._saved_summary):
            stored = runs.run_summary(connection, self._key)
            runs.update_run_summary(connection, self._key, merged(self._saved_summary, summary, stored))

        def note_saved() -> None:
            with self._lock:
                del self._rows[:count]  # another thread may have logged since
                self._flushed = time.monotonic()
                self._saved_config, self._saved_summary = config, summary

        self._store.database.after_commit(f"run {id(self)}", note_saved)  # a batch may yet be undone

    def history(self, names: Iterable[str] | None = None) -> list[MetricRow]:
        """Return what was logged so far, one row a step.

        Args:
            names: Only these metrics.
        """
        if not self._finished:
            self.flush()
        return self._handle().history(names)

    def use_artifact(
        self, artifact: str | Reference | Version | Artifact, use_as: str | None = None, *, type: str | None = None
    ) -> Version:
        """Say that the run consumes a version, and return it. Saying it again changes nothing.

        A draft is logged first, without a producer; one that was logged already stands for its version. What this
        run logged itself comes back without an edge.

        Args:
            artifact: A reference such as ``"mnist-raw:latest"``, a version, also one of another project, or a draft.
                Of a version in another project this one keeps the node, ``other/mnist-raw:v2``, so that lineage is
                complete; its content stays there. A link stands for what it links to.
            use_as: The role it plays in the run.
            type: The type it must have.

        Raises:
            NotFoundError: There is no such version, or it was deleted.
            CycleError: The run is upstream of it; the error names the whole cycle.
            InvalidInputError: It has another type.
            ConflictError: It belongs to another project, and a third of the same name is known here.
            StateError: The run has finished.
        """
        self._check_running()
        role = None if use_as is None else label(use_as, "use_as")

        def use(connection: sqlite3.Connection, version: int) -> None:
            self._check_takes(connection)
            check_type(connection, version, type)
            consume(connection, self._key, version, role)

        if isinstance(artifact, Artifact) and not is_logged(artifact):
            record = cast("VersionRecord", log_draft(self._store, artifact, LogRequest(Mover.now(), then=use)))
            return Version(self._store, record)  # None comes of only_if_better alone
        outside = noted_outside(self._store, [artifact], "consumed", self.id)
        with outside, self._store.writing() as connection:
            if isinstance(artifact, Artifact):
                version = logged_version(connection, self._store, artifact)  # and its aliases stay where they are
            else:
                version = named_version(connection, self._store, artifact)
            use(connection, version)
            found = Version(self._store, artifacts.version_records(connection, [version])[0])
            if found.project is not None and isinstance(artifact, Version):
                return artifact  # here is only its node; its content is where it came from
            return found

    @overload
    def log_artifact(
        self,
        artifact: Loggable,
        name: str | None = None,
        type: str | None = None,
        *,
        only_if_better: None = None,
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
        **options: Unpack[LogOptions],
    ) -> Version | None: ...

    def log_artifact(  # noqa: PLR0913 (each is a word users of W&B know, all but the first by keyword)
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
        progress: Callable[[int], None] | None = None,
    ) -> Version | None:
        """Log a draft, a file, a folder or a URI as a version of an artifact that this run produced.

        When it returns, the version is durable and ``latest`` names it. Content that the artifact holds already
        gives that version back: aliases and tags are applied, and the run is noted as having reproduced it.

        Args:
            artifact: What to log.
            name: For a file, folder or URI: the artifact's name; ``run-<id>-<file name>`` if not said.
            type: For a file, folder or URI: the artifact's type; ``unspecified`` if not said.
            aliases: Names that move to the version, besides ``latest``.
            tags: Labels for the version.
            description: For a file, folder or URI: words about the version.
            metadata: For a file, folder or URI: data about the version.
            only_if_better: A metric of the metadata, or where that has none of the run's summary, and its direction,
                as in ``("iou", "max")``: log only what beats the metadata of ``latest``, and otherwise return None.
                NaN and None beat nothing; a `latest` without a number is beaten by any. The version keeps the metric:
                also one that held this content already, so that ``latest`` stays what the next log must beat.
            force_new_version: Make a version also of content that is one already.
            progress: Told the bytes stored, for a progress bar.

        Raises:
            InvalidInputError: The source, name, an alias, a tag or metadata break a rule, or the name has another type.
            ConflictError: A protected alias would move.
            StateError: The run has finished, or the draft was logged into another project.
            StorageError: The bytes cannot be stored.

        Example:
            >>> import lineage, tempfile
            >>> project = lineage.open(tempfile.mkdtemp() + "/p.lineage")
            >>> with project.start_run(job_type="train") as run:
            ...     model = lineage.Artifact("iv3", type="model", metadata={"iou": 0.4})
            ...     version = run.log_artifact(model, aliases=["best"])
            >>> version.reference, version.aliases
            ('iv3:v0', ('best', 'latest'))
        """
        self._check_running()
        request = checked_request(
            LogRequest(
                Mover.now(self._key),
                aliases=listed(aliases, "aliases"),
                tags=listed(tags, "tags"),
                only_if_better=only_if_better,
                force_new_version=force_new_version,
                step=self._next_step - 1 if self._next_step else None,
                progress=progress,
                before=self._check_takes,
                then=lambda connection, _: self._check_takes(connection),
            )
        )
        with as_draft(artifact, name, type, description, metadata, default=f"run-{self.id}-") as draft:
            self.flush()
            record = log_draft(self._store, draft, request)
        return None if record is None else Version(self._store, record)

    def used_artifacts(self, type: str | None = None) -> list[Version]:
        """Return the versions it consumed so far."""
        return self._handle().used_artifacts(type)

    def logged_artifacts(self, type: str | None = None) -> list[Version]:
        """Return the versions it produced so far."""
        return self._handle().logged_artifacts(type)

    def finish(self, status: RunStatus | str | None = None, *, exit_code: int | None = None) -> None:
        """Write what is buffered and mark the run finished; a second call does nothing.

        Args:
            status: ``finished``, ``failed`` or ``killed``; by the exit code if not said.
            exit_code: Of the program; 0 if neither is said.

        Raises:
            InvalidInputError: It is no such status.
        """
        if status is None:
            status = RunStatus.FINISHED if not exit_code else RunStatus.FAILED
        if status not in (RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED):
            raise InvalidInputError(f"status {shown(status)}: a run ends as 'finished', 'failed' or 'killed'")
        code = int(status != RunStatus.FINISHED)
        if exit_code is not None:
            code = whole_number(
                exit_code, "exit_code", "a whole number of 32 bits", lowest=1 - 2**31, highest=2**31 - 1
            )
        self._finish(RunStatus(status), code, None)

    def _finish(self, status: RunStatus, exit_code: int, error: str | None) -> None:
        if self._finished:
            return
        with self._store.writing() as connection, self._lock:
            if self._finished:  # by another thread, whose end is the end
                return
            self._check_takes(connection)
            self._write(connection)
            runs.end_run(connection, self._key, status=status, exit_code=exit_code, error=error, at=timestamp())
            self._store.database.after_undo(self._go_on)
            hold(self.config, self._over("config"))
            hold(self.summary, self._over("summary"))
            self._finished = True
            _active.discard(self)

    def _go_on(self) -> None:
        """Take back an end that was undone with its batch, or could not be committed: the run can be ended again."""
        with self._lock:
            free(self.config)
            free(self.summary)
            self._finished = False
            _active.add(self)

    def _handle(self) -> Run:
        with self._store.database.read() as connection:
            self._check_there(connection)
        return load_runs(self._store, [self._key])[0]

    def _check_running(self, what: str | None = None) -> None:
        if self._finished:
            raise StateError(self._over(what), kind=ErrorKind.RUN_FINISHED)

    def _over(self, what: str | None) -> str:
        how = "start another, or resume it: start_run(id=..., resume='must')"
        if what is not None:
            how = f"project.run({self.id!r}).update({what}=...) changes its {what}"
        return f"run {self.name!r} has finished; {how}"

    def _check_there(self, connection: sqlite3.Connection) -> None:
        """Refuse a run whose row went with an undone batch: by now the row may be another run's."""
        if runs.run_key(connection, self.id) != self._key:
            raise StateError(f"run {self.name!r} was started in a batch that was undone; start it again")

    def _check_takes(self, connection: sqlite3.Connection) -> None:
        """Refuse to write to a run that is not there, or that somebody else ended and deleted meanwhile."""
        self._check_there(connection)
        if runs.is_deleted(connection, self._key):
            raise NotFoundError(f"run {self.name!r} was deleted; start another", kind=ErrorKind.RUN_NOT_FOUND)


_active: set[ActiveRun] = set()
"""The runs that nobody has finished: held, so that none goes with metrics that wait to be written."""


def running_here(store: Store) -> frozenset[str]:
    """Return the ids of the runs that this process is doing in a project."""
    here = os.getpid()
    return frozenset(
        run.id
        for run in list(_active)
        if run._process == here and run._store.path == store.path  # noqa: SLF001 (of this module)
    )


def _flush_active_runs() -> None:
    """At the end of the program, write what is buffered; a run that nobody finished is found as crashed."""
    for run in list(_active):
        with suppress(LineageError):  # nobody is left to tell; the run is found as crashed, its last second is lost
            if not run._forked and not run._finished:  # noqa: SLF001 (of this module); a forked copy is not the run's
                run.flush()


def _renew_locks() -> None:
    """In a forked child, free the runs that another thread was in a call of: it is not there to free them."""
    for run in list(_active):
        run._lock, run._depth = threading.RLock(), 0  # noqa: SLF001 (of this module)


atexit.register(_flush_active_runs)
os.register_at_fork(after_in_child=_renew_locks)
