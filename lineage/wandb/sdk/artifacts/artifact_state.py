"""The states an artifact goes through."""

from __future__ import annotations

from enum import Enum


class ArtifactState(Enum):
    """PENDING while it is a draft, COMMITTED when it is logged, DELETED at the end."""

    PENDING = "PENDING"
    COMMITTED = "COMMITTED"
    DELETED = "DELETED"
