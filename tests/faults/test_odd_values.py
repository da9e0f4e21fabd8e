"""Text and values of any kind: each comes back as it was given, or is refused with a LineageError."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from itertools import count
from pathlib import Path
from typing import Any

import plants_values
import pytest
from conftest import draft
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from invariants import assert_store_sound
from ledger import Ledger
from plants import Bug, planted

import lineage

TEXT = pytest.mark.faults("P18", "F72 F73 F78-F80", "odd text in every field that takes some")
VALUES = pytest.mark.faults("P18", "F74-F77", "odd numbers, keys and depths in every field that takes values")
_next = count()


# --- where text may go, and how it is read again ---

Keep = Callable[[lineage.Project, Any], object]


def _logged(project: lineage.Project, made: lineage.Artifact, **how: Any) -> lineage.Version:
    with made.new_file("own") as file:
        file.write(f"{next(_next)}")
    version = project.log_artifact(made, **how)
    assert version is not None
    return project.version(version.reference)


def _run(project: lineage.Project, attribute: str, **how: Any) -> object:
    with project.start_run(**how) as run:
        pass
    return getattr(project.run(run.id), attribute)


def _updated(project: lineage.Project, attribute: str, value: Any) -> object:
    with project.start_run() as run:
        pass
    project.run(run.id).update(**{attribute: value})
    return getattr(project.run(run.id), attribute)


def _used_as(project: lineage.Project, value: Any) -> object:
    with project.start_run() as run:
        run.use_artifact("base", value)
    return next(iter(project.run(run.id).used_as().values()), None)


def _in_file(project: lineage.Project, value: Any) -> object:
    made = lineage.Artifact("d", "dataset")
    with made.new_file(value) as file:
        file.write("1")
    version = project.log_artifact(made, force_new_version=True)
    (entry,) = project.version(version.reference).files()
    assert version.open(entry.path).read() == b"1"
    return entry.path


def _linked(project: lineage.Project, value: Any) -> object:
    made = lineage.Artifact("refs", "dataset")
    (entry,) = made.add_reference(f"s3://bucket/{value}" if isinstance(value, str) else value, "r")
    version = project.log_artifact(made, force_new_version=True)
    assert version.files()[0].uri == entry.uri
    return str(entry.uri).removeprefix("s3://bucket/")


def _metric(project: lineage.Project, value: Any) -> object:
    with project.start_run() as run:
        data: dict[Any, object] = {value: 1} if isinstance(value, Hashable) else value
        run.log(data)
    (row,) = project.run(run.id).history()
    (name,) = row.values
    return name


def _aliased(project: lineage.Project, value: Any) -> object:
    version = _logged(project, lineage.Artifact("d", "dataset"), aliases=[value])
    assert project.version(f"d:{value}") == version
    return next(iter(set(version.aliases) - {"latest"}), "latest")


def _collected(project: lineage.Project, value: Any) -> object:
    link = project.link("base", value)
    assert project.version(link.reference) == link
    return link.name


def _named(project: lineage.Project, value: Any) -> object:
    version = _logged(project, lineage.Artifact(value, "dataset"))
    assert project.artifact(value).name == version.name
    return version.name


TEXTS: dict[str, Keep] = {
    "artifact name": _named,
    "artifact type": lambda p, x: _logged(p, lineage.Artifact(f"t{next(_next)}", x)).type,
    "description": lambda p, x: _logged(p, lineage.Artifact("d", "dataset", x)).description,
    "artifact description": lambda p, x: p.update_artifact("base", description=x).description or "",
    "alias": _aliased,
    "tag": lambda p, x: _logged(p, lineage.Artifact("d", "dataset"), tags=[x]).tags[0],
    "path": _in_file,
    "reference": _linked,
    "collection": _collected,
    "run id": lambda p, x: _run(p, "id", id=x),
    "run name": lambda p, x: _run(p, "name", name=x),
    "job type": lambda p, x: _run(p, "job_type", job_type=x),
    "group": lambda p, x: _run(p, "group", group=x),
    "notes": lambda p, x: _run(p, "notes", notes=x),
    "notes later": lambda p, x: _updated(p, "notes", x) or "",
    "run tag": lambda p, x: _run(p, "tags", tags=[x])[0],  # type: ignore[index]  # a tuple
    "use_as": _used_as,
    "metric": _metric,
}

ODD_TEXTS: list[Any] = [
    "", " ", " a", "a ", "\n", "a\nb", "a\r\nb", "\t", "\0", "a\0b", "\x1b[31m", "\x7f", "\x85", "\u2028",
    "\u202e", "\ufeff",
    "\ud800", "a\udcff", "ä", "a\u0308", "ﬁ", "İ", "ß", "\U0001f600", "x" * 128, "x" * 129, "x" * 512, "x" * 513,
    "x" * 100_000,
    "'; DROP TABLE run; --", '"', "%s%n", "{0}", "{{7*7}}", "<script>alert(1)</script>", "</script>", "__proto__",
    "$(x)`y`",
    "../x", "/x", "a/../b", "a//b", "./a", "C:\\x", "a\\b", "CON", "a:b", "a@b", "v3", "v03", "latest", "v" + "9" * 400,
    "@", ":", "#", "?",
    "javascript:alert(1)", "file:///etc/passwd", "lineage:x", "null", "true", "1", "-1", "NaN",
    "-rf", "--", "~", "*", "%00", "%2e%2e",
    None, 1, 1.5, True, b"x", ["x"], {"x": 1}, ("x",), object(), Path("x"), float("nan"),
]  # fmt: skip


def tried(keep: Keep, project: lineage.Project, place: str, given_value: Any) -> None:
    """Fail unless what is given comes back, or a LineageError."""
    try:
        back = keep(project, given_value)
    except lineage.LineageError as error:
        assert len(str(error)) <= 4_001
        return
    except AssertionError:
        raise
    except Exception as error:  # noqa: BLE001 (that is the point)
        pytest.fail(f"{place} of {given_value!r:.80}: {error!r:.200}")
    if place in {"path", "metric"} and not isinstance(given_value, str):
        return  # a Path is text there; a number as a key is what JSON makes of it, as the documents say
    if place == "path":  # as it is stored, say the documents
        given_value = "/".join(part for part in given_value.split("/") if part not in ("", "."))
    if given_value is not None:  # that is: not given
        changed = (type(back), back) != (type(given_value), given_value)
        assert not changed, f"{place}: {given_value!r:.80} became {back!r:.80}"


def check_texts(project: lineage.Project, place: str, examples: int, bug: Bug | None = None) -> int:
    """Fail unless the place keeps odd text, and what Hypothesis thinks of, or refuses it."""
    project.log_artifact(draft("base", {"a": "1"}))

    @settings(max_examples=examples, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.text(max_size=40) | st.text(st.characters(categories=["L", "N", "Zs", "Mn", "Cf"]), max_size=12))
    def search(text: str) -> None:
        tried(TEXTS[place], project, place, text)

    with planted(bug):
        for text in ODD_TEXTS:
            tried(TEXTS[place], project, place, text)
        search()
    assert_store_sound(project)
    return len(ODD_TEXTS) + examples


# --- where values may go ---

OBJECTS: dict[str, Keep] = {
    "metadata": lambda p, x: _logged(p, lineage.Artifact("d", "dataset", metadata=x)).metadata,
    "config": lambda p, x: _run(p, "config", config=x),
}


def _summarised(project: lineage.Project, value: Any) -> object:
    with project.start_run() as run:
        run.summary.update(value)
    return project.run(run.id).summary


OBJECTS["summary"] = _summarised


def _deep(depth: int) -> Any:
    made: Any = "bottom"
    for _ in range(depth):
        made = [made]
    return made


_circle: list[Any] = []
_circle.append(_circle)

EXACT_VALUES: list[Any] = [
    None, True, False, 0, -0.0, 0.1, 5e-324, 1e308, -1e308, 2**53 + 1, -(2**53) - 1, 2**63, 2**64 + 1, 10**400,
    -(10**4_000), "", "\0", "\u2028", "\x1b", "a\r\nb", "a\u0308", "</script>", "\U0001f600", "NaN", "1e999",
    [], {}, [[]], {"": ""}, {"a": {"b": [1, 2.5, None]}}, {"__proto__": 1}, {"a.b": 1, "a": {"b": 2}}, {"\0": 1},
    _deep(50), ["x"] * 10_000, "x" * 100_000, {str(n): n for n in range(2_000)},
]  # fmt: skip
"""What JSON has: it is kept to the last bit."""
REFUSED_VALUES: list[Any] = [
    float("inf"), -float("inf"), [float("inf")], {"a": float("-inf")}, "\ud800", {"\udcff": 1}, 10**5_000, _deep(101),
    _deep(100_000), _circle, b"x", object(), {object(): 1}, {b"x": 1}, {(1, 2): 1}, {"1": 1, 1: 2},
    {"null": 1, None: 2}, {True: 1, "true": 2}, "x" * (17 << 20), lambda: 1, complex(1, 2), type, open,
    {"a": {"b": {"c": object()}}}, Ellipsis, NotImplemented,
]  # fmt: skip
"""What it has not, and what is too much."""

_plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


def check_values(project: lineage.Project, place: str, examples: int, bug: Bug | None = None) -> int:
    """Fail unless JSON's values come back to the last bit, and all others are refused."""
    keep = OBJECTS[place]

    def exact(value: Any) -> None:
        try:
            back = keep(project, {"key": value})
        except lineage.LineageError as error:
            if not _has_surrogates(value):
                pytest.fail(f"{place} refuses {value!r:.80}: {error}")
            return
        except Exception as error:  # noqa: BLE001 (that is the point)
            pytest.fail(f"{place} of {value!r:.80}: {error!r:.200}")
        assert repr(back) == repr({"key": value}), f"{value!r:.80} came back otherwise"

    with planted(bug):
        for value in EXACT_VALUES:
            exact(value)
        for value in REFUSED_VALUES:
            try:
                keep(project, {"key": value})
            except lineage.InvalidInputError:
                continue
            except Exception as error:  # noqa: BLE001 (that is the point)
                pytest.fail(f"{place} of {type(value)}: {error!r:.200}")
            pytest.fail(f"{place} takes {value!r:.80}")

        @settings(max_examples=examples, database=None, deadline=None, suppress_health_check=list(HealthCheck))
        @given(_plain)
        def search(value: Any) -> None:  # a function of its own, for Hypothesis to call
            exact(value)

        search()
    assert_store_sound(project)
    return len(EXACT_VALUES) + len(REFUSED_VALUES) + examples


