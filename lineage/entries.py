"""Entries of versions that a draft takes over: each is checked whole, as one can be made by hand."""

from __future__ import annotations

from urllib.parse import quote

from lineage.errors import ErrorKind, InvalidInputError
from lineage.jsondata import JsonObject, plain_object
from lineage.records import Entry
from lineage.references import check_parts
from lineage.values import MAX_PATH, MAX_WHOLE, Digest, entry_path, is_uri, label, shown


def taken_over(entry: Entry) -> Entry:
    """Return an entry of a version as an entry of a draft."""
    if not isinstance(entry, Entry):
        message = f"{shown(entry)} is no entry; version.files() gives some"
        raise InvalidInputError(message, kind=ErrorKind.SOURCE_INVALID)
    path = entry_path(entry.path)
    if not entry.stored:
        return _checked_reference(entry, path)
    uri = None if entry.uri is None else _checked_uri(entry)
    return Entry(path, Digest.parse(entry.digest), _checked_size(entry), uri, stored=True, extra=_checked_extra(entry))


def shared(entry: Entry, name: str | None) -> Entry:
    """Return an entry that shares the bytes of another version's, and says whose they are."""
    path = entry_path(entry.path if name is None else name)
    if not entry.stored:
        return _checked_reference(entry, path)
    if entry.version is None:
        message = f"{entry.path!r} is an entry of a draft: log the draft first, or add the file itself"
        raise InvalidInputError(message, kind=ErrorKind.SOURCE_INVALID)
    origin = "lineage:" + quote(f"{label(entry.version, 'version of an entry')}/{entry_path(entry.path)}")
    return Entry(path, Digest.parse(entry.digest), _checked_size(entry), origin, stored=True)


def _checked_reference(entry: Entry, path: str) -> Entry:
    """Return a reference, at a path, if its columns can be stored: an entry can be made by hand."""
    digest = None if entry.digest is None else label(entry.digest, f"digest of {entry.path!r}", longest=MAX_PATH)
    return Entry(path, digest, _checked_size(entry), _checked_uri(entry), stored=False, extra=_checked_extra(entry))


def _checked_extra(entry: Entry) -> JsonObject:
    return plain_object(entry.extra, f"extra of {entry.path!r}") if entry.extra != {} else {}


def _checked_uri(entry: Entry) -> str:
    if not is_uri(entry.uri):
        message = f"{entry.path!r}: {shown(entry.uri)} is no URI: an entry has stored bytes or a URI"
        raise InvalidInputError(message, kind=ErrorKind.SOURCE_INVALID)
    check_parts(entry.uri or "")
    return entry.uri or ""


def _checked_size(entry: Entry) -> int | None:
    size = entry.size
    if (size is not None or entry.stored) and (type(size) is not int or not 0 <= size <= MAX_WHOLE):
        message = f"size {shown(size)} of {entry.path!r}: give a number of bytes, or None for a URI of unknown size"
        raise InvalidInputError(message, kind=ErrorKind.SOURCE_INVALID)
    return size
