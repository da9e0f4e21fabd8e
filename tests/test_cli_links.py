"""Commands about collections, other projects and times to live: link, unlink, ttl; and how the others show them."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from conftest import draft
from test_cli_support import call, checked, checked_list, fill, good, seen

import lineage


@pytest.fixture
def filled(project: lineage.Project) -> lineage.Project:
    """A project with five runs and five versions; see :func:`test_cli_support.fill`."""
    return fill(project)


@pytest.fixture
def linked(filled: lineage.Project) -> lineage.Project:
    """The same, with ``Best models:v0`` for ``model:v0`` and ``v1``, which is in production, for ``model:v1``."""
    filled.link("model:v0", "Best models")
    filled.link("model:v1", "Best models", aliases=["production"])
    return filled


@pytest.fixture
def foreign(filled: lineage.Project, tmp_path: Path) -> lineage.Project:
    """The same, with a run that used ``raw:v0`` of another project."""
    raw = lineage.open(tmp_path / "folder.lineage").log_artifact(draft("raw", {"a": "1"}, metadata={"rows": 5}))
    with filled.start_run("load", "load-other", use=[raw]):
        pass
    (tmp_path / "folder.lineage").unlink()  # one project is left in the folder
    return filled


# --- link ------------------------------------------------------------------------------------------------------


def test_link_puts_a_version_into_a_collection(filled: lineage.Project) -> None:
    """It prints the link with its aliases; a second time it is the same link."""
    assert good("link", "model:best", "Best models", "--alias", "a", "--alias", "b").lines == [
        "Best models:v0 [a, b, latest]"
    ]
    assert good("link", "model:v1", "Best models").lines == ["Best models:v0 [a, b, latest]"]
    assert filled.version("Best models:a").link_to == "model:v1"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["nothing", "C"], 3),
        (["model:v9", "C"], 3),
        (["model", "data"], 4),
        (["data", "Best models"], 2),
        (["model", "a/b"], 2),
        (["model", "C", "--alias", "v1"], 2),
        (["model"], 2),
    ],
    ids=str,
)
def test_link_refuses_what_cannot_be(linked: lineage.Project, arguments: list[str], code: int) -> None:
    """Each with the code of its class, and nothing is made."""
    assert call("link", *arguments).code == code
    assert [record.name for record in linked.artifacts()] == ["Best models", "data", "model", "scores"]


def test_link_answers_with_a_document(filled: lineage.Project) -> None:
    """--json is the link as a version."""
    document = checked(call("link", "model:v0", "Best models", "--json"), "version")

    assert (document["reference"], document["link_to"], document["project"]) == ("Best models:v0", "model:v0", None)


# --- unlink ----------------------------------------------------------------------------------------------------


def test_unlink_takes_links_out_and_leaves_the_versions(linked: lineage.Project) -> None:
    """Latest does not stand in the way, other aliases do."""
    assert good("unlink", "Best models:v0").lines == ["unlinked Best models:v0 from model:v0"]
    assert call("unlink", "Best models:production").code == 4

    answer = good("unlink", "Best models:production", "--delete-aliases")

    assert answer.lines == ["unlinked Best models:v1 from model:v1"]
    assert [version.reference for version in linked.versions(artifact="model")] == ["model:v0", "model:v1"]
    assert linked.artifact("Best models").version_count == 0


def test_unlink_of_the_newest_moves_latest(linked: lineage.Project) -> None:
    """As deleting a version does."""
    linked.link("model:v0", "C")
    linked.link("model:v1", "C")

    good("unlink", "C:latest")

    assert linked.version("C").link_to == "model:v0"


def test_unlink_of_protected_links_needs_override(linked: lineage.Project) -> None:
    """What somebody protected goes only if it is said."""
    good("alias", "set", "Best models:v0", "kept", "--protect")

    assert call("unlink", "Best models:v0", "--delete-aliases").code == 4
    good("unlink", "Best models:v0", "--override")


def test_unlink_is_all_or_nothing(linked: lineage.Project) -> None:
    """One that cannot go keeps the others."""
    assert call("unlink", "Best models:v0", "Best models:v1").code == 4
    assert call("unlink", "Best models:v0", "Best models:v9").code == 3
    assert linked.artifact("Best models").version_count == 2


@pytest.mark.parametrize(
    ("reference", "message"),
    [("model:v0", "model:v0 is no link"), ("Best models", "names a whole collection"), ("model", "names a whole")],
)
def test_unlink_refuses_what_is_no_link(linked: lineage.Project, reference: str, message: str) -> None:
    """A version is deleted by rm, and so is a whole collection."""
    answer = call("unlink", reference)

    assert answer.code == 2
    assert message in answer.err


def test_unlink_answers_with_documents(linked: lineage.Project) -> None:
    """--json lists what went."""
    documents = checked_list(call("unlink", "Best models:v0", "--json"), "deleted")

    assert documents == [{"kind": "version", "id": "Best models:v0"}]


# --- rm --------------------------------------------------------------------------------------------------------


def test_rm_of_a_link_leaves_the_version(linked: lineage.Project) -> None:
    """It says what it is."""
    assert good("rm", "Best models:v0").lines == ["deleted link Best models:v0 to model:v0"]
    assert not linked.version("model:v0").deleted


def test_rm_of_a_linked_version_takes_its_links_if_they_may_go(linked: lineage.Project) -> None:
    """They stand in the way as aliases do, and a person is told of them."""
    answer = call("rm", "model:v0")
    assert answer.code == 4
    assert "links stand for it ('Best models:v0')" in answer.err
    assert "Delete version model:v0 with 1 link to it (Best models:v0)?" in seen("rm", "model:v0", answer="n\n").out

    good("rm", "model:v0", "--delete-aliases")

    assert linked.version("Best models:v0", include_deleted=True).deleted


def test_rm_of_a_collection_leaves_the_versions(linked: lineage.Project) -> None:
    """A bare name is the whole collection."""
    assert call("rm", "Best models").code == 4
    assert good("rm", "Best models", "--delete-aliases").lines == ["deleted collection Best models (2 links)"]
    assert good("ls", "-q").lines == ["data", "model", "scores"]


def test_rm_of_another_projects_version_is_refused(foreign: lineage.Project) -> None:
    """It is to be deleted where it is."""
    for target in ("folder/raw:v0", "folder/raw"):
        answer = call("rm", target)
        assert (answer.code, "belongs to project 'folder'" in answer.err) == (3, True)


# --- time to live ----------------------------------------------------------------------------------------------


def test_log_with_a_ttl_keeps_it(project: lineage.Project) -> None:
    """A number and a unit, as for --older-than."""
    Path("w.bin").write_text("weights")

    good("log", "w.bin", "model", "--ttl", "30d")

    assert project.version("model").ttl == timedelta(days=30)
    assert call("log", "w.bin", "model", "--ttl", "soon").code == 2
    assert call("log", "w.bin", "model", "--ttl", "0d").code == 2


@pytest.mark.parametrize(
    ("time", "ttl"),
    [
        ("90s", timedelta(seconds=90)),
        ("1.5h", timedelta(minutes=90)),
        ("2w", timedelta(days=14)),
        ("none", None),
    ],
)
def test_ttl_sets_how_long_a_version_lives(filled: lineage.Project, time: str, ttl: timedelta | None) -> None:
    """It answers with what it takes itself."""
    filled.version("model:v0").update(ttl=timedelta(days=1))

    answer = good("ttl", "model:v0", time)

    assert filled.version("model:v0").ttl == ttl
    assert good("ttl", "model:v0").out == answer.out
    assert good("ttl", "model:v0", *answer.lines).out == answer.out
    assert filled.version("model:v0").ttl == ttl


def test_ttl_is_told_in_the_largest_unit_that_is_exact(filled: lineage.Project) -> None:
    """To a person as to a program."""
    assert seen("ttl", "model:v0", "30d").out == "30d\n"
    assert good("ttl", "model:v0", "1.5h").lines == ["90m"]
    assert good("ttl", "model:v0", "61s").lines == ["61s"]
    assert seen("ttl", "model:v1").out == "none\n"


@pytest.mark.parametrize("time", ["30", "d", "-1d", "1y", "0s", "999999999w"])
def test_ttl_refuses_what_is_no_time(filled: lineage.Project, time: str) -> None:
    """Nothing is changed."""
    answer = call("ttl", "model:v0", "--", time)

    assert answer.code == 2
    assert "timedelta" not in answer.err
    assert filled.version("model:v0").ttl is None


def test_ttl_answers_with_a_document(filled: lineage.Project) -> None:
    """--json is the version; its `ttl` is in seconds."""
    assert checked(call("ttl", "model:v0", "1h", "--json"), "version")["ttl"] == 3600
    assert checked(call("ttl", "model:v0", "--json"), "version")["ttl"] == 3600
    assert checked(call("ttl", "model:v0", "none", "--json"), "version")["ttl"] is None


def test_prune_of_what_expired_deletes_that(project: lineage.Project) -> None:
    """Latest stays, and what is for good."""
    from test_time_to_live import age

    for number in range(3):
        version = project.log_artifact(draft("d", {"a": str(number)}))
        version.update(ttl=timedelta(hours=1) if number else timedelta.max)
        age(project, f"v{number}", timedelta(hours=2))

    assert good("prune", "--expired", "-n").lines == ["d:v1"]
    assert good("prune", "--expired").lines == ["d:v1"]
    assert good("prune", "--expired").lines == []
    assert "--expired" in call("prune").err


# --- how others show them --------------------------------------------------------------------------------------


def test_show_of_a_link_tells_what_it_stands_for(linked: lineage.Project) -> None:
    """All else is the version's."""
    lines = good("show", "Best models:production").lines

    facts = dict(line.split("  ", 1) for line in lines[:5])
    assert {name: value.strip() for name, value in facts.items()} == {
        "version": "Best models:v1",
        "link to": "model:v1",
        "type": "model",
        "aliases": "latest, production",
        "tags": "reviewed",
    }
    assert any(line.strip().startswith("train-2") for line in lines)


