"""References: bytes that lie elsewhere, looked at when they are added and once more when they are fetched."""

from __future__ import annotations

import gc
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import draft
from footprint import refused
from invariants import assert_store_sound

import lineage
from lineage import references
from lineage.records import Entry

HELLO = "ea8f163db38682925e4491c5e58d4bb3506ef8c14eb78a86e908c5624a67200f"
"""BLAKE3 of ``hello``."""


@dataclass
class Page:
    """What a server answers at one path."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    length: bool = True


@dataclass
class Site:
    """A server's address, its pages, and the paths it was asked for."""

    address: str
    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


@contextmanager
def serving() -> Iterator[Site]:
    """Serve pages on a free port of this machine for the block."""
    site = Site("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            page = site.pages.get(self.path, Page(status=404))
            self.send_response(page.status)
            for name, value in page.headers.items():
                self.send_header(name, value)
            if page.length and "Content-Length" not in page.headers:
                self.send_header("Content-Length", str(len(page.body)))
            self.end_headers()
            self.wfile.write(page.body)

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the test's output clean."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        site.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.005,))
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server of pages, reached without a proxy."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as served:
        yield served


def refer(uri: str, name: str | None = None, *, checksum: bool = True) -> Entry:
    """Return the one entry that a URI gives."""
    (entry,) = lineage.Artifact("d", "dataset").add_reference(uri, name, checksum=checksum)
    return entry


def log(
    project: lineage.Project, uri: str | Entry, name: str | None = None, *, checksum: bool = True
) -> lineage.Version:
    """Log a reference as the next version of ``d``."""
    artifact = lineage.Artifact("d", "dataset")
    artifact.add_reference(uri, name, checksum=checksum)
    version = project.log_artifact(artifact)
    assert version is not None
    return version


def log_files(project: lineage.Project, name: str, files: dict[str, str | bytes]) -> lineage.Version:
    """Log files as the next version of `name`."""
    version = project.log_artifact(draft(name, files))
    assert version is not None
    return version


def below(folder: Path) -> list[str]:
    """Return the paths of all files below a folder, temporary ones included."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


# --- http: what is kept ---


@pytest.mark.parametrize(
    ("etag", "digest"),
    [('"abc"', "abc"), ('W/"abc"', "abc"), ("abc", "abc")],
    ids=["strong", "weak", "bare"],
)
def test_add_reference_of_http_with_an_etag_is_known_by_it(site: Site, etag: str, digest: str) -> None:
    """The digest is the ETag without its quotes; the extra data keeps it as the server wrote it."""
    site.pages["/train.csv"] = Page(b"hello", headers={"ETag": etag})
    uri = f"{site.address}/train.csv"

    entry = refer(uri)

    assert entry == Entry("train.csv", digest, 5, uri, stored=False, extra={"etag": etag})


@pytest.mark.parametrize("headers", [{}, {"ETag": '""'}, {"ETag": ""}], ids=["none", "empty quotes", "empty"])
def test_add_reference_of_http_without_an_etag_is_known_by_its_uri(site: Site, headers: dict[str, str]) -> None:
    """A server that says nothing of the state of its content leaves only the URI; a size would be another state."""
    site.pages["/a"] = Page(b"hello", headers=headers)
    uri = f"{site.address}/a"

    entry = refer(uri)

    assert entry.digest == refer(uri, checksum=False).digest
    assert (entry.size, dict(entry.extra)) == (None, {})


@pytest.mark.parametrize("told", [None, "many", "-1", "9" * 30], ids=["nothing", "a word", "negative", "too large"])
def test_add_reference_of_http_of_unknown_length_has_no_size(site: Site, told: str | None) -> None:
    """A length that the server does not tell, or that is none, is not made up."""
    headers = {"ETag": '"e"'} if told is None else {"ETag": '"e"', "Content-Length": told}
    site.pages["/a"] = Page(b"hello", headers=headers, length=False)

    entry = refer(f"{site.address}/a")

    assert entry.size is None


def test_add_reference_of_http_behind_a_redirect_keeps_the_uri_that_was_given(site: Site) -> None:
    """A redirect is followed for the state of the content, and the address that was given stays."""
    site.pages["/old"] = Page(status=302, headers={"Location": "/new"})
    site.pages["/new"] = Page(b"hello", headers={"ETag": '"n"'})

    entry = refer(f"{site.address}/old")

    assert (entry.path, entry.uri, entry.digest) == ("old", f"{site.address}/old", "n")


def test_add_reference_of_http_without_checksum_asks_nobody(site: Site) -> None:
    """Without a checksum the URI is all there is to know, and the server is left alone."""
    entry = refer(f"{site.address}/a", checksum=False)

    assert (entry.path, entry.size, site.asked) == ("a", None, [])


@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        ("/x/train.csv?v=2#part", None, "train.csv"),
        ("/with%20space/%C3%A4.csv", None, "ä.csv"),
        ("/folder/", None, "folder"),
        ("/", None, "index"),
        ("", None, "index"),
        ("/train.csv", "in/b.csv", "in/b.csv"),
        ("/train.csv", "./in//b.csv", "in/b.csv"),
    ],
    ids=["query", "escaped", "slash at the end", "only a slash", "only a host", "named", "named oddly"],
)
def test_add_reference_of_a_url_takes_its_last_part_or_the_name_given(
    path: str, name: str | None, expected: str
) -> None:
    """A reference lies in the artifact at the name given, else at the last part of its path."""
    entry = refer(f"http://example.invalid{path}", name, checksum=False)

    assert entry.path == expected


@pytest.mark.parametrize("path", ["/%2E%2E", "/a%00b", "/a%5Cb", "/%FF", "/" + "x" * 256])
def test_add_reference_of_a_url_whose_last_part_is_no_path_is_refused(path: str) -> None:
    """What a URL is called never leaves the artifact, nor does it smuggle in what no path may hold."""
    with pytest.raises(lineage.InvalidInputError, match="Invalid artifact path"):
        refer(f"http://example.invalid{path}", checksum=False)


def test_add_reference_of_http_in_capitals_is_looked_at_all_the_same(site: Site) -> None:
    """Schemes know no case."""
    site.pages["/a"] = Page(b"hello", headers={"ETag": '"e"'})

    assert refer(site.address.replace("http", "HTTP") + "/a").digest == "e"


# --- http: what goes wrong ---


@pytest.mark.parametrize("status", [401, 404, 410, 500, 503])
def test_add_reference_of_http_that_is_refused_says_so_and_adds_nothing(site: Site, status: int) -> None:
    """An answer that is an error names address and status, and the draft is as it was."""
    site.pages["/a"] = Page(b"sorry", status=status)
    artifact = lineage.Artifact("d", "dataset")

    with pytest.raises(lineage.StorageError, match=f"cannot fetch '{site.address}/a'.*{status}") as caught:
        artifact.add_reference(f"{site.address}/a")

    assert (caught.value.kind, artifact.entries) == (lineage.ErrorKind.REMOTE, [])


@pytest.mark.parametrize("target", ["/a", "file:///etc/passwd", "nope://x"], ids=["itself", "a file", "unknown"])
def test_add_reference_of_http_redirected_to_where_nobody_goes_is_refused(site: Site, target: str) -> None:
    """A server cannot send us round in circles, nor to a file of this machine."""
    site.pages["/a"] = Page(status=302, headers={"Location": target})

    with pytest.raises(lineage.StorageError) as caught:
        refer(f"{site.address}/a")

    assert caught.value.kind == lineage.ErrorKind.REMOTE


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # urllib leaves the first answer open
def test_add_reference_of_http_redirected_to_what_is_no_url_is_refused(site: Site) -> None:
    """A server's broken redirect is a remote error like any other."""
    site.pages["/a"] = Page(status=302, headers={"Location": "http://["})

    with pytest.raises(lineage.StorageError) as caught:
        refer(f"{site.address}/a")

    assert caught.value.kind == lineage.ErrorKind.REMOTE
    del caught
    gc.collect()  # here, where its warning is expected


def test_add_reference_of_http_redirected_to_ftp_is_refused_without_going_there(site: Site) -> None:
    """Only http and https are fetched, and a redirect does not change that."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0)
        site.pages["/a"] = Page(status=302, headers={"Location": f"ftp://127.0.0.1:{listening.getsockname()[1]}/a"})

        with pytest.raises(lineage.StorageError, match="ftp") as caught:
            refer(f"{site.address}/a")

        with pytest.raises(BlockingIOError):
            listening.accept()
    assert caught.value.kind == lineage.ErrorKind.REMOTE


def test_add_reference_of_http_where_nobody_listens_is_refused() -> None:
    """A server that is gone is a remote error, not one of Python's."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

    with pytest.raises(lineage.StorageError, match="refused") as caught:
        refer(f"http://127.0.0.1:{port}/a")

    assert caught.value.kind == lineage.ErrorKind.REMOTE


def test_add_reference_of_http_that_never_answers_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes the connection and says nothing is given up after a time."""
    monkeypatch.setattr(references, "_HTTP_TIMEOUT", 0.1)

    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        pytest.raises(lineage.StorageError, match="timed out") as caught,
    ):
        refer(f"http://127.0.0.1:{listening.getsockname()[1]}/a")

    assert caught.value.kind == lineage.ErrorKind.REMOTE


@pytest.mark.parametrize(
    "answer", [b"", b"hello there\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"], ids=["nothing", "no http", "no status"]
)
def test_add_reference_of_http_with_a_broken_answer_is_refused(answer: bytes) -> None:
    """What is not HTTP is a remote error as well."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answered() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=answered)
        thread.start()
        with pytest.raises(lineage.StorageError) as caught:
            refer(f"http://127.0.0.1:{listening.getsockname()[1]}/a")
        thread.join()

    assert caught.value.kind == lineage.ErrorKind.REMOTE


# --- http: versions and downloads ---


def test_log_of_http_with_another_etag_is_a_new_version(project: lineage.Project, site: Site) -> None:
    """The server's word for the state of its content decides whether it is new."""
    site.pages["/a"] = Page(b"one", headers={"ETag": '"1"'})
    first = log(project, f"{site.address}/a")
    again = log(project, f"{site.address}/a")
    site.pages["/a"] = Page(b"two", headers={"ETag": '"2"'})

    second = log(project, f"{site.address}/a")

    assert [first.reference, again.reference, second.reference] == ["d:v0", "d:v0", "d:v1"]
    assert_store_sound(project)


def test_download_of_http_fetches_the_bytes(project: lineage.Project, site: Site) -> None:
    """A download goes to the server, and what it brings counts as right."""
    site.pages["/a"] = Page(b"hello" * 500_000, headers={"ETag": '"1"'})
    version = log(project, f"{site.address}/a", "in/a")

    folder = version.download("out")

    assert (folder / "in" / "a").read_bytes() == b"hello" * 500_000
    version.verify("out")


def test_download_of_http_whose_etag_changed_is_refused_and_nothing_appears(
    project: lineage.Project, site: Site
) -> None:
    """Content that is no longer what was logged is never handed out as if it were."""
    site.pages["/a"] = Page(b"one", headers={"ETag": '"1"'})
    version = log(project, f"{site.address}/a")
    site.pages["/a"] = Page(b"two", headers={"ETag": '"2"'})

    with pytest.raises(lineage.CorruptionError, match="has changed since it was logged") as caught:
        version.download("out")

    assert (caught.value.kind, below(Path("out"))) == (lineage.ErrorKind.SOURCE_CHANGED, [])


def test_download_of_http_whose_etag_is_gone_is_refused(project: lineage.Project, site: Site) -> None:
    """A server that no longer says what it has cannot show that it is the same."""
    site.pages["/a"] = Page(b"one", headers={"ETag": '"1"'})
    version = log(project, f"{site.address}/a")
    site.pages["/a"] = Page(b"one")

    with pytest.raises(lineage.CorruptionError):
        version.download("out")


def test_download_of_http_known_by_its_uri_brings_what_is_there_now(project: lineage.Project, site: Site) -> None:
    """Where only the URI was kept, there is nothing to compare with, and each download fetches anew."""
    site.pages["/a"] = Page(b"one")
    version = log(project, f"{site.address}/a")
    version.download("out")
    site.pages["/a"] = Page(b"two")

    folder = version.download("out")

    assert (folder / "a").read_bytes() == b"two"


@pytest.mark.parametrize(
    "page",
    [
        Page(b"hel", headers={"ETag": '"1"', "Content-Length": "5"}),
        Page(b"5\r\nhel", headers={"ETag": '"1"', "Transfer-Encoding": "chunked"}, length=False),
        Page(status=404),
    ],
    ids=["cut off", "cut off in a chunk", "gone"],
)
def test_download_of_http_that_cannot_be_had_whole_leaves_nothing(
    project: lineage.Project, site: Site, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that ends too early never becomes a short file."""
    monkeypatch.setattr(BaseHTTPRequestHandler, "protocol_version", "HTTP/1.1")
    site.pages["/a"] = Page(b"hello", headers={"ETag": '"1"', "Connection": "close"})
    version = log(project, f"{site.address}/a")
    page.headers["Connection"] = "close"
    site.pages["/a"] = page

    with pytest.raises(lineage.StorageError) as caught:
        version.download("out")

    assert (caught.value.kind, below(Path("out"))) == (lineage.ErrorKind.REMOTE, [])


# --- other schemes ---


@pytest.mark.parametrize(
    "uri", ["s3://bucket/data/train.csv", "gs://bucket/train.csv", "S3://bucket/x/train.csv?versionId=5"]
)
def test_add_reference_of_a_bucket_is_known_by_its_uri_alone(uri: str) -> None:
    """A bucket's object needs no name and is not looked at."""
    entry = refer(uri)

    assert (entry.path, entry.size, entry.uri, entry.stored) == ("train.csv", None, uri, False)
    assert entry.digest is not None
    assert entry.digest != refer(uri + "2").digest


@pytest.mark.parametrize("uri", ["ftp://host/a", "ourstore://inat/10", "urn:isbn:1", "lineage:x/y"])
def test_add_reference_of_another_scheme_needs_a_name(uri: str) -> None:
    """What an unknown URI ends in says nothing, so the name is asked for."""
    with pytest.raises(lineage.InvalidInputError, match="needs a name") as caught:
        refer(uri)

    assert caught.value.kind == lineage.ErrorKind.SOURCE_INVALID
    assert refer(uri, "data").path == "data"


def test_download_of_another_scheme_leaves_it_to_the_caller(project: lineage.Project) -> None:
    """What lineage cannot fetch is left out of a download, beside files that are brought."""
    artifact = draft("d", {"a": "hello"})
    artifact.add_reference("s3://bucket/b")
    version = project.log_artifact(artifact)
    assert version is not None

    folder = version.download("out")

    assert below(folder) == ["a"]
    version.verify("out")


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "train.csv",
        "/data/train.csv",
        "C:/train.csv",
        "://x",
        "s3:",
        "s3://a b",
        "s3://a\nb",
        "http://[x",
        "file://[x/a",
    ],
)
def test_add_reference_of_what_is_no_uri_is_refused(uri: str) -> None:
    """A path, a drive, or a URI that cannot be read is told apart before anything is done."""
    with pytest.raises(lineage.InvalidInputError, match="is no URI") as caught:
        refer(uri, "x")

    assert caught.value.kind == lineage.ErrorKind.SOURCE_INVALID


