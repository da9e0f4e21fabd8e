"""Versions of other projects: their nodes are taken over by name, their content stays where it is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from conftest import draft
from footprint import refused, rows
from invariants import assert_nothing_left_over, assert_store_sound
from test_verify_repair import edit

import lineage
from lineage import ConflictError, CycleError, InvalidInputError, NotFoundError, Project, Version

LARGE = "x" * 30_000


@pytest.fixture
def other(tmp_path: Path) -> Project:
    """Another project, ``other.lineage`` in the same folder."""
    return lineage.open(tmp_path / "other.lineage")


@pytest.fixture
def raw(other: Project) -> Version:
    """``raw:v0`` of the other project, which run ``load`` made there."""
    with other.start_run("load", id="load") as run:
        made = draft("raw", {"a": "1", "big": LARGE}, metadata={"rows": 5}, description="good words")
        return run.log_artifact(made, aliases=["best"], tags=["t1"])


def log(project: Project, name: str = "m", text: str = "2") -> Version:
    """Log a version with one file."""
    version = project.log_artifact(draft(name, {"a": text}))
    assert version is not None
    return version


def edges(project: Project) -> list[tuple[str, str]]:
    """Return every edge, from and to."""
    return [(row["source"], row["target"]) for row in project.sql("SELECT source, target FROM edges ORDER BY 1, 2")]


# --- taking over a node ---


def by_use(project: Project, version: Version) -> object:
    """Name a version in use_artifact."""
    with project.start_run(id="r") as run:
        return run.use_artifact(version)


def by_start(project: Project, version: Version) -> object:
    """Name a version when a run starts."""
    with project.start_run(id="r", use=[version]) as run:
        return run


def by_record(project: Project, version: Version) -> None:
    """Name a version in record."""
    project.start_run(id="r").finish()
    project.record("r", consumed=[version])


@pytest.mark.parametrize("name", [by_use, by_start, by_record])
def test_use_of_another_projects_version_writes_an_edge_from_its_node(
    project: Project, other: Project, raw: Version, name: Callable[[Project, Version], object]
) -> None:
    """Whatever the call: the node is named by its project, and that project is told which run it was."""
    name(project, raw)

    assert edges(project) == [("other/raw:v0", "r")]
    assert [(use.kind, use.project, use.node) for use in raw.outside_uses()] == [("consumed", project.file.stem, "r")]
    assert raw.used_by() == []
    assert_store_sound(project)
    assert_store_sound(other)


def test_use_noted_elsewhere_is_noted_once(project: Project, raw: Version) -> None:
    """A second use by the same run is the same fact."""
    with project.start_run(id="r", use=[raw]) as run:
        run.use_artifact(raw)

    assert len(raw.outside_uses()) == 1


def test_use_that_is_refused_leaves_no_note(project: Project, other: Project, raw: Version) -> None:
    """What does not happen here is not told there."""
    with project.start_run(id="r") as run, pytest.raises(InvalidInputError, match="has type 'dataset', not 'model'"):
        run.use_artifact(raw, type="model")

    assert raw.outside_uses() == []


def test_use_of_a_project_that_cannot_be_written_is_not_noted(project: Project, other: Project, raw: Version) -> None:
    """A project that is open for reading only is used all the same."""
    reader = lineage.open(other.file, read_only=True).version("raw")

    by_use(project, reader)

    assert edges(project) == [("other/raw:v0", "r")]
    assert raw.outside_uses() == []


def test_link_from_another_project_keeps_a_version(project: Project, other: Project, raw: Version) -> None:
    """It blocks deletion, of the version and of its artifact; prune passes it over, and its time to live ends."""
    other.log_artifact(draft("raw", {"a": "newer"}))
    raw.update(ttl=timedelta(seconds=1))
    raw.remove_alias("best")
    project.link(raw, "Best data")

    assert raw.refresh().ttl is None
    with refused(other, ConflictError, f"links stand for it .'{project.file.stem}/Best data'"):
        raw.delete()
    with refused(other, ConflictError, f"links stand for it .'{project.file.stem}/Best data'"):
        other.delete_artifact("raw")
    assert other.prune(keep_last=1, keep_tagged=False).versions == ()
    assert other.gc().blobs == 0


def link_in_batch(project: Project, raw: Version) -> None:
    """Link a version in a batch that is undone."""
    with project.batch():
        project.link(raw, "Best data")
        raise InterruptedError


def link_in_inner_batch(project: Project, raw: Version) -> None:
    """Link a version in a batch that is undone, and leave the batch around it to be kept."""
    with project.batch():
        log(project)
        with pytest.raises(InterruptedError):
            link_in_batch(project, raw)
        assert raw.outside_uses() == []
    raise InterruptedError


@pytest.mark.parametrize("link", [link_in_batch, link_in_inner_batch])
def test_link_that_is_undone_with_its_batch_leaves_the_other_project_as_it_was(
    project: Project, other: Project, raw: Version, link: Callable[[Project, Version], None]
) -> None:
    """The note goes, and the time to live that the link ended is there again."""
    raw.update(ttl=timedelta(days=1))
    before = rows(other.file)

    with pytest.raises(InterruptedError):
        link(project, raw)

    assert "Best data" not in [artifact.name for artifact in project.artifacts()]
    assert rows(other.file) == before


def test_use_that_is_undone_with_its_batch_leaves_no_note(project: Project, raw: Version) -> None:
    """A run that was never there is not told of."""
    with pytest.raises(InterruptedError), project.batch(), project.start_run(id="r", use=[raw]):
        raise InterruptedError

    assert raw.outside_uses() == []


def test_link_undone_in_a_batch_that_goes_on_can_be_made_again(project: Project, raw: Version) -> None:
    """What was taken back is noted anew, and stays."""
    with project.batch():
        with pytest.raises(InterruptedError):
            link_in_batch(project, raw)
        project.link(raw, "Best data")

    assert [use.node for use in raw.outside_uses()] == ["Best data"]


def test_link_undone_beside_one_that_stays_does_not_let_the_version_expire(project: Project, raw: Version) -> None:
    """The time to live stays ended as long as one link stands."""
    raw.update(ttl=timedelta(days=1))

    with project.batch():
        project.link(raw, "Best data")
        with pytest.raises(InterruptedError), project.batch():
            project.link(raw, "All data")
            raise InterruptedError

    assert raw.refresh().ttl is None
    assert [use.node for use in raw.outside_uses()] == ["Best data"]


def test_note_that_cannot_be_taken_back_hides_no_error(
    project: Project, other: Project, raw: Version, caplog: pytest.LogCaptureFixture
) -> None:
    """What undid the batch is what the caller sees; the note that stays is told in the log."""
    with pytest.raises(InterruptedError), project.batch():
        project.link(raw, "Best data")
        other.file.rename(other.file.with_suffix(".moved"))
        raise InterruptedError

    assert "raw:v0 keeps a note of what was undone here" in caplog.text


def test_link_from_another_project_lets_go_when_told(project: Project, other: Project, raw: Version) -> None:
    """Deleting with aliases says that the links are known; so does taking the note back."""
    raw.remove_alias("best")
    other.log_artifact(draft("raw", {"a": "newer"}))
    project.link(raw, "Best data")
    (use,) = raw.outside_uses()

    raw.forget_outside_use(use)
    raw.delete()

    assert raw.outside_uses() == []
    assert other.version("raw:v0", include_deleted=True).deleted


def test_prune_keeps_what_runs_of_other_projects_used(project: Project, other: Project, raw: Version) -> None:
    """As it keeps what runs of its own used, and as long as it is asked to."""
    raw.remove_alias("best")
    other.log_artifact(draft("raw", {"a": "newer"}))
    by_use(project, raw)

    assert other.prune(keep_last=1, keep_tagged=False, dry_run=True).versions == ()
    assert other.prune(keep_last=1, keep_tagged=False, keep_used=False, dry_run=True).versions == ("raw:v0",)


def test_version_of_another_project_has_the_words_it_had_there(project: Project, raw: Version) -> None:
    """Uid, number, digest, size, words and tags are taken over as they are then; aliases move, and so are not."""
    by_use(project, raw)

    found = project.version("other/raw:v0")

    assert (found.uid, found.number, found.digest, found.size, found.file_count) == (raw.uid, 0, raw.digest, 30_001, 2)
    assert (found.type, found.metadata, found.description) == ("dataset", {"rows": 5}, "good words")
    assert (found.created_at, found.project, found.deleted) == (raw.created_at, "other", False)
    assert (found.aliases, found.tags, found.logged_by(), found.link_to) == ((), ("t1",), None, None)


def test_lineage_across_projects_ends_at_the_node(project: Project, raw: Version) -> None:
    """What made it is asked in its own project; what was made from it, here."""
    with project.start_run(id="r", use=[raw]) as run:
        made = run.log_artifact(draft("m", {"a": "2"}))

    assert [node.id for node in made.ancestors()] == ["r", "other/raw:v0"]
    assert [node.id for node in project.descendants("other/raw:v0")] == ["r", "m:v0"]
    assert project.graph().nodes["other/raw:v0"]["deleted"] is False
    assert [one.id for one in project.runs(consumed=raw)] == ["r"]
    assert [one.id for one in project.version("other/raw:v0").used_by()] == ["r"]
    assert project.run("r").used_artifacts()[0].project == "other"
    assert [node.id for node in raw.ancestors()] == ["load"]


def test_use_of_another_projects_version_by_name_needs_its_node_here(project: Project, raw: Version) -> None:
    """Once it is known, its name does; before, there is nothing to look it up in."""
    with pytest.raises(NotFoundError, match="no artifact 'other/raw'"):
        project.start_run(use=["other/raw:v0"])
    by_use(project, raw)

    with project.start_run(id="again") as run:
        assert run.use_artifact("other/raw:v0").uid == raw.uid
        assert run.use_artifact(f"other/raw@{raw.digest[:12]}").uid == raw.uid

    assert edges(project) == [("other/raw:v0", "again"), ("other/raw:v0", "r")]


def test_use_of_another_projects_version_twice_is_one_node(project: Project, other: Project, raw: Version) -> None:
    """It is known by its uid, however it was named and whatever it is called there by now."""
    by_use(project, raw)
    other.rename_artifact("raw", "renamed")

    with project.start_run(id="again", use=[other.version("renamed"), raw]):
        pass

    assert [one.reference for one in project.versions()] == ["other/raw:v0"]
    assert len(edges(project)) == 2


def test_use_of_a_link_of_another_project_takes_over_what_it_stands_for(
    project: Project, other: Project, raw: Version
) -> None:
    """Collections are their project's own affair."""
    by_use(project, other.link(raw, "Best data"))

    assert edges(project) == [("other/raw:v0", "r")]
    assert project.version("other/raw:v0").uid == raw.uid


