"""What the interpreter sees while a file of others is taken in: nothing runs or goes out, all is written at home."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import plants_packed as bugs
import pytest
from forgery import forging, make_share
from ledger import Ledger
from plants import Bug

import lineage

MARK = pytest.mark.faults("P12 P14", "F85 F94 F97 F119", "audit hook: no code, no URL, no write outside the project")

PROGRAM = """
import json, os, sys
from plants import plant_what_the_environment_names
plant_what_the_environment_names()
import lineage
import lineage.cli, lineage.documents, lineage.portable.merging, lineage.portable.filling, lineage.portable.packing
import concurrent.futures.thread
lineage.open("mine.lineage").log_artifact(lineage.Artifact("warm", "up"))
seen = []
WATCHED = tuple(sys.argv[3].split())
def text(one):
    return os.fsdecode(one) if isinstance(one, (str, bytes, os.PathLike)) else repr(one)
def hook(event, arguments):
    if event.startswith(WATCHED):
        seen.append((event, [text(one) for one in arguments]))
sys.addaudithook(hook)
for step in sys.argv[2].split():
    try:
        if step == "merge":
            lineage.open("mine.lineage").merge(sys.argv[1])
        elif step == "fill":
            lineage.open("bare.lineage").fill(sys.argv[1])
        elif step == "verify":
            lineage.open(sys.argv[1], read_only=True).verify()
        elif step == "ask":
            project = lineage.open(sys.argv[1], read_only=True)
            [version.files() for version in project.versions() if version.project is None and not version.deleted]
            project.graph("data"), project.runs(), project.size()
    except lineage.LineageError:
        pass
with open("seen.json", "w") as file:
    json.dump(seen, file)
"""

RUNS = (
    "socket",
    "subprocess",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "pickle",
    "urllib",
    "http",
    "ctypes",
    "webbrowser",
    "code.",
    "sqlite3.load_extension",
    "sqlite3.enable_load_extension",
)
CHANGES = (
    "os.remove",
    "os.rename",
    "os.link",
    "os.symlink",
    "os.mkdir",
    "os.rmdir",
    "os.chmod",
    "os.truncate",
    "shutil",
)
NAMED = {"os.rename": 2, "os.link": 2, "os.symlink": 2}
"""How many paths an event names."""


def check_audit(folder: Path, steps: str, bug: Bug | None = None) -> int:
    """Take in a hostile file under the interpreter's own eyes; return how many things it saw."""
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{here}:{here.parent}", **(bug.environment if bug else {})}
    command = [sys.executable, "-c", PROGRAM, str(folder / "theirs" / "theirs.lineage"), steps]
    command.append(" ".join([*RUNS, *CHANGES, "open"]))
    ended = subprocess.run(command, cwd=folder / "home", env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    seen = json.loads((folder / "home" / "seen.json").read_text())
    home = (folder / "home").resolve()
    assert [one for one in seen if one[0].startswith(RUNS)] == []
    for event, arguments in seen:
        paths = arguments[: NAMED.get(event, 1)] if event.startswith(CHANGES) else written(event, arguments)
        for path in paths:
            inside = (folder / "home" / path).resolve().is_relative_to(home)
            assert inside or path.isdigit(), (event, arguments)
    return len(seen)


def written(event: str, arguments: list[str]) -> list[str]:
    """Return the path of a file that is opened to be written."""
    if event != "open":
        return []
    path, mode, flags = arguments
    writes = int(flags) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC) or set(mode) & set("wax+")
    return [path] if writes else []


@pytest.fixture
def yard(tmp_path: Path) -> Path:
    """A home, and a file of others that asks for much."""
    for name in ("home", "theirs", "share"):
        (tmp_path / name).mkdir()
    share = make_share(tmp_path / "share")
    (tmp_path / "theirs" / "theirs.lineage").write_bytes(share.read_bytes())
    lineage.open(share).pack(tmp_path / "home" / "bare.lineage", content=False)
    secret = tmp_path / "secret"
    secret.write_text("secret")
    with forging(tmp_path / "theirs" / "theirs.lineage") as connection:
        for number, uri in enumerate((secret.as_uri(), "http://127.0.0.1:9/x", "ftp://127.0.0.1:9/x")):
            connection.execute(
                "INSERT INTO entry (part, path, uri, uri_digest) SELECT part, ?, ?, ? FROM entry WHERE path = 'a'",
                (f"zz{number}", uri, "0" * 64),
            )
        connection.execute(
            "UPDATE run SET code = ? WHERE uid = 'load'", ('{"repo":"file:///etc","command":"rm -rf /"}',)
        )
    return tmp_path


STEPS = "merge fill verify ask merge"


@MARK
def test_file_of_others_runs_nothing_and_writes_only_at_home(yard: Path, ledger: Ledger) -> None:
    """Merged, filled from, verified and asked: references stay text, and nothing is opened but what is ours."""
    ledger.case(check_audit(yard, STEPS))
    mine = lineage.open(yard / "home" / "mine.lineage")
    assert {entry.uri for entry in mine.version("data").files() if entry.uri} >= {"http://127.0.0.1:9/x"}


@MARK
@pytest.mark.parametrize(
    "bug", [bugs.references_are_followed, bugs.copy_is_made_beside_theirs], ids=lambda bug: bug.name
)
def test_what_goes_out_or_writes_elsewhere_is_caught(yard: Path, ledger: Ledger, bug: Bug) -> None:
    """A reference that is looked at, and a file that is put beside theirs."""
    with ledger.catches(bug.name):
        check_audit(yard, STEPS, bug)
