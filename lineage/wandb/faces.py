"""Where the classes that stand lower reach those that stand higher, so that imports go one way.

An artifact gives the runs that made and used it, and the collection it is in; a draft that is saved without a run
starts one. Those classes know artifacts, so artifacts cannot import them: they put their makers here when they are
imported, as ``lineage.wandb`` does with all of them. Imports inside functions were rejected: they hide the cycle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lineage
from lineage.wandb.places import Place


class Faces:
    """Makers of the higher classes."""

    public_run: Callable[[Place, lineage.Run], Any]
    collection: Callable[[Place, str, str], Any]
    active_run: Callable[[], Any]
    auto_run: Callable[[str | None, Any], Any]


faces = Faces()
