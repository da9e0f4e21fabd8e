"""What W&B refuses about artifacts beyond what lineage refuses, in its sentences where scripts match on them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Concatenate, Final, ParamSpec, Protocol, TypeVar

from lineage.jsondata import JsonObject
from lineage.values import alias_name, tag_name
from lineage.wandb.plain import plain_dict
from lineage.wandb.sdk.artifacts.exceptions import ArtifactFinalizedError, ArtifactNotLoggedError

MAX_ARTIFACT_METADATA_KEYS: Final = 100
REGISTRY_PREFIX: Final = "wandb-registry-"
_RESERVED_TYPES: Final = {"job": "", "run_table": "run-", "code": "source-"}
"""Types of W&B's own artifacts, and the names that are reserved with each; empty text reserves every name."""
_TAG: Final = re.compile(r"[-\w]+(?: +[-\w]+)*")

P = ParamSpec("P")
R = TypeVar("R")


class Stateful(Protocol):
    """What the decorators below ask."""

    def is_draft(self) -> bool:
        """Whether it was not logged."""

    @property
    def is_final(self) -> bool:
        """Whether its content may change no more."""


S = TypeVar("S", bound=Stateful)


def ensure_logged(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Let a method of an artifact raise ArtifactNotLoggedError on a draft."""
    name = f"Artifact.{method.__name__}"

    @wraps(method)
    def checked(self: S, *args: P.args, **kwargs: P.kwargs) -> R:
        if self.is_draft():
            raise ArtifactNotLoggedError(name, self)
        return method(self, *args, **kwargs)

    return checked  # type: ignore[return-value]  # a method whose first argument may be named, too


def ensure_not_finalized(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Let a method of an artifact raise ArtifactFinalizedError on one that is final."""
    name = f"Artifact.{method.__name__}"

    @wraps(method)
    def checked(self: S, *args: P.args, **kwargs: P.kwargs) -> R:
        if self.is_final:
            raise ArtifactFinalizedError(name, self)
        return method(self, *args, **kwargs)

    return checked  # type: ignore[return-value]  # a method whose first argument may be named, too


def validate_artifact_type(type: str, name: str) -> str:
    """Return `type` unless W&B keeps it for itself.

    Raises:
        ValueError: It does.
    """
    prefix = _RESERVED_TYPES.get(type)
    if (prefix is not None and str(name).startswith(prefix)) or str(type).startswith("wandb-"):
        message = f"Artifact type {type!r} is reserved for internal use. Please use a different type."
        raise ValueError(message)
    return type


def validate_metadata(metadata: object) -> JsonObject:
    """Return metadata as W&B takes it: None, a dict, or the JSON text of one, of at most 100 keys.

    Raises:
        TypeError: It is something else, or holds what JSON cannot.
        ValueError: It holds what JSON cannot, or has more than 100 keys at the top.
    """
    if not isinstance(metadata, Mapping | str | None):
        raise TypeError(f"Cannot parse {type(metadata)} as artifact metadata")
    found = plain_dict(metadata or None, "metadata")
    if len(found) > MAX_ARTIFACT_METADATA_KEYS:
        raise ValueError(f"Artifact must not have more than {MAX_ARTIFACT_METADATA_KEYS} metadata keys.")
    return found


def validate_aliases(aliases: Iterable[str] | str) -> list[str]:
    """Return aliases as a list, each once; one text is one alias.

    Raises:
        ValueError: One of them may not be.
    """
    found = [aliases] if isinstance(aliases, str) else list(dict.fromkeys(aliases))
    if any(sign in str(alias) for alias in found for sign in "/:"):
        raise ValueError("Aliases must not contain any of the following characters: '/', ':'")
    return [alias_name(alias) for alias in found]


def validate_tags(tags: Iterable[str] | str) -> list[str]:
    """Return tags as a list, each once; one text is one tag.

    Raises:
        ValueError: One of them may not be.
    """
    found = [tags] if isinstance(tags, str) else list(dict.fromkeys(tags))
    if any(not isinstance(tag, str) or not _TAG.fullmatch(tag) for tag in found):
        message = "Tags must only contain alphanumeric characters separated by hyphens, underscores, and/or spaces."
        raise ValueError(f"Invalid tag(s).  {message}")
    return [tag_name(tag) for tag in found]


def is_artifact_registry_project(project: str) -> bool:
    """Whether a project is a registry, by its name."""
    return project.startswith(REGISTRY_PREFIX) and project != REGISTRY_PREFIX
