"""A file of a draft while it is written: whatever is done to it, it holds what a file of the disk would."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lineage
from lineage.newfile import NewFile, opened

LIMIT = 16 * 1024


@st.composite
def operations(draw: st.DrawFn) -> list[tuple[str, int]]:
    """Writes, moves and cuts around the limit."""
    return draw(st.lists(st.tuples(st.sampled_from(["write", "seek", "truncate", "end"]), st.integers(0, 20_000))))


@given(operations())
def test_new_file_holds_what_a_file_would(steps: list[tuple[str, int]]) -> None:
    """In memory, on the disk, and over the change from one to the other, bytes and positions are those of a file."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        raw = NewFile("f", LIMIT, lambda: folder / "new")
        ours, theirs = opened(raw, "wb", None), (folder / "file").open("wb")
        for number, (verb, count) in enumerate(steps):
            for file in (ours, theirs):
                if verb == "write":
                    file.write(bytes([number % 256]) * count)
                elif verb == "truncate":
                    file.truncate(count)
                else:
                    file.seek(count if verb == "seek" else 0, io.SEEK_SET if verb == "seek" else io.SEEK_END)
            assert ours.tell() == theirs.tell()
        ours.close()
        theirs.close()

        found = raw.content() if raw.path is None else raw.path.read_bytes()
        assert found == (folder / "file").read_bytes()


def test_new_file_that_is_small_makes_no_staging_folder(
    project: lineage.Project, make_draft: Callable[..., lineage.Artifact]
) -> None:
    """It waits in memory until it is logged."""
    draft = make_draft("d", {"a": b"1" * LIMIT, "b": ""})

    assert not any((project.blob_folder / "tmp").glob("*"))
    version = project.log_artifact(draft)
    assert {entry.path: entry.size for entry in version.files()} == {"a": LIMIT, "b": 0}
    assert project.verify().problems == ()


def test_new_files_of_more_than_a_megabyte_go_to_the_disk(
    project: lineage.Project, make_draft: Callable[..., lineage.Artifact]
) -> None:
    """What a draft keeps in memory is bounded."""
    draft = make_draft("d", {f"{number}": f"{number:010000d}" for number in range(110)})

    assert any((project.blob_folder / "tmp").glob("*"))
    version = project.log_artifact(draft)
    assert version.open("107").read() == f"{107:010000d}".encode()
    assert project.verify().problems == ()


def test_new_file_gives_a_descriptor_to_whoever_asks(project: lineage.Project) -> None:
    """What writes to the descriptor, as numpy does, writes to the file."""
    draft = lineage.Artifact("d", "t")
    with draft.new_file("a", "wb") as file:
        file.write(b"one")
        file.flush()
        os.write(file.fileno(), b" two")

    assert project.log_artifact(draft).open("a").read() == b"one two"


def test_new_file_that_was_closed_takes_nothing() -> None:
    """It says so as every file does."""
    raw = NewFile("f", LIMIT, lambda: Path("nowhere"))
    raw.close()

    with pytest.raises(ValueError, match="closed file"):
        raw.write(b"x")
