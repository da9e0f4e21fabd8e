"""Deleting versions, artifacts and runs, and renaming: what goes, what stays, what blocks."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing

import pytest

import lineage
from lineage import ConflictError, InvalidInputError, NotFoundError, StateError
from lineage.errors import ErrorKind
from lineage.upkeep import deletion

MakeDraft = Callable[..., lineage.Artifact]


@pytest.fixture
def log(project: lineage.Project) -> Callable[..., lineage.Version]:
    """Log a version of one small file, without a run unless one is given."""

    def log(
        name: str,
        text: str,
        run: lineage.ActiveRun | None = None,
        aliases: Sequence[str] = (),
        tags: Sequence[str] = (),
    ) -> lineage.Version:
        artifact = lineage.Artifact(name, "model")
        with artifact.new_file("a.txt") as file:
            file.write(text)
        return (run or project).log_artifact(artifact, aliases=aliases, tags=tags)

    return log


Log = Callable[..., lineage.Version]


def moves(project: lineage.Project, reference: str) -> list[tuple[str | None, str | None]]:
    """Return the moves of an alias, oldest first, also of a deleted artifact."""
    query = 'SELECT "from", "to" FROM alias_history WHERE name || \':\' || alias = ? ORDER BY at'
    return [(row["from"], row["to"]) for row in project.sql(query, [reference])]


def test_delete_version_that_latest_names_is_refused(project: lineage.Project, log: Log) -> None:
    """Any alias blocks, `latest` too, and the version stays."""
    version = log("m", "one")

    with pytest.raises(ConflictError, match="'latest'") as raised:
        version.delete()

    assert raised.value.kind == ErrorKind.ALIASES_BLOCK
    assert not project.version("m").deleted


def test_delete_version_without_alias_needs_no_word(project: lineage.Project, log: Log) -> None:
    """A version that no alias names goes at once."""
    log("m", "one")
    log("m", "two")

    project.version("m:v0").delete()

    assert [version.reference for version in project.versions(artifact="m")] == ["m:v1"]


def test_delete_version_with_its_aliases_moves_latest_to_the_highest_left(project: lineage.Project, log: Log) -> None:
    """`latest` goes to the highest number left, not to the newest in time."""
    for text in ("one", "two", "three"):
        log("m", text)
    log("m", "one")  # latest is v0 again

    project.version("m:latest").delete(delete_aliases=True)

    assert project.version("m").reference == "m:v2"
    assert moves(project, "m:latest")[-1] == ("m:v0", "m:v2")


def test_delete_version_that_is_the_last_removes_latest(project: lineage.Project, log: Log) -> None:
    """With no version left, no alias is left, and its history says so."""
    log("m", "one").delete(delete_aliases=True)

    with pytest.raises(NotFoundError) as raised:
        project.version("m")

    assert raised.value.kind == ErrorKind.ALIAS_NOT_FOUND
    assert moves(project, "m:latest") == [(None, "m:v0"), ("m:v0", None)]


def test_delete_version_removes_its_other_aliases_with_history(project: lineage.Project, log: Log) -> None:
    """Other aliases end, and their history keeps where they were and who removed them."""
    log("m", "one", aliases=["best"])
    log("m", "two")

    project.version("m:v0").delete(delete_aliases=True)

    assert moves(project, "m:best") == [(None, "m:v0"), ("m:v0", None)]
    assert project.alias_history("m:best")[-1].user
    assert project.version("m:latest").aliases == ("latest",)


def test_delete_version_with_protected_alias_is_refused(project: lineage.Project, log: Log) -> None:
    """A protected alias blocks even so, and nothing of the call stays."""
    log("m", "one", aliases=["aside", "prod"]).add_alias("prod", protect=True)
    log("m", "two")

    with pytest.raises(ConflictError, match="'prod'") as raised:
        project.version("m:v0").delete(delete_aliases=True)

    assert raised.value.kind == ErrorKind.ALIAS_PROTECTED
    assert project.version("m:v0").aliases == ("aside", "prod")


def test_delete_version_with_protected_alias_goes_with_override(project: lineage.Project, log: Log) -> None:
    """The protection yields to `override`."""
    log("m", "one").add_alias("prod", protect=True)
    log("m", "two")

    project.version("m:v0").delete(delete_aliases=True, override=True)

    assert moves(project, "m:prod")[-1] == ("m:v0", None)


def test_delete_version_takes_its_tags_off(project: lineage.Project, log: Log) -> None:
    """A deleted version bears no tags."""
    log("m", "one", tags=["keep me"])

    project.version("m").delete(delete_aliases=True)

    assert [version.tags for version in project.versions(artifact="m", include_deleted=True)] == [()]


def test_delete_version_keeps_node_and_edges(project: lineage.Project, log: Log) -> None:
    """What was made from it still has it upstream, marked deleted."""
    with project.start_run("load") as load:
        log("data", "rows", load)
    with project.start_run("train") as train:
        train.use_artifact("data")
        model = log("m", "weights", train)

    project.version("data").delete(delete_aliases=True)

    assert [(node.label, node.deleted) for node in model.ancestors(kind="version")] == [("data:v0", True)]
    assert model.ancestors(types=["model"], kind="run")[-1].id == load.id
    assert project.verify().ok


def test_delete_version_makes_its_content_unavailable(project: lineage.Project, log: Log) -> None:
    """Looking it up says that it was deleted."""
    log("m", "one").delete(delete_aliases=True)

    with pytest.raises(NotFoundError, match="was deleted") as raised:
        project.version("m:v0")

    assert raised.value.kind == ErrorKind.VERSION_DELETED


def test_delete_version_twice_says_it_was_deleted(project: lineage.Project, log: Log) -> None:
    """The second call changes nothing and says why."""
    version = log("m", "one")
    version.delete(delete_aliases=True)

    with pytest.raises(NotFoundError, match="m:v0 was deleted already") as raised:
        version.delete(delete_aliases=True)

    assert raised.value.kind == ErrorKind.VERSION_DELETED


def test_delete_version_that_never_was_is_not_found(project: lineage.Project) -> None:
    """A key that no version has is an error of the same class."""
    with pytest.raises(NotFoundError) as raised:
        deletion.delete_version(project._store, 7)

    assert raised.value.kind == ErrorKind.VERSION_NOT_FOUND


def test_delete_version_never_gives_its_number_again(project: lineage.Project, log: Log) -> None:
    """After deleting v1 of v0 and v1 comes v2, also with the content of v1."""
    log("m", "one")
    log("m", "two").delete(delete_aliases=True)

    assert log("m", "two").reference == "m:v2"
    assert project.verify().ok


def test_delete_artifact_deletes_every_version(project: lineage.Project, log: Log) -> None:
    """The name and all its versions are gone; `latest` alone does not block."""
    log("m", "one", tags=["a"])
    log("m", "two")

    project.delete_artifact("m")

    assert [artifact.name for artifact in project.artifacts()] == []
    assert [version.deleted for version in project.versions(artifact="m", include_deleted=True)] == [True, True]
    assert moves(project, "m:latest")[-1] == ("m:v1", None)
    assert project.verify().ok


def test_delete_artifact_with_another_alias_is_refused(project: lineage.Project, log: Log) -> None:
    """Aliases other than `latest` block, and nothing of the call stays."""
    log("m", "one", aliases=["best"])

    with pytest.raises(ConflictError, match=r"artifact 'm'.*'best'") as raised:
        project.delete_artifact("m")

    assert raised.value.kind == ErrorKind.ALIASES_BLOCK
    assert project.version("m").aliases == ("best", "latest")


def test_delete_artifact_takes_its_aliases_along(project: lineage.Project, log: Log) -> None:
    """With `delete_aliases` they go, each with an event."""
    log("m", "one", aliases=["best"])

    project.delete_artifact("m", delete_aliases=True)

    assert moves(project, "m:best") == [(None, "m:v0"), ("m:v0", None)]


def test_delete_artifact_with_protected_alias_needs_override(project: lineage.Project, log: Log) -> None:
    """A protected alias holds the whole artifact, until `override` is given."""
    log("m", "one").add_alias("prod", protect=True)

    with pytest.raises(ConflictError, match="'prod'"):
        project.delete_artifact("m", delete_aliases=True)
    assert project.version("m").aliases == ("latest", "prod")

    project.delete_artifact("m", delete_aliases=True, override=True)
    assert list(project.artifacts()) == []


def test_delete_artifact_twice_is_not_found(project: lineage.Project, log: Log) -> None:
    """A deleted artifact is none any more."""
    log("m", "one")
    project.delete_artifact("m")

    with pytest.raises(NotFoundError) as raised:
        project.delete_artifact("m")

    assert raised.value.kind == ErrorKind.ARTIFACT_NOT_FOUND


def test_delete_artifact_lets_its_numbers_go_on(project: lineage.Project, log: Log) -> None:
    """Logging under the name again takes it into use, and no number comes twice."""
    log("m", "one")
    project.delete_artifact("m")

    assert log("m", "one").reference == "m:v1"
    assert project.verify().ok


def test_rename_artifact_keeps_numbers_aliases_and_history(project: lineage.Project, log: Log) -> None:
    """Everything is found under the new name and nothing under the old one."""
    uid = log("m", "one", aliases=["best"]).uid
    log("m", "two")

    project.rename_artifact("m", "iv3")

    assert project.version("iv3:best").uid == uid
    assert moves(project, "iv3:latest") == [(None, "iv3:v0"), ("iv3:v0", "iv3:v1")]
    assert log("iv3", "three").number == 2
    with pytest.raises(NotFoundError):
        project.version("m:v0")


@pytest.mark.parametrize("deleted", [False, True])
def test_rename_artifact_to_a_taken_name_is_refused(project: lineage.Project, log: Log, deleted: bool) -> None:
    """A name is taken by a live artifact and by a deleted one, which the message says."""
    log("m", "one")
    log("iv3", "one")
    if deleted:
        project.delete_artifact("iv3")

    with pytest.raises(ConflictError, match="a deleted artifact" if deleted else "an artifact") as raised:
        project.rename_artifact("m", "iv3")

    assert raised.value.kind == ErrorKind.NAME_TAKEN
    assert project.version("m").number == 0


def test_rename_artifact_to_its_own_name_changes_nothing(project: lineage.Project, log: Log) -> None:
    """It is the name already."""
    log("m", "one")

    assert project.rename_artifact("m", "m").name == "m"


def test_rename_artifact_to_a_bad_name_is_refused(project: lineage.Project, log: Log) -> None:
    """The rules of names hold here too."""
    log("m", "one")

    with pytest.raises(InvalidInputError) as raised:
        project.rename_artifact("m", "a/b")

    assert raised.value.kind == ErrorKind.NAME_INVALID


def test_rename_artifact_that_is_not_there_is_not_found(project: lineage.Project) -> None:
    """There must be one."""
    with pytest.raises(NotFoundError):
        project.rename_artifact("m", "iv3")


def test_delete_run_keeps_its_node_and_drops_its_words(project: lineage.Project, log: Log) -> None:
    """Metrics, config, summary, notes and tags go; the node stays between what it used and made."""
    log("data", "rows")
    with project.start_run("train", config={"lr": 1}, notes="a try", tags=["x"]) as run:
        run.use_artifact("data")
        model = log("m", "one", run)
        run.log({"loss": 0.5})

    project.run(run.id).delete()

    record = project.run(run.id).record
    assert (record.config, record.summary, record.notes, record.tags) == ({}, {}, None, ())
    assert project.sql("SELECT count(*) AS n FROM metrics") == [{"n": 0}]
    assert [(node.label, node.deleted) for node in model.ancestors()] == [(run.name, True), ("data:v0", False)]
    assert project.verify().ok


def test_delete_run_is_out_of_lists(project: lineage.Project) -> None:
    """A list shows it only if asked for deleted ones."""
    with project.start_run("train") as run:
        pass

    project.run(run.id).delete()

    assert list(project.runs()) == []
    assert [found.id for found in project.runs(include_deleted=True)] == [run.id]


def test_delete_run_with_its_versions_deletes_what_it_produced(project: lineage.Project, log: Log) -> None:
    """What it produced goes by the rules of versions; what it only used or reproduced stays."""
    log("data", "rows")
    with project.start_run("train") as run:
        run.use_artifact("data")
        log("data", "rows", run)
        log("m", "one", run)
        log("m", "two", run)
    project.version("m:v0").delete()

    project.run(run.id).delete(delete_versions=True, delete_aliases=True)

    assert [version.reference for version in project.versions()] == ["data:v0"]


def test_delete_run_with_a_named_version_changes_nothing(project: lineage.Project, log: Log) -> None:
    """An alias on one of its versions blocks the whole call."""
    with project.start_run("train", notes="kept") as run:
        log("m", "one", run)
        log("m", "two", run)

    with pytest.raises(ConflictError, match="m:v1"):
        project.run(run.id).delete(delete_versions=True)

    assert project.run(run.id).notes == "kept"
    assert [version.deleted for version in project.versions(artifact="m")] == [False, False]


def test_delete_run_that_is_running_is_refused(project: lineage.Project) -> None:
    """Its process lives and would go on writing."""
    with project.start_run("train") as run, pytest.raises(StateError, match="still running"):
        project.run(run.id).delete()

    project.run(run.id).delete()


def test_delete_run_that_crashed_is_allowed(project: lineage.Project) -> None:
    """A run whose process is gone counts as crashed, and that is written down."""
    run = project.start_run("train")
    with closing(sqlite3.connect(project.file)) as connection, connection:
        connection.execute("UPDATE run SET process = '', pid = ?", (2**30,))

    project.run(run.id).delete()

    with closing(sqlite3.connect(project.file)) as connection:
        assert connection.execute("SELECT status FROM run").fetchone() == ("crashed",)
    run._finished = True  # or its finalizer would end it


def test_delete_run_twice_says_it_was_deleted(project: lineage.Project) -> None:
    """The second call changes nothing and says why."""
    with project.start_run("train") as run:
        pass
    handle = project.run(run.id)
    handle.delete()

    with pytest.raises(NotFoundError, match="was deleted already") as raised:
        handle.delete()

    assert raised.value.kind == ErrorKind.RUN_NOT_FOUND


def test_delete_run_that_never_was_is_not_found(project: lineage.Project) -> None:
    """A key that no run has is an error of the same class."""
    with pytest.raises(NotFoundError, match="no such run"):
        deletion.delete_run(project._store, 7)
