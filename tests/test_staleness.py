"""What must be run again: the newest versions that were made from something that has a newer version now."""

from __future__ import annotations

from conftest import draft

import lineage
from lineage import Project
from lineage.records import Stale


def log(where: Project | lineage.ActiveRun, name: str, content: str) -> None:
    """Log one file of this content as a version of an artifact."""
    where.log_artifact(draft(name, {"file": content}))


def make(project: Project, id: str, use: str | list[str], *made: tuple[str, str]) -> None:
    """Let a run use some versions and make others."""
    with project.start_run(id=id, use=use) as run:
        for name, content in made:
            log(run, name, content)


def test_stale_of_an_empty_project_is_nothing(project: Project) -> None:
    """Without versions nothing is to be run again."""
    assert project.stale() == []


def test_stale_of_what_was_made_from_the_newest_is_nothing(project: Project) -> None:
    """A model of the newest data is as new as can be."""
    log(project, "data", "0")
    make(project, "train", "data", ("model", "0"))

    assert project.stale() == []


def test_stale_names_what_was_made_from_something_older(project: Project) -> None:
    """It says what to make again, which run used something old, what that was, and what is newest."""
    log(project, "data", "0")
    make(project, "train", "data", ("model", "0"))
    log(project, "data", "1")

    assert project.stale() == [Stale("model:v0", "train", "data:v0", "data:v1")]


def test_stale_goes_all_the_way_downstream(project: Project) -> None:
    """What came from something stale is stale by the same cause, in the order in which it was made."""
    log(project, "raw", "0")
    make(project, "prep", "raw", ("data", "0"))
    make(project, "train", "data", ("model", "0"), ("log", "0"))
    make(project, "eval", "model", ("report", "0"))
    log(project, "raw", "1")

    found = project.stale()

    assert found == [
        Stale("data:v0", "prep", "raw:v0", "raw:v1"),
        Stale("model:v0", "prep", "raw:v0", "raw:v1"),
        Stale("log:v0", "prep", "raw:v0", "raw:v1"),
        Stale("report:v0", "prep", "raw:v0", "raw:v1"),
    ]


def test_stale_is_over_when_it_was_made_again(project: Project) -> None:
    """A newer model of the newer data ends it for the model, and what used the old model is stale by that."""
    log(project, "data", "0")
    make(project, "train", "data", ("model", "0"))
    make(project, "eval", "model", ("report", "0"))
    log(project, "data", "1")
    make(project, "again", "data", ("model", "1"))

    assert project.stale() == [Stale("report:v0", "eval", "model:v0", "model:v1")]


def test_stale_names_the_step_after_one_that_was_made_again(project: Project) -> None:
    """What is done is not named: training is to be run again, with the data that was made since; then the report."""
    log(project, "raw", "0")
    make(project, "prep0", "raw", ("prep", "0"))
    make(project, "train0", "prep", ("model", "0"))
    log(project, "raw", "1")
    make(project, "prep1", "raw", ("prep", "1"))
    make(project, "eval0", ["model", "prep"], ("report", "0"))

    assert project.stale() == [
        Stale("model:v0", "train0", "prep:v0", "prep:v1"),
        Stale("report:v0", "train0", "prep:v0", "prep:v1"),
    ]


def test_stale_names_the_nearest_of_two_branches(project: Project) -> None:
    """Both are to be run again, and each is named with what it made; what came of both has the nearer."""
    for name in ("far", "near"):
        log(project, name, "0")
    make(project, "clean", "far", ("clean", "0"))
    make(project, "prep", "clean", ("data", "0"))
    make(project, "label", "near", ("labels", "0"))
    make(project, "train", ["data", "labels"], ("model", "0"))
    for name in ("far", "near"):
        log(project, name, "1")

    found = [(one.reference, one.run) for one in project.stale()]

    assert found == [("clean:v0", "clean"), ("data:v0", "clean"), ("labels:v0", "label"), ("model:v0", "label")]


def test_stale_names_what_lies_before_the_tuning(project: Project) -> None:
    """What a tuned model began with is no reason of the tuning's own, but the old data of that is one."""
    log(project, "data", "0")
    make(project, "train", "data", ("model", "0"))
    make(project, "tune", "model", ("model", "1"))
    log(project, "data", "1")

    assert project.stale() == [Stale("model:v1", "train", "data:v0", "data:v1")]


