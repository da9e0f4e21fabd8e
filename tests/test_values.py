"""Names, references, digests, paths: what text may be, and what the refusal of the rest says."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import aliases, artifact_names, entry_paths, tags

import lineage
from lineage import values
from lineage.values import Digest, Reference

DIGEST = "0123456789abcdef" * 4
NOT_TEXT: list[Any] = [None, 5, 1.5, True, b"bytes", ["list"], {"a": 1}, object()]
ODD_TEXT = ["", " ", "\n", "a\n", "a\0b", "\ud800", "\x1b[31m", "x" * 100_000]


# --- artifact names ---


@pytest.mark.parametrize("name", ["a", "v0", "latest", ".", "..", "ppo_lr_3e4_lmda_0.95", "-rf", "A" * 128])
def test_artifact_name_of_the_allowed_signs_is_kept(name: str) -> None:
    """ASCII letters, digits, `_`, `-` and `.`, 1 to 128 of them, make a name, however odd."""
    assert values.artifact_name(name) == name


@pytest.mark.parametrize("name", [*NOT_TEXT, *ODD_TEXT, "a b", "a/b", "a:b", "a@b", "ä", "٣", "a" * 129, "a\r", " a"])
def test_artifact_name_of_anything_else_is_refused(name: Any) -> None:
    """Every other sign, length or type is refused with the rule."""
    with pytest.raises(lineage.InvalidInputError, match=r"is no artifact name: use 1 to 128 ASCII letters") as caught:
        values.artifact_name(name)

    assert caught.value.kind == "name-invalid"


@given(artifact_names)
def test_artifact_name_of_any_allowed_text_is_kept(name: str) -> None:
    """No combination of the allowed signs is refused."""
    assert values.artifact_name(name) == name


# --- aliases ---


@pytest.mark.parametrize(
    "alias", ["best", "prod_ready", "jit-script", "v", "v1a", "1", "é", "vv3", "x" * 512, "a b", "..", "v-1"]
)
def test_alias_name_of_a_label_is_kept(alias: str) -> None:
    """Any printable text may be an alias, if it is not read as something else."""
    assert values.alias_name(alias) == alias


@pytest.mark.parametrize("alias", ["a/b", "a:b", "a@b", " a", "a ", "/", ":"])
def test_alias_name_with_signs_of_a_reference_is_refused(alias: str) -> None:
    """What has a meaning in a reference cannot be part of an alias."""
    with pytest.raises(lineage.InvalidInputError, match=r"an alias holds no '/', ':' or '@'") as caught:
        values.alias_name(alias)

    assert caught.value.kind == "alias-invalid"


@pytest.mark.parametrize("alias", ["v0", "v3", "v01", "V3", "v٣", "v" + "9" * 400])
def test_alias_name_that_reads_as_a_version_is_refused(alias: str) -> None:
    """`v` and digits, of any script, is what lineage gives out itself."""
    with pytest.raises(lineage.InvalidInputError, match="reads as a version number") as caught:
        values.alias_name(alias)

    assert caught.value.kind == "alias-invalid"


@pytest.mark.parametrize("alias", [*NOT_TEXT, *ODD_TEXT, "x" * 513])
def test_alias_name_of_odd_text_or_no_text_is_refused(alias: Any) -> None:
    """Control characters, blanks, too much and other types are refused."""
    with pytest.raises(lineage.InvalidInputError, match="^alias ") as caught:
        values.alias_name(alias)

    assert caught.value.kind == "alias-invalid"
    assert len(str(caught.value)) < 400


@given(aliases)
def test_alias_name_of_any_ordinary_text_is_kept(alias: str) -> None:
    """Text without the signs of a reference is an alias in every script."""
    assert values.alias_name(alias) == alias


# --- tags ---


@pytest.mark.parametrize("tag", ["a", "two words", "two  blanks", "ä-b_c", "漢字", "x" * 64, "2024-01-31"])
def test_tag_name_of_words_is_kept(tag: str) -> None:
    """Word characters and hyphens, with blanks inside, make a tag."""
    assert values.tag_name(tag) == tag


@pytest.mark.parametrize("tag", [*NOT_TEXT, *ODD_TEXT, " a", "a ", "a.b", "a/b", "a:b", "x" * 65, "a\tb"])
def test_tag_name_of_anything_else_is_refused(tag: Any) -> None:
    """Everything else is refused, in the words of W&B."""
    with pytest.raises(lineage.InvalidInputError, match="^Invalid tag ") as caught:
        values.tag_name(tag)

    assert caught.value.kind == "tag-invalid"


@given(tags)
def test_tag_name_of_any_words_is_kept_up_to_its_length(tag: str) -> None:
    """Sixty-four characters is the only limit on words."""
    if len(tag) <= 64:
        assert values.tag_name(tag) == tag
    else:
        with pytest.raises(lineage.InvalidInputError, match="Invalid tag"):
            values.tag_name(tag)


# --- run ids, labels, prose ---


@pytest.mark.parametrize("identifier", ["a", "my-run", "2024.01", "läuft", "a b", "x" * 128])
def test_run_id_of_a_label_is_kept(identifier: str) -> None:
    """A run's id is any printable text of at most 128 characters."""
    assert values.run_id(identifier) == identifier


