"""A run's config and summary: dicts whose keys are attributes too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from typing import Any

from lineage.held import held
from lineage.jsondata import JsonObject, plain_object


class Document(MutableMapping[str, Any]):
    """A run's config or summary: a dict whose keys are attributes too, checked as JSON when they are set.

    Args:
        data: What it holds at first.
        what: What it is; errors begin with it.
        changing: Entered around each change, told `what`; what it raises refuses the change.

    Example:
        >>> config = Document({"lr": 0.1}, "config")
        >>> config.batch_size = 32
        >>> config.lr, dict(config)
        (0.1, {'lr': 0.1, 'batch_size': 32})
    """

    def __init__(
        self,
        data: JsonObject,
        what: str,
        changing: Callable[[str], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        object.__setattr__(self, "_data", dict(data))
        object.__setattr__(self, "_what", what)
        object.__setattr__(self, "_changing", changing)

    def __reduce__(self) -> tuple[type[Document], tuple[JsonObject, str]]:
        """Copy and pickle without the run: what is set in a copy is not set there."""
        return Document, (dict(self._data), self._what)

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 (JSON)
        return self._data[key]

    def __setitem__(self, key: str, value: object) -> None:
        checked = plain_object({key: value}, self._what)
        with self._changing(self._what):
            self._data.update(checked)

    def __delitem__(self, key: str) -> None:
        with self._changing(self._what):
            del self._data[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __repr__(self) -> str:
        return repr(self._data)

    def __getattr__(self, key: str) -> Any:  # noqa: ANN401 (JSON)
        try:
            return object.__getattribute__(self, "_data")[key]
        except KeyError:
            message = f"{self._what} has no {key!r}"
            raise AttributeError(message) from None

    def __setattr__(self, key: str, value: object) -> None:
        self[key] = value

    def __delattr__(self, key: str) -> None:
        try:
            del self[key]
        except KeyError:
            message = f"{self._what} has no {key!r}"
            raise AttributeError(message) from None


def hold(document: Document, how: str) -> None:
    """Let nothing inside be changed in place any more; `how` is what the error says that a try raises."""
    vars(document)["_data"] = held(document, how)


def free(document: Document) -> None:
    """Take that back."""
    vars(document)["_data"] = deepcopy(dict(document))
