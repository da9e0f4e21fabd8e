"""What one can ask a project: lists, lookups, walks, paths, graphs, search, SQL; over one small pipeline.

::

    load -> raw:v0 -> prep -> data:v0 -> train -> model:v0 -> eval -> report:v0
                                 `----------------------------^
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import draft, elsewhere
from footprint import refused, unchanged

import lineage
from lineage import ErrorKind, InvalidInputError, NotFoundError, Project, ReadOnlyError, Reference, StateError
from lineage.records import Location, Node

ROOT = str(Path(lineage.__file__).parents[1])


def log(where: Project | lineage.ActiveRun, name: str, content: str = "x", **words: Any) -> lineage.Version:
    """Log one file of this content as a version of an artifact."""
    type_, metadata = words.pop("type", "dataset"), words.pop("metadata", None)
    description = words.pop("description", None)
    made = draft(name, {"file.txt": content}, type=type_, metadata=metadata, description=description)
    version: lineage.Version | None = where.log_artifact(made, **words)
    assert version is not None
    return version


def references(found: Any) -> list[str]:
    """Return what a list of versions is called."""
    return [version.reference for version in found]


def ids(found: Any) -> list[str]:
    """Return the ids of runs or nodes."""
    return [one.id for one in found]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a project with the pipeline, made once: each test works on a copy."""
    folder = tmp_path_factory.mktemp("pipeline")
    project = lineage.open(folder / "p.lineage")
    with project.batch():
        _fill(project)
    return folder


@pytest.fixture
def pipeline(built: Path, tmp_path: Path) -> Project:
    """A project with a small pipeline; see the top of the file."""
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    return lineage.open(tmp_path / "p.lineage")


def _fill(project: Project) -> None:
    with project.start_run("load", "loader", id="load", group="first", tags=["cpu"]) as run:
        log(run, "raw", "raw", aliases=["source"])
    with project.start_run("prep", "preparer", id="prep", group="first", use=["raw"]) as run:
        log(run, "data", "data", tags=["clean"])
    with project.start_run("train", "trainer", id="train", config={"lr": 0.1}, tags=["gpu", "cpu"]) as run:
        run.use_artifact("data", use_as="training set")
        log(run, "model", "model", type="model", metadata={"iou": 0.5}, aliases=["best"])
    with project.start_run("eval", "judge", id="eval", use=["model", "data"], notes="Judged by hand") as run:
        log(run, "report", "report", type="report", description="The numbers of the judge")


# --- run ---


@pytest.mark.parametrize("text", ["train", "trainer"], ids=["id", "name"])
def test_run_by_id_or_name_is_found(pipeline: Project, text: str) -> None:
    """A run answers to its id and to its name."""
    assert pipeline.run(text).id == "train"


def test_run_by_the_first_digits_of_its_id_is_found(project: Project) -> None:
    """Six characters of an id are enough, five are not."""
    project.start_run(id="abcdefgh").finish()

    found = project.run("abcdef")

    assert found.id == "abcdefgh"
    with pytest.raises(NotFoundError, match="no run 'abcde'"):
        project.run("abcde")


def test_run_by_a_name_comes_before_the_digits_of_an_id(project: Project) -> None:
    """What people called a run counts before what another one's id happens to begin with."""
    project.start_run(id="abcdefgh").finish()
    project.start_run(id="other", name="abcdef").finish()

    assert project.run("abcdef").id == "other"


def test_run_by_a_name_that_two_bear_lists_their_ids(project: Project) -> None:
    """Two runs of one name are ambiguous, and the message has what tells them apart."""
    for id_ in ("one", "two"):
        project.start_run(id=id_, name="same").finish()

    with refused(project, InvalidInputError, r"'same' names several runs \(one, two\)", ErrorKind.REFERENCE_AMBIGUOUS):
        project.run("same")


@pytest.mark.parametrize("text", ["nothing", ""], ids=["unknown", "empty"])
def test_run_that_is_not_there_is_not_found(pipeline: Project, text: str) -> None:
    """A run that nobody started is not found, under its own kind."""
    with refused(pipeline, NotFoundError, f"no run '{text}'", ErrorKind.RUN_NOT_FOUND):
        pipeline.run(text)


def test_run_that_was_deleted_is_found_by_its_id_only(pipeline: Project) -> None:
    """A deleted run's name is free, its id still answers."""
    pipeline.run("eval").delete()

    assert pipeline.run("eval").record.deleted_at is not None
    with pytest.raises(NotFoundError, match="no run 'judge'"):
        pipeline.run("judge")


# --- runs ---


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({}, ["load", "prep", "train", "eval"]),
        ({"job_type": "train"}, ["train"]),
        ({"status": "finished"}, ["load", "prep", "train", "eval"]),
        ({"status": "failed"}, []),
        ({"group": "first"}, ["load", "prep"]),
        ({"tags": "cpu"}, ["load", "train"]),
        ({"tags": ["cpu", "gpu"]}, ["train"]),
        ({"consumed": "data"}, ["train", "eval"]),
        ({"consumed": Reference("data", number=0)}, ["train", "eval"]),
        ({"consumed": "report"}, []),
        ({"produced": "model:best"}, ["train"]),
        ({"consumed": "data", "produced": "report"}, ["eval"]),
        ({"order": "-started_at"}, ["eval", "train", "prep", "load"]),
        ({"order": ["-group", "name"]}, ["load", "prep", "eval", "train"]),
        ({"limit": 2}, ["load", "prep"]),
        ({"limit": 0}, []),
        ({"limit": 10**30}, ["load", "prep", "train", "eval"]),
        ({"order": "-name", "limit": 1}, ["train"]),
        ({"where": {"config.lr": {"$gt": 0.01}}}, ["train"]),
        ({"where": {"name": {"$regex": "er$"}}, "group": "first"}, ["load", "prep"]),
        ({"where": {}}, ["load", "prep", "train", "eval"]),
    ],
    ids=lambda value: json.dumps(value, default=str) if isinstance(value, dict) else "",
)
def test_runs_with_each_keyword_gives_those_that_pass(
    pipeline: Project, words: dict[str, Any], expected: list[str]
) -> None:
    """Every keyword narrows or orders the list; several all hold."""
    assert ids(pipeline.runs(**words)) == expected


def test_runs_by_a_version_handle_gives_its_consumers(pipeline: Project) -> None:
    """A handle says which version as well as its text does."""
    version = pipeline.version("raw")

    assert ids(pipeline.runs(consumed=version)) == ["prep"]


def test_runs_without_deleted_ones_unless_asked(pipeline: Project) -> None:
    """A deleted run is out of the list, and comes back by a word."""
    pipeline.run("prep").delete()

    assert ids(pipeline.runs()) == ["load", "train", "eval"]
    assert ids(pipeline.runs(include_deleted=True)) == ["load", "prep", "train", "eval"]


def test_runs_by_a_deleted_version_still_tells_who_used_it(pipeline: Project) -> None:
    """Who consumed and produced a version is known after it was deleted."""
    pipeline.version("model").delete(delete_aliases=True)

    assert ids(pipeline.runs(consumed="model:v0")) == ["eval"]
    assert ids(pipeline.runs(produced="model:v0")) == ["train"]