@pytest.mark.parametrize(
    "identifier", [*NOT_TEXT, *ODD_TEXT, *(f"a{sign}b" for sign in ":;,#?/'@"), " a", "a ", "x" * 129]
)
def test_run_id_of_anything_else_is_refused(identifier: Any) -> None:
    """What has a meaning elsewhere, or is no line of text, is no id."""
    with pytest.raises(lineage.InvalidInputError, match="^run id ") as caught:
        values.run_id(identifier)

    assert caught.value.kind == "name-invalid"


@pytest.mark.parametrize("text", [*NOT_TEXT, *ODD_TEXT[:1], *ODD_TEXT[2:], "x" * 513])
def test_label_of_anything_but_a_line_is_refused(text: Any) -> None:
    """A label is one printable line of at most 512 characters; the message begins with what it is for."""
    with pytest.raises(lineage.InvalidInputError, match="^job_type "):
        values.label(text, "job_type")


@pytest.mark.parametrize("text", ["", "two\nlines", "\x1b[31m", "é" * 1000, "x" * (1 << 20)])
def test_prose_of_any_text_is_kept(text: str) -> None:
    """Notes are any text, with line breaks."""
    assert values.prose(text, "notes") == text


@pytest.mark.parametrize("text", [*NOT_TEXT, "a\0b", "\ud800", "x" * ((1 << 20) + 1)])
def test_prose_that_cannot_be_stored_is_refused(text: Any) -> None:
    """NUL, half characters, more than a mebibyte and other types are refused."""
    with pytest.raises(lineage.InvalidInputError, match="^notes: give text of at most a mebibyte"):
        values.prose(text, "notes")


# --- digests ---


def test_digest_of_64_hexadecimal_digits_is_text_of_its_own_type() -> None:
    """A digest is the text it was made of, and is not made again."""
    digest = Digest.parse(DIGEST)

    assert digest == DIGEST
    assert type(digest) is Digest
    assert Digest.parse(digest) is digest


@pytest.mark.parametrize(
    "text",
    [
        *NOT_TEXT,
        *ODD_TEXT,
        DIGEST[:-1],
        DIGEST + "0",
        DIGEST.upper(),
        "../" + DIGEST[3:],
        f"b3:{DIGEST}",
        DIGEST + "\n",
    ],
)
def test_digest_of_anything_else_is_refused(text: Any) -> None:
    """Length, case, prefixes and paths all count."""
    with pytest.raises(
        lineage.InvalidInputError, match="is no digest: a digest is 64 lower-case hexadecimal"
    ) as caught:
        Digest.parse(text)

    assert caught.value.kind == "digest-invalid"


# --- references ---


