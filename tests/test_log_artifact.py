"""Logging: numbers, `latest`, content that is there already, rules that stop it; all or nothing."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from conftest import draft, elsewhere
from footprint import footprint, refused, tidy, unchanged  # noqa: F401 (fixtures are used by name)

import lineage
from lineage import Artifact, ConflictError, ErrorKind, InvalidInputError, NotFoundError, StateError

LARGE = "x" * 100_000


def log(project: lineage.Project, name: str, text: str, **words: Any) -> lineage.Version:
    """Log a version with one file."""
    version: lineage.Version = project.log_artifact(draft(name, {"a": text}), **words)
    return version


# --- numbers and latest ---


def test_log_numbers_versions_from_0_and_latest_follows(project: lineage.Project) -> None:
    """Each new content is the next version, and `latest` names it."""
    versions = [log(project, "d", text) for text in "123"]

    assert [version.reference for version in versions] == ["d:v0", "d:v1", "d:v2"]
    assert [version.aliases for version in versions] == [("latest",)] * 3
    assert project.version("d") == versions[2]
    assert project.artifact("d").version_count == 3


def test_log_never_gives_a_number_twice(project: lineage.Project) -> None:
    """After the newest is deleted the next one still counts on."""
    log(project, "d", "1")
    log(project, "d", "2").delete(delete_aliases=True)

    version = log(project, "d", "3")

    assert version.reference == "d:v2"


def test_log_returns_what_the_project_then_knows(project: lineage.Project) -> None:
    """The handle that comes back is the record as it is stored."""
    artifact = draft("d", {"a": "1", "b/c": LARGE}, type="model", description="words", metadata={"lr": 0.1})

    with project.start_run() as run:
        version = run.log_artifact(artifact, aliases=["best", "v"], tags=["b", "a", "b"])

    assert (version.name, version.type, version.number, version.file_count, version.size) == (
        "d",
        "model",
        0,
        2,
        100_001,
    )
    assert (version.description, version.metadata, version.deleted) == ("words", {"lr": 0.1}, False)
    assert (version.aliases, version.tags) == (("best", "latest", "v"), ("a", "b"))
    assert version.record == lineage.open(project.file).version("d:v0").record
    assert version.logged_by() == project.run(run.id)
    assert repr(version) == "<Version d:v0 [best, latest, v] (model, 2 files, 100001 bytes)>"


def test_log_without_a_run_has_no_producer(project: lineage.Project) -> None:
    """Data that was always there was made by nobody."""
    version = log(project, "d", "1")

    assert version.logged_by() is None
    assert version.ancestors() == []


def test_log_of_an_empty_draft_is_legal(project: lineage.Project) -> None:
    """An artifact without files is a version like any other, and the same once more."""
    first = project.log_artifact(Artifact("d", "t"))
    second = project.log_artifact(Artifact("d", "t"))
    other = project.log_artifact(Artifact("e", "t"))

    assert (first.file_count, first.size, first.files()) == (0, 0, [])
    assert second == first
    assert (other.reference, other.digest) == ("e:v0", first.digest)


@pytest.mark.parametrize("size", [0, 1, 16_384, 16_385, 5_000_000])
def test_log_keeps_bytes_of_every_size(project: lineage.Project, size: int) -> None:
    """Bytes inside the file and beside it come back as they went in."""
    data = (bytes(range(251)) * (size // 251 + 1))[:size]

    version = project.log_artifact(draft("d", {"a": data}))

    assert version.open("a").read() == data
    assert len(list(project.blob_folder.glob("??/*"))) == (size > 16_384)


def test_log_of_the_same_bytes_twice_stores_them_once(project: lineage.Project) -> None:
    """Names share bytes: in one version, between versions and between artifacts."""
    project.log_artifact(draft("d", {"a": LARGE, "b": LARGE, "c": "small", "e": "small"}))
    project.log_artifact(draft("e", {"x": LARGE, "y": "small"}))

    assert len(list(project.blob_folder.glob("??/*"))) == 1
    assert project.sql("SELECT count(*) AS n FROM blob") == [{"n": 2}]


def test_log_of_many_files_lists_them_in_order(project: lineage.Project) -> None:
    """Hundreds of files are one version, listed by path."""
    files: dict[str, str | bytes] = {f"d{number % 7}/f{number:04}": str(number) for number in range(700)}

    version = project.log_artifact(draft("d", files))

    assert [entry.path for entry in version.files()] == sorted(files)
    assert version.entry("d3/f0003").size == 1


# --- content that is there already ---


@pytest.mark.parametrize("again", ["1", "2"])
def test_log_of_known_content_gives_that_version_back(
    project: lineage.Project, again: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Any version counts, not only the newest; aliases, tags and `latest` go to it, and a warning says so."""
    versions = {text: log(project, "d", text) for text in "12"}

    with caplog.at_level(logging.WARNING, "lineage"):
        version = log(project, "d", again, aliases=["best"], tags=["x"])

    assert version == versions[again]
    assert (version.aliases, version.tags) == (("best", "latest"), ("x",))
    assert project.version("d") == version
    assert len(project.versions(artifact="d")) == 2
    assert caplog.messages == [
        f"{version.reference} has this content already: no new version of 'd', and latest names it"
    ]


