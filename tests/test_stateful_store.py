"""The whole store beside a model of plain dicts: any sequence of calls, legal and illegal."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import networkx as nx
import pytest
from conftest import draft
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from invariants import assert_nothing_left_over, assert_store_sound
from model import Content, Key, Model, MRun, Refused
from strategies import without_clashes
from test_verify_repair import edit

import lineage
from lineage import LineageError
from lineage.values import timestamp

T = TypeVar("T")

NAMES = st.sampled_from(("data", "data", "model", "other"))  # the first more often, so that it has many versions
BYTES = {"none": b"", "one": b"one", "two": b"two", "large": b"large" * 5_000, "other": bytes(range(256)) * 90}
PATHS = st.sampled_from(("a", "b", "a/b", "dir/c", "ü d/e"))
FILES = st.one_of(
    st.sampled_from(({"a": "one"}, {"a": "two"}, {"dir/c": "large"})),  # few, so that content comes again
    st.dictionaries(PATHS, st.sampled_from(sorted(BYTES)), max_size=3).map(without_clashes),
)
ALIASES = st.lists(st.sampled_from(("best", "prod", "old one")), max_size=2)
TAGS = st.lists(st.sampled_from(("t1", "t 2")), max_size=2)
PICK = st.integers(0, 30)
SCORES = st.none() | st.integers(0, 3)
FLAG = st.booleans()
SELDOM = st.integers(0, 9).map(lambda drawn: drawn == 9)


@dataclass(frozen=True)
class Log:
    """One log: what is in the draft, and how it is logged."""

    name: str
    files: dict[str, str]
    run: int | None
    aliases: list[str]
    tags: list[str]
    score: int | None
    other_type: bool
    incremental: bool
    force: bool
    better: str | None
    how: str
    ttl: int | None = None

    def contents(self) -> dict[str, Content]:
        """Return what the model keeps of its files."""
        return {path: (BYTES[content], None) for path, content in self.files.items()}


LOGS = st.builds(
    Log,
    name=NAMES,
    files=FILES,
    run=st.none() | PICK,
    aliases=ALIASES,
    tags=TAGS,
    score=SCORES,
    other_type=SELDOM,
    incremental=FLAG,
    force=FLAG,
    better=st.sampled_from((None, None, None, None, None, None, "max", "min")),
    how=st.sampled_from(("new_file", "add_file", "add_dir")),
    ttl=st.sampled_from((None, 1, 3)),
)
BATCHED = st.one_of(
    st.tuples(st.just("log"), LOGS),
    st.tuples(st.just("start"), st.lists(PICK, max_size=2)),
    st.tuples(st.just("use"), PICK, PICK, st.just("version")),
    st.tuples(st.just("alias"), PICK, st.just("best"), st.none() | FLAG, FLAG),
    st.tuples(st.just("record"), PICK, st.lists(PICK, max_size=3), st.lists(PICK, max_size=2)),
    st.tuples(st.just("update"), PICK, st.just({"n": 1}), st.none(), st.none()),
    st.tuples(st.just("delete"), PICK, FLAG, FLAG),
    st.tuples(st.just("finish"), PICK),
    st.tuples(st.just("link"), PICK, st.just("Best models"), st.just(["best"])),
    st.tuples(st.just("use_foreign"), PICK, PICK),
)
COLLECTIONS = st.sampled_from(("Best models", "Best models", "C", "data"))
FOREIGN = {"ext": {"a": "one"}, "raw": {"dir/c": "large"}}
"""What another project holds: artifacts of one version each."""


class _Boom(Exception):  # noqa: N818 (not an error of anybody's)
    pass


class Store(RuleBasedStateMachine):
    """A project and its model."""

    @initialize(specs=st.lists(LOGS, max_size=6))
    def open(self, specs: list[Log]) -> None:
        """Begin with a project that holds a few versions."""
        self.folder = Path(tempfile.mkdtemp())
        self.project = lineage.open(self.folder / "p.lineage")
        self.outside = self.folder / "outside.bin"
        self.outside.write_bytes(b"outside")
        other = lineage.open(self.folder / "other.lineage")
        for name, files in FOREIGN.items():
            other.log_artifact(draft(name, {path: BYTES[content] for path, content in files.items()}))
        self.foreign = list(other.versions())
        self.model = Model()
        self.active: dict[str, lineage.ActiveRun] = {}
        self.logged: list[tuple[lineage.Artifact, Key]] = []
        self.moments: list[tuple[str, dict[tuple[int, str], int]]] = []
        self.count = 0
        self.broken = False
        for spec in specs:
            self.do_log(spec)

    # --- both sides of one call ---

    def both(self, modelled: Callable[[], T], real: Callable[[], object]) -> tuple[T, object] | None:
        """Do it in the model and for real; where the model refuses, the real call must, with that class of error."""
        self.broken = True
        before = self.model.copy()
        try:
            expected = modelled()
        except Refused as refusal:
            self.model.restore(before)
            rows = self.rows()
            with pytest.raises(LineageError) as caught:
                real()
            assert type(caught.value).__name__ == refusal.error, caught.value
            if isinstance(caught.value, lineage.CycleError):
                assert_is_cycle(caught.value.cycle, refusal.edges)
            assert self.rows() == rows
            self.broken = False
            return None
        found = real()
        self.broken = False
        return expected, found

    def rows(self) -> dict[str, list[dict[str, object]]]:
        """Return every row that people can see the effect of."""
        tables = (
            "artifact", "run", "run_tag", "metric", "version", "version_tag", "alias", "alias_event", "consumed",
            "produced", "reproduced", "link",
        )  # fmt: skip
        with self.project.snapshot():
            return {table: self.project.sql(f"SELECT * FROM {table}") for table in tables}

    def key(self, pick: int) -> Key:
        keys = self.model.every_key()
        return keys[pick % len(keys)]

    def run(self, pick: int) -> str:
        runs = [run for run, known in self.model.runs.items() if not known.deleted]
        return runs[pick % len(runs)]

    def handle(self, key: Key) -> lineage.Version:
        return self.project.version(self.model.ref(key), include_deleted=True)

    def has_versions(self) -> bool:
        return any(artifact.versions for artifact in self.model.artifacts)

    def has_runs(self) -> bool:
        return any(not run.deleted for run in self.model.runs.values())

    def need_running(self, run: str | None) -> None:
        if run is not None and self.model.runs[run].status != "running":
            raise Refused("StateError")

    # --- logging ---

    def type_of(self, name: str, other: bool) -> str:
        found = self.model.find(name)
        usual = "dataset" if found is None else self.model.artifacts[found].type
        return {"dataset": "model", "model": "dataset"}[usual] if other else usual

    def make_draft(self, spec: Log, type: str) -> lineage.Artifact:
        metadata = {} if spec.score is None else {"score": spec.score}
        made = lineage.Artifact(spec.name, type, metadata=metadata, incremental=spec.incremental)
        made.ttl = None if spec.ttl is None else timedelta(hours=spec.ttl)
        if spec.how == "new_file":
            for path, content in spec.files.items():
                with made.new_file(path, "wb") as file:
                    file.write(BYTES[content])
            return made
        source = Path(tempfile.mkdtemp(dir=self.folder))
        for path, content in spec.files.items():
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            (source / path).write_bytes(BYTES[content])
            if spec.how == "add_file":
                made.add_file(source / path, path)
        if spec.how == "add_dir":
            made.add_dir(source)
        shutil.rmtree(source)
        return made

    def do_log(self, spec: Log) -> None:
        run = None if spec.run is None or not self.has_runs() else self.run(spec.run)
        type = self.type_of(spec.name, spec.other_type)
        self.log_draft(self.make_draft(spec, type), run, spec.contents(), spec)

    def log_draft(self, made: lineage.Artifact, run: str | None, files: dict[str, Content], spec: Log) -> None:
        better = None if spec.better is None else ("score", spec.better)

        def modelled() -> Key | None:
            self.need_running(run)
            return self.model.log(
                run, made.name, made.type, files, aliases=spec.aliases, tags=spec.tags, metadata=made.metadata,
                description=made.description, incremental=made.incremental, force=spec.force, better=better,
                ttl=None if made.ttl is None else made.ttl // timedelta(hours=1),
            )  # fmt: skip

        logger = self.project if run is None else self.active[run]
        result = self.both(
            modelled,
            lambda: logger.log_artifact(
                made,
                aliases=spec.aliases,
                tags=spec.tags,
                force_new_version=spec.force,
                only_if_better=better,  # type: ignore[arg-type]
            ),
        )
        if result is None:
            return
        key, version = result
        assert (key is None) == (version is None)
        if key is not None:
            assert isinstance(version, lineage.Version)
            assert version.reference == self.model.ref(key)
            self.logged.append((made, key))

    @rule(spec=LOGS)
    def log(self, spec: Log) -> None:
        """Log new, equal, forced or incremental content."""
        self.do_log(spec)

    @precondition(has_versions)
    @rule(pick=PICK, run=st.none() | PICK, forces=st.lists(FLAG, min_size=1, max_size=3), aliases=ALIASES)
    def log_equal(self, pick: int, run: int | None, forces: list[bool], aliases: list[str]) -> None:
        """Log what a version holds once more, under its name: it comes back, or is made again if that is forced."""
        key = self.key(pick)
        known, artifact = self.model.version(key), self.model.artifacts[key[0]]
        if {" ", "/"} & set(artifact.name):
            return  # no draft can bear it
        plain = {path: content for path, (content, uri) in known.files.items() if uri is None and content is not None}
        logger = None if run is None or not self.has_runs() else self.run(run)
        for force in forces if len(plain) == len(known.files) else ():
            made = lineage.Artifact(artifact.name, artifact.type, metadata={"again": pick})
            for path, content in plain.items():
                with made.new_file(path, "wb") as file:
                    file.write(content)
            spec = Log(artifact.name, {}, None, aliases, [], None, False, False, force, None, "new_file")
            self.log_draft(made, logger, dict(known.files), spec)

    @precondition(has_versions)
    @rule(pick=PICK, spec=LOGS, drop=FLAG)
    def log_next_draft(self, pick: int, spec: Log, drop: bool) -> None:
        """Go on from a version with new_draft."""
        key = self.key(pick)
        if self.both(lambda: self.model.here(key), lambda: self.handle(key).files()) is None:
            self.both(lambda: self.model.here(key), lambda: self.handle(key).new_draft())
            return
        made = self.handle(key).new_draft()
        files = dict(self.model.version(key).files)
        assert [entry.path for entry in made.entries] == sorted(files)
        if drop and files:
            gone = min(files)
            made.remove(gone)
            del files[gone]
        with made.new_file("next", "w") as file:
            file.write(str(pick))
        files["next"] = (str(pick).encode(), None)
        self.log_draft(made, None, files, spec)

    @rule(spec=LOGS, uri=st.sampled_from(("s3://bucket/data", "file", "file by uri")))
    def log_reference(self, spec: Log, uri: str) -> None:
        """Log a reference to bytes elsewhere."""
        made = lineage.Artifact(spec.name, self.type_of(spec.name, spec.other_type))
        where = uri if uri.startswith("s3") else self.outside.as_uri()
        made.add_reference(where, "ref", checksum=uri != "file by uri")
        self.log_draft(made, None, {"ref": (b"outside" if uri == "file" else None, where)}, spec)

    @precondition(has_versions)
    @rule(pick=PICK, spec=LOGS)
    def log_shared_entry(self, pick: int, spec: Log) -> None:
        """Log an entry of another version, whose bytes are shared."""
        key = self.key(pick)
        known = self.model.version(key)
        if known.deleted or not known.files or self.model.artifacts[self.model.resolve(key)[0]].foreign:
            return
        path = min(known.files)
        entry = self.handle(key).entry(path)
        content, uri = known.files[path]
        if entry.stored:
            uri = f"lineage:{self.handle(key).source().uid}/{path}"
        made = lineage.Artifact(spec.name, self.type_of(spec.name, spec.other_type))
        made.add_reference(entry, "shared")
        self.log_draft(made, None, {"shared": (content, uri)}, spec)

    @precondition(lambda self: self.logged)
    @rule(pick=PICK, aliases=ALIASES)
    def log_again(self, pick: int, aliases: list[str]) -> None:
        """Log a draft that was logged: its version comes back, whatever its artifact is called now."""
        made, key = self.logged[pick % len(self.logged)]

        def modelled() -> Key:
            self.model.live(key)
            self.model.name(key, aliases, ())
            return key

        result = self.both(modelled, lambda: self.project.log_artifact(made, aliases=aliases))
        if result is not None:
            assert isinstance(result[1], lineage.Version)
            assert result[1].reference == self.model.ref(key)

    # --- runs and edges ---

    def do_start(self, used: list[int]) -> None:
        self.count += 1
        run = f"run-{self.count}"
        keys = [self.key(pick) for pick in used] if self.has_versions() else []

        def modelled() -> None:
            self.model.runs[run] = MRun()
            for key in keys:
                self.model.use(run, key)

        def real() -> lineage.ActiveRun:
            return self.project.start_run("job", id=run, use=[self.model.ref(key) for key in keys])

        result = self.both(modelled, real)
        if result is not None:
            assert isinstance(result[1], lineage.ActiveRun)
            self.active[run] = result[1]

    @rule(used=st.lists(PICK, max_size=2))
    def start(self, used: list[int]) -> None:
        """Start a run, with what it uses."""
        self.do_start(used)

    def do_finish(self, pick: int) -> None:
        if self.has_runs():
            self.active[self.run(pick)].finish()
            self.model.runs[self.run(pick)].status = "finished"

    @precondition(has_runs)
    @rule(pick=PICK)
    def finish(self, pick: int) -> None:
        """Finish a run; a second time is fine."""
        self.do_finish(pick)

    def do_use(self, run_pick: int, pick: int, form: str) -> None:
        if not self.has_runs() or not self.has_versions():
            return
        run, key = self.run(run_pick), self.key(pick)
        given: str | lineage.Version = self.handle(key) if form == "version" else self.model.ref(key)

        def modelled() -> None:
            self.need_running(run)
            self.model.use(run, key)

        result = self.both(modelled, lambda: self.active[run].use_artifact(given))
        if result is not None:
            assert isinstance(result[1], lineage.Version)
            assert result[1].reference == self.model.ref(self.model.resolve(key))

    def do_use_foreign(self, run_pick: int, pick: int) -> None:
        if not self.has_runs():
            return
        run, version = self.run(run_pick), self.foreign[pick % len(self.foreign)]
        files = {path: (BYTES[content], None) for path, content in FOREIGN[version.name].items()}

        def modelled() -> None:
            self.need_running(run)
            self.model.use(run, self.model.adopt(f"other/{version.name}", files))

        result = self.both(modelled, lambda: self.active[run].use_artifact(version))
        assert result is None or result[1] is version

    @precondition(has_runs)
    @rule(run_pick=PICK, pick=PICK)
    def use_foreign(self, run_pick: int, pick: int) -> None:
        """Use a version of another project: its node is here from then on."""
        self.do_use_foreign(run_pick, pick)

    @precondition(lambda self: self.has_runs() and self.has_versions())
    @rule(run_pick=PICK, pick=PICK, form=st.sampled_from(("version", "reference")))
    def use(self, run_pick: int, pick: int, form: str) -> None:
        """Use a version: another's, its own, one downstream of itself, a deleted one."""
        self.do_use(run_pick, pick, form)

    @precondition(lambda self: self.has_runs())
    @rule(run_pick=PICK, spec=LOGS)
    def use_draft(self, run_pick: int, spec: Log) -> None:
        """Use a draft: it is logged without a producer, or not at all."""
        run, type = self.run(run_pick), self.type_of(spec.name, spec.other_type)
        made = self.make_draft(spec, type)
        wanted = "model" if spec.force else None

        def modelled() -> Key | None:
            self.need_running(run)
            if wanted not in (None, type):
                raise Refused("InvalidInputError")
            return self.model.log(
                None, made.name, type, spec.contents(), metadata=made.metadata, incremental=made.incremental, use=run,
                ttl=spec.ttl,
            )  # fmt: skip

        result = self.both(modelled, lambda: self.active[run].use_artifact(made, type=wanted))
        if result is not None and result[0] is not None:
            self.logged.append((made, result[0]))

    @precondition(lambda self: self.has_runs() and self.has_versions())
    @rule(run_pick=PICK, consumed=st.lists(PICK, max_size=3), produced=st.lists(PICK, max_size=2))
    def record(self, run_pick: int, consumed: list[int], produced: list[int]) -> None:
        """Write edges that are known already, also such as would close a cycle."""
        self.do_record(run_pick, consumed, produced)

    def do_record(self, run_pick: int, consumed: list[int], produced: list[int]) -> None:
        if not self.has_runs() or not self.has_versions():
            return
        run = self.run(run_pick)
        eaten, made = [self.key(pick) for pick in consumed], [self.key(pick) for pick in produced]

        def modelled() -> None:
            for key in eaten:
                self.model.use(run, key)
            for key in made:
                self.model.produce(run, key)

        refs = [self.model.ref(key) for key in eaten], [self.model.ref(key) for key in made]
        self.both(modelled, lambda: self.project.record(run, consumed=refs[0], produced=refs[1]))

    @precondition(has_versions)
    @rule(pick=PICK, spec=LOGS)
    def step(self, pick: int, spec: Log) -> None:
        """Do what a step of a pipeline does: use a version, log another."""
        self.do_start([pick])
        run = f"run-{self.count}"
        if run in self.active:
            self.log_draft(self.make_draft(spec, self.type_of(spec.name, spec.other_type)), run, spec.contents(), spec)

    # --- names and words ---

    def do_alias(self, pick: int, alias: str, protect: bool | None, override: bool) -> None:
        if not self.has_versions():
            return
        key = self.key(pick)

        def modelled() -> None:
            if alias in ("v1", "a/b") or (alias == "latest" and protect):
                raise Refused("InvalidInputError")
            self.model.live(key)
            if self.model.artifacts[key[0]].foreign:
                raise Refused("NotFoundError")
            self.model.artifacts[key[0]].point(alias, key[1], protect, override)

        self.both(modelled, lambda: self.handle(key).add_alias(alias, protect=protect, override=override))

    @precondition(has_versions)
    @rule(
        pick=PICK,
        alias=st.sampled_from(("best", "prod", "latest", "v1", "a/b")),
        protect=st.none() | FLAG,
        override=FLAG,
    )
    def add_alias(self, pick: int, alias: str, protect: bool | None, override: bool) -> None:
        """Move an alias, protect it, free it."""
        self.do_alias(pick, alias, protect, override)

    @precondition(has_versions)
    @rule(pick=PICK, alias=st.sampled_from(("best", "prod", "latest")), override=FLAG)
    def remove_alias(self, pick: int, alias: str, override: bool) -> None:
        """Take an alias off, also where it is not."""
        key = self.key(pick)
        artifact = self.model.artifacts[key[0]].name

        def modelled() -> None:
            if alias == "latest":
                raise Refused("InvalidInputError")
            if self.model.need(artifact).aliases.get(alias, (None,))[0] != key[1]:
                raise Refused("NotFoundError")
            self.model.need(artifact).drop(alias, override)

        self.both(modelled, lambda: self.handle(key).remove_alias(alias, override=override))

    def do_update(
        self, pick: int, metadata: dict[str, object] | None, description: str | None, tags: list[str] | None
    ) -> None:
        if not self.has_versions():
            return
        key = self.key(pick)

        def modelled() -> None:
            version = self.model.here(key)
            version.metadata = version.metadata if metadata is None else metadata
            version.description = version.description if description is None else description or None
            version.tags = version.tags if tags is None else set(tags)

        self.both(modelled, lambda: self.handle(key).update(metadata=metadata, description=description, tags=tags))

    @precondition(has_versions)
    @rule(
        pick=PICK,
        metadata=st.sampled_from((None, {}, {"score": 2}, {"k": [1, None, "x"]})),
        description=st.sampled_from((None, "", "words\nin two lines")),
        tags=st.none() | TAGS,
    )
    def update(
        self, pick: int, metadata: dict[str, object] | None, description: str | None, tags: list[str] | None
    ) -> None:
        """Change the words of a version."""
        self.do_update(pick, metadata, description, tags)

    @precondition(has_versions)
    @rule(pick=PICK, ttl=st.none() | st.sampled_from((1, 3)))
    def update_ttl(self, pick: int, ttl: int | None) -> None:
        """Let a version live so long, or for good."""
        key = self.key(pick)

        def modelled() -> None:
            version = self.model.here(key)
            if ttl is not None and self.model.links(self.model.resolve(key)):
                raise Refused("ConflictError")
            version.ttl = ttl

        wanted = timedelta.max if ttl is None else timedelta(hours=ttl)
        self.both(modelled, lambda: self.handle(key).update(ttl=wanted))

    def grow_older(self) -> None:
        """Let two hours pass for all that is there."""
        edit(self.project, "UPDATE version SET created_at = strftime('%Y-%m-%dT%H:%M:%f000Z', created_at, '-2 hours')")
        for key in self.model.every_key():
            self.model.version(key).age += 2

    def do_link(self, pick: int, collection: str, aliases: list[str]) -> None:
        if not self.has_versions():
            return
        key = self.key(pick)
        result = self.both(
            lambda: self.model.link(key, collection, aliases),
            lambda: self.project.link(self.model.ref(key), collection, aliases=aliases),
        )
        if result is not None:
            assert isinstance(result[1], lineage.Version)
            assert result[1].reference == self.model.ref(result[0])
            assert result[1].link_to == self.model.ref(self.model.resolve(result[0]))

    @precondition(has_versions)
    @rule(pick=PICK, collection=COLLECTIONS, aliases=ALIASES)
    def link(self, pick: int, collection: str, aliases: list[str]) -> None:
        """Link a version, a link or another project's version; also a deleted one, or to an artifact's name."""
        self.do_link(pick, collection, aliases)

    @precondition(lambda self: any(one.collection and one.versions for one in self.model.artifacts))
    @rule(pick=PICK, delete_aliases=FLAG, override=FLAG)
    def unlink(self, pick: int, delete_aliases: bool, override: bool) -> None:
        """Take a link away, also one that is gone."""
        links = [key for key in self.model.every_key() if self.model.version(key).source is not None]
        key = links[pick % len(links)]
        self.both(
            lambda: self.model.delete(key, delete_aliases, override),
            lambda: self.handle(key).delete(delete_aliases=delete_aliases, override=override),
        )

    @precondition(has_versions)
    @rule(pick=PICK, new=NAMES)
    def rename(self, pick: int, new: str) -> None:
        """Rename an artifact, also to a name that is taken."""
        old = self.model.artifacts[self.key(pick)[0]].name
        self.both(lambda: self.model.rename(old, new), lambda: self.project.rename_artifact(old, new))

    # --- taking away ---

    def do_delete(self, pick: int, delete_aliases: bool, override: bool) -> None:
        if not self.has_versions():
            return
        key = self.key(pick)
        self.both(
            lambda: self.model.delete(key, delete_aliases, override),
            lambda: self.handle(key).delete(delete_aliases=delete_aliases, override=override),
        )

    @precondition(has_versions)
    @rule(pick=PICK, delete_aliases=FLAG, override=FLAG)
    def delete_version(self, pick: int, delete_aliases: bool, override: bool) -> None:
        """Delete a version; aliases block, protected ones more so."""
        self.do_delete(pick, delete_aliases, override)

    @precondition(has_versions)
    @rule(pick=PICK, delete_aliases=FLAG, override=FLAG)
    def delete_artifact(self, pick: int, delete_aliases: bool, override: bool) -> None:
        """Delete an artifact with all its versions."""
        name = self.model.artifacts[self.key(pick)[0]].name
        self.both(
            lambda: self.model.delete_artifact(name, delete_aliases, override),
            lambda: self.project.delete_artifact(name, delete_aliases=delete_aliases, override=override),
        )

    @precondition(lambda self: self.model.runs)
    @rule(pick=PICK, delete_versions=FLAG, delete_aliases=FLAG)
    def delete_run(self, pick: int, delete_versions: bool, delete_aliases: bool) -> None:
        """Delete a run, perhaps with what it made; a running one and a deleted one are refused."""
        run = sorted(self.model.runs)[pick % len(self.model.runs)]
        self.both(
            lambda: self.model.delete_run(run, delete_versions, delete_aliases),
            lambda: self.project.run(run).delete(delete_versions=delete_versions, delete_aliases=delete_aliases),
        )

    @rule(
        name=st.none() | NAMES,
        keep_last=st.none() | st.integers(1, 2),
        aliased=FLAG,
        tagged=FLAG,
        used=FLAG,
        later=st.none() | FLAG,
        dry=FLAG,
    )
    def prune(  # noqa: PLR0917 (hypothesis gives them by name)
        self,
        name: str | None,
        keep_last: int | None,
        aliased: bool,
        tagged: bool,
        used: bool,
        later: bool | None,
        dry: bool,
    ) -> None:
        """Delete what no rule keeps, or what of it expired, now or later; a dry run says the same, changing nothing."""
        expired = later is not None
        if later:
            self.grow_older()

        def modelled() -> tuple[str, ...]:
            found = self.model.prunable(keep_last, aliased, tagged, used, expired)
            if name is not None:
                self.model.need(name)
            gone = [key for key in found if name in (None, self.model.artifacts[key[0]].name)]
            for key in gone if not dry else ():
                self.model.delete(key, delete_aliases=True, override=False)
            return tuple(map(self.model.ref, gone))

        result = self.both(
            modelled,
            lambda: self.project.prune(
                name,
                keep_last=keep_last,
                keep_aliased=aliased,
                keep_tagged=tagged,
                keep_used=used,
                expired=expired,
                dry_run=dry,
            ),
        )
        if result is not None:
            assert isinstance(result[1], lineage.PruneReport)
            assert result[1].versions == result[0]

    @rule()
    def collect(self) -> None:
        """Let gc take what nothing names; a dry run before says exactly what."""
        self.logged = [(made, key) for made, key in self.logged if made is not None]
        planned, done = self.project.gc(dry_run=True), self.project.gc()
        assert (planned.blobs, planned.bytes, planned.strays) == (done.blobs, done.bytes, done.strays)

    # --- transactions and processes ---

    @rule(steps=st.lists(BATCHED, min_size=1, max_size=4), fails=FLAG)
    def batch(self, steps: list[tuple[str, ...]], fails: bool) -> None:
        """Do several things as one; if the batch raises, nothing of it stays."""
        model, active, logged, rows = self.model.copy(), dict(self.active), list(self.logged), self.rows()
        try:
            with self.project.batch():
                for name, *arguments in steps:
                    getattr(self, f"do_{name}")(*arguments)
                if fails:
                    raise _Boom  # noqa: TRY301 (it ends the batch)
        except _Boom:
            assert self.rows() == rows
            self.model, self.active, self.logged = model, active, logged
            self.resume()

    @rule()
    def reopen(self) -> None:
        """Open the project again and go on with its runs."""
        self.project = lineage.open(self.folder / "p.lineage", create=False)
        self.resume()

    def resume(self) -> None:
        for run, known in self.model.runs.items():
            if known.status == "running":
                self.active[run] = self.project.start_run(id=run, resume="must")

    @rule(call=st.deferred(lambda: st.sampled_from(ILLEGAL)))
    def illegal(self, call: tuple[str, Callable[[lineage.Project], object]]) -> None:
        """Call what must fail, whatever the project holds: the right error, and nothing changes."""
        error, real = call
        rows = self.rows()
        with pytest.raises(LineageError) as caught:
            real(self.project)
        assert type(caught.value).__name__ == error
        assert self.rows() == rows

    # --- what is compared ---

    @invariant()
    def agrees_on_what_is_cheap(self) -> None:
        """After every call: numbers, aliases, edges."""
        with self.project.snapshot():
            versions = self.project.sql("SELECT reference, deleted_at IS NOT NULL AS gone FROM versions")
            aliases = self.project.sql("SELECT name, alias, reference, protected FROM aliases")
            edges = self.project.sql("SELECT source, target FROM edges")
            again = self.project.sql("SELECT reference, run FROM reproductions")
        known = self.model.every_key()
        assert {row["reference"]: bool(row["gone"]) for row in versions} == {
            self.model.ref(key): self.model.version(key).deleted for key in known
        }
        assert {(row["name"], row["alias"]): (row["reference"], bool(row["protected"])) for row in aliases} == {
            (artifact.name, alias): (f"{artifact.name}:v{number}", protected)
            for artifact in self.model.artifacts
            for alias, (number, protected) in artifact.aliases.items()
        }
        assert {(row["source"], row["target"]) for row in edges} == set(self.model.graph().edges)
        assert {(row["reference"], row["run"]) for row in again} == {
            (self.model.ref(key), run) for key in known for run in self.model.version(key).reproducers
        }
        pointing = {
            (key, alias): number
            for key, artifact in enumerate(self.model.artifacts)
            for alias, (number, _) in artifact.aliases.items()
        }
        self.moments.append((timestamp(), pointing))

    def teardown(self) -> None:
        """At the end: everything."""
        if not self.broken:
            with self.project.snapshot():
                self.assert_words()
                self.assert_lineage()
                self.assert_alias_history()
            assert_store_sound(self.project)
            for run in self.active.values():
                run.finish()
            self.project.gc()
            assert_nothing_left_over(self.project)
            self.assert_contents()
        for run in self.active.values():
            run.finish()
        shutil.rmtree(self.folder)

    def assert_contents(self) -> None:
        for key in self.model.every_key():
            known, version = self.model.version(key), self.handle(key)
            if known.deleted or self.model.artifacts[self.model.resolve(key)[0]].foreign:
                with pytest.raises(lineage.NotFoundError):
                    version.files()
                continue
            assert [entry.path for entry in version.files()] == sorted(known.files)
            target = self.folder / "download"
            version.download(target)
            for path, (content, _) in known.files.items():
                if content is not None:
                    assert (target / path).read_bytes() == content
                    with version.open(path) as file:
                        assert file.read() == content
            if target.exists():
                shutil.rmtree(target)

    def assert_words(self) -> None:
        for key in self.model.every_key():
            known, version = self.model.version(self.model.resolve(key)), self.handle(key)
            assert (version.metadata, version.description) == (known.metadata, known.description)
            assert set(version.tags) == known.tags
            assert (version.ttl is None) == (known.ttl is None)
            assert [one.reference for one in version.links()] == [
                self.model.ref(link) for link in self.model.links(self.model.resolve(key))
            ]
            assert version.type == self.model.artifacts[key[0]].type
        for run, one in self.model.runs.items():
            handle = self.project.run(run)
            assert (handle.status, handle.record.deleted_at is not None) == (one.status, one.deleted)
        shown = {
            (record.name, record.version_count, record.collection, record.project is not None)
            for record in self.project.artifacts()
        }
        assert shown == {
            (one.name, len(one.live()), one.collection, one.foreign) for one in self.model.artifacts if not one.deleted
        }

    def assert_lineage(self) -> None:
        graph = self.model.graph()
        assert nx.utils.graphs_equal(nx.DiGraph(graph.edges), nx.DiGraph(self.project.graph().edges))
        reached = dict(nx.all_pairs_shortest_path_length(graph))
        nodes = sorted(graph)
        for node in nodes:
            below = {found.id: found.depth for found in self.project.descendants(node)}
            above = {found.id: found.depth for found in self.project.ancestors(node)}
            assert below == {other: depth for other, depth in reached[node].items() if other != node}
            assert above == {other: reached[other][node] for other in nodes if node in reached[other] and other != node}
        for node in nodes[::4]:
            for other in nodes:
                assert self.project.depends_on(node, other) == (other != node and node in reached[other])
                ahead, behind = reached[node].get(other), reached[other].get(node)
                steps = ahead if ahead is not None else behind
                assert len(self.project.path(node, other)) == (0 if steps is None else steps + 1)

    def assert_alias_history(self) -> None:
        for artifact in self.model.artifacts:
            if artifact.deleted:
                with pytest.raises(lineage.NotFoundError):
                    self.project.alias_history(artifact.name)
                continue
            events = [(one.alias, one.moved_from, one.moved_to) for one in self.project.alias_history(artifact.name)]
            assert events == [
                (alias, *(None if number is None else f"{artifact.name}:v{number}" for number in (before, after)))
                for alias, before, after in artifact.history
            ]
        for at, pointing in self.moments[-12:]:
            for (key, alias), number in pointing.items():
                name = self.model.artifacts[key].name
                found = self.project.version(f"{name}:{alias}", as_of=at, include_deleted=True)
                assert found.reference == f"{name}:v{number}"


