"""A run's config: a dict whose keys are attributes too, and whose values do not change by accident."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from typing import Any, Final

from lineage.attributes import Document
from lineage.wandb.places import ARTIFACT_SCHEME
from lineage.wandb.plain import friendly, key_text, plain_dict
from lineage.wandb.sdk.artifacts.artifact import Artifact
from lineage.wandb.sdk.data_types.base import WBValue
from lineage.wandb.sdk.lib.config_util import ConfigError

_OWN: Final = frozenset({"_document", "_check", "_find", "_use", "_allow", "_guard", "_held"})


class Config:
    """What a run is told. ``wandb.config`` is that of the active run.

    A value that is there changes only with ``update(..., allow_val_change=True)``; in notebooks always. An artifact
    as a value is used by the run. What JSON cannot hold is kept as text, as in W&B. Keys that begin with an
    underscore are left out of ``keys`` and ``items``.

    Args:
        document: Where the values are kept.
        check: Raises if the run has finished.
        find: Finds the artifact that ``wandb-artifact://`` text names.
        use: Uses an artifact for a key.
        allow_val_change: Let values change.
        guard: Keeps other threads out while values are set; it may be entered again.
    """

    def __init__(
        self,
        document: Document,
        check: Callable[[str], None],
        find: Callable[[str], Artifact],
        use: Callable[[str, Artifact], Artifact],
        *,
        allow_val_change: bool = False,
        guard: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        object.__setattr__(self, "_document", document)
        object.__setattr__(self, "_check", check)
        object.__setattr__(self, "_find", find)
        object.__setattr__(self, "_use", use)
        object.__setattr__(self, "_allow", allow_val_change or in_notebook())
        object.__setattr__(self, "_guard", guard)
        object.__setattr__(self, "_held", {})

    def __repr__(self) -> str:
        return str(dict(self))

    def __getitem__(self, key: str) -> Any:
        if key in self._held:
            return self._held[key]
        return self._document[key]

    def __getattr__(self, key: str) -> Any:
        if key in _OWN or key.startswith("__"):  # asked of an object that is only being made, by copy and pickle
            raise AttributeError(key)
        try:
            return self[key]
        except KeyError:
            raise AttributeError(f"{type(self)!r} object has no attribute {key!r}") from None

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        """Copy and pickle as a dict, artifacts as their JSON: what is set in a copy is not set in the run."""
        plain = {key: self[key] if is_infinite(self[key]) else self._document[key] for key in self.keys()}
        return dict, (deepcopy(plain),)

    def __setitem__(self, key: str, value: object) -> None:
        self.update({key: value})

    def __setattr__(self, key: str, value: object) -> None:
        self[key] = value

    def __contains__(self, key: object) -> bool:
        return key in self._document

    def __iter__(self) -> Iterator[str]:
        return iter(self._document)

    def __len__(self) -> int:
        return len(self.keys())

    def keys(self) -> list[str]:
        """Return the keys, without those that begin with an underscore."""
        return [key for key in self._document if not key.startswith("_")]

    def items(self) -> list[tuple[str, Any]]:
        """Return keys and values, without those that begin with an underscore."""
        return [(key, self[key]) for key in self.keys()]

    def values(self) -> list[Any]:
        """Return the values of :meth:`keys`."""
        return [self[key] for key in self.keys()]

    def as_dict(self) -> dict[str, Any]:
        """Return them as a dict."""
        return dict(self.items())

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value, or the default where there is none."""
        return self[key] if key in self else default  # noqa: SIM401 (this is get)

    def update(self, d: Any, allow_val_change: bool | None = None) -> None:
        """Set several values, all or none.

        Args:
            d: A dict, an ``argparse.Namespace``, absl flags, a dataclass.
            allow_val_change: Let values change that are there.

        Raises:
            ConfigError: A value would change.
            TypeError: One is a media object.
            ValueError: An artifact stands inside another value.
        """
        self._check("config.update")
        given = _parsed(d)
        checked_values(given)
        allow = self._allow if allow_val_change is None else allow_val_change
        with self._guard():
            values = {key: self._kept(key, value, allow=allow) for key, value in given.items()}
        artifacts = {key: value for key, value in values.items() if isinstance(value, Artifact)}
        used = {key: self._use(key, artifact) for key, artifact in artifacts.items()}  # waits for its turn to write
        with self._guard():
            for key, value in (values | used).items():
                self._put(key, value)

    def _kept(self, key: str, value: object, *, allow: bool) -> object:
        """Return what a value is kept as: an artifact, or plain data; nothing is used or set yet."""
        if is_artifact(value):
            found = value if isinstance(value, Artifact) else self._find(_named(value))
            before = self._document.get(key)
            same = isinstance(before, Mapping) and found.id is not None and before.get("id") == found.id
        else:
            found = value if is_infinite(value) else friendly(value)
            same = key in self and self[key] == found
        if key in self and not same and not allow:
            message = "If you really want to do this, pass allow_val_change=True to config.update()"
            raise ConfigError(f'Attempted to change value of key "{key}" from {self[key]} to {found}\n{message}')
        return found

    def _put(self, key: str, value: object) -> None:
        self._held.pop(key, None)
        if isinstance(value, Artifact):
            self._held[key] = value
            self._document[key] = value.json_encode()
        elif is_infinite(value):
            self._held[key] = value
            self._document[key] = str(value)
        else:
            self._document[key] = value

    def setdefaults(self, d: Any) -> None:
        """Set the values whose keys are not there yet."""
        self.update({key: value for key, value in _parsed(d).items() if key not in self})

    def persist(self) -> None:
        """Do nothing: what is set is written with whatever the run writes next, and when it finishes."""


