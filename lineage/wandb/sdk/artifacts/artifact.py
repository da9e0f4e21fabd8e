"""W&B's Artifact: a draft until it is logged, then a version that can be read, edited, linked and deleted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from typing import Any, Self

import lineage
from lineage.edits import merged, merged_list
from lineage.wandb.faces import faces
from lineage.wandb.places import ArtifactPath, Place
from lineage.wandb.sdk.artifacts._validators import ensure_logged, validate_aliases, validate_metadata, validate_tags
from lineage.wandb.sdk.artifacts.artifact_base import Logged
from lineage.wandb.sdk.artifacts.artifact_reading import Reading
from lineage.wandb.sdk.artifacts.artifact_ttl import ArtifactTTL
from lineage.wandb.sdk.artifacts.exceptions import ArtifactNotLoggedError, as_wandb
from lineage.wandb.util import alias_is_version_index


class Artifact(Reading):
    """A named, typed bundle of files: filled as a draft, then logged as a version of its name.

    It can be made with no run and no project. Until it is logged, what only a logged one has raises
    ArtifactNotLoggedError; afterwards, what would change its content raises ArtifactFinalizedError.

    Args:
        name: 1 to 128 ASCII letters, digits, ``_``, ``-`` and ``.``.
        type: What it is; one type per name.
        description: Words about it.
        metadata: A dict of JSON data, of at most 100 keys at the top.
        incremental: Add its files to those of the newest version of that name.
        use_as: Accepted, as in W&B without effect.
        storage_region: Accepted, without effect.
        digest_algorithm: Accepted, without effect: digests are BLAKE3.

    Raises:
        ValueError: Name or type may not be, or the metadata has too many keys or an infinity.
        TypeError: The metadata is no dict, or holds what JSON cannot.

    Example:
        >>> artifact = Artifact("mnist-raw", type="dataset", metadata={"sizes": [5, 1]})
        >>> with artifact.new_file("train.txt") as file:
        ...     _ = file.write("0 1 2")
        >>> artifact.is_draft(), list(artifact.manifest.entries)
        (True, ['train.txt'])
    """

    @classmethod
    def _of(cls, place: Place, shown: lineage.Version) -> Self:
        """Return the artifact of a version, or of a link, of a project."""
        artifact = cls.__new__(cls)
        artifact._begin(lineage.Artifact("placeholder", "placeholder"))  # its own draft, should one be asked of it
        artifact._bind(Logged.at(place, shown))
        return artifact

    def _of_draft(self, place: Place, draft: lineage.Artifact) -> Artifact:
        made = type(self).__new__(type(self))
        made._begin(draft)
        made._home = place
        return made

    def wait(self, timeout: int | None = None) -> Self:
        """Return the artifact: logging is done when it returns.

        Raises:
            ArtifactNotLoggedError: It was never logged.
        """
        self._is("wait")
        return self

    # --- where and what it is ---

    @property
    def entity(self) -> str:
        """The entity of the project it was fetched from: a label."""
        return self._is("entity").place.entity

    @property
    def project(self) -> str:
        """The project it was fetched from."""
        return self._is("project").place.project

    @property
    def qualified_name(self) -> str:
        """``entity/project/name:vN``."""
        self._is("qualified_name")
        return f"{self.entity}/{self.project}/{self.name}"

    @property
    def version(self) -> str:
        """``vN``, in the collection it was fetched from."""
        return f"v{self._is('version').shown.number}"

    @property
    def collection(self) -> Any:
        """The collection it was fetched from."""
        logged = self._is("collection")
        return faces.collection(logged.place, logged.shown.name, logged.shown.type)

    @property
    def source_entity(self) -> str:
        """The entity of the project it was logged in."""
        return self._is("source_entity").source_place.entity

    @property
    def source_project(self) -> str:
        """The project it was logged in."""
        return self._is("source_project").source_place.project

    @property
    def source_place(self) -> Place:
        """Where the project lies that it was logged in."""
        return self._is("source_place").source_place

    @property
    def source_qualified_name(self) -> str:
        """``entity/project/name:vN`` where it was logged."""
        self._is("source_qualified_name")
        return f"{self.source_entity}/{self.source_project}/{self.source_name}"

    @property
    def source_version(self) -> str:
        """``vN`` where it was logged."""
        return f"v{self._is('source_version').source.number}"

    @property
    def source_collection(self) -> Any:
        """The collection it was logged into."""
        logged = self._is("source_collection")
        return faces.collection(logged.source_place, logged.source.name, logged.source.type)

    @property
    def source_artifact(self) -> Artifact:
        """The artifact that a link stands for; of one that is no link, itself."""
        logged = self._is("source_artifact")
        return Artifact._of(logged.source_place, logged.source) if self.is_link else self

    @property
    def is_link(self) -> bool:
        """Whether it was fetched as a link from a collection."""
        return self._logged is not None and self._logged.shown.link_to is not None

    @property
    def linked_artifacts(self) -> list[Artifact]:
        """The links of this project that stand for it; of a link none. Links of other projects are known there."""
        logged = self._is("linked_artifacts")
        return [] if self.is_link else [Artifact._of(logged.source_place, link) for link in logged.source.links()]

    @property
    def linked_at(self) -> str | None:
        """When it was linked; None if it is no link."""
        return self._is("linked_at").shown.created_at if self.is_link else None

    @property
    def url(self) -> str:
        """A text that tells where it is: the project file, and its name there."""
        logged = self._is("url")
        return f"{logged.place.file.as_uri()}#{self.name}"

    @property
    def commit_hash(self) -> str:
        """What changes with every version: its id."""
        return self._is("commit_hash").source.uid

    @property
    def file_count(self) -> int:
        """How many files it has."""
        return self._is("file_count").source.file_count

    @property
    def created_at(self) -> str:
        """When it was logged, UTC."""
        return self._is("created_at").source.created_at

    @property
    def updated_at(self) -> str:
        """When it was logged: when words about a version were last changed is not kept."""
        return self._is("updated_at").source.created_at

    @property
    def history_step(self) -> int | None:
        """The last step that the run had logged by then; None before the first."""
        return self._is("history_step").source.record.step

    # --- what may be changed ---

    @property
    def aliases(self) -> list[str]:
        """Its aliases in the collection it was fetched from; changes, also in place, are kept by ``save()``."""
        self._is("aliases")
        return self._aliases

    @aliases.setter
    def aliases(self, aliases: Iterable[str]) -> None:
        self._is("aliases")
        self._aliases = validate_aliases(aliases)

    @property
    def tags(self) -> list[str]:
        """Its tags; changes, also in place, are kept by ``save()``."""
        self._is("tags")
        return self._tags

    @tags.setter
    def tags(self, tags: Iterable[str]) -> None:
        self._is("tags")
        self._tags = validate_tags(tags)

    @property
    def ttl(self) -> timedelta | None:
        """How long it is to live from when it was logged; None is for good. Changes are kept by ``save()``.

        Nothing goes by itself: ``project.prune(expired=True)`` or ``lineage prune --expired`` takes what has
        outlived it.

        Raises:
            ArtifactNotLoggedError: It would be inherited, and the artifact is not saved.
        """
        if isinstance(self._ttl, ArtifactTTL):
            raise ArtifactNotLoggedError("Artifact.ttl", self)
        return self._ttl

    @ttl.setter
    def ttl(self, ttl: timedelta | ArtifactTTL | None) -> None:
        if self.is_link:
            message = "Unlink the artifact first then set the TTL for the source artifact"
            raise ValueError(f"Cannot set TTL for link artifact. {message}")
        if not isinstance(ttl, timedelta | ArtifactTTL | None):
            raise TypeError(f"ttl {ttl!r}: give a timedelta, ArtifactTTL.INHERIT, or None for good")
        if isinstance(ttl, timedelta) and ttl <= timedelta():
            raise ValueError(f"Artifact TTL Duration has to be positive. ttl: {ttl.total_seconds()}")
        self._ttl = ttl

    def save(self, project: str | None = None, settings: Any = None) -> None:
        """Keep what was changed; a draft is logged, by the active run or by a run of job type ``auto``.

        Args:
            project: For a draft without an active run: the project.
            settings: For that run.

        Raises:
            ValueError: An alias, a tag or metadata may not be; nothing is kept.
            CommError: It was deleted, or a protected alias would move.
        """
        if self._logged is None:
            run = faces.active_run()
            if run is not None:
                run.log_artifact(self)
                return
            with faces.auto_run(project, settings) as started:
                started.log_artifact(self)
            return
        self._save_changes(self._logged)

    def _save_changes(self, logged: Logged) -> None:
        """Write what was changed since it was read; what others changed meanwhile stays."""
        taken, aliases, tags = self._taken, validate_aliases(self._aliases), validate_tags(self._tags)
        ttl = None if isinstance(self._ttl, ArtifactTTL) else self._ttl
        metadata, description = validate_metadata(self._metadata), self._description or ""
        with as_wandb(), _one_batch(logged.source, logged.named):
            now = logged.source.refresh()
            now.update(
                description=description if description != (taken.description or "") else None,
                metadata=validate_metadata(merged(taken.metadata, metadata, now.metadata)),
                tags=merged_list(taken.tags, tags, now.tags),
                ttl=(ttl or timedelta.max) if ttl != taken.ttl else None,
            )
            _save_aliases(logged.named.refresh(), set(taken.aliases), aliases)
        self._bind(Logged(logged.place, logged.shown.refresh(), logged.source_place, logged.source.refresh()))

    # --- what lies around it ---

    @ensure_logged
    def new_draft(self) -> Artifact:
        """Return a draft with the same files, type, description and metadata: the next version of its name."""
        logged = self._is("new_draft")
        with as_wandb():
            return self._of_draft(logged.source_place, logged.source.new_draft())

    def logged_by(self) -> Any | None:
        """Return the run that logged it; None if no run did."""
        logged = self._is("logged_by")
        run = logged.source.logged_by()
        return None if run is None else faces.public_run(logged.source_place, run)

    def used_by(self) -> list[Any]:
        """Return the runs that used it: those of its project, and those of other projects that lie beside it."""
        logged = self._is("used_by")
        runs = [faces.public_run(logged.source_place, run) for run in logged.source.used_by()]
        return runs + [faces.public_run(*found) for found in _runs_elsewhere(logged)]

    def link(self, target_path: str, aliases: Iterable[str] | None = None) -> Artifact:
        """Put it into a collection and return it as it is known there; a draft is logged first.

        Args:
            target_path: ``[entity/][project/]collection``; the project is its own if not said.
            aliases: Names that move to it within the collection.

        Raises:
            ValueError: The path or an alias may not be, or the collection is of another type.
            CommError: The name is that of an artifact.
        """
        names = validate_aliases(aliases or [])
        path = ArtifactPath.parse(target_path)
        if path.alias is not None:
            raise ValueError(f"Invalid target path {target_path!r}: a link gets its version by itself")
        if self._logged is None:
            self.save()
        logged = self._is("link")
        target = logged.source_place.beside(path.project, path.entity)
        with as_wandb():
            shown = target.create().link(logged.source, path.name, aliases=names)
        return Artifact._of(target, shown)

    def unlink(self) -> None:
        """Take it out of the collection it was fetched from; the version itself stays.

        Raises:
            ValueError: It is no link.
        """
        logged = self._is("unlink")
        if not self.is_link:
            message = "use `Artifact.delete` instead"
            raise ValueError(f"{self.qualified_name!r} is not a linked artifact and cannot be unlinked; {message}")
        self._delete_link(logged)

    def _delete_link(self, logged: Logged) -> None:
        """Delete a link, and let the project of what it stands for know that it is gone."""
        with as_wandb():
            logged.shown.delete(delete_aliases=True)
            for use in logged.source.outside_uses() if logged.source_place != logged.place else ():
                if (use.kind, use.project, use.node) == ("linked", logged.place.project, logged.shown.name):
                    logged.source.forget_outside_use(use)

    def delete(self, delete_aliases: bool = False) -> None:
        """Delete the version: its node and edges stay, marked deleted, and ``gc`` frees its bytes. Of a link, the link.

        Raises:
            CommError: An alias names it, ``latest`` included, and `delete_aliases` is not set; or it was deleted.
        """
        logged = self._is("delete")
        if self.is_link:
            self._delete_link(logged)
            return
        with as_wandb():
            logged.shown.delete(delete_aliases=delete_aliases)

    def json_encode(self) -> dict[str, Any]:
        """Return what stands for it in a run's config."""
        self._is("json_encode")
        return {
            "_type": "artifactVersion",
            "_version": "v0",
            "id": self.id,
            "version": self.source_version,
            "sequenceName": self.source_name.split(":", maxsplit=1)[0],
            "usedAs": self.use_as,
        }


