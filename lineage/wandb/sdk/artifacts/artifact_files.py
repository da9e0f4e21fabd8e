"""The files of a logged artifact, one after the other."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from lineage.wandb.paginator import Paginator
from lineage.wandb.sdk.artifacts.artifact_manifest_entry import ArtifactManifestEntry


class File:
    """One file of a logged artifact.

    Attributes:
        name: Its path in the artifact.
        size: In bytes.
        digest: BLAKE3 of its bytes.
    """

    def __init__(self, entry: ArtifactManifestEntry) -> None:
        self._entry = entry
        self.name = entry.path
        self.size = entry.size
        self.digest = entry.digest

    def __repr__(self) -> str:
        return f"<File {self.name} ({self.size} bytes)>"

    @property
    def url(self) -> str:
        """A text that names it for good."""
        return self._entry.ref_url()

    @property
    def direct_url(self) -> str:
        """The same."""
        return self.url

    @property
    def path_uri(self) -> str:
        """What a reference points to; empty for a file that is stored."""
        return self._entry.ref or ""

    def download(
        self,
        root: str = ".",
        replace: bool = False,
        exist_ok: bool = False,
    ) -> IO[Any]:
        """Bring the file below a folder and return it, open for reading.

        Raises:
            ValueError: It is there already, and neither `replace` nor `exist_ok` is set.
        """
        target = Path(root) / self.name
        if target.exists() and not replace and not exist_ok:
            raise ValueError(f"File already exists at {target!s}; pass `replace=True` or `exist_ok=True`")
        return Path(self._entry.download(root)).open(encoding="utf-8")


class ArtifactFiles(Paginator[File]):
    """The files of a logged artifact, by path; `names` are the paths of those that are wanted."""

    def __init__(
        self,
        entries: Iterable[ArtifactManifestEntry],
        *,
        names: list[str] | None = None,
        per_page: int = 50,
        start: str | None = None,
    ) -> None:
        wanted = None if names is None else set(names)
        found = [File(entry) for entry in entries if wanted is None or entry.path in wanted]
        super().__init__(found, per_page=per_page, start=start)
