"""Edges: what a run uses, what is recorded from outside, what was reproduced, and that no cycle comes of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import draft
from footprint import refused, unchanged

import lineage
from lineage import (
    CycleError,
    ErrorKind,
    InvalidInputError,
    NotFoundError,
    Project,
    ReadOnlyError,
    Reference,
    StateError,
)


def log(where: Project | lineage.ActiveRun, name: str, content: str = "x", **words: Any) -> lineage.Version:
    """Log one file of this content as a version of an artifact."""
    type_, metadata = words.pop("type", "dataset"), words.pop("metadata", None)
    made = draft(name, {"file": content}, type=type_, metadata=metadata)
    version: lineage.Version | None = where.log_artifact(made, **words)
    assert version is not None
    return version


def edges(project: Project) -> list[tuple[str, str]]:
    """Return every edge, from and to."""
    return [(row["source"], row["target"]) for row in project.sql("SELECT source, target FROM edges ORDER BY 1, 2")]


@pytest.fixture
def chain(project: Project) -> Project:
    """r1 -> a:v0 -> r2 -> b:v0 -> r3 -> c:v0, all runs finished."""
    with project.batch():
        with project.start_run(id="r1") as run:
            log(run, "a")
        with project.start_run(id="r2", use="a") as run:
            log(run, "b")
        with project.start_run(id="r3", use="b") as run:
            log(run, "c")
    return project


# --- use_artifact ---


def test_use_artifact_gives_the_version_and_writes_the_edge(project: Project) -> None:
    """The run consumes it from then on, seen from both sides and by everybody."""
    log(project, "data")
    with project.start_run(id="r") as run:
        version = run.use_artifact("data:latest")

        assert version == project.version("data:v0")
        assert edges(lineage.open(project.file)) == [("data:v0", "r")]
        assert [one.id for one in version.used_by()] == ["r"]
        assert [one.reference for one in run.used_artifacts()] == ["data:v0"]


@pytest.mark.parametrize("form", ["name", "alias", "number", "digest", "Reference", "Version"])
def test_use_artifact_takes_each_form_of_a_version(project: Project, form: str) -> None:
    """Whatever names a version can be used."""
    version = log(project, "data", aliases=["good"])
    forms: dict[str, str | Reference | lineage.Version] = {
        "name": "data",
        "alias": "data:good",
        "number": "data:v0",
        "digest": f"data@{version.digest[:8]}",
        "Reference": Reference("data"),
        "Version": version,
    }

    with project.start_run(id="r") as run:
        used = run.use_artifact(forms[form])

    assert (used, edges(project)) == (version, [("data:v0", "r")])


def test_use_artifact_of_a_name_uses_what_is_newest_then(project: Project) -> None:
    """A later version changes nothing about what was used."""
    log(project, "data", "0")
    with project.start_run(id="r") as run:
        run.use_artifact("data")
        log(project, "data", "1")

    assert [version.reference for version in project.run("r").used_artifacts()] == ["data:v0"]


def test_use_artifact_twice_is_one_edge(project: Project) -> None:
    """Saying it again changes nothing."""
    log(project, "data")
    with project.start_run(id="r") as run:
        run.use_artifact("data")

        with unchanged(project):
            run.use_artifact("data:v0")

    assert edges(project) == [("data:v0", "r")]


def use_as_of(project: Project) -> list[str | None]:
    """Return the roles of all consumed edges."""
    return [row["use_as"] for row in project.sql("SELECT use_as FROM edges WHERE kind = 'consumed'")]


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        ([None], None),
        (["training set"], "training set"),
        ([None, "training set"], "training set"),
        (["training set", None], "training set"),
        (["training set", "test set"], "test set"),
    ],
    ids=["none", "one", "later", "kept", "replaced"],
)
def test_use_artifact_with_use_as_keeps_the_last_role(
    project: Project, roles: list[str | None], expected: str | None
) -> None:
    """The role is on the edge; what says none takes none away."""
    log(project, "data")

    with project.start_run() as run:
        for role in roles:
            run.use_artifact("data", use_as=role)

    assert use_as_of(project) == [expected]


@pytest.mark.parametrize("role", ["", "a\nb", "x" * 1000, 5], ids=["empty", "line-break", "long", "number"])
def test_use_artifact_with_a_bad_role_is_refused(project: Project, role: Any) -> None:
    """A role is one line of text."""
    log(project, "data")
    with project.start_run() as run, refused(project, InvalidInputError, "use_as"):
        run.use_artifact("data", use_as=role)


def test_use_artifact_of_the_type_it_must_have_is_let_through(project: Project) -> None:
    """A type that fits is no obstacle."""
    log(project, "iv3", type="model")

    with project.start_run(id="r") as run:
        run.use_artifact("iv3", type="model")

    assert edges(project) == [("iv3:v0", "r")]


def test_use_artifact_of_another_type_is_refused(project: Project) -> None:
    """What is not what the program expects is not used; the message has both types."""
    log(project, "data")
    message = "data:v0 has type 'dataset', not 'model'"

    with project.start_run() as run, refused(project, InvalidInputError, message, ErrorKind.TYPE_CLASH):
        run.use_artifact("data", type="model")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("nothing", ErrorKind.ARTIFACT_NOT_FOUND),
        ("data:v7", ErrorKind.VERSION_NOT_FOUND),
        ("data:best", ErrorKind.ALIAS_NOT_FOUND),
    ],
    ids=["artifact", "number", "alias"],
)
def test_use_artifact_that_is_not_there_is_not_found(project: Project, text: str, kind: ErrorKind) -> None:
    """The error tells what is missing, and no edge is written."""
    log(project, "data")
    with project.start_run() as run, refused(project, NotFoundError, "no (artifact|version)", kind):
        run.use_artifact(text)


def test_use_artifact_that_was_deleted_is_refused(project: Project) -> None:
    """Nobody can use content that is gone, neither by its number nor by a handle from before."""
    version = log(project, "data")
    version.delete(delete_aliases=True)
    with project.start_run() as run:
        for form in ("data:v0", version):
            with refused(project, NotFoundError, "data:v0 was deleted", ErrorKind.VERSION_DELETED):
                run.use_artifact(form)


def test_use_artifact_of_another_project_takes_over_its_node(project: Project, tmp_path: Path) -> None:
    """A handle of another project is an input like any other, named by its project, and comes back as it was given."""
    stranger = log(lineage.open(tmp_path / "other.lineage"), "data")
    log(project, "data")

    with project.start_run(id="r") as run:
        used = run.use_artifact(stranger)

    assert used is stranger
    assert edges(project) == [("other/data:v0", "r")]


def test_use_artifact_of_a_handle_from_before_a_rename_is_its_version(project: Project) -> None:
    """A handle keeps meaning its version, whatever its artifact is called by now."""
    version = log(project, "data")
    project.rename_artifact("data", "set")

    with project.start_run(id="r") as run:
        used = run.use_artifact(version)

    assert (used.reference, edges(project)) == ("set:v0", [("set:v0", "r")])


def test_use_artifact_in_a_finished_run_is_refused(project: Project) -> None:
    """What is over uses nothing, neither a version nor a draft."""
    log(project, "data")
    with project.start_run() as run:
        pass
    made = draft("new", {"file": "x"})

    for what in ("data", made):
        with refused(project, StateError, "has finished", ErrorKind.RUN_FINISHED):
            run.use_artifact(what)


def test_use_artifact_in_a_read_only_project_is_refused(project: Project) -> None:
    """No edge without writing."""
    log(project, "data")
    project.start_run(id="r").finish()
    reader = lineage.open(project.file, read_only=True)

    with refused(project, ReadOnlyError, "reading only"):
        reader.record("r", consumed="data")


# --- what the run itself made ---


def test_use_artifact_of_its_own_output_gives_it_without_an_edge(project: Project) -> None:
    """A run may read back what it logged; that makes no cycle and no edge."""
    with project.start_run(id="r") as run:
        made = log(run, "data")

        used = run.use_artifact("data", use_as="itself")

    assert (used, edges(project)) == (made, [("r", "data:v0")])


def test_use_artifact_of_its_own_old_output_by_alias_is_its_own(project: Project) -> None:
    """Which of its versions an alias names does not matter."""
    with project.start_run(id="r") as run:
        log(run, "data", "0", aliases=["first"])
        log(run, "data", "1")

        used = run.use_artifact("data:first")

    assert used.reference == "data:v0"
    assert edges(project) == [("r", "data:v0"), ("r", "data:v1")]


# --- cycles ---


def test_use_artifact_that_closes_a_cycle_names_the_whole_cycle(project: Project) -> None:
    """Using what came of one's own output is refused; the cycle is in the order of its edges, from the run on."""
    with project.start_run(id="r1") as first:
        log(first, "a")
        with project.start_run(id="r2", use="a") as second:
            log(second, "b")

        with unchanged(project), pytest.raises(CycleError) as caught:
            first.use_artifact("b")

    assert caught.value.cycle == ("r1", "a:v0", "r2", "b:v0")
    assert str(caught.value) == (
        "the edge b:v0 -> r1 would close the cycle r1 -> a:v0 -> r2 -> b:v0 -> r1; "
        "leave it out, or log under another name"
    )
    assert caught.value.kind == ErrorKind.CYCLE
    assert edges(project) == [("a:v0", "r2"), ("r1", "a:v0"), ("r2", "b:v0")]


