"""What a run of lineage.wandb does: artifacts in and out, files, steps, modes, resuming, and how it ends."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from invariants import assert_store_sound

import lineage
from lineage import wandb
from lineage.wandb.errors import CommError, UnsupportedError, UsageError


@pytest.fixture(autouse=True)
def _no_run_left() -> Iterator[None]:
    """End each test with no run active."""
    yield
    wandb.teardown()


@pytest.fixture
def run() -> wandb.Run:
    """Return a run of project p, active until the test ends."""
    return wandb.init(project="p", entity="team", id="run1")


def draft(name: str = "data", text: str = "one", type: str = "dataset") -> wandb.Artifact:
    artifact = wandb.Artifact(name, type)
    with artifact.new_file("a.txt") as file:
        file.write(text)
    return artifact


def stored(run_id: str, project: str = "p") -> lineage.Run:
    """Return a run as the project has it."""
    return lineage.open(f"{project}.lineage", create=False).run(run_id)


def inputs(run_id: str = "run1", project: str = "p") -> list[str]:
    return [version.reference for version in stored(run_id, project).used_artifacts()]


def outputs(run_id: str = "run1", project: str = "p") -> list[str]:
    return [version.reference for version in stored(run_id, project).logged_artifacts()]


def tree(folder: str | Path) -> dict[str, str]:
    root = Path(folder)
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}


def program(text: str, *arguments: str, wait: bool = True, **environment: str) -> subprocess.Popen[str]:
    """Run a script in a process of its own, in the folder of the test."""
    Path("script.py").write_text(text, "utf-8")
    process = subprocess.Popen(
        [sys.executable, "script.py", *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if wait:
        out, err = process.communicate(timeout=120)
        process.told = out + err  # type: ignore[attr-defined]  # for the test
    return process


# --- log_artifact ---


def test_log_artifact_records_an_output(run: wandb.Run) -> None:
    """A logged artifact is an output of its run."""
    run.log_artifact(draft())

    assert outputs() == ["data:v0"]


def test_log_artifact_of_a_file(run: wandb.Run) -> None:
    """A file becomes an artifact of type unspecified, named by the run and the file."""
    Path("my file.txt").write_text("x")
    artifact = run.log_artifact("my file.txt")

    assert (artifact.name, artifact.type, sorted(artifact.manifest.entries)) == (
        "run-run1-my_file.txt:v0",
        "unspecified",
        ["my file.txt"],
    )


def test_log_artifact_of_a_folder(run: wandb.Run) -> None:
    """A folder becomes an artifact of the files below it; a Path is a path."""
    Path("d/e").mkdir(parents=True)
    Path("d/e/x").write_text("x")
    artifact = run.log_artifact(Path("d"), name="folder", type="dataset", aliases=["best"], tags=["t"])

    told = (artifact.name, artifact.type, sorted(artifact.manifest.entries), sorted(artifact.aliases), artifact.tags)
    assert told == ("folder:v0", "dataset", ["e/x"], ["best", "latest"], ["t"])


def test_log_artifact_of_a_uri(run: wandb.Run) -> None:
    """A URI becomes an artifact with a reference."""
    artifact = run.log_artifact("s3://bucket/key.txt", name="remote")

    assert [(entry.path, entry.ref) for entry in artifact.manifest.entries.values()] == [
        ("key.txt", "s3://bucket/key.txt")
    ]


def test_log_artifact_unites_latest_with_the_aliases(run: wandb.Run) -> None:
    """Whatever aliases are given, latest is one of them."""
    assert sorted(run.log_artifact(draft(), aliases=["a", "b"]).aliases) == ["a", "b", "latest"]


def test_log_artifact_moves_an_alias(run: wandb.Run) -> None:
    """An alias that an older version has goes to the new one."""
    run.log_artifact(draft(), aliases=["best"])
    run.log_artifact(draft(text="two"), aliases=["best"])

    assert run.use_artifact("data:best").version == "v1"


def test_log_artifact_of_another_type_is_refused(run: wandb.Run) -> None:
    """A name has one type; the message names both, and nothing is logged."""
    run.log_artifact(draft())
    with pytest.raises(ValueError, match="'dataset'.*'model'|'model'.*'dataset'"):
        run.log_artifact(draft(text="two", type="model"))

    assert outputs() == ["data:v0"]


def test_log_artifact_again_from_another_run_reproduces(run: wandb.Run) -> None:
    """The same content from another run is the same version, which the run is noted as having reproduced."""
    run.log_artifact(draft())
    run.finish()
    with wandb.init(project="p", id="run2") as second:
        artifact = second.log_artifact(draft())

    assert (artifact.version, outputs("run2"), [one.reference for one in stored("run2").reproduced()]) == (
        "v0",
        [],
        ["data:v0"],
    )


def test_log_artifact_takes_an_edited_description(run: wandb.Run) -> None:
    """What was said of a draft until it is logged is logged."""
    artifact = draft()
    artifact.description, artifact.metadata = "words", {"k": 1}
    run.log_artifact(artifact)

    found = run.use_artifact("data:latest")
    assert (found.description, found.metadata) == ("words", {"k": 1})


# --- use_artifact ---


@pytest.mark.parametrize(
    "name",
    [
        "data",
        "data:latest",
        "data:v0",
        "data:best",
        "p/data:v0",
        "anyone/p/data:best",
        "wandb-artifact://team/p/data:v0",
    ],
)
def test_use_artifact_by_name(run: wandb.Run, name: str) -> None:
    """A name with or without alias, project and entity finds the version; no alias means latest."""
    run.log_artifact(draft(), aliases=["best"])
    run.finish()
    with wandb.init(project="p", id="run2") as second:
        assert second.use_artifact(name).name == "data:v0"

    assert inputs("run2") == ["data:v0"]


def test_use_artifact_again_changes_nothing(run: wandb.Run) -> None:
    """An input is recorded once, however often it is used."""
    lineage.open("p.lineage").log_artifact(_plain())
    run.use_artifact("plain:v0")
    run.use_artifact("plain:latest")

    assert inputs() == ["plain:v0"]


def _plain(name: str = "plain") -> lineage.Artifact:
    artifact = lineage.Artifact(name, "dataset")
    with artifact.new_file("a.txt") as file:
        file.write("plain")
    return artifact


def test_use_artifact_checks_the_type(run: wandb.Run) -> None:
    """An artifact of another type than was asked for is refused, and not recorded."""
    lineage.open("p.lineage").log_artifact(_plain())
    with pytest.raises(ValueError, match="Supplied type model does not match type dataset"):
        run.use_artifact("plain:latest", type="model")

    assert (inputs(), run.use_artifact("plain:latest", type="dataset").name) == ([], "plain:v0")


@pytest.mark.parametrize("name", ["none:latest", "plain:none", "plain:v7", "nowhere/plain:latest", "a/b/c:v0"])
def test_use_artifact_that_is_not_there(run: wandb.Run, name: str) -> None:
    """What is not there is a CommError that says not found."""
    lineage.open("p.lineage").log_artifact(_plain())
    with pytest.raises(CommError, match="not found"):
        run.use_artifact(name)


def test_use_artifact_by_digest_is_refused(run: wandb.Run) -> None:
    """A digest in the place of an alias is not taken, as in W&B."""
    version = lineage.open("p.lineage").log_artifact(_plain())
    for name in (f"plain:{version.digest}", f"plain@{version.digest}"):
        with pytest.raises(CommError):
            run.use_artifact(name)


@pytest.mark.parametrize("wrong", [3, None, ["plain:v0"]])
def test_use_artifact_of_nothing_that_names_one(run: wandb.Run, wrong: Any) -> None:
    """Neither name nor artifact is a ValueError that says what to give."""
    with pytest.raises(ValueError, match="You must pass an artifact name"):
        run.use_artifact(wrong)


def test_use_artifact_with_too_many_slashes_is_refused(run: wandb.Run) -> None:
    """A path has three parts at most."""
    with pytest.raises(ValueError, match="Invalid artifact path"):
        run.use_artifact("a/b/c/d:v0")


def test_use_artifact_of_a_draft_logs_it_without_a_producer(run: wandb.Run) -> None:
    """A draft that is used is logged first, by nobody, with the aliases that were given."""
    artifact = run.use_artifact(draft(), aliases=["raw"])

    assert (artifact.name, sorted(artifact.aliases), artifact.logged_by()) == ("data:v0", ["latest", "raw"], None)
    assert (inputs(), outputs()) == (["data:v0"], [])


def test_use_artifact_of_a_logged_object(run: wandb.Run) -> None:
    """An artifact that was fetched can be used by another run."""
    artifact = run.log_artifact(draft())
    run.finish()
    with wandb.init(project="p", id="run2") as second:
        assert second.use_artifact(artifact) is artifact

    assert inputs("run2") == ["data:v0"]


def test_use_artifact_of_its_own_output_makes_no_edge(run: wandb.Run) -> None:
    """A run that uses what it logged gets it, and is not upstream of itself."""
    run.log_artifact(draft())

    assert (run.use_artifact("data:latest").name, inputs()) == ("data:v0", [])


def test_use_artifact_that_would_close_a_cycle(run: wandb.Run) -> None:
    """What was made out of the run's output cannot be its input."""
    run.log_artifact(draft())
    other = wandb.init(project="p", id="run2", reinit="create_new")
    other.use_artifact("data:latest")
    other.log_artifact(draft("result"))

    with pytest.raises(lineage.CycleError):
        run.use_artifact("result:latest")


