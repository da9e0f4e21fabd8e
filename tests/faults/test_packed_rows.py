"""Rows that lie, with digests and seal computed anew as an enemy would: refused, with nothing changed here."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import plants_packed as bugs
import pytest
from forgery import Bench, everything, forging, make_share
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from invariants import assert_store_sound
from ledger import Ledger
from plants import Bug, planted
from test_merge_laws import facts_of, seal_of

import lineage
from lineage.sealing import compute_seal
from lineage.values import new_uid

ROWS = pytest.mark.faults("P12 P18", "F94-F102 F106", "rows that lie, sealed anew")
CELLS = pytest.mark.faults("P12 P18", "F94-F106", "any value in any cell, sealed anew")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A place to forge in."""
    folder = tmp_path_factory.mktemp("rows")
    (folder / "share").mkdir()
    return Bench(folder / "bench", make_share(folder / "share"))


D = "0" * 64
LIES = {
    "a file that is a folder": "UPDATE entry SET path = 'a/c' WHERE path = 'dir/b'",
    "an artifact's name": "UPDATE artifact SET name = '../x' WHERE name = 'data'",
    "an artifact that is half foreign": "UPDATE artifact SET project = 'p' WHERE name = 'data'",
    "a foreign artifact that is ours": "UPDATE artifact SET project = NULL, project_uid = NULL",
    "a digest": f"UPDATE blob SET digest = '../../{D[:58]}' WHERE id = (SELECT min(id) FROM blob WHERE size = 20000)",
    "an upper-case digest": "UPDATE blob SET digest = upper(digest)",
    "an upper-case digest of nobody": (
        "INSERT INTO blob (id, digest, size) VALUES (99, upper(hex(zeroblob(31))) || 'AB', 1)"
    ),
    "a digest with a prefix": "UPDATE blob SET digest = 'blake3:' || substr(digest, 8)",
    "an empty digest": "UPDATE blob SET digest = '' WHERE id = 1",
    "a long digest": "UPDATE blob SET digest = digest || '0'",
    "an absolute digest": "UPDATE blob SET digest = '/etc/passwd' WHERE id = 1",
    "a short digest": "UPDATE blob SET digest = 'ab' WHERE id = (SELECT min(id) FROM blob WHERE size = 20000)",
    "other bytes": "UPDATE chunk SET data = zeroblob(length(data)) WHERE length(data) = 20000",
    "a byte more": "UPDATE chunk SET data = CAST(data || 'x' AS BLOB) WHERE length(data) = 20000",
    "bytes missing": "DELETE FROM chunk WHERE length(data) = 20000",
    "a negative size": "UPDATE blob SET size = -1 WHERE id = (SELECT min(id) FROM blob WHERE size = 20000)",
    "a size beyond all": "UPDATE blob SET size = 9223372036854775807 WHERE size = 20000",
    "a listing of other counts": "UPDATE manifest SET file_count = 7",
    "a manifest's digest": f"UPDATE manifest SET digest = '{D}' WHERE file_count = 3",
    "a part's digest": f"UPDATE part SET digest = '{D}' WHERE id = 1",
    "a negative number": "UPDATE version SET number = -1 WHERE number = 1",
    "a number beyond all": "UPDATE version SET number = 9223372036854775807 WHERE number = 1",
    "a gap": "UPDATE version SET number = 5 WHERE number = 1",
    "a counter that is behind": "UPDATE artifact SET next_number = 0 WHERE name = 'model'",
    "an edge to itself": "INSERT INTO consumed (run, version) SELECT run, version FROM produced",
    "a cycle": (
        "INSERT INTO consumed (run, version) SELECT (SELECT id FROM run WHERE uid = 'load'), v.id FROM version v"
        " JOIN artifact a ON a.id = v.artifact WHERE a.name = 'model'"
    ),
    "an edge of nobody": "INSERT INTO consumed (run, version) VALUES (99, 1)",
    "a producer of nothing": "INSERT INTO produced (run, version) VALUES (1, 99)",
    "an alias of another's version": "UPDATE alias SET version = 1 WHERE name = 'best'",
    "an alias's name": "UPDATE alias SET name = 'v3' WHERE name = 'best'; UPDATE alias_event SET name = 'v3'",
    "a history that disagrees": "UPDATE alias_event SET to_version = NULL WHERE name = 'best'",
    "a history of others": "UPDATE alias_event SET from_version = 1 WHERE name = 'best'",
    "metadata that is no JSON": "UPDATE version SET metadata = '{' WHERE number = 1",
    "metadata that is a list": "UPDATE version SET metadata = '[1]' WHERE number = 1",
    "metadata of NaN": "UPDATE version SET metadata = '{\"a\":NaN}' WHERE number = 1",
    "metadata of three megabytes and no end": (
        'UPDATE version SET metadata = \'{"a":"\' || hex(zeroblob(1500000)) WHERE number = 1'
    ),
    "metadata too deep": "UPDATE version SET metadata = '{\"a\":' || replace(hex(zeroblob(25000)), '00', '[') || '}'",
    "half a character": 'UPDATE version SET metadata = \'{"a":"\\ud800"}\' WHERE number = 1',
    "config that is no JSON": "UPDATE run SET config = 'x'",
    "extra that is too deep": (
        "UPDATE entry SET extra = '{\"a\":' || replace(hex(zeroblob(1500)), '00', '[') || '1' ||"
        " replace(hex(zeroblob(1500)), '00', ']') || '}' WHERE uri IS NOT NULL"
    ),
    "extra that is no JSON": "UPDATE entry SET extra = 'x' WHERE uri IS NOT NULL",
    "a status": "UPDATE run SET status = 'rm -rf'",
    "a run's id": "UPDATE run SET uid = 'a/../b' WHERE uid = 'load'",
    "a uid": "UPDATE version SET uid = 'x' WHERE number = 1",
    "two of one uid": "UPDATE project SET uid = 'x'",
    "a time": "UPDATE version SET created_at = 'yesterday' WHERE number = 1",
    "a tag": "UPDATE run_tag SET tag = char(27) || '[31m'",
    "a label of controls": "UPDATE run SET name = char(7)",
    "a type of nothing": "UPDATE artifact SET type = '' WHERE name = 'data'",
    "a description with NUL": "UPDATE version SET description = 'a' || char(0)",
    "an environment": "UPDATE environment SET document = '{}'",
    "a metric's document": "UPDATE metric SET document = '{' WHERE document IS NOT NULL",
    "a metric twice": "UPDATE metric SET value = 1 WHERE document IS NOT NULL",
    "a reference that is none": "UPDATE entry SET uri = 'no uri' WHERE uri IS NOT NULL",
    "an entry of nothing": "UPDATE entry SET blob = NULL WHERE path = 'a'",
    "a protected flag": "UPDATE alias SET protected = 7",
    "a link to itself": "UPDATE link SET source = version",
    "a link to other content": "UPDATE link SET source = 1",
    "two projects": "INSERT INTO project (id, uid, created_at) SELECT 2, uid, created_at FROM project",
    "no project": "DELETE FROM project",
    "text that is not UTF-8": "UPDATE run SET notes = CAST(x'ff41' AS TEXT)",
    "a cycle of two": (
        "INSERT INTO consumed (run, version) SELECT p.run, q.version FROM produced p, produced q WHERE p.run <> q.run"
        " ON CONFLICT DO NOTHING"
    ),
    "a number for text": "UPDATE version SET ttl = -5",
}

