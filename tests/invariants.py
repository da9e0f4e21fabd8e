"""What holds of every project at rest, whatever was done to it."""

from __future__ import annotations

import gc

import networkx as nx

import lineage


def assert_store_sound(project: lineage.Project, *, strays: bool = True) -> None:
    """Fail if the project breaks a rule of its format.

    Args:
        project: Which.
        strays: Let pass what `gc` takes: bytes that no row names.
    """
    problems = project.verify().problems
    assert not [one for one in problems if one.severity == "error" or not strays]
    assert_edges_have_ends(project)
    assert_numbers_dense(project)
    assert_aliases_right(project)
    assert_links_right(project)
    assert nx.is_directed_acyclic_graph(project.graph())
    assert_no_staging(project)


def assert_edges_have_ends(project: lineage.Project) -> None:
    """Fail if an edge, or a reproduction, names a run or version that is not there."""
    for table in ("consumed", "produced", "reproduced"):
        rows = project.sql(
            f"""SELECT e.run, e.version FROM {table} e LEFT JOIN run r ON r.id = e.run
                LEFT JOIN version v ON v.id = e.version WHERE r.id IS NULL OR v.id IS NULL"""
        )
        assert rows == [], table
    assert (
        project.sql("SELECT c.version FROM consumed c JOIN produced p ON p.version = c.version AND p.run = c.run") == []
    )


def assert_numbers_dense(project: lineage.Project) -> None:
    """Fail unless each artifact's versions, deleted ones too, are numbered 0 to n - 1 and n comes next.

    Of another project's artifact only the versions that were named are here.
    """
    for row in project.sql("SELECT id, name, next_number FROM artifact WHERE project IS NULL"):
        found = project.sql("SELECT number FROM version WHERE artifact = ? ORDER BY number", [row["id"]])
        assert [one["number"] for one in found] == list(range(row["next_number"])), row["name"]


def assert_aliases_right(project: lineage.Project) -> None:
    """Fail unless aliases name live versions of their artifact, `latest` is where there are any, and history agrees."""
    astray = project.sql(
        """SELECT l.name FROM alias l JOIN version v ON v.id = l.version
           WHERE v.artifact <> l.artifact OR v.deleted_at IS NOT NULL"""
    )
    assert astray == []
    for row in project.sql("SELECT id, name, deleted_at FROM artifact"):
        live = project.sql("SELECT id FROM version WHERE artifact = ? AND deleted_at IS NULL", [row["id"]])
        named = {
            one["name"]: one["version"] for one in project.sql("SELECT * FROM alias WHERE artifact = ?", [row["id"]])
        }
        assert ("latest" in named) == bool(live), row["name"]
        assert not (live and row["deleted_at"]), row["name"]
        events = project.sql(
            "SELECT name, from_version, to_version FROM alias_event WHERE artifact = ? ORDER BY id", [row["id"]]
        )
        replayed: dict[str, int] = {}
        for event in events:
            assert replayed.pop(event["name"], None) == event["from_version"], row["name"]
            if event["to_version"] is not None:
                replayed[event["name"]] = event["to_version"]
        assert replayed == named, row["name"]


def assert_links_right(project: lineage.Project) -> None:
    """Fail unless links stand for versions, with their content, and only links lie where one does."""
    rows = project.sql(
        """SELECT k.version FROM link k JOIN version v ON v.id = k.version JOIN artifact a ON a.id = v.artifact
           JOIN version s ON s.id = k.source JOIN artifact b ON b.id = s.artifact
           WHERE v.manifest <> s.manifest OR a.project IS NOT NULL
              OR k.source IN (SELECT version FROM link)
              OR (v.deleted_at IS NULL AND s.deleted_at IS NOT NULL AND b.project IS NULL)"""
    )
    assert rows == []
    mixed = project.sql(
        """SELECT v.artifact FROM version v LEFT JOIN link k ON k.version = v.id
           GROUP BY v.artifact HAVING count(k.version) NOT IN (0, count(*))"""
    )
    assert mixed == []
    foreign = project.sql(
        """SELECT v.id FROM version v JOIN artifact a ON a.id = v.artifact
           WHERE a.project IS NOT NULL AND (v.deleted_at IS NULL OR v.id IN (SELECT version FROM produced))"""
    )
    assert foreign == []


def assert_no_staging(project: lineage.Project) -> None:
    """Fail if a draft that is gone, or a log that was cut off, left temporary files."""
    gc.collect()  # a draft that an exception's traceback holds is gone only now
    temporary = project.blob_folder / "tmp"
    assert not temporary.exists() or list(temporary.iterdir()) == []
    assert [path.name for path in project.file.parent.iterdir() if path.name.startswith(f".{project.file.name}.")] == []


def assert_nothing_left_over(project: lineage.Project) -> None:
    """Fail if, after `gc`, anything is there that no live version names."""
    assert project.verify().problems == ()
    live = project.sql(
        """SELECT DISTINCT b.digest FROM entry e JOIN blob b ON b.id = e.blob JOIN manifest_part p ON p.part = e.part
           JOIN version v ON v.manifest = p.manifest WHERE v.deleted_at IS NULL"""
    )
    wanted = {row["digest"] for row in live}
    assert {row["digest"] for row in project.sql("SELECT digest FROM blob")} == wanted
    lying = {path.parent.name + path.name for path in project.blob_folder.glob("??/*")}
    inside = {row["digest"] for row in project.sql("SELECT b.digest FROM blob b JOIN chunk c ON c.blob = b.id")}
    assert lying | inside == wanted
    assert not lying & inside
    assert_no_staging(project)