def test_use_artifact_remembers_what_it_is_used_as(run: wandb.Run) -> None:
    """What the run uses an artifact as is kept with the edge."""
    lineage.open("p.lineage").log_artifact(_plain())
    assert run.use_artifact("plain:latest", use_as="train").use_as == "train"
    assert list(stored("run1").used_as().values()) == ["train"]


def test_use_artifact_that_was_deleted(run: wandb.Run) -> None:
    """A deleted version is not found by name, and not used as an object."""
    artifact = run.log_artifact(draft())
    artifact.delete(delete_aliases=True)
    with pytest.raises(CommError):
        run.use_artifact("data:v0")
    with pytest.raises(CommError):
        run.use_artifact(artifact)


def test_use_artifact_of_another_project(run: wandb.Run) -> None:
    """An artifact of another project is used by its path; its node is kept in the run's project."""
    lineage.open("source.lineage").log_artifact(_plain())
    artifact = run.use_artifact("team/source/plain:latest")

    assert (artifact.project, artifact.qualified_name) == ("source", "team/source/plain:v0")
    assert tree(artifact.download()) == {"a.txt": "plain"}
    assert [version.uid for version in stored("run1").used_artifacts()] == [artifact.id]


def test_use_artifact_through_a_link_uses_the_source(run: wandb.Run) -> None:
    """A run that uses a link has the version behind it as its input."""
    artifact = run.log_artifact(draft())
    artifact.link("team/wandb-registry-data/Good Data", ["prod"])
    run.finish()
    with wandb.init(project="p", id="run2") as second:
        used = second.use_artifact("wandb-registry-data/Good Data:prod")

    assert (used.is_link, used.source_name, inputs("run2")) == (True, "data:v0", ["data:v0"])


