"""The command line as a whole: its commands and help, exit codes, errors, streams, terminals."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import pytest
from conftest import draft, elsewhere
from test_cli_support import HOSTILE, call, command, damage, fill, good, process, seen, validate

import lineage
from lineage.cli import main
from lineage.cli.app import _code_of

COMMANDS = [
    "ls",
    "show",
    "used-by",
    "up",
    "down",
    "path",
    "graph",
    "diff",
    "search",
    "whereis",
    "stale",
    "sql",
    "init",
    "log",
    "use",
    "get",
    "run",
    "alias",
    "tag",
    "link",
    "unlink",
    "ttl",
    "mv",
    "rm",
    "prune",
    "gc",
    "size",
    "verify",
    "repair",
    "selftest",
    "pack",
    "unpack",
    "merge",
    "fill",
    "demo",
    "completion",
]


# --- help and loading ------------------------------------------------------------------------------------------


def test_commands_are_those_listed() -> None:
    """Whoever adds a command adds it to the tests, too."""
    assert sorted(main.list_commands(None)) == sorted(COMMANDS)  # type: ignore[arg-type]  # the context is not looked at


@pytest.mark.parametrize("name", [*COMMANDS, "alias set", "alias rm", "alias history", "alias ls"])
def test_help_of_each_command_tells_what_it_does(name: str) -> None:
    """Every command has a usage line and a sentence, in 80 columns, and says what --json answers with."""
    answer = good(*name.split(), "--help")

    assert answer.lines[0].startswith(f"Usage: lineage {name} ")
    assert answer.lines[2].startswith("  ")
    assert max(map(len, answer.lines)) <= 80
    assert ("--json" in answer.out) == ("With --json: " in answer.out)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_the_group_has_a_whole_sentence_for_each_command(name: str) -> None:
    """The list of commands cuts no sentence short."""
    (line,) = [line for line in good("--help").lines if line.startswith(f"  {name} ")]

    assert line.endswith(".")
    assert not line.endswith("..")


def test_help_lists_the_exit_codes() -> None:
    """The table of exit codes is where people look for it."""
    text = good("--help").out

    for code in (*range(12), 130, 141):
        assert f" {code} " in text


def test_no_command_shows_the_help() -> None:
    """The bare command helps."""
    assert good().out == good("--help").out
    assert good("alias").out == good("alias", "--help").out


def test_version_is_printed() -> None:
    """It is the library's."""
    assert good("--version").out == f"lineage {lineage.__version__}\n"


