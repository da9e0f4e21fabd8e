"""The demo: a small network learns handwritten digits, and the project answers for every step.

``lineage demo`` and ``python -m lineage.demo`` run it. What each step does stands apart from what is tracked of
it: ``load`` knows nothing of lineage, and ``load_and_log`` wraps it. Everything is computed from fixed seeds, so
on one machine every start computes the same.
"""

from __future__ import annotations

import io
import json
import logging
import shlex
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import lineage
from lineage.errors import NotFoundError
from lineage.exports import tree_text
from lineage.system import storage_errors

with suppress(ImportError):  # main says which extra brings it
    import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]
    Network: TypeAlias = dict[str, Array]

Echo: TypeAlias = Callable[[str], None]

LEARNING_RATES: Final = (0.02, 0.05, 0.1)
NOISE_LEVELS: Final = (0.1, 0.2, 0.4)
HIDDEN_UNITS: Final = 48
HARDEST: Final = 32
SEED: Final = 7
_SPLITS: Final = {"train": 1200, "validation": 297, "test": 300}
_FIXED: Final = "iv3_trained:v2"


class Examples(NamedTuple):
    """Images and what they show."""

    images: Array
    labels: Array


@dataclass(frozen=True, slots=True)
class Training:
    """What a training is told; the run keeps it as its config."""

    lr: float
    momentum: float = 0.9
    batch_size: int = 32
    epochs: int = 5
    frozen_epochs: int = 2
    seed: int = SEED


class Step(NamedTuple):
    """What a step of the pipeline came to: its run, and for each artifact it logged the versions and a few words."""

    run: lineage.ActiveRun
    made: list[tuple[list[lineage.Version], str]]

    @property
    def again(self) -> bool:
        """Whether the run made nothing new: it only reproduced what was there."""
        return not self.run.logged_artifacts()


# --- The work: knows nothing of lineage ------------------------------------------------------------------------


