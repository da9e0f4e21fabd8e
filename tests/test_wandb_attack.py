"""What an attacker did to runs of lineage.wandb: threads, full disks, twin names, bad files, odd values, odd ends."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import lineage
from lineage import wandb
from lineage.wandb.sdk.artifacts.staging import get_staging_dir
from lineage.wandb.sdk.run_names import own_name


@pytest.fixture(autouse=True)
def _no_run_left() -> Iterator[None]:
    """End each test with no run active."""
    yield
    wandb.teardown()


def draft(name: str = "data", text: str = "one", path: str = "a.txt") -> wandb.Artifact:
    artifact = wandb.Artifact(name, "dataset")
    with artifact.new_file(path) as file:
        file.write(text)
    return artifact


def stored(run_id: str) -> lineage.Run:
    """Return a run as the project has it."""
    return lineage.open("p.lineage", create=False).run(run_id)


def begin(id: str = "run1", **words: object) -> wandb.Run:
    return wandb.init(project="p", id=id, **words)  # type: ignore[arg-type]  # the test says what it gives


def save_a_file(run_id: str, name: str) -> None:
    with begin(run_id) as run:
        Path(run.dir, name).write_text(run_id)


def artifacts() -> list[str]:
    return [record.name for record in lineage.open("p.lineage", create=False).artifacts()]


# --- parts of several runs ---


def test_a_failed_upsert_can_be_tried_again() -> None:
    """A part that could not be stored leaves the caller's draft as it was, and the next try makes the part."""
    artifact = draft("joined", "x" * 200_000)
    with begin() as run:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        try:
            with pytest.raises(lineage.StorageError):
                run.upsert_artifact(artifact, distributed_id="x")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        run.upsert_artifact(artifact, distributed_id="x")
        whole = run.finish_artifact(wandb.Artifact("joined", "dataset"), distributed_id="x")

    assert (artifact.name, sorted(whole.manifest.entries)) == ("joined", ["a.txt"])


def test_a_refused_finish_leaves_the_callers_draft() -> None:
    """Files of other runs do not stay in the draft of a finish that met a conflict."""
    with begin() as run:
        run.upsert_artifact(draft("joined", "one", "p1"), distributed_id="x")
        run.upsert_artifact(draft("joined", "two", "own"), distributed_id="x")
        own = draft("joined", "three", "own")
        with pytest.raises(ValueError):
            run.finish_artifact(own, distributed_id="x")

        assert sorted(own.manifest.entries) == ["own"]


def test_the_artifact_that_was_upserted_can_finish() -> None:
    """The object of the last part is one that the whole can be made with."""
    with begin() as run:
        run.upsert_artifact(draft("joined", "one", "p1"), distributed_id="x")
        last = run.upsert_artifact(draft("joined", "two", "p2"), distributed_id="x")

        assert sorted(run.finish_artifact(last, distributed_id="x").manifest.entries) == ["p1", "p2"]


def test_parts_of_long_names_stay_apart() -> None:
    """Two names that differ only in their middles have parts of their own."""
    first, second = ("a" * 62 + sign + "b" * 62 for sign in "xy")
    with begin() as run:
        run.upsert_artifact(draft(first, "one", "p1"), distributed_id="x")
        run.upsert_artifact(draft(second, "two", "p2"), distributed_id="x")

        whole = run.finish_artifact(wandb.Artifact(second, "dataset"), distributed_id="x")

    assert sorted(whole.manifest.entries) == ["p2"]


# --- names ---


def test_runs_of_ids_alike_keep_their_own_files() -> None:
    """Ids that differ only in what no name may hold share no files."""
    save_a_file("x y", "first")
    save_a_file("x_y", "second")

    assert [[one.name for one in wandb.Api().run(f"p/{run}").files()] for run in ("x y", "x_y")] == [
        ["first"],
        ["second"],
    ]


def test_tables_of_runs_and_keys_alike_stay_apart() -> None:
    """An id and a key that join to the same text as others are another artifact."""
    for run_id, key in (("a", "b-c"), ("a-b", "c")):
        with begin(run_id) as run:
            run.log({key: wandb.Table(columns=["v"], data=[[key]])})

    assert [len(stored(run_id).logged_artifacts("run_table")) for run_id in ("a", "a-b")] == [1, 1]


