"""What a merge would do with the runs that both projects have: both may have gone on with one of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from typing import Final

from lineage.capture import host, process_is_alive
from lineage.jsondata import json_text, parse_object
from lineage.portable.planned import Plan, Policies, decide, prefers_theirs
from lineage.portable.reports import Decision, Policy
from lineage.statements import union
from lineage.statements.union import RunRow

_WINDOW: Final = 1_000
_RUNNING: Final = "running"
_CRASHED: Final = "crashed"


def plan_runs(plan: Plan, ours: sqlite3.Connection, theirs: sqlite3.Connection, policies: Policies) -> None:
    """Find which runs both have, and what is to become of them here."""
    for window in _run_windows(theirs):
        known = union.runs_by_uid(ours, [row.uid for row in window])
        for row in window:
            mine = known.get(row.uid)
            if mine is None:
                plan.new_runs += 1
            elif mine.started_at != row.started_at:
                plan.refuse(f"run {row.uid!r} started at {mine.started_at} here and at {row.started_at} there")
            else:
                plan.known_runs[row.id] = mine.id
                _plan_known_run(plan, mine, row, policies)


def _run_windows(connection: sqlite3.Connection) -> Iterator[list[RunRow]]:
    last = 0
    while window := union.runs_after(connection, last, _WINDOW):
        yield window
        last = window[-1].id


def _plan_known_run(plan: Plan, mine: RunRow, row: RunRow, policies: Policies) -> None:
    if mine.deleted_at is not None or row.deleted_at is not None:
        if mine.deleted_at is None:
            plan.gone_there.append(mine.uid)
        elif row.deleted_at is None:
            plan.gone_runs_here[row.id] = mine.uid
        return
    newer = _latest_of(row.edited_at, row.ended_at, row.started_at) > _latest_of(
        mine.edited_at, mine.ended_at, mine.started_at
    )
    if _ends(mine, row, policies.running):
        plan.ended_runs.add(row.id)
    words = ["name", "config", "notes", "tags"]
    if mine.status == _RUNNING or row.id in plan.ended_runs:
        _plan_summary(plan, mine, row, policies.metadata, newer=newer)
    else:
        words.insert(2, "summary")
    for word in words:
        values = getattr(mine, word), getattr(row, word)
        if values[0] != values[1] and decide(plan, policies.metadata, (word, mine.uid, *values), newer=newer):
            plan.worded.add(("run", row.id))
            if word == "summary":
                plan.summaries[row.id] = parse_object(row.summary)


def _ends(mine: RunRow, row: RunRow, running: Collection[str]) -> bool:
    """Whether how a run ended there is how it ends here: not while a process here goes on with it.

    That it crashed is found and not written by the run itself, so that an end which it wrote takes its place.
    """
    if mine.status == _CRASHED:
        return row.status not in (_RUNNING, _CRASHED)
    if mine.status != _RUNNING or row.status == _RUNNING or mine.uid in running:
        return False
    this, owner = host(), (mine.host, mine.pid, mine.process)
    if owner in ((row.host, row.pid, row.process), (this.host, this.pid, this.process)):
        return True  # this is an earlier copy of what its own process ended there, or ended here without a word
    return mine.pid is None or mine.host != this.host or process_is_alive(mine.pid, mine.process or "") is False


def _plan_summary(plan: Plan, mine: RunRow, row: RunRow, policy: Policy, *, newer: bool) -> None:
    """Lay the summary of a run that was running here over theirs, key by key: both may have gone on with it."""
    if mine.summary == row.summary:
        return
    here, there = parse_object(mine.summary), parse_object(row.summary)
    if row.id in plan.ended_runs:
        merged = there if prefers_theirs(policy, newer=newer) else here | there
        lost = [key for key in here if key not in merged or json_text(merged[key]) != json_text(here[key])]
        if lost and (mine.host, mine.pid, mine.process) != (row.host, row.pid, row.process):
            why = "the run ended there"
            plan.decisions.append(Decision("summary", mine.uid, mine.summary, row.summary, "theirs", why))
    else:
        both = [key for key in here if key in there and json_text(here[key]) != json_text(there[key])]
        values = json_text({key: here[key] for key in both}), json_text({key: there[key] for key in both})
        taken = bool(both) and decide(plan, policy, ("summary", mine.uid, *values), newer=newer)
        merged = here | (there if taken else {key: there[key] for key in there if key not in here})
    if json_text(merged) != mine.summary:
        plan.summaries[row.id] = merged


def _latest_of(*times: str | None) -> str:
    return max(time for time in times if time is not None)
