"""Programs killed in the middle: at random instants, and at every call that changes something on the disk.

A process that has imported the library forks one child for each job, so that a job costs milliseconds. After each
kill the project must open, be clean, hold what the job was told is done, and take the same job again, before any gc.
`LINEAGE_CRASH=long python -m pytest tests/test_crash.py` kills at every single call, and 500 times at random.
"""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import pytest
from invariants import assert_nothing_left_over

import lineage
from lineage import database
from lineage.artifact import staging_home
from lineage.records import Entry

LONG = os.environ.get("LINEAGE_CRASH") == "long"
CHANGES = ("rename", "replace", "fsync", "link", "unlink", "mkdir", "rmdir", "chmod", "pwrite", "ftruncate")
"""Functions of `os` that change what is on the disk, or make it durable."""
CONTENTS = {"small": b"small", "other": b"other", "large": b"large" * 8_000, "known": b"known" * 5_000}


# --- the child: a job that reports what it was told is done ---


def job(file: Path, turn: int, say: Callable[..., None]) -> None:
    """Do one of each; say what comes, and what is done once the call has returned."""
    project = lineage.open(file)
    run = project.start_run("train", id=f"run{turn}", config={"turn": turn})
    say("started", run.id)

    log(run, say, "data", {"a": "small"})
    log(run, say, "data", {"a": "small", "b": "large"}, aliases=["best"])
    log(run, say, "copy", {"c": "large"})
    run.log({"loss": 0.5})
    log(run, say, "gone", {"a": "other", "b": "known"})

    version = project.version("data:v0")
    say("will point", "data:best", version.reference)
    version.add_alias("best")
    say("points", "data:best", version.reference)

    doomed = project.version("gone")
    say("will delete", doomed.reference)
    doomed.delete(delete_aliases=True)
    say("deleted", doomed.reference)
    project.gc()
    log(run, say, "back", {"b": "known"})  # the bytes that gc has just taken

    with project.batch():
        inner = project.start_run("eval", id=f"inner{turn}", use=["data:v0"])
        first = inner.log_artifact(draft_of("report", {"r": "small", "l": "known"}), force_new_version=True)
        inner.finish()
    assert first is not None
    say("logged", first.reference, {"r": "small", "l": "known"})
    say("finished", inner.id)

    say("will finish", run.id)
    run.finish()
    say("finished", run.id)


def draft_of(name: str, files: dict[str, str]) -> lineage.Artifact:
    made = lineage.Artifact(name, type="dataset")
    for path, content in files.items():
        with made.new_file(path, "wb") as file:
            file.write(CONTENTS[content])
    return made


def log(run: lineage.ActiveRun, say: Callable[..., None], name: str, files: dict[str, str], **how: Any) -> None:
    version = run.log_artifact(draft_of(name, files), **how)
    assert version is not None
    say("logged", version.reference, files)


def serve() -> None:
    """Fork a child for each job that is asked for on stdin; tell pid, what it says and how it ended on stdout."""
    lineage.open(Path(sys.argv[1]) / "warm.lineage").start_run().finish()  # git and packages are read once
    staging_home.store = None
    logging.getLogger("lineage").setLevel(logging.ERROR)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            work(**json.loads(line))
        _, status = os.waitpid(child, 0)
        tell("ended", os.waitstatus_to_exitcode(status))


def tell(*words: object) -> None:
    os.write(1, json.dumps(words).encode() + b"\n")  # one write: whole or not at all


def work(file: str, turn: int, kill_at: int, after: float) -> None:
    """Do the job in the forked child, and be killed on the way."""
    calls = 0

    def strike() -> None:
        nonlocal calls
        calls += 1
        if calls == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    if kill_at:
        arm(strike)
    signal.setitimer(signal.ITIMER_REAL, after)  # nobody handles SIGALRM: it ends the process as SIGKILL does
    try:
        job(Path(file), turn, tell)
        tell("calls", calls)
        os._exit(0)
    except BaseException as error:  # noqa: BLE001 (the parent says what it means)
        tell("error", f"{type(error).__name__}: {error}")
        os._exit(1)


