"""Aliases: one at a time names one version, every move is kept, and latest follows what was logged last."""

from __future__ import annotations

import getpass
from typing import Any

import pytest
from conftest import draft
from footprint import refused, unchanged
from invariants import assert_store_sound

import lineage
from lineage import ConflictError, ErrorKind, InvalidInputError, NotFoundError, Project
from lineage.aliases import Mover, remove_alias


def log(where: Project | lineage.ActiveRun, content: str, name: str = "m", **words: Any) -> lineage.Version:
    """Log one file of this content as a version of an artifact."""
    version: lineage.Version | None = where.log_artifact(draft(name, {"file": content}), **words)
    assert version is not None
    return version


def moves(project: Project, reference: str) -> list[tuple[str, str | None, str | None]]:
    """Return the history of an alias without its times: alias, from, to."""
    return [(event.alias, event.moved_from, event.moved_to) for event in project.alias_history(reference)]


@pytest.fixture
def three(project: Project) -> Project:
    """A project with m:v0, m:v1 and m:v2."""
    with project.batch():
        for content in ("0", "1", "2"):
            log(project, content)
    return project


# --- moving ---


def test_add_alias_makes_it_name_the_version(three: Project) -> None:
    """The handle that comes back has the alias, and the alias leads to the version."""
    version = three.version("m:v1").add_alias("best")

    assert version.aliases == ("best",)
    assert three.version("m:best").reference == "m:v1"


def test_add_alias_that_names_another_version_moves_it(three: Project) -> None:
    """An alias names one version at a time, and its history has both."""
    three.version("m:v0").add_alias("best")

    three.version("m:v1").add_alias("best")

    assert [version.aliases for version in three.versions()] == [(), ("best",), ("latest",)]
    assert moves(three, "m:best") == [("best", None, "m:v0"), ("best", "m:v0", "m:v1")]


def test_add_alias_that_is_there_already_writes_no_move(three: Project) -> None:
    """Saying it again changes nothing."""
    three.version("m:v1").add_alias("best")

    with unchanged(three):
        three.version("m:v1").add_alias("best")

    assert moves(three, "m:best") == [("best", None, "m:v1")]


def test_add_alias_is_within_its_artifact(three: Project) -> None:
    """Each artifact has aliases of its own."""
    log(three, "0", "other")

    three.version("m:v0").add_alias("best")
    three.version("other").add_alias("best")

    assert three.version("m:best").reference == "m:v0"
    assert three.version("other:best").reference == "other:v0"


def test_log_artifact_with_aliases_moves_them(project: Project) -> None:
    """The aliases of a call go to its version, each once, besides latest."""
    log(project, "0", aliases=["best", "small"])

    version = log(project, "1", aliases=["best", "best", "latest"])

    assert version.aliases == ("best", "latest")
    assert project.version("m:v0").aliases == ("small",)
    assert moves(project, "m:best") == [("best", None, "m:v0"), ("best", "m:v0", "m:v1")]


@pytest.mark.parametrize("alias", ["v3", "V3", "", "a/b", "a:b", "a@b", " a", "a\n"], ids=repr)
def test_add_alias_that_breaks_a_rule_is_refused(three: Project, alias: str) -> None:
    """An alias is a word that cannot be taken for a number, a reference or a path."""
    version = three.version("m:v0")

    with refused(three, InvalidInputError, "alias", ErrorKind.ALIAS_INVALID):
        version.add_alias(alias)


def test_add_alias_latest_goes_back_to_an_older_version_until_the_next_log(three: Project) -> None:
    """Whoever goes back to an older version says so; the move is in the history, and logging goes on from there."""
    three.version("m:v0").add_alias("latest")

    assert three.version("m").reference == "m:v0"
    assert moves(three, "m:latest")[-1] == ("latest", "m:v2", "m:v0")
    assert log(three, "new").aliases == ("latest",)
    assert_store_sound(three)


