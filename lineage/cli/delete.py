"""Commands that delete: rm, prune."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal

import click

from lineage import ErrorKind, InvalidInputError, NotFoundError, Project, PruneReport, Run
from lineage.cli.context import Settings, command, complete_names
from lineage.cli.output import amount, counted, emit, emit_document, emit_documents, note, words

_AGE: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*([smhdw])", re.ASCII)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DECLINED: Final = 1


def confirm(question: str, *, yes: bool) -> None:
    """Ask a person, on a terminal only; who says no ends the command.

    Raises:
        Exit: Somebody said no.
    """
    if yes or sys.stdin is None or not sys.stdin.isatty():
        return
    if not click.confirm(words(question), err=True):
        click.echo("nothing was changed", err=True)
        raise click.exceptions.Exit(_DECLINED)


@dataclass(frozen=True, slots=True)
class _Target:
    """What is to go."""

    kind: Literal["run", "version", "artifact"]
    id: str
    label: str


@command("a list of deleted documents")
@click.argument("nodes", nargs=-1, required=True, metavar="NODE...", shell_complete=complete_names)
@click.option(
    "--kind", type=click.Choice(["version", "run", "artifact"]), help="What NODE is, if it could be two things."
)
@click.option("--delete-aliases", is_flag=True, help="Also if aliases name it.")
@click.option("--delete-versions", is_flag=True, help="Of a run: also the versions it produced.")
@click.option("--force", "--override", "force", is_flag=True, help="Also if protected aliases name it.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def rm(settings: Settings, nodes: tuple[str, ...], kind: str | None, yes: bool, **how: bool) -> None:  # noqa: FBT001 (an option)
    """Delete versions, runs or whole artifacts, all or none.

    NODE is a version (name:v3, name:alias, name@digest), a run (name or id), or the name of an artifact, with all its
    versions. What is deleted stays in the lineage, marked so; "gc" then frees the bytes.
    """
    project = settings.writing()
    targets = [_target(project, text, kind) for text in dict.fromkeys(nodes)]
    confirm(f"Delete {', '.join(target.label for target in targets)}?", yes=yes)
    with project.batch():
        for target in targets:
            _delete(project, target, **how)
    if settings.json:
        from lineage.documents import DeletedDocument

        return emit_documents(DeletedDocument(kind=target.kind, id=target.id) for target in targets)
    for target in targets:
        emit(words(f"deleted {target.label}"))
    return None


def _target(project: Project, text: str, kind: str | None) -> _Target:
    if kind == "version" or (kind is None and {":", "@"} & set(text)):
        reference = project.version(text).reference
        return _Target("version", reference, f"version {reference}")
    if kind == "run":
        return _run_target(project.run(text))
    if kind == "artifact":
        return _artifact_target(project, text)
    return _bare_target(project, text)


def _bare_target(project: Project, text: str) -> _Target:
    """Find out whether a bare name is a run's or an artifact's; the first digits of an id do not beat a name."""
    try:
        run = project.run(text)
    except NotFoundError:
        run = None
    try:
        artifact = _artifact_target(project, text)
    except (NotFoundError, InvalidInputError):  # a run's name may hold what an artifact's may not
        artifact = None
    if artifact is not None and run is not None and text in (run.name, run.id):
        message = f"{text!r} is a run and an artifact: say --kind run or --kind artifact"
        raise InvalidInputError(message, kind=ErrorKind.REFERENCE_AMBIGUOUS)
    if artifact is not None:
        return artifact
    if run is not None:
        return _run_target(run)
    raise NotFoundError(f"no run and no artifact {text!r}; 'lineage ls' shows what there is")


def _run_target(run: Run) -> _Target:
    return _Target("run", run.id, f"run {run.name} ({run.id})")


def _artifact_target(project: Project, name: str) -> _Target:
    record = project.artifact(name)
    return _Target("artifact", record.name, f"artifact {record.name} ({counted(record.version_count, 'version')})")


def _delete(project: Project, target: _Target, *, delete_aliases: bool, delete_versions: bool, force: bool) -> None:
    aliases = delete_aliases or force
    if target.kind == "version":
        project.version(target.id).delete(delete_aliases=aliases, override=force)
    elif target.kind == "run":
        project.run(target.id).delete(delete_versions=delete_versions, delete_aliases=aliases)
    else:
        project.delete_artifact(target.id, delete_aliases=aliases, override=force)


def _age(_: click.Context, __: click.Parameter, value: str | None) -> timedelta | None:
    """Return a duration such as 30d."""
    if value is None:
        return None
    match = _AGE.fullmatch(value)
    if match is None:
        raise click.BadParameter(f"{value!r} is no age: give a number and s, m, h, d or w, such as 30d.")
    return timedelta(**{_UNITS[match[2]]: float(match[1])})


@command("a prune document")
@click.argument("artifact", required=False, metavar="[NAME]", shell_complete=complete_names)
@click.option("--keep-last", type=int, metavar="N", help="Keep the newest so many of each artifact.")
@click.option("--older-than", callback=_age, metavar="AGE", help="Delete only what is older, such as 12h, 30d or 8w.")
@click.option("--type", metavar="TYPE", help="Only of artifacts of this type.")
@click.option("--keep-aliased/--no-keep-aliased", default=True, help="Keep what an alias names.  [default: keep]")
@click.option("--keep-tagged/--no-keep-tagged", default=True, help="Keep what bears a tag.  [default: keep]")
@click.option("--keep-used/--no-keep-used", default=True, help="Keep what a run consumed.  [default: keep]")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would go.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def prune(settings: Settings, artifact: str | None, dry_run: bool, yes: bool, **rules: Any) -> None:  # noqa: ANN401, FBT001 (options)
    """Delete the versions that no rule keeps.

    Of one artifact or of all. One of --keep-last and --older-than must be said. What "latest" or a protected alias
    names is always kept. "gc" then frees the bytes.
    """
    if rules["keep_last"] is None and rules["older_than"] is None:
        raise click.UsageError("Say --keep-last or --older-than, so that not every version goes.")
    project = settings.reading() if dry_run else settings.writing()
    plan = project.prune(artifact, dry_run=True, **rules)
    if not dry_run:
        if plan.versions:
            confirm(f"Delete {', '.join(plan.versions)} ({amount(plan.bytes)})?", yes=yes)
        plan = project.prune(artifact, **rules)
    _answer_prune(settings, plan)


def _answer_prune(settings: Settings, report: PruneReport) -> None:
    if settings.json:
        from lineage.documents import PruneDocument

        return emit_document(PruneDocument.from_record(report))
    for reference in report.versions:
        emit(words(reference))
    if not report.versions:
        return note("nothing to delete")
    verb = "would free" if report.dry_run else "frees"
    return note(f"{counted(len(report.versions), 'version')}; 'lineage gc' {verb} {amount(report.bytes)}")
