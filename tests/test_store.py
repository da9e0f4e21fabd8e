"""Opening: what is a project, what is not, where it may lie; and what every call does when the file is broken."""

from __future__ import annotations

import inspect
import os
import shutil
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import draft
from footprint import open_folder, python, refused, tidy, unchanged  # noqa: F401 (fixtures are used by name)

import lineage
from lineage import (
    BusyError,
    CorruptionError,
    FormatError,
    InvalidInputError,
    LineageError,
    NotFoundError,
    ReadOnlyError,
    StorageError,
)
from lineage.migrations import FORMAT_VERSION, SCHEMA_DIR
from lineage.store import upgrade
from lineage.system import file_lock

LARGE = "x" * 100_000


def log(project: lineage.Project, name: str = "d", text: str = "1") -> lineage.Version:
    """Log a version with one file."""
    return project.log_artifact(draft(name, {"a": text}))


# --- opening and making ---


def test_open_makes_one_file_and_nothing_else(tmp_path: Path) -> None:
    """A new project is one file; the blob folder comes with the first write."""
    project = lineage.open("p.lineage")

    assert [path.name for path in tmp_path.iterdir()] == ["p.lineage"]
    assert (project.file, project.blob_folder, project.read_only) == (
        tmp_path / "p.lineage",
        tmp_path / "p.blobs",
        False,
    )


def test_open_again_is_the_same_project() -> None:
    """Another object over the same file sees what the first wrote."""
    version = log(lineage.open("p.lineage"))

    assert lineage.open(Path("p.lineage")).version("d") == version
    assert lineage.open("./../" + Path.cwd().name + "/p.lineage").version("d") == version


@pytest.mark.parametrize("words", [{"create": False}, {"read_only": True}])
def test_open_of_a_file_that_is_not_there_is_refused_unless_it_may_be_made(
    words: dict[str, bool], tmp_path: Path
) -> None:
    """Without create nothing is made, and for reading there is nothing to make."""
    with pytest.raises(NotFoundError, match="no project file '.*p.lineage'") as caught:
        lineage.open("p.lineage", **words)

    assert caught.value.kind == "project-not-found"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["missing/p.lineage", "file/p.lineage"])
def test_open_in_a_folder_that_is_not_there_is_refused(path: str) -> None:
    """Folders are not made, and a file is none."""
    Path("file").write_text("x")

    with pytest.raises(NotFoundError, match="no folder for the project file") as caught:
        lineage.open(path)

    assert caught.value.kind == "project-not-found"
    assert not Path("missing").exists()


@pytest.mark.parametrize("path", ["p", "p.db", ".lineage", "p.LINEAGE", "p.lineage.bak", "sub/.lineage", "p.lineagex"])
def test_open_of_another_name_is_refused(path: str) -> None:
    """A project is recognised by its name before it is touched."""
    with pytest.raises(InvalidInputError, match=r"a project file's name ends in '.lineage'") as caught:
        lineage.open(path)

    assert caught.value.kind == "path-invalid"


