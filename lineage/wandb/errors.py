"""The errors that scripts written for W&B catch, by W&B's names and bases.

::

    Error                          base; `message` and `context`
    ├── CommError                  nothing of that name: no such project, run, artifact; an alias blocks a deletion
    │   └── AuthenticationError    never raised here: there is no account
    └── UsageError                 the wrong moment or argument: a finished run, a bad run id
        └── UnsupportedError       what has no meaning on a local file; says what to use instead

Beside them W&B raises ValueError, TypeError, KeyError and, for drafts, the classes of
:mod:`lineage.wandb.sdk.artifacts.exceptions`. What else lineage itself cannot do (a full disk, damaged bytes, a lock
that is not to be had) comes as its own :class:`lineage.LineageError`: no script could have expected it.
"""

from __future__ import annotations

from typing import Any


class Error(Exception):
    """Base of W&B's errors."""

    def __init__(self, message: str, context: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.context = context or {}


class CommError(Error):
    """What W&B's server would refuse: nothing of that name is there, or it may not go."""

    def __init__(self, msg: str, exc: Exception | None = None) -> None:
        super().__init__(msg)
        self.exc = exc


class AuthenticationError(CommError):
    """A login failed; never raised here."""


class UsageError(Error):
    """A call at the wrong moment, or with an argument that cannot be."""


class UnsupportedError(UsageError):
    """Something that has no meaning on a local project file."""