def test_log_of_known_content_keeps_its_words_and_notes_the_reproduction(project: lineage.Project) -> None:
    """The first description and metadata stay; what the second run said is kept beside the fact."""
    with project.start_run() as first:
        first.log_artifact(draft("d", {"a": "1"}, description="first", metadata={"run": 1}))
    with project.start_run() as second:
        version = second.log_artifact(draft("d", {"a": "1"}, description="second", metadata={"run": 2}))

    assert (version.description, version.metadata) == ("first", {"run": 1})
    assert version.logged_by() == project.run(first.id)
    assert version.reproduced_by() == [project.run(second.id)]
    assert project.run(second.id).logged_artifacts() == []
    assert project.sql("SELECT run, metadata FROM reproductions") == [{"run": second.id, "metadata": '{"run":2}'}]


def test_log_of_its_own_content_again_is_no_reproduction(project: lineage.Project) -> None:
    """A run that logs the same twice has produced it, and nothing more."""
    with project.start_run() as run:
        first = run.log_artifact(draft("d", {"a": "1"}))
        second = run.log_artifact(draft("d", {"a": "1"}))

    assert second == first
    assert first.reproduced_by() == []
    assert project.run(run.id).logged_artifacts() == [first]


def test_log_with_force_makes_a_version_of_known_content(project: lineage.Project) -> None:
    """Who asks for it gets a version of its own for what is there already."""
    first = log(project, "d", "1")

    second = log(project, "d", "1", force_new_version=True)

    assert (second.reference, second.digest) == ("d:v1", first.digest)
    assert log(project, "d", "1") == second


def test_log_of_the_content_of_a_deleted_version_makes_a_new_one(project: lineage.Project) -> None:
    """What was deleted does not come back to life."""
    log(project, "d", "1").delete(delete_aliases=True)

    assert log(project, "d", "1").reference == "d:v1"


def test_log_of_known_content_under_another_name_is_another_artifact(project: lineage.Project) -> None:
    """Equal content has one digest, and each name its own versions."""
    first, second = log(project, "d", "1"), log(project, "e", "1")

    assert (first.reference, second.reference) == ("d:v0", "e:v0")
    assert first.digest == second.digest


# --- a draft is logged once ---


def test_log_of_a_logged_draft_gives_its_version_again(project: lineage.Project) -> None:
    """The same object is the same version; aliases and tags of the call are applied."""
    artifact = draft("d", {"a": "1"})
    first = project.log_artifact(artifact)
    log(project, "d", "2")

    again = project.log_artifact(artifact, aliases=["best"], tags=["x"])

    assert again == first
    assert (again.aliases, again.tags) == (("best", "latest"), ("x",))


def test_log_of_a_logged_draft_after_a_rename_still_finds_it(project: lineage.Project) -> None:
    """A draft knows the version it became, whatever its artifact is called now and whoever took the old name."""
    artifact = draft("d", {"a": "1"})
    first = project.log_artifact(artifact)
    project.rename_artifact("d", "e")
    log(project, "d", "2")

    again = project.log_artifact(artifact)

    assert again == first
    assert again.refresh().reference == "e:v0"


