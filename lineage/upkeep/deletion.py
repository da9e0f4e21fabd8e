"""Deleting versions, artifacts and runs; renaming; pruning by rules; and how many bytes an artifact holds.

Deleting marks rows and drops what only they knew. The node and its edges stay, so that what was made from it
keeps its lineage. Bytes go when ``gc`` is asked to take what no live version names.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lineage.aliases import Mover, move_alias, remove_alias
from lineage.errors import ConflictError, ErrorKind, InvalidInputError, NotFoundError, StateError
from lineage.records import RunRecord, SizeRecord
from lineage.statements import artifacts, edges, runs
from lineage.statements import upkeep as rows
from lineage.store import Store, find_artifact, find_own_artifact
from lineage.values import (
    LATEST,
    RunStatus,
    artifact_name,
    collection_name,
    known_name,
    label,
    timestamp,
    timestamp_text,
    whole_number,
)


@dataclass(frozen=True, slots=True)
class PruneRules:
    """Which versions to keep; a version goes only if no rule keeps it.

    The version that ``latest`` names, one that a protected alias names and one that a collection links to are
    always kept, and so are links.

    Attributes:
        artifact: Look at this artifact only.
        type: Look at artifacts of this type only.
        keep_last: Keep so many versions of each artifact, the newest by number.
        older_than: Keep what is younger.
        keep_aliased: Keep what an alias names.
        keep_tagged: Keep what bears a tag.
        keep_used: Keep what a run that is not deleted consumed.
        expired: Keep what has no time to live, or has not outlived it.
    """

    artifact: str | None = None
    type: str | None = None
    keep_last: int | None = None
    older_than: timedelta | None = None
    keep_aliased: bool = True
    keep_tagged: bool = True
    keep_used: bool = True
    expired: bool = False


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What a prune deleted, or would delete.

    Attributes:
        dry_run: Whether nothing was changed.
        versions: References, by name and number.
        bytes: What ``gc`` can take once they are deleted, because no other version names it.
    """

    dry_run: bool
    versions: tuple[str, ...]
    bytes: int


def delete_version(store: Store, version_key: int, *, delete_aliases: bool = False, override: bool = False) -> None:
    """Mark a version deleted; its node and edges stay, its content can no longer be had.

    Any alias blocks, ``latest`` too, and any link in a collection. With `delete_aliases` they go, and ``latest``
    moves to the highest version left. One transaction.

    Args:
        store: Where.
        version_key: Which.
        delete_aliases: Take its aliases away.
        override: Also protected ones.

    Raises:
        NotFoundError: There is none, or it was deleted before.
        ConflictError: An alias names it or a link stands for it, or a protected alias does and `override` is not set.
    """
    with store.writing() as connection:
        delete_in(connection, version_key, Mover.now(), delete_aliases=delete_aliases, override=override)


def delete_in(
    connection: sqlite3.Connection, version: int, mover: Mover, *, delete_aliases: bool, override: bool
) -> None:
    """Delete a version, with the links that stand for it, inside a write; raises as :func:`delete_version`."""
    state = rows.version_state(connection, version)
    if state is None:
        raise NotFoundError("no such version", kind=ErrorKind.VERSION_NOT_FOUND)
    reference = f"{state.name}:v{state.number}"
    if state.project is not None:
        message = f"{reference} belongs to project {state.project!r}: delete it there; here it is a node of the lineage"
        raise NotFoundError(message, kind=ErrorKind.VERSION_NOT_FOUND)
    if state.deleted_at is not None:
        message = f"{reference} was deleted already, at {state.deleted_at}"
        raise NotFoundError(message, kind=ErrorKind.VERSION_DELETED)
    names = [alias for alias, _ in artifacts.aliases_of(connection, version)]
    links = artifacts.links_to(connection, version)
    outside = artifacts.outside_links_of(connection, [version])
    if (names or links or outside) and not delete_aliases:
        raise _blocked(connection, reference, names, links, outside)
    for link in links:
        delete_in(connection, link, mover, delete_aliases=True, override=override)
    artifacts.mark_version_deleted(connection, version, mover.at)
    artifacts.clear_version_tags(connection, version)
    for alias in names:
        _let_go(connection, state.artifact, alias, mover, override=override)


