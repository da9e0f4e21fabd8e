"""The draft: what goes in freezes as it goes in, and what cannot go in is refused by name."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import draft
from footprint import open_folder, python, refused, tidy, unchanged  # noqa: F401 (fixtures are used by name)

import lineage
from lineage import Artifact, ErrorKind, InvalidInputError, NotFoundError, StateError
from lineage.artifact import staging_home


def contents(artifact: Artifact) -> dict[str, bytes]:
    """Return what a draft holds, by way of a version in a project of its own."""
    project = lineage.open(f"read-{os.urandom(4).hex()}.lineage")
    version = project.log_artifact(artifact)
    assert version is not None
    return {entry.path: version.open(entry.path).read() for entry in version.files()}


def folder_of(files: dict[str, str], name: str = "data") -> Path:
    """Write files below a new folder of the working directory."""
    for path, text in files.items():
        file = Path(name) / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return Path(name)


# --- the constructor, size and digest ---


def test_artifact_needs_no_project() -> None:
    """A draft can be made and filled before any project is open."""
    artifact = draft("d", {"a": "b"}, type="model", description="words", metadata={"a": 1})

    assert (artifact.name, artifact.type, artifact.description, artifact.metadata) == ("d", "model", "words", {"a": 1})
    assert (artifact.incremental, artifact.size, len(artifact.entries)) == (False, 1, 1)
    assert repr(artifact) == "<Artifact 'd' (model), 1 files, draft>"


def test_artifact_metadata_is_a_copy() -> None:
    """What the caller changes afterwards in its own dict does not reach the draft."""
    given = {"layers": [1, 2]}
    artifact = Artifact("d", "t", metadata=given)

    given["layers"].append(3)

    assert artifact.metadata == {"layers": [1, 2]}


def test_entries_are_sorted_by_path() -> None:
    """The order of adding is forgotten; code points decide."""
    artifact = draft("d", {"b": "1", "a/z": "2", "a.txt": "3", "B": "4"})

    assert [entry.path for entry in artifact.entries] == ["B", "a.txt", "a/z", "b"]


def test_digest_depends_on_paths_and_contents_only() -> None:
    """Type, words, metadata, order and the way in do not count; a path and a byte do."""
    folder = folder_of({"a": "1", "d/b": "2"})
    os.utime(folder / "a", (1, 1))
    (folder / "a").chmod(0o700)
    first = draft("d", {"a": "1", "d/b": "2"})
    second = draft("e", {"d/b": "2"}, type="model", description="words", metadata={"a": 1})
    second.add_file(folder / "a")
    third = Artifact("f", "t")
    third.add_dir(folder)

    assert first.digest == second.digest == third.digest
    assert draft("d", {"a": "1", "d/c": "2"}).digest != first.digest
    assert draft("d", {"a": "2", "d/b": "2"}).digest != first.digest
    assert draft("d", {"a": "12", "d/b": ""}).digest != first.digest


def test_digest_of_the_draft_is_that_of_the_version(project: lineage.Project) -> None:
    """The digest can be known before anything is logged, also of an empty draft and one of a reference."""
    artifacts = [draft("d", {"a": "1", "b": "x" * 100_000}), Artifact("e", "t"), Artifact("f", "t")]
    artifacts[2].add_reference("s3://bucket/key")

    for artifact in artifacts:
        before = artifact.digest
        version = project.log_artifact(artifact)

        assert version is not None
        assert version.digest == before == artifact.digest


def test_digest_of_a_reference_is_not_that_of_the_file_it_points_to() -> None:
    """Bytes in the store and a pointer to the same bytes are different contents."""
    file = Path("a")
    file.write_text("1")
    stored, pointed = Artifact("d", "t"), Artifact("d", "t")

    stored.add_file(file)
    pointed.add_reference(file.absolute().as_uri())

    assert stored.entries[0].digest == pointed.entries[0].digest
    assert stored.digest != pointed.digest


# --- new_file ---


@pytest.mark.parametrize(
    ("mode", "given", "kept"),
    [
        ("x", "é\n", "é\n".encode()),
        ("w", "é", "é".encode()),
        ("xt", "a", b"a"),
        ("wt", "a", b"a"),
        ("xb", b"\xff\0", b"\xff\0"),
        ("wb", b"", b""),
        ("wb", b"x" * 1_000_000, b"x" * 1_000_000),
        ("wb", b"x" * 16_384, b"x" * 16_384),
        ("wb", b"x" * 16_385, b"x" * 16_385),
    ],
)
def test_new_file_keeps_what_was_written(mode: str, given: Any, kept: bytes) -> None:
    """Text and bytes, none and many, are kept as they were written."""
    artifact = Artifact("d", "t")

    with artifact.new_file("d/a", mode) as file:
        file.write(given)

    assert artifact.entries[0].size == len(kept)
    assert contents(artifact) == {"d/a": kept}


def test_new_file_in_another_encoding_writes_it() -> None:
    """Text is UTF-8 unless the caller says otherwise."""
    artifact = Artifact("d", "t")

    with artifact.new_file("a", encoding="latin-1") as file:
        file.write("é")

    assert contents(artifact) == {"a": b"\xe9"}


def test_new_file_of_a_taken_path_is_refused_unless_it_replaces(project: lineage.Project) -> None:
    """Mode x does not write over anything, mode w does."""
    artifact = draft("d", {"a": "old"})

    with refused(project, InvalidInputError, "'a' is in artifact 'd' already; mode 'w'", ErrorKind.PATH_INVALID):
        artifact.new_file("./a").__enter__()
    with artifact.new_file("a", "w") as file:
        file.write("new")

    assert contents(artifact) == {"a": b"new"}


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt(), OSError(2, "no file", "other")], ids=repr)
def test_new_file_whose_block_fails_adds_nothing(project: lineage.Project, error: BaseException) -> None:
    """The exception goes on as it is, no temporary file stays, and the same path can be written again."""
    artifact = draft("d", {"b": b"x" * 20_000})
    staged = sorted(path.name for path in project.blob_folder.rglob("*"))

    with pytest.raises(type(error)) as caught, artifact.new_file("a", "wb") as file:
        file.write(b"x" * 100_000)
        raise error

    assert caught.value is error
    assert [entry.path for entry in artifact.entries] == ["b"]
    assert sorted(path.name for path in project.blob_folder.rglob("*")) == staged
    with artifact.new_file("a") as file:
        file.write("again")
    assert contents(artifact) == {"a": b"again", "b": b"x" * 20_000}


def test_add_dir_tells_the_bytes_it_has_added(tmp_path: Path) -> None:
    """What it was told adds up to the whole, and an error of the caller's own leaves the draft as it was."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name, size in (("a", 5), ("b", 20_000)):
        (folder / name).write_bytes(b"x" * size)
    told: list[int] = []
    artifact = Artifact("d", "t")

    artifact.add_dir(folder, progress=told.append)

    assert told == [5, 20_000]
    with pytest.raises(ZeroDivisionError):
        artifact.add_dir(folder, "again", progress=lambda count: told.append(count // 0))
    assert [entry.path for entry in artifact.entries] == ["a", "b"]


def test_new_file_with_text_that_has_no_bytes_adds_nothing() -> None:
    """A character that the encoding lacks ends the block like any other error, and x works afterwards."""
    artifact = Artifact("d", "t")

    with pytest.raises(UnicodeEncodeError), artifact.new_file("a") as file:
        file.write("\ud800")
    with artifact.new_file("a") as file:
        file.write("a")

    assert contents(artifact) == {"a": b"a"}


def test_new_file_that_its_block_closes_is_added() -> None:
    """Whoever closes the file himself does no harm."""
    artifact = Artifact("d", "t")

    with artifact.new_file("a") as file:
        file.write("a")
        file.close()

    assert contents(artifact) == {"a": b"a"}


def test_new_file_of_a_path_taken_meanwhile_is_refused() -> None:
    """Two blocks of one path cannot both be x; the first to end stays."""
    artifact = Artifact("d", "t")

    with pytest.raises(InvalidInputError, match="'a' is in artifact 'd' already"), artifact.new_file("a") as outer:
        outer.write("outer")
        with artifact.new_file("a") as inner:
            inner.write("inner")

    assert contents(artifact) == {"a": b"inner"}


def test_new_file_whose_draft_is_logged_inside_is_refused(project: lineage.Project) -> None:
    """A draft that was logged takes no file that is still being written."""
    artifact = draft("d", {"a": "1"})

    with pytest.raises(StateError, match="artifact 'd' was logged as d:v0"), artifact.new_file("b") as file:
        file.write("2")
        project.log_artifact(artifact)

    assert [entry.path for entry in project.version("d").files()] == ["a"]


# --- add_file ---


def test_add_file_freezes_the_content_at_once() -> None:
    """The source may be edited or deleted afterwards."""
    source = Path("model.bin")
    source.write_text("first")
    artifact = Artifact("d", "t")

    entry = artifact.add_file(source)
    source.write_text("second")
    source.unlink()

    assert (entry.path, entry.size, entry.stored, entry.uri) == ("model.bin", 5, True, None)
    assert entry.digest == draft("x", {"a": "first"}).entries[0].digest
    assert contents(artifact) == {"model.bin": b"first"}


@pytest.mark.parametrize(("name", "path"), [(None, "a.txt"), ("b", "b"), ("d/./e//f", "d/e/f")])
def test_add_file_takes_the_name_or_the_files_own(name: str | None, path: str) -> None:
    """A file keeps its own name unless it gets another."""
    (Path("d0") / "d1").mkdir(parents=True)
    (Path("d0") / "d1" / "a.txt").write_text("x")
    artifact = Artifact("d", "t")

    artifact.add_file("d0/d1/a.txt", name)

    assert [entry.path for entry in artifact.entries] == [path]


def test_add_file_again_with_the_same_content_is_fine_and_with_other_content_refused(project: lineage.Project) -> None:
    """One path holds one content, unless overwrite says which."""
    Path("a").write_text("1")
    artifact = Artifact("d", "t")
    first = artifact.add_file("a")

    assert artifact.add_file("a") == first
    Path("a").write_text("2")
    with refused(
        project, InvalidInputError, "'a' is in artifact 'd' already, with other content", ErrorKind.PATH_INVALID
    ):
        artifact.add_file("a")
    artifact.add_file("a", overwrite=True)

    assert contents(artifact) == {"a": b"2"}


def test_add_file_follows_a_link() -> None:
    """A link to a file stands for the file, under the link's name."""
    Path("target").write_text("x")
    Path("link").symlink_to("target")
    artifact = Artifact("d", "t")

    artifact.add_file("link")

    assert contents(artifact) == {"link": b"x"}


def test_add_file_of_proc_takes_what_is_read_there() -> None:
    """A file whose size is 0 and whose content is not is kept whole."""
    artifact = Artifact("d", "t")

    artifact.add_file("/proc/version", "version")

    assert contents(artifact)["version"].startswith(b"Linux")


def test_add_file_of_a_sparse_file_is_exact() -> None:
    """Holes are read as the zeros they are."""
    with Path("sparse").open("wb") as file:
        file.truncate(20_000_000)
    artifact = Artifact("d", "t")

    entry = artifact.add_file("sparse")

    assert entry.size == 20_000_000
    assert entry.digest == draft("e", {"a": bytes(20_000_000)}).entries[0].digest


def make_special(kind: str) -> Path:
    """Make something that is no regular file."""
    path = Path("special")
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "socket":
            socket.socket(socket.AF_UNIX).bind(str(path))
        case "folder":
            path.mkdir()
        case "broken link":
            path.symlink_to("nowhere")
        case "loop":
            path.symlink_to(path)
        case "device":
            return Path("/dev/zero")
        case "missing":
            pass
        case "below a file":
            path.write_text("x")
            return path / "a"
    return path


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("fifo", "is not a regular file; log files, not folders, FIFOs or devices"),
        ("socket", "is not a regular file"),
        ("folder", "is not a regular file"),
        ("device", "is not a regular file"),
        ("broken link", "no file 'special'"),
        ("loop", "no file 'special'"),
        ("missing", "no file 'special'"),
        ("below a file", "no file 'special/a'"),
    ],
)
def test_add_file_of_what_is_no_file_is_refused_at_once(project: lineage.Project, kind: str, message: str) -> None:
    """Nothing is waited for, nothing is read, and the message names it."""
    path = make_special(kind)

    with refused(project, InvalidInputError, message, ErrorKind.SOURCE_INVALID):
        Artifact("d", "t").add_file(path)
    if kind != "folder":
        with refused(project, InvalidInputError, message, ErrorKind.SOURCE_INVALID):
            project.log_artifact(path, "d")


