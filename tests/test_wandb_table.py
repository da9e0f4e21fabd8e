"""Tables of the W&B face: typed columns as W&B has them, and rows that come back exactly.

`CASES` are questions that real wandb answers offline as well; each was asked of wandb 0.31.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wandb_drawer import Drawer

import lineage.wandb.data_types as ours
from lineage.errors import InvalidInputError
from lineage.jsondata import json_text
from lineage.wandb.errors import Error
from lineage.wandb.sdk.data_types import column_types
from lineage.wandb.sdk.data_types.column_types import from_json, to_json, type_of
from lineage.wandb.sdk.data_types.files import digest_of
from lineage.wandb.sdk.data_types.table import Table


def there_and_back(table: Table, drawer: Drawer | None = None) -> Table:
    """Store a table as strict JSON and files, and read it again."""
    drawer = drawer or Drawer()
    return Table.from_json(json.loads(json_text(table.to_json(drawer))), drawer)


def outcome(question: Callable[[Any], object], wandb: object) -> object:
    """Return the answer, or the class and the first line of the error."""
    try:
        return question(wandb)
    except Exception as error:  # noqa: BLE001 - which one is the answer
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"


def rows(*given: list[Any], columns: list[Any] | None = None, **words: Any) -> Callable[[Any], object]:
    """Ask for the data of a table of such rows."""
    names = columns or ["a", "b", "c"][: len(given[0])]
    return lambda wandb: wandb.Table(columns=list(names), data=[list(row) for row in given], **words).data


def kinds(*given: list[Any], **words: Any) -> Callable[[Any], object]:
    """Ask for the stored JSON of the columns' types."""
    return lambda wandb: _types(wandb.Table(columns=["a", "b", "c"][: len(given[0])], data=list(given), **words))


def _types(table: Any) -> object:
    mine = hasattr(table, "_types")
    data: Any = to_json(table._types, str) if mine else table._column_types.to_json()
    return data["params"]["type_map"] if "type_map" in data.get("params", {}) else data


def changed(change: Callable[[Any], object], *given: list[Any]) -> Callable[[Any], object]:
    """Ask what a table of one column is after a change."""

    def question(wandb: Any) -> object:
        table = wandb.Table(columns=["a"], data=[list(row) for row in given or ([1], [2])])
        answer = change(table)
        return table.data if answer is None else answer

    return question


def optional(kind: dict[str, Any]) -> dict[str, Any]:
    none = {"wb_type": "none"}
    members = [kind, none] if kind["wb_type"] == "boolean" else [none, kind]  # in the order of what they are called
    return {"wb_type": "union", "params": {"allowed_types": members}}


NUMBER = {"wb_type": "number"}
STRING = {"wb_type": "string"}
REFUSED = "TypeError: Data row contained incompatible types:"
DAY = dt.date(2024, 2, 29)
NOON = dt.datetime(2024, 2, 29, 12)

