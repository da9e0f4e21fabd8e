"""What media have in common: how they become files and JSON, and how they come back.

An artifact holds a media object as a JSON file, ``<name><suffix>``, beside the files that it names, all of them
paths inside that artifact. ``run.log`` keeps the same JSON as the metric's value, with the artifact's reference.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

from lineage.jsondata import JsonObject


class Sink(Protocol):
    """Where the files of a media object go: a draft."""

    def write(self, path: str, data: bytes) -> str:
        """Add bytes at a path and return their digest; the same bytes at the same path are fine."""

    def copy(self, path: str, local_path: str) -> str:
        """Add a copy of a local file at a path and return its digest."""


class Source(Protocol):
    """Where the files of a media object come from: a logged artifact."""

    def read(self, path: str) -> bytes:
        """Return the verified bytes of a file of the artifact; KeyError if there is none."""

    def fetch(self, path: str) -> Path:
        """Download a file of the artifact and return where it lies."""


class WBValue(ABC):
    """A value that is more than JSON; the base of what ``artifact.add`` and ``run.log`` take beside plain data.

    Attributes:
        log_type: The word that says in JSON what it is: its ``_type``.
        suffix: What its JSON file is called by, as in ``predictions.table.json``; empty where it is never a file.
        inline: Whether ``run.log`` keeps it as the metric's value, with no file and no artifact.
    """

    log_type: ClassVar[str]
    suffix: ClassVar[str] = ""
    inline: ClassVar[bool] = False

    @abstractmethod
    def to_json(self, sink: Sink) -> JsonObject:
        """Add the files it consists of, and return the JSON that names them, ``_type`` included."""

    @classmethod
    @abstractmethod
    def from_json(cls, data: dict[str, Any], source: Source) -> Self:
        """Return the object again from its JSON and its files."""
