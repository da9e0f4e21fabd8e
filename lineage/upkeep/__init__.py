"""Upkeep: deleting, collecting garbage, verifying, repairing; never a side effect of anything else."""
