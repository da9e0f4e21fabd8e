"""Statements over runs, their environments, tags and metrics."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from lineage.capture import host as this_host
from lineage.capture import process_is_alive
from lineage.errors import CorruptionError
from lineage.jsondata import JsonObject, JsonValue, json_text, parse_object
from lineage.records import MetricRow, RunRecord
from lineage.statements import all_there, json_array
from lineage.values import RunStatus, shown


def insert_environment(connection: sqlite3.Connection, digest: str, document: str) -> int:
    """Return the id of the environment with this digest, made if it is new."""
    row = connection.execute("SELECT id FROM environment WHERE digest = ?", (digest,)).fetchone()
    if row is None:
        row = connection.execute(
            "INSERT INTO environment (digest, document) VALUES (?, ?) RETURNING id", (digest, document)
        ).fetchone()
    return int(row[0])


def next_run_number(connection: sqlite3.Connection) -> int:
    """Return the number that the next run's made-up name ends in."""
    (number,) = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM run").fetchone()
    return int(number)


def insert_run(connection: sqlite3.Connection, row: Mapping[str, object]) -> int:
    """Make a run and return its key."""
    (key,) = connection.execute(
        """INSERT INTO run (uid, name, job_type, "group", status, config, notes, code, environment,
                            host, user, pid, process, started_at)
           VALUES (:uid, :name, :job_type, :group, :status, :config, :notes, :code, :environment,
                   :host, :user, :pid, :process, :started_at) RETURNING id""",
        row,
    ).fetchone()
    return int(key)


def resume_run(connection: sqlite3.Connection, run: int, row: Mapping[str, object]) -> None:
    """Let another process go on with a run."""
    connection.execute(
        """UPDATE run SET status = 'running', ended_at = NULL, exit_code = NULL, error = NULL,
                  host = :host, user = :user, pid = :pid, process = :process WHERE id = :run""",
        {**row, "run": run},
    )


def end_run(  # noqa: PLR0913 (a row has these columns)
    connection: sqlite3.Connection, run: int, *, status: str, exit_code: int | None, error: str | None, at: str
) -> None:
    """Write how a run ended."""
    connection.execute(
        "UPDATE run SET status = ?, exit_code = ?, error = ?, ended_at = ? WHERE id = ?",
        (status, exit_code, error, at, run),
    )


def run_key(connection: sqlite3.Connection, uid: str) -> int | None:
    """Return the key of the run with this id."""
    row = connection.execute("SELECT id FROM run WHERE uid = ?", (uid,)).fetchone()
    return row[0] if row else None


def is_deleted(connection: sqlite3.Connection, run: int) -> bool:
    """Whether a run was deleted."""
    found = connection.execute("SELECT 1 FROM run WHERE id = ? AND deleted_at IS NOT NULL", (run,)).fetchone()
    return found is not None


def is_run(connection: sqlite3.Connection, text: str) -> bool:
    """Whether this is the id of a run, or the name of one that is not deleted."""
    found = connection.execute(
        "SELECT 1 FROM run WHERE uid = :text OR (name = :text AND deleted_at IS NULL) LIMIT 1", {"text": text}
    ).fetchone()
    return found is not None


def runs_called(connection: sqlite3.Connection, text: str) -> list[tuple[int, str]]:
    """Return key and id of the live runs of this name, or else of those whose id begins so; ten at most.

    The beginning of an id counts from 6 characters on.
    """
    named = connection.execute(
        "SELECT id, uid FROM run WHERE name = ? AND deleted_at IS NULL ORDER BY id LIMIT 10", (text,)
    ).fetchall()
    if named:
        return named
    return connection.execute(
        """SELECT id, uid FROM run WHERE length(:text) >= 6 AND substr(uid, 1, length(:text)) = :text
           AND deleted_at IS NULL LIMIT 10""",
        {"text": text},
    ).fetchall()


def deleted_runs_called(connection: sqlite3.Connection, name: str) -> list[tuple[int, str]]:
    """Return key and id of the deleted runs of this name; ten at most."""
    return connection.execute(
        "SELECT id, uid FROM run WHERE name = ? AND deleted_at IS NOT NULL ORDER BY id LIMIT 10", (name,)
    ).fetchall()