CASES: list[tuple[str, Callable[[Any], object], object]] = [
    ("default columns", lambda wandb: wandb.Table().columns, ["Input", "Output", "Expected"]),
    ("limits", lambda wandb: (wandb.Table.MAX_ROWS, wandb.Table.MAX_ARTIFACT_ROWS), (10_000, 200_000)),
    ("rows", lambda wandb: wandb.Table(columns=["a"], rows=[["x"]]).data, [["x"]]),
    ("tuples as rows", lambda wandb: wandb.Table(columns=["a"], data=[("x",)]).data, [["x"]]),
    ("numbers as columns", rows([1, 2], columns=[0, 1]), [[1, 2]]),
    ("text in number", rows([1], ["x"]), REFUSED),
    ("bool in number", rows([1], [True]), REFUSED),
    ("number in bool", rows([True], [1]), REFUSED),
    ("float in int", rows([1], [1.5]), [[1], [1.5]]),
    ("None first", rows([None], [1], [None]), [[None], [1], [None]]),
    ("None where none may be", rows([None], optional=False), REFUSED),
    ("None in the other column", rows([1, None], optional=[False, True]), [[1, None]]),
    ("optional for fewer columns", rows([1, None], optional=[False]), REFUSED),
    ("None later where none may be", rows([1], [None], optional=False), REFUSED),
    ("anything", rows([1], ["x"], [None], allow_mixed_types=True), [[1], ["x"], [None]]),
    ("anything but None", rows([1], [None], allow_mixed_types=True, optional=False), REFUSED),
    ("lists of any length", rows([[1, 2]], [[3]], [[]]), [[[1, 2]], [[3]], [[]]]),
    ("lists of other elements", rows([[1]], [["x"]]), REFUSED),
    ("mixed list", rows([[1, "x"]]), [[[1, "x"]]]),
    ("mixed list twice", rows([[1, "x"]], [[1, "x"]]), REFUSED),
    ("list with None", rows([[1, None]], [[None]], [[2]]), [[[1, None]], [[None]], [[2]]]),
    ("None in list late", rows([[1]], [[None]]), REFUSED),
    ("dicts", rows([{"x": 1}], [{"x": 2}]), [[{"x": 1}], [{"x": 2}]]),
    ("dict with another key", rows([{"x": 1}], [{"y": 2}]), REFUSED),
    ("dict without a key", rows([{"x": 1, "y": 1}], [{"x": 2}]), REFUSED),
    ("days and times", rows([NOON], [DAY]), [[NOON], [DAY]]),
    ("time in number", rows([1], [NOON]), REFUSED),
    ("bytes in text", rows(["x"], [b"x"]), REFUSED),
    ("dtype", rows([1, "x"], dtype=[int, str]), [[1, "x"]]),
    ("dtype refuses", rows(["x"], dtype=int), REFUSED),
    ("dtype of either", rows([1], ["x"], dtype=[[int, str]]), [[1], ["x"]]),
    ("dtype of lists", rows([[1.5]], dtype=[[float]]), [[[1.5]]]),
    ("dtype of lists refuses", rows([["x"]], dtype=[[float]]), REFUSED),
    ("dtype of a dict", rows([{"x": 1}], dtype={"x": int}), [[{"x": 1}]]),
    ("constant", rows([5], [5], dtype=5), [[5], [5]]),
    ("not the constant", rows([6], dtype=5), REFUSED),
    ("fewer dtypes", rows([1, 2], dtype=[int]), REFUSED),
    ("too many cells", rows([1, 2], columns=["a"]), "ValueError: This table expects 1 columns: ['a'], found 2"),
    ("tuple of columns", lambda wandb: wandb.Table(columns=("a",)).columns,
     "AssertionError: columns argument expects a `list` object"),
    ("float as column", lambda wandb: wandb.Table(columns=[1.5]).columns,
     "AssertionError: columns argument expects list of strings or ints"),
    ("tuple of data", lambda wandb: wandb.Table(columns=["a"], data=((1,),)).data,
     "AssertionError: data argument expects a `list` object"),
    ("log mode", lambda wandb: wandb.Table(log_mode="OFTEN").data,
     "AssertionError: Invalid log_mode: OFTEN. Must be one of ['IMMUTABLE', 'MUTABLE', 'INCREMENTAL']"),
    ("incremental has no new columns", lambda wandb: wandb.Table(log_mode="INCREMENTAL").add_column("b", []),
     ("Error: Operation 'add_column' is not supported for tables with log_mode='INCREMENTAL'. "
     "Use a different log mode like 'MUTABLE' or 'IMMUTABLE'.")),
    ("add_data", changed(lambda table: table.add_data(3)), [[1], [2], [3]]),
    ("add_data refuses", changed(lambda table: table.add_data("x")), REFUSED),
    ("add_column", changed(lambda table: table.add_column("b", [3, 4])), [[1, 3], [2, 4]]),
    ("add_column short", changed(lambda table: table.add_column("b", [3])),
     "AssertionError: Expected length 2, found 1"),
    ("add_column again", changed(lambda table: table.add_column("a", [3, 4])), "AssertionError: "),
    ("add_column mixed", changed(lambda table: table.add_column("b", [3, "x"])),
     "TypeError: Existing data x, of type String cannot be cast to Number"),
    ("add_column with None", changed(lambda table: table.add_column("b", [3, None])),
     "TypeError: Existing data None, of type None cannot be cast to Number"),
    ("add_column optional", changed(lambda table: table.add_column("b", [3, None], optional=True)),
     [[1, 3], [2, None]]),
    ("add_computed_columns",
     changed(lambda table: table.add_computed_columns(lambda number, row: {"sum": row["a"] + number})),
     [[1, 1], [2, 3]]),
    ("get_column", changed(lambda table: table.get_column("a")), [1, 2]),
    ("get_column of none", changed(lambda table: table.get_column("z")), "AssertionError: "),
    ("get_column as torch", changed(lambda table: table.get_column("a", convert_to="torch")), "AssertionError: "),
    ("get_column as numpy", changed(lambda table: table.get_column("a", convert_to="numpy").tolist()), [1, 2]),
    ("cast", changed(lambda table: str(table.cast("a", int))), "Number"),
    ("cast refuses", changed(lambda table: table.cast("a", str)),
     "TypeError: Existing data 1, of type Number cannot be cast to String"),
    ("cast of none", changed(lambda table: table.cast("z", str)), "AssertionError: "),
    ("cast to optional", changed(lambda table: str(table.cast("a", int, optional=True))), "None or Number"),
    ("equal", changed(lambda table: table == type(table)(columns=["a"], data=[[1], [2.0]])), True),
    ("unequal data", changed(lambda table: table == type(table)(columns=["a"], data=[[1], [3]])), False),
    ("unequal columns", changed(lambda table: table == type(table)(columns=["b"], data=[[1], [2]])), False),
    ("unequal types", changed(lambda table: table == type(table)(columns=["a"], data=[[1], [2]], optional=False)),
     False),
    ("no length", changed(lambda table: hasattr(table, "__len__")), False),
    ("get_index", changed(lambda table: [int(number) for number in table.get_index()]), [0, 1]),
    ("get_row", changed(lambda table: table.index_ref(1).get_row()), {"a": 2}),
    ("iterrows", changed(lambda table: [(int(number), row) for number, row in table.iterrows()]), [(0, [1]), (1, [2])]),
    ("primary key", changed(lambda table: table.set_pk("a"), ["k"]), [["k"]]),
    ("primary key of numbers", changed(lambda table: table.set_pk("a")),
     "TypeError: Existing data 1, of type Number cannot be cast to Primarykey"),
    ("types of plain values", kinds([1, "x", True]),
     {"a": optional(NUMBER), "b": optional(STRING), "c": optional({"wb_type": "boolean"})}),
    ("types of a list, a time, nothing", kinds([[1], NOON, None]),
     {"a": optional({"wb_type": "list", "params": {"element_type": NUMBER, "length": 1}}),
      "b": optional({"wb_type": "timestamp"}), "c": optional({"wb_type": "unknown"})}),
    ("types of lists of many lengths", kinds([[1]], [[1, 2]], optional=False),
     {"a": {"wb_type": "list", "params": {"element_type": NUMBER, "length": 2}}}),
    ("type of a dict", kinds([{"x": 1}], optional=False),
     {"a": {"wb_type": "typedDict", "params": {"type_map": {"x": NUMBER}}}}),
    ("type of an object", kinds([1j], optional=False),
     {"a": {"wb_type": "pythonObject", "params": {"class_name": "complex"}}}),
    ("type of NaN", kinds([math.nan], ["x"]), {"a": optional(STRING)}),
    ("type of dtypes", kinds([1, 5], dtype=[int, 5], optional=False),
     {"a": NUMBER, "b": {"wb_type": "const", "params": {"val": 5, "is_set": False}}}),
    ("type of anything", kinds([1], allow_mixed_types=True), {"a": {"wb_type": "union", "params": {
        "allowed_types": [{"wb_type": "any"}, {"wb_type": "none"}]}}}),
    ("why a row does not fit",
     lambda wandb: _sentence(lambda: wandb.Table(columns=["a"], data=[[[1]], [["x"]]])),
     ("Data row contained incompatible types:\n{'a': ['x']} of type {'a': String[]} is not assignable to "
     "{'a': None or Number[]}\nKey 'a':\n\tString[] not assignable to None or Number[]\n\t\tString[] not assignable "
     "to None\n\tand\n\t\tString[] not assignable to Number[]\n\t\tIndex 0:\n\t\t\tString not assignable to Number")),
    ("why a dict does not fit",
     lambda wandb: _sentence(lambda: wandb.Table(columns=["a"], data=[[{"x": 1}], [{"y": 2}]])),
     ("Data row contained incompatible types:\n{'a': {'y': 2}} of type {'a': {'y': Number}} is not assignable to "
     "{'a': None or {'x': Number}}\nKey 'a':\n\t{'y': Number} not assignable to None or {'x': Number}\n\t\t{'y': "
     "Number} not assignable to None\n\tand\n\t\t{'y': Number} not assignable to {'x': Number}\n\t\tFound extra keys: "
     "y\n\t\tKey 'x':\n\t\t\tNone not assignable to Number")),
]  # fmt: skip
"""Name, question to a module with ``Table`` in it, answer: W&B's, and ours."""