def test_version_loads_nothing_it_does_not_need() -> None:
    """A command pays for its own imports only."""
    heavy = ["pydantic", "networkx", "sqlite_utils", "tabulate", "humanize"]
    program = (
        "import sys\nfrom lineage.cli import main\ntry:\n    main(['--version'])\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert done.stdout.splitlines()[1] == "[]"


def test_module_is_the_command() -> None:
    """`python -m lineage` does the same."""
    assert process("--version").stdout.decode() == f"lineage {lineage.__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_script_of_each_shell(shell: str) -> None:
    """The script asks the command itself."""
    assert "_LINEAGE_COMPLETE" in good("completion", shell).out


def test_completion_offers_commands_and_names_of_artifacts(project: lineage.Project) -> None:
    """A shell that asks gets commands, and the artifacts of the project at hand."""
    project = fill(project)

    commands = process(_LINEAGE_COMPLETE="bash_complete", COMP_WORDS="lineage us", COMP_CWORD="1")
    names = process(_LINEAGE_COMPLETE="bash_complete", COMP_WORDS="lineage show mo", COMP_CWORD="2")

    assert sorted(commands.stdout.decode().split()) == ["plain,use", "plain,used-by"]
    assert names.stdout.decode().split() == ["plain,model"]


def test_completion_is_answered_in_place_of_a_command(
    project: lineage.Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The variable that the script sets makes the difference."""
    project = fill(project)
    monkeypatch.setenv("_LINEAGE_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "lineage show sc")
    monkeypatch.setenv("COMP_CWORD", "2")

    with pytest.raises(SystemExit) as stop:
        main([])

    assert stop.value.code == 0
    assert capsys.readouterr().out == "plain,scores\n"


def test_completion_without_project_offers_no_names() -> None:
    """A shell is never shown an error."""
    done = process(_LINEAGE_COMPLETE="bash_complete", COMP_WORDS="lineage show mo", COMP_CWORD="2")

    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, b"", b"")


def test_demo_runs_the_pipeline_in_a_folder() -> None:
    """It tells what it does, and leaves a project to go on with."""
    answer = good("demo", "shown")

    assert answer.lines[0].startswith("lineage demo")
    assert "iv3_trained" in good("--project", "shown/iv3.lineage", "ls", "-q").lines


# --- project and settings --------------------------------------------------------------------------------------


def test_project_is_found_in_the_folder_or_above(project: lineage.Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands work anywhere below the project."""
    project = fill(project)
    Path("deep/down").mkdir(parents=True)
    monkeypatch.chdir("deep/down")

    assert good("ls", "-q").lines == ["data", "model", "scores"]


def test_project_option_stands_before_or_after_the_command(tmp_path: Path) -> None:
    """People write it where they think of it."""
    lineage.open(tmp_path / "one.lineage").log_artifact(draft("first"))
    lineage.open(tmp_path / "two.lineage").log_artifact(draft("second"))

    assert good("--project", "one.lineage", "ls", "-q").lines == ["first"]
    assert good("ls", "-q", "--project", "two.lineage").lines == ["second"]


def test_project_of_the_environment_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LINEAGE_PROJECT names it."""
    lineage.open(tmp_path / "one.lineage").log_artifact(draft("first"))
    lineage.open(tmp_path / "two.lineage")
    monkeypatch.setenv("LINEAGE_PROJECT", "one.lineage")

    assert good("ls", "-q").lines == ["first"]


@pytest.mark.parametrize("arguments", [["ls"], ["log", "x", "y"], ["--project", "other.lineage", "ls"]])
def test_missing_project_says_how_to_make_one(arguments: list[str]) -> None:
    """No command but init makes a project by accident."""
    answer = call(*arguments)

    assert answer.code == 3
    assert "lineage init" in answer.err
    assert list(Path.cwd().iterdir()) == []


def test_several_projects_ask_for_the_option(tmp_path: Path) -> None:
    """The message names them and the option."""
    lineage.open(tmp_path / "one.lineage")
    lineage.open(tmp_path / "two.lineage")

    answer = call("ls")

    assert answer.code == 2
    assert "one.lineage, two.lineage" in answer.err
    assert answer.err.endswith("--project\n")


def test_reading_commands_write_nothing(project: lineage.Project) -> None:
    """A question leaves the file as it was."""
    project = fill(project)
    before = project.file.read_bytes()

    for arguments in (["ls"], ["show", "data"], ["up", "model"], ["verify"], ["gc", "-n"], ["repair"], ["size"]):
        good(*arguments)

    assert project.file.read_bytes() == before


# --- errors ----------------------------------------------------------------------------------------------------


def _cycle(_: lineage.Project) -> list[str]:
    return ["use", "scores", "--run", "load-data", "--no-download"]


def _running(project: lineage.Project) -> list[str]:
    return ["rm", project.start_run(name="still-running").id]


def _read_only(project: lineage.Project) -> list[str]:
    project.file.chmod(0o444)
    return ["tag", "data", "x"]


def _damaged(project: lineage.Project) -> list[str]:
    damage(project)
    return ["get", "big"]


def _lost(project: lineage.Project) -> list[str]:
    damage(project).unlink()
    return ["get", "big"]


def _left_out(project: lineage.Project) -> list[str]:
    project.pack("bare.lineage", content=False)
    return ["get", "data", "--project", "bare.lineage"]


def _no_project(_: lineage.Project) -> list[str]:
    Path("other.lineage").write_text("a text\n" * 200)
    return ["ls", "--project", "other.lineage"]


Arrange = Callable[[lineage.Project], list[str]]
ERRORS: dict[str, tuple[int, str, Arrange]] = {
    "invalid input": (2, "InvalidInputError", lambda _: ["show", "data:v1/x"]),
    "not found": (3, "NotFoundError", lambda _: ["show", "nothing:v0"]),
    "conflict": (4, "ConflictError", lambda _: ["rm", "model:best"]),
    "cycle": (5, "CycleError", _cycle),
    "state": (6, "StateError", _running),
    "read only": (8, "ReadOnlyError", _read_only),
    "storage": (9, "StorageError", lambda _: ["graph", "-o", "no/folder/x.mmd"]),
    "corruption": (10, "CorruptionError", _damaged),
    "lost bytes": (10, "NotFoundError", _lost),
    "bytes left out": (3, "NotFoundError", _left_out),
    "format": (11, "FormatError", _no_project),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error_is_one_line_and_its_class_the_exit_code(project: lineage.Project, name: str) -> None:
    """A script tells from the exit code what it can do about it."""
    project = fill(project)
    code, _, arrange = ERRORS[name]

    answer = call(*arrange(project))

    assert (answer.code, answer.out) == (code, "")
    assert answer.err.startswith("lineage: ")
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize("name", ERRORS)
def test_error_with_json_is_a_document(project: lineage.Project, name: str) -> None:
    """A program reads kind, class and message."""
    project = fill(project)
    code, class_name, arrange = ERRORS[name]

    answer = call("--json", *arrange(project))

    assert (answer.code, answer.out) == (code, "")
    document = json.loads(answer.err)
    validate(document, "error")
    assert document["error"]["class"] == class_name


def test_busy_project_exits_with_its_code(project: lineage.Project) -> None:
    """Another program holds the project for longer than --timeout."""
    project = fill(project)

    with project.batch():
        answer = elsewhere(lambda: call("--timeout", "0", "tag", "data", "x"))

    assert answer.code == 7
    assert str(os.getpid()) in answer.err


def test_error_of_no_other_class_exits_with_one() -> None:
    """The base class has a code of its own."""
    assert _code_of(lineage.LineageError("anything")) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["ls", "--no-such-option"],
        ["show"],
        ["--timeout", "soon", "ls"],
        ["alias", "frobnicate"],
        ["graph", "--format", "png"],
    ],
)
def test_wrong_usage_is_one_line_that_names_the_help(arguments: list[str]) -> None:
    """Nobody has to read a page to see what was wrong."""
    answer = call(*arguments)

    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("lineage: ")
    assert answer.err.endswith("--help'.\n")
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--json", "show"], ["show", "--json"], ["ls", "--nonsense", "--json"]])
def test_wrong_usage_with_json_is_a_document(arguments: list[str]) -> None:
    """Also where the options could not be read to their end."""
    answer = call(*arguments)

    assert answer.code == 2
    document = json.loads(answer.err)
    validate(document, "error")
    assert document["error"]["kind"] == "usage"


def test_time_out_that_is_none_is_refused(project: lineage.Project) -> None:
    """The library's own check is reached."""
    answer = call("--timeout", "-1", "ls", "--project", project.file)

    assert answer.code == 2
    assert "timeout" in answer.err


def test_error_prints_no_terminal_escapes(project: lineage.Project) -> None:
    """What somebody typed or stored cannot act on the terminal."""
    answer = call("show", "\x1b[31mred:v0")

    assert answer.code == 2
    assert "\x1b" not in answer.err


def test_folder_that_is_gone_is_no_traceback(tmp_path: Path) -> None:
    """An error of the operating system outside the library is a line, too."""
    program = f"import os\nos.rmdir(os.getcwd())\nos.execv({sys.executable!r}, {command('ls')!r})"
    (tmp_path / "gone").mkdir()

    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, cwd=tmp_path / "gone")

    assert done.returncode in (3, 9)
    assert done.stderr.startswith(b"lineage: ")
    assert done.stderr.count(b"\n") == 1


def test_warning_of_the_library_is_a_line_on_stderr(project: lineage.Project) -> None:
    """Content that was there already is said, but not beside a document."""
    project = fill(project)
    Path("w.bin").write_text("w1")

    spoken, silent = call("log", "w.bin", "model"), call("log", "w.bin", "model", "--json")

    assert spoken.out == "model:v0\n"
    assert spoken.err == "lineage: model:v0 has this content already: no new version of 'model', and latest names it\n"
    assert silent.err == ""
    assert logging.getLogger("lineage").handlers == []


# --- streams ---------------------------------------------------------------------------------------------------


def test_reader_that_goes_away_ends_the_command(project: lineage.Project) -> None:
    """`lineage ls | head -1` says nothing about it, and does not count as done."""
    project = fill(project)
    reading, writing = os.pipe()
    os.close(reading)

    done = subprocess.run(command("ls", "versions"), check=False, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)

    assert (done.returncode, done.stderr) == (141, b"")


def test_closed_stdout_is_refused_before_anything_is_done(project: lineage.Project) -> None:
    """A closed stdout gives its number to the next file; nothing may be written into that."""
    project = fill(project)

    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *command("rm", "scores")], check=False, capture_output=True, text=True
    )

    assert done.returncode == 9
    assert done.stderr.startswith("lineage: stdout is closed")
    assert project.version("scores:v0").number == 0


