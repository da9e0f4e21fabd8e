"""What the two documents that lineage grew from promise: the Artifacts tutorial (A) and the Model Versioning guide (B).

Each test names the claim it shows.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from conftest import draft

import lineage
from lineage import demo, exports


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> lineage.Project:
    """The project that one start of the demo leaves."""
    folder = tmp_path_factory.mktemp("seeds")
    demo.main(folder, lambda _: None)
    return lineage.open(folder / "iv3.lineage")


def log(
    where: lineage.Project | lineage.ActiveRun, name: str, files: dict[str, str | bytes] | None = None, **words: Any
) -> lineage.Version:
    """Log a draft; `aliases` and `tags` go to the log, all else to the draft."""
    to_log = {word: words.pop(word) for word in ("aliases", "tags") if word in words}
    made = draft(name, {"f.txt": name} if files is None else files, **words)
    version: lineage.Version = where.log_artifact(made, **to_log)
    return version


def step(
    project: lineage.Project,
    job_type: str,
    name: str,
    *inputs: str,
    config: dict[str, object] | None = None,
    **words: Any,
) -> lineage.Version:
    """Do a run that consumes versions and produces one."""
    with project.start_run(job_type, config=config, use=inputs) as run:
        return log(run, name, **words)


def references(versions: Any) -> list[str]:
    """Return the references of versions."""
    return [version.reference for version in versions]


class TestWalk:
    def test_walk_from_the_best_score_to_the_training_takes_eight_calls(self, pipeline: lineage.Project) -> None:
        """B56: best run, its inputs, the predictions, their run, the model, its training, evaluations, outputs."""
        project = lineage.open(pipeline.file)  # 1

        best = project.runs(job_type="score", order="-summary.accuracy")[0]  # 2
        (predictions,) = best.used_artifacts("predictions")  # 3
        maker = predictions.logged_by()  # 4
        assert maker is not None
        (model,) = maker.used_artifacts("model")  # 5
        training = model.logged_by()  # 6
        assert training is not None
        evaluations = model.used_by()  # 7
        outputs = training.logged_artifacts()  # 8

        assert model == project.version("iv3_trained:best")
        assert (training.job_type, training.config["lr"]) == ("train", 0.02)
        assert maker in evaluations
        assert references(outputs) == [f"iv3_trained:v{number}" for number in range(5)]

    def test_evaluate_extracts_the_32_examples_of_the_highest_loss(self, pipeline: lineage.Project) -> None:
        """A61: the evaluation logs the 32 examples that the network finds hardest."""
        hardest = pipeline.version("hardest-examples")

        assert sum(entry.path.endswith(".pgm") for entry in hardest.files()) == 32

    def test_evaluate_consumes_model_and_data(self, pipeline: lineage.Project) -> None:
        """A60: one run trains, another evaluates, and consumes the trained model beside the test data."""
        run = pipeline.runs(job_type="evaluate")[0]

        assert sorted(version.type for version in run.used_artifacts()) == ["dataset", "model"]

    def test_runs_consumed_the_checkpoint_with_the_test_data(self, pipeline: lineage.Project) -> None:
        """B30: several inference runs loaded iv3_trained:v2, each together with the same version of the data."""
        runs = pipeline.runs(consumed="iv3_trained:v2", job_type="inference")

        assert [references(run.used_artifacts("dataset")) for run in runs] == [["digits-preprocessed:v0"]] * 3


class TestArtifact:
    def test_artifact_without_project_or_run_can_be_built(self) -> None:
        """A14: an artifact is made before there is a run, or even a project."""
        artifact = lineage.Artifact("mnist-raw", "dataset")

        assert (artifact.name, artifact.type) == ("mnist-raw", "dataset")

    @pytest.mark.parametrize("name", ["mnist-raw", "iv3_trained", "cnn_5conv_2fc", "ppo_lr_3e4_lmda_0.95_y_0.97"])
    def test_artifact_name_of_the_documents_is_accepted(self, name: str) -> None:
        """A22, B25: names have hyphens, underscores, dots and digits, as variables and hyper-parameters do."""
        assert lineage.Artifact(name, "model").name == name

    def test_log_artifact_bundles_files_under_a_name_and_a_type(self, project: lineage.Project) -> None:
        """A1, A28, B11: an artifact is a named, typed, versioned bundle of several files."""
        version = log(project, "mnist-raw", {"train.bin": "1", "test.bin": "2"}, type="dataset")

        assert (version.reference, version.type) == ("mnist-raw:v0", "dataset")
        assert [entry.path for entry in version.files()] == ["test.bin", "train.bin"]

    def test_log_artifact_with_another_type_is_refused(self, project: lineage.Project) -> None:
        """A23: a name has one type."""
        log(project, "mnist-raw", type="dataset")

        with pytest.raises(lineage.InvalidInputError, match="'dataset'"):
            log(project, "mnist-raw", type="model")

    def test_types_of_any_text_are_listed(self, project: lineage.Project) -> None:
        """A2, A24: a type is free text; those there are can be asked for."""
        for name, type in (("a", "dataset"), ("b", "model"), ("c", "stacked_lstm")):
            log(project, name, type=type)

        assert project.types() == ["dataset", "model", "stacked_lstm"]

    def test_artifact_description_and_metadata_stay_with_the_version(self, project: lineage.Project) -> None:
        """A25, B28: words and a dict of data can be added when the artifact is made."""
        version = log(project, "iv3", description="before training", metadata={"lr": 3e-4})

        assert (version.description, version.metadata) == ("before training", {"lr": 3e-4})

    def test_artifact_metadata_that_is_no_json_is_refused(self) -> None:
        """A26: metadata must be JSON, and the error names the key that is not."""
        with pytest.raises(lineage.InvalidInputError, match="thing"):
            lineage.Artifact("iv3", "model", metadata={"thing": object()})

    def test_artifact_metadata_may_be_large_and_nested(self, project: lineage.Project) -> None:
        """A27: metadata may be as detailed as one likes: nested, and of more than 100 keys."""
        metadata = {f"layer{number}": {"units": number, "name": "x" * 1000} for number in range(300)}

        assert log(project, "iv3", metadata=metadata).metadata == metadata

    def test_artifact_metadata_tuples_come_back_as_lists(self, project: lineage.Project) -> None:
        """A39: preprocessing steps go into metadata, and come back as plain JSON."""
        version = log(project, "mnist-preprocess", metadata={"steps": {"normalize": True, "shape": (28, 28)}})

        assert version.metadata == {"steps": {"normalize": True, "shape": [28, 28]}}


class TestFiles:
    def test_new_file_writes_text_and_bytes(self, project: lineage.Project) -> None:
        """A31: new_file writes and attaches in one step, text or binary."""
        artifact = lineage.Artifact("iv3", "model")
        with artifact.new_file("notes.txt") as text:
            text.write("grüße")
        with artifact.new_file("weights.bin", mode="wb") as binary:
            binary.write(b"\x00\x01")

        version = project.log_artifact(artifact)

        assert version is not None
        assert version.open("notes.txt", "r").read() == "grüße"
        assert version.open("weights.bin").read() == b"\x00\x01"

    def test_add_file_keeps_what_the_file_was_when_added(self, project: lineage.Project, tmp_path: Path) -> None:
        """A32, A57: a file is written first and added afterwards; what happens to it then does no harm."""
        weights = tmp_path / "weights.bin"
        weights.write_bytes(b"trained")
        artifact = lineage.Artifact("iv3", "model")
        artifact.add_file(weights)
        weights.write_bytes(b"edited!")

        version = project.log_artifact(artifact)

        assert version is not None
        assert version.open("weights.bin").read() == b"trained"

    def test_add_file_in_sub_folders_makes_a_directory(self, project: lineage.Project) -> None:
        """A29: an artifact is like a directory with files and sub-directories."""
        version = log(project, "mnist", {"train/x.npy": "x", "train/y.npy": "y", "readme": "z"})

        assert [entry.path for entry in version.files()] == ["readme", "train/x.npy", "train/y.npy"]

    def test_new_file_where_a_folder_is_is_refused(self) -> None:
        """A29: one path is not both a file and a folder."""
        with pytest.raises(lineage.InvalidInputError, match="both a file and a folder"):
            draft("mnist", {"train/x.npy": "x", "train": "y"})

    def test_log_artifact_one_file_changed_stores_only_that(self, project: lineage.Project) -> None:
        """A30, B13: contents split over files are shared; a version costs what changed."""
        log(project, "iv3", {"stem": "s" * 1000, "head": "1"})
        log(project, "iv3", {"stem": "s" * 1000, "head": "2"})

        assert project.verify().bytes == 1002

    def test_log_artifact_freezes_the_draft(self, project: lineage.Project) -> None:
        """A33: after the log the content is final."""
        artifact = draft("iv3", {"w": "1"})
        project.log_artifact(artifact)

        with pytest.raises(lineage.StateError, match="new_draft"):
            artifact.remove("w")

    def test_log_artifact_takes_a_folder_of_any_format(self, project: lineage.Project, tmp_path: Path) -> None:
        """B9: a model is logged as a directory, whatever its files are."""
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "weights.anything").write_bytes(b"w")

        version = project.log_artifact(tmp_path / "model", name="iv3", type="model")

        assert version is not None
        assert [entry.path for entry in version.files()] == ["weights.anything"]

    def test_log_artifact_takes_a_file(self, project: lineage.Project, tmp_path: Path) -> None:
        """B9: a model is logged as one file."""
        (tmp_path / "iv3.onnx").write_bytes(b"w")

        version = project.log_artifact(tmp_path / "iv3.onnx", name="iv3", type="model")

        assert version is not None
        assert version.entry("iv3.onnx").size == 1

    def test_add_reference_copies_nothing(self, project: lineage.Project, tmp_path: Path) -> None:
        """B10: data can be tracked by where it is, and none of its bytes are stored."""
        (tmp_path / "large.bin").write_bytes(b"x" * 100_000)
        artifact = lineage.Artifact("inat", "dataset")
        artifact.add_reference((tmp_path / "large.bin").as_uri())

        version = project.log_artifact(artifact)

        assert version is not None
        assert (version.size, project.verify().bytes) == (100_000, 0)

    def test_add_reference_of_any_scheme_is_tracked_by_its_uri(self, project: lineage.Project) -> None:
        """B8: storage that lineage cannot read is tracked all the same."""
        artifact = lineage.Artifact("inat", "dataset")
        artifact.add_reference("ourstore://inat/10", name="inat_10")

        version = project.log_artifact(artifact)

        assert version is not None
        assert version.entry("inat_10").uri == "ourstore://inat/10"


class TestRun:
    def test_run_as_a_thin_wrapper_takes_a_block_and_three_calls(self, project: lineage.Project) -> None:
        """A12, A13, A15, A62: tracking is a block around the work: start, use, new file, log."""
        log(project, "mnist-raw", {"x": "2"})

        with project.start_run(job_type="preprocess-data") as run:
            raw = run.use_artifact("mnist-raw:latest")
            ready = lineage.Artifact("mnist-preprocess", type="dataset")
            with ready.new_file("x") as file:
                file.write(str(int(raw.open("x", "r").read()) / 255))
            run.log_artifact(ready)

        assert project.runs()[0].status == "finished"

    def test_log_artifact_of_a_run_makes_a_produced_edge(self, project: lineage.Project) -> None:
        """A5: an artifact is logged as the output of a run."""
        version = step(project, "load", "mnist-raw")

        producer = version.logged_by()
        assert producer is not None
        assert producer.job_type == "load"

    def test_use_artifact_makes_a_consumed_edge(self, project: lineage.Project) -> None:
        """A6: an artifact is used as the input of a run."""
        version = log(project, "mnist-raw")

        with project.start_run("train") as run:
            run.use_artifact(version)

        assert [user.id for user in version.used_by()] == [run.id]

    def test_run_has_artifacts_as_inputs_and_as_outputs(self, project: lineage.Project) -> None:
        """A7, A36, A37, A50: a run may take a dataset and yield a model, and tells both."""
        log(project, "mnist", type="dataset")
        step(project, "train", "iv3", "mnist", type="model")

        run = project.runs(job_type="train")[0]

        assert (references(run.used_artifacts()), references(run.logged_artifacts())) == (["mnist:v0"], ["iv3:v0"])

    def test_runs_by_job_type_are_told_apart(self, project: lineage.Project) -> None:
        """A20, A38: each step of a pipeline is a kind of its own."""
        step(project, "load", "mnist-raw")
        step(project, "preprocess-data", "mnist", "mnist-raw")

        assert project.job_types() == ["load", "preprocess-data"]
        assert len(project.runs(job_type="preprocess-data")) == 1

    def test_run_config_is_read_as_attributes_and_as_a_dict(self, project: lineage.Project) -> None:
        """A55, A56: hyper-parameters are attributes of config, whose dict makes good metadata."""
        with project.start_run("train", config={"lr": 0.1, "layers": (32, 64)}) as run:
            run.config.epochs = 5
            version = log(run, "iv3", metadata=dict(run.config))

        assert (run.config.lr, run.config["epochs"]) == (0.1, 5)
        assert version.metadata == {"lr": 0.1, "layers": [32, 64], "epochs": 5}

    def test_run_keeps_code_and_environment(self, project: lineage.Project) -> None:
        """A40, B20, B50: what a version was made with is known: command, Python, packages."""
        run = step(project, "train", "iv3").logged_by()

        assert run is not None
        assert run.record.code["command"]
        assert run.record.environment["python"] == ".".join(map(str, sys.version_info[:3]))

    def test_run_keeps_who_and_where(self, project: lineage.Project) -> None:
        """B40: a run knows the user and the host it ran on."""
        step(project, "train", "iv3")

        record = project.runs()[0].record

        assert record.host == socket.gethostname()
        assert record.user

    def test_run_name_with_spaces_is_found(self, project: lineage.Project) -> None:
        """B31: runs have names for people."""
        with project.start_run("train", name="train beyond roads iou 0.48"):
            pass

        assert project.run("train beyond roads iou 0.48").job_type == "train"

    def test_many_runs_leave_no_files_of_their_own(self, project: lineage.Project) -> None:
        """A16, A17, A18: a project is one file, however many runs share its artifacts."""
        log(project, "mnist")
        before = sorted(project.file.parent.iterdir())
        for _ in range(20):
            with project.start_run("train", use=["mnist"]):
                pass

        assert sorted(project.file.parent.iterdir()) == before
        assert len(project.runs(consumed="mnist:v0")) == 20

    def test_log_and_use_need_no_network(self, project: lineage.Project, monkeypatch: pytest.MonkeyPatch) -> None:
        """A4: tracking is cheap enough to leave on: no server, no account, no socket."""

        def refuse(*_: object, **__: object) -> None:
            raise AssertionError

        monkeypatch.setattr(socket, "socket", refuse)
        step(project, "load", "mnist")

        assert project.version("mnist").open("f.txt").read() == b"mnist"

    def test_import_loads_no_framework(self) -> None:
        """A10: it works with every framework and with plain Python, since it imports none."""
        program = "import sys, lineage; print({'numpy', 'torch', 'tensorflow', 'sklearn'} & set(sys.modules))"
        root = str(Path(lineage.__file__).parents[1])

        done = subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": root}, capture_output=True, text=True)

        assert done.stdout == "set()\n"


class TestReference:
    def test_log_artifact_latest_is_on_the_newest(self, project: lineage.Project) -> None:
        """A43, B12: the same name logged again is a new version, and latest names it."""
        log(project, "mnist", {"x": "1"})
        log(project, "mnist", {"x": "2"})

        assert project.version("mnist").reference == project.version("mnist:latest").reference == "mnist:v1"

    def test_log_artifact_same_content_is_the_same_version(self, project: lineage.Project) -> None:
        """B12: only new content makes a version."""
        log(project, "mnist", {"x": "1"})

        assert log(project, "mnist", {"x": "1"}).reference == "mnist:v0"
        assert len(project.versions(artifact="mnist")) == 1

    @pytest.mark.parametrize("reference", ["iv3:v0", "iv3:best", "iv3:jit-script"])
    def test_version_by_number_or_alias_is_the_one_meant(self, project: lineage.Project, reference: str) -> None:
        """A42, A44, A45, A46: a name and what follows the colon, a number or an alias, name one version."""
        log(project, "iv3", {"w": "1"}, aliases=["best", "jit-script"])
        log(project, "iv3", {"w": "2"})

        assert project.version(reference).reference == "iv3:v0"

    def test_add_alias_moves_it_from_the_version_that_had_it(self, project: lineage.Project) -> None:
        """A47, B14, B41: an alias names one version at a time, and can be set later."""
        old, new = log(project, "iv3", {"w": "1"}, aliases=["best"]), log(project, "iv3", {"w": "2"})

        new.add_alias("best")

        assert (old.refresh().aliases, new.aliases) == ((), ("best", "latest"))

    def test_alias_history_tells_every_move(self, project: lineage.Project) -> None:
        """B57: what an alias named before is not forgotten."""
        log(project, "iv3", {"w": "1"}, aliases=["best"])
        log(project, "iv3", {"w": "2"}, aliases=["best"])

        moves = [(event.moved_from, event.moved_to) for event in project.alias_history("iv3:best")]

        assert moves == [(None, "iv3:v0"), ("iv3:v0", "iv3:v1")]

    def test_versions_of_an_alias_are_found_over_all_artifacts(self, project: lineage.Project) -> None:
        """B46: all that is ready for production is one question."""
        log(project, "iv3", aliases=["prod_ready"])
        log(project, "bert", aliases=["prod_ready"])
        log(project, "draft")

        assert references(project.versions(alias="prod_ready")) == ["iv3:v0", "bert:v0"]

    def test_version_by_alias_and_by_number_is_one_copy(self, project: lineage.Project) -> None:
        """B45: whoever refers to a model by alias or by number gets the same bytes."""
        log(project, "iv3", aliases=["production"])

        assert project.version("iv3:production") == project.version("iv3:v0")

    @pytest.mark.parametrize(
        "where", [{"type": "model"}, {"aliases": "best"}, {"tags": "fine-tuned"}, {"metadata.iou": {"$gt": 0.4}}]
    )
    def test_versions_are_found_by_what_is_said_of_them(
        self, project: lineage.Project, where: dict[str, object]
    ) -> None:
        """A3, B5, B54: versions are catalogued by type, alias, tag and metadata."""
        log(project, "mnist", type="dataset", metadata={"iou": 0.1})
        log(project, "iv3", type="model", metadata={"iou": 0.48}, aliases=["best"], tags=["fine-tuned"])

        assert references(project.versions(where)) == ["iv3:v0"]

    def test_log_artifact_under_a_new_name_starts_a_branch(self, project: lineage.Project) -> None:
        """B3, B24: a new idea is a new name, perhaps a new type, with numbers of its own."""
        log(project, "iv3", type="cnn_model")

        assert log(project, "iv3-rnn", {"w": "1"}, type="rnn_model").reference == "iv3-rnn:v0"

    def test_versions_of_a_name_are_in_the_order_of_logging(self, project: lineage.Project) -> None:
        """B13, B22, B49: the versions of a name are successive checkpoints."""
        with project.start_run("train") as run:
            for epoch in range(3):
                log(run, "iv3", {"w": str(epoch)})

        assert references(project.versions(artifact="iv3")) == ["iv3:v0", "iv3:v1", "iv3:v2"]

    def test_rename_artifact_keeps_numbers_and_history(self, project: lineage.Project) -> None:
        """B19: a name can change while the development history stays."""
        step(project, "train", "iv3", aliases=["best"])

        project.rename_artifact("iv3", "inceptionV3")

        version = project.version("inceptionV3:best")
        assert version.reference == "inceptionV3:v0"
        assert [node.type for node in version.ancestors()] == ["train"]

    def test_update_of_a_version_leaves_its_content_alone(self, project: lineage.Project) -> None:
        """B19, B26, B29: notes, tags and metadata can be written on any version, whose digest stays."""
        version = log(project, "iv3")
        digest = version.digest

        version.update(description="the good one", tags=["reviewed"], metadata={"iou": 0.48})

        again = project.version("iv3:v0")
        assert (again.description, again.tags, again.metadata) == ("the good one", ("reviewed",), {"iou": 0.48})
        assert (again.digest, len(project.versions())) == (digest, 1)

    def test_log_artifact_only_if_better_keeps_latest_on_the_best(self, project: lineage.Project) -> None:
        """B44: only what beats the best so far is stored, so that latest is always the best."""
        with project.start_run("train") as run:
            for epoch, iou in enumerate((0.3, 0.5, 0.4)):
                model = draft("iv3", {"w": str(epoch)}, metadata={"iou": iou})
                run.log_artifact(model, only_if_better=("iou", "max"))

        assert [version.metadata["iou"] for version in project.versions(artifact="iv3")] == [0.3, 0.5]
        assert project.version("iv3:latest").metadata["iou"] == 0.5


class TestDownload:
    def test_download_gives_the_files_to_open(self, project: lineage.Project) -> None:
        """A35, B17: an artifact is there to be used: use, download, open."""
        log(project, "mnist", {"train/x.txt": "digits"})

        with project.start_run("train") as run:
            folder = run.use_artifact("mnist:latest").download()

        assert (folder / "train" / "x.txt").read_text() == "digits"

    def test_download_without_a_folder_goes_below_artifacts(self, project: lineage.Project) -> None:
        """A49: the folder artifacts fills with a sub-folder for each version."""
        assert log(project, "mnist").download() == Path("artifacts/mnist:v0")

    def test_download_again_leaves_right_files_alone(self, project: lineage.Project) -> None:
        """A41, A48: what is there already, by its hash, is not copied once more."""
        version = log(project, "mnist", {"x": "1"})
        before = (version.download() / "x").stat()

        after = (version.download() / "x").stat()

        assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)

    def test_download_restores_a_file_that_was_altered(self, project: lineage.Project) -> None:
        """A48, B2: presence is checked by hashing, so a damaged copy of the right size is noticed."""
        version = log(project, "mnist", {"x": "right"})
        (version.download() / "x").write_text("wrong")

        assert (version.download() / "x").read_text() == "right"

    def test_download_of_one_split_leaves_the_others(self, project: lineage.Project) -> None:
        """A11: training, validation and test set are one artifact, and one of them can be had alone."""
        version = log(project, "mnist", {"train/x": "1", "validation/x": "2", "test/x": "3"})

        folder = version.download(path_prefix="test/")

        assert [path.name for path in folder.iterdir()] == ["test"]

    def test_open_reads_without_a_download(self, project: lineage.Project) -> None:
        """B17: contents can be looked at where they are."""
        version = log(project, "mnist", {"x": "digits"})

        assert version.open("x", "r").read() == "digits"
        assert not Path("artifacts").exists()

    def test_project_moved_elsewhere_still_gives_its_files(self, project: lineage.Project, tmp_path: Path) -> None:
        """B2, B21: a project is moved by moving its file and its blobs; no path inside points anywhere."""
        log(project, "iv3", {"small": "1", "large": b"x" * 100_000}, aliases=["best"])
        (tmp_path / "there").mkdir()
        shutil.move(project.file, tmp_path / "there")
        shutil.move(project.blob_folder, tmp_path / "there")

        moved = lineage.open(tmp_path / "there" / "p.lineage", create=False)

        assert moved.version("iv3:best").open("large").read() == b"x" * 100_000
        assert moved.verify().problems == ()

    def test_project_file_shipped_is_read_by_name_and_alias(self, project: lineage.Project, tmp_path: Path) -> None:
        """B23, B53: a copy, opened to read, resolves latest, numbers and aliases as the original does."""
        log(project, "iv3", {"w": "1"}, aliases=["baseline"])
        log(project, "iv3", {"w": "2"})
        shutil.copy(project.file, tmp_path / "shipped.lineage")

        shipped = lineage.open(tmp_path / "shipped.lineage", read_only=True)

        assert [shipped.version(f"iv3:{name}").number for name in ("latest", "v0", "baseline")] == [1, 0, 0]

    def test_log_artifact_in_another_project_has_the_same_digest(
        self, project: lineage.Project, tmp_path: Path
    ) -> None:
        """A19: an artifact moves between projects, and is known again by its content."""
        version = log(project, "mnist", {"x": "1", "y/z": "2"})
        other = lineage.open(tmp_path / "other.lineage")

        moved = other.log_artifact(version.download(tmp_path / "transfer"), name="mnist", type="dataset")

        assert moved is not None
        assert moved.digest == version.digest


class TestGraph:
    def test_graph_is_directed_acyclic_and_of_two_kinds(self, project: lineage.Project) -> None:
        """A8: runs and artifacts are the nodes, consumed and produced the arrows, of a DAG."""
        step(project, "load", "mnist")
        step(project, "train", "iv3", "mnist")

        graph = project.graph()

        assert nx.is_directed_acyclic_graph(graph)
        assert sorted(node["kind"] for _, node in graph.nodes(data=True)) == ["run", "run", "version", "version"]
        assert sorted(edge["kind"] for *_, edge in graph.edges(data=True)) == ["consumed", "produced", "produced"]

    def test_record_of_an_edge_that_closes_a_cycle_is_refused(self, project: lineage.Project) -> None:
        """A8: nothing becomes its own ancestor; the error names the cycle."""
        step(project, "load", "mnist")
        step(project, "train", "iv3", "mnist")
        load = project.runs(job_type="load")[0]

        with pytest.raises(lineage.CycleError) as caught:
            project.record(load, consumed=["iv3"])

        assert {"mnist:v0", "iv3:v0", load.id} <= set(caught.value.cycle)

    def test_graph_collapsed_by_type_merges_runs_and_versions(self, project: lineage.Project) -> None:
        """A20, A52, B48: the graph view has artifact types and job types as its two kinds of nodes."""
        step(project, "load", "mnist")
        for epoch in range(3):
            step(project, "train", "iv3", "mnist", type="model", files={"w": str(epoch)})

        graph = project.graph(collapse="type")

        assert {name: node["count"] for name, node in graph.nodes(data=True)} == {
            "type:dataset": 1,
            "type:model": 3,
            "job_type:load": 1,
            "job_type:train": 3,
        }

    def test_graph_exploded_shows_every_version_and_run(self, project: lineage.Project) -> None:
        """B51: each node of the collapsed view opens into all its versions and runs."""
        for epoch in range(3):
            step(project, "train", "iv3", files={"w": str(epoch)})

        assert len(project.graph(collapse="name")) == 2
        assert len(project.graph()) == 6

    def test_graph_around_a_node_leaves_the_rest_out(self, project: lineage.Project) -> None:
        """B31: a partial view shows what lies around chosen nodes."""
        step(project, "load", "mnist")
        step(project, "load", "other")

        assert "other:v0" not in project.graph("mnist:v0")
        assert {"mnist:v0", "other:v0"} <= set(project.graph("mnist:v0", "other:v0"))

    def test_descendants_to_a_depth_keep_a_large_graph_readable(self, project: lineage.Project) -> None:
        """B37: of a long chain, only the next steps are shown if one asks for no more."""
        step(project, "load", "d0")
        for number in range(5):
            step(project, "next", f"d{number + 1}", f"d{number}")

        assert [node.id for node in project.descendants("d0", depth=2, kind="version")] == ["d1:v0"]

    @pytest.mark.parametrize("write", [exports.to_mermaid, exports.to_dot, exports.to_graphml])
    def test_graph_is_written_for_others_to_see(
        self, project: lineage.Project, write: Callable[[nx.DiGraph[str]], str]
    ) -> None:
        """B6: the workflow is shared as a drawing, or as a file for a graph program."""
        step(project, "load", "mnist")

        text = write(project.graph())

        assert "mnist:v0" in text
        assert "load" in text

    def test_graph_node_of_a_version_bears_its_aliases(self, project: lineage.Project) -> None:
        """B14: aliases mark the important points of the lineage."""
        log(project, "iv3", aliases=["baseline"])

        assert project.graph().nodes["iv3:v0"]["aliases"] == ["baseline", "latest"]

    def test_used_by_lists_the_runs_of_a_checkpoint(self, project: lineage.Project) -> None:
        """B27: one reaches the runs that used a given checkpoint, and no others."""
        log(project, "iv3", {"w": "1"})
        log(project, "iv3", {"w": "2"})
        step(project, "fine-tune", "a", "iv3:v0")
        step(project, "inference", "b", "iv3:v1")

        assert [run.job_type for run in project.version("iv3:v0").used_by()] == ["fine-tune"]

    def test_descendants_show_every_experiment_that_came_of_a_version(self, project: lineage.Project) -> None:
        """B29: all that was loaded from a model is seen, also through other models."""
        log(project, "iv3")
        step(project, "train", "iv3_trained", "iv3")
        step(project, "evaluate", "results", "iv3_trained")

        assert [node.type for node in project.descendants("iv3", kind="run")] == ["train", "evaluate"]

    def test_runs_from_the_same_initial_model_are_found(self, project: lineage.Project) -> None:
        """A54: trainings that began with one untrained model are found by it."""
        log(project, "iv3")
        for lr in (0.1, 0.2):
            step(project, "train", "iv3_trained", "iv3", config={"lr": lr}, files={"w": str(lr)})

        assert [run.config["lr"] for run in project.runs(consumed="iv3:v0", job_type="train")] == [0.1, 0.2]

    def test_version_tells_all_about_itself_in_one_look(self, project: lineage.Project) -> None:
        """A51, B34, B52: files, metadata, times, size and digest of a node, and links to its neighbours."""
        step(project, "train", "iv3", metadata={"lr": 0.1}, files={"w": "123"})

        version = project.version("iv3")

        assert (version.file_count, version.size, version.metadata) == (1, 3, {"lr": 0.1})
        assert len(version.digest) == 64
        assert version.created_at.endswith("Z")
        assert (version.logged_by() is not None, version.used_by()) == (True, [])


class TestCompare:
    def test_diff_tells_which_files_differ(self, project: lineage.Project) -> None:
        """B4, B7, B15: any two versions are laid side by side: added, removed, changed, unchanged."""
        log(project, "iv3", {"stem": "1", "head": "1", "old": "1"})
        log(project, "iv3", {"stem": "1", "head": "2", "new": "1"})

        found = project.diff("iv3:v0", "iv3:v1")

        assert [entry.path for entry in found.added] == ["new"]
        assert [entry.path for entry in found.removed] == ["old"]
        assert [(old.path, new.path) for old, new in found.changed] == [("head", "head")]
        assert found.unchanged == 1

    def test_diff_tells_the_learning_rate_that_changed(self, project: lineage.Project) -> None:
        """B57: what changed between two numbers, the learning rate say, need not be remembered."""
        for lr in (0.1, 0.2):
            step(project, "train", "iv3", config={"lr": lr, "epochs": 5}, files={"w": str(lr)})

        assert dict(project.diff("iv3:v0", "iv3:v1").config) == {"lr": lineage.Change(0.1, 0.2)}

    def test_diff_of_versions_of_two_names_is_one_as_well(self, project: lineage.Project) -> None:
        """B38: versions of several names are compared like those of one."""
        log(project, "resnet", {"w": "1"})
        log(project, "iv3", {"w": "1"})

        assert project.diff("resnet:v0", "iv3:v0").same_content

    def test_diff_tells_whether_two_models_saw_the_same_data(self, project: lineage.Project) -> None:
        """B33: whether variants used one version of the data is seen in their lineage."""
        log(project, "inat", {"x": "1"})
        step(project, "train", "a", "inat")
        step(project, "train", "b", "inat")
        log(project, "inat", {"x": "2"})
        step(project, "train", "c", "inat")

        assert project.diff("a", "b").upstream == {}
        assert project.diff("a", "c").upstream == {"inat": (("inat:v0",), ("inat:v1",))}

    def test_common_ancestors_of_two_models_name_the_data_they_share(self, project: lineage.Project) -> None:
        """B32, B33: two variants have the set they were compared on in common."""
        log(project, "inat")
        step(project, "train", "a", "inat")
        step(project, "train", "b", "inat")

        assert [node.id for node in project.common_ancestors("a", "b")] == ["inat:v0"]

    def test_runs_are_found_and_ordered_by_their_metrics(self, project: lineage.Project) -> None:
        """B32, B36: runs are queried by what they came to."""
        for iou in (0.3, 0.5, 0.4):
            with project.start_run("evaluate") as run:
                run.log({"iou": iou})

        found = project.runs({"summary.iou": {"$gt": 0.35}}, order="-summary.iou")

        assert [run.summary["iou"] for run in found] == [0.5, 0.4]

    def test_model_of_the_run_with_the_top_metric_is_downloaded(self, project: lineage.Project) -> None:
        """B36, B39: from the run with the best metric it is one step to its model."""
        for iou in (0.3, 0.5):
            with project.start_run("train") as run:
                run.log({"iou": iou})
                log(run, "iv3", {"w": str(iou)}, type="model")

        (model,) = project.runs(order="-summary.iou")[0].logged_artifacts("model")

        assert (model.download() / "w").read_text() == "0.5"

    def test_versions_that_no_run_evaluated_are_found(self, project: lineage.Project) -> None:
        """B42: a script finds the models that wait for an evaluation."""
        for epoch in range(3):
            log(project, "iv3", {"w": str(epoch)})
        step(project, "evaluate", "results", "iv3:v1")

        waiting = [version for version in project.versions(artifact="iv3") if not version.used_by()]

        assert references(waiting) == ["iv3:v0", "iv3:v2"]


class TestCare:
    def test_prune_dry_run_only_says_what_would_go(self, project: lineage.Project) -> None:
        """B55: cleaning up shows first what it would take."""
        for epoch in range(3):
            log(project, "iv3", {"w": str(epoch)})

        report = project.prune("iv3", keep_last=1, dry_run=True)

        assert list(report.versions) == ["iv3:v0", "iv3:v1"]
        assert len(project.versions(artifact="iv3")) == 3

    def test_prune_and_gc_free_what_is_not_used(self, project: lineage.Project) -> None:
        """B1, B55: unused versions go with their bytes; what bears an alias or was used stays."""
        for epoch in range(5):
            log(project, "iv3", {"w": str(epoch) * 100}, aliases=["best"] if epoch == 1 else [])
        step(project, "inference", "out", "iv3:v2", files={})

        project.prune("iv3", keep_last=1)
        project.gc()

        assert references(project.versions(artifact="iv3")) == ["iv3:v1", "iv3:v2", "iv3:v4"]
        assert project.verify().bytes == 300

    def test_verify_names_the_version_whose_bytes_are_damaged(self, project: lineage.Project) -> None:
        """B2, B47: storage is reliable: damage is noticed, and said of whom."""
        log(project, "iv3", {"w": b"x" * 100_000})
        (blob,) = (path for path in project.blob_folder.rglob("*") if path.is_file() and path.stat().st_size == 100_000)
        blob.chmod(0o600)
        blob.write_bytes(b"y" * 100_000)

        assert "iv3:v0" in str(project.verify().problems)
