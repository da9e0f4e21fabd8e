"""What a project holds on disk, row by row and file by file; and programs that are run to try it from outside."""

from __future__ import annotations

import gc
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

import pytest

import lineage


def footprint(project: lineage.Project) -> dict[str, object]:
    """Return every row of every table, every file of the blob folder, and the names beside the project file.

    What is staged does not count as long as its draft lives: `tidy` looks for that at the end of each test.
    """
    return {**rows(project.file), **files(project.blob_folder), "beside": names_beside(project.file)}


def rows(file: Path) -> dict[str, object]:
    """Return the rows of every table of a database."""
    with closing(sqlite3.connect(file)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {table: sorted(connection.execute(f"SELECT * FROM {table}").fetchall(), key=repr) for table in tables}


def files(folder: Path) -> dict[str, object]:
    """Return the content of every file below a blob folder; lock files do not count, they come with the first write."""
    found = (path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    locks = ("write.lock", "turn.lock", "gate.lock", "gc.lock")
    return {str(path): path.read_bytes() for path in found if path.name not in locks and "tmp" not in path.parts}


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
        except lineage.LineageError as caught:
            seen = (type(caught), caught.kind, str(caught))
        assert seen is not None, "nothing was raised"
        assert seen[0] is error, seen
        assert re.search(match, seen[2]), seen[2]
        assert kind in (None, seen[1])


@pytest.fixture(autouse=True)
def tidy(tmp_path: Path) -> Iterator[None]:
    """Fail if a test's projects are left with staged bytes whose draft is gone, or a file that was being made."""
    yield
    folders = [*tmp_path.glob("*.blobs"), *tmp_path.glob("*/*.blobs")]
    staged = [path for folder in folders for path in (folder / "tmp").glob("*")]
    if staged:
        gc.collect()  # a draft that an exception's traceback held goes only now
    assert [path for path in staged if path.exists()] == []
    assert [*tmp_path.glob(".*.tmp*"), *tmp_path.glob("*/.*.tmp*")] == []


ROOT = Path(lineage.__file__).parents[1]
NOBODY = 65534


_DROP = f"""
import ctypes, getpass, html, logging, os, pwd, sys, tempfile, unicodedata, lineage
if os.geteuid() == 0:
    os.setgroups([]), os.setgid({NOBODY}), os.setuid({NOBODY})
"""  # after the imports: the interpreter itself may lie where only root may look


def python(program: str, *arguments: str, nobody: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a program that imports lineage, in the working directory; if told, as a user without rights."""
    with for_everybody() if nobody else nullcontext(ROOT) as root:
        environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-c", (_DROP if nobody else "") + program, *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)


@contextmanager
def for_everybody() -> Iterator[Path]:
    """Give a copy of the library and its tests that every user may read; a checkout may be closed."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("lineage", "schema", "tests"):
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "data"))
        root.chmod(0o755)
        yield root


@pytest.fixture
def open_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory that every user may enter and write; pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    monkeypatch.chdir(folder)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o777)
    shutil.rmtree(folder)
