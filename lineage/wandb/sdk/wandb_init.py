"""``init`` and the run that is active: started, gone on with, and finished when the script ends."""

from __future__ import annotations

import atexit
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import lineage
from lineage.wandb.errors import UnsupportedError, UsageError
from lineage.wandb.faces import faces
from lineage.wandb.places import Place, default_place
from lineage.wandb.plain import DataError, friendly, key_text, plain_dict
from lineage.wandb.sdk.run_end import exit_hooks
from lineage.wandb.sdk.run_nowhere import new_folder, remove_folder
from lineage.wandb.sdk.run_resume import forget_run, note_run, noted_run
from lineage.wandb.sdk.wandb_config import checked_values, in_notebook, is_artifact, is_infinite
from lineage.wandb.sdk.wandb_run import Run
from lineage.wandb.sdk.wandb_settings import Settings, checked_tags, listed_tags, safe_label
from lineage.wandb.term import termerror, termlog
from lineage.wandb.util import generate_id

_ID_SIGNS: Final = ":;,#?/'"


class _Active:
    """The runs of this process: the one that module functions act on, and those that were made beside it."""

    def __init__(self) -> None:
        self.run: Run | None = None
        self.all: list[Run] = []
        self._registered = False

    def add(self, run: Run, *, alone: bool) -> None:
        """Take a run on; `alone` ones are only finished with the others. W&B's scripts need not finish their runs."""
        if not self._registered:
            self._registered = True
            atexit.register(self.finish_all)
        exit_hooks.goes_on()
        exit_hooks.install()
        self.all.append(run)
        run._on_finish.append(self._finished)
        if not alone:
            self.run = run

    def _finished(self, run: Run, code: int) -> None:
        if run in self.all:
            self.all.remove(run)
        if self.run is run:
            self.run = None
        if not self.all:
            exit_hooks.remove()

    def finish_all(self, exit_code: int | None = None) -> None:
        """Finish every run of this process that is not finished; one that cannot be stands in no other's way."""
        code = exit_hooks.code if exit_code is None else exit_code
        for run in list(self.all):
            try:
                run.finish(code)
            except Exception as error:  # noqa: BLE001 (the next run is to be finished all the same)
                termerror(f"run {run.id} could not be finished: {error}")


active: Final = _Active()


def init(
    entity: str | None = None,
    project: str | None = None,
    dir: str | os.PathLike[str] | None = None,
    id: str | None = None,
    name: str | None = None,
    notes: str | None = None,
    tags: Sequence[str] | str | None = None,
    config: Any = None,
    config_exclude_keys: list[str] | None = None,
    config_include_keys: list[str] | None = None,
    allow_val_change: bool | None = None,
    group: str | None = None,
    job_type: str | None = None,
    mode: str | None = None,
    force: bool | None = None,
    reinit: bool | str | None = None,
    resume: bool | str | None = None,
    resume_from: str | None = None,
    fork_from: str | None = None,
    save_code: bool | None = None,
    tensorboard: bool | None = None,
    sync_tensorboard: bool | None = None,
    monitor_gym: bool | None = None,
    settings: Settings | dict[str, Any] | None = None,
    anonymous: Any = None,
) -> Run:
    """Start a run in the project file ``<project>.lineage``, which is made if it is not there, and return it.

    Where a run is active already that one comes back, outside notebooks; `reinit` says otherwise.

    Args:
        entity: A label, kept with the run.
        project: The project; ``WANDB_PROJECT``, or ``uncategorized``, if not said.
        dir: The folder of the file; ``WANDB_DIR``, or the working folder, if not said.
        id: Unique in the project; made up if not said.
        name: What people call it; such as ``swept-water-5`` if not said.
        notes: Words about it.
        tags: Labels.
        config: What it is told: a dict, a namespace, or the path of a JSON or YAML file.
        config_exclude_keys: Leave these keys of `config` out.
        config_include_keys: Take only these keys of `config`.
        allow_val_change: Let values of the config change.
        group: Runs that belong together, such as those of one distributed job.
        job_type: The step of a pipeline it does.
        mode: ``disabled`` keeps nothing; all others do the same.
        force: Accepted.
        reinit: ``return_previous``, ``finish_previous`` (or True), or ``create_new``, a run beside the active one.
        resume: ``allow``, ``must`` or ``never`` go on with the run of `id` or not; True or ``auto`` with the last
            run here that did not finish.
        resume_from: Refused.
        fork_from: Refused.
        save_code: Accepted; script, command, commit and packages are always kept.
        tensorboard: Accepted.
        sync_tensorboard: Accepted.
        monitor_gym: Accepted.
        settings: More of the same.
        anonymous: Accepted.

    Raises:
        UsageError: A name or id may not be; there is a run of this id, or none, against what `resume` says.
        ValueError: A setting cannot be.
        TypeError: The config holds what JSON cannot.
    """
    told = Settings.of(
        settings,
        {
            "entity": entity,
            "project": project,
            "root_dir": None if dir is None else os.fspath(dir),
            "run_id": id,
            "run_name": name,
            "run_notes": notes,
            "run_tags": None if tags is None else listed_tags(tags),
            "allow_val_change": allow_val_change,
            "run_group": group,
            "run_job_type": job_type,
            "mode": mode,
            "reinit": reinit,
            "resume": resume,
            "resume_from": resume_from,
            "fork_from": fork_from,
        },
    )
    _refuse_rewinding(told)
    previous = _previous(told)
    if previous is not None:
        message = (
            "wandb.init() called while a run is active and reinit is set to 'default', so returning the previous run."
        )
        termlog(message if told.reinit in (None, "default") else "returning the active run")
        return previous
    values = _chosen(_read_config(config), config_exclude_keys, config_include_keys)
    run = _started(told, values)
    active.add(run, alone=told.reinit == "create_new")
    if not run.disabled:
        termlog(f"run {run.name} ({run.id}) in {run._place.file}")
    return run