def test_log_of_a_draft_whose_version_was_deleted_is_refused(project: lineage.Project) -> None:
    """Content that was deleted is not logged again by a draft that has no bytes any more."""
    artifact = draft("d", {"a": "1"})
    version = project.log_artifact(artifact)
    version.delete(delete_aliases=True)

    with refused(project, NotFoundError, "d:v0 was deleted", ErrorKind.VERSION_DELETED):
        project.log_artifact(artifact)


def test_log_of_a_draft_in_a_second_project_is_refused(project: lineage.Project) -> None:
    """A draft becomes one version in one project; the message names it."""
    artifact = draft("d", {"a": "1"})
    project.log_artifact(artifact)
    other = lineage.open("other.lineage")

    with refused(other, StateError, "artifact 'd' was logged as d:v0 of '.*p.lineage'", ErrorKind.DRAFT_LOGGED):
        other.log_artifact(artifact)


# --- aliases and tags of the call ---


def test_log_with_one_alias_as_text_takes_it_whole(project: lineage.Project) -> None:
    """One text is one alias and not its letters; `latest` may be named, and twice is once."""
    version = log(project, "d", "1", aliases="best", tags="two words")
    other = log(project, "d", "2", aliases=["latest", "best", "best"])

    assert (version.aliases, version.tags) == (("best", "latest"), ("two words",))
    assert other.aliases == ("best", "latest")
    assert project.version("d:v0").aliases == ()


@pytest.mark.parametrize("words", [{"aliases": ["ok", "v3"]}, {"tags": ["ok", "a/b"]}])
def test_log_with_a_bad_alias_or_tag_stores_nothing(project: lineage.Project, words: dict[str, Any]) -> None:
    """One bad label and there is no version; the draft can be logged right afterwards."""
    artifact = draft("d", {"a": LARGE})

    with refused(project, InvalidInputError, "'v3' reads as a version number|Invalid tag 'a/b'"):
        project.log_artifact(artifact, **words)

    version = project.log_artifact(artifact)
    assert version.open("a").read() == LARGE.encode()


def test_log_that_would_move_a_protected_alias_stores_nothing(project: lineage.Project) -> None:
    """A protected alias stays where it is, and nothing of the version is kept."""
    log(project, "d", "1").add_alias("prod", protect=True)
    artifact = draft("d", {"a": "2"})

    with refused(project, lineage.ConflictError, "alias 'prod' is protected", ErrorKind.ALIAS_PROTECTED):
        project.log_artifact(artifact, aliases=["prod"])

    version = project.log_artifact(artifact)
    assert version.reference == "d:v1"


@pytest.fixture
def refused_draft(project: lineage.Project) -> lineage.Artifact:
    """A draft with a large file, whose log was refused as late as can be, and a gc after that."""
    log(project, "m", "first").add_alias("best", protect=True)
    refused = draft("m", {"weights": LARGE})
    with pytest.raises(ConflictError):
        project.log_artifact(refused, aliases=["best"])
    project.gc()
    return refused


def test_log_again_after_a_refusal_and_a_gc(project: lineage.Project, refused_draft: lineage.Artifact) -> None:
    """What a log that fails has stored is garbage; its draft has the bytes still."""
    version = project.log_artifact(refused_draft)

    assert version.open("weights").read() == LARGE.encode()
    assert project.verify().ok


def test_log_elsewhere_after_a_refusal(refused_draft: lineage.Artifact) -> None:
    """A draft that one project refuses can be logged into another; the two share no file."""
    first, second = (lineage.open(f"{name}.lineage") for name in ("first", "second"))
    log(first, "m", "first").add_alias("best", protect=True)
    with pytest.raises(ConflictError):
        first.log_artifact(refused_draft, aliases=["best"])

    version = second.log_artifact(refused_draft)

    assert version.open("weights").read() == LARGE.encode()
    assert second.verify().ok
    digest = str(version.entry("weights").digest)
    places = [project.blob_folder / digest[:2] / digest[2:] for project in (first, second)]
    assert [place.stat().st_nlink for place in places] == [1, 1]


