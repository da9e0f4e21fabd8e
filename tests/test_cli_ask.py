"""Questions on the command line: ls, show, used-by, up, down, path, graph, diff, search, whereis, stale, sql."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import draft
from test_cli_support import call, checked, checked_list, fill, good, seen

import lineage


@pytest.fixture
def filled(project: lineage.Project) -> lineage.Project:
    """A project with five runs and five versions; see :func:`test_cli_support.fill`."""
    return fill(project)


# --- ls --------------------------------------------------------------------------------------------------------


def test_ls_lists_artifacts(filled: lineage.Project) -> None:
    """Without a word it lists artifacts, by name."""
    answer = good("ls")

    assert answer.lines[0].split() == ["artifact", "type", "versions", "created", "description", "what"]
    assert [line.split()[:3] for line in answer.lines[1:]] == [
        ["data", "dataset", "1"],
        ["model", "model", "2"],
        ["scores", "table", "1"],
    ]
    assert good("ls", "artifacts").out == answer.out


def test_ls_lists_runs(filled: lineage.Project) -> None:
    """One line a run: what it did, how it ended, what it came to."""
    answer = good("ls", "runs")

    assert [line.split()[0] for line in answer.lines[1:]] == [
        "load-data",
        "train-1",
        "evaluate-1",
        "train-2",
        "train-3",
    ]
    assert answer.lines[2].split()[1:3] == ["train", "finished"]
    assert answer.lines[2].endswith("iou=0.25")
    assert answer.lines[5].split()[2] == "failed"


def test_ls_lists_versions_of_one_artifact(filled: lineage.Project) -> None:
    """The name of an artifact lists its versions."""
    answer = good("ls", "model")

    assert [line.split()[:3] for line in answer.lines[1:]] == [
        ["model:v0", "model", "-"],
        ["model:v1", "model", "best,"],
    ]


def test_ls_lists_files_of_one_version(filled: lineage.Project) -> None:
    """A reference with a colon lists files."""
    assert [line.split()[:2] for line in good("ls", "data:v0").lines] == [
        ["path", "size"],
        ["a.txt", "3"],
        ["b/c.txt", "3"],
    ]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["artifacts", "--type", "table"], ["scores"]),
        (["artifacts", "--order", "-name", "--limit", "2"], ["scores", "model"]),
        (["artifacts", "--limit", "0"], []),
        (["artifacts", "--where", '{"version_count": 2}'], ["model"]),
        (["versions", "--type", "model"], ["model:v0", "model:v1"]),
        (["versions", "--alias", "best"], ["model:v1"]),
        (["versions", "--tag", "reviewed"], ["model:v1"]),
        (["versions", "--where", '{"metadata.iou": {"$lt": 0.3}}'], ["model:v0"]),
        (["model", "--order", "-number"], ["model:v1", "model:v0"]),
        (["model:v1"], ["notes.txt", "w.bin"]),
    ],
    ids=" ".join,
)
def test_ls_narrows_and_orders(filled: lineage.Project, arguments: list[str], names: list[str]) -> None:
    """Options narrow the list; --quiet prints names alone."""
    assert good("ls", *arguments, "--quiet").lines == names


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--job-type", "train"], ["train-1", "train-2", "train-3"]),
        (["--status", "failed"], ["train-3"]),
        (["--group", "g1"], ["train-1"]),
        (["--tag", "sweep"], ["train-1"]),
        (["--consumed", "model:v0"], ["evaluate-1", "train-2"]),
        (["--produced", "model:best"], ["train-2"]),
        (["--where", '{"config.lr": {"$gt": 0.05}}'], ["train-1"]),
        (["--job-type", "train", "--order", "-summary.iou", "--limit", "1"], ["train-2"]),
    ],
    ids=" ".join,
)
def test_ls_narrows_runs(filled: lineage.Project, arguments: list[str], names: list[str]) -> None:
    """Runs can be asked for by what they did and what they touched."""
    assert [line.split()[0] for line in good("ls", "runs", *arguments).lines[1:]] == names


def test_ls_reads_a_filter_from_a_file(filled: lineage.Project) -> None:
    """@FILE spares the quoting."""
    Path("filter.json").write_text('{"summary.iou": 0.5}')

    assert len(good("ls", "runs", "--where", "@filter.json").lines) == 2


@pytest.mark.parametrize(
    ("where", "part"),
    [
        ("{a}", "line 1 column 2"),
        ("[1]", "--where"),
        ('{"nonsense": 1}', "nonsense"),
        ("@no-such-file", "no-such-file"),
        ("@latin", "UTF-8"),
    ],
)
def test_ls_names_what_is_wrong_with_a_filter(filled: lineage.Project, where: str, part: str) -> None:
    """A filter that cannot be read is one line that says where."""
    Path("latin").write_bytes(b"\xff")

    answer = call("ls", "runs", "--where", where)

    assert answer.code in (2, 9)
    assert part in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["artifacts", "--job-type", "x"], "--job-type"),
        (["runs", "--type", "x"], "--type"),
        (["versions", "--status", "x"], "--status"),
        (["data:v0", "--tag", "x"], "--tag"),
        (["data:v0", "--deleted"], "--deleted"),
    ],
)
def test_ls_refuses_what_does_not_narrow_the_list(filled: lineage.Project, arguments: list[str], option: str) -> None:
    """An option that would be ignored is an error."""
    answer = call("ls", *arguments)

    assert answer.code == 2
    assert f"{option} does not narrow" in answer.err


def test_ls_of_runs_prints_ids_if_quiet(filled: lineage.Project) -> None:
    """What is unique, for other commands."""
    assert good("ls", "runs", "-q").lines == [run.id for run in filled.runs()]


def test_ls_lists_where_references_point(project: lineage.Project) -> None:
    """A file elsewhere may have no size that is known."""
    reference = draft("data")
    reference.add_reference("s3://bucket/data.tar")
    project.log_artifact(reference)

    path, size, _, uri = good("ls", "data:v0").lines[1].split()
    assert (path, size, uri) == ("data.tar", "-", "s3://bucket/data.tar")


def test_ls_shows_what_was_deleted_if_asked(filled: lineage.Project) -> None:
    """Deleted things are left out, and marked where they are asked for."""
    filled.delete_artifact("scores")
    filled.run("train-3").delete()

    assert "scores" not in good("ls").out
    assert good("ls", "--deleted").lines[3].split()[:3] == ["scores", "table", "deleted"]
    assert "deleted" in good("ls", "versions", "--deleted").out
    assert good("ls", "runs", "--deleted").lines[5].split()[2] == "deleted"


def test_ls_says_that_there_is_no_such_artifact(filled: lineage.Project) -> None:
    """A misspelled name is not an empty list."""
    assert call("ls", "modle").code == 3


@pytest.mark.parametrize(
    ("arguments", "schema", "count"),
    [
        (["artifacts"], "artifact", 3),
        (["runs"], "run", 5),
        (["versions"], "version", 4),
        (["model"], "version", 2),
        (["data:v0"], "entry", 2),
    ],
)
def test_ls_answers_with_documents(filled: lineage.Project, arguments: list[str], schema: str, count: int) -> None:
    """--json is a list of documents of the published schema."""
    assert len(checked_list(call("ls", *arguments, "--json"), schema)) == count


# --- show ------------------------------------------------------------------------------------------------------


def test_show_version_tells_all_that_is_known(filled: lineage.Project) -> None:
    """One screen has what the version is, who made it, who used it, and its files."""
    filled.version("model:v1").update(description="the best\nso far")
    version = filled.version("model:v1")

    text = good("show", "model:v1").out

    for part in (version.digest, "best, latest", "reviewed", "train-2", "iou  0.5", "notes.txt", "in 2 files"):
        assert part in text
    assert "description  the best\n             so far\n" in text
    assert "evaluate-1" in good("show", "model:v0").out


def test_show_version_tells_who_reproduced_it(filled: lineage.Project) -> None:
    """A run that made the same content stands beside the producer."""
    with filled.start_run(name="again") as run:
        run.log_artifact(draft("data", {"a.txt": "one", "b/c.txt": "two"}))

    text = good("show", "data").out

    assert text.index("produced by") < text.index("load-data") < text.index("reproduced by") < text.index("again")


def test_show_version_without_producer_says_so(project: lineage.Project) -> None:
    """Data that was always there has none."""
    project.log_artifact(draft("data"))

    assert "produced by  no run" in good("show", "data").out


def test_show_run_tells_all_that_is_known(filled: lineage.Project) -> None:
    """One screen has inputs, outputs, config, summary, code and environment."""
    text = good("show", "train-1").out

    for part in ("training set", "data:v0", "model:v0", "lr  0.1", "iou  0.25", "command", "python", "sweep", "g1"):
        assert part in text
    assert "optim.name  adam" in good("show", "train-2").out
    assert "out of memory" in good("show", "train-3").out


def test_show_run_tells_what_it_reproduced(filled: lineage.Project) -> None:
    """What it made once more stands apart from what it made."""
    with filled.start_run(name="again") as run:
        run.log_artifact(draft("data", {"a.txt": "one", "b/c.txt": "two"}))

    assert "\nreproduced\n" in good("show", "again").out


def test_show_run_under_way_has_no_end(project: lineage.Project) -> None:
    """A run that still runs has taken no time yet."""
    with project.start_run(name="now"):
        text = good("show", "now").out

    assert "running" in text
    assert "took" not in text


def test_show_bare_name_is_the_newest_version(filled: lineage.Project) -> None:
    """The name of an artifact stands for its latest."""
    assert good("show", "model").out == good("show", "model:v1").out


def test_show_deleted_things_are_still_there(filled: lineage.Project) -> None:
    """Their place in the lineage is told, and that they were deleted."""
    filled.version("model:v0").delete()
    filled.run("train-3").delete()
    run = filled.runs(include_deleted=True)[4].id

    version_text, run_text = good("show", "model:v0").out, good("show", run).out

    assert "\ndeleted" in version_text
    assert "\nfiles" not in version_text
    assert "evaluate-1" in version_text
    assert "\ndeleted" in run_text
    assert checked(call("show", "model:v0", "--json"), "version-page")["files"] == []
    assert good("show", "train-3").out == run_text


def test_show_cuts_long_lists_for_people_only(project: lineage.Project) -> None:
    """Twenty lines of a section are enough on a terminal, unless --all."""
    files: dict[str, str | bytes] = {f"{number:03}.txt": str(number) for number in range(30)}
    project.log_artifact(draft("data", files, metadata={f"key{number}": number for number in range(30)}))

    short, whole, piped = seen("show", "data").out, seen("show", "data", "--all").out, good("show", "data").out

    assert short.count("10 more; --all shows them") == 2
    assert "029.txt" not in short
    assert "029.txt" in whole
    assert "029.txt" in piped


def test_show_lists_packages_if_asked(filled: lineage.Project) -> None:
    """On a terminal they are counted, in a pipe and with --all listed."""
    assert "packages; --all lists them" in seen("show", "train-1").out
    assert "packages.blake3" in seen("show", "train-1", "--all").out
    assert "packages.blake3" in good("show", "train-1").out


def test_show_answers_with_a_page(filled: lineage.Project) -> None:
    """--json has all of it."""
    version = checked(call("show", "model:v0", "--json"), "version-page")
    run = checked(call("show", "train-1", "--json"), "run-page")
    made = checked(call("show", "model:best", "--json"), "version-page")

    assert [run["name"] for run in version["used_by"]] == ["evaluate-1", "train-2"]
    assert [file["path"] for file in made["files"]] == ["notes.txt", "w.bin"]
    assert made["logged_by"]["name"] == "train-2"
    assert [(one["reference"], one["use_as"]) for one in run["used_artifacts"]] == [("data:v0", "training set")]
    assert [one["reference"] for one in run["logged_artifacts"]] == ["model:v0"]
    assert "packages" in run["environment"]


# --- walks -----------------------------------------------------------------------------------------------------


def test_used_by_lists_consumers(filled: lineage.Project) -> None:
    """Which runs consumed it, also of a deleted version."""
    filled.version("model:v0").delete()

    assert [line.split()[0] for line in good("used-by", "model:v0").lines[1:]] == ["evaluate-1", "train-2"]
    assert len(checked_list(call("used-by", "model:v0", "--json"), "run")) == 2


def test_up_draws_the_tree_of_what_it_was_made_from(filled: lineage.Project) -> None:
    """A node met again is not followed twice."""
    assert good("up", "model").lines == [
        "model:v1 (model) [best, latest]",
        "└── train-2 (train)",
        "    ├── data:v0 (dataset) [latest]",
        "    │   └── load-data (load)",
        "    └── model:v0 (model)",
        "        └── train-1 (train)",
        "            └── data:v0 (dataset) [latest] (see above)",
    ]


def test_down_draws_the_tree_of_what_was_made_from_it(filled: lineage.Project) -> None:
    """What did not end well, or was deleted, says so."""
    filled.record("train-3", consumed=["scores"])
    filled.version("model:v0").delete()

    assert good("down", "train-1").lines == [
        "train-1 (train)",
        "└── model:v0 (model, deleted)",
        "    ├── evaluate-1 (evaluate)",
        "    │   └── scores:v0 (table) [latest]",
        "    │       └── train-3 (train, failed)",
        "    └── train-2 (train)",
        "        └── model:v1 (model) [best, latest]",
    ]


def test_up_stops_at_a_depth(filled: lineage.Project) -> None:
    """--depth counts edges."""
    assert good("up", "model", "--depth", "1").lines == ["model:v1 (model) [best, latest]", "└── train-2 (train)"]


@pytest.mark.parametrize(
    ("arguments", "nodes"),
    [
        (["--kind", "run"], ["train-2", "load-data", "train-1"]),
        (["--kind", "version"], ["data:v0", "model:v0"]),
        (["--type", "dataset"], ["data:v0"]),
        (["--job-type", "train"], ["train-2", "train-1"]),
        (["--job-type", "load", "--type", "model"], ["model:v0", "load-data"]),
        (["--kind", "run", "--depth", "1"], ["train-2"]),
    ],
    ids=" ".join,
)
def test_up_lists_nodes_of_a_kind(filled: lineage.Project, arguments: list[str], nodes: list[str]) -> None:
    """A tree with holes would mislead, so it is a list, nearest first."""
    assert [line.split()[2] for line in good("up", "model:v1", *arguments).lines[1:]] == nodes


def test_down_answers_with_nodes(filled: lineage.Project) -> None:
    """--json is the list of nodes, nearest first."""
    nodes = checked_list(call("down", "model:v0", "--json"), "node")

    assert [node["depth"] for node in nodes] == [1, 1, 2, 2]
    assert {node["label"] for node in nodes} == {"evaluate-1", "train-2", "model:v1", "scores:v0"}


def test_list_of_nodes_marks_deleted_ones(filled: lineage.Project) -> None:
    """Deleted nodes are part of the lineage."""
    filled.version("model:v0").delete()

    assert good("up", "model:v1", "--type", "model").lines[1].split() == [
        "2",
        "version",
        "model:v0",
        "model",
        "deleted",
    ]


def test_path_points_downstream(filled: lineage.Project) -> None:
    """The chain reads in the direction of the edges."""
    filled.version("model:v0").delete()

    assert good("path", "data:v0", "scores").lines == [
        "data:v0 (dataset)",
        "-> train-1 (train)",
        "-> model:v0 (model, deleted)",
        "-> evaluate-1 (evaluate)",
        "-> scores:v0 (table)",
    ]


def test_path_points_upstream(filled: lineage.Project) -> None:
    """From what was made to what it was made from, arrows turn."""
    assert good("path", "model:v0", "data").lines == ["model:v0 (model)", "<- train-1 (train)", "<- data:v0 (dataset)"]


def test_path_to_itself_is_one_node(filled: lineage.Project) -> None:
    """A chain of no edges."""
    assert good("path", "data", "data").lines == ["data:v0 (dataset)"]


def test_path_between_strangers_is_empty(filled: lineage.Project) -> None:
    """Nothing joins them; that is an answer."""
    assert good("path", "scores", "model:v1").out == ""
    assert seen("path", "scores", "model:v1").out == "nothing joins them\n"
    assert checked_list(call("path", "scores", "model:v1", "--json"), "node") == []


def test_path_answers_with_nodes_in_order(filled: lineage.Project) -> None:
    """The depth of a node is its place in the chain."""
    nodes = checked_list(call("path", "data", "model:v0", "--json"), "node")

    assert [(node["label"], node["depth"]) for node in nodes] == [("data:v0", 0), ("train-1", 1), ("model:v0", 2)]


@pytest.mark.parametrize(
    ("format", "begin"), [("mermaid", "flowchart LR"), ("dot", "digraph"), ("graphml", "<graphml"), ("json", "{")]
)
def test_graph_is_written_in_each_format(filled: lineage.Project, format: str, begin: str) -> None:
    """The whole graph as text."""
    answer = good("graph", "--format", format)

    assert answer.out.startswith(begin)
    assert "scores:v0" in answer.out


def test_graph_is_mermaid_unless_said(filled: lineage.Project) -> None:
    """What renders in Markdown comes without asking."""
    assert good("graph").out == good("graph", "--format", "mermaid").out


def test_graph_goes_around_some_nodes(filled: lineage.Project) -> None:
    """Nodes, direction and depth narrow it."""
    text = good("graph", "model:v0", "--direction", "up", "--depth", "1").out

    assert "train-1" in text
    assert "data:v0" not in text


def test_graph_answers_with_a_document(filled: lineage.Project) -> None:
    """Whole and collapsed graphs have the published schema; --json is --format json."""
    whole = checked(call("graph", "--json"), "graph")
    collapsed = checked(call("graph", "--json", "--collapse", "name"), "graph")
    written = checked(call("graph", "--format", "json"), "graph")

    assert len(whole["nodes"]) == 9
    assert {node["kind"] for node in collapsed["nodes"]} == {"artifact", "job_type"}
    assert whole == written


def test_graph_goes_into_a_file(filled: lineage.Project) -> None:
    """-o writes the text, and nothing to stdout."""
    assert good("graph", "-o", "graph.mmd").out == ""
    assert good("graph", "--json", "-o", "graph.json").out == ""

    assert Path("graph.mmd").read_text() == good("graph").out
    assert json.loads(Path("graph.json").read_text()) == good("graph", "--json").json


@pytest.mark.parametrize(
    ("name", "begin"),
    [
        ("g.dot", "digraph"),
        ("g.gv", "digraph"),
        ("g.json", "{"),
        ("g.graphml", "<"),
        ("g.mmd", "flowchart"),
        ("g.md", "flowchart"),
        ("g.JSON", "{"),
        ("g", "flowchart"),
        ("a.b/g", "flowchart"),
    ],
)
def test_graph_takes_the_format_from_the_file(filled: lineage.Project, name: str, begin: str) -> None:
    """A file's ending says what it is to hold, unless the format is given."""
    Path(name).parent.mkdir(exist_ok=True)

    good("graph", "-o", name)

    assert Path(name).read_text("utf-8").startswith(begin)


