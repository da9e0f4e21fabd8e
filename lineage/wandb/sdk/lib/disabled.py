"""Classes that trainers ask runs for: here a disabled run is a run like any other."""

from __future__ import annotations


class RunDisabled:
    """What no run is an instance of."""


class SummaryDisabled:
    """What no summary is an instance of."""
