"""Graphs as text: what each format says, that no name can break out of it, and that it is stable."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.errors import ErrorKind, FormatError, InvalidInputError, NotFoundError
from lineage.exports import export, from_json, to_dot, to_graphml, to_json, to_mermaid, tree_text, visible

if TYPE_CHECKING:
    from collections.abc import Callable

TRAIN = "01JZ0000000000000000000001"
EVALUATE = "01JZ0000000000000000000002"

HOSTILE = [
    'a"]; b',
    "<script>alert(1)</script>",
    "`code`",
    "1. one",
    "two\nlines",
    "\x1b[31mred\x00",
    "a\u202eb",
    "#35; &amp; %%{init}%%",
    "ends in \\",
    "a | b --> c",
    "日本 é",
]
hostile_text = st.one_of(
    st.sampled_from(HOSTILE), st.text(), st.text(st.sampled_from(list("\\\"'`#;&<>[]{}|\n\r\x00\x1b\ud800\ufffe:v1 -")))
)


def version(key: str, *, deleted: bool = False, **attributes: object) -> tuple[str, dict[str, Any]]:
    """Return a version's node."""
    artifact, _, number = key.rpartition(":v")
    return key, {
        "kind": "version",
        "label": key,
        "type": "model",
        "deleted": deleted,
        "artifact": artifact,
        "number": int(number),
        "digest": "ab" * 32,
        "size": 3,
        "aliases": ["best", "latest"],
        "created_at": "2026-03-01T10:00:00.000000Z",
        **attributes,
    }


def run(key: str, name: str, job_type: str = "train", **attributes: object) -> tuple[str, dict[str, Any]]:
    """Return a run's node."""
    return key, {
        "kind": "run",
        "label": name,
        "type": job_type,
        "deleted": False,
        "job_type": job_type,
        "status": "finished",
        "started_at": "2026-03-01T09:00:00.000000Z",
        **attributes,
    }


def consumed(source: str, target: str, use_as: str | None = None) -> tuple[str, str, dict[str, Any]]:
    """Return an edge from a version to a run."""
    return source, target, {"kind": "consumed", "use_as": use_as}


def produced(source: str, target: str) -> tuple[str, str, dict[str, Any]]:
    """Return an edge from a run to a version."""
    return source, target, {"kind": "produced"}


def digraph(
    nodes: list[tuple[str, dict[str, Any]]],
    edges: list[tuple[str, str, dict[str, Any]]],
    collapse: str | None = None,
) -> nx.DiGraph[str]:
    """Return a graph of project iv3 with these nodes and edges."""
    graph: nx.DiGraph[str] = nx.DiGraph(project="iv3", collapse=collapse)
    graph.add_nodes_from(nodes)
    graph.add_edges_from(edges)
    return graph


