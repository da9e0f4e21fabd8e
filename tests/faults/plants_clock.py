"""Bugs that believe the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from plants import plant


@plant("lineage.commit:move_alias")
def latest_goes_by_the_clock(move: Callable[..., None]) -> object:
    def moved(connection: Any, artifact: int, alias: str, version: int, mover: Any, **how: Any) -> None:
        row = connection.execute(
            """SELECT v.created_at FROM alias l JOIN version v ON v.id = l.version
               WHERE l.artifact = ? AND l.name = ?""",
            [artifact, alias],
        ).fetchone()
        if row is None or row[0] <= mover.at:
            move(connection, artifact, alias, version, mover, **how)

    return moved


@plant("lineage.statements.artifacts:live_versions")
def the_newest_version_is_the_youngest(_: object) -> object:
    words = "SELECT id FROM version WHERE artifact = ? AND deleted_at IS NULL ORDER BY created_at"
    return lambda connection, artifact: [row[0] for row in connection.execute(words, [artifact])]


@plant("lineage.statements.artifacts:take_number")
def numbers_go_by_the_clock(take: Callable[..., int]) -> object:
    """The number is that after the youngest version's."""

    def taken(connection: Any, artifact: int) -> int:
        take(connection, artifact)
        row = connection.execute(
            "SELECT number FROM version WHERE artifact = ? ORDER BY created_at DESC LIMIT 1", [artifact]
        ).fetchone()
        return 0 if row is None else int(row[0]) + 1

    return taken


@plant("lineage.blobs:BlobFolder.dead_stagings")
def gc_goes_by_age(dead: Callable[..., Any]) -> object:
    """What looks younger than a day is taken for somebody's."""
    return lambda self: [path for path in dead(self) if path.lstat().st_mtime < time.time() - 86_400]


@plant("lineage.staging:_same_state")
def files_from_the_future_changed(same: Callable[..., bool]) -> object:
    return lambda before, path: before.st_mtime <= time.time() and same(before, path)