@pytest.mark.parametrize(
    ("text", "expected", "canonical"),
    [
        ("mnist-raw", Reference("mnist-raw", alias="latest"), "mnist-raw:latest"),
        ("iv3:latest", Reference("iv3", alias="latest"), "iv3:latest"),
        ("iv3:v0", Reference("iv3", number=0), "iv3:v0"),
        ("iv3:v999999999999999999", Reference("iv3", number=999_999_999_999_999_999), "iv3:v999999999999999999"),
        ("iv3:prod ready", Reference("iv3", alias="prod ready"), "iv3:prod ready"),
        ("v0:v1", Reference("v0", number=1), "v0:v1"),
        ("Best  models:v1", Reference("Best  models", number=1), "Best  models:v1"),
        ("my other/iv3:v1", Reference("my other/iv3", number=1), "my other/iv3:v1"),
        ("iv3@01234567", Reference("iv3", digest="01234567"), "iv3@01234567"),
        (f"iv3@{DIGEST}", Reference("iv3", digest=DIGEST), f"iv3@{DIGEST}"),
    ],
)
def test_reference_in_each_form_is_read_and_written(text: str, expected: Reference, canonical: str) -> None:
    """A name alone, with an alias, a number or a digest: read, and written as text that reads the same."""
    read = Reference.parse(text)

    assert read == expected
    assert str(read) == canonical
    assert Reference.parse(str(read)) == read


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "is no reference: give text such as"),
        (5, "is no reference: give text such as"),
        (b"iv3", "is no reference: give text such as"),
        (["iv3"], "is no reference: give text such as"),
        ("", "'' is no artifact name"),
        (" iv3", "' iv3' is no artifact name"),
        ("iv3 ", "'iv3 ' is no artifact name"),
        ("a/b/c:v0", "'b/c' is no artifact name"),
        ("a/:v0", "'' is no artifact name"),
        ("/b:v0", "'' is no project name"),
        ("a?/b:v0", "'a?' is no project name"),
        ("../b:v0", "'..' is no project name"),
        ("x" * 64 + "/" + "y" * 64 + ":v0", "together have at most 127 characters"),
        (":v0", "'' is no artifact name"),
        ("@01234567", "'' is no artifact name"),
        ("iv3:", "alias ''"),
        ("iv3:a:b", "alias 'a:b'"),
        ("iv3:v01", "alias 'v01' reads as a version number"),
        ("iv3:v" + "9" * 400, "reads as a version number"),
        ("iv3:v1 ", "alias 'v1 '"),
        ("iv3:\ud800", "alias "),
        ("iv3@0123456", "after '@' comes a digest or its first 8 or more"),
        ("iv3@0123456G", "after '@' comes a digest"),
        ("iv3@ABCDEF01", "after '@' comes a digest"),
        ("iv3@" + "0" * 65, "after '@' comes a digest"),
        ("iv3:best@01234567", "'iv3:best' is no artifact name"),
    ],
)
def test_reference_that_is_none_is_refused_with_the_part_that_is_wrong(text: Any, message: str) -> None:
    """The message says which part of the text breaks which rule."""
    with pytest.raises(lineage.InvalidInputError, match=re.escape(message)):
        Reference.parse(text)


@given(artifact_names, st.one_of(aliases, st.integers(0, 10**17).map(lambda number: f"v{number}")))
def test_reference_of_any_name_and_alias_round_trips(name: str, alias: str) -> None:
    """What is read is written as the text it was read from."""
    assert str(Reference.parse(f"{name}:{alias}")) == f"{name}:{alias}"


@pytest.mark.parametrize(
    "words",
    [
        {"name": "iv3", "alias": "a", "number": 1},
        {"name": "iv3", "number": -1},
        {"name": "iv3", "number": 2**63},
        {"name": "iv3", "number": True},
        {"name": "iv3", "number": "1"},
        {"name": "iv3", "alias": ["a"]},
        {"name": "iv3", "alias": "a:b"},
        {"name": "iv3", "digest": "xyz"},
        {"name": "iv3", "digest": 5},
        {"name": "a/b/c", "alias": "a"},
        {"name": None},
        {"name": ["iv3"], "alias": "a"},
    ],
)
def test_reference_made_by_hand_keeps_the_same_rules(words: Any) -> None:
    """A reference is right however it was made, so that nothing wrong reaches the database."""
    with pytest.raises(lineage.InvalidInputError):
        Reference(**words)


def test_reference_made_of_a_name_alone_means_latest() -> None:
    """A bare name is the alias `latest` also where no text was read."""
    assert Reference("iv3") == Reference("iv3", alias="latest")
    assert str(Reference("iv3")) == "iv3:latest"


# --- paths inside an artifact ---


