"""A run while it runs: what it records, logs, uses, and how it ends."""

from __future__ import annotations

import argparse
import json
import math
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from copy import copy, deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import draft
from footprint import footprint, python, refused, tidy, unchanged  # noqa: F401 (fixtures are used by name)
from hypothesis import given, settings
from hypothesis import strategies as st

import lineage
from lineage import ErrorKind, InvalidInputError, NotFoundError, StateError

# --- starting ---


def test_start_run_records_what_it_was_told(project: lineage.Project) -> None:
    """Every word given at the start is in the record, at once and for everybody."""
    run = project.start_run(
        "train", "first", id="my-run", config={"lr": 0.1}, group="g", tags=["a", "b b"], notes="two\nlines"
    )

    record = lineage.open(project.file).run("my-run").record

    assert (record.id, record.name, record.job_type, record.group) == ("my-run", "first", "train", "g")
    assert (record.config, record.summary, record.tags, record.notes) == ({"lr": 0.1}, {}, ("a", "b b"), "two\nlines")
    assert (record.status, record.exit_code, record.error, record.ended_at) == ("running", None, None, None)
    assert (run.id, run.name, run.job_type, run.group) == ("my-run", "first", "train", "g")
    assert (run.tags, run.notes, run.step, run.finished) == (("a", "b b"), "two\nlines", 0, False)
    assert repr(run) == "<ActiveRun first my-run (train, running)>"
    run.finish()
    assert repr(run) == "<ActiveRun first my-run (train, finished)>"


def test_start_run_without_words_makes_an_id_and_a_name(project: lineage.Project) -> None:
    """An id is 26 signs, and a name two words and the run's number."""
    first, second = project.start_run(), project.start_run()

    assert len(first.id) == len(second.id) == 26
    assert first.id != second.id
    assert first.name.endswith("-1")
    assert second.name.endswith("-2")
    assert first.name.count("-") == 2


@dataclass
class Settings:
    lr: float
    depth: int


@pytest.mark.parametrize(
    "config",
    [{"lr": 0.1, "depth": 2}, Settings(0.1, 2), argparse.Namespace(lr=0.1, depth=2), '{"lr": 0.1, "depth": 2}'],
)
def test_start_run_takes_config_in_each_usual_form(project: lineage.Project, config: object) -> None:
    """A mapping, a dataclass, a namespace and JSON text mean the same config."""
    with project.start_run(config=config) as run:
        pass

    assert project.run(run.id).config == {"lr": 0.1, "depth": 2}


@pytest.mark.parametrize("several", [True, False])
def test_start_run_with_use_writes_run_and_edges_together(project: lineage.Project, several: bool) -> None:
    """What a run uses from the start is written with it; one reference stands for a list of one."""
    version = project.log_artifact(draft("d", {"a": "b"}))

    run = project.start_run(use=[version, "d"] if several else "d")

    assert project.run(run.id).used_artifacts() == [version]


def test_start_run_with_an_unknown_version_stores_nothing(project: lineage.Project) -> None:
    """A run whose inputs cannot be found is not started."""
    project.log_artifact(draft("d"))

    with refused(project, NotFoundError, "no artifact 'e'", ErrorKind.ARTIFACT_NOT_FOUND):
        project.start_run(use=["d", "e"])


@pytest.mark.parametrize("resume", ["never", "allow"])
def test_start_run_with_a_new_id_makes_it(project: lineage.Project, resume: str) -> None:
    """An id that nobody bears is a new run, whether it may be resumed or not."""
    run = project.start_run(id="mine", resume=resume)

    assert project.run("mine").id == run.id == "mine"


def test_start_run_with_a_known_id_is_refused(project: lineage.Project) -> None:
    """Without resume an id is taken for good; the message says what goes on with it."""
    project.start_run(id="mine").finish()

    with refused(project, lineage.ConflictError, "run 'mine' exists already; resume='allow'", ErrorKind.RUN_EXISTS):
        project.start_run(id="mine")


@pytest.mark.parametrize(("id", "message"), [("mine", "no run 'mine' to resume"), (None, "resume='must' needs an id")])
def test_start_run_that_must_resume_what_is_not_there_is_refused(
    project: lineage.Project, id: str | None, message: str
) -> None:
    """`must` does not make a run."""
    with refused(project, NotFoundError, message, ErrorKind.RUN_NOT_FOUND):
        project.start_run(id=id, resume="must")


