"""``wandb.plot``: charts keep their tables, and the curves are scikit-learn's."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wandb_drawer import Drawer

from lineage.jsondata import json_text
from lineage.wandb import plot
from lineage.wandb.data_types import Table
from lineage.wandb.errors import Error
from lineage.wandb.sdk.data_types.registry import by_type


@pytest.fixture
def table() -> Table:
    """A table of two columns."""
    return Table(columns=["x", "y"], data=[[0, 1], [1, 3]])


@pytest.mark.parametrize(
    ("make", "name", "fields"),
    [
        (lambda table: plot.line(table, "x", "y", title="T"), "wandb/line/v0", {"x": "x", "y": "y"}),
        (
            lambda table: plot.line(table, "x", "y", stroke="y", title="T"),
            "wandb/line/v0",
            {"x": "x", "y": "y", "stroke": "y"},
        ),
        (lambda table: plot.scatter(table, "x", "y", title="T"), "wandb/scatter/v0", {"x": "x", "y": "y"}),
        (lambda table: plot.bar(table, "x", "y", title="T"), "wandb/bar/v0", {"label": "x", "value": "y"}),
        (lambda table: plot.histogram(table, "x", title="T"), "wandb/histogram/v0", {"value": "x"}),
    ],
)
def test_chart_says_what_is_drawn(
    table: Table, make: Callable[[Table], plot.CustomChart], name: str, fields: dict[str, str]
) -> None:
    """A chart holds the table, the name of W&B's chart, and which column is what."""
    chart = make(table)

    assert chart.table is table
    assert chart.spec == plot.CustomChartSpec(name, fields, {"title": "T"})


def test_chart_comes_back(table: Table) -> None:
    """A chart is stored with its table, under the name it was logged as."""
    drawer = Drawer()
    chart = plot.plot_table("wandb/line/v0", table, {"x": "x"}, split_table=True)
    chart.set_key("curve")

    data = json.loads(json_text(chart.to_json(drawer)))

    cls = by_type("custom-chart")
    assert cls is not None
    assert cls.from_json(data, drawer) == chart
    assert chart.spec.key == "curve"


def test_chart_of_no_table_is_refused() -> None:
    """Only a table can be drawn."""
    with pytest.raises(Error, match="Expected `data_table` to be `wandb.Table` type, instead got list"):
        plot.plot_table("wandb/line/v0", [[1]], {})  # type: ignore[arg-type]  # the mistake


def test_line_series_shares_or_has_its_own_axis() -> None:
    """One axis serves all lines, or each line has its own."""
    shared = plot.line_series([0, 1], [[1, 2], [3, 4]], xname="step")
    own = plot.line_series([[0], [5]], [[1], [3]], keys=["a", "b"])

    assert shared.table.data == [[0, "line_0", 1], [1, "line_0", 2], [0, "line_1", 3], [1, "line_1", 4]]
    assert shared.spec.string_fields == {"title": "", "xname": "step"}
    assert own.table.data == [[0, "a", 1], [5, "b", 3]]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: plot.line_series([[0]], [[1], [2]]), r"Number of x-series \(1\) must match y-series \(2\)\."),
        (lambda: plot.line_series([0], [[1]], keys=[]), r"Number of keys \(0\) must match y-series \(1\)\."),
        (lambda: plot.confusion_matrix(probs=[[1]], preds=[0], y_true=[0]), "Only one of `probs` or `preds`"),
        (lambda: plot.confusion_matrix(y_true=[0]), "Only one of `probs` or `preds`"),
        (lambda: plot.confusion_matrix(preds=[0, 1], y_true=[0]), "must be equal"),
        (lambda: plot.confusion_matrix(preds=[0, 1], y_true=[0, 0], class_names=["a"]), "unique predicted classes"),
        (lambda: plot.confusion_matrix(preds=[0, 0], y_true=[0, 1], class_names=["a"]), "unique true labels"),
        (lambda: plot.roc_curve([0, 1]), "y_probas is None"),
    ],
)
def test_bad_argument_is_refused(call: Callable[[], object], words: str) -> None:
    """Lengths that do not match are refused in W&B's words."""
    with pytest.raises(ValueError, match=words):
        call()


def test_confusion_matrix_counts_pairs() -> None:
    """Each pair of true and predicted class is counted, those that never occur as zero."""
    chart = plot.confusion_matrix(
        probs=[[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], y_true=[0, 1, 1], class_names=["no", "yes"]
    )

    assert chart.table.data == [["no", "no", 1], ["no", "yes", 0], ["yes", "no", 1], ["yes", "yes", 1]]


def test_confusion_matrix_names_classes_by_number() -> None:
    """Without names the lowest class is Class_1."""
    chart = plot.confusion_matrix(preds=["b", "a"], y_true=["b", "b"])

    assert chart.table.data[2:] == [["Class_2", "Class_1", 1], ["Class_2", "Class_2", 1]]


@st.composite
def answers(draw: st.DrawFn) -> tuple[list[int], list[list[float]]]:
    """Return true classes, both of which occur, and scores with ties among them."""
    true = [0, 1, *draw(st.lists(st.integers(0, 1), max_size=20))]
    score = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0])
    first = draw(st.lists(score, min_size=len(true), max_size=len(true)))
    return true, [[1 - one, one] for one in first]


@given(answer=answers())
def test_roc_curve_is_that_of_scikit_learn(answer: tuple[list[int], list[list[float]]]) -> None:
    """Each class has the points that scikit-learn gives, rounded to three digits."""
    metrics = pytest.importorskip("sklearn.metrics")
    true, scores = answer

    chart = plot.roc_curve(true, scores, labels=["no", "yes"])

    expected = []
    for cls, name in enumerate(["no", "yes"]):
        false, hits, _ = metrics.roc_curve(true, [row[cls] for row in scores], pos_label=cls)
        expected += [[name, round(float(x), 3), round(float(y), 3)] for x, y in zip(false, hits, strict=True)]
    assert chart.table.data == expected


@given(answer=answers())
def test_pr_curve_is_that_of_scikit_learn(answer: tuple[list[int], list[list[float]]]) -> None:
    """The precision at each recall is the best that scikit-learn has at that recall or a higher one."""
    metrics = pytest.importorskip("sklearn.metrics")
    true, scores = answer

    chart = plot.pr_curve(true, scores, classes_to_plot=[1], interp_size=5)

    precision, recall, _ = metrics.precision_recall_curve(true, [row[1] for row in scores], pos_label=1)
    expected = [
        [1, round(max(float(p) for p, r in zip(precision, recall, strict=True) if r >= at), 3), at]
        for at in (1.0, 0.75, 0.5, 0.25)
    ]
    assert chart.table.data[:4] == expected


def test_curves_take_arrays() -> None:
    """Arrays of numpy's are taken like lists, classes of text like numbers."""
    numpy = pytest.importorskip("numpy")
    scores = numpy.array([[0.9, 0.1], [0.2, 0.8]])

    chart = plot.roc_curve(numpy.array(["a", "b"]), scores, classes_to_plot=["b"])

    assert chart.table.data == [["b", 0.0, 0.0], ["b", 0.0, 1.0], ["b", 1.0, 1.0]]


def test_curve_of_one_class_has_no_rates() -> None:
    """Where there are no samples of the other class, the false positive rate is no number."""
    chart = plot.roc_curve([1, 1], [[0.5], [0.6]])

    assert all(rate != rate for rate in chart.table.get_column("fpr"))  # noqa: PLR0124 - NaN
