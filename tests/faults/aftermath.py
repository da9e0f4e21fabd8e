"""What must hold of a project after an operation on it was disturbed, and what it shows when nobody disturbs it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blake3 import blake3
from invariants import assert_nothing_left_over
from programs import Operation, bytes_of

import lineage

QUESTIONS = {
    "versions": "SELECT reference, type, digest, description, produced_by, deleted_at IS NULL FROM versions",
    "files": "SELECT reference, path, digest FROM files",
    "aliases": "SELECT name, alias, reference, protected FROM aliases",
    "history": 'SELECT name, alias, "from", "to", run FROM alias_history',
    "runs": "SELECT id, status, summary, deleted_at IS NULL FROM runs",
    "edges": "SELECT kind, source, target, use_as FROM edges",
    "reproductions": "SELECT reference, run, metadata FROM reproductions",
    "tags": "SELECT kind, node, tag FROM tags",
    "metrics": "SELECT run, name, step, value FROM metrics",
}
"""All that a project shows, but for ids, times and names that are drawn by lot."""
Portrait = dict[str, list[list[Any]]]
NOTHING: Portrait = {}
"""What a project shows that is not there."""


def portrait(project: lineage.Project) -> Portrait:
    """Return what a project shows."""
    drawn = {name: [list(row.values()) for row in project.sql(words)] for name, words in QUESTIONS.items()}
    return {name: sorted(rows, key=repr) for name, rows in drawn.items()}


@dataclass
class Course:
    """An operation that nobody disturbs.

    Attributes:
        operation: Which.
        ready: The folder made ready for it, of which each case gets a copy.
        states: What the project shows before the first call and after each.
        seen: What lies in the folder before the first call and after each.
        names: The same when it was done twice and collected.
    """

    operation: Operation
    ready: Path
    states: list[Portrait] = field(default_factory=list)
    seen: list[set[str]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def copy(self, target: Path) -> Path:
        """Return a copy of the folder: while nobody has it open, that is right."""
        return Path(shutil.copytree(self.ready, target, symlinks=True))


def undisturbed(operation: Operation, folder: Path) -> Course:
    """Return the course of an operation."""
    course = Course(operation, folder / "ready")
    course.ready.mkdir(parents=True)
    operation.prepare(course.ready)
    done = course.copy(folder / "done")
    file = done / operation.file

    def look(_: str = "") -> None:
        course.seen.append(names_in(done))  # before it is opened, which may change its format
        course.states.append(shown(file))

    look()
    operation.act(done, 1, look)
    operation.act(done, 2, lambda _: None)
    opened(file).gc()
    course.names = names_in(done)
    return course


def opened(file: Path) -> lineage.Project:
    """Open a project that is there."""
    return lineage.open(file, create=False, timeout=5)


def shown(file: Path) -> Portrait:
    """Return what the project of a file shows; nothing, if there is none."""
    return portrait(opened(file)) if file.exists() else NOTHING


def names_in(folder: Path) -> set[str]:
    """Return what lies in a folder but for journals, which come and go, and blobs, which are looked at apart."""
    found = {path.relative_to(folder) for path in folder.rglob("*")}
    names = {str(path) for path in found if not path.parts[0].endswith(("-journal", ".blobs"))}
    return names | {f"quarantined {path.name.partition('.')[0]}" for path in folder.glob("*.blobs/quarantine/*")}


@contextmanager
def demanded() -> Iterator[None]:
    """Fail where the library refuses what it should do: that is a check that does not hold, and no error of it."""
    try:
        yield
    except (lineage.LineageError, sqlite3.Error) as error:
        message = f"{type(error).__name__}: {error}"
        raise AssertionError(message) from error


def assert_unharmed(course: Course, folder: Path, done: int, *, power: bool = True) -> None:
    """Fail unless the project is whole, shows what was acknowledged, and takes the same again before any ``gc``.

    Args:
        course: What the operation does when nobody disturbs it.
        folder: Where it was disturbed.
        done: How many calls had returned.
        power: Whether the machine went on.
    """
    assert_shown(course, folder, done, power=power)
    assert_works(course, folder, done)


@demanded()
def assert_shown(course: Course, folder: Path, done: int, *, power: bool = True) -> None:
    """Fail unless the project is whole, and shows what was acknowledged and nothing that is half done."""
    operation = course.operation
    if power or operation.lasting:
        assert course.seen[done] - names_in(folder) <= course.seen[0] - course.seen[-1]
    if (folder / operation.file).exists():
        project = opened(folder / operation.file)
        with project.snapshot():  # one connection for all the questions
            if not operation.stepwise or done:
                assert_sound(project)
                assert portrait(project) in course.states[done : done + 2]
                assert_bytes(project)
    assert_beside(folder)
    if power:
        for path in folder.glob("out/*.bin"):
            assert path.read_bytes() == bytes_of(path.stem), path


@demanded()
def assert_works(course: Course, folder: Path, done: int, *, turn: int = 2) -> None:
    """Fail unless the same can be done again, with nothing lost by it and nothing left over."""
    course.operation.act(folder, turn, lambda _: None)
    project = opened(folder / course.operation.file)
    with project.snapshot():
        assert_sound(project)
        assert_kept(project, course.states[done], course.states[-1])
    project.gc()
    with project.snapshot():
        assert_nothing_left_over(project)
        assert_bytes(project)
    assert names_in(folder) == course.names


def assert_sound(project: lineage.Project) -> None:
    """Fail if a rule of the format is broken, other than by what ``gc`` takes: bytes or rows that no version names."""
    problems = project.verify().problems
    garbage = ("stray-file", "bytes-missing")
    assert [one for one in problems if one.severity == "error" or one.kind not in garbage] == [], problems


def assert_bytes(project: lineage.Project) -> None:
    """Fail unless each file of each version comes back byte for byte, by a hash that is not the project's own."""
    for row in project.sql("SELECT reference, path, digest FROM files WHERE uri IS NULL"):
        with project.version(row["reference"]).open(row["path"]) as file:
            assert blake3(file.read()).hexdigest() == row["digest"], row


def assert_kept(project: lineage.Project, before: Portrait, after: Portrait) -> None:
    """Fail unless all files are there that were there before the call that was disturbed, but for what it deletes."""
    if before:
        wanted = [row for row in before["files"] if row in after["files"]]
        found = portrait(project)["files"]
        assert [row for row in wanted if row not in found] == []


def assert_beside(folder: Path) -> None:
    """Fail unless what lies beside the project, and has its name, is whole: packed files, downloads, older copies."""
    for file in folder.glob("share.lineage"):  # a copy, as nobody packs over a project that is open here
        copy = shutil.copy(file, folder.with_name(f"{folder.name}-looked-at.lineage"))
        assert lineage.open(copy, create=False).verify().problems == ()
    for file in folder.glob("*.lineage.format[0-9]"):
        with closing(sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA user_version").fetchone() == (int(file.name[-1]),)
            assert connection.execute("SELECT count(*) FROM version").fetchone() > (0,)


def leftovers(folder: Path) -> list[str]:
    """Return the temporary files that lie in a folder, in the projects' blob folders or beside anything."""
    found = [path for tmp in folder.glob("*.blobs/tmp") for path in tmp.iterdir()]
    found += [path for path in folder.rglob(".*") if ".blobs" not in str(path)]
    return [str(path.relative_to(folder)) for path in found]