def _sentence(call: Callable[[], object]) -> str:
    try:
        call()
    except TypeError as error:
        return str(error)
    return "no error"


@pytest.mark.parametrize(("question", "answer"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_table_answers_as_wandb(question: Callable[[Any], object], answer: object) -> None:
    """A question that wandb 0.31 was asked as well has its answer."""
    assert outcome(question, ours) == answer


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**80), 2**80),
    st.floats(),
    st.text(),
    st.text(st.characters(categories=["Cs", "Ll"])),
    st.binary(),
    st.datetimes(),
    st.datetimes(timezones=st.just(dt.UTC)),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.decimals(allow_nan=False),
)
CELLS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.text(max_size=3), st.sampled_from(["_type", 1, None, DAY])), inner, max_size=3),
    ),
    max_leaves=6,
)
COLUMNS = st.one_of(
    st.just(CELLS),
    st.sampled_from(
        [
            st.booleans(),
            st.integers(-(2**63), 2**63 - 1),
            st.integers(2**62, 2**64),
            st.floats(),
            st.text(),
            st.dates(),
            st.datetimes(),
            st.lists(st.floats(width=32), max_size=4),
            st.lists(st.lists(st.integers(0, 9), max_size=2), max_size=2),
        ]
    ).map(lambda cells: st.one_of(st.none(), cells)),
)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Return a table of columns of one kind each, or of anything."""
    columns = draw(st.lists(COLUMNS, min_size=1, max_size=4))
    names = draw(st.lists(st.one_of(st.text(), st.integers()), min_size=len(columns), max_size=len(columns)))
    data = draw(st.lists(st.tuples(*columns).map(list), max_size=5))
    return Table(columns=names, data=data, allow_mixed_types=True)


def exact(cell: object) -> object:
    """Return a cell so that only the same one is equal: its class too, and NaN to itself."""
    if isinstance(cell, list):
        return [exact(item) for item in cell]
    if isinstance(cell, dict):
        return {key: exact(item) for key, item in cell.items()}
    return type(cell), repr(cell) if isinstance(cell, float) else cell


@pytest.fixture(params=["parquet", "json"])
def storage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to keep rows: with pyarrow, and as if it were not installed."""
    if request.param == "json":
        monkeypatch.setitem(sys.modules, "pyarrow", None)
    return str(request.param)


