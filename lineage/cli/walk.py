"""Commands that walk the graph: up, down, path, graph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import click

from lineage import Node, Project, Version
from lineage.cli.context import Settings, command, complete_names
from lineage.cli.output import NOTHING, Column, emit, emit_document, emit_documents, emit_table, note, words
from lineage.system import storage_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lineage.graph import Graph

_FORMATS: Final = ("mermaid", "dot", "graphml", "json")
_ENDINGS: Final = {
    "": "mermaid",
    ".mmd": "mermaid",
    ".mermaid": "mermaid",
    ".md": "mermaid",
    ".dot": "dot",
    ".gv": "dot",
    ".graphml": "graphml",
    ".json": "json",
}
"""Which format a file's ending asks for."""


def _walk_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add what ``up`` and ``down`` take."""
    for option in (
        click.option("--job-type", "job_types", multiple=True, metavar="TYPE", help="Only runs of this job type."),
        click.option("--type", "types", multiple=True, metavar="TYPE", help="Only versions of this artifact type."),
        click.option("--kind", type=click.Choice(["run", "version"]), help="Only runs, or only versions."),
        click.option("--depth", type=int, metavar="N", help="At most so many edges away."),
        click.argument("node", metavar="NODE", shell_complete=complete_names),
    ):
        function = option(function)
    return function


@command("a list of node documents, nearest first")
@_walk_options
def up(settings: Settings, node: str, **narrow: Any) -> None:  # noqa: ANN401 (options)
    """Show what a run or version was made from, as a tree.

    With --kind, --type or --job-type it is a list, nearest first.
    """
    _walk(settings, node, "up", narrow)


@command("a list of node documents, nearest first")
@_walk_options
def down(settings: Settings, node: str, **narrow: Any) -> None:  # noqa: ANN401 (options)
    """Show what was made from a run or version, as a tree.

    With --kind, --type or --job-type it is a list, nearest first.
    """
    _walk(settings, node, "down", narrow)


def _walk(settings: Settings, node: str, direction: Literal["up", "down"], narrow: dict[str, Any]) -> None:
    project = settings.reading()
    if settings.json or any(narrow[name] for name in ("kind", "types", "job_types")):
        return _emit_nodes(settings, _nodes(project, node, direction, narrow))
    return _emit_tree(project, node, direction, narrow["depth"])


def _nodes(project: Project, node: str, direction: Literal["up", "down"], narrow: dict[str, Any]) -> list[Node]:
    types, job_types = narrow["types"], narrow["job_types"]
    kind = narrow["kind"]
    if kind is None and bool(types) != bool(job_types):  # a type of one kind asks for that kind
        kind = "version" if types else "run"
    ask = project.ancestors if direction == "up" else project.descendants
    return ask(node, depth=narrow["depth"], kind=kind, types=types or None, job_types=job_types or None)


def _emit_nodes(settings: Settings, nodes: list[Node]) -> None:
    if settings.json:
        from lineage.documents import NodeDocument

        return emit_documents(NodeDocument.from_record(node) for node in nodes)
    columns: list[Column[Node]] = [
        Column("depth", lambda node: str(node.depth), right=True),
        Column("kind", lambda node: node.kind),
        Column("node", lambda node: words(node.label)),
        Column("type", lambda node: words(node.type), shrinks=True),
        Column("state", lambda node: "deleted" if node.deleted else NOTHING),
    ]
    return emit_table(columns, nodes, "nothing")


def _emit_tree(project: Project, node: str, direction: Literal["up", "down"], depth: int | None) -> None:
    from lineage.exports import tree_text

    with project.snapshot():
        root = project.node(node)
        graph = root.graph(direction=direction, depth=depth)
    key = root.reference if isinstance(root, Version) else root.id
    emit(tree_text(graph, key, direction=direction, label=lambda name: _label(graph.nodes[name])).rstrip("\n"))


def _label(attributes: Mapping[str, Any]) -> str:
    """Return a node of a tree: a version with type and aliases, a run with job type, and how it ended if not well."""
    words_ = [attributes["type"] or ""]
    if attributes["kind"] == "run" and attributes["status"] != "finished":
        words_.append(attributes["status"])
    if attributes["deleted"]:
        words_.append("deleted")
    aliases = f" [{', '.join(attributes['aliases'])}]" if attributes.get("aliases") else ""
    about = ", ".join(filter(None, words_))
    return f"{attributes['label']}{f' ({about})' if about else ''}{aliases}"


@command("a list of node documents, in order; empty if nothing joins them")
@click.argument("start", metavar="A", shell_complete=complete_names)
@click.argument("end", metavar="B", shell_complete=complete_names)
def path(settings: Settings, start: str, end: str) -> None:
    """Show a shortest chain from one run or version to another.

    It may lead up- or downstream; the arrows tell.
    """
    project = settings.reading()
    with project.snapshot():
        nodes = project.path(start, end)
        upstream = len(nodes) > 1 and project.depends_on(start, end)
    if settings.json:
        from lineage.documents import NodeDocument

        return emit_documents(NodeDocument.from_record(node) for node in nodes)
    for node in nodes:
        about = ", ".join(filter(None, [node.type, "deleted" if node.deleted else None]))
        arrow = "" if node.depth == 0 else "<- " if upstream else "-> "
        emit(words(f"{arrow}{node.label}{f' ({about})' if about else ''}"))
    if not nodes:
        note("nothing joins them")
    return None


@command("a graph document (the same as --format json)")
@click.argument("nodes", nargs=-1, metavar="[NODE]...", shell_complete=complete_names)
@click.option(
    "--format", type=click.Choice(_FORMATS), help="Of the text.  [default: by the ending of the file, else mermaid]"
)
@click.option("--direction", type=click.Choice(["both", "up", "down"]), default="both", show_default=True)
@click.option("--depth", type=int, metavar="N", help="At most so many edges away.")
@click.option("--collapse", type=click.Choice(["type", "name"]), help="Merge runs and versions of one type or name.")
@click.option("-o", "--output", metavar="FILE", help="Write to this file.")
def graph(
    settings: Settings,
    nodes: tuple[str, ...],
    format: str | None,
    output: str | None,
    **how: Any,  # noqa: ANN401 (options)
) -> None:
    """Write the whole graph, or what is around some nodes, as text.

    Mermaid goes into Markdown, dot to Graphviz, GraphML into Gephi, yEd and Cytoscape. Graphviz makes a picture:

    lineage graph --format dot | dot -Tsvg -o graph.svg
    """
    if settings.json and format not in (None, "json"):
        raise click.UsageError(f"--json and --format {format} are two formats.")
    format = "json" if settings.json else format or _format_of(output)
    found = settings.reading().graph(*nodes, **how)
    if settings.json and output is None:
        from lineage.documents import GraphDocument

        emit_document(GraphDocument.from_graph(found))
    else:
        _write_graph(found, format, output)


def _format_of(output: str | None) -> str:
    """Return the format that a file's ending asks for; Mermaid if there is none.

    Text in a file called .png would be no picture, so another ending is refused.
    """
    ending = "" if output is None else Path(output).suffix
    if ending.lower() not in _ENDINGS:
        known = ", ".join(f"{known} is {format}" for known, format in _ENDINGS.items() if known)
        message = f"{words(output)}: no format of a graph ends in {words(ending)} ({known}); or give the --format."
        raise click.UsageError(message)
    return _ENDINGS[ending.lower()]


def _write_graph(found: Graph, format: str, output: str | None) -> None:
    from lineage.exports import export

    text = export(found, format)
    if output is None:
        emit(text.rstrip("\n"))
    else:
        with storage_errors("cannot write the graph"):
            Path(output).write_text(text, "utf-8")