def test_record_that_closes_a_longer_cycle_names_the_whole_cycle(chain: Project) -> None:
    """Six nodes are in the cycle of a chain whose end its beginning uses."""
    with unchanged(chain), pytest.raises(CycleError) as caught:
        chain.record("r1", consumed="c")

    assert caught.value.cycle == ("r1", "a:v0", "r2", "b:v0", "r3", "c:v0")


def test_record_of_a_product_that_closes_a_cycle_names_the_whole_cycle(chain: Project) -> None:
    """A run cannot have made what its input came from."""
    log(chain, "zero")
    chain.record("r1", consumed="zero")

    with unchanged(chain), pytest.raises(CycleError) as caught:
        chain.record("r3", produced="zero")

    assert caught.value.cycle == ("zero:v0", "r1", "a:v0", "r2", "b:v0", "r3")


def test_record_of_one_version_as_input_and_output_is_a_cycle(chain: Project) -> None:
    """The shortest cycle has a run and a version, and nothing of the call stays."""
    log(chain, "both")

    with unchanged(chain), pytest.raises(CycleError) as caught:
        chain.record("r1", consumed="both", produced="both")

    assert caught.value.cycle == ("both:v0", "r1")


def test_start_run_resumed_to_use_its_descendant_is_a_cycle(chain: Project) -> None:
    """A resumed run is refused as well, and stays finished."""
    with unchanged(chain), pytest.raises(CycleError) as caught:
        chain.start_run(id="r2", resume="must", use="c")

    assert caught.value.cycle == ("r2", "b:v0", "r3", "c:v0")


