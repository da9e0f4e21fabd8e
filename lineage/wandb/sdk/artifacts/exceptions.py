"""What is raised for an artifact that is in the wrong state for a call: W&B's classes and sentences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import lineage
from lineage.wandb.errors import CommError, Error


class ArtifactStatusError(AttributeError):
    """The artifact is in an invalid state for the operation; an AttributeError, so that ``hasattr`` says False."""

    def __init__(
        self,
        msg: str = "Artifact is in an invalid state for the requested operation.",
        name: str | None = None,
        obj: object = None,
    ) -> None:
        super().__init__(msg, name=name, obj=obj)


class ArtifactNotLoggedError(ArtifactStatusError):
    """What only a logged artifact has was asked of a draft."""

    def __init__(self, fullname: str, obj: object) -> None:
        message = (
            f"{fullname!r} used prior to logging artifact or while in offline mode. "
            "Call Artifact.wait() before accessing logged artifact properties."
        )
        super().__init__(message, name=fullname.rpartition(".")[2], obj=obj)


class ArtifactFinalizedError(ArtifactStatusError):
    """The content of a finalized or logged artifact was to be changed."""

    def __init__(self, fullname: str, obj: object) -> None:
        message = f"{fullname!r} used on logged artifact. Can't modify finalized artifact."
        super().__init__(message, name=fullname.rpartition(".")[2], obj=obj)


class WaitTimeoutError(Error):
    """``wait`` took too long; never raised here, as a log is done when it returns."""


@contextmanager
def as_wandb(*changed: lineage.ErrorKind) -> Iterator[None]:
    """Raise what W&B raises: CommError for what is not there or may not go, ValueError for content that changed."""
    try:
        yield
    except (lineage.NotFoundError, lineage.ConflictError) as error:
        raise CommError(str(error), error) from error
    except (lineage.CorruptionError, lineage.StorageError) as error:
        if error.kind not in changed:
            raise
        raise ValueError(str(error)) from error
