"""Commands that change a project: init, log, use, get, alias, tag, mv, rm, prune, gc, repair; and size, verify."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import draft
from test_cli_support import call, checked, checked_list, damage, fill, good, seen

import lineage


@pytest.fixture
def filled(project: lineage.Project) -> lineage.Project:
    """A project with five runs and five versions; see :func:`test_cli_support.fill`."""
    return fill(project)


# --- init ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ([], "here/here.lineage"),
        (["iv3"], "here/iv3.lineage"),
        (["iv3.lineage"], "here/iv3.lineage"),
        (["sub"], "here/sub/sub.lineage"),
        (["."], "here/here.lineage"),
    ],
)
def test_init_makes_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: list[str], file: str) -> None:
    """PATH is a file, with or without its ending, or a folder."""
    (tmp_path / "here" / "sub").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")

    answer = good("init", *path)

    assert answer.lines == [str(tmp_path / file)]
    assert (tmp_path / file).is_file()


def test_init_takes_the_project_that_is_there(filled: lineage.Project) -> None:
    """A second one beside it would make every command ask which."""
    assert good("init").lines == [str(filled.file)]
    assert good("init", "p").lines == [str(filled.file)]
    assert len(list(Path.cwd().glob("*.lineage"))) == 1


def test_init_takes_the_project_option() -> None:
    """--project says where as well as PATH."""
    assert checked(call("--project", "iv3.lineage", "init", "--json"), "project")["created"] is True
    assert checked(call("init", "iv3", "--json"), "project")["created"] is False


def test_init_tells_a_person_how_to_go_on() -> None:
    """The hint is for terminals."""
    assert "lineage log" in seen("init", "iv3").out
    assert "was there already" in seen("init", "iv3").out


# --- log -------------------------------------------------------------------------------------------------------


def test_log_file_makes_a_version(project: lineage.Project) -> None:
    """It prints the reference, and nothing else."""
    Path("w.bin").write_text("weights")

    assert good("log", "w.bin", "model", "--type", "model").lines == ["model:v0"]

    version = project.version("model")
    assert [entry.path for entry in version.files()] == ["w.bin"]
    assert version.type == "model"
    assert version.logged_by() is None


def test_log_folder_makes_a_version_of_its_files(project: lineage.Project) -> None:
    """Every file below it, under its path inside."""
    Path("out/deep").mkdir(parents=True)
    Path("out/a").write_text("a")
    Path("out/deep/b").write_text("b")

    good("log", "out", "plain")
    good("log", "out", "below", "--path", "x/y")

    assert [entry.path for entry in project.version("plain").files()] == ["a", "deep/b"]
    assert [entry.path for entry in project.version("below").files()] == ["x/y/a", "x/y/deep/b"]


def test_log_uri_makes_a_reference(project: lineage.Project) -> None:
    """Bytes elsewhere are tracked, not copied."""
    good("log", "s3://bucket/data.tar", "data")
    good("log", "db:table", "table", "--path", "rows")

    assert project.version("data").files()[0].uri == "s3://bucket/data.tar"
    assert project.version("table").files()[0].path == "rows"


def test_log_takes_a_file_whose_name_looks_like_a_uri(project: lineage.Project) -> None:
    """What lies there is meant."""
    Path("data:x").write_text("x")

    good("log", "data:x", "data")

    assert project.version("data").files()[0].stored


def test_log_names_describes_and_labels_the_version(project: lineage.Project) -> None:
    """Aliases behind the name or by option, tags, metadata, words."""
    Path("w").write_text("w")
    Path("meta.json").write_text('{"iou": 0.5}')
    words = ["--alias", "c", "--tag", "t1", "--tag", "t2", "--metadata", "@meta.json", "--description", "good"]

    good("log", "w", "model:a:b", *words)

    version = project.version("model")
    assert version.aliases == ("a", "b", "c", "latest")
    assert version.tags == ("t1", "t2")
    assert version.metadata == {"iou": 0.5}
    assert version.description == "good"


def test_log_without_type_takes_the_artifacts(project: lineage.Project) -> None:
    """The second log need not repeat the type; a new artifact without one is unspecified."""
    Path("w").write_text("w")
    good("log", "w", "model", "--type", "model")
    Path("w").write_text("w2")

    assert good("log", "w", "model").lines == ["model:v1"]
    good("log", "w", "other")

    assert project.artifact("other").type == "unspecified"
    assert call("log", "w", "model", "--type", "dataset").code == 2


def test_log_under_a_deleted_name_takes_the_type_it_had(project: lineage.Project) -> None:
    """Its versions stay in the lineage, and it is one artifact with them."""
    Path("w").write_text("w")
    good("log", "w", "model", "--type", "model")
    good("rm", "model", "-y")

    assert good("log", "w", "model").lines == ["model:v1"]
    assert project.artifact("model").type == "model"


def test_log_with_run_notes_the_producer(filled: lineage.Project) -> None:
    """A run that is there, also a finished one, becomes the producer."""
    Path("w").write_text("w")

    good("log", "w", "extra", "--run", "train-1")

    run = filled.version("extra").logged_by()
    assert run is not None
    assert run.name == "train-1"


def test_log_with_a_run_that_is_not_there_logs_nothing(filled: lineage.Project) -> None:
    """The version and who made it, or neither."""
    Path("w").write_text("w")

    assert call("log", "w", "extra", "--run", "nobody").code == 3
    assert call("ls", "extra").code == 3


def test_log_with_run_of_known_content_notes_that_it_was_reproduced(project: lineage.Project) -> None:
    """A run that comes later made it once more, also the one that used it; what was there first has no producer."""
    Path("w").write_text("w")
    good("log", "w", "raw")
    project.start_run(name="copier", use=["raw"]).finish()
    project.start_run(name="maker").finish()

    assert call("log", "w", "raw", "--run", "copier").lines == ["raw:v0"]
    assert call("log", "w", "raw", "--run", "maker").lines == ["raw:v0"]

    assert project.version("raw").logged_by() is None
    assert [run.name for run in project.version("raw").reproduced_by()] == ["copier", "maker"]


def test_log_with_run_keeps_its_step_and_metric(project: lineage.Project) -> None:
    """It is logged as the run itself would log it."""
    Path("w").write_text("w")
    with project.start_run(name="train") as run:
        run.log({"iou": 0.5})

    good("log", "w", "model", "--run", "train", "--only-if-better", "iou:max")

    version = project.version("model")
    assert (version.metadata, version.record.step) == ({"iou": 0.5}, 0)


def test_log_with_a_run_that_was_deleted_logs_nothing(filled: lineage.Project) -> None:
    """What is gone makes nothing any more."""
    Path("w").write_text("w")
    run = filled.run("train-1")
    run.delete()

    assert call("log", "w", "extra", "--run", run.id).code == 3
    assert call("ls", "extra").code == 3


def test_log_takes_the_run_of_the_environment(filled: lineage.Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within `lineage run` the run need not be said; --job-type makes another."""
    Path("w").write_text("w")
    monkeypatch.setenv("LINEAGE_RUN_ID", filled.run("train-1").id)

    good("log", "w", "extra")
    good("log", "w", "more", "--job-type", "convert")

    producers = [filled.version(name).logged_by() for name in ("extra", "more")]
    assert [run.job_type for run in producers if run is not None] == ["train", "convert"]


