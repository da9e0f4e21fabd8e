"""Documents: what leaves the library as JSON, and the JSON Schemas that are published for it.

``lineage ... --json`` prints one of these documents or a list of them. Fields are only ever added. Times are UTC,
ISO 8601 with microseconds and ``Z``; sizes are bytes. The schemas in ``schema/json`` are generated::

    python -m lineage.documents

pydantic lives here and nowhere else, since importing it costs 80 ms that no other call should pay.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, RootModel

import lineage
from lineage.exports import to_json
from lineage.jsondata import JsonObject, plain_object
from lineage.migrations import SCHEMA_DIR
from lineage.upkeep.verification import RepairAction

if TYPE_CHECKING:
    from lineage.graph import Graph


class _Part(BaseModel):
    """What documents are made of; read from the attributes of a record."""

    model_config: ClassVar[ConfigDict] = ConfigDict(from_attributes=True, frozen=True)

    @classmethod
    def from_record(cls, record: object) -> Self:
        """Return the document of a record, or a report, with attributes of the same names."""
        return cls.model_validate(record)


class Document(_Part):
    """A document that leaves the library; the schema of each is published under the name of its class."""

    @classmethod
    def schema_name(cls) -> str:
        """Return the name of the published schema: ``run-page`` of ``RunPageDocument``."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", cls.__name__.removesuffix("Document")).lower()


class ProjectDocument(Document):
    """A project file, and whether the command made it."""

    project: str
    created: bool


class RunDocument(Document):
    """One execution."""

    id: str
    name: str
    job_type: str | None
    group: str | None
    status: lineage.RunStatus
    config: dict[str, JsonValue]
    summary: dict[str, JsonValue]
    notes: str | None
    tags: list[str]
    exit_code: int | None
    error: str | None
    code: dict[str, JsonValue]
    host: str | None
    user: str | None
    started_at: str
    ended_at: str | None
    deleted_at: str | None


class VersionDocument(Document):
    """One immutable content of an artifact."""

    reference: str
    uid: str
    name: str
    type: str
    number: int
    digest: str
    file_count: int
    size: int
    description: str | None
    metadata: dict[str, JsonValue]
    aliases: list[str]
    protected_aliases: list[str]
    tags: list[str]
    step: int | None
    created_at: str
    deleted_at: str | None
    ttl: int | None
    project: str | None
    link_to: str | None


class ArtifactDocument(Document):
    """A name, its type, and how many versions it has."""

    uid: str
    name: str
    type: str
    description: str | None
    version_count: int
    created_at: str
    deleted_at: str | None
    project: str | None
    collection: bool


class EntryDocument(Document):
    """One file of a version; `uri` is set where it is a reference, `stored` where the store holds its bytes."""

    path: str
    digest: str | None
    size: int | None
    uri: str | None
    stored: bool
    extra: dict[str, JsonValue]


class NodeDocument(Document, RootModel[lineage.Node]):
    """A run or version met on a walk."""


class UsedArtifactDocument(VersionDocument):
    """A version that a run consumed, and the role it played there."""

    use_as: str | None


class RunPageDocument(RunDocument):
    """A run with all that is known around it."""

    environment: dict[str, JsonValue]
    used_artifacts: list[UsedArtifactDocument]
    logged_artifacts: list[VersionDocument]
    reproduced: list[VersionDocument]

    @classmethod
    def from_run(cls, run: lineage.Run) -> Self:
        """Return the page of a run; ask inside a snapshot, so that its parts agree."""
        roles = roles_of(run)
        used = [
            UsedArtifactDocument(**_fields(VersionDocument, version.record), use_as=roles.get(version.reference))
            for version in run.used_artifacts()
        ]
        return cls(
            **_fields(RunDocument, run.record),
            environment=run.record.environment,
            used_artifacts=used,
            logged_artifacts=[VersionDocument.from_record(version.record) for version in run.logged_artifacts()],
            reproduced=[VersionDocument.from_record(version.record) for version in run.reproduced()],
        )


class OutsideUseDocument(Document):
    """What another project does with a version: a run there consumed it, or a collection there links to it."""

    kind: Literal["consumed", "linked"]
    project: str
    node: str
    at: str


