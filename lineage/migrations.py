"""The format's versions: numbered SQL files of ``schema/migrations``, each applied once, in order.

Plain sqlite3 and not sqlite-utils runs them: importing that takes 250 ms, and a new project should be there in
a few. They run inside a write transaction, statement by statement (``executescript`` would commit first).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lineage.database import APPLICATION_ID
from lineage.values import new_uid, timestamp

# The wheel carries schema/ inside the package, a checkout keeps it beside it.
_PACKAGED = Path(__file__).with_name("schema")
SCHEMA_DIR: Final = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parents[1] / "schema"
FORMAT_VERSION: Final = 2
"""The newest format, which this library writes; the number of the last migration (a test compares)."""


def build_project(connection: sqlite3.Connection) -> None:
    """Make every table of the newest format in an empty database, and the row of the project itself."""
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    migrate(connection, SCHEMA_DIR / "migrations")
    connection.execute("INSERT INTO project (id, uid, created_at) VALUES (1, ?, ?)", (new_uid(), timestamp()))


def migrate(connection: sqlite3.Connection, folder: Path) -> int:
    """Apply the migrations the file has not seen and return its format now; call it inside a transaction."""
    (current,) = connection.execute("PRAGMA user_version").fetchone()
    for number, script in scripts(folder):
        if number > current:
            for statement in statements(script.read_text("utf-8")):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number:d}")
            current = number
    return int(current)


def scripts(folder: Path) -> list[tuple[int, Path]]:
    """Return the migrations of a folder, ``NNNN_slug.sql``, by number."""
    return [(int(path.name[:4]), path) for path in sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.sql"))]


def statements(script: str) -> Iterator[str]:
    """Yield the statements of a script one by one."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement:  # comments, or a statement without its semicolon, which must not be passed over
        yield statement