def in_notebook() -> bool:
    """Whether this is a notebook, where a cell is run again with other values."""
    shell = sys.modules.get("IPython")
    instance = shell.get_ipython() if shell is not None and hasattr(shell, "get_ipython") else None
    return type(instance).__name__ == "ZMQInteractiveShell"


def _parsed(given: Any) -> dict[str, Any]:
    """Return what a config is given as a dict, with the dashes around its keys taken off."""
    if hasattr(given, "flag_values_dict"):  # absl
        given = given.flag_values_dict()
    if isinstance(given, Config):
        given = given.as_dict()
    elif not isinstance(given, Mapping):
        given = vars(given) if hasattr(given, "__dict__") else plain_dict(given, "config")
    return {key_text(key).strip("-"): value for key, value in given.items()}


def is_artifact(value: object) -> bool:
    """Whether a value of a config stands for an artifact: one itself, its JSON, or ``wandb-artifact://`` text."""
    return (
        isinstance(value, Artifact)
        or (isinstance(value, str) and value.startswith(ARTIFACT_SCHEME))
        or (isinstance(value, Mapping) and value.get("_type") == "artifactVersion" and "id" in value)
    )


def is_infinite(value: object) -> bool:
    """Whether a value is an infinity, which a run has as a number and its document, being JSON, as text."""
    return isinstance(value, float) and math.isinf(value)


def checked_values(given: Mapping[str, Any]) -> None:
    """Refuse what no config may hold.

    Raises:
        TypeError: A media object.
        ValueError: An artifact inside another value.
    """
    if any(isinstance(value, WBValue) for value in given.values()):
        raise TypeError("WBValue objects cannot be added to the run config")
    _refuse_nested_artifacts(given)


def _named(value: Any) -> str:
    return f"{ARTIFACT_SCHEME}_id/{value['id']}" if isinstance(value, Mapping) else str(value)


def _refuse_nested_artifacts(given: Mapping[str, Any]) -> None:
    waiting = [value for value in given.values() if isinstance(value, Mapping) and not is_artifact(value)]
    seen: dict[int, Mapping[str, Any]] = {}  # held, so that no other gets the same id
    while waiting:
        mapping = waiting.pop()
        if id(mapping) in seen:
            continue
        seen[id(mapping)] = mapping
        for member in mapping.values():
            if is_artifact(member):
                raise ValueError("Instances of wandb.Artifact can only be top level keys in a run's config")
            if isinstance(member, Mapping):
                waiting.append(member)
