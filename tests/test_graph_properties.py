"""Walks over random lineages: the answers are those of networkx, and no edge ever closes a cycle."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import networkx as nx
import pytest
from conftest import draft
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Step, dags

import lineage
from lineage.records import Node
from lineage.values import new_uid, timestamp

Graph = nx.DiGraph  # without its type argument, which the class does not take at run time
few = settings(max_examples=settings().max_examples // 2)


@contextmanager
def built(steps: list[Step]) -> Iterator[tuple[lineage.Project, nx.DiGraph[str]]]:
    """Give a project that holds a drawn lineage, and the same as a graph; `root:v0` has no producer."""
    with tempfile.TemporaryDirectory() as folder:
        project = lineage.open(Path(folder) / "p.lineage")
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_node("root:v0")
        versions = ["root:v0"]
        with project.batch():
            project.log_artifact(draft("root"))
            for number, step in enumerate(steps):
                run, used = f"run{number}", [versions[place] for place in step.consumed]
                with project.start_run(f"job{number % 2}", id=run, use=used) as active:
                    made = [active.log_artifact(draft("thing"), force_new_version=True) for _ in range(step.produced)]
                versions += [version.reference for version in made if version is not None]
                graph.add_node(run)
                graph.add_edges_from((one, run) for one in used)
                graph.add_edges_from((run, version.reference) for version in made if version is not None)
        with project.snapshot():
            yield project, graph


def depths(nodes: list[Node]) -> dict[str, int]:
    assert [node.depth for node in nodes] == sorted(node.depth for node in nodes)
    assert len({node.id for node in nodes}) == len(nodes)
    return {node.id: node.depth for node in nodes}


@few
@given(dags())
def test_walk_from_any_node_reaches_what_networkx_reaches(steps: list[Step]) -> None:
    """Ancestors and descendants are those of networkx, each at its shortest distance, nearest first."""
    with built(steps) as (project, graph):
        upstream = graph.reverse()
        for node in graph:
            below, above = (nx.single_source_shortest_path_length(one, node) for one in (graph, upstream))

            assert depths(project.descendants(node)) == {other: far for other, far in below.items() if far}
            assert depths(project.ancestors(node)) == {other: far for other, far in above.items() if far}


@few
@given(dags(), st.integers(0, 5))
def test_walk_with_a_depth_stops_there(steps: list[Step], depth: int) -> None:
    """A depth limit keeps exactly the nodes so many edges away, in every form of the question."""
    with built(steps) as (project, graph):
        for node in graph:
            below = nx.single_source_shortest_path_length(graph, node, cutoff=depth)
            above = nx.single_source_shortest_path_length(graph.reverse(), node, cutoff=depth)

            assert depths(project.descendants(node, depth=depth)).keys() == below.keys() - {node}
            assert depths(project.ancestors(node, depth=depth)).keys() == above.keys() - {node}
            assert set(project.graph(node, depth=depth)) == below.keys() | above.keys()


@few
@given(dags())
def test_walk_for_one_kind_goes_through_the_other(steps: list[Step]) -> None:
    """Asking for runs, versions, a type or a job type narrows the answer, not the walk."""
    with built(steps) as (project, graph):
        for node in graph:
            everything = project.ancestors(node)

            assert project.ancestors(node, kind="run") == [one for one in everything if one.kind == "run"]
            assert project.ancestors(node, kind="version") == [one for one in everything if one.kind == "version"]
            assert project.ancestors(node, kind="run", job_types="job1") == [
                one for one in everything if one.type == "job1"
            ]


@few
@given(dags(), st.data())
def test_path_between_two_nodes_is_a_shortest_chain(steps: list[Step], data: st.DataObject) -> None:
    """A path follows edges, down- or upstream, is as short as can be, and is there when networkx finds one."""
    with built(steps) as (project, graph):
        node, other = (data.draw(st.sampled_from(sorted(graph))) for _ in range(2))
        ahead, behind = nx.has_path(graph, node, other), nx.has_path(graph, other, node)

        found = [one.id for one in project.path(node, other)]

        assert project.depends_on(other, node) == (ahead and node != other)
        assert bool(found) == (ahead or behind)
        if found:
            assert (found[0], found[-1]) == (node, other)
            assert nx.is_simple_path(graph, found if ahead else found[::-1])
            assert len(found) == 1 + nx.shortest_path_length(graph, *((node, other) if ahead else (other, node)))


@few
@given(dags(), st.data())
def test_common_ancestors_are_upstream_of_both(steps: list[Step], data: st.DataObject) -> None:
    """They are the intersection of what is upstream of each, at the smaller of the two distances."""
    with built(steps) as (project, graph):
        node, other = (data.draw(st.sampled_from(sorted(graph))) for _ in range(2))
        first, second = (nx.single_source_shortest_path_length(graph.reverse(), one) for one in (node, other))

        found = depths(project.common_ancestors(node, other))

        assert found == {
            one: min(first[one], second[one]) for one in first.keys() & second.keys() if first[one] and second[one]
        }


@few
@given(dags(), st.data())
def test_graph_around_nodes_is_the_induced_subgraph(steps: list[Step], data: st.DataObject) -> None:
    """What is extracted holds what lies up- or downstream of the starts, and every edge between these nodes."""
    with built(steps) as (project, graph):
        starts = data.draw(st.lists(st.sampled_from(sorted(graph)), max_size=2, unique=True))
        above = set(starts).union(*(nx.ancestors(graph, one) for one in starts))
        below = set(starts).union(*(nx.descendants(graph, one) for one in starts))
        for direction, reached in (("up", above), ("down", below), ("both", above | below)):
            wanted = reached if starts else set(graph)

            found = project.graph(*starts, direction=direction)  # type: ignore[arg-type]  # one of the three

            assert nx.utils.graphs_equal(Graph(found.edges), Graph(graph.subgraph(wanted).edges))
            assert set(found) == wanted


@few
@given(dags(), st.sampled_from(("type", "name")))
def test_collapsed_graph_counts_every_node_and_edge(steps: list[Step], by: str) -> None:
    """Merging loses nothing: the counts add up to the nodes and edges there were."""
    with built(steps) as (project, graph):
        merged = project.graph(collapse=by)  # type: ignore[arg-type]  # hypothesis draws one of the two

        assert sum(merged.nodes[node]["count"] for node in merged) == graph.number_of_nodes()
        assert sum(merged.edges[edge]["count"] for edge in merged.edges) == graph.number_of_edges()


@pytest.mark.slow
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 5)), min_size=5, max_size=40))
def test_edge_is_refused_only_if_it_closes_a_cycle(proposals: list[tuple[bool, int, int]]) -> None:
    """Any edge accepted keeps the lineage acyclic; any edge refused would have closed the cycle that is named."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    with tempfile.TemporaryDirectory() as folder:
        project = lineage.open(Path(folder) / "p.lineage")
        with project.batch():
            for number in range(6):
                graph.add_nodes_from((f"run{number}", f"thing:v{number}"))
                project.start_run(id=f"run{number}").finish()
                project.log_artifact(draft("thing"), force_new_version=True)
            for consumes, run, version in proposals:
                edge = (f"thing:v{version}", f"run{run}") if consumes else (f"run{run}", f"thing:v{version}")
                if edge[::-1] in graph.edges and consumes:  # its own output: no edge, and no error
                    project.record(edge[1], consumed=[edge[0]])
                elif not consumes and any(graph.predecessors(edge[1])):  # reproduced: no edge either
                    project.record(edge[0], produced=[edge[1]])
                else:
                    propose(project, graph, edge, consumes=consumes)
            stored = {(row["source"], row["target"]) for row in project.sql("SELECT source, target FROM edges")}

    assert stored == set(graph.edges)
    assert nx.is_directed_acyclic_graph(graph)


