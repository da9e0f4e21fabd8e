"""Download: each file whole and verified or not there at all, whatever lies in the folder already."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import socket
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from conftest import draft
from footprint import refused, unchanged

import lineage

LARGE = "x" * 50_000
"""Too large for the project file: it lies in the blob folder."""


def log(project: lineage.Project, files: dict[str, str | bytes], name: str = "d") -> lineage.Version:
    """Log files as the next version of `name`."""
    version = project.log_artifact(draft(name, files))
    assert version is not None
    return version


def below(folder: Path) -> dict[str, str]:
    """Return the text of every file below a folder, temporary ones included."""
    found = sorted(path for path in folder.rglob("*") if not path.is_dir())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in found}


def blob(project: lineage.Project, version: lineage.Version, path: str) -> Path:
    """Return where the bytes of a large file lie."""
    digest = str(version.entry(path).digest)
    return project.blob_folder / digest[:2] / digest[2:]


def damage_inside(project: lineage.Project, version: lineage.Version, path: str, data: bytes) -> None:
    """Change the bytes of a small file, in the project file."""
    with closing(sqlite3.connect(project.file, isolation_level=None)) as connection:
        connection.execute(
            "UPDATE chunk SET data = ? WHERE blob = (SELECT id FROM blob WHERE digest = ?)",
            [data, str(version.entry(path).digest)],
        )


# --- what comes, and what stays ---


@pytest.mark.parametrize(
    "content",
    ["", "small", "x" * 16_384, "x" * 16_385, LARGE * 50],
    ids=["empty", "small", "limit", "past it", "large"],
)
def test_download_into_a_new_folder_brings_each_file(project: lineage.Project, content: str) -> None:
    """Every size comes back exactly, from wherever it lies."""
    version = log(project, {"a": content, "in/deep/b": content})

    folder = version.download("new/out")

    assert folder == Path("new/out")
    assert below(folder) == {"a": content, "in/deep/b": content}


def test_download_of_a_file_of_many_megabytes_has_all_its_pieces_in_order(project: lineage.Project) -> None:
    """They are written by another thread than the one that reads them."""
    content = b"".join(b"%015d\n" % number for number in range(600_000))
    version = log(project, {"a": content})

    version.download("out")

    assert Path("out/a").read_bytes() == content


def test_download_of_a_file_of_many_megabytes_that_is_stopped_leaves_nothing(project: lineage.Project) -> None:
    """An error of the callback waits for the piece that is being written, and then comes through."""
    version = log(project, {"a": b"x" * 10_000_000})
    told: list[int] = []

    def stop(count: int) -> None:
        told.append(count)
        if len(told) > 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        version.download("out", progress=stop)

    assert below(Path("out")) == {}


def test_download_of_more_files_than_one_read_takes_brings_all(project: lineage.Project) -> None:
    """Small files are read in groups, and none falls between two."""
    files: dict[str, str | bytes] = {f"{number:03}": str(number) for number in range(501)}
    version = log(project, files)

    assert below(version.download("out")) == files


def test_download_of_no_files_makes_an_empty_folder(project: lineage.Project) -> None:
    """An empty version is a folder with nothing in it."""
    folder = log(project, {}).download("out")

    assert (folder.is_dir(), below(folder)) == (True, {})


def test_download_again_writes_nothing(project: lineage.Project) -> None:
    """Right files, small and large, keep inode and times."""
    version = log(project, {"a": "small", "in/b": LARGE})
    version.download("out")
    before = [(path, path.stat().st_ino, path.stat().st_mtime_ns) for path in sorted(Path("out").rglob("*"))]

    version.download("out")

    assert [(path, path.stat().st_ino, path.stat().st_mtime_ns) for path in sorted(Path("out").rglob("*"))] == before


@pytest.mark.parametrize("now", ["", "smal", "smalL", "small and more"])
def test_download_over_an_altered_file_restores_it(project: lineage.Project, now: str) -> None:
    """A wrong file is replaced, whether its size tells or only its content."""
    version = log(project, {"a": "small"})
    (version.download("out") / "a").write_text(now)

    assert below(version.download("out")) == {"a": "small"}


def test_download_leaves_what_is_not_the_versions(project: lineage.Project) -> None:
    """Other files of the folder are somebody's."""
    Path("out/in").mkdir(parents=True)
    Path("out/mine").write_text("mine")
    Path("out/in/mine").write_text("mine")

    log(project, {"in/a": "small"}).download("out")

    assert below(Path("out")) == {"in/a": "small", "in/mine": "mine", "mine": "mine"}