@pytest.mark.parametrize("name", ["g.png", "g.svg", "g.pdf", "g.dot.gz"])
def test_graph_refuses_a_file_that_is_to_hold_no_text(filled: lineage.Project, name: str) -> None:
    """It would be Mermaid under the name of a picture; the message says which endings there are."""
    answer = call("graph", "-o", name)

    assert (answer.code, answer.out, Path(name).exists()) == (2, "", False)
    assert f"{name}: no format of a graph ends in {Path(name).suffix}" in answer.err
    assert ".gv is dot" in answer.err
    assert good("graph", "-o", name, "--format", "dot").out == ""


def test_graph_document_is_read_by_networkx_as_a_plain_digraph(filled: lineage.Project) -> None:
    """Node-link form says whether there may be several edges between two nodes: here there may not."""
    import networkx as nx

    found = nx.node_link_graph(good("graph", "--json").json, edges="edges")

    assert type(found) is nx.DiGraph
    assert set(found.edges) == set(filled.graph().edges)


def test_graph_refuses_two_formats(filled: lineage.Project) -> None:
    """--json with another format is a contradiction."""
    assert call("graph", "--json", "--format", "dot").code == 2


# --- diff, search, whereis, stale, sql -------------------------------------------------------------------------


def test_diff_shows_what_changed(filled: lineage.Project) -> None:
    """Files, metadata, config and upstream, from the old to the new."""
    assert good("diff", "model:v0", "model:v1").lines == [
        "model:v0 -> model:v1",
        "",
        "files",
        "  1 added, 1 changed",
        "  + notes.txt  1",
        "  ~ w.bin      2",
        "",
        "metadata",
        "  iou  0.25 -> 0.5",
        "",
        "config",
        "  lr          0.1 -> 0.01",
        "  optim.name  - -> adam",
        "",
        "upstream",
        "  model  none -> v0",
    ]


