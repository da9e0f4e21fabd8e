"""Links: a version in a collection stands for another, with a number and aliases of its own and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import draft
from footprint import refused
from invariants import assert_nothing_left_over, assert_store_sound
from test_verify_repair import edit, found

import lineage
from lineage import ConflictError, CycleError, InvalidInputError, NotFoundError, Project, Version

LARGE = "x" * 30_000


@pytest.fixture
def model(project: Project) -> Version:
    """``m:v0``, which run ``train`` made."""
    with project.start_run("train", id="train") as run:
        made = draft("m", {"a": "1", "big": LARGE}, type="model", metadata={"iou": 0.5}, description="good words")
        return run.log_artifact(made, tags=["t1"])


def log(project: Project, name: str = "m", text: str = "2", **words: object) -> Version:
    """Log a version with one file."""
    version = project.log_artifact(draft(name, {"a": text}, type="model", **words))
    assert version is not None
    return version


def log_worse(project: Project, name: str) -> object:
    """Log what no rule would make a version."""
    made = draft(name, {"a": "1"}, type="model", metadata={"iou": 0})
    return project.log_artifact(made, only_if_better=("iou", "max"))


def shelf(project: Project, name: str = "Best models") -> list[tuple[str, str | None, tuple[str, ...]]]:
    """Return reference, source and aliases of the links in a collection."""
    return [(one.reference, one.link_to, one.aliases) for one in project.versions(artifact=name, order="number")]


# --- linking ---


def test_link_stands_for_a_version_under_a_name_number_and_aliases_of_its_own(project: Project, model: Version) -> None:
    """A collection is made by the first link into it, and its name may hold blanks."""
    link = project.link(model, "Best models", aliases=["production"])

    assert (link.reference, link.link_to, link.aliases) == ("Best models:v0", "m:v0", ("latest", "production"))
    assert project.version("Best models:production").source().reference == "m:v0"
    assert project.version("m:v0").aliases == ("latest",)
    assert [one.reference for one in model.links()] == ["Best models:v0"]
    assert project.artifact("Best models").collection
    assert not project.artifact("m").collection
    assert_store_sound(project)


def test_link_has_the_words_tags_content_and_lineage_of_its_source(project: Project, model: Version) -> None:
    """Only number, aliases and the time of linking are its own."""
    link = project.link("m:v0", "Best models")

    assert (link.type, link.description, link.metadata, link.tags) == ("model", "good words", {"iou": 0.5}, ("t1",))
    assert (link.digest, link.size, link.file_count) == (model.digest, 30_001, 2)
    assert link.files() == model.files()
    assert [entry.version for entry in link.files()] == [model.uid, model.uid]
    assert link.open("a").read() == b"1"
    assert (link.download() / "a").read_text() == "1"
    assert link.logged_by() == project.run("train")
    assert [node.id for node in link.ancestors()] == ["train"]


def test_link_is_equal_to_its_source_and_has_its_place_in_the_graph(project: Project, model: Version) -> None:
    """It is another name for the same node."""
    link = project.link(model, "Best models")

    assert link == model
    assert len({link, model}) == 1
    assert sorted(project.graph().nodes) == sorted(link.graph().nodes) == ["m:v0", "train"]
    assert project.depends_on(link, "train")
    assert repr(link) == "<Version Best models:v0 -> m:v0 [latest] (model, 2 files, 30001 bytes)>"


def test_source_of_a_version_that_is_no_link_is_itself(model: Version) -> None:
    """Whoever asks need not know which of the two it is."""
    assert model.source() is model
    assert model.links() == []


def test_link_once_more_keeps_its_number_and_gets_latest_and_the_aliases(project: Project, model: Version) -> None:
    """What a collection holds already is only named anew."""
    project.link(model, "Best models")
    project.link(log(project), "Best models")

    link = project.link(model, "Best models", aliases=["production"])

    assert link.reference == "Best models:v0"
    assert shelf(project) == [
        ("Best models:v0", "m:v0", ("latest", "production")),
        ("Best models:v1", "m:v1", ()),
    ]


def test_link_of_a_link_stands_for_the_version_itself(project: Project, model: Version) -> None:
    """Links never lie one behind another, however they are named."""
    link = project.link(model, "Best models")

    assert project.link(link, "Again").link_to == "m:v0"
    assert project.link("Best models:v0", "Again").link_to == "m:v0"
    assert shelf(project, "Again") == [("Again:v0", "m:v0", ("latest",))]
    assert_store_sound(project)


def test_link_into_two_collections_is_a_link_in_each(project: Project, model: Version) -> None:
    """Each has numbers and aliases of its own."""
    project.link(log(project), "B")
    project.link(model, "A", aliases=["x"])
    project.link(model, "B", aliases=["x"])

    assert [one.reference for one in model.links()] == ["A:v0", "B:v1"]
    assert project.version("A:x") == project.version("B:x") == model


def test_link_of_versions_of_several_artifacts_may_lie_in_one_collection(project: Project, model: Version) -> None:
    """What they have in common is a type."""
    project.link(model, "Best models")
    project.link(log(project, "n"), "Best models")

    assert shelf(project) == [("Best models:v0", "m:v0", ()), ("Best models:v1", "n:v0", ("latest",))]


# --- what is refused ---


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda p: p.link("nosuch", "C"), NotFoundError, "no artifact 'nosuch'"),
        (lambda p: p.link("m:v9", "C"), NotFoundError, "no version 'm:v9'"),
        (lambda p: p.link("m", "n"), ConflictError, "'n' is an artifact, and not a collection"),
        (lambda p: p.link("m", "m"), ConflictError, "'m' is an artifact, and not a collection"),
        (lambda p: p.link("d", "Best models"), InvalidInputError, "holds type 'model'; d:v0 has type 'dataset'"),
        (lambda p: p.link("m", "a/b"), InvalidInputError, "is no name of a collection"),
        (lambda p: p.link("m", " C"), InvalidInputError, "is no name of a collection"),
        (lambda p: p.link("m", "x" * 129), InvalidInputError, "is no name of a collection"),
        (lambda p: p.link("m", None), InvalidInputError, "is no name of a collection"),
        (lambda p: p.link("m", "C", aliases=["fine", "v3"]), InvalidInputError, "reads as a version number"),
        (lambda p: p.link("m", "C", aliases=5), InvalidInputError, "aliases 5"),
        (lambda p: p.link(5, "C"), InvalidInputError, "is no reference"),
        (lambda p: p.link("n", "Best models", aliases=["kept"]), ConflictError, "alias 'kept' is protected"),
        (lambda p: p.rename_artifact("m", "Best x"), InvalidInputError, "is no artifact name"),
        (lambda p: p.rename_artifact("m", "Best models"), InvalidInputError, "is no artifact name"),
        (lambda p: p.rename_artifact("Best models", "m"), ConflictError, "is the name of an artifact already"),
        (lambda p: log(p, "C2"), InvalidInputError, "'C2' is a collection of links"),
        (lambda p: log_worse(p, "C2"), InvalidInputError, "'C2' is a collection of links"),
    ],
)
def test_link_that_cannot_be_is_refused_and_changes_nothing(
    project: Project, model: Version, call: Callable[[Project], object], error: type[lineage.LineageError], message: str
) -> None:
    """Wrong names, types and what is not there; also logging where links are."""
    project.link(model, "Best models").add_alias("kept", protect=True)
    project.link(model, "C2")
    log(project, "n")
    project.log_artifact(draft("d", {"a": "1"}))

    with refused(project, error, message):
        call(project)


def test_link_of_a_deleted_version_is_refused(project: Project, model: Version) -> None:
    """Its content is gone or will be."""
    log(project)
    model.delete()

    with refused(project, NotFoundError, "m:v0 was deleted"):
        project.link(model, "Best models")


def test_link_in_a_batch_that_is_undone_leaves_nothing(project: Project, model: Version) -> None:
    """Neither link nor collection."""
    with pytest.raises(ZeroDivisionError), project.batch():
        project.link(model, "Best models")
        raise ZeroDivisionError

    assert [one.name for one in project.artifacts()] == ["m"]
    assert_store_sound(project)


def test_link_in_a_project_that_is_read_only_is_refused(project: Project, model: Version) -> None:
    """A reader promotes nothing."""
    with pytest.raises(lineage.ReadOnlyError):
        lineage.open(project.file, read_only=True).link(model.reference, "Best models")


# --- lineage ---


def test_use_of_a_link_is_use_of_what_it_stands_for(project: Project, model: Version) -> None:
    """Lineage knows versions only: moving a link later says nothing about what was used."""
    project.link(model, "Best models", aliases=["production"])

    with project.start_run(id="r", use=["Best models:production"]) as run:
        used = run.use_artifact("Best models:v0", use_as="base")

    assert used.reference == "m:v0"
    assert project.sql("SELECT source, target, use_as FROM edges WHERE kind = 'consumed'") == [
        {"source": "m:v0", "target": "r", "use_as": "base"}
    ]
    assert [one.id for one in project.runs(consumed="Best models")] == ["r"]
    assert [one.id for one in project.version("Best models").used_by()] == ["r"]
    assert project.run("r").used_as() == {"m:v0": "base"}


def test_use_of_a_link_that_would_close_a_cycle_is_refused(project: Project, model: Version) -> None:
    """A link is no way around the graph."""
    with project.start_run(id="next", use=[model]) as run:
        later = run.log_artifact(draft("n", {"a": "2"}, type="model"))
    link = project.link(later, "Best models")

    with refused(project, CycleError, "n:v0"):
        project.record("train", consumed=[link])
    with refused(project, CycleError, "n:v0"):
        project.record("train", consumed="Best models")


def test_record_of_a_link_as_produced_is_of_its_source(project: Project) -> None:
    """The run made the version, whatever it is called in a collection."""
    project.link(log(project), "Best models")
    project.start_run(id="r").finish()

    project.record("r", produced=["Best models"])

    assert project.version("m").logged_by() == project.run("r")
    assert [one.id for one in project.runs(produced="Best models")] == ["r"]
    assert_store_sound(project)


def test_diff_of_links_is_that_of_their_sources(project: Project, model: Version) -> None:
    """And it names those, as that is what was compared."""
    project.link(model, "Best models")
    project.link(log(project), "Best models")

    found = project.diff("Best models:v0", "Best models:v1")

    assert (found.old, found.new) == ("m:v0", "m:v1")
    assert [entry.path for entry in found.removed] == ["big"]
    assert project.version("Best models:v0").diff(model).same_content


def test_new_draft_of_a_link_goes_on_with_the_artifact(project: Project, model: Version) -> None:
    """A collection is nothing one can log into."""
    made = project.link(model, "Best models").new_draft()
    made.remove("big")

    assert project.log_artifact(made).reference == "m:v1"


def test_stale_names_versions_and_no_links(project: Project, model: Version) -> None:
    """What must be made again is judged by the artifacts, not by what a collection points to."""
    project.link(model, "Best models")
    with project.start_run(id="r", use=["Best models"]) as run:
        run.log_artifact(draft("n", {"a": "2"}, type="model"))
    assert project.stale() == []

    log(project)

    assert [(one.reference, one.used, one.newest) for one in project.stale()] == [("n:v0", "m:v0", "m:v1")]


# --- words and questions ---


def test_update_of_a_link_changes_what_it_stands_for(project: Project, model: Version) -> None:
    """There is one set of words, and both show it."""
    link = project.link(model, "Best models")

    link.update(description="better", metadata={"iou": 0.9}, tags=["t2"])

    for one in (link, model.refresh(), project.version("Best models")):
        assert (one.description, one.metadata, one.tags) == ("better", {"iou": 0.9}, ("t2",))
    assert_store_sound(project)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"metadata.iou": {"$gt": 0.1}}, ["m:v0", "Best models:v0"]),
        ({"tags": "t1"}, ["m:v0", "Best models:v0"]),
        ({"description": {"$regex": "good"}}, ["m:v0", "Best models:v0"]),
        ({"link_to": "m:v0"}, ["Best models:v0"]),
        ({"link_to": None}, ["m:v0", "m:v1"]),
        ({"name": "Best models"}, ["Best models:v0", "Best models:v1"]),
        ({"aliases": "latest"}, ["m:v1", "Best models:v1"]),
    ],
)
def test_versions_by_filter_take_links_for_what_they_show(
    project: Project, model: Version, where: dict[str, object], expected: list[str]
) -> None:
    """A filter sees the words that the handle shows; `link_to` tells links from the others."""
    project.link(model, "Best models")
    project.link(log(project), "Best models")

    assert sorted(one.reference for one in project.versions(where)) == sorted(expected)


def test_views_show_links_with_what_they_stand_for(project: Project, model: Version) -> None:
    """Analysts see the same as the library shows; edges name versions only."""
    project.link(model, "Best models", aliases=["production"])

    (row,) = project.sql("SELECT * FROM versions WHERE link_to IS NOT NULL")

    shown = {key: row[key] for key in ("reference", "link_to", "description", "metadata", "produced_by", "digest")}
    assert shown == {
        "reference": "Best models:v0",
        "link_to": "m:v0",
        "description": "good words",
        "metadata": '{"iou":0.5}',
        "produced_by": "train",
        "digest": model.digest,
    }
    assert project.sql("SELECT name, collection FROM artifacts ORDER BY name") == [
        {"name": "Best models", "collection": 1},
        {"name": "m", "collection": 0},
    ]
    assert project.sql("SELECT alias, reference FROM aliases WHERE name = 'Best models'") == [
        {"alias": "latest", "reference": "Best models:v0"},
        {"alias": "production", "reference": "Best models:v0"},
    ]
    assert project.sql("SELECT target FROM edges") == [{"target": "m:v0"}]


def test_search_finds_a_collection_by_name_and_words_once(project: Project, model: Version) -> None:
    """A description is the source's, and so is found there."""
    project.link(model, "Best models")

    assert [(hit.kind, hit.id) for hit in project.search("best")] == [("artifact", "Best models")]
    assert [(hit.kind, hit.id) for hit in project.search("good words")] == [("version", "m:v0")]


