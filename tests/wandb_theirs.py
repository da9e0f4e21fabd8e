"""``python wandb_theirs.py folder``: ask W&B's package all questions, offline, and write its answers to a file.

A process of its own keeps its service, its hooks and its garbage out of the process of the tests.
"""

from __future__ import annotations

import importlib
import os
import pickle
import sys
from pathlib import Path

import wandb_cases_draft
import wandb_cases_run
from wandb_case import Case, Raises, outcome

CASES = [*wandb_cases_draft.CASES, *wandb_cases_run.CASES]
ANSWERS = "answers.pickle"
MISSING = Raises("ModuleNotFoundError")


def answer(case: Case, folder: Path) -> object:
    """Return what the package answers; `MISSING` where what it needs for that is not installed."""
    import wandb

    try:
        importlib.import_module(case.needs or "wandb")
    except ImportError:
        return MISSING
    return outcome(case, wandb, folder, case.of_wandb)


def main(base: Path) -> None:
    """Ask one question after the other, each in a folder of its own."""
    import wandb

    os.chdir(base)
    wandb_cases_run.prepare(wandb, base / "theirs")
    answers = {}
    for number, case in enumerate(CASES):
        folder = base / str(number)
        folder.mkdir()
        answers[case.id] = answer(case, folder)
    wandb_cases_run.close(wandb)
    (base / ANSWERS).write_bytes(pickle.dumps(answers))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
