"""What config and summary of lineage.wandb keep, and artifacts as values of a config."""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import lineage
from lineage import wandb
from lineage.wandb.errors import CommError, UsageError
from lineage.wandb.sdk.lib.config_util import ConfigError


@pytest.fixture(autouse=True)
def _no_run_left() -> Iterator[None]:
    """End each test with no run active."""
    yield
    wandb.teardown()


@pytest.fixture
def run() -> wandb.Run:
    """Return a run of project p, active until the test ends."""
    return wandb.init(project="p", entity="team", id="run1", config={"lr": 0.1})


@pytest.fixture
def data() -> lineage.Version:
    """Return a version of project p that a run of its own logged."""
    with wandb.init(project="p", id="maker") as maker:
        artifact = wandb.Artifact("data", "dataset")
        with artifact.new_file("a.txt") as file:
            file.write("one")
        maker.log_artifact(artifact, aliases=["best"])
    return lineage.open("p.lineage").version("data:v0")


def stored(run_id: str = "run1") -> lineage.Run:
    return lineage.open("p.lineage", create=False).run(run_id)


# --- config ---


def test_config_is_kept(run: wandb.Run) -> None:
    """What is set in every way is in the project once the run has finished."""
    run.config["a"] = 1
    run.config.b = {"x": [1, 2]}
    wandb.config.update({"c": (3, 4)})
    wandb.config.d = None
    run.finish()

    kept = {key: value for key, value in stored().config.items() if not key.startswith("_")}
    assert kept == {"lr": 0.1, "a": 1, "b": {"x": [1, 2]}, "c": [3, 4], "d": None}


def test_config_survives_a_crash(run: wandb.Run) -> None:
    """What is set is written with the next thing the run writes."""
    run.config["a"] = 1
    run.log_artifact(wandb.Artifact("x", "t"))

    assert stored().config["a"] == 1


def test_config_update_is_all_or_nothing(run: wandb.Run) -> None:
    """One value that may not be, and none of the update is kept."""
    with pytest.raises(ConfigError):
        run.config.update({"new": 1, "lr": 0.2})
    with pytest.raises(TypeError):
        run.config.update({"new": 1, "bad": wandb.Table(columns=["a"])})

    assert dict(run.config) == {"lr": 0.1}


def test_config_keeps_what_json_cannot_hold_as_text(run: wandb.Run) -> None:
    """Functions, devices and other objects of a config become text, and end no program."""
    run.config.update({"loss": len, "device": complex(1, 2), "deep": {"f": [print]}})
    run.finish()

    kept = stored().config
    assert (kept["loss"], kept["device"], kept["deep"]) == ("builtins.len", "(1+2j)", {"f": ["builtins.print"]})


@pytest.mark.parametrize("how", ["init", "update"])
def test_config_has_an_infinity_as_a_number(how: str) -> None:
    """An infinity is a number to the run, and text in the project, as JSON has none."""
    given = {"clip": float("inf"), "floor": float("-inf")}
    run = wandb.init(project="p", id="run1", config=given if how == "init" else None)
    run.config.update(given)
    seen = (run.config.clip, run.config["floor"])
    run.finish()

    assert seen == (float("inf"), float("-inf"))
    assert (stored().config["clip"], stored().config["floor"]) == ("inf", "-inf")


def test_init_with_a_media_object_in_its_config_is_refused() -> None:
    """A media object is no value of a config, and no run begins."""
    with pytest.raises(TypeError, match="WBValue"):
        wandb.init(project="p", config={"t": wandb.Table(columns=["a"])})

    assert wandb.run is None


@dataclasses.dataclass
class Options:
    lr: float = 0.5
    layers: int = 2


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"a": 1}, {"a": 1}),
        (argparse.Namespace(a=1), {"a": 1}),
        (SimpleNamespace(a=1), {"a": 1}),
        (Options(), {"lr": 0.5, "layers": 2}),
        (None, {}),
        ({"--a-b-": 1}, {"--a-b-": 1}),
    ],
    ids=["dict", "argparse", "namespace", "dataclass", "none", "dashes"],
)
def test_init_takes_configs_of_all_kinds(given: Any, kept: dict[str, Any]) -> None:
    """A config is a dict, a namespace or a dataclass."""
    assert dict(wandb.init(project="p", config=given).config) == kept


def test_init_takes_a_config_file() -> None:
    """A config may be the path of a JSON file, also in W&B's form."""
    Path("c.json").write_text(json.dumps({"a": 1, "b": {"value": 2, "desc": "words"}}))

    assert dict(wandb.init(project="p", config="c.json").config) == {"a": 1, "b": 2}


def test_init_takes_a_yaml_file() -> None:
    """A config may be the path of a YAML file where PyYAML is installed."""
    pytest.importorskip("yaml")
    Path("c.yaml").write_text("a: 1\nb:\n  value: 2\n  desc: words\n")

    assert dict(wandb.init(project="p", config="c.yaml").config) == {"a": 1, "b": 2}