def test_whereis_names_links_too(project: Project, model: Version) -> None:
    """That bytes are in a collection is worth knowing."""
    project.link(model, "Best models")

    found = project.whereis(str(model.entry("big").digest))

    assert [(one.reference, one.path) for one in found] == [("Best models:v0", "big"), ("m:v0", "big")]


def test_size_of_a_collection_is_shared_and_takes_nothing_from_its_sources(project: Project, model: Version) -> None:
    """A link holds no bytes: deleting it frees none, deleting the source does."""
    project.link(model, "Best models")

    (links,), (own,) = project.size("Best models"), project.size("m")

    assert (links.versions, links.own, links.shared) == (1, 0, 30_001)
    assert (own.versions, own.own, own.shared) == (1, 30_001, 0)


def test_node_of_a_collection_is_its_latest_link(project: Project, model: Version) -> None:
    """A bare name stands for the newest, as an artifact's does."""
    project.link(model, "Best models")

    assert project.node("Best models") == model
    assert project.ancestors("Best models") == project.ancestors("m")


def test_version_of_a_collection_as_of_a_time_is_what_it_was(project: Project, model: Version) -> None:
    """The history of a collection's aliases is kept like any other's."""
    project.link(model, "Best models", aliases=["production"])
    then = project.alias_history("Best models:production")[0].at
    project.link(log(project), "Best models", aliases=["production"])

    assert project.version("Best models:production").link_to == "m:v1"
    assert project.version("Best models:production", as_of=then).link_to == "m:v0"
    assert [(one.moved_from, one.moved_to) for one in project.alias_history("Best models:production")] == [
        (None, "Best models:v0"),
        ("Best models:v0", "Best models:v1"),
    ]