class VersionPageDocument(VersionDocument):
    """A version with all that is known around it."""

    logged_by: RunDocument | None
    reproduced_by: list[RunDocument]
    used_by: list[RunDocument]
    links: list[str]
    outside_uses: list[OutsideUseDocument]
    files: list[EntryDocument]

    @classmethod
    def from_version(cls, version: lineage.Version) -> Self:
        """Return the page of a version, without files where its content is not here. Ask inside a snapshot."""
        producer = version.logged_by()
        files = version.files() if not version.deleted and version.project is None else []
        return cls(
            **_fields(VersionDocument, version.record),
            logged_by=None if producer is None else RunDocument.from_record(producer.record),
            reproduced_by=[RunDocument.from_record(run.record) for run in version.reproduced_by()],
            used_by=[RunDocument.from_record(run.record) for run in version.used_by()],
            links=[link.reference for link in version.links()],
            outside_uses=[OutsideUseDocument.from_record(use) for use in version.outside_uses()],
            files=[EntryDocument.from_record(entry) for entry in files],
        )


class LogDocument(Document):
    """What a log came to: the version, or None where it was not better than the one before."""

    logged: bool
    version: VersionDocument | None

    @classmethod
    def from_version(cls, version: lineage.Version | None) -> Self:
        """Return the document of what ``log_artifact`` returned."""
        found = None if version is None else VersionDocument.from_record(version.record)
        return cls(logged=version is not None, version=found)


class DownloadDocument(Document):
    """A version and the folder that now holds its files; None if nothing was downloaded."""

    reference: str
    folder: str | None


class DeletedDocument(Document):
    """A run, version or artifact that was deleted; `id` is the run's id, the reference, or the name."""

    kind: Literal["run", "version", "artifact"]
    id: str


class AliasDocument(Document):
    """An alias, the version it names, and whether it is protected."""

    name: str
    alias: str
    reference: str
    protected: bool


class AliasEventDocument(Document, RootModel[lineage.AliasEvent]):
    """One move of an alias."""


class ChangeDocument(_Part):
    """A value before and after; null where it was or is not there."""

    old: JsonValue
    new: JsonValue


class ComparisonDocument(Document):
    """The difference between two versions; every pair is the old, then the new."""

    old: str
    new: str
    same_content: bool
    added: list[EntryDocument]
    removed: list[EntryDocument]
    changed: list[tuple[EntryDocument, EntryDocument]]
    unchanged: int
    metadata: dict[str, ChangeDocument]
    config: dict[str, ChangeDocument]
    code: dict[str, ChangeDocument]
    upstream: dict[str, tuple[list[str], list[str]]]


class LocationDocument(Document, RootModel[lineage.Location]):
    """A path of a version that holds given bytes."""


class SearchHitDocument(Document, RootModel[lineage.SearchHit]):
    """A run, artifact or version whose words match."""


class StaleDocument(Document, RootModel[lineage.Stale]):
    """A newest version that was made from something old."""


class RowDocument(Document, RootModel[dict[str, JsonValue]]):
    """One row that a SELECT answered, by column; bytes as hexadecimal digits."""

    @classmethod
    def from_row(cls, row: Mapping[str, object]) -> Self:
        """Return the document of one row of ``project.sql``."""
        return cls.from_record({name: v.hex() if isinstance(v, bytes) else v for name, v in row.items()})


class SizeDocument(Document, RootModel[lineage.SizeRecord]):
    """Bytes of one artifact."""


class PruneDocument(Document, RootModel[lineage.PruneReport]):
    """What a prune deleted, or would delete."""


class GcDocument(Document, RootModel[lineage.GcReport]):
    """What ``gc`` took, or would take."""


class PackDocument(Document, RootModel[lineage.PackReport]):
    """What a packed file holds."""


class UnpackDocument(Document, RootModel[lineage.UnpackReport]):
    """What ``unpack`` moved out of a packed file."""


class MergeDocument(Document, RootModel[lineage.MergeReport]):
    """What a merge took in, or would take in."""


class FillDocument(Document, RootModel[lineage.FillReport]):
    """What ``fill`` brought."""


class VerifyDocument(Document):
    """What ``verify`` found, and how much it looked at; `ok` if there are no errors."""

    ok: bool
    problems: list[lineage.Problem]
    runs: int
    artifacts: int
    versions: int
    blobs: int
    bytes: int
    left_out: int
    left_out_bytes: int
    seal: str | None
    after: str
    next_after: str | None


class CheckBody(_Part):
    """One thing that ``selftest`` tried: what was seen and, if it is not `ok`, what follows."""

    name: str
    ok: bool
    severity: Literal["error", "warning"]
    message: str
    consequence: str


class SelftestDocument(Document):
    """What ``selftest`` saw of a place; `ok` if it can keep the promises."""

    folder: str
    file_system: str
    ok: bool
    checks: list[CheckBody]


class RepairDocument(Document):
    """What ``repair`` did, or would do, and what is left; `ok` if no errors are left."""

    dry_run: bool
    ok: bool
    actions: list[RepairAction]
    remaining: list[lineage.Problem]


class _GraphNode(_Part):
    id: str
    label: str
    type: str | None