@pytest.mark.parametrize("name", ["", "/a", "../a", "a\0", "a\\b"])
@pytest.mark.parametrize("uri", ["s3://bucket/a", "file:///", "http://example.invalid/a"])
def test_add_reference_with_a_name_that_is_no_path_is_refused_before_anything_is_looked_at(uri: str, name: str) -> None:
    """The name is checked first: no folder is walked and no server asked for nothing."""
    with pytest.raises(lineage.InvalidInputError, match="Invalid artifact path"):
        refer(uri, name)


# --- file: what is kept ---


def test_add_reference_of_a_file_is_known_by_its_content(tmp_path: Path) -> None:
    """A file's digest is that of its bytes, and none of them are stored."""
    (tmp_path / "a b ä.txt").write_text("hello")
    uri = (tmp_path / "a b ä.txt").as_uri()

    entry = refer(uri)

    assert entry == Entry("a b ä.txt", HELLO, 5, uri, stored=False)


@pytest.mark.parametrize("form", ["file:{}", "file://localhost{}", "FILE://{}"])
def test_add_reference_of_a_file_in_each_form_of_uri_is_one_reference(tmp_path: Path, form: str) -> None:
    """However the URI is written, what is kept is one form of it."""
    (tmp_path / "a").write_text("hello")

    assert refer(form.format(tmp_path / "a")).uri == (tmp_path / "a").as_uri()