def propose(project: lineage.Project, graph: nx.DiGraph[str], edge: tuple[str, str], *, consumes: bool) -> None:
    """Record an edge; compare whether and why it is refused."""
    wanted = {"consumed": [edge[0]]} if consumes else {"produced": [edge[1]]}
    run = edge[1] if consumes else edge[0]
    after = graph.copy()
    after.add_edge(*edge)
    if nx.is_directed_acyclic_graph(after):
        project.record(run, **wanted)
        graph.add_edge(*edge)
        return
    with pytest.raises(lineage.CycleError) as caught:
        project.record(run, **wanted)
    cycle = caught.value.cycle
    assert edge in zip(cycle, (*cycle[1:], cycle[0]), strict=True)
    assert all(after.has_edge(*step) for step in zip(cycle, (*cycle[1:], cycle[0]), strict=True))
    assert len(set(cycle)) == len(cycle)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> lineage.Project:
    """A lineage 100,000 edges deep: 50,000 runs, each of which makes the next version of the last one."""
    project = lineage.open(tmp_path_factory.mktemp("chain") / "chain.lineage")
    project.log_artifact(draft("link"))
    count, now = 50_000, timestamp()
    with project._store.writing() as connection:
        connection.executemany(
            "INSERT INTO run (id, uid, name, status, started_at) VALUES (?, ?, ?, 'finished', ?)",
            ((one, f"run{one}", f"run{one}", now) for one in range(1, count + 1)),
        )
        connection.executemany(
            "INSERT INTO version (id, uid, artifact, number, manifest, created_at) VALUES (?, ?, 1, ?, 1, ?)",
            ((one + 1, new_uid(), one, now) for one in range(1, count + 1)),
        )
        connection.execute("INSERT INTO consumed (run, version) SELECT id, id FROM run")
        connection.execute("INSERT INTO produced (run, version) SELECT id, id + 1 FROM run")
        connection.execute("UPDATE artifact SET next_number = ?", (count + 1,))
    return project


