"""lamindb with SQLite and a local folder; a folder is one artifact there."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import ModuleType

from peer import command, figures, make_files, make_large_file, report, timed


def _use(home: Path) -> None:
    command(Path(sys.executable).with_name("lamin"), "init", "--storage", home / "storage", "--name", "bench")()


def _loaded() -> ModuleType:
    import lamindb
    import lamindb_setup

    lamindb_setup.settings.instance._is_on_hub = False  # noqa: SLF001 (otherwise it asks over the network)
    return lamindb


def _save(path: Path) -> None:
    _loaded().Artifact(str(path), key=path.name, description="made").save()


def large_file(size: int, home: Path) -> dict[str, float]:
    """Log one file."""
    _use(home)
    _loaded()  # its import is not what is timed
    make_large_file(home / "large.bin", size)
    return {"log one large file": timed(_save, home / "large.bin")}


def many_files(size: int, home: Path) -> dict[str, float]:
    """Log a folder, log it again, and copy it out."""
    _use(home)
    lamindb = _loaded()
    make_files(home / "source", size)
    found = {name: timed(_save, home / "source") for name in ("log small files", "log them again")}
    saved = lamindb.Artifact.get(key="source")
    found["download small files"] = timed(lambda: shutil.copytree(saved.cache(), home / "out"))
    return found


if __name__ == "__main__":
    report(figures({"large-file": large_file, "many-files": many_files}, sys.argv))
