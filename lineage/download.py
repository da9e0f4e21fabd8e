"""Download: a version's files in a folder, each whole and verified or not there at all.

The folder may hold traps: links, FIFOs, other people's files. Every step below the root opens one name with
``O_NOFOLLOW`` relative to a descriptor of its parent, and a file appears by a rename inside its folder. A
downloaded file is a copy (or a reflink), never a hard link: editing it does no harm to the store.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO

from blake3 import blake3

from lineage.content import damaged, open_blob, read_small
from lineage.errors import CorruptionError, ErrorKind, InvalidInputError, NotFoundError, StorageError
from lineage.records import Entry
from lineage.references import changed, expected_digest, fetch
from lineage.staging import Reader, copy_hashed
from lineage.store import Store
from lineage.system import callers_errors, is_own, storage_errors, unique_name
from lineage.values import Digest, known_name

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
Progress = Callable[[int], None]
_SMALL = 1 << 16
_LARGE = 8 << 20
_DEAD = re.compile(r"\.[0-9a-f]{16}\.lineage-download")
_AT_ONCE = 250
"""Entries whose small contents are read from the project file together, 4 MB at most."""


def usual_folder(parent: Path, name: str, end: str) -> Path:
    """Return where a version goes if nobody says where, by the name of its artifact and what comes behind it.

    Raises:
        InvalidInputError: It would lead out of `parent`, as ``..`` does, which a checkout would clear.
    """
    folder = f"{known_name(name)}{end}"
    if "/" in end or folder.rpartition("/")[2] in (".", ".."):
        message = f"artifact {name!r} has no folder of its own in {str(parent)!r}: name one for its files"
        raise InvalidInputError(message, kind=ErrorKind.PATH_INVALID)
    return parent / folder


def download(  # noqa: PLR0913 (what is brought from where to where, and how strictly)
    store: Store,
    reference: str,
    entries: Iterable[Entry],
    root: Path,
    *,
    exact: bool = False,
    missing_references: bool = False,
    progress: Progress | None = None,
) -> None:
    """Bring entries into `root`; what is there and right is left alone, what is there and wrong is replaced.

    Args:
        store: Where the bytes are.
        reference: The version that the entries are of, for messages.
        entries: What to bring.
        root: The folder, made where it is missing.
        exact: Remove every file that is not among the entries.
        missing_references: Go on, with a warning in the log, where nothing is any more where a reference points.
        progress: Told the bytes done.

    Raises:
        CorruptionError: Stored bytes do not have their digest; the file is not written.
        StorageError: The folder cannot be written, or a reference cannot be fetched.
        InvalidInputError: What lies in the store would be written over or removed.
    """
    entries = list(entries)
    progress = None if progress is None else _callers(progress)
    _refuse_store(store, Path(os.path.realpath(root)), entries, exact=exact)  # realpath: resolve() raises on loops
    with storage_errors("cannot download"):
        root.mkdir(parents=True, exist_ok=True)
        if exact:
            _clear_way(root, [entry.path for entry in entries])
        with (
            storage_errors(f"cannot download to {str(root)!r}"),  # below it, names are relative
            _opened(os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as descriptor,
            closing(_Folders(descriptor)) as top,
        ):
            for start in range(0, len(entries), _AT_ONCE):
                _bring_some(
                    store, reference, entries[start : start + _AT_ONCE], top, progress, missing=missing_references
                )
        if exact:
            _remove_extras(root, {entry.path for entry in entries})


def _callers(progress: Progress) -> Progress:
    """Let an OSError of the caller's own code, such as a closed pipe, pass as it is."""

    def told(count: int) -> None:
        with callers_errors():
            progress(count)

    return told


def _refuse_store(store: Store, root: Path, entries: Iterable[Entry], *, exact: bool) -> None:
    """Refuse to write into the project or its blobs, or to clear a folder that holds them."""
    folder = Path(os.path.realpath(store.blobs.root))
    around = store.path.is_relative_to(root)
    inside = root.is_relative_to(folder)
    ours = {
        store.path.with_name(store.path.name + end) for end in ("", "-journal", "-wal", "-shm")
    }  # SQLite reads them
    targets = (root / entry.path for entry in entries) if around else ()
    if inside or any(target in ours or target.is_relative_to(folder) for target in targets):
        message = f"{str(root)!r}: the files would lie inside the store; download to another folder"
        raise InvalidInputError(message, kind=ErrorKind.PATH_INVALID)
    if exact and around:
        message = f"{str(root)!r} holds the project itself; check out into a folder of its own"
        raise InvalidInputError(message, kind=ErrorKind.PATH_INVALID)