@contextmanager
def _one_batch(*versions: lineage.Version) -> Iterator[None]:
    """Write to the projects of versions all or nothing: none commits before all of the block is written.

    In the order of their files, so that two who save at once do not wait for each other.
    """
    stores = {version._store.path: version._store for version in versions}
    with ExitStack() as stack:
        for _, store in sorted(stores.items()):
            stack.enter_context(lineage.Project(store).batch())
        yield


def _runs_elsewhere(logged: Logged) -> Iterator[tuple[Place, lineage.Run]]:
    """Yield the runs of other projects that used a version, where those projects lie beside its own."""
    for use in logged.source.outside_uses():
        place = logged.source_place.beside(use.project)
        if use.kind == "consumed" and place.file.is_file():
            with suppress(lineage.NotFoundError):  # another file of that name, or a run that an undone batch took
                yield place, place.open().run(use.node)


def _save_aliases(version: lineage.Version, taken: set[str], aliases: list[str]) -> None:
    """Give a version the aliases that were added and take those that were removed, where it still bears them.

    ``latest`` stays on it until another is logged or linked.
    """
    wanted = {alias for alias in aliases if not alias_is_version_index(alias)}
    held = set(version.aliases)
    for alias in sorted(wanted - taken - held):
        version.add_alias(alias)
    for alias in sorted((taken - wanted) & held - {"latest"}):
        version.remove_alias(alias)
