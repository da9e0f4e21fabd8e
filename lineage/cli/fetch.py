"""Commands that bring files out of a project: get, use."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from lineage import Version
from lineage.cli.context import Settings, command, complete_names
from lineage.cli.output import emit, emit_document, progress, words

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _download_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add what ``get`` and ``use`` take."""
    for option in (
        click.option("--checkout", is_flag=True, help="Remove every other file from DIR."),
        click.option("--path-prefix", metavar="PREFIX", help='Only files whose path begins so, as in "images/".'),
        click.option(
            "--to",
            "folder",
            metavar="DIR",
            help="The folder.  [default: ./artifacts/NAME:VERSION, with --checkout ./artifacts/NAME]",
        ),
        click.argument("reference", metavar="REF", shell_complete=complete_names),
    ):
        function = option(function)
    return function


@command("a download document")
@_download_options
def get(settings: Settings, reference: str, folder: str | None, path_prefix: str | None, checkout: bool) -> None:  # noqa: FBT001 (an option)
    """Download a version, verified, and print the folder.

    What is there and right is left alone; files that are not the version's stay, unless --checkout.
    """
    version = settings.reading().version(reference)
    _answer(settings, version, _download(version, folder, path_prefix, checkout=checkout))


@command("a download document")
@_download_options
@click.option("--run", metavar="RUN", envvar="LINEAGE_RUN_ID", help="The run that consumes it.  [env: LINEAGE_RUN_ID]")
@click.option("--no-download", is_flag=True, help="Only record it.")
def use(  # noqa: PLR0913, PLR0917 (options)
    settings: Settings,
    reference: str,
    folder: str | None,
    path_prefix: str | None,
    checkout: bool,  # noqa: FBT001 (an option)
    run: str | None,
    no_download: bool,  # noqa: FBT001 (an option)
) -> None:
    """Record that a run consumes a version, and download it.

    It downloads as "get" does. Within a program that "lineage run" started, --run may be left out.
    """
    if run is None:
        raise click.UsageError("Say which run consumes it with --run; 'lineage get' downloads without a run.")
    project = settings.writing()
    version = project.version(reference)
    project.record(run, consumed=[version])
    _answer(settings, version, None if no_download else _download(version, folder, path_prefix, checkout=checkout))


def _download(version: Version, folder: str | None, path_prefix: str | None, *, checkout: bool) -> Path:
    if checkout and path_prefix is not None:
        raise click.UsageError("--checkout makes a folder hold the whole version, --path-prefix a part of it.")
    wanted = version.files() if sys.stderr.isatty() else []
    total = sum(entry.size or 0 for entry in wanted if entry.path.startswith(path_prefix or ""))
    with progress(f"get {version.reference}", total) as tell:
        if checkout:
            return version.checkout(folder, progress=tell)
        return version.download(folder, path_prefix, progress=tell)


def _answer(settings: Settings, version: Version, folder: Path | None) -> None:
    if settings.json:
        from lineage.documents import DownloadDocument

        place = None if folder is None else os.fsdecode(folder)
        return emit_document(DownloadDocument(reference=version.reference, folder=place))
    return emit(words(version.reference if folder is None else folder))
