"""The workloads, by name: what measures each, and the size it has where none is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from measure import Figure

from workloads import files, histories, portable, questions, runs, starts

Workload = Callable[[int], Iterator[Figure]]

WORKLOADS: Final[dict[str, tuple[Workload, int, str]]] = {
    "imports": (starts.imports, 9, "rounds"),
    "small-run": (runs.small_run, 200, "runs"),
    "writers": (runs.writers, 50, "runs a process"),
    "large-file": (files.large_file, 256, "MiB; 16 times as much is written"),
    "many-files": (files.many_files, 20_000, "files of 10 KB"),
    "entries": (files.entries, 200_000, "references"),
    "disk": (files.disk, 2_000, "files of 10 KB, 20 versions"),
    "chain": (questions.chain, 10_000, "runs, each using the output before and one hub"),
    "wide": (questions.wide, 10_000, "runs, each using three earlier outputs"),
    "history": (histories.history, 1_000_000, "edges, 50 inputs a run"),
    "deep-history": (histories.deep_history, 50_000, "runs with 20 inputs; 500,000 make a million nodes"),
    "filters": (questions.filters, 20_000, "runs"),
    "packing": (portable.packing, 1_024, "MiB in one file and as much in others"),
    "merging": (portable.merging, 5_000, "versions, ten a run"),
}