def _refuse_rewinding(told: Settings) -> None:
    for word, value in (("fork_from", told.fork_from), ("resume_from", told.resume_from)):
        if value is not None:
            message = "a run here is never rewound; start a run, and use_artifact() the checkpoint it goes on from"
            raise UnsupportedError(f"{word}={value!r}: {message}")


def _previous(told: Settings) -> Run | None:
    """Return the active run if it is to be gone on with; finish it if it is to end."""
    run = active.run
    if run is None or told.reinit == "create_new":
        return None
    how = told.reinit if told.reinit not in (None, "default") else None
    if how == "finish_previous" or (how is None and in_notebook()) or run._pid != os.getpid():
        run.finish()
        active.run = None
        return None
    return run


def _started(told: Settings, values: dict[str, Any]) -> Run:
    """Start the run; one that cannot begin leaves nothing behind but its project file."""
    checked_values(values)
    names = default_place(told.project, told.entity, told.root_dir)
    if told.mode != "disabled":
        return _begun(told, values, names, names)
    nowhere = _nowhere(names)
    try:
        return _begun(told, values, nowhere, names)
    except BaseException:
        remove_folder(nowhere.folder)
        raise


def _begun(told: Settings, values: dict[str, Any], place: Place, names: Place) -> Run:
    resume, identifier = _resume(told, place)
    held = {key: value for key, value in values.items() if is_artifact(value) or is_infinite(value)}
    plain: dict[str, Any] = {key_text(key): friendly(value) for key, value in values.items() if key not in held}
    project = place.create()
    known = _is_run(project, identifier)
    _refuse(told, identifier, known=known)
    if told.entity:
        plain["_wandb"] = {"entity": told.entity}
    try:
        started = project.start_run(
            safe_label(told.run_job_type),
            safe_label(told.run_name),
            id=identifier,
            config=plain,
            group=safe_label(told.run_group),
            tags=checked_tags(told.run_tags),
            notes=told.run_notes,
            resume=resume,
        )
    except lineage.ConflictError as error:
        raise UsageError(str(error)) from error
    is_now = {"run_id": identifier, "run_name": started.name, "project": names.project, "entity": names.entity}
    settings = told.updated({**is_now, "mode": told.mode or "online"})
    run = Run(project, started, place, settings, resumed=known, names=names)
    run._on_finish.append(_forget_resume)
    if settings.resume == "auto" and not run.disabled:
        note_run(place.folder, identifier)
    if held:
        _hold(run, held)
    return run


