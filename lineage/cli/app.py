"""The group of all commands: loads each when it is called, and turns errors into one line and an exit code."""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from itertools import takewhile
from typing import Any, Final, NoReturn

import click

import lineage
from lineage import (
    BusyError,
    ConflictError,
    CorruptionError,
    CycleError,
    ErrorKind,
    FormatError,
    InvalidInputError,
    LineageError,
    NotFoundError,
    ReadOnlyError,
    StateError,
    StorageError,
)
from lineage.cli.context import Settings, json_option, project_option, timeout_option
from lineage.exports import visible
from lineage.system import storage_error

_SECTIONS: Final = {
    "Ask": {
        "ls": "ask",
        "show": "show",
        "used-by": "ask",
        "up": "walk",
        "down": "walk",
        "path": "walk",
        "graph": "walk",
        "diff": "show",
        "search": "ask",
        "whereis": "ask",
        "stale": "ask",
        "sql": "ask",
    },
    "Write": {
        "init": "write",
        "log": "write",
        "use": "fetch",
        "get": "fetch",
        "run": "wrap",
        "alias": "names",
        "tag": "names",
        "link": "names",
        "unlink": "names",
        "ttl": "names",
        "mv": "names",
    },
    "Share": {
        "pack": "portable",
        "unpack": "portable",
        "merge": "portable",
        "fill": "portable",
    },
    "Upkeep": {
        "rm": "delete",
        "prune": "delete",
        "gc": "upkeep",
        "size": "upkeep",
        "verify": "upkeep",
        "repair": "upkeep",
        "selftest": "extras",
    },
    "Other": {"demo": "extras", "completion": "extras"},
}
_MODULES: Final = {name: module for section in _SECTIONS.values() for name, module in section.items()}
_LONGEST: Final = max(map(len, _MODULES))
_CODES: Final = (
    (InvalidInputError, 2),
    (NotFoundError, 3),
    (ConflictError, 4),
    (CycleError, 5),
    (StateError, 6),
    (BusyError, 7),
    (ReadOnlyError, 8),
    (StorageError, 9),
    (CorruptionError, 10),
    (FormatError, 11),
)
_USAGE: Final = 2
_DAMAGED: Final = 10
_INTERRUPTED: Final = 130
_PIPE_CLOSED: Final = 141
_EPILOG: Final = """\
\b
Exit codes:
  0    done               6    wrong state: a finished run
  1    another error      7    busy: another program holds it
  2    wrong usage,       8    read-only
       invalid input      9    storage: disk, permission; a selftest
  3    not found          10   damaged or lost; also: verify found errors
  4    conflict           11   not a project file, or a newer one
  5    a cycle            130  interrupted    141  the reader went away

'lineage run' exits as the command it ran. Names of nodes: a version is name, name:alias, name:v3 or name@digest; a
run is its name or id. 'lineage COMMAND --help' tells more."""


class LazyGroup(click.Group):
    """The commands by name; a command's module is imported when somebody asks for the command."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """Return the names, in the order of the help."""
        return list(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 (click's signature)
        """Return a command; None if there is none of this name."""
        if cmd_name not in _MODULES:
            return None
        found: click.Command = getattr(import_module(f"lineage.cli.{_MODULES[cmd_name]}"), cmd_name.replace("-", "_"))
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in sections."""
        for section, names in _SECTIONS.items():
            found = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(section):
                rows = [(name.ljust(_LONGEST), item.get_short_help_str(70)) for name, item in found if item is not None]
                formatter.write_dl(rows)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,  # noqa: ARG002 (always lineage)
        complete_var: str | None = None,  # noqa: ARG002 (always ours)
        standalone_mode: bool = True,  # noqa: ARG002, FBT001, FBT002 (the program always ends here)
        windows_expand_args: bool = True,  # noqa: ARG002, FBT001, FBT002 (POSIX only)
        **_: Any,  # noqa: ANN401 (click's signature)
    ) -> NoReturn:
        """Do what the command line says and exit.

        Own, because click's prints its errors and chooses its exit codes itself.
        """
        instruction = os.environ.get("_LINEAGE_COMPLETE")
        if instruction:
            from click.shell_completion import shell_complete

            sys.exit(shell_complete(self, {}, "lineage", "_LINEAGE_COMPLETE", instruction))
        sys.exit(_answer(self, list(sys.argv[1:] if args is None else args)))


