"""Filters and orders on a real project: what is listed is what plain Python would pick from the records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from conftest import draft
from filter_oracle import MISSING, json_value, matches, ranked
from hypothesis import given, settings
from hypothesis import strategies as st
from invariants import assert_store_sound

import lineage
from lineage import InvalidInputError
from lineage.listing import Listing
from lineage.values import timestamp_text

T = TypeVar("T")
many = settings(max_examples=settings().max_examples * 3)

RUN_KEYS = (
    "id", "name", "job_type", "group", "status", "notes", "host", "user", "exit_code", "started_at", "ended_at", "tags",
    "config.lr", "config.optim.name", "config.optim.lr", "config.flag", "config.none", "config.list", "config.nosuch",
    "config.a.b", "summary.loss", "summary.best.iou", "code.script",
)  # fmt: skip
VERSION_KEYS = (
    "name", "type", "number", "digest", "size", "file_count", "description", "created_at", "step", "aliases", "tags",
    "metadata.iou", "metadata.split.train", "metadata.none", "metadata.flag", "metadata.nosuch",
)  # fmt: skip
ARTIFACT_KEYS = ("name", "type", "description", "created_at", "version_count", "aliases")
SETS = ("tags", "aliases")
VALUES = (
    None, True, False, 0, 1, 2, 3, -1, 0.1, 0.5, 1.5, 1e-3, 20_003, "", "a", "run1", "train", "eval", "adam", "sgd",
    "1", "true", "finished", "failed", "killed", "running", "dataset", "model", "latest", "best", "t1", "t 2", "one",
    "two", "weights", "words", "0.5", "ä", "A", "data", "null", "2020", "9999",
)  # fmt: skip
NUMBERS = ("exit_code", "number", "size", "file_count", "step", "version_count")
TIMES = ("started_at", "ended_at", "created_at")
STATES = ("running", "finished", "failed", "killed", "crashed")
MOMENTS = tuple(datetime(year, 1, 1, tzinfo=UTC) for year in (2020, 2026, 9000))
PLACES = st.integers(-60, 60)
PATTERNS = ("^t", "a", "^$", "[0-9]", "(?i)ADAM", "in|al", ".", "ä", "^run1$", r"\d$")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> lineage.Project:
    """A project with runs, versions and artifacts of all sorts, some of them deleted."""
    project = lineage.open(tmp_path_factory.mktemp("filters") / "p.lineage")
    configs: tuple[dict[str, Any], ...] = (
        {}, {"lr": 0.1, "optim": {"name": "adam", "lr": 1}, "flag": True}, {"lr": "0.1", "optim": "sgd", "none": None},
        {"lr": 1, "optim.lr": 0.5, "list": [1, 2]},
        {"lr": 1e-3, "optim": {"name": "SGD"}, "flag": False, "a": {"b": {"c": 1}}},
        {"lr": True, "a.b": "x", "a": {"b": 2}}, {"lr": 10**12, "optim": {"name": ""}}, {"lr": None, "flag": 1},
    )  # fmt: skip
    metadata: tuple[dict[str, Any], ...] = (
        {}, {"iou": 0.25, "split": {"train": 0.5}}, {"iou": "1", "none": None, "flag": True}, {"iou": 1.5}, {"iou": 3},
    )  # fmt: skip
    with project.batch():
        for number in range(40):
            run = project.start_run(
                (None, "train", "eval")[number % 3], f"run{number}" if number % 4 else None, id=f"run-{number:02}",
                config=configs[number % len(configs)], group=(None, "A", "ä")[number % 5 % 3],
                tags=("t1", "t 2", "a")[: number % 4], notes=(None, "words", "a\nb")[number % 7 % 3],
            )  # fmt: skip
            if number % 6:
                run.log({"loss": number / 8 if number % 6 > 1 else number, "best": {"iou": number % 3}})
            for turn in range(number % 3):
                made = draft(
                    ("data", "weights", "other")[(number + turn) % 3], {"a": f"{number} {turn}", "b": b"b" * number},
                    type=("dataset", "model", "dataset")[(number + turn) % 3],
                    metadata=metadata[number % len(metadata)], description=(None, "one", "two")[number % 4 % 3],
                )  # fmt: skip
                run.log_artifact(made, aliases=("best", "prod")[: number % 5 % 3], tags=("t1", "t 2")[: number % 3])
            if number % 7:
                run.finish(("finished", "failed", "killed")[number % 3])
        project.log_artifact(draft("none", type="empty"))
        project.log_artifact(draft("doomed", {"a": "1"}))
        project.update_artifact("data", description="words")
        project.delete_artifact("doomed")
        project.version("data:v1").delete(delete_aliases=True)
        for run_id in ("run-03", "run-10"):
            project.run(run_id).delete()
    spread_durations(project)
    assert_store_sound(project)
    return project


def spread_durations(project: lineage.Project) -> None:
    """Have the runs take seconds and minutes, and not all of them milliseconds."""
    with project._store.writing() as connection:
        for number, run in enumerate(run for run in project.runs(include_deleted=True) if run.record.ended_at):
            ended = datetime.fromisoformat(run.record.started_at) + timedelta(seconds=number * 1.25)
            connection.execute("UPDATE run SET ended_at = ? WHERE uid = ?", (timestamp_text(ended), run.id))


def of_run(run: lineage.Run, key: str) -> object:
    """Return what a filter key means for a run, from its record alone."""
    head, _, rest = key.partition(".")
    if rest:
        return json_value(getattr(run.record, head), rest)
    if key == "tags":
        return frozenset(run.tags)
    value = getattr(run.record, key)
    return MISSING if value is None else str(value) if isinstance(value, str) else value


def of_version(version: lineage.Version, key: str) -> object:
    """Return what a filter key means for a version, from its record alone."""
    head, _, rest = key.partition(".")
    if rest:
        return json_value(getattr(version.record, head), rest)
    value = getattr(version.record, key)
    if key in SETS:
        return frozenset(value)
    return MISSING if value is None else str(value) if isinstance(value, str) else value


def of_artifact(record: lineage.ArtifactRecord, key: str, aliases: Mapping[str, frozenset[str]]) -> object:
    """Return what a filter key means for an artifact, from its record and its aliases."""
    if key == "aliases":
        return aliases.get(record.name, frozenset())
    value = getattr(record, key)
    return MISSING if value is None else value


def operands(key: str) -> st.SearchStrategy[object]:
    """Return a strategy for what may stand beside a key."""
    values: tuple[Any, ...] = STATES if key == "status" else MOMENTS if key in TIMES else VALUES
    if "." not in key:
        texts = key not in NUMBERS
        values = (None, *(value for value in values if type(value) in ((str, datetime) if texts else (int, float))))
    one = st.sampled_from(values)
    texts_and_numbers = st.sampled_from(
        [value for value in values if value is not None and not isinstance(value, bool)]
    )
    operators: dict[str, st.SearchStrategy[object]] = {
        "$eq": one, "$ne": one, "$exists": st.booleans(),
        "$in": st.lists(one, max_size=4), "$nin": st.lists(one, max_size=4),
    }  # fmt: skip
    if key not in NUMBERS:
        operators["$regex"] = st.sampled_from(PATTERNS)
    if key not in SETS:
        operators |= dict.fromkeys(("$gt", "$gte", "$lt", "$lte"), texts_and_numbers)
    single = st.sampled_from(sorted(operators)).flatmap(
        lambda word: operators[word].map(lambda operand: {word: operand})
    )
    several = st.lists(single, min_size=1, max_size=3).map(
        lambda many: {word: x for some in many for word, x in some.items()}
    )
    return st.one_of(one, several, several.map(lambda inner: {"$not": inner}))


def filters(keys: Sequence[str]) -> st.SearchStrategy[dict[str, object]]:
    """Return a strategy for filters over some keys."""
    clause = st.sampled_from(keys).flatmap(lambda key: operands(key).map(lambda operand: {key: operand}))
    flat = st.lists(clause, max_size=3).map(lambda many: {key: x for some in many for key, x in some.items()})
    return st.recursive(
        flat,
        lambda inner: st.one_of(
            st.tuples(st.sampled_from(("$and", "$or", "$nor")), st.lists(inner, min_size=1, max_size=3)).map(
                lambda pair: {pair[0]: pair[1]}
            ),
            inner.map(lambda where: {"$not": where}),
        ),
        max_leaves=5,
    )


def orders(keys: Sequence[str]) -> st.SearchStrategy[list[str]]:
    """Return a strategy for orders over the keys that have one, and whose values are of one type."""
    simple = [key for key in keys if key not in SETS and "." not in key]
    return st.lists(st.tuples(st.sampled_from(("", "+", "-")), st.sampled_from(simple)).map("".join), max_size=3)


def wanted(
    everything: Sequence[T], where: Mapping[str, object], order: list[str], get: Callable[[T, str], object]
) -> list[T]:
    """Return what plain Python picks."""

    def passes(one: T) -> bool:
        return matches(where, lambda key: get(one, key))

    return ranked([one for one in everything if passes(one)], order, get)


@pytest.mark.slow
@many
@given(where=filters(RUN_KEYS), order=orders(RUN_KEYS), deleted=st.booleans())
def test_runs_by_filter_are_those_plain_python_picks(
    project: lineage.Project, where: dict[str, object], order: list[str], deleted: bool
) -> None:
    """Over columns, tags, config and summary, with any nesting, in any order."""
    everything = [run for run in project.runs(include_deleted=True, order="id") if deleted or not run.record.deleted_at]

    found = project.runs(where, order=order or "id", include_deleted=deleted)

    assert list(found) == wanted(everything, where, order or ["id"], of_run)


@pytest.mark.slow
@many
@given(where=filters(VERSION_KEYS), order=orders(VERSION_KEYS), deleted=st.booleans())
def test_versions_by_filter_are_those_plain_python_picks(
    project: lineage.Project, where: dict[str, object], order: list[str], deleted: bool
) -> None:
    """Over columns, aliases, tags and metadata, with any nesting, in any order."""
    everything = [one for one in project.versions(include_deleted=True) if deleted or not one.deleted]

    found = project.versions(where, order=order, include_deleted=deleted)

    assert list(found) == wanted(everything, where, order or ["created_at"], of_version)


@pytest.mark.slow
@many
@given(where=filters(ARTIFACT_KEYS), order=orders(ARTIFACT_KEYS), deleted=st.booleans())
def test_artifacts_by_filter_are_those_plain_python_picks(
    project: lineage.Project, where: dict[str, object], order: list[str], deleted: bool
) -> None:
    """Over columns, the count of versions and aliases."""
    rows = project.sql("SELECT name, alias FROM aliases")
    aliases = {
        name: frozenset(row["alias"] for row in rows if row["name"] == name) for name in {row["name"] for row in rows}
    }
    everything = [
        one for one in project.artifacts(include_deleted=True, order="created_at") if deleted or not one.deleted_at
    ]

    found = project.artifacts(where, order=order, include_deleted=deleted)

    assert list(found) == wanted(everything, where, order or ["name"], lambda one, key: of_artifact(one, key, aliases))


@given(
    job_type=st.sampled_from((None, "train", "eval", "nosuch")),
    status=st.sampled_from((None, "finished", "failed", "running")),
    group=st.sampled_from((None, "A", "ä")),
    tags=st.sampled_from((None, "t1", ["t1", "t 2"], [])),
    where=filters(RUN_KEYS),
)
def test_runs_by_keyword_are_those_of_the_filter_and_all_keywords(  # noqa: PLR0917 (hypothesis gives them by name)
    project: lineage.Project,
    job_type: str | None,
    status: str | None,
    group: str | None,
    tags: Any,
    where: dict[str, object],
) -> None:
    """A keyword narrows what the filter finds; several tags must all be there."""
    given_words = {"job_type": job_type, "status": status, "group": group}
    equal = {key: value for key, value in given_words.items() if value is not None}
    needed = {tags} if isinstance(tags, str) else set(tags or ())

    found = project.runs(where, job_type=job_type, status=status, group=group, tags=tags)

    assert list(found) == [
        run
        for run in project.runs(where)
        if all(of_run(run, key) == value for key, value in equal.items()) and needed <= set(run.tags)
    ]


@given(
    where=filters(VERSION_KEYS),
    limit=st.integers(0, 12),
    start=st.integers(-5, 15),
    stop=st.integers(-5, 15),
    place=PLACES,
)
def test_listing_is_the_sequence_it_stands_for(  # noqa: PLR0917 (hypothesis gives them by name)
    project: lineage.Project, where: dict[str, object], limit: int, start: int, stop: int, place: int
) -> None:
    """Length, iteration, indexing, slicing and limit agree with the list of all."""
    everything = list(project.versions(where))
    found: Listing[lineage.Version] = project.versions(where)

    assert len(found) == len(everything)
    assert list(found[start:stop]) == everything[start:stop]
    assert list(project.versions(where, limit=limit)) == everything[:limit]
    assert list(reversed(found)) == everything[::-1]
    if -len(everything) <= place < len(everything):
        assert found[place] == everything[place]
    else:
        with pytest.raises(IndexError):
            found[place]


def moments(project: lineage.Project) -> Iterator[tuple[str, datetime]]:
    for run in project.runs(include_deleted=True):
        yield run.record.started_at, datetime.fromisoformat(run.record.started_at)


@given(place=st.integers(0, 39), operator=st.sampled_from(("$gt", "$gte", "$lt", "$lte", "$eq", "$ne")))
def test_runs_by_time_compare_with_a_datetime(project: lineage.Project, place: int, operator: str) -> None:
    """A datetime operand is that moment, whatever its zone."""
    text, moment = list(moments(project))[place]

    found = [run.id for run in project.runs({"started_at": {operator: moment.astimezone()}})]

    assert found == [run.id for run in project.runs({"started_at": {operator: text}})]
    assert found == [run.id for run in project.runs({"started_at": {operator: moment.astimezone(UTC)}})]
    assert found == [run.id for run in project.runs({"started_at": {operator: moment.astimezone().isoformat(" ")}})]


@pytest.mark.parametrize(
    "ask",
    [
        {"status": "runing"},
        {"where": {"status": "Finished"}},
        {"where": {"status": {"$ne": "finsihed"}}},
    ],
)
def test_runs_by_a_state_that_no_run_can_be_in_are_refused(project: lineage.Project, ask: dict[str, Any]) -> None:
    """A slip of the pen is not an empty list, nor all of them; the message has the states."""
    with pytest.raises(InvalidInputError, match="is none of running, finished, failed, killed, crashed"):
        project.runs(**ask)


def test_runs_by_what_they_consumed_or_produced_follow_the_edges(project: lineage.Project) -> None:
    """By reference, by handle and by filter at once."""
    for version in project.versions():
        maker = version.logged_by()
        assert list(project.runs(produced=version)) == (
            [maker] if maker is not None and not maker.record.deleted_at else []
        )
        assert list(project.runs(consumed=version.reference)) == version.used_by() == []
        assert len(project.runs({"job_type": "nosuch"}, produced=version)) == 0


@given(factor=st.floats(0.5, 2))
def test_runs_by_duration_are_ordered_by_it(project: lineage.Project, factor: float) -> None:
    """Seconds from start to end; a run that goes on has none."""
    ended = [run for run in project.runs() if run.record.ended_at]
    seconds = {
        run.id: (
            datetime.fromisoformat(run.record.ended_at or "") - datetime.fromisoformat(run.record.started_at)
        ).total_seconds()
        for run in ended
    }
    bound = factor * sorted(seconds.values())[len(seconds) // 2]

    longer = {run.id for run in project.runs({"duration": {"$gt": bound}})}

    slack = 0.002  # SQLite reads times to the millisecond
    assert {run for run, took in seconds.items() if took > bound + slack} <= longer
    assert longer <= {run for run, took in seconds.items() if took > bound - slack}
    assert {run.id for run in project.runs({"duration": {"$exists": True}})} == seconds.keys()
