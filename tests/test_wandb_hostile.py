"""Media that others wrote: whatever stands in them, reading them ends soon, with what they hold or one clear error."""

from __future__ import annotations

import io
import json
import sys
import tracemalloc
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import lineage
import lineage.wandb.data_types as ours
from lineage import wandb
from lineage.wandb.errors import Error, UnsupportedError
from lineage.wandb.sdk.data_types.files import digest_of
from lineage.wandb.sdk.data_types.imported import restore
from lineage.wandb.sdk.data_types.reader import reading
from lineage.wandb.sdk.data_types.table import Table

numpy = pytest.importorskip("numpy")
pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
pillow = pytest.importorskip("PIL.Image")

HEAD: dict[str, Any] = {"_type": "table", "columns": ["a"], "ncols": 1, "nrows": 1, "cells": 1}


@pytest.fixture
def run() -> Iterator[wandb.Run]:
    """Return a run of project p, active until the test ends."""
    yield wandb.init(project="p", entity="team")
    wandb.teardown()


def planted(run: wandb.Run, files: dict[str, Any]) -> wandb.Artifact:
    """Log an artifact of files as somebody else may have written them: bytes, text, or JSON."""
    artifact = wandb.Artifact("data", "dataset")
    for path, content in files.items():
        text = content if isinstance(content, str | bytes) else json.dumps(content)
        with artifact.new_file(path, "wb") as file:
            file.write(text.encode() if isinstance(text, str) else text)
    return run.log_artifact(artifact)


def table(*cells: Any, **more: Any) -> dict[str, Any]:
    """Return the JSON of a table of one column."""
    return {**HEAD, "nrows": len(cells), "data": [[cell] for cell in cells], **more}


def pointing(*targets: str) -> dict[str, Any]:
    """Return the JSON of a table without rows, whose columns point to tables."""
    kinds = {f"c{index}": {"wb_type": "foreignIndex", "params": {"table": path}} for index, path in enumerate(targets)}
    types = {"wb_type": "typedDict", "params": {"type_map": kinds}}
    return {**HEAD, "columns": list(kinds), "ncols": len(kinds), "nrows": 0, "data": [], "column_types": types}


def packed(columns: dict[str, Any], **options: Any) -> bytes:
    """Return a Parquet file."""
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), buffer, compression="zstd", **options)
    return buffer.getvalue()


def in_parquet(rows: int, columns: int = 1, **more: Any) -> dict[str, Any]:
    """Return the JSON of a table whose rows lie in ``rows.parquet``."""
    names = [f"c{number}" for number in range(columns)]
    said = {"columns": names, "ncols": columns, "nrows": rows, "rows": "rows.parquet", "encodings": {}}
    return {**HEAD, **said, **more}


def array(dtype: Any, value: Any, shape: Any = (1,)) -> dict[str, Any]:
    return {"_type": "lineage/ndarray", "dtype": dtype, "value": value, "shape": list(shape)}


DEEP = "[" * 200_000 + "]" * 200_000

