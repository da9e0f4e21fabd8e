"""Merging: what comes in, under which name and number, what is decided, what is refused."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import draft
from invariants import assert_store_sound
from test_cli_support import call, good
from test_merge_laws import seal_of

import lineage


@pytest.fixture
def ours(tmp_path: Path) -> lineage.Project:
    """A project that trained one model on its data."""
    project = lineage.open(tmp_path / "ours.lineage")
    with project.start_run("load", id="load") as run:
        run.log_artifact(draft("data", {"a": "1", "b": b"b" * 20_000}))
    with project.start_run("train", id="train", use=["data"]) as run:
        run.log_artifact(draft("model", {"w": "1"}, type="model"), aliases=["best"])
    return project


@pytest.fixture
def theirs(ours: lineage.Project) -> lineage.Project:
    """What a colleague has who got it as one file; nothing was done since."""
    ours.pack("theirs.lineage")
    return lineage.open("theirs.lineage")


def add(project: lineage.Project, text: str, name: str = "model", **words: Any) -> lineage.Version:
    """Log a version of a model, made from the newest data."""
    with project.start_run("train", use=["data"]) as run:
        version: lineage.Version | None = run.log_artifact(draft(name, {"w": text}, type="model"), **words)
    assert version is not None
    return version


def failing(_: int) -> None:
    """Raise, as a caller's own code may."""
    raise ZeroDivisionError


# --- what comes in ---


def test_merge_gives_new_versions_the_next_numbers(ours: lineage.Project, theirs: lineage.Project) -> None:
    """Both went on from v0; theirs come after ours, and the report says which is which."""
    add(ours, "ours 1")
    mine = [add(theirs, f"theirs {number}") for number in (1, 2)]

    report = ours.merge(theirs)

    assert (report.runs, report.versions, report.known_versions, report.edges) == (2, 2, 2, 4)
    assert [(pair.theirs, pair.ours) for pair in report.references] == [
        ("model:v1", "model:v2"),
        ("model:v2", "model:v3"),
    ]
    for version, number in zip(mine, (2, 3), strict=True):
        found = ours.version(f"model:v{number}")
        assert (found.uid, found.digest) == (version.uid, version.digest)
        assert found.open("w").read() == version.open("w").read()
        assert found.logged_by().id == version.logged_by().id  # type: ignore[union-attr]  # a run made it
    assert_store_sound(ours, strays=False)


def test_references_by_digest_resolve_after_a_merge(ours: lineage.Project, theirs: lineage.Project) -> None:
    """What was written down over there as name@digest means the same here."""
    add(ours, "ours")
    version = add(theirs, "theirs")

    ours.merge(theirs)

    assert ours.version(f"model@{version.digest}").uid == version.uid
    assert ours.version(f"model@{version.digest[:8]}").reference == "model:v2"


def test_merge_of_a_live_project_reads_it_where_it_is(ours: lineage.Project, tmp_path: Path) -> None:
    """Its bytes lie beside it, nothing is packed first, and nothing of it changes."""
    other = lineage.open(tmp_path / "other.lineage")
    other.log_artifact(draft("new", {"large": b"n" * 300_000, "small": "s"}))
    before = seal_of(other), sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("other"))
    told: list[int] = []

    report = ours.merge("other.lineage", progress=told.append)

    assert (report.blobs, report.bytes, sum(told)) == (2, 300_001, 300_001)
    assert ours.version("new").open("large").read() == b"n" * 300_000
    assert (seal_of(other), sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("other"))) == before


def test_merge_of_a_live_project_keeps_its_gc_out(ours: lineage.Project, tmp_path: Path) -> None:
    """The bytes of the state that is taken in stay there until they are here."""
    other, hasty, refusals = lineage.open(tmp_path / "other.lineage"), lineage.open(ours.file, timeout=0), []

    def collect(_: int) -> None:
        with pytest.raises(lineage.BusyError) as caught:
            hasty.gc()
        refusals.append(caught.value)

    other.merge(ours, progress=collect)

    assert refusals
    assert_store_sound(other)


@pytest.mark.parametrize("trap", ["fifo", "link"])
def test_merge_waits_for_no_lock_that_is_no_file(ours: lineage.Project, theirs: lineage.Project, trap: str) -> None:
    """What lies beside a file from elsewhere may be anything: it is waited for by nobody, and led by nowhere."""
    add(theirs, "theirs")
    lock = theirs.blob_folder / "gc.lock"
    lock.unlink(missing_ok=True)
    if trap == "fifo":
        os.mkfifo(lock)
    else:
        lock.symlink_to(ours.blob_folder / "write.lock")

    ours.merge(theirs.file)

    assert_store_sound(ours)


