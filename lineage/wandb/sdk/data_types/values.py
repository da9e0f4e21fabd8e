"""What ``run.log`` and a summary make of a value before it is stored; importing this makes all media known."""

from __future__ import annotations

from typing import Any, Final

from lineage.wandb.errors import UnsupportedError
from lineage.wandb.sdk.data_types import chart, histogram, html, other  # noqa: F401 - each registers its classes
from lineage.wandb.sdk.data_types.base import WBValue
from lineage.wandb.sdk.data_types.histogram import Histogram
from lineage.wandb.sdk.data_types.image import Image
from lineage.wandb.sdk.data_types.optional import as_array, comes_from, is_instance, needed
from lineage.wandb.sdk.data_types.table import Table

_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
_LARGEST: Final = 32  # elements of an array that W&B keeps one by one
_PERCENTILES: Final = (10, 25, 75, 90)
_FOREIGN: Final = {
    "plotly": "wandb.Html(figure.to_html())",
    "bokeh": "wandb.Html(bokeh.embed.file_html(figure))",
}


def loggable(value: object) -> Any:
    """Return what is kept of a logged value: plain data, or a media object.

    Figures of matplotlib and images of Pillow become an :class:`Image`, data frames a :class:`Table`. Of arrays and
    tensors the only element is kept, or a list of up to 32, or a :class:`Histogram` of 32 bins; lists and dicts are
    looked into. Everything else stays as it is.

    Raises:
        UnsupportedError: It is a chart of plotly's or bokeh's; the message says what to log.
        ValueError: A large array holds numbers that are not finite; W&B's own error.

    Example:
        >>> loggable({"loss": 0.5, "curve": (1, 2)})
        {'loss': 0.5, 'curve': [1, 2]}
    """
    if type(value) in _PLAIN or isinstance(value, WBValue):
        return value
    if type(value) is dict:
        return {key: loggable(item) for key, item in value.items()}
    if type(value) in {list, tuple}:
        return [loggable(item) for item in value]  # type: ignore[attr-defined]  # the line above says what it is
    array = as_array(value)
    if array is not None:
        small = _few(array)
        return Histogram(array, num_bins=_LARGEST) if small is None else small[0]
    return _media(value)


def summary_value(value: object) -> Any:
    """Return what is kept of a value in a summary: as :func:`loggable`, but of a large array its statistics.

    Example:
        >>> summary_value(0.5)
        0.5
    """
    array = as_array(value)
    if array is None:
        return loggable(value)
    return (
        _statistics(array, f"{type(value).__module__}.{type(value).__qualname__}")
        if _few(array) is None
        else loggable(value)
    )


def _few(array: Any) -> tuple[Any] | None:
    """Return the element, or the list of elements, of a small array, else None."""
    if array.size == 1:
        return (array.ravel()[0].item(),)
    return (array.tolist(),) if array.size <= _LARGEST else None


def _statistics(array: Any, kind: str) -> dict[str, Any]:
    numpy = needed("numpy", "The statistics of an array", "media")
    percentiles = {f"{percent}%": float(numpy.percentile(array, percent)) for percent in _PERCENTILES}
    return {
        "_type": kind,
        "var": numpy.var(array).item(),
        "mean": numpy.mean(array).item(),
        "min": numpy.amin(array).item(),
        "max": numpy.amax(array).item(),
        **percentiles,
        "size": array.size,
    }


def _media(value: object) -> Any:
    if comes_from(value, "matplotlib") or is_instance(value, "PIL.Image", "Image"):
        return Image(value)
    if is_instance(value, "pandas", "DataFrame"):
        return Table(dataframe=value)
    for package, instead in _FOREIGN.items():
        if comes_from(value, package):
            message = f"a chart of {package}'s is not kept as such here; log {instead}"
            raise UnsupportedError(message)
    return value