@pytest.mark.parametrize(
    ("given_path", "kept"),
    [
        ("a", "a"),
        ("d/./e//f", "d/e/f"),
        ("./a/", "a"),
        ("a/b/c.txt", "a/b/c.txt"),
        ("...", "..."),
        (" ", " "),
        ("ab:c", "ab:c"),
        ("a/C:", "a/C:"),
        ("-rf", "-rf"),
        ("CON", "CON"),
        ("a\u202eb", "a\u202eb"),
        ("e\u0301", "e\u0301"),
        (PurePosixPath("a/b"), "a/b"),
        ("x" * 255, "x" * 255),
        ("/".join(["x" * 15] * 256), "/".join(["x" * 15] * 256)),
    ],
)
def test_entry_path_of_a_relative_path_is_normalised(given_path: Any, kept: str) -> None:
    """Empty and `.` parts go; nothing else changes, not even Unicode forms."""
    assert values.entry_path(given_path) == kept


@pytest.mark.parametrize(
    ("path", "why"),
    [
        *((one, "it is not UTF-8 text") for one in NOT_TEXT),
        ("\ud800", "it is not UTF-8 text"),
        ("a/\udcff", "it is not UTF-8 text"),
        ("", "it must be relative and not empty"),
        ("/etc/passwd", "it must be relative and not empty"),
        ("//host/share", "it must be relative and not empty"),
        (".", "it leaves the artifact"),
        ("./", "it leaves the artifact"),
        ("..", "it leaves the artifact"),
        ("../a", "it leaves the artifact"),
        ("a/../b", "it leaves the artifact"),
        ("a/..", "it leaves the artifact"),
        ("a\\b", "it holds a backslash, a drive letter or a control character"),
        ("..\\a", "it holds a backslash"),
        ("C:", "it holds a backslash, a drive letter"),
        ("c:/a", "it holds a backslash, a drive letter"),
        ("./c:/a", "it holds a backslash, a drive letter"),
        ("a\0b", "control character"),
        ("a\nb", "control character"),
        ("a\x7f", "control character"),
        ("x" * 256, "a part may have 255 bytes, the whole 4096"),
        ("é" * 128, "a part may have 255 bytes"),
        ("/".join(["x" * 16] * 256), "the whole 4096"),
    ],
)
def test_entry_path_that_is_unsafe_is_refused(path: Any, why: str) -> None:
    """Whatever leaves the artifact, or some system could read otherwise, is refused with the reason."""
    with pytest.raises(lineage.InvalidInputError, match=re.escape(why)) as caught:
        values.entry_path(path)

    assert caught.value.kind == "path-invalid"
    assert str(caught.value).startswith("Invalid artifact path ")
    assert len(str(caught.value)) < 400


@given(entry_paths)
def test_entry_path_of_any_safe_path_is_kept_as_it_is(path: str) -> None:
    """A path in its normal form is its own normal form."""
    assert values.entry_path(path) == path


# --- URIs, ids, times, lists of text ---


@pytest.mark.parametrize("text", ["s3://b/k", "file:///a", "http://h/x?y#z", "urn:x:y", "GS://b", "a+b.c-d:e"])
def test_is_uri_of_a_scheme_and_something_is_true(text: str) -> None:
    """A scheme of two letters or more, a colon and something make a URI."""
    assert values.is_uri(text)


@pytest.mark.parametrize(
    "text", [*NOT_TEXT, "", "a", "C:\\x", "c:x", "/a:b", "s3:", "s3:// b", "s3://\n", "1a:b", "s3://\ud800"]
)
def test_is_uri_of_anything_else_is_false(text: Any) -> None:
    """Drive letters, blanks, half characters and other types are no URI."""
    assert not values.is_uri(text)


def test_new_uid_is_unlike_the_others_and_in_their_order() -> None:
    """Ids are 26 signs, all different, and those of a later millisecond sort after."""
    made = [values.new_uid() for _ in range(2_000)]

    assert len(set(made)) == 2_000
    assert all(re.fullmatch("[0-9a-hjkmnp-tv-z]{26}", uid) for uid in made)
    assert [uid[:10] for uid in made] == sorted(uid[:10] for uid in made)