def test_closed_stderr_changes_nothing(project: lineage.Project) -> None:
    """An error then has its exit code only."""
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", *command("show", "nothing")], check=False, capture_output=True
    )

    assert (done.returncode, done.stdout) == (3, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the device is Linux's")
def test_full_disk_under_stdout_is_an_error(project: lineage.Project) -> None:
    """An answer that cannot be written is no success."""
    project = fill(project)

    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command("ls"), check=False, stdout=full, stderr=subprocess.PIPE)

    assert done.returncode == 9
    assert done.stderr.startswith(b"lineage: ")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(("place", "code"), [("pipe", 141), ("/dev/full", 9)])
def test_answer_that_cannot_be_written_is_dropped_for_good(
    project: lineage.Project, monkeypatch: pytest.MonkeyPatch, place: str, code: int
) -> None:
    """What is still buffered does not come up again when the interpreter ends."""
    project = fill(project)

    with _broken_pipe() if place == "pipe" else Path(place).open("w") as stdout, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stdout)
        with pytest.raises(SystemExit) as stop:
            main(["ls"])

    assert stop.value.code == code


def _broken_pipe() -> TextIO:
    reading, writing = os.pipe()
    os.close(reading)
    return os.fdopen(writing, "w")


def test_missing_streams_are_told_as_far_as_they_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python has None where a stream was closed."""
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)

    with pytest.raises(SystemExit) as stop:
        main(["ls"])

    assert stop.value.code == 9


class _Interrupting(io.StringIO):
    """A stdin at which somebody presses Ctrl-C."""

    def read(self, _: int | None = -1, /) -> str:
        raise KeyboardInterrupt


def test_interrupt_ends_with_130(project: lineage.Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is no error to explain."""
    monkeypatch.setattr(sys, "stdin", _Interrupting())

    with pytest.raises(SystemExit) as stop:
        main(["sql", "-"])

    assert stop.value.code == 130