@given(table=tables())
def test_rows_come_back_exactly(storage: str, table: Table) -> None:
    """Whatever plain data stands in the cells, the same data of the same classes comes back, with either storage."""
    again = there_and_back(table)

    assert exact(again.data) == exact(table.data)
    assert again.columns == table.columns
    assert again == table


def test_rows_lie_in_parquet_beside_the_json() -> None:
    """With pyarrow the JSON names a Parquet file under the digest of its bytes, and holds no rows."""
    drawer = Drawer()
    table = Table(columns=["text", "mixed"], data=[["a", {"x": 1}], ["b", {"x": 2}]])

    data = table.to_json(drawer)

    (path,) = drawer.files
    assert path == f"media/tables/{digest_of(drawer.files[path])[:20]}.parquet"
    assert {key: value for key, value in data.items() if key != "column_types"} == {
        "_type": "table",
        "columns": ["text", "mixed"],
        "ncols": 2,
        "nrows": 2,
        "log_mode": "IMMUTABLE",
        "cells": 1,
        "rows": path,
        "encodings": {"1": "json"},
    }


def test_rows_are_in_the_json_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pyarrow the rows stand in the JSON, as W&B writes them, and there is no other file."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    drawer = Drawer()

    data = Table(columns=["a", "b"], data=[[1, "x"], [2.5, None]]).to_json(drawer)

    assert data["data"] == [[1, "x"], [2.5, None]]
    assert drawer.files == {}