@pytest.mark.parametrize("spelling", ["p.lineage", "./p.lineage", "link", "hard"])
def test_add_file_of_the_project_itself_is_refused(project: lineage.Project, spelling: str) -> None:
    """Reading the file that SQLite holds could lose commits, by whatever name it is called."""
    Path("link").symlink_to("p.lineage")
    os.link("p.lineage", "hard")

    with refused(project, InvalidInputError, "is a project file that is open here", ErrorKind.SOURCE_INVALID):
        Artifact("d", "t").add_file(spelling)


def test_add_file_of_another_project_that_is_open_is_refused(project: lineage.Project) -> None:
    """It is not only the project that is logged into; one that is not open here is a file like any other."""
    other = lineage.open("other.lineage")
    project = lineage.open(project.file)  # drafts stage where the last one lies
    python("import lineage; lineage.open('third.lineage')")

    with refused(project, InvalidInputError, "is a project file that is open here"):
        Artifact("d", "t").add_file(other.file)

    assert Artifact("d", "t").add_file("third.lineage").size == Path("third.lineage").stat().st_size


def test_add_file_whose_name_is_not_utf8_needs_another(project: lineage.Project) -> None:
    """Bytes that are no text are no path in an artifact; under another name the file is welcome."""
    name = os.fsdecode(b"\xff.bin")
    Path(name).write_text("x")

    with refused(project, InvalidInputError, "it is not UTF-8 text", ErrorKind.PATH_INVALID):
        Artifact("d", "t").add_file(name)
    artifact = Artifact("d", "t")
    artifact.add_file(name, "a.bin")

    assert contents(artifact) == {"a.bin": b"x"}