def test_add_alias_latest_cannot_be_protected(three: Project) -> None:
    """A protected latest would let no log through."""
    version = three.version("m:v0")

    with refused(three, InvalidInputError, "'latest' cannot be protected", ErrorKind.ALIAS_INVALID):
        version.add_alias("latest", protect=True)


def test_add_alias_to_a_deleted_version_is_refused(three: Project) -> None:
    """A deleted version bears no name."""
    version = three.version("m:v0")
    version.delete()

    with refused(three, NotFoundError, "m:v0 was deleted", ErrorKind.VERSION_DELETED):
        version.add_alias("best")


def test_add_alias_of_a_handle_from_before_a_rename_finds_the_artifact(three: Project) -> None:
    """A handle keeps meaning its version, whatever its artifact is called by now."""
    version = three.version("m:v0")
    three.rename_artifact("m", "n")

    version.add_alias("best")

    assert three.version("n:best").reference == "n:v0"


# --- removing ---


def test_remove_alias_takes_it_off(three: Project) -> None:
    """The alias names nothing then, and its history says since when."""
    three.version("m:v1").add_alias("best")

    version = three.version("m:best").remove_alias("best")

    assert version.aliases == ()
    assert moves(three, "m:best") == [("best", None, "m:v1"), ("best", "m:v1", None)]
    with pytest.raises(NotFoundError, match="no version 'm:best'"):
        three.version("m:best")


def test_remove_alias_that_names_another_version_is_not_found(three: Project) -> None:
    """One takes an alias off the version that bears it."""
    three.version("m:v1").add_alias("best")

    for alias in ("best", "worst"):
        version = three.version("m:v0")
        with refused(three, NotFoundError, f"alias '{alias}' does not name m:v0", ErrorKind.ALIAS_NOT_FOUND):
            version.remove_alias(alias)


def test_remove_alias_latest_is_refused(three: Project) -> None:
    """There is always a newest version while there is one."""
    version = three.version("m")

    with refused(three, InvalidInputError, "'latest' cannot be removed", ErrorKind.ALIAS_INVALID):
        version.remove_alias("latest")


def test_remove_alias_that_is_not_there_does_nothing(three: Project) -> None:
    """Whoever removes all aliases of a version need not know which there are."""
    mover = Mover("2026-01-01T00:00:00.000000Z", "somebody")

    with unchanged(three), three._store.writing() as connection:
        remove_alias(connection, three.artifact("m").id, "best", mover)


def test_add_alias_that_was_removed_begins_from_nothing(three: Project) -> None:
    """Between removal and return it named nothing, and so says its history."""
    three.version("m:v0").add_alias("best").remove_alias("best")

    three.version("m:v1").add_alias("best")

    assert moves(three, "m:best") == [("best", None, "m:v0"), ("best", "m:v0", None), ("best", None, "m:v1")]


# --- protection ---


def test_protected_alias_moves_only_with_override(three: Project) -> None:
    """Neither add_alias nor a log moves it, until told so; it is protected where it goes."""
    three.version("m:v0").add_alias("production", protect=True)
    version, made = three.version("m:v1"), draft("m", {"file": "3"})

    with refused(three, ConflictError, "'production' is protected", ErrorKind.ALIAS_PROTECTED):
        version.add_alias("production")
    with refused(three, ConflictError, "'production' is protected", ErrorKind.ALIAS_PROTECTED):
        three.log_artifact(made, aliases=["production"])
    version.add_alias("production", override=True)

    assert three.version("m:production").reference == "m:v1"
    with refused(three, ConflictError, "'production' is protected"):
        three.version("m:v0").add_alias("production")


def test_protected_alias_is_removed_only_with_override(three: Project) -> None:
    """A protected alias stays until told so."""
    version = three.version("m:v0").add_alias("production", protect=True)

    with refused(three, ConflictError, "'production' is protected", ErrorKind.ALIAS_PROTECTED):
        version.remove_alias("production")

    assert version.remove_alias("production", override=True).aliases == ()


def test_protected_alias_said_again_stays_protected(three: Project) -> None:
    """Naming the version it names already needs no override and lifts nothing."""
    three.version("m:v0").add_alias("production", protect=True)

    three.version("m:v0").add_alias("production")

    with pytest.raises(ConflictError):
        three.version("m:v1").add_alias("production")