def test_log_of_a_file_that_changed_is_a_new_version(project: lineage.Project, tmp_path: Path) -> None:
    """With a checksum, the content decides."""
    file = tmp_path / "a"
    file.write_text("one")
    first = log(project, file.as_uri())
    again = log(project, file.as_uri())
    file.write_text("two")

    second = log(project, file.as_uri())

    assert [first.reference, again.reference, second.reference] == ["d:v0", "d:v0", "d:v1"]
    assert_store_sound(project)


def test_log_of_a_file_without_checksum_that_changed_in_place_is_the_same_version(
    project: lineage.Project, tmp_path: Path
) -> None:
    """Without a checksum, the same place is the same content, as long as it is as large."""
    file = tmp_path / "a"
    file.write_text("one")
    log(project, file.as_uri(), checksum=False)
    file.write_text("two")

    second = log(project, file.as_uri(), checksum=False)

    assert second.reference == "d:v0"


@pytest.mark.parametrize("checksum", [True, False])
def test_log_of_a_file_that_moved_is_a_new_version(project: lineage.Project, tmp_path: Path, checksum: bool) -> None:
    """A reference is to a place, so another place is another content."""
    (tmp_path / "a").write_text("hello")
    log(project, (tmp_path / "a").as_uri(), "x", checksum=checksum)
    (tmp_path / "a").rename(tmp_path / "b")

    second = log(project, (tmp_path / "b").as_uri(), "x", checksum=checksum)

    assert second.reference == "d:v1"