def test_diff_shows_whether_the_program_changed(project: lineage.Project) -> None:
    """Its digest and its command line, from the old to the new; digests on a terminal as far as they tell."""
    for text in ("echo 0", "echo 1"):
        Path("s.sh").write_text(f"{text} > out")
        call("run", "--log", "m:model=out", "--", "sh", "s.sh", text)
    old, new = (str(run.record.code["script_digest"]) for run in project.runs())

    lines = good("diff", "m:v0", "m:v1").lines

    assert lines[lines.index("code") + 1 :] == [
        "  command        sh s.sh 'echo 0' -> sh s.sh 'echo 1'",
        f"  script_digest  {old} -> {new}",
    ]
    assert f"{old[:16]} -> {new[:16]}\n" in seen("diff", "m:v0", "m:v1").out
    code = checked(call("diff", "m:v0", "m:v1", "--json"), "comparison")["code"]
    assert code["script_digest"] == {"old": old, "new": new}


def test_diff_shows_what_lies_upstream(filled: lineage.Project) -> None:
    """Versions that only one of them comes from, by artifact."""
    filled.log_artifact(draft("data", {"a.txt": "longer", "d.txt": "new"}))
    with filled.start_run() as run:
        run.use_artifact("data:v1")
        run.log_artifact(draft("model", {"w.bin": "w1"}, type="model"), force_new_version=True)

    assert good("diff", "data:v0", "data:v1").lines[3:7] == [
        "  1 added, 1 removed, 1 changed",
        "  ~ a.txt    3 -> 6",
        "  - b/c.txt  3",
        "  + d.txt    3",
    ]
    assert good("diff", "model:v0", "model:v2").lines[-2:] == ["upstream", "  data  v0 -> v1"]


