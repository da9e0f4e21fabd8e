"""What people hand over becomes plain JSON data, exactly, or an error that names the key."""

from __future__ import annotations

import argparse
import array
import collections
import enum
import json
import math
import os
import sqlite3
import subprocess
import sys
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.errors import CorruptionError, ErrorKind, InvalidInputError
from lineage.jsondata import (
    JsonObject,
    JsonValue,
    flatten_metrics,
    json_text,
    parse_object,
    plain_object,
    plain_value,
)

INFINITY = float("inf")
NAN = float("nan")


class Colour(enum.Enum):
    """An Enum of text."""

    RED = "#f00"


class Level(enum.IntEnum):
    """An Enum whose members are integers."""

    HIGH = 3


class Mode(enum.StrEnum):
    """An Enum whose members are text."""

    FAST = "fast-mode"


class Right(enum.Flag):
    """An Enum that has members without a name."""

    READ = enum.auto()


class Loud(str):
    """Text that shows itself as other text."""

    __slots__ = ()

    def __str__(self) -> str:
        return "LOUD"


class Odd(int):
    """An integer that shows itself as no number."""

    def __repr__(self) -> str:
        return "odd"


class Half(float):
    """A float that shows itself as no number."""

    def __repr__(self) -> str:
        return "half"


@dataclass
class Optimizer:
    """A dataclass."""

    name: str
    inner: object = None


class Model(pydantic.BaseModel):
    """A pydantic model."""

    depth: int
    when: date


class Endless(Sequence[str]):
    """A sequence without an end."""

    def __len__(self) -> int:
        return 2**62

    def __getitem__(self, _: Any) -> Any:
        return "x" * 10_000


class TensorflowLike:
    """A tensor that knows numpy() and no tolist()."""

    def __init__(self, values: list[float]) -> None:
        self._values = values

    @property
    def shape(self) -> tuple[int, ...]:
        """Return its dimensions."""
        return (len(self._values),)

    def numpy(self) -> Any:
        """Return its values."""
        return np.array(self._values)


class Sparse:
    """A tensor that cannot be read."""

    shape = (2, 2)

    def tolist(self) -> list[object]:
        """Fail as torch does."""
        raise NotImplementedError("a sparse tensor has no list")


class Chameleon:
    """A model that turns into another model, for ever."""

    def model_dump(self) -> Chameleon:
        """Return another one."""
        return Chameleon()


def nested(depth: int, wrap: Callable[[Any], Any], leaf: object = 1) -> Any:
    """Return `leaf` wrapped `depth` times."""
    value: Any = leaf
    for _ in range(depth):
        value = wrap(value)
    return value


def label(value: object) -> str:
    """Return a short name for the case of a test."""
    return ascii(value)[:40] if isinstance(value, str) else type(value).__name__


def error_of(call: Callable[..., object], *arguments: object) -> str:
    """Return the message with which the call is refused."""
    with pytest.raises(InvalidInputError) as caught:
        call(*arguments)
    assert caught.value.kind == ErrorKind.JSON_INVALID
    return str(caught.value)


plain_text = st.text(st.characters(exclude_categories=["Cs"]))
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | plain_text
json_values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(plain_text, inner), max_leaves=20)
json_objects = st.dictionaries(plain_text, json_values)
hashables = (
    scalars
    | st.dates()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.just(NAN)
    | st.sampled_from([Colour.RED, Level.HIGH])
)
things = st.recursive(
    hashables | st.datetimes() | st.timedeltas() | st.floats(allow_infinity=False).map(np.float64),
    lambda inner: (
        st.lists(inner).map(tuple)
        | st.lists(inner).map(collections.deque)
        | st.frozensets(hashables)
        | st.dictionaries(st.integers() | st.booleans(), inner)
        | st.builds(Optimizer, plain_text, inner)
    ),
    max_leaves=20,
)


# What stays


@given(json_objects)
def test_copy_json_object_changes_nothing(data: JsonObject) -> None:
    """JSON data comes out as it went in, down to the sign of zero and the order of keys."""
    assert json.dumps(plain_object(data, "config")) == json.dumps(data)


@given(things)
def test_write_and_parse_anything_accepted_gives_the_same(thing: object) -> None:
    """Whatever is accepted comes back from its text as it went in."""
    data = plain_object({"x": thing}, "config")

    back = parse_object(json_text(data))

    assert back == data
    assert json.dumps(back) == json.dumps(data)


