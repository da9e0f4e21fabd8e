"""wandb offline: a run without inputs, as it cannot look them up; what it logs is copied and uploaded nowhere."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from peer import figures, make_files, make_large_file, median, report, timed


def _use(home: Path) -> None:
    folders = {"WANDB_DIR": home, "WANDB_CACHE_DIR": home / "cache", "WANDB_DATA_DIR": home / "data"}
    os.environ |= {name: str(path) for name, path in folders.items()}
    os.environ |= {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"}


def _log(path: Path | None, number: int) -> None:
    import wandb

    with wandb.init(project="bench", config={f"key{key}": key * 0.1 for key in range(10)}) as run:
        made = wandb.Artifact("made", type="dataset")
        if path is None:
            with made.new_file("f") as file:
                file.write(f"{number:099d}")
        elif path.is_dir():
            made.add_dir(str(path))
        else:
            made.add_file(str(path))
        run.log_artifact(made)


def small_run(count: int, home: Path) -> dict[str, float]:
    """Start, ten keys of config, one artifact, finish."""
    _use(home)
    return {"small run": median(timed(_log, None, number) for number in range(min(count, 20)))}


def large_file(size: int, home: Path) -> dict[str, float]:
    """Log one file."""
    _use(home)
    make_large_file(home / "large.bin", size)
    return {"log one large file": timed(_log, home / "large.bin", 0)}


def many_files(size: int, home: Path) -> dict[str, float]:
    """Log a folder, and log it again."""
    _use(home)
    make_files(home / "source", size)
    return {name: timed(_log, home / "source", 0) for name in ("log small files", "log them again")}


if __name__ == "__main__":
    report(figures({"small-run": small_run, "large-file": large_file, "many-files": many_files}, sys.argv))