# --- artifacts of several runs ---


@pytest.mark.parametrize("verb", ["upsert_artifact", "finish_artifact"])
def test_distributed_artifact_needs_a_group_or_id(run: wandb.Run, verb: str) -> None:
    """Without a group and without an id, nobody knows which parts belong together."""
    with pytest.raises(TypeError, match="unless run is in a group or distributed_id is provided"):
        getattr(run, verb)(draft())


PART = """
import sys
import lineage.wandb as wandb
with wandb.init(project="p", group="job", id=f"part{sys.argv[1]}") as run:
    artifact = wandb.Artifact("joined", "dataset", metadata={sys.argv[1]: True})
    with artifact.new_file(f"{sys.argv[1]}.txt") as file:
        file.write(sys.argv[1])
    run.upsert_artifact(artifact)
"""


def test_distributed_artifact_of_two_processes() -> None:
    """Parts that two processes upsert become one version when a third run finishes it."""
    workers = [program(PART, number, wait=False) for number in ("1", "2")]
    assert [worker.wait(120) for worker in workers] == [0, 0]
    for worker in workers:
        worker.communicate()
    with wandb.init(project="p", group="job", id="last") as run:
        artifact = run.finish_artifact(wandb.Artifact("joined", "dataset"), aliases=["whole"])

    assert (artifact.version, sorted(artifact.aliases), artifact.metadata) == (
        "v0",
        ["latest", "whole"],
        {"1": True, "2": True},
    )
    assert tree(artifact.download()) == {"1.txt": "1", "2.txt": "2"}
    found = {node.label for node in lineage.open("p.lineage").version("joined:v0").ancestors(kind="run")}
    assert len(found) == 3
    assert_store_sound(lineage.open("p.lineage"))


def test_distributed_parts_that_disagree_make_nothing() -> None:
    """Two parts with other content at one path are refused, and no version is made."""
    for text in ("one", "two"):
        with wandb.init(project="p") as run:
            run.upsert_artifact(draft("joined", text), distributed_id="x")
    with wandb.init(project="p") as run, pytest.raises(ValueError):
        run.finish_artifact(wandb.Artifact("joined", "dataset"), distributed_id="x")

    assert [record.name for record in lineage.open("p.lineage").artifacts()] == ["joined.part"]


# --- models ---


def test_log_model_and_use_model(run: wandb.Run) -> None:
    """A model is logged by its path and used by its name; a single file comes back as its path."""
    Path("m.pt").write_text("weights")
    run.log_model("m.pt", "convnet", aliases=["best"])
    run.log_model("m.pt")

    assert outputs() == ["convnet:v0", "run-run1-m.pt:v0"]
    path = run.use_model("convnet:best")
    assert (Path(path).name, Path(path).read_text()) == ("m.pt", "weights")
    assert run.use_model("convnet") == path


def test_use_model_of_a_folder_gives_the_folder(run: wandb.Run) -> None:
    """A model of several files comes back as its folder."""
    Path("m").mkdir()
    for name in ("a", "b"):
        Path("m", name).write_text(name)
    run.log_model("m", "convnet")

    assert tree(run.use_model("convnet:latest")) == {"a": "a", "b": "b"}


def test_use_model_of_no_model_is_refused(run: wandb.Run) -> None:
    """An artifact whose type does not speak of a model is no model; one that does is."""
    run.log_artifact(draft())
    run.log_artifact(draft("fine", type="my-Model-type"))

    with pytest.raises(AssertionError, match="You can only use this method for 'model' artifacts"):
        run.use_model("data:latest")
    assert Path(run.use_model("fine:latest")).read_text() == "one"


def test_link_model_puts_it_into_the_registry(run: wandb.Run) -> None:
    """A model is logged and linked into a collection of the project model-registry."""
    Path("m.pt").write_text("weights")
    link = run.link_model("m.pt", "My Models", name="convnet", aliases=["prod"])

    assert link is not None
    assert (link.qualified_name, sorted(link.aliases), link.source_name) == (
        "team/model-registry/My Models:v0",
        ["latest", "prod"],
        "convnet:v0",
    )
    assert outputs() == ["convnet:v0"]


def test_link_model_to_a_name_of_another_type_is_refused(run: wandb.Run) -> None:
    """The artifact of the name must be a model."""
    Path("m.pt").write_text("weights")
    run.log_artifact(draft())
    with pytest.raises(AssertionError, match="'model' artifacts"):
        run.link_model("m.pt", "models", name="data")


# --- metrics and media ---


def history(run_id: str = "run1") -> list[tuple[int, dict[str, Any]]]:
    return [(row.step, dict(row.values)) for row in stored(run_id).history()]


def test_log_keeps_rows_by_step(run: wandb.Run) -> None:
    """Each log is a row of the next step; what is logged without commit joins the next."""
    run.log({"a": 1}, commit=False)
    run.log({"b": 2})
    run.log({"a": 3, "n": {"x": 1.5}})
    run.log({"a": 4}, step=7)
    run.log({"late": 5}, step=3)
    run.finish()

    assert history() == [(0, {"a": 1, "b": 2}), (1, {"a": 3, "n.x": 1.5}), (7, {"a": 4})]