def test_use_of_another_projects_version_with_a_type_checks_it(project: Project, raw: Version) -> None:
    """As for one of our own."""
    with project.start_run() as run:
        with refused(project, InvalidInputError, "has type 'dataset', not 'model'"):
            run.use_artifact(raw, type="model")
        run.use_artifact(raw, type="dataset")


def test_use_of_what_another_project_has_from_a_third_names_the_third(
    project: Project, other: Project, raw: Version, tmp_path: Path
) -> None:
    """A node keeps the name of the project that has its content."""
    by_use(project, raw)
    third = lineage.open(tmp_path / "third.lineage")

    by_use(third, project.version("other/raw:v0"))
    by_record(other, third.version("other/raw:v0"))

    assert edges(third) == [("other/raw:v0", "r")]
    assert third.version("other/raw:v0").project == "other"
    assert ("raw:v0", "r") in edges(other)
    assert [one.reference for one in other.versions()] == ["raw:v0"]


def test_use_of_our_own_version_as_another_project_knows_it_is_use_of_ours(project: Project, other: Project) -> None:
    """Its uid leads home, the content is at hand, and a cycle over two projects is still none here."""
    mine = log(project)
    by_use(other, mine)

    with project.start_run(id="r") as run:
        used = run.use_artifact(other.version("p/m:v0"))

    assert (used.reference, used.project) == ("m:v0", None)
    assert used.open("a").read() == b"2"
    assert edges(project) == [("m:v0", "r")]


