"""A forged project file that somebody opens where it lies: what it says is refused, and leads nowhere."""

from __future__ import annotations

import os
import re
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import plants_packed as bugs
import pytest
from conftest import draft
from forgery import Bench, everything, forging, make_share, unmoved
from ledger import Ledger
from plants import Bug, planted

import lineage
from lineage.values import Digest

MARK = pytest.mark.faults("P12 P10", "F72 F94 F97 F102 F114", "forged files opened where they lie lead nowhere")
JOURNAL = pytest.mark.faults("P12 P14", "F89 F18", "a forged journal names a file for SQLite to delete")
SCHEMA_MARK = pytest.mark.faults("P12 P14", "F85 F86 F90", "forged tables refused by opening, and left as they were")

PATHS = ("../evil", "../../evil", "/tmp/evil", "x/../../evil", "..", "a\\..\\b", "a\0b", "./a", "a//b", "a/", "")
NAMES = ("../evil", "..", "x/..", "a:/../../evil", "/evil", ".", "../../p.blobs", "x/../../../evil")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A place to forge in."""
    (tmp_path / "share").mkdir()
    return Bench(tmp_path / "bench", make_share(tmp_path / "share"))


def bring(project: lineage.Project, folder: Path) -> None:
    """Ask for all that can be asked for, as a trusting user would."""
    for version in project.versions():
        repr(version)
        if version.project is None and not version.deleted:
            tried([partial(version.download, folder / "in"), partial(version.checkout, folder / "out")])
            tried([version.download, version.checkout, version.verify, partial(read_all, version)])
        tried([version.used_by, version.logged_by, version.reproduced_by, version.links])
    for run in project.runs():
        tried([run.history, run.used_artifacts, run.logged_artifacts, partial(getattr, run, "config")])
    tried([lambda: project.pack(folder / "in" / "packed.lineage"), lambda: project.gc(dry_run=True)])
    tried([project.graph, project.size, project.artifacts, lambda: project.sql("SELECT * FROM files"), project.verify])


def read_all(version: lineage.Version) -> None:
    """Read every file of a version."""
    for entry in version.files():
        version.open(entry.path).read()


def tried(calls: list[Callable[[], object]]) -> None:
    """Make calls that may be refused, by an error of ours only."""
    for call in calls:
        try:
            call()
        except lineage.LineageError as error:
            assert str(error)


WANTED = re.compile(r"deep/here/(in(/(in|out)(/.*)?)?|artifacts(/[^/]+)?|artifacts/[^/]+/.*)", re.DOTALL)
"""Where files may appear: below the folders that were named, and below a folder for each version."""


def check_leads_nowhere(bench: Bench, statement: str, values: tuple[object, ...], bug: Bug | None = None) -> None:
    """Open a file with a forged row and ask for everything: nothing appears but below the folders that were named."""
    bench.copy()
    with forging(bench.theirs) as connection:
        connection.execute(statement, values)
    here = Path("work") / "deep" / "here"
    here.mkdir(parents=True, exist_ok=True)
    (here.parent / "mine").write_text("precious")
    (here / "precious").write_text("precious")
    with planted(bug), unmoved(bench.theirs.parent, bench.share.parent), pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        try:
            bring(lineage.open(bench.theirs, create=False, read_only=True), Path("in"))
        except lineage.LineageError as error:
            assert str(error)
        except (KeyError, TypeError, IndexError, ValueError) as error:
            pytest.fail(f"{statement} {values}: {error!r}")
    found = {name for name in everything(Path("work")) if not WANTED.fullmatch(name)}
    assert found == {"deep", "deep/here", "deep/mine", "deep/here/precious"}, (statement, values)


ROWS: list[tuple[str, tuple[object, ...]]] = [
    *(("UPDATE entry SET path = ? WHERE path = 'a'", (path,)) for path in PATHS),
    *(("UPDATE artifact SET name = ? WHERE name = 'data'", (name,)) for name in NAMES),
    (
        "UPDATE blob SET digest = ? WHERE id = (SELECT min(id) FROM blob WHERE size = 20000)",
        ("../../../theirs/theirs.lineage",),
    ),
    ("UPDATE blob SET digest = 'ab/etc/hostname', size = 9 WHERE id = 1", ()),
    ("UPDATE blob SET digest = upper(digest)", ()),
    ("UPDATE blob SET size = ? WHERE size = 20000", (2**63 - 1,)),
    ("UPDATE blob SET size = 10 WHERE size = 20000", ()),
    ("UPDATE run SET status = 'rm -rf'", ()),
    ("UPDATE run SET config = 'x'", ()),
    ("UPDATE run SET uid = '../x' WHERE uid = 'load'", ()),
    ("UPDATE run SET started_at = 'yesterday', ended_at = 'x'", ()),
    ("UPDATE metric SET document = '{' WHERE document IS NOT NULL", ()),
    ("UPDATE produced SET run = 99", ()),
    ("INSERT INTO consumed (run, version) SELECT 99, id FROM version", ()),
    ("UPDATE link SET source = 99", ()),
    ("UPDATE alias SET version = 99", ()),
    ("UPDATE version SET metadata = '['", ()),
    ("UPDATE version SET number = -1 WHERE number = 1", ()),
    ("INSERT INTO consumed (run, version) SELECT run, version FROM produced WHERE true ON CONFLICT DO NOTHING", ()),
]


@MARK
def test_forged_rows_of_an_opened_file_lead_nowhere(bench: Bench, ledger: Ledger) -> None:
    """No path, name or digest leads out of a folder, and no error is another than ours."""
    for statement, values in ROWS:
        check_leads_nowhere(bench, statement, values)
        ledger.case()


@MARK
@pytest.mark.parametrize(
    ("bug", "row"),
    [
        (bugs.path_of_a_row_is_believed, 0),
        (bugs.name_of_a_row_is_believed, len(PATHS)),
        (bugs.status_of_a_row_is_believed, ROWS.index(("UPDATE run SET status = 'rm -rf'", ()))),
    ],
    ids=lambda one: one.name if isinstance(one, Bug) else "",
)
def test_rows_that_are_believed_are_caught(bench: Bench, ledger: Ledger, bug: Bug, row: int) -> None:
    """Each gate is one that the check needs."""
    with ledger.catches(bug.name):
        check_leads_nowhere(bench, *ROWS[row], bug)


DIGESTS = ("", "ab", "ab/etc/hostname", "../../x", "A" * 64, "0" * 63, "0" * 65, "0" * 64 + "\n", "blake3:" + "0" * 57)


def check_digest_is_no_path(bench: Bench, text: str, bug: Bug | None = None) -> None:
    """Ask where a blob lies whose row has something else for a digest."""
    blobs = lineage.open(bench.copy())._store.blobs
    with planted(bug), pytest.raises(lineage.LineageError):
        blobs.path_of(Digest(text))
        pytest.fail(f"{text!r} became a path")


@MARK
def test_digests_that_are_none_become_no_paths(bench: Bench, ledger: Ledger) -> None:
    """Short, long, upper case, with a prefix, absolute, upwards: no file of such a name is looked for."""
    for text in DIGESTS:
        check_digest_is_no_path(bench, text)
        ledger.case()


@MARK
@pytest.mark.parametrize("bug", [bugs.digest_of_a_row_is_believed], ids=lambda bug: bug.name)
def test_digests_that_are_believed_are_caught(bench: Bench, ledger: Ledger, bug: Bug) -> None:
    """Joined to a folder, an absolute path is that path."""
    with ledger.catches(bug.name):
        check_digest_is_no_path(bench, "ab/etc/hostname", bug)


@MARK
def test_artifact_called_two_dots_is_not_checked_out_over_everything(
    project: lineage.Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ledger: Ledger
) -> None:
    """Such a name is allowed, as in W&B, and so may come with a merge: its usual folder would be the caller's own."""
    for name in ("..", "."):
        project.log_artifact(draft(name, {"a": "1"}))
        here = tmp_path / "elsewhere"
        here.mkdir(exist_ok=True)
        (here / "mine").write_text("precious")
        monkeypatch.chdir(here)

        with pytest.raises(lineage.InvalidInputError, match="no folder of its own"):
            project.version(name).checkout()

        assert (here / "mine").read_text() == "precious"
        assert project.version(name).checkout("named") == Path("named")
        ledger.case()


