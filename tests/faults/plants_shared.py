"""Bugs of what is shared between processes, threads and the rest of a program."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from plants import plant

_kept: dict[object, Any] = {}


@plant("lineage.connections:connect")
def one_connection_is_kept_for_all_calls(_: object) -> object:
    """In WAL mode, as many a library does: it is not closed, survives a fork, and loses what a copy made it lose."""
    from lineage.connections import _configure, file_uri

    class Kept(sqlite3.Connection):
        def close(self) -> None:
            with suppress(sqlite3.Error):
                self.rollback()
            self.execute("PRAGMA query_only = OFF")

    def connect(path: Path, *, writing: bool, timeout: float) -> sqlite3.Connection:
        if path not in _kept:
            uri = f"{file_uri(path)}?mode=rw"
            made = sqlite3.connect(
                uri, uri=True, isolation_level=None, timeout=timeout, factory=Kept, check_same_thread=False
            )
            _configure(made, path, writing=False)
            made.execute("PRAGMA query_only = OFF")
            made.execute("PRAGMA foreign_keys = ON")
            made.execute("PRAGMA journal_mode = WAL")
            _kept[path] = made
        return _kept[path]  # type: ignore[no-any-return]

    return connect


@plant("lineage.system:_sign")
def nobody_signs_the_lock(_: object) -> object:
    return lambda *_: None


@plant("lineage.database:queued_lock")
def a_lock_is_a_file(_: object) -> object:
    """A file that its maker removes: of one that was killed it stays."""
    from lineage.errors import BusyError

    @contextmanager
    def made(path: Path, _queue: Path, *, timeout: float, shared: bool = False) -> Iterator[None]:
        mark = path.with_suffix(".pid")
        try:
            mark.touch(exist_ok=False)
        except FileExistsError as error:
            raise BusyError("there is a lock file") from error
        yield
        mark.unlink()

    return made


@plant("lineage.database:Database._session")
def threads_share_their_blocks(session: Callable[..., Any]) -> object:
    from lineage import database

    shared: dict[Path, Any] = {}

    def found(self: Any) -> Any:
        database._blocks.__dict__["sessions"] = shared
        return session(self)

    return found


@plant("lineage.system:is_own")
def the_project_is_read_as_a_file(_: object) -> object:
    return lambda _: False


@plant("lineage.values:os")
def ids_come_from_random(_: object) -> object:
    """Seeded by the program, so that forked children draw the same."""
    import random

    class Drawn:
        fspath = staticmethod(lambda path: path)
        PathLike = object
        drawn = random.Random(1)

        def urandom(self, size: int) -> bytes:
            return self.drawn.randbytes(size)

    return Drawn()
