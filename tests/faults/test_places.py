"""Where a project lies: the file that was opened is worked on and no other, whatever it and its folders are called."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import plants_places
import pytest
from conftest import draft
from footprint import files, footprint, rows
from invariants import assert_store_sound
from jobs import answer
from ledger import Ledger
from plants import Bug, planted

import lineage
from lineage.upkeep.problems import Problem

REPLACED = pytest.mark.faults("P16", "F35", "the project is renamed, removed or replaced while it is open")
LINKED = pytest.mark.faults("P16", "F36 F37", "hard and symbolic links to the project and inside its folder")
CALLED = pytest.mark.faults("P18", "F39", "folders and files of odd names, up to 4,000 bytes")
CLOSED = pytest.mark.faults("P7", "F41", "started without stdin, stdout and stderr")
LARGE = b"x" * 20_000


def made(path: Path, word: str) -> lineage.Project:
    """Return a new project with one version."""
    path.parent.mkdir(exist_ok=True)
    project = lineage.open(path)
    with project.start_run(id=f"run-{word}") as run:
        run.log_artifact(draft("d", {"a": LARGE + word.encode(), "small": word}))
    return project


# --- replaced ---


def _remove(file: Path, _: Path) -> None:
    file.unlink()


def _rename_folder(file: Path, _: Path) -> None:
    file.parent.rename(file.parent.with_name("elsewhere"))


def _replace(file: Path, other: Path) -> None:
    shutil.copy(other, file.with_name("moved in"))
    file.with_name("moved in").replace(file)


def _replace_folder(file: Path, other: Path) -> None:
    _rename_folder(file, other)
    file.parent.mkdir()
    shutil.copy(other, file)


def _write_over(file: Path, other: Path) -> None:
    """Give the same inode to another project, as a file system gives it that has just been freed."""
    shutil.copyfile(other, file)


def _replace_by_a_copy(file: Path, _: Path) -> None:
    shutil.copy(file, file.with_name("copy"))
    file.with_name("copy").replace(file)


CHANGES = [_remove, _rename_folder, _replace, _replace_folder, _write_over, _replace_by_a_copy]


def told(problems: Sequence[Problem]) -> None:
    """Raise what a report says is wrong with the project file."""
    if problems:
        raise lineage.LineageError(problems[0].message)


Call = Callable[[lineage.Project, lineage.Version], object]
CALLS: dict[str, Call] = {
    "log": lambda project, _: project.log_artifact(draft("new", {"a": LARGE})),
    "log small": lambda project, _: project.log_artifact(draft("new", {"a": "1"})),
    "start_run": lambda project, _: project.start_run(),
    "batch": lambda project, _: project.batch().__enter__(),
    "alias": lambda _, version: version.add_alias("best"),
    "delete": lambda _, version: version.delete(delete_aliases=True),
    "gc": lambda project, _: project.gc(),
    "prune": lambda project, _: project.prune(keep_last=1),
    "unpack": lambda project, _: project.unpack(),
    "verify": lambda project, _: told(project.verify().problems),
    "repair": lambda project, _: told(project.repair(dry_run=False).remaining),
    "versions": lambda project, _: project.versions()[0],
    "snapshot": lambda project, _: project.snapshot().__enter__(),
    "small": lambda _, version: version.open("small").read(),
    "pack": lambda project, _: project.pack("share.lineage"),
    "sql": lambda project, _: project.sql("SELECT 1 AS one"),
}


def check_replaced(folder: Path, change: Callable[[Path, Path], None], bug: Bug | None = None) -> int:
    """Fail unless every call is refused that would read or write what lies in the project's place now."""
    other = made(folder / "other" / "q.lineage", "other")
    with planted(bug):
        project = made(folder / "here" / "p.lineage", "ours")
        version = project.version("d")
        assert project.file.stat().st_nlink == 1
        change(project.file, other.file)
        before = _all_below(folder / "here")
        for name, call in CALLS.items():
            try:
                call(project, version)
            except lineage.LineageError as error:
                assert str(project.file) in str(error) or str(project.blob_folder) in str(error), (name, error)
            else:
                pytest.fail(f"{name} works on another file")
        assert _all_below(folder / "here") == before
        assert not (folder / "share.lineage").exists()
    return len(CALLS)


def _all_below(folder: Path) -> dict[str, object]:
    """Return rows and bytes of what lies in a folder; where a project is, its locks may come."""
    if not folder.exists():
        return {}
    found = files(folder)
    return found | {str(one): rows(one) for one in folder.glob("*.lineage")}


@REPLACED
@pytest.mark.parametrize("change", CHANGES, ids=lambda one: one.__name__)
def test_project_that_was_replaced_is_left_alone(
    tmp_path: Path, ledger: Ledger, change: Callable[[Path, Path], None]
) -> None:
    """No call reads or writes another file in its name, nor makes anything beside it."""
    ledger.case(check_replaced(tmp_path, change))


