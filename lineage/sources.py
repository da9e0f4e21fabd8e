"""What can be logged in one call: a draft, a file, a folder or a URI."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias, TypedDict

from lineage.artifact import Artifact, let_go
from lineage.errors import ErrorKind, InvalidInputError
from lineage.references import has_file_name
from lineage.system import storage_errors
from lineage.values import MAX_NAME, file_path, is_uri

Loggable: TypeAlias = Artifact | str | os.PathLike[str]


class LogOptions(TypedDict, total=False):
    """What ``log_artifact`` takes by keyword, for the types of its two forms: only one of them can give None."""

    aliases: Iterable[str]
    tags: Iterable[str]
    description: str | None
    metadata: object
    force_new_version: bool
    progress: Callable[[int], None] | None


@contextmanager
def as_draft(  # noqa: PLR0913 (what log_artifact takes)
    source: Loggable,
    name: str | None,
    type: str | None,
    description: str | None,
    metadata: object,
    *,
    default: str,
) -> Iterator[Artifact]:
    """Give a draft of whatever is to be logged; one that is made here lets its staged bytes go with the block.

    Raises:
        InvalidInputError: It is neither a draft, nor a file, folder or URI; or a draft comes with words of its own.
    """
    if isinstance(source, Artifact):
        if not all(given is None for given in (name, type, description, metadata)):
            message = f"{source!r} has its own name, type, description and metadata; set them there"
            raise InvalidInputError(message)
        yield source
        return
    known = _safe_name(default + _last_part(source)) if name is None else name
    draft = Artifact(known, "unspecified" if type is None else type, description, metadata)
    try:
        _fill(draft, source)
        yield draft
    finally:
        let_go(draft)


def _last_part(source: str | os.PathLike[str]) -> str:
    """Return what a file, folder or URI is called."""
    if is_uri(source):
        return str(source).rpartition("/")[2]
    with storage_errors("cannot find the working folder"):
        return _path(source).absolute().name


def _path(source: object) -> Path:
    return file_path(source, "Artifact and no path of a file or folder", kind=ErrorKind.SOURCE_INVALID)


def _fill(draft: Artifact, source: str | os.PathLike[str]) -> None:
    if isinstance(source, str) and is_uri(source):
        draft.add_reference(source, None if has_file_name(source) else draft.name)
    elif os.path.isdir(_path(source)):  # noqa: PTH112 (pathlib's raises where a name is too long)
        draft.add_dir(source)
    else:
        draft.add_file(source)


def _safe_name(text: str) -> str:
    """Return a name made of `text` that an artifact may bear."""
    return "".join(sign if sign.isascii() and (sign.isalnum() or sign in "_-.") else "_" for sign in text)[:MAX_NAME]
