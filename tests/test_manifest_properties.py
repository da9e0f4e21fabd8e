"""Trees of files, as manifests: what comes back, what the digest depends on, how parts are shared, what differs."""

from __future__ import annotations

import json
import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

import pytest
from conftest import draft
from hypothesis import example, given, settings
from hypothesis import strategies as st
from invariants import assert_store_sound
from strategies import contents, entry_paths, trees

import lineage
from lineage import manifests
from lineage.manifests import manifest_digest, part_digest, split
from lineage.records import Entry

few = settings(max_examples=settings().max_examples // 2)


@contextmanager
def workplace() -> Iterator[tuple[lineage.Project, Path]]:
    """Give a new project and an empty folder beside it, for one example."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "tree").mkdir()
        yield lineage.open(folder / "p.lineage"), folder / "tree"


def write(tree: dict[str, bytes], folder: Path) -> None:
    for path, content in tree.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def read(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def logged(project: lineage.Project, tree: dict[str, bytes]) -> lineage.Version:
    version = project.log_artifact(draft("tree", dict(tree)), force_new_version=True)
    assert version is not None
    return version


def folders(tree: dict[str, bytes]) -> set[str]:
    return {path[:place] for path in tree for place, sign in enumerate(path) if sign == "/"}


def entries(tree: dict[str, bytes]) -> list[Entry]:
    return draft("tree", dict(tree)).entries


@pytest.mark.slow
@few
@given(trees())
@example({"a" * 255: b"", "ä": b"1", "a\u0308": b"2", " ": b"3", "...": b"4", "-rf/~/#": b"5", "%2e%2e/x": b"6"})
def test_tree_that_is_added_logged_and_downloaded_is_the_same(tree: dict[str, bytes]) -> None:
    """Every name and byte comes back, through the folder and through open."""
    with workplace() as (project, folder):
        write(tree, folder)
        made = lineage.Artifact("tree", "dataset")
        made.add_dir(folder)
        version = project.log_artifact(made)
        assert version is not None

        version.download(folder.parent / "back")

        assert read(folder.parent / "back") == tree
        assert [entry.path for entry in version.files()] == sorted(tree)
        assert (version.file_count, version.size) == (len(tree), sum(map(len, tree.values())))
        for path, content in tree.items():
            with version.open(path) as file:
                assert file.read() == content
        version.verify(folder.parent / "back")
        assert_store_sound(project)


@pytest.mark.slow
@few
@given(trees(), trees())
def test_checkout_over_another_tree_leaves_exactly_the_version(
    tree: dict[str, bytes], before: dict[str, bytes]
) -> None:
    """Whatever lay there, also a folder where a file goes: afterwards there is the version and nothing else."""
    with workplace() as (project, folder):
        version = logged(project, tree)
        write(before, folder)

        version.checkout(folder)

        assert read(folder) == tree


@given(trees(), st.randoms(use_true_random=False))
def test_digest_does_not_depend_on_order_type_or_words(tree: dict[str, bytes], dice: random.Random) -> None:
    """Equal content, equal digest: whatever the order, the type, the metadata, mode bits and times."""
    shuffled = list(tree.items())
    dice.shuffle(shuffled)
    other = draft("other", dict(shuffled), type="model", description="words", metadata={"a": 1})
    with tempfile.TemporaryDirectory() as folder:
        write(tree, Path(folder))
        for path in tree:
            (Path(folder) / path).chmod(0o755)
            os.utime(Path(folder) / path, (0, 0))
        added = lineage.Artifact("tree", "dataset")
        added.add_dir(folder)

    assert draft("tree", dict(tree)).digest == other.digest == added.digest


@given(trees(), trees())
def test_digest_tells_trees_apart(first: dict[str, bytes], second: dict[str, bytes]) -> None:
    """Two trees have one digest exactly if they are the same."""
    assert (manifest_digest(entries(first)) == manifest_digest(entries(second))) == (first == second)


@given(trees(), entry_paths, contents)
def test_digest_changes_with_any_file(tree: dict[str, bytes], path: str, content: bytes) -> None:
    """One file more, less or other is another digest."""
    changed = [entry for entry in entries(tree) if entry.path != path]
    changed = sorted([*changed, *entries({path: content})], key=lambda entry: entry.path)

    assert (manifest_digest(changed) == manifest_digest(entries(tree))) == (tree.get(path) == content)


@given(st.lists(entry_paths, max_size=60, unique=True))
def test_parts_cover_a_listing_exactly(paths: list[str]) -> None:
    """In order, without gap or overlap; a part begins where the rule says, and nowhere else."""
    listing = [Entry(path, f"{crc32(path.encode()):064x}", 1) for path in sorted(paths)]

    parts, whole = split(listing)

    assert whole == manifest_digest(listing)
    assert [entry for _, part in parts for entry in part] == listing
    assert all(part and digest == part_digest(part) for digest, part in parts)
    begins = [part[0].path for _, part in parts]
    assert begins == [
        entry.path for place, entry in enumerate(listing) if place == 0 or crc32(entry.path.encode()) % 64 == 0
    ]


@given(st.integers(0, 1_999), st.sampled_from(("changed", "added", "removed")))
def test_parts_of_neighbours_are_shared(place: int, how: str) -> None:
    """One file changed among 2,000 makes at most two new parts, and some 30 are shared."""
    listing = [Entry(f"folder/{number:05}", f"{number:064x}", 1) for number in range(2_000)]
    if how == "removed":
        other = [*listing[:place], *listing[place + 1 :]]
    else:
        new = Entry(listing[place].path + ("x" if how == "added" else ""), "f" * 64, 2)
        other = [*listing[: place + (how == "added")], new, *listing[place + 1 :]]
    before, after = ({digest for digest, _ in split(one)[0]} for one in (listing, other))

    assert len(before) > 15
    assert len(after - before) <= 2
    assert len(before - after) <= 2


def test_parts_of_versions_are_stored_once(project: lineage.Project) -> None:
    """What neighbours share is one row, also across artifacts and after a deletion and gc."""
    tree = {f"{number:04}": bytes([number % 256]) for number in range(1_000)}
    first = logged(project, tree)
    (alone,) = project.sql("SELECT count(*) AS n FROM part")[0].values()
    second = logged(project, {**tree, "0500": b"changed"})
    copy = project.log_artifact(draft("copy", dict(tree)))
    (shared,) = project.sql("SELECT count(*) AS n FROM part")[0].values()

    assert shared - alone <= 2
    first.delete(delete_aliases=True)
    project.gc()
    assert copy is not None
    for version, wanted in ((copy, tree), (second, {**tree, "0500": b"changed"})):
        assert {entry.path: entry.digest for entry in version.files()} == {
            entry.path: entry.digest for entry in entries(wanted)
        }
    assert_store_sound(project)


@pytest.mark.slow
@few
@given(trees(), trees(), st.data())
def test_diff_agrees_with_a_comparison_of_dicts(
    old: dict[str, bytes], new: dict[str, bytes], data: st.DataObject
) -> None:
    """Added, removed, changed and unchanged files are those of the two trees, in either direction."""
    kept = data.draw(st.lists(st.sampled_from(sorted(old)), unique=True)) if old else []
    clear = {path for path in kept if path not in folders(new) and not folders({path: b""}) & new.keys()}
    new = {**new, **{path: old[path] for path in clear}}
    with workplace() as (project, _):
        before, after = logged(project, old), logged(project, new)

        found, back = before.diff(after), after.diff(before)

    assert [entry.path for entry in found.added] == sorted(new.keys() - old.keys())
    assert [entry.path for entry in found.removed] == sorted(old.keys() - new.keys())
    changed = sorted(path for path in old.keys() & new.keys() if old[path] != new[path])
    assert [pair[0].path for pair in found.changed] == [pair[1].path for pair in found.changed] == changed
    assert found.unchanged == back.unchanged == len(old.keys() & new.keys()) - len(changed)
    assert found.same_content == (old == new)
    assert (found.added, found.removed) == (back.removed, back.added)
    assert found.changed == tuple((one, other) for other, one in back.changed)


@pytest.mark.slow
@few
@given(trees(), trees())
def test_incremental_draft_adds_to_the_newest_version(old: dict[str, bytes], new: dict[str, bytes]) -> None:
    """The next version is the newest with the new files added or in their place, or refused whole."""
    merged = {**old, **new}
    with workplace() as (project, _):
        logged(project, old)
        made = lineage.Artifact("tree", "dataset", incremental=True)
        for path, content in new.items():
            with made.new_file(path, "wb") as file:
                file.write(content)

        if folders(merged) & merged.keys():
            with pytest.raises(lineage.InvalidInputError):
                project.log_artifact(made)
            assert len(project.versions()) == 1
        else:
            version = project.log_artifact(made)
            assert version is not None
            assert [(entry.path, entry.digest) for entry in version.files()] == [
                (entry.path, entry.digest) for entry in entries(merged)
            ]
            assert version.number == (0 if merged == old else 1)
        del made
        assert_store_sound(project)


references = st.builds(
    Entry,
    path=st.just("a b/c.txt"),
    digest=st.none() | st.text(),
    size=st.none() | st.integers(min_value=0, max_value=2**62),
    uri=st.text(min_size=1),
    stored=st.booleans(),
    extra=st.dictionaries(st.text(), st.none() | st.text() | st.integers() | st.floats(allow_nan=False), max_size=3),
)


@given(references)
def test_line_of_a_reference_is_sorted_json_and_its_path(entry: Entry) -> None:
    """What is put together by hand, for speed, is what json.dumps gives: digests of versions rest on it."""
    source = {"uri": entry.uri, "digest": entry.digest, "size": entry.size, "extra": dict(entry.extra)}

    assert manifests._line(entry) == f"{json.dumps(source, sort_keys=True)} {entry.path}\n"
