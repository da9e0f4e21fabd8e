"""What is done while it is disturbed: one operation each, on a project made ready for it.

An operation works in a folder that `prepare` filled, which is made once and copied for each case. `act` says after
each public call that the call has returned. What the project shows after each call of an undisturbed run, its
portrait, is what it may show after a disturbed one: before the call, or after it, and nothing in between.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import lineage

DATA = Path(__file__).parents[1] / "data"
PROJECT = "p.lineage"
TIMEOUT = 1.0
"""Seconds that a call may wait for a lock: a disk that gives none must not hold anybody for longer."""

Say = Callable[[str], None]
Act = Callable[[Path, int, Say], None]


@dataclass(frozen=True)
class Operation:
    """Something that is done to a project.

    Attributes:
        name: What the reports call it.
        prepare: Fills the folder.
        act: Does it, told the folder, which time this is, and whom to tell what has returned.
        file: The project's file in the folder.
        stepwise: A call of it does several things, one after the other, each of them whole.
        lasting: What it acknowledges survives a power cut. Of a download only the store's side does.
    """

    name: str
    prepare: Callable[[Path], None]
    act: Act
    file: str = PROJECT
    stepwise: bool = False
    lasting: bool = True


def bytes_of(word: str) -> bytes:
    """Return the contents that a word stands for; long words are large enough to lie beside the project."""
    return word.encode() * (4_000 if len(word) > 5 else 1)


def draft(name: str, *words: str) -> lineage.Artifact:
    """Return a draft with a file for each word."""
    made = lineage.Artifact(name, type="dataset")
    for word in words:
        with made.new_file(f"{word}.bin", "wb") as file:
            file.write(bytes_of(word)[:9_000])  # kept in memory, until the rest comes
            file.write(bytes_of(word)[9_000:])
    return made


def opened(folder: Path, name: str = PROJECT) -> lineage.Project:
    """Open the project of a folder."""
    return lineage.open(folder / name, create=False, timeout=TIMEOUT)


# --- projects to begin with ---


def prepare_nothing(folder: Path) -> None:
    """Leave the folder empty."""


def prepare_history(folder: Path) -> None:
    """Make versions with aliases and tags, one of them used, one deleted whose bytes nobody has collected."""
    project = lineage.open(folder / PROJECT)
    with project.start_run("load", id="load") as run:
        run.log_artifact(draft("data", "one", "largest"), aliases=["best"], tags=["clean"])
        run.log_artifact(draft("data", "two", "largest", "larger"))
        run.log_artifact(draft("data", "three"), aliases=["newest"])
        run.log_artifact(draft("model", "weights"))
    with project.start_run("train", id="train", use=["data:v0"]) as run:
        run.log_artifact(draft("model", "weights", "bias"))
        run.log_artifact(draft("scrap", "junk", "rubbish"))
    project.delete_artifact("scrap")


def prepare_other(folder: Path) -> None:
    """Put the packed project of somebody else beside ours."""
    prepare_history(folder)
    (folder / "elsewhere").mkdir()
    theirs = lineage.open(folder / "elsewhere" / "theirs.lineage")
    with theirs.start_run("train", id="theirs") as run:
        run.log_artifact(draft("data", "four", "foreign"), aliases=["best"])
        run.log_artifact(draft("report", "largest", "one"))
    theirs.pack(folder / "other.lineage")
    shutil.rmtree(folder / "elsewhere")


def prepare_damage(folder: Path) -> None:
    """Break what can be mended without loss: a file whose bytes the project holds too, an alias, a mode, a counter."""
    prepare_history(folder)
    with closing(sqlite3.connect(folder / PROJECT, isolation_level=None)) as connection:
        rows = connection.execute("SELECT id, digest FROM blob WHERE size > 20000 ORDER BY size, digest").fetchall()
        (blob, broken), (_, loose) = rows[0], rows[-1]
        path = folder / "p.blobs" / broken[:2] / broken[2:]
        connection.execute("INSERT INTO chunk (blob, seq, data) VALUES (?, 0, ?)", (blob, path.read_bytes()))
        connection.execute("DELETE FROM alias WHERE name = 'latest'")
        connection.execute("UPDATE artifact SET next_number = 0 WHERE name = 'model'")
    path.chmod(0o644)
    path.write_bytes(b"x" + path.read_bytes()[1:])
    path.chmod(0o444)
    (folder / "p.blobs" / loose[:2] / loose[2:]).chmod(0o644)


def prepare_damage_inside(folder: Path) -> None:
    """Have wrong bytes in the project beside the right ones in a file, and nothing else to mend."""
    prepare_history(folder)
    with closing(sqlite3.connect(folder / PROJECT, isolation_level=None)) as connection:
        blob = connection.execute("SELECT id, size FROM blob WHERE size > 20000 LIMIT 1").fetchone()
        connection.execute("INSERT INTO chunk (blob, seq, data) VALUES (?, 0, zeroblob(?))", blob)


def prepare_format_1(folder: Path) -> None:
    """Copy the project that an earlier library wrote; git keeps no mode but that of programs."""
    shutil.copytree(DATA / "format1", folder, dirs_exist_ok=True)
    for blob in (folder / "old.blobs").glob("??/*"):
        blob.chmod(0o444)


def prepare_packed(folder: Path) -> None:
    """Have the project as one packed file."""
    (folder / "elsewhere").mkdir()
    prepare_history(folder / "elsewhere")
    opened(folder / "elsewhere").pack(folder / PROJECT)
    shutil.rmtree(folder / "elsewhere")


# --- what is done to them ---


def create(folder: Path, turn: int, say: Say) -> None:
    """Make a project, and log into it."""
    project = lineage.open(folder / PROJECT, timeout=TIMEOUT)
    say("created")
    project.log_artifact(draft("first", f"n{turn}", f"longer{turn}"))
    say("logged")


def log(folder: Path, turn: int, say: Say) -> None:
    """Log new bytes, small and large, and some that are known."""
    run = opened(folder).start_run("train", id=f"run{turn}", use=["data:v0"])
    say("started")
    run.log_artifact(draft("new", f"n{turn}", "longest"), aliases=["best"], tags=["clean"])
    say("logged")
    run.log({"loss": 0.5})
    run.flush()
    say("noted")
    run.log_artifact(draft("new", f"m{turn}", f"longer{turn}", "largest"), aliases=["best"])
    say("logged more")
    run.finish()
    say("finished")


def log_known(folder: Path, turn: int, say: Say) -> None:
    """Log bytes that lie in the project already, also some that only a deleted version names."""
    run = opened(folder).start_run("train", id=f"run{turn}")
    say("started")
    run.log_artifact(draft(f"copy{turn}", "one", "largest", "larger"))
    say("logged")
    run.log_artifact(draft(f"back{turn}", "junk", "rubbish"))
    say("logged what was deleted")
    run.log_artifact(draft("data", "three"), aliases=["again"])
    say("reproduced")
    run.finish()
    say("finished")


def log_together(folder: Path, turn: int, say: Say) -> None:
    """Log a run with its versions in one transaction."""
    project = opened(folder)
    with project.batch():
        with project.start_run("eval", id=f"run{turn}", use=["data:v0"]) as run:
            run.log_artifact(draft("report", f"n{turn}", f"longer{turn}"))
            run.log_artifact(draft("copy", f"m{turn}", "largest"))
    say("logged together")


def delete(folder: Path, turn: int, say: Say) -> None:
    """Delete a version, a run with what it logged, and an artifact: what of them is there."""
    project = opened(folder)
    for reference in live(project, "data:v0"):
        project.version(reference).delete(delete_aliases=True)
        say("deleted a version")
    for row in project.sql("SELECT id FROM runs WHERE id = 'train' AND deleted_at IS NULL"):
        project.run(row["id"]).delete(delete_versions=True, delete_aliases=True)
        say("deleted a run")
    if live(project, "model:v0"):
        project.delete_artifact("model")
        say("deleted an artifact")


def live(project: lineage.Project, reference: str) -> list[str]:
    """Return the reference, if its version is there."""
    words = "SELECT reference FROM versions WHERE reference = ? AND deleted_at IS NULL"
    return [str(row["reference"]) for row in project.sql(words, [reference])]


def move_aliases(folder: Path, turn: int, say: Say) -> None:
    """Move an alias to and fro, take one away, change tags."""
    project = opened(folder)
    project.version("data:v1").add_alias("best", override=True)
    say("moved")
    project.version("data:v0").add_alias("best", protect=True, override=True)
    say("moved back")
    project.version("data:best").remove_alias("best", override=True)
    say("removed")
    project.version("data:v0").add_alias("best")
    say("put back")
    project.version("data:v0").update(tags=["clean", "checked"], description=f"the {turn}th")
    say("described")


def prune(folder: Path, turn: int, say: Say) -> None:
    """Delete by rule."""
    opened(folder).prune(keep_last=1, keep_aliased=False, keep_tagged=False)
    say("pruned")


def gc(folder: Path, turn: int, say: Say) -> None:
    """Collect, log what was collected, delete and collect that, and give the room back to the disk."""
    project = opened(folder)
    project.gc()
    say("collected")
    project.log_artifact(draft("back", "junk", "rubbish"), force_new_version=True)
    say("logged what was collected")
    project.delete_artifact("back")
    say("deleted")
    project.gc(compact=True)
    say("collected and made compact")


def pack(folder: Path, turn: int, say: Say) -> None:
    """Pack under a new name, then over the file of that name."""
    project = opened(folder)
    target = folder / "share.lineage"
    project.pack(target, overwrite=target.exists())
    say("packed")
    project.pack(target, select="data", overwrite=True)
    say("packed again")


def merge(folder: Path, turn: int, say: Say) -> None:
    """Take in the packed project of somebody else."""
    opened(folder).merge(folder / "other.lineage", aliases="theirs")
    say("merged")


def repair(folder: Path, turn: int, say: Say) -> None:
    """Mend what can be mended."""
    report = opened(folder).repair(dry_run=False)
    for action in report.actions:
        if action.error is not None:
            raise lineage.LineageError(action.error)
    if not report.ok:
        raise lineage.LineageError(report.remaining[0].message)
    say("repaired")
    opened(folder).unpack()  # what lies in both places now
    say("unpacked")


def migrate(folder: Path, turn: int, say: Say) -> None:
    """Open a project of format 1, and write into it."""
    project = opened(folder, "old.lineage")
    say("migrated")
    project.log_artifact(draft("new", f"n{turn}", f"longer{turn}"))
    say("logged")


def unpack(folder: Path, turn: int, say: Say) -> None:
    """Move the large contents of a packed project beside it."""
    opened(folder).unpack()
    say("unpacked")


def download(folder: Path, turn: int, say: Say) -> None:
    """Bring a version into a folder, and look whether it came right."""
    version = opened(folder).version("data:v1")
    version.download(folder / "out")
    version.verify(folder / "out")
    say("downloaded")


def recover(folder: Path, turn: int, say: Say) -> None:
    """Open what a crash left, and ask something: SQLite takes back what is half done."""
    opened(folder).sql("SELECT count(*) FROM versions")
    say("recovered")


OPERATIONS = {
    one.name: one
    for one in (
        Operation("create", prepare_nothing, create),
        Operation("log", prepare_history, log),
        Operation("log-known", prepare_history, log_known),
        Operation("log-together", prepare_history, log_together),
        Operation("delete", prepare_history, delete),
        Operation("alias", prepare_history, move_aliases),
        Operation("prune", prepare_history, prune),
        Operation("gc", prepare_history, gc),
        Operation("pack", prepare_history, pack),
        Operation("merge", prepare_other, merge),
        Operation("repair", prepare_damage, repair, stepwise=True),
        Operation("migrate", prepare_format_1, migrate, file="old.lineage"),
        Operation("unpack", prepare_packed, unpack),
        Operation("download", prepare_history, download, lasting=False),
    )
}
"""What is disturbed."""
EVERY = OPERATIONS | {
    "recover": Operation("recover", prepare_history, recover),
    "set-aside": Operation("set-aside", prepare_damage_inside, repair, stepwise=True),
}
"""What a child can be asked for."""
