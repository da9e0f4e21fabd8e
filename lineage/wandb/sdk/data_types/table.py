"""Tables: rows and typed columns, with media in their cells."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, Literal, Self

from lineage.jsondata import JsonObject, json_text
from lineage.wandb.errors import Error
from lineage.wandb.sdk.data_types import column_types
from lineage.wandb.sdk.data_types.base import Sink, Source, WBValue
from lineage.wandb.sdk.data_types.cells import decode, encode
from lineage.wandb.sdk.data_types.column_types import (
    ANY,
    INVALID,
    NONE,
    PRIMARY_KEY,
    UNKNOWN,
    Dict,
    Foreign,
    Linked,
    Type,
    as_type,
    type_of,
)
from lineage.wandb.sdk.data_types.files import store
from lineage.wandb.sdk.data_types.imported import restore
from lineage.wandb.sdk.data_types.optional import as_array, is_instance, needed
from lineage.wandb.sdk.data_types.parquet import read_rows, write_rows
from lineage.wandb.sdk.data_types.reader import Reader, parsed
from lineage.wandb.sdk.data_types.registry import register

LogMode = Literal["IMMUTABLE", "MUTABLE", "INCREMENTAL"]

_FOLDER: Final = "media/tables"
_MODES: Final = ["IMMUTABLE", "MUTABLE", "INCREMENTAL"]
_EXACT: Final = 1  # our own cells; W&B's tables have times in milliseconds instead, and no such mark


class TableKey(str, Linked):  # noqa: SLOT000 - it carries its table
    """A key that knows which column of which table it stands in.

    Example:
        >>> table = Table(["name"], [["a"]])
        >>> table.set_pk("name")
        >>> table.data[0][0].table is table
        True
    """

    table: Table
    column: Any

    def column_type(self) -> Type:
        """Return the type of a column of such keys."""
        return Foreign(self.table, self.column)


class TableIndex(int, Linked):
    """The number of a row, which knows its table.

    Example:
        >>> Table(["name"], [["a"], ["b"]]).index_ref(1).get_row()
        {'name': 'b'}
    """

    table: Table

    def get_row(self) -> dict[Any, Any]:
        """Return the row by column."""
        return dict(zip(self.table.columns, self.table.data[self], strict=True))

    def column_type(self) -> Type:
        """Return the type of a column of such numbers."""
        return Foreign(self.table)


@register
class Table(WBValue):
    """Rows of cells under typed columns: plain data, times, arrays, and media such as :class:`Image`.

    The first values of a column say what it holds, unless `dtype` does; a row that does not fit is refused. What is
    stored comes back exactly, see :mod:`lineage.wandb.sdk.data_types.cells`: the rows in a Parquet file where pyarrow
    is installed, else in the JSON. Wrong arguments raise W&B's own errors, AssertionError among them.

    Args:
        columns: Names, text or whole numbers; W&B's three by default.
        data: Rows, a numpy array of two dimensions, or a pandas data frame.
        rows: The older word for rows.
        dataframe: A pandas data frame, whose columns it takes; its index is not kept.
        dtype: What the columns hold, one or a list of: a class, a media class, ``[class]`` for lists, ``[int, str]``
            for either, a dict of them, a constant.
        optional: Whether None may stand in the columns, one or a list.
        allow_mixed_types: Take anything anywhere.
        log_mode: ``"IMMUTABLE"``, ``"MUTABLE"`` or ``"INCREMENTAL"``: what logging it again does.

    Raises:
        AssertionError: `columns`, `data` or `log_mode` is not of its kind.
        ValueError: A row has more or fewer cells than there are columns.
        TypeError: A cell does not fit its column.

    Attributes:
        columns: The names.
        data: The rows, as lists.

    Example:
        >>> table = Table(columns=["text", "score"], data=[["good", 0.9]])
        >>> table.add_data("bad", None)
        >>> table.get_column("score")
        [0.9, None]
    """

    MAX_ROWS = 10000
    MAX_ARTIFACT_ROWS = 200000
    __hash__ = None  # type: ignore[assignment]  # rows come and go
    log_type: ClassVar[str] = "table"
    suffix: ClassVar[str] = ".table.json"

    def __init__(
        self,
        columns: list[Any] | None = None,
        data: Any = None,
        rows: list[Iterable[Any]] | None = None,
        dataframe: Any = None,
        dtype: Any = None,
        optional: bool | list[bool] = True,
        allow_mixed_types: bool = False,
        log_mode: LogMode | None = "IMMUTABLE",
    ) -> None:
        _demand(log_mode in _MODES, f"Invalid log_mode: {log_mode}. Must be one of {_MODES}")
        self.log_mode = log_mode
        self.columns: list[Any] = ["Input", "Output", "Expected"] if columns is None else columns
        self.data: list[list[Any]] = []
        given = data if data is not None else rows if rows is not None else []
        if dataframe is not None or is_instance(data, "pandas", "DataFrame"):
            frame = data if dataframe is None else dataframe
            _demand(is_instance(frame, "pandas", "DataFrame"), "dataframe argument expects a `DataFrame` object")
            self.columns, given = list(frame.columns), _frame_rows(frame)
        is_array = is_instance(given, "numpy", "ndarray")
        _demand(is_array or isinstance(given, list), "data argument expects a `list` object")
        _demand(isinstance(self.columns, list), "columns argument expects a `list` object")
        named = all(type(name) in {str, int} for name in self.columns)
        _demand(named, "columns argument expects list of strings or ints")
        kinds = _per_column(ANY if allow_mixed_types else UNKNOWN if dtype is None else dtype, len(self.columns))
        self._types = Dict({})
        self._types = Dict(self._first_types(kinds, _per_column(optional, len(self.columns))))
        for row in given:
            self.add_data(*row)

    def _first_types(self, kinds: Sequence[Any], optional: Sequence[bool]) -> dict[Any, Type]:
        """Return the types of the columns of a table without rows."""
        types: dict[Any, Type] = {}
        for name, dtype, may_miss in zip(self.columns, kinds, optional, strict=False):
            kind = as_type(dtype)
            kind = column_types.union((kind, NONE)) if may_miss else kind
            self._check_key(name, kind, types)
            types[name] = kind
        return types

    def cast(self, col_name: Any, dtype: Any, optional: bool = False) -> Type:
        """Set what a column holds, and return its type.

        Raises:
            AssertionError: There is no such column, or it cannot be a key.
            TypeError: A cell of the column does not fit.
        """
        _demand(col_name in self.columns)
        kind = as_type(dtype)
        if optional:
            kind = column_types.union((kind, NONE))
        position = self.columns.index(col_name)
        for row in self.data:
            grown = kind.take(row[position])
            if grown == INVALID:
                cell = row[position]
                message = f"Existing data {cell}, of type {type_of(cell)} cannot be cast to {kind}"
                raise TypeError(message)
            kind = grown
        self._check_key(col_name, kind, self._types.keys)
        self._types = Dict({**self._types.keys, col_name: kind})
        for row in self.data:
            row[position] = self._linked(row[position], col_name, kind)
        return kind

    def add_data(self, *data: Any) -> None:
        """Add a row.

        Raises:
            ValueError: Too many or too few cells.
            TypeError: A cell does not fit its column; the message says which and why.
        """
        if len(data) != len(self.columns):
            message = f"This table expects {len(self.columns)} columns: {self.columns}, found {len(data)}"
            raise ValueError(message)
        for name, cell in zip(self.columns, data, strict=True):
            if isinstance(cell, Linked) and not isinstance(self._types.keys.get(name), Foreign):
                self.cast(name, cell.column_type())
        row = dict(zip(self.columns, data, strict=True))
        grown = self._types.take(row)
        if not isinstance(grown, Dict):
            message = f"Data row contained incompatible types:\n{self._types.explain(row)}"
            raise TypeError(message)
        self._types = grown
        kinds = [grown.keys[name] for name in self.columns]
        self.data.append([self._linked(*cell) for cell in zip(data, self.columns, kinds, strict=True)])

    def add_row(self, *row: Any) -> None:
        """Add a row; the older word for :meth:`add_data`."""
        logging.getLogger(__name__).warning("add_row is deprecated, use add_data")
        self.add_data(*row)

    def add_column(self, name: str, data: Any, optional: bool = False) -> None:
        """Add a column.

        Args:
            name: Its name, a new one.
            data: Its cells, a list or a numpy array, as many as there are rows.
            optional: Whether None may stand in it.

        Raises:
            AssertionError: The name or the cells are not as said.
            TypeError: The cells do not fit each other; the table is as before.
            Error: The table is incremental.
        """
        self._refuse_incremental("add_column")
        _demand(isinstance(name, str) and name not in self.columns)
        _demand(isinstance(data, list) or is_instance(data, "numpy", "ndarray"))
        _demand(isinstance(optional, bool))
        _demand(not self.columns or len(data) == len(self.data), f"Expected length {len(self.data)}, found {len(data)}")
        before = self.columns, self.data
        rows = self.data if self.columns else []
        self.data = [[*(rows[number] if rows else []), cell] for number, cell in enumerate(data)]
        self.columns = [*self.columns, name]
        try:
            self.cast(name, UNKNOWN, optional)
        except TypeError:
            self.columns, self.data = before
            raise

    def add_computed_columns(self, fn: Callable[[int, dict[Any, Any]], dict[str, Any]]) -> None:
        """Add columns made of the others.

        Args:
            fn: Takes the number of a row and the row by column; returns the new cells by new column.
        """
        self._refuse_incremental("add_computed_columns")
        new: dict[str, list[Any]] = {}
        for index, row in self.iterrows():
            cells = fn(index, dict(zip(self.columns, row, strict=True)))
            _demand(isinstance(cells, dict))
            for name, cell in cells.items():
                new.setdefault(name, []).append(cell)
        for name, column in new.items():
            self.add_column(name, column)

    def get_column(self, name: Any, convert_to: Literal["numpy"] | None = None) -> Any:
        """Return the cells of a column: a list, or an array with ``convert_to="numpy"``; images give their pixels."""
        _demand(name in self.columns)
        _demand(convert_to in {None, "numpy"})
        position = self.columns.index(name)
        column = [row[position] for row in self.data]
        if convert_to is None:
            return column
        numpy = needed("numpy", "A column as an array", "tables")
        return numpy.array([cell.to_data_array() if hasattr(cell, "to_data_array") else cell for cell in column])

    def get_index(self) -> list[TableIndex]:
        """Return the numbers of the rows; in another table they point to this one."""
        return [self.index_ref(number) for number in range(len(self.data))]

    def index_ref(self, index: int) -> TableIndex:
        """Return the number of a row, which knows its table."""
        _demand(index < len(self.data))
        number = TableIndex(index)
        number.table = self
        return number

    def iterrows(self) -> Iterator[tuple[TableIndex, list[Any]]]:
        """Yield the number and the cells of each row."""
        for number in self.get_index():
            yield number, self.data[number]

    def get_dataframe(self) -> Any:
        """Return the table as a pandas data frame.

        Raises:
            Error: pandas is not installed.
        """
        pandas = needed("pandas", "A table as a data frame", "tables")
        return pandas.DataFrame.from_records(self.data, columns=self.columns)

    def set_pk(self, col_name: Any) -> None:
        """Make a column of text the key of the table; for good.

        Raises:
            TypeError: Something in it is not text.
        """
        self.cast(col_name, PRIMARY_KEY)

    def set_fk(self, col_name: Any, table: Table, table_col: str) -> None:
        """Make a column of text point to a column of another table, which is stored with this one."""
        _demand(table_col in table.columns)
        self.cast(col_name, Foreign(table, table_col))

    def to_json(self, sink: Sink) -> JsonObject:
        """Add the rows and the files of media in them, and return the JSON of the table.

        All rows are kept: MAX_ROWS and MAX_ARTIFACT_ROWS are W&B's limits, and a file of your own has none.

        Raises:
            InvalidInputError: A cell holds what cannot be kept.
        """
        written = write_rows([str(name) for name in self.columns], self.data, sink)
        if written is None:
            rows: JsonObject = {"data": [_encoded_row(row, self.columns, sink) for row in self.data]}
        else:
            stored = store(sink, _FOLDER, written[0], "parquet")
            rows = {"rows": stored["path"], "encodings": written[1]}
        types: JsonObject = {
            str(name): column_types.to_json(kind, lambda table: _save(table, sink))
            for name, kind in self._types.keys.items()
        }
        return {
            "_type": self.log_type,
            "columns": list(self.columns),
            "column_types": {"wb_type": "typedDict", "params": {"type_map": types}},
            "ncols": len(self.columns),
            "nrows": len(self.data),
            "log_mode": self.log_mode,
            "cells": _EXACT,
            **rows,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any], source: Source) -> Self:
        """Return the table again: one of ours, or one that W&B wrote.

        A table that several keys point to is one object.

        Raises:
            Error: The rows are not as many and as wide as it says, or it points to itself.
        """
        reader = Reader.of(source)
        table = cls(columns=data["columns"], log_mode=data.get("log_mode") or "IMMUTABLE")
        if "rows" in data:
            shape = data["nrows"], len(table.columns)
            table.data = read_rows(reader.read(data["rows"]), data["encodings"], reader, shape)
        else:
            table.data = [[decode(cell, reader) for cell in row] for row in data["data"]]
        stored = (data.get("column_types") or {}).get("params", {}).get("type_map", {})
        kinds = {
            name: column_types.from_json(stored[str(name)], lambda path: _load(path, reader))
            for name in table.columns
            if str(name) in stored
        }
        table._types = Dict({**table._types.keys, **kinds})
        if data.get("cells") != _EXACT:
            restore(table.data, [stored.get(str(name), {}) for name in table.columns], reader)
        for row in table.data:
            cells = zip(
                row, table.columns, [table._types.keys.get(name, UNKNOWN) for name in table.columns], strict=True
            )
            row[:] = [table._linked(*cell) for cell in cells]
        return table

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Table)
            and self.columns == other.columns
            and self._types == other._types
            and _alike(self.data, other.data)
        )

    def _refuse_incremental(self, method: str) -> None:
        if self.log_mode == "INCREMENTAL":
            message = (
                f"Operation '{method}' is not supported for tables with log_mode='INCREMENTAL'. "
                "Use a different log mode like 'MUTABLE' or 'IMMUTABLE'."
            )
            raise Error(message)

    def _check_key(self, name: Any, kind: Type, types: Mapping[Any, Type]) -> None:
        """Refuse a second key, a key that goes, and one that points to its own table."""
        before = types.get(name)
        if kind == PRIMARY_KEY:
            keys = [column for column, other in types.items() if other == PRIMARY_KEY and column != name]
            second = f"Cannot have multiple primary keys - {keys[:1]} is already set as the primary key."
            _demand(not keys, second)
        _demand(kind == PRIMARY_KEY or before != PRIMARY_KEY, f"Cannot unset primary key (column {name})")
        _demand(isinstance(kind, Foreign) or not isinstance(before, Foreign), f"Cannot unset foreign key ({name})")
        own = isinstance(kind, Foreign) and kind.table is self
        _demand(not own, "Cannot set a foreign table reference to same table.")

    def _linked(self, cell: Any, name: Any, kind: Type) -> Any:
        """Return a cell of a column of keys as a key that knows its table; any other as it is."""
        if kind == PRIMARY_KEY:
            key = TableKey(cell)
            key.table, key.column = self, name
            return key
        if not isinstance(kind, Foreign) or isinstance(cell, Linked):
            return cell
        if kind.column is None:
            return kind.table.index_ref(cell)
        key = TableKey(cell)
        key.table, key.column = kind.table, kind.column
        return key


def _demand(condition: bool, message: str = "") -> None:
    """Raise W&B's own error, AssertionError, unless something is so; also under ``python -O``."""
    if not condition:
        raise AssertionError(message)


