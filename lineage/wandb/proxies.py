"""What the module ``wandb`` itself offers of the active run: its methods, its config, its summary."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from lineage.wandb.errors import Error
from lineage.wandb.sdk.wandb_init import active
from lineage.wandb.sdk.wandb_run import Run


def of_active_run(name: str) -> Callable[..., Any]:
    """Return a function that calls a method of the active run."""

    @wraps(getattr(Run, name))
    def call(*args: Any, **kwargs: Any) -> Any:
        if active.run is None:
            raise Error(f"You must call wandb.init() before wandb.{name}()")
        return getattr(active.run, name)(*args, **kwargs)

    return call


class _OfActiveRun:
    """An attribute of the active run, whichever run that is when it is looked at."""

    _word: str

    def _found(self, key: str) -> Any:
        if active.run is None:
            raise Error(f"You must call wandb.init() before wandb.{self._word}{key}")
        return getattr(active.run, self._word)

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__"):
            raise AttributeError(key)
        return getattr(self._found(f".{key}"), key)

    def __setattr__(self, key: str, value: Any) -> None:
        setattr(self._found(f".{key}"), key, value)

    def __getitem__(self, key: str) -> Any:
        return self._found(f"[{key!r}]")[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._found(f"[{key!r}]")[key] = value

    def __contains__(self, key: object) -> bool:
        return key in self._found("")

    def __iter__(self) -> Iterator[str]:
        return iter(self._found(""))

    def __len__(self) -> int:
        return len(self._found(""))

    def __repr__(self) -> str:
        return f"<wandb.{self._word} of {active.run!r}>" if active.run is None else repr(self._found(""))


class ActiveConfig(_OfActiveRun):
    """``wandb.config``: that of the active run.

    Example:
        >>> ActiveConfig().lr
        Traceback (most recent call last):
        lineage.wandb.errors.Error: You must call wandb.init() before wandb.config.lr
    """

    _word = "config"

    def keys(self) -> list[str]:
        """Return the keys, so that ``dict(wandb.config)`` works."""
        keys: list[str] = self._found("").keys()
        return keys


class ActiveSummary(_OfActiveRun):
    """``wandb.summary``: that of the active run."""

    _word = "summary"

    def keys(self) -> list[str]:
        """Return the keys, so that ``dict(wandb.summary)`` works."""
        return list(self._found("").keys())
