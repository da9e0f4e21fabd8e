"""How a program ends, as far as its runs can learn it, and what must not keep a run from ending."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, TypeVar

import lineage
from lineage.attributes import Document
from lineage.jsondata import json_text, plain_object
from lineage.wandb.plain import friendly
from lineage.wandb.term import termerror

Result = TypeVar("Result")

KILLED: Final = 255
"""The exit code of a run that Ctrl-C ended."""
_CODE_LIMIT: Final = 1 << 31


def exit_code_of(error: BaseException | None) -> int:
    """Return the exit code that an exception means: as the interpreter would end with it."""
    if error is None:
        return 0
    if isinstance(error, KeyboardInterrupt):
        return KILLED
    if isinstance(error, SystemExit):
        code = error.code
        return code if isinstance(code, int) and abs(code) < _CODE_LIMIT else int(code is not None)
    return 1


class ExitHooks:
    """Learns with which code the program ends, while there are runs that nobody has finished.

    An exception reaches ``sys.excepthook``; an exit code reaches no hook of the interpreter, so ``sys.exit`` is
    listened to. ``raise SystemExit(3)`` passes both by, here as in W&B: such a program leaves its run in a ``with``
    block, or calls ``finish(3)``.

    Attributes:
        code: That of the exception or exit heard last; 0 if there was none.
    """

    def __init__(self) -> None:
        self.code = 0
        self._excepthook: Callable[..., Any] | None = None
        self._exit: Callable[..., Any] | None = None
        self._before: tuple[Callable[..., Any], Callable[..., Any]] = (sys.excepthook, sys.exit)

    def install(self) -> None:
        """Begin to listen; a second call changes nothing."""
        if self._exit is not None:
            return
        self._before = hook, leave = sys.excepthook, sys.exit

        def excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
            self.code = exit_code_of(error)
            hook(kind, error, trace)

        def exit_(status: Any = None, /) -> Any:
            if _in_main_thread():  # in any other it ends the thread
                self.code = exit_code_of(SystemExit(status))
            leave(status)

        self._excepthook, self._exit = excepthook, exit_
        sys.excepthook, sys.exit = excepthook, exit_

    def remove(self) -> None:
        """Listen no more, and put back what was there, unless somebody has put something over it since."""
        self.code = 0
        if sys.excepthook is self._excepthook and sys.exit is self._exit:
            sys.excepthook, sys.exit = self._before
            self._excepthook = self._exit = None

    def goes_on(self) -> None:
        """Forget an exit that somebody caught, as ``argparse`` is caught: the program is at work.

        Not while an exception is on its way, as in a ``finally``, nor once the interpreter ends.
        """
        if self.code and _in_main_thread() and threading.main_thread().is_alive() and sys.exc_info()[1] is None:
            self.code = 0


exit_hooks: Final = ExitHooks()


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def anyway(run: lineage.ActiveRun, call: Callable[[], Result]) -> Result:
    """Make a call that writes a run, also where somebody put what cannot be kept into its config or summary.

    In a dict within them nobody checks what is set; the call that happens to write it next must not fail for it.
    """
    try:
        return call()
    except lineage.InvalidInputError as error:
        if not (_mended(run.config) | _mended(run.summary)):
            raise
        termerror(f"run {run.id}: {error}; it is kept as text")
        return call()


def _mended(document: Document) -> bool:
    """Make text of the values that cannot be kept, and of the longest ones until the others can; False if all can."""
    try:
        plain_object(document, "document")
    except lineage.InvalidInputError:
        pass
    else:
        return False
    for key, value in list(document.items()):
        try:
            document[key] = value
        except lineage.InvalidInputError:
            document[key] = friendly(value)
    sizes = {key: len(json_text(value)) for key, value in document.items()}
    for key in sorted(sizes, key=lambda key: sizes[key], reverse=True):
        try:
            plain_object(document, "document")
        except lineage.InvalidInputError:
            document[key] = f"{sizes[key]:,} characters that there was no room for"
        else:
            break
    return True
