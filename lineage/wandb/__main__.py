"""``python -m lineage.wandb script.py [argument ...]``: run a script whose ``import wandb`` gives this face."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from lineage.wandb.install import install, install_for_children


def main() -> None:
    """Run the script that the command line names, as ``python script.py`` would."""
    usage = "usage: python -m lineage.wandb script.py [argument ...]"
    if sys.argv[1:2] in (["-h"], ["--help"]):
        sys.stdout.write(f"{usage}\n\nRun a script whose 'import wandb' gives lineage.wandb.\n")
        return
    if not sys.argv[1:]:
        sys.exit(usage)
    script = sys.argv[1]
    if not Path(script).is_file():
        sys.exit(f"lineage: no script {script!r}")
    install()
    install_for_children()
    sys.argv = sys.argv[1:]
    sys.path.insert(0, str(Path(script).resolve().parent))
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
