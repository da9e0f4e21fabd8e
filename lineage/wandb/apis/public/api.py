"""``wandb.Api``: the questions that scripts ask after their runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

import lineage
from lineage.capture import host
from lineage.wandb.apis.normalize import normalize_exceptions
from lineage.wandb.apis.public.artifacts import (
    ArtifactCollection,
    ArtifactCollections,
    Artifacts,
    ArtifactType,
    ArtifactTypes,
)
from lineage.wandb.apis.public.paths import project_place, run_place, split_url
from lineage.wandb.apis.public.projects import Project, Projects
from lineage.wandb.apis.public.registries import Registries, Registry, is_registry
from lineage.wandb.apis.public.runs import Run, Runs, refuse
from lineage.wandb.apis.public.users import User
from lineage.wandb.errors import CommError, Error
from lineage.wandb.places import ArtifactPath, Place, default_place
from lineage.wandb.sdk.artifacts._validators import REGISTRY_PREFIX
from lineage.wandb.sdk.artifacts.artifact import Artifact
from lineage.wandb.sdk.run_artifacts import find_artifact
from lineage.wandb.term import termwarn

_SEARCH: Final = "runs of one search are a group: wandb.init(group=...), then runs(filters={'group': ...})"
_SCHEDULE: Final = "nothing is scheduled here; run the script, or record any program with 'lineage run'"
_PEOPLE: Final = "there are no accounts; viewer is whoever uses this machine, and runs have the key 'username'"
_WATCH: Final = "nothing waits for events here; ask for runs and artifacts when you need them"
_CHARTS: Final = "there are no pages; draw what runs(...) and histories() give, or export lineage with 'lineage graph'"

UNSUPPORTED: Final[dict[str, str]] = {
    "automation": _WATCH,
    "automations": _WATCH,
    "create_automation": _WATCH,
    "create_custom_chart": _CHARTS,
    "create_run": "wandb.init() starts a run, and project.record() of lineage notes what it used and made",
    "create_run_queue": _SCHEDULE,
    "create_team": _PEOPLE,
    "create_user": _PEOPLE,
    "delete_automation": _WATCH,
    "integrations": _WATCH,
    "job": _SCHEDULE,
    "list_jobs": _SCHEDULE,
    "organization": _PEOPLE,
    "queued_run": _SCHEDULE,
    "reports": _CHARTS,
    "run_queue": _SCHEDULE,
    "slack_integrations": _WATCH,
    "sweep": _SEARCH,
    "sync_tensorboard": "read the event files with tensorboard, and log their values with run.log()",
    "team": _PEOPLE,
    "update_automation": _WATCH,
    "upsert_run_queue": _SCHEDULE,
    "user": _PEOPLE,
    "users": _PEOPLE,
    "webhook_integrations": _WATCH,
}
"""What ``Api`` has at W&B and has no meaning on a local project file, and what to use instead."""


class Api:
    """Asks the project files of one folder: ``WANDB_DIR``, or the working folder, as it is now.

    Nothing is cached: each call reads what is there.

    Args:
        overrides: ``project`` is the project of paths that name none; ``WANDB_PROJECT``, or ``uncategorized``, if it
            is not said. ``entity`` is a label. Others, such as ``base_url``, are accepted.
        timeout: Accepted.
        api_key: Accepted.

    Raises:
        UsageError: No project may be called so.

    Example:
        >>> import lineage, tempfile
        >>> from pathlib import Path
        >>> folder = Path(tempfile.mkdtemp())
        >>> with lineage.open(folder / "mnist.lineage").start_run(id="mine", config={"lr": 0.1}) as run:
        ...     run.log({"loss": 0.5})
        >>> api = Api({"entity": "ada"})
        >>> api.run((folder / "mnist.lineage").as_uri() + "#mine")
        <Run ada/mnist/mine (finished)>
    """

    def __init__(
        self, overrides: Mapping[str, Any] | None = None, timeout: int | None = None, api_key: str | None = None
    ) -> None:
        told = dict(overrides or {})
        self._home = default_place(told.get("project"), told.get("entity"))
        self.settings: dict[str, Any] = {
            "base_url": self._home.folder.as_uri(),
            "entity": self._home.entity,
            "project": self._home.project,
            **told,
        }
        self.api_key = api_key

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        if name in UNSUPPORTED:
            return lambda *_, **__: refuse(f"Api.{name}", UNSUPPORTED[name])
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def user_agent(self) -> str:
        """What a client would call itself."""
        return f"lineage {lineage.__version__}"

    @property
    def default_entity(self) -> str:
        """The entity of paths that name none: a label."""
        return self._home.entity

    @property
    def viewer(self) -> User:
        """Whoever uses this machine."""
        return User(host().user, self._home.entity)

    def flush(self) -> None:
        """Do nothing: nothing is cached."""

    # --- projects ---

    @normalize_exceptions
    def create_project(self, name: str, entity: str | None = None) -> None:
        """Make a project, with its file; one that is there stays as it is.

        Raises:
            UsageError: No project may be called so.
        """
        self._home.beside(name, entity).create()

    def projects(self, entity: str | None = None, per_page: int = 200) -> Projects:
        """Return the projects of the folder, by name."""
        return Projects(self._home.beside(None, entity), per_page)

    @normalize_exceptions
    def project(self, name: str, entity: str | None = None) -> Project:
        """Return a project; whether it is there is found out when it is asked something.

        Raises:
            UsageError: No project may be called so.
        """
        return Project(self._home.beside(name, entity))

    @normalize_exceptions
    def from_path(self, path: str) -> Project | Run:
        """Return the project or the run that a path names: ``project``, ``entity/project``, ``entity/project/run``.

        Raises:
            Error: It is the path of something else.
            CommError: There is no such run.
        """
        place, text = split_url(self._home, path)
        parts = text.strip("/ ").split("/")
        if path.startswith("file:"):
            return self.run(path) if text else Project(place)
        if len(parts) <= 2:  # noqa: PLR2004 (entity and project)
            return Project(project_place(self._home, text))
        if len(parts) == 3 or (len(parts) == 4 and parts[2].startswith("run")):  # noqa: PLR2004 (entity/project/runs/id)
            return self.run("/".join((*parts[:2], parts[-1])))
        raise Error("Invalid path, should be TEAM/PROJECT/TYPE/ID where TYPE is runs")

    # --- runs ---

    @normalize_exceptions
    def run(self, path: str = "") -> Run:
        """Return a run by its path: ``id``, ``project/id``, ``entity/project/id``, ``entity/project/runs/id``.

        Raises:
            CommError: There is none, or it was deleted; or it is no path, which is a ValueError too.
        """
        place, identifier = run_place(self._home, path)
        try:
            found = place.open().run(identifier)
        except (lineage.NotFoundError, lineage.InvalidInputError) as error:
            raise _no_run(place, identifier) from error
        if found.id != identifier or found.deleted:  # lineage also takes a run's name
            raise _no_run(place, identifier)
        return Run(place, found)

    def runs(
        self,
        path: str | None = None,
        filters: Mapping[str, Any] | None = None,
        order: str = "+created_at",
        per_page: int = 50,
        include_sweeps: bool = False,
        lazy: bool = True,
    ) -> Runs:
        """Return the runs of a project that pass a filter, the oldest first.

        Args:
            path: ``[entity/]project``.
            filters: Such as ``{"config.lr": {"$gt": 0.01}, "state": "finished"}``; keys are ``config.…``,
                ``summary_metrics.…``, ``display_name``, ``name`` (the id), ``state``, ``tags``, ``group``,
                ``jobType``, ``createdAt``, ``heartbeatAt``, ``username``, ``host``, ``duration``, ``notes``.
            order: ``created_at``, ``heartbeat_at``, ``config.<key>.value``, ``summary_metrics.<key>`` or another of
                these keys, with ``-`` for falling; missing values come last.
            per_page: Accepted.
            include_sweeps: Accepted.
            lazy: Accepted.

        Raises:
            CommError: There is no such project.
            ValueError: The filter or the order cannot be; the message names the key.
        """
        return Runs(project_place(self._home, path), filters, order, per_page, include_sweeps, lazy)

    # --- artifacts ---

    @normalize_exceptions
    def artifact(self, name: str, type: str | None = None) -> Artifact:
        """Return a version: ``[entity/][project/]name[:alias]``, the newest where no alias is said.

        Raises:
            CommError: There is none, or it was deleted; or it is of another type, which is a ValueError too.
        """
        if name is None:
            raise ValueError("You must specify name= to fetch an artifact.")
        place, text = split_url(self._home, name)
        found = find_artifact(place, text)
        if type is not None and found.type != type:
            raise ValueError(f"type {type!r} specified but this artifact is of type {found.type!r}")
        return found

    def artifact_exists(self, name: str, type: str | None = None) -> bool:
        """Whether there is a version of this name, and of this type; see :meth:`artifact`."""
        try:
            self.artifact(name, type)
        except CommError:
            return False
        return True

    @normalize_exceptions
    def artifact_types(self, project: str | None = None, start: str | None = None) -> ArtifactTypes:
        """Return the types in a project, ``[entity/]project``.

        Raises:
            CommError: There is no such project.
        """
        return ArtifactTypes(project_place(self._home, project), start=start)

    @normalize_exceptions
    def artifact_type(self, type_name: str, project: str | None = None) -> ArtifactType:
        """Return a type in a project.

        Raises:
            CommError: There is no such project, or nothing in it has this type.
        """
        return ArtifactType(project_place(self._home, project), type_name)

    @normalize_exceptions
    def artifact_collections(
        self,
        project_name: str,
        type_name: str,
        order: str | None = None,
        per_page: int = 50,
        start: str | None = None,
    ) -> ArtifactCollections:
        """Return the artifacts and collections of a type in a project, the newest first.

        Raises:
            CommError: There is no such project; or the order cannot be, which is a ValueError too.
        """
        place = project_place(self._home, project_name)
        return ArtifactCollections(place, type_name, order=order, per_page=per_page, start=start)

    def _collection(self, name: str) -> tuple[Place, str]:
        place, text = split_url(self._home, name)
        path = ArtifactPath.parse(text)
        if path.alias is not None:
            raise ValueError(f"{name!r}: a collection has no alias; its versions have")
        return place.beside(path.project, path.entity), path.name

    @normalize_exceptions
    def artifact_collection(self, type_name: str, name: str) -> ArtifactCollection:
        """Return an artifact or a collection: ``[entity/][project/]name``.

        Raises:
            CommError: There is none of this name and type.
        """
        return ArtifactCollection(*self._collection(name), type_name)

    def artifact_collection_exists(self, name: str, type: str) -> bool:
        """Whether there is an artifact or a collection of this name and type."""
        try:
            self.artifact_collection(type, name)
        except CommError:
            return False
        return True

    @normalize_exceptions
    def artifacts(
        self,
        type_name: str,
        name: str,
        order: str | None = None,
        per_page: int = 50,
        tags: list[str] | str | None = None,
        start: str | None = None,
    ) -> Artifacts:
        """Return the versions of an artifact, or the links of a collection, the newest first.

        Args:
            type_name: Its type.
            name: ``[entity/][project/]name``.
            order: ``version_index``, ``created_at`` or ``size``, with ``-`` for falling.
            per_page: Accepted.
            tags: Only those with all of these tags.
            start: The cursor to go on from.

        Raises:
            CommError: There is none of this name and type; or the order cannot be, which is a ValueError too.
        """
        place, collection = self._collection(name)
        return Artifacts(place, collection, type_name, None, order, per_page, tags, start)

    def artifact_versions(self, type_name: str, name: str, per_page: int = 50) -> Artifacts:
        """Return what :meth:`artifacts` returns; W&B's older word, with a warning."""
        message = "Api.artifact_versions(type_name, name) is deprecated, use Api.artifacts(type_name, name) instead."
        termwarn(message, repeat=False)
        return self.artifacts(type_name, name, per_page=per_page)

    # --- registries ---

    def registries(
        self,
        organization: str | None = None,
        filter: Mapping[str, Any] | None = None,
        order: str | None = None,
        per_page: int = 100,
        start: str | None = None,
    ) -> Registries:
        """Return the registries of the folder: projects called ``wandb-registry-<name>``, and ``model-registry``.

        Args:
            organization: A label.
            filter: Of the key ``name``.
            order: Accepted; they come by name.
            per_page: Accepted.
            start: The cursor to go on from.

        Raises:
            ValueError: The filter cannot be.
        """
        return Registries(self._home.beside(None, organization), filter, per_page, start)

    @normalize_exceptions
    def registry(self, name: str, organization: str | None = None) -> Registry:
        """Return a registry by its name, with or without ``wandb-registry-``.

        Raises:
            CommError: There is none.
        """
        full = name if is_registry(name) else f"{REGISTRY_PREFIX}{name}"
        found = Registry(self._home.beside(full, organization))
        found.load()
        return found

    @normalize_exceptions
    def create_registry(
        self,
        name: str,
        visibility: str = "organization",
        organization: str | None = None,
        description: str | None = None,
        artifact_types: list[str] | None = None,
    ) -> Registry:
        """Make a registry and return it; all but the name is accepted without effect.

        Raises:
            CommError: There is one of this name; it is a ValueError too.
        """
        place = self._home.beside(f"{REGISTRY_PREFIX}{name}", organization)
        if place.file.exists():
            raise ValueError(f"Failed to create registry {name!r} in organization {place.entity!r}.")
        place.create()
        return Registry(place)


def _no_run(place: Place, identifier: str) -> CommError:
    return CommError(f"Could not find run {place.entity}/{place.project}/{identifier}")
