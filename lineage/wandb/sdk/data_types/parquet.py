"""Rows of a table as a Parquet file, where pyarrow is installed.

A column goes in under Arrow's own type if that gives back exactly what was in it; else each cell is JSON text, and
the column's number stands under ``encodings`` in the table's JSON. The same rows give the same bytes with the same
pyarrow.
"""

from __future__ import annotations

import io
import json
from datetime import date, datetime
from typing import Any, Final

from lineage.jsondata import JsonObject, json_text
from lineage.wandb.errors import Error
from lineage.wandb.sdk.data_types.base import Sink, Source
from lineage.wandb.sdk.data_types.cells import decode, encode, normal
from lineage.wandb.sdk.data_types.optional import found, needed
from lineage.wandb.sdk.data_types.reader import FREE_BYTES, Reader

_NAMES: Final[dict[type, str]] = {bool: "bool_", int: "int64", float: "float64", str: "string", date: "date32"}
_CELL: Final = 64  # bytes that a cell takes in lists of Python, about
_OF_JSON: Final = 16  # times its text that JSON takes as objects, about
_UNITS: Final = frozenset({"s", "ms", "us", "ns"})


def write_rows(columns: list[str], rows: list[list[Any]], sink: Sink) -> tuple[bytes, JsonObject] | None:
    """Return the rows as Parquet, and how the columns that Arrow has no type for are encoded.

    Args:
        columns: Their names.
        rows: The cells by row.
        sink: Where the files of media cells go.

    Returns:
        None where JSON has to do: pyarrow is missing, there are no rows, or two columns have the same name.
    """
    pyarrow = found("pyarrow")
    if pyarrow is None or not rows or not columns or len(set(columns)) < len(columns):
        return None
    encodings: JsonObject = {}
    arrays = []
    for index, name in enumerate(columns):
        cells = [normal(row[index]) for row in rows]
        array, encoding = _arrow_array(pyarrow, cells)
        if array is None:
            texts = [json_text(encode(cell, sink, f"column {name!r}")) for cell in cells]
            array, encoding = pyarrow.array(texts, pyarrow.string()), "json"
        arrays.append(array)
        if encoding:
            encodings[str(index)] = encoding
    buffer = io.BytesIO()
    parquet = needed("pyarrow.parquet", "A table", "tables")
    parquet.write_table(pyarrow.Table.from_arrays(arrays, names=columns), buffer, compression="zstd")
    return buffer.getvalue(), encodings


def read_rows(
    data: bytes, encodings: dict[str, Any], source: Source, shape: tuple[int, int] | None = None
) -> list[list[Any]]:
    """Return the rows that :func:`write_rows` wrote.

    Args:
        data: The file.
        encodings: How columns are encoded.
        source: Where the files of media cells come from.
        shape: How many rows and columns there are said to be.

    Raises:
        Error: pyarrow is not installed; or there are not as many, or they would unfold to far more than the file.
    """
    parquet = needed("pyarrow.parquet", "A table whose rows are Parquet", "tables")
    file = parquet.ParquetFile(io.BytesIO(data))
    found = file.metadata.num_rows, len(file.schema_arrow)
    if shape not in (None, found):
        raise Error(f"a table of {shape} rows and columns, whose file has {found}")
    texts = _charge(file.metadata, Reader.of(source))
    if texts:
        unfolded = parquet.ParquetFile(io.BytesIO(data), read_dictionary=texts).read()
        _charge_texts(unfolded.columns, encodings, Reader.of(source))
    columns = [_cells(array, encodings.get(str(index)), source) for index, array in enumerate(file.read().columns)]
    return [list(row) for row in zip(*columns, strict=True)]


def _charge(metadata: Any, reader: Reader) -> list[str]:
    """Count what a file unfolds to, before it does, and return the columns whose text has to be counted apart.

    Those are where a text is written once and may stand in every row, if that could be much.
    """
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    chunks = [group.column(number) for group in groups for number in range(metadata.num_columns)]
    reader.charge(sum(max(0, chunk.num_values) * _CELL + max(0, chunk.total_uncompressed_size) for chunk in chunks))
    texts = [chunk for chunk in chunks if chunk.physical_type == "BYTE_ARRAY" and chunk.has_dictionary_page]
    most = sum(chunk.num_values * chunk.total_uncompressed_size for chunk in texts)
    return list(dict.fromkeys(chunk.path_in_schema for chunk in texts)) if most > FREE_BYTES // _OF_JSON else []


def _charge_texts(columns: list[Any], encodings: dict[str, Any], reader: Reader) -> None:
    """Count the text of columns that were read with each value once."""
    for index, column in enumerate(columns):
        times = _OF_JSON if encodings.get(str(index)) == "json" else 1
        reader.charge(times * sum(_text_bytes(chunk) for chunk in column.chunks))


def _text_bytes(array: Any) -> int:
    """Return how many bytes the text of a column is, each value counted as often as it stands there."""
    while hasattr(array, "flatten") and hasattr(array, "offsets"):  # lists
        array = array.flatten()
    if not hasattr(array, "dictionary"):
        return 0
    compute = needed("pyarrow.compute", "A table whose rows are Parquet", "tables")
    lengths = compute.binary_length(array.dictionary).take(array.indices)
    return int(compute.sum(lengths).as_py() or 0)


def _cells(array: Any, encoding: str | None, source: Source) -> list[Any]:
    if encoding == "json":
        return [decode(json.loads(text), source) for text in array.to_pylist()]
    if encoding == "datetime64":
        numpy = needed("numpy", "A table with datetime64 in its cells", "tables")
        unit = array.type.unit
        return [None if cell is None else numpy.datetime64(cell, unit) for cell in array.cast("int64").to_pylist()]
    return list(array.to_pylist())


def _arrow_array(pyarrow: Any, cells: list[Any]) -> tuple[Any, str | None]:
    """Return the cells under a type of Arrow's that keeps them exactly, or None; and how to read them."""
    unit = _datetime64_unit(cells)
    kind = pyarrow.timestamp(unit) if unit else _arrow_type(pyarrow, cells)
    if kind is None:
        return None, None
    try:
        return pyarrow.array(cells, kind), "datetime64" if unit else None
    except (OverflowError, UnicodeEncodeError, ValueError):  # beyond 64 bits, half characters
        return None, None


def _arrow_type(pyarrow: Any, cells: list[Any]) -> Any:
    kinds = {type(cell) for cell in cells} - {type(None)}
    if len(kinds) != 1:
        return None
    kind = kinds.pop()
    if kind is list:
        inner = _arrow_type(pyarrow, [item for cell in cells if cell is not None for item in cell])
        return None if inner is None else pyarrow.list_(inner)
    if kind is datetime:
        naive = all(cell is None or cell.tzinfo is None for cell in cells)
        return pyarrow.timestamp("us") if naive else None
    return getattr(pyarrow, _NAMES[kind])() if kind in _NAMES else None


def _datetime64_unit(cells: list[Any]) -> str | None:
    """Return the one unit of cells that are all datetime64 or None and none of them NaT, else None."""
    given = [cell for cell in cells if cell is not None]
    if not given or any(type(cell).__name__ != "datetime64" for cell in given):
        return None
    numpy = needed("numpy", "A datetime64", "tables")
    units = {numpy.datetime_data(cell.dtype) for cell in given}
    unit, step = units.pop()
    exact = not units and step == 1 and unit in _UNITS and not any(numpy.isnat(cell) for cell in given)
    return str(unit) if exact else None