@pytest.mark.parametrize("resume", ["allow", "must"])
def test_start_run_that_resumes_goes_on_where_the_run_stopped(project: lineage.Project, resume: str) -> None:
    """Config is merged, tags are added, metrics and their steps go on, and the end is taken back."""
    with project.start_run(id="mine", config={"lr": 0.1, "depth": 2}, tags=["a"]) as run:
        run.log({"loss": 1.0})
        run.summary["best"] = 3

    with project.start_run(id="mine", resume=resume, config={"lr": 0.2}, tags=["b"]) as again:
        status = project.run("mine").status
        again.log({"loss": 0.5})

    record = project.run("mine").record
    assert status == "running"
    assert (again.id, again.name, record.status) == (run.id, run.name, "finished")
    assert record.config == {"lr": 0.2, "depth": 2}
    assert record.summary == {"loss": 0.5, "best": 3}
    assert record.tags == ("a", "b")
    assert [(row.step, row.values) for row in again.history()] == [(0, {"loss": 1.0}), (1, {"loss": 0.5})]
    assert len(project.runs()) == 1


def test_start_run_that_resumes_a_deleted_run_is_refused(project: lineage.Project) -> None:
    """The id of a deleted run is still its own."""
    project.start_run(id="mine").finish()
    project.run("mine").delete()

    with refused(
        project, lineage.ConflictError, "run 'mine' exists and was deleted; choose another id", ErrorKind.RUN_EXISTS
    ):
        project.start_run(id="mine", resume="allow")


# --- ending ---


@pytest.mark.parametrize(
    ("words", "status", "exit_code"),
    [
        ({}, "finished", 0),
        ({"exit_code": 0}, "finished", 0),
        ({"exit_code": 3}, "failed", 3),
        ({"status": "failed"}, "failed", 1),
        ({"status": lineage.RunStatus.KILLED}, "killed", 1),
        ({"status": "finished", "exit_code": 2}, "finished", 2),
        ({"status": "failed", "exit_code": -9}, "failed", -9),
    ],
)
def test_finish_writes_status_and_exit_code(
    project: lineage.Project, words: dict[str, Any], status: str, exit_code: int
) -> None:
    """Either may be given; the other follows from it."""
    run = project.start_run()

    run.finish(**words)

    record = project.run(run.id).record
    assert (record.status, record.exit_code) == (status, exit_code)
    assert record.ended_at is not None
    assert record.started_at <= record.ended_at


def test_finish_twice_changes_nothing(project: lineage.Project) -> None:
    """The first end is the end."""
    run = project.start_run()
    run.finish()

    with unchanged(project):
        run.finish("failed")

    assert run.finished


@pytest.mark.parametrize("inner", [False, True])
def test_finish_in_a_batch_that_is_undone_is_taken_back(project: lineage.Project, inner: bool) -> None:
    """The run goes on, as the file says, and can be finished again; what it had to write is written then."""
    run = project.start_run(id="mine", config={"layers": [1]})
    run.log({"a": 1})

    with project.batch() if inner else nullcontext():
        with pytest.raises(ZeroDivisionError), project.batch():
            run.finish("killed")
            assert run.finished
            raise ZeroDivisionError
        taken_back = not run.finished
    run.config.layers.append(2)
    run.finish()

    assert taken_back
    assert (project.run("mine").status, project.run("mine").config) == ("finished", {"layers": [1, 2]})
    assert [row.values for row in project.run("mine").history()] == [{"a": 1.0}]


def test_error_that_undoes_a_batch_with_the_end_of_a_run_marks_the_run(project: lineage.Project) -> None:
    """The block of the run ends it as the error says, since what the batch said of it never was."""
    with pytest.raises(ZeroDivisionError), project.start_run(id="mine") as run, project.batch():
        run.finish()
        raise ZeroDivisionError

    assert project.run("mine").status == "failed"


class _OddError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "status", "exit_code", "text"),
    [
        (ValueError("bad"), "failed", 1, "ValueError: bad"),
        (KeyboardInterrupt(), "killed", 1, "KeyboardInterrupt: "),
        (SystemExit(2), "failed", 1, "SystemExit: 2"),
        (SystemExit("words"), "failed", 1, "SystemExit: words"),
        (SystemExit(), "finished", 0, None),
        (SystemExit(0), "finished", 0, None),
        (FileNotFoundError("no \udcff\ud800"), "failed", 1, "FileNotFoundError: no \\udcff\\ud800"),
        (ValueError("a\0b"), "failed", 1, r"ValueError: a\x00b"),
        (ValueError("x" * 100_000), "failed", 1, "ValueError: " + "x" * 9_988),
        (_OddError(), "failed", 1, "_OddError"),
    ],
    ids=repr,
)
def test_exit_by_an_exception_marks_the_run_and_lets_it_pass(
    project: lineage.Project, error: BaseException, status: str, exit_code: int, text: str | None
) -> None:
    """The exception that ends the block is recorded, whatever its words are, and is the one that goes on."""
    with pytest.raises(type(error)) as caught, project.start_run(id="mine"):
        raise error

    assert caught.value is error
    record = project.run("mine").record
    assert (record.status, record.exit_code, record.error) == (status, exit_code, text)


