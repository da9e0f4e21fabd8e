"""One gate for each thing that can go wrong: nothing in the package goes round it, but for places with a reason."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from ledger import Ledger

import lineage

PACKAGE = Path(lineage.__file__).parent
MARK = pytest.mark.faults(
    "P13 P12 P22", "F72 F85 F94 F97", "one gate each: files, names, folders, connections, digests, code"
)

Call = tuple[str, str]
"""What is done, and where: module and function."""

STAGED = "a name that nobody else has, in a folder that was made for this draft"
PROBES = "in a folder of its own that selftest makes and removes"
SHELL = "where the caller says, as W&B's own client does"
ALLOWED: dict[str, dict[str, str]] = {
    "creates a file": {
        "staging:Staging.__init__": STAGED,
        "staging:Staging.stage": STAGED,
        "staging:Staging._clone": STAGED,
        "blobs:BlobFolder._put_copy": "a random name in tmp, exclusively",
        "connections:_build": "a random name beside the project, exclusively",
        "download:_new_file": "a random name below a descriptor of its folder, exclusively, never through a link",
        "download:_write": "by the descriptor of that file",
        "download:_remove_dead": "a file there that another download has left, to see whether that lives",
        "newfile:NewFile._spill": STAGED,
        "generations:_write": "the mark of the newest version in the blob folder, never through a link",
        "journal:have_journal": "the empty journal beside the project, exclusively",
        "portable.draft:_lock": STAGED,
        "portable.draft:_remove_dead": "a lock file that is there",
        "portable.foreign:_private_copy": STAGED,
        "portable.packing:_copy": STAGED,
        "upkeep.mending:_copied": STAGED,
        "selftest.children:*": PROBES,
        "selftest.probes:*": PROBES,
        "system:_held": "a lock file: nothing but its holder's name is written there",
        "system:is_locked": "a lock file that is there",
        "statcache:StatCache._opened": "the user's cache, which is no part of a project",
        "cli.walk:_write_graph": "the file that --output names",
        "cli.app:_drop_stdout": "/dev/null",
        "documents": "the schemas of this repository, written by hand",
        "wandb.install:install_for_children": "a temporary folder of its own",
        "wandb.sdk.run_nowhere:new_folder": "a temporary folder of its own",
        "wandb.sdk.run_resume:note_run": SHELL,
        "wandb.tutorial_models:NumpyNet.save": "an example",
    },
    "names a file": {
        "blobs:BlobFolder.put": "the gate of blobs: synced, read-only, under its digest",
        "blobs:BlobFolder._put_copy": "the same, where they cannot be linked",
        "blobs:BlobFolder.quarantine": "a blob that is moved aside",
        "connections:_publish": "a new project, which overwrites nothing",
        "download:_write": "the gate of downloads: inside one folder, by its descriptor",
        "portable.draft:publish": "the gate of packed files",
        "selftest.probes:*": PROBES,
        "store:_keep_copy": "the copy that an upgrade keeps",
        "wandb.sdk.run_nowhere:new_folder": "a folder that gets its name once its lock is held",
        "wandb.sdk.run_resume:note_run": SHELL,
    },
    "makes a folder": {
        "blobs:BlobFolder.make": "the blob folder",
        "blobs:BlobFolder.put": "a shard",
        "blobs:BlobFolder.quarantine": "the quarantine",
        "staging:Staging.__init__": "a random name in tmp",
        "download:_enter": "the gate of downloads: one name below a descriptor",
        "download:download": "the root, which the caller names",
        "portable.draft:_locked_folder": "a random name beside the target",
        "selftest.__init__:*": PROBES,
        "statcache:StatCache._opened": "the user's cache, which is no part of a project",
        "demo:main": "the folder that the demo is asked to fill",
        "wandb.install:install_for_children": "a temporary folder of its own",
        "wandb.places:Place.create": SHELL,
        "wandb.sdk.artifacts.staging:get_staging_dir": SHELL,
        "wandb.sdk.run_files:RunFiles.folder": SHELL,
        "wandb.sdk.run_nowhere:new_folder": "a temporary folder of its own",
        "wandb.sdk.run_resume:note_run": SHELL,
    },
    "removes": {
        "artifact:Artifact.new_file": STAGED,
        "staging:Staging._clone": STAGED,
        "staging:Staging.adopt": STAGED,
        "staging:Staging.drop": STAGED,
        "staging:_discard": STAGED,
        "staging:_remove_half_made": STAGED,
        "staging:removed_on_error": STAGED,
        "staging:remove_tree": "a staging folder whose owner is dead",
        "blobs:BlobFolder.delete": "the gate of gc: one blob, by its digest",
        "connections:create_database": "the draft of a project",
        "download:_clear_way": "what stands in the way of a checkout, whose folder is the caller's to clear",
        "download:_remove_extras": "the same",
        "download:_remove_dead": "what a download that was killed has left",
        "download:_write": "its own temporary file",
        "journal:have_journal": "the journal, where it could not be made durable",
        "portable.draft:_discard": STAGED,
        "portable.draft:_remove_lockless": "what a packing that was killed has left",
        "portable.draft:publish": "the new name, where it could not be made durable",
        "portable.packing:pack": STAGED,
        "selftest.__init__:*": PROBES,
        "statcache:StatCache._forget_useless": "the user's cache, which is no part of a project",
        "store:_keep_copy": "its own temporary file",
        "wandb.install:_remove": "a temporary folder of its own",
        "wandb.sdk.artifacts.staging:_remove": "a temporary folder of its own",
        "wandb.sdk.run_nowhere:_remove_dead": "a temporary folder of its own",
        "wandb.sdk.run_nowhere:remove_folder": "a temporary folder of its own",
        "wandb.sdk.run_resume:forget_run": SHELL,
        "wandb.sdk.run_resume:note_run": SHELL,
    },
    "opens a connection": {
        "connections:connect": "the gate: every setting of promises.md 4.1",
        "connections:foreign_database": "the gate for files of others: immutable, with limits",
        "connections:draft_database": "a file that has no name yet",
        "connections:mirror_database": "the copy that it makes",
        "connections:scratch_database": "in memory",
        "database:Database._connected": "by the gate",
        "connections:begin_to_read": "by the gate",
        "connections:_build": "by the gate",
        "connections:copy_database": "by the gate",
        "statcache:StatCache._opened": "the user's cache, which is no part of a project",
        "questions": "wraps a connection of the gate, for db()",
        "questions:Questions.db": "wraps a connection of the gate, for db()",
    },
    "believes a digest": {
        "artifact:Artifact._freeze": "made from a hash",
        "staging:Staging._spool_bytes": "made from a hash",
        "staging:copy_hashed": "made from a hash",
        "staging:in_memory": "made from a hash",
        "manifests:_digest": "made from a hash",
        "manifests:split": "made from a hash",
        "statcache:_checked": "32 bytes as hexadecimal digits",
        "portable.merging:_Union._manifest": "of a file whose cells were all looked at",
        "portable.merging:_wanted_blobs": "of a file whose cells were all looked at",
        "statements.artifacts:_version_record": "for people and programs; a path is made by path_of alone, which looks",
        "statements.content:blobs_after": "the same",
        "statements.portable:blobs_to_pack": "the same",
        "statements.portable:places_after": "the same",
        "statements.portable:large_inside": "the same",
        "upkeep.integrity:look_up": "the same",
    },
    "decodes a foreign file": {
        "portable.foreign:_check_file": "the gate",
        "portable.foreign:_private_copy": "the gate",
        "portable.merging:merge": "by the gate",
        "portable.filling:fill": "by the gate",
    },
    "runs code": {
        "capture:_git": "git, without a shell, with arguments of ours",
        "cli.app:LazyGroup.get_command": "a command of a list of ours",
        "cli.wrap": "the command that the user asked for",
        "cli.wrap:_run_command": "the command that the user asked for",
        "connections:_keep_inherited_connections": "a reference count, in a forked child",
        "filesystems:_mount_command": "mount, by its whole path, where there is no table of mounts",
        "selftest.children:*": "children of selftest's own, by this interpreter",
        "selftest.children": "the same",
        "wandb.__main__": "the script that the user asked for",
        "wandb.__main__:main": "the script that the user asked for",
        "wandb.apis.public.history:module": "pandas, by its name",
        "wandb.install:install": "a module of ours, by its name",
        "wandb.sdk.data_types.optional:found": "an optional package of a list of ours",
        "wandb.sdk.data_types.optional:needed": "an optional package of a list of ours",
    },
    "goes out": {
        "references": "names types",
        "references:_fetched": "the gate of references: http(s) only, for a download or a log that the caller asks for",
        "references:_opener": "the same",
        "references:_remote_errors": "the same",
    },
    "joins a stored path": {
        "download:usual_folder": "the gate of names that become folders",
        "wandb.sdk.artifacts.artifact_reading:Reading.download_entry": "to say where a download has brought it",
        "download:_refuse_store": "to compare; nothing is opened",
        "download:_clear_way": "for a checkout: paths passed the gate where their rows were read",
    },
}
"""What may be done where, and why; `link` and the like are commands and methods of ours that only have the name."""
OURS = frozenset(
    {
        "cli.names:link",
        "project:Project.link",
        "wandb.sdk.artifacts.artifact:Artifact.link",
        "wandb.sdk.run_artifacts:RunArtifacts.link",
        "wandb.sdk.run_artifacts:RunArtifacts.link_model",
        "wandb.sdk.wandb_run:Run.link_artifact",
    }
)


def functions(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Yield each node of a module with the dotted name of the function or class it is in."""

    def walk(node: ast.AST, where: str) -> Iterator[tuple[str, ast.AST]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from walk(child, f"{where}.{child.name}" if where else child.name)
            else:
                yield where, child
                yield from walk(child, where)

    yield from walk(tree, "")


MODES = frozenset("wax+")
FLAGS = ("O_CREAT", "O_WRONLY", "O_RDWR", "O_TRUNC", "O_APPEND")
NAMES: dict[str, str] = {
    **dict.fromkeys(
        ("write_text", "write_bytes", "touch", "mkstemp", "NamedTemporaryFile", "mkfifo", "mknod"), "creates a file"
    ),
    **dict.fromkeys(("copy", "copy2", "copyfile", "copytree", "move"), "creates a file"),
    **dict.fromkeys(("rename", "renames", "link", "symlink", "symlink_to", "hardlink_to"), "names a file"),
    **dict.fromkeys(("mkdir", "makedirs", "mkdtemp"), "makes a folder"),
    **dict.fromkeys(("unlink", "remove", "rmdir", "rmtree", "removedirs"), "removes"),
}
OF_OS = {
    "copy": "shutil",
    "copy2": "shutil",
    "copyfile": "shutil",
    "copytree": "shutil",
    "move": "shutil",
    "remove": "os",
}
CODE = {"eval", "exec", "compile", "__import__", "import_module", "load_extension", "enable_load_extension", "system"}
CODE |= {
    "popen",
    "Popen",
    "execv",
    "execvp",
    "execve",
    "spawnl",
    "spawnv",
    "fork_exec",
    "run_path",
    "run_module",
    "check_output",
}
MODULES = {
    "runs code": {
        "pickle",
        "marshal",
        "shelve",
        "dill",
        "cloudpickle",
        "joblib",
        "code",
        "ctypes",
        "subprocess",
        "runpy",
    },
    "goes out": {
        "urllib.request",
        "http.client",
        "http.server",
        "socket",
        "ssl",
        "requests",
        "ftplib",
        "smtplib",
        "webbrowser",
    },
    "unpacks": {"tarfile", "zipfile", "jinja2"},
    "opens a connection": {"apsw", "sqlite_utils"},
}
FOREIGN = {"foreign_database", "mirror_database", "foreign_project"}


def done(node: ast.AST) -> Iterator[str]:
    """Yield what a node does that has a gate."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from imported(node)
    elif isinstance(node, ast.Name | ast.Attribute):
        yield from referred(node)
    elif isinstance(node, ast.BinOp):
        yield from joined(node)
    elif isinstance(node, ast.Call):
        name = ast.unparse(node.func)
        yield from filed(node, name)
        yield from called(node, name)


def joined(node: ast.BinOp) -> Iterator[str]:
    """Yield that the path of an entry is joined to a folder."""
    right = ast.unparse(node.right)
    if isinstance(node.op, ast.Div) and (right.endswith("entry.path") or right in ("path", "folder")):
        yield "joins a stored path"


def filed(node: ast.Call, name: str) -> Iterator[str]:
    """Yield what a call does to files and folders."""
    last = name.rpartition(".")[2]
    if last in {"open", "FileIO"}:
        yield from opened(node, name)
    elif last in NAMES and (last not in OF_OS or name.startswith(f"{OF_OS[last]}.")):
        yield NAMES[last]
    elif last == "replace" and (name == "os.replace" or (len(node.args) == 1 and not node.keywords)):
        yield "names a file"
    elif name == "os.path.join" and any("entry.path" in ast.unparse(one) for one in node.args):
        yield "joins a stored path"


def called(node: ast.Call, name: str) -> Iterator[str]:
    """Yield what else a call does."""
    last = name.rpartition(".")[2]
    if last == "connect":
        yield "opens a connection"
    if last == "Digest":
        yield "believes a digest"
    if last in FOREIGN:
        yield "decodes a foreign file"
    if last in CODE and not name.startswith(("re.", "platform.")):
        yield "runs code"
    if name.startswith("subprocess."):
        yield "runs code"
    if any(one.arg == "allow_pickle" and ast.unparse(one.value) != "False" for one in node.keywords):
        yield "runs code"
    if any(one.arg == "shell" and ast.unparse(one.value) != "False" for one in node.keywords):
        yield "runs code"


def imported(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """Yield what modules are imported for."""
    module = node.module if isinstance(node, ast.ImportFrom) else None
    names = {f"{module}.{one.name}" if module else one.name for one in node.names} | {module or ""}
    for what, known in MODULES.items():
        if names & known or {name.split(".")[0] for name in names} & {one for one in known if "." not in one}:
            yield what


def referred(node: ast.Name | ast.Attribute) -> Iterator[str]:
    """Yield that a builtin is named which runs text, also where it is only handed on."""
    if ast.unparse(node) in {"eval", "exec", "__import__"}:
        yield "runs code"


def opened(node: ast.Call, name: str) -> Iterator[str]:
    """Yield that a call of ``open`` may create a file, or that nobody can tell."""
    said = [ast.unparse(one) for one in [*node.args, *(keyword.value for keyword in node.keywords)]]
    if name == "os.open":
        if any(flag in text for text in said for flag in FLAGS) or not any(
            "O_" in text or "_FOLDER" in text for text in said
        ):
            yield "creates a file"
        return
    place = 1 if name in ("open", "io.open", "io.FileIO") else 0
    mode = next((one.value for one in node.keywords if one.arg == "mode"), None)
    mode = mode or (node.args[place] if len(node.args) > place else None)
    if isinstance(mode, ast.Constant) and isinstance(mode.value, str) and set(mode.value) <= set("rwaxbt+U"):
        yield from ("creates a file" for _ in range(bool(set(mode.value) & MODES)))
    elif mode is not None and place == 1:
        yield "creates a file"


def found(sources: Iterable[tuple[str, str]]) -> set[Call]:
    """Return what is done, and where, in some sources: (module, text); ``module:*`` where all of it may."""
    return {
        (what, place(what, module, where))
        for module, text in sources
        for where, node in functions(ast.parse(text))
        for what in done(node)
    }


def place(what: str, module: str, where: str) -> str:
    """Return the place by its name on the list."""
    whole = f"{module}:*"
    return whole if where and whole in ALLOWED[what] else f"{module}:{where}" if where else module


def package() -> Iterator[tuple[str, str]]:
    """Yield the modules of the package; the face of W&B and the demo write where their caller says and are no gate."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        yield name, path.read_text("utf-8")


def check(sources: Iterable[tuple[str, str]]) -> int:
    """Fail unless all that has a gate is done in a place of the list; return how many there are."""
    seen = {(what, where) for what, where in found(sources) if not (what == "names a file" and where in OURS)}
    listed = {(what, where) for what, places in ALLOWED.items() for where in places}
    assert sorted(seen - listed) == []
    return len(seen)


@MARK
def test_nothing_goes_round_a_gate(ledger: Ledger) -> None:
    """Whoever creates, names or removes files, opens connections or believes digests, is on the list with a reason."""
    ledger.case(check(package()))


@MARK
def test_list_of_gates_holds_nothing_that_is_gone(ledger: Ledger) -> None:
    """A place that does no such thing any more is taken off, so that the list stays short."""
    listed = {(what, where) for what, places in ALLOWED.items() for where in places}

    assert sorted(listed - found(package())) == []
    ledger.case(len(listed))


ROUND = {
    "open to write": "def f(path):\n    return open(path, 'w')",
    "open in a mode that nobody can tell": "def f(path, mode):\n    return open(path, mode)",
    "open by keyword": "def f(path):\n    return open(path, mode='ab')",
    "Path.open": "def f(path):\n    return path.open('x')",
    "write_text": "def f(path):\n    path.write_text('x')",
    "write_bytes": "from pathlib import Path\nPath('x').write_bytes(b'')",
    "touch": "class C:\n    def f(self):\n        self.path.touch()",
    "os.open": "import os\ndef f(path):\n    return os.open(path, os.O_WRONLY | os.O_CREAT)",
    "os.open with flags from elsewhere": "import os\ndef f(path, flags):\n    return os.open(path, flags)",
    "a temporary file": "import tempfile\ntempfile.NamedTemporaryFile()",
    "a copy": "import shutil\nshutil.copyfile('a', 'b')",
    "a move": "import shutil\nshutil.move('a', 'b')",
    "rename": "def f(path):\n    path.rename('x')",
    "os.replace": "import os\nos.replace('a', 'b')",
    "Path.replace": "def f(path, target):\n    path.replace(target)",
    "a link": "import os\nos.symlink('a', 'b')",
    "a hard link": "def f(path):\n    path.hardlink_to('x')",
    "mkdir": "def f(path):\n    path.mkdir(parents=True)",
    "makedirs": "import os\nos.makedirs('x')",
    "unlink": "def f(path):\n    path.unlink()",
    "rmtree": "from shutil import rmtree\nrmtree('x')",
    "a connection": "import sqlite3\nsqlite3.connect('x')",
    "a connection under another name": "from sqlite3 import connect\nconnect('x')",
    "another SQLite": "import apsw",
    "a digest": "def f(text):\n    return Digest(text)",
    "a foreign file": "def f(path):\n    with foreign_database(path) as connection:\n        return connection",
    "pickle": "import pickle",
    "pickle in a function": "def f():\n    from pickle import loads\n    return loads",
    "marshal": "import marshal as m",
    "arrays with pickles": "def f(np, path):\n    return np.load(path, allow_pickle=True)",
    "eval": "def f(text):\n    return eval(text)",
    "exec, handed on": "def f(text):\n    return map(exec, text)",
    "an extension": "def f(connection):\n    connection.load_extension('x')",
    "extensions": "def f(connection):\n    connection.enable_load_extension(True)",
    "a shell": "import os\nos.system('x')",
    "a process": "import subprocess",
    "any module": "from importlib import import_module\ndef f(name):\n    return import_module(name)",
    "a URL": "from urllib.request import urlopen",
    "a socket": "import socket",
    "a server": "from http import server",
    "an archive": "import tarfile",
    "a template": "import jinja2",
    "a stored path": "def f(root, entry):\n    return root / entry.path",
    "a stored path, joined": "import os\ndef f(root, entry):\n    return os.path.join(root, entry.path)",
}
"""Ways round a gate, as somebody might write them one day."""


@MARK
@pytest.mark.parametrize("way", ROUND)
def test_ways_round_a_gate_are_caught(ledger: Ledger, way: str) -> None:
    """Each is found wherever it stands."""
    with ledger.catches(f"gate: {way}"):
        check([("planted", ROUND[way])])
