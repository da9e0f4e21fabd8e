"""The two networks of the tutorial: one of PyTorch, and the same in size on numpy, for machines without PyTorch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Model(Protocol):
    """What the tutorial asks of a network."""

    def step(self, x: Array, y: Array, lr: float) -> float:
        """Take one step of gradient descent and return the loss before it."""

    def losses(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Return the cross-entropy of each example, and the class that is guessed."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the weights to a file."""

    def load(self, path: str | os.PathLike[str]) -> None:
        """Read the weights from a file."""


def build_model(hidden_layer_sizes: Sequence[int], activation: str, num_classes: int, **_: object) -> Model:
    """Return a network, of PyTorch if it is installed; the same each time it is built."""
    maker = TorchNet if find_spec("torch") else NumpyNet
    return maker(list(hidden_layer_sizes), activation, num_classes)


class NumpyNet:
    """A network of fully connected layers, trained by plain gradient descent."""

    def __init__(self, hidden: list[int], activation: str, classes: int) -> None:
        if activation != "ReLU":
            raise ValueError(f"activation {activation!r}: this network has 'ReLU' only")
        sizes = [64, *hidden, classes]
        draw = np.random.default_rng(0)
        self.weights = [draw.normal(0, (2 / inputs) ** 0.5, (inputs, outputs)) for inputs, outputs in pairwise(sizes)]
        self.biases = [np.zeros(outputs) for outputs in sizes[1:]]

    def _forward(self, x: Array) -> list[Array]:
        layers = [x.reshape(len(x), -1)]
        for place, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            sums = layers[-1] @ weight + bias
            layers.append(sums if place == len(self.weights) - 1 else np.maximum(sums, 0))
        return layers

    def step(self, x: Array, y: Array, lr: float) -> float:
        """Take one step of gradient descent and return the loss before it."""
        layers = self._forward(x)
        chances = _softmax(layers[-1])
        loss = float(-np.log(chances[np.arange(len(y)), y] + 1e-12).mean())
        chances[np.arange(len(y)), y] -= 1
        gradient = chances / len(y)
        for place in reversed(range(len(self.weights))):
            below = layers[place]
            weight_gradient, bias_gradient = below.T @ gradient, gradient.sum(axis=0)
            gradient = (gradient @ self.weights[place].T) * (below > 0)
            self.weights[place] -= lr * weight_gradient
            self.biases[place] -= lr * bias_gradient
        return loss

    def losses(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Return the cross-entropy of each example, and the class that is guessed."""
        chances = _softmax(self._forward(x)[-1])
        return -np.log(chances[np.arange(len(y)), y] + 1e-12), chances.argmax(axis=1)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the weights to a file."""
        with Path(path).open("wb") as file:
            np.savez(file, *self.weights, *self.biases)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Read the weights from a file."""
        with np.load(path) as data:
            arrays = [data[name] for name in data.files]
        self.weights, self.biases = arrays[: len(arrays) // 2], arrays[len(arrays) // 2 :]


def _softmax(sums: Array) -> Array:
    powers = np.exp(sums - sums.max(axis=1, keepdims=True))
    chances: Array = powers / powers.sum(axis=1, keepdims=True)
    return chances


class TorchNet:
    """The tutorial's network: two convolutions and a linear layer."""

    def __init__(self, hidden: list[int], activation: str, classes: int) -> None:
        import torch
        from torch import nn

        torch.manual_seed(0)
        first, second = hidden
        act = getattr(nn, activation)
        self.net = nn.Sequential(
            nn.Conv2d(1, first, 3, padding=1),
            act(),
            nn.MaxPool2d(2),
            nn.Conv2d(first, second, 3, padding=1),
            act(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(second * 4, classes),
        )

    def step(self, x: Array, y: Array, lr: float) -> float:
        """Take one step of gradient descent and return the loss before it."""
        import torch

        optimizer = torch.optim.SGD(self.net.parameters(), lr=lr)
        loss = torch.nn.functional.cross_entropy(self.net(torch.from_numpy(x)), torch.from_numpy(y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return float(loss.item())

    def losses(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Return the cross-entropy of each example, and the class that is guessed."""
        import torch

        with torch.no_grad():
            sums = self.net(torch.from_numpy(x))
            losses = torch.nn.functional.cross_entropy(sums, torch.from_numpy(y), reduction="none")
        return losses.numpy(), sums.argmax(dim=1).numpy()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the weights to a file."""
        import torch

        torch.save(self.net.state_dict(), path)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Read the weights from a file."""
        import torch

        self.net.load_state_dict(torch.load(path, weights_only=True))