def _let_go(connection: sqlite3.Connection, artifact: int, alias: str, mover: Mover, *, override: bool) -> None:
    """Take an alias off a version that is gone: ``latest`` goes on to the highest one left, others end."""
    left = artifacts.live_versions(connection, artifact) if alias == LATEST else []
    if left:
        move_alias(connection, artifact, alias, left[-1], mover, override=override)
    else:
        remove_alias(connection, artifact, alias, mover, override=override)


def _blocked(
    connection: sqlite3.Connection, what: str, aliases: Sequence[str], links: Sequence[int], outside: Sequence[str]
) -> ConflictError:
    standing = [record.reference for record in artifacts.version_records(connection, links)]
    why = [
        f"{reason} ({', '.join(map(repr, names))})"
        for reason, names in (("aliases name it", aliases), ("links stand for it", [*standing, *outside]))
        if names
    ]
    message = f"{what} cannot be deleted while {' and '.join(why)}; pass delete_aliases=True (--delete-aliases)"
    return ConflictError(message, kind=ErrorKind.ALIASES_BLOCK)


def delete_artifact(store: Store, name: str, *, delete_aliases: bool = False, override: bool = False) -> None:
    """Mark an artifact and all its versions deleted; nodes and edges stay. One transaction.

    Aliases other than ``latest``, and links in collections, block unless `delete_aliases` is set. Logging under the
    name later takes it into use again, and numbers go on where they stopped.

    Raises:
        NotFoundError: There is none, or it was deleted before.
        ConflictError: An alias names a version, or a protected one does and `override` is not set.
    """
    with store.writing() as connection:
        artifact = find_own_artifact(connection, known_name(name))
        aliases = rows.aliases_in(connection, artifact)
        links = rows.links_into(connection, artifact)
        others = [alias for alias in aliases if alias != LATEST]
        outside = artifacts.outside_links_of(connection, artifacts.live_versions(connection, artifact))
        if (others or links or outside) and not delete_aliases:
            raise _blocked(connection, f"artifact {name!r}", others, links, outside)
        mover = Mover.now()
        for link in links:
            delete_in(connection, link, mover, delete_aliases=True, override=override)
        for alias in aliases:
            remove_alias(connection, artifact, alias, mover, override=override)
        rows.mark_versions_deleted(connection, artifact, mover.at)
        artifacts.mark_artifact_deleted(connection, artifact, mover.at)


def rename_artifact(store: Store, old: str, new: str) -> None:
    """Give an artifact another name; ids, numbers, aliases and history stay. To its own name, nothing happens.

    Raises:
        NotFoundError: There is no artifact `old`.
        ConflictError: `new` is taken, be it by a deleted artifact, which is still in the lineage.
        InvalidInputError: No artifact may bear the name.
    """
    with store.writing() as connection:
        artifact = find_own_artifact(connection, known_name(old))
        checked = collection_name if artifacts.is_collection(connection, artifact) else artifact_name
        taken = artifacts.artifact_row(connection, checked(new))
        if taken is None:
            artifacts.rename_artifact(connection, artifact, new)
        elif taken[0] != artifact:
            whose = "an artifact" if taken[2] is None else "a deleted artifact, which stays in the lineage,"
            message = f"{new!r} is the name of {whose} already; choose another"
            raise ConflictError(message, kind=ErrorKind.NAME_TAKEN)


def delete_run(store: Store, run_key: int, *, delete_versions: bool = False, delete_aliases: bool = False) -> None:
    """Mark a run deleted and drop its metrics, config, summary, notes and tags; its node and edges stay.

    The versions it produced stay too, unless `delete_versions` is set. One transaction.

    Args:
        store: Where.
        run_key: Which.
        delete_versions: Delete what it produced as :func:`delete_version` does.
        delete_aliases: Of those versions.

    Raises:
        NotFoundError: There is none, or it was deleted before.
        StateError: It is still running.
        ConflictError: An alias names a version that is to go.
    """
    with store.writing() as connection:
        record = _ended_run(connection, run_key)
        mover = Mover.now()
        if delete_versions:
            for version in _live_outputs(connection, run_key):
                delete_in(connection, version, mover, delete_aliases=delete_aliases, override=False)
        if record.status == RunStatus.CRASHED:
            runs.mark_crashed(connection, [run_key])
        runs.strip_run(connection, run_key, mover.at)


