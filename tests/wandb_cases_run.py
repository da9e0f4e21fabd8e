"""Questions about runs: what init takes, metrics, config, summary, files, and what a finished run refuses."""

from __future__ import annotations

import argparse
import dataclasses
import enum
import fractions
import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from wandb_case import Case, Raises, caught, file

BEFORE: dict[tuple[str, str], object] = {}
"""What was raised before any run was active: package and question to class and message."""
FINISHED: dict[str, Any] = {}
"""A run of each package that has finished."""
OLDER = "W&B 0.31 took the argument away; scripts of before still give it"
LOCAL = "a run here always has its project file, so nothing waits for a server"

EARLY: dict[str, Callable[[Any], object]] = {
    "log": lambda w: w.log({"a": 1}),
    "log_artifact": lambda w: w.log_artifact("x"),
    "use_artifact": lambda w: w.use_artifact("x"),
    "define_metric": lambda w: w.define_metric("x"),
    "save": lambda w: w.save("x"),
    "watch": lambda w: w.watch(None),
    "alert": lambda w: w.alert("a", "b"),
    "config.x": lambda w: w.config.x,
    "config['x']": lambda w: w.config["x"],
    "config.update": lambda w: w.config.update({"x": 1}),
    "config.x = 1": lambda w: setattr(w.config, "x", 1),
    "summary['x']": lambda w: w.summary["x"],
    "summary['x'] = 1": lambda w: w.summary.__setitem__("x", 1),
    "run": lambda w: w.run,
    "finish": lambda w: w.finish(),
}


