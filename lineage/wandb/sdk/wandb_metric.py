"""What a script says about its metrics: which step they go by, and what of them the summary keeps."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from lineage.jsondata import JsonObject
from lineage.wandb.errors import Error

_KEPT: Final = ("min", "max", "mean", "first", "last", "best", "copy", "none")
_GOALS: Final = ("minimize", "maximize")


@dataclass(frozen=True, slots=True)
class Metric:
    """What was said about a metric, or about all whose names fit a pattern such as ``val/*``.

    Attributes:
        name: The metric, or the pattern.
        step_metric: The metric that is its x-axis.
        summary: What the summary keeps of it; nothing said is the last value.
        goal: ``minimize`` or ``maximize``, for ``best``.
        hidden: Accepted; there are no plots to hide it from.
    """

    name: str
    step_metric: str | None = None
    summary: tuple[str, ...] = ()
    goal: str | None = None
    hidden: bool = False

    def document(self) -> JsonObject:
        """Return it as it is kept in the config, under ``_wandb``, for whoever draws the run."""
        return {"name": self.name, "step_metric": self.step_metric, "summary": list(self.summary), "goal": self.goal}


@dataclass(slots=True)
class _Seen:
    """What a metric was so far."""

    first: float
    least: float = math.inf
    most: float = -math.inf
    total: float = 0.0
    count: int = 0

    def take(self, value: float) -> None:
        self.least, self.most = min(self.least, value), max(self.most, value)
        self.total, self.count = self.total + value, self.count + 1


@dataclass(slots=True)
class MetricRules:
    """The definitions of a run, and the running values that its summary needs.

    A resumed run begins to count anew: what it logged before is in its history.
    """

    _metrics: dict[str, Metric] = field(default_factory=dict)
    _seen: dict[str, _Seen] = field(default_factory=dict)

    def define(
        self,
        name: str,
        *,
        step_metric: str | Metric | None,
        hidden: bool | None,
        summary: str | None,
        goal: str | None,
        overwrite: bool | None,
    ) -> Metric:
        """Take a definition and return it; one that is there is added to, unless it is to be overwritten.

        Raises:
            Error: The name, the summary or the goal cannot be.
        """
        _check_words(name, step_metric, hidden, summary, goal)
        kept = tuple(word.strip() for word in (summary or "").lower().split(",") if word.strip())
        wrong = next((word for word in kept if word not in _KEPT), None)
        if wrong is not None:
            raise Error(f"Unhandled define_metric() arg: summary op: {wrong}")
        known = None if overwrite else self._metrics.get(name)
        step = step_metric.name if isinstance(step_metric, Metric) else step_metric
        metric = Metric(
            name,
            step or (known.step_metric if known else None),
            kept or (known.summary if known else ()),
            (None if goal is None else next(word for word in _GOALS if word[:3] == goal[:3]))
            or (known.goal if known else None),
            bool(hidden),
        )
        self._metrics[name] = metric
        return metric

    def documents(self) -> list[JsonObject]:
        """Return all definitions as they are kept."""
        return [metric.document() for metric in self._metrics.values()]

    def rule_for(self, name: str) -> Metric | None:
        """Return what holds for a metric: its own definition, else that of the longest pattern it fits."""
        if name in self._metrics:
            return self._metrics[name]
        fitting = [one for one in self._metrics if one.endswith("*") and name.startswith(one[:-1])]
        return self._metrics[max(fitting, key=len)] if fitting else None

    def summarized(self, name: str, value: object) -> object:
        """Return what the summary keeps of a metric now that it has this value; None to leave it as it is."""
        metric = self.rule_for(name)
        if metric is None or not metric.summary or metric.summary == ("copy",):
            return value
        if metric.summary == ("none",):
            return None
        if not isinstance(value, int | float) or isinstance(value, bool) or math.isnan(value):
            return None
        seen = self._seen.setdefault(name, _Seen(value))
        seen.take(value)
        return {word: _kept(word, seen, value, metric.goal) for word in metric.summary if word != "none"}


def _check_words(name: object, step_metric: object, hidden: object, summary: object, goal: object) -> None:
    """Refuse what a definition cannot be made of.

    Raises:
        Error: One of them is not what it has to be.
    """
    if name == "":
        raise Error("define_metric() requires non-empty name argument")
    if not isinstance(name, str) or "*" in name[:-1]:
        raise Error(f"Unhandled define_metric() arg: name (glob suffixes only): {name!r}")
    fits = {
        "step_metric": isinstance(step_metric, str | Metric | None),
        "hidden": isinstance(hidden, bool | None),
        "summary": isinstance(summary, str | None),
        "goal": goal is None or (isinstance(goal, str) and goal[:3] in ("min", "max")),
    }
    wrong = next((word for word, fitting in fits.items() if not fitting), None)
    if wrong is not None:
        raise Error(f"Unhandled define_metric() arg: {wrong}")


def _kept(word: str, seen: _Seen, value: float, goal: str | None) -> float:
    match word:
        case "min":
            return seen.least
        case "max":
            return seen.most
        case "mean":
            return seen.total / seen.count
        case "first":
            return seen.first
        case "best":
            return seen.most if goal == "maximize" else seen.least
        case _:
            return value