@given(things)
def test_copy_twice_changes_nothing_more(thing: object) -> None:
    """The copy of a copy is the copy."""
    once = plain_value(thing, "config")

    assert json_text(plain_value(once, "config")) == json_text(once)


@pytest.mark.parametrize("number", [2**53 + 1, 2**63, -(2**63), 10**400, 10**4300 - 1, 1e308, 5e-324, -0.0])
def test_write_extreme_number_reads_back_exactly(number: float) -> None:
    """Numbers are never rounded, however large or small."""
    back = parse_object(json_text(plain_object({"n": number}, "config")))

    assert repr(back["n"]) == repr(number)


def test_copy_object_shares_nothing_with_it() -> None:
    """A later change of what was handed over does not reach the copy."""
    inner = [1]
    data = {"a": inner}

    copy = plain_object(data, "config")
    inner.append(2)

    assert copy == {"a": [1]}


def test_copy_none_gives_empty_object() -> None:
    """No metadata is an empty object."""
    assert plain_object(None, "metadata") == {}


@pytest.mark.parametrize("text", ["", "a\0b", "\0", "'; DROP TABLE run; --", "</script>", "\u2028", "__proto__", "🦆"])
def test_store_odd_text_reads_back_exactly(text: str) -> None:
    """Text of any kind, NUL included, survives a bound parameter and a STRICT table, as value and as key."""
    data = plain_object({"value": text, text + "k": 1}, "config")
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (x TEXT NOT NULL CHECK (json_valid(x))) STRICT")

    connection.execute("INSERT INTO t VALUES (?)", (json_text(data),))
    (stored,) = connection.execute("SELECT x FROM t").fetchone()
    connection.close()

    assert parse_object(stored) == {"value": text, text + "k": 1}


# What is converted


@pytest.mark.parametrize(
    ("given_value", "kept"),
    [
        (NAN, None),
        ((1, (2,)), [1, [2]]),
        (collections.deque([1]), [1]),
        (collections.UserList([1, 2]), [1, 2]),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset("cab"), ["a", "b", "c"]),
        ({"a", 1, None}, ["a", 1, None]),
        ({frozenset({2}), frozenset({1})}, [[1], [2]]),
        (range(2, 8, 2), [2, 4, 6]),
        (slice(1, None), {"slice_start": 1, "slice_stop": None, "slice_step": None}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (argparse.Namespace(lr=0.1), {"lr": 0.1}),
        (SimpleNamespace(lr=0.1), {"lr": 0.1}),
        (Optimizer("adam", Optimizer("sgd")), {"name": "adam", "inner": {"name": "sgd", "inner": None}}),
        (Model(depth=2, when=date(2024, 5, 6)), {"depth": 2, "when": "2024-05-06"}),
        (datetime(2024, 5, 6, 7, 8, 9), "2024-05-06T07:08:09"),
        (datetime(2024, 5, 6, tzinfo=UTC), "2024-05-06T00:00:00+00:00"),
        (datetime(2024, 5, 6, tzinfo=timezone(timedelta(hours=-3))), "2024-05-06T00:00:00-03:00"),
        (date(2024, 5, 6), "2024-05-06"),
        (time(7, 8), "07:08:00"),
        (timedelta(minutes=1, milliseconds=500), 60.5),
        (Colour.RED, "RED"),
        (Level.HIGH, "HIGH"),
        (Mode.FAST, "FAST"),
        (Right(0), 0),
        (Path("a/b"), "a/b"),
        (Decimal("1.10"), "1.10"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (array.array("i", [1, 2]), [1, 2]),
        (np.float32(0.5), 0.5),
        (np.int64(2**62), 2**62),
        (np.bool_(True), True),
        (np.str_("text"), "text"),
        (np.float64(NAN), None),
        (np.array(3), 3),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array([1.5, NAN]), [1.5, None]),
        (np.array([{1: "a"}], dtype=object), [{"1": "a"}]),
        (np.datetime64("2024-05-06T00:00:00.000000001"), "2024-05-06T00:00:00.000000001"),
        (np.array(["2024-05-06", "NaT"], dtype="datetime64[D]"), ["2024-05-06", None]),
        (np.timedelta64(1_500_000_000, "ns"), 1.5),
        (TensorflowLike([1.0, 2.0]), [1.0, 2.0]),
    ],
    ids=label,
)
def test_copy_convertible_value_gives_plain_data(given_value: object, kept: JsonValue) -> None:
    """Each kind of value that is neither JSON nor an error has one plain form."""
    copy = plain_value(given_value, "config")

    assert copy == kept
    assert type(copy) is type(kept)


