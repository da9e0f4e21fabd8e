"""W&B's module paths below ``wandb.sdk``, as far as programs import them."""
