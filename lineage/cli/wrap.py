"""``lineage run``: any command as a run, with its inputs, outputs, exit code and duration."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from lineage import ActiveRun, Artifact, ErrorKind, InvalidInputError, Project, RunStatus
from lineage.cli.context import Settings, command, object_of, source_of
from lineage.cli.output import note
from lineage.cli.write import fill, type_of
from lineage.exports import visible
from lineage.values import artifact_name, label

if TYPE_CHECKING:
    from types import FrameType


_PASSED: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT, signal.SIGQUIT)
_ENDING: Final = frozenset({signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT})
_FROM_TERMINAL: Final = frozenset({signal.SIGINT, signal.SIGQUIT})
"""What a terminal sends to everybody in the foreground: the command has it already."""
_NOT_FOUND: Final = 127
_NOT_STARTED: Final = 126
_SIGNALLED: Final = 128


@dataclass(frozen=True, slots=True)
class _Output:
    """What to log when the command is done."""

    name: str
    type: str
    path: str


@command(context_settings={"allow_interspersed_args": False})
@click.argument("arguments", nargs=-1, required=True, metavar="COMMAND [ARGUMENT]...", type=click.UNPROCESSED)
@click.option("--use", "inputs", multiple=True, metavar="REF", help="A version it consumes.")
@click.option("--log", "outputs", multiple=True, metavar="NAME[:TYPE]=PATH", help="A file or folder to log afterwards.")
@click.option("--job-type", metavar="TYPE", help="The step of the pipeline, such as train.")
@click.option("--name", metavar="NAME", help="What to call the run.  [default: made up]")
@click.option("--group", metavar="GROUP", help="The group it belongs to.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Put it on the run.")
@click.option("--notes", metavar="TEXT", help="Words about it.")
@click.option("--config", metavar="JSON", help="What it is told, or @FILE.")
@click.option("--log-always", is_flag=True, help="Log what is there of the outputs also if the command fails.")
@click.pass_context
def run(  # noqa: PLR0913, PLR0917 (options)
    context: click.Context,
    /,
    settings: Settings,
    arguments: tuple[str, ...],
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    log_always: bool,  # noqa: FBT001 (an option)
    **about: Any,  # noqa: ANN401 (options)
) -> None:
    """Run a command and record it as a run.

    With its inputs, outputs, exit code, duration, code and environment.

    As in:

    lineage run --use data --log model=out/ --job-type train -- python train.py

    The exit code is the command's, 128 and the signal's number if a signal ended it. Signals are passed on. The
    command finds the project in LINEAGE_PROJECT and the run in LINEAGE_RUN_ID, so that "lineage use" and "lineage
    log" within it belong to the run. A Python program within it goes on with the run, too, by

    lineage.open().start_run(id=os.environ["LINEAGE_RUN_ID"], resume="must")

    and otherwise makes one of its own. Outputs are logged if it succeeds; one that is missing then is an error.
    """
    project = settings.writing()
    wanted = [_output(project, text) for text in outputs]
    about["config"] = object_of(about["config"], "--config")
    if shutil.which(arguments[0]) is None:
        _warn(f"no command {arguments[0]!r}")
        context.exit(_NOT_FOUND)
    with project.start_run(**about, use=inputs, command=arguments) as active:
        code = _record(project, active, arguments, wanted, log_always=log_always)
    _tell(active)
    context.exit(code)


def _output(project: Project, text: str) -> _Output:
    """Return what ``--log`` asks for, checked before hours are spent on making it.

    Raises:
        InvalidInputError: It is not NAME=PATH or NAME:TYPE=PATH, the artifact has another type, or is a collection.
    """
    what, equals, path = text.partition("=")
    name, colon, type = what.partition(":")
    if not equals or not path or (colon and not type):
        message = f"--log {text!r}: give NAME=PATH or NAME:TYPE=PATH, such as model=out/"
        raise InvalidInputError(message)
    known = type_of(project, artifact_name(name), None)
    chosen = label(type, "artifact type") if colon else known
    found = list(project.artifacts({"name": name}, include_deleted=True))
    if any(record.collection for record in found):
        raise InvalidInputError(f"--log {text!r}: {name!r} is a collection of links", kind=ErrorKind.NAME_TAKEN)
    if chosen != known and found:
        message = f"--log {text!r}: artifact {name!r} already exists with type {known!r}; leave the type out"
        raise InvalidInputError(message, kind=ErrorKind.TYPE_CLASH)
    return _Output(name, chosen, path)


def _record(
    project: Project, active: ActiveRun, arguments: tuple[str, ...], outputs: list[_Output], *, log_always: bool
) -> int:
    """Run the command, log its outputs, finish the run, and return the exit code."""
    code, killed = _run_command(project, active, arguments)
    if code == 0 or log_always:
        for output in outputs:
            _log_output(active, output, lenient=code != 0)
    active.finish(RunStatus.KILLED if killed else None, exit_code=code)
    return code


def _log_output(active: ActiveRun, output: _Output, *, lenient: bool) -> None:

    if lenient and not os.path.lexists(output.path):
        _warn(f"{output.path!r} is not there, so {output.name} was not logged")
        return
    draft = Artifact(output.name, output.type)
    fill(draft, source_of(output.path))
    active.log_artifact(draft)


def _run_command(project: Project, active: ActiveRun, arguments: tuple[str, ...]) -> tuple[int, bool]:
    """Return the command's exit code as a shell has it, and whether a signal ended it."""
    told = {"LINEAGE_RUN_ID": active.id, "LINEAGE_RUN_PID": str(os.getpid())}  # the latter: who only waits for it
    environment = {**os.environ, "LINEAGE_PROJECT": os.fspath(project.file), **told}
    with _passing_signals() as passing:
        try:
            process = subprocess.Popen(arguments, env=environment)  # noqa: S603 (what the user asked for)
        except OSError as error:  # it was there a moment ago, or is no program
            _warn(f"cannot start {arguments[0]!r}: {error.strerror}")
            return _NOT_STARTED, False
        passing.start(process)
        code = process.wait()
    if code < 0:
        return _SIGNALLED - code, True
    return code, passing.ending and code != 0


class _Passing:
    """Signals on their way to the command; those that come before it has started wait for it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting: list[int] = []
        self.ending = False
        """Whether one that ends programs was among them."""

    def start(self, process: subprocess.Popen[bytes]) -> None:
        """Pass on to this process from now on."""
        self._process = process
        for number in self._waiting:
            process.send_signal(number)

    def __call__(self, number: int, _: FrameType | None) -> None:
        """Pass one on."""
        self.ending = self.ending or number in _ENDING
        if number in _FROM_TERMINAL and _in_foreground():
            return
        if self._process is None:
            self._waiting.append(number)
        else:
            self._process.send_signal(number)


@contextmanager
def _passing_signals() -> Iterator[_Passing]:
    """For the block, hand signals on instead of obeying them: the command decides, and the run is still recorded.

    What is ignored, as under nohup, stays so for both.
    """
    passing = _Passing()
    handlers = {number: signal.getsignal(number) for number in _PASSED}
    before = {number: handler for number, handler in handlers.items() if handler not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, passing)
    try:
        yield passing
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _in_foreground() -> bool:
    """Whether a terminal sends its signals to this process and to the command alike."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _tell(active: ActiveRun) -> None:
    logged = ", ".join(version.reference for version in active.logged_artifacts())
    note(f"lineage: run {active.name} ({active.id}){f' logged {logged}' if logged else ''}")


def _warn(message: str) -> None:
    sys.stderr.write(visible(f"lineage: {message}") + "\n")