def forged_journal(file: Path, victim: Path) -> bytes:
    """Return a journal that has nothing to undo and says it belongs to a write of several files, one of them named."""
    data, magic = file.read_bytes(), b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
    size = int.from_bytes(data[16:18], "big")
    name = os.fsencode(victim)
    head = magic + struct.pack(">IIIII", 0, 0, len(data) // size, 512, size)
    end = struct.pack(">I", 0x40000000 // size + 1) + name + struct.pack(">II", len(name), sum(name)) + magic
    return head.ljust(512, b"\0") + end


PROGRAM = """
import sys
from plants import plant_what_the_environment_names
plant_what_the_environment_names()
import lineage
try:
    if sys.argv[1] == "open":
        lineage.open(sys.argv[2], create=False).verify()
    else:
        lineage.open("mine.lineage").merge(sys.argv[2])
except lineage.LineageError as error:
    print(error)
"""


def check_victim_lives(folder: Path, way: str, bug: Bug | None = None) -> None:
    """Open, or merge from, a project with a forged journal: the file that it names stays, and so does the journal."""
    theirs = folder / "theirs"
    theirs.mkdir()
    project = lineage.open(theirs / "p.lineage")
    project.log_artifact(draft("d", {"a": "1", "b": b"b" * 20_000}))
    victim = folder / "victim"
    victim.write_text("precious")
    journal = theirs / "p.lineage-journal"
    journal.write_bytes(forged_journal(project.file, victim.absolute()))
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{here}:{here.parent}", **(bug.environment if bug else {})}
    command = [sys.executable, "-c", PROGRAM, way, str(project.file)]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert victim.exists()
    assert "not of lineage's making" in ended.stdout
    assert journal.stat().st_size


@JOURNAL
@pytest.mark.parametrize("way", ["open", "merge"])
def test_journal_that_names_another_file_is_refused(tmp_path: Path, ledger: Ledger, way: str) -> None:
    """SQLite would take it for the last trace of a write to several files, and remove that trace."""
    check_victim_lives(tmp_path, way)
    ledger.case()


@JOURNAL
@pytest.mark.parametrize("bug", [bugs.journals_are_believed], ids=lambda bug: bug.name)
def test_journals_that_are_believed_are_caught(tmp_path: Path, ledger: Ledger, bug: Bug) -> None:
    """The file is gone."""
    with ledger.catches(bug.name):
        check_victim_lives(tmp_path, "open", bug)


@JOURNAL
def test_merge_from_a_project_that_was_killed_in_a_write_leaves_it_as_it_is(tmp_path: Path, ledger: Ledger) -> None:
    """What is half done there is undone by who opens it, and not by who reads from it."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    project = lineage.open(theirs / "p.lineage")
    project.log_artifact(draft("d", {"a": "1", "b": b"b" * 20_000}))
    killed = """
import os, sqlite3
connection = sqlite3.connect("p.lineage", isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE artifact SET description = hex(zeroblob(100000))")
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", killed], cwd=theirs, check=True)
    mine = lineage.open(tmp_path / "mine.lineage")

    with unmoved(theirs), pytest.raises(lineage.StateError, match="in the midst of a write: open it once"):
        mine.merge(project.file)

    assert project.verify().ok
    assert mine.merge(project.file).versions == 1
    ledger.case()


SCHEMAS = {
    "a trigger": ["CREATE TRIGGER t AFTER INSERT ON run BEGIN DELETE FROM version; END"],
    "an index that computes": ["CREATE INDEX x ON run (length(name))"],
    "a view of the same name": ["DROP VIEW runs", "CREATE VIEW runs AS SELECT 1 AS id"],
    "an endless view": [
        "CREATE VIEW e AS WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n FROM r) SELECT n FROM r"
    ],
    "an endless view in place of ours": [
        "DROP VIEW runs",
        "CREATE VIEW runs AS WITH RECURSIVE r (id) AS (SELECT 1 UNION ALL SELECT id FROM r) SELECT id FROM r",
    ],
    "a view in place of a table": ["DROP TABLE absent", "CREATE VIEW absent AS SELECT id AS blob FROM blob"],
    "a table that is a program": ["CREATE VIRTUAL TABLE v USING fts5 (a)"],
    "a generated column": ["ALTER TABLE run ADD COLUMN g TEXT GENERATED ALWAYS AS (hex(zeroblob(900000000)))"],
    "another column": ["ALTER TABLE run ADD COLUMN more TEXT"],
    "a weaker table": ["DROP TABLE absent", "CREATE TABLE absent (blob INTEGER PRIMARY KEY)"],
    "text that is no SQL": [
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET sql = 'rubbish' WHERE name = 'run'",
    ],
    "five megabytes of text": [
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET sql = sql || '-- ' || hex(zeroblob(2500000)) WHERE name = 'run'",
    ],
    "an unknown module": [
        "PRAGMA writable_schema = ON",
        "INSERT INTO sqlite_schema VALUES ('table', 'u', 'u', 0, 'CREATE VIRTUAL TABLE u USING nobody_knows (a)')",
    ],
    "two tables of one root": [
        "PRAGMA writable_schema = ON",
        (
            "UPDATE sqlite_schema AS s SET rootpage = r.rootpage FROM sqlite_schema r"
            " WHERE r.name = 'run' AND s.name = 'blob'"
        ),
    ],
    "a root that is the first page": [
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET rootpage = 1 WHERE name = 'blob'",
    ],
    "a root past the end": [
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET rootpage = 99999 WHERE name = 'blob'",
    ],
    "a default that computes": [
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET sql = replace(sql, 'notes TEXT', 'notes TEXT DEFAULT (hex(randomblob(9)))')",
    ],
    "a table less": ["DROP TABLE absent"],
    "an index less": ["DROP INDEX run_name"],
    "another table": ["CREATE TABLE more (a INTEGER)"],
}
"""Tables that are none of ours; of the last three, opening a file where it lies forgives the one or the other."""
FORGIVEN = ("another table", "a table less", "an index less")


def forge_schema(bench: Bench, what: str) -> None:
    """Make a file with other tables than the format's."""
    bench.copy()
    with closing(sqlite3.connect(bench.theirs, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = MEMORY")
        for statement in SCHEMAS[what]:
            connection.execute(statement)


def check_schema_refused(bench: Bench, what: str, *, opened: bool, bug: Bug | None = None) -> None:
    """Open or merge such a file: refused, and nothing of it or of ours is touched."""
    forge_schema(bench, what)
    with planted(bug):
        if not opened:
            bench.merge_is_refused()
            return
        with unmoved(bench.theirs.parent), pytest.raises(lineage.LineageError):
            report = lineage.open(bench.theirs, create=False).verify()
            assert report.ok, report.problems
            pytest.fail("it was opened")


@SCHEMA_MARK
@pytest.mark.parametrize("opened", [True, False], ids=["opened", "merged"])
def test_tables_other_than_the_formats_are_refused(bench: Bench, ledger: Ledger, opened: bool) -> None:
    """Text for text, before a row is read."""
    for what in SCHEMAS:
        if opened and (what in FORGIVEN or what.startswith(("two", "a root"))):
            continue
        check_schema_refused(bench, what, opened=opened)
        ledger.case()


@SCHEMA_MARK
def test_opened_files_with_shared_roots_are_found_damaged(bench: Bench, ledger: Ledger) -> None:
    """The table of tables reads as ours, and verify finds what is wrong below it; nothing else goes wrong."""
    for what in SCHEMAS:
        if what.startswith(("two", "a root")):
            forge_schema(bench, what)
            with unmoved(bench.theirs.parent):
                try:
                    assert not lineage.open(bench.theirs, create=False, read_only=True).verify().ok
                except lineage.LineageError as error:
                    assert str(error)
            ledger.case()


@SCHEMA_MARK
@pytest.mark.parametrize(
    ("bug", "opened"),
    [(bugs.schema_is_not_compared_at_opening, True), (bugs.schema_is_not_compared, False)],
    ids=lambda one: one.name if isinstance(one, Bug) else "",
)
def test_tables_that_are_not_compared_are_caught(bench: Bench, ledger: Ledger, bug: Bug, opened: bool) -> None:
    """A trigger would be run by the first write."""
    with ledger.catches(bug.name):
        check_schema_refused(bench, "a trigger", opened=opened, bug=bug)