def test_stale_names_the_nearest_cause_when_only_that_is_left(project: Project) -> None:
    """A report of an old model names the model, when nothing further upstream is old."""
    log(project, "data", "0")
    make(project, "train", "data", ("model", "0"))
    make(project, "eval", "model", ("report", "0"))
    make(project, "retrain", "data", ("model", "1"))

    assert project.stale() == [Stale("report:v0", "eval", "model:v0", "model:v1")]


def test_stale_names_each_version_once(project: Project) -> None:
    """Two old inputs are two reasons, and one version to make again: the first is named."""
    log(project, "a", "0")
    log(project, "b", "0")
    make(project, "train", ["a", "b"], ("model", "0"))
    log(project, "b", "1")
    log(project, "a", "1")

    assert project.stale() == [Stale("model:v0", "train", "a:v0", "a:v1")]


def test_stale_is_never_what_was_tuned_under_one_name(project: Project) -> None:
    """Fine-tuning makes a newer version of its own input, which does not make its output old."""
    log(project, "model", "0")
    make(project, "tune1", "model", ("model", "1"), ("report1", "1"))
    make(project, "tune2", "model", ("model", "2"))

    assert project.stale() == []


def test_stale_is_what_was_tuned_from_old_data(project: Project) -> None:
    """The tuned input does not count, the other input does."""
    log(project, "data", "0")
    log(project, "model", "0")
    make(project, "tune", ["model", "data"], ("model", "1"))
    log(project, "data", "1")

    assert project.stale() == [Stale("model:v1", "tune", "data:v0", "data:v1")]


def test_stale_is_what_a_sibling_of_the_tuning_made(project: Project) -> None:
    """A report of the model before tuning is old, as the tuned model did not come from it."""
    log(project, "model", "0")
    make(project, "eval", "model", ("report", "0"))
    make(project, "tune", "model", ("model", "1"))

    assert project.stale() == [Stale("report:v0", "eval", "model:v0", "model:v1")]


def test_stale_follows_latest_when_it_goes_back(project: Project) -> None:
    """Logging old content again makes it the newest: what used the version between is old."""
    log(project, "data", "0")
    log(project, "data", "1")
    make(project, "train", "data:v1", ("model", "0"))
    log(project, "data", "0")

    assert project.stale() == [Stale("model:v0", "train", "data:v1", "data:v0")]


def test_stale_passes_over_old_versions_and_runs_without_output(project: Project) -> None:
    """Only the newest of an artifact is to be made again, and a run that made nothing has nothing to make."""
    log(project, "data", "0")
    make(project, "look", "data")
    make(project, "train", "data", ("model", "0"))
    log(project, "data", "1")
    make(project, "again", "data", ("model", "1"))

    assert project.stale() == []


def test_stale_passes_over_deleted_runs_and_artifacts(project: Project) -> None:
    """What a deleted run used is no reason, and of a deleted artifact nothing is newest."""
    log(project, "data", "0")
    make(project, "train", "data", ("model", "0"))
    log(project, "other", "0")
    make(project, "use", "other", ("thing", "0"))
    log(project, "data", "1")
    log(project, "other", "1")
    before = [one.reference for one in project.stale()]

    project.run("train").delete()
    project.delete_artifact("other")

    assert (before, project.stale()) == (["model:v0", "thing:v0"], [])


def test_stale_passes_over_a_step_made_again_before_a_deleted_run(project: Project) -> None:
    """What a deleted run used is no reason, and the step before it is done."""
    log(project, "raw", "0")
    make(project, "prep0", "raw", ("prep", "0"))
    make(project, "train0", "prep", ("model", "0"))
    log(project, "raw", "1")
    make(project, "prep1", "raw", ("prep", "1"))

    project.run("train0").delete()

    assert project.stale() == []


def test_stale_is_over_when_the_newer_version_was_deleted(project: Project) -> None:
    """Then latest is back at what was used."""
    log(project, "data", "0")
    make(project, "train", "data", ("model", "0"))
    log(project, "data", "1")

    project.version("data:v1").delete(delete_aliases=True)

    assert project.stale() == []
