"""One gate for each thing that can go wrong: nothing in the package goes round it, but for places with a reason."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from ledger import Ledger

import lineage

PACKAGE = Path(lineage.__file__).parent
MARK = pytest.mark.faults("P13 P12 P22", "F72 F85 F94 F97", "one gate each: files, names, folders, connections, digests, code")

Call = tuple[str, str]
"""What is done, and where: module and function."""

ALLOWED: dict[str, dict[str, str]] = {
    "creates a file": {
        "blobs:Staging.__init__": "the lock and the spool of a staging folder that was made under a name of its own",
        "blobs:Staging.stage": "a numbered name in that folder, exclusively",
        "blobs:Staging._clone": "the same",
        "blobs:BlobFolder._on_our_disk": "a random name in tmp, exclusively",
        "database:_build": "a random name beside the project, exclusively",
        "download:_write": "a random name below a descriptor of the folder, exclusively, never through a link",
        "journal:refuse_strange_journal": "it only reads",
        "newfile:NewFile._spill": "a numbered name in a staging folder, exclusively",
        "portable.draft:draft_folder": "the lock of a folder that was made under a random name",
        "portable.foreign:_private_copy": "a numbered name in a staging folder, exclusively; then only its header is read",
        "portable.packing:_copy": "in the draft's folder",
        "system:file_lock": "a lock file; nothing is written there but who holds it",
        "system:is_locked": "the same, of a file that is there",
        "statcache:_Cache._rebuild": "the cache, not the project",
        "upkeep.mending:_copy_out": "a numbered name in a staging folder, exclusively",
        "cli.walk:_write": "the file that the caller named with --output",
        "cli.app:_drop_stdout": "/dev/null",
        "documents:write_schemas": "the schemas of this repository",
    },
    "names a file": {},
    "makes a folder": {},
    "removes": {},
    "opens a connection": {},
    "believes a digest": {},
    "decodes a foreign file": {},
    "runs code": {},
    "goes out": {},
}


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
    **dict.fromkeys(("write_text", "write_bytes", "touch", "mkstemp", "NamedTemporaryFile", "mkfifo", "mknod"), "creates a file"),
    **dict.fromkeys(("copy", "copy2", "copyfile", "copytree", "move"), "copies by name"),
    **dict.fromkeys(("rename", "renames", "link", "symlink", "symlink_to", "hardlink_to"), "names a file"),
    **dict.fromkeys(("mkdir", "makedirs", "mkdtemp"), "makes a folder"),
    **dict.fromkeys(("unlink", "remove", "rmdir", "rmtree", "removedirs"), "removes"),
}
OF_OS = {"copy": "shutil", "copy2": "shutil", "copyfile": "shutil", "copytree": "shutil", "move": "shutil", "remove": "os"}
CODE = {"eval", "exec", "compile", "__import__", "import_module", "load_extension", "enable_load_extension", "system"}
CODE |= {"popen", "Popen", "execv", "execvp", "execve", "spawnl", "spawnv", "fork_exec", "run_path", "run_module", "check_output"}
MODULES = {
    "runs code": {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "code", "ctypes", "subprocess", "runpy"},
    "goes out": {"urllib.request", "http.client", "http.server", "socket", "ssl", "requests", "ftplib", "smtplib", "webbrowser"},
    "unpacks": {"tarfile", "zipfile", "jinja2"},
    "opens a connection": {"apsw", "sqlite_utils"},
}
FOREIGN = {"foreign_database", "mirror_database", "foreign_project"}


def done(node: ast.AST) -> Iterator[str]:
    """Yield what a node does that has a gate."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from imported(node)
    if isinstance(node, ast.Name | ast.Attribute):
        yield from referred(node)
    if not isinstance(node, ast.Call):
        return
    name = ast.unparse(node.func)
    last = name.rpartition(".")[2]
    if last == "open" or last == "FileIO":
        yield from opened(node, name)
    elif NAMES.get(last) and (last not in OF_OS or name.startswith(f"{OF_OS[last]}.")):
        yield NAMES[last]
    elif name in ("os.replace", "Path.replace") or (last == "replace" and len(node.args) == 1 and not node.keywords):
        yield "names a file"
    if last == "connect":
        yield "opens a connection"
    if last == "Digest":
        yield "believes a digest"
    if last in CODE and not (last in ("compile", "system") and name.startswith(("re.", "platform."))):
        yield "runs code"
    if last == "load" and any(one.arg == "allow_pickle" for one in node.keywords):
        if any(one.arg == "allow_pickle" and ast.unparse(one.value) != "False" for one in node.keywords):
            yield "runs code"
    if last == "run" and name.startswith("subprocess."):
        yield "runs code"
    yield from ("decodes a foreign file" for _ in range(last in FOREIGN))


def imported(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """Yield what modules are imported for."""
    module = node.module if isinstance(node, ast.ImportFrom) else None
    names = {f"{module}.{one.name}" if module else one.name for one in node.names} | {module or ""}
    for what, known in MODULES.items():
        if names & known or {name.split(".")[0] for name in names} & {one for one in known if "." not in one}:
            yield what


def referred(node: ast.Name | ast.Attribute) -> Iterator[str]:
    """Yield what a function is named for that is not called here: handed on, or under another name."""
    text = ast.unparse(node)
    if text in ("sqlite3.connect", "os.rename", "os.unlink", "shutil.rmtree", "os.replace", "os.symlink", "os.link"):
        return  # as the function of a call it is counted there
    if text in ("eval", "exec", "__import__"):
        yield "runs code"


def opened(node: ast.Call, name: str) -> Iterator[str]:
    """Yield that a call of ``open`` may create a file, or that nobody can tell."""
    said = [ast.unparse(one) for one in [*node.args, *(keyword.value for keyword in node.keywords)]]
    if name == "os.open":
        if any(flag in text for text in said for flag in FLAGS) or not any("O_" in text or "_FOLDER" in text for text in said):
            yield "creates a file"
        return
    place = 1 if name in ("open", "io.open", "io.FileIO") else 0
    mode = next((one.value for one in node.keywords if one.arg == "mode"), None)
    mode = mode or (node.args[place] if len(node.args) > place else None)
    if isinstance(mode, ast.Constant) and isinstance(mode.value, str) and set(mode.value) <= set("rwaxbt+U"):
        if set(mode.value) & MODES:
            yield "creates a file"
    elif mode is not None and place == 1:
        yield "creates a file"


def found(sources: Iterable[tuple[str, str]]) -> set[Call]:
    """Return what is done, and where, in some sources: (module, text)."""
    return {
        (what, f"{module}:{where}" if where else module)
        for module, text in sources
        for where, node in functions(ast.parse(text))
        for what in done(node)
    }


def package() -> Iterator[tuple[str, str]]:
    """Yield the modules of the package; the face of W&B and the demo write where their caller says and are no gate."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        yield name, path.read_text("utf-8")


if __name__ == "__main__":
    for one in sorted(found(package())):
        print(*one, sep="\t")  # noqa: T201 (a list to look through)
