"""What a logged artifact of lineage.wandb does: states, edits, reading, versions, links and references."""

from __future__ import annotations

import datetime as dt
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import lineage
from lineage import wandb
from lineage.wandb.errors import CommError
from lineage.wandb.sdk.artifacts.exceptions import ArtifactFinalizedError, ArtifactNotLoggedError

FILES = {"a.txt": "one", "d/b.txt": "two", "d-two.txt": "three"}


@pytest.fixture
def run() -> Iterator[wandb.Run]:
    """Return a run of project p, active until the test ends."""
    yield wandb.init(project="p", entity="team")
    wandb.teardown()


def draft(
    name: str = "data", files: dict[str, str] | None = None, type: str = "dataset", **words: Any
) -> wandb.Artifact:
    artifact = wandb.Artifact(name, type, **words)
    for path, text in (FILES if files is None else files).items():
        with artifact.new_file(path) as file:
            file.write(text)
    return artifact


@pytest.fixture
def data(run: wandb.Run) -> wandb.Artifact:
    """Return an artifact of three files that was logged."""
    return run.log_artifact(draft(metadata={"k": 1}, description="words"), aliases=["best"], tags=["raw"])


def again(artifact: wandb.Artifact | str) -> wandb.Artifact:
    """Return an artifact as the project has it now."""
    name = artifact if isinstance(artifact, str) else artifact.qualified_name
    found: wandb.Artifact = wandb.use_artifact(name)
    return found


def tree(folder: str | Path) -> dict[str, str]:
    root = Path(folder)
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}


# --- states ---


def test_state_goes_from_pending_to_committed_to_deleted(run: wandb.Run) -> None:
    """An artifact is pending, then committed, then deleted."""
    artifact = draft()
    states = [artifact.state]
    run.log_artifact(artifact)
    states.append(artifact.state)
    artifact.delete(delete_aliases=True)

    assert [*states, artifact.state] == ["PENDING", "COMMITTED", "DELETED"]


def test_log_gives_the_names_a_version(data: wandb.Artifact) -> None:
    """Once it is logged, an artifact's names end in its version."""
    names = (
        data.name,
        data.source_name,
        data.version,
        data.source_version,
        data.qualified_name,
        data.source_qualified_name,
    )

    assert names == ("data:v0", "data:v0", "v0", "v0", "team/p/data:v0", "team/p/data:v0")


def test_log_gives_an_id_and_ends_the_draft(data: wandb.Artifact) -> None:
    """Once it is logged, an artifact has an id, is no draft, and waits for nothing."""
    assert (data.id is not None, data.is_draft(), data.wait() is data, data.wait(timeout=1) is data) == (
        True,
        False,
        True,
        True,
    )


def test_logged_has_what_a_draft_has_not(data: wandb.Artifact) -> None:
    """Everything that a draft refuses to tell is there once it is logged."""
    told = (
        data.entity,
        data.project,
        data.source_entity,
        data.source_project,
        data.file_count,
        data.size,
        data.is_link,
    )

    assert told == ("team", "p", "team", "p", 3, 11, False)
    assert data.url.startswith("file://")
    assert data.commit_hash
    assert data.created_at == data.updated_at
    assert data.source_artifact is data
    assert (data.linked_artifacts, data.linked_at) == ([], None)


def test_content_of_a_logged_one_is_final(data: wandb.Artifact) -> None:
    """A logged artifact takes no more files and gives none up."""
    with pytest.raises(ArtifactFinalizedError):
        data.new_file("x")
    with pytest.raises(ArtifactFinalizedError):
        data.remove("a.txt")


def test_history_step_is_the_last_step_at_the_log(run: wandb.Run) -> None:
    """An artifact knows the last step that its run had logged: none, then 0, then 1."""
    steps = []
    for text in ("1", "2", "3"):
        steps.append(run.log_artifact(draft(files={"a": text})).history_step)
        run.log({"loss": 1})

    assert steps == [None, 0, 1]


def test_logged_by_and_used_by_name_the_runs(run: wandb.Run, data: wandb.Artifact) -> None:
    """An artifact tells the run that made it and those that used it."""
    run.finish()
    with wandb.init(project="p", id="user") as user:
        user.use_artifact("data:latest")

    made_by = data.logged_by()
    assert made_by is not None
    assert made_by.id == run.id
    assert [one.id for one in data.used_by()] == ["user"]


# --- edits ---


@pytest.mark.parametrize("in_place", [True, False])
def test_aliases_edited_are_kept_by_save(data: wandb.Artifact, in_place: bool) -> None:
    """Aliases edited in the list or set anew are kept by save, and not before."""
    if in_place:
        data.aliases.remove("best")
        data.aliases.append("prod")
    else:
        data.aliases = ["prod", "latest"]
    before = sorted(again("data:v0").aliases)
    data.save()

    assert (before, sorted(again("data:v0").aliases), sorted(data.aliases)) == (
        ["best", "latest"],
        ["latest", "prod"],
        ["latest", "prod"],
    )


def test_alias_of_another_version_moves(run: wandb.Run, data: wandb.Artifact) -> None:
    """An alias that another version has goes to the one that is given it."""
    second = run.log_artifact(draft(files={"a": "other"}))
    second.aliases.append("best")
    second.save()

    assert (sorted(again("data:v0").aliases), sorted(again("data:v1").aliases)) == ([], ["best", "latest"])


