"""Commands that delete: rm, prune."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, Final, Literal

import click

from lineage import ErrorKind, InvalidInputError, NotFoundError, Project, PruneReport, Run, Version
from lineage.cli.context import Settings, command, complete_names, duration
from lineage.cli.output import amount, counted, emit, emit_document, emit_documents, note, words

_DECLINED: Final = 1


def confirm(question: str, *, yes: bool) -> None:
    """Ask a person, on a terminal only: a script is taken at its word. Who says no ends the command.

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
@click.option("--delete-aliases", is_flag=True, help="Also if aliases name it, or links stand for it.")
@click.option("--delete-versions", is_flag=True, help="Of a run: also the versions it produced.")
@click.option("--force", "--override", "force", is_flag=True, help="Also if protected aliases name it.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask; without a terminal nobody is asked.")
def rm(settings: Settings, nodes: tuple[str, ...], kind: str | None, yes: bool, **how: bool) -> None:  # noqa: FBT001 (an option)
    """Delete versions, runs or whole artifacts, all or none.

    NODE is a version (name:v3, name:alias, name@digest), a run (name or id), or the name of an artifact, with all its
    versions. What is deleted stays in the lineage, marked so; "gc" then frees the bytes. Of a link, or of a collection,
    only links go; "unlink" does that too.
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
        return _version_target(project.version(text))
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


def _version_target(version: Version) -> _Target:
    if version.link_to is not None:
        return _Target("version", version.reference, f"link {version.reference} to {version.link_to}")
    links = [link.reference for link in version.links()]
    with_links = f" with {counted(len(links), 'link')} to it ({', '.join(links)})" if links else ""
    return _Target("version", version.reference, f"version {version.reference}{with_links}")


def _run_target(run: Run) -> _Target:
    return _Target("run", run.id, f"run {run.name} ({run.id})")


def _artifact_target(project: Project, name: str) -> _Target:
    record = project.artifact(name)
    what, noun = ("collection", "link") if record.collection else ("artifact", "version")
    return _Target("artifact", record.name, f"{what} {record.name} ({counted(record.version_count, noun)})")


def _delete(project: Project, target: _Target, *, delete_aliases: bool, delete_versions: bool, force: bool) -> None:
    aliases = delete_aliases or force
    if target.kind == "version":
        project.version(target.id).delete(delete_aliases=aliases, override=force)
    elif target.kind == "run":
        project.run(target.id).delete(delete_versions=delete_versions, delete_aliases=aliases)
    else:
        project.delete_artifact(target.id, delete_aliases=aliases, override=force)


@command("a prune document")
@click.argument("artifact", required=False, metavar="[NAME]", shell_complete=complete_names)
@click.option("--keep-last", type=int, metavar="N", help="Keep the newest so many of each artifact.")
@click.option(
    "--older-than", callback=duration, metavar="AGE", help="Delete only what is older, such as 12h, 30d or 8w."
)
@click.option("--expired", is_flag=True, help="Delete only what has outlived its time to live.")
@click.option("--type", metavar="TYPE", help="Only of artifacts of this type.")
@click.option("--keep-aliased/--no-keep-aliased", default=True, help="Keep what an alias names.  [default: keep]")
@click.option("--keep-tagged/--no-keep-tagged", default=True, help="Keep what bears a tag.  [default: keep]")
@click.option("--keep-used/--no-keep-used", default=True, help="Keep what a run consumed.  [default: keep]")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would go.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask; without a terminal nobody is asked.")
def prune(settings: Settings, artifact: str | None, dry_run: bool, yes: bool, **rules: Any) -> None:  # noqa: ANN401, FBT001 (options)
    """Delete the versions that no rule keeps.

    Of one artifact or of all. One of --keep-last, --older-than and --expired must be said. What "latest" or a protected
    alias names, and what a collection links to, is always kept. "gc" then frees the bytes.
    """
    if rules["keep_last"] is None and rules["older_than"] is None and not rules["expired"]:
        raise click.UsageError("Say --keep-last, --older-than or --expired, so that not every version goes.")
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
