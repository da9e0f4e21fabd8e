"""What a conformance case is, and how its outcome is put into words that two packages can be compared by."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final


@dataclass(frozen=True)
class Raises:
    """What a script can catch: the name of a class, or of a base, and a part of the message it may match on."""

    error: str
    match: str = ""


SAME: Final = object()


@dataclass(frozen=True)
class Case:
    """One question to both packages.

    Attributes:
        rule: The part of the written rules that it belongs to.
        name: What it is about.
        ask: Takes the package and a folder, and returns plain data or raises.
        expected: What comes back.
        theirs: What W&B's package answers where it differs.
        reason: Why it differs.
        needs: A package that W&B's needs for it.
    """

    rule: str
    name: str
    ask: Callable[[Any, Path], object]
    expected: object
    theirs: object = SAME
    reason: str = ""
    needs: str = ""

    @property
    def id(self) -> str:
        """The name of its test."""
        return f"{self.rule} {self.name}".replace(" ", "-").replace("/", "_")

    @property
    def of_wandb(self) -> object:
        """What W&B's package answers."""
        return self.expected if self.theirs is SAME else self.theirs


def outcome(case: Case, package: Any, folder: Path, expected: object) -> object:
    """Return what a package answers, in the words of `expected`: an error fits by any of its bases."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return case.ask(package, folder)
    except Exception as error:  # noqa: BLE001 (whatever comes is the answer)
        names = [kind.__name__ for kind in type(error).__mro__]
        if isinstance(expected, Raises) and expected.error in names and expected.match in str(error):
            return expected
        return Raises(names[0], str(error))


def file(folder: Path, name: str = "f.txt", text: str = "one") -> str:
    """Write a file and return its path."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return str(path)


def draft(package: Any, files: dict[str, str] | None = None, **words: Any) -> Any:
    """Return a draft of given files."""
    artifact = package.Artifact("a", "dataset", **words)
    for path, text in (files or {}).items():
        with artifact.new_file(path) as target:
            target.write(text)
    return artifact


def caught(call: Callable[[], object]) -> str:
    """Return the name of what a call raises, or nothing; for cases that go on afterwards."""
    try:
        call()
    except Exception as error:  # noqa: BLE001 (whatever comes is the answer)
        return next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _CATCHABLE)
    return ""


_CATCHABLE: Final = frozenset(
    {
        "ArtifactNotLoggedError",
        "ArtifactFinalizedError",
        "ConfigError",
        "UsageError",
        "CommError",
        "Error",
        "FileNotFoundError",
        "KeyError",
        "TypeError",
        "AttributeError",
        "ValueError",
        "OSError",
        "Exception",
    }
)
