"""The seal of a packed file: one digest over every row, in an order that depends on the content alone.

Two people whose projects hold the same get the same digest, whoever packed, wherever, and however the rows were
numbered inside. schema/README.md has the rule, so that others can compute it too.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from itertools import islice
from typing import Final

from blake3 import blake3

from lineage.statements import portable
from lineage.statements.portable import Seal

_HEADER: Final = b"lineage seal 1\n"
_LINES_AT_ONCE: Final = 1_000
_line = json.JSONEncoder(separators=(",", ":")).encode
"""ASCII: the same text whatever characters a Python takes for printable."""


def compute_seal(connection: sqlite3.Connection) -> Seal:
    """Return the seal that the rows of a project come to; bytes count by their digests."""
    hasher = blake3(_HEADER)
    for table, rows in portable.canonical_rows(connection):
        hasher.update(f"{table}\n".encode())
        _add(hasher, rows)
    digest = hasher.hexdigest()
    _add(hasher, portable.identities(connection))
    _add(hasher, portable.outside_uses(connection))
    return Seal(digest, hasher.hexdigest())


def _add(hasher: blake3, rows: Iterable[tuple[object, ...]]) -> None:
    lines = map(_line, rows)
    while some := "\n".join(islice(lines, _LINES_AT_ONCE)):
        hasher.update(f"{some}\n".encode())


def broken_seal(connection: sqlite3.Connection) -> tuple[Seal | None, str | None]:
    """Return the seal of a file and why it does not hold, each None where there is none."""
    found = portable.seal(connection)
    if found is None:
        return None, None
    computed = compute_seal(connection)
    if computed == found:
        return found, None
    what = "what it holds" if computed.digest != found.digest else "ids, or what others do with it,"
    return found, f"it was sealed as {found.digest}, and {what} changed since without lineage"
