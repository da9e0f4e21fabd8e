"""The README tells the truth: its blocks run, its commands exist, its tables are complete."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lineage import filters
from lineage.statements import lists

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands(marker: str) -> str:
    """Return the block of shell commands behind a marker."""
    match = re.search(rf"<!-- command: {marker} -->\n```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert match is not None
    return match[1]


def test_readme_python_blocks_run_in_order(tmp_path: Path) -> None:
    """The Python blocks of the README, one after the other in one program, run as they stand."""
    program = "\n".join(code for language, code in BLOCKS if language == "python")

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"WANDB_SILENT": "true"},  # what the face says of its runs stands on stderr
    )

    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.slow
def test_readme_shell_blocks_run_in_order(tmp_path: Path) -> None:
    """The console blocks run as they stand, in the folder that the Python blocks leave."""
    program = "\n".join(code for language, code in BLOCKS if language == "python")
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, cwd=tmp_path)
    lines = [
        line.removeprefix("$ ")
        for language, code in BLOCKS
        if language == "console"
        for line in code.splitlines()
        if line.startswith("$ ")
    ]

    lineage = shlex.join([sys.executable, "-m", "lineage"])
    for line in lines:
        command = re.sub(r"(^|\| )lineage ", lambda match: f"{match[1]}{lineage} ", line)
        done = subprocess.run(command, shell=True, check=False, capture_output=True, text=True, cwd=tmp_path)
        assert (line, done.returncode, done.stderr) == (line, 0, "")


def test_readme_has_two_commands_that_set_themselves_up() -> None:
    """Each of the two commands makes its own environment and installs what it needs."""
    for marker in ("main", "test"):
        assert "venv" in commands(marker)
        assert "pip install" in commands(marker)


def test_readme_lists_every_key_and_operator_of_filters() -> None:
    """Whoever writes a filter finds each key and operator in the README."""
    keys = {*lists.RUN_FIELDS, *lists.VERSION_FIELDS, *lists.ARTIFACT_FIELDS}
    operators = {*filters._OPERATORS, *filters._LOGICAL}

    assert [key for key in sorted(keys) if f"`{key}" not in README] == []
    assert [word for word in sorted(operators) if f"`{word}`" not in README] == []