def _ended_run(connection: sqlite3.Connection, run: int) -> RunRecord:
    found = runs.run_record(connection, run)
    if found is None or found.deleted_at is not None:
        message = "no such run" if found is None else f"run {found.id!r} was deleted already"
        raise NotFoundError(message, kind=ErrorKind.RUN_NOT_FOUND)
    if found.status == RunStatus.RUNNING:
        message = f"run {found.id!r} is still running on {found.host or 'some machine'}: finish it first"
        raise StateError(message)
    return found


def _live_outputs(connection: sqlite3.Connection, run: int) -> list[int]:
    records = artifacts.version_records(connection, edges.outputs(connection, run))
    return [record.id for record in records if record.deleted_at is None]


def prune(store: Store, rules: PruneRules, *, dry_run: bool) -> PruneReport:
    """Delete every version that no rule keeps, in one transaction; a dry run writes nothing.

    It looks before it takes a turn of the writers: one that finds nothing, as most do, keeps nobody waiting.

    Raises:
        InvalidInputError: The rules have none of `keep_last`, `older_than` and `expired`, or one of them is senseless.
        NotFoundError: There is no such artifact.
    """
    _check_rules(rules)
    if not dry_run:
        store.check_writable()
    with store.database.read() as connection:
        found, freed = _prunable(connection, rules)
    if found and not dry_run:
        with store.writing() as connection:
            found, freed = _prunable(connection, rules)
            mover = Mover.now()
            for version, _ in found:
                delete_in(connection, version, mover, delete_aliases=True, override=False)
    return PruneReport(dry_run, tuple(reference for _, reference in found), freed)


def _prunable(connection: sqlite3.Connection, rules: PruneRules) -> tuple[list[tuple[int, str]], int]:
    """Return the versions that no rule keeps, and the bytes that only they name."""
    found = rows.prunable_versions(connection, _parameters(connection, rules))
    return found, rows.bytes_only_in(connection, [version for version, _ in found])


def _check_rules(rules: PruneRules) -> None:
    if rules.keep_last is None and rules.older_than is None and not rules.expired:
        raise InvalidInputError("prune: say keep_last, older_than or expired, so that not every version goes")
    if rules.keep_last is not None:
        whole_number(rules.keep_last, "prune: keep_last", "a number of 1 or more", lowest=1)
    if not _is_age(rules.older_than):
        raise InvalidInputError(f"prune: older_than {rules.older_than!r} is not a timedelta of 0 or more")


def _is_age(value: object) -> bool:
    return value is None or (isinstance(value, timedelta) and value >= timedelta())


def _parameters(connection: sqlite3.Connection, rules: PruneRules) -> dict[str, object]:
    return {
        "artifact": None if rules.artifact is None else find_artifact(connection, known_name(rules.artifact)),
        "type": None if rules.type is None else label(rules.type, "artifact type"),
        "keep_last": None if rules.keep_last is None else int(rules.keep_last),
        "before": None if rules.older_than is None else _before(rules.older_than),
        "keep_aliased": int(rules.keep_aliased),
        "keep_tagged": int(rules.keep_tagged),
        "keep_used": int(rules.keep_used),
        "expired": int(rules.expired),
        "now": timestamp(),
    }


def _before(age: timedelta) -> str:
    try:
        return timestamp_text(datetime.now(UTC) - age)
    except OverflowError:  # older than the calendar: so is no version
        return ""


def sizes(store: Store, name: str | None = None) -> list[SizeRecord]:
    """Return how many bytes one artifact, or each, holds; by name.

    Raises:
        NotFoundError: There is no such artifact.
    """
    with store.database.read() as connection:
        if name is not None:
            return [rows.artifact_size(connection, find_artifact(connection, known_name(name)), name)]
        return [rows.artifact_size(connection, key, found) for key, found in rows.live_artifacts(connection)]
