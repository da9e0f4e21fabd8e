"""W&B's Artifacts tutorial as it stands, on a local file: ``python -m lineage.wandb.tutorial``.

Five chained runs: load the data, preprocess it, build a model, train it, evaluate it. Everything that is said to
``wandb`` is said as in W&B's tutorial; what differs from a script for W&B is the import. It trains on the 1,797
handwritten digits that scikit-learn ships, with PyTorch where that is installed and with numpy otherwise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import lineage.wandb as wandb
from lineage.wandb.tutorial_models import Model, build_model

Array = NDArray[Any]
Dataset = tuple[Array, Array]
PROJECT = "artifacts-example"
SPLITS = ("training", "validation", "test")


def load(train_size: int = 1_200) -> list[Dataset]:
    """Load the data: this is the work, and knows nothing of tracking."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x = x.reshape(-1, 8, 8).astype(np.uint8)
    ends = (train_size, train_size + 300, len(x))
    return [(x[start:end], y[start:end]) for start, end in zip((0, *ends), ends, strict=False)]


def load_and_log() -> None:
    """Load the data and log it as a dataset of three files."""
    with wandb.init(project=PROJECT, job_type="load-data") as run:
        datasets = load()
        raw_data = wandb.Artifact(
            "mnist-raw",
            type="dataset",
            description="Raw digits, split into train/val/test",
            metadata={"source": "sklearn.datasets.load_digits", "sizes": [len(x) for x, _ in datasets]},
        )
        for name, data in zip(SPLITS, datasets, strict=True):
            with raw_data.new_file(name + ".npz", mode="wb") as file:
                _save(file, data)
        run.log_artifact(raw_data)


def preprocess(dataset: Dataset, normalize: bool = True, expand_dims: bool = True) -> Dataset:
    """Prepare the data."""
    x, y = dataset
    scaled = x.astype(np.float32) / 16 if normalize else x
    return (scaled[:, None] if expand_dims else scaled), y


def preprocess_and_log(steps: dict[str, bool]) -> None:
    """Use the raw data, prepare it, and log it with the steps as metadata."""
    with wandb.init(project=PROJECT, job_type="preprocess-data") as run:
        processed_data = wandb.Artifact(
            "mnist-preprocess", type="dataset", description="Preprocessed digits", metadata=steps
        )
        raw_data_artifact = run.use_artifact("mnist-raw:latest")
        raw_dataset = raw_data_artifact.download()
        for split in SPLITS:
            processed = preprocess(read(raw_dataset, split), **steps)
            with processed_data.new_file(split + ".npz", mode="wb") as file:
                _save(file, processed)
        run.log_artifact(processed_data)


def build_model_and_log(config: Any) -> None:
    """Build a model and log it before it is trained, so that training can be repeated with all else equal."""
    with wandb.init(project=PROJECT, job_type="initialize", config=config) as run:
        config = run.config
        model = build_model(**config)
        model_artifact = wandb.Artifact("convnet", type="model", description="Simple network", metadata=dict(config))
        model.save("initialized_model.bin")
        model_artifact.add_file("initialized_model.bin")
        wandb.save("initialized_model.bin")
        run.log_artifact(model_artifact)


def train(model: Model, dataset: Dataset, validation: Dataset, config: Any) -> None:
    """Train the model and log what happens."""
    examples = 0
    for epoch in range(config.epochs):
        for batch_index, (x, y) in enumerate(batches(dataset, config.batch_size, seed=epoch)):
            loss = model.step(x, y, config.lr)
            examples += len(x)
            if batch_index % config.batch_log_interval == 0:
                wandb.log({"epoch": epoch, "train/loss": float(loss)}, step=examples)
        loss, accuracy = score(model, validation)
        wandb.log({"epoch": epoch, "validation/loss": loss, "validation/accuracy": accuracy}, step=examples)


def train_and_log(config: Any) -> None:
    """Use the prepared data and the initial model, train, and log the trained model."""
    with wandb.init(project=PROJECT, job_type="train", config=config) as run:
        config = run.config
        data = run.use_artifact("mnist-preprocess:latest")
        data_dir = data.download()
        model_artifact = run.use_artifact("convnet:latest")
        model_dir = model_artifact.download()
        model_config = model_artifact.metadata
        run.config.update(model_config)
        model = build_model(**model_config)
        model.load(Path(model_dir) / "initialized_model.bin")
        train(model, read(data_dir, "training"), read(data_dir, "validation"), config)
        trained = wandb.Artifact(
            "trained-model", type="model", description="Trained network", metadata=dict(model_config)
        )
        model.save("trained_model.bin")
        trained.add_file("trained_model.bin")
        wandb.save("trained_model.bin")
        run.log_artifact(trained)


def evaluate_and_log() -> None:
    """Use the trained model and the test data, and log the score and the examples that confuse it most."""
    with wandb.init(project=PROJECT, job_type="report") as run:
        data = run.use_artifact("mnist-preprocess:latest")
        x, y = read(data.download(), "test")
        model_artifact = run.use_artifact("trained-model:latest")
        model = build_model(**model_artifact.metadata)
        model.load(Path(model_artifact.download()) / "trained_model.bin")
        loss, accuracy = score(model, (x, y))
        run.summary.update({"loss": loss, "accuracy": accuracy})
        losses, guesses = model.losses(x, y)
        hardest = np.argsort(losses)[:-33:-1]
        wandb.log(
            {
                "high-loss-examples": [
                    wandb.Image(x[place, 0], caption=f"{guesses[place]},{y[place]}") for place in hardest
                ]
            }
        )


def read(data_dir: str, split: str) -> Dataset:
    """Read a split of a dataset that was downloaded."""
    with np.load(Path(data_dir) / f"{split}.npz") as data:
        return data["x"], data["y"]


def _save(file: Any, dataset: Dataset) -> None:
    np.savez(file, x=dataset[0], y=dataset[1])


def batches(dataset: Dataset, size: int, seed: int) -> list[Dataset]:
    """Return the data in a random order, some at a time."""
    x, y = dataset
    order = np.random.default_rng(seed).permutation(len(x))
    return [(x[some], y[some]) for some in np.array_split(order, max(1, len(x) // size))]


def score(model: Model, dataset: Dataset) -> tuple[float, float]:
    """Return mean loss and accuracy."""
    losses, guesses = model.losses(*dataset)
    return float(losses.mean()), float((guesses == dataset[1]).mean())


def main() -> None:
    """Run the five steps."""
    load_and_log()
    preprocess_and_log({"normalize": True, "expand_dims": True})
    build_model_and_log({"hidden_layer_sizes": [32, 64], "activation": "ReLU", "num_classes": 10})
    train_and_log({"batch_size": 32, "epochs": 10, "batch_log_interval": 10, "lr": 0.1})
    evaluate_and_log()


if __name__ == "__main__":
    main()
