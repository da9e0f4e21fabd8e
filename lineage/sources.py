"""What can be logged in one call: a draft, a file, a folder or a URI."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TypeAlias, TypedDict

from lineage.artifact import Artifact
from lineage.errors import ErrorKind, InvalidInputError
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


def as_draft(  # noqa: PLR0913 (what log_artifact takes)
    source: Loggable,
    name: str | None,
    type: str | None,
    description: str | None,
    metadata: object,
    *,
    default: str,
) -> Artifact:
    """Return a draft of whatever is to be logged.

    Raises:
        InvalidInputError: It is neither a draft, nor a file, folder or URI; or a draft comes with words of its own.
    """
    if isinstance(source, Artifact):
        if not all(given is None for given in (name, type, description, metadata)):
            message = f"{source!r} has its own name, type, description and metadata; set them there"
            raise InvalidInputError(message)
        return source
    if isinstance(source, str) and is_uri(source):
        draft = Artifact(
            name or _safe_name(default + source.rpartition("/")[2]), type or "unspecified", description, metadata
        )
        draft.add_reference(source)
        return draft
    path = file_path(source, "Artifact and no path of a file or folder", kind=ErrorKind.SOURCE_INVALID)
    draft = Artifact(name or _safe_name(default + path.absolute().name), type or "unspecified", description, metadata)
    if os.path.isdir(path):  # noqa: PTH112 (pathlib's raises where a name is too long)
        draft.add_dir(path)
    else:
        draft.add_file(path)
    return draft


def _safe_name(text: str) -> str:
    """Return a name made of `text` that an artifact may bear."""
    return "".join(sign if sign.isascii() and (sign.isalnum() or sign in "_-.") else "_" for sign in text)[:MAX_NAME]