ODD_NAMES = [
    "?mode=memory.lineage",
    "a?b=c&d.lineage",
    "#frag.lineage",
    "%41.lineage",
    "%00.lineage",
    "file:p.lineage",
    ":memory:.lineage",
    "a b.lineage",
    "'q'\"uote.lineage",
    "new\nline.lineage",
    "-rf.lineage",
    "$(x)`y`;z.lineage",
    "\\back.lineage",
    "日本é.lineage",
    "e\u0301.lineage",
    "two.dots.lineage",
    "..lineage",
    os.fsdecode(b"\xff\xfe.lineage"),
    "x" * 200 + ".lineage",
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_open_of_an_odd_name_is_that_file_and_no_other(tmp_path: Path, name: str) -> None:
    """Whatever a path means to SQLite, a shell or a URI, it is the name of the file."""
    folder = tmp_path / "in here"
    folder.mkdir()

    project = lineage.open(folder / name)
    version = project.log_artifact(draft("d", {"a": LARGE, "b": "small"}))
    version.download("out")

    blobs = name.removesuffix(".lineage") + ".blobs"
    assert sorted(path.name for path in folder.iterdir()) == sorted([name, f"{name}-journal", blobs])
    assert lineage.open(folder / name, create=False).version("d").open("a").read() == LARGE.encode()
    assert project.graph().graph["project"] == name.removesuffix(".lineage")
    assert project.verify().ok


@pytest.mark.parametrize(
    "name", ["x" * 300 + ".lineage", "x" * 240 + ".lineage", "/".join(["x" * 100] * 60) + ".lineage", "\ud800.lineage"]
)
def test_open_of_a_name_that_no_file_can_bear_is_refused(tmp_path: Path, name: str) -> None:
    """Too long, or half a character: one clear error, and nothing is left."""
    with pytest.raises(
        (StorageError, InvalidInputError, NotFoundError),
        match="File name too long|is no path|no folder|cannot open the project",
    ):
        lineage.open(name)

    assert list(tmp_path.iterdir()) == []


def test_open_of_a_link_is_what_it_leads_to(tmp_path: Path) -> None:
    """A link is resolved once; the blobs lie beside the file itself."""
    (tmp_path / "real").mkdir()
    Path("link.lineage").symlink_to("real/p.lineage")
    lineage.open("real/p.lineage")

    project = lineage.open("link.lineage")
    project.log_artifact(draft("d", {"a": LARGE}))

    assert project.file == tmp_path / "real" / "p.lineage"
    assert (tmp_path / "real" / "p.blobs").is_dir()
    assert not Path("link.blobs").exists()


@pytest.mark.parametrize("target", ["nowhere.lineage", "p.lineage"])
def test_open_of_a_link_that_leads_nowhere_is_refused(target: str, tmp_path: Path) -> None:
    """A broken link, or one that leads to itself, is not written through."""
    Path("p.lineage").symlink_to(target)

    with pytest.raises(NotFoundError, match="is a link that leads nowhere") as caught:
        lineage.open("p.lineage")

    assert caught.value.kind == "project-not-found"
    assert [path.name for path in tmp_path.iterdir()] == ["p.lineage"]


# --- what is no project ---


def strange(kind: str) -> Path:
    """Make a file that is called like a project and is none."""
    path = Path("p.lineage")
    match kind:
        case "empty":
            path.touch()
        case "short text":
            path.write_text("hello")
        case "text":
            path.write_text("hello\n" * 10_000)
        case "zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("a", LARGE)
        case "zeros":
            path.write_bytes(bytes(196_608))
        case "other database":
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("CREATE TABLE run (id)")
        case "empty database":
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("PRAGMA user_version = 1")
        case "header alone":
            path.write_bytes(b"SQLite format 3\0" + bytes(84))
        case "half a header":
            path.write_bytes(b"SQLite format 3\0" + bytes(20))
    return path


@pytest.mark.parametrize(
    "kind",
    [
        "empty",
        "short text",
        "text",
        "zip",
        "zeros",
        "other database",
        "empty database",
        "header alone",
        "half a header",
    ],
)
def test_open_of_what_is_no_project_is_refused_and_leaves_it(kind: str, tmp_path: Path) -> None:
    """A file of somebody else's is not touched, whatever it is."""
    path = strange(kind)
    before = path.read_bytes()

    for words in ({}, {"read_only": True}):
        with pytest.raises(FormatError, match=r"p.lineage' is not a lineage project file") as caught:
            lineage.open(path, **words)
        assert caught.value.kind == "not-a-project"

    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["p.lineage"]
    assert lineage.Artifact("d", "t").add_file(path).size == len(before)


@pytest.mark.parametrize("kind", ["folder", "fifo", "device"])
def test_open_of_what_is_no_file_is_refused_at_once(kind: str) -> None:
    """Nothing is waited for."""
    path = Path("p.lineage")
    match kind:
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")

    with pytest.raises(InvalidInputError, match="is not a regular file"):
        lineage.open(path)


def stamp(path: Path, pragma: str) -> None:
    """Set one of the two numbers by which a project is known."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA {pragma}")


def test_open_of_a_newer_format_says_which_is_needed(project: lineage.Project) -> None:
    """A file of a later lineage is not guessed at."""
    stamp(project.file, "user_version = 7")

    with (
        unchanged(project),
        pytest.raises(FormatError, match=f"has format 7, this lineage reads up to {FORMAT_VERSION}; upgrade") as caught,
    ):
        lineage.open(project.file)

    assert caught.value.kind == "newer-format"
    with pytest.raises(FormatError, match="has format 7"):
        project.runs()


@pytest.mark.parametrize("version", [-1, -(2**31)])
def test_open_of_a_format_that_never_was_is_refused(project: lineage.Project, version: int) -> None:
    """A negative number is damage or a forgery, and no old file to bring up to date."""
    stamp(project.file, f"user_version = {version}")

    with unchanged(project), pytest.raises(FormatError, match=f"has format {version}, which no lineage ever wrote"):
        lineage.open(project.file)


def test_open_of_another_programs_database_is_refused(project: lineage.Project) -> None:
    """The application id tells ours from others."""
    stamp(project.file, "application_id = 1")

    with pytest.raises(FormatError, match="is not a lineage project file"):
        lineage.open(project.file)
    with pytest.raises(FormatError, match="is not a lineage project file"):
        log(project)


def test_open_with_any_byte_of_the_header_flipped_works_or_is_a_lineage_error(project: lineage.Project) -> None:
    """No byte of the first hundred makes another exception come through."""
    log(project)
    sound = project.file.read_bytes()

    raised = 0
    for place in range(100):
        damaged = bytearray(sound)
        damaged[place] ^= 0x01 if place % 2 else 0xFF
        project.file.write_bytes(damaged)
        try:
            lineage.open(project.file).version("d").files()
            project.start_run(id=str(place))
        except LineageError:
            raised += 1

    project.file.write_bytes(sound)
    assert raised > 20
    assert project.version("d").number == 0


@pytest.mark.parametrize("part", ["cut in half", "cut by a byte", "second page", "last page", "all but the header"])
def test_open_of_a_damaged_file_works_or_is_a_lineage_error(project: lineage.Project, part: str) -> None:
    """Pages that are gone or rubbish are met with an error of ours."""
    with project.batch():
        for number in range(50):
            log(project, f"d{number}", str(number) * 1_000)
    data = bytearray(project.file.read_bytes())
    match part:
        case "cut in half":
            del data[len(data) // 2 :]
        case "cut by a byte":
            del data[-1]
        case "second page":
            data[4096:8192] = os.urandom(4096)
        case "last page":
            data[-4096:] = os.urandom(4096)
        case "all but the header":
            data[100:] = os.urandom(len(data) - 100)
    project.file.write_bytes(data)

    raised = []
    for call in (
        lambda: lineage.open(project.file),
        lambda: [version.files() for version in project.versions()],
        lambda: log(project, "new"),
        project.graph,
    ):
        try:
            call()
        except LineageError as error:
            raised.append(error)

    assert all(isinstance(error, CorruptionError | FormatError) for error in raised)
    assert raised or not project.verify().ok


# --- finding ---


def test_open_without_a_path_finds_the_one_project_upwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the working folder up, the first folder that holds a project."""
    lineage.open("p.lineage")
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")

    assert lineage.open().file == tmp_path / "p.lineage"
    lineage.open("../q.lineage")
    assert lineage.open().file == tmp_path / "a" / "q.lineage"


def test_open_without_a_path_takes_what_the_environment_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LINEAGE_PROJECT comes first; empty is as if it were not set."""
    lineage.open("p.lineage")
    lineage.open("q.lineage")

    monkeypatch.setenv("LINEAGE_PROJECT", str(tmp_path / "q.lineage"))
    assert lineage.open().file == tmp_path / "q.lineage"
    monkeypatch.setenv("LINEAGE_PROJECT", "")
    with pytest.raises(
        InvalidInputError, match=r"holds several projects \(p.lineage, q.lineage\): say which"
    ) as caught:
        lineage.open()
    assert caught.value.kind == "reference-ambiguous"


def test_open_without_a_path_passes_by_what_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders and a bare suffix are no projects to find."""
    Path("folder.lineage").mkdir()
    Path(".lineage").touch()
    Path("broken.lineage").symlink_to("nowhere")
    project = lineage.open("p.lineage")

    assert lineage.open().file == project.file


def test_open_without_a_path_where_there_is_none_says_how_to_make_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the folder and what to do."""
    monkeypatch.chdir("/proc")

    with pytest.raises(
        NotFoundError, match="no .lineage file in '/proc' or above it; name one, or make one with 'lineage init'"
    ):
        lineage.open()


def test_open_from_a_folder_that_was_removed_is_a_storage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no working folder, no relative path leads anywhere."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()

    for path in (None, "p.lineage"):
        with pytest.raises(StorageError, match="cannot (look for a|open the) project"):
            lineage.open(path)
    project = lineage.open(tmp_path / "p.lineage")
    with pytest.raises(LineageError, match="cannot find the working folder|no file"):
        project.log_artifact("a")


# --- reading only ---


WRITES: dict[str, Callable[[lineage.Project], object]] = {
    "start_run": lambda project: project.start_run(),
    "log_artifact": lambda project: project.log_artifact(draft("e", {"a": "1"})),
    "record": lambda project: project.record("r", consumed="d"),
    "batch": lambda project: project.batch().__enter__(),
    "update_artifact": lambda project: project.update_artifact("d", description="words"),
    "rename_artifact": lambda project: project.rename_artifact("d", "e"),
    "delete_artifact": lambda project: project.delete_artifact("d", delete_aliases=True),
    "prune": lambda project: project.prune(keep_last=1),
    "gc": lambda project: project.gc(),
    "Version.update": lambda project: project.version("d").update(description="words"),
    "Version.add_alias": lambda project: project.version("d").add_alias("best"),
    "Version.delete": lambda project: project.version("d").delete(delete_aliases=True),
    "Run.update": lambda project: project.run("r").update(name="words"),
    "Run.delete": lambda project: project.run("r").delete(),
}


@pytest.mark.parametrize("call", WRITES)
def test_write_to_a_project_opened_for_reading_is_refused(project: lineage.Project, call: str) -> None:
    """Every call that writes says so before it does anything."""
    log(project)
    project.start_run(id="r").finish()
    reader = lineage.open(project.file, read_only=True)

    with refused(project, ReadOnlyError, "p.lineage' is open for reading only; open it for writing to change it"):
        WRITES[call](reader)


def test_read_only_project_answers_and_leaves_its_folder_as_it_was(project: lineage.Project, tmp_path: Path) -> None:
    """Reading changes nothing, not even a time, and needs no file beside the project."""
    log(project, text=LARGE)
    project.start_run(id="r", use="d").finish()
    Path("p.lineage-journal").unlink()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    reader = lineage.open(project.file, read_only=True)
    answers = [
        reader.run("r").used_artifacts(),
        len(reader.graph()),
        reader.version("d").open("a").read(),
        reader.verify().ok,
    ]

    assert answers == [[project.version("d")], 2, LARGE.encode(), True]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_open_of_a_file_without_write_permission_is_read_only(project: lineage.Project) -> None:
    """A file of mode 0444 is opened for reading by itself, also for root, and says so."""
    log(project)
    project.file.chmod(0o444)

    reader = lineage.open(project.file)

    assert reader.read_only
    assert reader.version("d").open("a").read() == b"1"
    with pytest.raises(ReadOnlyError):
        log(reader, "e")


@pytest.mark.usefixtures("open_folder")
@pytest.mark.parametrize("closed", ["folder", "file"])
def test_open_by_a_user_who_may_not_write_is_read_only(closed: str) -> None:
    """Others may list, verify and download what they may read."""
    folder = Path.cwd()
    project = lineage.open("p.lineage")
    log(project, text=LARGE)
    for path in [folder / "p.lineage", *(folder / "p.blobs").rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o444 if closed == "file" or path.parent != folder else 0o666)
    folder.chmod(0o755 if closed == "folder" else 0o777)

    done = python(
        """
import lineage
project = lineage.open("p.lineage")
print(project.read_only, project.version("d").open("a").read(2), project.verify(content=True).ok)
try: project.log_artifact(lineage.Artifact("e", "t"))
except lineage.ReadOnlyError: print("refused")
""",
        nobody=True,
    )

    assert (done.stdout, done.stderr) == ("True b'xx' True\nrefused\n", "")


@pytest.mark.usefixtures("open_folder")
def test_open_by_a_user_who_may_not_read_is_a_storage_error() -> None:
    """What one may not look at is said as such, and nothing is made."""
    lineage.open("p.lineage").file.chmod(0)
    Path("closed").mkdir(mode=0)

    done = python(
        """
import lineage
for path in ("p.lineage", "closed/q.lineage"):
    try: lineage.open(path)
    except lineage.StorageError as error: print(error)
""",
        nobody=True,
    )

    assert done.stderr == ""
    first, second = done.stdout.splitlines()
    assert "p.lineage': unable to open database file" in first
    assert second == f"cannot open the project: '{Path.cwd()}/closed/q.lineage' Permission denied"


@pytest.mark.usefixtures("open_folder")
def test_open_in_a_folder_that_cannot_be_written_makes_nothing() -> None:
    """Where nothing can be made, that is the error."""
    Path().chmod(0o755)

    done = python(
        "import lineage\ntry: lineage.open('p.lineage')\nexcept lineage.StorageError as error: print(error)",
        nobody=True,
    )

    assert "cannot create project" in done.stdout, done.stderr
    assert "Permission denied" in done.stdout
    assert list(Path().iterdir()) == []


# --- a project that is moved, removed or replaced while it is open ---


def test_project_whose_folder_was_removed_is_not_made_again(tmp_path: Path) -> None:
    """What is gone is an error at the next call, and nothing is written where it was."""
    (tmp_path / "sub").mkdir()
    project = lineage.open("sub/p.lineage")
    version = log(project, text=LARGE)
    artifact = draft("e", {"a": LARGE})
    shutil.rmtree("sub")

    calls: list[Callable[[], object]] = [
        lambda: len(project.runs()),
        lambda: version.open("a"),
        lambda: project.log_artifact(artifact),
        project.start_run,
    ]
    for call in calls:
        with pytest.raises(
            (NotFoundError, StorageError), match="no project file|cannot make the blob folder|the bytes"
        ):
            call()

    assert list(tmp_path.iterdir()) == []


def test_project_that_was_moved_is_found_where_it_is_now(project: lineage.Project, tmp_path: Path) -> None:
    """No absolute path is stored: the file and its folder can be anywhere."""
    log(project, text=LARGE)
    (tmp_path / "else").mkdir()
    for name in ("p.lineage", "p.blobs"):
        (tmp_path / name).rename(tmp_path / "else" / name)

    moved = lineage.open("else/p.lineage")

    assert moved.version("d").open("a").read() == LARGE.encode()
    assert str(tmp_path).encode() not in moved.file.read_bytes()


def test_handle_of_a_project_that_was_replaced_never_answers_for_the_other(project: lineage.Project) -> None:
    """Rows of another project that now lies there are not taken for ours."""
    version, run = log(project), project.start_run()
    other = lineage.open("other.lineage")
    log(other, "theirs", "2")
    other.start_run(id="theirs").finish()
    shutil.move(other.file, project.file)

    for call in (
        version.refresh,
        version.files,
        lambda: version.update(description="words"),
        lambda: version.add_alias("best"),
        lambda: version.delete(delete_aliases=True),
        lambda: run.log_artifact(draft("e", {"a": "1"})),
        lambda: run.log({str(number): 1 for number in range(1_000)}),
        run.flush,
        run.finish,
    ):
        with unchanged(project), pytest.raises(LineageError):
            call()


# --- what surrounds the process ---


def test_project_works_with_closed_standard_descriptors(tmp_path: Path) -> None:
    """A daemon without stdin, stdout and stderr gets descriptors 0 to 2 for files; nothing is harmed."""
    program = """
import os
for descriptor in range(3): os.close(descriptor)
import lineage
project = lineage.open("p.lineage")
draft = lineage.Artifact("d", "t")
with draft.new_file("a", "wb") as file: file.write(b"x" * 100_000)
with project.start_run(id="r") as run:
    run.log({"a": 1})
    run.log_artifact(draft).download("out")
"""
    done = python(program)

    project = lineage.open("p.lineage")
    assert done.returncode == 0
    assert (project.run("r").status, project.verify().problems) == ("finished", ())
    assert Path("out/a").read_bytes() == b"x" * 100_000


def test_project_works_with_few_descriptors(tmp_path: Path) -> None:
    """A thousand files are logged and downloaded with 32 descriptors."""
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(1_000):
        (folder / f"{number}").write_bytes(b"x" * (20_000 if number % 100 == 0 else 10) + str(number).encode())
    program = """
import lineage, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
project = lineage.open("p.lineage")
with project.start_run() as run:
    version = run.log_artifact("data", "d")
version.download("out")
version.verify("out")
print(version.file_count)
"""
    done = python(program)

    assert (done.stdout, done.stderr) == ("1000\n", "")


@pytest.mark.parametrize("limit", range(12))
def test_project_without_descriptors_is_a_lineage_error_and_works_afterwards(limit: int) -> None:
    """Wherever the last descriptor goes, there is one clear error, and nothing half done."""
    program = f"""
import lineage, os, resource
project = lineage.open("p.lineage")
highest = max(int(name) for name in os.listdir("/proc/self/fd")[:-1])
made = 0
resource.setrlimit(resource.RLIMIT_NOFILE, (highest + {limit}, 4096))
for number in range(2):
    try:
        draft = lineage.Artifact("d", "t")
        with draft.new_file("a", "wb") as file: file.write(bytes([number]) * 100_000)
        project.log_artifact(draft)
        made += 1
    except lineage.LineageError as error: pass
    try: lineage.open("q.lineage")
    except lineage.LineageError: pass
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
print(made, len(project.versions()), project.verify().ok)
del draft
left = [os.listdir(folder) for folder in ("p.blobs/tmp", "q.blobs/tmp") if os.path.isdir(folder)]
print([name for name in os.listdir() if name.startswith(".")], left)
"""
    done = python(program)

    assert done.stderr == ""
    counts, left = done.stdout.splitlines()
    assert counts in ("0 0 True", "1 1 True", "2 2 True")
    assert left in ("[] []", "[] [[]]", "[] [[], []]")


@pytest.mark.parametrize("size", [0, 4_096, 50_000, 150_000, 200_000, 250_000])
def test_project_at_a_file_size_limit_is_a_storage_error_and_works_afterwards(size: int) -> None:
    """The limit is one clear error and no death by a signal; with more room the same call succeeds."""
    program = f"""
import lineage, os, resource
project = lineage.open("p.lineage")
project.log_artifact(lineage.Artifact("first", "t"))
resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, resource.RLIM_INFINITY))
def log():
    draft = lineage.Artifact("d", "t")
    with draft.new_file("big", "wb") as file: file.write(b"x" * 200_001)
    with draft.new_file("small") as file: file.write("x" * 10_000)
    for number in range(20):
        with draft.new_file(f"more{{number}}") as file: file.write(str(number) * 4_000)
    return project.log_artifact(draft)