def test_show_of_a_linked_version_lists_its_links(linked: lineage.Project) -> None:
    """Whoever wants to delete it knows who relies on it."""
    out = good("show", "model:v1").out

    assert "\nlinks\n  link            aliases             created\n  Best models:v1  latest, production  " in out


def test_show_of_a_version_that_expires_tells_the_time_to_live(filled: lineage.Project) -> None:
    """As `lineage ttl` does."""
    good("ttl", "model:v0", "1h")

    assert "time to live  1h" in good("show", "model:v0").lines
    assert "time to live  1h" in seen("show", "model:v0").out


def test_show_of_another_projects_version_says_whose_it_is(foreign: lineage.Project) -> None:
    """Its files and producer are asked there; who used it is known here."""
    out = good("show", "folder/raw:v0").out

    assert "project      folder; its files are there\n" in out
    assert "produced by  asked there\n" in out
    assert "load-other" in out
    assert "files\n" not in out


def test_show_of_each_answers_with_a_page(foreign: lineage.Project) -> None:
    """--json has links and project; files that are elsewhere are none."""
    foreign.link("model:v0", "Best models")
    foreign.link("folder/raw:v0", "Raw data")

    link = checked(call("show", "Best models:v0", "--json"), "version-page")
    source = checked(call("show", "model:v0", "--json"), "version-page")
    raw = checked(call("show", "folder/raw:v0", "--json"), "version-page")
    raw_link = checked(call("show", "Raw data:v0", "--json"), "version-page")

    assert (link["link_to"], len(link["files"]), link["logged_by"]["name"]) == ("model:v0", 1, "train-1")
    assert (source["link_to"], source["links"]) == (None, ["Best models:v0"])
    assert (raw["project"], raw["files"], raw["logged_by"], raw["links"]) == ("folder", [], None, ["Raw data:v0"])
    assert (raw_link["project"], raw_link["files"], raw_link["link_to"]) == ("folder", [], "folder/raw:v0")


