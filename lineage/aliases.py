"""Moving aliases: one at a time names one version, and every move is kept."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from lineage.capture import host
from lineage.errors import ConflictError, ErrorKind
from lineage.statements import artifacts
from lineage.values import timestamp


@dataclass(frozen=True, slots=True)
class Mover:
    """Who moves an alias, for its history."""

    at: str
    user: str
    run: int | None = None

    @classmethod
    def now(cls, run: int | None = None) -> Mover:
        """Return whoever runs this program, at this moment."""
        return cls(timestamp(), host().user, run)


def move_alias(  # noqa: PLR0913 (what is moved, where, by whom, and how firmly)
    connection: sqlite3.Connection,
    artifact: int,
    alias: str,
    version: int,
    mover: Mover,
    *,
    protect: bool | None = None,
    override: bool = False,
) -> None:
    """Make an alias name a version; where it does already, only its protection may change.

    Raises:
        ConflictError: It is protected, names another version, and `override` is not set.
    """
    held = artifacts.alias_row(connection, artifact, alias)
    before, protected = held or (None, False)
    if before != version and protected and not override:
        raise _protected(alias)
    artifacts.put_alias(connection, artifact, alias, version, protected=protected if protect is None else protect)
    if before != version:
        _note(connection, artifact, alias, (before, version), mover)


def remove_alias(
    connection: sqlite3.Connection, artifact: int, alias: str, mover: Mover, *, override: bool = False
) -> None:
    """Take an alias away; nothing happens if there is none.

    Raises:
        ConflictError: It is protected and `override` is not set.
    """
    held = artifacts.alias_row(connection, artifact, alias)
    if held is None:
        return
    if held[1] and not override:
        raise _protected(alias)
    artifacts.delete_alias(connection, artifact, alias)
    _note(connection, artifact, alias, (held[0], None), mover)


def _note(
    connection: sqlite3.Connection, artifact: int, alias: str, move: tuple[int | None, int | None], mover: Mover
) -> None:
    artifacts.insert_alias_event(
        connection,
        artifact=artifact,
        alias=alias,
        moved_from=move[0],
        moved_to=move[1],
        at=mover.at,
        user=mover.user,
        run=mover.run,
    )


def _protected(alias: str) -> ConflictError:
    message = f"alias {alias!r} is protected; move or remove it with override=True (--override)"
    return ConflictError(message, kind=ErrorKind.ALIAS_PROTECTED)
