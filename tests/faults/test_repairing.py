"""Repair shows what it would do and changes nothing; when it does, everything that was there is there afterwards."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import plants_verifying as bugs
import pytest
from conftest import draft
from ledger import Ledger
from plants import Bug, planted
from test_cli_support import call

import lineage

KEPT = pytest.mark.faults(
    "P20", "F111 F112 F114", "repair drops nothing: bytes go to quarantine, rows and history stay"
)
PLANNED = pytest.mark.faults("P20 P14", "F111 F114", "repair without --apply only says what it would do")

Damage = Callable[[lineage.Project], None]
LARGE = b"weights" + b"." * 20_000
SMALL = b"notes"


def begun(folder: Path) -> lineage.Project:
    """Two versions, the newer with bytes in both places, a run that made it, an alias."""
    project = lineage.open(folder / "p.lineage")
    project.log_artifact(draft("m", {"notes": b"older"}), aliases=["first"])
    with project.start_run("train", use=["m:v0"]) as run:
        run.log_artifact(draft("m", {"large": LARGE, "notes": SMALL}, metadata={"a": 1}), aliases=["best"])
    return project


def edit(project: lineage.Project, sql: str, *parameters: object) -> None:
    """Change rows behind the library's back."""
    with closing(sqlite3.connect(project.file)) as connection, connection:
        connection.execute(sql, parameters)


def place_of(project: lineage.Project, path: str = "large") -> Path:
    """Return where the file of an entry lies, or would."""
    digest = str(project.version("m:v1").entry(path).digest)
    return project.blob_folder / digest[:2] / digest[2:]


# --- damage ---


def file_damaged(project: lineage.Project) -> None:
    """A file with other bytes."""
    _written(place_of(project), b"W" + LARGE[1:])


def file_cut(project: lineage.Project) -> None:
    """A file that ends early."""
    _written(place_of(project), LARGE[:5000])


def file_damaged_with_good_bytes_inside(project: lineage.Project) -> None:
    """A second, good copy inside the project file."""
    digest = project.version("m:v1").entry("large").digest
    edit(project, "INSERT INTO chunk (blob, seq, data) SELECT id, 0, ? FROM blob WHERE digest = ?", LARGE, digest)
    file_damaged(project)


def inside_damaged(project: lineage.Project) -> None:
    """Bytes inside the project file are others."""
    edit(project, "UPDATE chunk SET data = ? WHERE data = ?", b"noter", SMALL)


def inside_damaged_with_a_good_file(project: lineage.Project) -> None:
    """A second, good copy beside it."""
    place_of(project, "notes").parent.mkdir(exist_ok=True)
    _written(place_of(project, "notes"), SMALL)
    inside_damaged(project)


def file_is_a_folder(project: lineage.Project) -> None:
    """A folder of somebody's files in its place."""
    place = place_of(project)
    place.rename(project.file.with_name("moved"))
    place.mkdir()
    (place / "theirs").write_bytes(b"somebody's")


def file_is_a_link(project: lineage.Project) -> None:
    """A link in its place."""
    place = place_of(project)
    place.rename(project.file.with_name("moved"))
    place.symlink_to(project.file.with_name("moved"))


def file_can_be_written(project: lineage.Project) -> None:
    """A mode that lets anybody write."""
    place_of(project).chmod(0o666)


def latest_is_gone(project: lineage.Project) -> None:
    """No alias ``latest``."""
    edit(project, "DELETE FROM alias WHERE name = 'latest'")


def alias_of_a_deleted_version(project: lineage.Project) -> None:
    """An alias that names what is deleted."""
    edit(project, "UPDATE version SET deleted_at = created_at WHERE number = 0")


def counter_is_behind(project: lineage.Project) -> None:
    """A counter that would give a number twice."""
    edit(project, "UPDATE artifact SET next_number = 0")


def counts_are_wrong(project: lineage.Project) -> None:
    """A listing that counts other files than it has."""
    edit(project, "UPDATE manifest SET file_count = 7")


def all_at_once(project: lineage.Project) -> None:
    """Several of these."""
    for damage in (file_damaged, inside_damaged, latest_is_gone, counter_is_behind, counts_are_wrong):
        damage(project)


def _written(path: Path, data: bytes) -> None:
    if path.exists():
        path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(0o444)


DAMAGES: list[Damage] = [
    file_damaged,
    file_cut,
    file_damaged_with_good_bytes_inside,
    inside_damaged,
    inside_damaged_with_a_good_file,
    file_is_a_folder,
    file_is_a_link,
    file_can_be_written,
    latest_is_gone,
    alias_of_a_deleted_version,
    counter_is_behind,
    counts_are_wrong,
    all_at_once,
]