@pytest.mark.parametrize("word", ["consumed", "produced"])
def test_runs_by_an_unknown_version_is_not_found(pipeline: Project, word: str) -> None:
    """A version that is not there is an error at once, not an empty list."""
    with refused(pipeline, NotFoundError, "no version 'model:v7'", ErrorKind.VERSION_NOT_FOUND):
        pipeline.runs(**{word: "model:v7"})  # type: ignore[arg-type]  # a keyword by its name


@pytest.mark.parametrize("limit", [-1, 1.0, True, "1"], ids=repr)
def test_list_with_a_bad_limit_is_refused(pipeline: Project, limit: Any) -> None:
    """A limit is a whole number, 0 or more, in each of the lists."""
    for ask in (pipeline.runs, pipeline.versions, pipeline.artifacts):
        with pytest.raises(InvalidInputError, match="give a whole number, 0 or more"):
            ask(limit=limit)


def test_list_with_an_unknown_key_names_it(pipeline: Project) -> None:
    """A filter over what is not there is refused when it is made, in each of the lists."""
    for ask in (pipeline.runs, pipeline.versions, pipeline.artifacts):
        with pytest.raises(InvalidInputError, match="'colour'"):
            ask({"colour": "red"})
        with pytest.raises(InvalidInputError, match="'colour'"):
            ask(order="colour")


# --- version ---


def test_version_by_each_form_of_reference_is_the_same(pipeline: Project) -> None:
    """A name, an alias, a number and the first digits of the digest all lead to the version."""
    digest = pipeline.version("model").digest
    forms = ["model", "model:latest", "model:best", "model:v0", f"model@{digest}", f"model@{digest[:8]}"]

    found = [pipeline.version(form) for form in forms]

    assert references(found) == ["model:v0"] * 6
    assert pipeline.version(Reference("model", alias="best")) == found[0]


@pytest.mark.parametrize(
    ("text", "message", "kind"),
    [
        ("nothing", "no artifact 'nothing'", ErrorKind.ARTIFACT_NOT_FOUND),
        ("nothing:v0", "no artifact 'nothing'", ErrorKind.ARTIFACT_NOT_FOUND),
        ("model:v1", "no version 'model:v1'", ErrorKind.VERSION_NOT_FOUND),
        ("model:worst", "no version 'model:worst'", ErrorKind.ALIAS_NOT_FOUND),
        ("model@00000000", "no version 'model@00000000'", ErrorKind.VERSION_NOT_FOUND),
    ],
    ids=["artifact", "artifact-number", "number", "alias", "digest"],
)
def test_version_that_is_not_there_says_what_is_missing(
    pipeline: Project, text: str, message: str, kind: ErrorKind
) -> None:
    """The error tells a missing artifact from a missing number, alias or digest."""
    with refused(pipeline, NotFoundError, message, kind):
        pipeline.version(text)


def test_version_as_of_resolves_an_alias_as_it_stood(project: Project) -> None:
    """At the moment of each move, and until the next, the alias names what it named then."""
    log(project, "m", "0")
    log(project, "m", "1")
    first, second = (event.at for event in project.alias_history("m:latest"))

    assert project.version("m", as_of=first).reference == "m:v0"
    assert project.version("m", as_of=second).reference == "m:v1"
    assert project.version("m:latest", as_of=datetime.fromisoformat(first)).reference == "m:v0"


def test_version_as_of_before_the_alias_was_is_not_found(pipeline: Project) -> None:
    """Before its first move an alias names nothing."""
    before = datetime(2000, 1, 1, tzinfo=UTC)

    with refused(pipeline, NotFoundError, "'model:best' named nothing at 2000-01-01T", ErrorKind.ALIAS_NOT_FOUND):
        pipeline.version("model:best", as_of=before)


def test_version_as_of_after_the_last_move_is_what_it_names_now(pipeline: Project) -> None:
    """After the last move the alias stands where it stands, for ever."""
    assert pipeline.version("model:best", as_of="2999-01-01").reference == "model:v0"


def test_version_as_of_leaves_numbers_alone(pipeline: Project) -> None:
    """A number names one version at any time, also before it was."""
    assert pipeline.version("model:v0", as_of="2000-01-01").reference == "model:v0"


def test_version_as_of_what_was_deleted_since_needs_a_word(project: Project) -> None:
    """The version an alias named then may be gone: said so, and given when asked for."""
    log(project, "m", "0")
    log(project, "m", "1")
    then = project.alias_history("m:latest")[0].at
    project.version("m:v0").delete()

    with pytest.raises(NotFoundError, match="was deleted") as caught:
        project.version("m", as_of=then)

    assert caught.value.kind == ErrorKind.VERSION_DELETED
    assert project.version("m", as_of=then, include_deleted=True).reference == "m:v0"


@pytest.mark.parametrize("when", ["yesterday", 5, ""], ids=repr)
def test_version_as_of_no_time_is_refused(pipeline: Project, when: Any) -> None:
    """What is no point in time is refused, with an example."""
    with refused(pipeline, InvalidInputError, "as_of .*ISO 8601"):
        pipeline.version("model", as_of=when)


def test_version_deleted_is_given_with_include_deleted(pipeline: Project) -> None:
    """A deleted version says that it was deleted, and is there for questions about its lineage."""
    pipeline.version("report").delete(delete_aliases=True)

    found = pipeline.version("report:v0", include_deleted=True)

    assert (found.reference, found.deleted, found.aliases) == ("report:v0", True, ())
    with refused(pipeline, NotFoundError, "report:v0 was deleted; its lineage is still", ErrorKind.VERSION_DELETED):
        pipeline.version("report:v0")


def test_version_by_digest_is_the_newest_live_one(project: Project) -> None:
    """Of two versions with the same content, the newest that is not deleted."""
    log(project, "m", "same")
    log(project, "m", "same", force_new_version=True)
    digest = project.version("m").digest

    before = project.version(f"m@{digest}").reference
    project.version("m:v1").delete(delete_aliases=True)

    assert (before, project.version(f"m@{digest}").reference) == ("m:v1", "m:v0")


# --- versions ---


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({}, ["raw:v0", "data:v0", "model:v0", "report:v0"]),
        ({"artifact": "model"}, ["model:v0"]),
        ({"artifact": "nothing"}, []),
        ({"type": "dataset"}, ["raw:v0", "data:v0"]),
        ({"alias": "best"}, ["model:v0"]),
        ({"alias": "latest", "type": "report"}, ["report:v0"]),
        ({"tags": "clean"}, ["data:v0"]),
        ({"tags": ["clean", "other"]}, []),
        ({"order": "-name"}, ["report:v0", "raw:v0", "model:v0", "data:v0"]),
        ({"order": ["type", "-name"], "limit": 3}, ["raw:v0", "data:v0", "model:v0"]),
        ({"where": {"metadata.iou": {"$gte": 0.5}}}, ["model:v0"]),
        ({"where": {"file_count": 1, "size": 5}}, ["model:v0"]),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_versions_with_each_keyword_gives_those_that_pass(
    pipeline: Project, words: dict[str, Any], expected: list[str]
) -> None:
    """Every keyword narrows or orders the list; several all hold."""
    assert references(pipeline.versions(**words)) == expected


def test_versions_without_deleted_ones_unless_asked(pipeline: Project) -> None:
    """A deleted version is out of the list, and comes back by a word."""
    pipeline.version("raw").delete(delete_aliases=True)

    assert references(pipeline.versions(type="dataset")) == ["data:v0"]
    assert references(pipeline.versions(type="dataset", include_deleted=True)) == ["raw:v0", "data:v0"]


