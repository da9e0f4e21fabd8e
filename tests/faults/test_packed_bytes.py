"""A packed file that is damaged anywhere is refused, or is as good as the whole one: nothing changed comes in."""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import plants_packed as bugs
import pytest
from forgery import Bench, forging, make_share
from ledger import Ledger
from plants import Bug, planted

import lineage

FLIPS = pytest.mark.faults("P11 P12", "F81", "packed file: flipped bits in pages, header, b-trees")
PAGES = pytest.mark.faults(
    "P11 P12", "F82 F84", "packed file: pages zeroed, swapped, repeated; cut; rubbish; other files"
)
SEALED = pytest.mark.faults("P11", "F83", "packed file: changes that keep it well-formed")
HEADERS = pytest.mark.faults("P11 P12 P19", "F88 F90", "packed file: header fields, newer formats")

SHARDS = 8


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A place to forge in."""
    folder = tmp_path_factory.mktemp("bytes")
    (folder / "share").mkdir()
    return Bench(folder / "bench", make_share(folder / "share"))


@pytest.fixture(scope="module")
def small_pages(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The same file with pages of 512 bytes: less of it is empty."""
    folder = tmp_path_factory.mktemp("small")
    copy = Path(shutil.copy(bench.share, folder / "small.lineage"))
    with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        connection.execute("PRAGMA page_size = 512")
        connection.execute("VACUUM")
    return Bench(folder / "bench", copy)


def flipped(data: bytes, place: int, mask: int) -> bytes:
    """Return bytes with some bits of one flipped."""
    return data[:place] + bytes([data[place] ^ mask]) + data[place + 1 :]


def check_harmless(bench: Bench, data: bytes, what: object, bug: Bug | None = None, *, thorough: bool = True) -> bool:
    """Open, merge, fill from and unpack a damaged file; say whether the merge was refused."""
    bench.forge(data)
    for beside in bench.theirs.parent.iterdir():
        assert beside == bench.theirs, (what, beside)
    try:
        with planted(bug):
            refused = bench.merge_is_harmless()
            if thorough:
                bench.open_is_harmless()
                bench.fill_is_harmless()
                bench.unpack_is_harmless()
    except Exception as error:  # noqa: BLE001 (whatever it is, it is none of ours)
        pytest.fail(f"{what}: {error!r}")
    return refused


# --- bits ---


@FLIPS
def test_flip_in_each_header_byte_is_refused_or_without_effect(bench: Bench, ledger: Ledger) -> None:
    """A hundred bytes that decide what everything else is."""
    masks = [1 << bit for bit in range(8)] if ledger.long else [0xFF]
    refused = 0
    for place in range(100) if ledger.long else range(0, 100, 3):
        for mask in masks:
            what = f"byte {place} of the header, {mask:#x}"
            refused += check_harmless(bench, flipped(bench.whole, place, mask), what, thorough=place % 4 == 0)
            ledger.case()
    assert refused > 10