def test_merge_brings_metrics_tags_words_and_environment(ours: lineage.Project, tmp_path: Path) -> None:
    """A new run and a new version are as they were."""
    other = lineage.open(tmp_path / "other.lineage")
    with other.start_run("eval", "fine", config={"lr": 0.1}, tags=["t"], notes="words", group="g") as run:
        for step in range(3):
            run.log({"loss": float("nan") if step == 1 else 1.0 / (step + 1), "image": "x"})
        made = draft("report", {"r": "1"}, description="about", metadata={"iou": 0.5})
        run.log_artifact(made, tags=["gold"])
    one = other.run(run.id)

    ours.merge(other)

    found = ours.run(run.id)
    assert str(found.history()) == str(one.history())
    for word in ("name", "job_type", "group", "status", "config", "summary", "tags", "notes"):
        assert getattr(found, word) == getattr(one, word)
    assert found.record.environment == one.record.environment
    version = ours.version("report")
    assert (version.description, version.metadata, version.tags) == ("about", {"iou": 0.5}, ("gold",))


def test_merge_completes_a_run_that_was_running_when_it_was_packed(tmp_path: Path) -> None:
    """The end it had elsewhere is its end; steps that came since come too."""
    other = lineage.open(tmp_path / "other.lineage")
    run = other.start_run("train", id="long")
    run.log({"loss": 3.0})
    other.pack("half.lineage")
    run.log({"loss": 1.0})
    run.finish()
    mine = lineage.open("half.lineage")

    report = mine.merge(other)

    assert mine.run("long").status == "finished"
    assert mine.run("long").summary == {"loss": 1.0}
    assert [row.values for row in mine.run("long").history()] == [{"loss": 3.0}, {"loss": 1.0}]
    assert (report.runs, report.known_runs, report.decisions) == (0, 1, ())


def resumed_copy(project: lineage.Project, status: str, **summary: float) -> lineage.Project:
    """Return a copy in which the run ``long`` was gone on with for two steps, and ended."""
    project.pack("resumed.lineage")
    copy = lineage.open("resumed.lineage")
    run = copy.start_run(id="long", resume="must")
    for step in (1, 2):
        run.log({"loss": 10.0 + step})
    run.summary.update(summary)
    run.finish(status)
    return copy


def test_merge_does_not_end_a_run_that_this_process_goes_on_with(tmp_path: Path) -> None:
    """What it came to there is laid under what it came to here, and what differs is decided."""
    mine = lineage.open(tmp_path / "mine.lineage")
    run = mine.start_run("train", id="long")
    run.log({"loss": 3.0})
    run.flush()
    other = resumed_copy(mine, "failed", there=1)
    run.summary["here"] = 2
    run.flush()

    report = mine.merge(other)

    assert mine.run("long").status == "running"
    assert mine.run("long").summary == {"loss": 3.0, "here": 2, "there": 1}
    assert [(one.what, one.ours, one.theirs, one.taken) for one in report.decisions] == [
        ("summary", '{"loss":3.0}', '{"loss":12.0}', "ours")
    ]
    run.log({"acc": 1.0}, step=9)
    run.finish()
    assert mine.run("long").status == "finished"
    assert mine.run("long").summary == {"loss": 3.0, "here": 2, "there": 1, "acc": 1.0}


RUNNING = """
import sys, lineage
run = lineage.open(sys.argv[1]).start_run(id="long", resume="allow")
run.log({"loss": 3.0})
run.flush()
print("running", flush=True)
sys.stdin.read()
"""


