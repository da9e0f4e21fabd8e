"""What text may name: whatever passes satisfies the rule, whatever does not raises our error, and nothing else."""

from __future__ import annotations

import string
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import pytest
from conftest import draft
from hypothesis import example, given, settings
from hypothesis import strategies as st
from strategies import NAME_SIGNS, aliases, artifact_names, entry_paths, tags

import lineage
from lineage import Digest, InvalidInputError, Reference
from lineage.values import alias_name, artifact_name, entry_path, known_name, run_id, tag_name

few = settings(max_examples=settings().max_examples // 2)
many = settings(max_examples=settings().max_examples * 5)

_hostile = st.text(
    st.sampled_from("aZ09_-.v/:@\\ \0\n\t\x1f\x7f\x85\u00a0\u200b\u202e\u2028\ud800é漢٣²ⅷ#?%;,'\"~*|<>"), max_size=12
)
anything = st.one_of(
    _hostile,
    st.text(max_size=20),
    st.text(NAME_SIGNS, max_size=140),
    st.integers(0, 600).map(lambda length: "a" * length),
    st.from_regex(r"[vV]\d+", fullmatch=True),
    st.sampled_from(("", ".", "..", "...", "/", "//", "a/", "/a", "a//b", "a/./b", "a/../b", "C:", "C:/x", "c:x", "v",
                     "v1", "latest", "Latest", " a", "a ", "a\n", "\ud800", "a" * 255, "a" * 256, "é" * 128,
                     "a/" * 2_100)),
    st.none() | st.integers() | st.binary(max_size=5) | st.booleans(),
)  # fmt: skip


def passes(check: Callable[[object], str], value: object) -> bool:
    """Return whether the check takes the value; it must return it as it is, or raise InvalidInputError."""
    try:
        found = check(value)
    except InvalidInputError as error:
        assert str(error)
        return False
    assert found == value
    return True


def encodable(text: str) -> bool:
    return not any("\ud800" <= sign <= "\udfff" for sign in text)


@many
@given(anything)
@example("a\n")
def test_artifact_name_is_taken_exactly_if_it_keeps_the_rule(value: object) -> None:
    """1 to 128 ASCII letters, digits, underscores, hyphens and dots, and no line break at the end."""
    wanted = isinstance(value, str) and 1 <= len(value) <= 128 and set(value) <= set(NAME_SIGNS)

    assert passes(artifact_name, value) == wanted


@many
@given(anything)
@example("v٣")
@example("v1\n")
def test_alias_is_taken_exactly_if_it_keeps_the_rule(value: object) -> None:
    """Printable, at most 512 characters, no ``/ : @``, no blank around it, and nothing that reads as a version."""
    wanted = (
        isinstance(value, str)
        and 1 <= len(value) <= 512
        and value.isprintable()
        and encodable(value)
        and not set(value) & set("/:@")
        and value == value.strip()
        and not (value[0] in "vV" and value[1:].isdecimal())
    )

    assert passes(alias_name, value) == wanted


@many
@given(anything)
def test_tag_is_taken_exactly_if_it_keeps_the_rule(value: object) -> None:
    """1 to 64 letters, digits, underscores and hyphens, with blanks inside only."""
    wanted = (
        isinstance(value, str)
        and 1 <= len(value) <= 64
        and all(sign.isalnum() or sign in "_- " for sign in value)
        and not value.startswith(" ")
        and not value.endswith(" ")
    )

    assert passes(tag_name, value) == wanted


@many
@given(anything)
def test_run_id_is_taken_exactly_if_it_keeps_the_rule(value: object) -> None:
    """Printable, at most 128 characters, none that a reference or a URL needs, no blank around it."""
    wanted = (
        isinstance(value, str)
        and 1 <= len(value) <= 128
        and value.isprintable()
        and encodable(value)
        and not set(value) & set(":;,#?/'@")
        and value == value.strip()
    )

    assert passes(run_id, value) == wanted


@many
@given(
    st.one_of(
        anything, entry_paths, st.lists(st.sampled_from(("a", "..", ".", "", "C:", "b c")), max_size=5).map("/".join)
    )
)
def test_path_is_taken_exactly_if_it_stays_inside(value: object) -> None:
    """What is stored is relative, in its normal form, and names the same place; all else is refused."""
    try:
        found = entry_path(value)
    except InvalidInputError:
        found = None
    parts = [part for part in value.split("/") if part not in ("", ".")] if isinstance(value, str) else []
    wanted = (
        isinstance(value, str)
        and bool(parts)
        and encodable(value)
        and not value.startswith("/")
        and ".." not in parts
        and not any(sign == "\\" or sign < " " or sign == "\x7f" for sign in value)
        and not (len(parts[0]) >= 2 and parts[0][0] in string.ascii_letters and parts[0][1] == ":")
        and all(len(part.encode()) <= 255 for part in parts)
        and len("/".join(parts).encode()) <= 4096
    )

    assert (found is not None) == wanted
    if found is not None:
        assert found == "/".join(parts)
        assert entry_path(found) == found
        assert PurePosixPath(found) == PurePosixPath(str(value))
        assert Path("/root").joinpath(found).is_relative_to("/root")


@given(st.one_of(anything, st.from_regex(r"[0-9a-fA-F]{64}\n?", fullmatch=True)))
def test_digest_is_taken_exactly_if_it_is_one(value: object) -> None:
    """64 lower-case hexadecimal digits."""
    wanted = isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")

    assert passes(Digest.parse, value) == wanted


references = st.one_of(
    st.builds(Reference, artifact_names, alias=aliases),
    st.builds(Reference, artifact_names, number=st.integers(0, 10**18 - 1)),
    st.builds(Reference, artifact_names, digest=st.text("0123456789abcdef", min_size=8, max_size=64)),
)


@many
@given(references)
def test_reference_through_text_is_the_same(reference: Reference) -> None:
    """Its text parses to itself."""
    assert Reference.parse(str(reference)) == reference


@given(artifact_names)
def test_bare_name_means_latest(name: str) -> None:
    """A name alone is the alias latest."""
    assert Reference.parse(name) == Reference(name, alias="latest") == Reference.parse(f"{name}:latest")


@many
@given(st.one_of(anything, st.tuples(_hostile, st.sampled_from(":@"), _hostile).map("".join)))
@example("0/0")
def test_reference_that_parses_says_what_it_was_read_from(value: object) -> None:
    """Any text is a reference whose text it is (or a bare name), or InvalidInputError."""
    try:
        found = Reference.parse(value)
    except InvalidInputError:
        return
    assert str(found) in (value, f"{value}:latest")
    assert known_name(found.name) == found.name
    assert sum(one is not None for one in (found.alias, found.number, found.digest)) == 1


@few
@given(artifact_names, st.lists(aliases, max_size=3, unique=True), st.lists(tags, max_size=3, unique=True), entry_paths)
def test_names_that_pass_find_what_they_name(
    name: str, given_aliases: list[str], given_tags: list[str], path: str
) -> None:
    """In a project: by alias, by tag, by path, by number, by digest; exactly as they were given."""
    with TemporaryDirectory() as folder:
        project = lineage.open(Path(folder) / "p.lineage")
        version = project.log_artifact(draft(name, {path: "content"}), aliases=given_aliases, tags=given_tags)
        assert version is not None

        with project.snapshot():
            for alias in given_aliases:
                assert project.version(f"{name}:{alias}") == version
                assert [one.alias for one in project.alias_history(f"{name}:{alias}")] == [alias]
                assert list(project.versions(alias=alias)) == [version]
            for tag in given_tags:
                assert list(project.versions(tags=tag)) == [version]
            assert project.version(f"{name}:v0") == project.version(f"{name}@{version.digest[:8]}") == version
            assert set(version.aliases) == {"latest", *given_aliases}
            assert set(version.tags) == set(given_tags)
            assert version.entry(path).path == path


@pytest.mark.parametrize("form", ["data:V0", "data:v00", "data:", "data@", "data@12345", ":v0", "@abcdef01", "a:b:c"])
def test_form_that_is_nearly_a_reference_is_refused(form: str) -> None:
    """What looks like a version, a digest or an alias and is none is never read as something else."""
    with pytest.raises(InvalidInputError):
        Reference.parse(form)