def test_aliases_leave_out_the_version(run: wandb.Run, data: wandb.Artifact) -> None:
    """The list of aliases does not hold v0, by which the version is found all the same."""
    assert "v0" not in again("data:best").aliases


@pytest.mark.parametrize("in_place", [True, False])
def test_tags_edited_are_kept_by_save(data: wandb.Artifact, in_place: bool) -> None:
    """Tags edited in the list or set anew are kept by save."""
    if in_place:
        data.tags.remove("raw")
        data.tags.append("clean")
    else:
        data.tags = ["clean"]
    data.save()

    assert again("data:v0").tags == ["clean"]


def test_words_edited_are_kept_by_save(data: wandb.Artifact) -> None:
    """Description and metadata, set or changed in place, are kept by save."""
    data.description = "other"
    data.metadata["k"] = 2
    data.metadata["l"] = [3]
    data.save()

    found = again("data:v0")
    assert (found.description, found.metadata) == ("other", {"k": 2, "l": [3]})


def test_edits_leave_version_and_digest_alone(data: wandb.Artifact) -> None:
    """What is said about a version is no part of its content."""
    digest = data.digest
    data.metadata = {"other": True}
    data.save()

    assert (again("data:latest").version, again("data:latest").digest) == ("v0", digest)


def test_edits_are_not_kept_without_save(data: wandb.Artifact) -> None:
    """What is edited and not saved is forgotten."""
    data.metadata["k"] = 2
    data.tags.append("x")

    assert (again("data:v0").metadata, again("data:v0").tags) == ({"k": 1}, ["raw"])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda artifact: artifact.aliases.append("a/b"),
        lambda artifact: artifact.tags.append("a/b"),
        lambda artifact: artifact.metadata.update({str(number): number for number in range(101)}),
        lambda artifact: artifact.metadata.update(k=float("inf")),
    ],
    ids=["alias", "tag", "keys", "infinity"],
)
def test_save_keeps_all_or_nothing(data: wandb.Artifact, spoil: Callable[[wandb.Artifact], None]) -> None:
    """One thing that may not be, and nothing of the edit is kept."""
    data.description = "other"
    spoil(data)
    with pytest.raises(ValueError):
        data.save()

    found = again("data:v0")
    assert (found.description, found.metadata, found.tags, sorted(found.aliases)) == (
        "words",
        {"k": 1},
        ["raw"],
        ["best", "latest"],
    )


def test_save_leaves_the_edits_of_others(data: wandb.Artifact) -> None:
    """A save of what was read before others saved undoes nothing of theirs: not alias, tag, metadata or words."""
    data.metadata = {"k": 1, "deep": {"one": 1}}
    data.save()
    mine, theirs = again(data), again(data)
    theirs.aliases.append("prod")
    theirs.tags = ["good"]
    theirs.metadata["acc"], theirs.metadata["deep"]["two"] = 1, 2
    theirs.description = "theirs"
    theirs.save()
    mine.metadata["loss"], mine.metadata["deep"]["three"] = 2, 3
    mine.tags.append("seen")
    mine.save()

    found = again(data)
    assert (sorted(found.aliases), sorted(found.tags)) == (["best", "latest", "prod"], ["good", "seen"])
    assert found.metadata == {"k": 1, "deep": {"one": 1, "two": 2, "three": 3}, "acc": 1, "loss": 2}
    assert found.description == "theirs"


def test_save_moves_no_alias_that_was_not_touched(run: wandb.Run, data: wandb.Artifact) -> None:
    """An alias that went on to the next version since this one was read stays there."""
    stale = again(data)
    run.log_artifact(draft(files={"a": "2"}), aliases=["best"])
    stale.tags.append("old")
    stale.save()
    stale.aliases = []
    stale.save()

    assert (sorted(again("data:v1").aliases), again("data:v0").tags) == (["best", "latest"], ["old", "raw"])


def test_save_takes_away_what_was_taken_away(data: wandb.Artifact) -> None:
    """Of a stale copy too, a removed key, tag or alias goes, and what others added stays."""
    stale = again(data)
    data.metadata["other"], data.tags, data.aliases = 1, ["raw", "other"], ["best", "other"]
    data.save()
    del stale.metadata["k"]
    stale.tags.remove("raw")
    stale.aliases.remove("best")
    stale.save()

    found = again(data)
    assert (found.metadata, found.tags, sorted(found.aliases)) == ({"other": 1}, ["other"], ["latest", "other"])


def test_save_tells_true_from_one(data: wandb.Artifact) -> None:
    """A number that becomes a bool is a change, although Python holds the two equal."""
    data.metadata["k"] = True
    data.save()

    assert again(data).metadata["k"] is True


@pytest.mark.parametrize("target", ["shelf", "q/shelf"])
def test_save_of_a_link_is_all_or_nothing(run: wandb.Run, data: wandb.Artifact, target: str) -> None:
    """An alias of the link that may not move, and the words of what it stands for stay, in another project too."""
    link = data.link(target)
    other = run.log_artifact(draft(files={"a": "2"})).link(target)
    other._is("test").shown.add_alias("pinned", protect=True)
    link.description = "other"
    link.aliases.append("pinned")
    with pytest.raises(CommError, match="protected"):
        link.save()

    assert again("data:v0").description == "words"


def test_state_is_that_of_the_version_and_not_of_the_object(run: wandb.Run, data: wandb.Artifact) -> None:
    """A version that was deleted by another object, and a link that went with it, are told as deleted."""
    other, link = again(data), data.link("shelf")
    data.delete(delete_aliases=True)

    assert (other.state, link.state, data.state) == ("DELETED", "DELETED", "DELETED")


