"""Commands about names, and how long they are to last: alias, tag, link, unlink, ttl, mv."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import click

from lineage import AliasEvent, ErrorKind, InvalidInputError, Project, Reference, Run, Version
from lineage.cli.ask import run_names
from lineage.cli.context import Settings, command, complete_names, lifetime_of
from lineage.cli.output import (
    NOTHING,
    Column,
    emit,
    emit_document,
    emit_documents,
    emit_table,
    lifetime,
    moment,
    words,
)
from lineage.values import LATEST

if TYPE_CHECKING:
    from collections.abc import Callable

_FOR_GOOD: Final = "none"
"""How ``lineage ttl`` says that a version has no time to live."""


@click.group(invoke_without_command=True)
@click.pass_context
def alias(context: click.Context) -> None:
    """Set, remove and list aliases; show where they pointed before."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def _override_option(function: Callable[..., None]) -> Callable[..., None]:
    return click.option("--override", is_flag=True, help="Also if the alias is protected.")(function)


@command("a version document", name="set")
@click.argument("reference", metavar="REF", shell_complete=complete_names)
@click.argument("names", nargs=-1, required=True, metavar="ALIAS...")
@click.option("--protect/--unprotect", default=None, help="From now on it moves only with --override; or freely.")
@_override_option
def set_(
    settings: Settings,
    reference: str,
    names: tuple[str, ...],
    protect: bool | None,  # noqa: FBT001 (an option)
    override: bool,  # noqa: FBT001 (an option)
) -> None:
    """Let aliases name a version; they leave the ones they named.

    As in:

    lineage alias set iv3:v3 best
    """
    project = settings.writing()
    with project.batch():
        version = project.version(reference)
        for name in names:
            version.add_alias(name, protect=protect, override=override)
    _answer_version(settings, version)


def _answer_version(settings: Settings, version: Version) -> None:
    if settings.json:
        from lineage.documents import VersionDocument

        emit_document(VersionDocument.from_record(version.record))
    else:
        aliases = f" [{', '.join(version.aliases)}]" if version.aliases else ""
        emit(words(version.reference + aliases))


@command("a version document", name="rm")
@click.argument("reference", metavar="NAME:ALIAS", shell_complete=complete_names)
@_override_option
def rm_(settings: Settings, reference: str, override: bool) -> None:  # noqa: FBT001 (an option)
    """Take an alias off the version it names.

    As in:

    lineage alias rm iv3:best
    """
    parsed = Reference.parse(reference)
    if parsed.alias is None:
        message = f"{reference!r} names no alias: give NAME:ALIAS, such as {parsed.name}:best"
        raise InvalidInputError(message, kind=ErrorKind.REFERENCE_INVALID)
    project = settings.writing()
    with project.batch():
        version = project.version(parsed).remove_alias(parsed.alias, override=override)
    _answer_version(settings, version)


@command("a list of alias-event documents, oldest first", name="history")
@click.argument("reference", metavar="NAME[:ALIAS]", shell_complete=complete_names)
def history_(settings: Settings, reference: str) -> None:
    """Show every move of an alias, or of all aliases of an artifact: which version, when, who, in which run."""
    project = settings.reading()
    events = project.alias_history(reference)
    if settings.json:
        from lineage.documents import AliasEventDocument

        return emit_documents(AliasEventDocument.from_record(event) for event in events)
    name = run_names(project)
    columns: list[Column[AliasEvent]] = [
        Column("alias", lambda event: words(event.alias), shrinks=True),
        Column("from", lambda event: words(event.moved_from)),
        Column("to", lambda event: words(event.moved_to)),
        Column("at", lambda event: moment(event.at)),
        Column("by", lambda event: words(event.user), shrinks=True),
        Column("run", lambda event: NOTHING if event.run is None else name(event.run), shrinks=True),
    ]
    return emit_table(columns, events, "never moved")


@command("a list of alias documents", name="ls")
@click.argument("name", required=False, metavar="[NAME]", shell_complete=complete_names)
def ls_(settings: Settings, name: str | None) -> None:
    """List aliases and the versions they name, of one artifact or of all.

    One that is protected moves only with --override.
    """
    project = settings.reading()
    if name is not None:
        project.artifact(name)
    versions = project.versions({"aliases": {"$ne": None}}, artifact=name, order=["name", "number"])
    found = [(version, alias) for version in versions for alias in version.aliases]
    if settings.json:
        from lineage.documents import AliasDocument

        return emit_documents(
            AliasDocument(
                name=version.name,
                alias=alias,
                reference=version.reference,
                protected=alias in version.protected_aliases,
            )
            for version, alias in found
        )
    columns: list[Column[tuple[Version, str]]] = [
        Column("artifact", lambda item: words(item[0].name)),
        Column("alias", lambda item: words(item[1])),
        Column("version", lambda item: words(item[0].reference)),
        Column("protected", lambda item: "yes" if item[1] in item[0].protected_aliases else NOTHING),
        Column("created", lambda item: moment(item[0].created_at)),
    ]
    return emit_table(columns, found, "no aliases")


