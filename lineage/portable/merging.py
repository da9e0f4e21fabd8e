"""Merging: another project's runs, versions, edges and bytes taken in, all of it or nothing.

The other file is looked at first (foreign.py), then a plan is made (plan.py). Bytes come before rows, as in a log:
unnamed by any row they are only garbage if the merge does not come to its end. The rows are one transaction, in
which the plan is made again, as others may have written since.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

from lineage.aliases import Mover, move_alias
from lineage.capture import host
from lineage.content import Content, DraftEntry, RowsAhead, damaged, open_blob, put_bytes, put_manifest
from lineage.errors import ConflictError, CorruptionError, CycleError, ErrorKind, StateError
from lineage.generations import note_newest
from lineage.portable.acyclic import find_cycle
from lineage.portable.foreign import Limits, foreign_project
from lineage.portable.plan import consumed_windows, make_plan, produced_windows, version_windows
from lineage.portable.planned import AliasStep, Plan, Policies
from lineage.portable.reports import MergeReport, Renamed
from lineage.records import Entry
from lineage.staging import copy_hashed
from lineage.statements import artifacts, checks, content, portable, runs, union
from lineage.statements.union import RunRow, VersionRow
from lineage.store import Store
from lineage.upkeep.collection import bounded
from lineage.upkeep.deletion import delete_in
from lineage.values import Digest, timestamp

Progress = Callable[[int], None]
_WINDOW: Final = 1_000
BYTES_AT_ONCE: Final = 64 << 20
"""What is staged together: it is on the disk twice for that long."""
_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class MergeRequest:
    """How another project is to be merged.

    Attributes:
        policies: What is taken where both disagree.
        limits: How much the other file may hold.
        dry_run: Write nothing.
        progress: Told the bytes taken over.
    """

    policies: Policies
    limits: Limits
    dry_run: bool = False
    progress: Progress | None = None


def merge(store: Store, source: Path, request: MergeRequest) -> MergeReport:
    """Take in another project and return what that came to. ``Project.merge`` documents it."""
    if store.database.in_block:
        raise StateError("a project cannot be merged inside a batch or a snapshot: leave the block first")
    if not request.dry_run:
        store.check_writable()
    with foreign_project(store, source, request.limits, for_reading=request.dry_run) as theirs:
        if request.dry_run:
            return _rehearsal(store, theirs, source, request)
        with store.storing():
            with _both(store, theirs) as (ours, other):
                plan = _checked_plan(ours, other, request.policies)
            blobs, size = _take_bytes(store, theirs, plan, request.progress)
            with theirs.database.read() as other, store.writing() as ours:
                plan = _checked_plan(ours, other, request.policies)
                union_of_both = _Union(ours, other, plan)
                edges = union_of_both.take_in()
                if union_of_both.newest is not None:
                    note_newest(store, ours, union_of_both.newest)
            return _report(plan, source, (edges, blobs, size), dry_run=False)


def _rehearsal(store: Store, theirs: Store, source: Path, request: MergeRequest) -> MergeReport:
    with _both(store, theirs) as (ours, other):
        plan = _checked_plan(ours, other, request.policies)
        edges = _new_edges(ours, other, plan)
    count = total = 0
    with theirs.database.read():
        for digest, size in _wanted_blobs(store, theirs, plan):
            with open_blob(theirs.database, theirs.blobs, digest, size, verified=False) as reader:
                if copy_hashed(reader, None) != (digest, size):
                    raise damaged(digest)
            count, total = count + 1, total + size
    return _report(plan, source, (edges, count, total), dry_run=True)


@contextmanager
def _both(store: Store, theirs: Store) -> Iterator[tuple[sqlite3.Connection, sqlite3.Connection]]:
    """Give a reading connection to each of the two."""
    with store.database.read() as ours, theirs.database.read() as other:
        yield ours, other


def _checked_plan(ours: sqlite3.Connection, theirs: sqlite3.Connection, policies: Policies) -> Plan:
    """Return the plan of a merge that can be.

    Raises:
        CycleError: Together the two would have a cycle.
        ConflictError: Something else forbids it; the message names the reasons.
    """
    plan = make_plan(ours, theirs, policies)
    cycle: tuple[str, ...] = ()
    if plan.risky and (cycle := find_cycle(plan, ours, theirs)):
        plan.refuse(f"together they have the cycle {' -> '.join([*cycle, cycle[0]])}")
    if plan.reasons:
        _refuse(plan, cycle)
    return plan


def _refuse(plan: Plan, cycle: tuple[str, ...]) -> NoReturn:
    shown = "; ".join(plan.reasons[:_SHOWN])
    more = f" and {len(plan.reasons) - _SHOWN} more" if len(plan.reasons) > _SHOWN else ""
    message = f"the projects cannot be merged, and nothing was changed: {shown}{more}"
    if cycle and len(plan.reasons) == 1:
        raise CycleError(message, cycle=cycle)
    raise ConflictError(message, kind=ErrorKind.MERGE_REFUSED)


def _report(plan: Plan, source: Path, counts: tuple[int, int, int], *, dry_run: bool) -> MergeReport:
    edges, blobs, size = counts
    return MergeReport(
        dry_run=dry_run,
        source=str(source),
        runs=plan.new_runs,
        versions=len(plan.arrivals),
        artifacts=sum(target.is_new for target in plan.targets.values()),
        edges=edges,
        blobs=blobs,
        bytes=size,
        known_runs=len(plan.known_runs),
        known_versions=len(plan.known_versions),
        references=tuple(Renamed(*pair) for pair in plan.renamed),
        decisions=tuple(plan.decisions),
        deleted_here=(*plan.gone_here.values(), *plan.gone_runs_here.values()),
        deleted_there=tuple(plan.gone_there),
    )


# --- bytes ---


def _wanted_blobs(store: Store, theirs: Store, plan: Plan) -> Iterator[tuple[Digest, int]]:
    """Yield digest and size of the contents there that live versions here will name and whose bytes are not here.

    Being there is the file's word and not the row's.
    """
    last = ""
    gone = sorted(plan.gone_here)
    while True:
        with theirs.database.read() as other:
            window = union.blobs_named_after(other, last, _WINDOW)
            named = union.blobs_wanted(other, [digest for digest, _ in window], gone)
        if not window:
            return
        wanted = [(digest, size) for digest, size in window if digest in named]
        with store.database.read() as ours:
            inside = content.held_inside(ours, [digest for digest, _ in wanted])
            known = union.blob_sizes(ours, [digest for digest, _ in wanted])
        for digest, size in wanted:
            here = digest in inside or (digest in known and store.blobs.has(Digest(digest), size))
            if not here or known.get(digest, (0, True))[1]:
                yield Digest(digest), size
        last = window[-1][0]


def _take_bytes(store: Store, theirs: Store, plan: Plan, progress: Progress | None) -> tuple[int, int]:
    """Store the bytes of theirs that are not here, hashed on their way in; return how many contents and bytes."""
    count = total = 0
    ahead = RowsAhead(store.database)
    for some in bounded(_wanted_blobs(store, theirs, plan), weight, BYTES_AT_ONCE):
        take_over(store, theirs, some, ahead, progress)
        count, total = count + len(some), total + sum(size for _, size in some)
    if count:
        with store.writing() as connection:
            ahead.drain(connection)
    return count, total


def weight(blob: tuple[Digest, int]) -> int:
    """Return what a content counts for when some are staged together: small ones cost memory and not bytes."""
    return max(blob[1], BYTES_AT_ONCE // 2_000)


def take_over(
    store: Store, theirs: Store, blobs: Iterable[tuple[Digest, int]], ahead: RowsAhead, progress: Progress | None
) -> None:
    """Store some contents of another project; their rows may wait in `ahead`.

    Raises:
        CorruptionError: The bytes there are not those of the digest.
        NotFoundError: They are not there.
    """
    staging = store.blobs.new_staging()
    try:
        entries = []
        with theirs.database.read():  # one connection: for each small content its own would cost ten times its bytes
            for digest, size in blobs:
                with open_blob(theirs.database, theirs.blobs, digest, size, verified=False) as source:
                    staged = staging.stage(source)
                if staged.digest != digest or staged.size != size:
                    raise damaged(digest)
                entries.append(DraftEntry(Entry(digest, digest, size), staged))
                if progress is not None:
                    progress(size)
        put_bytes(store.blobs, ahead, entries, staging)
        with store.writing() as connection:  # small contents are in the staging folder, which goes now
            ahead.drain(connection)
    finally:
        staging.close()


# --- rows ---


def _new_edges(ours: sqlite3.Connection, theirs: sqlite3.Connection, plan: Plan) -> int:
    """Count the edges of theirs that are not here."""
    count = 0
    for inputs in consumed_windows(theirs):
        runs_here = sorted({plan.known_runs[run] for run, _, _ in inputs if run in plan.known_runs})
        held = union.inputs_of(ours, runs_here)
        count += sum((plan.known_runs.get(run), _node(plan, version)) not in held for run, version, _ in inputs)
    for outputs in produced_windows(theirs):
        nodes = [key for version, _ in outputs if (key := _node(plan, version)) is not None]
        producers = union.producers_of(ours, nodes)
        count += sum(_node(plan, version) not in producers for version, _ in outputs)
    return count


def _node(plan: Plan, version: int) -> int | None:
    arrival = plan.arrivals.get(version)
    return plan.known_versions.get(version) if arrival is None else arrival.node


@dataclass(slots=True)
class _Union:
    """The rows of one merge, written in the order in which they name each other."""

    ours: sqlite3.Connection
    theirs: sqlite3.Connection
    plan: Plan
    mover: Mover = field(default_factory=lambda: Mover(timestamp(), host().user))
    artifacts: dict[int, int] = field(default_factory=dict)
    runs: dict[int, int] = field(default_factory=dict)
    versions: dict[int, int] = field(default_factory=dict)
    environments: dict[str, int] = field(default_factory=dict)
    links: list[tuple[int, int]] = field(default_factory=list)
    newest: int | None = None

    def take_in(self) -> int:
        """Write all rows and return how many edges are new."""
        before = union.edge_count(self.ours)
        self._artifacts()
        self._runs()
        self._versions()
        for version, source in self.links:
            artifacts.insert_link(self.ours, version, self.versions[source])
        union.delete_empty_foreign(self.ours)
        self._outside_uses()
        self._edges()
        for step in self.plan.aliases:
            self._alias(step)
        self._latest()
        return union.edge_count(self.ours) - before

    def _artifacts(self) -> None:
        for key, target in self.plan.targets.items():
            if target.is_new:
                self.artifacts[key] = union.add_artifact(self.ours, target.theirs)
            if target.ours is None:
                continue
            self.artifacts[key] = target.ours.id
            if target.grows and target.ours.deleted_at is not None and target.ours.project is None:
                artifacts.revive_artifact(self.ours, target.ours.id)
            if ("artifact", key) in self.plan.worded:
                union.set_artifact_words(self.ours, target.ours.id, target.theirs)

    def _runs(self) -> None:
        self.runs = dict(self.plan.known_runs)
        last = 0
        while window := union.runs_after(self.theirs, last, _WINDOW):
            for row in window:
                self._run(row)
            metrics = union.metrics_of(self.theirs, [row.id for row in window])
            gone = self.plan.gone_runs_here
            union.add_metrics(self.ours, ((self.runs[run], *rest) for run, *rest in metrics if run not in gone))  # type: ignore[misc]  # the columns are those of the row
            last = window[-1].id

    def _run(self, row: RunRow) -> None:
        key = self.plan.known_runs.get(row.id)
        if key is None:
            self.runs[row.id] = key = union.add_run(self.ours, row, self._environment(row.environment))
            runs.add_run_tags(self.ours, key, json.loads(row.tags))
            return
        if row.id not in self.plan.gone_runs_here:
            union.raise_next_step(self.ours, key, row.next_step)
        if row.id in self.plan.ended_runs:
            union.end_known_run(self.ours, key, row)
        if row.id in self.plan.summaries:
            runs.update_run_summary(self.ours, key, self.plan.summaries[row.id])
        if ("run", row.id) in self.plan.worded:
            union.set_run_words(self.ours, key, row)
            runs.clear_run_tags(self.ours, key)
            runs.add_run_tags(self.ours, key, json.loads(row.tags))

    def _environment(self, digest: str | None) -> int | None:
        if digest is None:
            return None
        if digest not in self.environments:
            document = union.environment_document(self.theirs, digest)
            self.environments[digest] = runs.insert_environment(self.ours, digest, document)
        return self.environments[digest]

    def _versions(self) -> None:
        self.versions = dict(self.plan.known_versions)
        for window in version_windows(self.theirs):
            for row in window:
                if row.id in self.plan.arrivals:
                    self._version(row)
                elif row.deleted_at is None and not row.foreign and row.id not in self.plan.gone_here:
                    self._words(row)

    def _version(self, row: VersionRow) -> None:
        arrival = self.plan.arrivals[row.id]
        artifact = self.artifacts[row.artifact]
        if not row.foreign:
            artifacts.take_number(self.ours, artifact)
        manifest = self._manifest(row)
        keys = (artifact, arrival.number, manifest)
        if arrival.node is None:
            key = union.add_version(self.ours, row, keys, self._deleted_at(row))
        else:
            key = arrival.node
            union.complete_version(self.ours, key, row, keys)
            for link in artifacts.links_to(self.ours, key) if row.deleted_at is not None else ():
                delete_in(self.ours, link, self.mover, delete_aliases=True, override=True)
        self.versions[row.id] = key
        if not row.foreign:  # a node that becomes a version has a key from before: what came after it is not new
            self.newest = max(self.newest or key, key)
        artifacts.add_version_tags(self.ours, key, json.loads(row.tags))
        if row.source is not None:
            self.links.append((key, row.source))

    def _outside_uses(self) -> None:
        """Take over what third projects do with versions that are new here; of ours, no file tells what holds them."""
        here = artifacts.project_uid(self.ours)
        for version, use in union.outside_rows(self.theirs):
            if version in self.plan.arrivals and use.project_uid != here:
                artifacts.insert_outside_use(self.ours, self.versions[version], use)

    def _deleted_at(self, row: VersionRow) -> str | None:
        """Return when a version counts as deleted here: a link to what is deleted here went with it."""
        if row.source is not None and row.source in self.plan.gone_here:
            return row.deleted_at or self.mover.at
        return row.deleted_at

    def _words(self, row: VersionRow) -> None:
        key = self.versions[row.id]
        if ("version", row.id) in self.plan.worded:
            union.set_version_words(self.ours, key, row)
            artifacts.clear_version_tags(self.ours, key)
            artifacts.add_version_tags(self.ours, key, json.loads(row.tags))

    def _manifest(self, row: VersionRow) -> int:
        """Return our manifest of a version of theirs, with its parts if it is live."""
        if row.deleted_at is not None:
            return content.put_manifest(self.ours, row.digest, row.file_count, row.size)
        known = content.manifest_id(self.ours, row.digest)
        if known is not None:
            return known
        parts = union.parts_of(self.theirs, row.manifest)
        held = content.known_parts(self.ours, [digest for _, digest in parts])
        for key, digest in parts:
            if digest not in held:
                self._part(key, digest)
        digests = tuple(Digest(digest) for _, digest in parts)
        return put_manifest(self.ours, Content(Digest(row.digest), row.file_count, row.size, digests))

    def _part(self, key: int, digest: str) -> None:
        blobs = union.blobs_of_part(self.theirs, key)
        known = union.blob_sizes(self.ours, [blob for blob, _ in blobs])
        if wrong := [blob for blob, size in blobs if known.get(blob, (size, False))[0] != size]:
            raise CorruptionError(f"the other project says that {wrong[0]} has another size than it has here")
        portable.mark_absent(self.ours, blobs)
        content.insert_part(self.ours, digest, content.entries_of_part(self.theirs, key))

    def _edges(self) -> None:
        for inputs in consumed_windows(self.theirs):
            union.add_consumed(self.ours, ((self.runs[run], self.versions[v], role) for run, v, role in inputs))
        for outputs in produced_windows(self.theirs):
            union.add_produced(self.ours, ((self.versions[version], self.runs[run]) for version, run in outputs))
        facts = union.reproduced_rows(self.theirs)
        union.add_reproduced(self.ours, ((self.versions[v], self.runs[run], *rest) for v, run, *rest in facts))  # type: ignore[misc]  # as above

    def _alias(self, step: AliasStep) -> None:
        artifact = self.artifacts[step.target]
        version = None if step.version is None else self.versions[step.version]
        if version is not None and union.artifact_of(self.ours, version) != (artifact, True):
            return
        events = union.alias_events(self.theirs, step.target, step.name) if step.history else []
        ends = {key for moved in events for key in moved[:2] if key is not None}
        if events and all(union.artifact_of(self.ours, self.versions[key])[0] == artifact for key in ends):
            self._history(artifact, step.name, events)
            if version is not None:
                artifacts.put_alias(self.ours, artifact, step.name, version, protected=step.protected)
        elif version is not None:
            move_alias(self.ours, artifact, step.name, version, self.mover, protect=step.protected or None)

    def _history(self, artifact: int, alias: str, events: Iterable[union.Move]) -> None:
        for moved_from, moved_to, at, user, run in events:
            artifacts.insert_alias_event(
                self.ours,
                artifact=artifact,
                alias=alias,
                moved_from=None if moved_from is None else self.versions[moved_from],
                moved_to=None if moved_to is None else self.versions[moved_to],
                at=at,
                user=user,
                run=None if run is None else self.runs[run],
            )

    def _latest(self) -> None:
        """Let ``latest`` name the highest version where nothing does: the one it named may be deleted here."""
        for artifact, _ in checks.artifacts_without_latest(self.ours):
            newest = artifacts.live_versions(self.ours, artifact)[-1]
            move_alias(self.ours, artifact, "latest", newest, self.mover)