def test_use_that_would_close_a_cycle_over_another_projects_node_is_refused(project: Project, other: Project) -> None:
    """What is downstream here is downstream, also under the name that the other project has for it."""
    with project.start_run(id="r") as run:
        pass
    with project.start_run(id="next") as run:
        made = run.log_artifact(draft("m", {"a": "2"}))
    project.record("r", produced=[log(project, "n")])
    project.record("next", consumed=["n"])
    by_use(other, made)

    with refused(project, CycleError, "m:v0"):
        project.record("r", consumed=[other.version("p/m:v0")])


def test_use_in_a_batch_that_is_undone_leaves_no_node(project: Project, raw: Version) -> None:
    """Neither version nor artifact; the next use makes them."""
    with pytest.raises(ZeroDivisionError), project.batch():
        by_use(project, raw)
        raise ZeroDivisionError
    assert list(project.versions(include_deleted=True)) == list(project.artifacts(include_deleted=True)) == []

    by_use(project, raw)

    assert [one.reference for one in project.versions()] == ["other/raw:v0"]


def test_use_in_batches_of_both_projects_takes_over_what_is_committed(
    project: Project, other: Project, raw: Version
) -> None:
    """Two transactions may lie in each other; neither waits for the other."""
    mine = log(project)

    with project.batch(), other.batch():
        by_use(project, raw)
        by_use(other, mine)

    assert edges(project) == [("other/raw:v0", "r")]
    assert ("p/m:v0", "r") in edges(other)
    assert_store_sound(project)
    assert_store_sound(other)


