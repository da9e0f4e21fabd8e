"""What can be read of a run, whether or not it has ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import lineage
from lineage.attributes import Document
from lineage.statements import runs
from lineage.wandb.apis.normalize import normalize_exceptions
from lineage.wandb.apis.public.users import User
from lineage.wandb.errors import UnsupportedError
from lineage.wandb.places import Place
from lineage.wandb.sdk.wandb_summary import Summary

_AS_STARTED: Final = "group and job type of a run stay what it was started with; mark it with a tag, or a key of config"


class HTTPSummary(Summary):
    """A run's summary; changes are kept by ``update()``, or by the run's ``update()``.

    Args:
        data: What it begins with.
        keep: Writes it.
    """

    def __init__(self, data: Mapping[str, Any], keep: Callable[[], None]) -> None:
        super().__init__(Document(deepcopy(dict(data)), "summary"), lambda _: None)
        object.__setattr__(self, "_keep", keep)

    def update(self, d: Mapping[str, Any] | None = None, overwrite: bool = True) -> None:
        """Set several values, and keep these and all changes before.

        Args:
            d: Names to values.
            overwrite: Also where there is a value.

        Raises:
            UsageError: The run is running; its own process writes its summary.
        """
        super().update({key: value for key, value in (d or {}).items() if overwrite or key not in self})
        self._keep()

    def as_dict(self) -> dict[str, Any]:
        """Return it as a dict of its own."""
        return deepcopy(dict(self._document))


class RunFacts:
    """The attributes of a run, as they were when it was asked for; :class:`~lineage.wandb.apis.public.runs.Run`."""

    def __init__(self, place: Place, run: lineage.Run) -> None:
        self._place = place
        self._run = run
        self._project = lineage.Project(run._store)
        self._take()

    def _take(self) -> None:
        record = self._run.record
        self.name = record.name
        self.notes = record.notes
        self.tags = list(record.tags)
        self.config: dict[str, Any] = {
            key: deepcopy(value) for key, value in record.config.items() if not key.startswith("_")
        }
        self._summary = HTTPSummary(record.summary, self._keep_summary)

    @normalize_exceptions
    def _keep_summary(self) -> None:
        self._run.update(summary=self._summary.as_dict())

    def __repr__(self) -> str:
        return f"<Run {'/'.join(self.path)} ({self.state})>"

    @property
    def id(self) -> str:
        """What is unique across projects."""
        return self._run.id

    @property
    def storage_id(self) -> str:
        """The same."""
        return self.id

    @property
    def display_name(self) -> str:
        """Its name; W&B's other word."""
        return self.name

    @display_name.setter
    def display_name(self, name: str) -> None:
        self.name = name

    @property
    def state(self) -> str:
        """``running``, ``finished``, ``failed``, ``killed`` or ``crashed``."""
        return str(self._run.status)

    @property
    def entity(self) -> str:
        """The entity of its project: a label."""
        return self._place.entity

    @property
    def project(self) -> str:
        """The project it is in."""
        return self._place.project

    @property
    def path(self) -> list[str]:
        """Entity, project and id."""
        return [self.entity, self.project, self.id]

    @property
    def url(self) -> str:
        """A text that tells where it is: the project file, and its id."""
        return f"{self._place.file.as_uri()}#{self.id}"

    @property
    def username(self) -> str:
        """The name of the user who started it."""
        return self._run.record.user or self.entity

    @property
    def user(self) -> User:
        """The user who started it."""
        return User(self.username, self.entity)

    @property
    def group(self) -> str | None:
        """The runs it belongs to; it stays what it was started with."""
        return self._run.group

    @group.setter
    def group(self, group: str | None) -> None:
        raise UnsupportedError(_AS_STARTED)

    @property
    def job_type(self) -> str | None:
        """The step of a pipeline it did; it stays what it was started with."""
        return self._run.job_type

    @job_type.setter
    def job_type(self, job_type: str | None) -> None:
        raise UnsupportedError(_AS_STARTED)

    @property
    def created_at(self) -> str:
        """When it started, UTC."""
        return self._run.record.started_at

    @property
    def heartbeat_at(self) -> str:
        """When it ended; of a run that has not, when it last logged a metric."""
        ended = self._run.record.ended_at
        if ended is not None:
            return ended
        last = self._last_metric()
        return self.created_at if last is None else last[1]

    def _last_metric(self) -> tuple[int, str] | None:
        """Return the last step and when it was logged, without reading the others."""
        with self._run._store.database.read() as connection:
            return runs.last_metric(connection, self._run._current(connection).key)

    @property
    def rawconfig(self) -> dict[str, Any]:
        """What it was told, with keys that begin with ``_``."""
        hidden = {key: value for key, value in self._run.config.items() if key.startswith("_")}
        return {**deepcopy(hidden), **self.config}

    @property
    def json_config(self) -> str:
        """The config as W&B writes it: JSON with ``value`` and ``desc`` for each key."""
        return json.dumps({key: {"value": value, "desc": None} for key, value in self.rawconfig.items()})

    @property
    def summary(self) -> HTTPSummary:
        """What it came to; ``update()`` keeps changes."""
        return self._summary

    @property
    def summary_metrics(self) -> dict[str, Any]:
        """What it came to, as a dict."""
        return self._summary.as_dict()

    @property
    def system_metrics(self) -> dict[str, Any]:
        """Empty: the machine is not measured."""
        return {}

    @property
    def metadata(self) -> dict[str, Any]:
        """What is known of its program and its machine, by W&B's names."""
        record = self._run.record
        code, environment = record.code, record.environment
        command = [str(part) for part in code.get("command") or []]  # type: ignore[union-attr]  # a list of text
        script = code.get("script")
        git = {"remote": code.get("git_remote"), "commit": code.get("git_commit"), "branch": code.get("git_branch")}
        known = {
            "os": environment.get("platform"),
            "python": environment.get("python"),
            "startedAt": record.started_at,
            "program": script,
            "codePath": script,
            "executable": command[0] if command else None,
            "args": _arguments(command, str(script)),
            "host": record.host,
            "username": record.user,
            "git": {key: value for key, value in git.items() if value is not None} or None,
        }
        return {key: value for key, value in known.items() if value is not None}

    @property
    def lastHistoryStep(self) -> int:  # noqa: N802 (W&B's name)
        """The last step it logged; -1 if it logged none."""
        last = self._last_metric()
        return -1 if last is None else last[0]

    @property
    def sweep(self) -> None:
        """None: there are no sweeps."""

    @property
    def sweep_name(self) -> None:
        """None: there are no sweeps."""


def _arguments(command: list[str], script: str) -> list[str]:
    """Return what a command line gives a script, or a program that is none."""
    names = [Path(part).name for part in command]
    place = names.index(Path(script).name) if Path(script).name in names else 0
    return command[place + 1 :]