def test_log_of_nan_keeps_the_row(run: wandb.Run) -> None:
    """NaN and infinities are metrics; the summary, which is JSON, has None for them."""
    run.log({"loss": float("nan"), "other": float("inf")})
    run.finish()
    ((_, row),) = history()

    assert (str(row["loss"]), row["other"]) == ("nan", float("inf"))
    assert (stored("run1").summary["loss"], stored("run1").summary["other"]) == (None, None)


def test_log_of_a_table_is_an_artifact_of_the_run(run: wandb.Run) -> None:
    """A table that is logged is an output of the run, from which it is read back by its key."""
    run.log({"val/predictions": wandb.Table(columns=["a"], data=[[1], [2]])})
    (name,) = outputs()

    found = run.use_artifact(name)
    assert (found.type, getattr(found.get("val_predictions"), "data", None)) == ("run_table", [[1], [2]])
    assert run.summary["val/predictions"]["artifact"] == name


def test_log_of_images_keeps_them(run: wandb.Run) -> None:
    """An image, and a list of images, are kept with the step."""
    np = pytest.importorskip("numpy")
    image = wandb.Image(np.zeros((2, 2), np.uint8), caption="black")
    run.log({"one": image, "many": [image, image]})

    assert run.summary["many"]["count"] == 2
    assert len(outputs()) == 2


def test_log_from_threads_loses_nothing(run: wandb.Run) -> None:
    """Threads that log at once lose no row."""

    def work(number: int) -> None:
        for _ in range(50):
            run.log({f"m{number}": 1})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.finish()

    assert (run.step, sum(len(values) for _, values in history())) == (400, 400)


def test_artifacts_logged_from_threads_are_all_there(run: wandb.Run) -> None:
    """Threads that log artifacts at once make as many versions."""

    def work(number: int) -> None:
        run.log_artifact(draft(text=str(number)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outputs()) == [f"data:v{number}" for number in range(8)]


# --- files ---


def test_save_keeps_files_and_restore_brings_them_back(run: wandb.Run) -> None:
    """A file that was saved is brought back by another run."""
    Path("model.txt").write_text("weights")
    assert run.save("model.txt") == ["model.txt"]
    run.finish()
    Path("model.txt").unlink()
    with wandb.init(project="p") as second:
        restored = second.restore("model.txt", run_path="team/p/run1", root="back")
        assert restored is not None
        with restored:
            assert (restored.read(), restored.name) == ("weights", "back/model.txt")


def test_restore_of_its_own_file(run: wandb.Run) -> None:
    """A run brings back what it saved itself, and writes over it only when told."""
    Path("x.txt").write_text("one")
    run.save("x.txt", policy="now")
    for root in ("r", "r"):
        restored = run.restore("x.txt", root=root)
        assert restored is not None
        restored.close()
    Path("r/x.txt").chmod(0o644)
    Path("r/x.txt").write_text("mine")
    kept = run.restore("x.txt", root="r")
    assert kept is not None
    with kept:
        assert kept.read() == "mine"
    replaced = run.restore("x.txt", root="r", replace=True)
    assert replaced is not None
    with replaced:
        assert replaced.read() == "one"


def test_restore_of_nothing(run: wandb.Run) -> None:
    """A file that no run saved is a ValueError that names it."""
    with pytest.raises(ValueError, match=r"File none\.txt not found"):
        run.restore("none.txt")
    with pytest.raises(ValueError, match=r"File none\.txt not found"):
        run.restore("none.txt", run_path="team/p/none")


def test_save_names_files_from_the_base(run: wandb.Run) -> None:
    """A pattern finds files; their names begin at the base."""
    Path("ck/deep").mkdir(parents=True)
    for name in ("a.pt", "b.pt", "deep/c.pt"):
        Path("ck", name).write_text(name)
    run.save("ck/**/*.pt", base_path="ck", policy="now")

    assert sorted(run.use_artifact("run-run1-files:latest").manifest.entries) == ["a.pt", "b.pt", "deep/c.pt"]


def test_save_live_takes_the_file_as_it_is_at_the_end(run: wandb.Run) -> None:
    """Policies live and end save a file once more when the run finishes."""
    for policy in ("live", "end", "now"):
        Path(policy).write_text("early")
        run.save(policy, policy=policy)
        Path(policy).write_text("late")
    run.finish()

    folder = lineage.open("p.lineage").version("run-run1-files:latest").download("out")
    assert tree(folder) == {"live": "late", "end": "late", "now": "early"}


def test_files_in_the_runs_folder_are_saved_at_the_end(run: wandb.Run) -> None:
    """What lies in run.dir when the run finishes is saved."""
    Path(run.dir, "notes").mkdir()
    Path(run.dir, "notes", "x.txt").write_text("hello")
    run.finish()

    folder = lineage.open("p.lineage").version("run-run1-files:latest").download("out")
    assert tree(folder) == {"notes/x.txt": "hello"}


def test_run_without_files_leaves_no_folder(run: wandb.Run, tmp_path: Path) -> None:
    """A run whose folder nobody asked for makes none."""
    run.log({"a": 1})
    run.finish()

    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("p.")) == []


def test_log_code_keeps_sources(run: wandb.Run) -> None:
    """Source files become an artifact of type code; others do not."""
    Path("src").mkdir()
    for name in ("a.py", "b.ipynb", "c.sh", "d.txt"):
        Path("src", name).write_text(name)
    artifact = run.log_code("src")

    assert artifact is not None
    assert (artifact.type, sorted(artifact.manifest.entries)) == ("code", ["a.py", "b.ipynb", "c.sh"])


