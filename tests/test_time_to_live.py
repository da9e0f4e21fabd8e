"""Time to live: versions that prune may take once it is over, and what keeps them all the same."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import draft
from footprint import refused
from invariants import assert_nothing_left_over, assert_store_sound
from test_verify_repair import edit

import lineage
from lineage import ConflictError, InvalidInputError, NotFoundError, Project, Version

HOUR = timedelta(hours=1)


def log(project: Project, text: str, ttl: object = None, **words: Any) -> Version:
    """Log a text as the next version of ``d``."""
    made = draft("d", {"a": text})
    made.ttl = ttl  # type: ignore[assignment]  # the test says what it gives
    version: Version | None = project.log_artifact(made, **words)
    assert version is not None
    return version


def age(project: Project, reference: str, by: timedelta) -> None:
    """Let a version be older than it is."""
    number = int(reference.rpartition("v")[2])
    created = f"strftime('%Y-%m-%dT%H:%M:%f000Z', created_at, '-{by.total_seconds()} seconds')"
    edit(project, f"UPDATE version SET created_at = {created} WHERE number = ?", number)


@pytest.fixture
def aged(project: Project) -> Project:
    """``d:v0`` for good, ``d:v1`` to ``v3`` of an hour, ``v4`` of three; all two hours old. Then ``v5``."""
    for number in range(5):
        log(project, str(number), None if number == 0 else HOUR if number < 4 else 3 * HOUR)
        age(project, f"v{number}", 2 * HOUR)
    log(project, "newest")
    return project


def test_ttl_of_a_draft_is_the_versions(project: Project) -> None:
    """It is kept with the version; without one it is for good."""
    assert log(project, "1", HOUR).ttl == project.version("d").ttl == HOUR
    assert log(project, "2").ttl is None
    assert log(project, "3", timedelta.max).ttl is None
    assert project.sql("SELECT number, ttl FROM versions ORDER BY number") == [
        {"number": 0, "ttl": 3600},
        {"number": 1, "ttl": None},
        {"number": 2, "ttl": None},
    ]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (timedelta(microseconds=1), timedelta(seconds=1)),
        (timedelta(seconds=1.9), timedelta(seconds=1)),
        (timedelta(days=400_000), timedelta(days=400_000)),
        (timedelta.max - timedelta(microseconds=1), timedelta(days=999_999_999, seconds=86_399)),
    ],
)
def test_ttl_is_kept_in_whole_seconds_and_at_least_one(project: Project, given: timedelta, kept: timedelta) -> None:
    """However short or long."""
    assert log(project, "1", given).ttl == kept


@pytest.mark.parametrize("ttl", [timedelta(), timedelta(seconds=-1), 3600, "30d", True])
def test_ttl_that_is_no_time_is_refused(project: Project, ttl: object) -> None:
    """On a draft and on a version; nothing is logged or changed."""
    version = log(project, "1")

    with refused(project, InvalidInputError, "give a positive timedelta"):
        log(project, "2", ttl)
    with refused(project, InvalidInputError, "give a positive timedelta"):
        version.update(ttl=ttl)  # type: ignore[arg-type]  # that is the test


def test_update_of_the_ttl_sets_it_anew_or_ends_it(project: Project) -> None:
    """It counts from when the version was logged; what is not given stays."""
    version = log(project, "1")

    assert version.update(ttl=HOUR).ttl == HOUR
    assert version.update(tags=["a"]).ttl == HOUR
    assert version.update(ttl=timedelta.max).ttl is None


def test_update_of_the_ttl_of_a_deleted_version_is_refused(project: Project) -> None:
    """It has lived."""
    version = log(project, "1")
    version.delete(delete_aliases=True)

    with refused(project, NotFoundError, "was deleted"):
        version.update(ttl=HOUR)


def test_prune_of_what_expired_takes_that_and_nothing_else(aged: Project) -> None:
    """What is for good stays, and what has time left; a dry run says the same."""
    planned = aged.prune(expired=True, dry_run=True)
    report = aged.prune(expired=True)

    assert planned.versions == report.versions == ("d:v1", "d:v2", "d:v3")
    assert [one.number for one in aged.versions()] == [0, 4, 5]
    assert aged.prune(expired=True).versions == ()
    aged.gc()
    assert_store_sound(aged)
    assert_nothing_left_over(aged)


def test_prune_of_what_expired_keeps_what_other_rules_keep(aged: Project) -> None:
    """An alias, a tag, a run that used it, a link; each can be lifted but the last."""
    aged.version("d:v1").add_alias("best")
    aged.version("d:v2").update(tags=["t"])
    with aged.start_run(use=["d:v3"]):
        pass

    assert aged.prune(expired=True, dry_run=True).versions == ()
    assert aged.prune(expired=True, keep_aliased=False, dry_run=True).versions == ("d:v1",)
    assert aged.prune(expired=True, keep_tagged=False, dry_run=True).versions == ("d:v2",)
    assert aged.prune(expired=True, keep_used=False, dry_run=True).versions == ("d:v3",)


def test_prune_of_what_expired_keeps_latest_and_protected_aliases(project: Project) -> None:
    """A name that people rely on always resolves."""
    log(project, "1", HOUR).add_alias("kept", protect=True)
    log(project, "2", HOUR)
    age(project, "v0", 2 * HOUR)
    age(project, "v1", 2 * HOUR)

    report = project.prune(expired=True, keep_aliased=False)

    assert report.versions == ()


@pytest.mark.parametrize(
    ("rules", "gone"),
    [
        ({"keep_last": 3}, ("d:v1", "d:v2")),
        ({"older_than": timedelta(hours=3)}, ()),
        ({"older_than": HOUR}, ("d:v1", "d:v2", "d:v3")),
        ({"artifact": "d"}, ("d:v1", "d:v2", "d:v3")),
        ({"type": "model"}, ()),
    ],
)
def test_prune_of_what_expired_with_other_rules_takes_what_none_keeps(
    aged: Project, rules: dict[str, Any], gone: tuple[str, ...]
) -> None:
    """A version goes only if no rule keeps it."""
    assert aged.prune(expired=True, dry_run=True, **rules).versions == gone


def test_prune_by_other_rules_does_not_look_at_the_ttl(aged: Project) -> None:
    """Without `expired` a time to live is no reason to go, and none to stay."""
    assert aged.prune(keep_last=2, dry_run=True).versions == ("d:v0", "d:v1", "d:v2", "d:v3")


@pytest.mark.parametrize(
    ("first", "again", "expected"),
    [
        (None, HOUR, None),
        (HOUR, None, None),
        (HOUR, HOUR, 3 * HOUR),
        (9 * HOUR, HOUR, 9 * HOUR),
    ],
)
def test_log_of_the_same_content_lets_the_version_live_longer_and_never_shorter(
    project: Project, first: timedelta | None, again: timedelta | None, expected: timedelta | None
) -> None:
    """What was logged just now must not expire because it was there before; here that was two hours ago."""
    log(project, "1", first)
    age(project, "v0", 2 * HOUR)

    version = log(project, "1", again)

    assert version.reference == "d:v0"
    assert (version.ttl is None) == (expected is None)
    if version.ttl is not None and expected is not None:
        assert abs(version.ttl - expected) < timedelta(minutes=1)


def test_link_ends_the_ttl_and_unlinking_does_not_bring_it_back(aged: Project) -> None:
    """What was chosen once is for good, until somebody says otherwise."""
    link = aged.link("d:v1", "Best data")
    link.delete(delete_aliases=True)

    assert aged.version("d:v1").ttl is None
    assert aged.prune(expired=True).versions == ("d:v2", "d:v3")


@pytest.mark.parametrize("reference", ["d:v1", "Best data:v0"])
def test_ttl_of_a_linked_version_is_refused(aged: Project, reference: str) -> None:
    """It would count, by surprise, when the link goes; that it is for good can be said again."""
    aged.link("d:v1", "Best data")
    version = aged.version(reference)

    with refused(aged, ConflictError, "d:v1 is for good while links stand for it .'Best data:v0'.; unlink it first"):
        version.update(ttl=HOUR, tags=["a"])

    assert version.update(ttl=timedelta.max).ttl is None


def test_ttl_of_a_version_that_another_project_links_to_is_refused(aged: Project, tmp_path: Path) -> None:
    """As of one that is linked here."""
    folder = tmp_path / "another"
    folder.mkdir()
    lineage.open(folder / "q.lineage").link(aged.version("d:v1"), "Best data")

    with refused(aged, ConflictError, "links stand for it .'q/Best data'."):
        aged.version("d:v1").update(ttl=HOUR)


def test_linked_content_that_is_logged_again_with_a_ttl_stays_for_good(aged: Project) -> None:
    """What a log asks for ends nothing that a link keeps."""
    link = aged.link("d:v1", "Best data")
    made = link.new_draft()
    made.ttl = HOUR

    again = aged.log_artifact(made)

    assert (again.reference, again.ttl) == ("d:v1", None)


def test_filter_by_ttl_is_in_seconds(aged: Project) -> None:
    """As `size` is in bytes."""
    assert [one.number for one in aged.versions({"ttl": {"$gte": 3600}}, order="-ttl,number")] == [4, 1, 2, 3]
    assert [one.number for one in aged.versions({"ttl": None}, order="number")] == [0, 5]


def test_new_draft_of_a_version_with_a_ttl_is_for_good(project: Project) -> None:
    """A time to live is said of one version, not handed down."""
    made = log(project, "1", HOUR).new_draft()
    with made.new_file("b") as file:
        file.write("2")

    assert project.log_artifact(made).ttl is None


def test_prune_of_what_expired_in_a_read_only_project_can_be_planned(aged: Project) -> None:
    """A dry run reads."""
    reader = lineage.open(aged.file, read_only=True)

    assert len(reader.prune(expired=True, dry_run=True).versions) == 3
    with pytest.raises(lineage.ReadOnlyError):
        reader.prune(expired=True)
