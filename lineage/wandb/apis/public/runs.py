"""Runs as the API gives them: read, edited after the fact, and listed by filter."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final, NoReturn

from lineage.edits import merged, merged_list, same
from lineage.records import RunRecord
from lineage.relations import html_table
from lineage.values import RunStatus
from lineage.wandb.apis.normalize import normalize_exceptions
from lineage.wandb.apis.public.artifacts import RunArtifacts
from lineage.wandb.apis.public.files import File, Files, save_file
from lineage.wandb.apis.public.filters import run_filter, run_order
from lineage.wandb.apis.public.history import HistoryScan, history_rows, module, sampled
from lineage.wandb.apis.public.lists import Made
from lineage.wandb.apis.public.run_facts import RunFacts
from lineage.wandb.errors import CommError, UnsupportedError, UsageError
from lineage.wandb.faces import faces
from lineage.wandb.paginator import Paginator
from lineage.wandb.places import Place
from lineage.wandb.plain import plain_dict
from lineage.wandb.sdk.artifacts._validators import validate_aliases, validate_tags
from lineage.wandb.sdk.artifacts.artifact import Artifact
from lineage.wandb.sdk.artifacts.artifact_base import Logged
from lineage.wandb.term import termerror, termwarn

_POLL: Final = 0.5
_EXISTING: Final = "Only existing artifacts are accepted by this api. Manually create one with `wandb artifact put`"
_GIVEN: Final = "You must pass a wandb.Api().artifact() to use_artifact"

UNSUPPORTED_OF_RUNS: Final[dict[str, str]] = {
    "stop": "nothing listens to a run from outside; end its process",
    "update_state": "a run's state is how it ended; a run whose process is gone is crashed",
    "console_logs": "the console is not captured; redirect it to a file and run.save() that",
    "download_history_exports": "scan_history() has every row, and nothing is to be downloaded",
}
"""What has no meaning for a run on a local project file, and what to do instead."""


class Run(RunFacts):
    """A run, as it was when asked for. What is changed of it is kept by ``update()``, or ``save()``.

    Args:
        place: The project.
        run: The run there.

    Attributes:
        name: What people call it.
        notes: Words about it.
        tags: Its tags.
        config: What it was told, without keys that begin with ``_``.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> place = Place(Path(tempfile.mkdtemp()), "mnist", "ada")
        >>> with place.create().start_run("train", "first", id="mine", config={"lr": 0.1}) as active:
        ...     active.log({"loss": 0.5})
        >>> run = Run(place, place.open().run("mine"))
        >>> run.summary.update({"test_iou": 0.7})
        >>> run, run.config, Run(place, place.open().run("mine")).summary
        (<Run ada/mnist/mine (finished)>, {'lr': 0.1}, {'loss': 0.5, 'test_iou': 0.7})
    """

    def __getattr__(self, name: str) -> Any:
        if name in UNSUPPORTED_OF_RUNS:
            return lambda *_, **__: refuse(f"Run.{name}", UNSUPPORTED_OF_RUNS[name])
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    # --- what may be changed ---

    @normalize_exceptions
    def update(self) -> None:
        """Keep changes of name, notes, tags, config and summary, all or none.

        Raises:
            CommError: One of them cannot be, or the run was deleted.
            UsageError: Config or summary of a run that is running: its own process writes them.
        """
        self._write("name", "notes", "tags", "config", "summary")

    save = update

    def _take(self) -> None:
        super()._take()
        record = self._run.record
        told = {key: value for key, value in record.config.items() if not key.startswith("_")}
        words = {"name": record.name, "notes": record.notes or "", "tags": list(record.tags)}
        self._taken: dict[str, Any] = {**words, "config": told, "summary": record.summary}

    def _words(self) -> dict[str, Any]:
        """Return what can be changed, as it is in this object, sharing nothing with it."""
        return {
            "name": self.name,
            "notes": self.notes or "",
            "tags": list(self.tags),
            "config": plain_dict(self.config, "config"),
            "summary": self._summary.as_dict(),
        }

    def _write(self, *keys: str) -> None:
        """Write what was changed of this since it was read; what others changed meanwhile stays."""
        wanted = self._words()
        with self._project.batch():
            changes = self._changes(wanted, self._run.refresh().record)
            self._run.update(**{key: value for key, value in changes.items() if key in keys})
        self._taken |= {key: wanted[key] for key in keys}

    def _changes(self, wanted: dict[str, Any], now: RunRecord) -> dict[str, Any]:
        """Return what was changed since it was read, put into what is there now."""
        taken = self._taken
        changes = {key: wanted[key] for key in ("name", "notes") if wanted[key] != taken[key]}
        if set(wanted["tags"]) != set(taken["tags"]):
            changes["tags"] = merged_list(taken["tags"], wanted["tags"], now.tags)
        for key, current in (("config", now.config), ("summary", now.summary)):
            if not same(wanted[key], taken[key]):
                changes[key] = merged(taken[key], wanted[key], current)
        return changes

    @normalize_exceptions
    def _keep_summary(self) -> None:
        self._write("summary")

    @normalize_exceptions
    def load(self, force: bool = False) -> dict[str, Any]:
        """Return what it is as a dict by W&B's names.

        Args:
            force: Read it again; what was changed and not saved is dropped.

        Raises:
            CommError: It is there no more.
        """
        if force:
            self._run.refresh()
            self._take()
        return {
            "id": self.storage_id,
            "name": self.id,
            "displayName": self.name,
            "state": self.state,
            "tags": self.tags,
            "notes": self.notes,
            "group": self.group,
            "jobType": self.job_type,
            "createdAt": self.created_at,
            "config": self.config,
            "summaryMetrics": self.summary_metrics,
        }

    load_full_data = load

    @normalize_exceptions
    def delete(self, delete_artifacts: bool = False) -> None:
        """Delete it; its node and edges stay in the lineage, marked deleted.

        Args:
            delete_artifacts: The versions it logged too, whatever aliases they have.

        Raises:
            UsageError: It is running.
            CommError: An alias of a version is protected.
        """
        self._run.delete(delete_versions=delete_artifacts, delete_aliases=delete_artifacts)

    @normalize_exceptions
    def wait_until_finished(self) -> None:
        """Return when it runs no more, however it ended; a run whose process is gone has crashed."""
        while self._run.refresh().status == RunStatus.RUNNING:
            time.sleep(_POLL)

    # --- metrics ---

    @normalize_exceptions
    def history(
        self,
        samples: int = 500,
        keys: list[str] | None = None,
        x_axis: str = "_step",
        pandas: bool = True,
        stream: str = "default",
    ) -> Any:
        """Return what it logged, so many rows of it: a pandas DataFrame, or a list of dicts where pandas is not.

        Args:
            samples: At most so many rows, spread evenly.
            keys: Only rows that have all of these metrics.
            x_axis: The metric that each row must have beside `keys`.
            pandas: False for a list of dicts.
            stream: ``system`` is empty: the machine is not measured.
        """
        if keys is not None and not (isinstance(keys, list) and all(isinstance(key, str) for key in keys)):
            termerror("keys must be specified in a list of strings")
            return []
        if keys and stream != "default":
            termerror("stream must be default when specifying keys")
            return []
        wanted = list(dict.fromkeys([x_axis, *keys])) if keys else None
        rows = sampled(history_rows(self._run, wanted), samples) if stream == "default" else []
        table = module("pandas") if pandas else None
        if pandas and table is None:
            termwarn("Unable to load pandas, call history with pandas=False")
        return rows if table is None else table.DataFrame.from_records(rows)

    @normalize_exceptions
    def scan_history(
        self,
        keys: list[str] | None = None,
        page_size: int = 1_000,
        min_step: int = 0,
        max_step: int | None = None,
        use_cache: bool = True,
    ) -> HistoryScan:
        """Return every row it logged, to be gone through.

        Args:
            keys: Only rows that have all of these metrics, and of them only these.
            page_size: Accepted.
            min_step: From this step on.
            max_step: Before this step.
            use_cache: Accepted.

        Raises:
            CommError: The keys are no list of text; it is a ValueError too.
        """
        if keys is not None and not (isinstance(keys, list) and all(isinstance(key, str) for key in keys)):
            raise ValueError("keys must be specified in a list of strings")
        return HistoryScan(self._run, keys=keys, min_step=min_step, max_step=max_step, page_size=page_size)

    beta_scan_history = scan_history

    # --- artifacts ---

    @normalize_exceptions
    def logged_artifacts(self, per_page: int = 100) -> RunArtifacts:
        """Return the artifacts it logged; its files and media are apart."""
        return RunArtifacts(self._place, self._run, "logged", per_page)

    @normalize_exceptions
    def used_artifacts(self, per_page: int = 100) -> RunArtifacts:
        """Return the artifacts it used, each as the project knows it that it is of."""
        return RunArtifacts(self._place, self._run, "used", per_page)

    @normalize_exceptions
    def use_artifact(self, artifact: Artifact, use_as: str | None = None) -> Artifact:
        """Say that it used an artifact, also after it has ended.

        Raises:
            CommError: It is no artifact, or a draft, or was deleted; for the first two it is a ValueError too.
            CycleError: The run is upstream of it.
        """
        if not isinstance(artifact, Artifact):
            raise ValueError(_GIVEN)  # noqa: TRY004 (as W&B)
        if artifact.is_draft():
            raise ValueError(_EXISTING)
        self._project.record(self._run, consumed={artifact._is("use_artifact").source: use_as})
        return artifact

    @normalize_exceptions
    def log_artifact(
        self, artifact: Artifact, aliases: Iterable[str] | None = None, tags: Iterable[str] | None = None
    ) -> Artifact:
        """Say that it produced an artifact that is there; of one that a run produced before, it is a reproducer.

        Args:
            artifact: What ``Api().artifact()`` gave, of the run's project.
            aliases: Names that move to it.
            tags: Labels it gets beside its own.

        Raises:
            CommError: It is no artifact (a TypeError too), or a draft or of another project (a ValueError too).
            CycleError: The run is downstream of it.
        """
        if not isinstance(artifact, Artifact):
            raise TypeError(_GIVEN)
        if artifact.is_draft():
            raise ValueError(_EXISTING)
        logged = artifact._is("log_artifact")
        if logged.source_place.file != self._place.file:
            raise ValueError("A run can't log an artifact to a different project.")
        names, labels = validate_aliases(aliases or []), validate_tags(tags or [])
        with self._project.batch():
            source = self._project.version_by_uid(logged.source.uid)  # in this project's own transaction
            self._project.record(self._run, produced=[source])
            for alias in names:
                if alias != "latest":  # it follows what is logged, and this was
                    source.add_alias(alias)
            source.update(tags=list(dict.fromkeys([*source.tags, *labels])))
        artifact._bind(Logged.at(logged.place, logged.shown.refresh()))
        return artifact

    # --- files ---

    @normalize_exceptions
    def files(self, names: list[str] | None = None, pattern: str | None = None, per_page: int = 50) -> Files:
        """Return the files it saved.

        Args:
            names: Only these.
            pattern: Only those that are like this, where ``%`` is any text and ``_`` a character.
            per_page: Accepted.
        """
        return Files(self._place, self.id, names, per_page, pattern)

    @normalize_exceptions
    def file(self, name: str) -> File:
        """Return one of the files it saved.

        Raises:
            CommError: It saved none of this name.
        """
        found = Files(self._place, self.id, [name])
        if not found:
            raise CommError(f"file {name!r} not found in run {'/'.join(self.path)}")
        return found[0]

    @normalize_exceptions
    def upload_file(self, path: str | os.PathLike[str], root: str = ".") -> File:
        """Save a file with it, also after it has ended, and return it.

        Args:
            path: The file.
            root: The folder from which its name is taken.

        Raises:
            CommError: There is no such file, or it is not below `root`; it is a ValueError too.
        """
        return self.file(save_file(self._project, self._run, path, root))

    # --- notebooks ---

    def to_html(self, height: int = 420, hidden: bool = False) -> str:
        """Return it as a small table for a notebook."""
        rows = {"project": self._place.file, "config": self.config, "summary": self.summary}
        return html_table(repr(self), rows)

    def _repr_html_(self) -> str:
        return self.to_html()

    def display(self, height: int = 420, hidden: bool = False) -> bool:
        """Return False: there is no page to show."""
        return False


def refuse(call: str, instead: str) -> NoReturn:
    """Raise for a call that has no meaning here."""
    raise UnsupportedError(f"{call}: {instead}")


class Runs(Paginator[Run]):
    """The runs of a project that pass a filter; each loop over it begins anew.

    Args:
        place: The project.
        filters: W&B's filter language, as README.md has it.
        order: ``created_at``, ``heartbeat_at``, ``config.<key>.value``, ``summary_metrics.<key>``, with ``-`` for
            falling; missing values come last.
        per_page: Accepted.
        include_sweeps: Accepted; there are none.
        lazy: Accepted; what is looked at is loaded.

    Raises:
        CommError: There is no such project.
        ValueError: The filter or the order cannot be; the message names the key.
    """

    def __init__(
        self,
        place: Place,
        filters: Mapping[str, Any] | None = None,
        order: str = "+created_at",
        per_page: int = 50,
        include_sweeps: bool = False,
        lazy: bool = True,
    ) -> None:
        self.entity, self.project = place.entity, place.project
        self.filters, self.order = dict(filters or {}), order
        found = place.open().runs(run_filter(filters), order=run_order(order))
        super().__init__(Made(found, lambda run: Run(place, run)), per_page=per_page)

    def __repr__(self) -> str:
        return f"<Runs {self.entity}/{self.project}>"

    def upgrade_to_full(self) -> None:
        """Do nothing: runs are loaded whole."""

    def histories(
        self,
        samples: int = 500,
        keys: list[str] | None = None,
        x_axis: str = "_step",
        format: str = "default",
        stream: str = "default",
    ) -> Any:
        """Return what the runs logged as one list of dicts, or as one table, each row with its ``run_id``.

        Args:
            samples: At most so many rows of each run.
            keys: Only rows that have all of these metrics.
            x_axis: The metric that each row must have beside `keys`.
            format: ``default``, ``pandas`` or ``polars``.
            stream: ``system`` is empty.

        Raises:
            ValueError: The format is none of these.
            UsageError: The package of the format is not installed.
        """
        if format not in ("default", "pandas", "polars"):
            raise ValueError(f"Invalid format: {format}. Must be one of 'default', 'pandas', 'polars'")
        rows: list[dict[str, Any]] = []
        for run in self:
            found = run.history(samples, keys, x_axis, pandas=False, stream=stream)
            rows += [{**row, "run_id": run.id} for row in found]
        if format == "default":
            return rows
        table = module(format)
        if table is None:
            raise UsageError(f"format {format!r} needs the package {format}: pip install {format}")
        columns = sorted({key for row in rows for key in row})
        return table.DataFrame([{key: row.get(key) for key in columns} for row in rows])


faces.public_run = Run
