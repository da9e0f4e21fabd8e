"""Names, references, digests and paths: what text may be, decided in one place.

Everything that comes from outside passes one of these functions before it is believed; inside the library
a :class:`Digest` or an entry path is known to be good. No input or output happens here.
"""

from __future__ import annotations

import operator
import os
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final, Self, TypeVar, cast

from lineage.errors import ErrorKind, InvalidInputError

T = TypeVar("T")
_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,128}", re.ASCII)
_COLLECTION = re.compile(r"[A-Za-z0-9_.\-]+(?: +[A-Za-z0-9_.\-]+)*", re.ASCII)
_PROJECT = re.compile(r"[^/\\#?%:@\x00-\x1f\x7f]{1,128}")
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_DIGEST_PREFIX = re.compile(r"[0-9a-f]{8,64}", re.ASCII)
_VERSION_LIKE = re.compile(r"[vV]\d+")
_VERSION = re.compile(r"v(0|[1-9][0-9]{0,17})", re.ASCII)
_TAG = re.compile(r"[\w\-]+(?:[ ]+[\w\-]+)*")
_DRIVE = re.compile(r"[A-Za-z]:", re.ASCII)
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\- ]*(?:/[A-Za-z0-9_][A-Za-z0-9_.\- ]*)*", re.ASCII)
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\s\x00-\x1f\x7f]+", re.ASCII)

LATEST: Final = "latest"
BESIDE: Final = "theirs/"
RUN_TYPES: Final = ("run_files", "run_media", "run_table")
"""Types of artifacts in which ``lineage.wandb`` keeps files and media of runs; lists for people pass over them."""
MAX_NAME: Final = 128
MAX_LABEL: Final = 512
"""Longest job type, run name, group, use_as or artifact type, in characters."""
MAX_PATH: Final = 4096
"""Longest entry path, in bytes of UTF-8: Linux's PATH_MAX."""
MAX_PATH_PART: Final = 255
"""Longest part between two slashes, in bytes: what ext4, APFS and NTFS can name."""


MAX_WHOLE: Final = (1 << 62) - 1
"""Largest step or size: what a file may hold, and one more is a number to SQLite and to all that read it."""


class RunStatus(StrEnum):
    """How a run stands.

    `crashed` is found, not written by the run itself: its process is gone and it never finished.
    """

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    KILLED = "killed"
    CRASHED = "crashed"


class Digest(str):
    """A BLAKE3 digest: 64 lower-case hexadecimal digits, known to be so.

    Example:
        >>> Digest.parse("AF13") # doctest: +ELLIPSIS
        Traceback (most recent call last):
        lineage.errors.InvalidInputError: 'AF13' is no digest: ...
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: object) -> Self:
        """Return `text` as a digest.

        Raises:
            InvalidInputError: It is not 64 lower-case hexadecimal digits.
        """
        if isinstance(text, cls):
            return text
        if not isinstance(text, str) or not _DIGEST.fullmatch(text):
            message = f"{shown(text)} is no digest: a digest is 64 lower-case hexadecimal digits (BLAKE3)"
            raise InvalidInputError(message, kind=ErrorKind.DIGEST_INVALID)
        return cls(text)


@dataclass(frozen=True, slots=True)
class Reference:
    """Text that resolves to one version: ``name``, ``name:alias``, ``name:v3`` or ``name@digest``.

    Exactly one of `alias`, `number` and `digest` is set; a bare name means the alias ``latest``.
    ``str()`` gives text that parses to the same reference.

    Raises:
        InvalidInputError: A part breaks its rule, or more than one of the three is given.

    Example:
        >>> Reference.parse("iv3_trained:v2")
        Reference(name='iv3_trained', alias=None, number=2, digest=None)
        >>> str(Reference.parse("mnist-raw"))
        'mnist-raw:latest'
    """

    name: str
    alias: str | None = None
    number: int | None = None
    digest: str | None = None

    def __post_init__(self) -> None:
        known_name(self.name)
        given = [part for part in (self.alias, self.number, self.digest) if part is not None]
        if not given:
            object.__setattr__(self, "alias", LATEST)
        elif len(given) > 1 or not self._part_is_right():
            message = f"no reference of artifact {self.name!r}: give an alias, or a number from 0, or a digest"
            raise InvalidInputError(message, kind=ErrorKind.REFERENCE_INVALID)

    def _part_is_right(self) -> bool:
        if self.number is not None:
            return type(self.number) is int and bool(_VERSION.fullmatch(f"v{self.number}"))
        if self.digest is not None:
            return isinstance(self.digest, str) and bool(_DIGEST_PREFIX.fullmatch(self.digest))
        return bool(alias_name(self.alias))

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read a reference; surrounding blanks are not forgiven.

        Raises:
            InvalidInputError: The text is no reference; the message says which part is wrong.
        """
        if not isinstance(text, str):
            message = f"{shown(text)} is no reference: give text such as 'iv3:latest', 'iv3:v2' or 'iv3@1f0c9a2b'"
            raise InvalidInputError(message, kind=ErrorKind.REFERENCE_INVALID)
        name, at, digest = text.partition("@")
        if at:
            return cls(known_name(name), digest=_digest_prefix(digest, text))
        name, colon, alias = text.partition(":")
        if not colon:
            return cls(name, alias=LATEST)
        if match := _VERSION.fullmatch(alias):
            return cls(name, number=int(match[1]))
        return cls(name, alias=alias)

    def __str__(self) -> str:
        if self.digest is not None:
            return f"{self.name}@{self.digest}"
        return f"{self.name}:{self.alias if self.number is None else f'v{self.number}'}"