def test_ls_tells_collections_and_other_projects_from_artifacts(foreign: lineage.Project) -> None:
    """They stand among the artifacts; --where leaves them out."""
    foreign.link("model:v0", "Best")

    what = [(line.split()[0], line.split("  ")[-1].strip()) for line in good("ls").lines[1:]]

    assert what == [("Best", "collection"), ("data", "-"), ("folder/raw", "of folder"), ("model", "-"), ("scores", "-")]
    assert good("ls", "-q", "--where", json.dumps({"project": None})).lines == ["Best", "data", "model", "scores"]
    documents = checked_list(call("ls", "--json"), "artifact")
    assert [(one["collection"], one["project"]) for one in documents[:3]] == [
        (True, None),
        (False, None),
        (False, "folder"),
    ]


def test_ls_of_a_collection_lists_its_links(linked: lineage.Project) -> None:
    """With what each stands for; of a link, the files."""
    assert good("ls", "Best models", "-q").lines == ["Best models:v0", "Best models:v1"]
    assert [line.split()[-2:] for line in good("ls", "Best models").lines[1:]] == [["model:v0", "-"], ["model:v1", "-"]]
    assert good("ls", "Best models:v0", "-q").lines == ["w.bin"]


def test_get_of_a_link_downloads_what_it_stands_for(linked: lineage.Project) -> None:
    """Into a folder that is called as it was asked for."""
    assert good("get", "Best models:v0").lines == ["artifacts/Best models:v0"]
    assert Path("artifacts/Best models:v0/w.bin").read_text() == "w1"


