"""What a run of W&B can be asked for that has little or no meaning on a local project file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from lineage.wandb.errors import UnsupportedError
from lineage.wandb.sdk.wandb_alerts import AlertLevel
from lineage.wandb.term import termerror, termlog, termwarn


class Accepted:
    """The calls that are taken so that a script goes on; each says what it does not do."""

    def _check(self, call: str) -> None:
        raise NotImplementedError

    @property
    def sweep_id(self) -> None:
        """None: there are no sweeps."""

    @property
    def sweep_url(self) -> None:
        """None: there are no sweeps."""

    def watch(
        self,
        models: Any = None,
        criterion: Any = None,
        log: str | None = "gradients",
        log_freq: int = 1000,
        idx: int | None = None,
        log_graph: bool = False,
    ) -> None:
        """Accept a model to watch; gradients and parameters are not logged."""

    def unwatch(self, models: Any = None) -> None:
        """Accept that a model is watched no more."""

    def alert(self, title: str, text: str, level: Any = None, wait_duration: Any = None) -> None:
        """Say it on stderr: nobody else is there to be told.

        Raises:
            ValueError: The level is none.
        """
        self._check("alert")
        name = level.value if isinstance(level, AlertLevel) else level
        if name is not None and name not in AlertLevel.__members__:
            raise ValueError("level must be one of 'INFO', 'WARN', or 'ERROR'")
        say = termlog if name in (None, "INFO") else termerror if name == "ERROR" else termwarn
        say(f"{title}: {text}")

    def mark_preempting(self) -> None:
        """Accept it; a run whose process is gone is found as crashed."""
        self._check("mark_preempting")

    def pin_config_keys(self, keys: Sequence[str] = ()) -> None:
        """Accept it; there is no page to pin them on."""
        self._check("pin_config_keys")

    def _label(self, code: str | None = None, repo: str | None = None, **_: Any) -> None:
        """Accept the name of the library that uses the run: trainers tell it by this name, underscore and all."""

    def write_logs(self, text: str) -> None:
        """Accept it; the console is not captured."""

    def status(self) -> None:
        """Return None: there is nothing to be synced."""
        self._check("status")

    def display(self, height: int = 420, hidden: bool = False) -> bool:
        """Return False: there is no page to show."""
        return False

    def log_evaluation(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: there are no evaluations apart from metrics and tables."""
        raise UnsupportedError("log_evaluation: log the metrics, and a wandb.Table of the predictions")
