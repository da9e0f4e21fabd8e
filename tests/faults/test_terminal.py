"""The command line in front of hostile names and broken ends: what is printed is inert, and failure is never 0."""

from __future__ import annotations

import os
import pty
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import plants_terminal as bugs
import pytest
from conftest import draft
from ledger import Ledger
from plants import Bug, planted

import lineage

INERT = pytest.mark.faults("P18 P12", "F121 F119 F67", "escapes and bidi in names printed inert, any locale and width")
EXITS = pytest.mark.faults("P9 P18", "F121 F122", "broken pipe, closed stdout, Ctrl-C: exit status not 0")

START = """
from plants import plant_what_the_environment_names
plant_what_the_environment_names()
from lineage.cli import main
main()
"""
NASTY = "x\x1b]0;owned\x07\x1b[2J\u202egnp.exe\u2066\u200b<script>alert(1)</script>\r\x9b31m"
"""A title, a cleared screen, text that runs backwards, a mark that closes nothing, and a page's script."""
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
"""What a terminal obeys or hides, but for line breaks and tabs."""


def command(
    folder: Path, *arguments: str, bug: Bug | None = None, **environment: str
) -> tuple[list[str], dict[str, str]]:
    """Return how the program is started, with a bug in it if one is given."""
    here = Path(__file__).parent
    around = {
        name: text for name, text in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON", "LINEAGE"))
    }
    around |= {"PYTHONPATH": f"{here}:{here.parent}", **(bug.environment if bug else {}), **environment}
    return [sys.executable, "-c", START, *arguments], around


