"""Verifying and repairing: what is wrong is named and not raised; what can be mended without loss is mended.

Verifying reads only, and goes on after a problem. Others may write meanwhile: what was deleted since is looked
for again before it counts as missing. Bytes are looked at in the order of their digests, so that it can stop after so
many of them and go on after the last; what it holds does not grow with their number. Repairing is never a side effect
of it, and never drops anything, so there is nothing to force: damaged bytes are moved to the ``quarantine`` folder,
which nothing of ours empties.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from lineage.errors import BusyError, ErrorKind, InvalidInputError, LineageError, StateError
from lineage.generations import Standing, explained, standing
from lineage.sealing import broken_seal
from lineage.statements import checks, portable
from lineage.store import Store
from lineage.upkeep.consistency import row_problems
from lineage.upkeep.integrity import Progress, Seen, blob_problems, byte_problems, folder_problems, look_up
from lineage.upkeep.mending import Step, plan, troubled
from lineage.upkeep.problems import Problem, ProblemKind, guarded
from lineage.values import shown, whole_number

__all__ = [
    "Problem",
    "ProblemKind",
    "RepairAction",
    "RepairReport",
    "VerifyInterrupted",
    "VerifyReport",
    "repair",
    "verify",
]

_DIGITS: Final = re.compile(r"[0-9a-f]{0,64}", re.ASCII)


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
        after: After which digest it began to look at bytes; empty for the first.
        next_after: After which digest to go on; None if the last blob was looked at.
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
    after: str = ""
    next_after: str | None = None

    @property
    def ok(self) -> bool:
        """Whether there is nothing but warnings in what was looked at: it can be had as it was logged."""
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


class VerifyInterrupted(KeyboardInterrupt):
    """Ctrl-C during ``verify``, with what was found until then and where to go on.

    Attributes:
        report: As if the call had had a limit.
    """

    def __init__(self, report: VerifyReport) -> None:
        super().__init__(f"verify was interrupted; go on after {report.next_after!r}")
        self.report = report


def verify(
    store: Store,
    *,
    content: bool = True,
    after: str = "",
    limit: int | None = None,
    progress: Progress | None = None,
) -> VerifyReport:
    """Look at everything and report what is wrong; nothing is changed, and damage is reported and not raised.

    Rows are always looked at whole. Bytes are, in the order of their digests, from `after` to the `limit`.

    Args:
        store: What to verify.
        content: Read and hash all bytes; otherwise only see whether they are there, in the right size.
        after: A digest, or its first digits: pass over blobs up to it.
        limit: Look at no further blob once so many bytes were.
        progress: Told the bytes read.

    Raises:
        BusyError: Another program holds the project file.
        InvalidInputError: `after` is no digest, or `limit` not positive.
        VerifyInterrupted: Ctrl-C.
    """
    tell = None if progress is None else lambda size: _tell(progress, size)
    looking = _Looking(store, Seen(content, tell, _checked_start(after), _checked_limit(limit)), after)
    try:
        looking.look()
    except _CallerError as error:
        raise error.original from None
    except KeyboardInterrupt:
        raise VerifyInterrupted(looking.report()) from None
    return looking.report()


def _checked_start(after: str) -> str:
    if not isinstance(after, str) or not _DIGITS.fullmatch(after):
        message = f"after {shown(after)}: give the digest after which to go on, or its first digits"
        raise InvalidInputError(message, kind=ErrorKind.DIGEST_INVALID)
    return after


def _checked_limit(limit: int | None) -> int | None:
    return None if limit is None else whole_number(limit, "limit", "a number of bytes, 1 or more", lowest=1)


@dataclass(slots=True)
class _Looking:
    """One run of ``verify``, and what it found so far."""

    store: Store
    seen: Seen
    after: str
    found: list[Problem] = field(default_factory=list)
    counts: tuple[int, ...] = (0, 0, 0, 0, 0)
    seal: str | None = None

    def look(self) -> None:
        of_bytes = guarded(ProblemKind.DATABASE, "the table of blobs", lambda: byte_problems(self.store, self.seen))
        for problem in chain(self.besides_bytes(), of_bytes):
            self.found.append(problem)

    def besides_bytes(self) -> Iterator[Problem]:
        """Yield what is wrong with all but the bytes of blobs."""
        yield from row_problems(self.store)
        yield from guarded(ProblemKind.DATABASE, "the tables", self._count)
        yield from guarded(ProblemKind.SEAL, "the seal", self._seal_problems)
        yield from guarded(ProblemKind.BLOB_FOLDER, "the blob folder", lambda: folder_problems(self.store))
        yield from guarded(ProblemKind.BLOB_FOLDER, "file and folder", self._standing_problems)

    def report(self) -> VerifyReport:
        runs, artifacts, versions, left_out, left_out_bytes = self.counts
        return VerifyReport(
            tuple(self.found),
            runs,
            artifacts,
            versions,
            self.seen.blobs,
            self.seen.bytes,
            left_out,
            left_out_bytes,
            self.seal,
            self.after,
            None if self.seen.whole else self.seen.after,
        )

    def _count(self) -> Iterator[Problem]:
        with self.store.database.read() as connection:
            self.counts = (*checks.live_counts(connection), *portable.absent_total(connection))
        yield from ()

    def _seal_problems(self) -> Iterator[Problem]:
        with self.store.database.read() as connection:
            seal, why = broken_seal(connection)
        self.seal = None if seal is None else seal.digest
        name = self.store.path.name
        if why is not None:
            yield Problem(ProblemKind.SEAL, name, f"the seal of {name!r} does not hold: {why}")

    def _standing_problems(self) -> Iterator[Problem]:
        found = standing(self.store)
        if found is not Standing.TOGETHER:
            accept = f"'lineage gc --accept {found.value}' takes them as they are"
            message = f"{explained(self.store, found)}. Until then gc takes nothing; {accept}"
            yield Problem(ProblemKind(found.value), self.store.path.name, message)


class _CallerError(BaseException):
    """Carries what the caller's progress callback raised past the guards, which take any Exception for damage."""

    def __init__(self, original: Exception) -> None:
        self.original = original


