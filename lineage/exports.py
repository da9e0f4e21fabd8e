"""Lineage graphs as text: Mermaid, Graphviz, GraphML, a JSON document, and a tree for the terminal.

Every function takes the networkx graph that ``project.graph()`` gives and reads nothing else. Names in it may
come from somebody else's project, so each format escapes them until they can only be read, never run; and the
same graph always gives the same text, whatever the order it was built in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict

from lineage.errors import ErrorKind, FormatError, InvalidInputError, NotFoundError

if TYPE_CHECKING:
    import networkx as nx

__all__ = [
    "GraphDocument",
    "export",
    "from_json",
    "to_dot",
    "to_graphml",
    "to_json",
    "to_mermaid",
    "tree_text",
    "visible",
]

DOCUMENT_FORMAT = "lineage-graph"
DOCUMENT_VERSION = 1

# Control characters, marks that reorder or hide text on a terminal, and lone surrogates, which no terminal can
# be sent. Not `str.isprintable`: that also refuses the joiners in Persian names and in emoji.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
# What XML 1.0 cannot hold, and the carriage return, which every parser turns into a newline. The backslash is
# escaped with them, so that two names stay two names.
_NOT_XML = re.compile("[\\\\\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")
# What Mermaid gets as it is: letters, digits, single blanks, the colon of a version, "_" and "-" inside a word.
# All else becomes an entity, because Mermaid reads labels as Markdown ("1. x", "*x*"), as icons ("fa:fa-x")
# and, in one of its own regular expressions, as style statements ("style:x#").
_MERMAID_SPECIAL = re.compile(r"(?![^\W_]|(?<=[^\s]) |(?<=[^\W_])[_-](?=[^\W_])|:(?=v[0-9]+\Z)).", re.DOTALL)
# What Mermaid acts on even where entities spell it: a written-out newline, formulas, icons and the two halves of
# its own notation of entities. A word joiner, which has no width, parts them.
_MERMAID_PAIR = re.compile(r"\\(?=n)|\$(?=\$)|:(?=fa-)|ﬂ(?=°)|¶(?=ß)")
_VERSION_KEY = re.compile(r"(?P<name>.*):v(?P<number>[0-9]+)", re.DOTALL)


class GraphDocument(TypedDict):
    """The JSON document of a graph, as :func:`to_json` gives it; nodes and edges are sorted."""

    format: str
    format_version: int
    directed: bool
    multigraph: bool
    project: str | None
    collapse: str | None
    nodes: list[dict[str, object]]
    edges: list[dict[str, object]]


class _Style(NamedTuple):
    """How one kind of node looks: its brackets in Mermaid, its shape in Graphviz, its colours in both."""

    left: str
    right: str
    shape: str
    fill: str
    stroke: str


_STYLES = {
    "version": _Style("[", "]", "box", "#e8f1fd", "#3b6fb6"),
    "run": _Style("([", "])", "ellipse", "#fdf3e1", "#b67a1f"),
    "type": _Style("[[", "]]", "box3d", "#e8f1fd", "#3b6fb6"),
    "artifact": _Style("[[", "]]", "box3d", "#e8f1fd", "#3b6fb6"),
    "job_type": _Style("{{", "}}", "hexagon", "#fdf3e1", "#b67a1f"),
    # A document from elsewhere may hold kinds that are not known here
    "other": _Style("(", ")", "octagon", "#eeeeee", "#777777"),
}


def visible(text: str) -> str:
    r"""Return the text with every character that a terminal would obey or hide written out.

    Control characters (newlines and ESC among them), bidirectional marks, invisible characters and lone
    surrogates become ``\n``, ``\x1b``, ``\u202e``. Everything else stays, so this is for eyes: it cannot be
    undone where the text holds backslashes of its own.

    Example:
        >>> print(visible("red \x1b[31m"))
        red \x1b[31m
    """
    return _UNSEEN.sub(_written_out, text)


def _written_out(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


def export(graph: nx.DiGraph[str], format: str) -> str:
    """Return the graph as text in the format of that name: mermaid, dot, graphml or json.

    Raises:
        InvalidInputError: There is no such format; the message lists those there are.
    """
    try:
        write = _FORMATS[format]
    except KeyError:
        message = f"format {format!r}: no such graph format; choose one of {', '.join(_FORMATS)}"
        raise InvalidInputError(message) from None
    return write(graph)


# --- Mermaid and Graphviz --------------------------------------------------------------------------------------


def to_mermaid(graph: nx.DiGraph[str]) -> str:
    """Return the graph as a Mermaid flowchart, for Markdown pages and notebooks.

    Versions are boxes and runs are rounded, what was deleted is dashed; a thin arrow is *consumed* and bears what
    the input was used as, a thick one is *produced*. Viewers refuse more than 500 edges unless told otherwise:
    collapse a large graph first.
    """
    numbers = _numbered(graph)
    lines = ["flowchart LR"]
    lines += [_mermaid_node(number, key, graph.nodes[key]) for key, number in numbers.items()]
    lines += [_mermaid_edge(*edge) for edge in _numbered_edges(graph, numbers)]
    lines += _mermaid_classes(graph, numbers)
    return "\n".join(lines) + "\n"


def _mermaid_node(number: str, key: str, attributes: Mapping[str, Any]) -> str:
    kind = _kind(attributes)
    style = _STYLES[kind]
    label = "<br/>".join(map(_mermaid_text, _label_lines(key, attributes)))
    return f'    {number}{style.left}"{label}"{style.right}:::{kind}'


def _mermaid_edge(source: str, target: str, attributes: Mapping[str, Any]) -> str:
    arrow = "==>" if attributes.get("kind") == "produced" else "-->"
    text = _edge_label(attributes)
    label = f'|"{_mermaid_text(text)}"|' if text else ""
    return f"    {source} {arrow}{label} {target}"


def _mermaid_classes(graph: nx.DiGraph[str], numbers: Mapping[str, str]) -> Iterator[str]:
    present = {_kind(attributes) for _, attributes in graph.nodes(data=True)}
    for kind, style in _STYLES.items():
        if kind in present:
            yield f"    classDef {kind} fill:{style.fill},stroke:{style.stroke},color:#111111"
    deleted = [number for key, number in numbers.items() if graph.nodes[key].get("deleted")]
    if deleted:
        yield "    classDef deleted stroke-dasharray:5 5"
        yield f"    class {','.join(deleted)} deleted"


def _mermaid_text(text: str) -> str:
    parted = _MERMAID_PAIR.sub("\\g<0>\u2060", visible(text))
    return _MERMAID_SPECIAL.sub(lambda match: f"#{ord(match[0])};", parted)


def to_dot(graph: nx.DiGraph[str]) -> str:
    """Return the graph in the language of Graphviz, for ``dot -Tsvg``.

    Versions are boxes and runs are ellipses, what was deleted is dashed; a thin arrow is *consumed* and bears what
    the input was used as, a thick one is *produced*.
    """
    numbers = _numbered(graph)
    lines = [f'digraph "{_dot_text(str(graph.graph.get("project") or "lineage"))}" {{']
    lines += ["    rankdir=LR;", '    node [style=filled, fontname="sans-serif"];']
    lines += [_dot_node(number, key, graph.nodes[key]) for key, number in numbers.items()]
    lines += [_dot_edge(*edge) for edge in _numbered_edges(graph, numbers)]
    return "\n".join([*lines, "}"]) + "\n"


def _dot_node(number: str, key: str, attributes: Mapping[str, Any]) -> str:
    label = r"\n".join(map(_dot_text, _label_lines(key, attributes)))
    style = _STYLES[_kind(attributes)]
    dashed = ', style="filled,dashed"' if attributes.get("deleted") else ""
    look = f'shape={style.shape}, fillcolor="{style.fill}", color="{style.stroke}"{dashed}'
    return f'    {number} [label="{label}", {look}];'


def _dot_edge(source: str, target: str, attributes: Mapping[str, Any]) -> str:
    thick = ["penwidth=2"] if attributes.get("kind") == "produced" else []
    text = _edge_label(attributes)
    label = [f'label="{_dot_text(text)}"'] if text else []
    look = f" [{', '.join(label + thick)}]" if label or thick else ""
    return f"    {source} -> {target}{look};"


def _dot_text(text: str) -> str:
    # Graphviz reads \N and \G in a label as names, and HTML entities even in plain labels
    return visible(text).replace("\\", r"\\").replace('"', r"\"").replace("&", "&amp;")


def _kind(attributes: Mapping[str, Any]) -> str:
    kind = str(attributes.get("kind"))
    return kind if kind in _STYLES else "other"


def _label_lines(key: str, attributes: Mapping[str, Any]) -> list[str]:
    """Return what a node says: its label with the count of a collapsed node, and its type if that adds a word."""
    label = str(attributes.get("label") or key)
    if "count" in attributes:
        return [f"{label} ({attributes['count']})"]
    return [label, str(attributes["type"])] if attributes.get("type") else [label]


def _edge_label(attributes: Mapping[str, Any]) -> str:
    return str(attributes.get("use_as") or attributes.get("count") or "")


def _numbered(graph: nx.DiGraph[str]) -> dict[str, str]:
    """Return the nodes in their stable order, each with the id that no name can break: n0, n1, ..."""
    return {key: f"n{index}" for index, key in enumerate(sorted(graph, key=_order))}


def _numbered_edges(graph: nx.DiGraph[str], numbers: Mapping[str, str]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for source, target in _sorted_edges(graph):
        yield numbers[source], numbers[target], graph.edges[source, target]


def _sorted_edges(graph: nx.DiGraph[str]) -> list[tuple[str, str]]:
    return sorted(graph.edges, key=lambda edge: (_order(edge[0]), _order(edge[1])))


def _order(key: str) -> tuple[str, int, str, str]:
    """Sort versions by number (v2 before v10) and all else as text; run ids then follow time."""
    match = _VERSION_KEY.fullmatch(key)
    if match is None:
        return key, 0, "", key
    # Compared as length and digits, since int() refuses a number of 5,000 digits
    digits = match["number"].lstrip("0")
    return match["name"], len(digits), digits, key


# --- Documents -------------------------------------------------------------------------------------------------


def to_graphml(graph: nx.DiGraph[str]) -> str:
    r"""Return the graph as GraphML, for Gephi, yEd, Cytoscape and networkx itself.

    GraphML knows only scalars: a list becomes its JSON text, and what is None is left out. In names and other
    texts, characters that XML cannot hold are written ``\x1b``, and a backslash ``\\``.
    """
    import networkx as nx  # noqa: PLC0415 - 145 ms, and only this function and from_json need it

    scalar: nx.DiGraph[str] = nx.DiGraph()
    scalar.graph.update(_scalars({name: graph.graph.get(name) for name in ("project", "collapse")}))
    scalar.add_nodes_from((_xml_text(key), _scalars(graph.nodes[key])) for key in sorted(graph, key=_order))
    scalar.add_edges_from(
        (_xml_text(source), _xml_text(target), _scalars(graph.edges[source, target]))
        for source, target in _sorted_edges(graph)
    )
    return "\n".join(nx.generate_graphml(scalar)) + "\n"


def _scalars(attributes: Mapping[str, Any]) -> dict[str, str | int | float]:
    return {_xml_text(name): _scalar(attributes[name]) for name in sorted(attributes) if attributes[name] is not None}


def _scalar(value: object) -> str | int | float:
    if isinstance(value, str):
        return _xml_text(value)
    # JSON text is ASCII without control characters already
    return value if isinstance(value, int | float) else json.dumps(value)


def _xml_text(text: str) -> str:
    return _NOT_XML.sub(_written_out, text)


def to_json(graph: nx.DiGraph[str]) -> GraphDocument:
    """Return the graph as a document of plain JSON values: its nodes, its edges, its project.

    :func:`from_json` makes the same graph of it again. The document shares nothing with the graph.
    """
    return GraphDocument(
        format=DOCUMENT_FORMAT,
        format_version=DOCUMENT_VERSION,
        directed=True,
        multigraph=False,
        project=graph.graph.get("project"),
        collapse=graph.graph.get("collapse"),
        nodes=[{"id": key, **_plain(graph.nodes[key])} for key in sorted(graph, key=_order)],
        edges=[
            {"source": source, "target": target, **_plain(graph.edges[source, target])}
            for source, target in _sorted_edges(graph)
        ],
    )


def from_json(document: Mapping[str, object]) -> nx.DiGraph[str]:
    """Return the graph of a document that :func:`to_json` made.

    Raises:
        FormatError: It is not such a document, it contradicts itself, or a newer lineage wrote it.
    """
    import networkx as nx  # noqa: PLC0415 - 145 ms, and only this function and to_graphml need it

    _check_format(document)
    graph: nx.DiGraph[str] = nx.DiGraph(project=document.get("project"), collapse=document.get("collapse"))
    # add_nodes_from and not add_node(**attributes): an attribute in the document may bear the name of a parameter
    for (key,), attributes in _items(document, "nodes", "id"):
        if key in graph:
            raise FormatError(f"graph document: node {key!r} stands in it twice")
        graph.add_nodes_from([(key, attributes)])
    for (source, target), attributes in _items(document, "edges", "source", "target"):
        if source not in graph or target not in graph or graph.has_edge(source, target):
            raise FormatError(f"graph document: edge {source!r} -> {target!r} is doubled or lacks a node")
        graph.add_edges_from([(source, target, attributes)])
    return graph


def _check_format(document: Mapping[str, object]) -> None:
    if document.get("format") != DOCUMENT_FORMAT:
        raise FormatError(f"not a lineage graph: its format is {document.get('format')!r}, not {DOCUMENT_FORMAT!r}")
    version = document.get("format_version")
    if version != DOCUMENT_VERSION:
        message = f"graph document of format version {version!r}: this lineage reads {DOCUMENT_VERSION}; upgrade it"
        raise FormatError(message, kind=ErrorKind.NEWER_FORMAT)


def _items(document: Mapping[str, object], member: str, *names: str) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """Yield each node or edge of a document as the keys it is found by and its attributes."""
    items = document.get(member)
    for item in items if isinstance(items, list) else [None]:
        keys = [item.get(name) for name in names] if isinstance(item, Mapping) else []
        if not isinstance(item, Mapping) or not all(isinstance(key, str) for key in keys):
            raise FormatError(f"graph document: each of its {member!r} must have {' and '.join(names)} as text")
        yield [str(key) for key in keys], {k: v for k, v in _plain(item).items() if k not in names}


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Copy attributes as JSON values, ``kind`` first and the others by name, so that the text is stable."""
    names = sorted(attributes, key=lambda name: (name != "kind", name))
    return {name: _plain_value(attributes[name]) for name in names}


def _plain_value(value: object) -> object:
    if isinstance(value, str):
        return str(value)  # the text of an enum member
    return [_plain_value(item) for item in value] if isinstance(value, list | tuple) else value


def _json_text(graph: nx.DiGraph[str]) -> str:
    # ASCII: a terminal that this is printed to sees no ESC or bidirectional mark
    return json.dumps(to_json(graph), indent=2) + "\n"


_FORMATS: dict[str, Callable[[nx.DiGraph[str]], str]] = {
    "mermaid": to_mermaid,
    "dot": to_dot,
    "graphml": to_graphml,
    "json": _json_text,
}


# --- Tree ------------------------------------------------------------------------------------------------------

# Levels drawn before the tree moves back to the margin. Without that, a chain of 100,000 makes 20 GB of blanks.
_LEVELS = 20


class _Branch(NamedTuple):
    """A line still to be printed: what stands before the node, and before all that is below it."""

    key: str
    lead: str
    indent: str
    depth: int


def tree_text(
    graph: nx.DiGraph[str],
    root: str,
    *,
    direction: Literal["up", "down"],
    label: Callable[[str], str] | None = None,
) -> str:
    """Return what lies upstream or downstream of a node as a tree to read in a terminal, one line a node.

    A node reached a second time is a leaf marked ``(see above)``. Every 20 levels the tree moves back to the
    margin, and its lines begin with the number of levels left out. ``label`` takes a node's key and returns what to
    print for it; control characters in that are printed visibly, so it cannot colour.

    Raises:
        InvalidInputError: The direction is neither ``"up"`` nor ``"down"``.
        NotFoundError: The root is not in the graph.
    """
    # networkx's generate_network_text was rejected: it marks repeated nodes with a nameless "..." or with the list of
    # all parents, asked for or not, takes labels from an attribute only, and indents without bound (a chain of
    # 5,000 is 50 MB).
    if direction not in ("up", "down"):
        raise InvalidInputError(f"direction {direction!r}: a tree goes 'up' or 'down'")
    if root not in graph:
        raise NotFoundError(f"{visible(root)} is not in this graph")
    neighbours = graph.predecessors if direction == "up" else graph.successors
    describe = label or (lambda key: _described(key, graph.nodes[key]))
    lines: list[str] = []
    seen: set[str] = set()
    waiting = [_Branch(root, "", "", 0)]
    while waiting:
        branch = waiting.pop()
        again = branch.key in seen
        lines.append(branch.lead + visible(describe(branch.key)) + (" (see above)" if again else ""))
        if not again:
            seen.add(branch.key)
            waiting.extend(_branches(neighbours(branch.key), branch))
    return "\n".join(lines) + "\n"


def _branches(keys: Iterable[str], parent: _Branch) -> Iterator[_Branch]:
    """Yield the children last to first, since the stack hands them out in reverse."""
    depth = parent.depth
    indent = f"[+{depth}] " if depth and depth % _LEVELS == 0 else parent.indent
    for index, key in enumerate(sorted(keys, key=_order, reverse=True)):
        lead, below = ("└── ", "    ") if index == 0 else ("├── ", "│   ")
        yield _Branch(key, indent + lead, indent + below, depth + 1)


def _described(key: str, attributes: Mapping[str, Any]) -> str:
    name, *kind = _label_lines(key, attributes)
    notes = [*kind, "deleted"] if attributes.get("deleted") else kind
    return f"{name} ({', '.join(notes)})" if notes else name
