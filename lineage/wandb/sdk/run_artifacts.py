"""A run's artifacts: what it logs, uses and links, and artifacts that several runs make together."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import lineage
from lineage.artifact import draft_parts
from lineage.jsondata import JsonObject
from lineage.values import is_uri
from lineage.wandb.errors import CommError, UsageError
from lineage.wandb.places import ARTIFACT_SCHEME, ArtifactPath, Place, find_uid
from lineage.wandb.sdk.artifacts._validators import validate_aliases, validate_metadata, validate_tags
from lineage.wandb.sdk.artifacts.artifact import Artifact
from lineage.wandb.sdk.artifacts.artifact_base import Logged
from lineage.wandb.sdk.artifacts.artifact_ttl import ArtifactTTL
from lineage.wandb.sdk.run_end import anyway
from lineage.wandb.sdk.run_names import default_name, part_name
from lineage.wandb.term import termwarn

_TAKEN: Final = "taken"
MODEL_REGISTRY: Final = "model-registry"


def find_artifact(place: Place, text: str) -> Artifact:
    """Return what a path names: ``[entity/][project/]name[:alias]``, or ``wandb-artifact://`` and one or an id.

    Raises:
        CommError: There is no such project, artifact or version.
        ValueError: It is no path.
    """
    if text.startswith(ARTIFACT_SCHEME):
        text = text.removeprefix(ARTIFACT_SCHEME)
        if text.startswith("_id/"):
            return Artifact._of(*find_uid(place, text.removeprefix("_id/")))
        *_, entity, project, name = ["", "", *text.split("/")]
        text = "/".join(part for part in (entity, project, name) if part)
    path = ArtifactPath.parse(text)
    where = place.beside(path.project, path.entity)
    project_ = where.open()
    try:
        return Artifact._of(where, project_.version(path.reference))
    except lineage.NotFoundError as error:
        raise _not_found(path, where, error) from error
    except lineage.InvalidInputError as error:
        if "@" in path.name:  # as W&B: an alias or a version, and no digest
            raise _not_found(path, where, error) from error
        raise


def _not_found(path: ArtifactPath, where: Place, error: Exception) -> CommError:
    """Return the error in W&B's words, with what lineage knows of why."""
    message = f"artifact membership {path.reference!r} not found in {f'{where.entity}/{where.project}'!r}"
    return CommError(f"{message}: {error}", error)