# --- artifact, artifacts, types ---


def test_artifact_gives_its_record(project: Project) -> None:
    """What is known of an artifact: name, type, words, and how many live versions it has."""
    for content in ("0", "1", "2"):
        log(project, "m", content, type="model")
    project.version("m:v1").delete()
    project.update_artifact("m", description="A model")

    record = project.artifact("m")

    assert (record.name, record.type, record.description) == ("m", "model", "A model")
    assert (record.version_count, record.deleted_at) == (2, None)


def test_artifact_that_is_not_there_is_not_found(pipeline: Project) -> None:
    """Neither one that never was nor a deleted one is there."""
    pipeline.delete_artifact("report")

    for name in ("nothing", "report"):
        with refused(pipeline, NotFoundError, f"no artifact '{name}'", ErrorKind.ARTIFACT_NOT_FOUND):
            pipeline.artifact(name)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({}, ["data", "model", "raw", "report"]),
        ({"type": "dataset"}, ["data", "raw"]),
        ({"order": "-name"}, ["report", "raw", "model", "data"]),
        ({"order": ["type", "-name"]}, ["raw", "data", "model", "report"]),
        ({"limit": 1}, ["data"]),
        ({"where": {"aliases": "best"}}, ["model"]),
        ({"where": {"version_count": {"$gt": 1}}}, []),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_artifacts_with_each_keyword_gives_those_that_pass(
    pipeline: Project, words: dict[str, Any], expected: list[str]
) -> None:
    """Every keyword narrows or orders the list, which is by name."""
    assert [record.name for record in pipeline.artifacts(**words)] == expected


def test_artifacts_without_deleted_ones_unless_asked(pipeline: Project) -> None:
    """A deleted artifact is out of the list, and comes back by a word."""
    pipeline.delete_artifact("report")

    assert [record.name for record in pipeline.artifacts()] == ["data", "model", "raw"]
    assert [record.name for record in pipeline.artifacts(include_deleted=True)] == ["data", "model", "raw", "report"]


def test_types_lists_those_of_live_artifacts(pipeline: Project) -> None:
    """Each type once, sorted; one whose last artifact was deleted is gone."""
    before = pipeline.types()
    pipeline.delete_artifact("report")

    assert (before, pipeline.types()) == (["dataset", "model", "report"], ["dataset", "model"])


def test_job_types_lists_those_of_live_runs(pipeline: Project) -> None:
    """Each job type once, sorted; runs without one and deleted runs add none."""
    pipeline.start_run(id="plain").finish()
    before = pipeline.job_types()
    pipeline.run("eval").delete()

    assert (before, pipeline.job_types()) == (["eval", "load", "prep", "train"], ["load", "prep", "train"])


# --- node ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train", "Run"),
        ("trainer", "Run"),
        ("model", "Version"),
        ("model:best", "Version"),
        (Reference("model"), "Version"),
    ],
    ids=["run-id", "run-name", "artifact", "reference", "Reference"],
)
def test_node_of_each_form_gives_a_run_or_a_version(pipeline: Project, text: Any, expected: str) -> None:
    """A text leads to what it names: with a colon to a version, else to a run or the newest of an artifact."""
    assert type(pipeline.node(text)).__name__ == expected


def test_node_of_a_digest_gives_its_version(pipeline: Project) -> None:
    """A text with an at sign names a version by its content."""
    assert pipeline.node(f"model@{pipeline.version('model').digest}") == pipeline.version("model")


def test_node_of_a_handle_gives_it_back(pipeline: Project) -> None:
    """A handle is what it is; of a run under way comes the run to read."""
    run, version = pipeline.run("train"), pipeline.version("model")
    with pipeline.start_run(id="now") as active:
        assert pipeline.node(run) is run
        assert pipeline.node(version) is version
        assert pipeline.node(active) == pipeline.run("now")


def test_node_of_a_deleted_version_is_given(pipeline: Project) -> None:
    """Questions about the lineage of a deleted version go on."""
    pipeline.version("report").delete(delete_aliases=True)

    assert pipeline.node("report:v0") == pipeline.version("report:v0", include_deleted=True)


def test_node_that_is_a_run_and_an_artifact_says_how_to_tell_them_apart(project: Project) -> None:
    """A bare name that both bear is ambiguous, and the message has a text for each."""
    log(project, "twin")
    project.start_run(id="the-run", name="twin").finish()

    with refused(project, InvalidInputError, "'twin:latest', or the run's id the-run", ErrorKind.REFERENCE_AMBIGUOUS):
        project.node("twin")

    assert project.node("twin:latest") == project.version("twin")
    assert project.node("the-run") == project.run("the-run")


def test_node_of_a_deleted_run_is_given_by_its_name(project: Project) -> None:
    """As long as nothing living is called so; several are told apart by their ids."""
    for id in ("one", "two"):
        with project.start_run(name="probe", id=id):
            pass
    project.run("one").delete()
    living = project.node("probe")
    project.run("two").delete()

    assert living == project.run("two")
    with refused(project, InvalidInputError, r"'probe' names several runs \(one, two\)", ErrorKind.REFERENCE_AMBIGUOUS):
        project.node("probe")
    log(project, "probe")
    assert project.node("probe") == project.version("probe")


def test_node_of_an_artifact_whose_namesake_was_deleted_is_the_artifact(project: Project) -> None:
    """A deleted run's name no longer counts."""
    log(project, "twin")
    project.start_run(id="the-run", name="twin").finish()
    project.run("the-run").delete()

    assert project.node("twin") == project.version("twin")


def test_node_of_a_name_that_several_runs_bear_is_refused(project: Project) -> None:
    """Several runs of a name are ambiguous here as well, also beside an artifact."""
    log(project, "same")
    for id_ in ("one", "two"):
        project.start_run(id=id_, name="same").finish()

    with refused(project, InvalidInputError, "several runs", ErrorKind.REFERENCE_AMBIGUOUS):
        project.node("same")


def test_node_that_is_nothing_is_not_found(pipeline: Project) -> None:
    """A text that names neither says so, and where to look."""
    with refused(pipeline, NotFoundError, "no run and no artifact 'nothing'; 'lineage ls'"):
        pipeline.node("nothing")


@pytest.mark.parametrize("value", [5, None, b"model"], ids=repr)
def test_node_of_what_is_no_text_is_refused(pipeline: Project, value: Any) -> None:
    """Only texts, references and handles name something."""
    with refused(pipeline, InvalidInputError, "give text"):
        pipeline.node(value)


def test_node_of_another_project_is_refused(pipeline: Project, tmp_path: Path) -> None:
    """A handle of another project is no node here: its row would be another's."""
    stranger = log(lineage.open(tmp_path / "other.lineage"), "m")

    with refused(pipeline, InvalidInputError, "belongs to another project"):
        pipeline.ancestors(stranger)


# --- ancestors and descendants ---

REPORT = [("eval", 1), ("data:v0", 2), ("model:v0", 2), ("prep", 3), ("train", 3), ("raw:v0", 4), ("load", 5)]


