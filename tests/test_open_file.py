"""Opening a file of a version: its bytes without a download, verified when they are read to the end."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import IO

import pytest
from conftest import draft
from footprint import refused, unchanged
from test_references import Page, Site, serving

import lineage

LARGE = bytes(range(256)) * 1_000
"""Too large for the project file: it lies in the blob folder."""


@pytest.fixture
def version(project: lineage.Project) -> lineage.Version:
    """A version with a small, a large, an empty and a text file."""
    return log(project, {"small": b"small\r\nbytes", "large": LARGE, "empty": b"", "in/text": "ä\r\nö\nü"})


def log(project: lineage.Project, files: dict[str, str | bytes]) -> lineage.Version:
    """Log files as the next version of ``d``."""
    version = project.log_artifact(draft("d", files))
    assert version is not None
    return version


def refer(project: lineage.Project, uri: str, *, checksum: bool = True) -> lineage.Version:
    """Log a reference as the next version of ``r``."""
    artifact = lineage.Artifact("r", "dataset")
    artifact.add_reference(uri, "a", checksum=checksum)
    version = project.log_artifact(artifact)
    assert version is not None
    return version


def blob(project: lineage.Project, data: bytes = LARGE) -> Path:
    """Return the one blob beside the project, made writable and given other bytes."""
    (place,) = project.blob_folder.glob("??/*")
    place.chmod(0o600)
    place.write_bytes(data)
    return place


def read_all(file: IO[bytes], size: int) -> None:
    """Read a file in parts until it ends."""
    while file.read(size):
        pass


def change_inside(project: lineage.Project, statement: str) -> None:
    """Change the project file with SQLite's own tools."""
    with closing(sqlite3.connect(project.file, isolation_level=None)) as connection:
        connection.execute(statement)


# --- reading ---


@pytest.mark.parametrize(("path", "expected"), [("small", b"small\r\nbytes"), ("large", LARGE), ("empty", b"")])
def test_open_of_a_file_gives_its_bytes(version: lineage.Version, path: str, expected: bytes) -> None:
    """Small and large files read the same, wherever they lie."""
    with version.open(path) as file:
        assert file.read() == expected
        assert file.read() == b""


@pytest.mark.parametrize("mode", ["r", "rt"])
def test_open_of_text_is_utf8_with_universal_line_ends(version: lineage.Version, mode: str) -> None:
    """Text reads as Python's own open gives it, in UTF-8 on every system."""
    with version.open("in/text", mode) as file:
        assert file.readlines() == ["ä\n", "ö\n", "ü"]


def test_open_of_text_in_another_encoding_decodes_it(version: lineage.Version) -> None:
    """The encoding is the caller's to say."""
    with version.open("in/text", "r", "latin-1") as file:
        assert file.readline() == "Ã¤\n"


@pytest.mark.parametrize("encoding", [None, "no such encoding"])
def test_open_of_bytes_takes_no_notice_of_an_encoding_it_does_not_need(
    version: lineage.Version, encoding: str | None
) -> None:
    """A wrong encoding is refused even so, rather than passed over."""
    if encoding is None:
        assert version.open("small", encoding=None).read() == b"small\r\nbytes"
    else:
        with pytest.raises(lineage.InvalidInputError, match="no such encoding"):
            version.open("small", "rb", encoding)


@pytest.mark.parametrize("mode", ["w", "a", "r+", "rb+", "br", "", "x", "wb"])
def test_open_for_anything_but_reading_is_refused(
    project: lineage.Project, version: lineage.Version, mode: str
) -> None:
    """A version is immutable, and its file is no place to write."""
    with refused(project, lineage.InvalidInputError, "a version is only read; use 'r' or 'rb'"):
        version.open("small", mode)


@pytest.mark.parametrize("path", ["nowhere", "in", "in/text/below", "SMALL"])
def test_open_of_a_path_that_is_no_file_says_so(project: lineage.Project, version: lineage.Version, path: str) -> None:
    """Only exact paths of files are known."""
    with refused(project, lineage.NotFoundError, f"d:v0 has no file '{path}'", lineage.ErrorKind.ENTRY_NOT_FOUND):
        version.open(path)


def test_open_of_a_file_of_a_deleted_version_is_refused(project: lineage.Project, version: lineage.Version) -> None:
    """Its content is gone by decision."""
    version.delete(delete_aliases=True)

    with refused(project, lineage.NotFoundError, "was deleted", lineage.ErrorKind.VERSION_DELETED):
        version.open("small")


def test_open_changes_nothing_in_the_store(project: lineage.Project, version: lineage.Version) -> None:
    """Reading leaves no trace."""
    with unchanged(project):
        version.open("large").read()
        version.open("small").read()