def arm(strike: Callable[[], None]) -> None:
    """Have `strike` called before each change on the disk, and before and after each commit."""
    for name in CHANGES:
        setattr(os, name, struck(getattr(os, name), strike))
    execute = database._Connection.execute

    def struck_execute(self: Any, sql: str, *parameters: Any) -> Any:
        if sql != "COMMIT":
            return execute(self, sql, *parameters)
        strike()
        found = execute(self, sql, *parameters)
        strike()
        return found

    database._Connection.execute = struck_execute  # type: ignore[method-assign]  # in the child, which dies of it


def struck(real: Callable[..., Any], strike: Callable[[], None]) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        strike()
        return real(*arguments, **named)

    return call


# --- the parent: what must hold afterwards ---


@dataclass
class Told:
    """What a job was told is done, and what it was doing."""

    started: list[str] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    logged: dict[str, dict[str, str]] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    points: dict[str, str] = field(default_factory=dict)
    doubtful: list[list[str]] = field(default_factory=list)
    calls: int = 0
    exit: int = 0
    error: str = ""

    def hear(self, word: str, *rest: Any) -> None:
        if word.startswith("will"):
            self.doubtful = [[word, *rest]]
            return
        if word not in ("ended", "error"):
            self.doubtful = []
        match word:
            case "started" | "finished" | "deleted":
                getattr(self, word).append(rest[0])
            case "logged":
                self.logged[rest[0]] = rest[1]
            case "points":
                self.points[rest[0]] = rest[1]
            case "calls":
                self.calls = rest[0]
            case "error":
                self.error = rest[0]
            case "ended":
                self.exit = rest[0]