def bare(*edges: tuple[str, str]) -> nx.DiGraph[str]:
    """Return a graph without any attributes."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_edges_from(edges)
    return graph


def training() -> nx.DiGraph[str]:
    """Return two versions of a data set, one run, one model."""
    return digraph(
        [version("data:v10"), version("data:v2", deleted=True), version("iv3:v0"), run(TRAIN, "swept-water-5")],
        [consumed("data:v10", TRAIN, "train set"), consumed("data:v2", TRAIN), produced(TRAIN, "iv3:v0")],
    )


def collapsed() -> nx.DiGraph[str]:
    """Return the runs of one job type and the versions they made."""
    return digraph(
        [
            ("type:model", {"kind": "type", "label": "model", "type": "model", "count": 3}),
            ("job_type:train", {"kind": "job_type", "label": "train", "type": "train", "count": 2}),
        ],
        [("job_type:train", "type:model", {"kind": "produced", "count": 3})],
        collapse="type",
    )


def reversed_order(graph: nx.DiGraph[str]) -> nx.DiGraph[str]:
    """Build the same graph with nodes, edges and attributes put in backwards."""
    nodes = [(key, dict(reversed(list(data.items())))) for key, data in graph.nodes(data=True)]
    edges = [(a, b, dict(reversed(list(data.items())))) for a, b, data in graph.edges(data=True)]
    return digraph(nodes[::-1], edges[::-1], graph.graph["collapse"])


@st.composite
def graphs(draw: st.DrawFn, text: st.SearchStrategy[str]) -> nx.DiGraph[str]:
    """Draw graphs as the library makes them, with names, types and uses drawn from the text."""
    names = draw(st.lists(text, max_size=4, unique=True))
    versions = [version(f"{name}:v{n}", deleted=draw(st.booleans())) for n, name in enumerate(names)]
    runs = [run(f"01JZ{n:022}", draw(text), draw(text)) for n in range(draw(st.integers(0, 3)))]
    pairs = [(v, r) for v, _ in versions for r, _ in runs]
    edges = []
    for one, other in draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []:
        backwards = draw(st.booleans())
        edges.append(produced(other, one) if backwards else consumed(one, other, draw(st.none() | text)))
    return digraph(versions + runs, edges)


# --- visible ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x00\x7f\x9b", r"\x00\x7f\x9b"),
        ("a\u202e\u2066b\u2069", r"a\u202e\u2066b\u2069"),
        ("a\u2028b\u200bc", r"a\u2028b\u200bc"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_visible_of_what_a_terminal_obeys_writes_it_out(text: str, expected: str) -> None:
    """Control, bidirectional and invisible characters are printed as their escapes."""
    assert visible(text) == expected


@pytest.mark.parametrize("text", ["iv3_trained:v2", "日本 é", "می\u200cخواهم", "👩\u200d🔬", "a\\b", ""])  # noqa: RUF001 - Persian
def test_visible_of_what_people_write_changes_nothing(text: str) -> None:
    """Letters of any script, joiners within words and emoji, and backslashes stay as they are."""
    assert visible(text) == text


@given(hostile_text)
def test_visible_called_twice_changes_nothing_more(text: str) -> None:
    """Text that was made visible holds nothing left to escape."""
    assert visible(visible(text)) == visible(text)


# --- Mermaid ---------------------------------------------------------------------------------------------------

MERMAID_LABEL = r'"(?:[^\W_]|[ _:-]|\#[0-9]+;|<br/>)+"'
MERMAID_LINE = re.compile(
    rf"""flowchart\ LR
    | \ {{4}}n\d+(?:\[{MERMAID_LABEL}\]|\(\[{MERMAID_LABEL}\]\)):::(?:version|run)
    | \ {{4}}n\d+\ (?:-->|==>)(?:\|{MERMAID_LABEL}\|)?\ n\d+
    | \ {{4}}classDef\ (?:version|run)\ fill:\#\w+,stroke:\#\w+,color:\#\w+
    | \ {{4}}classDef\ deleted\ stroke-dasharray:5\ 5
    | \ {{4}}class\ n\d+(?:,n\d+)*\ deleted""",
    re.VERBOSE,
)


def test_write_mermaid_of_a_training_gives_nodes_edges_and_classes() -> None:
    """Versions are boxes, runs rounded, arrows differ by kind, use_as is on the arrow and the deleted are dashed."""
    text = to_mermaid(training())

    assert text.splitlines() == [
        "flowchart LR",
        '    n0(["swept-water-5<br/>train"]):::run',
        '    n1["data:v2<br/>model"]:::version',
        '    n2["data:v10<br/>model"]:::version',
        '    n3["iv3:v0<br/>model"]:::version',
        "    n0 ==> n3",
        "    n1 --> n0",
        '    n2 -->|"train set"| n0',
        "    classDef version fill:#e8f1fd,stroke:#3b6fb6,color:#111111",
        "    classDef run fill:#fdf3e1,stroke:#b67a1f,color:#111111",
        "    classDef deleted stroke-dasharray:5 5",
        "    class n1 deleted",
    ]


def test_write_mermaid_of_a_collapsed_graph_shows_counts() -> None:
    """A collapsed node and edge say how many they stand for."""
    text = to_mermaid(collapsed())

    assert '    n0{{"train #40;2#41;"}}:::job_type' in text
    assert '    n1[["model #40;3#41;"]]:::type' in text
    assert '    n0 ==>|"3"| n1' in text


def test_write_mermaid_of_an_empty_graph_gives_the_header() -> None:
    """A graph without nodes is still a flowchart."""
    assert to_mermaid(digraph([], [])) == "flowchart LR\n"


def test_write_mermaid_of_an_unknown_kind_falls_back_to_other() -> None:
    """A kind that is no known one never becomes a class name."""
    text = to_mermaid(digraph([("x", {"kind": "a;b\nclick", "label": "x"})], []))

    assert '    n0("x"):::other' in text


def test_write_mermaid_of_a_node_without_label_shows_its_key() -> None:
    """An unnamed run is shown by its id."""
    text = to_mermaid(digraph([run(TRAIN, "", "")], []))

    assert f'    n0(["{TRAIN}"]):::run' in text


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ('a"b', "a#34;b"),
        ("<b>", "#60;b#62;"),
        ("`x`", "#96;x#96;"),
        ("#1", "#35;1"),
        ("x\ny", "x#92;#8288;ny"),
        ("\x1b[0m", "#92;x1b#91;0m"),
        ("1. x", "1#46; x"),
        ("  x", "#32;#32;x"),
        ("_x_ a_b", "#95;x#95; a_b"),
        ("fa:fa-car", "fa#58;#8288;fa-car"),
        ("$$x$$", "#36;#8288;#36;x#36;#8288;#36;"),
        ("ﬂ°60¶ß", "ﬂ#8288;#176;60#182;#8288;ß"),
        ("日本", "日本"),
    ],
)
def test_write_mermaid_of_a_name_with_markup_makes_entities(name: str, label: str) -> None:
    """Each character that Mermaid would act on becomes an entity, and sequences that it reads again are parted."""
    text = to_mermaid(digraph([run(TRAIN, name, "")], []))

    assert f'    n0(["{label}"]):::run' in text


@given(graphs(hostile_text))
def test_write_mermaid_of_any_names_gives_well_formed_lines(graph: nx.DiGraph[str]) -> None:
    """Whatever the names, every line is one of the few forms there are, one for each node and edge."""
    lines = to_mermaid(graph).removesuffix("\n").split("\n")

    assert [line for line in lines if not MERMAID_LINE.fullmatch(line)] == []
    assert sum(":::" in line for line in lines) == graph.number_of_nodes()
    assert sum("-->" in line or "==>" in line for line in lines) == graph.number_of_edges()


# --- Graphviz --------------------------------------------------------------------------------------------------

DOT_STRING = r'"(?:[^"\\]|\\["\\n])*"'
DOT_LINE = re.compile(
    rf"""digraph\ {DOT_STRING}\ \{{ | \}}
    | \ {{4}}rankdir=LR; | \ {{4}}node\ \[style=filled,\ fontname="sans-serif"\];
    | \ {{4}}n\d+\ \[label={DOT_STRING},\ shape=\w+,\ fillcolor="\#\w+",\ color="\#\w+"(?:,\ style="filled,dashed")?\];
    | \ {{4}}n\d+\ ->\ n\d+(?:\ \[(?:label={DOT_STRING}|penwidth=2)\])?;""",
    re.VERBOSE,
)


def test_write_dot_of_a_training_gives_nodes_and_edges() -> None:
    """Versions are boxes, runs ellipses, the deleted dashed, produced thick, and use_as is on the arrow."""
    text = to_dot(training())

    assert text.splitlines() == [
        'digraph "iv3" {',
        "    rankdir=LR;",
        '    node [style=filled, fontname="sans-serif"];',
        r'    n0 [label="swept-water-5\ntrain", shape=ellipse, fillcolor="#fdf3e1", color="#b67a1f"];',
        r'    n1 [label="data:v2\nmodel", shape=box, fillcolor="#e8f1fd", color="#3b6fb6", style="filled,dashed"];',
        r'    n2 [label="data:v10\nmodel", shape=box, fillcolor="#e8f1fd", color="#3b6fb6"];',
        r'    n3 [label="iv3:v0\nmodel", shape=box, fillcolor="#e8f1fd", color="#3b6fb6"];',
        "    n0 -> n3 [penwidth=2];",
        "    n1 -> n0;",
        '    n2 -> n0 [label="train set"];',
        "}",
    ]


def test_write_dot_of_a_collapsed_graph_shows_counts() -> None:
    """A collapsed edge is thick if produced, and says how many it stands for."""
    assert '    n0 -> n1 [label="3", penwidth=2];' in to_dot(collapsed())


@pytest.mark.parametrize(
    ("name", "label"),
    [('a"b', r"a\"b"), ("a\\", r"a\\"), (r"\N", r"\\N"), ("x\ny", r"x\\ny"), ("&lt;", "&amp;lt;"), ("日本", "日本")],
)
def test_write_dot_of_a_name_with_markup_escapes_it(name: str, label: str) -> None:
    """Quotes, backslashes and entities, all of which Graphviz reads in labels, come out as themselves."""
    assert f'    n0 [label="{label}", ' in to_dot(digraph([run(TRAIN, name, "")], []))


@given(graphs(hostile_text))
def test_write_dot_of_any_names_gives_well_formed_lines(graph: nx.DiGraph[str]) -> None:
    """Whatever the names, every line is one of the few forms there are, one for each node and edge."""
    lines = to_dot(graph).removesuffix("\n").split("\n")

    assert [line for line in lines if not DOT_LINE.fullmatch(line)] == []
    assert len(lines) == 4 + graph.number_of_nodes() + graph.number_of_edges()


# --- GraphML ---------------------------------------------------------------------------------------------------

GRAPHML = "{http://graphml.graphdrawing.org/xmlns}"


def test_write_graphml_of_a_training_reads_back_as_scalars() -> None:
    """Lists come back as JSON text, None is left out, and the other attributes keep their types."""
    graph = nx.parse_graphml(to_graphml(training()))

    assert graph.nodes["data:v2"] == {**training().nodes["data:v2"], "aliases": '["best", "latest"]'}
    assert graph.edges["data:v10", TRAIN] == {"kind": "consumed", "use_as": "train set"}
    assert graph.edges["data:v2", TRAIN] == {"kind": "consumed"}


def test_write_graphml_of_a_collapsed_graph_keeps_what_the_graph_is() -> None:
    """Project and collapse are data of the graph."""
    data = ET.fromstring(to_graphml(collapsed())).findall(f"{GRAPHML}graph/{GRAPHML}data")

    assert [element.text for element in data] == ["type", "iv3"]


def test_write_graphml_of_a_control_character_writes_its_escape() -> None:
    r"""What XML cannot hold is written as an escape, and a backslash is doubled so that the two differ."""
    graph = nx.parse_graphml(to_graphml(digraph([run(TRAIN, "\x1b \\x1b \r", "")], [])))

    assert graph.nodes[TRAIN]["label"] == r"\x1b \\x1b \r"


@given(graphs(hostile_text))
def test_write_graphml_of_any_names_parses_with_all_nodes_and_edges(graph: nx.DiGraph[str]) -> None:
    """Whatever the names, it is XML, no two nodes become one, and every edge finds its ends."""
    root = ET.fromstring(to_graphml(graph))

    ids = [node.get("id") for node in root.iter(f"{GRAPHML}node")]
    edges = [(edge.get("source"), edge.get("target")) for edge in root.iter(f"{GRAPHML}edge")]
    assert len(set(ids)) == len(ids) == graph.number_of_nodes()
    assert len(set(edges)) == len(edges) == graph.number_of_edges()
    assert {end for edge in edges for end in edge} <= set(ids)


# --- JSON ------------------------------------------------------------------------------------------------------


def test_write_json_of_a_small_graph_gives_the_documented_members() -> None:
    """The document names its format, and its nodes and edges come sorted with their attributes."""
    graph = digraph(
        [
            run(EVALUATE, "b", "evaluate"),
            run(TRAIN, "a"),
            ("m:v1", {"number": 1, "kind": "version", "aliases": ("x",)}),
        ],
        [consumed("m:v1", EVALUATE, "model"), produced(TRAIN, "m:v1")],
    )

    document = to_json(graph)

    assert {
        name: document[name] for name in ("format", "format_version", "directed", "multigraph", "project", "collapse")
    } == {
        "format": "lineage-graph",
        "format_version": 1,
        "directed": True,
        "multigraph": False,
        "project": "iv3",
        "collapse": None,
    }
    assert [node["id"] for node in document["nodes"]] == [TRAIN, EVALUATE, "m:v1"]
    assert document["nodes"][2] == {"id": "m:v1", "kind": "version", "aliases": ["x"], "number": 1}
    assert document["edges"] == [
        {"source": TRAIN, "target": "m:v1", "kind": "produced"},
        {"source": "m:v1", "target": EVALUATE, "kind": "consumed", "use_as": "model"},
    ]


@given(graphs(st.one_of(st.sampled_from(HOSTILE), st.text())))
def test_read_json_of_a_written_graph_gives_it_back(graph: nx.DiGraph[str]) -> None:
    """A graph survives the way through the document and its text unchanged."""
    document = json.loads(json.dumps(to_json(graph)))

    assert nx.utils.graphs_equal(from_json(document), graph)


def test_read_json_of_a_collapsed_graph_gives_it_back() -> None:
    """The attributes of the graph itself come back too."""
    back = from_json(to_json(collapsed()))

    assert nx.utils.graphs_equal(back, collapsed())
    assert back.graph == {"project": "iv3", "collapse": "type"}


def test_read_json_then_changing_the_graph_leaves_the_document() -> None:
    """The graph shares no list with the document it came from."""
    document = to_json(training())

    from_json(document).nodes["iv3:v0"]["aliases"].append("mine")

    assert document == to_json(training())


def test_read_json_of_an_attribute_named_like_a_parameter_keeps_it() -> None:
    """Attribute names of a foreign document never collide with those of networkx's functions."""
    document = {**to_json(digraph([], [])), "nodes": [{"id": "x", "node_for_adding": 1, "attr": 2}]}

    graph = from_json(document)

    assert graph.nodes["x"] == {"node_for_adding": 1, "attr": 2}
    assert 'attr.name="node_for_adding"' in to_graphml(graph)