@pytest.mark.parametrize("size", [1, 1_000, 65_536, 100_000])
def test_open_of_a_large_file_reads_in_parts(version: lineage.Version, size: int) -> None:
    """Parts of any size add up to the whole."""
    parts = []
    with version.open("large") as file:
        while part := file.read(size):
            parts.append(part)
            if len(parts) == 300:  # enough of single bytes
                break

    assert b"".join(parts) == LARGE[: sum(map(len, parts))]
    assert len(parts) in (300, 256, 4, 3)


@pytest.mark.parametrize("path", ["small", "large"])
def test_open_of_a_file_can_seek(version: lineage.Version, path: str) -> None:
    """A format with its index at the end is read as from a file."""
    whole = version.open(path).read()

    with version.open(path) as file:
        assert (file.readable(), file.seekable(), file.writable()) == (True, True, False)
        assert (file.seek(-3, os.SEEK_END), file.read()) == (len(whole) - 3, whole[-3:])
        assert (file.seek(2), file.read(2), file.tell()) == (2, whole[2:4], 4)
        assert (file.seek(1, os.SEEK_CUR), file.read(1)) == (5, whole[5:6])
        assert (file.seek(0), file.read()) == (0, whole)


def test_open_of_a_large_file_fills_a_given_buffer(version: lineage.Version) -> None:
    """``readinto`` works, as numpy and zipfile want it, and an empty buffer takes nothing."""
    buffer = bytearray(len(LARGE))

    with version.open("large") as file:
        assert file.readinto(bytearray()) == 0  # type: ignore[attr-defined]  # typing's IO does not have it
        assert file.readinto(buffer) == len(LARGE)  # type: ignore[attr-defined]  # as above

    assert bytes(buffer) == LARGE


@pytest.mark.parametrize(("path", "mode"), [("small", "rb"), ("large", "rb"), ("large", "r"), ("in/text", "r")])
def test_open_in_a_block_is_closed_after_it(version: lineage.Version, path: str, mode: str) -> None:
    """A closed file is not read, and closing it again does nothing."""
    with version.open(path, mode, "latin-1") as file:
        file.read(1)

    file.close()
    assert file.closed
    with pytest.raises(ValueError, match="closed"):
        file.read()


def test_open_of_a_large_file_that_is_dropped_leaves_no_descriptor(version: lineage.Version) -> None:
    """A file that nobody closes is closed when it goes, without a warning."""
    before = sorted(Path("/dev/fd").iterdir())

    for _ in range(10):
        version.open("large").read(10)

    assert sorted(Path("/dev/fd").iterdir()) == before


def test_open_of_a_large_file_outlives_what_gc_removes(project: lineage.Project, version: lineage.Version) -> None:
    """An open file is read to its end, whatever happens to the version meanwhile."""
    with version.open("large") as file:
        file.read(10)
        version.delete(delete_aliases=True)
        project.gc()

        assert file.read() == LARGE[10:]


# --- damage ---


@pytest.mark.parametrize(
    "now",
    [b"", LARGE[:-1], LARGE[:100_000], b"!" + LARGE[1:], LARGE[:-1] + b"!", LARGE + b"!"],
    ids=["emptied", "cut", "cut far", "first byte", "last byte", "longer"],
)
@pytest.mark.parametrize("size", [-1, 1_000, 256_000], ids=["at once", "in parts", "exactly"])
def test_open_of_a_damaged_large_file_raises_before_its_end(
    project: lineage.Project, version: lineage.Version, now: bytes, size: int
) -> None:
    """Whoever reads all of it learns of the damage, however it is read; nobody takes it for the whole."""
    blob(project, now)

    with version.open("large") as file, pytest.raises(lineage.CorruptionError, match="are damaged") as caught:
        read_all(file, size)

    assert caught.value.kind == lineage.ErrorKind.CONTENT_DAMAGED


def test_open_of_a_damaged_large_file_raises_again_when_read_again(
    project: lineage.Project, version: lineage.Version
) -> None:
    """An error that was caught does not make the end of the file look right."""
    blob(project, LARGE[:-1] + b"!")

    with version.open("large") as file:
        for _ in range(2):
            with pytest.raises(lineage.CorruptionError):
                file.read()


def test_open_of_a_damaged_large_file_gives_the_rest_after_a_seek(
    project: lineage.Project, version: lineage.Version
) -> None:
    """After a seek the bytes are as they lie there: what is documented of a reader that picks."""
    blob(project, b"!" + LARGE[1:])

    with version.open("large") as file:
        file.seek(200_000)

        assert file.read() == LARGE[200_000:]


@pytest.mark.parametrize("data", ["x''", "x'00'", "CAST('small!bytes' AS BLOB)"])
def test_open_of_a_damaged_small_file_is_refused_at_once(
    project: lineage.Project, version: lineage.Version, data: str
) -> None:
    """A small file is verified before it is handed out at all."""
    change_inside(project, f"UPDATE chunk SET data = {data} WHERE length(data) = 12")

    with pytest.raises(lineage.CorruptionError, match="are damaged") as caught:
        version.open("small")

    assert caught.value.kind == lineage.ErrorKind.CONTENT_DAMAGED