def answer(
    folder: Path, *arguments: str, bug: Bug | None = None, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a command in a project's folder."""
    words, around = command(folder, *arguments, bug=bug, **environment)
    return subprocess.run(words, cwd=folder, env=around, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which every text that may be anything is hostile; the rest somebody has forged."""
    folder = tmp_path_factory.mktemp("nasty")
    project = lineage.open(folder / "p.lineage")
    with project.start_run("job", id="run", notes=NASTY.replace("\0", ""), config={NASTY: NASTY}) as run:
        run.log({"loss": NASTY})
        made = draft("data", {"a": "1"}, description=NASTY, metadata={NASTY: NASTY})
        made.add_reference("s3://bucket/key")
        run.log_artifact(made, aliases=["best"])
    with closing(sqlite3.connect(project.file, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(
            'UPDATE run SET name = ?1, job_type = ?1, "group" = ?1, host = ?1, user = ?1, error = ?1', (NASTY,)
        )
        connection.execute("UPDATE artifact SET type = ?", (NASTY,))
        connection.execute("INSERT INTO run_tag (run, tag) VALUES (1, ?)", (NASTY,))
        connection.execute("INSERT INTO version_tag (version, tag) VALUES (1, ?)", (NASTY,))
        connection.execute("UPDATE entry SET uri = ? WHERE uri IS NOT NULL", (f"javascript:{NASTY}",))
        connection.execute("UPDATE alias SET name = ? WHERE name = 'best'", (NASTY,))
    return folder


ASKED = [
    ("ls",),
    ("ls", "runs"),
    ("ls", "data"),
    ("ls", "versions"),
    ("show", "data"),
    ("show", "run"),
    ("up", "data"),
    ("down", "run"),
    ("graph", "data"),
    ("graph", "data", "--format", "dot"),
    ("search", "x"),
    ("whereis", "data"),
    ("size",),
    ("verify",),
    ("repair", "-n"),
    ("alias", "ls", "data"),
    ("sql", "SELECT * FROM runs"),
    ("show", NASTY),
    ("ls", NASTY),
    (NASTY,),
    ("--project", NASTY, "ls"),
    ("get", "data", "--", NASTY),
]


def check_inert(folder: Path, arguments: tuple[str, ...], bug: Bug | None = None, **environment: str) -> None:
    """See that nothing is printed that a terminal would obey, on stdout or stderr, and no traceback."""
    ended = answer(folder, *arguments, bug=bug, **environment)
    for stream in (ended.stdout, ended.stderr):
        text = stream.decode("utf-8")
        assert OBEYED.search(text) is None, (arguments, environment, text)
        assert "Traceback" not in text, (arguments, environment, text)
    assert ended.returncode in range(12), (arguments, environment, ended)


@INERT
def test_what_is_stored_is_printed_inert(nasty: Path, ledger: Ledger) -> None:
    """Titles, colours, cleared screens, text that runs backwards: each is written out."""
    for arguments in ASKED if ledger.long else ASKED[::2]:
        check_inert(nasty, arguments)
        ledger.case()


ENVIRONMENTS = [
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1:strict"},
    {"COLUMNS": "0"},
    {"COLUMNS": "1", "LINES": "0"},
    {"COLUMNS": "-5"},
    {"TERM": "dumb", "NO_COLOR": "1"},
]


@INERT
def test_any_locale_and_width_prints_inert_text(nasty: Path, ledger: Ledger) -> None:
    """What an encoding has not is written out too, and a width of nothing is no width."""
    asked = [("ls", "runs"), ("show", "data"), ("verify",), ("ls", NASTY)]
    for number, environment in enumerate(ENVIRONMENTS):
        for arguments in asked if ledger.long else [asked[number % len(asked)]]:
            check_inert(nasty, arguments, None, **environment)
            ledger.case()


def check_terminal_of_no_width(folder: Path, bug: Bug | None = None) -> None:
    """Let a terminal that says it has no columns show a table: the program ends, and its colours are its own."""
    words, around = command(folder, "ls", "runs", bug=bug, TERM="xterm")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(words, cwd=folder, env=around, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    found = b""
    while data := read_terminal(ours):
        found += data
    os.close(ours)
    assert process.wait(60) == 0, found
    text = re.sub("\x1b\\[[0-9;]*m", "", found.decode()).replace("\r\n", "\n")
    assert OBEYED.search(text) is None, text


def read_terminal(descriptor: int) -> bytes:
    """Return what was written to a terminal; nothing once its other end is closed."""
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:
        return b""


@INERT
def test_terminal_of_no_width_shows_inert_text(nasty: Path, ledger: Ledger) -> None:
    """A terminal of a program that never set its size."""
    check_terminal_of_no_width(nasty)
    ledger.case()


@INERT
def test_names_that_begin_with_a_dash_are_names(tmp_path: Path, ledger: Ledger) -> None:
    """Behind a double dash nothing is an option, whatever it is called."""
    project = lineage.open(tmp_path / "p.lineage")
    project.log_artifact(draft("--help", {"-rf": "1"}))
    project.log_artifact(draft("-rf", {"--help": "1"}))
    for name in ("--help", "-rf"):
        ended = answer(tmp_path, "show", "--", f"{name}:v0")
        assert (ended.returncode, f"{name}:v0".encode() in ended.stdout) == (0, True), ended
        ended = answer(tmp_path, "get", "--", name)
        assert ended.returncode == 0, ended
        ledger.case(2)


@INERT
@pytest.mark.parametrize("bug", [bugs.text_is_printed_as_it_is], ids=lambda bug: bug.name)
def test_text_that_a_terminal_obeys_is_caught(nasty: Path, ledger: Ledger, bug: Bug) -> None:
    """Without the gate a title comes through."""
    with ledger.catches(bug.name):
        check_inert(nasty, ("ls", "runs"), bug)


@INERT
@pytest.mark.parametrize("bug", [bugs.streams_are_taken_as_they_are], ids=lambda bug: bug.name)
def test_text_that_cannot_be_encoded_is_caught(tmp_path: Path, ledger: Ledger, bug: Bug) -> None:
    """A name in another script ends in a traceback on a terminal of ASCII."""
    lineage.open(tmp_path / "p.lineage").log_artifact(draft("d", {"a": "1"}, type="模型"))
    check_inert(tmp_path, ("ls",), PYTHONIOENCODING="ascii:strict")
    with ledger.catches(bug.name):
        check_inert(tmp_path, ("ls",), bug, PYTHONIOENCODING="ascii:strict")


PAGES = pytest.mark.faults("P12 P22", "F119", "stored text is inert in notebooks and exports")


@PAGES
def test_stored_text_is_inert_where_it_becomes_html(nasty: Path, ledger: Ledger) -> None:
    """A notebook shows it, and runs nothing of it."""
    project = lineage.open(nasty / "p.lineage", read_only=True)
    for one in (project.run("run"), project.version("data"), project.runs(), project.versions(), project.artifacts()):
        page = one._repr_html_()
        assert "alert(1)" in page or "script" not in page
        assert "<script" not in page
        ledger.case()


@PAGES
@pytest.mark.parametrize("bug", [bugs.html_is_not_escaped], ids=lambda bug: bug.name)
def test_html_that_is_not_escaped_is_caught(nasty: Path, ledger: Ledger, bug: Bug) -> None:
    """One way through is enough for a script."""
    with ledger.catches(bug.name), planted(bug):
        test_stored_text_is_inert_where_it_becomes_html(nasty, ledger)


# --- ends ---


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with more to say than a pipe holds, and damage."""
    folder = tmp_path_factory.mktemp("damaged")
    project = lineage.open(folder / "p.lineage")
    with project.batch():
        for number in range(300):
            project.log_artifact(
                draft(f"data-{number:03}-{'x' * 100}", {f"{'long' * 40}-{n}": f"{number} {n}" for n in range(3)})
            )
    with closing(sqlite3.connect(project.file, isolation_level=None)) as connection:
        connection.execute("UPDATE chunk SET data = zeroblob(length(data))")
    return folder


def exit_of(folder: Path, script: str, arguments: str, bug: Bug | None = None) -> int:
    """Run a command inside a shell script, which has it as $*, and return how the command exited."""
    words, around = command(folder, *arguments.split(), bug=bug)
    quoted = f"{{ {script}; }}"
    line = quoted.replace("$CMD", '"$@"')
    ended = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{line}", "bash", *words],
        cwd=folder,
        env=around,
        capture_output=True,
        timeout=60,
    )
    assert b"Traceback" not in ended.stderr, ended.stderr.decode()
    assert b"Exception ignored" not in ended.stderr, ended.stderr.decode()
    return ended.returncode


ENDS = {
    "a reader that takes one line": ("$CMD | head -1", "verify"),
    "a reader that takes nothing": ("$CMD | true", "verify"),
    "a reader of documents": ("$CMD | head -c 10", "verify --json"),
    "a reader of a list": ("$CMD | head -1", "ls versions --json"),
    "stdout closed": ("$CMD >&-", "verify"),
    "stdout and stderr closed": ("$CMD >&- 2>&-", "verify"),
    "stdin closed": ("$CMD <&-", "verify"),
    "all closed": ("$CMD <&- >&- 2>&-", "verify"),
    "a full disk": ("$CMD > /dev/full", "verify"),
    "a full disk for documents": ("$CMD > /dev/full", "verify --json"),
    "errors to a full disk": ("$CMD 2> /dev/full", "show nobody"),
    "nothing in the way": ("$CMD > /dev/null", "verify"),
    "a version that is not there": ("$CMD", "show nobody:v7"),
    "a file that is none": ("$CMD", "verify /dev/zero"),
    "bytes that are damaged": ("$CMD", f"get data-000-{'x' * 100} out"),
}


def check_end(folder: Path, what: str, bug: Bug | None = None) -> int:
    """See that something that failed does not exit with 0, and return what it exits with."""
    code = exit_of(folder, *ENDS[what], bug)
    assert code != 0, what
    assert code in {*range(1, 12), 120, 130, 141}, (what, code)
    return code


@EXITS
def test_failure_is_never_success(damaged: Path, ledger: Ledger) -> None:
    """Whoever reads the answer, and however far."""
    for what in ENDS:
        check_end(damaged, what)
        ledger.case()


INTERRUPT = """
import os, signal
import lineage.upkeep.verification as verification
kept = verification.row_problems
def interrupted(store):
    os.kill(os.getpid(), signal.SIGINT)
    return kept(store)
verification.row_problems = interrupted
main(["verify"])
"""


def check_interrupted(folder: Path, bug: Bug | None = None) -> None:
    """Press Ctrl-C while a command works."""
    program = START.replace("main()", INTERRUPT)
    _, around = command(folder, bug=bug)
    ended = subprocess.run([sys.executable, "-c", program], cwd=folder, env=around, capture_output=True, timeout=60)
    assert ended.returncode in (130, -signal.SIGINT), ended
    assert b"Traceback" not in ended.stderr


@EXITS
def test_interrupted_command_says_so_by_its_exit(damaged: Path, ledger: Ledger) -> None:
    """130, as shells have it, and no traceback."""
    check_interrupted(damaged)
    ledger.case()


@EXITS
@pytest.mark.parametrize(
    ("bug", "what"),
    [
        (bugs.errors_exit_with_zero, "a version that is not there"),
        (bugs.closed_pipe_is_success, "a reader of a list"),
        (bugs.damage_is_success, "nothing in the way"),
        (bugs.streams_are_taken_as_they_are, "stdout closed"),
        (bugs.interrupt_is_success, ""),
    ],
    ids=lambda one: one.name if isinstance(one, Bug) else "",
)
def test_failures_that_look_like_success_are_caught(damaged: Path, ledger: Ledger, bug: Bug, what: str) -> None:
    """A script that goes on after one of these would lose its data."""
    with ledger.catches(bug.name):
        if what:
            check_end(damaged, what, bug)
        else:
            check_interrupted(damaged, bug)