def test_state_of_an_input_that_was_deleted(run: wandb.Run, data: wandb.Artifact) -> None:
    """The list of what a run used tells which of it is no more."""
    run.finish()
    with wandb.init(project="p", id="user") as user:
        user.use_artifact("data:v0")
    data.delete(delete_aliases=True)

    found = wandb.Api().run("p/user").used_artifacts()
    assert [artifact.state for artifact in found] == ["DELETED"]


def test_manifest_of_a_logged_one_is_read_once(data: wandb.Artifact) -> None:
    """Looking at it for each of its entries costs no more than looking at it once."""
    first = data.manifest

    assert all(data.manifest is first for _ in first.entries)


def test_files_by_name_look_at_each_name_once(data: wandb.Artifact) -> None:
    """Choosing among many files by many names does not compare each with each."""

    class Names(list[str]):
        looked_through = 0

        def __contains__(self, name: object) -> bool:
            self.looked_through += 1
            return super().__contains__(name)

    names = Names(["d/b.txt", "no.txt", "a.txt"])

    assert [file.name for file in data.files(names)] == ["a.txt", "d/b.txt"]
    assert names.looked_through == 0


def test_add_reference_costs_the_same_in_a_large_draft() -> None:
    """What a reference more takes does not grow with those that are there."""
    calls = []
    for count in (1, 400):
        artifact = wandb.Artifact("data", "dataset")
        for number in range(count):
            artifact.add_reference(f"s3://bucket/{number}", f"n{number}")
        seen = 0

        def watch(_: Any, event: str, __: Any) -> None:
            nonlocal seen
            seen += event == "call"

        sys.setprofile(watch)
        try:
            artifact.add_reference("s3://bucket/last", "last")
        finally:
            sys.setprofile(None)
        calls.append(seen)

    assert calls[1] < calls[0] + 50


def test_bad_alias_or_tag_is_refused_at_once(data: wandb.Artifact) -> None:
    """Set anew, a list is checked when it is set."""
    with pytest.raises(ValueError, match="Aliases must not contain"):
        data.aliases = ["a:b"]
    with pytest.raises(ValueError, match="Invalid tag"):
        data.tags = ["a:b"]


def test_ttl_is_kept_by_save(data: wandb.Artifact) -> None:
    """A time to live is set, kept and taken away."""
    data.ttl = dt.timedelta(days=30)
    data.save()
    kept = again("data:v0").ttl
    data.ttl = None
    data.save()

    assert (kept, again("data:v0").ttl) == (dt.timedelta(days=30), None)


def test_ttl_of_a_draft_is_logged_with_it(run: wandb.Run) -> None:
    """A time to live that a draft was given is the version's."""
    artifact = draft()
    artifact.ttl = dt.timedelta(hours=1)
    run.log_artifact(artifact)

    assert again("data:v0").ttl == dt.timedelta(hours=1)


def test_ttl_inherited_is_for_good_once_logged(data: wandb.Artifact) -> None:
    """A project has no default time to live, so an artifact without one lives for good."""
    data.ttl = wandb.ArtifactTTL.INHERIT
    data.save()

    assert again("data:v0").ttl is None


def test_ttl_goes_when_linked_and_is_not_set_on_links(data: wandb.Artifact) -> None:
    """Linking takes the time to live away, and a link is given none."""
    data.ttl = dt.timedelta(days=1)
    data.save()
    link = data.link("shelf")

    assert again("data:v0").ttl is None
    with pytest.raises(ValueError, match="Cannot set TTL for link artifact"):
        link.ttl = dt.timedelta(days=1)


def test_save_of_a_draft_logs_it(run: wandb.Run) -> None:
    """A draft that is saved is logged by the active run."""
    artifact = draft()
    artifact.save()

    made_by = artifact.logged_by()
    assert made_by is not None
    assert (artifact.version, made_by.id) == ("v0", run.id)


def test_save_of_a_draft_without_a_run_starts_one() -> None:
    """Without a run, save starts one of job type auto and finishes it."""
    artifact = draft()
    artifact.save(project="solo")

    (only,) = lineage.open("solo.lineage").runs()
    assert (artifact.state, only.job_type, only.status, wandb.run) == ("COMMITTED", "auto", "finished", None)


def test_save_of_a_deleted_one_is_refused(data: wandb.Artifact) -> None:
    """What was deleted keeps no more edits."""
    data.delete(delete_aliases=True)
    data.description = "late"

    with pytest.raises(CommError):
        data.save()


# --- reading ---


def test_download_goes_below_artifacts(data: wandb.Artifact, tmp_path: Path) -> None:
    """A download goes to artifacts/<name>:vN in the working folder."""
    folder = data.download()

    assert (Path(folder), tree(folder)) == (tmp_path / "artifacts" / "data:v0", FILES)