def load() -> dict[str, Examples]:
    """Return the digits that scikit-learn ships, shuffled and split."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.default_rng(SEED).permutation(len(digits.target))
    images, labels = digits.images[order].astype(np.uint8), digits.target[order].astype(np.uint8)
    found, start = {}, 0
    for split, size in _SPLITS.items():
        found[split] = Examples(images[start : start + size], labels[start : start + size])
        start += size
    return found


def preprocess(examples: Examples, *, normalise: bool, flatten: bool) -> Examples:
    """Return the images as the network reads them: from 0 to 1, and as rows."""
    images = examples.images
    if normalise:
        images = (images / 16).astype(np.float32)
    if flatten:
        images = images.reshape(len(images), -1)
    return Examples(images, examples.labels)


def initial_network(hidden_units: int, seed: int) -> Network:
    """Return an untrained network: a stem that sees the pixels, and a head that names the digit."""
    random = np.random.default_rng(seed)

    def weights(inputs: int, outputs: int) -> Array:
        return random.normal(0, (2 / inputs) ** 0.5, (inputs, outputs)).astype(np.float32)

    return {
        "stem/weight": weights(64, hidden_units),
        "stem/bias": np.zeros(hidden_units, np.float32),
        "head/weight": weights(hidden_units, 10),
        "head/bias": np.zeros(10, np.float32),
    }


def forward(network: Network, images: Array) -> tuple[Array, Array]:
    """Return the hidden layer, and the probability of each digit."""
    hidden = np.maximum(images @ network["stem/weight"] + network["stem/bias"], 0)
    scores = hidden @ network["head/weight"] + network["head/bias"]
    likely = np.exp(scores - scores.max(axis=1, keepdims=True))
    return hidden, likely / likely.sum(axis=1, keepdims=True)


def losses(probabilities: Array, labels: Array) -> Array:
    """Return the cross-entropy of each example."""
    return -np.log(probabilities[np.arange(len(labels)), labels] + 1e-9)


def quality(probabilities: Array, labels: Array) -> dict[str, float]:
    """Return the mean loss, and the share of digits named rightly."""
    right = probabilities.argmax(axis=1) == labels
    return {"loss": float(losses(probabilities, labels).mean()), "accuracy": float(right.mean())}


def gradients(network: Network, batch: Examples) -> Network:
    """Return how the loss of a batch changes with each weight."""
    hidden, slope = forward(network, batch.images)
    slope[np.arange(len(batch.labels)), batch.labels] -= 1
    slope /= len(batch.labels)
    back = (slope @ network["head/weight"].T) * (hidden > 0)
    return {
        "stem/weight": batch.images.T @ back,
        "stem/bias": back.sum(axis=0),
        "head/weight": hidden.T @ slope,
        "head/bias": slope.sum(axis=0),
    }


def train(network: Network, data: Mapping[str, Examples], told: Training) -> Iterator[tuple[Network, dict[str, Any]]]:
    """Yield the network and its metrics after each epoch; the stem stays as it is during the first few.

    Stochastic gradient descent with momentum.
    """
    random = np.random.default_rng(told.seed)
    speed = {name: np.zeros_like(weights) for name, weights in network.items()}
    for epoch in range(told.epochs):
        moving = [name for name in network if epoch >= told.frozen_epochs or name.startswith("head/")]
        order = random.permutation(len(data["train"].labels))
        for start in range(0, len(order), told.batch_size):
            chosen = order[start : start + told.batch_size]
            slopes = gradients(network, Examples(data["train"].images[chosen], data["train"].labels[chosen]))
            for name in moving:
                speed[name] = told.momentum * speed[name] - told.lr * slopes[name]
            network = {**network, **{name: network[name] + speed[name] for name in moving}}
        yield network, {split: quality(forward(network, x)[1], y) for split, (x, y) in data.items() if split != "test"}


def confusion(predicted: Array, labels: Array) -> list[list[int]]:
    """Return how often each digit (row) was read as each (column)."""
    return [[int(((labels == digit) & (predicted == read)).sum()) for read in range(10)] for digit in range(10)]


def portable_graymap(image: Array) -> bytes:
    """Return a digit as a PGM picture of 64 by 64 pixels, which any viewer opens."""
    pixels = np.kron((255 * image).astype(np.uint8).reshape(8, 8), np.ones((8, 8), np.uint8))
    return b"P5 64 64 255\n" + pixels.tobytes()


# --- The tracking: a run around each piece of work -------------------------------------------------------------


def load_and_log(project: lineage.Project) -> Step:
    """Load the digits and log them as they come."""
    with project.start_run("load") as run:
        data = load()
        about = {"source": "sklearn.datasets.load_digits", "shape": [8, 8], "sizes": _SPLITS}
        raw = lineage.Artifact("digits-raw", "dataset", "Handwritten digits, split in three", about)
        _add_examples(raw, data)
        return Step(run, [([_log(run, raw)], f"{sum(_SPLITS.values()):,} images in {len(data)} splits")])


def preprocess_and_log(project: lineage.Project) -> Step:
    """Make the raw digits into what the network reads; the steps become metadata."""
    steps = {"normalise": True, "flatten": True}
    with project.start_run("preprocess-data") as run:
        raw = _read_examples(run.use_artifact("digits-raw:latest"))
        ready = {split: preprocess(examples, **steps) for split, examples in raw.items()}
        draft = lineage.Artifact("digits-preprocessed", "dataset", metadata={"steps": steps})
        _add_examples(draft, ready)
        return Step(run, [([_log(run, draft)], "scaled to 0-1, flattened")])


def initialise_and_log(project: lineage.Project) -> Step:
    """Log the network before any training, so that every training can start from the same."""
    with project.start_run("initialise", config={"hidden_units": HIDDEN_UNITS, "seed": SEED}) as run:
        network = initial_network(**run.config)
        version = _log_network(run, "iv3", network, dict(run.config))
        return Step(run, [([version], f"a network of 64-{HIDDEN_UNITS}-10, untrained")])


def train_and_log(project: lineage.Project, lr: float) -> Step:
    """Train from the initial network and log a checkpoint after each epoch."""
    told = Training(lr)
    with project.start_run("train", config=told) as run:
        network = _read_network(run.use_artifact("iv3:latest"))
        data = _read_examples(run.use_artifact("digits-preprocessed:latest"))
        versions = []
        for epoch, (trained, metrics) in enumerate(train(network, data, told), start=1):
            run.log(metrics, step=epoch)
            about = {"epoch": epoch, "lr": lr, **metrics}
            aliases = _aliases(project, metrics["validation"]["accuracy"])
            versions.append(_log_network(run, "iv3_trained", trained, about, *aliases))
        return Step(run, [(versions, f"learning rate {lr}, {told.epochs} epochs")])


def evaluate_and_log(project: lineage.Project, checkpoint: str) -> Step:
    """Try a checkpoint on the test set; log what it says, and the examples that puzzle it most."""
    with project.start_run("evaluate", config={"split": "test"}) as run:
        model = run.use_artifact(checkpoint)
        test = _read_examples(run.use_artifact("digits-preprocessed:latest"))["test"]
        _, probabilities = forward(_read_network(model), test.images)
        run.log(quality(probabilities, test.labels))
        predictions = _log_predictions(run, "predictions", probabilities, {"model": model.reference})
        hardest = _log_hardest(run, probabilities, test)
        words = f"{model.reference} reads {_percent(run.summary.accuracy)} rightly"
        return Step(run, [([predictions], words), ([hardest], f"the {HARDEST} of the highest loss")])


def score_and_log(project: lineage.Project, predictions: lineage.Version) -> Step:
    """Compare predictions with the truth; it knows neither the model nor how they were made."""
    with project.start_run("score", use=[predictions, "digits-raw:latest"]) as run:
        (raw,) = run.used_artifacts("dataset")
        labels, predicted = _read_array(raw, "test/labels.npy"), _read_array(predictions, "predicted.npy")
        run.summary.accuracy = float((predicted == labels).mean())
        results = lineage.Artifact("results", "evaluation", metadata={"accuracy": run.summary.accuracy})
        with results.new_file("confusion.json") as file:
            json.dump(confusion(predicted, labels), file)
        words = f"{predictions.reference}: {_percent(run.summary.accuracy)} right"
        return Step(run, [([_log(run, results)], words)])


def infer_and_log(project: lineage.Project, noise: float) -> Step:
    """Let one fixed checkpoint read a test set that noise was added to."""
    with project.start_run("inference", config={"noise": noise, "seed": SEED}) as run:
        model = run.use_artifact(_FIXED)
        test = _read_examples(run.use_artifact("digits-preprocessed:latest"))["test"]
        disturbed = test.images + np.random.default_rng(SEED).normal(0, noise, test.images.shape)
        _, probabilities = forward(_read_network(model), disturbed.clip(0, 1).astype(np.float32))
        run.log(quality(probabilities, test.labels))
        version = _log_predictions(run, "noisy-predictions", probabilities, {"noise": noise})
        words = f"{model.reference}, noise {noise}: {_percent(run.summary.accuracy)}"
        return Step(run, [([version], words)])


def _aliases(project: lineage.Project, accuracy: float) -> list[str]:
    """Return ``best`` if no checkpoint that bears it is as good, and ``baseline`` for the very first."""
    checkpoints = {"artifact": "iv3_trained"}
    as_good = {"metadata.validation.accuracy": {"$gte": accuracy}}
    aliases = [] if len(project.versions(as_good, alias="best", **checkpoints)) else ["best"]
    return aliases if len(project.versions(alias="baseline", **checkpoints)) else [*aliases, "baseline"]


def _log(run: lineage.ActiveRun, draft: lineage.Artifact, *aliases: str) -> lineage.Version:
    version = run.log_artifact(draft, aliases=aliases)
    assert version is not None, "only only_if_better gives None"
    return version


def _log_network(
    run: lineage.ActiveRun, name: str, network: Network, about: dict[str, Any], *aliases: str
) -> lineage.Version:
    """Log each array as a file of its own: those that training leaves alone share their bytes."""
    draft = lineage.Artifact(name, "model", metadata=about)
    for layer, weights in network.items():
        _add_array(draft, f"{layer}.npy", weights)
    return _log(run, draft, *aliases)


def _log_predictions(run: lineage.ActiveRun, name: str, probabilities: Array, about: dict[str, Any]) -> lineage.Version:
    draft = lineage.Artifact(name, "predictions", metadata=about)
    _add_array(draft, "probabilities.npy", probabilities)
    _add_array(draft, "predicted.npy", probabilities.argmax(axis=1).astype(np.uint8))
    return _log(run, draft)


def _log_hardest(run: lineage.ActiveRun, probabilities: Array, test: Examples) -> lineage.Version:
    """Log the examples of the highest loss, as pictures and as a list."""
    cost = losses(probabilities, test.labels)
    draft, listed = lineage.Artifact("hardest-examples", "examples"), []
    for rank, index in enumerate((-cost).argsort(kind="stable")[:HARDEST].tolist(), start=1):
        picture = f"images/{rank:02}.pgm"
        with draft.new_file(picture, "xb") as file:
            file.write(portable_graymap(test.images[index]))
        label, predicted = int(test.labels[index]), int(probabilities[index].argmax())
        listed.append({"image": picture, "label": label, "predicted": predicted, "loss": float(cost[index])})
    with draft.new_file("examples.json") as file:
        json.dump(listed, file, indent=1)
    return _log(run, draft)


def _add_array(draft: lineage.Artifact, path: str, array: Array) -> None:
    with draft.new_file(path, "xb") as file:
        np.save(file, array, allow_pickle=False)


def _read_array(version: lineage.Version, path: str) -> Array:
    with version.open(path) as file:
        content = io.BytesIO(file.read())  # read to the end, the bytes are verified; numpy would seek in them
    array: Array = np.load(content, allow_pickle=False)
    return array


def _add_examples(draft: lineage.Artifact, data: Mapping[str, Examples]) -> None:
    for split, examples in data.items():
        _add_array(draft, f"{split}/images.npy", examples.images)
        _add_array(draft, f"{split}/labels.npy", examples.labels)


def _read_examples(version: lineage.Version) -> dict[str, Examples]:
    return {
        split: Examples(_read_array(version, f"{split}/images.npy"), _read_array(version, f"{split}/labels.npy"))
        for split in _SPLITS
    }


def _read_network(version: lineage.Version) -> Network:
    return {entry.path.removesuffix(".npy"): _read_array(version, entry.path) for entry in version.files()}


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


# --- The start: what is missing is made, what is there is used again -------------------------------------------


def steps(project: lineage.Project) -> Iterator[Step]:
    """Run the pipeline and yield its steps as they end.

    The training takes the next learning rate at every start. A checkpoint is evaluated, predictions are scored
    and noise is tried only where no run has done so yet: the project is asked.
    """
    yield load_and_log(project)
    yield preprocess_and_log(project)
    yield initialise_and_log(project)
    trainings = len(project.runs(job_type="train", status="finished"))
    yield train_and_log(project, LEARNING_RATES[trainings % len(LEARNING_RATES)])
    for checkpoint in ("iv3_trained:baseline", "iv3_trained:best"):
        if not project.runs(job_type="evaluate", status="finished", consumed=checkpoint):
            yield evaluate_and_log(project, checkpoint)
    for predictions in project.versions(artifact="predictions"):
        if not project.runs(job_type="score", status="finished", consumed=predictions):
            yield score_and_log(project, predictions)
    for noise in NOISE_LEVELS:
        tried = {"config.noise": noise, "status": "finished"}
        if not project.runs(tried, job_type="inference", consumed=_FIXED):
            yield infer_and_log(project, noise)


def main(folder: Path, echo: Echo = print) -> None:
    """Run the demo's pipeline in a folder, then ask its project what became of it.

    Every further start trains with the next learning rate and uses again what has not changed.

    Args:
        folder: Where ``iv3.lineage`` lies, or is to lie; made if it is not there.
        echo: Told each line for the reader.

    Raises:
        NotFoundError: scikit-learn is not installed; nothing is made.
        StorageError: The folder cannot be made.
    """
    _check_extra()
    with storage_errors("cannot make the demo's folder"):
        folder.mkdir(parents=True, exist_ok=True)
    project = lineage.open(folder / "iv3.lineage")
    _tell(echo, _introduction(project))
    again = []
    with _quiet():
        for step in steps(project):
            _tell(echo, _step_lines(step))
            again += [version.reference for versions, _ in step.made for version in versions if step.again]
    if again:
        _tell(
            echo,
            [
                "",
                *_wrapped(
                    f"The same bytes as before, so no new versions: {_listed(again)}. "
                    "The runs are noted as having reproduced them."
                ),
            ],
        )
    for answer in (_consumers, _upstream, _difference, _whole, _reuse, _onwards):
        _tell(echo, ["", *answer(project)])


def _check_extra() -> None:
    if any(find_spec(package) is None for package in ("numpy", "sklearn")):
        message = "the demo needs scikit-learn; install the extra: pip install 'lineage-db[demo]'"
        raise NotFoundError(message)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back the log's warning that content is known already: the demo says it in its own words."""
    logger = logging.getLogger("lineage")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


