"""An artifact's state: a draft that is filled, or a version that was logged, in one object that changes on commit.

lineage itself keeps the two apart (``lineage.Artifact`` and ``lineage.Version``); here one object holds both, one
after the other, because W&B's programs go on with the object they logged.
"""

from __future__ import annotations

import warnings
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import lineage
from lineage.jsondata import JsonObject
from lineage.wandb.places import Place, at_home
from lineage.wandb.sdk.artifacts._validators import validate_artifact_type, validate_metadata
from lineage.wandb.sdk.artifacts.artifact_manifest import ArtifactManifest
from lineage.wandb.sdk.artifacts.artifact_manifest_entry import ArtifactManifestEntry
from lineage.wandb.sdk.artifacts.artifact_state import ArtifactState
from lineage.wandb.sdk.artifacts.artifact_ttl import ArtifactTTL
from lineage.wandb.sdk.artifacts.exceptions import ArtifactNotLoggedError


@dataclass(frozen=True, slots=True)
class Logged:
    """What an artifact became.

    Attributes:
        place: The project it was fetched from.
        shown: What it was fetched as: the version, or the link of a collection.
        source_place: The project it was logged in.
        source: The version there, which has the content; without content where that project is not to be had.
    """

    place: Place
    shown: lineage.Version
    source_place: Place
    source: lineage.Version

    @classmethod
    def at(cls, place: Place, shown: lineage.Version) -> Logged:
        """Follow a link, and a node of another project, to the version with the content."""
        return cls(place, shown, *at_home(place, shown.source()))

    @property
    def named(self) -> lineage.Version:
        """What bears the aliases: a link has its own."""
        return self.source if self.shown.link_to is None else self.shown

    def is_gone(self) -> bool:
        """Whether the version, or the link to it, was deleted since, by whomever."""
        try:
            now = [lineage.Project(one._store).version_by_uid(one.uid) for one in (self.shown, self.source)]
        except lineage.NotFoundError:  # with its whole project, or with a batch that was undone
            return True
        return any(one.deleted for one in now)


@dataclass(frozen=True, slots=True)
class Words:
    """What can be changed of a logged artifact, as it was read; it shares nothing with what the caller changes."""

    description: str | None
    metadata: JsonObject
    ttl: timedelta | None
    tags: tuple[str, ...]
    aliases: tuple[str, ...]

    @classmethod
    def of(cls, logged: Logged) -> Words:
        """Return them as the handles have them."""
        source = logged.source
        return cls(source.description, source.record.metadata, source.ttl, source.tags, logged.named.aliases)


