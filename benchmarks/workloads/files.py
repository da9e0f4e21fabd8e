"""Bytes in and out: one large file, many small ones, listings of very many, and the disk they take."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from blake3 import blake3
from measure import Figure, folder, hash_copy_sync, in_turns, make_files, make_large_file, milliseconds

import lineage
from lineage.staging import tree_size


def large_file(size: int) -> Iterator[Figure]:
    """Time logging one large file, logging it again, and reading it back."""
    with folder() as home:
        source, numbers = home / "large.bin", count()
        make_large_file(source, size << 20)
        project = lineage.open(home / "p.lineage")

        def log() -> None:
            with source.open("r+b") as file:
                file.write(b"%020d" % next(numbers))
            project.log_artifact(source, "large", "model")

        # a new file each time, as ours is: to write into the pages of an old one takes a quarter of the time
        ours, floor = in_turns(log, lambda: hash_copy_sync(source, home / f"copy{next(numbers)}.bin"), 5)
        yield Figure("log one large file", ours, floor, "hash + copy + sync", size)
        version = project.version("large")
        ours, floor = in_turns(
            lambda: version.download(home / f"out{next(numbers)}"),
            lambda: shutil.copy(source, home / f"plain{next(numbers)}"),
            3,
        )
        yield Figure("download it", ours, floor, "cp (hashes nothing)", size)


def many_files(size: int) -> Iterator[Figure]:
    """Time a folder of 10 KB files: log, log again, with 100 changed, download fresh and again."""
    with folder() as home:
        source = home / "source"
        make_files(source, size)
        project = lineage.open(home / "p.lineage")

        def log() -> None:
            project.log_artifact(source, "many", "dataset")

        taken = milliseconds(log)
        floor = milliseconds(lambda: shutil.copytree(source, home / "copy"))
        yield Figure("log small files", taken, floor, "cp -r, not synced", size, _rate(size, taken))
        taken, floor = in_turns(log, lambda: _look(source), 5)
        yield Figure("log them again", taken, floor, "stat", size, _rate(size, taken))
        for path in sorted(source.rglob("*.bin"))[:100]:
            path.write_bytes(os.urandom(10_000))
        changed = milliseconds(log)
        yield Figure("again, 100 changed", changed, taken, "again, none changed", size, _rate(size, changed))
        version = project.version("many:v0")
        taken = milliseconds(lambda: version.download(home / "out"))
        floor = milliseconds(lambda: shutil.copytree(source, home / "plain"))
        yield Figure("download small files", taken, floor, "cp -r", size, _rate(size, taken))
        taken, floor = in_turns(lambda: version.download(home / "out"), lambda: _hash(home / "out"), 3)
        yield Figure("download them again", taken, floor, "read + hash", size, _rate(size, taken))


def _rate(files: int, taken: float) -> str:
    return f"{files / taken * 1000:,.0f} files/s"


def _look(source: Path) -> None:
    for where, _, names in os.walk(source):
        for name in names:
            os.stat(f"{where}/{name}")  # noqa: PTH116 (the floor)


def _hash(source: Path) -> None:
    for path in source.rglob("*.bin"):
        blake3(path.read_bytes())


def entries(size: int) -> Iterator[Figure]:
    """Time listings of very many references: log, log with 100 changed, list, compare neighbours."""
    with folder() as home:
        project = lineage.open(home / "p.lineage")
        listed = [
            lineage.Entry(f"{n % 1000:03d}/{n}", f"{n:032x}", n, f"s3://b/{n}", stored=False) for n in range(size)
        ]

        def log() -> None:
            made = lineage.Artifact("entries", "dataset")
            made.add_entries(listed)
            project.log_artifact(made)

        taken = milliseconds(log)
        floor = milliseconds(lambda: _rows(home / "floor.db", listed))
        yield Figure("log a listing", taken, floor, "a row an entry", size)
        before = project.file.stat().st_size
        chosen = random.Random(1).sample(range(size), min(100, size))
        changed = [lineage.Entry(listed[n].path, "changed", 1, listed[n].uri, stored=False) for n in chosen]

        def begin() -> lineage.Artifact:
            made = project.version("entries:v0").new_draft()
            made.add_entries(changed, overwrite=True)
            return made

        ours, floor = in_turns(begin, lambda: _read(home / "floor.db"), 3)
        yield Figure("begin a draft of it, change 100", ours, floor, "rows as tuples", size)
        made = begin()
        taken = milliseconds(lambda: project.log_artifact(made))
        floor = milliseconds(lambda: _hash_rows(made.entries))
        grown = (project.file.stat().st_size - before) / 1e6
        yield Figure("log that draft", taken, floor, "hash a line an entry", size, f"{grown:.1f} MB a version")
        ours, floor = in_turns(project.version("entries:v1").files, lambda: _read(home / "floor.db"), 3)
        yield Figure("list it", ours, floor, "rows as tuples", size)
        ours, _ = in_turns(lambda: project.diff("entries:v0", "entries:v1"), lambda: None, 5)
        yield Figure("compare neighbours", ours, None, "", size)


def _rows(path: Path, listed: list[lineage.Entry]) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (path TEXT PRIMARY KEY, digest TEXT, size INTEGER, uri TEXT) WITHOUT ROWID")
        rows = sorted((one.path, one.digest, one.size, one.uri) for one in listed)
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", rows)


def _read(path: Path) -> list[tuple[str, str, int, str]]:
    with sqlite3.connect(path) as connection:
        return connection.execute("SELECT path, digest, size, uri FROM t ORDER BY path").fetchall()


def _hash_rows(listed: list[lineage.Entry]) -> None:
    blake3("".join(f"{one.digest} {one.size} {one.uri} {one.path}\n" for one in listed).encode())


def disk(size: int) -> Iterator[Figure]:
    """Measure the disk that 20 versions of a folder take, 1 % of it changed each time, against the distinct bytes."""
    with folder() as home:
        source = home / "source"
        make_files(source, size)
        project = lineage.open(home / "p.lineage")
        paths, distinct = sorted(source.rglob("*.bin")), size * 10_000
        for number in range(20):
            for path in paths[number * size // 100 : (number + 1) * size // 100] if number else ():
                path.write_bytes(os.urandom(10_000))
                distinct += 10_000
            project.log_artifact(source, "disk", "dataset")
        used = project.file.stat().st_size + tree_size(project.blob_folder)
        yield Figure("disk of 20 versions", used / 1e6, distinct / 1e6, "distinct bytes", size, "MB and not ms")
