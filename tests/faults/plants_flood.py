"""Bugs of turns and locks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from plants import plant

from lineage.system import file_lock
from lineage.translation import translated


@contextmanager
def _no_lock(*_: object, **__: object) -> Iterator[None]:
    yield


@plant("lineage.database:Database.write")
def writes_begin_by_reading(write: Callable[..., Any]) -> object:
    """A deferred transaction, and no queue before it: whoever reads first and writes then finds it locked."""

    @contextmanager
    def deferred(self: Any) -> Iterator[Any]:
        if self.in_block:
            with write(self) as connection:
                yield connection
            return
        with translated(self.path), self._connected(writing=True) as connection:
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM version").fetchone()
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    return deferred


_next: dict[tuple[int, int], int] = {}


@plant("lineage.statements.artifacts:take_number")
def numbers_are_read_once_and_counted_on(_: object) -> object:
    """The process reads the highest number outside of the transaction that uses it."""

    def take(connection: Any, artifact: int) -> int:
        key = os.getpid(), artifact
        if key not in _next:
            (highest,) = connection.execute(
                "SELECT coalesce(max(number), -1) FROM version WHERE artifact = ?", [artifact]
            ).fetchone()
            _next[key] = highest
        _next[key] += 1
        connection.execute(
            "UPDATE artifact SET next_number = max(next_number, ? + 1) WHERE id = ?", [_next[key], artifact]
        )
        return _next[key]

    return take


@plant("lineage.blobs:BlobFolder.storing")
def logs_do_not_keep_gc_out(_: object) -> object:
    @contextmanager
    def storing(self: Any) -> Iterator[None]:
        self.make()
        yield

    return storing


@plant("lineage.blobs:BlobFolder.storing")
def new_logs_pass_by_a_waiting_gc(_: object) -> object:
    @contextmanager
    def storing(self: Any) -> Iterator[None]:
        self.make()
        with file_lock(self.root / "gc.lock", timeout=self._timeout, shared=True):
            yield

    return storing


@plant("lineage.commit:move_alias")
def an_alias_is_moved_only_where_it_is_new(move: Callable[..., Any]) -> object:
    def moved(connection: Any, artifact: int, alias: str, *rest: object, **how: object) -> Any:
        (known,) = connection.execute(
            "SELECT count(*) FROM alias WHERE artifact = ? AND name = ?", [artifact, alias]
        ).fetchone()
        return None if known and alias.startswith("of-") else move(connection, artifact, alias, *rest, **how)

    return moved


@plant("lineage.statements.edges:insert_produced")
def an_edge_in_twenty_is_lost(insert: Callable[..., None]) -> object:
    def inserted(connection: Any, version: int, run: int) -> None:
        if version % 20:
            insert(connection, version, run)

    return inserted


@plant("lineage.database:queued_lock")
def whoever_comes_back_is_first_again(_: object) -> object:
    return lambda path, _queue, **how: file_lock(path, **how)


@plant("lineage.database:turn_to_look")
def who_looks_takes_no_turn(_: object) -> object:
    """SQLite's own waiting: it looks again each tenth of a second, and may find a writer there each time."""
    return _no_lock