def steps(nodes: list[Node]) -> list[tuple[str, int]]:
    """Return names and depths of nodes."""
    return [(node.id, node.depth) for node in nodes]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({}, REPORT),
        ({"depth": 0}, []),
        ({"depth": 1}, REPORT[:1]),
        ({"depth": 2}, REPORT[:3]),
        ({"depth": 99}, REPORT),
        ({"kind": "run"}, [("eval", 1), ("prep", 3), ("train", 3), ("load", 5)]),
        ({"kind": "version"}, [("data:v0", 2), ("model:v0", 2), ("raw:v0", 4)]),
        ({"kind": "version", "types": ["model"]}, [("model:v0", 2)]),
        ({"types": "dataset", "kind": "version"}, [("data:v0", 2), ("raw:v0", 4)]),
        ({"types": []}, [("eval", 1), ("prep", 3), ("train", 3), ("load", 5)]),
        ({"types": ["model"], "job_types": ["load"]}, [("model:v0", 2), ("load", 5)]),
        ({"job_types": "prep", "kind": "run", "depth": 3}, [("prep", 3)]),
        ({"job_types": "prep", "kind": "run", "depth": 2}, []),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_ancestors_with_each_keyword_gives_those_that_pass(
    pipeline: Project, words: dict[str, Any], expected: list[tuple[str, int]]
) -> None:
    """All that lies upstream, nearest first; what is left out is still walked through."""
    assert steps(pipeline.ancestors("report", **words)) == expected
    assert steps(pipeline.version("report").ancestors(**words)) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({}, [("eval", 1), ("train", 1), ("model:v0", 2), ("report:v0", 2)]),
        ({"depth": 1}, [("eval", 1), ("train", 1)]),
        ({"kind": "version"}, [("model:v0", 2), ("report:v0", 2)]),
        ({"types": ["report"], "job_types": []}, [("report:v0", 2)]),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_descendants_with_each_keyword_gives_those_that_pass(
    pipeline: Project, words: dict[str, Any], expected: list[tuple[str, int]]
) -> None:
    """All that lies downstream, nearest first, each node once and at its smallest depth."""
    assert steps(pipeline.descendants("data", **words)) == expected
    assert steps(pipeline.version("data").descendants(**words)) == expected


def test_ancestors_of_a_run_begin_with_what_it_used(pipeline: Project) -> None:
    """From a run the first step goes to its inputs; it is not among its own."""
    assert steps(pipeline.ancestors("train")) == [("data:v0", 1), ("prep", 2), ("raw:v0", 3), ("load", 4)]
    assert steps(pipeline.run("train").descendants()) == [("model:v0", 1), ("eval", 2), ("report:v0", 3)]


def test_ancestors_nodes_say_what_they_are(pipeline: Project) -> None:
    """A node has kind, id, label, type, depth, and whether it was deleted."""
    pipeline.version("raw").delete(delete_aliases=True)

    found = pipeline.ancestors("prep")

    assert found == [
        Node("version", "raw:v0", "raw:v0", "dataset", 1, deleted=True),
        Node("run", "load", "loader", "load", 2, deleted=False),
    ]


@pytest.mark.parametrize("direction", ["ancestors", "descendants"])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"depth": -1}, "depth -1: give the number of edges"),
        ({"depth": 1.5}, "depth 1.5"),
        ({"depth": True}, "depth True"),
        ({"kind": "artifact"}, "kind 'artifact': ask for 'run' or 'version'"),
        ({"types": 5}, "types 5"),
        ({"types": [5]}, "types 5: give text"),
        ({"job_types": [None]}, "job_types None: give text"),
    ],
    ids=["negative", "fraction", "bool", "kind", "number", "types", "job-types"],
)
def test_walk_with_a_wrong_keyword_is_refused(
    pipeline: Project, direction: str, words: dict[str, Any], message: str
) -> None:
    """A wrong depth, kind or list of types is named."""
    with pytest.raises(InvalidInputError, match=message):
        getattr(pipeline, direction)("data", **words)


# --- depends_on, path, common_ancestors ---


@pytest.mark.parametrize(
    ("node", "other", "expected"),
    [
        ("report", "raw", True),
        ("report", "train", True),
        ("train", "load", True),
        ("raw", "report", False),
        ("model", "report", False),
        ("model", "model", False),
        ("train", "train", False),
    ],
)
def test_depends_on_is_true_only_downstream(pipeline: Project, node: str, other: str, expected: bool) -> None:
    """A node depends on what lies upstream of it, and not on itself."""
    assert pipeline.depends_on(node, other) is expected


def test_path_downstream_is_the_shortest_chain(pipeline: Project) -> None:
    """Of two ways from data to report, the one that does not go through the model; depth is the place."""
    found = pipeline.path("raw", "report")

    assert steps(found) == [("raw:v0", 0), ("prep", 1), ("data:v0", 2), ("eval", 3), ("report:v0", 4)]


def test_path_upstream_goes_against_the_edges(pipeline: Project) -> None:
    """From a node to its ancestor the same chain comes the other way round."""
    found = pipeline.path("report", "raw")

    assert steps(found) == [("report:v0", 0), ("eval", 1), ("data:v0", 2), ("prep", 3), ("raw:v0", 4)]


def test_path_to_itself_is_the_node(pipeline: Project) -> None:
    """From a node to itself there is a chain of no edge."""
    assert steps(pipeline.path("model", "model:v0")) == [("model:v0", 0)]


def test_path_between_strangers_is_empty(pipeline: Project) -> None:
    """Two nodes of which neither is upstream of the other have no chain, also with a common ancestor."""
    log(pipeline, "stranger")
    with pipeline.start_run(id="sibling", use="data"):
        pass

    assert pipeline.path("stranger", "report") == []
    assert pipeline.path("sibling", "model") == []


def test_common_ancestors_are_upstream_of_both(pipeline: Project) -> None:
    """What both came from, nearest first, at the depth of the nearer one."""
    with pipeline.start_run("train", id="again", use="data") as run:
        log(run, "other", "other")

    assert steps(pipeline.common_ancestors("model", "other")) == [
        ("data:v0", 2),
        ("prep", 3),
        ("raw:v0", 4),
        ("load", 5),
    ]
    assert steps(pipeline.common_ancestors("report", "prep")) == [("raw:v0", 1), ("load", 2)]


def test_common_ancestors_leave_out_the_two_themselves(pipeline: Project) -> None:
    """A node is no ancestor of itself, so not a common one either."""
    found = pipeline.common_ancestors("model", "train")

    assert steps(found) == [("data:v0", 1), ("prep", 2), ("raw:v0", 3), ("load", 4)]


def test_common_ancestors_of_strangers_are_none(pipeline: Project) -> None:
    """Two nodes that have nothing in common say so."""
    log(pipeline, "stranger")

    assert pipeline.common_ancestors("stranger", "report") == []


# --- graph ---

NODES = ["data:v0", "eval", "load", "model:v0", "prep", "raw:v0", "report:v0", "train"]
EDGES = [
    ("data:v0", "eval"),
    ("data:v0", "train"),
    ("eval", "report:v0"),
    ("load", "raw:v0"),
    ("model:v0", "eval"),
    ("prep", "data:v0"),
    ("raw:v0", "prep"),
    ("train", "model:v0"),
]


def test_graph_of_nothing_in_particular_is_the_whole(pipeline: Project) -> None:
    """Without a node to begin at, every node and edge of the project is in the graph, and its name."""
    found = pipeline.graph()

    assert (sorted(found.nodes), sorted(found.edges)) == (NODES, EDGES)
    assert found.graph == {"project": "p", "collapse": None}