def test_download_goes_where_the_environment_says(
    data: wandb.Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WANDB_ARTIFACT_DIR is the folder that holds the artifacts' folders."""
    monkeypatch.setenv("WANDB_ARTIFACT_DIR", str(tmp_path / "else" / "where"))

    assert data.download() == str(tmp_path / "else" / "where" / "data:v0")


def test_download_goes_where_it_is_told(data: wandb.Artifact, tmp_path: Path) -> None:
    """A root that is given is the folder of the files."""
    assert data.download(root=str(tmp_path / "r")) == str(tmp_path / "r")
    assert tree(tmp_path / "r") == FILES


def test_download_mends_and_leaves_what_is_not_its_own(data: wandb.Artifact) -> None:
    """A changed file is put right, a missing one comes back, an extra one stays."""
    folder = Path(data.download())
    for file in folder.rglob("*"):
        file.chmod(0o755 if file.is_dir() else 0o644)
    (folder / "a.txt").unlink()
    (folder / "a.txt").write_text("changed")
    (folder / "d" / "b.txt").unlink()
    (folder / "extra.txt").write_text("mine")

    assert tree(data.download()) == {**FILES, "extra.txt": "mine"}


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        ("d", ["d-two.txt", "d/b.txt"]),
        ("d/", ["d/b.txt"]),
        ("", ["a.txt", "d-two.txt", "d/b.txt"]),
        ("x", []),
        (None, list(FILES)),
    ],
)
def test_download_of_a_prefix(data: wandb.Artifact, tmp_path: Path, prefix: str | None, found: list[str]) -> None:
    """A prefix is the beginning of the path's text; with a slash it means a folder, and empty all."""
    assert sorted(tree(data.download(root=str(tmp_path / "r"), path_prefix=prefix))) == sorted(found)


def test_download_takes_options_of_networks(data: wandb.Artifact) -> None:
    """skip_cache and multipart are accepted."""
    assert tree(data.download(skip_cache=True, multipart=True)) == FILES


def test_download_of_a_link_goes_to_the_sources_folder(data: wandb.Artifact, tmp_path: Path) -> None:
    """The folder of a link bears the name of what it stands for."""
    assert data.link("shelf", ["good"]).download() == str(tmp_path / "artifacts" / "data:v0")


def test_checkout_leaves_nothing_else(data: wandb.Artifact, tmp_path: Path) -> None:
    """A checkout goes to artifacts/<name> and takes away what is not the artifact's."""
    (tmp_path / "artifacts" / "data").mkdir(parents=True)
    (tmp_path / "artifacts" / "data" / "extra.txt").write_text("x")

    folder = data.checkout()

    assert (Path(folder), tree(folder)) == (tmp_path / "artifacts" / "data", FILES)


def _extra(folder: Path) -> None:
    (folder / "extra.txt").write_text("x")


def _missing(folder: Path) -> None:
    (folder / "a.txt").unlink()


def _changed(folder: Path) -> None:
    (folder / "a.txt").unlink()
    (folder / "a.txt").write_text("eno")


@pytest.mark.parametrize("spoil", [_extra, _missing, _changed])
def test_verify_finds_what_is_wrong(data: wandb.Artifact, spoil: Callable[[Path], None]) -> None:
    """A file that is extra, missing or changed is a ValueError."""
    folder = Path(data.download())
    data.verify()
    spoil(folder)

    with pytest.raises(ValueError, match=r"extra\.txt|a\.txt"):
        data.verify()


def test_verify_of_no_folder_is_refused(data: wandb.Artifact, tmp_path: Path) -> None:
    """What was not downloaded cannot be verified."""
    with pytest.raises(ValueError):
        data.verify(root=str(tmp_path / "none"))


def test_verify_warns_of_references_known_by_uri(run: wandb.Run, capsys: pytest.CaptureFixture[str]) -> None:
    """References that nothing here reads are skipped with a warning."""
    artifact = draft(files={"a": "1"})
    artifact.add_reference("ref://x/y", name="r")
    run.log_artifact(artifact)
    artifact.download()
    capsys.readouterr()

    artifact.verify()

    assert "skipped verification" in capsys.readouterr().err


def test_file_is_the_only_file(run: wandb.Run, tmp_path: Path) -> None:
    """An artifact of one file gives its path."""
    path = run.log_artifact(draft(files={"d/only.txt": "1"})).file()

    assert (Path(path), Path(path).read_text()) == (tmp_path / "artifacts" / "data:v0" / "d" / "only.txt", "1")


def test_file_of_several_is_refused(data: wandb.Artifact) -> None:
    """An artifact of several files has no file."""
    with pytest.raises(ValueError, match="This artifact contains 3 files"):
        data.file()


def test_files_are_gone_through(data: wandb.Artifact) -> None:
    """The files come one by one with name, size and digest, are counted, and chosen by name."""
    files = data.files()

    assert (len(files), [(file.name, file.size) for file in files]) == (
        3,
        [("a.txt", 3), ("d-two.txt", 5), ("d/b.txt", 3)],
    )
    assert [file.name for file in data.files(names=["a.txt", "none"])] == ["a.txt"]
    assert all(file.digest and file.url for file in data.files(per_page=1))


def test_files_are_downloaded_one_by_one(data: wandb.Artifact, tmp_path: Path) -> None:
    """A file of the list is brought by itself, and not over one that is there."""
    file = data.files(names=["d/b.txt"])[0]
    with file.download(root=str(tmp_path / "r")) as opened:
        text = opened.read()

    assert (text, tree(tmp_path / "r")) == ("two", {"d/b.txt": "two"})
    with pytest.raises(ValueError, match="already exists"):
        file.download(root=str(tmp_path / "r"))
    file.download(root=str(tmp_path / "r"), exist_ok=True).close()
    file.download(root=str(tmp_path / "r"), replace=True).close()


