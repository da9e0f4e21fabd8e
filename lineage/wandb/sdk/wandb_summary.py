"""A run's summary: a nested dict whose keys are attributes too."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping
from typing import Any

from lineage.attributes import Document
from lineage.wandb.plain import finite, plain_value
from lineage.wandb.sdk.data_types.values import summary_value


class SummarySubDict:
    """A dict inside a summary; what is set in it is set in the summary.

    Args:
        root: The summary it is in.
        path: The keys that lead to it.
    """

    def __init__(self, root: Summary, path: tuple[str, ...]) -> None:
        object.__setattr__(self, "_root", root)
        object.__setattr__(self, "_path", path)

    def _data(self) -> dict[str, Any]:
        found: Any = self._root._document
        for key in self._path:
            found = found[key]
        return found  # type: ignore[no-any-return]  # of JSON

    def __repr__(self) -> str:
        return repr(dict(self._data()))

    def __getitem__(self, key: str) -> Any:
        value = self._data()[key]
        return SummarySubDict(self._root, (*self._path, key)) if isinstance(value, dict) else value

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__"):
            raise AttributeError(key)
        try:
            return self[key]
        except KeyError:
            raise AttributeError(f"{type(self)!r} object has no attribute {key!r}") from None

    def __setitem__(self, key: str, value: object) -> None:
        self._root._set((*self._path, key), value)

    def __setattr__(self, key: str, value: object) -> None:
        self[key] = value

    def __delitem__(self, key: str) -> None:
        self._root._set((*self._path, key), _GONE)

    __delattr__ = __delitem__

    def __contains__(self, key: object) -> bool:
        return key in self._data()

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self._data()))

    def __len__(self) -> int:
        return len(self._data())

    def __eq__(self, other: object) -> bool:
        """Whether it holds what another dict holds."""
        found = other._data() if isinstance(other, SummarySubDict) else other
        return isinstance(found, Mapping) and dict(self._data()) == dict(found)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def keys(self) -> KeysView[str]:
        """Return the keys."""
        return dict(self._data()).keys()

    def items(self) -> ItemsView[str, Any]:
        """Return keys and values."""
        return {key: self[key] for key in self._data()}.items()

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value, or the default where there is none."""
        return self[key] if key in self else default  # noqa: SIM401 (this is get)

    def _as_dict(self) -> dict[str, Any]:
        return dict(self._data())

    def update(self, d: Mapping[str, Any]) -> None:
        """Set several values."""
        for key, value in dict(d).items():
            self[key] = value


class Summary(SummarySubDict):
    """What a run came to. ``wandb.summary`` is that of the active run.

    The last value of each metric that was logged, unless ``define_metric`` says otherwise, and what was set.
    NaN and infinities are kept as None, and a large array as its statistics.

    Args:
        document: Where the values are kept.
        check: Raises if the run has finished.
    """

    def __init__(self, document: Document, check: Callable[[str], None]) -> None:
        super().__init__(self, ())
        object.__setattr__(self, "_document", document)
        object.__setattr__(self, "_check", check)

    def _set(self, path: tuple[str, ...], value: object) -> None:
        self._check("summary")
        first, *rest = (str(key) for key in path)
        if not rest:
            if value is _GONE:
                del self._document[first]
            else:
                self._document[first] = _kept(value, first)
            return
        tree = self._document.get(first)
        tree = dict(tree) if isinstance(tree, dict) else {}
        _put(tree, rest, value if value is _GONE else _kept(value, ".".join(path)))
        self._document[first] = tree

    def logged(self, path: tuple[str, ...], value: object) -> None:
        """Take the value of a metric that was logged: what `log` puts in, whether or not anything else may."""
        self._set(path, value)


_GONE = object()


def _kept(value: object, key: str) -> object:
    return plain_value(finite(summary_value(value)), f"summary {key!r}")


def _put(tree: dict[str, Any], path: list[str], value: object) -> None:
    *folders, last = path
    for key in folders:
        below = tree.get(key)
        tree[key] = dict(below) if isinstance(below, dict) else {}
        tree = tree[key]
    if value is _GONE:
        del tree[last]
    else:
        tree[last] = value
