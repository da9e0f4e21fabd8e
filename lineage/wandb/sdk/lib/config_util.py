"""The error of a config that changes."""

from __future__ import annotations

from lineage.wandb.errors import Error


class ConfigError(Error):
    """A value of the config was to be changed without ``allow_val_change=True``."""
