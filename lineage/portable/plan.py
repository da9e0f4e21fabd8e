"""What a merge would do: who is known, who is new and under which number, what disagrees, what forbids it.

Nothing is written here, so that a dry run is the same work without the writing; the merge itself plans again inside
its transaction, where nobody else can change what was found. Runs and versions are known by their ids, which are
unique across projects; an artifact by its id, by a version that both have, or else by its name.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import count
from typing import Final, Literal

from lineage.errors import InvalidInputError
from lineage.portable.plan_runs import plan_runs
from lineage.portable.planned import AliasStep, Arrival, Plan, Policies, Target, decide
from lineage.portable.reports import AliasPolicy, Decision, Policy
from lineage.statements import artifacts, union
from lineage.statements.union import AliasRow, ArtifactRow, VersionRow
from lineage.values import BESIDE, LATEST, alias_name, shown

_WINDOW: Final = 1_000


def make_plan(ours: sqlite3.Connection, theirs: sqlite3.Connection, policies: Policies) -> Plan:
    """Return what merging `theirs` into `ours` comes to."""
    plan = Plan()
    _plan_artifacts(plan, ours, theirs)
    plan_runs(plan, ours, theirs, policies)
    _plan_versions(plan, ours, theirs, policies.metadata)
    _plan_words_of_artifacts(plan, policies.metadata)
    _plan_aliases(plan, ours, theirs, policies.aliases)
    _plan_edges(plan, ours, theirs)
    return plan


# --- artifacts ---


def _plan_artifacts(plan: Plan, ours: sqlite3.Connection, theirs: sqlite3.Connection) -> None:
    known = union.artifact_rows(ours)
    origins = {row.project: row.project_uid for row in known}
    by_uid = {(row.uid, row.project_uid): row for row in known}
    by_name = {row.name: row for row in known}
    by_id = {row.id: row for row in known}
    numbers = {row.id: count(row.next_number) for row in known}
    for row in union.artifact_rows(theirs):
        found = by_uid.get((row.uid, row.project_uid))
        if found is None and row.project is None:
            found = by_id.get(_shared_artifact(ours, theirs, row) or -1)
        found = found or by_name.get(row.name)  # which shows by its "/" whether it is another project's
        if row.project is not None and origins.get(row.project, row.project_uid) != row.project_uid:
            plan.refuse(f"{row.name!r} belongs to another project {row.project!r} than the one that is known here")
        if found is None:
            plan.targets[row.id] = Target(row, None, row.name, count())
        else:
            plan.targets[row.id] = Target(row, found, found.name, numbers[found.id])
            _check_artifact(plan, row, found)
    _check_those_that_meet(plan)


def _shared_artifact(ours: sqlite3.Connection, theirs: sqlite3.Connection, row: ArtifactRow) -> int | None:
    """Return our artifact that has one of the first versions of theirs: it was merged, and perhaps renamed, before."""
    first = union.versions_after(theirs, (row.id, -1), 20)
    uids = [version.uid for version in first if version.artifact == row.id]
    shared = union.versions_by_uid(ours, uids)
    return next((shared[uid].artifact for uid in uids if uid in shared and not shared[uid].foreign), None)


def _check_artifact(plan: Plan, row: ArtifactRow, found: ArtifactRow) -> None:
    if row.type != found.type and row.deleted_at is None:  # also where it is deleted here: its versions keep their type
        plan.refuse(f"artifact {found.name!r} has type {found.type!r} here and {row.type!r} there")
    if bool(row.collection) != bool(found.collection) and row.next_number and found.next_number:
        plan.refuse(f"{found.name!r} is a collection of links in one project and an artifact in the other")


def _check_those_that_meet(plan: Plan) -> None:
    """Refuse artifacts of theirs that are one of ours, as after a rename, and cannot be one."""
    first: dict[int, ArtifactRow] = {}
    for target in plan.targets.values():
        row = target.theirs
        if target.ours is None or row.deleted_at is not None:
            continue
        other = first.setdefault(target.ours.id, row)
        if (other.type, other.collection) != (row.type, row.collection):
            plan.refuse(f"{other.name!r} and {row.name!r} there are both {target.name!r} here, and not of one type")


def _plan_words_of_artifacts(plan: Plan, policy: Policy) -> None:
    spoken: set[int] = set()
    for key, target in plan.targets.items():
        mine, row = target.ours, target.theirs
        if mine is None or row.description is None or mine.id in spoken:
            continue  # of several that are one here the first has the word, or the next merge would turn it round
        spoken.add(mine.id)
        if mine.description != row.description:
            newer = (row.edited_at or row.created_at) > (mine.edited_at or mine.created_at)
            if decide(plan, policy, ("description", mine.name, mine.description, row.description), newer=newer):
                plan.worded.add(("artifact", key))


# --- versions ---


def version_windows(connection: sqlite3.Connection) -> Iterator[list[VersionRow]]:
    """Yield the versions of a project in the order of artifact and number."""
    last = (0, -1)
    while window := union.versions_after(connection, last, _WINDOW):
        yield window
        last = (window[-1].artifact, window[-1].number)


def _plan_versions(plan: Plan, ours: sqlite3.Connection, theirs: sqlite3.Connection, policy: Policy) -> None:
    for window in version_windows(theirs):
        known = union.versions_by_uid(ours, [row.uid for row in window])
        for row in window:
            mine = known.get(row.uid)
            if mine is None:
                _plan_new(plan, ours, row, None)
            elif why := _contradiction(mine, row):
                plan.refuse(f"{row.reference} there says it is {mine.reference} here, and {why}")
            elif mine.foreign and not row.foreign:
                _plan_new(plan, ours, row, mine)
            else:
                plan.known_versions[row.id] = mine.id
                _plan_known(plan, mine, row, policy)


def _contradiction(mine: VersionRow, row: VersionRow) -> str | None:
    """Say why a version of the same uid is another one."""
    if mine.digest != row.digest or (mine.file_count, mine.size) != (row.file_count, row.size):
        return "has other content"
    if mine.created_at != row.created_at:
        return "was made at another time"
    if not (mine.foreign or row.foreign) and (mine.source is None) != (row.source is None):
        return "one of them is a link"
    return None


def _plan_new(plan: Plan, ours: sqlite3.Connection, row: VersionRow, node: VersionRow | None) -> None:
    target = plan.targets[row.artifact]
    number = row.number
    if row.foreign:
        if target.ours is not None and union.numbers_taken(ours, target.ours.id, [number]):
            plan.refuse(f"{row.reference} is known here as a version of another project that is called the same")
    else:
        number = next(target.numbers)
    target.used = True
    target.grows = target.grows or row.deleted_at is None
    plan.arrivals[row.id] = Arrival(number, None if node is None else node.id, row.source)
    plan.renamed.append((row.reference, f"{target.name}:v{number}"))


def _plan_known(plan: Plan, mine: VersionRow, row: VersionRow, policy: Policy) -> None:
    if row.foreign and not mine.foreign and mine.deleted_at is not None:
        plan.gone_here[row.id] = mine.reference  # a link of theirs may stand for it
    if mine.foreign or row.foreign:
        return
    if mine.reference != row.reference:
        plan.renamed.append((row.reference, mine.reference))
    if mine.deleted_at is not None or row.deleted_at is not None:
        if mine.deleted_at is None:
            plan.gone_there.append(mine.reference)
        elif row.deleted_at is None:
            plan.gone_here[row.id] = mine.reference
        return
    newer = (row.edited_at or row.created_at) > (mine.edited_at or mine.created_at)
    for word in ("description", "metadata", "ttl", "tags"):
        values = getattr(mine, word), getattr(row, word)
        if values[0] != values[1] and decide(plan, policy, (word, mine.reference, *values), newer=newer):
            plan.worded.add(("version", row.id))


# --- aliases ---


def _plan_aliases(plan: Plan, ours: sqlite3.Connection, theirs: sqlite3.Connection, policy: AliasPolicy) -> None:
    """Give each name once: to what is put beside an alias before what is called ``theirs/...`` there already."""
    found = [(target, row) for key, target in plan.targets.items() for row in union.alias_rows(theirs, key).values()]
    found.sort(key=lambda one: (one[1].name.startswith(BESIDE), one[1].version is None))
    held = {one.ours.id: union.alias_rows(ours, one.ours.id) for one in plan.targets.values() if one.ours is not None}
    for target, row in found:
        mine = None if target.ours is None else held[target.ours.id].get(row.name)
        is_first = (target.name, row.name) not in plan.named
        plan.named.add((target.name, row.name))
        if row.version is None:
            if mine is None and is_first:
                plan.aliases.append(AliasStep(target.theirs.id, row.name, None, protected=False, history=True))
        elif mine is None and is_first:
            _plan_new_alias(plan, ours, target, row)
        elif mine is None or mine.version is None or plan.known_versions.get(row.version) != mine.version:
            why = None if is_first else "another of theirs has that name here"
            _plan_known_alias(plan, ours, target, (mine, row, why), policy)


def _plan_new_alias(plan: Plan, ours: sqlite3.Connection, target: Target, row: AliasRow) -> None:
    why = _unfit(plan, ours, target, row)
    if why is None:
        version = row.version or 0
        plan.aliases.append(AliasStep(target.theirs.id, row.name, version, bool(row.protected), history=True))
    elif row.name != LATEST:
        subject = f"{target.name}:{row.name}"
        plan.decisions.append(
            Decision("alias", subject, None, _arrived(plan, ours, target, row.version or 0), "ours", why)
        )


def _unfit(plan: Plan, ours: sqlite3.Connection, target: Target, row: AliasRow) -> str | None:
    """Say why an alias of theirs cannot be here: the version it names is deleted here, or in another artifact."""
    version = row.version or 0
    arrival = plan.arrivals.get(version)
    if version in plan.gone_here or (arrival is not None and arrival.source in plan.gone_here):
        return "it names a version that is deleted here"
    known = plan.known_versions.get(version)
    if known is not None:
        artifact, live = union.artifact_of(ours, known)
        if target.ours is None or artifact != target.ours.id or not live:
            return "it names a version that is in another artifact here"
    return None


def _plan_known_alias(
    plan: Plan,
    ours: sqlite3.Connection,
    target: Target,
    found: tuple[AliasRow | None, AliasRow, str | None],
    policy: AliasPolicy,
) -> None:
    mine, row, why = found
    version = row.version or 0
    why = why or _unfit(plan, ours, target, row)
    newer = mine is not None and (row.moved_at or "") > (mine.moved_at or "")
    taken: Literal["ours", "theirs", "both"] = "ours"
    if why is None and (policy in ("theirs", "both") or (policy == "newest" and newer)):
        name = f"{BESIDE}{row.name}" if policy == "both" else row.name
        there = None if target.ours is None else artifacts.alias_row(ours, target.ours.id, name)
        if there is not None and there[0] == plan.known_versions.get(version):
            return  # beside ours, since the same file was merged before
        why = _barred(name, row.name, is_protected=there is not None and there[1])
        if why is None:
            taken = "both" if policy == "both" else "theirs"
            plan.named.add((target.name, name))
            plan.aliases.append(AliasStep(target.theirs.id, name, version, protected=False, history=False))
    here = None if mine is None or mine.version is None else union.references_by_id(ours, [mine.version])[mine.version]
    there_as = _arrived(plan, ours, target, version)
    plan.decisions.append(Decision("alias", f"{target.name}:{row.name}", here, there_as, taken, why))


def _barred(name: str, alias: str, *, is_protected: bool) -> str | None:
    """Say why the name that an alias of theirs is to have here can be given to nothing."""
    if is_protected:
        return "it is protected here" if name == alias else f"{BESIDE}{shown(alias)} is protected here"
    try:
        alias_name(name)
    except InvalidInputError:
        return f"{BESIDE} before its name makes no alias"
    return None


def _arrived(plan: Plan, ours: sqlite3.Connection, target: Target, version: int) -> str:
    """Return the reference here of a version of theirs."""
    known = plan.known_versions.get(version)
    if known is not None:
        return union.references_by_id(ours, [known])[known]
    arrival = plan.arrivals.get(version)
    return "" if arrival is None else f"{target.name}:v{arrival.number}"


# --- edges ---


def consumed_windows(connection: sqlite3.Connection) -> Iterator[list[tuple[int, int, str | None]]]:
    """Yield the consumed edges of a project, some at a time."""
    last = (0, 0)
    while window := union.consumed_after(connection, last, 10 * _WINDOW):
        yield window
        last = window[-1][:2]


def produced_windows(connection: sqlite3.Connection) -> Iterator[list[tuple[int, int]]]:
    """Yield the produced edges of a project, some at a time."""
    last = 0
    while window := union.produced_after(connection, last, 10 * _WINDOW):
        yield window
        last = window[-1][0]


def our_version(plan: Plan, version: int) -> int | None:
    """Return our row of one of their versions, if there is one already, be it only a node."""
    known = plan.known_versions.get(version)
    arrival = plan.arrivals.get(version)
    return arrival.node if known is None and arrival is not None else known


def _plan_edges(plan: Plan, ours: sqlite3.Connection, theirs: sqlite3.Connection) -> None:
    """Find edges of theirs that lead to what was here before, and second producers."""
    for inputs in consumed_windows(theirs):
        runs = sorted({plan.known_runs[run] for run, _, _ in inputs if run in plan.known_runs})
        held = union.inputs_of(ours, runs) if runs else set()
        for run, version, _ in inputs:
            mine = plan.known_runs.get(run)
            if mine is not None and (mine, our_version(plan, version)) not in held:
                plan.risky = True
    for outputs in produced_windows(theirs):
        known = {version: our_version(plan, version) for version, _ in outputs}
        producers = union.producers_of(ours, [key for key in known.values() if key is not None])
        for version, run in outputs:
            _plan_produced(plan, (ours, theirs), (known[version], version, run), producers)


def _plan_produced(
    plan: Plan,
    connections: tuple[sqlite3.Connection, sqlite3.Connection],
    edge: tuple[int | None, int, int],
    producers: dict[int, int],
) -> None:
    mine, version, run = edge
    if mine is None:
        return
    producer = producers.get(mine)
    if producer is None:
        plan.risky = True
    elif producer != plan.known_runs.get(run):
        ours, theirs = connections
        reference = union.references_by_id(theirs, [version])[version]
        makers = union.run_uid(ours, producer), union.run_uid(theirs, run)
        plan.refuse(f"{reference} was produced by run {makers[0]} here and by run {makers[1]} there")
