"""Commands that list: ls, used-by, search, whereis, stale, sql."""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import click

from lineage import ArtifactRecord, Entry, Location, OutsideUse, Project, Run, SearchHit, Stale, Version
from lineage.cli.context import Settings, command, complete_names, where_of
from lineage.cli.output import (
    NOTHING,
    Column,
    amount,
    counted,
    emit,
    emit_documents,
    emit_table,
    json_cell,
    listed,
    moment,
    note,
    pairs,
    section_table,
    short,
    took,
    words,
)
from lineage.values import RUN_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


_COMMON: Final = {"where", "order", "limit", "include_deleted"}
_OPTIONS: Final = {
    "runs": _COMMON | {"job_type", "status", "group", "tags", "consumed", "produced"},
    "artifacts": _COMMON | {"type"},
    "versions": _COMMON | {"type", "alias", "tags"},
    "files": frozenset(),
}
"""Which options narrow which list; their names are the core's."""


def run_columns() -> list[Column[Run]]:
    """Return how runs stand in a table."""
    return [
        Column("run", lambda run: words(run.name)),
        Column("job type", lambda run: words(run.job_type), shrinks=True),
        Column("status", lambda run: "deleted" if run.record.deleted_at else run.status),
        Column("started", lambda run: moment(run.record.started_at)),
        Column("took", lambda run: took(run.record), right=True),
        Column("summary", lambda run: pairs(run.summary), shrinks=True),
    ]


def version_columns() -> list[Column[Version]]:
    """Return how versions stand in a table."""
    return [
        Column("version", lambda version: words(version.reference)),
        Column("type", lambda version: words(version.type), shrinks=True),
        Column("aliases", lambda version: "deleted" if version.deleted else listed(version.aliases), shrinks=True),
        Column("size", lambda version: amount(version.size), right=True),
        Column("created", lambda version: moment(version.created_at)),
        Column("metadata", lambda version: pairs(version.metadata), shrinks=True),
        Column("link to", lambda version: words(version.link_to), shrinks=True),
        Column("project", lambda version: words(version.project), shrinks=True),
    ]


def file_columns() -> list[Column[Entry]]:
    """Return how files stand in a table."""
    return [
        Column("path", lambda entry: words(entry.path), shrinks=True),
        Column("size", lambda entry: amount(entry.size), right=True),
        Column("digest", lambda entry: short(entry.digest)),
        Column("points to", lambda entry: words(entry.uri), shrinks=True),
    ]


def outside_columns() -> list[Column[OutsideUse]]:
    """Return how uses by other projects stand in a table."""
    return [
        Column("project", lambda use: words(use.project)),
        Column("does", lambda use: "used by run" if use.kind == "consumed" else "linked in"),
        Column("what", lambda use: words(use.node), shrinks=True),
        Column("at", lambda use: moment(use.at)),
    ]