def test_graph_of_an_empty_project_is_empty(project: Project) -> None:
    """No runs and no versions make no nodes."""
    assert len(project.graph()) == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({}, NODES),
        ({"direction": "up"}, ["data:v0", "load", "model:v0", "prep", "raw:v0", "train"]),
        ({"direction": "down"}, ["eval", "model:v0", "report:v0"]),
        ({"depth": 0}, ["model:v0"]),
        ({"depth": 1}, ["eval", "model:v0", "train"]),
        ({"direction": "up", "depth": 2}, ["data:v0", "model:v0", "train"]),
        ({"direction": "down", "depth": 99}, ["eval", "model:v0", "report:v0"]),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_graph_around_a_node_goes_as_far_as_asked(
    pipeline: Project, words: dict[str, Any], expected: list[str]
) -> None:
    """Direction and depth bound the graph, and the node itself is in it."""
    assert sorted(pipeline.graph("model", **words).nodes) == expected
    assert sorted(pipeline.version("model").graph(**words).nodes) == expected


def test_graph_has_every_edge_between_its_nodes(pipeline: Project) -> None:
    """Also an edge that no walk went along: from data to eval, which both lie one step from the model's run."""
    found = pipeline.graph("model", depth=2)

    assert sorted(found.edges) == [
        ("data:v0", "eval"),
        ("data:v0", "train"),
        ("eval", "report:v0"),
        ("model:v0", "eval"),
        ("train", "model:v0"),
    ]


def test_graph_around_several_nodes_is_all_of_them(pipeline: Project) -> None:
    """Runs and versions in any form may be the places to begin."""
    found = pipeline.graph("load", pipeline.version("report"), depth=1)

    assert sorted(found.nodes) == ["eval", "load", "raw:v0", "report:v0"]


def test_graph_nodes_bear_the_documented_attributes(pipeline: Project) -> None:
    """A version and a run say what README.md promises, no more and no less."""
    version, run = pipeline.version("model"), pipeline.run("train")

    nodes = pipeline.graph().nodes

    assert nodes["model:v0"] == {
        "kind": "version",
        "label": "model:v0",
        "type": "model",
        "artifact": "model",
        "number": 0,
        "digest": str(version.digest),
        "size": 5,
        "aliases": ["best", "latest"],
        "created_at": version.record.created_at,
        "deleted": False,
    }
    assert nodes["train"] == {
        "kind": "run",
        "label": "trainer",
        "type": "train",
        "job_type": "train",
        "status": "finished",
        "started_at": run.record.started_at,
        "deleted": False,
    }


def test_graph_edges_say_what_they_are(pipeline: Project) -> None:
    """A consumed edge has the role it was given or None, a produced edge only its kind."""
    edges = pipeline.graph().edges

    assert edges["data:v0", "train"] == {"kind": "consumed", "use_as": "training set"}
    assert edges["data:v0", "eval"] == {"kind": "consumed", "use_as": None}
    assert edges["train", "model:v0"] == {"kind": "produced"}


def test_graph_of_a_run_without_job_type_has_an_empty_type(project: Project) -> None:
    """What writes graphs to files takes texts, so a missing job type is an empty one."""
    project.start_run(id="plain").finish()

    found = project.graph().nodes["plain"]

    assert (found["type"], found["job_type"]) == ("", "")


def test_graph_marks_what_was_deleted(pipeline: Project) -> None:
    """Deleted nodes stay with their edges, and say so."""
    pipeline.version("model").delete(delete_aliases=True)
    pipeline.run("train").delete()

    found = pipeline.graph()

    assert sorted(found.edges) == EDGES
    assert [name for name in sorted(found) if found.nodes[name]["deleted"]] == ["model:v0", "train"]


def test_graph_of_a_run_whose_process_is_gone_says_crashed(project: Project) -> None:
    """The graph gives a run the status that the run itself has."""
    program = "import lineage, os; lineage.open('p.lineage').start_run(id='dead'); os._exit(1)"
    subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": ROOT})

    found = project.graph()

    assert (project.run("dead").status, found.nodes["dead"]["status"]) == ("crashed", "crashed")


def test_graph_collapsed_by_type_merges_and_counts(pipeline: Project) -> None:
    """Versions become their types, runs their job types, and edges say how many they stand for."""
    found = pipeline.graph(collapse="type")

    assert found.graph == {"project": "p", "collapse": "type"}
    assert {name: found.nodes[name] for name in found} == {
        "type:dataset": {"kind": "type", "label": "dataset", "type": "dataset", "count": 2},
        "type:model": {"kind": "type", "label": "model", "type": "model", "count": 1},
        "type:report": {"kind": "type", "label": "report", "type": "report", "count": 1},
        "job_type:load": {"kind": "job_type", "label": "load", "type": "load", "count": 1},
        "job_type:prep": {"kind": "job_type", "label": "prep", "type": "prep", "count": 1},
        "job_type:train": {"kind": "job_type", "label": "train", "type": "train", "count": 1},
        "job_type:eval": {"kind": "job_type", "label": "eval", "type": "eval", "count": 1},
    }
    assert found.edges["job_type:train", "type:model"] == {"kind": "produced", "count": 1}
    assert found.edges["type:dataset", "job_type:prep"] == {"kind": "consumed", "count": 1}


def test_graph_collapsed_says_which_runs_have_no_job_type(project: Project) -> None:
    """They are one node, whose label is not empty."""
    for _ in range(2):
        with project.start_run():
            pass

    found = project.graph(collapse="type")

    assert dict(found.nodes) == {"job_type:": {"kind": "job_type", "label": "no job type", "type": "", "count": 2}}


def test_graph_collapsed_by_name_merges_the_versions_of_an_artifact(project: Project) -> None:
    """Fine-tuning under one name becomes a cycle of an artifact and a job type, with counts."""
    log(project, "m", "0", type="model")
    for content in ("1", "2"):
        with project.start_run("tune", use="m") as run:
            log(run, "m", content, type="model")

    found = project.graph(collapse="name")

    assert {name: found.nodes[name] for name in found} == {
        "artifact:m": {"kind": "artifact", "label": "m", "type": "model", "count": 3},
        "job_type:tune": {"kind": "job_type", "label": "tune", "type": "tune", "count": 2},
    }
    assert list(found.edges(data=True)) == [
        ("artifact:m", "job_type:tune", {"kind": "consumed", "count": 2}),
        ("job_type:tune", "artifact:m", {"kind": "produced", "count": 2}),
    ]


@pytest.mark.parametrize(
    "words",
    [{"direction": "left"}, {"direction": None}, {"collapse": "day"}, {"depth": -1}],
    ids=["direction", "no-direction", "collapse", "depth"],
)
def test_graph_with_a_wrong_keyword_is_refused(pipeline: Project, words: dict[str, Any]) -> None:
    """A wrong direction, depth or way to collapse is refused, whether or not there is a node to begin at."""
    for nodes in ((), ("model",)):
        with pytest.raises(InvalidInputError, match=r"direction|collapse|depth"):
            pipeline.graph(*nodes, **words)


