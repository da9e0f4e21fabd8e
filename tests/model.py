"""The store as plain dicts with the same verbs: what the real one is compared with.

Artifacts have a number of their own, since they can be renamed; a version's key is that number and its own.
A verb raises Refused, with the name of the error the real call must raise; the machine then takes back its copy.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import networkx as nx

Key = tuple[int, int]
Content = tuple[bytes | None, str | None]
"""What lies at a path: bytes, a URI, or both."""


class Refused(Exception):  # noqa: N818 (it is an answer)
    """The verb is refused: `error` is the class of the error, `edges` what was asked for."""

    def __init__(self, error: str, edges: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(error)
        self.error = error
        self.edges = set(edges)


@dataclass
class MVersion:
    """A version."""

    files: dict[str, Content]
    metadata: dict[str, object]
    description: str | None
    tags: set[str] = field(default_factory=set)
    deleted: bool = False
    producer: str | None = None
    reproducers: set[str] = field(default_factory=set)


@dataclass
class MArtifact:
    """A name, its versions and its aliases: alias to (number, protected)."""

    name: str
    type: str
    versions: list[MVersion] = field(default_factory=list)
    aliases: dict[str, tuple[int, bool]] = field(default_factory=dict)
    history: list[tuple[str, int | None, int | None]] = field(default_factory=list)
    deleted: bool = False

    def live(self) -> list[int]:
        """Return the numbers of its live versions."""
        return [number for number, version in enumerate(self.versions) if not version.deleted]

    def point(self, alias: str, number: int, protect: bool | None = None, override: bool = False) -> None:
        """Move an alias."""
        before, protected = self.aliases.get(alias, (None, False))
        if before != number and protected and not override:
            raise Refused("ConflictError")
        self.aliases[alias] = (number, protected if protect is None else protect)
        if before != number:
            self.history.append((alias, before, number))

    def drop(self, alias: str, override: bool = False) -> None:
        """Remove an alias."""
        if self.aliases[alias][1] and not override:
            raise Refused("ConflictError")
        self.history.append((alias, self.aliases.pop(alias)[0], None))

    def delete(self, number: int, delete_aliases: bool, override: bool) -> None:
        """Delete a version."""
        names = sorted(alias for alias, (held, _) in self.aliases.items() if held == number)
        if self.versions[number].deleted:
            raise Refused("NotFoundError")
        if names and not delete_aliases:
            raise Refused("ConflictError")
        self.versions[number].deleted, self.versions[number].tags = True, set()
        for alias in names:
            if alias == "latest" and self.live():
                self.point(alias, self.live()[-1], override=override)
            else:
                self.drop(alias, override)


@dataclass
class MRun:
    """A run."""

    consumed: set[Key] = field(default_factory=set)
    status: str = "running"
    deleted: bool = False


@dataclass
class Model:
    """All of it."""

    artifacts: list[MArtifact] = field(default_factory=list)
    runs: dict[str, MRun] = field(default_factory=dict)

    def copy(self) -> Model:
        """Return a copy that shares nothing."""
        return copy.deepcopy(self)

    def restore(self, other: Model) -> None:
        """Become what another model is."""
        self.__dict__.update(other.copy().__dict__)

    def find(self, name: str) -> int | None:
        """Return the artifact of a name, also a deleted one."""
        return next((key for key, artifact in enumerate(self.artifacts) if artifact.name == name), None)

    def need(self, name: str) -> MArtifact:
        """Return the live artifact of a name."""
        key = self.find(name)
        if key is None or self.artifacts[key].deleted:
            raise Refused("NotFoundError")
        return self.artifacts[key]

    def version(self, key: Key) -> MVersion:
        """Return a version, also a deleted one."""
        return self.artifacts[key[0]].versions[key[1]]

    def live(self, key: Key) -> MVersion:
        """Return a live version."""
        if self.version(key).deleted:
            raise Refused("NotFoundError")
        return self.version(key)

    def ref(self, key: Key) -> str:
        """Return the reference of a version."""
        return f"{self.artifacts[key[0]].name}:v{key[1]}"

    def every_key(self) -> list[Key]:
        """Return all versions, deleted ones too."""
        return [(a, n) for a, artifact in enumerate(self.artifacts) for n in range(len(artifact.versions))]

    def graph(self) -> nx.DiGraph[str]:
        """Return the lineage, named as the project names it."""
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from([*self.runs, *map(self.ref, self.every_key())])
        graph.add_edges_from((self.ref(key), run) for run, one in self.runs.items() for key in one.consumed)
        graph.add_edges_from((one, self.ref(key)) for key in self.every_key() if (one := self.version(key).producer))
        return graph

    def log(
        self, run: str | None, name: str, type: str, files: Mapping[str, Content], *, aliases: Iterable[str] = (),
        tags: Iterable[str] = (), metadata: Mapping[str, object] | None = None, description: str | None = None,
        incremental: bool = False, force: bool = False, better: tuple[str, str] | None = None, use: str | None = None,
    ) -> Key | None:  # fmt: skip
        """Log a draft; with `use`, for a run that consumes it."""
        found = self.find(name)
        if found is not None and not self.artifacts[found].deleted and self.artifacts[found].type != type:
            raise Refused("InvalidInputError")
        data = dict(metadata or {})
        if better is not None and not self._is_better(found, data, better):
            return None
        if found is None:
            self.artifacts.append(MArtifact(name, type))
            found = len(self.artifacts) - 1
        artifact = self.artifacts[found]
        artifact.type, artifact.deleted = type, False
        live = artifact.live()
        merged = {**artifact.versions[live[-1]].files, **files} if incremental and live else dict(files)
        folders = {path[:place] for path in merged for place, sign in enumerate(path) if sign == "/"}
        if folders & merged.keys():
            raise Refused("InvalidInputError")
        same = [number for number in live if artifact.versions[number].files == merged]
        if same and not force:
            number = same[-1]
            self.reproduce((found, number), run)
        else:
            artifact.versions.append(MVersion(merged, data, description, producer=run))
            number = len(artifact.versions) - 1
        self.name((found, number), aliases, tags)
        if use is not None:
            self.use(use, (found, number))
        return found, number

    def _is_better(self, found: int | None, data: dict[str, object], better: tuple[str, str]) -> bool:
        new = data.get(better[0])
        if not isinstance(new, int):
            raise Refused("InvalidInputError")
        if found is None or "latest" not in self.artifacts[found].aliases:
            return True
        old = self.artifacts[found].versions[self.artifacts[found].aliases["latest"][0]].metadata.get(better[0])
        return not isinstance(old, int) or (new > old if better[1] == "max" else new < old)

    def reproduce(self, key: Key, run: str | None) -> None:
        """Note that a run made a version once more."""
        if run is not None and self.version(key).producer != run:
            self.version(key).reproducers.add(run)

    def name(self, key: Key, aliases: Iterable[str], tags: Iterable[str]) -> None:
        """Move the aliases of a log, and ``latest``, and put its tags on."""
        for alias in dict.fromkeys(("latest", *aliases)):
            self.artifacts[key[0]].point(alias, key[1])
        self.version(key).tags.update(tags)

    def use(self, run: str, key: Key) -> None:
        """Consume a version."""
        if self.live(key).producer == run:
            return
        if key not in self.runs[run].consumed:
            self._refuse_cycle(self.ref(key), run)
        self.runs[run].consumed.add(key)

    def produce(self, run: str, key: Key) -> None:
        """Write a produced edge that is known already."""
        if self.live(key).producer is None:
            self._refuse_cycle(run, self.ref(key))
            self.version(key).producer = run
        else:
            self.reproduce(key, run)

    def _refuse_cycle(self, source: str, target: str) -> None:
        graph = self.graph()
        if nx.has_path(graph, target, source):
            raise Refused("CycleError", [*graph.edges, (source, target)])

    def rename(self, old: str, new: str) -> None:
        """Rename an artifact."""
        artifact = self.need(old)
        if new != old and self.find(new) is not None:
            raise Refused("ConflictError")
        artifact.name = new

    def delete_artifact(self, name: str, delete_aliases: bool, override: bool) -> None:
        """Delete an artifact with its versions."""
        artifact = self.need(name)
        if artifact.aliases.keys() - {"latest"} and not delete_aliases:
            raise Refused("ConflictError")
        for alias in sorted(artifact.aliases):
            artifact.drop(alias, override)
        for version in artifact.versions:
            version.deleted, version.tags = True, set()
        artifact.deleted = True

    def delete_run(self, run: str, delete_versions: bool, delete_aliases: bool) -> None:
        """Delete a run, perhaps with what it made."""
        if self.runs[run].deleted:
            raise Refused("NotFoundError")
        if self.runs[run].status == "running":
            raise Refused("StateError")
        for key in self.every_key() if delete_versions else []:
            if self.version(key).producer == run and not self.version(key).deleted:
                self.artifacts[key[0]].delete(key[1], delete_aliases, override=False)
        self.runs[run].deleted = True

    def prunable(self, keep_last: int | None, aliased: bool, tagged: bool, used: bool) -> list[Key]:
        """Return what a prune takes, by name and number."""
        eaten = {key for run in self.runs.values() if not run.deleted for key in run.consumed}
        found = []
        for number, artifact in enumerate(self.artifacts):
            named = {
                held
                for alias, (held, protected) in artifact.aliases.items()
                if aliased or protected or alias == "latest"
            }
            newest = artifact.live()[-keep_last:] if keep_last else []
            found += [
                (number, n)
                for n in artifact.live()
                if n not in named and n not in newest
                and not (tagged and artifact.versions[n].tags) and not (used and (number, n) in eaten)
            ]  # fmt: skip
        return sorted(found, key=lambda key: (self.artifacts[key[0]].name, key[1]))
