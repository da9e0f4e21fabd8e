"""What changed between two versions: files, metadata, config of their runs, and upstream."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import draft
from footprint import refused

import lineage
from lineage import ErrorKind, InvalidInputError, NotFoundError, Project
from lineage.comparison import Change, changes

Files = dict[str, str | bytes]


def log(where: Project | lineage.ActiveRun, name: str, files: Files, metadata: object = None) -> lineage.Version:
    """Log these files as a version of an artifact."""
    version = where.log_artifact(draft(name, files, metadata=metadata))
    assert version is not None
    return version


def test_diff_sorts_files_into_added_removed_and_changed(project: Project) -> None:
    """Each entry is where it belongs, by path; what is the same is counted."""
    old = log(project, "m", {"gone/b": "1", "gone/a": "1", "same": "2", "new": "3", "also": "5"})
    new = log(project, "m", {"same": "2", "new": "four", "come": "6", "also": "5"})

    found = project.diff("m:v0", "m:v1")

    assert (found.old, found.new) == ("m:v0", "m:v1")
    assert [entry.path for entry in found.added] == ["come"]
    assert [entry.path for entry in found.removed] == ["gone/a", "gone/b"]
    assert [(before.path, before.size, after.size) for before, after in found.changed] == [("new", 1, 4)]
    assert (found.unchanged, found.same_content) == (2, False)
    assert found == old.diff(new)


def test_diff_the_other_way_round_turns_it_round(project: Project) -> None:
    """What was added is removed when one looks back."""
    log(project, "m", {"same": "1", "gone": "2"})
    log(project, "m", {"same": "1", "come": "3"})

    found = project.diff("m:v1", "m:v0")

    assert ([entry.path for entry in found.added], [entry.path for entry in found.removed]) == (["gone"], ["come"])


def test_diff_of_a_version_with_itself_is_empty(project: Project) -> None:
    """Nothing differs from itself."""
    log(project, "m", {"a": "1", "b": "2"}, {"iou": 0.5})

    found = project.diff("m", "m:v0")

    assert (found.added, found.removed, found.changed, found.unchanged) == ((), (), (), 2)
    assert (found.metadata, found.config, found.upstream, found.same_content) == ({}, {}, {}, True)


def test_diff_of_two_empty_versions_is_empty(project: Project) -> None:
    """Versions without files can be compared."""
    for name in ("a", "b"):
        project.log_artifact(draft(name))

    assert project.diff("a", "b").same_content


def test_diff_of_different_artifacts_compares_their_files(project: Project) -> None:
    """The same content under two names is the same content."""
    log(project, "a", {"x": "1"})
    log(project, "b", {"x": "1"})

    found = project.diff("a", "b")

    assert (found.old, found.new, found.unchanged, found.same_content) == ("a:v0", "b:v0", 1, True)


def test_diff_of_a_file_that_moved_is_removed_and_added(project: Project) -> None:
    """A path is what is compared: the same bytes elsewhere are another entry."""
    log(project, "m", {"here": "1"})
    log(project, "m", {"there": "1"})

    found = project.diff("m:v0", "m:v1")

    assert found.removed[0].digest == found.added[0].digest
    assert found.unchanged == 0


def test_diff_of_bytes_and_a_reference_to_them_is_a_change(project: Project, tmp_path: Path) -> None:
    """Whether the store holds the bytes or points to them is a difference."""
    (tmp_path / "x").write_text("1")
    log(project, "m", {"x": "1"})
    pointing = draft("m")
    pointing.add_reference((tmp_path / "x").as_uri(), "x")
    project.log_artifact(pointing)

    ((before, after),) = project.diff("m:v0", "m:v1").changed

    assert (before.uri, after.uri) == (None, (tmp_path / "x").as_uri())
    assert before.digest == after.digest


def test_diff_of_many_files_finds_the_few_that_changed(project: Project) -> None:
    """Versions share the parts in which nothing changed; in the others only the changed files are named."""
    files: Files = {f"{number:04}": str(number) for number in range(3000)}
    first = draft("m", {"0000": "0"})
    project.log_artifact(first)
    big = log(project, "m", files)
    again = big.new_draft()
    again.remove("1500")
    with again.new_file("2500", "w") as file:
        file.write("other")
    with again.new_file("9999") as file:
        file.write("new")
    project.log_artifact(again)

    found = project.diff("m:v1", "m:v2")

    assert [entry.path for entry in found.added] == ["9999"]
    assert [entry.path for entry in found.removed] == ["1500"]
    assert [before.path for before, _ in found.changed] == ["2500"]
    assert found.unchanged == 2998
    assert project.diff("m:v0", "m:v1").unchanged == 1


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 2}, {"a": Change(1, 2)}),
        ({"a": 1}, {}, {"a": Change(1, None)}),
        ({}, {"a": 1}, {"a": Change(None, 1)}),
        ({}, {"a": None}, {"a": Change(None, None)}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, {"a.c": Change(2, 3)}),
        ({"a": {"b": 1}}, {"a": 1}, {"a": Change(None, 1), "a.b": Change(1, None)}),
        ({"a": {}}, {"a": {"b": 1}}, {"a": Change({}, None), "a.b": Change(None, 1)}),
        ({"a": {}}, {}, {"a": Change({}, None)}),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, {"a": Change([1, {"b": 2}], [1, {"b": 3}])}),
        ({"b": 1, "a": 1}, {"a": 2, "b": 2}, {"a": Change(1, 2), "b": Change(1, 2)}),
        ({"a": 1}, {"a": "1"}, {"a": Change(1, "1")}),
        ({"a": 1}, {"a": True}, {"a": Change(1, True)}),
        ({"a": False}, {"a": 0.0}, {"a": Change(False, 0.0)}),
        ({"a": [[0]]}, {"a": [[False]]}, {"a": Change([[0]], [[False]])}),
        ({"a": [{"b": 1}]}, {"a": [{"b": True}]}, {"a": Change([{"b": 1}], [{"b": True}])}),
        ({"a": 1}, {"a": 1.0}, {}),
        ({"a": [{"b": 1, "c": 2}]}, {"a": [{"c": 2, "b": 1.0}]}, {}),
    ],
    ids=[
        "changed",
        "gone",
        "new",
        "new-null",
        "nested",
        "object-to-value",
        "empty-to-filled",
        "empty-gone",
        "list",
        "sorted",
        "text",
        "true-for-1",
        "false-for-0",
        "bool-in-lists",
        "bool-in-an-object-in-a-list",
        "1-and-1.0",
        "other-order-of-keys",
    ],
)
def test_changes_between_objects_names_each_key(
    old: dict[str, Any], new: dict[str, Any], expected: dict[str, Change]
) -> None:
    """Keys that differ with both values, nested ones dotted; numbers are compared as numbers, true is no number."""
    found = changes(old, new)

    assert repr(found) == repr(expected)


def test_diff_names_changed_metadata_and_config(project: Project) -> None:
    """Metadata is the versions' own, config that of the runs that produced them."""
    with project.start_run(config={"lr": 0.1, "net": {"depth": 3}, "seed": 1}) as run:
        log(run, "m", {"a": "1"}, {"iou": 0.4, "classes": {"n": 10}})
    with project.start_run(config={"lr": 0.2, "net": {"depth": 5}, "seed": 1}) as run:
        log(run, "m", {"a": "2"}, {"iou": 0.5, "classes": {"n": 10}, "note": "x"})

    found = project.diff("m:v0", "m:v1")

    assert found.metadata == {"iou": Change(0.4, 0.5), "note": Change(None, "x")}
    assert found.config == {"lr": Change(0.1, 0.2), "net.depth": Change(3, 5)}