def test_log_that_is_done_lets_the_staged_bytes_go(project: lineage.Project) -> None:
    """Large bytes have one name afterwards: that of the blob."""
    version = project.log_artifact(draft("m", {"weights": LARGE}))

    digest = str(version.entry("weights").digest)
    assert (project.blob_folder / digest[:2] / digest[2:]).stat().st_nlink == 1
    assert list((project.blob_folder / "tmp").iterdir()) == []


# --- types ---


def test_log_under_a_name_of_another_type_is_refused(project: lineage.Project) -> None:
    """A name has one type; the message names both."""
    log(project, "d", "1")
    message = "artifact 'd' already exists with type 'dataset'; .* choose another name for type 'model'"

    with refused(project, InvalidInputError, message, ErrorKind.TYPE_CLASH):
        project.log_artifact(draft("d", {"a": "2"}, type="model"))
    with refused(project, InvalidInputError, message, ErrorKind.TYPE_CLASH):
        project.log_artifact(draft("d", {"a": LARGE}, type="model"))


def test_log_under_a_deleted_name_goes_on_with_its_type(project: lineage.Project) -> None:
    """What was deleted stays in the lineage as what it was: another type would be that of its versions too."""
    log(project, "d", "1")
    project.delete_artifact("d")
    message = "artifact 'd' was deleted, and its versions stay in the lineage, with type 'dataset'; log it with that"

    with refused(project, InvalidInputError, message, ErrorKind.TYPE_CLASH):
        project.log_artifact(draft("d", {"a": "1"}, type="model"))

    version = log(project, "d", "1")
    assert (version.reference, version.type) == ("d:v1", "dataset")


# --- only if better ---


@pytest.mark.parametrize(
    ("direction", "old", "new", "better"),
    [
        ("max", 0.5, 0.6, True),
        ("max", 0.5, 0.5, False),
        ("max", 0.5, 0.4, False),
        ("min", 0.5, 0.4, True),
        ("min", 0.5, 0.5, False),
        ("min", 0, -1, True),
        ("max", 2**53, 2**53 + 1, True),
    ],
)
def test_log_only_if_better_compares_with_latest(
    project: lineage.Project, direction: str, old: float, new: float, better: bool
) -> None:
    """A version is made only where the metric improves; otherwise None comes back and nothing is stored."""
    project.log_artifact(draft("m", {"a": "1"}, metadata={"iou": old}))
    artifact = draft("m", {"a": "2"}, metadata={"iou": new})
    before = footprint(project)

    version = project.log_artifact(artifact, only_if_better=("iou", direction))  # type: ignore[arg-type]

    assert (version is not None) == better
    assert (footprint(project) != before) == better


def test_log_only_if_better_takes_the_first(project: lineage.Project) -> None:
    """Without anything to compare with, everything is better; a `latest` without the metric counts as nothing."""
    first = project.log_artifact(draft("m", {"a": "1"}, metadata={"iou": 0.1}), only_if_better=("iou", "max"))
    project.log_artifact(draft("n", {"a": "1"}, metadata={"iou": "text"}))
    second = project.log_artifact(draft("n", {"a": "2"}, metadata={"iou": 0.1}), only_if_better=("iou", "max"))

    assert first is not None
    assert second is not None


def test_log_only_if_better_takes_the_metric_from_the_run(project: lineage.Project) -> None:
    """What the run logged counts where the metadata says nothing, and is kept with the version to compare with."""
    with project.start_run() as run:
        run.log({"iou": 0.5})
        first = run.log_artifact(draft("m", {"a": "1"}), only_if_better=("iou", "max"))
        run.log({"iou": 0.4})
        second = run.log_artifact(draft("m", {"a": "2"}), only_if_better=("iou", "max"))
        run.log({"iou": 0.6})
        third = run.log_artifact(draft("m", {"a": "3"}), only_if_better=("iou", "max"))

    assert second is None
    assert first is not None
    assert third is not None
    assert (first.metadata, third.metadata, third.reference) == ({"iou": 0.5}, {"iou": 0.6}, "m:v1")