# --- what is refused ---


def test_use_of_what_another_project_has_not_committed_is_refused(project: Project, other: Project) -> None:
    """Its batch may be undone, and then the version never was."""
    project.start_run(id="r").finish()

    with pytest.raises(ZeroDivisionError), other.batch():
        version = log(other, "raw")
        with refused(project, lineage.StateError, "logged in a batch that has not ended, or was undone"):
            project.record("r", consumed=[version])
        raise ZeroDivisionError

    with refused(project, lineage.StateError, "or was undone"):
        project.record("r", consumed=[version])


def test_use_of_a_deleted_version_of_another_project_is_refused(project: Project, other: Project, raw: Version) -> None:
    """Nobody can get its content any more."""
    log(other, "raw")
    raw.delete(delete_aliases=True)

    with project.start_run() as run, refused(project, NotFoundError, "raw:v0 was deleted"):
        run.use_artifact(raw)


def test_use_of_our_own_deleted_version_by_another_projects_name_is_refused(project: Project, other: Project) -> None:
    """A detour revives nothing."""
    mine = log(project)
    by_use(other, mine)
    mine.delete(delete_aliases=True)
    project.start_run(id="r").finish()

    with refused(project, NotFoundError, "m:v0 was deleted"):
        project.record("r", consumed=[other.version("p/m:v0")])


def test_use_of_two_projects_of_one_name_is_refused(project: Project, raw: Version, tmp_path: Path) -> None:
    """One name in the lineage means one project: otherwise nobody could tell whose version it is."""
    by_use(project, raw)
    (tmp_path / "folder").mkdir()
    twin = lineage.open(tmp_path / "folder" / "other.lineage")
    log(twin, "raw", "first")

    for version in (log(twin, "raw"), log(twin, "elsewhere")):
        with refused(
            project, ConflictError, "another project called 'other' is known here", lineage.ErrorKind.NAME_TAKEN
        ):
            project.record("r", consumed=[version])