@pytest.mark.slow
def test_ancestors_of_a_chain_100_000_deep_are_all_there(chain: lineage.Project) -> None:
    """Nothing recurses over the depth of the lineage; seconds, not minutes."""
    began = time.monotonic()

    found = chain.ancestors("link:v50000")

    assert len(found) == 100_000
    assert (found[0].id, found[-1].id, found[-1].depth) == ("run50000", "link:v0", 100_000)
    print(f"ancestors of a chain 100,000 deep: {time.monotonic() - began:.1f} s")  # noqa: T201 (a figure for people)


@pytest.mark.slow
def test_path_through_a_chain_100_000_deep_is_whole(chain: lineage.Project) -> None:
    """A path as long as the lineage is deep comes back in order, and so does the cycle its end would close."""
    began = time.monotonic()

    found = chain.path("link:v0", "link:v50000")

    assert len(found) == 100_001
    assert [node.id for node in found[:3]] == ["link:v0", "run1", "link:v1"]
    assert chain.depends_on("link:v50000", "link:v0")
    with pytest.raises(lineage.CycleError) as caught:
        chain.record("run1", consumed=["link:v50000"])
    assert len(caught.value.cycle) == 100_000
    print(f"three searches through a chain 100,000 deep: {time.monotonic() - began:.1f} s")  # noqa: T201 (as above)


@pytest.mark.slow
def test_verify_of_a_chain_100_000_deep_finds_no_cycle(chain: lineage.Project) -> None:
    """The check for cycles is a long loop and no recursion."""
    assert [one for one in chain.verify().problems if one.kind == "cycle"] == []


@pytest.mark.parametrize("shape", ["thread", "hub with a history", "ladder", "narrow, wide, narrow"])
def test_walk_along_a_thread_reaches_what_networkx_reaches(shape: str) -> None:
    """One statement follows all levels while they are narrow; where they are not, the walk goes on by levels."""
    steps = {
        "thread": [Step((place,), 1) for place in range(120)],
        "hub with a history": [
            *(Step((place,), 1) for place in range(40)),
            *(Step((40, place), 1) for place in range(40, 120)),
        ],
        "ladder": [Step((max(0, place - 1), place), 1) for place in range(120)],
        "narrow, wide, narrow": [
            *(Step((place,), 1) for place in range(20)),
            *(Step((20,), 1) for _ in range(30)),
            Step(tuple(range(21, 51)), 1),
            *(Step((place,), 1) for place in range(51, 80)),
        ],
    }[shape]
    with built(steps) as (project, graph):
        last = f"thing:v{len(steps) - 1}"
        for limit in (None, 7, 50):
            expected = nx.single_source_shortest_path_length(graph.reverse(), last, cutoff=limit)
            del expected[last]
            assert depths(project.ancestors(last, depth=limit)) == expected
            expected = nx.single_source_shortest_path_length(graph, "root:v0", cutoff=limit)
            del expected["root:v0"]
            assert depths(project.descendants("root:v0", depth=limit)) == expected