@pytest.mark.parametrize("document", [{}, {"format": "other", "format_version": 1}, {"nodes": [], "edges": []}])
def test_read_json_of_another_format_raises_format_error(document: dict[str, object]) -> None:
    """A document that does not say it is a lineage graph is refused."""
    with pytest.raises(FormatError, match="not a lineage graph"):
        from_json(document)


def test_read_json_of_a_newer_version_raises_newer_format() -> None:
    """A document of a later format version is refused with advice and a kind of its own."""
    with pytest.raises(FormatError, match="upgrade") as caught:
        from_json({**to_json(training()), "format_version": 2})

    assert caught.value.kind is ErrorKind.NEWER_FORMAT


@pytest.mark.parametrize(
    ("member", "value", "message"),
    [
        ("nodes", None, "each of its 'nodes' must have id as text"),
        ("nodes", ["x"], "each of its 'nodes' must have id as text"),
        ("nodes", [{"id": 3}], "each of its 'nodes' must have id as text"),
        ("nodes", [{"id": "a"}, {"id": "a"}], "node 'a' stands in it twice"),
        ("edges", {}, "each of its 'edges' must have source and target as text"),
        ("edges", [{"source": "a"}], "each of its 'edges' must have source and target as text"),
        ("edges", [{"source": "a", "target": "zz"}], "edge 'a' -> 'zz' is doubled or lacks a node"),
        ("edges", [{"source": "a", "target": "b"}] * 2, "edge 'a' -> 'b' is doubled or lacks a node"),
    ],
)
def test_read_json_of_a_damaged_document_raises_format_error(member: str, value: object, message: str) -> None:
    """Missing members, wrong types, doubles and edges into nothing are each named."""
    document = {**to_json(bare(("a", "b"))), "edges": [], member: value}

    with pytest.raises(FormatError, match=re.escape(message)):
        from_json(document)


