"""Artifacts as the API lists them: types, collections, the versions of one, and those of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import lineage
from lineage.records import ArtifactRecord
from lineage.wandb.apis.normalize import normalize_exceptions
from lineage.wandb.apis.public.files import FILES_TYPE
from lineage.wandb.apis.public.filters import collection_filter, collection_order, version_filter, version_order
from lineage.wandb.apis.public.lists import Made
from lineage.wandb.errors import UnsupportedError
from lineage.wandb.faces import faces
from lineage.wandb.paginator import Paginator
from lineage.wandb.places import Place, at_home
from lineage.wandb.sdk.artifacts._validators import validate_artifact_type
from lineage.wandb.sdk.artifacts.artifact import Artifact
from lineage.wandb.sdk.artifacts.artifact_files import ArtifactFiles
from lineage.wandb.term import termlog, termwarn

__all__ = [
    "ArtifactCollection",
    "ArtifactCollections",
    "ArtifactFiles",
    "ArtifactType",
    "ArtifactTypes",
    "Artifacts",
    "ProjectArtifactCollections",
    "RunArtifacts",
    "original",
]

HIDDEN_TYPES: Final = (FILES_TYPE, "run_media")
"""Types of what W&B keeps beside its artifacts: the files and the media of a run."""
_INTERNAL_TYPES: Final = (*HIDDEN_TYPES, "run_table", "code", "job")


def original(place: Place, version: lineage.Version) -> Artifact:
    """Return the artifact of a version; one of another project as that project knows it, where it is to be had."""
    home, found = at_home(place, version)
    return Artifact._of(place if found is version else home, found)


class Artifacts(Paginator[Artifact]):
    """The versions of an artifact or a collection, the newest first; each loop over it begins anew.

    Args:
        place: The project.
        collection_name: The artifact's name.
        type: Its type.
        filters: Only those that pass.
        order: ``version_index``, ``created_at`` or ``size``, with ``-`` for falling.
        per_page: Accepted.
        tags: Only those with all of these tags; one text is one tag.
        start: The cursor to go on from.

    Raises:
        CommError: There is no such project.
        ValueError: There is no artifact of this name and type, or the filter or the order cannot be.
    """

    def __init__(
        self,
        place: Place,
        collection_name: str,
        type: str,
        filters: Mapping[str, Any] | None = None,
        order: str | None = None,
        per_page: int = 50,
        tags: str | Iterable[str] | None = None,
        start: str | None = None,
    ) -> None:
        self.entity, self.project = place.entity, place.project
        self.collection_name, self.type = collection_name, type
        project, _ = _known(place, collection_name, type)
        listing = project.versions(version_filter(filters), artifact=collection_name, order=version_order(order))
        items: Sequence[Artifact] = Made(listing, lambda version: Artifact._of(place, version))
        if tags:
            wanted = {tags} if isinstance(tags, str) else set(tags)
            items = [artifact for artifact in items if wanted <= set(artifact.tags)]
        super().__init__(items, per_page=per_page, start=start)


def _known(place: Place, name: str, type: str) -> tuple[lineage.Project, ArtifactRecord]:
    """Return the project, and what it knows of an artifact.

    Raises:
        CommError: There is no such project.
        ValueError: There is no artifact of this name and type.
    """
    project = place.open()
    try:
        record = project.artifact(name)
    except (lineage.NotFoundError, lineage.InvalidInputError) as error:
        raise ValueError(f"Could not find artifact collection {name!r} in project {place.project!r}") from error
    if record.type != type:
        message = f"artifact collection {name!r} is of type {record.type!r}"
        raise ValueError(f"Could not find artifact type {type!r}: {message}")
    return project, record


class ArtifactCollection:
    """A name and the versions it has: an artifact, or a collection of links. Changes are kept by ``save()``.

    Args:
        place: The project.
        name: Which.
        type: Its type.

    Attributes:
        organization: None: nobody owns a registry.
        name: Its name.
        description: Words about it.

    Raises:
        CommError: There is no such project.
        ValueError: There is none of this name and type.
    """

    def __init__(self, place: Place, name: str, type: str) -> None:
        self._place = place
        self.organization: str | None = None
        self._take(*_known(place, name, type))

    def _take(self, project: lineage.Project, record: ArtifactRecord) -> None:
        self._project, self._record = project, record
        self.name = record.name
        self.description = record.description
        self._type = record.type

    def __repr__(self) -> str:
        return f"<ArtifactCollection {self.name} ({self.type})>"

    @property
    def id(self) -> str:
        """What is unique across projects."""
        return self._record.uid

    @property
    def entity(self) -> str:
        """The entity of its project: a label."""
        return self._place.entity

    @property
    def project(self) -> str:
        """The project it is in."""
        return self._place.project

    @property
    def type(self) -> str:
        """What it holds, such as ``dataset`` or ``model``.

        Raises:
            ValueError: On a change, of a collection of links: it has the type of what it holds.
        """
        return self._type

    @type.setter  # noqa: A003 (it is the property that is meant)
    def type(self, type: str) -> None:
        if not self.is_sequence():
            raise ValueError("Type can only be changed if the artifact collection is a sequence.")
        self._type = type

    @property
    def aliases(self) -> list[str]:
        """The aliases of all of its versions."""
        aliased = self._project.versions({"aliases": {"$exists": True}}, artifact=self._record.name, order="number")
        return [alias for version in aliased for alias in version.aliases]

    @property
    def tags(self) -> list[str]:
        """Always empty: versions have tags, and names have none.

        Raises:
            UnsupportedError: On a change: tag the versions.
        """
        return []

    @tags.setter
    def tags(self, tags: Iterable[str]) -> None:
        if list(tags):
            message = "a collection has no tags here; tag its versions (artifact.tags), or use its description"
            raise UnsupportedError(message)

    @property
    def created_at(self) -> str:
        """When it was made, UTC."""
        return self._record.created_at

    @property
    def updated_at(self) -> str:
        """When its newest version came, UTC."""
        newest = self._project.versions(artifact=self._record.name, order="-number", limit=1)
        return newest[0].created_at if newest else self._record.created_at

    def is_sequence(self) -> bool:
        """Whether it holds versions, and not links to versions of other artifacts."""
        some = self._project.versions(artifact=self._record.name, limit=1, include_deleted=True)
        return not some or some[0].link_to is None

    @normalize_exceptions
    def artifacts(self, per_page: int = 50, start: str | None = None) -> Artifacts:
        """Return its versions, the newest first.

        Args:
            per_page: Accepted.
            start: The cursor to go on from.
        """
        return Artifacts(self._place, self._record.name, self._record.type, per_page=per_page, start=start)

    @normalize_exceptions
    def versions(
        self,
        filter: Mapping[str, Any] | None = None,
        order: str | None = None,
        per_page: int = 100,
        start: str | None = None,
    ) -> Artifacts:
        """Return those of its versions that pass a filter, the newest first."""
        return Artifacts(self._place, self._record.name, self._record.type, filter, order, per_page, start=start)

    @normalize_exceptions
    def load(self) -> None:
        """Read it again; what was changed and not saved is dropped."""
        self._take(self._project, self._project.artifact(self._record.name))

    @normalize_exceptions
    def save(self) -> None:
        """Keep changes of name, type and description, all or none; what others changed meanwhile stays.

        Raises:
            CommError: The name is taken, or the name or the type cannot be; it is a ValueError too.
        """
        record, words = self._record, self.description or ""
        if self._type != record.type:
            _check_change(self.name, record.type, self._type)
        with self._project.batch():
            if self.name != record.name:
                self._project.rename_artifact(record.name, self.name)
            self._record = self._project.update_artifact(
                self.name,
                description=None if words == (record.description or "") else words,
                type=self._type if self._type != record.type else None,
            )

    @normalize_exceptions
    def change_type(self, new_type: str) -> None:
        """Change the type at once; W&B's older way to set :attr:`type` and call :meth:`save`.

        Raises:
            CommError: One of the two types is internal, or it holds links; it is a ValueError too.
        """
        message = "ArtifactCollection.change_type(type) is deprecated, use ArtifactCollection.save() instead."
        termwarn(message, repeat=False)
        if new_type == self._record.type:
            return
        _check_change(self.name, self._record.type, new_type)
        if not self.is_sequence():
            raise ValueError("Artifact collection needs to be a sequence")
        termlog(f"Changing artifact collection type of {self._record.type!r} to {new_type!r}")
        self._record = self._project.update_artifact(self._record.name, type=new_type)
        self._type = new_type

    @normalize_exceptions
    def delete(self) -> None:
        """Delete it with all its versions, or links; their nodes stay in the lineage, marked deleted.

        Raises:
            CommError: An alias is protected, or it was deleted before.
        """
        self._project.delete_artifact(self._record.name, delete_aliases=True)


def _check_change(name: str, old: str, new: str) -> None:
    """Refuse to change an internal type, or to change another into one.

    Raises:
        ValueError: One of the two is internal.
    """
    for type in (old, new):
        try:
            if type in _INTERNAL_TYPES:
                raise ValueError(f"{type!r} is an internal type")  # noqa: TRY301 (as one of W&B's)
            validate_artifact_type(type, name)
        except ValueError as error:
            whose = "current" if type == old else "new"
            message = f"The {whose} type {type!r} is an internal type and cannot be changed"
            raise ValueError(f"Failed to save artifact collection {name!r}: {message}.") from error


class ProjectArtifactCollections(Paginator[ArtifactCollection]):
    """The collections of a project, of all types, the newest first; each loop over it begins anew.

    Raises:
        CommError: There is no such project.
        ValueError: The filter or the order cannot be.
    """

    def __init__(
        self,
        place: Place,
        filters: Mapping[str, Any] | None = None,
        order: str | None = None,
        per_page: int = 50,
        start: str | None = None,
        *,
        type_name: str | None = None,
    ) -> None:
        self.entity, self.project = place.entity, place.project
        hidden = {"type": {"$nin": list(HIDDEN_TYPES)}} if type_name is None else {}
        where = {"$and": [collection_filter(filters), hidden]}
        records = place.open().artifacts(where, type=type_name, order=collection_order(order))
        items = Made(records, lambda record: ArtifactCollection(place, record.name, record.type))
        super().__init__(items, per_page=per_page, start=start)


class ArtifactCollections(ProjectArtifactCollections):
    """The collections of one type in a project, the newest first; each loop over it begins anew."""

    def __init__(
        self,
        place: Place,
        type_name: str,
        filters: Mapping[str, Any] | None = None,
        order: str | None = None,
        per_page: int = 50,
        start: str | None = None,
    ) -> None:
        self.type_name = type_name
        super().__init__(place, filters, order, per_page, start, type_name=type_name)


class ArtifactType:
    """A type, and the collections that have it.

    Raises:
        CommError: There is no such project.
        ValueError: Nothing in it has this type.
    """

    def __init__(self, place: Place, type_name: str) -> None:
        if type_name not in place.open().types():
            raise ValueError(f"Could not find artifact type {type_name!r}")
        self._place = place
        self.entity, self.project = place.entity, place.project
        self.type = type_name

    def __repr__(self) -> str:
        return f"<ArtifactType {self.type}>"

    @property
    def id(self) -> str:
        """Its name."""
        return self.type

    @property
    def name(self) -> str:
        """Its name."""
        return self.type

    @normalize_exceptions
    def collections(
        self,
        filters: Mapping[str, Any] | None = None,
        order: str | None = None,
        per_page: int = 50,
        start: str | None = None,
    ) -> ArtifactCollections:
        """Return the collections that have it, the newest first."""
        return ArtifactCollections(self._place, self.type, filters, order, per_page, start)

    @normalize_exceptions
    def collection(self, name: str) -> ArtifactCollection:
        """Return one of them.

        Raises:
            CommError: There is none of this name.
        """
        return ArtifactCollection(self._place, name, self.type)


class ArtifactTypes(Paginator[ArtifactType]):
    """The types in a project, by name; each loop over it begins anew.

    Raises:
        CommError: There is no such project.
    """

    def __init__(self, place: Place, per_page: int = 50, start: str | None = None) -> None:
        self.entity, self.project = place.entity, place.project
        names = [name for name in place.open().types() if name not in HIDDEN_TYPES]
        super().__init__(Made(names, lambda name: ArtifactType(place, name)), per_page=per_page, start=start)


class RunArtifacts(Paginator[Artifact]):
    """The artifacts that a run logged or used, each as its own project knows it; each loop over it begins anew.

    The files and media of the run are left out: W&B keeps them apart from artifacts.

    Args:
        place: The project.
        run: The run.
        mode: ``logged`` or ``used``.
        per_page: Accepted.
        start: The cursor to go on from.

    Raises:
        ValueError: The mode is neither.
    """

    def __init__(
        self, place: Place, run: lineage.Run, mode: str = "logged", per_page: int = 50, start: str | None = None
    ) -> None:
        if mode not in ("logged", "used"):
            raise ValueError("mode must be logged or used")
        found = run.logged_artifacts() if mode == "logged" else run.used_artifacts()
        wanted = [version for version in found if version.type not in HIDDEN_TYPES]
        super().__init__(Made(wanted, lambda version: original(place, version)), per_page=per_page, start=start)


faces.collection = ArtifactCollection