def test_log_only_if_better_without_the_metric_is_refused(project: lineage.Project) -> None:
    """What cannot be compared is an error and not a silent no."""
    with refused(project, InvalidInputError, "neither the metadata of 'm' nor the run's summary has a number 'iou'"):
        project.log_artifact(draft("m", {"a": "1"}), only_if_better=("iou", "max"))


@pytest.mark.parametrize("value", ["0.5", True, [1]])
def test_log_only_if_better_by_what_is_no_number_is_refused(project: lineage.Project, value: object) -> None:
    """Nor does the run's summary stand in for what the metadata says."""
    with project.start_run() as run:
        run.log({"iou": 0.9})
        run.flush()
        with refused(project, InvalidInputError, "only_if_better: 'iou' of 'm' is .*, and no number to compare"):
            run.log_artifact(draft("m", {"a": "1"}, metadata={"iou": value}), only_if_better=("iou", "max"))


@pytest.mark.parametrize("value", [None, float("nan")])
@pytest.mark.parametrize("direction", ["max", "min"])
def test_log_only_if_better_by_nan_is_not_better(
    project: lineage.Project, value: object, direction: Literal["max", "min"]
) -> None:
    """A checkpoint whose metric came to nothing is none, whatever the run's summary says."""
    with project.start_run() as run:
        run.log({"iou": 0.9})
        made = draft("m", {"a": "1"}, metadata={"iou": value})

        assert run.log_artifact(made, only_if_better=("iou", direction)) is None


def test_log_only_if_better_of_known_content_keeps_the_metric_that_made_it_latest(project: lineage.Project) -> None:
    """The next log has to beat what was measured last, and not what the content was first logged with."""

    def log(text: str, iou: float) -> lineage.Version | None:
        made = draft("m", {"a": text}, metadata={"iou": iou, "text": text})
        return project.log_artifact(made, only_if_better=("iou", "max"))

    log("a", 0.5)
    log("b", 0.6)
    again = log("a", 0.7)

    assert log("c", 0.65) is None
    assert again is not None
    assert (again.reference, again.metadata) == ("m:v0", {"iou": 0.7, "text": "a"})


def test_log_that_is_not_better_can_be_logged_after_all(project: lineage.Project) -> None:
    """A draft that was not better is still a draft."""
    project.log_artifact(draft("m", {"a": "1"}, metadata={"iou": 0.5}))
    artifact = draft("m", {"a": LARGE}, metadata={"iou": 0.4})
    project.log_artifact(artifact, only_if_better=("iou", "max"))

    version = project.log_artifact(artifact)

    assert (version.reference, version.metadata) == ("m:v1", {"iou": 0.4})


# --- incremental ---


def test_log_of_an_incremental_draft_adds_to_the_newest_version(project: lineage.Project) -> None:
    """Files are added or replaced; what the newest version had otherwise stays."""
    project.log_artifact(draft("d", {"a": "1", "b": "1", "big": LARGE}))
    log(project, "d", "other").delete(delete_aliases=True)

    version = project.log_artifact(draft("d", {"b": "2", "c": "2"}, incremental=True))

    assert {entry.path: version.open(entry.path).read() for entry in version.files()} == {
        "a": b"1",
        "b": b"2",
        "big": LARGE.encode(),
        "c": b"2",
    }


def test_log_of_an_incremental_draft_of_a_new_name_is_all_of_it(project: lineage.Project) -> None:
    """Where nothing was, there is nothing to add to."""
    version = project.log_artifact(draft("d", {"a": "1"}, incremental=True))

    assert [entry.path for entry in version.files()] == ["a"]


@pytest.mark.parametrize("path", ["a/b", "c"])
def test_log_of_an_incremental_draft_that_makes_a_file_a_folder_is_refused(project: lineage.Project, path: str) -> None:
    """Also together with what was there, one name is not both a file and a folder."""
    project.log_artifact(draft("d", {"a": "1", "c/d": "1"}))

    with refused(project, InvalidInputError, "cannot be both a file and a folder", ErrorKind.PATH_INVALID):
        project.log_artifact(draft("d", {path: "2"}, incremental=True))


