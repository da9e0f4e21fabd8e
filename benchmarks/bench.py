"""Measure lineage beside the floor: the same bytes or rows with nothing of ours in between.

``python benchmarks/bench.py`` runs all workloads, ``python benchmarks/bench.py small-run filters`` some. Each
figure is a median of several rounds in which ours and the floor take turns, so that a machine whose speed drifts
drifts for both; what counts is the ratio. ``--scale 0.1`` makes everything a tenth as large.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from blake3 import blake3
from tabulate import tabulate

import lineage
from lineage.system import sync_folder


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table: our time, the floor's, both in milliseconds, and what the floor is."""

    workload: str
    ours: float
    floor: float | None
    floor_is: str
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times the floor."""
        return self.ours / self.floor if self.floor else None


@contextmanager
def folder() -> Iterator[Path]:
    """Give a folder that is gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix="lineage-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def milliseconds(work: Callable[[], object]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


def in_turns(ours: Callable[[], object], floor: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Return the medians of two calls that take turns."""
    pairs = [(milliseconds(ours), milliseconds(floor)) for _ in range(rounds)]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


def cpu_of(*arguments: str) -> float:
    """Return the CPU milliseconds of a Python program as a whole process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def imports(_: float) -> Iterator[Figure]:
    """Time the import and the start of the command line, in CPU milliseconds."""
    bare = "import sqlite3, json, dataclasses, pathlib, enum, re, datetime, contextlib, shutil, blake3"
    programs = {
        "import lineage": ("-c", "import lineage"),
        "lineage --version": ("-m", "lineage", "--version"),
        "floor": ("-c", bare),
    }
    taken = {name: statistics.median(cpu_of(*program) for _ in range(9)) for name, program in programs.items()}
    nothing = statistics.median(cpu_of("-c", "pass") for _ in range(9))
    for name in ("import lineage", "lineage --version"):
        yield Figure(name, taken[name], taken["floor"], "stdlib core + blake3", f"CPU; python -c pass {nothing:.0f} ms")


def small_run(scale: float) -> Iterator[Figure]:
    """Time a run with 2 inputs, 1 output of 100 bytes and 10 config keys; alone, and in a batch."""
    count = max(20, int(200 * scale))
    with folder() as home:
        project = lineage.open(home / "p.lineage")
        for name in ("a", "b"):
            project.log_artifact(_draft(name, b"x"))
        floor = _bare_commits(home / "floor.db")
        ours, bare = [], []
        for number in range(count):
            ours.append(milliseconds(lambda number=number: _one_run(project, number)))  # type: ignore[misc]
            bare.append(milliseconds(floor))
        yield Figure("small run", statistics.median(ours), statistics.median(bare), "3 bare commits, TRUNCATE + FULL")

        def batch() -> None:
            with project.batch():
                for number in range(count):
                    _one_run(project, count + number)

        yield Figure("small run in a batch", milliseconds(batch) / count, None, "", "mean")


def _draft(name: str, content: bytes) -> lineage.Artifact:
    draft = lineage.Artifact(name, "dataset")
    with draft.new_file("f", "wb") as file:
        file.write(content)
    return draft


def _one_run(project: lineage.Project, number: int) -> None:
    config = {f"key{key}": key * 0.1 for key in range(10)}
    with project.start_run("small", config=config, use=["a", "b"]) as run:
        run.log_artifact(_draft("out", b"%099d" % number))


def _bare_commits(path: Path) -> Callable[[], None]:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT)")

    def commits() -> None:
        for _ in range(3):
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("PRAGMA journal_mode = TRUNCATE")
            other.execute("PRAGMA synchronous = FULL")
            other.execute("BEGIN IMMEDIATE")
            other.executemany("INSERT INTO t (a, b) VALUES (?, ?)", [("x" * 50, "y" * 50)] * 5)
            other.execute("COMMIT")
            other.close()

    return commits


def _log_runs(path: str, start: int, count: int, results: multiprocessing.Queue[list[float]]) -> None:
    project = lineage.open(path)
    results.put([milliseconds(lambda number=number: _one_run(project, start + number)) for number in range(count)])  # type: ignore[misc]


