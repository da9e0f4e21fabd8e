"""What can be changed of a run or a version from outside: checked first, then written as a whole."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from lineage.errors import ConflictError, ErrorKind, NotFoundError, StateError
from lineage.jsondata import JsonObject, plain_object
from lineage.records import RunRecord
from lineage.statements import artifacts, runs
from lineage.values import RunStatus, label, listed, prose, run_tag, tag_name, timestamp, ttl_seconds


@dataclass(frozen=True, slots=True)
class RunChanges:
    """New values, checked; None leaves what is there."""

    name: str | None
    notes: str | None
    tags: list[str] | None
    config: JsonObject | None
    summary: JsonObject | None

    @classmethod
    def checked(
        cls, name: str | None, notes: str | None, tags: Iterable[str] | None, config: object, summary: object
    ) -> RunChanges:
        """Check what a caller gives.

        Raises:
            InvalidInputError: One of them breaks a rule.
        """
        return cls(
            None if name is None else label(name, "run name"),
            None if notes is None else prose(notes, "notes"),
            None if tags is None else [run_tag(tag) for tag in listed(tags, "tags")],
            None if config is None else plain_object(config, "config"),
            None if summary is None else plain_object(summary, "summary"),
        )

    def write(self, connection: sqlite3.Connection, run: RunRecord) -> None:
        """Write them.

        Args:
            connection: Inside a write.
            run: The run as it is now.

        Raises:
            NotFoundError: It was deleted.
            StateError: Config or summary of a run that is running would be changed.
        """
        if run.deleted_at is not None:
            raise NotFoundError(f"run {run.id!r} was deleted", kind=ErrorKind.RUN_NOT_FOUND)
        if run.status == RunStatus.RUNNING and (self.config is not None or self.summary is not None):
            message = f"run {run.id!r} is running and writes config and summary itself; change them when it has ended"
            raise StateError(message)
        words = run.notes if self.notes is None else self.notes or None
        runs.update_run_words(connection, run.key, self.name or run.name, words, timestamp())
        if self.tags is not None:
            runs.clear_run_tags(connection, run.key)
            runs.add_run_tags(connection, run.key, self.tags)
        if self.config is not None:
            runs.update_run_config(connection, run.key, self.config)
        if self.summary is not None:
            runs.update_run_summary(connection, run.key, self.summary)


@dataclass(frozen=True, slots=True)
class VersionChanges:
    """New values, checked; None leaves what is there."""

    description: str | None
    metadata: JsonObject | None
    tags: list[str] | None
    ttl: timedelta | None

    @classmethod
    def checked(
        cls,
        reference: str,
        description: str | None,
        metadata: object,
        tags: Iterable[str] | None,
        ttl: timedelta | None,
    ) -> VersionChanges:
        """Check what a caller gives for the version of this reference.

        Raises:
            InvalidInputError: One of them breaks a rule.
        """
        ttl_seconds(ttl)
        return cls(
            None if description is None else prose(description, f"description of {reference}"),
            None if metadata is None else plain_object(metadata, f"metadata of {reference}"),
            None if tags is None else [tag_name(tag) for tag in listed(tags, "tags")],
            ttl,
        )

    def write(self, connection: sqlite3.Connection, version: int) -> None:
        """Write them to a version, inside a write.

        Raises:
            ConflictError: It would get a time to live, and a link stands for it.
        """
        ttl = ttl_seconds(self.ttl)
        if ttl is not None:
            _refuse_linked(connection, version)
        artifacts.touch_version(connection, version, timestamp())
        if self.description is not None:
            artifacts.update_version_description(connection, version, self.description or None)
        if self.metadata is not None:
            artifacts.update_version_metadata(connection, version, self.metadata)
        if self.tags is not None:
            artifacts.clear_version_tags(connection, version)
            artifacts.add_version_tags(connection, version, self.tags)
        if self.ttl is not None:
            artifacts.update_version_ttl(connection, version, ttl)


def _refuse_linked(connection: sqlite3.Connection, version: int) -> None:
    """Refuse a time to live for what a collection links to: it would count, by surprise, once the link is gone."""
    records = artifacts.version_records(connection, [version, *artifacts.links_to(connection, version)])
    links = [record.reference for record in records[1:]] + artifacts.outside_links_of(connection, [version])
    if links:
        names = ", ".join(map(repr, links))
        message = f"{records[0].reference} is for good while links stand for it ({names}); unlink it first"
        raise ConflictError(message)
