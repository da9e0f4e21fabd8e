"""W&B's Run: what a script does while it runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import lineage
from lineage.relations import html_table
from lineage.values import RunStatus
from lineage.wandb.places import Place
from lineage.wandb.sdk.artifacts.artifact import Artifact
from lineage.wandb.sdk.run_accepted import Accepted
from lineage.wandb.sdk.run_artifacts import RunArtifacts, find_artifact, finished
from lineage.wandb.sdk.run_end import KILLED, anyway, exit_code_of, exit_hooks
from lineage.wandb.sdk.run_files import RunFiles
from lineage.wandb.sdk.run_history import History
from lineage.wandb.sdk.run_names import own_name
from lineage.wandb.sdk.run_nowhere import remove_folder
from lineage.wandb.sdk.wandb_config import Config
from lineage.wandb.sdk.wandb_metric import Metric
from lineage.wandb.sdk.wandb_settings import Settings, checked_tags, safe_label
from lineage.wandb.sdk.wandb_summary import Summary
from lineage.wandb.term import termerror, termlog, termwarn


class Run(Accepted):
    """A run while it runs; ``wandb.init()`` gives one. Use it as a context manager, or call ``finish()``.

    A script that does neither has its run finished when it ends: as failed if an exception ended it.

    Args:
        project: The project it is in.
        run: lineage's own run.
        place: Where that project lies.
        settings: What ``init`` was told.
        resumed: Whether it goes on with a run that was there.
        names: The project that names of artifacts resolve in; another where nothing is to be recorded.
    """

    def __init__(
        self,
        project: lineage.Project,
        run: lineage.ActiveRun,
        place: Place,
        settings: Settings,
        *,
        resumed: bool = False,
        names: Place | None = None,
    ) -> None:
        self._run = run
        self._place = place
        self._pid = os.getpid()
        self._ended = False
        self._on_finish: list[Callable[[Run, int], None]] = []
        self._names = names or place
        self.settings = settings
        self.resumed = resumed
        self._started = datetime.fromisoformat(run.started_at).timestamp()
        self._artifacts = RunArtifacts(project, run, place, self._names)
        self._files = RunFiles(run, place.folder)
        self._config = Config(
            run.config,
            self._check,
            self._find,
            self._use_for,
            allow_val_change=bool(settings.allow_val_change),
            guard=run._changing,
        )
        self._summary = Summary(run.summary, self._check, run._changing)
        self._history = History(project, run, self._summary, self._started)
        self.starting_step = self._history.step

    def __repr__(self) -> str:
        return f"<Run {self.path} ({'finished' if self._ended else 'running'})>"

    def _repr_html_(self) -> str:
        return self.to_html()

    def to_html(self, height: int = 420, hidden: bool = False) -> str:
        """Return the run as a small table for a notebook."""
        rows = {"project": str(self._place.file), "config": self._config, "summary": self._summary}
        return html_table(repr(self), rows)

    def _check(self, call: str) -> None:
        if self._ended:
            raise finished(self.id, call)

    def _find(self, text: str) -> Artifact:
        return find_artifact(self._names, text)

    def _use_for(self, key: str, artifact: Artifact) -> Artifact:
        return self._artifacts.use(artifact, None, None, key)

    # --- what it is ---

    @property
    def id(self) -> str:
        """What is unique across projects."""
        return self._run.id

    @property
    def entity(self) -> str:
        """The entity it was started under: a label."""
        return self._place.entity

    @property
    def project(self) -> str:
        """The project it is in."""
        return self._names.project

    @property
    def path(self) -> str:
        """``entity/project/id``."""
        return f"{self.entity}/{self.project}/{self.id}"

    @property
    def name(self) -> str:
        """What people call it; setting it changes it at once."""
        return self._run.name

    @name.setter
    def name(self, name: str) -> None:
        self._check("name")
        self._run.update(name=safe_label(name))

    @property
    def notes(self) -> str | None:
        """Words about it; setting them changes them at once."""
        return self._run.notes

    @notes.setter
    def notes(self, notes: str | None) -> None:
        self._check("notes")
        self._run.update(notes=notes or "")

    @property
    def tags(self) -> tuple[str, ...]:
        """Its tags; setting them changes them at once, and tags that may not be are left out with a warning."""
        return self._run.tags

    @tags.setter
    def tags(self, tags: Sequence[str]) -> None:
        self._check("tags")
        try:
            self._run.update(tags=checked_tags(tags))
        except lineage.InvalidInputError as error:
            termwarn(f"tags stay as they were: {error}")

    @property
    def group(self) -> str:
        """The runs it belongs to; empty if none was said."""
        return self._run.group or ""

    @property
    def job_type(self) -> str:
        """The step of a pipeline it does; empty if none was said."""
        return self._run.job_type or ""

    @property
    def config(self) -> Config:
        """What it was told."""
        return self._config

    @property
    def config_static(self) -> Mapping[str, Any]:
        """What it was told, as a dict of its own."""
        return self._config.as_dict()

    @property
    def summary(self) -> Summary:
        """What it comes to."""
        return self._summary

    @property
    def step(self) -> int:
        """The step that the next ``log`` without one writes to."""
        return self._history.step

    @property
    def start_time(self) -> float:
        """When it started, in seconds since 1970."""
        return self._started

    @property
    def disabled(self) -> bool:
        """Whether nothing of it is kept."""
        return self.settings.mode == "disabled"

    @property
    def offline(self) -> bool:
        """Whether it was asked to be offline; it does the same either way."""
        return self.settings.mode in ("offline", "dryrun")

    @property
    def dir(self) -> str:
        """A folder for files of the run; what lies in it when the run finishes is saved."""
        return str(self._files.folder)

    @property
    def sync_dir(self) -> str:
        """The folder above :attr:`dir`."""
        return str(self._files.folder.parent)

    @property
    def url(self) -> str:
        """A text that tells where it is: the project file, and its id."""
        return f"{self._place.file.as_uri()}#{self.id}"

    @property
    def project_url(self) -> str:
        """A text that tells where its project is."""
        return self._place.file.as_uri()

    def get_url(self) -> str:
        """Return :attr:`url`; W&B's older word."""
        return self.url

    def get_project_url(self) -> str:
        """Return :attr:`project_url`; W&B's older word."""
        return self.project_url

    def project_name(self) -> str:
        """Return :attr:`project`; W&B's older word."""
        return self.project

    # --- metrics ---

    def log(
        self,
        data: dict[str, Any],
        step: int | None = None,
        commit: bool | None = None,
        sync: bool | None = None,
    ) -> None:
        """Log metrics, media and tables at a step.

        Args:
            data: Names to values; nested dicts are joined by dots. A table or an image becomes a file of an
                artifact of the run, from which ``artifact.get(name)`` reads it back.
            step: Where to; lower than the run's step, the call is dropped with a warning.
            commit: Go on to the next step; True unless a step is given.
            sync: Accepted.

        Raises:
            TypeError: It is no dict, a key is no text, or a value is none that can be kept.
            UsageError: The run has finished.
        """
        self._check("log")
        exit_hooks.goes_on()
        self._history.log(data, step, commit)

    def define_metric(
        self,
        name: str,
        step_metric: str | Metric | None = None,
        step_sync: bool | None = None,
        hidden: bool | None = None,
        summary: str | None = None,
        overwrite: bool | None = None,
        goal: str | None = None,
    ) -> Metric:
        """Say which step a metric goes by, and what of it the summary keeps: min, max, mean, first, last, best, none.

        Raises:
            Error: The name, the summary or the goal cannot be.
            UsageError: The run has finished.
        """
        self._check("define_metric")
        words = {"step_metric": step_metric, "hidden": hidden, "summary": summary, "goal": goal, "overwrite": overwrite}
        metric = self._history.define(name, **words)
        hidden_config = dict(self._run.config.get("_wandb", {}))
        self._run.config["_wandb"] = {**hidden_config, "metrics": self._history.rules.documents()}
        return metric

    # --- artifacts ---

    def log_artifact(
        self,
        artifact_or_path: Artifact | str | os.PathLike[str],
        name: str | None = None,
        type: str | None = None,
        aliases: list[str] | None = None,
        tags: list[str] | None = None,
    ) -> Artifact:
        """Log an artifact, or a file, folder or URI, as an output of the run; when it returns, it is on the disk.

        Content that a version of the name has already gives that version: the aliases are applied, and the run is
        noted as having reproduced it. ``latest`` always names what was logged last.

        Args:
            artifact_or_path: What to log.
            name: For a path: the artifact's name; ``run-<id>-<file name>`` if not said.
            type: For a path: its type; ``unspecified`` if not said.
            aliases: Names that move to it.
            tags: Labels.

        Raises:
            ValueError: There is nothing of that path, the name is of another type, or an alias or tag may not be.
            UsageError: The run has finished.
        """
        self._check("log_artifact")
        return self._artifacts.log(self._artifacts.prepared(artifact_or_path, name, type), aliases, tags)

    def use_artifact(
        self,
        artifact_or_name: Artifact | str,
        type: str | None = None,
        aliases: list[str] | None = None,
        use_as: str | None = None,
    ) -> Artifact:
        """Record an artifact as an input of the run, and return it. A second call changes nothing.

        Args:
            artifact_or_name: ``[entity/][project/]name[:alias]``, or an artifact; a draft is logged first, without
                a producer. Of an artifact of another project the run's project keeps the node.
            type: The type it must have.
            aliases: For a draft.
            use_as: What the run uses it as.

        Raises:
            CommError: There is none, or it was deleted.
            ValueError: It is of another type, or what was given names nothing.
            CycleError: The run is upstream of it.
            UsageError: The run has finished.
        """
        self._check("use_artifact")
        return self._artifacts.use(artifact_or_name, type, aliases, use_as)

    def link_artifact(self, artifact: Artifact, target_path: str, aliases: list[str] | None = None) -> Artifact:
        """Put an artifact into a collection, such as one of a registry; a draft is logged first. See Artifact.link."""
        self._check("link_artifact")
        return self._artifacts.link(artifact, target_path, aliases)

    def upsert_artifact(
        self,
        artifact_or_path: Artifact | str,
        name: str | None = None,
        type: str | None = None,
        aliases: list[str] | None = None,
        distributed_id: str | None = None,
    ) -> Artifact:
        """Add files to an artifact that the runs of a group make together; see :meth:`finish_artifact`.

        Raises:
            TypeError: The run has no group, and no `distributed_id` is given.
        """
        self._check("upsert_artifact")
        return self._artifacts.upsert(self._artifacts.prepared(artifact_or_path, name, type), distributed_id)

    def finish_artifact(
        self,
        artifact_or_path: Artifact | str,
        name: str | None = None,
        type: str | None = None,
        aliases: list[str] | None = None,
        distributed_id: str | None = None,
    ) -> Artifact:
        """Make the version of all that was upserted under the run's group, or an id, and of this artifact's files.

        Raises:
            TypeError: The run has no group, and no `distributed_id` is given.
            ValueError: Two parts have other content at one path; nothing is logged.
        """
        self._check("finish_artifact")
        return self._artifacts.finish(self._artifacts.prepared(artifact_or_path, name, type), aliases, distributed_id)

    def log_model(
        self, path: str | os.PathLike[str], name: str | None = None, aliases: list[str] | None = None
    ) -> None:
        """Log a file or folder as an artifact of type ``model``; ``run-<id>-<file name>`` if no name is said."""
        self._check("log_model")
        self.log_artifact(path, name, "model", aliases)

    def use_model(self, name: str) -> str:
        """Use and download a model; return its one file, or the folder of its files.

        Raises:
            AssertionError: Its type does not have ``model`` in it.
            CommError: There is none.
        """
        self._check("use_model")
        return self._artifacts.use_model(name)

    def link_model(
        self,
        path: str | os.PathLike[str],
        registered_model_name: str,
        name: str | None = None,
        aliases: list[str] | None = None,
    ) -> Artifact | None:
        """Log a model and link it into the collection of that name in the project ``model-registry``.

        Raises:
            AssertionError: The name has a slash, or the artifact of `name` is no model.
        """
        self._check("link_model")
        return self._artifacts.link_model(os.fspath(path), registered_model_name, name, aliases)

    def log_code(
        self,
        root: str | None = ".",
        name: str | None = None,
        include_fn: Callable[..., bool] | None = None,
        exclude_fn: Callable[..., bool] | None = None,
    ) -> Artifact | None:
        """Keep the source files below a folder as an artifact of type ``code``; None if there are none."""
        self._check("log_code")
        version = self._files.log_code(root or ".", name, include_fn, exclude_fn)
        return None if version is None else Artifact._of(self._place, version)

    # --- files ---

    def save(
        self,
        glob_str: str | os.PathLike[str],
        base_path: str | os.PathLike[str] | None = None,
        policy: str = "live",
        glob: bool = True,
    ) -> list[str]:
        """Save files with the run, in its artifact ``run-<id>-files``, and return their paths.

        Args:
            glob_str: A path, or a pattern such as ``checkpoints/*.pt``.
            base_path: The folder from which their names are taken.
            policy: ``now`` saves once; ``live`` and ``end`` save them again when the run finishes.
            glob: Accepted; a path without wildcards is one that finds itself.

        Raises:
            ValueError: The policy is none of these, or the base is not above the files.
        """
        self._check("save")
        return self._files.save(glob_str, base_path, policy)

    def restore(
        self, name: str, run_path: str | None = None, replace: bool = False, root: str | None = None
    ) -> IO[str] | None:
        """Bring back a file that a run saved, and return it, open for reading.

        Args:
            name: Its name.
            run_path: The run, ``[entity/][project/]id``; this one if not said.
            replace: Write over a file that is there.
            root: Where to; :attr:`dir` if not said.

        Raises:
            ValueError: The run saved no such file.
        """
        folder = Path(root or self.dir)
        target = folder / name
        if target.exists() and not replace:
            return target.open(encoding="utf-8")
        *project, run_id = (run_path or self.id).split("/")
        place = self._names.beside(project[-1] if project else None)
        try:
            place.open().version(own_name(run_id, "files")).download(folder, paths=[name])
        except (lineage.NotFoundError, lineage.InvalidInputError) as error:
            raise ValueError(f"File {name} not found in run {run_path or self.id}.") from error
        return target.open(encoding="utf-8")

    # --- its end ---

    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:
        """Write what is left and mark the run finished; a second call does nothing.

        Args:
            exit_code: 0, or not said, is ``finished``; another is ``failed``.
            quiet: Accepted.
        """
        code = exit_code or 0
        status = RunStatus.KILLED if code == KILLED else None
        self._end(code, lambda: self._run.finish(status, exit_code=code))

    def _end(self, code: int, finish: Callable[[], None]) -> None:
        if self._ended or self._pid != os.getpid():
            return
        try:
            self._files.finish()
            anyway(self._run, finish)
            self._ended = True
        finally:  # whatever went wrong, the run is no longer the active one
            told, self._on_finish = self._on_finish, []
            for tell in told:
                tell(self, code)
            if self.disabled:
                remove_folder(self._place.folder)
        if not self.disabled:
            termlog(f"run {self.name} ({self.id}) {'finished' if not code else 'failed'}: {self._outcome()}")

    def _outcome(self) -> str:
        outputs = list(self._artifacts.outputs)
        shown = ", ".join(outputs[:5]) + (", …" if len(outputs) > 5 else "")  # noqa: PLR2004 (as many as fit a line)
        return f"{self._place.file.name}: {shown or 'nothing logged'}"

    join = finish

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._end(exit_code_of(error), lambda: self._run.__exit__(kind, error, trace))
        except lineage.LineageError as failure:
            if error is None:
                raise
            termerror(f"run {self.id} could not be finished: {failure}")  # the error that ended the block goes on
