"""Older formats: a project that an earlier library wrote opens, is brought up to date, and answers as before.

``data/make_format1.py`` made the project of ``data/format1/``; what it holds is written out below.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from conftest import draft
from footprint import footprint, open_folder, python, rows  # noqa: F401 (a fixture is used by name)
from invariants import assert_nothing_left_over, assert_store_sound

import lineage
from lineage.migrations import FORMAT_VERSION

DATA = Path(__file__).parent / "data"


def restored(folder: Path, name: str = "format1") -> Path:
    """Copy the project of an older format into a folder; git keeps no mode but that of programs."""
    shutil.copytree(DATA / name, folder, dirs_exist_ok=True)
    for blob in (folder / "old.blobs").glob("??/*"):
        blob.chmod(0o444)
    return folder / "old.lineage"


@pytest.fixture
def old(tmp_path: Path) -> lineage.Project:
    """The project of format 1, opened."""
    return lineage.open(restored(tmp_path), create=False)


def format_of(path: Path) -> int:
    """Return the number in a file."""
    with closing(sqlite3.connect(path)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def test_format_1_is_what_its_fixture_has(tmp_path: Path) -> None:
    """The file of the repository is still the old one: nobody opened it for writing by mistake."""
    assert format_of(restored(tmp_path)) == 1


def test_format_1_is_brought_up_to_date_and_sound(old: lineage.Project) -> None:
    """Opening is all it takes; the file as it was lies beside it."""
    assert (format_of(old.file), format_of(old.file.with_name("old.lineage.format1"))) == (FORMAT_VERSION, 1)
    assert old.verify().problems == ()
    assert_store_sound(old)
    assert_nothing_left_over(old)


def test_format_1_has_its_versions(old: lineage.Project) -> None:
    """References, digests, words, tags and what was deleted; none is a link, another project's, or to expire."""
    found = [
        (one.reference, one.digest[:8], one.size, one.metadata, one.tags, one.deleted)
        for one in old.versions(include_deleted=True)
    ]

    assert found == [
        ("data:v0", "b3600fbd", 40_003, {}, ("clean",), False),
        ("model:v0", "ea532c6a", 20_000, {"iou": 0.5}, (), False),
        ("model:v1", "239e6331", 20_000, {"iou": 0.7}, (), False),
        ("report:v0", "32126cee", 4, {}, (), False),
        ("data:v1", "fe67346f", 3, {}, (), True),
        ("data:v2", "305232cb", 5, {}, (), False),
        ("scrap:v0", "af12fb46", 17_000, {}, (), True),
    ]
    assert {(one.ttl, one.project, one.link_to) for one in old.versions(include_deleted=True)} == {(None, None, None)}
    assert [(one.name, one.version_count, one.project, one.collection) for one in old.artifacts()] == [
        ("data", 2, None, False),
        ("model", 2, None, False),
        ("report", 1, None, False),
    ]
    assert old.version("data:raw").description == "raw digits"
    assert old.version("data@b3600fbd").uid == "01m8ee2nc4wbwt03hgqzrnefcn"


def test_format_1_has_its_bytes(old: lineage.Project) -> None:
    """Those in the file and those beside it; a reference is still one."""
    data = old.version("data:v0")

    assert [(entry.path, entry.size, entry.uri) for entry in data.files()] == [
        ("a.txt", 3, None),
        ("dir/large.bin", 40_000, None),
        ("more.tar", None, "s3://bucket/more.tar"),
    ]
    assert data.open("a.txt").read() == b"one"
    assert data.open("dir/large.bin").read() == b"large" * 8_000
    assert old.version("model:best").open("weights.bin").read() == b"v" * 20_000


def test_format_1_has_its_runs(old: lineage.Project) -> None:
    """Status, config, summary, metrics, words, and the one that was deleted."""
    found = [
        (one.id, one.name, one.job_type, one.status, one.config, one.deleted) for one in old.runs(include_deleted=True)
    ]

    assert found == [
        ("load", "first", "load", "finished", {"source": "web"}, False),
        ("train", "second", "train", "finished", {"lr": 0.1}, False),
        ("again", "third", "train", "finished", {}, False),
        ("gone", "lilac-dew-4", "eval", "finished", {}, True),
    ]
    assert (old.run("load").notes, old.run("load").tags) == ("as it came", ("t1",))
    assert old.run("train").summary == {"loss": 1 / 3}
    assert [(row.step, row.values) for row in old.run("train").history()] == [
        (0, {"loss": 1.0}),
        (1, {"loss": 0.5}),
        (2, {"loss": 1 / 3}),
    ]


def test_format_1_has_its_lineage(old: lineage.Project) -> None:
    """Edges and reproductions, those of the deleted run too."""
    assert old.sql("SELECT source, target FROM edges ORDER BY 1, 2") == [
        {"source": "again", "target": "model:v1"},
        {"source": "data:v0", "target": "again"},
        {"source": "data:v0", "target": "train"},
        {"source": "gone", "target": "report:v0"},
        {"source": "load", "target": "data:v0"},
        {"source": "model:v1", "target": "gone"},
        {"source": "train", "target": "model:v0"},
    ]
    assert old.sql("SELECT reference, run FROM reproductions") == [{"reference": "model:v0", "run": "again"}]
    assert [node.id for node in old.ancestors("report:v0")] == ["gone", "model:v1", "again", "data:v0", "load"]
    assert [(one.reference, one.used, one.newest) for one in old.stale()] == [
        ("model:v1", "data:v0", "data:v2"),
        ("report:v0", "data:v0", "data:v2"),
    ]


