"""Packed files as damage or an enemy would make them, and the means to see that nothing came of one."""

from __future__ import annotations

import random
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path

import pytest
from blake3 import blake3
from conftest import draft
from test_merge_laws import facts_of, seal_of

import lineage
from lineage.manifests import manifest_digest, part_digest
from lineage.sealing import compute_seal
from lineage.statements import checks
from lineage.values import new_uid

LARGE = b"large" * 4_000
"""More than lies inside a project file of its own accord: bytes of this length have a file beside it."""


def make_share(folder: Path) -> Path:
    """Pack a project with something in every table, beside bytes left out."""
    other = lineage.open(folder / "other.lineage")
    other.log_artifact(draft("abroad", {"x": "x"}))
    project = lineage.open(folder / "p.lineage")
    with project.start_run("load", id="load", config={"lr": 0.1}, tags=["t"], use=[other.version("abroad")]) as run:
        run.log({"loss": 0.5, "nan": float("nan"), "image": "text"})
        made = draft("data", {"a": "1", "dir/b": LARGE}, metadata={"k": 1}, description="words")
        made.add_reference("s3://bucket/key")
        run.log_artifact(made, tags=["t"])
    with project.start_run("train", id="train", use=["data"], notes="notes") as run:
        run.log_artifact(draft("model", {"w": "1"}, type="model"), aliases=["best"])
    with project.start_run("train", id="again", use=["data"]) as run:
        run.log_artifact(draft("model", {"w": "1"}, type="model"))
        run.log_artifact(draft("model", {"w": "2", "v": LARGE[::-1]}, type="model"))
    project.log_artifact(draft("gone", {"g": "gone"}))
    project.version("gone").delete(delete_aliases=True)
    project.link("model:v0", "Best models")
    project.version("model:v1").update(ttl=timedelta(days=12))
    return Path(project.pack(folder / "share.lineage").file)


@contextmanager
def forging(
    path: Path, *, digests: bool = True, seal: bool = True, strict: bool = True
) -> Iterator[sqlite3.Connection]:
    """Give a connection that obeys none of the file's rules, and then make all agree again, as an enemy would.

    Args:
        path: The file.
        digests: Compute those of parts and listings anew.
        seal: Compute the seal anew.
        strict: Otherwise a cell takes a value of any type; the text of the tables is afterwards what it was.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("PRAGMA journal_mode = MEMORY")
        with loosened(connection, loose=not strict):
            yield connection
        if digests:
            with suppress(Exception):  # of cells that no honest file holds, none can be computed
                recompute(connection)
        if seal:
            connection.execute("DELETE FROM seal")
            with suppress(Exception):
                connection.execute("INSERT INTO seal VALUES (1, ?, ?)", compute_seal(connection))


@contextmanager
def loosened(connection: sqlite3.Connection, *, loose: bool) -> Iterator[None]:
    """Let each column take anything for as long as the block is."""
    if not loose:
        yield
        return
    tables = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND sql <> ''").fetchall()
    lax = [(name, re.sub(r" STRICT,?|(?<!IS) NOT NULL", "", sql)) for name, sql in tables]
    rewrite(connection, lax)
    try:
        yield
    finally:
        rewrite(connection, tables)


def rewrite(connection: sqlite3.Connection, tables: list[tuple[str, str]]) -> None:
    """Write other text into the table of tables, and read it again."""
    connection.execute("PRAGMA writable_schema = ON")
    connection.executemany("UPDATE sqlite_schema SET sql = ?2 WHERE name = ?1 AND type = 'table'", tables)
    connection.execute("PRAGMA writable_schema = RESET")


def recompute(connection: sqlite3.Connection) -> None:
    """Make every part and listing have the digest and the counts of what it holds now."""
    for key, _, columns in checks.parts_after(connection, 0, 10**6):
        digest = part_digest([checks.entry_of(row) for row in columns])
        connection.execute("UPDATE part SET digest = ? WHERE id = ?", (digest, key))
    for (key,) in connection.execute("SELECT DISTINCT manifest FROM manifest_part").fetchall():
        entries = [checks.entry_of(row) for row in checks.entries_between(connection, key, 0, 10**6)]
        size = sum(entry.size or 0 for entry in entries)
        words = (manifest_digest(entries), len(entries), size, key)
        connection.execute("UPDATE manifest SET digest = ?, file_count = ?, size = ? WHERE id = ?", words)
    for key, document in connection.execute("SELECT id, document FROM environment").fetchall():
        known = (blake3(document.encode()).hexdigest(), key)
        connection.execute("UPDATE environment SET digest = ? WHERE id = ?", known)


def everything(folder: Path) -> dict[str, object]:
    """Return all that lies below a folder, byte for byte; but for locks, and a journal that is empty."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = path.readlink()
        elif path.is_file() and path.suffix != ".lock" and path.name != "lock":
            if path.stat().st_size or not name.endswith("-journal"):
                found[name] = (path.stat().st_mode, path.read_bytes())
        elif path.is_dir() and path.name != "tmp" and path.suffix != ".blobs":
            found[name] = "folder"
    return found


@contextmanager
def unmoved(*folders: Path) -> Iterator[None]:
    """See that all below some folders is afterwards what it was, byte for byte."""
    before = [everything(folder) for folder in folders]
    yield
    after = [everything(folder) for folder in folders]
    for old, new in zip(before, after, strict=True):
        assert sorted(new.keys() ^ old.keys()) == []
        assert [name for name in old if old[name] != new[name]] == []


