"""W&B's Api on local project files: what scripts ask after their runs, and what they change then."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from conftest import draft
from invariants import assert_store_sound

import lineage
from lineage.capture import host
from lineage.wandb.apis import public
from lineage.wandb.apis.public import UNSUPPORTED, UNSUPPORTED_OF_RUNS, Api, ArtifactCollection
from lineage.wandb.apis.public.filters import run_filter, run_order
from lineage.wandb.errors import CommError, Error, UnsupportedError, UsageError
from lineage.wandb.sdk.artifacts.artifact import Artifact
from lineage.wandb.sdk.data_types.table import Table
from lineage.wandb.sdk.wandb_init import init


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no variable of the machine name a project, and nothing be printed."""
    for name in ("WANDB_PROJECT", "WANDB_ENTITY", "WANDB_DIR", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_SILENT", "true")


@pytest.fixture
def api() -> Api:
    """An Api whose project is ``p`` and whose entity is ``ada``."""
    return Api({"project": "p", "entity": "ada"})


@pytest.fixture
def project() -> Iterator[lineage.Project]:
    """The project ``p``, sound at the end."""
    found = lineage.open("p.lineage")
    yield found
    assert_store_sound(found)


def log(name: str = "raw", text: str = "0", *, project: str = "p", type: str = "dataset", **words: Any) -> Artifact:
    """Log a version by a run of its own."""
    with init(project=project) as run:
        artifact = Artifact(name, type)
        with artifact.new_file("file.txt") as file:
            file.write(text)
        return run.log_artifact(artifact, **words)


def ids(runs: Any) -> list[str]:
    return [run.id for run in runs]


def names(artifacts: Any) -> list[str]:
    return [artifact.name for artifact in artifacts]


# --- where things are ---


def test_api_takes_its_project_from_overrides_then_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """`overrides`, then WANDB_PROJECT, then uncategorized; an entity is a label, the user's name if not said."""
    unsaid = Api()
    monkeypatch.setenv("WANDB_PROJECT", "mnist")
    monkeypatch.setenv("WANDB_ENTITY", "team")
    named = Api()

    assert unsaid.settings["project"] == "uncategorized"
    assert unsaid.default_entity == unsaid.viewer.username == unsaid.viewer.name
    assert (named.settings["project"], named.default_entity, named.viewer.entity) == ("mnist", "team", "team")
    assert Api({"project": "p", "entity": "ada"}, timeout=1, api_key="x").settings["project"] == "p"


def test_api_looks_into_the_folder_that_the_environment_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """WANDB_DIR is where the project files lie."""
    (tmp_path / "elsewhere").mkdir()
    lineage.open(tmp_path / "elsewhere" / "p.lineage").start_run(id="mine").finish()
    monkeypatch.setenv("WANDB_DIR", str(tmp_path / "elsewhere"))

    assert Api().run("p/mine").id == "mine"


@pytest.mark.parametrize(
    "path",
    [
        "mine",
        "/mine",
        "p/mine",
        "bob/p/mine",
        "bob/p/runs/mine",
        "/bob/p/runs/mine",
        "p:mine",
        "bob/p:mine",
        "https://wandb.ai/bob/p/runs/mine?workspace=x",
    ],
)
def test_run_is_found_by_each_form_of_its_path(api: Api, project: lineage.Project, path: str) -> None:
    """The entity is a label and finds nothing; a leading slash and the word ``runs`` are W&B's."""
    project.start_run("train", "first", id="mine").finish()

    run = api.run(path)

    assert (run.id, run.name, run.project) == ("mine", "first", "p")
    assert run.entity == ("bob" if "bob" in path else "ada")


def test_run_is_found_by_the_url_it_gives(api: Api, tmp_path: Path) -> None:
    """A run's url is its project file with its id, wherever that lies; so is that of an artifact."""
    (tmp_path / "ä b").mkdir()
    elsewhere = lineage.open(tmp_path / "ä b" / "q.lineage")
    with elsewhere.start_run(id="mine") as active:
        active.log_artifact(draft("raw", {"a": "1"}))
    url = (tmp_path / "ä b" / "q.lineage").as_uri()

    run = api.run(f"{url}#mine")

    assert run.url == f"{url}#mine"
    assert api.run(run.url).id == api.from_path(run.url).id == "mine"
    assert api.artifact(f"{url}#raw:v0").url == f"{url}#raw:v0"
    assert ids(api.runs(url)) == ["mine"]
    assert names(api.artifacts("dataset", f"{url}#raw")) == ["raw:v0"]
    assert api.from_path(url).name == "q"


@pytest.mark.parametrize("path", ["nope", "firs", "first", "p/nope"])
def test_run_that_is_not_there_is_a_comm_error(api: Api, project: lineage.Project, path: str) -> None:
    """Only an id finds a run: neither its name nor the beginning of its id does."""
    project.start_run(name="first", id="minemine").finish()

    with pytest.raises(CommError, match="Could not find run ada/p/"):
        api.run(path)
    with pytest.raises(CommError, match="Could not find run"):
        api.run("minemi")


@pytest.mark.parametrize("path", ["", "a/b/c/d", "a//b", ":", "p:"])
def test_run_of_what_is_no_path_is_refused(api: Api, path: str) -> None:
    """It is the CommError that W&B raises and the ValueError that it documents."""
    with pytest.raises(CommError, match="Invalid path") as caught:
        api.run(path)

    assert isinstance(caught.value, ValueError)


def test_a_project_that_is_not_there_is_a_comm_error_for_each_question(api: Api) -> None:
    """The message is W&B's; only ``project()`` asks nothing yet."""
    asks: list[Callable[[], object]] = [
        lambda: api.run("nope/x"),
        lambda: api.runs("nope"),
        lambda: api.runs("ada/nope"),
        lambda: api.artifact("nope/raw:v0"),
        lambda: api.artifacts("dataset", "nope/raw"),
        lambda: api.artifact_types("nope"),
        lambda: api.artifact_type("dataset", "nope"),
        lambda: api.artifact_collections("nope", "dataset"),
        lambda: api.artifact_collection("dataset", "ada/nope/raw"),
        lambda: api.project("nope").collections(),
        lambda: api.project("nope").artifacts_types(),
        lambda: api.project("nope").id,
        lambda: api.project("nope").created_at,
    ]

    for ask in asks:
        with pytest.raises(CommError, match="project 'nope' not found"):
            ask()
    assert not Path("nope.lineage").exists()
    assert not api.artifact_exists("nope/raw:v0")
    assert not api.artifact_collection_exists("nope/raw", "dataset")


def test_from_path_gives_a_project_or_a_run(api: Api, project: lineage.Project) -> None:
    """By the number of its parts, as W&B; reports and sweeps are none."""
    project.start_run(id="mine").finish()

    assert repr(api.from_path("p")) == "<Project ada/p>"
    assert repr(api.from_path("bob/p")) == "<Project bob/p>"
    assert repr(api.from_path("bob/p/mine")) == repr(api.from_path("bob/p/runs/mine")) == "<Run bob/p/mine (finished)>"
    assert repr(api.from_path("https://wandb.ai/bob/p/runs/mine")) == "<Run bob/p/mine (finished)>"
    with pytest.raises(Error, match="Invalid path"):
        api.from_path("bob/p/sweeps/x")
    with pytest.raises(CommError, match="ends in '.lineage'"):
        api.from_path(Path("p.txt").absolute().as_uri())


def test_projects_are_the_files_of_the_folder(api: Api) -> None:
    """By name, without registries; one can be made, and made again."""
    api.create_project("q", "ada")
    api.create_project("q", "ada")
    api.create_project("p")
    lineage.open("wandb-registry-model.lineage")
    Path("notes.txt").write_text("no project")

    found = api.projects("bob")

    assert [one.name for one in found] == [one.name for one in found] == ["p", "q"]
    assert (len(found), found[1].path, found[0].owner.username) == (2, ["bob", "q"], "bob")
    assert found[0].url == Path("p.lineage").absolute().as_uri()
    assert found[0].created_at is None
    assert "p.lineage" in found[0].id
    assert "&lt;Project bob/p&gt;" in found[0]._repr_html_()
    assert not found[0].display()
    with pytest.raises(UnsupportedError, match="group"):
        found[0].sweeps()
    with pytest.raises(UsageError, match="Invalid project name"):
        api.project("a:b")


# --- runs by filter ---


@pytest.fixture
def search(project: lineage.Project) -> lineage.Project:
    """Three runs of a search: a, b and c, of which c failed."""
    for number, (identifier, rate, loss) in enumerate([("a", 0.1, 3.0), ("b", 0.2, 1.0), ("c", 0.3, 2.0)]):
        with project.start_run(
            "train" if number else "load",
            f"run-{identifier}",
            id=identifier,
            config={"lr": rate, "optimizer": {"name": "adam", "value": number}},
            group="search",
            tags=["baseline"] if number == 1 else [],
        ) as run:
            run.log({"loss": loss, "test": {"iou": loss / 10}})
            if identifier == "c":
                run.finish("failed")
    return project


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, "abc"),
        (None, "abc"),
        ({"config.lr": 0.2}, "b"),
        ({"config.lr.value": {"$gte": 0.2}}, "bc"),
        ({"config.optimizer.value.name": "adam"}, "abc"),
        ({"config.optimizer.name": {"$ne": "adam"}}, ""),
        ({"summary_metrics.loss": {"$lt": 2.5}}, "bc"),
        ({"summaryMetrics.test.iou": {"$lt": 0.15}}, "b"),
        ({"summary.loss": {"$exists": False}}, ""),
        ({"display_name": "run-a"}, "a"),
        ({"displayName": {"$regex": "^run-[ab]$"}}, "ab"),
        ({"name": "c"}, "c"),
        ({"name": {"$in": ["a", "b"]}}, "ab"),
        ({"state": "finished"}, "ab"),
        ({"$nor": [{"state": "finished"}]}, "c"),
        ({"tags": "baseline"}, "b"),
        ({"tags": {"$nin": ["baseline"]}}, "ac"),
        ({"jobType": "train", "group": "search"}, "bc"),
        ({"job_type": "load"}, "a"),
        ({"$or": [{"$and": [{"config.lr": 0.1}, {"state": "finished"}]}, {"summary_metrics.loss": 2}]}, "ac"),
        ({"createdAt": {"$gt": "2020-01-01T00:00:00"}}, "abc"),
        ({"created_at": {"$lt": "2020-01-01"}}, ""),
        ({"createdAt": {"$in": ["2020-01-01T00:00:00Z"]}}, ""),
        ({"createdAt": None}, ""),
        ({"createdAt": {"$gt": "2020-01-01"}, "created_at": {"$lt": datetime(2020, 1, 1)}}, ""),
        ({"createdAt": {"$gt": "2020-01-01"}, "created_at": {"$exists": True}}, "abc"),
        ({"heartbeatAt": {"$gt": "2020-01-01T00:00:00+02:00"}}, "abc"),
        ({"duration": {"$lt": 60}}, "abc"),
        ({"notes": None}, "abc"),
        ({"host": {"$exists": True}, "username": {"$exists": True}}, "abc"),
        ({"code.command": {"$exists": True}}, "abc"),
    ],
)
def test_runs_pass_the_filters_of_wandb(
    api: Api, search: lineage.Project, filters: dict[str, Any] | None, expected: str
) -> None:
    """W&B's keys and operators, nested; times without a zone mean UTC."""
    assert ids(api.runs("ada/p", filters)) == list(expected)