def is_digest_prefix(text: str) -> bool:
    """Whether a text is a digest, or its first 8 or more digits."""
    return _DIGEST_PREFIX.fullmatch(text) is not None


def _digest_prefix(digest: str, text: str) -> str:
    if not is_digest_prefix(digest):
        message = f"{shown(text)}: after '@' comes a digest or its first 8 or more lower-case hexadecimal digits"
        raise InvalidInputError(message, kind=ErrorKind.REFERENCE_INVALID)
    return digest


def artifact_name(name: object) -> str:
    """Return `name` if an artifact may bear it: 1-128 ASCII letters, digits, ``_ - .``.

    Raises:
        InvalidInputError: It may not.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        message = f"{shown(name)} is no artifact name: use 1 to {MAX_NAME} ASCII letters, digits, '_', '-' or '.'"
        raise InvalidInputError(message, kind=ErrorKind.NAME_INVALID)
    return name


def collection_name(name: object) -> str:
    """Return `name` if a collection of links may bear it: as an artifact's, with single or several blanks inside.

    Raises:
        InvalidInputError: It may not.
    """
    if not isinstance(name, str) or len(name) > MAX_NAME or not _COLLECTION.fullmatch(name):
        message = f"{shown(name)} is no name of a collection: use letters, digits, '_', '-', '.', with blanks inside"
        raise InvalidInputError(message, kind=ErrorKind.NAME_INVALID)
    return name


def project_name(name: object) -> str:
    r"""Return `name` if a project may be called so: 1-128 printable characters, none of ``/ \ # ? % : @``.

    Raises:
        InvalidInputError: It may not.
    """
    if not isinstance(name, str) or not _PROJECT.fullmatch(name) or not name.isprintable() or not name.strip("."):
        message = f"{shown(name)} is no project name: use 1 to {MAX_NAME} printable characters, none of / \\ # ? % : @"
        raise InvalidInputError(message, kind=ErrorKind.NAME_INVALID)
    return name


def known_name(name: object) -> str:
    """Return `name` if a reference may bear it: an artifact's, a collection's, or ``project/artifact``.

    Raises:
        InvalidInputError: It may not.
    """
    if isinstance(name, str) and "/" in name:
        project, _, foreign = name.partition("/")
        project_name(project)
        artifact_name(foreign)
        if len(name) > MAX_NAME:
            message = (
                f"{shown(name)}: the names of project and artifact together have at most {MAX_NAME - 1} characters"
            )
            raise InvalidInputError(message, kind=ErrorKind.NAME_INVALID)
        return name
    if isinstance(name, str) and len(name) <= MAX_NAME and _COLLECTION.fullmatch(name):
        return name
    return artifact_name(name)


def alias_name(alias: object) -> str:
    """Return `alias` if it may name a version: not empty, no ``/ : @``, no control characters, not ``v`` + digits.

    ``theirs/<alias>`` is what a merge calls the other project's, where both are kept.

    Raises:
        InvalidInputError: It may not.
    """
    text = label(alias, "alias", kind=ErrorKind.ALIAS_INVALID)
    if any(sign in text.removeprefix(BESIDE) for sign in "/:@") or text in ("", BESIDE) or text != text.strip():
        message = f"alias {text!r}: an alias holds no '/', ':' or '@' and no blanks around it; choose another"
        raise InvalidInputError(message, kind=ErrorKind.ALIAS_INVALID)
    if _VERSION_LIKE.fullmatch(text):
        message = f"alias {text!r} reads as a version number, which lineage gives out itself; choose another"
        raise InvalidInputError(message, kind=ErrorKind.ALIAS_INVALID)
    return text


def tag_name(tag: object) -> str:
    """Return `tag` if a version may bear it: 1-64 word characters and hyphens, blanks inside.

    Raises:
        InvalidInputError: It may not.
    """
    if not isinstance(tag, str) or len(tag) > 64 or not _TAG.fullmatch(tag) or not is_encodable(tag):  # noqa: PLR2004 (W&B's limit, semantics.md 2.1)
        message = f"Invalid tag {shown(tag)}: use 1 to 64 letters, digits, '_' or '-', with blanks inside only"
        raise InvalidInputError(message, kind=ErrorKind.TAG_INVALID)
    return tag


def run_tag(tag: object) -> str:
    """Return `tag` if a run may bear it: 1-64 printable characters (W&B's rule, semantics.md 2.1), as in ``v1.0``.

    Raises:
        InvalidInputError: It may not.
    """
    return label(tag, "Invalid tag", longest=64, kind=ErrorKind.TAG_INVALID)


def run_id(identifier: object) -> str:
    """Return `identifier` if it may be a run's id: not empty, no blanks around it, none of ``: ; , # ? / ' @``.

    Raises:
        InvalidInputError: It may not.
    """
    text = label(identifier, "run id", longest=MAX_NAME)
    if text != text.strip() or any(sign in text for sign in ":;,#?/'@"):
        message = f"run id {text!r}: a run id holds none of : ; , # ? / ' @ and no blanks around it"
        raise InvalidInputError(message, kind=ErrorKind.NAME_INVALID)
    return text


def label(text: object, what: str, *, longest: int = MAX_LABEL, kind: ErrorKind = ErrorKind.NAME_INVALID) -> str:
    """Return `text` if it can be one line of a table: 1 to `longest` characters, none of them a control.

    Raises:
        InvalidInputError: It cannot; the message begins with `what`.
    """
    if not isinstance(text, str):
        raise InvalidInputError(f"{what} {shown(text)} is not text", kind=kind)
    if not 0 < len(text) <= longest or not text.isprintable() or not is_encodable(text):
        message = f"{what} {shown(text)}: use 1 to {longest} printable characters"
        raise InvalidInputError(message, kind=kind)
    return text


def listed(values: Iterable[T], what: str) -> tuple[T, ...]:
    """Return what is listed as a tuple; one text is one name and not its letters.

    Raises:
        InvalidInputError: It is no list of anything; what it lists is for the caller to check.
    """
    if isinstance(values, str):
        return (cast("T", values),)
    try:
        if not isinstance(values, bytes | bytearray):
            return tuple(values)
    except TypeError:  # it yields nothing
        pass
    raise InvalidInputError(f"{what} {shown(values)}: give a text, or a list of texts")


def ttl_seconds(ttl: object) -> int | None:
    """Return a time to live in seconds, at least one; None is for good, and so is ``timedelta.max``.

    Raises:
        InvalidInputError: It is no timedelta, or not positive.
    """
    if ttl is None or ttl == timedelta.max:
        return None
    if not isinstance(ttl, timedelta) or ttl <= timedelta():
        raise InvalidInputError(f"ttl {shown(ttl)}: give a positive timedelta, or timedelta.max for good")
    return max(1, ttl // timedelta(seconds=1))


def callback(progress: Callable[[int], None] | None) -> Callable[[int], None] | None:
    """Return `progress` if it can be called, before anything is done that it would be told of.

    Raises:
        InvalidInputError: It cannot.
    """
    if progress is None or callable(progress):
        return progress
    raise InvalidInputError(f"progress {shown(progress)}: give a function of one number of bytes")


def shown(value: object) -> str:
    """Return a value as a message shows it: its repr, cut where it is longer than two lines of a terminal."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 (the code of others; an integer of more than 4,300 digits)
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= 160 else f"{text[:100]}…{text[-40:]}"  # noqa: PLR2004 (two lines)


def prose(text: object, what: str) -> str:
    """Return `text` if it can be a note or a description: any text, line breaks included, without NUL.

    Raises:
        InvalidInputError: It is not text, holds NUL or a lone surrogate, or is longer than a mebibyte.
    """
    if not isinstance(text, str) or "\0" in text or not is_encodable(text) or len(text) > 1 << 20:
        message = f"{what}: give text of at most a mebibyte, without NUL or lone surrogates"
        raise InvalidInputError(message)
    return text


def storable(text: str) -> str:
    r"""Return text that came by itself as it can be stored: NUL and half characters as what one types for them.

    Example:
        >>> storable("device said \0")
        'device said \\x00'
    """
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", r"\x00")


def whole_number(value: object, what: str, rule: str, *, lowest: int = 0, highest: int | None = None) -> int:
    """Return a whole number of any type, numpy's too, as an int; a bool is none.

    Raises:
        InvalidInputError: It is none, or out of bounds; the message says `what` it is and gives the `rule`.

    Example:
        >>> whole_number(7, "step", "a whole number, 0 or more")
        7
    """
    try:
        number = None if isinstance(value, bool) else operator.index(cast("int", value))
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or number < lowest or (highest is not None and number > highest):
        raise InvalidInputError(f"{what} {shown(value)}: give {rule}")
    return number


def is_encodable(text: str) -> bool:
    """Whether `text` has a UTF-8 form: os.fsdecode smuggles bytes that have none in as lone surrogates."""
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def file_path(path: object, what: str, *, kind: ErrorKind = ErrorKind.PATH_INVALID) -> Path:
    """Return a path of this machine's file system that a caller gave.

    Raises:
        InvalidInputError: It is no path, empty, or text that no file can be called; the message names `what`.
    """
    try:
        text = os.fspath(path)  # type: ignore[call-overload]  # anything may come
        if isinstance(text, str) and text and "\0" not in text and os.fsencode(text):
            return Path(text)
    except (TypeError, ValueError):  # no path at all; half a character
        pass
    raise InvalidInputError(f"{shown(path)} is no {what}", kind=kind)


def text_encoding(encoding: object) -> str:
    """Return the name of an encoding; UTF-8 for None.

    Raises:
        InvalidInputError: Python knows no such encoding of text.
    """
    try:
        name = "utf-8" if encoding is None else encoding
        "a".encode(name)  # type: ignore[arg-type]  # anything may come
    except (LookupError, TypeError, ValueError) as error:
        raise InvalidInputError(f"encoding {shown(encoding)}: {error}") from error
    return str(name)


def entry_path(path: object) -> str:
    """Return `path` as it is stored: POSIX, relative, ``a/./b//c`` becomes ``a/b/c``.

    An allow-list on the decoded value, applied once: peers that stripped and went on were broken for years
    (promises.md, part 2). Two paths that a case-insensitive or normalising file system would confuse are
    accepted here and reported by ``verify``.

    Raises:
        InvalidInputError: The path is empty, absolute, leaves the artifact, has a drive letter, a backslash,
            a control character, a part longer than 255 bytes, or is not UTF-8.
    """
    if isinstance(path, str) and len(path) <= MAX_PATH_PART and _PLAIN_PATH.fullmatch(path):
        return path  # as nearly all are; the rest is looked at piece by piece
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str) or not is_encodable(text):
        raise _bad_path(path, "it is not UTF-8 text")
    if not text or text.startswith("/"):
        raise _bad_path(text, "it must be relative and not empty")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if not parts or ".." in parts:
        raise _bad_path(text, "it leaves the artifact")
    if "\\" in text or _DRIVE.match(parts[0]) or any(ord(sign) < 32 or ord(sign) == 127 for sign in text):  # noqa: PLR2004 (the ASCII control range)
        raise _bad_path(text, "it holds a backslash, a drive letter or a control character")
    normal = "/".join(parts)
    if len(normal.encode()) > MAX_PATH or any(len(part.encode()) > MAX_PATH_PART for part in parts):
        raise _bad_path(text, f"a part may have {MAX_PATH_PART} bytes, the whole {MAX_PATH}")
    return normal


