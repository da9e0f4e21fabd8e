"""The errors: one base, a stable kind, a sentence, and what survives between processes."""

from __future__ import annotations

import copy
import pickle

import pytest

import lineage
from lineage.errors import ErrorKind

CLASSES = [
    (lineage.NotFoundError, "not-found", LookupError),
    (lineage.ConflictError, "conflict", Exception),
    (lineage.InvalidInputError, "invalid-input", ValueError),
    (lineage.StateError, "wrong-state", Exception),
    (lineage.BusyError, "busy", Exception),
    (lineage.ReadOnlyError, "read-only", Exception),
    (lineage.StorageError, "storage", Exception),
    (lineage.CorruptionError, "corruption", Exception),
    (lineage.FormatError, "format", Exception),
]


@pytest.mark.parametrize(("error", "kind", "parent"), CLASSES, ids=lambda value: getattr(value, "__name__", value))
def test_raise_without_kind_takes_that_of_the_class(
    error: type[lineage.LineageError], kind: str, parent: type[Exception]
) -> None:
    """Each class has a kind of its own, and the builtin parent that programs catch already."""
    raised = error("a sentence")

    assert raised.kind == kind
    assert isinstance(raised, parent)
    assert isinstance(raised, lineage.LineageError)
    assert str(raised) == "a sentence"


def test_raise_with_kind_keeps_it() -> None:
    """A finer kind replaces that of the class."""
    raised = lineage.NotFoundError("no alias", kind=ErrorKind.ALIAS_NOT_FOUND)

    assert raised.kind == "alias-not-found"


def test_str_of_a_lookup_error_is_not_quoted() -> None:
    """The sentence is printed as it is, also where a builtin parent such as KeyError would quote it."""
    assert str(lineage.NotFoundError("no run 'a'")) == "no run 'a'"


@pytest.mark.parametrize("way", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy])
def test_pickle_and_copy_keep_class_sentence_and_kind(way: object) -> None:
    """An error crosses from a worker process whole, notes and attributes included."""
    error = lineage.CycleError("a cycle", cycle=("a", "b:v0"))
    error.add_note("a hint")

    again = way(error)  # type: ignore[operator]

    assert type(again) is lineage.CycleError
    assert (str(again), again.kind, again.cycle, again.__notes__) == ("a cycle", "cycle", ("a", "b:v0"), ["a hint"])


def test_kinds_are_words_that_are_only_added_to() -> None:
    """The kinds that programs may have written down are still there, each once."""
    known = {
        "lineage-error", "not-found", "project-not-found", "run-not-found", "artifact-not-found", "version-not-found",
        "alias-not-found", "entry-not-found", "version-deleted", "content-missing", "conflict", "name-taken",
        "alias-protected", "aliases-block", "run-exists", "cycle", "invalid-input", "name-invalid", "alias-invalid",
        "tag-invalid", "reference-invalid", "reference-ambiguous", "path-invalid", "digest-invalid", "type-clash",
        "json-invalid", "filter-invalid", "sql-invalid", "source-invalid", "source-changed", "wrong-state",
        "run-finished", "draft-logged", "busy", "read-only", "storage", "remote", "corruption", "content-damaged",
        "format", "not-a-project", "newer-format",
    }  # fmt: skip

    assert known <= {kind.value for kind in ErrorKind}
    assert len({kind.value for kind in ErrorKind}) == len(ErrorKind)