# --- search ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("judge", [("version", "report:v0", "report", "description"), ("run", "eval", "judge", "name")]),
        ("JUDGED hand", [("run", "eval", "judge", "notes")]),
        ("hand judged", [("run", "eval", "judge", "notes")]),
        ("raw", [("artifact", "raw", "raw", "name")]),
        ("loader", [("run", "load", "loader", "name")]),
        ("nothing of this", []),
        ("%", []),
    ],
)
def test_search_gives_what_holds_every_word(
    pipeline: Project, text: str, expected: list[tuple[str, str, str, str]]
) -> None:
    """Every word must be in one text, in any case and order; names, notes and descriptions are looked at."""
    found = [(hit.kind, hit.id, hit.name, hit.field) for hit in pipeline.search(text)]

    # a run's notes and name are of one time, so that their order says nothing
    assert [hit for hit in found if hit in expected] == expected
    assert {hit for hit in found if hit[3] != "notes"} <= set(expected)


def test_search_in_the_words_about_an_artifact_gives_them(pipeline: Project) -> None:
    """A hit has the text in which the words are."""
    pipeline.update_artifact("model", description="Straße und Größe")

    (found,) = pipeline.search("STRASSE")

    assert (found.kind, found.field, found.text) == ("artifact", "description", "Straße und Größe")


def test_search_gives_the_newest_first_and_as_many_as_asked(project: Project) -> None:
    """The limit cuts off the oldest."""
    for id_ in ("one", "two", "three"):
        project.start_run(id=id_, name="same").finish()

    assert ids(project.search("same")) == ["three", "two", "one"]
    assert ids(project.search("same", limit=2)) == ["three", "two"]
    assert project.search("same", limit=0) == []
    assert len(project.search("same", limit=10**30)) == 3


def test_search_passes_over_what_was_deleted(pipeline: Project) -> None:
    """Deleted runs, versions and artifacts are not found."""
    pipeline.run("eval").delete()
    pipeline.delete_artifact("report")

    assert pipeline.search("judge") == []
    assert pipeline.search("report") == []


@pytest.mark.parametrize("text", ["", "  \n"], ids=["empty", "blank"])
def test_search_without_a_word_is_refused(pipeline: Project, text: str) -> None:
    """Nothing to look for is a mistake, not everything."""
    with refused(pipeline, InvalidInputError, "give at least one word"):
        pipeline.search(text)


def test_search_with_a_bad_limit_is_refused(pipeline: Project) -> None:
    """A limit is a whole number, 0 or more."""
    with refused(pipeline, InvalidInputError, "limit -1"):
        pipeline.search("judge", limit=-1)


# --- whereis ---


def test_whereis_of_a_file_gives_every_place_of_its_bytes(project: Project, tmp_path: Path) -> None:
    """The same bytes are found under every path of every live version, by artifact, number and path."""
    made = draft("b", {"x/y.txt": "same", "z.txt": "same", "other.txt": "other"})
    project.log_artifact(made)
    log(project, "a", "same")
    file = tmp_path / "local.txt"
    file.write_text("same")
    digest = project.version("a").entry("file.txt").digest

    found = project.whereis(file)

    assert digest is not None
    assert found == [
        Location("a:v0", "file.txt", digest, 4),
        Location("b:v0", "x/y.txt", digest, 4),
        Location("b:v0", "z.txt", digest, 4),
    ]
    assert project.whereis(str(file)) == project.whereis(digest) == found


def test_whereis_passes_over_deleted_versions(project: Project, tmp_path: Path) -> None:
    """A deleted version holds nothing any more."""
    log(project, "a", "same").delete(delete_aliases=True)
    (tmp_path / "local.txt").write_text("same")

    assert project.whereis(tmp_path / "local.txt") == []


def test_whereis_of_unknown_bytes_is_nowhere(project: Project, tmp_path: Path) -> None:
    """Bytes that no version holds, and a digest that nothing has, are nowhere."""
    (tmp_path / "local.txt").write_text("new")

    assert project.whereis(tmp_path / "local.txt") == []
    assert project.whereis("0" * 64) == []


@pytest.mark.parametrize("digits", [8, 16, 63])
def test_whereis_of_the_beginning_of_a_digest_finds_the_bytes(project: Project, digits: int) -> None:
    """So many digits as people are shown are enough."""
    log(project, "a", "same")
    digest = project.version("a").entry("file.txt").digest
    assert digest is not None

    assert [one.reference for one in project.whereis(digest[:digits])] == ["a:v0"]
    assert project.whereis("0" * digits) == []


TWINS = {"a": "41092", "b": "52490"}
"""Texts whose digests begin with the same 8 digits."""


def test_whereis_of_the_beginning_of_several_digests_is_refused(project: Project) -> None:
    """It lists them, so that one can be told from the other."""
    one, other = (log(project, name, text).entry("file.txt").digest for name, text in TWINS.items())
    assert one is not None
    assert other is not None
    assert one[:8] == other[:8]

    with refused(project, InvalidInputError, f"{one[:8]!r} begins several digests", ErrorKind.REFERENCE_AMBIGUOUS):
        project.whereis(one[:8])
    assert [place.reference for place in project.whereis(other[:16])] == ["b:v0"]


def test_whereis_of_a_file_called_as_a_digest_reads_the_file(project: Project, tmp_path: Path) -> None:
    """A file that is there counts before the digest its name could be."""
    log(project, "a", "same")
    (tmp_path / ("0" * 64)).write_text("same")

    assert [one.reference for one in project.whereis("0" * 64)] == ["a:v0"]


@pytest.mark.parametrize("what", ["nowhere.txt", "Z" * 64, "", 5], ids=["missing", "no-digest", "empty", "number"])
def test_whereis_of_neither_file_nor_digest_is_refused(project: Project, what: Any) -> None:
    """What is no file and no digest is a mistake."""
    with refused(project, InvalidInputError, "."):
        project.whereis(what)


# --- sql ---


def test_sql_over_each_view_gives_dicts(pipeline: Project) -> None:
    """The documented views answer; a row is a dict by column."""
    found = pipeline.sql("SELECT source, target, use_as FROM edges WHERE kind = 'consumed' ORDER BY source, target")

    assert found == [
        {"source": "data:v0", "target": "eval", "use_as": None},
        {"source": "data:v0", "target": "train", "use_as": "training set"},
        {"source": "model:v0", "target": "eval", "use_as": None},
        {"source": "raw:v0", "target": "prep", "use_as": None},
    ]


@pytest.mark.parametrize("parameters", [("train",), {"id": "train"}], ids=["by-place", "by-name"])
def test_sql_with_parameters_binds_them(pipeline: Project, parameters: Any) -> None:
    """Values go in by place or by name."""
    mark = "?" if isinstance(parameters, tuple) else ":id"

    assert pipeline.sql("SELECT name FROM runs WHERE id = " + mark, parameters) == [{"name": "trainer"}]


