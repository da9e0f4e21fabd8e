"""The list of an artifact's files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lineage.manifests import manifest_digest
from lineage.wandb.sdk.artifacts.artifact_manifest_entry import ArtifactManifestEntry


class ArtifactManifest:
    """The entries of an artifact by path; of a draft, as they were when it was asked."""

    def __init__(self, entries: Iterable[ArtifactManifestEntry]) -> None:
        self.entries = {entry.path: entry for entry in entries}

    def __len__(self) -> int:
        return len(self.entries)

    def __repr__(self) -> str:
        return f"<ArtifactManifest of {len(self)} entries>"

    @classmethod
    def version(cls) -> int:
        """Return the version of W&B's form that :meth:`to_manifest_json` follows."""
        return 1

    def get_entry_by_path(self, path: str) -> ArtifactManifestEntry | None:
        """Return the entry at a path; None if there is none."""
        return self.entries.get(path)

    def get_entries_in_directory(self, directory: str) -> list[ArtifactManifestEntry]:
        """Return the entries below a folder."""
        return [entry for path, entry in self.entries.items() if path.startswith(directory.rstrip("/") + "/")]

    def digest(self) -> str:
        """Return the digest of the content."""
        return manifest_digest(sorted((entry.record for entry in self.entries.values()), key=lambda entry: entry.path))

    def size(self) -> int:
        """Return the bytes of all entries, as far as known."""
        return sum(entry.size or 0 for entry in self.entries.values())

    def to_manifest_json(self) -> dict[str, Any]:
        """Return the manifest as JSON data, in W&B's form."""
        return {
            "version": self.version(),
            "storagePolicy": "lineage",
            "storagePolicyConfig": {},
            "contents": {path: entry.to_json() for path, entry in sorted(self.entries.items())},
        }