def test_log_with_job_type_makes_a_run(project: lineage.Project) -> None:
    """A step done by hand is a run of its own."""
    Path("w").write_text("w")

    good("log", "w", "model", "--job-type", "export")

    run = project.version("model").logged_by()
    assert run is not None
    assert (run.job_type, run.status) == ("export", "finished")


def test_log_only_if_better_leaves_worse_content_out(filled: lineage.Project) -> None:
    """Nothing is printed then, and the document says so."""
    Path("w").write_text("worse")
    better = ["--only-if-better", "iou:max"]

    assert good("log", "w", "model", *better, "--metadata", '{"iou": 0.1}').out == ""
    assert good("log", "w", "model", *better, "--metadata", '{"iou": 0.1}', "--run", "train-1").out == ""
    refused = checked(call("log", "w", "model", *better, "--metadata", '{"iou": 0.1}', "--json"), "log")
    assert refused == {"logged": False, "version": None}
    assert "not better" in seen("log", "w", "model", *better, "--metadata", '{"iou": 0.1}').out
    assert good("log", "w", "model", *better, "--metadata", '{"iou": 0.9}').lines == ["model:v2"]


@pytest.mark.parametrize("rule", ["iou", "iou:up", ":max:"])
def test_log_refuses_a_rule_without_direction(filled: lineage.Project, rule: str) -> None:
    """METRIC:max or METRIC:min."""
    Path("w").write_text("w")

    answer = call("log", "w", "model", "--only-if-better", rule)

    assert answer.code == 2
    assert "METRIC:max" in answer.err