def assert_is_cycle(cycle: tuple[str, ...], edges: set[tuple[str, str]]) -> None:
    """Fail unless these nodes, in order and back to the first, follow edges that are there or were asked for."""
    assert len(set(cycle)) == len(cycle) >= 2
    assert set(zip(cycle, (*cycle[1:], cycle[0]), strict=True)) <= edges


def _in_batch(project: lineage.Project, call: Callable[[], object]) -> None:
    with project.batch():
        call()


def _in_snapshot(project: lineage.Project, call: Callable[[], object]) -> None:
    with project.snapshot():
        call()


def _read_only(project: lineage.Project) -> lineage.Project:
    return lineage.open(project.file, read_only=True)


ILLEGAL: tuple[tuple[str, Callable[[lineage.Project], object]], ...] = (
    ("NotFoundError", lambda p: p.version("nosuch")),
    ("NotFoundError", lambda p: p.artifact("nosuch")),
    ("NotFoundError", lambda p: p.record("nosuch")),
    ("NotFoundError", lambda p: p.rename_artifact("nosuch", "fine")),
    ("NotFoundError", lambda p: p.delete_artifact("nosuch")),
    ("NotFoundError", lambda p: p.start_run(id="fresh", use=["nosuch:v0"])),
    ("NotFoundError", lambda p: p.start_run(id="fresh", resume="must")),
    ("NotFoundError", lambda p: p.diff("nosuch:v0", "nosuch:v1")),
    ("NotFoundError", lambda p: draft("x", {"a": "1"}).remove("b")),
    ("InvalidInputError", lambda p: p.version("no/such/name")),
    ("InvalidInputError", lambda p: p.version("data:v01")),
    ("InvalidInputError", lambda p: p.start_run("two\nlines")),
    ("InvalidInputError", lambda p: p.link("data", "a/b")),
    ("InvalidInputError", lambda p: p.link("data", "fresh", aliases=["fine", "v3"])),
    ("NotFoundError", lambda p: p.link("nosuch", "fresh")),
    ("NotFoundError", lambda p: p.start_run(id="fresh", use=["nosuch/data:v0"])),
    ("InvalidInputError", lambda p: p.start_run(config={"lr": float("inf")})),
    ("InvalidInputError", lambda p: p.start_run(tags=[""])),
    ("InvalidInputError", lambda p: p.prune()),
    ("InvalidInputError", lambda p: p.runs({"$where": 1})),
    ("InvalidInputError", lambda p: p.versions(order="nosuch")),
    ("InvalidInputError", lambda p: p.sql("DELETE FROM alias")),
    ("InvalidInputError", lambda p: p.log_artifact(draft("fresh", {"a": "1"}), aliases=["fine", "v3"])),
    ("InvalidInputError", lambda p: p.log_artifact(draft("fresh", {"a": "1"}), tags=["a/b"])),
    ("InvalidInputError", lambda p: p.log_artifact(draft("fresh", {"a": "1"}), only_if_better=("iou", "max"))),
    ("InvalidInputError", lambda p: p.log_artifact(draft("fresh", {"a": "1"}, metadata={"x": {1, object()}}))),
    ("InvalidInputError", lambda p: p.log_artifact(draft("fresh", {"a": "1", "a/b": "2"}))),
    ("InvalidInputError", lambda p: p.log_artifact(p.file, name="fresh")),
    ("InvalidInputError", lambda p: p.log_artifact("/no/such/file", name="fresh")),
    ("StateError", lambda p: _in_batch(p, p.gc)),
    ("StateError", lambda p: _in_snapshot(p, lambda: p.log_artifact(draft("fresh", {"a": "1"})))),
    ("StateError", lambda p: _in_snapshot(p, p.start_run)),
    ("StateError", lambda p: _in_snapshot(p, p.gc)),
    ("ReadOnlyError", lambda p: _read_only(p).log_artifact(draft("fresh", {"a": "1"}))),
    ("ReadOnlyError", lambda p: _read_only(p).start_run()),
    ("ReadOnlyError", lambda p: _read_only(p).gc()),
)