def test_parquet_is_read_by_others_under_its_own_types() -> None:
    """Plain columns are Arrow's, so that a query engine sees numbers, text, times and lists."""
    parquet = pytest.importorskip("pyarrow.parquet")
    drawer = Drawer()
    table = Table(columns=["n", "x", "t", "when", "day", "vector"])
    table.add_data(1, 0.5, "a", NOON, DAY, [0.5, 1.5])
    table.add_data(None, math.nan, None, None, None, None)

    table.to_json(drawer)

    (data,) = drawer.files.values()
    import io

    schema = parquet.ParquetFile(io.BytesIO(data)).schema_arrow
    assert [str(field.type) for field in schema] == [
        "int64", "double", "string", "timestamp[us]", "date32[day]", "list<element: double>",
    ]  # fmt: skip


def test_parquet_is_the_same_bytes_each_time() -> None:
    """The same rows give the same file, so that a table logged again is no new version."""
    first, second = Drawer(), Drawer()
    table = Table(columns=["a", "b"], data=[[number, [str(number)]] for number in range(1_000)])

    assert table.to_json(first) == table.to_json(second)
    assert first.files == second.files


def test_parquet_without_pyarrow_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table whose rows are Parquet cannot be read without pyarrow; the error names the extra."""
    drawer = Drawer()
    data = Table(columns=["a"], data=[[1]]).to_json(drawer)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)

    with pytest.raises(Error, match=r"pip install '\.\[tables\]'"):
        Table.from_json(data, drawer)


def test_columns_of_one_name_are_kept(storage: str) -> None:
    """Two columns of one name, which Parquet cannot have, go into the JSON."""
    table = Table(columns=["a", "a"], data=[[1, "x"]], allow_mixed_types=True)

    assert there_and_back(table).data == [[1, "x"]]


def test_typed_table_goes_on_after_reading(storage: str) -> None:
    """A table that was read refuses what the one that was stored would have refused."""
    table = there_and_back(Table(columns=["a", 2], data=[[1, {5: "x"}]]))

    table.add_data(2, {5: "y"})
    with pytest.raises(TypeError):
        table.add_data("x", None)


def test_cell_that_cannot_be_kept_names_its_column(storage: str) -> None:
    """An object of no known kind is refused when the table is stored; the message says where it stands."""
    table = Table(columns=["what"], data=[[object()]])

    with pytest.raises(InvalidInputError, match="column 'what'"):
        table.to_json(Drawer())


def test_arrays_come_back_as_arrays(storage: str) -> None:
    """Arrays in cells keep dtype and shape; numpy's scalars are Python's."""
    numpy = pytest.importorskip("numpy")
    grid = numpy.arange(6, dtype="float32").reshape(2, 3)
    words = numpy.array([["a", None], [1, [2]]], dtype=object)
    table = Table(columns=["grid", "n", "words"], data=[[grid, numpy.float32(0.5), words]])

    (row,) = there_and_back(table).data

    assert row[0].dtype == numpy.float32
    assert row[0].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert row[2].tolist() == [["a", None], [1, [2]]]
    assert (row[1], type(row[1])) == (0.5, float)


def test_array_of_another_shape_is_refused() -> None:
    """A column of arrays holds one shape."""
    numpy = pytest.importorskip("numpy")
    table = Table(columns=["a"], data=[[numpy.zeros((2, 3))]])

    with pytest.raises(TypeError, match="incompatible types"):
        table.add_data(numpy.zeros((3, 3)))


def test_table_of_an_array() -> None:
    """A numpy array of two dimensions is rows, and a column comes out as one."""
    numpy = pytest.importorskip("numpy")
    table = Table(columns=["a", "b"], data=numpy.arange(4).reshape(2, 2))

    table.add_column("c", numpy.array([True, False]))

    assert there_and_back(table).data == [[0, 1, True], [2, 3, False]]
    assert table.get_column("b", convert_to="numpy").tolist() == [1, 3]


def test_frame_comes_back_as_it_was(storage: str) -> None:
    """A pandas frame goes in without its index and comes out with the same columns, dtypes and values."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "n": [1, 2],
            "x": [0.5, math.nan],
            "t": ["a", None],
            "when": pandas.to_datetime(["2024-02-29 12:00:00.123456789", None]),
            "zoned": pandas.to_datetime(["2024-02-29", "2024-03-01"]).tz_localize("UTC"),
            "flag": [True, False],
            "maybe": pandas.array([3, None], dtype="Int64"),
        },
        index=[7, 8],
    )

    table = there_and_back(Table(dataframe=frame))

    again = table.get_dataframe()
    assert table.columns == ["n", "x", "t", "when", "zoned", "flag", "maybe"]
    assert table.get_column("maybe") == [3, None]
    for column in ["n", "x", "t", "when", "zoned", "flag"]:
        assert again[column].isna().tolist() == frame[column].isna().tolist()
        assert again[column].dropna().tolist() == frame[column].dropna().tolist()
    assert Table(data=frame).columns == table.columns


