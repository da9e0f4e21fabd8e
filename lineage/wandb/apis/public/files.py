"""The files that a run saved: the newest version of its artifact ``run-<id>-files``."""

from __future__ import annotations

import mimetypes
import os
import re
from pathlib import Path
from typing import IO, Any

import lineage
from lineage.wandb.errors import UnsupportedError
from lineage.wandb.paginator import Paginator
from lineage.wandb.places import Place
from lineage.wandb.sdk.artifacts.artifact import Artifact
from lineage.wandb.sdk.artifacts.artifact_files import File as ArtifactFile
from lineage.wandb.sdk.artifacts.artifact_manifest_entry import ArtifactManifestEntry
from lineage.wandb.sdk.run_names import own_name

FILES_TYPE = "run_files"


class File(ArtifactFile):
    """One file that a run saved.

    Attributes:
        updated_at: When it was last saved, with others or alone.
    """

    def __init__(self, entry: ArtifactManifestEntry, updated_at: str) -> None:
        super().__init__(entry)
        self.updated_at = updated_at

    @property
    def id(self) -> str:
        """What is unique across projects."""
        return self.url

    @property
    def mimetype(self) -> str | None:
        """What kind of file it is, by its name."""
        return mimetypes.guess_type(self.name)[0]

    @property
    def md5(self) -> str | None:
        """The digest of its bytes, which is no MD5 but BLAKE3."""
        return self.digest

    def download(self, root: str = ".", replace: bool = False, exist_ok: bool = False, api: object = None) -> IO[Any]:
        """Bring the file below a folder and return it, open for reading.

        Args:
            root: The folder.
            replace: Write over a file that is there.
            exist_ok: Leave a file that is there as it is.
            api: Accepted.

        Raises:
            ValueError: It is there already, and neither `replace` nor `exist_ok` is set.
        """
        target = Path(root) / self.name
        if target.exists() and exist_ok and not replace:
            return target.open(encoding="utf-8")
        return super().download(root, replace)

    def delete(self) -> None:
        """Refuse: a version never changes."""
        message = "saved files are a version, which never changes; delete the artifact 'run-<id>-files' to free them"
        raise UnsupportedError(message)


class Files(Paginator[File]):
    """The files that a run saved, by name; each loop over it begins anew.

    Args:
        place: The project.
        run: The run's id.
        names: Only these.
        per_page: Accepted.
        pattern: Only names that are like this one, where ``%`` stands for any text and ``_`` for a character.
        start: The cursor to go on from.

    Raises:
        ValueError: Both `names` and `pattern` are given.
    """

    def __init__(
        self,
        place: Place,
        run: str,
        names: list[str] | None = None,
        per_page: int = 50,
        pattern: str | None = None,
        start: str | None = None,
    ) -> None:
        if names and pattern:
            message = "Querying for files by both names and pattern is not supported."
            raise ValueError(f"{message} Please provide either a list of names or a pattern to match.")
        like = _like(pattern or "%")
        wanted = [
            file for file in _saved(place, run) if (not names or file.name in names) and like.fullmatch(file.name)
        ]
        super().__init__(wanted, per_page=per_page, start=start)


def _like(pattern: str) -> re.Pattern[str]:
    text = "".join({"%": ".*", "_": "."}.get(sign, re.escape(sign)) for sign in pattern)
    return re.compile(text, re.IGNORECASE | re.DOTALL)


def _saved(place: Place, run: str) -> list[File]:
    try:
        version = place.open().version(files_artifact(run))
    except lineage.NotFoundError:
        return []
    artifact = Artifact._of(place, version)
    return [File(entry, version.created_at) for entry in artifact.manifest.entries.values()]


def files_artifact(run: str) -> str:
    """Return the name of the artifact of a run's files."""
    return own_name(run, "files")


def save_file(project: lineage.Project, run: lineage.Run, path: str | os.PathLike[str], root: str) -> str:
    """Add a file to those of a run that may have ended, and return its name there.

    Raises:
        ValueError: There is no such file, or it does not lie below `root`.
    """
    name = Path(os.path.relpath(path, root)).as_posix()
    draft = lineage.Artifact(files_artifact(run.id), FILES_TYPE, incremental=True)
    draft.add_file(Path(path), name, overwrite=True)
    with project.batch():
        project.record(run, produced=[project.log_artifact(draft)])
    return name