class ArtifactBase:
    """The state of an artifact and what can be read in any state."""

    def __init__(
        self,
        name: str,
        type: str,
        description: str | None = None,
        metadata: dict[str, Any] | None = None,
        incremental: bool = False,
        use_as: str | None = None,
        storage_region: str | None = None,
        digest_algorithm: str = "MD5",
    ) -> None:
        _check_options(use_as, storage_region)
        type = validate_artifact_type(type, name)
        checked = validate_metadata(metadata)
        self._begin(lineage.Artifact(name, type, description, checked, incremental=bool(incremental)))

    def _begin(self, draft: lineage.Artifact) -> None:
        self._draft = draft
        self._logged: Logged | None = None
        self._manifest: ArtifactManifest | None = None
        self._finalized = False
        self._description = draft.description
        self._metadata: JsonObject = draft.metadata
        self._ttl: timedelta | ArtifactTTL | None = ArtifactTTL.INHERIT
        self._aliases: list[str] = []
        self._tags: list[str] = []
        self._local_paths: dict[str, str] = {}
        self._shared: dict[str, ArtifactManifestEntry] = {}
        self._home: Place | None = None
        self._use_as: str | None = None
        self.distributed_id: str | None = None

    def _bind(self, logged: Logged) -> None:
        """Make this object the version that its draft became, or that was fetched."""
        self._logged = logged
        self._manifest = None
        self._taken = words = Words.of(logged)
        self._description = words.description
        self._metadata = deepcopy(words.metadata)
        self._ttl = words.ttl
        self._tags = list(words.tags)
        self._aliases = list(words.aliases)

    def _is(self, attribute: str) -> Logged:
        if self._logged is None:
            raise ArtifactNotLoggedError(f"Artifact.{attribute}", self)
        return self._logged

    def __repr__(self) -> str:
        return f"<Artifact {self.id or self.name}>"

    def is_draft(self) -> bool:
        """Whether it was not logged yet."""
        return self._logged is None

    @property
    def is_final(self) -> bool:
        """Whether its content may change no more."""
        return self._finalized or self._logged is not None

    def finalize(self) -> None:
        """Let the content change no more; logging does it too."""
        self._finalized = True

    @property
    def state(self) -> str:
        """``PENDING``, ``COMMITTED`` or ``DELETED``, as it is now, whoever deleted it."""
        if self._logged is None:
            return str(ArtifactState.PENDING.value)
        return str((ArtifactState.DELETED if self._logged.is_gone() else ArtifactState.COMMITTED).value)

    @property
    def id(self) -> str | None:
        """What is unique across projects; None while it is a draft."""
        return None if self._logged is None else self._logged.source.uid

    @property
    def name(self) -> str:
        """Its name; with ``:vN`` once it is logged, in the collection it was fetched from."""
        return self._draft.name if self._logged is None else self._logged.shown.reference

    @property
    def source_name(self) -> str:
        """Its name where it was logged; with ``:vN`` once it is."""
        return self._draft.name if self._logged is None else self._logged.source.reference.rpartition("/")[2]

    @property
    def type(self) -> str:
        """What it is, such as ``dataset`` or ``model``."""
        return self._draft.type if self._logged is None else self._logged.shown.type

    @property
    def description(self) -> str | None:
        """Words about it; of a logged artifact a change is kept by ``save()``."""
        return self._description

    @description.setter
    def description(self, description: str | None) -> None:
        self._description = description

    @property
    def metadata(self) -> dict[str, Any]:
        """Data about it, which may be changed in place; of a logged artifact a change is kept by ``save()``."""
        return self._metadata

    @metadata.setter
    def metadata(self, metadata: dict[str, Any]) -> None:
        self._metadata = validate_metadata(metadata)

    @property
    def incremental(self) -> bool:
        """Whether its files are added to those of the newest version."""
        return self._logged is None and self._draft.incremental

    @property
    def use_as(self) -> str | None:
        """What the run that used it uses it as."""
        return self._use_as

    @property
    def manifest(self) -> ArtifactManifest:
        """Its entries, as they are now; those of a logged one, which never change, are read once."""
        if self._logged is None:
            return ArtifactManifest(self._entries())
        if self._manifest is None:
            self._manifest = ArtifactManifest(self._entries())
        return self._manifest

    def _entries(self) -> list[ArtifactManifestEntry]:
        if self._manifest is not None:
            return list(self._manifest.entries.values())
        if self._logged is not None:
            return [ArtifactManifestEntry(entry, self) for entry in self._logged.source.files()]
        return [
            ArtifactManifestEntry(entry, local_path=self._local_paths.get(entry.path)) for entry in self._draft.entries
        ]

    def download_entry(self, path: str, root: str | None) -> str:
        """Bring one file; only a logged artifact can."""
        raise NotImplementedError

    @property
    def digest(self) -> str:
        """The BLAKE3 digest of its content: equal content, equal digest, whatever its name, type or metadata."""
        return str(self._draft.digest if self._logged is None else self._logged.source.digest)

    @property
    def digest_algorithm(self) -> str:
        """How digests are made; W&B's choice of ``MD5`` or ``XXH128`` is accepted and not followed."""
        return "BLAKE3"

    @property
    def size(self) -> int:
        """Bytes of all its files, as far as known."""
        return self._draft.size if self._logged is None else self._logged.source.size


def _check_options(use_as: str | None, storage_region: str | None) -> None:
    """Refuse options that W&B would refuse; none of them does anything here."""
    if use_as is not None:
        message = "`use_as` argument is deprecated and does not affect the behaviour of `wandb.Artifact()`"
        warnings.warn(message, DeprecationWarning, stacklevel=4)
    if storage_region is not None and not isinstance(storage_region, str):
        raise ValueError(f"storage_region {storage_region!r} is no text")
