"""The laws of merging, over random projects that share a beginning and then went different ways."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import networkx as nx
import pytest
from conftest import draft
from hypothesis import given, settings
from hypothesis import strategies as st
from invariants import assert_store_sound

import lineage
from lineage.portable.reports import ALIAS_POLICIES, POLICIES, AliasPolicy, Policy
from lineage.sealing import compute_seal

NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
examples = settings(max_examples=1_000 if NIGHTLY else 20)
"""An example builds up to nine projects: a quarter of a second and more."""
pytestmark = pytest.mark.timeout(0 if NIGHTLY else 300)  # a law cut off in the midst of an example looks broken

CONTENTS = ("", "same", "x" * 20_000)
NAMES = ("data", "model")


@dataclass(frozen=True)
class Act:
    """Something that is done to a project: `what`, to the artifact or version of these numbers."""

    what: str
    name: int
    content: int
    picks: tuple[int, ...] = field(default=())


acts = st.builds(
    Act,
    st.sampled_from(("run", "run", "import", "delete", "alias", "foreign", "link", "words", "resume")),
    st.integers(0, 1),
    st.integers(0, 5),
    st.lists(st.integers(0, 9), max_size=3).map(tuple),
)
histories = st.lists(acts, max_size=5)


@dataclass(frozen=True)
class Facts:
    """What a project holds, up to numbering."""

    runs: frozenset[str]
    versions: dict[str, str]
    edges: frozenset[tuple[str, str, str]]
    facts: frozenset[tuple[str, str]]
    links: frozenset[tuple[str, str]]
    live: frozenset[str]
    """Versions that are here with their content."""
    gone: frozenset[str]
    """Versions that were deleted, here or where they came from."""
    bytes: frozenset[str]

    @property
    def graph(self) -> tuple[object, ...]:
        """All but what deleting changes."""
        return self.runs, self.versions, self.edges, self.facts, self.links


def facts_of(project: lineage.Project) -> Facts:
    """Read what a project holds, by ids that are unique across projects."""
    versions = project.sql(
        """SELECT v.uid, m.digest, v.deleted_at IS NULL AS live, a.project FROM version v
           JOIN manifest m ON m.id = v.manifest JOIN artifact a ON a.id = v.artifact"""
    )
    edges = project.sql(
        """SELECT 'consumed' AS kind, r.uid AS run, v.uid AS version FROM consumed e JOIN run r ON r.id = e.run
           JOIN version v ON v.id = e.version UNION ALL
           SELECT 'produced', r.uid, v.uid FROM produced e JOIN run r ON r.id = e.run
           JOIN version v ON v.id = e.version"""
    )
    facts = project.sql(
        """SELECT v.uid AS version, r.uid AS run FROM reproduced p JOIN version v ON v.id = p.version
           JOIN run r ON r.id = p.run"""
    )
    links = project.sql(
        """SELECT v.uid AS version, s.uid AS source FROM link k JOIN version v ON v.id = k.version
           JOIN version s ON s.id = k.source"""
    )
    return Facts(
        frozenset(row["id"] for row in project.sql("SELECT id FROM runs")),
        {row["uid"]: row["digest"] for row in versions},
        frozenset((row["kind"], row["run"], row["version"]) for row in edges),
        frozenset((row["version"], row["run"]) for row in facts),
        frozenset((row["version"], row["source"]) for row in links),
        frozenset(row["uid"] for row in versions if row["live"]),
        frozenset(row["uid"] for row in versions if not row["live"] and row["project"] is None),
        frozenset(row["digest"] for row in project.sql("SELECT digest FROM files WHERE NOT left_out")),
    )


def seal_of(project: lineage.Project) -> str:
    """Return one digest over all that a project holds."""
    with project.snapshot(), project._store.database.read() as connection:
        return compute_seal(connection).digest


def act(project: lineage.Project, history: Sequence[Act], others: Sequence[lineage.Project], salt: str) -> None:
    """Do what a history says, as far as it makes sense."""
    with project.batch():
        for number, one in enumerate(history):
            live = [v for v in project.versions() if not v.deleted and v.link_to is None and v.project is None]
            chosen = [live[pick % len(live)] for pick in one.picks] if live else []
            text = CONTENTS[one.content] if one.content < len(CONTENTS) else f"{salt}{number}"
            made = draft(NAMES[one.name], {"a": text, "b/c": "always"}, type=NAMES[one.name])
            if one.what == "run":
                with project.start_run("job", use=chosen) as run:
                    run.log({"loss": number})
                    run.log_artifact(made, force_new_version=one.content % 2 == 0)
            elif one.what == "import":
                project.log_artifact(made)
            elif chosen:
                act_on(project, one, chosen[0], others)


def act_on(project: lineage.Project, one: Act, version: lineage.Version, others: Sequence[lineage.Project]) -> None:
    """Do something to a version, or use one of another project."""
    if one.what == "delete":
        version.refresh().delete(delete_aliases=True)
    elif one.what == "alias":
        version.add_alias("best")
    elif one.what == "link":
        project.link(version, "Best ones", aliases=["top"]) if version.type == "model" else None
    elif one.what == "words":
        version.update(description=f"words {one.content}", tags=[f"t{one.content}"])
    elif one.what == "resume" and (maker := version.logged_by()) is not None:
        with project.start_run(id=maker.id, resume="must") as run:
            run.log({"loss": one.content + 0.5, f"of {project.file.stem}": 1.0})
    elif one.what == "foreign":
        for other in others:
            for found in list(other.versions(limit=1)):
                if found.link_to is None:
                    with suppress(lineage.NotFoundError):  # it may be one that both have, and that was deleted here
                        project.start_run("abroad", use=[found]).finish()
                        project.link(found, f"Best {found.type}s") if one.content % 2 else None


@contextmanager
def worlds(base: Sequence[Act], *histories: Sequence[Act]) -> Iterator[list[lineage.Project]]:
    """Give projects that share a beginning and then went different ways."""
    with tempfile.TemporaryDirectory() as home:
        origin = lineage.open(f"{home}/origin.lineage")
        act(origin, base, [], "base")
        projects: list[lineage.Project] = []
        for number, history in enumerate(histories):
            project = lineage.open(f"{home}/p{number}.lineage")
            project.merge(origin)
            act(project, history, projects, f"p{number}")
            projects.append(project)
        yield projects


def copy_of(project: lineage.Project, name: str) -> lineage.Project:
    """Return a project with the same in it, unpacked by nobody."""
    path = project.file.with_name(f"{project.file.stem}-{name}.lineage")
    project.pack(path)
    return lineage.open(path)


def graph_of(facts: Sequence[Facts]) -> nx.DiGraph[str]:
    """Return the union of some lineages as a graph of ids."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    for one in facts:
        graph.add_nodes_from([*one.runs, *one.versions])
        for kind, run, version in one.edges:
            graph.add_edge(*((version, run) if kind == "consumed" else (run, version)))
    return graph


