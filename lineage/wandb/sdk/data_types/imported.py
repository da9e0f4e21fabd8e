"""What is different in the tables that W&B itself wrote: times are milliseconds, arrays lie in files of numpy's."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from lineage.wandb.sdk.data_types.base import Source
from lineage.wandb.sdk.data_types.optional import needed
from lineage.wandb.sdk.data_types.reader import Reader

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def restore(rows: list[list[Any]], types: list[dict[str, Any]], source: Source) -> None:
    """Turn cells of a table of W&B's into times and arrays, in place.

    Args:
        rows: The cells as they stand in its JSON.
        types: The JSON of each column's type.
        source: Where its files come from.

    Raises:
        Error: A column holds arrays, and numpy is not installed.
    """
    for index, kind in enumerate(types):
        parts = list(_parts(kind))
        if any(part.get("wb_type") == "timestamp" for part in parts):
            for row in rows:
                row[index] = _moment(row[index])
        stored = [part["params"]["serialization_path"] for part in parts if _is_stored(part)]
        if stored:
            numpy = needed("numpy", "A table with arrays in its cells", "tables")
            packed = numpy.load(io.BytesIO(source.read(stored[0]["path"])))
            Reader.of(source).charge(packed.zip.getinfo(f"{stored[0]['key']}.npy").file_size)
            for row, array in zip(rows, packed[stored[0]["key"]], strict=True):
                row[index] = array


def _is_stored(part: dict[str, Any]) -> bool:
    """Whether the arrays of a type lie in a file."""
    return bool(part.get("params", {}).get("serialization_path"))


def _parts(kind: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a type, or the members of a union."""
    yield from kind["params"]["allowed_types"] if kind.get("wb_type") == "union" else [kind]


def _moment(cell: Any) -> Any:
    return _EPOCH + timedelta(milliseconds=cell) if isinstance(cell, (int, float)) else cell
