"""The steps of a repair: each mends one thing without loss, or sets it aside.

A plan is made of what is found when it is made; its steps are taken in their order, under the lock of ``gc``, so
that nobody stores bytes meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Final

from lineage.aliases import Mover, move_alias, remove_alias
from lineage.blobs import make_read_only
from lineage.manifests import manifest_digest
from lineage.staging import INLINE_LIMIT, Staged, Staging
from lineage.statements import artifacts, checks, runs
from lineage.statements import content as rows
from lineage.store import Store
from lineage.system import storage_errors
from lineage.upkeep.consistency import Listing, listed
from lineage.upkeep.integrity import BlobRow, Fault, look_beside, look_up
from lineage.upkeep.problems import Problem, ProblemKind
from lineage.values import LATEST

_HEALING: Final = "fill (lineage fill) from a backup, or log the same bytes again, to heal what names them"
_DAMAGE: Final = (ProblemKind.BYTES_DAMAGED, ProblemKind.BYTES_SIZE, ProblemKind.BYTES_REPLACED)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do.

    Attributes:
        what: What it does, as people say it.
        subject: To what: a digest, a reference, an artifact, a run id.
        mends: The kinds of problems with this subject that are gone afterwards.
        do: Does it.
        writes: Whether it writes rows.
    """

    what: str
    subject: str
    mends: tuple[ProblemKind, ...]
    do: Callable[[], None]
    writes: bool = True


def plan(store: Store, problems: Iterable[Problem]) -> list[Step]:
    """Return what can be mended; nothing if the project file itself is damaged, for then nothing is written to it."""
    problems = list(problems)
    if any(problem.kind is ProblemKind.DATABASE for problem in problems):
        return []
    steps = [step for digest in troubled(problems) for step in _byte_steps(store, digest)]
    with store.database.read() as connection:
        for planner in (_alias_steps, _latest_steps, _history_steps, _number_steps, _crash_steps):
            steps += planner(store, connection)
    changed = {problem.subject for problem in problems if problem.kind is ProblemKind.MANIFEST_DIGEST}
    counted = {problem.subject for problem in problems if problem.kind is ProblemKind.MANIFEST_COUNTS} - changed
    return steps + [step for digest in sorted(counted) for step in _count_steps(store, digest)]


def troubled(problems: Iterable[Problem]) -> list[str]:
    """Return the digests of the blobs that have a problem."""
    return sorted({problem.subject for problem in problems if problem.kind.startswith("bytes-")})


def _byte_steps(store: Store, digest: str) -> Iterator[Step]:
    with store.database.read() as connection:
        state = look_up(connection, digest)
    if state is None:
        return
    blob, inside = state
    beside = look_beside(store, blob, content=True)
    if beside is not None and beside.kind is ProblemKind.BYTES_WRITABLE:
        yield Step(
            "make the blob's file read-only", digest, (beside.kind,), lambda: _make_read_only(store, blob), writes=False
        )
        beside = None
    if beside is not None and beside.kind in _DAMAGE:
        yield from _steps_beside(store, blob, beside, good=blob.inside and inside is None)
    if inside is not None:
        yield from _steps_inside(store, blob, inside, good=beside is None)


def _steps_beside(store: Store, blob: BlobRow, fault: Fault, *, good: bool) -> Iterator[Step]:
    if good:
        what = "set the damaged file aside and use the good bytes in the project file"
        yield Step(what, blob.digest, (fault.kind,), lambda: _restore_file(store, blob), writes=False)
    else:
        what = f"set the damaged file aside; {_HEALING}"
        yield Step(what, blob.digest, (), lambda: _set_aside(store, blob), writes=False)


def _steps_inside(store: Store, blob: BlobRow, fault: Fault, *, good: bool) -> Iterator[Step]:
    if good:
        what = "set the damaged bytes in the project file aside and use the good file"
        yield Step(what, blob.digest, (fault.kind,), lambda: _drop_inside(store, blob))
    else:
        what = f"set the damaged bytes in the project file aside; {_HEALING}"
        yield Step(what, blob.digest, (), lambda: _drop_inside(store, blob))


def _make_read_only(store: Store, blob: BlobRow) -> None:
    with storage_errors("cannot make bytes read-only"):
        make_read_only(store.blobs.path_of(blob.digest))


def _set_aside(store: Store, blob: BlobRow) -> None:
    store.blobs.quarantine(blob.digest)


def _restore_file(store: Store, blob: BlobRow) -> None:
    """Set a damaged file aside; a large blob gets a good one, as those are looked for beside the project first."""
    staging = Staging(store.blobs.temporary)
    try:
        good = _copied(store, staging, blob)
        store.blobs.quarantine(blob.digest)
        if blob.size > INLINE_LIMIT:
            store.blobs.put(good)
            store.blobs.sync([blob.digest])
    finally:
        staging.close()


def _drop_inside(store: Store, blob: BlobRow) -> None:
    """Move damaged bytes out of the project file; the copy is durable before the rows go."""
    staging = Staging(store.blobs.temporary)
    try:
        damaged = _copied(store, staging, blob)
        store.blobs.quarantine(blob.digest, damaged.path)
        with store.writing() as connection:
            rows.delete_chunks(connection, blob.digest)
    finally:
        staging.close()


