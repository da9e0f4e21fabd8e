"""Projects: the ``*.lineage`` files of a folder."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from lineage.store import SUFFIX
from lineage.wandb.apis.normalize import normalize_exceptions
from lineage.wandb.apis.public.artifacts import ArtifactTypes, ProjectArtifactCollections
from lineage.wandb.apis.public.users import User
from lineage.wandb.errors import UnsupportedError
from lineage.wandb.paginator import Paginator
from lineage.wandb.places import Place
from lineage.wandb.sdk.artifacts._validators import is_artifact_registry_project


class Project:
    """A project by its name, which need not be there.

    Args:
        place: Where it lies.

    Attributes:
        name: What it is called.
        entity: The entity it was asked for under: a label.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self.name = place.project
        self.entity = place.entity

    def __repr__(self) -> str:
        return f"<Project {'/'.join(self.path)}>"

    def _repr_html_(self) -> str:
        return self.to_html()

    @property
    def path(self) -> list[str]:
        """Entity and name."""
        return [self.entity, self.name]

    @property
    def url(self) -> str:
        """A text that tells where it is: its file."""
        return self._place.file.as_uri()

    @property
    @normalize_exceptions
    def id(self) -> str:
        """What tells it apart on this machine: the path of its file.

        Raises:
            CommError: There is no such project.
        """
        return str(self._place.open().file)

    @property
    def owner(self) -> User:
        """The label that its path begins with, as a user."""
        return User(self.entity, self.entity)

    @property
    @normalize_exceptions
    def created_at(self) -> str | None:
        """When its first run or artifact was made, UTC; None if it is empty.

        Raises:
            CommError: There is no such project.
        """
        project = self._place.open()
        runs = [run.record.started_at for run in project.runs(limit=1, include_deleted=True)]
        return min([*runs, *(one.created_at for one in project.artifacts(order="created_at", limit=1))], default=None)

    @normalize_exceptions
    def artifacts_types(self, per_page: int = 50) -> ArtifactTypes:
        """Return the types in it.

        Raises:
            CommError: There is no such project.
        """
        return ArtifactTypes(self._place, per_page)

    @normalize_exceptions
    def collections(
        self,
        filters: Mapping[str, Any] | None = None,
        order: str | None = None,
        per_page: int = 50,
        start: str | None = None,
    ) -> ProjectArtifactCollections:
        """Return its artifacts and collections, the newest first.

        Args:
            filters: Keys ``name``, ``type``, ``description``, ``created_at``, ``alias``.
            order: One of these keys, with ``-`` for falling.
            per_page: Accepted.
            start: The cursor to go on from.

        Raises:
            CommError: There is no such project; or the filter or order cannot be, which is a ValueError too.
        """
        return ProjectArtifactCollections(self._place, filters, order, per_page, start)

    def sweeps(self, per_page: int = 50, filters: Any = None, order: str | None = None) -> Any:
        """Refuse: there are no sweeps."""
        raise UnsupportedError(
            "sweeps: runs of one search are a group; list them with Api().runs(filters={'group': ...})"
        )

    def to_html(self, height: int = 420, hidden: bool = False) -> str:
        """Return it as a line for a notebook."""
        return f"<p>{escape(repr(self))} {escape(str(self._place.file))}</p>"

    def display(self, height: int = 420, hidden: bool = False) -> bool:
        """Return False: there is no page to show."""
        return False


class Projects(Paginator[Project]):
    """The projects of a folder, by name, without registries; each loop over it begins anew.

    Args:
        home: Any place in the folder.
        per_page: Accepted.
        start: The cursor to go on from.
    """

    def __init__(self, home: Place, per_page: int = 200, start: str | None = None) -> None:
        self.entity = home.entity
        names = [name for name in project_names(home) if not is_artifact_registry_project(name)]
        super().__init__([Project(home.beside(name)) for name in names], per_page=per_page, start=start)


def project_names(home: Place) -> list[str]:
    """Return the names of the project files that lie in a folder."""
    return sorted(file.stem for file in home.folder.glob(f"*{SUFFIX}") if file.is_file() and file.stem)
