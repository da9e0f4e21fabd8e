"""One project object in forked children and in threads, and the project file copied by the program that uses it."""

from __future__ import annotations

import os
import pickle
import select
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest
from conftest import draft
from invariants import assert_store_sound
from ledger import Ledger

import lineage
from lineage import connections
from lineage.errors import StateError
from lineage.system import file_lock

pytestmark = pytest.mark.faults("P15 P16", "F48-F51", "fork, spawn, threads, and open() on the project file")
T = TypeVar("T")
HANG = 30.0
"""Seconds after which a test gives up on a child: never a measure of speed."""


@pytest.fixture(autouse=True)
def _counted(ledger: Ledger) -> Iterator[None]:
    """Count each test as a case of the promise."""
    yield
    ledger.case()


def forked(work: Callable[[], object]) -> Callable[[], Any]:
    """Do the work in a forked child; return what waits for it and gives its answer, or raises its error."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        try:
            answer: object = work()
        except BaseException as error:  # noqa: BLE001 (the parent raises it)
            answer = error
        with os.fdopen(writer, "wb") as file:
            file.write(pickle.dumps(answer))
        os._exit(0)
    os.close(writer)

    def wait() -> Any:
        if not select.select([reader], [], [], 2 * HANG)[0]:
            os.kill(child, signal.SIGKILL)
        with os.fdopen(reader, "rb") as file:
            sent = file.read()
        os.waitpid(child, 0)
        assert sent, "no answer from the child: it hangs"
        answer = pickle.loads(sent)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return wait


def in_child(work: Callable[[], object]) -> Any:
    """Do the work in a forked child and return its answer, or raise its error."""
    return forked(work)()


def in_thread(work: Callable[[], T]) -> T:
    """Do the work in another thread and return its answer, or raise its error."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result(HANG)


def names(project: lineage.Project) -> list[str]:
    """Return the references of all live versions, as another process sees them."""
    script = "import sys, lineage; print(*[v.reference for v in lineage.open(sys.argv[1], create=False).versions()])"
    done = run_script(script, project)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def run_script(script: str, project: lineage.Project) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own, with the project's path as its argument."""
    here = str(Path(lineage.__file__).parents[1])  # also where lineage is not installed
    return subprocess.run(
        [sys.executable, "-c", script, project.file],
        capture_output=True,
        text=True,
        timeout=2 * HANG,
        env=os.environ | {"PYTHONPATH": here},
    )


def logged(project: lineage.Project, name: str) -> str:
    version = project.log_artifact(draft(name, {"a": name, "large": name * 9_000}))
    assert version is not None
    return version.reference


def logged_by(run: lineage.ActiveRun) -> None:
    run.log_artifact(draft("d", {"a": "of the batch"}))


# --- fork between calls ---


def test_fork_between_calls_lets_parent_and_child_work(project: lineage.Project) -> None:
    """The same object serves both, in any order, and neither loses what the other wrote."""
    logged(project, "before")

    child = forked(lambda: [logged(project, f"child{number}") for number in range(5)])
    ours = [logged(project, f"parent{number}") for number in range(5)]

    assert {*child(), *ours, "before:v0"} == set(names(project))
    assert_store_sound(project)


def test_fork_of_several_children_gives_each_number_once(project: lineage.Project) -> None:
    """Children that log one name at once count on from one another; uids and run ids differ, too."""

    def work(number: int) -> list[tuple[str, str, str]]:
        with project.start_run() as run:
            made = [run.log_artifact(draft("one", {"a": f"{number} {turn}"})) for turn in range(5)]
        return [(one.reference, one.uid, run.id) for one in made if one is not None]

    waiting = [forked(lambda number=number: work(number)) for number in range(4)]  # type: ignore[misc]  # bound now
    found = [one for wait in waiting for one in wait()]

    assert sorted(reference for reference, _, _ in found) == sorted(f"one:v{number}" for number in range(20))
    assert len({uid for _, uid, _ in found}) == 20
    assert len({run for _, _, run in found}) == 4
    assert_store_sound(project)