def _copied(store: Store, staging: Staging, blob: BlobRow) -> Staged:
    """Write the bytes inside the project file to a file, and sync it."""
    path = staging.new_path()
    with store.database.read() as connection, storage_errors("cannot copy bytes"), path.open("xb") as target:
        for _, piece in checks.chunks(connection, blob.digest):
            target.write(piece)
        target.flush()
        os.fsync(target.fileno())
    return Staged(blob.digest, blob.size, path)


def _alias_steps(store: Store, connection: Connection) -> Iterator[Step]:
    for found in checks.misplaced_aliases(connection):
        newest = artifacts.live_versions(connection, found.artifact)[-1:] if found.alias == LATEST else []
        subject = f"{found.name}:{found.alias}"
        mends = (ProblemKind.ALIAS_TARGET, ProblemKind.ALIAS_HISTORY)
        if newest:
            what = "move 'latest' to the highest version"
            yield Step(what, subject, mends, _moving(store, found.artifact, newest[0]))
        else:
            what = f"remove the alias of {found.target}"
            yield Step(what, subject, mends, _removing(store, found.artifact, found.alias))


def _latest_steps(store: Store, connection: Connection) -> Iterator[Step]:
    for artifact, name in checks.artifacts_without_latest(connection):
        newest = artifacts.live_versions(connection, artifact)[-1]
        what = "let 'latest' name the highest version"
        mends = (ProblemKind.LATEST_MISSING, ProblemKind.ALIAS_HISTORY)
        yield Step(what, f"{name}:{LATEST}", mends, _moving(store, artifact, newest))


def _moving(store: Store, artifact: int, version: int) -> Callable[[], None]:
    def move() -> None:
        with store.writing() as connection:
            move_alias(connection, artifact, LATEST, version, Mover.now(), override=True)

    return move


def _removing(store: Store, artifact: int, alias: str) -> Callable[[], None]:
    def remove() -> None:
        with store.writing() as connection:
            remove_alias(connection, artifact, alias, Mover.now(), override=True)

    return remove


def _history_steps(store: Store, connection: Connection) -> Iterator[Step]:
    """Let histories end where aliases point; moving an alias appends to its history too, so those are left out."""
    moving = {(found.artifact, found.alias) for found in checks.misplaced_aliases(connection)}
    moving |= {(artifact, LATEST) for artifact, _ in checks.artifacts_without_latest(connection)}
    for found in checks.aliases_out_of_step(connection):
        if (found.artifact, found.alias) not in moving:
            subject = f"{found.name}:{found.alias}"
            what = "append to the alias's history where it points"
            yield Step(what, subject, (ProblemKind.ALIAS_HISTORY,), _noting(store, found))


def _noting(store: Store, found: checks.OutOfStep) -> Callable[[], None]:
    def note() -> None:
        mover = Mover.now()
        with store.writing() as connection:
            artifacts.insert_alias_event(
                connection,
                artifact=found.artifact,
                alias=found.alias,
                moved_from=found.noted,
                moved_to=found.version,
                at=mover.at,
                user=mover.user,
                run=None,
            )

    return note


def _number_steps(store: Store, connection: Connection) -> Iterator[Step]:
    """Raise a counter that would give a number twice; one that is too high stays, as numbers are never reused."""
    for found in checks.wrong_numberings(connection):
        if found.highest is not None and found.highest >= found.next_number:
            whole = found.versions == found.highest + 1
            mends = (ProblemKind.NUMBERING,) if whole else ()
            what = f"let the next version be v{found.highest + 1}"
            yield Step(what, found.name, mends, _counting_on(store, found.artifact, found.highest + 1))


def _counting_on(store: Store, artifact: int, number: int) -> Callable[[], None]:
    def count() -> None:
        with store.writing() as connection:
            checks.set_next_number(connection, artifact, number)

    return count


def _crash_steps(store: Store, connection: Connection) -> Iterator[Step]:
    for run, identifier in checks.run_ids(connection, runs.crashed_runs(connection)):
        what = "write down that the run crashed: its process is gone"
        yield Step(what, identifier, (), _crashing(store, run))


def _crashing(store: Store, run: int) -> Callable[[], None]:
    def mark() -> None:
        with store.writing() as connection:
            runs.mark_crashed(connection, [run])

    return mark


def _count_steps(store: Store, digest: str) -> Iterator[Step]:
    """Count a manifest's files anew, if they are those that were logged."""
    with store.database.read() as connection:
        manifest = checks.manifest_row(connection, digest)
    if manifest is None:
        return
    listing = Listing()
    if manifest_digest(listing.watch(listed(store, manifest))) == digest:
        what = f"count the manifest's files anew: {listing.files} of {listing.size} bytes"
        yield Step(what, digest, (ProblemKind.MANIFEST_COUNTS,), _recounting(store, digest, listing))


def _recounting(store: Store, digest: str, listing: Listing) -> Callable[[], None]:
    def recount() -> None:
        with store.writing() as connection:
            checks.set_manifest_counts(connection, digest, listing.files, listing.size)

    return recount
