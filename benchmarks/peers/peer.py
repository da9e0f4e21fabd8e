"""What the peers' programs share; it needs nothing but the standard library."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

Measure = Callable[[int, Path], dict[str, float]]


def figures(measures: dict[str, Measure], arguments: Sequence[str]) -> dict[str, float]:
    """Run the workload that the command line names: workload, size, folder."""
    return measures[arguments[1]](int(arguments[2]), Path(arguments[3]))


def report(found: dict[str, float]) -> None:
    """Print the figures as the last line."""
    print("\n" + json.dumps(found))


def timed(work: Callable[..., object], *arguments: object) -> float:
    """Return the milliseconds a call takes."""
    start = time.perf_counter()
    work(*arguments)
    return (time.perf_counter() - start) * 1000


def median(times: Iterable[float]) -> float:
    """Return the median."""
    return statistics.median(times)


def command(*words: str | Path) -> Callable[[], object]:
    """Return a call that runs a command."""
    return lambda: subprocess.run([str(word) for word in words], check=True, capture_output=True)


def make_files(source: Path, count: int) -> None:
    """Make the folder that ours logs."""
    for number in range(count):
        path = source / f"{number % 100:02d}" / f"{number}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(10_000))


def make_large_file(path: Path, mebibytes: int) -> None:
    """Make the file that ours logs."""
    with path.open("wb") as file:
        for _ in range(mebibytes):
            file.write(os.urandom(1 << 20))
