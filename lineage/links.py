"""Links: a version in a collection stands for a version of another artifact, with a number and aliases of its own.

A link is a version like any other, so that numbers, aliases, their history and deletion need no rules of their own;
one more row says what it stands for. Words, tags, lineage and content are always those of the source.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from lineage.aliases import Mover, move_alias
from lineage.errors import ConflictError, ErrorKind, InvalidInputError
from lineage.handles import Version, load_versions
from lineage.recording import named_version, noted_outside
from lineage.records import VersionRecord
from lineage.statements import artifacts
from lineage.store import Store
from lineage.values import LATEST, Reference, alias_name, collection_name, new_uid


def link(store: Store, version: str | Reference | Version, collection: str, aliases: Sequence[str]) -> Version:
    """Put a version into a collection and return the link. ``Project.link`` documents it."""
    collection_name(collection)
    names = dict.fromkeys((LATEST, *map(alias_name, aliases)))
    with noted_outside(store, [version], "linked", collection), store.writing() as connection:
        who = Mover.now()
        (source,) = artifacts.version_records(connection, [named_version(connection, store, version)])
        shelf = _shelf(connection, collection, source, who)
        found = artifacts.link_in(connection, shelf, source.id)
        if found is None:
            found = _new_link(connection, shelf, source, who)
        for alias in names:
            move_alias(connection, shelf, alias, found, who)
        artifacts.update_version_ttl(connection, source.id, None)
    return load_versions(store, [found])[0]


def _shelf(connection: sqlite3.Connection, collection: str, source: VersionRecord, who: Mover) -> int:
    """Return the collection's row, made if it is not there, or taken into use again."""
    row = artifacts.artifact_row(connection, collection)
    if row is None:
        return artifacts.insert_artifact(connection, new_uid(), collection, source.type, who.at)
    key, type_, deleted_at = row
    if not artifacts.is_collection(connection, key):
        message = f"{collection!r} is an artifact, and not a collection of links; choose another name"
        raise ConflictError(message, kind=ErrorKind.NAME_TAKEN)
    if type_ != source.type:
        holds = "holds" if deleted_at is None else "was deleted, and keeps"
        message = f"collection {collection!r} {holds} type {type_!r}; {source.reference} has type {source.type!r}"
        raise InvalidInputError(message, kind=ErrorKind.TYPE_CLASH)
    if deleted_at is not None:
        artifacts.revive_artifact(connection, key)
    return key


def _new_link(connection: sqlite3.Connection, shelf: int, source: VersionRecord, who: Mover) -> int:
    key = artifacts.insert_version(
        connection,
        uid=new_uid(),
        artifact=shelf,
        number=artifacts.take_number(connection, shelf),
        manifest=artifacts.manifest_of(connection, source.id),
        description=None,
        metadata={},
        step=None,
        at=who.at,
    )
    artifacts.insert_link(connection, key, source.id)
    return key