def test_merge_does_not_end_a_run_that_another_process_here_goes_on_with(tmp_path: Path) -> None:
    """It ends when that process does, and then how it ended there is all that is known."""
    mine = lineage.open(tmp_path / "mine.lineage")
    command = [sys.executable, "-c", RUNNING, str(mine.file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "running\n"
        other = resumed_copy(mine, "failed", there=1)

        mine.merge(other, metadata="theirs")

        assert mine.run("long").status == "running"
        assert mine.run("long").summary == {"loss": 12.0, "there": 1}
    assert mine.run("long").status == "crashed"
    mine.merge(other)
    assert mine.run("long").status == "failed"


def test_merge_gives_a_run_that_was_found_as_crashed_the_end_that_it_wrote(tmp_path: Path) -> None:
    """A copy from while it ran cannot know better, once the process is gone; what only the copy knew stays."""
    other = lineage.open(tmp_path / "other.lineage")
    subprocess.run([sys.executable, "-c", RUNNING, str(other.file)], stdin=subprocess.DEVNULL, check=True)
    other.pack("half.lineage")
    mine = lineage.open("half.lineage")
    mine.start_run("next").finish()
    mine.run("long").update(summary={"loss": 3.0, "words": "mine"})
    with other.start_run(id="long", resume="must") as run:
        run.log({"loss": 1.0})

    report = mine.merge(other)

    assert mine.run("long").status == "finished"
    assert mine.run("long").summary == {"loss": 1.0, "words": "mine"}
    assert [(one.what, one.taken, one.why) for one in report.decisions] == [
        ("summary", "theirs", "the run ended there")
    ]


def test_run_resumed_after_a_merge_logs_after_what_came(tmp_path: Path) -> None:
    """Its next step would otherwise be one that came, and replace it."""
    mine = lineage.open(tmp_path / "mine.lineage")
    with mine.start_run(id="long") as run:
        run.log({"loss": 3.0})
    mine.merge(resumed_copy(mine, "finished"))

    with mine.start_run(id="long", resume="must") as run:
        run.log({"loss": 99.0})

    assert [(row.step, row.values) for row in mine.run("long").history()] == [
        (0, {"loss": 3.0}), (1, {"loss": 11.0}), (2, {"loss": 12.0}), (3, {"loss": 99.0}),
    ]  # fmt: skip


def test_merge_turns_nodes_of_another_project_into_its_versions(ours: lineage.Project, tmp_path: Path) -> None:
    """Who used a version of theirs, and then merges theirs, has one version with all edges, not two."""
    mine = lineage.open(tmp_path / "mine.lineage")
    with mine.start_run("use", id="use", use=[ours.version("model:v0")]):
        pass
    assert mine.run("use").used_artifacts()[0].reference == "ours/model:v0"

    report = mine.merge(ours)

    assert (report.versions, report.known_versions) == (2, 0)
    assert mine.run("use").used_artifacts()[0].reference == "model:v0"
    assert {node.id for node in mine.run("use").ancestors(kind="run")} == {"load", "train"}
    assert mine.version("model:v0").open("w").read() == b"1"
    assert [record.name for record in mine.artifacts()] == ["data", "model"]
    assert_store_sound(mine, strays=False)


def test_merge_of_nodes_of_our_own_versions_knows_them(ours: lineage.Project, tmp_path: Path) -> None:
    """A run over there used what is ours: its edge comes here, to our version."""
    other = lineage.open(tmp_path / "other.lineage")
    with other.start_run("use", id="use", use=[ours.version("model:v0")]):
        pass

    report = ours.merge(other)

    assert (report.runs, report.versions, report.known_versions, report.artifacts) == (1, 0, 1, 0)
    assert [run.id for run in ours.version("model:v0").used_by()] == ["use"]


def test_merge_of_a_deleted_version_that_a_collection_links_to_takes_the_link(
    ours: lineage.Project, tmp_path: Path
) -> None:
    """A link stands for what is there: it goes with the version of the other project, as it would have there."""
    mine = lineage.open(tmp_path / "mine.lineage")
    mine.link(ours.version("model:v0"), "Best models", aliases=["production"])
    ours.version("model:v0").delete(delete_aliases=True)

    mine.merge(ours)

    with pytest.raises(lineage.NotFoundError):
        mine.version("Best models:production")
    assert_store_sound(mine, strays=False)


def test_merge_carries_links_and_times_to_live(ours: lineage.Project, theirs: lineage.Project) -> None:
    """A collection comes with its numbers and aliases, and stands for the same versions."""
    theirs.link("model:v0", "Best models", aliases=["production"])

    ours.merge(theirs)

    assert ours.version("Best models:production").link_to == "model:v0"
    assert_store_sound(ours, strays=False)


def test_merge_of_a_part_takes_the_next_free_numbers(ours: lineage.Project, tmp_path: Path) -> None:
    """A gap over there is none here."""
    for number in range(3):
        add(ours, f"m{number}")
    ours.pack("part.lineage", select="model:v3")
    empty = lineage.open(tmp_path / "empty.lineage")

    report = empty.merge("part.lineage")

    assert [(pair.theirs, pair.ours) for pair in report.references] == [
        ("data:v0", "data:v0"),
        ("model:v3", "model:v0"),
    ]
    assert empty.version("model:latest").open("w").read() == b"m2"
    assert_store_sound(empty, strays=False)
    assert ours.merge("part.lineage").versions == 0


def test_merge_of_the_whole_after_a_part_completes_it(ours: lineage.Project, tmp_path: Path) -> None:
    """Edges that a part did not show arrive at versions that are known already."""
    ours.pack("bare.lineage", select="model:v0", upstream=False, content=False)
    mine = lineage.open(tmp_path / "mine.lineage")
    mine.merge("bare.lineage")
    assert mine.version("model").logged_by() is None
    assert mine.verify().left_out == 1

    report = mine.merge(ours)

    assert (report.versions, report.known_versions, report.blobs) == (1, 1, 2)
    assert mine.version("model").logged_by().id == "train"  # type: ignore[union-attr]  # now it is known
    assert mine.version("model").open("w").read() == b"1"
    assert_store_sound(mine, strays=False)


def test_merge_recognises_a_renamed_artifact(ours: lineage.Project, theirs: lineage.Project) -> None:
    """It is known by its id; our name stays."""
    theirs.rename_artifact("model", "network")
    add(theirs, "2", "network")

    report = ours.merge(theirs)

    assert ("network:v1", "model:v1") in [(pair.theirs, pair.ours) for pair in report.references]
    assert [record.name for record in ours.artifacts()] == ["data", "model"]


def test_artifacts_of_theirs_that_are_one_here_share_its_numbers(
    ours: lineage.Project, theirs: lineage.Project
) -> None:
    """One is known by its id, the other by the name that ours was given since."""
    ours.rename_artifact("model", "network")
    add(theirs, "old name", "model")
    add(theirs, "new name", "network", aliases=["gold"])
    theirs.version("model:v0").add_alias("gold")
    rehearsed = ours.merge(theirs, dry_run=True)

    report = ours.merge(theirs)

    assert report.references == rehearsed.references
    assert [(pair.theirs, pair.ours) for pair in report.references] == [
        ("model:v0", "network:v0"),
        ("model:v1", "network:v1"),
        ("network:v0", "network:v2"),
    ]
    assert [ours.version(f"network:v{number}").open("w").read() for number in (1, 2)] == [b"old name", b"new name"]
    assert ours.version("network:gold").reference == "network:v0"
    assert reasons(report)["network:gold"] == ("ours", "another of theirs has that name here")
    assert_store_sound(ours, strays=False)


def test_artifacts_of_theirs_that_are_one_here_speak_with_one_voice(
    ours: lineage.Project, theirs: lineage.Project
) -> None:
    """The next merge of the same changes nothing, whatever their words and aliases say."""
    ours.rename_artifact("model", "network")
    for name in ("model", "network"):
        add(theirs, name, name, aliases=["gold"])
        theirs.update_artifact(name, description=f"about {name}")
    ours.merge(theirs, aliases="theirs", metadata="theirs")
    before = seal_of(ours)

    for _ in range(2):
        ours.merge(theirs, aliases="theirs", metadata="theirs")
        assert seal_of(ours) == before


def test_artifacts_of_theirs_that_would_be_one_of_two_types_are_refused(
    ours: lineage.Project, theirs: lineage.Project
) -> None:
    """Also where what they meet in was deleted, and takes any type."""
    ours.rename_artifact("model", "network")
    ours.delete_artifact("network", delete_aliases=True)
    theirs.log_artifact(draft("network", {"x": "1"}, type="graph"))

    with pytest.raises(lineage.ConflictError, match="'model' and 'network' there are both 'network' here"):
        ours.merge(theirs)


def test_node_of_a_version_that_only_a_copy_of_ours_made_stays_a_node(
    ours: lineage.Project, theirs: lineage.Project, tmp_path: Path
) -> None:
    """It is no version of our artifact, beside the one that is known here and that the same project used."""
    add(theirs, "2")
    other = lineage.open(tmp_path / "other.lineage")
    other.start_run("use", id="use", use=[theirs.version("model:v0"), add(theirs, "3")]).finish()

    ours.merge(other)

    assert [version.reference for version in ours.run("use").used_artifacts()] == ["model:v0", "theirs/model:v2"]
    assert_store_sound(ours, strays=False)


# --- deletions ---


def test_merge_does_not_bring_back_what_was_deleted_here(ours: lineage.Project, theirs: lineage.Project) -> None:
    """Neither versions nor a run; the report names them."""
    ours.delete_artifact("model", delete_aliases=True)
    ours.run("train").delete()

    report = ours.merge(theirs)

    assert ours.version("data").reference == "data:v0"
    with pytest.raises(lineage.NotFoundError):
        ours.version("model")
    assert report.deleted_here == ("model:v0", "train")
    assert_store_sound(ours, strays=False)


def test_link_of_theirs_to_what_is_deleted_here_comes_as_deleted(ours: lineage.Project, tmp_path: Path) -> None:
    """It stands for a version that only this project could have kept: it is a place in the graph, without aliases."""
    other = lineage.open(tmp_path / "other.lineage")
    other.link(ours.version("model:v0"), "Best models", aliases=["production"])
    ours.version("model:v0").delete(delete_aliases=True)

    report = ours.merge(other)

    assert report.deleted_here == ("model:v0",)
    assert ("Best models:production", "it names a version that is deleted here") in [
        (one.subject, one.why) for one in report.decisions
    ]
    with pytest.raises(lineage.NotFoundError):
        ours.version("Best models:production")
    assert_store_sound(ours, strays=False)


def test_merge_does_not_delete_what_was_deleted_there(ours: lineage.Project, theirs: lineage.Project) -> None:
    """A file from elsewhere only adds."""
    theirs.delete_artifact("model", delete_aliases=True)

    report = ours.merge(theirs)

    assert ours.version("model:best").reference == "model:v0"
    assert report.deleted_there == ("model:v0",)
    assert_store_sound(ours, strays=False)


def test_merge_takes_in_what_a_project_was_before_it_deleted_a_name(ours: lineage.Project, tmp_path: Path) -> None:
    """The name goes on with the type it had, so nothing disagrees."""
    ours.pack(tmp_path / "before.lineage")
    ours.delete_artifact("model", delete_aliases=True)
    add(ours, "new")

    assert ours.merge(tmp_path / "before.lineage").deleted_here == ("model:v0",)


def test_merge_revives_a_name_for_what_is_new(ours: lineage.Project, theirs: lineage.Project) -> None:
    """A version that was never here comes under the name, with the next number, and is its latest."""
    add(theirs, "new")
    ours.delete_artifact("model", delete_aliases=True)

    ours.merge(theirs)

    assert ours.version("model").reference == "model:v1"
    assert_store_sound(ours, strays=False)


# --- decisions ---


def disagreeing(ours: lineage.Project, theirs: lineage.Project) -> None:
    """Let `best` and words differ, theirs edited last."""
    add(ours, "ours", aliases=["best"])
    ours.version("data").update(description="ours", tags=["ours"])
    add(theirs, "theirs", aliases=["best"])
    theirs.version("data").update(description="theirs", tags=["theirs"])
    theirs.run("train").update(notes="theirs")


@pytest.mark.parametrize(
    ("policy", "best", "taken"),
    [
        ("ours", "model:v1", "ours"),
        ("theirs", "model:v2", "theirs"),
        ("newest", "model:v2", "theirs"),
        ("both", "model:v1", "both"),
    ],
)
def test_aliases_that_disagree_follow_the_policy(
    ours: lineage.Project, theirs: lineage.Project, policy: Any, best: str, taken: str
) -> None:
    """Each decision is in the report; each move is in the alias's history."""
    disagreeing(ours, theirs)

    report = ours.merge(theirs, aliases=policy)

    decisions = {one.subject: one for one in report.decisions if one.what == "alias"}
    assert (decisions["model:best"].ours, decisions["model:best"].theirs) == ("model:v1", "model:v2")
    assert decisions["model:best"].taken == taken
    assert ours.version("model:best").reference == best
    assert ours.alias_history("model:best")[-1].moved_to == best
    if policy == "both":
        assert ours.version("model:theirs/best").reference == "model:v2"
        assert ours.version("model:theirs/latest").reference == "model:v2"
    again = ours.merge(theirs, aliases=policy)
    assert (again.versions, again.edges) == (0, 0)
    assert_store_sound(ours, strays=False)


@pytest.mark.parametrize(("policy", "words"), [("ours", "ours"), ("theirs", "theirs"), ("newest", "theirs")])
def test_words_that_disagree_follow_the_policy(
    ours: lineage.Project, theirs: lineage.Project, policy: Any, words: str
) -> None:
    """Descriptions, tags, metadata and notes, each named in the report."""
    disagreeing(ours, theirs)

    report = ours.merge(theirs, metadata=policy)

    version = ours.version("data")
    assert (version.description, version.tags) == (words, (words,))
    assert ours.run("train").notes == (None if policy == "ours" else "theirs")
    assert {(one.what, one.subject, one.taken) for one in report.decisions if one.what != "alias"} == {
        ("description", "data:v0", words),
        ("tags", "data:v0", words),
        ("notes", "train", words),
    }


def test_newest_edit_may_be_ours(ours: lineage.Project, theirs: lineage.Project) -> None:
    """The policy looks at when it was edited, on either side."""
    disagreeing(ours, theirs)
    ours.version("data").update(description="last")
    ours.version("model:v0").add_alias("best")

    ours.merge(theirs, aliases="newest", metadata="newest")

    assert ours.version("data").description == "last"
    assert ours.version("model:best").reference == "model:v0"


def test_protected_alias_stays_whatever_the_policy(ours: lineage.Project, theirs: lineage.Project) -> None:
    """And the report says why."""
    disagreeing(ours, theirs)
    ours.version("model:v1").add_alias("best", protect=True)

    report = ours.merge(theirs, aliases="theirs")

    (decision,) = [one for one in report.decisions if one.subject == "model:best"]
    assert (decision.taken, decision.why) == ("ours", "it is protected here")
    assert ours.version("model:best").reference == "model:v1"


def aliases_of(project: lineage.Project) -> dict[str, str]:
    """Return what each alias names."""
    return {f"{row['name']}:{row['alias']}": row["reference"] for row in project.sql("SELECT * FROM aliases")}


def reasons(report: lineage.MergeReport) -> dict[str, tuple[str, str | None]]:
    """Return what was taken of each alias that is not the same in both, and why."""
    return {one.subject: (one.taken, one.why) for one in report.decisions if one.what == "alias"}


def test_alias_beside_ours_comes_before_one_that_is_called_so_there(
    ours: lineage.Project, theirs: lineage.Project
) -> None:
    """Two who merge each other's files keep one alias beside each of theirs, and never one beside that."""
    add(ours, "ours")
    add(theirs, "theirs")
    theirs.merge(ours, aliases="both")
    assert aliases_of(theirs)["model:theirs/latest"] == "model:v2"

    report = ours.merge(theirs, aliases="both")

    assert reasons(report) == {
        "model:latest": ("both", None),
        "model:theirs/latest": ("ours", "another of theirs has that name here"),
    }
    before = aliases_of(ours)
    assert before["model:theirs/latest"] == "model:v2"
    again = ours.merge(theirs, aliases="both")
    assert reasons(again) == {"model:theirs/latest": ("ours", "theirs/ before its name makes no alias")}
    assert aliases_of(ours) == before
    assert_store_sound(ours, strays=False)


def test_alias_beside_ours_that_would_be_too_long_is_left_out(ours: lineage.Project, theirs: lineage.Project) -> None:
    """The longest name leaves no room for what would be put before it."""
    longest = "a" * 510
    ours.version("model:v0").add_alias(longest)
    add(theirs, "theirs", aliases=[longest])

    report = ours.merge(theirs, aliases="both")

    assert reasons(report)[f"model:{longest}"] == ("ours", "theirs/ before its name makes no alias")
    assert_store_sound(ours, strays=False)


def test_alias_beside_ours_that_is_protected_stays(ours: lineage.Project, theirs: lineage.Project) -> None:
    """A dry run says so too."""
    disagreeing(ours, theirs)
    ours.merge(theirs, aliases="both")
    ours.version("model:theirs/best").add_alias("theirs/best", protect=True)
    add(theirs, "more", aliases=["best"])

    rehearsed = ours.merge(theirs, aliases="both", dry_run=True)
    report = ours.merge(theirs, aliases="both")

    assert reasons(report)["model:best"] == ("ours", "theirs/'best' is protected here")
    assert rehearsed.decisions == report.decisions
    assert ours.version("model:theirs/best").reference == "model:v2"


def test_new_alias_comes_with_its_history_and_protection(ours: lineage.Project, theirs: lineage.Project) -> None:
    """Nobody here disagrees with it."""
    theirs.version("model:v0").add_alias("gold")
    add(theirs, "2").add_alias("gold", protect=True)

    ours.merge(theirs)

    assert ours.version("model:gold").reference == "model:v1"
    assert [event.moved_to for event in ours.alias_history("model:gold")] == ["model:v0", "model:v1"]
    with pytest.raises(lineage.ConflictError, match="protected"):
        ours.version("model:v0").add_alias("gold")


def test_alias_of_what_is_deleted_here_is_left_out(ours: lineage.Project, theirs: lineage.Project) -> None:
    """An alias names what is there."""
    theirs.version("model:v0").add_alias("gold")
    add(ours, "2")
    ours.version("model:v0").delete(delete_aliases=True)

    report = ours.merge(theirs)

    assert ("model:gold", "it names a version that is deleted here") in [
        (one.subject, one.why) for one in report.decisions
    ]
    assert_store_sound(ours, strays=False)


# --- refusals: all or nothing ---


def unrelated(tmp_path: Path) -> lineage.Project:
    """A project that has nothing to do with the other."""
    return lineage.open(tmp_path / "unrelated.lineage")


def test_type_clashes_are_refused_all_at_once(ours: lineage.Project, tmp_path: Path) -> None:
    """Every reason is named, and not a row or a byte is new."""
    other = unrelated(tmp_path)
    for name in ("data", "model"):
        other.log_artifact(draft(name, {"x": b"x" * 50_000}, type="other"))
    before = seal_of(ours), sorted(ours.blob_folder.rglob("*"))

    with pytest.raises(lineage.ConflictError) as caught:
        ours.merge(other)

    assert caught.value.kind == "merge-refused"
    assert "artifact 'data' has type 'dataset' here and 'other' there" in str(caught.value)
    assert "artifact 'model' has type 'model' here and 'other' there" in str(caught.value)
    assert (seal_of(ours), sorted(ours.blob_folder.rglob("*"))) == before


def test_type_of_a_name_that_is_deleted_here_is_not_rewritten(ours: lineage.Project, tmp_path: Path) -> None:
    """Its versions stay in the lineage as what they are."""
    other = unrelated(tmp_path)
    other.log_artifact(draft("model", {"x": "1"}, type="other"))
    ours.delete_artifact("model", delete_aliases=True)

    with pytest.raises(lineage.ConflictError, match="artifact 'model' has type 'model' here and 'other' there"):
        ours.merge(other)


def test_cycle_of_the_two_together_is_refused(ours: lineage.Project, theirs: lineage.Project) -> None:
    """Each is without one; the error names it in order."""
    first, second = add(ours, "first"), None
    ours.merge(theirs)
    theirs.merge(ours)
    second = add(theirs, "second")
    ours.merge(theirs)
    ours.record(first.logged_by().id, consumed=[ours.version(f"model@{second.digest}")])  # type: ignore[union-attr]
    theirs.record(second.logged_by().id, consumed=[theirs.version(f"model@{first.digest}")])  # type: ignore[union-attr]
    before = seal_of(ours)

    for dry_run in (True, False):
        with pytest.raises(lineage.CycleError) as caught:
            ours.merge(theirs, dry_run=dry_run)

    assert set(caught.value.cycle) == {
        first.logged_by().id, second.logged_by().id, "model:v1", "model:v2"  # type: ignore[union-attr]
    }  # fmt: skip
    assert seal_of(ours) == before


def test_run_of_the_same_id_that_is_another_is_refused(ours: lineage.Project, tmp_path: Path) -> None:
    """Ids that people choose may meet."""
    other = unrelated(tmp_path)
    with other.start_run(id="train"):
        pass

    with pytest.raises(lineage.ConflictError, match="run 'train' started at"):
        ours.merge(other)


def test_name_of_a_collection_and_of_an_artifact_is_refused(ours: lineage.Project, tmp_path: Path) -> None:
    """A collection holds links and nothing else."""
    other = unrelated(tmp_path)
    other.link(other.log_artifact(draft("m", {"x": "1"}, type="model")), "model")

    with pytest.raises(lineage.ConflictError, match="collection of links in one project and an artifact in the other"):
        ours.merge(other)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda p: p.merge("nowhere.lineage"), "NotFoundError", "no project file"),
        (lambda p: p.merge(p), "InvalidInputError", "is this project itself"),
        (lambda p: p.merge("theirs.lineage", aliases="mine"), "InvalidInputError", "aliases 'mine'"),
        (lambda p: p.merge("theirs.lineage", metadata="both"), "InvalidInputError", "metadata 'both'"),
        (lambda p: p.merge("theirs.lineage", max_size=10), "InvalidInputError", "max_size"),
        (lambda p: p.merge("theirs.lineage", max_entries=3), "InvalidInputError", "max_entries"),
        (lambda p: p.merge("theirs.lineage", max_size=-1), "InvalidInputError", "max_size -1"),
        (lambda p: p.merge(3), "InvalidInputError", "3 is no path"),
        (lambda p: p.fill("theirs.lineage", max_size="x"), "InvalidInputError", "max_size 'x'"),
    ],
)  # fmt: skip
def test_calls_that_cannot_be_are_refused(
    ours: lineage.Project, theirs: lineage.Project, call: Callable[[lineage.Project], object], error: str, words: str
) -> None:
    """The message names what is wrong."""
    assert theirs is not None

    with pytest.raises(getattr(lineage, error), match=words):
        call(ours)


