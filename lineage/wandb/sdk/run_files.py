"""The files of a run: its folder, and what ``save`` and ``log_code`` keep. All are versions of artifacts of the run."""

from __future__ import annotations

import glob as globbing
import os
import time
from collections.abc import Callable, Iterator
from inspect import signature
from pathlib import Path
from typing import Any, Final

import lineage
from lineage.system import storage_errors
from lineage.values import entry_path
from lineage.wandb.sdk.run_end import anyway
from lineage.wandb.sdk.run_names import own_name, source_name
from lineage.wandb.term import termerror, termwarn

_POLICIES: Final = ("now", "live", "end")
_CODE: Final = (".py", ".ipynb", ".sh")
_LEFT_OUT: Final = frozenset({"wandb", "artifacts", "__pycache__", ".git", ".venv", "node_modules"})


class RunFiles:
    """The files of one run.

    Args:
        run: The run that keeps them.
        folder: Where project files lie, in which the run may have a folder of its own.
    """

    def __init__(self, run: lineage.ActiveRun, folder: Path) -> None:
        self._run = run
        self._folder = folder / "wandb" / f"run-{time.strftime('%Y%m%d_%H%M%S')}-{run.id}" / "files"
        self._again: dict[str, Path] = {}
        self._saved: dict[str, str | None] = {}

    @property
    def artifact_name(self) -> str:
        """The artifact of what was saved."""
        return own_name(self._run.id, "files")

    @property
    def folder(self) -> Path:
        """The folder whose files are saved when the run finishes; made when it is asked for."""
        with storage_errors("cannot make the folder of a run's files"):
            self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder

    def save(self, pattern: str | os.PathLike[str], base: str | os.PathLike[str] | None, policy: str) -> list[str]:
        """Save the files that a pattern finds, and return their paths.

        Raises:
            ValueError: The policy is none, or the base is not above the files.
        """
        if policy not in _POLICIES:
            raise ValueError(f'Only "live", "end" and "now" policies are currently supported. Not {policy!r}')
        text = os.fspath(pattern)
        found = sorted(path for path in map(Path, globbing.glob(text, recursive=True)) if path.is_file())  # noqa: PTH207 (an absolute pattern is none to pathlib)
        if not found:
            termwarn(f"No files matched by {text!r}")
            return []
        root = Path(base) if base is not None else _base_of(text)
        inside = {_inside(path, root): path for path in found}
        self._log(inside)
        if policy != "now":
            self._again.update({name: path.absolute() for name, path in inside.items()})
        return [str(path) for path in found]

    def finish(self) -> None:
        """Save what lies in the run's folder, and once more what may have changed since it was saved.

        A file that cannot be saved is named on stderr: it must keep neither the others nor the run's end.
        """
        try:
            draft = self._draft()
            for name, path in {**self._again, **_below(self._folder)}.items():
                if path.exists() or path.is_symlink():
                    _add_or_tell(draft, name, path)
            self._log_draft(draft)
        except (lineage.LineageError, OSError) as error:
            termerror(f"the files of run {self._run.id} could not be saved as it finished: {error}")

    def _draft(self) -> lineage.Artifact:
        return lineage.Artifact(self.artifact_name, "run_files", incremental=True)

    def _log(self, files: dict[str, Path]) -> None:
        draft = self._draft()
        for name, path in files.items():
            draft.add_file(path, name, overwrite=True)
        self._log_draft(draft)

    def _log_draft(self, draft: lineage.Artifact) -> None:
        saved = {entry.path: entry.digest for entry in draft.entries}
        if not saved.items() <= self._saved.items():
            anyway(self._run, lambda: self._run.log_artifact(draft))
            self._saved |= saved

    def log_code(
        self, root: str, name: str | None, include: Callable[..., bool] | None, exclude: Callable[..., bool] | None
    ) -> lineage.Version | None:
        """Keep source files as an artifact of type ``code``; None if there are none."""
        draft = lineage.Artifact(name or source_name(Path(root).absolute().name), "code")
        for path in _source_files(Path(root).absolute()):
            if _says(include, path, root, default=path.suffix in _CODE) and not _says(
                exclude, path, root, default=False
            ):
                draft.add_file(path, path.relative_to(Path(root).absolute()).as_posix())
        return anyway(self._run, lambda: self._run.log_artifact(draft)) if draft.entries else None


def _below(folder: Path) -> dict[str, Path]:
    """Return the files below a folder by their paths inside; those that are none are for whoever reads them."""
    if not folder.is_dir():
        return {}
    found = [Path(top) / name for top, folders, names in os.walk(folder) for name in (*folders, *names)]
    return {path.relative_to(folder).as_posix(): path for path in found if path.is_symlink() or not path.is_dir()}


def _add_or_tell(draft: lineage.Artifact, name: str, path: Path) -> None:
    """Add a file, or what a link to a folder leads to, and say so where it cannot be."""
    try:
        if path.is_dir():
            draft.add_dir(path, name, overwrite=True)
        else:
            draft.add_file(path, name, overwrite=True)
    except (lineage.LineageError, OSError) as error:
        termerror(f"{str(path)!r} is not saved with the run: {error}")


def _base_of(pattern: str) -> Path:
    """Return where the names of saved files begin: for an absolute pattern the folder above the last it names."""
    path = Path(pattern)
    return path.parent.parent if path.is_absolute() else Path()


def _inside(path: Path, root: Path) -> str:
    try:
        return entry_path(path.absolute().relative_to(root.absolute()).as_posix())
    except ValueError as error:
        raise ValueError(f"base_path {str(root)!r} is not above {str(path)!r}: {error}") from error


def _source_files(root: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if name not in _LEFT_OUT)
        yield from (Path(folder) / file for file in sorted(files))


def _says(judge: Callable[..., Any] | None, path: Path, root: str, *, default: bool) -> bool:
    """Ask a caller's function about a file; W&B's take the path, and may take the root too."""
    if judge is None:
        return default
    arguments = (str(path), root) if len(signature(judge).parameters) > 1 else (str(path),)
    return bool(judge(*arguments))