# --- What the reader sees: 80 columns --------------------------------------------------------------------------


def _tell(echo: Echo, lines: Iterable[str]) -> None:
    for line in lines:
        echo(line.rstrip())


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 80, break_long_words=False, break_on_hyphens=False)


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _introduction(project: lineage.Project) -> list[str]:
    title = "lineage demo: handwritten digits, from pixels to a scored model"
    text = f"Each step is a run: it says what it uses and logs what it makes. All of it is kept in {project.file}"
    return [title, "=" * len(title), *_wrapped(text), ""]


def _step_lines(step: Step) -> Iterator[str]:
    job_type = step.run.job_type
    for versions, words in step.made:
        span = versions[0].reference + (f" to v{versions[-1].number}" if len(versions) > 1 else "")
        yield f"  {job_type:<15}  {span:<22}  {'as before' if step.again else words}"
        job_type = ""


def _consumers(project: lineage.Project) -> Iterator[str]:
    yield f"Which runs consumed {_FIXED}?"
    yield f'  >>> project.version("{_FIXED}").used_by()'
    for run in project.version(_FIXED).used_by():
        noise = f"noise {run.config['noise']}" if "noise" in run.config else ""
        yield f"      {run.name:<24}{run.job_type:<12}{noise:<12}{_percent(run.summary['accuracy'])} right"


