"""Filling: bytes that were left out when a project was packed, or were lost, brought from a project that has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lineage.content import RowsAhead
from lineage.errors import StateError
from lineage.portable.foreign import Limits, foreign_project
from lineage.portable.merging import BYTES_AT_ONCE, Progress, take_over, weight
from lineage.portable.reports import FillReport
from lineage.statements import content, portable, union
from lineage.store import Store
from lineage.upkeep.collection import bounded
from lineage.values import Digest

_WINDOW: Final = 1_000


def fill(store: Store, source: Path, limits: Limits, progress: Progress | None) -> FillReport:
    """Bring what is not here, as far as another project has it. ``Project.fill`` documents it."""
    if store.database.in_block:
        raise StateError("a project cannot be filled inside a batch or a snapshot: leave the block first")
    store.check_writable()
    count = total = 0
    with foreign_project(store, source, limits) as theirs, store.storing():
        ahead = RowsAhead(store.database)
        for some in bounded(_to_bring(store, theirs), weight, BYTES_AT_ONCE):
            take_over(store, theirs, some, ahead, progress)
            count, total = count + len(some), total + sum(size for _, size in some)
    with store.database.read() as connection:
        return FillReport(count, total, *portable.absent_total(connection))


def _to_bring(store: Store, theirs: Store) -> Iterator[tuple[Digest, int]]:
    """Yield digest and size of what is not here and is there: being there is the file's word and not the row's."""
    last = ""
    while True:
        with store.database.read() as ours:
            window = portable.places_after(ours, last, _WINDOW)
            outside = {digest: (size, absent) for digest, size, inside, absent in window if not inside}
            named = union.blobs_wanted(ours, list(outside), [])
        if not window:
            return
        sizes = {
            digest: size
            for digest, (size, absent) in outside.items()
            if digest in named and (absent or not store.blobs.has(digest, size))
        }
        with theirs.database.read() as other:
            known = union.blob_sizes(other, list(sizes))
            inside_theirs = content.held_inside(other, list(sizes))
        for digest, size in sizes.items():
            there = digest in inside_theirs or theirs.blobs.has(digest, size)
            if known.get(digest) == (size, False) and there:
                yield digest, size
        last = window[-1][0]
