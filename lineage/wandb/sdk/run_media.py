"""What one call of ``log`` holds: plain values, and media on their way into artifacts of the run."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import lineage
from lineage.jsondata import JsonObject, flatten_metrics
from lineage.wandb.plain import DataError, plain_value, refuse_endless
from lineage.wandb.sdk.artifacts.artifact_drafting import put_media
from lineage.wandb.sdk.data_types.base import WBValue
from lineage.wandb.sdk.data_types.table import Table
from lineage.wandb.sdk.data_types.values import loggable
from lineage.wandb.sdk.run_end import anyway
from lineage.wandb.sdk.run_names import own_name
from lineage.wandb.util import make_artifact_name_safe


@dataclass(frozen=True, slots=True)
class _Media:
    """Media of one key: what the metric says of them stands in `document`, which is in the values."""

    key: str
    items: Sequence[WBValue]
    together: bool
    document: JsonObject


@dataclass(slots=True)
class Logged:
    """The values of one call as they are kept, made before anything is written: one that cannot be refuses them all.

    Attributes:
        values: Plain data, nested as it was given.
    """

    values: JsonObject = field(default_factory=dict)
    _media: list[_Media] = field(default_factory=list)
    _drafts: list[tuple[lineage.Artifact, JsonObject]] = field(default_factory=list)

    @classmethod
    def of(cls, run: str, data: Mapping[str, Any]) -> Logged:
        """Make all values plain, and files of media.

        Raises:
            DataError: A value is none that can be kept, or two names are the same once dotted.
            TypeError: A list holds media of several kinds.
        """
        refuse_endless(data, f"metrics of run {run!r}")
        logged = cls()
        logged.values = {key: logged._plain(key, value) for key, value in data.items()}
        for media in logged._media:
            logged._drafts.append((_draft(run, media), media.document))
        if logged._media:
            logged._check(run)
        return logged

    def _check(self, run: str) -> None:
        try:
            flatten_metrics(self.values, f"metrics of run {run!r}")
        except lineage.InvalidInputError as error:
            raise DataError(str(error), kind=error.kind) from error

    def _plain(self, key: str, value: Any) -> Any:
        value = loggable(value)
        if isinstance(value, Mapping):
            return {str(inner): self._plain(f"{key}.{inner}", member) for inner, member in value.items()}
        if isinstance(value, WBValue):
            return value.to_json(_NO_FILES) if value.inline else self._waiting(key, [value], together=False)
        if _is_media_list(value):
            return self._waiting(key, list(value), together=True)
        return value if isinstance(value, float) else plain_value(value, f"metric {key!r}")

    def _waiting(self, key: str, items: Sequence[WBValue], *, together: bool) -> JsonObject:
        self._media.append(_Media(key, items, together, {}))
        return self._media[-1].document

    def put(self, project: lineage.Project, run: lineage.ActiveRun) -> None:
        """Log the media, all or none, and note in the values where they are."""
        with project.batch() if len(self._drafts) > 1 else nullcontext():
            for draft, document in self._drafts:
                document["artifact"] = _reference(project, run, draft)


def _reference(project: lineage.Project, run: lineage.ActiveRun, draft: lineage.Artifact) -> str:
    """Log a draft, unless what was logged last is the same: an image that stays is nothing new at each step."""
    try:
        latest = project.version(f"{draft.name}:latest")
    except lineage.NotFoundError:
        latest = None
    if latest is not None and latest.type == draft.type and latest.digest == draft.digest:
        return latest.reference
    _quiet.now = True
    try:
        return anyway(run, lambda: run.log_artifact(draft)).reference
    finally:
        _quiet.now = False


_quiet = threading.local()
logging.getLogger("lineage").addFilter(lambda _: not getattr(_quiet, "now", False))
"""Media that were there before are nothing to tell: lineage says it of what somebody logs by hand."""


def _draft(run: str, media: _Media) -> lineage.Artifact:
    """Return a draft of the files of media, and fill in what the metric says of them."""
    safe, is_table = make_artifact_name_safe(media.key), isinstance(media.items[0], Table)
    name, type_ = own_name(run, "table" if is_table else "media", media.key), "run_table" if is_table else "run_media"
    draft = lineage.Artifact(name, type_, metadata={"key": media.key, "run": run})
    names = [f"{safe}_{place}" if media.together else safe for place in range(len(media.items))]
    documents = [_added(draft, item, name) for item, name in zip(media.items, names, strict=True)]
    media.document.update(_together(documents) if media.together else _alone(documents[0]))
    media.document["artifact"] = ""
    return draft


def _alone(document: JsonObject) -> JsonObject:
    """Return what a metric says of one media object; a table's rows and types are in its file."""
    return {name: value for name, value in document.items() if not isinstance(value, dict | list)}


def _together(documents: Sequence[JsonObject]) -> JsonObject:
    kind = str(documents[0]["_type"]).partition("-")[0]
    return {
        "_type": f"{kind}s/separated",
        "count": len(documents),
        "entries": [document["entry"] for document in documents],
        "captions": [document.get("caption") for document in documents],
    }


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