@pytest.mark.usefixtures("open_folder")
def test_add_file_that_cannot_be_read_is_a_storage_error() -> None:
    """Permission is the place's matter, not the call's."""
    Path("secret").write_text("x")
    Path("secret").chmod(0)

    done = python(
        "import lineage, sys\ntry: lineage.Artifact('d', 't').add_file('secret')\n"
        "except lineage.StorageError as error: print(error)",
        nobody=True,
    )

    assert done.stdout == "cannot read: 'secret' Permission denied\n", done.stderr


# --- add_dir ---


def test_add_dir_takes_every_file_below_and_no_empty_folder() -> None:
    """Files keep their place, hidden ones too; folders without files leave no trace."""
    folder = folder_of({"a": "1", "b/c": "2", "b/d/e": "3", ".hidden": "4"})
    (folder / "empty" / "emptier").mkdir(parents=True)
    artifact = Artifact("d", "t")

    entries = artifact.add_dir(folder)

    assert sorted(entry.path for entry in entries) == [".hidden", "a", "b/c", "b/d/e"]
    assert contents(artifact) == {".hidden": b"4", "a": b"1", "b/c": b"2", "b/d/e": b"3"}


def test_add_dir_under_a_name_puts_it_before_every_path() -> None:
    """The name is a folder of the artifact."""
    artifact = Artifact("d", "t")

    artifact.add_dir(folder_of({"a": "1", "b/c": "2"}), "x/y/")

    assert [entry.path for entry in artifact.entries] == ["x/y/a", "x/y/b/c"]