def test_log_code_asks_the_callers_functions(run: wandb.Run) -> None:
    """Functions of a path, or of a path and the root, say what is source and what is not."""
    Path("src/old").mkdir(parents=True)
    for name in ("a.py", "d.txt", "old/e.py"):
        Path("src", name).write_text(name)
    artifact = run.log_code(
        "src",
        name="mine",
        include_fn=lambda path: path.endswith((".py", ".txt")),
        exclude_fn=lambda path, root: os.path.relpath(path, root).startswith("old"),
    )

    assert artifact is not None
    assert (artifact.name, sorted(artifact.manifest.entries)) == ("mine:v0", ["a.py", "d.txt"])
    assert run.log_code("src", include_fn=lambda path: False) is None


# --- init ---


def test_init_keeps_what_it_is_told() -> None:
    """All that init is told of a run is in the project."""
    wandb.init(
        project="p",
        id="x",
        name="first",
        notes="words",
        tags=["a", "b"],
        config={"lr": 0.1},
        group="g",
        job_type="train",
    ).finish()
    run = stored("x")

    told = (run.name, run.notes, sorted(run.tags), run.config, run.group, run.job_type, run.status)
    assert told == ("first", "words", ["a", "b"], {"lr": 0.1}, "g", "train", "finished")


def test_init_without_a_project_is_uncategorized(tmp_path: Path) -> None:
    """The project of a run that names none is uncategorized."""
    assert wandb.init().project == "uncategorized"
    assert (tmp_path / "uncategorized.lineage").is_file()


def test_init_listens_to_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What arguments do not say the environment may."""
    told = {
        "PROJECT": "envp", "ENTITY": "envteam", "DIR": str(tmp_path / "sub"), "RUN_ID": "envid", "NAME": "envname",
        "NOTES": "envnotes", "TAGS": "a,b", "RUN_GROUP": "envgroup", "JOB_TYPE": "envjob",
    }  # fmt: skip
    for name, value in told.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    run = wandb.init()

    assert (tmp_path / "sub" / "envp.lineage").is_file()
    assert (run.path, run.name, run.notes, sorted(run.tags), run.group, run.job_type) == (
        "envteam/envp/envid",
        "envname",
        "envnotes",
        ["a", "b"],
        "envgroup",
        "envjob",
    )


def test_init_arguments_come_before_settings_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """An argument wins over settings, and settings over the environment."""
    monkeypatch.setenv("WANDB_PROJECT", "envp")
    monkeypatch.setenv("WANDB_RUN_GROUP", "envgroup")
    monkeypatch.setenv("WANDB_NAME", "envname")
    run = wandb.init(project="argp", settings=wandb.Settings(project="setp", run_group="setgroup"))

    assert (run.project, run.group, run.name) == ("argp", "setgroup", "envname")


@pytest.mark.parametrize("mode", ["online", "offline", "shared", "dryrun"])
def test_init_modes_all_keep_the_run(mode: str) -> None:
    """Whatever the mode, but disabled, the run is in the project file."""
    wandb.init(project="p", id="x", mode=mode).finish()

    assert stored("x").status == "finished"


@pytest.mark.parametrize("how", ["argument", "WANDB_MODE", "WANDB_DISABLED"])
def test_init_disabled_leaves_nothing_behind(how: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A disabled run does all that a run does and leaves no file."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    if how != "argument":
        monkeypatch.setenv(how, "disabled" if how == "WANDB_MODE" else "true")
    with wandb.init(project="p", mode="disabled" if how == "argument" else None, config={"lr": 1}) as run:
        run.log({"a": 1})
        artifact = run.log_artifact(draft())
        assert (run.disabled, run.step, run.summary["a"], artifact.version, run.project) == (True, 1, 1, "v0", "p")

    assert [path.name for path in tmp_path.rglob("*.lineage*")] == []


def test_init_disabled_uses_artifacts_of_the_real_project(run: wandb.Run) -> None:
    """A disabled run reads what is there and records nothing."""
    run.log_artifact(draft())
    run.finish()
    with wandb.init(project="p", mode="disabled", id="ghost") as ghost:
        assert tree(ghost.use_artifact("data:latest").download()) == {"a.txt": "one"}

    assert [one.id for one in lineage.open("p.lineage").runs()] == ["run1"]


@pytest.mark.parametrize("word", ["fork_from", "resume_from"])
def test_init_refuses_to_rewind(word: str) -> None:
    """A run is never rewound; the message says what to do."""
    with pytest.raises(UnsupportedError, match="use_artifact"):
        wandb.init(project="p", **{word: "run1?_step=3"})  # type: ignore[arg-type]  # one of two texts


def test_init_again_returns_the_active_run(run: wandb.Run) -> None:
    """A second init gives the run that is active, by default and when told so."""
    assert wandb.init(project="other") is run
    assert wandb.init(reinit="return_previous") is run


@pytest.mark.parametrize("reinit", [True, "finish_previous"])
def test_init_finishes_the_previous_when_told(run: wandb.Run, reinit: bool | str) -> None:
    """With reinit, the active run is finished and another begins."""
    second = wandb.init(project="p", reinit=reinit)

    assert (second is run, wandb.run is second, stored("run1").status) == (False, True, "finished")


def test_init_creates_a_run_beside_the_active_one(run: wandb.Run) -> None:
    """Two runs at once keep their own steps, and the module follows the first."""
    second = wandb.init(project="p", id="run2", reinit="create_new")
    second.log({"a": 1})
    second.log({"a": 2})
    wandb.log({"a": 3})
    second.finish()

    assert (wandb.run is run, run.step, second.step, stored("run2").summary["a"]) == (True, 1, 2, 2)


def test_init_of_several_projects_in_one_program(tmp_path: Path) -> None:
    """One program may write several projects, one after the other."""
    for project in ("one", "two"):
        with wandb.init(project=project, id="x") as run:
            run.log_artifact(draft(text=project))

    for project in ("one", "two"):
        assert lineage.open(f"{project}.lineage").version("data:v0").open("a.txt").read() == project.encode()


# --- resuming ---


def test_resume_never_refuses_a_known_id(run: wandb.Run) -> None:
    """An id that is taken is refused, by default and when told never."""
    run.finish()
    for resume in (None, "never"):
        with pytest.raises(UsageError, match="run1"):
            wandb.init(project="p", id="run1", resume=resume)


def test_resume_must_refuses_an_unknown_id() -> None:
    """A run that must be resumed has to be there."""
    with pytest.raises(UsageError, match="unknown"):
        wandb.init(project="p", id="unknown", resume="must")


@pytest.mark.parametrize("resume", ["allow", "must"])
def test_resume_goes_on(run: wandb.Run, resume: str) -> None:
    """A resumed run goes on at its next step, with its config and summary."""
    run.config.update({"lr": 0.1})
    run.log({"a": 1})
    run.finish()
    second = wandb.init(project="p", id="run1", resume=resume, config={"more": 2})
    told = (
        second.resumed,
        second.step,
        second.starting_step,
        second.config["lr"],
        second.config["more"],
        second.summary["a"],
    )
    second.log({"a": 2})
    second.finish()

    assert told == (True, 1, 1, 0.1, 2, 1)
    assert history() == [(0, {"a": 1}), (1, {"a": 2})]


def test_resume_allow_begins_where_nothing_is() -> None:
    """A run that may be resumed and is not there begins."""
    run = wandb.init(project="p", id="new", resume="allow")

    assert (run.id, run.resumed) == ("new", False)


INTERRUPTED = """
import os
import lineage.wandb as wandb
run = wandb.init(project="p", resume=True)
run.log({"a": 1})
run._run.flush()
os._exit(1)
"""


def test_resume_auto_goes_on_with_the_run_that_broke_off() -> None:
    """With resume=True, the next start goes on with the run that did not finish, and the one after begins anew."""
    assert program(INTERRUPTED).returncode == 1
    (broken,) = lineage.open("p.lineage").runs()
    with wandb.init(project="p", resume=True) as run:
        assert (run.id, run.resumed, run.step) == (broken.id, True, 1)
    with wandb.init(project="p", resume="auto") as fresh:
        assert (fresh.id == broken.id, fresh.resumed) == (False, False)


# --- the end ---


def test_context_finishes(run: wandb.Run) -> None:
    """A block that ends well finishes the run."""
    with run:
        pass

    assert (stored("run1").status, stored("run1").record.exit_code, wandb.run) == ("finished", 0, None)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ValueError("no"), "failed", 1),
        (KeyboardInterrupt(), "killed", 1),
        (SystemExit(3), "failed", 1),
        (SystemExit(0), "finished", 0),
        (SystemExit(), "finished", 0),
    ],
    ids=["exception", "interrupt", "exit 3", "exit 0", "exit"],
)
def test_context_that_an_exception_ends(run: wandb.Run, error: BaseException, status: str, code: int) -> None:
    """A block that an exception ends fails the run, or kills it, by the exception's kind."""
    with pytest.raises(type(error)), run:
        raise error

    assert (stored("run1").status, stored("run1").record.exit_code) == (status, code)


