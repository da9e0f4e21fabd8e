"""Where operations are disturbed: what is made ready once and serves all cases of a module."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from aftermath import Course, undisturbed
from nursery import Nursery, memory_folder
from plants import Bug
from programs import EVERY
from record import Call, Recorder


@dataclass
class Yard:
    """Courses, records and nurseries, each made when it is first asked for.

    Attributes:
        folder: Where all of it lies.
    """

    folder: Path
    _courses: dict[str, Course] = field(default_factory=dict)
    _recorders: dict[str, Recorder] = field(default_factory=dict)
    _records: dict[tuple[str, str], tuple[Path, list[Call]]] = field(default_factory=dict)
    _nurseries: dict[tuple[str, ...], Nursery] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=count)

    def new(self, word: str) -> Path:
        """Return a path where nothing is yet."""
        return self.folder / f"{word}{next(self._numbers)}"

    def course(self, operation: str) -> Course:
        """Return what an operation does when nobody disturbs it."""
        if operation not in self._courses:
            self._courses[operation] = undisturbed(EVERY[operation], self.new("course"))
        return self._courses[operation]

    def record(self, operation: str, bug: Bug | None = None) -> tuple[Path, list[Call]]:
        """Return the calls of an operation that nobody disturbs, and the folder it was done in."""
        key = operation, _name(bug)
        if key not in self._records:
            self._records[key] = self.record_in(operation, self.course(operation).ready, bug)
        return self._records[key]

    def record_in(self, operation: str, ready: Path, bug: Bug | None = None) -> tuple[Path, list[Call]]:
        """Return the same of an operation on a copy of this folder."""
        if _name(bug) not in self._recorders:
            self._recorders[_name(bug)] = Recorder(self.new("recorder"), bug=bug)
        folder = Path(shutil.copytree(ready, self.new("recorded")))
        return folder, self._recorders[_name(bug)].record(operation, folder)

    def nursery(self, strace: Sequence[str] = (), bug: Bug | None = None) -> Nursery:
        """Return a process that forks children, under strace if words of it are given."""
        key = (*strace, _name(bug))
        if key in self._nurseries and self._nurseries[key].busy:
            self._nurseries.pop(key).close()
        if key not in self._nurseries:
            self._nurseries[key] = Nursery(self.new("nursery"), strace=strace, bug=bug)
        return self._nurseries[key]

    def close(self) -> None:
        """End the processes, all at once: each takes a while."""
        nurseries = [*self._nurseries.values(), *(one.nursery for one in self._recorders.values())]
        for nursery in nurseries:
            nursery.dismiss()
        for nursery in nurseries:
            nursery.close()


def _name(bug: Bug | None) -> str:
    return bug.name if bug is not None else ""


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """A folder in memory for the whole module."""
    with memory_folder(tmp_path_factory.mktemp("yard")) as folder:
        made = Yard(Path(folder))
        yield made
        made.close()


def sample(dice: random.Random, points: Sequence[Call], most: int) -> list[Call]:
    """Return some of the calls, of each name as many as of the others, as far as there are any."""
    ranks: dict[str, int] = {}
    order = []
    for place, call in enumerate(dice.sample(points, len(points))):
        ranks[call.name] = ranks.get(call.name, 0) + 1
        order.append((ranks[call.name], place, call))
    return [call for *_, call in sorted(order, key=lambda one: one[:2])[:most]]