def test_exit_after_finish_keeps_the_end_that_was_given(project: lineage.Project) -> None:
    """A run that was finished inside its block stays as it was finished."""
    with pytest.raises(ValueError, match="later"), project.start_run(id="mine") as run:
        run.finish("killed")
        raise ValueError("later")

    assert project.run("mine").status == "killed"


@pytest.mark.parametrize(
    "call",
    [
        lambda run, version: run.log({"a": 1}),
        lambda run, version: run.use_artifact(version),
        lambda run, version: run.use_artifact(draft("e")),
        lambda run, version: run.log_artifact(draft("e")),
        lambda run, version: run.log_artifact(__file__),
    ],
)
def test_call_of_a_finished_run_is_refused(project: lineage.Project, call: Any) -> None:
    """A finished run logs and uses nothing more; the message says how to go on."""
    version = project.log_artifact(draft("d"))
    run = project.start_run(name="first")
    run.finish()

    with refused(project, StateError, "run 'first' has finished; start another, or resume it", ErrorKind.RUN_FINISHED):
        call(run, version)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda run: run.summary.update(best=1), "summary"),
        (lambda run: setattr(run.summary, "best", 1), "summary"),
        (lambda run: run.config.pop("lr"), "config"),
        (lambda run: run.config.clear(), "config"),
        (lambda run: run.config["layers"].append(2), "config"),
    ],
)
def test_document_of_a_finished_run_takes_nothing(project: lineage.Project, change: Any, what: str) -> None:
    """Nobody would write it; the message says what does, and the run shows what is stored."""
    with project.start_run(id="mine", config={"lr": 1, "layers": [1]}) as run:
        run.log({"loss": 0.5})

    message = rf"run '.*' has finished; project.run\('mine'\).update\({what}=...\) changes its {what}"
    with unchanged(project), pytest.raises(StateError, match=message):
        change(run)

    assert (dict(run.config), dict(run.summary)) == ({"lr": 1, "layers": [1]}, {"loss": 0.5})
    assert json.dumps(dict(run.config)) == '{"lr": 1, "layers": [1]}'


@pytest.mark.parametrize("copied", [copy, deepcopy, lambda config: pickle.loads(pickle.dumps(config))])
def test_copy_of_a_config_is_none_of_the_runs(project: lineage.Project, copied: Any) -> None:
    """A copy can be changed, also when the run has finished, and changes nothing of the run."""
    with project.start_run(config={"lr": 1}) as run:
        pass

    found = copied(run.config)
    found.lr = 2

    assert (found.lr, run.config.lr) == (2, 1)


def test_finished_run_still_answers(project: lineage.Project) -> None:
    """What a run did can be asked of it after its end."""
    version = project.log_artifact(draft("d"))
    with project.start_run() as run:
        run.use_artifact(version)
        made = run.log_artifact(draft("m", type="model"))
        run.log({"a": 1})

    assert run.used_artifacts() == [version]
    assert run.logged_artifacts() == [made]
    assert (run.used_artifacts("model"), run.logged_artifacts("dataset")) == ([], [])
    assert [row.values for row in run.history()] == [{"a": 1.0}]


def test_program_that_ends_without_finish_keeps_its_metrics_and_is_crashed() -> None:
    """What was buffered is written when the program ends; the run, which nobody finished, counts as crashed."""
    done = python("import lineage; lineage.open('p.lineage').start_run(id='mine').log({'loss': 0.5})")

    project = lineage.open("p.lineage")
    assert done.stderr == ""
    assert [row.values for row in project.run("mine").history()] == [{"loss": 0.5}]
    assert project.run("mine").summary == {"loss": 0.5}
    assert project.run("mine").status == "crashed"
    assert [run.id for run in project.runs(status="crashed")] == ["mine"]
    assert len(project.runs(status="running")) == 0


def test_start_run_writes_down_the_crashed_runs_of_this_machine() -> None:
    """The next run notes what became of the ones whose process is gone."""
    python("import lineage, os; lineage.open('p.lineage').start_run(id='mine'); os.kill(os.getpid(), 9)")
    project = lineage.open("p.lineage")

    project.start_run().finish()

    assert project.sql("SELECT status FROM runs WHERE id = 'mine'") == [{"status": "crashed"}]


def test_forked_child_leaves_its_parents_run_alone() -> None:
    """A child that leaves the block, and ends, neither finishes the run nor writes its metrics twice."""
    program = """
import lineage, os
project = lineage.open("p.lineage")
with project.start_run(id="mine") as run:
    run.log({"a": 1})
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        print(project.run("mine").status)
"""
    done = python(program)

    assert (done.stdout, done.stderr) == ("running\n", "")
    assert lineage.open("p.lineage").run("mine").status == "finished"


