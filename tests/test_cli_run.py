"""`lineage run`: a command as a run, its exit code, its outputs, and the signals that reach it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import draft
from test_cli_support import call, command, good, process, seen

import lineage
from lineage.cli.wrap import _Passing


def shell(script: str) -> list[str]:
    """Return a command that does what a shell script says."""
    return ["--", "sh", "-c", script]


def python(program: str) -> list[str]:
    """Return a command that does what a Python program says."""
    return ["--", sys.executable, "-c", program]


def only_run(project: lineage.Project) -> lineage.Run:
    """Return the one run of the project."""
    (run,) = project.runs()
    return run


# --- what is recorded ------------------------------------------------------------------------------------------


def test_run_records_inputs_and_outputs(project: lineage.Project) -> None:
    """What it used before, what it made after, and what it was."""
    project.log_artifact(draft("data", {"a": "1"}))
    Path("config.json").write_text('{"lr": 0.1}')
    options = ["--use", "data:latest", "--log", "model=out/", "--log", "table:scores=s.csv", "--job-type", "train"]
    words = ["--name", "my run", "--group", "g", "--tag", "t", "--notes", "n", "--config", "@config.json"]

    good("run", *options, *words, *shell("mkdir out; echo w > out/w.bin; echo 1 > s.csv"))

    run = only_run(project)
    assert [version.reference for version in run.used_artifacts()] == ["data:v0"]
    assert [(version.reference, version.type) for version in run.logged_artifacts()] == [
        ("model:v0", "unspecified"),
        ("table:v0", "scores"),
    ]
    assert (run.name, run.job_type, run.group, run.tags, run.notes) == ("my run", "train", "g", ("t",), "n")
    assert run.config == {"lr": 0.1}
    assert (run.status, run.record.exit_code) == ("finished", 0)
    assert run.record.ended_at is not None


def test_run_records_the_command_as_its_code(project: lineage.Project) -> None:
    """What ran is the command and its script, not the program that watched over it."""
    Path("train.py").write_text("print(1)")

    good("run", "--", sys.executable, "train.py")

    code = only_run(project).record.code
    assert code["command"] == [sys.executable, "train.py"]


def test_run_output_keeps_the_type_of_its_artifact(project: lineage.Project) -> None:
    """A type need not be repeated."""
    project.log_artifact(draft("model", {"w": "1"}, type="model"))

    good("run", "--log", "model=w", *shell("echo 2 > w"))
    good("run", "--log", "model:model=w", *shell("echo 3 > w"))

    assert project.version("model").reference == "model:v2"


def test_run_output_may_be_a_uri(project: lineage.Project) -> None:
    """What a command writes elsewhere is tracked."""
    good("run", "--log", "model=s3://bucket/model.bin", "true")

    assert project.version("model").files()[0].uri == "s3://bucket/model.bin"


def test_run_passes_streams_and_arguments_through(project: lineage.Project) -> None:
    """The command has stdin, stdout and stderr to itself; options behind it are its own."""
    done = subprocess.run(
        command("run", "cat", "-", "--", "/dev/null"), check=False, capture_output=True, input=b"through"
    )
    loud = process("run", "sh", "-c", "echo told >&2")

    assert (done.returncode, done.stdout, done.stderr) == (0, b"through", b"")
    assert (loud.stdout, loud.stderr) == (b"", b"told\n")


def test_run_tells_the_command_where_it_is(project: lineage.Project) -> None:
    """LINEAGE_PROJECT and LINEAGE_RUN_ID are set for it."""
    good("run", *shell('echo "$LINEAGE_PROJECT" > told; echo "$LINEAGE_RUN_ID" >> told'))

    assert Path("told").read_text().split() == [str(project.file), only_run(project).id]


def test_run_of_lineage_within_belongs_to_the_run(project: lineage.Project) -> None:
    """`lineage use` and `lineage log` in the command need no --run."""
    project.log_artifact(draft("data", {"a": "1"}))
    Path("w").write_text("w")
    lineage_ = " ".join(command())

    done = process("run", *shell(f"{lineage_} use data --no-download && {lineage_} log w model"))

    run = only_run(project)
    assert done.stdout.decode().split() == ["data:v0", "model:v0"]
    assert [version.reference for version in run.used_artifacts()] == ["data:v0"]
    assert [version.reference for version in run.logged_artifacts()] == ["model:v0"]


def test_run_resumed_by_the_command_keeps_what_it_wrote(project: lineage.Project) -> None:
    """A program may go on with the run it was started in; the exit code still decides how it ended."""
    program = (
        "import os, lineage\n"
        "with lineage.open().start_run(id=os.environ['LINEAGE_RUN_ID'], resume='must', config={'lr': 1}) as run:\n"
        "    run.log({'loss': 0.5})\n"
        "raise SystemExit(4)"
    )

    done = process("run", "--config", '{"epochs": 3}', *python(program))

    run = only_run(project)
    assert (done.returncode, done.stderr) == (4, b"")  # the wrapper only waits: nobody is warned of it
    assert run.config == {"epochs": 3, "lr": 1}
    assert run.summary == {"loss": 0.5}
    assert (run.status, run.record.exit_code) == ("failed", 4)


def test_run_tells_a_person_what_it_logged(project: lineage.Project) -> None:
    """A word on a terminal, silence in a pipe."""
    assert "logged model:v0" in seen("run", "--log", "model=w", *shell("echo 1 > w")).out
    assert good("run", "true").out == ""


# --- failure ---------------------------------------------------------------------------------------------------


def test_run_exits_as_the_command(project: lineage.Project) -> None:
    """A command that fails is a failed run, and its outputs are not logged."""
    answer = call("run", "--log", "model=w", *shell("echo 1 > w; exit 7"))

    run = only_run(project)
    assert (answer.code, answer.err) == (7, "")
    assert (run.status, run.record.exit_code) == ("failed", 7)
    assert run.logged_artifacts() == []


def test_run_log_always_logs_what_is_there(project: lineage.Project) -> None:
    """Also of a command that failed; what is missing is named and does no harm."""
    answer = call("run", "--log-always", "--log", "model=w", "--log", "scores=s", *shell("echo 1 > w; exit 7"))

    assert answer.code == 7
    assert answer.err == "lineage: 's' is not there, so scores was not logged\n"
    assert [version.reference for version in only_run(project).logged_artifacts()] == ["model:v0"]


def test_run_without_its_output_is_an_error(project: lineage.Project) -> None:
    """A command that succeeds and makes nothing did not do what it was to do."""
    answer = call("run", "--log", "model=w", "true")

    run = only_run(project)
    assert answer.code == 2
    assert "'w'" in answer.err
    assert run.status == "failed"
    assert run.record.error is not None


def test_run_of_no_command_leaves_no_run(project: lineage.Project) -> None:
    """A misspelled command is not an execution; shells exit so, too."""
    answer = call("run", "pyhton", "train.py")

    assert answer.code == 127
    assert answer.err == "lineage: no command 'pyhton'\n"
    assert len(project.runs()) == 0


def test_run_of_what_is_no_program_is_a_failed_run(project: lineage.Project) -> None:
    """What looks like a program and cannot be started."""
    Path("program").write_bytes(b"\0\1\2")
    Path("program").chmod(0o755)

    answer = call("run", "./program")

    assert answer.code == 126
    assert answer.err.startswith("lineage: cannot start './program'")
    assert (only_run(project).status, only_run(project).record.exit_code) == ("failed", 126)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--log", "model"], 2),
        (["--log", "model="], 2),
        (["--log", "model:=w"], 2),
        (["--log", "bad name=w"], 2),
        (["--log", "data:model=w"], 2),
        (["--use", "nothing"], 3),
        (["--config", "{"], 2),
        (["--name", ""], 2),
    ],
)
def test_run_refuses_what_could_not_be_recorded_before_it_starts(
    project: lineage.Project, options: list[str], code: int
) -> None:
    """Nobody computes for hours to learn that an option was wrong."""
    project.log_artifact(draft("data", {"a": "1"}))

    answer = call("run", *options, *shell("echo started > started"))

    assert answer.code == code
    assert not Path("started").exists()
    assert len(project.runs()) == 0


# --- signals ---------------------------------------------------------------------------------------------------


def test_run_killed_by_a_signal_says_so(project: lineage.Project) -> None:
    """The exit code is that of a shell: 128 and the signal's number."""
    assert call("run", *shell("kill -KILL $$")).code == 137

    run = only_run(project)
    assert (run.status, run.record.exit_code) == ("killed", 137)


