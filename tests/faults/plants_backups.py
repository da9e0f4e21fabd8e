"""Bugs of telling an older project file from an older blob folder, for ``test_backups.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from plants import plant

from lineage import generations
from lineage.generations import Standing
from lineage.statements import upkeep as rows

Function = Callable[..., Any]


@plant("lineage.upkeep.collection:standing")
def gc_that_looks_at_no_backup(_: Function) -> Function:
    """It takes what an older file does not name."""
    return lambda store: Standing.TOGETHER


@plant("lineage.upkeep.verification:standing")
def verify_that_looks_at_no_backup(_: Function) -> Function:
    """It finds the blobs in order and says no more."""
    return lambda store: Standing.TOGETHER


@plant("lineage.generations:standing")
def standing_that_looks_for_the_file_only(kept: Function) -> Function:
    """A folder that was put back goes unnoticed."""

    def standing(store: Any) -> Standing:
        found: Standing = kept(store)
        return Standing.TOGETHER if found is Standing.OLDER_BLOBS else found

    return standing


@plant("lineage.generations:standing")
def standing_that_takes_a_crash_for_a_backup(kept: Function) -> Function:
    """Whoever was killed between commit and mark is locked out."""

    def standing(store: Any) -> Standing:
        found: Standing = kept(store)
        seen, _ = generations._seen(store.blobs.root)
        with store.database.read() as connection:
            behind = seen is not None and seen != rows.newest_own(connection)
        return Standing.OLDER_BLOBS if behind and found is Standing.TOGETHER else found

    return standing


@plant("lineage.generations:_seen")
def mark_that_is_believed_torn(_: Function) -> Function:
    """Half a name, as a crash leaves it, passes for one that the file does not know."""

    def seen(root: Any) -> tuple[str | None, str | None]:
        path = root / generations.NEWEST
        return (path.read_bytes().decode(errors="replace") if path.is_file() else None), None

    return seen


@plant("lineage.commit:note_newest")
def mark_that_is_written_over(_: Function) -> Function:
    """The next log hides that the file was put back."""

    def note(store: Any, connection: Any, version: int) -> None:
        uid = rows.uid_of(connection, version)
        store.database.after_commit("newest", lambda: generations._write(store.blobs.root, uid))

    return note


@plant("lineage.commit:note_newest")
def mark_that_comes_before_the_commit(_: Function) -> Function:
    """What is undone afterwards locks out."""

    def note(store: Any, connection: Any, version: int) -> None:
        generations._write(store.blobs.root, rows.uid_of(connection, version))

    return note


@plant("lineage.database:_savepoint")
def savepoint_that_undoes_no_calls(kept: Function) -> Function:
    """A call of a batch that failed marks what it did not log."""

    @contextmanager
    def savepoint(session: Any) -> Iterator[None]:
        try:
            with kept(session):
                yield
                calls = dict(session.after)
        except BaseException:
            session.after.update(_noted.pop("calls", {}))
            raise
        _noted["calls"] = calls

    return savepoint


_noted: dict[str, Any] = {}


@plant("lineage.portable.merging:note_newest")
def merge_that_leaves_no_mark(_: Function) -> Function:
    """What a merge brought is a stray to the file from before it."""
    return lambda *_: None


@plant("lineage.statements.upkeep:has_own")
def nodes_that_count_as_versions(_: Function) -> Function:
    """A file that holds but the place of a version passes for one that has it."""

    def has_own(connection: Any, uid: str) -> bool:
        return connection.execute("SELECT 1 FROM version WHERE uid = ?", (uid,)).fetchone() is not None

    return has_own


@plant("lineage.statements.upkeep:last_deleted")
def gc_that_notes_no_deletion(_: Function) -> Function:
    """A file from before it shows versions whose bytes are gone, and nothing says why."""
    return lambda connection: None


@plant("lineage.statements.upkeep:is_live")
def deleted_ones_that_count_as_live(_: Function) -> Function:
    """Every project that deletes and collects is locked out."""
    return lambda connection, uid: True


@plant("lineage.upkeep.collection:settle")
def gc_that_remembers_no_answer(_: Function) -> Function:
    """What was accepted is refused again."""
    return lambda store: None
