"""Logging: from a draft to a version, all or nothing.

The order is that of promises.md 5.1: bytes, then the rows nobody names yet, then one transaction with the
version, its edge, its aliases. Only that last one is what other processes can see.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from lineage.aliases import Mover, move_alias
from lineage.artifact import Artifact, being_logged, draft_parts, is_logged, logged_as, mark_logged, read_lost
from lineage.content import Content, DraftEntry, RowsAhead, listing, put_bytes, put_listing, put_manifest, read_entries
from lineage.errors import ErrorKind, InvalidInputError, StateError
from lineage.generations import note_newest
from lineage.jsondata import JsonObject, JsonValue, plain_object
from lineage.records import VersionRecord
from lineage.statements import artifacts, edges, runs
from lineage.statements.upkeep import last_version
from lineage.store import Store, find_artifact, find_version
from lineage.tree import refuse_clashes
from lineage.values import (
    LATEST,
    Reference,
    alias_name,
    artifact_name,
    callback,
    label,
    new_uid,
    prose,
    shown,
    tag_name,
    ttl_seconds,
)

Better = tuple[str, Literal["max", "min"]]
_MODES: Final = ("max", "min")
_LIGHT_ENTRIES: Final = 200
"""Small files up to which a whole log holds the writer lock: some 10 ms."""


@dataclass(frozen=True, slots=True)
class LogRequest:
    """How a draft is to be logged.

    Attributes:
        mover: Who logs, when, and in which run.
        aliases: Besides ``latest``.
        tags: For the version.
        only_if_better: A metric and the direction in which it improves.
        force_new_version: Make a version also of content that is one already.
        step: The run's last step, kept with the version.
        progress: Told the bytes stored.
        before: Raises if the log cannot be, before anything is written.
        then: What else belongs into the transaction, told the version's row.
    """

    mover: Mover
    aliases: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    only_if_better: Better | None = None
    force_new_version: bool = False
    step: int | None = None
    progress: Callable[[int], None] | None = None
    before: Callable[[sqlite3.Connection], None] | None = None
    then: Callable[[sqlite3.Connection, int], None] | None = None


class _NotBetterError(Exception):
    """Ends a transaction whose version is not to be: never leaves this module."""


def checked_request(request: LogRequest) -> LogRequest:
    """Return the request if its aliases, tags and rule may be.

    Raises:
        InvalidInputError: One of them may not.
    """
    for alias in request.aliases:
        alias_name(alias)
    for tag in request.tags:
        tag_name(tag)
    callback(request.progress)
    better = request.only_if_better
    if better is not None and not (
        isinstance(better, tuple | list) and len(better) == 2 and isinstance(better[0], str) and better[1] in _MODES  # noqa: PLR2004 (metric and direction)
    ):
        message = f"only_if_better={shown(better)}: give a metric and its direction, such as ('iou', 'max')"
        raise InvalidInputError(message)
    return request


def log_draft(store: Store, draft: Artifact, request: LogRequest) -> VersionRecord | None:
    """Make a version of a draft and return it; None if `only_if_better` says it is not.

    Content the artifact holds already gives that version back: the aliases and tags are applied, and the run is
    noted as having reproduced it. A draft that was logged gives its version again.

    Raises:
        InvalidInputError: The name has another type, an alias, tag or metadata breaks a rule.
        ConflictError: A protected alias would move.
        StateError: The draft was logged into another project.
        ReadOnlyError: The project is read-only.
        StorageError: The bytes cannot be stored.
    """
    checked_request(request)
    try:
        return _log_again(store, draft, request) if is_logged(draft) else _log_first(store, draft, request)
    except _NotBetterError:
        return None


def _log_first(store: Store, draft: Artifact, request: LogRequest) -> VersionRecord:
    with being_logged(draft):
        metadata = _checked_words(draft)
        with store.storing():
            read_lost(draft, store)
            with store.writing() if _is_light(store, draft) else nullcontext():
                record = _log(store, draft, metadata, request)
        mark_logged(draft, store.path, record)
    return record


def _checked_words(draft: Artifact) -> JsonObject:
    """Return the metadata of a draft, and refuse what was set on it since it was made."""
    artifact_name(draft.name)
    label(draft.type, "artifact type")
    if draft.description is not None:
        prose(draft.description, f"description of artifact {draft.name!r}")
    ttl_seconds(draft.ttl)
    return plain_object(draft.metadata, f"metadata of artifact {draft.name!r}")


def _is_light(store: Store, draft: Artifact) -> bool:
    """Whether all of it is one short transaction: 1 connection and 1 commit instead of 5 and up."""
    items, _ = draft_parts(draft)
    if len(items) > _LIGHT_ENTRIES or any(item.staged is not None and item.staged.path is not None for item in items):
        return False
    if not draft.incremental:
        return True
    with store.database.read() as connection:
        newest = _newest(connection, draft.name)
        return newest is None or artifacts.version_records(connection, [newest])[0].file_count <= _LIGHT_ENTRIES


def _log(store: Store, draft: Artifact, metadata: JsonObject, request: LogRequest) -> VersionRecord:
    with store.database.read() as connection:
        if request.before is not None:
            request.before(connection)
        _check_artifact(connection, draft)
        metadata = _with_metric(connection, draft.name, metadata, request)
        _refuse_worse(connection, draft.name, metadata, request)
    items, staging = draft_parts(draft)
    ahead = RowsAhead(store.database)
    put_bytes(store.blobs, ahead, items, staging, request.progress)
    base, ready = _put_listing(store, ahead, draft, items)
    with store.writing() as connection:
        ahead.drain(connection)
        _refuse_worse(connection, draft.name, metadata, request)
        if draft.incremental and _newest(connection, draft.name) != base:  # somebody logged or deleted one meanwhile
            _, ready = _put_listing(store, ahead, draft, items)
            ahead.drain(connection)
        manifest = put_manifest(connection, ready)
        last = last_version(connection)
        version = _version(connection, draft, metadata, (ready.digest, manifest), request)
        if version > last:
            note_newest(store, connection, version)
        return artifacts.version_records(connection, [version])[0]


def _put_listing(
    store: Store, ahead: RowsAhead, draft: Artifact, items: list[DraftEntry]
) -> tuple[int | None, Content]:
    """Store the listing of a draft, an incremental one's on that of the newest version, which is returned too.

    Reading and hashing 200,000 entries takes 2 s, in which others may write: who logs looks afterwards whether that
    version is the newest still (tests/test_two_writers.py).
    """
    entries = listing(items)
    if not draft.incremental:
        return None, put_listing(ahead, entries)
    with store.database.read() as connection:
        newest = _newest(connection, draft.name)
    merged = (
        {entry.path: entry for entry in read_entries(store.database, newest, origin=False)}
        if newest is not None
        else {}
    )
    merged.update({entry.path: entry for entry in entries})
    refuse_clashes(merged)
    return newest, put_listing(ahead, sorted(merged.values(), key=lambda entry: entry.path))


def _newest(connection: sqlite3.Connection, name: str) -> int | None:
    """Return the live version of an artifact with the highest number."""
    row = artifacts.artifact_row(connection, name)
    live = artifacts.live_versions(connection, row[0]) if row is not None else []
    return live[-1] if live else None


def _log_again(store: Store, draft: Artifact, request: LogRequest) -> VersionRecord:
    """Give the version a draft became, with the aliases and tags of this call."""
    with store.writing() as connection:
        if request.before is not None:
            request.before(connection)
        version = logged_version(connection, store, draft)
        (record,) = artifacts.version_records(connection, [version])
        metadata = _with_metric(connection, record.name, _checked_words(draft), request)
        _refuse_worse(connection, record.name, metadata, request)
        artifact = find_artifact(connection, record.name)
        _note_reproduction(connection, record.name, version, metadata, request)
        _name(connection, artifact, version, request)
        return artifacts.version_records(connection, [version])[0]


def logged_version(connection: sqlite3.Connection, store: Store, draft: Artifact) -> int:
    """Return the version a draft became when it was logged.

    Raises:
        StateError: It was logged into another project, or in a batch that was undone.
        NotFoundError: The version was deleted.
    """
    project, logged = logged_as(draft)
    if project != store.path:
        where = f"{logged.reference} of {str(project)!r}"
        message = f"artifact {draft.name!r} was logged as {where}; a draft is logged once"
        raise StateError(message, kind=ErrorKind.DRAFT_LOGGED)
    key = artifacts.version_by_uid(connection, logged.uid)
    if key is None:
        message = f"artifact {draft.name!r} was logged in a batch that was undone; make the draft again"
        raise StateError(message, kind=ErrorKind.DRAFT_LOGGED)
    (record,) = artifacts.version_records(connection, [key])  # its artifact may be renamed by now
    return find_version(connection, Reference(record.name, number=record.number))


def _name(connection: sqlite3.Connection, artifact: int, version: int, request: LogRequest) -> None:
    """Move the aliases of the call, and ``latest``, to a version, put the tags on it, and do what belongs to it."""
    for alias in dict.fromkeys((LATEST, *request.aliases)):
        move_alias(connection, artifact, alias, version, request.mover)
    artifacts.add_version_tags(connection, version, request.tags)
    if request.then is not None:
        request.then(connection, version)


def _check_artifact(connection: sqlite3.Connection, draft: Artifact) -> None:
    """Refuse a draft whose name is that of a collection, or of an artifact of another type, be it a deleted one.

    The versions of a deleted artifact stay in the lineage: another type would be theirs too.
    """
    row = artifacts.artifact_row(connection, draft.name)
    if row is not None and row[1] != draft.type:
        there = "already exists" if row[2] is None else "was deleted, and its versions stay in the lineage,"
        message = (
            f"artifact {draft.name!r} {there} with type {row[1]!r}; "
            f"log it with that type, or choose another name for type {draft.type!r}"
        )
        raise InvalidInputError(message, kind=ErrorKind.TYPE_CLASH)
    if row is not None and artifacts.is_collection(connection, row[0]):
        message = f"{draft.name!r} is a collection of links; log under another name, and link the version"
        raise InvalidInputError(message, kind=ErrorKind.NAME_TAKEN)


def _version(
    connection: sqlite3.Connection,
    draft: Artifact,
    metadata: JsonObject,
    content_key: tuple[str, int],
    request: LogRequest,
) -> int:
    artifact = _artifact(connection, draft, request.mover)
    digest, manifest = content_key
    known = None if request.force_new_version else artifacts.version_with_content(connection, artifact, digest)
    if known is None:
        version = _new_version(connection, draft, metadata, (artifact, manifest), request)
    else:
        version = known
        _note_reproduction(connection, draft.name, version, metadata, request)
        _prolong(connection, version, ttl_seconds(draft.ttl), request.mover.at)
    _name(connection, artifact, version, request)
    return version


def _artifact(connection: sqlite3.Connection, draft: Artifact, mover: Mover) -> int:
    _check_artifact(connection, draft)
    row = artifacts.artifact_row(connection, draft.name)
    if row is None:
        return artifacts.insert_artifact(connection, new_uid(), draft.name, draft.type, mover.at)
    if row[2] is not None:
        artifacts.revive_artifact(connection, row[0])
    return row[0]


def _new_version(
    connection: sqlite3.Connection,
    draft: Artifact,
    metadata: JsonObject,
    keys: tuple[int, int],
    request: LogRequest,
) -> int:
    version = artifacts.insert_version(
        connection,
        uid=new_uid(),
        artifact=keys[0],
        number=artifacts.take_number(connection, keys[0]),
        manifest=keys[1],
        description=draft.description,
        metadata=metadata,
        step=request.step,
        at=request.mover.at,
        ttl=ttl_seconds(draft.ttl),
    )
    if request.mover.run is not None:
        edges.insert_produced(connection, version, request.mover.run)
    return version


def _note_reproduction(
    connection: sqlite3.Connection, name: str, version: int, metadata: JsonObject, request: LogRequest
) -> None:
    """Note that a run made what was there already: evidence, and not an edge, so no cycle can come of it."""
    (record,) = artifacts.version_records(connection, [version])
    import logging  # noqa: PLC0415 (5 ms; only content that was there already is worth a word)

    words = "%s has this content already: no new version of %r, and latest names it"
    logging.getLogger("lineage").warning(words, record.reference, name)
    run = request.mover.run
    if run is not None and edges.producer(connection, version) != run:
        edges.insert_reproduced(connection, version, run, metadata, request.mover.at)
    if request.only_if_better is not None:
        metric = request.only_if_better[0]
        if record.metadata.get(metric) != metadata[metric]:  # what latest names is what the next log must beat
            artifacts.touch_version(connection, version, request.mover.at)
            artifacts.update_version_metadata(connection, version, {**record.metadata, metric: metadata[metric]})


def _prolong(connection: sqlite3.Connection, version: int, ttl: int | None, at: str) -> None:
    """Let a version that is logged again live as long as this log asks: what was logged now must not expire early."""
    (record,) = artifacts.version_records(connection, [version])
    if record.ttl is None:
        return
    age = (datetime.fromisoformat(at) - datetime.fromisoformat(record.created_at)) // timedelta(seconds=1)
    artifacts.update_version_ttl(connection, version, None if ttl is None else max(record.ttl, age + ttl))


def _with_metric(connection: sqlite3.Connection, name: str, metadata: JsonObject, request: LogRequest) -> JsonObject:
    """Return the metadata with the metric in it, so that the next log has something to compare with.

    The run's summary alone would not do: a later checkpoint of the same run has the same summary.

    Raises:
        InvalidInputError: The metric is nowhere, or is no number.
    """
    if request.only_if_better is None:
        return metadata
    metric, said = request.only_if_better[0], metadata
    if metric not in said and request.mover.run is not None:
        said = runs.run_summary(connection, request.mover.run)
    if metric not in said:
        message = f"only_if_better: neither the metadata of {name!r} nor the run's summary has a number {metric!r}"
        raise InvalidInputError(message)
    value = said[metric]
    if value is None:  # NaN, in JSON
        raise _NotBetterError
    if _number(value) is None:
        raise InvalidInputError(f"only_if_better: {metric!r} of {name!r} is {shown(value)}, and no number to compare")
    return {**metadata, metric: value}


def _refuse_worse(connection: sqlite3.Connection, name: str, metadata: JsonObject, request: LogRequest) -> None:
    if request.only_if_better is not None and not _is_better(connection, name, metadata, request.only_if_better):
        raise _NotBetterError


def _is_better(connection: sqlite3.Connection, name: str, metadata: JsonObject, better: Better) -> bool:
    """Compare with the version that ``latest`` names; without one, everything is better."""
    metric, direction = better
    new = _number(metadata[metric])
    latest = artifacts.version_by_alias(connection, name, LATEST)
    if latest is None:
        return True
    (record,) = artifacts.version_records(connection, [latest])
    old = _number(record.metadata.get(metric))
    if old is None or new is None:
        return old is None
    return new > old if direction == "max" else new < old


def _number(value: JsonValue) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
