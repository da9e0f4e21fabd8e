"""Frozen records: what the store says about a run, a version, an entry, at the moment it was asked.

A record has no connection and never changes. Slotted dataclasses and not pydantic models: 1-3 µs over the
tuple of the row against 11 (design.md, section 5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from lineage.jsondata import JsonObject, JsonValue, parse_object
from lineage.values import Digest, RunStatus


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a version: bytes in the store, a reference to bytes elsewhere, or both.

    Attributes:
        path: POSIX path inside the artifact.
        digest: BLAKE3 of the bytes, or what the reference's server calls their state (an ETag); None if unknown.
        size: In bytes; None for a reference whose size is unknown.
        uri: Where a reference points; None for plain bytes.
        stored: Whether the store holds the bytes.
        extra: What else a reference's server said, such as ``{"etag": ...}``.
        version: Uid of the version the entry was read from; None in a draft.
    """

    path: str
    digest: str | None
    size: int | None
    uri: str | None = None
    stored: bool = True
    extra: Mapping[str, JsonValue] = field(default_factory=dict)
    version: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class ArtifactRecord:
    """A name, its type, and how many versions it has.

    Attributes:
        project: The project it belongs to, where that is another; only the places of versions in the graph are here.
        collection: Whether its versions are links to versions of other artifacts.
    """

    id: int = field(repr=False)
    uid: str = field(repr=False)
    name: str
    type: str
    description: str | None
    version_count: int
    created_at: str
    deleted_at: str | None
    project: str | None
    collection: bool


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """One immutable content of an artifact; size in bytes, times in UTC, `ttl` in seconds.

    Attributes:
        protected_aliases: Those of its aliases that only ``override=True`` moves.
        project: The project its content belongs to, where that is another; only its place in the graph is here then.
        link_to: For a link in a collection: the reference of the version it stands for.
    """

    id: int = field(repr=False)
    uid: str
    name: str
    type: str
    number: int
    digest: Digest
    file_count: int
    size: int
    description: str | None
    metadata: JsonObject
    aliases: tuple[str, ...]
    protected_aliases: tuple[str, ...]
    tags: tuple[str, ...]
    step: int | None
    created_at: str
    deleted_at: str | None
    ttl: int | None
    project: str | None
    link_to: str | None
    source: int = field(repr=False)

    @property
    def reference(self) -> str:
        """The one text that always resolves to this version: ``name:vN``."""
        return f"{self.name}:v{self.number}"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One execution; times in UTC.

    Attributes:
        documents: Config, summary, code and environment as JSON text. Each look at the attribute of that name gives a
            new object: parsing all of them took 20 of the 30 µs of a record, and most are not looked at.
    """

    key: int = field(repr=False)
    id: str
    name: str
    job_type: str | None
    group: str | None
    status: RunStatus
    documents: tuple[str, str, str, str] = field(repr=False)
    notes: str | None
    tags: tuple[str, ...]
    exit_code: int | None
    error: str | None
    host: str | None
    user: str | None
    started_at: str
    ended_at: str | None
    deleted_at: str | None

    @property
    def config(self) -> JsonObject:
        """What it was told."""
        return parse_object(self.documents[0])

    @property
    def summary(self) -> JsonObject:
        """What it came to."""
        return parse_object(self.documents[1])

    @property
    def code(self) -> JsonObject:
        """What was run."""
        return parse_object(self.documents[2])

    @property
    def environment(self) -> JsonObject:
        """What it was run with."""
        return parse_object(self.documents[3])


@dataclass(frozen=True, slots=True)
class Node:
    """One run or version met on a walk through the graph.

    Attributes:
        kind: ``"run"`` or ``"version"``.
        id: The run's id, or the version's reference.
        label: The run's name, or the version's reference.
        type: The run's job type, or the artifact's type.
        depth: Edges from where the walk began.
        deleted: Whether it was deleted since.
    """

    kind: Literal["run", "version"]
    id: str
    label: str
    type: str | None
    depth: int
    deleted: bool


@dataclass(frozen=True, slots=True)
class OutsideUse:
    """What another project does with a version.

    Attributes:
        kind: ``"consumed"`` by a run there, or ``"linked"`` into a collection there.
        project: What that project was called then: the name of its file without the ending.
        node: The run's id, or the collection's name.
        at: When, UTC.
        project_uid: What tells it from another project of that name.
    """

    kind: Literal["consumed", "linked"]
    project: str
    node: str
    at: str
    project_uid: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AliasEvent:
    """One move of an alias: from nothing when it was made, to nothing when it was removed."""

    alias: str
    moved_from: str | None
    moved_to: str | None
    at: str
    user: str | None
    run: str | None


@dataclass(frozen=True, slots=True)
class MetricRow:
    """What a run logged at one step."""

    step: int
    at: str
    values: dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Location:
    """A place where given bytes are known: a path in a version."""

    reference: str
    path: str
    digest: str
    size: int | None


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A run, artifact or version whose words match, and the text that did."""

    kind: Literal["run", "artifact", "version"]
    id: str
    name: str
    field: str
    text: str


@dataclass(frozen=True, slots=True)
class SizeRecord:
    """Bytes of one artifact: all its live versions name, and how that splits.

    Attributes:
        total: Distinct bytes its versions name, but for those that were left out when the project was packed.
        own: Those no other artifact names: what deleting it would let ``gc`` take.
        shared: The rest.
        logical: The versions' sizes added up, as if nothing were shared.
    """

    name: str
    versions: int
    total: int
    own: int
    shared: int
    logical: int


@dataclass(frozen=True, slots=True)
class Stale:
    """A newest version that was made from something old.

    Attributes:
        reference: The version to make again.
        run: Id of the nearest run, its own or one upstream, that used something old.
        used: What that run used.
        newest: What ``latest`` of that artifact names now.
    """

    reference: str
    run: str
    used: str
    newest: str