try: print("logged", log())
except lineage.StorageError as error: print("refused", error)
try: lineage.open("q.lineage")
except lineage.StorageError as error: print("refused", error)
print(project.verify().ok, len(project.versions()))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(log().reference, project.verify().ok, os.listdir("p.blobs/tmp"))
"""
    done = python(program)

    assert done.stderr == ""
    *first, middle, last = done.stdout.splitlines()
    assert [one for one in first if not one.startswith(("refused", "logged"))] == []
    assert first[0].startswith("refused")
    assert (middle, last) == ("True 1", "d:v0 True []")


def test_project_on_a_full_disk_is_a_storage_error_and_works_when_there_is_room(tmp_path: Path) -> None:
    """A file system without a free page: every call says so, gc frees space, and then the same call succeeds."""
    program = """
import lineage, os
project = lineage.open("disk/p.lineage")
def log(name, seed):
    draft = lineage.Artifact(name, "t")
    with draft.new_file("a", "wb") as file: file.write(bytes([seed]) * 300_000)
    return project.log_artifact(draft)
log("old", 1)
project.delete_artifact("old")
with open("disk/filler", "wb", buffering=0) as filler:
    try:
        while True: filler.write(bytes(4096))
    except OSError: pass
for call in (lambda: log("new", 2), lambda: project.start_run(), lambda: lineage.open("disk/q.lineage"),
             lambda: project.version("old:v0", include_deleted=True)):
    try: print(type(call()).__name__)
    except lineage.StorageError as error: print("refused:", str(error).partition("; ")[2] or "full" in str(error))
