"""Reading a logged artifact: its files in a folder, one by one, and the media among them."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from typing import IO, Any

import lineage
from lineage.download import usual_folder
from lineage.wandb import env
from lineage.wandb.errors import CommError
from lineage.wandb.sdk.artifacts.artifact_drafting import Drafting
from lineage.wandb.sdk.artifacts.artifact_files import ArtifactFiles
from lineage.wandb.sdk.artifacts.artifact_manifest_entry import ArtifactManifestEntry
from lineage.wandb.sdk.artifacts.exceptions import as_wandb
from lineage.wandb.sdk.data_types.reader import Reader, parsed, reading
from lineage.wandb.sdk.data_types.registry import SUFFIXES, by_type
from lineage.wandb.term import termwarn


class Reading(Drafting):
    """What reads a logged artifact; on a draft each raises ArtifactNotLoggedError."""

    def download(
        self,
        root: str | os.PathLike[str] | None = None,
        allow_missing_references: bool = False,
        skip_cache: bool | None = None,
        path_prefix: str | os.PathLike[str] | None = None,
        multipart: bool | None = None,
    ) -> str:
        """Bring the files into a folder, verified, and return it; what is there and right is left alone.

        Files that are not the artifact's stay; see :meth:`checkout`.

        Args:
            root: The folder; ``artifacts/<name>:vN`` in the working folder, or below ``WANDB_ARTIFACT_DIR``.
            allow_missing_references: Warn and go on where nothing is any more where a reference points.
            skip_cache: Accepted; there is no cache.
            path_prefix: Only files whose path begins so.
            multipart: Accepted; nothing is fetched in parts.

        Raises:
            ArtifactNotLoggedError: It is a draft.
            ValueError: What a reference points to is gone or has changed.
            CommError: It was deleted.
        """
        logged = self._is("download")
        folder = self._folder(root, self.source_name)
        prefix = None if path_prefix is None else os.fspath(path_prefix)
        with as_wandb(lineage.ErrorKind.SOURCE_CHANGED, lineage.ErrorKind.CONTENT_MISSING):
            try:
                logged.source.download(folder, prefix, missing_references=allow_missing_references)
            except lineage.NotFoundError as error:
                if error.kind != lineage.ErrorKind.ENTRY_NOT_FOUND:
                    raise
                logged.source.download(folder, paths=())  # to W&B a prefix of nothing is no error
        return str(folder)

    def checkout(self, root: str | None = None) -> str:
        """Make a folder hold the artifact's files and nothing else, and return it.

        Args:
            root: The folder; ``artifacts/<name>`` in the working folder, or below ``WANDB_ARTIFACT_DIR``.
        """
        logged = self._is("checkout")
        folder = self._folder(root, self.source_name.partition(":")[0])
        with as_wandb(lineage.ErrorKind.SOURCE_CHANGED, lineage.ErrorKind.CONTENT_MISSING):
            logged.source.checkout(folder)
        return str(folder)

    def verify(self, root: str | None = None) -> None:
        """Compare a downloaded folder with the artifact, files by content; it changes nothing.

        Raises:
            ValueError: A file is missing, differs or is extra, or there is no such folder.
        """
        logged = self._is("verify")
        if any(entry.ref is not None and not entry.record.stored for entry in self._entries()):
            termwarn("skipped verification of references that are known by their URI alone")
        with as_wandb(lineage.ErrorKind.CONTENT_DAMAGED):
            logged.source.verify(self._folder(root, self.source_name))

    def file(self, root: str | None = None) -> str:
        """Bring the one file of an artifact that has one, and return its path.

        Raises:
            ValueError: It has more, or none.
        """
        self._is("file")
        entries = self._entries()
        if len(entries) != 1:
            message = "please call the `download` method instead"
            raise ValueError(f"This artifact contains {len(entries)} files, {message}")
        return self.download_entry(entries[0].path, root)

    def files(self, names: list[str] | None = None, per_page: int = 50, start: str | None = None) -> ArtifactFiles:
        """Return its files, to be gone through; `names` are the paths of those that are wanted."""
        self._is("files")
        return ArtifactFiles(self._entries(), names=names, per_page=per_page, start=start)

    def download_entry(self, path: str, root: str | None) -> str:
        """Bring one file, verified, and return its path, or the URI of a reference that nothing here reads."""
        logged = self._is("download")
        folder = self._folder(root, self.source_name)
        with as_wandb(lineage.ErrorKind.SOURCE_CHANGED, lineage.ErrorKind.CONTENT_MISSING):
            logged.source.download(folder, paths=[path])
        found = folder / path
        return str(found) if found.exists() else self.get_entry(path).ref_target()

    def _folder(self, root: str | os.PathLike[str] | None, name: str) -> Path:
        if root is not None:
            return Path(root)
        artifact, colon, version = name.partition(":")
        return usual_folder(Path(env.get_artifact_dir()), artifact, f"{colon}{version}")

    def open_entry(self, path: str) -> IO[Any]:
        """Open one file for reading bytes, without a download."""
        return self._is("get_entry").source.open(path)

    def read(self, path: str) -> bytes:
        """Return the verified bytes of a file; KeyError if there is none."""
        self.get_entry(path)
        with self.open_entry(path) as file:
            return bytes(file.read())

    def fetch(self, path: str) -> Path:
        """Download a file and return where it lies."""
        return Path(self.download_entry(path, None))

    def get_entry(self, name: str | os.PathLike[str]) -> ArtifactManifestEntry:
        """Return the entry at this path; the name of a media object gives its JSON file.

        Raises:
            KeyError: There is none.
        """
        self._is("get_entry")
        inside = os.fspath(name)
        found = self._entry(inside) or self._media_entry(inside)
        if found is None:
            raise KeyError(f"Path not contained in artifact: {inside}")
        return ArtifactManifestEntry(found, self)

    get_path = get_entry

    def _entry(self, path: str) -> lineage.Entry | None:
        """Return the entry at a path, if there is one."""
        try:
            return self._is("get_entry").source.entry(path)
        except lineage.InvalidInputError:
            return None
        except lineage.NotFoundError as error:
            if error.kind != lineage.ErrorKind.ENTRY_NOT_FOUND:
                raise CommError(str(error), error) from error
            return None

    def _media_entry(self, name: str) -> lineage.Entry | None:
        """Return the entry of the JSON file of a media object, if there is one of that name."""
        paths = (name, *(name + suffix for suffix in SUFFIXES))
        return next(filter(None, (self._entry(path) for path in paths if path.endswith(tuple(SUFFIXES)))), None)

    def get(self, name: str) -> Any | None:
        """Return the table, image or other media object that was added under a name; None if there is none.

        Of media that ``run.log`` was given as a list, the list.

        Raises:
            Error: The file of that name is no media object, or does not hold what it says.
            CorruptionError: Its bytes are damaged.
        """
        self._is("get")
        if self._media_entry(name) is None and self._media_entry(f"{name}_0") is not None:
            return [self.get(f"{name}_{place}") for place in range(self._count(name))]
        return self._one(name)

    def _count(self, name: str) -> int:
        """Return how many objects of a list there are, which ``run.log`` keeps as ``name_0``, ``name_1`` and so on."""
        return next(place for place in count() if self._media_entry(f"{name}_{place}") is None)

    def _one(self, name: str) -> Any | None:
        entry = self._media_entry(name)
        if entry is None:
            return None
        reader = Reader(self)
        with reading(f"{entry.path!r} of {self.name}"):
            data = parsed(reader.read(entry.path))
            kind = by_type(data["_type"])
            return None if kind is None else kind.from_json(data, reader)

    def __getitem__(self, name: str) -> Any | None:
        """Return a media object; see :meth:`get`."""
        return self.get(name)