def writers(scale: float) -> Iterator[Figure]:
    """Time the same runs from 4 and 8 processes at once on one project."""
    count = max(10, int(100 * scale))
    for processes in (4, 8):
        with folder() as home:
            project = lineage.open(home / "p.lineage")
            for name in ("a", "b"):
                project.log_artifact(_draft(name, b"x"))
            results: multiprocessing.Queue[list[float]] = multiprocessing.Queue()
            workers = [
                multiprocessing.Process(
                    target=_log_runs, args=(str(home / "p.lineage"), number * count, count, results)
                )
                for number in range(processes)
            ]
            for worker in workers:
                worker.start()
            taken = sorted(one for _ in workers for one in results.get())
            for worker in workers:
                worker.join()
            slowest = f"p99 {taken[int(len(taken) * 0.99)]:.0f} ms, slowest {taken[-1]:.0f} ms"
            yield Figure(f"small run, {processes} processes", statistics.mean(taken), None, "", f"mean; {slowest}")


def large_file(scale: float) -> Iterator[Figure]:
    """Time logging one large file, and reading it back."""
    size = max(1 << 20, int((512 << 20) * scale))
    with folder() as home:
        source = home / "large.bin"
        with source.open("wb") as file:
            for _ in range(size >> 20):
                file.write(os.urandom(1 << 20))
        project = lineage.open(home / "p.lineage")
        numbers = iter(range(100))

        def log() -> None:
            with source.open("r+b") as file:
                file.write(b"%020d" % next(numbers))
            project.log_artifact(source, "large", "model")

        ours, floor = in_turns(log, lambda: _hash_copy_sync(source, home / "copy.bin"), 5)
        yield Figure(f"log one file, {size >> 20} MiB", ours, floor, "hash + copy + sync")
        version = project.version("large")
        ours, floor = in_turns(
            lambda: version.download(home / f"out{next(numbers)}"), lambda: shutil.copy(source, home / "plain"), 3
        )
        yield Figure(f"download it, {size >> 20} MiB", ours, floor, "cp (hashes nothing)")


def _hash_copy_sync(source: Path, target: Path) -> None:
    hasher = blake3()
    with source.open("rb", buffering=0) as reader, target.open("wb", buffering=0) as writer:
        while data := reader.read(1 << 20):
            hasher.update(data)
            writer.write(data)
        os.fsync(writer.fileno())


def many_files(scale: float) -> Iterator[Figure]:
    """Time a folder of 10 KB files: log, log again, with 100 changed, download fresh and again."""
    count = max(200, int(5_000 * scale))
    with folder() as home:
        source = home / "source"
        for number in range(count):
            path = source / f"{number % 100:02d}" / f"{number}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(os.urandom(10_000))
        project = lineage.open(home / "p.lineage")
        note = f"{count} files; ms per 1,000"
        per = 1000 / count

        def copy(target: Path) -> None:
            shutil.copytree(source, target)
            for found in target.iterdir():
                sync_folder(found)

        taken = milliseconds(lambda: project.log_artifact(source, "many", "dataset"))
        floor = milliseconds(lambda: copy(home / "copy"))
        yield Figure("log 10 KB files", taken * per, floor * per, "cp -r", note)
        again = milliseconds(lambda: project.log_artifact(source, "many", "dataset"))
        floor = milliseconds(lambda: [blake3(path.read_bytes()) for path in source.rglob("*.bin")])
        yield Figure("log them again", again * per, floor * per, "read + hash", note)
        for path in sorted(source.rglob("*.bin"))[:100]:
            path.write_bytes(os.urandom(10_000))
        changed = milliseconds(lambda: project.log_artifact(source, "many", "dataset"))
        yield Figure("again, 100 changed", changed * per, floor * per, "read + hash", note)
        version = project.version("many:v0")
        fresh = milliseconds(lambda: version.download(home / "out"))
        floor = milliseconds(lambda: shutil.copytree(source, home / "plain"))
        yield Figure("download them", fresh * per, floor * per, "cp -r", note)
        once_more = milliseconds(lambda: version.download(home / "out"))
        floor = milliseconds(lambda: [blake3(path.read_bytes()) for path in (home / "out").rglob("*.bin")])
        yield Figure("download again", once_more * per, floor * per, "read + hash", note)


