"""Lists that are as long as they need be: the keys at once, the records when they are looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, Generic, TypeVar, overload

T = TypeVar("T")
_PAGE: Final = 500
"""Records fetched together: about 2 ms."""
_ROWS: Final = 20
"""Of a table in a notebook."""


class Listing(Sequence[T], Generic[T]):
    """A lazy sequence: ``len``, indexing, slicing and iteration, over what was there when it was asked for.

    The keys of all items are read at the first look (8 bytes each), the items by pages as they are needed, so
    that a list of a million is no surprise. It does not change afterwards; ask again for what is new.

    Example:
        >>> squares = Listing(lambda: range(5), lambda keys: [key * key for key in keys])
        >>> len(squares), squares[-1], list(squares[1:3])
        (5, 16, [1, 4])
    """

    def __init__(self, keys: Callable[[], Sequence[int]], load: Callable[[Sequence[int]], list[T]]) -> None:
        self._find = keys
        self._load = load
        self._known: Sequence[int] | None = None

    @property
    def _keys(self) -> Sequence[int]:
        if self._known is None:
            self._known = self._find()
        return self._known

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[T]:
        for start in range(0, len(self._keys), _PAGE):
            yield from self._load(self._keys[start : start + _PAGE])

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> Listing[T]: ...

    def __getitem__(self, index: int | slice) -> T | Listing[T]:
        if isinstance(index, slice):
            keys = self._keys[index]
            return Listing(lambda: keys, self._load)
        return self._load([self._keys[index]])[0]

    def __repr__(self) -> str:
        return f"<Listing of {len(self)}: {', '.join(map(repr, self[:3]))}{', …' if len(self) > 3 else ''}>"  # noqa: PLR2004 (as many as fit a line)

    def _repr_html_(self) -> str:
        """Return the first of them as a table for notebooks; every text is escaped."""
        from html import escape  # noqa: PLC0415 (2 ms; notebooks only)

        first = list(self[:_ROWS])
        columns = getattr(first[0], "_columns", ()) if first else ()
        rows = [[_cell(getattr(item, name)) for name in columns] or [repr(item)] for item in first]
        head = "".join(f"<th>{name}</th>" for name in columns)
        body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
        count = f"{len(self):,}" if len(self) <= _ROWS else f"the first {_ROWS} of {len(self):,}"
        return f"<table><caption>{count}</caption><tr>{head}</tr>{body}</table>"


def _cell(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