PATHS = {
    "upwards": "../x",
    "upwards in the middle": "x/../../y",
    "only upwards": "..",
    "absolute": "/etc/x",
    "a backslash": "..\\x",
    "a drive": "C:x",
    "a stream of one letter": "a::$DATA",
    "a share": "\\\\server\\share",
    "a NUL": "a\0",
    "a line break": "a\n",
    "an escape": "a\x1b[31m",
    "a double slash": "dir//b",
    "a dot": "./a",
    "a dot in the middle": "a/./b",
    "a slash at the end": "a/",
    "empty": "",
    "a long part": "x" * 300,
    "long": "a/" * 2_100 + "a",
    "a file's folder": "dir/b/c",
}
"""Paths that no file of an artifact has."""
ODD_PATHS = {
    "reserved": "CON",
    "a stream": "file::$DATA",
    "a dot at the end": "NUL.txt.",
    "a blank at the end": "a ",
    "deep": "a/" * 900 + "a",
    "a twin by case": "DIR/B",
    "a twin by form": "dir/e\u0301",
    "bidirectional": "a\u202eb",
    "hidden": ".git/config",
    "a dash": "-rf",
}
"""Paths that are odd and allowed, as ``log`` allows them: what comes in is what was there."""


def with_path(bench: Bench, path: str) -> None:
    """Make a file that differs in one path, and is right in all else."""
    bench.copy()
    with forging(bench.theirs) as connection:
        connection.execute("UPDATE entry SET path = ? WHERE path = 'a'", (path,))


