"""Kernel locks: who gets one, who waits, who is told whom it waits for; with real processes and threads."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from ledger import Ledger

from lineage.errors import BusyError, StorageError
from lineage.system import file_lock, is_locked, turn_to_look

pytestmark = pytest.mark.faults("P4 P15", "F53 F54", "a process is stopped, then killed, inside a transaction")


@pytest.fixture(autouse=True)
def _counted(ledger: Ledger) -> Iterator[None]:
    """Count each test as a case of the promise."""
    yield
    ledger.case()


HANG = 30.0
"""Seconds after which a test gives up on another process: never a measure of speed."""

spawn = multiprocessing.get_context("spawn")


def hold(path: Path, shared: bool, door: Connection) -> None:
    """Hold a lock until told to go; in another process."""
    with file_lock(path, timeout=HANG, shared=shared):
        door.send("held")
        door.recv()
    door.send("gone")


@contextmanager
def holder(path: Path, *, shared: bool = False) -> Iterator[tuple[multiprocessing.process.BaseProcess, Connection]]:
    """Give a process that holds the lock."""
    here, there = spawn.Pipe()
    process = spawn.Process(target=hold, args=(path, shared, there))
    process.start()
    assert here.poll(HANG)
    assert here.recv() == "held"
    try:
        yield process, here
    finally:
        process.kill()
        process.join(HANG)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.lock"


def test_lock_held_exclusively_names_its_holder_when_time_is_up(path: Path) -> None:
    """Who waits in vain learns which process has the lock, and on which machine."""
    with holder(path) as (process, _):
        for shared in (False, True):
            with (
                pytest.raises(BusyError, match=rf"process {process.pid} on {os.uname().nodename}"),
                file_lock(path, timeout=0.05, shared=shared),
            ):
                pass


def test_lock_without_time_to_wait_fails_at_once(path: Path) -> None:
    """A time-out of 0 asks once."""
    with file_lock(path, timeout=0), pytest.raises(BusyError), file_lock(path, timeout=0):
        pass


def test_shared_locks_are_held_together(path: Path) -> None:
    """Two processes may share a lock, and exclude one that wants it alone."""
    with holder(path, shared=True), file_lock(path, timeout=HANG, shared=True):
        assert not is_locked(path)
        with pytest.raises(BusyError), file_lock(path, timeout=0.05):
            pass


def test_shared_lock_in_the_way_is_not_taken_for_the_last_exclusive_one(path: Path) -> None:
    """Sharers do not sign: the message must not name a process that has long let go."""
    with file_lock(path, timeout=HANG):
        pass

    with holder(path, shared=True), pytest.raises(BusyError) as caught, file_lock(path, timeout=0.05):
        pass

    assert f"process {os.getpid()} " not in str(caught.value)


def test_lock_let_go_is_free(path: Path) -> None:
    """After the block the next one gets it, also when the block ended with an exception."""
    with pytest.raises(ZeroDivisionError), file_lock(path, timeout=0):
        raise ZeroDivisionError

    with file_lock(path, timeout=0):
        assert is_locked(path)
    assert not is_locked(path)


def test_lock_that_cannot_be_given_up_goes_with_its_descriptor(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was done under the lock is done: an error of the unlocking would tell the caller otherwise."""
    flock = fcntl.flock

    def refuse(descriptor: int, mode: int) -> None:
        if mode == fcntl.LOCK_UN:
            raise OSError(errno.ENOLCK, "no locks")
        flock(descriptor, mode)

    monkeypatch.setattr(fcntl, "flock", refuse)
    with file_lock(path, timeout=0):
        pass

    assert not is_locked(path)


def test_lock_of_a_killed_process_is_free(path: Path) -> None:
    """The kernel gives up the locks of a process that dies, at whatever point."""
    with holder(path) as (process, _):
        process.kill()
        process.join(HANG)

        with file_lock(path, timeout=HANG):
            pass


def test_waiter_gets_the_lock_when_its_holder_is_killed(path: Path) -> None:
    """One that waits already is served too."""
    with holder(path) as (process, _):
        got = threading.Event()

        def wait() -> None:
            with file_lock(path, timeout=HANG):
                got.set()

        waiter = threading.Thread(target=wait)
        waiter.start()
        assert not got.wait(0.05)
        process.kill()

        assert got.wait(HANG)
        waiter.join(HANG)


def test_lock_of_a_stopped_process_is_waited_for(path: Path) -> None:
    """A process that was stopped holds what it held; others time out and are told its number."""
    with holder(path) as (process, door):
        os.kill(process.pid or 0, signal.SIGSTOP)
        with pytest.raises(BusyError, match=f"process {process.pid} "), file_lock(path, timeout=0.05):
            pass
        os.kill(process.pid or 0, signal.SIGCONT)
        door.send("go")

        with file_lock(path, timeout=HANG):
            pass


def test_threads_exclude_each_other(path: Path) -> None:
    """The lock is one of the open file, so that it tells threads of one process apart: no count is lost."""
    counted = [0]

    def count() -> None:
        for _ in range(50):
            with file_lock(path, timeout=HANG):
                before = counted[0]
                os.sched_yield()
                counted[0] = before + 1

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG)

    assert counted == [400]


def test_waiter_that_gave_up_does_not_keep_the_lock(path: Path) -> None:
    """Its turn comes later, in a thread left behind; it is passed on at once."""
    with file_lock(path, timeout=0):
        for _ in range(5):
            with pytest.raises(BusyError), file_lock(path, timeout=0.01):
                pass

    with file_lock(path, timeout=HANG):
        pass
    for thread in threading.enumerate():
        if thread.name == "lineage-lock":
            thread.join(HANG)
    with file_lock(path, timeout=0):
        pass


