"""W&B's public API on local project files."""

from lineage.wandb.apis.public.api import UNSUPPORTED, Api
from lineage.wandb.apis.public.artifacts import (
    ArtifactCollection,
    ArtifactCollections,
    ArtifactFiles,
    Artifacts,
    ArtifactType,
    ArtifactTypes,
    ProjectArtifactCollections,
    RunArtifacts,
)
from lineage.wandb.apis.public.files import File, Files
from lineage.wandb.apis.public.history import HistoryScan
from lineage.wandb.apis.public.projects import Project, Projects
from lineage.wandb.apis.public.registries import Registries, Registry
from lineage.wandb.apis.public.runs import UNSUPPORTED_OF_RUNS, Run, Runs
from lineage.wandb.apis.public.users import User

__all__ = [
    "UNSUPPORTED",
    "UNSUPPORTED_OF_RUNS",
    "Api",
    "ArtifactCollection",
    "ArtifactCollections",
    "ArtifactFiles",
    "ArtifactType",
    "ArtifactTypes",
    "Artifacts",
    "File",
    "Files",
    "HistoryScan",
    "Project",
    "ProjectArtifactCollections",
    "Projects",
    "Registries",
    "Registry",
    "Run",
    "RunArtifacts",
    "Runs",
    "User",
]
