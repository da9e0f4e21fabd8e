"""Verifying and repairing: what is wrong is named and not raised; what can be mended without loss is mended.

Verifying reads only, and goes on after a problem. Others may write meanwhile: what was deleted since is looked
for again before it counts as missing. Repairing is never a side effect of it, and drops nothing: damaged bytes
are moved to the ``quarantine`` folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lineage.errors import BusyError, LineageError, StateError
from lineage.sealing import broken_seal
from lineage.statements import checks, portable
from lineage.store import Store
from lineage.upkeep.consistency import row_problems
from lineage.upkeep.integrity import Progress, Seen, blob_problems, byte_problems, folder_problems, look_up
from lineage.upkeep.mending import Step, plan, troubled
from lineage.upkeep.problems import Problem, ProblemKind, guarded

__all__ = ["Problem", "ProblemKind", "RepairAction", "RepairReport", "VerifyReport", "repair", "verify"]


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What ``verify`` found, and how much it looked at.

    Attributes:
        problems: What is wrong, warnings included.
        runs: How many there are that are not deleted; so for artifacts and versions.
        artifacts: See `runs`.
        versions: See `runs`.
        blobs: How many blobs were looked at.
        bytes: Theirs; read only if the content was to be verified.
        left_out: How many more are known by digest and size, but were left out when the project was packed.
        left_out_bytes: Theirs.
        seal: The digest that the file is sealed with, as ``pack`` printed it; None if it is not.
    """

    problems: tuple[Problem, ...]
    runs: int
    artifacts: int
    versions: int
    blobs: int
    bytes: int
    left_out: int = 0
    left_out_bytes: int = 0
    seal: str | None = None

    @property
    def ok(self) -> bool:
        """Whether there is nothing but warnings: all that was not left out can be had as it was logged."""
        return all(problem.severity == "warning" for problem in self.problems)


@dataclass(frozen=True, slots=True)
class RepairAction:
    """One thing that ``repair`` did, or would do.

    Attributes:
        what: What it does.
        subject: To what: a digest, a reference, an artifact, a run id.
        done: Whether it was done; never in a dry run.
        error: Why it failed, if it did.
    """

    what: str
    subject: str
    done: bool
    error: str | None = None


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What ``repair`` did, or would do, and what it cannot mend.

    Attributes:
        dry_run: Whether nothing was changed.
        actions: What was done, or would be.
        remaining: The problems that are left, or would be.
    """

    dry_run: bool
    actions: tuple[RepairAction, ...]
    remaining: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing but warnings is left."""
        return all(problem.severity == "warning" for problem in self.remaining)


def verify(store: Store, *, content: bool = True, progress: Progress | None = None) -> VerifyReport:
    """Look at everything and report what is wrong; nothing is changed, and damage is reported and not raised.

    Args:
        store: What to verify.
        content: Read and hash all bytes; otherwise only see whether they are there, in the right size.
        progress: Told the bytes read.

    Raises:
        BusyError: Another program holds the project file.
    """
    seen = Seen(content, None if progress is None else lambda size: _tell(progress, size))
    counts: list[int] = []
    sealed: list[str] = []
    try:
        found = row_problems(store)
        found += guarded(ProblemKind.SEAL, "the seal", lambda: _seal_problems(store, sealed))
        found += guarded(ProblemKind.DATABASE, "the table of blobs", lambda: byte_problems(store, seen))
        found += guarded(ProblemKind.BLOB_FOLDER, "the blob folder", lambda: folder_problems(store))
        found += guarded(ProblemKind.DATABASE, "the tables", lambda: _count(store, counts))
    except _CallerError as error:
        raise error.original from None
    live_runs, live_artifacts, live_versions, left_out, left_out_bytes = counts or (0, 0, 0, 0, 0)
    return VerifyReport(
        tuple(found),
        live_runs,
        live_artifacts,
        live_versions,
        seen.blobs,
        seen.bytes,
        left_out,
        left_out_bytes,
        sealed[0] if sealed else None,
    )


def _seal_problems(store: Store, sealed: list[str]) -> Iterator[Problem]:
    with store.database.read() as connection:
        seal, why = broken_seal(connection)
    if seal is not None:
        sealed.append(seal.digest)
    if why is not None:
        yield Problem(ProblemKind.SEAL, store.path.name, f"the seal of {store.path.name!r} does not hold: {why}")


class _CallerError(BaseException):
    """Carries what the caller's progress callback raised past the guards, which take any Exception for damage."""

    def __init__(self, original: Exception) -> None:
        self.original = original


def _tell(progress: Progress, size: int) -> None:
    try:
        progress(size)
    except Exception as error:
        raise _CallerError(error) from error


def _count(store: Store, counts: list[int]) -> Iterator[Problem]:
    with store.database.read() as connection:
        counts += [*checks.live_counts(connection), *portable.absent_total(connection)]
    yield from ()


def repair(
    store: Store, *, dry_run: bool = True, content: bool = True, progress: Progress | None = None
) -> RepairReport:
    """Mend what can be mended without loss; a dry run, which is the default, only says what that would be.

    Damaged bytes are replaced where the other place has good ones, and set aside where none are: then logging
    them again heals every version that names them. Links, folders and the like in the place of a blob are set
    aside too. A missing ``latest`` names the highest version again, an alias of a deleted version goes, counts
    are counted anew, and runs whose process is gone are written down as crashed. Into a project file that SQLite
    finds damaged nothing is written.

    Args:
        store: What to mend.
        dry_run: Change nothing.
        content: Look for damaged bytes by reading all.
        progress: Told the bytes read.

    Raises:
        ReadOnlyError: The project is read-only.
        StateError: This thread is inside a batch or a snapshot.
        BusyError: Another program holds the project.
    """
    if not dry_run:
        store.check_writable()
        if store.database.in_block:
            raise StateError("repair cannot run inside a batch or a snapshot: what it moves stays moved")
    problems = verify(store, content=content, progress=progress).problems
    if dry_run:
        return _planned(plan(store, problems), problems)
    with store.blobs.collecting():
        actions = [_done(step) for step in plan(store, problems)]
        return RepairReport(dry_run=False, actions=tuple(actions), remaining=tuple(_remaining(store, problems)))


def _planned(steps: list[Step], problems: Iterable[Problem]) -> RepairReport:
    mended = {(kind, step.subject) for step in steps for kind in step.mends}
    left = tuple(problem for problem in problems if (problem.kind, problem.subject) not in mended)
    actions = tuple(RepairAction(step.what, step.subject, done=False) for step in steps)
    return RepairReport(dry_run=True, actions=actions, remaining=left)


def _done(step: Step) -> RepairAction:
    try:
        step.do()
    except BusyError:
        raise
    except LineageError as error:
        return RepairAction(step.what, step.subject, done=False, error=str(error))
    return RepairAction(step.what, step.subject, done=True)


def _remaining(store: Store, problems: Iterable[Problem]) -> list[Problem]:
    """Look again at the rows, and at the bytes that were in trouble."""
    found = row_problems(store)
    for digest in troubled(problems):
        with store.database.read() as connection:
            state = look_up(connection, digest)
        if state is not None:
            found += blob_problems(store, *state, content=True)
    return [*found, *guarded(ProblemKind.BLOB_FOLDER, "the blob folder", lambda: folder_problems(store))]
