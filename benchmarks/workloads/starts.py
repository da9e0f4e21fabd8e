"""How long it takes until anything can be done."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
from collections.abc import Iterator

from measure import Figure

_BARE = "import sqlite3, json, dataclasses, pathlib, enum, re, datetime, contextlib, shutil, blake3"


def imports(rounds: int) -> Iterator[Figure]:
    """Time the import and the start of the command line, in CPU milliseconds."""
    programs = {
        "import lineage": ("-c", "import lineage"),
        "lineage --version": ("-m", "lineage", "--version"),
        "floor": ("-c", _BARE),
        "nothing": ("-c", "pass"),
    }
    taken: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, program in programs.items():
            taken[name].append(_cpu_of(*program))
    medians = {name: statistics.median(times) for name, times in taken.items()}
    for name in ("import lineage", "lineage --version"):
        note = f"CPU; python -c pass {medians['nothing']:.0f} ms"
        yield Figure(name, medians[name], medians["floor"], "stdlib core + blake3", 1, note)


def _cpu_of(*arguments: str) -> float:
    """Return the CPU milliseconds of a Python program as a whole process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000
