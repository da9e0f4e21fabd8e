"""Documents: what leaves the library as JSON, and the JSON Schemas that are published for it.

``lineage ... --json`` prints one of these documents or a list of them. Fields are only ever added. Times are UTC,
ISO 8601 with microseconds and ``Z``; sizes are bytes. The schemas in ``schema/json`` are generated::

    python -m lineage.documents

pydantic lives here and nowhere else, since importing it costs 80 ms that no other call should pay.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, NoReturn, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, RootModel

from lineage.errors import ErrorKind, InvalidInputError, LineageError
from lineage.exports import to_json
from lineage.jsondata import JsonObject, plain_object
from lineage.migrations import SCHEMA_DIR
from lineage.problems import ProblemKind
from lineage.values import RunStatus

if TYPE_CHECKING:
    from lineage.comparison import Comparison
    from lineage.graph import Graph
    from lineage.handles import Run, Version
    from lineage.upkeep import GcReport
    from lineage.verification import RepairReport, VerifyReport

_BARE_WORD: Final = re.compile(r"\w+")


class _Part(BaseModel):
    """What documents are made of; read from the attributes of a record."""

    model_config: ClassVar[ConfigDict] = ConfigDict(from_attributes=True, frozen=True, populate_by_name=True)

    @classmethod
    def from_record(cls, record: object) -> Self:
        """Return the document of a record, or a report, with attributes of the same names."""
        return cls.model_validate(record)

    @classmethod
    def schema_name(cls) -> str:
        """Return the name of the published schema: ``run-page`` of ``RunPageDocument``."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", cls.__name__.removesuffix("Document")).lower()


class Document(_Part):
    """A document that leaves the library; each has a published schema, named after its class."""


class RootDocument(RootModel[T], _Part):  # type: ignore[misc]  # both fix the configuration, to the same
    """A document that is one record as it stands."""


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
    status: RunStatus
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
    tags: list[str]
    step: int | None
    created_at: str
    deleted_at: str | None


class ArtifactDocument(Document):
    """A name, its type, and how many versions it has."""

    uid: str
    name: str
    type: str
    description: str | None
    version_count: int
    created_at: str
    deleted_at: str | None


class EntryDocument(Document):
    """One file of a version; `uri` is set where it is a reference, `stored` where the store holds its bytes."""

    path: str
    digest: str | None
    size: int | None
    uri: str | None
    stored: bool
    extra: dict[str, JsonValue]


class NodeDocument(RootDocument[Node]):
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
    def from_run(cls, run: Run) -> Self:
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


class VersionPageDocument(VersionDocument):
    """A version with all that is known around it."""

    logged_by: RunDocument | None
    reproduced_by: list[RunDocument]
    used_by: list[RunDocument]
    files: list[EntryDocument]

    @classmethod
    def from_version(cls, version: Version) -> Self:
        """Return the page of a version; a deleted one has no files. Ask inside a snapshot."""
        producer = version.logged_by()
        return cls(
            **_fields(VersionDocument, version.record),
            logged_by=None if producer is None else RunDocument.from_record(producer.record),
            reproduced_by=[RunDocument.from_record(run.record) for run in version.reproduced_by()],
            used_by=[RunDocument.from_record(run.record) for run in version.used_by()],
            files=[] if version.deleted else [EntryDocument.from_record(entry) for entry in version.files()],
        )


class LogDocument(Document):
    """What a log came to: the version, or None where it was not better than the one before."""

    logged: bool
    version: VersionDocument | None

    @classmethod
    def from_version(cls, version: Version | None) -> Self:
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
    """An alias and the version it names."""

    name: str
    alias: str
    reference: str


class AliasEventDocument(RootDocument[AliasEvent]):
    """One move of an alias."""


class EntryChangeDocument(_Part):
    """One path with other content."""

    old: EntryDocument
    new: EntryDocument


class UpstreamChangeDocument(_Part):
    """Versions upstream of only one of the two."""

    old: list[str]
    new: list[str]


