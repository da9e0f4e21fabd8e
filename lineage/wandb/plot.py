"""``wandb.plot``: the charts of W&B's gallery, as tables with the names of their columns.

Nothing is drawn here. A chart that is logged keeps its table, so its numbers are there for whoever draws it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from lineage.wandb.sdk.data_types.chart import CustomChart, CustomChartSpec, plot_table
from lineage.wandb.sdk.data_types.table import Table

__all__ = [
    "CustomChart",
    "CustomChartSpec",
    "bar",
    "confusion_matrix",
    "histogram",
    "line",
    "line_series",
    "plot_table",
    "pr_curve",
    "roc_curve",
    "scatter",
]

_DIGITS = 3  # of a curve's points, as W&B rounds them


def line(
    table: Table,
    x: str,
    y: str,
    stroke: str | None = None,
    title: str = "",
    split_table: bool = False,
) -> CustomChart:
    """Return a line through the rows of a table, or one for each value of the column `stroke`."""
    fields = {"x": x, "y": y} | ({"stroke": stroke} if stroke else {})
    return plot_table("wandb/line/v0", table, fields, {"title": title}, split_table)


def scatter(table: Table, x: str, y: str, title: str = "", split_table: bool = False) -> CustomChart:
    """Return a point for each row of a table."""
    return plot_table("wandb/scatter/v0", table, {"x": x, "y": y}, {"title": title}, split_table)


def bar(table: Table, label: str, value: str, title: str = "", split_table: bool = False) -> CustomChart:
    """Return a bar for each row of a table."""
    return plot_table("wandb/bar/v0", table, {"label": label, "value": value}, {"title": title}, split_table)


def histogram(table: Table, value: str, title: str = "", split_table: bool = False) -> CustomChart:
    """Return a histogram of a column."""
    return plot_table("wandb/histogram/v0", table, {"value": value}, {"title": title}, split_table)


def line_series(
    xs: Any,
    ys: Any,
    keys: Iterable[str] | None = None,
    title: str = "",
    xname: str = "x",
    split_table: bool = False,
) -> CustomChart:
    """Return several lines.

    Args:
        xs: Where the points stand: one sequence for all lines, or one for each.
        ys: The values of each line.
        keys: The lines' names; by default ``line_0`` and so on.
        title: The title.
        xname: What the points stand along.
        split_table: Where W&B would show the table.

    Raises:
        ValueError: Not as many sequences, or names, as lines.

    Example:
        >>> line_series([0, 1], [[5, 6]]).table.data
        [[0, 'line_0', 5], [1, 'line_0', 6]]
    """
    single = not isinstance(xs[0], Iterable) or isinstance(xs[0], (str, bytes))
    axes = [xs] * len(ys) if single else xs
    if len(axes) != len(ys):
        message = f"Number of x-series ({len(axes)}) must match y-series ({len(ys)})."
        raise ValueError(message)
    names = [f"line_{number}" for number in range(len(ys))] if keys is None else list(keys)
    if len(names) != len(ys):
        message = f"Number of keys ({len(names)}) must match y-series ({len(ys)})."
        raise ValueError(message)
    lines = zip(names, axes, ys, strict=True)
    data = [[x, name, y] for name, along, values in lines for x, y in zip(along, values, strict=False)]
    columns = ["step", "lineKey", "lineVal"]
    fields = {name: name for name in columns}
    texts = {"title": title, "xname": xname}
    return plot_table("wandb/lineseries/v0", Table(columns, data), fields, texts, split_table)


def confusion_matrix(
    probs: Sequence[Sequence[float]] | None = None,
    y_true: Sequence[Any] | None = None,
    preds: Sequence[Any] | None = None,
    class_names: Sequence[str] | None = None,
    title: str = "Confusion Matrix Curve",
    split_table: bool = False,
) -> CustomChart:
    """Return how often each class was taken for each.

    Args:
        probs: The probability of each class, by sample; or
        preds: the predicted class of each sample.
        y_true: The true class of each sample.
        class_names: The names of classes 0, 1 and so on; by default ``Class_1`` for the lowest that occurs.
        title: The title.
        split_table: Where W&B would show the table.

    Raises:
        ValueError: Both or neither of `probs` and `preds`, different lengths, or fewer names than classes.

    Example:
        >>> confusion_matrix(y_true=[0, 1, 1], preds=[0, 1, 0]).table.get_column("nPredictions")
        [1, 0, 1, 1]
    """
    if (probs is None) == (preds is None):
        raise ValueError("Only one of `probs` or `preds` should be provided, not both.")
    true = _plain(y_true)
    guessed = [row.index(max(row)) for row in _plain(probs)] if preds is None else _plain(preds)
    if len(guessed) != len(true):
        raise ValueError("The number of predictions and true labels must be equal.")
    if class_names is None:
        classes = sorted({*guessed, *true})
        names: Sequence[str] = [f"Class_{number + 1}" for number in range(len(classes))]
    else:
        classes, names = list(range(len(class_names))), class_names
        for found, what in ((guessed, "predicted classes"), (true, "true labels")):
            if len(set(found)) > len(names):
                message = f"The number of unique {what} exceeds the number of class names."
                raise ValueError(message)
    counts = dict.fromkeys(((actual, other) for actual in classes for other in classes), 0)
    for pair in zip(true, guessed, strict=True):
        counts[pair] += 1
    name_of = dict(zip(classes, names, strict=True))
    columns = ["Actual", "Predicted", "nPredictions"]
    table = Table(columns, [[name_of[actual], name_of[other], count] for (actual, other), count in counts.items()])
    fields = {name: name for name in columns}
    return plot_table("wandb/confusion_matrix/v1", table, fields, {"title": title}, split_table)


def roc_curve(
    y_true: Sequence[Any],
    y_probas: Sequence[Sequence[float]] | None = None,
    labels: list[str] | None = None,
    classes_to_plot: list[Any] | None = None,
    title: str = "ROC Curve",
    split_table: bool = False,
) -> CustomChart:
    """Return the true positive rate over the false positive rate, a curve for each class.

    After algorithm 1 of T. Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 27 (2006); points
    on a straight line between their neighbours are left out, as scikit-learn does.

    Args:
        y_true: The true class of each sample.
        y_probas: The score of each class, by sample, classes in sorted order.
        labels: The names of classes 0, 1 and so on.
        classes_to_plot: Only these classes.
        title: The title.
        split_table: Where W&B would show the table.

    Raises:
        ValueError: There are no scores.

    Example:
        >>> roc_curve([0, 1], [[0.9, 0.1], [0.2, 0.8]], classes_to_plot=[1]).table.data
        [[1, 0.0, 0.0], [1, 0.0, 1.0], [1, 1.0, 1.0]]
    """
    rows = []
    for name, steps in _by_class(y_true, y_probas, labels, classes_to_plot):
        kept = [(0, 0), *_bends(steps)]
        negatives, positives = kept[-1]
        rows += [[name, _share(false, negatives), _share(true, positives)] for false, true in kept]
    texts = {"title": title, "x-axis-title": "False positive rate", "y-axis-title": "True positive rate"}
    fields = {"x": "fpr", "y": "tpr", "class": "class"}
    return plot_table("wandb/area-under-curve/v0", Table(["class", "fpr", "tpr"], rows), fields, texts, split_table)


def pr_curve(
    y_true: Sequence[Any],
    y_probas: Sequence[Sequence[float]] | None = None,
    labels: list[str] | None = None,
    classes_to_plot: list[Any] | None = None,
    interp_size: int = 21,
    title: str = "Precision-Recall Curve",
    split_table: bool = False,
) -> CustomChart:
    """Return the precision over the recall, a curve for each class, at evenly spaced recalls.

    The precision at a recall is the best that is had at that recall or a higher one: the interpolated precision of
    Manning, Raghavan and Schütze, "Introduction to Information Retrieval" (2008), section 8.4.

    Args:
        y_true: The true class of each sample.
        y_probas: The score of each class, by sample, classes in sorted order.
        labels: The names of classes 0, 1 and so on.
        classes_to_plot: Only these classes.
        interp_size: At how many recalls.
        title: The title.
        split_table: Where W&B would show the table.

    Raises:
        ValueError: There are no scores.

    Example:
        >>> pr_curve([0, 1], [[0.9, 0.1], [0.2, 0.8]], classes_to_plot=[1], interp_size=2).table.data
        [[1, 1.0, 1.0], [1, 1.0, 0.0]]
    """
    recalls = [1 - number / (interp_size - 1) for number in range(interp_size)]
    rows = []
    for name, steps in _by_class(y_true, y_probas, labels, classes_to_plot):
        positives = steps[-1][1]
        points = [(true / positives if positives else 1.0, true / (true + false)) for false, true in steps]
        for recall in recalls:
            best = max(precision for reached, precision in points if reached >= recall)
            rows.append([name, round(best, _DIGITS), round(recall, _DIGITS)])
    texts = {"title": title, "x-axis-title": "Recall", "y-axis-title": "Precision"}
    fields = {"x": "recall", "y": "precision", "class": "class"}
    table = Table(["class", "precision", "recall"], rows)
    return plot_table("wandb/area-under-curve/v0", table, fields, texts, split_table)


def _by_class(
    y_true: Sequence[Any],
    y_probas: Sequence[Sequence[float]] | None,
    labels: list[str] | None,
    wanted: list[Any] | None,
) -> Iterator[tuple[Any, list[tuple[int, int]]]]:
    """Yield the name of each class, and its false and true positives at each threshold, the highest first."""
    if y_probas is None:
        raise ValueError("y_probas is None; give the score of each class, by sample")
    true, scores = _plain(y_true), _plain(y_probas)
    for position, cls in enumerate(sorted(set(true))):
        if wanted is not None and cls not in _plain(wanted):
            continue
        name = labels[cls] if labels is not None and isinstance(cls, int) else cls
        yield name, _steps([(row[position], actual == cls) for row, actual in zip(scores, true, strict=True)])


def _steps(samples: list[tuple[float, bool]]) -> list[tuple[int, int]]:
    """Return the false and true positives at each threshold; equal scores are passed together."""
    ordered = sorted(samples, key=lambda sample: -sample[0])
    steps, false, true = [], 0, 0
    for index, (score, positive) in enumerate(ordered):
        true, false = true + positive, false + (not positive)
        if index + 1 == len(ordered) or ordered[index + 1][0] != score:
            steps.append((false, true))
    return steps


def _bends(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the points without those halfway between their neighbours."""
    if len(points) < 3:  # noqa: PLR2004 - nothing is between two
        return points
    inner = zip(points, points[1:], points[2:], strict=False)
    middle = [(x, y) for (a, b), (x, y), (c, d) in inner if (a + c, b + d) != (2 * x, 2 * y)]
    return [points[0], *middle, points[-1]]


def _share(part: int, whole: int) -> float:
    return round(part / whole, _DIGITS) if whole else float("nan")


def _plain(values: Any) -> list[Any]:
    """Return the lists of an array or tensor; of anything else a list, rows of arrays too."""
    if hasattr(values, "tolist"):
        return list(values.tolist())
    return [value.tolist() if hasattr(value, "tolist") else value for value in values or ()]