def test_interrupt_in_the_block_marks_the_run_killed() -> None:
    """Ctrl-C ends a program as it always does, and the run says so."""
    program = """
import lineage, os, signal
with lineage.open("p.lineage").start_run(id="mine"):
    os.kill(os.getpid(), signal.SIGINT)
    while True: pass
"""
    done = python(program)

    assert done.returncode in (1, -signal.SIGINT)
    assert lineage.open("p.lineage").run("mine").status == "killed"


# --- metrics ---


def test_log_counts_steps_and_keeps_the_last_value_in_the_summary(project: lineage.Project) -> None:
    """Calls without a step follow each other; nested names are joined by dots."""
    with project.start_run() as run:
        run.log({"train": {"loss": 0.5, "acc": 1}})
        run.log({"train": {"loss": 0.25}})

        assert run.step == 2
        assert run.summary == {"train.loss": 0.25, "train.acc": 1}
    assert [(row.step, row.values) for row in run.history()] == [
        (0, {"train.acc": 1.0, "train.loss": 0.5}),
        (1, {"train.loss": 0.25}),
    ]


def test_log_with_steps_shares_replaces_and_goes_on(project: lineage.Project) -> None:
    """Several calls may share a step, the same name and step is replaced, and counting goes on after the highest."""
    with project.start_run() as run:
        run.log({"a": 1}, step=5)
        run.log({"b": 2}, step=5)
        run.log({"a": 3}, step=5)
        run.log({"a": 0}, step=2)
        run.log({"a": 4})

    assert [(row.step, row.values) for row in run.history()] == [(2, {"a": 0}), (5, {"a": 3, "b": 2}), (6, {"a": 4})]
    assert run.step == 7


@pytest.mark.parametrize(
    ("value", "kept", "summary"),
    [
        (1, 1.0, 1),
        (True, True, True),
        (2**53, float(2**53), 2**53),
        (2**53 + 1, 2**53 + 1, 2**53 + 1),
        (-(10**400), -(10**400), -(10**400)),
        (5e-324, 5e-324, 5e-324),
        (1.7976931348623157e308, 1.7976931348623157e308, 1.7976931348623157e308),
        (math.inf, math.inf, None),
        (-math.inf, -math.inf, None),
        ("text", "text", "text"),
        ([1, {"a": None}], [1, {"a": None}], [1, {"a": None}]),
        (None, None, None),
    ],
)
def test_log_keeps_each_value_exactly(project: lineage.Project, value: object, kept: object, summary: object) -> None:
    """Numbers are not rounded, other data is kept as JSON; in the summary infinities become null."""
    with project.start_run() as run:
        run.log({"a": value})

    assert run.history()[0].values == {"a": kept}
    assert type(run.history()[0].values["a"]) is type(kept)
    assert project.run(run.id).summary == {"a": summary}


@pytest.mark.parametrize("step", [np.int64(7), np.uint8(7)])
def test_log_takes_whole_numbers_of_any_type_as_steps(project: lineage.Project, step: Any) -> None:
    """A step that was counted by numpy is one like any other."""
    with project.start_run() as run:
        run.log({"a": 1}, step=step)

    assert [row.step for row in run.history()] == [7]


@pytest.mark.parametrize("step", [np.float64(7), np.bool_(True), 2**62 - 1])
def test_log_refuses_steps_that_are_none(project: lineage.Project, step: Any) -> None:
    """What is no whole number, or has none after it, is refused before anything is kept."""
    run = project.start_run()

    with refused(project, InvalidInputError, "step .*: give a whole number, 0 or more"):
        run.log({"a": 1}, step=step)


_NUMBERS = st.integers(0, 2**62) | st.sampled_from([10**18 - 1, 10**18, 2**62 - 2])
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
_NAMES = st.text(min_size=1, max_size=5) | st.sampled_from(["\0", "\ud800", "x" * 513])


@settings(max_examples=30)
@given(_NUMBERS, _NAMES, _VALUES, st.text(max_size=5), st.integers(-(2**31), 2**31))
def test_whatever_a_run_accepts_can_be_merged(step: int, name: str, value: object, words: str, exit_code: int) -> None:
    """A run keeps nothing that the check of a file from elsewhere refuses: neither numbers, nor names, nor words."""
    with tempfile.TemporaryDirectory() as folder:
        project = lineage.open(Path(folder, "theirs.lineage"))
        with suppress(RuntimeError), project.start_run(id="r") as run:
            calls: list[Callable[[], object]] = [
                lambda: run.log({name: value}, step=step),
                lambda: run.summary.update({name: value}),
                lambda: run.update(name=name, notes=words, tags=[words]),
                lambda: run.log_artifact(draft("d", metadata={name: value})),
                lambda: run.use_artifact(draft("e"), words),
                lambda: run.finish(exit_code=exit_code) if exit_code % 2 else None,
            ]
            for call in calls:
                with suppress(InvalidInputError):
                    call()
            raise RuntimeError(words)
        taken = lineage.open(Path(folder, "ours.lineage"))
        taken.merge(project.file)

        assert repr(taken.run("r").history()) == repr(project.run("r").history())
        assert taken.run("r").record.error == project.run("r").record.error