def test_entry_is_found_by_its_exact_path(data: wandb.Artifact) -> None:
    """An entry is found by its path, and by nothing that is almost its path."""
    entry = data.get_entry("d/b.txt")

    assert (entry.path, entry.size, entry.ref, entry.extra) == ("d/b.txt", 3, None, {})
    assert data.get_path("d/b.txt") == entry
    for wrong in ("b.txt", "d", "d/", "", "x", "../d/b.txt"):
        with pytest.raises(KeyError):
            data.get_entry(wrong)


def test_entry_is_downloaded_alone(data: wandb.Artifact, tmp_path: Path) -> None:
    """An entry is brought alone, into the artifact's folder or another."""
    first = data.get_entry("d/b.txt").download()
    second = data.get_entry("d/b.txt").download(root=str(tmp_path / "r"), skip_cache=True)

    assert (Path(first), Path(second)) == (
        tmp_path / "artifacts" / "data:v0" / "d" / "b.txt",
        tmp_path / "r" / "d" / "b.txt",
    )
    assert (tree(tmp_path / "artifacts" / "data:v0"), tree(tmp_path / "r")) == ({"d/b.txt": "two"}, {"d/b.txt": "two"})


def test_entry_knows_its_artifact(data: wandb.Artifact) -> None:
    """An entry of a logged artifact gives the artifact, and a text that names it for good."""
    entry = data.get_entry("a.txt")

    assert (entry.parent_artifact(), entry.ref_url()) == (data, f"wandb-artifact://{data.id}/a.txt")
    with pytest.raises(ValueError, match="Only reference entries"):
        entry.ref_target()


def test_get_gives_media_or_none(run: wandb.Run) -> None:
    """A table that was added comes back by its name; a name that is none gives None."""
    artifact = draft(files={"plain.txt": "1"})
    artifact.add(wandb.Table(columns=["x"], data=[[1]]), "t")
    run.log_artifact(artifact)

    found = again("data:latest")
    assert found.get_entry("t").path == "t.table.json"
    assert [getattr(found.get(name), "data", None) for name in ("t", "none", "plain.txt")] == [[[1]], None, None]
    assert getattr(found["t"], "data", None) == [[1]]


def test_manifest_of_a_logged_one(data: wandb.Artifact) -> None:
    """The manifest of a logged artifact holds its entries."""
    assert sorted(data.manifest.entries) == sorted(FILES)
    assert data.manifest.digest() == data.digest


def test_added_local_path_is_known_after_the_log(run: wandb.Run, tmp_path: Path) -> None:
    """Where a local file went is known by the object that added it."""
    (tmp_path / "f.txt").write_text("x")
    artifact = wandb.Artifact("data", "dataset")
    artifact.add_file("f.txt", "d/f.txt")
    run.log_artifact(artifact)

    assert artifact.get_added_local_path_name("f.txt") == "d/f.txt"


# --- versions ---


def test_versions_count_up_and_are_never_given_again(run: wandb.Run) -> None:
    """Versions are numbered as they are logged; the number of a deleted one is not given again."""
    for text in ("0", "1", "2"):
        run.log_artifact(draft(files={"a": text}))
    again("data:v2").delete(delete_aliases=True)

    assert run.log_artifact(draft(files={"a": "3"})).version == "v3"


def test_same_content_gives_the_same_version(run: wandb.Run, data: wandb.Artifact) -> None:
    """The same content logged again is the version that was there, with the aliases of the call."""
    second = run.log_artifact(draft(metadata={"other": 1}), aliases=["second"])

    assert (second.version, second.id, sorted(second.aliases)) == ("v0", data.id, ["best", "latest", "second"])
    assert second.metadata == {"k": 1}


def test_same_object_logged_again_gives_the_same_version(run: wandb.Run, data: wandb.Artifact) -> None:
    """An artifact that was logged can be logged again, and is the same version."""
    assert run.log_artifact(data, aliases=["more"]).version == "v0"
    assert "more" in again("data:v0").aliases


def test_older_content_gives_its_version_and_latest(run: wandb.Run, data: wandb.Artifact) -> None:
    """Content that an older version holds gives that one, and latest names it."""
    run.log_artifact(draft(files={"a": "other"}))
    run.log_artifact(draft())

    assert again("data:latest").version == "v0"


def test_same_content_under_another_name_is_another_artifact(run: wandb.Run, data: wandb.Artifact) -> None:
    """The same content under another name makes a version of that name with the same digest."""
    other = run.log_artifact(draft("twin"))

    assert (other.name, other.digest == data.digest, other.id == data.id) == ("twin:v0", True, False)


def test_new_draft_makes_the_next_version(run: wandb.Run, data: wandb.Artifact) -> None:
    """A draft of a version has its files, type and words, not its aliases, tags and time to live; it makes the next."""
    copy = data.new_draft()
    told = (copy.name, copy.type, copy.description, copy.metadata, sorted(copy.manifest.entries), copy.is_draft())
    copy.remove("a.txt")
    with copy.new_file("new.txt") as file:
        file.write("new")
    run.log_artifact(copy)

    assert told == ("data", "dataset", "words", {"k": 1}, sorted(FILES), True)
    assert (copy.version, copy.aliases, copy.tags, copy.ttl) == ("v1", ["latest"], [], None)
    assert tree(copy.download()) == {"d/b.txt": "two", "d-two.txt": "three", "new.txt": "new"}


def test_new_draft_of_a_link_is_one_of_its_source(run: wandb.Run, data: wandb.Artifact) -> None:
    """A draft taken through a link makes the next version of what the link stands for."""
    copy = data.link("shelf").new_draft()
    with copy.new_file("new.txt") as file:
        file.write("new")

    assert (copy.name, run.log_artifact(copy).name) == ("data", "data:v1")