def test_get_of_another_projects_version_says_where_it_is(foreign: lineage.Project) -> None:
    """Its content is not here."""
    answer = call("get", "folder/raw:v0")

    assert answer.code == 3
    assert "belongs to project 'folder'" in answer.err


def test_run_refuses_to_log_into_a_collection_before_it_starts(linked: lineage.Project) -> None:
    """Hours of work are not lost to a name."""
    linked.link("model:v0", "C")

    answer = call("run", "--log", "C=out", "--", "touch", "out")

    assert answer.code == 2
    assert "'C' is a collection of links" in answer.err
    assert not Path("out").exists()


def test_alias_and_mv_work_on_collections(linked: lineage.Project) -> None:
    """A collection is named like an artifact."""
    assert good("alias", "set", "Best models:v0", "old").lines == ["Best models:v0 [old]"]
    assert good("mv", "Best models", "The best").lines == ["The best"]
    assert good("alias", "rm", "The best:old").lines == ["The best:v0"]
    assert [line.split()[-1] for line in good("alias", "history", "The best:old").lines[1:]] == ["-", "-"]


def test_graph_shows_other_projects_versions_and_no_links(foreign: lineage.Project) -> None:
    """Whatever the format, names with a slash are one node."""
    foreign.link("folder/raw:v0", "Raw data")

    for form in ("mermaid", "dot", "graphml", "json"):
        out = good("graph", "--format", form).out
        assert "folder/raw" in out.replace("#47;", "/")
        assert "Raw data" not in out


def test_used_by_and_show_tell_what_other_projects_do(filled: lineage.Project, tmp_path: Path) -> None:
    """Runs of other projects stand apart, by project; a document has them in the page of the version."""
    (tmp_path / "elsewhere").mkdir()
    other = lineage.open(tmp_path / "elsewhere" / "other.lineage")
    with other.start_run(id="theirs", use=[filled.version("model:v0")]):
        other.link(filled.version("model:v0"), "Best")

    used, shown = good("used-by", "model:v0").lines, good("show", "model:v0").lines

    assert [line.split()[:5] for line in used if "theirs" in line] == [["other", "used", "by", "run", "theirs"]]
    assert [line.split()[:4] for line in shown if "Best" in line] == [["other", "linked", "in", "Best"]]
    page = json.loads(good("show", "model:v0", "--json").out)
    assert sorted((one["project"], one["node"]) for one in page["outside_uses"]) == [
        ("other", "Best"),
        ("other", "theirs"),
    ]