@pytest.mark.parametrize("content", ["small", LARGE], ids=["small", "large"])
def test_download_that_is_edited_does_the_store_no_harm(project: lineage.Project, content: str) -> None:
    """What is handed out is a copy that can be written; the store keeps its own."""
    version = log(project, {"a": content})

    copy = version.download("out") / "a"
    copy.write_text("edited")

    assert (copy.stat().st_nlink, stat.S_IMODE(copy.stat().st_mode) & 0o600) == (1, 0o600)
    assert version.open("a", "r").read() == content
    assert project.verify().problems == ()


def test_download_changes_nothing_in_the_store(project: lineage.Project) -> None:
    """Reading leaves no trace."""
    version = log(project, {"a": "small", "b": LARGE})
    Path("out").mkdir()

    with unchanged(project):
        version.download("out")


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        (None, ["a", "train", "train-2/b", "trains/in/c"]),
        ("", ["a", "train", "train-2/b", "trains/in/c"]),
        ("train", ["train", "train-2/b", "trains/in/c"]),
        ("trains/", ["trains/in/c"]),
        ("trains/in/c", ["trains/in/c"]),
    ],
)
def test_download_of_a_prefix_brings_the_paths_that_begin_so(
    project: lineage.Project, prefix: str | None, expected: list[str]
) -> None:
    """A prefix is bare text; with a slash at its end it means a folder."""
    version = log(project, {"a": "1", "train": "2", "train-2/b": "3", "trains/in/c": "4"})

    folder = version.download("out", prefix)

    assert list(below(folder)) == expected


@pytest.mark.parametrize("prefix", ["train/", "/", "nowhere"])
def test_download_of_a_prefix_of_nothing_is_refused(project: lineage.Project, prefix: str) -> None:
    """A misspelt one is no success, and makes no folder."""
    version = log(project, {"a": "1", "train": "2"})

    with pytest.raises(lineage.NotFoundError, match="d:v0 has no file whose path begins with '.*'; files") as caught:
        version.download("out", prefix)

    assert caught.value.kind == lineage.ErrorKind.ENTRY_NOT_FOUND
    assert not Path("out").exists()


@pytest.mark.parametrize(
    "path",
    [
        "ä ö/ü.txt",
        "a\u0308",
        "漢字/🙂",
        " leading and trailing ",
        "x" * 255,
        "/".join(["d" * 100] * 30),
        "-rf",
        "CON",
        "ab:c",
        "a*?|<>",
    ],
    ids=["umlauts", "combining", "other scripts", "spaces", "long", "deep", "option", "windows", "stream", "signs"],
)
def test_download_of_an_unusual_name_brings_it_unchanged(project: lineage.Project, path: str) -> None:
    """Whatever a path may hold is what the file is called."""
    version = log(project, {path: "small"})

    folder = version.download("out")

    assert list(below(folder)) == [path]
    version.verify("out")


def test_download_without_a_folder_goes_below_artifacts_by_name_and_number(project: lineage.Project) -> None:
    """Two versions do not mix."""
    log(project, {"a": "1"})
    version = log(project, {"a": "2"})

    assert version.download() == Path("artifacts/d:v1")
    assert below(Path("artifacts")) == {"d:v1/a": "2"}


def test_download_of_a_deleted_version_is_refused_and_makes_no_folder(project: lineage.Project) -> None:
    """Its content is gone by decision, though its bytes may still be there."""
    log(project, {"a": "1"})
    version = log(project, {"a": "2"})
    version.delete(delete_aliases=True)

    with refused(project, lineage.NotFoundError, "d:v1 was deleted", lineage.ErrorKind.VERSION_DELETED):
        version.download("out")