def test_add_dir_of_an_empty_folder_adds_nothing() -> None:
    """An empty folder is legal, and nothing."""
    Path("empty").mkdir()
    artifact = Artifact("d", "t")

    assert artifact.add_dir("empty") == []
    assert artifact.entries == []


def test_add_dir_follows_links_inside_the_tree() -> None:
    """Links to files and folders stand for what they point to, also twice."""
    folder = folder_of({"a": "1", "b/c": "2"})
    (folder / "file").symlink_to("a")
    (folder / "first").symlink_to("b")
    (folder / "second").symlink_to("b")
    artifact = Artifact("d", "t")

    artifact.add_dir(folder)

    assert contents(artifact) == {"a": b"1", "b/c": b"2", "file": b"1", "first/c": b"2", "second/c": b"2"}


ODDITIES: dict[str, Callable[[Path], object]] = {
    "broken": lambda odd: odd.symlink_to("nowhere"),
    "loop to itself": lambda odd: odd.symlink_to("odd"),
    "loop to the folder": lambda odd: odd.symlink_to("."),
    "loop to the root": lambda odd: odd.symlink_to("../../data"),
    "fifo": os.mkfifo,
    "socket": lambda odd: socket.socket(socket.AF_UNIX).bind(str(odd)),
    "link to a device": lambda odd: odd.symlink_to("/dev/zero"),
    "not utf-8": lambda odd: Path(os.fsdecode(os.fsencode(odd) + b"\xff")).write_text("x"),
    "control": lambda odd: Path(f"{odd}\n").write_text("x"),
    "project": lambda odd: odd.symlink_to(Path("p.lineage").absolute()),
}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("broken", "'data/b/odd' is a broken link; remove it or restore its target"),
        ("loop to itself", "'data/b/odd' cannot be followed: Too many levels of symbolic links"),
        ("loop to the folder", "'data/b/odd' is a link to a folder that holds it; remove the loop"),
        ("loop to the root", "'data/b/odd' is a link to a folder that holds it"),
        ("fifo", "'data/b/odd' is a FIFO, a socket or a device; log files and folders"),
        ("socket", "'data/b/odd' is a FIFO, a socket or a device"),
        ("link to a device", "'data/b/odd' is a FIFO, a socket or a device"),
        ("not utf-8", "it is not UTF-8 text"),
        ("control", "it holds a backslash, a drive letter or a control character"),
        ("project", "is a project file that is open here"),
    ],
)
def test_add_dir_with_what_cannot_be_logged_adds_none_of_it(project: lineage.Project, kind: str, message: str) -> None:
    """One thing that is neither file nor folder, and the whole folder is refused, naming it."""
    folder = folder_of({"a": "1", "b/c": "2", "z": "3"})
    ODDITIES[kind](folder / "b" / "odd")
    artifact = draft("d", {"mine": "0"})

    with refused(project, InvalidInputError, message):
        artifact.add_dir(folder, "x")

    assert [entry.path for entry in artifact.entries] == ["mine"]
    assert artifact.add_file(folder / "a", "x").path == "x"  # no folder of that name was left behind