def _hold(run: Run, held: dict[str, Any]) -> None:
    """Put into a config what only a run can: a run whose artifacts are not there has failed."""
    try:
        run.config.update(held)
    except BaseException:
        run.finish(1)
        raise


def _nowhere(names: Place) -> Place:
    """Return a place of its own for a run that is not to be kept; it goes when the run finishes."""
    return Place(new_folder(), names.project, names.entity)


def _is_run(project: lineage.Project, identifier: str) -> bool:
    try:
        return project.run(identifier).id == identifier
    except lineage.LineageError:
        return False


def _resume(told: Settings, place: Place) -> tuple[str, str]:
    """Return how lineage is to resume, and the run's id; ``auto`` keeps it in a file until the run has finished."""
    identifier = told.run_id
    if identifier is not None:
        _check_id(identifier)
    if told.resume != "auto" or told.mode == "disabled":
        return ("allow" if told.resume in ("allow", "must") else "never"), identifier or generate_id()
    return "allow", identifier or noted_run(place.folder) or generate_id()


def _check_id(identifier: str) -> None:
    if not isinstance(identifier, str) or not identifier or identifier != identifier.strip():
        raise UsageError("Run ID cannot be empty, and cannot start or end with whitespace")
    if any(sign in identifier for sign in _ID_SIGNS):
        raise UsageError(f"Run ID cannot contain the characters: {_ID_SIGNS}")


def _refuse(told: Settings, identifier: str, *, known: bool) -> None:
    if told.resume == "must" and not known:
        raise UsageError(f"You provided an invalid value for the `resume` argument: no run {identifier!r} to resume")
    if told.resume in (None, "never") and known:
        message = "pass resume='allow' to go on with it, or another id; nothing that was logged is written over"
        raise UsageError(f"The run (id={identifier!r}) exists already: {message}")


def _read_config(config: Any) -> dict[str, Any]:
    if config is None:
        return {}
    if isinstance(config, str):
        return _config_file(Path(config))
    if isinstance(config, Mapping):
        return dict(config)
    if hasattr(config, "flag_values_dict"):  # absl
        return dict(config.flag_values_dict())
    return dict(vars(config)) if hasattr(config, "__dict__") else plain_dict(config, "config")


def _config_file(path: Path) -> dict[str, Any]:
    """Read a config from a JSON or YAML file; W&B's form, ``key: {value: ..., desc: ...}``, is read as well."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise UsageError(f"config {str(path)!r}: {error.strerror or error}") from error
    if path.suffix in (".yaml", ".yml"):
        try:
            import yaml  # noqa: PLC0415 (only a YAML file needs it)
        except ImportError as error:
            raise UsageError(f"config {str(path)!r}: reading YAML needs PyYAML (pip install pyyaml)") from error
        data = yaml.safe_load(text)
    else:
        data = json.loads(text)
    if not isinstance(data, dict):
        raise DataError(f"config {str(path)!r} holds no names and values")
    return {
        key: value["value"] if isinstance(value, dict) and "value" in value else value for key, value in data.items()
    }


def _chosen(values: dict[str, Any], exclude: list[str] | None, include: list[str] | None) -> dict[str, Any]:
    if exclude and include:
        raise UsageError("Expected at most only one of exclude or include")
    return {
        key: value
        for key, value in values.items()
        if (not exclude or key not in exclude) and (not include or key in include)
    }


def _forget_resume(run: Run, code: int) -> None:
    """Let ``resume=True`` begin anew, once a run has finished well."""
    if not code and run.settings.resume == "auto":
        forget_run(run._place.folder)


def finish(exit_code: int | None = None, quiet: bool | None = None) -> None:
    """Finish the active run, if there is one."""
    if active.run is not None:
        active.run.finish(exit_code)


def teardown(exit_code: int | None = None) -> None:
    """Finish every run of this process."""
    active.finish_all(exit_code)


def login(*_: Any, **__: Any) -> bool:
    """Do nothing and return True: there is no account."""
    return True


def setup(settings: Settings | None = None) -> Settings:
    """Do nothing and return the settings: there is no service."""
    return settings or Settings()


def _auto_run(project: str | None, settings: Settings | None) -> Run:
    return init(project=project, job_type="auto", settings=settings)


faces.active_run = staticmethod(lambda: active.run)
faces.auto_run = _auto_run