def test_log_keeps_nan_and_negative_zero(project: lineage.Project) -> None:
    """A loss that diverged is a fact worth keeping, and so is the sign of zero."""
    with project.start_run() as run:
        run.log({"nan": math.nan, "zero": -0.0})

    values = run.history()[0].values
    assert math.isnan(float(str(values["nan"])))
    assert math.copysign(1, float(str(values["zero"]))) == -1
    assert project.run(run.id).summary["nan"] is None


def test_log_that_is_refused_keeps_nothing_of_the_call(project: lineage.Project) -> None:
    """One bad value and none of the call's metrics is logged, nor in the summary."""
    run = project.start_run()

    with refused(project, InvalidInputError, "metrics of run .*: b"):
        run.log({"a": 1, "b": object()})

    assert run.summary == {}
    assert run.step == 0
    assert run.history() == []


def test_log_is_buffered_until_something_is_written(project: lineage.Project) -> None:
    """A metric costs no write; asking for the history, or a flush, writes what waits."""
    run = project.start_run()
    run.log({"a": 1})

    before = project.run(run.id).history()
    run.flush()

    assert before == []
    assert [row.values for row in project.run(run.id).history()] == [{"a": 1.0}]


def test_log_of_a_thousand_values_writes_them(project: lineage.Project) -> None:
    """The buffer does not grow without bound."""
    run = project.start_run()

    run.log({f"m{number}": number for number in range(1_000)})

    assert len(project.run(run.id).history()[0].values) == 1_000


