"""Commands beside the work: selftest, demo, completion."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from lineage.cli.context import Settings, command
from lineage.cli.output import emit, emit_document, words
from lineage.exports import visible

if TYPE_CHECKING:
    from lineage.selftest import SelftestReport

_UNFIT: Final = 9
"""The exit code of a StorageError, for a place that is found wanting."""


@command()
@click.argument("folder", default="lineage-demo", metavar="[FOLDER]")
def demo(_: Settings, folder: str) -> None:
    """Run a small pipeline on real data, and ask about it.

    It learns to read handwritten digits; the project goes into FOLDER, lineage-demo if not said.
    """
    from lineage import demo as program

    program.main(Path(folder), lambda line: emit(visible(line)))


@command("a selftest document")
@click.argument("folder", default=".", metavar="[FOLDER]")
@click.pass_context
def selftest(context: click.Context, settings: Settings, folder: str) -> None:
    """Try whether a folder is a place that keeps the promises.

    Crashes, locks, renames, syncs, names and times are tried on the disk of FOLDER, the working folder if not said; it
    takes a few seconds, and nothing stays. Exits with 9 if a project should not be kept there; warnings are none.
    """
    from lineage.selftest import selftest as run

    report = run(folder)
    if settings.json:
        from lineage.documents import SelftestDocument

        emit_document(SelftestDocument.from_record(report))
    else:
        _show(report)
    if not report.ok:
        context.exit(_UNFIT)


def _show(report: SelftestReport) -> None:
    for check in report.checks:
        state = "ok" if check.ok else check.severity
        emit(f"{state}: {check.name}: {words(check.message)}{f' - {check.consequence}' if check.consequence else ''}")
    fit = "can keep the promises" if report.ok else "cannot keep the promises: do not keep a project there"
    emit(f"{words(report.folder)} {fit}")


@command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, _: Settings, shell: str) -> None:
    """Print the script that lets a shell complete what one types.

    As in:

    lineage completion bash > ~/.local/share/bash-completion/completions/lineage
    """
    from click.shell_completion import BashComplete, FishComplete, ZshComplete

    kinds = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
    emit(kinds[shell](context.find_root().command, {}, "lineage", "_LINEAGE_COMPLETE").source())
