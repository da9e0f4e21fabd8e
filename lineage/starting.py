"""Starting and resuming runs: what is captured, the row, and the inputs it begins with, in one transaction."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final

from lineage import capture
from lineage.errors import ConflictError, ErrorKind, InvalidInputError, NotFoundError
from lineage.handles import Version
from lineage.jsondata import json_text, plain_object
from lineage.recording import consume, listed_versions, named_version, noted_outside
from lineage.run import ActiveRun
from lineage.statements import runs
from lineage.store import Store
from lineage.values import Reference, RunStatus, label, listed, new_uid, prose, run_id, run_tag, shown, timestamp
from lineage.words import run_name

_RESUMES: Final = ("never", "allow", "must")


def start_run(  # noqa: PLR0913 (each is a word users of W&B know, all but two by keyword)
    store: Store,
    job_type: str | None,
    name: str | None,
    *,
    id: str | None,
    config: object,
    group: str | None,
    tags: Iterable[str],
    notes: str | None,
    resume: str,
    use: Iterable[str | Reference | Version] | str | Reference | Version,
    command: Sequence[str] | None,
) -> ActiveRun:
    """Make or resume a run; with its inputs it is one transaction. ``Project.start_run`` documents it."""
    if resume not in _RESUMES:
        raise InvalidInputError(f"resume={shown(resume)}: use one of {', '.join(_RESUMES)}")
    row = _run_row(job_type, name, id, config=config, group=group, notes=notes)
    if command is not None:
        row["code"] = json_text(capture.code_of(listed(command, "command")).document())
    checked_tags = [run_tag(tag) for tag in listed(tags, "tags")]
    inputs = listed_versions(use, "use")
    environment = _environment()
    with noted_outside(store, inputs, "consumed", str(row["uid"])), store.writing() as connection:
        runs.mark_crashed(connection, runs.crashed_runs(connection))
        key = _resumed(connection, id, resume)
        if key is None:
            row["environment"] = runs.insert_environment(connection, *environment)
            row["name"] = row["name"] or run_name(runs.next_run_number(connection))
            key = runs.insert_run(connection, row)
        else:
            runs.resume_run(connection, key, row)
            if config is not None:
                _merge_config(connection, key, str(row["config"]))
        runs.add_run_tags(connection, key, checked_tags)
        for version in inputs:
            consume(connection, key, named_version(connection, store, version), None)
        (record,) = runs.run_records(connection, [key])
        next_step = runs.run_next_step(connection, key)
    return ActiveRun(store, record, next_step)


@cache
def _environment() -> tuple[str, str]:
    """Return digest and text of this process's environment, which is captured once: 0.2 ms a run."""
    captured = capture.environment()
    return captured.digest(), json_text(captured.document())


@cache
def _code() -> str:
    """Return the text of this process's code, which is captured once."""
    return json_text(capture.code().document())


def _run_row(  # noqa: PLR0913 (a row has these columns)
    job_type: str | None, name: str | None, id: str | None, *, config: object, group: str | None, notes: str | None
) -> dict[str, object]:
    """Return the columns of a new run, checked."""
    owner = capture.host()
    return {
        "uid": new_uid() if id is None else run_id(id),
        "name": None if name is None else label(name, "run name"),
        "job_type": None if job_type is None else label(job_type, "job_type"),
        "group": None if group is None else label(group, "group"),
        "status": RunStatus.RUNNING,
        "config": json_text(plain_object(config, "config")),
        "notes": None if notes is None else prose(notes, "notes"),
        "code": _code(),
        "host": owner.host,
        "user": owner.user,
        "pid": owner.pid,
        "process": owner.process,
        "started_at": timestamp(),
    }


def _resumed(connection: sqlite3.Connection, id: str | None, resume: str) -> int | None:
    """Return the run to go on with; None to make a new one."""
    key = None if id is None else runs.run_key(connection, id)
    if key is None:
        if resume == "must":
            message = f"no run {id!r} to resume" if id is not None else "resume='must' needs an id"
            raise NotFoundError(message, kind=ErrorKind.RUN_NOT_FOUND)
        return None
    (record,) = runs.run_records(connection, [key])
    if resume == "never" or record.deleted_at is not None:
        how = "and was deleted; choose another id" if record.deleted_at else "already; resume='allow' goes on with it"
        raise ConflictError(f"run {id!r} exists {how}", kind=ErrorKind.RUN_EXISTS)
    owner = runs.other_owner(connection, key, os.environ.get("LINEAGE_RUN_PID"))
    if owner is not None:
        import logging  # noqa: PLC0415 (5 ms; a run in two processes is rare)

        words = "run %r is still running in %s: of metrics that both log at one step, the later replaces the other"
        logging.getLogger("lineage").warning(words, id, owner)
    return key


def _merge_config(connection: sqlite3.Connection, run: int, config: str) -> None:
    (record,) = runs.run_records(connection, [run])
    runs.update_run_config(connection, run, record.config | json.loads(config))