@command("a list of artifact, version, run or entry documents")
@click.argument("what", default="artifacts", shell_complete=complete_names)
@click.option("--where", metavar="JSON", help='A filter such as \'{"config.lr": {"$gt": 0.01}}\', or @FILE.')
@click.option("--order", metavar="KEYS", help="Such as -summary.iou; commas between several.")
@click.option("--limit", type=int, metavar="N", help="At most so many.")
@click.option("--type", metavar="TYPE", help="Artifacts and versions of this type.")
@click.option("--alias", metavar="ALIAS", help="Versions that it names.")
@click.option("--job-type", metavar="TYPE", help="Runs of this job type.")
@click.option("--status", metavar="STATUS", help="Runs that are running, finished, failed, killed or crashed.")
@click.option("--group", metavar="GROUP", help="Runs of this group.")
@click.option("--consumed", metavar="REF", help="Runs that consumed this version.")
@click.option("--produced", metavar="REF", help="The run that produced this version.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Runs or versions with it; more than one: with all.")
@click.option("--deleted", "include_deleted", is_flag=True, help="Deleted ones too.")
@click.option("-q", "--quiet", is_flag=True, help="Only references, names, ids or paths, one a line.")
def ls(settings: Settings, what: str, quiet: bool, **given: Any) -> None:  # noqa: ANN401, FBT001 (options)
    """List artifacts, runs, versions or files.

    WHAT is "artifacts", "runs" or "versions"; the name of an artifact, for its versions; or a reference with ":" or
    "@", for the files of that version. The newest stand last. Artifacts are also collections, and what runs used of
    other projects; those that keep the files and media of runs are passed over, unless --type, --where, --json or
    --quiet asks for them.
    """
    kind = what if what in _OPTIONS and what != "files" else "files" if {":", "@"} & set(what) else "versions"
    narrow = {name: value for name, value in given.items() if value}
    _refuse_others(kind, narrow)
    narrow["where"] = where_of(given["where"])
    if given["limit"] is not None:
        narrow["limit"] = given["limit"]
    project = settings.reading()
    passed_over = what in ("artifacts", "versions") and not (quiet or settings.json or given["type"] or given["where"])
    if passed_over:
        narrow["where"] = {"type": {"$nin": RUN_TYPES}}
    if kind == "runs":
        _list_runs(settings, project.runs(**narrow), quiet=quiet)
    elif kind == "artifacts":
        _list_artifacts(settings, project.artifacts(**narrow), quiet=quiet)
    elif kind == "files":
        _list_files(settings, project.version(what).files(), quiet=quiet)
    else:
        if what != "versions":
            narrow["artifact"] = project.artifact(what).name
        _list_versions(settings, project.versions(**narrow), quiet=quiet)
    if passed_over and (left := len(project.artifacts({"type": {"$in": RUN_TYPES}}))):
        note(f"and {counted(left, 'artifact')} of the files and media of runs; --type {RUN_TYPES[1]} lists such")


def _refuse_others(kind: str, narrow: dict[str, Any]) -> None:
    unfit = sorted(narrow.keys() - _OPTIONS[kind])
    if unfit:
        option = {"tags": "tag", "include_deleted": "deleted"}.get(unfit[0], unfit[0]).replace("_", "-")
        raise click.UsageError(f"--{option} does not narrow a list of {kind}.")


def _list_runs(settings: Settings, runs: Iterable[Run], *, quiet: bool) -> None:
    if quiet:
        _emit_names(run.id for run in runs)
    elif settings.json:
        from lineage.documents import RunDocument

        emit_documents(RunDocument.from_record(run.record) for run in runs)
    else:
        emit_table(run_columns(), runs, "no runs")


def _list_versions(settings: Settings, versions: Iterable[Version], *, quiet: bool) -> None:
    if quiet:
        _emit_names(version.reference for version in versions)
    elif settings.json:
        from lineage.documents import VersionDocument

        emit_documents(VersionDocument.from_record(version.record) for version in versions)
    else:
        emit_table(version_columns(), versions, "no versions")


def _list_artifacts(settings: Settings, artifacts: Iterable[ArtifactRecord], *, quiet: bool) -> None:
    if quiet:
        _emit_names(record.name for record in artifacts)
    elif settings.json:
        from lineage.documents import ArtifactDocument

        emit_documents(ArtifactDocument.from_record(record) for record in artifacts)
    else:
        columns: list[Column[ArtifactRecord]] = [
            Column("artifact", lambda record: words(record.name)),
            Column("type", lambda record: words(record.type), shrinks=True),
            Column("versions", _version_count, right=True),
            Column("created", lambda record: moment(record.created_at)),
            Column("description", lambda record: words(record.description), shrinks=True),
            Column("what", _what),
        ]
        emit_table(columns, artifacts, "no artifacts yet; 'lineage log' logs one")


def _what(record: ArtifactRecord) -> str:
    """Say what stands among the artifacts and is more, or less, than one."""
    if record.project is not None:
        return words(f"of {record.project}")
    return "collection" if record.collection else NOTHING


def _version_count(record: ArtifactRecord) -> str:
    return "deleted" if record.deleted_at else str(record.version_count)


def _list_files(settings: Settings, entries: Iterable[Entry], *, quiet: bool) -> None:
    if quiet:
        _emit_names(entry.path for entry in entries)
    elif settings.json:
        from lineage.documents import EntryDocument

        emit_documents(EntryDocument.from_record(entry) for entry in entries)
    else:
        emit_table(file_columns(), entries, "no files")


