"""The first format that packs stays readable: a file of it opens in place, holds what it held, and merges."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from invariants import assert_store_sound

import lineage

FIXTURE = Path(__file__).with_name("data") / "format3" / "share.lineage"
DIGEST = "34879084ff618e0e28f345c45e959be609b84fea1c38cf4b7e58afa698ef5dce"
"""What ``lineage pack --digest`` printed when it was made."""


@pytest.fixture
def share(tmp_path: Path) -> lineage.Project:
    """A copy of the file, as somebody got it."""
    return lineage.open(shutil.copy(FIXTURE, tmp_path / "share.lineage"))


def test_file_of_format_3_is_whole_under_the_digest_it_was_sealed_with(share: lineage.Project) -> None:
    """The digest is computed over the same rows in the same order, for ever."""
    report = share.verify()

    assert (report.problems, report.seal) == ((), DIGEST)
    assert (report.runs, report.artifacts, report.versions, report.blobs) == (4, 3, 4, 5)


def test_file_of_format_3_answers_as_it_did(share: lineage.Project) -> None:
    """Names, words, edges, a link, a version of another project, a deleted one, and every byte."""
    model = share.version("model:best")

    assert (model.reference, model.aliases, model.tags, model.description) == (
        "model:v1",
        ("best", "latest"),
        ("gold",),
        "words",
    )
    assert [node.id for node in model.ancestors()] == ["train2", "data:v0", "load", "other/abroad:v0"]
    assert [run.id for run in share.version("model:v0").reproduced_by()] == ["train1"]
    assert share.version("Best models:production").link_to == "model:v0"
    assert share.run("load").config == {"lr": 0.1}
    assert [row.values for row in share.run("load").history()] == [{"loss": 0.5}]
    assert [entry.path for entry in share.version("data").files()] == ["a.txt", "dir/large.bin", "empty", "key"]
    assert share.version("data").open("dir/large.bin").read() == bytes(range(256)) * 400
    assert share.version("data").open("a.txt").read() == b"hello"
    with pytest.raises(lineage.NotFoundError, match="deleted"):
        share.version("gone:v0")


def test_file_of_format_3_can_be_written_to_and_merged(share: lineage.Project, tmp_path: Path) -> None:
    """It goes on as a project of today, and comes into another one."""
    other = lineage.open(tmp_path / "other.lineage")

    assert other.merge(FIXTURE).versions == 6
    assert_store_sound(other, strays=False)
    with share.start_run("train", use=["data"]) as run:
        assert run.log_artifact(share.version("model:v0").new_draft(), force_new_version=True).reference == "model:v2"
    assert_store_sound(share, strays=False)