def test_max_entries_counts_the_rows_of_every_table(ours: lineage.Project, tmp_path: Path) -> None:
    """Whatever a sender can make many of: a limit of one less than there are refuses the file."""
    with ours.start_run("again", tags=["t"]) as run:
        run.log({"loss": 1.0})
        run.log_artifact(draft("model", {"w": "1"}, type="model"), tags=[f"t{number}" for number in range(20)])
    ours.link("model", "Best models")
    add(ours, "2")
    other = lineage.open(tmp_path / "other.lineage")
    other.start_run("abroad", use=[ours.version("model")]).finish()
    ours.pack("rich.lineage", content={"type": "dataset"})
    with closing(sqlite3.connect("rich.lineage")) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        rows = {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables}
    assert 0 not in rows.values()
    assert (rows.pop("project"), rows.pop("seal")) == (1, 1)
    total = sum(rows.values())

    with pytest.raises(lineage.InvalidInputError, match=f"holds {total} rows, and {total - 1} are allowed"):
        other.merge("rich.lineage", max_entries=total - 1)
    assert other.merge("rich.lineage", max_entries=total).versions == 4


def test_merge_needs_a_project_that_can_be_written_and_no_block(ours: lineage.Project, theirs: lineage.Project) -> None:
    """A dry run only reads."""
    add(theirs, "2")
    reader = lineage.open(ours.file, read_only=True)

    with pytest.raises(lineage.ReadOnlyError):
        reader.merge(theirs)
    with pytest.raises(lineage.StateError), ours.batch():
        ours.merge(theirs)
    with pytest.raises(lineage.StateError), ours.snapshot():
        ours.fill(theirs)

    assert reader.merge(theirs, dry_run=True).versions == 1