def test_runs_of_a_time_read_times_without_a_zone_as_utc(
    api: Api, project: lineage.Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever zone the machine is in."""
    project.start_run(id="mine").finish()
    around = datetime.now(UTC).replace(tzinfo=None)

    before, after = ((around + timedelta(minutes=minutes)).isoformat() for minutes in (-5, 5))

    assert ids(api.runs("p", {"createdAt": {"$gt": before, "$lt": after}})) == ["mine"]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("+created_at", "abc"),
        ("", "abc"),
        ("created_at", "abc"),
        ("-created_at", "cba"),
        ("-createdAt", "cba"),
        ("-heartbeat_at", "cba"),
        ("+summary_metrics.loss", "bca"),
        ("-summary_metrics.loss", "acb"),
        ("-config.lr.value", "cba"),
        ("+config.lr", "abc"),
        ("-display_name", "cba"),
        ("-state,+summary_metrics.loss", "bac"),
    ],
)
def test_runs_come_in_the_order_of_wandb(api: Api, search: lineage.Project, order: str, expected: str) -> None:
    """By a key of a filter, rising unless a minus stands before it."""
    assert ids(api.runs("p", order=order)) == list(expected)


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"sweep": "x"}, "unknown key 'sweep' .possible: config.<key>, summary_metrics.<key>, createdAt"),
        ({"$and": [{"configs.lr": 1}]}, "unknown key 'configs.lr'"),
        ({"createdAt": {"$gt": "yesterday"}}, "createdAt 'yesterday': give ISO 8601 text"),
        ({"createdAt": {"$gt": 3}}, "createdAt 3: give ISO 8601 text"),
        ({"config.lr": {"$above": 1}}, "above"),
        ({"$and": 3}, "and takes a list"),
        ({"$or": ["x"]}, "is not a filter"),
        ({3: "x"}, "3 is no key"),
    ],
)
def test_runs_by_a_filter_that_cannot_be_are_refused(
    api: Api, search: lineage.Project, filters: dict[str, Any], message: str
) -> None:
    """A ValueError that names the key or the operator."""
    with pytest.raises(ValueError, match=message):
        api.runs("p", filters)


def test_runs_in_an_unknown_order_are_refused(api: Api, search: lineage.Project) -> None:
    """A ValueError that names the key."""
    with pytest.raises(ValueError, match="unknown key 'loss'"):
        api.runs("p", order="-loss")


def test_runs_in_a_state_of_wandb_that_there_is_not_here_are_none(api: Api, search: lineage.Project) -> None:
    """W&B's words are taken, and what is in no such state is all; a word of nobody's is refused."""
    assert ids(api.runs("p", {"state": "preempted"})) == []
    assert ids(api.runs("p", {"state": {"$ne": "pending"}})) == ["a", "b", "c"]
    with pytest.raises(ValueError, match="'finnished' is none of running, finished"):
        api.runs("p", {"state": "finnished"})


def test_filter_keeps_conditions_that_become_one_key() -> None:
    """Two of W&B's keys that mean the same of lineage's both hold."""
    assert run_filter({"display_name": "a", "displayName": {"$ne": "b"}}) == {
        "$and": [{"name": "a"}, {"name": {"$ne": "b"}}]
    }
    assert run_filter({"createdAt": {"$gt": "2026-01-02T03:04:05+01:00"}}) == {
        "started_at": {"$gt": "2026-01-02T02:04:05.000000Z"}
    }
    assert run_filter({"config.value": 1, "config.a.b.value": 2}) == {"config.value": 1, "config.a.b": 2}
    assert run_filter({"state": {"$in": ["finished", "preempted"]}}) == {"status": {"$in": ["finished", None]}}
    assert run_order("-config.optimizer.value.lr, summary.loss") == "-config.optimizer.lr,+summary.loss"


def test_runs_are_measured_indexed_and_gone_through_again(api: Api, search: lineage.Project) -> None:
    """A list of W&B's: each loop over it begins anew."""
    runs = api.runs("p", per_page=1, include_sweeps=True, lazy=False)

    assert (len(runs), runs[0].id, runs[-1].id, ids(runs[1:])) == (3, "a", "c", ["b", "c"])
    assert ids(runs) == ids(runs) == ["a", "b", "c"]
    assert next(iter(runs)).id == "a"
    assert (runs.entity, runs.project, runs.filters, runs.order) == ("ada", "p", {}, "+created_at")
    assert repr(runs) == "<Runs ada/p>"
    runs.upgrade_to_full()
    api.flush()
    assert ids(api.runs()) == ["a", "b", "c"]


# --- one run ---


def test_run_shows_what_it_is_by_the_names_of_wandb(api: Api) -> None:
    """Config without W&B's own keys, a summary with attributes, and what is known of program and machine."""
    with init(
        project="p", entity="team", name="first", notes="words", tags=["a"], group="g", job_type="train", id="mine",
        config={"lr": 0.1},
    ) as active:  # fmt: skip
        active.define_metric("loss", summary="min")
        active.log({"loss": 1.0})
        running = api.run("mine").state

    run = api.run("mine")

    assert (running, run.state, run.id, run.storage_id) == ("running", "finished", "mine", "mine")
    assert (run.name, run.display_name, run.notes, run.tags) == ("first", "first", "words", ["a"])
    assert (run.group, run.job_type, run.path) == ("g", "train", ["ada", "p", "mine"])
    assert run.config == {"lr": 0.1}
    assert run.rawconfig["_wandb"]["entity"] == "team"
    assert '"lr": {"value": 0.1, "desc": null}' in run.json_config
    assert run.summary.loss.min == run.summary["loss"]["min"] == run.summary_metrics["loss"]["min"] == 1.0
    assert run.username == run.user.username == api.viewer.username
    assert run.created_at <= run.heartbeat_at
    assert (run.sweep, run.sweep_name, run.system_metrics) == (None, None, {})
    assert {"os", "python", "startedAt", "host", "username", "args", "executable"} <= set(run.metadata)
    assert run.metadata["host"] == host().host
    assert "first" in str(run.load()["displayName"])
    assert "<table>" in run._repr_html_()
    assert not run.display()
    assert repr(run) == "<Run ada/p/mine (finished)>"


def test_run_metadata_tells_the_script_from_its_arguments(api: Api, project: lineage.Project) -> None:
    """Of a wrapped command as of a Python script."""
    Path("train.py").write_text("")
    project.start_run(id="a", command=["python", "train.py", "--lr", "3"]).finish()
    project.start_run(id="b", command=["sort", "x"]).finish()

    first, second = api.run("a").metadata, api.run("b").metadata

    assert (first["program"], first["args"], first["executable"]) == ("train.py", ["--lr", "3"], "python")
    assert ("program" in second, second["args"], second["executable"]) == (False, ["x"], "sort")


def test_run_update_keeps_what_was_changed(api: Api, search: lineage.Project) -> None:
    """Name, notes, tags, config and summary, also of a run that has ended; ``save`` is another word for it."""
    run = api.run("a")
    run.name = "renamed"
    run.notes = "words"
    run.tags.append("kept")
    run.config["seed"] = 1
    run.summary["best"] = {"iou": 0.7}
    run.summary.best.step = 3

    before = api.run("a").name
    run.update()

    again = api.run("a")
    assert (before, again.name, again.notes, again.tags) == ("run-a", "renamed", "words", ["kept"])
    assert (again.config["seed"], again.config["lr"]) == (1, 0.1)
    assert again.summary_metrics["best"] == {"iou": 0.7, "step": 3}
    again.display_name, again.notes, again.tags = "other", None, []
    again.save()
    final = api.run("a")
    assert (final.name, final.notes, final.tags) == ("other", None, [])
    assert final.rawconfig == again.rawconfig


def test_run_update_leaves_what_was_not_changed_to_others(api: Api, search: lineage.Project) -> None:
    """Keeping one's own change, which is all that differs, never fails on a run that is running."""
    active = search.start_run(id="now")
    run = api.run("now")
    run.tags.append("seen")
    run.update()

    run.summary["late"] = 1
    with pytest.raises(UsageError, match="is running"):
        run.update()
    with pytest.raises(UsageError, match="is running"):
        run.summary.update({"x": 1})

    active.finish()
    run.update()
    assert api.run("now").tags == ["seen"]
    assert dict(api.run("now").summary) == {"late": 1, "x": 1}


def test_run_update_leaves_the_edits_of_others(api: Api, search: lineage.Project) -> None:
    """What was read before others kept theirs undoes nothing of it, nor does the next update of the same object."""
    first, second = api.run("a"), api.run("a")
    first.notes, first.summary["x"], first.config["deep"] = "n", 1, {"one": 1}
    first.tags.append("x")
    first.update()
    second.config["seed"], second.summary["y"] = 2, 2
    second.update()
    second.name = "renamed"
    second.summary.update({"z": 3})
    second.update()

    found = api.run("a")
    assert (found.notes, found.tags, found.name) == ("n", ["x"], "renamed")
    assert (found.config["seed"], found.config["deep"], found.config["lr"]) == (2, {"one": 1}, 0.1)
    assert [found.summary_metrics[key] for key in ("x", "y", "z")] == [1, 2, 3]


def test_run_update_that_cannot_be_changes_nothing(api: Api, search: lineage.Project) -> None:
    """A bad tag, and none of the changes is kept."""
    run = api.run("a")
    run.name, run.tags = "renamed", ["a/b\n"]

    with pytest.raises(CommError, match="tag"):
        run.update()

    assert api.run("a").name == "run-a"


def test_summary_update_keeps_changes_at_once(api: Api, search: lineage.Project) -> None:
    """What a run is found to have come to later is found by filters; ``overwrite=False`` only adds."""
    run = api.run("a")
    run.summary["noted"] = True
    run.summary.update({"test_iou": 0.9, "loss": 5})
    run.summary.update({"loss": 7, "more": float("nan")}, overwrite=False)
    del run.summary["noted"]
    run.summary.update()

    assert ids(api.runs("p", {"summary_metrics.test_iou": {"$gt": 0.8}})) == ["a"]
    assert dict(api.run("a").summary.items()) == {"loss": 5, "test.iou": 0.3, "test_iou": 0.9, "more": None}


def test_run_load_reads_it_again(api: Api, search: lineage.Project) -> None:
    """With `force`, and what was changed and not kept is dropped."""
    run = api.run("a")
    search.run("a").update(name="renamed")
    run.config["x"] = 1

    before, after = run.load()["displayName"], run.load(force=True)["displayName"]

    assert (before, after, "x" in run.config) == ("run-a", "renamed", False)
    assert run.load_full_data(force=True)["state"] == "finished"


def test_run_delete_keeps_its_place_in_the_lineage(api: Api, project: lineage.Project) -> None:
    """It is found no more; what it logged stays unless told, whatever aliases it has."""
    first, second = log("raw", "1", aliases=["best"]).logged_by(), log("raw", "2").logged_by()
    assert first is not None
    assert second is not None
    first.delete()
    second.delete(delete_artifacts=True)

    assert names(api.artifacts("dataset", "raw")) == ["raw:v0"]
    assert len(api.runs()) == 0
    assert project.run(first.id).deleted
    for run in (first, second):
        with pytest.raises(CommError, match="Could not find run"):
            api.run(run.id)
        with pytest.raises(CommError, match="was deleted"):
            run.delete()
    first.name = "renamed"
    with pytest.raises(CommError, match="was deleted"):
        first.update()


def test_run_delete_of_a_running_run_is_refused(api: Api, project: lineage.Project) -> None:
    """It is the wrong moment."""
    active = project.start_run(id="mine")

    with pytest.raises(UsageError, match="running"):
        api.run("mine").delete()

    active.finish()


def test_wait_until_finished_returns_when_the_run_has_ended(
    api: Api, project: lineage.Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks again and again while it runs, and at once when it does not."""
    active = project.start_run(id="mine")
    run = api.run("mine")
    waits: list[float] = []

    def slept(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            worker = threading.Thread(target=active.finish)
            worker.start()
            worker.join()

    monkeypatch.setattr("lineage.wandb.apis.public.runs.time.sleep", slept)
    run.wait_until_finished()
    run.wait_until_finished()

    assert (run.state, len(waits)) == ("finished", 2)


def test_run_keeps_the_group_and_job_type_it_was_started_with(api: Api, search: lineage.Project) -> None:
    """Setting either says what to do instead."""
    run = api.run("a")

    for attribute in ("group", "job_type"):
        with pytest.raises(UnsupportedError, match="a tag, or a key of config"):
            setattr(run, attribute, "other")
    assert (run.group, run.job_type) == ("search", "load")


def test_heartbeat_of_a_running_run_is_its_last_metric(api: Api, project: lineage.Project) -> None:
    """Its start, before the first; its end, when it has ended. A run without files has an empty list of them."""
    active = project.start_run(id="mine")
    run = api.run("mine")
    first, none = run.heartbeat_at, run.lastHistoryStep
    active.log({"loss": 1})
    active.flush()
    second, step = run.heartbeat_at, run.lastHistoryStep
    active.finish()

    assert run.created_at == first < second < api.run("mine").heartbeat_at
    assert (none, step, len(run.files())) == (-1, 0, 0)


@pytest.mark.parametrize("name", sorted(UNSUPPORTED_OF_RUNS))
def test_what_has_no_meaning_for_a_run_says_what_to_do_instead(api: Api, search: lineage.Project, name: str) -> None:
    """By name, with the sentence of the table."""
    with pytest.raises(UnsupportedError, match=f"^Run.{name}: ") as caught:
        getattr(api.run("a"), name)("x", y=1)

    assert UNSUPPORTED_OF_RUNS[name] in str(caught.value)
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        api.run("a").nope  # noqa: B018 (asking is the test)


# --- history ---


@pytest.fixture
def logged(api: Api, project: lineage.Project) -> public.Run:
    """A run of 10 steps: loss at each, acc at every other."""
    with project.start_run(id="mine") as run:
        for step in range(10):
            run.log({"loss": 10 - step} | ({"acc": step / 10} if step % 2 else {}))
    return api.run("mine")


def test_history_gives_a_table_of_all_steps(logged: public.Run) -> None:
    """A DataFrame where pandas is, with W&B's own columns; a metric that was not logged is missing."""
    table = logged.history()

    assert set(table.columns) == {"_step", "_timestamp", "_runtime", "loss", "acc"}
    assert list(table["_step"]) == list(range(10))
    assert list(table["loss"]) == [10 - step for step in range(10)]
    assert table["acc"].isna().sum() == 5
    assert (table["_runtime"] >= 0).all()


def test_history_samples_evenly_and_gives_rows_that_have_the_keys(logged: public.Run) -> None:
    """First and last are among the samples; with keys, only these and the x axis."""
    rows = logged.history(samples=4, pandas=False)
    keyed = logged.history(keys=["acc", "loss"], pandas=False)
    across = logged.history(keys=["loss"], x_axis="acc", pandas=False)

    assert [row["_step"] for row in rows] == [0, 3, 6, 9]
    assert keyed[0] == {"_step": 1, "acc": 0.1, "loss": 9}
    assert len(keyed) == 5
    assert across[-1] == {"acc": 0.9, "loss": 1}
    assert len(logged.history(samples=1, pandas=False)) == 1
    assert logged.history(samples=0, pandas=False) == []
    assert logged.history(keys=["_runtime"], pandas=False)[3]["_step"] == 3
    assert logged.lastHistoryStep == 9


def test_history_that_cannot_be_is_empty(logged: public.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As W&B: bad keys print an error; the machine was not measured; without pandas it is a list."""
    assert logged.history(keys="loss") == []  # type: ignore[arg-type]  # wrong on purpose
    assert logged.history(keys=["loss"], stream="system") == []
    assert len(logged.history(stream="system")) == 0
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert logged.history(samples=1)[0]["_step"] == 9


def test_scan_history_gives_every_row(logged: public.Run) -> None:
    """With keys only rows that have all of them, and only these; from a step, before a step; again from the start."""
    scan = logged.scan_history(page_size=2)

    assert [row["_step"] for row in scan] == [row["_step"] for row in scan] == list(range(10))
    assert scan.max_step == 9
    assert list(logged.scan_history(keys=["acc"], min_step=2, max_step=6)) == [{"acc": 0.3}, {"acc": 0.5}]
    assert list(logged.scan_history(keys=["_step", "loss"], min_step=9)) == [{"_step": 9, "loss": 1}]
    assert list(logged.scan_history(keys=["nope"])) == []
    with pytest.raises(ValueError, match="list of strings"):
        logged.scan_history(keys="loss")  # type: ignore[arg-type]  # wrong on purpose


def test_histories_joins_the_rows_of_runs(api: Api, search: lineage.Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of dicts or a table, each row with its run's id."""
    runs = api.runs("p", {"state": "finished"})

    rows = runs.histories(keys=["loss"])
    table = runs.histories(format="pandas")

    assert rows == [{"_step": 0, "loss": 3.0, "run_id": "a"}, {"_step": 0, "loss": 1.0, "run_id": "b"}]
    assert list(table.columns) == ["_runtime", "_step", "_timestamp", "loss", "run_id", "test.iou"]
    assert list(table["run_id"]) == ["a", "b"]
    assert len(api.runs("p", {"name": "x"}).histories(format="pandas")) == 0
    with pytest.raises(ValueError, match="Invalid format: csv"):
        runs.histories(format="csv")
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(UsageError, match="pip install polars"):
        runs.histories(format="polars")


# --- a run's artifacts and files ---


def test_run_lists_what_it_logged_and_used(api: Api, project: lineage.Project) -> None:
    """Versions with aliases and types; tables are among them, files and other media are apart."""
    log("raw", "1")
    Path("notes.txt").write_text("words")
    with init(project="p", id="mine") as active:
        active.use_artifact("raw:latest")
        active.log_artifact(Artifact("model", "model"), aliases=["best"])
        active.log({"predictions": Table(columns=["a"], data=[[1]])})
        active.save("notes.txt")

    run = api.run("mine")

    assert names(run.used_artifacts()) == ["raw:v0"]
    assert names(run.logged_artifacts(per_page=1)) == ["model:v0", "run-mine-predictions:v0"]
    assert run.logged_artifacts()[0].aliases == ["best", "latest"]
    assert len(run.logged_artifacts()) == 2
    logged_by = api.artifact("model:best").logged_by()
    assert logged_by is not None
    assert (logged_by.id, [one.id for one in api.artifact("raw:v0").used_by()]) == ("mine", ["mine"])
    with pytest.raises(ValueError, match="mode must be logged or used"):
        public.RunArtifacts(run._place, run._run, "made")


def test_used_artifacts_keep_their_own_project(api: Api, project: lineage.Project) -> None:
    """What a run used of another project is that project's; where its file is gone, its place in the graph is left."""
    log("raw", "1", project="other")
    with init(project="p", id="mine") as active:
        active.use_artifact("other/raw:v0")

    (used,) = api.run("mine").used_artifacts()

    assert (used.project, used.name, used.qualified_name) == ("other", "raw:v0", "ada/other/raw:v0")
    assert Path(used.download(), "file.txt").read_text() == "1"
    Path("other.lineage").rename("gone")
    (left,) = api.run("mine").used_artifacts()
    assert (left.source_project, left.source_name) == ("other", "raw:v0")


def test_run_uses_and_logs_artifacts_after_it_has_ended(api: Api, project: lineage.Project) -> None:
    """Edges are written, aliases move and tags are added; a second producer counts as one that reproduced it."""
    log("raw", "1", tags=["clean"])
    other = log("far", "1", project="other")
    unmade = project.log_artifact(draft("found", {"a": "1"}))
    project.start_run(id="mine").finish()
    run = api.run("mine")

    used = run.use_artifact(api.artifact("raw:v0"), use_as="train")
    run.use_artifact(api.artifact("other/far:v0"))
    logged = run.log_artifact(api.artifact("found:v0"), aliases=["best", "latest"], tags=["checked"])

    assert project.run("mine").used_as() == {"raw:v0": "train"}
    assert names(run.used_artifacts()) == ["raw:v0", "far:v0"]
    assert (used.name, other.name, unmade.logged_by()) == ("raw:v0", "far:v0", project.run("mine"))
    assert (logged.aliases, logged.tags) == (["best", "latest"], ["checked"])


def test_run_that_uses_what_came_from_it_closes_a_cycle(api: Api, project: lineage.Project) -> None:
    """Refused with lineage's own error, which names the cycle; nothing changes."""
    first = log("raw", "1").logged_by()
    with init(project="p", id="second") as active:
        active.use_artifact("raw:v0")
        active.log_artifact(Artifact("model", "model"))
    assert first is not None

    with pytest.raises(lineage.CycleError, match="model:v0"):
        first.use_artifact(api.artifact("model:v0"))

    assert len(first.used_artifacts()) == 0


def test_run_takes_only_artifacts_that_are_there(api: Api, search: lineage.Project) -> None:
    """A name, a draft, or one of another project: CommError as W&B, and the class it documents."""
    run, elsewhere = api.run("a"), log("far", "1", project="other")
    bad: Any = "raw:v0"

    calls: list[tuple[Callable[[Any], object], Any, type[Exception]]] = [
        (run.use_artifact, bad, ValueError),
        (run.use_artifact, Artifact("x", "y"), ValueError),
        (run.log_artifact, bad, TypeError),
        (run.log_artifact, Artifact("x", "y"), ValueError),
        (run.log_artifact, elsewhere, ValueError),
    ]
    for call, given, also in calls:
        with pytest.raises(CommError) as caught:
            call(given)
        assert isinstance(caught.value, also)
    assert len(run.used_artifacts()) == len(run.logged_artifacts()) == 0


def test_run_gives_back_the_files_it_saved(api: Api) -> None:
    """By name or by a pattern of LIKE; a file that is there is not written over unless told."""
    for path in ("a.txt", "b.json", "sub/c.json"):
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_text(path)
    with init(project="p", id="mine") as active:
        active.save("a.txt")
        active.save("*.json")
        active.save("sub/*.json")
    run = api.run("mine")

    file = run.file("a.txt")

    assert [one.name for one in run.files()] == ["a.txt", "b.json", "sub/c.json"]
    assert [one.name for one in run.files(pattern="%.JSON")] == ["b.json", "sub/c.json"]
    assert [one.name for one in run.files(pattern="_.json")] == ["b.json"]
    assert [one.name for one in run.files(names=["b.json", "nope"])] == ["b.json"]
    assert (file.size, file.mimetype, file.md5, file.id) == (5, "text/plain", file.digest, file.url)
    assert file.updated_at > run.created_at
    with file.download("out") as found:
        assert found.read() == "a.txt"
    Path("out/a.txt").write_text("mine")
    with pytest.raises(ValueError, match="already exists"):
        file.download("out")
    with file.download("out", exist_ok=True) as kept:
        assert kept.read() == "mine"
    with file.download("out", replace=True) as replaced:
        assert replaced.read() == "a.txt"
    with pytest.raises(UnsupportedError, match="never changes"):
        file.delete()
    with pytest.raises(CommError, match="file 'nope' not found in run ada/p/mine"):
        run.file("nope")
    with pytest.raises(ValueError, match="not supported"):
        run.files(names=["a"], pattern="%")


def test_upload_file_saves_it_with_a_run_that_has_ended(api: Api, search: lineage.Project) -> None:
    """Beside what it saved before, under its name from a root."""
    Path("sub").mkdir()
    Path("sub/late.txt").write_text("late")
    Path("early.txt").write_text("early")
    run = api.run("a")

    first = run.upload_file("early.txt")
    second = run.upload_file(str(Path("sub/late.txt").absolute()), root="sub")

    assert (first.name, second.name) == ("early.txt", "late.txt")
    assert [one.name for one in api.run("a").files()] == ["early.txt", "late.txt"]
    assert [one.reference for one in search.run("a").logged_artifacts()] == ["run-a-files:v0", "run-a-files:v1"]
    with pytest.raises(CommError, match="invalid|Invalid|leaves|escape|path"):
        run.upload_file("early.txt", root="sub")
    with pytest.raises(CommError, match="nope"):
        run.upload_file("nope.txt")


# --- artifacts ---


def test_artifact_is_found_by_each_form_of_its_path(api: Api, project: lineage.Project) -> None:
    """An alias, a version, or nothing for the newest; the entity is a label."""
    log("raw", "1", aliases=["best"])
    log("raw", "2")

    found = [api.artifact(path).version for path in ("raw:best", "p/raw:v0", "bob/p/raw:latest", "raw", "raw:v1")]

    assert found == ["v0", "v0", "v1", "v1", "v1"]
    assert api.artifact("raw:v1", type="dataset").qualified_name == "ada/p/raw:v1"
    assert api.artifact("bob/p/raw:v1").entity == "bob"
    assert api.artifact_exists("raw:best", type="dataset")


@pytest.mark.parametrize(
    ("path", "type"),
    [
        ("raw:v7", None),
        ("raw:nope", None),
        ("nope:v0", None),
        ("raw:v0", "model"),
        ("a/b/c/raw:v0", None),
        ("raw@0000", None),
        ("not a name!:v0", None),
        ("raw:v1", None),
    ],
)
def test_artifact_that_is_not_there_is_a_comm_error(
    api: Api, project: lineage.Project, path: str, type: str | None
) -> None:
    """No such version, alias, name or type, no path, or it was deleted: v1 was."""
    log("raw", "1")
    log("raw", "2").delete(delete_aliases=True)

    with pytest.raises(CommError):
        api.artifact(path, type)
    assert not api.artifact_exists(path, type)


def test_artifact_without_a_name_is_refused(api: Api) -> None:
    """None names nothing."""
    nothing: Any = None

    with pytest.raises(CommError, match="You must specify name="):
        api.artifact(nothing)


def test_artifacts_come_newest_first_and_in_any_order(api: Api, project: lineage.Project) -> None:
    """The order of W&B, with its sign; a loop that stopped is gone on with from its cursor."""
    for text in ("1", "333", "22"):
        log("raw", text)

    def listed(**words: Any) -> list[str]:
        return [one.version for one in api.artifacts("dataset", "p/raw", **words)]

    assert listed() == ["v2", "v1", "v0"]
    assert listed(order="version_index") == listed(order="+created_at") == ["v0", "v1", "v2"]
    assert listed(order="-versionIndex") == listed(order="-createdAt") == ["v2", "v1", "v0"]
    assert listed(order="-size") == ["v1", "v2", "v0"]
    pages = api.artifacts("dataset", "p/raw", per_page=2)
    assert names(islice(pages, 2)) == ["raw:v2", "raw:v1"]
    assert names(api.artifacts("dataset", "p/raw", start=pages.cursor)) == ["raw:v0"]
    assert (len(pages), pages.length, pages[0].name) == (3, 3, "raw:v2")
    assert len(api.artifact_versions("dataset", "p/raw")) == 3
    with pytest.raises(ValueError, match="unknown key 'loss'"):
        api.artifacts("dataset", "p/raw", order="loss")


def test_artifacts_with_tags_have_all_of_them(api: Api, project: lineage.Project) -> None:
    """One text is one tag; links have the tags of what they stand for, also of another project."""
    log("raw", "1", tags=["a", "b"])
    log("raw", "2", tags=["a"]).link("wandb-registry-data/Good data")
    log("raw", "3")

    assert names(api.artifacts("dataset", "raw", tags=["a", "b"])) == ["raw:v0"]
    assert names(api.artifacts("dataset", "raw", tags="a")) == ["raw:v1", "raw:v0"]
    assert len(api.artifacts("dataset", "raw", tags=["c"])) == 0
    assert names(api.artifacts("dataset", "wandb-registry-data/Good data", tags=["a"])) == ["Good data:v0"]


@pytest.mark.parametrize(("type", "name"), [("dataset", "nope"), ("model", "raw"), ("dataset", "not a name!")])
def test_collection_that_is_not_there_is_a_comm_error(api: Api, project: lineage.Project, type: str, name: str) -> None:
    """No such name, or one of another type; W&B's sentence names the type."""
    log("raw", "1")

    for ask in (api.artifacts, api.artifact_collection):
        with pytest.raises(CommError, match="Could not find artifact"):
            ask(type, name)
    assert not api.artifact_collection_exists(name, type)
    with pytest.raises(CommError, match="a collection has no alias"):
        api.artifact_collection("dataset", "raw:v0")


def test_types_and_collections_are_listed(api: Api, project: lineage.Project) -> None:
    """Types by name, collections newest first or by a filter; files and media of runs are apart."""
    log("raw", "1")
    log("clean", "2", aliases=["best"])
    log("convnet", "3", type="model")
    Path("a.txt").write_text("a")
    with init(project="p") as run:
        run.save("a.txt")

    kind = api.artifact_type("dataset", "p")

    assert [one.name for one in api.artifact_types("p")] == ["dataset", "model"]
    assert [one.name for one in api.project("p").artifacts_types()] == ["dataset", "model"]
    assert (kind.id, kind.type, repr(kind)) == ("dataset", "dataset", "<ArtifactType dataset>")
    assert [one.name for one in kind.collections()] == ["clean", "raw"]
    assert [one.name for one in kind.collections(order="name", start="1")] == ["raw"]
    assert [one.name for one in kind.collections({"name": {"$regex": "^r"}})] == ["raw"]
    assert kind.collection("raw").name == "raw"
    assert [one.name for one in api.artifact_collections("p", "model")] == ["convnet"]
    assert [one.name for one in api.project("p").collections(order="name")] == ["clean", "convnet", "raw"]
    assert [one.name for one in api.project("p").collections({"alias": "best"})] == ["clean"]
    assert api.project("p").created_at is not None
    with pytest.raises(CommError, match="Could not find artifact type 'nope'"):
        api.artifact_type("nope", "p")
    with pytest.raises(CommError, match="unknown key 'size'"):
        api.project("p").collections(order="size")


# --- one collection ---


def test_collection_shows_what_it_is(api: Api, project: lineage.Project) -> None:
    """A name, its type, the aliases of all its versions, and the versions."""
    log("raw", "1", aliases=["best"])
    log("raw", "2", aliases=["new"])

    found = api.artifact_collection("dataset", "bob/p/raw")

    assert (found.name, found.type, found.entity, found.project) == ("raw", "dataset", "bob", "p")
    assert (found.aliases, found.tags, found.description) == (["best", "latest", "new"], [], None)
    assert names(found.artifacts()) == names(found.versions()) == ["raw:v1", "raw:v0"]
    assert names(found.versions({"alias": "best"})) == ["raw:v0"]
    assert found.created_at < found.updated_at
    assert found.is_sequence()
    assert (repr(found), found.organization) == ("<ArtifactCollection raw (dataset)>", None)
    assert found.id == project.artifact("raw").uid
    assert api.artifact("raw:v0").collection.name == "raw"
    assert api.artifact_collection_exists("p/raw", "dataset")


def test_collection_save_keeps_name_type_and_description(api: Api, project: lineage.Project) -> None:
    """All at once; ``load`` drops what was not kept."""
    log("raw", "1")
    found = api.artifact_collection("dataset", "raw")
    found.name, found.type, found.description = "clean", "table", "words"

    before = names(api.artifacts("dataset", "raw"))
    found.save()
    found.name = "dropped"
    found.load()

    assert (before, names(api.artifacts("table", "clean")), found.name) == (["raw:v0"], ["clean:v0"], "clean")
    again = api.artifact_collection("table", "clean")
    assert again.description == "words"
    again.description = None
    again.save()
    assert api.artifact_collection("table", "clean").description is None


def test_collection_save_leaves_the_edits_of_others(api: Api, project: lineage.Project) -> None:
    """A type that is changed after others wrote a description leaves their words, and theirs leaves the type."""
    log("raw", "1")
    first, second, third = (api.artifact_collection("dataset", "raw") for _ in range(3))
    first.description = "words"
    first.save()
    second.type = "table"
    second.save()
    third.name = "clean"
    third.save()

    found = project.artifact("clean")
    assert (found.description, found.type) == ("words", "table")


def test_collection_save_that_cannot_be_changes_nothing(api: Api, project: lineage.Project) -> None:
    """A name that is taken or may not be, with a type that could be changed."""
    log("raw", "1")
    log("other", "2")

    for name in ("other", "a/b", ""):
        found = api.artifact_collection("dataset", "raw")
        found.name, found.type = name, "table"
        with pytest.raises(CommError):
            found.save()

    assert (project.artifact("raw").type, project.artifact("other").type) == ("dataset", "dataset")
    with pytest.raises(UnsupportedError, match="tag its versions"):
        found.tags = ["a"]
    found.tags = []


def test_change_type_changes_it_at_once(api: Api, project: lineage.Project) -> None:
    """W&B's older way; to the type it has, nothing happens."""
    log("raw", "1")
    found = api.artifact_collection("dataset", "raw")

    found.change_type("dataset")
    found.change_type("table")

    assert (found.type, api.artifact("raw:v0").type) == ("table", "table")


@pytest.mark.parametrize("type", ["job", "code", "run_table", "run_files", "run_media", "wandb-history"])
def test_internal_types_are_changed_neither_to_nor_from(api: Api, project: lineage.Project, type: str) -> None:
    """By either way, and the message says which of the two is internal."""
    log("raw", "1")
    project.log_artifact(draft("inner", {"a": "1"}, type=type))
    to, away = api.artifact_collection("dataset", "raw"), api.artifact_collection(type, "inner")

    for found, new, which in ((to, type, "new"), (away, "dataset", "current")):
        with pytest.raises(ValueError, match=f"The {which} type '{type}' is an internal type"):
            found.change_type(new)
        found.type = new
        with pytest.raises(ValueError, match="Failed to save artifact collection"):
            found.save()

    assert (project.artifact("raw").type, project.artifact("inner").type) == ("dataset", type)


def test_collection_delete_takes_all_versions(api: Api, project: lineage.Project) -> None:
    """Whatever aliases they have; the lineage stays."""
    log("raw", "1", aliases=["best"])
    found = api.artifact_collection("dataset", "raw")

    found.delete()

    assert not api.artifact_exists("raw:v0")
    assert project.version("raw:v0", include_deleted=True).deleted
    with pytest.raises(CommError, match="no artifact 'raw'"):
        found.delete()
    with pytest.raises(CommError, match="Could not find artifact collection"):
        found.artifacts()


# --- links and registries ---


@pytest.fixture
def registry(project: lineage.Project) -> lineage.Project:
    """A registry ``model`` with a collection of two links."""
    first = log("convnet", "1", type="model", tags=["small"])
    first.link("wandb-registry-model/My Model", aliases=["production"])
    log("convnet", "2", type="model").link("wandb-registry-model/My Model")
    return project


def test_links_of_a_registry_are_found_like_artifacts(api: Api, registry: lineage.Project) -> None:
    """By the registry's project and the collection, whose numbers and aliases are its own."""
    found = api.artifact("wandb-registry-model/My Model:production")

    assert (found.name, found.source_name, found.is_link) == ("My Model:v0", "convnet:v0", True)
    assert (found.project, found.source_project) == ("wandb-registry-model", "p")
    assert names(api.artifacts("model", "wandb-registry-model/My Model")) == ["My Model:v1", "My Model:v0"]
    assert api.artifact_exists("ada/wandb-registry-model/My Model:latest")
    assert found.collection.name == "My Model"
    assert found.source_collection.name == "convnet"


def test_collection_of_links_is_no_sequence(api: Api, registry: lineage.Project) -> None:
    """It has no type of its own to change, can be renamed, and its end is not that of what it links to."""
    found = api.artifact_collection("model", "wandb-registry-model/My Model")

    assert (found.is_sequence(), found.aliases) == (False, ["production", "latest"])
    with pytest.raises(ValueError, match="is a sequence"):
        found.type = "dataset"
    with pytest.raises(ValueError, match="needs to be a sequence"):
        found.change_type("dataset")
    found.name = "Our Model"
    found.save()
    assert api.artifact("wandb-registry-model/Our Model:production").source_name == "convnet:v0"
    found.delete()
    assert names(api.artifacts("model", "convnet")) == ["convnet:v1", "convnet:v0"]
    assert not api.artifact_collection_exists("wandb-registry-model/Our Model", "model")


def test_registries_list_collections_and_versions(api: Api, registry: lineage.Project) -> None:
    """Registries by name, with or without the prefix, and what is in them by filter."""
    api.create_registry("empty")
    log("convnet", "3", type="model").link("model-registry/Other")
    found = api.registry("model", organization="org")
    registries = api.registries(organization="org")

    assert [one.name for one in registries] == [one.name for one in registries] == ["model-registry", "empty", "model"]
    assert [one.name for one in api.registries(filter={"name": {"$regex": "^model$"}})] == ["model"]
    assert [one.name for one in api.registries(filter={"name": "empty"})] == ["empty"]
    assert [one.name for one in registries.collections({"name": "My Model"})] == ["My Model"]
    assert names(registries.collections().versions({"alias": "latest"})) == ["Other:v0", "My Model:v1"]
    assert names(registries.versions({"tag": "small"})) == ["My Model:v0"]
    assert names(registries.versions({"metadata.iou": {"$exists": False}}, start="2")) == ["My Model:v0"]
    assert (found.full_name, found.name, found.path) == (
        "wandb-registry-model",
        "model",
        ["org", "wandb-registry-model"],
    )
    assert [one.name for one in found.collections()] == ["My Model"]
    assert names(found.versions()) == ["My Model:v1", "My Model:v0"]
    assert (found.artifact_types, found.description, found.visibility) == (["model"], None, "organization")
    assert (found.organization, found.entity, repr(found)) == ("org", "org", "<Registry model>")
    assert found.id.endswith("wandb-registry-model.lineage")
    assert found.created_at is not None
    found.save()
    assert api.registry("wandb-registry-model").full_name == "wandb-registry-model"


def test_registry_calls_that_cannot_be_are_refused(api: Api, registry: lineage.Project) -> None:
    """One that is not there, one that is, another key or operator, and the end of a file."""
    with pytest.raises(CommError, match="not found"):
        api.registry("nope")
    with pytest.raises(CommError, match="Failed to create registry 'model'"):
        api.create_registry("model")
    with pytest.raises(ValueError, match="unknown key 'description'"):
        api.registries(filter={"description": "x"})
    with pytest.raises(ValueError, match="unknown operator '.gt'"):
        api.registries(filter={"name": {"$gt": "x"}})
    with pytest.raises(UnsupportedError, match="wandb-registry-model.lineage"):
        api.registry("model").delete()
    with pytest.raises(CommError, match="unknown key 'name'"):
        api.registry("model").versions({"name": "x"})


# --- what there is not ---


@pytest.mark.parametrize("name", sorted(UNSUPPORTED))
def test_what_has_no_meaning_here_says_what_to_use_instead(api: Api, name: str) -> None:
    """By name, with the sentence of the table."""
    with pytest.raises(UnsupportedError, match=f"^Api.{name}: ") as caught:
        getattr(api, name)("x", y=1)

    assert UNSUPPORTED[name] in str(caught.value)


def test_api_has_no_other_attributes(api: Api) -> None:
    """What W&B's has not is an AttributeError."""
    assert not hasattr(api, "nope")
    assert api.user_agent.startswith("lineage ")


def test_public_names_are_those_the_module_says() -> None:
    """Each is there, and each class of W&B's stands in the module where W&B has it."""
    from lineage.wandb.apis.public.api import Api as ApiThere
    from lineage.wandb.apis.public.artifacts import ArtifactCollection as CollectionThere
    from lineage.wandb.apis.public.runs import Run as RunThere

    assert all(hasattr(public, name) for name in public.__all__)
    assert (public.Api, public.ArtifactCollection, public.Run) == (ApiThere, CollectionThere, RunThere)
    assert ArtifactCollection is CollectionThere


def _another_project(path: Path) -> None:
    path.rename("gone.lineage")
    lineage.open(path)


def _one_that_used_it(path: Path) -> None:
    """Put a project in its place that knows the version as another's, too."""
    version = lineage.open(path).version("raw:v0")
    lineage.open("c.lineage").start_run(use=[version]).finish()
    path.unlink()
    Path("c.lineage").rename(path)


def _garbage(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("spoil", [Path.unlink, _another_project, _one_that_used_it, _garbage, _folder])
def test_inputs_of_a_project_that_was_replaced_are_listed(api: Api, spoil: Callable[[Path], None]) -> None:
    """What a run used of another project is known here, whatever now bears the name of that project's file."""
    log(project="b")
    with init(project="p", id="user") as run:
        run.use_artifact("b/raw:v0")
    spoil(Path("b.lineage"))

    (found,) = api.run("user").used_artifacts()

    assert (found.source_name, found.type, found.aliases) == ("raw:v0", "dataset", [])
    assert (found.project, found.source_project) == ("p", "b")


@pytest.mark.parametrize("name", ["b.lineage", "zz.lineage"])
def test_link_to_a_project_that_was_replaced_is_listed(api: Api, name: str) -> None:
    """A collection shows what it has, also where what it stands for is not to be had any more."""
    log(project="b").link("p/shelf")
    _another_project(Path("b.lineage"))
    Path(name).write_bytes(b"no database" * 1000)

    assert names(api.artifacts("dataset", "shelf")) == ["shelf:v0"]


def test_look_up_by_id_brings_no_strangers_file_up_to_date(project: lineage.Project) -> None:
    """Looking for an id that nobody has leaves a project of an older format as it is."""
    shutil.copytree(Path(__file__).parent / "data" / "format1", ".", dirs_exist_ok=True)
    before = Path("old.lineage").read_bytes()
    with init(project="p") as run, pytest.raises(CommError, match="no artifact with the id"):
        run.use_artifact("wandb-artifact://_id/none")

    assert (Path("old.lineage").read_bytes(), Path("old.lineage.format1").exists()) == (before, False)


def test_look_up_by_id_does_not_take_damage_for_absence(project: lineage.Project) -> None:
    """A project that may have the id, but is damaged, is named, unless another has it."""
    artifact = log(project="b")
    damaged = Path("a.lineage")
    lineage.open(damaged)
    damaged.write_bytes(damaged.read_bytes()[:4096] + b"\xff" * 8192)
    with init(project="p") as run:
        found = run.use_artifact(f"wandb-artifact://_id/{artifact.id}")
        with pytest.raises(lineage.CorruptionError, match=r"a\.lineage"):
            run.use_artifact("wandb-artifact://_id/none")

    assert found.id == artifact.id


def test_what_is_found_by_id_may_be_changed(project: lineage.Project) -> None:
    """The project that has it is looked at for reading, and then opened as any."""
    artifact = log(project="b")
    with init(project="p") as run:
        found = run.use_artifact(f"wandb-artifact://_id/{artifact.id}")
        found.tags.append("seen")
        found.save()

    assert lineage.open("b.lineage").version("raw:v0").tags == ("seen",)


def test_damage_stays_an_error_of_lineage(api: Api) -> None:
    """What no script could expect is not dressed up as one of W&B's errors."""
    Path("p.lineage").write_bytes(b"no database at all")

    with pytest.raises(lineage.LineageError) as caught:
        api.run("mine")

    assert not isinstance(caught.value, Error)