def test_diff_of_a_version_with_itself_is_nothing(filled: lineage.Project) -> None:
    """The same files are said to be the same."""
    assert good("diff", "data:v0", "data").lines == ["data:v0 -> data:v0", "", "files", "  all the same"]


def test_diff_answers_with_a_document(filled: lineage.Project) -> None:
    """Pairs are the old, then the new."""
    document = checked(call("diff", "model:v0", "model:v1", "--json"), "comparison")

    assert document["metadata"] == {"iou": {"old": 0.25, "new": 0.5}}
    assert [old["path"] for old, _ in document["changed"]] == ["w.bin"]
    assert not document["same_content"]


def test_search_finds_words(filled: lineage.Project) -> None:
    """All words, in names, notes and descriptions."""
    assert [line.split()[:3] for line in good("search", "AGAIN", "try").lines[1:]] == [["run", "train-2", "notes"]]
    assert [line.split()[:2] for line in good("search", "data").lines[1:]][-1] == ["run", "load-data"]
    assert good("search", "raw").lines[1].split()[:2] == ["version", "data:v0"]
    assert len(checked_list(call("search", "train", "--json", "--limit", "2"), "search-hit")) == 2


def test_whereis_finds_bytes(filled: lineage.Project) -> None:
    """By a local file or by a digest."""
    Path("local").write_text("two")
    digest = filled.version("data").entry("b/c.txt").digest

    answer = good("whereis", "local")

    assert answer.lines[1].split() == ["data:v0", "b/c.txt", "3"]
    assert good("whereis", digest).out == answer.out
    assert len(checked_list(call("whereis", digest, "--json"), "location")) == 1