def _bring_some(  # noqa: PLR0913 (as download)
    store: Store, reference: str, entries: list[Entry], top: _Folders, progress: Progress | None, *, missing: bool
) -> None:
    """Bring entries whose small contents are read together: a connection for each would cost 0.4 ms a file."""
    wanted = [entry for entry in entries if not _is_there(top, entry)]
    if progress is not None:
        progress(sum(entry.size or 0 for entry in entries) - sum(entry.size or 0 for entry in wanted))
    small = read_small(store.database, [str(entry.digest) for entry in wanted if entry.stored])
    for entry in wanted:
        try:
            with naming(reference, entry):
                _bring(store, entry, small.get(str(entry.digest)) if entry.stored else None, top, progress)
        except StorageError as error:
            if entry.stored or not missing or error.kind not in (ErrorKind.CONTENT_MISSING, ErrorKind.REMOTE):
                raise
            import logging  # noqa: PLC0415 (5 ms; a reference that leads nowhere is rare)

            logging.getLogger("lineage").warning("left out: %s", error)


@contextmanager
def naming(reference: str, entry: Entry) -> Iterator[None]:
    """Let an error about stored bytes say whose they are; one about a reference says where that points."""
    try:
        yield
    except (NotFoundError, CorruptionError) as error:
        if not entry.stored:
            raise
        raise type(error)(f"{entry.path!r} of {reference}: {error}", kind=error.kind) from error


def _bring(store: Store, entry: Entry, held: bytes | None, top: _Folders, progress: Progress | None) -> None:
    with nullcontext(io.BytesIO(held)) if held is not None else reader_of(store, entry) as source:
        if source is not None:
            folders, _, name = entry.path.rpartition("/")
            _write(top.folder(folders), name, source, entry, progress)


def _is_there(top: _Folders, entry: Entry) -> bool:
    folders, _, name = entry.path.rpartition("/")
    return _is_right(top.folder(folders), name, entry)


@contextmanager
def reader_of(store: Store, entry: Entry) -> Iterator[Reader | None]:
    """Give the bytes of an entry, from the store or from where its reference points; the caller hashes them."""
    if not entry.stored:
        with fetch(entry) as fetched:
            yield fetched
        return
    digest = Digest.parse(entry.digest)
    with open_blob(store.database, store.blobs, digest, entry.size or 0, verified=False) as stored:
        yield stored


def _write(folder: int, name: str, source: Reader, entry: Entry, progress: Progress | None) -> None:
    temporary, descriptor = _new_file(folder)
    with open(descriptor, "wb") as target:  # noqa: PTH123 (relative to a descriptor)
        try:
            with _writer(target, entry.size or 0) as write:
                digest, _ = copy_hashed(source, write, progress)
            target.flush()
            check_bytes(digest, entry)
            _make_room(folder, name)
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):  # renamed already; or the first error is the one to tell
                os.unlink(temporary, dir_fd=folder)
            raise


def _new_file(folder: int) -> tuple[str, int]:
    """Make a file under a temporary name, locked, so that others see that its maker lives; return both."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    while True:
        temporary = f".{unique_name()}.lineage-download"
        descriptor = os.open(temporary, flags, 0o666, dir_fd=folder)
        if _is_ours(descriptor):
            return temporary, descriptor
        os.close(descriptor)


def _is_ours(descriptor: int) -> bool:
    """Lock a new file; False if another download has just taken it for dead."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: there nobody can take it for dead either
        return True
    return os.fstat(descriptor).st_nlink > 0


def _remove_dead(folder: int) -> None:
    """Remove what downloads that were killed left in a folder: it would pass for a file that is extra."""
    for name in os.listdir(folder):
        if _DEAD.fullmatch(name):
            with suppress(OSError):  # its maker lives, or it is gone or no file
                descriptor = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.unlink(name, dir_fd=folder)
                finally:
                    os.close(descriptor)


@contextmanager
def _writer(target: BinaryIO, size: int) -> Iterator[Callable[[bytes], object]]:
    """Give what writes pieces in order; those of a large file in a thread, while this one reads and hashes the next.

    All of that lets go of the interpreter: with two cores, reading and hashing costs little time of its own.
    """
    if size < _LARGE:
        yield target.write
        return
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 (10 ms; large files only)

    with ThreadPoolExecutor(1) as pool:
        last = pool.submit(target.write, b"")

        def write(data: bytes) -> None:
            nonlocal last
            last.result()
            last = pool.submit(target.write, data)

        yield write
        last.result()


def check_bytes(digest: str, entry: Entry) -> None:
    """Refuse bytes that are not those of the entry.

    Raises:
        CorruptionError: They have another digest.
    """
    expected = expected_digest(entry)
    if expected not in (None, digest):
        raise damaged(expected or "") if entry.stored else changed(entry)


