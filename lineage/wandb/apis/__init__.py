"""W&B's module paths below ``wandb.apis``."""
