"""What a run logs: steps as W&B counts them, media as files of an artifact, and the summary that follows."""

from __future__ import annotations

import operator
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import lineage
from lineage.jsondata import JsonObject
from lineage.wandb.plain import DataError, plain_value
from lineage.wandb.sdk.artifacts.artifact_drafting import put_media
from lineage.wandb.sdk.data_types.base import WBValue
from lineage.wandb.sdk.data_types.table import Table
from lineage.wandb.sdk.data_types.values import loggable
from lineage.wandb.sdk.wandb_metric import Metric, MetricRules
from lineage.wandb.sdk.wandb_summary import Summary
from lineage.wandb.term import termwarn
from lineage.wandb.util import make_artifact_name_safe


class History:
    """The steps of one run.

    A row is written through as it comes, so that a crash takes no more than lineage's own second of buffering;
    ``commit=False`` only keeps the step where it is.

    Args:
        run: The run that keeps it.
        summary: What follows it.
        started: When the run started, in seconds since 1970.
    """

    def __init__(self, run: lineage.ActiveRun, summary: Summary, started: float) -> None:
        self._run = run
        self._summary = summary
        self._started = started
        self._process = os.getpid()
        self.step = run.step
        self.rules = MetricRules()

    def log(self, data: Mapping[str, Any], step: int | None, commit: bool | None) -> None:
        """Log some values at a step, as ``Run.log`` says."""
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
        wanted = self.step if step is None else operator.index(step)
        if wanted < self.step:
            termwarn(
                f"(User provided step: {wanted} is less than current step: {self.step}. "
                f"Dropping entry: {sorted(data)})."
            )
            return
        self.step = wanted
        if data:
            self._write(data)
        if commit or (commit is None and step is None):
            self.step += 1

    def _write(self, data: Mapping[str, Any]) -> None:
        values = {key: self._plain(key, value) for key, value in data.items()}
        try:
            self._run.log(values, step=self.step, update_summary=False)
        except lineage.InvalidInputError as error:
            raise DataError(str(error), kind=error.kind) from error
        now = time.time()
        self._summarize(values, ())
        for key, value in (("_step", self.step), ("_timestamp", now), ("_runtime", now - self._started)):
            self._summary.logged((key,), value)

    def _plain(self, key: str, value: Any) -> Any:
        value = loggable(value)
        if isinstance(value, Mapping):
            return {str(inner): self._plain(f"{key}.{inner}", member) for inner, member in value.items()}
        if isinstance(value, WBValue):
            return self._media(key, [value])
        if _is_media_list(value):
            return self._media(key, list(value), together=True)
        return value if isinstance(value, float) else plain_value(value, f"metric {key!r}")

    def _media(self, key: str, items: Sequence[WBValue], *, together: bool = False) -> JsonObject:
        """Keep media as files of an artifact of the run, and return what the metric says of them."""
        if items[0].inline and not together:
            return items[0].to_json(_NO_FILES)
        safe = make_artifact_name_safe(key)
        is_table = isinstance(items[0], Table)
        name = make_artifact_name_safe(f"run-{self._run.id}-{'' if is_table else 'media-'}{key}")
        draft = lineage.Artifact(name, "run_table" if is_table else "run_media", metadata={"key": key})
        documents = [_added(draft, item, f"{safe}_{place}" if together else safe) for place, item in enumerate(items)]
        reference = self._run.log_artifact(draft).reference
        if not together:  # a table's rows and types are in its file; the metric says what it is and where
            plain = {name: value for name, value in documents[0].items() if not isinstance(value, dict | list)}
            return {**plain, "artifact": reference}
        kind = str(documents[0]["_type"]).partition("-")[0]
        return {
            "_type": f"{kind}s/separated",
            "count": len(items),
            "entries": [document["entry"] for document in documents],
            "captions": [document.get("caption") for document in documents],
            "artifact": reference,
        }

    def _summarize(self, values: Mapping[str, Any], path: tuple[str, ...]) -> None:
        for key, value in values.items():
            here = (*path, key)
            if isinstance(value, Mapping) and "_type" not in value:
                self._summarize(value, here)
                continue
            kept = self.rules.summarized(".".join(here), value)
            if kept is not None:
                self._summary.logged(here, kept)

    def define(self, name: str, **words: Any) -> Metric:
        """Take a definition of a metric and return it."""
        return self.rules.define(name, **words)


class _NoFiles:
    """The sink of media that are never files."""

    def write(self, path: str, data: bytes) -> str:
        raise TypeError(f"{path!r}: {len(data)} bytes of a media object that is no file")

    def copy(self, path: str, local_path: str) -> str:
        raise TypeError(f"{path!r}: {local_path!r} belongs to a media object that is no file")


_NO_FILES = _NoFiles()


def _is_media_list(value: object) -> bool:
    if not isinstance(value, list | tuple) or not value or not isinstance(value[0], WBValue):
        return False
    if not all(type(item) is type(value[0]) for item in value) or not value[0].suffix:
        raise TypeError("a list of media holds objects of one kind that are files")
    return True


def _added(draft: lineage.Artifact, item: WBValue, name: str) -> JsonObject:
    """Add a media object to a draft, and return its JSON with the path of the file that holds it."""
    entry, document = put_media(draft, item, name)
    return {**document, "entry": entry.path}