def _has_surrogates(value: object) -> bool:
    return any("\ud800" <= sign <= "\udfff" for sign in _text_of(value))


def _text_of(value: object) -> str:
    if isinstance(value, dict):
        return "".join(key + _text_of(item) for key, item in value.items())
    if isinstance(value, list):
        return "".join(map(_text_of, value)) if len(value) < 100 else ""
    return value if isinstance(value, str) else ""


# --- the tests ---


@TEXT
@pytest.mark.parametrize("place", TEXTS)
@pytest.mark.timeout(1_200)
def test_text_is_kept_exactly_or_refused(project: lineage.Project, ledger: Ledger, place: str) -> None:
    """No other error, and nothing that comes back changed."""
    ledger.case(check_texts(project, place, 500 if ledger.long else 5))


@TEXT
@pytest.mark.parametrize(
    ("bug", "place"),
    [
        (plants_values.blanks_around_text_are_dropped, "description"),
        (plants_values.text_is_normalised, "job type"),
        (plants_values.anything_printable_is_a_type, "artifact type"),
        (plants_values.paths_are_joined_as_they_are, "path"),
        (plants_values.aliases_are_not_checked, "alias"),
    ],
    ids=lambda one: getattr(one, "name", one),
)
def test_bug_in_text_is_caught(project: lineage.Project, ledger: Ledger, bug: Bug, place: str) -> None:
    """Each changes one, or lets one through."""
    with ledger.catches(bug.name):
        check_texts(project, place, 10, bug)


@VALUES
@pytest.mark.parametrize("place", OBJECTS)
@pytest.mark.timeout(1_200)
def test_value_is_kept_exactly_or_refused(project: lineage.Project, ledger: Ledger, place: str) -> None:
    """Nothing is rounded, cut or turned into text."""
    ledger.case(check_values(project, place, 1_000 if ledger.long else 20))


@VALUES
@pytest.mark.parametrize(
    ("bug", "place"),
    [(plants_values.numbers_go_through_floats, "metadata"), (plants_values.line_ends_become_one, "config")],
    ids=lambda one: getattr(one, "name", one),
)
def test_bug_in_values_is_caught(project: lineage.Project, ledger: Ledger, bug: Bug, place: str) -> None:
    """A number or a sign less."""
    with ledger.catches(bug.name):
        check_values(project, place, 5, bug)