@pytest.mark.parametrize("encoding", ["latin-1", "cp437"])
def test_encoding_without_the_letters_writes_them_out(project: lineage.Project, encoding: str) -> None:
    """A locale from long ago gets backslashes instead of an error."""
    project.log_artifact(draft("data", description="日本 data"))

    done = process("show", "data", PYTHONIOENCODING=encoding)

    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"\u65e5\u672c data" in done.stdout


def test_name_with_leading_dash_is_reached_behind_two_dashes(project: lineage.Project) -> None:
    """An artifact may be called like an option."""
    project.log_artifact(draft("-x"))

    assert "-x:v0" in good("show", "--", "-x:v0").out
    assert call("show", "-x:v0").code == 2


# --- terminals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["ls"],
        ["ls", "runs"],
        ["ls", "versions"],
        ["ls", "evil:v0"],
        ["show", "evil"],
        ["show", "evil-run"],
        ["search", "red"],
        ["up", "evil"],
        ["diff", "evil:v0", "evil:v1"],
        ["sql", "SELECT description, metadata FROM versions"],
        ["sql", "SELECT 'a' AS \"\x1b[31m\""],
        ["tag", "evil"],
        ["graph"],
        ["path", "evil-run", "evil"],
    ],
    ids=" ".join,
)
def test_stored_text_cannot_act_on_a_terminal(project: lineage.Project, arguments: list[str]) -> None:
    """Escapes, line breaks and bidirectional marks of others are written out, on a terminal and in a pipe."""
    with project.start_run(name="evil-run", config={HOSTILE: HOSTILE}, notes=HOSTILE) as run:
        run.summary[HOSTILE] = HOSTILE
        run.log_artifact(draft("evil", {"a\u202eb": "x"}, description=HOSTILE, metadata={HOSTILE: HOSTILE}))
    project.log_artifact(draft("evil", {"c": "y"}))

    for answer in (good(*arguments), seen(*arguments)):
        assert answer.code == 0
        assert not {"\x1b", "\x07", "\u202e"} & set(answer.out)
        assert "\nnew line" not in answer.out


