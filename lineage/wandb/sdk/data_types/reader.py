"""Reading media that others wrote: their JSON may claim more than is there, unfold without end, or point to itself.

A file of an artifact is found by its bytes, and says nothing of who wrote them. So what is made of it is bounded by
what was read of it, and what goes wrong with it is one error that names it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import lineage
from lineage.wandb.errors import Error
from lineage.wandb.sdk.data_types.base import Source

T = TypeVar("T")

FREE_BYTES: Final = 1 << 30
"""What anything may unfold to in memory."""
UNFOLDING: Final = 1_000
"""How many times over a file may unfold beyond that; packing what people log saves a tenth of that at most."""
DEEPEST: Final = 32
"""Tables that point to tables, one in the other."""


class Reader:
    """A source that gives each table and each local file once, and counts what all of it unfolds to.

    Args:
        source: Where the files come from.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._left = FREE_BYTES
        self._read: set[str] = set()
        self._files: dict[str, Path] = {}
        self._made: dict[str, Any] = {}
        self._opening: set[str] = set()

    @classmethod
    def of(cls, source: Source) -> Reader:
        """Return the reader that a source is, or a new one of it."""
        return source if isinstance(source, cls) else cls(source)

    def read(self, path: str) -> bytes:
        """Return the verified bytes of a file of the artifact; KeyError if there is none."""
        data = self._source.read(path)
        if path not in self._read:
            self._read.add(path)
            self._left += UNFOLDING * len(data)
        self.charge(len(data))
        return data

    def fetch(self, path: str) -> Path:
        """Download a file of the artifact, if it was not yet, and return where it lies."""
        if path not in self._files:
            self._files[path] = self._source.fetch(path)
        return self._files[path]

    def once(self, path: str, make: Callable[[], T]) -> T:
        """Return what is made of a file, made the first time it is asked for.

        Raises:
            Error: It is being made already: it points to itself; or too many are, one in the other.
        """
        if path not in self._made:
            if path in self._opening:
                raise Error(f"{path!r} points to itself")
            if len(self._opening) >= DEEPEST:
                raise Error(f"tables that point to tables, more than {DEEPEST} deep")
            self._opening.add(path)
            try:
                self._made[path] = make()
            finally:
                self._opening.discard(path)
        made: T = self._made[path]
        return made

    def charge(self, size: int) -> None:
        """Count bytes that are about to be taken.

        Raises:
            Error: They are more than the files that were read can honestly hold.
        """
        self._left -= max(0, size)
        if self._left < 0:
            raise Error("it would unfold to far more than what was read of it; it is not read")


def parsed(text: bytes) -> dict[str, Any]:
    """Return the JSON of a media object.

    Raises:
        Error: It is no object that says what it is.
    """
    data = json.loads(text)
    if not isinstance(data, dict) or not isinstance(data.get("_type"), str):
        raise Error("not the JSON of a media object: it has no _type")
    return data


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Let whatever goes wrong while others' JSON is turned into objects be one error that names it.

    What lineage itself says of the bytes, such as that they are damaged, stays as it is.

    Raises:
        Error: It cannot be turned into what it says it is.
    """
    try:
        yield
    except Error as error:
        raise type(error)(f"{what}: {error}") from error
    except Exception as error:  # there is no end to what may be wrong with it
        if isinstance(error, lineage.LineageError) and not isinstance(error, lineage.InvalidInputError):
            raise
        reason = f"{type(error).__name__}: {error}"
        raise Error(f"{what} is not what it says it is ({reason:.200})") from error