@pytest.mark.parametrize(("given_value", "kept"), [(Loud("quiet"), "quiet"), (Odd(7), 7), (Half(0.5), 0.5)])
def test_copy_subclass_of_plain_type_gives_the_plain_value(given_value: object, kept: JsonValue) -> None:
    """A subclass of str, int or float counts for its value, whatever it made of its methods."""
    copy = plain_value(given_value, "config")

    assert copy == kept
    assert type(copy) is type(kept)


def test_copy_set_of_text_in_other_process_keeps_order() -> None:
    """The order of a set does not depend on the hashes of the process."""
    program = (
        "from lineage.jsondata import json_text, plain_value\n"
        "print(json_text(plain_value({'a', 'b', 'c', 'd', 1, 2, None}, 'x')))"
    )
    root = str(Path(sys.modules[plain_value.__module__].__file__ or "").parents[1])

    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": root},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }

    assert outputs == {b'["a","b","c","d",1,2,null]\n'}


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (1, "1"),
        (-1.5, "-1.5"),
        (Odd(7), "7"),
        (Loud("x"), "x"),
        (Colour.RED, "RED"),
        (np.int64(3), "3"),
        (np.float64(2.5), "2.5"),
    ],
)
def test_copy_key_that_is_no_text_gives_json_text(key: object, text: str) -> None:
    """Keys become the text that json.dumps makes of them, Enum members their name."""
    assert plain_object({key: 0}, "config") == {text: 0}


def test_copy_json_text_gives_its_object() -> None:
    """Metadata may be handed over as the JSON text of an object."""
    assert plain_object('{"a": [1, NaN]}', "metadata") == {"a": [1, None]}


def test_copy_text_as_value_stays_text() -> None:
    """Text is parsed as JSON for a whole object only."""
    assert plain_value("{}", "summary") == "{}"


@pytest.mark.parametrize("count", [0, 1000])
def test_copy_array_up_to_the_limit_gives_list(count: int) -> None:
    """A thousand elements still are metadata."""
    assert plain_value(np.zeros(count), "config") == [0.0] * count


