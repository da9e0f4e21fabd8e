"""References: entries whose bytes lie elsewhere, by scheme.

``file:`` and ``http(s):`` are looked at when they are added and again when they are downloaded; any other
scheme is kept by its URI alone. Nothing stored is ever fetched except by a download the caller asks for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

from blake3 import blake3

from lineage.errors import CorruptionError, ErrorKind, InvalidInputError, StorageError
from lineage.records import Entry
from lineage.staging import Reader, copy_hashed
from lineage.system import open_source, walk_files
from lineage.values import entry_path, is_uri, shown

if TYPE_CHECKING:
    from http.client import HTTPResponse
    from urllib.request import OpenerDirector

_LENGTH: Final = re.compile("[0-9]{1,18}", re.ASCII)
_HTTP_TIMEOUT: Final = 60
"""Seconds without an answer after which a server counts as gone."""


def resolve(uri: str, name: str | None, *, checksum: bool) -> Iterator[Entry]:
    """Yield the entries that a URI stands for; a ``file:`` folder gives one for each file below it.

    Args:
        uri: What to refer to.
        name: Path inside the artifact; for a folder, the prefix of the paths.
        checksum: Look at the content; otherwise the URI alone is what counts.

    Raises:
        InvalidInputError: It is no URI, nothing lies there, or the scheme needs a name.
        StorageError: It cannot be read.
    """
    if not is_uri(uri):
        message = f"{shown(uri)} is no URI: give one with a scheme, such as 's3://bucket/data' or 'file:///data/train'"
        raise InvalidInputError(message, kind=ErrorKind.SOURCE_INVALID)
    if name is not None:
        name = entry_path(name)
    scheme = uri_parts(uri).scheme.lower()
    if scheme == "file":
        yield from _files(uri, name, checksum=checksum)
    elif scheme in ("http", "https") and checksum:
        yield _http(uri, name)
    else:
        if name is None and not has_file_name(uri):
            message = f"{shown(uri)}: a reference of the scheme {scheme!r} needs a name (name=...)"
            raise InvalidInputError(message, kind=ErrorKind.SOURCE_INVALID)
        yield _by_uri(uri, name or _last_part(uri))


def has_file_name(uri: str) -> bool:
    """Whether the last part of a URI is a file's name, by its scheme."""
    return uri.partition(":")[0].lower() in ("file", "http", "https", "s3", "gs")


def _by_uri(uri: str, path: str) -> Entry:
    """Return an entry known by its URI alone: another URI is another content, another state of it is not."""
    digest = blake3(uri.encode()).hexdigest()
    return Entry(entry_path(path), digest, None, uri, stored=False)


def _last_part(uri: str) -> str:
    return os.fsdecode(unquote_to_bytes(uri_parts(uri).path)).rstrip("/").rpartition("/")[2] or "index"


def uri_parts(uri: str) -> SplitResult:
    """Take a URI apart.

    Raises:
        InvalidInputError: It cannot be, as ``http://[x``.
    """
    try:
        return urlsplit(uri)
    except ValueError as error:
        raise InvalidInputError(f"{shown(uri)} is no URI: {error}", kind=ErrorKind.SOURCE_INVALID) from error


def check_parts(uri: str) -> None:
    """Refuse a URI that cannot be taken apart; only brackets and signs beyond ASCII can make it so.

    Raises:
        InvalidInputError: It cannot be.
    """
    if not uri.isascii() or "[" in uri or "]" in uri:  # looking closer takes 3 of the 9 µs of an entry
        uri_parts(uri)


def local_path(uri: str) -> Path:
    """Return the path of a ``file:`` URI.

    Raises:
        InvalidInputError: It names another host, or its path is not absolute.
    """
    parts = uri_parts(uri)
    path = Path(os.fsdecode(unquote_to_bytes(parts.path)))
    plain = parts.netloc in ("", "localhost") and not parts.query and not parts.fragment and "#" not in uri
    if not plain or not path.is_absolute() or "\0" in str(path):
        message = (
            f"{shown(uri)}: a file reference names an absolute path of this machine, as in 'file:///data/train'; "
            "write '?' and '#' in it as %3F and %23"
        )
        raise InvalidInputError(message, kind=ErrorKind.SOURCE_INVALID)
    return path


def _files(uri: str, name: str | None, *, checksum: bool) -> Iterator[Entry]:
    path = local_path(uri)
    if not os.path.isdir(path):  # noqa: PTH112 (pathlib's raises where a name is too long)
        yield _file(path, entry_path(name or path.name), checksum=checksum)
        return
    for file, inside in sorted(walk_files(path)):
        yield _file(file, entry_path(f"{name}/{inside}" if name else inside), checksum=checksum)