def test_use_artifact_through_a_deleted_node_is_still_a_cycle(chain: Project) -> None:
    """A deleted run and version stay in the lineage, so they close cycles too."""
    chain.run("r2").delete()
    chain.version("a").delete(delete_aliases=True)

    with unchanged(chain), pytest.raises(CycleError) as caught:
        chain.record("r1", consumed="c")

    assert caught.value.cycle == ("r1", "a:v0", "r2", "b:v0", "r3", "c:v0")


# --- drafts ---


def test_use_artifact_of_a_draft_logs_it_without_a_producer(project: Project) -> None:
    """The data came from outside: the run consumes it and no run made it."""
    with project.start_run(id="r") as run:
        used = run.use_artifact(draft("data", {"file": "x"}), use_as="training set", type="dataset")

    assert (used.reference, used.aliases, used.logged_by()) == ("data:v0", ("latest",), None)
    assert (edges(project), use_as_of(project)) == ([("data:v0", "r")], ["training set"])


def test_use_artifact_of_a_draft_of_another_type_logs_nothing(project: Project) -> None:
    """A draft that may not be used is not logged either, and can be used rightly afterwards."""
    made = draft("data", {"file": "x"})
    with project.start_run() as run:
        with pytest.raises(InvalidInputError, match="has type 'dataset', not 'model'"):
            run.use_artifact(made, type="model")
        before = len(project.artifacts())

        run.use_artifact(made, type="dataset")

    assert (before, len(project.versions())) == (0, 1)


