"""Lists whose members are made of those of other lists, when they are looked at."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Final, Generic, Protocol, TypeVar, overload

S = TypeVar("S")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
_PAGE: Final = 200


class SupportsIndexing(Protocol[T_co]):
    """Anything with a length and members by number."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> T_co: ...


class Made(Sequence[T], Generic[S, T]):
    """A lazy list: each look at a member makes it anew, of what was read of the source with its neighbours.

    Reading the records of a project one by one takes ten times as long as by pages.

    Example:
        >>> squares = Made(range(4), lambda number: number * number)
        >>> len(squares), squares[-1], list(squares[1:3]), list(squares)
        (4, 9, [1, 4], [0, 1, 4, 9])
    """

    def __init__(self, source: Sequence[S], make: Callable[[S], T]) -> None:
        self._source = source
        self._make = make
        self._page: tuple[int, Sequence[S]] = (-1, ())

    def __len__(self) -> int:
        return len(self._source)

    def __iter__(self) -> Iterator[T]:
        return map(self._make, self._source)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> Made[S, T]: ...

    def __getitem__(self, index: int | slice) -> T | Made[S, T]:
        if isinstance(index, slice):
            return Made(self._source[index], self._make)
        place = range(len(self))[index]
        number, start = place // _PAGE, place // _PAGE * _PAGE
        if self._page[0] != number:
            self._page = number, list(self._source[start : start + _PAGE])
        return self._make(self._page[1][place - start])


class Chained(Sequence[T], Generic[T]):
    """Lists one after the other, as one; only the members that are looked at are loaded.

    Example:
        >>> letters = Chained(["ab", "", "cd"])
        >>> len(letters), letters[2], letters[-1], letters[1:3]
        (4, 'c', 'd', ['b', 'c'])
    """

    def __init__(self, lists: Sequence[SupportsIndexing[T]]) -> None:
        self._lists = lists
        self._ends = list(accumulate(map(len, lists)))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return [self[place] for place in range(len(self))[index]]
        place = range(len(self))[index]
        number = bisect_right(self._ends, place)
        return self._lists[number][place - (self._ends[number - 1] if number else 0)]
