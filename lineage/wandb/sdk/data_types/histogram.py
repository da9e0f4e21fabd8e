"""Histograms: numbers in bins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from lineage.jsondata import JsonObject
from lineage.wandb.sdk.data_types.base import Sink, Source, WBValue
from lineage.wandb.sdk.data_types.cells import decode, encode
from lineage.wandb.sdk.data_types.optional import as_array, needed
from lineage.wandb.sdk.data_types.registry import register


@register
class Histogram(WBValue):
    """How many numbers fall between which edges; lives in JSON alone.

    Args:
        sequence: The numbers; counting them needs numpy.
        np_histogram: Counts and edges, as ``numpy.histogram`` returns them or as plain lists; needs no numpy.
        num_bins: How many bins to count into.

    Raises:
        ValueError: More than 512 bins, not one edge more than bins, or numbers that are not finite.
        TypeError: `sequence` holds no numbers.
        Error: numpy is not installed, and is needed.

    Attributes:
        histogram: The counts.
        bins: The edges.

    Example:
        >>> Histogram(np_histogram=([1, 2], [0.0, 0.5, 1.0])).histogram
        [1, 2]
    """

    MAX_LENGTH: int = 512
    log_type: ClassVar[str] = "histogram"
    suffix: ClassVar[str] = ".histogram.json"
    inline: ClassVar[bool] = True

    def __init__(
        self,
        sequence: Sequence[Any] | None = None,
        np_histogram: tuple[Any, Any] | None = None,
        num_bins: int = 64,
    ) -> None:
        if np_histogram:
            if len(np_histogram) != 2:  # noqa: PLR2004 - a pair
                message = "Expected np_histogram to be a tuple of (values, bin_edges) or sequence to be specified"
                raise ValueError(message)
            counts, edges = np_histogram
        else:
            numpy = needed("numpy", "Counting into a histogram", "media")
            array = as_array(sequence)
            counts, edges = numpy.histogram(sequence if array is None else array, bins=num_bins)
        self.histogram: list[Any] = counts.tolist() if hasattr(counts, "tolist") else list(counts)
        self.bins: list[Any] = edges.tolist() if hasattr(edges, "tolist") else list(edges)
        if len(self.histogram) > self.MAX_LENGTH:
            message = f"The maximum length of a histogram is {self.MAX_LENGTH}"
            raise ValueError(message)
        if len(self.histogram) + 1 != len(self.bins):
            raise ValueError("len(bins) must be len(histogram) + 1")

    def to_json(self, sink: Sink) -> JsonObject:
        """Return counts and edges."""
        return {"_type": self.log_type, "values": encode(self.histogram, sink), "bins": encode(self.bins, sink)}

    @classmethod
    def from_json(cls, data: dict[str, Any], source: Source) -> Self:
        """Return the histogram again."""
        return cls(np_histogram=(decode(data["values"], source), decode(data["bins"], source)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and (self.histogram, self.bins) == (other.histogram, other.bins)

    def __hash__(self) -> int:
        return hash(tuple(self.histogram))
