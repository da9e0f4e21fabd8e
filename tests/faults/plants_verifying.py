"""Bugs of verify and repair, for ``test_verifying.py`` and ``test_repairing.py``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from plants import plant

from lineage.statements import content as rows
from lineage.upkeep.problems import ProblemKind

Function = Callable[..., Any]


@plant("lineage.statements.content:blobs_after")
def verify_that_skips_the_last_blob(kept: Function) -> Function:
    """The window that is not full ends one too early."""

    def blobs_after(connection: Any, digest: str, limit: int) -> list[Any]:
        window: list[Any] = kept(connection, digest, limit)
        return window if len(window) == limit else window[:-1]

    return blobs_after


@plant("lineage.statements.content:blobs_after")
def verify_that_passes_over_one_where_it_goes_on(kept: Function) -> Function:
    """It goes on after the next."""

    def blobs_after(connection: Any, digest: str, limit: int) -> list[Any]:
        window: list[Any] = kept(connection, digest, limit)
        return window[1:] if digest else window

    return blobs_after


@plant("lineage.upkeep.verification:_Looking.report")
def verify_that_says_it_is_done(kept: Function) -> Function:
    """It was stopped, and nobody goes on."""
    return lambda self: replace(kept(self), next_after=None)


@plant("lineage.upkeep.integrity:look_beside")
def verify_that_passes_over_what_cannot_be_read(kept: Function) -> Function:
    """No byte was seen to be wrong, so it says ok."""

    def look_beside(*arguments: Any, **options: Any) -> Any:
        fault = kept(*arguments, **options)
        return None if fault is not None and fault.kind is ProblemKind.BYTES_UNREADABLE else fault

    return look_beside


@plant("lineage.upkeep.integrity:look_inside")
def verify_that_looks_at_files_only(_: Function) -> Function:
    """Bytes inside the project file are taken for what they are called."""
    return lambda *_, **__: None


@plant("lineage.upkeep.integrity:_hashed")
def verify_that_hashes_the_first_megabyte(kept: Function) -> Function:
    """It reads the head of a file and believes the rest."""

    def hashed(store: Any, blob: Any, progress: Any) -> Any:
        return kept(store, blob, progress) if blob.size <= 1 << 20 else None

    return hashed


@plant("lineage.upkeep.verification:VerifyReport.ok")
def report_that_is_ok_without_content(kept: Any) -> property:
    """What could not be read is no error to it."""
    return property(
        lambda self: all(
            problem.severity == "warning" or problem.kind in {ProblemKind.BYTES_UNREADABLE, ProblemKind.BLOB_FOLDER}
            for problem in self.problems
        )
    )


@plant("lineage.upkeep.verification:byte_problems")
def verify_that_holds_all_blobs(kept: Function) -> Function:
    """It reads the table of blobs at once."""

    def byte_problems(store: Any, seen: Any) -> Any:
        with store.database.read() as connection:
            held = rows.blobs_after(connection, "", 1 << 40)
        yield from kept(store, seen)
        del held

    return byte_problems


@plant("lineage.blobs:BlobFolder.quarantine")
def repair_that_unlinks(_: Function) -> Function:
    """What is damaged goes."""

    def quarantine(self: Any, digest: Any, source: Any = None) -> Any:
        path = source or self.path_of(digest)
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()
        return path

    return quarantine


@plant("lineage.upkeep.mending:_drop_inside")
def repair_that_drops_rows(_: Function) -> Function:
    """Damaged bytes inside the project file go without a copy."""

    def drop(store: Any, blob: Any) -> None:
        with store.writing() as connection:
            rows.delete_chunks(connection, blob.digest)

    return drop


@plant("lineage.upkeep.verification:_planned")
def repair_that_does_what_it_plans(kept: Function) -> Function:
    """A dry run that is none."""

    def planned(steps: Any, problems: Any) -> Any:
        for step in steps:
            step.do()
        return kept(steps, problems)

    return planned


@plant("lineage.upkeep.mending:_DAMAGE")
def repair_that_overlooks_what_is_no_file(kept: Any) -> tuple[ProblemKind, ...]:
    """A link in the place of a blob stays there."""
    return tuple(kind for kind in kept if kind is not ProblemKind.BYTES_REPLACED)


@plant("lineage.upkeep.mending:_set_aside")
def repair_that_says_done(_: Function) -> Function:
    """It reports what it did not do."""
    return lambda store, blob: None
