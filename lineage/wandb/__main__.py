"""``python -m lineage.wandb script.py [argument ...]``: run a script whose ``import wandb`` gives this face."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from lineage.wandb.install import install, install_for_children


def main() -> None:
    """Run the script that the command line names, as ``python script.py`` would."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):  # noqa: PLR2004 (the program and a script)
        sys.exit("usage: python -m lineage.wandb script.py [argument ...]")
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
