"""The demo, ``lineage demo``: a small network learns handwritten digits, and the project answers for every step.

What a step does stands apart from what is tracked of it: ``load`` knows nothing of lineage, and ``load_and_log``
wraps it. All randomness has a fixed seed, so that on one machine every start computes the same.
"""

from __future__ import annotations

import io
import json
import logging
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from textwrap import indent, wrap
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import lineage
from lineage.errors import ConflictError, NotFoundError
from lineage.exports import tree_text
from lineage.system import storage_errors

with suppress(ImportError):  # main says which extra brings it
    import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]
    Network: TypeAlias = dict[str, Array]

LEARNING_RATES: Final = (0.02, 0.05, 0.1)
NOISE_LEVELS: Final = (0.1, 0.2, 0.4)
HIDDEN_UNITS: Final = 48
HARDEST: Final = 32
SEED: Final = 3
SIZES: Final = {"train": 1200, "validation": 297, "test": 300}
FIXED: Final = "iv3_trained:v2"
"""The checkpoint that inference is pinned to, and that the questions are about."""
TITLE: Final = "lineage demo: handwritten digits, from pixels to a scored model"
INTRODUCTION: Final = "Each step is a run: it says what it uses, and logs what it makes."


class Examples(NamedTuple):
    """Images and what they show."""

    images: Array
    labels: Array


@dataclass(frozen=True, slots=True)
class Training:
    """What a training is told; its run keeps it as the config."""

    lr: float
    momentum: float = 0.9
    batch_size: int = 32
    epochs: int = 5
    frozen_epochs: int = 2
    seed: int = SEED


# --- The work: it knows nothing of lineage ---------------------------------------------------------------------