# --- names ---


def test_rename_of_a_collection_and_of_what_is_linked_keeps_the_links(project: Project, model: Version) -> None:
    """A link knows its source by more than the name."""
    project.link(model, "Best models")

    project.rename_artifact("Best models", "The  best")
    project.rename_artifact("m", "mm")

    assert shelf(project, "The  best") == [("The  best:v0", "mm:v0", ("latest",))]
    assert project.artifact("The  best").collection
    assert_store_sound(project)


def test_log_under_the_name_of_a_deleted_collection_is_refused(project: Project, model: Version) -> None:
    """Its links are still there, marked deleted; a name is one or the other for good."""
    project.link(model, "C")
    project.delete_artifact("C")

    with refused(project, InvalidInputError, "'C' is a collection of links"):
        log(project, "C")


def test_link_into_a_deleted_collection_takes_it_into_use_again(project: Project, model: Version) -> None:
    """Numbers go on, and the type stays that of the links which were there."""
    project.link(model, "C")
    project.delete_artifact("C")
    project.log_artifact(draft("d", {"a": "1"}))

    with refused(project, InvalidInputError, "'C' was deleted, and keeps type 'model'; d:v0 has type 'dataset'"):
        project.link("d", "C")

    assert project.link(model, "C").reference == "C:v1"
    assert_store_sound(project)


