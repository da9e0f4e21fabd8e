"""A program that shares its project: with forked and spawned children, threads, and its own `open()`."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path

from conftest import draft
from plants import plant_what_the_environment_names

import lineage

Names = list[str]
LARGE = b"x" * 20_000


def log(project: lineage.Project, name: str) -> str:
    """Log one version and return its reference, once it is acknowledged."""
    return project.log_artifact(draft(name, {"a": name.encode(), "large": LARGE + name.encode()})).reference


def _ask(name: str, path: Path) -> str:
    """Log in a worker that was spawned."""
    plant_what_the_environment_names()
    return log(lineage.open(path), name)


def _child(work: Callable[[], object], end: Callable[[], object]) -> int:
    """Fork a child that works, and ends in its way."""
    child = os.fork()
    if not child:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 (told by its exit status)
            print(error, file=sys.stderr, flush=True)  # noqa: T201
            os._exit(9)
        end()
        os._exit(8)  # not reached
    return child


def _ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# --- what the program does ---


def children_that_log(file: Path, rounds: int) -> Names:
    """Fork with the project open: parent and children log at once, and children end in every way."""
    project = lineage.open(file)
    project.log_artifact(draft("before", {"a": "1"}))
    done = ["before:v0"]
    ends: dict[str, tuple[Callable[[], object], int]] = {
        "exit": (lambda: os._exit(0), 0),
        "killed": (lambda: os.kill(os.getpid(), signal.SIGKILL), -signal.SIGKILL),
        "terminated": (lambda: os.kill(os.getpid(), signal.SIGTERM), -signal.SIGTERM),
    }
    for turn in range(rounds):
        for way, (end, status) in ends.items():
            mine = [f"child-{way}-{turn}-{number}" for number in range(3)]
            child = _child(lambda: [log(project, name) for name in mine], end)  # noqa: B023 (forked now)
            done += [log(project, f"parent-{way}-{turn}-{number}") for number in range(3)]
            assert _ended(child) == status
            done += [f"{name}:v0" for name in mine]
    return done


def parents_that_leave_first(file: Path, rounds: int) -> Names:
    """Fork, and close the project in the parent before the child has used it."""
    done = []
    for turn in range(rounds):
        project = lineage.open(file)
        done.append(log(project, f"parent-{turn}"))
        reader, writer = os.pipe()

        def late(project: lineage.Project = project, reader: int = reader, turn: int = turn) -> None:
            os.read(reader, 1)
            log(project, f"child-{turn}")

        child = _child(late, lambda: os._exit(0))
        del project
        os.write(writer, b"1")
        assert _ended(child) == 0
        done.append(f"child-{turn}:v0")
        os.close(reader)
        os.close(writer)
    return done


def workers_that_draw(file: Path, rounds: int) -> Names:
    """Seed `random`, as training does, and fork: runs and versions of children must not get one id."""
    project = lineage.open(file)
    random.seed(1)
    children = []
    for number in range(3):

        def work(number: int = number) -> None:
            for turn in range(rounds):
                with project.start_run() as run:
                    run.log_artifact(draft(f"drawn-{number}-{turn}", {"a": "1"}))

        children.append(_child(work, lambda: os._exit(0)))
    assert [_ended(child) for child in children] == [0, 0, 0]
    return [f"drawn-{number}-{turn}:v0" for number in range(3) for turn in range(rounds)]


def spawned_workers(file: Path, rounds: int) -> Names:
    """Log in spawned workers, while the parent logs."""
    project = lineage.open(file)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        coming = [pool.submit(_ask, f"spawned-{turn}", file) for turn in range(rounds)]
        done = [log(project, f"parent-{turn}") for turn in range(rounds)]
        return done + [one.result() for one in coming]


def loaders_that_read(file: Path, rounds: int) -> Names:
    """Read versions in forked workers, as a data loader does, while the parent logs."""
    project = lineage.open(file)
    done = [log(project, "data")]
    version = project.version("data")

    def read() -> None:
        for _ in range(rounds):
            assert version.open("large").read() == LARGE + b"data"
            assert project.version("data").open("a").read() == b"data"

    children = [_child(read, lambda: os._exit(0)) for _ in range(2)]
    done += [log(project, f"while-{turn}") for turn in range(rounds)]
    assert [_ended(child) for child in children] == [0, 0]
    return done


def threads_that_log(file: Path, rounds: int) -> Names:
    """Log in threads of one project, beside a batch that is undone."""
    project = lineage.open(file)
    started, ended = threading.Event(), threading.Event()

    def undone() -> None:
        with suppress(ZeroDivisionError), project.batch():
            log(project, "undone")
            started.set()
            ended.wait(0.2)  # the others queue up meanwhile, or are in it by mistake
            _ = 1 / 0

    with ThreadPoolExecutor(4) as pool:
        batch = pool.submit(undone)
        assert started.wait(60)
        coming = [pool.submit(log, project, f"thread-{turn}") for turn in range(rounds)]
        done = [one.result() for one in coming]
        ended.set()
        batch.result()
    return done


def copies_of_the_file(file: Path, rounds: int) -> Names:
    """Read and copy the project file in the program that uses it, between calls and inside a batch."""
    project = lineage.open(file)
    done = []
    for turn in range(rounds):
        done.append(log(project, f"between-{turn}"))
        shutil.copy(file, file.with_name("copy"))
        file.read_bytes()
    with project.batch():
        for turn in range(rounds):
            done.append(log(project, f"batch-{turn}"))
            with file.open("rb") as opened:
                opened.read()
    for source in (file, file.parent):
        try:
            made = lineage.Artifact("itself", "dataset")
            made.add_file(source) if source == file else made.add_dir(source)
        except lineage.LineageError as error:
            assert "open here" in str(error)
        else:
            raise AssertionError("a project was logged into itself")
    os.kill(os.getpid(), 0)
    return done


WORK: dict[str, Callable[[Path, int], Names]] = {
    one.__name__: one
    for one in (
        children_that_log,
        parents_that_leave_first,
        workers_that_draw,
        spawned_workers,
        loaders_that_read,
        threads_that_log,
        copies_of_the_file,
    )
}


def work(file: str, name: str, rounds: int, note: str) -> None:
    """Do one of them, write down what was acknowledged, and end as if killed: nothing is tidied up."""
    done = WORK[name](Path(file), rounds)
    Path(note).write_text("\n".join(done))
    os._exit(0)


def hold(file: str, note: str) -> None:
    """Stop inside a transaction."""
    project = lineage.open(file)
    with project.batch():
        log(project, "held")
        Path(note).write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGSTOP)