def test_new_draft_is_not_logged_into_another_project(data: wandb.Artifact) -> None:
    """A draft belongs to the project of its source."""
    copy = data.new_draft()
    wandb.teardown()
    with wandb.init(project="other") as other, pytest.raises(ValueError, match="exists in project"):
        other.log_artifact(copy)


def test_logged_one_is_not_logged_into_another_project(data: wandb.Artifact) -> None:
    """A logged artifact belongs to its project, too."""
    wandb.teardown()
    with wandb.init(project="other") as other, pytest.raises(ValueError, match="exists in project"):
        other.log_artifact(data)


def test_type_of_a_name_is_its_first(run: wandb.Run, data: wandb.Artifact) -> None:
    """A name that has a type does not take another."""
    with pytest.raises(ValueError, match="dataset.*model|model.*dataset"):
        run.log_artifact(draft(type="model"))


def test_incremental_adds_to_the_newest_version(run: wandb.Run, data: wandb.Artifact) -> None:
    """An incremental artifact's files are added to those of the newest version, and replace those of the same path."""
    more = wandb.Artifact("data", "dataset", incremental=True)
    for path, text in {"a.txt": "changed", "new.txt": "new"}.items():
        with more.new_file(path) as file:
            file.write(text)
    run.log_artifact(more)

    assert (more.version, more.incremental) == ("v1", False)
    assert tree(more.download()) == {**FILES, "a.txt": "changed", "new.txt": "new"}


def test_incremental_of_a_new_name_is_its_first_version(run: wandb.Run) -> None:
    """With nothing to add to, an incremental artifact is the first version."""
    assert run.log_artifact(draft("fresh", incremental=True)).version == "v0"


def test_delete_asks_for_the_aliases(data: wandb.Artifact) -> None:
    """An alias, latest included, keeps a version from being deleted, unless it may go too."""
    with pytest.raises(CommError, match="alias"):
        data.delete()

    data.delete(delete_aliases=True)
    with pytest.raises(CommError):
        again("p/data:v0")


def test_delete_without_aliases(run: wandb.Run, data: wandb.Artifact) -> None:
    """A version that no alias names is deleted at once."""
    data.aliases.remove("best")
    data.save()
    run.log_artifact(draft(files={"a": "other"}))
    again("data:v0").delete()

    with pytest.raises(CommError):
        again("data:v0")


def test_deleted_latest_falls_back(run: wandb.Run, data: wandb.Artifact) -> None:
    """When the version that latest names goes, latest names the highest that is left."""
    run.log_artifact(draft(files={"a": "other"})).delete(delete_aliases=True)

    assert again("data:latest").version == "v0"


def test_deleted_one_refuses_its_content(data: wandb.Artifact) -> None:
    """The files of a deleted version are not handed out."""
    data.delete(delete_aliases=True)

    with pytest.raises(CommError):
        data.download()


# --- links ---


def test_link_is_the_source_under_another_name(data: wandb.Artifact) -> None:
    """A link has names and a version of its collection, and the id and content of its source."""
    link = data.link("team/registry/Model Shelf", aliases=["prod"])

    assert (link.name, link.qualified_name, link.version) == ("Model Shelf:v0", "team/registry/Model Shelf:v0", "v0")
    assert (link.source_name, link.source_qualified_name, link.source_version) == ("data:v0", "team/p/data:v0", "v0")
    assert (link.id, link.digest, link.is_link, link.type) == (data.id, data.digest, True, "dataset")
    assert (sorted(link.aliases), sorted(again("p/data:v0").aliases)) == (["latest", "prod"], ["best", "latest"])
    assert link.source_artifact.qualified_name == data.qualified_name
    assert link.linked_at


@pytest.mark.parametrize("name", ["wandb-registry-model/My Collection", "model-registry/My Collection"])
def test_registry_is_a_project_with_spaces_in_its_names(
    run: wandb.Run, data: wandb.Artifact, tmp_path: Path, name: str
) -> None:
    """A registry is a project file, and its collections may have spaces in their names."""
    link = data.link(name)

    assert link.name == "My Collection:v0"
    assert (tmp_path / f"{name.partition('/')[0]}.lineage").is_file()
    assert tree(run.use_artifact(f"{name}:latest").download()) == FILES


def test_links_are_found_from_the_source(data: wandb.Artifact) -> None:
    """A version tells the links of its project that stand for it; a link tells none."""
    link = data.link("shelf")

    assert ([one.name for one in data.linked_artifacts], link.linked_artifacts) == (["shelf:v0"], [])


def test_links_are_numbered_in_their_collection(run: wandb.Run, data: wandb.Artifact) -> None:
    """A collection numbers its links, and latest names the newest link."""
    data.link("shelf")
    second = run.log_artifact(draft(files={"a": "other"})).link("shelf")

    assert (second.version, again("shelf:latest").version, again("shelf:latest").source_name) == ("v1", "v1", "data:v1")


def test_link_again_keeps_its_number(data: wandb.Artifact) -> None:
    """The same version linked again keeps its number and gets the aliases."""
    data.link("shelf", ["one"])

    assert (data.link("shelf", ["two"]).version, sorted(again("shelf:v0").aliases)) == ("v0", ["latest", "one", "two"])


