"""Commands that show one thing whole: show, diff."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from lineage import Change, Comparison, Entry, Run, Version
from lineage.cli.ask import file_columns, outside_columns
from lineage.cli.context import Settings, command, complete_names
from lineage.cli.output import (
    NOTHING,
    Column,
    amount,
    both,
    counted,
    cut,
    emit,
    emit_document,
    emit_facts,
    emit_section,
    json_cell,
    lifetime,
    listed,
    moment,
    on_terminal,
    prose,
    section_table,
    short,
    took,
    width,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lineage.jsondata import JsonObject, JsonValue

_MOST: Final = 20
"""Lines of one section that people see unless they ask for all."""


@command("a run-page or version-page document")
@click.argument("node", metavar="NODE", shell_complete=complete_names)
@click.option("--all", "whole", is_flag=True, help="Every file, consumer and package, also on a terminal.")
def show(settings: Settings, node: str, whole: bool) -> None:  # noqa: FBT001 (an option)
    """Show everything about a run or a version.

    Of a version: aliases, tags, producer, who reproduced it and who consumed it, links, metadata, files. Of a run:
    inputs, outputs, config, summary, code and environment. The name of an artifact stands for its newest version.
    """
    project = settings.reading()
    with project.snapshot():
        found = project.node(node)
        if settings.json:
            _show_document(found)
        elif isinstance(found, Version):
            _show_version(found, None if whole else _MOST)
        else:
            _show_run(found, None if whole else _MOST)


def _show_document(found: Run | Version) -> None:
    from lineage.documents import RunPageDocument, VersionPageDocument

    if isinstance(found, Version):
        emit_document(VersionPageDocument.from_version(found))
    else:
        emit_document(RunPageDocument.from_run(found))


def _show_version(version: Version, most: int | None) -> None:
    record = version.record
    producer = version.logged_by()
    emit_facts(
        [
            ("version", words(version.reference)),
            ("link to", words(version.link_to)),
            ("project", f"{words(version.project)}; its files are there" if version.project else ""),
            ("type", words(version.type)),
            ("deleted", both(record.deleted_at) if record.deleted_at else ""),
            ("aliases", listed(version.aliases)),
            ("protected", listed(version.protected_aliases)),
            ("tags", listed(version.tags)),
            ("size", f"{amount(version.size)} in {counted(version.file_count, 'file')}"),
            ("digest", words(version.digest)),
            ("created", both(version.created_at)),
            ("time to live", lifetime(record.ttl)),
            ("step", words(record.step)),
            ("description", prose(version.description)),
            ("produced by", "" if producer else "no run" if version.project is None else "asked there"),
        ]
    )
    section_table("produced by", _run_columns(), [] if producer is None else [producer])
    section_table("reproduced by", _run_columns(), version.reproduced_by(), most)
    section_table("used by", _run_columns(), version.used_by(), most)
    section_table("links", _link_columns(), version.links(), most)
    section_table("in other projects", outside_columns(), version.outside_uses(), most)
    emit_section("metadata", _data(version.metadata), most)
    if not version.deleted and version.project is None:
        section_table("files", file_columns(), version.files(), most)


def _link_columns() -> list[Column[Version]]:
    return [
        Column("link", lambda link: words(link.reference)),
        Column("aliases", lambda link: listed(link.aliases), shrinks=True),
        Column("created", lambda link: moment(link.created_at)),
    ]


def _state(run: Run) -> str:
    return "deleted" if run.record.deleted_at else run.status


def _run_columns() -> list[Column[Run]]:
    return [
        Column("run", lambda run: words(run.name)),
        Column("job type", lambda run: words(run.job_type), shrinks=True),
        Column("status", _state),
        Column("started", lambda run: moment(run.record.started_at)),
        Column("id", lambda run: words(run.id)),
    ]


def _show_run(run: Run, most: int | None) -> None:
    record = run.record
    emit_facts(
        [
            ("run", words(run.name)),
            ("id", words(run.id)),
            ("job type", words(run.job_type)),
            ("group", words(run.group)),
            ("status", words(run.status)),
            ("deleted", both(record.deleted_at) if record.deleted_at else ""),
            ("exit code", words(record.exit_code)),
            ("error", prose(record.error)),
            ("tags", listed(run.tags)),
            ("started", both(record.started_at)),
            ("took", took(record)),
            ("where", words("@".join(filter(None, [record.user, record.host])))),
            ("notes", prose(run.notes)),
        ]
    )
    _show_edges(run, most)
    emit_section("config", _data(run.config), most)
    emit_section("summary", _data(run.summary), most)
    emit_section("code", _data(_joined(record.code, "command")), most)
    emit_section("environment", _environment(record.environment, whole=most is None or not on_terminal()))


def _show_edges(run: Run, most: int | None) -> None:
    from lineage.documents import roles_of

    inputs, outputs, again = run.used_artifacts(), run.logged_artifacts(), run.reproduced()
    roles = roles_of(run) if inputs else {}
    used: Column[Version] = Column("used as", lambda version: words(roles.get(version.reference)), shrinks=True)
    columns = _version_columns()
    section_table("inputs", [*columns, used], inputs, most)
    section_table("outputs", columns, outputs, most)
    section_table("reproduced", columns, again, most)


def _version_columns() -> list[Column[Version]]:
    return [
        Column("version", lambda version: words(version.reference)),
        Column("type", lambda version: words(version.type), shrinks=True),
        Column("aliases", lambda version: "deleted" if version.deleted else listed(version.aliases), shrinks=True),
        Column("size", lambda version: amount(version.size), right=True),
    ]


def _data(data: Mapping[str, JsonValue]) -> list[str]:
    """Return JSON data as lines, names of nested keys dotted; on a terminal each as long as it is wide."""
    flat = dict(_flattened(data, ""))
    column = max((len(key) for key in flat), default=0)
    lines = [f"{key.ljust(column)}  {json_cell(value)}" for key, value in flat.items()]
    return [cut(line, width() - 2) for line in lines] if on_terminal() else lines


def _flattened(data: Mapping[str, JsonValue], prefix: str) -> list[tuple[str, JsonValue]]:
    found: list[tuple[str, JsonValue]] = []
    for key, value in data.items():
        name = prefix + words(key)
        if isinstance(value, dict) and value and "_type" not in value:
            found += _flattened(value, name + ".")
        else:
            found.append((name, value))
    return found


def _joined(data: JsonObject, key: str) -> JsonObject:
    """Return the data with a list of arguments as the command line that it was."""
    import shlex

    value = data.get(key)
    return {**data, key: shlex.join(map(str, value))} if isinstance(value, list) else data


def _environment(data: JsonObject, *, whole: bool) -> list[str]:
    packages = data.get("packages")
    if whole or not isinstance(packages, dict):
        return _data(data)
    return _data({**data, "packages": f"{counted(len(packages), 'package')}; --all lists them"})


# --- diff ------------------------------------------------------------------------------------------------------


@command("a comparison document")
@click.argument("old", metavar="OLD", shell_complete=complete_names)
@click.argument("new", metavar="NEW", shell_complete=complete_names)
@click.option("--all", "whole", is_flag=True, help="Every file, also on a terminal.")
def diff(settings: Settings, old: str, new: str, whole: bool) -> None:  # noqa: FBT001 (an option)
    """Show what changed between two versions.

    Files, metadata, config and code of the runs that produced them, and what lies upstream.
    """
    found = settings.reading().diff(old, new)
    if settings.json:
        from lineage.documents import ComparisonDocument

        return emit_document(ComparisonDocument.from_record(found))
    return _show_diff(found, None if whole else _MOST)


def _show_diff(found: Comparison, most: int | None) -> None:
    emit(words(f"{found.old} -> {found.new}"))
    counts = [(len(found.added), "added"), (len(found.removed), "removed"), (len(found.changed), "changed")]
    said = ", ".join(f"{count:,} {what}" for count, what in [*counts, (found.unchanged, "unchanged")] if count)
    emit_section("files", ["all the same" if found.same_content else said, *_file_lines(found)], most)
    emit_section("metadata", _changes(found.metadata))
    emit_section("config", _changes(found.config))
    emit_section("code", _changes({key: _of_code(key, change) for key, change in found.code.items()}))
    emit_section("upstream", _upstream(found))


def _file_lines(found: Comparison) -> list[str]:
    lines = [("+", entry, amount(entry.size)) for entry in found.added]
    lines += [("-", entry, amount(entry.size)) for entry in found.removed]
    lines += [("~", old, _grown(old, new)) for old, new in found.changed]
    lines.sort(key=lambda line: line[1].path)
    column = max((len(words(entry.path)) for _, entry, _ in lines), default=0)
    return [f"{sign} {words(entry.path).ljust(column)}  {much}" for sign, entry, much in lines]


def _grown(old: Entry, new: Entry) -> str:
    return amount(old.size) if old.size == new.size else f"{amount(old.size)} -> {amount(new.size)}"


def _changes(changes: Mapping[str, Change]) -> list[str]:
    column = max((len(words(key)) for key in changes), default=0)
    return [
        f"{words(key).ljust(column)}  {_side(change.old)} -> {_side(change.new)}" for key, change in changes.items()
    ]


def _of_code(key: str, change: Change) -> Change:
    """Return what changed of the code as people read it: a command as it was typed, a digest as far as it tells."""
    old, new = (
        short(value)
        if key.endswith(("_digest", "_commit")) and isinstance(value, str)
        else _joined({key: value}, key)[key]
        for value in (change.old, change.new)
    )
    return Change(old, new)


def _side(value: JsonValue) -> str:
    """Return a value before or after; null and what is missing are one to a person."""
    return NOTHING if value is None else json_cell(value)


def _upstream(found: Comparison) -> list[str]:
    column = max((len(name) for name in found.upstream), default=0)
    moves = {name: f"{_numbers(old)} -> {_numbers(new)}" for name, (old, new) in found.upstream.items()}
    return [f"{words(name).ljust(column)}  {move}" for name, move in moves.items()]


def _numbers(references: tuple[str, ...]) -> str:
    return ", ".join(reference.rpartition(":")[2] for reference in references) or "none"
