"""SECURITY.md keeps up with the promises: each is named once, with tests that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "SECURITY.md").read_text("utf-8")
ROWS = re.findall(r"^\| (P\d+) \| (.+?) \| (.+?) \|$", TEXT, re.MULTILINE)


def test_each_promise_is_named_once_in_its_order() -> None:
    """P1 to P24, those that this project has no use for too."""
    assert [name for name, _, _ in ROWS] == [f"P{number}" for number in range(1, 25)]


def test_each_promise_names_tests_that_are_there() -> None:
    """A module that moves takes its mention with it."""
    missing = [path for _, _, tests in ROWS for path in re.findall(r"`(.+?)`", tests) if not (ROOT / path).is_file()]

    assert missing == []
    assert all("`tests/" in tests for _, _, tests in ROWS)


def test_each_promise_that_a_check_names_is_one_of_them() -> None:
    """The marks of the tests speak of the same promises."""
    named = {name for name, _, _ in ROWS}
    marked = {
        promise
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.faults"
        for promise in str(ast.literal_eval(node.args[0])).split()
    }

    assert marked <= named


def test_no_socket_is_opened_for_others() -> None:
    """There is no web page and no server, which is what the table says of P22."""
    listening = {"socket", "socketserver", "http.server", "asyncio", "wsgiref", "xmlrpc"}
    found = {
        path.name
        for path in (ROOT / "lineage").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
        if name in listening or name.split(".")[0] in listening
    }

    assert found <= {"capture.py"}  # the name of this machine


def test_the_readme_leads_to_it() -> None:
    """People who ask what to rely on find it."""
    assert "(SECURITY.md)" in (ROOT / "README.md").read_text("utf-8")
