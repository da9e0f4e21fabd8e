"""A process that has imported the library and forks a child for each case, so that a case costs milliseconds.

Run under strace, one process serves every case of a kind: strace counts the calls of each child by itself and meets
the one that is so many-th of its name; a child that is to be met at its n-th call first makes as many vain ones as
are lacking. What a child tells goes by ``writev``, which nobody disturbs and the record shows in its place.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import logging
import os
import select
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from plants import Bug, plant_what_the_environment_names

import lineage
from lineage import connections
from lineage.artifact import staging_home

PATIENCE = 60.0
"""Seconds after which a case hangs."""
PARTS = (
    "lineage.portable.packing", "lineage.portable.merging", "lineage.portable.filling", "lineage.upkeep.mending",
    "lineage.download", "lineage.starting", "lineage.capture", "concurrent.futures.thread", "logging", "tempfile",
)  # fmt: skip
"""What the library imports when it needs it: the case is not to be about reading programs."""
CHANGES = ("rename", "replace", "fsync", "link", "unlink", "mkdir", "rmdir", "chmod", "pwrite", "ftruncate")
"""Functions of `os` that change what is on the disk, or make it durable."""
NOWHERE = Path("/nowhere/at/all")
VAIN: dict[str, Callable[[], object]] = {
    "openat": lambda: os.open(NOWHERE, os.O_RDONLY),
    "write": lambda: os.write(9_999, b"x"),
    "pwrite64": lambda: os.pwrite(9_999, b"x", 0),
    "ftruncate": lambda: os.ftruncate(9_999, 0),
    "fsync": lambda: os.fsync(9_999),
    "fdatasync": lambda: os.fdatasync(9_999),
    "rename": lambda: NOWHERE.rename(NOWHERE),
    "renameat": lambda: os.rename(NOWHERE, NOWHERE, src_dir_fd=9_999, dst_dir_fd=9_999),
    "link": lambda: os.link(NOWHERE, NOWHERE),
    "linkat": lambda: os.link(NOWHERE, NOWHERE, src_dir_fd=9_999, dst_dir_fd=9_999),
    "unlink": NOWHERE.unlink,
    "unlinkat": lambda: os.unlink("nowhere", dir_fd=9_999),
    "mkdir": NOWHERE.mkdir,
    "mkdirat": lambda: os.mkdir("nowhere", dir_fd=9_999),
    "rmdir": NOWHERE.rmdir,
    "chmod": lambda: NOWHERE.chmod(0),
    "fchmod": lambda: os.fchmod(9_999, 0),
    "fchmodat": lambda: os.chmod("nowhere", 0, dir_fd=9_999),
    "flock": lambda: fcntl.flock(9_999, fcntl.LOCK_UN),
    "fcntl": lambda: fcntl.fcntl(9_999, fcntl.F_GETFD),
}
"""For each call of the kernel one in Python that makes it and comes to nothing."""


# --- the child ---


def serve() -> None:
    """Fork a child for each case that is asked for on stdin; tell what it says and how it ended on stdout."""
    from programs import EVERY

    for name in PARTS:
        importlib.import_module(name)
    lineage.open(Path(sys.argv[1]) / "warm.lineage").start_run().finish()  # git and packages are read once
    staging_home.store = None
    logging.getLogger("lineage").setLevel(logging.ERROR)
    plant_what_the_environment_names()
    tell("ready")
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if not child:
            work(EVERY[asked.pop("operation")].act, **asked)
        _, status = os.waitpid(child, 0)
        tell("ended", os.waitstatus_to_exitcode(status), child)


def tell(*words: object) -> None:
    """Say something to who asked; one call: whole or not at all."""
    os.writev(1, [json.dumps(words).encode() + b"\n"])


def work(
    act: Callable[..., None], *, folder: str, turn: int, vain: Sequence[Any], kill_at: int, after: float, stay: bool
) -> None:
    """Do the operation in the forked child, disturbed on the way; `stay` for another try once that was seen."""
    calls = 0

    def strike() -> None:
        nonlocal calls
        calls += 1
        if calls == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    for name, count in vain:
        make_vain(VAIN[name], count)
    if kill_at:
        arm(strike)
    tell("begins")
    signal.setitimer(signal.ITIMER_REAL, after)  # nobody handles SIGALRM: it ends the process as SIGKILL does
    failed = attempt(act, folder, turn)
    tell("calls", calls)
    if failed and stay:
        os.read(0, 1)
        attempt(act, folder, turn + 1)
    os._exit(0)


def attempt(act: Callable[..., None], folder: str, turn: int) -> bool:
    """Do the operation once, and return whether it failed."""
    try:
        act(Path(folder), turn, lambda what: tell("done", turn, what))
    except lineage.LineageError as error:
        tell("failed", turn, f"{type(error).__name__}: {error}")
        return True
    except BaseException:  # noqa: BLE001 (the parent says what it means)
        tell("error", turn, traceback.format_exc())
        return True
    return False


def make_vain(call: Callable[[], object], count: int) -> None:
    """Make a call so many times that comes to nothing."""
    for _ in range(count):
        try:
            call()
        except OSError:
            continue


def arm(strike: Callable[[], None]) -> None:
    """Have `strike` called before each change on the disk, and before and after each commit."""
    for name in CHANGES:
        setattr(os, name, struck(getattr(os, name), strike))
    execute = connections._Connection.execute

    def struck_execute(self: Any, sql: str, *parameters: Any) -> Any:
        if sql != "COMMIT":
            return execute(self, sql, *parameters)
        strike()
        found = execute(self, sql, *parameters)
        strike()
        return found

    connections._Connection.execute = struck_execute  # type: ignore[method-assign]  # in the child, which dies of it


def struck(real: Callable[..., Any], strike: Callable[[], None]) -> Callable[..., Any]:
    """Return a function that strikes first."""

    def call(*arguments: Any, **named: Any) -> Any:
        strike()
        return real(*arguments, **named)

    return call


# --- the parent ---


@dataclass
class Told:
    """What a child told.

    Attributes:
        done: The calls that returned the first time.
        again: Those that returned at the second try.
        failed: The LineageError the first time ended with.
        error: Any other exception.
        calls: How many calls the child counted by itself.
        exit: How it ended; negative by a signal.
        pid: Which process it was.
    """

    done: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    failed: str = ""
    error: str = ""
    calls: int = 0
    exit: int = 0
    pid: int = 0

    def hear(self, word: str, *rest: Any) -> None:
        """Take down what was told."""
        match word:
            case "done":
                (self.done if rest[0] == 1 else self.again).append(rest[1])
            case "failed" if rest[0] == 1:
                self.failed = rest[1]
            case "failed" | "error":
                self.error = rest[1]
            case "calls":
                self.calls = rest[0]
            case "ended":
                self.exit, self.pid = rest


class Nursery:
    """The process that forks the children; where a check failed it stays `busy`, and serves no other.

    Args:
        folder: Where it may leave things.
        strace: What it runs under, if anything.
        bug: What is planted in it.
    """

    def __init__(self, folder: Path, *, strace: Sequence[str] = (), bug: Bug | None = None) -> None:
        self.strace = tuple(strace)
        here = Path(__file__).parent
        path = os.pathsep.join(map(str, (here, here.parent, Path(lineage.__file__).parents[1])))
        folder.mkdir(parents=True)
        self.process = subprocess.Popen(
            [*strace, sys.executable, __file__, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": path} | (bug.environment if bug else {}),
        )
        self._heard = b""
        self.busy = False
        assert self._answer() == ["ready"]

    def run(
        self,
        operation: str,
        folder: Path,
        *,
        vain: Sequence[tuple[str, int]] = (),
        kill_at: int = 0,
        after: float = 0,
        turn: int = 1,
        meanwhile: Callable[[Told], None] | None = None,
    ) -> Told:
        """Have an operation done and disturbed; `meanwhile` looks when it has failed, before it is tried again."""
        asked = {"operation": operation, "folder": str(folder), "turn": turn, "vain": list(vain), "kill_at": kill_at}
        self._ask(json.dumps(asked | {"after": after, "stay": meanwhile is not None}) + "\n")
        self.busy = True
        told = Told()
        while (words := self._answer())[0] != "ended":
            told.hear(*words)
            if words[0] == "calls" and meanwhile is not None and (told.failed or told.error):
                meanwhile(told)
                self._ask("\n")
        told.hear(*words)
        self.busy = False
        return told

    def _ask(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def _answer(self) -> list[Any]:
        assert self.process.stdout is not None
        end = time.monotonic() + PATIENCE
        while b"\n" not in self._heard:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, end - time.monotonic()))
            assert ready, "a child hangs"
            heard = os.read(self.process.stdout.fileno(), 1 << 16)
            assert heard, "the nursery died"
            self._heard += heard
        line, _, self._heard = self._heard.partition(b"\n")
        answer: list[Any] = json.loads(line)
        return answer

    def dismiss(self) -> None:
        """Ask for nothing more: it ends, and strace with it."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def close(self) -> None:
        """End it."""
        self.dismiss()
        assert self.process.stdout is not None
        self.process.stdout.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:  # a child hangs, or waits for an answer
            self.process.kill()
            self.process.wait()


def need_strace(folder: Path) -> None:
    """Skip the test where calls of the kernel cannot be counted and disturbed."""
    if sys.platform != "linux" or shutil.which("strace") is None:
        pytest.skip("strace is not here: calls of the kernel cannot be disturbed")
    trial = [
        "strace",
        "-f",
        "-qq",
        "-o",
        os.devnull,
        "-e",
        "trace=fsync",
        "-e",
        "inject=fsync:error=EIO:when=9",
        "true",
    ]
    ended = subprocess.run(trial, cwd=folder, capture_output=True, text=True)
    if ended.returncode:
        pytest.skip(f"strace may not trace here: {ended.stderr.strip()}")


def memory_folder(otherwise: Path) -> TemporaryDirectory[str]:
    """Return a folder in memory where there is one: hundreds of syncs take long, and none of this asks for a disk."""
    memory = Path("/dev/shm")
    return TemporaryDirectory(prefix="lineage-faults-", dir=memory if os.access(memory, os.W_OK) else otherwise)


if __name__ == "__main__":
    with suppress(BrokenPipeError):  # nobody listens any more: a check has failed
        serve()