def test_download_from_a_read_only_project_works(project: lineage.Project) -> None:
    """Reading needs no right to write."""
    log(project, {"a": "small", "b": LARGE})

    folder = lineage.open(project.file, read_only=True).version("d").download("out")

    assert below(folder) == {"a": "small", "b": LARGE}


# --- progress ---


def test_download_tells_its_progress_in_bytes(project: lineage.Project) -> None:
    """What is there already and what is brought add up to the version's size, both times."""
    version = log(project, {"a": "small", "b": LARGE})
    first: list[int] = []
    again: list[int] = []

    version.download("out", progress=first.append)
    version.download("out", progress=again.append)

    assert (sum(first), sum(again)) == (50_005, 50_005)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, FileNotFoundError], ids=["ctrl-c", "value", "os"])
def test_download_stopped_by_its_progress_leaves_whole_files_only(
    project: lineage.Project, error: type[BaseException]
) -> None:
    """An error of the callback comes through as it is, and no half file and no temporary one stays."""
    version = log(project, {"a": "small", "b": LARGE, "c": LARGE + "y"})
    told: list[int] = []

    def stop(count: int) -> None:
        told.append(count)
        if sum(told) > 50_000:
            raise error("stop")

    with pytest.raises(error, match="stop"):
        version.download("out", progress=stop)

    assert below(Path("out")) == {"a": "small"}


# --- checkout ---


def test_checkout_removes_what_is_not_the_versions(project: lineage.Project) -> None:
    """Afterwards the folder is the version: no other file, no empty folder, no hidden leftovers."""
    version = log(project, {"a": "1", "in/b": "2"})
    Path("out/in/mine").mkdir(parents=True)
    Path("out/empty/nested").mkdir(parents=True)
    for path in ("out/mine", "out/in/mine/x", "out/.0123.lineage-download"):
        Path(path).write_text("mine")

    folder = version.checkout("out")

    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*")) == ["a", "in", "in/b"]


def test_checkout_removes_links_and_leaves_their_targets(project: lineage.Project, tmp_path: Path) -> None:
    """A link to a file or folder elsewhere goes; what it leads to is not touched."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "keep").write_text("keep")
    Path("out").mkdir()
    Path("out/folder").symlink_to(tmp_path / "elsewhere")
    Path("out/file").symlink_to(tmp_path / "elsewhere" / "keep")
    Path("out/dangling").symlink_to("nowhere")

    folder = log(project, {"a": "1"}).checkout("out")

    assert list(below(folder)) == ["a"]
    assert (tmp_path / "elsewhere" / "keep").read_text() == "keep"


def test_checkout_without_a_folder_goes_below_artifacts_by_name(project: lineage.Project) -> None:
    """One folder follows the versions."""
    log(project, {"a": "1", "b": "1"}).checkout()
    version = log(project, {"a": "2"})

    assert version.checkout() == Path("artifacts/d")
    assert below(Path("artifacts/d")) == {"a": "2"}


@pytest.mark.parametrize(
    ("first", "second"),
    [("a", "a/b/c"), ("a/b/c", "a"), ("in/a", "in/a/b")],
    ids=["file to folder", "folder to file", "below"],
)
def test_checkout_of_a_version_where_a_file_became_a_folder_follows(
    project: lineage.Project, first: str, second: str
) -> None:
    """What stands in the way is not the version's, so it goes."""
    log(project, {first: "1"}).checkout("out")

    folder = log(project, {second: "2"}).checkout("out")

    assert below(folder) == {second: "2"}


def test_checkout_below_a_link_replaces_it_by_a_folder(project: lineage.Project, tmp_path: Path) -> None:
    """A link where a folder goes is not the version's; what it leads to stays as it is."""
    (tmp_path / "elsewhere" / "a").mkdir(parents=True)
    (tmp_path / "elsewhere" / "a" / "keep").write_text("keep")
    Path("out").mkdir()
    Path("out/in").symlink_to(tmp_path / "elsewhere")

    folder = log(project, {"in/a": "mine"}).checkout("out")

    assert (below(folder), (folder / "in").is_symlink()) == ({"in/a": "mine"}, False)
    assert below(tmp_path / "elsewhere") == {"a/keep": "keep"}


