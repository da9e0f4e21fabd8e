"""What every command shares: which project, how to answer, how long to wait; and the options that say so."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import click

import lineage
from lineage import ErrorKind, InvalidInputError, LineageError, NotFoundError, Project
from lineage.jsondata import JsonObject
from lineage.system import storage_errors

_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*([smhdw])", re.ASCII)
_BYTES: Final = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)\s*(?:([kmgt])(i)?)?b?", re.ASCII | re.IGNORECASE)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(slots=True)
class Settings:
    """What was said before or after the command.

    Attributes:
        project: The project file; None to look for it.
        json: Answer with a JSON document.
        timeout: Seconds to wait for a lock.
    """

    project: str | None = None
    json: bool = False
    timeout: float = 60.0

    def reading(self) -> Project:
        """Open the project for a command that only asks.

        Raises:
            NotFoundError: There is none; the message says how to make one.
        """
        return self._open(read_only=True)

    def writing(self) -> Project:
        """Open the project for a command that writes; it must be there."""
        return self._open(read_only=False)

    def _open(self, *, read_only: bool) -> Project:
        try:
            return lineage.open(self.project, create=False, read_only=read_only, timeout=self.timeout)
        except NotFoundError as error:
            if "lineage init" in str(error):
                raise
            message = f"{error}; make it with 'lineage init', or name another with --project"
            raise NotFoundError(message, kind=ErrorKind.PROJECT_NOT_FOUND) from error
        except InvalidInputError as error:
            if error.kind != ErrorKind.REFERENCE_AMBIGUOUS:
                raise
            raise InvalidInputError(f"{error} with --project", kind=error.kind) from error


def _into(name: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Return a callback that notes an option in the settings, whether it came before or after the command."""

    def note(context: click.Context, _: click.Parameter, value: Any) -> Any:  # noqa: ANN401 (whatever the option is)
        settings = context.find_object(Settings)
        if settings is not None and value is not None and value is not False:
            setattr(settings, name, value)
        return value

    return note


def project_option(text: str = "The project file.") -> click.Option:
    """Return ``--project``."""
    return click.Option(["--project"], metavar="FILE", expose_value=False, callback=_into("project"), help=text)


def json_option() -> click.Option:
    """Return ``--json``."""
    text = "Answer, or fail, with a JSON document."
    return click.Option(["--json"], is_flag=True, expose_value=False, callback=_into("json"), help=text)


def timeout_option() -> click.Option:
    """Return ``--timeout``."""
    text = "How long to wait for other programs.  [default: 60]"
    note = _into("timeout")
    return click.Option(["--timeout"], type=float, metavar="SECONDS", expose_value=False, callback=note, help=text)


def command(
    answers: str | None = None, name: str | None = None, context_settings: dict[str, Any] | None = None
) -> Callable[[Callable[..., None]], click.Command]:
    """Return the decorator of a command: its help says which document ``--json`` answers with.

    Args:
        answers: The schema of the document, as in ``"a list of run documents"``; None for a command without
            ``--json``.
        name: As it is typed; the function's if not said.
        context_settings: For click.
    """
    epilog = None if answers is None else f"With --json: {answers}. schema/json has the schemas."
    make = click.command(name, cls=click.Command, epilog=epilog, context_settings=context_settings)

    def decorate(function: Callable[..., None]) -> click.Command:
        made = make(click.pass_obj(function))
        made.params += [project_option()] if answers is None else [project_option(), json_option()]
        return made

    return decorate


def json_text_of(value: str | None, option: str) -> str | None:
    """Return the text of an option that takes JSON: itself, or the content of the file in ``@FILE``.

    Raises:
        StorageError: The file cannot be read.
        InvalidInputError: It is not UTF-8.
    """
    if value is None or not value.startswith("@"):
        return value
    try:
        with storage_errors(f"{option}: cannot read"):
            return Path(value[1:]).read_text("utf-8")
    except UnicodeDecodeError as error:
        message = f"{option}: {value[1:]!r} is not UTF-8 text"
        raise InvalidInputError(message, kind=ErrorKind.JSON_INVALID) from error


def where_of(value: str | None) -> JsonObject | None:
    """Return the filter of ``--where``; None if it was not given."""
    text = json_text_of(value, "--where")
    if text is None:
        return None
    from lineage.documents import parse_where

    return parse_where(text)


def object_of(value: str | None, option: str) -> JsonObject | None:
    """Return the JSON object of an option such as ``--metadata``; None if it was not given."""
    text = json_text_of(value, option)
    if text is None:
        return None
    from lineage.documents import parse_metadata

    return parse_metadata(text, option)


def source_of(text: str) -> str | Path:
    """Return what is to be logged: a path where something lies there, whatever it looks like; else maybe a URI."""
    return Path(text) if os.path.lexists(text) else text


def duration(_: click.Context, __: click.Parameter, value: str | None) -> timedelta | None:
    """Return the duration of an option, such as 30d.

    Own, and not a library's: those read "1h30" and "2 weeks ago" too, and guess where this refuses.
    """
    if value is None:
        return None
    match = _DURATION.fullmatch(value)
    if match is None:
        raise click.BadParameter(f"{value!r} is no duration: give a number and s, m, h, d or w, such as 30d.")
    try:
        return timedelta(**{_UNITS[match[2]]: float(match[1])})
    except OverflowError as error:
        raise click.BadParameter(f"{value!r} is longer than the calendar.") from error


def lifetime_of(context: click.Context, parameter: click.Parameter, value: str | None) -> timedelta | None:
    """Return the time to live of an option, such as 30d."""
    time = duration(context, parameter, value)
    if time == timedelta():
        raise click.BadParameter(f"{value!r} is no time to live: give more than nothing, such as 30d.")
    return time


def byte_count(
    least: int = 0, default: int | None = None
) -> Callable[[click.Context, click.Parameter, str | None], int | None]:
    """Return the callback that reads the bytes of an option, such as 500MB or 2GiB.

    Args:
        least: What is refused below.
        default: What it is if it was not said.
    """

    def read(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
        if value is None:
            return default
        match = _BYTES.fullmatch(value)
        if match is None:
            raise click.BadParameter(f"{value!r} is no number of bytes: give such as 500MB, 2GiB or 1000000.")
        power = "kmgt".find(match[2].lower()) + 1 if match[2] else 0
        count = int(float(match[1]) * (1024 if match[3] else 1000) ** power)
        if count < least:
            raise click.BadParameter(f"{value!r} is too little: give such as 500MB, 2GiB or 1000000.")
        return count

    return read


def complete_names(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of artifacts that begin so, for the shell's completion; none if there is no project."""
    settings = context.find_object(Settings) or Settings()
    try:
        return [record.name for record in settings.reading().artifacts() if record.name.startswith(incomplete)]
    except (LineageError, OSError):
        return []