def test_whereis_takes_the_digest_that_ls_prints(filled: lineage.Project) -> None:
    """On a terminal that is the beginning of one."""
    digest = str(filled.version("data").entry("b/c.txt").digest)[:16]

    assert digest in seen("ls", "data:v0").out
    assert good("whereis", digest).lines[1].split() == ["data:v0", "b/c.txt", "3"]


def test_whereis_of_unknown_bytes_is_empty(filled: lineage.Project) -> None:
    """Nowhere is an answer."""
    Path("local").write_text("unknown")

    assert good("whereis", "local").out == ""


def test_stale_lists_what_is_to_be_made_again(filled: lineage.Project) -> None:
    """Each with the run that used something old, by name, and what is newest."""
    filled.log_artifact(draft("data", {"a.txt": "newer"}))

    lines = good("stale").lines

    assert lines[0].split() == ["version", "because", "run", "used", "newest"]
    assert [line.split() for line in lines[1:]] == [
        ["scores:v0", "evaluate-1", "model:v0", "model:v1"],
        ["model:v1", "train-2", "data:v0", "data:v1"],
    ]
    assert len(checked_list(call("stale", "--json"), "stale")) == len(lines) - 1


def test_sql_answers_with_a_table(filled: lineage.Project) -> None:
    """Columns as the query names them; missing values and bytes can be read."""
    answer = good("sql", "SELECT name, NULL AS n, x'ff' AS b, 0.5 AS f FROM runs ORDER BY name LIMIT 1")

    assert [line.split() for line in answer.lines] == [["name", "n", "b", "f"], ["evaluate-1", "-", "ff", "0.5"]]


def test_sql_is_read_from_stdin(filled: lineage.Project) -> None:
    """A dash stands for it."""
    assert good("sql", "-", input="SELECT count(*) AS n FROM runs").lines == ["n", "5"]


def test_sql_answers_with_rows(filled: lineage.Project) -> None:
    """--json is a list of rows; what JSON has no number for is null."""
    answer = call("sql", "SELECT name, x'ff' AS b, 9e999 AS inf FROM artifacts", "--json")

    assert checked_list(answer, "row")[0] == {"name": "data", "b": "ff", "inf": None}


@pytest.mark.parametrize("query", ["SELEC 1", "DELETE FROM run", "SELECT 1; SELECT 2"])
def test_sql_that_is_wrong_or_writes_is_refused(filled: lineage.Project, query: str) -> None:
    """What SQLite says is one line."""
    answer = call("sql", query)

    assert answer.code == 2
    assert answer.err.startswith("lineage: SQL: ")