BAD: dict[str, Any] = {
    "no JSON": "{",
    "no text": b"\xff\xfe\x00",
    "empty": "",
    "a list": [1],
    "a number": "1",
    "no type": {"columns": []},
    "a type that is none": {"_type": 5},
    "deep": DEEP,
    "deep inside": '{"_type": "table", "columns": ["a"], "data": ' + DEEP + "}",
    "no columns": {"_type": "table"},
    "columns that are none": table(columns="a"),
    "narrow rows": table(columns=["a", "b"]) | {"data": [[1]]},
    "wide rows": {**HEAD, "data": [[1, 2]]},
    "rows that are none": {**HEAD, "data": 5},
    "rows that are not there": in_parquet(1),
    "a log mode that is none": table(log_mode="x"),
    "types that are none": table(1, column_types=[1]),
    "a type without parts": table(1, column_types={"params": {"type_map": {"a": {"wb_type": "union"}}}}),
    "a mark that is none": table({"_type": "lineage/nothing"}),
    "a mark without a value": table({"_type": "lineage/decimal"}),
    "a moment that is none": table({"_type": "lineage/datetime", "value": "tomorrow"}),
    "an array that is none": table(array("<f8", "AAAA")),
    "an array of another shape": table(array("<f8", "AAAAAAAAAAA=", [7, 7])),
    "an array of objects out of bytes": table(array("|O", "AAAAAAAAAAA=")),
    "a dtype of fields": table(array([["a", "<f8"]], [1])),
    "a dtype of many": table(array("(1000000,1000000)f8", [1])),
    "a picture without a file": {"_type": "image-file"},
    "a picture that is not there": {"_type": "image-file", "path": "no.png"},
    "a path outside": {"_type": "html-file", "path": "../../x.html"},
    "a path that is none": {"_type": "html-file", "path": ["x"]},
    "a histogram": {"_type": "histogram", "values": [1], "bins": [1]},
    "a chart": {"_type": "custom-chart", "spec": {"x": 1}, "table": table()},
    "times of W&B's": {
        **table(1e300, column_types={"params": {"type_map": {"a": {"wb_type": "timestamp"}}}}),
        "cells": 0,
    },
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD.keys())
def test_bad_media_are_one_error(run: wandb.Run, content: Any) -> None:
    """What is wrong with a file is told as W&B's Error, with its name."""
    artifact = planted(run, {"bad.table.json": content})

    with pytest.raises(Error, match=r"bad\.table\.json"):
        artifact.get("bad")


def test_damaged_media_are_told_as_damage(run: wandb.Run) -> None:
    """Bytes that are not those that were logged are lineage's own error, and no fault of who wrote them."""
    artifact = planted(run, {"t.table.json": table(*["long enough to lie in a file of its own"] * 10_000)})
    (blob,) = (path for path in Path("p.blobs").rglob("*") if path.is_file() and path.stat().st_size > 100_000)
    blob.chmod(0o644)
    blob.write_bytes(b"x" * blob.stat().st_size)

    with pytest.raises(lineage.CorruptionError):
        artifact.get("t")


def test_media_of_an_unknown_type_are_none(run: wandb.Run) -> None:
    """A type that W&B may add is nothing that can be read, and no error."""
    assert planted(run, {"new.table.json": {"_type": "hologram"}}).get("new") is None


def test_media_that_are_not_kept_say_so() -> None:
    """What has no meaning here keeps its own error, which says what to use instead."""
    with pytest.raises(UnsupportedError, match=r"t\.json: .*use artifact\.add_file"), reading("t.json"):
        ours.Molecule.from_json({}, Files({}))


class Files:
    """Files of an artifact in memory, which counts how often each is read."""

    def __init__(self, files: dict[str, Any]) -> None:
        self.files = {path: one if isinstance(one, bytes) else json.dumps(one).encode() for path, one in files.items()}
        self.read_times: Counter[str] = Counter()

    def read(self, path: str) -> bytes:
        self.read_times[path] += 1
        return self.files[path]

    def fetch(self, path: str) -> Path:
        self.read_times[path] += 1
        target = Path(digest_of(path.encode())[:20] + Path(path).suffix)
        target.write_bytes(self.files[path])
        return target


def test_table_that_points_to_itself(run: wandb.Run) -> None:
    """A loop of keys is told as one."""
    artifact = planted(run, {"a.table.json": pointing("b.table.json"), "b.table.json": pointing("b.table.json")})

    with pytest.raises(Error, match=r"'b\.table\.json' points to itself"):
        artifact.get("a")


def test_tables_in_a_long_row_are_refused(run: wandb.Run) -> None:
    """Tables that point to tables come to an end before the stack does."""
    artifact = planted(run, {f"t{number}.table.json": pointing(f"t{number + 1}.table.json") for number in range(500)})

    with pytest.raises(Error, match="more than 32 deep"):
        artifact.get("t0")


def test_tables_are_read_once_each() -> None:
    """Seventeen tables with two keys each into the next are seventeen, and not two to the power of that."""
    files = Files(
        {f"t{number}": pointing(f"t{number + 1}", f"t{number + 1}") for number in range(17)} | {"t17": table()}
    )

    found = Table.from_json(pointing("t0", "t0"), files)

    assert max(files.read_times.values()) == 1
    assert found._types.keys["c0"].table is found._types.keys["c1"].table  # type: ignore[attr-defined]