def test_checkout_of_damaged_bytes_leaves_the_other_files(project: lineage.Project) -> None:
    """Extra files go only when the version's own are there."""
    version = log(project, {"a": "small"})
    damage_inside(project, version, "a", b"SMALL")
    Path("out").mkdir()
    Path("out/mine").write_text("mine")

    with pytest.raises(lineage.CorruptionError):
        version.checkout("out")

    assert below(Path("out")) == {"mine": "mine"}


def test_checkout_tells_its_progress(project: lineage.Project) -> None:
    """It counts as a download does."""
    told: list[int] = []

    log(project, {"a": "small"}).checkout("out", progress=told.append)

    assert sum(told) == 5


# --- verify ---


def test_verify_of_a_right_folder_is_silent(project: lineage.Project) -> None:
    """A folder as downloaded is right, at the usual place too."""
    version = log(project, {"a": "small", "in/b": LARGE})
    version.download()

    version.verify()


def test_verify_of_a_wrong_folder_names_what_is_wrong_and_changes_nothing(
    project: lineage.Project, tmp_path: Path
) -> None:
    """Missing, altered and extra files, links and pipes are each named."""
    version = log(project, {"a": "1", "b": "2", "c": "3", "d/e": "4", "f": "5", "g/h": "6", "i": "7"})
    folder = version.download("out")
    (folder / "a").unlink()
    (folder / "b").write_text("!")
    (folder / "c").rename(tmp_path / "c")
    (folder / "c").symlink_to(tmp_path / "c")
    (folder / "d").rename(tmp_path / "d")
    (folder / "d").symlink_to(tmp_path / "d")
    (folder / "f").unlink()
    os.mkfifo(folder / "f")
    (folder / "g" / "h").unlink()
    (folder / "g").rmdir()
    (folder / "i").unlink()
    (folder / "i").mkdir()
    before = sorted(folder.rglob("*"))

    with pytest.raises(lineage.CorruptionError) as caught:
        version.verify("out")

    wrong = [*(f"{path} differs or is missing" for path in ("a", "b", "c", "d/e", "f", "g/h", "i")), "d is extra"]
    assert str(caught.value) == f"'out': {'; '.join(wrong)}"
    assert caught.value.kind == lineage.ErrorKind.CONTENT_DAMAGED
    assert sorted(folder.rglob("*")) == before


def test_verify_of_a_folder_with_many_faults_names_ten(project: lineage.Project) -> None:
    """The message stays one that can be read."""
    version = log(project, {})
    folder = version.download("out")
    for number in range(12):
        (folder / f"{number:02}").write_text("extra")

    with pytest.raises(lineage.CorruptionError) as caught:
        version.verify("out")

    assert str(caught.value) == f"'out': {'; '.join(f'{number:02} is extra' for number in range(10))} and 2 more"


@pytest.mark.parametrize("root", ["nowhere", "file", "x" * 300])
def test_verify_of_what_is_no_folder_is_refused(project: lineage.Project, root: str) -> None:
    """There must be something to compare with."""
    Path("file").write_text("x")
    version = log(project, {"a": "1"})

    with pytest.raises((lineage.InvalidInputError, lineage.StorageError), match=root):
        version.verify(root)


def test_verify_of_a_hard_linked_file_calls_it_wrong(project: lineage.Project, tmp_path: Path) -> None:
    """A file that also lies elsewhere changes when that does, so it does not count as the version's."""
    version = log(project, {"a": "1"})
    folder = version.download("out")
    os.link(folder / "a", tmp_path / "twin")

    with pytest.raises(lineage.CorruptionError, match="a differs or is missing"):
        version.verify("out")


# --- traps in the folder ---


@pytest.mark.parametrize("content", ["theirs", "mine"], ids=["other bytes", "right bytes"])
@pytest.mark.parametrize("kind", ["link", "hard link"])
def test_download_over_a_link_replaces_it_and_leaves_its_target(
    project: lineage.Project, tmp_path: Path, kind: str, content: str
) -> None:
    """A link at a file's place is never written through, even if what it leads to is right."""
    (tmp_path / "target").write_text(content)
    Path("out").mkdir()
    if kind == "link":
        Path("out/a").symlink_to(tmp_path / "target")
    else:
        os.link(tmp_path / "target", "out/a")

    copy = log(project, {"a": "mine"}).download("out") / "a"

    assert (copy.is_symlink(), copy.stat().st_nlink, copy.read_text()) == (False, 1, "mine")
    assert (tmp_path / "target").read_text() == content