def _file(path: Path, inside: str, *, checksum: bool) -> Entry:
    uri = path.absolute().as_uri()
    with open_source(path) as source:
        if not checksum:
            return _by_uri(uri, inside)
        digest, size = copy_hashed(source, None)
    return Entry(inside, digest, size, uri, stored=False)


@contextmanager
def _fetched(uri: str) -> Iterator[HTTPResponse]:
    from urllib.request import Request  # noqa: PLC0415 (with http.client 40 ms; http references are rare)

    with _remote_errors(uri):
        request = Request(uri, headers={"User-Agent": "lineage"})  # noqa: S310 (resolve and fetch let only http(s) here)
        response = _opener().open(request, timeout=_HTTP_TIMEOUT)
    with response:
        yield response


def _opener() -> OpenerDirector:
    """Return what fetches http(s) and nothing else; ``urlopen`` would follow a redirect to ``ftp:``."""
    from urllib import request  # noqa: PLC0415 (as above)

    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler(),
        request.HTTPHandler(),
        request.HTTPSHandler(),
        request.HTTPRedirectHandler(),
        request.HTTPDefaultErrorHandler(),
        request.HTTPErrorProcessor(),
        request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


@contextmanager
def _remote_errors(uri: str) -> Iterator[None]:
    """Turn what goes wrong between us and a server into a StorageError."""
    from http.client import HTTPException  # noqa: PLC0415 (as above)
    from urllib.error import HTTPError  # noqa: PLC0415 (as above)

    try:
        yield
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, HTTPError):
            error.close()
        raise StorageError(f"cannot fetch {uri!r}: {error}", kind=ErrorKind.REMOTE) from error


@dataclass(frozen=True, slots=True)
class _Remote:
    """An answer whose end is noticed when it comes too early."""

    response: HTTPResponse
    uri: str

    def read(self, size: int, /) -> bytes:
        with _remote_errors(self.uri):
            data = self.response.read(size)
        if not data and self.response.length:
            message = f"cannot fetch {self.uri!r}: the answer ended {self.response.length} bytes too early"
            raise StorageError(message, kind=ErrorKind.REMOTE)
        return data


def _http(uri: str, name: str | None) -> Entry:
    """Return an entry known by its ETag, as the server's word for the state of its content; else by its URI."""
    with _fetched(uri) as response:
        etag = response.headers.get("ETag")
        length = response.headers.get("Content-Length")
    size = int(length) if length is not None and _LENGTH.fullmatch(length) else None
    path = entry_path(name or _last_part(uri))
    digest = "" if etag is None else etag.removeprefix("W/").strip('"')
    if not digest:
        return _by_uri(uri, path)
    return Entry(path, digest, size, uri, stored=False, extra={"etag": etag})


@contextmanager
def fetch(entry: Entry) -> Iterator[Reader | None]:
    """Give the bytes a reference points to; None where only the URI is known and the caller must fetch.

    Raises:
        StorageError: They cannot be had.
        CorruptionError: They are no longer those that were logged.
    """
    uri = entry.uri or ""
    scheme = uri_parts(uri).scheme.lower()
    if scheme == "file":
        path = local_path(uri)
        if not os.path.isfile(path):  # noqa: PTH113 (pathlib's raises where a name is too long)
            message = f"{entry.path!r} points to {uri!r}, where no file is any more"
            raise StorageError(message, kind=ErrorKind.CONTENT_MISSING)
        with open_source(path) as source:
            yield source
    elif scheme in ("http", "https"):
        with _fetched(uri) as response:
            if entry.extra.get("etag") not in (None, response.headers.get("ETag")):
                raise changed(entry)
            yield _Remote(response, uri)
    else:
        yield None


def expected_digest(entry: Entry) -> str | None:
    """Return the BLAKE3 digest that fetched bytes must have; None where another word for their state was kept."""
    if entry.uri is None or entry.stored:
        return entry.digest
    known = uri_parts(entry.uri).scheme.lower() == "file" and entry.digest != blake3(entry.uri.encode()).hexdigest()
    return entry.digest if known else None


def changed(entry: Entry) -> CorruptionError:
    """Return the error for a reference whose bytes are not those that were logged."""
    message = f"{entry.path!r}: what {entry.uri!r} holds has changed since it was logged"
    return CorruptionError(message, kind=ErrorKind.SOURCE_CHANGED)
