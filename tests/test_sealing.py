"""The seal and the tables it stands on: every cell counts, and keys do not."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from conftest import draft

import lineage
from lineage.migrations import SCHEMA_DIGESTS, expected_schema, schema_digest, scripts
from lineage.migrations import SCHEMA_DIR as SCHEMA
from lineage.sealing import broken_seal, compute_seal

OUTSIDE = {"chunk", "seal"}
"""Bytes count by their digests; the seal cannot seal itself."""


@pytest.fixture
def share(project: lineage.Project, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A packed file in which no table is empty and no column is without a value, open for any change."""
    other = lineage.open(tmp_path / "other.lineage")
    with project.start_run("load", "one", id="one", config={"a": 1}, group="g", tags=["t"], notes="n") as run:
        run.use_artifact(other.log_artifact(draft("abroad", {"x": "x"})), use_as="input")
        run.log({"loss": 0.5, "words": "text"})
        made = draft("data", {"a": "1"}, description="d", metadata={"k": 1})
        made.add_reference("s3://bucket/key")
        run.log_artifact(made, aliases=["best"], tags=["t"])
    with project.start_run("load", id="two") as run:
        again = draft("data", {"a": "1"})
        again.add_reference("s3://bucket/key")
        run.log_artifact(again)
    project.log_artifact(draft("data", {"a": "2"}))  # latest moves
    project.link("data", "Best data")
    project.update_artifact("data", description="words")
    other.link(project.version("data"), "Abroad")
    report = project.pack("share.lineage", content=False)
    with closing(sqlite3.connect(report.file, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        yield connection


def columns(connection: sqlite3.Connection) -> list[tuple[str, str, str]]:
    """Return table, column and type of every column that is no key of a row."""
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    return [
        (table, name, kind)
        for table in tables
        if table not in OUTSIDE
        for _, name, kind, *_ in connection.execute("SELECT * FROM pragma_table_info(?)", (table,))
        if (table, name) not in {(table, "id"), ("manifest_part", "seq")}
    ]


def test_seal_changes_with_every_cell(share: sqlite3.Connection) -> None:
    """Whatever column of whatever table is changed, the seal does not hold any more."""
    before = compute_seal(share)
    unsealed = []
    for table, column, kind in columns(share):
        share.execute("BEGIN")
        share.execute("PRAGMA defer_foreign_keys = ON")
        value: object = 77 if kind in ("INTEGER", "REAL") else "zz"
        changed = share.execute(f'UPDATE OR IGNORE {table} SET "{column}" = ?', (value,)).rowcount
        if not changed or compute_seal(share) == before:
            unsealed.append((table, column))
        share.execute("ROLLBACK")

    assert len(columns(share)) > 90
    assert unsealed == []


def test_seal_changes_with_every_row(share: sqlite3.Connection) -> None:
    """Rows that go or come are missed or noticed in each table."""
    before = compute_seal(share)
    for table in {table for table, _, _ in columns(share)}:
        share.execute("BEGIN")
        share.execute(f"DELETE FROM {table}")
        assert compute_seal(share) != before, table
        share.execute("ROLLBACK")


def test_seal_does_not_depend_on_keys(share: sqlite3.Connection) -> None:
    """Numbered otherwise inside, it is the same content."""
    before = compute_seal(share)
    share.execute("UPDATE version SET id = id + 100")
    for table, column in (("consumed", "version"), ("produced", "version"), ("reproduced", "version"),
                          ("alias", "version"), ("version_tag", "version"), ("link", "version"), ("link", "source"),
                          ("outside_use", "version"),
                          ("alias_event", "from_version"), ("alias_event", "to_version")):  # fmt: skip
        share.execute(f"UPDATE {table} SET {column} = {column} + 100")

    assert compute_seal(share) == before


def test_digest_is_the_same_in_another_project_and_the_mark_is_not(project: lineage.Project, tmp_path: Path) -> None:
    """Two people compare the digest; the mark tells a project from its double."""
    project.log_artifact(draft("data", {"a": "1"}))
    double = lineage.open(tmp_path / "double.lineage")
    double.merge(project)
    seals = []
    for one in (project, double):
        with one._store.database.read() as connection:
            seals.append(compute_seal(connection))

    assert seals[0].digest == seals[1].digest
    assert seals[0].mark != seals[1].mark


def test_broken_seal_says_what_was_changed(share: sqlite3.Connection) -> None:
    """Nothing while it holds; else whether content or ids were changed; nothing where there is none."""
    seal, why = broken_seal(share)
    assert (seal, why) == (compute_seal(share), None)

    share.execute("UPDATE project SET uid = 'x'")
    assert "ids, or what others do with it" in str(broken_seal(share)[1])
    share.execute("UPDATE run SET name = 'x'")
    assert "what it holds changed" in str(broken_seal(share)[1])
    share.execute("DELETE FROM seal")
    assert broken_seal(share) == (None, None)


def test_schema_digests_are_those_of_the_migrations() -> None:
    """Each format's tables, as its scripts make them; on a mismatch, what stands on the left belongs in the source."""
    found = {number: schema_digest(expected_schema(number)) for number, _ in scripts(SCHEMA / "migrations")}

    assert found == SCHEMA_DIGESTS