class ComparisonDocument(Document):
    """The difference between two versions, from the old to the new."""

    old: str
    new: str
    same_content: bool
    added: list[EntryDocument]
    removed: list[EntryDocument]
    changed: list[EntryChangeDocument]
    unchanged: int
    metadata: dict[str, Change]
    config: dict[str, Change]
    upstream: dict[str, UpstreamChangeDocument]

    @classmethod
    def from_comparison(cls, comparison: Comparison) -> Self:
        """Return the document of what ``project.diff`` found."""
        return cls(
            old=comparison.old,
            new=comparison.new,
            same_content=comparison.same_content,
            added=[EntryDocument.from_record(entry) for entry in comparison.added],
            removed=[EntryDocument.from_record(entry) for entry in comparison.removed],
            changed=[
                EntryChangeDocument(old=EntryDocument.from_record(old), new=EntryDocument.from_record(new))
                for old, new in comparison.changed
            ],
            unchanged=comparison.unchanged,
            metadata=dict(comparison.metadata),
            config=dict(comparison.config),
            upstream={
                name: UpstreamChangeDocument(old=list(old), new=list(new))
                for name, (old, new) in comparison.upstream.items()
            },
        )


class LocationDocument(RootDocument[Location]):
    """A path of a version that holds given bytes."""


class SearchHitDocument(RootDocument[SearchHit]):
    """A run, artifact or version whose words match."""


class StaleDocument(RootDocument[Stale]):
    """A newest version that was made from something old."""


class RowDocument(RootDocument[dict[str, JsonValue]]):
    """One row that a SELECT answered, by column; bytes as hexadecimal digits."""

    @classmethod
    def from_row(cls, row: Mapping[str, object]) -> Self:
        """Return the document of one row of ``project.sql``."""
        return cls.from_record({name: v.hex() if isinstance(v, bytes) else v for name, v in row.items()})


class SizeDocument(RootDocument[SizeRecord]):
    """Bytes of one artifact."""


class PruneDocument(RootDocument[PruneReport]):
    """What a prune deleted, or would delete."""


class GcDocument(Document):
    """What ``gc`` took, or would take."""

    dry_run: bool
    total_bytes: int
    blobs: int
    bytes: int
    parts: int
    environments: int
    strays: int
    stray_bytes: int
    temporary: int
    temporary_bytes: int


class VerifyDocument(Document):
    """What ``verify`` found, and how much it looked at; `ok` if there are no errors."""

    ok: bool
    problems: list[Problem]
    runs: int
    artifacts: int
    versions: int
    blobs: int
    bytes: int


class RepairDocument(Document):
    """What ``repair`` did, or would do, and what is left; `ok` if no errors are left."""

    dry_run: bool
    ok: bool
    actions: list[RepairAction]
    remaining: list[Problem]


class _GraphNode(_Part):
    id: str
    label: str
    type: str | None


class RunNodeDocument(_GraphNode):
    """A run in a graph."""

    kind: Literal["run"]
    deleted: bool
    job_type: str | None
    status: RunStatus
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
    def from_error(cls, error: LineageError) -> Self:
        """Return the document of an error of the library."""
        return cls.from_parts(str(error.kind), type(error).__name__, str(error))

    @classmethod
    def from_parts(cls, kind: str, class_name: str, message: str) -> Self:
        """Return the document of any other error."""
        return cls(error=ErrorBody(kind=kind, class_=class_name, message=message))


DOCUMENTS: Final[tuple[type[_Part], ...]] = (
    AliasDocument,
    AliasEventDocument,
    ArtifactDocument,
    ComparisonDocument,
    DeletedDocument,
    DownloadDocument,
    EntryDocument,
    ErrorDocument,
    GcDocument,
    GraphDocument,
    LocationDocument,
    LogDocument,
    NodeDocument,
    ProjectDocument,
    PruneDocument,
    RepairDocument,
    RowDocument,
    RunDocument,
    RunPageDocument,
    SearchHitDocument,
    SizeDocument,
    StaleDocument,
    VerifyDocument,
    VersionDocument,
    VersionPageDocument,
)
"""Every document that leaves the library; a test compares their schemas with the published ones."""


