"""Which class a ``_type`` in JSON means, and what the JSON files of artifacts are called by."""

from __future__ import annotations

from typing import Final, TypeVar

from lineage.wandb.sdk.data_types.base import WBValue

_Class = TypeVar("_Class", bound=type[WBValue])

_CLASSES: Final[dict[str, type[WBValue]]] = {}

SUFFIXES: Final[dict[str, type[WBValue]]] = {}
"""By the end of a file's name, as ``.table.json``, the class whose JSON it holds."""


def register(cls: _Class) -> _Class:
    """Make a class known by its ``log_type`` and its ``suffix``; a decorator."""
    _CLASSES[cls.log_type] = cls
    if cls.suffix:
        SUFFIXES[cls.suffix] = cls
    return cls


def by_type(word: object) -> type[WBValue] | None:
    """Return the class of a ``_type``, or None where it is none of ours.

    Only what has been imported is known: :mod:`lineage.wandb.sdk.data_types.values` imports all.

    Example:
        >>> by_type("no-such-type") is None
        True
    """
    return _CLASSES.get(word) if isinstance(word, str) else None