def test_use_of_a_project_whose_file_was_renamed_goes_on_under_the_new_name(
    project: Project, other: Project, raw: Version
) -> None:
    """What was known keeps its name, what is new has the name of today."""
    by_use(project, raw)
    other.file.rename(other.file.with_name("moved.lineage"))
    other.blob_folder.rename(other.blob_folder.with_name("moved.blobs"))
    moved = lineage.open("moved.lineage")

    project.record("r", consumed=[moved.version("raw:v0"), log(moved, "raw")])

    assert [one.reference for one in project.versions()] == ["other/raw:v0", "moved/raw:v1"]
    assert_store_sound(project)


def test_use_of_a_name_that_was_given_anew_there_is_refused_where_numbers_meet(
    project: Project, other: Project, raw: Version
) -> None:
    """One reference never means two contents."""
    by_use(project, raw)
    other.rename_artifact("raw", "old")

    with refused(project, ConflictError, "another other/raw:v0 is known here: in 'other' the name was given anew"):
        project.record("r", consumed=[log(other, "raw")])


@pytest.mark.parametrize("name", ["a:b", "a?b", "%41", "..", "new\nline", "a@b"])
def test_use_of_a_project_whose_name_no_reference_can_hold_is_refused(project: Project, name: str) -> None:
    """Its file is to be renamed first; the message says what may be."""
    version = log(lineage.open(f"{name}.lineage"))
    project.start_run(id="r").finish()

    with refused(project, InvalidInputError, "is no project name: use 1 to 128 printable characters"):
        project.record("r", consumed=[version])


@pytest.mark.parametrize("name", [by_use, by_start, by_record, link_in_batch])
def test_use_by_a_project_whose_name_no_other_can_note_is_refused(
    tmp_path: Path, other: Project, raw: Version, name: Callable[[Project, Version], object]
) -> None:
    """Its file is to be renamed first; a note under that name would keep the other project from being merged."""
    folder = tmp_path / "another"
    folder.mkdir()
    odd = lineage.open(folder / "exp #3.lineage")

    with refused(other, InvalidInputError, "'exp #3' is no project name.*; rename '.*/exp #3.lineage'"):
        name(odd, raw)

    assert edges(odd) == []


def test_use_of_names_that_are_too_long_together_is_refused(project: Project) -> None:
    """Both have to fit into one."""
    long = lineage.open("x" * 100 + ".lineage")
    project.start_run(id="r").finish()
    project.record("r", consumed=[log(long, "y" * 27)])

    with refused(project, InvalidInputError, "project and artifact together have at most 127 characters"):
        project.record("r", consumed=[log(long, "y" * 28)])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda p: p.version("other/raw:v0").files(), NotFoundError, "belongs to project 'other'"),
        (lambda p: p.version("other/raw:v0").open("a"), NotFoundError, "belongs to project 'other'"),
        (lambda p: p.version("other/raw:v0").download(), NotFoundError, "belongs to project 'other'"),
        (lambda p: p.version("other/raw:v0").new_draft(), NotFoundError, "belongs to project 'other'"),
        (lambda p: p.version("other/raw:v0").update(tags=["a"]), NotFoundError, "belongs to project 'other'"),
        (lambda p: p.version("other/raw:v0").add_alias("a"), NotFoundError, "belongs to project 'other'"),
        (lambda p: p.version("other/raw:v0").remove_alias("best"), NotFoundError, "does not name"),
        (lambda p: p.version("other/raw:v0").delete(), NotFoundError, "belongs to project 'other': delete it there"),
        (lambda p: p.version("other/raw"), NotFoundError, "no version 'other/raw:latest'"),
        (lambda p: p.version("other/raw:v1"), NotFoundError, "no version 'other/raw:v1'"),
        (lambda p: p.diff("other/raw:v0", "m"), NotFoundError, "belongs to project 'other'"),
        (lambda p: p.record("r", produced=["other/raw:v0"]), InvalidInputError, "belongs to project 'other'"),
        (lambda p: p.delete_artifact("other/raw"), NotFoundError, "belongs to project 'other'"),
        (lambda p: p.rename_artifact("other/raw", "raw"), NotFoundError, "belongs to project 'other'"),
        (lambda p: p.update_artifact("other/raw", type="x"), NotFoundError, "belongs to project 'other'"),
        (lambda p: p.rename_artifact("m", "other/m"), InvalidInputError, "is no artifact name"),
    ],
)
def test_change_and_content_of_another_projects_version_are_refused_here(
    project: Project, raw: Version, call: Callable[[Project], object], error: type[lineage.LineageError], message: str
) -> None:
    """The message says whose it is."""
    by_use(project, raw)
    log(project)

    with refused(project, error, message):
        call(project)