def test_log_after_a_second_writes_what_waits(project: lineage.Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Metrics wait a second at most while calls keep coming."""
    run = project.start_run()
    run.log({"a": 1})
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 1.1)

    run.log({"a": 2})

    assert [row.values for row in project.run(run.id).history()] == [{"a": 1.0}, {"a": 2.0}]


def test_flush_without_news_writes_nothing(project: lineage.Project) -> None:
    """A flush that has nothing to say leaves the file as it is."""
    run = project.start_run(config={"a": 1})
    run.flush()
    before = project.file.stat().st_mtime_ns

    run.flush()

    assert project.file.stat().st_mtime_ns == before


def test_history_of_some_names_gives_only_those(project: lineage.Project) -> None:
    """Metrics can be asked for by name; one name stands for a list of one."""
    with project.start_run() as run:
        run.log({"a": 1, "b": 2})
        run.log({"b": 3})

        assert [(row.step, row.values) for row in run.history(["a", "nope"])] == [(0, {"a": 1.0})]
    assert [(row.step, row.values) for row in project.run(run.id).history("b")] == [(0, {"b": 2.0}), (1, {"b": 3.0})]


def test_log_from_threads_keeps_every_metric(project: lineage.Project) -> None:
    """Several threads may log to one run; each call has a step of its own."""
    with project.start_run() as run:

        def work() -> None:
            for _ in range(50):
                run.log({"a": 1})

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert [row.step for row in run.history()] == list(range(200))


# --- config and summary ---


def test_config_is_a_dict_and_attributes_alike(project: lineage.Project) -> None:
    """A value can be read, set and taken away either way, and is checked as JSON when it is set."""
    with project.start_run(config={"lr": 0.1, "gone": 1, "out": 2}) as run:
        run.config.depth = (1, 2)
        run.config["wide"] = {1: 2}
        del run.config["gone"]
        del run.config.out

        assert run.config.lr == 0.1
        assert run.config["depth"] == [1, 2]
        assert dict(run.config) == {"lr": 0.1, "depth": [1, 2], "wide": {"1": 2}}
        assert (len(run.config), list(run.config)) == (3, ["lr", "depth", "wide"])
        assert repr(run.config) == "{'lr': 0.1, 'depth': [1, 2], 'wide': {'1': 2}}"
    assert project.run(run.id).config == {"lr": 0.1, "depth": [1, 2], "wide": {"1": 2}}


def test_config_without_a_key_raises_what_a_dict_and_an_object_raise(project: lineage.Project) -> None:
    """Missing keys behave as Python's own, so that get, hasattr and getattr work."""
    config = project.start_run().config

    assert config.get("lr", 1) == 1
    assert not hasattr(config, "lr")
    with pytest.raises(KeyError):
        config["lr"]
    with pytest.raises(AttributeError, match="config has no 'lr'"):
        config.lr  # noqa: B018 (the look is the act)
    with pytest.raises(AttributeError, match="config has no 'lr'"):
        del config.lr


def test_config_changed_in_place_is_written_at_the_end(project: lineage.Project) -> None:
    """A nested value that is changed inside is noticed and checked when the run writes."""
    with project.start_run(config={"layers": [1]}) as run:
        run.config.layers.append(2)

    assert project.run(run.id).config == {"layers": [1, 2]}


def test_config_that_became_wrong_in_place_stops_the_end_and_can_be_mended(project: lineage.Project) -> None:
    """A run that cannot be written says so and stays running until its config is right again."""
    run = project.start_run(config={"layers": []})
    run.config.layers.append(object())

    with refused(project, InvalidInputError, r"config: layers\[0\]"):
        run.finish()

    run.config.layers.clear()
    run.finish()
    assert project.run(run.id).status == "finished"


def test_nested_keys_of_two_writers_are_both_kept(project: lineage.Project) -> None:
    """Two objects of a run that put keys into one dict of its summary do not put each other's out."""
    run = project.start_run(id="mine")
    other = project.start_run(id="mine", resume="must")
    run.summary["train"] = {"loss": 1, "deep": {"a": 1}}
    other.summary["train"] = {"acc": 1, "deep": {"b": 1}}

    other.flush()
    run.finish()

    assert project.run("mine").summary == {"train": {"loss": 1, "acc": 1, "deep": {"a": 1, "b": 1}}}


def test_summary_that_a_batch_wrote_is_not_written_again(project: lineage.Project) -> None:
    """What another object of the run sets after the batch stays, since this one changed nothing since."""
    run = project.start_run(id="mine")
    with project.batch():
        run.summary["key"] = "old"
        run.flush()
    other = project.start_run(id="mine", resume="must")
    other.summary["key"] = "new"
    other.flush()

    run.finish()

    assert project.run("mine").summary == {"key": "new"}


# --- using and logging: see also test_use_artifact.py and test_log_artifact.py ---


def test_log_artifact_notes_the_step_it_was_logged_at(project: lineage.Project) -> None:
    """Nothing before the first metric, then the last step that was logged."""
    with project.start_run() as run:
        before = run.log_artifact(draft("d", {"a": "1"}))
        run.log({"a": 1})
        run.log({"a": 1}, step=9)
        after = run.log_artifact(draft("d", {"a": "2"}))

    assert (before.record.step, after.record.step) == (None, 9)


def test_log_artifact_of_a_path_is_called_after_run_and_file(project: lineage.Project) -> None:
    """A file without a name gets one made of the run's id and its own name, in signs that a name may have."""
    Path("mödel 1.bin").write_bytes(b"x")

    with project.start_run(id="r 1") as run:
        version = run.log_artifact("mödel 1.bin")

    assert (version.reference, version.type) == ("run-r_1-m_del_1.bin:v0", "unspecified")
    assert [entry.path for entry in version.files()] == ["mödel 1.bin"]


# --- the read handle ---


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.update(b=2),
        lambda data: data.__setitem__("b", 2),
        lambda data: data.setdefault("b", 2),
        lambda data: data.pop("a"),
        lambda data: data["a"].clear(),
        lambda data: data["a"]["list"].append(3),
        lambda data: data["a"]["list"].sort(),
    ],
)
@pytest.mark.parametrize("what", ["config", "summary", "metadata"])
def test_data_of_a_handle_is_not_changed_in_place(project: lineage.Project, what: str, change: Any) -> None:
    """Nobody would write it: it says what does, and is JSON data like any other, whose copies are free."""
    data = {"a": {"list": [2, 1]}}
    with project.start_run(id="mine", config=data) as run:
        run.summary.update(data)
        version = run.log_artifact(draft("d", metadata=data))
    handle = version if what == "metadata" else project.run("mine")
    free = deepcopy(getattr(handle, what))

    with pytest.raises(StateError, match=rf"{what} of .* is not changed in place: .*update\({what}=...\) changes it"):
        change(getattr(handle, what))
    change(free)

    assert getattr(handle, what) == data
    assert json.loads(json.dumps(getattr(handle, what))) == data
    assert type(free) is dict


def test_run_tells_how_it_went(project: lineage.Project) -> None:
    """What the record knows, the handle has as an attribute."""
    with project.start_run(id="mine"):
        running = project.run("mine")
    run = project.run("mine")

    record = run.record
    assert (running.ended_at, running.exit_code, running.error) == (None, None, None)
    assert (run.started_at, run.ended_at, run.exit_code) == (record.started_at, record.ended_at, 0)
    assert (run.host, run.user, run.error) == (record.host, record.user, None)
    assert (run.code, run.environment) == (record.code, record.environment)


def test_run_update_changes_only_what_is_given(project: lineage.Project) -> None:
    """What is not given stays, also when another handle changed it meanwhile; empty notes are removed."""
    project.start_run(id="mine", name="first", notes="words", tags=["a"]).finish()
    stale, other = project.run("mine"), project.run("mine")
    other.update(name="second", notes="")

    stale.update(tags=["b", "c"])

    assert (stale.name, stale.notes, stale.tags) == ("second", None, ("b", "c"))
    assert stale.record == project.run("mine").record
    assert project.run("mine").update(tags="two words").tags == ("two words",)


