"""Standing in for ``wandb`` in programs that import it by name and cannot be edited."""

from __future__ import annotations

import pkgutil
import sys
from importlib import import_module
from types import ModuleType

from lineage.wandb.errors import UsageError

_OWN = "lineage.wandb"
_ALIASES = {"wandb.wandb_run": f"{_OWN}.sdk.wandb_run", "wandb.errors.errors": f"{_OWN}.errors"}
"""W&B's older paths of what lies elsewhere now."""


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