def test_use_of_another_projects_version_in_a_read_only_project_is_refused(project: Project, raw: Version) -> None:
    """A reader records nothing; the other project may well be read-only."""
    project.start_run(id="r").finish()
    with pytest.raises(lineage.ReadOnlyError):
        lineage.open(project.file, read_only=True).record("r", consumed=[raw])

    reader = lineage.open(raw._store.path, read_only=True)
    project.record("r", consumed=[reader.version("raw")])

    assert edges(project) == [("other/raw:v0", "r")]


# --- lists, views and documents ---


def test_lists_show_versions_of_other_projects_with_their_project(project: Project, raw: Version) -> None:
    """They are part of the lineage and not deleted; a filter leaves them out."""
    by_use(project, raw)
    log(project)

    assert [one.reference for one in project.versions()] == ["other/raw:v0", "m:v0"]
    assert [one.reference for one in project.versions({"project": None})] == ["m:v0"]
    assert [one.reference for one in project.versions({"project": "other"})] == ["other/raw:v0"]
    assert [one.reference for one in project.versions(artifact="other/raw")] == ["other/raw:v0"]
    assert [(one.name, one.project, one.version_count) for one in project.artifacts({"version_count": 1})] == [
        ("m", None, 1),
        ("other/raw", "other", 1),
    ]
    assert [one.name for one in project.artifacts({"project": None})] == ["m"]
    assert project.artifact("other/raw").deleted_at is None
    assert [hit.id for hit in project.search("raw")] == ["other/raw"]
    assert [hit.id for hit in project.search("good words")] == ["other/raw:v0"]
    assert project.types() == ["dataset"]


def test_views_show_versions_of_other_projects_as_not_deleted(project: Project, raw: Version) -> None:
    """In SQL as in Python; their files are not here."""
    by_use(project, raw)

    assert project.sql("SELECT reference, project, deleted_at FROM versions") == [
        {"reference": "other/raw:v0", "project": "other", "deleted_at": None}
    ]
    assert project.sql("SELECT name, project, deleted_at, version_count FROM artifacts") == [
        {"name": "other/raw", "project": "other", "deleted_at": None, "version_count": 1}
    ]
    assert project.sql("SELECT * FROM files") == []


# --- links ---


def test_link_to_another_projects_version_names_it_in_a_collection_here(project: Project, raw: Version) -> None:
    """It can have aliases here, which the version itself cannot; its content stays where it is."""
    link = project.link(raw, "Best data", aliases=["production"])
    link.add_alias("mine")

    found = project.version("Best data:mine")

    assert (found.link_to, found.project, found.metadata) == ("other/raw:v0", "other", {"rows": 5})
    assert [one.reference for one in project.version("other/raw:v0").links()] == ["Best data:v0"]
    for call in (found.files, found.new_draft, lambda: found.update(tags=["a"]), lambda: found.diff(found)):
        with refused(project, NotFoundError, "Best data:v0 belongs to project 'other'"):
            call()
    assert_store_sound(project)


def test_use_of_a_link_to_another_projects_version_is_use_of_that(project: Project, raw: Version) -> None:
    """The edge is from the node that both mean."""
    project.link(raw, "Best data")

    with project.start_run(id="r", use=["Best data"]):
        pass

    assert edges(project) == [("other/raw:v0", "r")]


