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
    """A version, or with a `source` a link to it; `age` and `ttl` in hours, `born` is the order in which they came."""

    files: dict[str, Content]
    metadata: dict[str, object]
    description: str | None
    tags: set[str] = field(default_factory=set)
    deleted: bool = False
    producer: str | None = None
    reproducers: set[str] = field(default_factory=set)
    source: Key | None = None
    ttl: int | None = None
    age: int = 0
    born: int = 0


@dataclass
class MArtifact:
    """A name, its versions and its aliases: alias to (number, protected); `foreign` if it is another project's."""

    name: str
    type: str
    versions: list[MVersion] = field(default_factory=list)
    aliases: dict[str, tuple[int, bool]] = field(default_factory=dict)
    history: list[tuple[str, int | None, int | None]] = field(default_factory=list)
    deleted: bool = False
    collection: bool = False
    foreign: bool = False

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

    def names(self, number: int) -> list[str]:
        """Return the aliases of a version."""
        return sorted(alias for alias, (held, _) in self.aliases.items() if held == number)

    def delete(self, number: int, override: bool) -> None:
        """Mark a version deleted and let its aliases go."""
        names = self.names(number)
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
    count: int = 0

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

    def resolve(self, key: Key) -> Key:
        """Return what a link stands for; of any other version itself."""
        return self.version(key).source or key

    def here(self, key: Key) -> MVersion:
        """Return what a live version stands for, whose content must be in this project."""
        self.live(key)
        if self.artifacts[self.resolve(key)[0]].foreign:
            raise Refused("NotFoundError")
        return self.version(self.resolve(key))

    def links(self, *sources: Key) -> list[Key]:
        """Return the live links that stand for these versions, oldest first."""
        found = [key for key in self.every_key() if self.version(key).source in sources]
        return sorted((key for key in found if not self.version(key).deleted), key=lambda key: self.version(key).born)

    def own(self, name: str) -> MArtifact:
        """Return the live artifact of a name, which must not be another project's."""
        if self.need(name).foreign:
            raise Refused("NotFoundError")
        return self.need(name)

    def add(self, artifact: int, version: MVersion) -> Key:
        """Put the next version into an artifact."""
        self.count += 1
        version.born = self.count
        self.artifacts[artifact].versions.append(version)
        return artifact, len(self.artifacts[artifact].versions) - 1

    def ref(self, key: Key) -> str:
        """Return the reference of a version."""
        return f"{self.artifacts[key[0]].name}:v{key[1]}"

    def every_key(self) -> list[Key]:
        """Return all versions, deleted ones too."""
        return [(a, n) for a, artifact in enumerate(self.artifacts) for n in range(len(artifact.versions))]

    def graph(self) -> nx.DiGraph[str]:
        """Return the lineage, named as the project names it."""
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from([*self.runs, *{self.ref(self.resolve(key)) for key in self.every_key()}])
        graph.add_edges_from((self.ref(key), run) for run, one in self.runs.items() for key in one.consumed)
        graph.add_edges_from((one, self.ref(key)) for key in self.every_key() if (one := self.version(key).producer))
        return graph

    def log(
        self, run: str | None, name: str, type: str, files: Mapping[str, Content], *, aliases: Iterable[str] = (),
        tags: Iterable[str] = (), metadata: Mapping[str, object] | None = None, description: str | None = None,
        incremental: bool = False, force: bool = False, better: tuple[str, str] | None = None, use: str | None = None,
        ttl: int | None = None,
    ) -> Key | None:  # fmt: skip
        """Log a draft; with `use`, for a run that consumes it."""
        found = self.find(name)
        if found is not None and self.artifacts[found].collection:
            raise Refused("InvalidInputError")
        if found is not None and self.artifacts[found].type != type:
            raise Refused("InvalidInputError")
        data = dict(metadata or {})
        if better is not None and not self._is_better(found, data, better):
            return None
        if found is None:
            self.artifacts.append(MArtifact(name, type))
            found = len(self.artifacts) - 1
        artifact = self.artifacts[found]
        artifact.deleted = False
        live = artifact.live()
        merged = {**artifact.versions[live[-1]].files, **files} if incremental and live else dict(files)
        folders = {path[:place] for path in merged for place, sign in enumerate(path) if sign == "/"}
        if folders & merged.keys():
            raise Refused("InvalidInputError")
        same = [number for number in live if artifact.versions[number].files == merged]
        if same and not force:
            number = same[-1]
            self.reproduce((found, number), run)
            artifact.versions[number].ttl = longer(artifact.versions[number], ttl)
            if better is not None:
                artifact.versions[number].metadata |= {better[0]: data[better[0]]}
        else:
            _, number = self.add(found, MVersion(merged, data, description, producer=run, ttl=ttl))
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
        self.live(key)
        key = self.resolve(key)
        if self.version(key).producer == run:
            return
        if key not in self.runs[run].consumed:
            self._refuse_cycle(self.ref(key), run)
        self.runs[run].consumed.add(key)

    def produce(self, run: str, key: Key) -> None:
        """Write a produced edge that is known already."""
        self.live(key)
        key = self.resolve(key)
        if self.artifacts[key[0]].foreign:
            raise Refused("InvalidInputError")
        if self.version(key).producer is None:
            self._refuse_cycle(run, self.ref(key))
            self.version(key).producer = run
        else:
            self.reproduce(key, run)

    def _refuse_cycle(self, source: str, target: str) -> None:
        graph = self.graph()
        if nx.has_path(graph, target, source):
            raise Refused("CycleError", [*graph.edges, (source, target)])

    def adopt(self, name: str, files: Mapping[str, Content]) -> Key:
        """Return the one version of another project's artifact, made if it is new."""
        found = self.find(name)
        if found is not None:
            return found, 0
        self.artifacts.append(MArtifact(name, "dataset", foreign=True))
        return self.add(len(self.artifacts) - 1, MVersion(dict(files), {}, None))

    def link(self, key: Key, collection: str, aliases: Iterable[str]) -> Key:
        """Put a version into a collection."""
        self.live(key)
        key = self.resolve(key)
        found, type = self.find(collection), self.artifacts[key[0]].type
        if found is None:
            self.artifacts.append(MArtifact(collection, type, collection=True))
            found = len(self.artifacts) - 1
        shelf = self.artifacts[found]
        if not shelf.collection:
            raise Refused("ConflictError")
        if shelf.type != type:
            raise Refused("InvalidInputError")
        shelf.deleted = False
        same = [link for link in self.links(key) if link[0] == found]
        link = same[0] if same else self.add(found, MVersion(self.version(key).files, {}, None, source=key))
        self.name(link, aliases, ())
        self.version(key).ttl = None
        return link

    def delete(self, key: Key, delete_aliases: bool, override: bool) -> None:
        """Delete a version and the links that stand for it, or a link."""
        artifact, links = self.artifacts[key[0]], self.links(key)
        if self.version(key).deleted or artifact.foreign:
            raise Refused("NotFoundError")
        if (artifact.names(key[1]) or links) and not delete_aliases:
            raise Refused("ConflictError")
        for link in links:
            self.delete(link, True, override)
        artifact.delete(key[1], override)

    def rename(self, old: str, new: str) -> None:
        """Rename an artifact."""
        artifact = self.own(old)
        if new != old and self.find(new) is not None:
            raise Refused("ConflictError")
        artifact.name = new

    def delete_artifact(self, name: str, delete_aliases: bool, override: bool) -> None:
        """Delete an artifact with its versions."""
        artifact, place = self.own(name), self.find(name)
        links = self.links(*(key for key in self.every_key() if key[0] == place))
        if (artifact.aliases.keys() - {"latest"} or links) and not delete_aliases:
            raise Refused("ConflictError")
        for link in links:
            self.delete(link, True, override)
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
        for key in sorted(self.every_key(), key=lambda key: self.version(key).born) if delete_versions else []:
            if self.version(key).producer == run and not self.version(key).deleted:
                self.delete(key, delete_aliases, override=False)
        self.runs[run].deleted = True

    def prunable(self, keep_last: int | None, aliased: bool, tagged: bool, used: bool, expired: bool) -> list[Key]:
        """Return what a prune takes, by name and number."""
        if keep_last is None and not expired:
            raise Refused("InvalidInputError")
        eaten = {key for run in self.runs.values() if not run.deleted for key in run.consumed}
        found = []
        for number, artifact in enumerate(self.artifacts):
            if artifact.collection or artifact.foreign:
                continue
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
                and not self.links((number, n)) and (not expired or is_expired(artifact.versions[n]))
            ]  # fmt: skip
        return sorted(found, key=lambda key: (self.artifacts[key[0]].name, key[1]))


def longer(version: MVersion, ttl: int | None) -> int | None:
    """Return how long a version lives that is logged again with this time to live."""
    return None if version.ttl is None or ttl is None else max(version.ttl, version.age + ttl)


def is_expired(version: MVersion) -> bool:
    """Whether a version has outlived its time; ages are whole hours and a moment."""
    return version.ttl is not None and version.age >= version.ttl
