"""What a project can do with other people's files: pack itself into one, unpack, merge another, fill in bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from lineage.blobs import INLINE_LIMIT
from lineage.errors import InvalidInputError
from lineage.handles import Run, Version
from lineage.portable.packing import PackReport, PackRequest, UnpackReport, pack, unpack
from lineage.portable.selection import WHICH, Selection, Which
from lineage.questions import Questions
from lineage.run import ActiveRun
from lineage.values import Reference, callback, file_path, label, listed, shown

Progress: TypeAlias = Callable[[int], None]
Selected: TypeAlias = str | Reference | Version | Run | ActiveRun
"""What can be packed by itself: a reference, the name of an artifact, a run."""


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
            NotFoundError: There is no such version or run, or bytes of the project are missing.
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
        selection = Selection(names, upstream, downstream, versions)
        request = PackRequest(selection, _types(content), overwrite, callback(progress))
        return pack(self._store, file_path(path, "path of a project file"), request)

    def unpack(self, *, progress: Progress | None = None) -> UnpackReport:
        """Move the large contents of a packed file into the folder beside it, as a live project has them.

        A packed file can be written to as it is; unpacked it is faster to back up and to compact. A second call
        finds nothing to move. A crash in between leaves every byte in one of the two places.

        Raises:
            ReadOnlyError: The project is read-only.
            CorruptionError: Bytes are damaged; those stay where they are.
            StateError: This thread is inside a batch or a snapshot.
        """
        return unpack(self._store, larger_than=INLINE_LIMIT, progress=callback(progress))


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