def test_delete_of_a_link_to_another_projects_version_leaves_its_node(project: Project, raw: Version) -> None:
    """The lineage keeps what was used."""
    project.link(raw, "Best data").delete(delete_aliases=True)

    assert [one.reference for one in project.versions()] == ["other/raw:v0"]
    project.gc()
    assert_store_sound(project)
    assert_nothing_left_over(project)


# --- upkeep ---


def test_upkeep_leaves_versions_of_other_projects_alone(project: Project, raw: Version) -> None:
    """Nothing of them is here to be pruned, collected, counted or verified."""
    by_use(project, raw)
    log(project)

    assert project.prune(keep_last=1, keep_used=False, keep_aliased=False, keep_tagged=False).versions == ()
    assert project.prune("other/raw", keep_last=1, keep_used=False).versions == ()
    assert project.gc().bytes == 0
    assert [(one.name, one.total) for one in project.size()] == [("m", 1)]
    assert project.version("other/raw:v0").uid == raw.uid
    assert_nothing_left_over(project)


def test_log_of_content_that_another_projects_version_has_stores_it_here(project: Project, raw: Version) -> None:
    """Knowing its digest is not having its bytes."""
    by_use(project, raw)

    mine = project.log_artifact(draft("mine", {"a": "1", "big": LARGE}))

    assert mine.digest == raw.digest
    assert mine.open("big").read() == LARGE.encode()
    assert [one.reference for one in project.whereis(str(mine.entry("big").digest))] == ["mine:v0"]
    mine.delete(delete_aliases=True)
    assert project.gc().bytes == 30_001
    assert_nothing_left_over(project)


def test_use_of_a_version_whose_content_is_here_already_is_a_node_all_the_same(project: Project, raw: Version) -> None:
    """The other way round: what came from where is the question, not what the bytes are."""
    project.log_artifact(draft("mine", {"a": "1", "big": LARGE}))

    by_use(project, raw)

    assert edges(project) == [("other/raw:v0", "r")]
    with pytest.raises(NotFoundError, match="belongs to project"):
        project.version("other/raw:v0").files()
    assert_store_sound(project)


def test_use_of_a_copy_of_this_project_leads_home_where_versions_are_the_same(project: Project) -> None:
    """A copy has the same uids: what both have is ours, what only the copy has is the copy's."""
    mine = log(project)
    shutil.copy(project.file, "copy.lineage")
    copy = lineage.open("copy.lineage")

    with project.start_run(id="r", use=[copy.version("m"), log(copy, "m", "3")]):
        pass

    assert edges(project) == [("copy/m:v1", "r"), ("m:v0", "r")]
    assert project.version("m") == mine
    assert_store_sound(project)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("UPDATE version SET deleted_at = NULL", "other/raw:v0 belongs to another project, but has content here"),
        (
            "INSERT INTO produced (version, run) SELECT v.id, r.id FROM version v, run r",
            "other/raw:v0 belongs to another project, but has a producer here",
        ),
    ],
)
def test_verify_finds_versions_of_other_projects_that_break_the_format(
    project: Project, raw: Version, sql: str, message: str
) -> None:
    """A node that pretends to more than a place in the graph is named."""
    by_use(project, raw)

    edit(project, sql)

    messages = [one.message for one in project.verify().problems if one.kind == "foreign-version"]
    assert messages == [message]


def test_use_of_a_project_in_a_batch_too_large_to_look_past_is_refused(project: Project, other: Project) -> None:
    """Waiting for the lock would be waiting for this very thread."""
    raw = other.log_artifact(draft("raw", {"a": "1"}))

    with other.batch():
        for number in range(400):
            other.log_artifact(draft("more", {"a": str(number)}, metadata={"words": "x" * 20_000}))
        with pytest.raises(lineage.StateError, match="too large to look past"):
            project.start_run(id="r", use=[raw])

    assert edges(project) == []