@pytest.mark.parametrize(
    ("code", "status"), [(None, "finished"), (0, "finished"), (1, "failed"), (7, "failed"), (255, "killed")]
)
def test_finish_with_an_exit_code(run: wandb.Run, code: int | None, status: str) -> None:
    """An exit code other than 0 says that the run failed; a second finish changes nothing."""
    run.finish(code)
    run.finish(0)

    assert stored("run1").status == status


ENDINGS = {
    "normally": ("", "finished", 0),
    "by finish": ("run.finish()", "finished", 0),
    "by an exception": ("raise ValueError('no')", "failed", 1),
    "by sys.exit(3)": ("sys.exit(3)", "failed", 3),
    "by sys.exit(0)": ("sys.exit(0)", "finished", 0),
    "by sys.exit()": ("sys.exit()", "finished", 0),
    "by sys.exit(text)": ("sys.exit('message')", "failed", 1),
    "by an interrupt": ("raise KeyboardInterrupt", "killed", 255),
    "by a signal": ("os.kill(os.getpid(), signal.SIGINT)", "killed", 255),
    "by os._exit": ("os._exit(0)", "crashed", None),
    "by SIGKILL": ("os.kill(os.getpid(), signal.SIGKILL)", "crashed", None),
}


@pytest.mark.parametrize(("ending", "status", "code"), list(ENDINGS.values()), ids=list(ENDINGS))
def test_script_that_ends(ending: str, status: str, code: int | None) -> None:
    """How a script ends is how its run ends, without a finish."""
    start = "import os, signal, sys\nimport lineage.wandb as wandb\nrun = wandb.init(project='p', id='x')\n"
    program(start + ending)

    assert (stored("x").status, stored("x").record.exit_code) == (status, code)


