"""The peers: each in an environment of its own under the user's cache folder, measured by a program of its own.

Nothing is installed unless ``--install-peers`` is said: mlflow alone takes minutes. A peer's program is started with
its environment's Python, the workload, the size and an empty folder, and prints milliseconds by the names of figures.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PEERS: Final = {
    "ml-metadata": ("small-run", "chain"),
    "mlflow": ("small-run", "large-file", "many-files"),
    "dvc": ("large-file", "many-files"),
    "trackio": ("small-run",),
    "wandb": ("small-run", "large-file", "many-files"),
    "lamindb": ("large-file", "many-files"),
}
"""What each can be asked to do."""


@dataclass(frozen=True, slots=True)
class PeerFigure:
    """What a peer took for the work of the figure of the same name, in milliseconds."""

    name: str
    peer: str
    taken: float


def install(names: list[str]) -> None:
    """Make environments and install peers into them."""
    for name in names:
        subprocess.run([sys.executable, "-m", "venv", _home() / name], check=True)
        subprocess.run([_python(name), "-m", "pip", "install", "-q", name], check=True)


def measure(workload: str, size: int) -> Iterator[PeerFigure]:
    """Yield the figures of the installed peers that can do a workload."""
    for name, workloads in PEERS.items():
        if workload in workloads and _python(name).exists():
            yield from _measured(name, workload, size)


def _measured(name: str, workload: str, size: int) -> Iterator[PeerFigure]:
    program = Path(__file__).with_name(f"{name.replace('-', '_')}_peer.py")
    with tempfile.TemporaryDirectory(prefix="lineage-peer-") as folder:
        command = [str(_python(name)), str(program), workload, str(size), folder]
        quiet = os.environ | {
            "PATH": f"{_home() / name / 'bin'}:{os.environ['PATH']}",
            "DVC_NO_ANALYTICS": "1",
            "LAMIN_SETTINGS_DIR": folder,
        }
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder, env=quiet)
    if done.returncode:
        print(f"{name}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return
    for figure, taken in json.loads(done.stdout.splitlines()[-1]).items():
        yield PeerFigure(figure, name, taken)


def _home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lineage-benchmarks"


def _python(name: str) -> Path:
    return _home() / name / "bin" / "python"
