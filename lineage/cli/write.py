"""Commands that add to a project: init, log."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Final, Literal

import click

import lineage
from lineage import Artifact, InvalidInputError, Project, Version
from lineage.cli.context import Settings, command, lifetime_of, object_of, source_of
from lineage.cli.output import emit, emit_document, note, progress, words

_SUFFIX: Final = ".lineage"
_UNSPECIFIED: Final = "unspecified"
"""The type of a new artifact for which none was given; the library's own word."""


@command("a project document")
@click.argument("path", required=False, metavar="[PATH]")
def init(settings: Settings, path: str | None) -> None:
    """Make a project, unless it is there.

    PATH is the file (".lineage" may be left out), or a folder: then the project that lies there, else a file named
    after it. If not said, this folder.
    """
    file = _project_file(path or settings.project)
    there = file.exists()
    project = lineage.open(file, timeout=settings.timeout)
    if settings.json:
        from lineage.documents import ProjectDocument

        return emit_document(ProjectDocument(project=os.fsdecode(project.file), created=not there))
    emit(words(project.file))
    return note("was there already" if there else "made; log what you have with 'lineage log SOURCE NAME --type TYPE'")


def _project_file(path: str | None) -> Path:
    if path is None or Path(path).is_dir():
        folder = Path(path or ".").absolute()
        there = sorted(folder.glob(f"*{_SUFFIX}"))
        return there[0] if there else folder / f"{folder.resolve().name or 'project'}{_SUFFIX}"
    return Path(path if path.endswith(_SUFFIX) else path + _SUFFIX)


@command("a log document")
@click.argument("source")
@click.argument("name", metavar="NAME[:ALIAS]...")
@click.option("--type", metavar="TYPE", help="Of the artifact.  [default: the one it has, or unspecified]")
@click.option("--alias", "aliases", multiple=True, metavar="ALIAS", help="Let it name the version.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Put it on the version.")
@click.option("--metadata", metavar="JSON", help="Data about the version, or @FILE.")
@click.option("--description", metavar="TEXT", help="Words about the version.")
@click.option("--path", "inside", metavar="PATH", help="Where in the artifact the file, folder or reference goes.")
@click.option("--ttl", callback=lifetime_of, metavar="TIME", help="Let it live so long, such as 12h, 30d or 8w.")
@click.option("--run", metavar="RUN", envvar="LINEAGE_RUN_ID", help="The run that made it.  [env: LINEAGE_RUN_ID]")
@click.option("--job-type", metavar="TYPE", help="Note a new run of this job type as what made it.")
@click.option("--only-if-better", "better", metavar="METRIC:max|min", help="Only if its metadata beats that of latest.")
@click.option("--force-new-version", is_flag=True, help="Also if the artifact holds this content already.")
def log(  # noqa: PLR0913, PLR0917 (options)
    settings: Settings,
    source: str,
    name: str,
    run: str | None,
    job_type: str | None,
    better: str | None,
    **words_: Any,  # noqa: ANN401 (options)
) -> None:
    """Log a file, a folder or a URI as a version of an artifact.

    It prints the reference. Content that the artifact holds already gives that version back. Without --run or
    --job-type the version has no producer. --run names a run that is there, also a finished one. When the time of --ttl
    is over, "prune --expired" deletes the version.
    """
    if job_type is not None:
        run = None
    name, *aliases = name.split(":")
    project = settings.writing()
    metadata = object_of(words_["metadata"], "--metadata")
    draft = _named(project, name, words_["type"], words_["description"], metadata)
    draft.ttl = words_["ttl"]
    fill(draft, source_of(source), words_["inside"])
    how = {
        "aliases": [*aliases, *words_["aliases"]],
        "tags": words_["tags"],
        "only_if_better": better_of(better),
        "force_new_version": words_["force_new_version"],
    }
    _answer_log(settings, _logged(project, draft, run, job_type, how))


def _logged(
    project: Project, draft: Artifact, run: str | None, job_type: str | None, how: dict[str, Any]
) -> Version | None:
    version: Version | None
    if job_type is None:
        version = project.log_artifact(draft, run=run, **how)
    else:
        with project.start_run(job_type) as active:
            version = active.log_artifact(draft, **how)
    return version


def _answer_log(settings: Settings, version: Version | None) -> None:
    if settings.json:
        from lineage.documents import LogDocument

        emit_document(LogDocument.from_version(version))
    elif version is None:
        note("not logged: it is not better than latest")
    else:
        emit(words(version.reference))


def better_of(text: str | None) -> tuple[str, Literal["max", "min"]] | None:
    """Return metric and direction of ``--only-if-better``; the library refuses what is no direction.

    Raises:
        InvalidInputError: It has no colon.
    """
    if text is None:
        return None
    metric, colon, direction = text.rpartition(":")
    if not colon or direction not in ("max", "min"):
        raise InvalidInputError(f"--only-if-better {text!r}: give METRIC:max or METRIC:min")
    return metric, "max" if direction == "max" else "min"


def type_of(project: Project, name: str, type: str | None) -> str:
    """Return the type to log an artifact with: the one given, else its own, also if deleted, else ``unspecified``."""
    if type is not None:
        return type
    return next((known.type for known in project.artifacts({"name": name}, include_deleted=True)), _UNSPECIFIED)


def _named(project: Project, name: str, type: str | None, description: str | None, metadata: object) -> Artifact:
    """Return an empty draft."""
    return Artifact(name, type_of(project, name, type), description, metadata)


def fill(draft: Artifact, source: str | Path, inside: str | None = None) -> None:
    """Put a file, the files of a folder, or a reference into a draft, with a progress bar.

    Raises:
        InvalidInputError: It is none of these.
    """
    from lineage.system import walk_files
    from lineage.values import is_uri

    if isinstance(source, str) and is_uri(source):
        draft.add_reference(source, inside)
        return
    path = Path(source)
    is_folder = path.is_dir()
    files = (file for file, _ in walk_files(path)) if is_folder else [path]
    total = sum(map(_size_of, files)) if sys.stderr.isatty() else 0
    with progress(f"log {draft.name}", total) as tell:
        if is_folder:
            draft.add_dir(path, inside or None, progress=tell)
        else:
            entry = draft.add_file(path, inside)
            if tell is not None:
                tell(entry.size or 0)


def _size_of(file: Path) -> int:
    """Return the bytes of a file, for a progress bar; what is wrong with it is told when it is read."""
    try:
        return file.stat().st_size
    except OSError:
        return 0
