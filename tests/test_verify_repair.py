"""Verify names every kind of planted damage and the versions it hits; repair mends what it can without loss."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lineage
from lineage import BusyError, CorruptionError, ReadOnlyError, StateError, StorageError
from lineage.content import CHUNK
from lineage.system import file_lock
from lineage.upkeep import integrity, mending
from lineage.upkeep.problems import Problem, ProblemKind
from lineage.values import Digest

LARGE = 20_000
"""Bytes of a blob that lies beside the project file."""


def log(project: lineage.Project, name: str, files: dict[str, bytes], aliases: Sequence[str] = ()) -> lineage.Version:
    """Log a version of given files without a run."""
    draft = lineage.Artifact(name, "model")
    for path, content in files.items():
        with draft.new_file(path, "wb") as file:
            file.write(content)
    return project.log_artifact(draft, aliases=aliases)


def large(text: str) -> bytes:
    """Return bytes of their own that lie beside the project file."""
    return text.encode().ljust(LARGE, b".")


def edit(project: lineage.Project, sql: str, *parameters: object) -> None:
    """Change rows behind the library's back, against any rule of the tables."""
    with closing(sqlite3.connect(project.file)) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(sql, parameters)


def rows(project: lineage.Project, sql: str, *parameters: object) -> list[tuple[object, ...]]:
    """Ask behind the library's back."""
    with closing(sqlite3.connect(project.file)) as connection:
        return connection.execute(sql, parameters).fetchall()


def found(project: lineage.Project, *, content: bool = True) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return kind, subject and versions of every problem."""
    report = project.verify(content=content)
    return [(problem.kind.value, problem.subject, problem.versions) for problem in report.problems]


def kinds(project: lineage.Project) -> set[str]:
    """Return the kinds of problems."""
    return {kind for kind, _, _ in found(project)}


def blob_of(version: lineage.Version, path: str) -> Path:
    """Return where the bytes of a large file lie."""
    return version._store.blobs.path_of(Digest.parse(version.entry(path).digest))


def damage(path: Path, offset: int = 100) -> None:
    """Flip a bit of a blob's file."""
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 1]))
    path.chmod(0o444)


@pytest.fixture
def model(project: lineage.Project) -> lineage.Version:
    """One version with a file inside the project file and one beside it, made by a run from data."""
    log(project, "data", {"rows.csv": b"1,2"})
    with project.start_run("train", "first", config={"lr": 1}, use=["data"]) as run:
        run.log({"loss": 0.5})
        draft = lineage.Artifact("m", "model", metadata={"epochs": 1})
        for name, content in (("big/weights", large("weights")), ("notes", b"notes")):
            with draft.new_file(name, "wb") as file:
                file.write(content)
        version = run.log_artifact(draft, aliases=["best"])
    assert version is not None
    return version