def _tell(progress: Progress, size: int) -> None:
    try:
        progress(size)
    except Exception as error:
        raise _CallerError(error) from error


def repair(
    store: Store, *, dry_run: bool = True, content: bool = True, progress: Progress | None = None
) -> RepairReport:
    """Mend what can be mended without loss; a dry run, which is the default, only says what that would be.

    Damaged bytes are replaced where the other place has good ones, and set aside where none are: then logging
    them again heals every version that names them. Links, folders and the like in the place of a blob are set
    aside too. A missing ``latest`` names the highest version again, an alias of a deleted version goes, counts
    are counted anew, and runs whose process is gone are written down as crashed. Into a project file that SQLite
    finds damaged nothing is written. The first write takes the seal of a packed file away, also one that does not
    hold; what it cannot mend is left in the report, whether it did anything or only said what it would do.

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
        actions = tuple(_done(step) for step in plan(store, problems))
        return RepairReport(
            dry_run=False, actions=actions, remaining=_remaining(store, problems) if actions else problems
        )


def _planned(steps: list[Step], problems: Sequence[Problem]) -> RepairReport:
    mended = {(kind, step.subject) for step in steps for kind in step.mends}
    if any(step.writes for step in steps):  # the first write takes the seal away, also one that does not hold
        mended |= {(problem.kind, problem.subject) for problem in problems if problem.kind is ProblemKind.SEAL}
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


def _remaining(store: Store, problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Look again at all but the bytes, and at those that were in trouble."""
    found = list(_Looking(store, Seen(content=True, progress=None), "").besides_bytes())
    for digest in troubled(problems):
        with store.database.read() as connection:
            state = look_up(connection, digest)
        if state is not None:
            found += blob_problems(store, *state, content=True)
    return tuple(found)
