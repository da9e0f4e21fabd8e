"""Manifests: the sorted entries of a version, their digest, and the parts they are stored in.

A part begins where ``crc32(path) % 64 == 0``: one changed file touches one part of about 64 entries, so that a
million files with 100 changed cost 2.3 MB a version and not 106 (design.md, section 3). The digest is taken
over the flat listing and does not depend on where parts begin.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from zlib import crc32

from blake3 import blake3

from lineage.records import Entry
from lineage.values import Digest

_PART_LENGTH = 64
_quoted = json.encoder.encode_basestring_ascii
_MANIFEST_HEADER = b"lineage manifest 1\n"
_PART_HEADER = b"lineage part 1\n"
_LINES_AT_ONCE = 1_000
"""A million lines at once would be 150 MB; one by one, hashing takes twice as long."""


def manifest_digest(entries: Iterable[Entry]) -> Digest:
    """Return the digest of a listing sorted by path.

    It depends on the paths and on what lies there, and on nothing else: not on the artifact's type, its
    metadata, times, mode bits or the order of adding. A reference's URI counts, as it is what is stored.
    """
    return _digest(_MANIFEST_HEADER, entries)


def part_digest(entries: Iterable[Entry]) -> Digest:
    """Return the digest a part is known by."""
    return _digest(_PART_HEADER, entries)


def _digest(header: bytes, entries: Iterable[Entry]) -> Digest:
    hasher = blake3(header)
    lines = map(_line, entries)
    while some := "".join(islice(lines, _LINES_AT_ONCE)):
        hasher.update(some.encode())
    return Digest(hasher.hexdigest())


def _line(entry: Entry) -> str:
    """Return an entry's line of the canonical listing: a path holds no line break, so it can stand last."""
    if entry.uri is None:
        return f"{entry.digest} {entry.size} {entry.path}\n"
    digest = "null" if entry.digest is None else _quoted(entry.digest)
    extra = json.dumps(dict(entry.extra), sort_keys=True) if entry.extra else "{}"
    size = "null" if entry.size is None else entry.size
    # what json.dumps(..., sort_keys=True) gives, in a quarter of its time (tests/test_manifest_properties.py)
    return f'{{"digest": {digest}, "extra": {extra}, "size": {size}, "uri": {_quoted(entry.uri)}}} {entry.path}\n'


def split(entries: Sequence[Entry]) -> tuple[list[tuple[Digest, Sequence[Entry]]], Digest]:
    """Return the parts of a listing sorted by path, and the digest of the whole, from one look at each entry."""
    whole = blake3(_MANIFEST_HEADER)
    parts = []
    for start, end in _bounds(entries):
        part = entries[start:end]
        lines = "".join(map(_line, part)).encode()
        whole.update(lines)
        parts.append((Digest(blake3(_PART_HEADER + lines).hexdigest()), part))
    return parts, Digest(whole.hexdigest())


def _bounds(entries: Sequence[Entry]) -> Iterator[tuple[int, int]]:
    """Yield where parts begin and end."""
    start = 0
    for end in range(1, len(entries) + 1):
        if end == len(entries) or crc32(entries[end].path.encode()) % _PART_LENGTH == 0:
            yield start, end
            start = end


def folded(path: str) -> str:
    """Return the one path that a case-insensitive, normalising file system takes for this one and its twins."""
    if path.isascii():
        return path.lower()
    import unicodedata  # noqa: PLC0415 (verify only, and few paths; 4 ms)

    return unicodedata.normalize("NFC", path).casefold()


def case_twins(paths: Iterable[str]) -> list[tuple[str, str]]:
    """Return pairs of paths that a case-insensitive or normalising file system would take for one."""
    seen: dict[str, str] = {}
    twins = []
    for path in paths:
        key = folded(path)
        if (other := seen.setdefault(key, path)) != path:
            twins.append((other, path))
    return twins
