"""The media classes under the name that programs written for W&B import them by."""

from __future__ import annotations

from lineage.wandb.sdk.data_types.base import WBValue
from lineage.wandb.sdk.data_types.histogram import Histogram
from lineage.wandb.sdk.data_types.html import Html
from lineage.wandb.sdk.data_types.image import Image
from lineage.wandb.sdk.data_types.other import (
    Audio,
    Bokeh,
    Classes,
    Graph,
    JoinedTable,
    Molecule,
    Object3D,
    PartitionedTable,
    Plotly,
    Video,
)
from lineage.wandb.sdk.data_types.table import Table

__all__ = [
    "Audio",
    "Bokeh",
    "Classes",
    "Graph",
    "Histogram",
    "Html",
    "Image",
    "JoinedTable",
    "Molecule",
    "Object3D",
    "PartitionedTable",
    "Plotly",
    "Table",
    "Video",
    "WBValue",
]
