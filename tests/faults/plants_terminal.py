"""Bugs of the command line: what it prints, and how it exits."""

from __future__ import annotations

from typing import Any

from plants import plant


@plant("lineage.cli.output:visible")
def text_is_printed_as_it_is(_: Any) -> Any:
    """Let the terminal obey what was stored."""
    return lambda text: text


@plant("lineage.handles:html_table")
def html_is_not_escaped(_: Any) -> Any:
    """Put what was stored into a page as it is."""
    return lambda title, rows: f"<table><caption>{title}</caption>{rows}</table>"


@plant("lineage.cli.app:_fail")
def errors_exit_with_zero(kept: Any) -> Any:
    """Say what is wrong and exit as if nothing were."""

    def fail(error: Exception, message: str, code: int, *, json: bool) -> int:
        kept(error, message, code, json=json)
        return 0

    return fail


@plant("lineage.cli.app:_PIPE_CLOSED")
def closed_pipe_is_success(_: Any) -> Any:
    """Exit with 0 where the reader went away."""
    return 0


@plant("lineage.cli.app:_INTERRUPTED")
def interrupt_is_success(_: Any) -> Any:
    """Exit with 0 after Ctrl-C."""
    return 0


@plant("lineage.cli.upkeep:_DAMAGED")
def damage_is_success(_: Any) -> Any:
    """Exit with 0 where verify found damage."""
    return 0


@plant("lineage.cli.app:_prepare_streams")
def streams_are_taken_as_they_are(_: Any) -> Any:
    """Look at no stream, and change none."""
    return lambda: None
