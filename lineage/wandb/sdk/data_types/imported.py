"""What is different in the tables that W&B itself wrote: times are milliseconds, arrays lie in files of numpy's."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from lineage.wandb.sdk.data_types.base import Source
from lineage.wandb.sdk.data_types.optional import needed

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
        for part in _parts(kind):
            if part.get("wb_type") == "timestamp":
                for row in rows:
                    row[index] = _moment(row[index])
            stored = part.get("params", {}).get("serialization_path")
            if stored:
                numpy = needed("numpy", "A table with arrays in its cells", "tables")
                arrays = numpy.load(io.BytesIO(source.read(stored["path"])))[stored["key"]]
                for row, array in zip(rows, arrays, strict=True):
                    row[index] = array


def _parts(kind: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a type, or the members of a union."""
    yield from kind["params"]["allowed_types"] if kind.get("wb_type") == "union" else [kind]


def _moment(cell: Any) -> Any:
    return _EPOCH + timedelta(milliseconds=cell) if isinstance(cell, (int, float)) else cell