@dataclass
class Bench:
    """A place where forged files are tried: what they are forged from, and projects that know nothing of it.

    Args:
        folder: An empty folder.
        share: The whole file.
        seed: Of all that is left to chance.
    """

    folder: Path
    share: Path
    seed: int = 7
    chance: random.Random = field(init=False)
    theirs: Path = field(init=False)

    def __post_init__(self) -> None:
        """Lay out the place."""
        self.chance = random.Random(self.seed)
        self.theirs = self.folder / "theirs" / "none.lineage"
        self.theirs.parent.mkdir(parents=True)
        for name in ("template", "mine"):
            (self.folder / name).mkdir()
        lineage.open(self.folder / "template" / "empty.lineage").log_artifact(draft("mine", {"a": "1", "b": LARGE[1:]}))
        whole = lineage.open(shutil.copy(self.share, self.folder / "template" / "whole.lineage"))
        whole.pack(self.folder / "template" / "bare.lineage", content=False)

    @cached_property
    def whole(self) -> bytes:
        """The file's bytes."""
        return self.share.read_bytes()

    @property
    def page(self) -> int:
        """Bytes of its pages."""
        size = int.from_bytes(self.whole[16:18], "big")
        return 65536 if size == 1 else size

    def forge(self, data: bytes) -> Path:
        """Put a file in the place of theirs, under a name that no project of this process has had."""
        self.theirs.unlink(missing_ok=True)
        self.theirs = self.theirs.with_name(f"{new_uid()}.lineage")
        self.theirs.write_bytes(data)
        return self.theirs

    def copy(self) -> Path:
        """Put the whole file there, to do harm to."""
        return self.forge(self.whole)

    def project(self, template: str = "empty") -> lineage.Project:
        """Return a project in a folder of its own that knows nothing of the file; or the file itself, without bytes."""
        folder = self.folder / "mine" / new_uid()
        folder.mkdir()
        shutil.copy(self.folder / "template" / f"{template}.lineage", folder / "p.lineage")
        if template == "empty":
            shutil.copytree(self.folder / "template" / "empty.blobs", folder / "p.blobs")
        return lineage.open(folder / "p.lineage")

    @cached_property
    def right(self) -> tuple[object, str]:
        """What a project holds that has merged the whole file."""
        project = self.project()
        project.merge(self.share)
        return facts_of(project), seal_of(project)

    @cached_property
    def target(self) -> lineage.Project:
        """A project that has merged nothing so far."""
        return self.project()

    def merge_is_harmless(self) -> bool:
        """Merge what lies there: refused with nothing changed, or as good as the whole file; say whether refused."""
        project = self.target
        before = everything(project.file.parent), everything(self.theirs.parent)
        try:
            project.merge(self.theirs)
        except lineage.LineageError as error:
            assert str(error)
            assert (everything(project.file.parent), everything(self.theirs.parent)) == before
            return True
        assert everything(self.theirs.parent) == before[1]
        del self.target
        assert (facts_of(project), seal_of(project)) == self.right
        assert_bytes_right(project)
        shutil.rmtree(project.file.parent)
        return False

    def merge_is_refused(self) -> lineage.LineageError:
        """Merge what must be refused, and return the error; nothing may have changed."""
        project = self.target
        with unmoved(project.file.parent, self.theirs.parent):
            try:
                project.merge(self.theirs)
            except lineage.LineageError as error:
                assert str(error)
                return error
        pytest.fail("the file was merged")

    def open_is_harmless(self) -> bool:
        """Open what lies there where it is, and verify it: it is said to be damaged, or it is as good as the whole."""
        with unmoved(self.theirs.parent):
            try:
                project = lineage.open(self.theirs, create=False, read_only=True)
                report = project.verify()
                seal = seal_of(project) if report.ok else ""
            except lineage.LineageError:
                return True
        if not report.ok:
            return True
        assert report.seal is not None
        assert seal == report.seal == self.seal
        return False

    def open_is_as_sealed(self) -> bool:
        """Verify what lies there, where it is, and say whether that finds nothing."""
        with unmoved(self.theirs.parent):
            return lineage.open(self.theirs, create=False, read_only=True).verify().ok

    @cached_property
    def seal(self) -> str | None:
        """That of the whole file."""
        return lineage.open(self.share, read_only=True).verify().seal

    def fill_is_harmless(self) -> bool:
        """Fill a project from what lies there: what comes in is what its digest says."""
        project = self.project("bare")
        refused = False
        try:
            project.fill(self.theirs)
        except lineage.LineageError:
            refused = True
        assert_bytes_right(project)
        shutil.rmtree(project.file.parent)
        return refused

    def unpack_is_harmless(self) -> bool:
        """Unpack a copy of what lies there: every file that appears has the bytes of its name."""
        folder = self.folder / "mine" / new_uid()
        folder.mkdir()
        copy = Path(shutil.copy(self.theirs, folder / "p.lineage"))
        try:
            project = lineage.open(copy, create=False)
            project.unpack()
        except lineage.LineageError:
            refused = True
        else:
            refused = False
        assert_blob_folder_right(folder / "p.blobs")
        shutil.rmtree(folder)
        return refused


def assert_bytes_right(project: lineage.Project) -> None:
    """Fail unless all bytes of a project, in both places, are what their digests say."""
    with closing(sqlite3.connect(project.file)) as connection:
        rows = connection.execute("SELECT b.digest, c.data FROM blob b JOIN chunk c ON c.blob = b.id ORDER BY 1, c.seq")
        held: dict[str, bytes] = {}
        for digest, data in rows:
            held[digest] = held.get(digest, b"") + data
    assert [digest for digest, data in held.items() if blake3(data).hexdigest() != digest] == []
    assert_blob_folder_right(project.blob_folder)


def assert_blob_folder_right(folder: Path) -> None:
    """Fail unless each file of a blob folder has the bytes of its name."""
    for path in folder.glob("[0-9a-f][0-9a-f]/*"):
        assert blake3(path.read_bytes()).hexdigest() == path.parent.name + path.name