class RunArtifacts:
    """What one run does with artifacts.

    Args:
        project: The project it is in: the object that the run was started from.
        run: The run that keeps it.
        place: Where that project lies.
        names: The project that names resolve in; another one than `place` where nothing is to be recorded.
    """

    def __init__(self, project: lineage.Project, run: lineage.ActiveRun, place: Place, names: Place) -> None:
        self._project = project
        self._run = run
        self._place = place
        self._names = names
        self.outputs: dict[str, None] = {}
        """References of what was logged through this object, in their order."""

    def prepared(self, source: Artifact | str | os.PathLike[str], name: str | None, type: str | None) -> Artifact:
        """Return an artifact as it is, and a draft of a path.

        Raises:
            TypeError: It is neither.
        """
        if isinstance(source, Artifact):
            return source
        if not isinstance(source, str | os.PathLike):
            raise TypeError("You must pass an instance of wandb.Artifact or a valid file path to log_artifact")
        return path_artifact(source, name or self.default_name(source), type or "unspecified")

    def log(self, artifact: Artifact, aliases: Iterable[str] | None, tags: Iterable[str] | None) -> Artifact:
        """Log an artifact as an output of the run; ``Run.log_artifact`` documents it."""
        names, labels = validate_aliases(aliases or []), validate_tags(tags or [])
        draft = self._draft_of(artifact)
        try:
            version = anyway(self._run, lambda: self._run.log_artifact(draft, aliases=names, tags=labels))
        except lineage.ConflictError as error:
            raise CommError(str(error), error) from error
        return self._made(artifact, version)

    def _made(self, artifact: Artifact, version: lineage.Version) -> Artifact:
        artifact._bind(Logged.at(self._place, version))
        self.outputs[version.reference] = None
        return artifact

    def _draft_of(self, artifact: Artifact) -> lineage.Artifact:
        """Return the draft to log; one that was logged gives a draft of the same content, which comes back to it."""
        home = artifact._home if artifact._logged is None else artifact._logged.source_place
        if home is not None and home.file != self._place.file:
            message = f"Artifact {artifact.name!r} exists in project {home.project!r}; log its files as a new artifact"
            raise ValueError(f"{message} to have it in {self._place.project!r}")
        if artifact._logged is not None:
            return artifact._logged.source.new_draft()
        artifact._settle_in(self._place)
        draft = artifact._draft
        draft.description, draft.metadata = artifact._description, validate_metadata(artifact._metadata)
        draft.ttl = None if isinstance(artifact._ttl, ArtifactTTL) else artifact._ttl
        return draft

    def use(
        self, artifact_or_name: Artifact | str, type: str | None, aliases: Iterable[str] | None, use_as: str | None
    ) -> Artifact:
        """Record an artifact as an input of the run; ``Run.use_artifact`` documents it."""
        if isinstance(artifact_or_name, str):
            artifact = find_artifact(self._names, artifact_or_name)
        elif isinstance(artifact_or_name, Artifact):
            artifact = artifact_or_name
        else:
            message = "an instance of `wandb.Artifact`, or `wandb.Api().artifact()` to `use_artifact`"
            raise ValueError(  # noqa: TRY004 (as W&B)
                f'You must pass an artifact name (e.g. "pedestrian-dataset:v1"), {message}'
            )
        if type is not None and type != artifact.type:
            message = f"does not match type {artifact.type} of artifact {artifact.name}"
            raise ValueError(f"Supplied type {type} {message}")
        if artifact._logged is None:
            self._log_as_input(artifact, validate_aliases(aliases or []))
        elif aliases:
            termwarn("aliases are for drafts: those of a logged artifact are set by `artifact.aliases` and `save()`")
        artifact._use_as = use_as
        self._consume(artifact, use_as)
        return artifact

    def _log_as_input(self, artifact: Artifact, aliases: list[str]) -> None:
        """Log a draft that the run uses: it has no producer, since whoever made it is not known."""
        version = self._project.log_artifact(self._draft_of(artifact), aliases=aliases)
        artifact._bind(Logged.at(self._place, version))

    def _consume(self, artifact: Artifact, use_as: str | None) -> None:
        logged = artifact._is("use_artifact")
        if self._names.file != self._place.file:
            return
        try:
            self._run.use_artifact(logged.source, use_as)
        except (lineage.NotFoundError, lineage.ConflictError) as error:
            raise CommError(str(error), error) from error

    def link(self, artifact: Artifact, target_path: str, aliases: Iterable[str] | None) -> Artifact:
        """Put an artifact into a collection; a draft is logged first, as an output of the run."""
        if artifact._logged is None:
            self.log(artifact, None, None)
        path = ArtifactPath.parse(target_path)
        full = "/".join((path.entity or self._place.entity, path.project or self._place.project, path.name))
        return artifact.link(full if path.alias is None else target_path, aliases)

    # --- artifacts of several runs ---

    def upsert(self, artifact: Artifact, distributed_id: str | None) -> Artifact:
        """Add a part to an artifact that several runs make; ``finish`` makes the version of all parts.

        A part is a version of its own, ``<name>.part:vN``, so that the run that made it stays in the lineage.
        """
        identifier = self._group(distributed_id, "upsert")
        draft = self._draft_of(artifact)
        part = _copy_of(draft, incremental=False)
        part.name, part.description, part.metadata = part_name(draft.name), None, _part_words(draft, identifier)
        version = anyway(self._run, lambda: self._run.log_artifact(part, force_new_version=True))
        if artifact._logged is None:  # what was staged went into the part; who logs the draft yet finds it there
            artifact._draft = _empty_like(draft, incremental=draft.incremental)
            artifact._draft.add_entries(version.files())
        artifact.distributed_id = identifier
        artifact.finalize()
        return artifact

    def finish(self, artifact: Artifact, aliases: Iterable[str] | None, distributed_id: str | None) -> Artifact:
        """Make the version of all parts that were added under an id, and of the files of `artifact` itself.

        The run uses the parts of other runs and produces the version. All or nothing; a second call makes the next
        version, of the parts added since.
        """
        identifier = self._group(distributed_id, "finish")
        names = validate_aliases(aliases or [])
        given = self._draft_of(artifact)
        draft = _copy_of(given, incremental=given.incremental)
        wanted = {"metadata.distributed_id": identifier, "metadata.name": draft.name, "tags": {"$ne": _TAKEN}}
        with self._project.batch():
            for part in self._project.versions(wanted, artifact=part_name(draft.name), order="number"):
                draft.add_entries(part.files())
                draft.metadata = {**part.record.metadata["metadata"], **draft.metadata}  # type: ignore[dict-item]  # upsert put a dict there
                self._run.use_artifact(part, "part")
                part.update(tags=[_TAKEN])
            version = anyway(self._run, lambda: self._run.log_artifact(draft, aliases=names))
        artifact.distributed_id = identifier
        return self._made(artifact, version.refresh())

    def _group(self, distributed_id: str | None, verb: str) -> str:
        identifier = distributed_id or self._run.group
        if not identifier:
            message = f"Cannot {verb} artifact unless run is in a group or distributed_id is provided"
            raise TypeError(message)
        return identifier

    # --- models ---

    def use_model(self, name: str) -> str:
        """Use a model and return its one file, or the folder of its files; ``Run.use_model`` documents it."""
        if ":" not in name:
            name = f"{name}:latest"
        artifact = find_artifact(self._names, name)
        assert "model" in artifact.type.lower(), (  # W&B's scripts catch AssertionError
            "You can only use this method for 'model' artifacts. For an artifact to be a 'model' artifact, "
            "its type property must contain the substring 'model'."
        )
        self.use(artifact, None, None, None)
        folder = Path(artifact.download())
        files = list(artifact.manifest.entries)
        return str(folder / files[0]) if len(files) == 1 else str(folder)

    def link_model(
        self, path: str, registered_model_name: str, name: str | None, aliases: Iterable[str] | None
    ) -> Artifact | None:
        """Log a model, unless it is one of `name` already, and link it; ``Run.link_model`` documents it."""
        assert "/" not in registered_model_name, (
            "Please provide only the name of the registered model. Do not append the entity or project name."
        )
        name = name or self.default_name(path)
        artifact = path_artifact(path, name, "model")
        known = self._known_type(name)
        assert known is None or "model" in known.lower(), (
            "You can only use this method for 'model' artifacts. For an artifact to be a 'model' artifact, "
            "please pass type='model' when you create it."
        )
        artifact = self.log(artifact, aliases, None)
        return self.link(artifact, f"{MODEL_REGISTRY}/{registered_model_name}", aliases)

    def _known_type(self, name: str) -> str | None:
        try:
            return self._project.artifact(name.partition(":")[0]).type
        except lineage.NotFoundError:
            return None

    def default_name(self, path: str | os.PathLike[str]) -> str:
        """Return what the artifact of a path is called where nothing is said."""
        return default_name(self._run.id, Path(str(path)).name)


