"""What a user without rights can do with a project: ask, copy, and be told what is missing."""

from __future__ import annotations

import gc
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from conftest import draft
from jobs import give_up_rights

import lineage

LARGE = b"x" * 20_000

Call = Callable[[lineage.Project], object]
WRITES: dict[str, Call] = {
    "log": lambda project: project.log_artifact(draft("new", {"a": LARGE + b"2"})),
    "log small": lambda project: project.log_artifact(draft("new", {"a": "1"})),
    "log known": lambda project: project.log_artifact(draft("copy", {"a": LARGE})),
    "start_run": lambda project: project.start_run(),
    "alias": lambda project: project.version("d").add_alias("best"),
    "delete": lambda project: project.version("d:v0").delete(delete_aliases=True),
    "prune": lambda project: project.prune(keep_last=1),
    "gc": lambda project: project.gc(),
    "batch": lambda project: project.batch().__enter__(),
    "repair": lambda project: project.repair(dry_run=False),
    "unpack": lambda project: project.unpack(),
    "merge": lambda project: project.merge(project.file.parent.parent / "free" / "share.lineage"),
    "pack here": lambda project: project.pack(project.file.with_name("new.lineage")),
    "download here": lambda project: project.version("d").download(project.file.parent / "out"),
    "create here": lambda project: lineage.open(project.file.with_name("other.lineage")),
}
READS: dict[str, Call] = {
    "versions": lambda project: len(project.versions()) == 2 or 1 / 0,
    "read": lambda project: project.version("d:v0").open("a").read() == LARGE or 1 / 0,
    "verify": lambda project: project.verify().problems == () or 1 / 0,
    "graph": lambda project: len(project.graph()) == 3 or 1 / 0,
    "download": lambda project: project.version("d").download(project.file.parent.parent / "free" / "out"),
    "pack": lambda project: project.pack(project.file.parent.parent / "free" / "copy.lineage", overwrite=True),
    "gc --dry-run": lambda project: project.gc(dry_run=True),
}


def prepare(folder: Path) -> Path:
    """Make a project that somebody else owns, and a folder where everybody may write."""
    folder.chmod(0o755)
    (folder / "p").mkdir(exist_ok=True)
    (folder / "free").mkdir(mode=0o777)
    (folder / "free").chmod(0o777)
    project = lineage.open(folder / "p" / "p.lineage")
    with project.start_run() as run:
        run.log_artifact(draft("d", {"a": LARGE, "small": "1"}))
        run.log_artifact(draft("d", {"a": LARGE + b"1"}))
    other = lineage.open(folder / "theirs.lineage")
    other.log_artifact(draft("theirs", {"a": "1"}))
    other.pack(folder / "free" / "share.lineage")
    (folder / "free" / "share.lineage").chmod(0o644)
    return project.file


def shut(file: Path, way: str) -> None:
    """Take rights away."""
    if way == "read-only mount":
        subprocess.run(["mount", "-o", "remount,ro", str(file.parent)], check=True)
        return
    modes = {
        "read-only folder": (0o644, 0o555),
        "read-only file": (0o444, 0o777),
        "another user's": (0o644, 0o755),
        "another user's, locks shut": (0o666, 0o777),
    }
    of_file, of_folder = modes[way]
    for path in [*file.parent.rglob("*"), file.parent]:
        is_blob = "p.blobs" in path.parts and path.suffix != ".lock"
        path.chmod(of_folder if path.is_dir() else 0o444 if is_blob else of_file)
    if way == "another user's, locks shut":
        for path in file.with_suffix(".blobs").rglob("*.lock"):
            path.chmod(0o600)


def state(folder: Path) -> dict[str, object]:
    """Return names, sizes and times of all that lies in a folder."""
    found: dict[str, object] = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        found[str(path)] = (status.st_mode, status.st_size, status.st_mtime_ns, status.st_ino)
    return found


def try_all(folder: str, way: str) -> dict[str, str]:
    """Do everything where nothing may be written; return what each write was told."""
    os.umask(0o022)
    file = prepare(Path(folder))
    shut(file, way)
    give_up_rights()
    os.chdir(Path(folder) / "free")
    os.environ["LINEAGE_CACHE"] = str(Path(folder) / "free" / "cache")
    before = state(file.parent)
    project = lineage.open(file)
    told = {}
    for name, call in READS.items():
        try:
            call(project)
        except lineage.LineageError as error:
            if name != "pack" or "locks shut" not in way:  # which keeps gc out, or says that it cannot
                raise AssertionError(f"{name}: {error}") from error
    for name, call in WRITES.items():
        try:
            call(project)
        except lineage.LineageError as error:
            told[name] = f"{type(error).__name__}: {error}"
        else:
            told[name] = "done"
    gc.collect()
    after = state(file.parent)
    assert {path: found for path, found in after.items() if path in before} == before
    new = {Path(path).relative_to(file.parent).parts[0] for path in after.keys() - before.keys()}
    assert new <= {"new.lineage", "out", "other.lineage"}, new
    return told


def as_two_users(folder: str) -> int:
    """Log with umask 077 as one user, then ask as another; return the calls that were refused."""
    os.umask(0o077)
    Path(folder).chmod(0o777)
    file = prepare(Path(folder))
    give_up_rights()
    os.chdir(Path(folder) / "free")
    refused = 0
    for path, read_only in ((file, False), (file, True), (file.parent / "new.lineage", False)):
        try:
            lineage.open(path, read_only=read_only)
        except lineage.LineageError:
            refused += 1
    return refused


def unreadable_in_the_middle(folder: str) -> str:
    """Log a folder of which one file, or one folder, may not be read; return what is told."""
    place = Path(folder)
    place.chmod(0o777)
    tree = place / "tree"
    (tree / "m").mkdir(parents=True)
    for name in ("a", "m/closed", "z"):
        (tree / name).write_bytes(LARGE)
    (tree / "m" / "closed").chmod(0)
    give_up_rights()
    os.chdir(place)
    project = lineage.open(place / "p.lineage")
    made = draft("d", {"own": "1"})
    try:
        made.add_dir(tree)
    except lineage.LineageError as error:
        told = str(error)
    else:
        told = ""
    assert [entry.path for entry in made.entries] == ["own"]
    assert len(project.versions()) == 0
    del made
    gc.collect()
    assert list((project.blob_folder / "tmp").iterdir()) == []
    return told


def many_files(folder: str) -> int:
    """Log, read and download 1,000 files with 32 descriptors; return how many came back."""
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
    place = Path(folder)
    (place / "tree").mkdir()
    for number in range(1_000):
        (place / "tree" / f"{number}").write_bytes(b"%d" % number * (10_000 if number % 10 == 0 else 1))
    project = lineage.open(place / "p.lineage")
    version = project.log_artifact(place / "tree", "d", "dataset")
    version.download(place / "out")
    assert project.verify().problems == ()
    project.pack(place / "share.lineage")
    return sum((place / "out" / f"{n}").read_bytes() == (place / "tree" / f"{n}").read_bytes() for n in range(1_000))
