"""What sharing answers with: reports of packing, merging and filling; and the words of its policies.

Apart from what makes them: that is imported by the calls that need it, as it costs a tenth of ``import lineage``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Which: TypeAlias = Literal["all", "latest", "aliased"]
WHICH: Final = ("all", "latest", "aliased")
Policy: TypeAlias = Literal["ours", "theirs", "newest"]
AliasPolicy: TypeAlias = Literal["ours", "theirs", "newest", "both"]
POLICIES: Final = ("ours", "theirs", "newest")
ALIAS_POLICIES: Final = (*POLICIES, "both")


@dataclass(frozen=True, slots=True)
class PackReport:
    """What a packed file holds.

    Attributes:
        file: The packed file.
        digest: One digest over everything in it: the same for the same content, whoever packed it.
        size: The file's bytes.
        runs: How many, deleted ones too; so for artifacts and versions.
        artifacts: See `runs`.
        versions: See `runs`.
        blobs: How many contents are inside.
        bytes: Theirs.
        left_out: How many are known by digest and size only.
        left_out_bytes: Theirs.
    """

    file: str
    digest: str
    size: int
    runs: int
    artifacts: int
    versions: int
    blobs: int
    bytes: int
    left_out: int
    left_out_bytes: int


@dataclass(frozen=True, slots=True)
class UnpackReport:
    """What ``unpack`` moved out of a packed file.

    Attributes:
        blobs: How many contents lie beside the project now.
        bytes: Theirs.
    """

    blobs: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Decision:
    """Something that both projects have and that is not the same in both.

    Attributes:
        what: ``"alias"``, or the field that differs: ``"metadata"``, ``"description"``, ``"name"`` and so on.
        subject: Whose: a reference, an artifact's name, a run id; for an alias its reference.
        ours: What this project has, as text; None for nothing.
        theirs: What the other one has.
        taken: ``"ours"``, ``"theirs"`` or ``"both"``.
        why: What decided, if not the policy.
    """

    what: str
    subject: str
    ours: str | None
    theirs: str | None
    taken: Literal["ours", "theirs", "both"]
    why: str | None


@dataclass(frozen=True, slots=True)
class Renamed:
    """The reference of a version there, and here."""

    theirs: str
    ours: str


@dataclass(frozen=True, slots=True)
class MergeReport:
    """What a merge took in, or would take in.

    Attributes:
        dry_run: Whether nothing was changed.
        source: The other project's file.
        runs: How many runs were new here.
        versions: How many versions were new here, nodes that became versions included.
        artifacts: How many names were new here.
        edges: How many edges were new here; 0 in a dry run that finds nothing new.
        blobs: How many contents were taken over.
        bytes: Theirs.
        known_runs: How many runs both have; so for versions.
        known_versions: See `known_runs`.
        references: Reference there and here of every new version, and of each known one whose two differ.
        decisions: What both have and disagree on, and what was taken.
        deleted_here: Versions and runs that are live there and deleted here: they stay deleted.
        deleted_there: Versions and runs that are deleted there and live here: they stay.
    """

    dry_run: bool
    source: str
    runs: int
    versions: int
    artifacts: int
    edges: int
    blobs: int
    bytes: int
    known_runs: int
    known_versions: int
    references: tuple[Renamed, ...]
    decisions: tuple[Decision, ...]
    deleted_here: tuple[str, ...]
    deleted_there: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FillReport:
    """What ``fill`` brought.

    Attributes:
        blobs: How many contents were brought.
        bytes: Theirs.
        left_out: How many are still left out: the other project does not have them either.
        left_out_bytes: Theirs.
    """

    blobs: int
    bytes: int
    left_out: int
    left_out_bytes: int
