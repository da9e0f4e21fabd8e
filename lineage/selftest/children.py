"""What takes two processes to try: that locks exclude, that those of the dead are free, that a kill does no damage.

A child is a new interpreter that does what its parent says line by line. It ignores the environment and finds modules
where the parent does, so that no file of the folder it works in is run.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lineage.artifact import Artifact
from lineage.database import Database
from lineage.errors import BusyError
from lineage.migrations import FORMAT_VERSION
from lineage.project import Project
from lineage.project import open as open_project
from lineage.selftest.probes import Broken, refuses

_PATIENCE: Final = 60.0
"""Seconds for a child's answer: it starts in half of one, on a disk over a slow line in some."""
_KILLS: Final = 3
_LOGS: Final = 2
_LARGE: Final = 40_000
"""Bytes of a file that lies beside the project, so that both places are written when the kill comes."""
_PROGRAM: Final = """\
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from lineage.selftest.children import answer
answer(*sys.argv[2:])
"""


class Child:
    """A process that does one thing, said by its first word, and writes a line when it has.

    Args:
        arguments: What it shall do, and where.
    """

    def __init__(self, *arguments: str) -> None:
        paths = json.dumps([path or os.getcwd() for path in sys.path])  # noqa: PTH109 (text)
        command = [sys.executable, "-I", "-c", _PROGRAM, paths, *arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)  # noqa: S603 (our own)

    def hear(self) -> str:
        """Return the next line that it writes."""
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], _PATIENCE)
        line = self._process.stdout.readline().decode().strip() if ready else ""
        if not line:
            raise Broken(f"another process of ours gave no answer within {_PATIENCE:g} s, or could not start")
        return line

    def kill(self) -> None:
        """End it with SIGKILL, and wait until it is gone."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Let it go."""
        self.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


@contextmanager
def child(*arguments: str) -> Iterator[Child]:
    """Give a child that is gone at the end of the block."""
    made = Child(*arguments)
    try:
        yield made
    finally:
        made.close()


def lock_processes(place: Path) -> str:
    """What one process locks another does not get."""
    path = place / "lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with child("try", str(path)) as other:
            if other.hear() != "refused":
                raise Broken("two processes held one lock at once")
    finally:
        os.close(descriptor)
    return "a lock excludes between processes"


def lock_of_the_dead(place: Path) -> str:
    """The lock of a process that was killed is free at once."""
    path = place / "lock"
    with child("hold", str(path)) as other:
        other.hear()
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            if not refuses(descriptor, fcntl.LOCK_EX):
                raise Broken("two processes held one lock at once")
            other.kill()
            if refuses(descriptor, fcntl.LOCK_EX):
                raise Broken("the lock of a process that was killed was still held")
        finally:
            os.close(descriptor)
    return "the lock of a killed process is free at once"


def sqlite_locks(place: Path) -> str:
    """While one process writes to a project file, SQLite keeps another out, also without our lock."""
    path = open_project(place / "p.lineage").file
    with _database(path, "ours.lock").write(), child("write", str(path)) as other:
        if other.hear() != "refused":
            raise Broken("two processes wrote to one SQLite file at once")
    return "locks of SQLite exclude between processes"


def kill(place: Path) -> str:
    """A project whose writer is killed in the middle of a log is whole, and has all that was acknowledged."""
    project = open_project(place / "p.lineage")
    told: list[str] = []
    for _ in range(_KILLS):
        with child("log", str(project.file)) as other:
            told += [other.hear() for _ in range(_LOGS)]
            other.kill()
        _check(project, told)
    project.gc(accept=["network-file-system"])
    _check(project, told)
    return f"{_KILLS} kills in the middle of a log lost none of {len(told)} versions and did no damage"


def _check(project: Project, told: list[str]) -> None:
    report = project.verify()
    if not report.ok:
        raise Broken(f"after a kill: {report.problems[0].message}")
    for reference in told:
        project.version(reference).open("large").read()


def _database(path: Path, lock: str) -> Database:
    """Return a project's database with a writer lock that nobody else takes, so that SQLite's are alone."""
    return Database(path, format_version=FORMAT_VERSION, lock_path=path.with_name(lock), read_only=False, timeout=0)


# --- in the child ---


def answer(verb: str, path: str) -> None:
    """Do what the parent says, and stay until it ends."""
    {"try": _try, "hold": _hold, "write": _write, "log": _log}[verb](Path(path))
    sys.stdin.read()


def _say(word: str) -> None:
    print(word, flush=True)  # noqa: T201 (what the parent hears)


def _try(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    _say("refused" if refuses(descriptor, fcntl.LOCK_EX) else "got")


def _hold(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    _say("held")


def _write(path: Path) -> None:
    try:
        with _database(path, "theirs.lock").write():
            _say("got")
    except BusyError:
        _say("refused")


def _log(path: Path) -> None:
    project = open_project(path)
    while True:
        draft = Artifact("selftest", "dataset")
        for name, size in (("small", 100), ("large", _LARGE)):
            with draft.new_file(name, "wb") as file:
                file.write(os.urandom(size))
        _say(project.log_artifact(draft).reference)
