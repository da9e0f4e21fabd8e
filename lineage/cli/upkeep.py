"""Commands for the upkeep of a project: gc, size, verify, repair."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from lineage import GcReport, Problem, RepairReport, SizeRecord, VerifyReport
from lineage.cli.context import Settings, byte_count, command, complete_names
from lineage.cli.output import (
    Column,
    amount,
    counted,
    emit,
    emit_document,
    emit_documents,
    emit_facts,
    emit_table,
    listed,
    note,
    progress,
    words,
)
from lineage.upkeep.collection import ACCEPTABLE
from lineage.upkeep.verification import VerifyInterrupted

if TYPE_CHECKING:
    from collections.abc import Sequence


_DAMAGED: Final = 10
"""The exit code of a CorruptionError, for problems that are reported and not raised."""


@command("a gc document")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--compact", is_flag=True, help="Also give free pages of the project file back to the disk.")
@click.option(
    "--accept",
    multiple=True,
    type=click.Choice([kind.value for kind in ACCEPTABLE]),
    metavar="WHAT",
    help="Do it in spite of that; may be repeated.",
)
def gc(settings: Settings, dry_run: bool, compact: bool, accept: tuple[str, ...]) -> None:  # noqa: FBT001 (options)
    """Free the bytes that nothing names.

    Those of deleted versions, and of logs that were cut off. It refuses where it cannot tell what is garbage: if the
    project file is older than its blob folder or the other way round, as after a backup was put back, and on a network
    file system. When you have looked, --accept older-file, older-blobs or network-file-system does it all the same.
    """
    project = settings.reading() if dry_run else settings.writing()
    with progress("gc") as tell:
        report = project.gc(dry_run=dry_run, compact=compact, accept=accept, progress=tell)
    if settings.json:
        from lineage.documents import GcDocument

        return emit_document(GcDocument.from_record(report))
    return _show_gc(report)


def _show_gc(report: GcReport) -> None:
    emit_facts(
        [
            ("would free" if report.dry_run else "freed", amount(report.total_bytes)),
            ("blobs", _many(report.blobs, report.bytes)),
            ("strays", _many(report.strays, report.stray_bytes)),
            ("temporary", _many(report.temporary, report.temporary_bytes)),
            ("parts", _many(report.parts)),
            ("environments", _many(report.environments)),
        ]
    )


def _many(count: int, total: int | None = None) -> str:
    if not count:
        return ""
    return f"{count}" if total is None else f"{count} ({amount(total)})"


@command("a list of size documents")
@click.argument("name", required=False, metavar="[NAME]", shell_complete=complete_names)
def size(settings: Settings, name: str | None) -> None:
    """Show how many bytes each artifact holds.

    "own" are bytes that no other artifact names: what deleting it would free. "logical" counts every version in full.
    """
    found = settings.reading().size(name)
    if settings.json:
        from lineage.documents import SizeDocument

        return emit_documents(SizeDocument.from_record(record) for record in found)
    columns: list[Column[SizeRecord]] = [
        Column("artifact", lambda record: words(record.name), shrinks=True),
        Column("versions", lambda record: str(record.versions), right=True),
        Column("total", lambda record: amount(record.total), right=True),
        Column("own", lambda record: amount(record.own), right=True),
        Column("shared", lambda record: amount(record.shared), right=True),
        Column("logical", lambda record: amount(record.logical), right=True),
    ]
    return emit_table(columns, found, "no artifacts")


@command("a verify document")
@click.argument("file", required=False, metavar="[FILE]")
@click.option("--content/--no-content", default=True, help="Hash all bytes, or only see whether they are there.")
@click.option(
    "--max-bytes", callback=byte_count(least=1), metavar="SIZE", help="Stop after so many bytes, such as 10GB."
)
@click.option("--after", default="", metavar="DIGEST", help="Go on after this digest, or these first digits of one.")
@click.pass_context
def verify(  # noqa: PLR0913, PLR0917 (options)
    context: click.Context,
    settings: Settings,
    file: str | None,
    content: bool,  # noqa: FBT001 (an option)
    max_bytes: int | None,
    after: str,
) -> None:
    """Check every row, edge and byte, and report what is wrong.

    Of the project, or of a packed FILE. Nothing is changed. Exits with 10 if there is an error; warnings are none.
    Of a packed file the digest that "lineage pack" printed is printed again, if the seal holds.

    Rows are checked whole; bytes in the order of their digests, so that a large project can be checked in pieces.
    Stopped by --max-bytes or Ctrl-C, it says where to go on; Ctrl-C exits with 130, or 10 if there is an error.
    """
    if file is not None:
        settings.project = file
    project = settings.reading()
    stopped = False
    with progress("verify") as tell:
        try:
            report = project.verify(content=content, after=after, limit=max_bytes, progress=tell)
        except VerifyInterrupted as stop:
            report, stopped = stop.report, True
    if settings.json:
        from lineage.documents import VerifyDocument

        emit_document(VerifyDocument.from_record(report))
    else:
        _show_verify(report)
    if not report.ok:
        context.exit(_DAMAGED)
    if stopped:
        raise KeyboardInterrupt


def _show_verify(report: VerifyReport) -> None:
    _show_problems(report.problems)
    looked = ", ".join(
        counted(count, noun)
        for count, noun in [
            (report.runs, "run"),
            (report.artifacts, "artifact"),
            (report.versions, "version"),
            (report.blobs, "blob"),
        ]
    )
    if report.left_out:
        looked += f", {counted(report.left_out, 'blob')} left out"
    emit(f"{_outcome(report.problems)}: {looked}, {amount(report.bytes)}")
    if report.seal is not None and report.ok:
        emit(f"sealed: {report.seal}")
    if report.next_after is not None:
        where = f"--after {report.next_after}" if report.next_after else "the first: none was looked at"
        emit(f"not all bytes were looked at: go on with {where}")


def _show_problems(problems: Sequence[Problem]) -> None:
    """Write each problem as a line of its own: a sentence does not fit a column."""
    for problem in problems:
        versions = f" [{listed(problem.versions)}]" if problem.versions else ""
        emit(f"{problem.severity}: {words(problem.kind)}: {words(problem.message)}{versions}")


def _outcome(problems: Sequence[Problem]) -> str:
    errors = sum(problem.severity == "error" for problem in problems)
    counts = [(errors, "error"), (len(problems) - errors, "warning")]
    return ", ".join(counted(count, noun) for count, noun in counts if count) or "ok"


@command("a repair document")
@click.option(
    "--apply/--dry-run", "apply", default=False, help="Do it, or only say what it would be.  [default: dry-run]"
)
@click.pass_context
def repair(context: click.Context, settings: Settings, apply: bool) -> None:  # noqa: FBT001 (an option)
    """Mend what can be mended without loss.

    By default it only says what that would be. Nothing is ever dropped: damaged bytes are moved to the folder
    quarantine in the blob folder, and are yours to delete. Exits with 10 if errors are left.
    """
    project = settings.writing() if apply else settings.reading()
    with progress("repair") as tell:
        report = project.repair(dry_run=not apply, progress=tell)
    if settings.json:
        from lineage.documents import RepairDocument

        emit_document(RepairDocument.from_record(report))
    else:
        _show_repair(report)
    if not report.ok:
        context.exit(_DAMAGED)


def _show_repair(report: RepairReport) -> None:
    for action in report.actions:
        state = "would do" if report.dry_run else "done" if action.done else "failed"
        emit(f"{state}: {words(action.what)}: {words(action.subject)}{_because(action.error)}")
    _show_problems(report.remaining)
    if report.dry_run and report.actions:
        note("'lineage repair --apply' does it")
    if not report.actions and not report.remaining:
        emit("ok: nothing to mend")


def _because(error: str | None) -> str:
    """Return why something failed, after a dash."""
    return "" if error is None else f" - {words(error)}"