def test_fork_of_a_fork_works_in_every_generation(project: lineage.Project) -> None:
    """A child may fork again, and both may have threads."""

    def child() -> list[str]:
        grandchild = in_child(lambda: in_thread(lambda: logged(project, "grandchild")))
        return [grandchild, in_thread(lambda: logged(project, "child"))]

    assert in_child(child) == ["grandchild:v0", "child:v0"]
    assert in_thread(lambda: logged(project, "parent")) == "parent:v0"
    assert_store_sound(project)


def test_fork_with_a_draft_leaves_its_bytes_to_the_parent(project: lineage.Project) -> None:
    """A child that ends, or drops its copy of the draft, does not take the staged bytes along."""
    made = draft("big", {"large": b"x" * 50_000, "small": b"y"})

    def drop() -> None:
        nonlocal made
        del made

    in_child(drop)
    version = project.log_artifact(made)

    assert version is not None
    with version.open("large") as file:
        assert file.read() == b"x" * 50_000
    assert_store_sound(project)


def test_log_of_a_draft_by_child_and_parent_gives_one_version(project: lineage.Project) -> None:
    """The draft is in both; whoever logs second finds the content there."""
    made = draft("big", {"large": b"x" * 50_000, "small": b"y"})

    def log() -> str:
        version = project.log_artifact(made)
        assert version is not None
        return version.reference

    assert in_child(log) == log() == "big:v0"
    assert names(project) == ["big:v0"]
    assert_store_sound(project)


def test_active_run_in_a_child_takes_artifacts_and_is_not_finished_by_it(project: lineage.Project) -> None:
    """A worker may log to the run it was forked in; leaving its copy of the block does not end the run."""
    with project.start_run(id="r") as run:
        run.log({"loss": 1.0})

        def work() -> str:
            with run:
                version = run.log_artifact(draft("of-child"))
            assert version is not None
            return version.reference

        assert in_child(work) == "of-child:v0"
        assert project.run("r").status == "running"
        run.log({"loss": 0.5})

    assert project.run("r").status == "finished"
    assert [row.values for row in project.run("r").history()] == [{"loss": 1.0}, {"loss": 0.5}]
    assert [one.name for one in project.run("r").logged_artifacts()] == ["of-child"]


def test_metrics_of_children_are_all_there(project: lineage.Project) -> None:
    """A worker ends without a word, so it writes at once, each call at a step of its own; its parent goes on."""
    with project.start_run(id="r") as run:
        run.log({"of-parent": 0})

        def work() -> None:
            run.log({"of-child": 1})
            run.log({"of-child": 2})

        for _ in range(2):
            in_child(work)
        run.log({"of-parent": 1})

    rows = project.run("r").history(["of-child"])
    assert [(row.step, row.values) for row in rows] == [
        (1, {"of-child": 1.0}),
        (2, {"of-child": 2.0}),
        (3, {"of-child": 1.0}),
        (4, {"of-child": 2.0}),
    ]
    assert [row.values["of-parent"] for row in project.run("r").history(["of-parent"])] == [0.0, 1.0]
    assert project.run("r").summary == {"of-parent": 1, "of-child": 2}


def test_log_in_a_child_says_once_what_it_may_replace(
    project: lineage.Project, caplog: pytest.LogCaptureFixture
) -> None:
    """Parent and child count their steps alike; nobody shall learn that from a metric that is gone."""
    with project.start_run(id="r") as run:

        def work() -> list[str]:
            run.log({"loss": 1})
            run.log({"loss": 2})
            return caplog.messages

        (said,) = in_child(work)

    assert said.startswith("run 'r' is logged to by a forked process and its parent: of metrics that both log")
    assert caplog.messages == []


