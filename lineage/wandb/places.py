"""Where projects lie, and how W&B's paths name what is in them.

A project called ``mnist`` is the file ``mnist.lineage`` in ``WANDB_DIR``, or else in the working folder. A registry
is a project like any other, whose artifacts are collections of links. The entity of a path is a label: it is
accepted and shown, and finds nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import lineage
from lineage.capture import host
from lineage.store import SUFFIX
from lineage.system import storage_errors
from lineage.values import project_name
from lineage.wandb import env
from lineage.wandb.errors import CommError, UsageError

DEFAULT_PROJECT: Final = "uncategorized"
ARTIFACT_SCHEME: Final = "wandb-artifact://"
"""How the URI of an entry begins, and that of an artifact in a config."""
_FORBIDDEN: Final = "/\\#?%:"
_ABSENT: Final = (lineage.NotFoundError, lineage.FormatError, lineage.InvalidInputError, lineage.ReadOnlyError)
"""How it comes that a file has no such version: not there, no project, a folder, of an older format and read-only."""


@dataclass(frozen=True, slots=True)
class Place:
    """A project by its name and the folder it lies in; `entity` is a label."""

    folder: Path
    project: str
    entity: str

    @property
    def file(self) -> Path:
        """The project file, which need not be there."""
        return self.folder / f"{self.project}{SUFFIX}"

    def beside(self, project: str | None, entity: str | None = None) -> Place:
        """Return the place of another project in the same folder."""
        return Place(self.folder, checked_project(project or self.project), entity or self.entity)

    def create(self) -> lineage.Project:
        """Open the project, made if it is not there, with its folder."""
        with storage_errors("cannot make the folder of a project"):
            self.folder.mkdir(parents=True, exist_ok=True)
        return lineage.open(self.file)

    def open(self) -> lineage.Project:
        """Open the project.

        Raises:
            CommError: There is none.
        """
        try:
            return lineage.open(self.file, create=False)
        except lineage.NotFoundError as error:
            message = f"project {self.project!r} not found under entity {self.entity!r}: no file {str(self.file)!r}"
            raise CommError(message, error) from error


def find_uid(place: Place, uid: str) -> tuple[Place, lineage.Version]:
    """Return the version of an id and its project: that of `place`, or another in its folder.

    Raises:
        CommError: None of them has it.
        LineageError: One that may have it cannot be read: it is locked, or damaged.
    """
    unread: lineage.LineageError | None = None
    others = sorted(file for file in place.folder.glob(f"*{SUFFIX}") if file != place.file)
    for where in (place, *(Place(place.folder, file.stem, place.entity) for file in others)):
        try:
            if where is not place:  # a stranger's, perhaps: it is looked at first, and not brought up to date
                lineage.open(where.file, create=False, read_only=True).version_by_uid(uid)
            return where, lineage.open(where.file, create=False).version_by_uid(uid)
        except _ABSENT:
            continue
        except lineage.LineageError as error:
            unread = unread or error
    if unread is not None:
        raise unread
    raise CommError(f"no artifact with the id {uid!r} in project {place.project!r}, nor in another of {place.folder!s}")


def at_home(place: Place, version: lineage.Version) -> tuple[Place, lineage.Version]:
    """Return a version as the project it belongs to has it, and where that is; itself if that is not to be had.

    A file of that project's name may be gone, or be something else by now; then only its place in the graph is known.
    """
    if version.project is None:
        return place, version
    try:
        home = place.beside(version.project)
        found = lineage.open(home.file, create=False).version_by_uid(version.uid)
    except UsageError:  # a name that no project of this face has
        return place, version
    except _ABSENT:
        return home, version
    return home, found if found.project is None else version


def default_entity() -> str:
    """Return the entity that is meant where none is said: ``WANDB_ENTITY``, or the user's name."""
    return env.get_entity() or host().user


def default_place(project: str | None = None, entity: str | None = None, folder: str | Path | None = None) -> Place:
    """Return the place of a project; what is not said comes from the environment.

    Raises:
        UsageError: No project may be called so, or no folder.
    """
    where = Path(folder or env.get_dir() or ".").absolute()
    if "\0" in str(where):
        raise UsageError(f"Invalid folder {str(where)!r}: no path holds a NUL")
    name = project or env.get_project() or DEFAULT_PROJECT
    return Place(where, checked_project(name), entity or default_entity())


def checked_project(name: str) -> str:
    """Return a project's name if a project may be called so.

    Raises:
        UsageError: It may not.
    """
    found = next((sign for sign in str(name) if sign in _FORBIDDEN), None)
    if found is not None:
        message = f"Invalid project name {name!r}: cannot contain characters {','.join(_FORBIDDEN)!r}, found {found!r}"
        raise UsageError(message)
    try:
        return project_name(name)
    except lineage.InvalidInputError as error:
        raise UsageError(f"Invalid project name {name!r}: {error}") from error


@dataclass(frozen=True, slots=True)
class ArtifactPath:
    """``[entity/][project/]name[:alias]`` taken apart; the alias may hold slashes and colons.

    Example:
        >>> ArtifactPath.parse("team/mnist/raw:latest")
        ArtifactPath(name='raw', alias='latest', project='mnist', entity='team')
    """

    name: str
    alias: str | None = None
    project: str | None = None
    entity: str | None = None

    @classmethod
    def parse(cls, path: str) -> ArtifactPath:
        """Read a path.

        Raises:
            ValueError: It has more than three parts.
        """
        collection, colon, alias = path.partition(":")
        parts = collection.split("/")
        if len(parts) > 3:  # noqa: PLR2004 (entity, project, name)
            raise ValueError(f"Invalid artifact path: {path!r}")
        name, project, entity = [*reversed(parts), None, None][:3]
        return cls(str(name), alias if colon else None, project or None, entity or None)

    @property
    def reference(self) -> str:
        """The name with the alias, ``latest`` where none is given, as the project knows it."""
        return f"{self.name}:{self.alias or 'latest'}"