@pytest.mark.parametrize("place", [".", "..", "p.blobs", "p.blobs/tmp"])
def test_add_dir_of_the_store_is_refused(project: lineage.Project, place: str) -> None:
    """Neither a folder that holds the project nor its own blobs are data."""
    project.log_artifact(draft("d", {"a": "x" * 100_000}))

    with refused(project, InvalidInputError, "project"):
        Artifact("e", "t").add_dir(place)
    with refused(project, InvalidInputError, "project"):
        project.log_artifact(place, "e")


@pytest.mark.parametrize("path", ["missing", "file", "x" * 300, "file/a"])
def test_add_dir_of_what_is_no_folder_is_refused(project: lineage.Project, path: str) -> None:
    """A file, or nothing, is no folder."""
    Path("file").write_text("x")

    with refused(project, InvalidInputError, f"no folder '{path[:20]}", ErrorKind.SOURCE_INVALID):
        Artifact("d", "t").add_dir(path)


def test_add_dir_of_a_tree_deeper_than_a_path_may_be_is_refused(project: lineage.Project) -> None:
    """A path that no system call takes is an error, and no endless walk."""
    here = Path.cwd()
    for _ in range(60):
        Path("x" * 100).mkdir()
        os.chdir("x" * 100)
    Path("a").write_text("x")
    os.chdir(here)

    with refused(project, InvalidInputError, "^.x{100}", ErrorKind.SOURCE_INVALID):
        Artifact("d", "t").add_dir("x" * 100)


