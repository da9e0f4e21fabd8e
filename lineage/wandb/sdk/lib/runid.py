"""The newer place of the maker of run ids."""

from __future__ import annotations

from lineage.wandb.util import generate_id

__all__ = ["generate_id"]