def test_sql_with_a_recursive_select_is_let_through(project: Project) -> None:
    """A recursive common table only reads."""
    query = "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3) SELECT n FROM c"

    assert project.sql(query) == [{"n": 1}, {"n": 2}, {"n": 3}]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("DELETE FROM run", "not authorized; only one SELECT"),
        ("UPDATE run SET name = 'x'", "not authorized"),
        ("INSERT INTO run DEFAULT VALUES", "not authorized"),
        ("CREATE TEMP TABLE t (a)", "not authorized"),
        ("DROP VIEW runs", "not authorized"),
        ("PRAGMA user_version = 7", "not authorized"),
        ("SELECT * FROM pragma_table_info('run')", "not authorized"),
        ("ATTACH 'other.db' AS other", "not authorized"),
        ("SELECT load_extension('x')", "not authorized"),
        ("BEGIN", "not authorized"),
        ("COMMIT", "not authorized"),
        ("SAVEPOINT a", "not authorized"),
        ("VACUUM", "VACUUM"),
        ("SELECT 1 AS a; SELECT 2 AS a", "one statement"),
        ("SELEC 1", "syntax error"),
        ("SELECT * FROM nowhere", "no such table: nowhere"),
        ("SELECT nowhere FROM runs", "no such column: nowhere"),
        ("", "there is no SELECT in it"),
        ("-- a comment", "there is no SELECT in it"),
        ("SELECT 1 AS a, 2 AS b, 3 AS a", "two columns are called 'a'"),
        ("SELECT ? AS a", "binding"),
        ("SELECT json_extract('{', '$.a') AS a", "malformed JSON"),
    ],
)
@pytest.mark.parametrize("batched", [False, True], ids=["alone", "in-a-batch"])
def test_sql_of_what_is_no_select_is_refused(pipeline: Project, query: str, message: str, batched: bool) -> None:
    """Nothing but one SELECT that makes sense is let through, also where a batch could write."""

    def ask() -> None:
        with pytest.raises(InvalidInputError, match=message) as caught:
            pipeline.sql(query)
        assert caught.value.kind == ErrorKind.SQL_INVALID

    with unchanged(pipeline):
        if batched:
            with pipeline.batch():
                ask()
        else:
            ask()


@pytest.mark.parametrize(
    "parameters",
    [(object(),), (2**70,), ("\ud800",), 5, None, {"b": 1}],
    ids=["object", "too-large", "surrogate", "number", "none", "other-name"],
)
def test_sql_with_parameters_that_do_not_fit_is_refused(project: Project, parameters: Any) -> None:
    """A value that SQLite cannot hold, or that is missing, is refused."""
    with pytest.raises(InvalidInputError) as caught:
        project.sql("SELECT :a AS a", parameters)

    assert caught.value.kind == ErrorKind.SQL_INVALID


def test_sql_in_a_batch_sees_what_the_batch_wrote_and_lets_it_go_on(project: Project) -> None:
    """A question in a batch answers from the batch's state, and the batch writes on after it."""
    with project.batch():
        log(project, "m", "0")
        seen = project.sql("SELECT reference FROM versions")
        log(project, "m", "1")

    assert seen == [{"reference": "m:v0"}]
    assert references(project.versions()) == ["m:v0", "m:v1"]


# --- db ---


def test_db_gives_sqlite_utils_over_the_project(pipeline: Project) -> None:
    """The views are views of a sqlite-utils database."""
    with pipeline.db() as db:
        count, names = db["runs"].count, set(db.view_names())

    assert count == 4
    assert {"runs", "artifacts", "versions", "edges", "files", "aliases", "alias_history"} <= names


@pytest.mark.parametrize("batched", [False, True], ids=["alone", "in-a-batch"])
def test_db_that_writes_is_refused(pipeline: Project, batched: bool) -> None:
    """It only reads, also where it shares the connection of a batch."""

    def write() -> None:
        with pytest.raises(ReadOnlyError), pipeline.db() as db:
            db.execute("DELETE FROM run")

    with unchanged(pipeline):
        if batched:
            with pipeline.batch():
                write()
        else:
            write()


def test_db_in_a_batch_lets_the_batch_write_on(project: Project) -> None:
    """What the block forbade is allowed again after it."""
    with project.batch():
        with project.db() as db:
            count = db["runs"].count
        log(project, "m")

    assert (count, references(project.versions())) == (0, ["m:v0"])


def test_db_with_wrong_sql_says_so(project: Project) -> None:
    """An error of the SQL is an error of lineage."""
    with pytest.raises(InvalidInputError, match="no such table: nowhere"), project.db() as db:
        db.execute("SELECT * FROM nowhere")


# --- batch and snapshot ---


def test_batch_that_ends_well_is_there(project: Project) -> None:
    """All calls of a batch are one transaction, which another reader sees at its end."""
    other = lineage.open(project.file)

    with project.batch():
        log(project, "m", "0")
        before = elsewhere(lambda: len(other.versions()))
        with project.start_run(id="r", use="m"):
            pass

    assert before == 0
    assert (references(other.versions()), ids(other.runs())) == (["m:v0"], ["r"])


def test_batch_that_raises_leaves_nothing(pipeline: Project) -> None:
    """An error that leaves the block undoes all of it, and goes on."""
    with pytest.raises(KeyError, match="mine"), unchanged(pipeline), pipeline.batch():
        log(pipeline, "raw", "raw")
        pipeline.run("train").update(name="other")
        pipeline.version("model").add_alias("worst")
        raise KeyError("mine")


def test_batch_whose_call_failed_keeps_the_others(project: Project) -> None:
    """A call that fails leaves nothing of itself, and the batch goes on."""
    with project.batch():
        log(project, "m", "0")
        with pytest.raises(InvalidInputError):
            log(project, "m", "1", type="model")
        log(project, "m", "2")

    assert references(project.versions()) == ["m:v0", "m:v1"]


def test_batch_in_a_batch_is_undone_alone(project: Project) -> None:
    """The inner of two batches is undone alone if its error stays inside the outer one."""
    with project.batch():
        log(project, "a")
        with pytest.raises(KeyError), project.batch():
            log(project, "b")
            raise KeyError
        log(project, "c")

    assert references(project.versions(order="name")) == ["a:v0", "c:v0"]


def test_batch_lets_errors_of_other_databases_pass(project: Project) -> None:
    """What another database of the caller raises is not an error of the project."""
    with pytest.raises(sqlite3.OperationalError, match="nowhere"), project.batch():
        sqlite3.connect(":memory:").execute("SELECT * FROM nowhere")


def _undo(project: Project, make: Callable[[], Any]) -> Any:
    """Make something in a batch that is undone."""
    made = []
    with pytest.raises(KeyError), project.batch():
        made.append(make())
        raise KeyError
    return made[0]


@pytest.mark.parametrize(
    "ask",
    [
        lambda _, version: version.ancestors(),
        lambda _, version: version.descendants(),
        lambda _, version: version.graph(),
        lambda _, version: version.logged_by(),
        lambda _, version: version.used_by(),
        lambda _, version: version.reproduced_by(),
        lambda _, version: version.files(),
        lambda project, version: project.ancestors(version),
        lambda project, version: project.depends_on("user", version),
        lambda project, version: project.path(version, "user"),
        lambda project, version: project.common_ancestors(version, "user"),
        lambda project, version: project.graph(version),
        lambda project, version: project.diff(version, "other"),
        lambda project, version: project.runs(consumed=version),
        lambda project, version: version.diff(project.version("other")),
    ],
    ids=[
        "ancestors",
        "descendants",
        "graph",
        "logged_by",
        "used_by",
        "reproduced_by",
        "files",
        "project.ancestors",
        "depends_on",
        "path",
        "common_ancestors",
        "project.graph",
        "project.diff",
        "runs",
        "diff",
    ],
)
def test_version_of_an_undone_batch_never_answers_for_another(project: Project, ask: Callable[..., Any]) -> None:
    """The row of a version that never came to be is given to the next one: asking the old handle is refused."""
    gone = _undo(project, lambda: log(project, "gone"))
    with project.start_run(id="maker") as run:
        log(run, "other", "other")
    with project.start_run(id="user", use="other"):
        pass

    with refused(project, NotFoundError, "gone:v0 was logged in a batch that was undone", ErrorKind.VERSION_NOT_FOUND):
        ask(project, gone)


