"""Where W&B's programs put files on their way into an artifact."""

from __future__ import annotations

import tempfile
from pathlib import Path


def get_staging_dir() -> str:
    """Return a folder for such files; what is added to an artifact is copied from it at once."""
    folder = Path(tempfile.gettempdir()) / "lineage-staging"
    folder.mkdir(exist_ok=True)
    return str(folder)