def _empty_like(draft: lineage.Artifact, *, incremental: bool) -> lineage.Artifact:
    copy = lineage.Artifact(draft.name, draft.type, draft.description, draft.metadata, incremental=incremental)
    copy.ttl = draft.ttl
    return copy


def _copy_of(draft: lineage.Artifact, *, incremental: bool) -> lineage.Artifact:
    """Return a draft of the same content to change and log: what goes wrong then leaves the caller's as it is."""
    copy = _empty_like(draft, incremental=incremental)
    items, copy._staging = draft_parts(draft)
    copy._tree.put(items, replace=True)
    return copy


def _part_words(draft: lineage.Artifact, identifier: str) -> JsonObject:
    return {
        "distributed_id": identifier,
        "name": draft.name,
        "metadata": draft.metadata,
        "description": draft.description,
    }


def path_artifact(path: str | os.PathLike[str], name: str, type: str) -> Artifact:
    """Return a draft of a file, a folder or a URI.

    Raises:
        ValueError: It is none of these.
    """
    artifact = Artifact(name, type)
    text = os.fspath(path)
    if os.path.isfile(text):  # noqa: PTH113 (pathlib's raises where a name is too long)
        artifact.add_file(text)
    elif os.path.isdir(text):  # noqa: PTH112 (likewise)
        artifact.add_dir(text)
    elif is_uri(text) and "://" in text:
        artifact.add_reference(text, None if text.partition(":")[0] in ("file", "http", "https", "s3", "gs") else name)
    else:
        raise ValueError("path must be a file, directory or externalreference like s3://bucket/path")
    return artifact


def finished(run_id: str, call: str) -> UsageError:
    """Return the error for a call on a run that has finished, in W&B's words."""
    message = f"Run ({run_id}) is finished. The call to `{call}` will be ignored. "
    return UsageError(message + "Please make sure that you are using an active run.")
