"""The command line: ``lineage``, or ``python -m lineage``."""

from lineage.cli.app import main

__all__ = ["main"]
