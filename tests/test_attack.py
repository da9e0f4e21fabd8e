"""Faults that were found by attack: each was seen to break a promise before it was mended."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from conftest import draft
from invariants import assert_store_sound

import lineage
from lineage import InvalidInputError, NotFoundError, StateError, StorageError
from lineage.statements import upkeep

LARGE = b"x" * 20_000


def _full_disk(*_: object) -> None:
    raise StorageError("the disk is full")


def test_draft_of_a_version_whose_gc_was_cut_off_is_not_logged_without_its_bytes(
    project: lineage.Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gc that removed a file and could not remove its row leaves nothing that a log takes for stored bytes."""
    version = project.log_artifact(draft("d", {"a": LARGE}))
    following = version.new_draft()
    version.delete(delete_aliases=True)
    with monkeypatch.context() as patch:
        patch.setattr(upkeep, "delete_manifests", _full_disk)
        with pytest.raises(StorageError):
            project.gc()

    with pytest.raises(InvalidInputError, match="bytes of a are not in this project"):
        project.log_artifact(following)

    assert_store_sound(project)


@pytest.mark.parametrize("size", [5, 20_000], ids=["small", "large"])
def test_draft_that_a_forked_child_adds_to_keeps_the_parents_bytes(project: lineage.Project, size: int) -> None:
    """A child may not add to the draft it inherited, as its bytes would lie where the parent's next ones go."""
    inherited = draft("d", {"a": b"1" * size})
    child = os.fork()
    if child == 0:
        try:
            with inherited.new_file("child", "wb") as file:
                file.write(b"2" * size)
        except StateError:
            os._exit(0)
        finally:
            os._exit(1)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with inherited.new_file("parent", "wb") as file:
        file.write(b"3" * size)
    version = project.log_artifact(inherited)

    assert ended == 0
    assert [entry.path for entry in version.files()] == ["a", "parent"]
    assert version.open("parent").read() == b"3" * size
    assert_store_sound(project)


def test_db_in_a_batch_cannot_commit_half_of_it(project: lineage.Project) -> None:
    """What a batch wrote before a db block goes with the batch, whatever the block does to its connection."""
    with pytest.raises(InvalidInputError, match="not authorized"), project.batch():
        project.log_artifact(draft("d", {"a": "1"}))
        with project.db() as db, db.conn:
            pass

    assert len(project.versions()) == 0


def test_db_cannot_allow_itself_to_write(project: lineage.Project) -> None:
    """The block that only reads stays so."""
    project.log_artifact(draft("d", {"a": "1"}))

    with pytest.raises(InvalidInputError, match="not authorized"), project.db() as db:
        db.execute("PRAGMA query_only = OFF")


@pytest.mark.parametrize(
    "change",
    [
        lambda one, path: one.add_file(path, "late"),
        lambda one, _: one.add_reference("s3://bucket/late"),
        lambda one, _: one.remove("a"),
    ],
    ids=["add_file", "add_reference", "remove"],
)
def test_draft_that_is_being_logged_takes_no_change(
    project: lineage.Project, tmp_path: Path, change: Callable[[lineage.Artifact, Path], object]
) -> None:
    """A change that the version would not have is refused instead of lost."""
    late = tmp_path / "late"
    late.write_bytes(b"late")
    one = draft("d", {"a": LARGE})

    def meanwhile(_: int) -> None:
        change(one, late)

    with pytest.raises(StateError, match="is being logged"):
        project.log_artifact(one, progress=meanwhile)

    assert [entry.path for entry in project.log_artifact(one).files()] == ["a"]
    assert_store_sound(project)


def test_draft_that_is_being_logged_is_not_logged_a_second_time_meanwhile(project: lineage.Project) -> None:
    """The second log would let go of the bytes that the first is about to store."""
    one = draft("d", {"a": LARGE, "b": "small"})

    def meanwhile(_: int) -> None:
        project.log_artifact(one)

    with pytest.raises(StateError, match="is being logged"):
        project.log_artifact(one, progress=meanwhile)

    assert project.log_artifact(one).reference == "d:v0"


def test_logged_draft_that_is_not_better_leaves_latest(project: lineage.Project) -> None:
    """A draft logged again obeys only_if_better like one logged the first time."""
    first = draft("d", {"a": "1"}, metadata={"iou": 0.5})
    project.log_artifact(first)
    project.log_artifact(draft("d", {"a": "2"}, metadata={"iou": 0.9}))

    again = project.log_artifact(first, only_if_better=("iou", "max"))

    assert (again, project.version("d").reference) == (None, "d:v1")


def test_run_that_two_go_on_with_keeps_every_metric_when_resumed(project: lineage.Project) -> None:
    """The next step lies after those of all who logged, so that it replaces nothing."""
    first = project.start_run(id="r")
    second = project.start_run(id="r", resume="must")
    first.log({"loss": 1}, step=100)
    first.flush()
    second.log({"loss": 2})
    second.finish()

    assert project.start_run(id="r", resume="must").step == 101


@pytest.mark.parametrize(
    "write",
    [
        lambda run: (run.log({"loss": 1}), run.flush()),
        lambda run: run.log_artifact(draft("new", {"a": "2"})),
        lambda run: run.use_artifact("d"),
        lambda run: run.finish(),
    ],
    ids=["log", "log_artifact", "use_artifact", "finish"],
)
def test_run_that_somebody_deleted_takes_nothing_more(
    project: lineage.Project, write: Callable[[lineage.ActiveRun], object]
) -> None:
    """A deleted run stays as its deletion left it, whoever still holds it."""
    project.log_artifact(draft("d", {"a": "1"}))
    held = project.start_run(id="r")
    project.start_run(id="r", resume="must").finish()
    project.run("r").delete()
    before = project.run("r").record

    with pytest.raises(NotFoundError, match="was deleted"):
        write(held)

    assert project.run("r").record == before
    assert project.sql("SELECT * FROM metrics") == []
    assert (project.run("r").used_artifacts(), len(project.versions())) == ([], 1)


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one.metadata.update(iou=0.5),
        lambda one: one.metadata["inner"].setdefault("iou", 0.5),
        lambda one: one.metadata["inner"]["list"].append(3),
        lambda one: setattr(one, "metadata", {"iou": 0.5}),
        lambda one: setattr(one, "description", "words"),
        lambda one: setattr(one, "ttl", timedelta(days=1)),
        lambda one: setattr(one, "name", "other"),
    ],
)
def test_logged_draft_takes_no_other_words(project: lineage.Project, change: Callable[..., object]) -> None:
    """Nobody would write what is set on a draft that was logged: it says so, and stays as it was logged."""
    one = draft("d", {"a": "1"}, metadata={"inner": {"list": [1, 2]}})
    version = project.log_artifact(one)

    with pytest.raises(StateError, match="artifact 'd' was logged as d:v0; use its new_draft"):
        change(one)

    assert one.metadata == version.metadata == {"inner": {"list": [1, 2]}}
    assert (one.name, one.description, one.ttl) == ("d", None, None)


@pytest.mark.parametrize("size", [1, 20_000], ids=["small", "large"])
def test_log_of_a_run_that_an_undone_batch_took_says_so(project: lineage.Project, size: int) -> None:
    """It is the caller's state that is wrong, and not the project file that is damaged."""
    with pytest.raises(ZeroDivisionError), project.batch():
        run = project.start_run()
        raise ZeroDivisionError

    with pytest.raises(StateError, match="in a batch that was undone"):
        run.log_artifact(draft("d", {"a": b"1" * size}))

    assert_store_sound(project)