@pytest.mark.parametrize("keys", [("media-x", "x"), ("files", "x"), ("g/0", "g_0")])
def test_keys_alike_are_logged_side_by_side(keys: tuple[str, str]) -> None:
    """A table and media, or two media, whose names join to the same text are kept, each in an artifact of its own."""
    with begin() as run:
        table = wandb.Table(columns=["v"], data=[[1]])
        run.log({keys[0]: wandb.Html("a") if "/" in keys[0] else table})
        run.log({keys[1]: wandb.Html("b")})
        Path(run.dir, "file").write_text("x")

    kept = stored("run1").logged_artifacts()
    assert sorted(version.type for version in kept) == sorted(
        {version.reference: version.type for version in kept}.values()
    )
    assert len({version.name for version in kept}) == 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "table", "files"), ("a", "files", "")),
        (("a", "media", "files"), ("a-media", "files", "")),
        (("a", "table", "b-files"), ("a-b", "files", "")),
        (("a", "table", "k-12345678"), ("a-k", "table", "12345678")),
        (("a" * 125, "table", "k"), ("a" * 124 + "b", "table", "k")),
        (("a", "table", "é"), ("a", "table", "ü")),
    ],
)
def test_names_of_a_runs_artifacts_are_never_the_same(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    """Whatever ids and keys join to, two artifacts have two names."""
    assert own_name(*one) != own_name(*other)  # type: ignore[arg-type]  # the kinds are spelt above


def test_restore_finds_files_of_an_id_made_safe() -> None:
    """What a run saved comes back, also where its id is none that a name may hold."""
    Path("weights").write_text("w")
    with begin("my run+1") as run:
        run.save("weights", policy="now")
        restored = run.restore("weights", root="out")

    assert restored is not None
    with restored:
        assert restored.read() == "w"


# --- metrics ---


def test_threads_that_log_lose_nothing() -> None:
    """What several threads log with media is all there, each call at a step of its own."""
    with begin() as run:

        def work() -> None:
            for number in range(8):
                run.log({"tab": wandb.Table(columns=["n"], data=[[number]]), "loss": number})

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    rows = stored("run1").history(["loss"])
    assert [row.step for row in rows] == list(range(32))
    assert sorted(float(str(row.values["loss"])) for row in rows) == sorted([*range(8)] * 4)


@pytest.mark.parametrize("what", ["numbers", "media", "config"])
def test_a_batch_writes_a_run_that_a_thread_waits_to_write(what: str) -> None:
    """A thread that waits for its turn keeps neither the run's summary nor its artifacts from whose turn it is."""
    project = lineage.open("p.lineage", timeout=5.0)
    with begin() as run:
        table, used = wandb.Table(columns=["n"], data=[[1]]), draft("used")
        run.log({"first": table})
        calls = {
            "numbers": lambda: run.log(
                {f"m{number}": number for number in range(1_000)}
            ),  # so many are written at once
            "media": lambda: run.log({"second": table}),
            "config": lambda: run.config.update({"data": used}),
        }
        thread = threading.Thread(target=calls[what])
        with project.batch():
            thread.start()
            thread.join(0.2)  # until it waits for its turn
            run.summary["mine"] = 1
            run.log_artifact(draft("made"))
        thread.join()

    assert stored("run1").summary["mine"] == 1
    assert "made" in artifacts()


def test_threads_that_set_a_summary_lose_nothing() -> None:
    """Threads that set keys of one nested dict of the summary lose none of them."""
    with begin() as run:

        def work(name: str) -> None:
            for number in range(40):
                run.summary["tree"][f"{name}{number}"] = number

        run.summary["tree"] = {}
        threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(run.summary["tree"]) == 160


def test_a_refused_log_leaves_the_step() -> None:
    """A call that is refused takes no step, so the next one is not dropped."""
    with begin() as run:
        with pytest.raises(TypeError):
            run.log({"bad": object()}, step=1000)
        run.log({"ok": 1}, step=5)

    assert [(row.step, row.values) for row in stored("run1").history()] == [(5, {"ok": 1})]


@pytest.mark.parametrize("step", [2**62, 2**62 - 1, 2**80])
def test_a_step_that_is_too_large_is_refused(step: int) -> None:
    """A step that no other could follow is refused, and does not stand in the way of others."""
    with begin() as run:
        with pytest.raises(ValueError, match="step"):
            run.log({"loss": 1}, step=step)
        run.log({"loss": 2})

    assert [row.step for row in stored("run1").history()] == [0]


@pytest.mark.parametrize("bad", [{"bad": object()}, {"a": {"b": 1}, "a.b": 2}, {"x" * 600: 1}])
def test_a_refused_log_leaves_no_media(bad: dict[str, object]) -> None:
    """All or nothing: media beside a value that cannot be are not kept."""
    with begin() as run, pytest.raises(TypeError):
        run.log({"img": wandb.Html("x"), **bad})

    assert artifacts() == []


def test_media_of_one_call_are_kept_together_or_not_at_all() -> None:
    """Where the second media artifact cannot be logged, the first is not there either."""
    with begin() as run:
        run.log_artifact(draft("run-run1-media-two"))
        with pytest.raises(ValueError, match="type"):
            run.log({"one": wandb.Html("1"), "two": wandb.Html("2")})

    assert artifacts() == ["run-run1-media-two"]


def test_a_large_nested_log_is_linear() -> None:
    """A dict of thousands of numbers is logged in about the time of as many names at the top."""
    with begin() as run:
        began = time.perf_counter()
        run.log({"n": {str(number): number for number in range(20_000)}})

        assert time.perf_counter() - began < 10
        assert run.summary["n"]["19999"] == 19_999


def test_unchanged_media_are_no_news(caplog: pytest.LogCaptureFixture) -> None:
    """An image that stays the same is one version, and nothing is said of it at each step."""
    with begin() as run:
        for _ in range(3):
            run.log({"seg": wandb.Html("same")})

    assert [row.values["seg"]["artifact"] for row in stored("run1").history()] == ["run-run1-media-seg:v0"] * 3  # type: ignore[index,call-overload]  # a document
    assert caplog.messages == []


def test_media_that_come_back_are_no_news(caplog: pytest.LogCaptureFixture) -> None:
    """An image that was there before the last one is its old version, which latest names, without a word."""
    with begin() as run:
        for text in "aba":
            run.log({"seg": wandb.Html(text)})

    assert lineage.open("p.lineage").version("run-run1-media-seg:latest").reference == "run-run1-media-seg:v0"
    assert caplog.messages == []


def a_loop() -> dict[str, object]:
    loop: dict[str, object] = {}
    loop["d"] = loop
    return loop


def two_loops() -> dict[str, object]:
    loop: dict[str, object] = {}
    loop["d"] = loop["e"] = loop
    return loop


def a_thicket() -> list[object]:
    found: list[object] = []
    for _ in range(60):
        found = [found, found]
    return found


def a_well() -> dict[str, object]:
    found: dict[str, object] = {}
    for _ in range(100_000):
        found = {"d": found}
    return found


ENDLESS = pytest.mark.parametrize("make", [a_loop, two_loops, a_thicket, a_well])


@ENDLESS
@pytest.mark.parametrize(
    "put", [lambda run, value: run.log({"a": value}), lambda run, value: run.summary.update({"a": value})]
)
def test_a_value_without_end_is_refused(make: Callable[[], object], put: Callable[[wandb.Run, object], None]) -> None:
    """Metrics and the summary refuse at once what has no end, as TypeError."""
    with begin() as run, pytest.raises(TypeError, match="itself|deep|16 MiB"):
        put(run, make())


@ENDLESS
def test_metadata_without_end_is_refused(make: Callable[[], object]) -> None:
    """Metadata of an artifact refuses it, as TypeError."""
    with pytest.raises(TypeError, match="itself|deep|16 MiB"):
        wandb.Artifact("a", "t", metadata={"a": make()})


@pytest.mark.parametrize("make", [a_loop, two_loops, a_well])
def test_a_config_without_end_is_cut(make: Callable[[], object]) -> None:
    """A config takes anything, and what has no end as far as it goes."""
    with begin(config={"a": make()}) as run:
        run.config.update({"b": make()})

    assert "..." in str(stored("run1").config["a"])
    assert {"a", "b"} <= set(stored("run1").config)


@pytest.mark.parametrize(
    "call",
    [
        lambda run: run.log_artifact(draft()),
        lambda run: run.save("file"),
        lambda run: run.log({"a": wandb.Html("x")}),
        lambda run: run.log({str(number): number for number in range(1_001)}),
    ],
)
def test_a_bad_nested_value_does_not_keep_a_call(call: Callable[[wandb.Run], object]) -> None:
    """What was put into a nested dict behind the checks is kept as text by the call that comes to write it."""
    Path("file").write_text("x")
    with begin(config={"a": {"b": 1}}) as run:
        run.config["a"]["b"] = object()
        call(run)

        assert "object" in run.config["a"]["b"]


def test_a_config_takes_what_cannot_be_shown() -> None:
    """An object whose text cannot be made is named by its type."""

    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("no text")

    first, second = Broken(), Broken()  # kept: a key is named by its address, which a dead object gives away
    with begin(config={"a": Broken(), "b": [Broken()], first: 1}) as run:
        run.config.update({second: 2})

    assert "Broken" in str(stored("run1").config["a"])


# --- the end ---


def program(text: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own, in the folder of the test."""
    head = 'import argparse, os, sys\nimport lineage.wandb as wandb\nrun = wandb.init(project="p", id="run1")\n'
    Path("script.py").write_text(head + text, "utf-8")
    return subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, timeout=120)


def ending(run_id: str = "run1") -> tuple[str, int | None]:
    """Return how a run ended."""
    record = stored(run_id).record
    return str(record.status), record.exit_code


def test_a_bad_file_keeps_neither_the_run_nor_the_others() -> None:
    """A broken link in the run's folder is named; the run ends, and the other files are saved."""
    with begin() as run:
        Path(run.dir, "good").write_text("x")
        Path(run.dir, "bad").symlink_to("/none")

    assert ending() == ("finished", 0)
    assert [one.name for one in wandb.Api().run("p/run1").files()] == ["good"]
    assert wandb.run is None


def test_a_bad_file_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever looks at stderr learns which file is not saved."""
    with begin() as run:
        Path(run.dir, "bad").symlink_to("/none")

    assert "bad' is not saved" in capsys.readouterr().err


def test_a_linked_folder_is_saved() -> None:
    """A link to a folder gives the files in it, as a folder does."""
    Path("elsewhere").mkdir()
    Path("elsewhere/x").write_text("x")
    with begin() as run:
        Path(run.dir, "d").symlink_to(Path("elsewhere").absolute())

    assert [one.name for one in wandb.Api().run("p/run1").files()] == ["d/x"]


@pytest.mark.parametrize("where", ["config", "summary"])
def test_a_bad_nested_value_does_not_keep_a_run(where: str) -> None:
    """What was put into a nested dict behind the checks is kept as text when the run ends."""
    with begin(config={"a": {"b": 1}}) as run:
        run.summary["a"] = {"b": 1}
        getattr(run._run, where)["a"]["b"] = object()

    assert ending() == ("finished", 0)
    assert "object" in getattr(stored("run1"), where)["a"]["b"]


def test_a_config_without_room_does_not_keep_a_run() -> None:
    """Values that are too long together leave the run without the longest of them."""
    with begin() as run:
        for name in "ab":
            run.config[name] = name * (9 << 20)
        run.config["c"] = 1

    assert ending() == ("finished", 0)
    assert stored("run1").config["c"] == 1


def test_an_error_in_the_block_is_not_masked_by_the_end() -> None:
    """A run that cannot be finished, its project being gone, lets the error go on that ended the block."""
    with pytest.raises(ZeroDivisionError), begin():
        Path("p.lineage").rename("gone")
        raise ZeroDivisionError

    assert wandb.run is None


def test_a_run_that_cannot_be_finished_does_not_keep_the_next() -> None:
    """After a finish that failed, init starts a run; it does not return the dead one."""
    run = begin()
    Path("p.lineage").rename("gone")
    with pytest.raises(lineage.LineageError):
        run.finish()

    with begin("run2") as following:
        assert following.id == "run2"


def test_one_run_that_cannot_be_finished_does_not_keep_the_others() -> None:
    """The end of the program finishes every run that can be."""
    done = program('wandb.init(project="q", id="run2", reinit="create_new")\nos.rename("p.lineage", "gone")\n')

    assert "run run1 could not be finished" in done.stderr
    assert lineage.open("q.lineage").run("run2").status == "finished"


def test_a_disabled_run_leaves_no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever its folder holds, a run that is not kept leaves nothing."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with begin(mode="disabled") as run:
        Path(run.dir, "bad").symlink_to("/none")

    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("lineage")] == []


CAUGHT = "try:\n    argparse.ArgumentParser().parse_args(['--x'])\nexcept SystemExit:\n    pass\n"


def test_an_exit_that_was_caught_is_none() -> None:
    """A program that goes on after argparse wanted to exit, and logs, has finished well."""
    done = program(CAUGHT + "run.log({'a': 1})\n")

    assert (done.returncode, ending()) == (0, ("finished", 0))


def test_an_exit_that_was_caught_is_none_of_the_next_run() -> None:
    """A run that begins after it has finished well."""
    program(CAUGHT + 'wandb.init(project="p", id="run2", reinit="create_new")\n')

    assert ending("run2") == ("finished", 0)


@pytest.mark.parametrize(
    "text",
    [
        "sys.exit(3)",
        "try:\n    sys.exit(3)\nfinally:\n    run.log({'last': 1})",
        "import atexit\natexit.register(lambda: run.log({'last': 1}))\nsys.exit(3)",
    ],
)
def test_an_exit_on_its_way_is_not_forgotten(text: str) -> None:
    """What is logged while the program ends does not make it a success."""
    done = program(text + "\n")

    assert (done.returncode, ending()) == (3, ("failed", 3))


def test_an_exit_of_a_thread_is_none_of_the_program() -> None:
    """A thread that exits ends itself alone."""
    program("import threading\nt = threading.Thread(target=lambda: sys.exit(3))\nt.start()\nt.join()\n")

    assert ending() == ("finished", 0)


def test_the_hooks_go_with_the_last_run() -> None:
    """Once no run is left, sys.exit and sys.excepthook are what they were."""
    before = sys.exit, sys.excepthook
    with begin():
        during = sys.exit, sys.excepthook

    assert before == (sys.exit, sys.excepthook)
    assert before[0] is not during[0]
    assert before[1] is not during[1]


def test_an_exit_code_that_no_system_has_ends_the_run() -> None:
    """A whole number beyond 32 bits is a failure, and no error of the end."""
    program("sys.exit(2**40)\n")

    assert ending() == ("failed", 1)


# --- where it begins ---


@pytest.mark.parametrize(
    ("folder", "error"),
    [("/proc/nope", lineage.LineageError), ("afile", lineage.LineageError), ("a\0b", wandb.UsageError)],
)
def test_a_folder_that_cannot_be_is_refused_in_words(folder: str, error: type[Exception]) -> None:
    """A place where no project can lie is one of the errors a program expects, and not the system's."""
    Path("afile").write_text("")
    with pytest.raises(error):
        begin(dir=folder)


def test_a_resume_file_that_cannot_be_written_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    """The run begins all the same, and stderr says what will not work."""
    Path("wandb").write_text("in the way")
    with begin(resume=True):
        pass

    assert ending() == ("finished", 0)
    assert "resume=True will not find run run1" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"run_id": 3}', "[" * 100_000, "\x00"])
def test_a_resume_file_that_cannot_be_read_is_none(text: str) -> None:
    """What a kill or a stranger left in it stands in nobody's way."""
    Path("wandb").mkdir()
    Path("wandb/wandb-resume.json").write_text(text)
    with wandb.init(project="p", resume=True) as run:
        assert not run.resumed


def test_a_run_that_did_not_begin_is_not_resumed() -> None:
    """What the resume file named before stays there, if the next run is refused."""
    program("wandb.finish()\nwandb.init(project='p', id='mine', resume=True)\nos._exit(1)\n")
    with pytest.raises(ValueError):
        wandb.init(project="p", id="other", resume=True, tags=["x" * 100])

    with wandb.init(project="p", resume=True) as run:
        assert run.id == "mine"


def test_a_disabled_run_that_was_killed_leaves_nothing_for_long(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The next disabled run takes the folder of one that is dead away, and leaves that of one that lives."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    program("wandb.init(project='p', mode='disabled', reinit='create_new')\nos._exit(0)\n")
    (dead,) = tmp_path.glob("lineage-disabled-*")
    with begin(mode="disabled") as run, begin("other", mode="disabled", reinit="create_new"):
        assert not dead.exists()
        assert run._place.file.exists()


def test_the_staging_folder_is_this_processs_own() -> None:
    """No other user can reach it, no other process shares it, and it goes with the process."""
    first, second = (
        program("from lineage.wandb.sdk.artifacts import staging\nprint(staging.get_staging_dir())\n") for _ in "ab"
    )
    here = Path(get_staging_dir())

    assert first.stdout != second.stdout
    assert not Path(first.stdout.strip()).exists()
    assert here.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(("word", "resumes"), [("allow", "allow"), ("true", "auto"), ("1", "auto"), ("False", None)])
def test_resume_of_the_environment(monkeypatch: pytest.MonkeyPatch, word: str, resumes: str | None) -> None:
    """The variable says how, or yes or no."""
    monkeypatch.setenv("WANDB_RESUME", word)
    with begin() as run:
        assert run.settings.resume == resumes


def test_resume_of_the_environment_that_is_no_word_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A word that means nothing is refused as it is as an argument."""
    monkeypatch.setenv("WANDB_RESUME", "mustt")
    with pytest.raises(ValueError, match="mustt"):
        begin()


def test_the_end_tells_what_was_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """The last line names the first outputs, without reading them again."""
    with begin() as run:
        for number in range(7):
            run.log_artifact(draft(f"a{number}"))

    assert "a0:v0, a1:v0, a2:v0, a3:v0, a4:v0, …" in capsys.readouterr().err