@pytest.mark.usefixtures("open_folder")
def test_add_dir_with_a_folder_that_cannot_be_read_adds_nothing() -> None:
    """What is closed in the middle of a tree is not left out in silence."""
    folder = folder_of({"a": "1", "b/c": "2"})
    (folder / "b").chmod(0)

    done = python(
        "import lineage\nd = lineage.Artifact('d', 't')\ntry: d.add_dir('data')\n"
        "except lineage.StorageError as error: print(error, d.entries)",
        nobody=True,
    )

    assert done.stdout == "cannot read the folder: 'data/b' Permission denied []\n", done.stderr


def test_add_dir_over_other_content_is_refused_unless_it_overwrites(project: lineage.Project) -> None:
    """A path that is taken by other content stops all of it; overwrite replaces."""
    folder = folder_of({"a": "new", "b": "new"})
    artifact = draft("d", {"b": "old"})

    with refused(project, InvalidInputError, "'b' is in artifact 'd' already"):
        artifact.add_dir(folder)
    before = [entry.path for entry in artifact.entries]
    artifact.add_dir(folder, overwrite=True)

    assert before == ["b"]
    assert contents(artifact) == {"a": b"new", "b": b"new"}


# --- a file and a folder of one name ---


@pytest.mark.parametrize(("first", "second"), [("a", "a/b"), ("a/b", "a"), ("a/b/c", "a/b"), ("a/b", "a/b/c/d")])
def test_add_of_a_file_where_a_folder_is_is_refused_every_way(
    project: lineage.Project, first: str, second: str
) -> None:
    """One name cannot be both, in whatever order and by whatever call it comes."""
    Path("source").write_text("x")
    artifact = draft("d", {first: "x"})
    message = "cannot be both a file and a folder"

    with refused(project, InvalidInputError, message, ErrorKind.PATH_INVALID):
        artifact.new_file(second).__enter__()
    with refused(project, InvalidInputError, message, ErrorKind.PATH_INVALID):
        artifact.add_file("source", second, overwrite=True)
    with refused(project, InvalidInputError, message, ErrorKind.PATH_INVALID):
        artifact.add_reference("s3://b/k", second)

    assert [entry.path for entry in artifact.entries] == [first]


def test_add_of_paths_that_only_some_systems_tell_apart_is_accepted() -> None:
    """Case and Unicode form make different paths; verify says where that matters."""
    artifact = draft("d", {"A": "1", "a": "2", "é": "3", "e\u0301": "4"})

    assert contents(artifact) == {"A": b"1", "a": b"2", "é": b"3", "e\u0301": b"4"}


# --- remove ---


@pytest.mark.parametrize(
    ("gone", "left"),
    [
        ("a", ["ab", "d/e", "d/f/g"]),
        ("d", ["a", "ab"]),
        ("d/", ["a", "ab"]),
        ("d/f", ["a", "ab", "d/e"]),
        ("./ab", ["a", "d/e", "d/f/g"]),
    ],
)
def test_remove_takes_a_file_or_a_whole_folder(gone: str, left: list[str]) -> None:
    """A path is a file or a folder, never the beginning of a name."""
    artifact = draft("d", {"a": "1", "ab": "2", "d/e": "3", "d/f/g": "4"})

    artifact.remove(gone)

    assert [entry.path for entry in artifact.entries] == left


def test_remove_of_an_entry_frees_its_path_and_folders() -> None:
    """An entry can be given itself; its folder may then be a file."""
    artifact = draft("d", {"a/b": "1"})

    artifact.remove(artifact.entries[0])
    with artifact.new_file("a") as file:
        file.write("2")

    assert contents(artifact) == {"a": b"2"}


