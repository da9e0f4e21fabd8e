"""Lists that W&B gives page by page: iterated, indexed, measured, and gone on with from a cursor.

Here nothing is fetched over a network; a page is only how many objects are made at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar, overload

T = TypeVar("T")


class Paginator(Generic[T]):
    """A lazy list; each loop over it begins anew, and ``cursor`` tells where to go on from.

    Args:
        items: What it is of; only what is looked at is loaded.
        per_page: Accepted; how many objects W&B would fetch at once.
        start: The cursor to go on from.

    Example:
        >>> pages = Paginator([1, 2, 3])
        >>> len(pages), pages[0], next(pages), pages.cursor, list(Paginator([1, 2, 3], start=pages.cursor))
        (3, 1, 1, '1', [2, 3])
    """

    def __init__(self, items: Sequence[T], *, per_page: int = 50, start: str | None = None) -> None:
        if not isinstance(per_page, int) or per_page < 1:
            raise ValueError(f"per_page {per_page!r}: give a number of 1 or more")
        if start is not None and not str(start).isdecimal():
            raise ValueError(f"start {start!r} is no cursor; give one that `cursor` returned")
        self._items = items
        self.per_page = per_page
        self._start = self._place = int(start or 0)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def length(self) -> int:
        """How many there are."""
        return len(self)

    @property
    def cursor(self) -> str | None:
        """Where the iteration is; None when it has come to the end."""
        return str(self._place) if self.more else None

    @property
    def more(self) -> bool:
        """Whether anything is left to iterate over."""
        return self._place < len(self._items)

    def __iter__(self) -> Iterator[T]:
        self._place = self._start
        return self

    def __next__(self) -> T:
        if not self.more:
            raise StopIteration
        self._place += 1
        return self._items[self._place - 1]

    next = __next__

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        return list(self._items[index]) if isinstance(index, slice) else self._items[index]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)}>"
