"""Whatever lies on the disk, it is logged exactly or refused: at once, by name, and with nothing left behind."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import plants_sources
import pytest
from conftest import draft
from footprint import footprint
from invariants import assert_no_staging, assert_store_sound
from ledger import Ledger
from plants import Bug, planted

import lineage

REFUSED = pytest.mark.faults("P16 P18", "F58 F59 F67-F69", "FIFOs, devices, loops, the project itself as a source")
EXACT = pytest.mark.faults("P18", "F59 F61-F67 F70", "sparse files, odd names, deep and wide folders, /proc")
MOVING = pytest.mark.faults("P18", "F60", "files that grow, shrink, are rewritten or replaced while they are read")
MIB = 1 << 20


# --- what is refused ---


def _socket(path: Path, _: lineage.Project) -> Path:
    with socket.socket(socket.AF_UNIX) as made:
        here = Path.cwd()
        os.chdir(path)  # a socket's name may have 108 bytes
        made.bind("s")
        os.chdir(here)
    return path / "s"


def _fifo(path: Path, _: lineage.Project) -> Path:
    os.mkfifo(path / "f")
    return path / "f"


def _link(to: str | Callable[[lineage.Project], object]) -> Callable[[Path, lineage.Project], Path]:
    def make(path: Path, project: lineage.Project) -> Path:
        (path / "l").symlink_to(str(to(project) if callable(to) else to))
        return path / "l"

    return make


def _hard_link(path: Path, project: lineage.Project) -> Path:
    (path / "h").hardlink_to(project.file)
    return path / "h"


def _not_utf8(path: Path, _: lineage.Project) -> Path:
    made = path / os.fsdecode(b"\xff\xfe")
    made.write_bytes(b"1")
    return made


def _named(name: str) -> Callable[[Path, lineage.Project], Path]:
    def make(path: Path, _: lineage.Project) -> Path:
        (path / name).write_bytes(b"1")
        return path / name

    return make


def _deep(path: Path, _: lineage.Project) -> Path:
    """Make a file 3,000 folders down, where no path reaches it."""
    here = Path.cwd()
    os.chdir(path)
    for _number in range(3_000):
        Path("d").mkdir()
        os.chdir("d")
    Path("f").write_bytes(b"1")
    os.chdir(here)
    return path / "d"


def _raze(folder: Path) -> None:
    """Remove what is too deep for those who tidy up after the tests."""
    top, inner = folder / "d", folder / "d" / "d"
    while inner.is_dir():
        inner.rename(folder / "next")
        top.rmdir()
        (folder / "next").rename(top)


REFUSALS: dict[str, Callable[[Path, lineage.Project], Path]] = {
    "fifo": _fifo,
    "socket": _socket,
    "/dev/zero": lambda _, __: Path("/dev/zero"),
    "/dev/null": lambda _, __: Path("/dev/null"),
    "missing": lambda path, _: path / "missing",
    "below a file": lambda _, project: project.file / "x",
    "dangling link": _link("nowhere"),
    "loop of links": _link("l"),
    "link to the folder around": _link("."),
    "link to a device": _link("/dev/zero"),
    "the project": lambda _, project: project.file,
    "link to the project": _link(lambda project: project.file),
    "hard link to the project": _hard_link,
    "folder of blobs": _link(lambda project: project.blob_folder),
    "folder of the project": _link(lambda project: project.file.parent),
    "not UTF-8": _not_utf8,
    "newline": _named("a\nb"),
    "escape": _named("a\x1b[31m"),
    "backslash": _named("a\\b"),
    "stream": _named("x::$DATA"),
    "long name": lambda path, _: path / ("x" * 256),
    "deep": _deep,
}
ALONE = {"/dev/zero", "/dev/null", "missing", "below a file", "the project", "long name"}
"""Those that do not lie in the folder that is offered as a whole."""


def check_refused(project: lineage.Project, folder: Path, name: str, bug: Bug | None = None) -> int:
    """Fail unless it is refused as a file, and in the middle of a folder, and nothing is kept."""
    folder.mkdir()
    (folder / "0").write_bytes(b"before" * 5_000)
    (folder / "z").write_bytes(b"after")
    with planted(bug):
        source = REFUSALS[name](folder, project)
        before = footprint(project)
        offers: list[Callable[[lineage.Artifact], object]] = [lambda made: made.add_file(source)]
        if name not in ALONE:
            offers.append(lambda made: made.add_dir(folder))
        for offer in offers:
            made = draft("d", {"own": "1"})
            try:
                offer(made)
            except lineage.LineageError as error:
                assert len(str(error)) <= 4_001
            else:
                pytest.fail(f"{name} was taken")
            assert [entry.path for entry in made.entries] == ["own"]
            del made
        assert footprint(project) == before
        assert_no_staging(project)
    _raze(folder)
    return len(offers)


@REFUSED
@pytest.mark.parametrize("name", REFUSALS)
def test_source_that_is_no_data_is_refused(project: lineage.Project, tmp_path: Path, ledger: Ledger, name: str) -> None:
    """At once, whether it is asked for by itself or found in a folder."""
    project.log_artifact(draft("first", {"a": b"x" * 20_000}))

    ledger.case(check_refused(project, tmp_path / "offered", name))


@REFUSED
@pytest.mark.parametrize(
    ("bug", "name"),
    [
        (plants_sources.anything_that_opens_is_a_file, "fifo"),
        (plants_sources.the_project_is_data_like_any, "hard link to the project"),
        (plants_sources.what_cannot_be_logged_is_left_out, "dangling link"),
        (plants_sources.names_that_are_no_text_are_mended, "not UTF-8"),
    ],
    ids=lambda one: getattr(one, "name", one),
)
def test_bug_that_takes_what_is_no_data_is_caught(
    project: lineage.Project, tmp_path: Path, ledger: Ledger, bug: Bug, name: str
) -> None:
    """Each takes something."""
    project.log_artifact(draft("first", {"a": b"x" * 20_000}))

    with ledger.catches(bug.name):
        check_refused(project, tmp_path / "offered", name, bug)


# --- what is kept exactly ---


def _files(*names: str) -> Callable[[Path, bool], object]:
    def make(path: Path, long: bool) -> None:
        for number, name in enumerate(names):
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(f"{number}".encode() * 10)

    return make


def _sparse(path: Path, _: bool) -> None:
    with (path / "sparse").open("wb") as file:
        file.seek(32 * MIB)
        file.write(b"middle")
        file.truncate(64 * MIB)


def _many(path: Path, long: bool) -> None:
    for number in range(1_000_000 if long else 1_500):
        if number % 1_000 == 0:
            (path / f"{number}").mkdir()
        (path / f"{number // 1_000 * 1_000}" / f"{number}").write_bytes(b"%d" % (number % 7))


def _link_outside(path: Path, _: bool) -> None:
    (path.parent / "outside").write_bytes(b"outside")
    (path / "link").symlink_to(path.parent / "outside")


EXACTLY: dict[str, Callable[[Path, bool], object]] = {
    "sparse": _sparse,
    "many": _many,
    "link to a file outside": _link_outside,
    "empty": _files(),
    "empty file": lambda path, _: (path / "e").touch(),
    "case twins": _files("a", "A", "sub/x", "SUB/x", "ß", "SS"),
    "Unicode twins": _files("ä", "a\u0308", "\u212b", "\u00c5", "ﬁ", "fi"),
    "Windows names": _files("CON", "nul.txt", "a|b", "trailing.", "trailing ", "a?b*", "COM1"),
    "odd signs": _files("\u202etxt", "\u200b", " ", "~", "-rf", "$(x)", "'\"", "%2e%2e", "..."),
    "longest name": _files("x" * 255, "é" * 127),
    "depth 40": _files("/".join("d" * 40)),
    "longest path": _files("/".join(["x" * 99] * 36)),
}


def check_exact(project: lineage.Project, folder: Path, name: str, *, long: bool, bug: Bug | None = None) -> int:
    """Fail unless all that lies in the folder comes back by the same names, from the version and from a download."""
    folder.mkdir()
    EXACTLY[name](folder, long)
    wanted = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    with planted(bug):
        made = lineage.Artifact("d", "dataset")
        try:
            made.add_dir(folder)
        except lineage.LineageError as error:
            pytest.fail(str(error))
        version = project.log_artifact(made)
        assert {entry.path for entry in version.files()} == set(wanted)
        some = sorted(wanted)[:: max(1, len(wanted) // 500)]
        for path in some:
            with version.open(path) as stored, wanted[path].open("rb") as source:
                while data := source.read(MIB):
                    assert stored.read(len(data)) == data, path
                assert stored.read(1) == b""
        out = version.download(folder.with_name("out"))
        assert all((out / path).read_bytes() == wanted[path].read_bytes() for path in some)
        assert_store_sound(project)
    return len(wanted)


@EXACT
@pytest.mark.parametrize("name", EXACTLY)
@pytest.mark.timeout(3_000)
def test_folder_with_odd_things_is_kept_exactly(
    project: lineage.Project, tmp_path: Path, ledger: Ledger, name: str
) -> None:
    """Every name and byte, there and back."""
    ledger.case(check_exact(project, tmp_path / "offered", name, long=ledger.long))


@EXACT
def test_file_that_says_it_is_empty_is_read_to_its_end(project: lineage.Project, ledger: Ledger) -> None:
    """Files of /proc have no size and content all the same."""
    source = Path("/proc/version")
    if not source.exists():
        pytest.skip("needs /proc")

    version = project.log_artifact(source, "d", "dataset")

    assert version.open("version").read() == source.read_bytes()
    ledger.case()


@EXACT
@pytest.mark.parametrize(
    ("bug", "name"),
    [
        (plants_sources.names_are_normalised, "Unicode twins"),
        (plants_sources.names_are_normalised, "case twins"),
        (plants_sources.zeros_at_the_end_are_dropped, "sparse"),
    ],
    ids=lambda one: getattr(one, "name", one),
)
def test_bug_that_changes_what_is_kept_is_caught(
    project: lineage.Project, tmp_path: Path, ledger: Ledger, bug: Bug, name: str
) -> None:
    """A name or a byte less."""
    with ledger.catches(bug.name):
        try:
            check_exact(project, tmp_path / "offered", name, long=False, bug=bug)
        except lineage.LineageError as error:
            pytest.fail(str(error))


# --- what changes while it is read ---

SIZE = 6 * MIB
Change = Callable[[Path, int], None]


def _rewrite(path: Path, turn: int) -> None:
    with path.open("r+b") as file:
        file.write(b"ab"[turn % 2 : turn % 2 + 1] * SIZE)


def _replace(path: Path, turn: int) -> None:
    made = path.with_name("next")
    made.write_bytes(b"ab"[turn % 2 : turn % 2 + 1] * (SIZE // 2 + turn % 2))
    made.replace(path)


def _grow(path: Path, turn: int) -> None:
    with path.open("ab") as file:
        file.truncate(SIZE) if turn % 10 == 0 else file.write(b"a" * MIB)


def _shrink(path: Path, turn: int) -> None:
    if turn % 40:
        os.truncate(path, SIZE - turn % 40 * 100_000)
    else:  # whole again; to make it longer by truncate would fill it up with zeros, which is another content
        with path.open("ab") as file:
            file.write(b"a" * (SIZE - path.stat().st_size))


CHANGES: dict[str, Change] = {"rewritten": _rewrite, "replaced": _replace, "grows": _grow, "shrinks": _shrink}


@contextmanager
def going_on(change: Change, path: Path) -> Iterator[None]:
    """Change a file again and again in a thread.

    Not twice within a tick of the kernel's clock, by which alone a file that keeps its size can be told to have
    changed.
    """
    stop = threading.Event()

    def work() -> None:
        turn = 0
        while not stop.wait(0.02):
            turn += 1
            change(path, turn)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def check_moving(project: lineage.Project, path: Path, name: str, tries: int, bug: Bug | None = None) -> int:
    """Fail unless each try is refused, or gives one state that the file was in."""
    path.write_bytes(b"a" * SIZE)
    taken = 0
    with planted(bug), going_on(CHANGES[name], path):
        for number in range(tries):
            with suppress(lineage.InvalidInputError):
                content = project.log_artifact(path, f"d{number}", "dataset").open(path.name).read()
                assert content.count(content[:1]) == len(content), "a state that never was"
                taken += 1
    assert_no_staging(project)
    assert_store_sound(project)
    return tries


@MOVING
@pytest.mark.parametrize("name", CHANGES)
def test_file_that_changes_is_logged_in_one_state_or_refused(
    project: lineage.Project, tmp_path: Path, ledger: Ledger, name: str
) -> None:
    """Never a mixture, and nothing is left of a try."""
    ledger.case(check_moving(project, tmp_path / "moving", name, 200 if ledger.long else 8))


@MOVING
def test_bug_that_takes_a_mixture_is_caught(project: lineage.Project, tmp_path: Path, ledger: Ledger) -> None:
    """A file that is not looked at again after it was read."""
    bug = plants_sources.a_file_is_not_compared_after_it_was_read

    with ledger.catches(bug.name):
        check_moving(project, tmp_path / "moving", "rewritten", 300, bug)
