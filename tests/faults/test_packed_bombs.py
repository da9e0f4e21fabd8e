"""Files made to take the memory, the disk or the time of whoever merges them: refused or taken, within limits."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import plants_packed as bugs
import pytest
from forgery import forging, make_share
from ledger import Ledger
from plants import Bug

import lineage

MEMORY = pytest.mark.faults("P12 P23", "F86 F91 F108 F109", "bombs: within 1 GB of memory, and an end")

MOST_MEMORY = 1 << 30
MOST_WRITTEN = 64 << 20

PROGRAM = """
import resource, sys
from plants import plant_what_the_environment_names
plant_what_the_environment_names()
import lineage
words = {word.partition("=")[0]: int(word.partition("=")[2]) for word in sys.argv[3:]}
project = lineage.open(sys.argv[1])
try:
    report = project.merge(sys.argv[2], **words)
    print("merged", report.versions, report.runs, report.edges)
except lineage.LineageError as error:
    print("refused", str(error)[:300])
print("memory", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
print("written", resource.getrusage(resource.RUSAGE_SELF).ru_oublock * 512)
"""


def capped() -> None:
    """Let a child that runs wild meet the end of its own memory, and not of ours."""
    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))


def merged(folder: Path, bomb: Path, *words: str, bug: Bug | None = None) -> dict[str, str]:
    """Merge a file in a process of its own, and return what that said and what it took."""
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{here}:{here.parent}", **(bug.environment if bug else {})}
    command = [sys.executable, "-c", PROGRAM, str(folder / "mine.lineage"), str(bomb), *words]
    ended = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, preexec_fn=capped
    )
    assert ended.returncode == 0, ended.stderr[-2_000:]
    found = dict(line.partition(" ")[::2] for line in ended.stdout.splitlines())
    assert int(found["memory"]) < MOST_MEMORY, (bomb.name, found)
    return found


# --- bombs that are refused ---


def sparse(share: Path, bomb: Path) -> None:
    """A hole of three gigabytes behind a good file."""
    shutil.copy(share, bomb)
    with bomb.open("r+b") as file:
        file.truncate(3 << 30)


def endless_view(share: Path, bomb: Path) -> None:
    """A view of ours that never ends."""
    shutil.copy(share, bomb)
    with closing(sqlite3.connect(bomb, isolation_level=None)) as connection:
        connection.execute("DROP VIEW runs")
        connection.execute(
            "CREATE VIEW runs AS WITH RECURSIVE r (id) AS (SELECT 1 UNION ALL SELECT id FROM r) SELECT id FROM r"
        )


def computed_column(share: Path, bomb: Path) -> None:
    """A column that comes to 900 MB whenever it is asked for."""
    shutil.copy(share, bomb)
    with closing(sqlite3.connect(bomb, isolation_level=None)) as connection:
        connection.execute("ALTER TABLE run ADD COLUMN g TEXT GENERATED ALWAYS AS (hex(zeroblob(450000000)))")


def schema_of_megabytes(share: Path, bomb: Path) -> None:
    """Text of five megabytes in the table of tables."""
    shutil.copy(share, bomb)
    with closing(sqlite3.connect(bomb, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET sql = sql || ' -- ' || hex(zeroblob(2500000)) WHERE name = 'run'")


def large_cell(statement: str) -> Callable[[Path, Path], None]:
    """Return what makes a file with one cell of 70 MB; ``LINEAGE_TEST_CELL`` says otherwise, up to 900."""

    def make(share: Path, bomb: Path) -> None:
        shutil.copy(share, bomb)
        size = int(os.environ.get("LINEAGE_TEST_CELL", "70000000"))
        with forging(bomb, digests=False, seal=False) as connection:
            connection.execute(statement, (size,))
            connection.execute("DELETE FROM seal")

    return make


def deep_json(share: Path, bomb: Path) -> None:
    """Metadata of lists in lists, fifty thousand deep."""
    shutil.copy(share, bomb)
    with forging(bomb) as connection:
        deep = '{"a":' + "[" * 50_000 + "]" * 50_000 + "}"
        connection.execute("UPDATE version SET metadata = ?", (deep,))


def announced(share: Path, bomb: Path) -> None:
    """A blob that says it is of an exabyte."""
    shutil.copy(share, bomb)
    with forging(bomb) as connection:
        connection.execute("UPDATE blob SET size = 1 << 60 WHERE size = 20000")


def cell_of_zeros(statement: str) -> Callable[[Path, Path], None]:
    """Return what makes a file by one statement, sealed anew."""

    def make(share: Path, bomb: Path) -> None:
        shutil.copy(share, bomb)
        with forging(bomb) as connection:
            connection.execute(statement)

    return make


BOMBS: dict[str, Callable[[Path, Path], None]] = {
    "a hole of three gigabytes": sparse,
    "an endless view": endless_view,
    "a column that computes": computed_column,
    "a schema of megabytes": schema_of_megabytes,
    "a note without end": large_cell("UPDATE run SET notes = hex(zeroblob(? / 2)) WHERE uid = 'load'"),
    "metadata without end": large_cell("UPDATE version SET metadata = CAST(zeroblob(?) AS TEXT) WHERE number = 1"),
    "a name without end": large_cell("UPDATE artifact SET type = hex(zeroblob(? / 2)) WHERE name = 'data'"),
    "bytes without end": large_cell("UPDATE chunk SET data = zeroblob(?) WHERE length(data) = 20000"),
    "metadata too deep": deep_json,
    "a size that nobody has": announced,
    "a step beyond all": cell_of_zeros("UPDATE metric SET step = 9223372036854775807"),
    "a piece beyond all": cell_of_zeros("UPDATE chunk SET seq = 9223372036854775807 WHERE length(data) = 20000"),
    "a listing's place beyond all": cell_of_zeros("UPDATE manifest_part SET seq = 4611686018427387904"),
    "a counter beyond all": cell_of_zeros("UPDATE artifact SET next_number = 4611686018427387904"),
}


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What bombs are made of."""
    return make_share(tmp_path_factory.mktemp("share"))


def check_refused(share: Path, folder: Path, what: str, bug: Bug | None = None) -> None:
    """Merge a bomb: refused, in little memory, before much of it was written."""
    bomb = folder / "bomb.lineage"
    BOMBS[what](share, bomb)
    found = merged(folder, bomb, bug=bug)
    bomb.unlink()
    assert "refused" in found or what == "a listing's place beyond all", (what, found)
    assert int(found["written"]) < MOST_WRITTEN + (256 << 20 if "without end" in what else 0), (what, found)


SLOW = ("a note without end", "metadata without end", "a name without end", "bytes without end")


@MEMORY
def test_bombs_are_refused_in_little_memory(share: Path, tmp_path: Path, ledger: Ledger) -> None:
    """Holes, views, columns, cells and numbers without end."""
    for what in BOMBS:
        if ledger.long or what not in SLOW[1:]:
            check_refused(share, tmp_path, what)
            ledger.case()


@MEMORY
def test_opening_and_verifying_bombs_ends(share: Path, tmp_path: Path, ledger: Ledger) -> None:
    """Where they lie, numbers beyond all are no loop beyond all."""
    for what in ("a step beyond all", "a piece beyond all", "a listing's place beyond all", "a counter beyond all"):
        bomb = tmp_path / "bomb.lineage"
        BOMBS[what](share, bomb)
        program = "import lineage, sys; print(lineage.open(sys.argv[1], read_only=True).verify().ok)"
        command = [sys.executable, "-c", program, str(bomb)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, preexec_fn=capped)
        assert ended.returncode == 0, (what, ended.stderr[-500:])
        ledger.case()


# --- bombs that are within the limits ---


def versions_of_nothing(path: Path, count: int) -> None:
    """Many versions of one empty artifact."""
    lineage.open(path).log_artifact(lineage.Artifact("many", "nothing"))
    with forging(path, digests=False, seal=False) as connection:
        numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
        connection.execute(
            f"""{numbers} INSERT INTO version (uid, artifact, number, manifest, created_at)
                SELECT printf('0%025d', i), v.artifact, i, v.manifest, v.created_at FROM n, version v
                WHERE v.number = 0""",
            (count - 1,),
        )
        connection.execute("UPDATE artifact SET next_number = ?", (count,))


def edges(path: Path, runs: int, versions: int) -> None:
    """Every one of some runs consumes every one of some versions."""
    versions_of_nothing(path, versions)
    add_runs(path, runs)
    with forging(path, digests=False, seal=False) as connection:
        connection.execute("INSERT INTO consumed (run, version) SELECT r.id, v.id FROM run r, version v")


def chain(path: Path, count: int) -> None:
    """A lineage as deep as it is long."""
    versions_of_nothing(path, count)
    add_runs(path, count)
    with forging(path, digests=False, seal=False) as connection:
        connection.execute("INSERT INTO produced (version, run) SELECT id, id FROM version")
        connection.execute("INSERT INTO consumed (run, version) SELECT id, id - 1 FROM run WHERE id > 1")


def add_runs(path: Path, count: int) -> None:
    """Make rows of runs."""
    with forging(path, digests=False, seal=False) as connection:
        numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
        connection.execute(
            f"""{numbers} INSERT INTO run (uid, name, status, started_at)
                SELECT 'r' || i, 'r', 'finished', '2026-01-01T00:00:00.000000Z' FROM n""",
            (count,),
        )


def check_taken(folder: Path, counts: tuple[int, int, int]) -> None:
    """Merge files of much, and of nothing: all of it comes in, in little memory."""
    many, wide, deep = counts
    makers: dict[str, Callable[[Path], None]] = {
        "many": lambda path: versions_of_nothing(path, many),
        "wide": lambda path: edges(path, wide, 100),
        "deep": lambda path: chain(path, deep),
    }
    for name, make in makers.items():
        home = folder / name
        home.mkdir()
        make(home / "bomb.lineage")
        found = merged(home, home / "bomb.lineage")
        assert "merged" in found, (name, found)
        versions, _, new = map(int, found["merged"].split())
        assert (versions, new) == {"many": (many, 0), "wide": (100, wide * 100), "deep": (deep, 2 * deep - 1)}[name]


@MEMORY
@pytest.mark.timeout(3_600)
def test_much_of_nothing_comes_in_within_limits(tmp_path: Path, ledger: Ledger) -> None:
    """200,000 versions, a million edges, a chain of 100,000 runs: in the long form; else a fiftieth."""
    check_taken(tmp_path, (200_000, 10_000, 100_000) if ledger.long else (4_000, 200, 2_000))
    ledger.case(3)


def check_limits(share: Path, folder: Path, bug: Bug | None = None) -> None:
    """Merge a good file that holds more than the caller wants: said so, and by what name the limit goes."""
    for word in ("max_entries=3", "max_size=1000"):
        found = merged(folder, share, word, bug=bug)
        assert "refused" in found, (word, found)
        assert word.partition("=")[0] in found["refused"], (word, found)


@MEMORY
def test_limits_of_the_caller_are_kept(share: Path, tmp_path: Path, ledger: Ledger) -> None:
    """Rows and bytes."""
    check_limits(share, tmp_path)
    ledger.case(2)


@MEMORY
@pytest.mark.parametrize(
    ("bug", "check"),
    [
        (bugs.limits_are_not_kept, check_limits),
        (bugs.schema_is_not_compared, lambda share, folder, bug: check_refused(share, folder, "an endless view", bug)),
    ],
    ids=lambda one: one.name if isinstance(one, Bug) else "",
)
def test_bombs_that_go_off_are_caught(
    share: Path, tmp_path: Path, ledger: Ledger, bug: Bug, check: Callable[[Path, Path, Bug], None]
) -> None:
    """Limits that nobody keeps are none."""
    with ledger.catches(bug.name):
        check(share, tmp_path, bug)