TestStore = pytest.mark.slow(Store.TestCase)
TestStore.settings = settings(stateful_step_count=30)


# --- what a batch that was undone leaves in the hands of its program ---


def undone(project: lineage.Project) -> tuple[lineage.ActiveRun, lineage.Version, lineage.Artifact]:
    """Return a run, a version and a draft of a batch that raised; then others have taken their rows."""
    made = draft("lost", {"a": "1"})
    with pytest.raises(_Boom), project.batch():
        run = project.start_run(id="lost")
        version = run.log_artifact(made)
        raise _Boom
    project.start_run(id="other").finish()
    project.log_artifact(draft("other", {"b": "2"}))
    assert version is not None
    return run, version, made


def test_run_of_an_undone_batch_writes_into_no_other_run(project: lineage.Project) -> None:
    """Its row may be another run's by now; every call says that it is gone."""
    run, _, _ = undone(project)
    run.log({"loss": 1.0})

    for call in (run.flush, run.finish, lambda: run.use_artifact("other"), lambda: run.log_artifact(draft("new"))):
        with pytest.raises(lineage.StateError, match="undone"):
            call()

    assert project.run("other").history() == []
    assert project.run("other").used_artifacts() == project.run("other").logged_artifacts() == []
    assert [version.reference for version in project.versions()] == ["other:v0"]
    assert_store_sound(project)