def load() -> dict[str, Examples]:
    """Return the digits that scikit-learn ships, shuffled and split."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.default_rng(SEED).permutation(len(digits.target))
    cuts = [SIZES["train"], SIZES["train"] + SIZES["validation"]]
    images = np.split(digits.images[order].astype(np.uint8), cuts)
    labels = np.split(digits.target[order].astype(np.uint8), cuts)
    return dict(zip(SIZES, map(Examples, images, labels), strict=True))


def preprocess(examples: Examples, *, normalise: bool, flatten: bool) -> Examples:
    """Return the images as the network reads them: from 0 to 1, and as rows."""
    images = (examples.images / 16).astype(np.float32) if normalise else examples.images
    return Examples(images.reshape(len(images), -1) if flatten else images, examples.labels)


def initial_network(hidden_units: int, seed: int) -> Network:
    """Return an untrained network: a stem that sees the pixels, and a head that names the digit."""
    random = np.random.default_rng(seed)
    stem, head = random.normal(0, 0.18, (64, hidden_units)), random.normal(0, 0.2, (hidden_units, 10))
    network = {"stem/weight": stem, "stem/bias": np.zeros(hidden_units), "head/weight": head, "head/bias": np.zeros(10)}
    return {name: weights.astype(np.float32) for name, weights in network.items()}


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
    """Return the mean loss, and the share of digits that are read rightly."""
    right = probabilities.argmax(axis=1) == labels
    return {"loss": float(losses(probabilities, labels).mean()), "accuracy": float(right.mean())}


def gradients(network: Network, images: Array, labels: Array) -> Network:
    """Return how the loss of a batch changes with each weight."""
    hidden, slope = forward(network, images)
    slope = (slope - np.eye(10, dtype=np.float32)[labels]) / len(labels)
    back = (slope @ network["head/weight"].T) * (hidden > 0)
    stem = {"stem/weight": images.T @ back, "stem/bias": back.sum(axis=0)}
    return {**stem, "head/weight": hidden.T @ slope, "head/bias": slope.sum(axis=0)}


def train(network: Network, data: Mapping[str, Examples], told: Training) -> Iterator[tuple[Network, dict[str, Any]]]:
    """Yield the network and its metrics after each epoch of gradient descent; at first the stem is frozen."""
    random = np.random.default_rng(told.seed)
    speed = {name: np.zeros_like(weights) for name, weights in network.items()}
    images, labels = data["train"]
    for epoch in range(told.epochs):
        moving = [name for name in network if epoch >= told.frozen_epochs or name.startswith("head/")]
        order = random.permutation(len(labels))
        for start in range(0, len(order), told.batch_size):
            batch = order[start : start + told.batch_size]
            slopes = gradients(network, images[batch], labels[batch])
            speed |= {name: told.momentum * speed[name] - told.lr * slopes[name] for name in moving}
            network = network | {name: network[name] + speed[name] for name in moving}
        yield network, {split: quality(forward(network, x)[1], y) for split, (x, y) in data.items() if split != "test"}


# --- The tracking: a run around each piece of work -------------------------------------------------------------


class Step(NamedTuple):
    """What a step came to: its run, and for each artifact it logged the versions and a few words."""

    run: lineage.ActiveRun
    made: list[tuple[list[lineage.Version], str]]


def load_and_log(project: lineage.Project) -> Step:
    """Load the digits and log them as they come."""
    about = {"source": "sklearn.datasets.load_digits", "shape": [8, 8], "sizes": SIZES}
    with project.start_run("load") as run:
        draft = lineage.Artifact("digits-raw", "dataset", "Handwritten digits, split in three", about)
        _add_examples(draft, load())
        return Step(run, [([_log(run, draft)], f"{sum(SIZES.values()):,} images in {len(SIZES)} splits")])


def preprocess_and_log(project: lineage.Project) -> Step:
    """Make of the raw digits what the network reads; how it is done becomes metadata."""
    how = {"normalise": True, "flatten": True}
    with project.start_run("preprocess-data") as run:
        raw = _read_examples(run.use_artifact("digits-raw:latest"))
        draft = lineage.Artifact("digits-preprocessed", "dataset", metadata={"steps": how})
        _add_examples(draft, {split: preprocess(examples, **how) for split, examples in raw.items()})
        return Step(run, [([_log(run, draft)], "scaled to 0-1, flattened")])


def initialise_and_log(project: lineage.Project) -> Step:
    """Log the network before any training, so that every training can begin with the same."""
    with project.start_run("initialise", config={"hidden_units": HIDDEN_UNITS, "seed": SEED}) as run:
        draft = _network_draft("iv3", initial_network(**run.config), dict(run.config))
        return Step(run, [([_log(run, draft)], f"a network of 64-{HIDDEN_UNITS}-10, untrained")])


def train_and_log(project: lineage.Project, lr: float) -> Step:
    """Train the initial network and log a checkpoint after each epoch."""
    told, versions = Training(lr), []
    with project.start_run("train", config=told) as run:
        network = _read_network(run.use_artifact("iv3:latest"))
        data = _read_examples(run.use_artifact("digits-preprocessed:latest"))
        for epoch, (trained, metrics) in enumerate(train(network, data, told), start=1):
            run.log(metrics, step=epoch)
            draft = _network_draft("iv3_trained", trained, {"epoch": epoch, **metrics})
            versions.append(_log(run, draft, *_aliases(project, metrics["validation"]["accuracy"])))
        return Step(run, [(versions, f"learning rate {lr}, {told.epochs} epochs")])


def evaluate_and_log(project: lineage.Project, checkpoint: str) -> Step:
    """Try a checkpoint on the test set; log what it reads, and the examples that puzzle it most."""
    with project.start_run("evaluate") as run:
        model = run.use_artifact(checkpoint)
        test = _read_examples(run.use_artifact("digits-preprocessed:latest"))["test"]
        _, probabilities = forward(_read_network(model), test.images)
        run.log(quality(probabilities, test.labels))
        predictions = _log(run, _predictions_draft("predictions", probabilities, {"model": model.reference}))
        hardest = _log(run, _hardest_draft(probabilities, test))
        words = f"{model.reference} reads {run.summary.accuracy:.1%} rightly"
        return Step(run, [([predictions], words), ([hardest], f"the {HARDEST} of the highest loss")])


def score_and_log(project: lineage.Project, predictions: lineage.Version) -> Step:
    """Compare predictions with the truth, knowing nothing of the model behind them."""
    with project.start_run("score") as run:
        predicted = _read_array(run.use_artifact(predictions), "predicted.npy")
        labels = _read_array(run.use_artifact("digits-raw:latest"), "test/labels.npy")
        run.summary.accuracy = float((predicted == labels).mean())
        draft = lineage.Artifact("results", "evaluation", metadata={"accuracy": run.summary.accuracy})
        with draft.new_file("confusion.json") as file:
            table = np.bincount(10 * labels.astype(int) + predicted, minlength=100).reshape(10, 10)
            json.dump({"rows": "label", "columns": "read as", "counts": table.tolist()}, file)
        return Step(run, [([_log(run, draft)], f"{predictions.reference}: {run.summary.accuracy:.1%} right")])


def infer_and_log(project: lineage.Project, noise: float) -> Step:
    """Let one fixed checkpoint read the test set with noise on it."""
    with project.start_run("inference", config={"noise": noise, "seed": SEED}) as run:
        model = run.use_artifact(FIXED)
        test = _read_examples(run.use_artifact("digits-preprocessed:latest"))["test"]
        disturbed = test.images + np.random.default_rng(SEED).normal(0, noise, test.images.shape)
        _, probabilities = forward(_read_network(model), disturbed.clip(0, 1).astype(np.float32))
        run.log(quality(probabilities, test.labels))
        version = _log(run, _predictions_draft("noisy-predictions", probabilities, {"noise": noise}))
        return Step(run, [([version], f"{model.reference}, noise {noise}: {run.summary.accuracy:.1%}")])


def _aliases(project: lineage.Project, accuracy: float) -> list[str]:
    """Return ``baseline`` for the very first checkpoint, and ``best`` for one that beats the best so far."""
    as_good = {"metadata.validation.accuracy": {"$gte": accuracy}}
    best = project.versions(as_good, artifact="iv3_trained", alias="best")
    first = project.versions(artifact="iv3_trained", limit=1)
    return [alias for alias, taken in (("baseline", first), ("best", best)) if not taken]


def _log(run: lineage.ActiveRun, draft: lineage.Artifact, *aliases: str) -> lineage.Version:
    """Log a draft; that its content is known already the demo says in its own words, and not in the log."""
    logger = logging.getLogger("lineage")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        version = run.log_artifact(draft, aliases=aliases)
    finally:
        logger.setLevel(level)
    assert version is not None, "only a log with only_if_better gives None"
    return version


def _network_draft(name: str, network: Network, about: dict[str, Any]) -> lineage.Artifact:
    """Return each array as a file of its own: those that training leaves alone then share their bytes."""
    draft = lineage.Artifact(name, "model", metadata=about)
    for layer, weights in network.items():
        _add_array(draft, f"{layer}.npy", weights)
    return draft


def _predictions_draft(name: str, probabilities: Array, about: dict[str, Any]) -> lineage.Artifact:
    draft = lineage.Artifact(name, "predictions", metadata=about)
    _add_array(draft, "probabilities.npy", probabilities)
    _add_array(draft, "predicted.npy", probabilities.argmax(axis=1).astype(np.uint8))
    return draft


def _hardest_draft(probabilities: Array, test: Examples) -> lineage.Artifact:
    """Return the examples of the highest loss, as pictures that any viewer opens and as a list."""
    cost = losses(probabilities, test.labels)
    draft, listed = lineage.Artifact("hardest-examples", "examples"), []
    for rank, index in enumerate((-cost).argsort(kind="stable")[:HARDEST], start=1):
        with draft.new_file(f"images/{rank:02}.pgm", "xb") as file:
            pixels = np.kron((255 * test.images[index]).astype(np.uint8).reshape(8, 8), np.ones((8, 8), np.uint8))
            file.write(b"P5 64 64 255\n" + pixels.tobytes())
        read = {"label": test.labels[index], "predicted": probabilities[index].argmax(), "loss": cost[index]}
        listed.append({"image": f"images/{rank:02}.pgm", **{name: value.item() for name, value in read.items()}})
    with draft.new_file("examples.json") as file:
        json.dump(listed, file, indent=1)
    return draft


def _add_examples(draft: lineage.Artifact, data: Mapping[str, Examples]) -> None:
    for split, examples in data.items():
        for part, array in examples._asdict().items():
            _add_array(draft, f"{split}/{part}.npy", array)


def _add_array(draft: lineage.Artifact, path: str, array: Array) -> None:
    with draft.new_file(path, "xb") as file:
        np.save(file, array, allow_pickle=False)


def _read_examples(version: lineage.Version) -> dict[str, Examples]:
    parts = Examples._fields
    return {split: Examples(*(_read_array(version, f"{split}/{part}.npy") for part in parts)) for split in SIZES}


def _read_network(version: lineage.Version) -> Network:
    return {entry.path.removesuffix(".npy"): _read_array(version, entry.path) for entry in version.files()}


def _read_array(version: lineage.Version, path: str) -> Array:
    with version.open(path) as file:
        content = io.BytesIO(file.read())  # bytes read to the end are verified; numpy would seek in them
    return np.asarray(np.load(content, allow_pickle=False))


def main(folder: Path, echo: Callable[[str], None] = print) -> None:
    """Run the demo's pipeline in a folder, then ask its project what came of it.

    Every further start trains with the next learning rate and uses again what has not changed.

    Args:
        folder: Where ``iv3.lineage`` lies or is to lie; made if it is not there.
        echo: Given each line for the reader.

    Raises:
        NotFoundError: scikit-learn is not installed; nothing is made.
        ConflictError: There is an ``iv3.lineage`` that is not the demo's; nothing is changed.
        StorageError: The folder cannot be made.
    """
    if any(find_spec(package) is None for package in ("numpy", "sklearn")):
        raise NotFoundError("the demo needs scikit-learn: pip install '.[demo]' in the folder of lineage")
    with storage_errors("cannot make the demo's folder"):
        folder.mkdir(parents=True, exist_ok=True)
    project = lineage.open(folder / "iv3.lineage")
    if project.artifacts() and not project.artifacts({"name": "digits-raw"}):
        raise ConflictError(f"{str(project.file)!r} is another project than the demo's; choose another folder")
    _tell(echo, [TITLE, "=" * len(TITLE), INTRODUCTION, f"All of it is kept in {folder / 'iv3.lineage'}.", ""])
    again: list[str] = []
    for step in steps(project):
        known = not step.run.logged_artifacts()  # it logged, yet made nothing new
        again += [version.reference for versions, _ in step.made for version in versions if known]
        _tell(echo, _step_lines(step, known=known))
    if again:
        text = f"No new version of what is the same: {', '.join(again)} came back, noted as reproduced."
        _tell(echo, ["", *wrap(text, 80, break_on_hyphens=False)])
    for answer in (_consumers, _upstream, _difference, _whole, _reuse):
        _tell(echo, ["", *answer(project)])
    _tell(echo, ["", *_onwards(folder)])


def steps(project: lineage.Project) -> Iterator[Step]:
    """Run the pipeline and yield its steps as they end.

    Each start takes the next learning rate. A checkpoint is evaluated, predictions are scored and noise is tried
    only where no run has done so: the project is asked.
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
        if not project.runs({"config.noise": noise}, job_type="inference", status="finished", consumed=FIXED):
            yield infer_and_log(project, noise)


