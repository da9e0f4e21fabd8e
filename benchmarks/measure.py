"""What every workload measures with: figures, turns, floors, and the exponent of a curve."""

from __future__ import annotations

import math
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

import lineage


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    Attributes:
        name: What was done; peers are compared with the figure of the same name.
        ours: Milliseconds, or whatever `note` says.
        floor: The same for the floor, which `floor_is` describes.
        size: How much there was of it.
    """

    name: str
    ours: float
    floor: float | None
    floor_is: str
    size: int
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times the floor."""
        return self.ours / self.floor if self.floor else None


@contextmanager
def folder() -> Iterator[Path]:
    """Give a folder that is gone afterwards, with a cache of known files of its own in it."""
    path = Path(tempfile.mkdtemp(prefix="lineage-bench-"))
    before = os.environ.get("LINEAGE_CACHE")
    os.environ["LINEAGE_CACHE"] = str(path / "cache")
    try:
        yield path
    finally:
        shutil.rmtree(path)
        if before is None:
            del os.environ["LINEAGE_CACHE"]
        else:
            os.environ["LINEAGE_CACHE"] = before


def milliseconds(work: Callable[[], object]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


def in_turns(ours: Callable[[], object], floor: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Return the medians of two calls that take turns."""
    pairs = [(milliseconds(ours), milliseconds(floor)) for _ in range(rounds)]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


def exponent(points: Sequence[tuple[int, float]]) -> float:
    """Return the exponent that fits (size, time) best: 1 where twice the size takes twice the time.

    Example:
        >>> round(exponent([(1, 3.0), (2, 6.0), (4, 12.0)]), 2)
        1.0
    """
    xs, ys = [math.log(size) for size, _ in points], [math.log(max(taken, 1e-6)) for _, taken in points]
    return statistics.linear_regression(xs, ys).slope


def draft(name: str, content: bytes) -> lineage.Artifact:
    """Return a draft of one small file."""
    made = lineage.Artifact(name, "dataset")
    with made.new_file("f", "wb") as file:
        file.write(content)
    return made


def make_files(source: Path, count: int, size: int = 10_000) -> None:
    """Make a folder of files, 100 to a folder below it or more, and wait until they are old enough to be known."""
    for number in range(count):
        path = source / f"{number % 100:02d}" / f"{number}.bin"
        if number < 100:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))
    time.sleep(2.1)


def make_large_file(path: Path, size: int) -> None:
    """Make a file of random bytes."""
    with path.open("wb") as file:
        for _ in range(size >> 20):
            file.write(os.urandom(1 << 20))


def hash_copy_sync(source: Path, target: Path) -> None:
    """Do what logging a large file cannot do without."""
    hasher = blake3()
    with source.open("rb", buffering=0) as reader, target.open("wb", buffering=0) as writer:
        while data := reader.read(1 << 20):
            hasher.update(data)
            writer.write(data)
        os.fsync(writer.fileno())
