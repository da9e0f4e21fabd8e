"""Filling a draft: files, folders, references, media."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

from blake3 import blake3

import lineage
from lineage.jsondata import JsonObject, json_text
from lineage.values import entry_path
from lineage.wandb.faces import faces
from lineage.wandb.places import ARTIFACT_SCHEME, Place, default_place, find_uid
from lineage.wandb.sdk.artifacts._validators import ensure_not_finalized
from lineage.wandb.sdk.artifacts.artifact_base import ArtifactBase
from lineage.wandb.sdk.artifacts.artifact_manifest_entry import ArtifactManifestEntry
from lineage.wandb.sdk.data_types.base import WBValue

_POLICIES: Final = ("mutable", "immutable")
_MOST_OBJECTS: Final = 10_000_000
_PIECE: Final = 1 << 20


class DraftSink:
    """Takes the files of media into a draft."""

    def __init__(self, draft: lineage.Artifact) -> None:
        self._draft = draft

    def write(self, path: str, data: bytes) -> str:
        """Add bytes at a path, which media name by their digest, and return that digest."""
        with self._draft.new_file(path, "wb") as file:
            file.write(data)
        return blake3(data).hexdigest()

    def copy(self, path: str, local_path: str) -> str:
        """Add a copy of a local file at a path and return its digest."""
        return str(self._draft.add_file(local_path, path).digest)


def put_media(
    draft: lineage.Artifact, obj: WBValue, name: str, *, overwrite: bool = False
) -> tuple[lineage.Entry, JsonObject]:
    """Add a media object to a draft: its files, and its JSON, which is returned with the entry that it became.

    Raises:
        ValueError: The name is taken by other content, or is no path.
    """
    path = entry_path(name)
    path = path if path.endswith(obj.suffix) else path + obj.suffix
    document = obj.to_json(DraftSink(draft))
    data = json_text(document).encode()
    with draft.new_file(path, "wb" if overwrite else "xb") as file:
        file.write(data)
    return lineage.Entry(path, blake3(data).hexdigest(), len(data)), document


class Drafting(ArtifactBase):
    """What fills a draft; on a finalized or logged artifact each raises ArtifactFinalizedError."""

    @ensure_not_finalized
    def new_file(self, name: str, mode: str = "x", encoding: str | None = None, policy: str = "mutable") -> Any:
        """Write a file of the artifact directly; use it as a context manager.

        An exception in the block leaves no trace, so that the name can be tried again.

        Args:
            name: Path in the artifact.
            mode: ``x`` refuses a name that is taken, ``w`` replaces it; with ``b`` for bytes.
            encoding: Of text; UTF-8 if not said.
            policy: Accepted; bytes always freeze as they are added.

        Raises:
            ValueError: The name is taken or cannot be one, or the mode or policy is none.
        """
        _check_policy(policy)
        return self._writing(name, mode, encoding)

    @contextmanager
    def _writing(self, name: str, mode: str, encoding: str | None) -> Iterator[IO[Any]]:
        with self._draft.new_file(str(name), mode, encoding) as file:
            yield file

    @ensure_not_finalized
    def add_file(
        self,
        local_path: str | os.PathLike[str],
        name: str | None = None,
        is_tmp: bool | None = False,
        skip_cache: bool | None = False,
        policy: str | None = "mutable",
        overwrite: bool = False,
    ) -> ArtifactManifestEntry:
        """Add a copy of a file as it is now; the original may change or go afterwards.

        The same path with the same content is fine.

        Args:
            local_path: The file.
            name: Path in the artifact; the file's own name if not said.
            is_tmp: Put 20 digits of the digest in the place of the name's stem.
            skip_cache: Accepted; there is no cache.
            policy: Accepted; bytes always freeze as they are added.
            overwrite: Replace other content at that path.

        Raises:
            ValueError: It is no file, the path is taken by other content, or the policy is none.
        """
        _check_policy(policy)
        source = Path(local_path)
        if not source.is_file():
            raise ValueError(f"Path is not a file: {str(local_path)!r}")
        inside = entry_path(str(name) if name else source.name)
        if is_tmp:
            inside = _named_by_digest(inside, source)
        entry = self._draft.add_file(source, inside, overwrite=overwrite)
        return self._added(entry, source)

    def _added(self, entry: lineage.Entry, source: Path) -> ArtifactManifestEntry:
        self._local_paths[entry.path] = str(source.absolute())
        return ArtifactManifestEntry(entry, local_path=self._local_paths[entry.path])

    @ensure_not_finalized
    def add_dir(
        self,
        local_path: str | os.PathLike[str],
        name: str | None = None,
        skip_cache: bool | None = False,
        policy: str | None = "mutable",
        merge: bool = False,
    ) -> None:
        """Add every file below a folder, all or none; empty folders are not kept.

        Args:
            local_path: The folder.
            name: Folder in the artifact; its top if not said.
            skip_cache: Accepted; there is no cache.
            policy: Accepted; bytes always freeze as they are added.
            merge: Replace files that are there with other content.

        Raises:
            ValueError: It is no folder, or a file is there with other content.
        """
        _check_policy(policy)
        folder = Path(local_path)
        if not folder.is_dir():
            raise ValueError(f"Path is not a directory: {str(local_path)!r}")
        entries = self._draft.add_dir(folder, str(name) if name else None, overwrite=merge)
        prefix = entry_path(str(name)) + "/" if name else ""
        for entry in entries:
            self._local_paths[entry.path] = str((folder / entry.path.removeprefix(prefix)).absolute())

    @ensure_not_finalized
    def add_reference(
        self,
        uri: ArtifactManifestEntry | str,
        name: str | os.PathLike[str] | None = None,
        checksum: bool = True,
        max_objects: int | None = None,
    ) -> list[ArtifactManifestEntry]:
        """Track bytes by where they are: a URI, or an entry of a logged artifact.

        Args:
            uri: ``file:`` is known by its content, ``http(s):`` by its ETag, other schemes by the URI alone; the
                ``ref_url()`` of an entry stands for it.
            name: Path in the artifact; needed for schemes other than file, http(s), s3 and gs.
            checksum: Look at the content; False takes the URI alone.
            max_objects: Refuse a folder of more files.

        Raises:
            ValueError: It is no URI, nothing lies there, a name is missing, or there are too many files.
        """
        inside = None if name is None else os.fspath(name)
        if isinstance(uri, str) and uri.startswith(ARTIFACT_SCHEME):
            uri = self._entry_at(uri)
        if isinstance(uri, ArtifactManifestEntry):
            (entry,) = self._draft.add_reference(uri.record, inside)
            self._shared[entry.path] = uri
            return [ArtifactManifestEntry(entry)]
        apart = lineage.Artifact(self._draft.name, self._draft.type)  # counted before any of it is in the draft
        found = apart.add_reference(str(uri), inside, checksum=checksum)
        most = _MOST_OBJECTS if max_objects is None else max_objects
        if len(found) > most:
            raise ValueError(f"Exceeded {most} objects tracked, pass max_objects to add_reference")
        self._draft.add_entries(found)
        return [ArtifactManifestEntry(entry) for entry in found]

    def _entry_at(self, uri: str) -> ArtifactManifestEntry:
        """Return the entry that a ``ref_url()`` names; its artifact is looked for beside the active run's project."""
        uid, _, path = uri.removeprefix(ARTIFACT_SCHEME).partition("/")
        run = faces.active_run()
        parent = self._of(*find_uid(default_place() if run is None else run._place, uid))
        entry: ArtifactManifestEntry = parent.get_entry(path)
        return entry

    @classmethod
    def _of(cls, place: Place, shown: lineage.Version) -> Any:
        raise NotImplementedError

    def _settle_in(self, place: Place) -> None:
        """Copy the bytes of entries of other projects, which the project it is to be logged in does not have."""
        for path, entry in self._shared.items():
            origin: Any = entry.parent_artifact()
            if entry.record.stored and origin.source_place.file != place.file:
                self._draft.remove(path)
                with self._draft.new_file(path, "wb") as target, origin.open_entry(entry.path) as source:
                    shutil.copyfileobj(source, target, _PIECE)
        self._shared = {}

    @ensure_not_finalized
    def add(self, obj: WBValue, name: str | os.PathLike[str], overwrite: bool = False) -> ArtifactManifestEntry:
        """Add a table, an image or another media object, as a JSON file with the files it names.

        Args:
            obj: What to add.
            name: Path in the artifact; its ending, such as ``.table.json``, is put on if it is not there.
            overwrite: Replace what is at that path.

        Raises:
            TypeError: It is no media object.
            ValueError: The path is taken by other content.
        """
        if not isinstance(obj, WBValue) or not obj.suffix:
            raise TypeError(f"Found object of type {type(obj)}, expected a media object such as Table or Image")
        entry, _ = put_media(self._draft, obj, os.fspath(name), overwrite=overwrite)
        return ArtifactManifestEntry(entry)

    def __setitem__(self, name: str, item: WBValue) -> None:
        """Add a media object; see :meth:`add`."""
        self.add(item, name)

    @ensure_not_finalized
    def remove(self, item: str | os.PathLike[str] | ArtifactManifestEntry) -> None:
        """Take a file, or all files below a folder, out of the draft.

        Raises:
            FileNotFoundError: Nothing lies there.
        """
        path = item.path if isinstance(item, ArtifactManifestEntry) else os.fspath(item)
        try:
            self._draft.remove(path)
        except lineage.NotFoundError as error:
            raise FileNotFoundError(f"No such file or directory: {path!r} in {self!r}") from error

    def get_added_local_path_name(self, local_path: str) -> str | None:
        """Return where in the artifact a local file was added; None if it was not."""
        wanted = str(Path(local_path).absolute())
        return next((path for path, local in self._local_paths.items() if local == wanted), None)


def _check_policy(policy: str | None) -> None:
    if policy not in (None, *_POLICIES):
        raise ValueError(f"Invalid policy {policy!r}. Must be one of: ('mutable', 'immutable')")


def _named_by_digest(path: str, source: Path) -> str:
    """Return a path whose stem is 20 digits of the file's digest."""
    digest = blake3().update_mmap(source).hexdigest()
    inside = PurePosixPath(path)
    _, dot, ending = inside.name.partition(".")
    return str(inside.with_name(digest[:20] + dot + ending))
