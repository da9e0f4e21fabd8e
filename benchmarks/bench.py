"""Measure lineage beside the floor, the same bytes or rows with nothing of ours in between, and beside its peers.

``python benchmarks/bench.py`` runs all workloads, ``python benchmarks/bench.py small-run chain`` some. Ours and the
floor take turns and each figure is a median, so that a machine whose speed drifts drifts for both; what counts is
the ratio. ``--scale 0.1`` makes everything a tenth as large, ``--size many-files=5000`` one of them so large.
``--curve`` runs each at an eighth, a quarter, half and all of its size and prints the exponent that fits.
``--peers`` adds the peers that ``--install-peers NAME`` has put into environments of their own.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import platform
import resource
import sqlite3
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

import peers
from measure import Figure, exponent
from tabulate import tabulate
from workloads import WORKLOADS

import lineage

_HEADS = ["workload", "size", "ms", "floor ms", "ratio", "floor", "note"]


def main() -> None:
    """Run the workloads asked for and print the table."""
    options = _options()
    if options.install_peers:
        peers.install(options.install_peers)
        return
    sizes = {name: max(1, int(size * options.scale)) for name, (_, size, _) in WORKLOADS.items()}
    sizes |= dict(options.size)
    names = options.workload or list(WORKLOADS)
    machine = _machine()
    logging.getLogger("lineage").setLevel(logging.ERROR)  # content that is logged again is the point
    print(machine, end="\n\n")
    measured = {name: _measure(name, sizes[name]) for name in names}
    figures = [figure for found, _ in measured.values() for figure in found]
    rows = [(one.name, one.size, one.ours, one.floor, one.ratio, one.floor_is, one.note) for one in figures]
    print(tabulate(rows, _HEADS, floatfmt=".3g"))
    memory = {name: peak for name, (_, peak) in measured.items()}
    print("\npeak memory of each, floors and their data included, MB: ", end="")
    print(", ".join(f"{name} {peak:.0f}" for name, peak in memory.items()))
    document: dict[str, object] = {"machine": machine, "figures": [asdict(one) for one in figures], "memory": memory}
    if options.peers:
        document["peers"] = _print_peers(figures, names, sizes)
    if options.curve:
        document["exponents"] = _print_curves(names, sizes, figures)
    if options.json:
        options.json.write_text(json.dumps(document, indent=2) + "\n")


def _measure(name: str, size: int) -> tuple[list[Figure], float]:
    """Run a workload in a process of its own; return its figures and the most memory it held, in MB."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        return pool.submit(_measured, name, size).result()


def _measured(name: str, size: int) -> tuple[list[Figure], float]:
    figures = list(WORKLOADS[name][0](size))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return figures, peak / (1e6 if sys.platform == "darwin" else 1e3)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload", nargs="*", help=f"any of {', '.join(WORKLOADS)}; all if none is named")
    parser.add_argument("--scale", type=float, default=1.0, help="size of everything, 1 by default")
    parser.add_argument("--size", type=_size, action="append", default=[], help="of one workload, as NAME=NUMBER")
    parser.add_argument("--curve", action="store_true", help="also at smaller sizes, with the exponent")
    parser.add_argument("--peers", action="store_true", help="also the peers that are installed")
    parser.add_argument("--install-peers", nargs="+", choices=sorted(peers.PEERS), help="install some, and end")
    parser.add_argument("--json", type=Path, help="also write everything to this file")
    options = parser.parse_args()
    unknown = {*options.workload, *dict(options.size)} - WORKLOADS.keys()
    if unknown:
        parser.error(f"no workload {', '.join(sorted(unknown))}")
    return options


def _size(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    return name, int(number)


def _machine() -> str:
    """Return date, machine and versions."""
    versions = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, lineage {lineage.__version__}"
    load = os.getloadavg()[0]
    return f"{time.strftime('%Y-%m-%d')}, {platform.platform()}, {os.cpu_count()} cores, load {load:.1f}, {versions}"


def _print_peers(figures: list[Figure], names: list[str], sizes: dict[str, int]) -> list[dict[str, object]]:
    ours = {one.name: one.ours for one in figures}
    found = [one for name in names for one in peers.measure(name, sizes[name])]
    rows = [(one.name, one.peer, one.taken, one.taken / ours[one.name]) for one in found if one.name in ours]
    print("\n" + tabulate(rows, ["workload", "peer", "ms", "times ours"], floatfmt=".3g"))
    return [asdict(one) for one in found]


def _print_curves(names: list[str], sizes: dict[str, int], figures: list[Figure]) -> dict[str, float]:
    points: dict[str, list[tuple[int, float]]] = {}
    for name in (name for name in names if name != "imports"):
        for part in (8, 4, 2):
            size = max(1, sizes[name] // part)
            for one in _measure(name, size)[0]:
                points.setdefault(one.name, []).append((size, one.ours))
    last = {one.name: one for one in figures}
    found = {}
    for name, curve in points.items():
        curve.append((curve[-1][0] * 2, last[name].ours))
        found[name] = exponent(curve)
    rows = [(name, *(taken for _, taken in points[name]), value) for name, value in found.items()]
    print("\n" + tabulate(rows, ["workload", "1/8", "1/4", "1/2", "all, ms", "exponent"], floatfmt=".3g"))
    return found


if __name__ == "__main__":
    main()