def test_diff_with_a_version_that_no_run_made_has_no_config_on_that_side(project: Project) -> None:
    """A version without producer counts as made with an empty config."""
    log(project, "m", {"a": "1"})
    with project.start_run(config={"lr": 0.2}) as run:
        log(run, "m", {"a": "2"})

    assert project.diff("m:v0", "m:v1").config == {"lr": Change(None, 0.2)}


def script_run(project: Project, script: Path, text: str, content: str) -> None:
    """Let a program of this text log a version of m."""
    log_it = f"with lineage.open({str(project.file)!r}).start_run() as run:\n    run.log_artifact(draft)\n"
    make = f"draft = lineage.Artifact('m', 'model')\nwith draft.new_file('a') as file:\n    file.write({content!r})\n"
    script.write_text(f"import lineage\n{make}{log_it}{text}\n")
    subprocess.run([sys.executable, script, content], check=True, cwd=script.parent)


def test_diff_names_changed_code(project: Project, tmp_path: Path) -> None:
    """Whether the program changed is the first question; what is the same of it is left out."""
    for content in ("0", "1"):
        script_run(project, tmp_path / "s.py", f"# {content}", content)
    old, new = (run.record.code for run in project.runs())

    found = project.diff("m:v0", "m:v1").code

    assert old["script_digest"] != new["script_digest"]
    assert found == {
        "command": Change(old["command"], new["command"]),
        "script_digest": Change(old["script_digest"], new["script_digest"]),
    }


