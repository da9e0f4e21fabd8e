"""Documents that leave the library: their published schemas, and that real ones keep to them."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import jsonschema
import pytest
from conftest import draft
from test_cli_support import damage, fill, validate

import lineage
from lineage import documents
from lineage.documents import (
    AliasEventDocument,
    ArtifactDocument,
    ComparisonDocument,
    EntryDocument,
    ErrorDocument,
    GcDocument,
    GraphDocument,
    LogDocument,
    NodeDocument,
    PruneDocument,
    RepairDocument,
    RowDocument,
    RunDocument,
    RunPageDocument,
    VerifyDocument,
    VersionDocument,
    VersionPageDocument,
    parse_metadata,
    parse_where,
    plain,
    published,
)
from lineage.migrations import SCHEMA_DIR

FOLDER = SCHEMA_DIR / "json"


@pytest.fixture
def filled(project: lineage.Project) -> lineage.Project:
    """A project with five runs and five versions; see :func:`test_cli_support.fill`."""
    return fill(project)


# --- schemas ---------------------------------------------------------------------------------------------------


def test_schemas_are_those_published() -> None:
    """A changed document is published on purpose: `python -m lineage.documents`."""
    assert {path.name: path.read_text("utf-8") for path in FOLDER.iterdir()} == published()


def test_schemas_are_valid_and_described() -> None:
    """Each is a JSON Schema that says what it is about."""
    for text in published().values():
        schema = json.loads(text)
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["description"]


def test_module_writes_the_schemas() -> None:
    """Run as a program it writes what is there already."""
    before = {path.name: path.read_bytes() for path in FOLDER.iterdir()}

    subprocess.run([sys.executable, "-m", "lineage.documents"], check=True)

    assert {path.name: path.read_bytes() for path in FOLDER.iterdir()} == before


LEFT_OUT = {"EdgeDocument": {"use_as", "count"}}
"""What only some edges have."""
DEFAULTS = {"Problem": {"versions", "severity"}, "RepairAction": {"error"}}
"""What the records need not be told, and say all the same."""


def test_schemas_hold_no_field_that_may_be_missing() -> None:
    """A program may rely on every field, but for what only some edges of a graph have."""
    for name, text in published().items():
        schema = json.loads(text)
        for part in (schema, *schema.get("$defs", {}).values()):
            optional = set(part.get("properties", {})) - set(part.get("required", []))
            assert optional == (LEFT_OUT | DEFAULTS).get(part.get("title"), set()), name


# --- documents of real things ----------------------------------------------------------------------------------


def test_records_become_documents(filled: lineage.Project) -> None:
    """Runs, versions, artifacts, entries, nodes and alias events keep to their schemas."""
    for schema, document in [
        *(("run", RunDocument.from_record(run.record)) for run in filled.runs()),
        *(("version", VersionDocument.from_record(version.record)) for version in filled.versions()),
        *(("artifact", ArtifactDocument.from_record(record)) for record in filled.artifacts()),
        *(("entry", EntryDocument.from_record(entry)) for entry in filled.version("data").files()),
        *(("node", NodeDocument.from_record(node)) for node in filled.ancestors("model")),
        *(("alias-event", AliasEventDocument.from_record(event)) for event in filled.alias_history("model")),
    ]:
        validate(plain(document), schema)


def test_run_document_is_the_record_without_rows_and_packages(filled: lineage.Project) -> None:
    """No key of a table leaves the library, and a list of runs does not repeat their packages."""
    document: Any = plain(RunDocument.from_record(filled.run("train-2").record))

    assert document["config"] == {"lr": 0.01, "optim": {"name": "adam"}}
    assert document["summary"] == {"iou": 0.5}
    assert document["status"] == "finished"
    assert not {"key", "environment"} & document.keys()


def test_pages_hold_what_lies_around(filled: lineage.Project) -> None:
    """A page of a run and of a version, also of a deleted one."""
    filled.version("model:v0").delete()

    run = plain(RunPageDocument.from_run(filled.run("train-1")))
    version = plain(VersionPageDocument.from_version(filled.version("model:v0", include_deleted=True)))
    filled.log_artifact(draft("alone", {"a": "b"}))
    orphan = plain(VersionPageDocument.from_version(filled.version("alone")))

    validate(run, "run-page")
    validate(version, "version-page")
    validate(orphan, "version-page")


def test_comparison_becomes_a_document(filled: lineage.Project) -> None:
    """With files, metadata, config and upstream."""
    document: Any = plain(ComparisonDocument.from_record(filled.diff("model:v0", "model:v1")))

    validate(document, "comparison")
    assert document["config"]["lr"] == {"old": 0.1, "new": 0.01}
    assert [entry["path"] for entry in document["added"]] == ["notes.txt"]


def test_reports_become_documents(filled: lineage.Project) -> None:
    """Prune, gc, verify and repair, with problems in them."""
    damage(filled)

    validate(plain(PruneDocument.from_record(filled.prune(keep_last=1, dry_run=True))), "prune")
    validate(plain(GcDocument.from_record(filled.gc(dry_run=True))), "gc")
    verified: Any = plain(VerifyDocument.from_record(filled.verify()))
    repaired: Any = plain(RepairDocument.from_record(filled.repair()))
    validate(verified, "verify")
    validate(repaired, "repair")
    assert verified["problems"]
    assert repaired["actions"]


@pytest.mark.parametrize("collapse", [None, "type", "name"])
def test_graph_becomes_the_document_of_exports(filled: lineage.Project, collapse: Any) -> None:
    """What `lineage.exports.to_json` writes passes through unchanged."""
    from lineage.exports import to_json

    graph = filled.graph(collapse=collapse)
    document = plain(GraphDocument.from_graph(graph))

    validate(document, "graph")
    assert document == to_json(graph)


def test_log_document_tells_whether_it_was_logged(filled: lineage.Project) -> None:
    """Nothing is a document, too."""
    assert plain(LogDocument.from_version(None)) == {"logged": False, "version": None}
    validate(plain(LogDocument.from_version(filled.version("data"))), "log")


def test_row_document_keeps_what_json_can_hold() -> None:
    """Bytes become digits; infinity, which JSON has not, becomes null."""
    row = {"text": "a", "number": 1.5, "none": None, "bytes": b"\xff", "infinity": float("inf")}

    document = plain(RowDocument.from_row(row))

    assert document == {"text": "a", "number": 1.5, "none": None, "bytes": "ff", "infinity": None}


def test_error_document_names_kind_and_class() -> None:
    """Of the library's errors their kind, of all others that they are about usage."""
    missing = lineage.NotFoundError("no run 'x'", kind=lineage.ErrorKind.RUN_NOT_FOUND)

    document = plain(ErrorDocument.from_error(missing, str(missing)))

    assert document == {"error": {"kind": "run-not-found", "class": "NotFoundError", "message": "no run 'x'"}}
    assert plain(ErrorDocument.from_error(ValueError("x"), "y")) == {
        "error": {"kind": "usage", "class": "ValueError", "message": "y"}
    }