def questions(scale: float) -> Iterator[Figure]:
    """Time questions about a chain of runs that each use the output before and one hub."""
    count = max(500, int(20_000 * scale))
    with folder() as home:
        project = lineage.open(home / "p.lineage")
        project.log_artifact(_draft("hub", b"hub"))
        with project.batch():
            for number in range(count):
                inputs = ["hub:v0", *([f"step:v{number - 1}"] if number else [])]
                with project.start_run("step", config={"number": number}, use=inputs) as run:
                    run.log_artifact(_draft("step", b"%d" % number))
        last = project.version("step")
        with sqlite3.connect(home / "p.lineage") as connection:
            floor = statistics.median(milliseconds(lambda: _recursive(connection, last.record.id)) for _ in range(3))
            ours = statistics.median(milliseconds(last.ancestors) for _ in range(3))
            yield Figure("ancestors of a chain", ours, floor, "recursive CTE, ids only", f"{2 * count} nodes")
            hub = project.version("hub:v0")
            ours = statistics.median(milliseconds(hub.used_by) for _ in range(3))
            sql = "SELECT r.* FROM consumed c JOIN run r ON r.id = c.run WHERE c.version = ?"
            floor = statistics.median(
                milliseconds(lambda: connection.execute(sql, (hub.record.id,)).fetchall()) for _ in range(3)
            )
            yield Figure("consumers of a hub, as runs", ours, floor, "rows as tuples", f"{count} runs")
            plain = project.version("step:v7")
            ours, floor = in_turns(plain.used_by, lambda: connection.execute(sql, (plain.record.id,)).fetchall(), 50)
            yield Figure("consumers of a plain version", ours, floor, "one statement, open connection")
            ours, _ = in_turns(lambda: project.depends_on(last, "step:v7"), lambda: None, 5)
            yield Figure("does A depend on B", ours, None, "", f"{2 * count} nodes between")
            where = {"config.number": {"$gte": count - 10}}
            ours = statistics.median(milliseconds(lambda: list(project.runs(where))) for _ in range(5))
            scan = "SELECT id FROM run WHERE json_extract(config, '$.number') >= ?"
            floor = statistics.median(
                milliseconds(lambda: connection.execute(scan, (count - 10,)).fetchall()) for _ in range(5)
            )
            yield Figure("runs by config", ours, floor, "the bare scan", f"{count} runs")
            ours = statistics.median(milliseconds(lambda: project.search("swept water")) for _ in range(3))
            floor = statistics.median(
                milliseconds(lambda: connection.execute("SELECT id FROM run WHERE name LIKE '%swept%'").fetchall())
                for _ in range(3)
            )
            yield Figure("search", ours, floor, "LIKE over names", f"{count} runs")


def _recursive(connection: sqlite3.Connection, version: int) -> None:
    connection.execute(
        """WITH RECURSIVE up (version) AS (SELECT ? UNION SELECT c.version FROM up
             JOIN produced p ON p.version = up.version JOIN consumed c ON c.run = p.run)
           SELECT count(*) FROM up""",
        (version,),
    ).fetchall()


def packing(scale: float) -> Iterator[Figure]:
    """Time packing a project of one 1 GB file, ten of 50 MB and 500 of 1 MB beside tar, and what the file answers."""
    with folder() as home:
        source = home / "source"
        source.mkdir()
        large = max(4 << 20, int((1 << 30) * scale))
        sizes = [large, *[max(1 << 20, int((50 << 20) * scale))] * 10, *[1 << 20] * max(5, int(500 * scale))]
        for number, size in enumerate(sizes):
            with (source / f"{number}.bin").open("wb") as file:
                for start in range(0, size, 1 << 20):
                    file.write(os.urandom(min(1 << 20, size - start)))
        project = lineage.open(home / "p.lineage")
        project.log_artifact(source, "data", "dataset")
        note = f"{sum(sizes) >> 20} MiB in {len(sizes)} files"
        share, tar = home / "share.lineage", home / "t.tar"
        for _ in range(2):  # into files that are there: making room on this disk costs more than all else
            project.pack(share, overwrite=True)
            _tar("-cf", tar, "-C", source, ".")
        ours, floor = in_turns(
            lambda: project.pack(share, overwrite=True), lambda: _tar("-cf", tar, "-C", source, ".", sync=tar), 5
        )
        yield Figure("pack, synced", ours, floor, "tar + fsync (hashes nothing)", note)
        version = lineage.open(share).version("data")
        out, plain = home / "out", home / "plain"
        plain.mkdir()
        ours, floor = in_turns(lambda: _fresh(version, out), lambda: _tar("-xf", tar, "-C", plain), 3)
        yield Figure("download all of it", ours, floor, "tar -x (verifies nothing)", note)
        ours, floor = in_turns(lambda: _read_all(share), lambda: _tar("-xOf", tar, quiet=True), 3)
        yield Figure("read all of it", ours, floor, "tar -xO to /dev/null", note)
        yield from _asking(share, large)
        yield Figure("verify it", milliseconds(lineage.open(share).verify), None, "", note)


