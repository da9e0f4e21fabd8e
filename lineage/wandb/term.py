"""What the face says on stderr: one line at a time, and nothing where the script asked for silence."""

from __future__ import annotations

import sys
from contextlib import suppress

from lineage.exports import visible
from lineage.wandb import env

_said: set[str] = set()


def termlog(string: str = "", newline: bool = True, repeat: bool = True, prefix: bool = True) -> None:
    """Say something that is good to know; with ``repeat=False`` only once in this process."""
    if not env.is_quiet():
        _say(string, newline=newline, repeat=repeat, prefix=prefix)


def termwarn(string: str, newline: bool = True, repeat: bool = True, prefix: bool = True) -> None:
    """Warn."""
    _say(f"WARNING {string}", newline=newline, repeat=repeat, prefix=prefix)


def termerror(string: str, newline: bool = True, repeat: bool = True, prefix: bool = True) -> None:
    """Say that something went wrong."""
    _say(f"ERROR {string}", newline=newline, repeat=repeat, prefix=prefix)


def _say(text: str, *, newline: bool, repeat: bool, prefix: bool) -> None:
    if env.is_silent() or (text in _said and not repeat):
        return
    _said.add(text)
    lines = (f"{'lineage: ' * prefix}{visible(line)}" for line in text.splitlines() or [""])
    with suppress(OSError, ValueError, AttributeError):  # a stderr that is closed, or None: nobody is left to tell
        sys.stderr.write("\n".join(lines) + ("\n" if newline else ""))
        sys.stderr.flush()
