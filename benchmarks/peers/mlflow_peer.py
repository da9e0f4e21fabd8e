"""mlflow with its SQLite store and a local folder of artifacts."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import mlflow
from peer import figures, make_files, make_large_file, median, report, timed


def _use(home: Path) -> None:
    logging.disable(logging.CRITICAL)
    mlflow.set_tracking_uri(f"sqlite:///{home}/mlflow.db")
    mlflow.create_experiment("bench", artifact_location=(home / "artifacts").as_uri())
    mlflow.set_experiment("bench")


def small_run(count: int, home: Path) -> dict[str, float]:
    """Start, ten parameters, one artifact, finish; it knows no inputs."""
    _use(home)

    def one(number: int) -> None:
        with mlflow.start_run():
            mlflow.log_params({f"key{key}": key * 0.1 for key in range(10)})
            mlflow.log_text(f"{number:099d}", "f")

    return {"small run": median(timed(one, number) for number in range(min(count, 50)))}


def large_file(size: int, home: Path) -> dict[str, float]:
    """Log one file."""
    _use(home)
    make_large_file(home / "large.bin", size)
    with mlflow.start_run():
        return {"log one large file": timed(mlflow.log_artifact, str(home / "large.bin"))}


def many_files(size: int, home: Path) -> dict[str, float]:
    """Log a folder, log it again, download it."""
    _use(home)
    make_files(home / "source", size)
    with mlflow.start_run() as run:
        first = timed(mlflow.log_artifacts, str(home / "source"), "many")
    with mlflow.start_run():
        again = timed(mlflow.log_artifacts, str(home / "source"), "many")
    uri = f"runs:/{run.info.run_id}/many"
    (home / "out").mkdir()
    down = timed(lambda: mlflow.artifacts.download_artifacts(uri, dst_path=str(home / "out")))
    return {"log small files": first, "log them again": again, "download small files": down}


if __name__ == "__main__":
    report(figures({"small-run": small_run, "large-file": large_file, "many-files": many_files}, sys.argv))
