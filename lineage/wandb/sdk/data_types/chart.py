"""Charts of W&B's own gallery: a table, the name of the chart, and which column is what in it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from lineage.jsondata import JsonObject, plain_object
from lineage.wandb.errors import Error
from lineage.wandb.sdk.data_types.base import Sink, Source, WBValue
from lineage.wandb.sdk.data_types.registry import register
from lineage.wandb.sdk.data_types.table import Table


@dataclass
class CustomChartSpec:
    """What is drawn: the chart's name, its fields, and its texts.

    Example:
        >>> CustomChartSpec("wandb/bar/v0", {"label": "class"}, {"title": "Classes"}).panel_type
        'Vega2'
    """

    spec_name: str
    fields: dict[str, Any]
    string_fields: dict[str, Any]
    key: str = ""
    panel_type: str = "Vega2"
    split_table: bool = False


@register
@dataclass
class CustomChart(WBValue):
    """A table and how W&B would draw it. Nothing is drawn here; both are kept.

    Example:
        >>> chart = plot_table("wandb/bar/v0", Table(["a"], [[1]]), {"value": "a"})
        >>> chart.spec.fields
        {'value': 'a'}
    """

    log_type: ClassVar[str] = "custom-chart"
    suffix: ClassVar[str] = ".custom-chart.json"

    table: Table
    spec: CustomChartSpec

    def set_key(self, key: str) -> None:
        """Say under which name it was logged."""
        self.spec.key = key

    def to_json(self, sink: Sink) -> JsonObject:
        """Add the files of the table, and return both."""
        spec = plain_object(asdict(self.spec), "a custom chart")
        return {"_type": self.log_type, "spec": spec, "table": self.table.to_json(sink)}

    @classmethod
    def from_json(cls, data: dict[str, Any], source: Source) -> Self:
        """Return the chart again."""
        return cls(Table.from_json(data["table"], source), CustomChartSpec(**data["spec"]))


def plot_table(
    vega_spec_name: str,
    data_table: Table,
    fields: dict[str, Any],
    string_fields: dict[str, Any] | None = None,
    split_table: bool = False,
) -> CustomChart:
    """Return a chart of a table.

    Args:
        vega_spec_name: The name of the chart in W&B's gallery, or of one of your own there.
        data_table: What is drawn.
        fields: By field of the chart, the column.
        string_fields: Texts, such as the title.
        split_table: Where W&B would show the table.

    Raises:
        Error: `data_table` is no table.
    """
    if not isinstance(data_table, Table):
        message = f"Expected `data_table` to be `wandb.Table` type, instead got {type(data_table).__name__}"
        raise Error(message)
    return CustomChart(
        data_table, CustomChartSpec(vega_spec_name, fields, string_fields or {}, split_table=split_table)
    )