# --- deleting ---


def test_delete_of_a_link_leaves_its_source(project: Project, model: Version) -> None:
    """Numbers of the collection stay dense, and latest moves on."""
    first, second = project.link(model, "Best models"), project.link(log(project), "Best models")
    second.delete(delete_aliases=True)

    assert shelf(project) == [("Best models:v0", "m:v0", ("latest",))]
    assert project.version("m:v1").links() == []
    assert project.link("m:v1", "Best models").reference == "Best models:v2"
    assert [first.deleted, project.version("m:v1").deleted] == [False, False]
    assert_store_sound(project)


def test_delete_of_a_linked_version_is_refused_until_links_may_go(project: Project, model: Version) -> None:
    """A link that no alias names blocks as well: somebody chose that version."""
    project.link(model, "Best models")
    project.link(log(project), "Best models")

    with refused(project, ConflictError, r"m:v0 cannot be deleted while links stand for it \('Best models:v0'\)"):
        model.delete()
    with refused(project, ConflictError, r"aliases name it \('latest'\) and links stand for it \('Best models:v1'\)"):
        project.version("m:v1").delete()

    model.delete(delete_aliases=True)

    assert shelf(project) == [("Best models:v1", "m:v1", ("latest",))]
    gone = project.version("Best models:v0", include_deleted=True)
    assert (gone.deleted, gone.link_to) == (True, "m:v0")
    project.gc()
    assert_store_sound(project)
    assert_nothing_left_over(project)