def test_summary_and_config_that_a_child_sets_are_written_at_once(project: lineage.Project) -> None:
    """Nobody would write what a worker leaves in its memory."""
    with project.start_run(id="r", config={"gone": 1}) as run:

        def work() -> None:
            run.summary["best"] = 2
            del run.config.gone

        in_child(work)

    assert (project.run("r").config, project.run("r").summary) == ({}, {"best": 2})


def test_fork_while_another_thread_is_in_a_call_of_the_run_leaves_it_usable(project: lineage.Project) -> None:
    """The thread that holds the run's lock is not there in the child; its lock must not be either."""
    started = threading.Event()

    with project.start_run(id="r") as run:
        run.log({"loss": 1})

        def work() -> None:
            started.set()
            run.flush()

        thread = threading.Thread(target=work)
        with file_lock(project.blob_folder / "write.lock", timeout=HANG):
            thread.start()
            assert started.wait(HANG)
            thread.join(0.05)  # until it waits for the writer lock, with the run's own in its hand
            child = forked(lambda: run.log({"of-child": 1}))
        thread.join(HANG)

        assert child() is None
    assert_store_sound(project)


# --- fork inside a block ---


@pytest.mark.parametrize("block", ["batch", "snapshot"])
def test_call_in_a_child_forked_inside_a_block_is_refused(project: lineage.Project, block: str) -> None:
    """The connection belongs to the parent: every call of the child is a StateError, the block's end too."""
    logged(project, "before")

    with getattr(project, block)():
        for call in (
            lambda: len(project.versions()),
            lambda: logged(project, "lost"),
            lambda: in_thread(lambda: logged(project, "lost")),
            lambda: lineage.open(project.file),
            project.start_run,
            project.gc,
        ):
            with pytest.raises(StateError, match="forked"):
                in_child(call)
        assert len(project.versions()) == 1

    assert names(project) == ["before:v0"]
    project.gc()  # drafts of children that ended without a word
    assert_store_sound(project)


def test_batch_in_the_parent_is_unharmed_by_what_its_child_does(project: lineage.Project) -> None:
    """What was written before the fork and after the child's end is there; the child's try is not."""
    with project.batch():
        logged(project, "first")
        with pytest.raises(StateError):
            in_child(lambda: logged(project, "lost"))
        logged(project, "second")

    assert names(project) == ["first:v0", "second:v0"]
    project.gc()  # the draft of the child
    assert_store_sound(project)


SCRIPT = """
import os, sys, lineage
project = lineage.open(sys.argv[1])

def log(name):
    draft = lineage.Artifact(name, "dataset")
    with draft.new_file("a") as file:
        file.write(name * 9000)
    project.log_artifact(draft)

log("before")
child = 0
with project.{block}() as _:
    if "{block}" == "batch":
        log("first")
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        if "{block}" == "batch":
            log("second")
        else:
            assert len(project.versions()) == 1
    elif "{way}" == "_exit":
        os._exit(0)
    elif "{way}" == "exit inside":
        sys.exit(0)
    elif "{way}" == "error":
        raise KeyError("in the child")
if not child:
    sys.exit("the child left the block as if nothing were")
log("after")
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", ["_exit", "exit inside", "error", "fall through"])
@pytest.mark.parametrize("block", ["batch", "snapshot"])
def test_child_that_ends_inside_a_block_leaves_it_to_the_parent(project: lineage.Project, block: str, way: str) -> None:
    """However the child ends, also with all finalisers run, the parent's transaction goes on and is committed."""
    script = SCRIPT.replace("{block}", block).replace("{way}", way)

    done = run_script(script, project)

    assert done.returncode == 0, done.stderr
    wanted = ["before:v0", "first:v0", "second:v0", "after:v0"] if block == "batch" else ["before:v0", "after:v0"]
    assert names(project) == wanted
    assert ("fall through" in way and block == "batch") <= ("only its parent can end it" in done.stderr)
    assert_store_sound(project)