@pytest.mark.parametrize("checksum", [True, False])
@pytest.mark.parametrize(("name", "prefix"), [(None, ""), ("train", "train/"), ("./x//y", "x/y/")])
def test_add_reference_of_a_folder_gives_an_entry_for_each_file(
    tmp_path: Path, checksum: bool, name: str | None, prefix: str
) -> None:
    """A folder is its files, each at its path inside; the name is their prefix."""
    (tmp_path / "data" / "in").mkdir(parents=True)
    (tmp_path / "data" / "a").write_text("hello")
    (tmp_path / "data" / "in" / "b").write_text("hello")

    entries = lineage.Artifact("d", "t").add_reference((tmp_path / "data").as_uri(), name, checksum=checksum)

    assert [(one.path, one.uri, one.size) for one in entries] == [
        (prefix + "a", (tmp_path / "data" / "a").as_uri(), 5 if checksum else None),
        (prefix + "in/b", (tmp_path / "data" / "in" / "b").as_uri(), 5 if checksum else None),
    ]
    assert [one.digest == HELLO for one in entries] == [checksum, checksum]


def test_add_reference_of_an_empty_folder_adds_nothing(tmp_path: Path) -> None:
    """A folder without files is no error, as with add_dir."""
    (tmp_path / "data").mkdir()

    assert lineage.Artifact("d", "t").add_reference((tmp_path / "data").as_uri()) == []


