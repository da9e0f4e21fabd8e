"""What goes wrong in the API, as the errors that W&B's own raises."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import lineage
from lineage.wandb.errors import CommError, Error, UsageError

P = ParamSpec("P")
R = TypeVar("R")


class RefusedValueError(CommError, ValueError):
    """A value that cannot be. W&B documents ValueError and raises CommError: this is both."""


class RefusedTypeError(CommError, TypeError):
    """An argument of the wrong type. W&B documents TypeError and raises CommError: this is both."""


def normalize_exceptions(function: Callable[P, R]) -> Callable[P, R]:
    """Let a call raise W&B's errors: CommError for what is not there or cannot be, UsageError at the wrong moment.

    What no script could expect, such as a full disk or damaged bytes, stays lineage's own error.
    """

    @wraps(function)
    def normalized(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except Error:
            raise
        except lineage.StateError as error:
            raise UsageError(str(error)) from error
        except (lineage.NotFoundError, lineage.ConflictError) as error:
            raise CommError(str(error), error) from error
        except ValueError as error:
            raise RefusedValueError(str(error), error) from error
        except TypeError as error:
            raise RefusedTypeError(str(error), error) from error

    return normalized