def _tar(*arguments: object, sync: Path | None = None, quiet: bool = False) -> None:
    subprocess.run(["tar", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL if quiet else None)
    if sync is not None:
        descriptor = os.open(sync, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def _fresh(version: lineage.Version, target: Path) -> None:
    """Download over what is there, each file anew."""
    for path in target.glob("*") if target.is_dir() else ():
        path.write_bytes(b"")
    version.download(target)


def _read_all(share: Path) -> None:
    project = lineage.open(share)
    with project.snapshot():
        version = project.version("data")
        for entry in version.files():
            with version.open(entry.path) as file:
                while file.read(1 << 20):
                    pass


def _asking(share: Path, size: int) -> Iterator[Figure]:
    """Time opening a packed file with one question, and 64 KB anywhere in its largest content."""
    ours = statistics.median(milliseconds(lambda: lineage.open(share).version("data")) for _ in range(30))
    yield Figure("open it and ask", ours, None, "", "beyond the import")
    file = lineage.open(share).version("data").open("0.bin")
    plain = (share.parent / "source" / "0.bin").open("rb", buffering=0)
    places = iter([int.from_bytes(os.urandom(8), "big") % (size - 65_536) for _ in range(200)])
    ours, floor = in_turns(lambda: _slice(file, next(places)), lambda: _slice(plain, next(places)), 100)
    yield Figure("64 KB anywhere in it", ours, floor, "seek + read of the file")


def _slice(file: IO[bytes], place: int) -> None:
    file.seek(place)
    file.read(65_536)


def merging(scale: float) -> Iterator[Figure]:
    """Time merging a project of many small versions into another one, and merging it again."""
    count = max(100, int(5_000 * scale) // 10 * 10)
    with folder() as home:
        projects = [lineage.open(home / f"{name}.lineage") for name in ("ours", "theirs")]
        for project in projects:
            with project.batch():
                for number in range(0, count, 10):
                    with project.start_run("step", use=[f"out{number % 100}"] if number >= 100 else []) as run:
                        for one in range(number, number + 10):
                            run.log_artifact(_draft(f"out{number % 100}", f"{project.file.name} {one}".encode()))
        report = projects[1].pack(home / "share.lineage")
        note = f"{count} versions of {count // 10} runs"
        yield Figure(
            "rehearse a merge", milliseconds(lambda: projects[0].merge(report.file, dry_run=True)), None, "", note
        )
        yield Figure("merge", milliseconds(lambda: projects[0].merge(report.file)), None, "", note)
        yield Figure("merge again", milliseconds(lambda: projects[0].merge(report.file)), None, "", "all known")


WORKLOADS = {
    "imports": imports,
    "small-run": small_run,
    "writers": writers,
    "large-file": large_file,
    "many-files": many_files,
    "questions": questions,
    "packing": packing,
    "merging": merging,
}


def main() -> None:
    """Run the workloads asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workload", nargs="*", help=f"any of {', '.join(WORKLOADS)}; all if none is named")
    parser.add_argument("--scale", type=float, default=1.0, help="size of everything, 1 by default")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    unknown = set(options.workload) - WORKLOADS.keys()
    if unknown:
        parser.error(f"no workload {', '.join(sorted(unknown))}")
    figures = [figure for name in options.workload or WORKLOADS for figure in WORKLOADS[name](options.scale)]
    rows = [(one.workload, one.ours, one.floor, one.ratio, one.floor_is, one.note) for one in figures]
    print(f"{time.strftime('%Y-%m-%d')}, {platform.platform()}, {os.cpu_count()} cores, Python", end=" ")
    print(f"{platform.python_version()}, SQLite {sqlite3.sqlite_version}, lineage {lineage.__version__}\n")
    print(tabulate(rows, ["workload", "ms", "floor ms", "ratio", "floor", "note"], floatfmt=".3g"))
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in figures], indent=2) + "\n")


if __name__ == "__main__":
    main()