def _emit_names(names: Iterable[str]) -> None:
    for name in names:
        emit(words(name))


@command("a list of run documents")
@click.argument("reference", metavar="REF", shell_complete=complete_names)
def used_by(settings: Settings, reference: str) -> None:
    """List the runs that consumed a version.

    Runs of other projects are told after them, by project; as documents they are in those of "show".
    """
    project = settings.reading()
    with project.snapshot():
        version = project.version(reference, include_deleted=True)
        runs, outside = version.used_by(), [use for use in version.outside_uses() if use.kind == "consumed"]
    _list_runs(settings, runs, quiet=False)
    if outside and not settings.json:
        section_table("in other projects", outside_columns(), outside)


@command("a list of search-hit documents")
@click.argument("text", nargs=-1, required=True)
@click.option("--limit", type=int, default=50, metavar="N", show_default=True, help="At most so many.")
def search(settings: Settings, text: tuple[str, ...], limit: int) -> None:
    """Find names, notes and descriptions that hold all the words."""
    hits = settings.reading().search(" ".join(text), limit=limit)
    if settings.json:
        from lineage.documents import SearchHitDocument

        return emit_documents(SearchHitDocument.from_record(hit) for hit in hits)
    columns: list[Column[SearchHit]] = [
        Column("kind", lambda hit: hit.kind),
        Column("name", lambda hit: words(hit.id if hit.kind == "version" else hit.name)),
        Column("field", lambda hit: words(hit.field)),
        Column("text", lambda hit: words(hit.text), shrinks=True),
    ]
    return emit_table(columns, hits, "nothing found")


@command("a list of location documents")
@click.argument("file", metavar="FILE|DIGEST")
def whereis(settings: Settings, file: str) -> None:
    """Find the versions that hold the bytes of a file or digest."""
    found = settings.reading().whereis(file)
    if settings.json:
        from lineage.documents import LocationDocument

        return emit_documents(LocationDocument.from_record(location) for location in found)
    columns: list[Column[Location]] = [
        Column("version", lambda location: words(location.reference)),
        Column("path", lambda location: words(location.path), shrinks=True),
        Column("size", lambda location: amount(location.size), right=True),
    ]
    return emit_table(columns, found, "no version holds it")


@command("a list of stale documents")
def stale(settings: Settings) -> None:
    """List what was made from something old and is to be made again."""
    found = settings.reading().stale()
    if settings.json:
        from lineage.documents import StaleDocument

        return emit_documents(StaleDocument.from_record(one) for one in found)
    name = run_names(settings.reading())
    columns: list[Column[Stale]] = [
        Column("version", lambda one: words(one.reference)),
        Column("because run", lambda one: name(one.run), shrinks=True),
        Column("used", lambda one: words(one.used)),
        Column("newest", lambda one: words(one.newest)),
    ]
    return emit_table(columns, found, "nothing is stale")


def run_names(project: Project) -> Callable[[str], str]:
    """Return what tells the name of a run by its id, asked once for each."""
    return cache(lambda run: words(project.run(run).name))


@command("a list of row documents")
@click.argument("query", metavar="QUERY")
def sql(settings: Settings, query: str) -> None:
    """Answer one SELECT over the documented views.

    Such as runs, versions, edges, files and metrics; schema/README.md lists views and columns. "-" reads it from stdin.
    """
    rows = settings.reading().sql(sys.stdin.read() if query == "-" else query)
    if settings.json:
        from lineage.documents import RowDocument

        return emit_documents(RowDocument.from_row(row) for row in rows)
    columns: list[Column[dict[str, Any]]] = [_sql_column(name) for name in rows[0]] if rows else []
    if not rows:
        note("no rows")
    return emit_table(columns, rows)


def _sql_column(name: str) -> Column[dict[str, Any]]:
    def show(row: dict[str, Any]) -> str:
        value = row[name]
        if isinstance(value, bytes):
            return value.hex()
        return NOTHING if value is None else json_cell(value) if isinstance(value, float) else words(value)

    return Column(words(name), show, shrinks=True)