def test_delete_of_a_version_whose_link_has_a_protected_alias_needs_override(project: Project, model: Version) -> None:
    """Protection holds wherever the alias stands, and nothing is half deleted."""
    project.link(model, "Best models").add_alias("production", protect=True)

    with refused(project, ConflictError, "alias 'production' is protected"):
        model.delete(delete_aliases=True)

    model.delete(delete_aliases=True, override=True)
    assert shelf(project) == []
    assert_store_sound(project)


def test_delete_of_an_artifact_takes_its_links_along_if_they_may_go(project: Project, model: Version) -> None:
    """Links block the deletion of a whole artifact too; the collection and its other links stay."""
    project.link(model, "Best models")
    project.link(log(project, "n"), "Best models")

    with refused(project, ConflictError, r"artifact 'm' cannot be deleted while links stand for it"):
        project.delete_artifact("m")
    project.delete_artifact("m", delete_aliases=True)

    assert shelf(project) == [("Best models:v1", "n:v0", ("latest",))]
    project.gc()
    assert_nothing_left_over(project)


def test_delete_of_a_run_with_its_versions_takes_links_along_if_they_may_go(project: Project, model: Version) -> None:
    """The same rule by the other door."""
    project.link(model, "Best models")

    with refused(project, ConflictError, "links stand for it"):
        project.run("train").delete(delete_versions=True)
    project.run("train").delete(delete_versions=True, delete_aliases=True)

    assert (shelf(project), model.refresh().deleted) == ([], True)
    assert_store_sound(project)