@pytest.mark.parametrize(
    ("ending", "status"),
    [("raise SystemExit(4)", "finished"), ("try:\n    sys.exit(3)\nexcept SystemExit:\n    pass", "failed")],
    ids=["raised", "caught"],
)
def test_script_whose_exit_is_not_seen(ending: str, status: str) -> None:
    """No hook sees a SystemExit that is raised by hand, nor that one was caught: a run is as with W&B."""
    program(f"import sys\nimport lineage.wandb as wandb\nrun = wandb.init(project='p', id='x')\n{ending}")

    assert stored("x").status == status


def test_script_that_ends_keeps_its_metrics() -> None:
    """What a script logged is there though it never finished its run."""
    program(
        "import lineage.wandb as wandb\nwandb.init(project='p', id='x')\nfor step in range(5): wandb.log({'a': step})\n"
    )

    assert [values["a"] for _, values in history("x")] == [0, 1, 2, 3, 4]


FORKED = """
import os, sys
import lineage.wandb as wandb
run = wandb.init(project="p", id="parent")
run.log({"a": 1})
child = os.fork()
if child == 0:
    if sys.argv[1] == "own":
        inner = wandb.init(project="p", id="child")
        inner.log({"b": 1})
        inner.finish()
    sys.exit(0)
os.waitpid(child, 0)
run.log({"a": 2})
"""


@pytest.mark.parametrize("what", ["own", "nothing"])
def test_forked_child_leaves_the_parents_run_alone(what: str) -> None:
    """A child that ends, with a run of its own or none, does not end the run of its parent."""
    process = program(FORKED, what)

    assert (process.returncode, stored("parent").status, len(history("parent"))) == (0, "finished", 2)
    if what == "own":
        assert (stored("child").status, stored("child").summary["b"]) == ("finished", 1)
    assert_store_sound(lineage.open("p.lineage"))


WAITING = """
import threading
import lineage.wandb as wandb
run = wandb.init(project="p", id="x")
print("up", flush=True)
threading.Event().wait()
"""


def test_interrupted_program_is_killed() -> None:
    """A program that is interrupted from outside leaves a run that was killed."""
    process = program(WAITING, wait=False)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)

    assert stored("x").status == "killed"


def test_silence_is_kept() -> None:
    """WANDB_SILENT lets a script print its own output and nothing else."""
    text = "import lineage.wandb as wandb\nwith wandb.init(project='p') as run: print('mine')\n"
    loud, silent = program(text), program(text, WANDB_SILENT="true")

    assert silent.told == "mine\n"  # type: ignore[attr-defined]  # told by `program`
    assert "lineage: run" in loud.told  # type: ignore[attr-defined]  # told by `program`


# --- scripts as they are found ---


def test_found_trainer_of_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The calls that a transformers.Trainer makes are taken, and what they say is kept."""
    monkeypatch.setenv("WANDB_PROJECT", "p")
    arguments = {"learning_rate": 5e-5, "label_names": None, "output_dir": "out", "report_to": ["wandb"]}
    if wandb.run is None:
        wandb.init(project=os.environ["WANDB_PROJECT"], id="hf", name="out")
    wandb.config.update(arguments, allow_val_change=True)
    wandb.define_metric("train/global_step")
    wandb.define_metric("*", step_metric="train/global_step", step_sync=True)
    wandb.watch(None, log="gradients", log_freq=100)
    wandb.run._label(code="transformers_trainer")
    wandb.config["model/num_parameters"] = 123
    for step in range(3):
        wandb.log({"train/loss": 1 / (step + 1), "train/global_step": step})
    wandb.run.summary["train/total_flos"] = 1e9
    numbers = {
        key: value
        for key, value in dict(wandb.summary).items()
        if isinstance(value, int | float) and not key.startswith("_")
    }
    model = wandb.Artifact(name=f"model-{wandb.run.id}", type="model", metadata={**numbers, "final_model": True})
    with model.new_file("config.json", mode="wb") as file:
        file.write(b"{}")
    wandb.run.log_artifact(model, aliases=["checkpoint-3"])
    wandb.finish()

    run = stored("hf")
    assert (run.config["model/num_parameters"], run.config["learning_rate"]) == (123, 5e-5)
    assert (run.summary["train/loss"], run.summary["train/total_flos"]) == (1 / 3, 1e9)
    assert outputs("hf") == ["model-hf:v0"]


def test_found_logger_of_lightning() -> None:
    """The calls that Lightning's WandbLogger makes are taken, and what they say is kept."""
    from lineage.wandb.sdk.lib import RunDisabled

    given: dict[str, Any] = {
        "name": "fit",
        "project": "p",
        "dir": ".",
        "id": "pl",
        "resume": "allow",
        "anonymous": None,
    }
    wandb.require("service")
    experiment = wandb.init(**given)
    if isinstance(experiment, wandb.Run | RunDisabled) and getattr(experiment, "define_metric", None):
        experiment.define_metric("trainer/global_step")
        experiment.define_metric("*", step_metric="trainer/global_step", step_sync=True)
    experiment.config.update({"model": "net", "opt": {"lr": 0.1}}, allow_val_change=True)
    experiment.watch(None, log="all", log_freq=100, log_graph=True)
    for step in range(2):
        experiment.log(dict({"loss": 1.0 - step}, **{"trainer/global_step": step}))
    artifact = wandb.Artifact(
        name=f"model-{experiment.id}", type="model", metadata={"score": 0.5, "ModelCheckpoint": {"monitor": "loss"}}
    )
    Path("epoch=0.ckpt").write_text("weights")
    artifact.add_file("epoch=0.ckpt", name="model.ckpt")
    experiment.log_artifact(artifact, aliases=["latest", "best"])
    experiment.finish()
    with wandb.init(project="p") as run:
        folder = run.use_artifact("model-pl:best", type="model").download()

    assert tree(folder) == {"model.ckpt": "weights"}
    assert (stored("pl").config["opt"], stored("pl").summary["loss"]) == ({"lr": 0.1}, 0.0)