WAITING = """
import signal, sys
def end(number, frame):
    print("got", number, flush=True)
    sys.exit({code})
signal.signal({number}, end)
print("ready", flush=True)
signal.pause()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_run_passes_signals_on(project: lineage.Project, number: signal.Signals) -> None:
    """The command decides what to do about one; the run is recorded all the same."""
    arguments = command("run", *python(WAITING.format(number=int(number), code=5)))

    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, start_new_session=True) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "ready\n"
        started.send_signal(number)
        assert started.stdout.read() == f"got {int(number)}\n"

    run = only_run(project)
    assert started.returncode == 5
    assert run.record.exit_code == 5
    assert run.status == ("failed" if number == signal.SIGUSR1 else "killed")


def test_run_ended_in_peace_by_a_signal_is_finished(project: lineage.Project) -> None:
    """A service that is stopped, cleans up and exits with 0 did what it should."""
    arguments = command("run", *python(WAITING.format(number=int(signal.SIGTERM), code=0)))

    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, start_new_session=True) as started:
        assert started.stdout is not None
        started.stdout.readline()
        started.send_signal(signal.SIGTERM)
        started.stdout.read()

    assert started.returncode == 0
    assert only_run(project).status == "finished"


COUNTING = """
import signal
count = 0
def interrupted(number, frame):
    global count
    count += 1
    print("interrupted", flush=True)