def test_diff_of_versions_of_one_program_names_no_code(project: Project) -> None:
    """What both runs were is no difference."""
    for content in ("0", "1"):
        with project.start_run() as run:
            log(run, "m", {"a": content})

    assert project.diff("m:v0", "m:v1").code == {}


def test_diff_of_metadata_that_was_updated_takes_what_it_is_now(project: Project) -> None:
    """Metadata may be changed after logging, and a difference is of today's."""
    log(project, "m", {"a": "1"}, {"iou": 0.4})
    log(project, "m", {"a": "2"}, {"iou": 0.5})
    project.version("m:v0").update(metadata={"iou": 0.5})

    assert project.diff("m:v0", "m:v1").metadata == {}


def test_diff_names_what_only_one_has_upstream(project: Project) -> None:
    """What both came from is left out; the rest is by artifact, however far upstream."""
    for content in ("0", "1"):
        log(project, "raw", {"a": content})
        with project.start_run(use="raw") as run:
            log(run, "data", {"a": content})
    log(project, "shared", {"a": "s"})
    log(project, "extra", {"a": "e"})
    for number, use in ((0, ["data:v0", "shared"]), (1, ["data:v1", "shared", "extra"])):
        with project.start_run(use=use) as run:
            log(run, "m", {"a": str(number)})

    found = project.diff("m:v0", "m:v1").upstream

    assert found == {
        "data": (("data:v0",), ("data:v1",)),
        "extra": ((), ("extra:v0",)),
        "raw": (("raw:v0",), ("raw:v1",)),
    }
    assert list(found) == ["data", "extra", "raw"]


def test_diff_of_a_version_and_what_was_tuned_from_it_names_the_first_upstream(project: Project) -> None:
    """That the new model was made from the old one is what changed, and more than the data they have in common."""
    log(project, "m", {"a": "0"})
    log(project, "data", {"a": "d"})
    with project.start_run(use=["m", "data"]) as run:
        log(run, "m", {"a": "1"})

    assert project.diff("m:v0", "m:v1").upstream == {"data": ((), ("data:v0",)), "m": ((), ("m:v0",))}
    assert project.diff("m:v1", "m:v0").upstream == {"data": (("data:v0",), ()), "m": (("m:v0",), ())}


def test_diff_lists_several_versions_of_one_artifact_upstream(project: Project) -> None:
    """An ensemble came from several versions of one artifact."""
    for content in ("0", "1"):
        log(project, "part", {"a": content})
    log(project, "m", {"a": "0"})
    with project.start_run(use=["part:v0", "part:v1"]) as run:
        log(run, "m", {"a": "1"})

    assert project.diff("m:v0", "m:v1").upstream == {"part": ((), ("part:v0", "part:v1"))}


def test_diff_with_a_deleted_version_is_refused(project: Project) -> None:
    """The content of a deleted version is gone, so nothing can be said about it; by reference or by handle."""
    old = log(project, "m", {"a": "1"})
    new = log(project, "m", {"a": "2"})
    project.version("m:v0").delete()

    asks: list[Callable[[], object]] = [
        lambda: project.diff("m:v0", "m:v1"),
        lambda: project.diff("m:v1", "m:v0"),
        lambda: project.diff(old, new),
        lambda: old.diff(new),
        lambda: new.diff(old),
    ]
    for ask in asks:
        with refused(project, NotFoundError, "m:v0 was deleted", ErrorKind.VERSION_DELETED):
            ask()


def test_diff_with_an_unknown_version_is_not_found(project: Project) -> None:
    """A version that is not there is named."""
    log(project, "m", {"a": "1"})

    with refused(project, NotFoundError, "no version 'm:v7'", ErrorKind.VERSION_NOT_FOUND):
        project.diff("m", "m:v7")


def test_diff_with_a_version_of_another_project_is_refused(project: Project, tmp_path: Path) -> None:
    """Two projects know nothing of each other, whichever way one asks."""
    mine = log(project, "m", {"a": "1"})
    other = log(lineage.open(tmp_path / "other.lineage"), "m", {"a": "1"})

    asks: list[Callable[[], object]] = [lambda: project.diff(mine, other), lambda: mine.diff(other)]
    for ask in asks:
        with pytest.raises(InvalidInputError, match="belong"):
            ask()


def test_diff_of_a_handle_with_what_is_no_version_is_refused(project: Project) -> None:
    """A handle is compared with a handle; references are for the project's diff."""
    version = log(project, "m", {"a": "1"})

    with refused(project, InvalidInputError, "'m:v0' is no version; project.diff takes references"):
        version.diff("m:v0")  # type: ignore[arg-type]  # what a caller may try