@pytest.mark.parametrize("path", ["small", "large", "empty"])
def test_open_of_a_file_whose_bytes_are_missing_says_so(
    project: lineage.Project, version: lineage.Version, path: str
) -> None:
    """Bytes in neither place are not found; the message names them and how to learn more."""
    change_inside(project, "DELETE FROM chunk")
    blob(project).unlink()

    with pytest.raises(lineage.NotFoundError, match=rf"'{path}' of d:v0: .* are not in .*; run verify") as caught:
        version.open(path)

    assert caught.value.kind == lineage.ErrorKind.CONTENT_MISSING
    assert str(version.entry(path).digest) in str(caught.value)


def test_open_of_a_small_file_that_lies_beside_the_project_reads_it(
    project: lineage.Project, version: lineage.Version
) -> None:
    """Both places are looked at, whatever the size: another writer may have put it there."""
    change_inside(project, "DELETE FROM chunk WHERE length(data) = 12")
    digest = str(version.entry("small").digest)
    (project.blob_folder / digest[:2]).mkdir(exist_ok=True)
    (project.blob_folder / digest[:2] / digest[2:]).write_bytes(b"small\r\nbytes")

    assert version.open("small").read() == b"small\r\nbytes"


def test_open_of_a_large_file_replaced_by_a_fifo_is_refused_and_does_not_hang(
    project: lineage.Project, version: lineage.Version
) -> None:
    """Nobody waits for a pipe's writer."""
    place = blob(project)
    place.unlink()
    os.mkfifo(place)

    with pytest.raises(lineage.CorruptionError, match="is not a regular file"):
        version.open("large")


# --- references ---


@pytest.mark.parametrize("checksum", [True, False])
def test_open_of_a_file_reference_reads_its_target(project: lineage.Project, tmp_path: Path, checksum: bool) -> None:
    """A reference reads as if its bytes were here, and can seek."""
    (tmp_path / "a").write_bytes(LARGE)
    version = refer(project, (tmp_path / "a").as_uri(), checksum=checksum)

    with version.open("a") as file:
        assert (file.read(), file.seek(5), file.read(2)) == (LARGE, 5, LARGE[5:7])


def test_open_of_a_file_reference_that_changed_is_refused(project: lineage.Project, tmp_path: Path) -> None:
    """Other bytes than those that were logged are not handed out."""
    (tmp_path / "a").write_text("hello")
    version = refer(project, (tmp_path / "a").as_uri())
    (tmp_path / "a").write_text("jello")

    with pytest.raises(lineage.CorruptionError, match="has changed since it was logged") as caught:
        version.open("a")

    assert caught.value.kind == lineage.ErrorKind.SOURCE_CHANGED


def test_open_of_a_file_reference_that_is_gone_is_refused(project: lineage.Project, tmp_path: Path) -> None:
    """The message says what pointed where."""
    (tmp_path / "a").write_text("hello")
    version = refer(project, (tmp_path / "a").as_uri())
    (tmp_path / "a").unlink()

    with pytest.raises(lineage.StorageError, match=r"'a' points to 'file:.*', where no file is any more") as caught:
        version.open("a", "r")

    assert caught.value.kind == lineage.ErrorKind.CONTENT_MISSING


@pytest.mark.parametrize("uri", ["s3://bucket/a", "ourstore://x"])
def test_open_of_a_reference_that_lineage_cannot_read_is_refused(project: lineage.Project, uri: str) -> None:
    """The URI is told, for the caller to fetch."""
    version = refer(project, uri)

    with pytest.raises(
        lineage.StorageError, match=f"'a' is a reference to '{uri}', which lineage cannot read"
    ) as caught:
        version.open("a")

    assert caught.value.kind == lineage.ErrorKind.CONTENT_MISSING


def test_open_of_an_http_reference_fetches_it(project: lineage.Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes of a page are read as those of a file."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    with serving() as site:
        version = served(project, site, b"hello", '"1"')

        assert version.open("a", "r").read() == "hello"


def test_open_of_an_http_reference_that_changed_is_refused(
    project: lineage.Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's word for the state of its content is compared."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    with serving() as site:
        version = served(project, site, b"hello", '"1"')
        site.pages["/a"] = Page(b"jello", headers={"ETag": '"2"'})

        with pytest.raises(lineage.CorruptionError, match="has changed since it was logged"):
            version.open("a")


def served(project: lineage.Project, site: Site, body: bytes, etag: str) -> lineage.Version:
    """Log a reference to a page."""
    site.pages["/a"] = Page(body, headers={"ETag": etag})
    return refer(project, f"{site.address}/a")
