"""The demo: what its two starts leave in the project, and what they tell the reader."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import draft
from invariants import assert_store_sound

import lineage
from lineage import demo

Edges = set[tuple[str, str]]
# Guessing is right 10 times in 100; the best checkpoint was so 90 to 97 times, in 18 trainings from six seeds
SANE_ACCURACY = 0.85


@dataclass(frozen=True)
class Started:
    """A folder after two starts, and what was seen after each."""

    folder: Path
    first: list[str]
    second: list[str]
    first_edges: Edges
    best: str
    """The checkpoint that was best after the first start."""

    @property
    def project(self) -> lineage.Project:
        """The project the two starts left."""
        return lineage.open(self.folder / "iv3.lineage")


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Started:
    """Run the demo twice in a folder that is not there yet."""
    folder = tmp_path_factory.mktemp("demo") / "new" / "lineage-demo"
    first: list[str] = []
    second: list[str] = []
    demo.main(folder, first.append)
    project = lineage.open(folder / "iv3.lineage")
    edges, best = edges_of(project), project.version("iv3_trained:best").reference
    demo.main(folder, second.append)
    return Started(folder, first, second, edges, best)


@pytest.fixture
def copied(started: Started, tmp_path: Path) -> Path:
    """A copy of the folder after two starts, to go on with."""
    return Path(shutil.copytree(started.folder, tmp_path / "copy"))


def edges_of(project: lineage.Project) -> Edges:
    """Return all edges, with runs named by job type and place: ``train#1``."""
    names: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for run in project.runs():
        seen[str(run.job_type)] += 1
        names[run.id] = f"{run.job_type}#{seen[str(run.job_type)]}"
    return {(names.get(source, source), names.get(target, target)) for source, target in project.graph().edges}


