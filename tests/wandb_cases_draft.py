"""Questions about drafts: names, metadata, files, folders, references, states, digests."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import json
import os
import pathlib
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from wandb_case import Case, Raises, caught, draft, file

STRICTER = "W&B's pattern lets one newline at the end slip through; here it is refused"
WHERE = "a reference's URI is what is stored of it, so it counts: moved data is another version"
REFUSED = "what cannot be kept as it is is refused with its key, and not turned into text that nobody asked for"


def _metadata(value: object) -> Callable[[Any, Path], object]:
    return lambda w, p: w.Artifact("a", "t", metadata={"k": value}).metadata["k"]


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Options:
    lr: float = 0.1


def _names() -> Iterator[Case]:
    rule = "2.1 artifact name"
    fine = ["a", "v0", "latest", ".", "..", "Az09_-.", "x" * 128]
    for name in fine:
        yield Case(rule, f"{name[:8]} passes", lambda w, p, name=name: w.Artifact(name, "t").name, name)
    for name in ["", "a b", "a/b", "a:v0", "ä", "x" * 129, "a@b"]:
        yield Case(
            rule, f"{name[:8]!r} is refused", lambda w, p, name=name: w.Artifact(name, "t"), Raises("ValueError")
        )
    yield Case(
        rule, "trailing newline", lambda w, p: w.Artifact("a\n", "t").name, Raises("ValueError"), "a\n", STRICTER
    )
    safe = "2.1 safe names"
    yield Case(safe, "foreign signs", lambda w, p: w.util.make_artifact_name_safe("run-1-a b/c:d"), "run-1-a_b_c_d")
    yield Case(safe, "long", lambda w, p: len(w.util.make_artifact_name_safe("x" * 300)) <= 128, True)


def _types() -> Iterator[Case]:
    rule = "2.1 type"
    yield Case(
        rule,
        "empty",
        lambda w, p: w.Artifact("a", "").type,
        Raises("ValueError", "artifact type"),
        "",
        "a type names a node of the graph, and a node needs a name",
    )
    for type_ in ["dataset", "a/b", "a:b", "x" * 300]:
        yield Case(rule, f"{type_[:8]!r} passes", lambda w, p, t=type_: w.Artifact("a", t).type, type_)
    for name, type_ in [("a", "job"), ("a", "wandb-x"), ("run-a", "run_table"), ("source-a", "code")]:
        ask = lambda w, p, n=name, t=type_: w.Artifact(n, t)
        yield Case(rule, f"{type_} of {name} is reserved", ask, Raises("ValueError", "reserved for internal use"))
    for name, type_ in [("a", "run_table"), ("a", "code")]:
        yield Case(rule, f"{type_} of {name} passes", lambda w, p, n=name, t=type_: w.Artifact(n, t).type, type_)


def _metadata_cases() -> Iterator[Case]:
    rule = "2.2 metadata"
    moment = dt.datetime(2024, 1, 2, 3, 4, 5)
    values: list[tuple[str, object, object]] = [
        ("tuple", (1, 2), [1, 2]),
        ("nested", {"a": {"b": [1, None, True]}}, {"a": {"b": [1, None, True]}}),
        ("int keys", {1: 2}, {"1": 2}),
        ("nan", float("nan"), None),
        ("numpy integer", np.int64(3), 3),
        ("numpy float", np.float64(0.5), 0.5),
        ("numpy bool", np.bool_(True), True),
        ("numpy array", np.array([1, 2]), [1, 2]),
        ("datetime", moment, "2024-01-02T03:04:05"),
        ("date", dt.date(2024, 1, 2), "2024-01-02"),
        ("enum", Colour.RED, "RED"),
        ("dataclass", Options(), {"lr": 0.1}),
        ("bytes", b"abc", "abc"),
        ("uuid", uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ("path", pathlib.PurePosixPath("a/b"), "a/b"),
        ("decimal", decimal.Decimal("1.5"), "1.5"),
        ("slice", slice(1, 2, 3), {"slice_start": 1, "slice_step": 3, "slice_stop": 2}),
        ("text", "grüße", "grüße"),
        ("long text", "x" * 100_000, "x" * 100_000),
    ]
    for name, given, kept in values:
        yield Case(rule, name, _metadata(given), kept)
    yield Case(rule, "set", lambda w, p: sorted(w.Artifact("a", "t", metadata={"k": {2, 1}}).metadata["k"]), [1, 2])
    for name, number in [("infinity", float("inf")), ("minus infinity", float("-inf"))]:
        yield Case(rule, name, _metadata(number), Raises("ValueError"))
    yield Case(rule, "None is empty", lambda w, p: w.Artifact("a", "t", metadata=None).metadata, {})
    yield Case(rule, "no argument is empty", lambda w, p: w.Artifact("a", "t").metadata, {})
    yield Case(rule, "json text", lambda w, p: w.Artifact("a", "t", metadata='{"a": 1}').metadata, {"a": 1})
    for name, given in [("list", [1]), ("number", 3), ("object", object())]:
        ask = lambda w, p, given=given: w.Artifact("a", "t", metadata=given)
        yield Case(rule, f"{name} is refused", ask, Raises("TypeError"))
    yield Case(rule, "an unknown object inside", _metadata(object()), Raises("TypeError"))
    keys = "2.2 number of keys"
    many = {str(number): number for number in range(101)}
    yield Case(
        keys, "100 pass", lambda w, p: len(w.Artifact("a", "t", metadata=dict(list(many.items())[:100])).metadata), 100
    )
    yield Case(
        keys,
        "101 are refused",
        lambda w, p: w.Artifact("a", "t", metadata=many),
        Raises("ValueError", "100 metadata keys"),
    )
    yield Case(keys, "101 nested pass", lambda w, p: len(w.Artifact("a", "t", metadata={"k": many}).metadata["k"]), 101)
    yield Case(
        keys, "101 by assignment", lambda w, p: setattr(w.Artifact("a", "t"), "metadata", many), Raises("ValueError")
    )
    yield Case("2.2 metadata", "is a copy", _copied, {"k": [1]})
    yield Case("2.2 metadata", "in place", _in_place, {"a": 1, "b": 2})
    yield Case(
        "2.2 big arrays",
        "are refused",
        lambda w, p: type(_metadata(np.zeros(3_000_000))(w, p)).__name__,
        Raises("ValueError", "k"),
        "str",
        REFUSED,
    )


def _copied(w: Any, p: Path) -> object:
    given = {"k": [1]}
    artifact = w.Artifact("a", "t", metadata=given)
    given["k"].append(2)
    return artifact.metadata


def _in_place(w: Any, p: Path) -> object:
    artifact = w.Artifact("a", "t", metadata={"a": 1})
    artifact.metadata["b"] = 2
    return artifact.metadata


def _constructor() -> Iterator[Case]:
    rule = "2.2 constructor"
    yield Case(
        rule,
        "positional",
        lambda w, p: (lambda a: (a.name, a.type, a.description, a.metadata))(w.Artifact("a", "t", "words", {"k": 1})),
        ("a", "t", "words", {"k": 1}),
    )
    yield Case(rule, "incremental", lambda w, p: w.Artifact("a", "t", incremental=True).incremental, True)
    yield Case(rule, "not incremental", lambda w, p: w.Artifact("a", "t").incremental, False)
    yield Case(rule, "use_as still passes", lambda w, p: w.Artifact("a", "t", use_as="x").name, "a")
    yield Case(
        rule, "storage_region is text", lambda w, p: w.Artifact("a", "t", storage_region=3), Raises("ValueError")
    )
    yield Case(rule, "storage_region", lambda w, p: w.Artifact("a", "t", storage_region="eu").name, "a")
    for algorithm in ("MD5", "XXH128"):
        ask = lambda w, p, algorithm=algorithm: w.Artifact("a", "t", digest_algorithm=algorithm).name
        yield Case(rule, f"digest_algorithm {algorithm}", ask, "a")
    yield Case(
        rule, "digest_algorithm unknown passes", lambda w, p: w.Artifact("a", "t", digest_algorithm="SHA9").name, "a"
    )
    yield Case(rule, "repr", lambda w, p: repr(w.Artifact("a", "t")), "<Artifact a>")


def _write(artifact: Any, name: str, text: str | bytes, mode: str = "x", **words: Any) -> None:
    with artifact.new_file(name, mode=mode, **words) as target:
        target.write(text)


def _entries(artifact: Any) -> list[str]:
    return sorted(artifact.manifest.entries)


def _twice(mode: str) -> Callable[[Any, Path], object]:
    def ask(w: Any, p: Path) -> object:
        artifact = draft(w, {"a.txt": "one"})
        _write(artifact, "a.txt", "three", mode)
        return artifact.size

    return ask


def _failed_block(w: Any, p: Path) -> object:
    artifact = w.Artifact("a", "t")
    caught(lambda: _write(artifact, "a.txt", "\udce4"))
    _write(artifact, "a.txt", "again")
    return artifact.size


def _new_file() -> Iterator[Case]:
    rule = "2.3 new_file"
    yield Case(rule, "text", lambda w, p: _entries(draft(w, {"a.txt": "one"})), ["a.txt"])
    yield Case(rule, "nested", lambda w, p: _entries(draft(w, {"d/e/a.txt": "one"})), ["d/e/a.txt"])
    yield Case(rule, "size", lambda w, p: draft(w, {"a.txt": "one"}).size, 3)
    yield Case(rule, "x refuses a taken name", _twice("x"), Raises("ValueError"))
    yield Case(rule, "w replaces", _twice("w"), 5)
    yield Case(
        rule,
        "encoding",
        lambda w, p: (lambda a: (_write(a, "a", "ä", encoding="utf-16-le"), a.size)[1])(w.Artifact("a", "t")),
        2,
    )
    yield Case(
        rule, "binary", lambda w, p: (lambda a: (_write(a, "a", b"\0\1", "wb"), a.size)[1])(w.Artifact("a", "t")), 2
    )
    yield Case(
        rule,
        "an exception adds nothing",
        lambda w, p: (lambda a: (caught(lambda: _write(a, "a", "\udce4")), _entries(a))[1])(w.Artifact("a", "t")),
        [],
    )
    yield Case(
        rule,
        "an exception propagates",
        lambda w, p: _write(w.Artifact("a", "t"), "a", "\udce4"),
        Raises("UnicodeEncodeError"),
    )
    yield Case(
        rule,
        "tries again after an exception",
        _failed_block,
        5,
        Raises("ValueError"),
        "W&B leaves its temporary file behind, so that the name stays taken; here a block that fails leaves no trace",
    )
    yield Case(
        rule,
        "bad policy",
        lambda w, p: _write(w.Artifact("a", "t"), "a", "x", policy="none"),
        Raises("ValueError", "policy"),
    )


def _again(text: str, **words: Any) -> Callable[[Any, Path], object]:
    def ask(w: Any, p: Path) -> object:
        artifact = w.Artifact("a", "t")
        artifact.add_file(file(p, "1.txt", "one"), "a.txt")
        artifact.add_file(file(p, "2.txt", text), "a.txt", **words)
        return artifact.size

    return ask


def _frozen(w: Any, p: Path) -> object:
    path, artifact = file(p), w.Artifact("a", "t")
    before = artifact.add_file(path).digest
    file(p, text="other")
    return artifact.manifest.entries["f.txt"].digest == before and artifact.size == 3


def _is_tmp(w: Any, p: Path) -> object:
    entry = w.Artifact("a", "t").add_file(file(p, "name.table.json"), "d/name.table.json", is_tmp=True)
    folder, _, name = entry.path.partition("/")
    stem, _, ending = name.partition(".")
    return folder, len(stem), ending, set(stem) <= set("0123456789abcdef")


def _entry(w: Any, p: Path) -> object:
    entry = w.Artifact("a", "t").add_file(file(p), "d/a.txt")
    return str(entry.path), entry.size, entry.ref, entry.extra, bool(entry.local_path), bool(entry.digest)


def _add_file() -> Iterator[Case]:
    rule = "2.3 add_file"
    yield Case(rule, "entry", _entry, ("d/a.txt", 3, None, {}, True, True))
    yield Case(rule, "own name", lambda w, p: w.Artifact("a", "t").add_file(file(p)).path, "f.txt")
    yield Case(rule, "a Path", lambda w, p: w.Artifact("a", "t").add_file(Path(file(p))).path, "f.txt")
    yield Case(
        rule,
        "no file",
        lambda w, p: w.Artifact("a", "t").add_file(str(p / "gone")),
        Raises("ValueError", "Path is not a file"),
    )
    yield Case(
        rule, "a folder", lambda w, p: w.Artifact("a", "t").add_file(str(p)), Raises("ValueError", "Path is not a file")
    )
    yield Case(
        rule,
        "bad policy",
        lambda w, p: w.Artifact("a", "t").add_file(file(p), policy="x"),
        Raises("ValueError", "Invalid policy"),
    )
    yield Case(rule, "immutable", lambda w, p: w.Artifact("a", "t").add_file(file(p), policy="immutable").size, 3)
    yield Case(rule, "skip_cache", lambda w, p: w.Artifact("a", "t").add_file(file(p), skip_cache=True).size, 3)
    yield Case(rule, "same content twice", _again("one"), 3)
    yield Case(rule, "other content", _again("three"), Raises("ValueError"))
    yield Case(rule, "other content overwrites", _again("three", overwrite=True), 5)
    yield Case(rule, "is_tmp", _is_tmp, ("d", 20, "table.json", True))
    yield Case("2.3 content freezes", "mutable", _frozen, True)
    yield Case(
        "2.1 path", "an empty name is none", lambda w, p: w.Artifact("a", "t").add_file(file(p), "").path, "f.txt"
    )
    for path in [".", "..", "/a", "../a", "a/../../b"]:
        yield Case(
            "2.1 path",
            f"{path!r} is refused",
            lambda w, p, path=path: w.Artifact("a", "t").add_file(file(p), path).path,
            Raises("ValueError"),
        )
    for path, kept in [("d/./e//f", "d/e/f"), ("a b", "a b"), ("ä.txt", "ä.txt"), ("./a", "a")]:
        yield Case(
            "2.1 path",
            f"{path!r} is put straight",
            lambda w, p, path=path: w.Artifact("a", "t").add_file(file(p), path).path,
            kept,
        )
    yield Case(
        "2.1 path",
        "a file is no folder",
        _clash,
        Raises("ValueError"),
        ["x", "x/y"],
        "an artifact with a file x and a file x/y cannot be downloaded, so it cannot be made",
    )


def _clash(w: Any, p: Path) -> object:
    artifact = draft(w, {"x": "one"})
    artifact.add_file(file(p), "x/y")
    return _entries(artifact)


def _tree(p: Path) -> str:
    for name, text in [("d/a.txt", "1"), ("d/e/b.txt", "22")]:
        file(p, name, text)
    (p / "d" / "empty").mkdir()
    return str(p / "d")


def _add_dir(*calls: dict[str, Any], change: str = "") -> Callable[[Any, Path], object]:
    def ask(w: Any, p: Path) -> object:
        folder, artifact = _tree(p), w.Artifact("a", "t")
        for number, words in enumerate(calls or ({},)):
            if number and change:
                file(p, "d/a.txt", change)
            artifact.add_dir(folder, **words)
        return _entries(artifact), artifact.size

    return ask


def _gone_after(w: Any, p: Path) -> object:
    artifact = w.Artifact("a", "t")
    artifact.add_dir(_tree(p))
    (p / "d" / "a.txt").unlink()
    return _entries(artifact)


def _linked_dir(w: Any, p: Path) -> object:
    file(p, "elsewhere/x.txt")
    (p / "d").mkdir()
    (p / "d" / "link").symlink_to(p / "elsewhere")
    (p / "d" / "file").symlink_to(p / "elsewhere" / "x.txt")
    artifact = w.Artifact("a", "t")
    artifact.add_dir(str(p / "d"))
    return _entries(artifact)


def _broken_link(w: Any, p: Path) -> object:
    (p / "d").mkdir()
    (p / "d" / "link").symlink_to(p / "gone")
    return w.Artifact("a", "t").add_dir(str(p / "d"))


def _looped(w: Any, p: Path) -> object:
    (p / "d").mkdir()
    (p / "d" / "again").symlink_to(p / "d")
    file(p, "d/x")
    return w.Artifact("a", "t").add_dir(str(p / "d"))


def _folders() -> Iterator[Case]:
    rule = "2.3 add_dir"
    yield Case(rule, "files", _add_dir(), (["a.txt", "e/b.txt"], 3))
    yield Case(rule, "name", _add_dir({"name": "n"}), (["n/a.txt", "n/e/b.txt"], 3))
    yield Case(rule, "an empty name is none", _add_dir({"name": ""}), (["a.txt", "e/b.txt"], 3))
    yield Case(rule, "twice", _add_dir({}, {}), (["a.txt", "e/b.txt"], 3))
    yield Case(rule, "a changed file", _add_dir({}, {}, change="333"), Raises("ValueError"))
    yield Case(rule, "a changed file merges", _add_dir({}, {"merge": True}, change="333"), (["a.txt", "e/b.txt"], 5))
    yield Case(
        rule,
        "no folder",
        lambda w, p: w.Artifact("a", "t").add_dir(file(p)),
        Raises("ValueError", "Path is not a directory"),
    )
    yield Case(rule, "bad policy", _add_dir({"policy": "x"}), Raises("ValueError"))
    yield Case(rule, "immutable", _add_dir({"policy": "immutable"}), (["a.txt", "e/b.txt"], 3))
    yield Case(rule, "the source may go", _gone_after, ["a.txt", "e/b.txt"])
    yield Case(rule, "links are followed", _linked_dir, ["file", "link/x.txt"])
    yield Case(
        "2.13 links",
        "broken",
        _broken_link,
        Raises("ValueError", "link"),
        Raises("FileNotFoundError"),
        "the message names the link, and an empty artifact is not made; ValueError is what add_dir raises for its path",
    )
    yield Case(
        "2.13 links",
        "a loop",
        _looped,
        Raises("ValueError", "again"),
        Raises("OSError"),
        "the message names the link that closes the loop",
    )


def _removed(*items: str) -> Callable[[Any, Path], object]:
    def ask(w: Any, p: Path) -> object:
        artifact = draft(w, {"a": "1", "d/b": "2", "d/c": "3", "dd": "4"})
        for item in items:
            artifact.remove(item)
        return _entries(artifact)

    return ask


def _remove_entry(w: Any, p: Path) -> object:
    artifact = draft(w, {"b": "2"})
    artifact.remove(artifact.add_file(file(p), "a"))
    return _entries(artifact)


def _after_final(call: Callable[[Any, Path], object]) -> Callable[[Any, Path], object]:
    def ask(w: Any, p: Path) -> object:
        artifact = draft(w, {"a": "1"})
        artifact.finalize()
        return call(artifact, p)

    return ask


def _removal() -> Iterator[Case]:
    rule = "2.3 remove"
    yield Case(rule, "a file", _removed("a"), ["d/b", "d/c", "dd"])
    yield Case(rule, "a folder", _removed("d"), ["a", "dd"])
    yield Case(rule, "an entry", _remove_entry, ["b"])
    yield Case(rule, "nothing there", _removed("x"), Raises("FileNotFoundError"))
    yield Case(rule, "twice", _removed("a", "a"), Raises("FileNotFoundError"))
    calls: dict[str, Callable[[Any, Path], object]] = {
        "new_file": lambda a, p: _write(a, "b", "x"),
        "add_file": lambda a, p: a.add_file(file(p)),
        "add_dir": lambda a, p: a.add_dir(str(p)),
        "add_reference": lambda a, p: a.add_reference("s3://b/k", checksum=False),
        "remove": lambda a, p: a.remove("a"),
    }
    for name, call in calls.items():
        yield Case(
            "2.3 finalize",
            name,
            _after_final(call),
            Raises(
                "ArtifactFinalizedError", f"'Artifact.{name}' used on logged artifact. Can't modify finalized artifact."
            ),
        )
    yield Case("2.3 finalize", "twice", _after_final(lambda a, p: a.finalize()), None)
    yield Case(
        "2.3 finalize",
        "metadata may change",
        _after_final(lambda a, p: (a.metadata.update(k=1), a.metadata)[1]),
        {"k": 1},
    )
    yield Case("2.3 add", "no media", lambda w, p: w.Artifact("a", "t").add(3, "x"), Raises("TypeError"))
    yield Case(
        "2.3 add",
        "a table",
        lambda w, p: w.Artifact("a", "t").add(w.Table(columns=["x"], data=[[1]]), "t").path,
        "t.table.json",
    )
    yield Case("2.3 add", "by item", _by_item, True)
    yield Case("2.7 get_added_local_path_name", "added", _local_name, ("d/a.txt", None))


def _by_item(w: Any, p: Path) -> object:
    artifact = w.Artifact("a", "t")
    artifact["t"] = w.Table(columns=["x"], data=[[1]])
    return "t.table.json" in _entries(artifact)


def _local_name(w: Any, p: Path) -> object:
    artifact = w.Artifact("a", "t")
    artifact.add_file(file(p), "d/a.txt")
    return artifact.get_added_local_path_name(str(p / "f.txt")), artifact.get_added_local_path_name("other")


def _threads(w: Any, p: Path) -> object:
    artifact, path = w.Artifact("a", "t"), file(p)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: artifact.add_file(path, "a"), range(64)))
        list(pool.map(lambda number: artifact.add_file(path, f"n{number % 8}"), range(64)))
    return _entries(artifact), artifact.size


def _references() -> Iterator[Case]:
    rule = "2.9 references"
    yield Case("2.3 threads", "add_file", _threads, (["a", *(f"n{number}" for number in range(8))], 27))
    yield Case(rule, "no scheme", lambda w, p: w.Artifact("a", "t").add_reference("plain/path"), Raises("ValueError"))
    yield Case(rule, "file", _referenced(), ([("f.txt", 3)], True))
    yield Case(rule, "file by name", _referenced(name="d/x"), ([("d/x", 3)], True))
    yield Case(
        rule,
        "missing file",
        lambda w, p: w.Artifact("a", "t").add_reference((p / "gone").as_uri()),
        Raises("ValueError"),
    )
    yield Case(rule, "folder", _folder_reference(), [("a.txt", 1), ("e/b.txt", 2)])
    yield Case(rule, "folder by name", _folder_reference(name="n"), [("n/a.txt", 1), ("n/e/b.txt", 2)])
    yield Case(rule, "too many", _folder_reference(max_objects=1), Raises("ValueError", "Exceeded 1 objects tracked"))
    yield Case(rule, "file changes: another digest", _changed("two", checksum=True), False)
    yield Case(rule, "file changes without checksum: the same digest", _changed("two", checksum=False), True)
    yield Case(rule, "file grows without checksum: the same digest", _changed("other", checksum=False), True)
    yield Case(rule, "file moves without checksum: another digest", _moved(checksum=False), False)
    yield Case(rule, "file moves", _moved(checksum=True), False, True, WHERE)
    yield Case(
        rule,
        "s3 without checksum",
        lambda w, p: _shown(w.Artifact("a", "t").add_reference("s3://bucket/key.txt", checksum=False)),
        [("key.txt", "s3://bucket/key.txt")],
        needs="boto3",
    )
    yield Case(
        rule,
        "gs without checksum",
        lambda w, p: _shown(w.Artifact("a", "t").add_reference("gs://bucket/d/key", checksum=False)),
        [("key", "gs://bucket/d/key")],
        needs="google.cloud.storage",
    )
    yield Case(
        rule,
        "https without checksum",
        lambda w, p: _shown(
            w.Artifact("a", "t").add_reference("https://example.com/x.txt?a=1", name="x", checksum=False)
        ),
        [("x", "https://example.com/x.txt?a=1")],
    )
    yield Case(
        rule,
        "another scheme needs a name",
        lambda w, p: w.Artifact("a", "t").add_reference("ref://x/y"),
        Raises("ValueError", "name"),
    )
    yield Case(
        rule,
        "another scheme",
        lambda w, p: _shown(w.Artifact("a", "t").add_reference("ref://x/y", name="n")),
        [("n", "ref://x/y")],
    )
    yield Case(rule, "another scheme: another URI, another digest", _two_uris, False)
    yield Case(
        rule,
        "size of unknown",
        lambda w, p: (lambda a: (a.add_reference("ref://x/y", name="n"), a.size)[1])(w.Artifact("a", "t")),
        0,
    )
    yield Case(
        rule,
        "ref_target",
        lambda w, p: w.Artifact("a", "t").add_reference("ref://x/y", name="n")[0].ref_target(),
        "ref://x/y",
    )
    yield Case(
        rule,
        "ref_target of a file",
        lambda w, p: w.Artifact("a", "t").add_file(file(p)).ref_target(),
        Raises("ValueError", "Only reference entries support ref_target()."),
    )
    yield Case(
        rule,
        "ref_url of a draft",
        lambda w, p: w.Artifact("a", "t").add_file(file(p)).ref_url(),
        Raises("ValueError", "There is no parent artifact"),
        Raises("NotImplementedError"),
        "a script can only expect the ValueError that W&B documents",
    )
    yield Case(
        rule,
        "no reference and no entry",
        lambda w, p: w.Artifact("a", "t").add_reference("", name="x"),
        Raises("ValueError"),
    )


def _two_uris(w: Any, p: Path) -> object:
    one, other = w.Artifact("a", "t"), w.Artifact("a", "t")
    one.add_reference("ref://x/y", name="n")
    other.add_reference("ref://x/z", name="n")
    return one.digest == other.digest


def _shown(entries: Any) -> object:
    return [(str(entry.path), str(entry.ref)) for entry in entries]


def _referenced(**words: Any) -> Callable[[Any, Path], object]:
    def ask(w: Any, p: Path) -> object:
        uri = Path(file(p)).as_uri()
        entries = w.Artifact("a", "t").add_reference(uri, **words)
        return [(str(entry.path), entry.size) for entry in entries], all(entry.ref == uri for entry in entries)

    return ask


def _folder_reference(**words: Any) -> Callable[[Any, Path], object]:
    def ask(w: Any, p: Path) -> object:
        artifact = w.Artifact("a", "t")
        artifact.add_reference(Path(_tree(p)).as_uri(), **words)
        return sorted((str(entry.path), entry.size) for entry in artifact.manifest.entries.values())

    return ask


def _digest_of_reference(w: Any, path: str, *, checksum: bool) -> object:
    artifact = w.Artifact("a", "t")
    artifact.add_reference(Path(path).as_uri(), name="x", checksum=checksum)
    return artifact.digest


def _changed(text: str, *, checksum: bool) -> Callable[[Any, Path], object]:
    def ask(w: Any, p: Path) -> object:
        before = _digest_of_reference(w, file(p), checksum=checksum)
        return _digest_of_reference(w, file(p, text=text), checksum=checksum) == before

    return ask


def _moved(*, checksum: bool) -> Callable[[Any, Path], object]:
    def ask(w: Any, p: Path) -> object:
        before = _digest_of_reference(w, file(p), checksum=checksum)
        return _digest_of_reference(w, file(p, "moved.txt"), checksum=checksum) == before

    return ask


UNLOGGED = [
    "aliases",
    "collection",
    "commit_hash",
    "created_at",
    "entity",
    "file_count",
    "history_step",
    "linked_artifacts",
    "project",
    "qualified_name",
    "source_artifact",
    "source_collection",
    "source_entity",
    "source_project",
    "source_qualified_name",
    "source_version",
    "tags",
    "ttl",
    "updated_at",
    "url",
    "version",
]
METHODS: dict[str, Callable[[Any], object]] = {
    "get": lambda a: a.get("x"),
    "get_entry": lambda a: a.get_entry("x"),
    "get_path": lambda a: a.get_path("x"),
    "download": lambda a: a.download(),
    "checkout": lambda a: a.checkout(),
    "verify": lambda a: a.verify(),
    "file": lambda a: a.file(),
    "files": lambda a: a.files(),
    "delete": lambda a: a.delete(),
    "used_by": lambda a: a.used_by(),
    "logged_by": lambda a: a.logged_by(),
    "new_draft": lambda a: a.new_draft(),
    "json_encode": lambda a: a.json_encode(),
    "unlink": lambda a: a.unlink(),
    "wait": lambda a: a.wait(),
    "__getitem__": lambda a: a["x"],
}


def _unlogged() -> Iterator[Case]:
    rule = "2.5 unlogged"
    told = (
        "' used prior to logging artifact or while in offline mode. "
        "Call Artifact.wait() before accessing logged artifact properties."
    )
    yield Case(rule, "is_link", lambda w, p: w.Artifact("a", "t").is_link, False)
    for name in UNLOGGED:
        words = (
            told if name.endswith("qualified_name") else f"'Artifact.{name}{told}"
        )  # W&B names the entity it looks for
        expected = Raises("ArtifactNotLoggedError", words)
        yield Case(rule, name, lambda w, p, name=name: getattr(w.Artifact("a", "t"), name), expected)
        yield Case(rule, f"hasattr {name}", lambda w, p, name=name: hasattr(w.Artifact("a", "t"), name), False)
    said = {"get_path": "get_entry", "__getitem__": "get"}
    for name, call in METHODS.items():
        ask = lambda w, p, call=call: call(w.Artifact("a", "t"))
        yield Case(rule, f"{name}()", ask, Raises("ArtifactNotLoggedError", f"'Artifact.{said.get(name, name)}{told}"))
    for name in ("aliases", "tags"):
        yield Case(
            rule,
            f"set {name}",
            lambda w, p, name=name: setattr(w.Artifact("a", "t"), name, ["x"]),
            Raises("ArtifactNotLoggedError", f"'Artifact.{name}{told}"),
        )
    yield Case("2.5 states", "pending", lambda w, p: w.Artifact("a", "t").state, "PENDING")
    readable: dict[str, object] = {
        "id": None,
        "name": "a",
        "source_name": "a",
        "type": "t",
        "description": None,
        "metadata": {},
        "distributed_id": None,
        "incremental": False,
        "use_as": None,
        "size": 0,
    }
    for name, value in readable.items():
        yield Case("2.5 draft", name, lambda w, p, name=name: getattr(w.Artifact("a", "t"), name), value)
    yield Case("2.5 draft", "is_draft", lambda w, p: w.Artifact("a", "t").is_draft(), True)
    yield Case("2.5 draft", "digest", lambda w, p: bool(w.Artifact("a", "t").digest), True)
    yield Case(
        "2.5 draft",
        "description set",
        lambda w, p: (lambda a: (setattr(a, "description", "x"), a.description)[1])(w.Artifact("a", "t")),
        "x",
    )
    yield Case(
        "2.6 ttl",
        "zero",
        lambda w, p: setattr(w.Artifact("a", "t"), "ttl", dt.timedelta()),
        Raises("ValueError", "Artifact TTL Duration has to be positive."),
    )
    yield Case(
        "2.6 ttl",
        "negative",
        lambda w, p: setattr(w.Artifact("a", "t"), "ttl", dt.timedelta(-1)),
        Raises("ValueError", "has to be positive"),
    )
    yield Case("2.6 ttl", "set", lambda w, p: _ttl(w, dt.timedelta(days=3)), dt.timedelta(days=3))
    yield Case("2.6 ttl", "never", lambda w, p: _ttl(w, None), None)
    yield Case("2.6 ttl", "inherit", lambda w, p: _ttl(w, w.ArtifactTTL.INHERIT), Raises("ArtifactNotLoggedError"))


def _ttl(w: Any, ttl: Any) -> object:
    artifact = w.Artifact("a", "t")
    artifact.ttl = ttl
    return artifact.ttl


def _same(
    one: dict[str, str], other: dict[str, str], words: dict[str, Any], **more: Any
) -> Callable[[Any, Path], object]:
    def ask(w: Any, p: Path) -> object:
        return draft(w, one, **words).digest == draft(w, other, **more).digest

    return ask


def _manifest(w: Any, p: Path) -> object:
    artifact = draft(w, {"b": "22", "a": "1"})
    artifact.add_reference("ref://x", name="r")
    text = artifact.manifest.to_manifest_json()
    contents = {path: sorted(set(entry) - {"size"}) for path, entry in text["contents"].items()}
    return text["version"], contents, text["contents"]["b"]["size"], sorted(text)


def _manifest_calls(w: Any, p: Path) -> object:
    manifest = draft(w, {"b": "22", "d/a": "1"}).manifest
    below = [str(entry.path) for entry in manifest.get_entries_in_directory("d")]
    return (
        len(manifest),
        str(manifest.get_entry_by_path("b").path),
        manifest.get_entry_by_path("x"),
        below,
        manifest.version(),
    )


def _times_and_modes(w: Any, p: Path) -> object:
    one, other = Path(file(p, "1/f.txt")), Path(file(p, "2/f.txt"))
    other.chmod(0o700)
    os.utime(other, (1, 1))
    digests = []
    for path in (one, other):
        artifact = w.Artifact("a", "t")
        artifact.add_file(str(path))
        digests.append(artifact.digest)
    return digests[0] == digests[1]


def _file_or_reference(w: Any, p: Path) -> object:
    stored, referenced = w.Artifact("a", "t"), w.Artifact("a", "t")
    stored.add_file(file(p))
    referenced.add_reference(Path(file(p)).as_uri())
    return stored.digest == referenced.digest


def _manifests() -> Iterator[Case]:
    rule = "2.4 digest"
    yield Case(rule, "same content", _same({"a": "1"}, {"a": "1"}, {}), True)
    yield Case(rule, "other content", _same({"a": "1"}, {"a": "2"}, {}), False)
    yield Case(rule, "other path", _same({"a": "1"}, {"b": "1"}, {}), False)
    yield Case(rule, "order of adding", _same({"a": "1", "b": "2"}, {"b": "2", "a": "1"}, {}), True)
    yield Case(
        rule,
        "description and metadata",
        _same({"a": "1"}, {"a": "1"}, {"description": "x", "metadata": {"k": 1}}),
        True,
    )
    yield Case(rule, "name and type", lambda w, p: w.Artifact("a", "t").digest == w.Artifact("b", "u").digest, True)
    yield Case(rule, "empty and not", _same({}, {"a": ""}, {}), False)
    yield Case(rule, "times and modes", _times_and_modes, True)
    yield Case(rule, "file or reference of that content", _file_or_reference, False, True, WHERE)
    yield Case(
        rule,
        "manifest and artifact agree",
        lambda w, p: (lambda a: a.manifest.digest() == a.digest)(draft(w, {"a": "1"})),
        True,
    )
    shown = {"a": ["digest"], "b": ["digest"], "r": ["digest", "ref"]}
    yield Case(
        "2.4 manifest",
        "json",
        _manifest,
        (1, shown, 2, ["contents", "storagePolicy", "storagePolicyConfig", "version"]),
    )
    yield Case(
        "2.4 manifest",
        "json text",
        lambda w, p: json.loads(json.dumps(draft(w, {"a": "1"}).manifest.to_manifest_json()))["contents"]["a"]["size"],
        1,
    )
    yield Case("2.4 manifest", "calls", _manifest_calls, (2, "b", None, ["d/a"], 1))
    yield Case("2.4 size", "with references", _sized, 6)


def _sized(w: Any, p: Path) -> object:
    artifact = draft(w, {"a": "123"})
    artifact.add_reference(Path(file(p)).as_uri(), name="r")
    return artifact.size


CASES = [
    *_names(),
    *_types(),
    *_metadata_cases(),
    *_constructor(),
    *_new_file(),
    *_add_file(),
    *_folders(),
    *_removal(),
    *_references(),
    *_unlogged(),
    *_manifests(),
]
