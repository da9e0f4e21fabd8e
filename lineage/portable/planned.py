"""A plan of a merge: what is found, and how a disagreement is decided."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Final

from lineage.jsondata import JsonObject
from lineage.portable.reports import AliasPolicy, Decision, Policy
from lineage.statements.union import ArtifactRow

_MOST_REASONS: Final = 50


@dataclass(slots=True)
class Target:
    """Where versions of one of their artifacts go: an artifact of ours, or one to be made."""

    theirs: ArtifactRow
    ours: ArtifactRow | None
    name: str
    numbers: Iterator[int]
    """Those to give, shared by all of theirs that are one of ours."""
    grows: bool = False
    """Whether a live version comes."""
    used: bool = False
    """Whether any version comes."""

    @property
    def is_new(self) -> bool:
        """Whether it is to be made: one of another project only for a version that comes, which may be ours."""
        return self.ours is None and (self.used or self.theirs.project is None)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A version of theirs that is new here, or whose node here becomes the version itself."""

    number: int
    node: int | None
    source: int | None
    """Key of their version that it stands for, if it is a link."""


@dataclass(frozen=True, slots=True)
class AliasStep:
    """An alias to write: with its history where it is new, as one move where it is known."""

    target: int
    """Key of their artifact."""
    name: str
    version: int | None
    """Key of their version; None where only the history of an alias that ended is taken over."""
    protected: bool
    history: bool


@dataclass(slots=True)
class Plan:
    """What was found, by the keys of their rows."""

    reasons: list[str] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    targets: dict[int, Target] = field(default_factory=dict)
    known_runs: dict[int, int] = field(default_factory=dict)
    new_runs: int = 0
    ended_runs: set[int] = field(default_factory=set)
    summaries: dict[int, JsonObject] = field(default_factory=dict)
    known_versions: dict[int, int] = field(default_factory=dict)
    arrivals: dict[int, Arrival] = field(default_factory=dict)
    renamed: list[tuple[str, str]] = field(default_factory=list)
    worded: set[tuple[str, int]] = field(default_factory=set)
    aliases: list[AliasStep] = field(default_factory=list)
    named: set[tuple[str, str]] = field(default_factory=set)
    """Artifacts and aliases here that something of theirs has been looked at for: two of theirs may be one here."""
    gone_here: dict[int, str] = field(default_factory=dict)
    gone_runs_here: dict[int, str] = field(default_factory=dict)
    gone_there: list[str] = field(default_factory=list)
    risky: bool = False
    """Whether an edge of theirs leads to something that was here before: only then can a cycle arise."""

    def refuse(self, reason: str) -> None:
        """Note why the merge cannot be."""
        if len(self.reasons) < _MOST_REASONS:
            self.reasons.append(reason)


@dataclass(frozen=True, slots=True)
class Policies:
    """What is taken where both projects have something and do not agree."""

    aliases: AliasPolicy = "ours"
    metadata: Policy = "ours"
    running: Collection[str] = ()
    """Ids of the runs that this process is doing in our project: what theirs say of their end is not their end."""


def decide(plan: Plan, policy: Policy, matter: tuple[str, str, object, object], *, newer: bool) -> bool:
    """Note a disagreement and return whether theirs is taken."""
    taken = prefers_theirs(policy, newer=newer)
    what, subject, mine, other = matter
    texts = [None if value is None else str(value) for value in (mine, other)]
    plan.decisions.append(Decision(what, subject, texts[0], texts[1], "theirs" if taken else "ours", None))
    return taken


def prefers_theirs(policy: Policy, *, newer: bool) -> bool:
    """Whether theirs is taken where the two do not agree."""
    return policy == "theirs" or (policy == "newest" and newer)