# --- tree ------------------------------------------------------------------------------------------------------


def test_draw_tree_upstream_shows_what_led_to_the_root() -> None:
    """The root comes first and its inputs hang below it, versions in the order of their numbers."""
    assert tree_text(training(), "iv3:v0", direction="up").splitlines() == [
        "iv3:v0 (model)",
        "└── swept-water-5 (train)",
        "    ├── data:v2 (model, deleted)",
        "    └── data:v10 (model)",
    ]


def test_draw_tree_downstream_shows_what_came_of_the_root() -> None:
    """The other direction follows the edges forward."""
    assert tree_text(training(), "data:v10", direction="down").splitlines() == [
        "data:v10 (model)",
        "└── swept-water-5 (train)",
        "    └── iv3:v0 (model)",
    ]


def test_draw_tree_of_a_diamond_prints_the_second_visit_as_a_leaf() -> None:
    """A node reached twice is printed in full once, and afterwards with a mark and nothing below it."""
    graph = bare(("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("d", "e"))

    assert tree_text(graph, "a", direction="down").splitlines() == [
        "a",
        "├── b",
        "│   └── d",
        "│       └── e",
        "└── c",
        "    └── d (see above)",
    ]


def test_draw_tree_of_a_cycle_ends() -> None:
    """Even a graph from elsewhere that has a cycle is printed and done with."""
    text = tree_text(bare(("a", "b"), ("b", "a")), "a", direction="down")

    assert text == "a\n└── b\n    └── a (see above)\n"


def test_draw_tree_with_a_label_prints_it_visibly() -> None:
    """The caller's label is used, and nothing in it reaches the terminal as a command."""
    text = tree_text(bare(("a", "b")), "a", direction="down", label=lambda key: f"\x1b{key}\n\u202e")

    assert text == "\\x1ba\\n\\u202e\n└── \\x1bb\\n\\u202e\n"


def test_draw_tree_of_a_hostile_name_stays_one_line() -> None:
    """A run's name with newlines and escape codes takes one line of printable text."""
    text = tree_text(digraph([run(TRAIN, "x\n└── forged\x1b[2J", "")], []), TRAIN, direction="up")

    assert text == "x\\n└── forged\\x1b[2J\n"


def test_draw_tree_deeper_than_twenty_levels_moves_back_to_the_margin() -> None:
    """Lines below the 20th level begin at the margin with the number of levels left out."""
    graph = bare(*((f"m:v{n}", f"m:v{n + 1}") for n in range(22)), ("m:v0", "z"))

    lines = tree_text(graph, "m:v0", direction="down").splitlines()

    assert lines[20] == "│   " + "    " * 18 + "└── m:v20"
    assert lines[21:] == ["[+20] └── m:v21", "[+20]     └── m:v22", "└── z"]


def test_draw_tree_of_a_long_chain_takes_one_short_line_a_node() -> None:
    """A chain of 100,000 meets no recursion limit and no quadratic indentation."""
    graph = bare(*((f"m:v{n}", f"m:v{n + 1}") for n in range(99_999)))

    lines = tree_text(graph, "m:v0", direction="down").splitlines()

    assert len(lines) == 100_000
    assert max(map(len, lines)) < 110


def test_draw_tree_of_an_absent_root_raises_not_found() -> None:
    """A root that is not in the graph is named in the error."""
    with pytest.raises(NotFoundError, match="nobody:v1 is not in this graph"):
        tree_text(training(), "nobody:v1", direction="up")


def test_draw_tree_in_an_unknown_direction_raises_invalid_input() -> None:
    """There are two directions."""
    with pytest.raises(InvalidInputError, match="'sideways'"):
        tree_text(training(), "iv3:v0", direction="sideways")  # type: ignore[arg-type]  # what is tested


# --- all formats -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mermaid", "dot", "graphml", "json"])
@pytest.mark.parametrize("make", [training, collapsed])
def test_export_of_a_graph_built_in_another_order_gives_the_same_text(
    name: str, make: Callable[[], nx.DiGraph[str]]
) -> None:
    """The text depends on the graph and not on the order it was built in."""
    assert export(reversed_order(make()), name) == export(make(), name)


def test_export_by_name_gives_the_text_of_that_format() -> None:
    """Each name stands for its function."""
    graph = training()

    assert export(graph, "mermaid") == to_mermaid(graph)
    assert export(graph, "dot") == to_dot(graph)
    assert export(graph, "graphml") == to_graphml(graph)


def test_export_as_json_gives_indented_ascii_of_the_document() -> None:
    """The text is the document, indented by two, with everything outside ASCII escaped."""
    graph = digraph([run(TRAIN, "é\u202e", "")], [])

    text = export(graph, "json")

    assert json.loads(text) == to_json(graph)
    assert '\n  "format": "lineage-graph",\n' in text
    assert text.isascii()


def test_export_in_an_unknown_format_raises_with_the_known_ones() -> None:
    """A wrong format name is answered with the right ones."""
    with pytest.raises(InvalidInputError, match=r"'svg'.*mermaid, dot, graphml, json"):
        export(training(), "svg")


@pytest.mark.parametrize("name", ["mermaid", "dot", "graphml", "json"])
def test_export_of_versions_with_huge_numbers_sorts_them(name: str) -> None:
    """A version number longer than Python will turn into an integer still has its place."""
    graph = bare(("m:v" + "9" * 5000, "m:v" + "1" * 5001))

    text = export(graph, name)

    assert text.index("9" * 5000) < text.index("1" * 5001)


def test_import_exports_loads_no_networkx() -> None:
    """Whoever only draws trees or tables does not wait for networkx."""
    code = "import sys, lineage.exports; print('networkx' in sys.modules)"

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout == "False\n"
