"""Standing in for ``wandb`` in programs that import it by name and cannot be edited."""

from __future__ import annotations

import atexit
import os
import pkgutil
import shutil
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from types import ModuleType

from lineage.wandb.errors import UsageError

_OWN = "lineage.wandb"
_ALIASES = {"wandb.wandb_run": f"{_OWN}.sdk.wandb_run", "wandb.errors.errors": f"{_OWN}.errors"}
"""W&B's older paths of what lies elsewhere now."""


_STAND_IN = """import sys

del sys.modules["wandb"]
from lineage.wandb.install import install

install()
"""


def install() -> ModuleType:
    """Let ``import wandb``, and any dotted module below it, give this face from now on, and return it.

    A second call changes nothing. It must come before anything imports W&B itself.

    Raises:
        UsageError: W&B itself was imported already.
    """
    face = import_module(_OWN)
    there = sys.modules.get("wandb")
    if there is face:
        return face
    if there is not None:
        message = "call lineage.wandb.install() before the first import of wandb"
        raise UsageError(f"wandb itself is imported already, from {getattr(there, '__file__', None)!r}: {message}")
    names = [_OWN, *(found.name for found in pkgutil.walk_packages(face.__path__, f"{_OWN}."))]
    for name in names:
        if not name.endswith("__main__"):
            sys.modules["wandb" + name.removeprefix(_OWN)] = import_module(name)
    for alias, name in _ALIASES.items():
        sys.modules[alias] = import_module(name)
    return face


def install_for_children() -> None:
    """Let the processes that this one starts have the face, too: without it they would import W&B itself.

    They find a module ``wandb`` that installs the face, in a folder that goes when this process ends.
    """
    folder, owner = tempfile.mkdtemp(prefix="lineage-wandb-"), os.getpid()
    Path(folder, "wandb.py").write_text(_STAND_IN, "utf-8")
    sys.path.insert(0, folder)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (folder, os.environ.get("PYTHONPATH"))))
    atexit.register(_remove, folder, owner)


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # a forked child ends before its parent
        shutil.rmtree(folder, ignore_errors=True)
