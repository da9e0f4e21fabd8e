"""dvc on the command line: add a file or folder, add it again, check it out; the start of the command is in it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from peer import command, figures, make_files, make_large_file, median, report, timed


def _repository() -> None:
    command("dvc", "init", "--no-scm", "-q")()
    command("dvc", "config", "cache.type", "copy")()


def large_file(size: int, home: Path) -> dict[str, float]:
    """Add one file."""
    _repository()
    make_large_file(home / "large.bin", size)
    return {"log one large file": timed(command("dvc", "add", "-q", "large.bin"))}


def many_files(size: int, home: Path) -> dict[str, float]:
    """Add a folder, add it again, check it out."""
    _repository()
    make_files(home / "source", size)
    add, checkout = command("dvc", "add", "-q", "source"), command("dvc", "checkout", "-q", "source")
    found = {"log small files": timed(add), "log them again": median(timed(add) for _ in range(3))}
    shutil.rmtree(home / "source")
    return {**found, "download small files": timed(checkout), "download them again": timed(checkout)}


if __name__ == "__main__":
    report(figures({"large-file": large_file, "many-files": many_files}, sys.argv))