def run_records(connection: sqlite3.Connection, keys: Sequence[int]) -> list[RunRecord]:
    """Return the records of runs, in the order of `keys`; one whose process is gone is crashed.

    Raises:
        CorruptionError: One of them is not there.
    """
    return all_there(_run_records(connection, keys), len(keys), "an edge names a run")


def run_record(connection: sqlite3.Connection, key: int) -> RunRecord | None:
    """Return the record of a run; None if there is none, as after a batch that was undone."""
    return next(iter(_run_records(connection, [key])), None)


def _run_records(connection: sqlite3.Connection, keys: Sequence[int]) -> list[RunRecord]:
    wanted = json_array(keys)
    environments = dict(
        connection.execute(
            """SELECT e.id, e.document FROM environment e
               WHERE e.id IN (SELECT r.environment FROM json_each(?) n JOIN run r ON r.id = n.value)""",
            (wanted,),
        ).fetchall()
    )  # apart, as many runs share one, which may be long
    rows = connection.execute(
        """SELECT r.id, r.uid, r.name, r.job_type, r."group", r.status, r.config, r.summary, r.code, r.environment,
                  r.notes, (SELECT json_group_array(t.tag) FROM run_tag t WHERE t.run = r.id),
                  r.exit_code, r.error, r.host, r.user, r.started_at, r.ended_at, r.deleted_at, r.pid, r.process
           FROM json_each(?) wanted JOIN run r ON r.id = wanted.value ORDER BY wanted.key""",
        (wanted,),
    )
    return [_run_record(row, environments) for row in rows]


_STATUSES: Final = {str(status): status for status in RunStatus}


def _run_record(row: tuple, environments: Mapping[int, str]) -> RunRecord:  # type: ignore[type-arg]  # the STRICT table vouches for the columns' types
    key, uid, name, job, group, status, config, summary, code, environment, notes, tags, *rest, pid, process = row
    known = _STATUSES.get(status)
    if known is None:
        raise CorruptionError(
            f"run {shown(uid)} has the status {shown(status)}, which lineage never writes: run verify"
        )
    return RunRecord(
        key,
        uid,
        name,
        job,
        group,
        RunStatus.CRASHED if known is RunStatus.RUNNING and _is_dead(status, rest[2], pid, process) else known,
        (config, summary, code, environments.get(environment, "{}")),
        notes,
        () if tags == "[]" else tuple(sorted(json.loads(tags))),
        *rest,
    )


def _is_dead(status: str, host: str | None, pid: int | None, process: str | None) -> bool:
    if status != RunStatus.RUNNING or pid is None or host != this_host().host:
        return False  # another machine's processes cannot be seen from here
    return process_is_alive(pid, process or "") is False


def crashed_runs(connection: sqlite3.Connection) -> list[int]:
    """Return the runs that count as running and whose process on this host is gone."""
    rows = connection.execute("SELECT id, status, host, pid, process FROM run WHERE status = 'running'")
    return [key for key, *owner in rows if _is_dead(*owner)]


def other_owner(connection: sqlite3.Connection, run: int, wrapper: str | None) -> str | None:
    """Return the process that a run is running in, as people say it.

    None if it is not running, or in this one, or in the one of this number, which wrapped this one and only waits.
    """
    status, host, pid = connection.execute("SELECT status, host, pid FROM run WHERE id = ?", (run,)).fetchone()
    here = this_host()
    if status != RunStatus.RUNNING or (host == here.host and str(pid) in (str(here.pid), wrapper)):
        return None
    return f"process {pid} on {host}"


def mark_crashed(connection: sqlite3.Connection, keys: Iterable[int]) -> None:
    """Write down that runs crashed."""
    connection.executemany(
        "UPDATE run SET status = 'crashed' WHERE id = ? AND status = 'running'", [(key,) for key in keys]
    )


def update_run_config(connection: sqlite3.Connection, run: int, config: JsonObject) -> None:
    """Set a run's config."""
    connection.execute("UPDATE run SET config = ? WHERE id = ?", (json_text(config), run))


def update_run_words(connection: sqlite3.Connection, run: int, name: str, notes: str | None, at: str) -> None:
    """Set a run's name and notes, and when they were edited."""
    connection.execute("UPDATE run SET name = ?, notes = ?, edited_at = ? WHERE id = ?", (name, notes, at, run))


def run_config(connection: sqlite3.Connection, run: int) -> JsonObject:
    """Return a run's config."""
    (text,) = connection.execute("SELECT config FROM run WHERE id = ?", (run,)).fetchone()
    return parse_object(text)


