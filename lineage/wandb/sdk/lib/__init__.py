"""W&B's module paths below ``wandb.sdk.lib``."""