def test_waiter_that_gave_up_before_a_fork_does_not_leave_the_lock_to_the_child(path: Path) -> None:
    """A forked child inherits what the thread left behind waits with; it must not hold the lock for it."""
    alive, go = os.pipe()
    with file_lock(path, timeout=0):
        with pytest.raises(BusyError), file_lock(path, timeout=0.01):
            pass
        child = os.fork()
        if not child:
            os.close(go)
            os.read(alive, 1)  # until the parent is done
            os._exit(0)
    os.close(alive)
    try:
        for thread in threading.enumerate():
            if thread.name == "lineage-lock":
                thread.join(HANG)

        with file_lock(path, timeout=5):
            pass
    finally:
        os.close(go)
        os.waitpid(child, 0)


def hold_and_fork(path: Path, alive: Connection, door: Connection) -> None:
    """Hold a lock, with a child that lives as long as the other end of `alive` is open."""
    with file_lock(path, timeout=HANG):
        if not os.fork():
            door.close()
            alive.poll(None)
            os._exit(0)
        alive.close()
        door.send("held")
        door.recv()


def test_lock_of_a_killed_process_is_free_though_its_child_lives(path: Path) -> None:
    """A worker forked while its parent held the lock does not keep it when the parent is killed."""
    alive, theirs = spawn.Pipe()
    here, there = spawn.Pipe()
    process = spawn.Process(target=hold_and_fork, args=(path, theirs, there))
    process.start()
    theirs.close()
    assert here.poll(HANG)
    assert here.recv() == "held"

    process.kill()
    process.join()  # without a time-out: with one it would wait for the child's copy of a pipe
    with file_lock(path, timeout=5):
        pass
    assert not alive.poll(0)  # it is still there

    alive.close()


def test_fork_inside_the_block_leaves_the_lock_with_the_parent(path: Path) -> None:
    """A child that leaves the block, or ends, does not give up its parent's lock."""
    with file_lock(path, timeout=0):
        child = os.fork()
        if not child:
            os._exit(0)
        os.waitpid(child, 0)
        assert is_locked(path)

        second = os.fork()
        if not second:
            try:
                raise SystemExit
            finally:
                os._exit(0)
        os.waitpid(second, 0)
        assert is_locked(path)


def test_lock_in_a_folder_that_is_not_there_is_a_storage_error(tmp_path: Path) -> None:
    """What the operating system refuses comes as our error, with the path."""
    with pytest.raises(StorageError, match="nowhere"), file_lock(tmp_path / "nowhere" / "a.lock", timeout=0):
        pass


def take_turns(path: Path, turns: int, ready: Connection, done: Connection) -> None:
    """Take the lock again and again; write down the order of the turns."""
    ready.send("ready")
    ready.recv()
    ready.send("asking")
    log = path.with_suffix(".turns")
    for _ in range(turns):
        with file_lock(path, timeout=HANG), log.open("a") as file:
            file.write(f"{os.getpid()}\n")
    done.send("done")


@pytest.mark.slow
def test_eight_processes_that_want_the_lock_are_all_served(path: Path) -> None:
    """None waits until all others are done, though each asks again the moment it has let go."""
    turns, processes = 200, []
    pairs = [(spawn.Pipe(), spawn.Pipe()) for _ in range(8)]
    for ready, done in pairs:
        processes.append(spawn.Process(target=take_turns, args=(path, turns, ready[1], done[1])))
        processes[-1].start()
    for ready, _ in pairs:
        assert ready[0].poll(HANG)
        ready[0].recv()

    with file_lock(path, timeout=0):  # so that all of them have to wait at the start
        for ready, _ in pairs:
            ready[0].send("go")
            assert ready[0].poll(HANG)
            ready[0].recv()
    for _, done in pairs:
        assert done[0].poll(HANG)
    for process in processes:
        process.join(HANG)

    order = path.with_suffix(".turns").read_text().split()
    assert Counter(order) == dict.fromkeys((str(process.pid) for process in processes), turns)
    first = {pid: place for place, pid in reversed(list(enumerate(order)))}
    print(f"first turns of the eight among {8 * turns}: {sorted(first.values())}")  # noqa: T201 (a figure for people)


@pytest.mark.parametrize("kind", ["nothing", "a link", "a FIFO", "no right"])
def test_turn_to_look_where_no_lock_can_be_had_does_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Looking is allowed where locking is not: NFS locks nothing that is open for reading, and there may be no file."""
    path, queue = tmp_path / "lock", tmp_path / "queue"
    if kind == "a link":
        path.symlink_to(tmp_path / "elsewhere")
    elif kind == "a FIFO":
        os.mkfifo(queue)
    elif kind == "no right":
        path.touch()
        queue.touch()

        def refused(_descriptor: int, _mode: int) -> None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

        monkeypatch.setattr(fcntl, "flock", refused)
    before = sorted(tmp_path.iterdir())

    looked = []
    with turn_to_look(path, queue, timeout=0):
        looked.append(True)

    assert looked == [True]
    assert sorted(tmp_path.iterdir()) == before


def test_turn_to_look_passes_on_what_goes_wrong_while_one_looks(tmp_path: Path) -> None:
    """Only the want of a lock is overlooked."""
    for name in ("lock", "queue"):
        (tmp_path / name).touch()

    with pytest.raises(StorageError, match="the disk"), turn_to_look(tmp_path / "lock", tmp_path / "queue", timeout=0):
        raise StorageError("the disk")

    with file_lock(tmp_path / "lock", timeout=0):
        pass