print(project.gc().blobs, sorted(os.listdir("disk")), os.listdir("disk/p.blobs/tmp"))
os.unlink("disk/filler")
print(log("new", 2).reference, project.verify().ok, project.start_run().id != "")
"""
    Path("disk").mkdir()
    done = python(f"""
import os, subprocess, sys
tried = subprocess.run(["unshare", "-rm", "true"], capture_output=True)
if tried.returncode: print("no namespaces"); sys.exit()
script = "mount -t tmpfs -o size=1500k tmpfs disk && exec " + sys.executable + " -"
done = subprocess.run(["unshare", "-rm", "sh", "-c", script], input={program!r}, text=True, capture_output=True)
print(done.stdout, done.stderr)
""")
    if done.stdout == "no namespaces\n":
        pytest.skip("this machine gives no mount namespace")

    lines = done.stdout.strip().splitlines()
    assert done.stderr == ""
    assert lines[:4] == [
        "refused: make room (lineage gc frees what nothing names), then call again",
        lines[1],
        lines[2],
        "Version",
    ]
    assert lines[1].startswith("refused")
    assert lines[2].startswith("refused")
    assert lines[4] == "1 ['filler', 'p.blobs', 'p.lineage', 'p.lineage-journal'] []"
    assert lines[5] == "new:v0 True True"


# --- locked by others ---


@pytest.mark.parametrize("mode", ["EXCLUSIVE", "IMMEDIATE"])
def test_project_that_another_program_holds_is_busy(project: lineage.Project, mode: str) -> None:
    """A foreign connection in a transaction is waited for, no longer than the time-out, and named as such."""
    log(project)
    with closing(sqlite3.connect(project.file, isolation_level=None)) as holder:
        holder.execute(f"BEGIN {mode}")
        hasty = lineage.open(project.file, timeout=0.05) if mode == "IMMEDIATE" else None

        with pytest.raises(BusyError, match="is locked by another program; try again") as caught:
            log(hasty, "e") if hasty is not None else lineage.open(project.file, timeout=0.05)
        holder.execute("ROLLBACK")

    assert caught.value.kind == "busy"
    assert log(project, "e").reference == "e:v0"


def test_project_in_a_batch_of_another_process_is_busy_and_says_whose(project: lineage.Project) -> None:
    """The writer lock knows its holder."""
    hasty = lineage.open(project.file, timeout=0.05)
    artifact = draft("d", {"a": "1"})
    log(project, "first")

    with file_lock(project.blob_folder / "write.lock", timeout=0):
        with pytest.raises(
            BusyError, match=rf"write.lock' is held by process {os.getpid()} on .* for longer than 0.05 s; try again"
        ):
            hasty.log_artifact(artifact)
        reads = len(hasty.versions())

    assert reads == 1
    assert hasty.log_artifact(artifact).reference == "d:v0"


def test_project_that_somebody_keeps_in_wal_mode_is_busy(project: lineage.Project) -> None:
    """A program that turned the file to WAL and stays is asked to leave; then the file is ours again."""
    with closing(sqlite3.connect(project.file)) as holder:
        holder.execute("PRAGMA journal_mode = WAL")
        holder.execute("SELECT * FROM project").fetchall()
        hasty = lineage.open(project.file, timeout=0.05)

        with pytest.raises(BusyError, match="locked|close it there first"):
            log(hasty)

    assert log(project).reference == "d:v0"
    assert project.sql("SELECT count(*) AS n FROM versions") == [{"n": 1}]


# --- every public method on a broken store ---


def script(file: Path, *statements: str) -> None:
    """Write into a project file as a stranger would; `{}` stands for each table in turn."""
    with closing(sqlite3.connect(file)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        for statement in statements:
            for table in tables if "{}" in statement else [""]:
                connection.execute(statement.replace("{}", table))
        connection.commit()


def replace(file: Path, make: Callable[[Path], object]) -> None:
    """Put something else in a file's place."""
    file.unlink()
    make(file)