def test_a_file_in_many_cells_is_fetched_once() -> None:
    """A table that shows one image in each row downloads it once."""
    files = Files({"x.html": b"<p>"})

    found = Table.from_json(table(*[{"_type": "html-file", "path": "x.html"}] * 50), files)

    assert (len(found.data), files.read_times["x.html"]) == (50, 1)


def test_columns_cost_the_same_each() -> None:
    """What a table of many columns takes grows with them, and not with their square."""
    counts = []
    for columns in (100, 200):
        names = [f"c{number}" for number in range(columns)]
        counts.append(steps(lambda names=names: Table.from_json({**HEAD, "columns": names, "data": []}, Files({}))))  # type: ignore[misc]

    assert counts[1] < counts[0] * 3


def steps(call: Callable[[], object]) -> int:
    """Return how many steps of Python's a call takes."""
    count = 0

    def watch(frame: Any, event: str, _: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return watch

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("said", [(3, 1), (2, 2), (10**9, 1)], ids=str)
def test_rows_are_as_many_as_they_say(run: wandb.Run, said: tuple[int, int]) -> None:
    """A Parquet file of other rows or columns than the table says is refused before it is read."""
    artifact = planted(run, {"t.table.json": in_parquet(*said), "rows.parquet": packed({"c0": [1, 2]})})

    with pytest.raises(Error, match="rows and columns, whose file has"):
        artifact.get("t")


@pytest.mark.parametrize(
    ("rows", "cell", "encodings"),
    [
        (50_000_000, None, {}),
        (3_000, "x" * 1_000_000, {}),
        (500, json.dumps([0] * 100_000), {"0": "json"}),
        (3_000, ["x" * 1_000_000], {}),
    ],
    ids=["cells", "text", "JSON", "text in lists"],
)
def test_rows_that_unfold_without_end_are_refused(run: wandb.Run, rows: int, cell: Any, encodings: Any) -> None:
    """A small file that would fill the memory is refused before it does."""
    data = _repeated(rows, cell)
    artifact = planted(run, {"t.table.json": in_parquet(rows, encodings=encodings), "rows.parquet": data})
    assert len(data) < 1_000_000

    tracemalloc.start()
    try:
        with pytest.raises(Error, match="unfold"):
            artifact.get("t")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 100_000_000


def _repeated(rows: int, cell: Any) -> bytes:
    """Return a Parquet file that has one cell in every row."""
    if cell is None:
        return packed({"c0": pyarrow.nulls(rows, pyarrow.int64())})
    text = cell[0] if isinstance(cell, list) else cell
    words = pyarrow.DictionaryArray.from_arrays(numpy.zeros(rows, "int32"), pyarrow.array([text]))
    if isinstance(cell, list):
        words = pyarrow.ListArray.from_arrays(numpy.arange(rows + 1, dtype="int32"), words)
    return packed({"c0": words}, store_schema=False, dictionary_pagesize_limit=10**7)


def test_text_that_stands_in_many_rows_comes_back() -> None:
    """What honest tables repeat is not taken for an attempt: long text in each row, and JSON."""
    long, nested = "x" * 10_000, {"k": list(range(500))}
    files = Files({})
    given = Table(["a", "b", "c"], [[long, nested, [long]]] * 1_000)
    document = given.to_json(Stored(files))

    assert Table.from_json(json.loads(json.dumps(document)), files).data == given.data


class Stored:
    """Puts files where they are read again."""

    def __init__(self, files: Files) -> None:
        self._files = files.files

    def write(self, path: str, data: bytes) -> str:
        self._files[path] = data
        return digest_of(data)

    def copy(self, path: str, local_path: str) -> str:
        return self.write(path, Path(local_path).read_bytes())


@pytest.mark.parametrize("cells", [1, 2_000])
def test_arrays_of_wide_text_are_refused(run: wandb.Run, cells: int) -> None:
    """A width of text that nobody wrote is refused before it is taken, in one cell or spread over many."""
    width = 2_000_000_000 // cells
    artifact = planted(run, {"t.table.json": table(*[array(f"|S{width}", ["x"])] * cells)})

    with pytest.raises(Error, match="unfold"):
        artifact.get("t")


@pytest.mark.parametrize(
    "given",
    [
        numpy.array(["ab", "c"]),
        numpy.array([b"ab", b"c"]),
        numpy.array([1.5, "x", None], dtype=object),
        numpy.array(["2026-01-01", "NaT"], dtype="M8[D]"),
        numpy.array([1, 2], dtype="m8[25s]"),
        numpy.array([1, 2], dtype=">i2"),
        numpy.array([True, False]),
        numpy.array([1j], dtype="complex128"),
        numpy.array([1], dtype="longdouble"),
        numpy.array([b"ab"], dtype="V8"),
        numpy.zeros((0, 3), dtype="float16"),
    ],
    ids=lambda one: one.dtype.str,
)
def test_arrays_of_each_honest_dtype_come_back(given: Any) -> None:
    """The dtypes that are let in are all those that tables write."""
    files = Files({})
    document = Table(["a"], [[given]]).to_json(Stored(files))

    (found,) = Table.from_json(json.loads(json.dumps(document)), files).data[0]
    assert (found.dtype.str, found.shape, found.tolist()) == (given.dtype.str, given.shape, given.tolist())


def test_arrays_of_a_table_of_wandb_are_counted() -> None:
    """A packed array that would fill the memory is refused before it is unpacked."""
    buffer = io.BytesIO()
    numpy.savez_compressed(buffer, a=numpy.zeros(1))
    data = buffer.getvalue()
    size = (numpy.zeros(1).nbytes + 128).to_bytes(4, "little")
    claimed = data.replace(size, (2_000_000_000).to_bytes(4, "little"))
    kind = {"wb_type": "ndarray", "params": {"shape": [1], "serialization_path": {"path": "x.npz", "key": "a"}}}
    said = table(None, column_types={"params": {"type_map": {"a": kind}}}) | {"cells": 0}

    with pytest.raises(Error, match="unfold"):
        Table.from_json(said, Files({"x.npz": claimed}))


def test_times_of_a_table_of_wandb_are_read_once_each() -> None:
    """A type that names times over and over does not go through the rows as often."""
    counts = []
    for members in (1, 100):
        kinds = {"wb_type": "union", "params": {"allowed_types": [{"wb_type": "timestamp"}] * members}}
        rows = [[number] for number in range(500)]
        counts.append(steps(lambda rows=rows, kinds=kinds: restore(rows, [kinds], Files({}))))  # type: ignore[misc]

    assert counts[1] < counts[0] * 2


def bomb(folder: Path) -> Path:
    """Write the PNG file of a picture of 40,000 x 40,000 pixels, of which nothing but the head is there."""
    head = b"IHDR" + (40_000).to_bytes(4, "big") * 2 + b"\x01\x00\x00\x00\x00"
    path = folder / "bomb.png"
    end = b"\x00\x00\x00\x00IEND" + zlib.crc32(b"IEND").to_bytes(4, "big")
    data = b"\x00\x00\x00\x00IDAT" + zlib.crc32(b"IDAT").to_bytes(4, "big")
    path.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0d" + head + zlib.crc32(head).to_bytes(4, "big") + data + end)
    return path


def test_an_image_of_too_many_pixels_is_kept_as_it_is(run: wandb.Run, tmp_path: Path) -> None:
    """A file that Pillow would not open is logged all the same; its size is not known."""
    image = ours.Image(str(bomb(tmp_path)))
    run.log({"img": image})

    assert (image.width, image.height, image.read()) == (None, None, bomb(tmp_path).read_bytes())


def test_pixels_of_an_image_of_too_many_are_refused(tmp_path: Path) -> None:
    """Asked for them, what Pillow says comes as W&B's Error."""
    with pytest.raises(Error, match="exceeds limit"):
        _ = ours.Image(str(bomb(tmp_path))).image