@examples
@given(
    base=histories,
    mine=histories,
    yours=histories,
    policies=st.tuples(st.sampled_from(ALIAS_POLICIES), st.sampled_from(POLICIES)),
    met=st.booleans(),
)
def test_merging_twice_adds_nothing(
    base: list[Act], mine: list[Act], yours: list[Act], policies: tuple[AliasPolicy, Policy], met: bool
) -> None:
    """The second merge of the same project changes not one row, and reports that nothing came."""
    aliases, metadata = policies
    with worlds(base, mine, yours) as (ours, theirs):
        if met:
            theirs.merge(ours, aliases=aliases)
        rehearsed = ours.merge(theirs, aliases=aliases, metadata=metadata, dry_run=True)
        first = ours.merge(theirs, aliases=aliases, metadata=metadata)
        before = seal_of(ours)

        again = ours.merge(theirs, aliases=aliases, metadata=metadata)

        assert (again.runs, again.versions, again.artifacts, again.edges, again.blobs) == (0, 0, 0, 0, 0)
        assert seal_of(ours) == before
        assert {one for one in dir(first) if getattr(first, one) != getattr(rehearsed, one) and one[0] != "_"} == {
            "dry_run"
        }
        assert_store_sound(ours, strays=False)


@examples
@given(base=histories, mine=histories, yours=histories)
def test_merging_either_way_gives_the_same(base: list[Act], mine: list[Act], yours: list[Act]) -> None:
    """A into B and B into A hold the same runs, versions, edges and bytes; each keeps its own deletions."""
    with worlds(base, mine, yours) as (ours, theirs):
        before = facts_of(ours), facts_of(theirs)
        other = copy_of(theirs, "copy")
        unchanged = copy_of(ours, "copy")

        ours.merge(theirs)
        other.merge(unchanged)

        after = facts_of(ours), facts_of(other)
        assert after[0].graph == after[1].graph
        assert after[0].versions.keys() == before[0].versions.keys() | before[1].versions.keys()
        assert after[0].edges == before[0].edges | before[1].edges
        sources = dict(after[0].links)
        for result, (first, second) in zip(after, (before, before[::-1]), strict=True):
            came = {uid for uid in second.live - first.gone if sources.get(uid, uid) not in first.gone}
            assert result.live == first.live | came
        if not before[0].gone and not before[1].gone:
            assert after[0].bytes == after[1].bytes == before[0].bytes | before[1].bytes
        assert_store_sound(ours, strays=False)
        assert_store_sound(other, strays=False)