def test_version_of_an_undone_batch_is_no_other_version(project: lineage.Project) -> None:
    """A handle never answers for, deletes or names the version that has its row now."""
    _, version, _ = undone(project)

    for call in (
        version.refresh,
        version.files,
        version.delete,
        version.new_draft,
        lambda: version.add_alias("best"),
        lambda: version.update(metadata={"a": 1}),
        lambda: project.record("other", consumed=[version]),
    ):
        with pytest.raises(lineage.NotFoundError):
            call()

    assert project.version("other").aliases == ("latest",)
    assert project.version("other").metadata == {}
    assert project.run("other").used_artifacts() == []
    assert_store_sound(project)


def test_draft_of_an_undone_batch_cannot_be_logged_again(project: lineage.Project) -> None:
    """Its bytes went with the batch: it is refused, and not taken for the version that has its row now."""
    _, _, made = undone(project)

    with pytest.raises(lineage.StateError, match="undone"):
        project.log_artifact(made)

    assert [version.reference for version in project.versions()] == ["other:v0"]


def test_batch_inside_a_batch_that_raises_is_undone_alone(project: lineage.Project) -> None:
    """What the outer one did before and does after stays; the inner one leaves nothing."""
    with project.batch():
        project.log_artifact(draft("before", {"a": "1"}))
        with pytest.raises(_Boom), project.batch():
            project.log_artifact(draft("inner", {"a": "2", "large": "3" * 20_000}), aliases=["best"])
            raise _Boom
        project.log_artifact(draft("after", {"a": "2"}))

    assert [version.reference for version in project.versions()] == ["before:v0", "after:v0"]
    assert_store_sound(project)
    project.gc()
    assert_nothing_left_over(project)