# --- What the reader sees: 80 columns --------------------------------------------------------------------------


def _tell(echo: Callable[[str], None], lines: Iterable[str]) -> None:
    for line in lines:
        echo(line.rstrip())


def _step_lines(step: Step, *, known: bool) -> Iterator[str]:
    job_type = step.run.job_type
    for versions, words in step.made:
        span = versions[0].reference + (f" to v{versions[-1].number}" if len(versions) > 1 else "")
        yield f"  {job_type:<15}  {span:<22}  {'as before' if known else words}"
        job_type = ""


def _consumers(project: lineage.Project) -> Iterator[str]:
    yield f"Which runs consumed {FIXED}?"
    yield f'  >>> project.version("{FIXED}").used_by()'
    for run in project.version(FIXED).used_by():
        noise, right = run.config.get("noise", 0), run.summary["accuracy"]
        yield f"      {run.name:<24}{run.job_type:<12}noise {noise!s:<6}{right:.1%} right"


def _upstream(project: lineage.Project) -> Iterator[str]:
    yield "And what was it made from?"
    yield f"  $ lineage up {FIXED}"
    tree = tree_text(project.graph(FIXED, direction="up"), FIXED, direction="up")
    yield from indent(tree, " " * 6).splitlines()


def _difference(project: lineage.Project) -> Iterator[str]:
    found = project.diff(FIXED, "iv3_trained:best")
    yield f"What differs between it and the best, {found.new}?"
    yield f'  >>> project.diff("{FIXED}", "iv3_trained:best")'
    yield f"      {'files':<10}{', '.join(old.path for old, _ in found.changed)}"
    yield from _changes("metadata", found.metadata, "the same")
    yield from _changes("config", found.config, "the same: one run made both")
    yield f"      {'upstream':<10}{', '.join(found.upstream) or 'the same data, the same initial model'}"


