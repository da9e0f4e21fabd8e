"""One file of an artifact, as W&B's programs see it."""

from __future__ import annotations

from typing import Any, Protocol

from lineage.records import Entry
from lineage.wandb.places import ARTIFACT_SCHEME


class Parent(Protocol):
    """The artifact that an entry is of."""

    def download_entry(self, path: str, root: str | None) -> str:
        """Bring the file at a path into a folder and return where it lies."""


class ArtifactManifestEntry:
    """One file of an artifact, or a reference to what lies elsewhere.

    Attributes:
        path: Where it is in the artifact.
        digest: BLAKE3 of the bytes, or what is known of a reference's state.
        size: In bytes.
        ref: What a reference points to; None for a file.
        extra: What else is known of a reference, such as its ETag.
        local_path: The file that was added, for entries of a draft.
    """

    def __init__(self, record: Entry, parent: Parent | None = None, local_path: str | None = None) -> None:
        self.record = record
        self.path = record.path
        self.digest = record.digest
        self.size = record.size
        self.ref = record.uri
        self.extra: dict[str, Any] = dict(record.extra)
        self.local_path = local_path
        self._parent = parent

    @property
    def name(self) -> str:
        """Its path; W&B's older word."""
        return self.path

    @property
    def birth_artifact_id(self) -> str | None:
        """The id of the version it was read from; None in a draft."""
        return self.record.version

    def __repr__(self) -> str:
        reference = f", ref={self.ref!r}" if self.ref is not None else ""
        return f"ArtifactManifestEntry(path={self.path!r}, digest={self.digest!r}, size={self.size!r}{reference})"

    def __eq__(self, other: object) -> bool:
        """Whether path, digest, size, reference and what is known of it are the same."""
        if not isinstance(other, ArtifactManifestEntry):
            return NotImplemented
        return self.record == other.record

    def __hash__(self) -> int:
        return hash((self.path, self.digest))

    def download(self, root: str | None = None, skip_cache: bool | None = None, executor: object = None) -> str:
        """Bring the file into the artifact's folder below `root`, verified, and return its path.

        A reference of a scheme that nothing here reads gives its URI.

        Raises:
            ValueError: It is an entry of a draft, or what it points to is gone or has changed.
        """
        return self._of_artifact().download_entry(self.path, root)

    def parent_artifact(self) -> Any:
        """Return the artifact it is of.

        Raises:
            ValueError: It is an entry of a draft.
        """
        return self._of_artifact()

    def _of_artifact(self) -> Parent:
        if self._parent is None:
            raise ValueError(f"{self.path!r} is an entry of a draft: log the artifact first")
        return self._parent

    def ref_target(self) -> str:
        """Return what a reference points to.

        Raises:
            ValueError: It is no reference.
        """
        if self.ref is None:
            raise ValueError("Only reference entries support ref_target().")
        return self.ref

    def ref_url(self) -> str:
        """Return a text that names the entry for good: the version's id and the path.

        Raises:
            ValueError: It is an entry of a draft.
        """
        if self._parent is None or self.birth_artifact_id is None:
            raise ValueError("There is no parent artifact")
        return f"{ARTIFACT_SCHEME}{self.birth_artifact_id}/{self.path}"

    def to_json(self) -> dict[str, Any]:
        """Return what a manifest says of it."""
        known = {"digest": self.digest, "ref": self.ref, "extra": self.extra, "size": self.size}
        return {key: value for key, value in known.items() if value not in (None, {})}
