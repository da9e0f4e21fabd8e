"""Whatever is handed to a public call, it is kept exactly or refused with a LineageError that leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import draft
from footprint import footprint, refused, tidy  # noqa: F401 (fixtures are used by name)
from ledger import Ledger

import lineage
from lineage.records import Entry

pytestmark = pytest.mark.faults("P18", "F72 F73 F78-F80", "odd text in every field that takes some")


@pytest.fixture(autouse=True)
def _counted(ledger: Ledger) -> Iterator[None]:
    """Count each test as a case of the promise."""
    yield
    ledger.case()


@dataclass
class Case:
    """A project with a version and a run that goes on, for the calls below."""

    project: lineage.Project
    version: lineage.Version
    run: lineage.ActiveRun


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    """One version and one running run; every test leaves them as they are, and so shows it once more."""
    project = lineage.open(tmp_path_factory.mktemp("case") / "p.lineage")
    version = project.log_artifact(draft("d", {"a.txt": "hello"}), aliases=["best"])
    assert version is not None
    run = project.start_run("train", "r")
    yield Case(project, version, run)
    run.finish()


TEXT_OF_NONE: list[Any] = [5, 1.5, b"x", ["l"], {"a": 1}, object(), "\ud800", "a\0b"]
"""What is no name, reference or id in any place."""
LISTS_OF_NONE: list[Any] = [5, 1.5, b"x", object(), [["l"]], [b"x"]]
"""What is no list of names in any place."""
Call = Callable[[Case, Any], object]

TEXTS: dict[str, Call] = {
    "run": lambda c, x: c.project.run(x),
    "version": lambda c, x: c.project.version(x),
    "artifact": lambda c, x: c.project.artifact(x),
    "alias_history": lambda c, x: c.project.alias_history(x),
    "alias_history of one": lambda c, x: c.project.alias_history("d:" + x if isinstance(x, str) else x),
    "node": lambda c, x: c.project.node(x),
    "ancestors": lambda c, x: c.project.ancestors(x),
    "descendants": lambda c, x: c.project.descendants(x),
    "ancestors kind": lambda c, x: c.project.ancestors("d", kind=x),
    "depends_on": lambda c, x: c.project.depends_on("d", x),
    "path": lambda c, x: c.project.path("d", x),
    "common_ancestors": lambda c, x: c.project.common_ancestors(x, "d"),
    "graph": lambda c, x: c.project.graph(x),
    "graph direction": lambda c, x: c.project.graph(direction=x),
    "graph collapse": lambda c, x: c.project.graph(collapse=x),
    "diff": lambda c, x: c.project.diff("d", x),
    "Version.diff": lambda c, x: c.version.diff(x),
    "whereis": lambda c, x: c.project.whereis(x),
    "runs consumed": lambda c, x: c.project.runs(consumed=x),
    "runs produced": lambda c, x: c.project.runs(produced=x),
    "record": lambda c, x: c.project.record(x),
    "record consumed": lambda c, x: c.project.record("r", consumed=[x]),
    "record produced": lambda c, x: c.project.record("r", produced=[x]),
    "rename_artifact": lambda c, x: c.project.rename_artifact(x, "e"),
    "rename_artifact to": lambda c, x: c.project.rename_artifact("d", x),
    "delete_artifact": lambda c, x: c.project.delete_artifact(x),
    "update_artifact": lambda c, x: c.project.update_artifact(x, description="words"),
    "size": lambda c, x: c.project.size(x),
    "start_run job_type": lambda c, x: c.project.start_run(x),
    "start_run name": lambda c, x: c.project.start_run(name=x),
    "start_run id": lambda c, x: c.project.start_run(id=x),
    "start_run group": lambda c, x: c.project.start_run(group=x),
    "start_run notes": lambda c, x: c.project.start_run(notes=x),
    "start_run resume": lambda c, x: c.project.start_run(resume=x),
    "start_run use": lambda c, x: c.project.start_run(use=[x]),
    "Artifact name": lambda c, x: lineage.Artifact(x, "dataset"),
    "Artifact type": lambda c, x: lineage.Artifact("e", x),
    "Artifact description": lambda c, x: lineage.Artifact("e", "dataset", x),
    "new_file": lambda c, x: lineage.Artifact("e", "dataset").new_file(x).__enter__(),
    "new_file mode": lambda c, x: lineage.Artifact("e", "dataset").new_file("a", x).__enter__(),
    "new_file encoding": lambda c, x: lineage.Artifact("e", "dataset").new_file("a", encoding=x).__enter__(),
    "add_file": lambda c, x: lineage.Artifact("e", "dataset").add_file(x),
    "add_file name": lambda c, x: lineage.Artifact("e", "dataset").add_file(__file__, x),
    "add_dir": lambda c, x: lineage.Artifact("e", "dataset").add_dir(x),
    "add_dir name": lambda c, x: lineage.Artifact("e", "dataset").add_dir(Path(__file__).parent, x),
    "add_reference": lambda c, x: lineage.Artifact("e", "dataset").add_reference(x),
    "add_reference name": lambda c, x: lineage.Artifact("e", "dataset").add_reference("s3://b/k", x),
    "remove": lambda c, x: draft("e", {"a": "b"}).remove(x),
    "log_artifact": lambda c, x: c.project.log_artifact(x),
    "log_artifact name": lambda c, x: c.project.log_artifact(__file__, x),
    "log_artifact type": lambda c, x: c.project.log_artifact(__file__, "e", x),
    "log_artifact description": lambda c, x: c.project.log_artifact(__file__, "e", description=x),
    "log_artifact alias": lambda c, x: c.project.log_artifact(__file__, "e", aliases=[x]),
    "log_artifact tag": lambda c, x: c.project.log_artifact(__file__, "e", tags=[x]),
    "use_artifact": lambda c, x: c.run.use_artifact(x),
    "use_artifact use_as": lambda c, x: c.run.use_artifact("d", x),
    "use_artifact type": lambda c, x: c.run.use_artifact("d", type=x),
    "log": lambda c, x: c.run.log({x: 1} if isinstance(x, str) else x),
    "finish": lambda c, x: c.run.finish(x),
    "entry": lambda c, x: c.version.entry(x),
    "open": lambda c, x: c.version.open(x),
    "open mode": lambda c, x: c.version.open("a.txt", x),
    "open encoding": lambda c, x: c.version.open("a.txt", "r", x),
    "add_alias": lambda c, x: c.version.add_alias(x),
    "remove_alias": lambda c, x: c.version.remove_alias(x),
    "Version.update description": lambda c, x: c.version.update(description=x),
    "Version.update tags": lambda c, x: c.version.update(tags=[x]),
    "Run.update name": lambda c, x: c.project.run("r").update(name=x),
    "Run.update notes": lambda c, x: c.project.run("r").update(notes=x),
    "Run.update tags": lambda c, x: c.project.run("r").update(tags=[x]),
    "download": lambda c, x: c.version.download(x),
    "download path_prefix": lambda c, x: c.version.download("out", x),
    "checkout": lambda c, x: c.version.checkout(x),
    "verify": lambda c, x: c.version.verify(x),
    "open project": lambda c, x: lineage.open(x),
    "sql": lambda c, x: c.project.sql(x),
}

PROSE = {"start_run notes", "Artifact description", "log_artifact description", "Version.update description",
         "Run.update notes", "download path_prefix", "add_reference"}  # fmt: skip
"""Where long text is welcome."""


@pytest.mark.parametrize("place", TEXTS)
def test_call_with_what_is_no_text_is_refused_and_leaves_nothing(case: Case, place: str) -> None:
    """No public call lets another exception through, or keeps anything, where a name or text is wrong."""
    before = footprint(case.project)

    for wrong in TEXT_OF_NONE:
        if place == "log" and isinstance(wrong, dict):
            continue  # metrics are a dict
        with pytest.raises(lineage.InvalidInputError) as caught:
            TEXTS[place](case, wrong)
        assert len(str(caught.value)) < 600, (place, wrong)
        del caught

    assert footprint(case.project) == before


@pytest.mark.parametrize("place", sorted(TEXTS.keys() - PROSE))
def test_call_with_a_name_of_100_kilobytes_is_refused_in_a_message_of_bounded_length(case: Case, place: str) -> None:
    """A name that is far too long is refused, or not found, without the message repeating all of it."""
    before = footprint(case.project)

    with pytest.raises(lineage.LineageError) as caught:
        TEXTS[place](case, "x" * 100_000)

    assert len(str(caught.value)) <= 4_001
    del caught
    assert footprint(case.project) == before


LISTS: dict[str, Call] = {
    "start_run tags": lambda c, x: c.project.start_run(tags=x),
    "start_run use": lambda c, x: c.project.start_run(use=x),
    "record consumed": lambda c, x: c.project.record("r", consumed=x),
    "record produced": lambda c, x: c.project.record("r", produced=x),
    "log_artifact aliases": lambda c, x: c.project.log_artifact(__file__, "e", aliases=x),
    "log_artifact tags": lambda c, x: c.project.log_artifact(__file__, "e", tags=x),
    "ActiveRun.log_artifact aliases": lambda c, x: c.run.log_artifact(__file__, "e", aliases=x),
    "ActiveRun.log_artifact tags": lambda c, x: c.run.log_artifact(__file__, "e", tags=x),
    "history": lambda c, x: c.project.run("r").history(x),
    "ActiveRun.history": lambda c, x: c.run.history(x),
    "runs tags": lambda c, x: len(c.project.runs(tags=x)),
    "versions tags": lambda c, x: len(c.project.versions(tags=x)),
    "ancestors types": lambda c, x: c.version.ancestors(types=x),
    "descendants job_types": lambda c, x: c.version.descendants(job_types=x),
    "Project.ancestors types": lambda c, x: c.project.ancestors("d", types=x),
    "Version.update tags": lambda c, x: c.version.update(tags=x),
    "Run.update tags": lambda c, x: c.project.run("r").update(tags=x),
}


@pytest.mark.parametrize("place", LISTS)
def test_call_with_what_is_no_list_of_texts_is_refused_and_leaves_nothing(case: Case, place: str) -> None:
    """A number, bytes, an object, or a list of such, is never taken for a list of names."""
    before = footprint(case.project)

    for wrong in LISTS_OF_NONE:
        with pytest.raises(lineage.InvalidInputError) as caught:
            LISTS[place](case, wrong)
        assert len(str(caught.value)) < 600, (place, wrong)
        del caught

    assert footprint(case.project) == before


NAN, INF = float("nan"), float("inf")
OTHERS: dict[str, tuple[Call, list[Any]]] = {
    "open timeout": (lambda c, x: lineage.open(c.project.file, timeout=x), [None, "1", -1, NAN, INF, True, 1e6]),
    "runs limit": (lambda c, x: c.project.runs(limit=x), ["1", -1, 1.5, True, [1]]),
    "versions limit": (lambda c, x: c.project.versions(limit=x), ["1", -1, 1.5, True]),
    "artifacts limit": (lambda c, x: c.project.artifacts(limit=x), ["1", -1, 1.5, True]),
    "search limit": (lambda c, x: c.project.search("a", limit=x), [None, "1", -1, 1.5, True]),
    "search": (lambda c, x: c.project.search(x), [None, 5, b"x", ["a"], "", "  ", "\n", "\ud800", "a\0"]),
    "ancestors depth": (lambda c, x: c.version.ancestors(depth=x), ["1", -1, 1.5, True]),
    "descendants depth": (lambda c, x: c.project.descendants("d", depth=x), ["1", -1, 1.5, True]),
    "graph depth": (lambda c, x: c.project.graph("d", depth=x), ["1", -1, 1.5, True]),
    "version as_of": (lambda c, x: c.project.version("d", as_of=x), [5, "", "yesterday", b"x", ["2026"]]),
    "runs order": (lambda c, x: c.project.runs(order=x), [5, b"x", [5], "nope", "-config", object()]),
    "runs where": (lambda c, x: c.project.runs(x), [5, "status", b"x", [1], object(), {"nope": 1}, {5: 1}]),
    "start_run config": (lambda c, x: c.project.start_run(config=x), [5, [1], b"x", object(), "text", {"a": object()}]),
    "Artifact metadata": (lambda c, x: lineage.Artifact("e", "t", metadata=x), [5, [1], b"x", object(), {"a": INF}]),
    "log_artifact metadata": (
        lambda c, x: c.project.log_artifact(__file__, "e", metadata=x),
        [5, [1], b"x", object(), {"a": {1, object()}}],
    ),
    "Version.update metadata": (lambda c, x: c.version.update(metadata=x), [5, [1], b"x", object(), {"a": b"x"}]),
    "config item": (lambda c, x: c.run.config.__setitem__("a", x), [b"x", object(), float("inf"), {"a": object()}]),
    "summary attribute": (lambda c, x: setattr(c.run.summary, "a", x), [b"x", object(), float("-inf")]),
    "log value": (lambda c, x: c.run.log({"a": x}), [b"x", object(), [float("inf")]]),
    "log step": (lambda c, x: c.run.log({"a": 1}, step=x), ["1", -1, 1.5, True, 1 << 62, b"x"]),
    "finish": (lambda c, x: c.run.finish(x), [5, "", "running", "crashed", "done", b"finished", ["finished"]]),
    "finish exit_code": (lambda c, x: c.run.finish(exit_code=x), ["1", 1.5, b"x", [1], 1 << 31, -(1 << 63)]),
    "only_if_better": (
        lambda c, x: c.project.log_artifact(__file__, "e", metadata={"iou": 1}, only_if_better=x),
        [5, "iou", ("iou",), ("iou", "up"), (5, "max"), ("iou", "max", 1), {"iou": "max"}, object(), ("loss", "min")],
    ),
    "log_artifact progress": (lambda c, x: c.project.log_artifact(__file__, "e", progress=x), [5, "x", [1], object()]),
    "download progress": (lambda c, x: c.version.download("out", progress=x), [5, "x", object()]),
    "checkout progress": (lambda c, x: c.version.checkout("out", progress=x), [5, "x", object()]),
    "gc progress": (lambda c, x: c.project.gc(progress=x), [5, "x", object()]),
    "verify progress": (lambda c, x: c.project.verify(progress=x), [5, "x", object()]),
    "repair progress": (lambda c, x: c.project.repair(progress=x), [5, "x", object()]),
    "prune": (
        lambda c, x: c.project.prune(**x),
        [{}, {"keep_last": 0}, {"keep_last": "1"}, {"keep_last": -1}, {"older_than": 5}, {"older_than": timedelta(-1)},
         {"artifact": 5, "keep_last": 1}, {"type": 5, "keep_last": 1}],
    ),
    "sql parameters": (
        lambda c, x: c.project.sql("SELECT ? AS a", x),
        [5, None, [], [object()], [2**63], ["\ud800"], [1, 2]],
    ),
    "Reference number": (lambda c, x: c.project.version(lineage.Reference("d", number=x)), ["1", -1, 2**63, 1.0, True]),
}  # fmt: skip


@pytest.mark.parametrize("place", OTHERS)
def test_call_with_a_value_that_breaks_its_rule_is_refused_and_leaves_nothing(case: Case, place: str) -> None:
    """Numbers, times, JSON data, filters and functions keep their rules, too."""
    before = footprint(case.project)
    call, wrong_ones = OTHERS[place]

    for wrong in wrong_ones:
        with pytest.raises(lineage.InvalidInputError) as caught:
            call(case, wrong)
        assert len(str(caught.value)) < 1_000, (place, wrong)
        del caught

    assert footprint(case.project) == before


BAD_ENTRIES = [
    Entry("../x", "0" * 64, 1, version="v"),
    Entry("/x", "0" * 64, 1, version="v"),
    Entry("", "0" * 64, 1, version="v"),
    Entry(5, "z", 5, "s3://x", stored=False),  # type: ignore[arg-type]
    Entry("x", None, 1, version="v"),
    Entry("x", "../../etc/passwd", 1, version="v"),
    Entry("x", "0" * 64, 1),
    Entry("x", "0" * 64, 1, version=5),  # type: ignore[arg-type]
    Entry("x", "0" * 64, 1, version="\ud800"),
    Entry("x", "z", -5, "s3://x", stored=False),
    Entry("x", "z", "q", "s3://x", stored=False),  # type: ignore[arg-type]
    Entry("x", "z", 2**70, "s3://x", stored=False),
    Entry("x", "z", True, "s3://x", stored=False),
    Entry("x", "z", 5, None, stored=False),
    Entry("x", "z", 5, "no uri", stored=False),
    Entry("x", "z", 5, 5, stored=False),  # type: ignore[arg-type]
    Entry("x", 5, 5, "s3://x", stored=False),  # type: ignore[arg-type]
    Entry("x", "", 5, "s3://x", stored=False),
    Entry("x", "\ud800", 5, "s3://x", stored=False),
    Entry("x", "z", 5, "s3://\ud800", stored=False),
    Entry("x", "z", 5, "s3://x", stored=False, extra=5),  # type: ignore[arg-type]
    Entry("x", "f" * 64, None, version="01" * 13),
    Entry("x", "z", 5, "s3://x", stored=False, extra={"a": object()}),  # type: ignore[dict-item]
]


@pytest.mark.parametrize("entry", BAD_ENTRIES)
def test_add_reference_of_an_entry_made_by_hand_keeps_every_rule(case: Case, entry: Entry) -> None:
    """An entry that no version gave is checked like anything else, so that no path or digest slips by."""
    with refused(case.project, lineage.InvalidInputError, "."):
        lineage.Artifact("e", "dataset").add_reference(entry)


@pytest.mark.parametrize("entry", [Entry("x", "0" * 64, 1, version="v"), Entry("x", "f" * 64, 5, version="01" * 13)])
def test_log_of_an_entry_whose_bytes_are_not_here_is_refused(case: Case, entry: Entry) -> None:
    """Bytes that the project does not hold cannot be shared, and nothing of the version is stored."""
    artifact = lineage.Artifact("e", "dataset")
    artifact.add_reference(entry)

    with refused(
        case.project,
        lineage.InvalidInputError,
        "the bytes of x are not in this project",
        lineage.ErrorKind.CONTENT_MISSING,
    ):
        case.project.log_artifact(artifact)


@pytest.mark.parametrize(
    "entry",
    [
        Entry("x", "0" * 64, 1, "a b\n"),
        Entry("x", "0" * 64, 1, "http://[x"),
        Entry("x", "0" * 64, 1, extra={"a": object()}),  # type: ignore[dict-item]
        Entry("x", "0" * 64, 1, extra=5),  # type: ignore[arg-type]
        Entry("x", "0" * 64, None),
        Entry("x", "0" * 64, -1),
        Entry("x", "0", 1),
        Entry("../x", "0" * 64, 1),
    ],
)
def test_add_entries_made_by_hand_keep_every_rule(case: Case, entry: Entry) -> None:
    """What a stored entry says besides its bytes is checked as a reference's is: else no project could take it."""
    with refused(case.project, lineage.InvalidInputError, "."):
        lineage.Artifact("e", "dataset").add_entries([entry])