def test_timestamp_is_utc_with_microseconds() -> None:
    """Times are ISO 8601 text with microseconds and Z."""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", values.timestamp())


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000000Z"),
        ("2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00.000000Z"),
        (datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=-5))), "2026-01-31T17:00:00.000000Z"),
    ],
)
def test_moment_in_any_zone_becomes_utc(when: datetime | str, expected: str) -> None:
    """A time with an offset is the same moment in UTC."""
    assert values.moment(when, "as_of") == expected


def test_moment_without_a_zone_is_local() -> None:
    """A naive time is one of this machine's clock, whichever zone it is in."""
    naive = datetime(2026, 1, 31, 12)

    assert values.moment(naive, "as_of") == values.moment(naive.astimezone(), "as_of")
    assert values.moment("2026-01-31", "as_of") == values.moment(datetime(2026, 1, 31), "as_of")


FAR = [
    datetime.max.replace(tzinfo=timezone(timedelta(hours=-14))),
    datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
]


@pytest.mark.parametrize("when", [*NOT_TEXT, "", "yesterday", "2026-13-01", "\ud800", *FAR])
def test_moment_that_is_none_is_refused(when: Any) -> None:
    """Neither another type nor a date outside the calendar gets further."""
    with pytest.raises(lineage.InvalidInputError, match="^as_of .*: give a datetime or ISO 8601 text"):
        values.moment(when, "as_of")


@pytest.mark.parametrize(
    ("given_list", "kept"),
    [((), ()), ("one", ("one",)), (["a", "b"], ("a", "b")), ({"a": 1}, ("a",)), (iter("ab"), ("a", "b"))],
)
def test_listed_of_texts_is_a_tuple(given_list: Any, kept: tuple[str, ...]) -> None:
    """One text is one name and not its letters; anything that yields texts is a list."""
    assert values.listed(given_list, "tags") == kept


class _Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "'a'"),
        (10**5_000, "a value of type int"),
        (_Unshowable(), "a value of type _Unshowable"),
        ("x" * 1_000, "'" + "x" * 99 + "…" + "x" * 39 + "'"),
    ],
    ids=["short", "endless integer", "broken repr", "long"],
)
def test_shown_is_a_short_text_whatever_the_value_is(value: Any, text: str) -> None:
    """What a message shows is never longer than two lines, and showing it never fails."""
    assert values.shown(value) == text


@pytest.mark.parametrize("given_list", [None, 5, 1.5, b"ab", object()])
def test_listed_of_anything_else_is_refused(given_list: Any) -> None:
    """What yields nothing, or numbers, is no list of texts."""
    with pytest.raises(lineage.InvalidInputError, match="^tags .*: give a text, or a list of texts"):
        values.listed(given_list, "tags")


# --- whole numbers ---


@pytest.mark.parametrize("number", [7, np.int64(7), np.uint8(7)])
def test_whole_number_of_any_type_is_an_int(number: Any) -> None:
    """What counts as a whole number in Python counts here, and comes back as a plain one."""
    found = values.whole_number(number, "depth", "a number of edges", lowest=7, highest=7)

    assert (found, type(found)) == (7, int)


@pytest.mark.parametrize("number", [True, np.bool_(True), 7.0, np.float64(7), "7", b"7", None, 6, 8, [7]])
def test_whole_number_that_is_none_or_out_of_bounds_is_refused(number: Any) -> None:
    """A bool is no number, and a float is none that counts."""
    with pytest.raises(lineage.InvalidInputError, match="^depth .*: give a number of edges"):
        values.whole_number(number, "depth", "a number of edges", lowest=7, highest=7)


def test_numpy_counts_wherever_a_number_is_asked_for(project: lineage.Project) -> None:
    """A depth, a number of versions to keep and an exit code may come out of an array."""
    run = project.start_run(id="r")
    versions = [run.log_artifact(lineage.Artifact(name, "dataset")) for name in "ab"]
    run.finish(exit_code=np.int8(3))  # type: ignore[arg-type]  # numpy's are as good

    assert [node.id for node in versions[0].ancestors(depth=np.int64(1))] == ["r"]  # type: ignore[arg-type]  # likewise
    assert project.prune(keep_last=np.int64(1)).versions == ()  # type: ignore[arg-type]  # likewise
    assert project.run("r").exit_code == 3