def test_add_reference_of_a_folder_that_clashes_adds_none_of_its_files(tmp_path: Path) -> None:
    """All of a folder or nothing of it."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").write_text("hello")
    (tmp_path / "data" / "b").write_text("hello")
    artifact = draft("d", {"b": "mine"})

    with pytest.raises(lineage.InvalidInputError, match="'b' is in artifact 'd' already"):
        artifact.add_reference((tmp_path / "data").as_uri())

    assert [entry.path for entry in artifact.entries] == ["b"]


# --- file: what goes wrong ---


@pytest.mark.parametrize("checksum", [True, False])
def test_add_reference_of_a_file_that_is_not_there_is_refused(tmp_path: Path, checksum: bool) -> None:
    """A reference to nothing is a mistake that is told at once."""
    with pytest.raises(lineage.InvalidInputError, match=r"no file .*nowhere") as caught:
        refer((tmp_path / "nowhere").as_uri(), checksum=checksum)

    assert caught.value.kind == lineage.ErrorKind.SOURCE_INVALID


@pytest.mark.parametrize("uri", ["file:data/a", "file://elsewhere/a", "file:///a%00b", "file:..", "file://host"])
def test_add_reference_of_a_file_uri_that_names_no_absolute_path_is_refused(uri: str) -> None:
    """A relative path would mean something else tomorrow, and another host cannot be read."""
    with pytest.raises(lineage.InvalidInputError, match="names an absolute path of this machine"):
        refer(uri)


def test_add_reference_of_a_file_with_a_name_no_system_takes_is_refused() -> None:
    """A path longer than the system allows is no file, and no error of Python's."""
    with pytest.raises(lineage.InvalidInputError, match="no file"):
        refer("file:///" + "x" * 5_000, "a")