@pytest.mark.parametrize("columns", [0, 1, 80])
def test_width_of_the_terminal_is_kept_where_it_can_be(project: lineage.Project, columns: int) -> None:
    """A terminal that says 0 counts as 80, and one too narrow for a table gets it all the same."""
    project = fill(project)
    project.log_artifact(draft("data", {"d": "x"}, metadata={f"key{i}": i for i in range(50)}))

    answer = seen("ls", "versions", columns=columns)

    assert answer.code == 0
    assert len(answer.lines) == 6
    if columns != 1:
        assert max(map(len, answer.lines)) <= 80


def test_cell_is_cut_for_people_and_whole_in_a_pipe(project: lineage.Project) -> None:
    """What is cut ends in an ellipsis; a program gets all of it."""
    project.log_artifact(draft("data", metadata={"words": "x" * 200}))

    assert "…" in seen("ls", "versions").out
    assert "x" * 200 in good("ls", "versions").out


def test_sizes_and_times_are_rounded_for_people_only(project: lineage.Project) -> None:
    """A pipe gets digits and ISO times."""
    project.log_artifact(draft("data", {"a": "x" * 12_345}))
    version = project.version("data")

    assert "12.3 kB" in seen("ls", "data").out
    assert good("ls", "data").lines[1].split()[3:5] == ["12345", version.created_at]


def test_times_that_are_none_do_no_harm(project: lineage.Project) -> None:
    """A row that somebody else wrote is shown as it stands."""
    import sqlite3

    project = fill(project)
    with sqlite3.connect(project.file) as connection:
        connection.execute("UPDATE run SET ended_at = 'later', started_at = 'soon' WHERE name = 'train-1'")
    connection.close()

    assert good("ls", "runs", "--group", "g1").lines[1].split()[3:5] == ["soon", "-"]
    assert "soon" in seen("ls", "runs", "--group", "g1").out


def test_time_long_ago_is_a_date(project: lineage.Project) -> None:
    """A time of last year is told by its date, and what is no time as it stands."""
    from lineage.cli.output import _ago

    assert _ago("2001-02-03T12:00:00.000000Z") == "2001-02-03"
    assert _ago("yesterday") == "yesterday"


def test_columns_without_values_are_left_out_for_people(project: lineage.Project) -> None:
    """In a pipe the columns are always the same."""
    project.log_artifact(draft("data"))

    assert "description" not in seen("ls").lines[0]
    assert "description" in good("ls").lines[0]


def test_colours_are_for_terminals_that_want_them(project: lineage.Project) -> None:
    """NO_COLOR and a dumb terminal get none, nor does a pipe."""
    project.log_artifact(draft("data"))

    assert "\x1b[1m" in seen("ls", NO_COLOR="").lines[0]
    assert "\x1b" not in seen("ls", NO_COLOR="1").out
    assert "\x1b" not in seen("ls", NO_COLOR="", TERM="dumb").out
    assert "\x1b" not in good("ls").out


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["ls"], "no artifacts yet"),
        (["ls", "runs"], "no runs"),
        (["search", "x"], "nothing found"),
        (["stale"], "nothing is stale"),
        (["sql", "SELECT name FROM runs"], "no rows"),
        (["size"], "no artifacts"),
        (["alias", "ls"], "no aliases"),
        (["prune", "--keep-last", "1"], "nothing to delete"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_empty_answer_is_nothing_in_a_pipe_and_a_word_on_a_terminal(
    project: lineage.Project, arguments: list[str], hint: str
) -> None:
    """Nothing but data goes into a pipe."""
    assert good(*arguments).out == ""
    assert seen(*arguments).out.startswith(hint)


@pytest.mark.parametrize(
    "arguments", [["verify"], ["gc"], ["repair"], ["get", "data"], ["log", "file", "new"]], ids=" ".join
)
def test_progress_is_shown_on_a_terminal_only(project: lineage.Project, arguments: list[str]) -> None:
    """A bar appears on stderr where a person waits, and never in a pipe."""
    project = fill(project)
    Path("file").write_text("x")

    assert "[#" in seen(*arguments).out or "[--" in seen(*arguments).out
    assert "[" not in call(*arguments).out + call(*arguments).err