def test_active_run_update_changes_words_while_it_runs(project: lineage.Project) -> None:
    """A program renames itself and says what it found; what it logs besides is not touched."""
    with project.start_run("train", id="mine", config={"lr": 0.1}, tags=["a"], notes="words") as run:
        run.config["lr"] = 0.2
        run.log({"loss": 1.0})
        run.update(name="renamed", tags=["b", "c"])

        assert (run.name, run.tags, run.notes) == ("renamed", ("b", "c"), "words")
        assert project.run("renamed").tags == ("b", "c")
        run.update(notes="")

    found = project.run("mine")
    assert (found.name, found.tags, found.notes) == ("renamed", ("b", "c"), None)
    assert (found.config, found.summary) == ({"lr": 0.2}, {"loss": 1.0})


@pytest.mark.parametrize("words", [{"name": ""}, {"name": "a\nb"}, {"tags": ["ok", "a\nb"]}, {"notes": 5}])
def test_active_run_update_that_is_refused_changes_nothing(project: lineage.Project, words: dict[str, Any]) -> None:
    """Neither in the project nor in the hands of the program."""
    with project.start_run(name="first", tags=["a"]) as run:
        with refused(project, InvalidInputError, "use 1 to|notes"):
            run.update(**{"notes": "fine", **words})

        assert (run.name, run.tags, run.notes) == ("first", ("a",), None)


def test_active_run_update_of_a_finished_run_is_refused(project: lineage.Project) -> None:
    """The read handle does that."""
    with project.start_run(id="mine") as run:
        pass

    with refused(project, StateError, "finished"):
        run.update(name="late")
    assert project.run("mine").update(name="late").name == "late"


def test_start_run_that_resumes_what_is_still_running_elsewhere_says_so(
    project: lineage.Project, caplog: pytest.LogCaptureFixture
) -> None:
    """Two processes may go on with one run; whoever comes second is told which process has it."""
    with project.start_run(id="mine"):
        caller = "import sys, lineage; lineage.open(sys.argv[1]).start_run(id='mine', resume='allow')"
        done = subprocess.run([sys.executable, "-c", caller, project.file], capture_output=True, text=True)
        project.start_run(id="other").finish()
        project.start_run(id="other", resume="must").finish()

    assert done.returncode == 0
    assert f"run 'mine' is still running in process {os.getpid()} on " in done.stderr
    assert "still running" not in caplog.text


def test_run_update_that_is_refused_changes_nothing(project: lineage.Project) -> None:
    """One part that breaks a rule and none is written."""
    project.start_run(id="mine", name="first").finish()

    with refused(project, InvalidInputError, "Invalid tag ''", ErrorKind.TAG_INVALID):
        project.run("mine").update(name="second", notes="words", tags=["ok", ""])


def test_run_update_puts_what_was_found_later_into_the_summary(project: lineage.Project) -> None:
    """Config and summary of a run that has ended are replaced, each as a whole; the other stays."""
    with project.start_run(id="mine", config={"lr": 0.1}) as run:
        run.log({"loss": 0.5})

    project.run("mine").update(summary={"loss": 0.5, "test": {"iou": 0.7}})
    project.run("mine").update(config={"lr": 0.1, "seed": 1})

    found = project.run("mine")
    assert (found.summary, found.config) == ({"loss": 0.5, "test": {"iou": 0.7}}, {"lr": 0.1, "seed": 1})
    assert project.runs({"summary.test.iou": {"$gt": 0.6}})[0].id == "mine"


@pytest.mark.parametrize("words", [{"summary": {"a": 1}}, {"config": {"a": 1}}])
def test_run_update_of_the_documents_of_a_running_run_is_refused(
    project: lineage.Project, words: dict[str, object]
) -> None:
    """Its own process writes them, and would write over the change; name, notes and tags can be changed."""
    run = project.start_run(id="mine")

    with refused(project, lineage.StateError, "run 'mine' is running", ErrorKind.STATE):
        project.run("mine").update(name="second", **words)  # type: ignore[arg-type]  # one of the two

    run.finish()
    assert project.run("mine").update(**words).record.config == words.get("config", {})  # type: ignore[arg-type]


def test_run_handle_is_what_it_was_until_it_is_refreshed(project: lineage.Project) -> None:
    """A handle does not change behind one's back."""
    run = project.start_run(id="mine")
    handle = project.run("mine")
    run.finish()

    before = handle.status
    after = handle.refresh().status

    assert (before, after) == ("running", "finished")


