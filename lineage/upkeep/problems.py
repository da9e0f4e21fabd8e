"""What ``verify`` can find: the kinds of problems, and one problem."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias

from lineage.errors import BusyError, StateError

Severity: TypeAlias = Literal["error", "warning"]


class ProblemKind(StrEnum):
    """What is wrong, as a stable word for machines; only ever added to."""

    DATABASE = "database"
    FOREIGN_KEY = "foreign-key"
    NUMBERING = "numbering"
    UID = "uid"
    NAME = "name"
    DELETION = "deletion"
    ALIAS_TARGET = "alias-target"
    ALIAS_HISTORY = "alias-history"
    LATEST_MISSING = "latest-missing"
    JSON = "json"
    PART_DIGEST = "part-digest"
    MANIFEST_DIGEST = "manifest-digest"
    MANIFEST_COUNTS = "manifest-counts"
    PATH = "path"
    PATH_ORDER = "path-order"
    PATH_CLASH = "path-clash"
    PORTABLE_NAMES = "portable-names"
    OWN_INPUT = "own-input"
    CYCLE = "cycle"
    LINK = "link"
    FOREIGN_VERSION = "foreign-version"
    BYTES_DAMAGED = "bytes-damaged"
    BYTES_MISSING = "bytes-missing"
    BYTES_SIZE = "bytes-size"
    BYTES_REPLACED = "bytes-replaced"
    BYTES_UNREADABLE = "bytes-unreadable"
    BYTES_WRITABLE = "bytes-writable"
    STRAY_FILE = "stray-file"
    FOREIGN_FILE = "foreign-file"
    BLOB_FOLDER = "blob-folder"
    SEAL = "seal"
    OLDER_FILE = "older-file"
    OLDER_BLOBS = "older-blobs"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        kind: What.
        subject: The thing: a reference, an artifact, a run id, a digest, a path.
        message: A sentence for people.
        versions: References of the live versions it touches.
        severity: ``"warning"`` where nothing is lost and every version can be had.
    """

    kind: ProblemKind
    subject: str
    message: str
    versions: tuple[str, ...] = ()
    severity: Severity = "error"


def guarded(kind: ProblemKind, what: str, look: Callable[[], Iterable[Problem]]) -> Iterator[Problem]:
    """Yield the problems `look` finds; that it could not go on is one more.

    Rows of a damaged file hold anything, so whatever a check stumbles over is taken for damage. That is never
    silent: it is an error in the report.

    Raises:
        BusyError: Others hold a lock: that says nothing about what is looked at.
    """
    try:
        yield from look()
    except (BusyError, StateError):
        raise
    except Exception as error:  # noqa: BLE001 (see above)
        yield Problem(kind, what, f"{what} cannot be looked at: {type(error).__name__}: {error}")