def test_frame_with_times_keeps_them_as_times() -> None:
    """Arrow keeps the times of a frame in their own unit."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"when": pandas.to_datetime(["2024-02-29", None])})

    data = Table(dataframe=frame).to_json(Drawer())

    assert data["encodings"] == {"0": "datetime64"}


def test_keys_point_to_the_other_table(storage: str) -> None:
    """Foreign keys and row numbers bring the table they point to along."""
    people = Table(columns=["name", "age"], data=[["a", 1], ["b", 2]])
    people.set_pk("name")
    visits = Table(columns=["who", "row"], data=[["b", people.index_ref(0)]])
    visits.set_fk("who", people, "name")

    (key, number) = there_and_back(visits).data[0]

    assert (key, key.column, key.table) == ("b", "name", people)
    assert number.get_row() == {"name": "a", "age": 1}


def test_keys_stay_keys() -> None:
    """A key cannot be unset, set twice, or point to its own table."""
    table = Table(columns=["a", "b"], data=[["x", "y"]])
    table.set_pk("a")

    for wrong in (
        lambda: table.cast("a", str),
        lambda: table.set_pk("b"),
        lambda: table.set_fk("b", table, "a"),
    ):
        with pytest.raises((AssertionError, TypeError)):
            wrong()


def test_media_in_cells_bring_their_files(tmp_path: Path, storage: str) -> None:
    """Media stand in cells, also inside lists and tables, and come back with their files."""
    from lineage.wandb.data_types import Histogram, Html

    drawer = Drawer(tmp_path)
    inner = Table(columns=["page"], data=[[Html("<p>inner")]])
    histogram = Histogram(np_histogram=([1, 2], [0.0, 0.5, 1.0]))
    table = Table(columns=["page", "pages", "table", "h"], data=[[Html("<p>a"), [Html("<p>b")], inner, histogram]])

    (row,) = there_and_back(table, drawer).data

    assert row == [Html("<p>a"), [Html("<p>b")], inner, histogram]
    assert str(type_of(row[0])) == "Html-file"


def test_table_of_wandb_is_read() -> None:
    """A table that W&B wrote has times in milliseconds and its arrays in a file of numpy's."""
    numpy = pytest.importorskip("numpy")
    import io

    buffer = io.BytesIO()
    numpy.savez_compressed(buffer, grid=numpy.zeros((2, 2, 2)))
    drawer = Drawer()
    drawer.files["media/serialized_data/grid_1.npz"] = buffer.getvalue()
    array = {"shape": [2, 2], "serialization_path": {"path": "media/serialized_data/grid_1.npz", "key": "grid"}}
    types = {
        "when": optional({"wb_type": "timestamp"}),
        "grid": optional({"wb_type": "ndarray", "params": array}),
        "old": {"wb_type": "object", "params": {"class_name": "Thing"}},
    }
    data = {
        "_type": "table",
        "columns": ["when", "grid", "old"],
        "data": [[1709208000000, None, "x"], [None, None, "y"]],
        "column_types": {"wb_type": "dictionary", "params": {"type_map": types}},
    }

    table = Table.from_json(data, drawer)

    assert table.get_column("when") == [dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC), None]
    assert table.data[1][1].tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    "dtype",
    [int, Any, [str], {"x": [float, None]}, {1: int, DAY.year: str}, 5, {5, 6}, object, bytes, dt.date, ours.Image, []],
    ids=repr,
)
def test_types_come_back(dtype: object) -> None:
    """A type is equal to what its JSON says."""
    kind = column_types.as_type(dtype)

    data = json.loads(json_text(to_json(kind, str)))

    assert from_json(data, str) == kind