def test_run_handle_shows_itself_in_one_line_and_as_a_table(project: lineage.Project) -> None:
    """The repr names it; the table for notebooks escapes every text."""
    with project.start_run("train", "<b>first</b>", id="mine", config={"<i>": 1}) as run:
        run.summary["a"] = "<u>"

    handle = project.run("mine")
    assert repr(handle) == "<Run <b>first</b> mine (train, finished)>"
    html = handle._repr_html_()
    assert "&lt;b&gt;first&lt;/b&gt;" in html
    assert "&lt;u&gt;" in html
    assert not {"<b>", "<i>", "<u>"} & set(html.replace("<", " <").split())


def test_listing_shows_itself_as_a_table_of_its_first_items(project: lineage.Project) -> None:
    """In a notebook the usual last line of a cell: some rows, fetched alone, with every text escaped."""
    with project.batch():
        for number in range(25):
            project.start_run("train", f"<b>{number}</b>", id=f"r{number}").finish()
        version = project.log_artifact(draft("d"), aliases=["best"])
    loaded: list[int] = []

    def load(keys: Sequence[int]) -> list[lineage.Run]:
        loaded.extend(keys)
        return [project.run(f"r{key}") for key in keys]

    html = lineage.Listing(lambda: range(25), load)._repr_html_()

    assert html.count("<tr>") == 21
    assert "the first 20 of 25" in html
    assert "<th>started_at</th>" in html
    assert "<td>&lt;b&gt;19&lt;/b&gt;</td><td>r19</td><td>train</td><td>finished</td>" in html
    assert loaded == list(range(20))
    assert (
        f"<td>d:v0</td><td>dataset</td><td>best, latest</td><td>{version.size}</td>" in project.versions()._repr_html_()
    )
    assert "d" in project.artifacts()._repr_html_()
    assert "<caption>0</caption>" in project.runs(status="failed")._repr_html_()


def test_run_handles_of_one_run_are_equal(project: lineage.Project) -> None:
    """Two handles of the same run are the same thing in a set; those of another project are not."""
    project.start_run(id="mine").finish()
    other = lineage.open("other.lineage")
    other.start_run(id="mine").finish()

    handles = {project.run("mine"), lineage.open(project.file).run("mine"), other.run("mine")}

    assert len(handles) == 2
    assert project.run("mine") != "mine"


def test_run_reproduced_lists_what_it_made_once_more(project: lineage.Project) -> None:
    """Content that was there already is a fact about the run, apart from what it produced."""
    first = project.log_artifact(draft("d", {"a": "b"}))
    with project.start_run() as run:
        again = run.log_artifact(draft("d", {"a": "b"}))

    handle = project.run(run.id)
    assert again == first
    assert (handle.reproduced(), handle.logged_artifacts(), first.reproduced_by()) == ([first], [], [handle])


def test_run_environment_and_code_are_in_its_record(project: lineage.Project) -> None:
    """What is needed to run it again is captured without being asked for."""
    with project.start_run() as run:
        pass

    record = project.run(run.id).record
    assert json.dumps(record.environment)
    assert record.environment["python"]
    assert "script" in json.dumps(record.code) or record.code
    assert record.host
    assert footprint(project)["environment"]


# --- in a batch ---


def test_metrics_written_in_a_batch_that_is_undone_are_not_lost(project: lineage.Project) -> None:
    """What was logged before the batch is the run's, and is written again with its next write."""
    with project.start_run(config={"a": 1}) as run:
        run.log({"loss": 0.5})
        run.config.a = 2
        with pytest.raises(ZeroDivisionError), project.batch():
            run.log_artifact(draft("d", {"a": "1"}))
            run.log({"loss": 0.25})
            raise ZeroDivisionError
        undone = project.run(run.id).history()

    assert undone == []
    assert [(row.step, row.values) for row in run.history()] == [(0, {"loss": 0.5}), (1, {"loss": 0.25})]
    assert (project.run(run.id).config, project.run(run.id).summary) == ({"a": 2}, {"loss": 0.25})
    assert len(project.versions()) == 0


def test_log_of_many_metrics_in_a_batch_keeps_them_all(project: lineage.Project) -> None:
    """A batch writes them once, when it asks for them or when the run ends."""
    with project.start_run() as run, project.batch():
        for number in range(3_000):
            run.log({"a": number})
        inside = len(run.history())

    assert (inside, len(run.history())) == (3_000, 3_000)


def test_write_to_a_run_that_was_deleted_meanwhile_is_refused(project: lineage.Project) -> None:
    """Somebody else ended and deleted the run: nothing is written to what is only a node in the graph."""
    run = project.start_run(id="mine", name="first")
    project.start_run(id="mine", resume="must").finish()
    project.run("mine").delete()

    for call in (lambda: run.log_artifact(draft("d", {"a": "1"})), lambda: run.use_artifact(draft("e")), run.finish):
        with refused(project, NotFoundError, "run 'first' was deleted; start another", ErrorKind.RUN_NOT_FOUND):
            call()
