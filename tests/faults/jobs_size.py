"""What is large: one file, and a lineage that is many runs deep."""

from __future__ import annotations

import resource
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from conftest import draft

import lineage

ENDS = b"the beginning", b"the end"


def peak() -> int:
    """Return the most memory that this process has had, in bytes.

    The system's own figure also counts what its parent had when it started it, where /proc knows better.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = [one for one in status.read_text().splitlines() if one.startswith("VmHWM")]
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def one_file(folder: str, size: int) -> dict[str, int]:
    """Log a file, verify, pack, merge, read and download it; return the memory at the peak after each."""
    place = Path(folder)
    source = place / "source"
    with source.open("wb") as file:
        file.write(ENDS[0])
        file.truncate(size)
        file.seek(size - len(ENDS[1]))
        file.write(ENDS[1])
    project = lineage.open(place / "p.lineage")
    peaks = {"start": peak()}
    version = project.log_artifact(source, "large", "dataset")
    peaks["log"] = peak()
    assert project.verify().problems == ()
    peaks["verify"] = peak()
    project.pack(place / "share.lineage")
    peaks["pack"] = peak()
    version.download(place / "out")
    assert (place / "out" / "source").stat().st_size == size
    peaks["download"] = peak()
    with version.open("source") as stored:
        assert stored.read(len(ENDS[0])) == ENDS[0]
        while data := stored.read(1 << 20):
            last = data
    assert last.endswith(ENDS[1])
    peaks["read"] = peak()
    version.delete(delete_aliases=True)
    project.gc()
    project.merge(place / "share.lineage")
    peaks["merge"] = peak()
    return peaks


def deep_project(path: Path, depth: int) -> lineage.Project:
    """Return a project in which each version came from a run that consumed the one before."""
    project = lineage.open(path)
    project.log_artifact(draft("d", {"a": "1"}))
    numbers = "WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            f"{numbers} INSERT INTO version (id, uid, artifact, number, manifest, created_at) "
            "SELECT i, printf('%026d', i), 1, i - 1, 1, created_at FROM n, version WHERE version.id = 1",
            [depth],
        )
        connection.execute(
            f"{numbers} INSERT INTO run (id, uid, name, status, started_at, ended_at) "
            "SELECT i, 'r' || i, 'r', 'finished', created_at, created_at FROM n, version WHERE version.id = 1",
            [depth],
        )
        connection.execute(f"{numbers} INSERT INTO produced (run, version) SELECT i, i FROM n", [depth])
        connection.execute(f"{numbers} INSERT INTO consumed (run, version) SELECT i, i - 1 FROM n", [depth])
        connection.execute("UPDATE artifact SET next_number = ?", [depth])
    return project


def ask_deep(folder: str, depth: int, merged: bool) -> int:
    """Ask all there is to ask of a lineage, with hardly any stack; return the questions."""
    project = deep_project(Path(folder) / "p.lineage", depth)
    first, last = "d:v0", f"d:v{depth - 1}"
    project.graph(first, depth=1)  # what is imported late is imported with stack
    project.pack(Path(folder) / "warm.lineage", select=first)
    sys.setrecursionlimit(150)
    assert len(project.ancestors(last)) == 2 * (depth - 1)
    assert len(project.descendants(first)) == 2 * (depth - 1)
    assert project.depends_on(last, first)
    assert not project.depends_on(first, last)
    assert len(project.path(last, first)) == 2 * depth - 1
    assert len(project.common_ancestors(last, f"d:v{depth - 2}")) > depth
    assert len(project.graph(last)) == 2 * depth - 1
    assert len(project.graph()) == 2 * depth - 1
    assert len(project.stale()) >= 0
    try:
        project.record(f"r{2}", consumed=[last])
    except lineage.CycleError as error:
        assert len(error.cycle) == 2 * (depth - 1)
    else:
        raise AssertionError("a cycle through all was taken")
    if merged:
        project.pack(Path(folder) / "share.lineage")
        other = lineage.open(Path(folder) / "other.lineage")
        other.merge(Path(folder) / "share.lineage")
        assert len(other.ancestors(last)) == 2 * (depth - 1)
        assert other.verify().problems == ()
    return 13 if merged else 10
