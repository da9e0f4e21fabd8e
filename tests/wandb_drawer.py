"""Where media of the W&B face put their files, in tests that need no artifact."""

from __future__ import annotations

from pathlib import Path

from lineage.wandb.sdk.data_types.files import digest_of


class Drawer:
    """Files of an artifact in memory: sink and source. One that fetches needs a folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self.files: dict[str, bytes] = {}
        self.folder = folder

    def write(self, path: str, data: bytes) -> str:
        """Keep a file; the same path holds one content only."""
        assert self.files.setdefault(path, data) == data
        return digest_of(data)

    def copy(self, path: str, local_path: str) -> str:
        """Keep a file of the disk."""
        return self.write(path, Path(local_path).read_bytes())

    def read(self, path: str) -> bytes:
        """Return the bytes of a file."""
        return self.files[path]

    def fetch(self, path: str) -> Path:
        """Return a file on the disk."""
        assert self.folder is not None
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(self.files[path])
        return target