class RunNodeDocument(_GraphNode):
    """A run in a graph."""

    kind: Literal["run"]
    deleted: bool
    job_type: str | None
    status: lineage.RunStatus
    started_at: str


class VersionNodeDocument(_GraphNode):
    """A version in a graph."""

    kind: Literal["version"]
    deleted: bool
    artifact: str
    number: int
    digest: str
    size: int
    aliases: list[str]
    created_at: str


class GroupNodeDocument(_GraphNode):
    """Runs or versions that a collapsed graph shows as one."""

    kind: Literal["type", "artifact", "job_type"]
    count: int


class EdgeDocument(_Part):
    """An edge: consumed by a run or produced by it; `count` only in a collapsed graph."""

    source: str
    target: str
    kind: Literal["consumed", "produced"]
    use_as: str | None = None
    count: int | None = None


class GraphDocument(Document):
    """A lineage graph in node-link form, as ``lineage.exports.to_json`` writes it."""

    format: Literal["lineage-graph"]
    format_version: Literal[1]
    directed: Literal[True]
    multigraph: Literal[False]
    project: str | None
    collapse: Literal["type", "name"] | None
    nodes: list[Annotated[RunNodeDocument | VersionNodeDocument | GroupNodeDocument, Field(discriminator="kind")]]
    edges: list[EdgeDocument]

    @classmethod
    def from_graph(cls, graph: Graph) -> Self:
        """Return the document of what ``project.graph`` gives."""
        return cls.model_validate(to_json(graph))


class ErrorBody(_Part):
    """What went wrong: `kind` is a stable word, `class` the error's class, `message` for people."""

    kind: str
    class_: str = Field(alias="class")
    message: str


class ErrorDocument(Document):
    """An error, as the command line writes it to stderr with ``--json``."""

    error: ErrorBody

    @classmethod
    def from_error(cls, error: Exception, message: str) -> Self:
        """Return the document of an error; one that is not of the library has the kind ``usage``."""
        kind = str(error.kind) if isinstance(error, lineage.LineageError) else "usage"
        return cls.model_validate({"error": {"kind": kind, "class": type(error).__name__, "message": message}})


def roles_of(run: lineage.Run) -> dict[str, str | None]:
    """Return what a run used its inputs as, by reference.

    Only edges know it, and only the graph gives edges: it costs the import of networkx.
    """
    inputs = run.graph(direction="up", depth=1)
    return {source: attributes.get("use_as") for source, _, attributes in inputs.in_edges(run.id, data=True)}


def _fields(model: type[_Part], record: object) -> dict[str, Any]:
    """Return a record as the keyword arguments of a document that has more than the record."""
    return dict(model.from_record(record))


def plain(document: Document) -> JsonValue:
    """Return a document as plain JSON data; what a graph does not say of a node or edge is left out."""
    unset = isinstance(document, GraphDocument)
    value: JsonValue = json.loads(document.model_dump_json(by_alias=True, exclude_unset=unset))
    return value


def parse_where(text: str) -> JsonObject:
    """Return a filter given as JSON text on a command line.

    Raises:
        InvalidInputError: It is not the JSON text of an object; the message names line and column.

    Example:
        >>> parse_where('{"config.lr": {"$gt": 0.01}}')
        {'config.lr': {'$gt': 0.01}}
    """
    return plain_object(text, "--where")


def parse_metadata(text: str, what: str = "--metadata") -> JsonObject:
    """Return metadata, config or the like given as JSON text on a command line.

    Args:
        text: The JSON text of an object.
        what: Its name; the error begins with it.

    Raises:
        InvalidInputError: It is not, or holds what cannot be stored; the message names the place.

    Example:
        >>> parse_metadata('{"epochs": 5}')
        {'epochs': 5}
    """
    return plain_object(text, what)


def published() -> dict[str, str]:
    """Return the text of every published schema by file name; ``schema/json`` holds them."""
    return {f"{name}.schema.json": json.dumps(_schema(kind), indent=2) + "\n" for name, kind in _documents().items()}


def _documents() -> dict[str, type[Document]]:
    """Return every document that leaves the library, by the name of its schema."""
    found: dict[str, type[Document]] = {}
    kinds: list[type[Document]] = [Document]
    while kinds:
        kinds = [below for kind in kinds for below in kind.__subclasses__()]
        found |= {kind.schema_name(): kind for kind in kinds}
    return dict(sorted(found.items()))


def _schema(kind: type[Document]) -> JsonObject:
    schema = kind.model_json_schema(mode="serialization", by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


if __name__ == "__main__":
    for file, text in published().items():
        (SCHEMA_DIR / "json" / file).write_text(text, "utf-8")