def check_path_refused(bench: Bench, what: str, bug: Bug | None = None) -> None:
    """Merge a file with a path that may not be, all digests of which are right."""
    with_path(bench, PATHS[what])
    with planted(bug):
        bench.merge_is_refused()


@ROWS
def test_paths_that_lead_elsewhere_are_refused(bench: Bench, ledger: Ledger) -> None:
    """Though every digest is right: the path alone is what is wrong."""
    for what in PATHS:
        check_path_refused(bench, what)
        ledger.case()


@ROWS
def test_paths_that_are_odd_come_in_as_they_are(bench: Bench, tmp_path: Path, ledger: Ledger) -> None:
    """What ``log`` takes, ``merge`` takes, and a download brings it to that very place."""
    for what, path in ODD_PATHS.items():
        with_path(bench, path)
        project = bench.project()
        project.merge(bench.theirs)
        assert path in [entry.path for entry in project.version("data").files()], what
        if len(path) < 1_000:
            project.version("data").download(tmp_path / what, paths=[path])
            found = [
                one.relative_to(tmp_path / what).as_posix() for one in (tmp_path / what).rglob("*") if one.is_file()
            ]
            assert found == [path], what
        assert_store_sound(project)
        ledger.case()


def forge_lie(bench: Bench, lie: str) -> None:
    """Make a file whose rows lie."""
    bench.copy()
    with forging(bench.theirs, digests=lie not in KEEP_DIGESTS) as connection:
        for statement in LIES[lie].split("; "):
            connection.execute(statement)


KEEP_DIGESTS = ("a listing of other counts", "a manifest's digest", "a part's digest", "an environment")


def check_lie_refused(bench: Bench, lie: str, bug: Bug | None = None, *, fill: bool = True) -> None:
    """Merge a file whose rows lie, and fill from it: refused, and not a byte here is another."""
    forge_lie(bench, lie)
    with planted(bug):
        error = bench.merge_is_refused()
        if fill:
            bench.fill_is_harmless()
    assert isinstance(
        error, lineage.CorruptionError | lineage.ConflictError | lineage.NotFoundError | lineage.CycleError
    )


@ROWS
def test_rows_that_lie_are_refused(bench: Bench, ledger: Ledger) -> None:
    """Whatever the row says, not a row and not a byte of it comes in, and the error is one of ours."""
    for lie in LIES:
        check_lie_refused(bench, lie, fill=ledger.long or "digest" in lie or "bytes" in lie)
        ledger.case()


@ROWS
@pytest.mark.parametrize(
    ("bug", "check", "what"),
    [
        (bugs.any_path_is_plain, check_path_refused, "upwards"),
        (bugs.cells_are_not_looked_at, check_lie_refused, "a time"),
        (bugs.rows_are_not_compared, check_lie_refused, "a cycle"),
        (bugs.bytes_are_not_hashed_on_their_way_in, check_lie_refused, "other bytes"),
        (bugs.bytes_are_not_hashed_when_filled_in, check_lie_refused, "other bytes"),
    ],
    ids=lambda one: one.name if isinstance(one, Bug) else "",
)
def test_rows_that_are_believed_are_caught(
    bench: Bench, ledger: Ledger, bug: Bug, check: Callable[[Bench, str, Bug], None], what: str
) -> None:
    """Each check is needed for something."""
    with ledger.catches(bug.name):
        try:
            check(bench, what, bug)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            pytest.fail(repr(error))
    bench.__dict__.pop("target", None)


# --- any value in any cell ---

VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1]),
    st.floats(allow_nan=False),
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.sampled_from(["", "\0", "..", "../x", "[1]", '{"a":NaN}', "0" * 64, "{}", "running", "v1", "latest"]),
    st.binary(max_size=20),
)