def _make_room(folder: int, name: str) -> None:
    """Refuse a folder at the file's place; a link, a FIFO or a file there is replaced by the rename."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    if is_own(found):
        message = f"a project that is open here is where the file {name!r} goes; download to another folder"
        raise StorageError(message)
    if stat.S_ISDIR(found.st_mode):
        message = f"a folder is where the file {name!r} goes; move it away or download to another folder"
        raise StorageError(message)


def _is_right(folder: int, name: str, entry: Entry) -> bool:
    """Whether a regular file with the right bytes is there already; hard-linked ones are replaced."""
    expected = expected_digest(entry)
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode) or is_own(status):
            return False
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return False
    with open(descriptor, "rb", buffering=0) as found:  # noqa: PTH123 (a descriptor, not a path)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or expected is None:
            return False
        if entry.size is not None and status.st_size != entry.size:
            return False
        if status.st_size <= _SMALL:  # a buffer for large files costs as much as hashing a small one
            return blake3(found.read(_SMALL + 1)).hexdigest() == expected
        return copy_hashed(found, None)[0] == expected


class _Folders:
    """Descriptors of the folder below the root that was asked for last: entries come sorted, many to a folder.

    Args:
        top: The root.
    """

    def __init__(self, top: int) -> None:
        self._top = top
        self._path = ""
        self._last: int | None = None
        self._looked_through = {""}
        _remove_dead(top)

    def folder(self, path: str) -> int:
        """Return a descriptor of a folder, made where it is missing, until the next call; no link is followed."""
        if not path:
            return self._top
        if self._last is None or path != self._path:
            self.close()
            self._last, self._path = _descend(self._top, path.split("/")), path
            if path not in self._looked_through:
                self._looked_through.add(path)
                _remove_dead(self._last)
        return self._last

    def close(self) -> None:
        """Close the folder."""
        if self._last is not None:
            os.close(self._last)
            self._last = None


def _descend(top: int, folders: list[str]) -> int:
    """Return a descriptor of the folder below `top`, made where it is missing; no link is followed."""
    current = os.dup(top)
    try:
        for name in folders:
            below = _enter(current, name)
            os.close(current)
            current = below
    except BaseException:
        os.close(current)
        raise
    return current


def _enter(parent: int, name: str) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=parent)
    except FileNotFoundError:
        with suppress(FileExistsError):  # another download made it meanwhile
            os.mkdir(name, dir_fd=parent)
        return os.open(name, _FOLDER, dir_fd=parent)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            message = f"{name!r} is where a folder of the artifact goes, and is a link or a file; move it away"
            raise StorageError(message) from error
        raise


@contextmanager
def _opened(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _clear_way(root: Path, paths: list[str]) -> None:
    """Remove what stands where a folder or a file goes: between two versions, one may have become the other."""
    folders: set[str] = set()
    for path in paths:
        parent = path.rpartition("/")[0]
        while parent and parent not in folders:
            folders.add(parent)
            parent = parent.rpartition("/")[0]
    for folder in sorted(folders):  # parents first, so that no link is followed
        found = root / folder
        if os.path.lexists(found) and (found.is_symlink() or not found.is_dir()):
            found.unlink()
    for path in paths:
        found = root / path
        if found.is_dir() and not found.is_symlink():
            shutil.rmtree(found)


def _remove_extras(root: Path, wanted: set[str]) -> None:
    """Remove files that are no entries, and folders that are left empty; links go, their targets stay."""
    for folder, names, files in os.walk(root, topdown=False):
        here = Path(folder)
        for name in [*files, *(name for name in names if (here / name).is_symlink())]:
            if (here / name).relative_to(root).as_posix() not in wanted:
                (here / name).unlink()
        if here != root and not any(here.iterdir()):
            here.rmdir()


def verify_folder(entries: Iterable[Entry], root: Path) -> None:
    """Compare a folder with the entries it should hold, files by content.

    References that only their URI is known of are not looked at.

    Raises:
        CorruptionError: A file is missing, differs, or should not be there; the message names the first ten.
    """
    wanted = {entry.path: entry for entry in entries}
    with storage_errors("cannot verify", root):
        if not root.is_dir():
            message = f"no folder {str(root)!r}: download the version first"
            raise InvalidInputError(message, kind=ErrorKind.PATH_INVALID)
        with _opened(os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as top:
            wrong = [f"{path} differs or is missing" for path, entry in wanted.items() if not _holds(top, entry)]
        found = (
            path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_symlink() or not path.is_dir()
        )
        wrong += [f"{path} is extra" for path in sorted(found) if path not in wanted]
    if wrong:
        more = f" and {len(wrong) - 10} more" if len(wrong) > 10 else ""  # noqa: PLR2004 (as documented)
        raise CorruptionError(f"{str(root)!r}: {'; '.join(wrong[:10])}{more}", kind=ErrorKind.CONTENT_DAMAGED)


def _holds(top: int, entry: Entry) -> bool:
    if expected_digest(entry) is None:
        return True
    current = os.dup(top)
    try:
        *folders, name = entry.path.split("/")
        for folder in folders:
            below = os.open(folder, _FOLDER, dir_fd=current)
            os.close(current)
            current = below
        return _is_right(current, name, entry)
    except OSError:
        return False
    finally:
        os.close(current)