def _per_column(value: Any, count: int) -> Sequence[Any]:
    """Return one value for each column; a list is taken as one for each already."""
    if not isinstance(value, list):
        return [value] * count
    return value


def _frame_rows(frame: Any) -> list[list[Any]]:
    """Return a data frame's rows; what pandas holds missing is None, but for NaN among numbers."""
    series = [frame.iloc[:, position] for position in range(frame.shape[1])]
    columns = [
        column.to_numpy() if is_instance(column.dtype, "numpy", "dtype") else column.to_numpy(dtype=object)
        for column in series
    ]
    kinds = [column.dtype.kind for column in columns]
    return [
        [None if kind in "OMm" and _is_missing(cell) else cell for kind, cell in zip(kinds, row, strict=True)]
        for row in zip(*columns, strict=True)
    ]


def _is_missing(cell: Any) -> bool:
    """Tell whether it is pandas' NA or NaT, numpy's NaT, or NaN, which stands for missing text."""
    if type(cell).__name__ in {"NAType", "NaTType"}:
        return True
    unordered = isinstance(cell, float) or is_instance(cell, "numpy", "datetime64")
    return unordered and bool(cell != cell)  # noqa: PLR0124 - NaN and NaT are not themselves


def _alike(one: Any, other: Any) -> bool:
    """Tell whether two cells are equal: arrays when all elements are, and NaN to itself."""
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(cell, other[key]) for key, cell in one.items())
    arrays = as_array(one), as_array(other)
    if arrays[0] is not None and arrays[1] is not None:
        return arrays[0].shape == arrays[1].shape and _alike(arrays[0].tolist(), arrays[1].tolist())
    return bool(one == other) or bool(one != one and other != other)  # noqa: PLR0124 - NaN is not itself


def _encoded_row(row: list[Any], columns: list[Any], sink: Sink) -> list[Any]:
    return [encode(cell, sink, f"column {name!r}") for name, cell in zip(columns, row, strict=True)]


def _save(table: Table, sink: Sink) -> str:
    """Store a table that keys point to, and return where."""
    data = json_text(table.to_json(sink)).encode()
    return str(store(sink, _FOLDER, data, "table.json")["path"])


def _load(path: str, reader: Reader) -> Table:
    """Return the table that keys point to."""
    return reader.once(path, lambda: Table.from_json(parsed(reader.read(path)), reader))