@pytest.mark.parametrize("block", ["batch", "snapshot"])
def test_fork_while_another_thread_is_inside_a_block_shuts_the_child_out(
    project: lineage.Project, monkeypatch: pytest.MonkeyPatch, block: str
) -> None:
    """SQLite in the child takes the parent's locks for its own; each call says so, also when the block has ended."""
    monkeypatch.setattr(connections, "_FORK_PATIENCE", 0.05)
    logged(project, "before")
    inside, leave = threading.Event(), threading.Event()
    told, tell = os.pipe()

    def work() -> None:
        with getattr(project, block)():
            if block == "batch":
                logged(project, "in-batch")
            inside.set()
            assert leave.wait(HANG)

    def later() -> object:
        os.read(told, 1)
        return project.versions()[0]

    thread = threading.Thread(target=work)
    thread.start()
    assert inside.wait(HANG)
    for call in (lambda: project.versions()[0], lambda: logged(project, "lost"), lambda: lineage.open(project.file)):
        with pytest.raises(StateError, match="forked"):
            in_child(call)
    wait = forked(later)
    leave.set()
    thread.join(HANG)
    os.write(tell, b"1")
    with pytest.raises(StateError, match="forked"):
        wait()

    assert in_child(lambda: logged(project, "after")) == "after:v0"
    assert names(project) == ["before:v0", *["in-batch:v0"] * (block == "batch"), "after:v0"]
    project.gc()  # the draft of the child that could not log it
    assert_store_sound(project)


@pytest.mark.slow
def test_fork_while_another_thread_makes_calls_gives_a_child_that_works(project: lineage.Project) -> None:
    """A fork waits for the short calls of other threads, so that a worker is never shut out by bad luck."""
    logged(project, "before")
    stop = threading.Event()
    count = [0]

    def work() -> None:
        while not stop.is_set():
            logged(project, "by-thread")
            count[0] += len(project.versions()) > 0

    thread = threading.Thread(target=work)
    thread.start()
    try:
        made = [in_child(lambda: logged(project, "by-child")) for _ in range(20)]
    finally:
        stop.set()
        thread.join(HANG)

    assert made == ["by-child:v0"] * 20
    assert count[0] > 0
    assert_store_sound(project)


# --- threads ---


@pytest.mark.slow
def test_threads_share_a_project_and_a_run(project: lineage.Project) -> None:
    """Eight threads log metrics and artifacts to one run, and ask: nothing is lost, each number is given once."""
    with project.start_run(id="r") as run:

        def work(number: int) -> None:
            for turn in range(5):
                run.log({f"m{number}": turn}, step=turn)
                version = run.log_artifact(draft("shared", {"a": f"{number} {turn}"}))
                assert version is not None
                assert version.logged_by() == project.run("r")
            run.summary[f"s{number}"] = number

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))

    assert sorted(one.number for one in project.run("r").logged_artifacts()) == list(range(40))
    rows = project.run("r").history()
    assert [row.values for row in rows] == [{f"m{number}": turn for number in range(8)} for turn in range(5)]
    summary = project.run("r").summary
    assert {key: summary[key] for key in summary if key.startswith("s")} == {
        f"s{number}": number for number in range(8)
    }
    assert_store_sound(project)


def test_batch_of_one_thread_is_not_that_of_another(project: lineage.Project) -> None:
    """Another thread sees nothing of an open batch, waits to write, and survives its end by an error."""
    seen, started, ended = [], threading.Event(), threading.Event()

    def work() -> None:
        seen.append(len(project.versions()))
        started.set()
        logged(project, "other")
        ended.set()

    thread = threading.Thread(target=work)
    with pytest.raises(ZeroDivisionError), project.batch():
        logged(project, "mine")
        thread.start()
        assert started.wait(HANG)
        assert not ended.wait(0.05)
        raise ZeroDivisionError
    thread.join(HANG)

    assert seen == [0]
    assert names(project) == ["other:v0"]
    assert_store_sound(project)