def test_use_artifact_of_a_draft_with_known_content_is_the_version_that_holds_it(project: Project) -> None:
    """Content the artifact holds already is that version, whoever made it."""
    with project.start_run(id="maker") as run:
        log(run, "data")

    with project.start_run(id="user") as run:
        used = run.use_artifact(draft("data", {"file": "x"}))

    assert used.reference == "data:v0"
    assert edges(project) == [("data:v0", "user"), ("maker", "data:v0")]


def test_use_artifact_of_a_draft_that_was_logged_is_its_version(project: Project) -> None:
    """A draft that was logged stands for its version: using it moves no alias and warns of nothing."""
    made = draft("data", {"file": "0"})
    project.log_artifact(made)
    log(project, "data", "1")
    history = project.alias_history("data")

    with project.start_run(id="r") as run:
        used = run.use_artifact(made)

    assert (used.reference, edges(project)) == ("data:v0", [("data:v0", "r")])
    assert project.alias_history("data") == history
    assert project.version("data").reference == "data:v1"


def test_use_artifact_of_its_own_logged_draft_writes_no_edge(project: Project) -> None:
    """A draft that the run itself logged comes back as its version."""
    made = draft("data", {"file": "0"})
    with project.start_run(id="r") as run:
        run.log_artifact(made)

        used = run.use_artifact(made)

    assert (used.reference, edges(project)) == ("data:v0", [("r", "data:v0")])


def test_use_artifact_of_a_logged_draft_checks_its_type(project: Project) -> None:
    """What must be a model is one, also when it comes as a draft."""
    made = draft("data", {"file": "0"})
    project.log_artifact(made)

    with project.start_run() as run, refused(project, InvalidInputError, "not 'model'", ErrorKind.TYPE_CLASH):
        run.use_artifact(made, type="model")


def test_use_artifact_of_a_logged_draft_that_was_deleted_is_refused(project: Project) -> None:
    """Its version is gone, and so is what it stands for."""
    made = draft("data", {"file": "0"})
    log(project, "data", "1")
    project.log_artifact(made)
    project.version("data:v1").delete(delete_aliases=True)

    with project.start_run() as run, refused(project, NotFoundError, "was deleted", ErrorKind.VERSION_DELETED):
        run.use_artifact(made)


def test_use_artifact_of_a_draft_logged_into_another_project_is_refused(project: Project, tmp_path: Path) -> None:
    """A draft is logged once, into one project."""
    made = draft("data", {"file": "0"})
    lineage.open(tmp_path / "other.lineage").log_artifact(made)

    with project.start_run() as run, refused(project, StateError, "logged as data:v0 of", ErrorKind.DRAFT_LOGGED):
        run.use_artifact(made)


# --- record ---


