"""The file by which ``resume=True`` finds the last run here that did not finish."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Final

from lineage.system import unique_name
from lineage.wandb.term import termwarn

_FILE: Final = Path("wandb", "wandb-resume.json")


def noted_run(folder: Path) -> str | None:
    """Return the id of the run that did not finish; None if there is none, or the file cannot be read."""
    try:
        found = json.loads((folder / _FILE).read_text("utf-8"))
        identifier = found["run_id"]
    except (OSError, ValueError, RecursionError, LookupError, TypeError):
        return None
    return identifier if isinstance(identifier, str) and identifier else None


def note_run(folder: Path, identifier: str) -> None:
    """Write down a run that has begun; all of it or nothing, so that a kill leaves what was there."""
    file = folder / _FILE
    draft = file.with_name(f".{file.name}.{unique_name()}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps({"run_id": identifier}), "utf-8")
        draft.replace(file)
    except OSError as error:
        termwarn(
            f"resume=True will not find run {identifier}: {str(file)!r} cannot be written: {error.strerror or error}"
        )
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def forget_run(folder: Path) -> None:
    """Let ``resume=True`` begin anew."""
    with suppress(OSError):  # nothing is lost: the run is found, and gone on with
        (folder / _FILE).unlink(missing_ok=True)