def test_dry_run_makes_no_blob_folder(ours: lineage.Project, theirs: lineage.Project, tmp_path: Path) -> None:
    """Neither beside a packed file nor beside a project that nothing was logged to."""
    add(ours, "2")
    empty = lineage.open(tmp_path / "empty.lineage")
    before = sorted(tmp_path.iterdir())

    assert theirs.merge(ours, dry_run=True).versions == 1
    assert empty.merge(ours, dry_run=True).versions == 3

    assert sorted(tmp_path.iterdir()) == before


def test_merge_that_fails_leaves_garbage_at_most(ours: lineage.Project, theirs: lineage.Project) -> None:
    """A callback that raises ends it before a row is written; the same call works afterwards."""
    theirs.log_artifact(draft("new", {"x": b"x" * 50_000}))
    before = seal_of(ours)

    with pytest.raises(ZeroDivisionError):
        ours.merge(theirs, progress=failing)

    assert seal_of(ours) == before
    assert ours.merge(theirs).versions == 1
    assert_store_sound(ours, strays=False)


KILLED = """
import os, sys, lineage
from lineage.portable import merging
steps = 0
def counted(function):
    def call(*arguments, **words):
        global steps
        steps += 1
        if steps == int(sys.argv[3]):
            os.kill(os.getpid(), 9)
        return function(*arguments, **words)
    return call
for module, name in [(merging, "take_over"), (merging, "make_plan"), (merging.union, "add_run"),
                     (merging.union, "add_version"), (merging.union, "add_consumed"),
                     (merging.portable, "mark_absent")]:
    setattr(module, name, counted(getattr(module, name)))
lineage.open(sys.argv[1]).merge(sys.argv[2])
"""