# What is refused


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"optimizer": {"lr": INFINITY}}, "config: optimizer.lr: infinity is not JSON; use a number or text"),
        ({"a": [0, {"b": -INFINITY}]}, "config: a[1].b: infinity is not JSON; use a number or text"),
        ({"a": {INFINITY}}, "config: a: infinity is not JSON; use a number or text"),
        ({"a b\n": INFINITY}, r"config: ['a b\n']: infinity is not JSON; use a number or text"),
        ({"a": b"x"}, "config: a: bytes are not JSON; decode them, or log them as a file"),
        ({"a": bytearray()}, "config: a: bytes are not JSON; decode them, or log them as a file"),
        ({"a": memoryview(b"x")}, "config: a: bytes are not JSON; decode them, or log them as a file"),
        ({"a": object()}, "config: a: a value of type object is not JSON; use text, a number, a list or a dict"),
        ({"a": Optimizer}, "config: a: a value of type type is not JSON; use text, a number, a list or a dict"),
        ({"a": 1j}, "config: a: a value of type complex is not JSON; use text, a number, a list or a dict"),
        ({"a": iter([])}, "config: a: a value of type list_iterator is not JSON; use text, a number, a list or a dict"),
        (
            {"a": mock.Mock()},
            "config: a: a value of type unittest.mock.Mock is not JSON; use text, a number, a list or a dict",
        ),
        ({"a": 10**4300}, "config: a: an integer of more than 4,300 digits; use text"),
        ({"a": "\ud800"}, "config: a: text with half a character (a lone surrogate); decode the bytes it came from"),
        (
            {"\udcff": 1},
            r"config: ['\udcff']: text with half a character (a lone surrogate); decode the bytes it came from",
        ),
        ({"a": range(1001)}, "config: a: a range of more than 1,000 numbers; give its start, stop and step"),
        ({"a": range(10**30)}, "config: a: a range of more than 1,000 numbers; give its start, stop and step"),
        (
            {"a": np.zeros((7, 143))},
            "config: a: an array of 1,001 elements; log it as a file (up to 1,000 become a list)",
        ),
        (
            {"a": np.zeros((10**6, 0))},
            "config: a: an array of 1,000,000 elements; log it as a file (up to 1,000 become a list)",
        ),
        (
            {"a": np.longdouble(1)},
            "config: a: a value of type numpy.longdouble has no exact Python number; convert it with float()",
        ),
        ({"a": {1: 0, "1": 0}}, "config: a.1: two keys are the same as text; rename one"),
        ({"a": {(1, 2): 0}}, "config: a: a key of type tuple has no text in JSON; use text"),
        ({b"a": 0}, "config: a key of type bytes has no text in JSON; use text"),
        ({NAN: 0}, "config: a key of type float has no text in JSON; use text"),
        ({10**4300: 0}, "config: a key of type int has no text in JSON; use text"),
        ([1], "config: a value of type list is not a dict; give a dict of names and values"),
        (7, "config: a value of type int is not a dict; give a dict of names and values"),
        (slice(1), "config: a value of type slice is not a dict; give a dict of names and values"),
        ("[]", "config: a value of type list is not a dict; give a dict of names and values"),
        (b"{}", "config: bytes are not JSON; decode them, or log them as a file"),
        ('{"a": Infinity}', "config: a: infinity is not JSON; use a number or text"),
        ('{"a": 1e999}', "config: a: infinity is not JSON; use a number or text"),
        (r'{"a": "\ud800"}', "config: a: text with half a character (a lone surrogate); decode the bytes it came from"),
    ],
    ids=label,
)
def test_copy_what_json_cannot_hold_names_the_key(data: object, message: str) -> None:
    """The error says whose data it is, the path of the key, what is wrong and what to do."""
    assert error_of(plain_object, data, "config") == message


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", '{"a": ' + "9" * 5000 + "}"])
def test_copy_text_that_is_not_json_is_an_error(text: str) -> None:
    """Text in place of a dict must be strict JSON that can be read."""
    assert "text that is not JSON" in error_of(plain_object, text, "metadata of artifact 'iv3'")


def test_copy_value_whose_code_fails_names_the_key() -> None:
    """What a foreign object raises while it is read becomes the cause of our error."""
    with pytest.raises(InvalidInputError, match=r"config: a: .*Sparse could not be read: a sparse") as caught:
        plain_object({"a": Sparse()}, "config")

    assert isinstance(caught.value.__cause__, NotImplementedError)


def test_refuse_value_shows_no_inner_exception() -> None:
    """The traceback holds our error alone, not how it was found."""
    with pytest.raises(InvalidInputError) as caught:
        plain_object({"a": INFINITY}, "config")

    assert "_Refusal" not in "".join(traceback.format_exception(caught.value))


# Depth, loops, size


@pytest.mark.parametrize(
    "wrap", [lambda inner: [inner], lambda inner: {"a": inner}, lambda inner: Optimizer("a", inner)]
)
def test_copy_at_depth_limit_is_accepted(wrap: Callable[[Any], Any]) -> None:
    """A hundred levels are allowed, of lists, dicts and dataclasses alike."""
    assert plain_value(nested(100, wrap), "config") is not None


@pytest.mark.parametrize("depth", [101, 100_000])
@pytest.mark.parametrize(
    "wrap", [lambda inner: [inner], lambda inner: {"a": inner}, lambda inner: Optimizer("a", inner)]
)
def test_copy_beyond_depth_limit_is_an_error(wrap: Callable[[Any], Any], depth: int) -> None:
    """Deeper data is refused with a short message, never with a RecursionError."""
    message = error_of(plain_value, nested(depth, wrap), "config")

    assert message.endswith("nested deeper than 100 levels; flatten it")
    assert len(message) < 300


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000])
def test_copy_json_text_nested_too_deeply_is_an_error(text: str) -> None:
    """Neither does hostile JSON text end in a RecursionError."""
    assert "nested too deeply" in error_of(plain_object, text, "config")


def test_copy_near_the_end_of_the_stack_is_an_error() -> None:
    """Where the program left no room on the stack, the error is still ours."""

    def dive(depth: int) -> None:
        if depth:
            dive(depth - 1)
        else:
            plain_value(nested(90, lambda inner: [inner]), "config")

    here = len(traceback.extract_stack())

    assert "nested too deeply to be followed from here" in error_of(dive, sys.getrecursionlimit() - here - 60)