def roles_of(run: Run) -> dict[str, str | None]:
    """Return what a run used its inputs as, by reference.

    Only edges know it, and only the graph gives edges: it costs the import of networkx.
    """
    inputs = run.graph(direction="up", depth=1)
    return {source: attributes.get("use_as") for source, _, attributes in inputs.in_edges(run.id, data=True)}


def _fields(model: type[_Part], record: object) -> dict[str, Any]:
    """Return a record as the keyword arguments of a document that has more than the record."""
    return dict(model.from_record(record))


def plain(document: _Part) -> JsonValue:
    """Return a document as plain JSON data; what a graph does not say of a node or edge is left out."""
    unset = isinstance(document, GraphDocument)
    value: JsonValue = json.loads(document.model_dump_json(by_alias=True, exclude_unset=unset))
    return value


def parse_where(text: str) -> JsonObject:
    """Return a filter given as JSON text on a command line.

    Raises:
        InvalidInputError: It is not the JSON of an object; the message names line and column.

    Example:
        >>> parse_where('{"config.lr": {"$gt": 0.01}}')
        {'config.lr': {'$gt': 0.01}}
    """
    return _parse(text, "where", ErrorKind.FILTER_INVALID)


def parse_metadata(text: str, what: str = "metadata") -> JsonObject:
    """Return metadata, config or the like given as JSON text on a command line.

    Args:
        text: The JSON of an object.
        what: Its name; the error begins with it.

    Raises:
        InvalidInputError: It is not the JSON of an object, or holds what cannot be stored; the message names the
            place.

    Example:
        >>> parse_metadata('{"epochs": 5}')
        {'epochs': 5}
    """
    return plain_object(_parse(text, what, ErrorKind.JSON_INVALID), what)


def _parse(text: str, what: str, kind: ErrorKind) -> JsonObject:
    try:
        found = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_twins)
    except json.JSONDecodeError as error:
        message = f"{what}: {error.msg} at line {error.lineno}, column {error.colno}; give a JSON object{_hint(text)}"
        raise InvalidInputError(message, kind=kind) from error
    except (ValueError, RecursionError) as error:  # an endless number, too deep a nesting, one of the two below
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InvalidInputError(f"{what}: {reason}", kind=kind) from error
    if not isinstance(found, dict):
        message = f"{what}: {text[:40]!r} is JSON, but not an object such as '{{\"name\": 1}}'"
        raise InvalidInputError(message, kind=kind)
    return found


def _hint(text: str) -> str:
    """Return a word about shells, which eat the quotes of ``{"a": 1}`` unless it is quoted as a whole."""
    return "" if '"' in text or not _BARE_WORD.search(text) else ", in single quotes for the shell"


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _no_twins(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
    """Refuse a key that stands twice in one object, of which the first would be lost in silence."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twin!r} stands twice in one object")
    return found  # type: ignore[return-value]  # pydantic's name for JSON data and ours mean the same


def schema_of(document: type[_Part]) -> JsonObject:
    """Return the JSON Schema of a document, as it is published."""
    schema = document.model_json_schema(mode="serialization", by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def publish(folder: Path, echo: Callable[[str], None] = lambda _: None) -> None:
    """Write the schema of every document into a folder and remove those of documents that are no more.

    Args:
        folder: Where; made if it is not there.
        echo: Told each file's name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {f"{document.schema_name()}.schema.json": document for document in DOCUMENTS}
    for name, document in wanted.items():
        (folder / name).write_text(json.dumps(schema_of(document), indent=2) + "\n", "utf-8")
        echo(name)
    for stray in folder.glob("*.schema.json"):
        if stray.name not in wanted:
            stray.unlink()


if __name__ == "__main__":
    publish(SCHEMA_DIR / "json", print)