def test_init_of_a_config_file_that_is_not_there_is_refused() -> None:
    """A file that is not there is named."""
    with pytest.raises(UsageError, match=r"none\.json"):
        wandb.init(project="p", config="none.json")


def test_init_chooses_keys() -> None:
    """Keys can be left out of a config, or only some taken."""
    given = {"a": 1, "b": 2, "c": 3}
    with wandb.init(project="p", config=given, config_exclude_keys=["a"]) as one:
        without = dict(one.config)
    with wandb.init(project="p", config=given, config_include_keys=["a"]) as other:
        only = dict(other.config)

    assert (without, only) == ({"b": 2, "c": 3}, {"a": 1})


def test_config_of_a_run_that_may_change_values() -> None:
    """With allow_val_change, a run's config changes without further word."""
    run = wandb.init(project="p", config={"a": 1}, allow_val_change=True)
    run.config.a = 2

    assert run.config.a == 2


def test_config_in_a_notebook_may_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a notebook, where a cell is run again, values change without further word."""
    shell = type("ZMQInteractiveShell", (), {})()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    run = wandb.init(project="p", config={"a": 1})
    run.config.a = 2

    assert run.config.a == 2


def test_config_keeps_what_is_hidden(run: wandb.Run) -> None:
    """The definitions of metrics are in the config, hidden from its keys."""
    run.define_metric("loss", step_metric="epoch", summary="min")
    run.finish()

    assert set(run.config.keys()) == {"lr"}
    hidden: Any = stored().config["_wandb"]
    assert hidden["metrics"] == [{"name": "loss", "step_metric": "epoch", "summary": ["min"], "goal": None}]


# --- artifacts in config ---


@pytest.mark.parametrize("how", ["artifact", "path", "host", "short", "id", "json"])
def test_artifact_in_config_is_used(run: wandb.Run, data: lineage.Version, how: str) -> None:
    """An artifact as a value, or a text or JSON that stands for one, is used and comes back as an artifact."""
    artifact = wandb.Api().artifact("p/data:v0")
    values: dict[str, Any] = {
        "artifact": artifact,
        "path": "wandb-artifact://team/p/data:best",
        "host": "wandb-artifact://localhost:8080/team/p/data:v0",
        "short": "wandb-artifact://data:v0",
        "id": f"wandb-artifact://_id/{data.uid}",
        "json": artifact.json_encode(),
    }
    run.config.update({"set": values[how]})
    found = run.config["set"]

    assert (type(found), found.name, wandb.config.set.name) == (wandb.Artifact, "data:v0", "data:v0")
    assert [version.reference for version in stored().used_artifacts()] == ["data:v0"]
    assert list(stored().used_as().values()) == ["set"]


@pytest.fixture(autouse=True)
def _data_first(request: pytest.FixtureRequest) -> None:
    """Log the data before the run of the test begins."""
    if "data" in request.fixturenames:
        request.getfixturevalue("data")


def test_artifact_in_config_is_kept_as_a_small_dict(run: wandb.Run, data: lineage.Version) -> None:
    """What is stored of an artifact in a config is W&B's small dict."""
    run.config["set"] = wandb.Api().artifact("p/data:v0")
    run.finish()

    assert stored().config["set"] == {
        "_type": "artifactVersion",
        "_version": "v0",
        "id": data.uid,
        "version": "v0",
        "sequenceName": "data",
        "usedAs": "set",
    }


def test_artifact_in_the_config_of_init(data: lineage.Version) -> None:
    """An artifact in the config that init is given is used, too."""
    with wandb.init(project="p", id="x", config={"set": "wandb-artifact://team/p/data:v0", "lr": 1}) as run:
        assert (run.config.set.version, run.config.lr) == ("v0", 1)

    assert [version.reference for version in stored("x").used_artifacts()] == ["data:v0"]


def test_artifact_in_config_of_a_draft_is_logged(run: wandb.Run) -> None:
    """A draft in a config is logged as an input."""
    run.config["set"] = wandb.Artifact("fresh", "dataset")

    assert [version.reference for version in stored().used_artifacts()] == ["fresh:v0"]


def test_artifact_in_config_does_not_change(run: wandb.Run, data: lineage.Version) -> None:
    """An artifact of a config is changed only with allow_val_change, and otherwise not used."""
    run.config["set"] = "wandb-artifact://data:v0"
    other = wandb.Artifact("other", "dataset")
    with pytest.raises(ConfigError, match="set"):
        run.config["set"] = other
    run.config["set"] = "wandb-artifact://data:latest"

    assert run.config["set"].name == "data:v0"
    assert [version.reference for version in stored().used_artifacts()] == ["data:v0"]
    assert other.is_draft()


def test_artifact_in_config_changes_when_allowed(run: wandb.Run, data: lineage.Version) -> None:
    """With allow_val_change another artifact takes the place of the first."""
    run.config["set"] = "wandb-artifact://data:v0"
    run.config.update({"set": wandb.Artifact("other", "dataset")}, allow_val_change=True)

    assert run.config["set"].name == "other:v0"