def test_record_writes_edges_of_a_finished_run(project: Project) -> None:
    """Tools that keep their own lineage bring it in afterwards, in any form."""
    log(project, "in")
    out = log(project, "out")
    with project.start_run(id="r"):
        pass

    project.record("r", consumed=["in"], produced=[out])

    assert edges(project) == [("in:v0", "r"), ("r", "out:v0")]
    assert out.logged_by() == project.run("r")


@pytest.mark.parametrize(
    "form",
    [lambda run: run.id, lambda run: run.name, lambda run: run, lambda run: run._handle()],
    ids=["id", "name", "ActiveRun", "Run"],
)
def test_record_takes_each_form_of_a_run(project: Project, form: Callable[[lineage.ActiveRun], Any]) -> None:
    """A run by its id, its name, or as what start_run or project.run gave."""
    log(project, "in")
    with project.start_run(id="r", name="by name") as run:
        project.record(form(run), consumed="in")

    assert edges(project) == [("in:v0", "r")]


def test_record_twice_changes_nothing(chain: Project) -> None:
    """An edge that is there stays, a consumed and a produced one."""
    with unchanged(chain):
        chain.record("r2", consumed=["a"], produced=["b"])


def test_record_of_nothing_changes_nothing(chain: Project) -> None:
    """No versions, no edges."""
    with unchanged(chain):
        chain.record("r2")


def test_record_keeps_the_role_of_an_edge(project: Project) -> None:
    """What says no role takes none away."""
    log(project, "in")
    with project.start_run(id="r") as run:
        run.use_artifact("in", use_as="training set")

    project.record("r", consumed="in")

    assert use_as_of(project) == ["training set"]


def test_record_of_another_runs_product_notes_a_reproduction(chain: Project) -> None:
    """A version has one producer; a second run that made it is evidence beside the graph."""
    before = edges(chain)

    chain.record("r3", produced=["a"])

    assert edges(chain) == before
    assert [run.id for run in chain.version("a").reproduced_by()] == ["r3"]
    assert [version.reference for version in chain.run("r3").reproduced()] == ["a:v0"]


def test_record_of_its_own_product_as_input_writes_no_edge(chain: Project) -> None:
    """What a run made is no input of it."""
    with unchanged(chain):
        chain.record("r1", consumed="a")


@pytest.mark.parametrize("word", ["consumed", "produced"])
def test_record_with_one_unknown_version_writes_nothing(chain: Project, word: str) -> None:
    """All edges of a call, or none."""
    log(chain, "new")

    with refused(chain, NotFoundError, "no artifact 'nothing'", ErrorKind.ARTIFACT_NOT_FOUND):
        chain.record("r1", **{word: ["new", "nothing"]})


def test_record_with_a_deleted_version_is_refused(chain: Project) -> None:
    """Edges are written to what is there."""
    log(chain, "gone").delete(delete_aliases=True)

    for word in ("consumed", "produced"):
        with refused(chain, NotFoundError, "gone:v0 was deleted", ErrorKind.VERSION_DELETED):
            chain.record("r1", **{word: "gone:v0"})


def test_record_of_an_unknown_run_is_not_found(chain: Project) -> None:
    """Without the run there is no edge."""
    with refused(chain, NotFoundError, "no run 'r7'", ErrorKind.RUN_NOT_FOUND):
        chain.record("r7", consumed="a")


def test_record_of_a_deleted_run_is_refused(chain: Project) -> None:
    """A deleted run keeps the edges it has and gets no more."""
    chain.run("r3").delete()

    with refused(chain, NotFoundError, "run 'r3' was deleted", ErrorKind.RUN_NOT_FOUND):
        chain.record("r3", consumed="a")


# --- reproduced ---


