"""Commands for files that travel: pack, unpack, merge, fill."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lineage.cli.context import Settings, command, complete_names
from lineage.cli.output import amount, emit, emit_document, emit_facts, progress, words

if TYPE_CHECKING:
    from lineage.portable.selection import Which


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
    """Write the project, or a part of it, into one FILE with every byte inside.

    The file is a project that every command opens where it lies. The same content has the same digest, whoever
    packed it.
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
    """Move the large contents of a packed project into the folder beside it.

    A packed file can be used and written to as it is; this makes a live project of it.
    """
    project = settings.writing()
    with progress("unpack") as tell:
        report = project.unpack(progress=tell)
    if settings.json:
        from lineage.documents import UnpackDocument

        return emit_document(UnpackDocument.from_record(report))
    return emit_facts([("moved", f"{report.blobs} ({amount(report.bytes)})")])