def asked(number, frame):
    print("count", count, flush=True)
    raise SystemExit(0)
signal.signal(signal.SIGINT, interrupted)
signal.signal(signal.SIGUSR1, asked)
print("ready", flush=True)
while True:
    signal.pause()
"""


CONTROLLED = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
"""Makes stdin the terminal that controls the process, then becomes the command."""


def test_run_on_a_terminal_gets_an_interrupt_once(project: lineage.Project) -> None:
    """The terminal sends Ctrl-C to everybody in the foreground, so it is not passed on as well."""
    outer, inner = os.openpty()
    arguments = [sys.executable, "-c", CONTROLLED, *command("run", *python(COUNTING))]

    with subprocess.Popen(
        arguments, stdin=inner, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == b"ready\n"
        os.write(outer, b"\x03")
        assert started.stdout.readline() == b"interrupted\n"
        started.send_signal(signal.SIGUSR1)  # it goes the same way, behind any interrupt that is passed on
        assert started.stdout.readline() == b"count 1\n"
    os.close(outer)
    os.close(inner)

    assert started.returncode == 0


def test_run_under_nohup_leaves_the_command_under_it(project: lineage.Project) -> None:
    """A signal that is ignored stays ignored in the command."""
    program = "import signal; print(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN)"
    ignoring = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh", *command("run", *python(program))]

    done = subprocess.run(ignoring, check=True, capture_output=True, text=True)

    assert done.stdout == "True\n"


def test_run_passes_on_what_its_own_command_sends(project: lineage.Project) -> None:
    """Whoever sends it, the command gets it."""
    program = (
        "import os, signal, sys\nsignal.signal(signal.SIGUSR1, lambda *_: sys.exit(3))\n"
        "os.kill(os.getppid(), signal.SIGUSR1)\nwhile True:\n    signal.pause()"
    )

    assert call("run", *python(program)).code == 3
    assert only_run(project).status == "failed"


def test_signal_before_the_command_has_started_waits_for_it() -> None:
    """None is lost in between."""
    passing = _Passing()
    passing(signal.SIGTERM, None)

    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as started:
        passing.start(started)
        assert started.wait() == -signal.SIGTERM

    assert passing.ending


def test_signals_are_the_programs_own_again_afterwards(project: lineage.Project) -> None:
    """A call from Python leaves no handler behind."""
    before = signal.getsignal(signal.SIGTERM)

    good("run", "true")

    assert signal.getsignal(signal.SIGTERM) == before
