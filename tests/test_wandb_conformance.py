"""The same questions to lineage.wandb and, where it is installed, to W&B's package: the answers, and every difference.

W&B's package is asked offline, in a folder of its own, and never touches a network. What only its server answers is
written out in test_wandb_run.py and test_wandb_artifact.py.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb_cases_run
import wandb_theirs
from wandb_case import Case, outcome
from wandb_rules import ROWS, RULES
from wandb_theirs import CASES

import lineage.wandb

with_theirs = pytest.mark.conformance


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return lineage.wandb with a run active."""
    folder = tmp_path_factory.mktemp("ours")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, value in _environment(folder).items():
            patch.setenv(name, value)
        wandb_cases_run.prepare(lineage.wandb, folder)
        yield lineage.wandb
        wandb_cases_run.close(lineage.wandb)


def _environment(folder: Path) -> dict[str, str]:
    folders = {f"WANDB_{name}_DIR": str(folder / name.lower()) for name in ("CACHE", "DATA", "CONFIG")}
    return {"WANDB_MODE": "offline", "WANDB_SILENT": "true", **folders}


@pytest.fixture(scope="module")
def theirs() -> Any:
    """Return W&B's package; skip where it is not installed."""
    return pytest.importorskip("wandb", reason="pip install 'lineage-db[conformance]'")


