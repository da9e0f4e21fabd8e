"""Lineage of runs, artifacts and their versions, in one project file.

::

    import lineage

    project = lineage.open("iv3.lineage")
    with project.start_run(job_type="train", config={"lr": 3e-4}, use=["inat-train:latest"]) as run:
        model = lineage.Artifact("iv3_trained", type="model")
        with model.new_file("weights.bin", mode="wb") as f:
            f.write(weights)
        version = run.log_artifact(model, aliases=["best"])

    project.version("iv3_trained:v2").used_by()

Importing it loads the standard library and blake3 only; networkx, pydantic and sqlite-utils are imported by the
calls that need them.
"""

from lineage.artifact import Artifact
from lineage.comparison import Change, Comparison
from lineage.errors import (
    BusyError,
    ConflictError,
    CorruptionError,
    CycleError,
    ErrorKind,
    FormatError,
    InvalidInputError,
    LineageError,
    NotFoundError,
    ReadOnlyError,
    StateError,
    StorageError,
)
from lineage.handles import Run, Version
from lineage.listing import Listing
from lineage.portable.reports import Decision, FillReport, MergeReport, PackReport, Renamed, UnpackReport
from lineage.project import Project, open  # noqa: A004 (the one door; `lineage.open` reads as it should)
from lineage.records import (
    AliasEvent,
    ArtifactRecord,
    Entry,
    Location,
    MetricRow,
    Node,
    OutsideUse,
    RunRecord,
    SearchHit,
    SizeRecord,
    Stale,
    VersionRecord,
)
from lineage.run import ActiveRun
from lineage.upkeep.collection import GcReport
from lineage.upkeep.deletion import PruneReport
from lineage.upkeep.verification import Problem, RepairAction, RepairReport, VerifyReport
from lineage.values import Digest, Reference, RunStatus

__all__ = [
    "ActiveRun",
    "AliasEvent",
    "Artifact",
    "ArtifactRecord",
    "BusyError",
    "Change",
    "Comparison",
    "ConflictError",
    "CorruptionError",
    "CycleError",
    "Decision",
    "Digest",
    "Entry",
    "ErrorKind",
    "FillReport",
    "FormatError",
    "GcReport",
    "InvalidInputError",
    "LineageError",
    "Listing",
    "Location",
    "MergeReport",
    "MetricRow",
    "Node",
    "NotFoundError",
    "OutsideUse",
    "PackReport",
    "Problem",
    "Project",
    "PruneReport",
    "ReadOnlyError",
    "Reference",
    "Renamed",
    "RepairAction",
    "RepairReport",
    "Run",
    "RunRecord",
    "RunStatus",
    "SearchHit",
    "SizeRecord",
    "Stale",
    "StateError",
    "StorageError",
    "UnpackReport",
    "VerifyReport",
    "Version",
    "VersionRecord",
    "open",
]
__version__ = "0.1.0"