def test_protection_is_lifted_with_false_and_writes_no_move(three: Project) -> None:
    """Protection comes and goes where the alias stands."""
    three.version("m:v0").add_alias("production")
    three.version("m:v0").add_alias("production", protect=True)
    three.version("m:v0").add_alias("production", protect=False)

    three.version("m:v1").add_alias("production")

    assert moves(three, "m:production") == [("production", None, "m:v0"), ("production", "m:v0", "m:v1")]


def test_protection_can_be_lifted_as_it_is_overridden(three: Project) -> None:
    """One call moves a protected alias and sets it free."""
    three.version("m:v0").add_alias("production", protect=True)

    three.version("m:v1").add_alias("production", protect=False, override=True)

    assert three.version("m:v2").add_alias("production").aliases == ("latest", "production")


# --- latest ---


def test_latest_follows_each_log(project: Project) -> None:
    """Each new version takes latest from the one before."""
    for content in ("0", "1"):
        log(project, content)

    assert project.version("m").reference == "m:v1"
    assert moves(project, "m:latest") == [("latest", None, "m:v0"), ("latest", "m:v0", "m:v1")]


def test_latest_goes_back_to_old_content_that_is_logged_again(three: Project) -> None:
    """Content the artifact holds comes back with its number, with latest and the aliases and tags of the call."""
    again = log(three, "0", aliases=["best"], tags=["seen"])

    assert (again.reference, again.aliases, again.tags) == ("m:v0", ("best", "latest"), ("seen",))
    assert moves(three, "m:latest")[-1] == ("latest", "m:v2", "m:v0")
    assert len(three.versions()) == 3


def test_latest_stays_where_the_newest_content_is_logged_again(three: Project) -> None:
    """Nothing moves, so nothing is written into its history."""
    before = moves(three, "m:latest")

    log(three, "2")

    assert moves(three, "m:latest") == before


def test_latest_goes_to_a_version_that_was_forced(three: Project) -> None:
    """A version made of old content on purpose is the newest one."""
    forced = log(three, "0", force_new_version=True)

    assert (forced.reference, three.version("m").reference) == ("m:v3", "m:v3")


def test_latest_of_a_deleted_version_goes_to_the_highest_left(three: Project) -> None:
    """Not to what was logged before it in time, but to the highest number."""
    log(three, "0")

    three.version("m:v0").delete(delete_aliases=True)

    assert three.version("m").reference == "m:v2"
    assert moves(three, "m:latest")[-1] == ("latest", "m:v0", "m:v2")


def test_latest_of_a_draft_logged_again_comes_back(project: Project) -> None:
    """Logging a draft once more says that its content is the newest again."""
    made = draft("m", {"file": "0"})
    project.log_artifact(made)
    log(project, "1")

    project.log_artifact(made)

    assert project.version("m").reference == "m:v0"


# --- history ---


def test_alias_history_says_who_moved_it_when_and_in_which_run(project: Project) -> None:
    """A move in a run names the run, one outside names none; times do not go back."""
    with project.start_run(id="r") as run:
        log(run, "0", aliases=["best"])
    log(project, "1")

    history = project.alias_history("m")

    assert [(event.alias, event.moved_to, event.run) for event in history] == [
        ("latest", "m:v0", "r"),
        ("best", "m:v0", "r"),
        ("latest", "m:v1", None),
    ]
    assert {event.user for event in history} == {getpass.getuser()}
    assert [event.at for event in history] == sorted(event.at for event in history)
    assert history[0].at.endswith("Z")


def test_version_knows_which_of_its_aliases_are_protected(three: Project) -> None:
    """By name, as they are when it is asked for."""
    version = three.version("m:v0")
    version.add_alias("gold", protect=True)
    version.add_alias("best")
    held = three.version("m:v0").protected_aliases

    version.add_alias("gold", protect=False, override=True)

    assert (held, three.version("m:v0").protected_aliases) == (("gold",), ())


