"""Bugs of judging a place, for ``test_selftest.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from plants import plant

from lineage.filesystems import UNKNOWN, FileSystem

Function = Callable[..., Any]


@plant("lineage.selftest:_result")
def selftest_that_believes(kept: Function) -> Function:
    """Whatever it saw is fine."""

    def result(probe: Any, own: Path) -> Any:
        from lineage.selftest import Check

        kept(probe, own)
        return Check(probe.name, True, probe.severity, "fine", "")

    return result


@plant("lineage.selftest:SelftestReport.ok")
def selftest_that_ends_well(_: Any) -> property:
    """What it found does not count."""
    return property(lambda _: True)


@plant("lineage.selftest.probes:refuses")
def selftest_that_believes_a_lock(_: Function) -> Function:
    """A lock that nobody refused passes for one: it knows what it wants to hear."""
    wanted = iter([True, True, False, True] * 10)
    return lambda descriptor, mode: next(wanted)


@plant("lineage.selftest.children:Child.hear")
def selftest_that_hears_what_it_wants(kept: Function) -> Function:
    """A child that got the lock is heard to say that it was refused."""
    return lambda self: "refused" if (word := kept(self)) == "got" else word


@plant("lineage.selftest.children:_check")
def selftest_that_looks_at_nothing(_: Function) -> Function:
    """After a kill the project is whole, it says."""
    return lambda project, told: None


@plant("lineage.selftest:_room_of_its_own")
def selftest_that_leaves_its_folder(_: Function) -> Function:
    """What it tried stays on the user's disk."""

    @contextmanager
    def room(place: Path) -> Iterator[Path]:
        own = place / ".lineage-selftest"
        own.mkdir()
        yield own

    return room


@plant("lineage.filesystems:FileSystem.network")
def network_that_nobody_knows(_: Any) -> property:
    """Everything is a local disk."""
    return property(lambda _: False)


@plant("lineage.filesystems:chosen")
def mount_that_is_the_first(_: Function) -> Function:
    """The root is mounted first, and is around everything."""

    def chosen(mounts: Iterator[FileSystem], path: str) -> FileSystem:
        return next((mount for mount in mounts if path.startswith(mount.place)), UNKNOWN)

    return chosen


@plant("lineage.upkeep.collection:_refuse_doubt")
def gc_that_asks_no_place(_: Function) -> Function:
    """It deletes wherever it is."""
    return lambda store, accepted: None


@plant("lineage.upkeep.collection:_refuse_without_locks")
def gc_that_tries_no_lock(_: Function) -> Function:
    """It believes that the lock it was given holds others off."""
    return lambda store: None


@plant("lineage.blobs:BlobFolder.storing")
def log_that_asks_for_the_place(kept: Function) -> Function:
    """Every log reads the table of mounts."""
    from lineage import filesystems

    @contextmanager
    def storing(self: Any) -> Iterator[None]:
        filesystems.file_system_of(self.root.parent)
        with kept(self):
            yield

    return storing