@pytest.mark.parametrize("data", [b"small", b"large" * 20_000])
def test_log_of_an_entry_of_another_size_than_its_bytes_is_refused(project: lineage.Project, data: bytes) -> None:
    """A digest has one size; also beside an entry of the right one."""
    (entry,) = project.log_artifact(draft("sized", {"a": data})).files()
    artifact = lineage.Artifact("e", "dataset")
    artifact.add_entries([entry, replace(entry, path="b", size=7)])

    with refused(project, lineage.InvalidInputError, "not of that size", lineage.ErrorKind.CONTENT_MISSING):
        project.log_artifact(artifact)


HOSTILE = [
    "'; DROP TABLE run; --",
    '"',
    "%s%n",
    "$(x)`y`",
    "<script>alert(1)</script>",
    "__proto__",
    "{{7*7}}",
    "漢字 🙂",
    "a'b\"c",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_an_attacker_is_kept_exactly_wherever_text_may_be(project: lineage.Project, text: str) -> None:
    """What would be SQL, HTML or a format elsewhere is text here, and comes back as it was given."""
    data = lineage.Artifact("d", text, text, {text: text})
    with data.new_file(text.replace("/", "_")) as file:
        file.write(text)
    words: dict[str, Any] = {"name": text, "job_type": text, "group": text, "notes": text, "config": {text: text}}

    with project.start_run(**words) as run:
        run.log({text: 1})
        run.summary[text] = text
        version = run.log_artifact(data, aliases=[text.replace("/", "_")])
        run.use_artifact(project.log_artifact(lineage.Artifact("e", "t")), text)

    assert version is not None
    stored = project.run(text)
    assert (stored.name, stored.job_type, stored.group, stored.notes) == (text, text, text, text)
    assert (stored.config, stored.summary) == ({text: text}, {text: text})
    assert (version.type, version.description, version.metadata) == (text, text, {text: text})
    assert version.open(text.replace("/", "_"), "r").read() == text
    assert project.version(f"d:{text.replace('/', '_')}") == version
    assert [one.name for one in project.runs(job_type=text, group=text)] == [text]
    assert project.graph().edges["e:v0", run.id]["use_as"] == text


def test_text_with_line_breaks_and_nul_in_json_is_kept_exactly(project: lineage.Project) -> None:
    """Values of metadata, config and summary may hold any characters but half ones."""
    odd = "a\0b\nc\x1b[31m\u2028\u202e"

    with project.start_run(config={"odd": odd}) as run:
        run.summary["odd"] = odd
        version = run.log_artifact(lineage.Artifact("d", "t", metadata={"odd": odd}))

    assert version is not None
    assert project.version("d").metadata == {"odd": odd}
    assert project.run(run.id).config == {"odd": odd}
    assert project.run(run.id).summary == {"odd": odd}