def _upstream(project: lineage.Project) -> Iterator[str]:
    yield "And what was it made from?"
    yield f"  $ lineage up {_FIXED}"
    tree = tree_text(project.graph(_FIXED, direction="up"), _FIXED, direction="up")
    yield from textwrap.indent(tree, " " * 6).splitlines()


def _difference(project: lineage.Project) -> Iterator[str]:
    found = project.diff(_FIXED, "iv3_trained:best")
    yield f"What differs between it and the best, {found.new}?"
    yield f'  >>> project.diff("{_FIXED}", "iv3_trained:best")'
    total = len(found.changed) + found.unchanged
    yield f"      files     {len(found.changed)} of {total} changed: {', '.join(old.path for old, _ in found.changed)}"
    yield from _changes("metadata", found.metadata)
    yield from _changes("config", found.config)
    yield "      upstream  " + (
        "differs: " + _listed([*found.upstream]) if found.upstream else "the same data, the same initial model"
    )


def _changes(title: str, changes: Mapping[str, lineage.Change]) -> Iterator[str]:
    if not changes:
        yield f"      {title:<10}the same: one run made both"
    for key, change in changes.items():
        yield f"      {title:<10}{key:<22}{_rounded(change.old)} -> {_rounded(change.new)}"
        title = ""


