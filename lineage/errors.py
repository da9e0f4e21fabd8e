"""The errors of lineage: one class for each thing a caller can do about it.

::

    LineageError                         base of all; str(error) names the thing and says what to do
    ├── NotFoundError      (LookupError)  no such run, artifact, version, alias, path: ask differently
    ├── ConflictError                     the store's state forbids it: decide, then call again
    ├── CycleError                        the edge would close a cycle: leave it out
    ├── InvalidInputError  (ValueError)   a name, reference, path, value breaks a rule: fix the call
    ├── StateError                        a finished run, a logged draft: fix the order of calls
    ├── BusyError                         a lock was not to be had in time: retry later
    ├── ReadOnlyError                     a write on what can only be read: open it for writing
    ├── StorageError                      disk full, no permission, I/O failed: mend the place
    ├── CorruptionError                   bytes or rows are not what they were: verify, repair, restore
    └── FormatError                       not a project file, or one of a newer version: upgrade

No subclass is added until two callers would act differently. `kind` is finer, for machines: its values
are only ever added to.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Final


class ErrorKind(StrEnum):
    """What went wrong, as a stable word for machines; the command line prints it with ``--json``."""

    LINEAGE = "lineage-error"
    NOT_FOUND = "not-found"
    PROJECT_NOT_FOUND = "project-not-found"
    RUN_NOT_FOUND = "run-not-found"
    ARTIFACT_NOT_FOUND = "artifact-not-found"
    VERSION_NOT_FOUND = "version-not-found"
    ALIAS_NOT_FOUND = "alias-not-found"
    ENTRY_NOT_FOUND = "entry-not-found"
    VERSION_DELETED = "version-deleted"
    CONTENT_MISSING = "content-missing"
    CONTENT_LEFT_OUT = "content-left-out"
    CONFLICT = "conflict"
    NAME_TAKEN = "name-taken"
    ALIAS_PROTECTED = "alias-protected"
    ALIASES_BLOCK = "aliases-block"
    RUN_EXISTS = "run-exists"
    MERGE_REFUSED = "merge-refused"
    OLDER_FILE = "older-file"
    OLDER_BLOBS = "older-blobs"
    NETWORK_FILE_SYSTEM = "network-file-system"
    CYCLE = "cycle"
    INVALID_INPUT = "invalid-input"
    NAME_INVALID = "name-invalid"
    ALIAS_INVALID = "alias-invalid"
    TAG_INVALID = "tag-invalid"
    REFERENCE_INVALID = "reference-invalid"
    REFERENCE_AMBIGUOUS = "reference-ambiguous"
    PATH_INVALID = "path-invalid"
    DIGEST_INVALID = "digest-invalid"
    TYPE_CLASH = "type-clash"
    JSON_INVALID = "json-invalid"
    FILTER_INVALID = "filter-invalid"
    SQL_INVALID = "sql-invalid"
    SOURCE_INVALID = "source-invalid"
    SOURCE_CHANGED = "source-changed"
    STATE = "wrong-state"
    RUN_FINISHED = "run-finished"
    DRAFT_LOGGED = "draft-logged"
    BUSY = "busy"
    READ_ONLY = "read-only"
    STORAGE = "storage"
    REMOTE = "remote"
    CORRUPTION = "corruption"
    CONTENT_DAMAGED = "content-damaged"
    FORMAT = "format"
    NOT_A_PROJECT = "not-a-project"
    NEWER_FORMAT = "newer-format"


_LONGEST: Final = 4_000
"""Characters of a message: what a caller gave may be a megabyte, and a message repeats it."""
_END: Final = 1_000
"""Characters that its end keeps, which says why and what to do."""


class LineageError(Exception):
    """Base of every error that lineage raises.

    Attributes:
        kind: A stable word for machines, an :class:`ErrorKind`.

    Example:
        >>> try:
        ...     raise NotFoundError("no artifact 'iv3'", kind=ErrorKind.ARTIFACT_NOT_FOUND)
        ... except LineageError as error:
        ...     print(error.kind, "-", error)
        artifact-not-found - no artifact 'iv3'
    """

    default_kind: ClassVar[ErrorKind] = ErrorKind.LINEAGE
    kind: ErrorKind

    def __init__(self, message: str, *, kind: ErrorKind | None = None) -> None:
        if len(message) > _LONGEST:
            message = f"{message[: _LONGEST - _END]}…{message[-_END:]}"
        super().__init__(message)
        self.kind = kind or self.default_kind

    def __str__(self) -> str:
        """Return the sentence itself, also where a builtin parent such as KeyError would quote it."""
        return str(self.args[0])

    def __reduce__(self) -> tuple[object, ...]:
        """Survive pickling, so that an error crosses from a worker process whole."""
        return _rebuild, (type(self), str(self), self.__dict__.copy())


def _rebuild(cls: type[LineageError], message: str, attributes: dict[str, object]) -> LineageError:
    error = cls.__new__(cls)
    Exception.__init__(error, message)
    error.__dict__.update(attributes)
    return error


class NotFoundError(LineageError, LookupError):
    """There is no such project, run, artifact, version, alias or entry."""

    default_kind = ErrorKind.NOT_FOUND


class ConflictError(LineageError):
    """What the store holds forbids the call: a taken name, a protected alias, an alias on a version to delete."""

    default_kind = ErrorKind.CONFLICT


class CycleError(LineageError):
    """The edge would make a run or version its own ancestor.

    Attributes:
        cycle: The nodes of the cycle in order, run ids and version references; the first is not repeated.
    """

    default_kind = ErrorKind.CYCLE
    cycle: tuple[str, ...]

    def __init__(self, message: str, *, cycle: tuple[str, ...]) -> None:
        super().__init__(message)
        self.cycle = cycle


class InvalidInputError(LineageError, ValueError):
    """A name, alias, reference, path, filter, value or file breaks a rule; nothing was stored."""

    default_kind = ErrorKind.INVALID_INPUT


class StateError(LineageError):
    """The object is past the point where this call makes sense: a finished run, a logged draft."""

    default_kind = ErrorKind.STATE


class BusyError(LineageError):
    """A lock was not to be had within the time-out; the message names its holder."""

    default_kind = ErrorKind.BUSY


class ReadOnlyError(LineageError):
    """The project was opened for reading, or lies where nothing can be written."""

    default_kind = ErrorKind.READ_ONLY


class StorageError(LineageError):
    """The operating system or a remote server refused: disk full, no permission, I/O error."""

    default_kind = ErrorKind.STORAGE


class CorruptionError(LineageError):
    """Stored bytes do not have their digest, or rows contradict each other."""

    default_kind = ErrorKind.CORRUPTION


class FormatError(LineageError):
    """The file is not a project file, or was written by a newer lineage."""

    default_kind = ErrorKind.FORMAT