def test_aliases_of_a_link_are_its_own(data: wandb.Artifact) -> None:
    """Aliases edited on a link touch its collection alone."""
    link = data.link("shelf", ["one"])
    link.aliases.remove("one")
    link.aliases.append("two")
    link.save()

    assert (sorted(again("shelf:v0").aliases), sorted(again("data:v0").aliases)) == (
        ["latest", "two"],
        ["best", "latest"],
    )


def test_words_of_a_link_are_those_of_its_source(data: wandb.Artifact) -> None:
    """Description, metadata and tags edited on a link are those of what it stands for."""
    link = data.link("shelf")
    link.description, link.metadata, link.tags = "other", {"l": 1}, ["new"]
    link.save()

    found = again("data:v0")
    assert (found.description, found.metadata, found.tags) == ("other", {"l": 1}, ["new"])


def test_link_of_a_draft_logs_it_first(run: wandb.Run) -> None:
    """A draft that is linked is logged before."""
    artifact = draft()
    link = run.link_artifact(artifact, "shelf")

    assert (artifact.name, link.name, link.source_name) == ("data:v0", "shelf:v0", "data:v0")


def test_link_of_a_draft_without_a_run_starts_one() -> None:
    """A draft is linked without a run, too: one is started and finished."""
    link = draft().link("shelf")

    assert (link.name, link.project, wandb.run) == ("shelf:v0", "uncategorized", None)


def test_link_takes_no_version_and_no_bad_alias(data: wandb.Artifact) -> None:
    """A target has no version, and aliases are checked."""
    with pytest.raises(ValueError):
        data.link("shelf:v3")
    with pytest.raises(ValueError, match="Aliases must not contain"):
        data.link("shelf", ["a/b"])


def test_link_into_a_collection_of_another_type_is_refused(run: wandb.Run, data: wandb.Artifact) -> None:
    """A collection holds one type."""
    data.link("shelf")
    with pytest.raises(ValueError, match="type"):
        run.log_artifact(draft("m", type="model")).link("shelf")


def test_link_into_an_artifact_is_refused(run: wandb.Run, data: wandb.Artifact) -> None:
    """A name that versions were logged under is no collection."""
    run.log_artifact(draft("other"))
    with pytest.raises(CommError, match="not a collection"):
        data.link("other")


def test_log_into_a_collection_of_links_is_refused(run: wandb.Run, data: wandb.Artifact) -> None:
    """A name that versions were linked under is no artifact."""
    data.link("shelf")
    with pytest.raises(ValueError, match="collection of links"):
        run.log_artifact(draft("shelf", {"a": "1"}))


@pytest.mark.parametrize("how", ["unlink", "delete"])
def test_unlink_leaves_the_source(data: wandb.Artifact, how: str) -> None:
    """A link that is unlinked or deleted is gone; what it stood for is not."""
    getattr(data.link("shelf", ["good"]), how)()

    assert again("data:v0").state == "COMMITTED"
    with pytest.raises(CommError):
        again("shelf:v0")


def test_unlink_of_a_source_is_refused(data: wandb.Artifact) -> None:
    """What is no link cannot be unlinked."""
    with pytest.raises(ValueError, match="not a linked artifact"):
        data.unlink()


# --- references ---


def test_reference_to_a_file_is_copied(run: wandb.Run, tmp_path: Path) -> None:
    """What a reference points to is copied by a download, and nothing of it is stored."""
    (tmp_path / "big.bin").write_text("content")
    artifact = wandb.Artifact("refs", "dataset")
    artifact.add_reference((tmp_path / "big.bin").as_uri())
    run.log_artifact(artifact)

    assert tree(artifact.download()) == {"big.bin": "content"}
    assert artifact.get_entry("big.bin").ref_target() == (tmp_path / "big.bin").as_uri()


def _referring(run: wandb.Run, tmp_path: Path) -> wandb.Artifact:
    (tmp_path / "x.txt").write_text("content")
    artifact = wandb.Artifact("refs", "dataset")
    artifact.add_reference((tmp_path / "x.txt").as_uri())
    return run.log_artifact(artifact)


def test_reference_to_what_changed_is_refused(run: wandb.Run, tmp_path: Path) -> None:
    """A file that changed since is not taken for the one that was logged."""
    artifact = _referring(run, tmp_path)
    (tmp_path / "x.txt").write_text("changed")

    with pytest.raises(ValueError, match=r"x\.txt"):
        artifact.download()


def test_reference_to_what_is_gone_is_refused(run: wandb.Run, tmp_path: Path) -> None:
    """A file that is gone is an error that names it."""
    artifact = _referring(run, tmp_path)
    (tmp_path / "x.txt").unlink()

    with pytest.raises(ValueError, match=r"x\.txt"):
        artifact.download()


def test_reference_to_what_is_gone_is_passed_over_when_allowed(run: wandb.Run, tmp_path: Path) -> None:
    """With allow_missing_references, the rest is downloaded."""
    artifact = _referring(run, tmp_path).new_draft()
    with artifact.new_file("here.txt") as file:
        file.write("here")
    run.log_artifact(artifact)
    (tmp_path / "x.txt").unlink()

    assert tree(artifact.download(allow_missing_references=True)) == {"here.txt": "here"}


def test_reference_that_nothing_reads_gives_its_uri(run: wandb.Run) -> None:
    """An entry of a scheme that nothing here reads gives the URI untouched."""
    artifact = wandb.Artifact("refs", "dataset")
    artifact.add_reference("ref://bucket/key?x=1", name="r")
    run.log_artifact(artifact)

    assert artifact.get_entry("r").download() == "ref://bucket/key?x=1"


