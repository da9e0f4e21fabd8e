"""One file for a colleague: packing beside tar, what the packed file answers, and merging it."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from measure import Figure, draft, folder, in_turns, make_large_file, milliseconds

import lineage


def packing(size: int) -> Iterator[Figure]:
    """Time packing a file of that many MiB, ten of a twentieth and as many of 1 MiB as half of it holds."""
    with folder() as home:
        source = home / "source"
        source.mkdir()
        for number, one in enumerate([size, *[max(1, size // 20)] * 10, *[1] * max(5, size // 2)]):
            make_large_file(source / f"{number}.bin", one << 20)
        project = lineage.open(home / "p.lineage")
        project.log_artifact(source, "data", "dataset")
        share, tar = home / "share.lineage", home / "t.tar"
        packed, archived = _over(lambda: project.pack(share, overwrite=True), lambda: _archive(tar, source))
        yield Figure("pack", packed, archived, "tar + fsync (hashes nothing)", size, "a file and as much in others")
        version = lineage.open(share).version("data")
        out, plain = home / "out", home / "plain"
        plain.mkdir()
        ours, floor = in_turns(lambda: _fresh(version, out), lambda: _tar("-xf", tar, "-C", plain), 3)
        yield Figure("download what is packed", ours, floor, "tar -x (verifies nothing)", size)
        ours, floor = in_turns(lambda: _read_all(share), lambda: _tar("-xOf", tar), 3)
        yield Figure("read what is packed", ours, floor, "tar -xO to /dev/null", size)
        yield from _asking(share, source / "0.bin")
        yield Figure("verify it", milliseconds(lineage.open(share).verify), None, "", size)


def _over(ours: Callable[[], object], floor: Callable[[], object]) -> tuple[float, float]:
    """Return medians of calls that write over their last result: to make room on a disk costs more than all else."""
    for _ in range(2):
        ours()
        floor()
    return in_turns(ours, floor, 5)


def _archive(tar: Path, source: Path) -> None:
    _tar("-cf", tar, "-C", source, ".")
    descriptor = os.open(tar, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _tar(*arguments: object) -> None:
    subprocess.run(["tar", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def _fresh(version: lineage.Version, target: Path) -> None:
    """Download anew; tar too removes what it writes over."""
    shutil.rmtree(target, ignore_errors=True)
    version.download(target)


def _read_all(share: Path) -> None:
    project = lineage.open(share)
    with project.snapshot():
        version = project.version("data")
        for entry in version.files():
            with version.open(entry.path) as file:
                while file.read(1 << 20):
                    pass


def _asking(share: Path, largest: Path) -> Iterator[Figure]:
    """Time opening a packed file with one question, and 64 KB anywhere in its largest content."""
    ours = statistics.median(milliseconds(lambda: lineage.open(share).version("data")) for _ in range(30))
    yield Figure("open it and ask", ours, None, "", 1, "beyond the import")
    size = largest.stat().st_size
    places = iter([int.from_bytes(os.urandom(8), "big") % max(1, size - 65_536) for _ in range(200)])
    with lineage.open(share).version("data").open(largest.name) as file, largest.open("rb", buffering=0) as plain:
        ours, floor = in_turns(lambda: _slice(file, next(places)), lambda: _slice(plain, next(places)), 100)
    yield Figure("64 KB anywhere in it", ours, floor, "seek + read of the file", size >> 20)


def _slice(file: IO[bytes], place: int) -> None:
    file.seek(place)
    file.read(65_536)


def merging(size: int) -> Iterator[Figure]:
    """Time merging a project of that many small versions into another one, and merging it again."""
    with folder() as home:
        projects = [lineage.open(home / f"{name}.lineage") for name in ("ours", "theirs")]
        for project in projects:
            with project.batch():
                for number in range(0, size, 10):
                    _ten_versions(project, number)
        file = projects[1].pack(home / "share.lineage").file
        yield Figure("rehearse a merge", milliseconds(lambda: projects[0].merge(file, dry_run=True)), None, "", size)
        yield Figure("merge", milliseconds(lambda: projects[0].merge(file)), None, "", size)
        yield Figure("merge again", milliseconds(lambda: projects[0].merge(file)), None, "", size, "all known")


def _ten_versions(project: lineage.Project, start: int) -> None:
    with project.start_run("step", use=[f"out{start % 100}"] if start >= 100 else []) as run:
        for number in range(start, start + 10):
            run.log_artifact(draft(f"out{number % 100}", f"{project.file.name} {number}".encode()))
