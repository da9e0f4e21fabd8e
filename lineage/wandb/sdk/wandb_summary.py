"""A run's summary: a nested dict whose keys are attributes too."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from typing import Any, Final

from lineage.attributes import Document
from lineage.wandb.plain import finite, plain_value, refuse_endless
from lineage.wandb.sdk.data_types.values import summary_value

_OWN: Final = frozenset({"_root", "_path", "_document", "_check", "_guard", "_keep"})


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
        if key in _OWN or key.startswith("__"):  # asked of an object that is only being made, by copy and pickle
            raise AttributeError(key)
        try:
            return self[key]
        except KeyError:
            raise AttributeError(f"{type(self)!r} object has no attribute {key!r}") from None

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        """Copy and pickle as a dict: what is set in a copy is not set in the run."""
        return dict, (deepcopy(dict(self._data())),)

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
        """Set several values, all or none."""
        self._root.merge(((*self._path, key), value) for key, value in dict(d).items())


class Summary(SummarySubDict):
    """What a run came to. ``wandb.summary`` is that of the active run.

    The last value of each metric that was logged, unless ``define_metric`` says otherwise, and what was set.
    NaN and infinities are kept as None, and a large array as its statistics.

    Args:
        document: Where the values are kept.
        check: Raises if the run has finished.
        guard: Keeps other threads out while values are set; it may be entered again.
    """

    def __init__(
        self,
        document: Document,
        check: Callable[[str], None],
        guard: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        super().__init__(self, ())
        object.__setattr__(self, "_document", document)
        object.__setattr__(self, "_check", check)
        object.__setattr__(self, "_guard", guard)

    def _set(self, path: tuple[str, ...], value: object) -> None:
        self.merge([(path, value)])

    def merge(self, values: Iterable[tuple[tuple[str, ...], object]]) -> None:
        """Set values at paths, all or none; the tree of each top key is copied and checked once for all of them."""
        self._check("summary")
        with self._guard():
            trees: dict[str, Any] = {}
            for path, value in values:
                first, *rest = (str(key) for key in path)
                kept = value if value is _GONE else _kept(value, ".".join(map(str, path)))
                if not rest:
                    trees[first] = kept
                    continue
                if first not in trees:
                    trees[first] = deepcopy(self._document.get(first))
                if not isinstance(trees[first], dict):
                    trees[first] = {}
                _put(trees[first], rest, kept)
            for first, tree in trees.items():
                if tree is _GONE:
                    del self._document[first]
                else:
                    self._document[first] = tree


_GONE = object()


def _kept(value: object, key: str) -> object:
    what = f"summary {key!r}"
    refuse_endless(value, what)
    return plain_value(finite(summary_value(value)), what)


def _put(tree: dict[str, Any], path: list[str], value: object) -> None:
    *folders, last = path
    for key in folders:
        if not isinstance(tree.get(key), dict):
            tree[key] = {}
        tree = tree[key]
    if value is _GONE:
        del tree[last]
    else:
        tree[last] = value