@examples
@given(base=histories, each=st.tuples(histories, histories, histories))
def test_merging_three_in_any_order_gives_the_same(base: list[Act], each: tuple[list[Act], ...]) -> None:
    """Whatever the order, the same runs, versions and edges are there, and the same bytes where nothing was deleted."""
    with worlds(base, *each) as projects:
        deleted = any(facts_of(one).gone for one in projects)
        results = []
        for number, order in enumerate(itertools.permutations(projects)):
            union = lineage.open(projects[0].file.with_name(f"union{number}.lineage"))
            for one in order:
                union.merge(one)
            results.append(facts_of(union))
            assert_store_sound(union, strays=False)

        assert all(one.graph == results[0].graph for one in results)
        assert deleted or all((one.live, one.bytes) == (results[0].live, results[0].bytes) for one in results)


@examples
@given(base=histories, mine=histories, yours=histories)
def test_lineage_over_the_union_is_the_union_of_the_lineages(
    base: list[Act], mine: list[Act], yours: list[Act]
) -> None:
    """What is upstream of a version after a merge is what the two graphs laid over each other say."""
    with worlds(base, mine, yours) as (ours, theirs):
        together = graph_of([facts_of(ours), facts_of(theirs)])

        ours.merge(theirs)

        graph = graph_of([facts_of(ours)])
        assert set(graph.nodes) == set(together.nodes)
        assert set(graph.edges) == set(together.edges)
        for version in ours.versions():
            if version.link_to is None:
                found = {node.id for node in version.ancestors(kind="run")}
                assert found == {
                    one for one in nx.ancestors(together, version.uid) if together.nodes[one] is not None
                } & {run.id for run in ours.runs()}


@examples
@given(base=histories, mine=histories)
def test_packing_then_merging_into_an_empty_project_loses_nothing(base: list[Act], mine: list[Act]) -> None:
    """One digest over everything is the same before and after, and every file can be read."""
    with worlds(base, mine) as (ours,):
        report = ours.pack(ours.file.with_name("share.lineage"))
        empty = lineage.open(ours.file.with_name("empty.lineage"))

        empty.merge(report.file)

        assert facts_of(empty) == facts_of(ours)
        assert empty.pack(Path(report.file).with_name("again.lineage")).digest == report.digest
        for version in empty.versions():
            if not version.deleted and version.project is None:
                assert [version.open(entry.path).read() for entry in version.files()]
        assert_store_sound(empty, strays=False)