@pytest.mark.parametrize(
    "target",
    ["nowhere", "a", "file/below", ".", "/dev/zero", "x" * 300],
    ids=["nothing", "itself", "below a file", "a folder", "a device", "too long"],
)
def test_download_over_a_link_that_leads_to_no_file_replaces_it(project: lineage.Project, target: str) -> None:
    """Where a link leads does not matter: it is not followed."""
    Path("out").mkdir()
    Path("out/file").write_text("theirs")
    Path("out/a").symlink_to(target)

    folder = log(project, {"a": "mine"}).download("out")

    assert (below(folder), (folder / "a").is_symlink()) == ({"a": "mine", "file": "theirs"}, False)


@pytest.mark.parametrize("kind", ["fifo", "socket"])
def test_download_over_a_fifo_or_socket_replaces_it_and_does_not_hang(project: lineage.Project, kind: str) -> None:
    """Nobody waits for the other end."""
    Path("out").mkdir()
    if kind == "fifo":
        os.mkfifo("out/a")
    else:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("out/a")

    assert below(log(project, {"a": "mine"}).download("out")) == {"a": "mine"}


def test_download_over_a_folder_at_a_files_place_is_refused_and_leaves_it(project: lineage.Project) -> None:
    """A folder may hold much; it is not removed for a file, and nothing temporary stays."""
    Path("out/a").mkdir(parents=True)
    Path("out/a/theirs").write_text("theirs")

    with pytest.raises(lineage.StorageError, match="a folder is where the file 'a' goes"):
        log(project, {"a": "mine"}).download("out")

    assert below(Path("out")) == {"a/theirs": "theirs"}


@pytest.mark.parametrize("kind", ["link", "dangling link", "file", "fifo"])
def test_download_below_what_is_no_folder_is_refused_and_writes_nowhere(
    project: lineage.Project, tmp_path: Path, kind: str
) -> None:
    """A link as a parent folder is not followed out of the root, and a file is not removed for a folder."""
    (tmp_path / "elsewhere").mkdir()
    Path("out").mkdir()
    if kind.endswith("link"):
        Path("out/in").symlink_to(tmp_path / "elsewhere" if kind == "link" else "nowhere")
    elif kind == "file":
        Path("out/in").write_text("theirs")
    else:
        os.mkfifo("out/in")

    with pytest.raises(lineage.StorageError, match="'in' is where a folder of the artifact goes"):
        log(project, {"in/a": "mine"}).download("out")

    assert below(tmp_path / "elsewhere") == {}


def test_download_into_a_root_that_is_a_link_follows_it(project: lineage.Project, tmp_path: Path) -> None:
    """The root is the caller's word; a large disk is often reached by a link."""
    (tmp_path / "disk").mkdir()
    Path("out").symlink_to(tmp_path / "disk")

    log(project, {"a": "mine"}).download("out")

    assert below(tmp_path / "disk") == {"a": "mine"}


@pytest.mark.parametrize("kind", ["file", "dangling link", "loop", "below a file", "too long"])
def test_download_into_what_is_no_folder_is_refused(project: lineage.Project, kind: str) -> None:
    """A root that is no folder is a storage error that names it."""
    root = {"below a file": "file/out", "too long": "x" * 300}.get(kind, "out")
    Path("file").write_text("theirs")
    if kind == "file":
        Path("out").write_text("theirs")
    elif kind in ("dangling link", "loop"):
        Path("out").symlink_to("nowhere" if kind == "dangling link" else "out")

    with pytest.raises(lineage.StorageError, match=f"cannot download: '{root}'"):
        log(project, {"a": "mine"}).download(root)

    assert Path("file").read_text() == "theirs"


# --- the store itself ---