@pytest.mark.parametrize("checksum", [True, False])
@pytest.mark.parametrize("place", ["pipe", ""], ids=["itself", "in a folder"])
def test_add_reference_of_a_fifo_is_refused_and_does_not_hang(tmp_path: Path, place: str, checksum: bool) -> None:
    """Nobody waits for a pipe's writer."""
    (tmp_path / "data").mkdir()
    os.mkfifo(tmp_path / "data" / "pipe")

    with pytest.raises(lineage.InvalidInputError, match="FIFO"):
        refer((tmp_path / "data" / place).as_uri(), checksum=checksum)


def test_add_reference_of_a_folder_with_a_broken_link_is_refused(tmp_path: Path) -> None:
    """What cannot be followed is named."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "gone").symlink_to("nowhere")

    with pytest.raises(lineage.InvalidInputError, match="gone' is a broken link"):
        refer((tmp_path / "data").as_uri())


def test_add_reference_of_the_open_project_file_is_refused(project: lineage.Project) -> None:
    """Reading the project as a plain file would drop the locks on it."""
    with refused(project, lineage.InvalidInputError, "project file that is open here"):
        refer(project.file.as_uri())


# --- file: downloads ---


@pytest.mark.parametrize("checksum", [True, False])
def test_download_of_a_file_reference_copies_it(project: lineage.Project, tmp_path: Path, checksum: bool) -> None:
    """The copy is a file of its own: editing it leaves the target alone."""
    (tmp_path / "a").write_text("hello")
    version = log(project, (tmp_path / "a").as_uri(), checksum=checksum)

    copy = version.download("out") / "a"
    copy.write_text("edited")

    assert (tmp_path / "a").read_text() == "hello"
    assert not copy.is_symlink()


def test_download_of_a_file_reference_that_is_there_already_writes_nothing(
    project: lineage.Project, tmp_path: Path
) -> None:
    """A right copy is known by its digest and stays."""
    (tmp_path / "a").write_text("hello")
    version = log(project, (tmp_path / "a").as_uri())
    before = (version.download("out") / "a").stat()

    after = (version.download("out") / "a").stat()

    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("now", ["other", "hello and more", "", "HELLO"])
def test_download_of_a_file_reference_that_changed_is_refused_and_nothing_appears(
    project: lineage.Project, tmp_path: Path, now: str
) -> None:
    """Bytes that are not those that were logged are not handed out."""
    (tmp_path / "a").write_text("hello")
    version = log(project, (tmp_path / "a").as_uri())
    (tmp_path / "a").write_text(now)

    with pytest.raises(lineage.CorruptionError, match=r"'a': what 'file:.*' holds has changed") as caught:
        version.download("out")

    assert (caught.value.kind, below(Path("out"))) == (lineage.ErrorKind.SOURCE_CHANGED, [])


def test_download_of_an_unchecked_file_reference_brings_what_is_there_now(
    project: lineage.Project, tmp_path: Path
) -> None:
    """Without a checksum there is nothing to compare with."""
    (tmp_path / "a").write_text("one")
    version = log(project, (tmp_path / "a").as_uri(), checksum=False)
    (tmp_path / "a").write_text("two")

    folder = version.download("out")

    assert (folder / "a").read_text() == "two"


@pytest.mark.parametrize("checksum", [True, False])
@pytest.mark.parametrize("instead", ["nothing", "folder", "fifo", "broken link"])
def test_download_of_a_file_reference_whose_target_is_gone_says_where_it_was(
    project: lineage.Project, tmp_path: Path, instead: str, checksum: bool
) -> None:
    """A missing target is told by its path and URI; whatever lies there instead is not waited for."""
    target = tmp_path / "a"
    target.write_text("hello")
    version = log(project, target.as_uri(), checksum=checksum)
    target.unlink()
    if instead == "folder":
        target.mkdir()
    elif instead == "fifo":
        os.mkfifo(target)
    elif instead == "broken link":
        target.symlink_to("nowhere")

    with pytest.raises(lineage.StorageError, match=r"'a' points to 'file:.*', where no file is any more") as caught:
        version.download("out")

    assert (caught.value.kind, below(Path("out"))) == (lineage.ErrorKind.CONTENT_MISSING, [])


def test_download_of_a_folder_reference_gives_its_files(project: lineage.Project, tmp_path: Path) -> None:
    """A folder comes back as it was, below its name."""
    (tmp_path / "data" / "in").mkdir(parents=True)
    (tmp_path / "data" / "in" / "b").write_text("hello")
    version = log(project, (tmp_path / "data").as_uri(), "train")

    folder = version.download("out")

    assert below(folder) == ["train/in/b"]
    version.verify("out")


def test_verify_of_a_folder_with_an_altered_copy_of_a_reference_names_it(
    project: lineage.Project, tmp_path: Path
) -> None:
    """A copy is checked by the digest that was kept of its target."""
    (tmp_path / "a").write_text("hello")
    version = log(project, (tmp_path / "a").as_uri())
    (version.download("out") / "a").write_text("jello")

    with pytest.raises(lineage.CorruptionError, match="a differs or is missing"):
        version.verify("out")


# --- entries of versions ---


def test_add_reference_of_an_entry_shares_its_bytes(project: lineage.Project) -> None:
    """An entry of another version is stored once, and says whose it is."""
    origin = log_files(project, "origin", {"in/a": "x" * 50_000})
    before = sorted(project.blob_folder.glob("??/*"))

    version = log(project, origin.entry("in/a"))

    assert version.files() == [
        Entry("in/a", origin.entry("in/a").digest, 50_000, f"lineage:{origin.uid}/in/a", stored=True)
    ]
    assert sorted(project.blob_folder.glob("??/*")) == before
    assert (version.download("out") / "in" / "a").read_text() == "x" * 50_000
    assert_store_sound(project)


def test_merge_takes_a_shared_entry_of_any_path(project: lineage.Project, tmp_path: Path) -> None:
    """What says whose bytes they are is a URI also where the path has blanks, or letters beyond ASCII."""
    origin = log_files(project, "origin", {"ü [b": "hello"})
    version = log(project, origin.entry("ü [b"), "b")

    lineage.open(tmp_path / "other.lineage").merge(project)

    assert version.entry("b").uri == f"lineage:{origin.uid}/%C3%BC%20%5Bb"


@pytest.mark.parametrize("content", ["small", "x" * 50_000], ids=["small", "large"])
def test_download_of_a_shared_entry_survives_the_version_it_came_from(project: lineage.Project, content: str) -> None:
    """Whose bytes they were does not matter for how long they stay."""
    origin = log_files(project, "origin", {"a": content})
    version = log(project, origin.entry("a"), "b")
    origin.delete(delete_aliases=True)
    project.gc()

    folder = version.download("out")

    assert (folder / "b").read_text() == content


def test_log_of_an_entry_of_a_foreign_project_is_refused_and_leaves_nothing(
    project: lineage.Project, tmp_path: Path
) -> None:
    """Bytes that lie in another project cannot be shared; the message says which and what to do."""
    foreign = log_files(lineage.open(tmp_path / "foreign.lineage"), "d", {"in/a": "hello"})
    artifact = lineage.Artifact("d", "dataset")
    artifact.add_reference(foreign.entry("in/a"))

    with refused(
        project,
        lineage.InvalidInputError,
        "the bytes of in/a are not in this project",
        lineage.ErrorKind.CONTENT_MISSING,
    ):
        project.log_artifact(artifact)


def test_log_of_an_entry_of_a_foreign_project_whose_bytes_are_here_too_is_fine(
    project: lineage.Project, tmp_path: Path
) -> None:
    """Bytes are known by their digest, wherever the entry came from."""
    foreign = log_files(lineage.open(tmp_path / "foreign.lineage"), "d", {"a": "hello"})
    log_files(project, "same", {"b": "hello"})

    version = log(project, foreign.entry("a"))

    assert version.open("a").read() == b"hello"


def test_add_reference_of_a_reference_of_another_version_is_taken_without_a_look(
    project: lineage.Project, tmp_path: Path
) -> None:
    """A reference goes on as it was logged, even where its target is gone by now."""
    (tmp_path / "a").write_text("hello")
    origin = log(project, (tmp_path / "a").as_uri())
    (tmp_path / "a").unlink()

    entry = log(project, origin.entry("a"), "b").entry("b")

    assert (entry.digest, entry.size, entry.uri) == (HELLO, 5, (tmp_path / "a").as_uri())


def test_add_reference_of_an_entry_of_a_draft_is_refused() -> None:
    """A draft has stored nothing yet."""
    (entry,) = draft("other", {"a": "hello"}).entries

    with pytest.raises(lineage.InvalidInputError, match="is an entry of a draft: log the draft first"):
        lineage.Artifact("d", "dataset").add_reference(entry)


@pytest.mark.parametrize("uri", ["http://[x", "file://[x/a"])
def test_add_reference_of_an_entry_made_by_hand_with_a_broken_uri_is_refused(uri: str) -> None:
    """A URI that nobody can take apart would fail at every download, so it is not kept."""
    with pytest.raises(lineage.InvalidInputError, match="is no URI"):
        lineage.Artifact("d", "dataset").add_reference(Entry("a", "z", 1, uri, stored=False))


@pytest.mark.parametrize("tail", ["#part", "?x=1"])
def test_add_reference_of_a_file_with_a_tail_is_refused(tail: str) -> None:
    """What follows '#' or '?' would be dropped in silence: it has to be written as %23 or %3F."""
    with pytest.raises(lineage.InvalidInputError, match="%23"):
        lineage.Artifact("a", "dataset").add_reference(f"file:///data/train{tail}")