def test_delete_of_a_collection_leaves_what_it_linked_to(project: Project, model: Version) -> None:
    """Aliases other than latest block, as for an artifact."""
    project.link(model, "Best models", aliases=["production"])

    with refused(project, ConflictError, "'production'"):
        project.delete_artifact("Best models")
    project.delete_artifact("Best models", delete_aliases=True)

    assert [one.name for one in project.artifacts()] == ["m"]
    assert model.refresh().files()[0].path == "a"
    project.gc()
    assert_nothing_left_over(project)


def test_prune_keeps_links_and_what_they_stand_for(project: Project, model: Version) -> None:
    """Somebody chose them; older versions that nobody chose go."""
    log(project, text="2")
    project.link(model, "Best models")
    project.link(log(project, "n"), "Best models")
    log(project, text="3")

    report = project.prune(keep_last=1, keep_aliased=False, keep_tagged=False, keep_used=False)

    assert report.versions == ("m:v1",)
    assert [link for link, _, _ in shelf(project)] == ["Best models:v0", "Best models:v1"]
    project.gc()
    assert_nothing_left_over(project)


# --- damage ---


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("UPDATE version SET deleted_at = 'x' WHERE id = 1", "Best models:v0 stands for m:v0, which is deleted"),
        ("UPDATE link SET source = 3 WHERE version = 4", "Again:v0 stands for Best models:v0, which is a link"),
        (
            "UPDATE version SET manifest = (SELECT manifest FROM version WHERE id = 2) WHERE id = 3",
            "Best models:v0 has other content than m:v0, which it stands for",
        ),
        (
            "UPDATE version SET artifact = (SELECT artifact FROM version WHERE id = 3), number = 1 WHERE id = 2",
            "Best models:v1 is no link, but lies in a collection",
        ),
        (
            "INSERT INTO consumed (run, version) SELECT id, 3 FROM run",
            "Best models:v0 is a link, and has an edge of its own",
        ),
    ],
)
def test_verify_finds_links_that_break_the_format(project: Project, model: Version, sql: str, message: str) -> None:
    """Whatever others wrote into the rows, it says which link is wrong and how."""
    log(project)
    project.link(model, "Best models")
    project.link(model, "Again")

    edit(project, sql)

    messages = [problem.message for problem in project.verify().problems if problem.kind == "link"]
    assert message in messages


def test_verify_of_damaged_bytes_names_the_links_too(project: Project, model: Version) -> None:
    """Who relies on a collection learns that what it stands for is damaged."""
    project.link(model, "Best models")
    digest = str(model.entry("big").digest)
    path = Path(project.blob_folder / digest[:2] / digest[2:])
    path.chmod(0o644)
    path.write_bytes(b"y" * 30_000)
    path.chmod(0o444)

    assert found(project) == [("bytes-damaged", digest, ("Best models:v0", "m:v0"))]