def columns(path: Path) -> list[tuple[str, str, str]]:
    """Return table, column and key columns, of all."""
    with closing(sqlite3.connect(path)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        found = []
        for table in tables:
            info = connection.execute("SELECT name, pk FROM pragma_table_info(?)", (table,)).fetchall()
            keys = ", ".join(f'"{name}"' for name, pk in info if pk)
            found += [(table, name, keys) for name, _ in info]
    return found


def put_value(bench: Bench, place: tuple[str, str, str], row: int, value: object) -> bool:
    """Make a file in which one cell holds a value, of whatever type; say whether that can be."""
    table, column, keys = place
    bench.copy()
    try:
        with forging(bench.theirs, strict=False) as connection:
            (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            where = f"({keys}) = (SELECT {keys} FROM {table} LIMIT 1 OFFSET {row % count if count else 0})"
            return connection.execute(f'UPDATE {table} SET "{column}" = ? WHERE {where}', (value,)).rowcount > 0
    except sqlite3.IntegrityError:  # a key that another row has
        return False


def check_cell(bench: Bench, place: tuple[str, str, str], row: int, value: object) -> None:
    """Merge a file with some value in some cell: refused with nothing changed, or what comes in is what was there."""
    if not put_value(bench, place, row, value):
        return
    folder = bench.folder / "mine" / new_uid()
    folder.mkdir()
    try:
        check_merged(bench.theirs, lineage.open(folder / "p.lineage"), place, value)
    finally:
        shutil.rmtree(folder)


def check_merged(theirs: Path, empty: lineage.Project, place: tuple[str, str, str], value: object) -> None:
    """Merge a forged file into an empty project and compare."""
    before = everything(empty.file.parent)
    try:
        empty.merge(theirs)
    except lineage.LineageError:
        assert everything(empty.file.parent) == before, (place, value)
        return
    except Exception as error:  # noqa: BLE001 (whatever it is, it is none of ours)
        pytest.fail(f"{place} {value!r}: {error!r}")
    assert empty.verify().ok, (place, value)
    with closing(sqlite3.connect(theirs)) as connection:
        assert facts_of(empty).graph[1:4] == facts_of(lineage.open(theirs, read_only=True)).graph[1:4], (place, value)
        assert place[0] in INSIDE_ONLY or seal_of(empty) == compute_seal(connection).digest, (place, value)


INSIDE_ONLY = ("alias_event", "seal", "project", "outside_use", "artifact", "blob", "absent", "chunk", "run", "alias")
"""Tables of which not all is taken over as it is: counters, keys, and what only its own project needs."""


def check_cells(bench: Bench, examples: int) -> int:
    """Try values in cells at random."""
    places = columns(bench.share)
    tried = 0

    @settings(max_examples=examples, derandomize=True, database=None, phases=[Phase.generate], deadline=None)
    @given(st.sampled_from(places), st.integers(0, 9), VALUES)
    def check(place: tuple[str, str, str], row: int, value: object) -> None:
        nonlocal tried
        tried += 1
        check_cell(bench, place, row, value)

    check()
    return tried


@CELLS
def test_any_value_in_any_cell_is_refused_or_comes_in_as_it_is(bench: Bench, ledger: Ledger) -> None:
    """NULL, numbers, text, bytes: where SQLite's own types would not let them be, too."""
    ledger.case(check_cells(bench, 10_000 if ledger.long else 40))


@CELLS
def test_value_of_every_kind_in_every_column_is_refused_or_comes_in_as_it_is(bench: Bench, ledger: Ledger) -> None:
    """One after the other in the long form, a few columns else."""
    values = [
        None,
        -1,
        2**63 - 1,
        1.5,
        float("inf"),
        "",
        "\0",
        b"\xff\xfe",
        "../x",
        "[1]",
        '{"a":NaN}',
        "x" * 300,
        0,
        99,
    ]
    places = columns(bench.share)
    for place in places if ledger.long else bench.chance.sample(places, 5):
        for value in values if ledger.long else bench.chance.sample(values, 3):
            check_cell(bench, place, 0, value)
            ledger.case()


@CELLS
@pytest.mark.parametrize("bug", [bugs.cells_are_not_looked_at], ids=lambda bug: bug.name)
def test_cells_that_are_believed_are_caught(bench: Bench, ledger: Ledger, bug: Bug) -> None:
    """An x is text, and no time."""
    with ledger.catches(bug.name):
        put_value(bench, ("run", "started_at", '"id"'), 0, "x")
        with planted(bug):
            bench.merge_is_refused()
    bench.__dict__.pop("target", None)
