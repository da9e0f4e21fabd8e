"""What a project holds on disk, row by row and file by file: to show that a call that failed left nothing behind."""

from __future__ import annotations

import gc
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import lineage


def footprint(project: lineage.Project) -> dict[str, object]:
    """Return every row of every table, every file of the blob folder, and the names beside the project file."""
    temporary = project.blob_folder / "tmp"
    if temporary.is_dir() and any(temporary.iterdir()):
        gc.collect()  # drafts that only a traceback held take their staging with them
    return {**rows(project.file), **files(project.blob_folder), "beside": names_beside(project.file)}


def rows(file: Path) -> dict[str, object]:
    """Return the rows of every table of a database."""
    with closing(sqlite3.connect(file)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {table: sorted(connection.execute(f"SELECT * FROM {table}").fetchall(), key=repr) for table in tables}


def files(folder: Path) -> dict[str, object]:
    """Return the content of every file below a folder; lock files do not count, they come with the first write."""
    found = (path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    return {str(path): path.read_bytes() for path in found if path.name not in ("write.lock", "gate.lock", "gc.lock")}


def names_beside(file: Path) -> list[str]:
    """Return the names in a project's folder; the empty journal and the blob folder come with the first write."""
    ours = {f"{file.name}-journal", f"{file.stem}.blobs"}
    return sorted(path.name for path in file.parent.iterdir() if path.name not in ours)


@contextmanager
def unchanged(project: lineage.Project) -> Iterator[None]:
    """Fail if the block leaves anything different in the project or beside it."""
    before = footprint(project)
    yield
    assert footprint(project) == before


@contextmanager
def refused(
    project: lineage.Project, error: type[lineage.LineageError], match: str, kind: lineage.ErrorKind | None = None
) -> Iterator[None]:
    """Fail unless the block raises this error, with this message, and leaves nothing behind."""
    with unchanged(project):
        seen: tuple[type, lineage.ErrorKind, str] | None = None
        try:
            yield
        except lineage.LineageError as caught:  # kept without its traceback, which holds the frames and their drafts
            seen = (type(caught), caught.kind, str(caught))
        assert seen is not None, "nothing was raised"
        assert seen[0] is error, seen
        assert re.search(match, seen[2]), seen[2]
        assert kind in (None, seen[1])