# --- what goes wrong ---


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("metadata", {"a": object()}, "metadata of artifact 'd': a"),
        ("metadata", 5, "metadata of artifact 'd'"),
        ("description", 5, "description of artifact 'd'"),
        ("description", "a\0b", "description of artifact 'd'"),
        ("name", "a/b", "'a/b' is no artifact name"),
        ("type", "", "artifact type ''"),
    ],
)
def test_log_of_a_draft_that_was_spoilt_stores_nothing(
    project: lineage.Project, attribute: str, value: object, message: str
) -> None:
    """What was set on the draft after it was made is checked when it is logged."""
    artifact = draft("d", {"a": "1"})
    setattr(artifact, attribute, value)

    with refused(project, InvalidInputError, message):
        project.log_artifact(artifact)


def test_log_whose_progress_raises_stores_no_version(project: lineage.Project) -> None:
    """An exception of the caller's own function goes on as it is, and the draft can be logged again."""
    artifact = draft("d", {"a": LARGE})

    def progress(size: int) -> None:
        raise ZeroDivisionError(size)

    with pytest.raises(ZeroDivisionError, match="100000"):
        project.log_artifact(artifact, progress=progress)
    assert len(project.versions()) == 0
    assert len(project.artifacts()) == 0

    version = project.log_artifact(artifact)
    assert version.open("a").read() == LARGE.encode()


def test_log_tells_progress_of_the_bytes_it_stores(project: lineage.Project) -> None:
    """The bytes that are put beside the project are told, each blob once."""
    told: list[int] = []

    project.log_artifact(draft("d", {"a": LARGE, "b": LARGE, "c": "small", "d": "y" * 20_000}), progress=told.append)

    assert sorted(told) == [20_000, 100_000]


@pytest.mark.parametrize("text", ["1", LARGE])
def test_log_in_a_snapshot_is_refused_and_stores_nothing(project: lineage.Project, text: str) -> None:
    """A snapshot only reads; not even bytes are put into place."""
    artifact = draft("d", {"a": text})

    with refused(project, StateError, "a snapshot only reads"), project.snapshot():
        project.log_artifact(artifact)


def test_log_into_a_read_only_project_is_refused(project: lineage.Project) -> None:
    """A project opened for reading takes nothing; the draft can be logged elsewhere."""
    artifact = draft("d", {"a": LARGE})
    reader = lineage.open(project.file, read_only=True)

    with refused(project, lineage.ReadOnlyError, "is open for reading only; open it for writing"):
        reader.log_artifact(artifact)

    assert project.log_artifact(artifact) is not None


def test_log_with_words_for_a_draft_that_has_its_own_is_refused(project: lineage.Project) -> None:
    """Name, type, description and metadata of a draft are set on the draft."""
    given: list[Any] = [{"name": "e"}, {"type": "t"}, {"description": "d"}, {"metadata": {}}]
    for words in given:
        with refused(project, InvalidInputError, "has its own name, type, description and metadata"):
            project.log_artifact(draft("d", {"a": "1"}), **words)


# --- files, folders and URIs ---


def test_log_of_a_file_names_it_after_the_file(project: lineage.Project) -> None:
    """Outside a run a file is called as it is, in the signs that a name may have."""
    Path("my model.bin").write_bytes(b"x")

    version = project.log_artifact("my model.bin", description="words", metadata={"a": np.float32(0.5)})

    assert (version.reference, version.type) == ("my_model.bin:v0", "unspecified")
    assert (version.description, version.metadata) == ("words", {"a": 0.5})


def test_log_of_a_folder_takes_all_of_it(project: lineage.Project) -> None:
    """A folder is one version with the paths below it."""
    (Path("data") / "sub").mkdir(parents=True)
    (Path("data") / "a").write_text("1")
    (Path("data") / "sub" / "b").write_text("2")

    version = project.log_artifact(Path("data"), "d", "dataset")

    assert [entry.path for entry in version.files()] == ["a", "sub/b"]


def test_log_of_a_uri_tracks_it(project: lineage.Project) -> None:
    """Text with a scheme is a reference and not a file."""
    version = project.log_artifact("s3://bucket/data.tar", "d")

    assert [(entry.path, entry.uri, entry.stored) for entry in version.files()] == [
        ("data.tar", "s3://bucket/data.tar", False)
    ]