@pytest.mark.parametrize("end", ["log_artifact", "flush", "finish"])
def test_batch_writes_a_run_that_another_thread_waits_to_write(tmp_path: Path, end: str) -> None:
    """Whoever waits for the writer's turn keeps nothing that the one whose turn it is needs."""
    project = lineage.open(tmp_path / "p.lineage", timeout=5.0)
    run = project.start_run(id="r")
    calls = {"log_artifact": lambda: logged_by(run), "flush": run.flush, "finish": run.finish}
    many = {f"m{number}": number for number in range(1_000)}  # so many are written at once

    with ThreadPoolExecutor(1) as pool:
        with project.batch():
            waiting = pool.submit(run.log, many)
            while run.step == 0:  # until the thread has its metrics in memory
                assert not waiting.done()
            run.summary["mine"] = 1
            calls[end]()
        waiting.result(HANG)
    run.finish()

    assert [row.values for row in project.run("r").history()] == [many]
    assert project.run("r").summary == {**many, "mine": 1}
    assert_store_sound(project)


def test_snapshot_of_one_thread_does_not_bind_another(project: lineage.Project) -> None:
    """A thread that looks at one state does not keep others from seeing the next; its own stays."""
    logged(project, "first")
    with project.snapshot():
        assert len(project.versions()) == 1
        assert in_thread(lambda: len(project.versions())) == 1
        assert len(project.versions()) == 1

    logged(project, "second")
    assert len(project.versions()) == 2


# --- the file itself ---


def test_copy_of_the_project_file_between_calls_is_whole_and_loses_nothing(
    project: lineage.Project, tmp_path: Path
) -> None:
    """`shutil.copy` and `open` in the program that uses the project: each copy opens, every commit stays."""
    for number in range(20):
        logged(project, f"a{number}")
        copy = tmp_path / f"copy{number}" / "p.lineage"
        copy.parent.mkdir()
        shutil.copy(project.file, copy)
        assert len(project.file.read_bytes()) == project.file.stat().st_size
        shutil.copytree(project.blob_folder, copy.with_suffix(".blobs"))

    for number in range(20):
        found = lineage.open(tmp_path / f"copy{number}" / "p.lineage", create=False)
        assert [version.reference for version in found.versions()] == [f"a{one}:v0" for one in range(number + 1)]
    assert_store_sound(lineage.open(tmp_path / "copy19" / "p.lineage"))
    assert names(project) == [f"a{number}:v0" for number in range(20)]
    assert_store_sound(project)


def test_project_whose_folder_was_moved_works_at_its_new_place(project: lineage.Project, tmp_path: Path) -> None:
    """Nothing is held open and no path is stored; the old object says that its file is gone and makes no other."""
    folder = tmp_path / "there"
    folder.mkdir()
    inside = lineage.open(folder / "q.lineage")
    logged(inside, "first")
    folder.rename(tmp_path / "here")

    with pytest.raises(lineage.LineageError):
        logged(inside, "second")
    moved = lineage.open(tmp_path / "here" / "q.lineage", create=False)
    logged(moved, "second")

    assert names(moved) == ["first:v0", "second:v0"]
    assert_store_sound(moved)


def test_summary_of_parent_and_child_are_both_kept(project: lineage.Project) -> None:
    """What a forked child sets is written beside what its parent set meanwhile, and not over it."""
    with project.start_run(id="mine") as run:

        def work() -> str:
            run.summary["child"] = 1
            run.config["child"] = 2
            return run.log_artifact(draft("d", {"a": "child"})).reference

        run.log({"loss": 0.5})
        child = forked(work)
        run.summary["parent"] = 3
        run.flush()
        assert child() == "d:v0"

    found = project.run("mine")
    assert found.summary == {"loss": 0.5, "parent": 3, "child": 1}
    assert found.config == {"child": 2}
