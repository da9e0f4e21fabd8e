"""The time to live that an artifact has from elsewhere."""

from __future__ import annotations

from enum import Enum


class ArtifactTTL(Enum):
    """Says that an artifact has no time to live of its own. A local project has no default, so it lives for good."""

    INHERIT = 0