def spoil(file: Path) -> None:
    """Write over the blobs beside a project."""
    for path in file.with_suffix(".blobs").glob("??/*"):
        path.chmod(0o644)
        path.write_bytes(b"spoilt")


def another(file: Path) -> None:
    """Put another project in a project's place."""
    shutil.move(lineage.open(file.with_name("other.lineage")).file, file)


def file_for_blobs(file: Path) -> None:
    """Put a file in the place of the blob folder."""
    shutil.rmtree(file.with_suffix(".blobs"))
    file.with_suffix(".blobs").write_text("x")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "nothing": lambda file: None,
    "removed": lambda file: file.unlink(),
    "folder removed": lambda file: shutil.rmtree(file.parent),
    "emptied": lambda file: os.truncate(file, 0),
    "cut to the header": lambda file: os.truncate(file, 100),
    "cut to a page": lambda file: os.truncate(file, 4_096),
    "cut in half": lambda file: os.truncate(file, file.stat().st_size // 8_192 * 4_096),
    "garbage": lambda file: file.write_bytes(os.urandom(200_000)),
    "garbage after the header": lambda file: file.write_bytes(file.read_bytes()[:100] + os.urandom(200_000)),
    "a folder": lambda file: replace(file, Path.mkdir),
    "a FIFO": lambda file: replace(file, os.mkfifo),
    "a link to nowhere": lambda file: replace(file, lambda path: path.symlink_to("nowhere")),
    "tables dropped": lambda file: script(file, "PRAGMA writable_schema = ON", "DELETE FROM sqlite_schema"),
    "rows emptied": lambda file: script(file, "DELETE FROM {}"),
    "JSON spoilt": lambda file: script(
        file,
        "UPDATE run SET config = '{', summary = '[1]', code = 'x'",
        "UPDATE version SET metadata = '[]'",
        "UPDATE entry SET extra = 'x'",
    ),
    "another project": another,
    "blobs removed": lambda file: shutil.rmtree(file.with_suffix(".blobs")),
    "blobs a file": file_for_blobs,
    "blobs spoilt": spoil,
}