# --- nothing is dropped ---


def bytes_of(project: lineage.Project) -> set[bytes]:
    """Return every content there is: of files and links below the blob folder, and of chunks."""
    found = {row["data"] for row in project.sql("SELECT data FROM chunk")}
    for folder, folders, names in os.walk(project.blob_folder):
        for name in [*names, *folders]:
            path = Path(folder) / name
            if path.is_symlink():
                found.add(os.fsencode(path.readlink()))
            elif path.is_file() and path.suffix != ".lock" and name != "newest":
                found.add(path.read_bytes())
    return found


def rows_of(project: lineage.Project) -> dict[str, set[tuple[object, ...]]]:
    """Return what the project knows, but for aliases, which are in their history."""
    tables = {
        "version": "SELECT uid, number, manifest, metadata, deleted_at FROM version",
        "alias_event": "SELECT id, artifact, name, from_version, to_version FROM alias_event",
        "consumed": "SELECT run, version FROM consumed",
        "produced": "SELECT run, version FROM produced",
        "entry": "SELECT part, path, blob FROM entry",
        "blob": "SELECT digest, size FROM blob",
        "run": "SELECT uid, name, config, summary FROM run",
    }
    return {name: {tuple(row.values()) for row in project.sql(query)} for name, query in tables.items()}


def check_kept(folder: Path, damage: Damage, bug: Bug | None = None) -> None:
    """Repair, and see that all bytes and rows are there, and that what it said it did is done."""
    project = begun(folder)
    damage(project)
    before, rows = bytes_of(project), rows_of(project)
    with planted(bug):
        assert project.repair().actions
        report = project.repair(dry_run=False)
        assert [action.error for action in report.actions if not action.done] == []
        again = project.repair().actions
    assert before <= bytes_of(project)
    after = rows_of(project)
    assert {name: found - after[name] for name, found in rows.items() if found - after[name]} == {}
    assert again == ()
    aside = sorted(project.blob_folder.glob("quarantine/*"))
    project.gc()
    assert aside == sorted(project.blob_folder.glob("quarantine/*")), "gc takes nothing from quarantine"


@KEPT
@pytest.mark.parametrize("damage", DAMAGES)
def test_repair_drops_nothing(tmp_path: Path, ledger: Ledger, damage: Damage) -> None:
    """Bytes that are not what they were lie in quarantine, whatever they are; so does a link, or a folder."""
    check_kept(tmp_path, damage)
    ledger.case()


@KEPT
@pytest.mark.parametrize(
    ("bug", "damage"),
    [
        (bugs.repair_that_unlinks, file_damaged),
        (bugs.repair_that_unlinks, file_is_a_link),
        (bugs.repair_that_drops_rows, inside_damaged),
        (bugs.repair_that_drops_rows, inside_damaged_with_a_good_file),
        (bugs.repair_that_overlooks_what_is_no_file, file_is_a_folder),
        (bugs.repair_that_says_done, file_cut),
    ],
    ids=lambda one: getattr(one, "name", None) or one.__name__,
)
def test_repair_drops_nothing_check_sees(tmp_path: Path, ledger: Ledger, bug: Bug, damage: Damage) -> None:
    """A repair that destroys, or says that it did what it did not, does not pass."""
    with ledger.catches(bug.name):
        check_kept(tmp_path, damage, bug)


# --- nothing is done unless asked ---


def check_planned(folder: Path, damage: Damage, bug: Bug | None = None) -> None:
    """Ask for a plan, in Python and on the command line, and see that nothing is another byte than it was."""
    project = begun(folder)
    damage(project)
    before = bytes_of(project), rows_of(project), project.file.read_bytes()
    with planted(bug):
        planned = project.repair().actions
        answer = call("repair", "--project", project.file)
    assert (bytes_of(project), rows_of(project), project.file.read_bytes()) == before
    assert planned
    assert not any(action.done for action in planned)
    assert all(f"would do: {action.what}" in answer.out for action in planned)
    assert not (project.blob_folder / "quarantine").exists()


@PLANNED
@pytest.mark.parametrize("damage", DAMAGES)
def test_repair_shows_a_plan_first(tmp_path: Path, ledger: Ledger, damage: Damage) -> None:
    """Doing it takes dry_run=False, or --apply."""
    check_planned(tmp_path, damage)
    ledger.case()


@PLANNED
def test_repair_plan_check_sees_one_that_does_it(tmp_path: Path, ledger: Ledger) -> None:
    """A dry run that is none does not pass."""
    bug = bugs.repair_that_does_what_it_plans
    with ledger.catches(bug.name):
        check_planned(tmp_path, file_damaged, bug)