def _changes(title: str, changes: Mapping[str, lineage.Change], none: str) -> Iterator[str]:
    if not changes:
        yield f"      {title:<10}{none}"
    for key, change in changes.items():
        old, new = (f"{side:.3g}" if isinstance(side, float) else side for side in (change.old, change.new))
        yield f"      {title:<10}{key:<21}{old} -> {new}"
        title = ""


def _whole(project: lineage.Project) -> Iterator[str]:
    yield "How does it all hang together?"
    yield '  >>> project.graph(collapse="name")'
    yield f"      {'made by':<17}{'artifact (versions)':<25}used by"
    graph = project.graph(collapse="name")
    for artifact in project.artifacts(order="created_at"):
        node, count = f"artifact:{artifact.name}", f"{artifact.name} ({artifact.version_count})"
        makers, users = ([graph.nodes[job]["label"] for job in jobs[node]] for jobs in (graph.pred, graph.succ))
        yield f"      {', '.join(makers):<17}{count:<25}{', '.join(users)}"


def _reuse(project: lineage.Project) -> Iterator[str]:
    entry = project.version("iv3:v0").entry("stem/weight.npy")
    places = [place.reference for place in project.whereis(str(entry.digest))]
    (total,) = project.sql("SELECT count(*) AS files, count(DISTINCT digest) AS contents FROM files")
    text = (
        f"{', '.join(places)}: the stem is frozen at first, and its bytes are kept once. "
        f"All {total['files']} files of the {len(project.versions())} versions are {total['contents']} contents."
    )
    yield "How often is content used again?"
    yield f'  >>> project.whereis(project.version("iv3:v0").entry("{entry.path}").digest)'
    yield from indent("\n".join(wrap(text, 74)), " " * 6).splitlines()


def _onwards(folder: Path) -> list[str]:
    place = shlex.quote(str(folder))
    return [
        "And now?",
        f"  $ {f'lineage demo {place}':<33} train again, with the next learning rate",
        f"  $ cd {place} && lineage ls",
        f"  $ {'lineage show iv3_trained:best':<33} all about the best checkpoint",
        f"  $ {'lineage up predictions':<33} where the newest predictions come from",
        '  >>> project = lineage.open("iv3.lineage")',
        '  >>> best = project.runs(job_type="score", order="-summary.accuracy")[0]',
        "  >>> best.used_artifacts()",
    ]


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "lineage-demo"))