def query(project: lineage.Project) -> object:
    """Ask through sqlite-utils."""
    with project.db() as db:
        return list(db.query("SELECT * FROM runs"))


def inside(block: Any) -> object:
    """Go into a block and out of it."""
    with block:
        return None


def write(artifact: lineage.Artifact) -> object:
    """Write a file of a draft."""
    with artifact.new_file("new") as file:
        return file.write("x")


METHODS: dict[type, dict[str, Callable[..., object]]] = {
    lineage.Project: {
        "alias_history": lambda p: p.alias_history("d"),
        "ancestors": lambda p: p.ancestors("d"),
        "artifact": lambda p: p.artifact("d"),
        "artifacts": lambda p: list(p.artifacts()),
        "batch": lambda p: inside(p.batch()),
        "common_ancestors": lambda p: p.common_ancestors("d", "m"),
        "db": query,
        "fill": lambda p: p.fill("other.lineage"),
        "delete_artifact": lambda p: p.delete_artifact("x"),
        "depends_on": lambda p: p.depends_on("m", "d"),
        "descendants": lambda p: p.descendants("d"),
        "diff": lambda p: p.diff("d:v0", "d:v1"),
        "gc": lambda p: p.gc(),
        "graph": lambda p: p.graph(),
        "job_types": lambda p: p.job_types(),
        "link": lambda p: p.link("d", "Best models"),
        "log_artifact": lambda p: p.log_artifact(draft("new", {"a": "1", "b": LARGE})),
        "merge": lambda p: p.merge("other.lineage"),
        "node": lambda p: p.node("d"),
        "pack": lambda p: p.pack("packed.lineage", overwrite=True),
        "path": lambda p: p.path("d", "m"),
        "prune": lambda p: p.prune(keep_last=5),
        "record": lambda p: p.record("r", consumed="d"),
        "rename_artifact": lambda p: p.rename_artifact("x", "y"),
        "repair": lambda p: p.repair(),
        "run": lambda p: p.run("r"),
        "runs": lambda p: list(p.runs()),
        "search": lambda p: p.search("d"),
        "size": lambda p: p.size(),
        "snapshot": lambda p: inside(p.snapshot()),
        "sql": lambda p: p.sql("SELECT * FROM runs"),
        "stale": lambda p: p.stale(),
        "start_run": lambda p: p.start_run(),
        "types": lambda p: p.types(),
        "unpack": lambda p: p.unpack(),
        "update_artifact": lambda p: p.update_artifact("d", description="words"),
        "verify": lambda p: p.verify(),
        "version": lambda p: p.version("d"),
        "version_by_uid": lambda p: p.version_by_uid("01k0000000000000000000000x"),
        "versions": lambda p: list(p.versions()),
        "whereis": lambda p: p.whereis(__file__),
    },
    lineage.Version: {
        "add_alias": lambda v: v.add_alias("new"),
        "ancestors": lambda v: v.ancestors(),
        "checkout": lambda v: v.checkout("out"),
        "delete": lambda v: v.delete(),
        "descendants": lambda v: v.descendants(),
        "diff": lambda v: v.diff(v),
        "download": lambda v: v.download("out"),
        "entry": lambda v: v.entry("a"),
        "files": lambda v: v.files(),
        "graph": lambda v: v.graph(),
        "logged_by": lambda v: v.logged_by(),
        "new_draft": lambda v: v.new_draft(),
        "open": lambda v: [v.open("a").read(), v.open("b").read()],
        "refresh": lambda v: v.refresh(),
        "remove_alias": lambda v: v.remove_alias("nope"),
        "reproduced_by": lambda v: v.reproduced_by(),
        "update": lambda v: v.update(description="words"),
        "used_by": lambda v: v.used_by(),
        "verify": lambda v: v.verify("out"),
        "live_key": lambda v: v.live_key(),
        "links": lambda v: v.links(),
        "source": lambda v: v.source(),
        "outside_uses": lambda v: v.outside_uses(),
        "forget_outside_use": lambda v: v.forget_outside_use(lineage.OutsideUse("linked", "p", "c", "t", "u" * 26)),
    },
    lineage.Run: {
        "ancestors": lambda r: r.ancestors(),
        "delete": lambda r: r.delete(),
        "descendants": lambda r: r.descendants(),
        "graph": lambda r: r.graph(),
        "history": lambda r: r.history(),
        "logged_artifacts": lambda r: r.logged_artifacts(),
        "refresh": lambda r: r.refresh(),
        "reproduced": lambda r: r.reproduced(),
        "update": lambda r: r.update(notes="words"),
        "used_artifacts": lambda r: r.used_artifacts(),
        "used_as": lambda r: r.used_as(),
        "live_key": lambda r: r.live_key(),
    },
    lineage.ActiveRun: {
        "log": lambda r: r.log({f"m{number}": number for number in range(1_000)}),
        "flush": lambda r: r.flush(),
        "history": lambda r: r.history(),
        "log_artifact": lambda r: r.log_artifact(draft("new", {"a": "2", "b": LARGE + "2"})),
        "logged_artifacts": lambda r: r.logged_artifacts(),
        "use_artifact": lambda r: r.use_artifact("d"),
        "used_artifacts": lambda r: r.used_artifacts(),
        "update": lambda r: r.update(notes="words"),
        "finish": lambda r: r.finish(),
    },
    lineage.Artifact: {
        "add_dir": lambda a: a.add_dir("out"),
        "add_entries": lambda a: a.add_entries([lineage.Entry("e", "0" * 64, 1)]),
        "add_file": lambda a: a.add_file(__file__),
        "add_reference": lambda a: a.add_reference("s3://bucket/key"),
        "new_file": write,
        "remove": lambda a: a.remove("a"),
    },
}