@pytest.mark.parametrize("moment", [1, 2, 3, 4, 6, 8, 9])
def test_merge_that_is_killed_took_nothing(ours: lineage.Project, theirs: lineage.Project, moment: int) -> None:
    """At every step: the project is as it was but for bytes that gc takes, and the same merge goes through."""
    for number in range(2):
        add(theirs, str(number) * 20_000)
    before = seal_of(ours)

    done = subprocess.run([sys.executable, "-c", KILLED, str(ours.file), str(theirs.file), str(moment)])

    assert done.returncode == -signal.SIGKILL
    assert ours.verify().ok
    assert [version.reference for version in ours.versions({"name": "model"})] == ["model:v0"]
    assert ours.merge(theirs).versions == 2
    ours.gc()
    assert_store_sound(ours, strays=False)
    assert seal_of(ours) != before


# --- the command line ---


def test_command_merge_shows_numbers_references_and_decisions(ours: lineage.Project, theirs: lineage.Project) -> None:
    """First as a dry run, which changes nothing, then for good; conflicts exit with 4."""
    disagreeing(ours, theirs)
    before = seal_of(ours)
    where = ["--project", ours.file, "merge", theirs.file]

    rehearsed = good(*where, "-n", "--json").json
    assert seal_of(ours) == before
    shown = good(*where, "--aliases", "both")
    again = good(*where, "--json").json

    assert (rehearsed["dry_run"], rehearsed["versions"], rehearsed["references"]) == (
        True, 1, [{"theirs": "model:v1", "ours": "model:v2"}],
    )  # fmt: skip
    assert "1 new, 2 known" in shown.out
    assert "model:best" in shown.out
    assert again["versions"] == 0


def test_command_merge_that_is_refused_exits_with_4(ours: lineage.Project, tmp_path: Path) -> None:
    """One line, all reasons."""
    unrelated(tmp_path).log_artifact(draft("data", {"x": "1"}, type="other"))

    answer = call("--project", ours.file, "merge", "unrelated.lineage")

    assert answer.code == 4
    assert "artifact 'data' has type 'dataset' here and 'other' there" in answer.err


def test_merge_speaks_no_warnings(
    ours: lineage.Project, theirs: lineage.Project, caplog: pytest.LogCaptureFixture
) -> None:
    """All there is to say is in the report."""
    add(theirs, "2")

    with caplog.at_level(logging.DEBUG):
        ours.merge(theirs)

    assert caplog.records == []
    assert os.listdir(ours.blob_folder / "tmp") == []