def run_module(module: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a module as a program in a folder."""
    root = str(Path(lineage.__file__).parents[1])
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=folder, env={"PYTHONPATH": root}, capture_output=True, text=True)


def checkpoints(run: str, first: int) -> Edges:
    """Return the edges of a training and its five checkpoints."""
    inputs = {("iv3:v0", run), ("digits-preprocessed:v0", run)}
    return inputs | {(run, f"iv3_trained:v{number}") for number in range(first, first + 5)}


def evaluation(model: str, number: int) -> Edges:
    """Return the edges of an evaluation of a checkpoint, and of the scoring of its predictions."""
    evaluate, score = f"evaluate#{number + 1}", f"score#{number + 1}"
    return {
        (model, evaluate),
        ("digits-preprocessed:v0", evaluate),
        (evaluate, f"predictions:v{number}"),
        (evaluate, f"hardest-examples:v{number}"),
        (f"predictions:v{number}", score),
        ("digits-raw:v0", score),
        (score, f"results:v{number}"),
    }


def first_edges(best: str) -> Edges:
    """Return every edge that the first start is to make."""
    inferences: Edges = set()
    for number in range(3):
        run = f"inference#{number + 1}"
        inferences |= {
            ("iv3_trained:v2", run),
            ("digits-preprocessed:v0", run),
            (run, f"noisy-predictions:v{number}"),
        }
    return {
        ("load#1", "digits-raw:v0"),
        ("digits-raw:v0", "preprocess-data#1"),
        ("preprocess-data#1", "digits-preprocessed:v0"),
        ("initialise#1", "iv3:v0"),
        *checkpoints("train#1", 0),
        *evaluation("iv3_trained:v0", 0),
        *evaluation(best, 1),
        *inferences,
    }


class TestGraph:
    def test_main_first_start_makes_exactly_the_pipeline_s_edges(self, started: Started) -> None:
        """Every step consumes and produces what the pipeline says, and nothing else."""
        assert started.first_edges == first_edges(started.best)

    def test_main_second_start_adds_exactly_a_training_and_its_evaluation(self, started: Started) -> None:
        """The second start consumes the same data, and produces only what the next learning rate brings."""
        again = {
            ("digits-raw:v0", "preprocess-data#2"),
            *checkpoints("train#2", 5),
            *evaluation(started.project.version("iv3_trained:best").reference, 2),
        }

        assert edges_of(started.project) - started.first_edges == again

    def test_used_by_of_the_fixed_checkpoint_lists_the_three_inferences(self, started: Started) -> None:
        """Only the three inference runs consumed iv3_trained:v2, oldest first."""
        runs = started.project.version("iv3_trained:v2").used_by()

        assert [(run.job_type, run.config["noise"]) for run in runs] == [
            ("inference", 0.1),
            ("inference", 0.2),
            ("inference", 0.4),
        ]

    def test_ancestors_of_a_checkpoint_reach_the_raw_digits(self, started: Started) -> None:
        """Upstream of a checkpoint lie its training, both inputs, and all that made them."""
        found = started.project.ancestors("iv3_trained:v2")

        assert [node.type for node in found if node.kind == "run"] == ["train", "preprocess-data", "initialise", "load"]
        assert {node.id for node in found if node.kind == "version"} == {
            "iv3:v0",
            "digits-preprocessed:v0",
            "digits-raw:v0",
        }

    def test_verify_after_two_starts_finds_nothing(self, started: Started) -> None:
        """The project is sound: rows, edges, and every stored byte."""
        assert started.project.verify().problems == ()
        assert_store_sound(started.project)


class TestContent:
    def test_main_two_starts_make_the_expected_numbers_of_versions(self, started: Started) -> None:
        """Two starts leave two trainings' checkpoints, three evaluations, and one version of what is unchanged."""
        assert {one.name: one.version_count for one in started.project.artifacts()} == {
            "digits-preprocessed": 1,
            "digits-raw": 1,
            "hardest-examples": 3,
            "iv3": 1,
            "iv3_trained": 10,
            "noisy-predictions": 3,
            "predictions": 3,
            "results": 3,
        }

    def test_main_two_starts_make_the_expected_numbers_of_runs(self, started: Started) -> None:
        """All runs finished, and each step has a job type of its own."""
        assert Counter((run.job_type, str(run.status)) for run in started.project.runs()) == {
            ("load", "finished"): 2,
            ("preprocess-data", "finished"): 2,
            ("initialise", "finished"): 2,
            ("train", "finished"): 2,
            ("evaluate", "finished"): 3,
            ("score", "finished"): 3,
            ("inference", "finished"): 3,
        }

    def test_load_and_log_splits_all_digits(self, started: Started) -> None:
        """The raw artifact holds 1,797 images in three splits, two files each."""
        raw = started.project.version("digits-raw:v0")

        assert raw.metadata["sizes"] == {"train": 1200, "validation": 297, "test": 300}
        assert [entry.path for entry in raw.files()] == [
            f"{split}/{part}.npy" for split in ("test", "train", "validation") for part in ("images", "labels")
        ]

    def test_preprocess_and_log_keeps_its_steps_as_metadata(self, started: Started) -> None:
        """What was done to the raw digits stands in the metadata of the result."""
        assert started.project.version("digits-preprocessed").metadata == {
            "steps": {"normalise": True, "flatten": True}
        }

    def test_train_and_log_keeps_config_and_metrics_of_each_epoch(self, started: Started) -> None:
        """The training run has its config, and loss and accuracy on two splits for each of five epochs."""
        run = started.project.runs(job_type="train")[0]

        assert run.config == {
            "lr": 0.02,
            "momentum": 0.9,
            "batch_size": 32,
            "epochs": 5,
            "frozen_epochs": 2,
            "seed": demo.SEED,
        }
        assert [row.step for row in run.history()] == [1, 2, 3, 4, 5]
        assert {frozenset(row.values) for row in run.history()} == {
            frozenset({"train.loss", "train.accuracy", "validation.loss", "validation.accuracy"})
        }

    def test_train_and_log_frozen_stem_shares_its_bytes(self, started: Started) -> None:
        """The first two checkpoints of each training hold the very bytes of the initial stem."""
        project = started.project
        digest = project.version("iv3:v0").entry("stem/weight.npy").digest
        assert digest is not None

        assert [place.reference for place in project.whereis(digest)] == [
            "iv3:v0",
            "iv3_trained:v0",
            "iv3_trained:v1",
            "iv3_trained:v5",
            "iv3_trained:v6",
        ]

    def test_train_and_log_best_names_the_checkpoint_of_the_highest_accuracy(self, started: Started) -> None:
        """After both starts, best is on the checkpoint that reads most validation images rightly."""
        versions = started.project.versions(artifact="iv3_trained", order="-metadata.validation.accuracy")

        assert "best" in versions[0].aliases

    def test_train_and_log_baseline_names_the_very_first_checkpoint(self, started: Started) -> None:
        """Baseline stays where the first start put it, and latest goes on with the second."""
        assert started.project.version("iv3_trained:baseline").reference == "iv3_trained:v0"
        assert started.project.version("iv3_trained:latest").reference == "iv3_trained:v9"

    def test_evaluate_and_log_best_reads_well_beyond_guessing(self, started: Started) -> None:
        """On images it never saw, the best checkpoint is right in more than 85 of 100."""
        (run,) = started.project.runs(job_type="evaluate", consumed="iv3_trained:best")

        accuracy = run.summary["accuracy"]
        assert isinstance(accuracy, float)
        assert accuracy > SANE_ACCURACY

    def test_score_and_log_agrees_with_the_evaluation(self, started: Started) -> None:
        """Scoring the predictions alone comes to the accuracy the evaluation measured with the model."""
        project = started.project
        for score in project.runs(job_type="score"):
            (predictions,) = score.used_artifacts("predictions")
            evaluation = predictions.logged_by()
            assert evaluation is not None

            assert score.summary["accuracy"] == evaluation.summary["accuracy"]

    def test_score_and_log_counts_every_test_image_once(self, started: Started) -> None:
        """The confusion table adds up to the 300 test images."""
        with started.project.version("results:v0").open("confusion.json", "r") as file:
            table = json.load(file)["counts"]

        assert sum(map(sum, table)) == 300

    def test_evaluate_and_log_hardest_examples_are_32_pictures_by_falling_loss(self, started: Started) -> None:
        """The list names 32 pictures that are there, the highest loss first."""
        hardest = started.project.version("hardest-examples:latest")
        with hardest.open("examples.json", "r") as file:
            listed = json.load(file)

        assert [one["image"] for one in listed] == [f"images/{rank:02}.pgm" for rank in range(1, 33)]
        assert [one["image"] for one in listed] == [entry.path for entry in hardest.files() if "images/" in entry.path]
        assert [one["loss"] for one in listed] == sorted((one["loss"] for one in listed), reverse=True)

    def test_evaluate_and_log_pictures_are_portable_graymaps(self, started: Started) -> None:
        """A picture is a PGM of 64 by 64 pixels, a byte each."""
        with started.project.version("hardest-examples:latest").open("images/01.pgm") as file:
            header, pixels = file.read().split(b"\n", 1)

        assert header == b"P5 64 64 255"
        assert len(pixels) == 64 * 64


class TestSecondStart:
    @pytest.mark.parametrize("name", ["digits-raw", "digits-preprocessed", "iv3"])
    def test_main_unchanged_content_is_noted_as_reproduced(self, started: Started, name: str) -> None:
        """What comes back unchanged stays the version it was, reproduced by the second start's run."""
        project = started.project
        version = project.version(name)

        producer = version.logged_by()
        assert producer is not None
        assert version.reference == f"{name}:v0"
        assert version.reproduced_by() == list(project.runs(job_type=producer.job_type))[1:]

    def test_main_trains_with_the_next_learning_rate(self, started: Started) -> None:
        """Between a checkpoint of the first start and one of the second, only the learning rate differs."""
        found = started.project.diff("iv3_trained:v4", "iv3_trained:v9")

        assert dict(found.config) == {"lr": lineage.Change(0.02, 0.05)}
        assert found.upstream == {}

    def test_main_says_what_came_back(self, started: Started) -> None:
        """A line names the versions that were used again; the first start has none."""
        said = " ".join(started.second)

        assert "digits-raw:v0, digits-preprocessed:v0, iv3:v0 came back" in said
        assert "came back" not in " ".join(started.first)

    def test_train_and_log_with_a_rate_tried_before_reproduces_every_checkpoint(self, copied: Path) -> None:
        """Training is deterministic on one machine: the same rate gives the same five versions."""
        project = lineage.open(copied / "iv3.lineage")

        run = demo.train_and_log(project, demo.LEARNING_RATES[0]).run

        assert run.logged_artifacts() == []
        assert [one.reference for one in project.run(run.id).reproduced()] == [f"iv3_trained:v{n}" for n in range(5)]

    def test_train_and_log_reproduced_checkpoints_leave_best_alone(self, copied: Path, started: Started) -> None:
        """A checkpoint that is no better than the best does not take its alias."""
        project = lineage.open(copied / "iv3.lineage")

        demo.train_and_log(project, demo.LEARNING_RATES[0])

        best = started.project.version("iv3_trained:best").reference
        assert project.version("iv3_trained:best").reference == best

    def test_main_after_an_interrupted_start_makes_what_is_missing(self, tmp_path: Path, started: Started) -> None:
        """A start cut off before its evaluations is made up for by the next one."""

        def interrupt(line: str) -> None:
            if "train" in line:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            demo.main(tmp_path, interrupt)
        demo.main(tmp_path, lambda _: None)

        project = lineage.open(tmp_path / "iv3.lineage")
        assert len(project.runs(job_type="evaluate")) == len(project.runs(job_type="score")) == 2
        assert len(project.version("iv3_trained:v2").used_by()) == len(demo.NOISE_LEVELS)

    def test_main_known_content_leaves_the_log_quiet(self, copied: Path, caplog: pytest.LogCaptureFixture) -> None:
        """The library's warning about known content is held back, and its logger is as before afterwards."""
        before = logging.getLogger("lineage").level

        demo.load_and_log(lineage.open(copied / "iv3.lineage"))

        assert caplog.records == []
        assert logging.getLogger("lineage").level == before


class TestText:
    def test_main_fits_a_terminal_of_80_columns(self, started: Started) -> None:
        """No line is wider than 80 columns, or ends in blanks, and a start is read in one go."""
        for lines in (started.first, started.second):
            ours = [line for line in lines if str(started.folder) not in line]  # a path is as long as it is

            assert [line for line in ours if len(line) > 80 or line != line.rstrip() or "\n" in line] == []
            assert len(lines) <= 75

    def test_main_names_the_runs_that_consumed_the_fixed_checkpoint(self, started: Started) -> None:
        """Each run that consumed iv3_trained:v2 is a line with its noise and its accuracy."""
        for run in started.project.version("iv3_trained:v2").used_by():
            (line,) = [line for line in started.first if run.name in line]

            assert line.split()[1:4] == ["inference", "noise", str(run.config["noise"])]

    def test_main_draws_what_is_upstream(self, started: Started) -> None:
        """The tree under the fixed checkpoint ends at the raw digits and at the initial network."""
        text = "\n".join(started.first)

        assert "iv3_trained:v2 (model)\n" in text
        assert "── digits-raw:v0 (dataset)\n" in text
        assert "── iv3:v0 (model)\n" in text

    def test_main_tells_what_differs(self, started: Started) -> None:
        """Files, metadata and config of two checkpoints stand side by side."""
        text = "\n".join(started.second)

        assert "files     head/bias.npy, head/weight.npy, stem/bias.npy, stem/weight.npy" in text
        assert "config    lr                   0.02 -> 0.05" in text

    def test_main_first_start_says_that_the_config_is_the_same(self, started: Started) -> None:
        """Two checkpoints of one run have one config, and the reader is told."""
        assert "      config    the same: one run made both" in started.first

    def test_main_shows_the_collapsed_graph(self, started: Started) -> None:
        """Each artifact stands between the job types that made it and those that use it."""
        assert "      train            iv3_trained (5)          evaluate, inference" in started.first

    def test_main_counts_how_often_content_is_used_again(self, started: Started) -> None:
        """The last sentence counts files and contents as the project does now."""
        (total,) = started.project.sql("SELECT count(*) AS files, count(DISTINCT digest) AS contents FROM files")

        assert f"All {total['files']} files of the 25 versions are {total['contents']} contents." in " ".join(
            line.strip() for line in started.second
        )

    def test_main_python_it_shows_answers(self, started: Started) -> None:
        """Every Python line that the text shows can be typed in as it stands."""
        names: dict[str, object] = {"lineage": lineage, "project": started.project}
        shown = [line.strip().removeprefix(">>> ") for line in started.first if ">>>" in line]
        typed = [line.replace('"iv3.lineage"', repr(str(started.folder / "iv3.lineage"))) for line in shown]

        for line in typed:
            exec(compile(line, "<demo>", "single"), names)

        assert len(typed) == 7

    def test_main_shell_lines_it_shows_answer(self, started: Started) -> None:
        """Every command that the text shows, but for the demo itself, can be typed in that folder."""
        shown = [line.split("$ ")[1].split("  ")[0] for line in started.first if line.startswith("  $ ")]
        commands = [line.rpartition("&& ")[2].split() for line in shown if "lineage demo" not in line]
        assert [command[1] for command in commands] == ["up", "ls", "show", "up"]

        for command in commands:
            done = run_module("lineage", *command[1:], folder=started.folder)

            assert (done.returncode, done.stderr) == (0, "")
            assert done.stdout

    def test_command_demo_prints_what_main_tells(self, tmp_path: Path) -> None:
        """``lineage demo`` is this demo: its lines, empty ones too, go to stdout as they are."""
        done = run_module("lineage", "demo", "place", folder=tmp_path)

        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines()[:5] == [
            demo.TITLE,
            "=" * len(demo.TITLE),
            demo.INTRODUCTION,
            "All of it is kept in place/iv3.lineage.",
            "",
        ]

    def test_module_as_a_program_takes_a_folder(self, tmp_path: Path) -> None:
        """``python -m lineage.demo FOLDER`` runs it there, and writes nothing to stderr."""
        done = run_module("lineage.demo", "place", folder=tmp_path)

        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("lineage demo")
        assert (tmp_path / "place" / "iv3.lineage").is_file()


class TestErrors:
    @pytest.mark.parametrize("package", ["sklearn", "numpy"])
    def test_main_without_the_extra_names_it_and_makes_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
    ) -> None:
        """Where scikit-learn is missing, the error says what to install, and no folder appears."""
        monkeypatch.setitem(sys.modules, package, None)

        with pytest.raises(lineage.NotFoundError, match=r"pip install '\.\[demo\]'"):
            demo.main(tmp_path / "demo")

        assert not (tmp_path / "demo").exists()

    def test_main_in_a_folder_with_another_project_leaves_it_alone(self, tmp_path: Path) -> None:
        """An iv3.lineage that holds somebody's own artifacts is refused, unchanged."""
        project = lineage.open(tmp_path / "iv3.lineage")
        project.log_artifact(draft("mine", {"a.txt": "a"}))

        with pytest.raises(lineage.ConflictError, match="choose another folder"):
            demo.main(tmp_path)

        assert [one.name for one in project.artifacts()] == ["mine"]
        assert len(project.runs()) == 0

    def test_main_folder_that_is_a_file_is_a_storage_error(self, tmp_path: Path) -> None:
        """A file in the folder's place is named in the error."""
        (tmp_path / "taken").write_text("")

        with pytest.raises(lineage.StorageError, match="taken"):
            demo.main(tmp_path / "taken")
