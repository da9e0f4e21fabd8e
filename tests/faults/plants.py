"""Bugs to plant: each is a patched copy of a function of the library, which a check must catch.

A check that cannot fail shows nothing. Modules named ``plants_*.py`` hold the bugs, as functions marked with
``@plant("module:attribute")`` that take what stands there and return what stands there instead. In this process they
are planted by ``with planted(bug):``; a process of a test plants what the environment names.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from typing import Any

VARIABLE = "LINEAGE_PLANTED_BUG"


@dataclass(frozen=True)
class Bug:
    """One bug: where it goes, and what it makes of what is there."""

    name: str
    home: str
    module: str
    attribute: str
    make: Callable[[Any], Any]

    def place(self) -> tuple[Any, str]:
        """Return the object that holds the function, and the function's name there."""
        *way, last = self.attribute.split(".")
        return reduce(getattr, way, importlib.import_module(self.module)), last

    @property
    def environment(self) -> dict[str, str]:
        """What a process that shall have the bug finds in its environment."""
        return {VARIABLE: f"{self.home}:{self.name}"}


def plant(where: str) -> Callable[[Callable[[Any], Any]], Bug]:
    """Make a function a bug that is planted at ``module:attribute``."""
    module, _, attribute = where.partition(":")

    def named(make: Callable[[Any], Any]) -> Bug:
        return Bug(make.__name__, make.__module__, module, attribute, make)

    return named


@contextmanager
def planted(bug: Bug | None) -> Iterator[None]:
    """Have the library with a bug in it, in this process; with None, as it is."""
    if bug is None:
        yield
        return
    holder, name = bug.place()
    kept = holder.__dict__[name] if isinstance(holder, type) else getattr(holder, name)
    setattr(holder, name, bug.make(kept))
    try:
        yield
    finally:
        setattr(holder, name, kept)


def plant_what_the_environment_names() -> None:
    """Plant a bug for good: the first call of a process that a test starts."""
    wanted = os.environ.get(VARIABLE)
    if wanted:
        home, _, name = wanted.partition(":")
        bug: Bug = getattr(importlib.import_module(home), name)
        holder, last = bug.place()
        setattr(holder, last, bug.make(holder.__dict__[last] if isinstance(holder, type) else getattr(holder, last)))