for _subcommand in (set_, rm_, history_, ls_):
    alias.add_command(_subcommand)


@command("a run or a version document")
@click.argument("node", metavar="NODE", shell_complete=complete_names)
@click.argument("tags", nargs=-1, metavar="[TAG]...")
@click.option("-r", "--remove", is_flag=True, help="Take the tags away.")
def tag(settings: Settings, node: str, tags: tuple[str, ...], remove: bool) -> None:  # noqa: FBT001 (an option)
    """Put tags on a run or version, or take them away.

    Without TAG it prints those it has. As in:

    lineage tag iv3:v3 reviewed
    """
    if not tags:
        return _answer_tags(settings, settings.reading().node(node))
    project = settings.writing()
    with project.batch():
        found = _tagged(project, node, tags, remove=remove)
    return _answer_tags(settings, found)


def _tagged(project: Project, node: str, tags: tuple[str, ...], *, remove: bool) -> Run | Version:
    found = project.node(node)
    kept = [tag for tag in found.tags if tag not in tags]
    return found.update(tags=kept if remove else [*kept, *tags])


def _answer_tags(settings: Settings, found: Run | Version) -> None:
    if settings.json:
        from lineage.documents import RunDocument, VersionDocument

        document = VersionDocument if isinstance(found, Version) else RunDocument
        return emit_document(document.from_record(found.record))
    for text in found.tags:
        emit(words(text))
    return None


@command("a version document")
@click.argument("reference", metavar="REF", shell_complete=complete_names)
@click.argument("collection", shell_complete=complete_names)
@click.option("--alias", "aliases", multiple=True, metavar="ALIAS", help="Let it name the link.")
def link(settings: Settings, reference: str, collection: str, aliases: tuple[str, ...]) -> None:
    """Put a version into a collection.

    There it has a number and aliases of its own; content, words and lineage stay the version's. The collection is made
    if it is not there. A linked version has no time to live, and prune leaves it alone. As in:

    lineage link iv3:best "Best models" --alias production
    """
    _answer_version(settings, settings.writing().link(reference, collection, aliases=aliases))


@command("a list of deleted documents")
@click.argument("references", nargs=-1, required=True, metavar="COLLECTION:REF...", shell_complete=complete_names)
@click.option("--delete-aliases", is_flag=True, help="Also if an alias other than latest names it.")
@click.option("--override", is_flag=True, help="Also if a protected alias names it.")
def unlink(settings: Settings, references: tuple[str, ...], delete_aliases: bool, override: bool) -> None:  # noqa: FBT001 (options)
    """Take versions out of a collection.

    All or none; the versions themselves stay. "rm" deletes a whole collection. As in:

    lineage unlink "Best models:v0"
    """
    project = settings.writing()
    with project.batch():
        links = [_link(project, reference) for reference in dict.fromkeys(references)]
        for one in links:
            aliases = delete_aliases or override or one.refresh().aliases in ((), (LATEST,))
            one.delete(delete_aliases=aliases, override=override)
    if settings.json:
        from lineage.documents import DeletedDocument

        return emit_documents(DeletedDocument(kind="version", id=one.reference) for one in links)
    for one in links:
        emit(words(f"unlinked {one.reference} from {one.link_to}"))
    return None


def _link(project: Project, reference: str) -> Version:
    if not {":", "@"} & set(reference):
        message = f"{reference!r} names a whole collection: give one link of it, such as {reference}:latest"
        raise InvalidInputError(message, kind=ErrorKind.REFERENCE_INVALID)
    version = project.version(reference)
    if version.link_to is None:
        message = f"{version.reference} is no link: 'lineage rm' deletes versions"
        raise InvalidInputError(message, kind=ErrorKind.REFERENCE_INVALID)
    return version


def _time(context: click.Context, parameter: click.Parameter, value: str | None) -> timedelta | None:
    return timedelta.max if value == _FOR_GOOD else lifetime_of(context, parameter, value)


@command("a version document")
@click.argument("reference", metavar="REF", shell_complete=complete_names)
@click.argument("time", required=False, metavar="[TIME|none]", callback=_time)
def ttl(settings: Settings, reference: str, time: timedelta | None) -> None:
    """Show or set how long a version is to live.

    TIME counts from when it was logged, and is such as 12h, 30d or 8w; "none" is for good. When it is over, "prune
    --expired" deletes the version. A linked version is for good.
    """
    if time is None:
        version = settings.reading().version(reference)
    else:
        version = settings.writing().version(reference).update(ttl=time)
    if settings.json:
        from lineage.documents import VersionDocument

        emit_document(VersionDocument.from_record(version.record))
    else:
        emit(lifetime(version.record.ttl) or _FOR_GOOD)


@command("an artifact document")
@click.argument("old", shell_complete=complete_names)
@click.argument("new")
def mv(settings: Settings, old: str, new: str) -> None:
    """Give an artifact another name.

    Versions, aliases and lineage stay.
    """
    record = settings.writing().rename_artifact(old, new)
    if settings.json:
        from lineage.documents import ArtifactDocument

        emit_document(ArtifactDocument.from_record(record))
    else:
        emit(words(record.name))
