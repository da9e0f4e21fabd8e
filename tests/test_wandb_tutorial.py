"""The seeds' tutorial runs as it stands, and leaves the graph it should."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from invariants import assert_store_sound

import lineage
import lineage.wandb

TUTORIAL = Path(lineage.wandb.__file__).with_name("tutorial.py")

EDGES = {
    ("load-data", "mnist-raw:v0"),
    ("mnist-raw:v0", "preprocess-data"),
    ("preprocess-data", "mnist-preprocess:v0"),
    ("initialize", "convnet:v0"),
    ("initialize", "run-initialize-files:v0"),
    ("mnist-preprocess:v0", "train"),
    ("convnet:v0", "train"),
    ("train", "trained-model:v0"),
    ("train", "run-train-files:v0"),
    ("mnist-preprocess:v0", "report"),
    ("trained-model:v0", "report"),
    ("report", "run-report-media-high-loss-examples:v0"),
}
"""What consumed and produced what; runs by their job type, and so where their ids stand in the names of artifacts."""


def run(*arguments: str) -> None:
    """Run a program in the working folder."""
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:lineage", *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def edges(project: lineage.Project) -> set[tuple[str, str]]:
    """Return the edges of a project, with job types in the place of run ids."""
    job_types = {one.id: str(one.job_type) for one in project.runs(order="started_at")}

    def shown(node: str) -> str:
        return re.sub("|".join(job_types), lambda match: job_types[match[0]], node)

    return {(shown(source), shown(target)) for source, target in project.graph().edges}


@pytest.mark.slow
def test_tutorial_leaves_the_graph_of_the_seed(tmp_path: Path) -> None:
    """Five chained runs: load, preprocess, initialise, train, evaluate; edge by edge what the seed describes."""
    run("-m", "lineage.wandb.tutorial")
    project = lineage.open("artifacts-example.lineage")

    assert edges(project) == EDGES
    assert [one.job_type for one in project.runs()] == ["load-data", "preprocess-data", "initialize", "train", "report"]
    assert {one.status for one in project.runs()} == {"finished"}
    assert_store_sound(project)


@pytest.mark.slow
def test_tutorial_as_a_script_for_wandb_leaves_the_same_graph(tmp_path: Path) -> None:
    """With W&B's own import line, and nothing else changed, it runs by way of `python -m lineage.wandb`."""
    text = TUTORIAL.read_text("utf-8")
    assert text.count("import lineage.wandb as wandb\n") == 1
    Path("script.py").write_text(text.replace("import lineage.wandb as wandb\n", "import wandb\n"), "utf-8")

    run("-m", "lineage.wandb", "script.py")

    assert edges(lineage.open("artifacts-example.lineage")) == EDGES


@pytest.mark.slow
def test_tutorial_records_what_the_seed_tells_to_record(tmp_path: Path) -> None:
    """Metadata of each step, the config, metrics by step, the summary, and images with captions that read back."""
    run("-m", "lineage.wandb.tutorial")
    project = lineage.open("artifacts-example.lineage")
    raw, convnet = project.version("mnist-raw"), project.version("convnet")
    train, report = project.runs(job_type="train")[0], project.runs(job_type="report")[0]
    images = lineage.wandb.Api().artifact(f"artifacts-example/{report.logged_artifacts()[0].reference}")
    hardest: Any = images.get("high-loss-examples_0")

    assert [entry.path for entry in raw.files()] == ["test.npz", "training.npz", "validation.npz"]
    assert raw.metadata == {"source": "sklearn.datasets.load_digits", "sizes": [1200, 300, 297]}
    assert project.version("mnist-preprocess").metadata == {"normalize": True, "expand_dims": True}
    assert convnet.metadata == {"hidden_layer_sizes": [32, 64], "activation": "ReLU", "num_classes": 10}
    assert train.config == {"batch_size": 32, "epochs": 10, "batch_log_interval": 10, "lr": 0.1, **convnet.metadata}
    assert [row.values["epoch"] for row in train.history(["validation/loss", "epoch"]) if len(row.values) == 2] == list(
        range(10)
    )
    summary: dict[str, Any] = report.summary
    assert summary["accuracy"] > 0.8
    assert summary["high-loss-examples"]["count"] == 32
    assert hardest.image.size == (8, 8)
    assert hardest.caption == summary["high-loss-examples"]["captions"][0]


@pytest.mark.slow
def test_tutorial_run_again_reproduces_its_data(tmp_path: Path) -> None:
    """The second time the data and the initial model are there already: no new versions, and the fact is kept."""
    run("-m", "lineage.wandb.tutorial")
    run("-m", "lineage.wandb.tutorial")
    project = lineage.open("artifacts-example.lineage")

    assert project.artifact("mnist-raw").version_count == 1
    assert [one.job_type for one in project.version("mnist-raw").reproduced_by()] == ["load-data"]
    assert project.artifact("mnist-preprocess").version_count == 1
    assert len(project.runs()) == 10


def test_tutorial_says_nothing_that_only_lineage_understands() -> None:
    """Everything it asks of `wandb` is W&B's, so that the import is the one line that differs."""
    tree = ast.parse(TUTORIAL.read_text("utf-8"))
    asked = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "wandb"
    }

    assert asked == {"init", "Artifact", "save", "log", "Image"}
    if find_spec("wandb") is not None:
        import wandb

        assert all(hasattr(wandb, name) for name in asked)