@pytest.mark.parametrize("place", ["p.blobs", "p.blobs/in", "p.blobs/tmp", "link", "p.blobs/../p.blobs"])
def test_download_into_the_blob_folder_is_refused(project: lineage.Project, place: str) -> None:
    """The store's own folder is no place for anything else, however it is called."""
    version = log(project, {"a": LARGE})
    Path("link").symlink_to("p.blobs")

    with refused(project, lineage.InvalidInputError, "would lie inside the store", lineage.ErrorKind.PATH_INVALID):
        version.download(place)


@pytest.mark.parametrize(
    "path", ["p.lineage", "p.blobs/a", "p.blobs", "p.lineage-journal", "p.lineage-wal", "p.lineage-shm"]
)
def test_download_of_a_path_that_is_the_store_is_refused(project: lineage.Project, path: str) -> None:
    """A file of the version never takes the place of the project, its journal or its blobs."""
    version = log(project, {path: LARGE})

    with refused(project, lineage.InvalidInputError, "would lie inside the store", lineage.ErrorKind.PATH_INVALID):
        version.download(".")


def test_download_beside_the_project_is_fine(project: lineage.Project) -> None:
    """The folder of the project may hold other things."""
    log(project, {"a": "mine", "p.lineage.txt": "mine"}).download(".")

    assert Path("a").read_text() == "mine"


@pytest.mark.parametrize("root", [".", "..", "/"])
def test_checkout_into_a_folder_that_holds_the_project_is_refused(project: lineage.Project, root: str) -> None:
    """Clearing that folder would remove the project."""
    version = log(project, {"a": "mine"})

    with refused(project, lineage.InvalidInputError, "holds the project itself", lineage.ErrorKind.PATH_INVALID):
        version.checkout(root)


@pytest.mark.parametrize("kind", ["the file", "a hard link"])
def test_download_over_another_open_project_is_refused(project: lineage.Project, tmp_path: Path, kind: str) -> None:
    """A project that is open in this program is neither read as a plain file nor replaced."""
    Path("out").mkdir()
    other = lineage.open(tmp_path / "out" / "o.lineage") if kind == "the file" else lineage.open(tmp_path / "o.lineage")
    if kind == "a hard link":
        os.link(other.file, "out/o.lineage")

    version = log(project, {"o.lineage": "mine"})

    with refused(other, lineage.StorageError, "a project that is open here is where the file 'o.lineage' goes"):
        version.download("out")


# --- damaged and missing bytes ---


@pytest.mark.parametrize(
    "now", ["", "x" * 49_999, "x" * 49_999 + "y", LARGE + "x"], ids=["emptied", "cut", "flipped", "longer"]
)
def test_download_of_a_damaged_large_blob_is_refused_and_nothing_appears(project: lineage.Project, now: str) -> None:
    """Bytes without their digest are not handed out; files before it are whole."""
    version = log(project, {"a": "small", "b": LARGE})
    damaged = blob(project, version, "b")
    damaged.chmod(0o600)
    damaged.write_text(now)

    with pytest.raises(lineage.CorruptionError, match="are damaged; run verify") as caught:
        version.download("out")

    assert (caught.value.kind, below(Path("out"))) == (lineage.ErrorKind.CONTENT_DAMAGED, {"a": "small"})


@pytest.mark.parametrize("now", [b"", b"smal", b"smalL", b"small!"], ids=["emptied", "cut", "flipped", "longer"])
def test_download_of_a_damaged_small_blob_is_refused_and_the_old_file_stays(
    project: lineage.Project, now: bytes
) -> None:
    """A file that cannot be restored is left as it is."""
    version = log(project, {"a": "small"})
    damage_inside(project, version, "a", now)
    Path("out").mkdir()
    Path("out/a").write_text("edited")

    with pytest.raises(lineage.CorruptionError) as caught:
        version.download("out")

    assert (caught.value.kind, below(Path("out"))) == (lineage.ErrorKind.CONTENT_DAMAGED, {"a": "edited"})


