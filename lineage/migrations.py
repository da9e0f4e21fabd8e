"""The format's versions: numbered SQL files of ``schema/migrations``, each applied once, in order.

Plain sqlite3 and not sqlite-utils runs them: importing that takes 250 ms, and a new project should be there in
a few. They run inside a write transaction, statement by statement (``executescript`` would commit first).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from blake3 import blake3

from lineage.connections import APPLICATION_ID, scratch_database
from lineage.errors import FormatError
from lineage.values import new_uid, timestamp

# The wheel carries schema/ inside the package, a checkout keeps it beside it.
_PACKAGED = Path(__file__).with_name("schema")
SCHEMA_DIR: Final = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parents[1] / "schema"
FORMAT_VERSION: Final = 3
"""The newest format, which this library writes; the number of the last migration (a test compares)."""
SCHEMA_DIGESTS: Final = {
    1: "3e4e39e3a094cea10cd30cef9a030cd0ca23e11e5aace9c170df233e3bbbb842",
    2: "7909c07646afdd01051b563ef476d6e219b76c3230559f7a42e989f7e620be28",
    3: "e9817e8d7adadbbf19db3b4393e3aa808b222fab332a4ca4a741b90d98e8e124",
}
"""What each format's table of tables comes to: building one to compare with takes 11 ms, this 0.2; a test compares."""


class Item(NamedTuple):
    """One row of the table of tables: a table, an index, a view or a trigger, and the text that made it."""

    type: str
    name: str
    table: str
    sql: str | None


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


def check_schema(connection: sqlite3.Connection, path: Path, *, exact: bool) -> None:
    """Refuse a file whose tables, views or indexes are not those of its format, text for text, before any is used.

    A file from elsewhere may hold a trigger, a view in place of a table, or a table that is a program
    (promises.md, 4.2). A plain table beside ours, as somebody may have made with the sqlite3 shell, does no harm to
    who opens the project; only `exact` refuses it. One that has the name of a table of a later format is in the way.

    Raises:
        FormatError: It differs; the message names what does.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    found = schema_items(connection)
    if SCHEMA_DIGESTS.get(version) == schema_digest(found):
        return
    expected = {item.name: item for item in expected_schema(version)}
    strange = [item for item in found if expected.get(item.name) != item and (exact or not _is_inert(item, expected))]
    missing = sorted(expected.keys() - {item.name for item in found})
    if strange:
        what = ", ".join(f"{item.type} {item.name!r}" for item in strange[:5])
        message = f"{str(path)!r} holds what no lineage makes ({what}): do not trust it, or remove that with sqlite3"
        raise FormatError(message)
    if missing and exact:
        message = f"{str(path)!r} lacks {', '.join(missing[:5])} of format {version}; restore it from a copy"
        raise FormatError(message)
    coming = {item.name for item in expected_schema(FORMAT_VERSION)} - expected.keys()
    in_the_way = [item for item in found if item.name.lower() in coming and not item.name.startswith("sqlite_")]
    if in_the_way:
        what = ", ".join(f"{item.type} {item.name!r}" for item in in_the_way[:5])
        message = (
            f"{str(path)!r} has format {version}, and its {what}, which no lineage made, stands where format "
            f"{FORMAT_VERSION} has one of its own: rename that with sqlite3, then open the project again"
        )
        raise FormatError(message)


def _is_inert(item: Item, expected: dict[str, Item]) -> bool:
    """Whether nothing of ours meets it: a table that is no program, or an index of such a table."""
    if item.name in expected or item.table in expected:
        return False
    return item.type == "index" or (item.type == "table" and not (item.sql or "").upper().startswith("CREATE VIRTUAL"))


def schema_items(connection: sqlite3.Connection) -> list[Item]:
    """Return the table of tables in a fixed order, blanks made alike: how ALTER TABLE sets them is SQLite's affair."""
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name").fetchall()
    return [Item(kind, name, table, sql and " ".join(str(sql).split())) for kind, name, table, sql in rows]


def schema_digest(items: list[Item]) -> str:
    """Return the digest of a table of tables."""
    return blake3(repr([tuple(item) for item in items]).encode("utf-8", "backslashreplace")).hexdigest()


def expected_schema(version: int) -> list[Item]:
    """Return the table of tables of a format, as its migrations make it."""
    with scratch_database() as connection:
        for number, script in scripts(SCHEMA_DIR / "migrations"):
            if number <= version:
                for statement in statements(script.read_text("utf-8")):
                    connection.execute(statement)
        return schema_items(connection)
