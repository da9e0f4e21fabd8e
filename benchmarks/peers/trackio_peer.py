"""trackio on this machine: a run with config and one metric; it is not told what was used or made."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from peer import figures, median, report, timed


def small_run(count: int, home: Path) -> dict[str, float]:
    """Start, ten keys of config, one metric, finish."""
    os.environ["TRACKIO_DIR"] = str(home)
    import trackio

    def one(number: int) -> None:
        trackio.init(project="bench", name=f"run{number}", config={f"key{key}": key * 0.1 for key in range(10)})
        trackio.log({"value": number})
        trackio.finish()

    return {"small run": median(timed(one, number) for number in range(min(count, 20)))}


if __name__ == "__main__":
    report(figures({"small-run": small_run}, sys.argv))