@FLIPS
def test_flip_in_each_b_tree_header_is_refused_or_without_effect(bench: Bench, ledger: Ledger) -> None:
    """Kind, free block, cells, content, fragments, right child: of each page, or of some."""
    pages = range(len(bench.whole) // bench.page)
    for page in pages if ledger.long else bench.chance.sample(pages, 5):
        start = page * bench.page + (100 if page == 0 else 0)
        for place in range(start, start + 12) if ledger.long else bench.chance.sample(range(start, start + 12), 2):
            check_harmless(bench, flipped(bench.whole, place, 1 << bench.chance.randrange(8)), f"page {page}, {place}")
            ledger.case()


@FLIPS
@pytest.mark.parametrize("shard", range(SHARDS))
def test_flip_anywhere_is_refused_or_without_effect(small_pages: Bench, ledger: Ledger, shard: int) -> None:
    """Of every byte in the long form, of a few else; the seal and the digests know each that matters."""
    places = range(shard, len(small_pages.whole), SHARDS)
    for place in places if ledger.long else small_pages.chance.sample(places, 2):
        mask = 1 << small_pages.chance.randrange(8)
        check_harmless(
            small_pages, flipped(small_pages.whole, place, mask), f"{place}, {mask}", thorough=place % 10 == 0
        )
        ledger.case()


@FLIPS
def test_flip_in_each_page_is_refused_or_without_effect(bench: Bench, ledger: Ledger) -> None:
    """Where there is something, and not in the empty middle."""
    pages = range(len(bench.whole) // bench.page)
    for page in pages if ledger.long else bench.chance.sample(pages, 10):
        data = bench.whole[page * bench.page : (page + 1) * bench.page]
        used = [place for place, byte in enumerate(data) if byte] or [0]
        for place in bench.chance.sample(used, min(len(used), 20 if ledger.long else 1)):
            mask = 1 << bench.chance.randrange(8)
            check_harmless(bench, flipped(bench.whole, page * bench.page + place, mask), f"page {page}, {place}")
            ledger.case()


def place_of(bench: Bench, text: bytes) -> int:
    """Return where some text stands in the whole file, once."""
    assert bench.whole.count(text) >= 1
    return bench.whole.index(text)


def flip_of(bench: Bench, which: str) -> bytes:
    """Return the file with a bit flipped that matters in a known way."""
    flips: dict[str, Callable[[], int]] = {
        "bytes": lambda: place_of(bench, b"large" * 100) + 7,
        "words": lambda: place_of(bench, b'{"k":1}') + 5,
        "pages": lambda: 28 + 3,
    }
    return flipped(bench.whole, flips[which](), 1)


@FLIPS
@pytest.mark.parametrize(
    ("bug", "which"),
    [
        (bugs.seal_is_not_compared, "words"),
        (bugs.bytes_are_not_hashed_on_their_way_in, "bytes"),
        (bugs.bytes_are_not_hashed_when_filled_in, "bytes"),
        (bugs.bytes_are_not_hashed_when_unpacked, "bytes"),
    ],
    ids=lambda one: one.name if isinstance(one, Bug) else one,
)
def test_flips_that_are_not_noticed_are_caught(bench: Bench, ledger: Ledger, bug: Bug, which: str) -> None:
    """Each of the checks is needed."""
    with ledger.catches(bug.name):
        check_harmless(bench, flip_of(bench, which), which, bug)
    bench.__dict__.pop("target", None)


# --- pages ---


def page_harms(bench: Bench, *, long: bool) -> Iterator[tuple[str, bytes]]:
    """Yield what can happen to pages."""
    data, size = bench.whole, bench.page
    count = len(data) // size
    pages = [data[start : start + size] for start in range(0, len(data), size)]
    for page in range(count) if long else bench.chance.sample(range(count), 4):
        other = (page + 1 + bench.chance.randrange(count - 1)) % count
        yield f"page {page} zeroed", b"".join([*pages[:page], bytes(size), *pages[page + 1 :]])
        yield f"page {page} repeated", b"".join([*pages[:page], pages[other], *pages[page + 1 :]])
        swapped = list(pages)
        swapped[page], swapped[other] = swapped[other], swapped[page]
        yield f"pages {page} and {other} swapped", b"".join(swapped)
        yield f"cut before page {page}", data[: page * size]
        yield f"cut before page {page}, and said so", with_count(data[: page * size], page)
        place = bench.chance.randrange(len(data))
        yield f"cut at {place}", data[:place]
        yield f"filled with zeros from {place}", data[:place] + bytes(len(data) - place)
    for extra in (b"x", bytes(size), os.urandom(3 * size), data):
        yield "rubbish behind it", data + extra
        yield "rubbish behind it, and said so", with_count(data + extra, (len(data) + len(extra)) // size)
    yield from ((f"only {length} bytes", data[:length]) for length in (0, 1, 15, 16, 99, 100, size - 1, size))


def with_count(data: bytes, pages: int) -> bytes:
    """Return a file whose header says how many pages it has."""
    return data[:28] + struct.pack(">I", pages) + data[32:] if len(data) > 32 else data


@PAGES
def test_file_whose_pages_are_not_its_own_is_refused_or_as_good(bench: Bench, ledger: Ledger) -> None:
    """Zeroed, repeated, swapped, cut, grown: no page comes in that was not sealed."""
    for what, data in page_harms(bench, long=ledger.long):
        refused = check_harmless(bench, data, what, thorough=ledger.long or "swapped" in what)
        assert (
            refused or data == bench.whole or "said so" in what or not any(bench.whole[len(data) :]) or "page" in what
        )
        ledger.case()


@PAGES
def test_files_that_are_no_project_are_refused(bench: Bench, tmp_path: Path, ledger: Ledger) -> None:
    """Text, an archive, another database, a live project of another kind: one clear error."""
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        archive.writestr("a", "b")
    with closing(sqlite3.connect(tmp_path / "database")) as connection, connection:
        connection.execute("CREATE TABLE t (a)")
    files = [(tmp_path / "zip").read_bytes(), (tmp_path / "database").read_bytes(), b"text\n" * 1000, b"\0" * 8192]
    for data in [*files, bench.whole[:100] + os.urandom(len(bench.whole) - 100)]:
        assert check_harmless(bench, data, data[:20])
        ledger.case()


@PAGES
@pytest.mark.parametrize("bug", [bugs.header_is_not_looked_at], ids=lambda bug: bug.name)
def test_rubbish_that_is_not_noticed_is_caught(bench: Bench, ledger: Ledger, bug: Bug) -> None:
    """What SQLite passes over, behind the last page it knows of, is the header's word alone."""
    with ledger.catches(bug.name), planted(bug):
        bench.forge(bench.whole + b"rubbish")
        bench.merge_is_refused()
    bench.__dict__.pop("target", None)


# --- well-formed changes ---

EDITS = {
    "a digit of a metric": "UPDATE metric SET value = 0.75 WHERE value IS NOT NULL",
    "a letter of a name": "UPDATE run SET job_type = 'loan' WHERE job_type = 'load'",
    "a letter of an artifact": "UPDATE artifact SET name = 'date' WHERE name = 'data'",
    "a type": "UPDATE artifact SET type = 'modal' WHERE type = 'model'",
    "a description": "UPDATE version SET description = 'worlds' WHERE description = 'words'",
    "metadata": "UPDATE version SET metadata = '{\"k\":2}' WHERE metadata = '{\"k\":1}'",
    "config": "UPDATE run SET config = '{\"lr\":0.2}' WHERE uid = 'load'",
    "an edge less": "DELETE FROM consumed WHERE rowid IS NOT NULL OR run = (SELECT id FROM run WHERE uid = 'train')",
    "an edge more": "INSERT INTO consumed (run, version) SELECT r.id, v.id FROM run r, version v JOIN artifact a"
    " ON a.id = v.artifact WHERE r.uid = 'again' AND a.project IS NOT NULL",
    "a producer": "UPDATE produced SET run = (SELECT id FROM run WHERE uid = 'again')"
    " WHERE run = (SELECT id FROM run WHERE uid = 'train')",
    "a time": "UPDATE run SET started_at = '2001-01-01T00:00:00.000000Z' WHERE uid = 'load'",
    "a tag": "UPDATE run_tag SET tag = 'u' WHERE tag = 't'",
    "an alias": "UPDATE alias SET name = 'rest' WHERE name = 'best'; UPDATE alias_event SET name = 'rest'"
    " WHERE name = 'best'",
    "a note": "UPDATE run SET notes = 'note' WHERE notes = 'notes'",
    "a uid": "UPDATE version SET uid = substr(uid, 1, 25) || 'z' WHERE number = 1",
    "a time to live": "UPDATE version SET ttl = ttl + 1 WHERE ttl IS NOT NULL",
    "a status": "UPDATE run SET status = 'failed' WHERE uid = 'load'",
    "a reference": "UPDATE entry SET uri = 's3://bucket/kez' WHERE uri IS NOT NULL",
    "a path": "UPDATE entry SET path = 'b' WHERE path = 'a'",
}


def check_edit_refused(bench: Bench, what: str, bug: Bug | None = None) -> None:
    """Change a file so that it breaks no rule of the format, without lineage, and merge it."""
    bench.copy()
    with forging(bench.theirs, seal=False, digests="path" in what or "reference" in what) as connection:
        for statement in EDITS[what].replace(" rowid IS NOT NULL OR", "").split("; "):
            assert connection.execute(statement).rowcount > 0, what
    with planted(bug):
        assert "its seal does not hold" in str(bench.merge_is_refused()), what
        assert not bench.open_is_as_sealed(), what


@SEALED
def test_changes_that_keep_a_file_well_formed_are_refused(bench: Bench, ledger: Ledger) -> None:
    """A digit, a letter, an edge: only the seal can know."""
    for what in EDITS if ledger.long else bench.chance.sample(sorted(EDITS), 8):
        check_edit_refused(bench, what)
        ledger.case()


@SEALED
@pytest.mark.parametrize("bug", [bugs.seal_is_not_compared], ids=lambda bug: bug.name)
def test_seal_that_is_not_compared_is_caught(bench: Bench, ledger: Ledger, bug: Bug) -> None:
    """Without it the digit comes in."""
    with ledger.catches(bug.name):
        check_edit_refused(bench, "a digit of a metric", bug)
    bench.__dict__.pop("target", None)


# --- the header's fields ---

FIELDS = {
    "a write-ahead log": (18, b"\x02\x02"),
    "a write-ahead log to read": (19, b"\x02"),
    "journals of the future": (18, b"\x09\x09"),
    "no page size": (16, b"\x00\x00"),
    "pages of three bytes": (16, b"\x00\x03"),
    "pages of 64 KiB": (16, b"\x00\x01"),
    "reserved bytes": (20, b"\xff"),
    "all pages there can be": (28, b"\xff\xff\xff\xff"),
    "no pages": (28, b"\x00\x00\x00\x00"),
    "a free list that is the first page": (32, struct.pack(">II", 1, 9)),
    "a free list past the end": (32, struct.pack(">II", 10**6, 9)),
    "schema of the future": (44, struct.pack(">I", 9)),
    "vacuums": (52, struct.pack(">I", 5)),
    "UTF-16": (56, struct.pack(">I", 2)),
    "UTF-16, the other way": (56, struct.pack(">I", 3)),
    "an encoding of the future": (56, struct.pack(">I", 9)),
    "a newer format": (60, struct.pack(">I", 99)),
    "a format of nobody": (60, struct.pack(">i", -1)),
    "no format": (60, struct.pack(">i", 0)),
    "another program's": (68, b"GPKG"),
}

WITHOUT_EFFECT = (
    "reserved bytes",
    "vacuums",
    "schema of the future",
    "a free list past the end",
    "an encoding of the future",
)
"""Fields that SQLite passes over where nothing is written: what comes in is what the whole file holds."""


def with_field(bench: Bench, what: str) -> bytes:
    """Return the file with one field of its header changed."""
    place, value = FIELDS[what]
    data = bench.whole[:place] + value + bench.whole[place + len(value) :]
    if what == "a free list that is the first page":
        data = data[:32] + struct.pack(">II", 2, 9) + data[40:]
        data = data[: bench.page] + struct.pack(">II", 2, 1) + data[bench.page + 8 :]  # a trunk that follows itself
    return data


@HEADERS
def test_fields_of_the_header_that_are_not_ours_are_refused_or_without_effect(bench: Bench, ledger: Ledger) -> None:
    """What a sender may write there to have his way with SQLite."""
    for what in FIELDS:
        # a file that is WAL to readers and not to writers leaves an index beside it when it is opened where it lies
        refused = check_harmless(bench, with_field(bench, what), what, thorough=what != "a write-ahead log to read")
        assert refused or what in WITHOUT_EFFECT, what
        ledger.case()


def check_says_which_version(bench: Bench, bug: Bug | None = None) -> None:
    """A newer file says that it is newer, however it is asked."""
    bench.forge(with_field(bench, "a newer format"))
    with planted(bug):
        assert bench.merge_is_refused().kind == "newer-format"
        with pytest.raises(lineage.FormatError, match="format 99"):
            lineage.open(bench.theirs)


@HEADERS
def test_newer_format_says_which_is_needed(bench: Bench, ledger: Ledger) -> None:
    """Upgrade, and it will open."""
    check_says_which_version(bench)
    ledger.case()


@HEADERS
@pytest.mark.parametrize("bug", [bugs.format_is_not_looked_at], ids=lambda bug: bug.name)
def test_format_that_is_not_looked_at_is_caught(bench: Bench, ledger: Ledger, bug: Bug) -> None:
    """A newer file would be read as if it were ours."""
    with ledger.catches(bug.name):
        check_says_which_version(bench, bug)
    bench.__dict__.pop("target", None)