@pytest.mark.parametrize("cls", METHODS, ids=lambda cls: cls.__name__)
def test_broken_store_walk_has_every_public_method(cls: type) -> None:
    """A new method is tried on broken stores too."""
    public = {
        name for name, member in inspect.getmembers(cls) if not name.startswith("_") and inspect.isroutine(member)
    }

    assert public == set(METHODS[cls])


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_public_method_on_a_broken_store_raises_nothing_but_lineage_errors(damage: str, tmp_path: Path) -> None:
    """Whatever became of the file or its blobs, callers need to catch one class only."""
    home = tmp_path / "home"
    home.mkdir()
    project = lineage.open(home / "p.lineage")
    log(project, "x")
    project.log_artifact(draft("d", {"a": "0"}))
    with project.start_run(id="r", use="d", config={"a": 1}) as run:
        run.log({"a": 1})
        version = run.log_artifact(draft("m", {"a": "small", "b": LARGE}, metadata={"a": 1}))
    project.log_artifact(draft("d", {"a": "1"}))
    handle, active, artifact = project.run("r"), project.start_run(), draft("e", {"a": "x" * 20_000})
    subjects: dict[type, Any] = {
        lineage.Project: project,
        lineage.Version: version,
        lineage.Run: handle,
        lineage.ActiveRun: active,
        lineage.Artifact: artifact,
    }
    DAMAGES[damage](project.file)

    raised = 0
    for cls, calls in METHODS.items():
        for call in calls.values():
            try:
                call(subjects[cls])
            except LineageError as error:
                raised += 1
                assert str(error)

    assert raised >= (2 if damage == "nothing" or damage.startswith("blobs") else 10)