def test_dtypes_of_classes() -> None:
    """Classes of lists, dicts and numpy's scalars, and examples of media, are dtypes; an array's class is not."""
    numpy = pytest.importorskip("numpy")
    given: list[object] = [list, dict, numpy.float32, numpy.datetime64, ours.Html("<p>"), numpy.str_, Decimal]

    kinds = [str(column_types.as_type(dtype)) for dtype in given]

    assert kinds == [
        "Unknown[]", "{}", "Number", "Timestamp", "Html-file", "String", "Pythonobject(class_name:Decimal)",
    ]  # fmt: skip
    with pytest.raises(TypeError, match="says no shape"):
        column_types.as_type(numpy.ndarray)


def test_classes_below_the_known_ones_count_as_they_do() -> None:
    """Numbers, text and times of classes of their own fit where the plain ones do."""
    table = Table(columns=["n", "t"], data=[[1, "x"]])

    table.add_data(type("Count", (int,), {})(2), type("Name", (str,), {})("y"))

    with pytest.raises(TypeError):
        table.add_data("z", "z")


def test_array_column_takes_lists_of_its_shape() -> None:
    """Nested lists fit a column of arrays if they have the shape; the reason for others names both shapes."""
    numpy = pytest.importorskip("numpy")
    table = Table(columns=["a"], data=[[numpy.zeros((1, 2))]], optional=False)

    table.add_data([[1, 2]])
    assert Table(columns=["a"], data=[[[1.5]], [numpy.zeros(2)]]).get_column("a")[0] == [1.5]

    with pytest.raises(TypeError, match=r"not assignable to Ndarray\(shape:\[1, 2\]\)"):
        table.add_data([1, 2])
    with pytest.raises(TypeError):
        table.add_data("xy")


def test_list_column_refuses_text() -> None:
    """Text is no list of characters, where W&B takes it for one."""
    with pytest.raises(TypeError):
        Table(columns=["a"], data=[[["a"]], ["abc"]])


def test_keys_of_other_tables_set_the_type() -> None:
    """A key of another table makes its column one of foreign keys; keys of a third table do not fit."""
    first, second = (Table(columns=["name"], data=[["a"]]) for _ in range(2))
    first.set_pk("name")
    second.set_pk("name")
    visits = Table(columns=["who"], data=[[first.data[0][0]]])

    visits.add_data("a")

    assert visits.data[1][0].table is first
    assert "Foreignkey" in str(type_of(first.data[0][0]))
    with pytest.raises(TypeError, match="Foreignkey"):
        visits.add_data(second.data[0][0])


def test_add_row_is_add_data(caplog: pytest.LogCaptureFixture) -> None:
    """The older word works, and says so."""
    table = Table(columns=["a"])

    table.add_row(1)

    assert table.data == [[1]]
    assert "deprecated" in caplog.text


def test_unlike_tables_are_not_equal() -> None:
    """Tables differ by cells deep inside, and are no other thing; NaN is itself."""
    numpy = pytest.importorskip("numpy")
    table = Table(columns=["a", "b"], data=[[[math.nan], numpy.zeros(2)]], allow_mixed_types=True)

    assert table == Table(columns=["a", "b"], data=[[[math.nan], numpy.zeros(2)]], allow_mixed_types=True)
    assert table != Table(columns=["a", "b"], data=[[[1.0], numpy.zeros(2)]], allow_mixed_types=True)
    assert table != Table(columns=["a", "b"], data=[[[math.nan], numpy.ones(2)]], allow_mixed_types=True)
    assert table != "table"


def test_decimals_and_sets_are_kept_as_described() -> None:
    """A Decimal is itself, a set a sorted list, a tuple a list, half a character itself."""
    table = Table(columns=["a"], data=[[Decimal("1.10")], [{2, 1}], [(1, 2)], ["\ud800"]], allow_mixed_types=True)

    assert there_and_back(table).get_column("a") == [Decimal("1.10"), [1, 2], [1, 2], "\ud800"]


def test_import_loads_no_heavy_package() -> None:
    """The media classes leave numpy, pandas, Pillow, pyarrow and matplotlib to the values that need them."""
    program = (
        "import sys, lineage.wandb.plot, lineage.wandb.data_types, lineage.wandb.sdk.data_types.values;"
        "sys.exit(str(sys.modules.keys() & {'numpy', 'pandas', 'PIL', 'pyarrow', 'matplotlib', 'torch'} or ''))"
    )

    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stderr.strip() == ""
