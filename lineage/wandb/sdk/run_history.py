"""What a run logs: steps as W&B counts them, media as files of an artifact, and the summary that follows."""

from __future__ import annotations

import operator
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

import lineage
from lineage.values import MAX_WHOLE
from lineage.wandb.plain import DataError
from lineage.wandb.sdk.run_end import anyway
from lineage.wandb.sdk.run_media import Logged
from lineage.wandb.sdk.wandb_metric import Metric, MetricRules
from lineage.wandb.sdk.wandb_summary import Summary
from lineage.wandb.term import termwarn

_LAST_STEP: Final = MAX_WHOLE - 1
"""So that there is a next."""


class History:
    """The steps of one run.

    A row is written through as it comes, so that a crash takes no more than lineage's own second of buffering;
    ``commit=False`` only keeps the step where it is. Several threads may log: media are made at the same time, and
    steps taken and written one after the other, under the run's own lock, which a forked child finds free.

    Args:
        project: The project it is in.
        run: The run that keeps it.
        summary: What follows it.
        started: When the run started, in seconds since 1970.
    """

    def __init__(self, project: lineage.Project, run: lineage.ActiveRun, summary: Summary, started: float) -> None:
        self._project = project
        self._run = run
        self._summary = summary
        self._started = started
        self._process = os.getpid()
        self.step = run.step
        self.rules = MetricRules()

    def log(self, data: Mapping[str, Any], step: int | None, commit: bool | None) -> None:
        """Log some values at a step, as ``Run.log`` says: all of them or, on any error, none, and no step."""
        if not isinstance(data, Mapping):
            raise TypeError("wandb.log must be passed a dictionary")
        if any(not isinstance(key, str) for key in data):
            raise TypeError("Key values passed to `wandb.log` must be strings.")
        if os.getpid() != self._process:
            message = "a forked process has no part in the run of its parent; start one of its own, with the same group"
            termwarn(
                f"`log` ignored (called from pid={os.getpid()}, `init` called from pid={self._process}): {message}"
            )
            return
        wanted = None if step is None else _checked_step(step)
        if self._is_over(wanted, data):
            return
        logged = Logged.of(self._run.id, data)
        logged.put(self._project, self._run)
        with self._run._changing():
            if self._is_over(wanted, data):  # by now another thread may have gone on
                return
            at = self.step if wanted is None else wanted
            if data:
                self._take(logged, at)
            self.step = at + (commit or (commit is None and step is None))
            if data:
                self._summary.merge(self._summarized(logged.values, at))
        anyway(self._run, self._run._flush_if_due)  # without the lock: it waits for the writers before

    def _is_over(self, wanted: int | None, data: Mapping[str, Any]) -> bool:
        if wanted is None or wanted >= self.step:
            return False
        termwarn(
            f"(User provided step: {wanted} is less than current step: {self.step}. Dropping entry: {sorted(data)})."
        )
        return True

    def _take(self, logged: Logged, step: int) -> None:
        try:
            self._run._take(logged.values, step, update_summary=False)
        except lineage.InvalidInputError as error:
            raise DataError(str(error), kind=error.kind) from error

    def _summarized(self, values: Mapping[str, Any], step: int) -> Iterator[tuple[tuple[str, ...], object]]:
        """Yield what the summary keeps of a call, by path."""
        now = time.time()
        yield from self._kept(values, ())
        yield from ((("_step",), step), (("_timestamp",), now), (("_runtime",), now - self._started))

    def _kept(self, values: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
        for key, value in values.items():
            here = (*path, key)
            if isinstance(value, Mapping) and "_type" not in value:
                yield from self._kept(value, here)
                continue
            kept = self.rules.summarized(".".join(here), value)
            if kept is not None:
                yield here, kept

    def define(self, name: str, **words: Any) -> Metric:
        """Take a definition of a metric and return it."""
        with self._run._lock:
            return self.rules.define(name, **words)


def _checked_step(step: int) -> int:
    """Return a step, whatever whole number it is.

    Raises:
        ValueError: No step may come after it.
    """
    wanted = operator.index(step)
    if wanted > _LAST_STEP:
        raise lineage.InvalidInputError(f"step {wanted}: give a whole number below 2**62 - 1")
    return wanted
