"""Bugs of meeting other formats, for ``test_formats.py``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from plants import plant

from lineage.migrations import scripts, statements

Function = Callable[..., Any]


@plant("lineage.database:check_format")
def newer_format_that_is_opened(_: Function) -> Function:
    """It reads what it does not know."""
    return lambda connection, path, newest: None


@plant("lineage.store:_keep_copy")
def upgrade_that_keeps_no_copy(_: Function) -> Function:
    """There is no way back."""
    return lambda path, copy: None


@plant("lineage.store:_name_of_copy")
def upgrade_that_writes_over_a_copy(_: Function) -> Function:
    """The way back of an earlier upgrade goes."""
    return lambda draft, copy: copy


@plant("lineage.store:_name_of_copy")
def upgrade_that_adds_a_copy_at_each_try(_: Function) -> Function:
    """One that is refused again and again fills the folder."""
    return lambda draft, copy: copy.with_name(f"{copy.name}.{draft.name}")


@plant("lineage.store:migrate")
def upgrade_that_asks_no_number(_: Function) -> Function:
    """Who comes second does it again."""

    def migrate(connection: Any, folder: Path) -> int:
        last = 0
        for number, script in scripts(folder):
            if number > 1:
                for statement in statements(script.read_text("utf-8")):
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number:d}")
            last = number
        return last

    return migrate