def test_alias_history_of_an_alias_that_never_was_is_not_found(three: Project) -> None:
    """It is a slip of the pen; what was removed since has a history."""
    with refused(three, NotFoundError, "'m' never had an alias 'best'", ErrorKind.ALIAS_NOT_FOUND):
        three.alias_history("m:best")


def test_alias_history_of_an_unknown_artifact_is_not_found(three: Project) -> None:
    """Without the artifact there is no history, nor of a deleted one."""
    log(three, "0", "gone")
    three.delete_artifact("gone")

    for reference in ("nothing", "nothing:best", "gone:latest"):
        with refused(three, NotFoundError, "no artifact", ErrorKind.ARTIFACT_NOT_FOUND):
            three.alias_history(reference)


@pytest.mark.parametrize("reference", ["m:v0", "m:", ":best", "", "m:a/b", "m@0123456789", 5], ids=repr)
def test_alias_history_of_what_is_no_alias_is_refused(three: Project, reference: Any) -> None:
    """A number never moves, and the rest is no alias at all."""
    with refused(three, InvalidInputError, "."):
        three.alias_history(reference)


def test_alias_history_survives_a_rename_under_the_new_name(three: Project) -> None:
    """Aliases, numbers and their history go with the artifact, protection too."""
    three.version("m:v0").add_alias("best", protect=True)

    three.rename_artifact("m", "n")

    assert three.version("n:best").reference == "n:v0"
    assert moves(three, "n:best") == [("best", None, "n:v0")]
    with pytest.raises(ConflictError):
        three.version("n:v1").add_alias("best")
    with pytest.raises(NotFoundError, match="no artifact 'm'"):
        three.alias_history("m")


def test_alias_history_keeps_a_deleted_version(three: Project) -> None:
    """A move to a version that was deleted since was a move all the same."""
    three.version("m:v0").add_alias("best")
    three.version("m:v0").delete(delete_aliases=True)

    assert moves(three, "m:best") == [("best", None, "m:v0"), ("best", "m:v0", None)]


def test_version_as_of_each_move_gives_what_the_alias_named(three: Project) -> None:
    """Between its moves an alias stands still; between removal and return it names nothing."""
    three.version("m:v0").add_alias("best")
    three.version("m:v1").add_alias("best")
    three.version("m:v1").remove_alias("best")
    first, second, removed = (event.at for event in three.alias_history("m:best"))

    assert three.version("m:best", as_of=first).reference == "m:v0"
    assert three.version("m:best", as_of=second).reference == "m:v1"
    with refused(three, NotFoundError, f"'m:best' named nothing at {removed}", ErrorKind.ALIAS_NOT_FOUND):
        three.version("m:best", as_of=removed)


@pytest.mark.parametrize("reference", ["m", "m:latest", "m:best"])
def test_version_as_of_a_time_before_the_alias_says_that_it_named_nothing_then(three: Project, reference: str) -> None:
    """It names something now, so to say that it is not there would be wrong."""
    three.version("m:v0").add_alias("best")
    said = f"'{reference if ':' in reference else 'm:latest'}' named nothing at 2020-01-01T00:00:00.000000Z"

    with refused(three, NotFoundError, said, ErrorKind.ALIAS_NOT_FOUND):
        three.version(reference, as_of="2020-01-01T00:00Z")


def test_version_as_of_a_time_by_an_alias_that_never_was_lists_the_aliases(three: Project) -> None:
    """Then it is the name that is wrong."""
    with refused(three, NotFoundError, "no version 'm:bets'; the aliases of 'm' are latest", ErrorKind.ALIAS_NOT_FOUND):
        three.version("m:bets", as_of="2020-01-01T00:00Z")


def test_version_as_of_a_time_before_a_rename_is_asked_by_the_new_name(three: Project) -> None:
    """The artifact is asked for by the name it has; what its alias named then is what it named."""
    at = three.alias_history("m:latest")[0].at
    three.rename_artifact("m", "n")

    assert three.version("n", as_of=at).reference == "n:v0"