@pytest.fixture(scope="module")
def answers(theirs: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Return what W&B's package answers; skip where it starts no offline run."""
    folder = tmp_path_factory.mktemp("theirs")
    command = [sys.executable, wandb_theirs.__file__, str(folder)]
    environment = {**os.environ, **_environment(folder)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    file = folder / wandb_theirs.ANSWERS
    if not file.exists():
        pytest.skip(f"W&B's package starts no offline run here: {done.stderr[-2000:]}")
    found: dict[str, object] = pickle.loads(file.read_bytes())
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_ours(case: Case, ours: Any, tmp_path: Path) -> None:
    """lineage.wandb answers what is written down."""
    assert outcome(case, ours, tmp_path, case.expected) == case.expected


@with_theirs
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_theirs(case: Case, answers: dict[str, object]) -> None:
    """W&B's package answers the same, or what is written down as its answer."""
    if answers[case.id] == wandb_theirs.MISSING:
        pytest.skip(f"W&B's package needs {case.needs} for it")

    assert answers[case.id] == case.of_wandb


def test_differences_all_have_a_reason() -> None:
    """Where W&B answers otherwise, the case says why we differ, and nowhere else."""
    assert [case.id for case in CASES if bool(case.reason) != (case.of_wandb != case.expected)] == []


def test_names_of_cases_are_unique() -> None:
    """Each case is found by its name."""
    assert [name for name, count in Counter(case.id for case in CASES).items() if count > 1] == []


CLASSES = ["Artifact", "Run", "Config", "Api"]
LEFT_OUT = {
    "Config.update_locked": "W&B's sweeps call it on their own config",
    "Config.merge_locked": "W&B's sweeps call it on their own config",
    "Run.__init__": "only init makes runs",
    **{f"Api.{name}": why for name, why in lineage.wandb.apis.public.UNSUPPORTED.items()},
}
"""What scripts do not call, and why."""


def _members(kind: Any) -> list[str]:
    return [name for name in dir(kind) if not name.startswith("_") or name == "__init__"]


@with_theirs
@pytest.mark.parametrize("name", CLASSES)
def test_members_all_there(name: str, theirs: Any) -> None:
    """Every public member of W&B's classes is one of ours."""
    kind = getattr(theirs, name)
    ours = {*dir(getattr(lineage.wandb, name)), *_assigned(getattr(lineage.wandb, name))}

    assert [member for member in _members(kind) if member not in ours and f"{name}.{member}" not in LEFT_OUT] == []


def _assigned(kind: type) -> set[str]:
    """Return the attributes that the methods of a class and its bases assign to ``self``."""
    found = set()
    for base in kind.__mro__[:-1]:
        for line in inspect.getsource(base).splitlines():
            target = line.strip().partition("=")[0].partition(":")[0].strip()
            if target.startswith("self."):
                found.add(target.removeprefix("self."))
    return found


def _lacking(theirs: Any, ours: Any) -> list[str]:
    """Return the arguments that one function takes and the other does not."""
    taken = inspect.signature(ours).parameters
    if any(parameter.kind == parameter.VAR_KEYWORD for parameter in taken.values()):
        return []
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    wanted = inspect.signature(theirs).parameters.values()
    return [parameter.name for parameter in wanted if parameter.kind not in variable and parameter.name not in taken]


def _order(function: Any) -> list[str]:
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [one.name for one in inspect.signature(function).parameters.values() if one.kind in positional]


@with_theirs
@pytest.mark.parametrize("name", CLASSES)
def test_signatures_of_methods(name: str, theirs: Any) -> None:
    """Our methods accept every argument of W&B's by its name, and those given by place in the same order."""
    ours, kind = getattr(lineage.wandb, name), getattr(theirs, name)
    wrong = {}
    for member in _members(kind):
        if f"{name}.{member}" in LEFT_OUT or not callable(getattr(kind, member)) or not hasattr(ours, member):
            continue
        mine, other = getattr(ours, member), getattr(kind, member)
        order = _order(other)
        if _lacking(other, mine) or (
            order != _order(mine)[: len(order)] and "args" not in str(inspect.signature(mine))
        ):
            wrong[member] = (str(inspect.signature(other)), str(inspect.signature(mine)))

    assert wrong == {}


FUNCTIONS = [
    "init", "log", "log_artifact", "use_artifact", "log_model", "use_model", "link_model", "save",
    "restore", "define_metric", "watch", "unwatch", "alert", "finish", "teardown", "login", "setup", "mark_preempting",
    "require", "termlog", "termwarn", "termerror", "plot_table", "pin_config_keys",
]  # fmt: skip


@with_theirs
@pytest.mark.parametrize("name", FUNCTIONS)
def test_signatures_of_functions(name: str, theirs: Any) -> None:
    """The functions of the module accept every argument of W&B's by its name."""
    other = getattr(theirs, name)

    assert [one for one in _lacking(other, getattr(lineage.wandb, name)) if one != "self"] == []


@with_theirs
def test_init_takes_its_arguments_in_the_same_order(theirs: Any) -> None:
    """Scripts that give init its arguments by place give the same."""
    order = _order(theirs.init)

    assert _order(lineage.wandb.init)[: len(order)] == order


PLOTS = ["line", "scatter", "bar", "histogram", "line_series", "confusion_matrix", "roc_curve", "pr_curve"]


@with_theirs
@pytest.mark.parametrize("name", PLOTS)
def test_signatures_of_plots(name: str, theirs: Any) -> None:
    """The plots accept every argument of W&B's by its name."""
    other = getattr(theirs.plot, name)

    assert _lacking(other, getattr(lineage.wandb.plot, name)) == []


@with_theirs
def test_names_of_the_module(theirs: Any) -> None:
    """What W&B lists as its public names is there, or is refused with a word of what to use instead."""
    names = [name for name in theirs.__all__ if not name.startswith("__")]

    missing = [name for name in names if not hasattr(lineage.wandb, name)]

    assert missing == []


@with_theirs
def test_settings_of_theirs_are_taken(theirs: Any) -> None:
    """Each field of W&B's settings is a setting of ours, so that no script is refused one."""
    refused = []
    for name in theirs.Settings.model_fields:
        try:
            lineage.wandb.Settings(**{name: None})
        except ValueError:
            refused.append(name)

    assert refused == []


@with_theirs
def test_environment_variables_have_the_same_names(theirs: Any) -> None:
    """The names in `env` mean the same variables."""
    other = importlib.import_module("wandb.env")
    mine = {name: value for name, value in vars(lineage.wandb.env).items() if name.isupper() and isinstance(value, str)}

    assert {name: value for name, value in mine.items() if getattr(other, name, value) != value} == {}


# --- the rules ---


def test_rules_are_all_there_in_order() -> None:
    """No rule of any part is missing from the table."""
    assert list(RULES) == [f"{part}/{number}" for part, rows in ROWS.items() for number in range(1, rows + 1)]


def _tests() -> set[str]:
    """Return all tests of this folder, as ``file.py::test``."""
    return {
        f"{file.name}::{node.name}"
        for file in Path(__file__).parent.glob("test_*.py")
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_rules_name_tests_and_cases_that_exist() -> None:
    """What the table says shows a rule is there."""
    there = _tests() | {f"case {case.rule}" for case in CASES}

    assert {key: shown for key, rule in RULES.items() for shown in rule.shown if shown not in there} == {}


def test_rules_are_shown_or_say_why_not() -> None:
    """A rule without a test says why it has none."""
    assert [key for key, rule in RULES.items() if not rule.shown and not rule.differs] == []


def test_cases_all_belong_to_a_rule() -> None:
    """Each part that cases ask about is one that the table has."""
    assert {case.rule.partition(" ")[0] for case in CASES} <= set(ROWS)


@with_theirs
def test_package_that_is_asked_has_the_version_of_the_extra(theirs: Any) -> None:
    """The package that answers is of the version that the extra asks for."""
    assert theirs.__version__.startswith("0.31.")