@pytest.mark.parametrize("path", ["b", "a/b", "aa"])
def test_remove_of_what_is_not_there_is_refused(path: str) -> None:
    """Nothing lies there: nothing is removed."""
    artifact = draft("d", {"a": "1"})

    with pytest.raises(NotFoundError, match=f"'{path}' is not in artifact 'd'") as caught:
        artifact.remove(path)

    assert caught.value.kind == "entry-not-found"
    assert len(artifact.entries) == 1


# --- after it was logged ---


@pytest.mark.parametrize(
    "call",
    [
        lambda one: one.new_file("b").__enter__(),
        lambda one: one.add_file(__file__),
        lambda one: one.add_dir("."),
        lambda one: one.add_reference("s3://b/k"),
        lambda one: one.remove("a"),
    ],
)
def test_change_of_a_logged_draft_is_refused(project: lineage.Project, call: Any) -> None:
    """Content is frozen once it is a version; the message names the version and what to do."""
    artifact = draft("d", {"a": "1"})
    project.log_artifact(artifact)

    with refused(
        project, StateError, r"artifact 'd' was logged as d:v0; use its new_draft\(\)", ErrorKind.DRAFT_LOGGED
    ):
        call(artifact)

    assert [entry.path for entry in artifact.entries] == ["a"]
    assert artifact.size == 1


# --- where a draft stages ---


def test_staging_goes_with_the_draft(project: lineage.Project) -> None:
    """A draft that is dropped without being logged leaves nothing."""
    artifact = draft("d", {"a": "x" * 100_000, "b": "small"})
    staged = list((project.blob_folder / "tmp").iterdir())

    del artifact

    assert len(staged) == 1
    assert list((project.blob_folder / "tmp").iterdir()) == []


def test_staging_is_empty_after_the_log(project: lineage.Project) -> None:
    """Once it is logged, a draft needs no bytes of its own."""
    artifact = draft("d", {"a": "x" * 100_000, "b": "small"})

    project.log_artifact(artifact)

    assert list((project.blob_folder / "tmp").iterdir()) == []
    assert len(artifact.entries) == 2


def test_staging_without_a_project_is_in_the_systems_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A draft made before any project is open stages elsewhere, and is logged all the same."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    artifact = draft("d", {"a": "x" * 100_000})
    staged = [path.name for path in tmp_path.iterdir()]
    project = lineage.open("p.lineage")

    version = project.log_artifact(artifact)

    assert len(staged) == 1
    assert version is not None
    assert version.open("a").read() == b"x" * 100_000
    assert not (tmp_path / staged[0]).exists()


def test_staging_of_a_project_that_is_gone_falls_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder that was removed since is not made again only to stage in it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "gone").mkdir()
    lineage.open("gone/p.lineage")
    (tmp_path / "gone" / "p.lineage").unlink()
    (tmp_path / "gone").rmdir()

    artifact = draft("d", {"a": "1"})

    assert artifact.size == 1
    assert not (tmp_path / "gone").exists()


def test_staging_home_is_that_of_the_last_project_that_can_be_written(project: lineage.Project) -> None:
    """A project opened for reading is nothing to stage in."""
    lineage.open(project.file, read_only=True)

    assert staging_home.store is not None
    assert staging_home.store.blobs.root == project.blob_folder
    with unchanged(project):
        draft("d", {"a": "1"})


def test_new_file_on_a_full_disk_is_a_storage_error(tmp_path: Path) -> None:
    """What the file system says while the caller writes is an error of ours, and other errors are the caller's own."""
    program = """
import lineage, resource
lineage.open("p.lineage")
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
draft = lineage.Artifact("d", "t")
for size in (100, 60_000, 10_000_000):
    try:
        with draft.new_file("a", "wb") as file:
            for _ in range(1_000): file.write(bytes(size))
        print("written")
    except lineage.StorageError as error: print(error)
print(draft.entries)
"""
    done = python(program)

    message = (
        rf"cannot write the new file: '{tmp_path}/p.blobs/tmp/.+' File too large; the file-size limit is reached\n"
    )
    assert re.fullmatch(f"(?:{message}){{3}}\\[\\]\n", done.stdout)
    assert done.stderr == ""