# --- input -----------------------------------------------------------------------------------------------------


def test_parse_where_reads_a_filter() -> None:
    """JSON as it stands on the command line."""
    assert parse_where('{"summary.iou": {"$gt": 0.4}}') == {"summary.iou": {"$gt": 0.4}}


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "JSON"),
        ("{", "line 1"),
        ('{\n"a": }', "line 2"),
        ("[]", "list"),
        ("3", "int"),
        ('"a"', "str"),
        ("null", "NoneType"),
        ("[" * 100_000, "deep"),
        ('{"a": ' + "1" * 5_000 + "}", "digit"),
        ('{"a": 1e999}', "a: infinity"),
        ('{"a": "\\ud800"}', "surrogate"),
    ],
    ids=range(11),
)
def test_parse_names_the_place_of_what_is_wrong(text: str, part: str) -> None:
    """No error of a parser reaches the caller; the message begins with the option."""
    with pytest.raises(lineage.InvalidInputError, match=r"^--where: ") as error:
        parse_where(text)
    assert part in str(error.value)

    with pytest.raises(lineage.InvalidInputError, match=r"^--config: "):
        parse_metadata(text, "--config")


def test_documents_are_the_only_door_of_pydantic() -> None:
    """Nothing else of the library imports it."""
    package = SCHEMA_DIR.parent / "lineage" if (SCHEMA_DIR.parent / "lineage").is_dir() else SCHEMA_DIR.parent

    users = [path.name for path in package.rglob("*.py") if "import BaseModel" in path.read_text("utf-8")]

    assert users == [str(documents.__file__).rpartition("/")[2]]