def _answer(group: click.Group, arguments: list[str]) -> int:
    """Do what the command line says and return the exit code; every foreseeable error ends here."""
    settings = Settings()
    try:
        _prepare_streams()
        code = _invoke(group, arguments, settings)
        sys.stdout.flush()
    except LineageError as error:
        return _fail(error, str(error), _code_of(error), json=settings.json)
    except click.ClickException as error:
        asked = "--json" in takewhile(lambda argument: argument != "--", arguments)
        return _fail(error, _usage_line(error), _USAGE, json=settings.json or asked)
    except (KeyboardInterrupt, click.Abort):
        return _INTERRUPTED
    except OSError as error:
        if error.errno == errno.EPIPE:
            _drop_stdout()
            return _PIPE_CLOSED
        found = storage_error(error, "cannot go on")
        _drop_stdout()
        return _fail(found, str(found), _code_of(found), json=settings.json)
    return code


def _prepare_streams() -> None:
    """Make what cannot be encoded visible instead of an error, and refuse to work without a stdout.

    A closed stdout gives its number to the next file that is opened, and a child writes into that.
    """
    if sys.stdout is None:
        raise StorageError("stdout is closed; redirect it to a file or to /dev/null")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _invoke(group: click.Group, arguments: list[str], settings: Settings) -> int:
    with _warnings(settings):
        try:
            with group.make_context("lineage", arguments, obj=settings) as context:
                group.invoke(context)
        except click.exceptions.Exit as stop:
            return stop.exit_code
    return 0


@contextmanager
def _warnings(settings: Settings) -> Iterator[None]:
    """Write the library's warnings to stderr, one line each; not beside documents for programs."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if not settings.json:
                _say(record.getMessage())

    handler = Handler(logging.WARNING)
    logger = logging.getLogger("lineage")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _code_of(error: LineageError) -> int:
    if isinstance(error, NotFoundError) and error.kind == ErrorKind.CONTENT_MISSING:
        return _DAMAGED  # bytes that should be there are lost: no name was misspelt, and verify says the same
    return next((code for kind, code in _CODES if isinstance(error, kind)), 1)


def _usage_line(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "lineage"
    return f"{' '.join(error.format_message().split())} See '{path} --help'."


def _fail(error: Exception, message: str, code: int, *, json: bool) -> int:
    """Say what went wrong, on stderr and in one line or document, and return the exit code."""
    if json:
        import json as text

        from lineage.documents import ErrorDocument, plain

        _write_error(text.dumps(plain(ErrorDocument.from_error(error, message))))
    else:
        _say(message)
    return code


def _say(message: str) -> None:
    _write_error(visible(f"lineage: {message}"))


def _write_error(line: str) -> None:
    if sys.stderr is not None:
        with suppress(OSError):  # nobody is left to tell
            sys.stderr.write(line + "\n")
            sys.stderr.flush()


def _drop_stdout() -> None:
    """Let what is still buffered go nowhere: the interpreter would complain when it flushes at its end."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def _print_version(context: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001 (click's signature)
    if value:
        click.echo(f"lineage {lineage.__version__}")
        context.exit()


@click.command(
    cls=LazyGroup,
    epilog=_EPILOG,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version."
)
@click.pass_context
def main(context: click.Context) -> None:
    """Lineage of runs, artifacts and their versions, in one project file."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


_FILE: Final = "The project file.  [default: $LINEAGE_PROJECT, or the one *.lineage file here or above]"
main.params += [project_option(_FILE), json_option(), timeout_option()]