def test_artifact_in_config_that_is_not_there(run: wandb.Run) -> None:
    """A text that names no artifact is a CommError, and nothing is set."""
    with pytest.raises(CommError):
        run.config["set"] = "wandb-artifact://team/p/none:v0"
    with pytest.raises(CommError):
        run.config["set"] = "wandb-artifact://_id/none"

    assert "set" not in run.config


def test_artifact_in_config_is_an_artifact_after_resuming(run: wandb.Run, data: lineage.Version) -> None:
    """A resumed run has the artifacts of its config as artifacts again."""
    run.config["set"] = "wandb-artifact://data:v0"
    run.finish()
    again = wandb.init(project="p", id="run1", resume="must")

    assert again.config["set"]["sequenceName"] == "data"
    again.config.update({"set": again.config["set"]}, allow_val_change=True)
    assert again.config["set"].name == "data:v0"


def test_artifact_deeper_in_config_is_refused(run: wandb.Run, data: lineage.Version) -> None:
    """An artifact inside another value is refused."""
    with pytest.raises(ValueError, match="can only be top level keys"):
        run.config["sets"] = {"train": {"raw": wandb.Api().artifact("p/data:v0")}}


# --- summary ---


def test_summary_is_kept(run: wandb.Run) -> None:
    """What is logged and what is set is in the project."""
    run.log({"loss": 0.5, "val": {"acc": 0.9}})
    run.summary["best"] = 1
    wandb.summary.note = "words"
    run.summary["val"]["f1"] = 0.8
    run.summary.update({"more": {"deep": [1, 2]}})
    run.finish()

    kept = {key: value for key, value in stored().summary.items() if not key.startswith("_")}
    assert kept == {
        "loss": 0.5,
        "val": {"acc": 0.9, "f1": 0.8},
        "best": 1,
        "note": "words",
        "more": {"deep": [1, 2]},
    }


def test_summary_has_step_runtime_and_timestamp(run: wandb.Run) -> None:
    """A log leaves the step and the times in the summary."""
    run.log({"a": 1}, step=4)

    assert run.summary["_step"] == 4
    assert run.summary["_timestamp"] >= run.start_time
    assert run.summary["_runtime"] >= 0


def test_summary_of_a_large_array_is_its_statistics(run: wandb.Run) -> None:
    """A large array is kept as a few numbers."""
    np = pytest.importorskip("numpy")
    run.summary["w"] = np.arange(1000.0)

    assert (run.summary["w"]["min"], run.summary["w"]["max"], run.summary["w"]["mean"]) == (0.0, 999.0, 499.5)


def test_summary_may_be_set_again(run: wandb.Run) -> None:
    """A summary's values change without further word, and go."""
    run.summary["a"] = 1
    run.summary["a"] = {"b": 2}
    run.summary["a"]["b"] = 3
    del run.summary["a"]["b"]

    assert dict(run.summary["a"].items()) == {}


def test_summary_is_a_dict_to_look_at(run: wandb.Run) -> None:
    """A summary is measured, iterated, compared and shown like a dict."""
    run.summary.update({"a": 1, "b": {"c": 2}})

    assert (len(run.summary), sorted(run.summary), run.summary["b"] == {"c": 2}) == (2, ["a", "b"], True)
    assert repr(run.summary) == "{'a': 1, 'b': {'c': 2}}"


def test_defined_metric_decides_what_is_kept(run: wandb.Run) -> None:
    """The summary keeps of a metric what was defined for it; a metric's own definition wins over a pattern's."""
    run.define_metric("val/*", summary="max")
    run.define_metric("val/loss", summary="min,last")
    run.define_metric("hidden", summary="none")
    for value in (3, 1, 2):
        run.log({"val/loss": value, "val/acc": value, "hidden": value, "plain": value})

    assert (run.summary["val/loss"], run.summary["val/acc"], run.summary["plain"]) == (
        {"min": 1, "last": 2},
        {"max": 3},
        2,
    )
    assert "hidden" not in run.summary


def test_defined_again_adds_unless_overwritten(run: wandb.Run) -> None:
    """A second definition adds to the first; with overwrite it takes its place."""
    run.define_metric("loss", step_metric="epoch", summary="min")
    added = run.define_metric("loss", summary="max")
    anew = run.define_metric("loss", overwrite=True)

    assert (added.step_metric, added.summary, anew.step_metric, anew.summary) == ("epoch", ("max",), None, ())


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_are_dicts_of_their_own(run: wandb.Run, duplicate: Any) -> None:
    """A copy of config or summary, also a pickled one, is a plain dict, and a change of it changes no run."""
    run.config.update({"a": {"b": 1}, "clip": float("inf")})
    run.summary["m"] = {"n": 2}

    copies = [duplicate(one) for one in (run.config, run.summary, run.summary.m)]
    seen = repr(copies)
    copies[0]["a"]["b"] = copies[1]["m"]["n"] = copies[2]["n"] = 3

    assert seen == "[{'lr': 0.1, 'a': {'b': 1}, 'clip': inf}, {'m': {'n': 2}}, {'n': 2}]"
    assert (run.config["a"], run.summary.m.n) == ({"b": 1}, 2)