def test_copy_data_that_contains_itself_names_a_key_in_the_loop() -> None:
    """A self-reference is told from mere depth, and the path leads into it without going round."""
    loop: dict[str, Any] = {"steps": [1, {}]}
    loop["steps"][1]["parent"] = loop

    message = error_of(plain_object, {"model": {"plan": loop}}, "config")

    assert message == "config: model.plan.steps[1]: it contains itself; break the loop"


def test_copy_dataclass_that_contains_itself_is_an_error() -> None:
    """Loops through converted objects are found as well."""
    optimizer = Optimizer("adam")
    optimizer.inner = [optimizer]

    assert error_of(plain_value, optimizer, "config") == "config: it contains itself; break the loop"


def test_copy_object_that_never_becomes_plain_is_an_error() -> None:
    """An object that turns into its like again and again comes to an end."""
    assert "nested deeper than 100 levels" in error_of(plain_value, Chameleon(), "config")


def test_copy_shared_value_gives_separate_copies() -> None:
    """The same list in two places is no loop."""
    shared = [1]

    assert plain_value([shared, shared], "config") == [[1], [1]]


@pytest.mark.parametrize(
    "value",
    [
        "x" * (16 * 1024 * 1024),
        ["x" * (16 * 1024 * 1024 - 100), *[None] * 100],
        ["\x01" * (3 * 1024 * 1024)],
        "é" * (9 * 1024 * 1024),
        [0.1234567890123456] * 1_000_000,
        nested(60, lambda inner: [inner] * 10, "x" * 10_000),
        Endless(),
    ],
    ids=["text", "list", "escapes", "bytes", "floats", "unfolding", "endless"],
)
def test_copy_more_than_16_mib_is_an_error(value: object) -> None:
    """Size is that of the JSON text, and data that unfolds without end is stopped on the way."""
    assert error_of(plain_value, value, "config").endswith("more than 16 MiB of text; log it as a file")


def test_copy_10_mb_of_text_is_kept() -> None:
    """Ten megabytes of text still are accepted whole."""
    text = "x" * 10_000_000

    assert plain_object({"a": text}, "config") == {"a": text}


# JSON text


def test_write_object_gives_compact_unescaped_ordered_text() -> None:
    """The text has no blanks, keeps the order of keys and leaves characters readable."""
    assert json_text({"b": [1, 2.5, None], "a": "naïve"}) == '{"b":[1,2.5,null],"a":"naïve"}'


@pytest.mark.parametrize("value", [NAN, INFINITY, object(), {1, 2}, nested(100_000, lambda inner: [inner])])
def test_write_what_is_no_json_data_is_an_error(value: Any) -> None:
    """json_text writes strict JSON or nothing."""
    assert error_of(json_text, value).endswith("pass it through plain_object first")


def test_write_loop_is_an_error() -> None:
    """A loop in data that skipped plain_object does not end in a RecursionError."""
    loop: list[Any] = []
    loop.append(loop)

    assert "Circular" in error_of(json_text, loop)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1]",
        "7",
        '{"a":NaN}',
        '{"a":-Infinity}',
        '{"a":1e999}',
        r'{"a":"\ud800"}',
        r'{"\udfff":1}',
        '{"a":' * 100_000,
        '{"a":' + "9" * 5000 + "}",
    ],
    ids=lambda text: text[:20],
)
def test_parse_text_we_did_not_write_is_corruption(text: str) -> None:
    """What the store holds is strict JSON of an object, or somebody tampered with it."""
    with pytest.raises(CorruptionError, match="stored JSON"):
        parse_object(text)


def test_parse_escaped_pair_gives_the_character() -> None:
    """An escaped character beyond the basic plane is whole, not half."""
    assert parse_object(r'{"a":"\ud83e\udd86"}') == {"a": "🦆"}


# Metrics


def test_flatten_nested_metrics_gives_dotted_names() -> None:
    """Nested dicts become dotted names, in order; empty ones leave no trace."""
    metrics = flatten_metrics({"train": {"loss": 0.5, "top": {"k1": 1}}, "epoch": 3, "none": {}}, "metrics")

    assert list(metrics.items()) == [("train.loss", 0.5), ("train.top.k1", 1), ("epoch", 3)]