@pytest.mark.parametrize("instead", ["nothing", "folder", "fifo", "link", "dangling link"])
def test_download_of_a_blob_that_is_no_file_is_refused_and_does_not_hang(
    project: lineage.Project, tmp_path: Path, instead: str
) -> None:
    """Whatever lies in a blob's place is named, and never followed or waited for."""
    version = log(project, {"a": LARGE})
    place = blob(project, version, "a")
    place.unlink()
    if instead == "folder":
        place.mkdir()
    elif instead == "fifo":
        os.mkfifo(place)
    elif instead == "link":
        (tmp_path / "same").write_text(LARGE)
        place.symlink_to(tmp_path / "same")
    elif instead == "dangling link":
        place.symlink_to("nowhere")

    expected = {"nothing": lineage.NotFoundError, "folder": lineage.CorruptionError, "fifo": lineage.CorruptionError}
    with pytest.raises(expected.get(instead, lineage.LineageError)):
        version.download("out")

    assert below(Path("out")) == {}


def test_download_of_a_small_blob_that_is_missing_says_so(project: lineage.Project) -> None:
    """Bytes in neither place are missing, and the message names them, and whose they are."""
    version = log(project, {"a": "small"})
    with closing(sqlite3.connect(project.file, isolation_level=None)) as connection:
        connection.execute("DELETE FROM chunk")

    with pytest.raises(lineage.NotFoundError, match=f"'a' of d:v0: .*{version.entry('a').digest}") as caught:
        version.download("out")

    assert caught.value.kind == lineage.ErrorKind.CONTENT_MISSING


# --- a full disk ---


FULL_DISK = """
import sys, lineage
from pathlib import Path
project, out = sys.argv[1:]
try:
    lineage.open(project, read_only=True).version("d").download(out)
except lineage.StorageError as error:
    print(error)
print(sorted((path.name, path.stat().st_size) for path in Path(out).rglob("*")))
"""


def may_mount() -> bool:
    """Whether this system lets us mount a small disk of our own."""
    return shutil.which("unshare") is not None and subprocess.run(["unshare", "-rm", "true"]).returncode == 0


@pytest.mark.parametrize("size", [3_000_000, 12_000_000])
def test_download_to_a_full_disk_leaves_whole_files_only(project: lineage.Project, tmp_path: Path, size: int) -> None:
    """What does not fit is not there, not even in part, and the message says why."""
    if not may_mount():
        pytest.skip("needs user and mount namespaces (unshare -rm)")
    log(project, {"a": "x" * 100_000, "b": "y" * size})
    (tmp_path / "out").mkdir()
    mounted = 'mount -t tmpfs -o size=1m none "$1"; shift; exec "$@"'

    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mounted, "sh", str(tmp_path / "out"),
         sys.executable, "-c", FULL_DISK, str(project.file), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(lineage.__file__).parents[1],
    )  # fmt: skip

    message, files = done.stdout.splitlines()
    assert re.match(rf"cannot download to '.+': {os.strerror(errno.ENOSPC)}", message)
    assert files == "[('a', 100000)]"


# --- two at once ---


def test_download_while_another_makes_the_same_folder_goes_on(
    project: lineage.Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between looking for a folder and making it, another download may have made it."""
    make = os.mkdir

    def made_by_another(path: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        make(path, mode, dir_fd=dir_fd)
        make(path, mode, dir_fd=dir_fd)

    version = log(project, {"in/a": "mine"})
    Path("out").mkdir()
    monkeypatch.setattr(os, "mkdir", made_by_another)

    assert below(version.download("out")) == {"in/a": "mine"}


# --- what was killed ---


def test_what_a_killed_download_left_goes_with_the_next(project: lineage.Project, tmp_path: Path) -> None:
    """Else it would be an extra file of the folder for good; that of one that still runs, and files of others, stay."""
    version = log(project, {"a.txt": "one", "dir/b.txt": "two"})
    out = tmp_path / "out"
    (out / "dir").mkdir(parents=True)
    for folder in (out, out / "dir"):
        (folder / ".0123456789abcdef.lineage-download").write_text("half")
    (out / "mine.lineage-download").write_text("mine")
    with (out / ".fedcba9876543210.lineage-download").open("w") as running:
        fcntl.flock(running, fcntl.LOCK_EX)

        version.download(out)

        ours = {"a.txt", "dir/b.txt"}
        assert below(out).keys() == ours | {".fedcba9876543210.lineage-download", "mine.lineage-download"}
