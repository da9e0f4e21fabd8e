"""Media that are one file: kept under ``media/<kind>/<digest>.<extension>`` beside the JSON that names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Final

from blake3 import blake3

from lineage.jsondata import JsonObject
from lineage.wandb.sdk.data_types.base import Sink, WBValue

_NAME_DIGITS: Final = 20
_CHUNK: Final = 1 << 20


def digest_of(content: bytes | Path) -> str:
    """Return the BLAKE3 digest of bytes or of a file.

    Example:
        >>> digest_of(b"abc")[:16]
        '6437b3ac38465133'
    """
    if isinstance(content, bytes):
        return str(blake3(content).hexdigest())
    hasher = blake3()
    with content.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
    return str(hasher.hexdigest())


def store(sink: Sink, folder: str, content: bytes | Path, extension: str) -> JsonObject:
    """Add bytes, or a copy of a file, under a name made of their digest; return ``path``, ``digest`` and ``size``.

    Args:
        sink: Where the file goes.
        folder: The folder inside the artifact.
        content: What it holds.
        extension: The end of its name, without the dot; may be empty.
    """
    name = digest_of(content)[:_NAME_DIGITS]
    path = f"{folder}/{name}.{extension}" if extension else f"{folder}/{name}"
    if isinstance(content, bytes):
        return {"path": path, "digest": sink.write(path, content), "size": len(content)}
    return {"path": path, "digest": sink.copy(path, str(content)), "size": content.stat().st_size}


def existing(path: str | Path) -> Path:
    """Return the absolute path of a file, so that a later change of folder does no harm.

    Raises:
        FileNotFoundError: There is no such file.
    """
    found = Path(path).absolute()
    if not found.is_file():
        raise FileNotFoundError(2, "No such file or directory", str(path))
    return found


class FileMedia(WBValue):
    """Base of media that are one file, held as bytes or as the path of a file that is copied when it is stored.

    Two are equal when class, bytes and caption are.

    Attributes:
        folder: Where its files go inside an artifact.
        caption: What stands below it, or None.
    """

    folder: ClassVar[str]

    def __init__(self, content: bytes | Path, extension: str, caption: str | None = None) -> None:
        self._content = content
        self._extension = extension
        self.caption = caption

    def to_json(self, sink: Sink) -> JsonObject:
        """Add the file, and return the JSON that names it."""
        stored = store(sink, self.folder, self._content, self._extension)
        caption: JsonObject = {} if self.caption is None else {"caption": self.caption}
        return {"_type": self.log_type, **stored, **caption}

    def read(self) -> bytes:
        """Return the bytes of the file."""
        return self._content if isinstance(self._content, bytes) else self._content.read_bytes()

    def _same(self) -> tuple[Any, ...]:
        """Return what two equal ones have in common."""
        return (type(self), digest_of(self._content), self.caption)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FileMedia) and self._same() == other._same()

    def __hash__(self) -> int:
        return hash((type(self), self.caption))