def _rounded(value: object) -> str:
    return f"{value:.3f}".rstrip("0") if isinstance(value, float) else str(value)


def _whole(project: lineage.Project) -> Iterator[str]:
    yield "How does it all hang together?"
    yield '  >>> project.graph(collapse="name")'
    yield f"      {'made by':<17}{'artifact (versions)':<25}used by"
    graph = project.graph(collapse="name")
    for artifact in project.artifacts(order="created_at"):
        node = f"artifact:{artifact.name}"
        makers, users = ([graph.nodes[job]["label"] for job in jobs] for jobs in (graph.pred[node], graph.succ[node]))
        yield f"      {_listed(makers):<17}{artifact.name + f' ({artifact.version_count})':<25}{', '.join(users)}"


def _reuse(project: lineage.Project) -> Iterator[str]:
    path = "stem/weight.npy"
    yield "How often was content re-used?"
    yield f'  >>> project.whereis(project.version("iv3:v0").entry("{path}").digest)'
    found = project.whereis(project.version("iv3:v0").entry(path).digest)
    (files,) = project.sql("SELECT count(*) AS n, count(DISTINCT digest) AS kept FROM files")
    (logs,) = project.sql("SELECT count(*) AS n FROM reproductions")
    text = (
        f"{path} is frozen at first, so it is in {_listed([place.reference for place in found])}, and kept once."
        f" So it is with all bytes: {files['n']} files in {len(project.versions())} versions are "
        f"{files['kept']} contents."
    )
    yield from (f"      {line}" for line in textwrap.wrap(text, 74))


def _onwards(project: lineage.Project) -> Iterator[str]:
    folder = shlex.quote(str(project.file.parent))
    yield "And now?"
    yield f"  $ lineage demo {folder}  # again: it takes the next learning rate"
    yield f"  $ cd {folder} && lineage ls"
    yield "  $ lineage show iv3_trained:best"
    yield "  $ lineage up predictions"
    yield "  >>> import lineage"
    yield '  >>> project = lineage.open("iv3.lineage")'
    yield '  >>> best = project.runs(job_type="score", order="-summary.accuracy")[0]'
    yield "  >>> best.used_artifacts()"


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "lineage-demo"))