class TestSound:
    """Nothing wrong, nothing said."""

    def test_verify_of_a_sound_project_counts_what_it_saw(
        self, project: lineage.Project, model: lineage.Version
    ) -> None:
        """A sound project has no problems, and the report says how much was looked at."""
        report = project.verify()

        assert report.ok
        assert report.problems == ()
        assert (report.runs, report.artifacts, report.versions) == (1, 2, 2)
        assert (report.blobs, report.bytes) == (3, LARGE + 8)

    def test_verify_of_an_empty_project_finds_nothing(self, project: lineage.Project) -> None:
        """Not even a blob folder is missed."""
        assert project.verify() == lineage.VerifyReport((), 0, 0, 0, 0, 0)

    def test_verify_changes_nothing(self, project: lineage.Project, model: lineage.Version) -> None:
        """Neither rows nor files, also where something is wrong."""
        damage(blob_of(model, "big/weights"))
        edit(project, "DELETE FROM alias WHERE name = 'latest'")
        before = state(project)

        assert not project.verify().ok

        assert state(project) == before

    def test_verify_works_read_only(self, project: lineage.Project, model: lineage.Version) -> None:
        """It needs no right to write."""
        assert lineage.open(project.file, read_only=True).verify().ok

    def test_verify_works_in_a_snapshot(self, project: lineage.Project, model: lineage.Version) -> None:
        """It joins the view of the block."""
        with project.snapshot():
            assert project.verify().ok

    def test_verify_tells_the_bytes_it_reads(self, project: lineage.Project, model: lineage.Version) -> None:
        """Progress adds up to all bytes."""
        told: list[int] = []

        project.verify(progress=told.append)

        assert sum(told) == LARGE + 8

    def test_verify_lets_the_callers_own_error_out(self, project: lineage.Project, model: lineage.Version) -> None:
        """What a progress callback raises is no damage."""

        def fail(_: int) -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            project.verify(progress=fail)

    def test_verify_of_many_small_listings_and_a_large_one(
        self, project: lineage.Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Listings are read in windows of parts, and nothing is lost between them."""
        monkeypatch.setattr("lineage.upkeep.consistency._PARTS_AT_ONCE", 2)
        monkeypatch.setattr("lineage.upkeep.consistency._ENTRIES_AT_ONCE", 4)
        monkeypatch.setattr("lineage.upkeep.integrity._BLOBS_AT_ONCE", 3)
        for count in (1, 2, 3, 500):
            log(project, "m", {f"{number:03}": str(number).encode() for number in range(count)})

        report = project.verify()

        assert report.problems == ()
        assert report.blobs == 500


def state(project: lineage.Project) -> list[object]:
    """Return all rows and all files but lock files, with their modes."""
    with closing(sqlite3.connect(project.file)) as connection:
        dump = list(connection.iterdump())
    files = [
        (str(path), path.lstat().st_mode, path.read_bytes() if path.is_file() else None)
        for path in sorted(project.blob_folder.rglob("*"))
        if path.suffix != ".lock"
    ]
    return [dump, files]


class TestRows:
    """Rows that somebody edited by hand."""

    def test_verify_names_rows_that_name_nothing(self, project: lineage.Project, model: lineage.Version) -> None:
        """A broken foreign key is counted by table."""
        edit(project, "UPDATE consumed SET version = 99")

        assert found(project) == [("foreign-key", "consumed", ())]

    def test_verify_names_a_missing_version(self, project: lineage.Project, model: lineage.Version) -> None:
        """Numbers without a row are named, single ones and ranges."""
        for number in range(6):
            log(project, "x", {"a": str(number).encode()})
        edit(project, "DELETE FROM version WHERE number IN (0, 2, 3) AND artifact = 3")

        (message,) = [one.message for one in project.verify().problems if one.kind is ProblemKind.NUMBERING]
        assert message == "x goes on with v6, but v0, v2 to v3 missing"

    def test_verify_names_a_counter_that_would_repeat_a_number(
        self, project: lineage.Project, model: lineage.Version
    ) -> None:
        """A next number that is taken already is named."""
        edit(project, "UPDATE artifact SET next_number = 0 WHERE name = 'm'")

        (problem,) = project.verify().problems

        assert problem.kind is ProblemKind.NUMBERING
        assert problem.message == "m goes on with v0, but v0 is there"

    def test_verify_names_a_counter_that_skips(self, project: lineage.Project, model: lineage.Version) -> None:
        """A next number that leaves a gap is named."""
        edit(project, "UPDATE artifact SET next_number = 3 WHERE name = 'm'")

        assert [problem.message for problem in project.verify().problems] == ["m goes on with v3, but v1 to v2 missing"]

    def test_verify_names_a_uid_that_is_none(self, project: lineage.Project, model: lineage.Version) -> None:
        """A uid lineage cannot have made is named."""
        edit(project, "UPDATE version SET uid = ? WHERE id = 2", "I" * 26)

        assert found(project) == [
            ("uid", "m:v0", ()),
            ("older-file", "p.lineage", ()),  # the blob folder has seen the version by its other name
        ]

    @pytest.mark.parametrize(
        ("sql", "subject"),
        [
            ("UPDATE artifact SET name = '../m' WHERE name = 'm'", "../m"),
            ("UPDATE run SET uid = 'a:b'", "a:b"),
            ("UPDATE alias_event SET name = 'v7' WHERE name = 'best'", "v7"),
        ],
    )
    def test_verify_names_a_name_that_may_not_be(
        self, project: lineage.Project, model: lineage.Version, sql: str, subject: str
    ) -> None:
        """Names of artifacts, runs and aliases keep the rules they were given by."""
        edit(project, sql)
        if "alias" in sql:
            edit(project, "UPDATE alias SET name = 'v7' WHERE name = 'best'")

        assert found(project) == [("name", subject, ())]

    def test_verify_names_a_live_version_of_a_deleted_artifact(
        self, project: lineage.Project, model: lineage.Version
    ) -> None:
        """It can be had by nobody."""
        edit(project, "UPDATE artifact SET deleted_at = created_at WHERE name = 'm'")

        assert found(project) == [("deletion", "m:v0", ("m:v0",))]

    def test_verify_names_an_alias_of_a_deleted_version(self, project: lineage.Project, model: lineage.Version) -> None:
        """An alias names a live version."""
        edit(project, "UPDATE version SET deleted_at = created_at WHERE id = 2")

        assert found(project) == [("alias-target", "m:best", ()), ("alias-target", "m:latest", ())]

    def test_verify_names_an_alias_of_another_artifact(self, project: lineage.Project, model: lineage.Version) -> None:
        """An alias names a version of its own artifact."""
        edit(project, "UPDATE alias SET version = 1 WHERE name = 'best'")

        assert found(project) == [("alias-target", "m:best", ()), ("alias-history", "m:best", ())]

    def test_verify_names_a_missing_latest(self, project: lineage.Project, model: lineage.Version) -> None:
        """An artifact with versions has a latest one."""
        edit(project, "DELETE FROM alias WHERE name = 'latest' AND artifact = 2")
        edit(project, "DELETE FROM alias_event WHERE name = 'latest' AND artifact = 2")

        assert found(project) == [("latest-missing", "m:latest", ())]

    @pytest.mark.parametrize(
        "sql",
        [
            "DELETE FROM alias_event WHERE name = 'best'",
            "UPDATE alias_event SET to_version = NULL WHERE name = 'best'",
            "DELETE FROM alias WHERE name = 'best'",
        ],
    )
    def test_verify_names_an_alias_whose_history_ends_elsewhere(
        self, project: lineage.Project, model: lineage.Version, sql: str
    ) -> None:
        """The last event of an alias and the alias agree, also that it is gone."""
        edit(project, sql)

        assert found(project) == [("alias-history", "m:best", ())]

    @pytest.mark.parametrize(
        ("sql", "subject"),
        [
            ("UPDATE run SET config = '{'", "run {run}"),
            ("UPDATE run SET summary = '[1]'", "run {run}"),
            ('UPDATE run SET code = \'{"a":"\\ud800"}\'', "run {run}"),
            ("UPDATE version SET metadata = 'NaN' WHERE id = 2", "m:v0"),
            ("UPDATE environment SET document = ''", "environment {environment}"),
            ("UPDATE metric SET value = NULL, document = '{'", "run {run}"),
            ("INSERT INTO reproduced VALUES (1, 1, 'x', '')", "run {run}"),
        ],
    )
    def test_verify_names_json_that_cannot_be_read(
        self, project: lineage.Project, model: lineage.Version, sql: str, subject: str
    ) -> None:
        """Every JSON column is read."""
        ((run, environment),) = rows(project, "SELECT uid, digest FROM run, environment")
        edit(project, sql)

        problems = [problem for problem in project.verify().problems if problem.kind is ProblemKind.JSON]

        assert [problem.subject for problem in problems] == [subject.format(run=run, environment=environment)]

    def test_verify_names_a_run_that_consumed_what_it_produced(
        self, project: lineage.Project, model: lineage.Version
    ) -> None:
        """Such an edge is never written."""
        edit(project, "INSERT INTO consumed (run, version) VALUES (1, 2)")

        assert found(project) == [("own-input", project.runs()[0].id, ("m:v0",))]

    def test_verify_names_a_cycle_in_order(self, project: lineage.Project) -> None:
        """A cycle is named once, in the direction of its edges, and what hangs on it is not."""
        for number in range(5):
            with project.start_run(id=f"r{number}", use=[f"m{number - 1}"] if number else []) as run:
                draft = lineage.Artifact(f"m{number}", "model")
                run.log_artifact(draft)
        edit(project, "INSERT INTO consumed (run, version) VALUES (2, 4)")  # m3, made by r3, goes into r1

        (problem,) = project.verify().problems

        assert problem.kind is ProblemKind.CYCLE
        names = problem.message.removeprefix("these feed each other: ").split(" -> ")
        assert names[0] == names[-1] == problem.subject
        place = names.index("r1")
        around = names[place:-1] + names[:place]
        assert around == ["r1", "m1:v0", "r2", "m2:v0", "r3", "m3:v0"]
        assert set(problem.versions) == {"m1:v0", "m2:v0", "m3:v0"}

    def test_verify_names_each_of_two_cycles(self, project: lineage.Project) -> None:
        """Two knots are two problems."""
        for number in range(4):
            with project.start_run(id=f"r{number}", use=[f"m{number - 1}"] if number % 2 else []) as run:
                run.log_artifact(lineage.Artifact(f"m{number}", "model"))
        edit(project, "INSERT INTO consumed (run, version) VALUES (1, 2), (3, 4)")

        assert [problem.kind for problem in project.verify().problems] == [ProblemKind.CYCLE, ProblemKind.CYCLE]

    def test_verify_of_a_deep_lineage_recurses_nowhere(self, project: lineage.Project) -> None:
        """Ten thousand runs in a chain are only a long loop."""
        with closing(sqlite3.connect(project.file)) as connection, connection:
            log(project, "m", {})
            connection.executemany(
                "INSERT INTO run (id, uid, name, status, started_at) VALUES (?, ?, 'x', 'finished', '')",
                [(number, f"r{number}") for number in range(1, 10_001)],
            )
            connection.executemany(
                "INSERT INTO version (id, uid, artifact, number, manifest, created_at) VALUES (?, ?, 1, ?, 1, '')",
                [(number + 1, f"{number:026}", number) for number in range(1, 10_001)],
            )
            connection.execute("UPDATE artifact SET next_number = 10001")
            connection.execute("INSERT INTO produced SELECT id + 1, id FROM run")
            connection.execute("INSERT INTO consumed (run, version) SELECT id, id FROM run WHERE id > 1")

        assert project.verify().problems == ()
        edit(project, "INSERT INTO consumed (run, version) VALUES (1, 10001)")
        (problem,) = project.verify().problems
        assert len(problem.versions) == 10_000


class TestListings:
    """Listings of files that somebody edited by hand."""

    def test_verify_names_a_changed_entry(self, project: lineage.Project, model: lineage.Version) -> None:
        """Neither the part nor the listing has its digest any more, and the version is named."""
        edit(project, "UPDATE entry SET path = 'nites' WHERE path = 'notes'")

        (part,) = {row[0] for row in rows(project, "SELECT digest FROM part WHERE id = 2")}
        assert found(project) == [
            ("part-digest", f"part {part}", ("m:v0",)),
            ("manifest-digest", model.digest, ("m:v0",)),
        ]

    def test_verify_names_every_version_of_a_changed_listing(
        self, project: lineage.Project, model: lineage.Version
    ) -> None:
        """Versions that share the part are all hit."""
        log(project, "copy", {"big/weights": large("weights"), "notes": b"notes"})
        edit(project, "DELETE FROM entry WHERE path = 'notes'")

        problems = project.verify().problems

        assert {problem.kind.value for problem in problems} == {"part-digest", "manifest-digest", "manifest-counts"}
        assert {problem.versions for problem in problems} == {("copy:v0", "m:v0")}

    def test_verify_names_a_lost_listing(self, project: lineage.Project, model: lineage.Version) -> None:
        """A live version without its parts is named."""
        edit(project, "DELETE FROM manifest_part WHERE manifest = 2")

        assert found(project) == [
            ("manifest-digest", model.digest, ("m:v0",)),
            ("manifest-counts", model.digest, ("m:v0",)),
        ]

    @pytest.mark.parametrize("column", ["file_count", "size"])
    def test_verify_names_wrong_counts(self, project: lineage.Project, model: lineage.Version, column: str) -> None:
        """What a manifest's row says of its files is counted."""
        edit(project, f"UPDATE manifest SET {column} = 7 WHERE id = 2")

        assert found(project) == [("manifest-counts", model.digest, ("m:v0",))]

    @pytest.mark.parametrize("path", ["../evil", "/etc/passwd", "a//b", "a\\b", "C:x"])
    def test_verify_names_a_path_that_may_not_be(
        self, project: lineage.Project, model: lineage.Version, path: str
    ) -> None:
        """The rules of paths hold for what is stored too."""
        edit(project, "UPDATE entry SET path = ? WHERE path = 'notes'", path)

        assert "path" in kinds(project)

    def test_verify_names_a_file_that_is_a_folder_too(self, project: lineage.Project) -> None:
        """A file and a folder of one name cannot be downloaded, also with another path sorted between."""
        log(project, "m", {"a": b"1", "a-b": b"2", "c/d": b"3"})
        edit(project, "UPDATE entry SET path = 'a/d' WHERE path = 'c/d'")

        problems = [problem for problem in project.verify().problems if problem.kind is ProblemKind.PATH_CLASH]

        assert [problem.message for problem in problems] == ["m:v0: path 'a/d' lies below a file"]

    def test_verify_names_parts_in_the_wrong_order(self, project: lineage.Project) -> None:
        """A listing is sorted, over its parts too."""
        log(project, "m", {f"f{number}": b"" for number in range(300)})
        (last,) = rows(project, "SELECT max(seq) FROM manifest_part")[0]
        edit(project, "UPDATE manifest_part SET seq = seq + 100 WHERE seq = 0")
        edit(project, "UPDATE manifest_part SET seq = 0 WHERE seq = ?", last)

        assert {"path-order", "manifest-digest"} <= kinds(project)

    def test_verify_names_extra_data_that_cannot_be_read(self, project: lineage.Project) -> None:
        """An entry whose JSON is broken is damage of its part and its version, and the rest is looked at."""
        draft = lineage.Artifact("m", "model")
        draft.add_reference("s3://bucket/key")
        project.log_artifact(draft)
        log(project, "x", {"a": b"1"})
        edit(project, "UPDATE entry SET extra = '{' WHERE path = 'key'")
        edit(project, "UPDATE entry SET path = 'b' WHERE path = 'a'")

        problems = found(project)

        assert [(kind, versions) for kind, _, versions in problems if kind != "database"] == [
            ("json", ("m:v0",)),
            ("part-digest", ("x:v0",)),
            ("manifest-digest", ("m:v0",)),
            ("manifest-counts", ("m:v0",)),
            ("manifest-digest", ("x:v0",)),
        ]

    def test_verify_warns_of_names_that_fall_together(self, project: lineage.Project) -> None:
        """Case and Unicode twins are kept, and reported as a warning with the first pairs."""
        names = [
            "A",
            "a",
            "\u00e9",
            "e\u0301",
            "K\u0308",
            "k\u0308",
            *(f"{case}{n}" for case in "xX" for n in range(5)),
        ]
        log(project, "m", dict.fromkeys(names, b""))

        report = project.verify()

        (problem,) = report.problems
        assert report.ok
        assert (problem.kind, problem.severity) == (ProblemKind.PORTABLE_NAMES, "warning")
        assert problem.versions == ("m:v0",)
        assert "'A' and 'a'" in problem.message
        assert problem.message.endswith("and 3 more")

    def test_verify_takes_no_hash_for_a_twin(self, project: lineage.Project, monkeypatch: pytest.MonkeyPatch) -> None:
        """Paths whose hashes happen to be alike are told apart."""
        monkeypatch.setattr("lineage.upkeep.consistency.folded", lambda _: "same")
        log(project, "m", {"a": b"", "b": b""})

        assert project.verify().problems == ()

    def test_verify_leaves_deleted_versions_alone(self, project: lineage.Project, model: lineage.Version) -> None:
        """A deleted version has no listing to be wrong, before gc and after it."""
        model.delete(delete_aliases=True)
        assert project.verify().problems == ()

        project.gc()
        assert project.verify().problems == ()


class TestBytes:
    """Bytes that changed, went, or were replaced."""

    @pytest.mark.parametrize("offset", [0, LARGE // 2, LARGE - 1])
    def test_verify_finds_a_flipped_bit_beside(
        self, project: lineage.Project, model: lineage.Version, offset: int
    ) -> None:
        """One bit of a file is named with its digest and its version; a quick look cannot see it."""
        damage(blob_of(model, "big/weights"), offset)

        assert found(project) == [("bytes-damaged", model.entry("big/weights").digest, ("m:v0",))]
        assert found(project, content=False) == []

    def test_verify_finds_a_flipped_bit_inside(self, project: lineage.Project, model: lineage.Version) -> None:
        """One bit of a chunk is named with its digest and its version."""
        edit(project, "UPDATE chunk SET data = x'6e6f746572' WHERE data = x'6e6f746573'")

        assert found(project) == [("bytes-damaged", model.entry("notes").digest, ("m:v0",))]
        assert found(project, content=False) == []

    @pytest.mark.parametrize("content", [True, False])
    @pytest.mark.parametrize("cut", ["short pieces", "a gap", "one long piece"])
    def test_verify_finds_pieces_inside_that_are_cut_amiss(
        self, project: lineage.Project, content: bool, cut: str
    ) -> None:
        """All bytes are there, in their order, and nobody would find them: a reader counts on the size of a piece."""
        data = large("weights") * (3 * CHUNK // len(large("weights")))
        version = log(project, "big", {"w": data})
        blob_of(version, "w").unlink()
        step = {"short pieces": 700_000, "a gap": CHUNK, "one long piece": len(data)}[cut]
        for number, start in enumerate(range(0, len(data), step)):
            sql = "INSERT INTO chunk (blob, seq, data) SELECT id, ?, ? FROM blob WHERE digest = ?"
            seq = number + (cut == "a gap" and number > 0)
            edit(project, sql, seq, data[start : start + step], str(version.entry("w").digest))

        assert found(project, content=content) == [("bytes-damaged", version.entry("w").digest, ("big:v0",))]
        with pytest.raises(lineage.CorruptionError):
            project.pack("share.lineage")

    @pytest.mark.parametrize("content", [True, False])
    def test_verify_finds_a_truncated_file(
        self, project: lineage.Project, model: lineage.Version, content: bool
    ) -> None:
        """The size tells, without reading."""
        path = blob_of(model, "big/weights")
        path.chmod(0o644)
        os.truncate(path, 10)
        path.chmod(0o444)

        digest = model.entry("big/weights").digest
        assert found(project, content=content) == [("bytes-size", digest, ("m:v0",))]

    @pytest.mark.parametrize("content", [True, False])
    def test_verify_finds_truncated_chunks(
        self, project: lineage.Project, model: lineage.Version, content: bool
    ) -> None:
        """The size tells inside the file too."""
        edit(project, "UPDATE chunk SET data = x'6e6f7465' WHERE data = x'6e6f746573'")

        assert found(project, content=content) == [("bytes-size", model.entry("notes").digest, ("m:v0",))]

    @pytest.mark.parametrize("content", [True, False])
    def test_verify_finds_missing_bytes(self, project: lineage.Project, model: lineage.Version, content: bool) -> None:
        """Bytes that are in neither place are named, whichever place it was."""
        log(project, "other", {"same": large("weights")})
        blob_of(model, "big/weights").unlink()
        edit(project, "DELETE FROM chunk WHERE data = x'6e6f746573'")

        assert {(kind, versions) for kind, _, versions in found(project, content=content)} == {
            ("bytes-missing", ("m:v0", "other:v0")),
            ("bytes-missing", ("m:v0",)),
        }

    def test_verify_only_warns_of_missing_bytes_that_nothing_names(
        self, project: lineage.Project, model: lineage.Version
    ) -> None:
        """A row that gc will take, without its file, is no loss."""
        model.delete(delete_aliases=True)
        blob_of_digest = rows(project, "SELECT digest FROM blob WHERE size = ?", LARGE)[0][0]
        model._store.blobs.path_of(Digest.parse(blob_of_digest)).unlink()

        report = project.verify()

        assert report.ok
        assert [problem.kind for problem in report.problems] == [ProblemKind.BYTES_MISSING]

    @pytest.mark.parametrize("kind", ["folder", "fifo", "link", "dangling link"])
    @pytest.mark.parametrize("content", [True, False])
    def test_verify_finds_what_is_no_file(
        self, project: lineage.Project, model: lineage.Version, kind: str, content: bool
    ) -> None:
        """A folder, a FIFO or a link in a blob's place is named and neither waited for nor followed."""
        path = blob_of(model, "big/weights")
        replace(path, kind)

        digest = model.entry("big/weights").digest
        assert found(project, content=content) == [("bytes-replaced", digest, ("m:v0",))]

    def test_verify_warns_of_a_blob_that_can_be_written(self, project: lineage.Project, model: lineage.Version) -> None:
        """A wrong mode is no loss yet."""
        blob_of(model, "big/weights").chmod(0o644)

        report = project.verify()

        assert report.ok
        assert [problem.kind for problem in report.problems] == [ProblemKind.BYTES_WRITABLE]

    def test_verify_follows_no_digest_that_is_a_path(self, project: lineage.Project, model: lineage.Version) -> None:
        """The digest of a forged row leads nowhere, and repair moves nothing."""
        outside = project.file.parent / "mine"
        outside.write_bytes(b"mine")
        forged = "./../../mine"
        edit(project, "UPDATE blob SET digest = ?, size = 5 WHERE size = ?", forged, LARGE)

        problems = project.verify().problems

        assert (ProblemKind.BYTES_MISSING, forged) in {(problem.kind, problem.subject) for problem in problems}
        assert not project.repair(dry_run=False).ok
        assert list(mending.plan(project._store, [Problem(ProblemKind.BYTES_SIZE, forged, "")])) == []
        assert outside.read_bytes() == b"mine"

    def test_verify_names_bytes_that_cannot_be_reached(self, project: lineage.Project, model: lineage.Version) -> None:
        """A shard that is a file hides its blobs; both are named."""
        shard = blob_of(model, "big/weights").parent
        shard.rename(shard.with_name("tmp") / "aside")
        shard.write_text("not a folder")

        assert found(project) == [
            ("blob-folder", shard.name, ()),
            ("bytes-unreadable", model.entry("big/weights").digest, ("m:v0",)),
        ]

    def test_verify_names_bytes_that_the_disk_does_not_give(
        self, project: lineage.Project, model: lineage.Version, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An error of the disk while reading is a problem, and verify goes on."""

        def fail(self: object, digest: Digest) -> object:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(lineage.blobs.BlobFolder, "open", fail)

        (problem,) = project.verify().problems

        assert problem.kind is ProblemKind.BYTES_UNREADABLE
        assert "Input/output error" in problem.message

    def test_verify_warns_of_files_that_no_row_names(self, project: lineage.Project, model: lineage.Version) -> None:
        """A stray blob is gc's; anything else in the folder is a stranger."""
        shard = project.blob_folder / "ab"
        shard.mkdir(exist_ok=True)
        (shard / ("c" * 62)).write_bytes(b"1")
        (shard / "README").write_text("?")
        (project.blob_folder / "notes.txt").write_text("?")
        (project.blob_folder / "quarantine").mkdir()

        report = project.verify()

        assert report.ok
        assert {(problem.kind.value, problem.subject) for problem in report.problems} == {
            ("stray-file", "ab" + "c" * 62),
            ("foreign-file", "README"),
            ("foreign-file", "notes.txt"),
        }

    def test_verify_names_a_blob_folder_that_is_a_link(self, project: lineage.Project, model: lineage.Version) -> None:
        """Bytes that lie elsewhere are named, although they can be read."""
        project.blob_folder.rename(project.blob_folder.with_name("elsewhere"))
        project.blob_folder.symlink_to("elsewhere")

        assert found(project) == [("blob-folder", "p.blobs", ())]

    def test_verify_names_a_shard_that_is_a_link(self, project: lineage.Project, model: lineage.Version) -> None:
        """So for a part of it."""
        shard = blob_of(model, "big/weights").parent
        shard.rename(shard.with_name("quarantine"))
        shard.symlink_to("quarantine")

        assert found(project) == [("blob-folder", shard.name, ())]

    def test_verify_names_a_blob_folder_that_is_a_file(self, project: lineage.Project, model: lineage.Version) -> None:
        """The bytes are out of reach, and the reason is named."""
        project.blob_folder.rename(project.blob_folder.with_name("elsewhere"))
        project.blob_folder.write_text("?")

        assert kinds(project) == {"bytes-unreadable", "blob-folder"}

    def test_verify_names_all_bytes_of_a_lost_blob_folder(
        self, project: lineage.Project, model: lineage.Version
    ) -> None:
        """A project file without its folder misses what lay there."""
        project.blob_folder.rename(project.blob_folder.with_name("elsewhere"))

        assert found(project) == [("bytes-missing", model.entry("big/weights").digest, ("m:v0",))]

    def test_verify_skips_what_was_deleted_meanwhile(self, project: lineage.Project, model: lineage.Version) -> None:
        """Bytes that gc took after they were listed are not missed."""
        name = model.name
        lost = blob_of(model, "big/weights")
        model.delete(delete_aliases=True)
        other = lineage.open(project.file)

        def collect(_: int) -> None:
            if lost.exists():
                other.gc()

        log(project, name, {"a": b"1"})

        assert project.verify(progress=collect).problems == ()
        assert not lost.exists()

    @pytest.mark.parametrize("place", ["inside", "beside"])
    def test_verify_looks_again_at_what_came_back(
        self, project: lineage.Project, model: lineage.Version, monkeypatch: pytest.MonkeyPatch, place: str
    ) -> None:
        """Bytes that went and were logged again between two looks are not missed."""
        original = getattr(integrity, f"look_{place}")
        name = "notes" if place == "inside" else "big/weights"
        digest = model.entry(name).digest
        looks: list[str] = []

        def gone_at_first(*arguments: object, **options: object) -> object:
            blob = arguments[1]
            assert isinstance(blob, integrity.BlobRow)
            looks.append(blob.digest)
            if looks.count(str(digest)) == 1 and blob.digest == digest:
                return integrity.Fault(ProblemKind.BYTES_MISSING, "gone")
            return original(*arguments, **options)

        monkeypatch.setattr(integrity, f"look_{place}", gone_at_first)

        assert project.verify().problems == ()
        assert looks.count(str(digest)) == 2


def replace(path: Path, kind: str) -> None:
    """Put something that is no regular file in a file's place."""
    kept = path.rename(path.parent.parent / "tmp" / "kept")
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(kept if kind == "link" else "/nowhere")


class TestDamagedFile:
    """A project file that SQLite itself finds wrong."""

    def test_verify_reports_a_wrong_type(self, project: lineage.Project, model: lineage.Version) -> None:
        """What integrity_check says is a problem."""
        with closing(sqlite3.connect(project.file)) as connection, connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute("UPDATE manifest SET size = -1 WHERE id = 2")

        assert ("database", "the project file", ()) in found(project)

    def test_verify_reports_a_lost_table(self, project: lineage.Project, model: lineage.Version) -> None:
        """Checks that cannot be made are problems, the others are made."""
        edit(project, "DROP TABLE alias_event")
        damage(blob_of(model, "big/weights"))

        subjects = {subject for kind, subject, _ in found(project) if kind == "database"}

        assert "the history of aliases" in subjects
        assert "bytes-damaged" in kinds(project)

    def test_verify_reports_a_file_that_is_gone(self, project: lineage.Project, model: lineage.Version) -> None:
        """Even that is a report, and no success."""
        project.file.unlink()

        assert not project.verify().ok

    def test_verify_reports_a_file_of_rubbish(self, project: lineage.Project, model: lineage.Version) -> None:
        """A file that is no database any more is reported."""
        project.file.write_bytes(b"rubbish" * 1000)

        report = project.verify()

        assert not report.ok
        assert report.versions == 0

    @pytest.mark.parametrize("name", [b"CREATE TABLE run", b"CREATE INDEX run_name"])
    def test_verify_reports_a_damaged_schema(
        self, project: lineage.Project, model: lineage.Version, name: bytes
    ) -> None:
        """A name that is no text any more is damage, and no error of Python's."""
        content = project.file.read_bytes()
        assert content.count(name + b" ") == 1
        project.file.write_bytes(content.replace(name, name[:-1] + b"\xce"))

        report = project.verify()

        assert ProblemKind.DATABASE in {problem.kind for problem in report.problems}
        with pytest.raises(CorruptionError):
            project.gc()
        with pytest.raises(CorruptionError):
            project.runs()[:]

    def test_verify_is_busy_where_the_file_is_held(self, project: lineage.Project, model: lineage.Version) -> None:
        """A lock of another program says nothing about the rows."""
        impatient = lineage.open(project.file, timeout=0)
        with closing(sqlite3.connect(project.file, isolation_level=None)) as holder:
            holder.execute("BEGIN EXCLUSIVE")

            with pytest.raises(BusyError):
                impatient.verify()

    @given(bit=st.integers(0, 7), data=st.data())
    def test_verify_of_any_flipped_bit_raises_nothing(
        self, tmp_path_factory: pytest.TempPathFactory, bit: int, data: st.DataObject
    ) -> None:
        """Whatever bit of the file is flipped: it is a report, or an error of ours on opening; never another one."""
        whole = sample(tmp_path_factory)
        path = tmp_path_factory.mktemp("flip") / "p.lineage"
        content = bytearray(whole.read_bytes())
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << bit
        path.write_bytes(content)
        with suppress(lineage.LineageError):
            project = lineage.open(path, timeout=1)

            with suppress(BusyError):  # a flip that makes a WAL file of it
                project.verify()
                project.repair(dry_run=False)


_sample: list[Path] = []


def sample(factory: pytest.TempPathFactory) -> Path:
    """Return a small project file to break, made once."""
    if not _sample:
        project = lineage.open(factory.mktemp("sample") / "p.lineage")
        with project.start_run("train", config={"lr": 1}, notes="a try", tags=["x"]) as run:
            run.log({"loss": 0.5})
            draft = lineage.Artifact("m", "model")
            with draft.new_file("a.txt") as file:
                file.write("text")
            run.log_artifact(draft, aliases=["best"], tags=["y"])
        _sample.append(project.file)
    return _sample[0]


class TestRepair:
    """What is mended, what is set aside, what is left."""

    def test_repair_of_a_sound_project_does_nothing(self, project: lineage.Project, model: lineage.Version) -> None:
        """No actions, nothing left."""
        for dry_run in (True, False):
            report = project.repair(dry_run=dry_run)

            assert (report.actions, report.remaining) == ((), ())
            assert report.ok

    def test_repair_is_a_plan_by_default(self, project: lineage.Project, model: lineage.Version) -> None:
        """The dry run changes nothing, and names what the run then does and what it then leaves."""
        damage(blob_of(model, "big/weights"))
        edit(project, "DELETE FROM alias WHERE artifact = 2 AND name = 'latest'")
        edit(project, "UPDATE manifest SET file_count = 7 WHERE id = 2")
        edit(project, "UPDATE alias_event SET to_version = NULL WHERE name = 'best'")
        before = state(project)

        planned = project.repair()

        assert planned.dry_run
        assert state(project) == before
        done = project.repair(dry_run=False)
        assert not done.dry_run
        assert [action.done for action in planned.actions] == [False] * 4
        assert [action.done for action in done.actions] == [True] * 4
        assert [(a.what, a.subject) for a in planned.actions] == [(a.what, a.subject) for a in done.actions]
        assert [problem.subject for problem in planned.remaining] == [problem.subject for problem in done.remaining]

    @pytest.mark.parametrize(
        ("sql", "left"),
        [
            ("UPDATE run SET notes = 'other'", {ProblemKind.SEAL}),
            ("UPDATE artifact SET next_number = 3", {ProblemKind.SEAL, ProblemKind.NUMBERING}),
            ("DELETE FROM alias WHERE artifact = 2 AND name = 'latest'", set()),  # what mends it takes the seal away
        ],
    )
    def test_repair_of_a_file_whose_seal_does_not_hold_says_first_what_it_leaves(
        self, project: lineage.Project, model: lineage.Version, tmp_path: Path, sql: str, left: set[ProblemKind]
    ) -> None:
        """Plan, deed and a look afterwards find the same: what is left is not mended by being passed over."""
        project.pack(tmp_path / "share.lineage")
        share = lineage.open(tmp_path / "share.lineage")
        edit(share, sql)

        planned, done = share.repair(), share.repair(dry_run=False)

        assert {problem.kind for problem in planned.remaining} == left
        assert done.remaining == planned.remaining == share.verify().problems
        assert [report.ok for report in (planned, done, share.verify())] == [not left] * 3

    def test_repair_uses_the_good_bytes_inside(self, project: lineage.Project, model: lineage.Version) -> None:
        """A damaged file whose bytes lie inside the project file is replaced by them; the bad one is kept aside."""
        path = blob_of(model, "big/weights")
        put_inside(project, large("weights"))
        damage(path)
        damaged = path.read_bytes()

        report = project.repair(dry_run=False)

        assert [action.done for action in report.actions] == [True]
        assert report.ok
        assert path.read_bytes() == large("weights")
        assert quarantined(project) == [damaged]
        assert project.verify().problems == ()

    def test_repair_of_a_small_file_leaves_the_bytes_inside(
        self, project: lineage.Project, model: lineage.Version
    ) -> None:
        """Where small bytes lie inside, a damaged file of them is only set aside."""
        path = blob_of(model, "notes")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"nites")
        path.chmod(0o444)

        report = project.repair(dry_run=False)

        assert report.ok
        assert not path.exists()
        assert quarantined(project) == [b"nites"]
        assert model.open("notes").read() == b"notes"

    def test_repair_uses_the_good_file(self, project: lineage.Project, model: lineage.Version) -> None:
        """Damaged bytes inside the project file give way to a good file; they are kept aside."""
        path = blob_of(model, "notes")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"notes")
        path.chmod(0o444)
        edit(project, "UPDATE chunk SET data = x'6e6f746572' WHERE data = x'6e6f746573'")

        report = project.repair(dry_run=False)

        assert report.ok
        assert quarantined(project) == [b"noter"]
        assert model.open("notes").read() == b"notes"
        assert project.verify().problems == ()

    def test_repair_sets_damaged_bytes_aside(self, project: lineage.Project, model: lineage.Version) -> None:
        """Without a good copy they are moved, not dropped; the version still misses them, and logging them heals it."""
        path = blob_of(model, "big/weights")
        damage(path)
        damaged = path.read_bytes()
        edit(project, "UPDATE chunk SET data = x'6e6f746572' WHERE data = x'6e6f746573'")

        report = project.repair(dry_run=False)

        assert {(problem.kind, problem.versions) for problem in report.remaining} == {
            (ProblemKind.BYTES_MISSING, ("m:v0",))
        }
        assert sorted(quarantined(project)) == sorted([damaged, b"noter"])
        log(project, "again", {"a": large("weights"), "b": b"notes"})
        assert project.verify().problems == ()
        assert model.open("big/weights").read() == large("weights")

    @pytest.mark.parametrize("kind", ["folder", "fifo", "link", "dangling link"])
    def test_repair_sets_aside_what_is_no_file(
        self, project: lineage.Project, model: lineage.Version, kind: str
    ) -> None:
        """What stands in a blob's place is moved whole; a link's target is not touched."""
        path = blob_of(model, "big/weights")
        replace(path, kind)

        project.repair(dry_run=False)

        assert not path.is_symlink()
        assert not path.exists()
        assert len(list((project.blob_folder / "quarantine").iterdir())) == 1
        assert (project.blob_folder / "tmp" / "kept").read_bytes() == large("weights")

    def test_repair_makes_blobs_read_only(self, project: lineage.Project, model: lineage.Version) -> None:
        """A file that can be written loses that."""
        path = blob_of(model, "big/weights")
        path.chmod(0o666)

        report = project.repair(dry_run=False)

        assert report.remaining == ()
        assert path.stat().st_mode & 0o777 == 0o444

    def test_repair_gives_latest_back(self, project: lineage.Project, model: lineage.Version) -> None:
        """It names the highest live version, and its history says who repaired."""
        for number in range(3):
            log(project, "m", {"a": str(number).encode()})
        edit(project, "DELETE FROM alias WHERE name = 'latest' AND artifact = 2")
        edit(project, "UPDATE version SET deleted_at = created_at WHERE number = 3")

        report = project.repair(dry_run=False)

        assert report.ok
        assert project.version("m").number == 2
        assert project.alias_history("m:latest")[-1].moved_to == "m:v2"
        assert project.verify().problems == ()

    def test_repair_takes_aliases_off_deleted_versions(self, project: lineage.Project, model: lineage.Version) -> None:
        """`latest` moves on, others go, a protected one too, each with an event."""
        log(project, "m", {"a": b"1"})
        project.version("m:v0").add_alias("prod", protect=True)
        edit(project, "UPDATE version SET deleted_at = created_at WHERE id = 2")
        edit(project, "UPDATE alias SET version = 2 WHERE name = 'latest' AND artifact = 2")

        report = project.repair(dry_run=False)

        assert report.remaining == ()
        assert project.version("m").aliases == ("latest",)
        assert project.alias_history("m:prod")[-1].moved_to is None
        assert project.verify().problems == ()

    def test_repair_removes_latest_where_no_version_is_left(
        self, project: lineage.Project, model: lineage.Version
    ) -> None:
        """With every version deleted there is nothing to name."""
        edit(project, "UPDATE version SET deleted_at = created_at WHERE id = 2")

        assert project.repair(dry_run=False).ok
        assert rows(project, "SELECT count(*) FROM alias WHERE artifact = 2") == [(0,)]

    def test_repair_ends_histories_where_aliases_point(self, project: lineage.Project, model: lineage.Version) -> None:
        """What is missing is appended; nothing that was written is changed."""
        log(project, "m", {"a": b"1"}, aliases=["new"])
        edit(project, "DELETE FROM alias_event WHERE name = 'new'")
        edit(project, "DELETE FROM alias WHERE name = 'best'")

        assert project.repair(dry_run=False).remaining == ()

        assert [(e.moved_from, e.moved_to) for e in project.alias_history("m:new")] == [(None, "m:v1")]
        assert [(e.moved_from, e.moved_to) for e in project.alias_history("m:best")] == [
            (None, "m:v0"),
            ("m:v0", None),
        ]

    def test_repair_counts_listings_anew(self, project: lineage.Project, model: lineage.Version) -> None:
        """Counts are set from files that are those that were logged."""
        edit(project, "UPDATE manifest SET file_count = 0, size = 1 WHERE id = 2")

        assert project.repair(dry_run=False).remaining == ()
        assert (project.version("m").file_count, project.version("m").size) == (2, LARGE + 5)

    def test_repair_leaves_counts_of_changed_listings(self, project: lineage.Project, model: lineage.Version) -> None:
        """Of files that are others than were logged, the count is evidence."""
        edit(project, "DELETE FROM entry WHERE path = 'notes'")

        report = project.repair(dry_run=False)

        assert report.actions == ()
        assert ProblemKind.MANIFEST_COUNTS in {problem.kind for problem in report.remaining}

    def test_repair_raises_a_counter_that_would_repeat_a_number(
        self, project: lineage.Project, model: lineage.Version
    ) -> None:
        """The next version gets a number of its own."""
        edit(project, "UPDATE artifact SET next_number = 0 WHERE name = 'm'")

        assert project.repair(dry_run=False).remaining == ()
        assert log(project, "m", {"a": b"1"}).number == 1

    def test_repair_leaves_gaps_in_numbers(self, project: lineage.Project, model: lineage.Version) -> None:
        """A number that was given is not given again, so a counter is never lowered."""
        edit(project, "UPDATE artifact SET next_number = 3 WHERE name = 'm'")

        report = project.repair(dry_run=False)

        assert report.actions == ()
        assert [problem.kind for problem in report.remaining] == [ProblemKind.NUMBERING]

    def test_repair_writes_crashed_runs_down(self, project: lineage.Project) -> None:
        """A run whose process is gone is marked, also where nothing else is wrong."""
        run = project.start_run("train")
        edit(project, "UPDATE run SET process = '', pid = ?", 2**30)

        report = project.repair(dry_run=False)

        assert [action.subject for action in report.actions] == [run.id]
        assert rows(project, "SELECT status FROM run") == [("crashed",)]
        run._finished = True  # or its finalizer would end it

    def test_repair_marks_a_crashed_run_whose_config_is_broken(self, project: lineage.Project) -> None:
        """What cannot be read of a run does not hold up what can be mended."""
        run = project.start_run("train")
        edit(project, "UPDATE run SET process = '', pid = ?, config = '[]'", 2**30)

        report = project.repair(dry_run=False)

        assert [(action.subject, action.done) for action in report.actions] == [(run.id, True)]
        assert [problem.kind for problem in report.remaining] == [ProblemKind.JSON]
        run._finished = True  # or its finalizer would end it

    def test_repair_plans_nothing_for_what_is_gone(self, project: lineage.Project) -> None:
        """What was deleted since it was looked at needs no step."""
        problems = [
            Problem(ProblemKind.BYTES_DAMAGED, "a" * 64, "gone"),
            Problem(ProblemKind.MANIFEST_COUNTS, "a" * 64, "gone"),
        ]

        assert mending.plan(project._store, problems) == []

    def test_repair_writes_nothing_into_a_damaged_file(self, project: lineage.Project, model: lineage.Version) -> None:
        """Where SQLite finds the file wrong there is no plan, only the problems."""
        edit(project, "UPDATE manifest SET size = -1 WHERE id = 2")
        damage(blob_of(model, "big/weights"))
        before = state(project)

        report = project.repair(dry_run=False)

        assert report.actions == ()
        assert not report.ok
        assert state(project) == before

    def test_repair_says_what_failed_and_goes_on(
        self, project: lineage.Project, model: lineage.Version, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A step that the system refuses is reported, its problem stays, the next step is taken."""
        damage(blob_of(model, "big/weights"))
        edit(project, "UPDATE artifact SET next_number = 0 WHERE name = 'm'")

        def refuse(self: object, digest: Digest, source: Path | None = None) -> Path:
            raise StorageError("no room")

        monkeypatch.setattr(lineage.blobs.BlobFolder, "quarantine", refuse)

        report = project.repair(dry_run=False)

        assert [(action.done, action.error) for action in report.actions] == [(False, "no room"), (True, None)]
        assert [problem.kind for problem in report.remaining] == [ProblemKind.BYTES_DAMAGED]

    @pytest.mark.parametrize("lock", ["gc.lock", "write.lock"])
    def test_repair_is_busy_where_others_write(
        self, project: lineage.Project, model: lineage.Version, lock: str
    ) -> None:
        """Where others store bytes or rows for longer than the time-out, it gives up; a plan needs no lock."""
        edit(project, "UPDATE artifact SET next_number = 0 WHERE name = 'm'")
        impatient = lineage.open(project.file, timeout=0.05)

        with file_lock(project.blob_folder / lock, timeout=1):
            planned = impatient.repair().actions
            with pytest.raises(BusyError):
                impatient.repair(dry_run=False)

        assert len(planned) == 1

    def test_repair_read_only_can_only_be_planned(self, project: lineage.Project, model: lineage.Version) -> None:
        """A plan needs no right to write."""
        damage(blob_of(model, "big/weights"))
        reader = lineage.open(project.file, read_only=True)

        assert len(reader.repair().actions) == 1
        with pytest.raises(ReadOnlyError):
            reader.repair(dry_run=False)

    def test_repair_inside_a_batch_is_refused(self, project: lineage.Project, model: lineage.Version) -> None:
        """A batch may be undone, a moved file would not be."""
        with project.batch(), pytest.raises(StateError):
            project.repair(dry_run=False)


def put_inside(project: lineage.Project, data: bytes) -> None:
    """Let bytes lie inside the project file as well, cut as in a packed file."""
    for seq in range(-(-len(data) // CHUNK)):
        piece = data[seq * CHUNK : (seq + 1) * CHUNK]
        edit(
            project,
            "INSERT INTO chunk (blob, seq, data) SELECT id, ?, ? FROM blob WHERE size = ?",
            seq,
            piece,
            len(data),
        )


def quarantined(project: lineage.Project) -> list[bytes]:
    """Return what was set aside."""
    return [path.read_bytes() for path in (project.blob_folder / "quarantine").iterdir()]
