"""What changed between two versions: files, metadata, config and code of the runs that made them, and upstream."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from lineage import graph
from lineage.errors import ErrorKind, NotFoundError
from lineage.jsondata import JsonObject, JsonValue
from lineage.records import Entry, RunRecord
from lineage.statements import artifacts, content, edges, runs


@dataclass(frozen=True, slots=True)
class Change:
    """A value before and after; None where it was or is not there."""

    old: JsonValue
    new: JsonValue


@dataclass(frozen=True, slots=True)
class Comparison:
    """The difference between two versions, from the old to the new.

    Attributes:
        old: Reference of the old version.
        new: Reference of the new one.
        added: Entries only the new one has.
        removed: Entries only the old one has.
        changed: Pairs (old, new) of one path with other content.
        unchanged: How many entries are the same.
        metadata: Changed keys of the metadata, nested ones dotted.
        config: Changed keys of the config of the runs that produced them.
        code: Changed keys of what is known of their code, such as ``script_digest`` and ``git_commit``.
        upstream: By artifact, the versions upstream that only one of them has: (only the old, only the new). The old
            version itself is among them if the new one was made from it.
    """

    old: str
    new: str
    added: tuple[Entry, ...]
    removed: tuple[Entry, ...]
    changed: tuple[tuple[Entry, Entry], ...]
    unchanged: int
    metadata: Mapping[str, Change]
    config: Mapping[str, Change]
    code: Mapping[str, Change]
    upstream: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]

    @property
    def same_content(self) -> bool:
        """Whether both hold the same files."""
        return not (self.added or self.removed or self.changed)


def compare(connection: sqlite3.Connection, old: int, new: int) -> Comparison:
    """Return the difference between two versions; parts they share are not looked at.

    Raises:
        NotFoundError: One of them belongs to another project, and so its content is not here.
    """
    before, after = artifacts.version_records(connection, [old, new])
    foreign = next((record for record in (before, after) if record.project is not None), None)
    if foreign is not None:
        message = f"{foreign.reference} belongs to project {foreign.project!r}; its files can be compared there only"
        raise NotFoundError(message, kind=ErrorKind.VERSION_NOT_FOUND)
    gone, come = content.changed_entries(connection, old, new)
    earlier = {entry.path: entry for entry in gone}
    later = {entry.path: entry for entry in come}
    both = [(earlier[path], later[path]) for path in sorted(earlier.keys() & later.keys())]
    changed = tuple(pair for pair in both if pair[0] != pair[1])
    removed = tuple(earlier[path] for path in sorted(earlier.keys() - later.keys()))
    makers = _producer(connection, old), _producer(connection, new)
    return Comparison(
        old=before.reference,
        new=after.reference,
        added=tuple(later[path] for path in sorted(later.keys() - earlier.keys())),
        removed=removed,
        changed=changed,
        unchanged=before.file_count - len(removed) - len(changed),
        metadata=changes(before.metadata, after.metadata),
        config=changes(*({} if run is None else run.config for run in makers)),
        code=changes(*({} if run is None else run.code for run in makers)),
        upstream=_upstream(connection, old, new),
    )


def changes(old: JsonObject, new: JsonObject) -> dict[str, Change]:
    """Return the keys whose values differ, nested ones dotted, in the order of their names."""
    before, after = dict(_flat(old)), dict(_flat(new))
    keys = sorted(before.keys() | after.keys())
    missing = object()
    return {
        key: Change(before.get(key), after.get(key))
        for key in keys
        if not _same(before.get(key, missing), after.get(key, missing))
    }


def _same(old: object, new: object) -> bool:
    """Whether two JSON values are equal: unlike Python's ``==``, true is not 1."""
    if isinstance(old, bool) or isinstance(new, bool):
        return old is new
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_same, old, new))
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(_same(value, new[key]) for key, value in old.items())
    return old == new


def _flat(data: JsonObject) -> list[tuple[str, JsonValue]]:
    found: list[tuple[str, JsonValue]] = []
    waiting: list[tuple[str, JsonValue]] = list(data.items())
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, dict) and value:
            waiting.extend((f"{key}.{inner}", below) for inner, below in value.items())
        else:
            found.append((key, value))
    return found


def _producer(connection: sqlite3.Connection, version: int) -> RunRecord | None:
    run = edges.producer(connection, version)
    return None if run is None else runs.run_records(connection, [run])[0]


def _upstream(connection: sqlite3.Connection, old: int, new: int) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return the versions upstream of only one of the two, by artifact.

    The old one is such a version where the new one was made from it: that is what changed.
    """
    before, after = (
        graph.walk(connection, [graph.Key("version", version)], up=True).versions.keys() - {version}
        for version in (old, new)
    )
    only_old = _by_artifact(connection, before - after)
    only_new = _by_artifact(connection, after - before)
    return {
        name: (only_old.get(name, ()), only_new.get(name, ())) for name in sorted(only_old.keys() | only_new.keys())
    }


def _by_artifact(connection: sqlite3.Connection, versions: set[int]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for record in artifacts.version_records(connection, sorted(versions)):
        found[record.name] = (*found.get(record.name, ()), record.reference)
    return found