def test_upgrade_of_a_project_whose_name_is_no_text_keeps_its_copy(tmp_path: Path) -> None:
    """A path that is not UTF-8 is a path all the same, also to SQLite."""
    project = lineage.open(os.fsdecode(b"\xff'?#.lineage"))
    log(project)
    folder = tmp_path / "migrations"
    shutil.copytree(SCHEMA_DIR / "migrations", folder)
    (folder / f"{FORMAT_VERSION + 1:04}_next.sql").write_text("CREATE TABLE next (a INTEGER) STRICT;\n")

    assert upgrade(project._store, folder) == FORMAT_VERSION + 1

    copy = project.file.with_name(f"{project.file.name}.format{FORMAT_VERSION}")
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (FORMAT_VERSION,)
        assert connection.execute("SELECT count(*) FROM version").fetchone() == (1,)


def test_project_shows_itself_in_one_line(project: lineage.Project) -> None:
    """The repr names the file, and says when it cannot be written."""
    reader = lineage.open(project.file, read_only=True)

    assert repr(project) == f"<Project {str(project.file)!r}>"
    assert repr(reader) == f"<Project {str(project.file)!r}, read-only>"


def test_project_file_that_was_moved_away_is_a_file_like_any_other(project: lineage.Project) -> None:
    """What no project has open any more may be logged, also where an inode is used again."""
    other = lineage.open("other.lineage")
    project = lineage.open(project.file)
    other.file.rename("copy.bin")

    assert project.log_artifact("copy.bin").size == Path("copy.bin").stat().st_size


def test_batch_takes_in_what_another_object_over_the_same_file_writes(project: lineage.Project) -> None:
    """A batch is the thread's and the file's: a second object is in it, instead of waiting for its own lock."""
    other = lineage.open(project.file)

    with pytest.raises(KeyError), project.batch():
        log(other)
        assert other.version("d").reference == "d:v0"
        raise KeyError

    assert len(other.versions()) == 0
    with project.batch():
        log(other)
    assert [one.reference for one in project.versions()] == ["d:v0"]


def test_snapshot_refuses_writes_of_another_object_over_the_same_file(project: lineage.Project) -> None:
    """A snapshot only reads, whichever object is written through."""
    other = lineage.open(project.file)

    with project.snapshot(), pytest.raises(lineage.StateError, match="a snapshot only reads"):
        log(other)