class Nursery:
    """The process that forks the children."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=os.environ | {"PYTHONPATH": str(Path(lineage.__file__).parents[1])},  # also where it is not installed
        )

    def run(self, file: Path, turn: int, *, kill_at: int = 0, after: float = 0) -> Told:
        """Have a job done, killed at the so-manieth call or after some time; return what it was told."""
        asked = json.dumps({"file": str(file), "turn": turn, "kill_at": kill_at, "after": after})
        told = Told()
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(asked + "\n")
        for words in self._answers(stdout):
            told.hear(*words)
            if words[0] == "ended":
                break
        return told

    def _answers(self, stdout: IO[str]) -> Iterator[list[Any]]:
        for line in stdout:
            yield json.loads(line)
        pytest.fail("the nursery died")

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: a kill asks nothing of the disk, and hundreds of syncs take long."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as made:
        yield Path(made)


@pytest.fixture
def nursery(folder: Path) -> Iterator[Nursery]:
    """A process ready to fork children."""
    (folder / "warm").mkdir()
    made = Nursery(folder / "warm")
    yield made
    made.close()


def assert_survives(nursery: Nursery, file: Path, told: Told) -> None:
    """Fail unless the project is whole, keeps what it acknowledged, and takes the same job again."""
    assert told.exit in (0, -signal.SIGKILL, -signal.SIGALRM), told.error
    if told.logged or told.started:
        assert file.exists()
    if file.exists():
        project = lineage.open(file, create=False)
        assert [one for one in project.verify().problems if one.kind != "stray-file"] == []
        assert_kept(project, told)
        assert_crashed(project, told)

    again = nursery.run(file, 2)

    assert (again.exit, again.error) == (0, "")
    project = lineage.open(file, create=False)
    raw = {row["id"]: row["status"] for row in project.sql("SELECT id, status FROM runs")}
    assert set(raw.values()) <= {"finished", "crashed"}  # the next start_run wrote it down
    project.gc()
    assert_nothing_left_over(project)
    assert_kept(project, told, again)
    assert_kept(project, again)


def assert_kept(project: lineage.Project, told: Told, later: Told | None = None) -> None:
    """Fail unless all that was acknowledged is there, byte for byte; but for what was deleted or moved since."""
    gone = {*told.deleted, *(words[1] for words in told.doubtful if words[0] == "will delete")}
    gone |= set(later.deleted) if later is not None else set()
    with project.snapshot():
        for reference, files in told.logged.items():
            if reference not in gone:
                version = project.version(reference)
                assert {entry.path: read(version, entry) for entry in version.files()} == {
                    path: CONTENTS[content] for path, content in files.items()
                }
                assert version.logged_by() is not None
        for reference in told.deleted:
            with pytest.raises(lineage.NotFoundError):
                project.version(reference)
        for name, reference in told.points.items():
            doubtful = [words[2] for words in told.doubtful if words[:2] == ["will point", name]]
            assert project.version(name).reference in (reference, *doubtful)


def read(version: lineage.Version, entry: Entry) -> bytes:
    with version.open(entry.path) as file:
        content: bytes = file.read()
        return content


def assert_crashed(project: lineage.Project, told: Told) -> None:
    """Fail unless a run that was killed counts as crashed, in its record, in lists and in filters."""
    doubtful = {words[1] for words in told.doubtful if words[0] == "will finish"}
    crashed = {run.id for run in project.runs(status="crashed")}
    assert crashed == {run.id for run in project.runs({"status": {"$in": ["crashed"]}})}
    for run in told.started:
        wanted = {"finished"} if run in told.finished else {"finished", "crashed"} if run in doubtful else {"crashed"}
        assert project.run(run).status in wanted
        assert (run in crashed) == (project.run(run).status == "crashed")
    assert not project.runs(status="running")


@pytest.mark.slow
def test_kill_at_a_change_on_the_disk_loses_nothing(nursery: Nursery, folder: Path) -> None:
    """SIGKILL before the k-th rename, sync, unlink, commit and so on: for some k here, for every k in the long form."""
    whole = nursery.run(folder / "whole.lineage", 1, kill_at=1_000_000)
    assert (whole.exit, whole.error) == (0, "")
    points = range(1, whole.calls + 1)

    for point in points if LONG else random.Random(0).sample(points, 40):
        file = folder / f"p{point}.lineage"
        told = nursery.run(file, 1, kill_at=point)
        assert told.exit == -signal.SIGKILL, point
        assert_survives(nursery, file, told)
    print(f"{whole.calls} calls change something on the disk")  # noqa: T201 (a figure for people)


@pytest.mark.slow
def test_kill_at_random_instants_loses_nothing(nursery: Nursery, folder: Path) -> None:
    """A timer of the kernel ends the process wherever it is, also in the middle of what SQLite writes."""
    dice = random.Random(1)
    killed = 0

    for number in range(500 if LONG else 25):
        file = folder / f"p{number}.lineage"
        told = nursery.run(file, 1, after=dice.uniform(0.001, 0.15))
        killed += told.exit == -signal.SIGALRM
        assert_survives(nursery, file, told)

    assert killed


@pytest.mark.slow
def test_kill_again_and_again_in_one_project_loses_nothing(nursery: Nursery, folder: Path) -> None:
    """What one crash leaves is no trap for the next: many kills in a row, then one that is let through."""
    dice = random.Random(2)
    file = folder / "p.lineage"
    told: list[Told] = []

    for turn in range(100, 400 if LONG else 120):
        told.append(nursery.run(file, turn, kill_at=dice.randint(1, 160)))
        assert told[-1].exit in (0, -signal.SIGKILL), told[-1].error
        project = lineage.open(file)
        assert [one for one in project.verify().problems if one.kind != "stray-file"] == []

    assert {run.id for run in project.runs()} >= {run for one in told for run in one.started}
    assert_survives(nursery, file, Told())


def test_killed_run_is_written_down_by_the_next_start(nursery: Nursery, folder: Path) -> None:
    """It is found as crashed at once by whoever asks, and stored as such when the next run starts."""
    file = folder / "p.lineage"
    told = nursery.run(file, 1, kill_at=40)
    assert told.started == ["run1"]
    project = lineage.open(file)
    stored = "SELECT status FROM runs WHERE id = 'run1'"

    assert project.run("run1").status == "crashed"
    assert project.sql(stored) == [{"status": "running"}]
    project.start_run(id="next").finish()
    assert project.sql(stored) == [{"status": "crashed"}]


if __name__ == "__main__":
    serve()