def _bad_path(path: object, why: str) -> InvalidInputError:
    return InvalidInputError(f"Invalid artifact path {shown(path)}: {why}", kind=ErrorKind.PATH_INVALID)


def is_uri(text: object) -> bool:
    """Whether `text` begins with a scheme and is meant as a URI; a single letter is a drive, not a scheme."""
    return isinstance(text, str) and bool(_URI.fullmatch(text)) and not _DRIVE.match(text) and is_encodable(text)


def new_uid() -> str:
    """Return a new id: 26 characters, time-ordered, unique across projects and processes.

    48 bits of milliseconds and 80 random bits in Crockford's base 32 (the ULID layout). The bits come from the
    operating system: ids drawn from `random` repeat after ``random.seed()`` and after ``fork()``.
    """
    number = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    return "".join(_BASE32[number >> shift & 31] for shift in range(125, -1, -5))


_BASE32: Final = "0123456789abcdefghjkmnpqrstvwxyz"


def timestamp() -> str:
    """Return the time now as the store writes it: UTC, ISO 8601, microseconds, ``Z``."""
    return timestamp_text(datetime.now(UTC))


def timestamp_text(moment: datetime) -> str:
    """Return `moment` as the store writes it; a naive one is taken as local time.

    Example:
        >>> from datetime import UTC, datetime
        >>> timestamp_text(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
        '2026-01-02T03:04:05.000000Z'
    """
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def moment(when: datetime | str, what: str) -> str:
    """Return a point in time given by a caller as the store's text.

    Raises:
        InvalidInputError: It is neither a datetime nor ISO 8601 text.
    """
    try:
        return timestamp_text(when if isinstance(when, datetime) else datetime.fromisoformat(when))
    except (TypeError, ValueError, OverflowError) as error:
        message = f"{what} {shown(when)}: give a datetime or ISO 8601 text such as '2026-01-31T12:00:00Z'"
        raise InvalidInputError(message) from error