@pytest.mark.parametrize("number", [INFINITY, -INFINITY, np.float32(INFINITY), np.array(INFINITY), Half(INFINITY)])
def test_flatten_infinite_metric_keeps_it(number: object) -> None:
    """A diverged loss is kept, also when numpy computed it."""
    metrics = flatten_metrics({"loss": number}, "metrics")

    assert type(metrics["loss"]) is float
    assert math.isinf(metrics["loss"])


@pytest.mark.parametrize("number", [NAN, np.float64(NAN), np.array(NAN, dtype="float32")])
def test_flatten_metric_that_is_nan_keeps_it(number: object) -> None:
    """NaN stays a number in a metric."""
    metrics = flatten_metrics({"loss": number}, "metrics")

    assert type(metrics["loss"]) is float
    assert math.isnan(metrics["loss"])


def test_flatten_metric_that_is_no_number_keeps_plain_data() -> None:
    """Other values are kept as in a config."""
    metrics = flatten_metrics({"at": date(2024, 5, 6), "hist": np.array([1, 2]), "ok": True, "note": "x"}, "metrics")

    assert metrics == {"at": "2024-05-06", "hist": [1, 2], "ok": True, "note": "x"}


def test_flatten_name_of_text_subclass_gives_plain_text() -> None:
    """Names are plain text, an Enum member's its name."""
    metrics = flatten_metrics({Loud("loss"): 1, Mode.FAST: 2}, "metrics")

    assert metrics == {"loss": 1, "FAST": 2}
    assert {type(name) for name in metrics} == {str}


@pytest.mark.parametrize("name", ["x" * 512, "é", "train/loss", "a b", "\u2028"])
def test_flatten_unusual_name_is_accepted(name: str) -> None:
    """A name is any text of up to 512 characters without control characters."""
    assert flatten_metrics({name: 1}, "metrics") == {name: 1}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"": 1}, "metrics: metric '': an empty name; give it one"),
        ({"a": {"": 1}}, "metrics: metric 'a.': an empty name; give it one"),
        ({1: 1}, "metrics: metric <int>: a name is text; convert it"),
        ({"a": {None: 1}}, "metrics: metric a.<NoneType>: a name is text; convert it"),
        ({"a\n": 1}, r"metrics: metric 'a\n': control characters in a name; leave them out"),
        ({"a\x9f": 1}, r"metrics: metric 'a\x9f': control characters in a name; leave them out"),
        ({"\ud800": 1}, r"metrics: metric '\ud800': control characters in a name; leave them out"),
        ({"a.b": 1, "a": {"b": 2}}, "metrics: metric 'a.b': two names are the same once dotted; rename one"),
        ({"a": {"b": [INFINITY]}}, "metrics: a.b[0]: infinity is not JSON; use a number or text"),
        ({"a": b""}, "metrics: a: bytes are not JSON; decode them, or log them as a file"),
        ([1], "metrics: a value of type list is not a dict; give a dict of names and values"),
        (None, "metrics: a value of type NoneType is not a dict; give a dict of names and values"),
    ],
    ids=label,
)
def test_flatten_bad_metric_names_it(data: Mapping[str, object], message: str) -> None:
    """The error says which metric breaks which rule."""
    assert error_of(flatten_metrics, data, "metrics") == message


@pytest.mark.parametrize(
    "data", [{"x" * 513: 1}, {"x" * 256: {"y" * 256: 1}}, nested(100_000, lambda inner: {"a": inner})]
)
def test_flatten_name_beyond_512_characters_is_an_error(data: Mapping[str, object]) -> None:
    """The limit counts the dotted name, which also ends data nested without end."""
    assert error_of(flatten_metrics, data, "metrics").endswith("a name of more than 512 characters; shorten it")


def test_flatten_metrics_that_unfold_without_end_is_an_error() -> None:
    """Names count towards the size, so that dicts holding one another cannot fill the memory."""
    data = nested(60, lambda inner: dict.fromkeys("abcdefghij", inner))

    assert error_of(flatten_metrics, data, "metrics").endswith("more than 16 MiB of text; log it as a file")


@pytest.fixture(autouse=True)
def _unlimited_is_never_needed() -> Iterator[None]:
    """No test may change how deep Python recurses: the limits have to hold under the usual one."""
    before = sys.getrecursionlimit()
    yield
    assert sys.getrecursionlimit() == before
