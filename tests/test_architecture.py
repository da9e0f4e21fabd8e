"""The house keeps its shape: layers import one way, SQL and connections have one door each, imports stay cheap."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lineage

PACKAGE = Path(lineage.__file__).parent

LAYERS = [
    {"errors"},
    {"values", "jsondata", "words"},
    {"records", "capture", "edits", "held"},
    {"facts"},
    {"system", "translation", "filesystems"},
    {"journal"},
    {"staging", "connections"},
    {"database", "blobs", "newfile"},
    {"filters", "manifests"},
    {"statements"},
    {"content", "migrations", "original", "statcache"},
    {"store"},
    {"graph", "references", "aliases", "exports", "adoption", "sealing", "generations"},
    {"comparison", "staleness", "download", "tree", "entries"},
    {"upkeep"},
    {"artifact", "listing", "attributes", "relations", "changes"},
    {"commit", "handles"},
    {"recording", "sources"},
    {"links"},
    {"portable"},
    {"run"},
    {"starting", "questions"},
    {"sharing"},
    {"project"},
    {"__init__"},
    {"selftest"},
    {"documents", "demo"},
    {"wandb"},
    {"cli"},
    {"__main__"},
]
"""From what everybody may import to what nobody may; a module may import from above its own line only."""


def module_names() -> list[str]:
    return sorted({path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in PACKAGE.rglob("*.py")})


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def own_imports(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the top-level module of the package that each import of a file names; not what only type checkers see."""
    tree = ast.parse(path.read_text("utf-8"))
    hidden = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in hidden:
            continue
        if isinstance(node, ast.ImportFrom) and node.module == "lineage":
            for alias in node.names:
                yield (alias.name if alias.name in module_names() else "__init__"), node.lineno
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lineage."):
            yield str(node.module).split(".")[1], node.lineno
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "lineage":
                    yield [*alias.name.split("."), "__init__"][1], node.lineno


def dotted(path: Path) -> str:
    """Return the module that a file is."""
    return ".".join(("lineage", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


def imported(path: Path) -> set[str]:
    """Return the modules of the package that a file imports, by their whole names."""
    known = {dotted(one) for one in sources()}
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inside & known) or {str(node.module)}
    return (found & known) - {dotted(path)}


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def test_layers_every_module_has_its_line() -> None:
    """Each module of the package stands on exactly one line of the list."""
    listed = [name for layer in LAYERS for name in layer]

    assert sorted(listed) == module_names()


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_upwards_only(path: Path) -> None:
    """A module imports from lines above its own, or from its own package."""
    place = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")

    wrong = [
        f"{path.name}:{line} imports {name}"
        for name, line in own_imports(path)
        if name != own and place[name] >= place[own]
    ]

    assert wrong == []


def test_imports_of_the_face_form_no_cycle() -> None:
    """Inside `lineage.wandb` too, where no list of layers says what may import what, imports go one way."""
    left = {dotted(path): imported(path) for path in sources() if dotted(path).startswith("lineage.wandb")}
    while ready := [name for name, needs in left.items() if not needs & left.keys()]:
        for name in ready:
            del left[name]

    assert left == {}


@pytest.mark.parametrize("heavy", ["sqlite_utils", "networkx", "pydantic", "click", "tabulate", "humanize", "numpy"])
def test_import_loads_no_heavy_package(heavy: str) -> None:
    """`import lineage` leaves the packages that cost tens of milliseconds to the calls that need them."""
    program = f"import sys, lineage; sys.exit({heavy!r} in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_sql_is_executed_only_where_it_belongs() -> None:
    """Statements live in `statements`; the rest that touches a connection is settings, transactions and migrations."""
    doors = {"statements", "database.py", "connections.py", "migrations.py", "store.py", "filters.py", "questions.py"}

    found = {
        path.relative_to(PACKAGE).parts[0]
        for path in sources()
        for name, _ in calls(path)
        if name.endswith((".execute", ".executemany", ".executescript"))
    }

    assert found <= doors


def test_connections_are_opened_in_one_place() -> None:
    """Only `database.connect` opens a connection, so that no setting can be forgotten."""
    found = {path.name for path in sources() for name, _ in calls(path) if name == "sqlite3.connect"}

    assert found == {"connections.py"}


def test_sql_holds_no_formatted_text() -> None:
    """No statement is an f-string, but for numbers of our own in the two PRAGMAs that cannot be bound."""
    found = [
        f"{path.name}:{call.lineno}"
        for path in sources()
        for name, call in calls(path)
        if name.endswith((".execute", ".executemany")) and call.args and isinstance(call.args[0], ast.JoinedStr)
    ]

    assert [place.split(":")[0] for place in found] == ["migrations.py", "migrations.py"]


def test_budget_modules_and_functions_stay_readable() -> None:
    """A module has at most 520 lines, a function at most 50 of code."""
    long_modules = {path.name: len(path.read_text("utf-8").splitlines()) for path in sources()}
    long_functions = [
        f"{path.name}:{node.name}"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef) and _length(node) > 50
    ]

    assert {name: lines for name, lines in long_modules.items() if lines > 520} == {}
    assert long_functions == []


def _length(node: ast.FunctionDef) -> int:
    """Return the lines of a function without its docstring."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
