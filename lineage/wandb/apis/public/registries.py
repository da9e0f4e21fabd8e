"""Registries: projects called ``wandb-registry-<name>``, or ``model-registry``, whose artifacts are links."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from lineage.wandb.apis.normalize import normalize_exceptions
from lineage.wandb.apis.public.artifacts import ArtifactCollection, ProjectArtifactCollections
from lineage.wandb.apis.public.filters import version_filter, version_order
from lineage.wandb.apis.public.lists import Chained, Made
from lineage.wandb.apis.public.projects import Project, project_names
from lineage.wandb.errors import UnsupportedError
from lineage.wandb.paginator import Paginator
from lineage.wandb.places import Place
from lineage.wandb.sdk.artifacts._validators import REGISTRY_PREFIX, is_artifact_registry_project
from lineage.wandb.sdk.artifacts.artifact import Artifact
from lineage.wandb.sdk.run_artifacts import MODEL_REGISTRY

_TESTS: Final[dict[str, Callable[[str, Any], bool]]] = {
    "$eq": lambda name, value: name == value,
    "$ne": lambda name, value: name != value,
    "$in": lambda name, value: name in value,
    "$nin": lambda name, value: name not in value,
    "$regex": lambda name, value: re.search(value, name) is not None,
}


class Registry:
    """A registry by its name.

    Args:
        place: Its project.

    Attributes:
        organization: The entity it was asked for under: a label.
        description: None: projects have no words about them.
    """

    visibility: Final = "organization"
    description: Final = None
    allow_all_artifact_types: Final = True

    def __init__(self, place: Place) -> None:
        self._place = place
        self.organization = place.entity

    def __repr__(self) -> str:
        return f"<Registry {self.name}>"

    @property
    def id(self) -> str:
        """What tells it apart on this machine: the path of its file."""
        return Project(self._place).id

    @property
    def full_name(self) -> str:
        """The name of its project."""
        return self._place.project

    @property
    def name(self) -> str:
        """Its name, without ``wandb-registry-``."""
        return self.full_name.removeprefix(REGISTRY_PREFIX)

    @property
    def entity(self) -> str:
        """The entity it was asked for under: a label."""
        return self._place.entity

    @property
    def path(self) -> list[str]:
        """Entity and the name of its project."""
        return [self.entity, self.full_name]

    @property
    def created_at(self) -> str | None:
        """When its first collection was made, UTC; None if it is empty."""
        return Project(self._place).created_at

    @property
    def artifact_types(self) -> list[str]:
        """The types of what is linked in it."""
        return self._place.open().types()

    @normalize_exceptions
    def load(self) -> None:
        """Check that it is there.

        Raises:
            CommError: It is not.
        """
        self._place.open()

    def save(self) -> None:
        """Do nothing: there is nothing of a registry that could be changed."""

    def delete(self) -> None:
        """Refuse: a registry is a project file."""
        raise UnsupportedError(f"Registry.delete: delete its collections, or remove the file {str(self._place.file)!r}")

    @normalize_exceptions
    def collections(
        self,
        filter: Mapping[str, Any] | None = None,
        order: str | None = None,
        per_page: int = 100,
        start: str | None = None,
    ) -> ProjectArtifactCollections:
        """Return its collections, the newest first.

        Raises:
            CommError: It is not there; or the filter or order cannot be, which is a ValueError too.
        """
        return ProjectArtifactCollections(self._place, filter, order, per_page, start)

    @normalize_exceptions
    def versions(
        self,
        filter: Mapping[str, Any] | None = None,
        order: str | None = None,
        per_page: int = 100,
        start: str | None = None,
    ) -> Paginator[Artifact]:
        """Return the versions that are linked in it, the newest first.

        Args:
            filter: Keys ``tag``, ``alias``, ``created_at``, ``metadata.<key>``.
            order: ``created_at``, ``linked_at`` or ``artifact_size``, with ``-`` for falling.
            per_page: Accepted.
            start: The cursor to go on from.

        Raises:
            CommError: It is not there; or the filter or order cannot be, which is a ValueError too.
        """
        links = {"$and": [version_filter(filter), {"link_to": {"$exists": True}}]}
        found = self._place.open().versions(links, order=version_order(order or "-created_at"))
        items = Made(found, lambda version: Artifact._of(self._place, version))
        return Paginator(items, per_page=per_page, start=start)


class Registries(Paginator[Registry]):
    """The registries of a folder, by name; each loop over it begins anew.

    Args:
        home: Any place in the folder.
        filter: Of the key ``name``, with ``$eq``, ``$ne``, ``$in``, ``$nin`` and ``$regex``.
        per_page: Accepted.
        start: The cursor to go on from.

    Raises:
        ValueError: The filter cannot be.
    """

    def __init__(
        self,
        home: Place,
        filter: Mapping[str, Any] | None = None,
        per_page: int = 100,
        start: str | None = None,
    ) -> None:
        self.organization = home.entity
        found = [Registry(home.beside(name)) for name in project_names(home) if is_registry(name)]
        super().__init__([one for one in found if _passes(one.name, filter or {})], per_page=per_page, start=start)

    @normalize_exceptions
    def collections(
        self,
        filter: Mapping[str, Any] | None = None,
        order: str | None = None,
        per_page: int = 100,
        start: str | None = None,
    ) -> Collections:
        """Return the collections of these registries, one registry after the other.

        Raises:
            CommError: The filter or order cannot be, which is a ValueError too.
        """
        found = [registry.collections(filter, order) for registry in self._items]
        return Collections(Chained(found), per_page=per_page, start=start)

    @normalize_exceptions
    def versions(
        self,
        filter: Mapping[str, Any] | None = None,
        order: str | None = None,
        per_page: int = 100,
        start: str | None = None,
    ) -> Paginator[Artifact]:
        """Return the versions that are linked in these registries, one registry after the other.

        Raises:
            CommError: The filter or order cannot be, which is a ValueError too.
        """
        found = [registry.versions(filter, order) for registry in self._items]
        return Paginator(Chained(found), per_page=per_page, start=start)


class Collections(Paginator[ArtifactCollection]):
    """Collections of several registries."""

    @normalize_exceptions
    def versions(
        self,
        filter: Mapping[str, Any] | None = None,
        order: str | None = None,
        per_page: int = 100,
        start: str | None = None,
    ) -> Paginator[Artifact]:
        """Return the versions that are linked in these collections, one collection after the other.

        Raises:
            CommError: The filter or order cannot be, which is a ValueError too.
        """
        found = [collection.versions(filter, order) for collection in self._items]
        return Paginator(Chained(found), per_page=per_page, start=start)


def is_registry(project: str) -> bool:
    """Whether a project is a registry, by its name."""
    return project == MODEL_REGISTRY or is_artifact_registry_project(project)


def _passes(name: str, filter: Mapping[str, Any]) -> bool:
    for key, condition in filter.items():
        if key != "name":
            raise ValueError(f"unknown key {key!r} (possible: name)")
        for word, value in (condition if isinstance(condition, Mapping) else {"$eq": condition}).items():
            if word not in _TESTS:
                raise ValueError(f"unknown operator {word!r} (possible: {', '.join(_TESTS)})")
            if not _TESTS[word](name, value):
                return False
    return True