def test_reference_without_checksum_makes_no_version_when_the_file_changes(run: wandb.Run, tmp_path: Path) -> None:
    """Known by its URI alone, a file of the same size that changed is the same; one that moved is not."""
    versions = []
    for name, text in [("x", "one"), ("x", "two"), ("y", "two")]:
        (tmp_path / name).write_text(text)
        artifact = wandb.Artifact("refs", "dataset")
        artifact.add_reference((tmp_path / name).as_uri(), name="x", checksum=False)
        versions.append(run.log_artifact(artifact).version)

    assert versions == ["v0", "v0", "v1"]


@pytest.fixture
def server() -> Iterator[Any]:
    """Return a web server whose one page has a text and an ETag that can be set."""

    class Page(BaseHTTPRequestHandler):
        text, etag = b"hello", '"abc"'

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("ETag", type(self).etag)
            self.send_header("Content-Length", str(len(type(self).text)))
            self.end_headers()
            self.wfile.write(type(self).text)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Page) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        Page.url = f"http://127.0.0.1:{found.server_port}/d/page.html"  # type: ignore[attr-defined]  # told to the test
        yield Page
        found.shutdown()
        thread.join()


def test_reference_to_a_page_is_known_by_its_etag(run: wandb.Run, server: Any) -> None:
    """A page's digest is its ETag without quotes, its size what the server says, and the ETag is kept as it came."""
    artifact = wandb.Artifact("page", "dataset")
    (entry,) = artifact.add_reference(server.url)
    run.log_artifact(artifact)

    assert (entry.path, entry.digest, entry.size, entry.extra) == ("page.html", "abc", 5, {"etag": '"abc"'})
    assert tree(artifact.download()) == {"page.html": "hello"}


def test_reference_to_a_page_that_changed_is_refused(run: wandb.Run, server: Any) -> None:
    """A page with another ETag is not taken for the one that was logged."""
    artifact = wandb.Artifact("page", "dataset")
    artifact.add_reference(server.url)
    run.log_artifact(artifact)
    server.etag = '"other"'

    with pytest.raises(ValueError, match="changed"):
        artifact.download()


def test_reference_to_an_entry_is_resolved_from_its_artifact(run: wandb.Run, data: wandb.Artifact) -> None:
    """An entry of a logged artifact is taken over by reference."""
    artifact = wandb.Artifact("subset", "dataset")
    artifact.add_reference(data.get_entry("d/b.txt"), name="b.txt")
    run.log_artifact(artifact)

    assert tree(artifact.download()) == {"b.txt": "two"}


@pytest.mark.parametrize("add", ["entry", "ref_url"])
def test_reference_to_an_entry_of_another_project(data: wandb.Artifact, add: str) -> None:
    """An entry of another project is taken over, and stays readable when that project is gone."""
    entry = data.get_entry("d/b.txt")
    wandb.teardown()
    with wandb.init(project="other") as run:
        artifact = wandb.Artifact("subset", "dataset")
        artifact.add_reference(entry if add == "entry" else entry.ref_url(), name="b.txt")
        run.log_artifact(artifact)
        if add == "entry":
            Path("p.lineage").unlink()

        assert tree(artifact.download()) == {"b.txt": "two"}


def test_reference_to_an_entry_of_a_draft_is_refused() -> None:
    """A draft's entry has no artifact yet."""
    entry = draft().manifest.entries["a.txt"]

    with pytest.raises((ValueError, ArtifactNotLoggedError)):
        wandb.Artifact("subset", "dataset").add_reference(entry, name="x")


def test_table_of_another_artifact_is_added_again(run: wandb.Run) -> None:
    """A table of one artifact can be added to another: the digests are the same, so its bytes are stored once."""
    first = wandb.Artifact("first", "dataset")
    first.add(wandb.Table(columns=["x"], data=[[1], [2]]), "t")
    run.log_artifact(first)
    second = wandb.Artifact("second", "dataset")
    table = again("first:latest").get("t")
    assert table is not None
    second.add(table, "t")
    run.log_artifact(second)

    assert second.digest == first.digest
    assert getattr(again("second:latest").get("t"), "data", None) == [[1], [2]]


def test_used_by_finds_runs_of_other_projects_beside_it() -> None:
    """Whoever asks who used a version is told of the runs of other projects too."""
    with wandb.init(project="lake", id="maker") as run:
        with (made := wandb.Artifact("raw", "dataset")).new_file("a") as file:
            file.write("1")
        raw = run.log_artifact(made)
    with wandb.init(project="train", id="user") as run:
        run.use_artifact("lake/raw:v0")

    assert [(one.project, one.id) for one in raw.used_by()] == [("train", "user")]


def test_link_into_a_registry_keeps_its_source_until_it_is_unlinked() -> None:
    """The source is in another file, and is kept from deletion and from prune all the same."""
    with wandb.init(project="src") as run:
        with (made := wandb.Artifact("m", "model")).new_file("a") as file:
            file.write("1")
        model = run.log_artifact(made)
        link = run.link_artifact(model, "wandb-registry-model/Prod", aliases=["production"])
        with (newer := wandb.Artifact("m", "model")).new_file("a") as file:
            file.write("2")
        run.log_artifact(newer)
    project = lineage.open("src.lineage")

    with pytest.raises(CommError, match="wandb-registry-model/Prod"):
        wandb.Api().artifact("src/m:v0").delete()
    assert project.prune(keep_last=1).versions == ()
    link.unlink()
    assert project.prune(keep_last=1).versions == ("m:v0",)
