"""Commands for files that travel: pack, unpack, merge, fill."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lineage import Decision, MergeReport, Renamed
from lineage.cli.context import Settings, byte_count, command, complete_names
from lineage.cli.output import (
    Column,
    amount,
    emit,
    emit_document,
    emit_facts,
    listed,
    progress,
    section_table,
    words,
)
from lineage.sharing import MAX_ENTRIES, MAX_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

    from lineage.portable.reports import AliasPolicy, Policy, Which


def _max_size_option(function: Callable[..., None]) -> Callable[..., None]:
    read = byte_count(default=MAX_SIZE)
    return click.option("--max-size", callback=read, metavar="SIZE", help="Refuse a larger file, such as 10GB.")(
        function
    )


@command("a pack document")
@click.argument("file", metavar="FILE")
@click.argument("select", nargs=-1, metavar="[REF|RUN]...", shell_complete=complete_names)
@click.option("--upstream/--no-upstream", default=True, help="With what they were made from.  [default: upstream]")
@click.option("--downstream", is_flag=True, help="With what was made from them.")
@click.option(
    "--versions",
    type=click.Choice(["all", "latest", "aliased"]),
    default="all",
    help="Of artifacts given by bare name, or of all.  [default: all]",
)
@click.option("--content/--no-content", default=True, help="With all bytes, or with none.  [default: content]")
@click.option("--content-type", "types", multiple=True, metavar="TYPE", help="With the bytes of this type of artifact.")
@click.option("--overwrite", is_flag=True, help="Replace a file of that name.")
@click.option("--digest", is_flag=True, help="Print nothing but the digest over all that is in the file.")
def pack(  # noqa: PLR0913, PLR0917 (options)
    settings: Settings,
    file: str,
    select: tuple[str, ...],
    upstream: bool,  # noqa: FBT001 (an option)
    downstream: bool,  # noqa: FBT001 (an option)
    versions: Which,
    content: bool,  # noqa: FBT001 (an option)
    types: tuple[str, ...],
    overwrite: bool,  # noqa: FBT001 (an option)
    digest: bool,  # noqa: FBT001 (an option)
) -> None:
    """Write the project, or a part of it, into one file.

    Every byte is inside, unless told otherwise. The file is a project that every command opens where it lies. The
    same content has the same digest, whoever packed it.
    """
    if types and not content:
        raise click.UsageError("--no-content leaves all bytes out, --content-type all but those of a type.")
    with progress("pack") as tell:
        report = settings.reading().pack(
            file,
            select=select or None,
            upstream=upstream,
            downstream=downstream,
            versions=versions,
            content={"type": types} if types else content,
            overwrite=overwrite,
            progress=tell,
        )
    if settings.json:
        from lineage.documents import PackDocument

        return emit_document(PackDocument.from_record(report))
    if digest:
        return emit(report.digest)
    return emit_facts(
        [
            ("file", words(report.file)),
            ("size", amount(report.size)),
            ("digest", report.digest),
            ("runs", str(report.runs)),
            ("artifacts", str(report.artifacts)),
            ("versions", str(report.versions)),
            ("blobs", f"{report.blobs} ({amount(report.bytes)})"),
            ("left out", f"{report.left_out} ({amount(report.left_out_bytes)})" if report.left_out else ""),
        ]
    )


@command("an unpack document")
def unpack(settings: Settings) -> None:
    """Turn a packed file into a file and a blob folder.

    A packed file can be used and written to as it is; this makes a live project of it.
    """
    project = settings.writing()
    with progress("unpack") as tell:
        report = project.unpack(progress=tell)
    if settings.json:
        from lineage.documents import UnpackDocument

        return emit_document(UnpackDocument.from_record(report))
    return emit_facts([("moved", f"{report.blobs} ({amount(report.bytes)})")])


@command("a merge document")
@click.argument("file", metavar="FILE")
@click.option(
    "--aliases",
    type=click.Choice(["ours", "theirs", "newest", "both"]),
    default="ours",
    help='Where an alias names different versions; "both" puts theirs beside it, as theirs/ALIAS.  [default: ours]',
)
@click.option(
    "--metadata",
    type=click.Choice(["ours", "theirs", "newest"]),
    default="ours",
    help="Where words about a version, run or artifact differ.  [default: ours]",
)
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would come in.")
@_max_size_option
@click.option("--max-entries", type=int, default=MAX_ENTRIES, metavar="ROWS", help="Refuse a file of more rows.")
def merge(  # noqa: PLR0913, PLR0917 (options)
    settings: Settings,
    file: str,
    aliases: AliasPolicy,
    metadata: Policy,
    dry_run: bool,  # noqa: FBT001 (an option)
    max_size: int,
    max_entries: int,
) -> None:
    """Take in another project, packed or live.

    All of it, or nothing. What both have is recognised; new versions of an artifact that both have get the next
    numbers here. The file is not trusted: it is checked whole before anything of it is believed.
    """
    project = settings.reading() if dry_run else settings.writing()
    with progress("merge") as tell:
        report = project.merge(
            file,
            aliases=aliases,
            metadata=metadata,
            dry_run=dry_run,
            max_size=max_size,
            max_entries=max_entries,
            progress=tell,
        )
    if settings.json:
        from lineage.documents import MergeDocument

        return emit_document(MergeDocument.from_record(report))
    return _show_merge(report)


def _show_merge(report: MergeReport) -> None:
    emit_facts(
        [
            ("would merge" if report.dry_run else "merged", words(report.source)),
            ("runs", f"{report.runs} new, {report.known_runs} known"),
            ("versions", f"{report.versions} new, {report.known_versions} known"),
            ("artifacts", f"{report.artifacts} new"),
            ("edges", f"{report.edges} new"),
            ("blobs", f"{report.blobs} ({amount(report.bytes)})" if report.blobs else ""),
            ("deleted here", listed(report.deleted_here) if report.deleted_here else ""),
            ("deleted there", listed(report.deleted_there) if report.deleted_there else ""),
        ]
    )
    columns: list[Column[Renamed]] = [
        Column("theirs", lambda pair: words(pair.theirs)),
        Column("ours", lambda pair: words(pair.ours)),
    ]
    section_table("References", columns, [pair for pair in report.references if pair.theirs != pair.ours])
    section_table("Decisions", _DECISIONS, report.decisions)


_DECISIONS: list[Column[Decision]] = [
    Column("what", lambda one: words(one.what)),
    Column("of", lambda one: words(one.subject)),
    Column("ours", lambda one: words(one.ours), shrinks=True),
    Column("theirs", lambda one: words(one.theirs), shrinks=True),
    Column("taken", lambda one: words(one.taken)),
    Column("because", lambda one: words(one.why), shrinks=True),
]


@command("a fill document")
@click.argument("file", metavar="FILE")
@_max_size_option
def fill(settings: Settings, file: str, max_size: int) -> None:
    """Bring bytes that a pack left out, or that were lost.

    FILE is a project, or a backup, that has them; what it does not have stays as it is.
    """
    project = settings.writing()
    with progress("fill") as tell:
        report = project.fill(file, max_size=max_size, progress=tell)
    if settings.json:
        from lineage.documents import FillDocument

        return emit_document(FillDocument.from_record(report))
    left = f"{report.left_out} ({amount(report.left_out_bytes)})" if report.left_out else ""
    return emit_facts([("brought", f"{report.blobs} ({amount(report.bytes)})"), ("left out", left)])
