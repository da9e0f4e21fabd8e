"""What the record of a run or version says, as attributes of its handle."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from lineage.held import held
from lineage.jsondata import JsonObject
from lineage.records import RunRecord, VersionRecord
from lineage.values import Digest, RunStatus


class RunFacts:
    """The attributes of a run, as they were when it was asked for."""

    __slots__ = ()
    _columns: ClassVar = ("name", "id", "job_type", "status", "started_at")
    record: RunRecord

    @property
    def id(self) -> str:
        """What is unique across projects."""
        return self.record.id

    @property
    def name(self) -> str:
        """What people call it."""
        return self.record.name

    @property
    def job_type(self) -> str | None:
        """The step of a pipeline it did."""
        return self.record.job_type

    @property
    def group(self) -> str | None:
        """The group it belongs to."""
        return self.record.group

    @property
    def status(self) -> RunStatus:
        """How it stood when asked for."""
        return self.record.status

    @property
    def config(self) -> JsonObject:
        """What it was told; it cannot be changed in place, a copy can."""
        return self._held(self.record.config, "config")

    @property
    def summary(self) -> JsonObject:
        """What it came to: the last value of each metric, and what was set; as :attr:`config`."""
        return self._held(self.record.summary, "summary")

    @property
    def code(self) -> JsonObject:
        """What was run: command, git commit and the like."""
        return self._held(self.record.code, "code")

    @property
    def environment(self) -> JsonObject:
        """What it was run with: Python, packages and the like."""
        return self._held(self.record.environment, "environment")

    @property
    def tags(self) -> tuple[str, ...]:
        """Its tags."""
        return self.record.tags

    @property
    def notes(self) -> str | None:
        """Words about it."""
        return self.record.notes

    @property
    def exit_code(self) -> int | None:
        """Of its program; None while it runs."""
        return self.record.exit_code

    @property
    def error(self) -> str | None:
        """The exception that ended it."""
        return self.record.error

    @property
    def host(self) -> str | None:
        """The machine it ran on."""
        return self.record.host

    @property
    def user(self) -> str | None:
        """Who ran it."""
        return self.record.user

    @property
    def started_at(self) -> str:
        """When it started, UTC."""
        return self.record.started_at

    @property
    def ended_at(self) -> str | None:
        """When it ended, UTC; None while it runs."""
        return self.record.ended_at

    @property
    def deleted(self) -> bool:
        """Whether only its place in the graph is left."""
        return self.record.deleted_at is not None

    def _held(self, data: JsonObject, what: str) -> JsonObject:
        how = f"run.update({what}=...) changes it" if what in ("config", "summary") else "it stays as it was found"
        return held(data, f"{what} of run {self.name!r} is not changed in place: {how}; copy.deepcopy gives a free one")


class VersionFacts:
    """The attributes of a version, as they were when it was asked for."""

    __slots__ = ()
    _columns: ClassVar = ("reference", "type", "aliases", "size", "created_at")
    record: VersionRecord

    @property
    def reference(self) -> str:
        """The one text that always resolves to it: ``name:vN``."""
        return self.record.reference

    @property
    def uid(self) -> str:
        """What is unique across projects."""
        return self.record.uid

    @property
    def name(self) -> str:
        """The artifact's name."""
        return self.record.name

    @property
    def type(self) -> str:
        """The artifact's type."""
        return self.record.type

    @property
    def number(self) -> int:
        """Its place among the artifact's versions, from 0."""
        return self.record.number

    @property
    def digest(self) -> Digest:
        """The digest of its content."""
        return self.record.digest

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return self.record.size

    @property
    def file_count(self) -> int:
        """How many files it has."""
        return self.record.file_count

    @property
    def description(self) -> str | None:
        """Words about it."""
        return self.record.description

    @property
    def metadata(self) -> JsonObject:
        """Data about it; change it by :meth:`update`."""
        how = "version.update(metadata=...) changes it, copy.deepcopy gives a free one"
        return held(self.record.metadata, f"metadata of {self.reference} is not changed in place: {how}")

    @property
    def aliases(self) -> tuple[str, ...]:
        """The aliases that named it when asked for."""
        return self.record.aliases

    @property
    def protected_aliases(self) -> tuple[str, ...]:
        """Those of its aliases that only ``override=True`` moves."""
        return self.record.protected_aliases

    @property
    def tags(self) -> tuple[str, ...]:
        """Its tags."""
        return self.record.tags

    @property
    def created_at(self) -> str:
        """When it was logged, UTC."""
        return self.record.created_at

    @property
    def ttl(self) -> timedelta | None:
        """How long after that it is to live, until ``prune(expired=True)`` may take it; None is for good."""
        return None if self.record.ttl is None else timedelta(seconds=self.record.ttl)

    @property
    def project(self) -> str | None:
        """The name of the project that its content belongs to, where that is another: it is there, and not here."""
        return self.record.project

    @property
    def link_to(self) -> str | None:
        """For a link in a collection: the reference of the version it stands for."""
        return self.record.link_to

    @property
    def deleted(self) -> bool:
        """Whether only its place in the graph is left."""
        return self.record.deleted_at is not None
