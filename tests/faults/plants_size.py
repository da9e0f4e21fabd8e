"""Bugs that cost memory or stack with the size of things."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from blake3 import blake3
from plants import plant

from lineage.values import Digest


@plant("lineage.staging:copy_hashed")
def a_file_is_read_whole(_: object) -> object:
    def copied(source: Any, write: Any, progress: Any = None) -> Any:
        pieces = []
        while data := source.read(1 << 24):
            pieces.append(data)
        data = b"".join(pieces)
        if write is not None:
            write(data)
        return Digest(blake3(data).hexdigest()), len(data)

    return copied


@plant("lineage.portable.packing:_read_ahead")
def a_blob_is_packed_from_memory(pieces: Callable[..., Iterator[bytes]]) -> object:
    return lambda source, hasher: iter(list(pieces(source, hasher)))


@plant("lineage.graph:walk")
def the_walk_goes_down_by_calling_itself(_: object) -> object:
    """As one writes it first."""
    from lineage.graph import Reached, _neighbours

    def walk(connection: Any, starts: Any, *, up: bool, depth: int | None = None) -> Any:
        reached = Reached()

        def visit(kind: Any, rows: list[int], level: int) -> None:
            new = reached.add(kind, rows, level)
            if new and (depth is None or level < depth):
                found = sorted(_neighbours(connection, kind, new, up=up))
                visit("run" if kind == "version" else "version", found, level + 1)

        for kind, row in starts:
            visit(kind, [row], 0)
        return reached

    return walk