@REPLACED
@pytest.mark.parametrize(
    ("bug", "change"),
    [
        (plants_places.only_the_inode_is_compared, _write_over),
        (plants_places.only_the_id_is_compared, _replace_by_a_copy),
        (plants_places.the_file_is_remembered_by_its_path, _replace),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_bug_in_telling_files_apart_is_caught(
    tmp_path: Path, ledger: Ledger, bug: Bug, change: Callable[[Path, Path], None]
) -> None:
    """Inode and id are needed both."""
    with ledger.catches(bug.name):
        check_replaced(tmp_path, change, bug)


@REPLACED
def test_project_replaced_by_a_copy_works_once_it_is_opened_again(project: lineage.Project, ledger: Ledger) -> None:
    """The error says what to do, and that helps; the other object stays refused."""
    project.log_artifact(draft("d", {"a": LARGE}))
    _replace_by_a_copy(project.file, project.file)
    with pytest.raises(lineage.StateError, match="open it again"):
        project.log_artifact(draft("d", {"a": "2"}))

    again = lineage.open(project.file)
    again.log_artifact(draft("d", {"a": "2"}))

    assert_store_sound(again)
    ledger.case()


# --- links ---


def _writes(project: lineage.Project) -> list[Callable[[], object]]:
    return [
        lambda: project.log_artifact(draft("n", {"a": "1"})),
        project.start_run,
        project.gc,
        project.batch().__enter__,
    ]


def check_hard_links(folder: Path, bug: Bug | None = None) -> int:
    """Fail unless a second name stops writes through either, and leaves reads."""
    with planted(bug):
        project = made(folder / "here" / "p.lineage", "ours")
        second = folder / "here" / "second.lineage"
        second.hardlink_to(project.file)
        before = footprint(project)
        for one in (project, lineage.open(project.file), lineage.open(second)):
            for call in _writes(one):
                with pytest.raises(lineage.StorageError, match="2 names"):
                    call()
            assert [version.reference for version in one.versions()] == ["d:v0"]
        assert footprint(project) == before
        second.unlink()
        project.log_artifact(draft("n", {"a": "1"}))
        _check_leftovers(project)
        assert_store_sound(project)
    return 12


def _check_leftovers(project: lineage.Project) -> None:
    """A creation or a packing that was cut off has left a name: it is no reason to refuse."""
    draft_of_creation = project.file.with_name(f".{project.file.name}.0123456789abcdef.tmp")
    draft_of_creation.hardlink_to(project.file)
    packing = project.file.with_name(f".{project.file.name}.0123456789abcdef.pack")
    packing.mkdir()
    (packing / "draft").hardlink_to(project.file)
    try:
        project.log_artifact(draft("n", {"a": "2"}))
    except lineage.StorageError as error:
        pytest.fail(str(error))
    project.gc()
    assert not draft_of_creation.exists()
    shutil.rmtree(packing)


def check_links(folder: Path, bug: Bug | None = None) -> int:
    """Fail unless a link to the project is resolved once, and one inside the store refused."""
    with planted(bug):
        there = made(folder / "there" / "p.lineage", "there")
        other = made(folder / "other" / "p.lineage", "other")
        link = folder / "link.lineage"
        link.symlink_to(there.file)
        project = lineage.open(link)
        link.unlink()
        link.symlink_to(other.file)
        before = footprint(other)
        project.log_artifact(draft("n", {"a": LARGE + b"2"}))
        assert footprint(other) == before
        assert not link.with_suffix(".blobs").exists()
        assert there.version("n").open("a").read() == LARGE + b"2"
        return 1 + _check_inside(there, folder / "outside")


def _check_inside(project: lineage.Project, outside: Path) -> int:
    new = LARGE + b"3"
    names = ["", "tmp", str(draft("probe", {"a": new}).entries[0].digest)[:2]]
    for name in names:
        inside = project.blob_folder / name
        inside.mkdir(exist_ok=True)
        inside.rename(outside)
        inside.symlink_to(outside)
        with pytest.raises(lineage.StorageError, match="is a link"):
            project.log_artifact(draft("m", {"a": new}))
        with pytest.raises(lineage.StorageError, match="is a link"):
            project.gc()
        inside.unlink()
        outside.rename(inside)
    project.log_artifact(draft("m", {"a": new}))
    assert_store_sound(project)
    return 2 * len(names)


@LINKED
@pytest.mark.parametrize("check", [check_hard_links, check_links])
def test_link_is_resolved_or_refused(tmp_path: Path, ledger: Ledger, check: Callable[[Path], int]) -> None:
    """Nothing is written under two names, nor through a link that came later."""
    ledger.case(check(tmp_path))


@LINKED
@pytest.mark.parametrize(
    ("bug", "check"),
    [
        (plants_places.hard_links_are_written_through, check_hard_links),
        (plants_places.what_a_crash_left_counts_as_a_name, check_hard_links),
        (plants_places.links_in_the_store_are_followed, check_links),
        (plants_places.links_to_the_project_are_not_resolved, check_links),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_bug_with_links_is_caught(
    tmp_path: Path, ledger: Ledger, bug: Bug, check: Callable[[Path, Bug | None], int]
) -> None:
    """Each kind of link has its check."""
    with ledger.catches(bug.name):
        check(tmp_path, bug)


# --- names ---

NAMES = [
    "with space", "a?mode=ro", "a#b", "%41%00", "'\"", "new\nline", "\x1b[31m", "\u202etxt", "file:x", ":memory:",
    "-rf", "~", "$(touch x)", "a;b", "[ab]*", "ä", "a\u0308", "漢字", os.fsdecode(b"\xff\xfe"), "x" * 150, "CON",
    "trailing ", "back\\slash",
]  # fmt: skip


def check_name(folder: Path, name: str, bug: Bug | None = None) -> int:
    """Fail unless a project in a folder of this name, and itself called so, works and is nowhere else."""
    with planted(bug):
        file = folder / name / f"{name}.lineage"
        project = made(file, "ours")
        assert project.file == file
        again = lineage.open(file, create=False)
        again.log_artifact(draft("e", {"a": LARGE}))
        share = folder / name / f"share{name[:200]}.lineage"
        again.pack(share)
        lineage.open(share, read_only=True)
        again.merge(share)
        again.gc()
        assert again.verify().problems == ()
        assert sorted(path.name for path in folder.iterdir() if path.name != ".cache") == [name]
        expected = {f"{name}{end}" for end in (".lineage", ".blobs", ".lineage-journal")}
        assert {path.name for path in file.parent.iterdir()} == expected | {share.name}
    return 1


@CALLED
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_project_in_a_folder_of_an_odd_name_works_there(tmp_path: Path, ledger: Ledger, name: str) -> None:
    """It is made, opened, packed and merged where it was asked for, and nothing comes elsewhere."""
    ledger.case(check_name(tmp_path, name))


@CALLED
@pytest.mark.parametrize("length", [480, 483, 504, 505, 520, 1_000, 4_000, 4_087, 4_200])
def test_project_at_the_end_of_a_long_path_works_or_says_so(tmp_path: Path, ledger: Ledger, length: int) -> None:
    """Where a name becomes too long for the system, what was done so far is whole."""
    folder = tmp_path
    while (left := length - len(str(folder)) - len("/p.lineage")) > 1:
        folder = folder / ("x" * min(left - 1, 200))
        with suppress(OSError):
            folder.mkdir()
    try:
        project = lineage.open(folder / "p.lineage")
        project.log_artifact(draft("d", {"a": LARGE, "b": "small"}))
        project.gc()
    except lineage.LineageError as error:
        assert "File name too long" in str(error) or "at most 504 bytes" in str(error), error
        assert length > 480
    else:
        assert length <= 480
        assert_store_sound(project)
    ledger.case()


@CALLED
def test_bug_with_odd_names_is_caught(tmp_path: Path, ledger: Ledger) -> None:
    """A path that SQLite reads as something else is found."""
    with ledger.catches(plants_places.paths_are_not_quoted.name):
        try:
            check_name(tmp_path, "a?mode=ro", plants_places.paths_are_not_quoted)
        except lineage.LineageError as error:
            pytest.fail(str(error))


# --- descriptors ---


def work_without_streams(file: str) -> None:
    """Log, read and collect, with nothing open at the start."""
    project = made(Path(file), "ours")
    source = Path(file).with_name("source")
    source.write_bytes(LARGE * 100)
    project.log_artifact(source, "big", "dataset")
    project.version("big").download(Path(file).with_name("out"))
    project.gc()
    subprocess.run([sys.executable, "-c", "print('words')"])
    project.log_artifact(draft("last", {"a": LARGE}))


def check_closed_streams(folder: Path, bug: Bug | None = None) -> int:
    """Fail unless a program that has no streams leaves a sound project with all it logged."""
    file = folder / "p.lineage"
    answer(work_without_streams, file, bug=bug, capture_output=False, stdin=None, close_fds=True, preexec_fn=_close)
    project = lineage.open(file)
    assert [version.name for version in project.versions(order="created_at")] == ["d", "big", "last"]
    assert project.version("big").open(project.version("big").files()[0].path).read() == LARGE * 100
    assert project.verify().problems == ()
    assert_store_sound(project)
    return 1


def _close() -> None:
    for descriptor in range(3):
        os.close(descriptor)


@CLOSED
def test_program_without_streams_keeps_its_project_whole(tmp_path: Path, ledger: Ledger) -> None:
    """The first files it opens get the numbers of the streams, and nothing is printed into them."""
    ledger.case(check_closed_streams(tmp_path))


@CLOSED
def test_bug_that_prints_into_a_file_is_caught(tmp_path: Path, ledger: Ledger) -> None:
    """Words for the screen that end up in stored bytes are found."""
    bug = plants_places.progress_goes_to_descriptor_one

    with ledger.catches(bug.name):
        try:
            check_closed_streams(tmp_path, bug)
        except lineage.LineageError as error:
            pytest.fail(str(error))
