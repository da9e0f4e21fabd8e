"""W&B's module paths below ``wandb.sdk.lib``."""

from lineage.wandb.sdk.lib.disabled import RunDisabled, SummaryDisabled

__all__ = ["RunDisabled", "SummaryDisabled"]