def test_log_of_a_uri_of_an_unknown_scheme_takes_the_artifacts_name(project: lineage.Project) -> None:
    """Where the URI has no file name of its own, the name that was given serves."""
    version = project.log_artifact("urn:isbn:0451450523", "book")

    assert [(entry.path, entry.uri) for entry in version.files()] == [("book", "urn:isbn:0451450523")]


@pytest.mark.parametrize("path", ["missing", "", "missing/"])
def test_log_of_a_path_that_is_not_there_is_refused(project: lineage.Project, path: str) -> None:
    """A path that names nothing, also the empty one, is not the working directory."""
    with refused(project, InvalidInputError, "no file|no path of a file", ErrorKind.SOURCE_INVALID):
        project.log_artifact(path, "d")


def test_log_that_fails_leaves_no_staged_copy_while_its_error_is_kept(project: lineage.Project) -> None:
    """A copy that log_artifact made itself goes with the failed call, not with the exception."""
    Path("big").write_text(LARGE)

    with pytest.raises(InvalidInputError) as caught:
        project.log_artifact("big", "d", only_if_better=("iou", "max"))

    assert list((project.blob_folder / "tmp").iterdir()) == []
    assert caught.value is not None


# --- batches ---


def test_batch_makes_all_logs_one_transaction(project: lineage.Project) -> None:
    """Others see all of a batch or nothing of it."""
    other = lineage.open(project.file)

    with project.batch():
        for text in "123":
            log(project, "d", text)
        inside, outside = len(project.versions()), elsewhere(lambda: len(other.versions()))

    assert (inside, outside, len(other.versions())) == (3, 0, 3)


def test_batch_that_fails_leaves_nothing(project: lineage.Project) -> None:
    """An exception undoes all of it, also what large files brought."""
    with unchanged(project), pytest.raises(ZeroDivisionError), project.batch():
        log(project, "d", "1")
        with project.start_run() as run:
            run.log({"a": 1})
        raise ZeroDivisionError


def test_batch_with_a_call_that_is_refused_keeps_the_others(project: lineage.Project) -> None:
    """A call that fails inside a batch leaves nothing of itself, and the batch goes on."""
    with project.batch():
        log(project, "d", "1")
        with pytest.raises(InvalidInputError):
            project.log_artifact(draft("d", {"a": "2"}, type="model"))
        log(project, "d", "3")

    assert [version.reference for version in project.versions()] == ["d:v0", "d:v1"]


def test_batch_lets_errors_of_other_databases_pass(project: lineage.Project) -> None:
    """What the caller's own SQLite says inside a batch or a snapshot is not taken for damage of the project."""
    import sqlite3

    for block in (project.batch, project.snapshot):
        with pytest.raises(sqlite3.OperationalError, match="no such table: nope"), block():
            sqlite3.connect(":memory:").execute("SELECT * FROM nope")


def test_draft_of_an_undone_batch_says_so(project: lineage.Project) -> None:
    """A draft that was logged in a batch that failed is told apart from one that is there."""
    artifact = draft("d", {"a": "1"})
    with pytest.raises(ZeroDivisionError), project.batch():
        project.log_artifact(artifact)
        raise ZeroDivisionError

    with refused(project, StateError, "artifact 'd' was logged in a batch that was undone; make the draft again"):
        project.log_artifact(artifact)


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one.new_file("b").__enter__(),
        lambda one: one.add_file(__file__),
        lambda one: one.add_reference("s3://bucket/key"),
        lambda one: one.remove("a"),
    ],
)
def test_change_of_a_draft_while_it_is_logged_is_refused(project: lineage.Project, change: Any) -> None:
    """What is being stored is settled: a callback, or another thread, cannot put in what has no bytes there."""
    artifact = draft("d", {"a": LARGE})

    def progress(_: int) -> None:
        with pytest.raises(StateError, match="artifact 'd' is being logged; what it holds is settled"):
            change(artifact)

    version = project.log_artifact(artifact, progress=progress)

    assert [entry.path for entry in version.files()] == ["a"]