@pytest.mark.parametrize(
    "ask",
    [
        lambda _, run: run.ancestors(),
        lambda _, run: run.descendants(),
        lambda _, run: run.graph(),
        lambda _, run: run.used_artifacts(),
        lambda _, run: run.logged_artifacts(),
        lambda _, run: run.reproduced(),
        lambda _, run: run.history(),
        lambda project, run: project.descendants(run),
    ],
    ids=["ancestors", "descendants", "graph", "used", "logged", "reproduced", "history", "project.descendants"],
)
def test_run_of_an_undone_batch_never_answers_for_another(project: Project, ask: Callable[..., Any]) -> None:
    """The row of a run that never came to be is given to the next one: asking the old handle is refused."""

    def make() -> lineage.Run:
        project.start_run(id="gone").finish()
        return project.run("gone")

    gone = _undo(project, make)
    log(project, "data")
    with project.start_run(id="next", use="data") as run:
        run.log({"loss": 1})
        log(run, "other", "other")

    with refused(project, NotFoundError, "run 'gone' was started in a batch that was undone", ErrorKind.RUN_NOT_FOUND):
        ask(project, gone)


def test_snapshot_answers_from_one_state(project: Project) -> None:
    """Questions in the block agree with each other."""
    log(project, "m")

    with project.snapshot():
        found = (len(project.versions()), project.version("m").reference, project.types())

    assert found == (1, "m:v0", ["dataset"])


def test_snapshot_in_which_one_writes_is_refused(project: Project) -> None:
    """A snapshot only reads, and is good for reading after the refusal."""
    log(project, "m")

    with project.snapshot():
        with pytest.raises(StateError, match="a snapshot only reads"):
            project.version("m").add_alias("best")
        found = project.version("m").aliases

    assert found == ("latest",)


# --- listings ---


@pytest.fixture
def five(project: Project) -> lineage.Listing[lineage.Run]:
    """The list of five runs, r0 to r4."""
    with project.batch():
        for number in range(5):
            project.start_run(id=f"r{number}", name="run").finish()
    return project.runs()


def test_listing_has_a_length_and_items_from_both_ends(five: lineage.Listing[lineage.Run]) -> None:
    """It counts from the front and, with negative numbers, from the back."""
    assert (len(five), five[0].id, five[4].id, five[-1].id, five[-5].id) == (5, "r0", "r4", "r4", "r0")


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (slice(None), ["r0", "r1", "r2", "r3", "r4"]),
        (slice(1, 3), ["r1", "r2"]),
        (slice(-2, None), ["r3", "r4"]),
        (slice(None, None, -2), ["r4", "r2", "r0"]),
        (slice(3, 99), ["r3", "r4"]),
        (slice(4, 2), []),
    ],
    ids=["all", "middle", "end", "backwards", "beyond", "empty"],
)
def test_listing_sliced_is_a_listing(five: lineage.Listing[lineage.Run], part: slice, expected: list[str]) -> None:
    """A slice has the items that a list's would have, and is as lazy."""
    found = five[part]

    assert isinstance(found, lineage.Listing)
    assert (len(found), ids(found)) == (len(expected), expected)


@pytest.mark.parametrize("index", [5, -6])
def test_listing_beyond_its_ends_raises_what_a_list_raises(five: lineage.Listing[lineage.Run], index: int) -> None:
    """An index out of range is an IndexError, so that whatever takes sequences takes it."""
    with pytest.raises(IndexError):
        five[index]


def test_listing_iterates_each_way(five: lineage.Listing[lineage.Run]) -> None:
    """It can be gone through twice, backwards, and asked for what is in it."""
    assert ids(five) == ids(five) == ["r0", "r1", "r2", "r3", "r4"]
    assert ids(reversed(five)) == ["r4", "r3", "r2", "r1", "r0"]
    assert five[2] in five
    assert five.index(five[3]) == 3


def test_listing_longer_than_a_page_gives_every_item(project: Project) -> None:
    """Items are fetched 500 together, and none is lost between the pages."""
    with project.batch():
        for number in range(501):
            project.start_run(id=f"r{number:03}", name="run").finish()

    found = ids(project.runs())

    assert (len(found), found[0], found[499:]) == (501, "r000", ["r499", "r500"])


def test_listing_stays_as_it_was_first_looked_at(project: Project, five: lineage.Listing[lineage.Run]) -> None:
    """What is new comes with a new question; a look at it decides, not the making."""
    project.start_run(id="before").finish()
    seen = len(five)
    project.start_run(id="after").finish()

    assert (seen, len(five), len(project.runs())) == (6, 6, 7)


def test_listing_shows_its_first_items(project: Project, five: lineage.Listing[lineage.Run]) -> None:
    """A long list says how long it is and shows three; an empty one says so."""
    shown = "<Run run r0 (no job type, finished)>, <Run run r1 (no job type, finished)>"

    assert repr(five) == f"<Listing of 5: {shown}, <Run run r2 (no job type, finished)>, …>"
    assert repr(five[:2]) == f"<Listing of 2: {shown}>"
    assert repr(project.versions()) == "<Listing of 0: >"


def test_update_artifact_of_the_type_is_that_of_all_versions(project: lineage.Project) -> None:
    """A name that was given a wrong type need not keep it; what is not given stays."""
    project.log_artifact(draft("m", {"a": "1"}, type="unspecified"))
    project.update_artifact("m", description="words")

    record = project.update_artifact("m", type="model")

    assert (record.type, record.description) == ("model", "words")
    assert project.version("m:v0").type == "model"
    assert project.log_artifact(draft("m", {"a": "2"}, type="model")).reference == "m:v1"


def test_update_artifact_with_a_bad_type_changes_nothing(project: lineage.Project) -> None:
    """A type is one line of a table."""
    project.log_artifact(draft("m", {"a": "1"}, type="model"))

    with pytest.raises(lineage.InvalidInputError, match="artifact type"):
        project.update_artifact("m", description="words", type="")

    assert (project.artifact("m").type, project.artifact("m").description) == ("model", None)


def test_versions_of_a_collection_are_asked_for_what_they_stand_for(project: lineage.Project) -> None:
    """A link has the tags, metadata and description of its source, in a filter as in what it shows."""
    source = project.log_artifact(draft("m", {"a": "1"}, type="model", metadata={"iou": 0.7}), tags=["pruned"])
    source.update(description="the small one")
    project.link(source, "Best models")
    conditions: list[dict[str, object]] = [
        {"metadata.iou": {"$gt": 0.5}},
        {"tags": "pruned"},
        {"description": "the small one"},
    ]

    found = [[version.reference for version in project.versions(one)] for one in conditions]

    assert found == [["m:v0", "Best models:v0"]] * 3
    assert [one.reference for one in project.versions({"tags": "other"}, artifact="Best models")] == []


def test_versions_of_another_project_keep_their_tags_as_they_were(project: lineage.Project) -> None:
    """A link to a version of another project is found by the tags it had when it was linked."""
    source = lineage.open("other.lineage").log_artifact(draft("m", {"a": "1"}, type="model"), tags=["pruned"])

    link = project.link(source, "Best models")

    assert link.tags == ("pruned",)
    assert list(project.versions({"tags": "pruned", "link_to": {"$exists": True}})) == [link]
