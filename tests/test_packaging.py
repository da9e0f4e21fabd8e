"""What is shipped is whole: the wheel has the schema, and works where nothing else of ours is."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_wheel_carries_the_schema_inside_the_package(wheel: Path) -> None:
    """Contract, migrations and JSON Schemas lie at lineage/schema, and nowhere as a package of their own."""
    names = zipfile.ZipFile(wheel).namelist()

    assert "lineage/schema/README.md" in names
    assert "lineage/schema/migrations/0001_first_format.sql" in names
    assert any(name.startswith("lineage/schema/json/") for name in names)
    assert "lineage/py.typed" in names
    assert not any(name.startswith(("schema/", "tests/")) for name in names)


@pytest.mark.slow
def test_wheel_opens_a_project_from_its_own_schema(wheel: Path, tmp_path: Path) -> None:
    """Unpacked somewhere else, it makes a project from the schema that it carries."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    program = (
        "import lineage, lineage.migrations as m; "
        "assert 'site/lineage/schema' in str(m.SCHEMA_DIR), m.SCHEMA_DIR; "
        "print(len(lineage.open('w.lineage').runs()))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "site")},
    )

    assert done.stdout == "0\n"