def test_format_1_has_its_aliases_and_their_history(old: lineage.Project) -> None:
    """What is protected stays so."""
    aliases = {reference: version.aliases for version in old.versions() if (reference := version.reference)}

    assert aliases == {
        "data:v0": ("raw",),
        "data:v2": ("latest",),
        "model:v0": (),
        "model:v1": ("best", "kept", "latest"),
        "report:v0": ("latest",),
    }
    assert [(one.moved_from, one.moved_to, one.run) for one in old.alias_history("model:best")] == [
        (None, "model:v0", "train"),
        ("model:v0", "model:v1", "again"),
    ]
    with pytest.raises(lineage.ConflictError, match="protected"):
        old.version("model:v0").add_alias("kept")


def test_format_1_goes_on_with_what_came_since(old: lineage.Project, tmp_path: Path) -> None:
    """Numbers, known content and deleted names go on; links, times to live and other projects are to be had."""
    other = lineage.open(tmp_path / "other.lineage").log_artifact(draft("raw", {"a": "1"}))

    assert old.log_artifact(draft("data", {"a.txt": "two"})).reference == "data:v3"
    assert old.log_artifact(draft("model", {"weights.bin": "w" * 20_000}, type="model")).reference == "model:v0"
    assert old.log_artifact(draft("scrap", {"x": "1"}, type="other")).reference == "scrap:v1"
    assert old.link("model:best", "Best models").reference == "Best models:v0"
    with old.start_run(use=[other]) as run:
        assert [one.reference for one in run.used_artifacts()] == ["other/raw:v0"]
    old.gc()
    assert_store_sound(old)
    assert_nothing_left_over(old)


def test_format_1_opened_twice_is_brought_up_to_date_once(old: lineage.Project) -> None:
    """The second time there is nothing to do."""
    before = footprint(old)

    assert footprint(lineage.open(old.file)) == before


def test_format_1_that_is_only_to_be_read_says_what_to_do(tmp_path: Path) -> None:
    """Reading changes nothing, so it is not brought up to date; and the message is no riddle."""
    path = restored(tmp_path)
    before = path.read_bytes()

    with pytest.raises(lineage.ReadOnlyError, match="has format 1, .*: open it once without read_only, or copy it"):
        lineage.open(path, read_only=True)

    assert path.read_bytes() == before
    assert sorted(one.name for one in tmp_path.iterdir()) == ["old.blobs", "old.lineage"]


def test_format_1_in_a_folder_that_cannot_be_written_says_what_to_do(open_folder: Path) -> None:  # noqa: F811 (see above)
    """As on read-only media; a copy elsewhere opens."""
    path = restored(open_folder / "old")
    path.chmod(0o644)
    (open_folder / "old").chmod(0o555)
    program = """
import lineage, shutil
try:
    lineage.open("old/old.lineage")
except lineage.ReadOnlyError as error:
    print(error)
shutil.copytree("old", "copy", copy_function=shutil.copyfile)
os.chmod("copy", 0o755)
print(lineage.open("copy/old.lineage").version("data:raw").reference)
"""

    ended = python(program, nobody=os.geteuid() == 0)

    assert ended.stderr == ""
    said, reference = ended.stdout.splitlines()
    assert "copy it, with its .blobs folder, to where it can be written" in said
    assert reference == "data:v0"
    assert [one.name for one in (open_folder / "old").iterdir() if one.name.startswith("old.lineage.")] == []


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("CREATE TABLE link (url TEXT)", "table 'link'"),
        ("CREATE TABLE Seal (url TEXT PRIMARY KEY)", "table 'Seal'"),
        ("CREATE TABLE mine (url TEXT); CREATE INDEX link_source ON mine (url)", "index 'link_source'"),
        ("CREATE TABLE outside_uses (url TEXT)", "table 'outside_uses'"),
    ],
)
def test_format_1_with_a_table_of_somebody_elses_where_ours_would_be_is_refused(
    tmp_path: Path, sql: str, what: str
) -> None:
    """Before a copy is made, or anything else; renamed, it does no harm."""
    path = restored(tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(sql)
    before = rows(path), sorted(tmp_path.rglob("*"))

    with pytest.raises(lineage.FormatError, match=f"{what}, which no lineage made, .* rename that with sqlite3"):
        lineage.open(path)

    assert (rows(path), sorted(tmp_path.rglob("*"))) == before


def test_format_1_with_a_table_of_somebody_elses_is_brought_up_to_date(tmp_path: Path) -> None:
    """Its name is none of ours: it stays as it is."""
    path = restored(tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE links (url TEXT); INSERT INTO links VALUES ('here')")

    assert_store_sound(lineage.open(path))

    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT url FROM links").fetchall() == [("here",)]
