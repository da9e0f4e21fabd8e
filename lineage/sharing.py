"""What a project can do with other people's files: pack itself into one, unpack, merge another, fill in bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, TypeAlias

from lineage.errors import InvalidInputError
from lineage.handles import Run, Version
from lineage.portable.reports import (
    ALIAS_POLICIES,
    POLICIES,
    WHICH,
    AliasPolicy,
    FillReport,
    MergeReport,
    PackReport,
    Policy,
    UnpackReport,
    Which,
)
from lineage.questions import Questions
from lineage.run import ActiveRun, running_here
from lineage.staging import INLINE_LIMIT
from lineage.values import Reference, callback, file_path, label, listed, shown

Progress: TypeAlias = Callable[[int], None]
Selected: TypeAlias = str | Reference | Version | Run | ActiveRun
"""What can be packed by itself: a reference, the name of an artifact, a run."""
MAX_SIZE: Final = 1 << 40
"""Bytes that a file from elsewhere may have if nothing else is said: a tebibyte."""
MAX_ENTRIES: Final = 50_000_000
"""Rows that it may hold: a pack of ten million files has some thirty million."""


class Sharing(Questions):
    """The part of a project's face that has to do with other files."""

    def pack(  # noqa: PLR0913 (each by keyword)
        self,
        path: str | os.PathLike[str],
        *,
        select: Iterable[Selected] | Selected | None = None,
        upstream: bool = True,
        downstream: bool = False,
        versions: Which = "all",
        content: bool | Mapping[str, str | Iterable[str]] = True,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> PackReport:
        """Write one file that holds the project with every byte inside, and return what is in it.

        The file is a project: :func:`lineage.open` opens it where it lies, :meth:`merge` takes it in. Others may
        write meanwhile; it holds one state. It appears whole or not at all.

        Args:
            path: The new file, whose name ends in ``.lineage``.
            select: Only these versions and runs: references, names of artifacts, runs. Everything if not said.
            upstream: With all that they were made from, so that their lineage is complete.
            downstream: With all that was made from them.
            versions: Of artifacts given by their bare name, or of all: ``"all"`` versions, the ``"latest"``, or
                those that are ``"aliased"``.
            content: False leaves all bytes out, ``{"type": "model"}`` all but those of some types: digests and
                sizes stay, and :meth:`fill` brings the bytes later.
            overwrite: Replace a file of that name.
            progress: Told the bytes packed.

        Raises:
            ConflictError: There is a file of that name, and `overwrite` is not set.
            NotFoundError: There is no such version or run, nothing that is packed has a type of `content`, or bytes of
                the project are missing.
            CorruptionError: Bytes of the project are damaged.
            StateError: This thread is inside a batch or a snapshot.

        Example:
            >>> import lineage, tempfile
            >>> folder = tempfile.mkdtemp()
            >>> project = lineage.open(folder + "/p.lineage")
            >>> _ = project.log_artifact(lineage.Artifact("iv3", type="model"))
            >>> report = project.pack(folder + "/share.lineage")
            >>> lineage.open(folder + "/share.lineage").version("iv3").reference
            'iv3:v0'
        """
        if versions not in WHICH:
            raise InvalidInputError(f"versions {shown(versions)}: say one of {', '.join(map(repr, WHICH))}")
        names = None if select is None else tuple(map(_name, listed(_one(select), "select")))
        from lineage.portable.packing import PackRequest, pack  # noqa: PLC0415 (see reports.py)
        from lineage.portable.selection import Selection  # noqa: PLC0415 (see reports.py)

        selection = Selection(names, upstream, downstream, versions)
        request = PackRequest(selection, _types(content), overwrite, callback(progress))
        return pack(self._store, file_path(path, "path of a project file"), request)

    def unpack(self, *, progress: Progress | None = None) -> UnpackReport:
        """Move the large contents of a packed file into the folder beside it, as a live project has them.

        A packed file can be written to as it is; unpacked it is faster to back up and to compact. A second call
        finds nothing to move. A crash in between leaves every byte in one of the two places. A damaged file that lies
        where one is to go is set aside in ``quarantine``.

        Raises:
            ReadOnlyError: The project is read-only.
            CorruptionError: Bytes are damaged; those stay where they are.
            StateError: This thread is inside a batch or a snapshot.
        """
        from lineage.portable.packing import unpack  # noqa: PLC0415 (see reports.py)

        return unpack(self._store, larger_than=INLINE_LIMIT, progress=callback(progress))

    def merge(  # noqa: PLR0913 (each by keyword)
        self,
        other: str | os.PathLike[str] | Sharing,
        *,
        aliases: AliasPolicy = "ours",
        metadata: Policy = "ours",
        dry_run: bool = False,
        max_size: int = MAX_SIZE,
        max_entries: int = MAX_ENTRIES,
        progress: Progress | None = None,
    ) -> MergeReport:
        """Take in another project, packed or live, and return what came in, and under which references.

        What both have is recognised by its id and not doubled; merging again adds nothing. New versions of an
        artifact that both have get our next numbers. Nothing of theirs deletes anything here, and what is deleted
        here stays so. The file is not trusted: it is checked whole before anything of it is believed. All of it
        comes in, in one transaction, or nothing.

        Args:
            other: The other project, or its file.
            aliases: Where an alias names different versions: ``"ours"`` stays, ``"theirs"`` moves it, ``"newest"``
                takes the one moved last, and ``"both"`` puts theirs beside it as ``theirs/<alias>``. One that is
                protected here never moves.
            metadata: Where words about a version, run or artifact differ: ``"ours"``, ``"theirs"``, or the
                ``"newest"`` edit.
            dry_run: Only report.
            max_size: Bytes that the file, and all its contents, may have.
            max_entries: Rows that it may hold.
            progress: Told the bytes taken over.

        Raises:
            ConflictError: A name has another type here, a run or version is another one; all reasons are named.
            CycleError: Together the two would have a cycle.
            FormatError: It is no project file, or not as its format says.
            CorruptionError: It is damaged or forged.
            InvalidInputError: It holds more than is allowed, or is this project.
            NotFoundError: There is no such file, or bytes it should have are missing.
            StateError: This thread is inside a batch or a snapshot.

        Example:
            >>> import lineage, tempfile
            >>> folder = tempfile.mkdtemp()
            >>> ours, theirs = (lineage.open(f"{folder}/{name}.lineage") for name in ("ours", "theirs"))
            >>> for project in (ours, theirs):
            ...     _ = project.log_artifact(lineage.Artifact("iv3", type="model"), force_new_version=True)
            >>> ours.merge(theirs).references
            (Renamed(theirs='iv3:v0', ours='iv3:v1'),)
            >>> ours.merge(theirs).versions
            0
        """
        if aliases not in ALIAS_POLICIES:
            raise InvalidInputError(f"aliases {shown(aliases)}: say one of {', '.join(map(repr, ALIAS_POLICIES))}")
        if metadata not in POLICIES:
            raise InvalidInputError(f"metadata {shown(metadata)}: say one of {', '.join(map(repr, POLICIES))}")
        from lineage.portable.foreign import Limits  # noqa: PLC0415 (see reports.py)
        from lineage.portable.merging import MergeRequest, merge  # noqa: PLC0415 (see reports.py)
        from lineage.portable.planned import Policies  # noqa: PLC0415 (see reports.py)

        limits = Limits(*_limits(max_size, max_entries))
        policies = Policies(aliases, metadata, running_here(self._store))
        request = MergeRequest(policies, limits, dry_run, callback(progress))
        return merge(self._store, _file_of(other), request)

    def fill(
        self,
        other: str | os.PathLike[str] | Sharing,
        *,
        max_size: int = MAX_SIZE,
        max_entries: int = MAX_ENTRIES,
        progress: Progress | None = None,
    ) -> FillReport:
        """Bring bytes that versions name and that are not here, as far as another project, or a backup, has them.

        They were left out when this project was packed, or lost; damaged ones are lost once ``repair`` has set them
        aside. Each is hashed on its way in. What the other does not have stays as it is; a second call finds nothing to
        do.

        Args:
            other: The other project, or its file.
            max_size: Bytes that the file may have.
            max_entries: Rows that it may hold.
            progress: Told the bytes brought.

        Raises:
            CorruptionError: Its bytes, or the file, are damaged; what was brought before stays.
            FormatError: It is no project file.
            NotFoundError: There is no such file.
            ReadOnlyError: This project is read-only.
            StateError: This thread is inside a batch or a snapshot.
        """
        from lineage.portable.filling import fill  # noqa: PLC0415 (see reports.py)
        from lineage.portable.foreign import Limits  # noqa: PLC0415 (see reports.py)

        limits = Limits(*_limits(max_size, max_entries))
        return fill(self._store, _file_of(other), limits, callback(progress))


def _file_of(other: object) -> Path:
    if isinstance(other, Sharing):
        return other._store.path  # noqa: SLF001 (projects are ours)
    return file_path(other, "path of a project file").absolute()


def _limits(size: int, entries: int) -> tuple[int, int]:
    for name, value in (("max_size", size), ("max_entries", entries)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise InvalidInputError(f"{name} {shown(value)}: give a whole number, 0 or more")
    return size, entries


def _one(select: Iterable[Selected] | Selected) -> Iterable[Selected]:
    return (select,) if isinstance(select, str | Reference | Version | Run | ActiveRun) else select


def _name(selected: object) -> str:
    """Return the text that names what was selected, whatever happens to aliases meanwhile."""
    if isinstance(selected, Version):
        return selected.reference
    if isinstance(selected, Run | ActiveRun):
        return selected.id
    if not isinstance(selected, str | Reference) or not str(selected):
        raise InvalidInputError(f"select {shown(selected)}: give references, names of artifacts, or runs")
    return str(selected)


def _types(content: object) -> tuple[str, ...] | None:
    """Return the artifact types whose bytes are packed; None for all.

    Raises:
        InvalidInputError: It is neither True, nor False, nor ``{"type": ...}``.
    """
    if isinstance(content, bool):
        return None if content else ()
    if isinstance(content, Mapping) and set(content) == {"type"}:
        return tuple(label(one, "artifact type") for one in listed(content["type"], "content"))
    raise InvalidInputError(f"content {shown(content)}: give True, False, or {{'type': ...}}")