def test_log_force_new_version_repeats_content(filled: lineage.Project) -> None:
    """Content that is there already becomes another version if told so."""
    Path("w.bin").write_text("w1")

    assert call("log", "w.bin", "model").out == "model:v0\n"
    assert good("log", "w.bin", "model", "--force-new-version").lines == ["model:v2"]


def test_log_answers_with_a_document(project: lineage.Project) -> None:
    """--json is whether it was logged, and the version."""
    Path("w").write_text("w")

    document = checked(call("log", "w", "model", "--json"), "log")

    assert document["logged"]
    assert document["version"]["reference"] == "model:v0"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["nothing", "model"], 2),
        (["p.lineage", "model"], 2),
        (["w", "bad name"], 2),
        (["w", "model:v3"], 2),
        (["w", "model", "--metadata", "{"], 2),
        (["w", "model", "--metadata", '{"a": 1e999}'], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_log_refuses_what_cannot_be_logged(project: lineage.Project, arguments: list[str], code: int) -> None:
    """One line says why, and nothing is stored; also where a person watches."""
    Path("w").write_text("w")

    assert call("log", *arguments).code == code
    assert seen("log", *arguments).code == code
    assert len(project.artifacts()) == 0


# --- get and use -----------------------------------------------------------------------------------------------


def test_get_downloads_and_prints_the_folder(filled: lineage.Project) -> None:
    """The default folder bears name and version."""
    assert good("get", "data").lines == ["artifacts/data:v0"]
    assert Path("artifacts/data:v0/b/c.txt").read_text() == "two"


def test_get_downloads_a_part_to_a_folder(filled: lineage.Project) -> None:
    """--to and --path-prefix."""
    assert good("get", "data", "--to", "here", "--path-prefix", "b/").lines == ["here"]
    assert [path.name for path in Path("here").rglob("*") if path.is_file()] == ["c.txt"]


def test_get_of_a_prefix_of_nothing_makes_no_folder(filled: lineage.Project) -> None:
    """A misspelt one is no success."""
    answer = call("get", "data", "--to", "here", "--path-prefix", "bb/")

    assert (answer.code, "data:v0 has no file whose path begins with 'bb/'" in answer.err) == (3, True)
    assert not Path("here").exists()


def test_get_checkout_has_a_folder_of_its_own(filled: lineage.Project) -> None:
    """The help names the one that is made to hold nothing else."""
    assert good("get", "data", "--checkout").lines == ["artifacts/data"]
    assert "with --checkout ./artifacts/NAME]" in " ".join(good("get", "--help").out.split())


def test_get_checkout_removes_other_files(filled: lineage.Project) -> None:
    """The folder holds the version and nothing else."""
    Path("here").mkdir()
    Path("here/stray").write_text("x")

    good("get", "data", "--to", "here", "--checkout")

    assert not Path("here/stray").exists()
    assert Path("here/a.txt").exists()


def test_get_refuses_checkout_of_a_part(filled: lineage.Project) -> None:
    """It would remove the rest of the version."""
    assert call("get", "data", "--checkout", "--path-prefix", "b/").code == 2


def test_get_answers_with_a_document(filled: lineage.Project) -> None:
    """--json names version and folder."""
    document = checked(call("get", "model:best", "--to", "m", "--json"), "download")

    assert document == {"reference": "model:v1", "folder": "m"}


def test_use_records_that_a_run_consumes_it(filled: lineage.Project) -> None:
    """The edge is written, then the files come."""
    assert good("use", "scores", "--run", "train-3", "--to", "s").lines == ["s"]

    assert [run.name for run in filled.version("scores").used_by()] == ["train-3"]
    assert Path("s/s.csv").exists()


def test_use_without_download_prints_the_reference(filled: lineage.Project) -> None:
    """--no-download only records."""
    assert good("use", "scores", "--run", "train-3", "--no-download").lines == ["scores:v0"]
    document = checked(call("use", "scores", "--run", "train-3", "--no-download", "--json"), "download")

    assert document == {"reference": "scores:v0", "folder": None}
    assert not Path("artifacts").exists()


def test_use_without_run_says_what_to_do(filled: lineage.Project) -> None:
    """It does not guess."""
    answer = call("use", "scores")

    assert answer.code == 2
    assert "--run" in answer.err
    assert "lineage get" in answer.err


# --- alias, tag, mv --------------------------------------------------------------------------------------------


def test_alias_set_moves_aliases(filled: lineage.Project) -> None:
    """They leave the version they named."""
    assert good("alias", "set", "model:v0", "best", "prod").lines == ["model:v0 [best, prod]"]
    assert filled.version("model:best").number == 0


def test_alias_set_is_all_or_nothing(filled: lineage.Project) -> None:
    """One alias that may not be leaves the others where they were."""
    assert call("alias", "set", "model:v0", "best", "v7").code == 2
    assert filled.version("model:best").number == 1


def test_alias_protected_moves_by_override_only(filled: lineage.Project) -> None:
    """--protect holds it, --override moves it, --unprotect lets it go."""
    good("alias", "set", "model:v0", "prod", "--protect")

    assert call("alias", "set", "model:v1", "prod").code == 4
    assert call("alias", "rm", "model:prod").code == 4
    good("alias", "set", "model:v1", "prod", "--override")
    good("alias", "set", "model:v1", "prod", "--unprotect")
    assert good("alias", "rm", "model:prod").lines == ["model:v1 [best, latest]"]


def test_alias_rm_prints_a_version_without_aliases_bare(filled: lineage.Project) -> None:
    """No empty brackets."""
    good("alias", "set", "model:v0", "old")

    assert good("alias", "rm", "model:old").lines == ["model:v0"]


def test_alias_rm_needs_an_alias(filled: lineage.Project) -> None:
    """A number or a digest names none."""
    answer = call("alias", "rm", "model:v1")

    assert answer.code == 2
    assert "NAME:ALIAS" in answer.err


def test_alias_history_tells_every_move(filled: lineage.Project) -> None:
    """Which version, when, who, and in which run, by name."""
    good("alias", "set", "model:v0", "best")

    lines = good("alias", "history", "model:best").lines

    assert [line.split()[:3] for line in lines[1:]] == [["best", "-", "model:v1"], ["best", "model:v1", "model:v0"]]
    assert lines[1].endswith("train-2")
    assert lines[2].endswith("-")
    assert len(good("alias", "history", "model").lines) == 5


def test_alias_history_of_an_alias_that_never_was_is_not_found(filled: lineage.Project) -> None:
    """An empty answer would say that it never moved."""
    answer = call("alias", "history", "model:nope")

    assert (answer.code, answer.out) == (3, "")
    assert "'model' never had an alias 'nope'" in answer.err


def test_alias_ls_lists_aliases(filled: lineage.Project) -> None:
    """Of one artifact or of all."""
    assert [line.split()[1:3] for line in good("alias", "ls", "model").lines[1:]] == [
        ["best", "model:v1"],
        ["latest", "model:v1"],
    ]
    assert len(good("alias", "ls").lines) == 5
    assert call("alias", "ls", "nothing").code == 3


def test_alias_that_is_protected_is_shown_as_such(filled: lineage.Project) -> None:
    """In the list of aliases, with the version, and in their documents."""
    good("alias", "set", "model:v0", "gold", "--protect")

    lines = [line.split()[1:4] for line in good("alias", "ls", "model").lines]
    documents = checked_list(call("alias", "ls", "model", "--json"), "alias")

    assert lines == [
        ["alias", "version", "protected"],
        ["gold", "model:v0", "yes"],
        ["best", "model:v1", "-"],
        ["latest", "model:v1", "-"],
    ]
    assert [(one["alias"], one["protected"]) for one in documents] == [
        ("gold", True),
        ("best", False),
        ("latest", False),
    ]
    assert ["protected", "gold"] in [line.split() for line in good("show", "model:v0").lines]
    assert checked(call("show", "model:v0", "--json"), "version-page")["protected_aliases"] == ["gold"]


def test_alias_commands_answer_with_documents(filled: lineage.Project) -> None:
    """--json of each."""
    assert checked(call("alias", "set", "model:v0", "x", "--json"), "version")["aliases"] == ["x"]
    assert checked(call("alias", "rm", "model:x", "--json"), "version")["aliases"] == []
    assert len(checked_list(call("alias", "history", "model:x", "--json"), "alias-event")) == 2
    assert len(checked_list(call("--json", "alias", "ls"), "alias")) == 4


def test_tag_puts_tags_on_versions_and_runs(filled: lineage.Project) -> None:
    """Those it has stay; without tags they are printed."""
    assert good("tag", "model:v1", "good", "reviewed").lines == ["good", "reviewed"]
    assert good("tag", "train-1", "kept").lines == ["kept", "sweep"]
    assert good("tag", "train-1").lines == ["kept", "sweep"]
    assert good("tag", "train-1", "sweep", "--remove").lines == ["kept"]


def test_tag_answers_with_a_document(filled: lineage.Project) -> None:
    """--json is the run or version."""
    assert checked(call("tag", "model:v1", "good", "--json"), "version")["tags"] == ["good", "reviewed"]
    assert checked(call("tag", "train-1", "--json"), "run")["tags"] == ["sweep"]


def test_tag_refuses_what_is_no_tag(filled: lineage.Project) -> None:
    """The library's rules hold."""
    assert call("tag", "model:v1", "a/b").code == 2


def test_mv_renames_an_artifact(filled: lineage.Project) -> None:
    """Versions and lineage stay; a taken name is a conflict."""
    assert good("mv", "model", "net").lines == ["net"]
    assert filled.version("net:best").number == 1
    assert call("mv", "net", "data").code == 4
    assert checked(call("mv", "net", "model", "--json"), "artifact")["name"] == "model"


# --- rm and prune ----------------------------------------------------------------------------------------------


def test_rm_deletes_a_version(filled: lineage.Project) -> None:
    """By number; an alias stands in the way."""
    assert good("rm", "model:v0").lines == ["deleted version model:v0"]
    assert filled.version("model:v0", include_deleted=True).deleted
    assert call("rm", "model:v1").code == 4
    assert good("rm", "model:best", "--delete-aliases").lines == ["deleted version model:v1"]


def test_rm_deletes_protected_versions_by_force(filled: lineage.Project) -> None:
    """--force is for protected aliases."""
    good("alias", "set", "model:v0", "prod", "--protect")

    assert call("rm", "model:v0", "--delete-aliases").code == 4
    good("rm", "model:v0", "--force")


def test_rm_deletes_a_run(filled: lineage.Project) -> None:
    """By name or id, with what it produced if told so."""
    filled.version("model:best").remove_alias("best")
    run = filled.run("train-3").id

    assert good("rm", "train-3").lines == [f"deleted run train-3 ({run})"]
    good("rm", filled.run("train-1").id, "--delete-versions")

    assert filled.version("model:v0", include_deleted=True).deleted
    assert call("rm", run).code == 3


def test_rm_deletes_an_artifact(filled: lineage.Project) -> None:
    """A bare name is all versions."""
    assert good("rm", "scores").lines == ["deleted artifact scores (1 version)"]
    assert call("rm", "model").code == 4
    good("rm", "model", "--delete-aliases")

    assert good("ls", "-q").lines == ["data"]


def test_rm_is_all_or_nothing(filled: lineage.Project) -> None:
    """One that cannot go keeps the others."""
    assert call("rm", "scores", "model:best").code == 4
    assert call("rm", "scores", "nothing").code == 3
    assert good("ls", "-q").lines == ["data", "model", "scores"]


def test_rm_asks_which_where_a_name_is_two_things(filled: lineage.Project) -> None:
    """A run and an artifact of one name: --kind tells."""
    filled.start_run(name="scores").finish()

    answer = call("rm", "scores")

    assert answer.code == 2
    assert "--kind" in answer.err
    assert good("rm", "scores", "--kind", "run").lines[0].startswith("deleted run scores")
    assert good("rm", "scores:v0", "--kind", "version", "--delete-aliases").lines == ["deleted version scores:v0"]
    assert good("rm", "scores", "--kind", "artifact").lines == ["deleted artifact scores (0 versions)"]


def test_rm_takes_an_artifact_before_the_first_digits_of_an_id(filled: lineage.Project) -> None:
    """What begins like a name is not what is meant."""
    filled.start_run(id="scores-of-today").finish()

    assert good("rm", "scores").lines == ["deleted artifact scores (1 version)"]


def test_rm_takes_a_run_whose_name_no_artifact_could_bear(filled: lineage.Project) -> None:
    """Names of runs may hold blanks."""
    filled.start_run(name="my run").finish()

    assert good("rm", "my run").lines[0].startswith("deleted run my run")


@pytest.mark.parametrize(("answer", "code", "left"), [("n\n", 1, 3), ("y\n", 0, 2), ("\n", 1, 3), ("\x04", 130, 3)])
def test_rm_asks_a_person(filled: lineage.Project, answer: str, code: int, left: int) -> None:
    """On a terminal it names what goes; no answer is no."""
    shown = seen("rm", "scores", answer=answer)

    assert shown.code == code
    assert "Delete artifact scores (1 version)?" in shown.out
    assert len(filled.artifacts()) == left


@pytest.mark.parametrize("name", ["rm", "prune"])
def test_help_says_that_a_script_is_not_asked(name: str) -> None:
    """What a person is asked, a script is not."""
    assert "without a terminal nobody is asked" in " ".join(good(name, "--help").out.split())


def test_rm_does_not_ask_if_told_so(filled: lineage.Project) -> None:
    """--yes is for people, too."""
    assert seen("rm", "scores", "--yes").out == "deleted artifact scores (1 version)\n"


def test_rm_answers_with_documents(filled: lineage.Project) -> None:
    """--json lists what went."""
    documents = checked_list(call("rm", "scores", "model:v0", "train-3", "--json"), "deleted")

    assert [document["kind"] for document in documents] == ["artifact", "version", "run"]


@pytest.fixture
def many(project: lineage.Project) -> lineage.Project:
    """Four versions, the second tagged, the third used."""
    for number in range(4):
        project.log_artifact(draft("data", {"n": str(number) * 100}), tags=["kept"] if number == 1 else [])
    with project.start_run() as run:
        run.use_artifact("data:v2")
    return project


@pytest.mark.parametrize(
    ("rules", "gone"),
    [
        (["--keep-last", "1"], ["data:v0"]),
        (["--keep-last", "3"], ["data:v0"]),
        (["--keep-last", "1", "--no-keep-tagged"], ["data:v0", "data:v1"]),
        (["--keep-last", "1", "--no-keep-used", "--no-keep-tagged"], ["data:v0", "data:v1", "data:v2"]),
        (["--older-than", "0s"], ["data:v0"]),
        (["--older-than", "8w"], []),
        (["--older-than", "1.5h"], []),
        (["data", "--keep-last", "1"], ["data:v0"]),
        (["--type", "model", "--keep-last", "1"], []),
    ],
    ids=" ".join,
)
def test_prune_deletes_what_no_rule_keeps(many: lineage.Project, rules: list[str], gone: list[str]) -> None:
    """A dry run says what would go and changes nothing; then it goes."""
    assert good("prune", *rules, "--dry-run").lines == gone
    assert len(many.versions()) == 4
    assert good("prune", *rules).lines == gone
    assert len(many.versions()) == 4 - len(gone)


def test_prune_needs_a_rule(many: lineage.Project) -> None:
    """Without one, everything would go."""
    answer = call("prune")

    assert answer.code == 2
    assert "--keep-last" in answer.err


@pytest.mark.parametrize("age", ["30", "d", "-1d", "1y", "ten days"])
def test_prune_refuses_what_is_no_age(many: lineage.Project, age: str) -> None:
    """A number and a unit."""
    answer = call("prune", "--older-than", age)

    assert answer.code == 2
    assert "30d" in answer.err


def test_prune_asks_a_person(many: lineage.Project) -> None:
    """It names the versions, and tells what gc then frees."""
    shown = seen("prune", "--keep-last", "1", answer="n\n")

    assert shown.code == 1
    assert "Delete data:v0 (100 Bytes)?" in shown.out
    assert len(many.versions()) == 4
    assert "would free 100 Bytes" in seen("prune", "--keep-last", "1", "-n").out
    assert "frees 100 Bytes" in seen("prune", "--keep-last", "1", answer="y\n").out


def test_prune_answers_with_a_document(many: lineage.Project) -> None:
    """--json says what went."""
    assert checked(call("prune", "--keep-last", "1", "--json"), "prune")["versions"] == ["data:v0"]


# --- upkeep ----------------------------------------------------------------------------------------------------


def test_gc_frees_what_nothing_names(many: lineage.Project) -> None:
    """After a deletion its bytes go."""
    many.version("data:v0").delete()

    assert good("gc", "--dry-run").lines[0].split() == ["would", "free", "100"]
    assert [line.split() for line in good("gc", "--compact").lines] == [
        ["freed", "100"],
        ["blobs", "1", "(100)"],
        ["parts", "1"],
    ]
    assert good("gc").lines == ["freed  0"]


def test_gc_answers_with_a_document(many: lineage.Project) -> None:
    """--json counts what went."""
    many.version("data:v0").delete()

    assert checked(call("gc", "--json"), "gc")["bytes"] == 100


def test_size_tells_own_and_shared_bytes(project: lineage.Project) -> None:
    """By artifact, or of one."""
    project.log_artifact(draft("one", {"a": "same", "b": "own"}))
    project.log_artifact(draft("two", {"a": "same"}))

    assert [line.split() for line in good("size").lines] == [
        ["artifact", "versions", "total", "own", "shared", "logical"],
        ["one", "1", "7", "3", "4", "7"],
        ["two", "1", "4", "0", "4", "4"],
    ]
    assert len(good("size", "two").lines) == 2
    assert len(checked_list(call("size", "--json"), "size")) == 2


def test_verify_of_a_sound_project_is_ok(filled: lineage.Project) -> None:
    """It says what it looked at."""
    assert good("verify").lines == ["ok: 5 runs, 3 artifacts, 4 versions, 6 blobs, 14"]
    assert good("verify", "--no-content").lines[0].startswith("ok: ")


def test_verify_of_a_damaged_project_exits_with_ten(filled: lineage.Project) -> None:
    """Each problem is a line that names the versions it touches."""
    damage(filled)

    answer = call("verify")

    assert answer.code == 10
    assert answer.lines[0].startswith("error: bytes-damaged: ")
    assert answer.lines[0].endswith("[big:v0]")
    assert answer.lines[-1].startswith("1 error: 5 runs")


def test_verify_takes_a_warning_for_no_error(filled: lineage.Project) -> None:
    """Where nothing is lost the exit code is 0."""
    filled.log_artifact(draft("big", {"b": b"x" * 40_000}))
    digest = filled.version("big").files()[0].digest or ""
    (filled.blob_folder / digest[:2] / digest[2:]).chmod(0o644)

    answer = call("verify")

    assert answer.code == 0
    assert answer.lines[0].startswith("warning: bytes-writable: ")
    assert answer.lines[-1].startswith("1 warning: ")


def test_verify_answers_with_a_document(filled: lineage.Project) -> None:
    """--json holds the problems; the exit code is the same."""
    sound = checked(call("verify", "--json"), "verify")
    damage(filled)
    damaged = call("verify", "--json")

    assert sound["ok"]
    assert damaged.code == 10
    assert damaged.json["problems"][0]["versions"] == ["big:v0"]


def test_repair_plans_unless_told_to_apply(filled: lineage.Project) -> None:
    """What it would do is said first, on a terminal with the way to do it."""
    filled.log_artifact(draft("big", {"b": b"x" * 40_000}))
    digest = filled.version("big").files()[0].digest or ""
    (filled.blob_folder / digest[:2] / digest[2:]).chmod(0o644)

    assert good("repair").lines[0].startswith("would do: ")
    assert "--apply" in seen("repair").out
    assert good("repair", "--apply").lines[0].startswith("done: ")
    assert good("repair").lines == ["ok: nothing to mend"]


def test_repair_that_leaves_errors_exits_with_ten(filled: lineage.Project) -> None:
    """Bytes that are gone cannot be made again."""
    damage(filled)

    answer = call("repair", "--apply")

    assert answer.code == 10
    assert "error: " in answer.out


def test_repair_answers_with_a_document(filled: lineage.Project) -> None:
    """--json holds actions and what remains."""
    assert checked(call("repair", "--json"), "repair") == {"dry_run": True, "ok": True, "actions": [], "remaining": []}


# --- sizes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["merge", "fill"])
@pytest.mark.parametrize(
    ("size", "said"), [("10KB", "10000 are allowed"), ("10000", "10000 are allowed"), ("many", "no number of bytes")]
)
def test_size_is_told_in_the_same_way_everywhere(
    filled: lineage.Project, tmp_path: Path, name: str, size: str, said: str
) -> None:
    """As `verify --max-bytes` takes it."""
    filled.pack(tmp_path / "theirs.lineage")

    answer = call("--project", filled.file, name, tmp_path / "theirs.lineage", "--max-size", size)

    assert (answer.code, said in answer.err) == (2, True)
    good("--project", filled.file, name, tmp_path / "theirs.lineage", "--max-size", "1GiB")


def test_verify_of_no_bytes_at_a_time_is_refused_in_the_words_of_the_option(filled: lineage.Project) -> None:
    """It would never come to an end."""
    answer = call("verify", "--max-bytes", "0")

    assert (answer.code, "'0' is too little" in answer.err) == (2, True)