def test_log_artifact_of_known_content_notes_the_run_as_reproducing(
    chain: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """The version comes back, the run is named beside its producer, no edge is written, and the log says so."""
    before = edges(chain)

    with caplog.at_level(logging.WARNING, "lineage"), chain.start_run(id="again") as run:
        version = log(run, "a", metadata={"iou": 0.5})

    producer = version.logged_by()
    assert producer is not None
    assert (version.reference, producer.id, [one.id for one in version.reproduced_by()]) == ("a:v0", "r1", ["again"])
    assert edges(chain) == before
    assert (run.logged_artifacts(), chain.run("again").reproduced()) == ([], [version])
    assert caplog.messages == ["a:v0 has this content already: no new version of 'a', and latest names it"]
    assert chain.sql("SELECT reference, run, metadata FROM reproductions") == [
        {"reference": "a:v0", "run": "again", "metadata": '{"iou":0.5}'}
    ]
    assert version.metadata == {}


def test_log_artifact_of_its_own_content_again_is_no_reproduction(project: Project) -> None:
    """A run that logs the same twice made it once."""
    with project.start_run(id="r") as run:
        log(run, "a")
        version = log(run, "a")

    assert (version.reproduced_by(), edges(project)) == ([], [("r", "a:v0")])


def test_log_artifact_of_known_content_twice_in_a_run_is_one_reproduction(chain: Project) -> None:
    """The fact is kept once, with the metadata of the last time."""
    with chain.start_run(id="again") as run:
        log(run, "a", metadata={"iou": 0.4})
        log(run, "a", metadata={"iou": 0.5})

    assert chain.sql("SELECT run, metadata FROM reproductions") == [{"run": "again", "metadata": '{"iou":0.5}'}]


def test_log_artifact_of_what_it_consumed_is_a_reproduction_and_no_cycle(chain: Project) -> None:
    """A run that gives back its input unchanged made nothing new, which closes no cycle."""
    before = edges(chain)
    with chain.start_run(id="same") as run:
        run.use_artifact("a")
        log(run, "a")

    assert edges(chain) == sorted([*before, ("a:v0", "same")])
    assert [one.id for one in chain.version("a").reproduced_by()] == ["same"]


def test_log_artifact_by_a_run_of_what_had_no_producer_is_a_reproduction(project: Project) -> None:
    """A version that was there before the run was not produced by it."""
    log(project, "a")

    with project.start_run(id="r") as run:
        version = log(run, "a")

    assert (version.logged_by(), [one.id for one in version.reproduced_by()]) == (None, ["r"])
    assert edges(project) == []


def test_ancestors_go_past_who_reproduced(chain: Project) -> None:
    """A reproduction is no edge: neither upstream nor downstream knows of it."""
    with chain.start_run(id="again", use="c") as run:
        version = log(run, "a")

    assert [node.id for node in version.ancestors()] == ["r1"]
    assert [node.id for node in chain.descendants("again")] == []


def test_log_artifact_forced_has_a_producer_of_its_own(chain: Project) -> None:
    """A version made on purpose is a version, with an edge, and nothing was reproduced."""
    with chain.start_run(id="again") as run:
        version = log(run, "a", force_new_version=True)

    assert version.reference == "a:v1"
    assert ("again", "a:v1") in edges(chain)
    assert chain.version("a:v0").reproduced_by() == []


def test_record_of_a_mapping_keeps_what_versions_were_used_as(chain: Project) -> None:
    """A tool that knows the roles of its inputs writes them with the edges."""
    run = chain.start_run(id="tool")
    run.finish()

    chain.record("tool", consumed={"a:v0": "data", "b:v0": None})

    assert chain.run("tool").used_as() == {"a:v0": "data"}
    assert [version.reference for version in chain.run("tool").used_artifacts()] == ["a:v0", "b:v0"]


def test_record_of_a_role_that_is_no_label_writes_nothing(chain: Project) -> None:
    """A role is one line of a table, as with use_artifact."""
    chain.start_run(id="tool").finish()

    with pytest.raises(lineage.InvalidInputError, match="use_as"):
        chain.record("tool", consumed={"a:v0": "two\nlines"})

    assert chain.run("tool").used_artifacts() == []