def run_summary(connection: sqlite3.Connection, run: int) -> JsonObject:
    """Return a run's summary."""
    (text,) = connection.execute("SELECT summary FROM run WHERE id = ?", (run,)).fetchone()
    return parse_object(text)


def update_run_summary(connection: sqlite3.Connection, run: int, summary: JsonObject) -> None:
    """Set a run's summary."""
    connection.execute("UPDATE run SET summary = ? WHERE id = ?", (json_text(summary), run))


def add_run_tags(connection: sqlite3.Connection, run: int, tags: Iterable[str]) -> None:
    """Put tags on a run; one that is there stays."""
    connection.executemany(
        "INSERT INTO run_tag (run, tag) VALUES (?, ?) ON CONFLICT DO NOTHING", [(run, tag) for tag in tags]
    )


def clear_run_tags(connection: sqlite3.Connection, run: int) -> None:
    """Take every tag off a run."""
    connection.execute("DELETE FROM run_tag WHERE run = ?", (run,))


def run_next_step(connection: sqlite3.Connection, run: int) -> int:
    """Return the step that the next log without one takes."""
    (step,) = connection.execute("SELECT next_step FROM run WHERE id = ?", (run,)).fetchone()
    return int(step)


def put_metrics(
    connection: sqlite3.Connection, run: int, rows: Iterable[tuple[str, int, JsonValue, str]], next_step: int
) -> None:
    """Write metric values (name, step, value, time); a later value of the same name and step replaces the earlier."""
    connection.executemany(
        """INSERT INTO metric (run, name, step, value, document, at) VALUES (?, ?, ?, ?, ?, ?)
           ON CONFLICT (run, name, step)
           DO UPDATE SET value = excluded.value, document = excluded.document, at = excluded.at""",
        [(run, name, step, *_metric_columns(value), at) for name, step, value, at in rows],
    )
    connection.execute("UPDATE run SET next_step = max(next_step, ?) WHERE id = ?", (next_step, run))  # others log too


def _metric_columns(value: JsonValue) -> tuple[float | None, str | None]:
    """Split a value: a number that a REAL holds exactly (NaN becomes NULL), or else JSON text."""
    if isinstance(value, float) and (value != 0 or math.copysign(1, value) > 0):  # SQLite drops the sign of -0.0
        return value, None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= 1 << 53:
        return float(value), None
    return None, json_text(value)


def metric_rows(connection: sqlite3.Connection, run: int, names: Sequence[str] | None) -> list[MetricRow]:
    """Return what a run logged, by step; all names, or some."""
    rows = connection.execute(
        """SELECT step, name, value, document, at FROM metric
           WHERE run = :run AND (:names IS NULL OR name IN (SELECT value FROM json_each(:names)))
           ORDER BY step, name""",
        {"run": run, "names": None if names is None else json_array(names)},
    )
    found: dict[int, MetricRow] = {}
    for step, name, value, document, at in rows:
        row = found.setdefault(step, MetricRow(step, at, {}))
        row.values[name] = _metric_value(value, document)
    return list(found.values())


def last_metric(connection: sqlite3.Connection, run: int) -> tuple[int, str] | None:
    """Return the last step that a run logged, and when; None if it logged none."""
    row: tuple[int, str] | None = connection.execute(
        "SELECT step, at FROM metric WHERE run = ? ORDER BY step DESC, name LIMIT 1", (run,)
    ).fetchone()
    return row


def _metric_value(value: float | None, document: str | None) -> JsonValue:
    if document is not None:
        try:
            parsed: JsonValue = json.loads(document)
        except (ValueError, RecursionError) as error:
            raise CorruptionError(f"a metric is {shown(document)}, which is no JSON: run verify") from error
        return parsed
    return math.nan if value is None else value


def strip_run(connection: sqlite3.Connection, run: int, at: str) -> None:
    """Mark a run deleted and drop what only it knew: metrics, config, summary, notes, code, tags."""
    connection.execute("DELETE FROM metric WHERE run = ?", (run,))
    connection.execute("DELETE FROM run_tag WHERE run = ?", (run,))
    connection.execute(
        """UPDATE run SET deleted_at = ?, config = '{}', summary = '{}', notes = NULL, error = NULL, code = '{}',
                  environment = NULL WHERE id = ?""",
        (at, run),
    )
