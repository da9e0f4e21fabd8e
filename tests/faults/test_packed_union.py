"""What two projects say of one thing: a contradiction is refused, and what is here stays."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import plants_packed as bugs
import pytest
from conftest import draft
from forgery import Bench, assert_bytes_right, forging, make_share
from invariants import assert_store_sound
from ledger import Ledger
from plants import Bug, planted

import lineage

UNION = pytest.mark.faults("P12 P11", "F101 F103-F105 F107 F110", "what two projects say of one thing")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A place to forge in."""
    folder = tmp_path_factory.mktemp("rows")
    (folder / "share").mkdir()
    return Bench(folder / "bench", make_share(folder / "share"))


def check_false_version_refused(bench: Bench, bug: Bug | None = None) -> None:
    """Merge a file whose version has the uid of one of ours, and other content."""
    project = bench.project()
    project.merge(bench.share)
    bench.copy()
    with forging(bench.theirs) as connection:
        connection.execute(
            """UPDATE version SET manifest = (SELECT w.manifest FROM version w JOIN artifact a ON a.id = w.artifact
                                              WHERE a.name = 'data')
               WHERE id = (SELECT v.id FROM version v JOIN artifact a ON a.id = v.artifact
                           WHERE a.name = 'model' AND v.number = 1)"""
        )
    bench.target = project
    with planted(bug):
        assert "has other content" in str(bench.merge_is_refused())
    del bench.target


def check_cycle_refused(bench: Bench, bug: Bug | None = None) -> None:
    """Merge a file that is without a cycle, and would close one with what is here."""
    project = bench.project()
    project.merge(bench.share)
    with project.start_run("closer", id="closer", use=["model"]) as run:
        run.log_artifact(draft("closing", {"c": "1"}))
    longer = lineage.open(project.pack(project.file.with_name("longer.lineage")).file)
    with lineage.open(longer.file).start_run("more", id="more", use=["closing"]):
        pass
    bench.forge(Path(longer.pack(project.file.with_name("theirs.lineage")).file).read_bytes())
    with forging(bench.theirs) as connection:
        connection.execute("DELETE FROM consumed WHERE run IN (SELECT id FROM run WHERE uid IN ('train', 'again'))")
        connection.execute(
            """INSERT INTO consumed (run, version) SELECT (SELECT id FROM run WHERE uid = 'load'), v.id
               FROM version v JOIN artifact a ON a.id = v.artifact WHERE a.name = 'closing'"""
        )
    bench.target = project
    with planted(bug):
        assert isinstance(bench.merge_is_refused(), lineage.CycleError)
    del bench.target


def check_second_producer_refused(bench: Bench, bug: Bug | None = None) -> None:
    """Merge a file that tells another story about one version."""
    project = bench.project()
    project.merge(bench.share)
    bench.copy()
    with forging(bench.theirs) as connection:
        connection.execute(
            """UPDATE produced SET run = (SELECT id FROM run WHERE uid = 'again')
               WHERE run = (SELECT id FROM run WHERE uid = 'train')"""
        )
    bench.target = project
    with planted(bug):
        assert "was produced by run" in str(bench.merge_is_refused())
    del bench.target


def check_type_clash_refused(bench: Bench, bug: Bug | None = None) -> None:
    """Merge a file with an artifact of our name and another type."""
    project = bench.project()
    project.log_artifact(draft("model", {"x": "ours"}, type="ours"))
    bench.copy()
    bench.target = project
    with planted(bug):
        assert "has type" in str(bench.merge_is_refused())
    del bench.target


UNIONS = [check_false_version_refused, check_cycle_refused, check_second_producer_refused, check_type_clash_refused]


@UNION
@pytest.mark.parametrize("check", UNIONS, ids=lambda check: check.__name__)
def test_what_contradicts_the_project_is_refused(bench: Bench, ledger: Ledger, check: Callable[[Bench], None]) -> None:
    """A version's identity, a cycle that only the two together have, a second producer, another type."""
    check(bench)
    ledger.case()


@UNION
@pytest.mark.parametrize(
    ("bug", "check"),
    [
        (bugs.versions_of_one_uid_are_one, check_false_version_refused),
        (bugs.cycles_are_not_looked_for, check_cycle_refused),
    ],
    ids=lambda one: one.name if isinstance(one, Bug) else "",
)
def test_contradictions_that_are_passed_over_are_caught(
    bench: Bench, ledger: Ledger, bug: Bug, check: Callable[[Bench, Bug], None]
) -> None:
    """One uid with two contents, and a graph that is none."""
    with ledger.catches(bug.name):
        check(bench, bug)
    bench.__dict__.pop("target", None)


@UNION
def test_alias_that_is_here_stays_and_is_reported(bench: Bench, ledger: Ledger) -> None:
    """Ours wins, unless the caller says otherwise, and he is told."""
    project = bench.project()
    ours = project.log_artifact(draft("model", {"x": "ours"}, type="model"), aliases=["best"])

    report = project.merge(bench.copy())

    assert project.version("model:best").reference == ours.reference
    assert [one.subject for one in report.decisions if one.what == "alias"] == ["model:best", "model:latest"]
    ledger.case()


@UNION
def test_bytes_that_nothing_names_do_not_come_in(bench: Bench, ledger: Ledger) -> None:
    """What no live version lists is not stored."""
    bench.copy()
    with forging(bench.theirs) as connection:
        connection.execute("INSERT INTO blob (id, digest, size) VALUES (99, ?, 50000)", ("ab" * 32,))
        connection.execute("INSERT INTO chunk (blob, seq, data) VALUES (99, 0, zeroblob(50000))")
    project = bench.project()

    project.merge(bench.theirs)

    assert project.sql("SELECT 1 FROM blob WHERE digest = ?", ["ab" * 32]) == []
    assert_bytes_right(project)
    assert_store_sound(project, strays=False)
    ledger.case()


@UNION
def test_unsealed_file_that_is_sound_comes_in(bench: Bench, ledger: Ledger) -> None:
    """A live project has no seal either."""
    bench.copy()
    with forging(bench.theirs, seal=False) as connection:
        connection.execute("DELETE FROM seal")

    assert bench.project().merge(bench.theirs).versions == 6
    ledger.case()


@UNION
def test_file_of_an_older_format_is_brought_up_to_date_in_private(tmp_path: Path, ledger: Ledger) -> None:
    """Theirs stays as it is; what it holds comes in."""
    for old in sorted((Path(__file__).parents[1] / "data").glob("format*/*.lineage")):
        folder = Path(shutil.copytree(old.parent, tmp_path / old.parent.name))
        before = (folder / old.name).read_bytes()
        project = lineage.open(tmp_path / f"into-{old.parent.name}.lineage")

        report = project.merge(folder / old.name)

        assert report.versions > 0
        assert (folder / old.name).read_bytes() == before
        assert [path.name for path in folder.iterdir() if path.suffix not in (".lineage", ".blobs")] == []
        assert_store_sound(project)
        ledger.case()


def test_opening_a_project_with_a_plain_table_of_its_owner_works(project: lineage.Project, tmp_path: Path) -> None:
    """Nothing of ours meets it; but packed for others it is not."""
    project.log_artifact(draft("data", {"a": "1"}))
    with closing(sqlite3.connect(project.file)) as connection, connection:
        connection.execute("CREATE TABLE notes (text TEXT)")
        connection.execute("CREATE INDEX notes_text ON notes (text)")

    assert lineage.open(project.file).version("data").reference == "data:v0"
    with pytest.raises(lineage.FormatError, match="table 'notes'"):
        project.pack(tmp_path / "share.lineage")