def test_found_callback_of_keras() -> None:
    """A callback that logs each epoch and keeps the best model in the run's folder works."""

    class Callback:
        def __init__(self) -> None:
            if wandb.run is None:
                raise wandb.Error("You must call wandb.init() before WandbCallback()")
            self.best = float("inf")

        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            wandb.log({"epoch": epoch, **logs}, commit=True)
            if logs["val_loss"] < self.best:
                self.best = logs["val_loss"]
                wandb.run.summary.update({"best_val_loss": self.best, "best_epoch": epoch})
                Path(wandb.run.dir, "model-best.h5").write_text(str(epoch))

    with pytest.raises(wandb.Error, match=r"wandb\.init"):
        Callback()
    wandb.init(project="p", id="keras")
    callback = Callback()
    for epoch, loss in enumerate([3.0, 1.0, 2.0]):
        callback.on_epoch_end(epoch, {"loss": loss, "val_loss": loss})
    wandb.finish()

    run = stored("keras")
    assert (run.summary["best_val_loss"], run.summary["best_epoch"], run.summary["val_loss"]) == (1.0, 1, 2.0)
    assert tree(lineage.open("p.lineage").version("run-keras-files:latest").download("out")) == {"model-best.h5": "1"}


def test_found_script_with_argparse() -> None:
    """A script that gives its parsed arguments as config reads them back as attributes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--layers", nargs="+", type=int, default=[1, 2])
    arguments = parser.parse_args(["--lr", "0.5"])
    run = wandb.init(project="p", id="args", config=arguments)
    wandb.config.update(arguments)
    wandb.config.epochs = 3
    wandb.config.setdefaults({"lr": 9, "seed": 1})
    run.finish()

    assert stored("args").config == {"lr": 0.5, "layers": [1, 2], "epochs": 3, "seed": 1}


def test_found_trainer_of_ultralytics() -> None:
    """A trainer that inits through an import alias, logs by epoch and keeps best.pt works."""
    wb: Any = wandb
    assert hasattr(wb, "__version__")
    arguments = SimpleNamespace(project="p", name="exp", epochs=2)
    wb.run or wb.init(
        project=str(arguments.project).replace("/", "-"), name=arguments.name, config=vars(arguments), id="yolo"
    )
    for epoch in range(arguments.epochs):
        wb.run.log({"metrics/mAP50": 0.5 + epoch / 10, "lr/pg0": 0.01}, step=epoch + 1)
    best = wb.Artifact(type="model", name=f"run_{wb.run.id}_model")
    Path("best.pt").write_text("weights")
    best.add_file("best.pt")
    wb.run.log_artifact(best, aliases=["best"])
    wb.run.finish()

    assert history("yolo") == [(1, {"metrics/mAP50": 0.5, "lr/pg0": 0.01}), (2, {"metrics/mAP50": 0.6, "lr/pg0": 0.01})]
    assert json.loads(json.dumps(stored("yolo").config)) == {"project": "p", "name": "exp", "epochs": 2}


def test_found_sweep_is_refused_with_what_to_do() -> None:
    """What has no meaning on a file says so when it is called, and names the way."""
    calls: dict[str, Callable[..., Any]] = {
        name: getattr(wandb, name) for name in ("sweep", "agent", "controller", "launch")
    }
    for name, call in calls.items():
        with pytest.raises(UsageError, match=f"wandb.{name} has no meaning"):
            call({}, project="p")


def test_tags_of_a_run_hold_any_printable_sign() -> None:
    """A tag such as a number of a release is kept as it is."""
    wandb.init(project="p", id="x", tags=["v1.0", "a/b c"]).finish()

    assert sorted(stored("x").tags) == ["a/b c", "v1.0"]


def test_init_that_cannot_begin_leaves_nothing_of_a_disabled_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A disabled run that is refused leaves no folder, and none is active."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(UsageError):
        wandb.init(project="p", mode="disabled", id="x", resume="must")

    assert (list(tmp_path.iterdir()), wandb.run) == ([], None)


def test_init_with_an_artifact_that_is_not_there_fails_the_run() -> None:
    """A run whose config names an artifact that is not there has failed, and is not active."""
    with pytest.raises(CommError):
        wandb.init(project="p", id="x", config={"data": "wandb-artifact://none:latest"})

    assert (stored("x").status, wandb.run) == ("failed", None)


def test_settings_of_a_run_tell_what_it_is() -> None:
    """The settings of a run have the id, the project and the mode that it got."""
    settings = wandb.init(project="p", id="x").settings

    assert (settings.run_id, settings.project, settings.mode) == ("x", "p", "online")


CHILD_LOGS = """
import os
import lineage.wandb as wandb
run = wandb.init(project="p", id="x")
run.log({"a": 1})
child = os.fork()
if child == 0:
    run.log({"lost": 1})
    os._exit(0)
os.waitpid(child, 0)
run.log({"a": 2})
"""


def test_forked_child_that_logs_into_the_run_of_its_parent_is_told() -> None:
    """A forked child's metrics are not taken into the run of its parent, and it says so."""
    process = program(CHILD_LOGS)

    assert "`log` ignored" in process.told  # type: ignore[attr-defined]  # told by `program`
    assert [values for _, values in history("x")] == [{"a": 1}, {"a": 2}]
