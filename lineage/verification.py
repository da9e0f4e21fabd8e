"""Verifying: every row against every other, every byte against its digest; what is wrong is named, not raised.

It reads only, a bounded amount at a time, and goes on after a problem. While it runs others may write: what was
deleted meanwhile is looked for again before it counts as missing.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from os import stat_result
from sqlite3 import Connection
from typing import Final, Literal, NamedTuple

from blake3 import blake3

from lineage.blobs import copy_hashed
from lineage.errors import BusyError, InvalidInputError, LineageError, StateError
from lineage.graph import Key, path_names
from lineage.jsondata import parse_object
from lineage.manifests import case_twins, folded, manifest_digest, part_digest
from lineage.records import Entry
from lineage.statements import checks, content
from lineage.statements import upkeep as upkeep_rows
from lineage.store import Store
from lineage.system import storage_errors
from lineage.upkeep import bounded, shards
from lineage.values import Digest, alias_name, artifact_name, entry_path, run_id

Progress = Callable[[int], None]
Check = Callable[[Connection], Iterable["Problem"]]

_UID: Final = re.compile(r"[0-9a-hjkmnp-tv-z]{26}", re.ASCII)
_BLOBS_AT_ONCE: Final = 1_000
_BYTES_AT_ONCE: Final = 64 << 20
_PARTS_AT_ONCE: Final = 200
"""What one read looks at: up to 50 ms in which no writer can commit."""
_SHOWN: Final = 5


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
    BYTES_DAMAGED = "bytes-damaged"
    BYTES_MISSING = "bytes-missing"
    BYTES_SIZE = "bytes-size"
    BYTES_REPLACED = "bytes-replaced"
    BYTES_UNREADABLE = "bytes-unreadable"
    BYTES_WRITABLE = "bytes-writable"
    STRAY_FILE = "stray-file"
    FOREIGN_FILE = "foreign-file"
    BLOB_FOLDER = "blob-folder"


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
    severity: Literal["error", "warning"] = "error"


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What ``verify`` found, and how much it looked at; runs, artifacts and versions count while not deleted."""

    problems: tuple[Problem, ...]
    runs: int
    artifacts: int
    versions: int
    blobs: int
    bytes: int

    @property
    def ok(self) -> bool:
        """Whether nothing but warnings was found."""
        return all(problem.severity == "warning" for problem in self.problems)


def verify(store: Store, *, content: bool = True, progress: Progress | None = None) -> VerifyReport:
    """Look at everything and report what is wrong; nothing is changed, and damage is not raised but reported.

    Args:
        store: What to verify.
        content: Read and hash all bytes; otherwise only whether they are there, in the right size.
        progress: Told the bytes read.

    Raises:
        BusyError: Another program holds the project file.
    """
    found = structure_problems(store)
    counts = _Counts()
    found += _guarded("the bytes", lambda: byte_problems(store, counts, content=content, progress=progress))
    found += _guarded("the blob folder", lambda: _folder_problems(store))
    live = _guarded("the rows", lambda: _live_counts(store, counts))
    return VerifyReport(tuple(found + live), *counts.rows, counts.blobs, counts.bytes)


@dataclass(slots=True)
class _Counts:
    """How much was looked at."""

    rows: tuple[int, int, int] = (0, 0, 0)
    blobs: int = 0
    bytes: int = 0