def prepare(w: Any, folder: Path) -> None:
    """Ask what is asked before a run, start one and finish it, and start the run that the cases work with."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, ask in EARLY.items():
        try:
            BEFORE[w.__name__, name] = ask(w)
        except Exception as error:  # noqa: BLE001 (whatever comes is the answer)
            BEFORE[w.__name__, name] = error
    FINISHED[w.__name__] = w.init(project="p", dir=str(folder))
    FINISHED[w.__name__].finish()
    w.init(
        project="p",
        dir=str(folder),
        name="first",
        job_type="train",
        group="g",
        notes="words",
        tags=("a", "b"),
        config={"lr": 0.1, "nested": {"a": [1, 2]}, "_hidden": 1},
        entity="team",
        id="run1",
    )


def close(w: Any) -> None:
    """Finish the run of the cases."""
    w.finish()


def _raised(name: str) -> Callable[[Any, Path], object]:
    def ask(w: Any, p: Path) -> object:
        found = BEFORE[w.__name__, name]
        if isinstance(found, Exception):
            raise found
        return found

    return ask


def _alerts() -> Iterator[Case]:
    yield Case("2.10 helpers", "alert", lambda w, p: w.alert("a", "b", level=w.AlertLevel.WARN, wait_duration=3), None)
    yield Case("2.10 helpers", "alert level as text", lambda w, p: w.alert("a", "b", level="ERROR"), None)
    yield Case(
        "2.10 helpers",
        "alert level unknown",
        lambda w, p: w.alert("a", "b", level="X"),
        Raises("ValueError", "level must be one of"),
    )


def _before() -> Iterator[Case]:
    for name in EARLY:
        expected = None if name in ("run", "finish") else Raises("Error", "You must call wandb.init() before wandb.")
        yield Case("2.10 before init", name, _raised(name), expected)


def _set(attribute: str, value: object) -> Callable[[Any, Path], object]:
    def ask(w: Any, p: Path) -> object:
        before = getattr(w.run, attribute)
        setattr(w.run, attribute, value)
        now = getattr(w.run, attribute)
        setattr(w.run, attribute, before)
        return now

    return ask


def _attributes() -> Iterator[Case]:
    rule = "2.10 attributes"
    plain = {
        "id": "run1",
        "name": "first",
        "project": "p",
        "entity": "team",
        "path": "team/p/run1",
        "group": "g",
        "job_type": "train",
        "notes": "words",
        "tags": ("a", "b"),
        "resumed": False,
        "offline": True,
        "disabled": False,
        "sweep_id": None,
    }
    for name, value in plain.items():
        yield Case(rule, name, lambda w, p, name=name: getattr(w.run, name), value)
    for name, kind in {"start_time": "float", "step": "int", "dir": "str"}.items():
        yield Case(rule, name, lambda w, p, name=name: type(getattr(w.run, name)).__name__, kind)
    yield Case(rule, "dir is there", lambda w, p: Path(w.run.dir).is_dir(), True)
    yield Case(rule, "url", lambda w, p: type(w.run.url).__name__, "str", "NoneType", LOCAL + "; the url names it")
    yield Case(rule, "the module's run", lambda w, p: type(w.run) is w.Run, True)
    yield Case(rule, "name set", _set("name", "other"), "other")
    yield Case(rule, "notes set", _set("notes", "other"), "other")
    yield Case(rule, "tags set", _set("tags", ("c",)), ("c",))
    yield Case(rule, "tags added to", _tags_added, ("a", "b", "c"))
    yield Case(rule, "tags twice", _set("tags", ("c", "c")), ("c",), ("c", "c"), "a run bears a tag or does not")
    yield Case(rule, "a bad tag leaves them", lambda w, p: (setattr(w.run, "tags", ("",)), w.run.tags)[1], ("a", "b"))
    yield Case(
        rule, "a long tag leaves them", lambda w, p: (setattr(w.run, "tags", ("x" * 65,)), w.run.tags)[1], ("a", "b")
    )
    yield Case(rule, "a tag of 64", _set("tags", ("x" * 64,)), ("x" * 64,))
    yield Case(rule, "id cannot be set", lambda w, p: setattr(w.run, "id", "x"), Raises("AttributeError"))


def _tags_added(w: Any, p: Path) -> object:
    before = w.run.tags
    w.run.tags += ("c",)
    now = w.run.tags
    w.run.tags = before
    return now


def _steps(*calls: tuple[dict[str, Any], dict[str, Any]]) -> Callable[[Any, Path], object]:
    def ask(w: Any, p: Path) -> object:
        first = w.run.step
        for data, words in calls:
            later = {key: first + value if key == "step" else value for key, value in words.items()}
            w.log(data, **later)
        return w.run.step - first

    return ask


def _logging() -> Iterator[Case]:
    rule = "2.10 log"
    one = {"m": 1}
    yield Case(rule, "goes on", _steps((one, {})), 1)
    yield Case(rule, "twice", _steps((one, {}), (one, {})), 2)
    yield Case(rule, "commit=False stays", _steps((one, {"commit": False})), 0)
    yield Case(rule, "commit=False, then commit", _steps((one, {"commit": False}), (one, {})), 1)
    yield Case(rule, "a step stays", _steps((one, {"step": 5})), 5)
    yield Case(rule, "a step, then none", _steps((one, {"step": 5}), (one, {})), 6)
    yield Case(rule, "a step with commit", _steps((one, {"step": 5, "commit": True})), 6)
    yield Case(rule, "a step back is dropped", _steps((one, {"step": 5}), ({"m": 9}, {"step": 2})), 5)
    yield Case(rule, "empty", _steps(({}, {})), 1)
    for name, given in {"a list": [1], "a number": 3, "None": None}.items():
        yield Case(
            rule, f"{name} is refused", lambda w, p, given=given: w.log(given), Raises("TypeError", "dictionary")
        )
    yield Case(rule, "a key that is no text", lambda w, p: w.log({1: 2}), Raises("TypeError", "must be strings"))
    yield Case(
        rule,
        "an empty key",
        lambda w, p: caught(lambda: w.log({"": 2}, commit=False)),
        "ValueError",
        "",
        "a metric without a name cannot be asked for",
    )
    yield Case(rule, "a dropped value is not in the summary", _dropped, True)
    yield Case(rule, "a numpy scalar", lambda w, p: _summarized(w, np.float32(0.5)), 0.5)
    yield Case(rule, "a nested dict", lambda w, p: _summarized(w, {"a": {"b": 1}}, lambda s: s["a"]["b"]), 1)
    yield Case(rule, "text", lambda w, p: _summarized(w, "words"), "words")
    yield Case(rule, "a bool", lambda w, p: _summarized(w, True), True)
    yield Case(rule, "the last value", lambda w, p: (w.log({"k1": 1}), w.log({"k1": 2}), w.run.summary["k1"])[2], 2)
    yield Case(rule, "a step that is no number", lambda w, p: caught(lambda: w.log({"m": 1}, step="x")) != "", True)


def _summarized(w: Any, value: object, read: Callable[[Any], object] = lambda found: found) -> object:
    w.log({"value": value})
    return read(w.run.summary["value"])


def _dropped(w: Any, p: Path) -> object:
    w.log({"kept": 1})
    w.log({"kept": 2}, step=0)
    return w.run.summary["kept"] == 1


def _metric(name: str, values: list[float], **words: Any) -> Callable[[Any, Path], object]:
    def ask(w: Any, p: Path) -> object:
        w.define_metric(name, **words)
        for value in values:
            w.log({name: value})
        found = w.run.summary.get(name)
        return {key: found[key] for key in found.keys()} if hasattr(found, "keys") else found  # noqa: SIM118 (no dict)

    return ask


def _metrics() -> Iterator[Case]:
    rule = "2.10 define_metric"
    yield Case(rule, "name", lambda w, p: w.define_metric("m/x").name, "m/x")
    yield Case(rule, "glob", lambda w, p: w.define_metric("m/*", step_metric="m/step").name, "m/*")
    yield Case(rule, "all", lambda w, p: w.define_metric("all*", step_metric="s", step_sync=True).name, "all*")
    yield Case(rule, "step_metric", lambda w, p: w.define_metric("y", step_metric="x").step_metric, "x")
    yield Case(
        rule,
        "step_metric of a metric",
        lambda w, p: w.define_metric("y2", step_metric=w.define_metric("x2")).step_metric,
        "x2",
    )
    yield Case(rule, "min", _metric("d1", [3, 1, 2], summary="min"), {"min": 1})
    yield Case(rule, "max", _metric("d2", [1, 3, 2], summary="max"), {"max": 3})
    yield Case(rule, "mean", _metric("d3", [1, 2, 3], summary="mean"), {"mean": 2})
    yield Case(rule, "two", _metric("d4", [1, 3, 2], summary="min,max"), {"min": 1, "max": 3})
    yield Case(rule, "last", _metric("d5", [1, 3, 2], summary="last"), {"last": 2})
    yield Case(rule, "first", _metric("d6", [1, 3, 2], summary="first"), {"first": 1})
    yield Case(rule, "none", _metric("d7", [1, 3], summary="none"), None)
    yield Case(rule, "copy", _metric("d8", [1, 3], summary="copy"), 3)
    yield Case(
        rule,
        "best minimizes",
        _metric("d9", [3, 1, 2], summary="best", goal="minimize"),
        {"best": 1},
        Raises("TypeError", "goal"),
        OLDER,
    )
    yield Case(
        rule,
        "best maximizes",
        _metric("d10", [1, 3, 2], summary="best", goal="maximize"),
        {"best": 3},
        Raises("TypeError", "goal"),
        OLDER,
    )
    for name, words in {
        "a bad summary": {"summary": "median"},
        "a bad step": {"step_metric": 3},
        "a bad hidden": {"hidden": "x"},
    }.items():
        ask = lambda w, p, words=words: w.define_metric("z", **words)
        yield Case(rule, f"{name} is refused", ask, Raises("Error", "Unhandled define_metric() arg"))
    yield Case(
        rule, "a bad goal", lambda w, p: caught(lambda: w.define_metric("z", goal="x")), "Error", "TypeError", OLDER
    )
    yield Case(
        rule,
        "a bad summary type",
        lambda w, p: caught(lambda: w.define_metric("z", summary=3)),
        "Error",
        "TypeError",
        "as every other argument that cannot be",
    )
    yield Case(
        rule,
        "best without goal",
        _metric("d11", [3, 1, 2], summary="best"),
        {"best": 1},
        Raises("Error", "summary op: best"),
        OLDER,
    )
    yield Case(
        rule,
        "an empty name",
        lambda w, p: w.define_metric(""),
        Raises("Error", "define_metric() requires non-empty name argument"),
    )
    for given in ["a*b", "*a", 3]:
        yield Case(
            rule,
            f"name {given!r} is refused",
            lambda w, p, given=given: w.define_metric(given),
            Raises("Error", "Unhandled define_metric() arg: name"),
        )


class Thing:
    def __repr__(self) -> str:
        return "a thing"


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Options:
    batch: int = 8


def _config(*updates: object, read: Callable[[Any], object], **words: Any) -> Callable[[Any, Path], object]:
    def ask(w: Any, p: Path) -> object:
        for update in updates:
            w.config.update(update, **words)
        return read(w.run.config)

    return ask


def _configs() -> Iterator[Case]:
    rule = "2.11 config"
    yield Case(rule, "item", lambda w, p: w.config["lr"], 0.1)
    yield Case(rule, "attribute", lambda w, p: w.config.lr, 0.1)
    yield Case(rule, "of the run", lambda w, p: w.run.config.lr, 0.1)
    yield Case(rule, "nested", lambda w, p: w.config["nested"]["a"], [1, 2])
    yield Case(
        rule, "get", lambda w, p: (w.config.get("lr"), w.config.get("no"), w.config.get("no", 3)), (0.1, None, 3)
    )
    yield Case(rule, "in", lambda w, p: ("lr" in w.config, "no" in w.config), (True, False))
    yield Case(
        rule,
        "keys hide underscores",
        lambda w, p: sorted({"lr", "_hidden"} & set(w.run.config.keys())),
        ["lr"],
    )
    yield Case(
        rule,
        "items hide underscores",
        lambda w, p: [key for key, _ in w.run.config.items() if key in ("lr", "_hidden")],
        ["lr"],
    )
    yield Case(rule, "a hidden one is there", lambda w, p: w.run.config["_hidden"], 1)
    yield Case(
        rule,
        "as_dict",
        lambda w, p: {key: value for key, value in w.run.config.as_dict().items() if key in ("lr", "_hidden")},
        {"lr": 0.1},
    )
    yield Case(rule, "dict()", lambda w, p: dict(w.run.config)["lr"], 0.1)
    yield Case(rule, "dict(wandb.config)", lambda w, p: dict(w.config)["lr"], 0.1)
    yield Case(rule, "**", lambda w, p: (lambda **words: words["lr"])(**w.run.config), 0.1)
    yield Case(rule, "a missing attribute", lambda w, p: w.run.config.no, Raises("AttributeError", "no attribute 'no'"))
    yield Case(rule, "a missing item", lambda w, p: w.run.config["no"], Raises("KeyError"))
    yield Case(rule, "set an attribute", lambda w, p: (setattr(w.config, "c1", 1), w.config.c1)[1], 1)
    yield Case(rule, "set an item", lambda w, p: (w.config.__setitem__("c2", 2), w.config["c2"])[1], 2)
    yield Case(rule, "update", _config({"c3": 3}, read=lambda c: c.c3), 3)
    yield Case(rule, "update of a namespace", _config(argparse.Namespace(c4=4), read=lambda c: c.c4), 4)
    yield Case(rule, "dashes", _config({"--c5-x": 5}, read=lambda c: c["c5-x"]), 5)
    yield Case(
        rule,
        "setdefaults",
        lambda w, p: (w.config.setdefaults({"lr": 9, "c6": 6}), w.config.lr, w.config.c6)[1:],
        (0.1, 6),
    )
    message = 'Attempted to change value of key "lr" from 0.1 to 0.2'
    yield Case(rule, "a change by attribute", lambda w, p: setattr(w.config, "lr", 0.2), Raises("ConfigError", message))
    yield Case(rule, "a change by item", lambda w, p: w.config.__setitem__("lr", 0.2), Raises("ConfigError", message))
    yield Case(
        rule,
        "a change by update",
        _config({"lr": 0.2}, read=lambda c: c.lr),
        Raises("ConfigError", "allow_val_change=True"),
    )
    yield Case(rule, "the same value", _config({"lr": 0.1}, read=lambda c: c.lr), 0.1)
    yield Case(rule, "an allowed change", _config({"c7": 1}, {"c7": 2}, read=lambda c: c.c7, allow_val_change=True), 2)
    yield Case(rule, "a tuple again", _config({"c8": (1, 2)}, {"c8": (1, 2)}, read=lambda c: list(c.c8)), [1, 2])
    yield Case(rule, "numpy", _config({"c9": np.float64(0.5)}, read=lambda c: type(c.c9).__name__), "float")
    yield Case(rule, "a numpy array", _config({"c10": np.array([1, 2])}, read=lambda c: c.c10), [1, 2])
    yield Case(rule, "None", _config({"c11": None}, read=lambda c: c.c11), None)
    yield Case(
        rule,
        "a media object",
        lambda w, p: w.config.update({"c12": w.Table(columns=["a"])}),
        Raises("TypeError", "WBValue objects cannot be added to the run config"),
    )
    yield Case(
        rule,
        "an artifact inside a value",
        lambda w, p: w.config.update({"c13": {"a": w.Artifact("a", "t")}}),
        Raises("ValueError", "Instances of wandb.Artifact can only be top level keys in a run's config"),
    )
    yield Case(
        rule,
        "a path of text inside a value",
        lambda w, p: w.config.update({"c14": {"a": "wandb-artifact://x/y/z:v0"}}),
        Raises("ValueError", "can only be top level keys"),
    )
    yield Case(rule, "a function", _config({"c16": len}, read=lambda c: c.c16), "builtins.len")
    yield Case(rule, "a class", _config({"c17": int}, read=lambda c: c.c17), "builtins.int")
    yield Case(rule, "an object", _config({"c18": Thing()}, read=lambda c: c.c18), "a thing")
    yield Case(rule, "infinity", _config({"c19": float("inf")}, read=lambda c: c.c19), float("inf"))
    yield Case(rule, "nan", _config({"c20": float("nan")}, read=lambda c: c.c20), None)
    yield Case(rule, "a fraction", _config({"c21": fractions.Fraction(1, 2)}, read=lambda c: c.c21), "1/2")
    yield Case(rule, "an enum", _config({"c22": Colour.RED}, read=lambda c: c.c22), "RED")
    yield Case(rule, "not changed in place", _not_in_place, [1])
    yield Case(rule, "repr", lambda w, p: "'lr': 0.1" in repr(w.run.config), True)
    yield Case(rule, "iteration", lambda w, p: "lr" in list(w.run.config), True)
    yield Case(rule, "a callable default", lambda w, p: w.config.get("nope", "x"), "x")


def _not_in_place(w: Any, p: Path) -> object:
    given = {"c15": [1]}
    w.config.update(given)
    given["c15"].append(2)
    return w.run.config["c15"]


def _summaries() -> Iterator[Case]:
    rule = "2.11 summary"
    yield Case(rule, "set an item", lambda w, p: (w.summary.__setitem__("s1", 1), w.run.summary["s1"])[1], 1)
    yield Case(rule, "set an attribute", lambda w, p: (setattr(w.run.summary, "s2", 2), w.run.summary.s2)[1], 2)
    yield Case(
        rule, "update", lambda w, p: (w.run.summary.update({"s3": 3, "s4": {"a": 4}}), w.run.summary["s4"]["a"])[1], 4
    )
    yield Case(rule, "get", lambda w, p: (w.run.summary.get("no"), w.run.summary.get("no", 3)), (None, 3))
    yield Case(rule, "a missing item", lambda w, p: w.run.summary["no"], Raises("KeyError"))
    yield Case(
        rule,
        "a missing attribute",
        lambda w, p: w.run.summary.no,
        Raises("AttributeError", "no"),
        Raises("KeyError"),
        "hasattr and getattr with a default ask for AttributeError, and W&B's KeyError breaks both",
    )
    yield Case(rule, "keys", lambda w, p: (w.run.summary.__setitem__("s5", 5), "s5" in w.run.summary.keys())[1], True)  # noqa: SIM118 (no dict)
    yield Case(
        rule,
        "in",
        lambda w, p: (w.run.summary.__setitem__("s6", 5), "s6" in w.run.summary)[1],
        True,
        Raises("KeyError"),
        "W&B's summary does not know `in`, which a dict does",
    )
    yield Case(rule, "delete", _deleted, None)
    yield Case(rule, "nested set", _nested, 2)
    yield Case(
        rule,
        "set, then logged",
        lambda w, p: (w.run.summary.update({"s8": 1}), w.log({"s8": 2}), w.run.summary["s8"])[2],
        2,
    )
    yield Case(
        rule,
        "logged, then set",
        lambda w, p: (w.log({"s9": 2}), w.run.summary.update({"s9": 1}), w.run.summary["s9"])[2],
        1,
    )
    yield Case(rule, "the step", lambda w, p: (w.log({"s10": 1}), w.run.summary["_step"] == w.run.step - 1)[1], True)
    yield Case(
        rule, "numpy", lambda w, p: (w.run.summary.update({"s11": np.float64(0.5)}), w.run.summary["s11"])[1], 0.5
    )
    yield Case(
        rule,
        "a large array",
        lambda w, p: (w.run.summary.update({"s12": np.arange(100.0)}), w.run.summary["s12"]["max"])[1],
        99.0,
    )
    yield Case(rule, "dict()", lambda w, p: (w.run.summary.update({"s13": 1}), dict(w.run.summary)["s13"])[1], 1)


def _deleted(w: Any, p: Path) -> object:
    w.run.summary["s7"] = 1
    del w.run.summary["s7"]
    return w.run.summary.get("s7")


def _nested(w: Any, p: Path) -> object:
    w.run.summary["n"] = {"a": {"b": 1}}
    w.run.summary["n"]["a"]["b"] = 2
    return w.run.summary["n"]["a"]["b"]


AFTER: dict[str, Callable[[Any, Any], object]] = {
    "log": lambda w, run: run.log({"a": 1}),
    "log_artifact": lambda w, run: run.log_artifact(w.Artifact("a", "t")),
    "use_artifact": lambda w, run: run.use_artifact("a:latest"),
    "link_artifact": lambda w, run: run.link_artifact(w.Artifact("a", "t"), "x"),
    "log_model": lambda w, run: run.log_model("x"),
    "use_model": lambda w, run: run.use_model("x"),
    "link_model": lambda w, run: run.link_model("x", "y"),
    "upsert_artifact": lambda w, run: run.upsert_artifact(w.Artifact("a", "t")),
    "finish_artifact": lambda w, run: run.finish_artifact(w.Artifact("a", "t")),
    "define_metric": lambda w, run: run.define_metric("x"),
    "save": lambda w, run: run.save("x"),
    "alert": lambda w, run: run.alert("a", "b"),
    "log_code": lambda w, run: run.log_code(),
    "mark_preempting": lambda w, run: run.mark_preempting(),
    "name": lambda w, run: setattr(run, "name", "x"),
    "notes": lambda w, run: setattr(run, "notes", "x"),
    "tags": lambda w, run: setattr(run, "tags", ("x",)),
    "config": lambda w, run: run.config.update({"x": 1}),
    "config set": lambda w, run: setattr(run.config, "x", 1),
    "summary": lambda w, run: run.summary.update({"x": 1}),
    "status": lambda w, run: run.status(),
}


def _after() -> Iterator[Case]:
    rule = "2.10 after finish"
    for name, call in AFTER.items():
        yield Case(
            rule,
            name,
            lambda w, p, call=call: call(w, FINISHED[w.__name__]),
            Raises("UsageError", "is finished. The call to"),
        )
    yield Case(rule, "finish again", lambda w, p: FINISHED[w.__name__].finish(), None)
    for name in ("id", "project", "tags", "config", "path", "job_type", "group", "dir"):
        yield Case(
            rule, f"{name} is there", lambda w, p, name=name: getattr(FINISHED[w.__name__], name) is not None, True
        )


def _artifacts() -> Iterator[Case]:
    rule = "2.10 log_artifact"
    words = "path must be a file, directory or external"
    yield Case(rule, "no path", lambda w, p: w.log_artifact("no/such"), Raises("ValueError", words))
    yield Case(
        rule,
        "no artifact",
        lambda w, p: w.log_artifact(3),
        Raises("TypeError", "You must pass an instance of wandb.Artifact"),
    )
    yield Case(rule, "returns the artifact", _logged_same, True)
    yield Case(
        rule,
        "a file",
        lambda w, p: w.log_artifact(file(p, "my file.txt")).source_name.partition(":")[0],
        "run-run1-my_file.txt",
        Raises("ValueError", "Invalid name"),
        "a name that is made up here is one that may be",
    )
    yield Case(rule, "a file's type", lambda w, p: w.log_artifact(file(p)).type, "unspecified")
    yield Case(
        rule, "a folder", lambda w, p: (file(p, "d/x"), w.log_artifact(str(p / "d"), name="dir", type="t").type)[1], "t"
    )
    yield Case(
        rule,
        "a URI",
        lambda w, p: [str(e.ref) for e in w.log_artifact("ref://x/y", name="u").manifest.entries.values()],
        ["ref://x/y"],
        Raises("ValueError", "unknown schemes"),
        "the artifact's name is the entry's, so that nothing is missing",
    )
    alias = Raises("ValueError", "Aliases must not contain any of the following characters: '/', ':'")
    for name in ("a/b", "a:b"):
        yield Case(
            "2.1 alias", name, lambda w, p, name=name: w.log_artifact(w.Artifact("al", "t"), aliases=[name]), alias
        )
    for name in ("best", "a b", "ä", "x" * 100):
        yield Case(
            "2.1 alias",
            f"{name[:5]} passes",
            lambda w, p, name=name: w.log_artifact(w.Artifact("al", "t"), aliases=[name]).type,
            "t",
        )
    for name, why in {
        "": "an empty alias cannot be asked for",
        "v3": "v and digits always mean a version, so such an alias could never be reached",
    }.items():
        ask = lambda w, p, name=name: w.log_artifact(w.Artifact("al", "t"), aliases=[name]).type
        yield Case("2.1 alias", f"{name!r} is refused", ask, Raises("ValueError"), "t", why)
    yield Case(
        "2.1 alias",
        "one text is one alias",
        lambda w, p: w.log_artifact(w.Artifact("al", "t"), aliases="best").type,
        "t",
    )
    for tag in ("a", "a-b_c", "two words", "a  b", "ä1"):
        yield Case(
            "2.1 artifact tag",
            f"{tag} passes",
            lambda w, p, tag=tag: w.log_artifact(w.Artifact("ta", "t"), tags=[tag]).type,
            "t",
        )
    for tag in ("", " a", "a ", "a/b", "a:b", "a.b", "a\nb"):
        yield Case(
            "2.1 artifact tag",
            f"{tag!r} is refused",
            lambda w, p, tag=tag: w.log_artifact(w.Artifact("ta", "t"), tags=[tag]),
            Raises("ValueError", "Invalid tag"),
        )
    yield Case("2.2 number of keys", "in place, at log", _too_many, Raises("ValueError", "100 metadata keys"))
    yield Case(
        "2.10 use_artifact",
        "neither name nor artifact",
        lambda w, p: w.use_artifact(3),
        Raises("ValueError", "You must pass an artifact name"),
        Raises("TypeError", "Cannot use artifact when in offline mode."),
        LOCAL,
    )
    yield Case(
        "2.10 use_artifact",
        "offline",
        lambda w, p: (w.log_artifact(w.Artifact("us", "t")), w.use_artifact("us:latest").type)[1],
        "t",
        Raises("TypeError", "Cannot use artifact when in offline mode."),
        LOCAL,
    )
    yield Case(
        "2.10 link_model",
        "a slash",
        lambda w, p: w.run.link_model(file(p), "a/b"),
        Raises("AssertionError", "Please provide only the name of the registered model."),
    )
    yield Case("2.10 log_model", "no path", lambda w, p: w.run.log_model("no/such"), Raises("ValueError", words))
    yield Case("2.10 log_model", "a path", lambda w, p: caught(lambda: w.run.log_model(file(p, "m.pt"), "m")), "")
    yield Case(
        "2.5 states",
        "after log, offline",
        lambda w, p: w.log_artifact(w.Artifact("st", "t")).state,
        "COMMITTED",
        "PENDING",
        LOCAL,
    )
    yield Case(
        "2.5 wait",
        "after log, offline",
        lambda w, p: w.log_artifact(w.Artifact("wt", "t")).wait().type,
        "t",
        Raises("ArtifactNotLoggedError"),
        LOCAL,
    )
    yield Case(
        "2.3 finalize",
        "by log",
        _after_log,
        Raises("ArtifactFinalizedError", "'Artifact.add_file' used on logged artifact."),
    )


def _logged_same(w: Any, p: Path) -> object:
    artifact = w.Artifact("same", "t")
    return w.log_artifact(artifact) is artifact


def _too_many(w: Any, p: Path) -> object:
    artifact = w.Artifact("many", "t")
    artifact.metadata.update({str(number): number for number in range(101)})
    return w.log_artifact(artifact)


def _after_log(w: Any, p: Path) -> object:
    artifact = w.Artifact("fin", "t")
    w.log_artifact(artifact)
    return artifact.add_file(file(p))


def _saves() -> Iterator[Case]:
    rule = "2.10 save"
    yield Case(
        rule,
        "a bad policy",
        lambda w, p: w.save(file(p), policy="x"),
        Raises("ValueError", 'Only "live", "end" and "now" policies are currently supported.'),
    )
    yield Case(rule, "nothing matches", lambda w, p: w.save(str(p / "no*")), [])
    yield Case(
        rule, "a base that is not above", lambda w, p: w.save(file(p), base_path=str(p / "other")), Raises("ValueError")
    )
    yield Case(
        rule,
        "how many",
        lambda w, p: (file(p, "a.x"), file(p, "b.x"), len(w.save(str(p / "*.x"), base_path=str(p))))[2],
        2,
    )
    yield Case(rule, "a Path", lambda w, p: len(w.save(Path(file(p)), base_path=p)), 1)
    yield Case(
        rule,
        "names",
        lambda w, p: [Path(name).name for name in w.save(file(p, "d/s.txt"), base_path=str(p))],
        ["s.txt"],
    )
    yield Case(rule, "no text", lambda w, p: w.save(3), Raises("TypeError"))


def _init(**words: Any) -> Callable[[Any, Path], object]:
    def ask(w: Any, p: Path) -> object:
        run = w.init(reinit="create_new", mode="disabled", dir=str(p), **words)
        run.finish()
        return "a run"

    return ask


def _inits() -> Iterator[Case]:
    rule = "2.10 init"
    yield Case(rule, "again gives the active run", lambda w, p: w.init(project="other") is w.run, True)
    for sign in "/\\#?%:":
        yield Case(
            "2.1 project",
            f"{sign} is refused",
            _init(project=f"a{sign}b"),
            Raises("UsageError", "Invalid project name"),
        )
    yield Case(
        "2.1 project", "129 signs are refused", _init(project="x" * 129), Raises("UsageError", "Invalid project name")
    )
    yield Case("2.1 project", "128 signs pass", _init(project="x" * 128), "a run")
    for sign in ":;,#?/'":
        yield Case(
            "2.1 run id",
            f"{sign} is refused",
            _init(id=f"a{sign}b"),
            Raises("UsageError", "Run ID cannot contain the characters: :;,#?/'"),
        )
    for name in ("", " a", "a ", "  "):
        yield Case("2.1 run id", f"{name!r} is refused", _init(id=name), Raises("UsageError", "Run ID cannot"))
    yield Case("2.1 run id", "others pass", _init(id="a b.c-d_e"), "a run")
    for word in ("name", "group", "job_type", "notes"):
        yield Case(rule, f"an empty {word}", _init(**{word: ""}), "a run")
        yield Case(rule, f"a long {word}", _init(**{word: "x" * 600}), "a run")
        yield Case(rule, f"{word} of two lines", _init(**{word: "a\nb"}), "a run")
    for tag in ("v1.0", "a/b", "lr=0.1", "model:bert", "x" * 64):
        yield Case("2.1 run tag", f"{tag[:10]} passes", _init(tags=[tag]), "a run")
    for wrong in ("", "x" * 65, 3):
        yield Case("2.1 run tag", f"{wrong!r:.10} is refused", _init(tags=[wrong]), Raises("ValueError"))
    yield Case(
        "2.1 run id",
        "129 signs",
        _init(id="x" * 129),
        Raises("ValueError"),
        "a run",
        "names of artifacts are made of ids, and have 128 signs",
    )
    for name in (".", "..", "a\nb"):
        yield Case(
            "2.1 project",
            f"{name!r} is refused",
            _init(project=name),
            Raises("UsageError"),
            "a run",
            "a project is a file, and no file may be called so",
        )
    yield Case("2.1 project", "blanks and letters of all kinds pass", _init(project="mein Projekt ä"), "a run")
    yield Case(rule, "a config of no dict", _init(config=[("a", 1)]), Raises("TypeError"))
    yield Case(rule, "a config file that is not there", _init(config="none.yaml"), Raises("Error"))
    yield Case(rule, "an id of no text", lambda w, p: caught(lambda: _init(id=3)(w, p)) != "", True)
    yield Case(rule, "a bad resume", _init(resume="x"), Raises("ValueError", "resume"))
    for resume in ("allow", "never", "auto", True, False):
        yield Case(rule, f"resume {resume}", _init(resume=resume), "a run")
    yield Case(rule, "a bad mode", lambda w, p: w.init(mode="x"), Raises("ValueError", "mode"))
    yield Case(rule, "a bad reinit", lambda w, p: w.init(reinit="x"), Raises("ValueError", "reinit"))
    yield Case(
        rule,
        "include and exclude",
        _init(config={"a": 1}, config_include_keys=["a"], config_exclude_keys=["b"]),
        Raises("UsageError", "Expected at most only one of exclude or include"),
    )
    yield Case(rule, "an unknown setting", _init(settings={"no_such": 1}), Raises("ValueError"))
    yield Case(rule, "settings", _init(settings={"console": "off"}), "a run")
    yield Case(rule, "Settings", lambda w, p: _init(settings=w.Settings(console="off"))(w, p), "a run")
    yield Case(rule, "an unknown argument", _init(no_such=1), Raises("TypeError"))
    yield Case(rule, "tags as text", _init(tags="a"), "a run")
    yield Case(rule, "an empty tag", _init(tags=[""]), Raises("ValueError"))


def _disabled() -> Iterator[Case]:
    rule = "2.10 disabled"
    calls: dict[str, tuple[Callable[[Any, Any], object], object]] = {
        "disabled": (lambda w, run: run.disabled, True),
        "log": (lambda w, run: run.log({"a": 1}), None),
        "summary": (lambda w, run: (run.log({"a": 1}), run.summary["a"])[1], 1),
        "config": (lambda w, run: run.config.x, 1),
        "config update": (lambda w, run: (run.config.update({"x": 2}, allow_val_change=True), run.config["x"])[1], 2),
        "define_metric": (lambda w, run: run.define_metric("a") is not None, True),
        "log_artifact": (lambda w, run: run.log_artifact(w.Artifact("a", "t")) is not None, True),
        "id": (lambda w, run: len(run.id) > 0, True),
        "finish": (lambda w, run: run.finish(), None),
        "watch": (lambda w, run: run.watch(None), None),
        "context": (lambda w, run: run.__enter__() is run, True),
    }
    whole = "a disabled run does all that a run does and keeps nothing, so that a script goes the same way"
    yield Case(rule, "step", _when_disabled(lambda w, run: (run.log({"a": 1}), run.step)[1]), 1, 0, whole)
    yield Case(rule, "dir", _when_disabled(lambda w, run: Path(run.dir).is_dir()), True, False, whole)
    yield Case(
        rule,
        "the artifact",
        _when_disabled(lambda w, run: type(run.log_artifact(w.Artifact("a", "t")).version).__name__),
        "str",
        "_Noop",
        whole,
    )
    for name, (call, expected) in calls.items():
        yield Case(rule, name, _when_disabled(call), expected)


def _when_disabled(call: Callable[[Any, Any], object]) -> Callable[[Any, Path], object]:
    def ask(w: Any, p: Path) -> object:
        run = w.init(mode="disabled", reinit="create_new", config={"x": 1}, project="off", dir=str(p))
        try:
            return call(w, run)
        finally:
            run.finish()

    return ask


def _bases(path: str, name: str) -> Callable[[Any, Path], object]:
    def ask(w: Any, p: Path) -> object:
        kind = getattr(importlib.import_module(f"{w.__name__}.{path}"), name)
        return [base.__name__ for base in kind.__mro__[1:]]

    return ask


def _errors() -> Iterator[Case]:
    rule = "2.15 errors"
    plain = ["Exception", "BaseException", "object"]
    status = ["AttributeError", *plain]
    for path, name, bases in [
        ("errors", "Error", plain),
        ("errors", "CommError", ["Error", *plain]),
        ("errors", "UsageError", ["Error", *plain]),
        ("errors", "UnsupportedError", ["UsageError", "Error", *plain]),
        ("errors", "AuthenticationError", ["CommError", "Error", *plain]),
        ("sdk.artifacts.exceptions", "ArtifactStatusError", status),
        ("sdk.artifacts.exceptions", "ArtifactNotLoggedError", ["ArtifactStatusError", *status]),
        ("sdk.artifacts.exceptions", "ArtifactFinalizedError", ["ArtifactStatusError", *status]),
        ("sdk.artifacts.exceptions", "WaitTimeoutError", ["Error", *plain]),
        ("sdk.lib.config_util", "ConfigError", ["Error", *plain]),
    ]:
        yield Case(rule, f"{path}.{name}", _bases(path, name), bases)
    for path, name in [
        ("sdk.artifacts.artifact", "Artifact"),
        ("sdk.artifacts.artifact_ttl", "ArtifactTTL"),
        ("sdk.artifacts.staging", "get_staging_dir"),
        ("sdk.artifacts._validators", "validate_aliases"),
        ("sdk.artifacts.artifact_manifest", "ArtifactManifest"),
        ("sdk.artifacts.artifact_manifest_entry", "ArtifactManifestEntry"),
        ("sdk.artifacts.artifact_state", "ArtifactState"),
        ("env", "ARTIFACT_DIR"),
        ("env", "get_artifact_dir"),
        ("sdk.lib.runid", "generate_id"),
        ("util", "to_forward_slash_path"),
        ("util", "alias_is_version_index"),
        ("util", "make_artifact_name_safe"),
        ("sdk.wandb_run", "Run"),
        ("sdk.wandb_config", "Config"),
        ("sdk.wandb_summary", "Summary"),
        ("sdk.wandb_settings", "Settings"),
    ]:
        ask = lambda w, p, path=path, name=name: hasattr(importlib.import_module(f"{w.__name__}.{path}"), name)
        yield Case(rule, f"{path}.{name}", ask, True)
    for name in ("Error", "CommError", "UsageError", "UnsupportedError"):
        yield Case(rule, f"wandb.{name}", lambda w, p, name=name: hasattr(w.errors, name), True)
    yield Case(rule, "message", lambda w, p: w.errors.UsageError("words").message, "words")
    yield Case(rule, "CommError exc", lambda w, p: w.errors.CommError("words", ValueError("x")).message, "words")
    yield Case("2.10 Settings", "attribute", lambda w, p: w.Settings(project="x", console="off").project, "x")
    yield Case("2.10 Settings", "unknown", lambda w, p: w.Settings(no_such=1), Raises("ValueError"))
    yield Case("2.10 Settings", "bad mode", lambda w, p: w.Settings(mode="x"), Raises("ValueError"))
    yield Case("2.10 Settings", "not given", lambda w, p: w.Settings().run_group, None)
    yield Case("2.10 Settings", "tags", lambda w, p: tuple(w.Settings(run_tags=["a"]).run_tags), ("a",))
    yield Case(
        "2.10 helpers",
        "generate_id",
        lambda w, p: len(w.util.generate_id()),
        8,
        Raises("AttributeError"),
        "W&B 0.31 moved it to sdk.lib.runid; scripts of before call it here",
    )
    yield Case(
        "2.10 helpers",
        "runid",
        lambda w, p: (lambda m: (len(m.generate_id()), len(m.generate_id(4))))(
            importlib.import_module(f"{w.__name__}.sdk.lib.runid")
        ),
        (8, 4),
    )
    yield Case(
        "2.10 helpers", "AlertLevel", lambda w, p: [level.name for level in w.AlertLevel], ["INFO", "WARN", "ERROR"]
    )
    yield Case("2.10 helpers", "termlog", lambda w, p: w.termlog("x", newline=True, repeat=False, prefix=False), None)
    yield Case("2.10 helpers", "setup", lambda w, p: w.setup() is not None, True)
    yield Case("2.10 helpers", "require", lambda w, p: w.require("core"), None)


CASES = [
    *_before(),
    *_alerts(),
    *_attributes(),
    *_logging(),
    *_metrics(),
    *_configs(),
    *_summaries(),
    *_after(),
    *_artifacts(),
    *_saves(),
    *_inits(),
    *_disabled(),
    *_errors(),
]
